/* The gradients of what stands beside layers (poolings, modules behind them, the convolution's neighbours,
 * the loss) against central differences in double precision: the learner's own body, compiled for double,
 * against plain forward formulas written here. */
#define REAL double
#include "model/learner_kernel.h"

#include "differences.h"
#include "model/tuned.h"
#include "test.h"

/* ---- poolings ------------------------------------------------------------------------------------- */

typedef struct pooling {
    gn_pooling kind;
    double *hidden, *weight;
    size_t tokens, dim;
} pooling;

static double pooling_value(const void *arg)
{
    const pooling *p = arg;
    double value = 0, n = (double)p->tokens;
    for (size_t j = 0; j < p->dim; j++) {
        double sum = 0, rising = 0, most = -INFINITY;
        for (size_t t = 0; t < p->tokens; t++) {
            double x = p->hidden[t * p->dim + j];
            sum += x;
            rising += x * (double)(t + 1);
            most = fmax(most, x);
        }
        const double pooled[] = {[GN_POOLING_AUTO] = sum / n,
                                 [GN_POOLING_MEAN] = sum / n,
                                 [GN_POOLING_CLS] = p->hidden[j],
                                 [GN_POOLING_MAX] = most,
                                 [GN_POOLING_MEAN_SQRT] = sum / sqrt(n),
                                 [GN_POOLING_WEIGHTED_MEAN] = rising / (n * (n + 1) / 2),
                                 [GN_POOLING_LAST] = p->hidden[(p->tokens - 1) * p->dim + j]};
        value += p->weight[j] * pooled[p->kind];
    }
    return value;
}

TEST(poolings)
{
    static const gn_pooling kinds[] = {GN_POOLING_AUTO, GN_POOLING_MEAN,      GN_POOLING_CLS,
                                       GN_POOLING_MAX,  GN_POOLING_MEAN_SQRT, GN_POOLING_WEIGHTED_MEAN,
                                       GN_POOLING_LAST};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (size_t tokens = 1; tokens < 9; tokens += 3) {
            rng = gn__rng_make(tokens, gn__purpose("test/gradients/head"), 0);
            pooling p = {.kind = kinds[k], .tokens = tokens, .dim = 5};
            p.hidden = numbers(tokens * p.dim, 1), p.weight = numbers(p.dim, 1);
            double *by = numbers(tokens * p.dim, 0);
            pooling_back(p.kind, p.hidden, tokens, p.dim, p.weight, by);
            check_by("pooling", pooling_value, &p, p.hidden, by, tokens * p.dim);
            free(p.hidden), free(p.weight), free(by);
        }
}

/* ---- modules behind them -------------------------------------------------------------------------- */

typedef struct vector {
    double *x, *weight;
    size_t n;
} vector;

static double unit_value(const void *arg)
{
    const vector *v = arg;
    double square = 0, dot = 0;
    for (size_t j = 0; j < v->n; j++) square += v->x[j] * v->x[j], dot += v->x[j] * v->weight[j];
    return dot / sqrt(square);
}

TEST(unit_length)
{
    rng = gn__rng_make(0, gn__purpose("test/gradients/head"), 1);
    vector v = {numbers(7, 1), numbers(7, 1), 7};
    double *by = numbers(7, 0);
    memcpy(by, v.weight, 7 * sizeof *by);
    unit_back(v.x, by, 7);
    check_by("unit length", unit_value, &v, v.x, by, 7);
    free(v.x), free(v.weight), free(by);
}

typedef struct dense {
    gn__head_activation kind;
    double *x, *w, *b, *r, *weight; /* r NULL: x itself, where residual */
    size_t inputs, outputs;
    bool residual;
} dense;

static double head_activated(gn__head_activation kind, double u)
{
    switch (kind) {
    case GN__HEAD_TANH:
        return tanh(u);
    case GN__HEAD_RELU:
        return u < 0 ? 0 : u;
    case GN__HEAD_GELU:
        return 0.5 * u * erfc(-u / sqrt(2.0));
    case GN__HEAD_SILU:
        return u / (1 + exp(-u));
    case GN__HEAD_IDENTITY:
        break;
    }
    return u;
}

static double dense_value(const void *arg)
{
    const dense *d = arg;
    double value = 0;
    for (size_t i = 0; i < d->outputs; i++) {
        double u = d->b[i], aside = 0;
        for (size_t j = 0; j < d->inputs; j++) {
            u += d->w[i * d->inputs + j] * d->x[j];
            if (d->r != NULL) aside += d->r[i * d->inputs + j] * d->x[j];
        }
        if (d->residual && d->r == NULL) aside = d->x[i];
        value += d->weight[i] * (head_activated(d->kind, u) + aside);
    }
    return value;
}

static void check_dense(gn__head_activation kind, size_t inputs, size_t outputs, bool residual)
{
    size_t n = inputs * outputs, wide = inputs > outputs ? inputs : outputs;
    dense d = {.kind = kind, .inputs = inputs, .outputs = outputs, .residual = residual};
    d.x = numbers(inputs, 1), d.w = numbers(n, 1), d.b = numbers(outputs, 1), d.weight = numbers(outputs, 1);
    if (residual && inputs != outputs) d.r = numbers(n, 1);
    double *by = numbers(wide, 0), *by_w = numbers(n, 0), *by_b = numbers(outputs, 0), *by_r = numbers(n, 0);
    double *spare = numbers(2 * outputs, 0);
    memcpy(by, d.weight, outputs * sizeof *by);
    dense_back(&(dense_way){.weight = d.w,
                            .bias = d.b,
                            .residual_weight = d.r,
                            .by_weight = by_w,
                            .by_bias = by_b,
                            .by_residual = d.r ? by_r : NULL,
                            .inputs = inputs,
                            .outputs = outputs,
                            .activation = kind,
                            .residual = residual},
               d.x, by, spare);
    check_by("dense, x", dense_value, &d, d.x, by, inputs);
    check_by("dense, weight", dense_value, &d, d.w, by_w, n);
    check_by("dense, bias", dense_value, &d, d.b, by_b, outputs);
    if (d.r != NULL) check_by("dense, residual", dense_value, &d, d.r, by_r, n);
    free(d.x), free(d.w), free(d.b), free(d.r), free(d.weight);
    free(by), free(by_w), free(by_b), free(by_r), free(spare);
}

TEST(dense_layers)
{
    rng = gn__rng_make(0, gn__purpose("test/gradients/head"), 2);
    for (int kind = GN__HEAD_IDENTITY; kind <= GN__HEAD_SILU; kind++)
        for (int residual = 0; residual < 2; residual++) {
            check_dense((gn__head_activation)kind, 5, 5, residual);
            check_dense((gn__head_activation)kind, 6, 4, residual);
            check_dense((gn__head_activation)kind, 3, 7, residual);
        }
}

/* ---- the convolution ------------------------------------------------------------------------------ */

/* y[t][o] = silu(b[o] + Σ_k Σ_i w[o][k][i] x[t + k − conv / 2][i of o's group]), zeros beyond the text. */
typedef struct convolution {
    double *x, *w, *b, *weight; /* [tokens × dim], [dim × conv × width], [dim], as y */
    size_t tokens, dim, groups, conv;
} convolution;

static double conv_sum(const convolution *c, size_t t, size_t o)
{
    size_t width = c->dim / c->groups, first = o / width * width;
    double u = c->b[o];
    for (size_t k = 0; k < c->conv; k++) {
        ptrdiff_t at = (ptrdiff_t)(t + k) - (ptrdiff_t)(c->conv / 2);
        if (at < 0 || at >= (ptrdiff_t)c->tokens) continue;
        for (size_t i = 0; i < width; i++)
            u += c->w[(o * c->conv + k) * width + i] * c->x[(size_t)at * c->dim + first + i];
    }
    return u;
}

static double conv_value(const void *arg)
{
    const convolution *c = arg;
    double value = 0;
    for (size_t t = 0; t < c->tokens; t++)
        for (size_t o = 0; o < c->dim; o++)
            value += c->weight[t * c->dim + o] * head_activated(GN__HEAD_SILU, conv_sum(c, t, o));
    return value;
}

static void check_convolution(size_t tokens, size_t dim, size_t groups, size_t conv)
{
    size_t width = dim / groups, taps = conv * width;
    convolution c = {.tokens = tokens, .dim = dim, .groups = groups, .conv = conv};
    c.x = numbers(tokens * dim, 1), c.w = numbers(dim * taps, 1), c.b = numbers(dim, 1);
    c.weight = numbers(tokens * dim, 1);
    double *by_x = numbers(tokens * dim, 0), *by_taps = numbers(tokens * taps, 0);
    for (size_t g = 0; g < groups; g++) {
        memset(by_taps, 0, tokens * taps * sizeof *by_taps);
        for (size_t t = 0; t < tokens; t++)
            for (size_t o = g * width; o < (g + 1) * width; o++) {
                double u = conv_sum(&c, t, o);
                double by_u = c.weight[t * dim + o] * head_slope(GN__HEAD_SILU, u, 0);
                for (size_t i = 0; i < taps; i++) by_taps[t * taps + i] += by_u * c.w[o * taps + i];
            }
        for (size_t t = 0; t < tokens; t++)
            taps_back(by_taps, conv, width, t, tokens, by_x + t * dim + g * width);
    }
    check_by("convolution", conv_value, &c, c.x, by_x, tokens * dim);
    free(c.x), free(c.w), free(c.b), free(c.weight), free(by_x), free(by_taps);
}

TEST(convolutions)
{
    rng = gn__rng_make(0, gn__purpose("test/gradients/head"), 3);
    for (size_t tokens = 1; tokens < 8; tokens += 2)
        for (size_t conv = 1; conv < 10; conv += 2)
            for (size_t groups = 1; groups <= 4; groups *= 2) check_convolution(tokens, 4, groups, conv);
}

/* ---- the loss ------------------------------------------------------------------------------------- */

typedef struct loss {
    double *logit;
    int classes, label;
} loss;

static double loss_value(const void *arg)
{
    const loss *l = arg;
    double total = 0;
    for (int k = 0; k < l->classes; k++) total += exp(l->logit[k]);
    return log(total) - l->logit[l->label];
}

TEST(cross_entropy)
{
    enum { MOST = 6 };
    rng = gn__rng_make(0, gn__purpose("test/gradients/head"), 4);
    for (int classes = 2; classes <= MOST; classes++)
        for (int label = 0; label < classes; label++) {
            loss l = {numbers(MOST, 3), classes, label};
            float logit[MOST], found[MOST];
            double by[MOST];
            for (int k = 0; k < classes; k++) l.logit[k] = logit[k] = (float)l.logit[k];
            CHECK_NEAR(gn__softmax_loss(logit, classes, label, 1, found), loss_value(&l), 1e-12);
            for (int k = 0; k < classes; k++) by[k] = (double)found[k];
            check_by("loss", loss_value, &l, l.logit, by, (size_t)classes);
            free(l.logit);
        }
}
