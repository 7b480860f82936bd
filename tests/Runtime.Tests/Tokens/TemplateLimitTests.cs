using Tessera.Runtime.Tokens;
using Tessera.Runtime.Tokens.Jinja;
using Xunit;

namespace Tessera.Runtime.Tests.Tokens;

/// <summary>No template harms the program: work, memory and depth end in one line.</summary>
public class TemplateLimitTests
{
    const long MaxAllocated = 256 << 20;

    static readonly ChatMessage[] messages = [new("user", "Hi")];

    /// <summary>A text of 4M characters, as s.</summary>
    const string Big = "{% set ns = namespace(s='ab') %}{% for i in range(21) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{% set s = ns.s %}";

    /// <summary>A list of 100,000 numbers, as l.</summary>
    const string List = "{% set l = range(100000) | list %}";

    static string Often(string body) => "{% for i in range(100000) %}{% for j in range(100000) %}" + body + "{% endfor %}{% endfor %}";

    /// <summary>Renders on a thread of the default stack, and returns the error. Hangs are told from slowness by minutes.</summary>
    static string Refused(string template, int stack = 1 << 20)
    {
        Exception? error = null;
        long allocated = 0;
        var thread = new Thread(() =>
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            try { new ChatTemplate(template).Render(messages, new PromptOptions()); }
            catch (Exception e) { error = e; }
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        }, stack);
        thread.Start();
        Assert.True(thread.Join(TimeSpan.FromMinutes(2)), "hangs");
        Assert.True(allocated < MaxAllocated, $"{allocated >> 20} MiB were allocated by {template[^Math.Min(template.Length, 200)..]}");
        string message = Assert.IsType<TesseraException>(error).Message;
        Assert.StartsWith("chat template", message);
        Assert.False(message.Contains('\n'));
        return message;
    }

    static readonly string[] ofLists =
    [
        "{{ l | unique | list | length }}", "{{ l | select('in', l) | list | length }}", "{{ -1 in l }}", "{{ l == l | list }}", "{{ l | sort | length }}",
        "{{ l | map('string') | list | length }}", "{{ l | tojson | length }}", "{% set x = l + l %}",
        "{{ l | sort(attribute='a.b') }}", "{{ l | max }}", "{{ l | sum }}", "{% set x = l * 2 %}", "{% set x = l[::2] %}", "{{ l | groupby('x') | length }}",
        "{{ l | batch(3) | list | length }}", "{{ l | join | length }}", "{{ l | reverse | first }}", "{{ l.index(-1) }}", "{{ l.count(1) }}",
        "{% set x = dict([['a', l]] * 100000) %}", "{% set x = l.append(i ~ l) %}", "{{ l | string | length }}", "{% for x in l if false %}{% endfor %}",
    ];

    static readonly string[] ofTexts =
    [
        "{{ s.find('abb') }}", "{{ (s[:1000000] ~ 'x') in s }}", "{{ s == s[:-1] ~ 'x' }}", "{{ s is upper }}", "{{ s | first }}",
        "{{ s.strip('ab') | length }}",
        "{{ s.replace('a', '') | length }}", "{{ s | tojson | length }}", "{{ s ~ i }}",
        "{{ s.find('abababababababababababababb') }}", "{{ s is lower }}", "{{ s | list | first }}", "{{ s | last }}", "{{ s[i] }}", "{{ s[::-1] | length }}",
        "{{ s.split('a') | length }}", "{{ s.split() | length }}", "{{ s.rsplit('abababababb', 1000) | length }}", "{{ s.splitlines() | length }}",
        "{{ s.count('a') }}",
        "{{ s.rfind('b') }}", "{{ s.rfind('ababababababababababababa') }}", "{{ s.replace('', 'x') | length }}", "{{ s | upper | length }}",
        "{{ s | title | length }}",
        "{{ s.title() | length }}", "{{ s.isalpha() }}", "{{ s | wordcount }}", "{{ s | int }}", "{{ s | float }}", "{{ s | indent | length }}",
        "{{ s | truncate(3000000) | length }}", "{{ s.partition('b') | length }}", "{{ s.startswith(s) }}", "{{ [s] | string | length }}",
        "{{ [s, s] | join | length }}",
        "{{ s + s }}", "{{ s * 3 }}", "{% set x %}{{ s }}a{% endset %}", "{{ s }}", "{% set x = {s: 1} %}", "{{ {}[s] }}", "{{ s < s }}",
        "{{ ([s] * 9) | sort | length }}",
        "{{ strftime_now(s) | length }}", "{{ '%s%s' | format(s, s) | length }}", "{{ s | center(9000000) | length }}",
        "{% filter upper %}{{ s }}{% endfilter %}",
    ];

    static readonly string[] ofSmall =
    [
        "", "a", "{{ none }}", "{% set x = i * j + 1 %}", "{{ 1.2345 | round(2) }}", "{% set x = (1.1 * i) | string %}", "{{ loop.cycle(1, 2, 3) }}",
        "{% set x = {'a': i, 'b': [j]} %}",
        "{{ zz }}", "{% set x = strftime_now('%c') %}", "{{ ('a' ~ i) | upper | trim | replace('a', 'b') }}",
    ];

    static readonly string[] whole =
    [
        Big + "{% set l = [] %}" + Often("{{ l.append(s ~ i) }}"), Big + "{{ ([s] * 100) | tojson }}", "{{ range(1000000) | unique }}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l | tojson }}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
        "{{ 'a' | indent(9000000000) }}", "{{ 'a' | center(9000000000) }}", "{{ 'a'.zfill(9000000000) }}", "{{ 'a' * 9223372036854775807 }}",
        "{{ [1] * 9223372036854775807 }}",
        "{{ [[[1]]] | tojson(indent=900000000) }}", "{{ [1] | batch(9000000000000, 1) | list }}", "{{ [1] | slice(9000000000000) | list }}",
        "{{ ('%9999s' * 10000) % (('a',) * 10000) }}", Big + List + "{{ l | tojson(separators=(s, s)) }}",
        "{% set s = namespace(s='%c%c') %}{% for i in range(20) %}{% set s.s = s.s ~ s.s %}{% endfor %}{{ strftime_now(s.s) }}",
        "{% set ns = namespace(d={}) %}{% for i in range(100000) %}{% set ns.d = dict(ns.d, **{'a' ~ i: i}) %}{% endfor %}",
    ];

    static IEnumerable<string> All => [.. ofLists.Select(body => List + Often(body)), .. ofTexts.Select(body => Big + Often(body)), .. ofSmall.Select(Often),
        .. whole];

    [Fact]
    public void Work_and_memory_are_metered()
    {
        foreach (string template in ofLists[..8].Select(body => List + Often(body)).Concat(ofTexts[..9].Select(body => Big + Often(body)))
            .Concat(whole[..4])) Refused(template);
    }

    [Fact, Trait("set", "all")]
    public void Work_and_memory_of_every_operation_are_metered()
    {
        foreach (string template in All) Refused(template);
    }

    public static TheoryData<string> Deep =>
    [
        "{% macro f(n) %}{% for i in [1] %}{% if true %}{{ f(n) }}{% endif %}{% endfor %}{% endmacro %}{{ f(1) }}",
        "{% macro f(n) %}{% set x %}{{ f(n) }}{% endset %}{% endmacro %}{{ f(1) }}",
        "{% macro f(n) %}{% set x = f(n) %}{% endmacro %}{{ f(1) }}",
        "{% macro f(n) %}{% filter upper %}{{ f(n) }}{% endfilter %}{% endmacro %}{{ f(1) }}",
        "{% macro f(n) %}{% with a = f(n) %}{% endwith %}{% endmacro %}{{ f(1) }}",
        "{% macro g() %}{{ caller() }}{% endmacro %}{% macro f(n) %}{% call g() %}{{ f(n) }}{% endcall %}{% endmacro %}{{ f(1) }}",
        "{% macro f(n=f()) %}{{ n }}{% endmacro %}{{ f() }}",
        "{% macro f(n) %}" + string.Concat(Enumerable.Repeat("{% for i in [1] %}", 40)) + "{{ f(n) }}" + string.Concat(Enumerable.Repeat("{% endfor %}", 40))
        + "{% endmacro %}{{ f(1) }}",
        "{% macro f(n) %}{{ " + new string('(', 60) + "[f(n)][0]" + new string(')', 60) + " }}{% endmacro %}{{ f(1) }}",
        "{% macro f(n) %}{% for i in [1] if f(n) %}{% endfor %}{% endmacro %}{{ f(1) }}",
        "{% set l = [] %}{% set x = l.append(l) %}{% for i in l recursive %}{{ loop(i) }}{% endfor %}",
        "{% set l = [] %}{% set x = l.append(l) %}{{ l }}",
        "{% set l = [] %}{% set x = l.append(l) %}{{ l | tojson }}",
        "{% set l = [] %}{% set x = l.append(l) %}{% set m = [] %}{% set x = m.append(m) %}{{ l == m }}",
        "{% set l = [] %}{% set x = l.append(l) %}{% set m = [] %}{% set x = m.append(m) %}{{ l < m }}",
        Nested("[", "]"), Nested("{1:", "}"), Nested("a(", ")"), Nested("(", ")"), Nested("a[", "]"), Nested("not ", ""), Nested("-", ""),
        "{{ 1 " + string.Concat(Enumerable.Repeat("if 1 else 1 ", 9000)) + "}}", "{{ 1 " + string.Concat(Enumerable.Repeat("| d ", 9000)) + "}}", "{{ a"
        + string.Concat(Enumerable.Repeat(".b", 9000)) + " }}",
        "{{ a" + string.Concat(Enumerable.Repeat("[0]", 9000)) + " }}", "{{ 1 " + string.Concat(Enumerable.Repeat("if 1 ", 9000)) + "}}", "{% for "
        + new string('(', 9000) + "a" + new string(')', 9000) + " in b %}{% endfor %}",
        string.Concat(Enumerable.Repeat("{% macro f() %}", 9000)), string.Concat(Enumerable.Repeat("{% filter upper %}", 9000)),
        string.Concat(Enumerable.Repeat("{% call f() %}", 9000)),
    ];

    static string Nested(string open, string close) =>
        "{{ " + string.Concat(Enumerable.Repeat(open, 9000)) + "1" + string.Concat(Enumerable.Repeat(close, 9000)) + " }}";

    [Theory, MemberData(nameof(Deep), DisableDiscoveryEnumeration = true)]
    public void Depth_is_counted_in_every_node(string template)
    {
        Assert.Contains("nested deeper", Refused(template));
        Assert.Contains("nested deeper", Refused(template, 256 << 10)); // a small stack ends in the same line
    }

    [Theory]
    [InlineData("'' ", 200000)]
    [InlineData("'aaaa'", 170000)]
    [InlineData("1 + ", 100000)]
    [InlineData("'a' ~ ", 100000)]
    [InlineData("x and ", 100000)]
    public void Long_templates_are_no_deep_ones(string part, int times)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        new ChatTemplate("{{ " + string.Concat(Enumerable.Repeat(part, times)) + "1 }}".Replace("1", part.EndsWith(' ') && part.Trim().Length > 2 ? "1" : "''"))
            .Render(messages, new PromptOptions());
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MaxAllocated);
    }

    [Theory]
    [InlineData("[],")]
    [InlineData("a(),")]
    [InlineData("{},")]
    [InlineData("a|d,")]
    [InlineData("(),")]
    public void Parsing_is_bounded(string part)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        string source = "{{ [" + string.Concat(Enumerable.Repeat(part, (1 << 20) / part.Length - 10)) + "] }}";
        Assert.Contains("words and signs", Assert.Throws<TesseraException>(() => new ChatTemplate(source)).Message);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MaxAllocated);
    }

    [Fact]
    public void A_rendering_can_be_cancelled()
    {
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        var template = new ChatTemplate("{% for i in range(100000) %}{{ i }}{% endfor %}");
        var meter = new Meter(stop.Token);
        Assert.Throws<OperationCanceledException>(() => template.Render(messages, new PromptOptions(), meter));
        Assert.True(meter.WorkDone < 200_000, $"{meter.WorkDone} units after it was cancelled");
    }

    [Fact]
    public void A_long_conversation_is_far_from_the_limits()
    {
        var meter = new Meter(default);
        string line = new('x', 4000);
        var turns = Enumerable.Range(0, 1000).Select(i => new ChatMessage(i % 2 == 0 ? "user" : "assistant", line)).ToList(); // 4M characters
        var template = new ChatTemplate("{% for m in messages %}{{ '<|' ~ m.role ~ '|>' }}{{ m.content.split('</think>')[-1].lstrip('\\n') | trim }}" +
            "{% endfor %}");
        Assert.Equal(1000 * 4000 + 500 * (8 + 13), template.Render(turns, new PromptOptions(), meter).Value.Length);
        Assert.InRange(meter.WorkDone, 1, 20_000_000);
        Assert.InRange(meter.BytesAllocated, 1, 100 << 20);
    }
}
