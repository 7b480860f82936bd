namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>Expressions, in Jinja's order of ranks: if, or, and, not, comparisons, + and -, ~, products, powers, signs, filters and tests.</summary>
sealed partial class Parser
{
    const int MaxLinks = 100; // filters, calls and attributes behind each other are as many nodes deep

    static readonly string[][] ranks = [["+", "-"], ["~"], ["*", "/", "//", "%"], ["**"]];

    /// <summary>One expression, or several between commas.</summary>
    Node Tuple(bool conditional = true, bool parentheses = false)
    {
        int line = Current.Line;
        if (parentheses && At(")")) return new ListOf([], Tuple: true, line);
        var first = conditional ? Expression() : Or();
        if (!At(",")) return first;
        var items = new List<Node> { first };
        while (Symbol(",") && !TupleEnds()) items.Add(conditional ? Expression() : Or());
        return new ListOf(items, Tuple: true, line);
    }

    bool TupleEnds() => Current.Kind is TokenKind.BlockEnd or TokenKind.PrintEnd || At(")") || Current is { Kind: TokenKind.Name, Value: "recursive" or "if" };

    Node Expression()
    {
        Enter();
        int line = Current.Line;
        var value = Or();
        for (int links = 0; Word("if"); links++)
        {
            if (links > MaxLinks) throw TooDeep();
            var condition = Or();
            value = new Choice(condition, value, Word("else") ? Expression() : null, line);
        }
        depth--;
        return value;
    }

    Node Or() => Logical("or");

    Node Logical(string word)
    {
        int line = Current.Line;
        var first = word == "or" ? Logical("and") : Not();
        if (Current.Kind != TokenKind.Name || Current.Value != word) return first;
        var operands = new List<Node> { first };
        while (Word(word)) operands.Add(word == "or" ? Logical("and") : Not());
        return new Logic(word == "and", operands, line);
    }

    Node Not()
    {
        int line = Current.Line;
        if (!Word("not")) return Comparison();
        Enter();
        var of = Not();
        depth--;
        return new Unary("not", of, line);
    }

    Node Comparison()
    {
        int line = Current.Line;
        var first = Ranked(0);
        List<(string, Node)>? rest = null;
        while (true)
        {
            string op;
            if (Current is { Kind: TokenKind.Operator, Value: "==" or "!=" or "<" or ">" or "<=" or ">=" }) op = tokens[at++].Value;
            else if (Word("in")) op = "in";
            else if (Current is { Kind: TokenKind.Name, Value: "not" } && tokens[at + 1] is { Kind: TokenKind.Name, Value: "in" })
            {
                at += 2;
                op = "not in";
            }
            else return rest is null ? first : new Compare(first, rest, line);
            (rest ??= []).Add((op, Ranked(0)));
        }
    }

    Node Ranked(int rank)
    {
        if (rank == ranks.Length) return Signed(filters: true);
        int line = Current.Line;
        var first = Ranked(rank + 1);
        List<(string, Node)>? rest = null;
        while (Current.Kind == TokenKind.Operator && Array.IndexOf(ranks[rank], Current.Value) >= 0) (rest ??= []).Add((tokens[at++].Value, Ranked(rank + 1)));
        return rest is null ? first : new Chain(first, rest, line);
    }

    Node Signed(bool filters)
    {
        int line = Current.Line;
        Node value;
        if (Current is { Kind: TokenKind.Operator, Value: "-" or "+" })
        {
            Enter();
            value = new Unary(tokens[at++].Value, Signed(filters: false), line);
            depth--;
        }
        else value = Primary();
        value = Postfix(value);
        return filters ? Tested(value) : value;
    }

    /// <summary>Filters, tests and calls of what they give.</summary>
    Node Tested(Node value)
    {
        for (int links = 0; ; links++)
        {
            if (links > MaxLinks) throw TooDeep();
            int line = Current.Line;
            if (At("|")) value = Piped(value);
            else if (At("(")) value = new Invoke(value, Arguments(), line);
            else if (Word("is")) value = IsTest(value, line);
            else return value;
        }
    }

    Test IsTest(Node value, int line)
    {
        bool negated = Word("not");
        string name = Name();
        var arguments = CallArguments.None;
        if (At("(")) arguments = Arguments();
        else if (Current.Kind is TokenKind.String or TokenKind.Number || At("[") || At("{")
            || Current.Kind == TokenKind.Name && Current.Value is not ("and" or "or" or "not" or "if" or "else" or "in" or "is"))
            arguments = new CallArguments([Postfix(Primary())], [], null, null);
        if (Current is { Kind: TokenKind.Name, Value: "is" }) throw new TesseraException($"chat template, line {line}: a test of a test");
        Tests.Check(name, arguments, line);
        return new Test(value, name, arguments, negated, line);
    }

    /// <summary>| name(arguments), as many as follow.</summary>
    Node Piped(Node value)
    {
        for (int links = 0; At("|"); links++)
        {
            if (links > MaxLinks) throw TooDeep();
            int line = tokens[at++].Line;
            value = Filtered(value, Name(), line);
        }
        return value;
    }

    Filter Filtered(Node value, string name, int line)
    {
        var arguments = At("(") ? Arguments() : CallArguments.None;
        Filters.Check(name, arguments, line);
        return new Filter(value, name, arguments, line);
    }

    Node Postfix(Node value)
    {
        for (int links = 0; ; links++)
        {
            if (links > MaxLinks) throw TooDeep();
            int line = Current.Line;
            if (Symbol("."))
                value = Current.Kind == TokenKind.Number ? new Item(value, new Literal(Number(), line), line) : new Member(value, Name(), line);
            else if (Symbol("[")) value = Subscript(value, line);
            else if (At("(")) value = new Invoke(value, Arguments(), line);
            else return value;
        }
    }

    Node Subscript(Node of, int line)
    {
        Node? from = At(":") ? null : Expression(), to = null, step = null;
        if (Symbol("]")) return new Item(of, from!, line);
        Require(":");
        if (!At(":") && !At("]")) to = Expression();
        if (Symbol(":") && !At("]")) step = Expression();
        Require("]");
        return new Slice(of, from, to, step, line);
    }

    CallArguments Arguments()
    {
        int line = Current.Line;
        Require("(");
        var positional = new List<Node>();
        var named = new List<(string, Node)>();
        Node? rest = null, keywords = null;
        while (!Symbol(")"))
        {
            if (keywords is not null) throw new TesseraException($"chat template, line {line}: an argument behind **");
            if (Symbol("*")) rest = rest is null ? Expression() : throw Unknown();
            else if (Symbol("**")) keywords = Expression();
            else if (Current.Kind == TokenKind.Name && tokens[at + 1] is { Kind: TokenKind.Operator, Value: "=" })
            {
                string name = Name();
                at++;
                named.Add((name, Expression()));
            }
            else if (named.Count > 0 || rest is not null)
                throw new TesseraException($"chat template, line {line}: an argument without a name behind one with a name");
            else positional.Add(Expression());
            if (!At(")")) Require(",");
        }
        return new CallArguments(positional, named, rest, keywords);
    }

    object Number()
    {
        var token = tokens[at++];
        return Literals.Number(token.Value) ?? throw new TesseraException($"chat template, line {token.Line}: '{Shown(token)}' is no number of 64 bits");
    }

    Node Primary()
    {
        var token = Current;
        switch (token.Kind)
        {
            case TokenKind.String:
                at++;
                if (Current.Kind != TokenKind.String) return new Literal(Text.Template(token.Value), token.Line);
                var text = new System.Text.StringBuilder(token.Value);
                while (Current.Kind == TokenKind.String) text.Append(tokens[at++].Value);
                return new Literal(Text.Template(text.ToString()), token.Line);
            case TokenKind.Number: return new Literal(Number(), token.Line);
            case TokenKind.Name:
                at++;
                switch (token.Value)
                {
                    case "true" or "True": return new Literal(true, token.Line);
                    case "false" or "False": return new Literal(false, token.Line);
                    case "none" or "None": return new Literal(null, token.Line);
                    case "varargs" or "kwargs" or "caller":
                        free.Add(token.Value);
                        break;
                }
                return new Variable(token.Value, token.Line);
            case TokenKind.Operator when Symbol("("):
                var inner = Tuple(parentheses: true);
                Require(")");
                return inner;
            case TokenKind.Operator when Symbol("["):
                var items = new List<Node>();
                while (!Symbol("]"))
                {
                    items.Add(Expression());
                    if (!At("]")) Require(",");
                }
                return new ListOf(items, Tuple: false, token.Line);
            case TokenKind.Operator when Symbol("{"):
                var pairs = new List<(Node, Node)>();
                while (!Symbol("}"))
                {
                    var key = Expression();
                    Require(":");
                    pairs.Add((key, Expression()));
                    if (!At("}")) Require(",");
                }
                return new DictOf(pairs, token.Line);
            default: throw Unknown();
        }
    }
}
