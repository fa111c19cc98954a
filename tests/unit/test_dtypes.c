/* What bf16 and int8 cost in accuracy with real weights: the demo's model on the example texts. */
#include "core/core.h"
#include "genchi/genchi.h"
#include "test.h"

#include <math.h>

/* GENCHI_TEST_MODEL, or where scripts/fetch-demo-model.sh puts it; NULL: not there. */
static const char *demo_model(void)
{
    static char path[1000], weights[1100];
    const char *given = getenv("GENCHI_TEST_MODEL"), *cache = getenv("XDG_CACHE_HOME"),
               *home = getenv("HOME");
    if (given != NULL)
        snprintf(path, sizeof path, "%s", given);
    else
        snprintf(path, sizeof path, "%s%s/genchi/models/all-MiniLM-L6-v2",
                 cache  ? cache
                 : home ? home
                        : "",
                 cache ? "" : "/.cache");
    snprintf(weights, sizeof weights, "%s/model.safetensors", path);
    return gn__file_exists(weights) ? path : NULL;
}

/* Whether a model asked for in this type gets it here. */
static bool has_type(gn_context *ctx, const char *path, gn_dtype dtype)
{
    gn_error err = {0};
    gn_model_options options = {.dtype = dtype};
    gn_model *m;
    CHECK_OK(gn_model_load(ctx, path, &options, &m, &err), err);
    bool has = gn_model_get_info(m)->dtype == dtype;
    gn_model_free(m);
    return has;
}

static gn_matrix embed(gn_context *ctx, const char *path, gn_dtype dtype, const gn_dataset *d)
{
    gn_error err = {0};
    gn_model_options options = {.dtype = dtype};
    gn_model *m;
    gn_matrix x;
    CHECK_OK(gn_model_load(ctx, path, &options, &m, &err), err);
    CHECK_OK(gn_model_embed(ctx, m, (const char *const *)d->text, d->length, d->rows, &x, NULL, NULL, &err),
             err);
    gn_model_free(m);
    return x;
}

/* Rows are of unit length, so that a cosine is a sum. */
static double mean_cosine(const gn_matrix *x, const gn_matrix *y, double *least)
{
    double sum = 0;
    *least = 1;
    for (size_t i = 0; i < x->rows; i++) {
        double c = 0;
        for (size_t j = 0; j < x->cols; j++)
            c += (double)x->data[i * x->cols + j] * (double)y->data[i * x->cols + j];
        sum += c;
        *least = fmin(*least, c);
    }
    return sum / (double)x->rows;
}

static void dtype_case(gn_dtype dtype, double mean, double worst)
{
    static const char *const files[] = {"examples/data/en_train.csv", "examples/data/en_field.csv"};
    const char *path = demo_model();
    if (path == NULL) test_skip("the demo's model is not there");
    gn_error err = {0};
    gn_context *ctx;
    CHECK_OK(gn_context_create(NULL, &ctx, &err), err);
    if (!has_type(ctx, path, dtype)) {
        gn_context_free(ctx);
        test_skip("this processor lacks the type");
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        gn_dataset d;
        gn_dataset_options options = {.text = "text"};
        double least;
        CHECK_OK(gn_dataset_read(ctx, files[i], &options, &d, &err), err);
        gn_matrix x = embed(ctx, path, GN_DTYPE_F32, &d), y = embed(ctx, path, dtype, &d);
        double c = mean_cosine(&x, &y, &least);
        if (!(c >= mean && least >= worst))
            test_fail(__FILE__, __LINE__, "%s in %s: mean cosine %.6f, least %.6f", files[i],
                      gn_dtype_name(dtype), c, least);
        gn_matrix_free(&x);
        gn_matrix_free(&y);
        gn_dataset_free(&d);
    }
    gn_context_free(ctx);
}

TEST(bf16_is_close_to_float32)
{
    dtype_case(GN_DTYPE_BF16, 0.9999, 0.999);
}

TEST(int8_is_close_to_float32)
{
    dtype_case(GN_DTYPE_INT8, 0.995, 0.98);
}
