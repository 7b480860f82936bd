using System.Runtime.CompilerServices;

namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>
/// What a rendering may use: work in units of a few nanoseconds, bytes that it allocates, depth. Every operation charges here before it
/// works or allocates; going past a bound, or a cancelled token, ends the rendering.
/// </summary>
sealed class Meter(CancellationToken stop)
{
    const long MaxWork = 50_000_000, MaxBytes = 128 << 20, CheckEvery = 1 << 16;
    const int MaxDepth = 200, TextBytes = 96, EntryBytes = 112;

    long bytes, work, check;
    int depth;

    /// <summary>Where in the template an error is.</summary>
    public int Line { get; set; } = 1;

    public long WorkDone => work;

    public long BytesAllocated => bytes;

    /// <summary>One node of the template: its value may be a number in a box.</summary>
    public void Step()
    {
        Work(16);
        Bytes(32);
    }

    public void Work(long units)
    {
        if ((work += units) < check) return;
        if (work > MaxWork) throw Wrong("rendering takes too much work: simplify the template or shorten the conversation");
        stop.ThrowIfCancellationRequested();
        check = work + CheckEvery;
    }

    public void Bytes(long count)
    {
        if ((bytes += count) > MaxBytes) throw Wrong($"rendering takes more than {MaxBytes >> 20} MiB: simplify the template or shorten the conversation");
    }

    /// <summary>Elements looked at one by one.</summary>
    public void Elements(long count) => Work(8 * count);

    /// <summary>Characters looked at one by one.</summary>
    public void Characters(long count) => Work(count + 1);

    /// <summary>Characters copied or compared in whole vectors.</summary>
    public void Scanned(long count) => Work(count / 8 + 1);

    /// <summary>A text of so many characters is about to be made: value and origin.</summary>
    public void Text(long characters)
    {
        if (characters > Tokens.Text.MaxCharacters) throw Wrong($"a text grows past {Tokens.Text.MaxCharacters} characters");
        Scanned(characters);
        Bytes(TextBytes + 4 * characters);
    }

    /// <summary>A list of so many elements is about to be made, its elements not counted.</summary>
    public void List(long count)
    {
        Elements(count + 1);
        Bytes(64 + 24 * count);
    }

    /// <summary>So many entries of a mapping are about to be made.</summary>
    public void Entries(long count)
    {
        Elements(4 * count + 1);
        Bytes(160 + EntryBytes * count);
    }

    public void Enter()
    {
        if (++depth > MaxDepth || !RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw Wrong($"nested deeper than {MaxDepth}");
    }

    public void Leave() => depth--;

    public TesseraException Wrong(string what) => new($"chat template, line {Line}: {what}");
}
