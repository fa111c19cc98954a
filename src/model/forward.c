/* The forward pass of any recipe. Nothing is allocated here but in gn__workspace_create. Everything
 * but attention works on blocks of GN__ROWS rows, so that what a layer hands to the next operation is
 * still in the nearest cache. */
#include "model/internal.h"

static float *floats(size_t rows, size_t cols)
{
    size_t n;
    float *x = gn__mul_size(rows, cols, &n) ? gn__aligned(n, sizeof *x) : NULL;
    if (x != NULL) memset(x, 0, n * sizeof *x); /* rows that pad a block must hold numbers */
    return x;
}

gn_status gn__workspace_create(const gn_model *m, size_t tokens, gn__workspace *out, gn_error *err)
{
    const gn__recipe *r = &m->recipe;
    const gn__layer *l = &m->layer[0];
    const gn__linear *const shapes[] = {l->attention_in, l->attention_out, l->mlp_in, l->mlp_out,
                                        m->projection};
    size_t rows = (tokens + GN__ROWS - 1) / GN__ROWS * GN__ROWS, mixed = r->heads * r->head_dim;
    size_t triple = mixed + 2 * r->kv_heads * r->head_dim, place_rows = 2 * r->span;
    bool inside = r->names->norm[GN__ATTENTION_INSIDE] || r->names->norm[GN__MLP_INSIDE];
    gn__workspace ws = {.rows = rows,
                        .embedded = m->projection ? floats(GN__ROWS, r->embedding) : NULL,
                        .hidden = floats(rows, r->dim),
                        .triple = floats(rows, triple),
                        .mixed = floats(rows, mixed),
                        .normed = floats(GN__ROWS, r->dim > r->embedding ? r->dim : r->embedding),
                        .between = inside ? floats(GN__ROWS, r->dim) : NULL,
                        .inner = floats(GN__ROWS, r->gated ? 2 * r->inner : r->inner),
                        .scratch = floats(gn__attention_scratch(rows, r->head_dim, place_rows), 1)};
    gn_status status = GN_OK;
    if (!ws.hidden || !ws.triple || !ws.mixed || !ws.normed || !ws.inner || !ws.scratch ||
        (m->projection && !ws.embedded) || (inside && !ws.between))
        status = gn__no_memory(err, rows * r->dim * 5 * sizeof(float));
    else
        status = gn__positions_create(m, rows, &ws.positions, err);
    if (status == GN_OK) status = gn__lane_create(m->engine, shapes, m->projection ? 5 : 4, &ws.lane, err);
    if (status != GN_OK) {
        gn__workspace_free(&ws);
        return status;
    }
    *out = ws;
    return GN_OK;
}

void gn__workspace_free(gn__workspace *ws)
{
    gn__lane_free(ws->lane);
    gn__positions_free(&ws->positions);
    free(ws->embedded);
    free(ws->hidden);
    free(ws->triple);
    free(ws->mixed);
    free(ws->normed);
    free(ws->between);
    free(ws->inner);
    free(ws->scratch);
    *ws = (gn__workspace){0};
}

typedef struct pass {
    const gn_model *m;
    const gn__ops *ops;
    gn__workspace *ws;
} pass;

static void norm_rows(const pass *p, const gn__norm *n, float *y, const float *x, size_t rows, size_t cols)
{
    if (n->beta != NULL)
        p->ops->layer_norm(y, x, n->gamma, n->beta, rows, cols, p->m->recipe.eps);
    else
        p->ops->rms_norm(y, x, n->gamma, rows, cols, p->m->recipe.eps);
}

static void norm(const pass *p, const gn__norm *n, size_t rows, float *y, const float *x)
{
    norm_rows(p, n, y, x, rows, p->m->recipe.dim);
}

static bool linear(const pass *p, const gn__linear *l, size_t rows, const float *x, float *y)
{
    return gn__linear_run_rows(l, p->ws->lane, rows, x, y, GN__NO_ACTIVATION);
}

/* ---- tokens to the first hidden states ------------------------------------------------------------ */

static void add_row(const gn__tensor *table, size_t row, size_t dim, float *spare, float *out)
{
    gn__tensor_read(table, row * dim, dim, spare);
    for (size_t j = 0; j < dim; j++) out[j] += spare[j];
}

/* Word, position and token-type rows added up. place: the token's row of position embeddings. */
static void embed_token(const pass *p, int32_t id, size_t place, float *x)
{
    const gn_model *m = p->m;
    size_t width = m->recipe.embedding;
    float scale = m->recipe.embedding_scale;
    gn__tensor_read(m->words, (size_t)id * width, width, x);
    if (scale != 1)
        for (size_t j = 0; j < width; j++) x[j] *= scale;
    if (m->token_types != NULL) add_row(m->token_types, 0, width, p->ws->normed, x);
    if (m->positions != NULL) add_row(m->positions, place, width, p->ws->normed, x);
}

/* A block of embedded tokens, all GN__ROWS of it, becomes hidden states. */
static bool finish_block(const pass *p, float *embedded, float *hidden)
{
    const gn_model *m = p->m;
    if (m->embedding_norm.gamma != NULL)
        norm_rows(p, &m->embedding_norm, embedded, embedded, GN__ROWS, m->recipe.embedding);
    return m->projection == NULL || gn__linear_run(m->projection, p->ws->lane, embedded, hidden);
}

/* false: oneDNN failed. */
static bool embed(const pass *p, const gn__sequence *sequence, size_t count)
{
    const gn__recipe *r = &p->m->recipe;
    gn__workspace *ws = p->ws;
    size_t row = 0, width = r->embedding, end;
    bool projected = p->m->projection != NULL;
    for (size_t s = 0; s < count; s++) {
        size_t place = r->position_offset;
        for (size_t t = 0; t < sequence[s].count; t++) {
            bool pad = sequence[s].id[t] == r->pad_token;
            float *x = projected ? ws->embedded + row % GN__ROWS * width : ws->hidden + row * width;
            embed_token(p, sequence[s].id[t], pad ? r->position_offset - 1 : place, x);
            place += !pad;
            if (++row % GN__ROWS != 0) continue;
            float *hidden = ws->hidden + (row - GN__ROWS) * r->dim;
            if (!finish_block(p, projected ? ws->embedded : hidden, hidden)) return false;
        }
    }
    if (row % GN__ROWS == 0) return true;
    end = (row + GN__ROWS - 1) / GN__ROWS * GN__ROWS;
    float *hidden = ws->hidden + (end - GN__ROWS) * r->dim, *x = projected ? ws->embedded : hidden;
    memset(x + row % GN__ROWS * width, 0, (end - row) * width * sizeof *x);
    return finish_block(p, x, hidden);
}

/* ---- layers --------------------------------------------------------------------------------------- */

/* Rows [row, row + rows), at most GN__ROWS. */
static bool before_attention(const pass *p, const gn__layer *l, size_t row, size_t rows)
{
    const gn__recipe *r = &p->m->recipe;
    const float *x = p->ws->hidden + row * r->dim;
    size_t width = (r->heads + 2 * r->kv_heads) * r->head_dim;
    if (l->norm[GN__ATTENTION_BEFORE].gamma != NULL) {
        norm(p, &l->norm[GN__ATTENTION_BEFORE], rows, p->ws->normed, x);
        x = p->ws->normed;
    }
    float *q = p->ws->triple + row * width;
    if (!linear(p, l->attention_in, rows, x, q)) return false;
    if (l->query_norm.gamma == NULL) return true;
    for (size_t i = 0; i < rows; i++, q += width) {
        float *k = q + r->heads * r->head_dim;
        norm_rows(p, &l->query_norm, q, q, r->heads, r->head_dim);
        norm_rows(p, &l->key_norm, k, k, r->kv_heads, r->head_dim);
    }
    return true;
}

/* Query and key of a text's tokens. */
static void rotate(const pass *p, int kind, float *q, size_t stride, size_t tokens)
{
    const gn__recipe *r = &p->m->recipe;
    size_t pairs = r->rotary[kind].pairs;
    const float *cosine = p->ws->positions.cosine[kind], *sine = p->ws->positions.sine[kind];
    for (size_t t = 0; t < tokens; t++, q += stride, cosine += pairs, sine += pairs)
        p->ops->rotate(q, cosine, sine, r->heads + r->kv_heads, r->head_dim, pairs);
}

static void attend(const pass *p, size_t number, const gn__layer *l, const gn__sequence *sequence,
                   size_t count)
{
    const gn__recipe *r = &p->m->recipe;
    const gn__positions *places = &p->ws->positions;
    size_t width = r->heads * r->head_dim, stride = width + 2 * r->kv_heads * r->head_dim;
    int local = r->local[number];
    gn__disentangled d = {.key = l->position_key,
                          .query = l->position_query,
                          .rows = 2 * r->span,
                          .columns = gn__position_columns(2 * r->span),
                          .row = places->row ? places->row + places->tokens - 1 : NULL};
    gn__attention a = {.stride = stride,
                       .out_stride = width,
                       .heads = r->heads,
                       .head_dim = r->head_dim,
                       .causal = r->causal,
                       .scale = r->attention_scale,
                       .scratch = p->ws->scratch,
                       .kv_heads = r->kv_heads,
                       .before = local ? r->before : 0,
                       .after = local ? r->after : 0,
                       .cap = r->cap,
                       .bias = places->bias ? places->bias + places->tokens - 1 : NULL,
                       .bias_stride = places->bias_stride,
                       .positions = r->span > 0 ? &d : NULL};
    float *q = p->ws->triple;
    a.out = p->ws->mixed;
    for (size_t s = 0; s < count; s++) {
        a.tokens = sequence[s].count;
        if (r->rotary[local].pairs > 0) rotate(p, local, q, stride, a.tokens);
        a.q = q;
        a.k = q + width;
        a.v = a.k + r->kv_heads * r->head_dim;
        gn__attend(p->m->info.dtype, &a);
        q += a.tokens * stride;
        a.out += a.tokens * width;
    }
}

/* Adds what `out` makes of x to hidden, through the norm inside if there is one. */
static bool add_part(const pass *p, const gn__linear *out, const gn__norm *inside, size_t rows,
                     const float *x, float *hidden)
{
    size_t n = rows * p->m->recipe.dim;
    if (inside->gamma == NULL) return linear(p, out, rows, x, hidden);
    float *y = p->ws->between;
    if (!linear(p, out, rows, x, y)) return false;
    norm(p, inside, rows, y, y);
    for (size_t i = 0; i < n; i++) hidden[i] += y[i];
    return true;
}

static bool add_mlp(const pass *p, const gn__layer *l, size_t rows, const float *x, float *hidden)
{
    const gn__recipe *r = &p->m->recipe;
    gn__workspace *ws = p->ws;
    if (r->gated) {
        if (!linear(p, l->mlp_in, rows, x, ws->inner)) return false;
        p->ops->gate(r->activation, ws->inner, rows, r->inner);
    } else if (!gn__linear_run_rows(l->mlp_in, ws->lane, rows, x, ws->inner, r->activation)) {
        return false;
    }
    return add_part(p, l->mlp_out, &l->norm[GN__MLP_INSIDE], rows, ws->inner, hidden);
}

static bool after_attention(const pass *p, const gn__layer *l, size_t row, size_t rows)
{
    const gn__recipe *r = &p->m->recipe;
    gn__workspace *ws = p->ws;
    float *hidden = ws->hidden + row * r->dim;
    const float *x = hidden, *mixed = ws->mixed + row * r->heads * r->head_dim;
    const gn__norm *n = l->norm;
    bool norm_first = n[GN__MLP_BEFORE].gamma != NULL;
    if (norm_first && r->parallel) norm(p, &n[GN__MLP_BEFORE], rows, ws->normed, hidden);
    if (!add_part(p, l->attention_out, &n[GN__ATTENTION_INSIDE], rows, mixed, hidden)) return false;
    if (n[GN__ATTENTION_POST].gamma != NULL) norm(p, &n[GN__ATTENTION_POST], rows, hidden, hidden);
    if (norm_first && !r->parallel) norm(p, &n[GN__MLP_BEFORE], rows, ws->normed, hidden);
    if (norm_first) x = ws->normed;
    if (!add_mlp(p, l, rows, x, hidden)) return false;
    if (n[GN__MLP_POST].gamma != NULL) norm(p, &n[GN__MLP_POST], rows, hidden, hidden);
    return true;
}

/* Rows a block, as even as can be where products take any number of rows. */
static size_t block_of(const gn_model *m, size_t rows)
{
    enum { EVEN = 12 };
    size_t blocks = (rows + GN__ROWS - 1) / GN__ROWS;
    if (!gn__linear_any_rows(m->layer[0].attention_in) || blocks == 0) return GN__ROWS;
    return ((rows + blocks - 1) / blocks + EVEN - 1) / EVEN * EVEN;
}

gn_status gn__model_forward(const gn_context *ctx, const gn_model *m, gn__workspace *ws,
                            const gn__sequence *sequence, size_t count, gn_error *err)
{
    const gn__recipe *r = &m->recipe;
    pass p = {m, gn__cpu_ops(), ws};
    size_t rows = 0, mixed = r->heads * r->head_dim;
    for (size_t s = 0; s < count; s++) rows += sequence[s].count;
    size_t end = (rows + GN__ROWS - 1) / GN__ROWS * GN__ROWS;
    size_t block = block_of(m, rows);
    memset(ws->mixed + rows * mixed, 0, (end - rows) * mixed * sizeof(float)); /* where oneDNN reads */
    int threads = gn__serial_begin();
    bool good = embed(&p, sequence, count);
    for (size_t i = 0; i < r->layers && good && !gn__cancelled(ctx); i++) {
        const gn__layer *l = &m->layer[i * r->stored / r->layers];
        for (size_t row = 0; row < rows && good; row += block)
            good = before_attention(&p, l, row, rows - row < block ? rows - row : block);
        if (good) attend(&p, i, l, sequence, count);
        for (size_t row = 0; row < rows && good; row += block)
            good = after_attention(&p, l, row, rows - row < block ? rows - row : block);
    }
    if (m->final_norm.gamma != NULL) norm(&p, &m->final_norm, rows, ws->hidden, ws->hidden);
    gn__serial_end(threads);
    if (!good) return gn__fail(err, GN_NUMERIC, "oneDNN failed in a matrix product of %s", m->info.name);
    return gn__check_cancel(ctx, err);
}
