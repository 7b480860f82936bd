#version 460
// y[order[i], n] = Σ_k x[i, k] · w_e[n, k] for the places i of expert e. A workgroup makes 16 rows (a panel) of a tile, 4 places at a time.
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
    uint64_t w, x, order, groups, y;
    int pairs, experts, outer, inner;
} a;

void main() {
    int panel = int(gl_WorkGroupID.x), thread = int(gl_LocalInvocationID.x);
    Ints tile = Ints(a.groups + uint64_t(a.experts + 1 + 1 + 3 * gl_WorkGroupID.y) * 4);
    if (int(gl_WorkGroupID.y) >= Ints(a.groups).at[a.experts + 1]) return;
    int expert = tile.at[0], last = tile.at[1] + tile.at[2];
    for (int first = tile.at[1]; first < last; first += TILE_TOKENS) {
        int places = min(TILE_TOKENS, last - first);
        for (int i = 0; i < places; i++) xRows[i] = a.x + uint64_t(first + i) * xStride(a.inner);
        panelRows(a.w + expert * panelBytes(a.outer, a.inner), a.outer, a.inner, panel, places, thread);
        [[unroll]] for (int j = 0; j < OWN; j++) {
            int i = own(thread, j).x, r = own(thread, j).y, n = panel * TILE_ROWS + r;
            if (i < places && n < a.outer) Floats(a.y + (uint64_t(Ints(a.order).at[first + i]) * pad(a.outer) + n) * 4).at[0] = rowSum(i, r);
        }
        barrier(); // what is shared is used again
    }
}
