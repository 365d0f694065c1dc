/* Every kernel for one vector width. Include with SA_SUFFIX, SA_VECTOR_BYTES, SA_PANEL_VECTORS and SA_PANEL_ROWS defined,
 * SA_HAS_BF16_PRODUCTS where the instruction set has vdpbf16ps, and SA_HAS_INT8_PRODUCTS where it has vpdpbusd. */
#ifndef SA_HAS_BF16_PRODUCTS
#define SA_HAS_BF16_PRODUCTS 0
#endif
#ifndef SA_HAS_INT8_PRODUCTS
#define SA_HAS_INT8_PRODUCTS 0
#endif
/* What multiplies BF16 and INT8 in tile registers: nothing, AMX, or its model. */
#define SA_TILES_AMX 1
#define SA_TILES_MODEL 2
#ifndef SA_TILES
#define SA_TILES 0
#endif
#include "kernel_declarations.h"
#include "vectors.h"
#if SA_TILES == SA_TILES_AMX
#include "tiles_amx.h"
#elif SA_TILES == SA_TILES_MODEL
#include "tiles_model.h"
#endif

#define SA_PAIRS 0
#define SA_TILE_NAME(name) SA_FP32_NAME(name)
#include "tile_kernels.h"
#undef SA_PAIRS
#undef SA_TILE_NAME

#define SA_PAIRS 1
#define SA_TILE_NAME(name) SA_BF16_NAME(name)
#include "tile_kernels.h"
#undef SA_PAIRS
#undef SA_TILE_NAME

#include "row_kernels.h"
#include "int8_kernels.h"

/* Lanes past `rows` of a partial vector are computed and dropped. */
static void SA_NAME(finish_output)(
    const float *ot, const float *sum, int rows, int dimension, float *out, ptrdiff_t stride, int streams) {
    streams = streams && ((uintptr_t)out | (uintptr_t)stride * sizeof(float)) % SA_VECTOR_BYTES == 0;
    for (int lane = 0; lane < rows; lane += WIDTH) {
        vfloat inverse = 1.0f / load(sum + lane);
        int t = 0;
        for (; t + WIDTH <= dimension; t += WIDTH) {
            vfloat m[WIDTH];
            for (int i = 0; i < WIDTH; i++) m[i] = load(ot + (t + i) * SA_LANES + lane) * inverse;
            transpose(m);
            for (int i = 0; i < WIDTH && lane + i < rows; i++) {
                vfloat *row = (vfloat *)(out + (lane + i) * stride + t);
                if (streams) __builtin_nontemporal_store(m[i], row);
                else store((float *)row, m[i]);
            }
        }
        for (; t < dimension; t++) {
            vfloat m = load(ot + t * SA_LANES + lane) * inverse;
            for (int i = 0; i < WIDTH && lane + i < rows; i++) out[(lane + i) * stride + t] = m[i];
        }
    }
    /* Seen by other threads before whatever says that the rows are there. */
    if (streams) _mm_sfence();
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

/* WIDTH elements at a time, and the rest as if zeros stood after them: `result` of vectors `a` of x and `b` of y goes to x. */
#define FOR_VECTORS(x, y, count, result)                                                                                   \
    int i = 0;                                                                                                             \
    for (; i + WIDTH <= count; i += WIDTH) {                                                                               \
        vfloat a = load(x + i), b = load(y + i);                                                                           \
        store(x + i, result);                                                                                              \
    }                                                                                                                      \
    if (i < count) {                                                                                                       \
        float left[WIDTH] = {0}, right[WIDTH] = {0};                                                                       \
        memcpy(left, x + i, (size_t)(count - i) * sizeof(float));                                                          \
        memcpy(right, y + i, (size_t)(count - i) * sizeof(float));                                                         \
        vfloat a = load(left), b = load(right);                                                                            \
        store(left, result);                                                                                               \
        memcpy(x + i, left, (size_t)(count - i) * sizeof(float));                                                          \
    }

static void SA_NAME(soft_cap)(float *x, int count, float cap) {
    FOR_VECTORS(x, x, count, ((void)b, capped(a, cap)))
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

static void SA_NAME(swiglu)(float *gate, const float *up, int count) { FOR_VECTORS(gate, up, count, swiglu_vector(a, b)) }

/* 0.5 x (1 + tanh z) = x * sigmoid(2 z), z = sqrt(2 / pi) (x + 0.044715 x^3); the exponent is limited as above. */
INLINE vfloat geglu_vector(vfloat gate, vfloat up) {
    vfloat z = gate * (1.0f + 0.044715f * gate * gate);
    vfloat power = at_most(z * -2.30220819f, 126.0f);
    return gate / (1.0f + exp2_vector(power)) * up;
}

static void SA_NAME(geglu)(float *gate, const float *up, int count) { FOR_VECTORS(gate, up, count, geglu_vector(a, b)) }

INLINE vfloat clamped_swiglu_vector(vfloat gate, vfloat up, float slope, float limit) {
    vfloat g = at_most(gate, limit), u = at_least(at_most(up, limit), -limit);
    return g / (1.0f + exp2_vector(at_most(g * (-1.44269504f * slope), 126.0f))) * (u + 1.0f);
}

static void SA_NAME(clamped_swiglu)(float *gate, const float *up, int count, float slope, float limit) {
    FOR_VECTORS(gate, up, count, clamped_swiglu_vector(a, b, slope, limit))
}

static int SA_NAME(collect_between)(const float *x, int count, float least, float limit, float *out) {
    int collected = 0;
    vfloat none = splat(__builtin_nanf(""));
    for (int i = 0; i < count; i += WIDTH) {
        vfloat v = none;
        if (count - i >= WIDTH) v = load(x + i);
        else memcpy(&v, x + i, (size_t)(count - i) * sizeof(float));
        v = choose(v < splat(limit), v, none);
        collected += compress(v, splat(least), out + collected);
    }
    return collected;
}

static float SA_NAME(read_sum)(const float *x, ptrdiff_t count) {
    vfloat sum[8];
    for (int j = 0; j < 8; j++) sum[j] = splat(0);
    ptrdiff_t i = 0;
    for (; i + 8 * WIDTH <= count; i += 8 * WIDTH)
        for (int j = 0; j < 8; j++) sum[j] += load(x + i + j * WIDTH);
    for (int j = 1; j < 8; j++) sum[0] += sum[j];
    float total = horizontal_sum(sum[0]);
    for (; i < count; i++) total += x[i];
    return total;
}
