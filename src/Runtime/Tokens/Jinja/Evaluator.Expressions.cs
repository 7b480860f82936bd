namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>Values of expressions, calls and macros.</summary>
sealed partial class Evaluator
{
    object? Value(Node node)
    {
        meter.Line = node.Line;
        meter.Step();
        meter.Enter();
        object? value = node switch
        {
            Literal literal => literal.Value,
            Variable variable => scope.Find(meter, variable.Name),
            Member member => Operations.Attribute(meter, Value(member.Of), member.Name),
            Item item => Operations.Item(meter, Value(item.Of), Value(item.Key)),
            Invoke invoke => Called(invoke),
            Filter filter => Filters.Apply(meter, filter.Name, Value(filter.Of), Evaluated(filter.Arguments)),
            Test test => Tests.Holds(meter, test.Name, Value(test.Of), Evaluated(test.Arguments)) != test.Negated,
            Chain chain => Folded(chain),
            Compare compare => Holds(compare),
            Logic logic => Decided(logic),
            Unary unary => Signed(unary),
            Choice choice => Values.Truth(Value(choice.Condition)) ? Value(choice.Then) : choice.Else is null ? Undefined.Value : Value(choice.Else),
            Slice slice => Sliced(slice),
            ListOf list => List(list),
            DictOf dict => Mapping(dict),
            Captured captured => Capture(() => ExecuteInside(captured.Body)),
            MacroOf macro => Closure(macro.Macro),
            _ => throw meter.Wrong($"{node.GetType().Name} is no expression"),
        };
        meter.Leave();
        return value;
    }

    /// <summary>The body of a set or filter block, whose own names end with it.</summary>
    void ExecuteInside(List<Node> body)
    {
        var outer = scope;
        scope = Inner(outer);
        Execute(body);
        scope = outer;
    }

    object? Folded(Chain chain)
    {
        object? value = Value(chain.First);
        if (chain.Rest.Count > 1 && chain.Rest[0].Operator == "~") return Joined(chain, value);
        foreach (var (op, operand) in chain.Rest)
        {
            object? right = Value(operand);
            meter.Line = chain.Line;
            value = Operations.Arithmetic(meter, op, value, right);
        }
        return value;
    }

    /// <summary>a ~ b ~ c: copied once.</summary>
    Text Joined(Chain chain, object? first)
    {
        var joined = new TextBuilder(meter);
        joined.Append(Printing.Written(meter, first));
        foreach (var (_, operand) in chain.Rest) joined.Append(Printing.Written(meter, Value(operand)));
        return joined.Build();
    }

    bool Holds(Compare compare)
    {
        object? left = Value(compare.First);
        foreach (var (op, operand) in compare.Rest)
        {
            object? right = Value(operand);
            if (!Comparison.Holds(meter, op, left, right)) return false;
            left = right;
        }
        return true;
    }

    object? Decided(Logic logic)
    {
        object? value = null;
        foreach (var operand in logic.Operands)
            if (Values.Truth(value = Value(operand)) != logic.And) break;
        return value;
    }

    object? Signed(Unary unary)
    {
        object? value = Value(unary.Of);
        return unary.Operator switch
        {
            "not" => !Values.Truth(value),
            "-" => Operations.Negate(meter, value),
            _ => Operations.Arithmetic(meter, "+", 0L, value),
        };
    }

    object? Sliced(Slice slice)
    {
        object? of = Value(slice.Of), from = slice.From is null ? null : Value(slice.From), to = slice.To is null ? null : Value(slice.To);
        return Operations.Slice(meter, of, from, to, slice.Step is null ? null : Value(slice.Step));
    }

    List<object?> List(ListOf of)
    {
        meter.List(of.Items.Count);
        var list = of.Tuple ? new Tuple() : new List<object?>(of.Items.Count);
        foreach (var item in of.Items) list.Add(Value(item));
        return list;
    }

    Dict Mapping(DictOf of)
    {
        meter.Entries(of.Items.Count);
        var dict = new Dict();
        foreach (var (key, value) in of.Items) dict[Values.Key(meter, Value(key))] = Value(value);
        return dict;
    }

    Arguments Evaluated(CallArguments of)
    {
        meter.Bytes(128 + 32 * (of.Positional.Count + of.Named.Count));
        var positional = new List<object?>(of.Positional.Count);
        foreach (var argument in of.Positional) positional.Add(Value(argument));
        var named = new List<(string, object?)>(of.Named.Count);
        foreach (var (name, value) in of.Named) named.Add((name, Value(value)));
        if (of.Rest is not null)
        {
            var rest = Values.Items(meter, Value(of.Rest));
            meter.List(rest.Count);
            positional.AddRange(rest);
        }
        if (of.Keywords is not null)
        {
            if (Value(of.Keywords) is not Dict keywords) throw meter.Wrong("what stands behind ** is no mapping");
            meter.List(2L * keywords.Count);
            foreach (var (key, value) in keywords) named.Add((key is Text name ? name.Value : throw meter.Wrong("a key behind ** is no string"), value));
        }
        return new Arguments(positional, named);
    }

    object? Called(Invoke invoke)
    {
        object? callee;
        if (invoke.Callee is Member member)
        {
            object? of = Value(member.Of);
            if (Operations.HasMethod(of, member.Name))
            {
                var given = Evaluated(invoke.Arguments);
                meter.Line = invoke.Line;
                return Operations.CallMethod(meter, of, member.Name, given);
            }
            if (of is Undefined) throw meter.Wrong($"'{member.Name}' is called on an undefined value");
            callee = Operations.Attribute(meter, of, member.Name);
            if (callee is Undefined) throw meter.Wrong($"{Values.Name(of)} has no method '{member.Name}' that Tessera's template language has");
        }
        else callee = Value(invoke.Callee);
        var arguments = Evaluated(invoke.Arguments);
        meter.Line = invoke.Line;
        return callee switch
        {
            Function function => function.Call(arguments),
            LoopState { Recurse: { } recurse } when arguments.Positional.Count == 1 && arguments.Named.Count == 0 => recurse(arguments.Positional[0]),
            _ => throw meter.Wrong($"'{(invoke.Callee as Variable)?.Name ?? "this"}' is no function that Tessera's template language has"),
        };
    }

    Function Closure(Macro macro)
    {
        meter.Bytes(200);
        var around = scope;
        return new Function(macro.Name, arguments => Call(macro, around, arguments));
    }

    /// <summary>A macro's text. It sees what stood around its definition, and its arguments.</summary>
    Text Call(Macro macro, Scope around, Arguments arguments)
    {
        var (caller, parameters) = (scope, macro.Parameters);
        meter.Enter();
        var inner = scope = Inner(around);
        meter.Entries(parameters.Count + arguments.Named.Count);
        var named = new Dictionary<string, object?>(StringComparer.Ordinal);
        foreach (var (name, value) in arguments.Named)
            if (!named.TryAdd(name, value)) throw meter.Wrong($"macro '{macro.Name}' is given '{name}' twice");
        for (int i = 0; i < parameters.Count; i++)
        {
            var (name, fallback) = parameters[i];
            if (named.Remove(name, out object? value) && i < arguments.Positional.Count) throw meter.Wrong($"macro '{macro.Name}' is given '{name}' twice");
            inner[name] = i < arguments.Positional.Count ? arguments.Positional[i] : value is not null || arguments.Named.Exists(n => n.Name == name) ? value
                : fallback is not null ? Value(fallback) : Undefined.Value;
        }
        Special(macro, inner, arguments, named);
        var text = Capture(() => Execute(macro.Body));
        meter.Leave();
        scope = caller;
        return text;
    }

    /// <summary>caller, varargs and kwargs: taken where the body uses them, else arguments too many are an error.</summary>
    void Special(Macro macro, Scope inner, Arguments arguments, Dictionary<string, object?> named)
    {
        if (macro.Free.Contains("caller")) inner["caller"] = named.Remove("caller", out object? caller) ? caller : Undefined.Value;
        int more = arguments.Positional.Count - macro.Parameters.Count;
        if (macro.Free.Contains("varargs")) inner["varargs"] = more > 0 ? Operations.Tuple(arguments.Positional[macro.Parameters.Count..]) : new Tuple();
        else if (more > 0) throw meter.Wrong($"macro '{macro.Name}' takes {macro.Parameters.Count} arguments, was given {arguments.Positional.Count}");
        if (macro.Free.Contains("kwargs"))
        {
            var keywords = new Dict();
            foreach (var (name, value) in named) keywords[Text.Template(name)] = value;
            inner["kwargs"] = keywords;
        }
        else if (named.Count > 0) throw meter.Wrong($"macro '{macro.Name}' has no argument '{named.Keys.First()}'");
    }
}
