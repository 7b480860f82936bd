// 32 columns of silu(gate) · up for up to TILE_TOKENS rows: two panels of gate and two of up, one after the other.
#include "panel.glsl"
#include "store.glsl"
const int PANELS = 4;

uint64_t yRows[TILE_TOKENS];   // addresses of the rows to write; set by the caller, like xRows
shared float products[TILE_TOKENS][PANELS][TILE_ROWS];

// block: 32 columns, which share a scale.
void gateUp(uint64_t w, int ffn, int inner, int block, int tokens, int thread) {
    int panels = (ffn + TILE_ROWS - 1) / TILE_ROWS * 2;
    for (int i = 0; i < min(PANELS, panels - block * PANELS); i++) {
        panelRows(w, panels * TILE_ROWS, inner, block * PANELS + i, tokens, thread);
        [[unroll]] for (int j = 0; j < OWN; j++) {
            ivec2 at = own(thread, j);
            if (at.x < tokens) products[at.x][i][at.y] = rowSum(at.x, at.y);
        }
        if (!NARROW) barrier();
    }
    if (NARROW) barrier();
    // 8 threads a row, 4 columns each
    for (int first = 0; first < TILE_TOKENS; first += THREADS / 8) {
        int t = first + thread / 8, word = thread % 8;
        vec4 v = vec4(0);
        if (t < tokens)
            for (int i = 0; i < 4; i++) {
                int n = word * 4 + i;
                if (block * SCALE_BLOCK + n >= ffn) break;
                float gate = products[t][n / TILE_ROWS * 2][n % TILE_ROWS], up = products[t][n / TILE_ROWS * 2 + 1][n % TILE_ROWS];
                v[i] = gate / (1 + exp(-gate)) * up;
            }
        storeWord(yRows[min(t, TILE_TOKENS - 1)], ffn, t < tokens ? block * 8 + word : -1, v, thread);
    }
}
