// The product of a panel of 16 rows with up to TOKENS tokens. LANES lanes read LANES · 16 consecutive bytes: a lane sums 4 rows of every word it meets.
// Wants TOKENS, WORD_K, and Q8, A8, DOT, F16 as they apply.
#include "lanes.glsl"
const int STEP = LANES / 4;                    // words that they read at once
const int WORDS = TILE_K / WORD_K;
const bool BROADCAST = LANES == 8 || LANES == 16; // narrow subgroups load the words of a tile once and pass them on
const int TILE_BYTES = TILE_ROWS * WORDS * WORD_BYTES;

#ifdef A8
int xStride(int inner) { return a8Stride(inner); }
#else
int xStride(int inner) { return pad(inner) * 4; }
#endif

// Bytes of a matrix of panels, scales included.
uint64_t panelBytes(int outer, int inner) {
#ifdef Q8
    const int SCALES = TILE_ROWS * 2;
#else
    const int SCALES = 0;
#endif
    return uint64_t((outer + TILE_ROWS - 1) / TILE_ROWS) * tiles(inner) * (TILE_BYTES + SCALES);
}

uint64_t records[TOKENS]; // the rows of activations; set by the caller
vec4 sums[TOKENS];        // of rows lane % 4 * 4 to + 3, words lane / 4, + STEP, ... of the tiles from first to last

void product(uint64_t w, int outer, int inner, int panel, int some, int lane, int first, int last) {
    int row = lane % 4 * 4, word = lane / 4, allTiles = tiles(inner);
    uint64_t values = w + uint64_t(panel) * allTiles * TILE_BYTES;
    uint64_t scales = w + uint64_t((outer + TILE_ROWS - 1) / TILE_ROWS) * allTiles * TILE_BYTES + uint64_t(panel) * allTiles * TILE_ROWS * 2;
    for (int t = 0; t < TOKENS; t++) sums[t] = vec4(0);
    for (int tile = first; tile < last; tile++) {
#ifdef Q8
        uvec2 s = Pairs(scales + (tile * TILE_ROWS + row) * 2).at[0];
        vec4 scale = vec4(unpackHalf2x16(s.x), unpackHalf2x16(s.y));
#endif
        uvec4 w[WORDS / STEP]; // a word of each of 4 rows
        for (int part = 0; part < WORDS / STEP; part++) w[part] = Quads(values + uint64_t(tile) * TILE_BYTES + (part * LANES + lane) * 16).at[0];
        for (int t = 0; t < some; t++) {
            uint64_t record = records[t];
#ifdef A8
            Words x = Words(record + tile * TILE_K);
            ivec4 dots = ivec4(0);
            uint held = BROADCAST ? x.at[gl_SubgroupInvocationID % WORDS] : 0;
            for (int part = 0; part < WORDS / STEP; part++) {
                uint q;
                if (BROADCAST)
                    for (int i = 0; i < STEP; i++) {
                        uint one = subgroupBroadcast(held, part * STEP + i);
                        q = word == i ? one : q;
                    }
                else q = x.at[part * STEP + word];
#ifdef DOT
                dots += ivec4(dotPacked4x8EXT(int(w[part].x), int(q)), dotPacked4x8EXT(int(w[part].y), int(q)), dotPacked4x8EXT(int(w[part].z), int(q)), dotPacked4x8EXT(int(w[part].w), int(q)));
#else
                ivec4 b = signedBytes(q);
                ivec4 w0 = signedBytes(w[part].x) * b, w1 = signedBytes(w[part].y) * b, w2 = signedBytes(w[part].z) * b, w3 = signedBytes(w[part].w) * b;
                dots += ivec4(w0.x + w0.y + w0.z + w0.w, w1.x + w1.y + w1.z + w1.w, w2.x + w2.y + w2.z + w2.w, w3.x + w3.y + w3.z + w3.w);
#endif
            }
            sums[t] = fma(vec4(dots), scale * Floats(record + allTiles * TILE_K).at[tile], sums[t]);
#else
            for (int part = 0; part < WORDS / STEP; part++) {
                Floats f = Floats(record + (tile * TILE_K + (part * STEP + word) * WORD_K) * 4);
#if WORD_K == 4
                vec4 v = vec4(f.at[0], f.at[1], f.at[2], f.at[3]);
                sums[t] = fma(vec4(dot(vec4(signedBytes(w[part].x)), v), dot(vec4(signedBytes(w[part].y)), v), dot(vec4(signedBytes(w[part].z)), v), dot(vec4(signedBytes(w[part].w)), v)), scale, sums[t]);
#elif WORD_K == 2
#ifdef F16
                vec2 w0 = unpackHalf2x16(w[part].x), w1 = unpackHalf2x16(w[part].y), w2 = unpackHalf2x16(w[part].z), w3 = unpackHalf2x16(w[part].w);
                vec4 low = vec4(w0.x, w1.x, w2.x, w3.x), high = vec4(w0.y, w1.y, w2.y, w3.y);
#else
                vec4 low = uintBitsToFloat(w[part] << 16), high = uintBitsToFloat(w[part] & 0xffff0000u);
#endif
                sums[t] = fma(low, vec4(f.at[0]), fma(high, vec4(f.at[1]), sums[t]));
#else
                sums[t] = fma(uintBitsToFloat(w[part]), vec4(f.at[0]), sums[t]);
#endif
            }
#endif
        }
    }
}
