/* AVX-512 with the BF16 dot product (vdpbf16ps: two products a lane) and that of bytes (vpdpbusd: four), which every CPU with the first has:
 * panels as for AVX-512. */
#include "instruction_sets.h"
#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512bf16,avx512vnni,avx2,fma"))), apply_to = function)
#define SA_SUFFIX avx512bf16
#define SA_VECTOR_BYTES 64
#define SA_PANEL_VECTORS 4
#define SA_PANEL_ROWS 6
#define SA_HAS_BF16_PRODUCTS 1
#define SA_HAS_INT8_PRODUCTS 1
#include "vector_kernels.h"
SA_DEFINE_TABLE
#pragma clang attribute pop

const SAKernelTable *sa_kernels__avx512bf16(void) {
    int runs = sa_kernels__avx512() && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni");
    return runs ? &table : NULL;
}
#else
const SAKernelTable *sa_kernels__avx512bf16(void) { return NULL; }
#endif
