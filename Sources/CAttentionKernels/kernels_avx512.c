/* AVX-512: 32 registers hold a panel of 6 rows x 64 lanes (24 accumulators, 4 lane vectors, 1 broadcast). */
#include "instruction_sets.h"
#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"))), apply_to = function)
#define SA_SUFFIX avx512
#define SA_VECTOR_BYTES 64
#define SA_PANEL_VECTORS 4
#define SA_PANEL_ROWS 6
#include "vector_kernels.h"
SA_DEFINE_TABLE
#pragma clang attribute pop

const SAKernelTable *sa_kernels__avx512(void) {
    int runs = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl");
    return runs ? &table : NULL;
}
#else
const SAKernelTable *sa_kernels__avx512(void) { return NULL; }
#endif
