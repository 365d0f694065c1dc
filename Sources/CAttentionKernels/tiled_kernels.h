/* Attention and weight products on tile registers: what replaces the panels of tile_kernels.h in BF16. Part of tile_kernels.h.
 *
 * Scores of 32 keys by 32 lanes are four tiles: keys are the rows of the left operand as pack_keys leaves them, queries the right one as
 * pack_queries does. Outputs of 32 dimensions by 32 lanes are four tiles too: values stand as the left operand wants them (pack_values),
 * probabilities as the right one does. Tiles are multiplied beside the vector units: while these raise one unit to powers, the next
 * unit's scores and the values of the lanes before are in flight. */

#define TILE_ROWS 16
#define UNIT_KEYS SA_MOST_VALUE_KEYS
#define UNIT_LANES 32
#define UNIT_STEPS (UNIT_KEYS / 2)
#define UNIT_VECTORS (UNIT_LANES / WIDTH)
#define MOST_GROUPS (SA_TILE_KEYS / UNIT_KEYS)
_Static_assert(SA_TILE_KEYS % UNIT_KEYS == 0 && SA_LANES == 2 * UNIT_LANES, "a tile is cut into whole units, two by lanes");

/* 32 keys of a tile by 32 lanes. */
typedef struct {
    int key, lane;
    /* Some of its probabilities are zero because of a mask or the tile's end. */
    int is_partial;
} SA_TILE_NAME(Unit);

/* Out of tile->values, [key / 32][dimension][32]: the left operand of 16 dimensions by 32 keys. */
INLINE const float *SA_TILE_NAME(unit_values)(const SATile *tile, int key, int dimension, int at) {
    return (const float *)tile->values + (ptrdiff_t)(key / 2) * dimension + at * UNIT_STEPS;
}

/* Scores minus the shift begin as the negative shift in every row. */
INLINE void SA_TILE_NAME(scores_begin)(const float *negative_shift, int lane) {
    TILE_LOAD(0, negative_shift + lane, 0);
    TILE_LOAD(1, negative_shift + lane + TILE_ROWS, 0);
    TILE_LOAD(2, negative_shift + lane, 0);
    TILE_LOAD(3, negative_shift + lane + TILE_ROWS, 0);
}

/* 16 steps of 32 keys and 32 lanes. */
INLINE void SA_TILE_NAME(scores_add)(const float *keys, ptrdiff_t key_stride, const float *queries) {
    TILE_LOAD(4, keys, key_stride);
    TILE_LOAD(6, queries, SA_LANES);
    TILE_MULTIPLY(0, 4, 6);
    TILE_LOAD(7, queries + TILE_ROWS, SA_LANES);
    TILE_MULTIPLY(1, 4, 7);
    TILE_LOAD(5, keys + TILE_ROWS * key_stride, key_stride);
    TILE_MULTIPLY(2, 5, 6);
    TILE_MULTIPLY(3, 5, 7);
}

INLINE void SA_TILE_NAME(scores_end)(float *s) {
    TILE_STORE(0, s, UNIT_LANES);
    TILE_STORE(1, s + TILE_ROWS, UNIT_LANES);
    TILE_STORE(2, s + TILE_ROWS * UNIT_LANES, UNIT_LANES);
    TILE_STORE(3, s + TILE_ROWS * UNIT_LANES + TILE_ROWS, UNIT_LANES);
}

/* The chunks first ..< end of 16 steps of a unit's scores. */
INLINE void SA_TILE_NAME(scores_of)(
    const SATile *tile, const SALaneBlock *block, SA_TILE_NAME(Unit) unit, int first, int end) {
    const float *queries = (const float *)block->queries + unit.lane;
    const float *keys = (const float *)tile->keys + unit.key * tile->key_stride;
    int rows = tile->count - unit.key;
    for (int step = first * UNIT_STEPS; step < end * UNIT_STEPS; step += UNIT_STEPS) {
        if (rows >= UNIT_KEYS) {
            SA_TILE_NAME(scores_add)(keys + step, tile->key_stride, queries + step * SA_LANES);
        } else {
            /* Rows past the tile's last key belong to somebody else. */
            float some[UNIT_KEYS * UNIT_STEPS] __attribute__((aligned(64)));
            for (int r = 0; r < UNIT_KEYS; r++)
                memcpy(some + r * UNIT_STEPS, keys + (r < rows ? r : 0) * tile->key_stride + step, UNIT_STEPS * sizeof(float));
            SA_TILE_NAME(scores_add)(some, UNIT_STEPS, queries + step * SA_LANES);
        }
    }
}

/* The steps past the last whole chunk. */
static void SA_TILE_NAME(scores_rest)(
    const SATile *tile, const SALaneBlock *block, SA_TILE_NAME(Unit) unit, int first, int steps, float *s) {
    const float *queries = (const float *)block->queries + unit.lane;
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

/* Probabilities of the keys first ..< end of a unit. */
INLINE void SA_TILE_NAME(unit_powers)(
    const SATile *tile, SA_TILE_NAME(Unit) unit, int is_partial, int first, int end, const float *s, float *p,
    vfloat total[UNIT_VECTORS]) {
    UNROLLED for (int r = first; r < end; r += 2)
        UNROLLED for (int j = 0; j < UNIT_VECTORS; j++) {
            vfloat pair[2];
            UNROLLED for (int i = 0; i < 2; i++) {
                pair[i] = SA_TILE_NAME(power)(load(s + (r + i) * UNIT_LANES + j * WIDTH));
                if (is_partial) {
                    int key = unit.key + r + i, is_there = key < tile->count;
                    int from = !is_there ? SA_LANES : tile->first ? tile->first[key] : 0;
                    int to = !is_there ? 0 : tile->first ? tile->end[key] : SA_LANES;
                    pair[i] = choose(lane_mask(unit.lane + j * WIDTH, from, to), pair[i], splat(0));
                }
                total[j] += pair[i];
            }
            store(p + ((unit.key + r) / 2) * SA_LANES + unit.lane + j * WIDTH, pair_bf16(pair[0], pair[1]));
        }
}

/* ot[dimension][lane] += values * p for 32 dimensions (16 if `is_half`) and 32 lanes, over the groups of keys in the bits of `used`. */
INLINE void SA_TILE_NAME(values_of)(
    const SATile *tile, int dimension, int at, int is_half, int lane, unsigned used, const float *p, float *ot) {
    float *out = ot + at * SA_LANES + lane;
    TILE_LOAD(0, out, SA_LANES);
    TILE_LOAD(1, out + TILE_ROWS, SA_LANES);
    if (!is_half) TILE_LOAD(2, out + TILE_ROWS * SA_LANES, SA_LANES);
    if (!is_half) TILE_LOAD(3, out + TILE_ROWS * SA_LANES + TILE_ROWS, SA_LANES);
    for (int group = 0; group < MOST_GROUPS; group++) {
        if (!(used >> group & 1)) continue;
        const float *values = SA_TILE_NAME(unit_values)(tile, group * UNIT_KEYS, dimension, at);
        const float *weights = p + group * UNIT_STEPS * SA_LANES + lane;
        TILE_LOAD(4, values, UNIT_STEPS);
        TILE_LOAD(6, weights, SA_LANES);
        TILE_MULTIPLY(0, 4, 6);
        TILE_LOAD(7, weights + TILE_ROWS, SA_LANES);
        TILE_MULTIPLY(1, 4, 7);
        if (is_half) continue;
        TILE_LOAD(5, values + TILE_ROWS * UNIT_STEPS, UNIT_STEPS);
        TILE_MULTIPLY(2, 5, 6);
        TILE_MULTIPLY(3, 5, 7);
    }
    TILE_STORE(0, out, SA_LANES);
    TILE_STORE(1, out + TILE_ROWS, SA_LANES);
    if (!is_half) TILE_STORE(2, out + TILE_ROWS * SA_LANES, SA_LANES);
    if (!is_half) TILE_STORE(3, out + TILE_ROWS * SA_LANES + TILE_ROWS, SA_LANES);
}

/* The dimensions past the last 32. */
static void SA_TILE_NAME(values_rest)(
    const SATile *tile, int dimension, int lane, unsigned used, const float *p, float *ot) {
    int at = dimension / UNIT_KEYS * UNIT_KEYS;
    if (dimension - at >= TILE_ROWS) {
        SA_TILE_NAME(values_of)(tile, dimension, at, 1, lane, used, p, ot);
        at += TILE_ROWS;
    }
    for (; at < dimension; at++)
        for (int j = 0; j < UNIT_VECTORS; j++) {
            vfloat sum = load(ot + at * SA_LANES + lane + j * WIDTH);
            for (int group = 0; group < MOST_GROUPS; group++) {
                if (!(used >> group & 1)) continue;
                const float *values = SA_TILE_NAME(unit_values)(tile, group * UNIT_KEYS, dimension, at);
                for (int step = 0; step < UNIT_STEPS; step++)
                    sum = multiply_add(
                        1, splat(values[step]), load(p + (group * UNIT_STEPS + step) * SA_LANES + lane + j * WIDTH), sum);
            }
            store(ot + at * SA_LANES + lane + j * WIDTH, sum);
        }
}

/* A lane half's probabilities past the tile's last step, up to whole groups. */
INLINE void SA_TILE_NAME(clear_end)(const SATile *tile, int lane, float *p) {
    for (int step = STEPS(tile->count); step % UNIT_STEPS; step++)
        for (int j = 0; j < UNIT_VECTORS; j++) store(p + step * SA_LANES + lane + j * WIDTH, splat(0));
}

/* The general case for a lane half, after which every group counts. */
static unsigned SA_TILE_NAME(shift_half)(
    const SATile *tile, const SALaneBlock *block, int dimension, int lane, float *p, float *added) {
    SA_TILE_NAME(shifting_powers)(tile, block, dimension, lane, lane + UNIT_LANES, p, added);
    SA_TILE_NAME(clear_end)(tile, lane, p);
    return (1u << (tile->count + UNIT_KEYS - 1) / UNIT_KEYS) - 1;
}

/* The units of which any lane keeps a key, lanes in the outer loop; what the others leave in p is zero. */
INLINE int SA_TILE_NAME(units_of)(const SATile *tile, float *p, SA_TILE_NAME(Unit) units[2 * MOST_GROUPS], unsigned used[2]) {
    int count = 0;
    used[0] = used[1] = 0;
    for (int lane = 0; lane < SA_LANES; lane += UNIT_LANES)
        for (int key = 0; key < tile->count; key += UNIT_KEYS) {
            int rows = tile->count - key < UNIT_KEYS ? tile->count - key : UNIT_KEYS;
            SA_TILE_NAME(Lanes) lanes = {0, SA_LANES, 1};
            if (tile->first) lanes = SA_TILE_NAME(lanes_of)(tile, key, rows);
            if (lanes.first >= lane + UNIT_LANES || lanes.end <= lane) {
                for (int r = 0; r < UNIT_STEPS; r++)
                    for (int j = 0; j < UNIT_VECTORS; j++) store(p + (key / 2 + r) * SA_LANES + lane + j * WIDTH, splat(0));
                continue;
            }
            units[count++] = (SA_TILE_NAME(Unit)){key, lane, !lanes.is_whole || rows < UNIT_KEYS};
            used[lane / UNIT_LANES] |= 1u << key / UNIT_KEYS;
        }
    return count;
}

/* p, the sums in `added` and, if the block has one, the output of a tile. */
INLINE void SA_TILE_NAME(run_units)(
    int has_values, const SATile *tile, const SALaneBlock *block, int dimension, float *p, float *added) {
    float scores[2][UNIT_KEYS * UNIT_LANES] __attribute__((aligned(64)));
    float negative_shift[SA_LANES] __attribute__((aligned(64)));
    SA_TILE_NAME(Unit) units[2 * MOST_GROUPS];
    unsigned used[2];
    int chunks = STEPS(dimension) / UNIT_STEPS, steps = STEPS(dimension), blocks = dimension / UNIT_KEYS;
    int count = SA_TILE_NAME(units_of)(tile, p, units, used);
    int late = count;
    while (late > 0 && units[late - 1].lane > 0) late--;
    for (int lane = 0; lane < SA_LANES; lane++) {
        negative_shift[lane] = -block->shift[lane];
        added[lane] = 0;
    }
    if (count > 0) {
        SA_TILE_NAME(scores_begin)(negative_shift, units[0].lane);
        SA_TILE_NAME(scores_of)(tile, block, units[0], 0, chunks);
        SA_TILE_NAME(scores_end)(scores[0]);
    }
    vfloat total[UNIT_VECTORS];
    for (int j = 0; j < UNIT_VECTORS; j++) total[j] = splat(0);
    for (int i = 0; i < count; i++) {
        SA_TILE_NAME(Unit) unit = units[i];
        float *s = scores[i % 2];
        if (chunks * UNIT_STEPS < steps) SA_TILE_NAME(scores_rest)(tile, block, unit, chunks * UNIT_STEPS, steps, s);
        /* The first lanes' outputs wait for nothing once the second lanes' units begin: each takes its share of their dimensions. */
        int rank = i - late, others = count - late;
        int from = has_values && rank >= 0 ? blocks * rank / others : 0, to = has_values && rank >= 0 ? blocks * (rank + 1) / others : 0;
        for (int quarter = 0; quarter < 4; quarter++) {
            if (i + 1 < count && quarter < 2) {
                if (quarter == 0) SA_TILE_NAME(scores_begin)(negative_shift, units[i + 1].lane);
                SA_TILE_NAME(scores_of)(
                    tile, block, units[i + 1], quarter ? (chunks + 1) / 2 : 0, quarter ? chunks : (chunks + 1) / 2);
                if (quarter == 1) SA_TILE_NAME(scores_end)(scores[(i + 1) % 2]);
            } else if (quarter >= 2) {
                int middle = from + (to - from + 1) / 2;
                for (int b = quarter == 2 ? from : middle; b < (quarter == 2 ? middle : to); b++)
                    SA_TILE_NAME(values_of)(tile, dimension, b * UNIT_KEYS, 0, 0, used[0], p, block->output);
            }
            int first = quarter * UNIT_KEYS / 4;
            if (unit.is_partial) {
                SA_TILE_NAME(unit_powers)(tile, unit, 1, 0, UNIT_KEYS / 4, s + first * UNIT_LANES, p, total);
            } else {
                SA_TILE_NAME(unit_powers)(tile, unit, 0, 0, UNIT_KEYS / 4, s + first * UNIT_LANES, p, total);
            }
            unit.key += UNIT_KEYS / 4;
        }
        if (i + 1 < count && units[i + 1].lane == unit.lane) continue;
        int fits = 1;
        for (int j = 0; j < UNIT_VECTORS; j++) {
            store(added + unit.lane + j * WIDTH, total[j]);
            total[j] = splat(0);
        }
        for (int lane = unit.lane; lane < unit.lane + UNIT_LANES; lane++) fits &= added[lane] <= LARGEST_ADDED;
        if (!fits) used[unit.lane / UNIT_LANES] = SA_TILE_NAME(shift_half)(tile, block, dimension, unit.lane, p, added);
    }
    if (!has_values) return;
    for (int half = late < count ? 1 : 0; half < 2; half++)
        for (int b = 0; b < blocks; b++)
            SA_TILE_NAME(values_of)(tile, dimension, b * UNIT_KEYS, 0, half * UNIT_LANES, used[half], p, block->output);
    if (dimension % UNIT_KEYS)
        for (int half = 0; half < 2; half++)
            SA_TILE_NAME(values_rest)(tile, dimension, half * UNIT_LANES, used[half], p, block->output);
}

INLINE void SA_TILE_NAME(run_tile)(
    int has_values, const SATile *tile, const SALaneBlock *block, int dimension, float *p, float *added) {
    TILES_BEGIN();
    if (tile->cap == 0 && SA_TILE_NAME(begin)(tile, block, dimension)) {
        SA_TILE_NAME(run_units)(has_values, tile, block, dimension, p, added);
    } else {
        for (int lane = 0; lane < SA_LANES; lane += UNIT_LANES) {
            unsigned used = SA_TILE_NAME(shift_half)(tile, block, dimension, lane, p, added);
            if (!has_values) continue;
            for (int at = 0; at + UNIT_KEYS <= dimension; at += UNIT_KEYS)
                SA_TILE_NAME(values_of)(tile, dimension, at, 0, lane, used, p, block->output);
            SA_TILE_NAME(values_rest)(tile, dimension, lane, used, p, block->output);
        }
    }
    for (int lane = 0; lane < SA_LANES; lane++) block->sum[lane] += added[lane];
    TILES_END();
}

static void SA_TILE_NAME(attend)(const SATile *tile, const SALaneBlock *block, int dimension, void *p) {
    float added[SA_LANES] __attribute__((aligned(64)));
    SA_TILE_NAME(run_tile)(1, tile, block, dimension, p, added);
}

static void SA_TILE_NAME(score)(const SATile *tile, const SALaneBlock *block, int dimension, void *p, float *added) {
    SA_TILE_NAME(run_tile)(0, tile, block, dimension, p, added);
}
