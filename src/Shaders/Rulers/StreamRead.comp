#version 460
// y[u] = the sum of the words of unit u of x. A group takes a unit; a thread has 8 loads of 16 bytes in flight.
// variant: i32
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "tile.glsl"
#include "lanes.glsl"

const int THREADS = 256;
const int LOADS = 8;

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t x, y;
    int units, unitQuads, streams, ahead;
} a;

shared uint total;

void main() {
    int thread = int(gl_LocalInvocationID.x);
    if (thread == 0) total = 0;
    barrier();
    // The lanes of a subgroup read what follows each other: threads that run one after the other, as on a CPU, then read on and on.
    int share = a.unitQuads / (THREADS / LANES), first = thread / LANES * share;
    Quads x = Quads(a.x + (uint64_t(gl_WorkGroupID.x) * a.unitQuads + first + thread % LANES) * 16);
    uvec4 sum = uvec4(0);
    for (int at = 0; at < share; at += LANES * LOADS) {
        uvec4 v[LOADS];
        [[unroll]] for (int i = 0; i < LOADS; i++) v[i] = x.at[at + i * LANES];
        [[unroll]] for (int i = 0; i < LOADS; i++) sum += v[i];
    }
    atomicAdd(total, sum.x + sum.y + sum.z + sum.w);
    barrier();
    if (thread == 0) Words(a.y).at[gl_WorkGroupID.x] = total;
}
