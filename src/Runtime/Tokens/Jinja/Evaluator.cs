namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>Names that a part of a template has set, and the part around it.</summary>
sealed class Scope(Scope? outer)
{
    readonly Dictionary<string, object?> names = new(StringComparer.Ordinal);

    public object? this[string name]
    {
        set => names[name] = value;
    }

    public object? Find(Meter meter, string name)
    {
        for (var scope = this; scope is not null; scope = scope.Outer)
        {
            meter.Elements(1);
            if (scope.names.TryGetValue(name, out var value)) return value;
        }
        return Undefined.Value;
    }

    Scope? Outer => outer;
}

/// <summary>Runs a parsed template. It reaches nothing but the values it was given; work, memory and depth are metered. This half runs statements.</summary>
sealed partial class Evaluator
{
    enum Flow { On, Break, Continue }

    readonly Meter meter;
    Scope scope;
    List<Text> output = [];
    long written; // characters in output

    Evaluator(Meter meter, Dictionary<string, object?> variables, TimeProvider clock)
    {
        this.meter = meter;
        var globals = new Scope(null);
        foreach (var (name, value) in Globals.All(meter, clock)) globals[name] = value;
        scope = new Scope(globals);
        foreach (var (name, value) in variables) scope[name] = value;
    }

    public static Text Run(List<Node> template, Dictionary<string, object?> variables, Meter meter, TimeProvider clock)
    {
        var evaluator = new Evaluator(meter, variables, clock);
        evaluator.Execute(template);
        return evaluator.Gather();
    }

    Flow Execute(List<Node> nodes)
    {
        meter.Enter();
        var flow = Flow.On;
        foreach (var node in nodes)
        {
            meter.Line = node.Line;
            meter.Step();
            flow = Statement(node);
            if (flow != Flow.On) break;
        }
        meter.Leave();
        return flow;
    }

    Flow Statement(Node node)
    {
        switch (node)
        {
            case Write write:
                Put(Printing.Written(meter, Value(write.Value)));
                return Flow.On;
            case If branch: return Branch(branch);
            case For loop: return Loop(loop, Value(loop.Over), 0);
            case Set set:
                Assign(scope, set.Target, Value(set.Value));
                return Flow.On;
            case With with: return RunWith(with);
            case Jump jump: return jump.Break ? Flow.Break : Flow.Continue;
            default: throw meter.Wrong($"{node.GetType().Name} is no statement");
        }
    }

    void Put(Text text)
    {
        if (text.Value.Length == 0) return;
        meter.Bytes(48);
        if ((written += text.Value.Length) > Text.MaxCharacters) throw meter.Wrong($"more than {Text.MaxCharacters} characters are written");
        output.Add(text);
    }

    Text Gather()
    {
        if (output is [var only]) return only;
        meter.Text(written);
        return Text.Concat(output);
    }

    Flow Branch(If branch)
    {
        foreach (var (condition, body) in branch.Branches)
            if (Values.Truth(Value(condition))) return Execute(body);
        return Execute(branch.Else);
    }

    Flow RunWith(With with)
    {
        var inner = Inner(scope);
        foreach (var (target, value) in with.Assignments) Assign(inner, target, Value(value)); // values see the scope around
        var outer = scope;
        scope = inner;
        var flow = Execute(with.Body);
        scope = outer;
        return flow;
    }

    Scope Inner(Scope around)
    {
        meter.Elements(16);
        meter.Bytes(400);
        return new Scope(around);
    }

    Flow Loop(For loop, object? over, int level)
    {
        meter.Line = loop.Line;
        var (items, outer) = (Values.Items(meter, over), scope);
        if (loop.Where is not null) items = Filtered(loop, items);
        var state = new LoopState(items, level, loop.Recursive ? again => Recurse(loop, again, level + 1, outer) : null);
        bool ended = false; // a turn came to its end: as in Jinja, break and continue alone leave the loop to its else
        for (int i = 0; i < items.Count; i++)
        {
            meter.Step();
            scope = Inner(outer); // what a turn sets is gone in the next
            state.At = i;
            scope["loop"] = state;
            Assign(scope, loop.Target, items[i]);
            var flow = Execute(loop.Body);
            if (flow == Flow.Break) break;
            ended |= flow == Flow.On;
        }
        scope = outer;
        return ended ? Flow.On : Execute(loop.Else);
    }

    List<object?> Filtered(For loop, List<object?> items)
    {
        var outer = scope;
        var kept = new List<object?>();
        foreach (object? item in items)
        {
            scope = Inner(outer);
            Assign(scope, loop.Target, item);
            if (!Values.Truth(Value(loop.Where!))) continue;
            meter.List(1);
            kept.Add(item);
        }
        scope = outer;
        return kept;
    }

    /// <summary>loop(items): the whole loop again, as a text.</summary>
    Text Recurse(For loop, object? over, int level, Scope around)
    {
        var caller = scope;
        scope = around;
        var text = Capture(() => Loop(loop, over, level));
        scope = caller;
        return text;
    }

    void Assign(Scope to, Target target, object? value)
    {
        if (target.Parts is { } targets)
        {
            meter.Enter();
            var parts = Values.Items(meter, value);
            if (parts.Count != targets.Count) throw meter.Wrong($"{Values.Name(value)} of {parts.Count} cannot be taken apart into {targets.Count} names");
            for (int i = 0; i < targets.Count; i++) Assign(to, targets[i], parts[i]);
            meter.Leave();
        }
        else if (target.Attribute is { } attribute)
        {
            if (scope.Find(meter, target.Name) is not Namespace space) throw meter.Wrong($"'{target.Name}' is no namespace");
            meter.Entries(1);
            space.Attributes[Text.Template(attribute)] = value;
        }
        else
        {
            meter.Bytes(64);
            to[target.Name] = value;
        }
    }

    /// <summary>What a part of the template writes, kept out of the output.</summary>
    Text Capture(Action part)
    {
        var (outer, before) = (output, written);
        (output, written) = ([], 0);
        meter.Bytes(160);
        part();
        var text = Gather();
        (output, written) = (outer, before);
        return text;
    }
}
