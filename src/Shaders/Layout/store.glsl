// Stores activations four columns a thread, as F32 or, with Y_A8, quantised in groups of 32: 8 neighbouring threads. Wants THREADS, a multiple of 8.
#ifdef Y_A8
shared float groupMost[THREADS];
shared int groupSum[THREADS];
#endif

// All threads of the group come here together, those with nothing to store with word < 0. row: the record of a token; word: 4 columns each.
void storeWord(uint64_t row, int cols, int word, vec4 v, int thread) {
#ifdef Y_A8
    vec4 size = abs(v);
    barrier(); // what was read before may be of the last word
    groupMost[thread] = max(max(size.x, size.y), max(size.z, size.w));
    barrier();
    float most = 0;
    for (int i = 0; i < 8; i++) most = max(most, groupMost[thread / 8 * 8 + i]);
    float scale = most < 1e-30 ? 0 : most / 127;
    ivec4 q = scale == 0 ? ivec4(0) : ivec4(roundEven(v / scale));
    groupSum[thread] = q.x + q.y + q.z + q.w;
    barrier();
    if (word < 0) return;
    Words(row + word * 4).at[0] = uint(q.x & 255) | uint(q.y & 255) << 8 | uint(q.z & 255) << 16 | uint(q.w & 255) << 24;
    if (thread % 8 != 0) return;
    int all = 0;
    for (int i = 0; i < 8; i++) all += groupSum[thread + i];
    Floats(row + pad(cols) + word / 8 * 4).at[0] = scale;
    Ints(row + pad(cols) + pad(cols) / 8 + word / 8 * 4).at[0] = all;
#else
    if (word < 0) return;
    Floats y = Floats(row + word * 16);
    for (int i = 0; i < 4; i++) y.at[i] = v[i];
#endif
}

// Bytes of a row.
#ifdef Y_A8
int yStride(int cols) { return a8Stride(cols); }
#else
int yStride(int cols) { return pad(cols) * 4; }
#endif
