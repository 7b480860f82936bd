#version 460
// Norms a row and chooses its experts. A workgroup takes a token; 16 threads share a row of the router's matrix.
// variant: f32
// variant: a8 -DY_A8
#extension GL_GOOGLE_include_directive : require
#include "tile.glsl"

const int THREADS = 256;
const int PARTS = THREADS / TILE_ROWS;
#include "store.glsl"

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t x, norm, w, y, chosen, shares, count;
    int tokens, dim, experts, perToken, renormalise;
    float eps;
} a;

shared float partial[THREADS];
shared int partialId[THREADS];
shared float logits[MAX_EXPERTS];

// The sum or the maximum of total threads' values.
float reduce(float v, bool maximum, int thread) {
    barrier();
    partial[thread] = v;
    barrier();
    for (int width = THREADS / 2; width > 0; width /= 2) {
        if (thread < width) {
            float other = partial[thread + width];
            partial[thread] = maximum ? max(partial[thread], other) : partial[thread] + other;
        }
        barrier();
    }
    return partial[0];
}

void main() {
    int token = int(gl_WorkGroupID.x), thread = int(gl_LocalInvocationID.x);
    if (token >= realRows(a.count, a.tokens)) return;
    Floats x = Floats(a.x + uint64_t(token) * pad(a.dim) * 4), norm = Floats(a.norm);
    float squares = 0;
    for (int c = thread; c < a.dim; c += THREADS) squares = fma(x.at[c], x.at[c], squares);
    float factor = 1 / sqrt(reduce(squares, false, thread) / a.dim + a.eps);
    uint64_t row = a.y + uint64_t(token) * yStride(a.dim);
    int words = pad(a.dim) / 4;
    for (int first = 0; first < words; first += THREADS) {
        int word = first + thread;
        vec4 v = vec4(0);
        for (int i = 0; i < 4; i++)
            if (word * 4 + i < a.dim) v[i] = x.at[word * 4 + i] * factor * norm.at[word * 4 + i];
        storeWord(row, a.dim, word < words ? word : -1, v, thread);
    }

    // a row of the matrix: thread % 16; every 16th column
    for (int first = 0; first < a.experts; first += TILE_ROWS) {
        Floats w = Floats(a.w + uint64_t(first) * pad(a.dim) * 4);
        float sum = 0;
        for (int c = thread / TILE_ROWS; c < a.dim; c += PARTS) sum = fma(x.at[c] * factor * norm.at[c], w.at[c * TILE_ROWS + thread % TILE_ROWS], sum);
        barrier();
        partial[thread] = sum;
        barrier();
        if (thread < TILE_ROWS && first + thread < a.experts) {
            sum = 0;
            for (int i = 0; i < PARTS; i++) sum += partial[i * TILE_ROWS + thread];
            logits[first + thread] = sum;
        }
    }
    barrier();
    float largest = -1.0 / 0.0;
    for (int e = thread; e < a.experts; e += THREADS) largest = max(largest, logits[e]);
    largest = reduce(largest, true, thread);
    float total = 0;
    for (int e = thread; e < a.experts; e += THREADS) total += exp(logits[e] - largest);
    total = reduce(total, false, thread);

    // the best, one after the other; of equals the lowest id
    Ints chosen = Ints(a.chosen + uint64_t(token) * a.perToken * 4);
    Floats shares = Floats(a.shares + uint64_t(token) * a.perToken * 4);
    float chosenSum = 0;
    for (int i = 0; i < a.perToken; i++) {
        int best = -1;
        for (int e = thread; e < a.experts; e += THREADS)
            if (best < 0 || logits[e] > logits[best]) best = e;
        barrier();
        partialId[thread] = best;
        barrier();
        for (int step = THREADS / 2; step > 0; step /= 2) {
            if (thread < step) {
                int l = partialId[thread], r = partialId[thread + step];
                if (l < 0 || r >= 0 && (logits[r] > logits[l] || logits[r] == logits[l] && r < l)) partialId[thread] = r;
            }
            barrier();
        }
        best = partialId[0];
        float p = exp(logits[best] - largest);
        chosenSum += p;
        if (thread == 0) {
            chosen.at[i] = best;
            shares.at[i] = p;
        }
        barrier();
        if (thread == 0) logits[best] = -1.0 / 0.0;
        barrier();
    }
    if (thread == 0)
        for (int i = 0; i < a.perToken; i++) shares.at[i] /= a.renormalise != 0 ? chosenSum : total;
}
