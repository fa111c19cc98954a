/* The compiled tables; only choose.c and the kernels need to know them. */
#ifndef GENCHI_TENSOR_KERNELS_H
#define GENCHI_TENSOR_KERNELS_H

#include "tensor/tensor.h"

extern const gn__ops gn__ops_base;
extern const gn__multiplier gn__product_base;
#if defined(__x86_64__)
extern const gn__ops gn__ops_avx2, gn__ops_avx512;
extern const gn__multiplier gn__product_avx2, gn__product_avx512, gn__product_avx512bf16,
    gn__product_avx512vnni;
#endif

#endif
