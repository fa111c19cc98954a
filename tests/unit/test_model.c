/* Models against what transformers computed (tests/golden/make_models.py), and everything about
 * gn_model_embed that does not depend on a model's numbers. */
#include "model/internal.h"
#include "test.h"

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
            CHECK_OK(gn__workspace_create(m, n, &ws, &err), err);
            CHECK_OK(gn__model_forward(ctx, m, &ws, &(gn__sequence){id, n}, 1, &err), err);
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
        }
        gn_model_free(m);
        forget(&e);
    }
    gn_context_free(ctx);
}
