/* Logistic regression: one fit, and one for each fold. Large problems are first solved on a sample of the
 * rows; logistic_descent.c does the rest. */
#include "tensor/logistic_parts.h"

#include <math.h>

/* A problem this many times the sample is solved on the sample first, which must hold this many rows of
 * every class. */
enum { WORTH_SAMPLING = 8, LEAST_OF_CLASS = 20 };

static bool all_zero(const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (x[i] != 0) return false;
    return true;
}

/* The same problem on `sampled` evenly spread rows; false where a class has too few there. */
static bool thin_out(const gn__logistic_problem *p, size_t sampled, uint32_t *row, int *y, double *weight,
                     size_t *count)
{
    for (size_t i = 0; i < sampled; i++) {
        size_t k = gn__metric_row(p, i, sampled);
        row[i] = p->row ? p->row[k] : (uint32_t)k;
        y[i] = p->y[k];
        weight[i] = p->sample_weight ? p->sample_weight[k] : 1;
        count[y[i]] += weight[i] > 0;
    }
    for (int c = 0; c < p->classes; c++)
        if (count[c] < LEAST_OF_CLASS) return false;
    return true;
}

static gn_status objective_at(gn_context *ctx, const gn__logistic_problem *p, const double *w, double *value,
                              gn_error *err)
{
    const size_t only = 0;
    gn__pass pass;
    gn_status status = gn__pass_make(ctx, p, NULL, 1, &pass, err);
    double *g = status == GN_OK ? gn__calloc(pass.size, sizeof *g) : NULL;
    if (status == GN_OK)
        status = g != NULL ? gn__pass_run(&pass, &only, 1, w, g, value, err)
                           : gn__no_memory(err, pass.size * sizeof *g);
    for (size_t j = 0; status == GN_OK && j < pass.size; j++)
        if ((j + 1) % pass.width != 0) *value += 0.5 * p->lambda * w[j] * w[j];
    free(g);
    gn__pass_free(&pass);
    return status;
}

/* Takes w to the sample's minimum, unless w may well be the minimum of all the rows: that lies above the
 * sample's own by about half a unit of log-likelihood a parameter. given: w is the caller's. */
static gn_status leave_for_minimum(gn_context *ctx, const gn__logistic_problem *part, bool given, double *w,
                                   gn_error *err)
{
    size_t size = (part->classes == 2 ? 1 : (size_t)part->classes) * (part->dim + 1);
    double before = INFINITY, noise = (double)size / (2 * (double)part->n);
    gn__logistic_report rep;
    double *own = gn__calloc(size, sizeof *own);
    if (own == NULL) return gn__no_memory(err, size * sizeof *own);
    memcpy(own, w, size * sizeof *own);
    gn_status status = given ? objective_at(ctx, part, w, &before, err) : GN_OK;
    if (status == GN_OK) status = gn__logistic_fit(ctx, part, own, &rep, err);
    if (status == GN_OK && before > rep.objective + noise) memcpy(w, own, size * sizeof *own);
    free(own);
    return status;
}

/* Where the rows are many, w becomes the minimum of a sample; given: unless it is as near the minimum of all
 * rows as that. */
static gn_status start_from_sample(gn_context *ctx, const gn__logistic_problem *p, size_t sampled, bool given,
                                   double *w, gn_error *err)
{
    if (sampled == 0 || p->n / sampled < WORTH_SAMPLING) return GN_OK;
    uint32_t *row = gn__calloc(sampled, sizeof *row);
    int *y = gn__calloc(sampled, sizeof *y);
    double *weight = gn__calloc(sampled, sizeof *weight);
    size_t *count = gn__calloc((size_t)p->classes, sizeof *count);
    gn_status status = GN_OK;
    if (!row || !y || !weight || !count) {
        status = gn__no_memory(err, sampled * (sizeof *row + sizeof *y + sizeof *weight));
    } else if (thin_out(p, sampled, row, y, weight, count)) {
        gn__logistic_problem part = *p;
        part.n = sampled, part.row = row, part.y = y, part.sample_weight = weight;
        part.tolerance = 1e-3, part.reference = 0;
        status = leave_for_minimum(ctx, &part, given, w, err);
    }
    free(row), free(y), free(weight), free(count);
    return status;
}

/* Softmax does not see a constant on all intercepts, and no penalty does: their mean becomes 0. */
static void settle_intercepts(double *w, size_t outputs, size_t width)
{
    double mean = 0;
    if (outputs == 1) return;
    for (size_t c = 0; c < outputs; c++) mean += w[c * width + width - 1] / (double)outputs;
    for (size_t c = 0; c < outputs; c++) w[c * width + width - 1] -= mean;
}

gn_status gn__logistic_fit(gn_context *ctx, const gn__logistic_problem *p, double *weight,
                           gn__logistic_report *rep, gn_error *err)
{
    gn__descent d;
    gn__logistic_report own;
    gn_status status;
    GN__TRY_GOTO(gn__descent_make(ctx, p, NULL, 1, &d, err), done);
    size_t size = d.pass.size;
    bool given = !all_zero(weight, size);
    if (given) memcpy(d.w, weight, size * sizeof *weight);
    GN__TRY_GOTO(start_from_sample(ctx, p, d.sampled, given, d.w, err), done);
    GN__TRY_GOTO(gn__descent_run(&d, p->tolerance, p->max_iterations, &own, err), done);
    settle_intercepts(d.w, d.pass.outputs, d.pass.width);
    memcpy(weight, d.w, size * sizeof *weight);
    if (rep != NULL) *rep = own;
done:
    gn__descent_free(&d);
    return status;
}

struct gn__fold_fits {
    gn__descent descent;
    bool begun;
};

gn_status gn__fold_fits_make(gn_context *ctx, const gn__logistic_problem *p, const uint32_t *fold,
                             size_t folds, gn__fold_fits **out, gn_error *err)
{
    *out = gn__calloc(1, sizeof **out);
    if (*out == NULL) return gn__no_memory(err, sizeof **out);
    gn_status status = gn__descent_make(ctx, p, fold, folds, &(*out)->descent, err);
    if (status != GN_OK) {
        gn__fold_fits_free(*out);
        *out = NULL;
    }
    return status;
}

gn_status gn__fold_fits_run(gn__fold_fits *f, const double *lambda, double tolerance, int max_iterations,
                            gn__logistic_report *rep, gn_error *err)
{
    gn__descent *d = &f->descent;
    size_t size = d->pass.size;
    if (!f->begun) {
        gn__logistic_problem p = *d->pass.p;
        p.lambda = lambda[0];
        GN__TRY(start_from_sample(d->pass.ctx, &p, d->sampled, false, d->w, err));
        for (size_t i = 1; i < d->pass.fits; i++) memcpy(d->w + i * size, d->w, size * sizeof *d->w);
        f->begun = true;
    }
    memcpy(d->lambda, lambda, d->pass.fits * sizeof *lambda);
    return gn__descent_run(d, tolerance, max_iterations, rep, err);
}

const double *gn__fold_fits_weight(const gn__fold_fits *f, size_t fold)
{
    return f->descent.w + fold * f->descent.pass.size;
}

const float *gn__fold_fits_held(const gn__fold_fits *f)
{
    return f->descent.pass.held;
}

void gn__fold_fits_free(gn__fold_fits *f)
{
    if (f == NULL) return;
    gn__descent_free(&f->descent);
    free(f);
}
