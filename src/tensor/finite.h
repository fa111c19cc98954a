/* Is every number of a matrix finite? Floor 1. */
#ifndef GENCHI_TENSOR_FINITE_H
#define GENCHI_TENSOR_FINITE_H

#include "core/core.h"

/* GN_DATA, naming the first row and column that hold NaN or an infinity; `what` names the matrix. */
gn_status gn__check_finite(gn_context *ctx, const gn_matrix *x, const char *what, gn_error *err);

#endif
