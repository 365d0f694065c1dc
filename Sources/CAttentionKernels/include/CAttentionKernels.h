#ifndef C_ATTENTION_KERNELS_H
#define C_ATTENTION_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Queries are processed in blocks of SA_LANES rows, one row a SIMD lane: a tile of scores is stored [key][lane], the
 * output accumulator [dimension][lane]. Softmax then runs down the keys without any horizontal step, and keys and values
 * are read in place as broadcasts, so nothing but the query block is ever transposed. */
#define SA_LANES 64

/* Keys whose scores are held at once: SA_TILE_KEYS x SA_LANES floats. */
#define SA_TILE_KEYS 128

/* Axes: lane = query row of the block, key = row of K or V, dimension = element of a head's vector.
 * All strides count floats. Scores are in base-2 units: (q . k) * scale * log2(e). */

/* Every kernel: X(name, return type, parameters). One list makes the declarations and the table. */
#define SA_KERNEL_LIST(X)                                                                                                  \
    /* qt[dimension][lane] = q[lane][dimension] * scale; lanes >= rows are zero. */                                       \
    X(pack_queries, void, (const float *q, ptrdiff_t q_stride, int rows, int dimension, float scale, float *qt))          \
    /* s[key][lane] = sum over dimension of k[key][dimension] * qt[dimension][lane]. */                                   \
    X(scores, void, (const float *qt, int dimension, const float *k, ptrdiff_t k_stride, int keys, float *s))             \
    /* Online softmax of one tile: s becomes 2^(s - maximum). Lane l keeps key j when first[j] <= l < end[j]; first ==    \
     * NULL keeps all. maximum and sum are the running state; rescale[lane] = 2^(old maximum - new maximum). */          \
    X(softmax_tile, void, (float *s, int keys, const uint8_t *first, const uint8_t *end, float *maximum, float *sum,      \
                           float *rescale))                                                                               \
    /* ot[dimension][lane] = ot * rescale[lane] + sum over key of v[key][dimension] * p[key][lane]. */                    \
    X(accumulate, void, (const float *p, int keys, const float *v, ptrdiff_t v_stride, int dimension,                     \
                         const float *rescale, float *ot))                                                                \
    /* out[lane][dimension] = ot[dimension][lane] / sum[lane], for lanes < rows. */                                       \
    X(finish_output, void, (const float *ot, const float *sum, int rows, int dimension, float *out, ptrdiff_t stride))    \
    /* s becomes the probabilities 2^(s - log_sum[lane]), zero where masked as in softmax_tile. */                        \
    X(probabilities, void, (float *s, int keys, const uint8_t *first, const uint8_t *end, const float *log_sum))          \
    /* mass[key] += sum over lanes of p[key][lane]. */                                                                    \
    X(sum_lanes, void, (const float *p, int keys, float *mass))                                                           \
    /* s[key] = scale * q . k[key], for one query; returns the largest. */                                                \
    X(row_scores, float, (const float *q, float scale, int dimension, const float *k, ptrdiff_t k_stride, int keys,        \
                         float *s))                                                                                       \
    /* out[dimension] = sum over key of p[key] * v[key][dimension], for one query. */                                     \
    X(row_accumulate, void, (const float *p, int keys, const float *v, ptrdiff_t v_stride, int dimension, float *out))    \
    /* x[i] becomes 2^(x[i] - maximum); returns the sum. */                                                               \
    X(row_exp2, float, (float *x, int count, float maximum))                                                              \
    /* y = x / sqrt(mean(x^2) + epsilon) * weight. */                                                                     \
    X(rms_norm, void, (const float *x, const float *weight, float epsilon, int count, float *y))                          \
    /* Rotates the pairs (x[i], x[i + half]) by the angle whose cosine and sine are given: rotary position embedding. */  \
    X(rotate_halves, void, (float *x, const float *cosine, const float *sine, int half))                                  \
    /* gate = gate * sigmoid(gate) * up. */                                                                               \
    X(swiglu, void, (float *gate, const float *up, int count))

typedef struct SAKernelTable {
#define SA_FIELD(name, result, parameters) result(*name) parameters;
    SA_KERNEL_LIST(SA_FIELD)
#undef SA_FIELD
} SAKernelTable;

typedef enum SAInstructionSet { SA_SCALAR = 0, SA_AVX2 = 1, SA_AVX512 = 2 } SAInstructionSet;

/* The kernels for an instruction set, or NULL when this machine or this build lacks it. */
const SAKernelTable *sa_kernels(SAInstructionSet instruction_set);

#endif
