/* Central differences in double precision, which gradients are held against. */
#ifndef GENCHI_TEST_DIFFERENCES_H
#define GENCHI_TEST_DIFFERENCES_H

#include "core/core.h"
#include "test.h"

#include <math.h>

static gn__rng rng;

static inline double *numbers(size_t n, double scale)
{
    double *x = gn__aligned(n + 64, sizeof *x);
    for (size_t i = 0; i < n + 64; i++) x[i] = i < n ? scale * gn__rng_normal(&rng) : 0;
    return x;
}

typedef double (*function)(const void *arg);

/* d f / d x[i] against by[i], for all i; 1e-6 of the largest. */
static inline void check_by(const char *what, function f, const void *arg, double *x, const double *by,
                            size_t n)
{
    double largest = 1e-3;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs(by[i]));
    for (size_t i = 0; i < n; i++) {
        double kept = x[i], h = 1e-5 * fmax(1, fabs(kept));
        x[i] = kept + h;
        double above = f(arg);
        x[i] = kept - h;
        double below = f(arg);
        x[i] = kept;
        double found = (above - below) / (2 * h);
        if (!(fabs(found - by[i]) <= 1e-6 * largest))
            test_fail(__FILE__, __LINE__, "%s, element %zu: %.12g by differences, %.12g by gradient", what, i,
                      found, by[i]);
    }
}

#endif
