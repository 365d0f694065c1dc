/* Queries, keys and values packed into tiles. Part of tile_kernels.h, which defines STEPS. */

/* WIDTH rows of WIDTH x ROWS_A_STEP values at x, transposed into steps. */
static void SA_TILE_NAME(pack_queries)(
    const float *q, ptrdiff_t q_stride, int rows, int dimension, float scale, void *out) {
    float *qt = out;
    for (int lane = 0; lane < SA_LANES; lane += WIDTH)
        for (int t = 0; t < dimension; t += WIDTH) {
            int width = dimension - t < WIDTH ? dimension - t : WIDTH;
            vfloat m[WIDTH];
            for (int i = 0; i < WIDTH; i++) {
                m[i] = splat(0);
                if (lane + i >= rows) continue;
                const float *x = q + (lane + i) * q_stride + t;
                if (width == WIDTH) m[i] = load(x) * scale;
                else for (int j = 0; j < width; j++) m[i][j] = x[j] * scale;
            }
            transpose(m);
            for (int i = 0; i < width; i += ROWS_A_STEP)
                store(qt + STEPS(t + i) * SA_LANES + lane, SA_TILE_NAME(element)(m[i], m[i + ROWS_A_STEP - 1]));
        }
}

/* Neighbouring values of a row become elements. */
INLINE void SA_TILE_NAME(pack_row)(const float *x, int count, float *out) {
#if SA_PAIRS
    int t = 0;
    for (; t + 2 * WIDTH <= count; t += 2 * WIDTH) store_neighbours(out + t / 2, load(x + t), load(x + t + WIDTH));
    for (; t < count; t += 2) {
        vfloat pair = pair_bf16(splat(x[t]), splat(t + 1 < count ? x[t + 1] : 0));
        out[t / 2] = pair[0];
    }
#else
    memcpy(out, x, (size_t)count * sizeof(float));
#endif
}

/* Chosen rows stand anywhere: ask for the one that is packed some rows later. */
INLINE void SA_TILE_NAME(prefetch_chosen)(
    const float *x, ptrdiff_t stride, const int32_t *index, int row, int count, int dimension) {
    if (index && row + 8 < count) prefetch_rows(x + index[row + 8] * stride, stride, 1, dimension);
}

static void SA_TILE_NAME(pack_keys)(
    const float *k, ptrdiff_t k_stride, const int32_t *index, int count, int dimension, void *out) {
    for (int key = 0; key < count; key++) {
        SA_TILE_NAME(prefetch_chosen)(k, k_stride, index, key, count, dimension);
        SA_TILE_NAME(pack_row)(
            k + (index ? index[key] : key) * k_stride, dimension, (float *)out + (ptrdiff_t)key * STEPS(dimension));
    }
}

#if SA_PAIRS && SA_TILES
/* Steps of 32 keys, transposed: a dimension's are one row of a tile. */
static void SA_TILE_NAME(pack_values)(
    const float *v, ptrdiff_t v_stride, const int32_t *index, int count, int dimension, void *out) {
    for (int group = 0; group < count; group += SA_MOST_VALUE_KEYS) {
        float *block = (float *)out + (ptrdiff_t)(group / 2) * dimension;
        for (int key = group; key < group + SA_MOST_VALUE_KEYS && key < count; key++)
            SA_TILE_NAME(prefetch_chosen)(v, v_stride, index, key, count, dimension);
        for (int first = 0; first < SA_MOST_VALUE_KEYS / 2; first += WIDTH)
            for (int t = 0; t < dimension; t += WIDTH) {
                int width = dimension - t < WIDTH ? dimension - t : WIDTH;
                vfloat m[WIDTH];
                UNROLLED for (int i = 0; i < WIDTH; i++) {
                    vfloat pair[2];
                    UNROLLED for (int r = 0; r < 2; r++) {
                        int key = group + 2 * (first + i) + r;
                        pair[r] = splat(0);
                        if (key >= count) continue;
                        const float *x = v + (index ? index[key] : key) * v_stride + t;
                        if (width == WIDTH) pair[r] = load(x);
                        else for (int j = 0; j < width; j++) pair[r][j] = x[j];
                    }
                    m[i] = pair_bf16(pair[0], pair[1]);
                }
                transpose(m);
                for (int i = 0; i < width; i++) store(block + (t + i) * (SA_MOST_VALUE_KEYS / 2) + first, m[i]);
            }
    }
}
#else
static void SA_TILE_NAME(pack_values)(
    const float *v, ptrdiff_t v_stride, const int32_t *index, int count, int dimension, void *out) {
    for (int key = 0; key < count; key += ROWS_A_STEP) {
        const float *even = v + (index ? index[key] : key) * v_stride;
        float *row = (float *)out + (ptrdiff_t)STEPS(key) * dimension;
        for (int r = 0; r < ROWS_A_STEP; r++) SA_TILE_NAME(prefetch_chosen)(v, v_stride, index, key + r, count, dimension);
#if SA_PAIRS
        int has_odd = key + 1 < count;
        const float *odd = has_odd ? v + (index ? index[key + 1] : key + 1) * v_stride : even;
        int t = 0;
        for (; t + WIDTH <= dimension; t += WIDTH)
            store(row + t, pair_bf16(load(even + t), has_odd ? load(odd + t) : splat(0)));
        for (; t < dimension; t++) row[t] = pair_bf16(splat(even[t]), splat(has_odd ? odd[t] : 0))[0];
#else
        memcpy(row, even, (size_t)dimension * sizeof(float));
#endif
    }
}
#endif
