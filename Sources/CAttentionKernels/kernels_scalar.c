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

#define SA_ROW_FORMAT SA_ROW_FP32
#define SA_ROW_NAME(name) SA_FP32_NAME(name)
#include "row_kernels_scalar.h"
#undef SA_ROW_FORMAT
#undef SA_ROW_NAME

#define SA_ROW_FORMAT SA_ROW_BF16
#define SA_ROW_NAME(name) SA_BF16_NAME(name)
#include "row_kernels_scalar.h"
#undef SA_ROW_FORMAT
#undef SA_ROW_NAME

#define SA_ROW_FORMAT SA_ROW_INT8
#define SA_ROW_NAME(name) SA_INT8_NAME(name)
#include "row_kernels_scalar.h"
#undef SA_ROW_FORMAT
#undef SA_ROW_NAME

#include "int8_kernels_scalar.h"

static void sa_finish_output__scalar(
    const float *ot, const float *sum, int rows, int dimension, float *out, ptrdiff_t stride, int streams) {
    (void)streams;
    for (int lane = 0; lane < rows; lane++)
        for (int t = 0; t < dimension; t++) out[lane * stride + t] = ot[t * SA_LANES + lane] / sum[lane];
}

static float sa_row_exp2__scalar(float *x, int count, float maximum) {
    float sum = 0;
    for (int i = 0; i < count; i++) sum += x[i] = exp2f(x[i] - maximum);
    return sum;
}

static void sa_soft_cap__scalar(float *x, int count, float cap) {
    for (int i = 0; i < count; i++) x[i] = cap * tanhf(x[i] / cap);
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

static void sa_geglu__scalar(float *gate, const float *up, int count) {
    for (int i = 0; i < count; i++) {
        float x = gate[i];
        gate[i] = 0.5f * x * (1 + tanhf(0.797884561f * (x + 0.044715f * x * x * x))) * up[i];
    }
}

static void sa_clamped_swiglu__scalar(float *gate, const float *up, int count, float slope, float limit) {
    for (int i = 0; i < count; i++) {
        /* Comparisons keep what is not a number. */
        float g = gate[i] > limit ? limit : gate[i];
        float u = up[i] > limit ? limit : up[i] < -limit ? -limit : up[i];
        gate[i] = g / (1 + expf(-slope * g)) * (u + 1);
    }
}

static int sa_collect_between__scalar(const float *x, int count, float least, float limit, float *out) {
    int collected = 0;
    for (int i = 0; i < count; i++)
        if (x[i] >= least && x[i] < limit) out[collected++] = x[i];
    return collected;
}

static float sa_read_sum__scalar(const float *x, ptrdiff_t count) {
    float sum = 0;
    for (ptrdiff_t i = 0; i < count; i++) sum += x[i];
    return sum;
}

SA_DEFINE_TABLE

const SAKernelTable *sa_kernels__scalar(void) { return &table; }
