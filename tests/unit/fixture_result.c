#include "fixture_result.h"
#include "core/core.h"

#include <math.h>
#include <stdio.h>

enum { TRAIN_ROWS = 400, TEST_ROWS = 320, MAX_CLASSES = 3, PARTS = 2 };

/* One normal part of a group's distribution over (PC1, PC2) and the probe's direction. */
typedef struct part {
    double weight, x, y, sd_x, sd_y, probe, sd_probe;
} part;

static const part groups[2][MAX_CLASSES][PARTS] = {
    {{{0.7, -1.6, 0.5, 0.55, 0.60, -2.2, 0.9}, {0.3, -0.6, -0.6, 0.50, 0.45, -1.2, 0.8}},
     {{0.6, 0.9, 0.8, 0.60, 0.50, 2.0, 0.9}, {0.4, 0.2, -0.5, 0.50, 0.55, 1.1, 0.8}},
     {{0.8, -0.3, 2.1, 0.50, 0.45, 0.2, 0.7}, {0.2, 0.4, 1.2, 0.40, 0.40, 0.4, 0.6}}},
    {{{0.5, -0.4, -1.4, 0.60, 0.55, -0.7, 1.1}, {0.5, 0.7, -1.9, 0.55, 0.50, 0.3, 1.0}},
     {{0.6, 1.7, -0.7, 0.60, 0.50, 0.9, 1.1}, {0.4, 0.8, -1.3, 0.55, 0.50, 0.1, 1.0}},
     {{0.7, 1.2, 0.9, 0.45, 0.50, 0.5, 0.8}, {0.3, 1.9, 0.2, 0.40, 0.40, 0.2, 0.7}}}};

static const char *const texts[] = {
    "The parcel never arrived & nobody answers my e-mails",
    "<script>alert('not run')</script> is what the shop's page shows me",
    "She said \"best purchase of the year\" and I agree 👍🏽",
    "商品の説明と色が違っていて、とても残念でした。返品の手続きも分かりにくいです。",
    "思ったより軽くて使いやすい！毎日持ち歩いています😊",
    "5 > 3 and 2 < 4, so the manual's table is wrong",
    "It's fine. Does what it says, no more, no less.",
    "電池の持ちが悪い。二日でなくなる。",
    "Refund please!!! I have been waiting since the 3rd of March and the page still says 'in process', "
    "which is what it said when I first wrote, and the second time, and the third time, and I would like a "
    "human being to read this message rather than another machine; thank you very much …",
    "サポートの方の対応がとても丁寧で、安心して任せられました。",
    "Works with the old charger too, which the page doesn't mention",
    "مرحبا, the right-to-left name on the label printed backwards"};
enum { TEXTS = (int)(sizeof texts / sizeof *texts) };

static void *need(void *p)
{
    if (p == NULL) abort();
    return p;
}

static char *copy(const char *s)
{
    return need(gn__strdup(s));
}

static double normal(double x, double mean, double sd)
{
    double z = (x - mean) / sd;
    return exp(-z * z / 2) / (sd * sqrt(2 * 3.14159265358979323846));
}

static gn_interval around(double estimate, double half)
{
    return (gn_interval){estimate, fmax(0, estimate - half), fmin(1, estimate + half)};
}

/* A group's density: label -1 is the equal mixture of the classes. */
static void fill_density(gn_density *d, const gn_picture *p, bool test, int label, int classes, bool labelled)
{
    size_t rows = test ? TEST_ROWS : TRAIN_ROWS;
    d->test = test;
    d->label = label;
    d->rows = label < 0 ? rows : rows / (size_t)classes;
    d->bandwidth1 = 0.21;
    d->bandwidth2[0] = 0.28, d->bandwidth2[1] = 0.31;
    d->pc1 = need(gn__calloc(GN_GRID1, sizeof(double)));
    d->probe = labelled ? need(gn__calloc(GN_GRID1, sizeof(double))) : NULL;
    d->plane = need(gn__calloc((size_t)GN_GRID2 * GN_GRID2, sizeof(double)));
    int first = label < 0 ? 0 : label, last = label < 0 ? classes - 1 : label;
    for (int c = first; c <= last; c++) {
        for (int k = 0; k < PARTS; k++) {
            const part *g = &groups[test][c][k];
            double w = g->weight / (last - first + 1);
            for (int i = 0; i < GN_GRID1; i++) {
                double t = i / (double)(GN_GRID1 - 1);
                d->pc1[i] += w * normal(p->low1 + t * (p->high1 - p->low1), g->x, g->sd_x);
                if (labelled)
                    d->probe[i] +=
                        w * normal(p->low_probe + t * (p->high_probe - p->low_probe), g->probe, g->sd_probe);
            }
            for (int i = 0; i < GN_GRID2; i++) {
                double y = p->low2[1] + i / (double)(GN_GRID2 - 1) * (p->high2[1] - p->low2[1]);
                for (int j = 0; j < GN_GRID2; j++) {
                    double x = p->low2[0] + j / (double)(GN_GRID2 - 1) * (p->high2[0] - p->low2[0]);
                    d->plane[i * GN_GRID2 + j] += w * normal(x, g->x, g->sd_x) * normal(y, g->y, g->sd_y);
                }
            }
        }
    }
}

static gn_overlap overlap(double estimate, double yardstick)
{
    return (gn_overlap){.overlap = around(estimate, 0.045),
                        .yardstick = {yardstick, yardstick - 0.03, yardstick + 0.025},
                        .bandwidth_a = {0.21, 0.31},
                        .bandwidth_b = {0.24, 0.33},
                        .chance_draws = 200,
                        .draws = 100};
}

static double common_area(const double *a, const double *b, size_t n, double step)
{
    double area = 0;
    for (size_t i = 0; i < n; i++) area += fmin(a[i], b[i]) * step;
    return area;
}

static void fill_points(gn_picture *p, int classes, unsigned flags)
{
    p->points = TRAIN_ROWS + TEST_ROWS;
    p->point = need(gn__calloc(p->points, sizeof *p->point));
    for (size_t i = 0; i < p->points; i++) {
        gn__rng rng = gn__rng_make(11, gn__purpose("fixture/point"), i);
        bool test = i >= TRAIN_ROWS;
        int label = (int)gn__rng_below(&rng, (uint32_t)classes);
        const part *g = groups[test][label];
        if (gn__rng_double(&rng) >= g->weight) g++;
        p->point[i].x = (float)(g->x + g->sd_x * gn__rng_normal(&rng));
        p->point[i].y = (float)(g->y + g->sd_y * gn__rng_normal(&rng));
        p->point[i].test = test;
        p->point[i].label = flags & FIXTURE_UNLABELLED ? -1 : label;
        p->point[i].text = flags & FIXTURE_HIDE_TEXTS ? NULL : copy(texts[i % TEXTS]);
    }
}

static void fill_picture(gn_picture *p, int classes, unsigned flags)
{
    bool labelled = !(flags & FIXTURE_UNLABELLED);
    p->components = 8;
    p->explained = need(gn__calloc(p->components, sizeof *p->explained));
    for (size_t i = 0; i < p->components; i++) p->explained[i] = 0.142 * pow(0.72, (double)i);
    p->low1 = -4.0, p->high1 = 4.4;
    p->low2[0] = -4.0, p->high2[0] = 4.4, p->low2[1] = -4.3, p->high2[1] = 4.2;
    if (labelled) p->low_probe = -6.5, p->high_probe = 6.5;
    p->densities = labelled ? 2 + 2 * (size_t)classes : 2;
    p->density = need(gn__calloc(p->densities, sizeof *p->density));
    for (size_t i = 0; i < p->densities; i++)
        fill_density(&p->density[i], p, i % 2 == 1, (int)(i / 2) - 1, classes, labelled);
    fill_points(p, classes, flags);

    double step2 =
        (p->high2[0] - p->low2[0]) * (p->high2[1] - p->low2[1]) / ((GN_GRID2 - 1.0) * (GN_GRID2 - 1));
    const gn_density *d = p->density;
    p->pc1 = overlap(common_area(d[0].pc1, d[1].pc1, GN_GRID1, (p->high1 - p->low1) / (GN_GRID1 - 1)), 0.93);
    p->plane = overlap(common_area(d[0].plane, d[1].plane, (size_t)GN_GRID2 * GN_GRID2, step2), 0.88);
    p->probe.overlap = p->probe.yardstick = (gn_interval){NAN, NAN, NAN};
    if (labelled)
        p->probe = overlap(
            common_area(d[0].probe, d[1].probe, GN_GRID1, (p->high_probe - p->low_probe) / (GN_GRID1 - 1)),
            0.92);
}

static gn_shift shift(gn_shift_answer answer, double p, double auc, double half, size_t rows_a, size_t rows_b)
{
    return (gn_shift){.answer = answer,
                      .p_value = p,
                      .p_holm = p,
                      .statistic = 0.0132,
                      .auc = around(auc, half),
                      .auc_curved = around(auc - 0.01, half),
                      .alpha = 0.05,
                      .tolerance = 0.60,
                      .permutations = 999,
                      .rows_a = rows_a,
                      .rows_b = rows_b,
                      .units_a = rows_a,
                      .units_b = rows_b,
                      .rows_needed = answer == GN_SHIFT_NOT_ENOUGH_DATA ? 740 : 0,
                      .method = "mmd-exact"};
}

static void fill_shift(gn_model_evidence *e, double auc, int classes, unsigned flags)
{
    e->shift = shift(GN_SHIFT_DIFFERENT, 0.001, auc, 0.031, TRAIN_ROWS, TEST_ROWS);
    if (flags & FIXTURE_UNLABELLED) return;
    e->by_label = need(gn__calloc((size_t)classes, sizeof *e->by_label));
    for (int c = 0; c < classes; c++) {
        bool unclear = c == 1;
        e->by_label[c] = shift(unclear ? GN_SHIFT_NOT_ENOUGH_DATA : GN_SHIFT_DIFFERENT,
                               unclear ? 0.041 : 0.001, auc - 0.03 - 0.12 * c, 0.052 + 0.02 * c,
                               TRAIN_ROWS / (size_t)classes, TEST_ROWS / (size_t)classes);
        e->by_label[c].p_holm = fmin(1, e->by_label[c].p_value * classes);
    }
}

static gn_evaluation evaluation(double accuracy, size_t rows, size_t units, double half, size_t fit_rows,
                                double majority)
{
    return (gn_evaluation){
        .available = true,
        .scores = {.rows = rows,
                   .units = units,
                   .accuracy = around(accuracy, half),
                   .balanced_accuracy = around(accuracy - 0.006, half),
                   .macro_f1 = around(accuracy - 0.009, half),
                   .auc = around(fmin(0.99, accuracy + 0.08), half * 0.8),
                   .log_loss = {0.31 + (1 - accuracy), 0.27 + (1 - accuracy), 0.36 + (1 - accuracy)},
                   .calibration = around(0.047, 0.015)},
        .majority = majority,
        .lambda = 0.01,
        .fit_rows = fit_rows};
}

static gn_evaluation missing(const char *why)
{
    gn_evaluation e = {0};
    snprintf(e.reason, sizeof e.reason, "%s", why);
    return e;
}

static gn_paired paired(double difference, double half, double p, size_t rows, size_t a_only, size_t b_only)
{
    return (gn_paired){.difference = {difference, difference - half, difference + half},
                       .p_value = p,
                       .rows = rows,
                       .a_only = a_only,
                       .b_only = b_only,
                       .available = true};
}

static void fill_probe(gn_probe_evidence *p, double lift, int classes, unsigned flags)
{
    if (flags & FIXTURE_UNLABELLED) {
        snprintf(p->reason, sizeof p->reason, "neither set has a label column");
        for (int k = 0; k < GN_EVAL_COUNT; k++) p->eval[k] = missing("neither set has a label column");
        return;
    }
    bool grouped = !(flags & FIXTURE_UNGROUPED);
    double guess = classes == 2 ? 0.528 : 0.381;
    p->available = true;
    p->classes = classes;
    p->eval[GN_EVAL_TEST_CV] = evaluation(0.835 + lift, TEST_ROWS, TEST_ROWS, 0.041, 256, guess);
    p->eval[GN_EVAL_TEST_CV_GROUPED] =
        grouped ? evaluation(0.741 + lift, TEST_ROWS, 43, 0.072, 256, guess) : missing("no group column");
    p->eval[GN_EVAL_TEST_CV_CLUSTERED] = evaluation(0.792 + lift, TEST_ROWS, 211, 0.053, 256, guess);
    p->eval[GN_EVAL_TRAIN_HELDOUT] = evaluation(0.902 + lift, 80, 80, 0.058, 320, guess - 0.01);
    p->eval[GN_EVAL_TRAIN_TO_TEST] =
        evaluation(0.628 + lift, TEST_ROWS, grouped ? 43 : TEST_ROWS, 0.061, 400, guess);
    p->eval[GN_EVAL_TRAIN_TO_TEST_MATCHED] =
        evaluation(0.611 + lift, TEST_ROWS, grouped ? 43 : TEST_ROWS, 0.064, 256, guess);
    p->test_cv_vs_majority = paired(0.213 + lift, 0.08, 0.0004, TEST_ROWS, 104, 36);
    p->test_cv_vs_train_to_test = paired(0.113, 0.06, 0.0009, TEST_ROWS, 66, 30);
    if (grouped) p->grouped_vs_ungrouped = paired(-0.094, 0.05, 0.0012, TEST_ROWS, 11, 41);
    p->clustered_vs_ungrouped = paired(-0.043, 0.03, 0.0101, TEST_ROWS, 9, 23);
    if (!(flags & FIXTURE_NO_CONTROL)) {
        p->test_cv_vs_control = paired(0.082, 0.05, 0.0034, TEST_ROWS, 52, 26);
        p->train_to_test_vs_control = paired(0.031, 0.06, 0.31, TEST_ROWS, 47, 37);
    }
    p->transfer_gap = paired(-0.274, 0.083, NAN, TEST_ROWS, 0, 0);
    p->clusters = 211;
    p->clustered_rows = 163;
}

static void fill_model(gn_model_evidence_info *m, bool control)
{
    m->name = copy(control ? "builtin:char-ngram" : "all-MiniLM-L6-v2");
    m->architecture = copy(control ? "char-ngram" : "bert");
    m->path = control ? NULL : copy("models/all-MiniLM-L6-v2");
    m->pooling = copy("mean");
    m->dtype = copy(control ? "float32" : "bfloat16");
    m->tokenizer = copy(control ? "characters" : "WordPiece");
    snprintf(m->sha256, sizeof m->sha256, "%s",
             control ? "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c"
                     : "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db");
    m->dim = control ? 512 : 384;
    m->layers = control ? 0 : 6;
    m->max_length = control ? 0 : 256;
    m->parameters = control ? 0 : 22713216;
    m->normalize = true;
    m->cut_train = control ? 0 : 3;
    m->cut_test = control ? 0 : 11;
    m->tokens = control ? 0 : 19437;
}

static void fill_set(gn_set_info *s, bool test, int classes, unsigned flags)
{
    bool labelled = !(flags & FIXTURE_UNLABELLED);
    s->path = copy(test ? "data/field <2024> & more.tsv" : "data/catalogue_auto.csv");
    s->format = copy(test ? "tsv" : "csv");
    s->encoding = copy(test ? "CP932" : "UTF-8");
    s->text_column = copy(test ? "本文" : "text");
    s->label_column = labelled ? copy("label") : NULL;
    s->group_column = test && !(flags & FIXTURE_UNGROUPED) ? copy("customer") : NULL;
    s->groups = s->group_column ? 43 : 0;
    snprintf(s->sha256, sizeof s->sha256, "%s",
             test ? "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
                  : "fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9");
    s->rows = test ? TEST_ROWS : TRAIN_ROWS;
    s->malformed = test ? 2 : 3;
    s->empty = test ? 1 : 0;
    s->dropped_by_label = test ? 0 : 7;
    s->unlabelled = labelled && test ? 4 : 0;
    s->rows_read = s->rows + s->malformed + s->empty + s->dropped_by_label + (test ? 0 : 5);
    s->malformed_line = need(gn__calloc(s->malformed, sizeof *s->malformed_line));
    s->malformed_reason = need(gn__calloc(s->malformed, sizeof *s->malformed_reason));
    for (size_t i = 0; i < s->malformed; i++) {
        s->malformed_line[i] = (int64_t)(17 + 120 * i);
        s->malformed_reason[i] =
            copy(i == 0 ? "3 fields where the header has 2" : "a quoted field is never closed");
    }
    if (labelled) {
        s->class_rows = need(gn__calloc((size_t)classes, sizeof *s->class_rows));
        size_t left = s->rows - s->unlabelled;
        for (int c = 0; c < classes; c++) {
            s->class_rows[c] = c == classes - 1 ? left : left / (size_t)(classes - c) + (c == 0 ? 9 : 0);
            left -= s->class_rows[c];
        }
    }
}

static gn_example *fill_examples(bool test, int classes, unsigned flags, size_t *n)
{
    *n = 8;
    gn_example *e = need(gn__calloc(*n, sizeof *e));
    for (size_t i = 0; i < *n; i++) {
        e[i].text = flags & FIXTURE_HIDE_TEXTS ? NULL : copy(texts[(i + (test ? 3 : 0)) % TEXTS]);
        e[i].row = 37 * i + (test ? 5 : 12);
        e[i].line = (int64_t)(e[i].row + 2 + i / 3);
        e[i].label = flags & FIXTURE_UNLABELLED ? -1 : (int)(i % (size_t)classes);
        e[i].score = 0.991 - 0.013 * (double)i;
    }
    return e;
}

static void add(gn_verdict *v, const char *id, gn_stance stance, int values, const double *value)
{
    gn_reason *r = &v->reason[v->reasons++];
    *r = (gn_reason){.id = id, .stance = stance, .values = values};
    for (int i = 0; i < values; i++) r->value[i] = value[i];
}

static void act(gn_verdict *v, const char *id, int values, double a, double b)
{
    v->action[v->actions++] = (gn_reason){.id = id, .stance = GN_NOTE, .value = {a, b}, .values = values};
}

static void fill_verdict(gn_verdict *v, unsigned flags)
{
    add(v, "shift_different", flags & FIXTURE_UNLABELLED ? GN_AGAINST : GN_FOR, 5,
        (const double[]){0.913, 0.882, 0.944, 0.001, 0.6});
    if (flags & FIXTURE_UNLABELLED) {
        v->code = GN_VERDICT_MORE_DATA;
        snprintf(v->rule, sizeof v->rule, "no_labels");
        add(v, "labels_missing", GN_NOTE, 0, NULL);
        act(v, "do_label_test", 2, 300, 0);
        act(v, "do_label_train", 1, 300, 0);
        act(v, "do_rerun", 0, 0, 0);
        v->rows_needed = 300;
        return;
    }
    v->code = GN_VERDICT_FIX_DATA;
    snprintf(v->rule, sizeof v->rule, "separates_not_carried");
    add(v, "separates_grouped", GN_FOR, 5, (const double[]){0.741, 0.669, 0.813, 0.528, 0.82});
    add(v, "does_not_carry", GN_FOR, 5, (const double[]){0.628, 0.741, 0.113, 0.053, 0.173});
    add(v, "overlap_low", GN_FOR, 3, (const double[]){0.66, 0.90, 0.955});
    add(v, "clusters_give_away", GN_AGAINST, 3, (const double[]){0.835, 0.792, 211});
    add(v, "groups_give_away", GN_NOTE, 4, (const double[]){0.835, 0.741, -0.144, -0.044});
    add(v, "duplicates_removed", GN_NOTE, 2, (const double[]){5, 0.0123});
    act(v, "do_read_examples", 0, 0, 0);
    act(v, "do_audit_labels", 1, 100, 0);
    act(v, "do_resample_labels", 0, 0, 0);
    act(v, "do_rerun", 0, 0, 0);
}

static void fill_kind(gn_kind *k, int classes, unsigned flags)
{
    static const gn_shift_answer answer[GN_KIND_PARTS] = {[GN_KIND_TOTAL] = GN_SHIFT_DIFFERENT,
                                                          [GN_KIND_COVARIATE] = GN_SHIFT_DIFFERENT,
                                                          [GN_KIND_LABEL] = GN_SHIFT_DIFFERENT,
                                                          [GN_KIND_CONCEPT] = GN_SHIFT_NOT_ENOUGH_DATA,
                                                          [GN_KIND_CONDITIONAL] = GN_SHIFT_EQUIVALENT};
    if (flags & FIXTURE_UNLABELLED) {
        snprintf(k->reason, sizeof k->reason, "train has no two labels with two rows each");
        return;
    }
    k->available = k->test_labelled = k->probed = k->weights = true;
    k->classes = classes;
    k->effective_dimension = 97.5;
    k->probe_rows = 132, k->heldout_rows = 264, k->probe_accuracy = 0.83;
    for (int i = 0; i < GN_KIND_PARTS; i++) {
        bool share = i == GN_KIND_LABEL || i == GN_KIND_CONCEPT;
        k->part[i] = (gn_kind_part){.answer = answer[i],
                                    .p_value = i == GN_KIND_CONCEPT ? 0.21 : 0.001,
                                    .effect = around(share ? 0.14 : 0.71, 0.05),
                                    .tolerance = share ? 0.05 : 0.6,
                                    .label = i >= GN_KIND_CONCEPT ? classes - 1 : -1};
    }
    k->by_class = need(gn__calloc((size_t)classes, sizeof *k->by_class));
    k->by_predicted = need(gn__calloc((size_t)classes, sizeof *k->by_predicted));
    for (int c = 0; c < classes; c++) {
        k->by_class[c] = (gn_kind_class){.train_rows = TRAIN_ROWS / (size_t)classes,
                                         .test_rows = TEST_ROWS / (size_t)classes,
                                         .train_share = around(1.0 / classes, 0.05),
                                         .test_share = around(1.0 / classes + 0.02 * c, 0.05),
                                         .share_difference = {0.02 * c, 0.02 * c - 0.07, 0.02 * c + 0.07},
                                         .concept_difference = {0.01 * c, -0.06, 0.08},
                                         .estimated_share = around(1.0 / classes + 0.01 * c, 0.06),
                                         .weight = {1 + 0.03 * c, 0.84, 1.21}};
        k->by_predicted[c] = shift(GN_SHIFT_NOT_ENOUGH_DATA, 0.03, 0.61, 0.06, 120, 140);
    }
}

static void fill_cluster(gn_where_cluster *c, bool test, bool covered, size_t number, int classes,
                         unsigned flags)
{
    static const char *const words[] = {"refund", "返品", "<b>machine</b>"};
    bool hide = flags & FIXTURE_HIDE_TEXTS;
    const gn_interval none = {NAN, NAN, NAN};
    *c = (gn_where_cluster){.test = test,
                            .rows = 21 - 4 * number,
                            .share = around(0.21 - 0.06 * (double)number, 0.05),
                            .other_share = covered ? around(0.05, 0.02) : none,
                            .difference = covered ? around(0.16 - 0.06 * (double)number, 0.06) : none,
                            .typical = need(gn__calloc(3, sizeof(gn_where_text))),
                            .typicals = 3,
                            .word = need(gn__calloc(3, sizeof(gn_where_word))),
                            .words = hide ? 0 : 3};
    for (size_t i = 0; i < 3; i++) {
        c->typical[i] = (gn_where_text){.row = 11 * i + number,
                                        .line = (int64_t)(11 * i + number + 2),
                                        .label = flags & FIXTURE_UNLABELLED ? -1 : (int)(i % (size_t)classes),
                                        .score = 0.97 - 0.02 * (double)i,
                                        .text = hide ? NULL : copy(texts[(i + 5 * number) % TEXTS])};
        if (!hide)
            c->word[i] = (gn_where_word){
                copy(words[i]), {2.1 - (double)i, 0.9 - (double)i, 3.3 - (double)i}, 9 - i, 2};
    }
}

static void fill_where(gn_where *w, int classes, unsigned flags)
{
    *w = (gn_where){.available = true,
                    .cluster = need(gn__calloc(3, sizeof(gn_where_cluster))),
                    .clusters = 3,
                    .coverage_available = true,
                    .coverage = around(0.78, 0.06),
                    .expected = {0.95, 0.9, 0.98},
                    .neighbours = 5,
                    .reference_rows = 300,
                    .calibration_rows = 100,
                    .test_rows = TEST_ROWS,
                    .radius = 1.07,
                    .novel = 42,
                    .novel_rate = 0.1,
                    .uncovered = need(gn__calloc(1, sizeof(gn_where_cluster))),
                    .uncovered_parts = 1};
    for (size_t i = 0; i < 3; i++) fill_cluster(&w->cluster[i], i > 0, true, i, classes, flags);
    fill_cluster(&w->uncovered[0], true, false, 1, classes, flags);
}

static gn_seeded seeded(double difference, double half, size_t rows)
{
    gn_interval d = {difference, difference - half, difference + half};
    return (gn_seeded){.available = true,
                       .difference = d,
                       .p_value = 0.03,
                       .p_holm = 0.09,
                       .answer = d.low > 0    ? GN_FINETUNE_HELPS
                                 : d.high < 0 ? GN_FINETUNE_HURTS
                                              : GN_FINETUNE_CANNOT_TELL,
                       .rows = rows,
                       .units = rows / 5,
                       .seeds = 3,
                       .row_variance = 1e-4,
                       .seed_variance = 2e-5,
                       .rows_needed = d.low <= 0 && d.high >= 0 ? 1260 : 0};
}

static gn_finetune_judged judged(double accuracy, size_t rows, bool vs, double difference)
{
    gn_finetune_judged j = {.available = true,
                            .scores = {.rows = rows,
                                       .units = rows / 5,
                                       .accuracy = around(accuracy, 0.04),
                                       .balanced_accuracy = around(accuracy - 0.01, 0.04),
                                       .macro_f1 = around(accuracy - 0.02, 0.05),
                                       .auc = around(accuracy + 0.07, 0.03),
                                       .log_loss = around(0.5, 0.06),
                                       .calibration = around(0.05, 0.02)},
                            .seed_deviation = 0.008};
    if (vs) j.vs_probe = seeded(difference, 0.02, rows);
    if (vs) j.vs_test_probe = seeded(difference - 0.01, 0.03, rows);
    return j;
}

static void fill_moved(gn_finetune_run *t, int classes)
{
    enum { MOVED = 60 };
    t->moved = true;
    t->auc_before = around(0.91, 0.03);
    t->auc_after = around(0.78, 0.05);
    t->overlap_before = around(0.62, 0.06);
    t->overlap_after = around(0.8, 0.06);
    t->point = need(gn__calloc(MOVED, sizeof *t->point));
    gn__rng rng = gn__rng_make(9, 9, t->method);
    for (int i = 0; i < MOVED; i++)
        t->point[t->points++] = (gn_moved_point){.x = (float)gn__rng_normal(&rng),
                                                 .y = (float)gn__rng_normal(&rng),
                                                 .x_after = (float)(i % 2 + gn__rng_normal(&rng)),
                                                 .y_after = (float)gn__rng_normal(&rng),
                                                 .label = i % classes,
                                                 .test = i % 2 == 1};
}

static void fill_finetune(gn_result *r, int classes, unsigned flags)
{
    enum { LAYERS = 8 };
    static const gn_method methods[] = {GN_METHOD_LP, GN_METHOD_FULL, GN_METHOD_LORA};
    static const double difference[] = {0, -0.041, 0.013};
    gn_finetune_evidence *e = &r->finetune;
    bool grouped = !(flags & FIXTURE_UNGROUPED);
    r->steps |= GN_STEP_FINETUNE;
    if (flags & FIXTURE_UNLABELLED) {
        snprintf(e->reason, sizeof e->reason, "no labels in train");
        e->transfer_train.logme = e->transfer_test.logme = NAN;
        return;
    }
    *e = (gn_finetune_evidence){.available = true,
                                .classes = classes,
                                .seeds = 3,
                                .train_rows = 320,
                                .heldout_rows = 80,
                                .test_rows = 320,
                                .test_groups = grouped ? 64 : 0,
                                .worthwhile = 0.02,
                                .transfer_train = {320, classes, -0.412, 0.55, 0.47, 0.12},
                                .transfer_test = {320, classes, -0.398, 0.61, 0.5, 0.11},
                                .run = need(gn__calloc(6, sizeof(gn_finetune_run))),
                                .seconds = 83.5,
                                .peak_memory = 640e6};
    for (int i = 0; i < 6; i++) {
        int m = i % 3;
        double accuracy = 0.74 + difference[m];
        gn_finetune_run *t = &e->run[e->runs++];
        *t = (gn_finetune_run){.method = methods[m],
                               .source = i < 3 ? GN_SOURCE_TRAIN : GN_SOURCE_TEST,
                               .seeds = 3,
                               .folds = i < 3 ? 0 : 5,
                               .folds_grouped = i < 3 || !grouped ? 0 : 5,
                               .fit_rows = i < 3 ? 320 : 256,
                               .heldout = judged(accuracy + 0.03, 80, m > 0, difference[m] + 0.01),
                               .test = judged(accuracy, 320, m > 0, difference[m]),
                               .gap = {-0.03, -0.1, 0.04},
                               .cost = {.fits = i < 3 ? 3 : 30,
                                        .steps = 90,
                                        .tokens = m > 0 ? 412000 : 0,
                                        .forward_tokens = 30100,
                                        .seconds = 20.5,
                                        .core_seconds = 39.25,
                                        .memory = m > 0 ? 512e6 : 0,
                                        .trained = 22000000,
                                        .parameters = 22700000},
                               .cka_heldout = m > 0 ? 0.93 : 1,
                               .cka_test = m > 0 ? 0.91 : 1};
        if (grouped) t->test_grouped = judged(accuracy - 0.02, 320, m > 0, difference[m] - 0.004);
        t->vs_probe = grouped ? t->test_grouped.vs_probe : t->test.vs_probe;
        if (m == 0) continue;
        t->layer_change = need(gn__calloc(LAYERS, sizeof *t->layer_change));
        t->layer_changes = LAYERS;
        for (int l = 0; l < LAYERS; l++) t->layer_change[l] = 0.001 * (l + 1);
        if (i < 3) fill_moved(t, classes);
    }
}

void fixture_result_with(gn_result *r, unsigned flags)
{
    int classes = flags & FIXTURE_THREE_CLASSES ? 3 : 2;
    static const char *const names[2][MAX_CLASSES] = {{"negative", "positive", ""},
                                                      {"negative", "neutral", "positive"}};
    static const char *const libraries[] = {"OpenBLAS 0.3.21", "oneDNN 2.6.3", "ICU 72.1", "liblbfgs 1.10"};
    *r = (gn_result){0};
    r->created = copy("2026-03-02T09:41:27Z");
    r->version = copy("0.1.0");
    r->command = copy("genchi check --train data/catalogue_auto.csv --test 'data/field <2024> & more.tsv' "
                      "--test-group customer --model models/all-MiniLM-L6-v2 --out report");
    r->seed = 1;
    r->threads = 2;
    r->steps = GN_STEP_ALL;
    fill_set(&r->train, false, classes, flags);
    fill_set(&r->test, true, classes, flags);
    r->duplicates = (gn_duplicates){.within_train = 14,
                                    .within_test = 3,
                                    .across = 5,
                                    .conflicting_train = 2,
                                    .conflicting_test = 0,
                                    .removed_from_train = 5};
    if (!(flags & FIXTURE_UNLABELLED)) {
        r->classes = classes;
        r->class_name = need(gn__calloc((size_t)classes, sizeof *r->class_name));
        for (int c = 0; c < classes; c++) r->class_name[c] = copy(names[classes - 2][c]);
    }

    fill_model(&r->main.model, false);
    fill_picture(&r->main.picture, classes, flags);
    fill_shift(&r->main, 0.913, classes, flags);
    fill_probe(&r->main.probe, 0, classes, flags);

    r->has_control = !(flags & FIXTURE_NO_CONTROL);
    if (r->has_control) {
        bool labelled = !(flags & FIXTURE_UNLABELLED);
        fill_model(&r->control.model, true);
        r->control.picture.pc1 = overlap(0.71, 0.94);
        r->control.picture.plane = overlap(0.64, 0.89);
        r->control.picture.probe = overlap(0.69, 0.93);
        if (!labelled)
            r->control.picture.probe.overlap = r->control.picture.probe.yardstick =
                (gn_interval){NAN, NAN, NAN};
        fill_shift(&r->control, 0.842, classes, flags);
        fill_probe(&r->control.probe, -0.082, classes, flags | FIXTURE_NO_CONTROL);
    }
    r->only_train = fill_examples(false, classes, flags, &r->examples_train);
    r->only_test = fill_examples(true, classes, flags, &r->examples_test);
    fill_kind(&r->kind, classes, flags);
    fill_where(&r->where, classes, flags);
    fill_verdict(&r->verdict, flags);
    if (flags & FIXTURE_FINETUNE) fill_finetune(r, classes, flags);
    r->timing = (gn_timing){0.021,
                            0.043,
                            2.914,
                            0.382,
                            0.561,
                            1.874,
                            1.442,
                            7.361,
                            187.0 * 1024 * 1024,
                            {12e6, 60e6, 150e6, 151e6, 170e6, 180e6, 187.0 * 1024 * 1024}};
    r->libraries = sizeof libraries / sizeof *libraries;
    r->library = need(gn__calloc(r->libraries, sizeof *r->library));
    for (size_t i = 0; i < r->libraries; i++) r->library[i] = copy(libraries[i]);
}

void fixture_result(gn_result *r)
{
    fixture_result_with(r, 0);
}
