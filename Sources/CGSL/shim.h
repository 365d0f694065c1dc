#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_qrng.h>
#include <gsl/gsl_statistics_double.h>

/* The types of sequences are mutable globals, which Swift 6 refuses to read. */
static inline gsl_qrng *cgsl_sobol_alloc(unsigned int dimensions) {
    return gsl_qrng_alloc(gsl_qrng_sobol, dimensions);
}

static inline gsl_qrng *cgsl_niederreiter_alloc(unsigned int dimensions) {
    return gsl_qrng_alloc(gsl_qrng_niederreiter_2, dimensions);
}

static inline gsl_qrng *cgsl_reverse_halton_alloc(unsigned int dimensions) {
    return gsl_qrng_alloc(gsl_qrng_reversehalton, dimensions);
}
