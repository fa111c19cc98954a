/* Products and attention of bf16 factors; empty where the compiler does not build for them. */
#if defined(__AVX512BF16__)
#define KERNEL_BF16 1
#include "tensor/kernel_attention.h"
#include "tensor/kernels.h"

const gn__multiplier gn__product_avx512bf16 = {"avx512bf16", GN_DTYPE_BF16, STEP,    GROUP,
                                               pack,         lay_rows,      product, attention};
#else
typedef int gn__no_avx512bf16; /* a translation unit must not be empty */
#endif
