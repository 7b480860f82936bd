// The product of a panel of 16 rows with up to TILE_TOKENS tokens. LANES lanes read LANES · 16 consecutive bytes: a lane sums 4 rows of every word it meets.
// Wants WORD_K, and Q8, A8, DOT, F16 as they apply.
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

uint64_t xRows[TILE_TOKENS]; // addresses of the activations; set by the caller
vec4 sums[TILE_TOKENS];      // of rows lane % 4 * 4 to + 3, words lane / 4, + STEP, ... of the tiles from first to last

// The integer products of 4 rows' words with a word of activations.
ivec4 wordDots(uvec4 w, uint q) {
#ifdef DOT
    return ivec4(dotPacked4x8EXT(int(w.x), int(q)), dotPacked4x8EXT(int(w.y), int(q)),
        dotPacked4x8EXT(int(w.z), int(q)), dotPacked4x8EXT(int(w.w), int(q)));
#else
    ivec4 b = signedBytes(q);
    ivec4 w0 = signedBytes(w.x) * b, w1 = signedBytes(w.y) * b, w2 = signedBytes(w.z) * b, w3 = signedBytes(w.w) * b;
    return ivec4(w0.x + w0.y + w0.z + w0.w, w1.x + w1.y + w1.z + w1.w, w2.x + w2.y + w2.z + w2.w, w3.x + w3.y + w3.z + w3.w);
#endif
}

// The float products of 4 rows' words with WORD_K activations, added to sum; scale is that of Q8's rows.
vec4 wordProducts(uvec4 w, Floats x, vec4 scale, vec4 sum) {
#if WORD_K == 4
    vec4 v = vec4(x.at[0], x.at[1], x.at[2], x.at[3]);
    vec4 products = vec4(dot(vec4(signedBytes(w.x)), v), dot(vec4(signedBytes(w.y)), v), dot(vec4(signedBytes(w.z)), v), dot(vec4(signedBytes(w.w)), v));
    return fma(products, scale, sum);
#elif WORD_K == 2
#ifdef F16
    vec2 w0 = unpackHalf2x16(w.x), w1 = unpackHalf2x16(w.y), w2 = unpackHalf2x16(w.z), w3 = unpackHalf2x16(w.w);
    vec4 low = vec4(w0.x, w1.x, w2.x, w3.x), high = vec4(w0.y, w1.y, w2.y, w3.y);
#else
    vec4 low = uintBitsToFloat(w << 16), high = uintBitsToFloat(w & 0xffff0000u);
#endif
    return fma(low, vec4(x.at[0]), fma(high, vec4(x.at[1]), sum));
#else
    return fma(uintBitsToFloat(w), vec4(x.at[0]), sum);
#endif
}

// Word part * STEP + word of a tile of activations, for the lane that multiplies word. loaded: a word a lane, where they are passed on.
uint activationWord(Words x, uint loaded, int part, int word) {
    if (!BROADCAST) return x.at[part * STEP + word];
    uint q = subgroupBroadcast(loaded, part * STEP);
    for (int i = 1; i < STEP; i++) {
        uint passed = subgroupBroadcast(loaded, part * STEP + i);
        q = word == i ? passed : q;
    }
    return q;
}

void product(uint64_t w, int outer, int inner, int panel, int tokens, int lane, int first, int last) {
    int row = lane % 4 * 4, word = lane / 4, allTiles = tiles(inner);
    uint64_t values = w + uint64_t(panel) * allTiles * TILE_BYTES;
    uint64_t scales = w + uint64_t((outer + TILE_ROWS - 1) / TILE_ROWS) * allTiles * TILE_BYTES + uint64_t(panel) * allTiles * TILE_ROWS * 2;
    for (int t = 0; t < TILE_TOKENS; t++) sums[t] = vec4(0);
    for (int tile = first; tile < last; tile++) {
        vec4 scale = vec4(1);
#ifdef Q8
        uvec2 s = Pairs(scales + (tile * TILE_ROWS + row) * 2).at[0];
        scale = vec4(unpackHalf2x16(s.x), unpackHalf2x16(s.y));
#endif
        uvec4 w[WORDS / STEP]; // a word of each of 4 rows
        for (int part = 0; part < WORDS / STEP; part++) w[part] = Quads(values + uint64_t(tile) * TILE_BYTES + (part * LANES + lane) * 16).at[0];
        for (int t = 0; t < tokens; t++) {
#ifdef A8
            Words x = Words(xRows[t] + tile * TILE_K);
            ivec4 dots = ivec4(0);
            uint loaded = BROADCAST ? x.at[gl_SubgroupInvocationID % WORDS] : 0;
            for (int part = 0; part < WORDS / STEP; part++) dots += wordDots(w[part], activationWord(x, loaded, part, word));
            sums[t] = fma(vec4(dots), scale * Floats(xRows[t] + allTiles * TILE_K).at[tile], sums[t]);
#else
            for (int part = 0; part < WORDS / STEP; part++) {
                Floats x = Floats(xRows[t] + (tile * TILE_K + (part * STEP + word) * WORD_K) * 4);
                sums[t] = wordProducts(w[part], x, scale, sums[t]);
            }
#endif
        }
    }
}
