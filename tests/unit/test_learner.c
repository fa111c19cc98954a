/* The learner: its forward pass against the model's own, its way back against differences and PyTorch's. */
#include "model/learner_parts.h"
#include "test.h"

static gn_context *context(unsigned threads)
{
    gn_context *ctx;
    gn_error err = {0};
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = threads}, &ctx, &err), err);
    return ctx;
}

static gn_model *load(gn_context *ctx, const char *folder, const char *name)
{
    gn_error err = {0};
    gn_model *m = NULL;
    char relative[256];
    snprintf(relative, sizeof relative, "tests/golden/%s/%s", folder, name);
    CHECK_OK(gn_model_load(ctx, test_path(relative), &(gn_model_options){.dtype = GN_DTYPE_F32}, &m, &err),
             err);
    return m;
}

/* Texts of random tokens, of every length up to the longest. */
enum { TEXTS = 7, CLASSES = 3, LONGEST = 23, ALL = TEXTS * LONGEST };

typedef struct batch {
    gn__sequence sequence[TEXTS];
    int32_t id[ALL];
    size_t tokens;
} batch;

static void fill(const gn_model *m, batch *b)
{
    gn__rng r = gn__rng_make(5, gn__purpose("test/learner"), 0);
    b->tokens = 0;
    for (size_t s = 0; s < TEXTS; s++) {
        size_t n = s == 0 ? LONGEST : 1 + gn__rng_below(&r, LONGEST);
        b->sequence[s] = (gn__sequence){b->id + b->tokens, n};
        for (size_t t = 0; t < n; t++)
            b->id[b->tokens++] = (int32_t)gn__rng_below(&r, (uint32_t)m->recipe.vocab);
    }
}

static gn__learner *learner(gn_context *ctx, const gn_model *m, gn_tune_options tune)
{
    gn_error err = {0};
    gn__learner *l;
    gn__learner_options o = {.tune = &tune, .classes = CLASSES, .most_tokens = ALL, .most_texts = TEXTS};
    CHECK_OK(gn__learner_create(ctx, m, &o, &l, &err), err);
    return l;
}

static const struct {
    const char *folder, *name;
} models[] = {{"model", "bert"}, {"model", "gpt2"}};
enum { MODELS = sizeof models / sizeof *models };

TEST(forward_is_the_models_own)
{
    gn_context *ctx = context(2);
    gn_error err = {0};
    for (size_t k = 0; k < MODELS; k++) {
        gn_model *m = load(ctx, models[k].folder, models[k].name);
        batch b;
        fill(m, &b);
        gn__learner *l = learner(ctx, m, (gn_tune_options){.what = GN_TUNE_FULL});
        float logit[TEXTS * CLASSES], *pooled = gn__aligned(TEXTS * m->info.dim, sizeof *pooled);
        CHECK_OK(gn__learner_forward(ctx, l, b.sequence, TEXTS, NULL, logit, pooled, &err), err);
        gn__workspace ws;
        CHECK_OK(gn__workspace_create(m, b.tokens, &ws, &err), err);
        CHECK_OK(gn__model_forward(ctx, m, &ws, b.sequence, TEXTS, &err), err);
        for (size_t i = 0; i < b.tokens * m->recipe.dim; i++) CHECK_NEAR(l->last[i], ws.hidden[i], 2e-5);
        gn__workspace_free(&ws);
        free(pooled);
        gn__learner_free(l);
        gn_model_free(m);
    }
    gn_context_free(ctx);
}

/* Σ weight · logit, a number with a gradient. */
static double value(gn_context *ctx, gn__learner *l, const batch *b, const float *weight)
{
    gn_error err = {0};
    float logit[TEXTS * CLASSES];
    double sum = 0;
    CHECK_OK(gn__learner_refresh(ctx, l, &err), err);
    CHECK_OK(gn__learner_forward(ctx, l, b->sequence, TEXTS, NULL, logit, NULL, &err), err);
    for (size_t i = 0; i < TEXTS * CLASSES; i++) sum += (double)weight[i] * (double)logit[i];
    return sum;
}

/* Along each parameter's own gradient the value grows by its square's length. */
static void check_differences(gn_context *ctx, const gn_model *m, gn_tune_options tune)
{
    gn_error err = {0};
    batch b;
    fill(m, &b);
    float weight[TEXTS * CLASSES];
    gn__rng r = gn__rng_make(6, gn__purpose("test/learner"), 0);
    for (size_t i = 0; i < TEXTS * CLASSES; i++) weight[i] = (float)gn__rng_normal(&r);
    gn__learner *l = learner(ctx, m, tune);
    for (size_t i = 0; i < CLASSES * m->info.dim; i++) l->head_weight->value[i] *= 20;
    size_t n = gn__learner_trained(l), count;
    float *values = gn__learner_values(l), *gradient = gn__calloc(n, sizeof *gradient);
    (void)value(ctx, l, &b, weight);
    CHECK_OK(gn__learner_backward(ctx, l, weight, gradient, &err), err);
    const gn__parameter *p = gn__learner_parameters(l, &count);
    float *kept = gn__aligned(n, sizeof *kept);
    memcpy(kept, values, n * sizeof *kept);
    for (size_t k = 0; k < count; k++) {
        size_t size = p[k].rows * p[k].cols;
        const float *g = gradient + p[k].offset;
        double square = 0, difference[2];
        for (size_t i = 0; i < size; i++) square += (double)g[i] * (double)g[i];
        if (square < 1e-10) continue;
        double step = 1e-2 / sqrt(square);
        for (int side = 0; side < 2; side++) {
            for (size_t i = 0; i < size; i++)
                values[p[k].offset + i] =
                    kept[p[k].offset + i] + (float)((side ? step : -step) * (double)g[i]);
            difference[side] = value(ctx, l, &b, weight);
        }
        memcpy(values, kept, n * sizeof *kept);
        double found = (difference[1] - difference[0]) / (2 * step);
        if (!(fabs(found - square) <= 0.02 * square + 1e-3))
            test_fail(__FILE__, __LINE__, "%s: %s: %g by differences, %g by gradient", m->info.name,
                      p[k].name, found, square);
    }
    free(kept), free(gradient);
    gn__learner_free(l);
}

TEST(gradients_agree_with_differences)
{
    gn_context *ctx = context(2);
    for (size_t k = 0; k < MODELS; k++) {
        gn_model *m = load(ctx, models[k].folder, models[k].name);
        check_differences(ctx, m, (gn_tune_options){.what = GN_TUNE_FULL});
        check_differences(ctx, m, (gn_tune_options){.what = GN_TUNE_HEAD});
        check_differences(ctx, m, (gn_tune_options){.what = GN_TUNE_LAST_K, .last_k = 1});
        gn_model_free(m);
    }
    gn_context_free(ctx);
}
