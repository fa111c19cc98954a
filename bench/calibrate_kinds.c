/* The study behind docs/calibration-kinds.md: how often the parts of a shift are found where they are and
 * where they are not, how often intervals hold the truth, and whether the promised rows give the promised
 * power. calibrate_kinds [RUNS [kinds|coverage|rows]]: prints the tables in Markdown. Fixed seed. */
#include "core/core.h"
#include "genchi/genchi.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

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

static void stop(const gn_error *err)
{
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

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

static const char *rate(size_t hits, size_t n, char out[48])
{
    const double z = 1.959963984540054;
    if (n == 0) return "not tested";
    double p = (double)hits / (double)n, m = (double)n, centre = (p + z * z / (2 * m)) / (1 + z * z / m),
           half = z * sqrt(p * (1 - p) / m + z * z / (4 * m * m)) / (1 + z * z / m);
    snprintf(out, 48, "%.3f (%.3f–%.3f)", p, centre - half, centre + half);
    return out;
}

typedef struct tally {
    size_t runs, found[GN_KIND_PARTS], tested[GN_KIND_PARTS], predicted, held[5], asked[5];
} tally;

static void hold(tally *t, int which, gn_interval i, double truth)
{
    if (!isfinite(i.low)) return;
    t->asked[which]++;
    t->held[which] += i.low <= truth && truth <= i.high;
}

static void kinds(const setting *s, world w, size_t runs, tally *t)
{
    gn_error err = {0};
    gn_matrix x[2];
    int *label[2];
    uint32_t *group[2];
    for (int side = 0; side < 2; side++) {
        if (gn_matrix_create(s->n[side], s->dim, &x[side], &err) != GN_OK) stop(&err);
        label[side] = calloc(s->n[side], sizeof **label);
        group[side] = calloc(s->n[side], sizeof **group);
        if (label[side] == NULL || group[side] == NULL) exit(1);
    }
    for (size_t run = 0; run < runs; run++) {
        gn_context *ctx = NULL;
        gn_kind k;
        if (gn_context_create(&(gn_context_options){.threads = 1, .seed = run}, &ctx, &err) != GN_OK)
            stop(&err);
        for (int side = 0; side < 2; side++) {
            gn__rng r =
                gn__rng_make(20261124, gn__purpose("calibrate/kinds") + (uint64_t)(w * 2 + side), run);
            fill(s, w, side, &r, &x[side], label[side], group[side]);
        }
        gn_kind_input in = {
            &x[0], &x[1], label[0], label[1], 2, s->grouped ? group[0] : NULL, s->grouped ? group[1] : NULL,
            NULL,  NULL};
        gn_kind_options o = {.detect = {.permutations = 199}, .bootstrap = 200};
        if (gn_kind_run(ctx, &in, &o, &k, &err) != GN_OK) stop(&err);
        t->runs++;
        for (int p = 0; p < GN_KIND_PARTS; p++) {
            t->found[p] += k.part[p].p_value <= 0.05;
            t->tested[p] += !isnan(k.part[p].p_value);
        }
        if (k.by_predicted) t->predicted += fmin(k.by_predicted[0].p_holm, k.by_predicted[1].p_holm) <= 0.05;
        if (w == LABEL || w == NOTHING) {
            double share = w == LABEL ? 0.75 : 0.5;
            hold(t, 0, k.by_class[1].share_difference, share - 0.5);
            hold(t, 1, k.part[GN_KIND_LABEL].effect, share - 0.5);
            hold(t, 2, k.by_class[1].estimated_share, share);
            hold(t, 3, k.by_class[1].weight, share / 0.5);
        }
        if (w == COVARIATE || w == CONCEPT || w == COVARIATE_SQUARE)
            hold(t, 4, k.by_class[1].concept_difference, w == CONCEPT ? 0.2 : 0);
        gn_kind_free(&k);
        gn_context_free(ctx);
    }
    for (int side = 0; side < 2; side++) {
        gn_matrix_free(&x[side]);
        free(label[side]);
        free(group[side]);
    }
}

static void kind_tables(size_t runs)
{
    static const char *const interval[] = {"share difference", "total variation", "estimated share (BBSE)",
                                           "weight (BBSE)", "label given one text"};
    char b[8][48];
    printf("| rows, columns | what differs | total | covariate | label | concept | class-conditional | by "
           "predicted label |\n|---|---|---|---|---|---|---|---|\n");
    tally all[sizeof settings / sizeof *settings][WORLDS] = {0};
    for (size_t s = 0; s < sizeof settings / sizeof *settings; s++)
        for (int w = 0; w < WORLDS; w++) {
            tally *t = &all[s][w];
            kinds(&settings[s], (world)w, runs, t);
            printf("| %zu + %zu, %zu%s | %s |", settings[s].n[0], settings[s].n[1], settings[s].dim,
                   settings[s].grouped ? ", groups of 1–6" : "", world_name[w]);
            for (int p = 0; p < GN_KIND_PARTS; p++) printf(" %s |", rate(t->found[p], t->tested[p], b[p]));
            printf(" %s |\n", rate(t->predicted, t->runs, b[7]));
            fflush(stdout);
        }
    printf("\n| rows, columns | what differs | interval | holds the truth |\n|---|---|---|---|\n");
    for (size_t s = 0; s < sizeof settings / sizeof *settings; s++)
        for (int w = 0; w < WORLDS; w++)
            for (int i = 0; i < 5; i++)
                if (all[s][w].asked[i] > 0)
                    printf("| %zu + %zu, %zu%s | %s | %s | %s |\n", settings[s].n[0], settings[s].n[1],
                           settings[s].dim, settings[s].grouped ? ", groups" : "", world_name[w], interval[i],
                           rate(all[s][w].held[i], all[s][w].asked[i], b[0]));
}

/* ---- what train covers ------------------------------------------------------------------------- */

static gn_where where_of(const gn_matrix *train, const gn_matrix *test, uint64_t seed)
{
    gn_error err = {0};
    gn_context *ctx = NULL;
    gn_where w;
    float *score[2] = {calloc(train->rows, sizeof(float)), calloc(test->rows, sizeof(float))};
    if (score[0] == NULL || score[1] == NULL) exit(1);
    if (gn_context_create(&(gn_context_options){.threads = 1, .seed = seed}, &ctx, &err) != GN_OK) stop(&err);
    gn_where_input in = {.train = train, .test = test, .train_score = score[0], .test_score = score[1]};
    if (gn_where_run(ctx, &in, NULL, &w, &err) != GN_OK) stop(&err);
    free(score[0]);
    free(score[1]);
    gn_context_free(ctx);
    return w;
}

/* The truth comes from 5,000 more rows of the same test population against the same split of train. */
static void coverage_table(size_t runs)
{
    enum { DIM = 16, TRAIN = 300, TEST = 150, MANY = 5000 };
    char b[3][48];
    printf("\n| test | interval of the coverage holds the truth | expected coverage holds the truth | any "
           "row called "
           "new |\n|---|---|---|---|\n");
    for (int spread = 0; spread < 2; spread++) {
        size_t held = 0, expected = 0, novel = 0;
        for (size_t run = 0; run < runs; run++) {
            gn_matrix x[3];
            gn_error err = {0};
            const size_t rows[3] = {TRAIN, TEST, MANY};
            for (int k = 0; k < 3; k++) {
                if (gn_matrix_create(rows[k], DIM, &x[k], &err) != GN_OK) stop(&err);
                gn__rng r =
                    gn__rng_make(20261124, gn__purpose("calibrate/cover") + (uint64_t)(2 * k + spread), run);
                for (size_t i = 0; i < rows[k] * DIM; i++)
                    x[k].data[i] = (float)(gn__rng_normal(&r) * (spread && k > 0 ? 1.15 : 1));
            }
            gn_where few = where_of(&x[0], &x[1], run), many = where_of(&x[0], &x[2], run);
            double truth = many.coverage.estimate;
            held += few.coverage.low <= truth && truth <= few.coverage.high;
            expected += few.expected.low <= truth && truth <= few.expected.high;
            novel += few.novel > 0;
            gn_where_free(&few);
            gn_where_free(&many);
            for (int k = 0; k < 3; k++) gn_matrix_free(&x[k]);
        }
        printf("| %s | %s | %s | %s |\n", spread ? "spread 1.15 times as far" : "as train",
               rate(held, runs, b[0]), spread ? "–" : rate(expected, runs, b[1]), rate(novel, runs, b[2]));
        fflush(stdout);
    }
}

/* ---- promised rows ----------------------------------------------------------------------------- */

static gn_shift shift_of(size_t n, size_t dim, double move, uint64_t seed)
{
    gn_error err = {0};
    gn_context *ctx = NULL;
    gn_matrix x[2];
    gn_shift s;
    if (gn_context_create(&(gn_context_options){.threads = 1, .seed = seed}, &ctx, &err) != GN_OK) stop(&err);
    for (int side = 0; side < 2; side++) {
        gn__rng r = gn__rng_make(20261124, gn__purpose("calibrate/rows") + (uint64_t)side, seed);
        if (gn_matrix_create(n, dim, &x[side], &err) != GN_OK) stop(&err);
        for (size_t i = 0; i < n * dim; i++)
            x[side].data[i] = (float)(gn__rng_normal(&r) + (side && i % dim == 0 ? move : 0));
    }
    if (gn_detect(ctx, &x[0], &x[1], &(gn_detect_options){.permutations = 199}, &s, NULL, NULL, &err) !=
        GN_OK)
        stop(&err);
    gn_matrix_free(&x[0]);
    gn_matrix_free(&x[1]);
    gn_context_free(ctx);
    return s;
}

static int by_rows(const void *a, const void *b)
{
    const size_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Pilots that answer "not enough data". The promise is for an AUC "as estimated": pilots within 0.02 of the
 * best possible AUC are kept apart. Then as many rows as the median of them promises, and how often that
 * settles it. */
static void rows_table(size_t runs)
{
    static const struct {
        size_t n, dim;
        double move;
    } setting_of[] = {{40, 4, 0},   {60, 16, 0},   {100, 64, 0}, {40, 4, 0.2},
                      {40, 4, 0.7}, {60, 16, 0.8}, {40, 4, 1}};
    char b[48];
    printf(
        "\n| pilot rows a set, columns | mean difference (best AUC) | pilots | open | rows promised, median "
        "(quartiles) | settled with the median |\n|---|---|---|---|---|---|\n");
    for (size_t w = 0; w < sizeof setting_of / sizeof *setting_of; w++) {
        size_t pilots = 5 * runs, dim = setting_of[w].dim;
        double move = setting_of[w].move, best = normal_distribution(move / sqrt(2));
        size_t *promised = calloc(2 * pilots, sizeof *promised), open[2] = {0};
        if (promised == NULL) exit(1);
        for (size_t run = 0; run < pilots; run++) {
            gn_shift s = shift_of(setting_of[w].n, dim, move, run);
            if (s.answer != GN_SHIFT_NOT_ENOUGH_DATA) continue;
            promised[open[0]++] = s.rows_needed;
            if (fabs(s.auc.estimate - best) <= 0.02) promised[pilots + open[1]++] = s.rows_needed;
        }
        for (int near = 0; near < 2; near++) {
            size_t *p = promised + (near ? pilots : 0), n = open[near], settled = 0;
            qsort(p, n, sizeof *p, by_rows);
            size_t middle = n > 0 ? p[n / 2] : 0;
            bool run_it = middle > 0 && middle <= 3000;
            for (size_t run = 0; run < runs && run_it; run++)
                settled += shift_of(middle, dim, move, 1000000 + run).answer != GN_SHIFT_NOT_ENOUGH_DATA;
            printf("| %zu, %zu | %.1f (%.2f) | %s | %zu of %zu | %zu (%zu–%zu) | %s |\n", setting_of[w].n,
                   dim, move, best, near ? "AUC as estimated" : "all", n, pilots, middle, n ? p[n / 4] : 0,
                   n ? p[3 * n / 4] : 0, run_it ? rate(settled, runs, b) : "not run");
            fflush(stdout);
        }
        free(promised);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(size_t);
    } table[] = {{"kinds", kind_tables}, {"coverage", coverage_table}, {"rows", rows_table}};
    long runs = argc > 1 ? strtol(argv[1], NULL, 10) : 100;
    if (runs < 1) return 2;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (argc < 3 || strcmp(argv[2], table[i].name) == 0) table[i].run((size_t)runs);
    return 0;
}
