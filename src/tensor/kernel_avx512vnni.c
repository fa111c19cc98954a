/* Products of 8-bit factors; empty where the compiler does not build for them. */
#if defined(__AVX512VNNI__)
#define KERNEL_INT8 1
#include "tensor/kernel_product.h"
#include "tensor/kernels.h"

const gn__multiplier gn__product_avx512vnni = {"avx512vnni", GN_DTYPE_INT8, STEP,    GROUP,
                                               pack,         lay_rows,      product, NULL};
#else
typedef int gn__no_avx512vnni; /* a translation unit must not be empty */
#endif
