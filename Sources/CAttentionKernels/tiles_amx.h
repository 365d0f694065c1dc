/* Tile registers of Intel's AMX: eight of 16 rows of 64 bytes. Part of vector_kernels.h, for sets that define SA_TILES as SA_TILES_AMX. */

/* Every tile at its full size. Tiles belong to the thread: whoever multiplied on it before may have left others. */
static const uint8_t tile_configuration[64] __attribute__((aligned(64))) = {
    [0] = 1, [16] = 64, [18] = 64, [20] = 64, [22] = 64, [24] = 64, [26] = 64, [28] = 64, [30] = 64,
    [48] = 16, [49] = 16, [50] = 16, [51] = 16, [52] = 16, [53] = 16, [54] = 16, [55] = 16};

#define TILES_BEGIN() _tile_loadconfig(tile_configuration)
#define TILES_END() _tile_release()
#define TILE_ZERO(tile) _tile_zero(tile)
/* `stride` in 32-bit elements. */
#define TILE_LOAD(tile, from, stride) _tile_loadd(tile, from, (size_t)(stride) * 4)
#define TILE_STORE(tile, to, stride) _tile_stored(tile, to, (size_t)(stride) * 4)
/* sum[row][column] += over 16 steps of a[row][step].low * b[step][column].low + a[row][step].high * b[step][column].high. */
#define TILE_MULTIPLY(sum, a, b) _tile_dpbf16ps(sum, a, b)
/* sum[row][column] += over 16 steps of the products of the four bytes of a[row][step] and b[step][column], all whole numbers with a sign. */
#define TILE_MULTIPLY_INT8(sum, a, b) _tile_dpbssd(sum, a, b)
