/* gradient_kernel.h for avx512; empty where the compiler does not build for it. */
#if defined(__AVX512F__)
#include "tensor/gradient_kernel.h"

const gn__gradients gn__gradients_avx512 = {
    "avx512", norm_back,   activation_forth, gate_forth,  activation_back, gate_back,     rotate_back,
    attend,   attend_back, add_numbers,      sum_numbers, sum_rows,        sum_rows_bf16, drop};
#else
typedef int gn__no_gradients_avx512; /* a translation unit must not be empty */
#endif
