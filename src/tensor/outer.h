/* The gradient of a linear layer's weight: w += yᵀ x over many rows, by oneDNN. */
#ifndef GENCHI_TENSOR_OUTER_H
#define GENCHI_TENSOR_OUTER_H

#include "tensor/tensor.h"

/* The products are cut into pieces of fixed size, [at most GN__OUTER_TILE outputs × all inputs], each of
 * which sums over the rows in their order; pieces may run side by side, and their bits do not depend on that.
 */
enum { GN__OUTER_TILE = 320 };

typedef struct gn__outer gn__outer; /* for one shape; immutable, shared by threads */
/* y: rows × y_stride, of which `outputs` columns count; x: rows × x_stride likewise; w: [outputs × inputs].
 * dtype: of y and x, F32 or BF16; w is float32. Errors: GN_NO_MEMORY, GN_UNSUPPORTED. */
gn_status gn__outer_create(gn__engine *engine, size_t outputs, size_t y_stride, size_t inputs,
                           size_t x_stride, gn_dtype dtype, gn__outer **out, gn_error *err);
void gn__outer_free(gn__outer *o);
size_t gn__outer_pieces(const gn__outer *o);
size_t gn__outer_scratch(const gn__outer *o); /* bytes */
/* rows: a multiple of GN__ROWS. scratch: 64-byte aligned. false: oneDNN failed. Call between gn__serial_begin
 * and gn__serial_end. */
bool gn__outer_run(const gn__outer *o, size_t piece, const void *y, const void *x, size_t rows, float *w,
                   void *scratch);

#endif
