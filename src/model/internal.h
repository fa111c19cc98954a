/* The inside of a gn_model, and the steps between its files. */
#ifndef GENCHI_MODEL_INTERNAL_H
#define GENCHI_MODEL_INTERNAL_H

#include "genchi/tokenizer.h"
#include "hub/endpoint.h"
#include "model/char_ngram.h"
#include "model/recipe.h"
#include "model/safetensors.h"

typedef struct gn__norm {
    float *gamma, *beta; /* [dim]; owned by the model's arena */
} gn__norm;

typedef struct gn__layer {
    gn__linear *attention_in, *attention_out, *mlp_in, *mlp_out; /* dim→3 dim (q|k|v), …, the outs add */
    gn__norm attention_norm, mlp_norm;
} gn__layer;

struct gn_model {
    gn_model_info info;
    gn__arena arena;         /* strings, norms */
    gn__char_ngram *control; /* the built-in model; then nothing below is set */
    gn__endpoint *endpoint;  /* a server; likewise */
    gn_tokenizer *tokenizer;
    gn__recipe recipe;
    gn__weights weights;
    const gn__tensor *words, *positions, *token_types; /* token_types: NULL if the recipe has none */
    gn__norm embedding_norm, final_norm;               /* NULL inside: none */
    gn__engine *engine;
    gn__layer *layer; /* [recipe.layers] */
};

/* One text's token ids. */
typedef struct gn__sequence {
    const int32_t *id;
    size_t count; /* 1 … recipe.positions */
} gn__sequence;

/* What one thread needs for the forward pass of up to `rows` tokens. */
typedef struct gn__workspace {
    gn__lane *lane;
    size_t rows;    /* a multiple of GN__ROWS */
    float *hidden;  /* [rows × dim] */
    float *triple;  /* [rows × 3 dim] q|k|v */
    float *mixed;   /* [rows × dim] what attention gathered */
    float *normed;  /* [GN__ROWS × dim] */
    float *inner;   /* [GN__ROWS × inner] */
    float *scratch; /* for the attention */
} gn__workspace;

gn_status gn__workspace_create(const gn_model *m, size_t tokens, gn__workspace *out, gn_error *err);
void gn__workspace_free(gn__workspace *ws); /* a zeroed struct is allowed */

/* Runs texts, packed end to end, through all layers; w->hidden then holds their last hidden states, row
 * by row. The ids must be below recipe.vocab and the counts add up to ws->rows at most. A text's rows
 * have the same bits whatever stands beside it. Errors: GN_CANCELLED; GN_NUMERIC (oneDNN failed). */
gn_status gn__model_forward(const gn_context *ctx, const gn_model *m, gn__workspace *ws,
                            const gn__sequence *sequence, size_t count, gn_error *err);

/* hidden: [tokens × dim], tokens > 0. out: [dim], of unit length if normalize. */
void gn__pool(gn_pooling pooling, bool normalize, const float *hidden, size_t tokens, size_t dim, float *out);

#endif
