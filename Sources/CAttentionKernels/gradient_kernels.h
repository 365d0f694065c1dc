/* The backward pass of softmax. Part of tile_kernels.h, which defines STEPS. */

/* Stores two vectors of neighbouring lanes as elements of a row. */
INLINE void SA_TILE_NAME(store_row)(float *row, int lane, vfloat a, vfloat b) {
    if (SA_PAIRS) {
        store_neighbours(row + lane / 2, a, b);
    } else {
        store(row + lane, a);
        store(row + lane + WIDTH, b);
    }
}

/* Two vectors of lanes at a time, which are one vector of pairs in a row, and the keys of a step, which are a pair in the weights. */
INLINE void SA_TILE_NAME(score_gradient_panel)(
    int rows, int is_masked, int key, int lane, const float *s, const float *dp, const float *log_sum, const float *dot,
    const uint8_t *first, const uint8_t *end, float cap, float *p_rows, float *ds_rows, ptrdiff_t stride, float *ds_weights) {
    vfloat gradient[2][2] = {{splat(0), splat(0)}, {splat(0), splat(0)}};
    UNROLLED for (int r = 0; r < rows; r++) {
        vfloat p[2];
        UNROLLED for (int j = 0; j < 2; j++) {
            int at = lane + j * WIDTH;
            vfloat score = load(s + (key + r) * SA_LANES + at), slope = splat(1);
            if (cap > 0) {
                score = capped(score, cap);
                vfloat share = score / cap;
                slope -= share * share;
            }
            p[j] = SA_TILE_NAME(power)(score - load(log_sum + at));
            gradient[r][j] = p[j] * (load(dp + (key + r) * SA_LANES + at) - load(dot + at));
            if (cap > 0) gradient[r][j] *= slope;
            if (is_masked) {
                vint mask = lane_mask(at, first[key + r], end[key + r]);
                p[j] = choose(mask, p[j], splat(0));
                gradient[r][j] = choose(mask, gradient[r][j], splat(0));
            }
        }
        SA_TILE_NAME(store_row)(p_rows + (key + r) * stride, lane, p[0], p[1]);
        SA_TILE_NAME(store_row)(ds_rows + (key + r) * stride, lane, gradient[r][0], gradient[r][1]);
    }
    UNROLLED for (int j = 0; j < 2; j++)
        store(ds_weights + STEPS(key) * SA_LANES + lane + j * WIDTH, SA_TILE_NAME(element)(gradient[0][j], gradient[ROWS_A_STEP - 1][j]));
}

static void SA_TILE_NAME(score_gradients)(
    const float *s, const float *dp, int keys, const float *log_sum, const float *dot, const uint8_t *first, const uint8_t *end, float cap,
    void *p_rows, void *ds_rows, ptrdiff_t stride, void *ds_weights) {
    for (int key = 0; key < keys; key += ROWS_A_STEP) {
#define GRADIENT_PANEL(rows, is_masked)                                                                                    \
    SA_TILE_NAME(score_gradient_panel)(                                                                                    \
        rows, is_masked, key, lane, s, dp, log_sum, dot, first, end, cap, p_rows, ds_rows, stride, ds_weights)
        for (int lane = 0; lane < SA_LANES; lane += 2 * WIDTH) {
            if (keys - key < ROWS_A_STEP) {
                if (first) GRADIENT_PANEL(1, 1);
                else GRADIENT_PANEL(1, 0);
            } else {
                if (first) GRADIENT_PANEL(ROWS_A_STEP, 1);
                else GRADIENT_PANEL(ROWS_A_STEP, 0);
            }
        }
#undef GRADIENT_PANEL
    }
}
