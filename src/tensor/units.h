/* Rows collected into the units that are resampled, permuted and split whole. Floor 1. */
#ifndef GENCHI_TENSOR_UNITS_H
#define GENCHI_TENSOR_UNITS_H

#include "core/core.h"

/* Units are numbered by their first row, so that nothing depends on the groups' own numbers. */
typedef struct gn__units {
    size_t rows, count;
    uint32_t *of;  /* [rows] the unit of each row */
    size_t *start; /* [count + 1] unit u holds row[start[u] .. start[u + 1]) */
    uint32_t *row; /* [rows] ascending within a unit */
} gn__units;

/* group: [rows], any numbers; NULL: every row is a unit. rows < 2^32. Free with gn__units_free. */
gn_status gn__units_make(const uint32_t *group, size_t rows, gn__units *out, gn_error *err);
void gn__units_free(gn__units *u);

#endif
