// 32 columns of silu(gate) · up for up to 4 rows: two panels of gate and two of up, 32 threads for each.
const int TOKENS = 4;
const int PANELS = 4;
const int OWN = 32;            // threads of a panel
const int THREADS = OWN * PANELS;
#include "panel.glsl"
#include "store.glsl"

layout(local_size_x = THREADS) in;

uint64_t outputs[TOKENS];      // the rows to write; set by the caller, like records
shared float partial[TOKENS][PANELS][OWN / 4][TILE_ROWS];

// The sum of row r of a panel, in the order of words.
float rowSum(int t, int panel, int r) {
    float sum = 0;
    for (int i = 0; i < OWN / 4; i++) sum += partial[t][panel][i][r];
    return sum;
}

void gateUp(uint64_t w, int ffn, int inner, int group, int some, int thread) {
    int own = thread / OWN, team = thread % OWN / LANES, teams = OWN / LANES, allTiles = tiles(inner), panels = (ffn + TILE_ROWS - 1) / TILE_ROWS * 2, panel = group * PANELS + own;
    if (panel < panels) {
        product(w, panels * TILE_ROWS, inner, panel, some, thread % LANES, allTiles * team / teams, allTiles * (team + 1) / teams);
        for (int t = 0; t < some; t++)
            for (int r = 0; r < 4; r++) partial[t][own][thread % OWN / 4][thread % 4 * 4 + r] = sums[t][r];
    }
    barrier();
    // 8 threads a row, 4 columns each
    int t = thread / 8, word = thread % 8;
    vec4 v = vec4(0);
    if (t < some)
        for (int i = 0; i < 4; i++) {
            int n = word * 4 + i;
            if (group * 32 + n >= ffn) break;
            float gate = rowSum(t, n / TILE_ROWS * 2, n % TILE_ROWS), up = rowSum(t, n / TILE_ROWS * 2 + 1, n % TILE_ROWS);
            v[i] = gate / (1 + exp(-gate)) * up;
        }
    storeWord(outputs[min(t, TOKENS - 1)], ffn, t < some ? group * 8 + word : -1, v, thread);
}
