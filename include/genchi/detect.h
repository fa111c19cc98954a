/* Detecting: is the shift between two samples of embeddings real, and how large is it?
 *
 * Floor 4. Whatever a test learns it learns without the sample label or on other folds. */
#ifndef GENCHI_DETECT_H
#define GENCHI_DETECT_H

#include "genchi/context.h"
#include "genchi/matrix.h"
#include "genchi/see.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The two-sample tests. X(NAME, method); what each is, and its source: docs/method.md. */
#define GN_TEST_LIST(X)                         \
    X(MMD_EXACT, "mmd-exact")                   \
    X(MMD_RFF, "mmd-rff")                       \
    X(MMD_FUSE, "mmd-fuse")                     \
    X(MMD_AGG, "mmd-agg")                       \
    X(ENERGY, "energy")                         \
    X(SLICED_WASSERSTEIN, "sliced-wasserstein") \
    X(KS, "ks")                                 \
    X(C2ST, "c2st")

typedef enum gn_test {
    GN_TEST_AUTO, /* mmd-exact up to 3000 units in all, mmd-rff beyond */
#define GN_TEST_ENUM(name, method) GN_TEST_##name,
    GN_TEST_LIST(GN_TEST_ENUM)
#undef GN_TEST_ENUM
        GN_TEST_COUNT
} gn_test;

/* "mmd-fuse"; "auto" for GN_TEST_AUTO, NULL beyond. Static storage. */
GN_API const char *gn_test_name(gn_test test);

typedef enum gn_shift_answer {
    GN_SHIFT_DIFFERENT,  /* p <= alpha and the low end of an AUC's interval (the linear classifier's or the
                            curved one's) above the tolerance */
    GN_SHIFT_EQUIVALENT, /* the high ends of both AUCs' intervals (of 1/2 where the estimate is below: that is
                            luck) are below the tolerance, whatever p: a shift may be real and too small to
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
    gn_test test;     /* whose p-value; the AUCs are measured whatever the test */
    bool allow_part;  /* do not refuse a sample whose rows all occur in the other (one label of many) */
} gn_detect_options;

typedef struct gn_shift {
    gn_shift_answer answer;
    double p_value;         /* two-sample test, (1 + #{T_b >= T}) / (B + 1); NaN: not run */
    double p_holm;          /* Holm-adjusted over the labels; == p_value for the global test */
    double statistic;       /* of the observed labelling, see src/detect/README.md */
    gn_interval auc;        /* domain classifier on held-out folds; DeLong, DeLong & Clarke-Pearson 1988
                               interval on the logit scale, clustered (Obuchowski 1997) where groups are given;
                               averaged over folds, their variance raised by up to 2 for what
                               the folds share (src/detect/README.md) */
    gn_interval auc_curved; /* the same of a classifier on random Fourier features, which sees curved
                               boundaries: shifts of spread, shape or mixture that no linear one can; on at
                               most 10000 rows of a set, or twenty times the other. NaN: not measured */
    double alpha, tolerance;
    size_t permutations, rows_a, rows_b, units_a, units_b; /* units: groups, or rows without groups */
    size_t rows_needed; /* in the smaller set, at this ratio, for an interval that leaves the tolerance to one
                           side with 80 % probability if the AUC is as estimated; at most 1000000 (the
                           estimate sits on the tolerance); 0: enough now */
    const char *method; /* gn_test_name of the test that ran, "none" where none did; static storage */
} gn_shift;

/* Tests a against b (same number of columns). score_a, score_b (may be NULL): [rows] held-out
 * probability, at equal priors, that the row belongs to b: the rows least like the other set are the
 * extremes. Errors: GN_INVALID_ARGUMENT (columns differ, alpha or tolerance out of
 * range), GN_DATA (not finite; every row of one set, most of them distinct, occurs in the other: then one
 * is a part of the other, not a sample beside it). */
GN_API gn_status gn_detect(gn_context *ctx, const gn_matrix *a, const gn_matrix *b,
                           const gn_detect_options *options, gn_shift *out, float *score_a, float *score_b,
                           gn_error *err);

/* One of several tests, once all are run: sets p_holm, and takes GN_SHIFT_DIFFERENT back to
 * GN_SHIFT_NOT_ENOUGH_DATA where p_holm is above alpha; rows_needed then is for an AUC whose interval
 * leaves 0.5 with 80 % probability, and at least one more than there are. */
GN_API void gn_shift_adjust(gn_shift *shift, double p_holm);

/* The two-sample test of options->test alone: see gn_shift.p_value, .statistic, .method. The tests over all
 * pairs (mmd-exact, mmd-fuse, mmd-agg, energy) and along axes (sliced-wasserstein, ks) take at most 5000
 * random units of each set; mmd-rff takes all. */
GN_API gn_status gn_kernel_test(gn_context *ctx, const gn_matrix *a, const gn_matrix *b,
                                const gn_detect_options *options, gn_shift *out, gn_error *err);

typedef struct gn_test_result {
    gn_test test;
    const char *method; /* gn_test_name(test) */
    double p_value;     /* NaN: not run (too few rows) */
    double p_holm;      /* adjusted over all tests of the table */
    double statistic; /* mmd-exact, mmd-rff: standard deviations; mmd-fuse: as in the paper; mmd-agg: smallest
                         rank p-value of a kernel; energy, sliced-wasserstein: the distance; ks: the largest
                         column's distance; c2st: AUC on the held-out half */
    size_t axis;      /* ks: that column, from 0; else 0 */
} gn_test_result;

enum { GN_TESTS = GN_TEST_COUNT - 1 };
/* Every test side by side, in the order of GN_TEST_LIST. Choosing the smallest p-value afterwards is not a
 * test at level alpha; the smallest p_holm is. Errors: as gn_detect. */
GN_API gn_status gn_test_all(gn_context *ctx, const gn_matrix *a, const gn_matrix *b,
                             const gn_detect_options *options, gn_test_result out[GN_TESTS], gn_error *err);

/* All pairs of `sets` samples (2 or more): out[sets (sets - 1) / 2] in the order (0,1) (0,2) … (1,2) …,
 * p_holm and answers corrected over the pairs by gn_shift_adjust. group: [sets] of group arrays, entries may
 * be NULL; or NULL. options->group_a and _b are ignored. Errors: as gn_detect; GN_INVALID_ARGUMENT (fewer
 * than two sets). */
GN_API gn_status gn_detect_pairs(gn_context *ctx, const gn_matrix *set, size_t sets,
                                 const uint32_t *const *group, const gn_detect_options *options,
                                 gn_shift *out, gn_error *err);

/* Equivalence by the norm-adaptive squared mean discrepancy (Zhou et al. 2025, arXiv 2507.12843, eq. 3):
 * ||mu_a - mu_b||^2 / (4 - ||mu_a||^2 - ||mu_b||^2) for a Gaussian kernel of the median distance; 0 for equal
 * distributions, at most 1/2 here. At most 5000 random units of each set. */
typedef struct gn_equivalence {
    double namd;  /* the unbiased estimate; may fall a little below 0 */
    double upper; /* one-sided 95 % (1 - alpha) upper bound, by the asymptotic normal law */
    double tolerance;
    bool equivalent; /* upper < tolerance: a test of "namd >= tolerance" at level alpha */
    double bandwidth;
} gn_equivalence;
/* tolerance: in units of namd, > 0. Errors: as gn_detect; GN_DATA (fewer than 4 units on a side). */
GN_API gn_status gn_equivalence_test(gn_context *ctx, const gn_matrix *a, const gn_matrix *b,
                                     const gn_detect_options *options, double tolerance, gn_equivalence *out,
                                     gn_error *err);

/* Scores that others print, for comparison only: none is a test, both are biased by the sample size
 * (docs/method.md). b is compared with a as reference. */
typedef struct gn_shift_scores {
    double frechet; /* squared Fréchet distance of the two normals with the sets' means and covariances
                       (Heusel et al. 2017); grows as the rows shrink. NaN: more than 4096 columns, or fewer
                       than 2 rows */
    double precision, recall; /* k nearest neighbours' manifolds (Kynkäänniemi et al. 2019), k = neighbours */
    double density, coverage; /* Naeem et al. 2020 */
    size_t neighbours;        /* 5 */
    size_t rows_a, rows_b;    /* used for the four: at most 5000 random rows of each */
} gn_shift_scores;
/* Errors: as gn_detect; GN_DATA (not more rows than neighbours). */
GN_API gn_status gn_reference_scores(gn_context *ctx, const gn_matrix *a, const gn_matrix *b,
                                     const gn_detect_options *options, gn_shift_scores *out, gn_error *err);

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
