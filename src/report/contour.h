/* Contours of a density given on a regular grid. */
#ifndef GENCHI_REPORT_CONTOUR_H
#define GENCHI_REPORT_CONTOUR_H

#include "core/core.h"

/* The level whose superlevel set {density >= level} holds `mass` of the grid's total: the boundary of the
 * highest-density region (Hyndman 1996, Am. Stat. 50(2)). 0 when the grid holds no mass. */
gn_status gn__contour_level(const double *density, size_t cells, double mass, double *level, gn_error *err);

/* Closed polygons around {density >= level}, in grid units: x in [0, nx - 1], y in [0, ny - 1]. */
typedef struct gn__contour {
    double (*point)[2]; /* [points] */
    size_t points;
    size_t *end; /* [loops] one past the last point of each loop */
    size_t loops;
} gn__contour;
/* Marching squares; a saddle is resolved by the mean of its corners. Free with gn__contour_free. */
gn_status gn__contour_trace(const double *density, size_t nx, size_t ny, double level, gn__contour *out,
                            gn_error *err);
void gn__contour_free(gn__contour *c);

#endif
