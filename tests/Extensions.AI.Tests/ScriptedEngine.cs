using System.Collections.Concurrent;
using Microsoft.Extensions.AI;
using Tessera.Runtime.Devices.Ledger;
using Tessera.Runtime.Files;
using Tessera.Runtime.Tokens;
using Tessera.Testing;

namespace Tessera.Extensions.AI.Tests;

/// <summary>
/// An engine whose answers a test writes: the trained model's tokenizer and template on a device that computes nothing. Ask it greedily.
/// </summary>
sealed class ScriptedEngine : IDisposable
{
    public static readonly string ModelPath = Path.Combine(Repository.Root, "models/numbers-dense.tessera");

    static readonly Tokenizer tokenizer = LoadTokenizer();
    static readonly int begin = tokenizer.Find("<|im_start|>")!.Value, end = tokenizer.Find("<|im_end|>")!.Value;
    static readonly int[] opening = tokenizer.Encode("<|im_start|>assistant\n", added: true);
    static readonly int[] unthinking = tokenizer.Encode("<think>\n\n</think>\n\n", added: true);
    static readonly ConcurrentDictionary<int, Script> scripts = [];
    static int count;

    static ScriptedEngine() => DeviceCatalog.Register(new DeviceCatalog.Backend("scripted", () => [], index =>
        new LedgerDevice(tokenizer.Count, scripts[index])));

    readonly Func<string, string, string> answer;
    readonly List<string> prompts = [];

    /// <param name="answer">The whole answer to a prompt.</param>
    public ScriptedEngine(Func<string, string> answer) : this((prompt, _) => answer(prompt)) { }

    /// <param name="answer">The whole answer to a prompt, of which this was generated so far; what was generated otherwise ends.</param>
    public ScriptedEngine(Func<string, string, string> answer, int context = 0)
    {
        this.answer = answer;
        int index = Interlocked.Increment(ref count);
        scripts[index] = Next;
        Engine = Engine.Load(ModelPath, new EngineOptions { Device = $"scripted:{index}", Context = context });
        Client = new TesseraChatClient(Engine);
    }

    public Engine Engine { get; }

    public TesseraChatClient Client { get; }

    /// <summary>Different prompts that it was asked so far, in order.</summary>
    public string[] Prompts
    {
        get { lock (prompts) return [.. prompts]; }
    }

    public static ChatOptions Greedy(params AITool[] tools) => new() { Temperature = 0, Tools = tools.Length > 0 ? tools : null };

    int Next(ReadOnlySpan<int> history)
    {
        int turn = history.LastIndexOf(begin), at = turn + opening.Length;
        // The scheduler's guesses are asked about too: they may stand behind the answer's end.
        if (!history[turn..].StartsWith(opening) || history[..turn].LastIndexOf(begin) is var last and >= 0 && history[last..].StartsWith(opening)) return end;
        if (history[at..].StartsWith(unthinking)) at += unthinking.Length;
        string prompt = tokenizer.Decode(history[..at]);
        lock (prompts) if (!prompts.Contains(prompt)) prompts.Add(prompt);
        string generated = tokenizer.Decode(history[at..]), whole = answer(prompt, generated);
        return whole.Length > generated.Length && whole.StartsWith(generated, StringComparison.Ordinal)
            ? tokenizer.Encode(whole[generated.Length..], added: true)[0] : end;
    }

    static Tokenizer LoadTokenizer()
    {
        using var file = TiledFile.Open(ModelPath);
        return Tokenizer.Unpack(file.Span(file.Find("tokenizer")));
    }

    public void Dispose() => Engine.Dispose();
}
