/* The readable reference of scores in INT8. Operands stand as they are: queries [lane][dimension], keys [key][dimension]. */

/* The scale of some rows together, NaN where they are not finite. */
static float int8_scale__scalar(const float *x, ptrdiff_t stride, int rows, int count) {
    float largest = 0;
    int is_finite = 1;
    for (int row = 0; row < rows; row++)
        for (int i = 0; i < count; i++) {
            float number = x[row * stride + i];
            largest = fmaxf(largest, fabsf(number));
            is_finite = is_finite && isfinite(number);
        }
    return is_finite ? largest / 127 : NAN;
}

static void quantize_numbers__scalar(const float *x, int count, float scale, int8_t *out) {
    if (isnan(scale)) memset(out, 1, (size_t)count);
    /* The quotient of a scale that is rounded to few bits may be beyond 127. */
    else
        for (int i = 0; i < count; i++) out[i] = scale > 0 ? (int8_t)fmaxf(-127, fminf(127, roundf(x[i] / scale))) : 0;
}

static float sa_quantize_row__scalar(const float *x, int count, int8_t *out) {
    float scale = int8_scale__scalar(x, 0, 1, count);
    quantize_numbers__scalar(x, count, scale, out);
    return scale;
}

static ptrdiff_t sa_int8_query_bytes__scalar(int dimension) { return (ptrdiff_t)SA_LANES * dimension; }

static ptrdiff_t sa_int8_key_bytes__scalar(ptrdiff_t count, int dimension) { return count * dimension; }

static void sa_pack_int8_keys__scalar(const float *k, ptrdiff_t stride, int count, int dimension, void *out, float *scales) {
    for (int key = 0; key < count; key++) {
        float *scale = scales + key / SA_INT8_SCALE_KEYS;
        int left = count - key < SA_INT8_SCALE_KEYS ? count - key : SA_INT8_SCALE_KEYS;
        if (key % SA_INT8_SCALE_KEYS == 0) *scale = int8_scale__scalar(k + key * stride, stride, left, dimension);
        quantize_numbers__scalar(k + key * stride, dimension, *scale, (int8_t *)out + (ptrdiff_t)key * dimension);
    }
}

static void sa_pack_int8_queries__scalar(const float *q, ptrdiff_t stride, int rows, int dimension, void *out, float *scales) {
    memset(out, 0, (size_t)sa_int8_query_bytes__scalar(dimension));
    memset(scales, 0, SA_LANES * sizeof(float));
    for (int row = 0; row < rows; row++)
        scales[row] = sa_quantize_row__scalar(q + row * stride, dimension, (int8_t *)out + (ptrdiff_t)row * dimension);
}

static void sa_int8_maxima__scalar(
    const void *queries, const float *query_scales, const void *keys, const float *key_scales, int count, int dimension, int group,
    float *out) {
    for (int first = 0; first < count; first += group)
        for (int lane = 0; lane < SA_LANES; lane++) {
            const int8_t *query = (const int8_t *)queries + (ptrdiff_t)lane * dimension;
            float most = -INFINITY;
            for (int key = first; key < first + group && key < count; key++) {
                const int8_t *numbers = (const int8_t *)keys + (ptrdiff_t)key * dimension;
                int32_t sum = 0;
                for (int t = 0; t < dimension; t++) sum += query[t] * numbers[t];
                float score = key_scales[key / SA_INT8_SCALE_KEYS] * (float)sum;
                if (score > most) most = score;
            }
            out[(ptrdiff_t)(first / group) * SA_LANES + lane] = query_scales[lane] * most;
        }
}
