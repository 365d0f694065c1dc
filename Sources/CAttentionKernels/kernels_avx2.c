/* AVX2 with FMA: 16 registers hold a panel of 6 rows x 16 lanes (12 accumulators, 2 lane vectors, 1 broadcast). */
#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define SA_SUFFIX avx2
#define SA_VECTOR_BYTES 32
#define SA_PANEL_VECTORS 2
#define SA_PANEL_ROWS 6
#include "vector_kernels.h"
SA_DEFINE_TABLE(sa_kernel_table__avx2)
#pragma clang attribute pop
#endif
