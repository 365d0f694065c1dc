/* The readable reference: one loop an operation, no tricks. Every other instruction set is checked against it. */
#include <math.h>
#include <string.h>

#define SA_SUFFIX scalar
#include "kernel_declarations.h"

static inline int kept(const uint8_t *first, const uint8_t *end, int key, int lane) {
    return first == NULL || (lane >= first[key] && lane < end[key]);
}

#define SA_PAIRS 0
#define SA_TILE_NAME(name) SA_FP32_NAME(name)
#include "tile_kernels_scalar.h"
#undef SA_PAIRS
#undef SA_TILE_NAME

#define SA_PAIRS 1
#define SA_TILE_NAME(name) SA_BF16_NAME(name)
#include "tile_kernels_scalar.h"
#undef SA_PAIRS
#undef SA_TILE_NAME

static void sa_finish_output__scalar(
    const float *ot, const float *sum, int rows, int dimension, float *out, ptrdiff_t stride) {
    for (int lane = 0; lane < rows; lane++)
        for (int t = 0; t < dimension; t++) out[lane * stride + t] = ot[t * SA_LANES + lane] / sum[lane];
}

static float sa_row_scores__scalar(
    const float *q, float scale, int dimension, const float *k, ptrdiff_t k_stride, int keys, float *s) {
    float highest = -INFINITY;
    for (int key = 0; key < keys; key++) {
        float sum = 0;
        for (int t = 0; t < dimension; t++) sum += q[t] * k[key * k_stride + t];
        s[key] = sum * scale;
        if (s[key] > highest) highest = s[key];
    }
    return highest;
}

static void sa_row_accumulate__scalar(
    const float *p, int keys, const float *v, ptrdiff_t v_stride, int dimension, float *out) {
    for (int t = 0; t < dimension; t++) {
        float sum = 0;
        for (int key = 0; key < keys; key++) sum += p[key] * v[key * v_stride + t];
        out[t] = sum;
    }
}

static float sa_row_exp2__scalar(float *x, int count, float maximum) {
    float sum = 0;
    for (int i = 0; i < count; i++) sum += x[i] = exp2f(x[i] - maximum);
    return sum;
}

static void sa_rms_norm__scalar(const float *x, const float *weight, float epsilon, int count, float *y) {
    float squares = 0;
    for (int i = 0; i < count; i++) squares += x[i] * x[i];
    float scale = 1 / sqrtf(squares / count + epsilon);
    for (int i = 0; i < count; i++) y[i] = x[i] * scale * weight[i];
}

static void sa_rotate_halves__scalar(float *x, const float *cosine, const float *sine, int half) {
    for (int i = 0; i < half; i++) {
        float a = x[i], b = x[i + half];
        x[i] = a * cosine[i] - b * sine[i];
        x[i + half] = b * cosine[i] + a * sine[i];
    }
}

static void sa_swiglu__scalar(float *gate, const float *up, int count) {
    for (int i = 0; i < count; i++) gate[i] = gate[i] / (1 + expf(-gate[i])) * up[i];
}

static float sa_read_sum__scalar(const float *x, ptrdiff_t count) {
    float sum = 0;
    for (ptrdiff_t i = 0; i < count; i++) sum += x[i];
    return sum;
}

SA_DEFINE_TABLE

const SAKernelTable *sa_kernels__scalar(void) { return &table; }
