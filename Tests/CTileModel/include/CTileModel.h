#ifndef C_TILE_MODEL_H
#define C_TILE_MODEL_H
#include "CAttentionKernels.h"

/* The kernels on tile registers, with these registers in plain C beside AVX2 or AVX-512 vectors; NULL where the machine lacks the vectors. */
const SAKernelTable *sa_kernels__tile_model_avx2(void);
const SAKernelTable *sa_kernels__tile_model_avx512(void);

#endif
