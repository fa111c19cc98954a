/* What kind of shift and where: levels and power by fixed-seed simulation, intervals against known truth. */
#include "core/core.h"
#include "genchi/kind.h"
#include "genchi/where.h"
#include "test.h"

enum { ROWS = 160, DIM = 8 };

static gn_context *context(unsigned threads, uint64_t seed)
{
    gn_context *ctx = NULL;
    gn_error err = {0};
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = threads, .seed = seed}, &ctx, &err), err);
    return ctx;
}

typedef struct world {
    gn_matrix x[2];
    int label[2][4 * ROWS];
    uint32_t group[2][4 * ROWS];
} world;

/* Class means ±1 along the first column; share of label 1 in test; test's texts moved along the second;
 * labels of test turned round with a probability. Groups of `size` near copies. */
static void make(world *w, double share, double move, double turned, size_t size, uint64_t index)
{
    gn_error err = {0};
    for (int side = 0; side < 2; side++) {
        gn__rng r = gn__rng_make(3, gn__purpose("test/kind") + (uint64_t)side, index);
        CHECK_OK(gn_matrix_create(ROWS * size, DIM, &w->x[side], &err), err);
        for (size_t g = 0; g < ROWS; g++) {
            int y = gn__rng_double(&r) < (side ? share : 0.5);
            bool turn = side && gn__rng_double(&r) < turned;
            for (size_t k = 0; k < size; k++) {
                float *first = w->x[side].data + g * size * DIM, *row = first + k * DIM;
                for (size_t j = 0; j < DIM; j++)
                    row[j] = k == 0 ? (float)(gn__rng_normal(&r) + (j == 0 ? 2 * y - 1 : 0) +
                                              (j == 1 && side ? move : 0))
                                    : first[j] + (float)(0.01 * gn__rng_normal(&r));
                w->label[side][g * size + k] = turn ? 1 - y : y;
                w->group[side][g * size + k] = (uint32_t)g;
            }
        }
    }
}

static gn_kind run(const world *w, bool grouped, bool labelled, unsigned threads, uint64_t seed)
{
    gn_error err = {0};
    gn_kind k;
    gn_context *ctx = context(threads, seed);
    gn_kind_input in = {.train = &w->x[0],
                        .test = &w->x[1],
                        .train_label = w->label[0],
                        .test_label = labelled ? w->label[1] : NULL,
                        .classes = 2,
                        .train_group = grouped ? w->group[0] : NULL,
                        .test_group = grouped ? w->group[1] : NULL};
    gn_kind_options o = {.detect = {.permutations = 99}, .bootstrap = 100};
    CHECK_OK(gn_kind_run(ctx, &in, &o, &k, &err), err);
    gn_context_free(ctx);
    return k;
}

static void world_free(world *w)
{
    gn_matrix_free(&w->x[0]);
    gn_matrix_free(&w->x[1]);
}

/* Rejections of each part over the runs; a level of .05 gives more than 8 of 50 once in 1,000. */
static void count(double share, double move, double turned, size_t size, size_t runs,
                  size_t found[GN_KIND_PARTS])
{
    memset(found, 0, GN_KIND_PARTS * sizeof *found);
    for (size_t i = 0; i < runs; i++) {
        static world w;
        make(&w, share, move, turned, size, i);
        gn_kind k = run(&w, size > 1, true, 1, i);
        for (int p = 0; p < GN_KIND_PARTS; p++) found[p] += k.part[p].p_value <= 0.05;
        gn_kind_free(&k);
        world_free(&w);
    }
}

TEST(no_part_is_found_where_nothing_differs)
{
    size_t found[GN_KIND_PARTS];
    count(0.5, 0, 0, 1, 50, found);
    for (int p = 0; p < GN_KIND_PARTS; p++) CHECK(found[p] <= 8);
}

TEST(near_copies_in_groups_find_nothing)
{
    size_t found[GN_KIND_PARTS];
    count(0.5, 0, 0, 3, 30, found);
    for (int p = 0; p < GN_KIND_PARTS; p++) CHECK(found[p] <= 6);
}

TEST(each_part_is_found_where_it_is)
{
    size_t found[GN_KIND_PARTS];
    count(0.8, 0, 0, 1, 20, found); /* shares only */
    CHECK(found[GN_KIND_LABEL] >= 18 && found[GN_KIND_TOTAL] >= 18 && found[GN_KIND_CONDITIONAL] <= 5);
    count(0.5, 1, 0, 1, 20, found); /* texts within labels */
    CHECK(found[GN_KIND_COVARIATE] >= 18 && found[GN_KIND_CONDITIONAL] >= 18 && found[GN_KIND_TOTAL] >= 18);
    CHECK(found[GN_KIND_LABEL] <= 5 && found[GN_KIND_CONCEPT] <= 5);
    count(0.5, 0, 0.5, 1, 20, found); /* labels no longer follow texts */
    CHECK(found[GN_KIND_CONCEPT] >= 18 && found[GN_KIND_COVARIATE] <= 5 && found[GN_KIND_LABEL] <= 5);
}

TEST(shares_and_weights_hold_the_truth)
{
    size_t share = 0, weight = 0, difference = 0, runs = 60;
    for (size_t i = 0; i < runs; i++) {
        static world w;
        make(&w, 0.7, 0, 0, 1, 500 + i);
        gn_kind k = run(&w, false, false, 1, i); /* test's labels are not looked at */
        CHECK(k.available && !k.test_labelled && k.probe_accuracy > 0.6);
        CHECK(k.weights);
        CHECK(isnan(k.part[GN_KIND_LABEL].p_value) && k.by_predicted != NULL);
        share += k.by_class[1].estimated_share.low <= 0.7 && 0.7 <= k.by_class[1].estimated_share.high;
        weight += k.by_class[1].weight.low <= 1.4 && 1.4 <= k.by_class[1].weight.high;
        CHECK_NEAR(k.by_class[0].estimated_share.estimate + k.by_class[1].estimated_share.estimate, 1, 1e-9);
        gn_kind_free(&k);
        k = run(&w, false, true, 1, i);
        difference += k.by_class[1].share_difference.low <= 0.2 && 0.2 <= k.by_class[1].share_difference.high;
        gn_kind_free(&k);
        world_free(&w);
    }
    CHECK(share >= 51 && weight >= 51 && difference >= 51); /* .95 gives fewer once in 1,000 */
}

TEST(kinds_do_not_depend_on_threads)
{
    static world w;
    make(&w, 0.6, 0.3, 0, 1, 77);
    gn_kind a = run(&w, false, true, 1, 5), b = run(&w, false, true, 3, 5);
    CHECK(memcmp(a.by_class, b.by_class, 2 * sizeof *a.by_class) == 0);
    for (int p = 0; p < GN_KIND_PARTS; p++) CHECK(a.part[p].p_value == b.part[p].p_value);
    gn_kind_free(&a);
    gn_kind_free(&b);
    world_free(&w);
}

TEST(kind_says_what_it_cannot_do)
{
    static world w;
    gn_error err = {0};
    make(&w, 0.5, 0, 0, 1, 1);
    for (size_t i = 0; i < ROWS; i++) w.label[0][i] = 0;
    gn_kind k = run(&w, false, true, 1, 1);
    CHECK(!k.available);
    CHECK_HAS(k.reason, "no two labels");
    gn_context *ctx = context(1, 1);
    w.label[1][7] = 2;
    gn_kind_input in = {&w.x[0], &w.x[1], w.label[0], w.label[1], 2, NULL, NULL, NULL, NULL};
    CHECK_INT(gn_kind_run(ctx, &in, NULL, &k, &err), GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "row 7 has the label 2");
    w.x[1].cols = DIM - 1;
    CHECK_INT(gn_kind_run(ctx, &in, NULL, &k, &err), GN_INVALID_ARGUMENT);
    CHECK_STR(gn_kind_part_name(GN_KIND_CONDITIONAL), "class_conditional");
    gn_context_free(ctx);
    world_free(&w);
}

/* ---- where ------------------------------------------------------------------------------------- */

/* Test holds a quarter of texts far off, which speak of kettles; Japanese in train, to be broken into words.
 */
static gn_where where(bool texts, unsigned threads)
{
    static char text[2][ROWS][64];
    static const char *pointer[2][ROWS];
    static uint32_t length[2][ROWS];
    static float score[2][ROWS];
    gn_error err = {0};
    gn_matrix x[2];
    gn_where w;
    for (int side = 0; side < 2; side++) {
        gn__rng r = gn__rng_make(9, gn__purpose("test/where"), (uint64_t)side);
        CHECK_OK(gn_matrix_create(ROWS, DIM, &x[side], &err), err);
        for (size_t i = 0; i < ROWS; i++) {
            bool off = side && i % 4 == 0;
            for (size_t j = 0; j < DIM; j++)
                x[side].data[i * DIM + j] = (float)(off ? 4 + 0.3 * gn__rng_normal(&r) : gn__rng_normal(&r));
            score[side][i] = off ? 0.95f : 0.45f + 0.01f * (float)gn__rng_normal(&r);
            snprintf(text[side][i], sizeof text[side][i], "%s %u",
                     off     ? "my KETTLE boils"
                     : i % 2 ? "電池の持ちが悪い"
                             : "the shelf holds",
                     gn__rng_below(&r, 50));
            pointer[side][i] = text[side][i];
            length[side][i] = (uint32_t)strlen(text[side][i]);
        }
    }
    gn_context *ctx = context(threads, 4);
    gn_where_input in = {.train = &x[0],
                         .test = &x[1],
                         .train_score = score[0],
                         .test_score = score[1],
                         .train_text = texts ? pointer[0] : NULL,
                         .test_text = texts ? pointer[1] : NULL,
                         .train_length = length[0],
                         .test_length = length[1]};
    CHECK_OK(gn_where_run(ctx, &in, NULL, &w, &err), err);
    gn_context_free(ctx);
    gn_matrix_free(&x[0]);
    gn_matrix_free(&x[1]);
    return w;
}

TEST(where_finds_the_texts_far_off_and_their_words)
{
    gn_where w = where(true, 1);
    CHECK(w.available && w.clusters >= 1 && w.coverage_available && w.uncovered_parts >= 1);
    const gn_where_cluster *c = NULL;
    for (size_t i = 0; i < w.clusters && c == NULL; i++)
        if (w.cluster[i].test) c = &w.cluster[i];
    CHECK(c != NULL);
    CHECK(c->other_share.estimate == 0);
    double apart = 0; /* several kinds may share the far texts */
    for (size_t i = 0; i < w.clusters; i++)
        if (w.cluster[i].test) apart += w.cluster[i].difference.estimate;
    CHECK(apart > 0.08);
    CHECK(c->typicals >= 1 && c->typical[0].row % 4 == 0);
    bool kettle = false;
    const gn_where_cluster *u = &w.uncovered[0];
    for (size_t i = 0; i < u->words; i++)
        kettle = kettle || (strcmp(u->word[i].word, "kettle") == 0 && u->word[i].log_odds.low > 0);
    CHECK(kettle);
    CHECK(w.coverage.low <= 0.72 && w.coverage.high >= 0.70 && w.novel >= 35 &&
          w.novel <= 48); /* 40 are far off */
    CHECK(w.expected.low < 0.95 && w.expected.high > 0.95);
    CHECK(w.uncovered[0].typical[0].row % 4 == 0 && w.uncovered[0].typical[0].score > 1);
    gn_where_free(&w);
}

TEST(where_without_texts_has_no_words_and_threads_change_nothing)
{
    gn_where a = where(false, 1), b = where(false, 3);
    CHECK_INT(a.clusters, b.clusters);
    CHECK(a.radius == b.radius && a.novel == b.novel);
    for (size_t i = 0; i < a.clusters; i++) {
        CHECK_INT(a.cluster[i].words, 0);
        CHECK(memcmp(&a.cluster[i].share, &b.cluster[i].share, sizeof a.cluster[i].share) == 0);
    }
    gn_where_free(&a);
    gn_where_free(&b);
}

TEST(where_refuses_too_few_rows)
{
    gn_error err = {0};
    float numbers[10 * 2] = {0}, score[10] = {0};
    gn_matrix x = {numbers, 10, 2}, y = {numbers, 10, 1};
    gn_context *ctx = context(1, 1);
    gn_where w;
    gn_where_input in = {.train = &x, .test = &x, .train_score = score, .test_score = score};
    CHECK_OK(gn_where_run(ctx, &in, NULL, &w, &err), err);
    CHECK(!w.available && !w.coverage_available);
    CHECK_HAS(w.reason, "too few");
    in.test = &y;
    CHECK_INT(gn_where_run(ctx, &in, NULL, &w, &err), GN_INVALID_ARGUMENT);
    gn_context_free(ctx);
}
