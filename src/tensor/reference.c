/* Every operation in a few plain lines, in double precision inside: what the fast ones are held against. */
#include "core/float16.h"
#include "tensor/tensor.h"

#include <math.h>

static void layer_norm(float *y, const float *x, const float *gamma, const float *beta, size_t rows,
                       size_t cols, float eps)
{
    for (size_t i = 0; i < rows; i++, x += cols, y += cols) {
        double mean = 0, variance = 0;
        for (size_t j = 0; j < cols; j++) mean += (double)x[j] / (double)cols;
        for (size_t j = 0; j < cols; j++) variance += (x[j] - mean) * (x[j] - mean) / (double)cols;
        double scale = 1 / sqrt(variance + (double)eps);
        for (size_t j = 0; j < cols; j++) y[j] = (float)((x[j] - mean) * scale * gamma[j] + beta[j]);
    }
}

static double activated(gn__activation kind, double x)
{
    const double root_2_over_pi = 0.79788456080286535588;
    switch (kind) {
    case GN__GELU:
        return 0.5 * x * erfc(-x / sqrt(2.0));
    case GN__GELU_TANH:
        return 0.5 * x * (1 + tanh(root_2_over_pi * (x + 0.044715 * x * x * x)));
    case GN__RELU:
        return x < 0 ? 0 : x;
    case GN__SILU:
        break;
    }
    return x / (1 + exp(-x));
}

static void activate(gn__activation kind, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = (float)activated(kind, (double)x[i]);
}

static void to_bf16(uint16_t *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = gn__f32_to_bf16(x[i]);
}

static void attend(const gn__attention *a, size_t head, size_t t)
{
    size_t seen = a->causal ? t + 1 : a->tokens, offset = head * a->head_dim;
    double top = -INFINITY, total = 0;
    for (size_t j = 0; j < seen; j++) {
        double s = 0;
        for (size_t d = 0; d < a->head_dim; d++)
            s += (double)a->q[t * a->stride + offset + d] * (double)a->k[j * a->stride + offset + d];
        a->scratch[j] = (float)(s * (double)a->scale);
        top = fmax(top, (double)a->scratch[j]);
    }
    for (size_t j = 0; j < seen; j++) total += exp((double)a->scratch[j] - top);
    for (size_t d = 0; d < a->head_dim; d++) {
        double y = 0;
        for (size_t j = 0; j < seen; j++)
            y += exp((double)a->scratch[j] - top) / total * (double)a->v[j * a->stride + offset + d];
        a->out[t * a->out_stride + offset + d] = (float)y;
    }
}

static void attention(const gn__attention *a)
{
    for (size_t h = 0; h < a->heads; h++)
        for (size_t t = 0; t < a->tokens; t++) attend(a, h, t);
}

static void margins(const float *const *row, size_t rows, const float *mean, const float *w, size_t n,
                    float *out)
{
    for (size_t r = 0; r < rows; r++) {
        double sum = 0;
        for (size_t j = 0; j < n; j++) sum += ((double)row[r][j] - (double)mean[j]) * (double)w[j];
        out[r] = (float)sum;
    }
}

static void add_rows(const float *const *row, size_t rows, const float *mean, const float *factor, size_t n,
                     float *sum)
{
    for (size_t j = 0; j < n; j++) {
        double s = (double)sum[j];
        for (size_t r = 0; r < rows; r++) s += (double)factor[r] * ((double)row[r][j] - (double)mean[j]);
        sum[j] = (float)s;
    }
}

static double binomial_loss(float *margin, const float *y, const float *weight, size_t n)
{
    double loss = 0;
    for (size_t i = 0; i < n; i++) {
        double m = (double)margin[i], t = (double)y[i], s = (double)weight[i], wrong = t > 0.5 ? -m : m;
        loss += s * (log1p(exp(-fabs(m))) + fmax(wrong, 0));
        margin[i] = (float)(s * (1 / (1 + exp(-m)) - t));
    }
    return loss;
}

static double softmax_loss(float *logit, size_t stride, size_t classes, const float *bias, const int *y,
                           const float *weight, size_t n)
{
    double loss = 0;
    for (size_t i = 0; i < n; i++) {
        double top = -INFINITY, total = 0, s = (double)weight[i];
        for (size_t c = 0; c < classes; c++) top = fmax(top, (double)logit[c * stride + i] + (double)bias[c]);
        for (size_t c = 0; c < classes; c++)
            total += exp((double)logit[c * stride + i] + (double)bias[c] - top);
        size_t own = (size_t)y[i];
        loss += s * (log(total) + top - (double)logit[own * stride + i] - (double)bias[own]);
        for (size_t c = 0; c < classes; c++) {
            double p = exp((double)logit[c * stride + i] + (double)bias[c] - top) / total;
            logit[c * stride + i] = (float)(s * (p - (c == own)));
        }
    }
    return loss;
}

const gn__ops gn__ops_reference = {"reference", layer_norm, activate,      to_bf16,     attention,
                                   margins,     add_rows,   binomial_loss, softmax_loss};
