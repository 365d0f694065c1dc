/* Products with packed weights on tile registers, and their roof. Part of weight_kernels.h.
 *
 * 32 rows by 32 outputs are four tiles: activations are the left operand as pack_keys leaves them, weights the right one. */

/* Steps whose weights stay in the first-level cache while all rows pass over them. */
#define TILED_STEPS 256

INLINE void clear_sums(void) {
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
}

/* Some steps of 32 rows (16 if `is_half`) by 32 outputs. */
INLINE void SA_TILE_NAME(weight_tiles)(
    int is_half, int steps, const float *x, ptrdiff_t x_stride, const float *w, float *y, ptrdiff_t y_stride, int adding) {
    if (adding) load_sums(y, y_stride, is_half);
    else clear_sums();
    for (int step = 0; step < steps; step += UNIT_STEPS) add_products(0, x + step, x_stride, w + step * SA_LANES, is_half);
    store_sums(y, y_stride, is_half);
}

/* Whole tiles here; rows, outputs and steps past the last of them by panels. */
static void SA_TILE_NAME(multiply)(
    const void *x, ptrdiff_t x_stride, int rows, const void *w, int inputs, int outputs, float *y, ptrdiff_t y_stride, int adding) {
    int all = STEPS(inputs), steps = all / UNIT_STEPS * UNIT_STEPS;
    int some_rows = rows / TILE_ROWS * TILE_ROWS, some_outputs = outputs / UNIT_LANES * UNIT_LANES;
    if (steps == 0) some_rows = 0;
    /* Panels begin where a block of weights does: half a block on, they would read past its end. */
    if (some_outputs < outputs) some_outputs = outputs / SA_LANES * SA_LANES;
    if (some_rows > 0 && some_outputs > 0) {
        TILES_BEGIN();
        /* Rows that pass over all outputs before the next ones do: 32, which stay in the first-level cache, unless they are too long. */
        int together = steps <= TILED_STEPS ? 2 * TILE_ROWS : some_rows;
        for (int first = 0; first < some_rows; first += together)
            for (int output = 0; output < some_outputs; output += UNIT_LANES) {
                const float *block = (const float *)w + (ptrdiff_t)(output / SA_LANES * SA_LANES) * all + output % SA_LANES;
                for (int step = 0; step < steps; step += TILED_STEPS) {
                    int count = steps - step < TILED_STEPS ? steps - step : TILED_STEPS, is_adding = adding || step > 0;
                    int end = some_rows - first < together ? some_rows : first + together;
                    for (int row = first; row < end; row += 2 * TILE_ROWS) {
                        const float *from = (const float *)x + row * x_stride + step, *weights = block + (ptrdiff_t)step * SA_LANES;
                        float *to = y + row * y_stride + output;
                        if (end - row > TILE_ROWS)
                            SA_TILE_NAME(weight_tiles)(0, count, from, x_stride, weights, to, y_stride, is_adding);
                        else
                            SA_TILE_NAME(weight_tiles)(1, count, from, x_stride, weights, to, y_stride, is_adding);
                    }
                }
            }
        TILES_END();
        if (steps < all)
            SA_TILE_NAME(multiply_panels)(x, x_stride, some_rows, w, steps, all, 0, some_outputs, y, y_stride, 1);
        if (some_outputs < outputs)
            SA_TILE_NAME(multiply_panels)(x, x_stride, some_rows, w, 0, all, some_outputs, outputs, y, y_stride, adding);
    } else {
        some_rows = 0;
    }
    if (some_rows < rows)
        SA_TILE_NAME(multiply_panels)(
            (const float *)x + some_rows * x_stride, x_stride, rows - some_rows, w, 0, all, 0, outputs, y + some_rows * y_stride, y_stride,
            adding);
}

static double SA_TILE_NAME(peak)(long iterations) {
    static const float zeros[TILE_ROWS * UNIT_STEPS] __attribute__((aligned(64)));
    TILES_BEGIN();
    clear_sums();
    TILE_LOAD(4, zeros, UNIT_STEPS);
    TILE_LOAD(5, zeros, UNIT_STEPS);
    TILE_LOAD(6, zeros, UNIT_STEPS);
    TILE_LOAD(7, zeros, UNIT_STEPS);
    for (long i = 0; i < iterations; i++) {
        TILE_MULTIPLY(0, 4, 6);
        TILE_MULTIPLY(1, 4, 7);
        TILE_MULTIPLY(2, 5, 6);
        TILE_MULTIPLY(3, 5, 7);
    }
    TILES_END();
    return (double)iterations * 4 * TILE_ROWS * TILE_ROWS * UNIT_KEYS * 2;
}

#undef TILED_STEPS
