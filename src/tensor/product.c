/* One product of matrices in float32 on the calling thread. */
#include "tensor/tensor.h"

#include <cblas.h>
#include <dnnl.h>

void gn__product(size_t m, size_t n, size_t k, float alpha, gn__factor a, gn__factor b, float beta, float *c,
                 size_t stride)
{
    gn__serial before = gn__serial_begin();
    dnnl_status_t status = dnnl_sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', (dnnl_dim_t)m,
                                      (dnnl_dim_t)n, (dnnl_dim_t)k, alpha, a.data, (dnnl_dim_t)a.stride,
                                      b.data, (dnnl_dim_t)b.stride, beta, c, (dnnl_dim_t)stride);
    gn__serial_end(before);
    if (status != dnnl_success)
        cblas_sgemm(CblasRowMajor, a.transposed ? CblasTrans : CblasNoTrans,
                    b.transposed ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k, alpha, a.data,
                    (int)a.stride, b.data, (int)b.stride, beta, c, (int)stride);
}
