#include "fixture_tuned.h"

#include "model/trained_names.h"
#include "test.h"

#include <math.h>
#include <stdio.h>

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
const char *const fixture_classes[2] = {"calm \"quoted\"", "大変"};

gn_context *fixture_context(void)
{
    gn_context *ctx = NULL;
    gn_error err = {0};
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = 2}, &ctx, &err), err);
    return ctx;
}

gn_model *fixture_load(gn_context *ctx, const char *path)
{
    gn_error err = {0};
    gn_model *m = NULL;
    CHECK_OK(gn_model_load(ctx, path, &(gn_model_options){.dtype = GN_DTYPE_F32}, &m, &err), err);
    return m;
}

gn_tuned *fixture_train(gn_context *ctx, const gn_model *m, gn_tune_what what, unsigned lora_target)
{
    gn_error err = {0};
    gn_tuned *t = NULL;
    uint32_t length[ROWS];
    int label[ROWS];
    for (size_t i = 0; i < ROWS; i++) length[i] = (uint32_t)strlen(texts[i]), label[i] = (int)(i % 2);
    gn_tune_rows rows = {texts, length, label, NULL, ROWS, 2};
    gn_tune_options o = {.what = what,
                         .lora_target = lora_target,
                         .epochs = 3,
                         .batch = 4,
                         .rate = 5e-3,
                         .clip = 1,
                         .dtype = GN_DTYPE_F32};
    CHECK_OK(gn_tune(ctx, m, &rows, &o, &t, &err), err);
    return t;
}

char *fixture_path(const char *name)
{
    char *path = gn__path_join(test_folder(), name);
    CHECK(path != NULL);
    return path;
}

double fixture_difference(gn_context *ctx, const gn_tuned *t, const gn_model *saved, double *before)
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

void fixture_check_head(const gn_tuned *t, const char *directory)
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

static const gn__tensor *find_saved(const gn__weights *w, const gn_model *m, const char *name)
{
    char full[400];
    const gn__tensor *t = gn__weights_find(w, name);
    if (t != NULL || m->recipe.names->prefix[1] == NULL) return t;
    snprintf(full, sizeof full, "%s%s", m->recipe.names->prefix[1], name); /* in a class for classification */
    return gn__weights_find(w, full);
}

void fixture_check_change(const gn_tuned *t, const char *directory)
{
    enum { MOST = 16 };
    gn_error err = {0};
    gn__weights before = {0}, after = {0};
    double was[MOST] = {0}, went[MOST] = {0};
    CHECK(gn_tuned_stats(t)->layer_changes <= MOST);
    CHECK_OK(gn__weights_open(t->m->info.path, &before, &err), err);
    CHECK_OK(gn__weights_open(directory, &after, &err), err);
    for (size_t i = 0; i < before.tensors; i++) {
        const gn__tensor *a = &before.tensor[i], *b = find_saved(&after, t->m, a->name);
        if (gn__tensor_unused(t->m, a->name)) continue;
        CHECK(b != NULL && b->elements == a->elements);
        size_t place = gn__tensor_place(t->m, a->name);
        float *x = gn__aligned(a->elements, sizeof *x), *y = gn__aligned(a->elements, sizeof *y);
        gn__tensor_read(a, 0, a->elements, x);
        gn__tensor_read(b, 0, a->elements, y);
        for (size_t j = 0; j < a->elements; j++) {
            was[place] += (double)x[j] * (double)x[j];
            went[place] += ((double)y[j] - (double)x[j]) * ((double)y[j] - (double)x[j]);
        }
        free(x), free(y);
    }
    for (size_t k = 0; k < gn_tuned_stats(t)->layer_changes; k++) {
        double expected = was[k] > 0 ? sqrt(went[k] / was[k]) : 0;
        CHECK_NEAR(gn_tuned_stats(t)->layer_change[k], expected, 1e-4 * expected);
    }
    gn__weights_free(&before);
    gn__weights_free(&after);
}
