using System.Globalization;
using System.Security;
using System.Text;

namespace Tessera.Bench;

/// <summary>Throughput and latency against streams as one picture, SVG: readable in light and dark.</summary>
static class ServePlot
{
    /// <summary>What was measured with so many streams.</summary>
    public readonly record struct Point(int Streams, ServeFigures Figures);

    readonly record struct Line(string Name, string Class, Func<ServeFigures, double?> Value);

    const int Width = 960, Height = 380, Left = 56, Top = 112, PanelWidth = 240, PanelHeight = 210, Pitch = 316;

    // Without variables, which not everything that draws SVG knows.
    const string Style = """
        text { font-family: system-ui, "DejaVu Sans", sans-serif; font-size: 12px; fill: #1f2328 }
        .title { font-size: 17px; font-weight: 600 } .name { font-size: 13px; font-weight: 600 } .soft { fill: #59636e }
        .right { text-anchor: end } .middle { text-anchor: middle }
        .paper { fill: #ffffff } .grid { stroke: #d8dee4 } .axis { stroke: #818b98 }
        polyline { fill: none; stroke-width: 2; stroke-linejoin: round } polyline.b { stroke-dasharray: 5 4 }
        polyline.a { stroke: #0969da } circle.a, text.a { fill: #0969da } polyline.b { stroke: #bc4c00 } circle.b, text.b { fill: #bc4c00 }
        @media (prefers-color-scheme: dark) {
          text { fill: #f0f6fc } .soft { fill: #9198a1 } .paper { fill: #0d1117 } .grid { stroke: #3d444d } .axis { stroke: #656c76 }
          polyline.a { stroke: #4493f8 } circle.a, text.a { fill: #4493f8 } polyline.b { stroke: #f0883e } circle.b, text.b { fill: #f0883e }
        }

        """;

    /// <param name="title">Model, device and date.</param>
    public static string Of(string title, string subtitle, IReadOnlyList<Point> points)
    {
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture,
            $"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{Width}\" height=\"{Height}\" viewBox=\"0 0 {Width} {Height}\" role=\"img\">\n");
        svg.Append(CultureInfo.InvariantCulture, $"<title>{SecurityElement.Escape(title)}</title>\n<style>\n{Style}</style>\n");
        svg.Append(CultureInfo.InvariantCulture, $"<rect class=\"paper\" width=\"{Width}\" height=\"{Height}\" rx=\"6\"/>\n");
        Text(svg, 24, 34, "title", title);
        Text(svg, 24, 56, "soft", subtitle);
        var ordered = points.OrderBy(p => p.Streams).ToArray();
        Panel(svg, 0, "tokens a second, all streams", ordered, [new("", "a", f => f.Tps)]);
        Panel(svg, 1, "ms between tokens", ordered, [new("median answer", "a", f => f.Token.Median), new("99 % of gaps", "b", f => f.Gaps.P99)]);
        Panel(svg, 2, "ms to the first token", ordered, [new("median", "a", f => f.First.Median), new("99 %", "b", f => f.First.P99)]);
        return svg.Append("</svg>\n").ToString();
    }

    static void Panel(StringBuilder svg, int index, string name, Point[] points, Line[] lines)
    {
        double left = Left + index * Pitch, bottom = Top + PanelHeight;
        double max = points.SelectMany(p => lines.Select(l => l.Value(p.Figures) ?? 0)).Max(), step = Step(max);
        double top = Math.Max(step, Math.Ceiling(max / step) * step);
        double first = Math.Log2(points[0].Streams), span = Math.Log2(points[^1].Streams) - first;
        double X(int streams) => left + 14 + (PanelWidth - 28) * (span > 0 ? (Math.Log2(streams) - first) / span : 0.5);
        double Y(double value) => bottom - PanelHeight * value / top;
        Text(svg, left - 32, Top - 22, "name", name);
        double after = left + PanelWidth;
        foreach (var line in lines.Reverse().Where(l => l.Name.Length > 0))
        {
            Text(svg, after, Top - 5, $"{line.Class} right", line.Name);
            after -= 7 * line.Name.Length + 14;
        }
        for (double value = 0; value <= top * 1.001; value += step)
        {
            Rule(svg, value == 0 ? "axis" : "grid", left, Y(value), left + PanelWidth, Y(value));
            Text(svg, left - 6, Y(value) + 4, "soft right", value.ToString("#,0.##", CultureInfo.InvariantCulture));
        }
        foreach (var point in points)
        {
            Rule(svg, "axis", X(point.Streams), bottom, X(point.Streams), bottom + 4);
            Text(svg, X(point.Streams), bottom + 18, "soft middle", point.Streams.ToString(CultureInfo.InvariantCulture));
        }
        Text(svg, left + PanelWidth / 2.0, bottom + 38, "soft middle", "streams");
        foreach (var line in lines)
        {
            var known = points.Where(p => line.Value(p.Figures) is not null).Select(p => (X: X(p.Streams), Y: Y(line.Value(p.Figures)!.Value))).ToArray();
            svg.Append(CultureInfo.InvariantCulture, $"<polyline class=\"{line.Class}\" points=\"");
            svg.AppendJoin(' ', known.Select(p => string.Create(CultureInfo.InvariantCulture, $"{p.X:F1},{p.Y:F1}"))).Append("\"/>\n");
            foreach (var (x, y) in known) svg.Append(CultureInfo.InvariantCulture, $"<circle class=\"{line.Class}\" cx=\"{x:F1}\" cy=\"{y:F1}\" r=\"3\"/>\n");
        }
    }

    /// <summary>Between two lines of the grid: 1, 2 or 5 of a power of ten, so that there are three to six.</summary>
    static double Step(double max)
    {
        if (max <= 0) return 1;
        double power = Math.Pow(10, Math.Floor(Math.Log10(max / 3)));
        double share = max / 3 / power;
        return power * (share >= 5 ? 5 : share >= 2 ? 2 : 1);
    }

    static void Text(StringBuilder svg, double x, double y, string kind, string text) => svg.Append(CultureInfo.InvariantCulture,
        $"<text class=\"{kind}\" x=\"{x:F1}\" y=\"{y:F1}\">{SecurityElement.Escape(text)}</text>\n");

    static void Rule(StringBuilder svg, string kind, double x1, double y1, double x2, double y2) => svg.Append(CultureInfo.InvariantCulture,
        $"<line class=\"{kind}\" x1=\"{x1:F1}\" y1=\"{y1:F1}\" x2=\"{x2:F1}\" y2=\"{y2:F1}\"/>\n");
}
