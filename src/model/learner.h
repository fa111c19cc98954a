/* A model whose weights can be trained: parameters in float32, a forward pass that remembers, and the
 * backward pass of any recipe. tune.c steers it; nothing here knows about optimisers, epochs or files.
 *
 * Data flow of a step:  sequences ─► forward (tape) ─► pooled [texts × dim] ─► head ─► logits
 *                       d loss / d logits ─► head ─► backward over the tape ─► gradient [trained]
 *
 * Bits: every product and sum is cut into fixed blocks, so that results do not depend on the threads. */
#ifndef GENCHI_MODEL_LEARNER_H
#define GENCHI_MODEL_LEARNER_H

#include "genchi/tune.h"
#include "model/internal.h"

typedef enum gn__parameter_place {
    GN__PLACE_EMBEDDING, /* words, positions, token types, their norm and projection */
    GN__PLACE_LAYER,
    GN__PLACE_AFTER, /* final norm, output projection, shared position tables, modules behind the pooling */
    GN__PLACE_HEAD   /* the classifier */
} gn__parameter_place;

/* One trained tensor, as it lies in the flat arrays. Fused layers (q|k|v, gate|up) are one parameter here;
 * `parts` say which checkpoint tensors they are made of. */
typedef struct gn__parameter {
    const char
        *name;     /* of a tensor of the checkpoint, prefix included; of several: the first; "head.weight",
                      "head.bias"; for an adapter the layer's name and ".lora_A" or ".lora_B", with ".query",
                      ".key" or ".value" between where the layer is fused */
    size_t offset; /* first float in the flat arrays */
    size_t rows, cols; /* [rows × cols], row-major, outputs × inputs; vectors: 1 × n */
    size_t layer;      /* of GN__PLACE_LAYER: of recipe.stored; a convolution belongs to layer 0 */
    gn__parameter_place place;
    bool decays; /* weight decay applies: matrices of layers; not norms, biases, tables of positions */
} gn__parameter;

typedef struct gn__learner gn__learner;

/* Reads the weights in float32 (a model loaded in any dtype) and sets up what options->what trains, adapters
 * (A: normal with variance 1/rank, B: 0) and the head. most_tokens: of one pass; most_texts likewise. Errors:
 * GN_UNSUPPORTED, GN_NO_MEMORY. recompute: keep a layer's input only and run its forward pass again on the
 * way back. */
typedef struct gn__learner_options {
    const gn_tune_options *tune; /* defaults filled in */
    int classes;
    size_t most_tokens, most_texts;
    bool recompute;
} gn__learner_options;
gn_status gn__learner_create(gn_context *ctx, const gn_model *m, const gn__learner_options *options,
                             gn__learner **out, gn_error *err);
void gn__learner_free(gn__learner *l);
/* Bytes that a learner would take, without gradients and optimiser; 0: it cannot be. trained: receives what
 * gn__learner_trained would say; may be NULL. */
size_t gn__learner_bytes(const gn_model *m, const gn__learner_options *options, size_t *trained);

size_t gn__learner_trained(const gn__learner *l); /* floats in the flat arrays */
const gn__parameter *gn__learner_parameters(const gn__learner *l, size_t *count);
float *gn__learner_values(gn__learner *l); /* [trained]; the learner's own */
/* To be called after the values changed: renews whatever is derived from them (bf16 copies, packed or
 * multiplied-out weights). */
gn_status gn__learner_refresh(gn_context *ctx, gn__learner *l, gn_error *err);

/* Dropout's random numbers are a function of (seed, step, text's row, layer, place, element). */
typedef struct gn__dropout {
    /* Probabilities of dropping: on the embeddings; on attention's weights; on what attention (and
     * convolution) add; inside the MLP, behind the activation; on what it adds; behind the last norm; on what
     * adapters take. */
    double embedding, attention, out, inner, mlp_out, last, adapter;
    uint64_t seed, step;
    const size_t *row; /* [count] names each text */
} gn__dropout;

/* Runs packed texts forward and keeps what backward needs. dropout NULL: off. logits: [count × classes];
 * pooled: [count × dim] or NULL. Errors: GN_CANCELLED, GN_NUMERIC (oneDNN failed). */
gn_status gn__learner_forward(gn_context *ctx, gn__learner *l, const gn__sequence *sequence, size_t count,
                              const gn__dropout *dropout, float *logits, float *pooled, gn_error *err);
/* Of the last forward pass: adds to gradient [trained]. by_logit: [count × classes]. */
gn_status gn__learner_backward(gn_context *ctx, gn__learner *l, const float *by_logit, float *gradient,
                               gn_error *err);

/* Trained tensors as the checkpoint has them (fused ones taken apart again, transposed ones turned back,
 * gamma − 1 where it holds that): calls put for each; modules behind the pooling as "pooling.N.weight",
 * "pooling.N.bias" and (what a dense layer's input is added through) "pooling.N.residual" (N: the step's
 * number), the classifier as "head.weight" and "head.bias". Adapters as PEFT has them, "layer.lora_A.weight"
 * and "layer.lora_B.weight"; where one tensor of the checkpoint holds several adapted parts (fused q|k|v), as
 * one adapter of so many times the rank, which needs so many times the alpha.
 */
typedef gn_status (*gn__put_tensor)(void *arg, const char *name, const size_t *shape, size_t dims,
                                    const float *value, gn_error *err);
gn_status gn__learner_export(const gn__learner *l, gn__put_tensor put, void *arg, gn_error *err);

#endif
