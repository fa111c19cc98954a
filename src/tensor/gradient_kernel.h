/* The gradient operations, written once over vectors of REAL: of float for each instruction set, of double
 * for the tests, which take differences there: they define REAL_IS_DOUBLE. a*b+c is fused in the float files
 * (-ffp-contract=fast). */
#include "core/float16.h"
#include "tensor/gradient.h"

#include <math.h>
#include <stddef.h>

#if defined(REAL_IS_DOUBLE)
#define REAL double
#define NAME(x) wide_##x
#include "tensor/gradient_types.h"
enum { W = 2 };
typedef double vr __attribute__((vector_size(8 * W)));
typedef int64_t whole;
typedef whole vi __attribute__((vector_size(8 * W)));
typedef double vu __attribute__((vector_size(8 * W), aligned(8)));

/* What kernel_vector.h has for float. */
static inline vr load(const REAL *p)
{
    return *(const vu *)p;
}

static inline void store(REAL *p, vr x)
{
    *(vu *)p = x;
}

static inline vr all(REAL x)
{
    return x - (vr){0};
}

static inline vr choose(vi where, vr yes, vr no)
{
    return (vr)((where & (vi)yes) | (~where & (vi)no));
}

static inline REAL sum(vr x)
{
    return x[0] + x[1];
}

static inline REAL largest(vr x)
{
    return x[1] > x[0] ? x[1] : x[0];
}

static inline vr exponential(vr x)
{
    for (int i = 0; i < W; i++) x[i] = exp(x[i]);
    return x;
}

static inline vr normal_tail(vr t) /* Φ(−t) */
{
    for (int i = 0; i < W; i++) t[i] = 0.5 * erfc(t[i] * M_SQRT1_2);
    return t;
}

static inline REAL logarithm(REAL x)
{
    return log(x);
}
#else
#define REAL float
#define NAME(x) gn__##x
#include "tensor/kernel_vector.h"
typedef int32_t whole;
typedef vf vr;

static inline REAL logarithm(REAL x)
{
    return logf(x);
}
#endif

/* The first n of a vector's worth of numbers, the rest 0. */
static inline vr load_part(const REAL *p, size_t n)
{
    REAL rest[W] = {0};
    memcpy(rest, p, n * sizeof *p);
    return load(rest);
}

static inline void store_part(REAL *p, vr x, size_t n)
{
    REAL rest[W];
    store(rest, x);
    memcpy(p, rest, n * sizeof *p);
}

static inline vr within(REAL low, vr x, REAL high)
{
    x = choose(x < low, all(low), x); /* NaN stays NaN */
    return choose(x > high, all(high), x);
}

#if defined(REAL_IS_DOUBLE)
static inline vr sigmoid(vr x)
{
    return 1 / (1 + exponential(-within(-88, x, 87)));
}
#endif

/* f(x) and f'(x). */
static inline void activation(gn__activation kind, vr x, vr *value, vr *slope)
{
    const REAL density = (REAL)0.39894228040143267794, near = (REAL)1.5957691216057308;
    switch (kind) {
    case GN__GELU: {
        vi negative = x < 0;
        vr tail = normal_tail(choose(negative, -x, x)), below = choose(negative, tail, 1 - tail);
        *value = x * below;
        *slope = below + x * density * exponential(within(-87, x * x * (REAL)-0.5, 0));
        return;
    }
    case GN__GELU_TANH: {
        vr square = x * x, s = sigmoid(x * near * (1 + (REAL)0.044715 * square));
        *value = x * s;
        *slope = s + x * s * (1 - s) * near * (1 + (REAL)0.134145 * square);
        return;
    }
    case GN__RELU:
        *value = choose(x < 0, all(0), x);
        *slope = choose(x > 0, all(1), all(0));
        return;
    case GN__SILU: {
        vr s = sigmoid(x);
        *value = x * s;
        *slope = s + x * s * (1 - s);
        return;
    }
    case GN__NO_ACTIVATION:
        break;
    }
    *value = x;
    *slope = all(1);
}

static inline void activation_back_as(gn__activation kind, const REAL *u, const REAL *by_y, REAL *by_u,
                                      REAL *y, size_t n)
{
    size_t i = 0;
    vr value, slope;
    for (; i + W <= n; i += W) {
        activation(kind, load(u + i), &value, &slope);
        store(by_u + i, load(by_y + i) * slope);
        if (y != NULL) store(y + i, value);
    }
    if (i == n) return;
    activation(kind, load_part(u + i, n - i), &value, &slope);
    store_part(by_u + i, load_part(by_y + i, n - i) * slope, n - i);
    if (y != NULL) store_part(y + i, value, n - i);
}

static void activation_back(gn__activation kind, const REAL *u, const REAL *by_y, REAL *by_u, REAL *y,
                            size_t n)
{
    GN__EACH_KIND(kind, activation_back_as, u, by_y, by_u, y, n)
}

static inline void gate_back_as(gn__activation kind, const REAL *u, const REAL *by_y, REAL *by_u, REAL *y,
                                size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++, u += 2 * cols, by_u += 2 * cols, by_y += cols, y += cols) {
        size_t j = 0;
        vr value, slope;
        for (; j + W <= cols; j += W) {
            vr up = load(u + cols + j), d = load(by_y + j);
            activation(kind, load(u + j), &value, &slope);
            store(by_u + j, d * up * slope);
            store(by_u + cols + j, d * value);
            store(y + j, value * up);
        }
        if (j == cols) continue;
        vr up = load_part(u + cols + j, cols - j), d = load_part(by_y + j, cols - j);
        activation(kind, load_part(u + j, cols - j), &value, &slope);
        store_part(by_u + j, d * up * slope, cols - j);
        store_part(by_u + cols + j, d * value, cols - j);
        store_part(y + j, value * up, cols - j);
    }
}

static void gate_back(gn__activation kind, const REAL *u, const REAL *by_y, REAL *by_u, REAL *y, size_t rows,
                      size_t cols)
{
    GN__EACH_KIND(kind, gate_back_as, u, by_y, by_u, y, rows, cols)
}

#if !defined(REAL_IS_DOUBLE)
/* ---- what goes forward, and sums: float only -------------------------------------------------------------
 */

static inline vr value_of(gn__activation kind, vr x)
{
    vr value, slope;
    activation(kind, x, &value, &slope); /* the slope is never computed */
    return value;
}

static inline void activation_forth_as(gn__activation kind, const float *u, float *y, size_t n)
{
    size_t i = 0;
    for (; i + W <= n; i += W) store(y + i, value_of(kind, load(u + i)));
    if (i < n) store_part(y + i, value_of(kind, load_part(u + i, n - i)), n - i);
}

static inline void gate_forth_as(gn__activation kind, const float *u, float *y, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++, u += 2 * cols, y += cols) {
        size_t j = 0;
        for (; j + W <= cols; j += W) store(y + j, value_of(kind, load(u + j)) * load(u + cols + j));
        if (j < cols)
            store_part(y + j, value_of(kind, load_part(u + j, cols - j)) * load_part(u + cols + j, cols - j),
                       cols - j);
    }
}

static void activation_forth(gn__activation kind, const float *u, float *y, size_t n)
{
    GN__EACH_KIND(kind, activation_forth_as, u, y, n)
}

static void gate_forth(gn__activation kind, const float *u, float *y, size_t rows, size_t cols)
{
    GN__EACH_KIND(kind, gate_forth_as, u, y, rows, cols)
}

static void add_numbers(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] += x[i];
}

static void sum_numbers(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = a[i] + b[i];
}

static void sum_rows(const float *x, size_t rows, size_t cols, float *out)
{
    size_t j = 0;
    for (; j + 4 * W <= cols; j += 4 * W) { /* four vectors of columns stay in registers */
        vr s[4];
        for (int k = 0; k < 4; k++) s[k] = load(out + j + k * W);
        for (size_t i = 0; i < rows; i++)
            for (int k = 0; k < 4; k++) s[k] += load(x + i * cols + j + k * W);
        for (int k = 0; k < 4; k++) store(out + j + k * W, s[k]);
    }
    for (size_t i = 0; i < rows; i++)
        for (size_t c = j; c < cols; c++) out[c] += x[i * cols + c];
}

static void sum_rows_bf16(const uint16_t *x, size_t rows, size_t cols, float *out)
{
    typedef uint16_t half __attribute__((vector_size(2 * W), aligned(2)));
    size_t j = 0;
    for (; j + 4 * W <= cols; j += 4 * W) {
        vr s[4];
        for (int k = 0; k < 4; k++) s[k] = load(out + j + k * W);
        for (size_t i = 0; i < rows; i++)
            for (int k = 0; k < 4; k++) {
                vw wide = __builtin_convertvector(*(const half *)(x + i * cols + j + k * W), vw);
                s[k] += (vr)(wide << 16);
            }
        for (int k = 0; k < 4; k++) store(out + j + k * W, s[k]);
    }
    for (size_t i = 0; i < rows; i++)
        for (size_t c = j; c < cols; c++) out[c] += gn__bf16_to_f32(x[i * cols + c]);
}
#endif

/* ---- norms, rotary positions, dropout ------------------------------------------------------------------ */

/* With h = (x − mean) / deviation and g = by_y gamma: by_x = (g − mean of g − h · mean of g h) / deviation
 * (Ba et al. 2016, differentiated); by the root mean square likewise without the means of x and g. */
static void norm_back(const NAME(norm_back) * n)
{
    size_t cols = n->cols, end = cols / W * W;
    const REAL *x = n->x, *by_y = n->by_y, *gamma = n->gamma;
    REAL *by_x = n->by_x;
    for (size_t row = 0; row < n->rows; row++, x += cols, by_y += cols, by_x += cols) {
        vr s = {0}, q = {0}, g = {0}, gh = {0};
        REAL mean = 0, square, level, tilt;
        if (n->centred) {
            for (size_t j = 0; j < end; j += W) s += load(x + j);
            mean = sum(s);
            for (size_t j = end; j < cols; j++) mean += x[j];
            mean /= (REAL)cols;
        }
        for (size_t j = 0; j < end; j += W) {
            vr d = load(x + j) - mean, w = load(by_y + j) * load(gamma + j);
            q += d * d;
            g += w;
            gh += w * d;
        }
        square = sum(q), level = sum(g), tilt = sum(gh);
        for (size_t j = end; j < cols; j++) {
            REAL d = x[j] - mean, w = by_y[j] * gamma[j];
            square += d * d;
            level += w;
            tilt += w * d;
        }
        REAL scale = 1 / (REAL)sqrt(square / (REAL)cols + n->eps);
        level = n->centred ? level / (REAL)cols : 0;
        tilt = tilt * scale / (REAL)cols;
        for (size_t j = 0; j < end; j += W) {
            vr h = (load(x + j) - mean) * scale, d = load(by_y + j);
            if (n->by_gamma != NULL) store(n->by_gamma + j, load(n->by_gamma + j) + d * h);
            if (n->by_beta != NULL) store(n->by_beta + j, load(n->by_beta + j) + d);
            store(by_x + j, (d * load(gamma + j) - level - h * tilt) * scale);
        }
        for (size_t j = end; j < cols; j++) {
            REAL h = (x[j] - mean) * scale, d = by_y[j];
            if (n->by_gamma != NULL) n->by_gamma[j] += d * h;
            if (n->by_beta != NULL) n->by_beta[j] += d;
            by_x[j] = (d * gamma[j] - level - h * tilt) * scale;
        }
    }
}

static void rotate_back(REAL *x, const REAL *cosine, const REAL *sine, size_t heads, size_t head_dim,
                        size_t n)
{
    for (size_t h = 0; h < heads; h++, x += head_dim)
        for (size_t i = 0; i < n; i++) {
            REAL a = x[i], b = x[i + n];
            x[i] = a * cosine[i] + b * sine[i];
            x[i + n] = b * cosine[i] - a * sine[i];
        }
}

/* Philox4x32-10 (Salmon et al. 2011) on 16 counters (block + lane, t, text, place): word w of lane l is that
 * of element 16 w + l. */
enum { LANES = 16, DRAWS = 4 * LANES };

static inline void draw(const gn__drop *d, uint32_t t, uint32_t place, uint32_t block, uint32_t out[DRAWS])
{
    uint32_t a[LANES], b[LANES], c[LANES], e[LANES], k0 = d->key[0], k1 = d->key[1];
    for (uint32_t l = 0; l < LANES; l++) a[l] = block + l, b[l] = t, c[l] = d->text, e[l] = place;
    for (int round = 0; round < 10; round++) {
        for (int l = 0; l < LANES; l++) {
            uint64_t p = (uint64_t)a[l] * 0xD2511F53u, q = (uint64_t)c[l] * 0xCD9E8D57u;
            uint32_t b_old = b[l], e_old = e[l];
            a[l] = (uint32_t)(q >> 32) ^ b_old ^ k0;
            b[l] = (uint32_t)q;
            c[l] = (uint32_t)(p >> 32) ^ e_old ^ k1;
            e[l] = (uint32_t)p;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    memcpy(out, a, sizeof a);
    memcpy(out + LANES, b, sizeof b);
    memcpy(out + 2 * LANES, c, sizeof c);
    memcpy(out + 3 * LANES, e, sizeof e);
}

/* mask: [n up to whole DRAWS]; 0, or what is kept is multiplied by. */
static void fill_mask(const gn__drop *d, uint32_t t, uint32_t place, REAL mask[DRAWS], uint32_t block)
{
    uint32_t word[DRAWS], least = (uint32_t)(d->probability * 4294967296.0);
    REAL kept = (REAL)(1 / (1 - d->probability));
    draw(d, t, place, block, word);
    for (int i = 0; i < DRAWS; i++) mask[i] = word[i] < least ? 0 : kept;
}

static void drop(const gn__drop *d, uint32_t t, REAL *x, size_t n)
{
    REAL mask[DRAWS];
    uint32_t block = 0;
    for (size_t i = 0; i < n; i += DRAWS, block += LANES) {
        size_t m = n - i < DRAWS ? n - i : (size_t)DRAWS;
        fill_mask(d, t, d->place, mask, block);
        for (size_t j = 0; j < m; j++) x[i + j] *= mask[j];
    }
}

#include "tensor/gradient_attention.h"
