/* AVX2 with FMA: 16 registers hold a panel of 6 rows x 16 lanes (12 accumulators, 2 lane vectors, 1 broadcast). */
#include "instruction_sets.h"
#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define SA_SUFFIX avx2
#define SA_VECTOR_BYTES 32
#define SA_PANEL_VECTORS 2
#define SA_PANEL_ROWS 6
#include "vector_kernels.h"
SA_DEFINE_TABLE
#pragma clang attribute pop

const SAKernelTable *sa_kernels__avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &table : NULL;
}
#else
const SAKernelTable *sa_kernels__avx2(void) { return NULL; }
#endif
