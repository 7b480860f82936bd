#version 460
// y[s] = x[rows[s]]. A workgroup takes a row.
// variant: f32
#extension GL_GOOGLE_include_directive : require
#include "tile.glsl"

const int THREADS = 128;

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t x, rows, y, count;
    int wanted, dim;
} a;

void main() {
    int row = int(gl_WorkGroupID.x);
    if (row >= realRows(a.count, a.wanted)) return;
    Floats x = Floats(a.x + uint64_t(Ints(a.rows).at[row]) * pad(a.dim) * 4), y = Floats(a.y + uint64_t(row) * pad(a.dim) * 4);
    for (int c = int(gl_LocalInvocationID.x); c < pad(a.dim); c += THREADS) y.at[c] = x.at[c];
}
