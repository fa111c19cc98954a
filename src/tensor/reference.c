/* Every operation in a few plain lines, in double precision inside: what the fast ones are held against. */
#include "core/float16.h"
#include "tensor/tensor.h"

#include <math.h>
#include <stddef.h>

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

static void rms_norm(float *y, const float *x, const float *gamma, size_t rows, size_t cols, float eps)
{
    for (size_t i = 0; i < rows; i++, x += cols, y += cols) {
        double square = 0;
        for (size_t j = 0; j < cols; j++) square += (double)x[j] * (double)x[j] / (double)cols;
        double scale = 1 / sqrt(square + (double)eps);
        for (size_t j = 0; j < cols; j++) y[j] = (float)(x[j] * scale * gamma[j]);
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
    case GN__NO_ACTIVATION:
        return x;
    case GN__SILU:
        break;
    }
    return x / (1 + exp(-x));
}

static void activate(gn__activation kind, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = (float)activated(kind, (double)x[i]);
}

static void gate(gn__activation kind, float *y, const float *x, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++)
            y[i * cols + j] =
                (float)(activated(kind, (double)x[i * 2 * cols + j]) * (double)x[i * 2 * cols + cols + j]);
}

static void rotate(float *x, const float *cosine, const float *sine, size_t heads, size_t head_dim, size_t n)
{
    for (size_t h = 0; h < heads; h++, x += head_dim)
        for (size_t i = 0; i < n; i++) {
            double a = (double)x[i], b = (double)x[i + n], c = (double)cosine[i], s = (double)sine[i];
            x[i] = (float)(a * c - b * s);
            x[i + n] = (float)(b * c + a * s);
        }
}

static void to_bf16(uint16_t *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = gn__f32_to_bf16(x[i]);
}

static double dot(const float *x, const float *y, size_t n, size_t y_step)
{
    double s = 0;
    for (size_t i = 0; i < n; i++) s += (double)x[i] * (double)y[i * y_step];
    return s;
}

static float score(const gn__attention *a, size_t head, size_t from, size_t t, size_t j)
{
    size_t D = a->head_dim;
    const float *q = a->q + t * a->stride + head * D, *k = a->k + j * a->stride + from * D;
    const gn__disentangled *p = a->positions;
    double s = dot(q, k, D, 1);
    size_t row = p ? p->row[(ptrdiff_t)t - (ptrdiff_t)j] : 0;
    if (p != NULL && p->key != NULL) s += dot(q, p->key + head * D * p->columns + row, D, p->columns);
    if (p != NULL && p->query != NULL) s += dot(k, p->query + (head * p->rows + row) * D, D, 1);
    s *= (double)a->scale;
    if (a->cap > 0) s = (double)a->cap * tanh(s / (double)a->cap);
    if (a->bias != NULL)
        s += (double)a->bias[(ptrdiff_t)(head * a->bias_stride) + (ptrdiff_t)j - (ptrdiff_t)t];
    return (float)s;
}

static void to_u8(uint8_t *q, gn__row8 *row, const float *x, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++, x += cols, q += cols) {
        double least = 0, most = 0, odd = 0;
        for (size_t j = 0; j < cols; j++) {
            least = fmin(least, (double)x[j]);
            most = fmax(most, (double)x[j]);
            odd += 0 * (double)x[j];
        }
        double scale = most - least > 1e-30 ? (most - least) / 255 : 0;
        row[i].scale = (float)(scale + odd);
        row[i].zero = scale > 0 ? (int32_t)nearbyint(-least / scale) : 0;
        for (size_t j = 0; j < cols; j++) {
            double level = scale > 0 && odd == 0 ? nearbyint((double)x[j] / scale) + row[i].zero : 0;
            q[j] = (uint8_t)fmax(0, fmin(level, 255));
        }
    }
}

static void from_sums(const gn__sums *s, float *y)
{
    for (size_t i = 0; i < s->rows; i++)
        for (size_t j = 0; j < s->cols; j++) {
            size_t at = i * s->cols + j;
            double exact = (double)s->sum[at] - (double)s->row[i].zero * (double)s->total[j];
            double x = exact * (double)s->row[i].scale * (double)s->scale[j] + (double)s->bias[j];
            y[at] = (float)(s->add ? (double)y[at] + x : activated(s->activation, x));
        }
}

static void attend(const gn__attention *a, size_t head, size_t t)
{
    size_t kv_heads = a->kv_heads ? a->kv_heads : a->heads, from = head * kv_heads / a->heads;
    size_t first = a->before && t > a->before ? t - a->before : 0;
    size_t end = a->causal ? t + 1 : a->after && t + a->after < a->tokens ? t + a->after + 1 : a->tokens;
    double top = -INFINITY, total = 0;
    for (size_t j = first; j < end; j++) {
        a->scratch[j] = score(a, head, from, t, j);
        top = fmax(top, (double)a->scratch[j]);
    }
    for (size_t j = first; j < end; j++) total += exp((double)a->scratch[j] - top);
    for (size_t d = 0; d < a->head_dim; d++) {
        double y = 0;
        for (size_t j = first; j < end; j++)
            y += exp((double)a->scratch[j] - top) / total *
                 (double)a->v[j * a->stride + from * a->head_dim + d];
        a->out[t * a->out_stride + head * a->head_dim + d] = (float)y;
    }
}

static void attention(const gn__attention *a)
{
    for (size_t h = 0; h < a->heads; h++)
        for (size_t t = 0; t < a->tokens; t++) attend(a, h, t);
}

static void margins(const float *const *row, size_t rows, const float *const *next, const float *mean,
                    const float *w, size_t n, float *out)
{
    (void)next;
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

static void margins_of_fits(const float *rows, size_t count, size_t dim, const float *w, size_t fits,
                            float *out)
{
    for (size_t f = 0; f < fits; f++)
        for (size_t r = 0; r < count; r++) {
            double sum = 0;
            for (size_t j = 0; j < dim; j++) sum += (double)rows[r * dim + j] * (double)w[f * dim + j];
            out[f * GN__LANES + r] = (float)sum;
        }
}

static void add_rows_of_fits(const float *rows, size_t count, size_t dim, const float *factor, size_t fits,
                             float *sum)
{
    for (size_t f = 0; f < fits; f++)
        for (size_t j = 0; j < dim; j++) {
            double s = (double)sum[f * dim + j];
            for (size_t r = 0; r < count; r++)
                s += (double)factor[f * GN__LANES + r] * (double)rows[r * dim + j];
            sum[f * dim + j] = (float)s;
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

static void signed_sums(const gn__signed *s)
{
    for (size_t l = 0; l < s->labels; l++)
        for (size_t j = 0; j < s->chunks * GN__CHUNK; j++) {
            size_t chunk = j / GN__CHUNK, code = j % GN__CHUNK / GN__CODE_BITS;
            unsigned bits = s->code[(chunk * s->labels + l) * GN__CODES + code] / GN__CODE_UNIT;
            float sign = bits >> (j % GN__CODE_BITS) & 1 ? s->inside : s->outside;
            for (size_t r = 0; r < GN__STRIP; r++) {
                float own = s->mask[l] >> r & 1 ? s->inside : s->outside;
                size_t lane = l * GN__SUM_LANES + r % GN__SUM_LANES;
                s->quadratic[lane] += own * s->k[j * GN__STRIP + r] * sign;
                if (s->linear != NULL) s->linear[lane] += s->k[j * GN__STRIP + r] * sign;
            }
        }
}

static void strip_distances(const float *strip, const float *x, size_t rows, size_t dim, bool city_block,
                            float *out, size_t stride)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t r = 0; r < GN__STRIP; r++) {
            double sum = 0;
            for (size_t j = 0; j < dim; j++) {
                double d = (double)strip[j * GN__STRIP + r] - (double)x[i * dim + j];
                sum += city_block ? fabs(d) : d * d;
            }
            out[i * stride + r] = (float)sum;
        }
}

const gn__ops gn__ops_reference = {
    "reference",     layer_norm,       rms_norm,      activate,     gate,        rotate,
    to_bf16,         attention,        to_u8,         from_sums,    margins,     add_rows,
    margins_of_fits, add_rows_of_fits, binomial_loss, softmax_loss, signed_sums, strip_distances};
