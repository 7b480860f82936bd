namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>The parsed template. Statements write, expressions have a value.</summary>
abstract record Node(int Line);

sealed record Literal(object? Value, int Line) : Node(Line);
sealed record Variable(string Name, int Line) : Node(Line);
sealed record ListOf(List<Node> Items, int Line) : Node(Line);
sealed record DictOf(List<(Node Key, Node Value)> Items, int Line) : Node(Line);
sealed record Member(Node Of, string Name, int Line) : Node(Line);
sealed record Item(Node Of, Node Key, int Line) : Node(Line);
sealed record Slice(Node Of, Node? From, Node? To, Node? Step, int Line) : Node(Line);
sealed record Invoke(Node Callee, List<Node> Args, List<(string Name, Node Value)> Named, int Line) : Node(Line);
sealed record Filter(Node Of, string Name, List<Node> Args, List<(string Name, Node Value)> Named, int Line) : Node(Line);
sealed record Test(Node Of, string Name, List<Node> Args, bool Negated, int Line) : Node(Line);
sealed record Unary(string Operator, Node Of, int Line) : Node(Line);
sealed record Binary(string Operator, Node Left, Node Right, int Line) : Node(Line);
sealed record Choice(Node Condition, Node Then, Node? Else, int Line) : Node(Line);

sealed record Write(Node Value, int Line) : Node(Line);
sealed record If(List<(Node Condition, List<Node> Body)> Branches, List<Node> Else, int Line) : Node(Line);
sealed record For(List<string> Names, Node Over, Node? Where, List<Node> Body, List<Node> Else, int Line) : Node(Line);
sealed record Set(List<string> Names, string? Attribute, Node? Value, List<Node> Body, int Line) : Node(Line);
sealed record Macro(string Name, List<(string Name, Node? Default)> Parameters, List<Node> Body, int Line) : Node(Line);
sealed record Jump(bool Break, int Line) : Node(Line);
