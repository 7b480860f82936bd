using Tessera.Runtime.Tokens;
using Xunit;

namespace Tessera.Runtime.Tests.Tokens;

/// <summary>The template language: what it says, what it refuses by name, and that no template can harm the program.</summary>
public class ChatTemplateTests
{
    static readonly ChatMessage[] messages = [new("system", "Be brief."), new("user", "Hi <b>"), new("assistant", "Hello"), new("user", "Bye")];

    static string Render(string template) => new ChatTemplate(template).Render(messages, new PromptOptions()).Value;

    [Theory]
    [InlineData("{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 * 3 - 1 }}", "3 -4 2 3.5 5")]
    [InlineData("{{ messages[1:3] | map(attribute='role') | join(', ') }}", "user, assistant")]
    [InlineData("{{ messages[::-1][0].content }}", "Bye")]
    [InlineData("{{ messages | selectattr('role', 'equalto', 'user') | list | length }}", "2")]
    [InlineData("{% for m in messages if m.role == 'user' %}{{ loop.index }}{{ m.content }}{% if not loop.last %};{% endif %}{% endfor %}", "1Hi <b>;2Bye")]
    [InlineData("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "4")]
    [InlineData("{% macro f(a, b='x') %}[{{ a }}{{ b }}]{% endmacro %}{{ f(1) }}{{ f(2, b='y') }}", "[1x][2y]")]
    [InlineData("{{ 'a,b,c'.split(',')[-1] }}{{ '  x '.strip() }}{{ 'abc'[1] }}{{ 'x' if none else 'y' }}", "cxby")]
    [InlineData("{{ {'a': [1, true, none], 'b': 'é\"'} | tojson }}", "{\"a\": [1, true, null], \"b\": \"é\\\"\"}")]
    [InlineData("{{ nothing is defined }} {{ messages is iterable }} {{ 3 is odd }} {{ 'a' in 'cat' }} {{ 5 not in [1, 2] }}", "False True True True True")]
    [InlineData("a\n  {%- if true -%}\n b \n{%- endif %}\nc", "abc")]
    [InlineData("{# gone #}kept", "kept")]
    [InlineData("{% for i in range(3) %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}{% for i in [] %}{% else %}none{% endfor %}", "02none")]
    public void What_a_template_says(string template, string expected) => Assert.Equal(expected, Render(template));

    [Theory]
    [InlineData("{% include 'x' %}", "include")]
    [InlineData("{% extends 'x' %}", "extends")]
    [InlineData("{% raw %}{{ x }}{% endraw %}", "raw")]
    [InlineData("{{ x | nosuch }}", "nosuch")]
    [InlineData("{{ x is nosuch }}", "nosuch")]
    [InlineData("{{ nosuch(1) }}", "nosuch")]
    [InlineData("{{ 'x'.nosuch() }}", "nosuch")]
    [InlineData("{{ messages.__class__.mro() }}", "mro")]
    [InlineData("{{ raise_exception('the model says no') }}", "the model says no")]
    [InlineData("{{ x.y.z }}", "undefined")]
    [InlineData("{% if true %}", "endif")]
    [InlineData("{{ 'open", "line 1")]
    [InlineData("{{ 1 / 0 }}", "division by zero")]
    [InlineData("{{ 'a'.replace('a') }}", "replace")]
    [InlineData("{{ [1, 'a'] | sort }}", "no order")]
    public void What_it_does_not_know_is_named(string template, string construct)
    {
        string message = Assert.Throws<TesseraException>(() => Render(template)).Message;
        Assert.Contains(construct, message);
        Assert.StartsWith("chat template", message);
    }

    [Theory]
    [InlineData("{% for i in range(1000000) %}{% for j in range(1000000) %}{% endfor %}{% endfor %}")]
    [InlineData("{{ range(0, 9223372036854775807, 4611686018427387904) }}")]
    [InlineData("{{ range(1, 2, 0) }}")]
    [InlineData("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}")]
    [InlineData("{% set ns = namespace(s='aaaaaaaaaaaaaaaa') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}")]
    [InlineData("{% set ns = namespace(s='aaaaaaaaaaaaaaaa') %}{% for i in range(60) %}{% set ns.s = ns.s.replace('a', ns.s) %}{% endfor %}")]
    [InlineData("{% set a = [] %}{% set x = a.append(a) %}{% set b = [] %}{% set x = b.append(b) %}{{ a == b }}")]
    [InlineData("{% set a = namespace() %}{% set a.x = a %}{{ a | tojson }}")]
    [InlineData("{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l, ns.l, ns.l] %}{% endfor %}{{ ns.l | tojson }}")]
    [InlineData("{% set ns = namespace(l=[1], m=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% set ns.m = [ns.m, ns.m] %}{% endfor %}{{ " +
        "ns.l == ns.m }}")]
    public void A_template_cannot_run_away(string template) => Assert.Throws<TesseraException>(() => Render(template));

    [Theory, InlineData("{{ ", "(", "1", ")"), InlineData("{{ ", "[", "1", "]"), InlineData("{{ ", "not ", "1", ""), InlineData("{{ ", "-", "1", ""),
    InlineData("", "{% if true %}", "", "{% endif %}")]
    public void Nesting_is_bounded(string before, string open, string middle, string close)
    {
        string template = before + string.Concat(Enumerable.Repeat(open, 30000)) + middle + string.Concat(Enumerable.Repeat(close, 30000))
            + (before.Length > 0 ? " }}" : "");
        Assert.Contains("nested deeper", Assert.Throws<TesseraException>(() => Render(template)).Message);
    }

    [Fact]
    public void A_template_sees_who_speaks_and_which_call_is_answered()
    {
        using var json = System.Text.Json.JsonDocument.Parse("""
            [{"role":"tool","name":"f","tool_call_id":"c1","content":"4"},{"role":"user","content":"x"}]
            """);
        var read = ChatMessages.FromJson(json.RootElement);
        const string Template = "{% for m in messages %}{{ m.name is defined }} {{ m.name or '' }} {{ m.tool_call_id or '' }};{% endfor %}";
        Assert.Equal("True f c1;False  ;", new ChatTemplate(Template).Render(read, new PromptOptions()).Value);
    }

    [Fact]
    public void Characters_know_where_they_came_from()
    {
        var text = new ChatTemplate("<{{ messages[0].content | upper | trim }}>{{ '!' }}").Render(messages, new PromptOptions());
        Assert.Equal("<BE BRIEF.>!", text.Value);
        Assert.Equal("tmmmmmmmmmtt", string.Concat(Enumerable.Range(0, text.Value.Length).Select(i => text.IsTemplate(i) ? 't' : 'm')));
    }
}
