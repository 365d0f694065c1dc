#include "instruction_sets.h"

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
