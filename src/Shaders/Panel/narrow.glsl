// The product for narrow subgroups, those of a CPU: 8 threads make a panel, each 2 rows over all of K, slice after slice, with nothing shared and no barrier.
// There a lane's load costs as much whatever it loads, both sides of a branch are computed, and floats are what is multiplied fast: so a load takes the words
// of both rows, lanes turn a part of the activations into floats and pass it on, and a tile's integers are summed as floats, which hold them exactly (< 2^24).
const int SHARERS = LANES < 8 ? LANES : 8;     // lanes that pass activations on to each other
const int LOADS = TILE_K / 4 / SHARERS;        // of a lane, 4 activations each

// Bytes as two numbers of 32 bits, loaded as one of 64.
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer Longs { uint64_t at[]; };

vec2 totals[TILE_TOKENS]; // of the thread's rows

// Puts the numbers of word i of a tile's row into its place. zero: what Q4's are too large by, 0 where integers are summed.
void unpackWord(uint word, int i, float zero, inout vec4 row[TILE_K / 4]) {
#if WORD_K == 8
    row[2 * i] = lowHalves(word) - zero;
    row[2 * i + 1] = lowHalves(word >> 4) - zero;
#elif WORD_K == 4
    row[i] = vec4(signedBytes(word));
#elif WORD_K == 2
#ifdef F16
    vec2 v = unpackHalf2x16(word);
#else
    vec2 v = vec2(uintBitsToFloat(word << 16), uintBitsToFloat(word & 0xffff0000u));
#endif
    row[i / 2][i % 2 * 2] = v.x;
    row[i / 2][i % 2 * 2 + 1] = v.y;
#else
    row[i / 4][i % 4] = uintBitsToFloat(word);
#endif
}

void narrowRows(uint64_t w, int outer, int inner, int panel, int tokens, int thread) {
    int allTiles = tiles(inner), lane = int(gl_SubgroupInvocationID) % SHARERS;
    uint64_t values = w + (uint64_t(panel) * allTiles * WORDS * TILE_ROWS + thread * 2) * WORD_BYTES;
    uint64_t scales = w + uint64_t((outer + TILE_ROWS - 1) / TILE_ROWS) * allTiles * TILE_BYTES + uint64_t(panel) * allTiles * SCALE_BYTES;
    [[unroll]] for (int t = 0; t < TILE_TOKENS; t++) totals[t] = vec2(0);
    uint64_t ownRow = xRows[min(lane % TILE_TOKENS, tokens - 1)]; // a lane loads what a tile of a token's activations has once
    vec2 sliceSums[TILE_TOKENS];
    [[unroll]] for (int t = 0; t < TILE_TOKENS; t++) sliceSums[t] = vec2(0);
    for (int tile = 0, slice = 0; tile < allTiles; tile++) {
        vec2 scale = vec2(1), zero = vec2(0);
#if WORD_K >= 4
        scale = unpackHalf2x16(Words(scales + uint64_t(tile) * SCALE_BYTES + thread * 4).at[0]);
#endif
#if WORD_K == 8
        uint z = Words(scales + uint64_t(tile) * SCALE_BYTES + TILE_ROWS * 2 + thread / 2 * 4).at[0] >> thread % 2 * 16;
        vec2 zeros = vec2(ivec2(z, z >> 8) & 255); // in sixteenths
#ifndef A8
        zero = zeros / 16;
#endif
#endif
        vec4 row0[TILE_K / 4], row1[TILE_K / 4];
        [[unroll]] for (int i = 0; i < WORDS; i++) {
            uvec2 words = unpackUint2x32(Longs(values + uint64_t(tile) * TILE_BYTES).at[i * TILE_ROWS / 2]);
            unpackWord(words.x, i, zero.x, row0);
            unpackWord(words.y, i, zero.y, row1);
        }
#ifdef A8
        float xScale = Floats(ownRow + allTiles * TILE_K).at[tile];
#if WORD_K == 8
        float xSum = Ints(ownRow + allTiles * (TILE_K + 4)).at[tile]; // of the activations
#endif
#endif
        [[dont_unroll]] for (int t = 0; t < tokens; t++) {
            uint64_t x = xRows[t];
            vec4 loaded[LOADS];
            [[unroll]] for (int i = 0; i < LOADS; i++) {
                int quad = tile * TILE_K / 4 + i * SHARERS + lane;
#ifdef A8
                loaded[i] = vec4(signedBytes(Words(x).at[quad]));
#else
                loaded[i] = uintBitsToFloat(Quads(x).at[quad]);
#endif
            }
            vec4 product0 = vec4(0), product1 = vec4(0);
            [[unroll]] for (int i = 0; i < TILE_K / 4; i++) {
                vec4 v = subgroupBroadcast(loaded[i / SHARERS], i % SHARERS);
                product0 = fma(row0[i], v, product0);
                product1 = fma(row1[i], v, product1);
            }
            vec2 product = vec2(product0.x + product0.y + product0.z + product0.w, product1.x + product1.y + product1.z + product1.w);
            vec2 unit = scale;
#ifdef A8
#if WORD_K == 8
            product = 16 * product - zeros * subgroupBroadcast(xSum, t);
            unit = scale / 16;
#endif
            unit *= subgroupBroadcast(xScale, t);
#endif
            precise vec2 term = product * unit;
            [[unroll]] for (int u = 0; u < TILE_TOKENS; u++) {
                precise vec2 sum = sliceSums[u] + term;
                if (u == t) sliceSums[u] = sum;
            }
        }
        if (tile + 1 < allTiles * (slice + 1) / SLICES) continue;
        slice++;
        [[unroll]] for (int t = 0; t < TILE_TOKENS; t++) {
            precise vec2 sum = totals[t] + sliceSums[t];
            totals[t] = sum;
            sliceSums[t] = vec2(0);
        }
    }
}
