/* Logistic regression by L-BFGS (liblbfgs). One evaluation is one pass over the rows: a block of rows is
 * centred and scaled into a buffer that stays in the cache, and used there for both the margins and the
 * gradient. Products are float32, sums over blocks double. */
#include "tensor/logistic.h"

#include <cblas.h>
#include <lbfgs.h>
#include <math.h>

enum { BLOCK = 128, MAX_PIECES = 64 };
static const double float_limit = 1e-4; /* relative gradient that float32 margins always reach */

typedef struct fit_state {
    gn_context *ctx;
    gn_error *err;
    const gn__logistic_problem *p;
    gn_status status; /* of the last evaluation; anything but GN_OK ends the minimisation */
    size_t outputs;   /* rows of W: 1 for two classes */
    size_t width;     /* dim + 1 */
    size_t grain;     /* rows a piece */
    double inverse_total;
    const double *at; /* W being evaluated */
    float *w;         /* [outputs × dim] float copy of `at` */
    double *partial;  /* [pieces × (1 + outputs × width)] loss, then gradient */
    float *scratch;   /* [threads × scratch_size] rows, logits, gradient */
    size_t scratch_size;
    double reference, gradient, objective;
    double tolerance;
    int iterations, evaluations;
} fit_state;

/* out = (x - mean) * factor; mean may be NULL. */
GN__CLONES static void logistic_centre(const float *x, const float *mean, float factor, size_t dim,
                                       float *out)
{
    if (mean == NULL)
        for (size_t j = 0; j < dim; j++) out[j] = x[j] * factor;
    else
        for (size_t j = 0; j < dim; j++) out[j] = (x[j] - mean[j]) * factor;
}

GN__CLONES static void logistic_add_to(double *sum, const float *x, size_t n)
{
    for (size_t j = 0; j < n; j++) sum[j] += (double)x[j];
}

/* Loss and d loss / d margin of class 1 against 0. */
static double binomial(double margin, int y, double s, float *residual)
{
    double signed_margin = y ? margin : -margin, e = exp(-fabs(margin));
    double probability = margin >= 0 ? 1 / (1 + e) : e / (1 + e);
    *residual = (float)(s * (probability - y));
    return s * (log1p(e) + (signed_margin < 0 ? -signed_margin : 0));
}

/* Softmax in place: logit [classes] becomes the residuals. intercept is a column of stride `width`. */
static double multinomial(float *logit, const double *intercept, size_t width, size_t classes, int y,
                          double s)
{
    double top = -INFINITY, sum = 0;
    for (size_t c = 0; c < classes; c++) {
        double m = (double)logit[c] + intercept[c * width];
        if (m > top) top = m;
    }
    double own = (double)logit[y] + intercept[(size_t)y * width] - top;
    for (size_t c = 0; c < classes; c++) sum += exp((double)logit[c] + intercept[c * width] - top);
    for (size_t c = 0; c < classes; c++) {
        double probability = exp((double)logit[c] + intercept[c * width] - top) / sum;
        logit[c] = (float)(s * (probability - (c == (size_t)y)));
    }
    return s * (log(sum) - own);
}

static void evaluate_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    fit_state *f = arg;
    const gn__logistic_problem *p = f->p;
    size_t dim = p->dim, outputs = f->outputs, width = f->width;
    double *loss = f->partial + begin / f->grain * (1 + outputs * width), *gradient = loss + 1;
    float *rows = f->scratch + worker * f->scratch_size;
    float *logit = rows + BLOCK * dim, *part = logit + BLOCK * outputs;
    const double *intercept = f->at + dim;
    float factor = (float)(1 / p->scale);
    memset(loss, 0, (1 + outputs * width) * sizeof *loss);
    for (size_t at = begin; at < end; at += BLOCK) {
        size_t m = end - at < BLOCK ? end - at : BLOCK;
        for (size_t i = 0; i < m; i++) {
            size_t r = p->row ? p->row[at + i] : at + i;
            logistic_centre(p->x + r * p->ld, p->mean, factor, dim, rows + i * dim);
        }
        if (outputs == 1)
            cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)m, (int)dim, 1, rows, (int)dim, f->w, 1, 0, logit,
                        1);
        else
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)outputs, (int)dim, 1, rows,
                        (int)dim, f->w, (int)dim, 0, logit, (int)outputs);
        for (size_t i = 0; i < m; i++) {
            double s = (p->sample_weight ? p->sample_weight[at + i] : 1) * f->inverse_total;
            float *l = logit + i * outputs;
            *loss += outputs == 1 ? binomial((double)*l + *intercept, p->y[at + i], s, l)
                                  : multinomial(l, intercept, width, outputs, p->y[at + i], s);
            for (size_t c = 0; c < outputs; c++) gradient[c * width + dim] += (double)l[c];
        }
        if (outputs == 1)
            cblas_sgemv(CblasRowMajor, CblasTrans, (int)m, (int)dim, 1, rows, (int)dim, logit, 1, 0, part, 1);
        else
            cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)outputs, (int)dim, (int)m, 1, logit,
                        (int)outputs, rows, (int)dim, 0, part, (int)dim);
        for (size_t c = 0; c < outputs; c++) logistic_add_to(gradient + c * width, part + c * dim, dim);
    }
}

static double norm(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * x[i];
    return sqrt(sum);
}

/* The callback cannot fail: after a failure it answers "flat", which ends the minimisation, and the status
 * tells the caller. */
static lbfgsfloatval_t evaluate(void *arg, const lbfgsfloatval_t *w, lbfgsfloatval_t *g, const int count,
                                const lbfgsfloatval_t step)
{
    (void)step;
    fit_state *f = arg;
    const gn__logistic_problem *p = f->p;
    size_t dim = p->dim, width = f->width, size = (size_t)count;
    double objective = 0, square = 0;
    memset(g, 0, size * sizeof *g);
    if (f->status != GN_OK) return 0;
    for (size_t c = 0; c < f->outputs; c++)
        for (size_t j = 0; j < dim; j++) f->w[c * dim + j] = (float)w[c * width + j];
    f->at = w;
    f->evaluations++;
    f->status = gn__parallel_for(f->ctx, p->n, f->grain, evaluate_piece, f, f->err);
    if (f->status != GN_OK) return 0;
    size_t pieces = (p->n + f->grain - 1) / f->grain;
    for (size_t k = 0; k < pieces; k++) {
        const double *part = f->partial + k * (1 + size);
        objective += part[0];
        for (size_t j = 0; j < size; j++) g[j] += part[1 + j];
    }
    for (size_t c = 0; c < f->outputs; c++)
        for (size_t j = 0; j < dim; j++) {
            double v = w[c * width + j];
            square += v * v;
            g[c * width + j] += p->lambda * v;
        }
    objective += 0.5 * p->lambda * square;
    if (!isfinite(objective) || !isfinite(norm(g, size))) {
        f->status = gn__fail(f->err, GN_NUMERIC,
                             "logistic regression left the range of numbers at evaluation %d (%zu rows, %zu "
                             "columns): are the features finite?",
                             f->evaluations, p->n, dim);
        memset(g, 0, size * sizeof *g);
        return 0;
    }
    return objective;
}

static int after_iteration(void *arg, const lbfgsfloatval_t *w, const lbfgsfloatval_t *g,
                           const lbfgsfloatval_t fx, const lbfgsfloatval_t wnorm, const lbfgsfloatval_t gnorm,
                           const lbfgsfloatval_t step, int n, int k, int ls)
{
    (void)w, (void)g, (void)wnorm, (void)step, (void)n, (void)k, (void)ls;
    fit_state *f = arg;
    f->iterations++;
    f->objective = fx;
    f->gradient = gnorm / f->reference;
    return f->status != GN_OK || f->gradient <= f->tolerance;
}

static gn_status check_problem(const gn__logistic_problem *p, double *total, gn_error *err)
{
    size_t with_weight = 0;
    if (p->classes < 2 || p->dim == 0 || p->n == 0 || !(p->scale > 0) || !(p->lambda >= 0) ||
        !isfinite(p->lambda) || !isfinite(p->scale))
        return gn__fail(
            err, GN_INVALID_ARGUMENT,
            "logistic regression needs rows, columns, two classes, scale > 0 and lambda >= 0; got "
            "%zu rows, %zu columns, %d classes, scale %g, lambda %g",
            p->n, p->dim, p->classes, p->scale, p->lambda);
    double *mass = gn__calloc((size_t)p->classes, sizeof *mass);
    if (mass == NULL) return gn__no_memory(err, (size_t)p->classes * sizeof *mass);
    gn_status status = GN_OK;
    *total = 0;
    for (size_t i = 0; i < p->n && status == GN_OK; i++) {
        double s = p->sample_weight ? p->sample_weight[i] : 1;
        if (p->y[i] < 0 || p->y[i] >= p->classes || !(s >= 0) || !isfinite(s)) {
            status = gn__fail(err, GN_INVALID_ARGUMENT,
                              "row %zu of a logistic regression has class %d of %d and weight %g", i, p->y[i],
                              p->classes, s);
        } else {
            mass[p->y[i]] += s;
            *total += s;
        }
    }
    for (int c = 0; c < p->classes; c++) with_weight += mass[c] > 0;
    free(mass);
    GN__TRY(status);
    if (with_weight < 2)
        return gn__fail(err, GN_DATA, "logistic regression needs two classes; all %zu rows are of one", p->n);
    return GN_OK;
}

/* Norm of the gradient at W = 0 with the intercepts at their own minimum: what "relative" refers to. Found
 * from the class means, without L-BFGS: there every probability is the class's share of the weight. */
static gn_status find_reference(fit_state *f, double *w, double *g, double total)
{
    const gn__logistic_problem *p = f->p;
    size_t size = f->outputs * f->width;
    memset(w, 0, size * sizeof *w);
    double *intercept = w + p->dim;
    for (size_t i = 0; i < p->n; i++) {
        double s = p->sample_weight ? p->sample_weight[i] : 1;
        if (f->outputs > 1)
            intercept[(size_t)p->y[i] * f->width] += s / total;
        else if (p->y[i])
            intercept[0] += s / total;
    }
    for (size_t c = 0; c < f->outputs; c++) {
        double share = intercept[c * f->width];
        intercept[c * f->width] = f->outputs == 1 ? log(share / (1 - share)) : share > 0 ? log(share) : -30;
    }
    evaluate(f, w, g, (int)size, 0);
    double reference = norm(g, size);
    f->reference = reference > 1e-3 ? reference : 1e-3; /* no signal at all: do not chase rounding */
    return f->status;
}

static gn_status minimise(fit_state *f, double *w, int max_iterations)
{
    int size = (int)(f->outputs * f->width);
    lbfgs_parameter_t param;
    lbfgs_parameter_init(&param);
    param.m = 10;
    param.epsilon = 0; /* after_iteration decides */
    param.max_linesearch = 12;
    /* When float32 is too coarse for the line search, a restart without history often gets further. */
    for (int attempt = 0; attempt < 2; attempt++) {
        param.max_iterations = max_iterations - f->iterations;
        if (param.max_iterations <= 0) break;
        int code = lbfgs(size, w, &f->objective, evaluate, after_iteration, f, &param);
        if (code == LBFGSERR_OUTOFMEMORY) return gn__no_memory(f->err, (size_t)size * 24 * sizeof *w);
        if (code == LBFGS_ALREADY_MINIMIZED || code == LBFGS_SUCCESS) f->gradient = 0;
        GN__TRY(f->status);
        if (f->gradient <= f->tolerance || code == LBFGSERR_MAXIMUMITERATION) break;
    }
    return GN_OK;
}

gn_status gn__logistic_fit(gn_context *ctx, const gn__logistic_problem *p, double *weight,
                           gn__logistic_report *rep, gn_error *err)
{
    double total = 0;
    GN__TRY(check_problem(p, &total, err));
    size_t outputs = p->classes == 2 ? 1 : (size_t)p->classes, width = p->dim + 1, size;
    if (p->dim >= INT32_MAX / 64 || !gn__mul_size(outputs, width, &size) || size > INT32_MAX / 4)
        return gn__fail(err, GN_INVALID_ARGUMENT, "%zu columns and %d classes are too many", p->dim,
                        p->classes);
    size_t blocks = (p->n + BLOCK - 1) / BLOCK, per_piece = (blocks + MAX_PIECES - 1) / MAX_PIECES;
    fit_state f = {.ctx = ctx,
                   .err = err,
                   .p = p,
                   .outputs = outputs,
                   .width = width,
                   .grain = per_piece * BLOCK,
                   .inverse_total = 1 / total,
                   .scratch_size = (BLOCK * p->dim + BLOCK * outputs + outputs * p->dim + 15) / 16 * 16,
                   .gradient = INFINITY,
                   .tolerance = p->tolerance > 0 ? p->tolerance : 1e-5};
    size_t pieces = (p->n + f.grain - 1) / f.grain, partials;
    gn_status status = GN_OK;
    double *w = lbfgs_malloc((int)size), *g = gn__calloc(size, sizeof *g); /* w: aligned as liblbfgs asks */
    f.w = gn__aligned(outputs * p->dim, sizeof *f.w);
    f.partial = gn__mul_size(pieces, 1 + size, &partials) ? gn__aligned(partials, sizeof *f.partial) : NULL;
    f.scratch = gn__aligned(f.scratch_size * gn_context_threads(ctx), sizeof *f.scratch);
    if (w == NULL || g == NULL || f.w == NULL || f.partial == NULL || f.scratch == NULL) {
        status = gn__no_memory(err, (f.scratch_size + pieces * (1 + size)) * sizeof *g);
        goto done;
    }
    GN__TRY_GOTO(find_reference(&f, w, g, total), done);
    memcpy(w, weight, size * sizeof *w);
    GN__TRY_GOTO(minimise(&f, w, p->max_iterations > 0 ? p->max_iterations : 500), done);
    memcpy(weight, w, size * sizeof *w);
    if (rep != NULL)
        *rep = (gn__logistic_report){.iterations = f.iterations,
                                     .evaluations = f.evaluations,
                                     .objective = f.objective,
                                     .gradient = f.gradient,
                                     .converged = f.gradient <= fmax(f.tolerance, float_limit)};
done:
    if (w != NULL) lbfgs_free(w);
    free(g);
    free(f.w);
    free(f.partial);
    free(f.scratch);
    return status;
}
