/* The way back over the tape, layer by layer: blocks from the layer's end to attention, attention by texts
 * and kv_heads, blocks to the layer's start, then the weights' gradients, each piece of which sums over all
 * rows in their order. */
#include "model/learner_parts.h"

/* ---- from a layer's end to attention ------------------------------------------------------------ */

/* Where a block of something that weights' gradients are made of is computed … */
static float *room_for(const gn__block *k, gn__room which, float *whole, size_t cols)
{
    return k->l->narrow ? k->b->room[which] : whole + k->row * cols;
}

/* … and, in bf16, kept. */
static uint16_t *keep(const gn__block *k, gn__learnt_product product, int which, const float *x, size_t cols)
{
    uint16_t *y = k->l->wake.narrow[product][which] + k->row * cols;
    k->l->ops->to_bf16(y, x, GN__ROWS * cols);
    return y;
}

/* Through one of the layer's four products, and what its weight's gradient is made of. from: what it took. */
static void run_back(const gn__block *k, size_t i, gn__learnt_product product, const float *from,
                     const float *by_y, float *by_x)
{
    gn__learner *l = k->l;
    const gn__learnt_linear *x = &gn__layer_of(l, i)->linear[product];
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

static void to_attention(const gn__block *k, size_t i)
{
    gn__learner *l = k->l;
    const gn__recipe *r = l->r;
    const gn__learnt_layer *y = gn__layer_of(l, i);
    const gn__tape *t = &l->tape[i];
    const gn__wake *w = &l->wake;
    size_t at = k->row * r->dim, n = GN__ROWS * r->dim, inner = r->gated ? 2 * r->inner : r->inner;
    float *by = w->by_hidden + at, *by_m = k->b->y;
    float *by_mlp_out = room_for(k, GN__BY_MLP_OUT, w->by_mlp_out, r->dim);
    float *by_out = room_for(k, GN__BY_OUT, w->by_out, r->dim), *m = room_for(k, GN__M, w->m, r->dim);
    float *by_u = room_for(k, GN__BY_U, w->by_u, inner), *a = room_for(k, GN__A, w->a, r->inner);
    const float *u = t->u + k->row * inner, *state, *base, *input;
    gn__learner_clear_slots(k);
    if (y->norm[GN__MLP_POST].gamma != NULL)
        gn__learner_norm_back(k, &y->norm[GN__MLP_POST], GN__MLP_POST, t->sum[1] + at, by, GN__ROWS, r->dim);
    memcpy(by_mlp_out, by, n * sizeof *by);
    if (y->norm[GN__MLP_INSIDE].gamma != NULL)
        gn__learner_norm_back(k, &y->norm[GN__MLP_INSIDE], GN__MLP_INSIDE, t->inside[1] + at, by_mlp_out,
                              GN__ROWS, r->dim);
    gn__learner_drop(l, l->drop.mlp_out, gn__drop_place(GN__DROP_MLP_OUT, i), k->row, by_mlp_out, r->dim);
    if (y->linear[GN__MLP_OUT].adapters > 0) /* these look at a before the rest gets there */
        gn__learner_activate(l, i, k->row, u, a);
    run_back(k, i, GN__MLP_OUT, l->narrow ? NULL : a, by_mlp_out, k->b->wide);
    uint32_t inside = gn__drop_place(GN__DROP_INNER, i);
    gn__learner_drop(l, l->drop.inner, inside, k->row, k->b->wide, r->inner);
    if (r->gated)
        l->back->gate_back(r->activation, u, k->b->wide, by_u, a, GN__ROWS, r->inner);
    else
        l->back->activation_back(r->activation, u, k->b->wide, by_u, a, GN__ROWS * r->inner);
    gn__learner_drop(l, l->drop.inner, inside, k->row, a, r->inner);
    bool before = y->norm[GN__MLP_BEFORE].gamma != NULL; /* else the state behind attention is what enters */
    gn__learner_mlp_input(l, i, k->row, before ? k->b->h : m, m, &state, &base, &input);
    if (input != m) memcpy(m, input, n * sizeof *input);
    run_back(k, i, GN__MLP_IN, m, by_u, by_m);
    if (base != NULL)
        gn__learner_norm_back(k, &y->norm[GN__MLP_BEFORE], GN__MLP_BEFORE, base, by_m, GN__ROWS, r->dim);
    bool aside = base != NULL && r->parallel; /* the MLP takes the layer's input */
    if (!aside) l->back->add(by, by_m, n);
    if (y->norm[GN__ATTENTION_POST].gamma != NULL)
        gn__learner_norm_back(k, &y->norm[GN__ATTENTION_POST], GN__ATTENTION_POST, t->sum[0] + at, by,
                              GN__ROWS, r->dim);
    memcpy(by_out, by, n * sizeof *by);
    if (aside) l->back->add(by, by_m, n);
    if (y->norm[GN__ATTENTION_INSIDE].gamma != NULL)
        gn__learner_norm_back(k, &y->norm[GN__ATTENTION_INSIDE], GN__ATTENTION_INSIDE, t->inside[0] + at,
                              by_out, GN__ROWS, r->dim);
    gn__learner_drop(l, l->drop.out, gn__drop_place(GN__DROP_OUT, i), k->row, by_out, r->dim);
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

static void to_start(const gn__block *k, size_t i)
{
    gn__learner *l = k->l;
    const gn__recipe *r = l->r;
    const gn__learnt_layer *y = gn__layer_of(l, i);
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
        if (pairs > 0) {
            const float *cosine, *sine;
            gn__learner_turns(l, local, row, &cosine, &sine);
            l->back->rotate_back(by_row, cosine, sine, r->heads + r->kv_heads, r->head_dim, pairs);
        }
        if (y->query_norm.gamma == NULL) continue;
        gn__learner_norm_back(k, &y->query_norm, GN__QUERY_SLOT, t->raw + row * (q + kv), by_row, r->heads,
                              r->head_dim);
        gn__learner_norm_back(k, &y->key_norm, GN__KEY_SLOT, t->raw + row * (q + kv) + q, by_row + q,
                              r->kv_heads, r->head_dim);
    }
    const gn__learnt_norm *norm = &y->norm[GN__ATTENTION_BEFORE];
    if (norm->gamma != NULL)
        gn__learner_norm(l, norm, normed, x, GN__ROWS, r->dim);
    else
        memcpy(normed, x, n * sizeof *x);
    run_back(k, i, GN__QKV, normed, by, k->b->y);
    if (norm->gamma != NULL)
        gn__learner_norm_back(k, norm, GN__ATTENTION_BEFORE, x, k->b->y, GN__ROWS, r->dim);
    l->back->add(w->by_hidden + at, k->b->y, n);
}

/* ---- gradients of a layer's weights ------------------------------------------------------------- */

static gn_status weigh_layer(gn_context *ctx, gn__learner *l, gn_error *err)
{
    const gn__wake *w = &l->wake;
    const gn__learnt_layer *y = gn__layer_of(l, l->current);
    gn__weighing t = {.l = l, .norms = true};
    const float *by_y[] = {[GN__QKV] = w->by_triple,
                           [GN__OUT] = w->by_out,
                           [GN__MLP_IN] = w->by_u,
                           [GN__MLP_OUT] = w->by_mlp_out};
    const float *from[] = {
        [GN__QKV] = w->n, [GN__OUT] = l->tape[l->current].mixed, [GN__MLP_IN] = w->m, [GN__MLP_OUT] = w->a};
    if (!y->trained) return GN_OK;
    for (int k = 0; k < GN__PRODUCTS; k++)
        if (l->narrow)
            gn__learner_weigh_narrow(&t, &y->linear[k], &l->outer[k], w->narrow[k][0], w->narrow[k][1]);
        else
            gn__learner_weigh_linear(&t, &y->linear[k], &l->outer[k], by_y[k], from[k], l->padded,
                                     (gn__adapted){w->taken[k], w->z[k], w->by_z[k]});
    return gn__learner_weigh(ctx, &t, err);
}

/* ---- relative positions ------------------------------------------------------------------------- */

/* A block of the rows that positions are made of: by them, from what the layer says of their products. */
static void relative_back(const gn__block *k, size_t i)
{
    gn__learner *l = k->l;
    const gn__learnt_layer *y = gn__layer_of(l, i);
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

static gn_status positions_back(gn_context *ctx, gn__learner *l, gn_error *err)
{
    const gn__learnt_layer *y = gn__layer_of(l, l->current);
    const gn__wake *w = &l->wake;
    gn__weighing t = {.l = l};
    GN__TRY(gn__learner_blocks(ctx, l, l->relative_rows, relative_back, err));
    for (int k = 0; k < 2; k++)
        if (y->position[k].weight != NULL)
            gn__learner_weigh_linear(&t, &y->position[k], &l->outer_position, w->by_position[k],
                                     l->relative_input, l->relative_rows,
                                     (gn__adapted){l->relative_input, w->position_z[k], w->position_by_z[k]});
    return gn__learner_weigh(ctx, &t, err);
}

static void relative_norm_back(const gn__block *k, size_t layer)
{
    gn__learner *l = k->l;
    size_t at = k->row * l->r->dim;
    (void)layer;
    gn__learner_clear_slots(k);
    gn__learner_norm_back(k, &l->relative_norm, 0, l->relative_table + at, l->wake.by_relative + at, GN__ROWS,
                          l->r->dim);
}

/* The table of relative positions, once all layers have had their say; the buckets. */
static gn_status tables_back(gn_context *ctx, gn__learner *l, gn_error *err)
{
    const gn__recipe *r = l->r;
    float *relative = gn__gradient_of(l, l->relative), *buckets = gn__gradient_of(l, l->buckets);
    if (l->relative != NULL && l->wake.by_relative != NULL && l->relative_norm.gamma != NULL) {
        GN__TRY(gn__learner_blocks(ctx, l, l->relative_rows, relative_norm_back, err));
        gn__learner_sum_norm(l, &l->relative_norm, 0, l->relative_rows);
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

/* ---- the whole ---------------------------------------------------------------------------------- */

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
    gn__learner_head_back(l);
    if (l->tune.what == GN_TUNE_HEAD) return gn__check_cancel(ctx, err);
    GN__TRY(gn__learner_top_back(ctx, l, err));
    memset(l->wake.by_triple + l->rows * triple, 0, (l->padded - l->rows) * triple * sizeof(float));
    if (l->wake.by_bias != NULL) memset(l->wake.by_bias, 0, r->heads * l->places.bias_stride * sizeof(float));
    if (l->wake.by_relative != NULL)
        memset(l->wake.by_relative, 0, l->relative_rows * r->dim * sizeof(float));
    for (size_t i = r->layers; i-- > l->lowest;) {
        l->current = i;
        if (i == 0 && l->conv != NULL) GN__TRY(gn__learner_convolution_back(ctx, l, err));
        if (l->recompute) GN__TRY(gn__learner_again(ctx, l, i, err));
        GN__TRY(gn__learner_blocks(ctx, l, l->padded, to_attention, err));
        GN__TRY(attention_back(ctx, l, err));
        GN__TRY(gn__learner_blocks(ctx, l, l->padded, to_start, err));
        GN__TRY(weigh_layer(ctx, l, err));
        if (l->wake.by_relative != NULL) GN__TRY(positions_back(ctx, l, err));
    }
    if (l->embeds && l->conv != NULL) GN__TRY(gn__learner_convolved_back(ctx, l, err));
    GN__TRY(tables_back(ctx, l, err));
    hold_absent_bias(l);
    if (l->embeds) GN__TRY(gn__learner_embeddings_back(ctx, l, err));
    if (!atomic_load(&l->failed)) return GN_OK;
    return gn__fail(err, GN_NUMERIC, "oneDNN failed in a matrix product of %s", l->m->info.name);
}
