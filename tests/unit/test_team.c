/* Steps that threads share, and the forward pass in such steps: the same bits whoever does what. */
#include "core/team.h"
#include "model/internal.h"
#include "model/safetensors_write.h"
#include "test.h"

#include <dirent.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

static gn_context *context(unsigned threads)
{
    gn_context *ctx;
    gn_error err = {0};
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = threads}, &ctx, &err), err);
    return ctx;
}

static gn_model *load(gn_context *ctx, const char *directory, gn_dtype dtype)
{
    gn_error err = {0};
    gn_model *m = NULL;
    CHECK_OK(gn_model_load(ctx, directory, &(gn_model_options){.dtype = dtype}, &m, &err), err);
    return m;
}

/* ---- the steps ------------------------------------------------------------------------------------ */

enum { STEPS = 400, MOST_PARTS = 97 };

typedef struct walk {
    gn__team team;
    atomic_uchar times[STEPS][MOST_PARTS];
    atomic_bool too_early, uneven;
    atomic_size_t joined;
    unsigned leaves; /* that member leaves half way; 0: none */
    unsigned sleeps; /* that member sleeps in every piece */
} walk;

static size_t parts_of(size_t step)
{
    return step * 29 % (MOST_PARTS + 1);
}

static bool all_done(walk *w, size_t step)
{
    for (size_t i = 0; i < parts_of(step); i++)
        if (atomic_load_explicit(&w->times[step][i], memory_order_relaxed) != 1) return false;
    return true;
}

/* Marks every part of every step; what the step before wrote has to be there. */
static void walk_steps(void *arg, size_t begin, size_t end, unsigned worker)
{
    walk *w = arg;
    gn__member m;
    (void)begin, (void)end, (void)worker;
    if (!gn__team_join(&w->team, &m)) return;
    atomic_fetch_add(&w->joined, 1);
    for (size_t s = 0; s < STEPS; s++) {
        size_t from, to, multiple = 1 + s % 4;
        if (m.number == w->leaves && s == STEPS / 2) return;
        while (gn__take_piece(&m, parts_of(s), multiple, &from, &to)) {
            if (from % multiple != 0 || from >= to || to > parts_of(s)) atomic_store(&w->uneven, true);
            if (s > 0 && !all_done(w, s - 1)) atomic_store(&w->too_early, true);
            if (m.number == w->sleeps) usleep(1000);
            for (size_t i = from; i < to; i++)
                atomic_fetch_add_explicit(&w->times[s][i], 1, memory_order_relaxed);
        }
    }
}

/* Whether one member went on alone. */
static bool check_walk_of(double lately, unsigned threads, unsigned most, bool spins, unsigned leaves,
                          unsigned sleeps)
{
    gn_error err = {0};
    gn_context *ctx = context(threads);
    walk *w = calloc(1, sizeof *w);
    gn__team_open_as(&w->team, most, spins);
    w->team.lately = lately;
    w->leaves = leaves;
    w->sleeps = sleeps;
    CHECK_OK(gn__parallel_for(ctx, threads, 1, walk_steps, w, &err), err);
    CHECK(!atomic_load(&w->too_early) && !atomic_load(&w->uneven));
    CHECK(atomic_load(&w->joined) <= most);
    for (size_t s = 0; s < STEPS; s++) CHECK(all_done(w, s));
    if (sleeps == 0) CHECK_INT(atomic_load(&w->team.asleep), 0);
    bool slow = gn__team_was_slow(&w->team);
    gn__team_close(&w->team);
    free(w);
    gn_context_free(ctx);
    return slow;
}

static void check_walk(unsigned threads, unsigned most, bool spins, unsigned leaves, unsigned sleeps)
{
    check_walk_of(0, threads, most, spins, leaves, sleeps);
}

TEST(every_piece_is_done_once_and_steps_follow_each_other)
{
    static const unsigned threads[] = {1, 2, 3, 7};
    for (size_t t = 0; t < 4; t++)
        for (unsigned most = 1; most <= 7; most += 3)
            for (int spins = 0; spins < 2; spins++) check_walk(threads[t], most, spins != 0, 0, 0);
}

/* Those who stay do the rest. */
TEST(a_member_may_leave_between_two_steps)
{
    check_walk(3, 3, true, 1, 0);
    check_walk(2, 2, false, 2, 0);
}

/* A member that is put aside in the middle of its pieces is waited for once or twice, not at every step. */
TEST(a_slow_member_is_left_behind)
{
    double begin = gn__now();
    check_walk(2, 2, true, 0, 1);
    CHECK(gn__now() - begin < STEPS * 1e-3);
}

/* The same waits are little of work that is known to take long. */
TEST(a_slow_member_is_kept_if_the_whole_takes_long)
{
    CHECK(!check_walk_of(3600, 2, 2, true, 0, 1));
}

TEST(a_slow_call_is_followed_by_calls_alone)
{
    gn_context *ctx = context(2);
    unsigned most = gn__together(ctx);
    if (most < 2) {
        gn_context_free(ctx);
        test_skip("one processor");
    }
    static const unsigned alone[] = {1, 3, 7, 15, 31, 63, 63};
    for (size_t i = 0; i < sizeof alone / sizeof *alone; i++) {
        CHECK_INT(gn__together(ctx), most);
        gn__together_went(ctx, true, 0);
        for (unsigned k = 0; k < alone[i]; k++) {
            CHECK_INT(gn__together(ctx), 1);
            gn__together_went(ctx, true, 0); /* alone nobody waits: it does not count */
        }
    }
    CHECK(gn__together_lately(ctx) == 0);
    for (int i = 0; i < 6; i++) gn__together_went(ctx, false, i);
    CHECK(gn__together_lately(ctx) == 5);
    gn__together_went(ctx, true, 0);
    gn__together_went(ctx, false, 0);
    CHECK(gn__together_lately(ctx) == 5);
    CHECK_INT(gn__together(ctx), most);
    gn_context_free(ctx);
}

/* ---- the forward pass ------------------------------------------------------------------------------ */

typedef struct shared_pass {
    gn_context *ctx;
    const gn_model *m;
    gn__team team;
    gn__workspace workspace;
    gn__sequence sequence[3];
    size_t count, tokens;
    atomic_int failed;
} shared_pass;

static void run_member(void *arg, size_t begin, size_t end, unsigned worker)
{
    shared_pass *s = arg;
    gn__member member;
    gn__scratch scratch = {0};
    gn_error err = {0};
    (void)begin, (void)end, (void)worker;
    if (gn__scratch_create(s->m, s->tokens, &scratch, &err) != GN_OK) {
        atomic_store(&s->failed, 1);
        return;
    }
    if (gn__team_join(&s->team, &member) && gn__model_forward(s->ctx, s->m, &s->workspace, &scratch, &member,
                                                              s->sequence, s->count, &err) != GN_OK)
        atomic_store(&s->failed, 1);
    gn__scratch_free(&scratch);
}

/* The last hidden states of three texts, 1, 9 and `longest` tokens long, by so many members. */
static float *hidden_states(const gn_model *m, unsigned members, size_t longest)
{
    gn_error err = {0};
    int32_t id[64];
    for (size_t i = 0; i < 64; i++) id[i] = (int32_t)(i * 37 % m->recipe.vocab);
    shared_pass s = {.ctx = context(members),
                     .m = m,
                     .sequence = {{id, longest}, {id + 3, 1}, {id + 5, 9}},
                     .count = 3,
                     .tokens = longest + 10};
    gn__team_open_as(&s.team, members, members == 2);
    CHECK_OK(gn__workspace_create(m, s.tokens, &s.workspace, &err), err);
    CHECK_OK(gn__parallel_for(s.ctx, members, 1, run_member, &s, &err), err);
    CHECK_INT(atomic_load(&s.failed), 0);
    size_t n = s.tokens * m->recipe.output;
    float *out = gn__aligned(n, sizeof *out);
    memcpy(out, s.workspace.hidden, n * sizeof *out);
    gn__workspace_free(&s.workspace);
    gn__team_close(&s.team);
    gn_context_free(s.ctx);
    return out;
}

static size_t check_members(const char *directory, gn_dtype dtype)
{
    gn_context *ctx = context(1);
    gn_model *m = load(ctx, directory, dtype);
    bool shares = gn__linear_any_rows(m->layer[0].attention_in) && m->info.dtype == dtype;
    size_t longest = m->info.max_length < 41 ? m->info.max_length : 41;
    size_t bytes = (longest + 10) * m->recipe.output * sizeof(float);
    float *alone = shares ? hidden_states(m, 1, longest) : NULL;
    static const unsigned members[] = {2, 3, 7};
    for (size_t i = 0; i < 3 && shares; i++) {
        float *together = hidden_states(m, members[i], longest);
        if (memcmp(alone, together, bytes) != 0)
            test_fail(__FILE__, __LINE__, "%s, %s, %u members: other bits", directory, gn_dtype_name(dtype),
                      members[i]);
        free(together);
    }
    free(alone);
    gn_model_free(m);
    gn_context_free(ctx);
    return shares;
}

TEST(members_give_the_bits_of_one_in_every_family)
{
    static const char *const folders[] = {"tests/golden/architecture", "tests/golden/model"};
    size_t checked = 0;
    for (size_t f = 0; f < 2; f++) {
        DIR *d = opendir(test_path(folders[f]));
        CHECK(d != NULL);
        for (const struct dirent *e; (e = readdir(d)) != NULL;) {
            char path[512];
            if (strchr(e->d_name, '.') != NULL) continue;
            snprintf(path, sizeof path, "%s/%s", test_path(folders[f]), e->d_name);
            for (gn_dtype t = GN_DTYPE_F32; t <= GN_DTYPE_INT8; t++) checked += check_members(path, t);
        }
        closedir(d);
    }
    if (checked == 0) test_skip("this processor's products are oneDNN's");
}

/* ---- a model that is worth it ----------------------------------------------------------------------- */

/* The golden BERT with other widths and random weights. */
static const char *wide_model(void)
{
    static char folder[256];
    gn_error err = {0};
    gn__weights old = {0};
    gn__mapping file;
    gn__tensor_file f = {0};
    const char *bert = test_path("tests/golden/model/bert/model.safetensors");
    const char config[] =
        "{\"model_type\": \"bert\", \"hidden_act\": \"gelu\", \"hidden_size\": 256, \"intermediate_size\": "
        "512, "
        "\"layer_norm_eps\": 1e-12, \"max_position_embeddings\": 384, \"num_attention_heads\": 4, "
        "\"num_hidden_layers\": 2, \"pad_token_id\": 0, \"type_vocab_size\": 2, \"vocab_size\": 300}";
    snprintf(folder, sizeof folder, "%s", test_folder());
    test_file("config.json", config, sizeof config - 1);
    char *tokens, *path = gn__path_join(folder, "model.safetensors");
    size_t length;
    CHECK_OK(
        gn__read_file(test_path("tests/golden/model/bert/tokenizer.json"), 1 << 24, &tokens, &length, &err),
        err);
    test_file("tokenizer.json", tokens, length);
    free(tokens);
    CHECK_OK(gn__map_file(bert, &file, &err), err);
    CHECK_OK(gn__safetensors_parse(&old, 0, bert, file.data, file.size, &err), err);
    size_t elements[64];
    CHECK(old.tensors <= 64);
    for (size_t i = 0; i < old.tensors; i++) {
        const gn__tensor *t = &old.tensor[i];
        size_t shape[2] = {1, 1};
        for (size_t d = 0; d < t->rank; d++)
            shape[d] = t->shape[d] == 48 ? 384 : t->shape[d] < 48 && t->shape[d] > 2 ? 256 : t->shape[d];
        for (size_t d = 0; d < t->rank; d++)
            if (t->shape[d] == 64) shape[d] = 512;
        elements[i] = shape[0] * shape[1];
        CHECK_OK(gn__tensor_file_declare(&f, t->name, "F32", shape, t->rank, 4 * elements[i], &err), err);
    }
    CHECK_OK(gn__tensor_file_begin(&f, path, &err), err);
    gn__rng r = gn__rng_make(1, 2, 3);
    for (size_t i = 0; i < old.tensors; i++)
        for (size_t k = 0; k < elements[i]; k++) {
            float x = 0.1f * (float)gn__rng_normal(&r);
            gn__writer_put(&f.writer, &x, sizeof x);
        }
    CHECK_OK(gn__tensor_file_commit(&f, &err), err);
    gn__tensor_file_free(&f);
    gn__weights_free(&old);
    gn__unmap_file(&file);
    free(path);
    return folder;
}

enum { TEXTS = 40 };

/* One text alone, few chunks, many chunks, backwards, by 1, 2, 3 and 7 threads. */
TEST(threads_share_a_text_with_the_same_bits)
{
    static const unsigned threads[] = {1, 2, 3, 7};
    const char *folder = wide_model();
    char *text[TEXTS];
    uint32_t length[TEXTS];
    for (size_t i = 0; i < TEXTS; i++) {
        gn__buf b = {0};
        for (size_t k = 0; k <= i * i % 53 * 4; k++) gn__buf_printf(&b, "%c%zu ", (int)('a' + k % 26), i + k);
        text[i] = b.data;
        length[i] = (uint32_t)b.length;
    }
    for (gn_dtype t = GN_DTYPE_F32; t <= GN_DTYPE_INT8; t++) {
        gn_error err = {0};
        gn_matrix first = {0};
        for (size_t k = 0; k < 4; k++) {
            gn_context *ctx = context(threads[k]);
            gn_model *m = load(ctx, folder, t);
            if (m->info.dtype == t && gn__linear_any_rows(m->layer[0].attention_in))
                CHECK(gn__model_members(m, 300) > 3);
            gn_matrix x;
            CHECK_OK(gn_model_embed(ctx, m, (const char *const *)text, length, TEXTS, &x, NULL, NULL, &err),
                     err);
            size_t bytes = x.cols * sizeof(float);
            if (k == 0)
                first = x;
            else
                CHECK(memcmp(first.data, x.data, TEXTS * bytes) == 0);
            if (k > 0) gn_matrix_free(&x);
            for (size_t n = 1; n <= 5; n += 2)
                for (size_t i = 0; i + n <= TEXTS; i += 4) {
                    CHECK_OK(gn_model_embed(ctx, m, (const char *const *)&text[i], &length[i], n, &x, NULL,
                                            NULL, &err),
                             err);
                    CHECK(memcmp(first.data + i * x.cols, x.data, n * bytes) == 0);
                    gn_matrix_free(&x);
                }
            gn_model_free(m);
            gn_context_free(ctx);
        }
        gn_matrix_free(&first);
    }
    for (size_t i = 0; i < TEXTS; i++) free(text[i]);
}

static volatile sig_atomic_t stop;

static void on_alarm(int number)
{
    (void)number;
    stop = 1;
}

/* Stopped in the midst of its steps a team ends, and the next call works. */
TEST(a_team_can_be_stopped)
{
    const char *folder = wide_model();
    gn_context *ctx;
    gn_error err = {0};
    gn_matrix x;
    char word[3000] = "";
    const char *text = word;
    while (strlen(word) < 2900) strcat(word, "word ");
    uint32_t length = (uint32_t)strlen(word);
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = 2, .cancel = &stop}, &ctx, &err), err);
    gn_model *m = load(ctx, folder, GN_DTYPE_F32);
    signal(SIGALRM, on_alarm);
    int stopped = 0;
    for (int i = 0; i < 60; i++) {
        struct itimerval soon = {.it_value = {.tv_usec = 50 + 100 * i}}, never = {0};
        setitimer(ITIMER_REAL, &soon, NULL);
        gn_status status = gn_model_embed(ctx, m, &text, &length, 1, &x, NULL, NULL, &err);
        setitimer(ITIMER_REAL, &never, NULL);
        CHECK(status == GN_OK || status == GN_CANCELLED);
        stopped += status == GN_CANCELLED;
        if (status == GN_OK) gn_matrix_free(&x);
        stop = 0;
    }
    CHECK(stopped > 0);
    CHECK_OK(gn_model_embed(ctx, m, &text, &length, 1, &x, NULL, NULL, &err), err);
    gn_matrix_free(&x);
    signal(SIGALRM, SIG_DFL);
    gn_model_free(m);
    gn_context_free(ctx);
}
