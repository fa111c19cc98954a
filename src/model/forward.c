/* The forward pass of any recipe. Nothing is allocated here but in gn__workspace_create. Everything
 * but attention works on blocks of GN__ROWS rows, so that what a layer hands to the next operation is
 * still in the nearest cache. */
#include "model/internal.h"

#include <math.h>

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
    const gn__linear *const shapes[] = {l->attention_in, l->attention_out, l->mlp_in, l->mlp_out};
    size_t rows = (tokens + GN__ROWS - 1) / GN__ROWS * GN__ROWS;
    gn__workspace ws = {.rows = rows,
                        .hidden = floats(rows, r->dim),
                        .triple = floats(rows, 3 * r->dim),
                        .mixed = floats(rows, r->dim),
                        .normed = floats(GN__ROWS, r->dim),
                        .inner = floats(GN__ROWS, r->inner),
                        .scratch = floats(gn__attention_scratch(rows, r->dim / r->heads), 1)};
    gn_status status = GN_OK;
    if (!ws.hidden || !ws.triple || !ws.mixed || !ws.normed || !ws.inner || !ws.scratch)
        status = gn__no_memory(err, rows * r->dim * 5 * sizeof(float));
    else
        status = gn__lane_create(m->engine, shapes, sizeof shapes / sizeof *shapes, &ws.lane, err);
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
    free(ws->hidden);
    free(ws->triple);
    free(ws->mixed);
    free(ws->normed);
    free(ws->inner);
    free(ws->scratch);
    *ws = (gn__workspace){0};
}

static void add_row(const gn__tensor *table, size_t row, size_t dim, float *spare, float *out)
{
    gn__tensor_read(table, row * dim, dim, spare);
    for (size_t j = 0; j < dim; j++) out[j] += spare[j];
}

/* Word, position and token-type rows added up; returns the number of rows. */
static size_t embed(const gn_model *m, gn__workspace *ws, const gn__sequence *sequence, size_t count)
{
    size_t dim = m->recipe.dim, row = 0;
    for (size_t s = 0; s < count; s++)
        for (size_t t = 0; t < sequence[s].count; t++, row++) {
            float *x = ws->hidden + row * dim;
            gn__tensor_read(m->words, (size_t)sequence[s].id[t] * dim, dim, x);
            if (m->token_types != NULL) add_row(m->token_types, 0, dim, ws->normed, x);
            add_row(m->positions, t, dim, ws->normed, x);
        }
    return row;
}

typedef struct pass {
    const gn_model *m;
    const gn__ops *ops;
    gn__workspace *ws;
} pass;

static void norm(const pass *p, const gn__norm *n, float *y, const float *x)
{
    p->ops->layer_norm(y, x, n->gamma, n->beta, GN__ROWS, p->m->recipe.dim, p->m->recipe.eps);
}

static bool before_attention(const pass *p, const gn__layer *l, size_t row)
{
    size_t dim = p->m->recipe.dim;
    const float *x = p->ws->hidden + row * dim;
    if (p->m->recipe.norm_first) {
        norm(p, &l->attention_norm, p->ws->normed, x);
        x = p->ws->normed;
    }
    return gn__linear_run(l->attention_in, p->ws->lane, x, p->ws->triple + row * 3 * dim);
}

static void attend(const pass *p, const gn__sequence *sequence, size_t count)
{
    const gn__recipe *r = &p->m->recipe;
    size_t head_dim = r->dim / r->heads;
    float scale = 1.0f / sqrtf((float)head_dim);
    const float *q = p->ws->triple;
    float *out = p->ws->mixed;
    for (size_t s = 0; s < count; s++) {
        size_t n = sequence[s].count;
        gn__attention a = {.q = q,
                           .k = q + r->dim,
                           .v = q + 2 * r->dim,
                           .stride = 3 * r->dim,
                           .out = out,
                           .out_stride = r->dim,
                           .tokens = n,
                           .heads = r->heads,
                           .head_dim = head_dim,
                           .causal = r->causal,
                           .scale = scale,
                           .scratch = p->ws->scratch};
        p->ops->attention(&a);
        q += n * 3 * r->dim;
        out += n * r->dim;
    }
}

static bool after_attention(const pass *p, const gn__layer *l, size_t row)
{
    const gn__recipe *r = &p->m->recipe;
    gn__workspace *ws = p->ws;
    float *hidden = ws->hidden + row * r->dim;
    const float *x = hidden;
    if (!gn__linear_run(l->attention_out, ws->lane, ws->mixed + row * r->dim, hidden)) return false;
    if (r->norm_first) {
        norm(p, &l->mlp_norm, ws->normed, hidden);
        x = ws->normed;
    } else {
        norm(p, &l->attention_norm, hidden, hidden);
    }
    if (!gn__linear_run_activated(l->mlp_in, ws->lane, x, ws->inner, r->activation)) return false;
    if (!gn__linear_run(l->mlp_out, ws->lane, ws->inner, hidden)) return false;
    if (!r->norm_first) norm(p, &l->mlp_norm, hidden, hidden);
    return true;
}

gn_status gn__model_forward(const gn_context *ctx, const gn_model *m, gn__workspace *ws,
                            const gn__sequence *sequence, size_t count, gn_error *err)
{
    const gn__recipe *r = &m->recipe;
    pass p = {m, gn__cpu_ops(), ws};
    size_t rows = embed(m, ws, sequence, count), end = (rows + GN__ROWS - 1) / GN__ROWS * GN__ROWS;
    memset(ws->hidden + rows * r->dim, 0, (end - rows) * r->dim * sizeof(float));
    memset(ws->mixed + rows * r->dim, 0, (end - rows) * r->dim * sizeof(float));
    int threads = gn__serial_begin();
    bool good = true;
    if (m->embedding_norm.gamma != NULL)
        for (size_t row = 0; row < end; row += GN__ROWS)
            norm(&p, &m->embedding_norm, ws->hidden + row * r->dim, ws->hidden + row * r->dim);
    for (size_t i = 0; i < r->layers && good && !gn__cancelled(ctx); i++) {
        const gn__layer *l = &m->layer[i];
        for (size_t row = 0; row < end && good; row += GN__ROWS) good = before_attention(&p, l, row);
        if (good) attend(&p, sequence, count);
        for (size_t row = 0; row < end && good; row += GN__ROWS) good = after_attention(&p, l, row);
    }
    if (m->final_norm.gamma != NULL)
        for (size_t row = 0; row < end; row += GN__ROWS)
            norm(&p, &m->final_norm, ws->hidden + row * r->dim, ws->hidden + row * r->dim);
    gn__serial_end(threads);
    if (!good) return gn__fail(err, GN_NUMERIC, "oneDNN failed in a matrix product of %s", m->info.name);
    return gn__check_cancel(ctx, err);
}

static void pool_mean(const float *hidden, size_t tokens, size_t dim, float *out)
{
    enum { PART = 256 };
    double total[PART];
    for (size_t first = 0; first < dim; first += PART) {
        size_t n = dim - first < PART ? dim - first : (size_t)PART;
        for (size_t j = 0; j < n; j++) total[j] = 0;
        for (size_t t = 0; t < tokens; t++)
            for (size_t j = 0; j < n; j++) total[j] += (double)hidden[t * dim + first + j];
        for (size_t j = 0; j < n; j++) out[first + j] = (float)(total[j] / (double)tokens);
    }
}

void gn__pool(gn_pooling pooling, bool normalize, const float *hidden, size_t tokens, size_t dim, float *out)
{
    const float *row = pooling == GN_POOLING_LAST ? hidden + (tokens - 1) * dim : hidden;
    switch (pooling) {
    case GN_POOLING_CLS:
    case GN_POOLING_LAST:
    case GN_POOLING_MAX:
        memcpy(out, row, dim * sizeof *out);
        break;
    case GN_POOLING_AUTO:
    case GN_POOLING_MEAN:
        pool_mean(hidden, tokens, dim, out);
        break;
    }
    for (size_t t = 1; t < tokens && pooling == GN_POOLING_MAX; t++)
        for (size_t j = 0; j < dim; j++)
            if (!(hidden[t * dim + j] <= out[j])) out[j] = hidden[t * dim + j]; /* lets NaN through */
    if (!normalize) return;
    double square = 0;
    for (size_t j = 0; j < dim; j++) square += (double)out[j] * (double)out[j];
    double length = sqrt(square) > 1e-12 ? sqrt(square) : 1e-12; /* as torch's normalize; NaN: see below */
    if (isnan(square)) length = NAN;
    for (size_t j = 0; j < dim; j++) out[j] = (float)((double)out[j] / length);
}
