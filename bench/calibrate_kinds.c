/* The study behind docs/calibration-kinds.md: how often the parts of a shift are found where they are and
 * where they are not, how often intervals hold the truth, and whether the promised rows give the promised
 * power:
 *
 *     calibrate_kinds kinds|coverage|rows|all SIMULATIONS FILE
 *
 * FILE keeps what has been simulated (study.h); SIMULATIONS 0 prints what is there, in Markdown. */
#include "study.h"

#include <math.h>
#include <stdio.h>

static study_row rows[64];
static size_t count;

static study_row *add_row(const char *key)
{
    study_row *row = &rows[count++];
    if (count > sizeof rows / sizeof *rows) exit(1);
    snprintf(row->key, sizeof row->key, "%s", key);
    return row;
}

typedef enum world { NOTHING, LABEL, COVARIATE, COVARIATE_SQUARE, CONCEPT, CONDITIONAL, WORLDS } world;
static const char *const world_name[] = {
    "nothing differs",        "label shares .5 and .75",        "texts move along the label's direction",
    "the same, labels by x²", "labels given differently (+.2)", "texts move within each label"};

typedef struct setting {
    size_t n[2], dim;
    bool grouped;
} setting;
static const setting settings[] = {{{100, 100}, 16, false},
                                   {{160, 160}, 16, false},
                                   {{500, 100}, 64, false},
                                   {{400, 400}, 64, false},
                                   {{300, 200}, 16, true}};

static double normal_distribution(double x)
{
    return erfc(-x / sqrt(2)) / 2;
}

/* Rows of one set. Groups: 1 to 6 near copies of one row, which share its label. */
static void fill(const setting *s, world w, int side, gn__rng *r, gn_matrix *x, int *label, uint32_t *group)
{
    for (size_t i = 0, g = 0; i < s->n[side]; g++) {
        size_t size = s->grouped ? 1 + gn__rng_below(r, 6) : 1;
        float *first = x->data + i * s->dim;
        int y;
        for (size_t j = 0; j < s->dim; j++) first[j] = (float)gn__rng_normal(r);
        if (w == LABEL || w == CONDITIONAL || w == NOTHING) {
            double share = w == LABEL && side ? 0.75 : 0.5;
            y = gn__rng_double(r) < share;
            first[0] += y ? 1 : -1;
            if (w == CONDITIONAL && side) first[1] += 1;
        } else {
            if (w != CONCEPT && side) first[0] += 0.5f, first[1] += 0.5f;
            double v = w == COVARIATE_SQUARE ? (double)(first[0] * first[0]) - 1 : (double)first[0];
            double p = 0.1 + 0.6 * normal_distribution(v) + (w == CONCEPT && side ? 0.2 : 0);
            y = gn__rng_double(r) < p;
        }
        for (size_t k = 0; k < size && i < s->n[side]; k++, i++) {
            for (size_t j = 0; j < s->dim; j++)
                x->data[i * s->dim + j] = k == 0 ? first[j] : first[j] + (float)(0.05 * gn__rng_normal(r));
            label[i] = y;
            group[i] = (uint32_t)g;
        }
    }
}

enum { INTERVALS = 5, FOUND = 0, TESTED = FOUND + GN_KIND_PARTS, PREDICTED = TESTED + GN_KIND_PARTS };
enum { HELD = PREDICTED + 1, ASKED = HELD + INTERVALS };

static void hold(double *sum, int which, gn_interval i, double truth)
{
    if (!isfinite(i.low)) return;
    sum[ASKED + which]++;
    sum[HELD + which] += i.low <= truth && truth <= i.high;
}

static void simulate_kinds(const study_row *row, size_t run, gn_context *ctx, double *sum)
{
    const setting *s = row->setting;
    world w = (world)row->number[0];
    gn_error err = {0};
    gn_matrix x[2];
    int *label[2];
    uint32_t *group[2];
    gn_kind k;
    for (int side = 0; side < 2; side++) {
        x[side] = study_matrix(s->n[side], s->dim);
        label[side] = calloc(s->n[side], sizeof **label);
        group[side] = calloc(s->n[side], sizeof **group);
        if (label[side] == NULL || group[side] == NULL) exit(1);
        gn__rng r = gn__rng_make(20261126, gn__purpose(row->key) + (uint64_t)side, run);
        fill(s, w, side, &r, &x[side], label[side], group[side]);
    }
    gn_kind_input in = {
        &x[0], &x[1], label[0], label[1], 2, s->grouped ? group[0] : NULL, s->grouped ? group[1] : NULL,
        NULL,  NULL};
    gn_kind_options o = {.detect = {.permutations = 199, .purpose = run}, .bootstrap = 200};
    study_must(gn_kind_run(ctx, &in, &o, &k, &err), &err);
    for (int p = 0; p < GN_KIND_PARTS; p++) {
        sum[FOUND + p] += k.part[p].p_value <= 0.05;
        sum[TESTED + p] += !isnan(k.part[p].p_value);
    }
    if (k.by_predicted) sum[PREDICTED] += fmin(k.by_predicted[0].p_holm, k.by_predicted[1].p_holm) <= 0.05;
    if (w == LABEL || w == NOTHING) {
        double share = w == LABEL ? 0.75 : 0.5;
        hold(sum, 0, k.by_class[1].share_difference, share - 0.5);
        hold(sum, 1, k.part[GN_KIND_LABEL].effect, share - 0.5);
        hold(sum, 2, k.by_class[1].estimated_share, share);
        hold(sum, 3, k.by_class[1].weight, share / 0.5);
    }
    if (w == COVARIATE || w == CONCEPT || w == COVARIATE_SQUARE)
        hold(sum, 4, k.by_class[1].concept_difference, w == CONCEPT ? 0.2 : 0);
    gn_kind_free(&k);
    for (int side = 0; side < 2; side++) {
        gn_matrix_free(&x[side]);
        free(label[side]);
        free(group[side]);
    }
}

static void name_of(const setting *s, char out[48])
{
    snprintf(out, 48, "%zu + %zu, %zu%s", s->n[0], s->n[1], s->dim, s->grouped ? ", groups of 1–6" : "");
}

static void kind_tables(size_t simulations, const char *path)
{
    static const char *const interval[] = {"share difference", "total variation", "estimated share (BBSE)",
                                           "weight (BBSE)", "label given one text"};
    char name[48], key[120];
    for (size_t s = 0; s < sizeof settings / sizeof *settings; s++)
        for (size_t w = 0; w < WORLDS; w++) {
            name_of(&settings[s], name);
            snprintf(key, sizeof key, "kinds, %s, %s", name, world_name[w]);
            study_row *row = add_row(key);
            row->setting = &settings[s];
            row->number[0] = w;
            row->simulate = simulate_kinds;
            row->batch = 5;
            row->share = w == NOTHING || w == LABEL ? 1 : 5; /* levels and intervals first */
        }
    study_run(rows, count, simulations, path, 0, 1);
    printf("\n## Parts found at the 5 %% level\n| rows, columns | what differs | simulations | total | "
           "covariate | "
           "label | concept | class-conditional | by predicted label "
           "|\n|---|---|---|---|---|---|---|---|---|\n");
    for (size_t r = 0; r < count; r++) {
        const double *sum = rows[r].sum;
        name_of(rows[r].setting, name);
        printf("| %s | %s | %zu |", name, world_name[rows[r].number[0]], rows[r].done);
        for (int p = 0; p < GN_KIND_PARTS; p++)
            printf(" %s |",
                   sum[TESTED + p] > 0 ? study_rate(sum[FOUND + p], (size_t)sum[TESTED + p]) : "refused");
        printf(" %s |\n", study_rate(sum[PREDICTED], rows[r].done));
    }
    printf("\n## Intervals\n| rows, columns | what differs | interval | simulations | holds the truth |\n"
           "|---|---|---|---|---|\n");
    for (size_t r = 0; r < count; r++)
        for (int i = 0; i < INTERVALS; i++)
            if (rows[r].sum[ASKED + i] > 0) {
                name_of(rows[r].setting, name);
                printf("| %s | %s | %s | %.0f | %s |\n", name, world_name[rows[r].number[0]], interval[i],
                       rows[r].sum[ASKED + i],
                       study_rate(rows[r].sum[HELD + i], (size_t)rows[r].sum[ASKED + i]));
            }
}

/* ---- what train covers ------------------------------------------------------------------------- */

static gn_where where_of(gn_context *ctx, const gn_matrix *train, const gn_matrix *test)
{
    gn_error err = {0};
    gn_where w;
    float *score[2] = {calloc(train->rows, sizeof(float)), calloc(test->rows, sizeof(float))};
    if (score[0] == NULL || score[1] == NULL) exit(1);
    gn_where_input in = {.train = train, .test = test, .train_score = score[0], .test_score = score[1]};
    study_must(gn_where_run(ctx, &in, NULL, &w, &err), &err);
    free(score[0]);
    free(score[1]);
    return w;
}

/* The truth comes from 5,000 more rows of the same test population against the same split of train. */
static void simulate_coverage(const study_row *row, size_t run, gn_context *ctx, double *sum)
{
    enum { MANY = 5000 };
    size_t n[3] = {row->number[0], row->number[1], MANY}, dim = row->number[2];
    double spread = (double)row->number[3] / 100;
    gn_matrix x[3];
    gn__rng r = gn__rng_make(20261126, gn__purpose(row->key), run);
    for (int k = 0; k < 3; k++) {
        x[k] = study_matrix(n[k], dim);
        study_normals(&r, x[k].data, n[k] * dim);
        for (size_t i = 0; i < n[k] * dim && k > 0; i++) x[k].data[i] *= (float)spread;
    }
    gn_where few = where_of(ctx, &x[0], &x[1]), many = where_of(ctx, &x[0], &x[2]);
    double truth = many.coverage.estimate;
    sum[0] += few.coverage.low <= truth && truth <= few.coverage.high;
    sum[1] += few.expected.low <= truth && truth <= few.expected.high;
    sum[2] += few.novel > 0;
    sum[3] += few.coverage.estimate;
    gn_where_free(&few);
    gn_where_free(&many);
    for (int k = 0; k < 3; k++) gn_matrix_free(&x[k]);
}

static void coverage_table(size_t simulations, const char *path)
{
    static const size_t n[][3] = {{300, 150, 16}, {100, 60, 16}, {1000, 300, 64}};
    static const size_t spread[] = {100, 115};
    char key[120];
    for (size_t k = 0; k < sizeof n / sizeof *n; k++)
        for (size_t s = 0; s < 2; s++) {
            snprintf(key, sizeof key, "coverage, train %zu, test %zu, %zu columns, %s", n[k][0], n[k][1],
                     n[k][2], s ? "spread 1.15 times as far" : "as train");
            study_row *row = add_row(key);
            memcpy(row->number, n[k], sizeof n[k]);
            row->number[3] = spread[s];
            row->simulate = simulate_coverage;
            row->batch = 5;
        }
    study_run(rows, count, simulations, path, 0, 1);
    printf("\n## What train covers\n| setting | simulations | mean coverage | its interval holds the truth | "
           "expected "
           "coverage holds the truth | any row called new |\n|---|---|---|---|---|---|\n");
    for (size_t k = 0; k < count; k++)
        printf("| %s | %zu | %.3f | %s | %s | %s |\n", rows[k].key + strlen("coverage, "), rows[k].done,
               rows[k].sum[3] / (double)rows[k].done, study_rate(rows[k].sum[0], rows[k].done),
               rows[k].number[3] == 100 ? study_rate(rows[k].sum[1], rows[k].done) : "–",
               study_rate(rows[k].sum[2], rows[k].done));
}

/* ---- promised rows ----------------------------------------------------------------------------- */

static gn_shift shift_of(gn_context *ctx, size_t n, const study_row *row, uint64_t purpose, size_t run)
{
    size_t dim = row->number[1];
    double move = (double)row->number[2] / 10;
    gn_error err = {0};
    gn_matrix x[2];
    gn_shift s;
    gn__rng r = gn__rng_make(20261126, gn__purpose(row->key) + purpose, run);
    for (int side = 0; side < 2; side++) {
        x[side] = study_matrix(n, dim);
        study_normals(&r, x[side].data, n * dim);
        for (size_t i = 0; i < n && side; i++) x[side].data[i * dim] += (float)move;
    }
    gn_detect_options o = {.permutations = 99, .purpose = run};
    study_must(gn_detect(ctx, &x[0], &x[1], &o, &s, NULL, NULL, &err), &err);
    gn_matrix_free(&x[0]);
    gn_matrix_free(&x[1]);
    return s;
}

enum { OPEN, RUN, SETTLED, NEAR, NEAR_RUN, NEAR_SETTLED, PROMISED, NEAR_PROMISED, MOST_PROMISED = 4000 };

static double best_auc(const study_row *row)
{
    return normal_distribution((double)row->number[2] / 10 / sqrt(2));
}

/* A pilot that answers "not enough data" promises a number of rows; a fresh sample of so many: is it settled?
 * The promise is for an AUC "as estimated": pilots within 0.03 of the best possible AUC are counted apart.
 * Promises above MOST_PROMISED are not run. */
static void simulate_rows(const study_row *row, size_t run, gn_context *ctx, double *sum)
{
    gn_shift pilot = shift_of(ctx, row->number[0], row, 0, run);
    if (pilot.answer != GN_SHIFT_NOT_ENOUGH_DATA) return;
    double estimate = fmax(pilot.auc.estimate, 0.5);
    bool near = fabs(estimate - best_auc(row)) <= 0.03, runs = pilot.rows_needed <= MOST_PROMISED;
    bool settled = runs && shift_of(ctx, pilot.rows_needed, row, 1, run).answer != GN_SHIFT_NOT_ENOUGH_DATA;
    sum[OPEN]++;
    sum[RUN] += runs;
    sum[SETTLED] += settled;
    sum[NEAR] += near;
    sum[NEAR_RUN] += near && runs;
    sum[NEAR_SETTLED] += near && settled;
    if (runs) sum[PROMISED] += log((double)pilot.rows_needed);
    if (near && runs) sum[NEAR_PROMISED] += log((double)pilot.rows_needed);
}

static void rows_table(size_t simulations, const char *path)
{
    static const size_t pilots[][3] = {{40, 4, 0},   {60, 16, 0}, {100, 64, 0}, {40, 4, 2},
                                       {100, 16, 2}, {40, 4, 7},  {60, 16, 8},  {40, 4, 10}};
    char key[120];
    for (size_t k = 0; k < sizeof pilots / sizeof *pilots; k++) {
        snprintf(key, sizeof key, "rows, %zu, %zu, 0.%zu", pilots[k][0], pilots[k][1], pilots[k][2]);
        study_row *row = add_row(key);
        memcpy(row->number, pilots[k], sizeof pilots[k]);
        row->simulate = simulate_rows;
        row->batch = 10;
    }
    study_run(rows, count, simulations, path, 0, 1);
    printf("\n## Promised rows\n| pilot rows a set, columns | best AUC | pilots | open | promised, geometric "
           "mean | "
           "settled with what was promised | AUC as estimated: promised | settled "
           "|\n|---|---|---|---|---|---|---|---|\n");
    for (size_t k = 0; k < count; k++) {
        const double *sum = rows[k].sum;
        printf("| %zu, %zu | %.2f | %zu | %.0f | %.0f | %s | %.0f | %s |\n", rows[k].number[0],
               rows[k].number[1], best_auc(&rows[k]), rows[k].done, sum[OPEN], exp(sum[PROMISED] / sum[RUN]),
               study_rate(sum[SETTLED], (size_t)sum[RUN]), exp(sum[NEAR_PROMISED] / sum[NEAR_RUN]),
               study_rate(sum[NEAR_SETTLED], (size_t)sum[NEAR_RUN]));
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(size_t simulations, const char *path);
    } table[] = {{"kinds", kind_tables}, {"coverage", coverage_table}, {"rows", rows_table}};
    size_t ran = 0;
    for (size_t i = 0; i < sizeof table / sizeof *table && argc == 4; i++) {
        if (strcmp(argv[1], table[i].name) != 0 && strcmp(argv[1], "all") != 0) continue;
        count = 0;
        memset(rows, 0, sizeof rows);
        table[i].run(strtoul(argv[2], NULL, 10), argv[3]);
        ran++;
    }
    if (ran == 0) fprintf(stderr, "usage: calibrate_kinds kinds|coverage|rows|all SIMULATIONS FILE\n");
    return ran > 0 ? 0 : 2;
}
