#version 460
// Edits a slice of a row of logits by the row's rules, and finds its 64 best and its sums. A workgroup takes a slice, a thread 16 ids that follow each other.
// variant: f32
#extension GL_GOOGLE_include_directive : require
#include "tile.glsl"

const int DIGIT = 7;
#include "best.glsl"

const int OWN = SLICE_IDS / THREADS;

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t logits, rules, masks, edits, best, sums, count;
    int rows, vocabulary, real, maxEdits;
} a;

shared uint keys[SLICE_IDS]; // those of the ids that may be kept; before that, bits of logits that are edited
shared int listed;
shared uint largestKeys[THREADS], leastOfSets;
shared vec2 partial[THREADS];
shared vec2 partialSpans[SPANS];
shared int broken;

// Larger of two, over all threads.
vec2 largestOfAll(vec2 own, int thread) {
    int rounds = thread < SPANS ? SPAN : 0;
    partial[thread] = own;
    barrier();
    for (int i = 0; i < rounds; i++) own = max(own, partial[thread * SPAN + i]);
    if (thread < SPANS) partialSpans[thread] = own;
    barrier();
    rounds = thread == 0 ? SPANS : 0;
    for (int i = 0; i < rounds; i++) own = max(own, partialSpans[i]);
    if (thread == 0) partialSpans[0] = own;
    barrier();
    return partialSpans[0];
}

// Sum of two over all threads: the first thread's answer.
vec2 sumOfAll(vec2 own, int thread) {
    int rounds = thread < SPANS ? SPAN : 0;
    vec2 sum = vec2(0);
    partial[thread] = own;
    barrier();
    for (int i = 0; i < rounds; i++) sum += partial[thread * SPAN + i];
    if (thread < SPANS) partialSpans[thread] = sum;
    barrier();
    rounds = thread == 0 ? SPANS : 0;
    sum = vec2(0);
    for (int i = 0; i < rounds; i++) sum += partialSpans[i];
    return sum;
}

// A key, at least 1, that the best KEPT of all reach: as many sets of threads have each their largest, and this is the smallest of those.
uint leastKey(float v[OWN], int thread) {
    uint largest = 0;
    for (int i = 0; i < OWN; i++) largest = max(largest, key(v[i]));
    largestKeys[thread] = largest;
    if (thread == 0) leastOfSets = 0xffffffffu;
    barrier();
    int end = thread < KEPT ? THREADS : 0;
    for (int i = thread; i < end; i += KEPT) largest = max(largest, largestKeys[i]);
    for (int i = thread; i < end; i += THREADS) atomicMin(leastOfSets, largest);
    barrier();
    return max(leastOfSets, 1);
}

void main() {
    int slice = int(gl_WorkGroupID.x), row = int(gl_WorkGroupID.y), thread = int(gl_LocalInvocationID.x);
    if (row >= realRows(a.count, a.rows)) return;
    int first = slice * SLICE_IDS, begin = first + thread * OWN, padded = pad(a.vocabulary);
    uint64_t at = a.logits + (uint64_t(row) * padded + begin) * 4;
    uint64_t unit = uint64_t(row) * gl_NumWorkGroups.x + slice;
    Ints best = Ints(a.best + unit * BEST_OF_SLICE * 4);
    Words sums = Words(a.sums + unit * SUMS_OF_SLICE * 4);

    if (thread == 0) broken = 0;
    barrier();
    float raw[OWN], v[OWN];
    for (int i = 0; i < OWN / 4; i++) {
        uvec4 bits = uvec4(0);
        if (begin + 4 * i < padded) bits = Quads(at).at[i]; // a row is padded to whole tiles: all 4 lie in it, or none
        for (int j = 0; j < 4; j++) {
            bool there = begin + 4 * i + j < a.vocabulary;
            if (there && (bits[j] & NOT_FINITE) == NOT_FINITE) broken = 1;
            raw[4 * i + j] = there ? uintBitsToFloat(bits[j]) : NOTHING;
        }
    }
    barrier();
    if (broken != 0) {
        if (thread < SUMS_OF_SLICE) sums.at[thread] = NOT_A_NUMBER;
        for (int i = thread; i < BEST_OF_SLICE; i += THREADS) best.at[i] = i < KEPT ? -1 : floatBitsToInt(NOTHING);
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
        for (int i = 0; i < OWN; i++) keys[thread * OWN + i] = floatBitsToUint(v[i]);
        barrier();
        Ints edits = Ints(a.edits + uint64_t(set) * 3 * a.maxEdits * 4);
        for (int i = thread; i < edited; i += THREADS) {
            int id = edits.at[3 * i] - first;
            if (id < 0 || id >= SLICE_IDS || uintBitsToFloat(keys[id]) <= NOTHING) continue;
            float subtract = intBitsToFloat(edits.at[3 * i + 1]), divide = intBitsToFloat(edits.at[3 * i + 2]), l = uintBitsToFloat(keys[id]);
            precise float scaled = l > 0 ? l / divide : l * divide;
            precise float lessened = scaled - subtract;
            keys[id] = floatBitsToUint(clamp(lessened, NOTHING, -NOTHING));
        }
        barrier();
        for (int i = 0; i < OWN; i++) v[i] = uintBitsToFloat(keys[thread * OWN + i]);
    }
    for (int i = 0; i < OWN; i++)
        if (begin + i < a.vocabulary && v[i] != raw[i]) Floats(at).at[i] = v[i];

    // maxima and sums, before edits and after
    vec2 largest = vec2(NOTHING), sum = vec2(0);
    for (int i = 0; i < OWN; i++) largest = max(largest, vec2(raw[i], v[i]));
    largest = largestOfAll(largest, thread);
    for (int i = 0; i < OWN; i++) {
        if (begin + i < a.vocabulary) sum.x += exp(raw[i] - largest.x);
        if (v[i] > NOTHING) sum.y += exp(v[i] - largest.y);
    }
    sum = sumOfAll(sum, thread);
    if (thread == 0) {
        sums.at[0] = floatBitsToUint(largest.x);
        sums.at[1] = floatBitsToUint(sum.x);
        sums.at[2] = floatBitsToUint(largest.y);
        sums.at[3] = floatBitsToUint(sum.y);
    }

    // keys are counted one by one: of those that reach the least that can be kept, which are few
    uint least = leastKey(v, thread);
    int own = 0;
    for (int i = 0; i < OWN; i++) if (key(v[i]) >= least) own++;
    int after = beginChoice(own, least, key(largest.y), thread), kept = wanted;
    if (thread == THREADS - 1) listed = after;
    for (int i = 0; i < OWN; i++) if (key(v[i]) >= least) keys[after - own--] = key(v[i]);
    barrier();
    while (bitsToFind > 0) {
        int shift = beginCount(thread);
        for (int i = thread; i < listed; i += THREADS) count(keys[i], shift);
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
