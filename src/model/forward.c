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
    const gn__linear *const every[] = {l->attention_in, l->attention_out, l->mlp_in, l->mlp_out,
                                       m->projection,   m->output,        m->conv};
    const gn__linear *shapes[sizeof every / sizeof *every];
    size_t linears = 0, widest = r->dim > r->output ? r->dim : r->output;
    for (size_t i = 0; i < sizeof every / sizeof *every; i++)
        if (every[i] != NULL) shapes[linears++] = every[i];
    size_t rows = (tokens + GN__ROWS - 1) / GN__ROWS * GN__ROWS, mixed = r->heads * r->head_dim;
    size_t triple = mixed + 2 * r->kv_heads * r->head_dim, place_rows = 2 * r->span;
    bool inside = r->names->norm[GN__ATTENTION_INSIDE] || r->names->norm[GN__MLP_INSIDE];
    bool between = inside || m->conv || m->output;
    gn__workspace ws = {.rows = rows,
                        .embedded = m->projection ? floats(GN__ROWS, r->embedding) : NULL,
                        .first = m->conv ? floats(rows, r->dim) : NULL,
                        .taps = m->conv ? floats(GN__ROWS, r->conv * r->dim) : NULL,
                        .hidden = floats(rows, widest),
                        .triple = floats(rows, triple),
                        .mixed = floats(rows, mixed),
                        .normed = floats(GN__ROWS, r->dim > r->embedding ? r->dim : r->embedding),
                        .between = between ? floats(GN__ROWS, widest) : NULL,
                        .inner = floats(GN__ROWS, r->gated ? 2 * r->inner : r->inner),
                        .scratch = floats(gn__attention_scratch(rows, r->head_dim, place_rows), 1)};
    gn_status status = GN_OK;
    if (!ws.hidden || !ws.triple || !ws.mixed || !ws.normed || !ws.inner || !ws.scratch ||
        (m->projection && !ws.embedded) || (between && !ws.between) || (m->conv && (!ws.first || !ws.taps)))
        status = gn__no_memory(err, rows * r->dim * 5 * sizeof(float));
    else
        status = gn__positions_create(m, rows, &ws.positions, err);
    if (status == GN_OK) status = gn__lane_create(m->engine, shapes, linears, &ws.lane, err);
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
    free(ws->first);
    free(ws->taps);
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
    if (m->positions != NULL && !m->recipe.add_projected)
        add_row(m->positions, place, width, p->ws->normed, x);
}

/* A block of embedded tokens, all GN__ROWS of it, becomes hidden states. */
static bool finish_block(const pass *p, float *embedded, float *hidden)
{
    const gn_model *m = p->m;
    bool normed = m->embedding_norm.gamma != NULL, late = m->recipe.norm_projected;
    if (normed && !late) norm_rows(p, &m->embedding_norm, embedded, embedded, GN__ROWS, m->recipe.embedding);
    if (m->projection != NULL && !gn__linear_run(m->projection, p->ws->lane, embedded, hidden)) return false;
    if (normed && late) norm(p, &m->embedding_norm, GN__ROWS, hidden, hidden);
    return true;
}

/* Learned positions of recipe.add_projected; nothing follows them. */
static void add_positions(const pass *p, const gn__sequence *sequence, size_t count)
{
    const gn__recipe *r = &p->m->recipe;
    float *x = p->ws->hidden;
    for (size_t s = 0; s < count; s++)
        for (size_t t = 0; t < sequence[s].count; t++, x += r->dim)
            add_row(p->m->positions, r->position_offset + t, r->dim, p->ws->normed, x);
}

/* false: oneDNN failed. */
static bool embed_words(const pass *p, const gn__sequence *sequence, size_t count)
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

static bool embed(const pass *p, const gn__sequence *sequence, size_t count)
{
    if (!embed_words(p, sequence, count)) return false;
    if (p->m->positions != NULL && p->m->recipe.add_projected) add_positions(p, sequence, count);
    return true;
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
    const float *cosine, *sine;
    gn__positions_turns(p->m, &p->ws->positions, kind, tokens, &cosine, &sine);
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

/* ---- what some models have beside layers ----------------------------------------------------------- */

void gn__gather_taps(const gn__recipe *r, const float *text, size_t t, size_t tokens, size_t first,
                     size_t width, float *out)
{
    size_t half = r->conv / 2;
    for (size_t k = 0; k < r->conv; k++, out += width) {
        bool there = t + k >= half && t + k - half < tokens;
        if (there)
            memcpy(out, text + (t + k - half) * r->dim + first, width * sizeof *out);
        else
            memset(out, 0, width * sizeof *out);
    }
}

/* hidden, of layer 0, gains the convolution of what entered it. */
static bool convolve(const pass *p, const gn__sequence *sequence, size_t rows)
{
    const gn__recipe *r = &p->m->recipe;
    gn__workspace *ws = p->ws;
    size_t taps = r->conv * r->dim, s = 0, t = 0, start = 0; /* `start`: row of text s's first token */
    for (size_t row = 0; row < rows; row += GN__ROWS) {
        float *hidden = ws->hidden + row * r->dim;
        size_t n = rows - row < GN__ROWS ? rows - row : GN__ROWS;
        for (size_t i = 0; i < n; i++) {
            gn__gather_taps(r, ws->first + start * r->dim, t, sequence[s].count, 0, r->dim,
                            ws->taps + i * taps);
            if (++t < sequence[s].count) continue;
            start += t;
            t = 0;
            s++;
        }
        if (!gn__linear_run_rows(p->m->conv, ws->lane, n, ws->taps, ws->between, r->conv_activation))
            return false;
        for (size_t i = 0; i < n * r->dim; i++) hidden[i] += ws->between[i];
        norm(p, &p->m->conv_norm, n, hidden, hidden);
    }
    return true;
}

/* Final norm and output projection, in place; where rows become narrower they move up, wider ones are written
 * from the last block on. */
static bool finish(const pass *p, size_t rows)
{
    const gn_model *m = p->m;
    size_t dim = m->recipe.dim, output = m->recipe.output, blocks = (rows + GN__ROWS - 1) / GN__ROWS;
    float *x = p->ws->hidden;
    if (m->final_norm.gamma != NULL) norm(p, &m->final_norm, rows, x, x);
    for (size_t i = 0; i < blocks && m->output != NULL; i++) {
        size_t row = (output > dim ? blocks - 1 - i : i) * GN__ROWS;
        size_t n = rows - row < GN__ROWS ? rows - row : GN__ROWS;
        if (!linear(p, m->output, n, x + row * dim, p->ws->between)) return false;
        memcpy(x + row * output, p->ws->between, n * output * sizeof *x);
    }
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
    gn__serial threads = gn__serial_begin();
    bool good = embed(&p, sequence, count);
    if (m->conv != NULL) memcpy(ws->first, ws->hidden, rows * r->dim * sizeof *ws->first);
    for (size_t i = 0; i < r->layers && good && !gn__cancelled(ctx); i++) {
        const gn__layer *l = &m->layer[gn__stored_layer(r, i)];
        for (size_t row = 0; row < rows && good; row += block)
            good = before_attention(&p, l, row, rows - row < block ? rows - row : block);
        if (good) attend(&p, i, l, sequence, count);
        for (size_t row = 0; row < rows && good; row += block)
            good = after_attention(&p, l, row, rows - row < block ? rows - row : block);
        if (m->conv != NULL && i == 0 && good) good = convolve(&p, sequence, rows);
    }
    if (good) good = finish(&p, rows);
    gn__serial_end(threads);
    if (!good) return gn__fail(err, GN_NUMERIC, "oneDNN failed in a matrix product of %s", m->info.name);
    return gn__check_cancel(ctx, err);
}
