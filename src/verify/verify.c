/* The evaluations, in the order in which each can use the ones before it. */
#include "verify/parts.h"

#include <lapacke.h>
#include <math.h>
#include <stdio.h>

enum { CLUSTER_ROWS = 20000 };

/* Why an evaluation is not available; report/ translates these sentences. */
static const char NO_TRAIN_LABELS[] = "no labels in train";
static const char NO_TEST_LABELS[] = "no labels in test";
static const char ONE_TRAIN_CLASS[] = "the labels of train are of one class only";
static const char ONE_TEST_CLASS[] = "the labels of test are of one class only";
static const char NO_GROUPS[] = "no group column";
static const char SINGLE_GROUPS[] = "every test row is a group of its own";
static const char TOO_FEW_ROWS[] = "fewer than two classes have two rows, so no fold can be left out";
static const char TOO_FEW_GROUPS[] =
    "fewer than two classes occur in two groups, so no group can be left out";
static const char NO_CLUSTERS[] = "no near-duplicate or same-topic clusters were found";
static const char TOO_MANY_ROWS[] = "clusters are not looked for among more than 20000 test rows";
static const char NOTHING_TO_MATCH[] = "no cross-validation within test to match";

static const char *const KEY[GN_EVAL_COUNT] = {
#define KEY_OF(name, key) key,
    GN_EVAL_LIST(KEY_OF)
#undef KEY_OF
};

typedef struct side {
    gn__sample sample; /* labelled rows, used ones */
    const char *missing;
} side;

typedef struct verification {
    gn_context *ctx;
    const gn_verify_input *in;
    gn__plan plan;
    gn__steps steps;
    side train, test;
    uint32_t *cluster; /* [test sample] or NULL */
    gn__crossfit cv[GN_EVAL_COUNT];
    float *right[GN_EVAL_COUNT]; /* how often, by position of the judged sample; NULL where not available */
    gn_probe_evidence *out;
    gn_error *err;
} verification;

static void unavailable(verification *v, gn_eval_kind kind, const char *reason)
{
    gn_evaluation *e = v->out->eval + kind;
    e->available = false;
    snprintf(e->reason, sizeof e->reason, "%s", reason);
}

/* What the test rows are resampled by: the user's groups wherever there are any. */
static const uint32_t *resampled_by(const verification *v, gn_eval_kind kind)
{
    const gn__sample *s = kind == GN_EVAL_TRAIN_HELDOUT ? &v->train.sample : &v->test.sample;
    return s->group == NULL && kind == GN_EVAL_TEST_CV_CLUSTERED ? v->cluster : s->group;
}

/* Scores the logits of a sample's positions, one table a repeat. */
static gn_status judge(verification *v, gn_eval_kind kind, const gn__sample *s, const float *const *logits,
                       size_t repeats, const gn__over_data *over)
{
    gn_evaluation *e = v->out->eval + kind;
    size_t k = (size_t)s->classes, cells = 0, table = s->n * k;
    gn_status status = GN_OK;
    float *all = gn__mul_size(table, repeats, &cells) ? gn__calloc(cells, sizeof *all) : NULL;
    const float **of = gn__calloc(repeats, sizeof *of);
    e->probability = gn__mul_size(s->x->rows, k, &cells) ? gn__calloc(cells, sizeof *e->probability) : NULL;
    e->correct = gn__calloc(s->x->rows, sizeof *e->correct);
    v->right[kind] = gn__calloc(s->n, sizeof *v->right[kind]);
    if (!all || !of || !e->probability || !e->correct || !v->right[kind]) {
        status = gn__no_memory(v->err, (cells + table * repeats) * sizeof *all);
        goto done;
    }
    for (size_t i = 0; i < cells; i++) e->probability[i] = NAN;
    for (size_t i = 0; i < s->x->rows; i++) e->correct[i] = NAN;
    for (size_t r = 0; r < repeats; r++) {
        float *p = all + r * table;
        of[r] = p;
        for (size_t at = 0; at < s->n; at++) {
            gn__softmax(logits[r] + at * k, s->classes, p + at * k);
            v->right[kind][at] += gn__top_class(p + at * k, s->classes) == s->y[at];
        }
    }
    for (size_t at = 0; at < s->n; at++) {
        memcpy(e->probability + s->row[at] * k, all + at * k, k * sizeof *all);
        e->correct[s->row[at]] = v->right[kind][at] /= (float)repeats;
    }
    GN__TRY_GOTO(gn__scores_of(v->ctx, of, repeats, s->y, s->n, s->classes, resampled_by(v, kind), over,
                               &e->scores, v->err),
                 done);
    e->repeats = repeats;
    e->available = true;
done:
    free(all);
    free(of);
    return status;
}

static double share_of(const float *right, size_t n)
{
    double sum = 0;
    for (size_t p = 0; p < n; p++) sum += (double)right[p];
    return sum / (double)n;
}

/* Cross-validates a sample, again over other folds where it is small, and judges every repeat. v->cv keeps
 * the first, but how often the majority class was right. */
static gn_status repeat(verification *v, gn_eval_kind kind, const gn__sample *s, gn_probe *whole)
{
    gn_evaluation *e = v->out->eval + kind;
    size_t repeats = gn__repeats(&v->plan, s->n);
    bool nested = s->n <= GN__NESTED_ROWS;
    gn_status status = GN_OK;
    gn__over_data over;
    gn__crossfit *c = gn__calloc(repeats, sizeof *c);
    const float **logits = gn__calloc(repeats, sizeof *logits);
    if (c == NULL || logits == NULL) {
        status = gn__no_memory(v->err, repeats * sizeof *c);
        goto done;
    }
    for (size_t r = 0; r < repeats; r++) {
        GN__TRY_GOTO(gn__crossfit_run(v->ctx, &v->plan, s, gn__purpose(KEY[kind]), r, c + r,
                                      r == 0 ? whole : NULL, r == 0 ? &v->steps : NULL, v->err),
                     done);
        if (!c->possible) goto done;
        for (size_t p = 0; p < s->n && r > 0; p++) c->majority_right[p] += c[r].majority_right[p];
        logits[r] = c[r].logits;
    }
    for (size_t p = 0; p < s->n; p++) c->majority_right[p] /= (float)repeats;
    e->lambda = c->lambda;
    e->fit_rows = c->fit_rows;
    e->majority = share_of(c->majority_right, s->n);
    if (nested)
        GN__TRY_GOTO(gn__jackknife(v->ctx, &v->plan, s, c, repeats, resampled_by(v, kind),
                                   gn__purpose(KEY[kind]), &over, v->err),
                     done);
    status = judge(v, kind, s, logits, repeats, nested ? &over : NULL);
done:
    for (size_t r = 1; r < repeats && c != NULL; r++) gn__crossfit_free(c + r);
    if (c != NULL) v->cv[kind] = c[0];
    free(c);
    free(logits);
    return status;
}

/* ---- the two sides ------------------------------------------------------------------------------- */

/* Cuts train to at most max_rows rows: whole groups, or where those would leave less than half of what is
 * allowed, rows. */
static gn_status cut(verification *v, gn__sample *s, const uint32_t *group, size_t rows, uint64_t index,
                     gn__sample *out)
{
    gn__units units = {0};
    gn_status status;
    uint32_t *bin = gn__calloc(s->n, sizeof *bin);
    if (bin == NULL) return gn__no_memory(v->err, s->n * sizeof *bin);
    double share[2] = {(double)rows / (double)s->n, 1 - (double)rows / (double)s->n};
    gn__rng rng = gn__rng_make(gn_context_seed(v->ctx), gn__purpose("verify/cut"), index);
    GN__TRY_GOTO(gn__units_make(group, s->n, &units, v->err), done);
    GN__TRY_GOTO(gn__deal(&units, s->y, s->classes, share, 2, rows, &rng, bin, v->err), done);
    GN__TRY_GOTO(gn__sample_part(s, bin, 0, false, out, v->err), done);
done:
    gn__units_free(&units);
    free(bin);
    return status;
}

static gn_status cut_train(verification *v)
{
    gn__sample *s = &v->train.sample, part = {0};
    size_t most = v->plan.max_rows;
    if (s->n <= most) return GN_OK;
    GN__TRY(cut(v, s, s->group, most, 0, &part));
    if (part.n < most / 2 || gn__sample_classes(&part) < 2) {
        gn__sample_free(&part);
        GN__TRY(cut(v, s, NULL, most, 0, &part));
    }
    gn__sample_free(s);
    *s = part;
    return GN_OK;
}

static gn_status take_side(verification *v, side *s, const gn_matrix *x, const int *label,
                           const uint32_t *group, const char *no_labels, const char *one_class)
{
    s->sample = (gn__sample){.x = x, .classes = v->in->classes};
    s->missing = no_labels;
    if (label == NULL || v->in->classes < 1) return gn__require_finite(x, v->err);
    GN__TRY(gn__sample_make(x, label, v->in->classes, group, &s->sample, v->err));
    size_t classes = gn__sample_classes(&s->sample);
    s->missing = classes == 0 ? no_labels : classes == 1 ? one_class : NULL;
    return GN_OK;
}

/* ---- within test --------------------------------------------------------------------------------- */

static gn_status cross_validate(verification *v, gn_eval_kind kind, uint32_t *group, const char *impossible)
{
    gn__sample s = v->test.sample; /* borrowed, with the groups of this evaluation */
    s.group = group;
    GN__TRY(repeat(v, kind, &s, NULL));
    if (!v->cv[kind].possible) unavailable(v, kind, impossible);
    return GN_OK;
}

/* Clusters of the labelled test rows, about their mean: in a space where all rows share one direction, every
 * cosine would be near one. */
static gn_status find_clusters(verification *v)
{
    const gn__sample *s = &v->test.sample;
    size_t cols = s->x->cols;
    gn_matrix centred = {0};
    gn_status status;
    GN__TRY(gn_matrix_create(s->n, cols, &centred, v->err));
    double *mean = gn__calloc(cols, sizeof *mean);
    size_t *size = gn__calloc(s->n, sizeof *size);
    v->cluster = gn__calloc(s->n, sizeof *v->cluster);
    if (mean == NULL || size == NULL || v->cluster == NULL) {
        status = gn__no_memory(v->err, (cols + s->n) * sizeof *mean);
        goto done;
    }
    for (size_t p = 0; p < s->n; p++)
        for (size_t j = 0; j < cols; j++) mean[j] += (double)s->x->data[s->row[p] * cols + j] / (double)s->n;
    for (size_t p = 0; p < s->n; p++)
        for (size_t j = 0; j < cols; j++)
            centred.data[p * cols + j] = (float)((double)s->x->data[s->row[p] * cols + j] - mean[j]);
    GN__TRY_GOTO(gn_cluster(v->ctx, &centred, 0, v->cluster, &v->out->clusters, v->err), done);
    size_t all = v->out->clusters;
    for (size_t p = 0; p < s->n; p++) size[v->cluster[p]]++;
    v->out->clusters = 0;
    for (size_t c = 0; c < all; c++)
        if (size[c] > 1) v->out->clusters++, v->out->clustered_rows += size[c];
done:
    gn_matrix_free(&centred);
    free(mean);
    free(size);
    return status;
}

static bool all_single(const uint32_t *group, size_t n, gn_error *err, gn_status *status)
{
    gn__units units;
    *status = gn__units_make(group, n, &units, err);
    if (*status != GN_OK) return false;
    bool single = units.count == n;
    gn__units_free(&units);
    return single;
}

static gn_status within_test(verification *v)
{
    const gn__sample *s = &v->test.sample;
    static const gn_eval_kind kinds[] = {GN_EVAL_TEST_CV, GN_EVAL_TEST_CV_GROUPED, GN_EVAL_TEST_CV_CLUSTERED};
    if (v->test.missing != NULL) {
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) unavailable(v, kinds[i], v->test.missing);
        return GN_OK;
    }
    GN__TRY(cross_validate(v, GN_EVAL_TEST_CV, NULL, TOO_FEW_ROWS));
    gn_status status = GN_OK;
    if (s->group == NULL)
        unavailable(v, GN_EVAL_TEST_CV_GROUPED, NO_GROUPS);
    else if (all_single(s->group, s->n, v->err, &status))
        unavailable(v, GN_EVAL_TEST_CV_GROUPED, SINGLE_GROUPS);
    else if (status == GN_OK)
        status = cross_validate(v, GN_EVAL_TEST_CV_GROUPED, s->group, TOO_FEW_GROUPS);
    GN__TRY(status);
    if (s->n > CLUSTER_ROWS) {
        unavailable(v, GN_EVAL_TEST_CV_CLUSTERED, TOO_MANY_ROWS);
        return GN_OK;
    }
    GN__TRY(find_clusters(v));
    if (v->out->clusters > 0) return cross_validate(v, GN_EVAL_TEST_CV_CLUSTERED, v->cluster, TOO_FEW_GROUPS);
    unavailable(v, GN_EVAL_TEST_CV_CLUSTERED, NO_CLUSTERS);
    return GN_OK;
}

/* ---- from train ---------------------------------------------------------------------------------- */

/* Weights of the classes' logits in the margin. Two classes: log-odds of class 1. More: the first principal
 * axis of the class weights about their mean, along which the probe spreads the classes most; its largest
 * entry is positive. */
static gn_status discriminant(const gn_probe *p, double *axis, gn_error *err)
{
    int k = p->classes;
    size_t n = (size_t)k, dim = p->dim;
    if (k == 2) {
        axis[0] = -1, axis[1] = 1;
        return GN_OK;
    }
    double *gram = gn__calloc(n * n, sizeof *gram), *value = gn__calloc(n, sizeof *value);
    double *mean = gn__calloc(dim, sizeof *mean);
    gn_status status = GN_OK;
    if (!gram || !value || !mean) {
        status = gn__no_memory(err, (n * n + dim) * sizeof *gram);
        goto done;
    }
    double seen = 0;
    for (size_t c = 0; c < n; c++) seen += isfinite(p->intercept[c]) ? 1 : 0;
    for (size_t c = 0; c < n; c++) /* the weights of a class never seen are zeros */
        for (size_t j = 0; j < dim; j++) mean[j] += (double)p->weight[c * dim + j] / seen;
    for (size_t a = 0; a < n; a++)
        for (size_t b = 0; b <= a; b++) {
            double sum = 0;
            if (!isfinite(p->intercept[a]) || !isfinite(p->intercept[b])) continue;
            for (size_t j = 0; j < dim; j++)
                sum +=
                    ((double)p->weight[a * dim + j] - mean[j]) * ((double)p->weight[b * dim + j] - mean[j]);
            gram[a * n + b] = gram[b * n + a] = sum;
        }
    if (LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'U', k, gram, k, value) != 0) {
        status = gn__fail(err, GN_NUMERIC, "the axis that spreads the %d classes could not be found", k);
        goto done;
    }
    size_t top = 0;
    for (size_t c = 0; c < n; c++) {
        axis[c] = gram[c * n + n - 1];
        if (fabs(axis[c]) > fabs(axis[top])) top = c;
    }
    if (axis[top] < 0)
        for (size_t c = 0; c < n; c++) axis[c] = -axis[c];
done:
    free(gram);
    free(value);
    free(mean);
    return status;
}

static double margin_of(const float *logits, const double *axis, int classes)
{
    double sum = 0;
    for (int c = 0; c < classes; c++)
        if (isfinite(logits[c])) sum += axis[c] * (double)logits[c];
    return sum;
}

static gn_status margins_by(verification *v, const gn_matrix *x, const double *axis, double **out)
{
    const gn_probe *p = &v->out->train_probe;
    size_t k = (size_t)p->classes, cells = 0;
    float *logits = gn__mul_size(x->rows, k, &cells) ? gn__calloc(cells, sizeof *logits) : NULL;
    *out = gn__calloc(x->rows, sizeof **out);
    if (logits == NULL || *out == NULL) {
        free(logits);
        return gn__no_memory(v->err, cells * sizeof *logits);
    }
    gn_status status = gn__probe_rows(v->ctx, p, x, NULL, x->rows, logits, v->err);
    for (size_t i = 0; i < x->rows && status == GN_OK; i++)
        (*out)[i] = margin_of(logits + i * k, axis, p->classes);
    free(logits);
    return status;
}

/* Rows that the probe was not fitted on get its own margin, the fitted ones the margin of their fold's fit.
 */
static gn_status fill_margins(verification *v, const gn__crossfit *c)
{
    const gn__sample *s = &v->train.sample;
    size_t k = (size_t)s->classes;
    double *axis = gn__calloc(k, sizeof *axis);
    if (axis == NULL) return gn__no_memory(v->err, k * sizeof *axis);
    gn_status status;
    GN__TRY_GOTO(discriminant(&v->out->train_probe, axis, v->err), done);
    GN__TRY_GOTO(margins_by(v, v->in->train, axis, &v->out->train_margin), done);
    GN__TRY_GOTO(margins_by(v, v->in->test, axis, &v->out->test_margin), done);
    for (size_t p = 0; p < s->n; p++)
        v->out->train_margin[s->row[p]] = c->possible ? margin_of(c->logits + p * k, axis, s->classes) : NAN;
done:
    free(axis);
    return status;
}

static gn_status within_train(verification *v)
{
    const gn__sample *s = &v->train.sample;
    gn__crossfit *c = v->cv + GN_EVAL_TRAIN_HELDOUT;
    if (v->train.missing != NULL) {
        unavailable(v, GN_EVAL_TRAIN_HELDOUT, v->train.missing);
        return GN_OK;
    }
    GN__TRY(repeat(v, GN_EVAL_TRAIN_HELDOUT, s, &v->out->train_probe));
    if (!c->possible) unavailable(v, GN_EVAL_TRAIN_HELDOUT, s->group ? TOO_FEW_GROUPS : TOO_FEW_ROWS);
    return fill_margins(v, c);
}

static double majority_on(const gn__sample *fitted, const gn__sample *judged)
{
    int commonest = gn__sample_majority(fitted);
    size_t n = 0;
    for (size_t p = 0; p < judged->n; p++) n += judged->y[p] == commonest;
    return (double)n / (double)judged->n;
}

static gn_status train_to_test(verification *v)
{
    const gn__sample *s = &v->test.sample;
    gn_evaluation *e = v->out->eval + GN_EVAL_TRAIN_TO_TEST;
    if (v->train.missing != NULL || v->test.missing != NULL) {
        unavailable(v, GN_EVAL_TRAIN_TO_TEST, v->train.missing ? v->train.missing : v->test.missing);
        return GN_OK;
    }
    float *logits = gn__calloc(s->n * (size_t)s->classes, sizeof *logits);
    if (logits == NULL) return gn__no_memory(v->err, s->n * (size_t)s->classes * sizeof *logits);
    e->lambda = v->out->train_probe.lambda;
    e->fit_rows = v->train.sample.n;
    e->majority = majority_on(&v->train.sample, s);
    gn_status status = gn__probe_rows(v->ctx, &v->out->train_probe, s->x, s->row, s->n, logits, v->err);
    if (status == GN_OK) status = judge(v, GN_EVAL_TRAIN_TO_TEST, s, (const float *const *)&logits, 1, NULL);
    free(logits);
    return status;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static gn_eval_kind honest(const verification *v)
{
    return v->out->eval[GN_EVAL_TEST_CV_GROUPED].available ? GN_EVAL_TEST_CV_GROUPED : GN_EVAL_TEST_CV;
}

/* One draw of train rows for each fold of test, judged on that fold: every row is judged by a single fit of
 * the size that cross-validation within test has, and the luck of a draw averages out over the folds. */
static gn_status matched_jobs(verification *v, const gn__crossfit *c, gn__job *job)
{
    gn__sample *s = &v->train.sample;
    for (size_t f = 0; f < c->folds; f++) {
        job[f].purpose = gn__purpose(KEY[GN_EVAL_TRAIN_TO_TEST_MATCHED]);
        job[f].index = f;
        GN__TRY(cut(v, s, NULL, c->fit_rows < s->n ? c->fit_rows : s->n, f + 1, &job[f].sample));
    }
    return gn__fit_jobs(v->ctx, &v->plan, job, c->folds, &v->steps, v->err);
}

static gn_status train_to_test_matched(verification *v)
{
    const gn_eval_kind kind = GN_EVAL_TRAIN_TO_TEST_MATCHED;
    const gn__sample *s = &v->test.sample;
    const gn__crossfit *c = v->cv + honest(v);
    gn_evaluation *e = v->out->eval + kind;
    if (v->train.missing != NULL || v->test.missing != NULL || !c->possible) {
        unavailable(v, kind,
                    v->train.missing  ? v->train.missing
                    : v->test.missing ? v->test.missing
                                      : NOTHING_TO_MATCH);
        return GN_OK;
    }
    size_t k = (size_t)s->classes;
    gn_status status = GN_OK;
    gn__job *job = gn__calloc(c->folds, sizeof *job);
    double *lambda = gn__calloc(c->folds, sizeof *lambda);
    float *logits = gn__calloc(s->n * k, sizeof *logits);
    if (!job || !lambda || !logits) {
        status = gn__no_memory(v->err, s->n * k * sizeof *logits);
        goto done;
    }
    GN__TRY_GOTO(matched_jobs(v, c, job), done);
    size_t majority_right = 0;
    for (size_t p = 0; p < s->n; p++) {
        const gn__job *j = job + c->fold[p];
        gn__probe_logits(&j->probe, s->x->data + (size_t)s->row[p] * s->x->cols, logits + p * k);
        majority_right += s->y[p] == gn__sample_majority(&j->sample);
    }
    for (size_t f = 0; f < c->folds; f++) lambda[f] = job[f].probe.lambda;
    qsort(lambda, c->folds, sizeof *lambda, by_value);
    e->lambda = lambda[(c->folds - 1) / 2];
    e->fit_rows = job[0].sample.n;
    e->majority = (double)majority_right / (double)s->n;
    GN__TRY_GOTO(judge(v, kind, s, (const float *const *)&logits, 1, NULL), done);
done:
    for (size_t f = 0; job != NULL && f < c->folds; f++) gn__job_free(job + f);
    free(job);
    free(lambda);
    free(logits);
    return status;
}

/* ---- differences --------------------------------------------------------------------------------- */

static gn_status compare(verification *v, const float *a, const float *b, const uint32_t *group,
                         const char *purpose, gn_paired *out)
{
    if (a == NULL || b == NULL) return GN_OK;
    return gn__paired_right(v->ctx, a, b, v->test.sample.n, group, v->plan.bootstrap, gn__purpose(purpose),
                            out, v->err);
}

static gn_status compare_all(verification *v)
{
    gn_probe_evidence *o = v->out;
    float *const *right = v->right;
    gn_eval_kind best = honest(v);
    const uint32_t *group = v->test.sample.group;
    GN__TRY(
        compare(v, right[best], v->cv[best].majority_right, group, "vs_majority", &o->test_cv_vs_majority));
    GN__TRY(compare(v, right[best], right[GN_EVAL_TRAIN_TO_TEST], group, "vs_train",
                    &o->test_cv_vs_train_to_test));
    GN__TRY(compare(v, right[GN_EVAL_TEST_CV_GROUPED], right[GN_EVAL_TEST_CV], group, "grouped",
                    &o->grouped_vs_ungrouped));
    GN__TRY(compare(v, right[GN_EVAL_TEST_CV_CLUSTERED], right[GN_EVAL_TEST_CV],
                    resampled_by(v, GN_EVAL_TEST_CV_CLUSTERED), "clustered", &o->clustered_vs_ungrouped));
    const gn_evaluation *to = o->eval + GN_EVAL_TRAIN_TO_TEST, *held = o->eval + GN_EVAL_TRAIN_HELDOUT;
    if (to->available && held->available) {
        o->transfer_gap.difference = gn__difference(to->scores.accuracy, held->scores.accuracy);
        o->transfer_gap.rows = to->scores.rows;
        o->transfer_gap.available = true;
    }
    return GN_OK;
}

/* ---- all of it ----------------------------------------------------------------------------------- */

static gn_status run_all(verification *v, const gn_probe_options *options)
{
    const gn_verify_input *in = v->in;
    if (in->train->cols != in->test->cols)
        return gn__fail(v->err, GN_INVALID_ARGUMENT,
                        "the embeddings of train have %zu columns, those of test %zu", in->train->cols,
                        in->test->cols);
    GN__TRY(gn__plan_make(options, &v->plan, v->err));
    GN__TRY(take_side(v, &v->train, in->train, in->train_label, in->train_group, NO_TRAIN_LABELS,
                      ONE_TRAIN_CLASS));
    GN__TRY(take_side(v, &v->test, in->test, in->test_label, in->test_group, NO_TEST_LABELS, ONE_TEST_CLASS));
    GN__TRY(cut_train(v));
    v->steps.total = 5 * (v->plan.lambda_count + 1);
    GN__TRY(within_test(v));
    GN__TRY(within_train(v));
    GN__TRY(train_to_test(v));
    GN__TRY(train_to_test_matched(v));
    GN__TRY(compare_all(v));
    gn__progress(v->ctx, GN_STAGE_VERIFY, v->steps.total, v->steps.total);
    return GN_OK;
}

gn_status gn_verify(gn_context *ctx, const gn_verify_input *in, const gn_probe_options *options,
                    gn_probe_evidence *out, gn_error *err)
{
    static const gn_paired none = {.difference = {NAN, NAN, NAN}, .p_value = NAN};
    memset(out, 0, sizeof *out);
    out->classes = in->classes;
    out->test_cv_vs_majority = out->test_cv_vs_train_to_test = out->grouped_vs_ungrouped = none;
    out->clustered_vs_ungrouped = out->test_cv_vs_control = out->train_to_test_vs_control = none;
    out->transfer_gap = none;
    verification v = {.ctx = ctx, .in = in, .out = out, .err = err};
    gn_status status = run_all(&v, options);
    const char *reason = v.test.missing ? v.test.missing : v.train.missing;
    for (int k = 0; k < GN_EVAL_COUNT; k++) {
        out->available = out->available || out->eval[k].available;
        gn__crossfit_free(v.cv + k);
        free(v.right[k]);
    }
    if (reason != NULL) snprintf(out->reason, sizeof out->reason, "%s", reason);
    gn__sample_free(&v.train.sample);
    gn__sample_free(&v.test.sample);
    gn__plan_free(&v.plan);
    free(v.cluster);
    if (status != GN_OK) gn_probe_evidence_free(out);
    return status;
}

void gn_probe_evidence_free(gn_probe_evidence *e)
{
    if (e == NULL) return;
    for (int k = 0; k < GN_EVAL_COUNT; k++) {
        free(e->eval[k].probability);
        free(e->eval[k].correct);
    }
    gn_probe_free(&e->train_probe);
    free(e->train_margin);
    free(e->test_margin);
    memset(e, 0, sizeof *e);
}
