#include "CAttentionKernels.h"

extern const SAKernelTable sa_kernel_table__scalar;
#if defined(__x86_64__)
extern const SAKernelTable sa_kernel_table__avx2, sa_kernel_table__avx512, sa_kernel_table__avx512bf16;

static int has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
}
#endif

const SAKernelTable *sa_kernels(SAInstructionSet instruction_set) {
    switch (instruction_set) {
        case SA_SCALAR:
            return &sa_kernel_table__scalar;
#if defined(__x86_64__)
        case SA_AVX2:
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &sa_kernel_table__avx2 : NULL;
        case SA_AVX512:
            return has_avx512() ? &sa_kernel_table__avx512 : NULL;
        case SA_AVX512BF16:
            return has_avx512() && __builtin_cpu_supports("avx512bf16") ? &sa_kernel_table__avx512bf16 : NULL;
#endif
        default:
            return NULL;
    }
}
