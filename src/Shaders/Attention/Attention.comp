#version 460
// y[t,h] = Σ_j softmax_j(scale · q[t,h] · key[j]) · value[j] over the blocks of the token's sequence.
// A workgroup takes up to ROWS heads of one KV head and tokens that follow each other, CHUNK keys at a time, and closes its sums at the end of each split;
// where there are partials it takes one split.
// variant: f16.f32.2x128 -DKV_F16 -DROWS=2 -DMAX_DIM=128
// variant: f16.f32.4x128 -DKV_F16 -DROWS=4 -DMAX_DIM=128
// variant: f16.f32.8x128 -DKV_F16 -DROWS=8 -DMAX_DIM=128
// variant: f16.f32.4x256 -DKV_F16 -DROWS=4 -DMAX_DIM=256
// variant: f16.a8.2x128 -DKV_F16 -DA8 -DROWS=2 -DMAX_DIM=128
// variant: f16.a8.4x128 -DKV_F16 -DA8 -DROWS=4 -DMAX_DIM=128
// variant: f16.a8.8x128 -DKV_F16 -DA8 -DROWS=8 -DMAX_DIM=128
// variant: f16.a8.4x256 -DKV_F16 -DA8 -DROWS=4 -DMAX_DIM=256
// variant: f32.f32.2x128 -DROWS=2 -DMAX_DIM=128
// variant: f32.f32.4x128 -DROWS=4 -DMAX_DIM=128
// variant: f32.f32.8x128 -DROWS=8 -DMAX_DIM=128
// variant: f32.f32.4x256 -DROWS=4 -DMAX_DIM=256
// variant: f32.a8.2x128 -DA8 -DROWS=2 -DMAX_DIM=128
// variant: f32.a8.4x128 -DA8 -DROWS=4 -DMAX_DIM=128
// variant: f32.a8.8x128 -DA8 -DROWS=8 -DMAX_DIM=128
// variant: f32.a8.4x256 -DA8 -DROWS=4 -DMAX_DIM=256
// variant: q8.f32.2x128 -DKV_Q8 -DROWS=2 -DMAX_DIM=128
// variant: q8.f32.4x128 -DKV_Q8 -DROWS=4 -DMAX_DIM=128
// variant: q8.f32.8x128 -DKV_Q8 -DROWS=8 -DMAX_DIM=128
// variant: q8.f32.4x256 -DKV_Q8 -DROWS=4 -DMAX_DIM=256
// variant: q8.a8.2x128 -DKV_Q8 -DA8 -DROWS=2 -DMAX_DIM=128
// variant: q8.a8.4x128 -DKV_Q8 -DA8 -DROWS=4 -DMAX_DIM=128
// variant: q8.a8.8x128 -DKV_Q8 -DA8 -DROWS=8 -DMAX_DIM=128
// variant: q8.a8.4x256 -DKV_Q8 -DA8 -DROWS=4 -DMAX_DIM=256
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "tile.glsl"
#include "lanes.glsl"
#include "merge.glsl"

const int THREADS = 32;
const int KEYS = 2;                            // of a thread; then it takes words of the values
const int CHUNK = THREADS * KEYS;
const int SHARED = LANES < 8 ? 4 : 8;          // numbers of which each lane loads one for its subgroup
const float NOTHING = -3e38;                   // less than any score
const int ROW_THREADS = 4;                     // of a row's softmax: the same for all variants, so that its order is
#if defined(KV_Q8)
const int WORD_K = 4;
#elif defined(KV_F16)
const int WORD_K = 2;
#else
const int WORD_K = 1;
#endif
const int WORDS = (MAX_DIM / WORD_K + THREADS - 1) / THREADS; // of the values that a thread sums up, at most

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Args {
    uint64_t q, keys, values, blocks, sequences, positions, y, count;
    int tokens, heads, kvHeads, headDim, qCols, maxBlocks, splits;
    float scale;
} a;

shared float q[ROWS][MAX_DIM]; // the scaled queries; in the end the sums
shared float p[ROWS][CHUNK];   // scores, then weights
shared float partMax[ROWS][ROW_THREADS], partSum[ROWS][ROW_THREADS], rescale[ROWS];
shared vec2 share[ROWS];       // of the splits before, and of this one

// The numbers of a word of the cache, without their scale.
#if defined(KV_Q8)
#define NUMBERS vec4
#define NUMBER(list, i) list[(i) / 4][(i) % 4]
vec4 numbers(uint w) { return vec4(signedBytes(w)); }
#elif defined(KV_F16)
#define NUMBERS vec2
#define NUMBER(list, i) list[(i) / 2][(i) % 2]
vec2 numbers(uint w) { return unpackHalf2x16(w); }
#else
#define NUMBERS float
#define NUMBER(list, i) list[i]
float numbers(uint w) { return uintBitsToFloat(w); }
#endif

int thread, lane, dim, kvHead;
int token, position, followers; // the first token, its position, and how many that follow it in the sequence are taken with it, itself included
int head0, heads, rows;         // the first head, heads of a token, and rows: (followers, heads)
int row, rowThread;             // of the softmax that this thread shares
int rowLength;                  // keys that the row sees
float rowMax, rowTotal;         // of a split; all threads of a row know them
NUMBERS sum[WORDS][ROWS];       // of the values' words thread, + THREADS, ...
float mergedMax, mergedTotal;   // of the splits so far
NUMBERS merged[WORDS][ROWS];

// False where another workgroup takes this one's first token along.
bool chooseRows(int tokens) {
    Ints positions = Ints(a.positions), sequences = Ints(a.sequences);
    int group = a.heads / a.kvHeads, sequence = sequences.at[token], together = max(1, ROWS / group);
    position = positions.at[token];
    if (position % together != 0 && token > 0 && sequences.at[token - 1] == sequence && positions.at[token - 1] == position - 1) return false;
    followers = 1;
    while (token + followers < tokens && (position + followers) % together != 0
        && sequences.at[token + followers] == sequence && positions.at[token + followers] == position + followers) followers++;
    head0 = kvHead * group + int(gl_WorkGroupID.z) % ((group + ROWS - 1) / ROWS) * ROWS;
    heads = min(ROWS, (kvHead + 1) * group - head0);
    rows = followers * heads;
    row = thread / ROW_THREADS;
    rowThread = thread % ROW_THREADS;
    rowLength = row < rows ? position + row / heads + 1 : 0;
    return true;
}

void loadQueries() {
    for (int i = thread; i < ROWS * dim; i += THREADS) {
        int r = i / dim;
        uint64_t from = a.q + (uint64_t(token + r / heads) * pad(a.qCols) + (head0 + r % heads) * dim) * 4;
        q[r][i % dim] = r < rows ? Floats(from).at[i % dim] * a.scale : 0;
    }
}

// p[r][j] = q[r] · key[start + j]
void scores(Ints blocks, int start, int context) {
    Words words[KEYS];
#if defined(KV_Q8)
    Floats scales[KEYS];
#endif
    float s[KEYS][ROWS];
    for (int i = 0; i < KEYS; i++) {
        int key = min(start + i * THREADS + thread, context - 1);
        uint64_t block = a.keys + (uint64_t(blocks.at[key / KV_TOKENS]) * a.kvHeads + kvHead) * kvHeadBytes(dim, WORD_K);
        words[i] = Words(block + key % KV_TOKENS * 4);
#if defined(KV_Q8)
        scales[i] = Floats(block + KV_TOKENS * dim + key % KV_TOKENS * 4);
#endif
        for (int r = 0; r < ROWS; r++) s[i][r] = 0;
    }
    for (int d = 0; d < dim; d += SHARED) {
        NUMBERS k[KEYS][8 / WORD_K];
        for (int i = 0; i < KEYS; i++)
            for (int w = 0; w < SHARED / WORD_K; w++) {
                k[i][w] = numbers(words[i].at[(d / WORD_K + w) * KV_TOKENS]);
#if defined(KV_Q8)
                k[i][w] *= scales[i].at[d / SCALE_BLOCK * KV_TOKENS];
#endif
            }
        for (int r = 0; r < ROWS; r++) {
            float loaded = q[r][d + lane];
            for (int c = 0; c < SHARED; c++) {
                float passed = subgroupBroadcast(loaded, c);
                for (int i = 0; i < KEYS; i++) s[i][r] = fma(NUMBER(k[i], c), passed, s[i][r]);
            }
        }
    }
    for (int i = 0; i < KEYS; i++)
        for (int r = 0; r < ROWS; r++) p[r][i * THREADS + thread] = s[i][r];
}

// p becomes weights relative to the running maximum; rescale what was summed up relative to the last one.
void softmax(int start) {
    bool shares = row < ROWS;
    float largest = rowMax;
    if (shares) {
        for (int i = rowThread; i < CHUNK; i += ROW_THREADS) largest = start + i < rowLength ? max(largest, p[row][i]) : largest;
        partMax[row][rowThread] = largest;
    }
    barrier();
    if (shares) {
        for (int i = 0; i < ROW_THREADS; i++) largest = max(largest, partMax[row][i]);
        float factor = rowMax == largest ? 1 : exp(rowMax - largest), total = 0;
        rowMax = largest;
        for (int i = rowThread; i < CHUNK; i += ROW_THREADS) total += p[row][i] = start + i < rowLength ? exp(p[row][i] - rowMax) : 0;
        partSum[row][rowThread] = total;
        rowTotal *= factor;
        if (rowThread == 0) rescale[row] = factor;
    }
    barrier();
    if (shares)
        for (int i = 0; i < ROW_THREADS; i++) rowTotal += partSum[row][i];
}

// sum[r] = rescale[r] · sum[r] + Σ_j p[r][j] · value[start + j]
void accumulate(Ints blocks, int start, int context) {
    for (int w = 0; w < WORDS; w++) {
        for (int r = 0; r < ROWS; r++) sum[w][r] *= rescale[r];
    }
    int keys = min(CHUNK, context - start);
    for (int j0 = 0; j0 < keys; j0 += KV_TOKENS) {
        uint64_t block = a.values + (uint64_t(blocks.at[(start + j0) / KV_TOKENS]) * a.kvHeads + kvHead) * kvHeadBytes(dim, WORD_K);
        for (int j1 = j0; j1 < min(j0 + KV_TOKENS, keys); j1 += SHARED) {
            NUMBERS n[WORDS][8];
            for (int w = 0; w < WORDS; w++)
                for (int c = 0; c < SHARED; c++) {
                    int j = min(j1 + c, keys - 1) - j0; // behind the context the weights are 0, but what lies there may be no number
                    int word = min(thread + w * THREADS, dim / WORD_K - 1);
                    n[w][c] = numbers(Words(block).at[j * (dim / WORD_K) + word]);
#if defined(KV_Q8)
                    n[w][c] *= Floats(block + KV_TOKENS * dim).at[j * dim / SCALE_BLOCK + word / 8];
#endif
                }
            for (int r = 0; r < ROWS; r++) {
                float loaded = p[r][j1 + lane];
                for (int c = 0; c < SHARED; c++) {
                    NUMBERS passed = NUMBERS(subgroupBroadcast(loaded, c));
                    for (int w = 0; w < WORDS; w++) sum[w][r] = fma(n[w][c], passed, sum[w][r]);
                }
            }
        }
    }
}

// Keys that row r sees.
int keysOf(int r) { return position + r / heads + 1; }

// The split that begins at `first` joins those before it, for the rows that see some of it.
void merge(int first) {
    if (row < ROWS && rowLength > first) {
        vec2 counts = first == 0 ? vec2(0, 1) : shares(mergedMax, rowMax);
        precise float total = fma(rowTotal, counts.y, mergedTotal * counts.x);
        mergedTotal = first == 0 ? rowTotal : total;
        mergedMax = first == 0 ? rowMax : max(mergedMax, rowMax);
        if (rowThread == 0) share[row] = counts;
    }
    barrier();
    for (int w = 0; w < WORDS; w++)
        for (int r = 0; r < ROWS; r++) {
            precise NUMBERS both = fma(sum[w][r], NUMBERS(share[r].y), merged[w][r] * share[r].x);
            if (r < rows && keysOf(r) > first) merged[w][r] = first == 0 ? sum[w][r] : both;
        }
}

// The sums and their divisors to where all threads see them: q and rescale, which are done with.
void shareSums() {
    for (int w = 0; w < WORDS; w++) {
        int word = thread + w * THREADS;
        if (word >= dim / WORD_K) break;
        for (int r = 0; r < ROWS; r++)
#if defined(KV_Q8) || defined(KV_F16)
            for (int c = 0; c < WORD_K; c++) q[r][word * WORD_K + c] = sum[w][r][c];
#else
            q[r][word] = sum[w][r];
#endif
    }
    if (row < ROWS && rowThread == 0) {
        rescale[row] = rowTotal;
        partMax[row][0] = rowMax;
    }
}

// What shareSums shared, as the partials of a split.
void storePartials(int split) {
    for (int i = thread; i < rows * (dim + 2); i += THREADS) {
        int r = i / (dim + 2), d = i % (dim + 2);
        if (keysOf(r) <= split * SPLIT_TOKENS) continue;
        uint64_t of = (uint64_t(token + r / heads) * a.heads + head0 + r % heads) * a.splits + split;
        Floats(a.y + of * (dim + 2) * 4).at[d] = d < dim ? q[r][d] : d == dim ? partMax[r][0] : rescale[r];
    }
}

// A thread stores a scale block of a row.
void storeRows() {
    int cols = a.heads * dim;
    for (int i = thread; i < rows * dim / SCALE_BLOCK; i += THREADS) {
        int r = i * SCALE_BLOCK / dim, d = i * SCALE_BLOCK % dim, col = (head0 + r % heads) * dim + d, t = token + r / heads;
#ifdef A8
        uint largest = 0;
        for (int c = 0; c < SCALE_BLOCK; c++) largest = max(largest, magnitude(q[r][d + c] / rescale[r]));
        float scale = blockScale(largest);
        uint64_t to = a.y + uint64_t(t) * a8Stride(cols);
        int total = 0;
        for (int c = 0; c < SCALE_BLOCK; c += 4) {
            ivec4 v = quantised(vec4(q[r][d + c], q[r][d + c + 1], q[r][d + c + 2], q[r][d + c + 3]) / rescale[r], scale);
            total += v.x + v.y + v.z + v.w;
            Words(to + col + c).at[0] = packedBytes(v);
        }
        Floats(to + pad(cols) + col / SCALE_BLOCK * 4).at[0] = scale;
        Ints(to + pad(cols) + pad(cols) / 8 + col / SCALE_BLOCK * 4).at[0] = total;
#else
        Floats y = Floats(a.y + (uint64_t(t) * pad(cols) + col) * 4);
        for (int c = 0; c < SCALE_BLOCK; c++) y.at[c] = q[r][d + c] / rescale[r];
#endif
    }
}

void main() {
    token = int(gl_WorkGroupID.x);
    kvHead = int(gl_WorkGroupID.y);
    thread = int(gl_LocalInvocationID.x);
    lane = int(gl_SubgroupInvocationID) % SHARED;
    dim = a.headDim;
    int tokens = realRows(a.count, a.tokens);
    if (token >= tokens || !chooseRows(tokens)) return;
    int group = a.heads / a.kvHeads, split = int(gl_WorkGroupID.z) / ((group + ROWS - 1) / ROWS), context = position + followers;
    if (split * SPLIT_TOKENS >= context) return;
    loadQueries();
    Ints blocks = Ints(a.blocks + uint64_t(Ints(a.sequences).at[token]) * a.maxBlocks * 4);
    barrier();
    for (int first = split * SPLIT_TOKENS; first < context; first += SPLIT_TOKENS) {
        rowMax = NOTHING;
        rowTotal = 0;
        for (int w = 0; w < WORDS; w++)
            for (int r = 0; r < ROWS; r++) sum[w][r] = NUMBERS(0);
        for (int start = first; start < min(first + SPLIT_TOKENS, context); start += CHUNK) {
            scores(blocks, start, context);
            barrier();
            softmax(start);
            accumulate(blocks, start, context);
            barrier();
        }
        if (a.splits > 0) break;
        merge(first);
    }
    if (a.splits > 0) {
        shareSums();
        barrier();
        storePartials(split);
        return;
    }
    rowTotal = mergedTotal;
    sum = merged;
    shareSums();
    barrier();
    storeRows();
}
