// 32 columns of silu(gate) · up for up to TILE_TOKENS rows: two panels of gate and two of up, a quarter of the threads for each.
const int PANELS = 4;
const int PANEL_THREADS = 32;
const int THREADS = PANEL_THREADS * PANELS;
#include "panel.glsl"
#include "store.glsl"

layout(local_size_x = THREADS) in;

uint64_t yRows[TILE_TOKENS];   // addresses of the rows to write; set by the caller, like xRows
shared float partial[TILE_TOKENS][PANELS][PANEL_THREADS / 4][TILE_ROWS];

// The sum of row r of a panel, in the order of slices and words.
float rowSum(int t, int panel, int r) {
    float sum = 0;
    for (int i = 0; i < PANEL_THREADS / 4; i++) sum += partial[t][panel][i][r];
    return sum;
}

// block: 32 columns, which share a scale.
void gateUp(uint64_t w, int ffn, int inner, int block, int tokens, int thread) {
    int place = thread / PANEL_THREADS, slice = thread % PANEL_THREADS / LANES, slices = PANEL_THREADS / LANES, allTiles = tiles(inner);
    int panels = (ffn + TILE_ROWS - 1) / TILE_ROWS * 2, panel = block * PANELS + place;
    if (panel < panels) {
        product(w, panels * TILE_ROWS, inner, panel, tokens, thread % LANES, allTiles * slice / slices, allTiles * (slice + 1) / slices);
        for (int t = 0; t < tokens; t++)
            for (int r = 0; r < 4; r++) partial[t][place][thread % PANEL_THREADS / 4][thread % 4 * 4 + r] = sums[t][r];
    }
    barrier();
    // 8 threads a row, 4 columns each
    int t = thread / 8, word = thread % 8;
    vec4 v = vec4(0);
    if (t < tokens)
        for (int i = 0; i < 4; i++) {
            int n = word * 4 + i;
            if (block * SCALE_BLOCK + n >= ffn) break;
            float gate = rowSum(t, n / TILE_ROWS * 2, n % TILE_ROWS), up = rowSum(t, n / TILE_ROWS * 2 + 1, n % TILE_ROWS);
            v[i] = gate / (1 + exp(-gate)) * up;
        }
    storeWord(yRows[min(t, TILE_TOKENS - 1)], ffn, t < tokens ? block * 8 + word : -1, v, thread);
}
