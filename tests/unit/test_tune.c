/* Fine-tuning: the run around the learner. What is learnt is held against PyTorch in test_tune_golden.c. */
#include "model/tuned.h"
#include "test.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROWS = 64, LONGEST = 200 };

/* Reports and complaints, told apart by one word that either has. */
typedef struct data {
    char text[ROWS][LONGEST];
    const char *pointer[ROWS];
    uint32_t length[ROWS];
    int label[ROWS];
    uint32_t group[ROWS];
    gn_tune_rows rows;
} data;

static void make_data(data *d)
{
    static const char *const word[] = {"the",    "pump", "valve", "on",  "monday",
                                       "filter", "and",  "oil",   "was", "not"};
    static const char *const telling[] = {"bearing", "manual"};
    for (size_t i = 0; i < ROWS; i++) {
        gn__rng r = gn__rng_make(7, gn__purpose("tune test"), i);
        size_t n = 2 + gn__rng_below(&r, 7), at = gn__rng_below(&r, (uint32_t)n), used = 0;
        d->label[i] = (int)(i % 2);
        for (size_t k = 0; k < n; k++)
            used += (size_t)snprintf(d->text[i] + used, LONGEST - used, "%s ",
                                     k == at ? telling[d->label[i]] : word[gn__rng_below(&r, 10)]);
        d->pointer[i] = d->text[i];
        d->length[i] = (uint32_t)used;
        d->group[i] = (uint32_t)(i / 5 * 7);
    }
    d->rows = (gn_tune_rows){d->pointer, d->length, d->label, NULL, ROWS, 2};
}

static gn_context *context(gn_context_options o)
{
    gn_context *ctx = NULL;
    gn_error err = {0};
    CHECK_OK(gn_context_create(&o, &ctx, &err), err);
    return ctx;
}

static gn_model *load(gn_context *ctx, const char *name)
{
    char relative[200];
    gn_model *m = NULL;
    gn_error err = {0};
    snprintf(relative, sizeof relative, "tests/golden/model/%s", name);
    CHECK_OK(gn_model_load(ctx, test_path(relative), &(gn_model_options){.dtype = GN_DTYPE_F32}, &m, &err),
             err);
    return m;
}

/* Two epochs of six steps, evaluated every third. */
static gn_tune_options usual(void)
{
    return (gn_tune_options){.what = GN_TUNE_FULL,
                             .epochs = 2,
                             .batch = 8,
                             .rate = 3e-3,
                             .decay = -1,
                             .warmup = -1,
                             .clip = -1,
                             .dropout = -1,
                             .heldout = 0.25,
                             .evaluate_every = 3,
                             .seed = 3,
                             .dtype = GN_DTYPE_F32};
}

static gn_tuned *tune(gn_context *ctx, const gn_model *m, const data *d, const gn_tune_options *o)
{
    gn_tuned *t = NULL;
    gn_error err = {0};
    CHECK_OK(gn_tune(ctx, m, &d->rows, o, &t, &err), err);
    return t;
}

/* Everything that a run gives but its times. */
static void check_same(const gn_tuned *a, const gn_tuned *b)
{
    const gn_tune_stats *x = &a->stats, *y = &b->stats;
    size_t n = gn__learner_trained(a->learner);
    CHECK_INT(gn__learner_trained(b->learner), n);
    CHECK(memcmp(gn__learner_values(a->learner), gn__learner_values(b->learner), n * sizeof(float)) == 0);
    CHECK_INT(x->steps, y->steps);
    CHECK_INT(x->best_step, y->best_step);
    CHECK_INT(x->tokens, y->tokens);
    CHECK_INT(x->heldout_tokens, y->heldout_tokens);
    CHECK_INT(x->stopped_early, y->stopped_early);
    CHECK(memcmp(x->step_loss, y->step_loss, x->steps * sizeof *x->step_loss) == 0);
    CHECK_INT(x->points, y->points);
    for (size_t i = 0; i < x->points; i++) {
        CHECK_INT(x->point[i].step, y->point[i].step);
        CHECK(memcmp(&x->point[i].heldout_loss, &y->point[i].heldout_loss, sizeof(double)) == 0);
        CHECK(memcmp(&x->point[i].loss, &y->point[i].loss, sizeof(double)) == 0);
    }
    CHECK(memcmp(x->layer_change, y->layer_change, x->layer_changes * sizeof(double)) == 0);
}

TEST(rows_are_held_out_by_class_in_whole_groups)
{
    data d;
    unsigned char held[ROWS], again[ROWS];
    gn_error err = {0};
    make_data(&d);
    for (size_t i = 0; i < ROWS; i++) d.label[i] = i % 4 == 0; /* 16 against 48 */
    CHECK_OK(gn__tune_split(&d.rows, 0.25, 1, held, &err), err);
    size_t of[2] = {0};
    for (size_t i = 0; i < ROWS; i++) of[d.label[i]] += held[i];
    CHECK_INT(of[0], 12);
    CHECK_INT(of[1], 4);
    CHECK_OK(gn__tune_split(&d.rows, 0.25, 2, again, &err), err);
    CHECK(memcmp(held, again, ROWS) != 0);
    d.rows.group = d.group;
    CHECK_OK(gn__tune_split(&d.rows, 0.25, 1, held, &err), err);
    size_t all = 0;
    for (size_t i = 0; i < ROWS; i++) {
        all += held[i];
        CHECK(i == 0 || d.group[i] != d.group[i - 1] || held[i] == held[i - 1]);
    }
    CHECK(all >= 12 && all <= 20);
    /* A class of one group only stays in training. */
    for (size_t i = 0; i < ROWS; i++) d.label[i] = i < 5;
    CHECK_OK(gn__tune_split(&d.rows, 0.5, 1, held, &err), err);
    for (size_t i = 0; i < 5; i++) CHECK(!held[i]);
    CHECK_OK(gn__tune_split(&d.rows, 0, 1, held, &err), err);
    for (size_t i = 0; i < ROWS; i++) CHECK(!held[i]);
}

TEST(training_learns_and_its_bits_do_not_depend_on_threads)
{
    data d;
    make_data(&d);
    gn_tune_options o = usual();
    gn_tuned *first = NULL, *last = NULL;
    gn_context *ctx[3];
    gn_model *m[3];
    for (unsigned t = 0; t < 3; t++) {
        ctx[t] = context((gn_context_options){.threads = t + 1});
        m[t] = load(ctx[t], "bert");
        last = tune(ctx[t], m[t], &d, &o);
        if (first == NULL) {
            first = last;
            continue;
        }
        check_same(first, last);
        gn_tuned_free(last);
    }
    const gn_tune_stats *s = gn_tuned_stats(first);
    CHECK_INT(s->rows, 48);
    CHECK_INT(s->heldout_rows, 16);
    CHECK_INT(s->planned_steps, 12);
    CHECK_INT(s->steps, 12);
    CHECK_INT(s->points, 5); /* before the first step too */
    CHECK(isnan(s->point[0].loss) && s->point[4].step == 12);
    CHECK(s->point[4].heldout_loss < s->point[0].heldout_loss);
    CHECK(s->step_loss[11] < s->step_loss[0]);
    CHECK(s->layer_change[0] > 0 && s->seconds > 0 && s->core_seconds > 0);
    CHECK(s->tokens > 0 && s->heldout_tokens > 0 && s->trained > 0 && s->parameters > 0);
    o.seed = 4;
    gn_tuned *other = tune(ctx[0], m[0], &d, &o);
    CHECK(gn_tuned_stats(other)->step_loss[3] != s->step_loss[3]);
    gn_tuned_free(first);
    gn_tuned_free(other);
    for (unsigned t = 0; t < 3; t++) gn_model_free(m[t]), gn_context_free(ctx[t]);
}

/* Asks to stop when a step is reached. */
typedef struct stopper {
    volatile sig_atomic_t stop;
    size_t at, seen;
    double loss, rate;
} stopper;

static void on_progress(void *arg, gn_stage stage, size_t done, size_t total)
{
    stopper *s = arg;
    if (stage != GN_STAGE_TUNE || total == 0) return;
    s->seen = done;
    if (done == s->at) s->stop = 1;
}

static void on_learning(void *arg, double loss, double rate)
{
    stopper *s = arg;
    s->loss = loss;
    s->rate = rate;
}

/* Stopped at every step and gone on with: as if never stopped. */
static void stop_and_go(gn_tune_options o, const char *model)
{
    data d;
    make_data(&d);
    const char *path = test_file("checkpoint", "", 0);
    unlink(path);
    gn_context *plain = context((gn_context_options){.threads = 2});
    gn_model *m = load(plain, model);
    gn_tuned *whole = tune(plain, m, &d, &o), *t = NULL;
    o.checkpoint = path;
    o.checkpoint_every = 5;
    size_t stops = 0;
    for (size_t k = 0; t == NULL; k++) {
        stopper s = {.at = k};
        gn_error err = {0};
        gn_context *ctx = context((gn_context_options){.threads = 1 + (unsigned)k % 3,
                                                       .cancel = &s.stop,
                                                       .progress = on_progress,
                                                       .learning = on_learning,
                                                       .progress_data = &s});
        gn_status status = gn_tune(ctx, m, &d.rows, &o, &t, &err);
        if (t == NULL) CHECK_INT(status, GN_CANCELLED);
        if (t == NULL) CHECK(gn__file_exists(path));
        if (k > 1) CHECK(s.loss > 0 && s.loss < 10 && s.rate >= 0 && s.rate <= o.rate);
        stops += t == NULL;
        gn_context_free(ctx);
    }
    CHECK(stops >= gn_tuned_stats(whole)->steps);
    check_same(whole, t);
    CHECK(gn_tuned_stats(t)->resumed && !gn_tuned_stats(whole)->resumed);
    gn_tuned_free(t);
    t = tune(plain, m, &d, &o); /* finished already: nothing is left to do */
    check_same(whole, t);
    gn_tuned_free(t);
    gn_tuned_free(whole);
    gn_model_free(m);
    gn_context_free(plain);
}

TEST(a_run_stopped_at_every_step_ends_with_the_same_bits)
{
    gn_tune_options o = usual();
    stop_and_go(o, "bert");
    o.patience = 1;
    o.rate = 0.3; /* soon worse than it was */
    o.dropout = 0.2;
    stop_and_go(o, "bert");
    o = usual();
    o.heldout = 0;
    o.budget = 30; /* several passes a step */
    stop_and_go(o, "gpt2");
}

/* Another process trains, until it has written a checkpoint and some milliseconds more. */
static void train_and_be_killed(const data *d, gn_tune_options o, unsigned milliseconds)
{
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        gn_error err = {0};
        gn_context *ctx = NULL;
        gn_model *m = NULL;
        gn_tuned *t = NULL;
        if (gn_context_create(&(gn_context_options){.threads = 2}, &ctx, &err) == GN_OK &&
            gn_model_load(ctx, test_path("tests/golden/model/bert"),
                          &(gn_model_options){.dtype = GN_DTYPE_F32}, &m, &err) == GN_OK)
            (void)gn_tune(ctx, m, &d->rows, &o, &t, &err);
        _exit(0);
    }
    for (unsigned waited = 0; !gn__file_exists(o.checkpoint) && waited < 10000; waited++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000L}, NULL);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

TEST(a_run_killed_at_any_moment_ends_with_the_same_bits)
{
    data d;
    make_data(&d);
    const char *path = test_file("killed", "", 0);
    unlink(path);
    gn_tune_options o = usual();
    o.epochs = 8;
    gn_context *ctx = context((gn_context_options){.threads = 2});
    gn_model *m = load(ctx, "bert");
    gn_tuned *whole = tune(ctx, m, &d, &o);
    o.checkpoint = path;
    o.checkpoint_every = 1; /* so that it is often killed while it writes */
    for (unsigned k = 0; k < 8; k++) {
        train_and_be_killed(&d, o, k * 7);
        char *bytes;
        size_t n;
        gn_error err = {0};
        gn__checkpoint c;
        CHECK_OK(gn__read_file(path, SIZE_MAX / 2, &bytes, &n, &err), err);
        CHECK_OK(gn__checkpoint_parse(path, (unsigned char *)bytes, n, true, &c, &err), err);
        free(bytes);
    }
    gn_tuned *t = tune(ctx, m, &d, &o);
    check_same(whole, t);
    CHECK(t->stats.resumed);
    char command[400];
    snprintf(command, sizeof command, "ls -d %s.tmp-* > /dev/null 2>&1", path);
    CHECK(system(command) != 0); /* what killed runs left is gone */
    gn_tuned_free(t);
    gn_tuned_free(whole);
    gn_model_free(m);
    gn_context_free(ctx);
}

TEST(checkpoints_of_other_runs_and_damaged_ones_are_refused)
{
    data d;
    make_data(&d);
    const char *path = test_file("checkpoint", "", 0);
    unlink(path);
    gn_error err = {0};
    gn_context *ctx = context((gn_context_options){.threads = 1});
    gn_model *m = load(ctx, "bert");
    gn_tune_options o = usual();
    o.checkpoint = path;
    gn_tuned *t = tune(ctx, m, &d, &o);
    gn_tuned_free(t);
    t = NULL;
    gn_tune_options other = o;
    other.rate = 1e-3;
    CHECK_INT(gn_tune(ctx, m, &d.rows, &other, &t, &err), GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "of a run with other rows");
    d.label[0] = 1;
    CHECK_INT(gn_tune(ctx, m, &d.rows, &o, &t, &err), GN_INVALID_ARGUMENT);
    d.label[0] = 0;
    char *bytes;
    size_t n;
    CHECK_OK(gn__read_file(path, SIZE_MAX / 2, &bytes, &n, &err), err);
    for (size_t k = 0; k < 40; k++) { /* a bit here and there, and in every field of the header */
        size_t at = k < 20 ? 16 + k * 8 : n / 40 * k;
        bytes[at] ^= 4;
        CHECK_OK(gn__write_file(path, bytes, n, &err), err);
        gn_status status = gn_tune(ctx, m, &d.rows, &o, &t, &err);
        CHECK_INT(status, GN_FORMAT);
        bytes[at] ^= 4;
    }
    for (size_t cut = 0; cut < 5; cut++) {
        CHECK_OK(gn__write_file(path, bytes, n / 5 * cut, &err), err);
        CHECK_INT(gn_tune(ctx, m, &d.rows, &o, &t, &err), GN_FORMAT);
    }
    CHECK_HAS(err.message, "checkpoint");
    free(bytes);
    unlink(path);
    gn_model_free(m);
    gn_context_free(ctx);
}

TEST(early_stopping_keeps_the_best_weights)
{
    data d;
    make_data(&d);
    gn_error err = {0};
    gn_context *ctx = context((gn_context_options){.threads = 2});
    gn_model *m = load(ctx, "bert");
    gn_tune_options o = usual();
    o.epochs = 20;
    o.rate = 0.3;
    o.clip = 0;
    o.dropout = 0;
    o.patience = 2;
    gn_tuned *t = tune(ctx, m, &d, &o);
    const gn_tune_stats *s = gn_tuned_stats(t);
    CHECK(s->stopped_early && s->steps < s->planned_steps);
    CHECK_INT(s->best_step, s->steps - 6);
    /* The loss of what was kept is that of its evaluation. */
    unsigned char held[ROWS];
    float probability[ROWS * 2];
    double loss = 0;
    CHECK_OK(gn__tune_split(&d.rows, o.heldout, o.seed, held, &err), err);
    CHECK_OK(gn_tuned_apply(ctx, t, d.pointer, d.length, ROWS, probability, NULL, &err), err);
    for (size_t i = 0; i < ROWS; i++)
        if (held[i]) loss -= log((double)probability[2 * i + (size_t)d.label[i]]) / 16;
    bool found = false;
    for (size_t i = 0; i < s->points; i++)
        if (s->point[i].step == s->best_step) {
            CHECK_NEAR(loss, s->point[i].heldout_loss, 1e-4 * (1 + loss));
            found = true;
        }
    CHECK(found);
    gn_tuned_free(t);
    gn_model_free(m);
    gn_context_free(ctx);
}

/* Passes of any size add up to the same gradient, but for rounding. */
TEST(passes_add_up)
{
    data d;
    make_data(&d);
    gn_context *ctx = context((gn_context_options){.threads = 2});
    gn_model *m = load(ctx, "bert");
    gn_tune_options o = usual();
    o.dropout = 0;
    o.class_weight = (double[]){1, 3};
    gn_tuned *one = tune(ctx, m, &d, &o);
    o.budget = 1; /* a text a pass */
    gn_tuned *many = tune(ctx, m, &d, &o);
    CHECK_INT(one->stats.tokens, many->stats.tokens);
    for (size_t i = 0; i < 12; i++)
        CHECK_NEAR(one->stats.step_loss[i], many->stats.step_loss[i], 2e-4 * one->stats.step_loss[i]);
    gn_tuned_free(one);
    gn_tuned_free(many);
    gn_model_free(m);
    gn_context_free(ctx);
}

/* Products in bf16 round every factor to 8 bits: near, not the same. */
TEST(bf16_trains_nearly_as_float32_does)
{
    data d;
    make_data(&d);
    gn_context *ctx[2] = {context((gn_context_options){.threads = 1}),
                          context((gn_context_options){.threads = 3})};
    gn_model *m = load(ctx[0], "bert");
    gn_tune_options o = usual();
    o.dropout = 0;
    gn_tuned *plain = tune(ctx[0], m, &d, &o);
    o.dtype = GN_DTYPE_BF16;
    gn_tuned *narrow = tune(ctx[0], m, &d, &o), *again = tune(ctx[1], m, &d, &o);
    check_same(narrow, again);
    double apart = 0;
    for (size_t i = 0; i < 12; i++) {
        double a = plain->stats.step_loss[i], b = narrow->stats.step_loss[i];
        apart = fmax(apart, fabs(a - b));
        CHECK_NEAR(b, a, 0.03 * a);
    }
    CHECK(narrow->options.dtype == GN_DTYPE_F32 ? apart == 0 : apart > 0);
    o.dtype = GN_DTYPE_AUTO;
    gn_tuned *chosen = tune(ctx[0], m, &d, &o);
    check_same(chosen, gn__best_dtype() == GN_DTYPE_BF16 ? narrow : plain);
    gn_tuned_free(plain), gn_tuned_free(narrow), gn_tuned_free(again), gn_tuned_free(chosen);
    gn_model_free(m);
    gn_context_free(ctx[0]), gn_context_free(ctx[1]);
}

TEST(memory_is_kept_to_or_the_least_that_would_do_is_told)
{
    data d;
    make_data(&d);
    gn_error err = {0};
    gn_context *ctx = context((gn_context_options){.threads = 2});
    gn_model *m = load(ctx, "bert");
    gn_tune_options o = usual();
    o.dropout = 0.1; /* which is the same the second time */
    gn_tuned *whole = tune(ctx, m, &d, &o);
    size_t all = (size_t)whole->stats.memory;
    CHECK(!whole->stats.recomputed && all > 4 * 5 * whole->stats.trained);
    o.memory = all - 1;
    gn_tuned *t = tune(ctx, m, &d, &o);
    CHECK(t->stats.memory < (double)all && t->stats.recomputed);
    CHECK_INT(t->plan.most_tokens, whole->plan.most_tokens);
    check_same(whole, t);
    gn_tuned_free(t);
    gn_tuned_free(whole);
    t = NULL;
    o.memory = 1000;
    CHECK_INT(gn_tune(ctx, m, &d.rows, &o, &t, &err), GN_NO_MEMORY);
    CHECK_HAS(err.message, "takes");
    CHECK_HAS(err.message, "MB at the least");
    gn_model_free(m);
    gn_context_free(ctx);
}

TEST(a_loss_that_is_not_finite_names_step_and_rows)
{
    data d;
    make_data(&d);
    gn_error err = {0};
    gn_tuned *t = NULL;
    gn_context *ctx = context((gn_context_options){.threads = 2});
    gn_model *m = load(ctx, "gpt2");
    gn_tune_options o = usual();
    o.rate = 1e30;
    o.clip = 0;
    CHECK_INT(gn_tune(ctx, m, &d.rows, &o, &t, &err), GN_NUMERIC);
    CHECK_HAS(err.message, "step ");
    CHECK_HAS(err.message, "is not finite (rows ");
    gn_model_free(m);
    gn_context_free(ctx);
}

TEST(answers_do_not_depend_on_neighbours_and_take_longer_texts)
{
    data d;
    make_data(&d);
    gn_error err = {0};
    gn_context *ctx = context((gn_context_options){.threads = 2});
    gn_model *m = load(ctx, "bert");
    gn_tune_options o = usual();
    gn_tuned *t = tune(ctx, m, &d, &o);
    float all[ROWS * 2], one[2];
    gn_matrix rows, row;
    const char *text =
        "bearing bearing bearing bearing oil oil oil oil pump pump pump valve valve the the the and and";
    d.pointer[ROWS - 1] = text;
    d.length[ROWS - 1] = (uint32_t)strlen(text);
    CHECK_OK(gn_tuned_apply(ctx, t, d.pointer, d.length, ROWS, all, &rows, &err), err);
    for (size_t i = 0; i < ROWS; i += 9) {
        CHECK_OK(gn_tuned_apply(ctx, t, d.pointer + i, d.length + i, 1, one, &row, &err), err);
        CHECK(memcmp(one, all + 2 * i, sizeof one) == 0);
        CHECK(memcmp(row.data, rows.data + i * rows.cols, rows.cols * sizeof(float)) == 0);
        CHECK_NEAR(one[0] + one[1], 1, 1e-6);
        gn_matrix_free(&row);
    }
    gn_matrix_free(&rows);
    gn_tuned_free(t);
    gn_model_free(m);
    gn_context_free(ctx);
}

TEST(what_cannot_be_trained_says_why)
{
    data d;
    gn_error err = {0};
    gn_tuned *t = NULL;
    make_data(&d);
    gn_context *ctx = context((gn_context_options){.threads = 1});
    gn_model *m = NULL;
    CHECK_OK(gn_model_load(ctx, "builtin:char-ngram", NULL, &m, &err), err);
    gn_tune_options o = usual(), bad;
    CHECK_INT(gn_tune(ctx, m, &d.rows, &o, &t, &err), GN_UNSUPPORTED);
    gn_model_free(m);
    m = load(ctx, "bert");
    bad = o, bad.rate = -1;
    CHECK_INT(gn_tune(ctx, m, &d.rows, &bad, &t, &err), GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "rate is -1");
    bad = o, bad.dtype = GN_DTYPE_INT8;
    CHECK_INT(gn_tune(ctx, m, &d.rows, &bad, &t, &err), GN_INVALID_ARGUMENT);
    bad = o, bad.heldout = NAN;
    CHECK_INT(gn_tune(ctx, m, &d.rows, &bad, &t, &err), GN_INVALID_ARGUMENT);
    bad = o, bad.class_weight = (double[]){1, 0};
    CHECK_INT(gn_tune(ctx, m, &d.rows, &bad, &t, &err), GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "class 1");
    d.label[5] = 2;
    CHECK_INT(gn_tune(ctx, m, &d.rows, &o, &t, &err), GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "row 6 has the label 2");
    for (size_t i = 0; i < ROWS; i++) d.label[i] = 1;
    CHECK_INT(gn_tune(ctx, m, &d.rows, &o, &t, &err), GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "rows of two classes");
    d.rows.rows = 0;
    CHECK_INT(gn_tune(ctx, m, &d.rows, &o, &t, &err), GN_INVALID_ARGUMENT);
    d.rows.classes = 1;
    CHECK_INT(gn_tune(ctx, m, &d.rows, &o, &t, &err), GN_INVALID_ARGUMENT);
    gn_model_free(m);
    gn_context_free(ctx);
}
