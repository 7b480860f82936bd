using System.Text;
using System.Text.Json;
using Tessera.Runtime.Models;
using Tessera.Runtime.Sampling;
using Tessera.Runtime.Tests.Models;
using Tessera.Runtime.Tokens;
using Tessera.Shaders;
using Tessera.Testing;

namespace Tessera.Runtime.Tests;

/// <summary>The small trained model, loaded once for each type and numerics, for the tests of a collection.</summary>
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

    /// <summary>Token ids of a greedy answer, without the one that ends it.</summary>
    public static int[] Greedy(Engine engine, int[] prompt)
    {
        var generation = engine.Start(prompt, SamplingOptions.Greedy);
        var ids = new List<int>();
        while (generation.Next() is { } id) ids.Add(id);
        return [.. ids];
    }

    /// <summary>The share of questions whose greedy answer, without thinking, is the right one.</summary>
    public static double Accuracy(Engine engine)
    {
        int right = 0;
        foreach (var question in Questions)
        {
            int[] prompt = engine.Tokenizer!.Encode(engine.Template!.Render(ChatMessages.FromJson(question.GetProperty("messages")),
                new PromptOptions { Thinking = false }));
            if (engine.Tokenizer.Decode(Greedy(engine, prompt)).Trim() == question.GetProperty("answer").GetString()) right++;
        }
        return (double)right / Questions.Count;
    }

    /// <summary>The whole of an answer, thinking and answer apart.</summary>
    public static async Task<(string Thinking, string Answer)> Collect(IAsyncEnumerable<GenerationUpdate> updates)
    {
        StringBuilder thinking = new(), answer = new();
        await foreach (var update in updates) (update.Thinking ? thinking : answer).Append(update.Text);
        return (thinking.ToString(), answer.ToString());
    }

    public void Dispose()
    {
        Exact.Dispose();
        Q8.Dispose();
        exactFile.Dispose();
        q8File.Dispose();
    }
}
