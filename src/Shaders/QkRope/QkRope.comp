#version 460
// Per head of q and k: RMSNorm, then rotation; q stays in place, k and v go to the KV cache. A workgroup takes a head of a token.
// variant: f16 -DKV_F16
// variant: f32
// variant: q8 -DKV_Q8
#extension GL_GOOGLE_include_directive : require
#include "tile.glsl"

const int THREADS = 64;
#if defined(KV_Q8)
const int WORD_K = 4;
#elif defined(KV_F16)
const int WORD_K = 2;
#else
const int WORD_K = 1;
#endif

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t qkv, qNorm, kNorm, rope, slots, keys, values, count;
    int tokens, heads, kvHeads, headDim;
    float eps;
} a;

shared float head[MAX_HEAD_DIM];
shared float partial[THREADS];
#ifdef KV_Q8
shared float scales[MAX_HEAD_DIM / SCALE_BLOCK];
#endif

uint packWord(int word) {
#if defined(KV_Q8)
    return packedBytes(quantised(vec4(head[word * 4], head[word * 4 + 1], head[word * 4 + 2], head[word * 4 + 3]), scales[word / 8]));
#elif defined(KV_F16)
    return packHalf2x16(vec2(head[word * 2], head[word * 2 + 1]));
#else
    return floatBitsToUint(head[word]);
#endif
}

void main() {
    int token = int(gl_WorkGroupID.x), h = int(gl_WorkGroupID.y), thread = int(gl_LocalInvocationID.x);
    if (token >= realRows(a.count, a.tokens)) return;
    int dim = a.headDim, pairs = dim / 2, all = a.heads + 2 * a.kvHeads;
    bool query = h < a.heads, value = h >= a.heads + a.kvHeads;
    Floats x = Floats(a.qkv + (uint64_t(token) * pad(all * dim) + h * dim) * 4);
    float squares = 0;
    for (int d = thread; d < dim; d += THREADS) {
        head[d] = x.at[d];
        squares = fma(head[d], head[d], squares);
    }
    partial[thread] = squares;
    barrier();
    if (!value) {
        for (int width = THREADS / 2; width > 0; width /= 2) {
            if (thread < width) partial[thread] += partial[thread + width];
            barrier();
        }
        float factor = 1 / sqrt(partial[0] / dim + a.eps);
        Floats w = Floats(query ? a.qNorm : a.kNorm), rope = Floats(a.rope + uint64_t(token) * dim * 4);
        for (int d = thread; d < pairs; d += THREADS) {
            float low = head[d] * factor * w.at[d], high = head[d + pairs] * factor * w.at[d + pairs];
            float c = rope.at[d], s = rope.at[d + pairs];
            head[d] = low * c - high * s;
            head[d + pairs] = high * c + low * s;
        }
        barrier();
    }
    if (query) {
        for (int d = thread; d < dim; d += THREADS) x.at[d] = head[d];
        return;
    }
    int slot = Ints(a.slots).at[token], kvHead = value ? h - a.heads - a.kvHeads : h - a.heads;
    if (slot < 0) return;
    uint64_t block = (uint64_t(slot / KV_TOKENS) * a.kvHeads + kvHead) * kvHeadBytes(dim, WORD_K);
    int place = slot % KV_TOKENS, words = dim / WORD_K;
#ifdef KV_Q8
    if (thread < dim / SCALE_BLOCK) {
        uint largest = 0;
        for (int d = thread * SCALE_BLOCK; d < (thread + 1) * SCALE_BLOCK; d++) largest = max(largest, magnitude(head[d]));
        scales[thread] = blockScale(largest);
        Floats to = Floats((value ? a.values : a.keys) + block + KV_TOKENS * dim);
        to.at[value ? place * dim / SCALE_BLOCK + thread : thread * KV_TOKENS + place] = scales[thread];
    }
    barrier();
#endif
    Words to = Words((value ? a.values : a.keys) + block);
    for (int word = thread; word < words; word += THREADS) to.at[value ? place * words + word : word * KV_TOKENS + place] = packWord(word);
}
