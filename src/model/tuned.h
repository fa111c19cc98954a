/* The inside of gn_tune: what a run is made of, and the steps between its files. tune.c joins them.
 *
 *   rows ─► token ids (tune_texts.c) ─► held out or trained on (tune_split.c) ─► plan of memory (tune_plan.c)
 *        ─► steps: passes, loss, gradient, update (tune_step.c) ─► evaluations ─► the best weights
 *   between steps: a checkpoint (tune_checkpoint.c). Afterwards: apply (tuned.c), save (tune_save*.c). */
#ifndef GENCHI_MODEL_TUNED_H
#define GENCHI_MODEL_TUNED_H

#include "model/learn.h"
#include "model/learner.h"
#include "tensor/optimiser.h"

#include <pthread.h>

/* ---- texts as token ids ----------------------------------------------------------------------------- */

typedef struct gn__texts {
    gn__sequence *sequence; /* [count] ids owned by the encoders */
    size_t count, longest;  /* longest: tokens */
    gn__encoder *encoder;   /* [encoders], one a thread */
    unsigned encoders;
} gn__texts;
gn_status gn__texts_make(gn_context *ctx, const gn_model *m, const char *const *text, const uint32_t *length,
                         size_t count, gn__texts *out, gn_error *err);
void gn__texts_free(gn__texts *t); /* a zeroed struct is allowed */

/* How many of rows[0..n) a pass takes: those that hold most_tokens together, most_texts at the most, one at
 * least. *tokens: theirs; may be NULL. */
size_t gn__pass_rows(const gn__texts *t, const uint32_t *row, size_t n, size_t most_tokens, size_t most_texts,
                     size_t *tokens);

/* ---- rows held out ------------------------------------------------------------------------------------- */

/* held: [rows] receives 1 for those kept for early stopping: about `share` of each class, whole groups, at
 * least one row of each class left to train on. Errors: GN_NO_MEMORY. */
gn_status gn__tune_split(const gn_tune_rows *rows, double share, uint64_t seed, unsigned char *held,
                         gn_error *err);

/* ---- memory ----------------------------------------------------------------------------------------------
 */

typedef struct gn__tune_plan {
    size_t most_tokens, most_texts; /* of a pass */
    bool recompute;
    size_t bytes; /* of learner, gradient, optimiser and the best weights */
} gn__tune_plan;

typedef struct gn__tune_needs {
    const gn_model *m;
    const gn_tune_options *tune;
    int classes;
    size_t longest; /* tokens of the longest text: no pass can hold fewer */
    size_t tokens;  /* that a pass could make use of */
    size_t texts;   /* likewise */
    bool best;      /* the best weights are kept beside the last */
} gn__tune_needs;

/* The largest passes that tune->memory allows, activations kept rather than computed twice as long as a pass
 * still holds GN__TUNE_PASS tokens. Errors: GN_NO_MEMORY (how much would do). */
enum { GN__TUNE_PASS = 512 };
gn_status gn__tune_plan_make(const gn__tune_needs *needs, gn__tune_plan *out, gn_error *err);

/* ---- dropout
 * ----------------------------------------------------------------------------------------------- */

/* The probabilities that options or config.json ask for. Errors: GN_FORMAT (a number outside [0, 1)). */
gn_status gn__tune_dropout(const gn_model *m, double wish, gn__dropout *out, gn_error *err);

/* ---- a run
 * -------------------------------------------------------------------------------------------------- */

/* How far a run is: all that a checkpoint holds beside the arrays. */
typedef struct gn__tune_state {
    uint64_t step;                   /* taken */
    uint64_t evaluated;              /* the step of the last evaluation; UINT64_MAX: none yet */
    uint64_t best_step, worse;       /* worse: evaluations since the best */
    uint64_t tokens, heldout_tokens; /* through the model */
    uint64_t points;
    double best_loss, seconds, core_seconds;
    double *step_loss;    /* [planned] */
    gn_tune_point *point; /* [most_points] */
} gn__tune_state;

struct gn_tuned {
    const gn_model *m;
    gn_tune_options options; /* defaults filled in; its pointers are not valid any more */
    int classes;
    pthread_mutex_t lock; /* of the learner, whose forward pass leaves a tape */
    gn__learner *learner;
    gn__tune_plan plan;
    gn_tune_stats stats;
};

typedef struct gn__tune_run {
    gn_context *ctx;
    gn_tuned *t;
    const gn_tune_rows *rows;
    const gn_tune_options *options; /* t's, with its pointers still valid */
    gn__texts texts;
    uint32_t *train, *held; /* [trains], [helds] rows */
    uint32_t *order;        /* [trains] those of the epoch under way */
    size_t trains, helds, epoch, steps_an_epoch, planned, warmup, most_points;
    gn__dropout dropout;
    gn__optimiser optimiser;
    float *gradient, *best;    /* [trained]; best NULL: nothing is held out */
    size_t frozen, frozen_end; /* a stretch of the gradient that is no part of it: a bias that stays 0 */
    gn__tune_state state;
    /* of one pass: [plan.most_texts] and [× classes] */
    gn__sequence *sequence;
    size_t *row_number;
    float *logits, *by_logit;
    char identity[65];
    double began, core_began; /* clocks, less what the state has seen already */
} gn__tune_run;

/* Takes one optimiser step. Errors: GN_NUMERIC (loss or gradient not finite; step and rows named),
 * GN_CANCELLED (nothing has changed). */
gn_status gn__tune_step(gn__tune_run *r, gn_error *err);
/* Mean loss over the held-out rows. */
gn_status gn__tune_heldout(gn__tune_run *r, double *loss, gn_error *err);

/* −log softmax(logit)[label] in nats; by_logit (or NULL) receives `scale` times its derivative. */
double gn__softmax_loss(const float *logit, int classes, int label, double scale, float *by_logit);

/* A fingerprint of all that a run's bits depend on, into r->identity. */
gn_status gn__tune_identify(gn__tune_run *r, gn_error *err);

/* ---- checkpoints
 * ---------------------------------------------------------------------------------------------- */

/* A checkpoint in memory, in the machine's byte order:
 *    0  "genchi-tune-1", padded with zeros to 16 bytes
 *   16  identity, 64 hexadecimal digits
 *   80  uint64: trained, arrays (3 or 4), then the state's step, evaluated, best_step, worse, tokens,
 *       heldout_tokens, points
 *  152  float64: best_loss, seconds, core_seconds
 *  176  float64 [step] losses; [points] of {uint64 step, float64 loss, heldout_loss, rate}
 *       float32 [arrays × trained] weights, m, v, best weights
 *  end  SHA-256 of all before it, 64 hexadecimal digits */
typedef struct gn__checkpoint {
    const char *identity; /* [64], not terminated */
    uint64_t trained, arrays;
    gn__tune_state state;                            /* without its arrays */
    const unsigned char *losses, *points, *array[4]; /* in the file; aligned to nothing */
} gn__checkpoint;

/* sealed: the SHA-256 is compared too. Errors: GN_FORMAT. */
gn_status gn__checkpoint_parse(const char *path, const unsigned char *data, size_t size, bool sealed,
                               gn__checkpoint *out, gn_error *err);
gn_status gn__checkpoint_write(const gn__tune_run *r, gn_error *err);
/* Goes on from options->checkpoint where that file stands. Errors: GN_IO, GN_FORMAT, GN_INVALID_ARGUMENT (of
 * another run). */
gn_status gn__checkpoint_resume(gn__tune_run *r, gn_error *err);

/* ---- afterwards
 * ------------------------------------------------------------------------------------------------ */

/* stats.layer_change. */
gn_status gn__tuned_measure(gn_context *ctx, gn_tuned *t, gn_error *err);
/* transformers' classifier of this architecture is a plain linear layer, without a bias, on the same pooling.
 */
bool gn__tuned_plain_classifier(const gn_model *m);

#endif
