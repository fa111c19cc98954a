/* Logistic regression by L-BFGS in a metric learnt from a sample of the rows; large problems are
 * first solved on the sample. */
#include "tensor/logistic_parts.h"
#include "tensor/minimise.h"

#include <float.h>
#include <math.h>

static const double float_limit = 1e-4; /* relative gradient that float32 margins always reach */
/* Where nearly nothing is left of the objective (separable data) a small gradient alone says little: what
 * remains to be gained must also be this part of tolerance × objective. */
static const double least_part = 0.1;
static const double value_noise = 1e-8; /* relative, of the objective */
static const double standing = 1e-7;    /* a fall of the objective, relative, that is still progress */
/* A problem this many times the sample is solved on the sample first, which must hold this many rows of
 * every class. */
enum { WORTH_SAMPLING = 8, LEAST_OF_CLASS = 20, PATIENCE = 8, ROUND = 60, STALLS = 2 };

typedef struct fit_state {
    gn__pass pass;
    gn__metric metric;
    double *w; /* [outputs × width] the point evaluated, in the problem's own units */
    double reference, tolerance;
    double gradient; /* at the point evaluated, over the reference */
    double best;     /* the least gradient so far */
    double value;    /* the objective at the point evaluated */
    double mark;     /* the objective when there last was progress */
    int stuck;       /* steps since then: the gradient's best did not fall by a tenth, nor the objective */
    bool done;
} fit_state;

static double norm(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * x[i];
    return sqrt(sum);
}

static gn_status evaluate(void *arg, const double *u, double *g, double *value, gn_error *err)
{
    fit_state *f = arg;
    size_t size = f->pass.outputs * f->pass.width;
    memcpy(f->w, u, size * sizeof *u);
    gn__metric_leave(&f->metric, f->w);
    GN__TRY(gn__pass_run(&f->pass, f->w, g, value, err));
    f->gradient = norm(g, size) / f->reference;
    f->value = *value;
    gn__metric_gradient(&f->metric, g);
    return GN_OK;
}

static bool near_enough(void *arg, double gain)
{
    fit_state *f = arg;
    f->stuck++;
    if (f->gradient < 0.9 * f->best) f->best = f->gradient, f->stuck = 0;
    if (f->value < f->mark - standing * fabs(f->mark)) f->mark = f->value, f->stuck = 0;
    bool small = f->gradient <= f->tolerance && gain <= least_part * f->tolerance * fabs(f->value);
    f->done = small || (f->stuck >= PATIENCE && f->best <= float_limit);
    return f->done;
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
 * from the class means, without a search: there every probability is the class's share of the weight. */
static gn_status find_reference(fit_state *f, double *w, double *g, double total, gn_error *err)
{
    const gn__logistic_problem *p = f->pass.p;
    size_t width = f->pass.width, outputs = f->pass.outputs, size = outputs * width;
    memset(w, 0, size * sizeof *w);
    double *intercept = w + p->dim;
    for (size_t i = 0; i < p->n; i++) {
        double s = p->sample_weight ? p->sample_weight[i] : 1;
        if (outputs > 1)
            intercept[(size_t)p->y[i] * width] += s / total;
        else if (p->y[i])
            intercept[0] += s / total;
    }
    for (size_t c = 0; c < outputs; c++) {
        double share = intercept[c * width];
        intercept[c * width] = outputs == 1 ? log(share / (1 - share)) : share > 0 ? log(share) : -30;
    }
    double value, found;
    if (p->reference > 0) {
        f->reference = p->reference;
        return GN_OK;
    }
    GN__TRY(gn__pass_run(&f->pass, w, g, &value, err));
    found = norm(g, size);
    f->reference = found > 1e-3 ? found : 1e-3; /* no signal at all: do not chase rounding */
    return GN_OK;
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

/* The sum of the weights, and the objective of a problem at w. */
static gn_status objective_at(gn_context *ctx, const gn__logistic_problem *p, const double *w, double *value,
                              gn_error *err)
{
    double total = 0;
    gn__pass pass = {0};
    for (size_t i = 0; i < p->n; i++) total += p->sample_weight[i];
    gn_status status = gn__pass_make(ctx, p, total, &pass, err);
    double *g = status == GN_OK ? gn__calloc(pass.outputs * pass.width, sizeof *g) : NULL;
    if (status == GN_OK)
        status =
            g != NULL ? gn__pass_run(&pass, w, g, value, err) : gn__no_memory(err, pass.width * sizeof *g);
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

static gn_status solve_sample(gn_context *ctx, const gn__logistic_problem *p, size_t sampled, bool given,
                              double *w, gn_error *err)
{
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
    for (size_t c = 0; outputs > 1 && c < outputs; c++) mean += w[c * width + width - 1] / (double)outputs;
    for (size_t c = 0; outputs > 1 && c < outputs; c++) w[c * width + width - 1] -= mean;
}

/* From w to the minimum, in place, in rounds: the metric is that of the point where a round begins, and far
 * from there (separable data, rare classes) no longer says which step is as long as which. */
static gn_status minimise(fit_state *f, gn_context *ctx, size_t sampled, double *w, gn__minimum *all,
                          gn_error *err)
{
    const gn__logistic_problem *p = f->pass.p;
    int most = p->max_iterations > 0 ? p->max_iterations : 500, stalls = 0;
    *all = (gn__minimum){0};
    while (!f->done && all->iterations < most && stalls < STALLS) {
        gn__minimum part;
        int round = most - all->iterations;
        if (sampled > 0 && round > ROUND) round = ROUND;
        gn__metric_free(&f->metric);
        GN__TRY(gn__metric_make(ctx, p, w, sampled, &f->metric, err));
        gn__metric_enter(&f->metric, w);
        f->stuck = 0;
        GN__TRY(gn__minimise(evaluate, near_enough, f, f->pass.outputs * f->pass.width, w, round, value_noise,
                             &part, err));
        gn__metric_leave(&f->metric, w);
        all->iterations += part.iterations;
        all->evaluations += part.evaluations;
        all->value = part.value;
        stalls = !f->done && part.iterations < round ? stalls + 1 : 0;
    }
    return GN_OK;
}

static bool all_zero(const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (x[i] != 0) return false;
    return true;
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
    fit_state f = {.best = INFINITY, .mark = DBL_MAX, .tolerance = p->tolerance > 0 ? p->tolerance : 1e-5};
    gn__minimum minimum;
    size_t sampled = gn__metric_rows(p);
    gn_status status;
    double *w = gn__calloc(size, sizeof *w), *g = gn__calloc(size, sizeof *g);
    f.w = gn__calloc(size, sizeof *f.w);
    GN__TRY_GOTO(gn__pass_make(ctx, p, total, &f.pass, err), done);
    if (w == NULL || g == NULL || f.w == NULL) {
        status = gn__no_memory(err, 3 * size * sizeof *g);
        goto done;
    }
    GN__TRY_GOTO(find_reference(&f, w, g, total, err), done);
    bool given = !all_zero(weight, size); /* else from the classes' shares */
    if (given) memcpy(w, weight, size * sizeof *w);
    if (sampled > 0 && p->n / sampled >= WORTH_SAMPLING)
        GN__TRY_GOTO(solve_sample(ctx, p, sampled, given, w, err), done);
    GN__TRY_GOTO(minimise(&f, ctx, sampled, w, &minimum, err), done);
    settle_intercepts(w, outputs, width);
    memcpy(weight, w, size * sizeof *w);
    if (rep != NULL)
        *rep = (gn__logistic_report){.iterations = minimum.iterations,
                                     .evaluations = minimum.evaluations,
                                     .objective = minimum.value,
                                     .gradient = f.gradient,
                                     .reference = f.reference,
                                     .converged = f.gradient <= fmax(f.tolerance, float_limit)};
done:
    free(w);
    free(g);
    free(f.w);
    gn__pass_free(&f.pass);
    gn__metric_free(&f.metric);
    return status;
}
