#version 460
// y[t,n] = Σ_k x[t,k] · w[n,k] + bias[n], or the same added to y. A group makes 16 rows (a panel) of up to 4 tokens.
// variant: q8.a8 -DWORD_K=4 -DQ8 -DA8
// variant: q8.a8.dot -DWORD_K=4 -DQ8 -DA8 -DDOT
// variant: q8.f32 -DWORD_K=4 -DQ8
// variant: f16.f32 -DWORD_K=2 -DF16
// variant: bf16.f32 -DWORD_K=2
// variant: f32.f32 -DWORD_K=1
#extension GL_GOOGLE_include_directive : require
#include "tile.glsl"
#ifdef DOT
#extension GL_EXT_integer_dot_product : require
#endif

const int LANES = 32;          // lanes that read 512 consecutive bytes: 8 words of 16 rows
const int TEAMS = 4;           // they take every fourth tile
const int TOKENS = 4;
const int WORDS = TILE_K / WORD_K;
const int TILE_BYTES = TILE_ROWS * WORDS * WORD_BYTES;

layout(local_size_x = LANES * TEAMS) in;
layout(push_constant) uniform Args {
    uint64_t w, x, y, bias, count;
    int tokens, outer, inner, add;
} a;

shared float partial[TOKENS][TEAMS * 8][TILE_ROWS];

void main() {
    int panel = int(gl_WorkGroupID.x), first = int(gl_WorkGroupID.y) * TOKENS;
    int some = min(TOKENS, realRows(a.count, a.tokens) - first);
    if (some <= 0) return;
    int lane = int(gl_LocalInvocationID.x) % LANES, team = int(gl_LocalInvocationID.x) / LANES;
    int row = lane % 4 * 4, word = lane / 4;
    int allTiles = tiles(a.inner);
    uint64_t values = a.w + uint64_t(panel) * allTiles * TILE_BYTES;
    uint64_t scales = a.w + uint64_t((a.outer + TILE_ROWS - 1) / TILE_ROWS) * allTiles * TILE_BYTES + uint64_t(panel) * allTiles * TILE_ROWS * 2;
#ifdef A8
    int stride = a8Stride(a.inner);
#else
    int stride = pad(a.inner) * 4;
#endif
    uint64_t x = a.x + uint64_t(first) * stride;

    // partial sums of 4 rows: one word of every tile of this team
    vec4 sums[TOKENS];
    for (int t = 0; t < TOKENS; t++) sums[t] = vec4(0);
    for (int tile = team; tile < allTiles; tile += TEAMS) {
#ifdef Q8
        uvec2 s = Pairs(scales + (tile * TILE_ROWS + row) * 2).at[0];
        vec4 scale = vec4(unpackHalf2x16(s.x), unpackHalf2x16(s.y));
#endif
        for (int part = 0; part < WORDS / 8; part++) {
            uvec4 w = Quads(values + uint64_t(tile) * TILE_BYTES + part * 512 + lane * 16).at[0];
            for (int t = 0; t < some; t++) {
                uint64_t record = x + t * stride;
#ifdef A8
                uint q = Words(record + tile * TILE_K + word * 4).at[0];
                float xScale = Floats(record + allTiles * TILE_K + tile * 4).at[0];
#ifdef DOT
                ivec4 dots = ivec4(dotPacked4x8EXT(int(w.x), int(q)), dotPacked4x8EXT(int(w.y), int(q)), dotPacked4x8EXT(int(w.z), int(q)), dotPacked4x8EXT(int(w.w), int(q)));
#else
                ivec4 b = signedBytes(q);
                ivec4 w0 = signedBytes(w.x) * b, w1 = signedBytes(w.y) * b, w2 = signedBytes(w.z) * b, w3 = signedBytes(w.w) * b;
                ivec4 dots = ivec4(w0.x + w0.y + w0.z + w0.w, w1.x + w1.y + w1.z + w1.w, w2.x + w2.y + w2.z + w2.w, w3.x + w3.y + w3.z + w3.w);
#endif
                sums[t] = fma(vec4(dots), scale * xScale, sums[t]);
#else
                Floats f = Floats(record + (tile * TILE_K + (part * 8 + word) * WORD_K) * 4);
#if WORD_K == 4
                vec4 v = vec4(f.at[0], f.at[1], f.at[2], f.at[3]);
                sums[t] = fma(vec4(dot(vec4(signedBytes(w.x)), v), dot(vec4(signedBytes(w.y)), v), dot(vec4(signedBytes(w.z)), v), dot(vec4(signedBytes(w.w)), v)), scale, sums[t]);
#elif WORD_K == 2
#ifdef F16
                vec2 w0 = unpackHalf2x16(w.x), w1 = unpackHalf2x16(w.y), w2 = unpackHalf2x16(w.z), w3 = unpackHalf2x16(w.w);
                vec4 low = vec4(w0.x, w1.x, w2.x, w3.x), high = vec4(w0.y, w1.y, w2.y, w3.y);
#else
                vec4 low = uintBitsToFloat(w << 16), high = uintBitsToFloat(w & 0xffff0000u);
#endif
                sums[t] = fma(low, vec4(f.at[0]), fma(high, vec4(f.at[1]), sums[t]));
#else
                sums[t] = fma(uintBitsToFloat(w), vec4(f.at[0]), sums[t]);
#endif
#endif
            }
        }
    }

    // the sums of a row, in the order of teams and words
    for (int t = 0; t < some; t++)
        for (int r = 0; r < 4; r++) partial[t][team * 8 + word][row + r] = sums[t][r];
    barrier();
    int t = int(gl_LocalInvocationID.x) / TILE_ROWS, r = int(gl_LocalInvocationID.x) % TILE_ROWS, n = panel * TILE_ROWS + r;
    if (t >= some || n >= a.outer) return;
    float sum = 0;
    for (int i = 0; i < TEAMS * 8; i++) sum += partial[t][i][r];
    if (a.bias != 0) sum += Floats(a.bias).at[n];
    Floats y = Floats(a.y + (uint64_t(first + t) * pad(a.outer) + n) * 4);
    y.at[0] = a.add != 0 ? y.at[0] + sum : sum;
}
