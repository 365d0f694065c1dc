#ifndef SAMPLE_ATTENTION_H
#define SAMPLE_ATTENTION_H

/* SampleAttention as a C library: prefill attention of one layer, dense or as a tuned config says.
 *
 * Statuses. Every function that can fail returns a status, and where it is not SAMPLE_ATTENTION_OK it writes one line of
 * UTF-8, "field: value: rule", into `message`, cut to `message_capacity` bytes with its closing zero. `message` may be NULL.
 * No input that can be noticed ends the process: what cannot be noticed is memory that is shorter than its extents and
 * strides say, memory that another thread writes meanwhile, and a handle that was destroyed. A system without memory for
 * the kernel's own work ends the process.
 *
 * Structs begin with `size`, which the caller sets to sizeof of the struct that they were compiled with; all else may be
 * zero. A smaller struct, of an earlier version, has zeros in place of what it lacks; a larger one, of a later version, is
 * refused as SAMPLE_ATTENTION_UNSUPPORTED where what this version does not know is not zero. Answers are written up to
 * `size`.
 *
 * Threads. There are no globals. An engine or a config may be used by several threads at once: each call works in memory of
 * its own, which the engine keeps for later calls, and the calls share the engine's threads. A handle is destroyed when no
 * call uses it any more. Threads do not survive fork(): make engines in the process that uses them. */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Grows with every function, field or meaning that is added; what was there stays as it was. */
#define SAMPLE_ATTENTION_ABI_VERSION 1

/* Zero, or an exit code of sysexits.h. */
typedef int32_t sample_attention_status;
enum {
    SAMPLE_ATTENTION_OK = 0,
    /* An argument is missing, out of range, or does not fit the others. */
    SAMPLE_ATTENTION_USAGE = 64,
    /* Numbers that cannot be certified, such as a NaN. */
    SAMPLE_ATTENTION_INVALID_DATA = 65,
    /* A file cannot be read. */
    SAMPLE_ATTENTION_MISSING_INPUT = 66,
    /* This machine or this version cannot do it. */
    SAMPLE_ATTENTION_UNSUPPORTED = 69,
    SAMPLE_ATTENTION_INTERNAL = 70,
    /* The system did not give the memory. */
    SAMPLE_ATTENTION_SYSTEM = 71,
    /* A config that is broken, or of another model than the call's. */
    SAMPLE_ATTENTION_CONFIGURATION = 78
};

/* The library's version, such as "0.1.0"; lives as long as the library. */
const char *sample_attention_version(void);

/* SAMPLE_ATTENTION_ABI_VERSION of the library that was loaded. */
int32_t sample_attention_abi_version(void);

/* ---- Engines: threads, an instruction set and a precision. ---- */

typedef struct sample_attention_engine sample_attention_engine;

/* The format in which queries, keys, values and probabilities are multiplied; every sum is FP32. */
enum {
    /* BF16 where this machine multiplies it faster, which takes 50 ms to measure as the engine is made. */
    SAMPLE_ATTENTION_PRECISION_AUTO = 0,
    SAMPLE_ATTENTION_PRECISION_FP32 = 1,
    SAMPLE_ATTENTION_PRECISION_BF16 = 2
};

typedef struct sample_attention_engine_options {
    size_t size;
    /* The calling thread and helpers; 0: one for each core that this process may run on; 1024 at most. */
    int32_t threads;
    int32_t precision;
    /* "scalar", "avx2", "avx512", ...; NULL: the fastest of this machine. */
    const char *instruction_set;
} sample_attention_engine_options;

typedef struct sample_attention_engine_info {
    size_t size;
    int32_t threads;
    /* FP32 or BF16. */
    int32_t precision;
    char instruction_set[32];
} sample_attention_engine_info;

/* `options` may be NULL. */
sample_attention_status sample_attention_engine_create(const sample_attention_engine_options *options,
                                                       sample_attention_engine **engine, char *message,
                                                       size_t message_capacity);
sample_attention_status sample_attention_engine_describe(const sample_attention_engine *engine,
                                                         sample_attention_engine_info *info, char *message,
                                                         size_t message_capacity);
/* NULL is nothing to do. */
void sample_attention_engine_destroy(sample_attention_engine *engine);

/* ---- Configs: what each head of each layer keeps. ---- */

typedef struct sample_attention_config sample_attention_config;

typedef struct sample_attention_config_info {
    size_t size;
    /* Of the model that the config was tuned for; all 0 where one setting holds for any model. */
    int64_t layers, query_heads, key_value_heads, head_dimension;
    /* Prompts shorter than this are dense. */
    int64_t dense_below;
    /* Prompt lengths that it was tuned at. */
    int64_t lengths;
    /* The model's family and the digest of its weights, cut where they are longer. */
    char family[64];
    char weights_sha256[72];
} sample_attention_config_info;

/* A file that `sample-attention tune` or `search` wrote. Whether the call's weights are those that it was tuned for, nobody
 * checks: the calls are held against its layers, heads and head dimension. */
sample_attention_status sample_attention_config_load(const char *path, sample_attention_config **config, char *message,
                                                     size_t message_capacity);
/* Full attention everywhere, as calls without a config. */
sample_attention_status sample_attention_config_dense(sample_attention_config **config, char *message,
                                                      size_t message_capacity);
/* The paper's window of 8 % and sampling of 5 %, with columns up to a share alpha in (0, 1] of the sampled mass, in every
 * head. */
sample_attention_status sample_attention_config_alpha(double alpha, sample_attention_config **config, char *message,
                                                      size_t message_capacity);
/* One head's parameters as JSON, as they stand under `parameters` in a tuned config, for every head. */
sample_attention_status sample_attention_config_parameters(const char *json, sample_attention_config **config, char *message,
                                                           size_t message_capacity);
sample_attention_status sample_attention_config_describe(const sample_attention_config *config,
                                                         sample_attention_config_info *info, char *message,
                                                         size_t message_capacity);
/* NULL is nothing to do. */
void sample_attention_config_destroy(sample_attention_config *config);

/* ---- Attention of one layer. ---- */

enum { SAMPLE_ATTENTION_FP32 = 1, SAMPLE_ATTENTION_BF16 = 2 };

/* Rows [batch][head][token][head_dimension] that are read: the last axis is contiguous, the others have strides in elements,
 * none negative. Heads may share memory (a stride of 0). */
typedef struct sample_attention_tensor {
    const void *data;
    int64_t batch_stride, head_stride, token_stride;
    /* SAMPLE_ATTENTION_FP32 or SAMPLE_ATTENTION_BF16. */
    int32_t elements;
    int32_t reserved;
} sample_attention_tensor;

/* The same, written: no two rows share memory, and none lies in what is read. */
typedef struct sample_attention_output {
    void *data;
    int64_t batch_stride, head_stride, token_stride;
    int32_t elements;
    int32_t reserved;
} sample_attention_output;

/* Asks for certificates: query rows that the selection has not seen are drawn, and their retained mass is measured. */
typedef struct sample_attention_certification {
    size_t size;
    /* Rows drawn from each head, at least 2; 0: 256. */
    int64_t rows;
    /* The probability with which each statement holds, in (0, 1); 0: 0.95. */
    double confidence;
    /* A head whose lower bound is below this takes more, then everything, before its output is used; 0: none does. */
    double minimum_mass;
    /* The same seed draws the same rows. */
    uint64_t seed;
} sample_attention_certification;

/* What can be said of a head's retained mass: the share of its attention's probability that lies on the keys it kept. */
typedef struct sample_attention_certificate {
    size_t size;
    /* 1 where no chance is involved. */
    int32_t is_exact;
    int32_t is_dense;
    /* 0: as selected; 1: took more columns or blocks; 2: became dense. */
    int32_t escalation;
    int32_t reserved;
    /* The mean over all rows: an estimate, and what it is at least, with this confidence. */
    double mean_mass, mean_lower_bound, confidence;
    /* At least this share of rows retains alpha or more. */
    double alpha, share_lower_bound;
    /* The output's L1 error, beside rounding: its mean over rows, and of that share of rows, is at most this. */
    double mean_error_bound, row_error_bound;
} sample_attention_certificate;

typedef struct sample_attention_call {
    size_t size;
    /* Which layer of the config. */
    int64_t layer;
    /* query_heads is a multiple of key_value_heads (query head h reads h * key_value_heads / query_heads); queries are the last
     * query_count of key_count positions, and each sees the keys up to its own. */
    int64_t batch, query_heads, key_value_heads, query_count, key_count, head_dimension;
    /* The whole prompt's length, where this is a chunk of it; 0: key_count. */
    int64_t prompt_length;
    sample_attention_tensor query, key, value;
    sample_attention_output output;
    /* Scores are q . k times this; 0: 1/sqrt(head_dimension). */
    double score_scale;
    /* Scores s become cap * tanh(s / cap); 0: they stay. */
    double soft_cap;
    /* [query_heads]: logits that take a share of each row's softmax and add nothing to its output; NULL: none. */
    const float *sinks;
    /* A window of the model's own: each query sees so many positions, itself included, and the config is not asked; 0: none. */
    int64_t window;
    /* [batch][query_heads][query_count] or NULL: log of the sum of exp(score) over the keys that a row kept, sinks excepted. */
    float *log_sum_exp;
    /* NULL asks for no certificates. */
    const sample_attention_certification *certification;
    /* [batch][query_heads] of them, certificate_size bytes each, or NULL; their `size` is written too. */
    sample_attention_certificate *certificates;
    size_t certificate_size;
} sample_attention_call;

typedef struct sample_attention_report {
    size_t size;
    /* (query, key) pairs, all batches and heads together: those computed, and those that full attention computes. */
    int64_t kept_pairs, causal_pairs;
    /* Choosing what to keep; certificates; attention; bringing rows to FP32 and back where that is needed. */
    double selection_seconds, certificate_seconds, kernel_seconds, conversion_seconds;
} sample_attention_report;

/* Attends. `config` NULL is full attention; `report` may be NULL. Where it fails, what stands in the output, log_sum_exp and
 * certificates is not defined. BF16 rows and scales of one's own are brought to FP32 first, one batch at a time:
 * 4 * head_dimension * (query_heads * query_count * 2 + key_value_heads * key_count * 2) bytes at most, kept by the engine. */
sample_attention_status sample_attention_attend(const sample_attention_engine *engine, const sample_attention_config *config,
                                                const sample_attention_call *call, sample_attention_report *report,
                                                char *message, size_t message_capacity);

#ifdef __cplusplus
}
#endif

#endif
