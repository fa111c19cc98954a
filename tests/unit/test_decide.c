#include "core/core.h"
#include "decide/judge.h"
#include "decide/rules.h"
#include "genchi/decide.h"
#include "test.h"

/* A case: what a person would say of each step, turned into evidence with plausible numbers. */
typedef struct scene {
    gn_shift shift, control_shift, by_label[4];
    gn_overlap overlap;
    gn_probe_evidence probe, control;
    gn_evidence e;
} scene;

static gn_interval about(double estimate, double half)
{
    return (gn_interval){estimate, estimate - half, estimate + half};
}

static gn_shift shift(gn_shift_answer answer)
{
    static const double auc[] = {
        [GN_SHIFT_DIFFERENT] = 0.9, [GN_SHIFT_EQUIVALENT] = 0.52, [GN_SHIFT_NOT_ENOUGH_DATA] = 0.61};
    return (gn_shift){.answer = answer,
                      .p_value = answer == GN_SHIFT_DIFFERENT ? 0.001 : 0.3,
                      .p_holm = 0.002,
                      .auc = about(auc[answer], 0.05),
                      .tolerance = 0.6,
                      .rows_a = 500,
                      .rows_b = 400,
                      .rows_needed = answer == GN_SHIFT_NOT_ENOUGH_DATA ? 900 : 0};
}

static gn_evaluation eval(double accuracy, double half, double auc)
{
    return (gn_evaluation){.available = true,
                           .scores = {.rows = 400,
                                      .units = 400,
                                      .accuracy = about(accuracy, half),
                                      .balanced_accuracy = about(accuracy, half),
                                      .auc = about(auc, 0.03),
                                      .calibration = about(0.04, 0.01)},
                           .majority = 0.5,
                           .fit_rows = 320};
}

static gn_paired paired(double difference, double half)
{
    return (gn_paired){.available = true, .difference = about(difference, half), .rows = 400};
}

/* Accuracy within test and from train to test; 0: not measured. */
static void setup(scene *s, gn_shift_answer answer, double own, double transfer)
{
    *s = (scene){0};
    s->shift = shift(answer);
    s->overlap = (gn_overlap){.overlap = about(0.6, 0.04), .yardstick = {0.93, 0.9, 0.95}};
    s->probe.available = own > 0 && transfer > 0;
    if (own > 0) {
        s->probe.eval[GN_EVAL_TEST_CV] = eval(own, 0.04, own + 0.07);
        s->probe.test_cv_vs_majority = paired(own - 0.5, 0.05);
    }
    if (transfer > 0) {
        s->probe.eval[GN_EVAL_TRAIN_TO_TEST] = eval(transfer, 0.04, transfer + 0.07);
        s->probe.eval[GN_EVAL_TRAIN_HELDOUT] = eval(transfer + 0.01, 0.04, transfer + 0.07);
    }
    if (own > 0 && transfer > 0) s->probe.test_cv_vs_train_to_test = paired(own - transfer, 0.04);
    s->e = (gn_evidence){.shift = &s->shift,
                         .overlap_pc1 = &s->overlap,
                         .probe = &s->probe,
                         .train_rows = 500,
                         .test_rows = 400};
}

static gn_verdict decide(const scene *s)
{
    gn_verdict v;
    gn_decide(&s->e, &v);
    return v;
}

static const gn_reason *reason(const gn_verdict *v, const char *id)
{
    for (int i = 0; i < v->reasons; i++)
        if (strcmp(v->reason[i].id, id) == 0) return &v->reason[i];
    return NULL;
}

static const gn_reason *action(const gn_verdict *v, const char *id)
{
    for (int i = 0; i < v->actions; i++)
        if (strcmp(v->action[i].id, id) == 0) return &v->action[i];
    return NULL;
}

#define DIFFERENT GN_SHIFT_DIFFERENT
#define EQUIVALENT GN_SHIFT_EQUIVALENT
#define UNSURE GN_SHIFT_NOT_ENOUGH_DATA

TEST(every_combination_of_shift_separation_and_transfer)
{
    static const struct {
        gn_shift_answer shift;
        double own, transfer;
        const char *verdict, *rule;
    } cases[] = {
        /* the model separates the test data */
        {DIFFERENT, 0.85, 0.84, "linear_probe", "probe_carries"},
        {EQUIVALENT, 0.85, 0.84, "linear_probe", "probe_carries"},
        {UNSURE, 0.85, 0.84, "linear_probe", "probe_carries"},
        {DIFFERENT, 0.85, 0.62, "fix_data", "train_misleads"},
        {EQUIVALENT, 0.85, 0.62, "fix_data", "train_misleads"},
        {UNSURE, 0.85, 0.62, "fix_data", "train_misleads"},
        {DIFFERENT, 0.85, 0.48, "fix_data", "train_misleads"}, /* below the majority */
        /* good enough by itself, but 7 points lost for certain */
        {EQUIVALENT, 0.87, 0.80, "fix_data", "train_misleads"},
        /* own labels are too few to show it, train shows it */
        {EQUIVALENT, 0.62, 0.85, "linear_probe", "probe_carries"},
        {DIFFERENT, 0.62, 0.85, "linear_probe", "probe_carries"},
        /* the frozen model does not separate it */
        {EQUIVALENT, 0.58, 0.57, "fine_tune", "one_population_not_separated"},
        {DIFFERENT, 0.58, 0.57, "rethink_data", "two_populations_not_separated"},
        {UNSURE, 0.58, 0.57, "more_data", "shift_unknown"},
        {EQUIVALENT, 0.58, 0.49, "fine_tune", "one_population_not_separated"},
        {DIFFERENT, 0.58, 0.49, "rethink_data", "two_populations_not_separated"},
        /* no labels on either side */
        {DIFFERENT, 0, 0, "fix_data", "shift_without_labels"},
        {EQUIVALENT, 0, 0, "more_data", "labels_missing"},
        {UNSURE, 0, 0, "more_data", "labels_missing"},
        /* test labelled only */
        {DIFFERENT, 0.85, 0, "fix_data", "shift_without_labels"},
        {EQUIVALENT, 0.85, 0, "more_data", "labels_missing"},
        {UNSURE, 0.85, 0, "more_data", "labels_missing"},
        {DIFFERENT, 0.55, 0, "rethink_data", "two_populations_not_separated"},
        {EQUIVALENT, 0.55, 0, "fine_tune", "one_population_not_separated"},
        {UNSURE, 0.55, 0, "more_data", "labels_missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scene s;
        setup(&s, cases[i].shift, cases[i].own, cases[i].transfer);
        gn_verdict v = decide(&s);
        if (strcmp(v.rule, cases[i].rule) != 0 || strcmp(gn_verdict_name(v.code), cases[i].verdict) != 0)
            test_fail(__FILE__, __LINE__, "case %zu: %s by %s, expected %s by %s", i, gn_verdict_name(v.code),
                      v.rule, cases[i].verdict, cases[i].rule);
        CHECK(v.actions >= 2 && v.actions <= 4);
        CHECK(v.reasons >= 2);
        bool only_train = cases[i].own > 0 && cases[i].transfer == 0 && cases[i].shift != UNSURE;
        bool more =
            v.code == GN_VERDICT_MORE_DATA && !only_train; /* train's labels do not count as test rows */
        CHECK_INT(v.rows_needed > 0, more);
        CHECK_INT(v.gate_passes, v.code == GN_VERDICT_LINEAR_PROBE || v.code == GN_VERDICT_FINE_TUNE);
    }
}

static gn_finetune_run tuned(gn_method method, gn_source source, double low, double high, size_t rows_needed)
{
    double d = (low + high) / 2;
    return (gn_finetune_run){
        .method = method,
        .source = source,
        .test = {.available = true, .scores = {.rows = 400, .accuracy = about(0.7, 0.04)}},
        .vs_probe = {.available = true,
                     .difference = {d, low, high},
                     .p_value = low > 0 || high < 0 ? 0.004 : 0.3,
                     .p_holm = low > 0 || high < 0 ? 0.008 : 0.6,
                     .answer = low > 0    ? GN_FINETUNE_HELPS
                               : high < 0 ? GN_FINETUNE_HURTS
                                          : GN_FINETUNE_CANNOT_TELL,
                     .rows = 400,
                     .rows_needed = rows_needed}};
}

/* Fine-tuning is advised only where it helps on test beyond its interval. */
TEST(fine_tuning_tried_decides_by_its_interval)
{
    const struct {
        gn_shift_answer shift;
        double own, transfer, low, high;
        const char *verdict, *rule, *reason;
    } cases[] = {
        {EQUIVALENT, 0.85, 0.84, 0.01, 0.05, "fine_tune", "tuning_helps", "tuning_helps"},
        {EQUIVALENT, 0.85, 0.84, -0.01, 0.05, "linear_probe", "probe_carries", "tuning_unknown"},
        {EQUIVALENT, 0.85, 0.84, -0.06, -0.01, "linear_probe", "probe_carries", "tuning_hurts"},
        {DIFFERENT, 0.85, 0.62, 0.01, 0.05, "fix_data", "train_misleads", "tuning_helps"},
        {EQUIVALENT, 0.58, 0.57, 0.01, 0.05, "fine_tune", "one_population_tuning_helps", "tuning_helps"},
        {EQUIVALENT, 0.58, 0.57, -0.02, 0.05, "more_data", "one_population_tuning_open", "tuning_unknown"},
        {EQUIVALENT, 0.58, 0.57, -0.02, 0.01, "rethink_data", "one_population_tuning_fails",
         "tuning_unknown"},
        {EQUIVALENT, 0.58, 0.57, -0.08, -0.01, "rethink_data", "one_population_tuning_fails", "tuning_hurts"},
        {DIFFERENT, 0.58, 0.57, 0.01, 0.05, "rethink_data", "two_populations_not_separated", "tuning_helps"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scene s;
        setup(&s, cases[i].shift, cases[i].own, cases[i].transfer);
        gn_finetune_run run[] = {{.method = GN_METHOD_LP, .source = GN_SOURCE_TRAIN},
                                 tuned(GN_METHOD_LORA, GN_SOURCE_TRAIN, cases[i].low, cases[i].high, 900)};
        gn_finetune_evidence t = {.available = true, .worthwhile = 0.02, .run = run, .runs = 2};
        s.e.finetune = &t;
        gn_verdict v = decide(&s);
        if (strcmp(v.rule, cases[i].rule) != 0 || strcmp(gn_verdict_name(v.code), cases[i].verdict) != 0)
            test_fail(__FILE__, __LINE__, "case %zu: %s by %s, expected %s by %s", i, gn_verdict_name(v.code),
                      v.rule, cases[i].verdict, cases[i].rule);
        const gn_reason *r = reason(&v, cases[i].reason);
        CHECK(r != NULL);
        CHECK_NEAR(r->value[0], GN_METHOD_LORA, 0);
        CHECK_NEAR(r->value[3], cases[i].low, 1e-12);
        CHECK_INT(v.rows_needed, v.code == GN_VERDICT_MORE_DATA ? 900 : 0);
        CHECK_INT(action(&v, "do_fine_tune_as") != NULL, v.code == GN_VERDICT_FINE_TUNE);
        /* trained on test rows: they are no test of that model any more */
        if (v.code == GN_VERDICT_FINE_TUNE) {
            CHECK(action(&v, "do_gate") != NULL && action(&v, "do_test_anew") == NULL);
            run[0].source = run[1].source = GN_SOURCE_MIX;
            v = decide(&s);
            CHECK(action(&v, "do_gate") == NULL && action(&v, "do_test_anew") != NULL);
            run[0].source = run[1].source = GN_SOURCE_TRAIN;
        }
        /* one of many that were tried: luck */
        run[1].vs_probe.p_holm = 0.2;
        v = decide(&s);
        CHECK(v.code != GN_VERDICT_FINE_TUNE);
        /* not judged beside the probe: as if it had not been tried */
        run[1].vs_probe.available = false;
        v = decide(&s);
        s.e.finetune = NULL;
        gn_verdict without = decide(&s);
        CHECK_STR(v.rule, without.rule);
        CHECK_INT(v.reasons, without.reasons);
    }
}

TEST(wide_intervals_leave_it_open)
{
    scene s;
    setup(&s, EQUIVALENT, 0.64, 0.63);
    s.probe.eval[GN_EVAL_TEST_CV].scores.accuracy = about(0.64, 0.12);
    s.probe.eval[GN_EVAL_TEST_CV].scores.auc = about(0.70, 0.13);
    s.probe.eval[GN_EVAL_TRAIN_TO_TEST] = (gn_evaluation){0};
    s.probe.eval[GN_EVAL_TRAIN_TO_TEST] = eval(0.63, 0.12, 0.7);
    s.probe.eval[GN_EVAL_TRAIN_TO_TEST].scores.auc = about(0.70, 0.13);
    gn_verdict v = decide(&s);
    CHECK_STR(v.rule, "separation_unknown");
    /* half-width .12 to half of .15: 400 × (.12/.075)² = 1024, two digits upwards */
    CHECK_INT(v.rows_needed, 1100);
    CHECK(reason(&v, "separation_unknown") != NULL);
    CHECK_INT(reason(&v, "separation_unknown")->stance, GN_FOR);
    CHECK_INT(action(&v, "do_label_test")->value[0], 1100);
    CHECK_INT(action(&v, "do_label_test")->value[1], 400);
}

TEST(transfer_open_and_the_rows_that_would_close_it)
{
    scene s;
    setup(&s, DIFFERENT, 0.85, 0.78);
    s.probe.test_cv_vs_train_to_test = paired(0.07, 0.09); /* the interval spans zero */
    gn_verdict v = decide(&s);
    CHECK_STR(v.rule, "transfer_unknown");
    CHECK_INT(v.rows_needed, 670); /* 400 × (.09/.07)² = 661 */
    CHECK(reason(&v, "carries_unknown") != NULL);

    /* one population: the probe fitted on train reaches the bar by itself, so it may be used */
    setup(&s, EQUIVALENT, 0.85, 0.78);
    s.probe.test_cv_vs_train_to_test = paired(0.07, 0.09);
    v = decide(&s);
    CHECK_STR(v.rule, "probe_on_one_population");

    /* a small loss measured badly: 400 × (.08/(.10 − .03))² = 522 */
    setup(&s, DIFFERENT, 0.85, 0.82);
    s.probe.test_cv_vs_train_to_test = paired(0.03, 0.08);
    v = decide(&s);
    CHECK_STR(v.rule, "transfer_unknown");
    CHECK_INT(v.rows_needed, 530);
}

TEST(no_figure_within_test_to_compare_with)
{
    scene s; /* test too small for folds: only train to test could be run */
    setup(&s, DIFFERENT, 0, 0.85);
    gn_verdict v = decide(&s);
    CHECK_STR(v.rule, "transfer_unknown");
    CHECK(reason(&v, "separates_by_train") != NULL);
    CHECK_INT(v.rows_needed, 480); /* a fifth more than the 400 there are */
    CHECK(action(&v, "do_label_test") != NULL);
}

TEST(bars_of_separation)
{
    scene s;
    /* accuracy good but AUC surely below 0.80 */
    setup(&s, EQUIVALENT, 0.72, 0.71);
    s.probe.eval[GN_EVAL_TEST_CV].scores.auc = about(0.70, 0.05);
    s.probe.eval[GN_EVAL_TRAIN_TO_TEST].scores.auc = about(0.70, 0.05);
    CHECK_STR(gn_verdict_name(decide(&s).code), "fine_tune");
    /* majority 0.9: an accuracy of 0.92 avoids a fifth of its errors, 0.95 avoids half */
    for (int better = 0; better < 2; better++) {
        double accuracy = better ? 0.95 : 0.92;
        setup(&s, EQUIVALENT, accuracy, accuracy);
        s.probe.eval[GN_EVAL_TEST_CV].majority = s.probe.eval[GN_EVAL_TRAIN_TO_TEST].majority = 0.9;
        s.probe.eval[GN_EVAL_TEST_CV].scores.accuracy = about(accuracy, 0.013);
        s.probe.eval[GN_EVAL_TRAIN_TO_TEST].scores.accuracy = about(accuracy, 0.013);
        s.probe.test_cv_vs_majority = paired(accuracy - 0.9, 0.013);
        gn_verdict v = decide(&s);
        CHECK_STR(gn_verdict_name(v.code), better ? "linear_probe" : "fine_tune");
        CHECK(reason(&v, "class_imbalance") != NULL);
    }
    /* a missing AUC leaves the accuracy to decide */
    setup(&s, EQUIVALENT, 0.85, 0.84);
    s.probe.eval[GN_EVAL_TEST_CV].scores.auc = (gn_interval){NAN, NAN, NAN};
    s.probe.eval[GN_EVAL_TRAIN_TO_TEST].scores.auc = (gn_interval){NAN, NAN, NAN};
    CHECK_STR(gn_verdict_name(decide(&s).code), "linear_probe");
}

TEST(groups_are_the_honest_figure)
{
    scene s;
    setup(&s, EQUIVALENT, 0.84, 0.57);
    s.probe.eval[GN_EVAL_TEST_CV_GROUPED] = eval(0.586, 0.05, 0.63);
    s.probe.eval[GN_EVAL_TEST_CV_GROUPED].scores.units = 25;
    s.probe.grouped_vs_ungrouped = paired(-0.254, 0.05);
    s.probe.test_cv_vs_majority = paired(0.086, 0.05);
    s.probe.test_cv_vs_train_to_test = paired(0.016, 0.05);
    s.e.grouped = true;
    gn_verdict v = decide(&s);
    CHECK_STR(gn_verdict_name(v.code), "fine_tune");
    const gn_reason *g = reason(&v, "groups_give_away");
    CHECK(g != NULL);
    CHECK_NEAR(g->value[0], 0.84, 0);
    CHECK_NEAR(g->value[1], 0.586, 0);
    CHECK(reason(&v, "not_separated_grouped") != NULL);
    CHECK_NEAR(reason(&v, "few_groups")->value[0], 25, 0);

    /* named, but the grouped evaluation could not be run: the ungrouped figure does not count */
    setup(&s, UNSURE, 0.85, 0);
    s.e.grouped = true;
    v = decide(&s);
    CHECK(reason(&v, "groups_unusable") != NULL);
    CHECK_STR(v.rule, "labels_missing");
}

TEST(clusters_are_a_second_opinion)
{
    scene s;
    setup(&s, EQUIVALENT, 0.85, 0.62);
    s.probe.eval[GN_EVAL_TEST_CV_CLUSTERED] = eval(0.52, 0.05, 0.55);
    s.probe.clustered_vs_ungrouped = paired(-0.33, 0.05);
    s.probe.clusters = 40;
    gn_verdict v = decide(&s);
    CHECK_STR(v.rule, "separation_unknown");
    CHECK(reason(&v, "clusters_at_majority") != NULL);
    CHECK(reason(&v, "separates") == NULL);
    CHECK(action(&v, "do_name_groups") != NULL);

    s.probe.eval[GN_EVAL_TEST_CV_CLUSTERED] = eval(0.75, 0.05, 0.8);
    s.probe.clustered_vs_ungrouped = paired(-0.10, 0.05);
    v = decide(&s);
    CHECK_STR(gn_verdict_name(v.code), "fix_data");
    CHECK_NEAR(reason(&v, "clusters_give_away")->value[2], 40, 0);

    s.probe.eval[GN_EVAL_TEST_CV_CLUSTERED] = eval(0.84, 0.05, 0.9);
    s.probe.clustered_vs_ungrouped = paired(-0.01, 0.02);
    v = decide(&s);
    CHECK(reason(&v, "clusters_survived") != NULL);
}

TEST(control_beside_the_model)
{
    static const struct {
        double difference;
        const char *id;
    } cases[] = {{0.10, "model_beats_spelling"}, {0.01, "spelling_as_good"}, {-0.10, "spelling_better"}};
    for (int i = 0; i < 3; i++) {
        scene s;
        setup(&s, DIFFERENT, 0.85, 0.84);
        s.control.eval[GN_EVAL_TEST_CV] = eval(0.85 - cases[i].difference, 0.04, 0.9);
        s.probe.test_cv_vs_control = paired(cases[i].difference, 0.04);
        s.e.control_probe = &s.control;
        gn_verdict v = decide(&s);
        CHECK(reason(&v, cases[i].id) != NULL);
        CHECK_INT(action(&v, "do_try_spelling") != NULL, i > 0);
    }
    static const struct {
        gn_shift_answer model, control;
        const char *id;
    } shifts[] = {{DIFFERENT, DIFFERENT, "shift_in_spelling"},
                  {DIFFERENT, EQUIVALENT, "shift_only_in_model"},
                  {EQUIVALENT, DIFFERENT, "shift_only_in_spelling"}};
    for (int i = 0; i < 3; i++) {
        scene s;
        setup(&s, shifts[i].model, 0.85, 0.84);
        s.control_shift = shift(shifts[i].control);
        s.e.control_shift = &s.control_shift;
        gn_verdict v = decide(&s);
        CHECK(reason(&v, shifts[i].id) != NULL);
    }
}

TEST(shift_by_label_and_overlap)
{
    scene s;
    setup(&s, DIFFERENT, 0.85, 0.60);
    s.by_label[0] = s.by_label[1] = s.by_label[3] = shift(DIFFERENT);
    s.by_label[2] = shift(EQUIVALENT);
    s.by_label[3].auc = about(0.97, 0.02);
    s.e.by_label = s.by_label;
    s.e.labels = 4;
    gn_verdict v = decide(&s);
    CHECK_NEAR(reason(&v, "shift_in_label")->value[0], 3, 0); /* the most shifted first */
    int named = 0;
    for (int i = 0; i < v.reasons; i++) named += strcmp(v.reason[i].id, "shift_in_label") == 0;
    CHECK_INT(named, 3);
    CHECK_NEAR(action(&v, "do_fix_label")->value[0], 3, 0);

    for (int l = 0; l < 4; l++) s.by_label[l] = shift(EQUIVALENT);
    v = decide(&s);
    CHECK(reason(&v, "shift_in_label_mix") != NULL);
    CHECK(action(&v, "do_resample_labels") != NULL);

    CHECK(reason(&v, "overlap_low") != NULL);
    s.overlap.overlap = about(0.91, 0.04);
    v = decide(&s);
    CHECK(reason(&v, "shift_off_pc1") != NULL);
    s.shift = shift(EQUIVALENT);
    v = decide(&s);
    CHECK(reason(&v, "overlap_as_halves") != NULL);
    s.shift = shift(UNSURE);
    s.shift.auc = (gn_interval){NAN, NAN, NAN};
    v = decide(&s);
    CHECK(reason(&v, "shift_not_tested") != NULL);
}

TEST(heldout_and_size)
{
    scene s;
    setup(&s, DIFFERENT, 0.85, 0.84);
    s.probe.eval[GN_EVAL_TRAIN_HELDOUT] = eval(0.76, 0.02, 0.83);
    s.probe.transfer_gap = paired(0.08, 0.05);
    s.probe.eval[GN_EVAL_TRAIN_TO_TEST_MATCHED] = eval(0.74, 0.04, 0.8);
    s.probe.eval[GN_EVAL_TRAIN_TO_TEST_MATCHED].fit_rows = 320;
    s.probe.eval[GN_EVAL_TRAIN_TO_TEST].fit_rows = 20000;
    gn_verdict v = decide(&s);
    CHECK(reason(&v, "heldout_lower") != NULL);
    CHECK(reason(&v, "heldout_higher") == NULL);
    CHECK_NEAR(reason(&v, "train_size_helps")->value[2], 20000, 0);

    s.probe.eval[GN_EVAL_TRAIN_HELDOUT] = eval(0.95, 0.02, 0.99);
    s.probe.transfer_gap = paired(-0.11, 0.05);
    v = decide(&s);
    const gn_reason *h = reason(&v, "heldout_higher");
    CHECK(h != NULL);
    CHECK_NEAR(h->value[2], 0.06, 1e-12); /* how much train flatters: low, high */
    CHECK_NEAR(h->value[3], 0.16, 1e-12);

    s.probe.test_cv_vs_train_to_test = paired(-0.06, 0.04);
    v = decide(&s);
    CHECK(reason(&v, "train_teaches_more") != NULL);
}

TEST(kind_and_coverage_are_notes_and_change_no_verdict)
{
    scene s;
    setup(&s, DIFFERENT, 0.85, 0.84);
    gn_verdict before = decide(&s);
    gn_kind k = {.available = true};
    gn_where w = {.coverage_available = true, .coverage = {0.7, 0.65, 0.74}, .expected = {0.95, 0.9, 0.98}};
    k.part[GN_KIND_LABEL] =
        (gn_kind_part){.answer = GN_SHIFT_DIFFERENT, .p_value = 0.002, .effect = {0.2, 0.12, 0.28}};
    k.part[GN_KIND_CONCEPT] = (gn_kind_part){
        .answer = GN_SHIFT_DIFFERENT, .p_value = 0.003, .effect = {0.15, 0.08, 0.2}, .label = 1};
    s.e.kind = &k;
    s.e.where = &w;
    gn_verdict v = decide(&s);
    CHECK_INT(v.code, before.code);
    CHECK(reason(&v, "kind_label")->stance == GN_NOTE && reason(&v, "kind_label")->value[1] == 0.12);
    CHECK(reason(&v, "kind_concept")->stance == GN_NOTE && reason(&v, "kind_concept")->value[0] == 1);
    CHECK_NEAR(reason(&v, "not_covered")->value[3], 0.95, 0);
    k.part[GN_KIND_LABEL].answer = k.part[GN_KIND_CONCEPT].answer = GN_SHIFT_NOT_ENOUGH_DATA;
    w.coverage.high = 0.91;
    v = decide(&s);
    CHECK(reason(&v, "kind_label") == NULL && reason(&v, "kind_concept") == NULL);
    CHECK(reason(&v, "not_covered") == NULL);
}

TEST(cautions_about_the_data)
{
    scene s;
    setup(&s, DIFFERENT, 0.85, 0.84);
    s.e.cut_texts = 8; /* of 900: below one per cent */
    gn_verdict v = decide(&s);
    CHECK(reason(&v, "cut_texts") == NULL);
    s.e.cut_texts = 90;
    s.e.duplicates_across = 25;
    s.e.conflicting_train = 4;
    s.e.test_rows = 60;
    s.probe.eval[GN_EVAL_TRAIN_TO_TEST].scores.calibration = about(0.2, 0.03);
    v = decide(&s);
    CHECK_NEAR(reason(&v, "cut_texts")->value[1], 90.0 / 560, 1e-12);
    CHECK_NEAR(reason(&v, "duplicates_removed")->value[1], 25.0 / 525, 1e-12);
    CHECK_NEAR(reason(&v, "conflicting_labels")->value[0], 4, 0);
    CHECK_NEAR(reason(&v, "small_test")->value[0], 60, 0);
    CHECK(reason(&v, "calibration_poor") != NULL);
    CHECK(action(&v, "do_calibrate") != NULL);
    s.e.duplicates_kept = true;
    v = decide(&s);
    CHECK_NEAR(reason(&v, "duplicates_kept")->value[1], 25.0 / 500, 1e-12);
    CHECK_INT(reason(&v, "duplicates_kept")->stance, GN_AGAINST);
}

TEST(a_shift_without_harm_is_a_caution)
{
    scene s;
    setup(&s, DIFFERENT, 0.85, 0.84);
    gn_verdict v = decide(&s);
    CHECK_INT(reason(&v, "shift_different")->stance, GN_AGAINST);
    CHECK_INT(reason(&v, "carries")->stance, GN_FOR);
    CHECK(action(&v, "do_watch_shift") != NULL);
    CHECK_STR(v.reason[0].id, "separates"); /* the strongest first */
    CHECK_STR(v.reason[1].id, "carries");
}

TEST(which_labels_are_missing)
{
    scene s;
    setup(&s, EQUIVALENT, 0, 0);
    gn_verdict v = decide(&s);
    CHECK(reason(&v, "labels_missing") != NULL);
    CHECK_INT(v.rows_needed, 180); /* 4 × 1.96² × .25 / .15² = 171 */
    CHECK(action(&v, "do_label_test") != NULL && action(&v, "do_label_train") != NULL);
    s.e.probe = NULL;
    v = decide(&s);
    CHECK(reason(&v, "labels_missing") != NULL);

    setup(&s, EQUIVALENT, 0.85, 0);
    v = decide(&s);
    CHECK(reason(&v, "labels_missing_train") != NULL);
    CHECK(action(&v, "do_label_train") != NULL && action(&v, "do_label_test") == NULL);

    setup(&s, DIFFERENT, 0, 0);
    s.probe.eval[GN_EVAL_TRAIN_HELDOUT] = eval(0.9, 0.03, 0.95);
    v = decide(&s);
    CHECK_STR(gn_verdict_name(v.code), "fix_data");
    CHECK(reason(&v, "labels_missing_test") != NULL);
    CHECK_INT(reason(&v, "labels_missing_test")->stance, GN_AGAINST);
    CHECK(action(&v, "do_label_test") != NULL && action(&v, "do_label_train") == NULL);
}

/* Every combination of facts finds a rule; every rule but none is shadowed entirely by those before it. */
TEST(rules_are_complete_and_reachable)
{
    static const gn__truth truths[] = {GN__NO, GN__YES, GN__UNKNOWN};
    size_t n;
    const gn__rule *rules = gn__rules(&n);
    bool reached[32] = {false};
    CHECK(n <= 32);
    int total = 1;
    for (int f = 0; f < GN__FACT_COUNT; f++) total *= 3;
    for (int i = 0; i < total; i++) {
        gn__truth fact[GN__FACT_COUNT];
        for (int f = 0, rest = i; f < GN__FACT_COUNT; f++, rest /= 3) fact[f] = truths[rest % 3];
        if (fact[GN__FACT_LABELLED] == GN__UNKNOWN || fact[GN__FACT_TUNED] == GN__UNKNOWN)
            continue; /* never unknown */
        const gn__rule *r = gn__rule_match(fact);
        for (int f = 0; f < GN__FACT_COUNT; f++) CHECK(r->allow[f] & fact[f]);
        reached[r - rules] = true;
    }
    for (size_t i = 0; i < n; i++) {
        if (!reached[i]) test_fail(__FILE__, __LINE__, "rule %s is never reached", rules[i].name);
        CHECK(strlen(rules[i].name) < sizeof((gn_verdict *)0)->rule);
    }
}

TEST(docs_print_the_same_table)
{
    gn__buf table = {0};
    gn__rules_markdown(&table);
    CHECK(!table.failed);
    char *docs = NULL;
    size_t length;
    gn_error err = {0};
    CHECK_OK(gn__read_file(test_path("docs/verdicts.md"), 1 << 20, &docs, &length, &err), err);
    bool same = strstr(docs, table.data) != NULL;
    if (!same) printf("docs/verdicts.md should hold:\n%s", table.data);
    free(docs);
    gn__buf_free(&table);
    CHECK(same);
}

TEST(reason_ids_are_unique_and_their_values_named)
{
    for (int i = 0; i < GN__REASON_COUNT; i++) {
        const gn__reason_info *info = gn__reason_get((gn__reason_id)i);
        CHECK_INT(gn__reason_find(info->id), i);
        int names = *info->names != '\0';
        for (const char *c = info->names; *c != '\0'; c++) names += *c == ' ';
        CHECK_INT(names, info->values);
        CHECK(info->values <= 6);
    }
    CHECK_INT(gn__reason_find("no_such_reason"), GN__REASON_COUNT);
}

TEST(rows_to_label_are_round)
{
    static const struct {
        double rows;
        size_t round;
    } cases[] = {{0, 0},     {NAN, 0},   {7.2, 8},   {10, 10},       {99.5, 100},
                 {171, 180}, {180, 180}, {359, 360}, {12345, 13000}, {INFINITY, 1000000000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_INT(gn__round_rows(cases[i].rows), cases[i].round);
}

TEST(names)
{
    CHECK_STR(gn_verdict_name(GN_VERDICT_RETHINK_DATA), "rethink_data");
    CHECK_STR(gn_shift_answer_name(GN_SHIFT_NOT_ENOUGH_DATA), "not_enough_data");
    CHECK_STR(gn_eval_name(GN_EVAL_TRAIN_TO_TEST_MATCHED), "train_to_test_matched");
}
