/* Products of rows with packed weights (gn__multiplier in tensor.h), written once for three kinds of factor.
 * The includer may define KERNEL_BF16 or KERNEL_INT8; without either the factors are float32. A unit is 32
 * bits of a row: one float32, two bf16 or four 8-bit integers that follow each other. Up to TALL rows meet
 * STEP columns at a time, all their sums in registers; the rows' units are laid side by side first, so that
 * one address runs through them. A sum adds its terms from the first input to the last whatever stands beside
 * it.
 */
#include "tensor/kernel_narrow.h"

#if defined(KERNEL_BF16) || defined(KERNEL_INT8)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define TALL_ROWS 12 /* 24 of 32 registers hold sums */
#elif defined(__AVX2__)
#define TALL_ROWS 6 /* 12 of 16 */
#else
#define TALL_ROWS 4
#endif
enum { TALL = TALL_ROWS, STEP = 2 * W };

#if defined(KERNEL_INT8)
enum { GROUP = 4 };
typedef vi sums;
#elif defined(KERNEL_BF16)
enum { GROUP = 2 };
typedef vf sums;
#else
enum { GROUP = 1 };
typedef vf sums;
#endif

static inline vf broadcast(const float *a)
{
#if defined(KERNEL_INT8) || defined(KERNEL_BF16)
    int32_t bits;
    memcpy(&bits, a, sizeof bits);
    return (vf)(bits - (vi){0});
#else
    return all(*a);
#endif
}

/* c + a · b, for every lane the products of one unit each. */
static inline sums step(sums c, vf a, vf b)
{
#if defined(KERNEL_INT8)
    __asm__("vpdpbusd %2, %1, %0" : "+v"(c) : "v"(a), "v"(b)); /* the builtin makes gcc 12 copy every sum */
    return c;
#elif defined(KERNEL_BF16)
    return (vf)_mm512_dpbf16_ps((__m512)c, (__m512bh)a, (__m512bh)b);
#else
    return c + a * b;
#endif
}

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Asks for the weights of some inputs further, which may lie beyond the last (a prefetch does not fault).
 * They come from the second-level cache or further; with them on their way a Xeon embeds 1.1 to 1.2 times as
 * fast (docs/speed.md). Only where that was measured: AVX-512. */
static inline void fetch_ahead(const float *b, size_t b_stride)
{
#if defined(__AVX512F__)
    enum { INPUTS = 12 };
    uintptr_t at = (uintptr_t)b + INPUTS * b_stride * sizeof *b;
    __builtin_prefetch((const void *)at);
    __builtin_prefetch((const void *)(at + sizeof(vf)));
#else
    (void)b, (void)b_stride;
#endif
}

/* Weights that are wanted after a tile's own: `hop` numbers an input from `at` on. */
typedef struct later {
    const float *at;
    size_t hop;
} later;

/* Asks the second-level cache for them. A text alone reads every weight from memory once; fetched while the
 * step before is computed they are there (docs/speed.md). */
static inline void fetch_later(later *l)
{
#if defined(__AVX2__)
    const size_t line = 64 / sizeof(float);
    __builtin_prefetch(l->at, 0, 2);
    if (STEP > line) __builtin_prefetch(l->at + l->hop / 2, 0, 2);
    l->at += l->hop;
#else
    (void)l;
#endif
}

/* out[r * out_stride + j] = Σ_i a[i * rows + r] · b[i * b_stride + j] for one step of columns. `rows` is a
 * constant wherever this is inlined. */
static inline __attribute__((always_inline)) void tile_of(size_t rows, const float *a, const float *b,
                                                          size_t b_stride, size_t n, later next, float *out,
                                                          size_t out_stride)
{
    sums acc[TALL][2];
    UNROLL for (size_t r = 0; r < rows; r++) acc[r][0] = acc[r][1] = (sums){0};
    for (size_t i = 0; i < n; i++, a += rows, b += b_stride) {
        vf b0 = load(b), b1 = load(b + W);
        fetch_ahead(b, b_stride);
        fetch_later(&next);
        UNROLL for (size_t r = 0; r < rows; r++)
        {
            vf x = broadcast(a + r);
            acc[r][0] = step(acc[r][0], x, b0);
            acc[r][1] = step(acc[r][1], x, b1);
        }
    }
    UNROLL for (size_t r = 0; r < rows; r++)
    {
        store(out + r * out_stride, (vf)acc[r][0]);
        store(out + r * out_stride + W, (vf)acc[r][1]);
    }
}

static void tile_before(size_t rows, const float *a, const float *b, size_t b_stride, size_t n, later next,
                        float *out, size_t out_stride)
{
#define ROWS(k)                                               \
    case k:                                                   \
        tile_of(k, a, b, b_stride, n, next, out, out_stride); \
        break
    switch (rows) {
        ROWS(1);
        ROWS(2);
        ROWS(3);
        ROWS(4);
#if TALL_ROWS > 4
        ROWS(5);
        ROWS(6);
#endif
#if TALL_ROWS > 6
        ROWS(7);
        ROWS(8);
        ROWS(9);
        ROWS(10);
        ROWS(11);
        ROWS(12);
#endif
    }
#undef ROWS
}

static inline void tile(size_t rows, const float *a, const float *b, size_t b_stride, size_t n, float *out,
                        size_t out_stride)
{
    tile_before(rows, a, b, b_stride, n, (later){b, 0}, out, out_stride);
}

static inline size_t units(size_t inputs)
{
    return (inputs + GROUP - 1) / GROUP;
}

/* Rows as even as can be: of `all_rows` in as few tiles as there must be, the one that begins at `row`. */
static inline size_t tile_rows(size_t all_rows, size_t row)
{
    size_t left = all_rows - row, tiles = (left + TALL - 1) / TALL;
    return (left + tiles - 1) / tiles;
}

/* ---- the factors ---------------------------------------------------------------------------------- */

/* Rows of float32, `stride` apart, side by side: out[i * rows + r] is unit i of row r. spare: units of the
 * rows. */
static inline void lay(const float *x, size_t stride, size_t rows, size_t inputs, float *spare, float *out)
{
#if defined(KERNEL_BF16)
    size_t n = units(inputs);
    for (size_t r = 0; r < rows; r++) {
        uint16_t *y = (uint16_t *)(spare + r * n);
        to_bf16(y, x + r * stride, inputs);
        if (inputs % 2 != 0) y[inputs] = 0;
    }
    transpose(spare, n, rows, n, out, rows);
#else
    (void)spare;
    transpose(x, stride, rows, inputs, out, rows);
#endif
}

#if defined(KERNEL_INT8)
static inline void lay_bytes(const gn__product_call *c, size_t row, size_t rows, gn__row8 *scales, float *out)
{
    size_t n = units(c->inputs);
    for (size_t r = 0; r < rows; r++) {
        uint8_t *y = (uint8_t *)(c->spare + r * n);
        to_u8(y, &scales[r], c->x + (row + r) * c->inputs, 1, c->inputs);
        for (size_t k = c->inputs; k < GROUP * n; k++) y[k] = 0;
    }
    transpose(c->spare, n, rows, n, out, rows);
}
#endif

/* weight: [outputs × inputs] of int8_t or float; out: [outputs in whole steps × units], a step at a time. */
static void pack(const void *weight, size_t inputs, size_t outputs, float *spare, float *out)
{
    size_t n = units(inputs);
    for (size_t j = 0; j < outputs; j += STEP, out += n * STEP) {
        size_t cols = outputs - j < STEP ? outputs - j : STEP;
        if (cols < STEP) memset(out, 0, n * STEP * sizeof *out);
#if defined(KERNEL_INT8)
        const int8_t *w = (const int8_t *)weight + j * inputs;
        memset(spare, 0, cols * n * sizeof *spare);
        for (size_t k = 0; k < cols; k++) memcpy(spare + k * n, w + k * inputs, inputs);
        transpose(spare, n, cols, n, out, STEP);
#elif defined(KERNEL_BF16)
        const float *w = (const float *)weight + j * inputs;
        for (size_t k = 0; k < cols; k++) {
            uint16_t *y = (uint16_t *)(spare + k * n);
            to_bf16(y, w + k * inputs, inputs);
            if (inputs % 2 != 0) y[inputs] = 0;
        }
        transpose(spare, n, cols, n, out, STEP);
#else
        (void)spare;
        transpose((const float *)weight + j * inputs, inputs, cols, n, out, STEP);
#endif
    }
}

/* ---- the product ---------------------------------------------------------------------------------- */

/* One vector of finished numbers: t points at the sums, j is the column. */
static inline vf finished(const gn__product_call *c, const gn__row8 *row, const float *t, size_t j)
{
#if defined(KERNEL_INT8)
    vi exact = (vi)load(t) - row->zero * *(const viu *)(c->total + j);
    return __builtin_convertvector(exact, vf) * (row->scale * load(c->scale + j)) + load(c->bias + j);
#else
    (void)row;
    return load(t) + load(c->bias + j);
#endif
}

static inline void finish(gn__activation kind, const gn__product_call *c, const gn__row8 *scales, size_t row,
                          size_t rows, size_t j, const float *t)
{
    size_t cols = c->outputs - j < STEP ? c->outputs - j : STEP;
    for (size_t r = 0; r < rows; r++, t += STEP) {
        float *y = c->y + (row + r) * c->outputs + j, rest[STEP], *out = y;
        if (cols < STEP) {
            memset(rest, 0, sizeof rest);
            memcpy(rest, y, cols * sizeof *y);
            out = rest;
        }
        for (size_t v = 0; v < STEP; v += W) {
            vf x = finished(c, scales + row + r, t + v, j + v);
            store(out + v, c->add ? load(out + v) + x : apply(kind, x));
        }
        if (cols < STEP) memcpy(y, rest, cols * sizeof *y);
    }
}

static inline float *laid_rows(const gn__product_call *c)
{
    return c->spare + TALL * units(c->inputs);
}

static inline gn__row8 *row_scales(const gn__product_call *c) /* INT8 */
{
    return (gn__row8 *)(laid_rows(c) + c->rows * units(c->inputs));
}

static void lay_rows(const gn__product_call *c)
{
    size_t n = units(c->inputs), rows;
    for (size_t row = 0; row < c->rows; row += rows) {
        rows = tile_rows(c->rows, row);
#if defined(KERNEL_INT8)
        lay_bytes(c, row, rows, row_scales(c) + row, laid_rows(c) + row * n);
#else
        lay(c->x + row * c->inputs, c->inputs, rows, c->inputs, c->spare, laid_rows(c) + row * n);
#endif
    }
}

/* The share of a step's n inputs that one tile asks for: all if there is no other, else the first two half
 * each. NULL: there is no step. */
static inline later share_of(const float *step, size_t n, size_t tile, size_t rows, size_t all_rows,
                             const float *own)
{
    if (step == NULL || tile > 1) return (later){own, 0};
    if (rows == all_rows) return (later){step, STEP};
    return (later){step + tile * n * (STEP / 2), STEP / 2};
}

static inline void product_as(gn__activation kind, const gn__product_call *c, size_t first, size_t end)
{
    size_t n = units(c->inputs), rows;
    const float *w = (const float *)c->weight + first * n, *laid = laid_rows(c);
    const gn__row8 *scales = row_scales(c);
    float sums_of_tile[TALL * STEP];
    for (size_t j = first; j < end; j += STEP, w += n * STEP) {
        const float *next = j + STEP < end                        ? w + n * STEP
                            : c->then > j && c->then < c->outputs ? (const float *)c->weight + c->then * n
                                                                  : NULL;
        for (size_t row = 0, k = 0; row < c->rows; row += rows, k++) {
            rows = tile_rows(c->rows, row);
            tile_before(rows, laid + row * n, w, STEP, n, share_of(next, n, k, rows, c->rows, w),
                        sums_of_tile, STEP);
            finish(kind, c, scales, row, rows, j, sums_of_tile);
        }
    }
}

static void product(const gn__product_call *c, size_t first, size_t end)
{
    GN__EACH_KIND(c->activation, product_as, c, first, end)
}
