#version 460
// y[t,n] = silu(Σ_k x[t,k] · gate[n,k]) · Σ_k x[t,k] · up[n,k]. A group makes 32 columns of up to 4 tokens: two panels of gate and two of up, 32 threads for each.
// variant: q8.a8.a8.dot -DWORD_K=4 -DQ8 -DA8 -DY_A8 -DDOT
// variant: q8.a8.a8 -DWORD_K=4 -DQ8 -DA8 -DY_A8
// variant: q8.a8.f32 -DWORD_K=4 -DQ8 -DA8
// variant: q8.f32.f32 -DWORD_K=4 -DQ8
// variant: q8.f32.a8 -DWORD_K=4 -DQ8 -DY_A8
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

const int TOKENS = 4;
const int PANELS = 4;
const int OWN = 32;            // threads of a panel
const int THREADS = OWN * PANELS;
#include "panel.glsl"
#include "store.glsl"

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t w, x, y, count;
    int tokens, ffn, inner;
} a;

shared float partial[TOKENS][PANELS][OWN / 4][TILE_ROWS];

// The sum of row r of a panel, in the order of words.
float rowSum(int t, int panel, int r) {
    float sum = 0;
    for (int i = 0; i < OWN / 4; i++) sum += partial[t][panel][i][r];
    return sum;
}

void main() {
    int group = int(gl_WorkGroupID.x), first = int(gl_WorkGroupID.y) * TOKENS, thread = int(gl_LocalInvocationID.x);
    int some = min(TOKENS, realRows(a.count, a.tokens) - first);
    if (some <= 0) return;
    int lane = thread % LANES, own = thread / OWN, team = thread % OWN / LANES, teams = OWN / LANES, allTiles = tiles(a.inner), panels = (a.ffn + TILE_ROWS - 1) / TILE_ROWS * 2, panel = group * PANELS + own;
    if (panel < panels) {
        product(a.w, panels * TILE_ROWS, a.inner, panel, a.x + uint64_t(first) * xStride(a.inner), some, lane, allTiles * team / teams, allTiles * (team + 1) / teams);
        for (int t = 0; t < some; t++)
            for (int r = 0; r < 4; r++) partial[t][own][thread % OWN / 4][lane % 4 * 4 + r] = sums[t][r];
    }
    barrier();
    // 8 threads a token, 4 columns each
    int t = thread / 8, word = thread % 8;
    vec4 v = vec4(0);
    if (t < some)
        for (int i = 0; i < 4; i++) {
            int n = word * 4 + i;
            if (group * 32 + n >= a.ffn) break;
            float gate = rowSum(t, n / TILE_ROWS * 2, n % TILE_ROWS), up = rowSum(t, n / TILE_ROWS * 2 + 1, n % TILE_ROWS);
            v[i] = gate / (1 + exp(-gate)) * up;
        }
    storeWord(a.y + uint64_t(first + t) * yStride(a.ffn), a.ffn, t < some ? group * 8 + word : -1, v, thread);
}
