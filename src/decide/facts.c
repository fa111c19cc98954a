#include "decide/facts.h"

#include <math.h>

const gn__thresholds gn__bar = {
#define VALUE(name, value, what) .name = (value),
    GN__THRESHOLD_LIST(VALUE)
#undef VALUE
};

static const gn_evaluation *evaluation(const gn_probe_evidence *p, gn_eval_kind kind)
{
    return p != NULL && p->eval[kind].available ? &p->eval[kind] : NULL;
}

static gn__truth both(gn__truth a, gn__truth b)
{
    if (a == GN__NO || b == GN__NO) return GN__NO;
    return a == GN__YES && b == GN__YES ? GN__YES : GN__UNKNOWN;
}

/* Share of the majority class's errors that an accuracy avoids. */
static double avoided(double accuracy, double majority)
{
    return majority < 1 ? (accuracy - majority) / (1 - majority) : 0;
}

/* Comparisons with NaN are false, so a missing figure ends in unknown, except the AUC's: it may be missing
 * alone (a class without rows in a fold), and is then left out. */
static gn__truth reaches(const gn_scores *s, double majority, double above_low)
{
    const gn_interval *a = &s->accuracy;
    bool has_auc = isfinite(s->auc.estimate);
    bool good =
        avoided(a->estimate, majority) >= gn__bar.avoided && (!has_auc || s->auc.estimate >= gn__bar.auc);
    if (good && above_low > 0) return GN__YES;
    if (avoided(a->high, majority) < gn__bar.avoided) return GN__NO;
    if (has_auc && s->auc.high < gn__bar.auc) return GN__NO;
    if (!good && a->high - a->low <= gn__bar.width) return GN__NO;
    return GN__UNKNOWN;
}

/* Rows that would narrow an interval of `rows` rows from half-width `half` to `target`: half-widths shrink
 * with the square root of the rows. */
static double rows_for(double rows, double half, double target)
{
    double n = rows * (half / target) * (half / target);
    return isfinite(n) ? n : 0;
}

/* Nothing to go by: rows for a 95 % interval of the bar's width at its widest, accuracy 0.5. */
static double rows_blind(void)
{
    return 4 * 1.96 * 1.96 * 0.25 / (gn__bar.width * gn__bar.width);
}

static double rows_to_separate(const gn__facts *f, double above_estimate, double above_low)
{
    if (f->own == NULL) return rows_blind();
    const gn_scores *s = &f->own->scores;
    double half = (s->accuracy.high - s->accuracy.low) / 2;
    double n = rows_for((double)s->rows, half, gn__bar.width / 2);
    if (above_estimate > 0 && !(above_low > 0))
        n = fmax(n, rows_for((double)s->rows, above_estimate - above_low, above_estimate));
    return n;
}

static gn__truth loss_is_small(const gn_paired *loss, double *rows)
{
    const gn_interval *d = &loss->difference;
    if (d->estimate <= gn__bar.loss && d->high <= gn__bar.worst_loss) return GN__YES;
    if (d->estimate > gn__bar.loss && d->low > 0) return GN__NO;
    double target = d->estimate > gn__bar.loss ? d->estimate : gn__bar.worst_loss - d->estimate;
    *rows = rows_for((double)loss->rows, (d->high - d->low) / 2, target);
    return GN__UNKNOWN;
}

static gn__truth beats(const gn_scores *s, double majority, double *rows)
{
    const gn_interval *a = &s->accuracy;
    if (a->low > majority) return GN__YES;
    if (a->estimate <= majority) return GN__NO;
    *rows = fmax(*rows, rows_for((double)s->rows, a->estimate - a->low, a->estimate - majority));
    return GN__UNKNOWN;
}

static void derive_separation(const gn_probe_evidence *p, gn__facts *f)
{
    f->own_reaches = GN__UNKNOWN;
    double above = NAN, above_low = NAN;
    if (f->own != NULL) {
        const gn_scores *s = &f->own->scores;
        above = s->accuracy.estimate - f->own->majority;
        above_low = s->accuracy.low - f->own->majority;
        if (p->test_cv_vs_majority.available) {
            above = p->test_cv_vs_majority.difference.estimate;
            above_low = p->test_cv_vs_majority.difference.low;
        }
        f->own_reaches = reaches(s, f->own->majority, above_low);
        const gn_evaluation *clustered = evaluation(p, GN_EVAL_TEST_CV_CLUSTERED);
        f->clusters_fall = f->own_reaches == GN__YES && !f->own_grouped && !f->groups_unusable &&
                           clustered != NULL && clustered->scores.accuracy.low <= clustered->majority;
        if (f->clusters_fall || (f->groups_unusable && f->own_reaches == GN__YES))
            f->own_reaches = GN__UNKNOWN;
    }
    gn__truth train = GN__UNKNOWN;
    if (f->transfer != NULL)
        train = reaches(&f->transfer->scores, f->majority, f->transfer->scores.accuracy.low - f->majority);
    f->fact[GN__FACT_TRAIN_REACHES] = train;
    gn__truth *separates = &f->fact[GN__FACT_SEPARATES];
    *separates = f->own_reaches;
    if (train == GN__YES)
        *separates = GN__YES;
    else if (f->own_reaches == GN__NO && f->transfer != NULL && train == GN__UNKNOWN)
        *separates = GN__UNKNOWN;
    if (*separates == GN__UNKNOWN && !f->clusters_fall)
        f->rows_separates = rows_to_separate(f, above, above_low);
}

static void derive_transfer(gn__facts *f)
{
    f->fact[GN__FACT_CARRIES] = GN__UNKNOWN;
    if (f->transfer == NULL) return;
    double rows = f->loss == NULL ? rows_blind() : 0;
    gn__truth small = f->loss != NULL ? loss_is_small(f->loss, &rows) : GN__UNKNOWN;
    f->fact[GN__FACT_CARRIES] = both(small, beats(&f->transfer->scores, f->majority, &rows));
    if (f->fact[GN__FACT_CARRIES] == GN__UNKNOWN) f->rows_carries = rows;
}

static bool above(const gn_finetune_run *a, const gn_finetune_run *b)
{
    return b == NULL || a->vs_probe.difference.estimate > b->vs_probe.difference.estimate;
}

static void derive_tuning(const gn_finetune_evidence *t, gn__facts *f)
{
    const double level = 0.05;
    bool ruled_out = true;
    f->fact[GN__FACT_TUNED] = GN__NO;
    f->fact[GN__FACT_TUNING_HELPS] = GN__UNKNOWN;
    for (size_t i = 0; t != NULL && i < t->runs; i++) {
        const gn_finetune_run *r = &t->run[i];
        const gn_seeded *d = &r->vs_probe;
        if (!d->available) continue;
        f->fact[GN__FACT_TUNED] = GN__YES;
        ruled_out = ruled_out && d->difference.high < t->worthwhile;
        bool sure = !(d->p_holm > level); /* NaN: one difference, nothing to correct */
        if (d->answer == GN_FINETUNE_HELPS && sure) {
            if (above(r, f->helps)) f->helps = r;
        } else if (d->answer == GN_FINETUNE_HURTS) {
            if (f->hurts == NULL || above(f->hurts, r)) f->hurts = r;
        } else if (above(r, f->open)) {
            f->open = r;
        }
    }
    if (f->fact[GN__FACT_TUNED] == GN__NO) return;
    if (f->helps != NULL)
        f->fact[GN__FACT_TUNING_HELPS] = GN__YES;
    else if (ruled_out)
        f->fact[GN__FACT_TUNING_HELPS] = GN__NO;
    else if (f->open != NULL)
        f->rows_tuning = (double)f->open->vs_probe.rows_needed;
}

void gn__facts_derive(const gn_evidence *e, gn__facts *out)
{
    static const gn__truth different[] = {[GN_SHIFT_DIFFERENT] = GN__YES,
                                          [GN_SHIFT_EQUIVALENT] = GN__NO,
                                          [GN_SHIFT_NOT_ENOUGH_DATA] = GN__UNKNOWN};
    const gn_probe_evidence *p = e->probe;
    *out = (gn__facts){0};
    out->own = evaluation(p, GN_EVAL_TEST_CV_GROUPED);
    out->own_grouped = out->own != NULL;
    if (out->own == NULL) out->own = evaluation(p, GN_EVAL_TEST_CV);
    out->groups_unusable = e->grouped && out->own != NULL && !out->own_grouped;
    out->transfer = evaluation(p, GN_EVAL_TRAIN_TO_TEST);
    out->heldout = evaluation(p, GN_EVAL_TRAIN_HELDOUT);
    out->loss =
        p != NULL && p->test_cv_vs_train_to_test.available && out->own != NULL && out->transfer != NULL
            ? &p->test_cv_vs_train_to_test
            : NULL;
    out->test_labelled = out->own != NULL || out->transfer != NULL;
    out->train_labelled = out->heldout != NULL || out->transfer != NULL;
    out->majority =
        fmax(out->own != NULL ? out->own->majority : 0, out->transfer != NULL ? out->transfer->majority : 0);
    out->fact[GN__FACT_LABELLED] = out->transfer != NULL ? GN__YES : GN__NO;
    out->fact[GN__FACT_DIFFERENT] = different[e->shift->answer];
    if (out->fact[GN__FACT_DIFFERENT] == GN__UNKNOWN) out->rows_shift = (double)e->shift->rows_needed;
    derive_separation(p, out);
    derive_transfer(out);
    derive_tuning(e->finetune, out);
}
