#version 460
// Norms a row and chooses its experts: first the logits, 4 experts a workgroup, each of which norms the row for itself, since workgroups do not wait for each
// other; then the choice, a token a workgroup.
// variant: logits.f32
// variant: logits.a8 -DY_A8
// variant: choose -DCHOOSE
#extension GL_GOOGLE_include_directive : require
#include "tile.glsl"

const int THREADS = 128;
const int GROUP_EXPERTS = 4;
#include "store.glsl"

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t x, norm, w, y, logits, chosen, shares, count;
    int tokens, dim, experts, perToken, renormalise;
    float eps;
} a;

#ifdef CHOOSE
shared float logits[MAX_EXPERTS];
shared uint keys[MAX_EXPERTS]; // in the order of the logits, whatever they are: each expert then has a rank of its own
shared int best[MAX_EXPERTS];  // by rank
shared float partial[THREADS];

void main() {
    int token = int(gl_WorkGroupID.x), thread = int(gl_LocalInvocationID.x);
    if (token >= realRows(a.count, a.tokens)) return;
    Floats from = Floats(a.logits + uint64_t(token) * a.experts * 4);
    for (int e = thread; e < a.experts; e += THREADS) {
        logits[e] = from.at[e];
        uint bits = floatBitsToUint(logits[e]);
        keys[e] = bits ^ (bits >> 31 != 0 ? 0xffffffffu : 0x80000000u);
    }
    barrier();
    for (int e = thread; e < a.experts; e += THREADS) {
        int rank = 0; // of equals the lowest id comes first
        for (int other = 0; other < a.experts; other++) rank += int(keys[other] > keys[e] || keys[other] == keys[e] && other < e);
        best[rank] = e;
    }
    barrier();
    float largest = logits[best[0]], sum = 0;
    for (int e = thread; e < a.experts; e += THREADS) sum += exp(logits[e] - largest);
    partial[thread] = sum;
    barrier();
    if (thread >= a.perToken) return;
    float divisor = 0;
    if (a.renormalise != 0) for (int i = 0; i < a.perToken; i++) divisor += exp(logits[best[i]] - largest);
    else for (int i = 0; i < THREADS; i++) divisor += partial[i];
    int at = token * a.perToken + thread;
    Ints(a.chosen).at[at] = best[thread];
    Floats(a.shares).at[at] = exp(logits[best[thread]] - largest) / divisor;
}
#else
const int PARTS = 8; // of the threads, whose sums are added first

shared vec4 partial[THREADS];
shared float partialSquares[THREADS];

void main() {
    int first = int(gl_WorkGroupID.x) * GROUP_EXPERTS, token = int(gl_WorkGroupID.y), thread = int(gl_LocalInvocationID.x);
    if (token >= realRows(a.count, a.tokens)) return;
    Floats x = Floats(a.x + uint64_t(token) * pad(a.dim) * 4), norm = Floats(a.norm);
    // 4 rows of a panel lie together in each column; the norm's factor is that of all columns
    Quads w = Quads(a.w + (uint64_t(first / TILE_ROWS) * pad(a.dim) * TILE_ROWS + first % TILE_ROWS) * 4);
    vec4 sums = vec4(0);
    float squares = 0;
    for (int c = thread; c < a.dim; c += THREADS) {
        float v = x.at[c];
        squares = fma(v, v, squares);
        sums = fma(vec4(v * norm.at[c]), uintBitsToFloat(w.at[c * (TILE_ROWS / 4)]), sums);
    }
    partial[thread] = sums;
    partialSquares[thread] = squares;
    barrier();
    if (thread < PARTS)
        for (int i = thread + PARTS; i < THREADS; i += PARTS) {
            partial[thread] += partial[i];
            partialSquares[thread] += partialSquares[i];
        }
    barrier();
    squares = 0;
    for (int i = 0; i < PARTS; i++) squares += partialSquares[i];
    float factor = 1 / sqrt(squares / a.dim + a.eps);
    if (thread < min(GROUP_EXPERTS, a.experts - first)) {
        float sum = 0;
        for (int i = 0; i < PARTS; i++) sum += partial[i][thread];
        Floats(a.logits + (uint64_t(token) * a.experts + first) * 4).at[thread] = sum * factor;
    }
    if (first > 0) return; // the row itself once
    uint64_t row = a.y + uint64_t(token) * yStride(a.dim);
    int words = pad(a.dim) / 4;
    for (int begin = 0; begin < words; begin += THREADS) {
        int word = begin + thread;
        vec4 v = vec4(0);
        for (int i = 0; i < 4; i++)
            if (word * 4 + i < a.dim) v[i] = x.at[word * 4 + i] * factor * norm.at[word * 4 + i];
        storeWord(row, a.dim, word < words ? word : -1, v, thread);
    }
}
#endif
