/* Products with packed weights, and the roof they are compared with. Part of tile_kernels.h, which defines STEPS. */

static void SA_TILE_NAME(pack_weights)(const float *w, int outputs, int inputs, void *out) {
    for (int first = 0; first < outputs; first += SA_LANES) {
        int rows = outputs - first < SA_LANES ? outputs - first : SA_LANES;
        SA_TILE_NAME(pack_queries)(
            w + (ptrdiff_t)first * inputs, inputs, rows, inputs, 1, (float *)out + (ptrdiff_t)first * STEPS(inputs));
    }
}

/* Steps of packed weights that stay in the first-level cache while all rows pass over them. */
#define WEIGHT_STEPS 64

INLINE void SA_TILE_NAME(weight_panel)(
    int rows, int steps, const float *x, ptrdiff_t x_stride, const float *w, int width, float *y, ptrdiff_t y_stride, int adding) {
    vfloat sum[SA_PANEL_ROWS][SA_PANEL_VECTORS];
    float edge[SA_PANEL_ROWS * PANEL_LANES];
    int is_edge = width < PANEL_LANES;
    if (is_edge && adding)
        UNROLLED for (int r = 0; r < rows; r++) memcpy(edge + r * PANEL_LANES, y + r * y_stride, (size_t)width * sizeof(float));
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int j = 0; j < SA_PANEL_VECTORS; j++)
            sum[r][j] = !adding ? splat(0) : load((is_edge ? edge + r * PANEL_LANES : y + r * y_stride) + j * WIDTH);
    products(SA_PAIRS, rows, SA_PANEL_VECTORS, steps, x, x_stride, 1, w, sum);
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int j = 0; j < SA_PANEL_VECTORS; j++)
            store((is_edge ? edge + r * PANEL_LANES : y + r * y_stride) + j * WIDTH, sum[r][j]);
    if (is_edge)
        UNROLLED for (int r = 0; r < rows; r++) memcpy(y + r * y_stride, edge + r * PANEL_LANES, (size_t)width * sizeof(float));
}

/* The products of the steps first ..< all, for the outputs from `output` on. */
static void SA_TILE_NAME(multiply_panels)(
    const float *x, ptrdiff_t x_stride, int rows, const float *w, int first, int all, int output, int outputs, float *y,
    ptrdiff_t y_stride, int adding) {
    /* Twice as many still fit where there are no more, which spares storing and loading sums once. */
    int together = all - first <= 2 * WEIGHT_STEPS ? 2 * WEIGHT_STEPS : WEIGHT_STEPS;
    for (; output < outputs; output += PANEL_LANES) {
        const float *block = w + (ptrdiff_t)(output / SA_LANES * SA_LANES) * all + output % SA_LANES;
        int width = outputs - output < PANEL_LANES ? outputs - output : PANEL_LANES;
        for (int step = first; step < all; step += together) {
            int steps = all - step < together ? all - step : together;
            for (int row = 0; row < rows; row += SA_PANEL_ROWS) {
                /* Sums that are added to may have left the near caches, and a panel is too long for the next one's loads to begin in it. */
                if (adding) prefetch_rows(y + (row + SA_PANEL_ROWS) * y_stride + output, y_stride, SA_PANEL_ROWS, width);
#define WEIGHT_PANEL(count)                                                                                                \
    SA_TILE_NAME(weight_panel)(                                                                                            \
        count, steps, x + row * x_stride + step, x_stride, block + (ptrdiff_t)step * SA_LANES, width,                      \
        y + row * y_stride + output, y_stride, adding || step > first)
                FOR_PANEL_ROWS(rows - row, WEIGHT_PANEL)
#undef WEIGHT_PANEL
            }
        }
    }
}

#if SA_PAIRS && SA_TILES
#include "tiled_weights.h"
#else
static void SA_TILE_NAME(multiply)(
    const void *x, ptrdiff_t x_stride, int rows, const void *w, int inputs, int outputs, float *y, ptrdiff_t y_stride, int adding) {
    SA_TILE_NAME(multiply_panels)(x, x_stride, rows, w, 0, STEPS(inputs), 0, outputs, y, y_stride, adding);
}

static double SA_TILE_NAME(peak)(long iterations) {
    vfloat sum[SA_PANEL_ROWS][SA_PANEL_VECTORS], factor = splat(0), addend = splat(0);
    UNROLLED for (int r = 0; r < SA_PANEL_ROWS; r++)
        UNROLLED for (int j = 0; j < SA_PANEL_VECTORS; j++) sum[r][j] = splat(1);
    /* The compiler may not know the factors, nor drop the sums. */
    __asm__ volatile("" : "+v"(factor), "+v"(addend));
    for (long i = 0; i < iterations; i++)
        UNROLLED for (int r = 0; r < SA_PANEL_ROWS; r++)
            UNROLLED for (int j = 0; j < SA_PANEL_VECTORS; j++) {
                sum[r][j] = multiply_add(SA_PAIRS, factor, addend, sum[r][j]);
                __asm__ volatile("" : "+v"(sum[r][j]));
            }
    return (double)iterations * SA_PANEL_ROWS * SA_PANEL_VECTORS * WIDTH * 2 * ROWS_A_STEP;
}
#endif

#undef WEIGHT_STEPS
