#version 460
// 12 chains of multiply-adds a thread, in registers; y is their sum, which no step changes.
// variant: f32
// variant: i8.dot -DI8 -DDOT
// variant: i8 -DI8
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef DOT
#extension GL_EXT_integer_dot_product : require
#endif
#include "tile.glsl"

const int THREADS = 256;
const int CHAINS = 12;
const int UNROLL = 8;

#ifdef I8
#define NUMBER int
#define NUMBERS Ints
#else
#define NUMBER float
#define NUMBERS Floats
#endif

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t x, y;
    int lanes, rounds;
} a;

NUMBER stepped(NUMBER chain, NUMBER m, NUMBER n) {
#ifdef DOT
    return dotPacked4x8EXT(chain, m) + n;
#elif defined(I8)
    ivec4 p = signedBytes(uint(chain)) * signedBytes(uint(m));
    return p.x + p.y + p.z + p.w + n;
#else
    return fma(chain, m, n);
#endif
}

void main() {
    NUMBER m = NUMBERS(a.x).at[0], n = NUMBERS(a.x).at[1], chains[CHAINS];
    [[unroll]] for (int c = 0; c < CHAINS; c++) chains[c] = NUMBER(c);
    for (int r = 0; r < a.rounds; r += UNROLL)
        [[unroll]] for (int u = 0; u < UNROLL; u++)
            [[unroll]] for (int c = 0; c < CHAINS; c++) chains[c] = stepped(chains[c], m, n);
    NUMBER sum = NUMBER(0);
    [[unroll]] for (int c = 0; c < CHAINS; c++) sum += chains[c];
    NUMBERS(a.y).at[gl_GlobalInvocationID.x] = sum;
}
