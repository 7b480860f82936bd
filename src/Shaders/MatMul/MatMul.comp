#version 460
// y[t,n] = Σ_k x[t,k] · w[n,k] + bias[n], or the same added to y. A group makes 16 rows (a panel) of up to 4 tokens.
// variant: q8.a8.dot -DWORD_K=4 -DQ8 -DA8 -DDOT
// variant: q8.a8 -DWORD_K=4 -DQ8 -DA8
// variant: q8.f32 -DWORD_K=4 -DQ8
// variant: f16.f32 -DWORD_K=2 -DF16
// variant: bf16.f32 -DWORD_K=2
// variant: f32.f32 -DWORD_K=1
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_ballot : require
#ifdef DOT
#extension GL_EXT_integer_dot_product : require
#endif
#include "tile.glsl"

const int TOKENS = 4;
const int THREADS = 128;
#include "panel.glsl"
const int TEAMS = THREADS / LANES; // each takes tiles that follow each other

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t w, x, y, bias, count;
    int tokens, outer, inner, add;
} a;

shared float partial[TOKENS][THREADS / 4][TILE_ROWS];

void main() {
    int panel = int(gl_WorkGroupID.x), first = int(gl_WorkGroupID.y) * TOKENS, thread = int(gl_LocalInvocationID.x);
    int some = min(TOKENS, realRows(a.count, a.tokens) - first);
    if (some <= 0) return;
    int lane = thread % LANES, team = thread / LANES, allTiles = tiles(a.inner);
    for (int t = 0; t < some; t++) records[t] = a.x + uint64_t(first + t) * xStride(a.inner);
    product(a.w, a.outer, a.inner, panel, some, lane, allTiles * team / TEAMS, allTiles * (team + 1) / TEAMS);

    // the sums of a row, in the order of teams and words
    for (int t = 0; t < some; t++)
        for (int r = 0; r < 4; r++) partial[t][thread / 4][lane % 4 * 4 + r] = sums[t][r];
    barrier();
    int t = thread / TILE_ROWS, r = thread % TILE_ROWS, n = panel * TILE_ROWS + r;
    if (t >= some || n >= a.outer) return;
    float sum = 0;
    for (int i = 0; i < THREADS / 4; i++) sum += partial[t][i][r];
    Floats y = Floats(a.y + (uint64_t(first + t) * pad(a.outer) + n) * 4);
    float added = a.add != 0 ? y.at[0] : 0; // first to each other: the large sum is then rounded once
    if (a.bias != 0) added += Floats(a.bias).at[n];
    y.at[0] = sum + added;
}
