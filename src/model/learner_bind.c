/* The parameters of a learner: which there are, what they start as, and back into the checkpoint's form. */
#include "model/bind.h"
#include "model/learner_parts.h"

#include <math.h>
#include <stdio.h>

enum { NAME = 256, MOST_OF_LAYER = 48, MOST_OUTSIDE = 32 + 2 * GN__MOST_STEPS, LAYER_ADAPTERS = 7 };

typedef struct binder {
    gn__learner *l;
    const gn__tensor_names *names;
    const char *prefix, *words;
} binder;

static const gn__tensor *find(const binder *b, const char *name)
{
    char full[NAME];
    snprintf(full, sizeof full, "%s%s", b->prefix, name);
    return gn__weights_find(&b->l->m->weights, full);
}

/* base.weight or base.bias; checkpoints of 2018 call a norm's gamma and beta. NULL: not there. */
static const gn__tensor *find_part(const binder *b, const char *base, bool bias)
{
    char name[NAME];
    snprintf(name, sizeof name, "%s.%s", base, bias ? "beta" : "gamma");
    const gn__tensor *old = find(b, name);
    if (old != NULL) return old;
    snprintf(name, sizeof name, "%s.%s", base, bias ? "bias" : "weight");
    return find(b, name);
}

/* ---- the list ----------------------------------------------------------------------------------- */

static gn__weight *add(const binder *b, gn__parameter_place place, size_t layer, size_t rows, size_t cols,
                       bool decays)
{
    gn__learner *l = b->l;
    gn__weight *w = &l->weight[l->weights++];
    w->told = (gn__parameter){.rows = rows, .cols = cols, .layer = layer, .place = place, .decays = decays};
    return w;
}

static void add_source(gn__weight *w, const gn__tensor *t, size_t at, size_t outputs, size_t inputs,
                       gn__form form)
{
    if (w->sources == 0) w->told.name = t->name;
    w->source[w->sources++] = (gn__source){t, at, outputs, inputs, form};
}

/* Phi's one norm stands in two places. */
static gn__weight *known(const binder *b, const gn__tensor *t)
{
    for (size_t i = 0; i < b->l->weights; i++)
        if (b->l->weight[i].sources == 1 && b->l->weight[i].source[0].tensor == t) return &b->l->weight[i];
    return NULL;
}

static gn__weight *add_vector(const binder *b, gn__parameter_place place, size_t layer, const gn__tensor *t,
                              size_t n, gn__form form)
{
    gn__weight *w = known(b, t);
    if (w != NULL) return w;
    w = add(b, place, layer, 1, n, false);
    add_source(w, t, 0, n, 1, form);
    return w;
}

static void add_norm(const binder *b, gn__parameter_place place, size_t layer, const char *base, size_t n,
                     gn__learnt_norm *out)
{
    const gn__recipe *r = b->l->r;
    gn__form form = r->norm == GN__NORM_RMS_PLUS ? GN__FORM_PLUS_ONE : GN__FORM_PLAIN;
    if (base == NULL) return;
    out->gamma = add_vector(b, place, layer, find_part(b, base, false), n, form);
    if (r->norm == GN__NORM_LAYER && r->norm_bias)
        out->beta = add_vector(b, place, layer, find_part(b, base, true), n, GN__FORM_PLAIN);
}

static void layer_name(const binder *b, size_t layer, const char *part, char name[NAME])
{
    const char *inside = b->names->inside ? b->names->inside : ".";
    snprintf(name, NAME, "%s%zu%s%s", b->names->layer, layer, inside, part);
}

static void add_layer_norm(const binder *b, size_t layer, const char *part, size_t n, gn__learnt_norm *out)
{
    char name[NAME];
    if (part == NULL) return;
    layer_name(b, layer, part, name);
    add_norm(b, GN__PLACE_LAYER, layer, name, n, out);
}

/* Parts stacked on top of each other. */
static void add_linear(const binder *b, size_t layer, const char *const part[3], const size_t outputs[3],
                       size_t inputs, bool bias, bool tangled, gn__learnt_linear *out)
{
    const gn__recipe *r = b->l->r;
    size_t rows = 0, at = 0;
    bool heads = part == b->names->attention_in;
    for (size_t i = 0; i < 3 && part[i] != NULL; i++) rows += outputs[i];
    *out = (gn__learnt_linear){.inputs = inputs, .outputs = rows};
    gn__form form = tangled ? GN__FORM_TANGLED : b->names->transposed ? GN__FORM_TURNED : GN__FORM_PLAIN;
    out->weight = add(b, GN__PLACE_LAYER, layer, rows, inputs, true);
    if (bias || (heads && b->names->query_bias != NULL))
        out->bias = add(b, GN__PLACE_LAYER, layer, 1, rows, false);
    char name[NAME];
    for (size_t i = 0; i < 3 && part[i] != NULL; at += outputs[i++]) {
        layer_name(b, layer, part[i], name);
        add_source(out->weight, find_part(b, name, false), at * inputs, outputs[i], inputs, form);
        if (bias)
            add_source(out->bias, find_part(b, name, true), at, outputs[i], 1,
                       tangled ? GN__FORM_TANGLED : GN__FORM_PLAIN);
    }
    size_t width = r->heads * r->head_dim;
    if (heads && b->names->query_bias != NULL) {
        layer_name(b, layer, b->names->query_bias, name);
        add_source(out->bias, find(b, name), 0, width, 1, GN__FORM_PLAIN);
        layer_name(b, layer, b->names->value_bias, name);
        add_source(out->bias, find(b, name), 2 * width, width, 1, GN__FORM_PLAIN);
    }
}

/* ---- relative positions and adapters ------------------------------------------------------------ */

/* Rows of the layer's query or key weight, or weights of their own, that relative positions go through. */
static void add_position(const binder *b, size_t i, int which, const char *part)
{
    const gn__recipe *r = b->l->r;
    gn__learnt_layer *l = &b->l->layer[i];
    gn__learnt_linear *x = &l->position[which];
    size_t width = r->heads * r->head_dim;
    char name[NAME];
    *x = (gn__learnt_linear){.inputs = r->dim, .outputs = width};
    if (part == NULL) { /* key: position 0 */
        x->weight = l->linear[GN__QKV].weight;
        x->bias = r->position_bias[which] ? l->linear[GN__QKV].bias : NULL;
        x->row = which == 0 ? width : 0;
        return;
    }
    layer_name(b, i, part, name);
    x->weight = add(b, GN__PLACE_LAYER, i, width, r->dim, true);
    add_source(x->weight, find_part(b, name, false), 0, width, r->dim, GN__FORM_PLAIN);
    if (r->position_bias[which])
        x->bias = add_vector(b, GN__PLACE_LAYER, i, find_part(b, name, true), width, GN__FORM_PLAIN);
}

static const char *adapter_name(const binder *b, const gn__source *s, const char *part, const char *matrix)
{
    static const char weight[] = ".weight";
    char name[NAME + 32];
    size_t n = strlen(s->tensor->name), tail = sizeof weight - 1;
    if (n > tail && strcmp(s->tensor->name + n - tail, weight) == 0) n -= tail;
    snprintf(name, sizeof name, "%.*s%s%s", (int)(n < NAME ? n : NAME), s->tensor->name, part, matrix);
    return gn__arena_strndup(&b->l->names, name, strlen(name));
}

/* outputs from `first` on; part: told in the name where one tensor holds several. */
static void add_adapter(const binder *b, size_t layer, gn__learnt_linear *x, const gn__source *s,
                        const char *part, size_t first, size_t outputs)
{
    gn__learner *l = b->l;
    gn__adapter *a = &l->adapter[l->adapters++];
    size_t rank = l->tune.lora_rank;
    *a = (gn__adapter){.outputs = outputs};
    a->a = add(b, GN__PLACE_LAYER, layer, rank, x->inputs, true);
    a->a->told.name = adapter_name(b, s, part, ".lora_A");
    a->b = add(b, GN__PLACE_LAYER, layer, outputs, rank, true);
    a->b->told.name = adapter_name(b, s, part, ".lora_B");
    x->first[x->adapters] = first;
    x->adapter[x->adapters++] = a;
}

static void add_adapters(const binder *b, size_t i)
{
    static const char *const part[] = {".query", ".key", ".value"};
    static const unsigned flag[] = {GN_LORA_QUERY, GN_LORA_KEY, GN_LORA_VALUE};
    const gn__recipe *r = b->l->r;
    gn__learnt_layer *l = &b->l->layer[i];
    unsigned target = b->l->tune.lora_target;
    size_t q = r->heads * r->head_dim, kv = r->kv_heads * r->head_dim;
    const size_t first[] = {0, q, q + kv}, outputs[] = {q, kv, kv};
    gn__learnt_linear *x = &l->linear[GN__QKV];
    bool fused = x->weight->sources == 1;
    for (int k = 0; k < 3; k++)
        if (target & flag[k])
            add_adapter(b, i, x, &x->weight->source[fused ? 0 : k], fused ? part[k] : "", first[k],
                        outputs[k]);
    if (target & GN_LORA_OUT)
        add_adapter(b, i, &l->linear[GN__OUT], &l->linear[GN__OUT].weight->source[0], "", 0, r->dim);
    if (target & GN_LORA_MLP) {
        x = &l->linear[GN__MLP_IN];
        size_t sources = x->weight->sources;
        for (size_t k = 0; k < sources; k++)
            add_adapter(b, i, x, &x->weight->source[k], "", k * r->inner, x->outputs / sources);
        add_adapter(b, i, &l->linear[GN__MLP_OUT], &l->linear[GN__MLP_OUT].weight->source[0], "", 0, r->dim);
    }
    for (int which = 0; which < 2; which++) { /* a shared weight brings its adapter along */
        gn__learnt_linear *p = &l->position[which];
        x = &l->linear[GN__QKV];
        for (size_t k = 0; k < x->adapters && p->weight == x->weight; k++)
            if (x->first[k] == p->row) p->adapter[p->adapters++] = x->adapter[k];
    }
}

static void add_layer(const binder *b, size_t i)
{
    const gn__recipe *r = b->l->r;
    const gn__tensor_names *n = b->names;
    gn__learnt_layer *l = &b->l->layer[i];
    size_t q = r->heads * r->head_dim, kv = r->kv_heads * r->head_dim;
    bool fused = n->attention_in[1] == NULL, half = r->gated && n->mlp_in[1] == NULL;
    const char *const out[3] = {n->attention_out}, *const in[3] = {n->mlp_in[0], n->mlp_in[1]};
    const char *const mlp_out[3] = {n->mlp_out};
    add_linear(b, i, n->attention_in, (size_t[3]){fused ? q + 2 * kv : q, kv, kv}, r->dim, r->bias_in,
               r->interleaved, &l->linear[GN__QKV]);
    add_linear(b, i, out, (size_t[3]){r->dim}, q, r->bias_out, false, &l->linear[GN__OUT]);
    add_linear(b, i, in, (size_t[3]){half ? 2 * r->inner : r->inner, r->inner}, r->dim, r->bias_mlp, false,
               &l->linear[GN__MLP_IN]);
    add_linear(b, i, mlp_out, (size_t[3]){r->dim}, r->inner, r->bias_mlp, false, &l->linear[GN__MLP_OUT]);
    for (int place = 0; place < GN__NORM_PLACES; place++)
        if (place != GN__ATTENTION_BEFORE || i > 0 || !r->bare_first)
            add_layer_norm(b, i, n->norm[place], r->dim, &l->norm[place]);
    add_layer_norm(b, i, n->query_norm, r->head_dim, &l->query_norm);
    add_layer_norm(b, i, n->key_norm, r->head_dim, &l->key_norm);
    if (r->content_to_position && r->span > 0) add_position(b, i, 0, n->position_key);
    if (r->position_to_content && r->span > 0) add_position(b, i, 1, n->position_query);
    if (b->l->tune.what == GN_TUNE_LORA) add_adapters(b, i);
}

static gn__weight *add_table(const binder *b, const char *name, size_t rows, size_t cols, bool decays)
{
    gn__weight *w = add(b, GN__PLACE_EMBEDDING, 0, rows, cols, decays);
    add_source(w, find(b, name), 0, rows, cols, GN__FORM_PLAIN);
    return w;
}

static void add_embeddings(const binder *b)
{
    gn__learner *l = b->l;
    const gn__recipe *r = l->r;
    const gn__tensor_names *n = b->names;
    l->words = add_table(b, b->words, r->vocab, r->embedding, true);
    if (r->position_rows > 0)
        l->positions = add_table(b, n->positions, r->position_rows, r->embedding, false);
    if (r->token_types > 0) l->token_types = add_table(b, n->token_types, r->token_types, r->embedding, true);
    add_norm(b, GN__PLACE_EMBEDDING, 0, n->embedding_norm, r->embedding, &l->embedding_norm);
    if (!r->projected) return;
    l->projection = (gn__learnt_linear){.inputs = r->embedding, .outputs = r->dim};
    l->projection.weight = add(b, GN__PLACE_EMBEDDING, 0, r->dim, r->embedding, true);
    add_source(l->projection.weight, find_part(b, n->projection, false), 0, r->dim, r->embedding,
               n->transposed ? GN__FORM_TURNED : GN__FORM_PLAIN);
    if (r->bias_projection)
        l->projection.bias =
            add_vector(b, GN__PLACE_EMBEDDING, 0, find_part(b, n->projection, true), r->dim, GN__FORM_PLAIN);
}

static void add_steps(const binder *b)
{
    static const char *const weight[] = {"pooling.0.weight", "pooling.1.weight", "pooling.2.weight",
                                         "pooling.3.weight", "pooling.4.weight", "pooling.5.weight",
                                         "pooling.6.weight", "pooling.7.weight"};
    static const char *const bias[] = {"pooling.0.bias", "pooling.1.bias", "pooling.2.bias",
                                       "pooling.3.bias", "pooling.4.bias", "pooling.5.bias",
                                       "pooling.6.bias", "pooling.7.bias"};
    gn__learner *l = b->l;
    const gn__head *h = &l->m->head;
    for (size_t i = 0; i < h->steps; i++) {
        const gn__head_step *s = &h->step[i];
        if (s->weight == NULL) continue;
        gn__weight *w = l->step_weight[i] = add(b, GN__PLACE_AFTER, 0, s->outputs, s->inputs, true);
        w->told.name = weight[i];
        w->given = s->weight;
        if (s->bias == NULL) continue;
        w = l->step_bias[i] = add(b, GN__PLACE_AFTER, 0, 1, s->outputs, false);
        w->told.name = bias[i];
        w->given = s->bias;
    }
}

static void list(binder *b)
{
    gn__learner *l = b->l;
    add_embeddings(b);
    for (size_t i = 0; i < l->r->stored; i++) add_layer(b, i);
    add_norm(b, GN__PLACE_AFTER, 0, b->names->final_norm, l->r->dim, &l->final_norm);
    if (l->r->bias == GN__BIAS_BUCKETS) {
        l->buckets = add(b, GN__PLACE_AFTER, 0, l->r->heads, l->r->buckets, false);
        add_source(l->buckets, find(b, b->names->buckets), 0, l->r->heads, l->r->buckets, GN__FORM_TURNED);
    }
    if (l->r->span > 0) {
        l->relative = add(b, GN__PLACE_AFTER, 0, 2 * l->r->span, l->r->dim, false);
        add_source(l->relative, find(b, b->names->relative), 0, 2 * l->r->span, l->r->dim, GN__FORM_PLAIN);
        if (l->r->relative_norm)
            add_norm(b, GN__PLACE_AFTER, 0, b->names->relative_norm, l->r->dim, &l->relative_norm);
    }
    add_steps(b);
    l->head_weight = add(b, GN__PLACE_HEAD, 0, l->classes, l->m->info.dim, true);
    l->head_weight->told.name = "head.weight";
    l->head_bias = add(b, GN__PLACE_HEAD, 0, 1, l->classes, false);
    l->head_bias->told.name = "head.bias";
}

/* ---- what is trained ---------------------------------------------------------------------------- */

static bool is_adapter(const gn__weight *w)
{
    return w->told.place == GN__PLACE_LAYER && w->sources == 0;
}

static bool is_trained(const gn__learner *l, const gn__weight *w)
{
    const gn__recipe *r = l->r;
    if (w->told.place == GN__PLACE_HEAD || is_adapter(w)) return true;
    switch (l->tune.what) {
    case GN_TUNE_FULL:
        return true;
    case GN_TUNE_LAST_K:
        if (w == l->final_norm.gamma || w == l->final_norm.beta) return true;
        if (w->told.place != GN__PLACE_LAYER) return false;
        for (size_t i = r->layers - (l->tune.last_k < r->layers ? l->tune.last_k : r->layers); i < r->layers;
             i++)
            if (i * r->stored / r->layers == w->told.layer) return true;
        return false;
    case GN_TUNE_HEAD:
    case GN_TUNE_LORA:
    case GN_TUNE_COUNT:
        break;
    }
    return false;
}

static gn_status choose_trained(gn__learner *l, gn_error *err)
{
    const gn__recipe *r = l->r;
    for (size_t i = 0; i < l->weights; i++) {
        gn__weight *w = &l->weight[i];
        w->trained = is_trained(l, w);
        if (!w->trained) continue;
        w->told.offset = l->trained;
        l->trained += w->told.rows * w->told.cols;
        l->parameters++;
        if (w->told.place == GN__PLACE_LAYER) l->layer[w->told.layer].trained = true;
        if (w->told.place == GN__PLACE_EMBEDDING) l->embeds = true;
    }
    l->lowest = l->embeds ? 0 : r->layers;
    if (l->buckets != NULL && l->buckets->trained) l->lowest = 0;
    if (l->relative != NULL && l->relative->trained) l->lowest = 0;
    for (size_t i = r->layers; i-- > 0 && !l->embeds;)
        if (l->layer[i * r->stored / r->layers].trained) l->lowest = i;
    l->bytes += l->trained * sizeof *l->values;
    if (l->counting) return GN_OK;
    l->values = gn__aligned(l->trained, sizeof *l->values);
    l->told = gn__calloc(l->parameters, sizeof *l->told);
    if (l->values == NULL || l->told == NULL) return gn__no_memory(err, l->trained * sizeof *l->values);
    size_t n = 0;
    for (size_t i = 0; i < l->weights; i++) {
        gn__weight *w = &l->weight[i];
        if (!w->trained) continue;
        w->value = l->values + w->told.offset;
        l->told[n++] = w->told;
    }
    return GN_OK;
}

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
    return w->told.rows == 1 || (w->told.place == GN__PLACE_AFTER && w != l->words);
}

static gn_status read_numbers(gn__learner *l, gn_error *err)
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
        if (w->told.place == GN__PLACE_HEAD || is_adapter(w)) continue;
        if (!w->trained && !is_kept(l, w)) continue;
        if (!w->trained) w->value = own, own += w->told.rows * w->told.cols;
        read_weight(l, w, spare, w->value);
    }
    free(spare);
    start_head(l);
    start_adapters(l);
    return GN_OK;
}

gn_status gn__learner_bind(gn_context *ctx, gn__learner *l, gn_error *err)
{
    (void)ctx;
    binder b = {.l = l, .names = l->r->names};
    size_t most = MOST_OUTSIDE + MOST_OF_LAYER * l->r->stored;
    l->weight = gn__calloc(most, sizeof *l->weight);
    l->layer = gn__calloc(l->r->stored, sizeof *l->layer);
    l->adapter = gn__calloc(LAYER_ADAPTERS * l->r->stored, sizeof *l->adapter);
    if (l->weight == NULL || l->layer == NULL || l->adapter == NULL)
        return gn__no_memory(err, most * sizeof *l->weight);
    gn__bind_names(l->m, &b.prefix, &b.words);
    list(&b);
    if (l->tune.what == GN_TUNE_LORA) {
        l->adapter_scale = (float)(l->tune.lora_alpha / (double)l->tune.lora_rank);
        for (size_t i = 0; i < l->weights; i++)
            if (l->weight[i].told.name == NULL) return gn__no_memory(err, NAME);
    }
    GN__TRY(choose_trained(l, err));
    GN__TRY(read_numbers(l, err));
    l->head = l->m->head;
    for (size_t i = 0; i < l->head.steps; i++) {
        if (l->step_weight[i] != NULL) l->head.step[i].weight = l->step_weight[i]->value;
        if (l->step_bias[i] != NULL) l->head.step[i].bias = l->step_bias[i]->value;
    }
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

/* A stored layer a piece, as its parts share adapters; then the projection. */
static void pack_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    packing *p = arg;
    gn__learner *l = p->l;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        gn_status status = GN_OK;
        if (i == l->r->stored) status = pack_one(l, &l->projection, p->all);
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
    return gn__learner_place(ctx, l, err);
}

gn_status gn__learner_refresh(gn_context *ctx, gn__learner *l, gn_error *err)
{
    if (l->tune.what == GN_TUNE_HEAD) return GN_OK; /* nothing is derived from the head */
    return gn__learner_pack(ctx, l, false, err);
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
    if (w->sources > 0 || is_adapter(w)) return GN_OK;
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
