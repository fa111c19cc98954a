/* From hidden states to pooled vectors and back: poolings put one behind the other, dense layers, unit
 * length. A text's states between the steps are computed again on the way back. */
#include "model/learner_parts.h"

#include <math.h>

/* Values between steps and two more of the widest. */
size_t gn__learner_pool_scratch(const gn__learner *l)
{
    return (l->m->head.steps + 3) * l->m->head.widest;
}

void gn__learner_pool(gn__learner *l, size_t text, gn__bench *b)
{
    size_t dim = l->r->dim, row = l->first[text];
    gn__head_run(&l->head, l->last + row * dim, l->first[text + 1] - row, dim, b->pool,
                 l->pooled + text * l->m->info.dim);
}

/* f'(x) of a step's activation, from y = f(x) and x. */
static double slope(gn__head_activation kind, double x, double y)
{
    switch (kind) {
    case GN__HEAD_TANH:
        return 1 - y * y;
    case GN__HEAD_RELU:
        return x > 0;
    case GN__HEAD_GELU:
        return 0.5 * erfc(-x * M_SQRT1_2) + x * 0.39894228040143267794 * exp(-0.5 * x * x);
    case GN__HEAD_SILU: {
        double s = 1 / (1 + exp(-x));
        return s + x * s * (1 - s);
    }
    case GN__HEAD_IDENTITY:
        break;
    }
    return 1;
}

/* y = x / |x|: by_x = (by_y − y (y · by_y)) / |x|. Where the forward pass divides by a constant, so does
 * this. */
static void unit_back(const float *x, float *by, size_t n)
{
    double square = 0, dot = 0;
    for (size_t j = 0; j < n; j++) square += (double)x[j] * (double)x[j];
    double length = sqrt(square);
    for (size_t j = 0; j < n; j++) dot += (double)x[j] * (double)by[j];
    for (size_t j = 0; j < n; j++)
        by[j] = (float)(length > 1e-12 ? ((double)by[j] - (double)x[j] * dot / square) / length
                                       : (double)by[j] / 1e-12);
}

/* by: of the layer's output, becomes of its input; spare: [outputs]. */
static void dense_back(gn__learner *l, size_t step, const float *x, float *by, float *spare)
{
    const gn__head_step *s = &l->head.step[step];
    float *by_weight = gn__gradient_of(l, l->step_weight[step]);
    float *by_bias = gn__gradient_of(l, l->step_bias[step]);
    for (size_t i = 0; i < s->outputs; i++) {
        double u = s->bias ? (double)s->bias[i] : 0;
        for (size_t j = 0; j < s->inputs; j++) u += (double)s->weight[i * s->inputs + j] * (double)x[j];
        spare[i] = by[i] * (float)slope(s->activation, u, tanh(u));
    }
    memset(by, 0, s->inputs * sizeof *by);
    for (size_t i = 0; i < s->outputs; i++) {
        for (size_t j = 0; j < s->inputs; j++) by[j] += spare[i] * s->weight[i * s->inputs + j];
        for (size_t j = 0; j < s->inputs && by_weight != NULL; j++)
            by_weight[i * s->inputs + j] += spare[i] * x[j];
        if (by_bias != NULL) by_bias[i] += spare[i];
    }
}

/* The first of the largest gets it all, as forward finds it. */
static void max_back(const float *hidden, size_t tokens, size_t dim, const float *by, float *out)
{
    for (size_t j = 0; j < dim; j++) {
        size_t best = 0;
        for (size_t t = 1; t < tokens; t++)
            if (!(hidden[t * dim + j] <= hidden[best * dim + j])) best = t;
        out[best * dim + j] += by[j];
    }
}

static void pooling_back(gn_pooling kind, const float *hidden, size_t tokens, size_t dim, const float *by,
                         float *out)
{
    double n = (double)tokens;
    switch (kind) {
    case GN_POOLING_CLS:
    case GN_POOLING_LAST:
        out += kind == GN_POOLING_LAST ? (tokens - 1) * dim : 0;
        for (size_t j = 0; j < dim; j++) out[j] += by[j];
        return;
    case GN_POOLING_MAX:
        max_back(hidden, tokens, dim, by, out);
        return;
    case GN_POOLING_WEIGHTED_MEAN:
        for (size_t t = 0; t < tokens; t++)
            for (size_t j = 0; j < dim; j++)
                out[t * dim + j] += by[j] * (float)((double)(t + 1) / (n * (n + 1) / 2));
        return;
    case GN_POOLING_MEAN:
    case GN_POOLING_MEAN_SQRT:
    case GN_POOLING_AUTO:
        break;
    }
    float share = (float)(1 / (kind == GN_POOLING_MEAN_SQRT ? sqrt(n) : n));
    for (size_t t = 0; t < tokens; t++)
        for (size_t j = 0; j < dim; j++) out[t * dim + j] += by[j] * share;
}

void gn__learner_pool_back(gn__learner *l, size_t text, gn__bench *b, float *by_hidden)
{
    const gn__head *h = &l->head;
    size_t dim = l->r->dim, row = l->first[text], tokens = l->first[text + 1] - row;
    size_t width[GN__MOST_STEPS + 1];
    float *value = b->pool, *by = b->pool + (h->steps + 1) * h->widest, *spare = by + h->widest;
    const float *hidden = l->last + row * dim;
    width[0] = dim * h->poolings;
    for (size_t i = 0; i < h->poolings; i++)
        gn__pool(h->pooling[i], false, hidden, tokens, dim, value + i * dim);
    for (size_t i = 0; i < h->steps; i++) {
        width[i + 1] = h->step[i].weight ? h->step[i].outputs : width[i];
        gn__head_step_run(&h->step[i], value + i * h->widest, width[i], value + (i + 1) * h->widest);
    }
    memcpy(by, l->by_pooled + text * l->m->info.dim, width[h->steps] * sizeof *by);
    for (size_t i = h->steps; i-- > 0;)
        if (h->step[i].weight != NULL)
            dense_back(l, i, value + i * h->widest, by, spare);
        else
            unit_back(value + i * h->widest, by, width[i]);
    memset(by_hidden, 0, tokens * dim * sizeof *by_hidden);
    for (size_t i = 0; i < h->poolings; i++)
        pooling_back(h->pooling[i], hidden, tokens, dim, by + i * dim, by_hidden);
}
