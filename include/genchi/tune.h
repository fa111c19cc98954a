/* Fine-tuning: a classifier on top of a pre-trained model, some or all of whose weights are trained too.
 *
 * Floor 3. The forward and backward pass of every architecture that gn_model_load takes; verify/ compares the
 * outcome with a probe. Same model, rows, options and build: the same bits, whatever the number of
 * threads. */
#ifndef GENCHI_TUNE_H
#define GENCHI_TUNE_H

#include "genchi/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(NAME, name). What is trained, always together with the linear head. The frozen probe ("lp") and "lp-ft"
 * (the head starts from a probe, then everything is trained: Kumar et al. 2022) are made from these by
 * gn_finetune. */
#define GN_TUNE_LIST(X)                                                            \
    X(HEAD, "head")     /* nothing but the head */                                 \
    X(FULL, "full")     /* every weight */                                         \
    X(LORA, "lora")     /* low-rank additions to linear layers (Hu et al. 2022) */ \
    X(LAST_K, "last-k") /* the last layers, the final norm, an output projection */

typedef enum gn_tune_what {
#define GN_TUNE_ENUM(name, text) GN_TUNE_##name,
    GN_TUNE_LIST(GN_TUNE_ENUM)
#undef GN_TUNE_ENUM
        GN_TUNE_COUNT
} gn_tune_what;

/* Linear layers that LoRA adds to; flags. */
enum {
    GN_LORA_QUERY = 1,
    GN_LORA_KEY = 2,
    GN_LORA_VALUE = 4,
    GN_LORA_OUT = 8, /* of attention */
    GN_LORA_MLP = 16 /* all linear layers of the MLP */
};

typedef enum gn_schedule { GN_SCHEDULE_LINEAR, GN_SCHEDULE_COSINE, GN_SCHEDULE_CONSTANT } gn_schedule;

typedef struct gn_tune_options {
    gn_tune_what what;
    size_t lora_rank;     /* 0: 8 */
    double lora_alpha;    /* 0: twice the rank; the addition is multiplied by alpha / rank */
    unsigned lora_target; /* GN_LORA_ flags; 0: query and value */
    size_t last_k;        /* layers; 0: 2 */

    size_t epochs;    /* 0: 3 */
    size_t max_steps; /* optimiser steps at the most; 0: no limit */
    size_t batch;     /* texts an optimiser step; 0: 32 */
    size_t budget;    /* tokens a forward and backward pass holds; a step whose texts have more is cut into
                         several passes whose gradients add up; 0: 4096, less where `memory` asks for it */
    double rate;      /* peak learning rate; 0: 2e-5 (full, last-k), 2e-4 (lora), 1e-3 (head) */
    double head_rate; /* of the head; 0: rate, but 1e-3 at least unless head_weight is given */
    double decay;     /* decoupled weight decay (Loshchilov & Hutter 2019), none on biases, norms and
                         embeddings of positions; negative: 0.01 */
    double beta1, beta2, eps; /* of Adam; 0: 0.9, 0.999, 1e-8 */
    double warmup;            /* share of the steps, rounded up; the first step's rate is then 0, as in
                                 transformers; negative: 0.1 */
    gn_schedule schedule;
    double clip;    /* largest norm of the gradient; 0: none; negative: 1 */
    double dropout; /* negative: as the config says; 0: off. One number for embeddings, hidden states,
                       attention and adapters else */
    const double *class_weight; /* [classes], of the loss; NULL: 1 each */
    double heldout;        /* share of the rows (whole groups, by class) kept for early stopping; 0: none;
                              negative: 0.1 */
    size_t patience;       /* evaluations without a better held-out loss before training stops; 0: never stops
                              early, and still keeps the best */
    size_t evaluate_every; /* steps; 0: four times an epoch. Besides, before the first step and at the end */
    uint64_t seed;         /* of order, dropout, head and adapters; the context's seed is not used */
    gn_dtype dtype;        /* F32; BF16: products in bf16, weights and sums in float32; AUTO: the faster.
                              float32 where the processor lacks it; INT8: GN_INVALID_ARGUMENT */
    size_t memory; /* bytes that weights, their gradients, the optimiser and activations may take together;
                      activations are computed twice instead of kept where that is needed; 0: no limit */
    const float *head_weight, *head_bias; /* [classes × dim], [classes]: where the head starts, over pooled
                          vectors as gn_model_embed gives them; NULL: small random numbers and zeros. Without
                          head_bias the bias stays 0 where transformers' classifier has none: causal models
                          pooled by their last token alone */
    const char *checkpoint;  /* file; NULL: none. Written aside and renamed; where it stands from a run with
                                the same model, rows and options, training goes on from it, to the same bits.
                                It stays when training has ended: delete it then */
    size_t checkpoint_every; /* steps; 0: 100 */
} gn_tune_options;

/* Fills in what 0, or a negative number, stands for; all but evaluate_every, which depends on the rows. */
GN_API void gn_tune_defaults(gn_tune_options *options);

typedef struct gn_tune_rows {
    const char *const *text; /* [rows] UTF-8 */
    const uint32_t *length;  /* [rows] bytes */
    const int *label;        /* [rows], 0 ≤ label < classes */
    const uint32_t *group;   /* [rows] rows that belong together; NULL: each alone */
    size_t rows;
    int classes;
} gn_tune_rows;

/* One evaluation while training. */
typedef struct gn_tune_point {
    size_t step;
    double loss;         /* mean training loss since the last evaluation, nats */
    double heldout_loss; /* NaN without held-out rows */
    double rate;
} gn_tune_point;

typedef struct gn_tune_stats {
    size_t rows, heldout_rows;
    size_t steps, best_step; /* taken; whose weights were kept */
    size_t planned_steps;
    bool stopped_early, resumed;
    size_t trained, parameters;   /* numbers that were trained; all that the model has, the head included */
    size_t tokens;                /* through forward and backward */
    size_t heldout_tokens;        /* through forward only */
    double seconds, core_seconds; /* wall; of all threads */
    double memory;                /* bytes planned for weights, gradients, optimiser and activations */
    bool recomputed;              /* activations were computed twice */
    double *step_loss;            /* [steps] mean training loss of each step, nats */
    gn_tune_point *point;         /* [points] */
    size_t points;
    double *layer_change; /* [stored layers + 2]: embeddings, each layer, what follows: ‖W − W₀‖ / ‖W₀‖
                             (Frobenius, all of its weights together; adapters multiplied out) */
    size_t layer_changes;
} gn_tune_stats;

typedef struct gn_tuned gn_tuned; /* immutable; borrows the model, which must outlive it */

/* Trains. Progress: GN_STAGE_TUNE, in steps. Errors: GN_INVALID_ARGUMENT (options, labels, fewer than two
 * classes), GN_UNSUPPORTED (a built-in model or an endpoint; no layer for a LoRA target), GN_NUMERIC (a loss
 * that is not finite: the step and the rows of the batch), GN_NO_MEMORY (also: `memory` is too little even
 * with everything computed twice; how much would do), GN_IO (the checkpoint), GN_FORMAT (a damaged
 * checkpoint; one of another run is GN_INVALID_ARGUMENT), GN_CANCELLED (the checkpoint is written first).
 * Free with gn_tuned_free. */
GN_API gn_status gn_tune(gn_context *ctx, const gn_model *m, const gn_tune_rows *rows,
                         const gn_tune_options *options, gn_tuned **out, gn_error *err);
GN_API void gn_tuned_free(gn_tuned *t);
GN_API const gn_tune_stats *gn_tuned_stats(const gn_tuned *t);

/* Dropout off; no progress is reported. A text's bits do not depend on the texts beside it. probability:
 * [texts × classes] or NULL; embedding: texts × dim, pooled as the model pools, before the head; or NULL.
 * Free with gn_matrix_free. */
GN_API gn_status gn_tuned_apply(gn_context *ctx, const gn_tuned *t, const char *const *text,
                                const uint32_t *length, size_t texts, float *probability,
                                gn_matrix *embedding, gn_error *err);

/* Writes a directory that `transformers` loads: full, last-k, head: model.safetensors (float32, the
 * checkpoint's own names and a classifier where the architecture has one of the linear kind), config.json
 * with num_labels, id2label and label2id, the tokenizer's files copied, and genchi_head.safetensors with the
 * head as it was trained; lora: adapter_model.safetensors and adapter_config.json of PEFT, and the same head.
 * class_name: [classes], UTF-8. Written aside and renamed; files of the model's own folder are copied, which
 * must still be there. Errors: GN_IO (also: there is something at `directory` already, other than an empty
 * folder). */
GN_API gn_status gn_tuned_save(gn_context *ctx, const gn_tuned *t, const char *directory,
                               const char *const *class_name, gn_error *err);

#ifdef __cplusplus
}
#endif
#endif
