/* Arithmetic on rows of float32: what a transformer's forward pass is made of. All matrices are
 * row-major. Every operation gives the same bits for a row (attention: for a text) whatever stands
 * beside it. */
#ifndef GENCHI_TENSOR_TENSOR_H
#define GENCHI_TENSOR_TENSOR_H

#include "core/team.h"
#include "genchi/model.h"

#include <signal.h>

typedef enum gn__activation {
    GN__GELU,      /* x Φ(x) (Hendrycks & Gimpel 2016) */
    GN__GELU_TANH, /* its tanh approximation, "gelu_new": x σ(2 √(2/π) (x + 0.044715 x³)) */
    GN__RELU,
    GN__SILU,         /* x σ(x) */
    GN__NO_ACTIVATION /* x */
} gn__activation;

/* call(KIND, …) with the kind as a constant, so that the compiler makes a loop of each. */
#define GN__EACH_KIND(kind, call, ...)        \
    switch (kind) {                           \
    case GN__GELU:                            \
        call(GN__GELU, __VA_ARGS__);          \
        break;                                \
    case GN__GELU_TANH:                       \
        call(GN__GELU_TANH, __VA_ARGS__);     \
        break;                                \
    case GN__RELU:                            \
        call(GN__RELU, __VA_ARGS__);          \
        break;                                \
    case GN__SILU:                            \
        call(GN__SILU, __VA_ARGS__);          \
        break;                                \
    case GN__NO_ACTIVATION:                   \
        call(GN__NO_ACTIVATION, __VA_ARGS__); \
        break;                                \
    }

/* Positions that enter attention as content does (DeBERTa, He et al. 2021): the score of query t and key
 * j gains q_t · key[row] + query[row] · k_j with row = row[t − j], before scaling. */
typedef struct gn__disentangled {
    const float *key;    /* [heads × head_dim × columns], transposed; NULL: none */
    const float *query;  /* [heads × rows × head_dim]; NULL: none */
    size_t rows;         /* at most GN__POSITION_ROWS */
    size_t columns;      /* gn__position_columns(rows) */
    const uint16_t *row; /* at distance 0; from 1 − tokens to tokens − 1, never falling */
} gn__disentangled;
enum { GN__POSITION_ROWS = 1 << 15 };

/* Softmax attention of one text: row t of out is, head by head, softmax(scale q_t Kᵀ) V, over all
 * tokens or (causal) those up to t. q, k, v start at their first token; head h of token t lies at
 * t * stride + h * head_dim. What follows scratch may be left zero: */
typedef struct gn__attention {
    const float *q, *k, *v;
    size_t stride;
    float *out;
    size_t out_stride;
    size_t tokens, heads, head_dim;
    bool causal;
    float scale;
    float *scratch;       /* gn__attention_scratch() floats, 64-byte aligned */
    size_t kv_heads;      /* keys and values of head h are those of h · kv_heads / heads; 0: one each */
    size_t before, after; /* the most tokens seen on either side of t; 0: all */
    float cap;            /* a score s becomes cap tanh(s / cap); 0: stays */
    const float *bias; /* bias[h · bias_stride + j − t] is added to the scaled, capped score; NULL: none.
                          There are GN__BIAS_SLACK more at the end of a head's. */
    size_t bias_stride;
    const gn__disentangled *positions; /* NULL: none */
} gn__attention;
enum { GN__BIAS_SLACK = 32 };

/* A row in 8 bits: x ≈ scale (q − zero), 0 ≤ q ≤ 255. scale is NaN if the row holds one, or an infinity. */
typedef struct gn__row8 {
    float scale;
    int32_t zero;
} gn__row8;

/* What a product of 8-bit factors leaves: sums of q · w, where column j's weights are scale[j] w. */
typedef struct gn__sums {
    const int32_t *sum;        /* [rows × cols] */
    const gn__row8 *row;       /* [rows] of q */
    const float *scale, *bias; /* [cols] */
    const int32_t *total;      /* [cols] Σ w, which the rows' zeros are taken out with */
    size_t rows, cols;
    bool add; /* to what y holds */
    gn__activation activation;
} gn__sums;

/* Quadratic forms of a symmetric matrix K over many divisions of its rows in two ("labellings"), where a row
 * counts `inside` or `outside`. A strip of GN__STRIP rows of K meets whole chunks of columns. The columns of
 * a chunk are taken GN__CODE_BITS at a time: the sums of their 2^GN__CODE_BITS divisions are made once and
 * looked up by every labelling (the method of the four Russians: Arlazarov, Dinic, Kronrod & Faradzhev 1970).
 */
enum {
    GN__STRIP = 32,
    GN__CODE_BITS = 5,
    GN__CODES = 8, /* a chunk: tables of 32 KiB stay in the nearest cache */
    GN__CHUNK = GN__CODE_BITS * GN__CODES,
    GN__CODE_UNIT = GN__STRIP * (int)sizeof(float), /* bytes of a table's entry */
    GN__TABLE_FLOATS = GN__CODES * (1 << GN__CODE_BITS) * GN__STRIP,
    GN__SUM_LANES = 16
};
typedef struct gn__signed {
    const float *k;       /* [chunks × GN__CHUNK × GN__STRIP], column by column */
    const uint16_t *code; /* [chunks × labels × GN__CODES] the bits of the columns that are inside (the first
                             is the lowest) × GN__CODE_UNIT */
    const uint32_t *mask; /* [labels] bit r: row r of the strip is inside */
    size_t chunks, labels;
    float inside, outside;
    float *quadratic; /* [labels × GN__SUM_LANES] += Σ s_r K_rj s_j, spread over the lanes r % 16 */
    float *linear;    /* the same for Σ K_rj s_j; NULL: not wanted */
    float *table;     /* [GN__TABLE_FLOATS] scratch, 64-byte aligned */
} gn__signed;

typedef struct gn__ops {
    const char *name;
    /* y = (x − mean) / √(variance + eps) · gamma + beta, a row at a time; y may be x. */
    void (*layer_norm)(float *y, const float *x, const float *gamma, const float *beta, size_t rows,
                       size_t cols, float eps);
    /* y = x / √(mean of squares + eps) · gamma (Zhang & Sennrich 2019). */
    void (*rms_norm)(float *y, const float *x, const float *gamma, size_t rows, size_t cols, float eps);
    void (*activate)(gn__activation kind, float *x, size_t n); /* in place */
    /* y, [rows × cols], is the activated first half of x, [rows × 2 cols], times the second; y may be x. */
    void (*gate)(gn__activation kind, float *y, const float *x, size_t rows, size_t cols);
    /* Rotary positions (Su et al. 2021) of one token: in each head the pairs (x_i, x_{i + n}), i < n, turn by
     * the angle whose cosine is cosine[i]. */
    void (*rotate)(float *x, const float *cosine, const float *sine, size_t heads, size_t head_dim, size_t n);
    void (*to_bf16)(uint16_t *y, const float *x, size_t n); /* nearest, ties to even */
    void (*attention)(const gn__attention *a);
    /* Rows to 8 bits between their least and largest element, 0 included; nearest, ties to even. */
    void (*to_u8)(uint8_t *q, gn__row8 *row, const float *x, size_t rows, size_t cols);
    /* y = f(row's scale · scale · (sum − zero · total) + bias), [rows × cols]; added, no f. */
    void (*from_sums)(const gn__sums *s, float *y);
    /* Logistic regression. out[r] = sum_j (row[r][j] - mean[j]) w[j]; next: [rows] the rows that will be
     * asked for after these, fetched on the way. */
    void (*margins)(const float *const *row, size_t rows, const float *const *next, const float *mean,
                    const float *w, size_t n, float *out);
    /* sum[j] += sum_r factor[r] (row[r][j] - mean[j]). */
    void (*add_rows)(const float *const *row, size_t rows, const float *mean, const float *factor, size_t n,
                     float *sum);
    /* Several fits on the same rows, [count <= GN__LANES × dim], one after another and centred; w: [fits ×
     * dim]. out[f * GN__LANES + r] = row r · w of f; sum of f += sum_r factor[f * GN__LANES + r] row r, [fits
     * × dim]. */
    void (*margins_of_fits)(const float *rows, size_t count, size_t dim, const float *w, size_t fits,
                            float *out);
    void (*add_rows_of_fits)(const float *rows, size_t count, size_t dim, const float *factor, size_t fits,
                             float *sum);
    /* The weighted log-loss of log-odds against y (0 or 1); margin becomes d loss / d margin. n: a multiple
     * of GN__LANES (weights of 0 fill up). */
    double (*binomial_loss)(float *margin, const float *y, const float *weight, size_t n);
    /* The same for softmax(logit + bias): logit[c * stride + r]; becomes d loss / d logit. */
    double (*softmax_loss)(float *logit, size_t stride, size_t classes, const float *bias, const int *y,
                           const float *weight, size_t n);
    void (*signed_sums)(const gn__signed *s);
    /* Squared or city-block distances of rows of x [rows × dim] to the rows of a strip [dim × GN__STRIP]:
     * out[i * stride + r]. */
    void (*strip_distances)(const float *strip, const float *x, size_t rows, size_t dim, bool city_block,
                            float *out, size_t stride);
} gn__ops;
enum { GN__LANES = 16 }; /* the most lanes that a vector has */

/* The fastest table that this processor runs; static storage. */
const gn__ops *gn__cpu_ops(void);
extern const gn__ops gn__ops_reference;
/* The compiled tables, for tests: NULL past the last; those the processor lacks are passed over. */
const gn__ops *gn__cpu_ops_at(size_t i);
/* position_rows: of a->positions; 0: none. */
size_t gn__attention_scratch(size_t tokens, size_t head_dim, size_t position_rows);
size_t gn__position_columns(size_t rows);

/* ---- products of our own ------------------------------------------------------------------------ */

/* y = f(x Wᵀ + bias), or y += x Wᵀ + bias, for any number of rows; a row's bits do not depend on the others.
 */
typedef struct gn__product_call {
    const float *x; /* [rows × inputs] */
    size_t rows, inputs, outputs;
    const void *weight;        /* packed by the same gn__multiplier */
    const float *bias, *scale; /* [outputs in whole steps]; scale of the weights: INT8 */
    const int32_t *total;      /* INT8: [outputs in whole steps] Σ w */
    bool add;                  /* then without activation */
    gn__activation activation;
    float *y;     /* [rows × outputs] */
    float *spare; /* gn__product_spare(rows, inputs) floats */
    size_t then;  /* the column that is likely to be run after these, whose weights are fetched; 0: none */
} gn__product_call;

typedef struct gn__multiplier {
    const char *name;
    gn_dtype dtype;
    size_t step;  /* columns at a time */
    size_t group; /* inputs that share 32 bits */
    /* weight: [outputs × inputs] of float, or INT8 of int8_t; spare: step × inputs floats; out:
     * gn__product_weights() floats. */
    void (*pack)(const void *weight, size_t inputs, size_t outputs, float *spare, float *out);
    void (*lay)(const gn__product_call *c); /* the rows into spare, once before any number of runs */
    /* Columns [first, end), which begin at whole steps. */
    void (*run)(const gn__product_call *c, size_t first, size_t end);
    void (*attention)(const gn__attention *a); /* with factors of this dtype, but no positions; NULL: none */
} gn__multiplier;
size_t gn__product_spare(size_t rows, size_t inputs);
size_t gn__product_weights(const gn__multiplier *p, size_t inputs, size_t outputs);
/* The one for this type on this processor; NULL: oneDNN's is better, or the only one. */
const gn__multiplier *gn__product_for(gn_dtype dtype);
/* Those that this processor runs, for tests: NULL past the last. */
const gn__multiplier *gn__product_at(size_t i);
/* Attention for a model of this type: beside bf16 and int8 products its factors may be bf16. */
void gn__attend(gn_dtype dtype, const gn__attention *a);

/* C = alpha op(A) op(B) + beta C in float32, one thread: op(A) is [m × k], op(B) [k × n], row-major with the
 * given strides. oneDNN's product, which knows newer processors than the OpenBLAS of a distribution may;
 * OpenBLAS's where it refuses. The same bits for the same shape, whatever the number of threads around it. */
typedef struct gn__factor {
    const float *data;
    size_t stride;
    bool transposed;
} gn__factor;
void gn__product(size_t m, size_t n, size_t k, float alpha, gn__factor a, gn__factor b, float beta, float *c,
                 size_t stride);

/* ---- linear layers ------------------------------------------------------------------------------ */

/* Rows a product works on at once. With oneDNN always this many: a product of another shape could sum in
 * another order, and a text's bits would depend on its neighbours. Shorter ends are padded with zero rows. A
 * multiple of 16 (tiles of AMX), of 12 (our own) and of 6 (oneDNN's AVX2 kernel takes 6 rows at a time and
 * sums what is left over differently). */
enum { GN__ROWS = 48 };

/* oneDNN's; one a model, shared by its layers and by the lanes that run them. */
typedef struct dnnl_engine gn__engine;
gn_status gn__engine_create(gn__engine **out, gn_error *err);
void gn__engine_free(gn__engine *engine);

/* y = x Wᵀ + b, or y += x Wᵀ + b when made with `add`. W and b are copied (packed) for the processor;
 * immutable, shared by threads. */
typedef struct gn__linear gn__linear;
/* weight: [outputs × inputs], or NULL: gn__linear_renew gives it before the first run (then `bias` only says
 * whether there is one; not with INT8; the product is oneDNN's); bias: [outputs] or NULL. dtype: not AUTO.
 * INT8 rounds each output's weights to a scale of their own, and the inputs as to_u8 does; the sums are
 * exact. Errors: GN_NO_MEMORY; GN_UNSUPPORTED (oneDNN cannot multiply this dtype here). */
gn_status gn__linear_create(gn__engine *engine, const float *weight, const float *bias, size_t inputs,
                            size_t outputs, bool add, gn_dtype dtype, gn__linear **out, gn_error *err);
/* The same by this product (of that dtype; NULL: oneDNN's). A lane serves layers of one kind. */
gn_status gn__linear_create_with(const gn__multiplier *own, gn__engine *engine, const float *weight,
                                 const float *bias, size_t inputs, size_t outputs, bool add, gn_dtype dtype,
                                 gn__linear **out, gn_error *err);
/* Copies other numbers into a layer made without, F32 or BF16, that nobody runs meanwhile. turned: weight is
 * [inputs × outputs]. bias: NULL exactly where the layer has none. */
gn_status gn__linear_renew(gn__linear *l, const float *weight, bool turned, const float *bias, gn_error *err);
/* A float32 layer without bias whose weight, [inputs × outputs], lies with the caller and is read where it is
 * (measured: as fast as packed). gn__linear_lend says where, before the first run. */
gn_status gn__linear_borrow(gn__engine *engine, size_t inputs, size_t outputs, gn__linear **out,
                            gn_error *err);
gn_status gn__linear_lend(gn__linear *l, const float *weight, gn_error *err);
void gn__linear_free(gn__linear *l);
size_t gn__linear_inputs(const gn__linear *l);
size_t gn__linear_outputs(const gn__linear *l);
/* Whether gn__linear_run_rows works on just the rows asked for, wherever a block begins. */
bool gn__linear_any_rows(const gn__linear *l);

/* What one thread needs to run linear layers. */
typedef struct gn__lane gn__lane;
gn_status gn__lane_create(gn__engine *engine, const gn__linear *const *layers, size_t count, gn__lane **out,
                          gn_error *err);
void gn__lane_free(gn__lane *lane);
/* x: [GN__ROWS × inputs], y: [GN__ROWS × outputs]; must not overlap. l: a layer of one of the shapes the
 * lane was made for. false: oneDNN failed. Call between gn__serial_begin and gn__serial_end. */
bool gn__linear_run(const gn__linear *l, gn__lane *lane, const float *x, float *y);
/* The first `rows` of them only; the others, which must hold numbers, may or may not be worked on. The
 * activation is for layers without `add`. Members of a team share the columns, each with a lane of its own;
 * oneDNN's products (not gn__linear_any_rows) are for members alone. */
bool gn__linear_run_rows(const gn__linear *l, gn__lane *lane, gn__member *member, size_t rows, const float *x,
                         float *y, gn__activation activation);
/* The same of GN__ROWS rows that are bf16 already, for BF16 layers of oneDNN's. */
bool gn__linear_run_bf16(const gn__linear *l, gn__lane *lane, const uint16_t *x, float *y);

/* Everything that runs oneDNN stands between these two. They keep its OpenMP to this one thread, and hold
 * back signals: its float32 products use the stack pointer for other things, and a handler's frame would be
 * written over whatever lies there. A signal that came is delivered at the end. They may be nested. */
typedef struct gn__serial {
    int threads;
    sigset_t signals;
} gn__serial;
gn__serial gn__serial_begin(void);
void gn__serial_end(gn__serial before); /* the value returned */

/* BF16 where the processor multiplies it faster than float32, else F32 (see gn_dtype). */
gn_dtype gn__best_dtype(void);

#endif
