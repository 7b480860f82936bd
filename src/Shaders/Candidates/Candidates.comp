#version 460
// Edits a row of logits and finds its 64 best, its maximum and its log-sum-exp. A workgroup takes a row.
// The 64th best is found by its bits, 8 at a time from the top; those above it and the first of its equals are collected and sorted.
// variant: f32
#extension GL_GOOGLE_include_directive : require
#include "tile.glsl"

const int THREADS = 256;
const float NOTHING = -1.0 / 0.0;

layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer Row { float at[]; };

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t logits, mask, edits, editCounts, best, stats, count;
    int rows, vocabulary, real, maxEdits;
} a;

shared float partial[THREADS];
shared uint bins[256];
shared int equals[THREADS];
shared uint chosenKey[KEPT];
shared int chosenId[KEPT];
shared uint prefix;
shared int wanted, found;

// Larger floats have larger keys; what cannot be chosen has 0.
uint key(float v) {
    if (!(v > NOTHING)) return 0;
    uint bits = floatBitsToUint(v == 0 ? 0.0 : v); // -0 is 0
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

void main() {
    int row = int(gl_WorkGroupID.x), thread = int(gl_LocalInvocationID.x);
    if (row >= realRows(a.count, a.rows)) return;
    Row logits = Row(a.logits + uint64_t(row) * pad(a.vocabulary) * 4);

    // masks, then edits, whose ids are distinct
    Words mask = Words(a.mask + uint64_t(row) * ((a.vocabulary + 31) / 32) * 4);
    for (int id = thread; id < a.vocabulary; id += THREADS)
        if (id >= a.real || a.mask != 0 && (mask.at[id / 32] >> (id % 32) & 1u) == 0) logits.at[id] = NOTHING;
    memoryBarrierBuffer();
    barrier();
    if (a.editCounts != 0) {
        Ints edits = Ints(a.edits + uint64_t(row) * 3 * a.maxEdits * 4);
        int edited = min(Ints(a.editCounts).at[row], a.maxEdits);
        for (int i = thread; i < edited; i += THREADS) {
            int id = edits.at[3 * i];
            if (id < 0 || id >= a.real) continue;
            float subtract = intBitsToFloat(edits.at[3 * i + 1]), divide = intBitsToFloat(edits.at[3 * i + 2]), l = logits.at[id];
            logits.at[id] = (l > 0 ? l / divide : l * divide) - subtract;
        }
        memoryBarrierBuffer();
        barrier();
    }

    // maximum and log-sum-exp
    float largest = NOTHING;
    for (int id = thread; id < a.vocabulary; id += THREADS) largest = max(largest, logits.at[id]);
    partial[thread] = largest;
    barrier();
    for (int width = THREADS / 2; width > 0; width /= 2) {
        if (thread < width) partial[thread] = max(partial[thread], partial[thread + width]);
        barrier();
    }
    largest = partial[0];
    barrier();
    float sum = 0;
    int finite = 0;
    for (int id = thread; id < a.vocabulary; id += THREADS) {
        float v = logits.at[id];
        sum += exp(v - largest);
        if (v > NOTHING) finite++;
    }
    partial[thread] = sum;
    equals[thread] = finite;
    barrier();
    for (int width = THREADS / 2; width > 0; width /= 2) {
        if (thread < width) {
            partial[thread] += partial[thread + width];
            equals[thread] += equals[thread + width];
        }
        barrier();
    }
    finite = equals[0];
    if (thread == 0) {
        Floats stats = Floats(a.stats + row * 8);
        stats.at[0] = largest;
        stats.at[1] = largest + log(partial[0]);
        prefix = 0;
        wanted = min(KEPT, finite);
        found = 0;
    }
    int kept = min(KEPT, finite);

    // the key of the last one kept: afterwards wanted is how many of its equals are kept
    for (int shift = 24; shift >= 0; shift -= 8) {
        bins[thread] = 0;
        barrier();
        uint above = shift == 24 ? 0 : 0xffffffffu << (shift + 8);
        for (int id = thread; id < a.vocabulary; id += THREADS) {
            uint k = key(logits.at[id]);
            if (k != 0 && (k & above) == prefix) atomicAdd(bins[k >> shift & 255u], 1u);
        }
        barrier();
        if (thread == 0) {
            int bin = 255;
            while (bin > 0 && int(bins[bin]) < wanted) wanted -= int(bins[bin--]);
            prefix |= uint(bin) << shift;
        }
        barrier();
    }
    uint last = prefix;
    int ties = wanted;

    // a thread looks through ids that follow each other, so that the equals with the lowest ids are kept
    int share = (a.vocabulary + THREADS - 1) / THREADS, from = thread * share, to = min(from + share, a.vocabulary);
    int own = 0;
    for (int id = from; id < to; id++)
        if (key(logits.at[id]) == last) own++;
    equals[thread] = own;
    barrier();
    int before = 0;
    for (int i = 0; i < thread; i++) before += equals[i];
    for (int id = from; id < to; id++) {
        uint k = key(logits.at[id]);
        if (k == 0 || k < last || k == last && before++ >= ties) continue;
        int at = atomicAdd(found, 1);
        if (at < KEPT) {
            chosenKey[at] = k;
            chosenId[at] = id;
        }
    }
    barrier();
    // each finds its rank: the order in which they were collected does not matter
    Ints best = Ints(a.best + uint64_t(row) * 2 * KEPT * 4);
    if (thread >= KEPT) return;
    if (thread >= kept) {
        best.at[2 * thread] = -1;
        best.at[2 * thread + 1] = floatBitsToInt(NOTHING);
        return;
    }
    int rank = 0;
    for (int i = 0; i < kept; i++)
        if (chosenKey[i] > chosenKey[thread] || chosenKey[i] == chosenKey[thread] && chosenId[i] < chosenId[thread]) rank++;
    best.at[2 * rank] = chosenId[thread];
    best.at[2 * rank + 1] = floatBitsToInt(logits.at[chosenId[thread]]);
}
