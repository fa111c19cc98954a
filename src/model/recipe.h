/* What a transformer is, said once for all families; forward.c runs any recipe. */
#ifndef GENCHI_MODEL_RECIPE_H
#define GENCHI_MODEL_RECIPE_H

#include "model/config.h"
#include "tensor/tensor.h"

typedef struct gn__recipe {
    size_t dim, layers, heads;
    size_t inner;       /* width of the MLP between its two layers */
    size_t vocab;       /* rows of the word embeddings */
    size_t positions;   /* rows of the learned position embeddings */
    size_t token_types; /* 0: none; row 0 is added to every token */
    float eps;          /* of every layer norm */
    gn__activation activation;
    bool causal;         /* a token sees itself and those before it, else all */
    bool norm_first;     /* x += f(norm(x)), else x = norm(x + f(x)) */
    int32_t empty_token; /* stands in for a text of no tokens at all; -1: cannot happen */
    gn_pooling pooling;  /* where the model's files do not say */
} gn__recipe;

/* Where the tensors are. A linear layer or norm called "x" has the tensors x.weight and x.bias. */
typedef struct gn__tensor_names {
    const char *const *prefix; /* tried in order, NULL last */
    const char *words, *positions, *token_types;
    const char *embedding_norm, *final_norm; /* NULL: the family has none */
    const char *layer;                       /* then the number, a dot, and one of: */
    const char *attention_in[3];             /* query, key, value; or one that holds them all, NULL, NULL */
    const char *attention_out, *mlp_in, *mlp_out;
    const char *attention_norm, *mlp_norm;
    bool transposed; /* linear weights lie inputs × outputs */
} gn__tensor_names;

typedef struct gn__family {
    const char *model_type; /* as config.json has it */
    const gn__tensor_names *names;
    gn_status (*read)(const gn__config *config, gn__recipe *out, gn_error *err);
} gn__family;

extern const gn__family gn__family_bert, gn__family_gpt2;

/* Errors: GN_FORMAT (no model_type), GN_UNSUPPORTED (names it and those supported). */
gn_status gn__family_find(const gn__config *config, const gn__family **out, gn_error *err);
/* Translates an activation's name. Errors: GN_UNSUPPORTED. */
gn_status gn__activation_find(const gn__config *config, const char *key, const char *otherwise,
                              gn__activation *out, gn_error *err);

/* Limits that keep every product of sizes far from overflow. */
enum { GN__MOST_DIM = 1 << 16, GN__MOST_LAYERS = 1000, GN__MOST_ROWS = 1 << 26 };

#endif
