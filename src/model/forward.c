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
    size_t widest = r->dim > r->output ? r->dim : r->output;
    size_t rows = (tokens + GN__ROWS - 1) / GN__ROWS * GN__ROWS, mixed = r->heads * r->head_dim;
    size_t triple = mixed + 2 * r->kv_heads * r->head_dim;
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
                        .gated = r->gated ? floats(GN__ROWS, r->inner) : NULL};
    gn_status status = GN_OK;
    if (!ws.hidden || !ws.triple || !ws.mixed || !ws.normed || !ws.inner || (r->gated && !ws.gated) ||
        (m->projection && !ws.embedded) || (between && !ws.between) || (m->conv && (!ws.first || !ws.taps)))
        status = gn__no_memory(err, rows * r->dim * 5 * sizeof(float));
    else
        status = gn__positions_create(m, rows, &ws.positions, err);
    if (status != GN_OK) {
        gn__workspace_free(&ws);
        return status;
    }
    *out = ws;
    return GN_OK;
}

void gn__workspace_free(gn__workspace *ws)
{
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
    free(ws->gated);
    *ws = (gn__workspace){0};
}

gn_status gn__scratch_create(const gn_model *m, size_t tokens, gn__scratch *out, gn_error *err)
{
    const gn__recipe *r = &m->recipe;
    const gn__layer *l = &m->layer[0];
    const gn__linear *const every[] = {l->attention_in, l->attention_out, l->mlp_in, l->mlp_out,
                                       m->projection,   m->output,        m->conv};
    const gn__linear *shapes[sizeof every / sizeof *every];
    size_t linears = 0, n = gn__attention_scratch(tokens, r->head_dim, 2 * r->span);
    for (size_t i = 0; i < sizeof every / sizeof *every; i++)
        if (every[i] != NULL) shapes[linears++] = every[i];
    gn__scratch s = {.attention = floats(n, 1),
                     .row = floats(r->dim > r->embedding ? r->dim : r->embedding, 1)};
    gn_status status = s.attention != NULL && s.row != NULL
                           ? gn__lane_create(m->engine, shapes, linears, &s.lane, err)
                           : gn__no_memory(err, n * sizeof(float));
    if (status != GN_OK) {
        gn__scratch_free(&s);
        return status;
    }
    *out = s;
    return GN_OK;
}

void gn__scratch_free(gn__scratch *s)
{
    gn__lane_free(s->lane);
    free(s->attention);
    free(s->row);
    *s = (gn__scratch){0};
}

typedef struct pass {
    const gn_model *m;
    const gn__ops *ops;
    gn__workspace *ws;
    gn__scratch *scratch;
    gn__member *member;
} pass;

static void norm_rows(const pass *p, const gn__norm *n, float *y, const float *x, size_t rows, size_t cols)
{
    if (n->beta != NULL)
        p->ops->layer_norm(y, x, n->gamma, n->beta, rows, cols, p->m->recipe.eps);
    else
        p->ops->rms_norm(y, x, n->gamma, rows, cols, p->m->recipe.eps);
}

/* A piece of a step over rows. */
static bool share(const pass *p, size_t rows, size_t *row, size_t *end)
{
    return gn__take_piece(p->member, rows, 1, row, end);
}

static void norm(const pass *p, const gn__norm *n, size_t rows, float *y, const float *x)
{
    size_t dim = p->m->recipe.dim, row, end;
    while (share(p, rows, &row, &end)) norm_rows(p, n, y + row * dim, x + row * dim, end - row, dim);
}

static bool linear(const pass *p, const gn__linear *l, size_t rows, const float *x, float *y)
{
    return gn__linear_run_rows(l, p->scratch->lane, p->member, rows, x, y, GN__NO_ACTIVATION);
}

/* ---- tokens to the first hidden states ------------------------------------------------------------ */

static void add_row(const pass *p, const gn__tensor *table, size_t row, size_t dim, float *out)
{
    float *spare = p->scratch->row;
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
    if (m->token_types != NULL) add_row(p, m->token_types, 0, width, x);
    if (m->positions != NULL && !m->recipe.add_projected) add_row(p, m->positions, place, width, x);
}

/* The texts of rows [row, end); x: the first of these rows. */
static void embed_rows(const pass *p, const gn__sequence *sequence, size_t row, size_t end, float *x)
{
    const gn__recipe *r = &p->m->recipe;
    for (size_t start = 0; start < end; start += (sequence++)->count) { /* `start`: row of its first token */
        size_t place = r->position_offset;
        for (size_t t = 0; t < sequence->count && start + t < end; t++) {
            bool pad = sequence->id[t] == r->pad_token;
            if (start + t >= row) {
                embed_token(p, sequence->id[t], pad ? r->position_offset - 1 : place, x);
                x += r->embedding;
            }
            place += !pad;
        }
    }
}

/* Learned positions of recipe.add_projected; nothing follows them. */
static void add_positions(const pass *p, const gn__sequence *sequence, size_t rows)
{
    const gn__recipe *r = &p->m->recipe;
    size_t row, end;
    while (share(p, rows, &row, &end)) {
        const gn__sequence *s = sequence;
        for (size_t start = 0; start < end; start += (s++)->count)
            for (size_t t = start < row ? row - start : 0; t < s->count && start + t < end; t++)
                add_row(p, p->m->positions, r->position_offset + t, r->dim,
                        p->ws->hidden + (start + t) * r->dim);
    }
}

/* Rows [row, row + rows), rows a multiple of GN__ROWS but at the end. */
static bool embed_block(const pass *p, const gn__sequence *sequence, size_t row, size_t rows)
{
    const gn_model *m = p->m;
    const gn__recipe *r = &m->recipe;
    bool normed = m->embedding_norm.gamma != NULL, late = r->norm_projected;
    size_t width = r->embedding, whole = (rows + GN__ROWS - 1) / GN__ROWS * GN__ROWS, from, end;
    float *hidden = p->ws->hidden + row * r->dim, *embedded = m->projection ? p->ws->embedded : hidden;
    while (share(p, rows, &from, &end)) {
        float *x = embedded + from * width;
        embed_rows(p, sequence, row + from, row + end, x);
        if (normed && !late) norm_rows(p, &m->embedding_norm, x, x, end - from, width);
        if (end == rows && !gn__linear_any_rows(m->layer[0].attention_in)) /* what oneDNN reads */
            memset(embedded + rows * width, 0, (whole - rows) * width * sizeof *x);
    }
    if (m->projection != NULL && !linear(p, m->projection, rows, embedded, hidden)) return false;
    if (normed && late) norm(p, &m->embedding_norm, rows, hidden, hidden);
    return true;
}

/* false: oneDNN failed. */
static bool embed(const pass *p, const gn__sequence *sequence, size_t rows)
{
    size_t block = p->m->projection ? GN__ROWS : rows;
    for (size_t row = 0; row < rows; row += block)
        if (!embed_block(p, sequence, row, rows - row < block ? rows - row : block)) return false;
    if (p->m->positions != NULL && p->m->recipe.add_projected) add_positions(p, sequence, rows);
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
    size_t i, end;
    while (share(p, rows, &i, &end))
        for (; i < end; i++) {
            float *one = q + i * width, *k = one + r->heads * r->head_dim;
            norm_rows(p, &l->query_norm, one, one, r->heads, r->head_dim);
            norm_rows(p, &l->key_norm, k, k, r->kv_heads, r->head_dim);
        }
    return true;
}

/* Queries [head, head + heads) and keys [kv, kv + kv_heads) of a text's tokens. */
static void rotate(const pass *p, int kind, const gn__attention *a, float *q, float *k)
{
    size_t pairs = p->m->recipe.rotary[kind].pairs;
    const float *cosine, *sine;
    gn__positions_turns(p->m, &p->ws->positions, kind, a->tokens, &cosine, &sine);
    for (size_t t = 0; t < a->tokens; t++, cosine += pairs, sine += pairs) {
        p->ops->rotate(q + t * a->stride, cosine, sine, a->heads, a->head_dim, pairs);
        p->ops->rotate(k + t * a->stride, cosine, sine, a->kv_heads, a->head_dim, pairs);
    }
}

/* Keys' heads [kv, end) of one text, which begins at `row`, and the queries' heads that belong to them. */
static void attend_heads(const pass *p, size_t number, const gn__layer *l, size_t row, size_t tokens,
                         size_t kv, size_t end)
{
    const gn__recipe *r = &p->m->recipe;
    const gn__positions *places = &p->ws->positions;
    size_t width = r->heads * r->head_dim, stride = width + 2 * r->kv_heads * r->head_dim;
    size_t head = kv * (r->heads / r->kv_heads), rows = 2 * r->span, columns = gn__position_columns(rows);
    int local = r->local[number];
    float *q = p->ws->triple + row * stride + head * r->head_dim;
    float *k = p->ws->triple + row * stride + width + kv * r->head_dim;
    gn__disentangled d = {.key = l->position_key ? l->position_key + head * r->head_dim * columns : NULL,
                          .query = l->position_query ? l->position_query + head * rows * r->head_dim : NULL,
                          .rows = rows,
                          .columns = columns,
                          .row = places->row ? places->row + places->tokens - 1 : NULL};
    gn__attention a = {.q = q,
                       .k = k,
                       .v = k + r->kv_heads * r->head_dim,
                       .stride = stride,
                       .out = p->ws->mixed + row * width + head * r->head_dim,
                       .out_stride = width,
                       .tokens = tokens,
                       .heads = (end - kv) * (r->heads / r->kv_heads),
                       .head_dim = r->head_dim,
                       .causal = r->causal,
                       .scale = r->attention_scale,
                       .scratch = p->scratch->attention,
                       .kv_heads = end - kv,
                       .before = local ? r->before : 0,
                       .after = local ? r->after : 0,
                       .cap = r->cap,
                       .bias = places->bias ? places->bias + head * places->bias_stride + places->tokens - 1
                                            : NULL,
                       .bias_stride = places->bias_stride,
                       .positions = r->span > 0 ? &d : NULL};
    if (r->rotary[local].pairs > 0) rotate(p, local, &a, q, k);
    gn__attend(p->m->info.dtype, &a);
}

/* Head by head, one text after the other. */
static void attend(const pass *p, size_t number, const gn__layer *l, const gn__sequence *sequence,
                   size_t count)
{
    size_t heads = p->m->recipe.kv_heads, from, end;
    while (gn__take_piece(p->member, count * heads, 1, &from, &end)) {
        size_t row = 0, first = 0; /* of a text: its first token, the number of its first head */
        for (size_t s = 0; first < end; row += sequence[s++].count, first += heads) {
            size_t kv = from > first ? from - first : 0, last = end - first < heads ? end - first : heads;
            if (kv < last) attend_heads(p, number, l, row, sequence[s].count, kv, last);
        }
    }
}

/* Adds what `out` makes of x to hidden, through the norm inside if there is one. */
static bool add_part(const pass *p, const gn__linear *out, const gn__norm *inside, size_t rows,
                     const float *x, float *hidden)
{
    size_t dim = p->m->recipe.dim, row, end;
    if (inside->gamma == NULL) return linear(p, out, rows, x, hidden);
    float *y = p->ws->between;
    if (!linear(p, out, rows, x, y)) return false;
    while (share(p, rows, &row, &end)) {
        norm_rows(p, inside, y + row * dim, y + row * dim, end - row, dim);
        for (size_t i = row * dim; i < end * dim; i++) hidden[i] += y[i];
    }
    return true;
}

static bool add_mlp(const pass *p, const gn__layer *l, size_t rows, const float *x, float *hidden)
{
    const gn__recipe *r = &p->m->recipe;
    gn__workspace *ws = p->ws;
    const float *inner = r->gated ? ws->gated : ws->inner;
    gn__activation activation = r->gated ? GN__NO_ACTIVATION : r->activation;
    size_t row, end;
    if (!gn__linear_run_rows(l->mlp_in, p->scratch->lane, p->member, rows, x, ws->inner, activation))
        return false;
    while (r->gated && share(p, rows, &row, &end))
        p->ops->gate(r->activation, ws->gated + row * r->inner, ws->inner + row * 2 * r->inner, end - row,
                     r->inner);
    return add_part(p, l->mlp_out, &l->norm[GN__MLP_INSIDE], rows, inner, hidden);
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

/* Rows [row, end) of all texts' tokens; out: the first of these rows. */
static void gather_rows(const pass *p, const gn__sequence *sequence, size_t row, size_t end, float *out)
{
    const gn__recipe *r = &p->m->recipe;
    size_t taps = r->conv * r->dim;
    for (size_t start = 0; start < end; start += (sequence++)->count)
        for (size_t t = start < row ? row - start : 0; t < sequence->count && start + t < end;
             t++, out += taps)
            gn__gather_taps(r, p->ws->first + start * r->dim, t, sequence->count, 0, r->dim, out);
}

/* hidden, of layer 0, gains the convolution of what entered it. */
static bool convolve(const pass *p, const gn__sequence *sequence, size_t rows)
{
    const gn__recipe *r = &p->m->recipe;
    gn__workspace *ws = p->ws;
    size_t taps = r->conv * r->dim, from, end;
    for (size_t row = 0; row < rows; row += GN__ROWS) {
        float *hidden = ws->hidden + row * r->dim;
        size_t n = rows - row < GN__ROWS ? rows - row : GN__ROWS;
        while (share(p, n, &from, &end))
            gather_rows(p, sequence, row + from, row + end, ws->taps + from * taps);
        if (!gn__linear_run_rows(p->m->conv, p->scratch->lane, p->member, n, ws->taps, ws->between,
                                 r->conv_activation))
            return false;
        while (share(p, n, &from, &end)) {
            float *x = hidden + from * r->dim;
            for (size_t i = 0; i < (end - from) * r->dim; i++) x[i] += ws->between[from * r->dim + i];
            norm_rows(p, &p->m->conv_norm, x, x, end - from, r->dim);
        }
    }
    return true;
}

/* Final norm and output projection, in place; where rows become narrower they move up, wider ones are written
 * from the last block on. */
static bool finish(const pass *p, size_t rows)
{
    const gn_model *m = p->m;
    size_t dim = m->recipe.dim, output = m->recipe.output, blocks = (rows + GN__ROWS - 1) / GN__ROWS, from,
           end;
    float *x = p->ws->hidden;
    if (m->final_norm.gamma != NULL) norm(p, &m->final_norm, rows, x, x);
    for (size_t i = 0; i < blocks && m->output != NULL; i++) {
        size_t row = (output > dim ? blocks - 1 - i : i) * GN__ROWS;
        size_t n = rows - row < GN__ROWS ? rows - row : GN__ROWS;
        if (!linear(p, m->output, n, x + row * dim, p->ws->between)) return false;
        while (share(p, n, &from, &end))
            memcpy(x + (row + from) * output, p->ws->between + from * output,
                   (end - from) * output * sizeof *x);
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

unsigned gn__model_members(const gn_model *m, size_t tokens)
{
    enum {
        WORTH = 1 << 22,
        STEP = 32
    }; /* multiplications a member and layer, columns: less is lost in waiting */
    const gn__layer *l = &m->layer[0];
    const gn__linear *const product[] = {l->attention_in, l->attention_out, l->mlp_in, l->mlp_out};
    size_t work = 0, most = m->recipe.dim / STEP;
    if (!gn__linear_any_rows(l->attention_in)) return 1;
    for (size_t i = 0; i < sizeof product / sizeof *product; i++)
        work += gn__linear_inputs(product[i]) * gn__linear_outputs(product[i]) * tokens;
    if (most > work / WORTH) most = work / WORTH;
    return most > 1 ? (unsigned)most : 1;
}

/* The embeddings, kept for the convolution. */
static void keep_first(const pass *p, size_t rows)
{
    size_t dim = p->m->recipe.dim, row, end;
    while (share(p, rows, &row, &end))
        memcpy(p->ws->first + row * dim, p->ws->hidden + row * dim, (end - row) * dim * sizeof(float));
}

gn_status gn__model_forward(const gn_context *ctx, const gn_model *m, gn__workspace *ws, gn__scratch *scratch,
                            gn__member *member, const gn__sequence *sequence, size_t count, gn_error *err)
{
    const gn__recipe *r = &m->recipe;
    pass p = {m, gn__cpu_ops(), ws, scratch, member};
    size_t rows = 0, mixed = r->heads * r->head_dim;
    for (size_t s = 0; s < count; s++) rows += sequence[s].count;
    size_t block = block_of(m, rows), end = (rows + GN__ROWS - 1) / GN__ROWS * GN__ROWS;
    if (member->team == NULL) /* where oneDNN reads */
        memset(ws->mixed + rows * mixed, 0, (end - rows) * mixed * sizeof(float));
    gn__serial threads = gn__serial_begin();
    bool good = embed(&p, sequence, rows);
    if (m->conv != NULL && good) keep_first(&p, rows);
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
