using System.Diagnostics;
using System.Text;
using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Convert.Tests;

/// <summary>What a conversion takes does not grow with the model: shapes of Qwen3-235B-A22B, in files that hold nothing and take no space.</summary>
public sealed class MemoryTests : IDisposable
{
    const int Hidden = 4096, Layers = 94, Experts = 128, ExpertFfn = 1536, Vocabulary = 151936, Q = 64 * 128, Kv = 4 * 128;

    readonly HfMaker maker = new();

    public void Dispose() => maker.Dispose();

    /// <summary>All tensors of so many layers with their shapes, and the names of the others, empty.</summary>
    void Save(int layers)
    {
        maker.WithExperts(Experts, 8, equal: true);
        foreach (var (key, value) in new (string, int)[]
            {
                ("hidden_size", Hidden), ("num_hidden_layers", layers), ("num_attention_heads", 64), ("num_key_value_heads", 4), ("head_dim", 128),
                ("vocab_size", Vocabulary),
                ("intermediate_size", 12288), ("moe_intermediate_size", ExpertFfn), ("decoder_sparse_step", 1), ("max_position_embeddings", 40960),
            }) maker.Config[key] = value;
        File.WriteAllText(Path.Combine(maker.Folder, "config.json"), maker.Config.ToJsonString());
        var header = new StringBuilder("{");
        long at = 0;
        void Add(bool real, string name, params int[] shape)
        {
            if (!real) shape = [0, .. shape];
            long end = at + shape.Aggregate(2L, (a, b) => a * b);
            header.Append(header.Length > 1 ? "," : "")
                .Append($"\"{name}\":{{\"dtype\":\"BF16\",\"shape\":[{string.Join(',', shape)}],\"data_offsets\":[{at},{end}]}}");
            at = end;
        }
        Add(true, "model.embed_tokens.weight", Vocabulary, Hidden);
        for (int i = 0; i < Layers; i++)
        {
            string layer = $"model.layers.{i}.", attention = layer + "self_attn.", mlp = layer + "mlp.";
            bool real = i < layers;
            Add(real, layer + "input_layernorm.weight", Hidden);
            foreach (var (part, rows) in new[] { ("q", Q), ("k", Kv), ("v", Kv) }) Add(real, $"{attention}{part}_proj.weight", rows, Hidden);
            Add(real, attention + "q_norm.weight", 128);
            Add(real, attention + "k_norm.weight", 128);
            Add(real, attention + "o_proj.weight", Hidden, Q);
            Add(real, layer + "post_attention_layernorm.weight", Hidden);
            Add(real, mlp + "gate.weight", Experts, Hidden);
            for (int e = 0; e < Experts; e++)
            {
                Add(real, $"{mlp}experts.{e}.gate_proj.weight", ExpertFfn, Hidden);
                Add(real, $"{mlp}experts.{e}.up_proj.weight", ExpertFfn, Hidden);
                Add(real, $"{mlp}experts.{e}.down_proj.weight", Hidden, ExpertFfn);
            }
        }
        Add(true, "model.norm.weight", Hidden);
        Add(true, "lm_head.weight", Vocabulary, Hidden);
        byte[] head = HfMaker.Join(header.Append('}').ToString(), []);
        using var file = File.Create(Path.Combine(maker.Folder, "model.safetensors"));
        file.Write(head);
        file.SetLength(head.Length + at);
    }

    [Fact]
    public void All_of_235B_is_planned_in_a_few_megabytes()
    {
        try { Save(Layers); }
        catch (IOException) { Assert.Skip("a file of 470 GB cannot be made here, not even of nothing"); }
        using var folder = new HfFolder(maker.Folder);
        var (config, _, _) = HfConfig.Read(folder);
        long before = GC.GetAllocatedBytesForCurrentThread();
        var plan = HfTensors.Plan(config, folder).ToArray();
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 1, 40 << 20); // names that are looked up, above all
        Assert.Equal((3 + Layers * 9, 36945), (plan.Length, plan.Sum(p => p.Parts.Length)));
    }

    [Fact]
    public void A_plane_of_scales_is_not_kept()
    {
        // One matrix whose scales alone are 20 MB.
        maker.Config["hidden_size"] = Hidden;
        maker.Config["num_hidden_layers"] = 1;
        maker.Config["tie_word_embeddings"] = true;
        maker.Config["vocab_size"] = 1;
        maker.Fill().SaveWithEmptyEmbedding(80000);
        using var folder = new HfFolder(maker.Folder);
        long before = GC.GetAllocatedBytesForCurrentThread();
        new Converter(folder, threads: 1).Write(maker.Out, DType.Q8);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 1, 14 << 20);
    }

    [Fact, Trait("set", "all")]
    public void One_layer_of_235B_takes_less_than_256_MB()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("reads /proc");
        Save(1);
        var info = new ProcessStartInfo(Path.Combine(Command.Built("Convert"), "Tessera.Convert"),
            [maker.Folder, "-o", maker.Out, "--dtype", "q8"]) { RedirectStandardError = true };
        using var process = Process.Start(info)!;
        long peak = 0;
        while (!process.WaitForExit(2))
        {
            // All that is resident, the program and its mapped libraries too: nothing of the model is mapped.
            string? line = null;
            try { line = File.ReadLines($"/proc/{process.Id}/status").FirstOrDefault(l => l.StartsWith("VmHWM:", StringComparison.Ordinal)); }
            catch (IOException) { } // it ended just now: its folder went, and the next wait sees it
            if (line is not null) peak = long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]) * 1024;
        }
        Assert.True(process.ExitCode == 0, process.StandardError.ReadToEnd());
        Assert.InRange(peak, 1 << 20, 256 << 20);
    }
}
