#include "model/bind.h"

#include <stdio.h>

enum { NAME = 256 };

typedef struct binder {
    gn_context *ctx;
    gn_model *m;
    const gn__tensor_names *names;
    const char *prefix;
    gn_error *error; /* [layers + 1], one a piece of the parallel loop */
} binder;

/* The tensor of this name, with the shape that the config asks for. */
static gn_status find(const binder *b, const char *name, size_t rank, size_t first, size_t second,
                      const gn__tensor **out, gn_error *err)
{
    const size_t expected[2] = {first, second};
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
    *out = t;
    return GN_OK;
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

static gn_status read_vector(const binder *b, const char *base, bool bias, float **out, gn_error *err)
{
    const gn__tensor *t;
    size_t dim = b->m->recipe.dim;
    GN__TRY(find_part(b, base, bias, 1, dim, 0, &t, err));
    *out = gn__arena_alloc(&b->m->arena, dim * sizeof **out);
    if (*out == NULL) return gn__no_memory(err, dim * sizeof **out);
    gn__tensor_read(t, 0, dim, *out);
    return GN_OK;
}

static gn_status read_norm(const binder *b, const char *base, gn__norm *out, gn_error *err)
{
    if (base == NULL) return GN_OK;
    GN__TRY(read_vector(b, base, false, &out->gamma, err));
    return read_vector(b, base, true, &out->beta, err);
}

static void layer_name(const binder *b, size_t layer, const char *part, char name[NAME])
{
    snprintf(name, NAME, "%s%zu.%s", b->names->layer, layer, part);
}

static gn_status bind_tables(const binder *b, gn_error *err)
{
    gn_model *m = b->m;
    const gn__recipe *r = &m->recipe;
    char name[NAME];
    GN__TRY(find(b, b->names->words, 2, r->vocab, r->dim, &m->words, err));
    GN__TRY(find(b, b->names->positions, 2, r->positions, r->dim, &m->positions, err));
    if (b->names->token_types != NULL)
        GN__TRY(find(b, b->names->token_types, 2, r->token_types, r->dim, &m->token_types, err));
    GN__TRY(read_norm(b, b->names->embedding_norm, &m->embedding_norm, err));
    GN__TRY(read_norm(b, b->names->final_norm, &m->final_norm, err));
    for (size_t i = 0; i < r->layers; i++) {
        layer_name(b, i, b->names->attention_norm, name);
        GN__TRY(read_norm(b, name, &m->layer[i].attention_norm, err));
        layer_name(b, i, b->names->mlp_norm, name);
        GN__TRY(read_norm(b, name, &m->layer[i].mlp_norm, err));
    }
    return GN_OK;
}

/* ---- linear layers: packed in parallel, a layer a piece ------------------------------------------ */

/* One layer's product: parts[] stacked on top of each other, `outputs` rows each. */
typedef struct product {
    const char *const *parts;
    size_t count, inputs, outputs;
    bool add;
    gn__linear **out;
} product;

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

static gn_status pack(const binder *b, size_t layer, const product *p, gn_error *err)
{
    gn_status status = GN_OK;
    bool transposed = b->names->transposed;
    size_t rows = p->count * p->outputs;
    float *weight = gn__aligned(rows * p->inputs, sizeof *weight), *bias = gn__aligned(rows, sizeof *bias);
    float *row = gn__aligned(p->outputs, sizeof *row);
    if (weight == NULL || bias == NULL || row == NULL) {
        status = gn__no_memory(err, rows * p->inputs * sizeof *weight);
        goto done;
    }
    for (size_t i = 0; i < p->count; i++) {
        char name[NAME];
        const gn__tensor *w, *v;
        layer_name(b, layer, p->parts[i], name);
        GN__TRY_GOTO(find_part(b, name, false, 2, transposed ? p->inputs : p->outputs,
                               transposed ? p->outputs : p->inputs, &w, err),
                     done);
        GN__TRY_GOTO(find_part(b, name, true, 1, p->outputs, 0, &v, err), done);
        read_weight(w, transposed, p->inputs, p->outputs, row, weight + i * p->outputs * p->inputs);
        gn__tensor_read(v, 0, p->outputs, bias + i * p->outputs);
    }
    status =
        gn__linear_create(b->m->engine, weight, bias, p->inputs, rows, p->add, b->m->info.dtype, p->out, err);
done:
    free(weight);
    free(bias);
    free(row);
    return status;
}

static gn_status pack_layer(const binder *b, size_t i, gn_error *err)
{
    const gn__recipe *r = &b->m->recipe;
    const gn__tensor_names *n = b->names;
    gn__layer *l = &b->m->layer[i];
    bool fused = n->attention_in[1] == NULL;
    const product products[] = {
        {n->attention_in, fused ? 1 : 3, r->dim, fused ? 3 * r->dim : r->dim, false, &l->attention_in},
        {&n->attention_out, 1, r->dim, r->dim, true, &l->attention_out},
        {&n->mlp_in, 1, r->dim, r->inner, false, &l->mlp_in},
        {&n->mlp_out, 1, r->inner, r->dim, true, &l->mlp_out},
    };
    for (size_t k = 0; k < sizeof products / sizeof *products; k++) GN__TRY(pack(b, i, &products[k], err));
    return GN_OK;
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

/* Piece 0 hashes, as that takes longest; piece i + 1 packs layer i. */
static void run_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    binder *b = arg;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        if (i == 0)
            (void)hash_files(b, &b->error[0]);
        else
            (void)pack_layer(b, i - 1, &b->error[i]);
        gn__progress(b->ctx, GN_STAGE_LOAD, i, b->m->recipe.layers + 1);
    }
}

static gn_status pack_all(binder *b, gn_error *err)
{
    size_t pieces = b->m->recipe.layers + 1;
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
 * masks that old GPT-2 checkpoints keep beside each attention are no parameters. */
static gn_status describe(const binder *b, gn_error *err)
{
    static const char *const masks[] = {".attn.bias", ".attn.masked_bias"};
    static const char *const type_name[] = {"F32", "F16", "BF16"};
    gn_model *m = b->m;
    bool seen[3] = {false};
    size_t n = strlen(b->prefix);
    for (size_t i = 0; i < m->weights.tensors; i++) {
        const gn__tensor *t = &m->weights.tensor[i];
        bool counts = t->type != GN__WEIGHT_OTHER && strncmp(t->name, b->prefix, n) == 0;
        for (size_t k = 0; k < 2 && counts; k++) {
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

gn_status gn__model_bind(gn_context *ctx, gn_model *m, const gn__tensor_names *names, gn_error *err)
{
    binder b = {.ctx = ctx, .m = m, .names = names, .prefix = names->prefix[0]};
    for (size_t i = 0; names->prefix[i] != NULL; i++) {
        char full[NAME];
        snprintf(full, sizeof full, "%s%s", names->prefix[i], names->words);
        if (gn__weights_find(&m->weights, full) != NULL) {
            b.prefix = names->prefix[i];
            break;
        }
    }
    m->layer = gn__calloc(m->recipe.layers, sizeof *m->layer);
    if (m->layer == NULL) return gn__no_memory(err, m->recipe.layers * sizeof *m->layer);
    GN__TRY(bind_tables(&b, err));
    GN__TRY(describe(&b, err));
    return pack_all(&b, err);
}
