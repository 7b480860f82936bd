namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>Makes nodes of tokens. What the language does not know is an error that names it. This half reads statements.</summary>
sealed partial class Parser(List<Token> tokens)
{
    const int MaxDepth = 100;

    static readonly HashSet<string> closing = ["endif", "else", "elif", "endfor", "endset", "endmacro", "endgeneration", "endcall", "endfilter", "endwith"];

    int at, depth, loops;
    HashSet<string> free = []; // special names that the macro being read uses

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
        Enter();
        var nodes = new List<Node>();
        while (Current.Kind != TokenKind.End)
        {
            var token = tokens[at++];
            if (token.Kind == TokenKind.Text) nodes.Add(new Write(new Literal(Text.Template(token.Value), token.Line), token.Line));
            else if (token.Kind == TokenKind.PrintBegin)
            {
                nodes.Add(new Write(Tuple(), token.Line));
                Take(TokenKind.PrintEnd, "}}");
            }
            else if (Current.Kind == TokenKind.Name && closing.Contains(Current.Value)) break;
            else nodes.Add(Statement());
        }
        depth--;
        return nodes;
    }

    Node Statement()
    {
        var word = tokens[at++];
        switch (word.Value)
        {
            case "if": return IfStatement(word.Line);
            case "for": return ForStatement(word.Line);
            case "set": return SetStatement(word.Line);
            case "macro": return MacroStatement(word.Line);
            case "call": return CallStatement(word.Line);
            case "filter": return FilterStatement(word.Line);
            case "with": return WithStatement(word.Line);
            case "break" or "continue":
                if (loops == 0) throw new TesseraException($"chat template, line {word.Line}: '{word.Value}' outside of a loop");
                EndBlock();
                return new Jump(word.Value == "break", word.Line);
            case "generation": // marks the answer for training; its body is written as it is
                EndBlock();
                return new With([], Closed("endgeneration"), word.Line);
            default: throw Unknown(word);
        }
    }

    If IfStatement(int line)
    {
        var branches = new List<(Node, List<Node>)>();
        List<Node> otherwise = [];
        do
        {
            var condition = Tuple(conditional: false);
            EndBlock();
            branches.Add((condition, Body()));
        }
        while (Word("elif"));
        if (Word("else"))
        {
            EndBlock();
            otherwise = Body();
        }
        Close("endif");
        return new If(branches, otherwise, line);
    }

    For ForStatement(int line)
    {
        var target = Targets(attributes: false);
        if (!Word("in")) throw Unknown();
        var over = Tuple(conditional: false); // an "if" filters
        Node? where = Word("if") ? Expression() : null;
        bool recursive = Word("recursive");
        EndBlock();
        loops++;
        var body = Body();
        loops--;
        List<Node> otherwise = [];
        if (Word("else"))
        {
            EndBlock();
            otherwise = Body();
        }
        Close("endfor");
        return new For(target, over, where, recursive, body, otherwise, line);
    }

    Set SetStatement(int line)
    {
        var target = Targets(attributes: true);
        if (Symbol("="))
        {
            var value = Tuple();
            EndBlock();
            return new Set(target, value, line);
        }
        var captured = new Captured([], line);
        Node made = Piped(captured);
        EndBlock();
        captured.Body.AddRange(Closed("endset"));
        return new Set(target, made, line);
    }

    Node MacroStatement(int line)
    {
        string name = Name();
        return new Set(new Target(name, null, null), new MacroOf(MacroBody(name, "endmacro", line), line), line);
    }

    /// <summary>Parameters, if any are given, and the body.</summary>
    Macro MacroBody(string name, string end, int line, Action? behindParameters = null)
    {
        var parameters = new List<(string, Node?)>();
        if (behindParameters is null ? Required("(") : Symbol("("))
        {
            while (!Symbol(")"))
            {
                string parameter = Name();
                parameters.Add((parameter, Symbol("=") ? Expression() : null));
                if (!At(")")) Require(",");
            }
        }
        behindParameters?.Invoke();
        EndBlock();
        var (outer, outerLoops) = (free, loops);
        (free, loops) = ([], 0);
        var body = Closed(end);
        var macro = new Macro(name, parameters, body, free, line);
        (free, loops) = (outer, outerLoops);
        return macro;
    }

    /// <summary>{% call(x) f(1) %}…{% endcall %}: f gets the body as its caller.</summary>
    Write CallStatement(int line)
    {
        Invoke? call = null;
        var caller = MacroBody("caller", "endcall", line, () => call = Postfix(Primary()) as Invoke ?? throw Unknown());
        call!.Arguments.Named.Add(("caller", new MacroOf(caller, line)));
        return new Write(call, line);
    }

    Write FilterStatement(int line)
    {
        var captured = new Captured([], line);
        var value = Piped(Filtered(captured, Name(), line));
        EndBlock();
        captured.Body.AddRange(Closed("endfilter"));
        return new Write(value, line);
    }

    With WithStatement(int line)
    {
        var assignments = new List<(Target, Node)>();
        while (Current.Kind != TokenKind.BlockEnd)
        {
            if (assignments.Count > 0) Require(",");
            var target = new Target(Name(), null, null);
            Require("=");
            assignments.Add((target, Expression()));
        }
        EndBlock();
        return new With(assignments, Closed("endwith"), line);
    }

    Target Targets(bool attributes)
    {
        int line = Current.Line;
        var parts = new List<Target>();
        bool several = false;
        do
        {
            if (several && !(Current.Kind == TokenKind.Name && Current.Value != "in" || At("("))) break; // a comma may end them
            parts.Add(OneTarget(attributes));
            several |= At(",");
        }
        while (Symbol(","));
        return several ? new Target("", null, parts) : parts[0];
    }

    Target OneTarget(bool attributes)
    {
        if (Symbol("("))
        {
            Enter();
            var inner = Targets(attributes);
            depth--;
            Require(")");
            return inner;
        }
        string name = Name();
        if (name is "true" or "false" or "none" or "True" or "False" or "None")
            throw new TesseraException($"chat template, line {Current.Line}: '{name}' cannot be assigned to");
        return new Target(name, attributes && Symbol(".") ? Name() : null, null);
    }

    List<Node> Closed(string word)
    {
        var body = Body();
        Close(word);
        return body;
    }

    string Name() => Current.Kind == TokenKind.Name ? tokens[at++].Value : throw Unknown();

    bool At(string symbol) => Current.Kind == TokenKind.Operator && Current.Value == symbol;

    bool Word(string word) => Accept(TokenKind.Name, word);

    bool Symbol(string symbol) => Accept(TokenKind.Operator, symbol);

    bool Accept(TokenKind kind, string value)
    {
        if (Current.Kind != kind || Current.Value != value) return false;
        at++;
        return true;
    }

    bool Required(string symbol)
    {
        Require(symbol);
        return true;
    }

    void Require(string symbol)
    {
        if (!Symbol(symbol)) throw Expected(symbol);
    }

    void Take(TokenKind kind, string shown)
    {
        if (Current.Kind != kind) throw Expected(shown);
        at++;
    }

    void EndBlock() => Take(TokenKind.BlockEnd, "%}");

    void Close(string word)
    {
        if (!Word(word)) throw Expected(word);
        EndBlock();
    }

    void Enter()
    {
        if (++depth > MaxDepth || !System.Runtime.CompilerServices.RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw TooDeep();
    }

    TesseraException TooDeep() => new($"chat template, line {Current.Line}: nested deeper than {MaxDepth}");

    TesseraException Expected(string what) => new($"chat template, line {Current.Line}: expected '{what}', found '{Shown(Current)}'");

    TesseraException Unknown(Token? token = null) =>
        new($"chat template, line {(token ?? Current).Line}: '{Shown(token ?? Current)}' is not part of the template language that Tessera runs");

    /// <summary>A token in an error of one line.</summary>
    static string Shown(Token token) => token.Kind == TokenKind.End ? "the end" : token.Value.Length <= 40 ? token.Value.ReplaceLineEndings(" ")
        : token.Value[..40].ReplaceLineEndings(" ") + "…";
}
