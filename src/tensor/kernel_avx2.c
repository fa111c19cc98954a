/* kernel.h for avx2; empty where the compiler does not build for it. */
#if defined(__AVX2__)
#define KERNEL_NAME gn__ops_avx2
#define KERNEL_PRODUCT gn__product_avx2
#define KERNEL_LABEL "avx2"
#include "tensor/kernel.h"
#include "tensor/kernels.h"
#else
typedef int gn__no_avx2; /* a translation unit must not be empty */
#endif
