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
    GN_SHIFT_DIFFERENT,      /* p below alpha and the low end of the AUC's interval above the tolerance's
                                floor, see gn_detect_options.tolerance */
    GN_SHIFT_EQUIVALENT,     /* the high end of the AUC's interval is below the tolerance */
    GN_SHIFT_NOT_ENOUGH_DATA /* neither; rows_needed says how many rows would do */
} gn_shift_answer;

typedef struct gn_detect_options {
    double alpha;        /* 0: 0.05 */
    double tolerance;    /* AUC of a domain classifier up to which two sets count as one population; 0: 0.60.
                            Argued for in docs/method.md */
    size_t permutations; /* 0: 999 */
    size_t folds;        /* 0: 5 */
    size_t min_rows;     /* fewer rows on a side: not_enough_data without a test; 0: 20 */
    const uint32_t *group_a, *group_b; /* whole groups stay together in folds and permutations */
    uint64_t purpose;                  /* distinguishes random streams between calls (by label: 1 + label) */
} gn_detect_options;

typedef struct gn_shift {
    gn_shift_answer answer;
    double p_value;   /* kernel two-sample test, (1 + #{T_b >= T}) / (B + 1); NaN: not run */
    double p_holm;    /* Holm-adjusted over the labels; == p_value for the global test */
    double statistic; /* of the observed labelling, see src/detect/README.md */
    gn_interval auc;  /* domain classifier on held-out folds; DeLong, DeLong & Clarke-Pearson 1988
                         interval on the logit scale, clustered (Obuchowski 1997) where groups are given */
    double alpha, tolerance;
    size_t permutations, rows_a, rows_b, units_a, units_b; /* units: groups, or rows without groups */
    size_t rows_needed; /* in the smaller set at this ratio for 80 % power at the tolerance; 0: enough now */
    const char *method; /* "mmd-exact" or "mmd-rff"; static storage */
} gn_shift;

/* Tests a against b (same number of columns). score_a, score_b (may be NULL): [rows] held-out
 * probability, at equal priors, that the row belongs to b: the rows least like the other set are the
 * extremes. Errors: GN_INVALID_ARGUMENT (columns differ), GN_DATA (not finite; fewer than two rows). */
GN_API gn_status gn_detect(gn_context *ctx, const gn_matrix *a, const gn_matrix *b,
                           const gn_detect_options *options, gn_shift *out, float *score_a, float *score_b,
                           gn_error *err);

/* Kernel two-sample test alone: see gn_shift.p_value, .statistic, .method. */
GN_API gn_status gn_kernel_test(gn_context *ctx, const gn_matrix *a, const gn_matrix *b,
                                const gn_detect_options *options, gn_shift *out, gn_error *err);

/* Holm 1979 step-down adjustment in place; NaN entries are left alone and not counted. */
GN_API void gn_holm(double *p, size_t n);

/* Area under the ROC curve of scores of negatives against positives (ties count half) with its 95 %
 * DeLong interval; cluster_* as in gn_detect_options.group_*, or NULL. */
GN_API gn_status gn_auc(const float *negative, size_t n_negative, const float *positive, size_t n_positive,
                        const uint32_t *cluster_negative, const uint32_t *cluster_positive, gn_interval *out,
                        gn_error *err);

#ifdef __cplusplus
}
#endif
#endif
