using Tessera.Testing;
using Xunit;

namespace Tessera.Repo.Tests;

/// <summary>The host's paths for Arm, under qemu's user mode: without hardware, but the instructions and the code are Arm's.</summary>
[Trait("set", "all")]
public class ArmTests
{
    [Fact]
    public async Task Products_and_attention_have_the_bits_of_every_other_processor()
    {
        var probe = Command.Start("tests/arm.sh", "--version");
        Assert.SkipUnless(probe.ExitCode == 0, $"Arm's path is not run: {probe.Errors.Trim()}");
        var publish = Command.Start("tests/publish.sh", "arm-tests");
        Assert.True(publish.ExitCode == 0, publish.Output + publish.Errors);
        // Side by side, since emulated code is slow: with the dot product, and with what every Arm processor of 64 bits has.
        var runs = await Task.WhenAll(
            Run("1", ", AdvSimd + dot product", "-trait", "op=MatMul", "-trait", "op=Attention"),
            Run("0", ", AdvSimd", "-trait", "op=MatMul"));
        foreach (var run in runs)
        {
            Assert.True(run.ExitCode == 0, run.Output + run.Errors);
            Assert.True(int.Parse(run.Output.Split("Total: ")[1].Split(',')[0]) >= 20, run.Output);
        }
    }

    /// <param name="tests">Which: the products of the other ops are MatMul's, and their cases take most of the time.</param>
    static Task<Command> Run(string dots, string instructions, params string[] tests) => Task.Run(() => Command.Start("tests/arm.sh",
        ["artifacts/published/arm-tests/Tessera.Shaders.Tests", "-preEnumerateTheories", .. tests],
        ("DOTNET_EnableArm64Dp", dots), ("TESSERA_INSTRUCTIONS", instructions), ("TESSERA_DEVICES", "host"), ("DOTNET_TieredPGO", "0")));
}
