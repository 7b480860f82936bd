// The 64 best of many numbers: the key of the last of them is found by its bits, DIGIT at a time from the top. Wants DIGIT, from 6 to 8.
const int THREADS = 1 << DIGIT; // as many as a digit has values
const float NOTHING = -3e38; // cannot be chosen
const int BEST_OF_SLICE = 3 * KEPT, SUMS_OF_SLICE = 4;
const uint NOT_FINITE = 0x7f800000u, NOT_A_NUMBER = 0x7fc00000u; // as bits: floats of a GPU need not know them

// Sums are made of spans, threads that follow each other, then over spans: a barrier costs more than a few loads. Who has no part in it makes no round of the
// loops: a CPU computes both sides of a branch.
const int SPAN = 16, SPANS = THREADS / SPAN;

shared int scanned[THREADS];
shared int spanSums[SPANS];
shared int beforeSpan[SPANS];
shared int bins[THREADS];
shared uint last;      // no key that is kept is below it; when no bit is left to find, that of the last one
shared int wanted;     // how many with its leading bits are kept
shared int bitsToFind;

// Larger numbers have larger keys, both zeros one; what cannot be chosen has 0.
uint key(float v) {
    if (v <= NOTHING) return 0;
    uint bits = floatBitsToUint(v);
    if (bits == 0x80000000u) bits = 0;
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// The sum over this thread and those before it. Here and below all threads come together.
int upTo(int own, int thread) {
    int first = thread * SPAN, rounds = thread < SPANS ? SPAN : 0, sum = 0, before = 0;
    scanned[thread] = own;
    barrier();
    for (int i = 0; i < rounds; i++) {
        sum += scanned[first + i];
        scanned[first + i] = sum;
    }
    if (thread < SPANS) spanSums[thread] = sum;
    barrier();
    rounds = thread < SPANS ? thread : 0;
    for (int i = 0; i < rounds; i++) before += spanSums[i];
    if (thread < SPANS) beforeSpan[thread] = before;
    barrier();
    return scanned[thread] + beforeSpan[thread / SPAN];
}

// Begins a choice among keys from least, which the last that is kept reaches, to largest; own: how many this thread has. Returns the sum over it and those
// before it.
int beginChoice(int own, uint least, uint largest, int thread) {
    int all = upTo(own, thread), bits = all == 0 ? 0 : findMSB(least ^ largest) + 1;
    if (thread == THREADS - 1) {
        wanted = min(KEPT, all);
        bitsToFind = bits;
        last = bits == 32 ? 0 : least >> bits << bits;
    }
    barrier();
    return all;
}

// Where the digit is that is looked for next.
int beginCount(int thread) {
    bins[thread] = 0;
    barrier();
    return max(bitsToFind - DIGIT, 0);
}

void count(uint k, int shift) {
    if (k != 0 && (k ^ last) >> (bitsToFind - 1) >> 1 == 0) atomicAdd(bins[k >> shift & uint(THREADS - 1)], 1);
}

// Afterwards last has a digit more, or is low enough where all that have its bits are kept.
void endCount(int shift, int thread) {
    barrier();
    int bin = THREADS - 1 - thread, own = bins[bin], sought = wanted, larger = upTo(own, thread) - own;
    if (larger < sought && larger + own >= sought) {
        last |= uint(bin) << shift;
        wanted = sought - larger;
        bitsToFind = own == sought - larger ? 0 : shift;
    }
    barrier();
}
