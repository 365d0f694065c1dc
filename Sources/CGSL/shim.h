#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_qrng.h>
#include <gsl/gsl_statistics_double.h>

/* gsl_qrng_sobol is a mutable global, which Swift 6 refuses to read. */
static inline gsl_qrng *cgsl_sobol_alloc(unsigned int dimensions) {
    return gsl_qrng_alloc(gsl_qrng_sobol, dimensions);
}
