#version 460
// y[t,n] = Σ_k x[t,k] · w[n,k] + bias[n], or the same added to y. A workgroup makes 16 rows (a panel) of up to 4 tokens.
// variant: q8.a8.dot -DWORD_K=4 -DA8 -DDOT
// variant: q8.a8 -DWORD_K=4 -DA8
// variant: q8.f32 -DWORD_K=4
// variant: q4.a8.dot -DWORD_K=8 -DA8 -DDOT
// variant: q4.a8 -DWORD_K=8 -DA8
// variant: q4.f32 -DWORD_K=8
// variant: f16.f32 -DWORD_K=2 -DF16
// variant: bf16.f32 -DWORD_K=2
// variant: f32.f32 -DWORD_K=1
#extension GL_GOOGLE_include_directive : require
#ifdef DOT
#extension GL_EXT_integer_dot_product : require
#endif
#include "tile.glsl"
#include "panel.glsl"

layout(push_constant) uniform Args {
    uint64_t w, x, y, bias, count;
    int tokens, outer, inner, add;
} a;

void main() {
    int panel = int(gl_WorkGroupID.x), first = int(gl_WorkGroupID.y) * TILE_TOKENS, thread = int(gl_LocalInvocationID.x);
    int tokens = min(TILE_TOKENS, realRows(a.count, a.tokens) - first);
    if (tokens <= 0) return;
    for (int t = 0; t < tokens; t++) xRows[t] = a.x + uint64_t(first + t) * xStride(a.inner);
    panelRows(a.w, a.outer, a.inner, panel, tokens, thread);
    [[unroll]] for (int i = 0; i < OWN; i++) {
        int t = own(thread, i).x, r = own(thread, i).y, n = panel * TILE_ROWS + r;
        if (t >= tokens || n >= a.outer) continue;
        Floats y = Floats(a.y + (uint64_t(first + t) * pad(a.outer) + n) * 4);
        float added = a.add != 0 ? y.at[0] : 0; // first to each other: the large sum is then rounded once
        if (a.bias != 0) added += Floats(a.bias).at[n];
        y.at[0] = rowSum(t, r) + added;
    }
}
