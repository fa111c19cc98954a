/* What the files of detect/ share. */
#ifndef GENCHI_DETECT_DETECT_H
#define GENCHI_DETECT_DETECT_H

#include "core/core.h"
#include "genchi/detect.h"
#include "tensor/units.h"

#include <math.h>

/* Options with every default filled in. */
gn_detect_options gn__detect_defaults(const gn_detect_options *options);

/* ---- areas under ROC curves (auc.c) ---- */

typedef struct gn__auc_sums {
    double estimate, variance; /* variance NaN: fewer than two units on a side */
} gn__auc_sums;
/* cluster ids: one namespace for both sides; NULL: every row its own. */
gn_status gn__auc_estimate(const float *negative, size_t n_negative, const float *positive, size_t n_positive,
                           const uint32_t *cluster_negative, const uint32_t *cluster_positive,
                           gn__auc_sums *out, gn_error *err);
/* 95 % on the logit scale; units: independent pieces in the smaller set, for estimates at which DeLong's
 * variance says nothing (0, 1, all scores tied). */
gn_interval gn__auc_interval(gn__auc_sums a, size_t units);

/* ---- labellings (labels.c) ----------------------------------------------------------------------
 * One permutation engine for every test: labelling 0 is the observed one, every other is a uniformly drawn
 * division of the items into parts of the observed sizes. */

typedef struct gn__labels {
    size_t items, items_a, count; /* a's items first; count: permutations + 1 */
    bool small_is_b;              /* the smaller part is b (equal sizes: b) */
    size_t small;                 /* its size */
    /* gn__labels_dense: bit l of item i: labelling l puts item i into the smaller part. */
    uint8_t *bits; /* [items × stride] */
    size_t stride;
    /* gn__labels_sparse: the labellings that put item i into the smaller part: of[start[i] .. start[i + 1])
     */
    size_t *start; /* [items + 1] */
    uint32_t *of;
} gn__labels;
gn_status gn__labels_dense(gn_context *ctx, size_t items_a, size_t items_b, size_t count, uint64_t purpose,
                           gn__labels *out, gn_error *err);
gn_status gn__labels_sparse(gn_context *ctx, size_t items_a, size_t items_b, size_t count, uint64_t purpose,
                            gn__labels *out, gn_error *err);
void gn__labels_free(gn__labels *l);
/* out[l] = inside where labelling l puts the item into the smaller part, else outside. Dense labels. */
void gn__labels_expand(const gn__labels *labels, size_t item, float inside, float outside, float *out);

/* ---- the tests' common ground (kernel_test.c) --------------------------------------------------- */

typedef struct gn__sample {
    gn_context *ctx;
    const float **row; /* [n] the pooled rows: those of a, then those of b */
    float *mean;       /* [dim] subtracted first, for accuracy */
    size_t n, n_a, dim;
    size_t labellings; /* permutations + 1 */
    uint64_t purpose;
} gn__sample;

/* GN_DATA where one set is a part of the other (subset.c). */
gn_status gn__check_part(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, gn_error *err);
gn_status gn__check_pair(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, gn_error *err);
/* One row of every unit of both sets; mean is not set. free(s->row). */
gn_status gn__pool_make(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, const gn__units *units_a,
                        const gn__units *units_b, const gn_detect_options *o, gn__sample *s, gn_error *err);
/* The same from checked matrices, at most 5000 random units of a side. */
gn_status gn__pool_capped(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, const gn_detect_options *o,
                          gn__sample *s, gn_error *err);
/* ---- sorting (sort.c): an item is a value and its row ---- */

uint64_t gn__sort_item(float value, uint32_t row); /* value not NaN */
float gn__sorted_value(uint64_t item);
static inline uint32_t gn__sorted_row(uint64_t item)
{
    return (uint32_t)item;
}
/* By value, ascending; items of equal value (-0 below +0) keep their order. scratch: [n]. Returns where the
 * sorted items are, item or scratch; the other is overwritten. */
uint64_t *gn__sort_items(uint64_t *item, uint64_t *scratch, size_t n);

/* Sorted distances between different rows of a random part of the pooled rows, learnt without labels.
 * city_block: sums of absolute differences, else Euclidean. free(*out). */
gn_status gn__pair_distances(const gn__sample *s, bool city_block, float **out, size_t *count, gn_error *err);
/* Their median; the mean of those above 0 where the median is 0; 0 where all are. */
gn_status gn__typical_distance(const gn__sample *s, double *out, gn_error *err);

typedef struct gn__verdict {
    double p_value, statistic;
    size_t axis; /* the Kolmogorov-Smirnov test: the column with the largest distance */
} gn__verdict;

/* statistic: [kernels × labellings], larger is more different; the combination's p-value is exact, because
 * every labelling is treated alike. Overwrites statistic. */
void gn__combine_standardised(double *statistic, size_t kernels, size_t labellings, gn__verdict *out);
/* Log of the mean exponential over kernels (MMD-FUSE). */
void gn__combine_fused(double *statistic, size_t kernels, size_t labellings, gn__verdict *out);
/* Smallest rank p-value over kernels (MMDAgg's uniform weights); GN_NO_MEMORY. */
gn_status gn__combine_ranked(double *statistic, size_t kernels, size_t labellings, gn__verdict *out,
                             gn_error *err);
/* (1 + #{T_l >= T_0}) / labellings; what float32 cannot tell apart counts against rejection. */
double gn__rank_first(const double *t, size_t labellings);

/* The tests over all pairs, several in one pass (pair_tests.c): what is alike for them, the distances and
 * the kernels of MMD-FUSE and MMDAgg, is made once. Each verdict's bits are those of the test alone. */
enum { GN__PAIR_TESTS = 4 };
typedef enum gn__pair_test { GN__MMD_EXACT, GN__MMD_FUSE, GN__MMD_AGG, GN__ENERGY } gn__pair_test;
/* which: bit t for test t; out: [GN__PAIR_TESTS], others are left alone. */
gn_status gn__test_pairs(const gn__sample *s, unsigned which, gn__verdict *out, gn_error *err);

/* One function a test otherwise. */
gn_status gn__test_mmd_rff(const gn__sample *s, gn__verdict *out, gn_error *err);
gn_status gn__test_sliced_wasserstein(const gn__sample *s, gn__verdict *out, gn_error *err);
gn_status gn__test_ks(const gn__sample *s, gn__verdict *out, gn_error *err);

/* ---- statistics of all pairs (pairs.c) ----------------------------------------------------------- */

typedef enum gn__family { GN__GAUSS, GN__LAPLACE, GN__DISTANCE } gn__family;
typedef struct gn__kernel {
    gn__family family;
    double bandwidth; /* exp(-d^2 / (2 h^2)); exp(-sqrt 2 d1 / h), d1 city block; minus the distance itself */
    bool unbiased;    /* the U-statistic of the squared mean discrepancy instead of the V-statistic */
} gn__kernel;
/* statistic: [kernels × labellings] the V-statistic s' K s without the diagonal, or the kernel's U-statistic.
 * square: [kernels] or NULL, the sum of K_ij^2 over i != j. */
gn_status gn__pairs(const gn__sample *s, const gn__kernel *kernel, size_t kernels, double *statistic,
                    double *square, gn_error *err);

/* ---- random Fourier features (features.c) -------------------------------------------------------- */

enum { GN__BANDWIDTHS = 5, GN__FREQUENCIES = 256 };
/* frequency: [GN__FREQUENCIES × dim] standard normal. */
void gn__frequencies(gn_context *ctx, size_t dim, uint64_t purpose, float *frequency);
/* Sines and cosines of n angles, |angle| below some thousands, to about 1e-7. */
void gn__sincos(const float *angle, size_t n, float *cosine, float *sine);
/* exp of n numbers <= 0, to about 2e-7 of the value; below -87 it is 0. In place. */
void gn__exp_negative(float *x, size_t n);

/* ---- the domain classifier (classifier.c) ---- */

/* Held-out scores of every row and the AUC averaged over folds. */
gn_status gn__domain_classifier(gn_context *ctx, const gn_matrix *a, const gn_matrix *b,
                                const gn__units *units_a, const gn__units *units_b,
                                const gn_detect_options *options, float *score_a, float *score_b,
                                gn__auc_sums *out, gn_error *err);

/* One half of the units of each side scored by a model fitted on the other half; NaN for rows of that. */
gn_status gn__domain_half(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, const gn__units *units_a,
                          const gn__units *units_b, const gn_detect_options *options, float *score_a,
                          float *score_b, gn_error *err);
/* The domain classifier on random Fourier features of at most 10000 rows of a set (curved.c). */
gn_status gn__curved_classifier(gn_context *ctx, const gn_matrix *a, const gn_matrix *b,
                                const gn__units *units_a, const gn__units *units_b,
                                const gn_detect_options *options, gn__auc_sums *out, gn_error *err);
/* The classifier's p-value on one held-out half (c2st.c). */
gn_status gn__test_c2st(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, const gn__units *units_a,
                        const gn__units *units_b, const gn_detect_options *options, gn__verdict *out,
                        gn_error *err);

#endif
