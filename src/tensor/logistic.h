/* Weighted L2 logistic regression, binomial and multinomial: what the domain classifier (detect/) and the
 * probes (verify/) fit. Floor 1. */
#ifndef GENCHI_TENSOR_LOGISTIC_H
#define GENCHI_TENSOR_LOGISTIC_H

#include "core/core.h"

/* minimise  sum_i s_i log-loss_i / sum_i s_i + (lambda / 2) ||W||^2   over W and the intercepts,
 * on z = (x - mean) / scale; the intercepts carry no penalty. */
typedef struct gn__logistic_problem {
    const float *x;              /* row r starts at x + r * ld */
    size_t n, dim, ld;           /* n rows are used */
    const uint32_t *row;         /* [n] which rows; NULL: 0 .. n-1 */
    const int *y;                /* [n] aligned with the list, in [0, classes) */
    const double *sample_weight; /* [n] >= 0; NULL: all 1 */
    int classes;
    double lambda;      /* >= 0; 0 may have no minimum on separable data */
    const float *mean;  /* [dim]; NULL: 0 */
    double scale;       /* > 0 */
    double tolerance;   /* stop when the gradient's norm is this part of its norm at W = 0, and what a Newton
                           step would still gain about a tenth of this part of the objective; 0: 1e-5 */
    double reference;   /* that norm at W = 0, from an earlier report on the same rows (lambda does not enter
                           it); 0: found by a pass over them */
    int max_iterations; /* 0: 500 */
} gn__logistic_problem;

typedef struct gn__logistic_report {
    int iterations, evaluations;
    double objective;
    double gradient;  /* its norm relative to that at W = 0 */
    double reference; /* that one */
    bool converged;   /* as tolerance says; or the gradient within 1e-4, with the objective standing still to
                         1e-7  of itself over eight steps, where float32 margins allow no finer line search.
                         false:  stopped before, by max_iterations for instance: gradient says how far it got */
} gn__logistic_report;

/* weight: [(classes == 2 ? 1 : classes) * (dim + 1)], in: the start (zeros are fine), out: the minimum, in
 * units of z; the last column is the intercept. Two classes: log-odds of class 1. rep may be NULL.
 * The bits are the same for any number of threads.
 * Errors: GN_INVALID_ARGUMENT; GN_DATA (fewer than two classes have weight); GN_NUMERIC (not finite);
 * GN_CANCELLED. */
gn_status gn__logistic_fit(gn_context *ctx, const gn__logistic_problem *p, double *weight,
                           gn__logistic_report *rep, gn_error *err);

/* ---- cross-validation: a fit for each fold, two classes ------------------------------------------- */

/* Fit f does not see the rows of fold f. All fits take what they need from the same pass over the rows, which
 * is what a fit of many rows waits for: ten cost little more than one. */
typedef struct gn__fold_fits gn__fold_fits;
/* fold: [n] aligned with the list, each below folds. p (its lambda and tolerance do not count) and fold are
 * borrowed until gn__fold_fits_free. Errors: as gn__logistic_fit, a fit that sees one class only included. */
gn_status gn__fold_fits_make(gn_context *ctx, const gn__logistic_problem *p, const uint32_t *fold,
                             size_t folds, gn__fold_fits **out, gn_error *err);
void gn__fold_fits_free(gn__fold_fits *f); /* NULL is fine */
/* Takes every fit to its minimum at lambda[f] from where it stands, at first a sample's minimum; along a path
 * of strengths the last pass at one serves as the first at the next. tolerance, max_iterations: as above.
 * rep: [folds].
 */
gn_status gn__fold_fits_run(gn__fold_fits *f, const double *lambda, double tolerance, int max_iterations,
                            gn__logistic_report *rep, gn_error *err);
/* [dim + 1] as gn__logistic_fit gives it; [n] the log-odds of each row by the fit that does not see it. Until
 * the next run. */
const double *gn__fold_fits_weight(const gn__fold_fits *f, size_t fold);
const float *gn__fold_fits_held(const gn__fold_fits *f);

#endif
