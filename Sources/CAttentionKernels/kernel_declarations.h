/* Declares sa_<name>__<SA_SUFFIX> for every kernel in the list. Include after defining SA_SUFFIX. */
#include "CAttentionKernels.h"

#define SA_JOIN_(name, suffix) sa_##name##__##suffix
#define SA_JOIN(name, suffix) SA_JOIN_(name, suffix)
#define SA_NAME(name) SA_JOIN(name, SA_SUFFIX)

#define SA_DECLARE(name, result, parameters) static result SA_NAME(name) parameters;
SA_KERNEL_LIST(SA_DECLARE)
#undef SA_DECLARE

#define SA_ENTRY(name, result, parameters) .name = SA_NAME(name),
#define SA_DEFINE_TABLE(symbol) const SAKernelTable symbol = {SA_KERNEL_LIST(SA_ENTRY)};
