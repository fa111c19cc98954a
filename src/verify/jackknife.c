/* The variance of cross-validated figures over other data, by leaving out parts of the data: a row is in its
 * own fold's judgement, in the other folds' fits and in the choice of their strengths, and only the first
 * shows in the figures' influence functions. The fits of one data set err together (all folds lean the same
 * way), so that figures vary more than rows judged by given fits do; simulated, up to four times
 * (docs/coverage.md).
 *
 * Delete-a-group jackknife (Kott 2001, J. Off. Stat. 17; that cross-validation's errors depend on each other,
 * and what to do about it: Bates, Hastie & Tibshirani 2021): the units are dealt into parts, alike in labels;
 * without each part, the strengths are chosen again (by what the inner folds' fits said of the other rows),
 * all folds fitted again and the remaining rows judged. Rows that jump over the boundary would make this far
 * too large, for a jackknife multiplies what a small change of the data does. The luck of which rows jump is
 * another in every repeat of the cross-validation: only what the repeats have in common is counted, their
 * covariance. */
#include "verify/parts.h"

#include <math.h>

enum { LEAST_PARTS = 5 };

typedef struct leaving_out {
    const gn__sample *s;
    uint32_t *part; /* [n] */
    size_t parts;
    uint32_t *left; /* [n] scratch: 1 where a fit leaves the row out */
} leaving_out;

/* Units in random order, label by label, so that every part has its share of each. */
static gn_status deal_parts(gn_context *ctx, leaving_out *l, const uint32_t *group, uint64_t purpose,
                            gn_error *err)
{
    const gn__sample *s = l->s;
    gn__units units;
    GN__TRY(gn__units_make(group, s->n, &units, err));
    uint32_t *order = gn__calloc(units.count, sizeof *order);
    if (order == NULL) {
        gn__units_free(&units);
        return gn__no_memory(err, units.count * sizeof *order);
    }
    for (size_t u = 0; u < units.count; u++) order[u] = (uint32_t)u;
    gn__rng r = gn__rng_make(gn_context_seed(ctx), purpose ^ gn__purpose("verify/jackknife"), 0);
    gn__rng_shuffle(&r, order, units.count);
    l->parts = units.count / 2 < GN__JACKKNIFE_PARTS ? units.count / 2 : (size_t)GN__JACKKNIFE_PARTS;
    size_t dealt = 0;
    for (int y = 0; y < s->classes && l->parts > 0; y++)
        for (size_t k = 0; k < units.count; k++) {
            size_t first = units.start[order[k]], end = units.start[order[k] + 1];
            if (s->y[units.row[first]] != y) continue;
            for (size_t i = first; i < end; i++) l->part[units.row[i]] = (uint32_t)(dealt % l->parts);
            dealt++;
        }
    free(order);
    gn__units_free(&units);
    return GN_OK;
}

/* The strength that a fold would have had without the part. */
static double strength_without(const gn__plan *plan, const leaving_out *l, const gn__crossfit *c, size_t fold,
                               uint32_t part)
{
    double best = c->fold_lambda[fold], least = INFINITY;
    for (size_t k = 0; k < plan->lambda_count; k++) {
        const float *loss = c->losses[fold] + k * l->s->n;
        double sum = 0;
        for (size_t p = 0; p < l->s->n; p++)
            if (l->part[p] != part && c->fold[p] != fold) sum += (double)loss[p];
        if (sum < least) least = sum, best = plan->lambda[k];
    }
    return best;
}

/* A fit for every fold without part `part`. *possible: each still has two classes. */
static gn_status fits_without(gn_context *ctx, const gn__plan *plan, leaving_out *l, const gn__crossfit *c,
                              uint32_t part, gn__job *job, bool *possible, gn_error *err)
{
    const gn__sample *s = l->s;
    *possible = true;
    for (uint32_t f = 0; f < c->folds; f++) {
        for (size_t p = 0; p < s->n; p++) l->left[p] = l->part[p] == part || c->fold[p] == f;
        job[f].lambda = strength_without(plan, l, c, f, part);
        GN__TRY(gn__sample_part(s, l->left, 1, true, &job[f].sample, err));
        *possible = *possible && gn__sample_classes(&job[f].sample) > 1;
    }
    return *possible ? gn__fit_jobs(ctx, plan, job, c->folds, NULL, err) : GN_OK;
}

/* Figures of the rows outside the part, judged by those fits. */
static gn_status figures_without(const leaving_out *l, const gn__crossfit *c, uint32_t part,
                                 const gn__job *job, double figure[GN__FIGURES], gn_error *err)
{
    const gn__sample *s = l->s;
    size_t n = 0, k = (size_t)s->classes;
    float *probability = gn__calloc(s->n * k, sizeof *probability);
    int *y = gn__calloc(s->n, sizeof *y);
    gn_status status = probability && y ? GN_OK : gn__no_memory(err, s->n * k * sizeof *probability);
    for (size_t p = 0; p < s->n && status == GN_OK; p++) {
        if (l->part[p] == part) continue;
        float *to = probability + n * k;
        gn__probe_logits(&job[c->fold[p]].probe, s->x->data + (size_t)s->row[p] * s->x->cols, to);
        gn__softmax(to, s->classes, to);
        y[n++] = s->y[p];
    }
    if (status == GN_OK) status = gn__figures_of(probability, y, n, s->classes, figure, err);
    free(probability);
    free(y);
    return status;
}

/* One repeat without one part. */
static gn_status leave_out(gn_context *ctx, const gn__plan *plan, leaving_out *l, const gn__crossfit *c,
                           uint32_t part, double figure[GN__FIGURES], bool *possible, gn_error *err)
{
    gn__job *job = gn__calloc(c->folds, sizeof *job);
    if (job == NULL) return gn__no_memory(err, c->folds * sizeof *job);
    gn_status status = fits_without(ctx, plan, l, c, part, job, possible, err);
    if (status == GN_OK && *possible) status = figures_without(l, c, part, job, figure, err);
    for (size_t f = 0; f < c->folds; f++) gn__job_free(job + f);
    free(job);
    return status;
}

/* value: [parts × repeats]. The jackknife of the mean over repeats less what is each repeat's own: with the
 * sums of squares of the mean's and of the repeats' deviations M and R, covariance (r M − R) / (r − 1). */
static double in_common(double (*value)[GN__FIGURES], size_t parts, size_t repeats, size_t f)
{
    double mean = 0, own = 0, together = 0, r = (double)repeats, g = (double)parts;
    for (size_t k = 0; k < parts * repeats; k++) mean += value[k][f] / (g * r);
    for (size_t q = 0; q < repeats; q++) {
        double about = 0;
        for (size_t k = 0; k < parts; k++) about += value[k * repeats + q][f] / g;
        for (size_t k = 0; k < parts; k++) {
            double d = value[k * repeats + q][f] - about;
            own += d * d / r;
        }
    }
    for (size_t k = 0; k < parts; k++) {
        double sum = 0;
        for (size_t q = 0; q < repeats; q++) sum += value[k * repeats + q][f] / r;
        together += (sum - mean) * (sum - mean);
    }
    return (g - 1) / g * (repeats > 1 ? (r * together - own) / (r - 1) : together);
}

/* Of the units' sums of x − minus (minus NULL: 0) about their mean, over the rows outside the fold: the
 * variance of the mean. */
static double variance_outside(const gn__units *units, const gn__crossfit *c, size_t fold, const float *x,
                               const float *minus, double *mean)
{
    double sum = 0, rows = 0, square = 0;
    for (int pass = 0; pass < 2; pass++) {
        *mean = rows > 0 ? sum / rows : 0;
        for (size_t u = 0; u < units->count; u++) {
            double unit = 0;
            for (size_t i = units->start[u]; i < units->start[u + 1]; i++) {
                uint32_t p = units->row[i];
                if (c->fold[p] == fold) continue;
                double d = (double)x[p] - (minus != NULL ? (double)minus[p] : 0);
                unit += d - *mean;
                rows += pass == 0;
            }
            if (pass == 0)
                sum += unit;
            else
                square += unit * unit;
        }
    }
    return square / (rows * rows);
}

/* Where the losses hardly tell the strengths apart, the one chosen by luck may be the one at which nothing is
 * learnt and no row's loss differs from another's: of the strengths whose mean loss is within one standard
 * error of the least, the variance of the one where it is largest, carried over to all rows. */
static double plausible_variance(const gn__plan *plan, const gn__units *units, const gn__crossfit *c,
                                 size_t repeats, size_t n)
{
    double all = 0, folds = 0;
    for (size_t q = 0; q < repeats; q++)
        for (size_t f = 0; f < c[q].folds; f++) {
            const float *best = NULL;
            double least = INFINITY, most = 0, mean, outside = 0;
            for (size_t p = 0; p < n; p++) outside += c[q].fold[p] != f;
            for (size_t l = 0; l < plan->lambda_count; l++) {
                const float *loss = c[q].losses[f] + l * n;
                variance_outside(units, c + q, f, loss, NULL, &mean);
                if (mean < least) least = mean, best = loss;
            }
            for (size_t l = 0; l < plan->lambda_count && best != NULL; l++) {
                const float *loss = c[q].losses[f] + l * n;
                double apart, error = sqrt(variance_outside(units, c + q, f, loss, best, &apart));
                double variance = variance_outside(units, c + q, f, loss, NULL, &mean);
                if (apart <= error) most = fmax(most, variance);
            }
            all += most * outside / (double)n;
            folds++;
        }
    return all / folds;
}

gn_status gn__jackknife(gn_context *ctx, const gn__plan *plan, const gn__sample *s, const gn__crossfit *c,
                        size_t repeats, const uint32_t *group, uint64_t purpose, gn__over_data *out,
                        gn_error *err)
{
    gn__units units = {0};
    leaving_out l = {.s = s};
    size_t done = 0;
    gn_status status = GN_OK;
    double(*value)[GN__FIGURES] = gn__calloc(GN__JACKKNIFE_PARTS * repeats, sizeof *value);
    l.part = gn__calloc(s->n, sizeof *l.part);
    l.left = gn__calloc(s->n, sizeof *l.left);
    if (!l.part || !l.left || !value) {
        status = gn__no_memory(err, s->n * (sizeof *l.part + sizeof *l.left));
        goto done;
    }
    for (int f = 0; f < GN__FIGURES; f++) out->variance[f] = NAN;
    GN__TRY_GOTO(gn__units_make(group, s->n, &units, err), done);
    out->plausible = plausible_variance(plan, &units, c, repeats, s->n);
    GN__TRY_GOTO(deal_parts(ctx, &l, group, purpose, err), done);
    for (uint32_t part = 0; part < l.parts; part++) {
        bool all = true;
        for (size_t q = 0; q < repeats && all; q++)
            GN__TRY_GOTO(leave_out(ctx, plan, &l, c + q, part, value[done * repeats + q], &all, err), done);
        done += all;
    }
    for (size_t f = 0; f < GN__FIGURES && done >= LEAST_PARTS; f++)
        out->variance[f] = in_common(value, done, repeats, f);
done:
    gn__units_free(&units);
    free(l.part);
    free(l.left);
    free(value);
    return status;
}
