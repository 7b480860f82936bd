#version 460
// y[t,h] = Σ_j softmax_j(scale · q[t,h] · key[j]) · value[j] over the blocks of the token's sequence. A group takes one token and up to 8 heads of one KV head.
// variant: f16.f32 -DKV_F16
// variant: f16.a8 -DKV_F16 -DA8
// variant: f32.f32
// variant: q8.f32 -DKV_Q8
// variant: q8.a8 -DKV_Q8 -DA8
// variant: f32.a8 -DA8
#extension GL_GOOGLE_include_directive : require
#include "tile.glsl"

const int THREADS = 64;
const int HEADS = 8;
const int MAX_DIM = 256;
#if defined(KV_Q8)
const int WORD_K = 4;
#elif defined(KV_F16)
const int WORD_K = 2;
#else
const int WORD_K = 1;
#endif

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t q, keys, values, blocks, sequences, positions, y, count;
    int tokens, heads, kvHeads, headDim, qCols, maxBlocks;
    float scale;
} a;

shared float q[HEADS][MAX_DIM];
shared float sum[HEADS][MAX_DIM];
shared float p[HEADS][KV_TOKENS];
shared float largest[HEADS], total[HEADS], shrink[HEADS];

void main() {
    int token = int(gl_WorkGroupID.x), kvHead = int(gl_WorkGroupID.y), thread = int(gl_LocalInvocationID.x);
    int group = a.heads / a.kvHeads, head0 = kvHead * group + int(gl_WorkGroupID.z) * HEADS;
    int heads = min(HEADS, (kvHead + 1) * group - head0), dim = a.headDim;
    if (token >= realRows(a.count, a.tokens)) return;
    Floats from = Floats(a.q + (uint64_t(token) * pad(a.qCols) + head0 * dim) * 4);
    for (int i = thread; i < heads * dim; i += THREADS) {
        q[i / dim][i % dim] = from.at[i] * a.scale;
        sum[i / dim][i % dim] = 0;
    }
    if (thread < heads) {
        largest[thread] = -1.0 / 0.0;
        total[thread] = 0;
    }
    int context = Ints(a.positions).at[token] + 1;
    Ints blocks = Ints(a.blocks + uint64_t(Ints(a.sequences).at[token]) * a.maxBlocks * 4);
    barrier();

    for (int start = 0; start < context; start += KV_TOKENS) {
        int here = min(KV_TOKENS, context - start);
        uint64_t offset = (uint64_t(blocks.at[start / KV_TOKENS]) * a.kvHeads + kvHead) * kvHeadBytes(dim, WORD_K);
        // scores
        Words keys = Words(a.keys + offset);
        for (int i = thread; i < heads * KV_TOKENS; i += THREADS) {
            int h = i / KV_TOKENS, j = i % KV_TOKENS;
            float s = 0;
            for (int d = 0; d < dim; d += WORD_K) {
                uint w = keys.at[d / WORD_K * KV_TOKENS + j];
#if defined(KV_Q8)
                float scale = Floats(a.keys + offset + KV_TOKENS * dim).at[d / 32 * KV_TOKENS + j];
                s = fma(dot(vec4(signedBytes(w)), vec4(q[h][d], q[h][d + 1], q[h][d + 2], q[h][d + 3])), scale, s);
#elif defined(KV_F16)
                vec2 k = unpackHalf2x16(w);
                s = fma(k.x, q[h][d], s);
                s = fma(k.y, q[h][d + 1], s);
#else
                s = fma(uintBitsToFloat(w), q[h][d], s);
#endif
            }
            p[h][j] = j < here ? s : 0;
        }
        barrier();
        // weights relative to the running maximum
        if (thread < heads) {
            float most = largest[thread];
            for (int j = 0; j < here; j++) most = max(most, p[thread][j]);
            shrink[thread] = start == 0 ? 0 : exp(largest[thread] - most);
            float added = 0;
            for (int j = 0; j < here; j++) added += p[thread][j] = exp(p[thread][j] - most);
            total[thread] = total[thread] * shrink[thread] + added;
            largest[thread] = most;
        }
        barrier();
        // values
        Words values = Words(a.values + offset);
        for (int i = thread; i < heads * (dim / WORD_K); i += THREADS) {
            int h = i / (dim / WORD_K), word = i % (dim / WORD_K);
#if defined(KV_Q8)
            vec4 s = vec4(sum[h][4 * word], sum[h][4 * word + 1], sum[h][4 * word + 2], sum[h][4 * word + 3]) * shrink[h];
            for (int j = 0; j < here; j++) {
                float scale = Floats(a.values + offset + KV_TOKENS * dim).at[j * dim / 32 + word / 8];
                s = fma(vec4(signedBytes(values.at[j * (dim / 4) + word])), vec4(p[h][j] * scale), s);
            }
            for (int c = 0; c < 4; c++) sum[h][4 * word + c] = s[c];
#elif defined(KV_F16)
            vec2 s = vec2(sum[h][2 * word], sum[h][2 * word + 1]) * shrink[h];
            for (int j = 0; j < here; j++) s = fma(unpackHalf2x16(values.at[j * (dim / 2) + word]), vec2(p[h][j]), s);
            sum[h][2 * word] = s.x;
            sum[h][2 * word + 1] = s.y;
#else
            float s = sum[h][word] * shrink[h];
            for (int j = 0; j < here; j++) s = fma(uintBitsToFloat(values.at[j * dim + word]), p[h][j], s);
            sum[h][word] = s;
#endif
        }
        barrier();
    }

    // the activations, in groups of 32
    int cols = a.heads * dim;
    for (int i = thread; i < heads * dim / 32; i += THREADS) {
        int h = i * 32 / dim, d = i * 32 % dim, at = (head0 + h) * dim + d;
#ifdef A8
        float most = 0;
        for (int c = 0; c < 32; c++) most = max(most, abs(sum[h][d + c] / total[h]));
        float scale = most < 1e-30 ? 0 : most / 127;
        uint64_t record = a.y + uint64_t(token) * a8Stride(cols);
        int all = 0;
        for (int c = 0; c < 32; c += 4) {
            ivec4 v = scale == 0 ? ivec4(0) : ivec4(roundEven(vec4(sum[h][d + c], sum[h][d + c + 1], sum[h][d + c + 2], sum[h][d + c + 3]) / total[h] / scale));
            all += v.x + v.y + v.z + v.w;
            Words(record + at + c).at[0] = uint(v.x & 255) | uint(v.y & 255) << 8 | uint(v.z & 255) << 16 | uint(v.w & 255) << 24;
        }
        Floats(record + pad(cols) + at / 32 * 4).at[0] = scale;
        Ints(record + pad(cols) + pad(cols) / 8 + at / 32 * 4).at[0] = all;
#else
        Floats y = Floats(a.y + (uint64_t(token) * pad(cols) + at) * 4);
        for (int c = 0; c < 32; c++) y.at[c] = sum[h][d + c] / total[h];
#endif
    }
}
