/* The variance of cross-validated figures over other data, by leaving out parts of the data: a row is in its
 * own fold's judgement and in the other folds' fits, and only the first shows in the figures' influence
 * functions. The fits of one data set err together (all folds lean the same way), so that figures vary more
 * than rows judged by given fits do; simulated, up to four times (docs/coverage.md).
 *
 * Delete-a-group jackknife (Kott 2001, J. Off. Stat. 17; that cross-validation's errors depend on each other,
 * and what to do about it: Bates, Hastie & Tibshirani 2021): the units are dealt into parts, alike in labels;
 * without each part, all folds are fitted again, at their strengths, and the remaining rows judged as before.
 * Beside it the same without fitting again; the quotient of the two variances is what the fits add. */
#include "verify/parts.h"

#include <math.h>

enum { LEAST_PARTS = 5 };
static const double SHARPNESS = 6; /* over the spread of the logits */

typedef struct leaving_out {
    const gn__sample *s;
    const gn__crossfit *c;
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

/* A fit for every fold without part `part`. *possible: each still has two classes. */
static gn_status fits_without(gn_context *ctx, const gn__plan *plan, leaving_out *l, uint32_t part,
                              gn__job *job, bool *possible, gn_error *err)
{
    const gn__sample *s = l->s;
    *possible = true;
    for (uint32_t f = 0; f < l->c->folds; f++) {
        for (size_t p = 0; p < s->n; p++) l->left[p] = l->part[p] == part || l->c->fold[p] == f;
        job[f].lambda = l->c->fold_lambda[f];
        GN__TRY(gn__sample_part(s, l->left, 1, true, &job[f].sample, err));
        *possible = *possible && gn__sample_classes(&job[f].sample) > 1;
    }
    return *possible ? gn__fit_jobs(ctx, plan, job, l->c->folds, NULL, err) : GN_OK;
}

/* Accuracy, balanced accuracy and macro-F1 with each row counted for its classes as its logits lean, sharply
 * but without a jump: a jackknife multiplies what a small change of the data does, and would multiply the
 * luck of which rows jump. Logits in units of their own spread: how large they are says nothing of the
 * answer. */
static gn_status soft_shares(const float *logits, const int *y, size_t n, size_t k, double figure[3],
                             gn_error *err)
{
    double *count = gn__calloc(3 * k, sizeof *count), *right = count, *own = count + k, *said = own + k;
    double *lean = gn__calloc(k, sizeof *lean), square = 0, present = 0, seen = 0;
    if (count == NULL || lean == NULL) {
        free(count);
        free(lean);
        return gn__no_memory(err, 4 * k * sizeof *count);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < k; c++) {
            double above = (double)logits[i * k + c] - (double)logits[i * k];
            if (isfinite(above)) square += above * above;
        }
    double sharp = square > 0 ? SHARPNESS / sqrt(square / (double)n) : 0;
    for (size_t i = 0; i < n; i++) {
        double top = -INFINITY, sum = 0;
        for (size_t c = 0; c < k; c++) top = fmax(top, (double)logits[i * k + c]);
        for (size_t c = 0; c < k; c++) sum += lean[c] = exp(sharp * ((double)logits[i * k + c] - top));
        for (size_t c = 0; c < k; c++) said[c] += lean[c] / sum;
        own[y[i]]++;
        right[y[i]] += lean[y[i]] / sum;
    }
    figure[0] = figure[1] = figure[2] = 0;
    for (size_t c = 0; c < k; c++) {
        figure[0] += right[c] / (double)n;
        if (own[c] > 0) figure[1] += right[c] / own[c], present++;
        if (own[c] + said[c] > 0) figure[2] += 2 * right[c] / (own[c] + said[c]), seen++;
    }
    figure[1] /= present;
    figure[2] /= seen;
    free(count);
    free(lean);
    return GN_OK;
}

/* Figures of the rows outside the part, judged by those fits (job NULL: by the fits that saw the part). */
static gn_status figures_without(const leaving_out *l, uint32_t part, const gn__job *job,
                                 double figure[GN__FIGURES], gn_error *err)
{
    const gn__sample *s = l->s;
    size_t n = 0, k = (size_t)s->classes;
    float *logits = gn__calloc(s->n * k, sizeof *logits);
    int *y = gn__calloc(s->n, sizeof *y);
    gn_status status = logits && y ? GN_OK : gn__no_memory(err, s->n * k * sizeof *logits);
    for (size_t p = 0; p < s->n && status == GN_OK; p++) {
        if (l->part[p] == part) continue;
        if (job == NULL)
            memcpy(logits + n * k, l->c->logits + p * k, k * sizeof *logits);
        else
            gn__probe_logits(&job[l->c->fold[p]].probe, s->x->data + (size_t)s->row[p] * s->x->cols,
                             logits + n * k);
        y[n++] = s->y[p];
    }
    double shares[3];
    if (status == GN_OK) status = soft_shares(logits, y, n, k, shares, err);
    for (size_t i = 0; i < n && status == GN_OK; i++) gn__softmax(logits + i * k, s->classes, logits + i * k);
    if (status == GN_OK) status = gn__figures_of(logits, y, n, s->classes, figure, err);
    memcpy(figure, shares, sizeof shares);
    free(logits);
    free(y);
    return status;
}

/* Sum of squares about the mean. */
static double spread(double (*figure)[GN__FIGURES], size_t n, int f)
{
    double mean = 0, square = 0;
    for (size_t k = 0; k < n; k++) mean += figure[k][f] / (double)n;
    for (size_t k = 0; k < n; k++) square += (figure[k][f] - mean) * (figure[k][f] - mean);
    return square;
}

gn_status gn__jackknife(gn_context *ctx, const gn__plan *plan, const gn__sample *s, const gn__crossfit *c,
                        const uint32_t *group, uint64_t purpose, double ratio[GN__FIGURES], gn_error *err)
{
    leaving_out l = {.s = s, .c = c};
    double(*refitted)[GN__FIGURES] = NULL, (*given)[GN__FIGURES] = NULL;
    size_t done = 0;
    gn_status status = GN_OK;
    l.part = gn__calloc(s->n, sizeof *l.part);
    l.left = gn__calloc(s->n, sizeof *l.left);
    refitted = gn__calloc(GN__JACKKNIFE_PARTS, sizeof *refitted);
    given = gn__calloc(GN__JACKKNIFE_PARTS, sizeof *given);
    if (!l.part || !l.left || !refitted || !given) {
        status = gn__no_memory(err, s->n * (sizeof *l.part + sizeof *l.left));
        goto done;
    }
    for (int f = 0; f < GN__FIGURES; f++) ratio[f] = NAN;
    GN__TRY_GOTO(deal_parts(ctx, &l, group, purpose, err), done);
    for (uint32_t part = 0; part < l.parts; part++) {
        bool possible = false;
        gn__job *job = gn__calloc(c->folds, sizeof *job);
        if (job == NULL) {
            status = gn__no_memory(err, c->folds * sizeof *job);
            goto done;
        }
        status = fits_without(ctx, plan, &l, part, job, &possible, err);
        if (status == GN_OK && possible) status = figures_without(&l, part, job, refitted[done], err);
        if (status == GN_OK && possible) status = figures_without(&l, part, NULL, given[done++], err);
        for (size_t f = 0; f < c->folds; f++) gn__job_free(job + f);
        free(job);
        if (status != GN_OK) goto done;
    }
    if (done < LEAST_PARTS) goto done;
    for (int f = 0; f < GN__FIGURES; f++) {
        double with = spread(refitted, done, f), without = spread(given, done, f);
        if (without > 0) ratio[f] = with / without;
    }
done:
    free(l.part);
    free(l.left);
    free(refitted);
    free(given);
    return status;
}
