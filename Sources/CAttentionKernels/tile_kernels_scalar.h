/* The tile kernels of one precision, for reading. Include with SA_PAIRS (0: FP32, 1: BF16) and SA_TILE_NAME. */

/* The address of value `step` of line `line` when elements hold neighbours along the steps: [line][step]. */
static inline size_t SA_TILE_NAME(along)(ptrdiff_t line, ptrdiff_t line_stride, int step) {
    return SA_PAIRS ? (size_t)(2 * line * line_stride + step) : (size_t)(line * line_stride + step);
}

/* The same when lines are the inner axis: [step][line]. */
static inline size_t SA_TILE_NAME(across)(int step, ptrdiff_t step_stride, ptrdiff_t line) {
    return SA_PAIRS ? (size_t)(2 * ((step / 2) * step_stride + line) + step % 2) : (size_t)(step * step_stride + line);
}

static inline float SA_TILE_NAME(get)(const void *x, size_t at) {
    if (!SA_PAIRS) return ((const float *)x)[at];
    uint32_t bits = (uint32_t)((const uint16_t *)x)[at] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline void SA_TILE_NAME(set)(void *x, size_t at, float value) {
    if (!SA_PAIRS) {
        ((float *)x)[at] = value;
        return;
    }
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    ((uint16_t *)x)[at] = (uint16_t)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

/* Values that the steps of `count` have room for. */
static inline int SA_TILE_NAME(padded)(int count) { return SA_PAIRS ? (count + 1) / 2 * 2 : count; }
static inline int SA_TILE_NAME(steps)(int count) { return SA_PAIRS ? (count + 1) / 2 : count; }

static void SA_TILE_NAME(pack_queries)(
    const float *q, ptrdiff_t q_stride, int rows, int dimension, float scale, void *out) {
    for (int t = 0; t < SA_TILE_NAME(padded)(dimension); t++)
        for (int lane = 0; lane < SA_LANES; lane++)
            SA_TILE_NAME(set)(
                out, SA_TILE_NAME(across)(t, SA_LANES, lane),
                lane < rows && t < dimension ? q[lane * q_stride + t] * scale : 0);
}

static void SA_TILE_NAME(pack_keys)(
    const float *k, ptrdiff_t k_stride, const int32_t *index, int count, int dimension, void *out) {
    for (int key = 0; key < count; key++)
        for (int t = 0; t < SA_TILE_NAME(padded)(dimension); t++)
            SA_TILE_NAME(set)(
                out, SA_TILE_NAME(along)(key, SA_TILE_NAME(steps)(dimension), t),
                t < dimension ? k[(index ? index[key] : key) * k_stride + t] : 0);
}

static void SA_TILE_NAME(pack_values)(
    const float *v, ptrdiff_t v_stride, const int32_t *index, int count, int dimension, void *out) {
    for (int key = 0; key < SA_TILE_NAME(padded)(count); key++)
        for (int t = 0; t < dimension; t++)
            SA_TILE_NAME(set)(
                out, SA_TILE_NAME(across)(key, dimension, t),
                key < count ? v[(index ? index[key] : key) * v_stride + t] : 0);
}

static float SA_TILE_NAME(dot)(const SATile *tile, const SALaneBlock *block, int dimension, int key, int lane) {
    float sum = 0;
    for (int t = 0; t < dimension; t++)
        sum += SA_TILE_NAME(get)(tile->keys, SA_TILE_NAME(along)(key, tile->key_stride, t)) *
               SA_TILE_NAME(get)(block->queries, SA_TILE_NAME(across)(t, SA_LANES, lane));
    return sum;
}

static void SA_TILE_NAME(score)(const SATile *tile, const SALaneBlock *block, int dimension, void *p, float *added) {
    for (int lane = 0; lane < SA_LANES; lane++) {
        float s[SA_TILE_KEYS], highest = -INFINITY;
        for (int key = 0; key < tile->count; key++) {
            int is_kept = kept(block->first, block->end, key, lane);
            float score = SA_TILE_NAME(dot)(tile, block, dimension, key, lane);
            if (tile->cap > 0) score = tile->cap * tanhf(score / tile->cap);
            s[key] = is_kept ? score : -INFINITY;
            if (s[key] > highest) highest = s[key];
        }
        /* The shift stays until a score stands far above it: any shift will do that keeps sums in range. */
        float before = block->shift[lane], shift = before;
        if (highest > before + 20) {
            shift = highest;
            float rescale = exp2f(before - shift);
            block->sum[lane] *= rescale;
            for (int t = 0; block->output && t < dimension; t++) block->output[t * SA_LANES + lane] *= rescale;
            block->shift[lane] = shift;
        }
        added[lane] = 0;
        for (int key = 0; key < SA_TILE_NAME(padded)(tile->count); key++) {
            float e = key < tile->count && s[key] != -INFINITY ? exp2f(s[key] - shift) : 0;
            added[lane] += e;
            SA_TILE_NAME(set)(p, SA_TILE_NAME(across)(key, SA_LANES, lane), e);
        }
        block->sum[lane] += added[lane];
    }
}

static void SA_TILE_NAME(attend)(const SATile *tile, const SALaneBlock *blocks, int count, int dimension, void *p) {
    float added[SA_LANES];
    for (const SALaneBlock *block = blocks; block < blocks + count; block++) {
        SA_TILE_NAME(score)(tile, block, dimension, p, added);
        for (int t = 0; t < dimension; t++)
            for (int lane = 0; lane < SA_LANES; lane++) {
                float sum = block->output[t * SA_LANES + lane];
                for (int key = 0; key < tile->count; key++)
                    sum += SA_TILE_NAME(get)(tile->values, SA_TILE_NAME(across)(key, tile->value_stride, t)) *
                           SA_TILE_NAME(get)(p, SA_TILE_NAME(across)(key, SA_LANES, lane));
                block->output[t * SA_LANES + lane] = sum;
            }
    }
}

static void SA_TILE_NAME(column_mass)(
    const void *p, int keys, const uint8_t *first, const uint8_t *end, const float *weight, float *mass) {
    for (int key = 0; key < keys; key++)
        for (int lane = 0; lane < SA_LANES; lane++)
            if (kept(first, end, key, lane))
                mass[key] += weight[lane] * SA_TILE_NAME(get)(p, SA_TILE_NAME(across)(key, SA_LANES, lane));
}

static void SA_TILE_NAME(row_mass)(
    const void *p, int keys, const uint8_t *first, const uint8_t *end, const uint8_t *group, const uint8_t *order,
    const float *weight, float *mass) {
    for (int i = 0; i < keys; i++) {
        int key = order ? order[i] : i;
        for (int lane = 0; lane < SA_LANES; lane++)
            if (kept(first, end, key, lane))
                mass[(group ? group[key] : 0) * SA_LANES + lane] +=
                    weight[lane] * SA_TILE_NAME(get)(p, SA_TILE_NAME(across)(key, SA_LANES, lane));
    }
}

static void SA_TILE_NAME(collect)(
    const void *p, int keys, const float *weight, const float *least, float *rows, ptrdiff_t stride, int32_t *count, float *rest) {
    for (int key = 0; key < keys; key++)
        for (int lane = 0; lane < SA_LANES; lane++) {
            float x = weight[lane] * SA_TILE_NAME(get)(p, SA_TILE_NAME(across)(key, SA_LANES, lane));
            if (x >= least[lane]) rows[lane * stride + count[lane]++] = x;
            else rest[lane] += x;
        }
}

static void SA_TILE_NAME(pack_weights)(const float *w, int outputs, int inputs, void *out) {
    size_t block = (size_t)SA_TILE_NAME(steps)(inputs) * SA_LANES;
    for (int first = 0; first < outputs; first += SA_LANES)
        SA_TILE_NAME(pack_queries)(
            w + (ptrdiff_t)first * inputs, inputs, outputs - first < SA_LANES ? outputs - first : SA_LANES, inputs, 1,
            (uint32_t *)out + (size_t)(first / SA_LANES) * block);
}

static void SA_TILE_NAME(multiply)(
    const void *x, ptrdiff_t x_stride, int rows, const void *w, int inputs, int outputs, float *y, ptrdiff_t y_stride, int adding) {
    size_t block = (size_t)SA_TILE_NAME(steps)(inputs) * SA_LANES;
    for (int row = 0; row < rows; row++)
        for (int output = 0; output < outputs; output++) {
            const uint32_t *own = (const uint32_t *)w + (size_t)(output / SA_LANES) * block;
            float sum = adding ? y[row * y_stride + output] : 0;
            for (int t = 0; t < inputs; t++)
                sum += SA_TILE_NAME(get)(x, SA_TILE_NAME(along)(row, x_stride, t)) *
                       SA_TILE_NAME(get)(own, SA_TILE_NAME(across)(t, SA_LANES, output % SA_LANES));
            y[row * y_stride + output] = sum;
        }
}

static void SA_TILE_NAME(score_gradients)(
    const float *s, const float *dp, int keys, const float *log_sum, const float *dot, const uint8_t *first, const uint8_t *end, float cap,
    void *p_rows, void *ds_rows, ptrdiff_t stride, void *ds_weights) {
    for (int key = 0; key < SA_TILE_NAME(padded)(keys); key++)
        for (int lane = 0; lane < SA_LANES; lane++) {
            float p = 0, ds = 0;
            if (key < keys && kept(first, end, key, lane)) {
                float score = s[key * SA_LANES + lane], slope = 1;
                if (cap > 0) {
                    float share = tanhf(score / cap);
                    score = cap * share;
                    slope = 1 - share * share;
                }
                p = exp2f(score - log_sum[lane]);
                ds = p * (dp[key * SA_LANES + lane] - dot[lane]) * slope;
            }
            SA_TILE_NAME(set)(ds_weights, SA_TILE_NAME(across)(key, SA_LANES, lane), ds);
            if (key == keys) continue;
            SA_TILE_NAME(set)(p_rows, SA_TILE_NAME(along)(key, stride, lane), p);
            SA_TILE_NAME(set)(ds_rows, SA_TILE_NAME(along)(key, stride, lane), ds);
        }
}

static double SA_TILE_NAME(peak)(long iterations) {
    volatile float factor = 1;
    float sum[8] = {0}, value = factor;
    for (long i = 0; i < iterations; i++)
        for (int j = 0; j < 8; j++) sum[j] = sum[j] * value + value;
    for (int j = 0; j < 8; j++) factor += sum[j];
    return (double)iterations * 8 * 2;
}
