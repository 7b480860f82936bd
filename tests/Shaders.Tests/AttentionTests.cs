using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

public class AttentionTests(OpenDevices devices) : IClassFixture<OpenDevices>
{
    public static TheoryData<string, string> Cases()
    {
        var cases = new TheoryData<string, string>();
        foreach (string device in TestDevices.For("Attention"))
            foreach (var one in AttentionOp.Cases.Equality) cases.Add(device, one.Name);
        return cases;
    }

    /// <summary>The order of sums is fixed by the length of the context: a token that comes alone gets what it got among others, whichever variant makes
    /// it.</summary>
    [Theory, MemberData(nameof(Cases))]
    public void A_token_alone_gets_the_bits_it_gets_among_others(string device, string name)
    {
        var one = AttentionOp.Cases.Equality.Single(c => c.Name == name);
        var operands = one.Operands();
        var y = operands[AttentionOp.Y]!;
        using var run = new OpRun(devices[device], operands);
        try { run.Run((gpu, t) => one.Launch(gpu, [.. operands.Select(t)])); }
        catch (TesseraException e) when (!TestDevices.IsComplete(device))
        {
            Assert.Contains("has no ILGPU body", e.Message); // of this type yet
            return;
        }
        byte[] all = run.Read(y);
        int stride = Rows.Stride(y.Type, y.Cols);
        for (int token = 0; token < y.RowCount; token++)
        {
            run.Run((gpu, t) => one.Launch(gpu, [.. operands.Select((o, i) => Row(t(o), i, token))]));
            run.ReplayAfresh();
            byte[] alone = run.Read(y);
            Assert.Equal(all.AsSpan(token * stride, stride), alone.AsSpan(token * stride, stride));
        }
    }

    /// <summary>What belongs to one token, the cache and the block table whole, no count.</summary>
    static Tensor Row(Tensor all, int binding, int token) => binding switch
    {
        AttentionOp.Q or AttentionOp.Y => Tensor.OfRows(all.Memory!, all.Offset + token * (long)Rows.Stride(all.Type, all.Cols), all.Type, 1, all.Cols),
        AttentionOp.Sequences or AttentionOp.Positions => Tensor.Packed(all.Memory!, all.Offset + token * 4, DType.I32, 1, 1),
        AttentionOp.Count => Tensor.None,
        _ => all,
    };
}
