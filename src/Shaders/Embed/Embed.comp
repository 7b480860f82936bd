#version 460
// x[t] = table[ids[t]], zeros where there is no such row. A workgroup takes a token, a thread a word of the row.
// variant: q8 -DWORD_K=4
// variant: q4 -DWORD_K=8
// variant: f16 -DWORD_K=2 -DF16
// variant: bf16 -DWORD_K=2
// variant: f32 -DWORD_K=1
#extension GL_GOOGLE_include_directive : require
#include "tile.glsl"

const int THREADS = 128;
const int WORDS = TILE_K / WORD_K;
const int SCALE_BYTES = TILE_ROWS * (WORD_K == 8 ? 3 : 2); // of a tile

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t ids, table, x, count;
    int tokens, vocabulary, dim;
} a;

void main() {
    int token = int(gl_WorkGroupID.x), thread = int(gl_LocalInvocationID.x);
    if (token >= realRows(a.count, a.tokens)) return;
    int id = Ints(a.ids).at[token], allTiles = tiles(a.dim);
    bool there = id >= 0 && id < a.vocabulary;
    uint64_t panelBytes = uint64_t(allTiles) * WORDS * TILE_ROWS * WORD_BYTES, panel = a.table + (there ? id / TILE_ROWS : 0) * panelBytes;
#if WORD_K >= 4
    uint64_t scales = a.table + uint64_t((a.vocabulary + TILE_ROWS - 1) / TILE_ROWS) * panelBytes
        + uint64_t(there ? id / TILE_ROWS : 0) * allTiles * SCALE_BYTES;
#endif
    int row = there ? id % TILE_ROWS : 0;
    Floats x = Floats(a.x + uint64_t(token) * pad(a.dim) * 4);
    for (int word = thread; word < allTiles * WORDS; word += THREADS) {
        uint w = Words(panel + (uint64_t(word) * TILE_ROWS + row) * WORD_BYTES).at[0];
#if WORD_K >= 4
        uint64_t tile = scales + uint64_t(word / WORDS) * SCALE_BYTES;
        vec2 pair = unpackHalf2x16(Words(tile + row / 2 * 4).at[0]);
        float scale = row % 2 == 0 ? pair.x : pair.y;
#endif
#if WORD_K == 8
        float zero = float(Words(tile + TILE_ROWS * 2 + row / 4 * 4).at[0] >> row % 4 * 8 & 255u) / 16;
        for (int i = 0; i < 4; i++) x.at[word * WORD_K + i] = there ? (lowHalves(w)[i] - zero) * scale : 0;
        for (int i = 0; i < 4; i++) x.at[word * WORD_K + 4 + i] = there ? (lowHalves(w >> 4)[i] - zero) * scale : 0;
#elif WORD_K == 4
        vec4 v = vec4(signedBytes(w)) * scale;
#elif WORD_K == 2
#ifdef F16
        vec2 v = unpackHalf2x16(w);
#else
        vec2 v = vec2(uintBitsToFloat(w << 16), uintBitsToFloat(w & 0xffff0000u));
#endif
#else
        float v = uintBitsToFloat(w);
#endif
#if WORD_K == 1
        x.at[word] = there ? v : 0;
#elif WORD_K < 8
        for (int i = 0; i < WORD_K; i++) x.at[word * WORD_K + i] = there ? v[i] : 0;
#endif
    }
}
