using System.Globalization;

namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>Makes nodes of tokens. What the language subset does not know is an error that names it.</summary>
sealed class Parser(List<Token> tokens)
{
    const int MaxDepth = 100;

    int at, depth;

    Token Current => tokens[at];

    public static List<Node> Parse(string source)
    {
        var parser = new Parser(Lexer.Read(source));
        var body = parser.Body();
        if (parser.Current.Kind != TokenKind.End) throw parser.Unknown();
        return body;
    }

    /// <summary>Statements up to a block that is none of its own: its name is then the current token.</summary>
    List<Node> Body()
    {
        Deeper();
        var nodes = new List<Node>();
        while (Current.Kind != TokenKind.End)
        {
            var token = tokens[at++];
            if (token.Kind == TokenKind.Text) nodes.Add(new Write(new Literal(Text.Template(token.Value), token.Line), token.Line));
            else if (token.Kind == TokenKind.PrintBegin)
            {
                nodes.Add(new Write(Expression(), token.Line));
                Take(TokenKind.PrintEnd, "}}");
            }
            else if (Current.Value is "endif" or "else" or "elif" or "endfor" or "endset" or "endmacro" or "endgeneration") break;
            else if (Statement() is { } statement) nodes.Add(statement);
        }
        depth--;
        return nodes;
    }

    Node? Statement()
    {
        var word = tokens[at++];
        switch (word.Value)
        {
            case "if": return IfStatement(word.Line);
            case "for": return ForStatement(word.Line);
            case "set": return SetStatement(word.Line);
            case "macro": return MacroStatement(word.Line);
            case "break" or "continue":
                EndBlock();
                return new Jump(word.Value == "break", word.Line);
            case "generation": // marks the answer for training; its body is written as it is
                EndBlock();
                var body = Body();
                Close("endgeneration");
                return new If([(new Literal(true, word.Line), body)], [], word.Line);
            default: throw Unknown(word);
        }
    }

    If IfStatement(int line)
    {
        var branches = new List<(Node, List<Node>)>();
        List<Node> otherwise = [];
        var condition = Expression();
        EndBlock();
        branches.Add((condition, Body()));
        while (true)
        {
            if (Word("elif"))
            {
                condition = Expression();
                EndBlock();
                branches.Add((condition, Body()));
            }
            else if (Word("else"))
            {
                EndBlock();
                otherwise = Body();
            }
            else break;
        }
        Close("endif");
        return new If(branches, otherwise, line);
    }

    For ForStatement(int line)
    {
        var names = Names();
        if (!Word("in")) throw Unknown();
        var over = Or(); // not a whole expression: an "if" filters
        Node? where = Word("if") ? Expression() : null;
        EndBlock();
        var body = Body();
        List<Node> otherwise = [];
        if (Word("else"))
        {
            EndBlock();
            otherwise = Body();
        }
        Close("endfor");
        return new For(names, over, where, body, otherwise, line);
    }

    Set SetStatement(int line)
    {
        var names = Names();
        string? attribute = Symbol(".") ? Name() : null;
        if (Symbol("="))
        {
            var value = Tuple();
            EndBlock();
            return new Set(names, attribute, value, [], line);
        }
        EndBlock();
        var body = Body();
        Close("endset");
        return new Set(names, attribute, null, body, line);
    }

    Macro MacroStatement(int line)
    {
        string name = Name();
        var parameters = new List<(string, Node?)>();
        Require("(");
        while (!Symbol(")"))
        {
            string parameter = Name();
            parameters.Add((parameter, Symbol("=") ? Expression() : null));
            if (Current.Value != ")") Require(",");
        }
        EndBlock();
        var body = Body();
        Close("endmacro");
        return new Macro(name, parameters, body, line);
    }

    Node Tuple()
    {
        int line = Current.Line;
        var first = Expression();
        if (Current is not { Kind: TokenKind.Operator, Value: "," }) return first;
        var items = new List<Node> { first };
        while (Symbol(",")) items.Add(Expression());
        return new ListOf(items, line);
    }

    Node Expression()
    {
        Deeper();
        int line = Current.Line;
        var value = Or();
        while (Word("if"))
        {
            var condition = Or();
            value = new Choice(condition, value, Word("else") ? Expression() : null, line);
        }
        depth--;
        return value;
    }

    Node Or() => Chain(And, "or");

    Node And() => Chain(Not, "and");

    Node Not()
    {
        int line = Current.Line;
        if (!Word("not")) return Comparison();
        Deeper();
        var of = Not();
        depth--;
        return new Unary("not", of, line);
    }

    Node Comparison()
    {
        var left = Concat();
        while (true)
        {
            int line = Current.Line;
            if (Current is { Kind: TokenKind.Operator, Value: "==" or "!=" or "<" or ">" or "<=" or ">=" })
                left = new Binary(tokens[at++].Value, left, Concat(), line);
            else if (Word("in")) left = new Binary("in", left, Concat(), line);
            else if (Current is { Kind: TokenKind.Name, Value: "not" } && tokens[at + 1] is { Kind: TokenKind.Name, Value: "in" })
            {
                at += 2;
                left = new Unary("not", new Binary("in", left, Concat(), line), line);
            }
            else return left;
        }
    }

    Node Concat() => Chain(Sum, "~");

    Node Sum() => Chain(Product, "+", "-");

    Node Product() => Chain(Signed, "*", "/", "//", "%");

    Node Signed()
    {
        int line = Current.Line;
        if (Current is not { Kind: TokenKind.Operator, Value: "-" or "+" }) return Filtered();
        Deeper();
        var signed = new Unary(tokens[at++].Value, Signed(), line);
        depth--;
        return signed;
    }

    Node Chain(Func<Node> operand, params string[] operators)
    {
        var left = operand();
        while (Current.Kind is TokenKind.Operator or TokenKind.Name && operators.Contains(Current.Value))
        {
            var op = tokens[at++];
            left = new Binary(op.Value, left, operand(), op.Line);
        }
        return left;
    }

    Node Filtered()
    {
        var value = Postfix(Primary());
        while (true)
        {
            int line = Current.Line;
            if (Symbol("|"))
            {
                string name = Name();
                Filters.Know(filter: true, name, line);
                var (args, named) = Symbol("(") ? Arguments() : ([], []);
                value = Postfix(new Filter(value, name, args, named, line));
            }
            else if (Word("is"))
            {
                bool negated = Word("not");
                string name = Name();
                Filters.Know(filter: false, name, line);
                List<Node> args = [];
                if (Symbol("(")) args = Arguments().Args;
                else if (Current.Kind is TokenKind.String or TokenKind.Number || Current.Kind == TokenKind.Name && Current.Value is not ("and" or "or" or "not" or "if" or "else" or "in" or "is"))
                    args.Add(Postfix(Primary()));
                value = new Test(value, name, args, negated, line);
            }
            else return value;
        }
    }

    Node Postfix(Node value)
    {
        while (true)
        {
            int line = Current.Line;
            if (Symbol(".")) value = new Member(value, Current.Kind == TokenKind.Number ? tokens[at++].Value : Name(), line);
            else if (Symbol("[")) value = Subscript(value, line);
            else if (Symbol("("))
            {
                var (args, named) = Arguments();
                value = new Invoke(value, args, named, line);
            }
            else return value;
        }
    }

    Node Subscript(Node of, int line)
    {
        Node? from = Current.Value == ":" ? null : Expression(), to = null, step = null;
        if (Symbol("]")) return new Item(of, from!, line);
        Require(":");
        if (Current.Value is not (":" or "]")) to = Expression();
        if (Symbol(":") && Current.Value != "]") step = Expression();
        Require("]");
        return new Slice(of, from, to, step, line);
    }

    (List<Node> Args, List<(string, Node)> Named) Arguments()
    {
        var args = new List<Node>();
        var named = new List<(string, Node)>();
        while (!Symbol(")"))
        {
            if (Current.Kind == TokenKind.Name && tokens[at + 1] is { Kind: TokenKind.Operator, Value: "=" })
            {
                string name = Name();
                at++;
                named.Add((name, Expression()));
            }
            else args.Add(Expression());
            if (Current.Value != ")") Require(",");
        }
        return (args, named);
    }

    Node Primary()
    {
        var token = tokens[at++];
        switch (token.Kind)
        {
            case TokenKind.String:
                string text = token.Value;
                while (Current.Kind == TokenKind.String) text += tokens[at++].Value;
                return new Literal(Text.Template(text), token.Line);
            case TokenKind.Number:
                return new Literal(long.TryParse(token.Value, CultureInfo.InvariantCulture, out long whole) ? (object)whole
                    : double.TryParse(token.Value, CultureInfo.InvariantCulture, out double real) ? real : throw Unknown(token), token.Line);
            case TokenKind.Name:
                return token.Value switch
                {
                    "true" or "True" => new Literal(true, token.Line),
                    "false" or "False" => new Literal(false, token.Line),
                    "none" or "None" => new Literal(null, token.Line),
                    _ => new Variable(token.Value, token.Line),
                };
            case TokenKind.Operator when token.Value == "(":
                if (Symbol(")")) return new ListOf([], token.Line);
                var inner = Tuple();
                Require(")");
                return inner;
            case TokenKind.Operator when token.Value == "[":
                var items = new List<Node>();
                while (!Symbol("]"))
                {
                    items.Add(Expression());
                    if (Current.Value != "]") Require(",");
                }
                return new ListOf(items, token.Line);
            case TokenKind.Operator when token.Value == "{":
                var pairs = new List<(Node, Node)>();
                while (!Symbol("}"))
                {
                    var key = Expression();
                    Require(":");
                    pairs.Add((key, Expression()));
                    if (Current.Value != "}") Require(",");
                }
                return new DictOf(pairs, token.Line);
            default: throw Unknown(token);
        }
    }

    List<string> Names()
    {
        bool parenthesis = Symbol("(");
        var names = new List<string> { Name() };
        while (Symbol(",")) names.Add(Name());
        if (parenthesis) Require(")");
        return names;
    }

    string Name() => Current.Kind == TokenKind.Name ? tokens[at++].Value : throw Unknown();

    bool Word(string word) => Accept(TokenKind.Name, word);

    bool Symbol(string symbol) => Accept(TokenKind.Operator, symbol);

    bool Accept(TokenKind kind, string value)
    {
        if (Current.Kind != kind || Current.Value != value) return false;
        at++;
        return true;
    }

    void Require(string symbol)
    {
        if (!Symbol(symbol)) throw new TesseraException($"chat template, line {Current.Line}: expected '{symbol}', found '{Current.Value}'");
    }

    void Take(TokenKind kind, string shown)
    {
        if (Current.Kind != kind) throw new TesseraException($"chat template, line {Current.Line}: expected '{shown}', found '{Current.Value}'");
        at++;
    }

    void EndBlock() => Take(TokenKind.BlockEnd, "%}");

    void Close(string word)
    {
        if (!Word(word)) throw new TesseraException($"chat template, line {Current.Line}: expected '{word}', found '{Current.Value}'");
        EndBlock();
    }

    void Deeper()
    {
        if (++depth > MaxDepth) throw new TesseraException($"chat template, line {Current.Line}: nested deeper than {MaxDepth}");
    }

    TesseraException Unknown(Token? token = null) =>
        new($"chat template, line {(token ?? Current).Line}: '{(token ?? Current).Value}' is not part of the template language that Tessera runs");
}
