/* What gn_tuned_save writes: loaded again here; transformers and peft read it in
 * tests/conformance/tuned.py. */
#include "model/config.h"
#include "model/tuned.h"
#include "test.h"

#include <sys/stat.h>
#include <unistd.h>

enum { ROWS = 12 };
static const char *const texts[ROWS] = {"the pump stopped",
                                        "oil leak on monday",
                                        "a hot casing",
                                        "the manual says so",
                                        "no",
                                        "the valve was replaced",
                                        "nobody called",
                                        "pressure was low",
                                        "bearing noise",
                                        "it ran for hours",
                                        "the filter was clean",
                                        "call me at once"};
static const char *const names[2] = {"calm \"quoted\"", "大変"};

static gn_context *context(void)
{
    gn_context *ctx = NULL;
    gn_error err = {0};
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = 2}, &ctx, &err), err);
    return ctx;
}

static gn_model *load(gn_context *ctx, const char *path)
{
    gn_error err = {0};
    gn_model *m = NULL;
    CHECK_OK(gn_model_load(ctx, path, &(gn_model_options){.dtype = GN_DTYPE_F32}, &m, &err), err);
    return m;
}

static gn_tuned *train(gn_context *ctx, const gn_model *m, gn_tune_what what)
{
    gn_error err = {0};
    gn_tuned *t = NULL;
    uint32_t length[ROWS];
    int label[ROWS];
    for (size_t i = 0; i < ROWS; i++) length[i] = (uint32_t)strlen(texts[i]), label[i] = (int)(i % 2);
    gn_tune_rows rows = {texts, length, label, NULL, ROWS, 2};
    gn_tune_options o = {
        .what = what, .epochs = 3, .batch = 4, .rate = 5e-3, .clip = 1, .dtype = GN_DTYPE_F32};
    CHECK_OK(gn_tune(ctx, m, &rows, &o, &t, &err), err);
    return t;
}

static char *saved_path(const char *name)
{
    char *path = gn__path_join(test_folder(), name);
    CHECK(path != NULL);
    return path;
}

/* Largest difference between what the trained model gives and what the saved one does; *before: and what the
 * model gave that was trained. */
static double difference(gn_context *ctx, const gn_tuned *t, const gn_model *saved, double *before)
{
    gn_error err = {0};
    uint32_t length[ROWS];
    gn_matrix a, b, c;
    double most = 0;
    *before = 0;
    for (size_t i = 0; i < ROWS; i++) length[i] = (uint32_t)strlen(texts[i]);
    CHECK_OK(gn_tuned_apply(ctx, t, texts, length, ROWS, NULL, &a, &err), err);
    CHECK_OK(gn_model_embed(ctx, saved, texts, length, ROWS, &b, NULL, NULL, &err), err);
    CHECK_OK(gn_model_embed(ctx, t->m, texts, length, ROWS, &c, NULL, NULL, &err), err);
    for (size_t i = 0; i < a.rows * a.cols; i++) {
        most = fmax(most, fabs((double)a.data[i] - (double)b.data[i]));
        *before = fmax(*before, fabs((double)c.data[i] - (double)b.data[i]));
    }
    gn_matrix_free(&a), gn_matrix_free(&b), gn_matrix_free(&c);
    return most;
}

static void check_head(const gn_tuned *t, const char *directory)
{
    gn_error err = {0};
    char *path = gn__path_join(directory, "genchi_head.safetensors");
    gn__mapping file;
    gn__weights w = {0};
    CHECK_OK(gn__map_file(path, &file, &err), err);
    CHECK_OK(gn__safetensors_parse(&w, 0, path, file.data, file.size, &err), err);
    const gn__tensor *weight = gn__weights_find(&w, "weight"), *bias = gn__weights_find(&w, "bias");
    CHECK(weight != NULL && bias != NULL);
    size_t count;
    const gn__parameter *p = gn__learner_parameters(t->learner, &count);
    for (size_t i = 0; i < count; i++) {
        if (p[i].place != GN__PLACE_HEAD) continue;
        const gn__tensor *x = strcmp(p[i].name, "head.bias") == 0 ? bias : weight;
        CHECK_INT(x->elements, p[i].rows * p[i].cols);
        CHECK(memcmp(x->data, gn__learner_values(t->learner) + p[i].offset, x->elements * sizeof(float)) ==
              0);
    }
    gn__weights_free(&w);
    gn__unmap_file(&file);
    free(path);
}

static void check_config(const char *directory, const char *architecture)
{
    gn_error err = {0};
    gn__config c;
    CHECK_OK(gn__config_read(directory, "config.json", JSON_OBJECT, &c, &err), err);
    CHECK_STR(json_string_value(json_array_get(json_object_get(c.root, "architectures"), 0)), architecture);
    CHECK_STR(json_string_value(json_object_get(json_object_get(c.root, "id2label"), "1")), names[1]);
    CHECK_INT(json_integer_value(json_object_get(json_object_get(c.root, "label2id"), names[0])), 0);
    gn__config_free(&c);
}

TEST(a_saved_model_loads_again_and_answers_the_same)
{
    static const struct {
        const char *model, *architecture;
        gn_tune_what what;
    } cases[] = {{"model/bert", "BertModel", GN_TUNE_FULL},
                 {"model/bert_f16", "BertModel", GN_TUNE_FULL},
                 {"model/bert_f16", "BertModel", GN_TUNE_LAST_K},
                 {"architecture/distilbert", "DistilBertModel", GN_TUNE_FULL}, /* with a dense layer */
                 {"model/gpt2", "GPT2ForSequenceClassification", GN_TUNE_FULL},
                 {"model/gpt2_bf16_sharded", "GPT2ForSequenceClassification", GN_TUNE_FULL},
                 {"model/gpt2", "GPT2ForSequenceClassification", GN_TUNE_HEAD}};
    gn_context *ctx = context();
    gn_error err = {0};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char relative[200], name[32];
        snprintf(relative, sizeof relative, "tests/golden/%s", cases[k].model);
        snprintf(name, sizeof name, "saved%zu", k);
        gn_model *m = load(ctx, test_path(relative));
        gn_tuned *t = train(ctx, m, cases[k].what);
        char *path = saved_path(name);
        CHECK_OK(gn_tuned_save(ctx, t, path, names, &err), err);
        gn_model *saved = load(ctx, path);
        double before;
        CHECK(difference(ctx, t, saved, &before) <= 1e-5);
        CHECK(cases[k].what == GN_TUNE_HEAD ? before == 0 : before > 1e-4);
        CHECK_STR(gn_model_get_info(saved)->poolings, m->info.poolings);
        check_head(t, path);
        check_config(path, cases[k].architecture);
        CHECK_INT(gn_tuned_save(ctx, t, path, names, &err), GN_IO); /* once more into the same place */
        CHECK_HAS(err.message, "there already");
        gn_model_free(saved);
        gn_tuned_free(t);
        gn_model_free(m);
        free(path);
    }
    gn_context_free(ctx);
}

TEST(nothing_half_written_is_left)
{
    gn_context *ctx = context();
    gn_error err = {0};
    gn_model *m = load(ctx, test_path("tests/golden/model/bert"));
    gn_tuned *t = train(ctx, m, GN_TUNE_HEAD);
    CHECK_INT(gn_tuned_save(ctx, t, "/proc/nowhere/saved", names, &err), GN_IO);
    char *path = saved_path("empty"); /* an empty folder may stand there */
    CHECK(mkdir(path, 0777) == 0);
    CHECK_OK(gn_tuned_save(ctx, t, path, names, &err), err);
    char *aside = saved_path("");
    char command[400];
    snprintf(command, sizeof command, "ls -d %s/*.tmp-* > /dev/null 2>&1", test_folder());
    CHECK(system(command) != 0);
    free(path), free(aside);
    gn_tuned_free(t);
    gn_model_free(m);
    gn_context_free(ctx);
}

static void check_tensor(const gn__weights *w, const char *name, size_t rows, size_t cols)
{
    const gn__tensor *t = gn__weights_find(w, name);
    if (t == NULL) test_fail(__FILE__, __LINE__, "there is no %s", name);
    CHECK_INT(t->rank, 2);
    CHECK_INT(t->shape[0], rows);
    CHECK_INT(t->shape[1], cols);
}

/* PEFT reads them in tests/conformance/tuned.py; here the names, shapes and ranks. */
TEST(adapters_are_saved_as_peft_names_them)
{
    static const struct {
        const char *model, *task, *target, *a, *b;
        size_t dim, rows, rank, kinds;
    } cases[] = {
        {"model/bert", "FEATURE_EXTRACTION",
         "(.*\\.)?encoder\\.layer\\.[0-9]+(\\.attention\\.self\\.query|\\.attention\\.self\\.value)",
         "base_model.model.encoder.layer.1.attention.self.value.lora_A.weight",
         "base_model.model.encoder.layer.1.attention.self.value.lora_B.weight", 32, 32, 8, 0},
        {"model/gpt2", "SEQ_CLS", "(.*\\.)?h\\.[0-9]+(\\.attn\\.c_attn)",
         "base_model.model.transformer.h.1.attn.c_attn.lora_A.weight",
         "base_model.model.transformer.h.1.attn.c_attn.lora_B.weight", 24, 72, 16, 1},
        {"architecture/nomic_bert", "FEATURE_EXTRACTION", /* one tensor, three modules in transformers */
         "(.*\\.)?layers\\.[0-9]+(\\.self_attn\\.q_proj|\\.self_attn\\.k_proj|\\.self_attn\\.v_proj)",
         "base_model.model.layers.1.self_attn.k_proj.lora_A.weight",
         "base_model.model.layers.1.self_attn.v_proj.lora_B.weight", 16, 16, 16, 3}};
    gn_context *ctx = context();
    gn_error err = {0};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char relative[200];
        snprintf(relative, sizeof relative, "tests/golden/%s", cases[k].model);
        gn_model *m = load(ctx, test_path(relative));
        gn_tuned *t = train(ctx, m, GN_TUNE_LORA);
        CHECK(gn_tuned_stats(t)->layer_change[0] == 0 && gn_tuned_stats(t)->layer_change[1] > 0);
        char name[32];
        snprintf(name, sizeof name, "adapter%zu", k);
        char *path = saved_path(name), *file = gn__path_join(path, "adapter_model.safetensors");
        CHECK_OK(gn_tuned_save(ctx, t, path, names, &err), err);
        gn__mapping bytes;
        gn__weights w = {0};
        CHECK_OK(gn__map_file(file, &bytes, &err), err);
        CHECK_OK(gn__safetensors_parse(&w, 0, file, bytes.data, bytes.size, &err), err);
        check_tensor(&w, cases[k].a, cases[k].rank, cases[k].dim);
        check_tensor(&w, cases[k].b, cases[k].rows, cases[k].rank);
        if (strcmp(cases[k].task, "SEQ_CLS") == 0)
            check_tensor(&w, "base_model.model.score.weight", 2, cases[k].dim);
        gn__weights_free(&w);
        gn__unmap_file(&bytes);
        gn__config c;
        CHECK_OK(gn__config_read(path, "adapter_config.json", JSON_OBJECT, &c, &err), err);
        CHECK_STR(gn__config_string(&c, "task_type"), cases[k].task);
        CHECK_STR(gn__config_string(&c, "target_modules"), cases[k].target);
        CHECK_INT(json_object_size(json_object_get(c.root, "rank_pattern")), cases[k].kinds);
        CHECK_INT(json_object_size(json_object_get(c.root, "alpha_pattern")), cases[k].kinds);
        gn__config_free(&c);
        check_head(t, path);
        char *whole = gn__path_join(path, "model.safetensors");
        CHECK(!gn__file_exists(whole));
        free(whole);
        gn_tuned_free(t);
        gn_model_free(m);
        free(path), free(file);
    }
    gn_context_free(ctx);
}
