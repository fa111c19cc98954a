/* The inside of a learner, and the steps between its files. */
#ifndef GENCHI_MODEL_LEARNER_PARTS_H
#define GENCHI_MODEL_LEARNER_PARTS_H

#include "model/learner.h"
#include "tensor/gradient.h"
#include "tensor/outer.h"

#include <stdatomic.h>

/* How a tensor of the checkpoint lies in a parameter. */
typedef enum gn__form {
    GN__FORM_PLAIN,
    GN__FORM_TURNED,   /* inputs × outputs there, outputs × inputs here */
    GN__FORM_TANGLED,  /* rows head by head, q k v each, there; all of q, all of k, all of v here */
    GN__FORM_PLUS_ONE, /* gamma − 1 there */
    GN__FORM_TAPS, /* outputs × inputs × width of a convolution there, outputs × width × inputs here */
} gn__form;

typedef struct gn__source {
    const gn__tensor *tensor;
    size_t at, outputs, inputs; /* first float of the parameter; shape; a vector has 1 input */
    gn__form form;
} gn__source;

enum { GN__SOURCES = 3 };

/* A parameter, trained or not. */
typedef struct gn__weight {
    gn__parameter told; /* offset: only where trained */
    bool trained;
    float
        *value; /* [rows × cols]: in the flat array; frozen: the learner's own, NULL where nothing keeps it */
    gn__source source[GN__SOURCES];
    size_t sources;
    const float *given; /* where it starts, without a source */
} gn__weight;

/* gamma NULL: no norm; beta NULL: by the root mean square, or (zero) no beta in the checkpoint. */
typedef struct gn__learnt_norm {
    gn__weight *gamma, *beta;
} gn__learnt_norm;

typedef enum gn__learnt_product {
    GN__QKV,
    GN__OUT,
    GN__MLP_IN,
    GN__MLP_OUT,
    GN__PRODUCTS
} gn__learnt_product;

/* A low-rank addition to some outputs of a linear layer: y += scale · B A x. */
typedef struct gn__adapter {
    gn__weight *a, *b;     /* [rank × inputs], [outputs × rank] */
    gn__linear *down, *up; /* A, B … */
    gn__linear *down_back, *up_back;
    size_t outputs;
} gn__adapter;

enum { GN__ADAPTERS = 3 };

/* What makes the gradients of a linear layer's weight and of its adapters; NULL where nothing asks for it. */
typedef struct gn__outers {
    gn__outer *weight, *a, *b[GN__ADAPTERS];
} gn__outers;

/* A linear layer both ways. */
typedef struct gn__learnt_linear {
    gn__weight *weight, *bias; /* bias NULL: none */
    size_t row;                /* of the weight and element of the bias where this layer begins */
    gn__linear *there, *back;  /* y = x Wᵀ + b; by_x = by_y W, NULL where nothing asks for it */
    bool lent;                 /* `back` reads the weight where it is */
    size_t inputs, outputs;
    gn__adapter *adapter[GN__ADAPTERS];
    size_t first[GN__ADAPTERS], adapters; /* output that an adapter begins at */
} gn__learnt_linear;

typedef struct gn__learnt_layer {
    gn__learnt_linear linear[GN__PRODUCTS];
    gn__learnt_norm norm[GN__NORM_PLACES], query_norm, key_norm;
    gn__learnt_linear position[2]; /* key and query of the relative positions; weight NULL: none */
    float *positions[2];           /* [relative_rows × heads head_dim] what they make of them */
    bool trained;                  /* some of it */
} gn__learnt_layer;

/* What a used layer leaves for its way back; all [rows × …]. */
typedef struct gn__tape {
    float *x;         /* dim: its input */
    float *raw;       /* q|k before their norms; NULL: they have none */
    float *triple;    /* q|k|v as attention takes them */
    float *level;     /* heads: see gn__attending */
    float *mixed;     /* what attention gathered */
    float *inside[2]; /* dim: of attention and MLP before the norm inside; NULL: none */
    float *sum[2];    /* dim: with the residual, before the norm behind; [1] NULL: none there */
    float *u;         /* inner, or gate|up: before the activation */
} gn__tape;

typedef enum gn__room { GN__BY_OUT, GN__BY_MLP_OUT, GN__BY_U, GN__A, GN__M, GN__N, GN__ROOMS } gn__room;

/* One thread's things. */
typedef struct gn__bench {
    gn__lane *lane;
    float *y, *h, *m;       /* [GN__ROWS × dim or embedding] */
    float *wide;            /* [GN__ROWS × the widest of all] */
    float *attention;       /* scratch */
    float *pool;            /* see learner_pool.c */
    float *low, *high;      /* [GN__ROWS × rank], [GN__ROWS × the widest of all], for adapters */
    void *outer;            /* scratch */
    float *room[GN__ROOMS]; /* see gn__wake.narrow */
} gn__bench;

/* What the way back leaves for the weights' gradients, of one layer at a time; [rows × …]. */
typedef struct gn__wake {
    float *by_hidden;           /* dim: of what the layer gives, then of what it takes */
    float *by_out, *by_mlp_out; /* dim */
    float *by_u, *a;            /* inner */
    float *m;                   /* dim: into the MLP */
    float *n;                   /* dim: into attention_in */
    float *by_mixed, *by_triple;
    float *by_embedded, *normed; /* embedding: before the projection */
    float *by_last;              /* output: of the last hidden states; NULL: as by_hidden */
    float *normed_last;          /* dim: what enters the output projection; NULL: the last layer's as it is */
    /* The convolution, a group after the other; NULL: nothing asks for it. */
    float *by_conv; /* groups × rows × (dim / groups): of what it gives */
    float *taps;    /* groups × rows × (conv dim / groups): what it takes, then the derivative by that */
    /* BF16: what products' weight gradients are made of, by_y and x of each; the float32 of by_out,
     * by_mlp_out, by_u, a, m and n is then a bench's, one block of it. */
    uint16_t *narrow[GN__PRODUCTS][2];
    float *by_bias;                              /* heads × bias_stride: over all layers */
    float *by_position[2];                       /* relative_rows × (heads head_dim) */
    float *by_relative;                          /* relative_rows × dim: over all layers */
    float *taken[GN__PRODUCTS];                  /* inputs of each product with adapters, after dropout */
    float *z[GN__PRODUCTS], *by_z[GN__PRODUCTS]; /* adapters × rank: scale · A x, and by A x */
    float *position_z[2], *position_by_z[2];
    float *partial; /* [blocks × partial_width] of norms */
    size_t partial_width;
} gn__wake;

struct gn__learner {
    const gn_model *m;
    const gn__recipe *r;
    const gn__ops *ops;
    const gn__gradients *back;
    gn_tune_options tune;
    size_t classes, most_tokens, most_texts, longest;
    bool recompute, narrow; /* narrow: see gn__wake.narrow */

    gn__weight *weight; /* in the flat arrays' order */
    size_t weights, capacity;
    gn__parameter *told; /* [parameters] the trained ones */
    size_t parameters, trained;
    float *values; /* [trained] */

    gn__weight *buckets, *relative; /* NULL: none */
    gn__learnt_norm relative_norm;
    size_t relative_rows;  /* in whole blocks */
    float *relative_table; /* [relative_rows × dim] the rows … */
    float *relative_input; /* … normed */
    gn__adapter *adapter;
    gn__arena names; /* of adapters */
    size_t adapters;
    float adapter_scale;
    bool counting; /* nothing is allocated … */
    size_t bytes;  /* … but counted */
    gn__weight *words, *positions, *token_types, *head_weight, *head_bias;
    gn__learnt_norm embedding_norm, final_norm, conv_norm;
    gn__learnt_linear projection, output; /* weight NULL: none */
    gn__learnt_linear *conv;              /* [recipe.conv_groups], rows of one weight; NULL: none */
    gn__learnt_layer *layer;              /* [recipe.stored] */
    gn__weight *step_weight[GN__MOST_STEPS], *step_bias[GN__MOST_STEPS], *step_residual[GN__MOST_STEPS];
    gn__head head; /* the model's, over this learner's numbers */
    float *zeros;  /* [dim or embedding] a beta that the checkpoint lacks */
    size_t lowest; /* used layer down to which the way back goes; layers: to none */
    bool embeds;   /* embeddings are trained */

    gn__outers outer[GN__PRODUCTS], outer_projection, outer_output, outer_conv, outer_position;
    gn__positions places;
    gn__bench *bench; /* [threads] */
    unsigned threads;
    size_t capacity_rows; /* of all buffers */

    float *embedded;  /* [rows × embedding] before the norm */
    float *projected; /* [rows × dim] before a norm that comes after the projection; NULL: none */
    float *conv_u;    /* [rows × dim] the convolution before its activation; NULL: none */
    float *conv_sum;  /* [rows × dim] with layer 0's result, before the norm */
    gn__tape *tape;   /* [layers + 1]; of the last only x */
    float *last;      /* [rows × recipe.output] what is pooled */
    float *pooled;    /* [texts × embedding's width] */
    float *by_pooled; /* likewise */
    gn__wake wake;
    float **owned; /* the buffers above, to free */
    size_t owns;

    /* Of the pass under way: */
    gn__dropout drop; /* row NULL: off */
    uint32_t drop_key[2];
    size_t rows, padded, texts; /* tokens; in whole blocks */
    int32_t *id;                /* [rows] */
    uint32_t *place, *at;       /* [rows] row of position embeddings; number within its text */
    uint32_t *text;             /* [rows] */
    size_t *first;              /* [texts + 1] */
    atomic_bool failed;         /* oneDNN */
    bool again;                 /* a layer's forward pass on the way back */
    size_t current;             /* layer */
    float *gradient;
    const float *by_logit;
};

/* Lists the parameters, reads their numbers and sets up what is trained. */
gn_status gn__learner_bind(gn_context *ctx, gn__learner *l, gn_error *err);
gn_status gn__learner_pack(gn_context *ctx, gn__learner *l, bool all, gn_error *err);
const float *gn__learner_beta(const gn__learner *l, const gn__learnt_norm *n);

/* ---- numbers of the checkpoint (learner_numbers.c) ------------------------------------------------ */

/* No tensor of the checkpoint, but one of a layer's adapters. */
static inline bool gn__is_adapter_weight(const gn__weight *w)
{
    return w->told.place == GN__PLACE_LAYER && w->sources == 0;
}
/* Reads the values: of what is trained into the flat array, of what is kept into the learner's own. */
gn_status gn__learner_read(gn__learner *l, gn_error *err);

/* ---- blocks, norms, weights ----------------------------------------------------------------------- */

static inline float *gn__gradient_of(const gn__learner *l, const gn__weight *w)
{
    return w != NULL && w->trained ? l->gradient + w->told.offset : NULL;
}

static inline const gn__learnt_layer *gn__layer_of(const gn__learner *l, size_t i)
{
    return &l->layer[gn__stored_layer(l->r, i)];
}

/* GN__ROWS rows on one thread. */
typedef struct gn__block {
    gn__learner *l;
    gn__bench *b;
    size_t row; /* first */
} gn__block;
typedef void (*gn__stage)(const gn__block *k, size_t layer);
/* Runs a stage of layer `current` for every block of `rows`. */
gn_status gn__learner_blocks(gn_context *ctx, gn__learner *l, size_t rows, gn__stage run, gn_error *err);

/* A recipe's kind of norm; y may be x. */
void gn__learner_norm(const gn__learner *l, const gn__learnt_norm *n, float *y, const float *x, size_t rows,
                      size_t cols);
/* Each block leaves a sum of a norm's gradients, which are added up in the blocks' order. Slots of a layer:
 * its norm places, then query and key; elsewhere 0. */
enum { GN__QUERY_SLOT = GN__NORM_PLACES, GN__KEY_SLOT, GN__SLOTS };
void gn__learner_clear_slots(const gn__block *k);
/* by: of the norm's output, becomes of its input x. */
void gn__learner_norm_back(const gn__block *k, const gn__learnt_norm *n, int slot, const float *x, float *by,
                           size_t rows, size_t cols);
void gn__learner_sum_norm(const gn__learner *l, const gn__learnt_norm *n, int slot, size_t rows);

/* Weight += by_yᵀ x over rows, in pieces; bias += Σ by_y, by piece 0. */
typedef struct gn__weigh_task {
    const gn__outer *outer;
    const void *by_y, *x;
    size_t rows;
    bool narrow; /* by_y and x are bf16 */
    float *out;
    float *bias; /* [columns]; NULL: none */
    size_t columns;
} gn__weigh_task;

enum { GN__MOST_TASKS = 2 * (GN__PRODUCTS + 2) * (1 + GN__ADAPTERS) };

typedef struct gn__weighing {
    gn__learner *l;
    gn__weigh_task task[GN__MOST_TASKS];
    size_t count;
    bool norms; /* of the current layer, as the last piece */
} gn__weighing;

/* What adapters left, see gn__learner_run_back. */
typedef struct gn__adapted {
    const float *taken, *z, *by_z;
} gn__adapted;

/* A linear layer and its adapters; parts that are not trained are passed over. */
void gn__learner_weigh_linear(gn__weighing *t, const gn__learnt_linear *x, const gn__outers *outer,
                              const float *by_y, const float *from, size_t rows, gn__adapted adapted);
void gn__learner_weigh_narrow(gn__weighing *t, const gn__learnt_linear *x, const gn__outers *outer,
                              const uint16_t *by_y, const uint16_t *from);
gn_status gn__learner_weigh(gn_context *ctx, gn__weighing *t, gn_error *err);

/* ---- dropout, linear layers ------------------------------------------------------------------------ */

/* What is dropped where; the place that a random stream is named by. */
typedef enum gn__drop_kind {
    GN__DROP_EMBEDDING,
    GN__DROP_ATTENTION,
    GN__DROP_OUT,
    GN__DROP_MLP_OUT,
    GN__DROP_ADAPTER, /* and so on, a product each */
    GN__DROP_CONVOLUTION = GN__DROP_ADAPTER + GN__PRODUCTS,
    GN__DROP_INNER,
    GN__DROP_LAST
} gn__drop_kind;
static inline uint32_t gn__drop_place(int kind, size_t layer)
{
    return (uint32_t)kind << 28 | (uint32_t)layer << 16;
}
/* Drops elements of a block's rows in place, where the pass drops; x: [GN__ROWS × cols]. */
void gn__learner_drop(const gn__learner *l, double probability, uint32_t place, size_t row, float *x,
                      size_t cols);

/* y = x Wᵀ + b and what the adapters add, of one block. layer, product: name the dropout of the adapters'
 * input; product GN__PRODUCTS: none. */
void gn__learner_run(gn__learner *l, gn__bench *b, const gn__learnt_linear *x, size_t layer, int product,
                     size_t row, const float *from, float *to);
/* by_x from by_y, both of one block, and what the adapters' gradients need: taken [rows × inputs], z and by_z
 * [rows × adapters rank], from row 0 on. from: x. */
void gn__learner_run_back(gn__learner *l, gn__bench *b, const gn__learnt_linear *x, size_t layer, int product,
                          size_t row, const float *from, const float *by_y, float *by_x, float *taken,
                          float *z, float *by_z);

/* ---- steps between the files ----------------------------------------------------------------------- */

/* What the relative positions give each layer, from the values as they are. */
gn_status gn__learner_place(gn_context *ctx, gn__learner *l, gn_error *err);
/* One layer again, onto the tape. */
gn_status gn__learner_again(gn_context *ctx, gn__learner *l, size_t layer, gn_error *err);

/* A text's attention in used layer i, as forward and backward take it. */
void gn__learner_attending(const gn__learner *l, size_t i, size_t text, gn__bench *b, gn__attending *out,
                           gn__drop *drop);
void gn__learner_turns(const gn__learner *l, int kind, size_t row, const float **cosine, const float **sine);
/* What enters the MLP of used layer i: of a block whose sum[0] is there. h, m: [GN__ROWS × dim] to work in.
 * state: behind attention; base: what the norm before the MLP takes, NULL without one. */
void gn__learner_mlp_input(const gn__learner *l, size_t i, size_t row, float *h, float *m,
                           const float **state, const float **base, const float **input);
/* a [GN__ROWS × inner]: what the MLP's second product of used layer i takes, from what its first made. */
void gn__learner_activate(const gn__learner *l, size_t i, size_t row, const float *u, float *a);

/* Tokens to the first hidden states of a block, and from the last to what is pooled; the whole way back of
 * each: from logits to by_hidden, from by_hidden to the tables. */
void gn__learner_embed(const gn__block *k);
void gn__learner_finish(const gn__block *k);
gn_status gn__learner_top_back(gn_context *ctx, gn__learner *l, gn_error *err);
gn_status gn__learner_embeddings_back(gn_context *ctx, gn__learner *l, gn_error *err);
void gn__learner_head_back(gn__learner *l);

/* Adds the convolution of the first hidden states to a block of layer 0's result, which stands in tape[1].x.
 * The way back: from by_hidden behind it to by_hidden of layer 0's result; then, behind layer 0, what the
 * convolution says of the first hidden states. */
void gn__learner_convolve(const gn__block *k);
gn_status gn__learner_convolution_back(gn_context *ctx, gn__learner *l, gn_error *err);
gn_status gn__learner_convolved_back(gn_context *ctx, gn__learner *l, gn_error *err);

/* Pooling, the steps behind it and their way back. */
size_t gn__learner_pool_scratch(const gn__learner *l);
void gn__learner_pool(gn__learner *l, size_t text, gn__bench *b);
/* by_hidden: [tokens × output] of this text, written; steps' gradients: added. */
void gn__learner_pool_back(gn__learner *l, size_t text, gn__bench *b, float *by_hidden);

#endif
