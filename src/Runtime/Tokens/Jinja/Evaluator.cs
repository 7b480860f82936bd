namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>A callable: positional and named arguments to a value.</summary>
delegate object? Function(List<object?> args, Dict named, int line);

/// <summary>Runs a parsed template. It reaches nothing but the values it was given; steps, output and depth are bounded.</summary>
sealed class Evaluator
{
    const int MaxSteps = 5_000_000, MaxCharacters = Text.MaxCharacters, MaxDepth = 200, MaxNumbers = 1 << 20;

    enum Flow { On, Break, Continue }

    readonly List<Dict> scopes = [];
    List<Text> output = [];
    int steps, characters, depth;

    Evaluator(Dict variables)
    {
        scopes.Add(variables);
        variables.TryAdd("raise_exception", (Function)((args, _, line) => throw new TesseraException($"chat template: {Values.Written(args.Count > 0 ? args[0] : null).Value}")));
        variables.TryAdd("namespace", (Function)((args, named, _) => named));
        variables.TryAdd("dict", (Function)((args, named, _) => named));
        variables.TryAdd("range", (Function)Range);
    }

    public static Text Run(List<Node> template, Dict variables)
    {
        var evaluator = new Evaluator(variables);
        evaluator.Execute(template);
        return Text.Concat(evaluator.output);
    }

    static object? Range(List<object?> args, Dict named, int line)
    {
        long Argument(int i) => args[i] is long n and > int.MinValue and < int.MaxValue ? n : throw new TesseraException($"chat template, line {line}: range wants whole numbers of 32 bits");
        if (args.Count is 0 or > 3) throw new TesseraException($"chat template, line {line}: range wants 1 to 3 numbers");
        long from = args.Count > 1 ? Argument(0) : 0, to = Argument(args.Count > 1 ? 1 : 0), step = args.Count > 2 ? Argument(2) : 1;
        if (step == 0 || (to - from) / step > MaxNumbers) throw new TesseraException($"chat template, line {line}: range is endless or longer than {MaxNumbers}");
        var list = new List<object?>();
        for (long i = from; step > 0 ? i < to : i > to; i += step) list.Add(i);
        return list;
    }

    Flow Execute(List<Node> nodes)
    {
        foreach (var node in nodes)
        {
            Step(node.Line);
            var flow = Statement(node);
            if (flow != Flow.On) return flow;
        }
        return Flow.On;
    }

    Flow Statement(Node node)
    {
        switch (node)
        {
            case Write write:
                var text = Values.Written(Value(write.Value));
                characters += text.Value.Length;
                if (characters > MaxCharacters) throw Wrong(node.Line, $"more than {MaxCharacters} characters are written");
                output.Add(text);
                return Flow.On;
            case If branch:
                foreach (var (condition, body) in branch.Branches)
                    if (Values.Truth(Value(condition))) return Execute(body);
                return Execute(branch.Else);
            case For loop: return Loop(loop);
            case Set set:
                Assign(set);
                return Flow.On;
            case Macro macro:
                scopes[^1][macro.Name] = (Function)((args, named, line) => Call(macro, args, named));
                return Flow.On;
            case Jump jump: return jump.Break ? Flow.Break : Flow.Continue;
            default: throw Wrong(node.Line, $"{node.GetType().Name} is no statement");
        }
    }

    Flow Loop(For loop)
    {
        var items = Values.Items(Value(loop.Over), loop.Line);
        var scope = new Dict();
        scopes.Add(scope);
        if (loop.Where is not null)
        {
            items = [.. items.Where(item =>
            {
                Bind(scope, loop, item);
                return Values.Truth(Value(loop.Where));
            })];
        }
        for (int i = 0; i < items.Count; i++)
        {
            Step(loop.Line);
            scope.Clear(); // what a turn sets is gone in the next
            Bind(scope, loop, items[i]);
            scope["loop"] = new Dict
            {
                ["index"] = i + 1L, ["index0"] = (long)i, ["first"] = i == 0, ["last"] = i == items.Count - 1, ["length"] = (long)items.Count,
                ["revindex"] = (long)(items.Count - i), ["revindex0"] = items.Count - i - 1L,
                ["previtem"] = i > 0 ? items[i - 1] : Undefined.Value, ["nextitem"] = i + 1 < items.Count ? items[i + 1] : Undefined.Value,
            };
            if (Execute(loop.Body) == Flow.Break) break;
        }
        scopes.RemoveAt(scopes.Count - 1);
        return items.Count == 0 ? Execute(loop.Else) : Flow.On;
    }

    void Bind(Dict scope, For loop, object? item)
    {
        if (loop.Names.Count == 1)
        {
            scope[loop.Names[0]] = item;
            return;
        }
        Unpack(scope, loop.Names, item, loop.Line);
    }

    void Unpack(Dict scope, List<string> names, object? value, int line)
    {
        if (value is not List<object?> parts || parts.Count != names.Count) throw Wrong(line, $"{Values.Name(value)} cannot be taken apart into {names.Count} names");
        for (int i = 0; i < names.Count; i++) scope[names[i]] = parts[i];
    }

    void Assign(Set set)
    {
        object? value = set.Value is not null ? Value(set.Value) : Captured(set.Body);
        if (set.Attribute is not null)
        {
            if (Find(set.Names[0]) is not Dict target) throw Wrong(set.Line, $"'{set.Names[0]}' is no namespace");
            target[set.Attribute] = value;
        }
        else if (set.Names.Count == 1) scopes[^1][set.Names[0]] = value;
        else Unpack(scopes[^1], set.Names, value, set.Line);
    }

    Text Captured(List<Node> body)
    {
        var outer = output;
        output = [];
        Execute(body);
        var text = Text.Concat(output);
        output = outer;
        return text;
    }

    Text Call(Macro macro, List<object?> args, Dict named)
    {
        if (args.Count > macro.Parameters.Count) throw Wrong(macro.Line, $"macro '{macro.Name}' takes {macro.Parameters.Count} arguments, was given {args.Count}");
        Deeper(macro.Line);
        var scope = new Dict();
        for (int i = 0; i < macro.Parameters.Count; i++)
        {
            var (name, fallback) = macro.Parameters[i];
            scope[name] = i < args.Count ? args[i] : named.TryGetValue(name, out var value) ? value : fallback is not null ? Value(fallback) : Undefined.Value;
        }
        var outer = scopes[1..];
        scopes.RemoveRange(1, scopes.Count - 1); // a macro sees the globals and its arguments
        scopes.Add(scope);
        var text = Captured(macro.Body);
        scopes.RemoveAt(scopes.Count - 1);
        scopes.AddRange(outer);
        depth--;
        return text;
    }

    object? Value(Node node)
    {
        Step(node.Line);
        Deeper(node.Line);
        object? value = node switch
        {
            Literal literal => literal.Value,
            Variable variable => Find(variable.Name),
            ListOf list => list.Items.Select(Value).ToList(),
            DictOf dict => MakeDict(dict),
            Member member => Operations.Member(Value(member.Of), member.Name, member.Line),
            Item item => Operations.Item(Value(item.Of), Value(item.Key), item.Line),
            Slice slice => Operations.Slice(Value(slice.Of), slice.From is null ? null : Value(slice.From), slice.To is null ? null : Value(slice.To), slice.Step is null ? null : Value(slice.Step), slice.Line),
            Invoke invoke => InvokeFunction(invoke),
            Filter filter => Filters.Apply(filter.Name, Value(filter.Of), [.. filter.Args.Select(Value)], Named(filter.Named), filter.Line),
            Test test => Filters.Test(test.Name, Value(test.Of), [.. test.Args.Select(Value)], test.Line) != test.Negated,
            Unary unary => unary.Operator == "not" ? !Values.Truth(Value(unary.Of)) : Operations.Arithmetic(unary.Operator, 0L, Value(unary.Of), unary.Line),
            Binary { Operator: "and" } b => Value(b.Left) is var left && Values.Truth(left) ? Value(b.Right) : left,
            Binary { Operator: "or" } b => Value(b.Left) is var left && !Values.Truth(left) ? Value(b.Right) : left,
            Binary binary => Operations.Binary(binary.Operator, Value(binary.Left), Value(binary.Right), binary.Line),
            Choice choice => Values.Truth(Value(choice.Condition)) ? Value(choice.Then) : choice.Else is null ? Undefined.Value : Value(choice.Else),
            _ => throw Wrong(node.Line, $"{node.GetType().Name} is no expression"),
        };
        if (value is List<object?> { Count: > MaxNumbers }) throw Wrong(node.Line, "a list grows too large");
        if (node is Filter or Slice or Binary or Invoke) Step(node.Line, value is List<object?> made ? made.Count : value is Text text ? text.Value.Length / 256 : 0); // work that made a value counts
        depth--;
        return value;
    }

    Dict MakeDict(DictOf of)
    {
        var dict = new Dict();
        foreach (var (key, value) in of.Items) dict[Values.Written(Value(key)).Value] = Value(value);
        return dict;
    }

    Dict Named(List<(string Name, Node Value)> named)
    {
        var dict = new Dict();
        foreach (var (name, value) in named) dict[name] = Value(value);
        return dict;
    }

    object? InvokeFunction(Invoke invoke)
    {
        var args = invoke.Args.Select(Value).ToList();
        var named = Named(invoke.Named);
        if (invoke.Callee is Member member && Value(member.Of) is var of && !(of is Dict own && own.TryGetValue(member.Name, out var field) && field is Function))
            return Methods.Call(of, member.Name, args, invoke.Line);
        return Value(invoke.Callee) is Function function ? function(args, named, invoke.Line)
            : throw Wrong(invoke.Line, $"'{(invoke.Callee as Variable)?.Name ?? "this"}' is no function that Tessera's template language has");
    }

    object? Find(string name)
    {
        for (int i = scopes.Count - 1; i >= 0; i--)
            if (scopes[i].TryGetValue(name, out var value)) return value;
        return Undefined.Value;
    }

    void Step(int line, int work = 1)
    {
        if ((steps += work) > MaxSteps) throw Wrong(line, $"more than {MaxSteps} steps");
    }

    void Deeper(int line)
    {
        if (++depth > MaxDepth) throw Wrong(line, $"nested deeper than {MaxDepth}");
    }

    static TesseraException Wrong(int line, string what) => new($"chat template, line {line}: {what}");
}
