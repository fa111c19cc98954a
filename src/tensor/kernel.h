/* The fast operations, written once over the vectors of kernel_vector.h. The includer defines KERNEL_NAME (of
 * the table), KERNEL_PRODUCT (of the product's) and KERNEL_LABEL. */
#include "tensor/kernel_narrow.h"

static inline void activate_as(gn__activation kind, float *x, size_t n)
{
    size_t i = 0;
    for (; i + W <= n; i += W) store(x + i, apply(kind, load(x + i)));
    if (i < n) {
        float rest[W] = {0};
        memcpy(rest, x + i, (n - i) * sizeof *x);
        store(rest, apply(kind, load(rest)));
        memcpy(x + i, rest, (n - i) * sizeof *x);
    }
}

static void activate(gn__activation kind, float *x, size_t n)
{
    if (kind != GN__NO_ACTIVATION) GN__EACH_KIND(kind, activate_as, x, n)
}

static void layer_norm(float *y, const float *x, const float *gamma, const float *beta, size_t rows,
                       size_t cols, float eps)
{
    size_t whole = cols / W * W;
    for (size_t row = 0; row < rows; row++, x += cols, y += cols) {
        vf s0 = {0}, q0 = {0};
        for (size_t j = 0; j < whole; j += W) s0 += load(x + j);
        float mean = sum(s0), square;
        for (size_t j = whole; j < cols; j++) mean += x[j];
        mean /= (float)cols;
        for (size_t j = 0; j < whole; j += W) {
            vf d = load(x + j) - mean;
            q0 += d * d;
        }
        square = sum(q0);
        for (size_t j = whole; j < cols; j++) square += (x[j] - mean) * (x[j] - mean);
        float scale = 1.0f / __builtin_sqrtf(square / (float)cols + eps);
        for (size_t j = 0; j < whole; j += W)
            store(y + j, (load(x + j) - mean) * scale * load(gamma + j) + load(beta + j));
        for (size_t j = whole; j < cols; j++) y[j] = (x[j] - mean) * scale * gamma[j] + beta[j];
    }
}

static void rms_norm(float *y, const float *x, const float *gamma, size_t rows, size_t cols, float eps)
{
    size_t whole = cols / W * W;
    for (size_t row = 0; row < rows; row++, x += cols, y += cols) {
        vf q0 = {0};
        for (size_t j = 0; j < whole; j += W) q0 += load(x + j) * load(x + j);
        float square = sum(q0);
        for (size_t j = whole; j < cols; j++) square += x[j] * x[j];
        float scale = 1.0f / __builtin_sqrtf(square / (float)cols + eps);
        for (size_t j = 0; j < whole; j += W) store(y + j, load(x + j) * scale * load(gamma + j));
        for (size_t j = whole; j < cols; j++) y[j] = x[j] * scale * gamma[j];
    }
}

static inline void gate_as(gn__activation kind, float *y, const float *x, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++, x += 2 * cols, y += cols) {
        size_t j = 0;
        for (; j + W <= cols; j += W) store(y + j, apply(kind, load(x + j)) * load(x + cols + j));
        if (j < cols) {
            float rest[2 * W] = {0};
            memcpy(rest, x + j, (cols - j) * sizeof *x);
            memcpy(rest + W, x + cols + j, (cols - j) * sizeof *x);
            store(rest, apply(kind, load(rest)) * load(rest + W));
            memcpy(y + j, rest, (cols - j) * sizeof *y);
        }
    }
}

static void gate(gn__activation kind, float *y, const float *x, size_t rows, size_t cols)
{
    GN__EACH_KIND(kind, gate_as, y, x, rows, cols)
}

static void rotate(float *x, const float *cosine, const float *sine, size_t heads, size_t head_dim, size_t n)
{
    size_t whole = n / W * W;
    for (size_t h = 0; h < heads; h++, x += head_dim) {
        for (size_t i = 0; i < whole; i += W) {
            vf a = load(x + i), b = load(x + i + n), c = load(cosine + i), s = load(sine + i);
            store(x + i, a * c - b * s);
            store(x + i + n, b * c + a * s);
        }
        for (size_t i = whole; i < n; i++) {
            float a = x[i], b = x[i + n];
            x[i] = a * cosine[i] - b * sine[i];
            x[i + n] = b * cosine[i] + a * sine[i];
        }
    }
}

/* ---- what sums of 8-bit products stand for --------------------------------------------------------- */

static inline vf from_sum(const gn__sums *s, const int32_t *sum, size_t row, size_t j)
{
    vi exact = *(const viu *)(sum + j) - s->row[row].zero * *(const viu *)(s->total + j);
    return __builtin_convertvector(exact, vf) * (s->row[row].scale * load(s->scale + j)) + load(s->bias + j);
}

static inline void from_sums_as(gn__activation kind, bool add, const gn__sums *s, float *y)
{
    const int32_t *sums = s->sum;
    for (size_t i = 0; i < s->rows; i++, sums += s->cols, y += s->cols) {
        size_t j = 0;
        for (; j + W <= s->cols; j += W) {
            vf x = from_sum(s, sums, i, j);
            store(y + j, add ? load(y + j) + x : apply(kind, x));
        }
        for (; j < s->cols; j++) {
            int32_t exact = sums[j] - s->row[i].zero * s->total[j];
            float x = (float)exact * (s->row[i].scale * s->scale[j]) + s->bias[j];
            y[j] = add ? y[j] + x : apply(kind, all(x))[0];
        }
    }
}

static void from_sums(const gn__sums *s, float *y)
{
    if (s->add) {
        from_sums_as(GN__NO_ACTIVATION, true, s, y);
        return;
    }
    GN__EACH_KIND(s->activation, from_sums_as, false, s, y)
}

#include "tensor/kernel_attention.h"
#include "tensor/kernel_logistic.h"
#include "tensor/kernel_pairs.h"

const gn__ops KERNEL_NAME = {
    KERNEL_LABEL,    layer_norm,       rms_norm,      activate,     gate,        rotate,
    to_bf16,         attention,        to_u8,         from_sums,    margins,     add_rows,
    margins_of_fits, add_rows_of_fits, binomial_loss, softmax_loss, signed_sums, strip_distances};

const gn__multiplier KERNEL_PRODUCT = {KERNEL_LABEL, GN_DTYPE_F32, STEP,    GROUP,
                                       pack,         lay_rows,     product, attention};
