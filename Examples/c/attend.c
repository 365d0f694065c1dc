/* SampleAttention in a C program: random heads of 4,096 tokens, of which every 64th key lies in the direction of all queries, so that they
 * look there. Attends with the paper's setting and densely, and says what that kept and cost.
 *
 *   make library
 *   cc -std=c11 -Iout/library Examples/c/attend.c -Lout/library -lsampleattention -Wl,-rpath,out/library -lm -o attend */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "sample_attention.h"

enum { query_heads = 8, key_value_heads = 2, tokens = 4096, dimension = 64 };

/* Uniform in -sqrt(3) ... sqrt(3): of variance 1. */
static float number(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return 3.4641016f * ((float)(*state >> 40) / 16777216.0f - 0.5f);
}

/* Rows [token][head][dimension]; rows of every `stride`-th token are shifted. */
static float *rows(int heads, uint64_t seed, int stride) {
    float *numbers = malloc(sizeof(float) * tokens * (size_t)heads * dimension);
    if (numbers == NULL) exit(EXIT_FAILURE);
    for (int i = 0; i < tokens * heads * dimension; i++)
        numbers[i] = number(&seed) + (stride > 0 && i / (heads * dimension) % stride == 0 ? 1.0f : 0.0f);
    return numbers;
}

static sample_attention_tensor tensor(const float *numbers, int heads) {
    sample_attention_tensor tensor = {numbers, 0, dimension, (int64_t)heads * dimension, SAMPLE_ATTENTION_FP32, 0};
    return tensor;
}

static char message[256];

static void check(sample_attention_status status) {
    if (status == SAMPLE_ATTENTION_OK) return;
    fprintf(stderr, "%s\n", message);
    exit(status);
}

int main(void) {
    float *query = rows(query_heads, 1, 1), *key = rows(key_value_heads, 2, 64), *value = rows(key_value_heads, 3, 0);
    float *output[2] = {rows(query_heads, 0, 0), rows(query_heads, 0, 0)};

    sample_attention_engine *engine;
    sample_attention_config *config;
    check(sample_attention_engine_create(NULL, &engine, message, sizeof message));
    check(sample_attention_config_alpha(0.95, &config, message, sizeof message));

    sample_attention_call call = {
        .size = sizeof call, .batch = 1, .query_heads = query_heads, .key_value_heads = key_value_heads, .query_count = tokens,
        .key_count = tokens, .head_dimension = dimension, .query = tensor(query, query_heads), .key = tensor(key, key_value_heads),
        .value = tensor(value, key_value_heads),
        .output = {NULL, 0, dimension, query_heads * dimension, SAMPLE_ATTENTION_FP32, 0}};
    sample_attention_report report[2];
    for (int dense = 0; dense < 2; dense++) {
        call.output.data = output[dense];
        report[dense].size = sizeof report[dense];
        check(sample_attention_attend(engine, dense ? NULL : config, &call, &report[dense], message, sizeof message));
    }

    double error = 0, norm = 0;
    for (int i = 0; i < tokens * query_heads * dimension; i++) {
        error += pow(output[0][i] - output[1][i], 2);
        norm += pow(output[1][i], 2);
    }
    double density = (double)report[0].kept_pairs / (double)report[0].causal_pairs;
    printf("sample attention %s kept %.3f of the pairs\n", sample_attention_version(), density);
    printf("relative error %.4f; %.4f s to select, %.4f s of kernel, dense %.4f s\n", sqrt(error / norm), report[0].selection_seconds,
           report[0].kernel_seconds, report[1].kernel_seconds);

    /* What is wrong is said, and ends nothing. */
    call.query_count = tokens + 1;
    sample_attention_status status = sample_attention_attend(engine, config, &call, NULL, message, sizeof message);
    printf("%d: %s\n", status, message);

    sample_attention_config_destroy(config);
    sample_attention_engine_destroy(engine);
    free(query), free(key), free(value), free(output[0]), free(output[1]);
    return status == SAMPLE_ATTENTION_USAGE && density < 0.9 && error < 0.1 * norm && report[1].kept_pairs == report[1].causal_pairs
               ? EXIT_SUCCESS
               : EXIT_FAILURE;
}
