/* Products of queries and keys in INT8 in tile registers: keys are the rows of the left operand, queries the right one. Units of 32 keys by
 * 32 lanes are four tiles of sums, as those of tiled_kernels.h; the sums of the next one are begun before the maxima of this one, so that
 * tiles and vectors have work at the same time. Part of int8_kernels.h. */

_Static_assert(SA_INT8_KEYS == UNIT_KEYS && INT8_PIECE == TILE_ROWS * INT8_VALUES, "packed operands are whole units");
_Static_assert(UNIT_KEYS % SA_INT8_SCALE_KEYS == 0, "units have whole scales");

/* s[key][lane] = query . key of a unit, as whole numbers. */
INLINE void int8_unit(int unit, const int32_t *queries, const int32_t *keys, int steps, float *s) {
    const float *k = (const float *)keys + (ptrdiff_t)(unit / 2 * UNIT_KEYS) * steps;
    const float *q = (const float *)queries + unit % 2 * UNIT_LANES;
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
    for (int step = 0; step < steps; step += TILE_ROWS) add_products(1, k + step, steps, q + step * SA_LANES, 0);
    store_sums(s, UNIT_LANES, 0);
}

/* most[vector] becomes the largest of itself and the scores of `rows` keys with one scale, before the query's. */
INLINE void int8_unit_maxima(int rows, const float *s, float key_scale, vfloat most[UNIT_VECTORS]) {
    vint largest[UNIT_VECTORS];
    UNROLLED for (int j = 0; j < UNIT_VECTORS; j++) largest[j] = (vint)load(s + j * WIDTH);
    for (int r = 1; r < rows; r++)
        UNROLLED for (int j = 0; j < UNIT_VECTORS; j++)
            largest[j] = __builtin_elementwise_max(largest[j], (vint)load(s + r * UNIT_LANES + j * WIDTH));
    UNROLLED for (int j = 0; j < UNIT_VECTORS; j++) most[j] = larger_score(key_scale, largest[j], most[j]);
}

static void SA_NAME(int8_maxima)(
    const void *queries, const float *query_scales, const void *keys, const float *key_scales, int count, int dimension, int group,
    float *out) {
    float sums[2][UNIT_KEYS * UNIT_LANES] __attribute__((aligned(64)));
    /* Of both halves of the lanes, over the keys of the group so far. */
    vfloat most[2][UNIT_VECTORS];
    int steps = int8_steps(dimension), units = (count + UNIT_KEYS - 1) / UNIT_KEYS * 2;
    TILES_BEGIN();
    if (units > 0) int8_unit(0, queries, keys, steps, sums[0]);
    for (int unit = 0; unit < units; unit++) {
        if (unit + 1 < units) int8_unit(unit + 1, queries, keys, steps, sums[(unit + 1) % 2]);
        int first = unit / 2 * UNIT_KEYS, half = unit % 2, end = first + UNIT_KEYS < count ? first + UNIT_KEYS : count;
        for (int key = first; key < end;) {
            int scale = key / SA_INT8_SCALE_KEYS, scale_end = (scale + 1) * SA_INT8_SCALE_KEYS, group_end = key / group * group + group;
            int next = group_end < scale_end ? group_end : scale_end;
            if (next > end) next = end;
            if (key % group == 0)
                UNROLLED for (int j = 0; j < UNIT_VECTORS; j++) most[half][j] = splat(-__builtin_inff());
            int8_unit_maxima(next - key, sums[unit % 2] + (key - first) * UNIT_LANES, key_scales[scale], most[half]);
            if (next == group_end || next == count)
                UNROLLED for (int j = 0; j < UNIT_VECTORS; j++) {
                    int lane = half * UNIT_LANES + j * WIDTH;
                    store(out + (ptrdiff_t)(key / group) * SA_LANES + lane, load(query_scales + lane) * most[half][j]);
                }
            key = next;
        }
    }
    TILES_END();
}
