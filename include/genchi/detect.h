/* Detecting: is the shift between two samples of embeddings real, and how large is it?
 *
 * Floor 4. Whatever a test learns it learns without the sample label or on other folds. */
#ifndef GENCHI_DETECT_H
#define GENCHI_DETECT_H

#include "genchi/context.h"
#include "genchi/matrix.h"
#include "genchi/see.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum gn_shift_answer {
    GN_SHIFT_DIFFERENT,  /* p <= alpha and the low end of the AUC's interval above the tolerance */
    GN_SHIFT_EQUIVALENT, /* the high end of the AUC's interval (of 1/2 where the estimate is below: that is
                            luck) is below the tolerance, whatever p: a shift may be real and too small to
                            matter. One-sided level 2.5 % */
    GN_SHIFT_NOT_ENOUGH_DATA /* neither; rows_needed says how many rows would do */
} gn_shift_answer;

typedef struct gn_detect_options {
    double alpha;        /* 0: 0.05 */
    double tolerance;    /* AUC of a domain classifier up to which two sets count as one population; 0: 0.60.
                            Argued for in docs/method.md */
    size_t permutations; /* 0: 999 */
    size_t folds;        /* 0: 5 */
    size_t min_rows;     /* fewer rows (with groups: groups) on a side: not_enough_data without a test, p and
                            scores NaN; 0: 20, at least 4 */
    const uint32_t *group_a,
        *group_b;     /* [rows] or NULL. Numbers of a and of b are not related. Whole groups stay
                         together in folds; the kernel test takes one random row of each */
    uint64_t purpose; /* distinguishes random streams between calls (by label: 1 + label) */
} gn_detect_options;

typedef struct gn_shift {
    gn_shift_answer answer;
    double p_value;   /* kernel two-sample test, (1 + #{T_b >= T}) / (B + 1); NaN: not run */
    double p_holm;    /* Holm-adjusted over the labels; == p_value for the global test */
    double statistic; /* of the observed labelling, see src/detect/README.md */
    gn_interval auc;  /* domain classifier on held-out folds; DeLong, DeLong & Clarke-Pearson 1988
                         interval on the logit scale, clustered (Obuchowski 1997) where groups are given;
                         averaged over folds, their variance raised by up to 2 for what
                         the folds share (src/detect/README.md) */
    double alpha, tolerance;
    size_t permutations, rows_a, rows_b, units_a, units_b; /* units: groups, or rows without groups */
    size_t rows_needed; /* in the smaller set, at this ratio, for an interval that leaves the tolerance to one
                           side with 80 % probability if the AUC is as estimated; at most 1000000 (the
                           estimate sits on the tolerance); 0: enough now */
    const char *method; /* "mmd-exact" (up to 3000 units), "mmd-rff" or "none" (not run); static storage */
} gn_shift;

/* Tests a against b (same number of columns). score_a, score_b (may be NULL): [rows] held-out
 * probability, at equal priors, that the row belongs to b: the rows least like the other set are the
 * extremes. Errors: GN_INVALID_ARGUMENT (columns differ, alpha or tolerance out of
 * range), GN_DATA (not finite). */
GN_API gn_status gn_detect(gn_context *ctx, const gn_matrix *a, const gn_matrix *b,
                           const gn_detect_options *options, gn_shift *out, float *score_a, float *score_b,
                           gn_error *err);

/* One of several tests, once all are run: sets p_holm, and takes GN_SHIFT_DIFFERENT back to
 * GN_SHIFT_NOT_ENOUGH_DATA where p_holm is above alpha; rows_needed then is for an AUC whose interval
 * leaves 0.5 with 80 % probability, and at least one more than there are. */
GN_API void gn_shift_adjust(gn_shift *shift, double p_holm);

/* Kernel two-sample test alone: see gn_shift.p_value, .statistic, .method. */
GN_API gn_status gn_kernel_test(gn_context *ctx, const gn_matrix *a, const gn_matrix *b,
                                const gn_detect_options *options, gn_shift *out, gn_error *err);

/* Holm 1979 step-down adjustment in place; NaN entries are left alone and not counted. */
GN_API void gn_holm(double *p, size_t n);

/* Area under the ROC curve of scores of negatives against positives (ties count half) with its 95 %
 * DeLong interval; cluster_*: both or neither; one numbering, so that a cluster may have rows on
 * both sides. An AUC of 0 or 1, or all scores tied: Wilson's interval for the smaller side's clusters.
 * Errors: GN_DATA (an empty side, not finite). */
GN_API gn_status gn_auc(const float *negative, size_t n_negative, const float *positive, size_t n_positive,
                        const uint32_t *cluster_negative, const uint32_t *cluster_positive, gn_interval *out,
                        gn_error *err);

#ifdef __cplusplus
}
#endif
#endif
