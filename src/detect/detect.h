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

/* ---- permutation statistics (mmd_exact.c, mmd_rff.c) ---- */

enum { GN__BANDWIDTHS = 5 };

typedef struct gn__mmd {
    gn_context *ctx;
    const float **row; /* [n] the pooled rows: those of a, then those of b */
    const float *mean; /* [dim] subtracted first, for accuracy */
    size_t n, n_a, dim;
    double widest;       /* the largest bandwidth; each next one is half of it */
    size_t labellings;   /* permutations + 1; number 0 is the observed one */
    size_t stride;       /* bytes a row of `in_b` */
    const uint8_t *in_b; /* [n × stride] bit l of row i: labelling l puts row i into b */
    uint64_t purpose;
    double *statistic; /* [GN__BANDWIDTHS × labellings] out: squared mean discrepancy, up to constants */
} gn__mmd;
gn_status gn__mmd_exact(gn__mmd *m, gn_error *err);
gn_status gn__mmd_rff(gn__mmd *m, gn_error *err);

static inline int gn__label_bit(const uint8_t *bits, size_t l)
{
    return bits[l / 8] >> (l % 8) & 1;
}

/* ---- the domain classifier (classifier.c) ---- */

/* Held-out scores of every row and the AUC averaged over folds. */
gn_status gn__domain_classifier(gn_context *ctx, const gn_matrix *a, const gn_matrix *b,
                                const gn__units *units_a, const gn__units *units_b,
                                const gn_detect_options *options, float *score_a, float *score_b,
                                gn__auc_sums *out, gn_error *err);

#endif
