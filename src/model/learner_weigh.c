/* What all steps of a learner share: blocks of rows on threads, norms both ways, and the gradients of
 * weights, each piece of which sums over all rows in their order. */
#include "model/learner_parts.h"

/* ---- blocks ------------------------------------------------------------------------------------- */

typedef struct blocks {
    gn__learner *l;
    gn__stage run;
} blocks;

static void run_blocks(void *arg, size_t begin, size_t end, unsigned worker)
{
    blocks *p = arg;
    gn__serial before = gn__serial_begin();
    for (size_t i = begin; i < end; i++)
        p->run(&(gn__block){p->l, &p->l->bench[worker], i * GN__ROWS}, p->l->current);
    gn__serial_end(before);
}

gn_status gn__learner_blocks(gn_context *ctx, gn__learner *l, size_t rows, gn__stage run, gn_error *err)
{
    blocks p = {l, run};
    return gn__parallel_for(ctx, rows / GN__ROWS, 1, run_blocks, &p, err);
}

/* ---- norms -------------------------------------------------------------------------------------- */

void gn__learner_norm(const gn__learner *l, const gn__learnt_norm *n, float *y, const float *x, size_t rows,
                      size_t cols)
{
    if (l->r->norm == GN__NORM_LAYER)
        l->ops->layer_norm(y, x, n->gamma->value, gn__learner_beta(l, n), rows, cols, l->r->eps);
    else
        l->ops->rms_norm(y, x, n->gamma->value, rows, cols, l->r->eps);
}

/* gamma and beta of each slot. */
static float *slot_of(const gn__learner *l, size_t row, int slot, bool beta)
{
    size_t dim = l->r->dim > l->r->embedding ? l->r->dim : l->r->embedding,
           at = slot < GN__NORM_PLACES
                    ? (size_t)slot * 2 * dim
                    : GN__NORM_PLACES * 2 * dim + (size_t)(slot - GN__QUERY_SLOT) * 2 * l->r->head_dim;
    at += beta ? (slot < GN__NORM_PLACES ? dim : l->r->head_dim) : 0;
    return l->wake.partial + row / GN__ROWS * l->wake.partial_width + at;
}

void gn__learner_clear_slots(const gn__block *k)
{
    const gn__wake *w = &k->l->wake;
    memset(w->partial + k->row / GN__ROWS * w->partial_width, 0, w->partial_width * sizeof *w->partial);
}

void gn__learner_norm_back(const gn__block *k, const gn__learnt_norm *n, int slot, const float *x, float *by,
                           size_t rows, size_t cols)
{
    const gn__learner *l = k->l;
    l->back->norm_back(&(gn__norm_back){
        .x = x,
        .by_y = by,
        .gamma = n->gamma->value,
        .centred = l->r->norm == GN__NORM_LAYER,
        .by_x = by,
        .by_gamma = n->gamma->trained ? slot_of(l, k->row, slot, false) : NULL,
        .by_beta = n->beta != NULL && n->beta->trained ? slot_of(l, k->row, slot, true) : NULL,
        .rows = rows,
        .cols = cols,
        .eps = l->r->eps});
}

static void sum_slot(const gn__learner *l, const gn__weight *w, int slot, bool beta, size_t rows)
{
    float *out = gn__gradient_of(l, w);
    if (out == NULL) return;
    for (size_t row = 0; row < rows; row += GN__ROWS) {
        const float *part = slot_of(l, row, slot, beta);
        for (size_t j = 0; j < w->told.cols; j++) out[j] += part[j];
    }
}

void gn__learner_sum_norm(const gn__learner *l, const gn__learnt_norm *n, int slot, size_t rows)
{
    sum_slot(l, n->gamma, slot, false, rows);
    sum_slot(l, n->beta, slot, true, rows);
}

/* ---- weights ------------------------------------------------------------------------------------ */

static void add_task(gn__weighing *t, gn__weigh_task one)
{
    if (one.out != NULL) t->task[t->count++] = one;
}

void gn__learner_weigh_linear(gn__weighing *t, const gn__learnt_linear *x, const gn__outers *outer,
                              const float *by_y, const float *from, size_t rows, gn__adapted adapted)
{
    const gn__learner *l = t->l;
    size_t rank = l->tune.lora_rank;
    float *weight = gn__gradient_of(l, x->weight), *bias = gn__gradient_of(l, x->bias);
    add_task(t, (gn__weigh_task){.outer = outer->weight,
                                 .by_y = by_y,
                                 .x = from,
                                 .rows = rows,
                                 .out = weight ? weight + x->row * x->inputs : NULL,
                                 .bias = bias ? bias + x->row : NULL,
                                 .columns = x->outputs});
    for (size_t k = 0; k < x->adapters; k++) {
        const gn__adapter *a = x->adapter[k];
        add_task(t, (gn__weigh_task){.outer = outer->a,
                                     .by_y = adapted.by_z + k * rank,
                                     .x = adapted.taken,
                                     .rows = rows,
                                     .out = gn__gradient_of(l, a->a)});
        add_task(t, (gn__weigh_task){.outer = outer->b[k],
                                     .by_y = by_y + x->first[k],
                                     .x = adapted.z + k * rank,
                                     .rows = rows,
                                     .out = gn__gradient_of(l, a->b)});
    }
}

void gn__learner_weigh_narrow(gn__weighing *t, const gn__learnt_linear *x, const gn__outers *outer,
                              const uint16_t *by_y, const uint16_t *from)
{
    add_task(t, (gn__weigh_task){.outer = outer->weight,
                                 .by_y = by_y,
                                 .x = from,
                                 .rows = t->l->padded,
                                 .narrow = true,
                                 .out = gn__gradient_of(t->l, x->weight),
                                 .bias = gn__gradient_of(t->l, x->bias),
                                 .columns = x->outputs});
}

static void sum_norms(const gn__learner *l)
{
    const gn__learnt_layer *y = gn__layer_of(l, l->current);
    for (int slot = 0; slot < GN__SLOTS; slot++)
        gn__learner_sum_norm(l,
                             slot == GN__QUERY_SLOT ? &y->query_norm
                             : slot == GN__KEY_SLOT ? &y->key_norm
                                                    : &y->norm[slot],
                             slot, l->padded);
}

static void run_piece(gn__weighing *t, size_t piece, gn__bench *b)
{
    for (size_t k = 0; k < t->count; k++) {
        const gn__weigh_task *one = &t->task[k];
        size_t pieces = gn__outer_pieces(one->outer);
        if (piece >= pieces) {
            piece -= pieces;
            continue;
        }
        if (!gn__outer_run(one->outer, piece, one->by_y, one->x, one->rows, one->out, b->outer))
            atomic_store(&t->l->failed, true);
        if (piece == 0 && one->bias != NULL && one->narrow)
            t->l->back->sum_rows_bf16(one->by_y, one->rows, one->columns, one->bias);
        else if (piece == 0 && one->bias != NULL)
            t->l->back->sum_rows(one->by_y, one->rows, one->columns, one->bias);
        return;
    }
    if (t->norms) sum_norms(t->l);
}

static void run_tasks(void *arg, size_t begin, size_t end, unsigned worker)
{
    gn__weighing *t = arg;
    gn__serial before = gn__serial_begin();
    for (size_t i = begin; i < end; i++) run_piece(t, i, &t->l->bench[worker]);
    gn__serial_end(before);
}

gn_status gn__learner_weigh(gn_context *ctx, gn__weighing *t, gn_error *err)
{
    size_t pieces = t->norms;
    for (size_t k = 0; k < t->count; k++) pieces += gn__outer_pieces(t->task[k].outer);
    return gn__parallel_for(ctx, pieces, 1, run_tasks, t, err);
}
