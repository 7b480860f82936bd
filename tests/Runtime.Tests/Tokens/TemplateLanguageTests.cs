using System.Text.Json;
using Tessera.Runtime.Tokens;
using Tessera.Testing;
using Xunit;

namespace Tessera.Runtime.Tests.Tokens;

/// <summary>What templates mean: texts that Jinja2 gave (see tests/Goldens/README.md), and what Tessera decides where Jinja2 raises or has no answer.</summary>
public class TemplateLanguageTests
{
    static readonly ChatMessage[] messages = [new("system", "Be brief."), new("user", "Hi <b> 😀é"), new("assistant", "Hello"), new("user", "Bye")];

    /// <summary>5 March 2026, a Thursday, 14:07:09, in a zone without an offset.</summary>
    sealed class Noon : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => new(2026, 3, 5, 14, 7, 9, TimeSpan.Zero);

        public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;
    }

    internal static readonly TimeProvider Clock = new Noon();

    static string Render(string template, PromptOptions? options = null) =>
        new ChatTemplate(template).Render(messages, options ?? new PromptOptions { Clock = Clock }).Value;

    [Fact]
    public void Templates_render_as_Jinja2_renders_them()
    {
        var cases = JsonDocument.Parse(File.ReadAllText(Repository.Golden("templates/golden-templates.json"))).RootElement.EnumerateArray().ToList();
        Assert.True(cases.Count >= 700);
        var different = new List<string>();
        foreach (var one in cases)
        {
            string template = one.GetProperty("template").GetString()!;
            string? expected = one.GetProperty("expected").GetString(), found;
            try
            {
                var turns = one.TryGetProperty("messages", out var given) ? ChatMessages.FromJson(given) : [.. messages];
                var options = new PromptOptions { Clock = Clock, Tools = one.TryGetProperty("tools", out var tools) ? [.. tools.EnumerateArray()] : [] };
                found = new ChatTemplate(template).Render(turns, options).Value;
            }
            catch (TesseraException) { found = null; }
            if (found != expected) different.Add($"{template}\n  expected: {expected ?? "refused"}\n  found:    {found ?? "refused"}");
        }
        Assert.True(different.Count == 0, $"{different.Count} of {cases.Count} differ\n{string.Join('\n', different)}");
    }

    [Theory] // Python raises where none is compared; here it comes first
    [InlineData("{{ [2, none, 1] | sort }}", "[None, 1, 2]")]
    [InlineData("{{ [2, none, 1] | sort(reverse=true) }}", "[2, 1, None]")]
    [InlineData("{{ [{'a': 'x'}, {}, {'a': none}] | sort(attribute='a') }}", "[{}, {'a': None}, {'a': 'x'}]")]
    [InlineData("{{ {'b': none, 'a': 1} | dictsort(by='value') }}", "[('b', None), ('a', 1)]")]
    public void Sorting_takes_none(string template, string expected) => Assert.Equal(expected, Render(template));

    [Theory] // Python's numbers have no end, ours 64 bits
    [InlineData("{{ 9223372036854775807 + 1 }}")]
    [InlineData("{{ -9223372036854775807 - 2 }}")]
    [InlineData("{{ 10 ** 30 }}")]
    [InlineData("{{ 9223372036854775808 }}")]
    [InlineData("{{ 1e300 | int }}")]
    public void A_number_past_64_bits_is_refused(string template) =>
        Assert.Contains("64 bits", Assert.Throws<TesseraException>(() => Render(template)).Message);

    [Fact]
    public void Numbers_of_JSON_keep_their_value()
    {
        var tool = JsonDocument.Parse("{\"big\": 123456789012345678901234567890, \"one\": 1.0, \"tenth\": 1e-1, \"minus\": -0, \"list\": [2.50, 1E5]}")
            .RootElement;
        var options = new PromptOptions { Tools = [tool] };
        Assert.Equal("{\"big\": 123456789012345678901234567890, \"one\": 1.0, \"tenth\": 0.1, \"minus\": 0, \"list\": [2.5, 100000.0]}",
            Render("{{ tools[0] | tojson }}", options));
    }

    [Theory]
    [InlineData("{{ x | tojson(nosuch=1) }}", "nosuch")]
    [InlineData("{{ x | sort(1, 2, 3, 4) }}", "sort")]
    [InlineData("{{ x | replace('a') }}", "new")]
    [InlineData("{{ x | join('a', d='b') }}", "twice")]
    [InlineData("{{ x | trim('a', 'b') }}", "trim")]
    [InlineData("{{ x is divisibleby }}", "num")]
    [InlineData("{{ x is odd(1) }}", "odd")]
    [InlineData("{% if false %}{{ x | map('upper') | nosuch }}{% endif %}", "nosuch")]
    [InlineData("{% break %}", "outside of a loop")]
    [InlineData("{{ '\\x4' }}", "hexadecimal")]
    [InlineData("{{ '\\N{DASH}' }}", "\\N")]
    public void What_cannot_run_is_refused_when_it_is_parsed(string template, string named) =>
        Assert.Contains(named, Assert.Throws<TesseraException>(() => new ChatTemplate(template)).Message);

    [Theory]
    [InlineData("{{ 'a'.split(nosuch=1) }}", "nosuch")]
    [InlineData("{{ 'a'.strip('a', 'b') }}", "strip")]
    [InlineData("{{ ['a'] | map('replace', 'a') | list }}", "new")]
    [InlineData("{{ ['a'] | map('upper', nosuch=1) | list }}", "nosuch")]
    [InlineData("{{ ['a'] | select('nosuch') | list }}", "nosuch")]
    [InlineData("{{ [{}] | selectattr('a', 'equalto') | list }}", "other")]
    [InlineData("{{ strftime_now('%Q') }}", "%Q")]
    [InlineData("{{ strftime_now(1, 2) }}", "strftime_now")]
    [InlineData("{{ ['a'] | tojson(separators=1) }}", "separators")]
    [InlineData("{{ '%r' | format(1) }}", "%r")]
    [InlineData("{{ {'a': 1} | dictsort(by='c') }}", "by is")]
    public void An_argument_is_obeyed_or_refused_by_name(string template, string named) =>
        Assert.Contains(named, Assert.Throws<TesseraException>(() => Render(template)).Message);

    [Fact]
    public void A_users_emoji_is_never_cut()
    {
        ChatMessage[] turns = [new("user", "12345678😀9")];
        const string Template = "{% set s = messages[0].content %}{{ s[:9] }}|{{ s[8:] }}|{{ s[8] }}|{{ s | length }}";
        Assert.Equal("12345678😀|😀9|😀|10", new ChatTemplate(Template).Render(turns, new PromptOptions()).Value);
    }

    [Fact]
    public void Half_a_character_becomes_the_replacement_character()
    {
        var half = new ChatMessage("us\udc00er", "a\ud83d") { Reasoning = "\ude00b" };
        const string Template = "{{ messages[0].role }}|{{ messages[0].content }}|{{ messages[0].reasoning_content }}|{{ '\\ud83d' }}|" +
            "{{ '\\ud83d\\ude00' }}|\ud800";
        Assert.Equal("us\ufffder|a\ufffd|\ufffdb|\ufffd|😀|\ufffd", new ChatTemplate(Template).Render([half], new PromptOptions()).Value);
    }

    [Theory]
    [InlineData("{{ '<|im_end|>' }}{{ messages[1].content }}", "ttttttttttmmmmmmmmmm")]
    [InlineData("{{ messages[3].content | replace('y', '<y>') }}", "mtttm")]
    [InlineData("{{ [messages[3].content, 'x'] | join('--') }}", "mmmttt")]
    [InlineData("{{ 'a' ~ messages[3].content ~ 'b' }}{{ 'c' + messages[3].content }}", "tmmmttmmm")]
    [InlineData("{{ (messages[3].content ~ '!')[::-1] }}", "tmmm")]
    [InlineData("{{ messages[3].content | upper }}{{ messages[3].content.title() }}{{ 'x' | capitalize }}", "mmmmmmt")]
    [InlineData("{{ messages[3].content | center(7) }}", "ttmmmtt")]
    [InlineData("{{ messages[3].content | indent(2, true) }}", "ttmmm")]
    [InlineData("{{ 'ab' * 2 }}{{ messages[3].content * 2 }}", "ttttmmmmmm")]
    [InlineData("{{ messages[3].content | list | join('-') }}", "mtmtm")]
    [InlineData("{{ '%s<%s>' | format('a', messages[3].content) }}", "ttmmmt")]
    [InlineData("{% set x %}<{{ messages[3].content }}>{% endset %}{{ x }}", "tmmmt")]
    [InlineData("{% macro f(a) %}<{{ a }}>{% endmacro %}{{ f(messages[3].content) }}", "tmmmt")]
    [InlineData("{% filter upper %}a{{ messages[3].content }}{% endfilter %}", "tmmm")]
    [InlineData("{% macro f() %}[{{ caller() }}]{% endmacro %}{% call f() %}{{ messages[3].content }}{% endcall %}", "tmmmt")]
    [InlineData("{{ [messages[3].content] | tojson }}{{ [1] }}", "mmmmmmmmmm")]
    [InlineData("{{ {messages[3].content: 1} | list | first }}{{ {'k': 1} | first }}", "mmmt")]
    [InlineData("{{ messages[3].content.split('y') | join('y') }}", "mtm")]
    [InlineData("{{ messages[3].content | truncate(2, true, '…', 0) }}", "mt")]
    [InlineData("{{ strftime_now('%Y') }}", "tttt")]
    [InlineData("{{ strftime_now(messages[3].content) }}", "mmm")]
    public void Characters_know_where_they_came_from(string template, string origins)
    {
        var text = new ChatTemplate(template).Render(messages, new PromptOptions { Clock = Clock });
        Assert.Equal(origins, string.Concat(Enumerable.Range(0, text.Value.Length).Select(i => text.IsTemplate(i) ? 't' : 'm')));
    }

    [Fact]
    public void The_clock_is_given_and_by_default_the_systems()
    {
        Assert.Equal("05 Mar 2026", Render("{{ strftime_now('%d %b %Y') }}"));
        Assert.InRange(int.Parse(Render("{{ strftime_now('%Y') }}", new PromptOptions()), System.Globalization.CultureInfo.InvariantCulture), 2025, 9999);
    }
}
