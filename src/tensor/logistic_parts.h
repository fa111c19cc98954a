/* What the files of the logistic regression share. */
#ifndef GENCHI_TENSOR_LOGISTIC_PARTS_H
#define GENCHI_TENSOR_LOGISTIC_PARTS_H

#include "tensor/logistic.h"
#include "tensor/tensor.h"

/* ---- one pass over the rows: loss and gradient (logistic_pass.c) ----------------------------------- */

/* Several fits of two classes can share a pass: fit f does not see the rows of fold f. */
typedef struct gn__pass {
    gn_context *ctx;
    const gn__logistic_problem *p;
    const gn__ops *ops;
    const uint32_t *fold; /* [n] aligned with the list; NULL: one fit, which sees all rows */
    size_t fits;
    size_t outputs; /* rows of W: 1 for two classes */
    size_t width;   /* dim + 1 */
    size_t size;    /* outputs × width, the weights of a fit */
    size_t grain;   /* rows a piece */
    double *mass;   /* [fits × classes] weight of the rows by fold and class */
    double *total;  /* [fits] weight of the rows that a fit sees */
    float *mean;    /* [dim] */
    /* of the run */
    const size_t *which; /* [running] the fits evaluated */
    size_t running;
    uint32_t *place; /* [fits] where in `which` a fit stands; at least running: nowhere */
    float *w; /* [running × outputs × dim] over the scale, then the intercepts [running × outputs] */
    double *partial; /* [pieces × running × (1 + size)] loss, then gradient */
    float *sums;     /* [pieces × fits × classes × dim] of the rows by fold and class; NULL: not wanted */
    float *held;     /* with folds: [n] each row's margin by the fit that does not see it */
    float *scratch;  /* [threads × scratch_size] */
    size_t scratch_size;
} gn__pass;
/* fold: [n] below fits, or NULL with fits 1. Errors: as gn__logistic_fit says of the labels and weights. */
gn_status gn__pass_make(gn_context *ctx, const gn__logistic_problem *p, const uint32_t *fold, size_t fits,
                        gn__pass *out, gn_error *err);
void gn__pass_free(gn__pass *pass);
/* Mean log-loss and its gradient, without the penalty, of the fits which[0 … running) at w; w, g: [fits ×
 * size], value: [fits]. */
gn_status gn__pass_run(gn__pass *pass, const size_t *which, size_t running, const double *w, double *g,
                       double *value, gn_error *err);
/* norm: [fits] of the gradients at W = 0, the intercepts at their own minimum; every pass makes the sums that
 * it needs until it is asked. */
void gn__pass_norms(gn__pass *pass, double *norm);
/* The share of class c among the rows that fit f sees. */
double gn__pass_share(const gn__pass *pass, size_t f, int c);

/* ---- the metric: which step is as long as which (logistic_metric.c, logistic_spectrum.c) ------------ */

/* A Hessian learnt from some rows. L-BFGS works on u, a way from the start in directions where the
 * objective's level sets are near spheres. Any invertible map is a metric, as long as ways and gradients go
 * through the same one, so that the arrays may be rounded. A zeroed struct is the plain metric, u = w −
 * start. Two classes: H = L Lᵀ, u = Lᵀ (w − start). More: every class's block of H is V diag(stretch²) Vᵀ
 * about `middle`, with one V and its own stretches: u = stretch (Vᵀ (w − start)), and the last of u is its
 * stretch times the margin at `middle`. */
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
void gn__metric_leave(const gn__metric *m, double *u);    /* u becomes w − start */
void gn__metric_gradient(const gn__metric *m, double *g); /* d/dw becomes d/du */
/* Softmax does not see what is added to all classes alike, and of those weights the penalty likes the ones
 * best that sum to 0. Along the others it alone would give curvature, thousands of times less than a metric
 * says: so they are taken out of starts, ways and gradients. */
void gn__take_out_common(double *x, size_t outputs, size_t width);
/* Rows worth sampling for a metric; 0: none is worth it. */
size_t gn__metric_rows(const gn__logistic_problem *p);
/* Which row of the problem's list the i-th of `sampled` evenly spread ones is. */
size_t gn__metric_row(const gn__logistic_problem *p, size_t i, size_t sampled);
/* z: [dim] the row centred and scaled, as the fit sees it. */
void gn__metric_input(const gn__logistic_problem *p, size_t row, float *z);

/* ---- from a start to the minimum (logistic_descent.c) ---------------------------------------------- */

typedef struct gn__fit gn__fit;

/* The fits of a pass, each from where it stands; asked again, with another lambda say, they go on. */
typedef struct gn__descent {
    gn__pass pass;
    gn__metric metric;
    size_t sampled;    /* rows for the metric */
    double *w;         /* [fits × size] where each stands */
    double *g;         /* [fits × size] the gradient there without the penalty, and */
    double *value;     /* [fits] the loss, */
    bool *known;       /* [fits] where they are known */
    double *lambda;    /* [fits] */
    double *reference; /* [fits] see gn__logistic_problem; 0: the first pass finds it */
    /* of a run */
    gn__fit *fit; /* [fits] */
    double *base; /* [fits × size] where the round began */
    double *at;   /* [fits × size] the points evaluated, and */
    double *at_g, *at_value;
    double *spoilt; /* [size] */
    size_t *which;  /* [fits] */
} gn__descent;
/* p and fold: borrowed; the weights are those of the classes' shares alone. */
gn_status gn__descent_make(gn_context *ctx, const gn__logistic_problem *p, const uint32_t *fold, size_t fits,
                           gn__descent *out, gn_error *err);
void gn__descent_free(gn__descent *d);
/* rep: [fits]. */
gn_status gn__descent_run(gn__descent *d, double tolerance, int max_iterations, gn__logistic_report *rep,
                          gn_error *err);

#endif
