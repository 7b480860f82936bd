using System.Text;
using System.Text.Json;
using Tessera.Runtime.Tokens;
using Tessera.Shaders;
using Tessera.Testing;

namespace Tessera.Scheduling.Tests;

/// <summary>The small trained model behind the door, loaded once for each type and numerics, for the tests of a collection.</summary>
public sealed class TrainedModel : IDisposable
{
    readonly GoldenModel exactFile = new("numbers-dense"), q8File = new("numbers-dense", DType.Q8);

    public TrainedModel()
    {
        Exact = Engine.Load(exactFile.FilePath, new EngineOptions { Device = "host", Numerics = Numerics.Exact });
        Q8 = Engine.Load(q8File.FilePath, new EngineOptions { Device = "host" });
    }

    /// <summary>BF16 weights as they are, F32 activations.</summary>
    public Engine Exact { get; }

    /// <summary>Q8 weights, fast numerics.</summary>
    public Engine Q8 { get; }

    public string Q8Path => q8File.FilePath;

    public static List<JsonElement> Conversations { get; } = [.. JsonDocument.Parse(File.ReadAllText(Repository.Golden(
        "models/numbers-dense/chat.json"))).RootElement.EnumerateArray()];

    public static List<JsonElement> Questions { get; } = [.. File.ReadLines(Repository.Golden("models/numbers-dense/eval.jsonl")).Select(l =>
        JsonDocument.Parse(l).RootElement)];

    public static int[] Ids(JsonElement of) => [.. of.EnumerateArray().Select(i => i.GetInt32())];

    static readonly GenerationOptions greedy = new() { Sampling = SamplingOptions.Greedy };

    /// <summary>Token ids of a greedy answer, without the one that ends it.</summary>
    public static async Task<int[]> Greedy(Engine engine, int[] prompt) => (await Collect(engine.GenerateIds(prompt, greedy))).Ids;

    /// <summary>The share of questions whose greedy answer, without thinking, is the right one.</summary>
    /// <param name="atOnce">Questions that are asked at once.</param>
    public static async Task<double> Accuracy(Engine engine, int atOnce = 8)
    {
        string[] answers = await Answers(engine, atOnce);
        return (double)answers.Where((answer, i) => answer == Questions[i].GetProperty("answer").GetString()).Count() / Questions.Count;
    }

    /// <summary>The greedy answers to all questions, without thinking.</summary>
    public static async Task<string[]> Answers(Engine engine, int atOnce)
    {
        var answers = new string[Questions.Count];
        await Parallel.ForAsync(0, answers.Length, new ParallelOptions { MaxDegreeOfParallelism = atOnce }, async (i, _) =>
        {
            int[] prompt = engine.Tokenizer!.Encode(engine.Template!.Render(ChatMessages.FromJson(Questions[i].GetProperty("messages")),
                new PromptOptions { Thinking = false }));
            answers[i] = engine.Tokenizer.Decode(await Greedy(engine, prompt)).Trim();
        });
        return answers;
    }

    /// <summary>The whole of an answer, thinking and answer apart, and what became of it.</summary>
    public static async Task<(string Thinking, string Answer, GenerationReport Report)> Collect(IAsyncEnumerable<GenerationUpdate> updates)
    {
        StringBuilder thinking = new(), answer = new();
        GenerationReport? report = null;
        await foreach (var update in updates)
        {
            (update.Thinking ? thinking : answer).Append(update.Text);
            report ??= update.Report;
        }
        return (thinking.ToString(), answer.ToString(), report!);
    }

    public static async Task<(int[] Ids, GenerationReport Report)> Collect(IAsyncEnumerable<GeneratedToken> tokens)
    {
        var ids = new List<int>();
        GenerationReport? report = null;
        await foreach (var token in tokens)
            if (token.Report is null) ids.Add(token.Id);
            else report = token.Report;
        return ([.. ids], report!);
    }

    public void Dispose()
    {
        Exact.Dispose();
        Q8.Dispose();
        exactFile.Dispose();
        q8File.Dispose();
    }
}
