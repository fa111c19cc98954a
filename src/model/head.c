#include "model/head.h"

#include "tensor/tensor.h"

#include <cblas.h>
#include <math.h>

/* Token t counts weight(t); divisor: what the sum is divided by. */
static void pool_sum(bool rising, double divisor, const float *hidden, size_t tokens, size_t dim, float *out)
{
    enum { PART = 256 };
    double total[PART];
    for (size_t first = 0; first < dim; first += PART) {
        size_t n = dim - first < PART ? dim - first : (size_t)PART;
        for (size_t j = 0; j < n; j++) total[j] = 0;
        for (size_t t = 0; t < tokens; t++) {
            double weight = rising ? (double)(t + 1) : 1;
            for (size_t j = 0; j < n; j++) total[j] += weight * (double)hidden[t * dim + first + j];
        }
        for (size_t j = 0; j < n; j++) out[first + j] = (float)(total[j] / divisor);
    }
}

static void unit_length(float *x, size_t n)
{
    double square = 0;
    for (size_t j = 0; j < n; j++) square += (double)x[j] * (double)x[j];
    double length = sqrt(square) > 1e-12 ? sqrt(square) : 1e-12; /* as torch's normalize; NaN: see below */
    if (isnan(square)) length = NAN;
    for (size_t j = 0; j < n; j++) x[j] = (float)((double)x[j] / length);
}

void gn__pool(gn_pooling pooling, bool normalize, const float *hidden, size_t tokens, size_t dim, float *out)
{
    double n = (double)tokens;
    switch (pooling) {
    case GN_POOLING_CLS:
    case GN_POOLING_MAX:
        memcpy(out, hidden, dim * sizeof *out);
        break;
    case GN_POOLING_LAST:
        memcpy(out, hidden + (tokens - 1) * dim, dim * sizeof *out);
        break;
    case GN_POOLING_AUTO:
    case GN_POOLING_MEAN:
        pool_sum(false, n, hidden, tokens, dim, out);
        break;
    case GN_POOLING_MEAN_SQRT:
        pool_sum(false, sqrt(n), hidden, tokens, dim, out);
        break;
    case GN_POOLING_WEIGHTED_MEAN:
        pool_sum(true, n * (n + 1) / 2, hidden, tokens, dim, out);
        break;
    }
    for (size_t t = 1; t < tokens && pooling == GN_POOLING_MAX; t++)
        for (size_t j = 0; j < dim; j++)
            if (!(hidden[t * dim + j] <= out[j])) out[j] = hidden[t * dim + j]; /* lets NaN through */
    if (normalize) unit_length(out, dim);
}

static float activated(gn__head_activation kind, double x)
{
    switch (kind) {
    case GN__HEAD_TANH:
        return (float)tanh(x);
    case GN__HEAD_RELU:
        return (float)(x < 0 ? 0 : x);
    case GN__HEAD_GELU:
        return (float)(0.5 * x * erfc(-x * M_SQRT1_2));
    case GN__HEAD_SILU:
        return (float)(x / (1 + exp(-x)));
    case GN__HEAD_IDENTITY:
        break;
    }
    return (float)x;
}

static void dense(const gn__head_step *s, const float *x, float *y)
{
    for (size_t i = 0; i < s->outputs; i++) y[i] = s->bias ? s->bias[i] : 0;
    cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)s->outputs, (int)s->inputs, 1, s->weight, (int)s->inputs, x,
                1, 1, y, 1);
    if (s->activation != GN__HEAD_IDENTITY)
        for (size_t i = 0; i < s->outputs; i++) y[i] = activated(s->activation, (double)y[i]);
    if (!s->residual) return;
    if (s->residual_weight != NULL)
        cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)s->outputs, (int)s->inputs, 1, s->residual_weight,
                    (int)s->inputs, x, 1, 1, y, 1);
    else
        for (size_t i = 0; i < s->outputs; i++) y[i] += x[i];
}

gn_status gn__head_check(gn__head *h, const char *path, size_t dim, size_t *out, gn_error *err)
{
    size_t width = h->widest = dim * h->poolings;
    for (size_t i = 0; i < h->steps; i++) {
        if (h->step[i].kind == GN__HEAD_UNIT) continue;
        if (h->step[i].inputs != width)
            return gn__fail(err, GN_FORMAT,
                            h->step[i].kind == GN__HEAD_NORM
                                ? "%s: a layer norm expects %zu numbers, but gets %zu"
                                : "%s: a dense layer expects %zu numbers, but gets %zu",
                            path, h->step[i].inputs, width);
        width = h->step[i].outputs;
        if (width > h->widest) h->widest = width;
    }
    *out = width;
    return GN_OK;
}

void gn__head_step_run(const gn__head_step *s, const float *x, size_t width, float *out)
{
    switch (s->kind) {
    case GN__HEAD_UNIT:
        memcpy(out, x, width * sizeof *out);
        unit_length(out, width);
        return;
    case GN__HEAD_NORM:
        gn__cpu_ops()->layer_norm(out, x, s->weight, s->bias, 1, width, GN__HEAD_EPS);
        return;
    case GN__HEAD_DENSE:
        dense(s, x, out);
        return;
    }
}

void gn__head_run(const gn__head *h, const float *hidden, size_t tokens, size_t dim, float *spare, float *out)
{
    float *x = spare, *y = spare + h->widest;
    size_t width = dim * h->poolings;
    for (size_t i = 0; i < h->poolings; i++) gn__pool(h->pooling[i], false, hidden, tokens, dim, x + i * dim);
    for (size_t i = 0; i < h->steps; i++) {
        const gn__head_step *s = &h->step[i];
        gn__head_step_run(s, x, width, y);
        if (s->kind != GN__HEAD_UNIT) width = s->outputs;
        float *swap = x;
        x = y, y = swap;
    }
    memcpy(out, x, width * sizeof *out);
}

void gn__head_free(gn__head *h)
{
    for (size_t i = 0; i < h->steps; i++) {
        free(h->step[i].weight);
        free(h->step[i].bias);
        free(h->step[i].residual_weight);
    }
    *h = (gn__head){0};
}
