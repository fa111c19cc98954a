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

/* ---- from a layer's end to attention ------------------------------------------------------------ */

/* Where a block of something that weights' gradients are made of is computed … */
static float *room_for(const block *k, gn__room which, float *whole, size_t cols)
{
    return k->l->narrow ? k->b->room[which] : whole + k->row * cols;
}

/* … and, in bf16, kept. */
static uint16_t *keep(const block *k, gn__learnt_product product, int which, const float *x, size_t cols)
{
    uint16_t *y = k->l->wake.narrow[product][which] + k->row * cols;
    k->l->ops->to_bf16(y, x, GN__ROWS * cols);
    return y;
}

/* Through one of the layer's four products, and what its weight's gradient is made of. from: what it took. */
static void run_back(const block *k, size_t i, gn__learnt_product product, const float *from,
                     const float *by_y, float *by_x)
{
    gn__learner *l = k->l;
    const gn__learnt_linear *x = &layer_of(l, i)->linear[product];
    gn__wake *w = &l->wake;
    if (!l->narrow) {
        gn__learner_run_back(l, k->b, x, i, (int)product, k->row, from, by_y, by_x, w->taken[product],
                             w->z[product], w->by_z[product]);
        return;
    }
    if (from != NULL) (void)keep(k, product, 1, from, x->inputs);
    if (!gn__linear_run_bf16(x->back, k->b->lane, keep(k, product, 0, by_y, x->outputs), by_x))
        atomic_store(&l->failed, true);
}

static void to_attention(const block *k, size_t i)
{
    gn__learner *l = k->l;
    const gn__recipe *r = l->r;
    const gn__learnt_layer *y = layer_of(l, i);
    const gn__tape *t = &l->tape[i];
    const gn__wake *w = &l->wake;
    size_t at = k->row * r->dim, n = GN__ROWS * r->dim, inner = r->gated ? 2 * r->inner : r->inner;
    float *by = w->by_hidden + at, *by_m = k->b->y;
    float *by_mlp_out = room_for(k, GN__BY_MLP_OUT, w->by_mlp_out, r->dim);
    float *by_out = room_for(k, GN__BY_OUT, w->by_out, r->dim), *m = room_for(k, GN__M, w->m, r->dim);
    float *by_u = room_for(k, GN__BY_U, w->by_u, inner), *a = room_for(k, GN__A, w->a, r->inner);
    const float *u = t->u + k->row * inner, *state, *base, *input;
    memset(w->partial + k->row / GN__ROWS * w->partial_width, 0, w->partial_width * sizeof *w->partial);
    if (y->norm[GN__MLP_POST].gamma != NULL)
        norm_back(k, &y->norm[GN__MLP_POST], GN__MLP_POST, t->sum[1] + at, by, GN__ROWS, r->dim);
    memcpy(by_mlp_out, by, n * sizeof *by);
    if (y->norm[GN__MLP_INSIDE].gamma != NULL)
        norm_back(k, &y->norm[GN__MLP_INSIDE], GN__MLP_INSIDE, t->inside[1] + at, by_mlp_out, GN__ROWS,
                  r->dim);
    gn__learner_drop(l, l->drop.hidden, gn__drop_place(GN__DROP_MLP_OUT, i), k->row, by_mlp_out, r->dim);
    if (y->linear[GN__MLP_OUT].adapters > 0 && r->gated) /* these look at a before the rest gets there */
        l->back->gate(r->activation, u, a, GN__ROWS, r->inner);
    else if (y->linear[GN__MLP_OUT].adapters > 0)
        l->back->activation(r->activation, u, a, GN__ROWS * r->inner);
    run_back(k, i, GN__MLP_OUT, l->narrow ? NULL : a, by_mlp_out, k->b->wide);
    if (r->gated)
        l->back->gate_back(r->activation, u, k->b->wide, by_u, a, GN__ROWS, r->inner);
    else
        l->back->activation_back(r->activation, u, k->b->wide, by_u, a, GN__ROWS * r->inner);
    bool before = y->norm[GN__MLP_BEFORE].gamma != NULL; /* else the state behind attention is what enters */
    gn__learner_mlp_input(l, i, k->row, before ? k->b->h : m, m, &state, &base, &input);
    if (input != m) memcpy(m, input, n * sizeof *input);
    run_back(k, i, GN__MLP_IN, m, by_u, by_m);
    if (base != NULL) norm_back(k, &y->norm[GN__MLP_BEFORE], GN__MLP_BEFORE, base, by_m, GN__ROWS, r->dim);
    bool aside = base != NULL && r->parallel; /* the MLP takes the layer's input */
    if (!aside) l->back->add(by, by_m, n);
    if (y->norm[GN__ATTENTION_POST].gamma != NULL)
        norm_back(k, &y->norm[GN__ATTENTION_POST], GN__ATTENTION_POST, t->sum[0] + at, by, GN__ROWS, r->dim);
    memcpy(by_out, by, n * sizeof *by);
    if (aside) l->back->add(by, by_m, n);
    if (y->norm[GN__ATTENTION_INSIDE].gamma != NULL)
        norm_back(k, &y->norm[GN__ATTENTION_INSIDE], GN__ATTENTION_INSIDE, t->inside[0] + at, by_out,
                  GN__ROWS, r->dim);
    gn__learner_drop(l, l->drop.hidden, gn__drop_place(GN__DROP_OUT, i), k->row, by_out, r->dim);
    size_t q = r->heads * r->head_dim;
    run_back(k, i, GN__OUT, t->mixed + k->row * q, by_out, w->by_mixed + k->row * q);
    if (l->narrow) (void)keep(k, GN__MLP_OUT, 1, a, r->inner); /* was not there before */
}

/* ---- attention ---------------------------------------------------------------------------------- */

static void attend_text(gn__learner *l, size_t text, size_t kv_head, gn__bench *b)
{
    const gn__recipe *r = l->r;
    const gn__wake *w = &l->wake;
    size_t q = r->heads * r->head_dim, kv = r->kv_heads * r->head_dim, row = l->first[text];
    gn__attending a;
    gn__drop drop;
    gn__learner_attending(l, l->current, text, b, &a, &drop);
    a.by_out = w->by_mixed + row * q;
    a.by_q = w->by_triple + row * (q + 2 * kv);
    a.by_k = a.by_q + q;
    a.by_v = a.by_k + kv;
    a.by_bias = w->by_bias ? w->by_bias + l->places.tokens - 1 : NULL;
    a.by_position_key = w->by_position[0];
    a.by_position_query = w->by_position[1];
    l->back->attend_back(&a, kv_head);
}

/* Where texts add to something they share, a piece is a kv_head over all texts. */
static bool shares(const gn__learner *l)
{
    return l->wake.by_bias != NULL || l->wake.by_position[0] != NULL || l->wake.by_position[1] != NULL;
}

static void attend_back(void *arg, size_t begin, size_t end, unsigned worker)
{
    gn__learner *l = arg;
    for (size_t piece = begin; piece < end; piece++)
        if (shares(l))
            for (size_t text = 0; text < l->texts; text++) attend_text(l, text, piece, &l->bench[worker]);
        else
            attend_text(l, piece / l->r->kv_heads, piece % l->r->kv_heads, &l->bench[worker]);
}

static gn_status attention_back(gn_context *ctx, gn__learner *l, gn_error *err)
{
    size_t n = l->relative_rows * l->r->heads * l->r->head_dim;
    for (int k = 0; k < 2; k++)
        if (l->wake.by_position[k] != NULL) memset(l->wake.by_position[k], 0, n * sizeof(float));
    return gn__parallel_for(ctx, shares(l) ? l->r->kv_heads : l->texts * l->r->kv_heads, 1, attend_back, l,
                            err);
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
    float *normed = room_for(k, GN__N, w->n, r->dim);
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
    const gn__learnt_norm *norm = &y->norm[GN__ATTENTION_BEFORE];
    if (norm->gamma != NULL) {
        if (r->norm == GN__NORM_LAYER)
            l->ops->layer_norm(normed, x, norm->gamma->value, gn__learner_beta(l, norm), GN__ROWS, r->dim,
                               r->eps);
        else
            l->ops->rms_norm(normed, x, norm->gamma->value, GN__ROWS, r->dim, r->eps);
    } else {
        memcpy(normed, x, n * sizeof *x);
    }
    run_back(k, i, GN__QKV, normed, by, k->b->y);
    if (norm->gamma != NULL) norm_back(k, norm, GN__ATTENTION_BEFORE, x, k->b->y, GN__ROWS, r->dim);
    l->back->add(w->by_hidden + at, k->b->y, n);
}

typedef void (*stage)(const block *k, size_t layer);

typedef struct blocks {
    gn__learner *l;
    stage run;
} blocks;

static void run_blocks(void *arg, size_t begin, size_t end, unsigned worker)
{
    blocks *p = arg;
    gn__serial before = gn__serial_begin();
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

/* ---- gradients of a layer's weights ------------------------------------------------------------- */

/* Weights += by_yᵀ x over rows, in pieces; NULL out: nothing to do. */
typedef struct task {
    const gn__outer *outer;
    const void *by_y, *x;
    size_t rows;
    bool narrow; /* by_y and x are bf16 */
    float *out;
    float *bias; /* Σ by_y: [columns]; by piece 0; NULL: none */
    size_t columns;
} task;

enum { MOST_TASKS = 2 * (GN__PRODUCTS + 2) * (1 + GN__ADAPTERS) };

typedef struct tasks {
    gn__learner *l;
    task task[MOST_TASKS];
    size_t count;
    bool norms; /* of the current layer, as the last piece */
} tasks;

static void add_task(tasks *t, task one)
{
    if (one.out != NULL) t->task[t->count++] = one;
}

/* The gradients of a linear layer and of its adapters. taken, z, by_z: see gn__learner_run_back. */
static void add_linear(tasks *t, const gn__learnt_linear *x, const gn__outer *outer, const gn__outer *outer_a,
                       gn__outer *const *outer_b, const float *by_y, const float *from, size_t rows,
                       const float *taken, const float *z, const float *by_z)
{
    const gn__learner *l = t->l;
    size_t rank = l->tune.lora_rank;
    float *weight = gn__gradient_of(l, x->weight), *bias = gn__gradient_of(l, x->bias);
    add_task(t, (task){.outer = outer,
                       .by_y = by_y,
                       .x = from,
                       .rows = rows,
                       .out = weight ? weight + x->row * x->inputs : NULL,
                       .bias = bias ? bias + x->row : NULL,
                       .columns = x->outputs});
    for (size_t k = 0; k < x->adapters; k++) {
        const gn__adapter *a = x->adapter[k];
        add_task(t, (task){.outer = outer_a,
                           .by_y = by_z + k * rank,
                           .x = taken,
                           .rows = rows,
                           .out = gn__gradient_of(l, a->a)});
        add_task(t, (task){.outer = outer_b[k],
                           .by_y = by_y + x->first[k],
                           .x = z + k * rank,
                           .rows = rows,
                           .out = gn__gradient_of(l, a->b)});
    }
}

static void add_narrow(tasks *t, const gn__learnt_linear *x, const gn__outer *outer, const uint16_t *by_y,
                       const uint16_t *from)
{
    add_task(t, (task){.outer = outer,
                       .by_y = by_y,
                       .x = from,
                       .rows = t->l->padded,
                       .narrow = true,
                       .out = gn__gradient_of(t->l, x->weight),
                       .bias = gn__gradient_of(t->l, x->bias),
                       .columns = x->outputs});
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

static void run_piece(tasks *t, size_t piece, gn__bench *b)
{
    for (size_t k = 0; k < t->count; k++) {
        const task *one = &t->task[k];
        size_t pieces = gn__outer_pieces(one->outer);
        if (piece >= pieces) {
            piece -= pieces;
            continue;
        }
        if (!gn__outer_run(one->outer, piece, one->by_y, one->x, one->rows, one->out, b->outer))
            atomic_store(&t->l->failed, true);
        if (piece == 0 && one->bias != NULL && one->narrow)
            t->l->back->sum_rows_bf16(one->by_y, one->rows, one->columns, one->bias);
        else if (piece == 0 && one->bias != NULL)
            t->l->back->sum_rows(one->by_y, one->rows, one->columns, one->bias);
        return;
    }
    if (t->norms) sum_norms(t->l);
}

static void run_tasks(void *arg, size_t begin, size_t end, unsigned worker)
{
    tasks *t = arg;
    gn__serial before = gn__serial_begin();
    for (size_t i = begin; i < end; i++) run_piece(t, i, &t->l->bench[worker]);
    gn__serial_end(before);
}

static gn_status finish_tasks(gn_context *ctx, tasks *t, gn_error *err)
{
    size_t pieces = t->norms;
    for (size_t k = 0; k < t->count; k++) pieces += gn__outer_pieces(t->task[k].outer);
    return gn__parallel_for(ctx, pieces, 1, run_tasks, t, err);
}

static gn_status weigh_layer(gn_context *ctx, gn__learner *l, gn_error *err)
{
    const gn__wake *w = &l->wake;
    const gn__learnt_layer *y = layer_of(l, l->current);
    tasks t = {.l = l, .norms = true};
    const float *by_y[] = {[GN__QKV] = w->by_triple,
                           [GN__OUT] = w->by_out,
                           [GN__MLP_IN] = w->by_u,
                           [GN__MLP_OUT] = w->by_mlp_out};
    const float *from[] = {
        [GN__QKV] = w->n, [GN__OUT] = l->tape[l->current].mixed, [GN__MLP_IN] = w->m, [GN__MLP_OUT] = w->a};
    if (!y->trained) return GN_OK;
    for (int k = 0; k < GN__PRODUCTS; k++)
        if (l->narrow)
            add_narrow(&t, &y->linear[k], l->outer[k], w->narrow[k][0], w->narrow[k][1]);
        else
            add_linear(&t, &y->linear[k], l->outer[k], l->outer_a[k], l->outer_b[k], by_y[k], from[k],
                       l->padded, w->taken[k], w->z[k], w->by_z[k]);
    return finish_tasks(ctx, &t, err);
}

/* ---- relative positions ------------------------------------------------------------------------- */

/* A block of the rows that positions are made of: by them, from what the layer says of their products. */
static void relative_back(const block *k, size_t i)
{
    gn__learner *l = k->l;
    const gn__learnt_layer *y = layer_of(l, i);
    gn__wake *w = &l->wake;
    size_t width = l->r->heads * l->r->head_dim, at = k->row * l->r->dim;
    for (int which = 0; which < 2; which++) {
        if (y->position[which].weight == NULL) continue;
        gn__learner_run_back(l, k->b, &y->position[which], i, GN__PRODUCTS, k->row, l->relative_input + at,
                             w->by_position[which] + k->row * width, k->b->y, w->taken[GN__QKV],
                             w->position_z[which], w->position_by_z[which]);
        l->back->add(w->by_relative + at, k->b->y, GN__ROWS * l->r->dim);
    }
}

static gn_status for_rows(gn_context *ctx, gn__learner *l, size_t rows, stage run, gn_error *err)
{
    blocks p = {l, run};
    return gn__parallel_for(ctx, rows / GN__ROWS, 1, run_blocks, &p, err);
}

static gn_status positions_back(gn_context *ctx, gn__learner *l, gn_error *err)
{
    const gn__learnt_layer *y = layer_of(l, l->current);
    const gn__wake *w = &l->wake;
    tasks t = {.l = l};
    GN__TRY(for_rows(ctx, l, l->relative_rows, relative_back, err));
    for (int k = 0; k < 2; k++)
        if (y->position[k].weight != NULL)
            add_linear(&t, &y->position[k], l->outer_position, l->outer_position_a, &l->outer_position_b,
                       w->by_position[k], l->relative_input, l->relative_rows, l->relative_input,
                       w->position_z[k], w->position_by_z[k]);
    return finish_tasks(ctx, &t, err);
}

static void relative_norm_back(const block *k, size_t layer)
{
    gn__learner *l = k->l;
    size_t at = k->row * l->r->dim;
    (void)layer;
    memset(l->wake.partial + k->row / GN__ROWS * l->wake.partial_width, 0,
           l->wake.partial_width * sizeof(float));
    norm_back(k, &l->relative_norm, 0, l->relative_table + at, l->wake.by_relative + at, GN__ROWS, l->r->dim);
}

/* The table of relative positions, once all layers have had their say; the buckets. */
static gn_status tables_back(gn_context *ctx, gn__learner *l, gn_error *err)
{
    const gn__recipe *r = l->r;
    float *relative = gn__gradient_of(l, l->relative), *buckets = gn__gradient_of(l, l->buckets);
    if (l->relative != NULL && l->wake.by_relative != NULL && l->relative_norm.gamma != NULL) {
        size_t padded = l->padded;
        GN__TRY(for_rows(ctx, l, l->relative_rows, relative_norm_back, err));
        l->padded = l->relative_rows; /* the rows that the sums are over */
        sum_slot(l, l->relative_norm.gamma, 0, false);
        sum_slot(l, l->relative_norm.beta, 0, true);
        l->padded = padded;
    }
    if (relative != NULL) l->back->add(relative, l->wake.by_relative, 2 * r->span * r->dim);
    if (buckets == NULL) return GN_OK;
    for (size_t i = 0; i < 2 * l->places.tokens - 1; i++) {
        size_t bucket = gn__positions_bucket(r, (ptrdiff_t)l->places.tokens - 1 - (ptrdiff_t)i);
        for (size_t h = 0; h < r->heads; h++)
            buckets[h * r->buckets + bucket] += l->wake.by_bias[h * l->places.bias_stride + i];
    }
    return GN_OK;
}

/* ---- pooling and the final norm; embeddings ----------------------------------------------------- */

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
    gn__learner_drop(l, l->drop.hidden, gn__drop_place(GN__DROP_EMBEDDING, 0), k->row, l->wake.by_hidden + at,
                     l->r->dim);
    if (l->projection.weight != NULL)
        gn__learner_run_back(l, k->b, &l->projection, 0, GN__PRODUCTS, k->row, NULL, l->wake.by_hidden + at,
                             by, NULL, NULL, NULL);
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

static gn_status embeddings_back(gn_context *ctx, gn__learner *l, gn_error *err)
{
    GN__TRY(for_blocks(ctx, l, embedding_back, err));
    sum_slot(l, l->embedding_norm.gamma, 0, false);
    sum_slot(l, l->embedding_norm.beta, 0, true);
    if (l->projection.weight != NULL) {
        tasks t = {.l = l};
        const float *x = l->embedding_norm.gamma != NULL ? l->wake.normed : l->embedded;
        add_linear(&t, &l->projection, l->outer_projection, NULL, NULL, l->wake.by_hidden, x, l->padded, NULL,
                   NULL, NULL);
        GN__TRY(finish_tasks(ctx, &t, err));
    }
    return gn__parallel_for(ctx, l->r->embedding, COLUMNS, embed_back, l, err);
}

/* ---- the whole ---------------------------------------------------------------------------------- */

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

/* Where queries and values have a bias and keys none (DeBERTa), the third between stays zero. */
static void hold_absent_bias(const gn__learner *l)
{
    size_t width = l->r->heads * l->r->head_dim;
    for (size_t i = 0; i < l->r->stored && l->r->names->query_bias != NULL; i++) {
        const gn__weight *bias = l->layer[i].linear[GN__QKV].bias;
        float *by = bias != NULL ? gn__gradient_of(l, bias) : NULL;
        if (by != NULL) memset(by + width, 0, width * sizeof *by);
    }
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
    if (l->wake.by_bias != NULL) memset(l->wake.by_bias, 0, r->heads * l->places.bias_stride * sizeof(float));
    if (l->wake.by_relative != NULL)
        memset(l->wake.by_relative, 0, l->relative_rows * r->dim * sizeof(float));
    for (size_t i = r->layers; i-- > l->lowest;) {
        l->current = i;
        if (l->recompute) GN__TRY(gn__learner_again(ctx, l, i, err));
        GN__TRY(for_blocks(ctx, l, to_attention, err));
        GN__TRY(attention_back(ctx, l, err));
        GN__TRY(for_blocks(ctx, l, to_start, err));
        GN__TRY(weigh_layer(ctx, l, err));
        if (l->wake.by_relative != NULL) GN__TRY(positions_back(ctx, l, err));
    }
    GN__TRY(tables_back(ctx, l, err));
    hold_absent_bias(l);
    if (l->embeds) GN__TRY(embeddings_back(ctx, l, err));
    if (!atomic_load(&l->failed)) return GN_OK;
    return gn__fail(err, GN_NUMERIC, "oneDNN failed in a matrix product of %s", l->m->info.name);
}
