/* Vectors of SA_VECTOR_BYTES, written with compiler vector types: one source for every width. */
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
/* Before loops whose bounds are constants after inlining: arrays of vectors live in registers only when every index is. */
#define UNROLLED _Pragma("clang loop unroll(full)")
#define WIDTH ((int)(SA_VECTOR_BYTES / sizeof(float)))
#define LANE_VECTORS (SA_LANES / WIDTH)
#define PANEL_LANES (SA_PANEL_VECTORS * WIDTH)

_Static_assert(WIDTH <= SA_VECTOR_LANES, "no vector is wider than what callers leave room for");

typedef float vfloat __attribute__((vector_size(SA_VECTOR_BYTES)));
typedef int32_t vint __attribute__((vector_size(SA_VECTOR_BYTES)));

INLINE vfloat load(const float *x) {
    vfloat v;
    memcpy(&v, x, sizeof v);
    return v;
}

INLINE void store(float *x, vfloat v) { memcpy(x, &v, sizeof v); }

INLINE vfloat splat(float x) {
    vfloat v;
    for (int i = 0; i < WIDTH; i++) v[i] = x;
    return v;
}

INLINE vint load_whole(const int32_t *x) {
    vint v;
    memcpy(&v, x, sizeof v);
    return v;
}

INLINE vint splat_whole(int32_t x) {
    vint v;
    for (int i = 0; i < WIDTH; i++) v[i] = x;
    return v;
}

INLINE vfloat larger(vfloat a, vfloat b) { return __builtin_elementwise_max(a, b); }

INLINE vfloat choose(vint mask, vfloat yes, vfloat no) { return (vfloat)((mask & (vint)yes) | (~mask & (vint)no)); }

/* x, or `limit` where x is below (above) it. Unlike a maximum (minimum) these keep what is not a number. */
INLINE vfloat at_least(vfloat x, float limit) { return choose(x < splat(limit), splat(limit), x); }
INLINE vfloat at_most(vfloat x, float limit) { return choose(x > splat(limit), splat(limit), x); }

/* Stores the elements of x that are at least `least` next to each other and returns their number; writes a whole vector. */
INLINE int compress(vfloat x, vfloat least, float *out) {
#if SA_VECTOR_BYTES == 64
    __mmask16 chosen = _mm512_cmp_ps_mask((__m512)x, (__m512)least, _CMP_GE_OQ);
    store(out, (vfloat)_mm512_maskz_compress_ps(chosen, (__m512)x));
    return __builtin_popcount(chosen);
#else
    int count = 0;
    for (int i = 0; i < WIDTH; i++) {
        out[count] = x[i];
        count += x[i] >= least[i];
    }
    return count;
#endif
}

INLINE float horizontal_sum(vfloat v) {
    float sum = 0;
    for (int i = 0; i < WIDTH; i++) sum += v[i];
    return sum;
}

/* All ones in the lanes first <= lane < end of the vector that begins at lane `offset`. */
INLINE vint lane_mask(int offset, int first, int end) {
    vint lane;
    for (int i = 0; i < WIDTH; i++) lane[i] = i;
    lane += offset;
    return (lane >= first) & (lane < end);
}

/* p * 2^n for whole n. Without AVX-512 n is placed in the exponent field, after x (and so n) was limited to -127 ... 127. */
#if SA_VECTOR_BYTES == 64
INLINE vfloat limit_exponent(vfloat x) { return x; }
INLINE vfloat scale_by_power(vfloat p, vfloat n) { return (vfloat)_mm512_scalef_ps((__m512)p, (__m512)n); }
#else
INLINE vfloat limit_exponent(vfloat x) { return at_most(at_least(x, -127.0f), 127.0f); }
INLINE vfloat scale_by_power(vfloat p, vfloat n) { return p * (vfloat)((__builtin_convertvector(n, vint) + 127) << 23); }
#endif

/* 2^x = 2^n * 2^f with whole n and f in [-0.5, 0.5], 2^f by a polynomial with the highest coefficient first; 0 from -127
 * (AVX2) or below the subnormals (AVX-512) down. `count` is a constant after inlining. */
INLINE vfloat exp2_polynomial(vfloat x, const float *coefficients, int count) {
    x = limit_exponent(x);
    vfloat n = __builtin_elementwise_roundeven(x);
    vfloat f = x - n;
    vfloat p = splat(coefficients[0]);
    UNROLLED for (int i = 1; i < count; i++) p = p * f + splat(coefficients[i]);
    return scale_by_power(p, n);
}

/* For FP32. Error: at most 1 ulp against a correctly rounded exp2 in -126 ... 0, measured in the tests. */
INLINE vfloat exp2_vector(vfloat x) { return exp2_polynomial(x, exp2_fine, EXP2_COEFFICIENTS(exp2_fine)); }

/* cap * tanh(x / cap). Its error is absolute, some roundings of the cap: what an exponent takes is a difference. */
INLINE vfloat capped(vfloat x, float cap) {
    return cap - 2 * cap / (1.0f + exp2_vector(at_most(x * (2.88539008f / cap), 126.0f)));
}

/* For BF16. */
INLINE vfloat exp2_bf16(vfloat x) { return exp2_polynomial(x, exp2_coarse, EXP2_COEFFICIENTS(exp2_coarse)); }

/* BF16 is the upper half of a float; rounds to nearest, ties to even. */
INLINE vint round_bf16(vfloat x) {
    vint bits = (vint)x;
    return bits + 0x7FFF + ((bits >> 16) & 1);
}

/* One element of two BF16: `low` goes to the lower half of each lane. */
#if SA_HAS_BF16_PRODUCTS
INLINE vfloat pair_bf16(vfloat low, vfloat high) {
    typedef short words __attribute__((vector_size(64)));
    words w = (words)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
    return (vfloat)__builtin_shufflevector(
        w, w, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
#else
INLINE vfloat pair_bf16(vfloat low, vfloat high) {
    return (vfloat)((round_bf16(high) & (int32_t)0xFFFF0000) | ((round_bf16(low) >> 16) & 0xFFFF));
}
#endif

/* One vector of elements from two of floats that stand next to each other in a row: neighbours become a pair. */
INLINE void store_neighbours(float *out, vfloat a, vfloat b) {
#if SA_HAS_BF16_PRODUCTS
    store(out, (vfloat)_mm512_cvtne2ps_pbh((__m512)b, (__m512)a));
#else
    vint low = round_bf16(a) >> 16 & 0xFFFF, high = round_bf16(b) >> 16 & 0xFFFF;
    uint16_t *halves = (uint16_t *)out;
    for (int i = 0; i < WIDTH; i++) halves[i] = (uint16_t)low[i], halves[WIDTH + i] = (uint16_t)high[i];
#endif
}

INLINE vfloat low_bf16(vfloat pair) { return (vfloat)((vint)pair << 16); }
INLINE vfloat high_bf16(vfloat pair) { return (vfloat)((vint)pair & (int32_t)0xFFFF0000); }

/* sum + a * b over elements of one float, or sum + a.low * b.low + a.high * b.high over BF16 pairs. */
INLINE vfloat multiply_add(int pairs, vfloat a, vfloat b, vfloat sum) {
    if (!pairs) return a * b + sum;
#if SA_HAS_BF16_PRODUCTS
    return (vfloat)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#else
    return high_bf16(a) * high_bf16(b) + (low_bf16(a) * low_bf16(b) + sum);
#endif
}

#if SA_VECTOR_BYTES == 64
#define INTERLEAVE_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define INTERLEAVE_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#else
#define INTERLEAVE_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define INTERLEAVE_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#endif

/* Transposes WIDTH x WIDTH elements in registers: log2(WIDTH) perfect shuffles of the rows. */
INLINE void transpose(vfloat m[WIDTH]) {
    UNROLLED for (int stage = 1; stage < WIDTH; stage *= 2) {
        vfloat shuffled[WIDTH];
        UNROLLED for (int i = 0; i < WIDTH / 2; i++) {
            shuffled[2 * i] = __builtin_shufflevector(m[i], m[i + WIDTH / 2], INTERLEAVE_LOW);
            shuffled[2 * i + 1] = __builtin_shufflevector(m[i], m[i + WIDTH / 2], INTERLEAVE_HIGH);
        }
        UNROLLED for (int i = 0; i < WIDTH; i++) m[i] = shuffled[i];
    }
}

/* Asks for rows of `width` elements ahead of their use: rows of a head stand a stride apart, which the hardware's own
 * prefetcher follows poorly once keys and values outgrow the caches. Reaching past the end is harmless. */
INLINE void prefetch_rows(const float *a, ptrdiff_t row_stride, int rows, int width) {
    for (int r = 0; r < rows; r++)
        for (int t = 0; t < width; t += 16) __builtin_prefetch(a + r * row_stride + t, 0, 2);
}

_Static_assert(SA_PANEL_ROWS == 6, "panels have the rows that FOR_PANEL_ROWS unfolds, and in BF16 an even number");

/* Calls action(n) with n the constant equal to `count`, 1 ... SA_PANEL_ROWS: each gets its own fully unrolled copy. */
#define FOR_PANEL_ROWS(count, action)                                                                                      \
    switch (count) {                                                                                                       \
        case 1: action(1); break;                                                                                          \
        case 2: action(2); break;                                                                                          \
        case 3: action(3); break;                                                                                          \
        case 4: action(4); break;                                                                                          \
        case 5: action(5); break;                                                                                          \
        default: action(6); break;                                                                                         \
    }

/* sum[row][vector] += over steps a[row * row_stride + step * step_stride] * b[step][lane]: the register-blocked heart of
 * every product. a's elements are broadcast, b's are lanes; `rows` and `vectors` are constants after inlining. */
INLINE void products(
    int pairs, int rows, int vectors, int steps, const float *a, ptrdiff_t row_stride, ptrdiff_t step_stride, const float *b,
    vfloat sum[SA_PANEL_ROWS][SA_PANEL_VECTORS]) {
    for (int step = 0; step < steps; step++, a += step_stride, b += SA_LANES) {
        vfloat lanes[SA_PANEL_VECTORS];
        UNROLLED for (int j = 0; j < vectors; j++) lanes[j] = load(b + j * WIDTH);
        UNROLLED for (int r = 0; r < rows; r++) {
            vfloat scalar = splat(a[r * row_stride]);
            UNROLLED for (int j = 0; j < vectors; j++) sum[r][j] = multiply_add(pairs, scalar, lanes[j], sum[r][j]);
        }
    }
}
