#version 460
// y[t,c] = x[t,c] / sqrt(mean_c(x[t,c]²) + eps) · w[c]. A workgroup takes a token.
// variant: f32
// variant: a8 -DY_A8
#extension GL_GOOGLE_include_directive : require
#include "tile.glsl"

const int THREADS = 256;
#include "store.glsl"

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t x, w, y, count;
    int tokens, dim;
    float eps;
} a;

shared float partial[THREADS];

void main() {
    int token = int(gl_WorkGroupID.x), thread = int(gl_LocalInvocationID.x);
    if (token >= realRows(a.count, a.tokens)) return;
    Floats x = Floats(a.x + uint64_t(token) * pad(a.dim) * 4), w = Floats(a.w);
    float squares = 0;
    for (int c = thread; c < a.dim; c += THREADS) squares = fma(x.at[c], x.at[c], squares);
    partial[thread] = squares;
    barrier();
    for (int width = THREADS / 2; width > 0; width /= 2) {
        if (thread < width) partial[thread] += partial[thread + width];
        barrier();
    }
    float factor = 1 / sqrt(partial[0] / a.dim + a.eps);
    uint64_t row = a.y + uint64_t(token) * yStride(a.dim);
    int words = pad(a.dim) / 4;
    for (int first = 0; first < words; first += THREADS) {
        int word = first + thread;
        vec4 v = vec4(0);
        for (int i = 0; i < 4; i++)
            if (word * 4 + i < a.dim) v[i] = x.at[word * 4 + i] * factor * w.at[word * 4 + i];
        storeWord(row, a.dim, word < words ? word : -1, v, thread);
    }
}
