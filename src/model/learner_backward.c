/* The way back over the tape, layer by layer: blocks from the layer's end to attention, attention by texts
 * and kv_heads, blocks to the layer's start, then the weights' gradients, each piece of which sums over all
 * rows in their order. */
#include "model/learner_parts.h"

typedef struct block {
    gn__learner *l;
    gn__bench *b;
    size_t row; /* first */
} block;

static const gn__learnt_layer *layer_of(const gn__learner *l, size_t i)
{
    return &l->layer[i * l->r->stored / l->r->layers];
}

/* ---- norms: each block leaves a sum, which are added up in their order -----------------------------------
 */

/* Slots of a block's partial sums: gamma and beta of each. */
enum { QUERY_SLOT = GN__NORM_PLACES, KEY_SLOT, SLOTS };

static float *slot_of(const gn__learner *l, size_t row, int slot, bool beta)
{
    size_t dim = l->r->dim > l->r->embedding ? l->r->dim : l->r->embedding,
           at = slot < GN__NORM_PLACES
                    ? (size_t)slot * 2 * dim
                    : GN__NORM_PLACES * 2 * dim + (size_t)(slot - QUERY_SLOT) * 2 * l->r->head_dim;
    at += beta ? (slot < GN__NORM_PLACES ? dim : l->r->head_dim) : 0;
    return l->wake.partial + row / GN__ROWS * l->wake.partial_width + at;
}

/* by: of the norm's output, becomes of its input x. */
static void norm_back(const block *k, const gn__learnt_norm *n, int slot, const float *x, float *by,
                      size_t rows, size_t cols)
{
    const gn__learner *l = k->l;
    l->back->norm_back(&(gn__norm_back){
        .x = x,
        .by_y = by,
        .gamma = n->gamma->value,
        .centred = l->r->norm == GN__NORM_LAYER,
        .by_x = by,
        .by_gamma = n->gamma->trained ? slot_of(l, k->row, slot, false) : NULL,
        .by_beta = n->beta != NULL && n->beta->trained ? slot_of(l, k->row, slot, true) : NULL,
        .rows = rows,
        .cols = cols,
        .eps = l->r->eps});
}

static void sum_slot(const gn__learner *l, const gn__weight *w, int slot, bool beta)
{
    float *out = gn__gradient_of(l, w);
    if (out == NULL) return;
    for (size_t row = 0; row < l->padded; row += GN__ROWS) {
        const float *part = slot_of(l, row, slot, beta);
        for (size_t j = 0; j < w->told.cols; j++) out[j] += part[j];
    }
}

/* ---- from a layer's end to attention
 * ----------------------------------------------------------------------- */

static void run_back(const block *k, const gn__learnt_linear *x, const float *by_y, float *by_x)
{
    if (!gn__linear_run(x->back, k->b->lane, by_y, by_x)) atomic_store(&k->l->failed, true);
}

static void add_to(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] += x[i];
}

static void to_attention(const block *k, size_t i)
{
    gn__learner *l = k->l;
    const gn__recipe *r = l->r;
    const gn__learnt_layer *y = layer_of(l, i);
    const gn__tape *t = &l->tape[i];
    const gn__wake *w = &l->wake;
    size_t at = k->row * r->dim, n = GN__ROWS * r->dim, inner = r->gated ? 2 * r->inner : r->inner;
    float *by = w->by_hidden + at, *by_mlp_out = w->by_mlp_out + at, *by_out = w->by_out + at;
    float *by_u = w->by_u + k->row * inner, *a = w->a + k->row * r->inner, *by_m = k->b->y;
    const float *u = t->u + k->row * inner, *state, *base, *input;
    memset(w->partial + k->row / GN__ROWS * w->partial_width, 0, w->partial_width * sizeof *w->partial);
    if (y->norm[GN__MLP_POST].gamma != NULL)
        norm_back(k, &y->norm[GN__MLP_POST], GN__MLP_POST, t->sum[1] + at, by, GN__ROWS, r->dim);
    memcpy(by_mlp_out, by, n * sizeof *by);
    if (y->norm[GN__MLP_INSIDE].gamma != NULL)
        norm_back(k, &y->norm[GN__MLP_INSIDE], GN__MLP_INSIDE, t->inside[1] + at, by_mlp_out, GN__ROWS,
                  r->dim);
    run_back(k, &y->linear[GN__MLP_OUT], by_mlp_out, k->b->wide);
    if (r->gated)
        l->back->gate_back(r->activation, u, k->b->wide, by_u, a, GN__ROWS, r->inner);
    else
        l->back->activation_back(r->activation, u, k->b->wide, by_u, a, GN__ROWS * r->inner);
    run_back(k, &y->linear[GN__MLP_IN], by_u, by_m);
    gn__learner_mlp_input(l, i, k->row, k->b->h, w->m + at, &state, &base, &input);
    if (input != w->m + at) memcpy(w->m + at, input, n * sizeof *input);
    if (base != NULL) norm_back(k, &y->norm[GN__MLP_BEFORE], GN__MLP_BEFORE, base, by_m, GN__ROWS, r->dim);
    bool aside = base != NULL && r->parallel; /* the MLP takes the layer's input */
    if (!aside) add_to(by, by_m, n);
    if (y->norm[GN__ATTENTION_POST].gamma != NULL)
        norm_back(k, &y->norm[GN__ATTENTION_POST], GN__ATTENTION_POST, t->sum[0] + at, by, GN__ROWS, r->dim);
    memcpy(by_out, by, n * sizeof *by);
    if (aside) add_to(by, by_m, n);
    if (y->norm[GN__ATTENTION_INSIDE].gamma != NULL)
        norm_back(k, &y->norm[GN__ATTENTION_INSIDE], GN__ATTENTION_INSIDE, t->inside[0] + at, by_out,
                  GN__ROWS, r->dim);
    run_back(k, &y->linear[GN__OUT], by_out, w->by_mixed + k->row * r->heads * r->head_dim);
}

/* ---- attention
 * ----------------------------------------------------------------------------------------------- */

static void attend_back(void *arg, size_t begin, size_t end, unsigned worker)
{
    gn__learner *l = arg;
    const gn__recipe *r = l->r;
    size_t q = r->heads * r->head_dim, kv = r->kv_heads * r->head_dim;
    for (size_t piece = begin; piece < end; piece++) {
        size_t text = piece / r->kv_heads, row = l->first[text];
        gn__attending a;
        gn__learner_attending(l, l->current, text, &l->bench[worker], &a);
        a.by_out = l->wake.by_mixed + row * q;
        a.by_q = l->wake.by_triple + row * (q + 2 * kv);
        a.by_k = a.by_q + q;
        a.by_v = a.by_k + kv;
        l->back->attend_back(&a, piece % r->kv_heads);
    }
}

/* ---- from attention to a layer's start --------------------------------------------------------------------
 */

static void to_start(const block *k, size_t i)
{
    gn__learner *l = k->l;
    const gn__recipe *r = l->r;
    const gn__learnt_layer *y = layer_of(l, i);
    const gn__tape *t = &l->tape[i];
    const gn__wake *w = &l->wake;
    size_t at = k->row * r->dim, n = GN__ROWS * r->dim;
    size_t q = r->heads * r->head_dim, kv = r->kv_heads * r->head_dim, width = q + 2 * kv;
    int local = r->local[i];
    size_t pairs = r->rotary[local].pairs;
    float *by = w->by_triple + k->row * width;
    const float *x = t->x + at;
    for (size_t row = k->row; row < k->row + GN__ROWS && row < l->rows; row++) {
        float *by_row = w->by_triple + row * width;
        size_t turn = l->at[row] * pairs;
        if (pairs > 0)
            l->back->rotate_back(by_row, l->places.cosine[local] + turn, l->places.sine[local] + turn,
                                 r->heads + r->kv_heads, r->head_dim, pairs);
        if (y->query_norm.gamma == NULL) continue;
        norm_back(k, &y->query_norm, QUERY_SLOT, t->raw + row * (q + kv), by_row, r->heads, r->head_dim);
        norm_back(k, &y->key_norm, KEY_SLOT, t->raw + row * (q + kv) + q, by_row + q, r->kv_heads,
                  r->head_dim);
    }
    run_back(k, &y->linear[GN__QKV], by, k->b->y);
    const gn__learnt_norm *norm = &y->norm[GN__ATTENTION_BEFORE];
    if (norm->gamma != NULL) {
        if (r->norm == GN__NORM_LAYER)
            l->ops->layer_norm(w->n + at, x, norm->gamma->value, gn__learner_beta(l, norm), GN__ROWS, r->dim,
                               r->eps);
        else
            l->ops->rms_norm(w->n + at, x, norm->gamma->value, GN__ROWS, r->dim, r->eps);
        norm_back(k, norm, GN__ATTENTION_BEFORE, x, k->b->y, GN__ROWS, r->dim);
    } else {
        memcpy(w->n + at, x, n * sizeof *x);
    }
    add_to(w->by_hidden + at, k->b->y, n);
}

typedef void (*stage)(const block *k, size_t layer);

typedef struct blocks {
    gn__learner *l;
    stage run;
} blocks;

static void run_blocks(void *arg, size_t begin, size_t end, unsigned worker)
{
    blocks *p = arg;
    int before = gn__serial_begin();
    for (size_t i = begin; i < end; i++) {
        block k = {p->l, &p->l->bench[worker], i * GN__ROWS};
        p->run(&k, p->l->current);
    }
    gn__serial_end(before);
}

static gn_status for_blocks(gn_context *ctx, gn__learner *l, stage run, gn_error *err)
{
    blocks p = {l, run};
    return gn__parallel_for(ctx, l->padded / GN__ROWS, 1, run_blocks, &p, err);
}

/* ---- gradients of a layer's weights
 * ------------------------------------------------------------------------ */

/* What a product's weight gradient is made of. */
typedef struct factors {
    const gn__learnt_linear *linear;
    const gn__outer *outer;
    const float *by_y, *x;
} factors;

static factors factors_of(const gn__learner *l, int product)
{
    const gn__wake *w = &l->wake;
    const gn__learnt_linear *x = layer_of(l, l->current)->linear;
    const float *mixed = l->tape[l->current].mixed;
    const factors all[GN__PRODUCTS] = {
        [GN__QKV] = {&x[GN__QKV], l->outer[GN__QKV], w->by_triple, w->n},
        [GN__OUT] = {&x[GN__OUT], l->outer[GN__OUT], w->by_out, mixed},
        [GN__MLP_IN] = {&x[GN__MLP_IN], l->outer[GN__MLP_IN], w->by_u, w->m},
        [GN__MLP_OUT] = {&x[GN__MLP_OUT], l->outer[GN__MLP_OUT], w->by_mlp_out, w->a}};
    return all[product];
}

static void sum_rows(const gn__learner *l, const float *x, size_t cols, float *out)
{
    for (size_t i = 0; i < l->rows; i++)
        for (size_t j = 0; j < cols; j++) out[j] += x[i * cols + j];
}

static void outer_piece(gn__learner *l, const factors *f, size_t piece, gn__bench *b)
{
    float *weight = gn__gradient_of(l, f->linear->weight), *bias = gn__gradient_of(l, f->linear->bias);
    if (weight != NULL && !gn__outer_run(f->outer, piece, f->by_y, f->x, l->padded, weight, b->outer))
        atomic_store(&l->failed, true);
    if (piece == 0 && bias != NULL) sum_rows(l, f->by_y, f->linear->outputs, bias);
}

static void sum_norms(const gn__learner *l)
{
    const gn__learnt_layer *y = layer_of(l, l->current);
    for (int slot = 0; slot < SLOTS; slot++) {
        const gn__learnt_norm *n = slot == QUERY_SLOT ? &y->query_norm
                                   : slot == KEY_SLOT ? &y->key_norm
                                                      : &y->norm[slot];
        sum_slot(l, n->gamma, slot, false);
        sum_slot(l, n->beta, slot, true);
    }
}

/* Piece 0: norms; then the pieces of each product. */
static void weigh(void *arg, size_t begin, size_t end, unsigned worker)
{
    gn__learner *l = arg;
    int before = gn__serial_begin();
    for (size_t i = begin; i < end; i++) {
        if (i == 0) sum_norms(l);
        size_t piece = i - 1;
        for (int k = 0; k < GN__PRODUCTS && i > 0; k++) {
            factors f = factors_of(l, k);
            size_t pieces = gn__outer_pieces(f.outer);
            if (piece < pieces) {
                outer_piece(l, &f, piece, &l->bench[worker]);
                break;
            }
            piece -= pieces;
        }
    }
    gn__serial_end(before);
}

static gn_status weigh_layer(gn_context *ctx, gn__learner *l, gn_error *err)
{
    size_t pieces = 1;
    if (!layer_of(l, l->current)->trained) return GN_OK;
    for (int k = 0; k < GN__PRODUCTS; k++) pieces += gn__outer_pieces(l->outer[k]);
    return gn__parallel_for(ctx, pieces, 1, weigh, l, err);
}

/* ---- pooling and the final norm; embeddings
 * ----------------------------------------------------------------- */

static void pool_back(void *arg, size_t begin, size_t end, unsigned worker)
{
    gn__learner *l = arg;
    for (size_t s = begin; s < end; s++)
        gn__learner_pool_back(l, s, &l->bench[worker], l->wake.by_hidden + l->first[s] * l->r->dim);
}

static void final_back(const block *k, size_t layer)
{
    gn__learner *l = k->l;
    size_t at = k->row * l->r->dim;
    memset(l->wake.partial + k->row / GN__ROWS * l->wake.partial_width, 0,
           l->wake.partial_width * sizeof(float));
    norm_back(k, &l->final_norm, 0, l->tape[layer].x + at, l->wake.by_hidden + at, GN__ROWS, l->r->dim);
}

/* Through the projection and the norm, to by_embedded in the wake's n (as wide as the embedding). */
static void embedding_back(const block *k, size_t layer)
{
    gn__learner *l = k->l;
    size_t n = l->r->embedding, at = k->row * l->r->dim;
    float *by = l->wake.by_embedded + k->row * n;
    (void)layer;
    memset(l->wake.partial + k->row / GN__ROWS * l->wake.partial_width, 0,
           l->wake.partial_width * sizeof(float));
    if (l->projection.weight != NULL)
        run_back(k, &l->projection, l->wake.by_hidden + at, by);
    else
        memcpy(by, l->wake.by_hidden + at, GN__ROWS * n * sizeof *by);
    if (l->embedding_norm.gamma == NULL) return;
    if (l->projection.weight != NULL) {
        float *normed = l->wake.normed + k->row * n;
        const float *x = l->embedded + k->row * n, *gamma = l->embedding_norm.gamma->value;
        if (l->r->norm == GN__NORM_LAYER)
            l->ops->layer_norm(normed, x, gamma, gn__learner_beta(l, &l->embedding_norm), GN__ROWS, n,
                               l->r->eps);
        else
            l->ops->rms_norm(normed, x, gamma, GN__ROWS, n, l->r->eps);
    }
    norm_back(k, &l->embedding_norm, 0, l->embedded + k->row * n, by, GN__ROWS, n);
}

enum { COLUMNS = 64 }; /* of a piece of the embeddings' gradients */

static void embed_back(void *arg, size_t begin, size_t end, unsigned worker)
{
    gn__learner *l = arg;
    size_t n = l->r->embedding;
    float *words = gn__gradient_of(l, l->words), *positions = gn__gradient_of(l, l->positions);
    float *types = gn__gradient_of(l, l->token_types), scale = l->r->embedding_scale;
    (void)worker;
    for (size_t row = 0; row < l->rows; row++) {
        const float *by = l->wake.by_embedded + row * n;
        float *word = words + (size_t)l->id[row] * n;
        for (size_t j = begin; j < end; j++) word[j] += by[j] * scale;
        if (types != NULL)
            for (size_t j = begin; j < end; j++) types[j] += by[j];
        if (positions == NULL) continue;
        float *position = positions + (size_t)l->place[row] * n;
        for (size_t j = begin; j < end; j++) position[j] += by[j];
    }
}

static void project_back(void *arg, size_t begin, size_t end, unsigned worker)
{
    gn__learner *l = arg;
    const float *x = l->embedding_norm.gamma != NULL ? l->wake.normed : l->embedded;
    factors f = {&l->projection, l->outer_projection, l->wake.by_hidden, x};
    int before = gn__serial_begin();
    for (size_t i = begin; i < end; i++) outer_piece(l, &f, i, &l->bench[worker]);
    gn__serial_end(before);
}

static gn_status embeddings_back(gn_context *ctx, gn__learner *l, gn_error *err)
{
    GN__TRY(for_blocks(ctx, l, embedding_back, err));
    sum_slot(l, l->embedding_norm.gamma, 0, false);
    sum_slot(l, l->embedding_norm.beta, 0, true);
    if (l->projection.weight != NULL)
        GN__TRY(gn__parallel_for(ctx, gn__outer_pieces(l->outer_projection), 1, project_back, l, err));
    return gn__parallel_for(ctx, l->r->embedding, COLUMNS, embed_back, l, err);
}

/* ---- the whole
 * ------------------------------------------------------------------------------------------------- */

static void head_back(gn__learner *l)
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

static gn_status top_back(gn_context *ctx, gn__learner *l, gn_error *err)
{
    const gn__recipe *r = l->r;
    bool steps = false;
    for (size_t i = 0; i < l->head.steps; i++)
        steps = steps || (l->step_weight[i] != NULL && l->step_weight[i]->trained);
    /* Trained steps add up over texts, in their order. */
    GN__TRY(gn__parallel_for(ctx, l->texts, steps ? l->texts : 1, pool_back, l, err));
    memset(l->wake.by_hidden + l->rows * r->dim, 0, (l->padded - l->rows) * r->dim * sizeof(float));
    l->current = r->layers;
    if (l->final_norm.gamma == NULL) return GN_OK;
    GN__TRY(for_blocks(ctx, l, final_back, err));
    sum_slot(l, l->final_norm.gamma, 0, false);
    sum_slot(l, l->final_norm.beta, 0, true);
    return GN_OK;
}

gn_status gn__learner_backward(gn_context *ctx, gn__learner *l, const float *by_logit, float *gradient,
                               gn_error *err)
{
    const gn__recipe *r = l->r;
    size_t triple = (r->heads + 2 * r->kv_heads) * r->head_dim;
    l->by_logit = by_logit;
    l->gradient = gradient;
    atomic_store(&l->failed, false);
    head_back(l);
    if (l->tune.what == GN_TUNE_HEAD) return gn__check_cancel(ctx, err);
    GN__TRY(top_back(ctx, l, err));
    memset(l->wake.by_triple + l->rows * triple, 0, (l->padded - l->rows) * triple * sizeof(float));
    for (size_t i = r->layers; i-- > l->lowest;) {
        l->current = i;
        GN__TRY(for_blocks(ctx, l, to_attention, err));
        GN__TRY(gn__parallel_for(ctx, l->texts * r->kv_heads, 1, attend_back, l, err));
        GN__TRY(for_blocks(ctx, l, to_start, err));
        GN__TRY(weigh_layer(ctx, l, err));
    }
    if (l->embeds) GN__TRY(embeddings_back(ctx, l, err));
    if (!atomic_load(&l->failed)) return GN_OK;
    return gn__fail(err, GN_NUMERIC, "oneDNN failed in a matrix product of %s", l->m->info.name);
}
