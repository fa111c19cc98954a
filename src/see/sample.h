/* What the density files share. */
#ifndef GENCHI_SEE_SAMPLE_H
#define GENCHI_SEE_SAMPLE_H

#include "core/core.h"

/* GN_DATA when there is no row or a value is not finite; x: [n × dims]. */
gn_status gn__check_sample(const double *x, size_t n, size_t dims, gn_error *err);

#endif
