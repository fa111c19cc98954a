/* gradient_kernel.h for avx2; empty where the compiler does not build for it. */
#if defined(__AVX2__)
#include "tensor/gradient_kernel.h"

const gn__gradients gn__gradients_avx2 = {
    "avx2", norm_back,   activation_forth, gate_forth,  activation_back, gate_back,     rotate_back,
    attend, attend_back, add_numbers,      sum_numbers, sum_rows,        sum_rows_bf16, drop};
#else
typedef int gn__no_gradients_avx2; /* a translation unit must not be empty */
#endif
