/* The kernels of stored rows, for reading. Include with SA_ROW_FORMAT and SA_ROW_NAME. */

static inline float SA_ROW_NAME(number)(const SARows *rows, int row, int t) {
    ptrdiff_t at = row * rows->stride + t;
    if (SA_ROW_FORMAT == SA_ROW_INT8) return ((const int8_t *)rows->numbers)[at];
    if (SA_ROW_FORMAT == SA_ROW_FP32) return ((const float *)rows->numbers)[at];
    uint32_t bits = (uint32_t)((const uint16_t *)rows->numbers)[at] << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline float SA_ROW_NAME(factor)(const SARows *rows, int row) {
    return SA_ROW_FORMAT == SA_ROW_INT8 ? rows->scales[row] : 1;
}

static void SA_ROW_NAME(row_scores)(
    const float *q, ptrdiff_t q_stride, int queries, float scale, const SARows *rows, int dimension, float *s, ptrdiff_t s_stride,
    float *highest) {
    for (int query = 0; query < queries; query++)
        for (int row = 0; row < rows->count; row++) {
            float sum = 0;
            for (int t = 0; t < dimension; t++) sum += q[query * q_stride + t] * SA_ROW_NAME(number)(rows, row, t);
            float score = sum * scale * SA_ROW_NAME(factor)(rows, row);
            s[query * s_stride + row] = score;
            if (score > highest[query]) highest[query] = score;
        }
}

static void SA_ROW_NAME(row_accumulate)(
    float *p, ptrdiff_t p_stride, int queries, const SARows *rows, int dimension, float *out, ptrdiff_t out_stride) {
    for (int query = 0; query < queries; query++)
        for (int row = 0; row < rows->count; row++) {
            float weight = p[query * p_stride + row] * SA_ROW_NAME(factor)(rows, row);
            for (int t = 0; t < dimension; t++) out[query * out_stride + t] += weight * SA_ROW_NAME(number)(rows, row, t);
        }
}

static void SA_ROW_NAME(row_widen)(const SARows *rows, int dimension, float *out, ptrdiff_t out_stride) {
    for (int row = 0; row < rows->count; row++)
        for (int t = 0; t < dimension; t++)
            out[row * out_stride + t] = SA_ROW_NAME(factor)(rows, row) * SA_ROW_NAME(number)(rows, row, t);
}
