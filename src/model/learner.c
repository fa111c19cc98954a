/* Making a learner: its buffers, its linear layers, one bench a thread. */
#include "model/learner_parts.h"

static size_t whole_blocks(size_t rows)
{
    return (rows + GN__ROWS - 1) / GN__ROWS * GN__ROWS;
}

/* A buffer that the learner owns; 64-byte aligned, zeroed (rows that pad a block must hold numbers). NULL: no
 * memory. */
static float *own(gn__learner *l, size_t rows, size_t cols)
{
    size_t n;
    float *x = gn__mul_size(rows, cols ? cols : 1, &n) ? gn__aligned(n, sizeof *x) : NULL;
    if (x != NULL) memset(x, 0, n * sizeof *x);
    return l->owned[l->owns++] = x;
}

/* ---- sizes ------------------------------------------------------------------------------------------- */

static size_t triple_of(const gn__recipe *r)
{
    return (r->heads + 2 * r->kv_heads) * r->head_dim;
}

static size_t inner_of(const gn__recipe *r)
{
    return r->gated ? 2 * r->inner : r->inner;
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* ---- linear layers ------------------------------------------------------------------------------------- */

static gn_status make_linear(gn__learner *l, gn__learnt_linear *x, bool back, gn_error *err)
{
    const float one = 1; /* stands for "there is a bias" */
    gn__engine *engine = l->m->engine;
    GN__TRY(gn__linear_create(engine, NULL, x->bias ? &one : NULL, x->inputs, x->outputs, false,
                              l->tune.dtype, &x->there, err));
    if (!back) return GN_OK;
    return gn__linear_create(engine, NULL, NULL, x->outputs, x->inputs, false, l->tune.dtype, &x->back, err);
}

/* Is the way back asked for below this stored layer's products? */
static bool goes_back(const gn__learner *l, size_t stored)
{
    const gn__recipe *r = l->r;
    for (size_t i = l->lowest; i < r->layers; i++)
        if (i * r->stored / r->layers == stored) return true;
    return false;
}

static gn_status make_linears(gn__learner *l, gn_error *err)
{
    if (l->projection.weight != NULL) GN__TRY(make_linear(l, &l->projection, l->embeds, err));
    for (size_t i = 0; i < l->r->stored; i++)
        for (int k = 0; k < GN__PRODUCTS; k++)
            GN__TRY(make_linear(l, &l->layer[i].linear[k], goes_back(l, i), err));
    return GN_OK;
}

static gn_status make_outer(gn__learner *l, const gn__learnt_linear *x, gn__outer **out, gn_error *err)
{
    return gn__outer_create(l->m->engine, x->outputs, x->outputs, x->inputs, x->inputs, GN_DTYPE_F32, out,
                            err);
}

static gn_status make_outers(gn__learner *l, gn_error *err)
{
    bool any = false;
    for (size_t i = 0; i < l->r->stored; i++) any = any || l->layer[i].trained;
    for (int k = 0; k < GN__PRODUCTS && any; k++)
        GN__TRY(make_outer(l, &l->layer[0].linear[k], &l->outer[k], err));
    if (l->projection.weight != NULL && l->embeds)
        GN__TRY(make_outer(l, &l->projection, &l->outer_projection, err));
    return GN_OK;
}

/* ---- buffers ------------------------------------------------------------------------------------------- */

static bool has_norm(const gn__learner *l, gn__norm_place place)
{
    return l->r->names->norm[place] != NULL;
}

static void make_tape(gn__learner *l, gn__tape *t)
{
    const gn__recipe *r = l->r;
    size_t rows = l->capacity_rows, q = r->heads * r->head_dim;
    if (r->names->query_norm != NULL) t->raw = own(l, rows, q + r->kv_heads * r->head_dim);
    t->triple = own(l, rows, triple_of(r));
    t->level = own(l, rows, r->heads);
    t->mixed = own(l, rows, q);
    if (has_norm(l, GN__ATTENTION_INSIDE)) t->inside[0] = own(l, rows, r->dim);
    if (has_norm(l, GN__MLP_INSIDE)) t->inside[1] = own(l, rows, r->dim);
    t->sum[0] = own(l, rows, r->dim);
    if (has_norm(l, GN__MLP_POST)) t->sum[1] = own(l, rows, r->dim);
    t->u = own(l, rows, inner_of(r));
}

/* Layers below the lowest share one tape, whose inputs take turns. */
static void make_tapes(gn__learner *l)
{
    const gn__recipe *r = l->r;
    gn__tape shared = {0};
    float *turn[2] = {NULL};
    if (l->lowest > 0) {
        make_tape(l, &shared);
        turn[0] = own(l, l->capacity_rows, r->dim);
        turn[1] = own(l, l->capacity_rows, r->dim);
    }
    for (size_t i = 0; i <= r->layers; i++) {
        if (i < l->lowest) {
            l->tape[i] = shared;
            l->tape[i].x = turn[i % 2];
            continue;
        }
        if (i < r->layers) make_tape(l, &l->tape[i]);
        l->tape[i].x = own(l, l->capacity_rows, r->dim);
    }
}

static void make_wake(gn__learner *l)
{
    const gn__recipe *r = l->r;
    gn__wake *w = &l->wake;
    size_t rows = l->capacity_rows, q = r->heads * r->head_dim;
    w->by_hidden = own(l, rows, r->dim);
    if (l->lowest == r->layers) return;
    w->by_out = own(l, rows, r->dim);
    w->by_mlp_out = own(l, rows, r->dim);
    w->by_u = own(l, rows, inner_of(r));
    w->a = own(l, rows, r->inner);
    w->m = own(l, rows, r->dim);
    w->n = own(l, rows, r->dim);
    w->by_mixed = own(l, rows, q);
    w->by_triple = own(l, rows, triple_of(r));
    if (l->embeds) {
        w->by_embedded = own(l, rows, r->embedding);
        if (l->projection.weight != NULL) w->normed = own(l, rows, r->embedding);
    }
    w->partial_width = 2 * (GN__NORM_PLACES * most(r->dim, r->embedding) + 2 * r->head_dim);
    w->partial = own(l, rows / GN__ROWS, w->partial_width);
}

static gn_status make_buffers(gn__learner *l, gn_error *err)
{
    const gn__recipe *r = l->r;
    size_t rows = l->capacity_rows;
    l->embedded = own(l, rows, r->embedding);
    make_tapes(l);
    l->last = own(l, rows, r->dim);
    l->pooled = own(l, l->most_texts, l->m->info.dim);
    l->by_pooled = own(l, l->most_texts, l->m->info.dim);
    l->zeros = own(l, 1, most(r->dim, r->embedding));
    make_wake(l);
    l->id = gn__calloc(rows, sizeof *l->id);
    l->place = gn__calloc(rows, sizeof *l->place);
    l->at = gn__calloc(rows, sizeof *l->at);
    l->text = gn__calloc(rows, sizeof *l->text);
    l->first = gn__calloc(l->most_texts + 1, sizeof *l->first);
    bool good = l->id && l->place && l->at && l->text && l->first;
    for (size_t i = 0; i < l->owns; i++) good = good && l->owned[i] != NULL;
    if (!good) return gn__no_memory(err, rows * r->dim * r->layers * sizeof(float));
    return gn__positions_create(l->m, l->longest, &l->places, err);
}

static gn_status make_bench(gn__learner *l, gn__bench *b, gn_error *err)
{
    const gn__recipe *r = l->r;
    const gn__linear *all[2 * GN__PRODUCTS + 2];
    size_t count = 0, dim = most(r->dim, r->embedding), outer = 64;
    const gn__learnt_layer *top = &l->layer[r->stored - 1]; /* which has all that the others have */
    for (int k = 0; k < GN__PRODUCTS; k++) {
        all[count++] = top->linear[k].there;
        if (top->linear[k].back != NULL) all[count++] = top->linear[k].back;
        if (l->outer[k] != NULL) outer = most(outer, gn__outer_scratch(l->outer[k]));
    }
    if (l->projection.there != NULL) all[count++] = l->projection.there;
    if (l->projection.back != NULL) all[count++] = l->projection.back;
    if (l->outer_projection != NULL) outer = most(outer, gn__outer_scratch(l->outer_projection));
    size_t wide = most(most(inner_of(r), dim), triple_of(r));
    b->y = gn__aligned(GN__ROWS * dim, sizeof *b->y);
    b->h = gn__aligned(GN__ROWS * dim, sizeof *b->h);
    b->m = gn__aligned(GN__ROWS * dim, sizeof *b->m);
    b->wide = gn__aligned(GN__ROWS * wide, sizeof *b->wide);
    b->attention = gn__aligned(gn__attending_scratch(l->longest, r->head_dim, 2 * r->span), sizeof(float));
    b->pool = gn__aligned(gn__learner_pool_scratch(l), sizeof *b->pool);
    b->outer = gn__aligned(outer, 1);
    if (!b->y || !b->h || !b->m || !b->wide || !b->attention || !b->pool || !b->outer)
        return gn__no_memory(err, GN__ROWS * (3 * dim + wide) * sizeof(float));
    return gn__lane_create(l->m->engine, all, count, &b->lane, err);
}

/* ---- the whole -------------------------------------------------------------------------------------------
 */

static gn_status set_up(gn_context *ctx, gn__learner *l, gn_error *err)
{
    enum { OWN = 40, OWN_OF_LAYER = 12 };
    l->owned = gn__calloc(OWN + OWN_OF_LAYER * (l->r->layers + 1), sizeof *l->owned);
    l->tape = gn__calloc(l->r->layers + 1, sizeof *l->tape);
    l->bench = gn__calloc(l->threads, sizeof *l->bench);
    if (l->owned == NULL || l->tape == NULL || l->bench == NULL)
        return gn__no_memory(err, l->r->layers * sizeof *l->tape);
    GN__TRY(gn__learner_bind(ctx, l, err));
    GN__TRY(make_linears(l, err));
    GN__TRY(make_outers(l, err));
    GN__TRY(make_buffers(l, err));
    for (unsigned i = 0; i < l->threads; i++) GN__TRY(make_bench(l, &l->bench[i], err));
    return gn__learner_pack(ctx, l, true, err);
}

gn_status gn__learner_create(gn_context *ctx, const gn_model *m, const gn__learner_options *options,
                             gn__learner **out, gn_error *err)
{
    if (m->control != NULL || m->endpoint != NULL)
        return gn__fail(err, GN_UNSUPPORTED, "%s has no weights that could be trained", m->info.name);
    gn__learner *l = gn__calloc(1, sizeof *l);
    if (l == NULL) return gn__no_memory(err, sizeof *l);
    l->m = m;
    l->r = &m->recipe;
    l->ops = gn__cpu_ops();
    l->back = gn__cpu_gradients();
    l->tune = *options->tune;
    if (l->tune.dtype != GN_DTYPE_BF16) l->tune.dtype = GN_DTYPE_F32;
    l->classes = (size_t)options->classes;
    l->most_tokens = options->most_tokens;
    l->most_texts = options->most_texts;
    l->recompute = options->recompute;
    l->longest =
        m->info.max_length && m->info.max_length < l->most_tokens ? m->info.max_length : l->most_tokens;
    l->capacity_rows = whole_blocks(l->most_tokens);
    l->threads = gn_context_threads(ctx);
    gn_status status = set_up(ctx, l, err);
    if (status != GN_OK) {
        gn__learner_free(l);
        return status;
    }
    *out = l;
    return GN_OK;
}

static void free_linear(gn__learnt_linear *x)
{
    gn__linear_free(x->there);
    gn__linear_free(x->back);
}

void gn__learner_free(gn__learner *l)
{
    if (l == NULL) return;
    for (size_t i = 0; i < l->r->stored && l->layer != NULL; i++)
        for (int k = 0; k < GN__PRODUCTS; k++) free_linear(&l->layer[i].linear[k]);
    free_linear(&l->projection);
    for (int k = 0; k < GN__PRODUCTS; k++) gn__outer_free(l->outer[k]);
    gn__outer_free(l->outer_projection);
    for (unsigned i = 0; i < l->threads && l->bench != NULL; i++) {
        gn__bench *b = &l->bench[i];
        gn__lane_free(b->lane);
        free(b->y), free(b->h), free(b->m), free(b->wide), free(b->attention), free(b->pool), free(b->outer);
    }
    for (size_t i = 0; i < l->owns; i++) free(l->owned[i]);
    gn__positions_free(&l->places);
    free(l->weight), free(l->layer), free(l->told), free(l->values);
    free(l->tape), free(l->bench), free(l->owned);
    free(l->id), free(l->place), free(l->at), free(l->text), free(l->first);
    free(l);
}

size_t gn__learner_trained(const gn__learner *l)
{
    return l->trained;
}

const gn__parameter *gn__learner_parameters(const gn__learner *l, size_t *count)
{
    *count = l->parameters;
    return l->told;
}

float *gn__learner_values(gn__learner *l)
{
    return l->values;
}

const float *gn__learner_beta(const gn__learner *l, const gn__learnt_norm *n)
{
    return n->beta != NULL ? n->beta->value : l->zeros;
}
