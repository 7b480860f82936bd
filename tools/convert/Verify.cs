using Tessera.Runtime.Files;

namespace Tessera.Convert;

/// <summary>Checks every byte of a tiled file against its hashes, and all that it carries against the folder it was made from.</summary>
static class Verify
{
    const int MaxLines = 50;

    public static int Run(string[] paths, CancellationToken stop)
    {
        using var file = TiledFile.Open(paths[^1]);
        Progress.Run("hashing", file.Bytes, done =>
        {
            foreach (string name in file.Corrupted(done, stop)) throw file.Corrupt(name);
        });
        if (paths.Length == 1)
        {
            Console.WriteLine($"{file.Path}: all {file.Index.Segments.Count} segments match their checksums");
            return 0;
        }
        using var folder = new HfFolder(paths[0]);
        var comparison = new Comparison(file, folder);
        Progress.Run("comparing", folder.Bytes, done => comparison.Run(done, stop));
        foreach (string line in comparison.Differences.Take(MaxLines)) Console.Error.WriteLine(line);
        if (comparison.Differences.Count > MaxLines) Console.Error.WriteLine($"and {comparison.Differences.Count - MaxLines} more");
        if (comparison.Differences.Count > 0) return 1;
        string how = comparison.Worst == 0 ? " exactly" : $", the largest difference is {comparison.Worst:G3} of a step of rounding";
        Console.WriteLine($"{file.Path}: equals {paths[0]}{how}{(file.Index.Name == folder.Name ? "" : $"; its name is {file.Index.Name}")}");
        return 0;
    }
}
