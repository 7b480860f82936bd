using Tessera.Runtime.Files;
using Tessera.Runtime.Models;
using Tessera.Shaders;
using Tessera.Testing;
using Xunit;

namespace Tessera.Convert.Tests;

/// <summary>What goes in comes out: every element, from every type to every type, sharded or not.</summary>
public unsafe class RoundTripTests
{
    public static TheoryData<string, DType?, int> Cases()
    {
        var cases = new TheoryData<string, DType?, int>();
        foreach (string from in new[] { "BF16", "F16", "F32" })
            foreach (DType? to in (DType?[])[null, .. WeightFormat.All.Select(f => f.Type)])
                cases.Add(from, to, 1 + cases.Count % 3);
        return cases;
    }

    [Theory, MemberData(nameof(Cases))]
    public void Every_weight_comes_back(string from, DType? to, int shards)
    {
        using var maker = new HfMaker(from, seed: shards).Save(shards, padding: shards); // odd paddings: the data is unaligned
        maker.Convert(to);
        using var file = TiledFile.Open(maker.Out);
        Assert.Empty(file.Corrupted());
        DType model = to ?? SegmentTypes.Panels(from.ToLowerInvariant())!.Value;
        Check("embedding", 0, "model.embed_tokens.weight");
        Check("head", 0, "lm_head.weight");
        for (int i = 0; i < 2; i++)
        {
            Check($"layers.{i}.qkv", 0, $"model.layers.{i}.self_attn.q_proj.weight");
            Check($"layers.{i}.qkv", 96, $"model.layers.{i}.self_attn.k_proj.weight");
            Check($"layers.{i}.qkv", 128, $"model.layers.{i}.self_attn.v_proj.weight");
            Check($"layers.{i}.out", 0, $"model.layers.{i}.self_attn.o_proj.weight");
            Check($"layers.{i}.down", 0, $"model.layers.{i}.mlp.down_proj.weight");
            Check($"layers.{i}.gate_up", -1, $"model.layers.{i}.mlp.gate_proj.weight");
            Check($"layers.{i}.gate_up", -2, $"model.layers.{i}.mlp.up_proj.weight");
            foreach (var (segment, tensor) in new[] { ("attn_norm", "input_layernorm"), ("q_norm", "self_attn.q_norm"), ("k_norm", "self_attn.k_norm"),
                ("ffn_norm", "post_attention_layernorm") })
            {
                var found = file.Find($"layers.{i}.{segment}");
                Assert.Equal(maker.Tensors[$"model.layers.{i}.{tensor}.weight"].Values, new ReadOnlySpan<float>(file.At(found), found.Cols).ToArray());
            }
        }

        // first: the row of the segment where the tensor begins; -1 and -2: gate and up, interleaved by panel of 16 rows.
        void Check(string segment, int first, string name)
        {
            var (shape, values) = maker.Tensors[name];
            var found = file.Find(segment);
            var type = Mixture.TypeOf(segment, model);
            Assert.Equal((type.Name(), shape[1]), (found.Type, found.Cols));
            for (int r = 0; r < shape[0]; r++)
            {
                int row = first >= 0 ? first + r : r / 16 * 32 + r % 16 + (first == -2 ? 16 : 0);
                for (int k = 0; k < shape[1]; k++)
                {
                    float expected = values[r * shape[1] + k], actual = Elements.Weight(file.At(found), type, found.Rows, found.Cols, row, k);
                    float max = values.Skip(r * shape[1] + k / 32 * 32).Take(Math.Min(32, shape[1] - k / 32 * 32)).Max(Math.Abs);
                    float bound = type switch
                    {
                        DType.F32 => 0,
                        DType.BF16 => from == "BF16" ? 0 : Math.Abs(expected) / 256,
                        DType.F16 => from == "F16" ? 0 : Math.Abs(expected) / 2048 + 3e-8f,
                        DType.Q8 => max / 127 * 0.502f + max / 2048, // half a step, and a scale rounded to half
                        _ => max / 4, // the largest may be cut to the range
                    };
                    Assert.True(Math.Abs(actual - expected) <= bound, $"{segment} [{row}, {k}]: expected {expected}, actual {actual}");
                }
            }
        }
    }

    /// <summary>Rounded to the nearest multiple of a scale that puts the largest at the range's end, as others do it, the error is larger.</summary>
    [Fact]
    public void Q4_has_less_error_than_rounding_by_the_largest()
    {
        using var maker = new HfMaker("F32").Save();
        maker.Convert(DType.Q4);
        using var file = TiledFile.Open(maker.Out);
        var (shape, values) = maker.Tensors["model.layers.0.mlp.down_proj.weight"];
        var found = file.Find("layers.0.down");
        double error = 0, plain = 0;
        for (int r = 0; r < shape[0]; r++)
            for (int k = 0; k + 32 <= shape[1]; k += 32)
            {
                var block = values.AsSpan(r * shape[1] + k, 32);
                float largest = 0;
                foreach (float v in block) largest = MathF.Abs(v) > MathF.Abs(largest) ? v : largest;
                float step = (float)(Half)(largest / -8);
                for (int i = 0; i < 32; i++)
                {
                    error += Square(block[i] - Elements.Weight(file.At(found), DType.Q4, found.Rows, found.Cols, r, k + i));
                    plain += Square(block[i] - step * Math.Clamp(MathF.Round(block[i] / step), -8, 7));
                }
            }
        Assert.InRange(error, 0, 0.9 * plain);

        static double Square(double x) => x * x;
    }

    [Theory, InlineData(DType.Q8), InlineData(DType.Q4), InlineData(DType.BF16)]
    public void The_same_folder_gives_the_same_bytes_whatever_the_threads_and_shards(DType type)
    {
        using var maker = new HfMaker("F32").Save();
        maker.Convert(type, threads: 1);
        byte[] one = File.ReadAllBytes(maker.Out);
        maker.Convert(type, threads: 7);
        Assert.Equal(one, File.ReadAllBytes(maker.Out));
        maker.Save(shards: 3);
        maker.Convert(type);
        Assert.Equal(one, File.ReadAllBytes(maker.Out));
    }

    [Fact]
    public void Experts_come_back_whether_a_tensor_each_or_fused()
    {
        using HfMaker each = new HfMaker("F32").WithExperts(5, 2, equal: false), fused = new HfMaker("F32").WithExperts(5, 2, equal: false, fused: true);
        each.Save(shards: 3).Convert(DType.Q8);
        fused.Save().Convert(DType.Q8);
        using TiledFile a = TiledFile.Open(each.Out), b = TiledFile.Open(fused.Out);
        Assert.Equal(a.Index.Segments.Select(s => (s.Name, s.Hash)), b.Index.Segments.Select(s => (s.Name, s.Hash)));
        Assert.Equal("f32", a.Find("layers.1.router").Type);
        Assert.False(a.Has("layers.0.router") || a.Has("layers.1.gate_up"));
        var down = a.Find("layers.1.experts.down");
        Assert.Equal((5, 96, 37), (down.Experts, down.Rows, down.Cols));
        float[] source = each.Tensors["model.layers.1.mlp.experts.3.down_proj.weight"].Values;
        for (int i = 0; i < source.Length; i += 7)
            Assert.Equal(source[i], Elements.Weight(a.At(down) + 3 * Tile.Bytes(DType.Q8, 96, 37), DType.Q8, 96, 37, i / 37, i % 37), 0.006f);
        Assert.Equal(0, Command.Run("Convert", "verify", each.Folder, fused.Out).ExitCode);
    }

    [Theory, InlineData("host"), InlineData("lavapipe")]
    public void Equal_experts_give_what_the_dense_model_gives(string device)
    {
        using HfMaker dense = new HfMaker(), upcycled = new HfMaker().WithExperts(8, 3, equal: true);
        dense.Save().Convert();
        upcycled.Save().Convert();
        float[] Logits(string file)
        {
            using var one = new OneSequence(file, new ModelOptions { Device = TestDevices.Named(device), Numerics = Numerics.Exact });
            one.Take([5, 17, 300, 2, 44, 44, 9], SamplingOptions.Greedy, 1);
            return one.Logits();
        }
        float[] expected = Logits(dense.Out), actual = Logits(upcycled.Out);
        Assert.Equal(0, expected.Zip(actual, (e, a) => Math.Pow(e - a, 2)).Sum() / expected.Sum(e => e * (double)e), 1e-12);
    }

    [Fact]
    public void The_committed_model_is_what_the_converter_makes()
    {
        using var maker = new HfMaker();
        using (var folder = new HfFolder(Repository.Golden("models/numbers-dense"))) new Converter(folder).Write(maker.Out, DType.Q8);
        Assert.Equal(File.ReadAllBytes(Path.Combine(Repository.Root, "models", "numbers-dense.tessera")), File.ReadAllBytes(maker.Out));
    }
}
