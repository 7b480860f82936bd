// A workgroup makes the 16 rows of a panel for up to TILE_TOKENS tokens: its subgroups take slices of K, whose sums are then added.
const int THREADS = 128;
#include "panel.glsl"
const int SLICES = THREADS / LANES; // of tiles that follow each other

layout(local_size_x = THREADS) in;

shared float partial[TILE_TOKENS][THREADS / 4][TILE_ROWS];

// Sums up; afterwards rowSum(t, r) is the product of token t with row r of the panel.
void panelRows(uint64_t w, int outer, int inner, int panel, int tokens, int thread) {
    int slice = thread / LANES, allTiles = tiles(inner);
    product(w, outer, inner, panel, tokens, thread % LANES, allTiles * slice / SLICES, allTiles * (slice + 1) / SLICES);
    for (int t = 0; t < tokens; t++)
        for (int r = 0; r < 4; r++) partial[t][thread / 4][thread % 4 * 4 + r] = sums[t][r];
    barrier();
}

// In the order of slices and words.
float rowSum(int t, int r) {
    float sum = 0;
    for (int i = 0; i < THREADS / 4; i++) sum += partial[t][i][r];
    return sum;
}
