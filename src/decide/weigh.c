/* Which reasons the evidence gives, which way each speaks under the verdict, and how strongly. */
#include "decide/judge.h"

#include <math.h>

/* Per verdict (linear_probe, fix_data, fine_tune, rethink_data, more_data): F for, A against, N note, and the
 * strength, 9 the strongest. Under more_data what is open speaks for it and what is known is a note. */
static const char weight[][GN_VERDICT_COUNT][3] = {
    [GN__REASON_SHIFT_DIFFERENT] = {"A6", "F8", "A9", "F8", "N6"},
    [GN__REASON_SHIFT_EQUIVALENT] = {"F6", "N6", "F8", "A9", "N5"},
    [GN__REASON_SHIFT_UNKNOWN] = {"N6", "N6", "A8", "A8", "F8"},
    [GN__REASON_SHIFT_CURVED] = {"N6", "N6", "N6", "N6", "N6"},
    [GN__REASON_SHIFT_NOT_TESTED] = {"N6", "N6", "A8", "A8", "F8"},
    [GN__REASON_SHIFT_IN_LABEL] = {"A5", "F6", "A5", "F6", "N4"},
    [GN__REASON_SHIFT_IN_LABEL_MIX] = {"N5", "F6", "N5", "F6", "N4"},
    [GN__REASON_SHIFT_IN_SPELLING] = {"N3", "N3", "N3", "N3", "N3"},
    [GN__REASON_SHIFT_ONLY_IN_MODEL] = {"N3", "N3", "N3", "N3", "N3"},
    [GN__REASON_SHIFT_ONLY_IN_SPELLING] = {"N3", "N3", "N3", "N3", "N3"},
    [GN__REASON_KIND_LABEL] = {"N3", "N3", "N3", "N3", "N3"},
    [GN__REASON_KIND_CONCEPT] = {"N4", "N4", "N4", "N4", "N4"},
    [GN__REASON_NOT_COVERED] = {"N3", "N3", "N3", "N3", "N3"},
    [GN__REASON_OVERLAP_LOW] = {"A4", "F5", "A4", "F5", "N4"},
    [GN__REASON_OVERLAP_AS_HALVES] = {"F4", "A4", "F5", "A4", "N4"},
    [GN__REASON_SHIFT_OFF_PC1] = {"N4", "N4", "N4", "N4", "N4"},
    [GN__REASON_SEPARATES] = {"F9", "F7", "A9", "A9", "N7"},
    [GN__REASON_SEPARATES_GROUPED] = {"F9", "F7", "A9", "A9", "N7"},
    [GN__REASON_SEPARATES_BY_TRAIN] = {"F9", "F6", "A9", "A9", "N7"},
    [GN__REASON_NOT_SEPARATED] = {"A7", "A7", "F9", "F9", "N7"},
    [GN__REASON_NOT_SEPARATED_GROUPED] = {"A7", "A7", "F9", "F9", "N7"},
    [GN__REASON_SEPARATION_UNKNOWN] = {"A7", "A6", "A9", "A9", "F9"},
    [GN__REASON_CARRIES] = {"F8", "A8", "N5", "A7", "N6"},
    [GN__REASON_TRAIN_TEACHES_MORE] = {"F8", "A8", "N5", "A7", "N6"},
    [GN__REASON_DOES_NOT_CARRY] = {"A9", "F9", "A6", "F6", "N6"},
    [GN__REASON_CARRIES_UNKNOWN] = {"A7", "A7", "N4", "N4", "F9"},
    [GN__REASON_TRAIN_AT_MAJORITY] = {"A9", "F8", "A6", "F7", "N6"},
    [GN__REASON_TRAIN_SIZE_HELPS] = {"N3", "N3", "N4", "N3", "N3"},
    [GN__REASON_HELDOUT_HIGHER] = {"A4", "F6", "A4", "F4", "N4"},
    [GN__REASON_HELDOUT_LOWER] = {"N5", "N5", "N4", "N4", "N4"},
    [GN__REASON_GROUPS_GIVE_AWAY] = {"A6", "A5", "F6", "F6", "N6"},
    [GN__REASON_GROUPS_SURVIVED] = {"F5", "F4", "N3", "N3", "N3"},
    [GN__REASON_FEW_GROUPS] = {"A5", "A4", "A4", "A4", "F5"},
    [GN__REASON_GROUPS_UNUSABLE] = {"A7", "A6", "A5", "A5", "F9"},
    [GN__REASON_CLUSTERS_GIVE_AWAY] = {"A6", "A5", "N4", "N4", "N6"},
    [GN__REASON_CLUSTERS_AT_MAJORITY] = {"A7", "A6", "F5", "F5", "F9"},
    [GN__REASON_CLUSTERS_SURVIVED] = {"F4", "F3", "N2", "N2", "N2"},
    [GN__REASON_TUNING_HELPS] = {"A8", "A7", "F9", "A8", "N7"},
    [GN__REASON_TUNING_HURTS] = {"F6", "F5", "N5", "F6", "N5"},
    [GN__REASON_TUNING_UNKNOWN] = {"N5", "N5", "A7", "N6", "F8"},
    [GN__REASON_SPELLING_AS_GOOD] = {"A5", "A4", "F5", "F5", "N4"},
    [GN__REASON_SPELLING_BETTER] = {"A6", "A5", "F6", "F6", "N5"},
    [GN__REASON_MODEL_BEATS_SPELLING] = {"F5", "F4", "A4", "A4", "N3"},
    [GN__REASON_CALIBRATION_POOR] = {"A4", "N3", "N2", "N2", "N2"},
    [GN__REASON_CLASS_IMBALANCE] = {"A4", "A4", "A4", "A4", "N4"},
    [GN__REASON_SMALL_TEST] = {"A6", "A5", "A6", "A6", "F5"},
    [GN__REASON_LABELS_MISSING] = {"A8", "A9", "A7", "A7", "F9"},
    [GN__REASON_LABELS_MISSING_TRAIN] = {"A8", "A9", "A7", "A7", "F9"},
    [GN__REASON_LABELS_MISSING_TEST] = {"A8", "A9", "A7", "A7", "F9"},
    [GN__REASON_CUT_TEXTS] = {"A3", "A3", "A3", "A3", "N3"},
    [GN__REASON_DUPLICATES_REMOVED] = {"N2", "N2", "N2", "N2", "N2"},
    [GN__REASON_DUPLICATES_KEPT] = {"A5", "A4", "A4", "A4", "A5"},
    [GN__REASON_CONFLICTING_LABELS] = {"A3", "F4", "A3", "F4", "N3"},
};

#define ADD(id, ...) add(v, GN__REASON_##id, (const double[6]){__VA_ARGS__})

gn_reason gn__reason_make(gn__reason_id id, gn_stance stance, const double value[6])
{
    const gn__reason_info *info = gn__reason_get(id);
    gn_reason r = {.id = info->id, .stance = stance, .values = info->values};
    for (int i = 0; i < r.values; i++) r.value[i] = value[i];
    return r;
}

bool gn__has_reason(const gn_verdict *v, gn__reason_id id)
{
    const char *name = gn__reason_get(id)->id;
    for (int i = 0; i < v->reasons; i++)
        if (strcmp(v->reason[i].id, name) == 0) return true;
    return false;
}

static int strength(const gn_reason *r, gn_verdict_code code)
{
    return weight[gn__reason_find(r->id)][code][1];
}

/* Keeps the list sorted, the strongest first, equals in the order added; the weakest falls off a full list.
 */
static void add(gn_verdict *v, gn__reason_id id, const double value[6])
{
    char letter = weight[id][v->code][0];
    gn_stance stance = letter == 'F' ? GN_FOR : letter == 'A' ? GN_AGAINST : GN_NOTE;
    gn_reason r = gn__reason_make(id, stance, value);
    int at = v->reasons;
    while (at > 0 && strength(&v->reason[at - 1], v->code) < strength(&r, v->code)) at--;
    if (at == GN_MAX_REASONS) return;
    int moved = (v->reasons < GN_MAX_REASONS ? v->reasons : GN_MAX_REASONS - 1) - at;
    memmove(&v->reason[at + 1], &v->reason[at], (size_t)moved * sizeof r);
    v->reason[at] = r;
    if (v->reasons < GN_MAX_REASONS) v->reasons++;
}

/* The most shifted labels at most, so that many classes do not drown the rest. */
enum { LABELS_SHOWN = 3 };

/* The AUC that the answer rests on: the curved classifier's where the linear one alone would have said
 * otherwise. */
static const gn_interval *telling(const gn_shift *s)
{
    const gn_interval *a = &s->auc, *c = &s->auc_curved;
    bool decides = s->answer == GN_SHIFT_DIFFERENT ? a->low <= s->tolerance && c->low > s->tolerance
                                                   : a->high < s->tolerance && c->high >= s->tolerance;
    return s->answer != GN_SHIFT_EQUIVALENT && decides ? c : a;
}

static void weigh_labels(const gn_evidence *e, gn_verdict *v)
{
    size_t equivalent = 0;
    for (size_t l = 0; l < e->labels; l++) equivalent += e->by_label[l].answer == GN_SHIFT_EQUIVALENT;
    if (e->labels > 0 && equivalent == e->labels && e->shift->answer == GN_SHIFT_DIFFERENT)
        ADD(SHIFT_IN_LABEL_MIX, (double)e->labels);
    const gn_shift *last = NULL; /* in the order of (AUC falling, label rising) */
    for (int shown = 0; shown < LABELS_SHOWN; shown++) {
        const gn_shift *worst = NULL;
        for (size_t l = 0; l < e->labels; l++) {
            const gn_shift *s = &e->by_label[l];
            double auc = telling(s)->estimate, of_last = last == NULL ? INFINITY : telling(last)->estimate;
            bool later = auc < of_last || (auc == of_last && s > last);
            if (s->answer == GN_SHIFT_DIFFERENT && later && (worst == NULL || auc > telling(worst)->estimate))
                worst = s;
        }
        if (worst == NULL) return;
        last = worst;
        const gn_interval *a = telling(worst);
        ADD(SHIFT_IN_LABEL, (double)(worst - e->by_label), a->estimate, a->low, a->high, worst->p_holm);
    }
}

/* What kind of shift it is and where: told, and never decisive. */
static void weigh_kind(const gn_evidence *e, gn_verdict *v)
{
    const gn_kind *k = e->kind;
    if (k != NULL && k->available) {
        const gn_kind_part *label = &k->part[GN_KIND_LABEL], *concept_part = &k->part[GN_KIND_CONCEPT];
        if (label->answer == GN_SHIFT_DIFFERENT)
            ADD(KIND_LABEL, label->effect.estimate, label->effect.low, label->effect.high, label->p_value);
        if (concept_part->answer == GN_SHIFT_DIFFERENT)
            ADD(KIND_CONCEPT, concept_part->label, concept_part->effect.estimate, concept_part->effect.low,
                concept_part->effect.high, concept_part->p_value);
    }
    const gn_where *w = e->where;
    if (w != NULL && w->coverage_available && w->coverage.high < w->expected.low)
        ADD(NOT_COVERED, w->coverage.estimate, w->coverage.low, w->coverage.high, w->expected.estimate);
}

static void weigh_overlap(const gn_evidence *e, gn_verdict *v)
{
    const gn_overlap *o = e->overlap_pc1;
    if (o == NULL || !isfinite(o->overlap.estimate) || !isfinite(o->yardstick.low)) return;
    bool below = o->overlap.high < o->yardstick.low;
    if (below)
        ADD(OVERLAP_LOW, o->overlap.estimate, o->yardstick.low, o->yardstick.high);
    else if (e->shift->answer == GN_SHIFT_DIFFERENT)
        ADD(SHIFT_OFF_PC1, o->overlap.estimate, telling(e->shift)->estimate);
    else
        ADD(OVERLAP_AS_HALVES, o->overlap.estimate, o->yardstick.low, o->yardstick.high);
}

static void weigh_shift(const gn_evidence *e, gn_verdict *v)
{
    const gn_shift *s = e->shift;
    const gn_interval *a = telling(s);
    if (s->answer == GN_SHIFT_DIFFERENT)
        ADD(SHIFT_DIFFERENT, a->estimate, a->low, a->high, s->p_value, s->tolerance);
    else if (s->answer == GN_SHIFT_EQUIVALENT)
        ADD(SHIFT_EQUIVALENT, a->estimate, a->low, a->high, s->tolerance);
    else if (isfinite(a->estimate))
        ADD(SHIFT_UNKNOWN, a->estimate, a->low, a->high, s->tolerance, (double)s->rows_needed);
    else
        ADD(SHIFT_NOT_TESTED, (double)s->rows_a, (double)s->rows_b);
    if (s->answer == GN_SHIFT_DIFFERENT && a == &s->auc_curved)
        ADD(SHIFT_CURVED, s->auc.estimate, s->auc_curved.estimate);

    const gn_shift *c = e->control_shift;
    if (c != NULL) {
        bool model = s->answer == GN_SHIFT_DIFFERENT, control = c->answer == GN_SHIFT_DIFFERENT;
        if (model && control)
            ADD(SHIFT_IN_SPELLING, c->auc.estimate, a->estimate);
        else if (model && c->answer == GN_SHIFT_EQUIVALENT)
            ADD(SHIFT_ONLY_IN_MODEL, c->auc.estimate, a->estimate);
        else if (control && s->answer == GN_SHIFT_EQUIVALENT)
            ADD(SHIFT_ONLY_IN_SPELLING, c->auc.estimate, a->estimate);
    }
    weigh_labels(e, v);
    weigh_kind(e, v);
    weigh_overlap(e, v);
}

static void weigh_separation(const gn__facts *f, gn_verdict *v)
{
    if (f->own != NULL && !f->clusters_fall) {
        static const gn__reason_id ids[][2] = {
            [GN__YES] = {GN__REASON_SEPARATES, GN__REASON_SEPARATES_GROUPED},
            [GN__NO] = {GN__REASON_NOT_SEPARATED, GN__REASON_NOT_SEPARATED_GROUPED},
            [GN__UNKNOWN] = {GN__REASON_SEPARATION_UNKNOWN, GN__REASON_SEPARATION_UNKNOWN}};
        const gn_scores *s = &f->own->scores;
        add(v, ids[f->own_reaches][f->own_grouped],
            (const double[6]){s->accuracy.estimate, s->accuracy.low, s->accuracy.high, f->own->majority,
                              s->auc.estimate});
    }
    if (f->own_reaches != GN__YES && f->fact[GN__FACT_TRAIN_REACHES] == GN__YES) {
        const gn_scores *s = &f->transfer->scores;
        ADD(SEPARATES_BY_TRAIN, s->accuracy.estimate, s->accuracy.low, s->accuracy.high, f->majority,
            s->auc.estimate);
    }
}

static void weigh_transfer(const gn_probe_evidence *p, const gn__facts *f, gn_verdict *v)
{
    if (f->transfer == NULL) return;
    const gn_scores *s = &f->transfer->scores;
    bool at_majority = s->accuracy.estimate <= f->majority;
    if (at_majority) ADD(TRAIN_AT_MAJORITY, s->accuracy.estimate, s->accuracy.low, f->majority);
    if (f->loss != NULL) {
        const gn_interval *d = &f->loss->difference;
        gn__truth carries = f->fact[GN__FACT_CARRIES];
        bool loses = d->estimate > gn__bar.loss && d->low > 0;
        gn__reason_id id = carries == GN__YES
                               ? d->high < 0 ? GN__REASON_TRAIN_TEACHES_MORE : GN__REASON_CARRIES
                           : carries == GN__NO ? GN__REASON_DOES_NOT_CARRY
                                               : GN__REASON_CARRIES_UNKNOWN;
        if (!at_majority || loses) /* else the majority says it all */
            add(v, id,
                (const double[6]){s->accuracy.estimate, f->own->scores.accuracy.estimate, d->estimate, d->low,
                                  d->high});
    }
    const gn_evaluation *matched = &p->eval[GN_EVAL_TRAIN_TO_TEST_MATCHED];
    if (matched->available && matched->fit_rows < f->transfer->fit_rows &&
        s->accuracy.estimate - matched->scores.accuracy.estimate > gn__bar.loss)
        ADD(TRAIN_SIZE_HELPS, s->accuracy.estimate, matched->scores.accuracy.estimate,
            (double)f->transfer->fit_rows, (double)matched->fit_rows);
    const gn_interval *gap = &p->transfer_gap.difference;
    if (f->heldout != NULL && p->transfer_gap.available && fabs(gap->estimate) >= gn__bar.gap) {
        double held = f->heldout->scores.accuracy.estimate;
        if (gap->high < 0)
            ADD(HELDOUT_HIGHER, held, s->accuracy.estimate, -gap->high, -gap->low);
        else if (gap->low > 0)
            ADD(HELDOUT_LOWER, held, s->accuracy.estimate, gap->low, gap->high);
    }
}

static void weigh_groups(const gn_probe_evidence *p, const gn__facts *f, gn_verdict *v)
{
    const gn_evaluation *cv = &p->eval[GN_EVAL_TEST_CV], *clustered = &p->eval[GN_EVAL_TEST_CV_CLUSTERED];
    double plain = cv->scores.accuracy.estimate;
    if (f->own_grouped) {
        if (f->own->scores.units < (size_t)gn__bar.few_groups) ADD(FEW_GROUPS, (double)f->own->scores.units);
        const gn_interval *d = &p->grouped_vs_ungrouped.difference;
        if (!p->grouped_vs_ungrouped.available) return;
        if (d->high < 0 && -d->estimate > gn__bar.loss)
            ADD(GROUPS_GIVE_AWAY, plain, f->own->scores.accuracy.estimate, d->low, d->high);
        else
            ADD(GROUPS_SURVIVED, plain, f->own->scores.accuracy.estimate);
        return;
    }
    if (f->groups_unusable) ADD(GROUPS_UNUSABLE, plain);
    if (f->groups_unusable || !clustered->available || !cv->available) return;
    const gn_interval *d = &p->clustered_vs_ungrouped.difference;
    double held = clustered->scores.accuracy.estimate;
    if (f->clusters_fall)
        ADD(CLUSTERS_AT_MAJORITY, plain, held, clustered->majority);
    else if (p->clustered_vs_ungrouped.available && d->high < 0 && -d->estimate > gn__bar.loss)
        ADD(CLUSTERS_GIVE_AWAY, plain, held, (double)p->clusters);
    else if (f->own_reaches == GN__YES)
        ADD(CLUSTERS_SURVIVED, plain, held, (double)p->clusters);
}

/* The model beside the lexical control, on the figure that the verdict leans on. */
static void weigh_control(const gn_evidence *e, const gn__facts *f, gn_verdict *v)
{
    const gn_paired *d = &e->probe->test_cv_vs_control;
    if (e->control_probe == NULL || f->own == NULL || !d->available) return;
    gn_eval_kind kind = f->own_grouped ? GN_EVAL_TEST_CV_GROUPED : GN_EVAL_TEST_CV;
    const gn_evaluation *control = &e->control_probe->eval[kind];
    if (!control->available) return;
    gn__reason_id id = d->difference.low > 0    ? GN__REASON_MODEL_BEATS_SPELLING
                       : d->difference.high < 0 ? GN__REASON_SPELLING_BETTER
                                                : GN__REASON_SPELLING_AS_GOOD;
    add(v, id,
        (const double[6]){f->own->scores.accuracy.estimate, control->scores.accuracy.estimate,
                          d->difference.low, d->difference.high});
}

static void weigh_run(const gn_finetune_run *r, gn__reason_id id, gn_verdict *v)
{
    if (r == NULL) return;
    const gn_interval *d = &r->vs_probe.difference;
    add(v, id, (const double[6]){r->method, r->source, d->estimate, d->low, d->high});
}

/* What cannot be told is said where nothing helps. */
static void weigh_tuning(const gn__facts *f, gn_verdict *v)
{
    weigh_run(f->helps, GN__REASON_TUNING_HELPS, v);
    weigh_run(f->hurts, GN__REASON_TUNING_HURTS, v);
    if (f->helps == NULL) weigh_run(f->open, GN__REASON_TUNING_UNKNOWN, v);
}

static void weigh_scores(const gn__facts *f, gn_verdict *v)
{
    const gn_evaluation *used = f->transfer != NULL ? f->transfer : f->own;
    if (used == NULL) return;
    if (used->scores.calibration.estimate > gn__bar.calibration)
        ADD(CALIBRATION_POOR, used->scores.calibration.estimate);
    if (f->majority > gn__bar.imbalance)
        ADD(CLASS_IMBALANCE, f->majority, used->scores.balanced_accuracy.estimate);
}

static void weigh_data(const gn_evidence *e, const gn__facts *f, gn_verdict *v)
{
    if (!f->test_labelled && !f->train_labelled)
        ADD(LABELS_MISSING, 0);
    else if (!f->test_labelled)
        ADD(LABELS_MISSING_TEST, 0);
    else if (!f->train_labelled)
        ADD(LABELS_MISSING_TRAIN, 0);
    if (e->test_rows < (size_t)gn__bar.small_test) ADD(SMALL_TEST, (double)e->test_rows);
    double all = (double)e->train_rows + (double)e->test_rows;
    if (all > 0 && (double)e->cut_texts / all >= gn__bar.cut_share)
        ADD(CUT_TEXTS, (double)e->cut_texts, (double)e->cut_texts / all);
    if (e->duplicates_across > 0) {
        double before = (double)e->train_rows + (e->duplicates_kept ? 0 : (double)e->duplicates_across);
        add(v, e->duplicates_kept ? GN__REASON_DUPLICATES_KEPT : GN__REASON_DUPLICATES_REMOVED,
            (const double[6]){(double)e->duplicates_across, (double)e->duplicates_across / before});
    }
    if (e->conflicting_train + e->conflicting_test > 0)
        ADD(CONFLICTING_LABELS, (double)e->conflicting_train, (double)e->conflicting_test);
}

void gn__weigh(const gn_evidence *e, const gn__facts *f, gn_verdict *v)
{
    weigh_separation(f, v);
    if (e->probe != NULL) {
        weigh_transfer(e->probe, f, v);
        weigh_groups(e->probe, f, v);
        weigh_control(e, f, v);
    }
    weigh_tuning(f, v);
    weigh_shift(e, v);
    weigh_scores(f, v);
    weigh_data(e, f, v);
}
