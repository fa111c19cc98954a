/* The forward pass that remembers. Blocks of GN__ROWS rows go through everything but attention on their own,
 * on any thread; attention is cut by texts and kv_heads. */
#include "model/learner_parts.h"

/* ---- layers ---------------------------------------------------------------------------------------------
 */

/* What turns a row's query and key: angles depend on the position, and (LongRoPE) on the text's length. */
void gn__learner_turns(const gn__learner *l, int kind, size_t row, const float **cosine, const float **sine)
{
    size_t text = l->text[row], at = l->at[row] * l->r->rotary[kind].pairs;
    gn__positions_turns(l->m, &l->places, kind, l->first[text + 1] - l->first[text], cosine, sine);
    *cosine += at;
    *sine += at;
}

static void before_attention(const gn__block *k, size_t i)
{
    gn__learner *l = k->l;
    const gn__recipe *r = l->r;
    const gn__learnt_layer *y = gn__layer_of(l, i);
    const gn__tape *t = &l->tape[i];
    const float *x = t->x + k->row * r->dim;
    size_t q = r->heads * r->head_dim, kv = r->kv_heads * r->head_dim, width = q + 2 * kv;
    int local = r->local[i];
    size_t pairs = r->rotary[local].pairs;
    float *to = t->triple + k->row * width;
    if (y->norm[GN__ATTENTION_BEFORE].gamma != NULL) {
        gn__learner_norm(l, &y->norm[GN__ATTENTION_BEFORE], k->b->h, x, GN__ROWS, r->dim);
        x = k->b->h;
    }
    gn__learner_run(l, k->b, &y->linear[GN__QKV], i, GN__QKV, k->row, x, to);
    for (size_t row = k->row; row < k->row + GN__ROWS; row++, to += width) {
        if (y->query_norm.gamma != NULL) {
            memcpy(t->raw + row * (q + kv), to, (q + kv) * sizeof *to);
            gn__learner_norm(l, &y->query_norm, to, to, r->heads, r->head_dim);
            gn__learner_norm(l, &y->key_norm, to + q, to + q, r->kv_heads, r->head_dim);
        }
        if (pairs == 0 || row >= l->rows) continue;
        const float *cosine, *sine;
        gn__learner_turns(l, local, row, &cosine, &sine);
        l->ops->rotate(to, cosine, sine, r->heads + r->kv_heads, r->head_dim, pairs);
    }
}

void gn__learner_attending(const gn__learner *l, size_t i, size_t text, gn__bench *b, gn__attending *out,
                           gn__drop *drop)
{
    const gn__recipe *r = l->r;
    const gn__tape *t = &l->tape[i];
    const gn__positions *p = &l->places;
    size_t q = r->heads * r->head_dim, kv = r->kv_heads * r->head_dim, width = q + 2 * kv;
    size_t row = l->first[text];
    int local = r->local[i];
    *out = (gn__attending){.q = t->triple + row * width,
                           .stride = width,
                           .out = t->mixed + row * q,
                           .out_stride = q,
                           .level = t->level + row * r->heads,
                           .tokens = l->first[text + 1] - row,
                           .heads = r->heads,
                           .kv_heads = r->kv_heads,
                           .head_dim = r->head_dim,
                           .causal = r->causal,
                           .scale = r->attention_scale,
                           .before = local ? r->before : 0,
                           .after = local ? r->after : 0,
                           .cap = r->cap,
                           .bias = p->bias ? p->bias + p->tokens - 1 : NULL,
                           .bias_stride = p->bias_stride,
                           .row = p->row ? p->row + p->tokens - 1 : NULL,
                           .scratch = b->attention};
    out->k = out->q + q;
    out->v = out->k + kv;
    const gn__learnt_layer *y = gn__layer_of(l, i);
    out->position_key = y->positions[0];
    out->position_query = y->positions[1];
    if (l->drop.row == NULL || !(l->drop.attention > 0)) return;
    *drop = (gn__drop){.key = {l->drop_key[0], l->drop_key[1]},
                       .text = (uint32_t)l->drop.row[text],
                       .place = gn__drop_place(GN__DROP_ATTENTION, i),
                       .probability = l->drop.attention};
    out->drop = drop;
}

static void attend(void *arg, size_t begin, size_t end, unsigned worker)
{
    gn__learner *l = arg;
    for (size_t piece = begin; piece < end; piece++) {
        gn__attending a;
        gn__drop drop;
        gn__learner_attending(l, l->current, piece / l->r->kv_heads, &l->bench[worker], &a, &drop);
        l->back->attend(&a, piece % l->r->kv_heads);
    }
}

/* sum = x + what `product` makes of `from`, through the norm inside if there is one. */
static void add_part(const gn__block *k, size_t i, gn__learnt_product product, const float *from,
                     const float *x, float *inside, float *sum)
{
    gn__learner *l = k->l;
    size_t n = GN__ROWS * l->r->dim;
    bool out = product == GN__OUT;
    const gn__learnt_layer *y = gn__layer_of(l, i);
    const gn__learnt_norm *norm = &y->norm[out ? GN__ATTENTION_INSIDE : GN__MLP_INSIDE];
    float *part = k->b->y;
    gn__learner_run(l, k->b, &y->linear[product], i, (int)product, k->row, from, part);
    gn__learner_drop(l, out ? l->drop.out : l->drop.mlp_out,
                     gn__drop_place(out ? GN__DROP_OUT : GN__DROP_MLP_OUT, i), k->row, part, l->r->dim);
    if (norm->gamma != NULL) {
        memcpy(inside, part, n * sizeof *part);
        gn__learner_norm(l, norm, part, part, GN__ROWS, l->r->dim);
    }
    l->back->sum(sum, x, part, n);
}

void gn__learner_mlp_input(const gn__learner *l, size_t i, size_t row, float *h, float *m,
                           const float **state, const float **base, const float **input)
{
    const gn__recipe *r = l->r;
    const gn__learnt_layer *y = gn__layer_of(l, i);
    const float *x = l->tape[i].x + row * r->dim, *sum = l->tape[i].sum[0] + row * r->dim;
    *state = sum;
    if (y->norm[GN__ATTENTION_POST].gamma != NULL) {
        gn__learner_norm(l, &y->norm[GN__ATTENTION_POST], h, sum, GN__ROWS, r->dim);
        *state = h;
    }
    *base = NULL;
    *input = *state;
    if (y->norm[GN__MLP_BEFORE].gamma == NULL) return;
    *base = r->parallel ? x : *state;
    gn__learner_norm(l, &y->norm[GN__MLP_BEFORE], m, *base, GN__ROWS, r->dim);
    *input = m;
}

void gn__learner_activate(const gn__learner *l, size_t i, size_t row, const float *u, float *a)
{
    const gn__recipe *r = l->r;
    if (r->gated)
        l->back->gate(r->activation, u, a, GN__ROWS, r->inner);
    else
        l->back->activation(r->activation, u, a, GN__ROWS * r->inner);
    gn__learner_drop(l, l->drop.inner, gn__drop_place(GN__DROP_INNER, i), row, a, r->inner);
}

static void after_attention(const gn__block *k, size_t i)
{
    gn__learner *l = k->l;
    const gn__recipe *r = l->r;
    const gn__learnt_layer *y = gn__layer_of(l, i);
    const gn__tape *t = &l->tape[i];
    size_t at = k->row * r->dim, inner = r->gated ? 2 * r->inner : r->inner;
    float *next = l->tape[i + 1].x + at, *u = t->u + k->row * inner;
    const float *state, *base, *input;
    add_part(k, i, GN__OUT, t->mixed + k->row * r->heads * r->head_dim, t->x + at,
             t->inside[0] ? t->inside[0] + at : NULL, t->sum[0] + at);
    gn__learner_mlp_input(l, i, k->row, k->b->h, k->b->m, &state, &base, &input);
    gn__learner_run(l, k->b, &y->linear[GN__MLP_IN], i, GN__MLP_IN, k->row, input, u);
    bool post = y->norm[GN__MLP_POST].gamma != NULL;
    if (l->again && !post && t->inside[1] == NULL) return; /* nothing looks at the rest */
    gn__learner_activate(l, i, k->row, u, k->b->wide);
    float *sum = post ? t->sum[1] + at : next;
    add_part(k, i, GN__MLP_OUT, k->b->wide, state, t->inside[1] ? t->inside[1] + at : NULL, sum);
    if (post) gn__learner_norm(l, &y->norm[GN__MLP_POST], next, sum, GN__ROWS, r->dim);
}

static void start(const gn__block *k, size_t layer)
{
    (void)layer;
    gn__learner_embed(k);
    before_attention(k, 0);
}

/* From behind attention of a layer to before that of the next. */
static void go_on(const gn__block *k, size_t i)
{
    after_attention(k, i);
    if (i == 0 && k->l->conv != NULL) gn__learner_convolve(k);
    if (i + 1 < k->l->r->layers)
        before_attention(k, i + 1);
    else
        gn__learner_finish(k);
}

/* ---- a layer again ------------------------------------------------------------------------------ */

static void clear_mixed(const gn__learner *l)
{
    size_t q = l->r->heads * l->r->head_dim;
    memset(l->tape[l->current].mixed + l->rows * q, 0, (l->padded - l->rows) * q * sizeof(float));
}

gn_status gn__learner_again(gn_context *ctx, gn__learner *l, size_t layer, gn_error *err)
{
    l->current = layer;
    GN__TRY(gn__learner_blocks(ctx, l, l->padded, before_attention, err));
    clear_mixed(l);
    GN__TRY(gn__parallel_for(ctx, l->texts * l->r->kv_heads, 1, attend, l, err));
    l->again = true;
    gn_status status = gn__learner_blocks(ctx, l, l->padded, after_attention, err);
    l->again = false;
    return status;
}

/* ---- the whole -------------------------------------------------------------------------------------------
 */

static void lay_tokens(gn__learner *l, const gn__sequence *sequence, size_t count)
{
    const gn__recipe *r = l->r;
    size_t row = 0;
    for (size_t s = 0; s < count; s++) {
        size_t place = r->position_offset;
        l->first[s] = row;
        for (size_t t = 0; t < sequence[s].count; t++, row++) {
            bool pad = sequence[s].id[t] == r->pad_token;
            l->id[row] = sequence[s].id[t];
            l->place[row] = (uint32_t)(pad ? r->position_offset - 1 : place);
            l->at[row] = (uint32_t)t;
            l->text[row] = (uint32_t)s;
            place += !pad;
        }
    }
    l->first[count] = l->rows = row;
    l->padded = (row + GN__ROWS - 1) / GN__ROWS * GN__ROWS;
    l->texts = count;
    for (; row < l->padded; row++) l->at[row] = l->place[row] = 0, l->id[row] = 0;
}

static void pool(void *arg, size_t begin, size_t end, unsigned worker)
{
    gn__learner *l = arg;
    for (size_t s = begin; s < end; s++) gn__learner_pool(l, s, &l->bench[worker]);
}

static void to_logits(const gn__learner *l, float *logits)
{
    size_t n = l->m->info.dim;
    const float *w = l->head_weight->value, *bias = l->head_bias->value;
    for (size_t s = 0; s < l->texts; s++)
        for (size_t c = 0; c < l->classes; c++) {
            double sum = (double)bias[c];
            for (size_t j = 0; j < n; j++) sum += (double)l->pooled[s * n + j] * (double)w[c * n + j];
            logits[s * l->classes + c] = (float)sum;
        }
}

gn_status gn__learner_forward(gn_context *ctx, gn__learner *l, const gn__sequence *sequence, size_t count,
                              const gn__dropout *dropout, float *logits, float *pooled, gn_error *err)
{
    const gn__recipe *r = l->r;
    lay_tokens(l, sequence, count);
    l->drop = dropout != NULL ? *dropout : (gn__dropout){0};
    if (dropout != NULL) {
        gn__rng name = gn__rng_make(dropout->seed, gn__purpose("learner/dropout"), dropout->step);
        l->drop_key[0] = gn__rng_u32(&name);
        l->drop_key[1] = gn__rng_u32(&name);
    }
    atomic_store(&l->failed, false);
    GN__TRY(gn__learner_blocks(ctx, l, l->padded, start, err));
    for (l->current = 0; l->current < r->layers; l->current++) {
        clear_mixed(l);
        GN__TRY(gn__parallel_for(ctx, count * r->kv_heads, 1, attend, l, err));
        GN__TRY(gn__learner_blocks(ctx, l, l->padded, go_on, err));
    }
    GN__TRY(gn__parallel_for(ctx, count, 1, pool, l, err));
    if (atomic_load(&l->failed))
        return gn__fail(err, GN_NUMERIC, "oneDNN failed in a matrix product of %s", l->m->info.name);
    to_logits(l, logits);
    if (pooled != NULL) memcpy(pooled, l->pooled, count * l->m->info.dim * sizeof *pooled);
    return GN_OK;
}
