using System.Globalization;
using System.Text.Json;
using Tessera.Testing;
using Xunit;

namespace Tessera.Repo.Tests;

/// <summary>README's figures are those of bench/results: medians of the runs that lie there, and nothing else.</summary>
public class FiguresTests
{
    static readonly string results = Path.Combine(Repository.Root, "bench", "results");

    /// <summary>The rows of README's table: cells by what is measured.</summary>
    static Dictionary<string, string[]> Table()
    {
        string[] lines = File.ReadAllLines(Path.Combine(Repository.Root, "README.md"));
        var rows = new Dictionary<string, string[]>(StringComparer.Ordinal);
        foreach (string line in lines.SkipWhile(l => l != "## Where it stands").Skip(1).TakeWhile(l => !l.StartsWith("## ", StringComparison.Ordinal))
            .Where(l => l.StartsWith('|')).Skip(2))
        {
            string[] cells = [.. line.Trim('|').Split('|').Select(c => c.Trim())];
            rows.Add(cells[0], cells);
        }
        return rows;
    }

    static JsonElement[] Lines(string file) => [.. File.ReadLines(file).Select(l => JsonDocument.Parse(l).RootElement)];

    static decimal Median(IEnumerable<decimal> values)
    {
        decimal[] sorted = [.. values.Order()];
        Assert.NotEmpty(sorted);
        return sorted[sorted.Length / 2];
    }

    static IEnumerable<decimal> Numbers(JsonElement array) => array.EnumerateArray().Select(v => v.GetDecimal());

    /// <summary>A figure as it is written: rounded to its own decimals, of two digits at least.</summary>
    static void Same(decimal measured, string shown)
    {
        int digits = shown.Contains('.') ? shown.Length - shown.IndexOf('.') - 1 : 0;
        Assert.True(shown.Count(char.IsAsciiDigit) >= 2, $"'{shown}' has too few digits");
        Assert.Equal(Math.Round(measured, digits, MidpointRounding.AwayFromZero).ToString($"F{digits}", CultureInfo.InvariantCulture), shown);
    }

    [Fact]
    public void Every_figure_of_the_table_is_a_result()
    {
        var table = Table();
        string readme = File.ReadAllText(Path.Combine(Repository.Root, "README.md"));
        var seen = new HashSet<string>(["a hardware GPU"], StringComparer.Ordinal);
        foreach (string file in Directory.EnumerateFiles(results, "*.jsonl", SearchOption.AllDirectories))
        {
            var lines = Lines(file);
            if (lines[0].TryGetProperty("rows", out var rows)) // ours and a peer's, in turn
            {
                Assert.Contains(lines[0].GetProperty("date").GetString()!, readme);
                foreach (var row in rows.EnumerateObject())
                {
                    decimal Of(bool peer) => Median(lines.Skip(1).Where(l => l.TryGetProperty("peer", out _) == peer).SelectMany(l =>
                        Numbers(l.GetProperty(row.Name))));
                    string[] cells = table[row.Value.GetString()!];
                    Same(Of(peer: false), cells[1]);
                    Same(Of(peer: true), cells[2]);
                    Same(Of(peer: false) / Of(peer: true), cells[3]);
                    Assert.True(seen.Add(cells[0]));
                }
                continue;
            }
            foreach (var line in lines)
            {
                string[] cells = table[line.GetProperty("row").GetString()!];
                if (line.TryGetProperty("values", out var values))
                {
                    Same(Median(Numbers(values)), cells[1]);
                    if (!line.TryGetProperty("peer", out var peer)) Assert.Equal(["", ""], cells[2..]);
                    else
                    {
                        Same(Median(Numbers(peer)), cells[2]);
                        Same(Median(Numbers(values)) / Median(Numbers(peer)), cells[3]);
                    }
                }
                else Assert.Equal(line.GetProperty("shown").GetString(), cells[1]);
                foreach (string field in new[] { "date", "machine", "command" }) Assert.NotEqual("", line.GetProperty(field).GetString());
                Assert.True(seen.Add(cells[0]));
            }
        }
        Assert.Equal(table.Keys.Order(StringComparer.Ordinal), seen.Order(StringComparer.Ordinal));
    }
}
