#version 460
// Edits a slice of a row of logits by the row's rules, and finds its 64 best and its sums. A workgroup takes a slice, a thread 8 ids that follow each other.
// variant: f32
#extension GL_GOOGLE_include_directive : require
#include "tile.glsl"

const int THREADS = 256;
const int OWN = SLICE_IDS / THREADS;

#include "best.glsl"

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t logits, rules, masks, edits, best, sums, count;
    int rows, vocabulary, real, maxEdits;
} a;

shared float values[SLICE_IDS];
shared vec2 partial[THREADS];
shared int broken;

// Larger of two, or sum of two, over all threads.
vec2 largestOfAll(vec2 own, int thread) {
    partial[thread] = own;
    barrier();
    for (int width = THREADS / 2; width > 0; width /= 2) {
        if (thread < width) partial[thread] = max(partial[thread], partial[thread + width]);
        barrier();
    }
    vec2 all = partial[0];
    barrier();
    return all;
}

vec2 sumOfAll(vec2 own, int thread) {
    partial[thread] = own;
    barrier();
    for (int width = THREADS / 2; width > 0; width /= 2) {
        if (thread < width) partial[thread] += partial[thread + width];
        barrier();
    }
    vec2 all = partial[0];
    barrier();
    return all;
}

void main() {
    int slice = int(gl_WorkGroupID.x), row = int(gl_WorkGroupID.y), thread = int(gl_LocalInvocationID.x);
    if (row >= realRows(a.count, a.rows)) return;
    int first = slice * SLICE_IDS, begin = first + thread * OWN, padded = pad(a.vocabulary);
    uint64_t at = a.logits + (uint64_t(row) * padded + begin) * 4;
    uint64_t unit = uint64_t(row) * gl_NumWorkGroups.x + slice;
    Ints best = Ints(a.best + unit * BEST_OF_SLICE * 4);
    Words sums = Words(a.sums + unit * SUMS_OF_SLICE * 4);

    // a row is padded to whole tiles: all 8 lie in it, or none
    uvec4 low = uvec4(0), high = uvec4(0);
    if (begin < padded) {
        low = Quads(at).at[0];
        high = Quads(at).at[1];
    }
    if (thread == 0) broken = 0;
    barrier();
    float raw[OWN], v[OWN];
    for (int i = 0; i < OWN; i++) {
        uint bits = i < 4 ? low[i & 3] : high[i & 3];
        bool there = begin + i < a.vocabulary;
        if (there && (bits & NOT_FINITE) == NOT_FINITE) broken = 1;
        raw[i] = there ? uintBitsToFloat(bits) : NOTHING;
    }
    barrier();
    if (broken != 0) {
        if (thread < SUMS_OF_SLICE) sums.at[thread] = NOT_A_NUMBER;
        if (thread < BEST_OF_SLICE) best.at[thread] = thread < KEPT ? -1 : floatBitsToInt(NOTHING);
        return;
    }

    // the rules: mask, then edits, whose ids are distinct
    int set = a.rules == 0 ? -1 : Ints(a.rules).at[3 * row], edited = 0;
    uint allowed = 0xffffffffu;
    if (set >= 0) {
        edited = min(Ints(a.rules).at[3 * row + 1], a.maxEdits);
        if (Ints(a.rules).at[3 * row + 2] != 0 && begin < a.vocabulary)
            allowed = Words(a.masks + uint64_t(set) * ((a.vocabulary + 31) / 32) * 4).at[begin / 32] >> (begin % 32);
    }
    for (int i = 0; i < OWN; i++) v[i] = begin + i < a.real && (allowed >> i & 1u) != 0 ? raw[i] : NOTHING;
    if (edited > 0) {
        for (int i = 0; i < OWN; i++) values[thread * OWN + i] = v[i];
        barrier();
        Ints edits = Ints(a.edits + uint64_t(set) * 3 * a.maxEdits * 4);
        for (int i = thread; i < edited; i += THREADS) {
            int id = edits.at[3 * i] - first;
            if (id < 0 || id >= SLICE_IDS || values[id] <= NOTHING) continue;
            float subtract = intBitsToFloat(edits.at[3 * i + 1]), divide = intBitsToFloat(edits.at[3 * i + 2]), l = values[id];
            precise float scaled = l > 0 ? l / divide : l * divide;
            precise float lessened = scaled - subtract;
            values[id] = clamp(lessened, NOTHING, -NOTHING);
        }
        barrier();
        for (int i = 0; i < OWN; i++) v[i] = values[thread * OWN + i];
    }
    for (int i = 0; i < OWN; i++)
        if (begin + i < a.vocabulary && v[i] != raw[i]) Floats(at).at[i] = v[i];

    // maxima and sums, before edits and after
    vec2 largest = vec2(NOTHING), sum = vec2(0);
    for (int i = 0; i < OWN; i++) largest = max(largest, vec2(raw[i], v[i]));
    largest = largestOfAll(largest, thread);
    int own = 0;
    for (int i = 0; i < OWN; i++) {
        if (begin + i < a.vocabulary) sum.x += exp(raw[i] - largest.x);
        if (v[i] <= NOTHING) continue;
        sum.y += exp(v[i] - largest.y);
        own++;
    }
    sum = sumOfAll(sum, thread);
    if (thread == 0) {
        sums.at[0] = floatBitsToUint(largest.x);
        sums.at[1] = floatBitsToUint(sum.x);
        sums.at[2] = floatBitsToUint(largest.y);
        sums.at[3] = floatBitsToUint(sum.y);
    }

    int kept = beginChoice(own, thread);
    for (int shift = 24; shift >= 0; shift -= 8) {
        uint above = beginCount(shift, thread);
        for (int i = 0; i < OWN; i++) count(key(v[i]), above, shift);
        endCount(shift, thread);
    }

    // in ascending order of ids: those above the last key, and of its equals the first that are wanted
    int larger = 0, equals = 0;
    for (int i = 0; i < OWN; i++) {
        uint k = key(v[i]);
        if (k == 0) continue;
        if (k > last) larger++;
        else if (k == last) equals++;
    }
    int before = upTo(larger << 16 | equals, thread) - (larger << 16 | equals);
    larger = before >> 16;
    equals = before & 0xffff;
    for (int i = 0; i < OWN; i++) {
        uint k = key(v[i]);
        if (k == 0 || k < last || k == last && equals >= wanted) continue;
        int place = larger + min(equals, wanted);
        if (k == last) equals++;
        else larger++;
        best.at[place] = begin + i;
        best.at[KEPT + place] = floatBitsToInt(v[i]);
        best.at[2 * KEPT + place] = floatBitsToInt(raw[i]);
    }
    if (thread >= kept && thread < KEPT) {
        best.at[thread] = -1;
        best.at[KEPT + thread] = floatBitsToInt(NOTHING);
        best.at[2 * KEPT + thread] = floatBitsToInt(NOTHING);
    }
}
