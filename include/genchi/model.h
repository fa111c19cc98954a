/* A pre-trained model in its Hugging Face directory, and texts to embeddings.
 *
 * Floor 3. A model is immutable after loading; its weights are mapped, not copied. */
#ifndef GENCHI_MODEL_H
#define GENCHI_MODEL_H

#include "genchi/context.h"
#include "genchi/hub.h"
#include "genchi/matrix.h"

#include <stdbool.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gn_model gn_model;

typedef enum gn_pooling {
    GN_POOLING_AUTO,
    GN_POOLING_MEAN,
    GN_POOLING_CLS,
    GN_POOLING_LAST,
    GN_POOLING_MAX,
    GN_POOLING_WEIGHTED_MEAN, /* token t of 1, 2, … counts t times (Muennighoff 2022) */
    GN_POOLING_MEAN_SQRT      /* the sum over the root of the number of tokens */
} gn_pooling;

/* Arithmetic of the matrix products inside the model; everything else is float32.
 * AUTO: bf16 where the processor multiplies it faster than float32 (AMX-BF16, or AVX512-BF16 on AMD
 * from Zen 4), else float32. INT8, only by choice: weights rounded to 8 bits with a scale an output, inputs
 * to 8 bits with a scale and a zero a row, found as it comes. A type that the processor lacks (INT8
 * needs VNNI) gives float32; gn_model_info says which is in use. */
typedef enum gn_dtype { GN_DTYPE_AUTO, GN_DTYPE_F32, GN_DTYPE_BF16, GN_DTYPE_INT8 } gn_dtype;

typedef struct gn_model_options {
    gn_pooling pooling; /* AUTO: as 1_Pooling/config.json says, else mean (encoders), last (causal) */
    gn_dtype dtype;
    size_t max_length;         /* tokens a text, specials included; 0: sentence_bert_config.json, else
                                  tokenizer_config.json's model_max_length, else the config's positions */
    const char *prompt;        /* stands before every text: the name of one of the prompts in
                                  config_sentence_transformers.json, or else the text itself; "" for none; NULL: that
                                  file's default_prompt_name, else none */
    const gn_hub_options *hub; /* where names are looked up; NULL: nowhere */
    const gn_endpoint_options *endpoint; /* how a URL is spoken to; NULL: not at all */
} gn_model_options;

/* Everything there is to say about a loaded model. Strings are owned by the model. */
typedef struct gn_model_info {
    const char *name;         /* directory name or config's _name_or_path; "builtin:char-ngram" */
    const char *path;         /* NULL for a built-in */
    const char *architecture; /* config.json's model_type; "char-ngram" */
    char sha256[65];          /* of the weight files' bytes in shard order; of the recipe for a built-in; of
                                 URL, newline, name for an endpoint */
    size_t dim, layers, heads, vocab, max_length, parameters;
    gn_pooling pooling; /* never AUTO; the first of several */
    bool normalize;     /* rows have unit length */
    bool builtin;
    bool remote;              /* an endpoint: nothing is known of its layers, tokens, pooling and weights */
    gn_dtype dtype;           /* in use; never AUTO */
    const char *weight_types; /* as stored: "F32", "F16", "BF16", "F32+F16" */
    const char *tokenizer;    /* "WordPiece", "BPE", "characters" */
    /* What follows says in words what the model computes; empty strings for a built-in. */
    const char *positions; /* "learned", "rotary, theta 10000", "buckets of distances", "ALiBi", … */
    const char *norms;     /* "layer norm after, eps 1e-12" */
    const char *attention; /* "both ways, 12 heads of 32" */
    const char *mlp;       /* "gelu, 1536 wide", "silu, gated, 2048 wide" */
    const char *poolings;  /* "mean"; several put one behind the other: "cls+mean" */
    const char *head;      /* what follows pooling: "dense 384 to 256, tanh; unit length"; "" for nothing */
    const char *prompt;    /* stands before every text; "" for none */
    const char *pipeline;  /* the tokenizer's parts in order: "BertNormalizer, BertPreTokenizer, …" */
    const char *unused;    /* tensors of the checkpoint that the model does not use, ", " between */
    size_t unused_tensors;
} gn_model_info;

/* name_or_dir: a directory; else "builtin:char-ngram"; else the URL of an OpenAI-compatible server
 * ("https://host/v1"; options->endpoint is needed, and one text is sent to learn the dimensions); else a name
 * in the cache of options->hub (gn_hub_find). options may be NULL. Free with gn_model_free. Errors: GN_IO
 * (missing files, by name); GN_FORMAT (truncated safetensors, offsets out of range or overlapping, header
 * longer than the file, shapes that do not match the config: the tensor is named); GN_UNSUPPORTED
 * (architecture, activation, position kind, tokenizer part; a pickle .bin checkpoint, with how to convert
 * it). */
GN_API gn_status gn_model_load(gn_context *ctx, const char *name_or_dir, const gn_model_options *options,
                               gn_model **out, gn_error *err);
GN_API void gn_model_free(gn_model *m);
GN_API const gn_model_info *gn_model_get_info(const gn_model *m);
GN_API const char *gn_pooling_name(gn_pooling p); /* "mean" */
GN_API const char *gn_dtype_name(gn_dtype t);     /* "float32" */

typedef struct gn_embed_stats {
    size_t texts, distinct; /* identical texts are embedded once */
    size_t cut;             /* texts longer than the model's max_length */
    size_t tokens;          /* computed, specials included */
    double seconds;
} gn_embed_stats;

/* out: texts × dim, row i for text[i] (UTF-8, length[i] bytes), in the input's order; free with
 * gn_matrix_free. A text's bits do not depend on the other texts, their order or the thread count,
 * except for builtin:char-ngram, whose idf weights are learnt on exactly the texts of this call.
 * A text without a single token (GPT-2 and the empty text) is embedded as the model's bos token alone (eos
 * or pad where it has none).
 * cut: [texts], receives 1 for each text that was cut at max_length; cut and stats may be NULL. Errors:
 * GN_NO_MEMORY, GN_CANCELLED, GN_NUMERIC (a vector that is not finite: which text). */
GN_API gn_status gn_model_embed(gn_context *ctx, const gn_model *m, const char *const *text,
                                const uint32_t *length, size_t texts, gn_matrix *out, unsigned char *cut,
                                gn_embed_stats *stats, gn_error *err);

/* A tensor with something wrong in it. */
typedef struct gn_tensor_flaw {
    const char *name;            /* owned by the model */
    size_t nan, infinite, first; /* values; the place of the first such one */
    bool zero;                   /* all values are 0 */
    bool harmless;               /* zero, but a vector: biases are often left at 0 */
} gn_tensor_flaw;

typedef struct gn_model_check {
    size_t tensors, values; /* of the weight files, looked at (float32, float16, bfloat16) */
    size_t passed_over;     /* tensors of other types */
    gn_tensor_flaw *flaw;   /* [flaws] in the files' order */
    size_t flaws;
    bool finite, deterministic, telling; /* two texts: embedded; twice the same bits; not the same vector */
    bool sound;                          /* all three, and no flaw but harmless ones */
} gn_model_check;

/* Walks every tensor and embeds two texts. Not sound is no error. Errors: GN_CANCELLED; GN_IO (an endpoint).
 * Free with gn_model_check_free. */
GN_API gn_status gn_model_verify(gn_context *ctx, const gn_model *m, gn_model_check *out, gn_error *err);
GN_API void gn_model_check_free(gn_model_check *c);

/* Last-layer hidden states of one text, before pooling: out is tokens × dim. For tests and the
 * curious. GN_UNSUPPORTED on a built-in. */
GN_API gn_status gn_model_hidden(gn_context *ctx, const gn_model *m, const char *text, size_t length,
                                 gn_matrix *out, gn_error *err);

#ifdef __cplusplus
}
#endif
#endif
