/* What a learner's positions make of its values: the bias of each distance, and what relative positions give
 * each layer (DeBERTa, He et al. 2021). */
#include "model/learner_parts.h"

static void fill_table(gn__learner *l)
{
    const gn__recipe *r = l->r;
    memcpy(l->relative_table, l->relative->value, 2 * r->span * r->dim * sizeof *l->relative_table);
    if (l->relative_norm.gamma == NULL)
        memcpy(l->relative_input, l->relative_table, 2 * r->span * r->dim * sizeof *l->relative_table);
    else
        gn__learner_norm(l, &l->relative_norm, l->relative_input, l->relative_table, l->relative_rows,
                         r->dim);
}

/* A layer, a kind and a block a piece. */
static void place_block(void *arg, size_t begin, size_t end, unsigned worker)
{
    gn__learner *l = arg;
    size_t blocks = l->relative_rows / GN__ROWS, width = l->r->heads * l->r->head_dim;
    gn__serial before = gn__serial_begin();
    for (size_t i = begin; i < end; i++) {
        size_t row = i % blocks * GN__ROWS, layer = i / blocks / 2;
        const gn__learnt_linear *x = &l->layer[layer].position[i / blocks % 2];
        if (x->weight == NULL) continue;
        gn__learner_run(l, &l->bench[worker], x, layer, GN__PRODUCTS, row,
                        l->relative_input + row * l->r->dim,
                        l->layer[layer].positions[i / blocks % 2] + row * width);
    }
    gn__serial_end(before);
}

gn_status gn__learner_place(gn_context *ctx, gn__learner *l, gn_error *err)
{
    if (l->buckets != NULL) gn__positions_fill_bias(l->r, l->buckets->value, &l->places);
    if (l->relative == NULL) return GN_OK;
    fill_table(l);
    return gn__parallel_for(ctx, l->r->stored * 2 * (l->relative_rows / GN__ROWS), 1, place_block, l, err);
}
