/* L-BFGS for smooth convex functions that are known to a few digits only, one value at a time: the caller
 * evaluates, so that several minimisations can share a pass over the data. Floor 1. */
#ifndef GENCHI_TENSOR_MINIMISE_H
#define GENCHI_TENSOR_MINIMISE_H

#include "core/core.h"

enum { GN__MEMORY = 20 };

typedef struct gn__minimiser {
    size_t n;
    double *x;     /* [n] the best point so far; at first 0 */
    double *point; /* [n] where the function is wanted next */
    double value;  /* at x */
    double gain;   /* about what a Newton step from x would lower the value by, as far as the steps so far
                      have shown the curvature */
    int iterations;
    /* of minimise.c alone */
    bool begun;
    double noise;
    double *g, *direction, *new_g;
    double *s, *y, rho[GN__MEMORY]; /* s, y: [GN__MEMORY × n] */
    size_t kept, next;
    double slope, step, low, low_slope, high, high_slope;
    int tries; /* steps along this line */
} gn__minimiser;

typedef enum gn__turn {
    GN__EVALUATE, /* tell the function at `point` */
    GN__ARRIVED,  /* x is a new point: stop, or go on from there */
    GN__AGAIN,    /* x is as before, but what the steps had shown is forgotten: stop, or go on */
    GN__NOWHERE   /* no step along the gradient lowers the value any more */
} gn__turn;

/* The first thing wanted is the function at 0. noise: relative error of the value; steps are judged by the
 * slope along them, which stays exact longer than differences of values. */
gn_status gn__minimiser_make(size_t n, double noise, gn__minimiser *out, gn_error *err);
void gn__minimiser_free(gn__minimiser *m);
/* What the function is at `point`; g: [n] its gradient. */
gn__turn gn__minimiser_tell(gn__minimiser *m, double value, const double *g);
/* After GN__ARRIVED and GN__AGAIN: a step from x. */
gn__turn gn__minimiser_go(gn__minimiser *m);

#endif
