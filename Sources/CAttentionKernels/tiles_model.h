/* The tile registers of tiles_amx.h in plain C, so that what is built on them is tested on machines that have none. */

static _Thread_local uint32_t tile_model[8][16][16];
static _Thread_local int tile_model_is_configured;

/* Tile instructions stop the program between TILES_END and TILES_BEGIN, as they do in hardware. */
static inline uint32_t (*tile_model_tile(int tile))[16] {
    if (!tile_model_is_configured) __builtin_trap();
    return tile_model[tile];
}

static inline void tile_model_load(uint32_t tile[16][16], const void *from, size_t stride) {
    for (int row = 0; row < 16; row++) memcpy(tile[row], (const uint32_t *)from + row * stride, 64);
}

static inline void tile_model_store(uint32_t tile[16][16], void *to, size_t stride) {
    for (int row = 0; row < 16; row++) memcpy((uint32_t *)to + row * stride, tile[row], 64);
}

static inline float tile_model_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

static inline void tile_model_multiply(uint32_t sum[16][16], uint32_t a[16][16], uint32_t b[16][16]) {
    for (int row = 0; row < 16; row++)
        for (int column = 0; column < 16; column++) {
            float x = tile_model_float(sum[row][column]);
            for (int step = 0; step < 16; step++) {
                x += tile_model_float(a[row][step] << 16) * tile_model_float(b[step][column] << 16);
                x += tile_model_float(a[row][step] & 0xFFFF0000) * tile_model_float(b[step][column] & 0xFFFF0000);
            }
            memcpy(&sum[row][column], &x, 4);
        }
}

static inline void tile_model_multiply_int8(uint32_t sum[16][16], uint32_t a[16][16], uint32_t b[16][16]) {
    for (int row = 0; row < 16; row++)
        for (int column = 0; column < 16; column++)
            for (int step = 0; step < 16; step++)
                for (int shift = 0; shift < 32; shift += 8)
                    sum[row][column] += (uint32_t)((int8_t)(a[row][step] >> shift) * (int8_t)(b[step][column] >> shift));
}

static inline void tile_model_configure(int is_configured) {
    tile_model_is_configured = is_configured;
    /* What no kernel loaded must not be of use to it. */
    memset(tile_model, 0xFF, sizeof tile_model);
}

#define TILES_BEGIN() tile_model_configure(1)
#define TILES_END() tile_model_configure(0)
#define TILE_ZERO(tile) memset(tile_model_tile(tile), 0, sizeof tile_model[tile])
#define TILE_LOAD(tile, from, stride) tile_model_load(tile_model_tile(tile), from, (size_t)(stride))
#define TILE_STORE(tile, to, stride) tile_model_store(tile_model_tile(tile), to, (size_t)(stride))
#define TILE_MULTIPLY(sum, a, b) tile_model_multiply(tile_model_tile(sum), tile_model_tile(a), tile_model_tile(b))
#define TILE_MULTIPLY_INT8(sum, a, b) tile_model_multiply_int8(tile_model_tile(sum), tile_model_tile(a), tile_model_tile(b))
