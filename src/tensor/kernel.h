/* The fast operations, written once over vectors of the width that the including file's instruction
 * set has. The includer defines KERNEL_NAME (of the table) and KERNEL_LABEL. Vectors come from the
 * compiler's vector extension; a*b+c is fused here (-ffp-contract=fast for these files only). */
#include "tensor/tensor.h"

#include <stddef.h>

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

static inline vi all_int(int32_t x)
{
    return x - (vi){0};
}

static inline vf choose(vi where, vf yes, vf no)
{
    return (vf)((where & (vi)yes) | (~where & (vi)no));
}

/* x with lanes whose numbers differ in the bits of k exchanged. */
#if defined(__AVX512F__)
#define EXCHANGE(x, k)                                                                                  \
    __builtin_shufflevector(x, x, 0 ^ k, 1 ^ k, 2 ^ k, 3 ^ k, 4 ^ k, 5 ^ k, 6 ^ k, 7 ^ k, 8 ^ k, 9 ^ k, \
                            10 ^ k, 11 ^ k, 12 ^ k, 13 ^ k, 14 ^ k, 15 ^ k)
static const vi lane_number = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif defined(__AVX2__)
#define EXCHANGE(x, k) __builtin_shufflevector(x, x, 0 ^ k, 1 ^ k, 2 ^ k, 3 ^ k, 4 ^ k, 5 ^ k, 6 ^ k, 7 ^ k)
static const vi lane_number = {0, 1, 2, 3, 4, 5, 6, 7};
#else
#define EXCHANGE(x, k) __builtin_shufflevector(x, x, 0 ^ k, 1 ^ k, 2 ^ k, 3 ^ k)
static const vi lane_number = {0, 1, 2, 3};
#endif

static inline vf larger(vf x, vf y)
{
    return choose(x > y, x, y);
}

static inline float sum(vf x)
{
#if defined(__AVX512F__)
    x += EXCHANGE(x, 8);
#endif
#if defined(__AVX2__)
    x += EXCHANGE(x, 4);
#endif
    x += EXCHANGE(x, 2);
    x += EXCHANGE(x, 1);
    return x[0];
}

static inline float largest(vf x)
{
#if defined(__AVX512F__)
    x = larger(x, EXCHANGE(x, 8));
#endif
#if defined(__AVX2__)
    x = larger(x, EXCHANGE(x, 4));
#endif
    x = larger(x, EXCHANGE(x, 2));
    x = larger(x, EXCHANGE(x, 1));
    return x[0];
}

/* e^x, relative error below 2e-7, for x in [−87, 88] or NaN. x = n ln 2 + r; e^r = 1 + r + r² p(r) with
 * p fitted (Lawson's weighted least squares) on |r| ≤ ln 2 / 2. */
static inline vf exponential(vf x)
{
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

static inline vf at_least(float low, vf x)
{
    return choose(x < low, all(low), x); /* NaN stays NaN */
}

static inline vf sigmoid(vf x)
{
    x = choose(x > 87.0f, all(87.0f), at_least(-88.0f, x));
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
    case GN__NO_ACTIVATION:
        return x;
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
    case GN__NO_ACTIVATION:
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

static void gate(gn__activation kind, float *x, size_t rows, size_t cols)
{
    float *y = x;
    for (size_t i = 0; i < rows; i++, x += 2 * cols, y += cols) {
        activate(kind, x, cols);
        for (size_t j = 0; j < cols; j++) y[j] = x[j] * x[cols + j];
    }
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

/* ---- 8 bits ---------------------------------------------------------------------------------------- */

typedef uint8_t vb __attribute__((vector_size(W)));
typedef uint8_t vbu __attribute__((vector_size(W), aligned(1)));
typedef int32_t viu __attribute__((vector_size(4 * W), aligned(4)));

/* The nearest integer, |x| < 2^22; anything else gives some integer. */
static inline vi nearest(vf x)
{
    const float magic = 0x1.8p23f;
    return (vi)(x + magic) - 0x4B400000;
}

static inline vb to_byte(vf x, float inverse, int32_t zero)
{
    vi q = nearest(x * inverse) + zero, low = q & ~(q < 0);
    vi over = low > 255;
    return __builtin_convertvector((low & ~over) | (over & 255), vb);
}

/* What a row spans; odd is 0, but NaN from an infinity or a NaN. */
typedef struct span {
    vf most, least, odd;
} span;

static inline span widen(span s, vf x)
{
    return (span){larger(x, s.most), larger(-x, s.least), s.odd + x * 0.0f};
}

/* Scale and zero of a row; returns the scale's inverse. */
static inline float range(const float *x, size_t cols, gn__row8 *row)
{
    span s[4] = {{{0}, {0}, {0}}}; /* four, because one would wait for itself */
    size_t j = 0;
    for (; j + 4 * W <= cols; j += 4 * W)
        for (int k = 0; k < 4; k++) s[k] = widen(s[k], load(x + j + k * W));
    for (; j + W <= cols; j += W) s[0] = widen(s[0], load(x + j));
    if (j < cols) {
        float rest[W] = {0};
        memcpy(rest, x + j, (cols - j) * sizeof *x);
        s[0] = widen(s[0], load(rest));
    }
    for (int k = 1; k < 4; k++) {
        s[0].most = larger(s[k].most, s[0].most);
        s[0].least = larger(s[k].least, s[0].least);
        s[0].odd += s[k].odd;
    }
    float low = largest(s[0].least), width = largest(s[0].most) + low;
    float inverse = width > 1e-30f ? 255.0f / width : 0.0f;
    row->scale = (inverse > 0.0f ? width * (1.0f / 255.0f) : 0.0f) + sum(s[0].odd);
    row->zero = nearest(all(low * inverse))[0];
    return inverse;
}

static void to_u8(uint8_t *q, gn__row8 *row, const float *x, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++, x += cols, q += cols) {
        float inverse = range(x, cols, &row[i]);
        size_t j = 0;
        for (; j + W <= cols; j += W) *(vbu *)(q + j) = to_byte(load(x + j), inverse, row[i].zero);
        if (j < cols) {
            float rest[W] = {0};
            uint8_t out[W];
            memcpy(rest, x + j, (cols - j) * sizeof *x);
            *(vbu *)out = to_byte(load(rest), inverse, row[i].zero);
            memcpy(q + j, out, cols - j);
        }
    }
}

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
    switch (s->activation) { /* the kind is a constant in each loop */
    case GN__GELU:
        from_sums_as(GN__GELU, false, s, y);
        break;
    case GN__GELU_TANH:
        from_sums_as(GN__GELU_TANH, false, s, y);
        break;
    case GN__RELU:
        from_sums_as(GN__RELU, false, s, y);
        break;
    case GN__SILU:
        from_sums_as(GN__SILU, false, s, y);
        break;
    case GN__NO_ACTIVATION:
        from_sums_as(GN__NO_ACTIVATION, false, s, y);
        break;
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

/* Turns s[first..n) into exp(scale (s − max)), the rest of s[begin..padded) into 0; returns 1 / their sum.
 * begin and padded are multiples of W. */
static inline float softmax(float *s, size_t begin, size_t first, size_t n, size_t padded, float scale)
{
    vf best = all(s[first]), total = {0};
    for (size_t j = begin; j < padded; j += W) {
        vi there = lane_number < (int32_t)(n - j);
        if (first > 0) there &= lane_number >= (int32_t)(first - j);
        best = larger(choose(there, load(s + j), best), best);
    }
    float top = largest(best);
    for (size_t j = begin; j < padded; j += W) {
        vi there = lane_number < (int32_t)(n - j);
        if (first > 0) there &= lane_number >= (int32_t)(first - j);
        vf x = choose(there, (load(s + j) - top) * scale, all(0.0f));
        vf e = (vf)(there & (vi)exponential(at_least(-87.0f, x)));
        store(s + j, e);
        total += e;
    }
    return 1.0f / sum(total);
}

typedef float v4 __attribute__((vector_size(16)));
typedef float v4u __attribute__((vector_size(16), aligned(4)));

static inline void transpose4(const float *x, size_t x_stride, float *y, size_t y_stride)
{
    v4 a = *(const v4u *)x, b = *(const v4u *)(x + x_stride);
    v4 c = *(const v4u *)(x + 2 * x_stride), d = *(const v4u *)(x + 3 * x_stride);
    v4 ab0 = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab1 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    v4 cd0 = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd1 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *(v4u *)y = __builtin_shufflevector(ab0, cd0, 0, 1, 4, 5);
    *(v4u *)(y + y_stride) = __builtin_shufflevector(ab0, cd0, 2, 3, 6, 7);
    *(v4u *)(y + 2 * y_stride) = __builtin_shufflevector(ab1, cd1, 0, 1, 4, 5);
    *(v4u *)(y + 3 * y_stride) = __builtin_shufflevector(ab1, cd1, 2, 3, 6, 7);
}

/* y[d * columns + t] = x[t * stride + d]. What lies past T in a row of y is never looked at. */
static void transpose(const float *x, size_t stride, size_t T, size_t D, float *y, size_t columns)
{
    size_t t = 0;
    for (; t + 4 <= T; t += 4) {
        size_t d = 0;
        for (; d + 4 <= D; d += 4) transpose4(x + t * stride + d, stride, y + d * columns + t, columns);
        for (; d < D; d++)
            for (size_t i = t; i < t + 4; i++) y[d * columns + i] = x[i * stride + d];
    }
    for (; t < T; t++)
        for (size_t d = 0; d < D; d++) y[d * columns + t] = x[t * stride + d];
}

/* Where things lie in the scratch. */
typedef struct parts {
    size_t columns, width; /* tokens and head_dim in whole steps */
    float *keys;           /* [head_dim × columns], transposed */
    float *copied;         /* [tokens × width], where the values' rows are not whole steps */
    float *score;          /* [QUERIES × columns] */
    float *result;         /* [QUERIES × width] */
    float *by_query;       /* [QUERIES × positions->columns] q · key[row] */
    float *by_key;         /* [rows that occur × columns] query[row] · k */
    const float *values;
    size_t values_stride;
} parts;

static parts divide(const gn__attention *a)
{
    parts p = {.columns = up(a->tokens), .width = up(a->head_dim), .keys = a->scratch};
    p.copied = p.keys + a->head_dim * p.columns;
    p.score = p.copied + p.columns * p.width;
    p.result = p.score + QUERIES * p.columns;
    p.by_query = p.result + QUERIES * p.width;
    p.by_key = p.by_query + (a->positions ? QUERIES * a->positions->columns : 0);
    return p;
}

/* Keys and values of one of the kv_heads. */
static void gather(const gn__attention *a, size_t head, parts *p)
{
    size_t T = a->tokens, D = a->head_dim;
    p->values = a->v + head * D;
    p->values_stride = a->stride;
    transpose(a->k + head * D, a->stride, T, D, p->keys, p->columns);
    if (D == p->width) return;
    for (size_t t = 0; t < T; t++)
        memcpy(p->copied + t * p->width, p->values + t * a->stride, D * sizeof *p->copied);
    p->values = p->copied;
    p->values_stride = p->width;
}

/* The two ends of the range of positions->row that this text uses, the lower one in whole steps. */
static inline size_t lowest_row(const gn__attention *a)
{
    return a->positions->row[1 - (ptrdiff_t)a->tokens] / STEP * STEP;
}

static inline size_t highest_row(const gn__attention *a)
{
    return a->positions->row[(ptrdiff_t)a->tokens - 1];
}

static void positions_by_key(const gn__attention *a, size_t head, const parts *p)
{
    const gn__disentangled *d = a->positions;
    size_t low = lowest_row(a), rows = highest_row(a) + 1 - low;
    const float *query = d->query + (head * d->rows + low) * a->head_dim;
    for (size_t first = 0; first < rows; first += QUERIES) {
        const float *row[QUERIES];
        float *out[QUERIES];
        for (size_t j = 0; j < p->columns; j += STEP) {
            for (size_t r = 0; r < QUERIES; r++) { /* past the end: the last row again */
                size_t i = first + r < rows ? first + r : rows - 1;
                row[r] = query + i * a->head_dim;
                out[r] = p->by_key + i * p->columns + j;
            }
            tile(row, p->keys + j, p->columns, a->head_dim, out);
        }
    }
}

static void positions_by_query(const gn__attention *a, size_t head, const parts *p,
                               const float *const query[QUERIES])
{
    const gn__disentangled *d = a->positions;
    const float *key = d->key + head * a->head_dim * d->columns;
    float *out[QUERIES];
    for (size_t j = lowest_row(a); j <= highest_row(a); j += STEP) {
        for (size_t r = 0; r < QUERIES; r++) out[r] = p->by_query + r * d->columns + j;
        tile(query, key + j, d->columns, a->head_dim, out);
    }
}

/* Whatever a score gains beside q · k; scaling is then done. s: of the query at t, row r of its block. */
static void adjust(const gn__attention *a, size_t head, const parts *p, size_t r, size_t t, float *s,
                   size_t begin, size_t padded)
{
    const gn__disentangled *d = a->positions;
    ptrdiff_t at = (ptrdiff_t)t;
    if (d != NULL) {
        size_t low = lowest_row(a), end = padded < a->tokens ? padded : a->tokens;
        const float *by_query = p->by_query + r * d->columns;
        for (size_t j = begin; j < end; j++) {
            size_t row = d->row[at - (ptrdiff_t)j];
            if (d->key != NULL) s[j] += by_query[row];
            if (d->query != NULL) s[j] += p->by_key[(row - low) * p->columns + j];
        }
    }
    float cap = a->cap, inverse = cap > 0 ? 2 * a->scale / cap : 0;
    const float *bias = a->bias ? a->bias + head * a->bias_stride - at : NULL;
    for (size_t j = begin; j < padded; j += W) {
        vf x = load(s + j);
        x = cap > 0 ? cap * (2.0f * sigmoid(x * inverse) - 1.0f) : x * a->scale;
        if (bias != NULL) x += load(bias + j);
        store(s + j, x);
    }
}

/* The tokens that the query at t sees. */
static inline size_t first_seen(const gn__attention *a, size_t t)
{
    return a->before != 0 && t > a->before ? t - a->before : 0;
}

static inline size_t end_seen(const gn__attention *a, size_t t)
{
    size_t beyond = a->causal ? t + 1 : a->after != 0 ? t + a->after + 1 : a->tokens;
    return beyond < a->tokens ? beyond : a->tokens;
}

static void attend_head(const gn__attention *a, size_t head, const parts *p)
{
    size_t T = a->tokens, D = a->head_dim, columns = p->columns, width = p->width, offset = head * D;
    bool plain = a->cap == 0 && a->bias == NULL && a->positions == NULL;
    float *score = p->score, *result = p->result;
    if (a->positions != NULL && a->positions->query != NULL) positions_by_key(a, head, p);
    for (size_t first = 0; first < T; first += QUERIES) {
        const float *query[QUERIES], *weight[QUERIES];
        float *s[QUERIES], *o[QUERIES], inverse[QUERIES];
        size_t last = first + QUERIES < T ? first + QUERIES - 1 : T - 1;
        size_t begin = first_seen(a, first) / STEP * STEP, seen = end_seen(a, last), padded = up(seen);
        for (size_t r = 0; r < QUERIES; r++) { /* rows past the end repeat the last one */
            size_t t = first + r < T ? first + r : T - 1;
            query[r] = a->q + t * a->stride + offset;
        }
        for (size_t j = begin; j < padded; j += STEP) {
            for (size_t r = 0; r < QUERIES; r++) s[r] = score + r * columns + j;
            tile(query, p->keys + j, columns, D, s);
        }
        if (a->positions != NULL && a->positions->key != NULL) positions_by_query(a, head, p, query);
        for (size_t r = 0; r < QUERIES; r++) {
            size_t t = first + r < T ? first + r : T - 1, from = first_seen(a, t), n = end_seen(a, t);
            float *row = score + r * columns;
            if (!plain) adjust(a, head, p, r, t, row, begin, padded);
            weight[r] = row + begin;
            float scale = plain ? a->scale : 1.0f;
            inverse[r] = from == 0 ? softmax(row, 0, 0, n, padded, scale)
                                   : softmax(row, begin, from, n, padded, scale);
        }
        for (size_t d = 0; d < width; d += STEP) {
            for (size_t r = 0; r < QUERIES; r++) o[r] = result + r * width + d;
            tile(weight, p->values + begin * p->values_stride + d, p->values_stride, seen - begin, o);
        }
        for (size_t r = 0; r < QUERIES && first + r < T; r++) {
            float *y = a->out + (first + r) * a->out_stride + offset;
            for (size_t d = 0; d < D; d++) y[d] = result[r * width + d] * inverse[r];
        }
    }
}

static void attention(const gn__attention *a)
{
    size_t kv_heads = a->kv_heads ? a->kv_heads : a->heads, group = a->heads / kv_heads;
    parts p = divide(a);
    for (size_t h = 0; h < a->heads; h++) {
        if (h % group == 0) gather(a, h / group, &p);
        attend_head(a, h, &p);
    }
}

#include "tensor/kernel_logistic.h"
#include "tensor/kernel_pairs.h"

const gn__ops KERNEL_NAME = {KERNEL_LABEL,  layer_norm,   rms_norm,    activate,       gate,    rotate,
                             to_bf16,       attention,    to_u8,       from_sums,      margins, add_rows,
                             binomial_loss, softmax_loss, signed_sums, strip_distances};
