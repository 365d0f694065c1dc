/* Attention on the vector units: scores and outputs by panels of keys or dimensions in registers. Part of tile_kernels.h. */

/* Scores of raw_panel turned into 2^(score - shift) before it leaves the registers; `added` collects the lanes' sums. With `mask`
 * set, lanes outside [first, end) of each key become 0. */
INLINE void SA_TILE_NAME(power_panel)(
    int mask, int rows, int vectors, int steps, const SATile *tile, int key, const SALaneBlock *block, int lane, float *p, float *added) {
    vfloat sum[SA_PANEL_ROWS][SA_PANEL_VECTORS];
    UNROLLED for (int j = 0; j < vectors; j++) {
        vfloat start = -load(block->shift + lane + j * WIDTH);
        UNROLLED for (int r = 0; r < rows; r++) sum[r][j] = start;
    }
    const float *keys = (const float *)tile->keys + key * tile->key_stride;
    if (!SA_PAIRS && lane == 0) prefetch_rows(keys + 2 * SA_PANEL_ROWS * tile->key_stride, tile->key_stride, rows, steps);
    products(SA_PAIRS, rows, vectors, steps, keys, tile->key_stride, 1, (const float *)block->queries + lane, sum);
    UNROLLED for (int j = 0; j < vectors; j++) {
        int at = lane + j * WIDTH;
        vfloat total = load(added + at);
        UNROLLED for (int r = 0; r < rows; r++) {
            vfloat e = SA_TILE_NAME(power)(sum[r][j]);
            if (mask) e = choose(lane_mask(at, block->first[key + r], block->end[key + r]), e, splat(0));
            total += e;
            sum[r][j] = e;
        }
        store(added + at, total);
        UNROLLED for (int r = 0; r < rows; r += ROWS_A_STEP) {
            vfloat odd = r + ROWS_A_STEP - 1 < rows ? sum[r + ROWS_A_STEP - 1][j] : splat(0);
            store(p + STEPS(key + r) * SA_LANES + at, SA_TILE_NAME(element)(sum[r][j], odd));
        }
    }
}

/* The steps of a tile that each lane vector sees anything of: outside them p is 0 and the products skip it. */
typedef struct {
    int first[LANE_VECTORS], end[LANE_VECTORS];
} SA_TILE_NAME(Seen);

/* A panel of keys under a mask: lane vectors that see none of them are only zeroed. Those that do are neighbours, and full
 * panels take up to SA_PANEL_VECTORS of them at once. */
static void SA_TILE_NAME(masked_panel)(
    const SATile *tile, int key, int rows, int steps, const SALaneBlock *block, SA_TILE_NAME(Lanes) lanes, float *p, float *added,
    SA_TILE_NAME(Seen) *seen) {
    int first = lanes.first / WIDTH, end = (lanes.end + WIDTH - 1) / WIDTH;
    for (int j = 0; j < LANE_VECTORS; j++) {
        if (j >= first && j < end) {
            if (STEPS(key) < seen->first[j]) seen->first[j] = STEPS(key);
            seen->end[j] = STEPS(key + rows);
        } else {
            for (int r = 0; r < rows; r += ROWS_A_STEP) store(p + STEPS(key + r) * SA_LANES + j * WIDTH, splat(0));
        }
    }
    for (int j = first; j < end;) {
#define MASKED_PANEL(count, vectors) \
    SA_TILE_NAME(power_panel)(1, count, vectors, steps, tile, key, block, j * WIDTH, p, added)
        int vectors = end - j < SA_PANEL_VECTORS ? end - j : SA_PANEL_VECTORS;
        if (rows < SA_PANEL_ROWS || vectors == 1) {
            vectors = 1;
#define MASKED_ROWS(count) MASKED_PANEL(count, 1)
            FOR_PANEL_ROWS(rows, MASKED_ROWS)
#undef MASKED_ROWS
        } else if (vectors == 2) {
            MASKED_PANEL(SA_PANEL_ROWS, 2);
        } else if (vectors == 3) {
            MASKED_PANEL(SA_PANEL_ROWS, (SA_PANEL_VECTORS > 2 ? 3 : 2));
        } else {
            MASKED_PANEL(SA_PANEL_ROWS, SA_PANEL_VECTORS);
        }
#undef MASKED_PANEL
        j += vectors;
    }
}

/* Probabilities of a tile relative to the shift that stands, panel by panel in registers. */
INLINE void SA_TILE_NAME(quick_powers)(
    const SATile *tile, const SALaneBlock *block, int dimension, float *p, float *added, SA_TILE_NAME(Seen) *seen) {
    int steps = STEPS(dimension);
    for (int key = 0; key < tile->count; key += SA_PANEL_ROWS) {
        int rows = tile->count - key < SA_PANEL_ROWS ? tile->count - key : SA_PANEL_ROWS;
        SA_TILE_NAME(fetch_next)(tile, key, key + rows, dimension);
        if (block->first) {
            SA_TILE_NAME(Lanes) lanes = SA_TILE_NAME(lanes_of)(block, key, rows);
            if (!lanes.is_whole) {
                SA_TILE_NAME(masked_panel)(tile, key, rows, steps, block, lanes, p, added, seen);
                continue;
            }
            for (int j = 0; j < LANE_VECTORS; j++) {
                if (STEPS(key) < seen->first[j]) seen->first[j] = STEPS(key);
                seen->end[j] = STEPS(key + rows);
            }
        }
        for (int lane = 0; lane < SA_LANES; lane += PANEL_LANES) {
#define POWER_PANEL(count)                                                                                                 \
    SA_TILE_NAME(power_panel)(                                                                                             \
        0, count, SA_PANEL_VECTORS, steps, tile, key, block, lane, p, added)
            FOR_PANEL_ROWS(rows, POWER_PANEL)
#undef POWER_PANEL
        }
    }
}

/* p and the sums of a tile, the shift moved if it has to be; says which steps the lanes see. */
INLINE void SA_TILE_NAME(powers)(
    const SATile *tile, const SALaneBlock *block, int dimension, float *p, float *added, SA_TILE_NAME(Seen) *seen) {
    int steps = STEPS(tile->count), is_whole = !block->first, fits = 1;
    for (int lane = 0; lane < SA_LANES; lane++) added[lane] = 0;
    for (int j = 0; j < LANE_VECTORS; j++) {
        seen->first[j] = is_whole ? 0 : steps;
        seen->end[j] = is_whole ? steps : 0;
    }
    /* Capped scores are made outside the registers that products leave them in. */
    int begun = tile->cap > 0 ? 0 : SA_TILE_NAME(begin)(tile, block, dimension);
    if (begun) {
        SA_TILE_NAME(quick_powers)(tile, block, dimension, p, added, seen);
        for (int lane = 0; lane < SA_LANES; lane++) fits &= added[lane] <= LARGEST_ADDED;
    }
    if (!begun || !fits) {
        SA_TILE_NAME(shifting_powers)(tile, block, dimension, 0, SA_LANES, p, added);
        for (int j = 0; j < LANE_VECTORS; j++) seen->first[j] = 0, seen->end[j] = steps;
    }
    for (int lane = 0; lane < SA_LANES; lane++) block->sum[lane] += added[lane];
}

/* ot[dimension][lane] += values * p for `rows` dimensions and some lane vectors over the steps first ..< end. */
INLINE void SA_TILE_NAME(value_panel)(
    int rows, int vectors, int first, int end, const float *values, ptrdiff_t value_stride, const float *p, float *ot) {
    vfloat sum[SA_PANEL_ROWS][SA_PANEL_VECTORS];
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int j = 0; j < vectors; j++) sum[r][j] = load(ot + r * SA_LANES + j * WIDTH);
    products(SA_PAIRS, rows, vectors, end - first, values + first * value_stride, 1, value_stride, p + first * SA_LANES, sum);
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int j = 0; j < vectors; j++) store(ot + r * SA_LANES + j * WIDTH, sum[r][j]);
}

INLINE void SA_TILE_NAME(accumulate)(
    const SATile *tile, const float *p, const SA_TILE_NAME(Seen) *seen, int dimension, float *ot) {
    const float *values = tile->values;
    int steps = STEPS(tile->count), whole = 1;
    for (int j = 0; j < LANE_VECTORS; j++) whole &= seen->first[j] == 0 && seen->end[j] == steps;
    if (!SA_PAIRS) prefetch_rows(values, tile->value_stride, steps, dimension);
    for (int t = 0; t < dimension; t += SA_PANEL_ROWS) {
        if (whole) {
            for (int lane = 0; lane < SA_LANES; lane += PANEL_LANES) {
#define VALUE_PANEL(rows)                                                                                                  \
    SA_TILE_NAME(value_panel)(                                                                                             \
        rows, SA_PANEL_VECTORS, 0, steps, values + t, tile->value_stride, p + lane, ot + t * SA_LANES + lane)
                FOR_PANEL_ROWS(dimension - t, VALUE_PANEL)
#undef VALUE_PANEL
            }
        } else {
            /* Two lane vectors at a time over the steps that either sees: enough sums at once to hide their latency. */
            for (int j = 0; j < LANE_VECTORS; j += 2) {
                int first = seen->first[j] < seen->first[j + 1] ? seen->first[j] : seen->first[j + 1];
                int end = seen->end[j] > seen->end[j + 1] ? seen->end[j] : seen->end[j + 1];
                if (first >= end) continue;
#define VALUE_PANEL(rows)                                                                                                  \
    SA_TILE_NAME(value_panel)(                                                                                             \
        rows, 2, first, end, values + t, tile->value_stride, p + j * WIDTH, ot + t * SA_LANES + j * WIDTH)
                FOR_PANEL_ROWS(dimension - t, VALUE_PANEL)
#undef VALUE_PANEL
            }
        }
    }
}

static void SA_TILE_NAME(attend)(const SATile *tile, const SALaneBlock *blocks, int count, int dimension, void *p) {
    float added[SA_LANES];
    SA_TILE_NAME(Seen) seen;
    SATile own = *tile;
    for (int index = 0; index < count; index++) {
        /* The first under the first lane block and the second under the second, if there are two. */
        own.next[0] = index == 0 ? tile->next[0] : NULL;
        own.next[1] = index == 1 || count == 1 ? tile->next[1] : NULL;
        SA_TILE_NAME(powers)(&own, blocks + index, dimension, p, added, &seen);
        SA_TILE_NAME(accumulate)(&own, p, &seen, dimension, blocks[index].output);
    }
}

static void SA_TILE_NAME(score)(const SATile *tile, const SALaneBlock *block, int dimension, void *p, float *added) {
    SA_TILE_NAME(Seen) seen;
    SA_TILE_NAME(powers)(tile, block, dimension, p, added, &seen);
}
