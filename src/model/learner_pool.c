/* From hidden states to pooled vectors and back: poolings put one behind the other, dense layers, unit
 * length. A text's states between the steps are computed again on the way back. */
#define REAL float
#include "model/learner_kernel.h"
#include "model/learner_parts.h"

/* Values between steps and three more of the widest. */
size_t gn__learner_pool_scratch(const gn__learner *l)
{
    return (l->m->head.steps + 4) * l->m->head.widest;
}

void gn__learner_pool(gn__learner *l, size_t text, gn__bench *b)
{
    size_t dim = l->r->output, row = l->first[text];
    gn__head_run(&l->head, l->last + row * dim, l->first[text + 1] - row, dim, b->pool,
                 l->pooled + text * l->m->info.dim);
}

static void step_back(gn__learner *l, size_t step, const float *x, float *by, size_t width, float *spare)
{
    const gn__head_step *s = &l->head.step[step];
    float *by_weight = gn__gradient_of(l, l->step_weight[step]);
    float *by_bias = gn__gradient_of(l, l->step_bias[step]);
    switch (s->kind) {
    case GN__HEAD_UNIT:
        unit_back(x, by, width);
        return;
    case GN__HEAD_NORM:
        l->back->norm_back(&(gn__norm_back){.x = x,
                                            .by_y = by,
                                            .gamma = s->weight,
                                            .centred = true,
                                            .by_x = by,
                                            .by_gamma = by_weight,
                                            .by_beta = by_bias,
                                            .rows = 1,
                                            .cols = width,
                                            .eps = GN__HEAD_EPS});
        return;
    case GN__HEAD_DENSE:
        dense_back(&(dense_way){.weight = s->weight,
                                .bias = s->bias,
                                .residual_weight = s->residual_weight,
                                .by_weight = by_weight,
                                .by_bias = by_bias,
                                .by_residual = gn__gradient_of(l, l->step_residual[step]),
                                .inputs = s->inputs,
                                .outputs = s->outputs,
                                .activation = s->activation,
                                .residual = s->residual},
                   x, by, spare);
        return;
    }
}

void gn__learner_pool_back(gn__learner *l, size_t text, gn__bench *b, float *by_hidden)
{
    const gn__head *h = &l->head;
    size_t dim = l->r->output, row = l->first[text], tokens = l->first[text + 1] - row;
    size_t width[GN__MOST_STEPS + 1];
    float *value = b->pool, *by = b->pool + (h->steps + 1) * h->widest, *spare = by + h->widest;
    const float *hidden = l->last + row * dim;
    width[0] = dim * h->poolings;
    for (size_t i = 0; i < h->poolings; i++)
        gn__pool(h->pooling[i], false, hidden, tokens, dim, value + i * dim);
    for (size_t i = 0; i < h->steps; i++) {
        width[i + 1] = h->step[i].kind == GN__HEAD_UNIT ? width[i] : h->step[i].outputs;
        gn__head_step_run(&h->step[i], value + i * h->widest, width[i], value + (i + 1) * h->widest);
    }
    memcpy(by, l->by_pooled + text * l->m->info.dim, width[h->steps] * sizeof *by);
    for (size_t i = h->steps; i-- > 0;) step_back(l, i, value + i * h->widest, by, width[i], spare);
    memset(by_hidden, 0, tokens * dim * sizeof *by_hidden);
    for (size_t i = 0; i < h->poolings; i++)
        pooling_back(h->pooling[i], hidden, tokens, dim, by + i * dim, by_hidden);
}
