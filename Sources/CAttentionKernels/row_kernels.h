/* The kernels of stored rows for one vector width: one source for every format, which is a constant after inlining. Numbers are widened
 * in registers, where several queries share them. */

/* Queries that share the numbers of a row: with WIDTH sums at once, each is of at least four keys. */
#define ROW_QUERIES (WIDTH / 4)
/* Vectors of a row that are summed at once. */
#define ROW_VECTORS 4

INLINE size_t number_size(SARowFormat format) { return format == SA_ROW_FP32 ? 4 : format == SA_ROW_BF16 ? 2 : 1; }

/* The WIDTH numbers from `at` on, without a row's scale. */
INLINE vfloat load_numbers(SARowFormat format, const void *numbers, ptrdiff_t at) {
    typedef uint16_t vhalf __attribute__((vector_size(SA_VECTOR_BYTES / 2)));
    typedef int8_t vbyte __attribute__((vector_size(SA_VECTOR_BYTES / 4)));
    if (format == SA_ROW_FP32) return load((const float *)numbers + at);
    if (format == SA_ROW_BF16) {
        vhalf bits;
        memcpy(&bits, (const uint16_t *)numbers + at, sizeof bits);
        return (vfloat)(__builtin_convertvector(bits, vint) << 16);
    }
    vbyte q;
    memcpy(&q, (const int8_t *)numbers + at, sizeof q);
    return __builtin_convertvector(q, vfloat);
}

/* The same of `count` numbers, and zeros after them. */
INLINE vfloat load_some_numbers(SARowFormat format, const void *numbers, ptrdiff_t at, int count) {
    if (count == WIDTH) return load_numbers(format, numbers, at);
    char room[SA_VECTOR_BYTES] = {0};
    memcpy(room, (const char *)numbers + at * (ptrdiff_t)number_size(format), (size_t)count * number_size(format));
    return load_numbers(format, room, 0);
}

/* Lane l of the result is the sum of vector l's lanes: at every step two vectors become one that holds half-added lanes of both. */
INLINE vfloat sums_of_vectors(vfloat m[WIDTH]) {
    UNROLLED for (int half = WIDTH / 2; half > 0; half /= 2)
        UNROLLED for (int i = 0; i < half; i++)
            m[i] = __builtin_shufflevector(m[i], m[i + half], INTERLEAVE_LOW) +
                   __builtin_shufflevector(m[i], m[i + half], INTERLEAVE_HIGH);
    return m[0];
}

/* sum[query * keys + key] += products of the numbers from t on, `count` of them. Keys past `valid` repeat the last one. */
INLINE void score_step(
    SARowFormat format, int queries, int keys, const float *q, ptrdiff_t q_stride, const SARows *rows, int key, int valid, int t,
    int count, vfloat sum[WIDTH]) {
    vfloat asked[ROW_QUERIES];
    UNROLLED for (int g = 0; g < queries; g++) asked[g] = load_some_numbers(SA_ROW_FP32, q + g * q_stride, t, count);
    UNROLLED for (int k = 0; k < keys; k++) {
        ptrdiff_t row = key + (k < valid ? k : valid - 1);
        vfloat numbers = load_some_numbers(format, rows->numbers, row * rows->stride + t, count);
        UNROLLED for (int g = 0; g < queries; g++) sum[g * keys + k] = asked[g] * numbers + sum[g * keys + k];
    }
}

/* s[query][key] = q[query] . key, unscaled, for `valid` keys from `key` on. `queries` and `keys` are constants after inlining. */
INLINE void score_keys(
    SARowFormat format, int queries, int keys, const float *q, ptrdiff_t q_stride, const SARows *rows, int key, int valid,
    int dimension, float *s, ptrdiff_t s_stride) {
    vfloat sum[WIDTH];
    UNROLLED for (int i = 0; i < WIDTH; i++) sum[i] = splat(0);
    int t = 0;
    for (; t + WIDTH <= dimension; t += WIDTH) score_step(format, queries, keys, q, q_stride, rows, key, valid, t, WIDTH, sum);
    if (t < dimension) score_step(format, queries, keys, q, q_stride, rows, key, valid, t, dimension - t, sum);
    float total[WIDTH];
    store(total, sums_of_vectors(sum));
    for (int g = 0; g < queries; g++) memcpy(s + g * s_stride + key, total + g * keys, (size_t)valid * sizeof(float));
}

INLINE void score_queries(
    SARowFormat format, int queries, const float *q, ptrdiff_t q_stride, const SARows *rows, int dimension, float *s,
    ptrdiff_t s_stride) {
    int keys = queries == 1 ? WIDTH : queries == 2 ? WIDTH / 2 : WIDTH / 4;
    int key = 0;
    for (; key + keys <= rows->count; key += keys)
        score_keys(format, queries, keys, q, q_stride, rows, key, keys, dimension, s, s_stride);
    if (key < rows->count)
        score_keys(format, queries, keys, q, q_stride, rows, key, rows->count - key, dimension, s, s_stride);
}

/* x[row] *= scale, and the row's own scale in INT8; returns the largest, which passes over what is not a number. */
INLINE float scale_scores(SARowFormat format, float scale, const SARows *rows, float *x, float largest) {
    vfloat most = splat(largest);
    int row = 0;
    for (; row + WIDTH <= rows->count; row += WIDTH) {
        vfloat v = load(x + row) * scale;
        if (format == SA_ROW_INT8) v *= load(rows->scales + row);
        store(x + row, v);
        most = larger(most, v);
    }
    for (int i = 0; i < WIDTH; i++) largest = most[i] > largest ? most[i] : largest;
    for (; row < rows->count; row++) {
        x[row] *= scale;
        if (format == SA_ROW_INT8) x[row] *= rows->scales[row];
        largest = x[row] > largest ? x[row] : largest;
    }
    return largest;
}

/* Calls action(n) with n the constant equal to `count`, 1 ... 4: each gets its own unrolled copy. */
#define FOR_UP_TO_FOUR(count, action)                                                                                      \
    switch (count) {                                                                                                       \
        case 1: action(1); break;                                                                                          \
        case 2: action(2); break;                                                                                          \
        case 3: action(3); break;                                                                                          \
        default: action(4); break;                                                                                         \
    }

INLINE void score_rows(
    SARowFormat format, const float *q, ptrdiff_t q_stride, int queries, float scale, const SARows *rows, int dimension, float *s,
    ptrdiff_t s_stride, float *highest) {
    for (int g = 0; g < queries; g += ROW_QUERIES) {
        int together = queries - g < ROW_QUERIES ? queries - g : ROW_QUERIES;
#define SCORE_QUERIES(count)                                                                                               \
    score_queries(                                                                                                         \
        format, (count) < ROW_QUERIES ? (count) : ROW_QUERIES, q + g * q_stride, q_stride, rows, dimension, s + g * s_stride, s_stride)
        FOR_UP_TO_FOUR(together, SCORE_QUERIES)
#undef SCORE_QUERIES
    }
    for (int g = 0; g < queries; g++) highest[g] = scale_scores(format, scale, rows, s + g * s_stride, highest[g]);
}

/* out[query][dimension] += p[query][row] * row[dimension] over all rows, for some vectors of the dimension from t on; each is `width`
 * numbers wide. `queries` and `vectors` are constants after inlining. */
INLINE void accumulate_vectors(
    SARowFormat format, int queries, int vectors, int width, const float *p, ptrdiff_t p_stride, const SARows *rows, int t, float *out,
    ptrdiff_t out_stride) {
    vfloat sum[ROW_QUERIES][ROW_VECTORS];
    UNROLLED for (int g = 0; g < queries; g++)
        UNROLLED for (int j = 0; j < vectors; j++)
            sum[g][j] = load_some_numbers(SA_ROW_FP32, out + g * out_stride, t + j * WIDTH, width);
    for (int row = 0; row < rows->count; row++) {
        vfloat numbers[ROW_VECTORS];
        UNROLLED for (int j = 0; j < vectors; j++)
            numbers[j] = load_some_numbers(format, rows->numbers, row * rows->stride + t + j * WIDTH, width);
        UNROLLED for (int g = 0; g < queries; g++) {
            vfloat weight = splat(p[g * p_stride + row]);
            UNROLLED for (int j = 0; j < vectors; j++) sum[g][j] = weight * numbers[j] + sum[g][j];
        }
    }
    UNROLLED for (int g = 0; g < queries; g++)
        UNROLLED for (int j = 0; j < vectors; j++)
            memcpy(out + g * out_stride + t + j * WIDTH, &sum[g][j], (size_t)width * sizeof(float));
}

INLINE void accumulate_queries(
    SARowFormat format, int queries, const float *p, ptrdiff_t p_stride, const SARows *rows, int dimension, float *out,
    ptrdiff_t out_stride) {
    int t = 0;
    while (t + WIDTH <= dimension) {
        int vectors = (dimension - t) / WIDTH < ROW_VECTORS ? (dimension - t) / WIDTH : ROW_VECTORS;
#define ACCUMULATE_VECTORS(count) accumulate_vectors(format, queries, count, WIDTH, p, p_stride, rows, t, out, out_stride)
        FOR_UP_TO_FOUR(vectors, ACCUMULATE_VECTORS)
#undef ACCUMULATE_VECTORS
        t += vectors * WIDTH;
    }
    if (t < dimension) accumulate_vectors(format, queries, 1, dimension - t, p, p_stride, rows, t, out, out_stride);
}

INLINE void accumulate_rows(
    SARowFormat format, float *p, ptrdiff_t p_stride, int queries, const SARows *rows, int dimension, float *out,
    ptrdiff_t out_stride) {
    if (format == SA_ROW_INT8)
        for (int g = 0; g < queries; g++) scale_scores(format, 1, rows, p + g * p_stride, 0);
    for (int g = 0; g < queries; g += ROW_QUERIES) {
        int together = queries - g < ROW_QUERIES ? queries - g : ROW_QUERIES;
#define ACCUMULATE_QUERIES(count)                                                                                          \
    accumulate_queries(                                                                                                    \
        format, (count) < ROW_QUERIES ? (count) : ROW_QUERIES, p + g * p_stride, p_stride, rows, dimension, out + g * out_stride, \
        out_stride)
        FOR_UP_TO_FOUR(together, ACCUMULATE_QUERIES)
#undef ACCUMULATE_QUERIES
    }
}

INLINE void widen_rows(SARowFormat format, const SARows *rows, int dimension, float *out, ptrdiff_t out_stride) {
    for (int row = 0; row < rows->count; row++) {
        vfloat factor = splat(format == SA_ROW_INT8 ? rows->scales[row] : 1);
        for (int t = 0; t < dimension; t += WIDTH) {
            int width = dimension - t < WIDTH ? dimension - t : WIDTH;
            vfloat numbers = factor * load_some_numbers(format, rows->numbers, row * rows->stride + t, width);
            memcpy(out + row * out_stride + t, &numbers, (size_t)width * sizeof(float));
        }
    }
}

#define DEFINE_ROW_KERNELS(NAME, format)                                                                                       \
    static void NAME(row_scores)(                                                                          \
        const float *q, ptrdiff_t q_stride, int queries, float scale, const SARows *rows, int dimension, float *s,         \
        ptrdiff_t s_stride, float *highest) {                                                                              \
        score_rows(format, q, q_stride, queries, scale, rows, dimension, s, s_stride, highest);                            \
    }                                                                                                                      \
    static void NAME(row_accumulate)(                                                                      \
        float *p, ptrdiff_t p_stride, int queries, const SARows *rows, int dimension, float *out, ptrdiff_t out_stride) {  \
        accumulate_rows(format, p, p_stride, queries, rows, dimension, out, out_stride);                                   \
    }                                                                                                                      \
    static void NAME(row_widen)(const SARows *rows, int dimension, float *out, ptrdiff_t out_stride) {     \
        widen_rows(format, rows, dimension, out, out_stride);                                                              \
    }
DEFINE_ROW_KERNELS(SA_FP32_NAME, SA_ROW_FP32)
DEFINE_ROW_KERNELS(SA_BF16_NAME, SA_ROW_BF16)
DEFINE_ROW_KERNELS(SA_INT8_NAME, SA_ROW_INT8)
