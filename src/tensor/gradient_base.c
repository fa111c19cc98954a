/* gradient_kernel.h for any processor: four lanes. */
#include "tensor/gradient_kernel.h"

const gn__gradients gn__gradients_base = {
    "base", norm_back,   activation_forth, gate_forth,  activation_back, gate_back,     rotate_back,
    attend, attend_back, add_numbers,      sum_numbers, sum_rows,        sum_rows_bf16, drop};
