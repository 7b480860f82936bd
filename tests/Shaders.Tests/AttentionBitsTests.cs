using System.Security.Cryptography;
using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

public class AttentionBitsTests
{
    /// <summary>Who runs this for a set of instructions says which, as the device's description ends.</summary>
    [Fact, Trait("op", "MatMul")]
    public void The_host_uses_the_instructions_that_are_expected()
    {
        using var device = TestDevices.Open("host", threads: 1);
        Assert.EndsWith(Environment.GetEnvironmentVariable("TESSERA_INSTRUCTIONS") ?? "", device.Description);
    }

    /// <summary>The bits of the host's attention are constant, whatever the processor's instructions: InstructionSetTests runs this with each.</summary>
    [Theory, Trait("op", "Attention")]
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
