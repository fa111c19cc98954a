/* What to do on Monday: two to four concrete steps with numbers, in the order to take them. */
#include "decide/judge.h"

#include <math.h>

enum {
    MAX_STEPS = 4,
    AUDIT_ROWS = 200, /* relabelled by hand: tells a 5 % from a 10 % error rate */
    TWICE_ROWS = 100, /* labelled by two people: agreement to within 10 points */
    CALIBRATE_ROWS = 200,
    FIELD_ROWS = 300 /* when no cross-validation says how many rows are worth labelling */
};

#define DO(id, ...) step(v, GN__REASON_DO_##id, (const double[6]){__VA_ARGS__})

static void step(gn_verdict *v, gn__reason_id id, const double value[6])
{
    if (v->actions < MAX_STEPS) v->action[v->actions++] = gn__reason_make(id, GN_NOTE, value);
}

static double field_rows(const gn__facts *f)
{
    return f->own != NULL && f->own->fit_rows > 0 ? (double)gn__round_rows((double)f->own->fit_rows)
                                                  : FIELD_ROWS;
}

static double labelled_test_rows(const gn_evidence *e, const gn__facts *f)
{
    return !f->test_labelled ? 0 : f->own != NULL ? (double)f->own->scores.rows : (double)e->test_rows;
}

static void label_what_is_missing(const gn_evidence *e, const gn__facts *f, gn_verdict *v)
{
    if (!f->test_labelled) DO(LABEL_TEST, (double)v->rows_needed, 0);
    if (!f->train_labelled) DO(LABEL_TRAIN, fmin((double)e->train_rows, FIELD_ROWS));
}

static void act_linear_probe(const gn_evidence *e, const gn__facts *f, gn_verdict *v)
{
    const gn_interval *a = &f->transfer->scores.accuracy;
    DO(TRAIN_PROBE, (double)e->train_rows, a->low, a->high);
    if (gn__has_reason(v, GN__REASON_SPELLING_AS_GOOD) || gn__has_reason(v, GN__REASON_SPELLING_BETTER)) {
        gn_eval_kind kind = f->own_grouped ? GN_EVAL_TEST_CV_GROUPED : GN_EVAL_TEST_CV;
        DO(TRY_SPELLING, e->control_probe->eval[kind].scores.accuracy.estimate,
           f->own->scores.accuracy.estimate);
    }
    if (gn__has_reason(v, GN__REASON_CALIBRATION_POOR)) DO(CALIBRATE, CALIBRATE_ROWS);
    if (f->fact[GN__FACT_DIFFERENT] == GN__YES)
        DO(WATCH_SHIFT, (double)gn__round_rows((double)e->test_rows));
    else
        DO(GATE, (double)e->test_rows);
}

/* The label in which the sets differ most, or -1. */
static int worst_label(const gn_verdict *v)
{
    const char *id = gn__reason_get(GN__REASON_SHIFT_IN_LABEL)->id;
    for (int i = 0; i < v->reasons; i++)
        if (strcmp(v->reason[i].id, id) == 0) return (int)v->reason[i].value[0];
    return -1;
}

static void act_fix_data(const gn_evidence *e, const gn__facts *f, gn_verdict *v)
{
    int label = worst_label(v);
    if (f->fact[GN__FACT_LABELLED] == GN__NO) {
        DO(READ_EXAMPLES, 0);
        label_what_is_missing(e, f, v);
        DO(RERUN, 0);
        return;
    }
    if (f->fact[GN__FACT_DIFFERENT] != GN__YES)
        DO(AUDIT_LABELS, AUDIT_ROWS);
    else if (gn__has_reason(v, GN__REASON_SHIFT_IN_LABEL_MIX))
        DO(RESAMPLE_LABELS, 0);
    else if (label >= 0)
        DO(FIX_LABEL, label);
    else
        DO(READ_EXAMPLES, 0);
    if (f->own != NULL && f->own_reaches == GN__YES) {
        const gn_interval *a = &f->own->scores.accuracy;
        DO(PROBE_CURATED, (double)f->own->scores.rows, a->low, a->high);
        DO(LABEL_FIELD, field_rows(f), a->estimate);
    } else {
        DO(COLLECT_FIELD, field_rows(f));
    }
    DO(RERUN, 0);
}

static void act_fine_tune(const gn_evidence *e, const gn__facts *f, gn_verdict *v)
{
    double best = f->own->scores.accuracy.estimate;
    if (f->helps != NULL) { /* tried: what to train is known */
        const gn_finetune_run *r = f->helps;
        const gn_interval *a =
            r->test_grouped.available ? &r->test_grouped.scores.accuracy : &r->test.scores.accuracy;
        DO(FINE_TUNE_AS, r->method, r->source, a->estimate, a->low, a->high);
        if (r->source == GN_SOURCE_TRAIN)
            DO(GATE, (double)e->test_rows);
        else
            DO(TEST_ANEW, (double)gn__round_rows(labelled_test_rows(e, f)));
        DO(MEASURE_CEILING, TWICE_ROWS);
        return;
    }
    if (f->transfer != NULL) best = fmax(best, f->transfer->scores.accuracy.estimate);
    if (!f->train_labelled)
        label_what_is_missing(e, f, v);
    else if (gn__has_reason(v, GN__REASON_DOES_NOT_CARRY))
        DO(AUDIT_LABELS, AUDIT_ROWS);
    DO(TRY_MODELS, best);
    DO(FINE_TUNE, (double)e->train_rows, best);
    DO(MEASURE_CEILING, TWICE_ROWS);
}

static void act_rethink_data(const gn_evidence *e, const gn__facts *f, gn_verdict *v)
{
    (void)e;
    DO(QUESTION_LABELS, TWICE_ROWS);
    DO(READ_EXAMPLES, 0);
    DO(COLLECT_FIELD, field_rows(f));
    DO(TRY_MODELS, f->own->scores.accuracy.estimate);
}

static void act_more_data(const gn_evidence *e, const gn__facts *f, gn_verdict *v)
{
    double have = labelled_test_rows(e, f);
    if (f->clusters_fall) DO(NAME_GROUPS, 0);
    if (f->fact[GN__FACT_LABELLED] == GN__NO)
        label_what_is_missing(e, f, v);
    else if (v->rows_needed > 0)
        DO(LABEL_TEST, (double)v->rows_needed, have);
    if (f->fact[GN__FACT_DIFFERENT] == GN__UNKNOWN && e->shift->rows_needed > 0)
        DO(COLLECT_ROWS, (double)e->shift->rows_needed, fmin((double)e->train_rows, (double)e->test_rows));
    DO(RERUN, 0);
}

void gn__act(const gn_evidence *e, const gn__facts *f, gn_verdict *v)
{
    static void (*const act[])(const gn_evidence *, const gn__facts *, gn_verdict *) = {
        [GN_VERDICT_LINEAR_PROBE] = act_linear_probe, [GN_VERDICT_FIX_DATA] = act_fix_data,
        [GN_VERDICT_FINE_TUNE] = act_fine_tune,       [GN_VERDICT_RETHINK_DATA] = act_rethink_data,
        [GN_VERDICT_MORE_DATA] = act_more_data,
    };
    act[v->code](e, f, v);
}
