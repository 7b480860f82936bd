namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>Filters that go over items.</summary>
static class ListFilters
{
    /// <summary>A getter of an attribute by its path: names and numbers between points.</summary>
    static Func<object?, object?> Getter(Call call, object? attribute, object? fallback = null)
    {
        var meter = call.Meter;
        if (attribute is null) return static item => item;
        if (attribute is not (Text or long)) throw meter.Wrong($"{call.What} wants the name of an attribute, found {Values.Name(attribute)}");
        if (attribute is Text name) meter.Characters(40L * name.Value.Length);
        object[] path = attribute is Text text ? [.. text.Value.Split('.').Select(part => Literals.Number(part) is long n ? n : (object)Text.Template(part))]
            : [attribute];
        meter.Bytes(120L * path.Length);
        return item =>
        {
            foreach (object part in path)
            {
                meter.Elements(4);
                item = Operations.Item(meter, item, part);
                if (item is Undefined && fallback is not null) item = fallback;
            }
            return item;
        };
    }

    /// <summary>A string in lower case where case does not matter.</summary>
    static Func<object?, object?> Folded(Call call, bool caseSensitive) => value =>
        !caseSensitive && value is Text text ? Strings.Lower(call.Meter, text) : value;

    public static object? Sort(Call call)
    {
        var folded = Folded(call, call.Truth(1));
        if (call.At(2) is Text names) call.Meter.Characters(100L * names.Value.Length);
        Func<object?, object?>[] getters = call.At(2) is Text several
            ? [.. several.Value.Split(',').Select(attribute => Getter(call, Text.Template(attribute)))] : [Getter(call, call.At(2))];
        call.Meter.Bytes(200L * getters.Length);
        return Comparison.Sort(call.Meter, call.Items, item =>
        {
            call.Meter.List(getters.Length);
            return [.. getters.Select(getter => folded(getter(item)))];
        }, call.Truth(0));
    }

    public static object? DictSort(Call call)
    {
        if (call.Of is not Dict dict) throw call.Meter.Wrong($"dictsort: expected a mapping, found {Values.Name(call.Of)}");
        string by = call.Text(1)?.Value ?? "key";
        if (by is not ("key" or "value")) throw call.Meter.Wrong($"dictsort: by is 'key' or 'value', found '{by}'");
        var folded = Folded(call, call.Truth(0));
        return Comparison.Sort(call.Meter, DictMethods.Pairs(call.Meter, dict), pair => [folded(((Tuple)pair!)[by == "key" ? 0 : 1])], call.Truth(2));
    }

    public static object? GroupBy(Call call)
    {
        var meter = call.Meter;
        var getter = Getter(call, call.At(0), call.At(1));
        var folded = Folded(call, call.Truth(2));
        var groups = new List<object?>();
        List<object?>? current = null;
        object? last = null;
        foreach (object? item in Comparison.Sort(meter, call.Items, item => [folded(getter(item))], reverse: false))
        {
            object? key = folded(getter(item));
            if (current is null || !Comparison.Same(meter, last, key))
            {
                meter.List(4);
                current = [];
                groups.Add(new Group { getter(item), current });
                last = key;
            }
            meter.List(1);
            current!.Add(item);
        }
        return groups;
    }

    public static object? Extreme(Call call, int sign)
    {
        var getter = Getter(call, call.At(1));
        var folded = Folded(call, call.Truth(0));
        object? best = Undefined.Value, bestKey = null;
        bool any = false;
        foreach (object? item in call.Items)
        {
            object? key = folded(getter(item));
            if (any && sign * Comparison.Order(call.Meter, key, bestKey) <= 0) continue;
            (any, best, bestKey) = (true, item, key);
        }
        return best;
    }

    public static object? Unique(Call call)
    {
        var getter = Getter(call, call.At(1));
        var folded = Folded(call, call.Truth(0));
        var items = call.Items;
        var (seen, unique) = (new HashSet<object>(KeyComparer.Instance), new List<object?>());
        bool none = false;
        foreach (object? item in items)
        {
            call.Meter.Entries(1);
            object? key = folded(getter(item));
            if (key is null or Undefined ? !none : seen.Add(Values.Key(call.Meter, key))) unique.Add(item);
            none |= key is null or Undefined;
        }
        return new Generator(unique);
    }

    public static object? Join(Call call)
    {
        var items = call.Items;
        if (call.At(1) is not null)
        {
            var getter = Getter(call, call.At(1));
            call.Meter.List(items.Count);
            items = [.. items.Select(getter)];
        }
        return StringParts.Join(call.Meter, items, Printing.Written(call.Meter, call.At(0, new Text("", ""))));
    }

    public static object? Sum(Call call)
    {
        var getter = Getter(call, call.At(0));
        object? sum = call.At(1, 0L);
        foreach (object? item in call.Items) sum = Operations.Arithmetic(call.Meter, "+", sum, getter(item));
        return sum;
    }

    public static object? Map(Call call)
    {
        var meter = call.Meter;
        var items = call.Items;
        Func<object?, object?> change;
        if (call.Rest.Count == 0)
        {
            foreach (var (name, _) in call.Keywords)
                if (name is not ("attribute" or "default")) throw meter.Wrong($"map has no argument '{name}'");
            object? Named(string name) => call.Keywords.Find(k => k.Name == name).Value;
            change = Getter(call, Named("attribute") ?? throw meter.Wrong("map wants a filter or an attribute"), Named("default"));
        }
        else
        {
            string filter = call.Rest[0] is Text text ? text.Value : throw meter.Wrong($"map wants a filter's name, found {Values.Name(call.Rest[0])}");
            var more = new Arguments(call.Rest[1..], call.Keywords);
            change = item => Filters.Apply(meter, filter, item, more);
        }
        meter.Enter();
        var changed = new List<object?>();
        foreach (object? item in items)
        {
            meter.Step();
            meter.List(1);
            changed.Add(change(item));
        }
        meter.Leave();
        return new Generator(changed);
    }

    /// <summary>select, reject, selectattr and rejectattr: items of which a test holds, or which are true.</summary>
    public static object? Select(Call call, bool attribute, bool keep)
    {
        var meter = call.Meter;
        var items = call.Items;
        int first = attribute ? 1 : 0;
        if (attribute && call.Rest.Count == 0) throw meter.Wrong($"{call.What} wants the name of an attribute");
        if (call.Rest.Count <= first && call.Keywords.Count > 0) throw meter.Wrong($"{call.What} has no argument '{call.Keywords[0].Name}'");
        var getter = Getter(call, attribute ? call.Rest[0] : null);
        string? test = call.Rest.Count <= first ? null : call.Rest[first] is Text text ? text.Value
            : throw meter.Wrong($"{call.What} wants a test's name, found {Values.Name(call.Rest[first])}");
        var more = new Arguments(call.Rest.Count > first ? call.Rest[(first + 1)..] : [], call.Keywords);
        meter.Enter();
        var selected = new List<object?>();
        foreach (object? item in items)
        {
            meter.Step();
            object? value = getter(item);
            if ((test is null ? Values.Truth(value) : Tests.Holds(meter, test, value, more)) != keep) continue;
            meter.List(1);
            selected.Add(item);
        }
        meter.Leave();
        return new Generator(selected);
    }

    public static object? Batch(Call call)
    {
        var (meter, size, items) = (call.Meter, call.Whole(0, 1), call.Items);
        if (size < 1) throw meter.Wrong("batch wants a count of at least 1");
        var batches = new List<object?>();
        for (long from = 0; from < items.Count; from += size)
        {
            int count = (int)Math.Min(size, items.Count - from);
            long fill = call.At(1) is null ? 0 : size - count;
            meter.List(count + fill);
            List<object?> batch = items.GetRange((int)from, count);
            for (; fill > 0; fill--) batch.Add(call.At(1));
            batches.Add(batch);
        }
        return new Generator(batches);
    }

    public static object? Slices(Call call)
    {
        var (meter, slices, items) = (call.Meter, call.Whole(0, 1), call.Items);
        if (slices < 1) throw meter.Wrong("slice wants a count of at least 1");
        meter.List(8 * Math.Min(slices, 1 << 30));
        meter.List(items.Count);
        var parts = new List<object?>();
        long per = items.Count / slices, longer = items.Count % slices, from = 0;
        for (long i = 0; i < slices; i++)
        {
            long count = per + (i < longer ? 1 : 0);
            List<object?> part = items.GetRange((int)from, (int)count);
            if (call.At(1) is { } fill && i >= longer) part.Add(fill);
            parts.Add(part);
            from += count;
        }
        return new Generator(parts);
    }
}
