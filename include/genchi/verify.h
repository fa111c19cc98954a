/* Verifying: what a linear probe on the frozen embeddings gains on test, and what train teaches it.
 *
 * Floor 4. */
#ifndef GENCHI_VERIFY_H
#define GENCHI_VERIFY_H

#include "genchi/context.h"
#include "genchi/matrix.h"
#include "genchi/see.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* L2 multinomial (two classes: binomial) logistic regression with an unpenalised intercept:
 *   minimise  (1/n) sum_i log-loss_i + (lambda/2) ||W||^2
 * on inputs centred and divided by one common scale (root mean square over all entries) that are learnt on
 * the fitting rows. */
typedef struct gn_probe {
    size_t dim;
    int classes;
    float *weight;    /* [classes × dim]; in the input's own units (two classes: row 0 is minus row 1) */
    float *intercept; /* [classes]; -INFINITY for a class that no fitting row had */
    double lambda;
} gn_probe;

typedef struct gn_probe_options {
    size_t folds;       /* outer; 0: 5 */
    size_t inner_folds; /* choosing lambda; 0: 5 */
    size_t repeats; /* of the outer cross-validation over other folds, whose figures are averaged; 0: 5 up to
                       600 rows, 3 up to 2000, else 1 */
    const double *lambdas; /* path of strengths; NULL: a default path of 9, 1e-6 to 1e2 */
    size_t lambda_count;
    size_t bootstrap; /* 0: 1000 */
    size_t max_rows;  /* train rows used at the most (a stratified random part of whole groups);
                         0: 20000 */
} gn_probe_options;

/* Fits on rows i of x with y[i] >= 0, choosing lambda by inner cross-validated log-loss with whole
 * groups (group may be NULL): the plain minimum. Where a class is too rare for inner folds, the middle of the
 * path. Errors: GN_INVALID_ARGUMENT (options, a label >= classes), GN_DATA (one class only, not finite),
 * GN_NUMERIC, GN_CANCELLED. Free with gn_probe_free. */
GN_API gn_status gn_probe_fit(gn_context *ctx, const gn_matrix *x, const int *y, int classes,
                              const uint32_t *group, const gn_probe_options *options, gn_probe *out,
                              gn_error *err);
/* probability: [x.rows × classes]; a row's bits do not depend on the rows beside it. Errors:
 * GN_INVALID_ARGUMENT (other columns than fitted on), GN_DATA (not finite). */
GN_API gn_status gn_probe_predict(gn_context *ctx, const gn_probe *p, const gn_matrix *x, float *probability,
                                  gn_error *err);
GN_API void gn_probe_free(gn_probe *p);

typedef struct gn_scores {
    size_t rows, units; /* units: groups, == rows without groups */
    gn_interval accuracy, balanced_accuracy, macro_f1;
    gn_interval auc;         /* two classes: class 1 against 0; more: mean one-against-rest */
    gn_interval log_loss;    /* nats */
    gn_interval calibration; /* expected calibration error, 15 equal-mass bins of the top probability, less
                                what chance makes of a calibrated classifier */
} gn_scores;

/* 95 % intervals from the variance of each figure's influence function over the units, Student's quantiles:
 * accuracy by Wilson, with groups for as many rows as have that variance; balanced accuracy by Wilson's
 * intervals of the recalls, square and add (groups: as accuracy); macro-F1 as accuracy with groups; AUC by
 * DeLong, DeLong & Clarke-Pearson 1988 on the logit scale; log-loss on the log scale; calibration by Feldman
 * & Cousins 1998 for what cannot fall below 0 (docs/method-verify.md). Ends are NaN with a single unit, the
 * AUC is NaN with one class. Probabilities are cut at 1e-15 in the log-loss. probability [rows × classes], y
 * [rows] in [0, classes). Rows are judged by the most probable class, ties to the lower index. Errors:
 * GN_INVALID_ARGUMENT (no rows, a label out of range), GN_DATA (not a probability). */
GN_API gn_status gn_scores_compute(gn_context *ctx, const float *probability, const int *y, size_t rows,
                                   int classes, const uint32_t *group, gn_scores *out, gn_error *err);

/* X(NAME, json key). Each is judged on rows it was not fitted on. */
#define GN_EVAL_LIST(X)                                                                                 \
    X(TEST_CV, "test_cv")                     /* cross-validated within test, ordinary folds */         \
    X(TEST_CV_GROUPED, "test_cv_grouped")     /* the same, whole groups in each fold (user's groups) */ \
    X(TEST_CV_CLUSTERED, "test_cv_clustered") /* the same, whole clusters found in embedding space */   \
    X(TRAIN_HELDOUT, "train_heldout")         /* within train, each row held out once */                \
    X(TRAIN_TO_TEST, "train_to_test")         /* fitted on train, judged on test */                     \
    X(TRAIN_TO_TEST_MATCHED, "train_to_test_matched") /* the same with train cut to test's CV size */

typedef enum gn_eval_kind {
#define GN_EVAL_ENUM(name, key) GN_EVAL_##name,
    GN_EVAL_LIST(GN_EVAL_ENUM)
#undef GN_EVAL_ENUM
        GN_EVAL_COUNT
} gn_eval_kind;

typedef struct gn_evaluation {
    bool available;
    char reason[160]; /* English, why not available ("no group column"; the message tables have it in other
                         languages); empty otherwise */
    gn_scores scores;
    double majority;    /* accuracy of always answering the fitting rows' commonest class */
    double lambda;      /* chosen (median over folds) */
    size_t fit_rows;    /* rows a fit saw (median over folds) */
    float *probability; /* [n × classes] held-out, n = test rows (train rows for TRAIN_HELDOUT); NaN where a
                           row has no label or was not judged; of the first repeat. Owned */
    float *correct;     /* [n] how often the row's class was the most probable one, over the repeats; NaN
                           likewise.     Owned */
    size_t repeats;
} gn_evaluation;

/* Difference in accuracy, a − b, on the same rows; of repeats, of how often each row was judged right. */
typedef struct gn_paired {
    gn_interval difference; /* paired percentile bootstrap over units */
    double p_value;         /* exact McNemar; of repeats Student's for the mean of the rows' differences; with
                               groups the paired bootstrap's; NaN: not available */
    size_t rows, a_only, b_only; /* rows that only a (of repeats: that a more often) got right, or b */
    bool available;
} gn_paired;

typedef struct gn_probe_evidence {
    bool available;   /* some evaluation ran */
    char reason[200]; /* what a side lacks (labels, a second class), also when the other side's evaluations
                         ran; empty: nothing */
    int classes;
    gn_evaluation eval[GN_EVAL_COUNT];
    gn_paired test_cv_vs_majority;      /* the honest one of TEST_CV / TEST_CV_GROUPED is used */
    gn_paired test_cv_vs_train_to_test; /* model on test: own labels against train's */
    gn_paired grouped_vs_ungrouped;     /* TEST_CV_GROUPED − TEST_CV */
    gn_paired clustered_vs_ungrouped;
    gn_paired test_cv_vs_control;       /* filled by the pipeline: model − lexical control */
    gn_paired train_to_test_vs_control; /* likewise */
    gn_paired transfer_gap;             /* TRAIN_TO_TEST − TRAIN_HELDOUT; different rows, so a two-sample
                                           interval; p_value is NaN */
    size_t clusters, clustered_rows;    /* near-duplicate or same-topic clusters found among the test rows */
    gn_probe train_probe;               /* fitted on train; the probe's own direction */
    double *train_margin, *test_margin; /* [rows] score along the train probe's direction (two classes: log
                                           odds of class 1; more: the logits along the first principal axis of
                                           the class weights), train's cross-fitted; NULL: no train probe */
} gn_probe_evidence;

typedef struct gn_verify_input {
    const gn_matrix *train, *test;       /* embeddings; same columns */
    const int *train_label, *test_label; /* [rows], -1: none; NULL: no labels on this side */
    int classes;
    const uint32_t *train_group, *test_group; /* or NULL */
} gn_verify_input;

/* Test rows are resampled by test_group for every interval where it is given, ordinary folds included.
 * Runs every evaluation that the labels allow; what cannot run says why in .reason and is no error.
 * Errors: GN_INVALID_ARGUMENT (columns differ, a label >= classes, options), GN_DATA (not finite),
 * GN_CANCELLED. Free with gn_probe_evidence_free. */
GN_API gn_status gn_verify(gn_context *ctx, const gn_verify_input *in, const gn_probe_options *options,
                           gn_probe_evidence *out, gn_error *err);
GN_API void gn_probe_evidence_free(gn_probe_evidence *e);

/* a, b: [rows × classes] probabilities of two classifiers for the same rows; rows with NaN in either or
 * y < 0 are passed over. group may be NULL. */
GN_API gn_status gn_paired_accuracy(gn_context *ctx, const float *a, const float *b, const int *y,
                                    size_t rows, int classes, const uint32_t *group, size_t bootstrap,
                                    uint64_t purpose, gn_paired *out, gn_error *err);

/* The same from how often each row was judged right (gn_evaluation.correct); rows with NaN in either are
 * passed over. */
GN_API gn_status gn_paired_correct(gn_context *ctx, const float *a, const float *b, size_t rows,
                                   const uint32_t *group, size_t bootstrap, uint64_t purpose, gn_paired *out,
                                   gn_error *err);

/* Single-linkage clusters of rows whose cosine similarity is at least threshold (0: chosen from the data, see
 * src/verify/README.md; rows should be centred then); cluster[i] in [0, *clusters), numbered by first row.
 * Singletons are clusters of their own, rows of zeros too. Errors: GN_INVALID_ARGUMENT, GN_DATA. */
GN_API gn_status gn_cluster(gn_context *ctx, const gn_matrix *x, double threshold, uint32_t *cluster,
                            size_t *clusters, gn_error *err);

#ifdef __cplusplus
}
#endif
#endif
