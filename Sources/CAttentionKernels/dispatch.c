/* Of glibc's headers, for sched_getaffinity. */
#define _GNU_SOURCE
#include "instruction_sets.h"
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif

#define SA_SET(name) {#name, sa_kernels__##name},
static const struct {
    const char *name;
    const SAKernelTable *(*kernels)(void);
} sets[] = {SA_INSTRUCTION_SET_LIST(SA_SET)};
#undef SA_SET

int sa_instruction_set_count(void) { return (int)(sizeof sets / sizeof sets[0]); }

SAInstructionSet sa_instruction_set(int place) {
    SAInstructionSet set = {sets[place].name, sets[place].kernels()};
    return set;
}

int sa_available_cores(void) {
    long cores = 0;
#if defined(__linux__)
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) cores = CPU_COUNT(&allowed);
#endif
    if (cores < 1) cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : (int)cores;
}
