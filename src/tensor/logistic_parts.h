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

/* ---- the metric: which step is as long as which (logistic_metric.c) -------------------------------- */

/* A Hessian H = L Lᵀ learnt from some rows. L-BFGS works on u = root_c Lᵀ w, where the objective's level
 * sets are near spheres. A zeroed struct is the plain metric, u = w. */
typedef struct gn__metric {
    size_t width, outputs;
    float *lower;   /* [width × width] L, row-major lower triangle; NULL: plain */
    float *inverse; /* [width × width] of L. Rounded: any invertible map is a metric, as long as points and
                       gradients go through the same one */
    float *part;    /* [outputs × width] */
    double *root;   /* [outputs] */
} gn__metric;
/* At the point w [outputs × width]; leaves *out plain where a metric would cost more than it saves.
 * sampled: how many rows of the problem, evenly spread, to learn from. */
gn_status gn__metric_make(gn_context *ctx, const gn__logistic_problem *p, const double *w, size_t sampled,
                          gn__metric *out, gn_error *err);
void gn__metric_free(gn__metric *m);
void gn__metric_enter(const gn__metric *m, double *w);    /* w becomes u */
void gn__metric_leave(const gn__metric *m, double *u);    /* u becomes w */
void gn__metric_gradient(const gn__metric *m, double *g); /* d/dw becomes d/du */
/* Rows worth sampling for a metric; 0: none is worth it. */
size_t gn__metric_rows(const gn__logistic_problem *p);
/* Which row of the problem's list the i-th of `sampled` evenly spread ones is. */
size_t gn__metric_row(const gn__logistic_problem *p, size_t i, size_t sampled);

#endif
