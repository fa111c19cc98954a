/* Fine-tuning beside the probe: what training would give on the data it is judged on, and what it costs.
 *
 * Floor 4. Trains with gn_tune (floor 3), judges with gn_scores, pairs with the linear probe. */
#ifndef GENCHI_FINETUNE_H
#define GENCHI_FINETUNE_H

#include "genchi/tune.h"
#include "genchi/verify.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- forecasts without training --------------------------------------------------------------- */

/* How well labels can be read off embeddings, from the embeddings alone. NaN: not available. */
typedef struct gn_transfer {
    size_t rows;
    int classes;          /* that occur */
    double logme;         /* You, Liu, Wang & Long 2021 (arXiv 2102.11005): the logarithm of the largest
                             evidence of a Bayesian linear regression onto each class's 0/1 column, a row, mean
                             over classes. Features as they are. Higher is better; only differences count */
    double hscore;        /* Bao et al. 2019 (ICIP): tr(cov(f)⁺ cov(E[f|y])), 0 to classes − 1.
                             Flatters where rows are few beside dimensions */
    double hscore_shrunk; /* Ibrahim, Ponomareva & Mazumder 2021 (arXiv 2110.06893): the same with the
                            covariance of Ledoit & Wolf 2004, whose intensity is: */
    double shrinkage;     /* 0 to 1 */
} gn_transfer;

/* Rows with y < 0 are passed over. Errors: GN_INVALID_ARGUMENT (a label >= classes), GN_DATA (fewer than two
 * classes or three rows, not finite), GN_NUMERIC. */
GN_API gn_status gn_transfer_scores(gn_context *ctx, const gn_matrix *x, const int *y, int classes,
                                    gn_transfer *out, gn_error *err);

/* Linear centred kernel alignment of two embeddings of the same rows (Kornblith et al. 2019, arXiv
 * 1905.00414) with the unbiased estimate of HSIC in its place (Song et al. 2012;
 * Nguyen et al. 2021, arXiv 2010.15327): 1 the same up to rotation and scale, 0 unrelated, whatever the
 * number of rows; may fall a little below 0. *biased: the plain figure, which unrelated embeddings of few
 * rows lift; may be NULL. NaN where one of the two does not vary. Errors: GN_INVALID_ARGUMENT (rows differ,
 * fewer than 4), GN_DATA (not finite). */
GN_API gn_status gn_cka(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, double *unbiased,
                        double *biased, gn_error *err);

/* ---- differences over rows and seeds ----------------------------------------------------------- */

/* X(NAME, name) */
#define GN_ANSWER_LIST(X)                    \
    X(CANNOT_TELL, "cannot_tell")            \
    X(HELPS, "helps") /* interval above 0 */ \
    X(HURTS, "hurts") /* below */

typedef enum gn_finetune_answer {
#define GN_ANSWER_ENUM(name, text) GN_FINETUNE_##name,
    GN_ANSWER_LIST(GN_ANSWER_ENUM)
#undef GN_ANSWER_ENUM
} gn_finetune_answer;

/* a − b in accuracy on the same rows, both trained with the same seeds and folds. */
typedef struct gn_seeded {
    bool available;
    gn_interval difference; /* 95 %, for other rows and other seeds: variance over units plus variance over
                               seeds less that of the cells, which both hold (Cameron, Gelbach & Miller 2011);
                               Satterthwaite's degrees of freedom; one pair more each way (Agresti & Min
                               2005). One seed: for other rows only */
    double p_value, p_holm; /* two-sided, of the same t; Holm 1979 over the evidence's differences of one
                               kind of folds (NaN: not corrected) */
    gn_finetune_answer answer;
    size_t rows, units, seeds;
    double row_variance,
        seed_variance;   /* of the difference: the parts that shrink with rows and with seeds */
    size_t rows_needed;  /* cannot tell: test rows at which a difference as large as the estimate, at least
                            `worthwhile`, would be told in 8 of 10 cases with the seeds there are; 0: told
                            already, or no number of rows would do */
    size_t seeds_needed; /* likewise the seeds with which rows_needed is at most 4 times the rows that there
                            are; 0: those there are, or no number would do */
} gn_seeded;

/* a, b: [seeds × rows] 1 where the row was judged right, else 0 (or a share between); group: [rows] or NULL.
 * Errors: GN_INVALID_ARGUMENT (no seeds). Less than two units: not available. */
GN_API gn_status gn_seeded_difference(const float *a, const float *b, size_t seeds, size_t rows,
                                      const uint32_t *group, double worthwhile, gn_seeded *out,
                                      gn_error *err);

/* ---- the comparison ---------------------------------------------------------------------------- */

/* X(NAME, name) */
#define GN_METHOD_LIST(X)                                                                      \
    X(LP, "lp")       /* the linear probe on the frozen model: gn_probe_fit */                 \
    X(FULL, "full")   /* every weight */                                                       \
    X(LORA, "lora")   /* low-rank additions */                                                 \
    X(LP_FT, "lp-ft") /* every weight, the head starting from the probe (Kumar et al. 2022) */ \
    X(LAST_K, "last-k")

typedef enum gn_method {
#define GN_METHOD_ENUM(name, text) GN_METHOD_##name,
    GN_METHOD_LIST(GN_METHOD_ENUM)
#undef GN_METHOD_ENUM
        GN_METHOD_COUNT
} gn_method;

/* X(NAME, name). What a method is trained on. A part of train is held out of all of them and judged. */
#define GN_SOURCE_LIST(X)                                                                     \
    X(TRAIN, "train") /* one fit a seed, judged on all of test */                             \
    X(TEST, "test")   /* cross-validated within test: every row judged by a fit without it */ \
    X(MIX, "mix")     /* the other folds of test and `mix_rows` of train, likewise */

typedef enum gn_source {
#define GN_SOURCE_ENUM(name, text) GN_SOURCE_##name,
    GN_SOURCE_LIST(GN_SOURCE_ENUM)
#undef GN_SOURCE_ENUM
        GN_SOURCE_COUNT
} gn_source;

/* A zeroed struct is valid. Pointers are borrowed for the call. */
typedef struct gn_finetune_options {
    unsigned methods;    /* bits 1 << gn_method; 0: lp, full, lora, lp-ft. lp always runs */
    unsigned sources;    /* bits 1 << gn_source; 0: all that the labels allow */
    size_t seeds;        /* 0: 3. Seed s deals the folds and trains with gn_context_seed + s */
    size_t folds;        /* of test; 0: 5 */
    size_t heldout_rows; /* of train, judged and never trained on (whole groups, by class); 0: a fifth, 2000
                            at the most */
    size_t max_train;    /* train rows that are trained on at the most (a stratified random part of whole
                            groups); 0: all */
    size_t mix_rows;     /* 0: as many as test gives to a fit, so that neither source drowns the other */
    double worthwhile;   /* the least difference in accuracy that would matter; 0: 0.02 */
    const gn_tune_options *tune; /* epochs, batch, rates, memory …; `what`, head_weight, head_bias, seed and
                            checkpoint are set for each fit. NULL: gn_tune's defaults, with decay, warm-up,
                            clipping, dropout and early stopping on */
    size_t least_steps; /* optimiser steps that a fit takes at least, by more epochs, 20 at the most; 0: 100.
                           Small sets need them (Mosbach, Andriushchenko & Klakow 2021, arXiv 2006.04884) */
    double lora_rate;   /* 0: gn_tune's default for LoRA; tune->rate is for the other methods */
    bool balanced;      /* where tune has no class_weight: a class counts rows / (classes · its rows) in the
                           loss of a fit, of the rows and classes that it is trained on. lp has no weights */
    gn_probe_options probe; /* of lp and of the head that lp-ft starts from */
    const char *store;      /* directory (made if missing): every finished fit's outcome is kept there, and an
                                 unfinished long one's checkpoint, so that a stopped run goes on. NULL: none */
} gn_finetune_options;

typedef struct gn_finetune_input {
    const gn_model *model;
    const char *const *train_text, *const *test_text; /* UTF-8 */
    const uint32_t *train_length, *test_length;       /* bytes */
    const gn_matrix *train, *test;                    /* the frozen model's embeddings of the same rows */
    const int *train_label, *test_label;              /* [rows], -1: none; NULL: no labels on this side */
    int classes;
    const uint32_t *train_group, *test_group; /* or NULL */
    size_t embed_tokens;                      /* what the embeddings took, for the probe's cost */
    double embed_seconds, embed_core_seconds;
} gn_finetune_input;

/* A method, trained on one source, judged on some rows. */
typedef struct gn_finetune_judged {
    bool available;
    gn_scores scores;        /* means over the seeds; intervals for other rows and other seeds: the rows'
                                interval and Student's for the seeds' mean, square and add (Zou & Donner
                                2008). One seed: for other rows only */
    double seed_deviation;   /* of the accuracy; NaN: one seed */
    gn_seeded vs_probe;      /* this method − lp, both trained on this source; not available for lp */
    gn_seeded vs_test_probe; /* on test: this method − lp trained on test with the same folds; not available
                               for lp on test */
    float *correct;          /* [rows of the set] how often the row was judged right over the seeds; NaN:
                                not judged. Owned; not kept in result.json */
} gn_finetune_judged;

/* Sums over all fits of a method and source; a fit taken from the store counts with what it took then. */
typedef struct gn_finetune_cost {
    size_t fits;
    size_t steps;
    double tokens;         /* through forward and backward */
    double forward_tokens; /* through forward only: early stopping; lp: embedding both sets, once */
    double seconds, core_seconds;
    double memory;              /* bytes planned, the most of any fit; 0: lp */
    size_t trained, parameters; /* of one fit */
    size_t stopped_early;       /* fits */
} gn_finetune_cost;

/* One row before and after, in one projection (PCA of all rows before and after, each of the four clouds with
 * equal weight). */
typedef struct gn_moved_point {
    float x, y;             /* before */
    float x_after, y_after; /* after */
    int label;
    bool test;
} gn_moved_point;

typedef struct gn_finetune_run {
    gn_method method;
    gn_source source;
    size_t seeds, folds, folds_grouped; /* folds 0: none (source train) */
    size_t fit_rows;                    /* a fit was trained on, early stopping's included (median) */
    gn_finetune_judged heldout;         /* of train, with ordinary folds where there are folds */
    gn_finetune_judged test; /* ordinary folds; groups, where there are any, are the units of intervals */
    gn_finetune_judged test_grouped; /* folds of whole groups; source train: as test, where there are
                                        groups */
    gn_seeded vs_probe;              /* on test: test_grouped's where there is one, else test's */
    gn_interval gap;                 /* test − heldout in accuracy, different rows: from both intervals */
    gn_finetune_cost cost;
    double *layer_change; /* [layer_changes] embeddings, layers, what follows: ‖W − W₀‖ / ‖W₀‖, mean over
                             fits; NULL: lp */
    size_t layer_changes;
    double cka_heldout, cka_test; /* gn_cka of the rows that a fit did not see, before and after: mean over
                                     fits. 1 for lp */
    /* Source train, methods other than lp, of the first seed's fit; owned. */
    gn_matrix after_heldout, after_test; /* embeddings of heldout_row[] and of the labelled test rows */
    /* Filled by the pipeline from them: the shift between held-out train and test. */
    bool moved;
    gn_interval auc_before, auc_after;         /* of the domain classifier */
    gn_interval overlap_before, overlap_after; /* on PC1 of the common projection */
    gn_moved_point *point;                     /* [points] a random part */
    size_t points;
} gn_finetune_run;

typedef struct gn_finetune_evidence {
    bool available;
    char reason[200]; /* English, what is missing (labels); empty: nothing */
    int classes;
    size_t seeds;
    size_t train_rows, heldout_rows, test_rows; /* trained on; held out; labelled test rows */
    size_t test_groups;                         /* 0: no groups */
    size_t mix_rows;                            /* of train in a fit of the mix (median) */
    double worthwhile;
    uint32_t *heldout_row;                     /* [heldout_rows] ascending, rows of train; owned */
    gn_transfer transfer_train, transfer_test; /* of the frozen embeddings; train: of the rows trained on */
    gn_finetune_run *run;                      /* [runs] by source, then by method */
    size_t runs;
    double seconds;     /* of all of it */
    double peak_memory; /* resident, of the process up to the end of it, bytes; filled by the pipeline */
} gn_finetune_evidence;

/* Runs every method on every source that the labels allow. What the labels do not allow says why in .reason
 * and is no error. Test labels are never used for early stopping, nor is a held-out row for anything but
 * judging. The same bits whatever the threads. Progress: GN_STAGE_TUNE, in steps of all fits together.
 * Errors: those of gn_tune and gn_probe_fit; GN_INVALID_ARGUMENT (columns, labels, an option); GN_IO (the
 * store); GN_CANCELLED (finished fits are in the store). A damaged file of the store is made anew. Free with
 * gn_finetune_free. */
GN_API gn_status gn_finetune(gn_context *ctx, const gn_finetune_input *in, const gn_finetune_options *options,
                             gn_finetune_evidence *out, gn_error *err);
GN_API void gn_finetune_free(gn_finetune_evidence *e);

/* Trains one method once on all labelled rows of a source (held-out ones too), for use: free with
 * gn_tuned_free. Errors: as gn_finetune; GN_INVALID_ARGUMENT (lp, which trains nothing). */
GN_API gn_status gn_finetune_final(gn_context *ctx, const gn_finetune_input *in,
                                   const gn_finetune_options *options, gn_method method, gn_source source,
                                   gn_tuned **out, gn_error *err);

GN_API const char *gn_method_name(gn_method m);          /* "lp-ft" */
GN_API const char *gn_source_name(gn_source s);          /* "mix" */
GN_API const char *gn_answer_name(gn_finetune_answer a); /* "cannot_tell" */

#ifdef __cplusplus
}
#endif
#endif
