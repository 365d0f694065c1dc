/* Attention on tile registers: what replaces the panels of panel_kernels.h in BF16. Part of tile_kernels.h.
 *
 * Scores of 32 keys by 32 lanes are four tiles: keys are the rows of the left operand as pack_keys leaves them, queries the right one as
 * pack_queries does. Outputs of 32 dimensions by 32 lanes are four tiles too: values stand as the left operand wants them (pack_values),
 * probabilities as the right one does. The scores of the next unit are begun before the powers of this one, so that tiles and vectors
 * have work at the same time. */

#include "tiled_products.h"
#define UNIT_KEYS SA_MOST_VALUE_KEYS
#define UNIT_LANES 32
#define UNIT_STEPS (UNIT_KEYS / 2)
#define UNIT_VECTORS (UNIT_LANES / WIDTH)
#define MOST_GROUPS (SA_TILE_KEYS / UNIT_KEYS)
_Static_assert(SA_TILE_KEYS % UNIT_KEYS == 0 && SA_LANES == 2 * UNIT_LANES, "a tile is cut into whole units, two by lanes");

/* 32 keys of a tile by 32 lanes of a block. */
typedef struct {
    const SALaneBlock *block;
    int key, lane;
    /* Some of its probabilities are zero because of a mask or the tile's end. */
    int is_partial;
    /* The last of its block. */
    int is_last;
} SA_TILE_NAME(Unit);

/* 32 lanes of a block whose probabilities stand in p, for the groups of keys in the bits of `used`. */
typedef struct {
    const SALaneBlock *block;
    int lane;
    unsigned used;
} SA_TILE_NAME(Lanes32);

/* Out of tile->values, [key / 32][dimension][32]: the left operand of 16 dimensions by 32 keys. */
INLINE const float *SA_TILE_NAME(unit_values)(const SATile *tile, int key, int dimension, int at) {
    return (const float *)tile->values + (ptrdiff_t)(key / 2) * dimension + at * UNIT_STEPS;
}

/* The same of `rows` dimensions, with zeros past the tile's last key: the values there are those of later keys, and what is not a number
 * among them times a probability of zero is not a number either. */
INLINE const float *SA_TILE_NAME(last_values)(
    const SATile *tile, int key, int dimension, int at, int rows, float some[UNIT_KEYS * UNIT_STEPS]) {
    const float *from = SA_TILE_NAME(unit_values)(tile, key, dimension, at);
    int keys = tile->count - key < UNIT_KEYS ? tile->count - key : UNIT_KEYS, steps = STEPS(keys);
    for (int r = 0; r < rows; r++) {
        float *to = some + r * UNIT_STEPS;
        memset(to, 0, UNIT_STEPS * sizeof(float));
        memcpy(to, from + r * UNIT_STEPS, (size_t)steps * sizeof(float));
        /* The upper half of a pair is the second key. */
        if (keys % 2) memset((uint16_t *)(to + steps) - 1, 0, sizeof(uint16_t));
    }
    return some;
}

/* A unit's scores over the whole chunks of 16 steps. */
INLINE void SA_TILE_NAME(scores_of)(
    const SATile *tile, SA_TILE_NAME(Unit) unit, int steps, const float *negative_shift, float *s) {
    /* Scores minus the shift begin as the negative shift in every row. */
    load_sums(negative_shift + unit.lane, 0, 0);
    const float *queries = (const float *)unit.block->queries + unit.lane;
    const float *keys = (const float *)tile->keys + unit.key * tile->key_stride;
    int rows = tile->count - unit.key;
    for (int step = 0; step + UNIT_STEPS <= steps; step += UNIT_STEPS) {
        if (rows >= UNIT_KEYS) {
            add_products(0, keys + step, tile->key_stride, queries + step * SA_LANES, 0);
        } else {
            /* Rows past the tile's last key belong to somebody else. */
            float some[UNIT_KEYS * UNIT_STEPS] __attribute__((aligned(64)));
            for (int r = 0; r < UNIT_KEYS; r++)
                memcpy(some + r * UNIT_STEPS, keys + (r < rows ? r : 0) * tile->key_stride + step, UNIT_STEPS * sizeof(float));
            add_products(0, some, UNIT_STEPS, queries + step * SA_LANES, 0);
        }
    }
    store_sums(s, UNIT_LANES, 0);
}

/* The steps past the last whole chunk. */
static void SA_TILE_NAME(scores_rest)(const SATile *tile, SA_TILE_NAME(Unit) unit, int first, int steps, float *s) {
    const float *queries = (const float *)unit.block->queries + unit.lane;
    int rows = tile->count - unit.key < UNIT_KEYS ? tile->count - unit.key : UNIT_KEYS;
    for (int r = 0; r < rows; r++) {
        const float *key = (const float *)tile->keys + (unit.key + r) * tile->key_stride;
        for (int j = 0; j < UNIT_VECTORS; j++) {
            vfloat sum = load(s + r * UNIT_LANES + j * WIDTH);
            for (int step = first; step < steps; step++)
                sum = multiply_add(1, splat(key[step]), load(queries + step * SA_LANES + j * WIDTH), sum);
            store(s + r * UNIT_LANES + j * WIDTH, sum);
        }
    }
}

#if SA_VECTOR_BYTES == 64
/* 2^x for BF16: f = x - floor(x) in one instruction, and p * 2^floor(x) in another that floors for itself. */
INLINE vfloat SA_TILE_NAME(unit_power)(vfloat x) {
    vfloat f = (vfloat)_mm512_reduce_ps((__m512)x, _MM_FROUND_TO_NEG_INF);
    vfloat p = splat(exp2_coarse_upward[0]);
    UNROLLED for (int i = 1; i < EXP2_COEFFICIENTS(exp2_coarse_upward); i++) p = p * f + splat(exp2_coarse_upward[i]);
    return (vfloat)_mm512_scalef_ps((__m512)p, (__m512)x);
}

/* Rounds half away from zero, where pair_bf16 rounds to even, in instructions that wait for no permutation. What is not a number is lost:
 * a lane that has any goes through the general case. */
INLINE vfloat SA_TILE_NAME(unit_pair)(vfloat low, vfloat high) {
    __m512i half = _mm512_set1_epi32(0x8000);
    __m512i a = _mm512_srli_epi32(_mm512_add_epi32((__m512i)low, half), 16), b = _mm512_add_epi32((__m512i)high, half);
    return (vfloat)_mm512_mask_blend_epi16(0xAAAAAAAA, a, b);
}

/* x where the bit of a lane is set, zero elsewhere. */
INLINE vfloat SA_TILE_NAME(kept)(uint32_t lanes, vfloat x) { return (vfloat)_mm512_maskz_mov_ps((__mmask16)lanes, (__m512)x); }
#else
INLINE vfloat SA_TILE_NAME(unit_power)(vfloat x) { return SA_TILE_NAME(power)(x); }
INLINE vfloat SA_TILE_NAME(unit_pair)(vfloat low, vfloat high) { return pair_bf16(low, high); }

INLINE vfloat SA_TILE_NAME(kept)(uint32_t lanes, vfloat x) {
    vint is_kept;
    for (int i = 0; i < WIDTH; i++) is_kept[i] = -(int)(lanes >> i & 1);
    return choose(is_kept, x, splat(0));
}
#endif

static void SA_TILE_NAME(kept_lanes)(const SATile *tile, SA_TILE_NAME(Unit) unit, uint32_t kept[UNIT_KEYS]) {
    int rows = tile->count - unit.key < UNIT_KEYS ? tile->count - unit.key : UNIT_KEYS;
    const uint8_t *first = unit.block->first, *end = unit.block->end;
    for (int r = 0; r < UNIT_KEYS; r++) {
        uint64_t lanes = r < rows ? ~0ull : 0;
        if (r < rows && first) {
            int from = first[unit.key + r], to = end[unit.key + r];
            lanes = from < to ? ~0ull >> (SA_LANES - to) & ~0ull << from : 0;
        }
        kept[r] = (uint32_t)(lanes >> unit.lane);
    }
}

/* Probabilities of a unit. */
INLINE void SA_TILE_NAME(unit_powers)(
    const SATile *tile, SA_TILE_NAME(Unit) unit, int is_partial, const float *s, float *p, vfloat total[UNIT_VECTORS]) {
    /* The unit's lanes that keep each key, one bit a lane. */
    uint32_t kept[UNIT_KEYS];
    if (is_partial) SA_TILE_NAME(kept_lanes)(tile, unit, kept);
    /* In registers, which stores to p are known not to touch. */
    vfloat sum[UNIT_VECTORS];
    UNROLLED for (int j = 0; j < UNIT_VECTORS; j++) sum[j] = total[j];
    for (int r = 0; r < UNIT_KEYS; r += 2)
        UNROLLED for (int j = 0; j < UNIT_VECTORS; j++) {
            vfloat pair[2];
            UNROLLED for (int i = 0; i < 2; i++) {
                pair[i] = SA_TILE_NAME(unit_power)(load(s + (r + i) * UNIT_LANES + j * WIDTH));
                if (is_partial) pair[i] = SA_TILE_NAME(kept)(kept[r + i] >> (j * WIDTH), pair[i]);
                sum[j] += pair[i];
            }
            store(p + ((unit.key + r) / 2) * SA_LANES + unit.lane + j * WIDTH, SA_TILE_NAME(unit_pair)(pair[0], pair[1]));
        }
    UNROLLED for (int j = 0; j < UNIT_VECTORS; j++) total[j] = sum[j];
}

/* ot[dimension][lane] += values * p for 32 dimensions (16 if `is_half`) from `at` on. */
INLINE void SA_TILE_NAME(values_of)(
    const SATile *tile, SA_TILE_NAME(Lanes32) lanes, int dimension, int at, int is_half, const float *p) {
    float *out = lanes.block->output + at * SA_LANES + lanes.lane;
    float some[UNIT_KEYS * UNIT_STEPS] __attribute__((aligned(64)));
    load_sums(out, SA_LANES, is_half);
    for (int group = 0; group < MOST_GROUPS; group++) {
        if (!(lanes.used >> group & 1)) continue;
        int key = group * UNIT_KEYS;
        const float *values = key + UNIT_KEYS <= tile->count
            ? SA_TILE_NAME(unit_values)(tile, key, dimension, at)
            : SA_TILE_NAME(last_values)(tile, key, dimension, at, is_half ? TILE_ROWS : UNIT_KEYS, some);
        add_products(0, values, UNIT_STEPS, p + group * UNIT_STEPS * SA_LANES + lanes.lane, is_half);
    }
    store_sums(out, SA_LANES, is_half);
}

/* The dimensions past the last 32. */
static void SA_TILE_NAME(values_rest)(const SATile *tile, SA_TILE_NAME(Lanes32) lanes, int dimension, const float *p) {
    int at = dimension / UNIT_KEYS * UNIT_KEYS;
    if (dimension - at >= TILE_ROWS) {
        SA_TILE_NAME(values_of)(tile, lanes, dimension, at, 1, p);
        at += TILE_ROWS;
    }
    for (; at < dimension; at++)
        for (int j = 0; j < UNIT_VECTORS; j++) {
            float *out = lanes.block->output + at * SA_LANES + lanes.lane + j * WIDTH;
            vfloat sum = load(out);
            for (int group = 0; group < MOST_GROUPS; group++) {
                if (!(lanes.used >> group & 1)) continue;
                float some[UNIT_KEYS * UNIT_STEPS];
                const float *values = SA_TILE_NAME(last_values)(tile, group * UNIT_KEYS, dimension, at, 1, some);
                const float *weights = p + group * UNIT_STEPS * SA_LANES + lanes.lane + j * WIDTH;
                for (int step = 0; step < UNIT_STEPS; step++)
                    sum = multiply_add(1, splat(values[step]), load(weights + step * SA_LANES), sum);
            }
            store(out, sum);
        }
}

/* A block's outputs, the lanes in the inner loop: values are read once for all of them. */
INLINE void SA_TILE_NAME(all_values)(
    const SATile *tile, const SALaneBlock *block, const unsigned used[2], int dimension, const float *p) {
    SA_TILE_NAME(Lanes32) lanes[2] = {{block, 0, used[0]}, {block, UNIT_LANES, used[1]}};
    int at = 0;
    for (; at + UNIT_KEYS <= dimension; at += UNIT_KEYS)
        for (int h = 0; h < 2; h++)
            if (used[h]) SA_TILE_NAME(values_of)(tile, lanes[h], dimension, at, 0, p);
    for (int h = 0; h < 2 && at < dimension; h++)
        if (used[h]) SA_TILE_NAME(values_rest)(tile, lanes[h], dimension, p);
}

/* A lane half's probabilities past the tile's last step, up to whole groups. */
INLINE void SA_TILE_NAME(clear_end)(const SATile *tile, int lane, float *p) {
    for (int step = STEPS(tile->count); step % UNIT_STEPS; step++)
        for (int j = 0; j < UNIT_VECTORS; j++) store(p + step * SA_LANES + lane + j * WIDTH, splat(0));
}

/* The general case for 32 lanes, after which every group counts. */
static unsigned SA_TILE_NAME(shift_lanes)(
    const SATile *tile, const SALaneBlock *block, int dimension, int lane, float *p, float *added) {
    SA_TILE_NAME(shifting_powers)(tile, block, dimension, lane, lane + UNIT_LANES, p, added);
    SA_TILE_NAME(clear_end)(tile, lane, p);
    return (1u << (tile->count + UNIT_KEYS - 1) / UNIT_KEYS) - 1;
}

/* Appends the units of which any lane of a block keeps a key, keys in the outer loop: they are read once for all lanes. `clears` makes the
 * others' probabilities zero. */
INLINE int SA_TILE_NAME(units_of)(const SATile *tile, const SALaneBlock *block, int clears, float *p, SA_TILE_NAME(Unit) *units) {
    int count = 0;
    for (int key = 0; key < tile->count; key += UNIT_KEYS) {
        int rows = tile->count - key < UNIT_KEYS ? tile->count - key : UNIT_KEYS;
        SA_TILE_NAME(Lanes) lanes = {0, SA_LANES, 1};
        if (block->first) lanes = rows == UNIT_KEYS ? SA_TILE_NAME(lanes_of)(block, key, UNIT_KEYS) : SA_TILE_NAME(lanes_of)(block, key, rows);
        for (int lane = 0; lane < SA_LANES; lane += UNIT_LANES) {
            if (lanes.first < lane + UNIT_LANES && lanes.end > lane) {
                units[count++] = (SA_TILE_NAME(Unit)){block, key, lane, !lanes.is_whole || rows < UNIT_KEYS, 0};
                continue;
            }
            for (int step = 0; clears && step < UNIT_STEPS; step++)
                for (int j = 0; j < UNIT_VECTORS; j++) store(p + (key / 2 + step) * SA_LANES + lane + j * WIDTH, splat(0));
        }
    }
    if (count > 0) units[count - 1].is_last = 1;
    return count;
}

/* p and the sums in `added` [block][lane] and, if the blocks have any, the outputs of a tile. */
INLINE void SA_TILE_NAME(run_blocks)(
    int has_values, const SATile *tile, const SALaneBlock *blocks, int count, int dimension, float *p, float *added) {
    float scores[2][UNIT_KEYS * UNIT_LANES] __attribute__((aligned(64)));
    float negative_shift[SA_MOST_LANE_BLOCKS * SA_LANES] __attribute__((aligned(64)));
    SA_TILE_NAME(Unit) units[SA_MOST_LANE_BLOCKS * 2 * MOST_GROUPS];
    int number = 0, steps = STEPS(dimension), whole = steps / UNIT_STEPS * UNIT_STEPS;
    for (int index = 0; index < count; index++) {
        const SALaneBlock *block = blocks + index;
        float *own = added + index * SA_LANES;
        if (tile->cap == 0 && SA_TILE_NAME(begin)(tile, block, dimension)) {
            number += SA_TILE_NAME(units_of)(tile, block, !has_values, p, units + number);
            for (int lane = 0; lane < SA_LANES; lane++) {
                negative_shift[index * SA_LANES + lane] = -block->shift[lane];
                own[lane] = 0;
            }
            continue;
        }
        unsigned used[2];
        for (int h = 0; h < 2; h++) used[h] = SA_TILE_NAME(shift_lanes)(tile, block, dimension, h * UNIT_LANES, p, own);
        if (has_values) SA_TILE_NAME(all_values)(tile, block, used, dimension, p);
    }
#define SCORES_OF(unit, s) \
    SA_TILE_NAME(scores_of)(tile, unit, steps, negative_shift + ((unit).block - blocks) * SA_LANES, s)
    if (number > 0) SCORES_OF(units[0], scores[0]);
    unsigned used[2] = {0, 0};
    /* Of both halves of a block's lanes. */
    vfloat total[2][UNIT_VECTORS];
    for (int h = 0; h < 2; h++) UNROLLED for (int j = 0; j < UNIT_VECTORS; j++) total[h][j] = splat(0);
    for (int i = 0; i < number; i++) {
        SA_TILE_NAME(Unit) unit = units[i];
        SA_TILE_NAME(fetch_next)(tile, i * tile->next_rows / number, (i + 1) * tile->next_rows / number, dimension);
        float *s = scores[i % 2], *own = added + (unit.block - blocks) * SA_LANES;
        if (whole < steps) SA_TILE_NAME(scores_rest)(tile, unit, whole, steps, s);
        if (i + 1 < number) SCORES_OF(units[i + 1], scores[(i + 1) % 2]);
        int half = unit.lane / UNIT_LANES;
        if (unit.is_partial) SA_TILE_NAME(unit_powers)(tile, unit, 1, s, p, total[half]);
        else SA_TILE_NAME(unit_powers)(tile, unit, 0, s, p, total[half]);
        used[half] |= 1u << unit.key / UNIT_KEYS;
        if (!unit.is_last) continue;
        for (int h = 0; h < 2; h++) {
            int fits = 1, lane = h * UNIT_LANES;
            UNROLLED for (int j = 0; j < UNIT_VECTORS; j++) {
                store(own + lane + j * WIDTH, total[h][j]);
                total[h][j] = splat(0);
            }
            for (int l = lane; l < lane + UNIT_LANES; l++) fits &= own[l] <= LARGEST_ADDED;
            if (!fits) used[h] = SA_TILE_NAME(shift_lanes)(tile, unit.block, dimension, lane, p, own);
        }
        if (has_values) SA_TILE_NAME(all_values)(tile, unit.block, used, dimension, p);
        used[0] = used[1] = 0;
    }
#undef SCORES_OF
    for (int index = 0; index < count; index++)
        for (int lane = 0; lane < SA_LANES; lane++) blocks[index].sum[lane] += added[index * SA_LANES + lane];
}

static void SA_TILE_NAME(attend)(const SATile *tile, const SALaneBlock *blocks, int count, int dimension, void *p) {
    float added[SA_MOST_LANE_BLOCKS * SA_LANES] __attribute__((aligned(64)));
    TILES_BEGIN();
    SA_TILE_NAME(run_blocks)(1, tile, blocks, count, dimension, p, added);
    TILES_END();
}

static void SA_TILE_NAME(score)(const SATile *tile, const SALaneBlock *block, int dimension, void *p, float *added) {
    TILES_BEGIN();
    SA_TILE_NAME(run_blocks)(0, tile, block, 1, dimension, p, added);
    TILES_END();
}
