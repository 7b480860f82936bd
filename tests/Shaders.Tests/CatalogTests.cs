using Tessera.Runtime.Devices.Ilgpu;
using Tessera.Testing;
using Xunit;

namespace Tessera.Shaders.Tests;

/// <summary>Every op keeps its house in order.</summary>
public class CatalogTests
{
    static readonly string shaders = Path.Combine(Repository.Root, "src", "Shaders");

    public static TheoryData<string> Ops => [.. OpCatalog.All.Select(o => o.Name)];

    [Theory, MemberData(nameof(Ops))]
    public void An_op_has_its_folder_its_reference_and_its_cases(string name)
    {
        foreach (string file in new[] { $"{name}.cs", $"{name}.Reference.cs", $"{name}.Cases.cs", $"{name}.comp", $"{name}.Ilgpu.cs" })
            Assert.True(File.Exists(Path.Combine(shaders, name, file)), $"{name}/{file} is missing");
        Assert.Contains(name, Bodies.All.Keys);
        var (kernel, cases) = OpCatalog.All.Single(o => o.Name == name);
        Assert.NotEmpty(cases.Equality);
        Assert.NotEmpty(cases.Race);
        foreach (var types in new StepTypes[] { new(DType.Q8, DType.A8, DType.F16), new(DType.BF16, DType.F32, DType.F32) })
        {
            OpCase[] timed = [.. cases.Timing(OpTests.Dense, types), .. cases.Timing(OpTests.Sparse, types)];
            Assert.NotEmpty(timed);
            Assert.All(timed, one => Assert.NotEqual(Workload.Full, one.Work));
        }
        foreach (var purpose in new[] { cases.Equality, cases.Race }) Assert.Distinct(purpose.Select(one => one.Name));
        Assert.True(kernel.ArgBytes + 8 * kernel.Bindings.Length <= 128, "addresses and arguments must fit 128 bytes of push constants");
    }

    /// <summary>A folder with a definition is an op; others hold what ops share.</summary>
    [Fact]
    public void Every_op_folder_is_in_the_catalogue()
    {
        var folders = Directory.EnumerateDirectories(shaders).Select(f => Path.GetFileName(f)!);
        Assert.Equal(OpCatalog.All.Select(o => o.Name).Order(), folders.Where(f => File.Exists(Path.Combine(shaders, f, $"{f}.Reference.cs"))).Order());
    }

    [Fact]
    public void Layouts_pack_without_gaps_or_overlaps()
    {
        foreach (var type in new[] { DType.F32, DType.BF16, DType.F16, DType.Q8 })
        {
            const int RowCount = 32, Cols = 96;
            var seen = new HashSet<long>();
            for (int r = 0; r < RowCount; r++)
                for (int k = 0; k < Cols; k++)
                {
                    long at = Tile.ValueOffset(type, Cols, r, k);
                    Assert.True(at % type.ElementBytes() == 0 && seen.Add(at));
                }
            Assert.Equal(Tile.ScalePlane(type, RowCount, Cols), seen.Count * (long)type.ElementBytes());
        }
    }

    [Fact]
    public void Validation_layers_have_nothing_to_say()
    {
        if (Environment.GetEnvironmentVariable("TESSERA_VALIDATION") != "1")
            Assert.Skip("validation layers are on where TESSERA_VALIDATION is 1, as ./test sets it");
        using (var device = TestDevices.Open("lavapipe")) using (device.Allocate(100)) { }
        Assert.Empty(Runtime.Devices.Vulkan.VulkanDevice.ValidationMessages);
    }

    [Fact]
    public void Wrong_shapes_are_refused_by_name()
    {
        using var device = TestDevices.Open("host");
        using var memory = device.Allocate(1 << 16);
        Tensor w = Tensor.Weights(memory, 0, DType.Q8, 16, 64), x = Tensor.OfRows(memory, 0, DType.F32, 2, 32), y = Tensor.OfRows(memory, 0, DType.F32, 2, 16);
        var error = Assert.Throws<TesseraException>(() => device.Record(gpu => gpu.MatMul(w, x, y, Tensor.None, Tensor.None)));
        Assert.Contains("[MatMul] expects", error.Message);
        Assert.Throws<TesseraException>(() => Tensor.Weights(memory, 0, DType.F32, 1000, 1000));
    }

    [Fact]
    public void A_hardware_GPU_takes_part_where_there_is_one()
    {
        if (!TestDevices.Hardware.Any()) Assert.Skip("this machine has no hardware GPU");
        Assert.NotEmpty(TestDevices.Names.Select(n => n.Data).Intersect(TestDevices.Hardware));
    }
}
