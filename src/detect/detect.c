/* The three-way answer: kernel test for "is it real", domain classifier for "how large". */
#include "detect/detect.h"

enum { MOST_NEEDED = 1000000 };
/* 97.5 % and 80 % points of the normal: an interval's end beyond the tolerance with 80 % probability. */
static const double z_sum = 1.959963984540054 + 0.8416212335729143;

static double logit(double p)
{
    return log(p / (1 - p));
}

/* Rows in the smaller set at which the interval would leave the tolerance to one side with 80 % probability,
 * if the AUC is as estimated: the standard error of its logit falls with the root of the rows. */
static size_t rows_needed(const gn_shift *s, gn__auc_sums auc)
{
    size_t smaller = s->rows_a < s->rows_b ? s->rows_a : s->rows_b;
    double p = fmin(fmax(auc.estimate, 0.001), 0.999), distance = fabs(logit(p) - logit(s->tolerance));
    double se = auc.variance > 0 ? sqrt(auc.variance) / (p * (1 - p)) : 4 * sqrt(1 / (3 * (double)smaller));
    double needed = ceil((double)smaller * (z_sum * se / distance) * (z_sum * se / distance));
    if (!(needed < MOST_NEEDED)) return MOST_NEEDED;
    return needed > (double)smaller ? (size_t)needed : smaller + 1;
}

/* The same before anything could be measured: two equal populations, whose AUC has the variance
 * (1/n_a + 1/n_b) / 12 (Hanley & McNeil 1982), doubled by cross-validation, shown to be equivalent. */
static size_t rows_needed_blind(const gn_shift *s, size_t min_rows)
{
    size_t smaller = s->rows_a < s->rows_b ? s->rows_a : s->rows_b;
    size_t larger = s->rows_a < s->rows_b ? s->rows_b : s->rows_a;
    double ratio = larger > 0 ? (double)smaller / (double)larger : 1, distance = fabs(logit(s->tolerance));
    double needed = ceil((1 + ratio) / 12 * 2 * 16 * (z_sum / distance) * (z_sum / distance));
    if (needed < (double)min_rows) needed = (double)min_rows;
    return needed < MOST_NEEDED ? (size_t)needed : (size_t)MOST_NEEDED;
}

static void answer(gn_shift *s, gn__auc_sums auc)
{
    size_t smaller = s->units_a < s->units_b ? s->units_a : s->units_b;
    s->auc = gn__auc_interval(auc, smaller);
    /* No classifier is truly worse than chance: an estimate below 1/2 is bad luck, and must not shorten the
     * way to "equivalent". */
    auc.estimate = fmax(auc.estimate, 0.5);
    double high = gn__auc_interval(auc, smaller).high;
    if (s->p_value <= s->alpha && s->auc.low > s->tolerance)
        s->answer = GN_SHIFT_DIFFERENT;
    else if (high < s->tolerance)
        s->answer = GN_SHIFT_EQUIVALENT;
    else
        s->rows_needed = rows_needed(s, auc);
}

void gn_shift_adjust(gn_shift *s, double p_holm)
{
    s->p_holm = p_holm;
    if (s->answer != GN_SHIFT_DIFFERENT || p_holm <= s->alpha) return;
    size_t smaller = s->rows_a < s->rows_b ? s->rows_a : s->rows_b;
    double p = fmin(s->auc.estimate, 0.999), high = fmin(s->auc.high, 0.9999);
    double ratio = z_sum * (logit(high) - logit(p)) / 1.959963984540054 / logit(p);
    double needed = ceil((double)smaller * ratio * ratio);
    s->answer = GN_SHIFT_NOT_ENOUGH_DATA;
    s->rows_needed = needed < MOST_NEEDED ? (size_t)needed : MOST_NEEDED;
    if (s->rows_needed <= smaller) s->rows_needed = smaller + 1;
}

static void no_scores(float *score, size_t n)
{
    for (size_t i = 0; score != NULL && i < n; i++) score[i] = NAN;
}

gn_status gn_detect(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, const gn_detect_options *options,
                    gn_shift *out, float *score_a, float *score_b, gn_error *err)
{
    gn_detect_options o = gn__detect_defaults(options);
    gn__units units[2] = {{0}};
    gn__auc_sums auc;
    gn_shift shift;
    gn_status status = GN_OK;
    if (!(o.alpha < 1) || !(o.tolerance > 0.5 && o.tolerance < 1))
        return gn__fail(err, GN_INVALID_ARGUMENT,
                        "alpha must lie in (0, 1) and the tolerance, an AUC, in (0.5, 1); got %g and %g",
                        o.alpha, o.tolerance);
    gn__progress(ctx, GN_STAGE_DETECT, 0, o.folds + 1);
    GN__TRY(gn_kernel_test(ctx, a, b, &o, &shift, err));
    if (isnan(shift.p_value)) {
        shift.rows_needed = rows_needed_blind(&shift, o.min_rows);
        no_scores(score_a, a->rows);
        no_scores(score_b, b->rows);
        *out = shift;
        return GN_OK;
    }
    gn__progress(ctx, GN_STAGE_DETECT, 1, o.folds + 1);
    GN__TRY_GOTO(gn__units_make(o.group_a, a->rows, &units[0], err), done);
    GN__TRY_GOTO(gn__units_make(o.group_b, b->rows, &units[1], err), done);
    GN__TRY_GOTO(gn__domain_classifier(ctx, a, b, &units[0], &units[1], &o, score_a, score_b, &auc, err),
                 done);
    answer(&shift, auc);
    *out = shift;
done:
    gn__units_free(&units[0]);
    gn__units_free(&units[1]);
    return status;
}

void gn_holm(double *p, size_t n)
{
    size_t tested = 0;
    double running = 0;
    for (size_t i = 0; i < n; i++) tested += !isnan(p[i]);
    /* Smallest first; what is done is kept as -1 - adjusted until the end, so no memory is needed. */
    for (size_t k = 0; k < tested; k++) {
        size_t least = n;
        for (size_t i = 0; i < n; i++)
            if (p[i] >= 0 && (least == n || p[i] < p[least])) least = i;
        if (least == n) break;
        running = fmax(running, fmin(1, (double)(tested - k) * p[least]));
        p[least] = -1 - running;
    }
    for (size_t i = 0; i < n; i++)
        if (p[i] < 0) p[i] = -1 - p[i];
}
