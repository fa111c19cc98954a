/* What gn_tuned_save writes of a LoRA run, read back by the rules of PEFT's files; PEFT itself reads them in
 * tests/conformance/tuned.py. */
#include "fixture_tuned.h"
#include "model/config.h"
#include "model/safetensors_write.h"
#include "test.h"

#include <math.h>
#include <regex.h>

static void check_tensor(const gn__weights *w, const char *name, size_t rows, size_t cols)
{
    const gn__tensor *t = gn__weights_find(w, name);
    if (t == NULL) test_fail(__FILE__, __LINE__, "there is no %s", name);
    CHECK_INT(t->rank, 2);
    CHECK_INT(t->shape[0], rows);
    CHECK_INT(t->shape[1], cols);
}

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
    gn_context *ctx = fixture_context();
    gn_error err = {0};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char relative[200];
        snprintf(relative, sizeof relative, "tests/golden/%s", cases[k].model);
        gn_model *m = fixture_load(ctx, test_path(relative));
        gn_tuned *t = fixture_train(ctx, m, GN_TUNE_LORA, 0);
        CHECK(gn_tuned_stats(t)->layer_change[0] == 0 && gn_tuned_stats(t)->layer_change[1] > 0);
        char name[32];
        snprintf(name, sizeof name, "adapter%zu", k);
        char *path = fixture_path(name), *file = gn__path_join(path, "adapter_model.safetensors");
        CHECK_OK(gn_tuned_save(ctx, t, path, fixture_classes, &err), err);
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
        fixture_check_head(t, path);
        char *whole = gn__path_join(path, "model.safetensors");
        CHECK(!gn__file_exists(whole));
        free(whole);
        gn_tuned_free(t);
        gn_model_free(m);
        free(path), free(file);
    }
    gn_context_free(ctx);
}

/* ---- added to the base ------------------------------------------------------------------------------ */

enum { NAME = 400 };

typedef struct merge {
    const char *base; /* the model that was trained */
    gn__weights weights, adapters;
    gn__config config;
    const char *class_prefix; /* in the adapter's names, before the checkpoint's */
    size_t added;
} merge;

static size_t length_without(const char *name, const char *end)
{
    size_t n = strlen(name), k = strlen(end);
    return n > k && strcmp(name + n - k, end) == 0 ? n - k : 0;
}

/* The adapter's matrix of a tensor of the checkpoint. NULL: it has none. */
static const gn__tensor *adapter_of(const merge *x, const char *tensor, char which)
{
    char name[NAME];
    size_t n = length_without(tensor, ".weight");
    snprintf(name, sizeof name, "base_model.model.%s%.*s.lora_%c.weight", x->class_prefix, (int)n, tensor,
             which);
    return n > 0 ? gn__weights_find(&x->adapters, name) : NULL;
}

/* "rank_pattern" and "alpha_pattern" name ends of a layer's path; else the one for all. */
static double told(const merge *x, const char *pattern, const char *all, const char *tensor)
{
    const char *end;
    json_t *value;
    size_t n = length_without(tensor, ".weight");
    json_object_foreach(json_object_get(x->config.root, pattern), end, value)
    {
        size_t k = strlen(end);
        if (n >= k && strncmp(tensor + n - k, end, k) == 0 && (n == k || tensor[n - k - 1] == '.'))
            return json_number_value(value);
    }
    return json_number_value(json_object_get(x->config.root, all));
}

/* w += alpha / rank · B A, turned where the layer's weight lies inputs × outputs. */
static void add_adapter(merge *x, const gn__tensor *t, const gn__tensor *a, const gn__tensor *b, float *w)
{
    bool turned = json_is_true(json_object_get(x->config.root, "fan_in_fan_out"));
    size_t rank = a->shape[0], inputs = t->shape[turned ? 0 : 1], outputs = t->shape[turned ? 1 : 0];
    CHECK_INT(a->rank, 2);
    CHECK_INT(b->rank, 2);
    CHECK_INT(a->shape[1], inputs);
    CHECK_INT(b->shape[0], outputs);
    CHECK_INT(b->shape[1], rank);
    CHECK_NEAR(told(x, "rank_pattern", "r", t->name), rank, 0);
    double scale = told(x, "alpha_pattern", "lora_alpha", t->name) / (double)rank;
    float *A = gn__aligned(a->elements, sizeof *A), *B = gn__aligned(b->elements, sizeof *B);
    gn__tensor_read(a, 0, a->elements, A);
    gn__tensor_read(b, 0, b->elements, B);
    for (size_t i = 0; i < outputs; i++)
        for (size_t j = 0; j < inputs; j++) {
            double sum = 0;
            for (size_t k = 0; k < rank; k++) sum += (double)B[i * rank + k] * (double)A[k * inputs + j];
            w[turned ? j * outputs + i : i * inputs + j] += (float)(scale * sum);
        }
    free(A), free(B);
    x->added++;
}

/* A copy of the base with the adapter's products in its weights. */
static void write_merged(merge *x, const char *directory)
{
    gn_error err = {0};
    char command[1200];
    snprintf(command, sizeof command, "cp -r '%s' '%s' && rm '%s'/model.safetensors", x->base, directory,
             directory);
    CHECK(system(command) == 0);
    gn__tensor_file f = {0};
    char *path = gn__path_join(directory, "model.safetensors");
    for (size_t i = 0; i < x->weights.tensors; i++) {
        const gn__tensor *t = &x->weights.tensor[i];
        CHECK_OK(
            gn__tensor_file_declare(&f, t->name, "F32", t->shape, t->rank, t->elements * sizeof(float), &err),
            err);
    }
    CHECK_OK(gn__tensor_file_begin(&f, path, &err), err);
    for (size_t i = 0; i < x->weights.tensors; i++) {
        const gn__tensor *t = &x->weights.tensor[i];
        const gn__tensor *a = adapter_of(x, t->name, 'A'), *b = adapter_of(x, t->name, 'B');
        float *w = gn__aligned(t->elements, sizeof *w);
        gn__tensor_read(t, 0, t->elements, w);
        CHECK((a == NULL) == (b == NULL));
        if (a != NULL) add_adapter(x, t, a, b, w);
        gn__writer_put(&f.writer, w, t->elements * sizeof *w);
        free(w);
    }
    CHECK_OK(gn__tensor_file_commit(&f, &err), err);
    gn__tensor_file_free(&f);
    free(path);
}

/* "target_modules" must fit the whole path of those layers that have an adapter, and of no others. */
static void check_targets(const merge *x)
{
    regex_t fits;
    gn__buf pattern = {0};
    gn__buf_printf(&pattern, "^(%s)$", gn__config_string(&x->config, "target_modules"));
    CHECK(regcomp(&fits, pattern.data, REG_EXTENDED | REG_NOSUB) == 0);
    for (size_t i = 0; i < x->weights.tensors; i++) {
        const char *name = x->weights.tensor[i].name;
        char path[NAME];
        size_t n = length_without(name, ".weight");
        if (n == 0) continue;
        snprintf(path, sizeof path, "%s%.*s", x->class_prefix, (int)n, name);
        if ((regexec(&fits, path, 0, NULL, 0) == 0) != (adapter_of(x, name, 'A') != NULL))
            test_fail(__FILE__, __LINE__, "%s: \"target_modules\" %s does not agree with the tensors", path,
                      pattern.data);
    }
    regfree(&fits);
    gn__buf_free(&pattern);
}

TEST(adapters_added_to_the_base_are_the_tuned_model)
{
    enum {
        ATTENTION = GN_LORA_QUERY | GN_LORA_KEY | GN_LORA_VALUE,
        ALL = ATTENTION | GN_LORA_OUT | GN_LORA_MLP
    };
    static const struct {
        const char *model, *class_prefix;
        unsigned target;
        size_t adapters; /* layers in the checkpoint times adapted ones of each */
    } cases[] = {{"model/bert", "", ALL, 2 * 6},
                 {"model/bert", "", 0, 2 * 2},
                 {"model/gpt2", "transformer.", ALL, 2 * 4},           /* fused, inputs × outputs */
                 {"model/gpt2", "transformer.", GN_LORA_KEY, 2},       /* a part of a fused one */
                 {"architecture/gpt_neox", "gpt_neox.", ATTENTION, 2}, /* fused head by head */
                 {"architecture/deberta", "", ALL, 2 * 4},             /* the same, and positions share it */
                 {"architecture/llama", "model.", ALL, 2 * 7},         /* gate, up */
                 {"architecture/phi3_longrope", "model.", ALL, 2 * 4}, /* gate and up in one */
                 {"architecture/deberta_v2_convolution", "", ALL, 2 * 6},
                 {"architecture/opt_narrow", "model.", ALL, 2 * 6},
                 {"architecture/albert_groups", "", ALL, 4 * 6}}; /* numbers of group and layer */
    gn_context *ctx = fixture_context();
    gn_error err = {0};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char relative[200], name[32];
        snprintf(relative, sizeof relative, "tests/golden/%s", cases[k].model);
        snprintf(name, sizeof name, "lora%zu", k);
        char *base = gn__strdup(test_path(relative)), *saved = fixture_path(name);
        snprintf(name, sizeof name, "merged%zu", k);
        char *merged = fixture_path(name), *file = gn__path_join(saved, "adapter_model.safetensors");
        gn_model *m = fixture_load(ctx, base);
        gn_tuned *t = fixture_train(ctx, m, GN_TUNE_LORA, cases[k].target);
        CHECK_OK(gn_tuned_save(ctx, t, saved, fixture_classes, &err), err);
        merge x = {.base = base, .class_prefix = cases[k].class_prefix};
        gn__mapping bytes;
        CHECK_OK(gn__weights_open(base, &x.weights, &err), err);
        CHECK_OK(gn__map_file(file, &bytes, &err), err);
        CHECK_OK(gn__safetensors_parse(&x.adapters, 0, file, bytes.data, bytes.size, &err), err);
        CHECK_OK(gn__config_read(saved, "adapter_config.json", JSON_OBJECT, &x.config, &err), err);
        write_merged(&x, merged);
        CHECK_INT(x.added, cases[k].adapters);
        bool score = gn__weights_find(&x.adapters, "base_model.model.score.weight") != NULL;
        CHECK_INT(x.adapters.tensors, 2 * x.added + score);
        check_targets(&x);
        gn_model *whole = fixture_load(ctx, merged);
        double before, after = fixture_difference(ctx, t, whole, &before);
        if (!(after <= 1e-5 && before > 1e-3))
            test_fail(__FILE__, __LINE__, "%s: %g from the tuned model, %g from the base", cases[k].model,
                      after, before);
        fixture_check_change(t, merged);
        gn_model_free(whole);
        gn__config_free(&x.config);
        gn__weights_free(&x.adapters);
        gn__unmap_file(&bytes);
        gn__weights_free(&x.weights);
        gn_tuned_free(t);
        gn_model_free(m);
        free(base), free(saved), free(merged), free(file);
    }
    gn_context_free(ctx);
}
