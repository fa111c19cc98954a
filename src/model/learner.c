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
    l->bytes += rows * cols * sizeof(float);
    if (l->counting) return NULL;
    float *x = gn__mul_size(rows, cols ? cols : 1, &n) ? gn__aligned(n, sizeof *x) : NULL;
    if (x != NULL) memset(x, 0, n * sizeof *x);
    return l->owned[l->owns++] = x;
}

/* ---- sizes -------------------------------------------------------------------------------------- */

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

/* ---- linear layers ------------------------------------------------------------------------------ */

static gn_status make_one(gn__learner *l, size_t inputs, size_t outputs, bool bias, gn__linear **out,
                          gn_error *err)
{
    const float one = 1; /* stands for "there is a bias" */
    l->bytes += inputs * outputs * (l->tune.dtype == GN_DTYPE_BF16 ? 2 : 4);
    if (l->counting || *out != NULL) return GN_OK;
    return gn__linear_create(l->m->engine, NULL, bias ? &one : NULL, inputs, outputs, false, l->tune.dtype,
                             out, err);
}

static gn_status make_linear(gn__learner *l, gn__learnt_linear *x, bool back, gn_error *err)
{
    if (x->weight == NULL) return GN_OK;
    GN__TRY(make_one(l, x->inputs, x->outputs, x->bias != NULL, &x->there, err));
    x->lent = back && l->tune.dtype == GN_DTYPE_F32 && x->weight->trained;
    if (x->lent && !l->counting)
        GN__TRY(gn__linear_borrow(l->m->engine, x->outputs, x->inputs, &x->back, err));
    else if (back && !x->lent)
        GN__TRY(make_one(l, x->outputs, x->inputs, false, &x->back, err));
    for (size_t k = 0; k < x->adapters; k++) {
        gn__adapter *a = x->adapter[k];
        size_t rank = l->tune.lora_rank;
        GN__TRY(make_one(l, x->inputs, rank, false, &a->down, err));
        GN__TRY(make_one(l, rank, a->outputs, false, &a->up, err));
        GN__TRY(make_one(l, rank, x->inputs, false, &a->down_back, err));
        GN__TRY(make_one(l, a->outputs, rank, false, &a->up_back, err));
    }
    return GN_OK;
}

/* Is the way back asked for below this stored layer's products? */
static bool goes_back(const gn__learner *l, size_t stored)
{
    const gn__recipe *r = l->r;
    for (size_t i = l->lowest; i < r->layers; i++)
        if (gn__stored_layer(r, i) == stored) return true;
    return false;
}

static gn_status make_linears(gn__learner *l, gn_error *err)
{
    bool back = l->tune.what != GN_TUNE_HEAD;
    GN__TRY(make_linear(l, &l->projection, l->embeds, err));
    GN__TRY(make_linear(l, &l->output, back, err));
    for (size_t g = 0; l->conv != NULL && g < l->r->conv_groups; g++)
        GN__TRY(make_linear(l, &l->conv[g], l->embeds, err));
    for (size_t i = 0; i < l->r->stored; i++) {
        for (int k = 0; k < GN__PRODUCTS; k++)
            GN__TRY(make_linear(l, &l->layer[i].linear[k], goes_back(l, i), err));
        for (int k = 0; k < 2; k++) GN__TRY(make_linear(l, &l->layer[i].position[k], goes_back(l, i), err));
    }
    return GN_OK;
}

static gn_status make_outer(gn__learner *l, size_t outputs, size_t y_stride, size_t inputs, size_t x_stride,
                            bool narrow, gn__outer **out, gn_error *err)
{
    return gn__outer_create(l->m->engine, outputs, y_stride, inputs, x_stride,
                            narrow ? GN_DTYPE_BF16 : GN_DTYPE_F32, out, err);
}

static gn_status outers_of(gn__learner *l, const gn__learnt_linear *x, bool narrow, gn__outers *out,
                           gn_error *err)
{
    size_t rank = l->tune.lora_rank, all = rank * x->adapters;
    if (x->weight == NULL) return GN_OK;
    if (x->weight->trained)
        GN__TRY(make_outer(l, x->outputs, x->outputs, x->inputs, x->inputs, narrow, &out->weight, err));
    if (x->adapters > 0) GN__TRY(make_outer(l, rank, all, x->inputs, x->inputs, false, &out->a, err));
    for (size_t k = 0; k < x->adapters; k++)
        GN__TRY(make_outer(l, x->adapter[k]->outputs, x->outputs, rank, all, false, &out->b[k], err));
    return GN_OK;
}

/* All layers have the same shapes. */
static gn_status make_outers(gn__learner *l, gn_error *err)
{
    size_t top = l->r->stored;
    while (top > 0 && !l->layer[top - 1].trained) top--;
    if (l->counting) return GN_OK;
    GN__TRY(outers_of(l, &l->projection, false, &l->outer_projection, err));
    GN__TRY(outers_of(l, &l->output, false, &l->outer_output, err));
    if (l->conv != NULL) GN__TRY(outers_of(l, &l->conv[0], false, &l->outer_conv, err));
    if (top == 0) return GN_OK;
    const gn__learnt_layer *y = &l->layer[top - 1];
    for (int k = 0; k < GN__PRODUCTS; k++) GN__TRY(outers_of(l, &y->linear[k], l->narrow, &l->outer[k], err));
    int which = y->position[0].adapters > 0 || y->position[1].weight == NULL ? 0 : 1;
    return outers_of(l, &y->position[which], false, &l->outer_position, err);
}

/* ---- buffers ------------------------------------------------------------------------------------ */

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

/* Layers below the lowest share one tape, whose inputs take turns; where layers are computed again, all share
 * it. */
static void make_tapes(gn__learner *l)
{
    const gn__recipe *r = l->r;
    gn__tape shared = {0};
    float *turn[2] = {NULL};
    if (l->lowest > 0 || l->recompute) make_tape(l, &shared);
    if (l->lowest > 0) {
        turn[0] = own(l, l->capacity_rows, r->dim);
        turn[1] = own(l, l->capacity_rows, r->dim);
    }
    for (size_t i = 0; i <= r->layers; i++) {
        if (i < l->lowest) {
            l->tape[i] = shared;
            l->tape[i].x = turn[i % 2];
            continue;
        }
        if (l->recompute)
            l->tape[i] = shared;
        else if (i < r->layers)
            make_tape(l, &l->tape[i]);
        l->tape[i].x = own(l, l->capacity_rows, r->dim);
    }
}

static void make_adapter_wake(gn__learner *l)
{
    gn__wake *w = &l->wake;
    for (int k = 0; k < GN__PRODUCTS; k++) {
        const gn__learnt_linear *x = &l->layer[0].linear[k];
        if (x->adapters == 0) continue;
        w->taken[k] = own(l, most(l->capacity_rows, l->relative_rows), x->inputs);
        w->z[k] = own(l, l->capacity_rows, x->adapters * l->tune.lora_rank);
        w->by_z[k] = own(l, l->capacity_rows, x->adapters * l->tune.lora_rank);
    }
}

/* Is a weight of the layers' relative positions, or of their table, trained? */
static bool places_back(const gn__learner *l)
{
    bool trained = l->relative->trained;
    for (size_t i = 0; i < l->r->stored; i++)
        for (int k = 0; k < 2; k++) {
            const gn__learnt_linear *x = &l->layer[i].position[k];
            trained = trained || x->adapters > 0 || (x->weight != NULL && x->weight->trained);
        }
    return trained;
}

static void make_position_wake(gn__learner *l)
{
    gn__wake *w = &l->wake;
    size_t rows = l->relative_rows, width = l->r->heads * l->r->head_dim;
    if (l->relative == NULL || !places_back(l)) return;
    w->by_relative = own(l, rows, l->r->dim);
    for (int k = 0; k < 2; k++) {
        const gn__learnt_linear *x = &l->layer[0].position[k];
        if (x->weight == NULL) continue;
        w->by_position[k] = own(l, rows, width);
        if (x->adapters == 0) continue;
        w->position_z[k] = own(l, rows, l->tune.lora_rank);
        w->position_by_z[k] = own(l, rows, l->tune.lora_rank);
        if (w->taken[GN__QKV] == NULL) w->taken[GN__QKV] = own(l, rows, x->inputs);
    }
}

static void make_positions(gn__learner *l)
{
    size_t rows = l->relative_rows, width = l->r->heads * l->r->head_dim;
    if (l->relative == NULL) return;
    l->relative_table = own(l, rows, l->r->dim);
    l->relative_input = own(l, rows, l->r->dim);
    for (size_t i = 0; i < l->r->stored; i++)
        for (int k = 0; k < 2; k++)
            if (l->layer[i].position[k].weight != NULL) l->layer[i].positions[k] = own(l, rows, width);
}

/* Half as wide as floats. */
static uint16_t *own_narrow(gn__learner *l, size_t rows, size_t cols)
{
    return (uint16_t *)(void *)own(l, rows, (cols + 1) / 2);
}

static void make_narrow(gn__learner *l)
{
    for (int k = 0; k < GN__PRODUCTS; k++) {
        const gn__learnt_linear *x = &l->layer[0].linear[k];
        l->wake.narrow[k][0] = own_narrow(l, l->capacity_rows, x->outputs);
        l->wake.narrow[k][1] = own_narrow(l, l->capacity_rows, x->inputs);
    }
}

static void make_wake(gn__learner *l)
{
    const gn__recipe *r = l->r;
    gn__wake *w = &l->wake;
    size_t rows = l->capacity_rows, q = r->heads * r->head_dim;
    if (l->lowest == r->layers && l->tune.what == GN_TUNE_HEAD) return;
    w->by_hidden = own(l, rows, r->dim);
    if (l->narrow) {
        make_narrow(l);
    } else {
        w->by_out = own(l, rows, r->dim);
        w->by_mlp_out = own(l, rows, r->dim);
        w->by_u = own(l, rows, inner_of(r));
        w->a = own(l, rows, r->inner);
        w->m = own(l, rows, r->dim);
        w->n = own(l, rows, r->dim);
    }
    w->by_mixed = own(l, rows, q);
    w->by_triple = own(l, rows, triple_of(r));
    if (l->embeds) {
        w->by_embedded = own(l, rows, r->embedding);
        if (l->projection.weight != NULL && l->embedding_norm.gamma != NULL && !r->norm_projected)
            w->normed = own(l, rows, r->embedding);
    }
    if (l->output.weight != NULL) {
        w->by_last = own(l, rows, r->output);
        if (l->output.weight->trained && l->final_norm.gamma != NULL) w->normed_last = own(l, rows, r->dim);
    }
    if (l->conv != NULL && (l->embeds || l->conv[0].weight->trained)) {
        w->by_conv = own(l, rows, r->dim);
        w->taps = own(l, rows, r->conv * r->dim);
    }
    if (l->buckets != NULL && l->buckets->trained)
        w->by_bias = own(l, r->heads, 2 * l->longest - 1 + GN__BIAS_SLACK);
    make_adapter_wake(l);
    make_position_wake(l);
    w->partial_width = 2 * (GN__NORM_PLACES * most(r->dim, r->embedding) + 2 * r->head_dim);
    w->partial = own(l, most(rows, l->relative_rows) / GN__ROWS, w->partial_width);
}

static gn_status make_buffers(gn__learner *l, gn_error *err)
{
    const gn__recipe *r = l->r;
    size_t rows = l->capacity_rows;
    l->embedded = own(l, rows, r->embedding);
    if (l->projection.weight != NULL && l->embedding_norm.gamma != NULL && r->norm_projected)
        l->projected = own(l, rows, r->dim);
    if (l->conv != NULL) {
        l->conv_u = own(l, rows, r->dim);
        l->conv_sum = own(l, rows, r->dim);
    }
    make_tapes(l);
    l->last = own(l, rows, r->output);
    l->pooled = own(l, l->most_texts, l->m->info.dim);
    l->by_pooled = own(l, l->most_texts, l->m->info.dim);
    l->zeros = own(l, 1, most(r->dim, r->embedding));
    make_positions(l);
    make_wake(l);
    if (l->counting) return GN_OK;
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

enum { LINEARS = 2 * (1 + 2 * GN__ADAPTERS) }; /* of one linear layer and its adapters */

/* Every product: layers differ where a trained one's way back reads its weight in place, a frozen one's that
 * stands above it packs it. */
typedef struct shapes {
    const gn__linear **all;
    size_t count, widest, outer;
} shapes;

static void add_shape(shapes *s, const gn__linear *x)
{
    if (x == NULL) return;
    s->all[s->count++] = x;
    s->widest = most(s->widest, most(gn__linear_inputs(x), gn__linear_outputs(x)));
}

static void add_shapes(shapes *s, const gn__learnt_linear *x)
{
    add_shape(s, x->there);
    add_shape(s, x->back);
    for (size_t k = 0; k < x->adapters; k++) {
        add_shape(s, x->adapter[k]->down);
        add_shape(s, x->adapter[k]->up);
        add_shape(s, x->adapter[k]->down_back);
        add_shape(s, x->adapter[k]->up_back);
    }
}

static void add_outer(shapes *s, const gn__outer *o)
{
    if (o != NULL) s->outer = most(s->outer, gn__outer_scratch(o));
}

static void add_outers(shapes *s, const gn__outers *o)
{
    add_outer(s, o->weight);
    add_outer(s, o->a);
    for (int i = 0; i < GN__ADAPTERS; i++) add_outer(s, o->b[i]);
}

/* s->all: for the caller to free. */
static gn_status list_shapes(const gn__learner *l, shapes *s, gn_error *err)
{
    size_t most_linears = LINEARS * ((GN__PRODUCTS + 2) * l->r->stored + 3);
    *s = (shapes){.all = gn__calloc(most_linears, sizeof *s->all), .outer = 64};
    if (s->all == NULL) return gn__no_memory(err, most_linears * sizeof *s->all);
    for (size_t i = 0; i < l->r->stored; i++) {
        for (int k = 0; k < GN__PRODUCTS; k++) add_shapes(s, &l->layer[i].linear[k]);
        for (int k = 0; k < 2; k++) add_shapes(s, &l->layer[i].position[k]);
    }
    for (int k = 0; k < GN__PRODUCTS; k++) add_outers(s, &l->outer[k]);
    add_shapes(s, &l->projection);
    add_shapes(s, &l->output);
    if (l->conv != NULL) add_shapes(s, &l->conv[0]);
    add_outers(s, &l->outer_projection);
    add_outers(s, &l->outer_output);
    add_outers(s, &l->outer_conv);
    add_outers(s, &l->outer_position);
    return GN_OK;
}

static gn_status make_bench(gn__learner *l, const shapes *s, gn__bench *b, gn_error *err)
{
    const gn__recipe *r = l->r;
    size_t dim = most(r->dim, r->embedding), rank = l->tune.what == GN_TUNE_LORA ? l->tune.lora_rank : 0;
    size_t wide = most(most(inner_of(r), dim), most(triple_of(r), s->widest));
    if (r->conv > 0) wide = most(wide, r->conv * r->dim / r->conv_groups);
    size_t attention = gn__attending_scratch(l->longest, r->head_dim, 2 * r->span);
    l->bytes += (GN__ROWS * (3 * dim + (rank ? 3 : 1) * wide + rank) + attention) * sizeof(float) + s->outer;
    const size_t room[GN__ROOMS] = {r->dim, r->dim, inner_of(r), r->inner, r->dim, r->dim};
    for (int k = 0; k < GN__ROOMS && l->narrow; k++) l->bytes += GN__ROWS * room[k] * sizeof(float);
    if (l->counting) return GN_OK;
    b->y = gn__aligned(GN__ROWS * dim, sizeof *b->y);
    b->h = gn__aligned(GN__ROWS * dim, sizeof *b->h);
    b->m = gn__aligned(GN__ROWS * dim, sizeof *b->m);
    b->wide = gn__aligned(GN__ROWS * wide, sizeof *b->wide);
    b->low = gn__aligned(GN__ROWS * (rank ? rank : 1), sizeof *b->low);
    b->high = gn__aligned(rank ? 2 * GN__ROWS * wide : 1, sizeof *b->high);
    b->attention = gn__aligned(attention, sizeof(float));
    b->pool = gn__aligned(gn__learner_pool_scratch(l), sizeof *b->pool);
    b->outer = gn__aligned(s->outer, 1);
    for (int k = 0; k < GN__ROOMS && l->narrow; k++) {
        b->room[k] = gn__aligned(GN__ROWS * room[k], sizeof *b->room[k]);
        if (b->room[k] == NULL) return gn__no_memory(err, GN__ROWS * room[k] * sizeof *b->room[k]);
    }
    if (!b->y || !b->h || !b->m || !b->wide || !b->low || !b->high || !b->attention || !b->pool || !b->outer)
        return gn__no_memory(err, GN__ROWS * (3 * dim + wide) * sizeof(float));
    return gn__lane_create(l->m->engine, s->all, s->count, &b->lane, err);
}

static gn_status make_benches(gn__learner *l, gn_error *err)
{
    shapes s;
    gn_status status = list_shapes(l, &s, err);
    for (unsigned i = 0; i < l->threads && status == GN_OK; i++)
        status = make_bench(l, &s, &l->bench[i], err);
    free(s.all);
    return status;
}

/* ---- the whole -------------------------------------------------------------------------------------------
 */

static gn_status set_up(gn_context *ctx, gn__learner *l, gn_error *err)
{
    enum { OWN = 64, OWN_OF_LAYER = 16 };
    l->owned = gn__calloc(OWN + OWN_OF_LAYER * (l->r->layers + 1), sizeof *l->owned);
    l->tape = gn__calloc(l->r->layers + 1, sizeof *l->tape);
    l->bench = gn__calloc(l->threads, sizeof *l->bench);
    if (l->owned == NULL || l->tape == NULL || l->bench == NULL)
        return gn__no_memory(err, l->r->layers * sizeof *l->tape);
    GN__TRY(gn__learner_bind(ctx, l, err));
    l->relative_rows = l->relative != NULL ? whole_blocks(2 * l->r->span) : 0;
    GN__TRY(make_linears(l, err));
    GN__TRY(make_outers(l, err));
    /* Before there are buffers, as packing takes copies for a while. */
    if (!l->counting) GN__TRY(gn__learner_pack(ctx, l, true, err));
    GN__TRY(make_buffers(l, err));
    GN__TRY(make_benches(l, err));
    return l->counting ? GN_OK : gn__learner_place(ctx, l, err);
}

static gn_status make(gn_context *ctx, const gn_model *m, const gn__learner_options *options,
                      unsigned threads, gn__learner **out, gn_error *err)
{
    gn__learner *l = gn__calloc(1, sizeof *l);
    if (l == NULL) return gn__no_memory(err, sizeof *l);
    l->m = m;
    l->r = &m->recipe;
    l->ops = gn__cpu_ops();
    l->back = gn__cpu_gradients();
    l->tune = *options->tune;
    if (l->tune.dtype != GN_DTYPE_BF16) l->tune.dtype = GN_DTYPE_F32;
    if (l->tune.lora_rank == 0) l->tune.lora_rank = 8;
    if (!(l->tune.lora_alpha > 0)) l->tune.lora_alpha = 2 * (double)l->tune.lora_rank;
    if (l->tune.lora_target == 0) l->tune.lora_target = GN_LORA_QUERY | GN_LORA_VALUE;
    if (l->tune.last_k == 0) l->tune.last_k = 2;
    l->classes = (size_t)options->classes;
    l->most_tokens = options->most_tokens;
    l->most_texts = options->most_texts;
    l->recompute = options->recompute;
    l->longest =
        m->info.max_length && m->info.max_length < l->most_tokens ? m->info.max_length : l->most_tokens;
    l->capacity_rows = whole_blocks(l->most_tokens);
    l->narrow = l->tune.dtype == GN_DTYPE_BF16 && l->tune.what != GN_TUNE_LORA;
    l->counting = ctx == NULL;
    l->threads = threads;
    *out = l;
    return set_up(ctx, l, err);
}

gn_status gn__learner_create(gn_context *ctx, const gn_model *m, const gn__learner_options *options,
                             gn__learner **out, gn_error *err)
{
    gn__learner *l = NULL;
    if (m->control != NULL || m->endpoint != NULL)
        return gn__fail(err, GN_UNSUPPORTED, "%s has no weights that could be trained", m->info.name);
    gn_status status = make(ctx, m, options, gn_context_threads(ctx), &l, err);
    if (status != GN_OK) {
        gn__learner_free(l);
        return status;
    }
    *out = l;
    return GN_OK;
}

/* Threads whose benches are counted whatever there are, so that a plan, and with it the bits, is the same. */
enum { COUNTED = 8 };

size_t gn__learner_bytes(const gn_model *m, const gn__learner_options *options, size_t *trained)
{
    gn__learner *l = NULL;
    gn_status status = m->control != NULL || m->endpoint != NULL ? GN_UNSUPPORTED
                                                                 : make(NULL, m, options, COUNTED, &l, NULL);
    size_t bytes = status == GN_OK ? l->bytes : 0;
    if (trained != NULL) *trained = status == GN_OK ? l->trained : 0;
    gn__learner_free(l);
    return bytes;
}

static void free_linear(gn__learnt_linear *x)
{
    gn__linear_free(x->there);
    gn__linear_free(x->back);
}

static void free_outers(gn__outers *o)
{
    gn__outer_free(o->weight);
    gn__outer_free(o->a);
    for (int i = 0; i < GN__ADAPTERS; i++) gn__outer_free(o->b[i]);
}

static void free_layer(gn__learnt_layer *y)
{
    for (int k = 0; k < GN__PRODUCTS; k++) free_linear(&y->linear[k]);
    for (int k = 0; k < 2; k++) free_linear(&y->position[k]);
}

void gn__learner_free(gn__learner *l)
{
    if (l == NULL) return;
    for (size_t i = 0; i < l->r->stored && l->layer != NULL; i++) free_layer(&l->layer[i]);
    free_linear(&l->projection);
    free_linear(&l->output);
    for (size_t g = 0; l->conv != NULL && g < l->r->conv_groups; g++) free_linear(&l->conv[g]);
    free(l->conv);
    for (size_t i = 0; i < l->adapters; i++) {
        gn__linear_free(l->adapter[i].down), gn__linear_free(l->adapter[i].up);
        gn__linear_free(l->adapter[i].down_back), gn__linear_free(l->adapter[i].up_back);
    }
    for (int k = 0; k < GN__PRODUCTS; k++) free_outers(&l->outer[k]);
    free_outers(&l->outer_projection), free_outers(&l->outer_output);
    free_outers(&l->outer_conv), free_outers(&l->outer_position);
    gn__arena_free(&l->names);
    free(l->adapter);
    for (unsigned i = 0; i < l->threads && l->bench != NULL; i++) {
        gn__bench *b = &l->bench[i];
        gn__lane_free(b->lane);
        free(b->y), free(b->h), free(b->m), free(b->wide), free(b->low), free(b->high);
        free(b->attention), free(b->pool), free(b->outer);
        for (int k = 0; k < GN__ROOMS; k++) free(b->room[k]);
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
