using System.Runtime.InteropServices;
using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

public class EmbedTests
{
    public static TheoryData<string> Devices => TestDevices.Complete;

    [Theory, MemberData(nameof(Devices))]
    public void An_id_outside_of_the_table_gives_zeros(string device)
    {
        var random = new Random(3);
        Operand ids = Fill.Ints(-1, 53, int.MinValue, int.MaxValue, 52), table = Fill.Weights(random, DType.Q8, 53, 100);
        Operand x = Fill.Out(DType.F32, 5, 100, bound: 0);
        using var on = TestDevices.Open(device);
        using var run = new OpRun(on, ids, table, x);
        run.Run((gpu, t) => gpu.Embed(t(ids), t(table), t(x), Tensor.None)).Check();
        var rows = MemoryMarshal.Cast<byte, float>(run.Read(x));
        Assert.All(rows[..(4 * 128)].ToArray(), v => Assert.Equal(0, v));
        Assert.Contains(rows[(4 * 128)..].ToArray(), v => v != 0);
    }
}
