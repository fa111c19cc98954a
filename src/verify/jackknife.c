/* The variance of cross-validated figures over other data, by leaving out parts of the data: a row is in its
 * own fold's judgement and in the other folds' fits, and only the first shows in the figures' influence
 * functions. The fits of one data set err together (all folds lean the same way), so that figures vary more
 * than rows judged by given fits do; simulated, up to four times (docs/coverage.md).
 *
 * Delete-a-group jackknife (Kott 2001, J. Off. Stat. 17; for cross-validation see Bates, Hastie & Tibshirani
 * 2021, section 5.2): the units are dealt into parts, alike in labels; without each part, all folds are
 * fitted again, at their strengths, and the remaining rows judged as before. */
#include "verify/parts.h"

#include <math.h>

enum { LEAST_PARTS = 5 };

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

/* Figures of the rows outside the part, judged by those fits. */
static gn_status figures_without(const leaving_out *l, uint32_t part, const gn__job *job,
                                 double figure[GN__FIGURES], gn_error *err)
{
    const gn__sample *s = l->s;
    size_t n = 0, k = (size_t)s->classes;
    float *probability = gn__calloc(s->n * k, sizeof *probability);
    int *y = gn__calloc(s->n, sizeof *y);
    gn_status status = probability && y ? GN_OK : gn__no_memory(err, s->n * k * sizeof *probability);
    for (size_t p = 0; p < s->n && status == GN_OK; p++) {
        if (l->part[p] == part) continue;
        float *own = probability + n * k;
        gn__probe_logits(&job[l->c->fold[p]].probe, s->x->data + (size_t)s->row[p] * s->x->cols, own);
        gn__softmax(own, s->classes, own);
        y[n++] = s->y[p];
    }
    if (status == GN_OK) status = gn__figures_of(probability, y, n, s->classes, figure, err);
    free(probability);
    free(y);
    return status;
}

gn_status gn__jackknife(gn_context *ctx, const gn__plan *plan, const gn__sample *s, const gn__crossfit *c,
                        const uint32_t *group, uint64_t purpose, double variance[GN__FIGURES], gn_error *err)
{
    leaving_out l = {.s = s, .c = c};
    double(*figure)[GN__FIGURES] = NULL;
    size_t done = 0;
    gn_status status = GN_OK;
    l.part = gn__calloc(s->n, sizeof *l.part);
    l.left = gn__calloc(s->n, sizeof *l.left);
    figure = gn__calloc(GN__JACKKNIFE_PARTS, sizeof *figure);
    if (!l.part || !l.left || !figure) {
        status = gn__no_memory(err, s->n * (sizeof *l.part + sizeof *l.left));
        goto done;
    }
    for (int f = 0; f < GN__FIGURES; f++) variance[f] = NAN;
    GN__TRY_GOTO(deal_parts(ctx, &l, group, purpose, err), done);
    for (uint32_t part = 0; part < l.parts; part++) {
        bool possible = false;
        gn__job *job = gn__calloc(c->folds, sizeof *job);
        if (job == NULL) {
            status = gn__no_memory(err, c->folds * sizeof *job);
            goto done;
        }
        status = fits_without(ctx, plan, &l, part, job, &possible, err);
        if (status == GN_OK && possible) status = figures_without(&l, part, job, figure[done++], err);
        for (size_t f = 0; f < c->folds; f++) gn__job_free(job + f);
        free(job);
        if (status != GN_OK) goto done;
    }
    if (done < LEAST_PARTS) goto done;
    for (int f = 0; f < GN__FIGURES; f++) {
        double mean = 0, square = 0, n = (double)done;
        for (size_t k = 0; k < done; k++) mean += figure[k][f] / n;
        for (size_t k = 0; k < done; k++) square += (figure[k][f] - mean) * (figure[k][f] - mean);
        variance[f] = (n - 1) / n * square;
    }
done:
    free(l.part);
    free(l.left);
    free(figure);
    return status;
}
