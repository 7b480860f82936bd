using ILGPU;
using ILGPU.Algorithms;

namespace Tessera.Shaders;

/// <summary>How partials are merged on CUDA and OpenCL, as merge.glsl does: a call that merges in place and one that merges what another left give the same
/// bits.</summary>
static class MergeIlgpu
{
    /// <summary>How much partials count that are relative to the maximum before and to now, relative to the larger of the two.</summary>
    public struct Share
    {
        public float Before, Now;

        /// <summary>Both products rounded behind integers (zero: 0, known when it runs), so that no compiler fuses one of them with the sum.</summary>
        public readonly float Merge(float before, float now, int zero) => Rounded(before * Before, zero) + Rounded(now * Now, zero);

        static float Rounded(float v, int zero) => Interop.IntAsFloat(Interop.FloatAsInt(v) ^ (uint)zero);
    }

    public static Share Shares(float before, float now)
    {
        float both = IntrinsicMath.Max(before, now);
        return new() { Before = before == both ? 1 : XMath.Exp(before - both), Now = now == both ? 1 : XMath.Exp(now - both) };
    }
}
