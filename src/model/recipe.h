/* What a transformer is, said once for all families; forward.c runs any recipe. */
#ifndef GENCHI_MODEL_RECIPE_H
#define GENCHI_MODEL_RECIPE_H

#include "model/config.h"
#include "tensor/tensor.h"

/* Limits that keep every product of sizes far from overflow. */
enum {
    GN__MOST_DIM = 1 << 16,
    GN__MOST_LAYERS = 1000,
    GN__MOST_ROWS = 1 << 26,
    GN__MOST_TOKENS = 1 << 20,
    GN__MOST_TURNS = 512 /* pairs of a head that rotary positions turn */
};

/* Where a layer may have a norm. BEFORE: of what enters attention or the MLP; INSIDE: of what comes out of
 * it, before it is added to the residual; POST: of the sum. */
typedef enum gn__norm_place {
    GN__ATTENTION_BEFORE,
    GN__ATTENTION_INSIDE,
    GN__ATTENTION_POST,
    GN__MLP_BEFORE,
    GN__MLP_INSIDE,
    GN__MLP_POST,
    GN__NORM_PLACES
} gn__norm_place;

typedef enum gn__norm_kind {
    GN__NORM_LAYER,
    GN__NORM_RMS,
    GN__NORM_RMS_PLUS /* the checkpoint holds gamma − 1 */
} gn__norm_kind;

typedef enum gn__bias_kind {
    GN__BIAS_NONE,
    GN__BIAS_BUCKETS, /* a learned number a head and bucket of distances (T5) */
    GN__BIAS_ALIBI    /* a slope a head times the distance (Press et al. 2022) */
} gn__bias_kind;

/* Rotary positions: pair i turns by position · inverse[i]; cosines and sines are multiplied by `scale`. In a
 * text of more than long_from tokens all positions turn by longer[i] instead (LongRoPE, Ding et al. 2024). */
typedef struct gn__rotary {
    size_t pairs;     /* 0: none */
    const char *kind; /* rope_type; static */
    float theta;
    float inverse[GN__MOST_TURNS];
    float scale;
    size_t long_from; /* 0: any text turns by inverse */
    float longer[GN__MOST_TURNS];
} gn__rotary;

/* The paths of the linear layers in transformers' own class, where tensors have other names (see below). */
typedef struct gn__module_names {
    const char *layer;
    const char *attention_in[3], *attention_out, *mlp_in[2], *mlp_out;
} gn__module_names;

/* Where the tensors are. A linear layer or norm called "x" has the tensors x.weight and x.bias. NULL: the
 * family has none. */
typedef struct gn__tensor_names {
    const char *const *prefix; /* tried in order, NULL last */
    const char *words, *positions, *token_types;
    const char *words_too;  /* the other name of a table that two parts of a model share */
    const char *projection; /* linear, embeddings to dim; see recipe.projected */
    const char *embedding_norm, *final_norm;
    const char *output;                        /* linear, dim to recipe.output, where they differ */
    const char *conv, *conv_norm;              /* of recipe.conv */
    const char *buckets;                       /* of GN__BIAS_BUCKETS: [buckets × heads] */
    const char *relative;                      /* disentangled: [rows × dim] … */
    const char *relative_norm;                 /* … and its norm, where the recipe says so */
    const char *layer;                         /* then the number, then … */
    const char *inside;                        /* … this (NULL: "."; with recipe.group above 1: this, the
                                                  number in the group and "."), then one of: */
    const char *attention_in[3];               /* query, key, value; or one that holds them all, NULL, NULL */
    const char *query_bias, *value_bias;       /* where attention_in has none (DeBERTa) */
    const char *query_norm, *key_norm;         /* [head_dim] */
    const char *position_key, *position_query; /* of `relative`; NULL: attention_in's */
    const char *attention_out;
    const char *mlp_in[2]; /* gated: gate, up; or one, with the gate first where gated; else one */
    const char *mlp_out;
    const char *norm[GN__NORM_PLACES];
    bool transposed;                 /* linear weights lie inputs × outputs */
    const gn__module_names *modules; /* NULL: as the tensors; else every part of attention_in has its own, of
                                        as many outputs, where one tensor holds them all */
} gn__tensor_names;

typedef struct gn__recipe {
    const gn__tensor_names *names;
    size_t dim, layers, heads;
    size_t kv_heads, head_dim; /* 0 after reading: heads, dim / heads */
    size_t inner;              /* width of the MLP between its two layers */
    size_t vocab;              /* rows of the word embeddings */
    size_t embedding;          /* their columns; 0 after reading: dim */
    size_t stored;             /* layers in the checkpoint; 0: all. Where fewer than layers … */
    size_t group; /* … so many one after the other are used again and again, layers / stored times; 0: one */
    bool projected;      /* embeddings pass names->projection; after reading also where embedding ≠ dim */
    bool norm_projected; /* their norm comes after it, not before */
    bool add_projected;  /* their positions are dim wide and added after it */
    size_t output;       /* columns of the last hidden states; 0 after reading: dim */
    size_t conv; /* odd width of a convolution of the embeddings that layer 0's result gains, activated,
                    before a norm of the sum (DeBERTa-v2); 0: none */
    size_t conv_groups; /* dim / conv_groups inputs make an output */
    gn__activation conv_activation;

    size_t positions;     /* the most tokens; 0: no limit of its own */
    size_t usual;         /* tokens where there is no limit and nothing says another number */
    size_t position_rows; /* of learned position embeddings, 0: none; token t has row t + position_offset */
    size_t position_offset;
    int32_t pad_token;    /* tokens that stand at row position_offset − 1 and are not counted; −1: none */
    size_t token_types;   /* 0: none; row 0 is added to every token */
    gn__rotary rotary[2]; /* of layers that see all, of local ones */
    gn__bias_kind bias;
    size_t buckets, farthest; /* GN__BIAS_BUCKETS, both directions together, and the distance of the last */
    size_t span;              /* disentangled: 2 · span rows; 0: none */
    size_t span_buckets, span_farthest; /* logarithmic buckets; 0: none */
    bool content_to_position, position_to_content, relative_norm, position_bias[2]; /* of key, of query */

    bool causal;                    /* a token sees itself and those before it, else all */
    size_t before, after;           /* what a local layer sees at most, see gn__attention */
    uint8_t local[GN__MOST_LAYERS]; /* 1: a local layer */
    float attention_scale;          /* of q · k */
    float cap;                      /* see gn__attention */
    float embedding_scale;          /* 0 after reading: 1 */

    gn__norm_kind norm;
    bool norm_bias;
    bool bare_first; /* layer 0 has no GN__ATTENTION_BEFORE */
    bool parallel;   /* attention and MLP both start from the layer's input */
    float eps;       /* of every norm */
    gn__activation activation;
    bool gated;
    bool interleaved; /* the fused attention_in lies head by head, q k v each */
    bool bias_in, bias_out, bias_mlp, bias_projection;

    int32_t empty_token; /* stands in for a text of no tokens at all; -1: cannot happen */
    gn_pooling pooling;  /* where the model's files do not say */
} gn__recipe;

typedef struct gn__family {
    const char *model_type; /* as config.json has it */
    gn_status (*read)(const gn__config *config, gn__recipe *out, gn_error *err);
} gn__family;

extern const gn__family gn__family_bert, gn__family_electra, gn__family_roberta, gn__family_xlm_roberta,
    gn__family_camembert, gn__family_distilbert, gn__family_albert, gn__family_mpnet, gn__family_deberta,
    gn__family_deberta_v2, gn__family_modernbert, gn__family_nomic_bert, gn__family_gpt2, gn__family_gpt_neox,
    gn__family_opt, gn__family_bloom, gn__family_phi, gn__family_phi3, gn__family_llama, gn__family_mistral,
    gn__family_qwen2, gn__family_qwen3, gn__family_gemma2, gn__family_gemma3, gn__family_gemma3_text,
    gn__family_t5, gn__family_mt5;

/* Errors: GN_FORMAT (no model_type), GN_UNSUPPORTED (names it and those supported). */
gn_status gn__family_find(const gn__config *config, const gn__family **out, gn_error *err);
/* Reads config.json with the family that it names, fills what is left 0 and checks that the sizes fit
 * together. Errors: GN_FORMAT, GN_UNSUPPORTED. */
gn_status gn__recipe_read(const gn__config *config, gn__recipe *out, const gn__family **family,
                          gn_error *err);

/* ---- what families read with ---------------------------------------------------------------------- */

/* The config's keys for sizes; NULL: not read. */
typedef struct gn__size_keys {
    const char *dim, *layers, *heads, *inner, *vocab, *positions;
} gn__size_keys;
extern const gn__size_keys gn__usual_keys; /* hidden_size, num_hidden_layers, … */
gn_status gn__read_sizes(const gn__config *c, const gn__size_keys *keys, gn__recipe *r, gn_error *err);
gn_status gn__read_eps(const gn__config *c, const char *key, double otherwise, gn__recipe *r, gn_error *err);
/* num_key_value_heads and head_dim. */
gn_status gn__read_grouped_heads(const gn__config *c, gn__recipe *r, gn_error *err);
/* empty_token: the config's bos, eos or pad token, whichever comes first; else `otherwise`. */
void gn__read_empty_token(const gn__config *c, int32_t otherwise, gn__recipe *r);
/* Fails where the config switches on (or, with a '!' in front, off) one of these; NULL last. '!': absent
 * means on. */
gn_status gn__refuse(const gn__config *c, const char *const *switches, gn_error *err);
gn_status gn__refused(const gn__config *c, const char *key, gn_error *err);
/* Translates an activation's name. Errors: GN_UNSUPPORTED. */
gn_status gn__activation_find(const gn__config *config, const char *key, const char *otherwise,
                              gn__activation *out, gn_error *err);
/* layer_types: local[] of a model with two kinds of layers. false in *said: the config does not say. */
gn_status gn__read_layer_types(const gn__config *c, gn__recipe *r, bool *said, gn_error *err);
/* Rotary positions of the kind (0: layers that see all, 1: local ones): the config's rope_parameters or
 * rope_theta and rope_scaling, else theta and share (of each head's width that turns). theta_key,
 * share_key: where this family's older configs have them; may be NULL. head_dim, positions and
 * layer_types must have been read. */
typedef struct gn__rotary_keys {
    const char *theta_key, *share_key;
    double theta, share;
    bool scaled;     /* rope_scaling applies */
    bool only_long;  /* it is longrope or nothing (Phi-3) */
    size_t original; /* original_max_position_embeddings where the config does not say; 0: the positions */
} gn__rotary_keys;
gn_status gn__read_rotary(const gn__config *c, const gn__rotary_keys *keys, int kind, gn__recipe *r,
                          gn_error *err);

#endif
