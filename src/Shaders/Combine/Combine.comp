#version 460
// x[t,c] += Σ_i shares[t,i] · z[t · k + i, c], in the order of i. A workgroup takes a token.
// variant: f32
#extension GL_GOOGLE_include_directive : require
#include "tile.glsl"

const int THREADS = 128;

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t z, shares, x, count;
    int tokens, dim, perToken;
} a;

void main() {
    int token = int(gl_WorkGroupID.x);
    if (token >= realRows(a.count, a.tokens)) return;
    Floats x = Floats(a.x + uint64_t(token) * pad(a.dim) * 4), z = Floats(a.z + uint64_t(token) * a.perToken * pad(a.dim) * 4);
    Floats shares = Floats(a.shares + uint64_t(token) * a.perToken * 4);
    for (int c = int(gl_LocalInvocationID.x); c < a.dim; c += THREADS) {
        float sum = 0;
        for (int i = 0; i < a.perToken; i++) sum = fma(shares.at[i], z.at[i * pad(a.dim) + c], sum);
        x.at[c] += sum;
    }
}
