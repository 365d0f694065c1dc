/* AVX-512: 32 registers hold a panel of 6 rows x 64 lanes (24 accumulators, 4 lane vectors, 1 broadcast). */
#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"))), apply_to = function)
#define SA_SUFFIX avx512
#define SA_VECTOR_BYTES 64
#define SA_PANEL_VECTORS 4
#define SA_PANEL_ROWS 6
#include "vector_kernels.h"
SA_DEFINE_TABLE(sa_kernel_table__avx512)
#pragma clang attribute pop
#endif
