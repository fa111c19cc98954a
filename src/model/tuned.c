/* What a finished training leaves: a model that answers, and how far its weights went. */
#include "model/tuned.h"

#include "model/trained_names.h"

#include <math.h>

void gn_tuned_free(gn_tuned *t)
{
    if (t == NULL) return;
    gn__learner_free(t->learner);
    free(t->stats.step_loss);
    free(t->stats.point);
    free(t->stats.layer_change);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

const gn_tune_stats *gn_tuned_stats(const gn_tuned *t)
{
    return &t->stats;
}

bool gn__tuned_plain_classifier(const gn_model *m)
{
    return m->recipe.causal && m->head.poolings == 1 && m->head.pooling[0] == GN_POOLING_LAST &&
           m->head.steps == 0;
}

/* ---- answers --------------------------------------------------------------------------------------------
 */

/* A text may be longer than any that was trained on: then a learner that holds it takes over the weights. */
static gn_status make_room(gn_context *ctx, gn_tuned *t, size_t tokens, gn_error *err)
{
    if (tokens <= t->plan.most_tokens) return GN_OK;
    gn__learner *wider;
    gn__learner_options o = {.tune = &t->options,
                             .classes = t->classes,
                             .most_tokens = tokens,
                             .most_texts = t->plan.most_texts,
                             .recompute = true};
    GN__TRY(gn__learner_create(ctx, t->m, &o, &wider, err));
    memcpy(gn__learner_values(wider), gn__learner_values(t->learner),
           gn__learner_trained(t->learner) * sizeof(float));
    gn_status status = gn__learner_refresh(ctx, wider, err);
    if (status != GN_OK) {
        gn__learner_free(wider);
        return status;
    }
    gn__learner_free(t->learner);
    t->learner = wider;
    t->plan.most_tokens = tokens;
    t->plan.recompute = true;
    return GN_OK;
}

static void softmax(const float *logit, int classes, float *out)
{
    for (int k = 0; k < classes; k++) out[k] = (float)exp(-gn__softmax_loss(logit, classes, k, 0, NULL));
}

/* What is computed for a call. */
typedef struct answers {
    float *probability, *embedding; /* either may be NULL */
    size_t dim;
    int classes;
} answers;

static gn_status answer(gn_context *ctx, gn_tuned *t, const gn__texts *texts, const answers *a, gn_error *err)
{
    size_t most = t->plan.most_texts, n = texts->count;
    size_t classes = (size_t)a->classes;
    gn__sequence *sequence = gn__calloc(most, sizeof *sequence);
    uint32_t *row = gn__calloc(n, sizeof *row);
    float *logits = gn__calloc(most * classes, sizeof *logits);
    gn_status status = sequence && row && logits ? make_room(ctx, t, texts->longest, err)
                                                 : gn__no_memory(err, most * classes * sizeof *logits);
    for (size_t i = 0; i < n && row != NULL; i++) row[i] = (uint32_t)i;
    for (size_t done = 0, some; done < n && status == GN_OK; done += some) {
        some = gn__pass_rows(texts, row + done, n - done, t->plan.most_tokens, most, NULL);
        for (size_t i = 0; i < some; i++) sequence[i] = texts->sequence[done + i];
        status = gn__learner_forward(ctx, t->learner, sequence, some, NULL, logits,
                                     a->embedding ? a->embedding + done * a->dim : NULL, err);
        for (size_t i = 0; i < some && a->probability != NULL && status == GN_OK; i++)
            softmax(logits + i * classes, a->classes, a->probability + (done + i) * classes);
    }
    free(sequence);
    free(row);
    free(logits);
    return status;
}

gn_status gn_tuned_apply(gn_context *ctx, const gn_tuned *t, const char *const *text, const uint32_t *length,
                         size_t texts, float *probability, gn_matrix *embedding, gn_error *err)
{
    gn_tuned *inside = (gn_tuned *)(uintptr_t)t; /* only what the lock guards is changed */
    gn__texts ids = {0};
    gn_matrix rows = {0};
    if (texts >= UINT32_MAX)
        return gn__fail(err, GN_INVALID_ARGUMENT, "more than %u texts in one call", UINT32_MAX - 1);
    gn_status status = gn__texts_make(ctx, t->m, text, length, texts, &ids, err);
    if (status == GN_OK && embedding != NULL) status = gn_matrix_create(texts, t->m->info.dim, &rows, err);
    if (status == GN_OK) {
        answers a = {probability, rows.data, t->m->info.dim, t->classes};
        pthread_mutex_lock(&inside->lock);
        status = answer(ctx, inside, &ids, &a, err);
        pthread_mutex_unlock(&inside->lock);
    }
    gn__texts_free(&ids);
    if (status == GN_OK && embedding != NULL)
        *embedding = rows;
    else
        gn_matrix_free(&rows);
    return status;
}

/* ---- how far the weights went
 * ------------------------------------------------------------------------------ */

typedef struct distances {
    gn_context *ctx;
    const gn_model *m;
    double *before, *change; /* [layers + 2] sums of squares */
} distances;

enum { PART = 4096, KEPT = 256 }; /* numbers read at once; parts until the file's pages are given back */

/* Numbers [at, at + the count that is returned) of a tensor of the model's file, which stays out of memory
 * but for the last few parts. */
static size_t read_part(const gn__tensor *t, size_t at, float out[PART])
{
    size_t n = t->elements - at < PART ? t->elements - at : (size_t)PART;
    gn__tensor_read(t, at, n, out);
    if (at + n == t->elements || at / PART % KEPT == KEPT - 1) gn__tensor_forget(t);
    return n;
}

static gn_status add_change(void *arg, const char *name, const size_t *shape, size_t dims, const float *value,
                            gn_error *err)
{
    const distances *d = arg;
    const gn__tensor *t = gn__weights_find(&d->m->weights, name);
    float old[PART];
    double sum = 0;
    (void)shape, (void)dims;
    if (t == NULL) return GN_OK; /* a module behind the pooling lies in a file of its own */
    for (size_t at = 0; at < t->elements; at += PART) {
        size_t n = read_part(t, at, old);
        for (size_t i = 0; i < n; i++) {
            double x = (double)value[at + i] - (double)old[i];
            sum += x * x;
        }
    }
    d->change[gn__tensor_place(d->m, name)] += sum;
    return gn__check_cancel(d->ctx, err);
}

static gn_status add_before(const distances *d, gn_error *err)
{
    float old[PART];
    for (size_t k = 0; k < d->m->weights.tensors; k++) {
        const gn__tensor *t = &d->m->weights.tensor[k];
        double sum = 0;
        if (t->type == GN__WEIGHT_OTHER || gn__tensor_unused(d->m, t->name)) continue;
        for (size_t at = 0; at < t->elements; at += PART) {
            size_t n = read_part(t, at, old);
            for (size_t i = 0; i < n; i++) sum += (double)old[i] * (double)old[i];
        }
        d->before[gn__tensor_place(d->m, t->name)] += sum;
        GN__TRY(gn__check_cancel(d->ctx, err));
    }
    return GN_OK;
}

/* Element (i, j) of the Gram matrix of n vectors' components, which lie `step` apart, vectors `stride`. */
static double gram(const float *x, size_t i, size_t j, size_t n, size_t stride, size_t step)
{
    double sum = 0;
    for (size_t k = 0; k < n; k++) sum += (double)x[i * step + k * stride] * (double)x[j * step + k * stride];
    return sum;
}

/* ‖B A‖² = Σ (BᵀB)ᵢⱼ (A Aᵀ)ᵢⱼ; a: [rank × inputs], b: [outputs × rank]. */
static double product_norm(const float *a, const float *b, size_t rank, size_t inputs, size_t outputs)
{
    double sum = 0;
    for (size_t i = 0; i < rank; i++)
        for (size_t j = 0; j <= i; j++)
            sum += (i == j ? 1 : 2) * gram(a, i, j, inputs, 1, inputs) * gram(b, i, j, outputs, rank, 1);
    return sum;
}

static gn_status add_adapters(const distances *d, gn_tuned *t, gn_error *err)
{
    size_t count;
    const gn__parameter *p = gn__learner_parameters(t->learner, &count);
    const float *value = gn__learner_values(t->learner);
    double scale = t->options.lora_alpha / (double)t->options.lora_rank;
    for (size_t i = 0; i + 1 < count; i++) {
        if (!gn__is_adapter(&p[i], &p[i + 1])) continue;
        d->change[1 + p[i].layer] +=
            scale * scale *
            product_norm(value + p[i].offset, value + p[i + 1].offset, p[i].rows, p[i].cols, p[i + 1].rows);
        GN__TRY(gn__check_cancel(d->ctx, err));
    }
    return GN_OK;
}

gn_status gn__tuned_measure(gn_context *ctx, gn_tuned *t, gn_error *err)
{
    size_t n = t->m->recipe.stored + 2;
    distances d = {ctx, t->m, gn__calloc(n, sizeof *d.before), gn__calloc(n, sizeof *d.change)};
    gn_status status = d.before && d.change ? add_before(&d, err) : gn__no_memory(err, n * sizeof *d.before);
    if (status == GN_OK && t->options.what == GN_TUNE_LORA) status = add_adapters(&d, t, err);
    if (status == GN_OK && (t->options.what == GN_TUNE_FULL || t->options.what == GN_TUNE_LAST_K))
        status = gn__learner_export(t->learner, add_change, &d, err);
    for (size_t i = 0; i < n && status == GN_OK; i++)
        d.change[i] = d.before[i] > 0 ? sqrt(d.change[i] / d.before[i]) : 0;
    free(d.before);
    if (status != GN_OK) {
        free(d.change);
        return status;
    }
    t->stats.layer_change = d.change;
    t->stats.layer_changes = n;
    return GN_OK;
}
