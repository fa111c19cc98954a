/* The parameters of a learner: which there are, and which are trained. */
#include "model/bind.h"
#include "model/learner_parts.h"

#include <stdio.h>

enum { NAME = 256, MOST_OF_LAYER = 48, MOST_OUTSIDE = 32 + 3 * GN__MOST_STEPS, LAYER_ADAPTERS = 7 };

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
    gn__layer_name(b->l->r, layer, part, name, NAME);
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

/* A linear layer outside of the layers; base: its whole name. */
static void add_outside(const binder *b, gn__parameter_place place, const char *base, bool bias,
                        size_t inputs, size_t outputs, gn__learnt_linear *out)
{
    *out = (gn__learnt_linear){.inputs = inputs, .outputs = outputs};
    out->weight = add(b, place, 0, outputs, inputs, true);
    add_source(out->weight, find_part(b, base, false), 0, outputs, inputs,
               b->names->transposed ? GN__FORM_TURNED : GN__FORM_PLAIN);
    if (bias) out->bias = add_vector(b, place, 0, find_part(b, base, true), outputs, GN__FORM_PLAIN);
}

static void add_embeddings(const binder *b)
{
    gn__learner *l = b->l;
    const gn__recipe *r = l->r;
    const gn__tensor_names *n = b->names;
    l->words = add_table(b, b->words, r->vocab, r->embedding, true);
    if (r->position_rows > 0)
        l->positions =
            add_table(b, n->positions, r->position_rows, r->add_projected ? r->dim : r->embedding, false);
    if (r->token_types > 0) l->token_types = add_table(b, n->token_types, r->token_types, r->embedding, true);
    add_norm(b, GN__PLACE_EMBEDDING, 0, n->embedding_norm, r->norm_projected ? r->dim : r->embedding,
             &l->embedding_norm);
    if (r->projected)
        add_outside(b, GN__PLACE_EMBEDDING, n->projection, r->bias_projection, r->embedding, r->dim,
                    &l->projection);
}

/* One weight in the learner's order, a group of columns a linear layer; counted with layer 0, which it is
 * added to. */
static gn_status add_convolution(const binder *b, gn_error *err)
{
    gn__learner *l = b->l;
    const gn__recipe *r = l->r;
    size_t width = r->dim / r->conv_groups, inputs = r->conv * width;
    l->conv = gn__calloc(r->conv_groups, sizeof *l->conv);
    if (l->conv == NULL) return gn__no_memory(err, r->conv_groups * sizeof *l->conv);
    gn__weight *weight = add(b, GN__PLACE_LAYER, 0, r->dim, inputs, true);
    add_source(weight, find_part(b, b->names->conv, false), 0, r->dim, inputs, GN__FORM_TAPS);
    gn__weight *bias =
        add_vector(b, GN__PLACE_LAYER, 0, find_part(b, b->names->conv, true), r->dim, GN__FORM_PLAIN);
    for (size_t g = 0; g < r->conv_groups; g++)
        l->conv[g] = (gn__learnt_linear){
            .weight = weight, .bias = bias, .row = g * width, .inputs = inputs, .outputs = width};
    add_norm(b, GN__PLACE_LAYER, 0, b->names->conv_norm, r->dim, &l->conv_norm);
    return GN_OK;
}

/* One tensor of a module behind the pooling; given NULL: it has none. */
static gn__weight *add_given(const binder *b, size_t step, const char *part, const float *given, size_t rows,
                             size_t cols, bool decays)
{
    char name[NAME];
    if (given == NULL) return NULL;
    gn__weight *w = add(b, GN__PLACE_AFTER, 0, rows, cols, decays);
    snprintf(name, sizeof name, "pooling.%zu.%s", step, part);
    w->told.name = gn__arena_strndup(&b->l->names, name, strlen(name));
    w->given = given;
    return w;
}

static void add_steps(const binder *b)
{
    gn__learner *l = b->l;
    const gn__head *h = &l->m->head;
    for (size_t i = 0; i < h->steps; i++) {
        const gn__head_step *s = &h->step[i];
        bool dense = s->kind == GN__HEAD_DENSE;
        size_t rows = dense ? s->outputs : 1, cols = dense ? s->inputs : s->outputs;
        l->step_weight[i] = add_given(b, i, "weight", s->weight, rows, cols, dense);
        l->step_bias[i] = add_given(b, i, "bias", s->bias, 1, s->outputs, false);
        l->step_residual[i] = add_given(b, i, "residual", s->residual_weight, rows, cols, true);
    }
}

static gn_status list(binder *b, gn_error *err)
{
    gn__learner *l = b->l;
    add_embeddings(b);
    for (size_t i = 0; i < l->r->stored; i++) add_layer(b, i);
    if (l->r->conv > 0) GN__TRY(add_convolution(b, err));
    add_norm(b, GN__PLACE_AFTER, 0, b->names->final_norm, l->r->dim, &l->final_norm);
    if (l->r->output != l->r->dim)
        add_outside(b, GN__PLACE_AFTER, b->names->output, false, l->r->dim, l->r->output, &l->output);
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
    return GN_OK;
}

/* ---- what is trained ---------------------------------------------------------------------------- */

static bool is_trained(const gn__learner *l, const gn__weight *w)
{
    const gn__recipe *r = l->r;
    if (w->told.place == GN__PLACE_HEAD || gn__is_adapter_weight(w)) return true;
    switch (l->tune.what) {
    case GN_TUNE_FULL:
        return true;
    case GN_TUNE_LAST_K:
        if (w == l->final_norm.gamma || w == l->final_norm.beta || w == l->output.weight) return true;
        if (w->told.place != GN__PLACE_LAYER) return false;
        for (size_t i = r->layers - (l->tune.last_k < r->layers ? l->tune.last_k : r->layers); i < r->layers;
             i++)
            if (gn__stored_layer(r, i) == w->told.layer) return true;
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
        if (gn__layer_of(l, i)->trained) l->lowest = i;
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
    GN__TRY(list(&b, err));
    for (size_t i = 0; i < l->weights; i++)
        if (l->weight[i].told.name == NULL) return gn__no_memory(err, NAME);
    if (l->tune.what == GN_TUNE_LORA)
        l->adapter_scale = (float)(l->tune.lora_alpha / (double)l->tune.lora_rank);
    GN__TRY(choose_trained(l, err));
    GN__TRY(gn__learner_read(l, err));
    l->head = l->m->head;
    for (size_t i = 0; i < l->head.steps; i++) {
        if (l->step_weight[i] != NULL) l->head.step[i].weight = l->step_weight[i]->value;
        if (l->step_bias[i] != NULL) l->head.step[i].bias = l->step_bias[i]->value;
        if (l->step_residual[i] != NULL) l->head.step[i].residual_weight = l->step_residual[i]->value;
    }
    return GN_OK;
}
