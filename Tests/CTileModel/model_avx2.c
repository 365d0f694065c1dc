/* The kernels of the instruction set amx on a model of its tile registers, beside AVX2. */
#include "CTileModel.h"
#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define SA_SUFFIX tile_model_avx2
#define SA_VECTOR_BYTES 32
#define SA_PANEL_VECTORS 2
#define SA_PANEL_ROWS 6
#define SA_TILES SA_TILES_MODEL
#include "../../Sources/CAttentionKernels/vector_kernels.h"
SA_DEFINE_TABLE
#pragma clang attribute pop

const SAKernelTable *sa_kernels__tile_model_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &table : NULL;
}
#else
const SAKernelTable *sa_kernels__tile_model_avx2(void) { return NULL; }
#endif
