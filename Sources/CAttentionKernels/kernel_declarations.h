/* Declares every kernel of the lists for SA_SUFFIX: sa_<name>__<suffix>, sa_<name>_<precision>__<suffix> for tile kernels
 * and sa_<name>_<format>__<suffix> for those of stored rows. Include after defining SA_SUFFIX. */
#include "instruction_sets.h"
#include "rounding.h"

#define SA_JOIN_(name, suffix) sa_##name##__##suffix
#define SA_JOIN(name, suffix) SA_JOIN_(name, suffix)
#define SA_NAME(name) SA_JOIN(name, SA_SUFFIX)
#define SA_FORMAT_JOIN_(name, format) name##_##format
#define SA_FORMAT_JOIN(name, format) SA_FORMAT_JOIN_(name, format)
#define SA_FP32_NAME(name) SA_NAME(SA_FORMAT_JOIN(name, fp32))
#define SA_BF16_NAME(name) SA_NAME(SA_FORMAT_JOIN(name, bf16))
#define SA_INT8_NAME(name) SA_NAME(SA_FORMAT_JOIN(name, int8))

#define SA_DECLARE(name, result, parameters) static result SA_NAME(name) parameters;
#define SA_DECLARE_TILE(name, result, parameters)                                                                          \
    static result SA_FP32_NAME(name) parameters;                                                                           \
    static result SA_BF16_NAME(name) parameters;
#define SA_DECLARE_ROW(name, result, parameters)                                                                           \
    SA_DECLARE_TILE(name, result, parameters)                                                                              \
    static result SA_INT8_NAME(name) parameters;
SA_KERNEL_LIST(SA_DECLARE)
SA_TILE_KERNEL_LIST(SA_DECLARE_TILE)
SA_ROW_KERNEL_LIST(SA_DECLARE_ROW)
#undef SA_DECLARE
#undef SA_DECLARE_ROW
#undef SA_DECLARE_TILE

#define SA_ENTRY(name, result, parameters) .name = SA_NAME(name),
#define SA_FP32_ENTRY(name, result, parameters) .name = SA_FP32_NAME(name),
#define SA_BF16_ENTRY(name, result, parameters) .name = SA_BF16_NAME(name),
#define SA_INT8_ENTRY(name, result, parameters) .name = SA_INT8_NAME(name),
#if defined SA_TILES && SA_TILES
#define SA_BF16_VALUE_KEYS SA_MOST_VALUE_KEYS
#else
#define SA_BF16_VALUE_KEYS 2
#endif
/* Defines the table that SA_NAME(kernels) returns where the machine can run it. */
#define SA_DEFINE_TABLE                                                                                                    \
    static const SAKernelTable table = {                                                                                   \
        SA_KERNEL_LIST(SA_ENTRY)                                                                                           \
        .fp32 = {SA_TILE_KERNEL_LIST(SA_FP32_ENTRY).step_values = 1, .value_keys = 1, .rounding = SA_FP32_ROUNDING},                        \
        .bf16 = {SA_TILE_KERNEL_LIST(SA_BF16_ENTRY).step_values = 2, .value_keys = SA_BF16_VALUE_KEYS, .rounding = SA_BF16_ROUNDING},                       \
        .rows_fp32 = {SA_ROW_KERNEL_LIST(SA_FP32_ENTRY)},                                                                  \
        .rows_bf16 = {SA_ROW_KERNEL_LIST(SA_BF16_ENTRY)},                                                                  \
        .rows_int8 = {SA_ROW_KERNEL_LIST(SA_INT8_ENTRY)}};
