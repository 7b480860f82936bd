#version 460
// Sorts the pairs (token, choice) by expert and cuts the lists into tiles.
// One workgroup; a thread owns experts and goes through all pairs, so that their order is kept.
// variant: i32
#extension GL_GOOGLE_include_directive : require
#include "tile.glsl"

const int THREADS = 256;

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t chosen, order, groups, count;
    int tokens, perToken, experts;
} a;

shared int first[MAX_EXPERTS + 1]; // of each expert's list
shared int tilesTo[MAX_EXPERTS + 1]; // tiles of the experts before

void main() {
    int thread = int(gl_LocalInvocationID.x), pairs = realRows(a.count, a.tokens) * a.perToken;
    Ints chosen = Ints(a.chosen), order = Ints(a.order), groups = Ints(a.groups);
    for (int e = thread; e < a.experts; e += THREADS) {
        int mine = 0;
        for (int p = 0; p < pairs; p++)
            if (chosen.at[p] == e) mine++;
        first[e + 1] = mine;
        tilesTo[e + 1] = (mine + TILE_TOKENS - 1) / TILE_TOKENS;
    }
    barrier();
    if (thread == 0) {
        first[0] = 0;
        tilesTo[0] = 0;
        for (int e = 0; e < a.experts; e++) {
            first[e + 1] += first[e];
            tilesTo[e + 1] += tilesTo[e];
        }
        groups.at[a.experts + 1] = tilesTo[a.experts];
    }
    barrier();
    for (int e = thread; e <= a.experts; e += THREADS) {
        groups.at[e] = first[e];
        if (e == a.experts) continue;
        int place = first[e];
        for (int p = 0; p < pairs && place < first[e + 1]; p++)
            if (chosen.at[p] == e) order.at[place++] = p;
        for (int i = 0; i < tilesTo[e + 1] - tilesTo[e]; i++) {
            int at = a.experts + 2 + 3 * (tilesTo[e] + i), from = first[e] + i * TILE_TOKENS;
            groups.at[at] = e;
            groups.at[at + 1] = from;
            groups.at[at + 2] = min(TILE_TOKENS, first[e + 1] - from);
        }
    }
}
