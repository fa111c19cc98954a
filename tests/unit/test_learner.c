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
} models[] = {
    {"model", "bert"},
    {"model", "gpt2"},
    {"architecture", "distilbert"},
    {"architecture", "roberta"},
    {"architecture", "xlm_roberta"},
    {"architecture", "albert"},
    {"architecture", "electra"},
    {"architecture", "mpnet"},
    {"architecture", "deberta_v2"},
    {"architecture", "deberta_v2_own_keys"},
    {"architecture", "deberta"},
    {"architecture", "modernbert"},
    {"architecture", "nomic_bert"},
    {"architecture", "gpt_neox"},
    {"architecture", "gpt_neox_serial"},
    {"architecture", "opt"},
    {"architecture", "opt_post"},
    {"architecture", "bloom"},
    {"architecture", "phi"},
    {"architecture", "phi3"},
    {"architecture", "llama"},
    {"architecture", "mistral"},
    {"architecture", "qwen2"},
    {"architecture", "qwen3"},
    {"architecture", "gemma2"},
    {"architecture", "gemma3_text"},
    {"architecture", "gemma3_both_ways"},
    {"architecture", "t5"},
    {"architecture", "mt5"},
    {"architecture", "deberta_v2_convolution"},
    {"architecture", "deberta_v2_xlarge"},
    {"architecture", "opt_narrow"},
    {"architecture", "opt_wide"},
    {"architecture", "phi_head_norms"},
    {"architecture", "phi3_longrope"},
    {"architecture", "albert_groups"},
};
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
        gn__scratch scratch;
        CHECK_OK(gn__workspace_create(m, b.tokens, &ws, &err), err);
        CHECK_OK(gn__scratch_create(m, b.tokens, &scratch, &err), err);
        CHECK_OK(gn__model_forward(ctx, m, &ws, &scratch, &(gn__member){0}, b.sequence, TEXTS, &err), err);
        for (size_t i = 0; i < b.tokens * m->recipe.output; i++)
            if (!(fabs((double)l->last[i] - (double)ws.hidden[i]) < 5e-5))
                test_fail(__FILE__, __LINE__, "%s: row %zu: %g, not %g", m->info.name, i / m->recipe.output,
                          (double)l->last[i], (double)ws.hidden[i]);
        gn__workspace_free(&ws);
        gn__scratch_free(&scratch);
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
    for (size_t k = 0; k < 2; k++) { /* all are held against PyTorch below */
        gn_model *m = load(ctx, models[k].folder, models[k].name);
        check_differences(ctx, m, (gn_tune_options){.what = GN_TUNE_FULL});
        check_differences(ctx, m, (gn_tune_options){.what = GN_TUNE_HEAD});
        check_differences(ctx, m, (gn_tune_options){.what = GN_TUNE_LAST_K, .last_k = 1});
        gn_model_free(m);
    }
    gn_context_free(ctx);
}

/* ---- against PyTorch (tests/golden/make_gradients.py) ------------------------------------------------ */

enum { MOST_TEXTS = 8 };

typedef struct golden {
    gn__config file;
    gn__sequence sequence[MOST_TEXTS];
    int32_t id[MOST_TEXTS * LONGEST];
    size_t texts, tokens;
    int label[MOST_TEXTS];
} golden;

static void read_golden(const char *name, golden *g)
{
    gn_error err = {0};
    char file[64];
    snprintf(file, sizeof file, "%s.json", name);
    *g = (golden){.texts = 0};
    CHECK_OK(gn__config_read(test_path("tests/golden/gradient"), file, JSON_OBJECT, &g->file, &err), err);
    const json_t *texts = json_object_get(g->file.root, "texts"),
                 *labels = json_object_get(g->file.root, "labels");
    g->texts = json_array_size(texts);
    CHECK(g->texts > 0 && g->texts <= MOST_TEXTS);
    for (size_t s = 0; s < g->texts; s++) {
        const json_t *ids = json_array_get(texts, s);
        g->sequence[s] = (gn__sequence){g->id + g->tokens, json_array_size(ids)};
        for (size_t t = 0; t < json_array_size(ids); t++)
            g->id[g->tokens++] = (int32_t)json_integer_value(json_array_get(ids, t));
        g->label[s] = (int)json_integer_value(json_array_get(labels, s));
    }
}

/* make_gradients.py's. */
static double pattern(size_t i, size_t shift)
{
    return ((double)((37 * i + 11 + shift) % 101) - 50) / 50;
}

static void fill_pattern(float *x, size_t n, double scale, size_t shift)
{
    for (size_t i = 0; i < n; i++) x[i] = (float)(pattern(i, shift) * scale);
}

/* Mean cross-entropy; by_logit receives its derivative. */
static double cross_entropy(const golden *g, const float *logit, float *by_logit)
{
    double loss = 0;
    for (size_t s = 0; s < g->texts; s++) {
        double total = 0;
        for (size_t c = 0; c < CLASSES; c++) total += exp((double)logit[s * CLASSES + c]);
        loss += (log(total) - (double)logit[s * CLASSES + (size_t)g->label[s]]) / (double)g->texts;
        for (size_t c = 0; c < CLASSES; c++) {
            double p = exp((double)logit[s * CLASSES + c]) / total;
            by_logit[s * CLASSES + c] = (float)((p - ((int)c == g->label[s])) / (double)g->texts);
        }
    }
    return loss;
}

static double largest_of(const json_t *all)
{
    double most = 0;
    const char *key;
    json_t *told;
    json_object_foreach((json_t *)(uintptr_t)all, key, told) most =
        fmax(most, json_number_value(json_object_get(told, "scale")));
    return most;
}

/* One tensor of gradients against what the golden file tells of it. */
static void check_told(const char *model, const char *name, const json_t *all, const float *x, size_t n,
                       double shift, double tolerance)
{
    const json_t *told = json_object_get(all, name), *at = json_object_get(told, "at");
    if (told == NULL) test_fail(__FILE__, __LINE__, "%s: the golden file lacks %s", model, name);
    double scale = json_number_value(json_object_get(told, "scale"));
    double dot = json_number_value(json_object_get(told, "dot")), found = 0, largest = 0;
    size_t step = n / 12 > 1 ? n / 12 : 1;
    for (size_t i = 0; i < n; i++) {
        found += ((double)x[i] + shift) * pattern(i, 0);
        largest = fmax(largest, fabs((double)x[i] + shift));
    }
    double most =
        tolerance * scale + 0.01 * tolerance * largest_of(all); /* key biases' are 0 but for rounding */
    for (size_t i = 0; i < json_array_size(at); i++) {
        double expected = json_number_value(json_array_get(at, i)), one = (double)x[i * step] + shift;
        if (!(fabs(one - expected) <= most))
            test_fail(__FILE__, __LINE__, "%s: %s, element %zu: %.7g, expected %.7g (largest %.3g)", model,
                      name, i * step, one, expected, scale);
    }
    if (!(fabs(found - dot) <= most * sqrt((double)n)) || !(fabs(largest - scale) <= most))
        test_fail(__FILE__, __LINE__, "%s: %s: sum %.7g, expected %.7g; largest %.7g, expected %.7g", model,
                  name, found, dot, largest, scale);
}

typedef struct comparison {
    const gn_model *m;
    const json_t *gradients;
    const char *model;
    size_t tensors;
    double tolerance;
} comparison;

static gn_status compare(void *arg, const char *name, const size_t *shape, size_t dims, const float *x,
                         gn_error *err)
{
    comparison *c = arg;
    size_t n = shape[0];
    for (size_t k = 1; k < dims; k++) n *= shape[k];
    bool plus = dims == 1 && c->m->recipe.norm == GN__NORM_RMS_PLUS && strncmp(name, "pooling.", 8) != 0 &&
                strncmp(name, "head.", 5) != 0; /* export takes 1 from gamma */
    (void)err;
    check_told(c->model, name, c->gradients, x, n, plus ? 1 : 0, c->tolerance);
    c->tensors++;
    return GN_OK;
}

/* The whole way back of one model. */
static void check_golden(gn_context *ctx, const gn_model *m, const char *name, const char *kind,
                         gn_tune_options tune, bool recompute, double tolerance)
{
    gn_error err = {0};
    golden g;
    read_golden(name, &g);
    const json_t *expected = json_object_get(g.file.root, kind);
    gn__learner *l;
    gn__learner_options o = {.tune = &tune,
                             .classes = CLASSES,
                             .most_tokens = MOST_TEXTS * LONGEST,
                             .most_texts = MOST_TEXTS,
                             .recompute = recompute};
    CHECK_OK(gn__learner_create(ctx, m, &o, &l, &err), err);
    size_t count, n = gn__learner_trained(l);
    const gn__parameter *p = gn__learner_parameters(l, &count);
    float *values = gn__learner_values(l), *gradient = gn__calloc(n, sizeof *gradient);
    for (size_t k = 0; k < count; k++) {
        float *x = values + p[k].offset;
        size_t size = p[k].rows * p[k].cols;
        if (strcmp(p[k].name, "head.weight") == 0) fill_pattern(x, size, 0.5, 3);
        if (strcmp(p[k].name, "head.bias") == 0) fill_pattern(x, size, 0.5, 7);
        if (strstr(p[k].name, "lora_A") != NULL) fill_pattern(x, size, 0.3, 0);
        if (strstr(p[k].name, "lora_B") != NULL) fill_pattern(x, size, 0.2, 5);
    }
    CHECK_OK(gn__learner_refresh(ctx, l, &err), err);
    float logit[MOST_TEXTS * CLASSES], by_logit[MOST_TEXTS * CLASSES];
    CHECK_OK(gn__learner_forward(ctx, l, g.sequence, g.texts, NULL, logit, NULL, &err), err);
    const json_t *logits = json_object_get(expected, "logits");
    for (size_t i = 0; i < g.texts * CLASSES; i++) {
        double want = json_number_value(json_array_get(logits, i));
        if (!(fabs((double)logit[i] - want) <= tolerance * (1 + fabs(want))))
            test_fail(__FILE__, __LINE__, "%s, %s: logit %zu is %.7g, expected %.7g", name, kind, i,
                      (double)logit[i], want);
    }
    CHECK_NEAR(cross_entropy(&g, logit, by_logit), json_number_value(json_object_get(expected, "loss")),
               tolerance);
    CHECK_OK(gn__learner_backward(ctx, l, by_logit, gradient, &err), err);
    comparison c = {
        .m = m, .gradients = json_object_get(expected, "gradients"), .model = name, .tolerance = tolerance};
    if (tune.what == GN_TUNE_LORA) {
        for (size_t k = 0; k < count; k++, c.tensors++)
            check_told(name, p[k].name, c.gradients, gradient + p[k].offset, p[k].rows * p[k].cols, 0,
                       tolerance);
    } else {
        memcpy(values, gradient, n * sizeof *values);
        CHECK_OK(gn__learner_export(l, compare, &c, &err), err);
    }
    if (tune.what != GN_TUNE_LAST_K) CHECK_INT(c.tensors, json_object_size(c.gradients));
    free(gradient);
    gn__learner_free(l);
    gn__config_free(&g.file);
}

static const gn_tune_options all_adapters = {.what = GN_TUNE_LORA,
                                             .lora_rank = 2,
                                             .lora_alpha = 6,
                                             .lora_target = GN_LORA_QUERY | GN_LORA_KEY | GN_LORA_VALUE |
                                                            GN_LORA_OUT | GN_LORA_MLP};

TEST(every_familys_gradients_agree_with_pytorch)
{
    gn_context *ctx = context(2);
    for (size_t k = 0; k < MODELS; k++) {
        gn_model *m = load(ctx, models[k].folder, models[k].name);
        check_golden(ctx, m, models[k].name, "full", (gn_tune_options){.what = GN_TUNE_FULL}, false, 1e-4);
        check_golden(ctx, m, models[k].name, "full", (gn_tune_options){.what = GN_TUNE_FULL}, true, 1e-4);
        for (size_t last = 1; last < 20; last += 18) /* one layer; all of them, without embeddings */
            check_golden(ctx, m, models[k].name, "full",
                         (gn_tune_options){.what = GN_TUNE_LAST_K, .last_k = last}, last > 1, 1e-4);
        gn_model_free(m);
    }
    gn_context_free(ctx);
}

TEST(every_familys_adapters_agree_with_pytorch)
{
    gn_context *ctx = context(2);
    for (size_t k = 0; k < MODELS; k++) {
        gn_model *m = load(ctx, models[k].folder, models[k].name);
        check_golden(ctx, m, models[k].name, "lora", all_adapters, false, 1e-4);
        gn_model_free(m);
    }
    gn_context_free(ctx);
}

/* ---- what does not depend on any number ---------------------------------------------------------------- */

typedef struct outcome {
    float logit[TEXTS * CLASSES];
    float *gradient;
    size_t n;
} outcome;

/* Forward and backward with `threads`; backwards order of texts where `turned`. */
static outcome step(const char *folder, const char *name, unsigned threads, gn_tune_options tune,
                    bool recompute, const gn__dropout *dropout, size_t first, size_t texts)
{
    gn_context *ctx = context(threads);
    gn_error err = {0};
    gn_model *m = load(ctx, folder, name);
    batch b;
    fill(m, &b);
    gn__learner *l;
    gn__learner_options o = {
        .tune = &tune, .classes = CLASSES, .most_tokens = ALL, .most_texts = TEXTS, .recompute = recompute};
    CHECK_OK(gn__learner_create(ctx, m, &o, &l, &err), err);
    float by_logit[TEXTS * CLASSES];
    fill_pattern(by_logit, TEXTS * CLASSES, 1, 1);
    size_t count;
    const gn__parameter *p = gn__learner_parameters(l, &count);
    for (size_t k = 0; k < count; k++)
        if (strstr(p[k].name, "lora_B") != NULL && tune.seed > 0)
            fill_pattern(gn__learner_values(l) + p[k].offset, p[k].rows * p[k].cols, 0.2, 5);
    outcome out = {.n = gn__learner_trained(l)};
    out.gradient = gn__calloc(out.n, sizeof *out.gradient);
    CHECK_OK(gn__learner_refresh(ctx, l, &err), err);
    CHECK_OK(gn__learner_forward(ctx, l, b.sequence + first, texts, dropout, out.logit, NULL, &err), err);
    CHECK_OK(gn__learner_backward(ctx, l, by_logit, out.gradient, &err), err);
    gn__learner_free(l);
    gn_model_free(m);
    gn_context_free(ctx);
    return out;
}

static void check_same_bits(const char *name, outcome a, outcome b)
{
    CHECK_INT(a.n, b.n);
    if (memcmp(a.logit, b.logit, sizeof a.logit) != 0 ||
        memcmp(a.gradient, b.gradient, a.n * sizeof(float)) != 0)
        test_fail(__FILE__, __LINE__, "%s: other bits", name);
    free(a.gradient), free(b.gradient);
}

static const size_t text_rows[TEXTS] = {4, 90, 17, 3, 55, 1000, 6};
static const gn__dropout dropping = {.embedding = 0.25,
                                     .attention = 0.1,
                                     .out = 0.2,
                                     .inner = 0.15,
                                     .mlp_out = 0.2,
                                     .last = 0.35,
                                     .adapter = 0.3,
                                     .seed = 3,
                                     .step = 5,
                                     .row = text_rows};

TEST(bits_do_not_depend_on_threads_or_recomputation)
{
    static const gn_dtype dtypes[] = {GN_DTYPE_F32, GN_DTYPE_BF16};
    size_t types = gn__best_dtype() == GN_DTYPE_BF16 ? 2 : 1;
    for (size_t k = 0; k < MODELS; k++)
        for (size_t d = 0; d < types; d++)
            for (int lora = 0; lora < 2; lora++) {
                gn_tune_options tune = all_adapters;
                if (!lora) tune.what = GN_TUNE_FULL;
                tune.dtype = dtypes[d], tune.seed = 1;
                const char *folder = models[k].folder, *name = models[k].name;
                check_same_bits(name, step(folder, name, 1, tune, false, &dropping, 0, TEXTS),
                                step(folder, name, 3, tune, false, &dropping, 0, TEXTS));
                check_same_bits(name, step(folder, name, 1, tune, false, &dropping, 0, TEXTS),
                                step(folder, name, 2, tune, true, &dropping, 0, TEXTS));
            }
}

/* Also with dropout, which a text's row names. */
TEST(a_texts_bits_do_not_depend_on_its_neighbours)
{
    for (size_t k = 0; k < MODELS; k++) {
        gn__dropout alone = dropping;
        alone.row = text_rows + 2;
        outcome all = step(models[k].folder, models[k].name, 2, all_adapters, false, &dropping, 0, TEXTS);
        outcome some = step(models[k].folder, models[k].name, 2, all_adapters, false, &alone, 2, 3);
        if (memcmp(all.logit + 2 * CLASSES, some.logit, 3 * CLASSES * sizeof(float)) != 0)
            test_fail(__FILE__, __LINE__, "%s: other bits", models[k].name);
        free(all.gradient), free(some.gradient);
    }
}

TEST(adapters_of_zero_change_nothing)
{
    gn_tune_options head = {.what = GN_TUNE_HEAD}, lora = all_adapters;
    for (size_t k = 0; k < MODELS; k++) {
        outcome a = step(models[k].folder, models[k].name, 1, head, false, NULL, 0, TEXTS);
        outcome b = step(models[k].folder, models[k].name, 1, lora, false, NULL, 0, TEXTS);
        if (memcmp(a.logit, b.logit, sizeof a.logit) != 0)
            test_fail(__FILE__, __LINE__, "%s: other bits", models[k].name);
        free(a.gradient), free(b.gradient);
    }
}

/* Along its gradient the value grows as it says, also where elements are dropped: the way back drops the
 * same. */
TEST(dropout_goes_both_ways)
{
    gn_context *ctx = context(2);
    gn_error err = {0};
    static const char *const names[] = {"model/bert",
                                        "model/gpt2",
                                        "architecture/deberta_v2_convolution",
                                        "architecture/opt_narrow",
                                        "architecture/t5",
                                        "architecture/modernbert"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        for (int lora = 0; lora < 2; lora++) {
            gn_model *m = load(ctx, "", names[k]);
            batch b;
            fill(m, &b);
            gn_tune_options tune = all_adapters;
            if (!lora) tune.what = GN_TUNE_FULL;
            gn__learner *l = learner(ctx, m, tune);
            size_t n = gn__learner_trained(l), count;
            float *values = gn__learner_values(l), *gradient = gn__calloc(n, sizeof *gradient),
                  weight[TEXTS * CLASSES];
            const gn__parameter *p = gn__learner_parameters(l, &count);
            fill_pattern(weight, TEXTS * CLASSES, 1, 1);
            for (size_t i = 0; i < count; i++) {
                if (strstr(p[i].name, "lora_B"))
                    fill_pattern(values + p[i].offset, p[i].rows * p[i].cols, 0.2, 5);
                if (strcmp(p[i].name, "head.weight") == 0)
                    fill_pattern(values + p[i].offset, p[i].rows * p[i].cols, 0.5, 3);
            }
            float *kept = gn__aligned(n, sizeof *kept), logit[TEXTS * CLASSES];
            memcpy(kept, values, n * sizeof *kept);
            double square = 0, found[3];
            for (int side = 0; side < 3; side++) { /* at the place itself, behind, before */
                double step = side == 0 ? 0 : (side == 1 ? -2e-4 : 2e-4) / sqrt(square);
                for (size_t i = 0; i < n; i++) values[i] = kept[i] + (float)(step * (double)gradient[i]);
                CHECK_OK(gn__learner_refresh(ctx, l, &err), err);
                CHECK_OK(gn__learner_forward(ctx, l, b.sequence, TEXTS, &dropping, logit, NULL, &err), err);
                found[side] = 0;
                for (size_t i = 0; i < TEXTS * CLASSES; i++)
                    found[side] += (double)weight[i] * (double)logit[i];
                if (side == 0) CHECK_OK(gn__learner_backward(ctx, l, weight, gradient, &err), err);
                for (size_t i = 0; i < n && side == 0; i++)
                    square += (double)gradient[i] * (double)gradient[i];
            }
            double by = (found[2] - found[1]) / 4e-4 * sqrt(square);
            if (!(fabs(by - square) <= 0.01 * square))
                test_fail(__FILE__, __LINE__, "%s: %g by differences, %g by gradient", names[k], by, square);
            free(kept), free(gradient);
            gn__learner_free(l);
            gn_model_free(m);
        }
    gn_context_free(ctx);
}

/* bf16 keeps 8 digits in 2: the direction of the whole gradient stays. */
TEST(bf16_is_close)
{
    if (gn__best_dtype() != GN_DTYPE_BF16) test_skip("this processor has no fast bf16");
    for (size_t k = 0; k < MODELS; k++) {
        gn_tune_options tune = {.what = GN_TUNE_FULL};
        outcome a = step(models[k].folder, models[k].name, 2, tune, false, NULL, 0, TEXTS);
        tune.dtype = GN_DTYPE_BF16;
        outcome b = step(models[k].folder, models[k].name, 2, tune, false, NULL, 0, TEXTS);
        double ab = 0, aa = 0, bb = 0;
        for (size_t i = 0; i < a.n; i++) {
            ab += (double)a.gradient[i] * (double)b.gradient[i];
            aa += (double)a.gradient[i] * (double)a.gradient[i];
            bb += (double)b.gradient[i] * (double)b.gradient[i];
        }
        if (!(ab / sqrt(aa * bb) > 0.995) || !(fabs(sqrt(bb / aa) - 1) < 0.05))
            test_fail(__FILE__, __LINE__, "%s: cosine %g, length %g", models[k].name, ab / sqrt(aa * bb),
                      sqrt(bb / aa));
        free(a.gradient), free(b.gradient);
    }
}

/* What is planned is what is taken: recomputation and fewer trained layers take less. */
TEST(bytes_are_planned)
{
    gn_context *ctx = context(1);
    gn_model *m = load(ctx, "architecture", "gemma3_text");
    gn_tune_options full = {.what = GN_TUNE_FULL}, head = {.what = GN_TUNE_HEAD};
    gn__learner_options o = {.tune = &full, .classes = 2, .most_tokens = 4000, .most_texts = 10};
    size_t kept = gn__learner_bytes(m, &o, NULL);
    o.recompute = true;
    size_t again = gn__learner_bytes(m, &o, NULL);
    o.tune = &head;
    size_t least = gn__learner_bytes(m, &o, NULL);
    CHECK(kept > again && again > least && least > 0);
    const gn__recipe *r =
        &m->recipe; /* a tape's widths: q|k raw, q|k|v, level, mixed, 2 inside, sum, 2 inner */
    size_t q = r->heads * r->head_dim, kv = r->kv_heads * r->head_dim, rows = 4032;
    size_t tape = (q + kv) + (q + 2 * kv) + r->heads + q + 3 * r->dim + 2 * r->inner;
    CHECK_INT(kept - again, rows * tape * (r->layers - 1) * sizeof(float));
    gn_model_free(m);
    gn_context_free(ctx);
}
