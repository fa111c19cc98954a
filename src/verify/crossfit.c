/* Every row judged by a fit that did not see it. */
#include "verify/parts.h"

#include <math.h>

static const uint64_t STREAMS = 1 << 20; /* random streams of a repeat; more than there can be folds */

size_t gn__repeats(const gn__plan *plan, size_t n)
{
    if (plan->repeats > 0) return plan->repeats;
    return n <= 600 ? 5 : n <= GN__NESTED_ROWS ? 3 : 1;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double lower_median(double *x, size_t n)
{
    qsort(x, n, sizeof *x, by_value);
    return x[(n - 1) / 2];
}

/* majority_right, fit_rows, and lambda from the folds' strengths. */
static gn_status describe(const gn__sample *s, const double *fold_lambda, gn__crossfit *c, gn_error *err)
{
    double *fitted = gn__calloc(2 * c->folds, sizeof *fitted), *lambda = fitted + c->folds;
    c->fold_lambda = gn__calloc(c->folds, sizeof *c->fold_lambda);
    if (fitted == NULL || c->fold_lambda == NULL) {
        free(fitted);
        return gn__no_memory(err, 3 * c->folds * sizeof *fitted);
    }
    for (uint32_t f = 0; f < c->folds; f++) {
        gn__sample rest;
        gn_status status = gn__sample_part(s, c->fold, f, true, &rest, err);
        if (status != GN_OK) {
            free(fitted);
            return status;
        }
        int commonest = gn__sample_majority(&rest);
        for (size_t p = 0; p < s->n; p++)
            if (c->fold[p] == f) c->majority_right[p] = s->y[p] == commonest;
        fitted[f] = (double)rest.n;
        lambda[f] = c->fold_lambda[f] = fold_lambda[f];
        gn__sample_free(&rest);
    }
    c->fit_rows = (size_t)lower_median(fitted, c->folds);
    c->lambda = lower_median(lambda, c->folds);
    free(fitted);
    return GN_OK;
}

/* One job whose inner folds are the folds. */
static gn_status run_shared(gn_context *ctx, const gn__plan *plan, const gn__sample *s, uint64_t purpose,
                            uint64_t repeat, gn__crossfit *c, gn_probe *whole, gn__steps *steps,
                            gn_error *err)
{
    gn_status status;
    gn__plan outer = *plan;
    outer.inner_folds = plan->folds;
    gn__job job = {.purpose = purpose, .index = repeat * STREAMS, .keep_held = true};
    GN__TRY_GOTO(gn__sample_part(s, c->fold, UINT32_MAX, true, &job.sample, err), done);
    GN__TRY_GOTO(gn__fit_jobs(ctx, &outer, &job, 1, steps, err), done);
    size_t k = (size_t)s->classes;
    memcpy(c->fold, job.fold, s->n * sizeof *c->fold);
    memcpy(c->logits, job.held, s->n * k * sizeof *c->logits);
    GN__TRY_GOTO(describe(s, job.fold_lambda, c, err), done);
    if (whole != NULL) {
        *whole = job.probe;
        job.probe = (gn_probe){0};
    }
done:
    gn__job_free(&job);
    return status;
}

/* What the fold's job noted of its rows, by position of the whole sample. */
static gn_status spread_losses(const gn__plan *plan, const gn__sample *s, const gn__job *job, uint32_t f,
                               gn__crossfit *c, gn_error *err)
{
    size_t all = plan->lambda_count * s->n;
    float *to = c->losses[f] = gn__calloc(all, sizeof *to);
    if (to == NULL) return gn__no_memory(err, all * sizeof *to);
    for (size_t l = 0; l < plan->lambda_count; l++)
        for (size_t p = 0, at = 0; p < s->n; p++)
            to[l * s->n + p] = c->fold[p] == f ? NAN : job->losses[l * job->sample.n + at++];
    return GN_OK;
}

/* A job a fold, each with inner folds of its own, and one on all rows. */
static gn_status run_nested(gn_context *ctx, const gn__plan *plan, const gn__sample *s, uint64_t purpose,
                            uint64_t repeat, gn__crossfit *c, gn_probe *whole, gn__steps *steps,
                            gn_error *err)
{
    gn_status status = GN_OK;
    size_t k = (size_t)s->classes, jobs = c->folds + (whole != NULL);
    gn__job *job = gn__calloc(jobs, sizeof *job);
    double *lambda = gn__calloc(c->folds, sizeof *lambda);
    c->losses = gn__calloc(c->folds, sizeof *c->losses);
    if (job == NULL || lambda == NULL || c->losses == NULL) {
        status = gn__no_memory(err, jobs * sizeof *job);
        goto done;
    }
    for (uint32_t f = 0; f < jobs; f++) {
        job[f].purpose = purpose;
        job[f].index = repeat * STREAMS + f + 1; /* + 0 dealt the folds themselves */
        job[f].keep_losses = f < c->folds;
        GN__TRY_GOTO(gn__sample_part(s, c->fold, f, true, &job[f].sample, err), done);
    }
    GN__TRY_GOTO(gn__fit_jobs(ctx, plan, job, jobs, steps, err), done);
    for (uint32_t f = 0; f < c->folds; f++) {
        lambda[f] = job[f].probe.lambda;
        GN__TRY_GOTO(spread_losses(plan, s, job + f, f, c, err), done);
    }
    for (size_t p = 0; p < s->n; p++)
        gn__probe_logits(&job[c->fold[p]].probe, s->x->data + (size_t)s->row[p] * s->x->cols,
                         c->logits + p * k);
    GN__TRY_GOTO(describe(s, lambda, c, err), done);
    if (whole != NULL) {
        *whole = job[c->folds].probe;
        job[c->folds].probe = (gn_probe){0};
    }
done:
    for (size_t f = 0; job != NULL && f < jobs; f++) gn__job_free(job + f);
    free(job);
    free(lambda);
    return status;
}

/* No folds: the probe alone. */
static gn_status run_whole(gn_context *ctx, const gn__plan *plan, const gn__sample *s, uint64_t purpose,
                           const uint32_t *fold, gn_probe *whole, gn__steps *steps, gn_error *err)
{
    gn_status status;
    gn__job job = {.purpose = purpose, .index = 1};
    GN__TRY_GOTO(gn__sample_part(s, fold, UINT32_MAX, true, &job.sample, err), done);
    GN__TRY_GOTO(gn__fit_jobs(ctx, plan, &job, 1, steps, err), done);
    *whole = job.probe;
    job.probe = (gn_probe){0};
done:
    gn__job_free(&job);
    return status;
}

gn_status gn__crossfit_run(gn_context *ctx, const gn__plan *plan, const gn__sample *s, uint64_t purpose,
                           uint64_t repeat, gn__crossfit *out, gn_probe *whole, gn__steps *steps,
                           gn_error *err)
{
    gn_status status;
    size_t cells = 0;
    gn__units units = {0};
    *out = (gn__crossfit){0};
    out->fold = gn__calloc(s->n, sizeof *out->fold);
    out->majority_right = gn__calloc(s->n, sizeof *out->majority_right);
    if (gn__mul_size(s->n, (size_t)s->classes, &cells)) out->logits = gn__calloc(cells, sizeof *out->logits);
    if (!out->fold || !out->majority_right || !out->logits) {
        status = gn__no_memory(err, cells * sizeof *out->logits);
        goto failed;
    }
    GN__TRY_GOTO(gn__units_make(s->group, s->n, &units, err), failed);
    GN__TRY_GOTO(gn__folds(&units, s->y, s->classes, plan->folds, gn_context_seed(ctx), purpose,
                           repeat * STREAMS, out->fold, &out->folds, err),
                 failed);
    gn__units_free(&units);
    out->possible = out->folds > 0;
    if (out->possible) {
        status = s->n > GN__NESTED_ROWS ? run_shared(ctx, plan, s, purpose, repeat, out, whole, steps, err)
                                        : run_nested(ctx, plan, s, purpose, repeat, out, whole, steps, err);
    } else {
        status = whole ? run_whole(ctx, plan, s, purpose, out->fold, whole, steps, err) : GN_OK;
    }
    if (status == GN_OK) return GN_OK;
failed:
    gn__units_free(&units);
    gn__crossfit_free(out);
    return status;
}

void gn__crossfit_free(gn__crossfit *c)
{
    free(c->fold);
    free(c->logits);
    free(c->majority_right);
    free(c->fold_lambda);
    for (size_t f = 0; c->losses != NULL && f < c->folds; f++) free(c->losses[f]);
    free(c->losses);
    memset(c, 0, sizeof *c);
}
