// A workgroup makes the 16 rows of a panel for up to TILE_TOKENS tokens: K is cut into slices, of which each has 4 threads; a thread sums 4 rows over whole
// tiles, without a look at its neighbours, so that subgroups may have any number of lanes. Wants WORD_K (8: Q4, 4: Q8, 2: halves, 1: F32), and A8, DOT,
// F16 as they apply.
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_EXT_control_flow_attributes : require
#include "lanes.glsl"

layout(local_size_x_id = 1) in;

const int SLICE_THREADS = TILE_ROWS / 4;
const int THREADS = int(gl_WorkGroupSize.x);   // SLICES * SLICE_THREADS, or 8 where subgroups are narrow
const bool NARROW = LANES <= 8;
const int WORDS = TILE_K / WORD_K;
const int LOADED = min(WORDS, 8);              // words of each row that are under way at once
const int TILE_BYTES = TILE_ROWS * WORDS * WORD_BYTES;
const int SCALE_BYTES = TILE_ROWS * (WORD_K == 8 ? 3 : WORD_K == 4 ? 2 : 0); // of a tile

#ifdef A8
int xStride(int inner) { return a8Stride(inner); }
#else
int xStride(int inner) { return pad(inner) * 4; }
#endif

// Bytes of a matrix of panels, scales included.
uint64_t panelBytes(int outer, int inner) {
    return uint64_t((outer + TILE_ROWS - 1) / TILE_ROWS) * tiles(inner) * (TILE_BYTES + SCALE_BYTES);
}

uint64_t xRows[TILE_TOKENS]; // addresses of the activations; set by the caller
shared float partial[TILE_TOKENS][SLICES][TILE_ROWS];

#include "narrow.glsl"

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

// The float products of 4 rows' words with WORD_K activations, added to sum. zero: what Q4's numbers are too large by.
vec4 wordProducts(uvec4 w, vec4 zero, Floats x, vec4 sum) {
#if WORD_K >= 4
    vec4 v = vec4(x.at[0], x.at[1], x.at[2], x.at[3]);
#if WORD_K == 8
    vec4 u = vec4(x.at[4], x.at[5], x.at[6], x.at[7]);
    for (int r = 0; r < 4; r++) sum[r] += dot(lowHalves(w[r]) - zero[r], v) + dot(lowHalves(w[r] >> 4) - zero[r], u);
    return sum;
#else
    return sum + vec4(dot(vec4(signedBytes(w.x)), v), dot(vec4(signedBytes(w.y)), v), dot(vec4(signedBytes(w.z)), v), dot(vec4(signedBytes(w.w)), v));
#endif
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

// Sums up; afterwards rowSum(t, r) is the product of token t with row r of the panel.
void panelRows(uint64_t w, int outer, int inner, int panel, int tokens, int thread) {
    if (NARROW) {
        narrowRows(w, outer, inner, panel, tokens, thread);
        return;
    }
    int slice = thread / SLICE_THREADS, row = thread % SLICE_THREADS * 4, allTiles = tiles(inner);
    uint64_t values = w + (uint64_t(panel) * allTiles * WORDS * TILE_ROWS + row) * WORD_BYTES;
    uint64_t scales = w + uint64_t((outer + TILE_ROWS - 1) / TILE_ROWS) * allTiles * TILE_BYTES + uint64_t(panel) * allTiles * SCALE_BYTES;
    vec4 sums[TILE_TOKENS]; // of the thread's rows
    for (int t = 0; t < TILE_TOKENS; t++) sums[t] = vec4(0);
    for (int tile = allTiles * slice / SLICES; tile < allTiles * (slice + 1) / SLICES; tile++) {
#if WORD_K >= 4
        uvec2 s = Pairs(scales + uint64_t(tile) * SCALE_BYTES + row * 2).at[0];
        vec4 scale = vec4(unpackHalf2x16(s.x), unpackHalf2x16(s.y));
#endif
        vec4 zero = vec4(0);
#if WORD_K == 8
        uint z = Words(scales + uint64_t(tile) * SCALE_BYTES + TILE_ROWS * 2 + row).at[0];
        ivec4 zeros = ivec4(z, z >> 8, z >> 16, z >> 24) & 255; // in sixteenths
        zero = vec4(zeros) / 16;
#endif
        for (int part = 0; part < WORDS; part += LOADED) {
            uvec4 words[LOADED]; // a word of each of 4 rows
            for (int i = 0; i < LOADED; i++) words[i] = Quads(values + uint64_t(tile) * TILE_BYTES + (part + i) * TILE_ROWS * WORD_BYTES).at[0];
            for (int t = 0; t < tokens; t++) {
#if defined(A8)
                Quads x = Quads(xRows[t] + tile * TILE_K);
                uvec4 low = x.at[0], high = x.at[1];
                ivec4 dots = ivec4(0);
#if WORD_K == 8
                for (int i = 0; i < 2; i++) {
                    dots += wordDots(words[i] & LOW_HALVES, low[2 * i]) + wordDots(words[i] >> 4 & LOW_HALVES, low[2 * i + 1]);
                    dots += wordDots(words[i + 2] & LOW_HALVES, high[2 * i]) + wordDots(words[i + 2] >> 4 & LOW_HALVES, high[2 * i + 1]);
                }
                dots = 16 * dots - zeros * Ints(xRows[t] + allTiles * (TILE_K + 4)).at[tile]; // the sum of the activations
#else
                for (int i = 0; i < 4; i++) dots += wordDots(words[i], low[i]) + wordDots(words[i + 4], high[i]);
#endif
                // rounded at every step, in the order that all devices follow
#if WORD_K == 8
                vec4 unit = scale / 16;
#else
                vec4 unit = scale;
#endif
                precise vec4 term = vec4(dots) * (unit * Floats(xRows[t] + allTiles * TILE_K).at[tile]);
                precise vec4 sum = sums[t] + term;
                sums[t] = sum;
#else
                uint64_t x = xRows[t] + (tile * TILE_K + part * WORD_K) * 4;
#if WORD_K >= 4
                vec4 sum = vec4(0);
#else
                vec4 sum = sums[t];
#endif
                for (int i = 0; i < LOADED; i++) sum = wordProducts(words[i], zero, Floats(x + i * WORD_K * 4), sum);
#if WORD_K >= 4
                sum = fma(sum, scale, sums[t]);
#endif
                sums[t] = sum;
#endif
            }
        }
    }
    for (int t = 0; t < tokens; t++)
        for (int r = 0; r < 4; r++) partial[t][slice][row + r] = sums[t][r];
    barrier();
}

// The products that a thread gives out, (token, row) each.
const int OWN = NARROW ? TILE_TOKENS * 2 : 1;
ivec2 own(int thread, int i) { return NARROW ? ivec2(i / 2, thread * 2 + i % 2) : ivec2(thread / TILE_ROWS, thread % TILE_ROWS); }

// Slice after slice.
float rowSum(int t, int r) {
    if (NARROW) return totals[t][r % 2];
    precise float sum = 0;
    for (int i = 0; i < SLICES; i++) sum += partial[t][i][r];
    return sum;
}
