#ifndef C_ATTENTION_KERNELS_H
#define C_ATTENTION_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Queries are processed in blocks of SA_LANES rows, one row a SIMD lane: a tile of scores is [key][lane], the output
 * accumulator [dimension][lane]. Softmax then runs down the keys without any horizontal step, and keys and values enter
 * the products as broadcasts, so nothing but the query block is ever transposed. */
#define SA_LANES 64

/* Keys whose probabilities are held at once. */
#define SA_TILE_KEYS 128

/* The most lanes that a masked tile does, or leaves out, together: one vector of the widest instruction set. */
#define SA_VECTOR_LANES 16

/* Axes: lane = query row of the block, key = row of K or V, dimension = element of a head's vector.
 * Scores are in base-2 units: (q . k) * scale * log2(e).
 *
 * Tile kernels exist once for each precision of their products; sums are FP32 in both. Their operands are made of 32-bit
 * elements, and strides count these: one float, or, in BF16, two neighbours along the axis the product sums over
 * ("step"): [key][dimension / 2][2] for keys, [key / 2][dimension][2] for values. An odd end is filled with zeros. */
typedef enum SAPrecision { SA_FP32 = 0, SA_BF16 = 1 } SAPrecision;

/* Keys and values of one tile. Up to two arrays (or NULL) of rows of `dimension` floats that will be read next are fetched in the shadow
 * of this tile: next_rows of each, SA_TILE_KEYS at most; a kernel may leave out those past the number of the tile's keys. Row r of them is
 * the one of number next_index[r], or r where that is NULL. */
typedef struct SATile {
    const void *keys;
    ptrdiff_t key_stride;
    const void *values;
    ptrdiff_t value_stride;
    int count;
    const float *next[2];
    ptrdiff_t next_stride[2];
    int next_rows;
    const int32_t *next_index;
    /* Scores s become cap * tanh(s / cap), in base-2 units as they are; 0 leaves them. */
    float cap;
} SATile;

/* The running state of a block of queries. With p = 2^(score - shift[lane]) over all keys seen: sum[lane] = sum of p,
 * output[dimension][lane] = sum of p * value. shift is -infinity until a lane has seen a key, then the score of a kept
 * key; it moves only when a sum would leave the range where FP32 keeps its precision. */
typedef struct SALaneBlock {
    const void *queries;
    float *output, *shift, *sum;
    /* Lane l keeps a tile's key j when first[j] <= l < end[j]; first == NULL keeps all. */
    const uint8_t *first, *end;
} SALaneBlock;

/* Lane blocks that a tile is added to at a time. */
#define SA_MOST_LANE_BLOCKS 4

/* Every tile kernel: X(name, return type, parameters). */
#define SA_TILE_KERNEL_LIST(X)                                                                                             \
    /* out[step][lane] = q[lane][step] * scale; lanes >= rows are zero. */                                                \
    X(pack_queries, void, (const float *q, ptrdiff_t q_stride, int rows, int dimension, float scale, void *out))          \
    /* out[key][step] = k[index[key]][step]; index == NULL takes the rows as they stand. */                               \
    X(pack_keys, void, (const float *k, ptrdiff_t k_stride, const int32_t *index, int count, int dimension, void *out))   \
    /* out[group][dimension][key of the group] = v[index[key]][dimension], groups of value_keys keys, the last one filled up with \
     * zeros; index as above. With value_keys of a step that is out[step][dimension]. */                                               \
    X(pack_values, void, (const float *v, ptrdiff_t v_stride, const int32_t *index, int count, int dimension, void *out)) \
    /* Adds a tile to some lane blocks, SA_MOST_LANE_BLOCKS at most. p is scratch for SA_TILE_KEYS x SA_LANES floats. */  \
    X(attend, void, (const SATile *tile, const SALaneBlock *blocks, int count, int dimension, void *p))                   \
    /* The same to one lane block without values (block->output may be NULL): leaves p[step][lane] relative to the shift that stands in the \
     * block afterwards, zero where masked, and each lane's sum over the tile in added. */                                \
    X(score, void, (const SATile *tile, const SALaneBlock *block, int dimension, void *p, float *added))                  \
    /* mass[key] += sum over kept lanes of weight[lane] * p[key][lane]; first and end as in SALaneBlock. */                    \
    X(column_mass, void, (const void *p, int keys, const uint8_t *first, const uint8_t *end, const float *weight,         \
                          float *mass))                                                                                   \
    /* mass[group[key]][lane] += weight[lane] * p[key][lane] where lane l keeps the key; group == NULL puts all keys in group 0. \
     * Keys are taken as order[0 ..< keys] names them, NULL: as they stand; best those of one group after each other. */  \
    X(row_mass, void, (const void *p, int keys, const uint8_t *first, const uint8_t *end, const uint8_t *group,           \
                       const uint8_t *order, const float *weight, float *mass))                                           \
    /* Appends weight[lane] * p[key][lane], where that is at least least[lane], to rows[lane * stride + count[lane]] in the   \
     * order of keys, and adds the others to rest[lane]; least > 0. Writes up to SA_VECTOR_LANES floats past every lane's last. */ \
    X(collect, void, (const void *p, int keys, const float *weight, const float *least, float *rows, ptrdiff_t stride,    \
                      int32_t *count, float *rest))                                                                       \
    /* out[output / SA_LANES][step][output % SA_LANES] = w[output][step], zero past the last output. */                   \
    X(pack_weights, void, (const float *w, int outputs, int inputs, void *out))                                           \
    /* y[row][output] (+)= sum over step of x[row][step] * w[output][step], w packed, x as pack_keys leaves it. */        \
    X(multiply, void, (const void *x, ptrdiff_t x_stride, int rows, const void *w, int inputs, int outputs, float *y,     \
                       ptrdiff_t y_stride, int adding))                                                                   \
    /* The backward pass of softmax on a tile and a lane block, from scores s[key][lane] and the gradients dp[key][lane] of their   \
     * probabilities: p = 2^(s - log_sum[lane]) and ds = p * (dp - dot[lane]), the gradient of the score in natural units. With    \
     * cap > 0 s becomes cap * tanh(s / cap) first, and ds is that of the score before it, which takes the factor                  \
     * 1 - (s / cap)^2. Both are 0 where masked; first and end as in SALaneBlock. They are left as the products that follow        \
     * want them: p_rows and ds_rows [key][step of lanes], `stride` elements between keys, as rows of multiply, and                \
     * ds_weights[step of keys][lane] as its packed weights. */                                                                    \
    X(score_gradients, void, (const float *s, const float *dp, int keys, const float *log_sum, const float *dot,                   \
                              const uint8_t *first, const uint8_t *end, float cap, void *p_rows, void *ds_rows, ptrdiff_t stride,  \
                              void *ds_weights))                                                                                   \
    /* Independent multiply-adds in registers, nothing else; returns how many operations that was. */                     \
    X(peak, double, (long iterations))

/* How the numbers of stored rows are kept: floats; BF16, the upper half of a float; or whole numbers of eight bits, which a scale of the
 * row's own multiplies. */
typedef enum SARowFormat { SA_ROW_FP32 = 0, SA_ROW_BF16 = 1, SA_ROW_INT8 = 2 } SARowFormat;

/* Rows of keys or values as a cache keeps them. */
typedef struct SARows {
    /* [row][dimension], `stride` numbers from one row to the next. */
    const void *numbers;
    ptrdiff_t stride;
    /* [row]; INT8 only. */
    const float *scales;
    int count;
} SARows;

/* Every kernel of stored rows, once for each format: a few queries on their own, as in decoding. Products and sums are FP32; numbers are
 * widened in registers. */
#define SA_ROW_KERNEL_LIST(X)                                                                                              \
    /* s[query][row] = scale * q[query] . row; highest[query] becomes the largest of these and itself. */                 \
    X(row_scores, void, (const float *q, ptrdiff_t q_stride, int queries, float scale, const SARows *rows, int dimension, \
                         float *s, ptrdiff_t s_stride, float *highest))                                                    \
    /* out[query][dimension] += sum over rows of p[query][row] * row[dimension]. Leaves p multiplied by the rows' scales. */ \
    X(row_accumulate, void, (float *p, ptrdiff_t p_stride, int queries, const SARows *rows, int dimension, float *out,    \
                             ptrdiff_t out_stride))                                                                        \
    /* out[row][dimension] = the row's numbers as floats. */                                                              \
    X(row_widen, void, (const SARows *rows, int dimension, float *out, ptrdiff_t out_stride))

/* Keys in INT8 are packed in units of this many at most: those from a multiple of it on begin at int8_key_bytes of their number. */
#define SA_INT8_KEYS 32
/* Keys from a multiple of this on have one scale in common, so that the largest of their scores is that of whole numbers. */
#define SA_INT8_SCALE_KEYS 16

/* Every other kernel; all FP32 but for scores in INT8.
 *
 * Their operands are rows of eight-bit numbers with a scale each, in a layout of the instruction set's own. Sums of their products are whole
 * numbers of 32 bits and exact, and scales multiply in one order, so that every instruction set gives the same scores. */
#define SA_KERNEL_LIST(X)                                                                                                  \
    /* out[lane][dimension] = ot[dimension][lane] / sum[lane], for lanes < rows. Past the caches where `streams` is not 0 and rows stand \
     * at whole vectors: then the memory that is written need not be read before. */                                       \
    X(finish_output, void, (const float *ot, const float *sum, int rows, int dimension, float *out, ptrdiff_t stride,     \
                            int streams))                                                                                  \
    /* x[i] becomes 2^(x[i] - maximum); returns the sum. */                                                               \
    X(row_exp2, float, (float *x, int count, float maximum))                                                              \
    /* x[i] becomes cap * tanh(x[i] / cap); cap > 0. */                                                                    \
    X(soft_cap, void, (float *x, int count, float cap))                                                                    \
    /* y = x / sqrt(mean(x^2) + epsilon) * weight. */                                                                     \
    X(rms_norm, void, (const float *x, const float *weight, float epsilon, int count, float *y))                          \
    /* Rotates the pairs (x[i], x[i + half]) by the angle whose cosine and sine are given: rotary position embedding. */  \
    X(rotate_halves, void, (float *x, const float *cosine, const float *sine, int half))                                  \
    /* gate = gate * sigmoid(gate) * up. */                                                                               \
    X(swiglu, void, (float *gate, const float *up, int count))                                                            \
    /* gate = gelu(gate) * up, by the approximation with tanh. */                                                          \
    X(geglu, void, (float *gate, const float *up, int count))                                                              \
    /* gate = g * sigmoid(slope * g) * (u + 1) with g = min(gate, limit) and u = up cut to -limit ... limit. */             \
    X(clamped_swiglu, void, (float *gate, const float *up, int count, float slope, float limit))                           \
    /* Appends the x[i] with least <= x[i] < limit to out, in their order, and returns their number. Writes up to              \
     * SA_VECTOR_LANES floats past the last. */                                                                                \
    X(collect_between, int, (const float *x, int count, float least, float limit, float *out))                                 \
    /* The sum of x, read once: measures how fast memory delivers. */                                                     \
    X(read_sum, float, (const float *x, ptrdiff_t count))                                                                  \
    /* A row in eight bits, x[i] = scale * out[i] but for half a scale; returns the scale, the largest magnitude / 127. Quotients round to \
     * nearest, ties away from zero. Zeros have scale 0; a row that is not finite becomes ones, and its scale is NaN. */       \
    X(quantize_row, float, (const float *x, int count, int8_t *out))                                                           \
    /* Bytes of a packed block of SA_LANES queries, and of packed keys. */                                                     \
    X(int8_query_bytes, ptrdiff_t, (int dimension))                                                                            \
    X(int8_key_bytes, ptrdiff_t, (ptrdiff_t count, int dimension))                                                             \
    /* Rows as quantize_row leaves them, and their scales; lanes >= rows are zero, with scale 0. Keys have one scale for each\
     * SA_INT8_SCALE_KEYS, that of their largest magnitude: NaN where one of them is not finite. */                         \
    X(pack_int8_queries, void, (const float *q, ptrdiff_t stride, int rows, int dimension, void *out, float *scales))          \
    X(pack_int8_keys, void, (const float *k, ptrdiff_t stride, int count, int dimension, void *out, float *scales))            \
    /* out[group][lane] = query_scales[lane] * max over the group's keys of their scale * (query . key). Groups have `group`\
     * keys, 1 or a multiple of SA_INT8_SCALE_KEYS, the last one what is left. Keys whose scale is NaN are passed over; the \
     * maximum of no key is -infinity, before the query's scale. A query whose scale is NaN has only NaN. */                \
    X(int8_maxima, void, (const void *queries, const float *query_scales, const void *keys, const float *key_scales, int count, \
                          int dimension, int group, float *out))

/* The most value_keys of any tile kernels: what begins at a multiple of it begins a group of values. */
#define SA_MOST_VALUE_KEYS 32

/* How the tile kernels of a precision round. Everything rounds to nearest; sums are FP32. */
typedef struct SARounding {
    /* The largest relative error of rounding a float to an operand: 2^-p for p significant bits, 0 when operands are floats. */
    double operand_roundoff;
    /* 2^x errs by no more than a polynomial of this degree in the fraction of x, by Horner's rule in FP32, whose own largest
     * relative error is exp2_error. */
    int exp2_degree;
    double exp2_error;
} SARounding;

#define SA_FIELD(name, result, parameters) result(*name) parameters;
typedef struct SATileKernelTable {
    SA_TILE_KERNEL_LIST(SA_FIELD)
    /* Values of the axis that a product sums over in one step, which is a 32-bit element of its operands. */
    int step_values;
    /* Keys whose values pack_values puts together. */
    int value_keys;
    SARounding rounding;
} SATileKernelTable;

typedef struct SARowKernelTable {
    SA_ROW_KERNEL_LIST(SA_FIELD)
} SARowKernelTable;

typedef struct SAKernelTable {
    SA_KERNEL_LIST(SA_FIELD)
    SATileKernelTable fp32, bf16;
    SARowKernelTable rows_fp32, rows_bf16, rows_int8;
} SAKernelTable;
#undef SA_FIELD

/* Every instruction set, from the slowest to the fastest, the reference that the others are checked against first. A name is what
 * options and files call the set; its kernels stand in kernels_<name>.c, which says what the machine must have to run them. */
#define SA_INSTRUCTION_SET_LIST(X)                                                                                         \
    X(scalar)                                                                                                              \
    X(avx2)                                                                                                                \
    X(avx512)                                                                                                              \
    /* avx512 with the BF16 products in hardware (vdpbf16ps); the sets before it widen to FP32 for them. */                \
    X(avx512bf16)                                                                                                          \
    /* The same with these products in AMX's tile registers. */                                                            \
    X(amx)

typedef struct SAInstructionSet {
    const char *name;
    /* NULL when this machine or this build lacks the instructions. */
    const SAKernelTable *kernels;
} SAInstructionSet;

int sa_instruction_set_count(void);

/* The cores that this process may run on, at least 1. */
int sa_available_cores(void);

/* The set at a place of the list, 0 ... count - 1. */
SAInstructionSet sa_instruction_set(int place);

#endif
