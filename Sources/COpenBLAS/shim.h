#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <cblas.h>
#include <dlfcn.h>

/* The shared object that cblas_sgemm comes from, or NULL. */
static inline const char *cblas_sgemm_library(void) {
    Dl_info info;
    return dladdr(dlsym(RTLD_DEFAULT, "cblas_sgemm"), &info) ? info.dli_fname : 0;
}
