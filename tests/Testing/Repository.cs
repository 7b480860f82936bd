namespace Tessera.Testing;

/// <summary>Where the tests' files are.</summary>
public static class Repository
{
    /// <summary>The folder that holds Runtime.sln.</summary>
    public static string Root { get; } = Find();

    /// <summary>A file or folder under tests/Goldens.</summary>
    public static string Golden(string path) => Path.Combine(Root, "tests", "Goldens", path);

    static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Runtime.sln"))) return folder.FullName;
        throw new InvalidOperationException($"Runtime.sln was not found above {AppContext.BaseDirectory}");
    }
}
