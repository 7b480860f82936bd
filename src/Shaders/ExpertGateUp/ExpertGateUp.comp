#version 460
// GateUp by each expert for the rows that chose it. A workgroup makes 32 columns of a tile, 4 rows at a time.
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
    uint64_t w, x, order, groups, y;
    int tokens, perToken, experts, ffn, inner;
} a;

void main() {
    Ints tile = Ints(a.groups + uint64_t(a.experts + 1 + 1 + 3 * gl_WorkGroupID.y) * 4);
    if (int(gl_WorkGroupID.y) >= Ints(a.groups).at[a.experts + 1]) return;
    int expert = tile.at[0], last = tile.at[1] + tile.at[2], rows = (a.ffn + TILE_ROWS - 1) / TILE_ROWS * 2 * TILE_ROWS;
    for (int first = tile.at[1]; first < last; first += TILE_TOKENS) {
        int places = min(TILE_TOKENS, last - first);
        for (int i = 0; i < places; i++) {
            xRows[i] = a.x + uint64_t(Ints(a.order).at[first + i] / a.perToken) * xStride(a.inner);
            yRows[i] = a.y + uint64_t(first + i) * yStride(a.ffn);
        }
        gateUp(a.w + expert * panelBytes(rows, a.inner), a.ffn, a.inner, int(gl_WorkGroupID.x), places, int(gl_LocalInvocationID.x));
        barrier(); // what is shared is used again
    }
}
