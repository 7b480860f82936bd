// The 64 best of many numbers: the key of the last of them is found by its bits, 8 at a time from the top. Wants THREADS, which is 256.
const float NOTHING = -3e38; // cannot be chosen
const int BEST_OF_SLICE = 3 * KEPT, SUMS_OF_SLICE = 4;
const uint NOT_FINITE = 0x7f800000u, NOT_A_NUMBER = 0x7fc00000u; // as bits: floats of a GPU need not know them

shared int scanned[THREADS];
shared int bins[THREADS];
shared uint last;  // the key of the last one kept, when all its bits are known
shared int wanted; // how many with its leading bits are kept

// Larger numbers have larger keys, both zeros one; what cannot be chosen has 0.
uint key(float v) {
    if (v <= NOTHING) return 0;
    uint bits = floatBitsToUint(v);
    if (bits == 0x80000000u) bits = 0;
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// The sum over this thread and those before it. Here and below all threads come together.
int upTo(int own, int thread) {
    scanned[thread] = own;
    barrier();
    for (int width = 1; width < THREADS; width *= 2) {
        int before = thread >= width ? scanned[thread - width] : 0;
        barrier();
        scanned[thread] += before;
        barrier();
    }
    int sum = scanned[thread];
    barrier();
    return sum;
}

// Begins a choice; own: how many this thread has that can be chosen. Returns how many are kept.
int beginChoice(int own, int thread) {
    int all = upTo(own, thread);
    if (thread == THREADS - 1) {
        wanted = min(KEPT, all);
        last = 0;
    }
    barrier();
    return wanted;
}

// Before keys are counted by their 8 bits at shift: whether one counts is whether it has the bits above of last.
uint beginCount(int shift, int thread) {
    bins[thread] = 0;
    barrier();
    return shift == 24 ? 0 : 0xffffffffu << (shift + 8);
}

void count(uint k, uint above, int shift) {
    if (k != 0 && (k & above) == last) atomicAdd(bins[k >> shift & 255u], 1);
}

// Afterwards last has 8 bits more.
void endCount(int shift, int thread) {
    barrier();
    int bin = THREADS - 1 - thread, own = bins[bin], sought = wanted, larger = upTo(own, thread) - own;
    if (larger < sought && larger + own >= sought) {
        last |= uint(bin) << shift;
        wanted = sought - larger;
    }
    barrier();
}
