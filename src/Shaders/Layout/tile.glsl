// The layouts of Tile.cs, Rows.cs and KvBlock.cs, in GLSL, and the numbers that contracts share. A test holds the constants together.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference2 : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require

const int TILE_ROWS = 16;
const int TILE_K = 32;
const int WORD_BYTES = 4;
const int KV_TOKENS = 16;
const int TILE_TOKENS = 4;     // tokens that share one reading of a panel
const int SLICES = 32;         // of K
const int MAX_EXPERTS = 512;
const int KEPT = 64;           // candidates of a row, and of a slice
const int SLICE_IDS = 2048;    // of a row of logits
const int MAX_HEAD_DIM = 256;
const int SPLIT_TOKENS = 256;  // positions whose partials are merged in ascending order

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Words { uint at[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Quads { uvec4 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer Pairs { uvec2 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Ints { int at[]; };

int tiles(int cols) { return (cols + TILE_K - 1) / TILE_K; }
int pad(int cols) { return tiles(cols) * TILE_K; }

// Bytes of the block of one head in the KV cache; with Q8 (4 values a word) F32 scales follow the values.
int kvHeadBytes(int dim, int perWord) { return KV_TOKENS * dim * (4 / perWord) + (perWord == 4 ? KV_TOKENS * dim / 32 * 4 : 0); }

// Bytes of a row of A8: values, scales, sums, rounded up to 64.
int a8Stride(int cols) { int p = pad(cols); return (p + p / 4 + 63) / 64 * 64; }

// Rows that are real: the bucket's bound, cut to the count where there is one.
int realRows(uint64_t count, int bound) { return count == 0 ? bound : min(bound, Ints(count).at[0]); }

// Scale blocks: 32 values that share a scale.
const int SCALE_BLOCK = 32;
// A magnitude's bits, of which the largest are found as integers: max of floats may lose what is not a number.
uint magnitude(float v) { return floatBitsToUint(v) & 0x7fffffffu; }
float blockScale(uint largest) { return uintBitsToFloat(largest) < 1e-30 ? 0 : uintBitsToFloat(largest) / 127; }
ivec4 quantised(vec4 v, float scale) { return scale == 0 ? ivec4(0) : ivec4(roundEven(v / scale)); }

uint packedBytes(ivec4 v) { return uint(v.x & 255) | uint(v.y & 255) << 8 | uint(v.z & 255) << 16 | uint(v.w & 255) << 24; }
// The low halves of the bytes, Q4's numbers.
const uint LOW_HALVES = 0x0f0f0f0fu;
vec4 lowHalves(uint w) { return vec4(ivec4(w, w >> 8, w >> 16, w >> 24) & 15); }
ivec4 signedBytes(uint w) { return ivec4(int(w << 24), int(w << 16), int(w << 8), int(w)) >> 24; }
