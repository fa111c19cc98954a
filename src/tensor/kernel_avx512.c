/* kernel.h for avx512; empty where the compiler does not build for it. */
#if defined(__AVX512F__)
#define KERNEL_NAME gn__ops_avx512
#define KERNEL_PRODUCT gn__product_avx512
#define KERNEL_LABEL "avx512"
#include "tensor/kernel.h"
#include "tensor/kernels.h"
#else
typedef int gn__no_avx512; /* a translation unit must not be empty */
#endif
