/* The argument structs of the gradient operations, once a type of number: REAL, and NAME(x) for the structs'
 * names. Included by gradient.h (float) and by the tests (double), where differences can be taken. */

/* A norm's way back, y = (x − mean) / √(variance + eps) · gamma + beta, or by the root mean square. */
typedef struct NAME(norm_back) {
    const REAL *x, *by_y, *gamma;
    bool centred;   /* layer norm; else by the root mean square */
    REAL *by_x;     /* written; may be by_y */
    REAL *by_gamma; /* added to; NULL: not wanted */
    REAL *by_beta;  /* likewise */
    size_t rows, cols;
    REAL eps;
} NAME(norm_back);

/* Softmax attention of one text as gn__attention has it, with what its way back needs. Head h of token t lies
 * at t * stride + h * head_dim. One call does the heads of one kv_head. */
typedef struct NAME(attending) {
    const REAL *q, *k, *v;
    size_t stride;
    REAL *out; /* [tokens × out_stride]; read on the way back */
    size_t out_stride;
    REAL *level; /* [tokens × heads] ln Σ exp(score); read on the way back */
    size_t tokens, heads, kv_heads, head_dim;
    bool causal;
    REAL scale;
    size_t before, after; /* 0: all */
    REAL cap;             /* 0: none */
    const REAL *bias;     /* at distance 0, see gn__attention; NULL: none */
    size_t bias_stride;
    /* DeBERTa's: rows × (heads head_dim), what gn__disentangled holds, in the order in which a linear layer
     * leaves it; NULL: none. */
    const REAL *position_key, *position_query;
    const uint16_t *row;  /* at distance 0 */
    const gn__drop *drop; /* of the probabilities; NULL: none. Row t of head h: place + h. */
    REAL *scratch;        /* NAME(attending_scratch)() numbers, 64-byte aligned */
    /* The way back only: */
    const REAL *by_out;
    REAL *by_q, *by_k, *by_v;                  /* written, with `stride` */
    REAL *by_bias;                             /* as bias, added to */
    REAL *by_position_key, *by_position_query; /* added to; NULL: not wanted */
} NAME(attending);
