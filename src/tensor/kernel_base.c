/* kernel.h for any processor: four lanes. */
#define KERNEL_NAME gn__ops_base
#define KERNEL_PRODUCT gn__product_base
#define KERNEL_LABEL "base"
#include "tensor/kernel.h"
#include "tensor/kernels.h"
