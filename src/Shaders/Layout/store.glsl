// Stores activations four columns a thread, as F32 or, with Y_A8, quantised in scale blocks: 8 neighbouring threads. Wants THREADS, a multiple of 8.
#ifdef Y_A8
int yStride(int cols) { return a8Stride(cols); } // bytes of a row
#else
int yStride(int cols) { return pad(cols) * 4; }
#endif

#ifdef Y_A8
const int BLOCK_THREADS = SCALE_BLOCK / 4;
shared uint threadMax[THREADS];
shared int threadSum[THREADS];
#endif

// All threads of the workgroup come here together, those with nothing to store with word < 0. row: of a token; word: 4 columns each.
void storeWord(uint64_t row, int cols, int word, vec4 v, int thread) {
#ifdef Y_A8
    int first = thread / BLOCK_THREADS * BLOCK_THREADS;
    barrier(); // what was read before may be of the last word
    threadMax[thread] = max(max(magnitude(v.x), magnitude(v.y)), max(magnitude(v.z), magnitude(v.w)));
    barrier();
    uint largest = 0;
    for (int i = 0; i < BLOCK_THREADS; i++) largest = max(largest, threadMax[first + i]);
    float scale = blockScale(largest);
    ivec4 q = quantised(v, scale);
    threadSum[thread] = q.x + q.y + q.z + q.w;
    barrier();
    if (word < 0) return;
    Words(row + word * 4).at[0] = packedBytes(q);
    if (thread != first) return;
    int sum = 0;
    for (int i = 0; i < BLOCK_THREADS; i++) sum += threadSum[thread + i];
    Floats(row + pad(cols) + word / BLOCK_THREADS * 4).at[0] = scale;
    Ints(row + pad(cols) + pad(cols) / 8 + word / BLOCK_THREADS * 4).at[0] = sum;
#else
    if (word < 0) return;
    Floats y = Floats(row + word * 16);
    for (int i = 0; i < 4; i++) y.at[i] = v[i];
#endif
}
