/* Every kernel for one vector width. Include with SA_SUFFIX, SA_VECTOR_BYTES, SA_PANEL_VECTORS and SA_PANEL_ROWS defined,
 * and SA_HAS_BF16_PRODUCTS where the instruction set has vdpbf16ps. */
#ifndef SA_HAS_BF16_PRODUCTS
#define SA_HAS_BF16_PRODUCTS 0
#endif
#include "kernel_declarations.h"
#include "vectors.h"

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

/* Lanes past `rows` of a partial vector are computed and dropped. */
static void SA_NAME(finish_output)(
    const float *ot, const float *sum, int rows, int dimension, float *out, ptrdiff_t stride) {
    for (int lane = 0; lane < rows; lane += WIDTH) {
        vfloat inverse = 1.0f / load(sum + lane);
        int t = 0;
        for (; t + WIDTH <= dimension; t += WIDTH) {
            vfloat m[WIDTH];
            for (int i = 0; i < WIDTH; i++) m[i] = load(ot + (t + i) * SA_LANES + lane) * inverse;
            transpose(m);
            for (int i = 0; i < WIDTH && lane + i < rows; i++) store(out + (lane + i) * stride + t, m[i]);
        }
        for (; t < dimension; t++) {
            vfloat m = load(ot + t * SA_LANES + lane) * inverse;
            for (int i = 0; i < WIDTH && lane + i < rows; i++) out[(lane + i) * stride + t] = m[i];
        }
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
