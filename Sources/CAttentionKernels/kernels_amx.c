/* AVX-512 with BF16 and INT8 products in AMX's tile registers; what is not done in tiles is as for avx512bf16. */
#include "instruction_sets.h"
#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#pragma clang attribute push( \
    __attribute__((target("amx-tile,amx-bf16,amx-int8,avx512f,avx512dq,avx512bw,avx512vl,avx512bf16,avx2,fma"))), apply_to = function)
#define SA_SUFFIX amx
#define SA_VECTOR_BYTES 64
#define SA_PANEL_VECTORS 4
#define SA_PANEL_ROWS 6
#define SA_HAS_BF16_PRODUCTS 1
#define SA_TILES SA_TILES_AMX
#include "vector_kernels.h"
SA_DEFINE_TABLE
#pragma clang attribute pop

/* Whether the CPU has tiles and Linux lets this process use them: their registers are large, so that it wants to be asked. */
static int tiles_are_granted(void) {
    enum { tile_bit = 1 << 24, bf16_bit = 1 << 22, int8_bit = 1 << 25, request_permission = 0x1023, tile_data = 18 };
    unsigned a, b, c, d;
    unsigned needed = tile_bit | bf16_bit | int8_bit;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & needed) != needed) return 0;
    return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

/* Asked once: the answer stays, and in a virtual machine the question is slow. */
const SAKernelTable *sa_kernels__amx(void) {
    static const SAKernelTable *_Atomic found;
    static _Atomic int is_known;
    if (!is_known) {
        found = sa_kernels__avx512bf16() && tiles_are_granted() ? &table : NULL;
        is_known = 1;
    }
    return found;
}
#else
const SAKernelTable *sa_kernels__amx(void) { return NULL; }
#endif
