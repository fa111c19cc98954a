/* The way back through the operations of tensor.h: from the derivative of a number by what an operation
 * gives (by_y) to that by what it takes (by_x). All matrices are row-major. Same arguments, same bits. */
#ifndef GENCHI_TENSOR_GRADIENT_H
#define GENCHI_TENSOR_GRADIENT_H

#include "tensor/tensor.h"

/* Inverted dropout (Srivastava et al. 2014): element j of row t is kept, and divided by the share that is
 * kept, or becomes 0, as word j of a Philox stream says that nothing but these numbers choose. */
typedef struct gn__drop {
    uint32_t key[2];      /* of seed and step */
    uint32_t text, place; /* what is dropped where: third and fourth word of the counter */
    double probability;   /* of 0 */
} gn__drop;

#define REAL float
#define NAME(x) gn__##x
#include "tensor/gradient_types.h"
#undef REAL
#undef NAME

typedef struct gn__gradients {
    const char *name;
    void (*norm_back)(const gn__norm_back *n);
    /* y = f(u), n numbers; u: [rows × 2 cols], y = f(first half) · second half, [rows × cols]. Elsewhere than
     * in place, as the way back needs u. */
    void (*activation)(gn__activation kind, const float *u, float *y, size_t n);
    void (*gate)(gn__activation kind, const float *u, float *y, size_t rows, size_t cols);
    /* by_u = by_y f'(u), y = f(u), n numbers; by_u may be by_y, y may be NULL. */
    void (*activation_back)(gn__activation kind, const float *u, const float *by_y, float *by_u, float *y,
                            size_t n);
    /* u: [rows × 2 cols], y = f(first half) · second half, as gn__ops.gate. */
    void (*gate_back)(gn__activation kind, const float *u, const float *by_y, float *by_u, float *y,
                      size_t rows, size_t cols);
    /* gn__ops.rotate's transpose, in place. */
    void (*rotate_back)(float *x, const float *cosine, const float *sine, size_t heads, size_t head_dim,
                        size_t n);
    /* The heads of one kv_head. */
    void (*attend)(const gn__attending *a, size_t kv_head);
    void (*attend_back)(const gn__attending *a, size_t kv_head);
    void (*add)(float *y, const float *x, size_t n);                 /* y += x */
    void (*sum)(float *y, const float *a, const float *b, size_t n); /* y = a + b */
    /* out[j] += Σ of column j of x, [rows × cols]; of bf16 likewise. */
    void (*sum_rows)(const float *x, size_t rows, size_t cols, float *out);
    void (*sum_rows_bf16)(const uint16_t *x, size_t rows, size_t cols, float *out);
    /* Drops elements of row t in place: x[0 … n). */
    void (*drop)(const gn__drop *d, uint32_t t, float *x, size_t n);
} gn__gradients;

/* The fastest that this processor runs; static storage. */
const gn__gradients *gn__cpu_gradients(void);
/* The compiled tables, for tests: NULL past the last; those the processor lacks are passed over. */
const gn__gradients *gn__cpu_gradients_at(size_t i);
extern const gn__gradients gn__gradients_base;
#if defined(__x86_64__)
extern const gn__gradients gn__gradients_avx2, gn__gradients_avx512;
#endif

/* position_rows: that row[] may name; 0: no disentangled positions. */
size_t gn__attending_scratch(size_t tokens, size_t head_dim, size_t position_rows);

#endif
