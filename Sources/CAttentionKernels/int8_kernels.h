/* Scores in INT8 for one vector width: rows in eight bits, the operands made of them, and (by panels or in tiles) their products.
 *
 * Operands are made of 32-bit elements, one a step: queries [step][lane], keys [key][step]. An element holds four numbers of eight bits,
 * or, without products of these, two that are widened to sixteen: vpmaddwd adds them exactly, where vpmaddubsw would saturate. */

#if SA_TILES || SA_HAS_INT8_PRODUCTS
#define INT8_VALUES 4
#else
#define INT8_VALUES 2
#endif

/* vpdpbusd wants one operand without a sign. Keys are, with 128 added to each number; the sums begin with -128 times the sum of the query,
 * which a row of elements before the first step holds. */
#if SA_HAS_INT8_PRODUCTS && !SA_TILES
#define INT8_START_ROWS 1
#define INT8_KEY_SIGNS 0x80808080u
#else
#define INT8_START_ROWS 0
#define INT8_KEY_SIGNS 0
#endif

/* Numbers that are quantized at a time: what a row of a tile register holds. */
#define INT8_PIECE 64

/* Elements of a row. Tile registers read whole rows, which zeros fill up. */
INLINE int int8_steps(int dimension) {
    int values = SA_TILES ? INT8_PIECE : INT8_VALUES;
    return (dimension + values - 1) / values * values / INT8_VALUES;
}

/* The largest magnitudes of a row and of `most`, as bits. */
INLINE vint int8_magnitudes(const float *x, int count, vint most) {
    int t = 0;
    for (; t + WIDTH <= count; t += WIDTH) most = __builtin_elementwise_max(most, (vint)load(x + t) & 0x7FFFFFFF);
    return __builtin_elementwise_max(most, (vint)load_some_numbers(SA_ROW_FP32, x, t, count - t) & 0x7FFFFFFF);
}

/* The scale of some rows together, NaN where they are not finite. Magnitudes are in the order of their bits, and what is not finite comes
 * last. */
INLINE float int8_scale(const float *x, ptrdiff_t stride, int rows, int count) {
    vint most = (vint)splat(0);
    for (int row = 0; row < rows; row++) most = int8_magnitudes(x + row * stride, count, most);
    int32_t largest = 0;
    for (int i = 0; i < WIDTH; i++) largest = most[i] > largest ? most[i] : largest;
    float magnitude;
    memcpy(&magnitude, &largest, sizeof magnitude);
    return magnitude < __builtin_inff() ? magnitude / 127 : __builtin_nanf("");
}

/* Up to WIDTH numbers of a row with that scale, which is positive. */
INLINE void quantize_vector(const float *x, int count, float scale, int8_t *out) {
    typedef int8_t vbyte __attribute__((vector_size(SA_VECTOR_BYTES / 4)));
    vfloat quotient = __builtin_elementwise_round(load_some_numbers(SA_ROW_FP32, x, 0, count) / scale);
    /* Of a scale that is rounded to few bits it may be beyond 127. */
    vbyte numbers = __builtin_convertvector(at_most(at_least(quotient, -127), 127), vbyte);
    memcpy(out, &numbers, (size_t)count);
}

/* Some numbers of a row with that scale. */
INLINE void quantize_numbers(const float *x, int count, float scale, int8_t *out) {
    if (!(scale > 0)) {
        memset(out, scale != 0, (size_t)count);
        return;
    }
    int t = 0;
    for (; t + WIDTH <= count; t += WIDTH) quantize_vector(x + t, WIDTH, scale, out + t);
    if (t < count) quantize_vector(x + t, count - t, scale, out + t);
}

static float SA_NAME(quantize_row)(const float *x, int count, int8_t *out) {
    float scale = int8_scale(x, 0, 1, count);
    quantize_numbers(x, count, scale, out);
    return scale;
}

INLINE uint32_t int8_element(const int8_t *numbers) {
    uint32_t element;
    if (INT8_VALUES == 2) return (uint16_t)numbers[0] | (uint32_t)(uint16_t)numbers[1] << 16;
    memcpy(&element, numbers, sizeof element);
    return element;
}

/* Writes a row's elements `stride` apart, the bits of `signs` turned over, and returns the sum of its numbers. */
INLINE int32_t int8_elements(const float *x, int dimension, float scale, uint32_t signs, uint32_t *out, ptrdiff_t stride) {
    int32_t sum = 0;
    for (int t = 0; t < dimension; t += INT8_PIECE) {
        int8_t numbers[INT8_PIECE] = {0};
        int count = dimension - t < INT8_PIECE ? dimension - t : INT8_PIECE;
        /* A whole piece is a constant: its loop is unrolled. */
        if (count == INT8_PIECE) quantize_numbers(x + t, INT8_PIECE, scale, numbers);
        else quantize_numbers(x + t, count, scale, numbers);
        for (int i = 0; i < INT8_PIECE; i++) sum += numbers[i];
        uint32_t *piece = out + t / INT8_VALUES * stride;
        for (int step = 0; step < int8_steps(count); step++) piece[step * stride] = int8_element(numbers + step * INT8_VALUES) ^ signs;
    }
    return sum;
}

static ptrdiff_t SA_NAME(int8_query_bytes)(int dimension) {
    return (ptrdiff_t)(INT8_START_ROWS + int8_steps(dimension)) * SA_LANES * 4;
}

/* Tile registers read whole units of keys. */
static ptrdiff_t SA_NAME(int8_key_bytes)(ptrdiff_t count, int dimension) {
    ptrdiff_t rows = SA_TILES ? (count + SA_INT8_KEYS - 1) / SA_INT8_KEYS * SA_INT8_KEYS : count;
    return rows * int8_steps(dimension) * 4;
}

static void SA_NAME(pack_int8_queries)(const float *q, ptrdiff_t stride, int rows, int dimension, void *out, float *scales) {
    uint32_t *elements = out;
    memset(out, 0, (size_t)SA_NAME(int8_query_bytes)(dimension));
    memset(scales, 0, SA_LANES * sizeof(float));
    for (int lane = 0; lane < rows; lane++) {
        const float *row = q + lane * stride;
        scales[lane] = int8_scale(row, 0, 1, dimension);
        int32_t sum = int8_elements(row, dimension, scales[lane], 0, elements + INT8_START_ROWS * SA_LANES + lane, SA_LANES);
        if (INT8_START_ROWS) elements[lane] = (uint32_t)(-128 * sum);
    }
}

static void SA_NAME(pack_int8_keys)(const float *k, ptrdiff_t stride, int count, int dimension, void *out, float *scales) {
    ptrdiff_t steps = int8_steps(dimension), bytes = SA_NAME(int8_key_bytes)(count, dimension);
    for (int key = 0; key < count; key++) {
        float *scale = scales + key / SA_INT8_SCALE_KEYS;
        int left = count - key < SA_INT8_SCALE_KEYS ? count - key : SA_INT8_SCALE_KEYS;
        if (key % SA_INT8_SCALE_KEYS == 0) *scale = int8_scale(k + key * stride, stride, left, dimension);
        int8_elements(k + key * stride, dimension, *scale, INT8_KEY_SIGNS, (uint32_t *)out + key * steps, 1);
    }
    memset((uint32_t *)out + count * steps, 0, (size_t)(bytes - count * steps * 4));
}

/* The larger of the largest so far and of the score that a whole number stands for, before the query's scale. A score that is not a number
 * is passed over, because no comparison with it holds. */
INLINE vfloat larger_score(float key_scale, vint product, vfloat most) {
    vfloat score = key_scale * __builtin_convertvector(product, vfloat);
    return choose(score > most, score, most);
}

#if SA_TILES
#include "tiled_int8.h"
#else
#include "panel_int8.h"
#endif
