/* The convolution of DeBERTa-v2's large models, both ways: layer 0's result gains what each token's
 * neighbours among the first hidden states say, before a norm of the sum. A group of columns is a linear
 * layer of its neighbours one behind the other. */
#define REAL float
#include "model/learner_kernel.h"
#include "model/learner_parts.h"

static size_t width_of(const gn__learner *l)
{
    return l->r->dim / l->r->conv_groups;
}

/* What a group's linear layer takes of a block's rows: [GN__ROWS × conv width]. */
static void gather(const gn__block *k, size_t group, float *out)
{
    const gn__learner *l = k->l;
    size_t width = width_of(l), n = l->r->conv * width;
    for (size_t row = k->row; row < k->row + GN__ROWS; row++, out += n) {
        if (row >= l->rows) {
            memset(out, 0, n * sizeof *out);
            continue;
        }
        size_t text = l->text[row], first = l->first[text];
        gn__gather_taps(l->r, l->tape[0].x + first * l->r->dim, l->at[row], l->first[text + 1] - first,
                        group * width, width, out);
    }
}

void gn__learner_convolve(const gn__block *k)
{
    gn__learner *l = k->l;
    const gn__recipe *r = l->r;
    size_t at = k->row * r->dim, width = width_of(l), n = GN__ROWS * r->dim;
    float *u = l->conv_u + at, *sum = l->conv_sum + at, *hidden = l->tape[1].x + at;
    for (size_t g = 0; g < r->conv_groups; g++) {
        gather(k, g, k->b->wide);
        gn__learner_run(l, k->b, &l->conv[g], 0, GN__PRODUCTS, k->row, k->b->wide, k->b->h);
        for (size_t i = 0; i < GN__ROWS; i++)
            memcpy(u + i * r->dim + g * width, k->b->h + i * width, width * sizeof *u);
    }
    gn__learner_drop(l, l->drop.out, gn__drop_place(GN__DROP_CONVOLUTION, 0), k->row, u, r->dim);
    l->back->activation(r->conv_activation, u, k->b->y, n);
    l->back->sum(sum, hidden, k->b->y, n);
    gn__learner_norm(l, &l->conv_norm, hidden, sum, GN__ROWS, r->dim);
}

/* ---- the way back --------------------------------------------------------------------------------- */

/* A group's part of the wake's by_conv or taps, `cols` wide. */
static float *part_of(const gn__learner *l, float *all, size_t group, size_t row, size_t cols)
{
    return all + (group * l->capacity_rows + row) * cols;
}

static void from_sum(const gn__block *k, size_t layer)
{
    gn__learner *l = k->l;
    const gn__recipe *r = l->r;
    const gn__wake *w = &l->wake;
    size_t at = k->row * r->dim, width = width_of(l);
    float *by = w->by_hidden + at, *by_u = k->b->y;
    (void)layer;
    gn__learner_clear_slots(k);
    gn__learner_norm_back(k, &l->conv_norm, 0, l->conv_sum + at, by, GN__ROWS, r->dim);
    if (w->by_conv == NULL) return;
    l->back->activation_back(r->conv_activation, l->conv_u + at, by, by_u, NULL, GN__ROWS * r->dim);
    gn__learner_drop(l, l->drop.out, gn__drop_place(GN__DROP_CONVOLUTION, 0), k->row, by_u, r->dim);
    for (size_t g = 0; g < r->conv_groups; g++) {
        float *to = part_of(l, w->by_conv, g, k->row, width);
        for (size_t i = 0; i < GN__ROWS; i++)
            memcpy(to + i * width, by_u + i * r->dim + g * width, width * sizeof *to);
        gather(k, g, part_of(l, w->taps, g, k->row, r->conv * width));
    }
}

static void to_taps(const gn__block *k, size_t layer)
{
    gn__learner *l = k->l;
    const gn__wake *w = &l->wake;
    size_t width = width_of(l);
    (void)layer;
    for (size_t g = 0; g < l->r->conv_groups; g++)
        gn__learner_run_back(l, k->b, &l->conv[g], 0, GN__PRODUCTS, k->row, NULL,
                             part_of(l, w->by_conv, g, k->row, width),
                             part_of(l, w->taps, g, k->row, l->r->conv * width), NULL, NULL, NULL);
}

gn_status gn__learner_convolution_back(gn_context *ctx, gn__learner *l, gn_error *err)
{
    const gn__wake *w = &l->wake;
    size_t width = width_of(l);
    GN__TRY(gn__learner_blocks(ctx, l, l->padded, from_sum, err));
    gn__learner_sum_norm(l, &l->conv_norm, 0, l->padded);
    for (size_t g = 0; g < l->r->conv_groups && w->by_conv != NULL; g++) {
        gn__weighing t = {.l = l};
        gn__learner_weigh_linear(&t, &l->conv[g], &l->outer_conv, part_of(l, w->by_conv, g, 0, width),
                                 part_of(l, w->taps, g, 0, l->r->conv * width), l->padded, (gn__adapted){0});
        GN__TRY(gn__learner_weigh(ctx, &t, err));
    }
    return l->embeds ? gn__learner_blocks(ctx, l, l->padded, to_taps, err) : GN_OK;
}

static void to_first(const gn__block *k, size_t layer)
{
    gn__learner *l = k->l;
    const gn__recipe *r = l->r;
    size_t width = width_of(l);
    (void)layer;
    for (size_t row = k->row; row < k->row + GN__ROWS && row < l->rows; row++) {
        size_t text = l->text[row], first = l->first[text];
        for (size_t g = 0; g < r->conv_groups; g++)
            taps_back(part_of(l, l->wake.taps, g, first, r->conv * width), r->conv, width, l->at[row],
                      l->first[text + 1] - first, l->wake.by_hidden + row * r->dim + g * width);
    }
}

gn_status gn__learner_convolved_back(gn_context *ctx, gn__learner *l, gn_error *err)
{
    return gn__learner_blocks(ctx, l, l->padded, to_first, err);
}
