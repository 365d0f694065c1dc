/* The kernels over vectors of SA_VECTOR_BYTES, written with compiler vector types: one source for every width.
 * Include after kernel_declarations.h with SA_VECTOR_BYTES, SA_PANEL_VECTORS and SA_PANEL_ROWS defined. */
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define WIDTH ((int)(SA_VECTOR_BYTES / sizeof(float)))
#define LANE_VECTORS (SA_LANES / WIDTH)
#define PANEL_LANES (SA_PANEL_VECTORS * WIDTH)

typedef float vfloat __attribute__((vector_size(SA_VECTOR_BYTES)));
typedef int32_t vint __attribute__((vector_size(SA_VECTOR_BYTES)));

INLINE vfloat load(const float *x) {
    vfloat v;
    memcpy(&v, x, sizeof v);
    return v;
}

INLINE void store(float *x, vfloat v) { memcpy(x, &v, sizeof v); }

INLINE vfloat splat(float x) { return (vfloat){} + x; }

INLINE vfloat larger(vfloat a, vfloat b) { return __builtin_elementwise_max(a, b); }

INLINE vfloat choose(vint mask, vfloat yes, vfloat no) { return (vfloat)((mask & (vint)yes) | (~mask & (vint)no)); }

INLINE float horizontal_sum(vfloat v) {
    float sum = 0;
    for (int i = 0; i < WIDTH; i++) sum += v[i];
    return sum;
}

/* 2^x for x <= 0 (any x <= 127 works); below -126.5 exactly 0. x = n + f with f in [-0.5, 0.5]; 2^f by the degree-6
 * polynomial of least relative error (1.9e-9, found by Remez), 2^n by placing n in the exponent field.
 * Error: at most 1 ulp against a correctly rounded exp2, measured in the tests. */
INLINE vfloat exp2_vector(vfloat x) {
    x = larger(x, splat(-127.0f));
    vfloat n = __builtin_elementwise_roundeven(x);
    vfloat f = x - n;
    vfloat p = splat(0.000153458121587f);
    p = p * f + splat(0.00133999312095f);
    p = p * f + splat(0.00961848895652f);
    p = p * f + splat(0.05550328777f);
    p = p * f + splat(0.240226468906f);
    p = p * f + splat(0.693147205737f);
    p = p * f + splat(1.0f);
    vint exponent = (__builtin_convertvector(n, vint) + 127) << 23;
    return p * (vfloat)exponent;
}

/* Asks for rows of `width` floats ahead of their use: rows of a head stand a stride apart, which the hardware's own
 * prefetcher follows poorly once keys and values outgrow the caches. Reaching past the end is harmless. */
INLINE void prefetch_rows(const float *a, ptrdiff_t row_stride, int rows, int width) {
    for (int r = 0; r < rows; r++)
        for (int t = 0; t < width; t += 16) __builtin_prefetch(a + r * row_stride + t, 0, 2);
}

/* c[r][lane] = c * start[lane] (or 0) + sum over step of a[r * row_stride + step * step_stride] * b[step][lane], for
 * SA_PANEL_ROWS or fewer rows r and one panel of lanes: the register-blocked heart of scores and accumulate. When `ahead`
 * is not 0, a's rows are contiguous in step, and those that many rows further on are prefetched. */
INLINE void panel(
    int ahead, int rows, int steps, const float *a, ptrdiff_t row_stride, ptrdiff_t step_stride, const float *b,
    const float *start, float *c) {
    vfloat sum[SA_PANEL_ROWS][SA_PANEL_VECTORS];
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < SA_PANEL_VECTORS; j++)
            sum[r][j] = start ? load(c + r * SA_LANES + j * WIDTH) * load(start + j * WIDTH) : splat(0);
    if (ahead) prefetch_rows(a + ahead * row_stride, row_stride, rows, steps);
    for (int step = 0; step < steps; step++, a += step_stride, b += SA_LANES) {
        vfloat lanes[SA_PANEL_VECTORS];
        for (int j = 0; j < SA_PANEL_VECTORS; j++) lanes[j] = load(b + j * WIDTH);
        for (int r = 0; r < rows; r++) {
            vfloat scalar = splat(a[r * row_stride]);
            for (int j = 0; j < SA_PANEL_VECTORS; j++) sum[r][j] = scalar * lanes[j] + sum[r][j];
        }
    }
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < SA_PANEL_VECTORS; j++) store(c + r * SA_LANES + j * WIDTH, sum[r][j]);
}

/* All rows and lanes by panels (see `panel`); a switch gives each remainder its own fully unrolled copy. */
INLINE void outer_products(
    int ahead, int rows, int steps, const float *a, ptrdiff_t row_stride, ptrdiff_t step_stride, const float *b,
    const float *start, float *c) {
    for (int lane = 0; lane < SA_LANES; lane += PANEL_LANES) {
        const float *lane_start = start ? start + lane : 0;
        int reach = lane == 0 ? ahead : 0;
        int r = 0;
        for (; r + SA_PANEL_ROWS <= rows; r += SA_PANEL_ROWS)
            panel(
                reach, SA_PANEL_ROWS, steps, a + r * row_stride, row_stride, step_stride, b + lane, lane_start,
                c + r * SA_LANES + lane);
#define REMAINDER(count)                                                                                                   \
    case count:                                                                                                            \
        panel(reach, count, steps, a + r * row_stride, row_stride, step_stride, b + lane, lane_start, c + r * SA_LANES + lane); \
        break;
        switch (rows - r) {
            REMAINDER(1) REMAINDER(2) REMAINDER(3) REMAINDER(4) REMAINDER(5)
        }
#undef REMAINDER
    }
}

static void SA_NAME(pack_queries)(const float *q, ptrdiff_t q_stride, int rows, int dimension, float scale, float *qt) {
    for (int t = 0; t < dimension; t++)
        for (int lane = 0; lane < SA_LANES; lane++) qt[t * SA_LANES + lane] = lane < rows ? q[lane * q_stride + t] * scale : 0;
}

static void SA_NAME(scores)(const float *qt, int dimension, const float *k, ptrdiff_t k_stride, int keys, float *s) {
    outer_products(2 * SA_PANEL_ROWS, keys, dimension, k, k_stride, 1, qt, 0, s);
}

static void SA_NAME(accumulate)(
    const float *p, int keys, const float *v, ptrdiff_t v_stride, int dimension, const float *rescale, float *ot) {
    prefetch_rows(v, v_stride, keys, dimension);
    outer_products(0, dimension, keys, v, 1, v_stride, p, rescale, ot);
}

/* All ones in the lanes first <= lane < end of the vector that begins at lane `offset`. */
INLINE vint lane_mask(int offset, int first, int end) {
    vint lane;
    for (int i = 0; i < WIDTH; i++) lane[i] = i;
    lane += offset;
    return (lane >= first) & (lane < end);
}

static void SA_NAME(softmax_tile)(
    float *s, int keys, const uint8_t *first, const uint8_t *end, float *maximum, float *sum, float *rescale) {
    if (first) {
        vfloat lowest = splat(-__builtin_inff());
        for (int key = 0; key < keys; key++)
            for (int j = 0; j < LANE_VECTORS; j++) {
                float *x = s + key * SA_LANES + j * WIDTH;
                store(x, choose(lane_mask(j * WIDTH, first[key], end[key]), load(x), lowest));
            }
    }
    vfloat highest[LANE_VECTORS], added[LANE_VECTORS], shift[LANE_VECTORS];
    for (int j = 0; j < LANE_VECTORS; j++) highest[j] = load(maximum + j * WIDTH);
    for (int key = 0; key < keys; key++)
        for (int j = 0; j < LANE_VECTORS; j++) highest[j] = larger(highest[j], load(s + key * SA_LANES + j * WIDTH));
    for (int j = 0; j < LANE_VECTORS; j++) {
        /* A lane that has seen no key yet keeps maximum -inf; a finite stand-in avoids inf - inf. */
        shift[j] = larger(highest[j], splat(-3e38f));
        vfloat factor = exp2_vector(load(maximum + j * WIDTH) - shift[j]);
        store(rescale + j * WIDTH, factor);
        store(maximum + j * WIDTH, highest[j]);
        added[j] = load(sum + j * WIDTH) * factor;
    }
    for (int key = 0; key < keys; key++)
        for (int j = 0; j < LANE_VECTORS; j++) {
            float *x = s + key * SA_LANES + j * WIDTH;
            vfloat p = exp2_vector(load(x) - shift[j]);
            store(x, p);
            added[j] += p;
        }
    for (int j = 0; j < LANE_VECTORS; j++) store(sum + j * WIDTH, added[j]);
}

static void SA_NAME(finish_output)(
    const float *ot, const float *sum, int rows, int dimension, float *out, ptrdiff_t stride) {
    for (int lane = 0; lane < rows; lane++) {
        float inverse = 1 / sum[lane];
        for (int t = 0; t < dimension; t++) out[lane * stride + t] = ot[t * SA_LANES + lane] * inverse;
    }
}

static void SA_NAME(probabilities)(float *s, int keys, const uint8_t *first, const uint8_t *end, const float *log_sum) {
    for (int key = 0; key < keys; key++)
        for (int j = 0; j < LANE_VECTORS; j++) {
            float *x = s + key * SA_LANES + j * WIDTH;
            vfloat p = exp2_vector(load(x) - load(log_sum + j * WIDTH));
            if (first) p = choose(lane_mask(j * WIDTH, first[key], end[key]), p, splat(0));
            store(x, p);
        }
}

static void SA_NAME(sum_lanes)(const float *p, int keys, float *mass) {
    for (int key = 0; key < keys; key++) {
        vfloat sum = load(p + key * SA_LANES);
        for (int j = 1; j < LANE_VECTORS; j++) sum += load(p + key * SA_LANES + j * WIDTH);
        mass[key] += horizontal_sum(sum);
    }
}

static float SA_NAME(row_scores)(
    const float *q, float scale, int dimension, const float *k, ptrdiff_t k_stride, int keys, float *s) {
    float highest = -__builtin_inff();
    for (int key = 0; key < keys; key++) {
        const float *row = k + key * k_stride;
        vfloat sum = splat(0);
        int t = 0;
        for (; t + WIDTH <= dimension; t += WIDTH) sum = load(q + t) * load(row + t) + sum;
        float total = horizontal_sum(sum);
        for (; t < dimension; t++) total += q[t] * row[t];
        s[key] = total * scale;
        if (s[key] > highest) highest = s[key];
    }
    return highest;
}

static void SA_NAME(row_accumulate)(
    const float *p, int keys, const float *v, ptrdiff_t v_stride, int dimension, float *out) {
    int t = 0;
    for (; t + WIDTH <= dimension; t += WIDTH) {
        vfloat even = splat(0), odd = splat(0);
        int key = 0;
        for (; key + 2 <= keys; key += 2) {
            even = splat(p[key]) * load(v + key * v_stride + t) + even;
            odd = splat(p[key + 1]) * load(v + (key + 1) * v_stride + t) + odd;
        }
        if (key < keys) even = splat(p[key]) * load(v + key * v_stride + t) + even;
        store(out + t, even + odd);
    }
    for (; t < dimension; t++) {
        float sum = 0;
        for (int key = 0; key < keys; key++) sum += p[key] * v[key * v_stride + t];
        out[t] = sum;
    }
}

static float SA_NAME(row_exp2)(float *x, int count, float maximum) {
    vfloat sum = splat(0);
    int i = 0;
    for (; i + WIDTH <= count; i += WIDTH) {
        vfloat p = exp2_vector(load(x + i) - maximum);
        store(x + i, p);
        sum += p;
    }
    float total = horizontal_sum(sum);
    if (i < count) {
        float rest[WIDTH];
        for (int j = 0; j < WIDTH; j++) rest[j] = i + j < count ? x[i + j] : -__builtin_inff();
        vfloat p = exp2_vector(load(rest) - maximum);
        store(rest, p);
        memcpy(x + i, rest, (size_t)(count - i) * sizeof(float));
        total += horizontal_sum(p);
    }
    return total;
}

static void SA_NAME(rms_norm)(const float *x, const float *weight, float epsilon, int count, float *y) {
    vfloat sum = splat(0);
    int i = 0;
    for (; i + WIDTH <= count; i += WIDTH) sum = load(x + i) * load(x + i) + sum;
    float squares = horizontal_sum(sum);
    for (; i < count; i++) squares += x[i] * x[i];
    float scale = 1 / __builtin_sqrtf(squares / count + epsilon);
    for (i = 0; i < count; i++) y[i] = x[i] * scale * weight[i];
}

static void SA_NAME(rotate_halves)(float *x, const float *cosine, const float *sine, int half) {
    float *y = x + half;
    int i = 0;
    for (; i + WIDTH <= half; i += WIDTH) {
        vfloat a = load(x + i), b = load(y + i), c = load(cosine + i), s = load(sine + i);
        store(x + i, a * c - b * s);
        store(y + i, b * c + a * s);
    }
    for (; i < half; i++) {
        float a = x[i], b = y[i];
        x[i] = a * cosine[i] - b * sine[i];
        y[i] = b * cosine[i] + a * sine[i];
    }
}

/* 1 + e^-x overflows for no finite x here: the exponent is limited to 2^126, where x / (1 + 2^126) rounds to 0. */
INLINE vfloat swiglu_vector(vfloat gate, vfloat up) {
    vfloat power = __builtin_elementwise_min(gate * -1.44269504f, splat(126.0f));
    return gate / (1.0f + exp2_vector(power)) * up;
}

static void SA_NAME(swiglu)(float *gate, const float *up, int count) {
    int i = 0;
    for (; i + WIDTH <= count; i += WIDTH) store(gate + i, swiglu_vector(load(gate + i), load(up + i)));
    if (i < count) {
        float g[WIDTH], u[WIDTH];
        for (int j = 0; j < WIDTH; j++) g[j] = i + j < count ? gate[i + j] : 0, u[j] = i + j < count ? up[i + j] : 0;
        store(g, swiglu_vector(load(g), load(u)));
        memcpy(gate + i, g, (size_t)(count - i) * sizeof(float));
    }
}
