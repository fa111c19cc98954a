/* What the files of the logistic regression share. */
#ifndef GENCHI_TENSOR_LOGISTIC_PARTS_H
#define GENCHI_TENSOR_LOGISTIC_PARTS_H

#include "tensor/logistic.h"
#include "tensor/tensor.h"

/* ---- one pass over the rows: loss and gradient (logistic_pass.c) ----------------------------------- */

typedef struct gn__pass {
    gn_context *ctx;
    const gn__logistic_problem *p;
    const gn__ops *ops;
    size_t outputs; /* rows of W: 1 for two classes */
    size_t width;   /* dim + 1 */
    size_t grain;   /* rows a piece */
    double inverse_total;
    const double *at; /* W being evaluated */
    float *mean;      /* [dim] */
    float *w;         /* [outputs × dim] `at` over the scale, then the intercepts [outputs] */
    double *partial;  /* [pieces × (1 + outputs × width)] loss, then gradient */
    float *scratch;   /* [threads × scratch_size] */
    size_t scratch_size;
} gn__pass;
gn_status gn__pass_make(gn_context *ctx, const gn__logistic_problem *p, double total, gn__pass *out,
                        gn_error *err);
void gn__pass_free(gn__pass *pass);
/* Objective and gradient g [outputs × width] at w, the penalty included. */
gn_status gn__pass_run(gn__pass *pass, const double *w, double *g, double *objective, gn_error *err);

/* ---- the metric: which step is as long as which (logistic_metric.c, logistic_spectrum.c) ------------ */

/* A Hessian learnt from some rows. L-BFGS works on u, where the objective's level sets are near spheres. Any
 * invertible map is a metric, as long as points and gradients go through the same one, so that the arrays may
 * be rounded. A zeroed struct is the plain metric, u = w.
 * Two classes: H = L Lᵀ, u = Lᵀ w.
 * More: every class's block of H is V diag(stretch²) Vᵀ about `middle`, with one V and its own stretches:
 * u = stretch (Vᵀ w), and the last of u is its stretch times the margin at `middle`. */
typedef struct gn__metric {
    size_t width, outputs;
    float *lower;   /* two classes: [width × width] L, row-major lower triangle */
    float *inverse; /* [width × width] of L */
    float *turn;    /* more: [dim × dim] Vᵀ, row by row */
    float *middle;  /* [dim] */
    float *stretch; /* [outputs × width] > 0 */
    float *part;    /* [2 × outputs × width] */
} gn__metric;
/* At the point w [outputs × width]; leaves *out plain where a metric would cost more than it saves.
 * sampled: how many rows of the problem, evenly spread, to learn from. */
gn_status gn__metric_make(gn_context *ctx, const gn__logistic_problem *p, const double *w, size_t sampled,
                          gn__metric *out, gn_error *err);
/* The part of it for more than two classes; total: the sampled rows' weight. gram: [width × width] their
 * sum of v z zᵀ (the last of z is 1) over total, v = 1 − sum q² for probabilities q. */
gn_status gn__metric_spectrum(gn_context *ctx, const gn__logistic_problem *p, const double *w, size_t sampled,
                              double total, const double *gram, gn__metric *out, gn_error *err);
void gn__metric_free(gn__metric *m);
void gn__metric_enter(const gn__metric *m, double *w);    /* w becomes u */
void gn__metric_leave(const gn__metric *m, double *u);    /* u becomes w */
void gn__metric_gradient(const gn__metric *m, double *g); /* d/dw becomes d/du */
/* Rows worth sampling for a metric; 0: none is worth it. */
size_t gn__metric_rows(const gn__logistic_problem *p);
/* Which row of the problem's list the i-th of `sampled` evenly spread ones is. */
size_t gn__metric_row(const gn__logistic_problem *p, size_t i, size_t sampled);
/* z: [dim] the row centred and scaled, as the fit sees it. */
void gn__metric_input(const gn__logistic_problem *p, size_t row, float *z);

#endif
