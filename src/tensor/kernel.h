/* The fast operations, written once over vectors of the width that the including file's instruction
 * set has. The includer defines KERNEL_NAME (of the table) and KERNEL_LABEL. Vectors come from the
 * compiler's vector extension; a*b+c is fused here (-ffp-contract=fast for these files only). */
#include "tensor/tensor.h"

#if defined(__AVX512F__)
enum { W = 16 };
#elif defined(__AVX2__)
enum { W = 8 };
#else
enum { W = 4 };
#endif
/* vu, viu: the same, for memory that is aligned to its elements only. */
typedef float vf __attribute__((vector_size(4 * W)));
typedef int32_t vi __attribute__((vector_size(4 * W)));
typedef uint32_t vw __attribute__((vector_size(4 * W)));
typedef uint16_t vh __attribute__((vector_size(2 * W)));
typedef float vu __attribute__((vector_size(4 * W), aligned(4)));
typedef uint16_t vhu __attribute__((vector_size(2 * W), aligned(2)));

static inline vf load(const float *p)
{
    return *(const vu *)p;
}

static inline void store(float *p, vf x)
{
    *(vu *)p = x;
}

static inline vf all(float x)
{
    return x - (vf){0};
}

static inline vf choose(vi where, vf yes, vf no)
{
    return (vf)((where & (vi)yes) | (~where & (vi)no));
}

static inline float sum(vf x)
{
    float half[W];
    store(half, x);
    for (int n = W / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++) half[i] += half[i + n];
    return half[0];
}

/* e^x, relative error below 2e-7 on [−87, 88], held at the ends; NaN stays NaN. x = n ln 2 + r;
 * e^r = 1 + r + r² p(r) with p fitted (Lawson's weighted least squares) on |r| ≤ ln 2 / 2. */
static inline vf exponential(vf x)
{
    x = choose(x < -87.0f, all(-87.0f), x);
    x = choose(x > 88.0f, all(88.0f), x);
    const float magic = 0x1.8p23f; /* adding it leaves the nearest integer in the low mantissa bits */
    vf shifted = x * 0x1.715476p0f + magic;
    vf n = shifted - magic;
    vf r = x - n * 0x1.62e400p-1f - n * 0x1.7f7d1cp-20f;
    vf p = r * 0.0013950485736131668f + 0.008368887938559055f;
    p = p * r + 0.04166620597243309f;
    p = p * r + 0.166665181517601f;
    p = p * r + 0.5f;
    p = r * r * p + r + 1.0f;
    vw scale = ((vw)shifted + 127u) << 23; /* the integer's low bits are all that survives the shift */
    return p * (vf)scale;
}

static inline vf sigmoid(vf x)
{
    return 1.0f / (1.0f + exponential(-x));
}

/* x Φ(x): ln Φ(−t) is smooth on t ≥ 0, so Φ(−|x|) = exp(polynomial), fitted as above on [0, 6] with
 * the weight that makes x Φ(x) good to 3e-8; beyond 6 it is 0 to float32's eyes. */
static inline vf gelu(vf x)
{
    vi negative = x < 0.0f;
    vf t = choose(negative, -x, x);
    vi far = t > 6.0f;
    vf u = choose(far, all(6.0f), t);
    vf p = u * -2.0072203454901683e-08f + 5.952328478997515e-07f;
    p = p * u + -7.563271083199652e-06f;
    p = p * u + 5.247066656011157e-05f;
    p = p * u + -0.00019078365585301071f;
    p = p * u + -9.209961717715487e-06f;
    p = p * u + 0.00482992734760046f;
    p = p * u + -0.03636156767606735f;
    p = p * u + -0.31830307841300964f;
    p = p * u + -0.7978852391242981f;
    p = p * u + -0.6931471824645996f;
    vf tail = choose(far, all(0.0f), exponential(p));
    return x * choose(negative, tail, 1.0f - tail);
}

static inline vf apply(gn__activation kind, vf x)
{
    switch (kind) {
    case GN__GELU:
        return gelu(x);
    case GN__GELU_TANH:
        return x * sigmoid(x * (1.5957691216057308f + 0.07135481627159605f * (x * x)));
    case GN__RELU:
        return choose(x < 0.0f, all(0.0f), x);
    case GN__SILU:
        break;
    }
    return x * sigmoid(x);
}

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
    switch (kind) { /* the kind is a constant in each loop */
    case GN__GELU:
        activate_as(GN__GELU, x, n);
        break;
    case GN__GELU_TANH:
        activate_as(GN__GELU_TANH, x, n);
        break;
    case GN__RELU:
        activate_as(GN__RELU, x, n);
        break;
    case GN__SILU:
        activate_as(GN__SILU, x, n);
        break;
    }
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

static inline vh narrow(vf x)
{
    vw u = (vw)x, rounded = (u + 0x7FFFu + (u >> 16 & 1u)) >> 16, quiet = u >> 16 | 0x40u;
    vw nan = (vw)(x != x);
    return __builtin_convertvector((nan & quiet) | (~nan & rounded), vh);
}

static void to_bf16(uint16_t *y, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + W <= n; i += W) *(vhu *)(y + i) = narrow(load(x + i));
    if (i < n) {
        float rest[W] = {0};
        uint16_t out[W];
        memcpy(rest, x + i, (n - i) * sizeof *x);
        *(vhu *)out = narrow(load(rest));
        memcpy(y + i, out, (n - i) * sizeof *y);
    }
}

/* ---- attention: four queries at a time against vectors of keys, then of value columns ------------ */

enum { QUERIES = 4, STEP = 2 * W };

static inline size_t up(size_t n)
{
    return (n + STEP - 1) / STEP * STEP;
}

/* out[r][j] = Σ_i a[r][i] b[i * b_stride + j] for 4 rows and one step of columns. */
static inline void tile(const float *const a[QUERIES], const float *b, size_t b_stride, size_t n,
                        float *const out[QUERIES])
{
    vf acc[QUERIES][2] = {{{0}}};
    for (size_t i = 0; i < n; i++, b += b_stride) {
        vf b0 = load(b), b1 = load(b + W);
        for (int r = 0; r < QUERIES; r++) {
            acc[r][0] += a[r][i] * b0;
            acc[r][1] += a[r][i] * b1;
        }
    }
    for (int r = 0; r < QUERIES; r++) {
        store(out[r], acc[r][0]);
        store(out[r] + W, acc[r][1]);
    }
}

/* Turns s[0..n) into exp(scale (s − max)), s[n..padded) into 0; returns 1 / their sum. padded is a
 * multiple of STEP. */
static inline float softmax(float *s, size_t n, size_t padded, float scale)
{
    float top = s[0];
    vf best = all(s[0]), total = {0};
    for (size_t j = n; j < padded; j++) s[j] = s[0];
    for (size_t j = 0; j < padded; j += W) {
        vf x = load(s + j);
        best = choose(x > best, x, best);
    }
    float lane[W];
    store(lane, best);
    for (int i = 0; i < W; i++) top = lane[i] > top ? lane[i] : top;
    for (size_t j = 0; j < padded; j += W) store(s + j, exponential((load(s + j) - top) * scale));
    for (size_t j = n; j < padded; j++) s[j] = 0;
    for (size_t j = 0; j < padded; j += W) total += load(s + j);
    return 1.0f / sum(total);
}

static void attend_head(const gn__attention *a, size_t offset)
{
    size_t T = a->tokens, D = a->head_dim, columns = up(T), width = up(D);
    float *keys = a->scratch;                  /* [D × columns], transposed */
    float *values = keys + D * columns;        /* [columns × width] */
    float *score = values + columns * width;   /* [QUERIES × columns] */
    float *result = score + QUERIES * columns; /* [QUERIES × width] */
    memset(keys, 0, (D * columns + columns * width) * sizeof *keys);
    for (size_t t = 0; t < T; t++) {
        const float *k = a->k + t * a->stride + offset;
        for (size_t d = 0; d < D; d++) keys[d * columns + t] = k[d];
        memcpy(values + t * width, a->v + t * a->stride + offset, D * sizeof *values);
    }
    for (size_t first = 0; first < T; first += QUERIES) {
        const float *query[QUERIES], *weight[QUERIES];
        float *s[QUERIES], *o[QUERIES], inverse[QUERIES];
        size_t seen = a->causal && first + QUERIES < T ? first + QUERIES : T, padded = up(seen);
        for (size_t r = 0; r < QUERIES; r++) { /* rows past the end repeat the last one */
            size_t t = first + r < T ? first + r : T - 1;
            query[r] = a->q + t * a->stride + offset;
        }
        for (size_t j = 0; j < padded; j += STEP) {
            for (size_t r = 0; r < QUERIES; r++) s[r] = score + r * columns + j;
            tile(query, keys + j, columns, D, s);
        }
        for (size_t r = 0; r < QUERIES; r++) {
            size_t n = a->causal && first + r + 1 < T ? first + r + 1 : T;
            weight[r] = score + r * columns;
            inverse[r] = softmax(score + r * columns, n, padded, a->scale);
        }
        for (size_t d = 0; d < width; d += STEP) {
            for (size_t r = 0; r < QUERIES; r++) o[r] = result + r * width + d;
            tile(weight, values + d, width, seen, o);
        }
        for (size_t r = 0; r < QUERIES && first + r < T; r++) {
            float *y = a->out + (first + r) * a->out_stride + offset;
            for (size_t d = 0; d < D; d++) y[d] = result[r * width + d] * inverse[r];
        }
    }
}

static void attention(const gn__attention *a)
{
    for (size_t h = 0; h < a->heads; h++) attend_head(a, h * a->head_dim);
}

/* ---- logistic regression ------------------------------------------------------------------------ */

enum { SIDE = 4 };

static void margins(const float *const *row, size_t rows, const float *mean, const float *w, size_t n,
                    float *out)
{
    size_t whole = n / W * W;
    for (size_t first = 0; first < rows; first += SIDE) {
        const float *x[SIDE];
        vf acc[SIDE] = {{0}};
        /* rows past the end repeat the last one */
        for (size_t r = 0; r < SIDE; r++) x[r] = row[first + r < rows ? first + r : rows - 1];
        for (size_t j = 0; j < whole; j += W) {
            vf m = load(mean + j), v = load(w + j);
            for (size_t r = 0; r < SIDE; r++) acc[r] += (load(x[r] + j) - m) * v;
        }
        for (size_t r = 0; r < SIDE && first + r < rows; r++) {
            float s = sum(acc[r]);
            for (size_t j = whole; j < n; j++) s += (x[r][j] - mean[j]) * w[j];
            out[first + r] = s;
        }
    }
}

static void add_rows(const float *const *row, size_t rows, const float *mean, const float *factor, size_t n,
                     float *sum_of)
{
    size_t whole = n / W * W, r = 0;
    for (; r + SIDE <= rows; r += SIDE) {
        const float *const *x = row + r;
        const float *f = factor + r;
        for (size_t j = 0; j < whole; j += W) {
            vf m = load(mean + j), s = load(sum_of + j);
            for (size_t i = 0; i < SIDE; i++) s += (load(x[i] + j) - m) * f[i];
            store(sum_of + j, s);
        }
        for (size_t j = whole; j < n; j++)
            for (size_t i = 0; i < SIDE; i++) sum_of[j] += (x[i][j] - mean[j]) * f[i];
    }
    for (; r < rows; r++)
        for (size_t j = 0; j < n; j++) sum_of[j] += (row[r][j] - mean[j]) * factor[r];
}

/* ln(1 + e) for e in [0, 1]: 2 artanh(s), s = e / (2 + e) <= 1/3, whose series ends below 1e-8. */
static inline vf log_one_plus(vf e)
{
    vf s = e / (2.0f + e), q = s * s;
    vf p = q * (1.0f / 15) + 1.0f / 13;
    p = p * q + 1.0f / 11;
    p = p * q + 1.0f / 9;
    p = p * q + 1.0f / 7;
    p = p * q + 1.0f / 5;
    p = p * q + 1.0f / 3;
    return 2.0f * s * (p * q + 1.0f);
}

static double binomial_loss(float *margin, const float *y, const float *weight, size_t n)
{
    double loss = 0;
    for (size_t i = 0; i < n; i += W) {
        vf m = load(margin + i), t = load(y + i), s = load(weight + i);
        vi negative = m < 0.0f;
        vf e = exponential(choose(negative, m, -m)), inverse = 1.0f / (1.0f + e);
        vf probability = choose(negative, e * inverse, inverse);
        vf wrong = choose(t > 0.5f, -m, m); /* the margin of the class that the row is not of */
        vf l = log_one_plus(e) + choose(wrong > 0.0f, wrong, all(0.0f));
        loss += (double)sum(s * l);
        store(margin + i, s * (probability - t));
    }
    return loss;
}

static double softmax_loss(float *logit, size_t stride, size_t classes, const float *bias, const int *y,
                           const float *weight, size_t n)
{
    double loss = 0;
    for (size_t i = 0; i < n; i += W) {
        vf top = load(logit + i) + bias[0], total = {0};
        float own[W], totals[W];
        for (size_t c = 0; c < classes; c++) {
            vf m = load(logit + c * stride + i) + bias[c];
            top = choose(m > top, m, top);
        }
        store(totals, top);
        for (size_t k = 0; k < W; k++) {
            size_t c = (size_t)y[i + k];
            own[k] = logit[c * stride + i + k] + bias[c] - totals[k];
        }
        for (size_t c = 0; c < classes; c++) {
            float *at = logit + c * stride + i;
            vf e = exponential(load(at) + bias[c] - top);
            total += e;
            store(at, e);
        }
        vf s = load(weight + i) / total;
        for (size_t c = 0; c < classes; c++) {
            float *at = logit + c * stride + i;
            store(at, load(at) * s);
        }
        store(totals, total);
        for (size_t k = 0; k < W; k++) {
            logit[(size_t)y[i + k] * stride + i + k] -= weight[i + k];
            loss += (double)weight[i + k] * (__builtin_log((double)totals[k]) - (double)own[k]);
        }
    }
    return loss;
}

const gn__ops KERNEL_NAME = {KERNEL_LABEL, layer_norm, activate,      to_bf16,     attention,
                             margins,      add_rows,   binomial_loss, softmax_loss};
