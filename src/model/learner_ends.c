/* What stands before and behind a learner's layers, both ways: tokens to the first hidden states; final norm,
 * output projection and pooling; the classifier. */
#include "model/learner_parts.h"

/* ---- tokens to the first hidden states ------------------------------------------------------------ */

/* Position rows that are dim wide and come after the projection. */
static bool places_late(const gn__learner *l)
{
    return l->projection.weight != NULL && l->positions != NULL && l->r->add_projected;
}

static void add_row(const gn__weight *w, size_t row, size_t n, float *spare, float *x)
{
    const float *from = w->value ? w->value + row * n : spare;
    if (w->value == NULL) gn__tensor_read(w->source[0].tensor, row * n, n, spare);
    for (size_t j = 0; j < n; j++) x[j] += from[j];
}

static void embed_row(const gn__block *k, size_t row, float *x)
{
    const gn__learner *l = k->l;
    size_t n = l->r->embedding;
    float scale = l->r->embedding_scale;
    memset(x, 0, n * sizeof *x);
    if (row >= l->rows) return;
    add_row(l->words, (size_t)l->id[row], n, k->b->y, x);
    if (scale != 1)
        for (size_t j = 0; j < n; j++) x[j] *= scale;
    if (l->token_types != NULL) add_row(l->token_types, 0, n, k->b->y, x);
    if (l->positions != NULL && !places_late(l)) add_row(l->positions, l->place[row], n, k->b->y, x);
}

static void project(const gn__block *k, const float *embedded, float *hidden)
{
    gn__learner *l = k->l;
    size_t dim = l->r->dim;
    const gn__learnt_norm *norm = &l->embedding_norm;
    if (norm->gamma != NULL && !l->r->norm_projected) {
        gn__learner_norm(l, norm, k->b->h, embedded, GN__ROWS, l->r->embedding);
        embedded = k->b->h;
    }
    float *to = l->projected != NULL ? l->projected + k->row * dim : hidden;
    gn__learner_run(l, k->b, &l->projection, 0, GN__PRODUCTS, k->row, embedded, to);
    if (l->projected != NULL) gn__learner_norm(l, norm, hidden, to, GN__ROWS, dim);
    for (size_t i = 0; i < GN__ROWS && places_late(l) && k->row + i < l->rows; i++)
        add_row(l->positions, l->place[k->row + i], dim, k->b->y, hidden + i * dim);
}

void gn__learner_embed(const gn__block *k)
{
    gn__learner *l = k->l;
    size_t n = l->r->embedding;
    float *x = l->embedded + k->row * n, *hidden = l->tape[0].x + k->row * l->r->dim;
    for (size_t i = 0; i < GN__ROWS; i++) embed_row(k, k->row + i, x + i * n);
    /* The kernel maps pages around the one that is read, so a few hundred rows make a whole table resident.
     */
    if (l->words->value == NULL) gn__tensor_forget(l->words->source[0].tensor);
    if (l->projection.weight != NULL)
        project(k, x, hidden);
    else if (l->embedding_norm.gamma != NULL)
        gn__learner_norm(l, &l->embedding_norm, hidden, x, GN__ROWS, n);
    else
        memcpy(hidden, x, GN__ROWS * n * sizeof *x);
    gn__learner_drop(l, l->drop.embedding, gn__drop_place(GN__DROP_EMBEDDING, 0), k->row, hidden, l->r->dim);
}

/* ---- their way back ------------------------------------------------------------------------------- */

static void undrop(const gn__block *k, size_t layer)
{
    gn__learner *l = k->l;
    (void)layer;
    gn__learner_drop(l, l->drop.embedding, gn__drop_place(GN__DROP_EMBEDDING, 0), k->row,
                     l->wake.by_hidden + k->row * l->r->dim, l->r->dim);
}

/* Through norm and projection, from by_hidden to by_embedded. */
static void embedding_back(const gn__block *k, size_t layer)
{
    gn__learner *l = k->l;
    size_t n = l->r->embedding, dim = l->r->dim;
    const gn__learnt_norm *norm = &l->embedding_norm;
    const float *x = l->embedded + k->row * n;
    float *by = l->wake.by_embedded + k->row * n, *by_hidden = l->wake.by_hidden + k->row * dim;
    (void)layer;
    gn__learner_clear_slots(k);
    if (l->projection.weight == NULL) {
        memcpy(by, by_hidden, GN__ROWS * n * sizeof *by);
    } else {
        if (l->projected != NULL)
            gn__learner_norm_back(k, norm, 0, l->projected + k->row * dim, by_hidden, GN__ROWS, dim);
        gn__learner_run_back(l, k->b, &l->projection, 0, GN__PRODUCTS, k->row, NULL, by_hidden, by, NULL,
                             NULL, NULL);
    }
    if (norm->gamma == NULL || l->projected != NULL) return;
    if (l->wake.normed != NULL) gn__learner_norm(l, norm, l->wake.normed + k->row * n, x, GN__ROWS, n);
    gn__learner_norm_back(k, norm, 0, x, by, GN__ROWS, n);
}

enum { COLUMNS = 64 }; /* of a piece of the embeddings' gradients */

static void add_columns(float *to, const float *by, size_t begin, size_t end)
{
    for (size_t j = begin; j < end; j++) to[j] += by[j];
}

static void embed_back(void *arg, size_t begin, size_t end, unsigned worker)
{
    gn__learner *l = arg;
    size_t n = l->r->embedding;
    float *words = gn__gradient_of(l, l->words), *types = gn__gradient_of(l, l->token_types);
    float *positions = places_late(l) ? NULL : gn__gradient_of(l, l->positions);
    float scale = l->r->embedding_scale;
    (void)worker;
    for (size_t row = 0; row < l->rows; row++) {
        const float *by = l->wake.by_embedded + row * n;
        float *word = words + (size_t)l->id[row] * n;
        for (size_t j = begin; j < end; j++) word[j] += by[j] * scale;
        if (types != NULL) add_columns(types, by, begin, end);
        if (positions != NULL) add_columns(positions + (size_t)l->place[row] * n, by, begin, end);
    }
}

static void late_back(void *arg, size_t begin, size_t end, unsigned worker)
{
    gn__learner *l = arg;
    size_t dim = l->r->dim;
    float *positions = gn__gradient_of(l, l->positions);
    (void)worker;
    for (size_t row = 0; row < l->rows; row++)
        add_columns(positions + (size_t)l->place[row] * dim, l->wake.by_hidden + row * dim, begin, end);
}

gn_status gn__learner_embeddings_back(gn_context *ctx, gn__learner *l, gn_error *err)
{
    GN__TRY(gn__learner_blocks(ctx, l, l->padded, undrop, err));
    if (places_late(l)) GN__TRY(gn__parallel_for(ctx, l->r->dim, COLUMNS, late_back, l, err));
    GN__TRY(gn__learner_blocks(ctx, l, l->padded, embedding_back, err));
    gn__learner_sum_norm(l, &l->embedding_norm, 0, l->padded);
    if (l->projection.weight != NULL) {
        gn__weighing t = {.l = l};
        gn__learner_weigh_linear(&t, &l->projection, &l->outer_projection, l->wake.by_hidden,
                                 l->wake.normed != NULL ? l->wake.normed : l->embedded, l->padded,
                                 (gn__adapted){0});
        GN__TRY(gn__learner_weigh(ctx, &t, err));
    }
    return gn__parallel_for(ctx, l->r->embedding, COLUMNS, embed_back, l, err);
}

/* ---- behind the layers ---------------------------------------------------------------------------- */

void gn__learner_finish(const gn__block *k)
{
    gn__learner *l = k->l;
    size_t dim = l->r->dim;
    const float *x = l->tape[l->r->layers].x + k->row * dim;
    float *last = l->last + k->row * l->r->output;
    bool projects = l->output.weight != NULL;
    if (l->final_norm.gamma != NULL) {
        float *to = projects ? k->b->h : last;
        gn__learner_norm(l, &l->final_norm, to, x, GN__ROWS, dim);
        x = to;
    }
    if (projects)
        gn__learner_run(l, k->b, &l->output, 0, GN__PRODUCTS, k->row, x, last);
    else if (x != last)
        memcpy(last, x, GN__ROWS * dim * sizeof *x);
    gn__learner_drop(l, l->drop.last, gn__drop_place(GN__DROP_LAST, 0), k->row, last, l->r->output);
}

static float *by_last_of(const gn__learner *l)
{
    return l->wake.by_last != NULL ? l->wake.by_last : l->wake.by_hidden;
}

static void finish_back(const gn__block *k, size_t layer)
{
    gn__learner *l = k->l;
    const gn__wake *w = &l->wake;
    size_t dim = l->r->dim;
    const float *x = l->tape[layer].x + k->row * dim;
    float *by = w->by_hidden + k->row * dim;
    gn__learner_clear_slots(k);
    gn__learner_drop(l, l->drop.last, gn__drop_place(GN__DROP_LAST, 0), k->row,
                     by_last_of(l) + k->row * l->r->output, l->r->output);
    if (l->output.weight != NULL)
        gn__learner_run_back(l, k->b, &l->output, 0, GN__PRODUCTS, k->row, NULL,
                             w->by_last + k->row * l->r->output, by, NULL, NULL, NULL);
    if (w->normed_last != NULL)
        gn__learner_norm(l, &l->final_norm, w->normed_last + k->row * dim, x, GN__ROWS, dim);
    if (l->final_norm.gamma != NULL) gn__learner_norm_back(k, &l->final_norm, 0, x, by, GN__ROWS, dim);
}

static void pool_back(void *arg, size_t begin, size_t end, unsigned worker)
{
    gn__learner *l = arg;
    for (size_t s = begin; s < end; s++)
        gn__learner_pool_back(l, s, &l->bench[worker], by_last_of(l) + l->first[s] * l->r->output);
}

gn_status gn__learner_top_back(gn_context *ctx, gn__learner *l, gn_error *err)
{
    const gn__recipe *r = l->r;
    bool steps = false;
    for (size_t i = 0; i < l->head.steps; i++)
        steps = steps || (l->step_weight[i] != NULL && l->step_weight[i]->trained);
    /* Trained steps add up over texts, in their order. */
    GN__TRY(gn__parallel_for(ctx, l->texts, steps ? l->texts : 1, pool_back, l, err));
    memset(by_last_of(l) + l->rows * r->output, 0, (l->padded - l->rows) * r->output * sizeof(float));
    l->current = r->layers;
    if (l->final_norm.gamma == NULL && l->output.weight == NULL && !(l->drop.last > 0)) return GN_OK;
    GN__TRY(gn__learner_blocks(ctx, l, l->padded, finish_back, err));
    gn__learner_sum_norm(l, &l->final_norm, 0, l->padded);
    if (l->output.weight == NULL) return GN_OK;
    gn__weighing t = {.l = l};
    gn__learner_weigh_linear(&t, &l->output, &l->outer_output, l->wake.by_last,
                             l->wake.normed_last != NULL ? l->wake.normed_last : l->tape[r->layers].x,
                             l->padded, (gn__adapted){0});
    return gn__learner_weigh(ctx, &t, err);
}

void gn__learner_head_back(gn__learner *l)
{
    size_t n = l->m->info.dim, C = l->classes;
    const float *w = l->head_weight->value;
    float *by_weight = gn__gradient_of(l, l->head_weight), *by_bias = gn__gradient_of(l, l->head_bias);
    memset(l->by_pooled, 0, l->texts * n * sizeof *l->by_pooled);
    for (size_t s = 0; s < l->texts; s++)
        for (size_t c = 0; c < C; c++) {
            float g = l->by_logit[s * C + c], *by = l->by_pooled + s * n;
            by_bias[c] += g;
            for (size_t j = 0; j < n; j++) {
                by_weight[c * n + j] += g * l->pooled[s * n + j];
                by[j] += g * w[c * n + j];
            }
        }
}
