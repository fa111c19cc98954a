/* The fits of a job's folds, two classes, by shared passes over the rows (gn__fold_fits). A strength is meant
 * for features of spread 1 among the rows that a fit sees; here all fits see the features about one mean and
 * over one scale, and each fold's own scale goes into its strength instead. */
#include "verify/parts.h"

#include "tensor/logistic.h"

#include <math.h>

enum { LEAST_ROWS = 4096, MAX_PIECES = 64 };

struct gn__shared_fits {
    gn_context *ctx;
    const gn__sample *s;
    const uint32_t *fold;
    size_t folds, grain;
    int class_of[2];
    int *y;      /* [n] 0 or 1 */
    float *mean; /* [dim] of all rows */
    double scale;
    double *stretch; /* [folds] of the rows that a fit sees: their scale over this one, squared */
    double *lambda;  /* [folds] */
    double *sums;    /* [pieces × folds × (dim + 1)] of the columns less the mean, then of the squares */
    gn__logistic_problem problem;
    gn__logistic_report *rep; /* [folds] */
    gn__fold_fits *fits;
};

bool gn__shared_worth(const gn__sample *s, size_t folds)
{
    return folds > 0 && s->n >= LEAST_ROWS && gn__sample_classes(s) == 2;
}

/* Returns the squares. */
GN__CLONES static double shared_add_row(double *sum, const float *x, const float *mean, size_t dim)
{
    double square[8] = {0}, rest = 0;
    size_t whole = dim / 8 * 8;
    for (size_t j = 0; j < whole; j += 8)
        for (size_t k = 0; k < 8; k++) {
            double d = (double)x[j + k] - (double)mean[j + k];
            sum[j + k] += d;
            square[k] += d * d;
        }
    for (size_t j = whole; j < dim; j++) {
        double d = (double)x[j] - (double)mean[j];
        sum[j] += d;
        rest += d * d;
    }
    for (size_t k = 0; k < 8; k++) rest += square[k];
    return rest;
}

static void sum_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    gn__shared_fits *f = arg;
    size_t dim = f->s->x->cols, width = dim + 1;
    double *sums = f->sums + begin / f->grain * f->folds * width;
    memset(sums, 0, f->folds * width * sizeof *sums);
    for (size_t i = begin; i < end; i++) {
        double *own = sums + f->fold[i] * width;
        own[dim] += shared_add_row(own, f->s->x->data + f->s->row[i] * dim, f->mean, dim);
    }
}

/* sums: those of the first piece become all pieces'. */
static gn_status sum_rows(gn__shared_fits *f, gn_error *err)
{
    size_t size = f->folds * (f->s->x->cols + 1), pieces = (f->s->n + f->grain - 1) / f->grain;
    GN__TRY(gn__parallel_for(f->ctx, f->s->n, f->grain, sum_piece, f, err));
    for (size_t k = 1; k < pieces; k++)
        for (size_t j = 0; j < size; j++) f->sums[j] += f->sums[k * size + j];
    return GN_OK;
}

static double spread(double squares, const double *sum, double n, size_t dim)
{
    for (size_t j = 0; j < dim; j++) squares -= sum[j] * sum[j] / n;
    double scale = sqrt(fmax(squares, 0) / (n * (double)dim));
    return scale > 0 ? scale : 1; /* constant columns only: the intercepts are the fit */
}

static gn_status learn_scales(gn__shared_fits *f, gn_error *err)
{
    size_t dim = f->s->x->cols, width = dim + 1;
    double *all = gn__calloc(2 * width, sizeof *all), *part = all + width, n = (double)f->s->n;
    if (all == NULL) return gn__no_memory(err, 2 * width * sizeof *all);
    gn_status status = GN_OK;
    for (int round = 0; round < 2; round++) { /* the squares are to be about the mean */
        GN__TRY_GOTO(sum_rows(f, err), done);
        memset(all, 0, width * sizeof *all);
        for (size_t k = 0; k < f->folds; k++)
            for (size_t j = 0; j < width; j++) all[j] += f->sums[k * width + j];
        for (size_t j = 0; round == 0 && j < dim; j++) f->mean[j] = (float)(all[j] / n);
    }
    f->scale = spread(all[dim], all, n, dim);
    for (size_t k = 0; k < f->folds; k++) {
        double seen = n;
        for (size_t i = 0; i < f->s->n; i++) seen -= f->fold[i] == k;
        for (size_t j = 0; j < width; j++) part[j] = all[j] - f->sums[k * width + j];
        double own = spread(part[dim], part, seen, dim) / f->scale;
        f->stretch[k] = own * own;
    }
done:
    free(all);
    return status;
}

static void number_classes(gn__shared_fits *f)
{
    const gn__sample *s = f->s;
    int first = s->y[0], other = first;
    for (size_t i = 0; i < s->n && other == first; i++) other = s->y[i];
    f->class_of[0] = first < other ? first : other;
    f->class_of[1] = first < other ? other : first;
    for (size_t i = 0; i < s->n; i++) f->y[i] = s->y[i] == f->class_of[1];
}

static gn_status fill(gn__shared_fits *f, gn_error *err)
{
    const gn__sample *s = f->s;
    size_t dim = s->x->cols, pieces = (s->n + f->grain - 1) / f->grain;
    f->y = gn__calloc(s->n, sizeof *f->y);
    f->mean = gn__calloc(dim, sizeof *f->mean);
    f->stretch = gn__calloc(f->folds, sizeof *f->stretch);
    f->lambda = gn__calloc(f->folds, sizeof *f->lambda);
    f->sums = gn__aligned(pieces * f->folds, (dim + 1) * sizeof *f->sums);
    f->rep = gn__calloc(f->folds, sizeof *f->rep);
    if (!f->y || !f->mean || !f->stretch || !f->lambda || !f->sums || !f->rep)
        return gn__no_memory(err, s->n * sizeof *f->y + pieces * f->folds * (dim + 1) * sizeof *f->sums);
    number_classes(f);
    GN__TRY(learn_scales(f, err));
    free(f->sums);
    f->sums = NULL;
    f->problem = (gn__logistic_problem){.x = s->x->data,
                                        .n = s->n,
                                        .dim = dim,
                                        .ld = dim,
                                        .row = s->row,
                                        .y = f->y,
                                        .classes = 2,
                                        .mean = f->mean,
                                        .scale = f->scale};
    return gn__fold_fits_make(f->ctx, &f->problem, f->fold, f->folds, &f->fits, err);
}

gn_status gn__shared_make(gn_context *ctx, const gn__sample *s, const uint32_t *fold, size_t folds,
                          gn__shared_fits **out, gn_error *err)
{
    gn__shared_fits *f = gn__calloc(1, sizeof *f);
    if (f == NULL) return gn__no_memory(err, sizeof *f);
    *f = (gn__shared_fits){.ctx = ctx, .s = s, .fold = fold, .folds = folds};
    f->grain = (s->n + MAX_PIECES - 1) / MAX_PIECES;
    gn_status status = fill(f, err);
    if (status != GN_OK) {
        gn__shared_free(f);
        f = NULL;
    }
    *out = f;
    return status;
}

void gn__shared_free(gn__shared_fits *f)
{
    if (f == NULL) return;
    gn__fold_fits_free(f->fits);
    free(f->y), free(f->mean), free(f->stretch), free(f->lambda), free(f->sums), free(f->rep);
    free(f);
}

gn_status gn__shared_run(gn__shared_fits *f, double lambda, double tolerance, int max_iterations,
                         gn_error *err)
{
    for (size_t k = 0; k < f->folds; k++) f->lambda[k] = lambda * f->stretch[k];
    return gn__fold_fits_run(f->fits, f->lambda, tolerance, max_iterations, f->rep, err);
}

const float *gn__shared_mean(const gn__shared_fits *f)
{
    return f->mean;
}

double gn__shared_scale(const gn__shared_fits *f)
{
    return f->scale;
}

const double *gn__shared_weight(const gn__shared_fits *f, size_t fold)
{
    return gn__fold_fits_weight(f->fits, fold);
}

void gn__shared_logits(const gn__shared_fits *f, size_t position, float *logits)
{
    float half = 0.5F * gn__fold_fits_held(f->fits)[position];
    for (int c = 0; c < f->s->classes; c++) logits[c] = -INFINITY;
    logits[f->class_of[0]] = -half;
    logits[f->class_of[1]] = half;
}
