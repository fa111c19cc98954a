/* The inside of a gn_model, and the steps between its files. */
#ifndef GENCHI_MODEL_INTERNAL_H
#define GENCHI_MODEL_INTERNAL_H

#include "genchi/tokenizer.h"
#include "hub/endpoint.h"
#include "model/char_ngram.h"
#include "model/head.h"
#include "model/recipe.h"
#include "model/safetensors.h"

typedef struct gn__norm {
    float *gamma, *beta; /* [dim] or [head_dim]; owned by the model's arena; gamma NULL: no norm */
} gn__norm;

typedef struct gn__layer {
    /* dim → q|k|v; heads · head_dim → dim; dim → inner or gate|up; inner → dim. The outs add to what is there
     * unless a norm stands between. */
    gn__linear *attention_in, *attention_out, *mlp_in, *mlp_out;
    gn__norm norm[GN__NORM_PLACES], query_norm, key_norm;
    float *position_key, *position_query; /* see gn__disentangled; NULL: none */
} gn__layer;

struct gn_model {
    gn_model_info info;
    gn__arena arena;         /* strings, norms */
    gn__char_ngram *control; /* the built-in model; then nothing below is set */
    gn__endpoint *endpoint;  /* a server; likewise */
    gn_tokenizer *tokenizer;
    gn__recipe recipe;
    gn__weights weights;
    const gn__tensor *words, *positions, *token_types; /* NULL where the recipe has none */
    gn__norm embedding_norm, final_norm, conv_norm;
    gn__linear *projection; /* of the embeddings; NULL: none */
    gn__linear *output;     /* of the last hidden states; NULL: none */
    gn__linear *conv;       /* of recipe.conv embeddings one behind the other; NULL: none */
    float *buckets;         /* [heads × recipe.buckets]; NULL: none */
    gn__engine *engine;
    gn__layer *layer; /* [recipe.stored] */
    gn__head head;    /* from hidden states to the embedding */
    char *prompt;     /* stands before every text; "" for none */
};

/* One text's token ids. */
typedef struct gn__sequence {
    const int32_t *id;
    size_t count; /* 1 … info.max_length */
} gn__sequence;

/* What the recipe's positions need for texts of so many tokens; see gn__rotary and gn__attention. */
typedef struct gn__positions {
    float *cosine[2], *sine[2];               /* [tokens × pairs] */
    float *cosine_longer[2], *sine_longer[2]; /* of texts above rotary.long_from tokens; NULL: none so long */
    float *bias; /* [heads × bias_stride]; distance 0 of the first head at tokens − 1 */
    size_t tokens, bias_stride;
    uint16_t *row; /* distance 0 at tokens − 1 */
} gn__positions;
gn_status gn__positions_create(const gn_model *m, size_t tokens, gn__positions *out, gn_error *err);
/* The bucket of a distance (GN__BIAS_BUCKETS), and the bias for other numbers in the buckets: [heads ×
 * buckets]. */
size_t gn__positions_bucket(const gn__recipe *r, ptrdiff_t distance);
void gn__positions_fill_bias(const gn__recipe *r, const float *buckets, gn__positions *p);
void gn__positions_free(gn__positions *p); /* a zeroed struct is allowed */
/* The angles that turn a text of so many tokens. */
static inline void gn__positions_turns(const gn_model *m, const gn__positions *p, int kind, size_t tokens,
                                       const float **cosine, const float **sine)
{
    size_t from = m->recipe.rotary[kind].long_from;
    bool longer = from > 0 && tokens > from;
    *cosine = longer ? p->cosine_longer[kind] : p->cosine[kind];
    *sine = longer ? p->sine_longer[kind] : p->sine[kind];
}

/* Which of the stored layers is the i-th to run. */
static inline size_t gn__stored_layer(const gn__recipe *r, size_t i)
{
    return i / r->group * r->stored / r->layers * r->group + i % r->group;
}

/* What the forward pass of up to `rows` tokens needs; the members of a team share it. */
typedef struct gn__workspace {
    size_t rows;     /* a multiple of GN__ROWS */
    float *embedded; /* [GN__ROWS × embedding], where they are projected */
    float *first;    /* [rows × dim] the embeddings, for the convolution; NULL: none */
    float *taps;     /* [GN__ROWS × conv dim] */
    float *hidden;   /* [rows × dim] */
    float *triple;   /* [rows × (heads + 2 kv_heads) head_dim] q|k|v */
    float *mixed;    /* [rows × heads head_dim] what attention gathered */
    float *normed;   /* [GN__ROWS × dim] */
    float *between;  /* [GN__ROWS × max(dim, output)], for outs that something follows */
    float *inner;    /* [GN__ROWS × inner], twice as wide if gated */
    float *gated;    /* [GN__ROWS × inner]; NULL: not gated */
    gn__positions positions;
} gn__workspace;

gn_status gn__workspace_create(const gn_model *m, size_t tokens, gn__workspace *out, gn_error *err);
void gn__workspace_free(gn__workspace *ws); /* a zeroed struct is allowed */

/* What each thread needs of its own beside it. */
typedef struct gn__scratch {
    gn__lane *lane;
    float *attention;
    float *row; /* [max(dim, embedding)] */
} gn__scratch;
gn_status gn__scratch_create(const gn_model *m, size_t tokens, gn__scratch *out, gn_error *err);
void gn__scratch_free(gn__scratch *s); /* a zeroed struct is allowed */

/* What a convolution takes at token t of a text of `tokens`: columns [first, first + width) of the hidden
 * states around it, zeros beyond the text's ends; [conv × width]. */
void gn__gather_taps(const gn__recipe *r, const float *text, size_t t, size_t tokens, size_t first,
                     size_t width, float *out);

/* Runs texts, packed end to end, through all layers; w->hidden then holds their last hidden states, row
 * by row, recipe.output wide. The ids must be below recipe.vocab and the counts add up to ws->rows at most. A
 * text's rows have the same bits whatever stands beside it. Every member of a team makes the same call, with
 * a scratch of its own; it may come late or, cancelled, leave early, and what it returns then means nothing.
 * Errors: GN_CANCELLED; GN_NUMERIC (oneDNN failed). */
gn_status gn__model_forward(const gn_context *ctx, const gn_model *m, gn__workspace *ws, gn__scratch *scratch,
                            gn__member *member, const gn__sequence *sequence, size_t count, gn_error *err);
/* As many members as so many tokens in one call are worth; 1 where the products cannot be shared. */
unsigned gn__model_members(const gn_model *m, size_t tokens);

#endif
