/* The kernels of the instruction set amx on a model of its tile registers, beside AVX-512 with BF16 products as in that set. */
#include "CTileModel.h"
#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512bf16,avx2,fma"))), apply_to = function)
#define SA_SUFFIX tile_model_avx512
#define SA_VECTOR_BYTES 64
#define SA_PANEL_VECTORS 4
#define SA_PANEL_ROWS 6
#define SA_HAS_BF16_PRODUCTS 1
#define SA_TILES SA_TILES_MODEL
#include "../../Sources/CAttentionKernels/vector_kernels.h"
SA_DEFINE_TABLE
#pragma clang attribute pop

const SAKernelTable *sa_kernels__tile_model_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bf16")
               ? &table
               : NULL;
}
#else
const SAKernelTable *sa_kernels__tile_model_avx512(void) { return NULL; }
#endif
