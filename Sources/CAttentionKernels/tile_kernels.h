/* The tile kernels of one precision. Include with SA_PAIRS (0: an element is a float, 1: two BF16) and SA_TILE_NAME. */

/* Steps that `count` values fill. */
#define STEPS(count) (SA_PAIRS ? ((count) + 1) / 2 : (count))

/* Two neighbouring rows of a tile, or one in FP32: the element at (step, lane vector). */
#define ROWS_A_STEP (SA_PAIRS ? 2 : 1)

INLINE vfloat SA_TILE_NAME(element)(vfloat even, vfloat odd) { return SA_PAIRS ? pair_bf16(even, odd) : even; }

INLINE vfloat SA_TILE_NAME(power)(vfloat x) { return SA_PAIRS ? exp2_bf16(x) : exp2_vector(x); }

#include "pack_kernels.h"

/* Raw scores of `rows` keys and a panel of lanes, stored as floats [key][lane]. */
INLINE void SA_TILE_NAME(raw_panel)(
    int rows, int vectors, int steps, const float *keys, ptrdiff_t key_stride, const float *qt, float *s) {
    vfloat sum[SA_PANEL_ROWS][SA_PANEL_VECTORS];
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int j = 0; j < vectors; j++) sum[r][j] = splat(0);
    products(SA_PAIRS, rows, vectors, steps, keys, key_stride, 1, qt, sum);
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int j = 0; j < vectors; j++) store(s + r * SA_LANES + j * WIDTH, sum[r][j]);
}

/* The lanes that any of `rows` keys is kept by; all of them when is_whole. */
typedef struct {
    int first, end, is_whole;
} SA_TILE_NAME(Lanes);

INLINE SA_TILE_NAME(Lanes) SA_TILE_NAME(lanes_of)(const SALaneBlock *block, int key, int rows) {
    /* In bytes and without branches, for the compiler to make vectors of. */
    uint8_t least = SA_LANES, most = 0, rest = 0;
    for (int r = 0; r < rows; r++) {
        uint8_t first = block->first[key + r], end = block->end[key + r], is_empty = first >= end;
        first = is_empty ? SA_LANES : first;
        end = is_empty ? 0 : end;
        rest |= first | (end ^ SA_LANES);
        least = first < least ? first : least;
        most = end > most ? end : most;
    }
    SA_TILE_NAME(Lanes) lanes = {least, most, rest == 0};
    return lanes;
}

/* The general case, for the lanes first ..< end, which are all of them or a half: raw scores first, then the shift moves to their
 * largest and what was summed before is rescaled. */
static void SA_TILE_NAME(shifting_powers)(
    const SATile *tile, const SALaneBlock *block, int dimension, int first, int end, float *p, float *added) {
    int steps = STEPS(dimension);
    for (int lane = first; lane < end; lane += PANEL_LANES)
        for (int key = 0; key < tile->count; key += SA_PANEL_ROWS) {
#define RAW_VECTORS(rows, vectors)                                                                                         \
    SA_TILE_NAME(raw_panel)(                                                                                               \
        rows, vectors, steps, (const float *)tile->keys + key * tile->key_stride, tile->key_stride,                        \
        (const float *)block->queries + lane, p + key * SA_LANES + lane)
#define RAW_PANEL(rows)                                                                                                    \
    if (end - lane >= PANEL_LANES) RAW_VECTORS(rows, SA_PANEL_VECTORS);                                                    \
    else RAW_VECTORS(rows, SA_PANEL_VECTORS / 2)
            FOR_PANEL_ROWS(tile->count - key, RAW_PANEL)
#undef RAW_PANEL
#undef RAW_VECTORS
        }
    for (int at = first; at < end; at += WIDTH) {
        vfloat lowest = splat(-__builtin_inff()), before = load(block->shift + at), highest = before;
        for (int key = 0; key < tile->count; key++) {
            float *x = p + key * SA_LANES + at;
            vfloat s = load(x);
            if (tile->cap > 0) store(x, s = capped(s, tile->cap));
            if (block->first) store(x, s = choose(lane_mask(at, block->first[key], block->end[key]), s, lowest));
            highest = larger(highest, s);
        }
        /* A lane that has seen no key yet keeps -infinity; a finite stand-in avoids infinity - infinity. */
        vfloat shift = larger(highest, splat(-3e38f));
        vfloat rescale = exp2_vector(at_least(before - shift, -1000.0f));
        store(block->shift + at, highest);
        store(block->sum + at, load(block->sum + at) * rescale);
        if (block->output)
            for (int t = 0; t < dimension; t++) {
                float *x = block->output + t * SA_LANES + at;
                store(x, load(x) * rescale);
            }
        vfloat total = splat(0);
        for (int key = 0; key < tile->count; key += ROWS_A_STEP) {
            vfloat e[2];
            for (int r = 0; r < ROWS_A_STEP; r++) {
                e[r] = key + r < tile->count
                           ? exp2_vector(at_least(load(p + (key + r) * SA_LANES + at) - shift, -1000.0f))
                           : splat(0);
                total += e[r];
            }
            store(p + STEPS(key) * SA_LANES + at, SA_TILE_NAME(element)(e[0], e[ROWS_A_STEP - 1]));
        }
        store(added + at, total);
    }
}

/* Sums beyond this (or not a number) mean that a score stands far above the shift. FP32 would still hold 2^127. */
#define LARGEST_ADDED 0x1p32f

/* Lanes that have seen no key yet begin at the score of the tile's first key, when all lanes keep it: any kept score will do
 * for a shift, and one row of scores is quicker than the general case. False when some lane still has none. */
INLINE int SA_TILE_NAME(begin)(const SATile *tile, const SALaneBlock *block, int dimension) {
    int begun = 1;
    for (int lane = 0; lane < SA_LANES; lane++) begun &= block->shift[lane] > -__builtin_inff();
    if (begun) return 1;
    if (block->first && (block->first[0] != 0 || block->end[0] != SA_LANES)) return 0;
    float s[SA_LANES];
    for (int lane = 0; lane < SA_LANES; lane += PANEL_LANES)
        SA_TILE_NAME(raw_panel)(
            1, SA_PANEL_VECTORS, STEPS(dimension), tile->keys, tile->key_stride, (const float *)block->queries + lane, s + lane);
    for (int lane = 0; lane < SA_LANES; lane++)
        if (block->shift[lane] == -__builtin_inff()) block->shift[lane] = s[lane];
    return 1;
}

/* Asks for the rows first ..< end, as far as there are any, of what will be used next. */
INLINE void SA_TILE_NAME(fetch_next)(const SATile *tile, int first, int end, int dimension) {
    if (end > tile->next_rows) end = tile->next_rows;
    for (int i = 0; i < 2; i++)
        for (int r = first; tile->next[i] && r < end; r++) {
            const float *row = tile->next[i] + (tile->next_index ? tile->next_index[r] : r) * tile->next_stride[i];
            prefetch_rows(row, tile->next_stride[i], 1, dimension);
        }
}

#if SA_PAIRS && SA_TILES
#include "tiled_kernels.h"
#else
#include "panel_kernels.h"
#endif
#include "mass_kernels.h"
#include "weight_kernels.h"
#include "gradient_kernels.h"

#undef STEPS
#undef ROWS_A_STEP
#undef LARGEST_ADDED
