using System.Runtime.CompilerServices;
using Silk.NET.Vulkan;

namespace Tessera.Runtime.Devices.Vulkan;

static class VulkanCheck
{
    /// <summary>Refuses a result that is no success, with the text of the call and the result's name.</summary>
    public static void Check(this Result result, [CallerArgumentExpression(nameof(result))] string call = "")
    {
        if (result is not Result.Success) throw new TesseraException($"{call.Split('(')[0]} = {result}");
    }
}
