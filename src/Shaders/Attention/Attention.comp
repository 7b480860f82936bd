#version 460
// y[t,h] = Σ_j softmax_j(scale · q[t,h] · key[j]) · value[j] over the blocks of the token's sequence. A group takes up to ROWS heads of one KV head and tokens that follow each other, 64 keys at a time.
// variant: f16.f32.2x128 -DKV_F16 -DROWS=2 -DMAX_DIM=128
// variant: f16.f32.4x128 -DKV_F16 -DROWS=4 -DMAX_DIM=128
// variant: f16.f32.8x128 -DKV_F16 -DROWS=8 -DMAX_DIM=128
// variant: f16.f32.4x256 -DKV_F16 -DROWS=4 -DMAX_DIM=256
// variant: f16.a8.2x128 -DKV_F16 -DA8 -DROWS=2 -DMAX_DIM=128
// variant: f16.a8.4x128 -DKV_F16 -DA8 -DROWS=4 -DMAX_DIM=128
// variant: f16.a8.8x128 -DKV_F16 -DA8 -DROWS=8 -DMAX_DIM=128
// variant: f16.a8.4x256 -DKV_F16 -DA8 -DROWS=4 -DMAX_DIM=256
// variant: f32.f32.2x128 -DROWS=2 -DMAX_DIM=128
// variant: f32.f32.4x128 -DROWS=4 -DMAX_DIM=128
// variant: f32.f32.8x128 -DROWS=8 -DMAX_DIM=128
// variant: f32.f32.4x256 -DROWS=4 -DMAX_DIM=256
// variant: f32.a8.2x128 -DA8 -DROWS=2 -DMAX_DIM=128
// variant: f32.a8.4x128 -DA8 -DROWS=4 -DMAX_DIM=128
// variant: f32.a8.8x128 -DA8 -DROWS=8 -DMAX_DIM=128
// variant: f32.a8.4x256 -DA8 -DROWS=4 -DMAX_DIM=256
// variant: q8.f32.2x128 -DKV_Q8 -DROWS=2 -DMAX_DIM=128
// variant: q8.f32.4x128 -DKV_Q8 -DROWS=4 -DMAX_DIM=128
// variant: q8.f32.8x128 -DKV_Q8 -DROWS=8 -DMAX_DIM=128
// variant: q8.f32.4x256 -DKV_Q8 -DROWS=4 -DMAX_DIM=256
// variant: q8.a8.2x128 -DKV_Q8 -DA8 -DROWS=2 -DMAX_DIM=128
// variant: q8.a8.4x128 -DKV_Q8 -DA8 -DROWS=4 -DMAX_DIM=128
// variant: q8.a8.8x128 -DKV_Q8 -DA8 -DROWS=8 -DMAX_DIM=128
// variant: q8.a8.4x256 -DKV_Q8 -DA8 -DROWS=4 -DMAX_DIM=256
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "tile.glsl"
#include "lanes.glsl"

const int THREADS = 32;
const int KEYS = 2;                            // of a thread; then it takes words of the values
const int CHUNK = THREADS * KEYS;
const int SHARED = LANES < 8 ? 4 : 8;          // numbers of which each lane loads one for its subgroup
const int TEAM = 4;                            // threads of a row's softmax: the same for all, so that its order is
#if defined(KV_Q8)
const int WORD_K = 4;
#elif defined(KV_F16)
const int WORD_K = 2;
#else
const int WORD_K = 1;
#endif
const int WORDS = (MAX_DIM / WORD_K + THREADS - 1) / THREADS; // of the values that a thread sums up, at most

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t q, keys, values, blocks, sequences, positions, y, count;
    int tokens, heads, kvHeads, headDim, qCols, maxBlocks;
    float scale;
} a;

shared float q[ROWS][MAX_DIM]; // the scaled queries; in the end the sums
shared float p[ROWS][CHUNK];
shared float most[ROWS][TEAM], added[ROWS][TEAM], shrink[ROWS];

// The numbers of a word of the cache, without their scale.
#if defined(KV_Q8)
#define NUMBERS vec4
#define NUMBER(list, i) list[(i) / 4][(i) % 4]
vec4 numbers(uint w) { return vec4(signedBytes(w)); }
#elif defined(KV_F16)
#define NUMBERS vec2
#define NUMBER(list, i) list[(i) / 2][(i) % 2]
vec2 numbers(uint w) { return unpackHalf2x16(w); }
#else
#define NUMBERS float
#define NUMBER(list, i) list[i]
float numbers(uint w) { return uintBitsToFloat(w); }
#endif

void main() {
    int token = int(gl_WorkGroupID.x), kvHead = int(gl_WorkGroupID.y), thread = int(gl_LocalInvocationID.x), lane = int(gl_SubgroupInvocationID) % SHARED;
    int tokens = realRows(a.count, a.tokens), group = a.heads / a.kvHeads, dim = a.headDim;
    if (token >= tokens) return;

    // The rows: the heads of this token and of those behind it that follow in the same sequence. A token that another one took along has nothing to do.
    Ints positions = Ints(a.positions), sequences = Ints(a.sequences);
    int position = positions.at[token], sequence = sequences.at[token], together = max(1, ROWS / group);
    if (position % together != 0 && token > 0 && sequences.at[token - 1] == sequence && positions.at[token - 1] == position - 1) return;
    int taken = 1;
    while (token + taken < tokens && (position + taken) % together != 0 && sequences.at[token + taken] == sequence && positions.at[token + taken] == position + taken) taken++;
    int head0 = kvHead * group + int(gl_WorkGroupID.z) * ROWS, heads = min(ROWS, (kvHead + 1) * group - head0), rows = taken * heads;
    int context = position + taken;

    for (int i = thread; i < ROWS * dim; i += THREADS) {
        int r = i / dim;
        q[r][i % dim] = r < rows ? Floats(a.q + (uint64_t(token + r / heads) * pad(a.qCols) + (head0 + r % heads) * dim) * 4).at[i % dim] * a.scale : 0;
    }
    Ints blocks = Ints(a.blocks + uint64_t(sequence) * a.maxBlocks * 4);
    int row = thread / TEAM, member = thread % TEAM;
    bool weighs = row < ROWS;
    int length = row < rows ? position + row / heads + 1 : 0;
    float largest = -1.0 / 0.0, total = 0;           // of the row; its whole team knows them
    NUMBERS sum[WORDS][ROWS];
    for (int w = 0; w < WORDS; w++)
        for (int r = 0; r < ROWS; r++) sum[w][r] = NUMBERS(0);
    barrier();

    for (int start = 0; start < context; start += CHUNK) {
        // scores
        Words words[KEYS];
#if defined(KV_Q8)
        Floats scales[KEYS];
#endif
        float s[KEYS][ROWS];
        for (int i = 0; i < KEYS; i++) {
            int key = min(start + i * THREADS + thread, context - 1);
            uint64_t block = a.keys + (uint64_t(blocks.at[key / KV_TOKENS]) * a.kvHeads + kvHead) * kvHeadBytes(dim, WORD_K);
            words[i] = Words(block + key % KV_TOKENS * 4);
#if defined(KV_Q8)
            scales[i] = Floats(block + KV_TOKENS * dim + key % KV_TOKENS * 4);
#endif
            for (int r = 0; r < ROWS; r++) s[i][r] = 0;
        }
        for (int d = 0; d < dim; d += SHARED) {
            NUMBERS k[KEYS][8 / WORD_K];
            for (int i = 0; i < KEYS; i++)
                for (int w = 0; w < SHARED / WORD_K; w++) {
                    k[i][w] = numbers(words[i].at[(d / WORD_K + w) * KV_TOKENS]);
#if defined(KV_Q8)
                    k[i][w] *= scales[i].at[d / 32 * KV_TOKENS];
#endif
                }
            for (int r = 0; r < ROWS; r++) {
                float held = q[r][d + lane];
                for (int c = 0; c < SHARED; c++) {
                    float one = subgroupBroadcast(held, c);
                    for (int i = 0; i < KEYS; i++) s[i][r] = fma(NUMBER(k[i], c), one, s[i][r]);
                }
            }
        }
        for (int i = 0; i < KEYS; i++)
            for (int r = 0; r < ROWS; r++) p[r][i * THREADS + thread] = s[i][r];
        barrier();
        // weights relative to the running maximum
        float here = largest;
        if (weighs) {
            for (int i = member; i < CHUNK; i += TEAM) here = start + i < length ? max(here, p[row][i]) : here;
            most[row][member] = here;
        }
        barrier();
        if (weighs) {
            for (int i = 0; i < TEAM; i++) here = max(here, most[row][i]);
            float kept = largest == here ? 1 : exp(largest - here), extra = 0;
            largest = here;
            for (int i = member; i < CHUNK; i += TEAM) extra += p[row][i] = start + i < length ? exp(p[row][i] - largest) : 0;
            added[row][member] = extra;
            total *= kept;
            if (member == 0) shrink[row] = kept;
        }
        barrier();
        if (weighs)
            for (int i = 0; i < TEAM; i++) total += added[row][i];

        // values
        for (int w = 0; w < WORDS; w++) {
            for (int r = 0; r < ROWS; r++) sum[w][r] *= shrink[r];
        }
        int there = min(CHUNK, context - start);
        for (int j0 = 0; j0 < there; j0 += KV_TOKENS) {
            uint64_t block = a.values + (uint64_t(blocks.at[(start + j0) / KV_TOKENS]) * a.kvHeads + kvHead) * kvHeadBytes(dim, WORD_K);
            for (int j1 = j0; j1 < min(j0 + KV_TOKENS, there); j1 += SHARED) {
                NUMBERS n[WORDS][8];
                for (int w = 0; w < WORDS; w++)
                    for (int c = 0; c < SHARED; c++) {
                        int j = min(j1 + c, there - 1) - j0; // behind the context the weights are 0, but what lies there may be no number
                        int word = min(thread + w * THREADS, dim / WORD_K - 1);
                        n[w][c] = numbers(Words(block).at[j * (dim / WORD_K) + word]);
#if defined(KV_Q8)
                        n[w][c] *= Floats(block + KV_TOKENS * dim).at[j * dim / 32 + word / 8];
#endif
                    }
                for (int r = 0; r < ROWS; r++) {
                    float held = p[r][j1 + lane];
                    for (int c = 0; c < SHARED; c++) {
                        NUMBERS one = NUMBERS(subgroupBroadcast(held, c));
                        for (int w = 0; w < WORDS; w++) sum[w][r] = fma(n[w][c], one, sum[w][r]);
                    }
                }
            }
        }
        barrier();
    }
    for (int w = 0; w < WORDS; w++) {
        int word = thread + w * THREADS;
        if (word >= dim / WORD_K) break;
        for (int r = 0; r < ROWS; r++)
#if defined(KV_Q8) || defined(KV_F16)
            for (int c = 0; c < WORD_K; c++) q[r][word * WORD_K + c] = sum[w][r][c];
#else
            q[r][word] = sum[w][r];
#endif
    }
    if (weighs && member == 0) shrink[row] = total;
    barrier();

    // the activations, in groups of 32
    int cols = a.heads * dim;
    for (int i = thread; i < rows * dim / 32; i += THREADS) {
        int r = i * 32 / dim, d = i * 32 % dim, at = (head0 + r % heads) * dim + d, t = token + r / heads;
#ifdef A8
        float most = 0;
        for (int c = 0; c < 32; c++) most = max(most, abs(q[r][d + c] / shrink[r]));
        float scale = most < 1e-30 ? 0 : most / 127;
        uint64_t record = a.y + uint64_t(t) * a8Stride(cols);
        int all = 0;
        for (int c = 0; c < 32; c += 4) {
            ivec4 v = scale == 0 ? ivec4(0) : ivec4(roundEven(vec4(q[r][d + c], q[r][d + c + 1], q[r][d + c + 2], q[r][d + c + 3]) / shrink[r] / scale));
            all += v.x + v.y + v.z + v.w;
            Words(record + at + c).at[0] = uint(v.x & 255) | uint(v.y & 255) << 8 | uint(v.z & 255) << 16 | uint(v.w & 255) << 24;
        }
        Floats(record + pad(cols) + at / 32 * 4).at[0] = scale;
        Ints(record + pad(cols) + pad(cols) / 8 + at / 32 * 4).at[0] = all;
#else
        Floats y = Floats(a.y + (uint64_t(t) * pad(cols) + at) * 4);
        for (int c = 0; c < 32; c++) y.at[c] = q[r][d + c] / shrink[r];
#endif
    }
}
