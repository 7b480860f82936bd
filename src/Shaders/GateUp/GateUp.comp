#version 460
// y[t,n] = silu(Σ_k x[t,k] · gate[n,k]) · Σ_k x[t,k] · up[n,k]. A workgroup makes 32 columns of up to 4 tokens.
// variant: q8.a8.a8.dot -DWORD_K=4 -DA8 -DY_A8 -DDOT
// variant: q8.a8.a8 -DWORD_K=4 -DA8 -DY_A8
// variant: q8.a8.f32 -DWORD_K=4 -DA8
// variant: q8.f32.f32 -DWORD_K=4
// variant: q8.f32.a8 -DWORD_K=4 -DY_A8
// variant: q4.a8.a8.dot -DWORD_K=8 -DA8 -DY_A8 -DDOT
// variant: q4.a8.a8 -DWORD_K=8 -DA8 -DY_A8
// variant: q4.a8.f32 -DWORD_K=8 -DA8
// variant: q4.f32.f32 -DWORD_K=8
// variant: q4.f32.a8 -DWORD_K=8 -DY_A8
// variant: f16.f32.f32 -DWORD_K=2 -DF16
// variant: f16.f32.a8 -DWORD_K=2 -DF16 -DY_A8
// variant: bf16.f32.f32 -DWORD_K=2
// variant: bf16.f32.a8 -DWORD_K=2 -DY_A8
// variant: f32.f32.f32 -DWORD_K=1
// variant: f32.f32.a8 -DWORD_K=1 -DY_A8
#extension GL_GOOGLE_include_directive : require
#ifdef DOT
#extension GL_EXT_integer_dot_product : require
#endif
#include "tile.glsl"
#include "gateup.glsl"

layout(push_constant) uniform Args {
    uint64_t w, x, y, count;
    int tokens, ffn, inner;
} a;

void main() {
    int first = int(gl_WorkGroupID.y) * TILE_TOKENS, tokens = min(TILE_TOKENS, realRows(a.count, a.tokens) - first);
    if (tokens <= 0) return;
    for (int t = 0; t < tokens; t++) {
        xRows[t] = a.x + uint64_t(first + t) * xStride(a.inner);
        yRows[t] = a.y + uint64_t(first + t) * yStride(a.ffn);
    }
    gateUp(a.w, a.ffn, a.inner, int(gl_WorkGroupID.x), tokens, int(gl_LocalInvocationID.x));
}
