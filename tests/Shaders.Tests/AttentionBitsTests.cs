using System.Security.Cryptography;
using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

public class AttentionBitsTests
{
    /// <summary>The bits of the host's attention are constant, whatever the processor's instructions: InstructionSetTests runs this with each.</summary>
    [Theory]
    [InlineData("Attention", "4c8cb6f1923b80f8")]
    [InlineData("AttentionMerge", "72a936b468dc0efd")]
    public void Every_instruction_set_of_the_host_gives_these(string op, string bits)
    {
        using var device = TestDevices.Open("host", threads: 1);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var one in OpCatalog.All.Single(o => o.Name == op).Cases.Race)
        {
            var operands = one.Operands();
            using var run = new OpRun(device, operands);
            run.Run((gpu, t) => one.Launch(gpu, [.. operands.Select(t)]));
            foreach (var output in operands.OfType<Operand>().Where(o => o.Bound is not null)) hash.AppendData(run.Read(output));
        }
        Assert.Equal(bits, Convert.ToHexStringLower(hash.GetHashAndReset())[..16]);
    }
}
