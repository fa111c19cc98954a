/* Which rows are trained on and judged on, what is kept, what the judgements add up to: with a trainer whose
 * answers are known. */
#include "genchi/finetune.h"
#include "test.h"
#include "verify/finetune.h"

#include <dirent.h>
#include <unistd.h>

static gn_error err;

enum { TRAIN = 150, TEST = 90, DIM = 6, TOPIC = 6 };

/* Texts name their row: "train 17" and "test 5", so that the trainer knows what it sees. */
typedef struct world {
    char text[TRAIN + TEST][24];
    const char *train_text[TRAIN], *test_text[TEST];
    uint32_t train_length[TRAIN], test_length[TEST], test_group[TEST], train_group[TRAIN];
    int train_label[TRAIN], test_label[TEST];
    gn_matrix train, test;
    gn_finetune_input in;
} world;

static int label_of(bool test, int row)
{
    gn__rng rng = gn__rng_make(3, test, (uint64_t)row);
    return (int)gn__rng_below(&rng, 2);
}

static void world_make(world *w)
{
    memset(w, 0, sizeof *w);
    CHECK_OK(gn_matrix_create(TRAIN, DIM, &w->train, &err), err);
    CHECK_OK(gn_matrix_create(TEST, DIM, &w->test, &err), err);
    for (int i = 0; i < TRAIN + TEST; i++) {
        bool test = i >= TRAIN;
        int row = test ? i - TRAIN : i;
        snprintf(w->text[i], sizeof w->text[i], "%s %d", test ? "test" : "train", row);
        (test ? w->test_text : w->train_text)[row] = w->text[i];
        (test ? w->test_length : w->train_length)[row] = (uint32_t)strlen(w->text[i]);
        (test ? w->test_label : w->train_label)[row] = label_of(test, row);
        (test ? w->test_group : w->train_group)[row] = (uint32_t)(row / TOPIC);
        gn__rng rng = gn__rng_make(4, test, (uint64_t)row);
        float *x = (test ? w->test.data : w->train.data) + row * DIM;
        for (size_t j = 0; j < DIM; j++) x[j] = (float)gn__rng_normal(&rng);
        x[0] += label_of(test, row) ? 0.8F : -0.8F;
    }
    w->in = (gn_finetune_input){.train_text = w->train_text,
                                .test_text = w->test_text,
                                .train_length = w->train_length,
                                .test_length = w->test_length,
                                .train = &w->train,
                                .test = &w->test,
                                .train_label = w->train_label,
                                .test_label = w->test_label,
                                .classes = 2};
}

static void world_free(world *w)
{
    gn_matrix_free(&w->train);
    gn_matrix_free(&w->test);
}

/* ---- a trainer that remembers -------------------------------------------------------------------- */

/* What stands behind a gn_tuned here. */
typedef struct standin {
    bool train[TRAIN], test[TEST]; /* trained on */
    size_t rows;
    uint64_t seed;
    gn_tune_what what;
    gn_tune_stats stats;
    double change[4];
} standin;

static struct {
    size_t fits, mixed, of_train, of_test, heads, whole_topics, weighted;
    bool balanced;    /* the classes' weights made them count alike */
    bool leaked;      /* a judged row was trained on */
    bool right_label; /* every row came with its own label */
    size_t stop_at;   /* the fit that is cancelled; 0: none */
    double accuracy;  /* of full; others 0.5 more of the way to 1 */
} seen;

static int row_of(const char *text, bool *test)
{
    *test = text[1] == 'e';
    return atoi(text + (*test ? 5 : 6));
}

static gn_status train(gn_context *ctx, const gn_model *m, const gn_tune_rows *rows,
                       const gn_tune_options *options, gn_tuned **out, gn_error *error)
{
    (void)m;
    if (++seen.fits == seen.stop_at) return gn__fail(error, GN_CANCELLED, "cancelled");
    standin *t = calloc(1, sizeof *t);
    size_t train_rows = 0, test_rows = 0;
    for (size_t i = 0; i < rows->rows; i++) {
        bool test;
        int row = row_of(rows->text[i], &test);
        (test ? t->test : t->train)[row] = true;
        *(test ? &test_rows : &train_rows) += 1;
        seen.right_label = seen.right_label && rows->label[i] == label_of(test, row);
    }
    seen.mixed += train_rows > 0 && test_rows > 0;
    seen.of_train += test_rows == 0;
    seen.of_test += train_rows == 0;
    seen.heads += options->head_weight != NULL && options->head_bias != NULL;
    seen.weighted += options->class_weight != NULL;
    double counts[2] = {0};
    for (size_t i = 0; i < rows->rows && options->class_weight != NULL; i++)
        counts[rows->label[i]] += options->class_weight[rows->label[i]];
    seen.balanced = seen.balanced && fabs(counts[0] - (double)rows->rows / 2) < 1e-9 &&
                    fabs(counts[1] - (double)rows->rows / 2) < 1e-9;
    t->rows = rows->rows;
    t->seed = options->seed;
    t->what = options->what;
    for (size_t i = 0; i < 4; i++) t->change[i] = 0.1 * (double)i;
    t->stats = (gn_tune_stats){.rows = rows->rows,
                               .steps = 10,
                               .tokens = 100,
                               .heldout_tokens = 7,
                               .seconds = 2,
                               .core_seconds = 4,
                               .memory = 1000,
                               .trained = 5,
                               .parameters = 9,
                               .layer_change = t->change,
                               .layer_changes = 4};
    gn__progress(ctx, GN_STAGE_TUNE, 1, 1);
    *out = (gn_tuned *)t;
    return GN_OK;
}

static gn_status apply(gn_context *ctx, const gn_tuned *tuned, const char *const *text,
                       const uint32_t *length, size_t texts, float *probability, gn_matrix *embedding,
                       gn_error *error)
{
    (void)ctx;
    const standin *t = (const standin *)tuned;
    bool topic[TEST] = {false}, split = false, any = false;
    for (int i = 0; i < TEST; i++) topic[i / TOPIC] = topic[i / TOPIC] || t->test[i];
    GN__TRY(gn_matrix_create(texts, DIM, embedding, error));
    for (size_t i = 0; i < texts; i++) {
        bool test;
        int row = row_of(text[i], &test);
        CHECK_INT(length[i], strlen(text[i]));
        seen.leaked = seen.leaked || (test ? t->test : t->train)[row];
        if (test) any = true, split = split || topic[row / TOPIC];
        gn__rng rng = gn__rng_make(t->seed, 40 + t->what, (uint64_t)(2 * row + test));
        double good = t->what == GN_TUNE_FULL ? seen.accuracy : 0.5 + 0.5 * seen.accuracy;
        int answer = gn__rng_double(&rng) < good ? label_of(test, row) : 1 - label_of(test, row);
        probability[2 * i + (size_t)answer] = 0.9F;
        probability[2 * i + 1 - (size_t)answer] = 0.1F;
        gn__rng same = gn__rng_make(4, test, (uint64_t)row); /* the embedding of the frozen model */
        for (size_t j = 0; j < DIM; j++) embedding->data[i * DIM + j] = (float)gn__rng_normal(&same);
        embedding->data[i * DIM] += label_of(test, row) ? 0.8F : -0.8F;
    }
    seen.whole_topics += any && !split;
    return GN_OK;
}

static const gn_tune_stats *stats(const gn_tuned *t)
{
    return &((const standin *)t)->stats;
}

static void release(gn_tuned *t)
{
    free(t);
}

static const gn__trainer standins = {train, apply, stats, release};

static gn_context *context(unsigned threads, uint64_t seed)
{
    gn_context *ctx = NULL;
    gn_context_options options = {.threads = threads, .seed = seed};
    CHECK_OK(gn_context_create(&options, &ctx, &err), err);
    return ctx;
}

static void forget(double accuracy)
{
    memset(&seen, 0, sizeof seen);
    seen.right_label = seen.balanced = true;
    seen.accuracy = accuracy;
}

static const gn_finetune_run *run_of(const gn_finetune_evidence *e, gn_method m, gn_source s)
{
    for (size_t i = 0; i < e->runs; i++)
        if (e->run[i].method == m && e->run[i].source == s) return e->run + i;
    test_fail(__FILE__, __LINE__, "no run of %s on %s", gn_method_name(m), gn_source_name(s));
}

static void compare_world(const world *w, const gn_finetune_options *o, gn_finetune_evidence *e)
{
    gn_context *ctx = context(2, 11);
    gn_status status = gn__finetune_with(ctx, &w->in, o, &standins, e, &err);
    gn_context_free(ctx);
    CHECK_OK(status, err);
}

/* ---- what is trained on and judged on ------------------------------------------------------------ */

TEST(finetune_judges_rows_that_it_did_not_train_on)
{
    world w;
    gn_finetune_evidence e;
    world_make(&w);
    forget(0.9);
    const gn_finetune_options o = {.seeds = 2, .folds = 3, .methods = 1U << GN_METHOD_FULL};
    compare_world(&w, &o, &e);
    CHECK(!seen.leaked);
    CHECK(seen.right_label);
    /* train once, test and mix three folds each, for two seeds */
    CHECK_INT(seen.fits, 2 * (1 + 3 + 3));
    CHECK_INT(seen.of_train, 2);
    CHECK_INT(seen.of_test, 6);
    CHECK_INT(seen.mixed, 6);
    CHECK_INT(e.runs, 6);
    CHECK_INT(e.train_rows + e.heldout_rows, TRAIN);
    CHECK_INT(e.heldout_rows, TRAIN / 5);
    CHECK_INT(e.mix_rows, 60);
    CHECK_INT(e.test_groups, 0);
    for (size_t i = 0; i < e.runs; i++) {
        const gn_finetune_run *r = e.run + i;
        CHECK(r->test.available && r->heldout.available && !r->test_grouped.available);
        CHECK_INT(r->test.scores.rows, TEST);
        CHECK_INT(r->heldout.scores.rows, e.heldout_rows);
        size_t judged = 0;
        for (size_t k = 0; k < TRAIN; k++) judged += !isnan(r->heldout.correct[k]);
        CHECK_INT(judged, e.heldout_rows);
        CHECK_INT(r->test.vs_probe.available, r->method != GN_METHOD_LP);
        CHECK_INT(r->test.vs_test_probe.available, r->method != GN_METHOD_LP || r->source != GN_SOURCE_TEST);
        CHECK_INT(r->cost.fits, r->source == GN_SOURCE_TRAIN ? 2 : 6);
        if (r->method == GN_METHOD_LP) continue;
        CHECK_NEAR(r->cka_test, 1, 1e-6); /* the stand-in's embeddings are the frozen model's */
        CHECK_NEAR(r->layer_change[3], 0.3, 1e-12);
        CHECK_NEAR(r->cost.tokens, 100.0 * (double)r->cost.fits, 0);
        CHECK_NEAR(r->cost.memory, 1000, 0);
        CHECK_INT(r->after_test.rows, r->source == GN_SOURCE_TRAIN ? TEST : 0);
        CHECK_INT(r->after_heldout.rows, r->source == GN_SOURCE_TRAIN ? e.heldout_rows : 0);
    }
    /* What was kept belongs to the rows it is said to belong to. */
    const gn_finetune_run *full = run_of(&e, GN_METHOD_FULL, GN_SOURCE_TRAIN);
    for (size_t i = 0; i < e.heldout_rows; i++)
        CHECK_NEAR(full->after_heldout.data[i * DIM + 2], w.train.data[e.heldout_row[i] * DIM + 2], 0);
    CHECK_NEAR(full->after_test.data[7 * DIM + 1], w.test.data[7 * DIM + 1], 0);
    gn_finetune_free(&e);
    world_free(&w);
}

TEST(finetune_keeps_groups_whole)
{
    world w;
    gn_finetune_evidence e;
    world_make(&w);
    w.in.test_group = w.test_group;
    w.in.train_group = w.train_group;
    forget(0.9);
    const gn_finetune_options o = {
        .seeds = 2, .folds = 3, .methods = 1U << GN_METHOD_FULL, .sources = 1U << GN_SOURCE_TEST};
    compare_world(&w, &o, &e);
    CHECK(!seen.leaked);
    CHECK_INT(seen.fits, 2 * (3 + 3));
    CHECK_INT(seen.whole_topics, 6); /* ordinary folds split them */
    CHECK_INT(e.test_groups, TEST / TOPIC);
    CHECK_INT(e.run[1].test_grouped.scores.units, TEST / TOPIC);
    CHECK_INT(e.run[1].test.scores.units, TEST / TOPIC);
    CHECK_INT(e.run[1].folds, 3);
    CHECK_INT(e.run[1].folds_grouped, 3);
    /* Held-out train rows are whole groups, too. */
    for (size_t i = 0; i < e.heldout_rows; i++) CHECK(e.heldout_row[i] / TOPIC * TOPIC < TRAIN);
    CHECK_INT(e.heldout_rows % TOPIC, 0);
    gn_finetune_free(&e);
    world_free(&w);
}

TEST(finetune_starts_lp_ft_from_the_probe)
{
    world w;
    gn_finetune_evidence e;
    world_make(&w);
    forget(0.9);
    const gn_finetune_options o = {.seeds = 1,
                                   .methods = 1U << GN_METHOD_LP_FT | 1U << GN_METHOD_LORA,
                                   .sources = 1U << GN_SOURCE_TRAIN};
    compare_world(&w, &o, &e);
    CHECK_INT(e.runs, 3);
    CHECK_INT(seen.fits, 2);
    CHECK_INT(seen.heads, 1);
    CHECK(isnan(run_of(&e, GN_METHOD_LP_FT, GN_SOURCE_TRAIN)->test.seed_deviation));
    gn_finetune_free(&e);
    world_free(&w);
}

/* ---- what it says -------------------------------------------------------------------------------- */

TEST(finetune_answers_helps_hurts_and_cannot_tell)
{
    world w;
    gn_finetune_evidence e;
    world_make(&w);
    const gn_finetune_options o = {
        .seeds = 4, .methods = 1U << GN_METHOD_FULL, .sources = 1U << GN_SOURCE_TRAIN};
    const struct {
        double accuracy;
        gn_finetune_answer answer;
    } cases[] = {{0.99, GN_FINETUNE_HELPS}, {0.4, GN_FINETUNE_HURTS}};
    for (size_t i = 0; i < 2; i++) {
        forget(cases[i].accuracy);
        compare_world(&w, &o, &e);
        const gn_finetune_run *full = run_of(&e, GN_METHOD_FULL, GN_SOURCE_TRAIN);
        const gn_finetune_run *lp = run_of(&e, GN_METHOD_LP, GN_SOURCE_TRAIN);
        CHECK_INT(full->test.vs_probe.answer, cases[i].answer);
        CHECK_INT(full->test.vs_probe.rows, TEST);
        CHECK_INT(full->test.vs_probe.seeds, 4);
        CHECK_NEAR(full->test.vs_probe.difference.estimate,
                   full->test.scores.accuracy.estimate - lp->test.scores.accuracy.estimate, 1e-6);
        CHECK_NEAR(full->test.scores.accuracy.estimate, cases[i].accuracy, 0.06);
        CHECK(full->test.seed_deviation > 0);
        gn_finetune_free(&e);
    }
    forget(0.79);
    compare_world(&w, &o, &e);
    const gn_finetune_run *full = run_of(&e, GN_METHOD_FULL, GN_SOURCE_TRAIN);
    CHECK_INT(full->test.vs_probe.answer, GN_FINETUNE_CANNOT_TELL);
    CHECK(full->test.vs_probe.rows_needed > TEST);
    gn_finetune_free(&e);
    world_free(&w);
}

TEST(finetune_says_what_is_missing)
{
    world w;
    gn_finetune_evidence e;
    world_make(&w);
    forget(0.9);
    const gn_finetune_options o = {.seeds = 1, .methods = 1U << GN_METHOD_FULL};
    w.in.test_label = NULL;
    compare_world(&w, &o, &e);
    CHECK(e.available);
    CHECK_INT(e.runs, 2);
    CHECK(!e.run[1].test.available && e.run[1].heldout.available);
    CHECK_STR(e.reason, "no labels in test");
    gn_finetune_free(&e);
    w.in.train_label = NULL;
    compare_world(&w, &o, &e);
    CHECK(!e.available);
    gn_finetune_free(&e);
    w.in.test_label = w.test_label;
    compare_world(&w, &o, &e);
    CHECK_INT(e.runs, 2);
    CHECK_INT(e.run[1].source, GN_SOURCE_TEST);
    CHECK(e.run[1].test.available && !e.run[1].heldout.available);
    gn_finetune_free(&e);
    w.test.cols = DIM - 1;
    gn_context *ctx = context(1, 1);
    CHECK_INT(gn__finetune_with(ctx, &w.in, &o, &standins, &e, &err), GN_INVALID_ARGUMENT);
    gn_context_free(ctx);
    world_free(&w);
}

TEST(finetune_has_the_same_bits_whatever_the_threads)
{
    world w;
    gn_finetune_evidence e[2];
    world_make(&w);
    const gn_finetune_options o = {.seeds = 2, .folds = 3};
    for (unsigned i = 0; i < 2; i++) {
        forget(0.8);
        gn_context *ctx = context(1 + 3 * i, 5);
        CHECK_OK(gn__finetune_with(ctx, &w.in, &o, &standins, &e[i], &err), err);
        gn_context_free(ctx);
    }
    CHECK_INT(e[0].runs, e[1].runs);
    for (size_t r = 0; r < e[0].runs; r++) {
        CHECK(memcmp(&e[0].run[r].test.scores, &e[1].run[r].test.scores, sizeof(gn_scores)) == 0);
        CHECK(memcmp(&e[0].run[r].test.vs_probe, &e[1].run[r].test.vs_probe, sizeof(gn_seeded)) == 0);
    }
    gn_finetune_free(&e[0]);
    gn_finetune_free(&e[1]);
    world_free(&w);
}

/* ---- the store ----------------------------------------------------------------------------------- */

TEST(finetune_goes_on_where_it_stopped)
{
    world w;
    gn_finetune_evidence whole, again;
    world_make(&w);
    char store[512];
    snprintf(store, sizeof store, "%s/fits", test_folder());
    gn_finetune_options o = {.seeds = 2, .folds = 3, .methods = 1U << GN_METHOD_FULL};
    forget(0.8);
    compare_world(&w, &o, &whole);
    size_t all = seen.fits;
    o.store = store;
    forget(0.8);
    seen.stop_at = 5;
    gn_context *ctx = context(2, 11);
    CHECK_INT(gn__finetune_with(ctx, &w.in, &o, &standins, &again, &err), GN_CANCELLED);
    gn_context_free(ctx);
    forget(0.8);
    compare_world(&w, &o, &again);
    CHECK_INT(seen.fits, all - 4);
    for (size_t r = 0; r < whole.runs; r++) {
        CHECK(memcmp(&whole.run[r].test.scores, &again.run[r].test.scores, sizeof(gn_scores)) == 0);
        CHECK(memcmp(&whole.run[r].heldout.vs_probe, &again.run[r].heldout.vs_probe, sizeof(gn_seeded)) == 0);
        CHECK_NEAR(whole.run[r].cka_test, again.run[r].cka_test, 0);
        CHECK_NEAR(whole.run[r].cost.tokens, again.run[r].cost.tokens, 0);
        CHECK_INT(whole.run[r].after_test.rows, again.run[r].after_test.rows);
    }
    gn_finetune_free(&again);
    /* More seeds use what there is; another option does not. */
    o.seeds = 3;
    forget(0.8);
    compare_world(&w, &o, &again);
    CHECK_INT(seen.fits, 7);
    gn_finetune_free(&again);
    o.balanced = true;
    forget(0.8);
    compare_world(&w, &o, &again);
    CHECK_INT(seen.fits, 21);
    gn_finetune_free(&again);
    gn_tune_options tune = {.epochs = 9};
    o.tune = &tune;
    forget(0.8);
    compare_world(&w, &o, &again);
    CHECK_INT(seen.fits, 21);
    gn_finetune_free(&again);
    gn_finetune_free(&whole);
    world_free(&w);
}

TEST(finetune_balances_classes_where_asked)
{
    world w;
    gn_finetune_evidence e;
    world_make(&w);
    for (int row = 0; row < TRAIN; row += 3) w.train_label[row] = 0; /* more of one class */
    gn_finetune_options o = {.seeds = 1, .folds = 3, .methods = 1U << GN_METHOD_FULL};
    forget(0.8);
    compare_world(&w, &o, &e);
    CHECK_INT(seen.weighted, 0);
    gn_finetune_free(&e);
    o.balanced = true;
    forget(0.8);
    compare_world(&w, &o, &e);
    CHECK_INT(seen.weighted, seen.fits);
    CHECK(seen.balanced);
    gn_finetune_free(&e);
    forget(0.8);
    o.tune = &(gn_tune_options){.class_weight = (double[]){3, 1}}; /* weights that are given stand */
    compare_world(&w, &o, &e);
    CHECK(seen.weighted == seen.fits && !seen.balanced);
    gn_finetune_free(&e);
    world_free(&w);
}

TEST(finetune_makes_a_damaged_fit_anew)
{
    world w;
    gn_finetune_evidence e;
    world_make(&w);
    char store[512], path[800];
    snprintf(store, sizeof store, "%s/damaged", test_folder());
    const gn_finetune_options o = {
        .seeds = 1, .methods = 1U << GN_METHOD_FULL, .sources = 1U << GN_SOURCE_TRAIN, .store = store};
    forget(0.8);
    compare_world(&w, &o, &e);
    gn_finetune_free(&e);
    DIR *d = opendir(store);
    CHECK(d != NULL);
    size_t files = 0;
    for (struct dirent *f; (f = readdir(d)) != NULL;) {
        if (f->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", store, f->d_name);
        FILE *file = fopen(path, "r+b");
        CHECK(file != NULL);
        fseek(file, 300, SEEK_SET);
        fputc(0x5a, file);
        fputc(0xa5, file);
        fclose(file);
        files++;
    }
    closedir(d);
    CHECK_INT(files, 2); /* the probe's and the other's */
    forget(0.8);
    compare_world(&w, &o, &e);
    CHECK_INT(seen.fits, 1);
    gn_finetune_free(&e);
    forget(0.8);
    compare_world(&w, &o, &e);
    CHECK_INT(seen.fits, 0);
    gn_finetune_free(&e);
    world_free(&w);
}

TEST(finetune_store_takes_nothing_cut_short)
{
    float probability[8] = {0.5F, 0.5F, 0.25F, 0.75F, 1, 0, 0, 1};
    double change[2] = {0.5, 0.25};
    char key[65], path[600];
    memset(key, 'a', 64);
    key[64] = '\0';
    snprintf(path, sizeof path, "%s/one.bin", test_folder());
    gn__fit f = {.probability = probability, .layer_change = change, .layer_changes = 2, .steps = 3}, back;
    CHECK_OK(gn_matrix_create(4, 3, &f.after, &err), err);
    f.after.data[11] = 2.5F;
    CHECK_OK(gn__store_write(path, key, &f, 4, 2, 3, &err), err);
    char *bytes;
    size_t n;
    CHECK_OK(gn__read_file(path, 1 << 20, &bytes, &n, &err), err);
    CHECK(gn__store_parse(bytes, n, key, 4, 2, 3, true, &back));
    CHECK(memcmp(back.probability, probability, sizeof probability) == 0);
    CHECK_NEAR(back.after.data[11], 2.5, 0);
    CHECK_NEAR(back.layer_change[1], 0.25, 0);
    CHECK_INT(back.steps, 3);
    gn__fit_free(&back);
    for (size_t cut = 0; cut < n; cut++) CHECK(!gn__store_parse(bytes, cut, key, 4, 2, 3, true, &back));
    CHECK(!gn__store_parse(bytes, n, key, 4, 2, 3, false, &back));
    CHECK(!gn__store_parse(bytes, n, key, 3, 2, 3, true, &back));
    key[0] = 'b';
    CHECK(!gn__store_parse(bytes, n, key, 4, 2, 3, true, &back));
    gn_matrix_free(&f.after);
    free(bytes);
}
