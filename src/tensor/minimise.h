/* L-BFGS for smooth convex functions that are known to a few digits only. Floor 1. */
#ifndef GENCHI_TENSOR_MINIMISE_H
#define GENCHI_TENSOR_MINIMISE_H

#include "core/core.h"

/* The value at x, its gradient into g. Anything but GN_OK ends the minimisation. */
typedef gn_status (*gn__objective)(void *arg, const double *x, double *g, double *value, gn_error *err);

/* Asked at the start and after each step; gain: about what a Newton step would lower the value by, as far as
 * the steps so far have shown the curvature. */
typedef bool (*gn__enough)(void *arg, double gain);

typedef struct gn__minimum {
    double value;
    int iterations, evaluations;
} gn__minimum;

/* From x to the minimum, in place; ends when `enough` says so, after max_iterations,
 * or when no step along the gradient lowers the value any more. noise: relative error of the value; steps
 * are judged by the slope along them, which stays exact longer than differences of values. */
gn_status gn__minimise(gn__objective f, gn__enough enough, void *arg, size_t n, double *x, int max_iterations,
                       double noise, gn__minimum *out, gn_error *err);

#endif
