/* How kernels round where a bound on their results has to know it: the operands of products, and 2^x. Every table says so of itself. */
#ifndef SA_ROUNDING_H
#define SA_ROUNDING_H
#include "CAttentionKernels.h"

/* 2^f for f in [-0.5, 0.5], the highest coefficient first: the polynomial of degree 6 and least relative error (found by Remez). */
static const float exp2_fine[] = {0.000153458121587f, 0.00133999312095f, 0.00961848895652f, 0.05550328777f,
                                  0.240226468906f,    0.693147205737f,   1.0f};
#define EXP2_FINE_ERROR 1.9e-9

/* The same by the best cubic: for results that BF16 rounds by up to 4e-3 next. */
static const float exp2_coarse[] = {0.055171669074863f, 0.242611122194330f, 0.693260985457337f, 0.999928073540496f};
#define EXP2_COARSE_ERROR 7.5e-5

/* The same cubic for f in [0, 1): sqrt(2) times the one above at f - 0.5. */
static const float exp2_coarse_upward[] __attribute__((unused)) = {0.078024522664432f, 0.226067155393130f, 0.695833540506449f, 0.999925218564010f};

#define EXP2_COEFFICIENTS(polynomial) ((int)(sizeof polynomial / sizeof polynomial[0]))

/* FP32 operands are the floats themselves. */
#define SA_FP32_ROUNDING {.operand_roundoff = 0, .exp2_degree = EXP2_COEFFICIENTS(exp2_fine) - 1, .exp2_error = EXP2_FINE_ERROR}

/* BF16 has 8 significant bits, the implicit one included. */
#define SA_BF16_ROUNDING \
    {.operand_roundoff = 0x1p-8, .exp2_degree = EXP2_COEFFICIENTS(exp2_coarse) - 1, .exp2_error = EXP2_COARSE_ERROR}

#endif
