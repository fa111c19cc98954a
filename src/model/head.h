/* From hidden states to a text's embedding: pooling, then steps as sentence-transformers lists them. */
#ifndef GENCHI_MODEL_HEAD_H
#define GENCHI_MODEL_HEAD_H

#include "core/core.h"
#include "genchi/model.h"

typedef enum gn__head_activation {
    GN__HEAD_IDENTITY,
    GN__HEAD_TANH,
    GN__HEAD_RELU,
    GN__HEAD_GELU,
    GN__HEAD_SILU
} gn__head_activation;

typedef enum gn__head_kind {
    GN__HEAD_UNIT,  /* scaling to unit length */
    GN__HEAD_DENSE, /* activation(weight x + bias), where residual: + x, or residual_weight x */
    GN__HEAD_NORM   /* a layer norm: weight is its gamma, [outputs], bias its beta */
} gn__head_kind;

#define GN__HEAD_EPS 1e-5f /* of GN__HEAD_NORM: torch's default */

typedef struct gn__head_step {
    gn__head_kind kind;
    float *weight, *bias; /* [outputs × inputs], [outputs]; bias NULL: none */
    size_t inputs, outputs;
    gn__head_activation activation;
    bool residual;
    float *residual_weight; /* [outputs × inputs]; NULL: inputs = outputs */
} gn__head_step;

enum { GN__MOST_POOLINGS = 6, GN__MOST_STEPS = 8 };

typedef struct gn__head {
    gn_pooling pooling[GN__MOST_POOLINGS]; /* put one behind the other; none: the family's */
    size_t poolings, steps;
    gn__head_step step[GN__MOST_STEPS];
    size_t widest; /* of what stands between steps; 0 until gn__head_check */
} gn__head;

/* The embedding's width for hidden states so wide. Errors: GN_FORMAT (a dense layer expects another width).
 */
gn_status gn__head_check(gn__head *h, const char *path, size_t dim, size_t *out, gn_error *err);
/* hidden: [tokens × dim], tokens > 0; spare: [2 × widest]; out: [the embedding's width]. */
void gn__head_run(const gn__head *h, const float *hidden, size_t tokens, size_t dim, float *spare,
                  float *out);
/* One of its steps: x is [width], out another array. */
void gn__head_step_run(const gn__head_step *s, const float *x, size_t width, float *out);
void gn__head_free(gn__head *h); /* a zeroed struct is allowed */

/* One pooling: out is [dim], of unit length if normalize. */
void gn__pool(gn_pooling pooling, bool normalize, const float *hidden, size_t tokens, size_t dim, float *out);

#endif
