/* The way back through poolings, the modules behind them and the convolution's neighbours, once a type of
 * number: REAL is float in the learner and double in the tests, which take differences there. Each file that
 * includes this defines REAL first. */
#ifndef GENCHI_MODEL_LEARNER_KERNEL_H
#define GENCHI_MODEL_LEARNER_KERNEL_H

#include "model/head.h"

#include <math.h>

/* ---- poolings ------------------------------------------------------------------------------------- */

/* The first of the largest gets it all, as forward finds it. */
static inline void max_back(const REAL *hidden, size_t tokens, size_t dim, const REAL *by, REAL *out)
{
    for (size_t j = 0; j < dim; j++) {
        size_t best = 0;
        for (size_t t = 1; t < tokens; t++)
            if (!(hidden[t * dim + j] <= hidden[best * dim + j])) best = t;
        out[best * dim + j] += by[j];
    }
}

/* out: [tokens × dim], added to; by: [dim]. */
static inline void pooling_back(gn_pooling kind, const REAL *hidden, size_t tokens, size_t dim,
                                const REAL *by, REAL *out)
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
                out[t * dim + j] += by[j] * (REAL)((double)(t + 1) / (n * (n + 1) / 2));
        return;
    case GN_POOLING_MEAN:
    case GN_POOLING_MEAN_SQRT:
    case GN_POOLING_AUTO:
        break;
    }
    REAL share = (REAL)(1 / (kind == GN_POOLING_MEAN_SQRT ? sqrt(n) : n));
    for (size_t t = 0; t < tokens; t++)
        for (size_t j = 0; j < dim; j++) out[t * dim + j] += by[j] * share;
}

/* ---- modules behind them -------------------------------------------------------------------------- */

/* f'(x) of a step's activation, from y = f(x) and x. */
static inline double head_slope(gn__head_activation kind, double x, double y)
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
static inline void unit_back(const REAL *x, REAL *by, size_t n)
{
    double square = 0, dot = 0;
    for (size_t j = 0; j < n; j++) square += (double)x[j] * (double)x[j];
    double length = sqrt(square);
    for (size_t j = 0; j < n; j++) dot += (double)x[j] * (double)by[j];
    for (size_t j = 0; j < n; j++)
        by[j] = (REAL)(length > 1e-12 ? ((double)by[j] - (double)x[j] * dot / square) / length
                                      : (double)by[j] / 1e-12);
}

/* y = f(W x + b), where residual: + x, or R x. */
typedef struct dense_way {
    const REAL *weight, *bias, *residual_weight; /* bias, residual_weight NULL: none */
    REAL *by_weight, *by_bias, *by_residual;     /* added to; NULL: not wanted */
    size_t inputs, outputs;
    gn__head_activation activation;
    bool residual;
} dense_way;

/* by_x += Wᵀ by_y and by_weight += by_y xᵀ. */
static inline void product_back(const dense_way *d, const REAL *weight, const REAL *x, const REAL *by_y,
                                REAL *by_x, REAL *by_weight)
{
    for (size_t i = 0; i < d->outputs; i++) {
        for (size_t j = 0; j < d->inputs; j++) by_x[j] += by_y[i] * weight[i * d->inputs + j];
        for (size_t j = 0; j < d->inputs && by_weight != NULL; j++)
            by_weight[i * d->inputs + j] += by_y[i] * x[j];
    }
}

/* by: of the layer's output, becomes of its input; [the wider of both]. spare: [2 × outputs]. */
static inline void dense_back(const dense_way *d, const REAL *x, REAL *by, REAL *spare)
{
    REAL *by_u = spare, *by_y = spare + d->outputs;
    for (size_t i = 0; i < d->outputs; i++) {
        double u = d->bias ? (double)d->bias[i] : 0;
        for (size_t j = 0; j < d->inputs; j++) u += (double)d->weight[i * d->inputs + j] * (double)x[j];
        by_y[i] = by[i];
        by_u[i] = by[i] * (REAL)head_slope(d->activation, u, tanh(u));
        if (d->by_bias != NULL) d->by_bias[i] += by_u[i];
    }
    bool straight = d->residual && d->residual_weight == NULL; /* as wide as before */
    for (size_t j = 0; j < d->inputs; j++) by[j] = straight ? by_y[j] : 0;
    product_back(d, d->weight, x, by_u, by, d->by_weight);
    if (d->residual_weight != NULL) product_back(d, d->residual_weight, x, by_y, by, d->by_residual);
}

/* ---- a convolution's neighbours --------------------------------------------------------------------- */

/* by_x of token t of a text gains what those say who took it: tap k of token t + conv / 2 − k. by_taps:
 * [tokens × conv × width]. */
static inline void taps_back(const REAL *by_taps, size_t conv, size_t width, size_t t, size_t tokens,
                             REAL *by_x)
{
    size_t half = conv / 2;
    for (size_t k = 0; k < conv; k++) {
        if (t + half < k || t + half - k >= tokens) continue;
        const REAL *from = by_taps + ((t + half - k) * conv + k) * width;
        for (size_t j = 0; j < width; j++) by_x[j] += from[j];
    }
}

#endif
