namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>The parsed template. Statements write, expressions have a value.</summary>
abstract record Node(int Line);

sealed record Literal(object? Value, int Line) : Node(Line);
sealed record Variable(string Name, int Line) : Node(Line);
sealed record ListOf(List<Node> Items, bool Tuple, int Line) : Node(Line);
sealed record DictOf(List<(Node Key, Node Value)> Items, int Line) : Node(Line);
sealed record Member(Node Of, string Name, int Line) : Node(Line);
sealed record Item(Node Of, Node Key, int Line) : Node(Line);
sealed record Slice(Node Of, Node? From, Node? To, Node? Step, int Line) : Node(Line);
sealed record Invoke(Node Callee, CallArguments Arguments, int Line) : Node(Line);
sealed record Filter(Node Of, string Name, CallArguments Arguments, int Line) : Node(Line);
sealed record Test(Node Of, string Name, CallArguments Arguments, bool Negated, int Line) : Node(Line);
sealed record Unary(string Operator, Node Of, int Line) : Node(Line);

/// <summary>Operators of one rank from left to right; a chain of any length is one node deep.</summary>
sealed record Chain(Node First, List<(string Operator, Node Operand)> Rest, int Line) : Node(Line);

/// <summary>a &lt; b &lt; c, as Python reads it: every neighbour pair must hold.</summary>
sealed record Compare(Node First, List<(string Operator, Node Operand)> Rest, int Line) : Node(Line);

sealed record Logic(bool And, List<Node> Operands, int Line) : Node(Line);
sealed record Choice(Node Condition, Node Then, Node? Else, int Line) : Node(Line);

/// <summary>What statements write, as a value.</summary>
sealed record Captured(List<Node> Body, int Line) : Node(Line);

/// <summary>A macro as a value: what a call block passes on as caller.</summary>
sealed record MacroOf(Macro Macro, int Line) : Node(Line);

/// <summary>f(a, b=c, *rest, **keywords)</summary>
sealed record CallArguments(List<Node> Positional, List<(string Name, Node Value)> Named, Node? Rest, Node? Keywords)
{
    public static CallArguments None { get; } = new([], [], null, null);
}

/// <summary>What is assigned to: a name, a namespace's attribute, or several in parentheses.</summary>
sealed record Target(string Name, string? Attribute, List<Target>? Parts);

sealed record Write(Node Value, int Line) : Node(Line);
sealed record If(List<(Node Condition, List<Node> Body)> Branches, List<Node> Else, int Line) : Node(Line);
sealed record For(Target Target, Node Over, Node? Where, bool Recursive, List<Node> Body, List<Node> Else, int Line) : Node(Line);
sealed record Set(Target Target, Node Value, int Line) : Node(Line);
sealed record With(List<(Target Target, Node Value)> Assignments, List<Node> Body, int Line) : Node(Line);
sealed record Jump(bool Break, int Line) : Node(Line);

/// <summary>A macro; <paramref name="Free"/>: the special names (varargs, kwargs, caller) that its body uses and so accepts.</summary>
sealed record Macro(string Name, List<(string Name, Node? Default)> Parameters, List<Node> Body, HashSet<string> Free, int Line) : Node(Line);
