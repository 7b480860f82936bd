#version 460
// Sorts the pairs (token, choice) by expert and cuts the lists into tiles. One workgroup.
// A counting sort without atomics: the pairs are cut into parts that follow each other, a thread goes through a part, and a place is what earlier parts and
// earlier pairs of the part leave free, so that the order within an expert is kept.
// variant: i32
#extension GL_GOOGLE_include_directive : require
#include "tile.glsl"

const int THREADS = 256;
const int COUNTS = 4096; // of pairs, by part and expert

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t chosen, order, groups, count;
    int tokens, perToken, experts, tileRows;
} a;

shared int counts[COUNTS];        // first of each part's pairs of an expert, then of those before; in the end the next place
shared int first[MAX_EXPERTS];    // ends of the experts' lists, then their beginnings
shared int tilesTo[MAX_EXPERTS];  // the same of their tiles

void main() {
    int thread = int(gl_LocalInvocationID.x), pairs = realRows(a.count, a.tokens) * a.perToken, experts = a.experts;
    int parts = clamp(min(COUNTS / experts, pairs), 1, THREADS), size = (pairs + parts - 1) / parts;
    int from = min(pairs, thread * size), to = thread < parts ? min(pairs, from + size) : from;
    Ints chosen = Ints(a.chosen), order = Ints(a.order), groups = Ints(a.groups);
    for (int i = thread; i < parts * experts; i += THREADS) counts[i] = 0;
    barrier();
    for (int p = from; p < to; p++) counts[thread * experts + chosen.at[p]]++;
    barrier();
    for (int e = thread; e < experts; e += THREADS) {
        int all = 0;
        for (int part = 0; part < parts; part++) {
            int here = counts[part * experts + e];
            counts[part * experts + e] = all;
            all += here;
        }
        first[e] = all;
        tilesTo[e] = (all + a.tileRows - 1) / a.tileRows;
    }
    barrier();
    // sums of all experts up to each: those of twice as many in every round
    for (int width = 1; width < experts; width *= 2) {
        int pairsBefore[MAX_EXPERTS / THREADS], tilesBefore[MAX_EXPERTS / THREADS];
        for (int e = thread, i = 0; e < experts; e += THREADS, i++) {
            pairsBefore[i] = e >= width ? first[e - width] : 0;
            tilesBefore[i] = e >= width ? tilesTo[e - width] : 0;
        }
        barrier();
        for (int e = thread, i = 0; e < experts; e += THREADS, i++) {
            first[e] += pairsBefore[i];
            tilesTo[e] += tilesBefore[i];
        }
        barrier();
    }
    for (int e = thread; e < experts; e += THREADS) {
        int begin = e > 0 ? first[e - 1] : 0, tile = e > 0 ? tilesTo[e - 1] : 0;
        groups.at[e] = begin;
        for (int place = begin; place < first[e]; place += a.tileRows, tile++) {
            int at = experts + 2 + 3 * tile;
            groups.at[at] = e;
            groups.at[at + 1] = place;
            groups.at[at + 2] = min(a.tileRows, first[e] - place);
        }
        for (int part = 0; part < parts; part++) counts[part * experts + e] += begin;
    }
    if (thread == 0) {
        groups.at[experts] = first[experts - 1];
        groups.at[experts + 1] = tilesTo[experts - 1];
    }
    barrier();
    for (int p = from; p < to; p++) order.at[counts[thread * experts + chosen.at[p]]++] = p;
}
