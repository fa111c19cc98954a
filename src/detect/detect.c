/* The three-way answer: kernel test for "is it real", domain classifier for "how large". */
#include "detect/detect.h"
#include "tensor/statistics.h"

enum { MOST_NEEDED = 1000000 };
/* 97.5 % and 80 % points of the normal: an interval's end beyond the tolerance with 80 % probability. */
static const double z_sum = GN__Z95 + 0.8416212335729143;

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
 * (1/n_a + 1/n_b) / 12 (Hanley & McNeil 1982), doubled by cross-validation, shown to be equivalent; and 30 %
 * more, because two intervals have to lie below the tolerance (simulated: docs/method.md). */
static size_t rows_needed_blind(const gn_shift *s, size_t min_rows)
{
    size_t smaller = s->rows_a < s->rows_b ? s->rows_a : s->rows_b;
    size_t larger = s->rows_a < s->rows_b ? s->rows_b : s->rows_a;
    double ratio = larger > 0 ? (double)smaller / (double)larger : 1, distance = fabs(logit(s->tolerance));
    double needed = ceil((1 + ratio) / 12 * 2.6 * 16 * (z_sum / distance) * (z_sum / distance));
    if (needed < (double)min_rows) needed = (double)min_rows;
    return needed < MOST_NEEDED ? (size_t)needed : (size_t)MOST_NEEDED;
}

/* Is the AUC shown to lie below the tolerance? No classifier is truly worse than chance: an estimate below
 * 1/2 is bad luck, and must not shorten the way to "equivalent". */
static bool shown_small(const gn_shift *s, gn__auc_sums auc, size_t units)
{
    auc.estimate = fmax(auc.estimate, 0.5);
    return gn__auc_interval(auc, units).high < s->tolerance;
}

/* Different: either classifier shows it. Equivalent: neither leaves room for it. Rows are counted for the way
 * that the estimates point: to show the larger where one lies beyond the tolerance, else to bound both. */
static void answer(gn_shift *s, const gn__auc_sums auc[2])
{
    size_t smaller = s->units_a < s->units_b ? s->units_a : s->units_b, needed[2] = {0};
    bool small[2], beyond[2];
    s->auc = gn__auc_interval(auc[0], smaller);
    s->auc_curved = gn__auc_interval(auc[1], smaller);
    for (int k = 0; k < 2; k++) {
        small[k] = shown_small(s, auc[k], smaller);
        beyond[k] = auc[k].estimate > s->tolerance;
        gn__auc_sums kept = auc[k];
        kept.estimate = fmax(kept.estimate, 0.5);
        if (!small[k]) needed[k] = rows_needed(s, kept);
    }
    if (s->p_value <= s->alpha && fmax(s->auc.low, s->auc_curved.low) > s->tolerance)
        s->answer = GN_SHIFT_DIFFERENT;
    else if (small[0] && small[1])
        s->answer = GN_SHIFT_EQUIVALENT;
    else if (beyond[0] && beyond[1])
        s->rows_needed = needed[0] < needed[1] ? needed[0] : needed[1];
    else if (beyond[0] || beyond[1])
        s->rows_needed = needed[beyond[1]];
    else
        s->rows_needed = needed[0] > needed[1] ? needed[0] : needed[1];
}

void gn_shift_adjust(gn_shift *s, double p_holm)
{
    s->p_holm = p_holm;
    if (s->answer != GN_SHIFT_DIFFERENT || p_holm <= s->alpha) return;
    size_t smaller = s->rows_a < s->rows_b ? s->rows_a : s->rows_b;
    const gn_interval *larger = s->auc_curved.low > s->auc.low ? &s->auc_curved : &s->auc;
    double p = fmin(larger->estimate, 0.999), high = fmin(larger->high, 0.9999);
    double ratio = z_sum * (logit(high) - logit(p)) / GN__Z95 / logit(p);
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
    gn__auc_sums auc[2];
    gn_shift shift;
    gn_status status = GN_OK;
    if (!(o.alpha < 1) || !(o.tolerance > 0.5 && o.tolerance < 1))
        return gn__fail(err, GN_INVALID_ARGUMENT,
                        "alpha must lie in (0, 1) and the tolerance, an AUC, in (0.5, 1); got %g and %g",
                        o.alpha, o.tolerance);
    gn__progress(ctx, GN_STAGE_DETECT, 0, o.folds + 1);
    if (!o.allow_part) GN__TRY(gn__check_part(ctx, a, b, err));
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
    GN__TRY_GOTO(gn__domain_classifier(ctx, a, b, &units[0], &units[1], &o, score_a, score_b, &auc[0], err),
                 done);
    GN__TRY_GOTO(gn__curved_classifier(ctx, a, b, &units[0], &units[1], &o, &auc[1], err), done);
    answer(&shift, auc);
    *out = shift;
done:
    gn__units_free(&units[0]);
    gn__units_free(&units[1]);
    return status;
}

gn_status gn_detect_pairs(gn_context *ctx, const gn_matrix *set, size_t sets, const uint32_t *const *group,
                          const gn_detect_options *options, gn_shift *out, gn_error *err)
{
    if (sets < 2)
        return gn__fail(err, GN_INVALID_ARGUMENT, "two sets or more are needed to compare; there are %zu",
                        sets);
    size_t pairs = sets * (sets - 1) / 2, k = 0;
    gn_shift *shift = gn__calloc(pairs, sizeof *shift);
    double *p = gn__calloc(pairs, sizeof *p);
    gn_status status = shift && p ? GN_OK : gn__no_memory(err, pairs * sizeof *shift);
    gn_detect_options o = gn__detect_defaults(options);
    uint64_t purpose = o.purpose;
    /* so many that Holm's smallest p-value, pairs / (B + 1), can still fall well below alpha */
    size_t permutations = (size_t)(10 * (double)pairs / o.alpha) - 1;
    if (pairs > 1 && o.permutations < permutations) o.permutations = permutations;
    for (size_t i = 0; i < sets && status == GN_OK; i++)
        for (size_t j = i + 1; j < sets && status == GN_OK; j++, k++) {
            o.purpose = purpose + (k << 32);
            o.group_a = group ? group[i] : NULL;
            o.group_b = group ? group[j] : NULL;
            status = gn_detect(ctx, &set[i], &set[j], &o, &shift[k], NULL, NULL, err);
            p[k] = shift[k].p_value;
        }
    if (status == GN_OK) {
        gn_holm(p, pairs);
        for (k = 0; k < pairs; k++) gn_shift_adjust(&shift[k], p[k]);
        memcpy(out, shift, pairs * sizeof *shift);
    }
    free(shift);
    free(p);
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
