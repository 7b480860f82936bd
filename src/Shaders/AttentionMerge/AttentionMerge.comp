#version 460
// y[t,h] = o / l of the partials of a token's splits, merged in ascending order. A workgroup takes 64 words of 4 numbers of a token.
// variant: f32
// variant: a8 -DY_A8
#extension GL_GOOGLE_include_directive : require
#include "tile.glsl"

const int THREADS = 64;
#include "store.glsl"
#include "merge.glsl"

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t partials, positions, y, count;
    int tokens, heads, headDim, splits;
} a;

vec4 numbers(Floats partial, int d) { return vec4(partial.at[d], partial.at[d + 1], partial.at[d + 2], partial.at[d + 3]); }

void main() {
    int token = int(gl_WorkGroupID.x), thread = int(gl_LocalInvocationID.x), cols = a.heads * a.headDim;
    int word = int(gl_WorkGroupID.y) * THREADS + thread, head = word * 4 / a.headDim, d = word * 4 % a.headDim;
    if (token >= realRows(a.count, a.tokens)) return;
    bool real = word * 4 < cols;
    vec4 o = vec4(0);
    if (real) {
        uint64_t partials = a.partials + (uint64_t(token) * a.heads + head) * a.splits * (a.headDim + 2) * 4;
        Floats partial = Floats(partials);
        float m = partial.at[a.headDim], l = partial.at[a.headDim + 1];
        o = numbers(partial, d);
        int last = Ints(a.positions).at[token] / SPLIT_TOKENS;
        for (int s = 1; s <= last; s++) {
            partial = Floats(partials + uint64_t(s) * (a.headDim + 2) * 4);
            float now = partial.at[a.headDim];
            vec2 share = shares(m, now);
            precise float total = fma(partial.at[a.headDim + 1], share.y, l * share.x);
            precise vec4 sum = fma(numbers(partial, d), vec4(share.y), o * share.x);
            m = max(m, now);
            l = total;
            o = sum;
        }
        o /= l;
    }
    storeWord(a.y + uint64_t(token) * yStride(cols), cols, real ? word : -1, o, thread);
}
