/* Models against what transformers computed (tests/golden/make_models.py), and everything about
 * gn_model_embed that does not depend on a model's numbers. */
#include "model/internal.h"
#include "test.h"

#include <sys/wait.h>
#include <unistd.h>

static gn_context *context(unsigned threads)
{
    gn_context *ctx;
    gn_error err = {0};
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = threads}, &ctx, &err), err);
    return ctx;
}

static const char *golden(const char *model)
{
    char relative[256];
    snprintf(relative, sizeof relative, "tests/golden/model/%s", model);
    return test_path(relative);
}

static const char *const models[] = {"bert", "bert_f16", "gpt2", "gpt2_bf16_sharded"};
enum { MODELS = sizeof models / sizeof *models, TEXTS = 8 };

/* A golden folder's texts, ids and expected arrays. */
typedef struct expectation {
    gn__config texts;
    gn__weights arrays;
    gn__mapping file;
    size_t max_length, count;
    const char *text[TEXTS];
    uint32_t length[TEXTS];
} expectation;

static void expect(const char *model, expectation *e)
{
    gn_error err = {0};
    *e = (expectation){0};
    CHECK_OK(gn__config_read(golden(model), "texts.json", JSON_OBJECT, &e->texts, &err), err);
    CHECK_OK(gn__config_size(&e->texts, "max_length", 0, 1000, &e->max_length, &err), err);
    const json_t *texts = json_object_get(e->texts.root, "texts");
    e->count = json_array_size(texts);
    CHECK_INT(e->count, TEXTS);
    for (size_t i = 0; i < e->count; i++) {
        e->text[i] = json_string_value(json_array_get(texts, i));
        e->length[i] = (uint32_t)strlen(e->text[i]);
    }
    char *path = gn__path_join(golden(model), "expected.safetensors");
    CHECK_OK(gn__map_file(path, &e->file, &err), err);
    CHECK_OK(gn__safetensors_parse(&e->arrays, 0, path, e->file.data, e->file.size, &err), err);
    free(path);
}

static void forget(expectation *e)
{
    gn__config_free(&e->texts);
    gn__weights_free(&e->arrays);
    gn__unmap_file(&e->file);
}

static const gn__tensor *array(const expectation *e, const char *kind, size_t i)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%zu", kind, i);
    const gn__tensor *t = gn__weights_find(&e->arrays, name);
    CHECK(t != NULL);
    return t;
}

static void check_array(const gn__tensor *t, const float *found, size_t n, double tolerance)
{
    CHECK_INT(n, t->elements);
    float *expected = gn__aligned(n, sizeof *expected);
    gn__tensor_read(t, 0, n, expected);
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)found[i] - (double)expected[i]) <= tolerance))
            test_fail(__FILE__, __LINE__, "%s, element %zu: %.9g, expected %.9g", t->name, i,
                      (double)found[i], (double)expected[i]);
    free(expected);
}

static gn_model *load(gn_context *ctx, const char *directory, gn_model_options options)
{
    gn_error err = {0};
    gn_model *m = NULL;
    CHECK_OK(gn_model_load(ctx, directory, &options, &m, &err), err);
    return m;
}

TEST(hidden_states_agree_with_transformers)
{
    gn_context *ctx = context(1);
    gn_error err = {0};
    for (size_t k = 0; k < MODELS; k++) {
        expectation e;
        expect(models[k], &e);
        gn_model *m = load(ctx, golden(models[k]), (gn_model_options){.dtype = GN_DTYPE_F32});
        const json_t *ids = json_object_get(e.texts.root, "ids");
        for (size_t i = 0; i < e.count; i++) {
            const json_t *list = json_array_get(ids, i);
            int32_t id[64];
            size_t n = json_array_size(list);
            for (size_t t = 0; t < n; t++) id[t] = (int32_t)json_integer_value(json_array_get(list, t));
            if (n == 0) id[n++] = m->recipe.empty_token;
            gn__workspace ws;
            gn__scratch scratch;
            CHECK_OK(gn__workspace_create(m, n, &ws, &err), err);
            CHECK_OK(gn__scratch_create(m, n, &scratch, &err), err);
            CHECK_OK(
                gn__model_forward(ctx, m, &ws, &scratch, &(gn__member){0}, &(gn__sequence){id, n}, 1, &err),
                err);
            check_array(array(&e, "hidden", i), ws.hidden, n * m->recipe.dim, 1e-4);
            float row[64];
            static const struct {
                const char *name;
                gn_pooling pooling;
            } kinds[] = {{"mean", GN_POOLING_MEAN},
                         {"cls", GN_POOLING_CLS},
                         {"max", GN_POOLING_MAX},
                         {"last", GN_POOLING_LAST}};
            for (size_t p = 0; p < 4; p++) {
                gn__pool(kinds[p].pooling, false, ws.hidden, n, m->recipe.dim, row);
                check_array(array(&e, kinds[p].name, i), row, m->recipe.dim, 1e-4);
            }
            gn__workspace_free(&ws);
            gn__scratch_free(&scratch);
        }
        gn_model_free(m);
        forget(&e);
    }
    gn_context_free(ctx);
}

/* Text in, vector out, by the folder's own settings. bert has modules.json: mean, unit length, 24. */
TEST(embeddings_agree_with_transformers)
{
    static const struct {
        gn_pooling pooling;
        const char *name;
    } kinds[] = {{GN_POOLING_MEAN, "mean"},
                 {GN_POOLING_CLS, "cls"},
                 {GN_POOLING_MAX, "max"},
                 {GN_POOLING_LAST, "last"}};
    gn_context *ctx = context(2);
    gn_error err = {0};
    for (size_t k = 0; k < MODELS; k++)
        for (size_t p = 0; p < 4; p++) {
            expectation e;
            expect(models[k], &e);
            gn_model *m =
                load(ctx, golden(models[k]),
                     (gn_model_options){.dtype = GN_DTYPE_F32, .pooling = kinds[p].pooling, .max_length = 0});
            CHECK_INT(m->info.max_length, e.max_length);
            gn_matrix x;
            gn_embed_stats stats;
            CHECK_OK(gn_model_embed(ctx, m, e.text, e.length, e.count, &x, NULL, &stats, &err), err);
            CHECK_INT(x.rows, e.count);
            CHECK_INT(x.cols, m->info.dim);
            for (size_t i = 0; i < e.count; i++) {
                float row[64];
                const gn__tensor *t = array(&e, kinds[p].name, i);
                gn__tensor_read(t, 0, x.cols, row);
                double square = 0;
                for (size_t d = 0; d < x.cols; d++) square += (double)row[d] * (double)row[d];
                for (size_t d = 0; d < x.cols; d++)
                    CHECK_NEAR(x.data[i * x.cols + d],
                               m->info.normalize ? row[d] / sqrt(square) : (double)row[d], 1e-4);
            }
            gn_matrix_free(&x);
            gn_model_free(m);
            forget(&e);
        }
    gn_context_free(ctx);
}

TEST(a_loaded_model_tells_about_itself)
{
    static const struct {
        const char *name, *architecture, *types, *tokenizer;
        gn_pooling pooling;
        bool normalize;
        size_t dim, layers, heads, max_length;
    } facts[] = {
        {"bert", "bert", "F32", "WordPiece", GN_POOLING_MEAN, true, 32, 2, 4, 24},
        {"bert_f16", "bert", "F16", "WordPiece", GN_POOLING_MEAN, false, 40, 3, 4, 40},
        {"gpt2", "gpt2", "F32", "BPE", GN_POOLING_LAST, false, 24, 2, 3, 64},
        {"gpt2_bf16_sharded", "gpt2", "BF16", "BPE", GN_POOLING_LAST, false, 24, 3, 2, 40},
    };
    gn_context *ctx = context(1);
    for (size_t k = 0; k < sizeof facts / sizeof *facts; k++) {
        gn_model *m = load(ctx, golden(facts[k].name), (gn_model_options){.dtype = GN_DTYPE_F32});
        const gn_model_info *i = gn_model_get_info(m);
        CHECK_STR(i->name, facts[k].name);
        CHECK_STR(i->path, golden(facts[k].name));
        CHECK_STR(i->architecture, facts[k].architecture);
        CHECK_STR(i->weight_types, facts[k].types);
        CHECK_STR(i->tokenizer, facts[k].tokenizer);
        CHECK_INT(i->pooling, facts[k].pooling);
        CHECK_INT(i->normalize, facts[k].normalize);
        CHECK_INT(i->dim, facts[k].dim);
        CHECK_INT(i->layers, facts[k].layers);
        CHECK_INT(i->heads, facts[k].heads);
        CHECK_INT(i->max_length, facts[k].max_length);
        CHECK_INT(i->dtype, GN_DTYPE_F32);
        CHECK(!i->builtin);
        gn_model_free(m);
    }
    gn_model *m = load(ctx, golden("bert"), (gn_model_options){0});
    CHECK_INT(gn_model_get_info(m)->dtype, gn__best_dtype());
    /* 300·32 words, 48·32 positions, 2·32 types, norm, 2 layers, pooler */
    CHECK_INT(gn_model_get_info(m)->parameters,
              9600 + 1536 + 64 + 64 + 2 * (4 * (32 * 32 + 32) + (64 * 32 + 64) + (32 * 64 + 32) + 4 * 32) +
                  32 * 32 + 32);
    gn_model_free(m);
    gn_context_free(ctx);
    CHECK_STR(gn_pooling_name(GN_POOLING_CLS), "cls");
    CHECK_STR(gn_pooling_name(GN_POOLING_MAX), "max");
    CHECK_STR(gn_pooling_name(GN_POOLING_LAST), "last");
    CHECK_STR(gn_dtype_name(GN_DTYPE_BF16), "bf16");
    CHECK_STR(gn_dtype_name(GN_DTYPE_INT8), "int8");
    CHECK_STR(gn_dtype_name(GN_DTYPE_F32), "float32");
}

/* Many texts of every length; returns their count. Freed by free_texts. */
enum { MANY = 400 };

static void make_texts(char *text[MANY], uint32_t length[MANY])
{
    static const char *const words[] = {"pump ", "the ", "valve ", "oil", ". ",
                                        "ran ",  "dry ", "é",      "水",  " 12 "};
    gn__rng r = gn__rng_make(3, gn__purpose("test/model"), 0);
    for (size_t i = 0; i < MANY; i++) {
        gn__buf b = {0};
        gn__buf_puts(&b, "");
        for (uint32_t n = gn__rng_below(&r, i % 10 == 0 ? 60 : 12); n > 0; n--)
            gn__buf_puts(&b, words[gn__rng_below(&r, 10)]);
        text[i] = b.data;
        length[i] = (uint32_t)b.length;
    }
}

static void free_texts(char *text[MANY])
{
    for (size_t i = 0; i < MANY; i++) free(text[i]);
}

TEST(a_text_has_the_same_bits_in_any_company)
{
    static const gn_dtype dtypes[] = {GN_DTYPE_F32, GN_DTYPE_BF16, GN_DTYPE_INT8};
    char *text[MANY];
    uint32_t length[MANY];
    gn_error err = {0};
    make_texts(text, length);
    for (size_t k = 0; k < MODELS; k++)
        for (size_t d = 0; d < 3; d++) {
            gn_context *one = context(1), *five = context(5);
            gn_model *m = load(one, golden(models[k]), (gn_model_options){.dtype = dtypes[d]});
            gn_matrix all, again, alone;
            size_t bytes = m->info.dim * sizeof(float);
            const char *backwards[MANY];
            uint32_t lengths[MANY];
            for (size_t i = 0; i < MANY; i++) {
                backwards[i] = text[MANY - 1 - i];
                lengths[i] = length[MANY - 1 - i];
            }
            CHECK_OK(gn_model_embed(one, m, (const char *const *)text, length, MANY, &all, NULL, NULL, &err),
                     err);
            CHECK_OK(gn_model_embed(five, m, backwards, lengths, MANY - 7, &again, NULL, NULL, &err), err);
            for (size_t i = 0; i < MANY - 7; i++)
                CHECK(memcmp(again.data + i * again.cols, all.data + (MANY - 1 - i) * all.cols, bytes) == 0);
            for (size_t i = 0; i < MANY; i += 37) {
                CHECK_OK(gn_model_embed(five, m, (const char *const *)&text[i], &length[i], 1, &alone, NULL,
                                        NULL, &err),
                         err);
                CHECK(memcmp(alone.data, all.data + i * all.cols, bytes) == 0);
                gn_matrix_free(&alone);
            }
            gn_matrix_free(&all);
            gn_matrix_free(&again);
            gn_model_free(m);
            gn_context_free(one);
            gn_context_free(five);
        }
    free_texts(text);
}

/* Few chunks for many threads: any of them may get one. */
TEST(more_threads_than_work)
{
    gn_error err = {0};
    gn_context *many = context(16);
    gn_model *m = load(many, golden("bert"), (gn_model_options){.dtype = GN_DTYPE_F32});
    char *text[MANY];
    uint32_t length[MANY];
    gn_matrix first;
    make_texts(text, length);
    CHECK_OK(gn_model_embed(many, m, (const char *const *)text, length, 60, &first, NULL, NULL, &err), err);
    for (int i = 0; i < 50; i++) {
        gn_matrix x;
        CHECK_OK(gn_model_embed(many, m, (const char *const *)text, length, 60, &x, NULL, NULL, &err), err);
        CHECK(memcmp(x.data, first.data, 60 * x.cols * sizeof(float)) == 0);
        gn_matrix_free(&x);
    }
    gn_matrix_free(&first);
    gn_model_free(m);
    gn_context_free(many);
    free_texts(text);
}

/* dtype: a faster one, or what stands in for it here. */
static void stays_close(gn_dtype dtype, double least)
{
    char *text[MANY];
    uint32_t length[MANY];
    gn_error err = {0};
    make_texts(text, length);
    gn_context *ctx = context(2);
    gn_matrix x[2];
    for (int d = 0; d < 2; d++) {
        gn_model *m = load(ctx, golden("bert"), (gn_model_options){.dtype = d ? dtype : GN_DTYPE_F32});
        CHECK(m->info.dtype == GN_DTYPE_F32 || m->info.dtype == dtype);
        CHECK_OK(gn_model_embed(ctx, m, (const char *const *)text, length, MANY, &x[d], NULL, NULL, &err),
                 err);
        gn_model_free(m);
    }
    for (size_t i = 0; i < MANY; i++) {
        double cosine = 0;
        for (size_t j = 0; j < x[0].cols; j++)
            cosine += (double)x[0].data[i * x[0].cols + j] * (double)x[1].data[i * x[0].cols + j];
        CHECK(cosine > least);
    }
    gn_matrix_free(&x[0]);
    gn_matrix_free(&x[1]);
    gn_context_free(ctx);
    free_texts(text);
}

TEST(faster_types_stay_close_to_float32)
{
    stays_close(GN_DTYPE_BF16, 0.999);
    stays_close(GN_DTYPE_INT8, 0.99);
}

/* Where a processor lacks a type, float32 is used and said: oneDNN is told to behave as on one. */
TEST(a_type_that_is_lacking_gives_float32)
{
    if (getenv("DNNL_MAX_CPU_ISA") == NULL) {
        int status;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            if (freopen("/dev/null", "w", stdout) == NULL) _exit(3);
            setenv("DNNL_MAX_CPU_ISA", "AVX2", 1);
            execl("/proc/self/exe", "test_model", "a_type_that_is_lacking", (char *)NULL);
            _exit(3);
        }
        CHECK(waitpid(child, &status, 0) == child);
        CHECK_INT(status, 0);
        return;
    }
    static const gn_dtype wish[] = {GN_DTYPE_AUTO, GN_DTYPE_BF16, GN_DTYPE_INT8};
    gn_context *ctx = context(1);
    for (size_t i = 0; i < 3; i++) {
        gn_model *m = load(ctx, golden("bert"), (gn_model_options){.dtype = wish[i]});
        CHECK_INT(m->info.dtype, GN_DTYPE_F32);
        gn_model_free(m);
    }
    gn_context_free(ctx);
}

TEST(embedding_counts_what_it_did)
{
    gn_context *ctx = context(2);
    gn_error err = {0};
    gn_model *m = load(ctx, golden("bert"), (gn_model_options){.dtype = GN_DTYPE_F32, .max_length = 5});
    CHECK_INT(m->info.max_length, 5);
    const char *text[] = {"no", "the pump the pump the pump", "no", "the pump the pump the pump", ""};
    const uint32_t length[] = {2, 26, 2, 26, 0};
    gn_matrix x;
    gn_embed_stats s;
    unsigned char cut[5];
    CHECK_OK(gn_model_embed(ctx, m, text, length, 5, &x, cut, &s, &err), err);
    CHECK(memcmp(cut, (unsigned char[]){0, 1, 0, 1, 0}, 5) == 0);
    CHECK_INT(s.texts, 5);
    CHECK_INT(s.distinct, 3);
    CHECK_INT(s.cut, 2);
    CHECK_INT(s.tokens, 3 + 5 + 2);
    CHECK(s.seconds > 0);
    CHECK(memcmp(x.data, x.data + 2 * x.cols, x.cols * sizeof(float)) == 0);
    CHECK(memcmp(x.data + x.cols, x.data + 3 * x.cols, x.cols * sizeof(float)) == 0);
    CHECK(memcmp(x.data, x.data + x.cols, x.cols * sizeof(float)) != 0);
    gn_matrix_free(&x);
    CHECK_OK(gn_model_embed(ctx, m, text, length, 0, &x, NULL, &s, &err), err);
    CHECK_INT(x.rows, 0);
    CHECK_INT(x.cols, 32);
    gn_matrix_free(&x);
    gn_model_free(m);
    gn_context_free(ctx);
}

TEST(hidden_states_of_one_text)
{
    gn_context *ctx = context(1);
    gn_error err = {0};
    expectation e;
    expect("gpt2", &e);
    gn_model *m = load(ctx, golden("gpt2"), (gn_model_options){.dtype = GN_DTYPE_F32});
    for (size_t i = 0; i < e.count; i++) {
        gn_matrix h;
        CHECK_OK(gn_model_hidden(ctx, m, e.text[i], e.length[i], &h, &err), err);
        check_array(array(&e, "hidden", i), h.data, h.rows * h.cols, 1e-4);
        gn_matrix_free(&h);
    }
    gn_model_free(m);
    m = load(ctx, "builtin:char-ngram", (gn_model_options){0});
    gn_matrix h;
    CHECK_INT(gn_model_hidden(ctx, m, "x", 1, &h, &err), GN_UNSUPPORTED);
    gn_model_free(m);
    gn_context_free(ctx);
    forget(&e);
}

static size_t reports, last_done;

static void watch(void *data, gn_stage stage, size_t done, size_t total)
{
    (void)data, (void)total;
    if (stage != GN_STAGE_EMBED) return;
    reports++;
    last_done = done;
}

TEST(embedding_reports_progress_and_can_be_stopped)
{
    char *text[MANY];
    uint32_t length[MANY];
    gn_error err = {0};
    gn_matrix x;
    make_texts(text, length);
    gn_context *ctx;
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = 1, .progress = watch}, &ctx, &err), err);
    gn_model *m = load(ctx, golden("bert"), (gn_model_options){.dtype = GN_DTYPE_F32});
    gn_embed_stats s;
    CHECK_OK(gn_model_embed(ctx, m, (const char *const *)text, length, MANY, &x, NULL, &s, &err), err);
    CHECK(reports > 4);
    CHECK_INT(last_done, s.distinct);
    gn_matrix_free(&x);
    gn_context_free(ctx);
    static volatile sig_atomic_t cancel = 1;
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = 2, .cancel = &cancel}, &ctx, &err), err);
    CHECK_INT(gn_model_embed(ctx, m, (const char *const *)text, length, MANY, &x, NULL, &s, &err),
              GN_CANCELLED);
    gn_model_free(m);
    CHECK_INT(gn_model_load(ctx, golden("bert"), NULL, &m, &err), GN_CANCELLED);
    gn_context_free(ctx);
    free_texts(text);
}
