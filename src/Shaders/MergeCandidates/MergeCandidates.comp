#version 460
// Makes of the slices' candidates those of a row, largest first, and of their sums its maxima and log-sum-exps. A workgroup takes a row.
// variant: f32
#extension GL_GOOGLE_include_directive : require
#include "tile.glsl"

const int DIGIT = 8;
#include "best.glsl"

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t bestOfSlices, sums, best, raw, stats, count;
    int rows, slices;
} a;

shared int broken;
shared uint chosenKey[KEPT];
shared int chosen[KEPT]; // where its id lies

// Where the id of a candidate lies; its logit and what that was before it was edited lie KEPT and 2 * KEPT behind.
int place(int candidate) { return candidate / KEPT * BEST_OF_SLICE + candidate % KEPT; }

void main() {
    int row = int(gl_WorkGroupID.x), thread = int(gl_LocalInvocationID.x);
    if (row >= realRows(a.count, a.rows)) return;
    Ints of = Ints(a.bestOfSlices + uint64_t(row) * a.slices * BEST_OF_SLICE * 4);
    Words sums = Words(a.sums + uint64_t(row) * a.slices * SUMS_OF_SLICE * 4);
    Ints best = Ints(a.best + uint64_t(row) * 2 * KEPT * 4);
    Floats raw = Floats(a.raw + uint64_t(row) * KEPT * 4);
    Words stats = Words(a.stats + uint64_t(row) * SUMS_OF_SLICE * 4);

    if (thread == 0) broken = 0;
    barrier();
    for (int i = thread; i < a.slices; i += THREADS)
        if ((sums.at[i * SUMS_OF_SLICE] & NOT_FINITE) == NOT_FINITE) broken = 1;
    barrier();
    if (broken != 0) {
        if (thread < SUMS_OF_SLICE) stats.at[thread] = NOT_A_NUMBER;
        if (thread >= KEPT) return;
        best.at[2 * thread] = -1;
        best.at[2 * thread + 1] = floatBitsToInt(NOTHING);
        raw.at[thread] = NOTHING;
        return;
    }
    // one thread before edits, one after, slices in ascending order
    if (thread < 2) {
        float largest = NOTHING, sum = 0;
        for (int i = 0; i < a.slices; i++) largest = max(largest, uintBitsToFloat(sums.at[i * SUMS_OF_SLICE + 2 * thread]));
        for (int i = 0; i < a.slices; i++) {
            float part = uintBitsToFloat(sums.at[i * SUMS_OF_SLICE + 2 * thread + 1]);
            if (part > 0) sum += part * exp(uintBitsToFloat(sums.at[i * SUMS_OF_SLICE + 2 * thread]) - largest);
        }
        stats.at[2 * thread] = floatBitsToUint(largest);
        stats.at[2 * thread + 1] = floatBitsToUint(sum > 0 ? largest + log(sum) : NOTHING);
    }

    int all = a.slices * KEPT, own = 0;
    for (int i = thread; i < all; i += THREADS)
        if (key(intBitsToFloat(of.at[place(i) + KEPT])) != 0) own++;
    beginChoice(own, 0, 0xffffffffu, thread);
    int kept = wanted;
    while (bitsToFind > 0) {
        int shift = beginCount(thread);
        for (int i = thread; i < all; i += THREADS) count(key(intBitsToFloat(of.at[place(i) + KEPT])), shift);
        endCount(shift, thread);
    }

    // slices and the candidates of each come in ascending order of ids: of the last key's equals the first are taken
    int share = (all + THREADS - 1) / THREADS, from = thread * share, to = min(from + share, all);
    int larger = 0, equals = 0;
    for (int i = from; i < to; i++) {
        uint k = key(intBitsToFloat(of.at[place(i) + KEPT]));
        if (k == 0) continue;
        if (k > last) larger++;
        else if (k == last) equals++;
    }
    int before = upTo(larger << 16 | equals, thread) - (larger << 16 | equals);
    larger = before >> 16;
    equals = before & 0xffff;
    for (int i = from; i < to; i++) {
        uint k = key(intBitsToFloat(of.at[place(i) + KEPT]));
        if (k == 0 || k < last || k == last && equals >= wanted) continue;
        int at = larger + min(equals, wanted);
        if (k == last) equals++;
        else larger++;
        chosenKey[at] = k;
        chosen[at] = place(i);
    }
    barrier();
    if (thread >= KEPT) return;
    if (thread >= kept) {
        best.at[2 * thread] = -1;
        best.at[2 * thread + 1] = floatBitsToInt(NOTHING);
        raw.at[thread] = NOTHING;
        return;
    }
    // they lie in ascending order of ids, so of two equals the first is the better
    int rank = 0;
    for (int i = 0; i < kept; i++)
        if (chosenKey[i] > chosenKey[thread] || chosenKey[i] == chosenKey[thread] && i < thread) rank++;
    best.at[2 * rank] = of.at[chosen[thread]];
    best.at[2 * rank + 1] = of.at[chosen[thread] + KEPT];
    raw.at[rank] = intBitsToFloat(of.at[chosen[thread] + 2 * KEPT]);
}
