using CsCheck;
using Tessera.Runtime.Tokens;
using Tessera.Runtime.Tokens.Jinja;
using Xunit;

namespace Tessera.Runtime.Tests.Tokens;

/// <summary>Random templates, of words and of well-formed expressions: a text or one TesseraException, within the limits.</summary>
public class TemplateFuzzTests
{
    const string Seed = "0N0XIzNsQ0O2";

    static readonly ChatMessage[] messages = [new("system", "Be brief."), new("user", "Hi <b> 😀é"), new("assistant", "Hello"), new("user", "Bye")];

    static readonly string[] words =
    [
        "{{", "}}", "{%", "%}", "{%-", "-%}", "{%+", "+%}", "{#", "#}", " if ", " else ", " elif ", " endif ", " for ", " in ", " endfor ", " set ", " endset ",
        " macro f(", " endmacro ", " call ", " endcall ",
        " filter ", " endfilter ", " with ", " endwith ", " generation ", " endgeneration ", " break ", " continue ", " recursive ", "x", "messages", "m",
        "loop", "caller", "varargs", "kwargs", "f(", ".role", ".content",
        "[0]", "[-1]", "[1:]", "[::-1]", "(", ")", "[", "]", ":", ",", "|", " is ", " not ", " and ", " or ", "tojson", "length", "join", "trim", "replace",
        "default", "map", "select", "selectattr", "sort", "unique",
        "dictsort", "groupby", "batch", "first", "last", "indent", "truncate", "round", "int", "range", "namespace", "strftime_now", "'a'", "\"b\"",
        "'\\u0041'", "'\\ud83d'", "'%s'", "1", "-9223372036854775808",
        "9223372036854775807", "1.5", "1e308", "=", "==", "<", "+", "-", "*", "**", "//", "%", "~", ".split", ".strip", ".get", ".items", ".replace", ".find",
        ".append", " none ", " true ", "defined", "odd", "\n", "text", "{", "}",
    ];

    static readonly string[] values = ["x", "none", "true", "''", "'aB c'", "'héé😀,x'", "' 12\\n3 '", "0", "-1", "7", "2.5", "1e308", "9223372036854775807",
        "[]", "[3, 1, 2]", "['b', none, 1]", "{}", "{'a': 1, 'b': [2]}", "(1, 'a')", "messages",
        "messages[1]", "messages[1].content", "messages | map(attribute='role')", "range(5)", "namespace(a=1)", "range", "loop"];

    static readonly string[] filters = ["abs", "attr", "batch", "capitalize", "center", "count", "default", "dictsort", "first", "float", "format", "groupby",
        "indent", "int", "items", "join", "last", "length", "list", "lower", "map", "max", "min",
        "reject", "rejectattr", "replace", "reverse", "round", "safe", "select", "selectattr", "slice", "sort", "string", "sum", "title", "tojson", "trim",
        "truncate", "unique", "upper", "wordcount"];

    static readonly string[] methods = ["append", "capitalize", "center", "count", "endswith", "find", "get", "index", "isalnum", "isalpha", "isdigit",
        "isspace", "isupper", "items", "join", "keys", "ljust", "lower", "lstrip", "partition", "removeprefix",
        "replace", "rfind", "rindex", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "swapcase", "title", "upper", "values",
        "zfill", "copy"];

    static readonly string[] tests = ["boolean", "callable", "defined", "divisibleby", "eq", "even", "ge", "in", "integer", "iterable", "lower", "lt",
        "mapping", "none", "number", "odd", "sameas", "sequence", "string", "true", "undefined", "upper"];

    static readonly string[] operators = [" + ", " - ", " * ", " / ", " // ", " % ", " ** ", " ~ ", " == ", " < ", " >= ", " in ", " not in ", " and ", " or ",
        " if x else "];

    static readonly string[] named = ["", "", "", "attribute=", "reverse=", "d=", "default=", "width=", "start=", "by=", "indent=", "sep=", "maxsplit=", "*",
        "**"];

    [Fact]
    public void Any_template_runs_or_is_refused() => Words(500);

    [Fact, Trait("set", "all")]
    public void Any_of_many_templates_runs_or_is_refused() => Words(20000);

    [Fact]
    public void Any_expression_runs_or_is_refused() => Expressions(500);

    [Fact, Trait("set", "all")]
    public void Any_of_many_expressions_runs_or_is_refused() => Expressions(20000);

    static void Words(int count) => Gen.Int[0, words.Length - 1].Array[1, 25].Sample(picks =>
    {
        string template = string.Concat(picks.Select(i => words[i]));
        Try(template);
        Try("{{ " + template.Replace("{", "").Replace("}", "") + " }}");
    }, iter: count, seed: Seed, threads: 1);

    static void Expressions(int count) => Gen.Int.Sample(seed =>
    {
        var random = new Random(seed);
        Try("{% set x = " + values[random.Next(values.Length)] + " %}{{ " + Expression(random, 4) + " }}");
    }, iter: count, seed: Seed, threads: 1);

    static string Expression(Random random, int depth)
    {
        string Pick(string[] from) => from[random.Next(from.Length)];
        string Inner() => Expression(random, depth - 1);
        string Arguments() => string.Join(", ", Enumerable.Range(0, random.Next(3))
            .Select(_ => Pick(named) + (random.Next(4) == 0 ? $"'{Pick(random.Next(2) == 0 ? filters : tests)}'" : Inner())));
        return depth <= 0 ? Pick(values) : random.Next(8) switch
        {
            0 => Pick(values),
            1 or 2 => $"({Inner()} | {Pick(filters)}({Arguments()}))",
            3 => $"({Inner()}).{Pick(methods)}({Arguments()})",
            4 => $"({Inner()}{Pick(operators)}{Inner()})",
            5 => $"({Inner()} is {Pick(tests)}({Arguments()}))",
            6 => $"({Inner()})[{(random.Next(3) == 0 ? $"{Inner()}:{Inner()}:{Pick(values)}" : Inner())}]",
            _ => $"[{Inner()}, {{'k': {Inner()}}}]",
        };
    }

    static void Try(string template)
    {
        var meter = new Meter(default);
        long before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            var text = new ChatTemplate(template).Render(messages, new PromptOptions { Clock = TemplateLanguageTests.Clock }, meter);
            Assert.Equal(text.Value, Unicode.Whole(text.Value));
            Assert.Equal(text.Value.Length, text.Origin.Length);
        }
        catch (TesseraException e) { Assert.DoesNotContain('\n', e.Message); }
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(allocated < 4 * meter.BytesAllocated + (1 << 20), $"{template}: {allocated} bytes were allocated, {meter.BytesAllocated} charged");
    }
}
