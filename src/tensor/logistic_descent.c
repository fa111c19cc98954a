/* The way down: L-BFGS in a metric learnt from a sample of the rows, for one fit or for several that share
 * every pass over the rows, step beside step. */
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
static const double no_signal = 1e-3;   /* the least reference: do not chase rounding */
enum { PATIENCE = 8, ROUND = 60, STALLS = 2 };

struct gn__fit {
    gn__minimiser search;
    gn__turn turn;
    double tolerance;
    double gradient; /* where it stands, over the reference */
    double best;     /* the least gradient so far */
    double value;    /* the objective where it stands */
    double mark;     /* the objective when there last was progress */
    int stuck;       /* steps since then: the gradient's best did not fall by a tenth, nor the objective */
    int iterations, evaluations, stalls;
    bool done;   /* at the minimum */
    bool over;   /* nothing more is tried */
    bool astray; /* the last point evaluated is not the one where it stands */
};

/* g becomes the objective's gradient, from the data's; returns the objective. */
static double penalise(const gn__descent *d, size_t f, const double *w, double value, double *g)
{
    const gn__pass *pass = &d->pass;
    double square = 0, lambda = d->lambda[f];
    for (size_t c = 0; c < pass->outputs; c++)
        for (size_t j = c * pass->width; j + 1 < (c + 1) * pass->width; j++) {
            square += w[j] * w[j];
            g[j] += lambda * w[j];
        }
    return value + 0.5 * lambda * square;
}

static bool near_enough(gn__fit *f)
{
    f->stuck++;
    if (f->gradient < 0.9 * f->best) f->best = f->gradient, f->stuck = 0;
    if (f->value < f->mark - standing * fabs(f->mark)) f->mark = f->value, f->stuck = 0;
    bool small = f->gradient <= f->tolerance && f->search.gain <= least_part * f->tolerance * fabs(f->value);
    f->done = small || (f->stuck >= PATIENCE && f->best <= float_limit);
    return f->done;
}

/* Tells the search what the data say at w, of which g is spoilt. */
static void answer(gn__descent *d, size_t i, const double *w, double value, double *g)
{
    gn__fit *f = d->fit + i;
    double square = 0;
    value = penalise(d, i, w, value, g);
    for (size_t j = 0; j < d->pass.size; j++) square += g[j] * g[j];
    gn__metric_gradient(&d->metric, g);
    f->turn = gn__minimiser_tell(&f->search, value, g);
    f->astray = f->turn != GN__ARRIVED;
    if (f->astray) return;
    f->gradient = sqrt(square) / d->reference[i];
    f->value = value;
}

/* One pass for the first `running` of d->which at d->at, and what it says to each. */
static gn_status evaluate(gn__descent *d, size_t running, gn_error *err)
{
    size_t size = d->pass.size;
    GN__TRY(gn__pass_run(&d->pass, d->which, running, d->at, d->at_g, d->at_value, err));
    if (d->pass.sums != NULL) {
        gn__pass_norms(&d->pass, d->reference);
        for (size_t i = 0; i < d->pass.fits; i++) d->reference[i] = fmax(d->reference[i], no_signal);
    }
    for (size_t k = 0; k < running; k++) {
        size_t i = d->which[k];
        double *at = d->at + i * size, *g = d->at_g + i * size;
        memcpy(d->spoilt, g, size * sizeof *g);
        d->fit[i].evaluations++;
        answer(d, i, at, d->at_value[i], d->spoilt);
        if (d->fit[i].astray) continue;
        memcpy(d->w + i * size, at, size * sizeof *at);
        memcpy(d->g + i * size, g, size * sizeof *g);
        d->value[i] = d->at_value[i];
        d->known[i] = true;
    }
    return GN_OK;
}

/* How many fits want a point: those stand in d->which, the points in d->at. round: steps that a fit may take.
 */
static size_t next_points(gn__descent *d, int round)
{
    size_t size = d->pass.size, running = 0;
    for (size_t i = 0; i < d->pass.fits; i++) {
        gn__fit *f = d->fit + i;
        if (f->over) continue;
        while (f->turn == GN__ARRIVED || f->turn == GN__AGAIN) {
            bool enough = f->search.iterations >= round || near_enough(f);
            f->turn = enough ? GN__NOWHERE : gn__minimiser_go(&f->search);
        }
        if (f->turn == GN__NOWHERE) continue;
        double *at = d->at + i * size;
        memcpy(at, f->search.point, size * sizeof *at);
        gn__metric_leave(&d->metric, at);
        for (size_t j = 0; j < size; j++) at[j] += d->base[i * size + j];
        d->which[running++] = i;
    }
    return running;
}

/* The metric at the middle of where the fits stand, and every search at its beginning. */
static gn_status begin_round(gn__descent *d, gn_error *err)
{
    gn__logistic_problem p = *d->pass.p;
    size_t size = d->pass.size, count = 0;
    double *middle = d->spoilt;
    p.lambda = 0;
    memset(middle, 0, size * sizeof *middle);
    for (size_t i = 0; i < d->pass.fits; i++) count += !d->fit[i].over;
    for (size_t i = 0; i < d->pass.fits; i++) {
        if (d->fit[i].over) continue;
        p.lambda += d->lambda[i] / (double)count;
        for (size_t j = 0; j < size; j++) middle[j] += d->w[i * size + j] / (double)count;
    }
    gn__metric_free(&d->metric);
    GN__TRY(gn__metric_make(d->pass.ctx, &p, middle, d->sampled, &d->metric, err));
    memcpy(d->base, d->w, d->pass.fits * size * sizeof *d->base);
    for (size_t i = 0; i < d->pass.fits; i++) {
        gn__fit *f = d->fit + i;
        if (f->over) continue;
        gn__minimiser_free(&f->search);
        GN__TRY(gn__minimiser_make(size, value_noise, &f->search, err));
        f->stuck = 0;
        f->turn = GN__EVALUATE;
        if (!d->known[i]) continue;
        memcpy(d->spoilt, d->g + i * size, size * sizeof *d->g);
        answer(d, i, d->w + i * size, d->value[i], d->spoilt);
    }
    return GN_OK;
}

/* In rounds: the metric is that of the point where a round begins, and far from there (separable data, rare
 * classes) no longer says which step is as long as which. */
static gn_status run(gn__descent *d, int most, gn_error *err)
{
    size_t left = d->pass.fits;
    for (int used = 0; left > 0 && used < most;) {
        int round = d->sampled > 0 && most - used > ROUND ? ROUND : most - used;
        size_t running;
        GN__TRY(begin_round(d, err));
        while ((running = next_points(d, round)) > 0) GN__TRY(evaluate(d, running, err));
        used += round;
        for (size_t i = 0; i < d->pass.fits; i++) {
            gn__fit *f = d->fit + i;
            if (f->over) continue;
            f->iterations += f->search.iterations;
            f->stalls = !f->done && f->search.iterations < round ? f->stalls + 1 : 0;
            f->over = f->done || f->stalls == STALLS;
            left -= f->over;
        }
    }
    return GN_OK;
}

/* What a fit says of the rows that it does not see, it is to say from where it stands. */
static gn_status look_again(gn__descent *d, gn_error *err)
{
    size_t running = 0;
    for (size_t i = 0; i < d->pass.fits; i++)
        if (d->fit[i].astray) d->which[running++] = i;
    if (d->pass.held == NULL || running == 0) return GN_OK;
    return gn__pass_run(&d->pass, d->which, running, d->w, d->at_g, d->at_value, err);
}

gn_status gn__descent_run(gn__descent *d, double tolerance, int max_iterations, gn__logistic_report *rep,
                          gn_error *err)
{
    if (!(tolerance > 0)) tolerance = 1e-5;
    for (size_t i = 0; i < d->pass.fits; i++) {
        d->fit[i] = (gn__fit){.tolerance = tolerance, .best = INFINITY, .mark = DBL_MAX};
        if (d->pass.outputs > 1) gn__take_out_common(d->w + i * d->pass.size, d->pass.outputs, d->pass.width);
    }
    gn_status status = run(d, max_iterations > 0 ? max_iterations : 500, err);
    if (status == GN_OK) status = look_again(d, err);
    for (size_t i = 0; i < d->pass.fits; i++) {
        const gn__fit *f = d->fit + i;
        gn__minimiser_free(&d->fit[i].search);
        rep[i] = (gn__logistic_report){.iterations = f->iterations,
                                       .evaluations = f->evaluations,
                                       .objective = f->value,
                                       .gradient = f->gradient,
                                       .reference = d->reference[i],
                                       .converged = f->gradient <= fmax(tolerance, float_limit)};
    }
    return status;
}

static gn_status check_problem(const gn__logistic_problem *p, size_t fits, gn_error *err)
{
    size_t size;
    if (p->classes < 2 || p->dim == 0 || p->n == 0 || !(p->scale > 0) || !(p->lambda >= 0) ||
        !isfinite(p->lambda) || !isfinite(p->scale))
        return gn__fail(
            err, GN_INVALID_ARGUMENT,
            "logistic regression needs rows, columns, two classes, scale > 0 and lambda >= 0; got "
            "%zu rows, %zu columns, %d classes, scale %g, lambda %g",
            p->n, p->dim, p->classes, p->scale, p->lambda);
    if (p->dim >= INT32_MAX / 64 || !gn__mul_size((size_t)p->classes * fits, p->dim + 1, &size) ||
        size > INT32_MAX / 4)
        return gn__fail(err, GN_INVALID_ARGUMENT, "%zu columns and %d classes are too many", p->dim,
                        p->classes);
    return GN_OK;
}

/* W = 0, where the intercepts' own minimum is known. */
static void set_shares(gn__descent *d)
{
    size_t width = d->pass.width, outputs = d->pass.outputs;
    for (size_t i = 0; i < d->pass.fits; i++)
        for (size_t c = 0; c < outputs; c++) {
            double share = gn__pass_share(&d->pass, i, outputs == 1 ? 1 : (int)c);
            d->w[i * d->pass.size + (c + 1) * width - 1] = outputs == 1 ? log(share / (1 - share))
                                                           : share > 0  ? log(share)
                                                                        : -30;
        }
}

gn_status gn__descent_make(gn_context *ctx, const gn__logistic_problem *p, const uint32_t *fold, size_t fits,
                           gn__descent *out, gn_error *err)
{
    *out = (gn__descent){0};
    GN__TRY(check_problem(p, fits, err));
    GN__TRY(gn__pass_make(ctx, p, fold, fits, &out->pass, err));
    size_t size = out->pass.size;
    out->sampled = gn__metric_rows(p);
    out->w = gn__calloc(fits * size, sizeof *out->w);
    out->g = gn__calloc(fits * size, sizeof *out->g);
    out->base = gn__calloc(fits * size, sizeof *out->base);
    out->at = gn__calloc(fits * size, sizeof *out->at);
    out->at_g = gn__calloc(fits * size, sizeof *out->at_g);
    out->spoilt = gn__calloc(size, sizeof *out->spoilt);
    out->value = gn__calloc(fits, sizeof *out->value);
    out->at_value = gn__calloc(fits, sizeof *out->at_value);
    out->known = gn__calloc(fits, sizeof *out->known);
    out->lambda = gn__calloc(fits, sizeof *out->lambda);
    out->reference = gn__calloc(fits, sizeof *out->reference);
    out->fit = gn__calloc(fits, sizeof *out->fit);
    out->which = gn__calloc(fits, sizeof *out->which);
    if (!out->w || !out->g || !out->base || !out->at || !out->at_g || !out->spoilt || !out->value ||
        !out->at_value || !out->known || !out->lambda || !out->reference || !out->fit || !out->which)
        return gn__no_memory(err, 5 * fits * size * sizeof(double));
    for (size_t i = 0; i < fits; i++) out->lambda[i] = p->lambda, out->reference[i] = p->reference;
    if (p->reference > 0) {
        free(out->pass.sums);
        out->pass.sums = NULL;
    }
    set_shares(out);
    return GN_OK;
}

void gn__descent_free(gn__descent *d)
{
    gn__pass_free(&d->pass);
    gn__metric_free(&d->metric);
    free(d->w), free(d->g), free(d->base), free(d->at), free(d->at_g), free(d->spoilt);
    free(d->value), free(d->at_value), free(d->known), free(d->lambda), free(d->reference);
    free(d->fit), free(d->which);
}
