#include "model/bind.h"

#include <cblas.h>
#include <stdio.h>

enum { NAME = 256 };

/* The rows that disentangled positions are made of. */
typedef struct relative {
    float *rows; /* [2 span × dim], normed if the recipe says so; NULL: none */
} relative;

typedef struct binder {
    gn_context *ctx;
    gn_model *m;
    const gn__tensor_names *names;
    const char *prefix, *words, *directory;
    relative relative;
    unsigned char *used; /* a tensor; a byte each, as layers are read side by side */
    gn_error *error;     /* [layers + 2], one a piece of the parallel loop */
} binder;

/* The tensor of this name, with the shape that the config asks for. */
static gn_status find_shaped(const binder *b, const char *name, size_t rank, const size_t *expected,
                             const gn__tensor **out, gn_error *err)
{
    char full[NAME], want[64], found[200];
    snprintf(full, sizeof full, "%s%s", b->prefix, name);
    const gn__tensor *t = gn__weights_find(&b->m->weights, full);
    if (t == NULL)
        return gn__fail(err, GN_FORMAT, "the weights of %s lack the tensor %s", b->m->info.path, full);
    const char *file = b->m->weights.path[t->file];
    if (t->rank != rank || memcmp(t->shape, expected, rank * sizeof *expected) != 0) {
        gn__shape_text(expected, rank, want, sizeof want);
        gn__shape_text(t->shape, t->rank, found, sizeof found);
        return gn__fail(err, GN_FORMAT, "%s: tensor %s should have the shape %s by config.json, but has %s",
                        file, full, want, found);
    }
    if (t->type == GN__WEIGHT_OTHER)
        return gn__fail(err, GN_UNSUPPORTED, "%s: tensor %s has the type %s; supported are F32, F16 and BF16",
                        file, full, t->type_name);
    b->used[t - b->m->weights.tensor] = 1;
    *out = t;
    return GN_OK;
}

static gn_status find(const binder *b, const char *name, size_t rank, size_t first, size_t second,
                      const gn__tensor **out, gn_error *err)
{
    const size_t expected[2] = {first, second};
    return find_shaped(b, name, rank, expected, out, err);
}

/* base.weight or base.bias; checkpoints of 2018 call a norm's gamma and beta. */
static gn_status find_part(const binder *b, const char *base, bool bias, size_t rank, size_t first,
                           size_t second, const gn__tensor **out, gn_error *err)
{
    char name[NAME], old[NAME], full[NAME];
    snprintf(name, sizeof name, "%s.%s", base, bias ? "bias" : "weight");
    snprintf(old, sizeof old, "%s.%s", base, bias ? "beta" : "gamma");
    snprintf(full, sizeof full, "%s%s", b->prefix, old);
    bool is_old = gn__weights_find(&b->m->weights, full) != NULL;
    return find(b, is_old ? old : name, rank, first, second, out, err);
}

/* ---- norms and tables: small, on the caller's thread ------------------------------------------- */

static gn_status read_vector(const binder *b, const char *base, bool bias, size_t n, float **out,
                             gn_error *err)
{
    const gn__tensor *t;
    GN__TRY(find_part(b, base, bias, 1, n, 0, &t, err));
    *out = gn__arena_alloc(&b->m->arena, n * sizeof **out);
    if (*out == NULL) return gn__no_memory(err, n * sizeof **out);
    gn__tensor_read(t, 0, n, *out);
    return GN_OK;
}

static gn_status read_norm(const binder *b, const char *base, size_t n, gn__norm *out, gn_error *err)
{
    const gn__recipe *r = &b->m->recipe;
    if (base == NULL) return GN_OK;
    GN__TRY(read_vector(b, base, false, n, &out->gamma, err));
    for (size_t i = 0; i < n && r->norm == GN__NORM_RMS_PLUS; i++) out->gamma[i] += 1;
    if (r->norm != GN__NORM_LAYER) return GN_OK;
    if (r->norm_bias) return read_vector(b, base, true, n, &out->beta, err);
    out->beta = gn__arena_alloc(&b->m->arena, n * sizeof *out->beta);
    if (out->beta == NULL) return gn__no_memory(err, n * sizeof *out->beta);
    memset(out->beta, 0, n * sizeof *out->beta);
    return GN_OK;
}

void gn__layer_name(const gn__recipe *r, size_t layer, const char *part, char *out, size_t size)
{
    const char *inside = r->names->inside ? r->names->inside : ".";
    if (r->group > 1)
        snprintf(out, size, "%s%zu%s%zu.%s", r->names->layer, layer / r->group, inside, layer % r->group,
                 part);
    else
        snprintf(out, size, "%s%zu%s%s", r->names->layer, layer, inside, part);
}

static void layer_name(const binder *b, size_t layer, const char *part, char name[NAME])
{
    gn__layer_name(&b->m->recipe, layer, part, name, NAME);
}

static gn_status read_layer_norm(const binder *b, size_t layer, const char *part, size_t n, gn__norm *out,
                                 gn_error *err)
{
    char name[NAME];
    if (part == NULL) return GN_OK;
    layer_name(b, layer, part, name);
    return read_norm(b, name, n, out, err);
}

static gn_status bind_norms(const binder *b, gn_error *err)
{
    gn_model *m = b->m;
    const gn__recipe *r = &m->recipe;
    const gn__tensor_names *n = b->names;
    size_t width = r->norm_projected ? r->dim : r->embedding;
    GN__TRY(read_norm(b, n->embedding_norm, width, &m->embedding_norm, err));
    GN__TRY(read_norm(b, n->final_norm, r->dim, &m->final_norm, err));
    if (r->conv > 0) GN__TRY(read_norm(b, n->conv_norm, r->dim, &m->conv_norm, err));
    for (size_t i = 0; i < r->stored; i++) {
        gn__layer *l = &m->layer[i];
        for (int place = 0; place < GN__NORM_PLACES; place++)
            if (place != GN__ATTENTION_BEFORE || i > 0 || !r->bare_first)
                GN__TRY(read_layer_norm(b, i, n->norm[place], r->dim, &l->norm[place], err));
        GN__TRY(read_layer_norm(b, i, n->query_norm, r->head_dim, &l->query_norm, err));
        GN__TRY(read_layer_norm(b, i, n->key_norm, r->head_dim, &l->key_norm, err));
    }
    return GN_OK;
}

/* [buckets × heads] in the file, [heads × buckets] here. */
static gn_status bind_buckets(const binder *b, gn_error *err)
{
    gn_model *m = b->m;
    size_t buckets = m->recipe.buckets, heads = m->recipe.heads;
    const gn__tensor *t;
    GN__TRY(find(b, b->names->buckets, 2, buckets, heads, &t, err));
    m->buckets = gn__arena_alloc(&m->arena, buckets * heads * sizeof *m->buckets);
    float *row = gn__calloc(heads, sizeof *row);
    if (m->buckets == NULL || row == NULL) {
        free(row);
        return gn__no_memory(err, buckets * heads * sizeof *row);
    }
    for (size_t i = 0; i < buckets; i++) {
        gn__tensor_read(t, i * heads, heads, row);
        for (size_t h = 0; h < heads; h++) m->buckets[h * buckets + i] = row[h];
    }
    free(row);
    return GN_OK;
}

static gn_status bind_relative(binder *b, gn_error *err)
{
    const gn__recipe *r = &b->m->recipe;
    size_t rows = 2 * r->span;
    const gn__tensor *t;
    gn__norm norm = {0};
    GN__TRY(find(b, b->names->relative, 2, rows, r->dim, &t, err));
    if (r->relative_norm) GN__TRY(read_norm(b, b->names->relative_norm, r->dim, &norm, err));
    float *x = b->relative.rows = gn__aligned(rows * r->dim, sizeof *x);
    if (x == NULL) return gn__no_memory(err, rows * r->dim * sizeof *x);
    gn__tensor_read(t, 0, rows * r->dim, x);
    if (r->relative_norm) gn__cpu_ops()->layer_norm(x, x, norm.gamma, norm.beta, rows, r->dim, r->eps);
    return GN_OK;
}

static gn_status bind_tables(binder *b, gn_error *err)
{
    gn_model *m = b->m;
    const gn__recipe *r = &m->recipe;
    GN__TRY(find(b, b->words, 2, r->vocab, r->embedding, &m->words, err));
    size_t width = r->add_projected ? r->dim : r->embedding;
    if (r->position_rows > 0)
        GN__TRY(find(b, b->names->positions, 2, r->position_rows, width, &m->positions, err));
    if (r->token_types > 0)
        GN__TRY(find(b, b->names->token_types, 2, r->token_types, r->embedding, &m->token_types, err));
    if (r->bias == GN__BIAS_BUCKETS) GN__TRY(bind_buckets(b, err));
    if (r->span > 0) GN__TRY(bind_relative(b, err));
    return bind_norms(b, err);
}

/* ---- linear layers: packed in parallel, a layer a piece ------------------------------------------ */

/* One product: parts stacked on top of each other. */
typedef struct product {
    const char *part[3]; /* NULL: no more */
    size_t outputs[3], inputs;
    bool bias, add;
    gn__linear **out;
} product;

/* Its numbers, for a moment. */
typedef struct numbers {
    float *weight, *bias, *row; /* [rows × inputs], [rows], [inputs or outputs] */
    const float *mapped;        /* instead of weight: the file's own floats */
    size_t rows;
} numbers;

static const float *weight_of(const numbers *n)
{
    return n->mapped != NULL ? n->mapped : n->weight;
}

static void free_numbers(numbers *n)
{
    free(n->weight);
    free(n->bias);
    free(n->row);
}

/* weight: [outputs × inputs] from the file's order. */
static void read_weight(const gn__tensor *t, bool transposed, size_t inputs, size_t outputs, float *row,
                        float *weight)
{
    if (!transposed) {
        gn__tensor_read(t, 0, inputs * outputs, weight);
        return;
    }
    for (size_t i = 0; i < inputs; i++) {
        gn__tensor_read(t, i * outputs, outputs, row);
        for (size_t j = 0; j < outputs; j++) weight[j * inputs + i] = row[j];
    }
}

/* name: of a linear layer, whole. Fills rows [at, at + outputs). */
static gn_status read_linear(const binder *b, const char *name, bool bias, size_t inputs, size_t outputs,
                             numbers *n, size_t at, gn_error *err)
{
    const gn__tensor *w, *v;
    bool transposed = b->names->transposed;
    size_t first = transposed ? inputs : outputs, second = transposed ? outputs : inputs;
    GN__TRY(find_part(b, name, false, 2, first, second, &w, err));
    bool as_is = !transposed && w->type == GN__WEIGHT_F32 && outputs == n->rows &&
                 !b->m->recipe.interleaved && (uintptr_t)w->data % sizeof(float) == 0;
    if (as_is)
        n->mapped = (const float *)(const void *)w->data;
    else
        read_weight(w, transposed, inputs, outputs, n->row, n->weight + at * inputs);
    if (!bias) return GN_OK;
    GN__TRY(find_part(b, name, true, 1, outputs, 0, &v, err));
    gn__tensor_read(v, 0, outputs, n->bias + at);
    return GN_OK;
}

static gn_status make_room(size_t rows, size_t inputs, numbers *n, gn_error *err)
{
    n->rows = rows;
    n->weight = gn__aligned(rows * inputs, sizeof *n->weight);
    n->bias = gn__calloc(rows, sizeof *n->bias);
    n->row = gn__aligned(rows > inputs ? rows : inputs, sizeof *n->row);
    if (n->weight != NULL && n->bias != NULL && n->row != NULL) return GN_OK;
    return gn__no_memory(err, rows * inputs * sizeof *n->weight);
}

/* Rows head by head, q k v each, become all of q, all of k, all of v. */
static gn_status untangle(const gn__recipe *r, float *x, size_t cols, gn_error *err)
{
    size_t part = r->head_dim * cols, n = 3 * r->heads;
    float *y = gn__aligned(n * part, sizeof *y);
    if (y == NULL) return gn__no_memory(err, n * part * sizeof *y);
    memcpy(y, x, n * part * sizeof *y);
    for (size_t h = 0; h < r->heads; h++)
        for (size_t k = 0; k < 3; k++)
            memcpy(x + (k * r->heads + h) * part, y + (3 * h + k) * part, part * sizeof *x);
    free(y);
    return GN_OK;
}

static gn_status read_head_bias(const binder *b, size_t layer, const char *part, float *out, gn_error *err)
{
    char name[NAME];
    const gn__tensor *t;
    size_t n = b->m->recipe.heads * b->m->recipe.head_dim;
    if (part == NULL) return GN_OK;
    layer_name(b, layer, part, name);
    GN__TRY(find(b, name, 1, n, 0, &t, err));
    gn__tensor_read(t, 0, n, out);
    return GN_OK;
}

/* What attention_in needs beside its tensors. */
static gn_status finish_attention_in(const binder *b, size_t layer, const product *p, numbers *n,
                                     gn_error *err)
{
    const gn__recipe *r = &b->m->recipe;
    if (r->interleaved) {
        GN__TRY(untangle(r, n->weight, p->inputs, err));
        GN__TRY(untangle(r, n->bias, 1, err));
    }
    GN__TRY(read_head_bias(b, layer, b->names->query_bias, n->bias, err));
    return read_head_bias(b, layer, b->names->value_bias, n->bias + 2 * r->heads * r->head_dim, err);
}

static gn_status pack(const binder *b, size_t layer, const product *p, gn_error *err)
{
    gn_status status;
    numbers n = {0};
    bool attention_in = p->out == &b->m->layer[layer].attention_in;
    size_t rows = 0, at = 0;
    for (size_t i = 0; i < 3 && p->part[i] != NULL; i++) rows += p->outputs[i];
    GN__TRY_GOTO(make_room(rows, p->inputs, &n, err), done);
    for (size_t i = 0; i < 3 && p->part[i] != NULL; at += p->outputs[i++]) {
        char name[NAME];
        layer_name(b, layer, p->part[i], name);
        GN__TRY_GOTO(read_linear(b, name, p->bias, p->inputs, p->outputs[i], &n, at, err), done);
    }
    if (attention_in) GN__TRY_GOTO(finish_attention_in(b, layer, p, &n, err), done);
    bool bias = p->bias || (attention_in && b->names->query_bias != NULL);
    status = gn__linear_create(b->m->engine, weight_of(&n), bias ? n.bias : NULL, p->inputs, rows, p->add,
                               b->m->info.dtype, p->out, err);
done:
    free_numbers(&n);
    return status;
}

/* name: whole, of a linear layer outside the layers. */
static gn_status pack_outside(const binder *b, const char *name, bool bias, size_t inputs, size_t outputs,
                              gn__linear **out, gn_error *err)
{
    gn_status status;
    numbers n = {0};
    GN__TRY_GOTO(make_room(outputs, inputs, &n, err), done);
    GN__TRY_GOTO(read_linear(b, name, bias, inputs, outputs, &n, 0, err), done);
    status = gn__linear_create(b->m->engine, weight_of(&n), bias ? n.bias : NULL, inputs, outputs, false,
                               b->m->info.dtype, out, err);
done:
    free_numbers(&n);
    return status;
}

/* The convolution as a linear layer of the neighbours one behind the other: [dim × inputs of a group × conv]
 * in the file, [dim × conv dim] here, with zeros for the other groups. */
static gn_status pack_convolution(const binder *b, gn_error *err)
{
    const gn__recipe *r = &b->m->recipe;
    gn_status status;
    size_t inputs = r->dim / r->conv_groups, outputs = inputs, taps = r->conv * r->dim, n;
    const size_t shape[] = {r->dim, inputs, r->conv};
    char name[NAME];
    const gn__tensor *w, *v;
    float *weight = NULL, *bias = NULL, *row = NULL;
    snprintf(name, sizeof name, "%s.weight", b->names->conv);
    GN__TRY(find_shaped(b, name, 3, shape, &w, err));
    GN__TRY(find_part(b, b->names->conv, true, 1, r->dim, 0, &v, err));
    if (gn__mul_size(r->dim, taps, &n)) weight = gn__calloc(n, sizeof *weight);
    bias = gn__aligned(r->dim, sizeof *bias);
    row = gn__aligned(inputs * r->conv, sizeof *row);
    if (weight == NULL || bias == NULL || row == NULL) {
        status = gn__no_memory(err, taps * sizeof *weight);
        goto done;
    }
    gn__tensor_read(v, 0, r->dim, bias);
    for (size_t o = 0; o < r->dim; o++) {
        float *to = weight + o * taps + o / outputs * inputs;
        gn__tensor_read(w, o * inputs * r->conv, inputs * r->conv, row);
        for (size_t i = 0; i < inputs; i++)
            for (size_t k = 0; k < r->conv; k++) to[k * r->dim + i] = row[i * r->conv + k];
    }
    status = gn__linear_create(b->m->engine, weight, bias, taps, r->dim, false, b->m->info.dtype, &b->m->conv,
                               err);
done:
    free(weight);
    free(bias);
    free(row);
    return status;
}

static gn_status pack_all_outside(const binder *b, gn_error *err)
{
    gn_model *m = b->m;
    const gn__recipe *r = &m->recipe;
    const gn__tensor_names *n = b->names;
    if (r->projected)
        GN__TRY(
            pack_outside(b, n->projection, r->bias_projection, r->embedding, r->dim, &m->projection, err));
    if (r->output != r->dim) GN__TRY(pack_outside(b, n->output, false, r->dim, r->output, &m->output, err));
    return r->conv > 0 ? pack_convolution(b, err) : GN_OK;
}

/* ---- disentangled positions ----------------------------------------------------------------------- */

/* out: [2 span × heads head_dim], the relative rows through a linear layer. */
static gn_status project_rows(const binder *b, size_t layer, const char *part, bool bias, float **out,
                              gn_error *err)
{
    const gn__recipe *r = &b->m->recipe;
    gn_status status;
    size_t rows = 2 * r->span, cols = r->heads * r->head_dim;
    char name[NAME];
    numbers n = {0};
    float *y = NULL;
    layer_name(b, layer, part, name);
    GN__TRY_GOTO(make_room(cols, r->dim, &n, err), done);
    GN__TRY_GOTO(read_linear(b, name, bias, r->dim, cols, &n, 0, err), done);
    y = gn__aligned(rows * cols, sizeof *y);
    if (y == NULL) {
        status = gn__no_memory(err, rows * cols * sizeof *y);
        goto done;
    }
    for (size_t i = 0; i < rows; i++) memcpy(y + i * cols, n.bias, cols * sizeof *y);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)cols, (int)r->dim, 1,
                b->relative.rows, (int)r->dim, weight_of(&n), (int)r->dim, 1, y, (int)cols);
    *out = y;
    y = NULL;
done:
    free(y);
    free_numbers(&n);
    return status;
}

/* Each head's rows together; `columns` > 0: transposed, padded to so many. */
static gn_status by_heads(const gn__recipe *r, const float *x, size_t columns, float **out, gn_error *err)
{
    size_t rows = 2 * r->span, D = r->head_dim, width = r->heads * D;
    float *y = gn__calloc(r->heads * D, (columns ? columns : rows) * sizeof *y);
    if (y == NULL) return gn__no_memory(err, width * rows * sizeof *y);
    for (size_t h = 0; h < r->heads; h++)
        for (size_t i = 0; i < rows; i++)
            for (size_t d = 0; d < D; d++)
                y[columns ? (h * D + d) * columns + i : (h * rows + i) * D + d] = x[i * width + h * D + d];
    *out = y;
    return GN_OK;
}

static gn_status bind_positions(const binder *b, size_t layer, gn_error *err)
{
    const gn__recipe *r = &b->m->recipe;
    const gn__tensor_names *n = b->names;
    gn__layer *l = &b->m->layer[layer];
    gn_status status = GN_OK;
    float *x = NULL;
    if (r->content_to_position) {
        const char *part = n->position_key ? n->position_key : n->attention_in[1];
        GN__TRY_GOTO(project_rows(b, layer, part, r->position_bias[0], &x, err), done);
        GN__TRY_GOTO(by_heads(r, x, gn__position_columns(2 * r->span), &l->position_key, err), done);
        free(x);
        x = NULL;
    }
    if (r->position_to_content) {
        const char *part = n->position_query ? n->position_query : n->attention_in[0];
        GN__TRY_GOTO(project_rows(b, layer, part, r->position_bias[1], &x, err), done);
        GN__TRY_GOTO(by_heads(r, x, 0, &l->position_query, err), done);
    }
done:
    free(x);
    return status;
}

static gn_status pack_layer(const binder *b, size_t i, gn_error *err)
{
    const gn__recipe *r = &b->m->recipe;
    const gn__tensor_names *n = b->names;
    gn__layer *l = &b->m->layer[i];
    size_t q = r->heads * r->head_dim, kv = r->kv_heads * r->head_dim;
    bool fused = n->attention_in[1] == NULL, half = r->gated && n->mlp_in[1] == NULL;
    const product products[] = {
        {{n->attention_in[0], n->attention_in[1], n->attention_in[2]},
         {fused ? q + 2 * kv : q, kv, kv},
         r->dim,
         r->bias_in,
         false,
         &l->attention_in},
        {{n->attention_out}, {r->dim}, q, r->bias_out, !n->norm[GN__ATTENTION_INSIDE], &l->attention_out},
        {{n->mlp_in[0], n->mlp_in[1]},
         {half ? 2 * r->inner : r->inner, r->inner},
         r->dim,
         r->bias_mlp,
         false,
         &l->mlp_in},
        {{n->mlp_out}, {r->dim}, r->inner, r->bias_mlp, !n->norm[GN__MLP_INSIDE], &l->mlp_out},
    };
    for (size_t k = 0; k < sizeof products / sizeof *products; k++) GN__TRY(pack(b, i, &products[k], err));
    return r->span > 0 ? bind_positions(b, i, err) : GN_OK;
}

static gn_status hash_files(const binder *b, gn_error *err)
{
    enum { PART = 8 << 20 };
    gn__sha256 h;
    GN__TRY(gn__sha256_begin(&h, err));
    for (size_t i = 0; i < b->m->weights.files; i++) {
        const gn__mapping *f = &b->m->weights.mapping[i];
        for (size_t at = 0; at < f->size && !gn__cancelled(b->ctx); at += PART)
            gn__sha256_update(&h, f->data + at, f->size - at < PART ? f->size - at : (size_t)PART);
    }
    gn__sha256_end(&h, b->m->info.sha256);
    return GN_OK;
}

/* Piece 0 hashes, as that takes longest; piece 1 reads the tokenizer, piece i + 2 packs layer i. */
static void run_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    binder *b = arg;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        if (i == 0)
            (void)hash_files(b, &b->error[0]);
        else if (i == 1)
            (void)gn_tokenizer_load(b->directory, &b->m->tokenizer, &b->error[1]);
        else
            (void)pack_layer(b, i - 2, &b->error[i]);
        gn__progress(b->ctx, GN_STAGE_LOAD, i, b->m->recipe.stored + 2);
    }
}

static gn_status pack_all(binder *b, gn_error *err)
{
    size_t pieces = b->m->recipe.stored + 2;
    b->error = gn__calloc(pieces, sizeof *b->error);
    if (b->error == NULL) return gn__no_memory(err, pieces * sizeof *b->error);
    for (size_t i = 0; i < pieces && err != NULL; i++) b->error[i].lang = err->lang;
    gn_status status = gn__parallel_for(b->ctx, pieces, 1, run_piece, b, err);
    for (size_t i = 0; i < pieces && status == GN_OK; i++)
        if (b->error[i].code != GN_OK) {
            status = b->error[i].code;
            if (err != NULL) *err = b->error[i];
        }
    free(b->error);
    return status;
}

/* ---- what there is to say about them ------------------------------------------------------------ */

/* Counts the elements of the tensors under the prefix that hold weights, and lists their types. The
 * masks and angles that old checkpoints keep beside each attention are no parameters. */
static gn_status describe(const binder *b, gn_error *err)
{
    static const char *const masks[] = {".attn.bias", ".attn.masked_bias", ".attention.masked_bias",
                                        ".rotary_emb.inv_freq"};
    static const char *const type_name[] = {"F32", "F16", "BF16"};
    gn_model *m = b->m;
    bool seen[3] = {false};
    size_t n = strlen(b->prefix);
    for (size_t i = 0; i < m->weights.tensors; i++) {
        const gn__tensor *t = &m->weights.tensor[i];
        bool counts = t->type != GN__WEIGHT_OTHER && strncmp(t->name, b->prefix, n) == 0;
        for (size_t k = 0; k < sizeof masks / sizeof *masks && counts; k++) {
            size_t length = strlen(t->name), mask = strlen(masks[k]);
            counts = length < mask || strcmp(t->name + length - mask, masks[k]) != 0;
        }
        if (!counts) continue;
        m->info.parameters += t->elements;
        seen[t->type] = true;
    }
    char text[32] = "";
    for (size_t k = 0; k < 3; k++)
        if (seen[k]) {
            if (text[0] != '\0') strcat(text, "+");
            strcat(text, type_name[k]);
        }
    m->info.weight_types = gn__arena_strndup(&m->arena, text, strlen(text));
    return m->info.weight_types == NULL ? gn__no_memory(err, sizeof text) : GN_OK;
}

/* Tensors of the checkpoint that the recipe has no use for: heads, poolers, masks. */
static gn_status list_unused(const binder *b, gn_error *err)
{
    gn_model *m = b->m;
    gn__buf names = {0};
    for (size_t i = 0; i < m->weights.tensors; i++) {
        if (b->used[i]) continue;
        gn__buf_printf(&names, "%s%s", m->info.unused_tensors++ ? ", " : "", m->weights.tensor[i].name);
    }
    m->info.unused = gn__arena_strndup(&m->arena, names.data ? names.data : "", names.length);
    bool failed = names.failed || m->info.unused == NULL;
    gn__buf_free(&names);
    return failed ? gn__no_memory(err, 64) : GN_OK;
}

void gn__bind_names(const gn_model *m, const char **prefix, const char **words)
{
    const gn__tensor_names *n = m->recipe.names;
    const char *const table[] = {n->words, n->words_too};
    *prefix = n->prefix[0];
    *words = table[0];
    for (size_t k = 0; k < 2 && table[k] != NULL; k++)
        for (size_t i = 0; n->prefix[i] != NULL; i++) {
            char full[NAME];
            snprintf(full, sizeof full, "%s%s", n->prefix[i], table[k]);
            if (gn__weights_find(&m->weights, full) == NULL) continue;
            *prefix = n->prefix[i];
            *words = table[k];
            return;
        }
}

gn_status gn__model_bind(gn_context *ctx, gn_model *m, const char *directory, gn_error *err)
{
    gn_status status;
    binder b = {.ctx = ctx, .m = m, .names = m->recipe.names, .directory = directory};
    gn__bind_names(m, &b.prefix, &b.words);
    m->layer = gn__calloc(m->recipe.stored, sizeof *m->layer);
    b.used = gn__calloc(m->weights.tensors, 1);
    if (m->layer == NULL || b.used == NULL) {
        status = gn__no_memory(err, m->recipe.stored * sizeof *m->layer);
        goto done;
    }
    GN__TRY_GOTO(bind_tables(&b, err), done);
    GN__TRY_GOTO(pack_all_outside(&b, err), done);
    GN__TRY_GOTO(describe(&b, err), done);
    GN__TRY_GOTO(pack_all(&b, err), done);
    status = list_unused(&b, err);
done:
    free(b.used);
    free(b.relative.rows);
    return status;
}
