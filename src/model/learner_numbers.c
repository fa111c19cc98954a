/* The numbers of a learner's parameters: from the checkpoint's form, into packed products, and back into the
 * checkpoint's form. */
#include "model/learner_parts.h"

#include <math.h>

/* ---- numbers ------------------------------------------------------------------------------------ */

/* Rows head by head, q k v each, become all of q, all of k, all of v; or back. */
static void untangle(const gn__recipe *r, const float *from, float *to, size_t cols, bool back)
{
    size_t part = r->head_dim * cols;
    for (size_t h = 0; h < r->heads; h++)
        for (size_t k = 0; k < 3; k++) {
            size_t fused = (3 * h + k) * part, apart = (k * r->heads + h) * part;
            memcpy(to + (back ? fused : apart), from + (back ? apart : fused), part * sizeof *to);
        }
}

static void transpose(const float *x, size_t rows, size_t cols, float *y)
{
    enum { TILE = 32 };
    for (size_t i0 = 0; i0 < rows; i0 += TILE)
        for (size_t j0 = 0; j0 < cols; j0 += TILE)
            for (size_t i = i0; i < rows && i < i0 + TILE; i++)
                for (size_t j = j0; j < cols && j < j0 + TILE; j++) y[j * rows + i] = x[i * cols + j];
}

/* Of each output: [rows × cols] becomes [cols × rows]. */
static void turn_taps(const float *from, size_t outputs, size_t rows, size_t cols, float *to)
{
    for (size_t i = 0; i < outputs; i++, from += rows * cols, to += rows * cols)
        transpose(from, rows, cols, to);
}

/* Changes between the checkpoint's form and the learner's; from and to must not overlap. */
static void reform(const gn__learner *l, const gn__source *s, const float *from, float *to, bool back)
{
    size_t n = s->outputs * s->inputs;
    switch (s->form) {
    case GN__FORM_PLAIN:
        memcpy(to, from, n * sizeof *to);
        return;
    case GN__FORM_TURNED:
        transpose(from, back ? s->outputs : s->inputs, back ? s->inputs : s->outputs, to);
        return;
    case GN__FORM_TANGLED:
        untangle(l->r, from, to, s->inputs, back);
        return;
    case GN__FORM_PLUS_ONE:
        for (size_t i = 0; i < n; i++) to[i] = back ? from[i] - 1 : from[i] + 1;
        return;
    case GN__FORM_TAPS: {
        size_t width = s->tensor->shape[1], taps = s->tensor->shape[2];
        turn_taps(from, s->outputs, back ? taps : width, back ? width : taps, to);
        return;
    }
    }
}

/* spare: [the largest source] */
static void read_weight(const gn__learner *l, const gn__weight *w, float *spare, float *out)
{
    size_t n = w->told.rows * w->told.cols;
    if (w->given != NULL) {
        memcpy(out, w->given, n * sizeof *out);
        return;
    }
    memset(out, 0, n * sizeof *out);
    for (size_t i = 0; i < w->sources; i++) {
        const gn__source *s = &w->source[i];
        gn__tensor_read(s->tensor, 0, s->tensor->elements, s->form == GN__FORM_PLAIN ? out + s->at : spare);
        gn__tensor_forget(s->tensor);
        if (s->form != GN__FORM_PLAIN) reform(l, s, spare, out + s->at, false);
    }
}

static size_t largest_source(const gn__learner *l)
{
    size_t most = 1;
    for (size_t i = 0; i < l->weights; i++)
        for (size_t k = 0; k < l->weight[i].sources; k++)
            if (l->weight[i].source[k].tensor->elements > most)
                most = l->weight[i].source[k].tensor->elements;
    return most;
}

static void start_head(gn__learner *l)
{
    const gn_tune_options *o = &l->tune;
    size_t n = l->classes * l->m->info.dim;
    gn__rng r = gn__rng_make(o->seed, gn__purpose("learner/head"), 0);
    for (size_t i = 0; i < n; i++)
        l->head_weight->value[i] = o->head_weight ? o->head_weight[i] : (float)(0.02 * gn__rng_normal(&r));
    for (size_t c = 0; c < l->classes; c++) l->head_bias->value[c] = o->head_bias ? o->head_bias[c] : 0;
}

/* A: normal, variance 1 / rank; B: 0, so that nothing changes at first. */
static void start_adapters(gn__learner *l)
{
    size_t rank = l->tune.lora_rank;
    double scale = rank > 0 ? 1 / sqrt((double)rank) : 0;
    for (size_t i = 0; i < l->adapters; i++) {
        const gn__adapter *a = &l->adapter[i];
        gn__rng r = gn__rng_make(l->tune.seed, gn__purpose("learner/adapter"), i);
        size_t n = a->a->told.rows * a->a->told.cols;
        for (size_t j = 0; j < n; j++) a->a->value[j] = (float)(scale * gn__rng_normal(&r));
        memset(a->b->value, 0, a->b->told.rows * a->b->told.cols * sizeof(float));
    }
}

/* Frozen vectors are kept; frozen tables are read where they lie, and matrices only to be packed. */
static bool is_kept(const gn__learner *l, const gn__weight *w)
{
    return w->told.rows == 1 || (w->told.place == GN__PLACE_AFTER && w != l->output.weight);
}

gn_status gn__learner_read(gn__learner *l, gn_error *err)
{
    size_t most = largest_source(l), kept = 0;
    float *spare = gn__aligned(most, sizeof *spare);
    if (spare == NULL) return gn__no_memory(err, most * sizeof *spare);
    for (size_t i = 0; i < l->weights; i++)
        if (!l->weight[i].trained && is_kept(l, &l->weight[i]))
            kept += l->weight[i].told.rows * l->weight[i].told.cols;
    l->bytes += kept * sizeof *spare;
    if (l->counting) {
        free(spare);
        return GN_OK;
    }
    float *own = l->owned[l->owns++] = gn__aligned(kept, sizeof *own);
    if (own == NULL) {
        free(spare);
        return gn__no_memory(err, kept * sizeof *own);
    }
    for (size_t i = 0; i < l->weights; i++) {
        gn__weight *w = &l->weight[i];
        if (w->told.place == GN__PLACE_HEAD || gn__is_adapter_weight(w)) continue;
        if (!w->trained && !is_kept(l, w)) continue;
        if (!w->trained) w->value = own, own += w->told.rows * w->told.cols;
        read_weight(l, w, spare, w->value);
    }
    free(spare);
    start_head(l);
    start_adapters(l);
    return GN_OK;
}

/* ---- packing ---------------------------------------------------------------------------------------------
 */

typedef struct packing {
    gn__learner *l;
    bool all;
    atomic_int status;
} packing;

static gn_status pack_adapters(const gn__learnt_linear *x)
{
    for (size_t k = 0; k < x->adapters; k++) {
        const gn__adapter *a = x->adapter[k];
        GN__TRY(gn__linear_renew(a->down, a->a->value, false, NULL, NULL));
        GN__TRY(gn__linear_renew(a->up, a->b->value, false, NULL, NULL));
        GN__TRY(gn__linear_renew(a->down_back, a->a->value, true, NULL, NULL));
        GN__TRY(gn__linear_renew(a->up_back, a->b->value, true, NULL, NULL));
    }
    return GN_OK;
}

static gn_status pack_one(gn__learner *l, gn__learnt_linear *x, bool all)
{
    gn_status status = GN_OK;
    if (x->weight == NULL) return GN_OK;
    float *weight = x->weight->value, *own = NULL, *spare = NULL;
    const float *bias = x->bias ? x->bias->value + x->row : NULL;
    GN__TRY(pack_adapters(x));
    if (!all && !x->weight->trained && (x->bias == NULL || !x->bias->trained)) return GN_OK;
    if (weight == NULL) {
        size_t n = x->weight->told.rows * x->weight->told.cols; /* of which this layer may be a part */
        own = gn__aligned(n, sizeof *own);
        spare = gn__aligned(n, sizeof *spare);
        if (own == NULL || spare == NULL) status = GN_NO_MEMORY;
        if (status == GN_OK) read_weight(l, x->weight, spare, own);
        weight = own;
    }
    if (status == GN_OK) weight += x->row * x->inputs;
    if (status == GN_OK) status = gn__linear_renew(x->there, weight, false, bias, NULL);
    if (status == GN_OK && x->lent) status = gn__linear_lend(x->back, weight, NULL);
    if (status == GN_OK && x->back != NULL && !x->lent)
        status = gn__linear_renew(x->back, weight, true, NULL, NULL);
    free(own);
    free(spare);
    return status;
}

static gn_status pack_outside(gn__learner *l, bool all)
{
    GN__TRY(pack_one(l, &l->projection, all));
    for (size_t g = 0; l->conv != NULL && g < l->r->conv_groups; g++) GN__TRY(pack_one(l, &l->conv[g], all));
    return pack_one(l, &l->output, all);
}

/* A stored layer a piece, as its parts share adapters; then what stands outside of them. */
static void pack_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    packing *p = arg;
    gn__learner *l = p->l;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        gn_status status = GN_OK;
        if (i == l->r->stored) status = pack_outside(l, p->all);
        for (int k = 0; k < GN__PRODUCTS && i < l->r->stored && status == GN_OK; k++)
            status = pack_one(l, &l->layer[i].linear[k], p->all);
        for (int k = 0; k < 2 && i < l->r->stored && status == GN_OK; k++)
            status = pack_one(l, &l->layer[i].position[k], p->all);
        if (status != GN_OK) atomic_store(&p->status, (int)status);
    }
}

gn_status gn__learner_pack(gn_context *ctx, gn__learner *l, bool all, gn_error *err)
{
    packing p = {.l = l, .all = all};
    GN__TRY(gn__parallel_for(ctx, l->r->stored + 1, 1, pack_piece, &p, err));
    int status = atomic_load(&p.status);
    if (status == GN_NO_MEMORY) return gn__no_memory(err, l->r->dim * l->r->inner * sizeof(float));
    if (status != GN_OK)
        return gn__fail(err, GN_NUMERIC, "oneDNN failed in a matrix product of %s", l->m->info.name);
    return GN_OK;
}

gn_status gn__learner_refresh(gn_context *ctx, gn__learner *l, gn_error *err)
{
    if (l->tune.what == GN_TUNE_HEAD) return GN_OK; /* nothing is derived from the head */
    GN__TRY(gn__learner_pack(ctx, l, false, err));
    return gn__learner_place(ctx, l, err);
}

/* ---- out again -------------------------------------------------------------------------------------------
 */

/* Adapters of one tensor as PEFT has them: those of a fused tensor's parts stand side by side, A on A and B
 * in blocks, as one adapter of so many times the rank; B's rows in the tensor's order. */
static gn_status export_adapters(const gn__learner *l, const gn__learnt_linear *x, const gn__source *s,
                                 gn__put_tensor put, void *arg, gn_error *err)
{
    static const char weight[] = ".weight";
    size_t rank = l->tune.lora_rank, n = 0, from = s->at / x->inputs, name = strlen(s->tensor->name);
    const gn__adapter *of[GN__ADAPTERS];
    size_t first[GN__ADAPTERS];
    for (size_t k = 0; k < x->adapters; k++) {
        if (x->first[k] < from || x->first[k] >= from + s->outputs) continue;
        first[n] = x->first[k] - from;
        of[n++] = x->adapter[k];
    }
    if (n == 0) return GN_OK;
    if (name > sizeof weight - 1 && strcmp(s->tensor->name + name - (sizeof weight - 1), weight) == 0)
        name -= sizeof weight - 1;
    size_t all = n * rank;
    float *a = gn__aligned(all * x->inputs, sizeof *a), *b = gn__calloc(2 * s->outputs, all * sizeof *b);
    gn__buf full = {0};
    gn_status status = GN_OK;
    if (a == NULL || b == NULL) {
        status = gn__no_memory(err, 2 * s->outputs * all * sizeof *b);
        goto done;
    }
    for (size_t k = 0; k < n; k++) {
        memcpy(a + k * rank * x->inputs, of[k]->a->value, rank * x->inputs * sizeof *a);
        for (size_t i = 0; i < of[k]->outputs; i++)
            memcpy(b + (first[k] + i) * all + k * rank, of[k]->b->value + i * rank, rank * sizeof *b);
    }
    float *out = b;
    if (s->form == GN__FORM_TANGLED) untangle(l->r, b, out = b + s->outputs * all, all, true);
    gn__buf_printf(&full, "%.*s.lora_A.weight", (int)name, s->tensor->name);
    if (full.failed) {
        status = gn__no_memory(err, name);
        goto done;
    }
    GN__TRY_GOTO(put(arg, full.data, (const size_t[]){all, x->inputs}, 2, a, err), done);
    full.data[full.length - strlen("A.weight")] = 'B';
    status = put(arg, full.data, (const size_t[]){s->outputs, all}, 2, out, err);
done:
    gn__buf_free(&full);
    free(a);
    free(b);
    return status;
}

static gn_status export_weight(const gn__learner *l, const gn__weight *w, float *spare, gn__put_tensor put,
                               void *arg, gn_error *err)
{
    for (size_t k = 0; k < w->sources; k++) {
        const gn__source *s = &w->source[k];
        reform(l, s, w->value + s->at, spare, true);
        GN__TRY(put(arg, s->tensor->name, s->tensor->shape, s->tensor->rank, spare, err));
    }
    if (w->sources > 0 || gn__is_adapter_weight(w)) return GN_OK;
    const size_t shape[] = {w->told.rows, w->told.cols};
    bool vector = w->told.rows == 1 && w != l->head_weight;
    return put(arg, w->told.name, vector ? shape + 1 : shape, vector ? 1 : 2, w->value, err);
}

gn_status gn__learner_export(const gn__learner *l, gn__put_tensor put, void *arg, gn_error *err)
{
    gn_status status = GN_OK;
    size_t most = largest_source(l);
    float *spare = gn__aligned(most, sizeof *spare);
    if (spare == NULL) return gn__no_memory(err, most * sizeof *spare);
    for (size_t i = 0; i < l->weights && status == GN_OK; i++)
        if (l->weight[i].trained) status = export_weight(l, &l->weight[i], spare, put, arg, err);
    for (size_t i = 0; i < l->r->stored; i++)
        for (int k = 0; k < GN__PRODUCTS; k++) {
            const gn__learnt_linear *x = &l->layer[i].linear[k];
            for (size_t j = 0; j < x->weight->sources && x->adapters > 0 && status == GN_OK; j++)
                status = export_adapters(l, x, &x->weight->source[j], put, arg, err);
        }
    free(spare);
    return status;
}
