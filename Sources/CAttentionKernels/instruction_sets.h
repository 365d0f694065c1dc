/* Declares sa_kernels__<instruction set> for every set of the list: its table, or NULL when this machine or this build lacks the
 * instructions. */
#ifndef SA_INSTRUCTION_SETS_H
#define SA_INSTRUCTION_SETS_H
#include "CAttentionKernels.h"

#define SA_DECLARE_SET(name) const SAKernelTable *sa_kernels__##name(void);
SA_INSTRUCTION_SET_LIST(SA_DECLARE_SET)
#undef SA_DECLARE_SET

#endif
