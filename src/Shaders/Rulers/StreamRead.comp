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

// Words of 16 bytes as two numbers: a CPU without vectors for loads makes half as many of them.
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer LongPairs { u64vec2 at[]; };

shared uint total;

void main() {
    int thread = int(gl_LocalInvocationID.x);
    if (thread == 0) total = 0;
    barrier();
    // The lanes of a subgroup read what follows each other. Where they are few, as on a CPU, whose lanes load one by one, each reads on and on by itself.
    const int ROW = LANES <= 8 ? 1 : LANES; // threads that share what they read
    int share = a.unitQuads / (THREADS / ROW), first = thread / ROW * share;
    LongPairs x = LongPairs(a.x + (uint64_t(gl_WorkGroupID.x) * a.unitQuads + first + thread % ROW) * 16);
    uvec4 sum = uvec4(0);
    for (int at = 0; at < share; at += ROW * LOADS) {
        u64vec2 v[LOADS];
        [[unroll]] for (int i = 0; i < LOADS; i++) v[i] = x.at[at + i * ROW];
        [[unroll]] for (int i = 0; i < LOADS; i++) sum += uvec4(unpackUint2x32(v[i].x), unpackUint2x32(v[i].y));
    }
    atomicAdd(total, sum.x + sum.y + sum.z + sum.w);
    barrier();
    if (thread == 0) Words(a.y).at[gl_WorkGroupID.x] = total;
}
