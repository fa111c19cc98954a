/* Looking: principal components, kernel densities, overlap.
 *
 * Floor 4. Nothing here looks at labels unless it is handed groups. */
#ifndef GENCHI_SEE_H
#define GENCHI_SEE_H

#include "genchi/context.h"
#include "genchi/matrix.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An estimate with its 95 % interval (unless a function says another level). NaN: not available. */
typedef struct gn_interval {
    double estimate, low, high;
} gn_interval;

typedef struct gn_pca {
    size_t dim, components;
    float *mean;      /* [dim] weighted mean */
    float *direction; /* [components × dim] unit rows; sign: the largest |entry| is positive */
    double *variance; /* [components] weighted variance along each, descending */
    double total_variance;
} gn_pca;

/* Weighted PCA of the rows of x: weight[i] >= 0 (NULL: equal), normalised to sum 1; covariance
 * sum_i w_i (x_i - mean)(x_i - mean)^T, eigenvectors by LAPACK dsyevr. components is capped at
 * min(dim, rows). To give two pooled sets equal total weight, weigh rows by 1/n of their set.
 * Errors: GN_DATA (fewer than two rows, all weights zero, not finite). */
GN_API gn_status gn_pca_fit(gn_context *ctx, const gn_matrix *x, const double *weight, size_t components,
                            gn_pca *out, gn_error *err);
/* out: x.rows × components. */
GN_API gn_status gn_pca_project(gn_context *ctx, const gn_pca *pca, const gn_matrix *x, gn_matrix *out,
                                gn_error *err);
GN_API void gn_pca_free(gn_pca *pca);

typedef enum gn_bandwidth {
    GN_BANDWIDTH_ISJ,      /* improved Sheather–Jones: Botev, Grotowski & Kroese 2010, Ann. Stat. 38(5),
                              algorithm 1, on 2^14 bins; falls back to Silverman where it has no fixed
                              point, finds one below a bin (heavy ties), or n < 10. In two dimensions per
                              axis, times n^(1/30) / 1.06: the change of rate and constant that takes the
                              one-dimensional optimum of a normal to the two-dimensional one */
    GN_BANDWIDTH_SILVERMAN /* 0.9 min(sd, IQR/1.34) n^(-1/5), Silverman 1986 eq. 3.31; in two
                              dimensions per axis sd n^(-1/6) */
} gn_bandwidth;

/* Bandwidth of one-dimensional data; > 0 always (a constant sample gets a tiny positive one).
 * Errors: GN_DATA (no rows, not finite). */
GN_API gn_status gn_kde_bandwidth(const double *x, size_t n, gn_bandwidth rule, double *h, gn_error *err);
/* The same for both axes of interleaved (x, y), by the two-dimensional form of the rule. */
GN_API gn_status gn_kde2_bandwidth(const double *xy, size_t n, gn_bandwidth rule, double h[2], gn_error *err);

/* Gaussian kernel density at points: out[j] = 1/(n h) sum_i phi((at[j] - x[i]) / h). Direct sum. */
GN_API gn_status gn_kde1_at(gn_context *ctx, const double *x, size_t n, double h, const double *at,
                            size_t points, double *out, gn_error *err);
/* The same on the regular grid low + k (high - low)/(points - 1): cubic binning on a refined grid and a
 * convolution, or a direct sum over near points; within 1e-4 of the peak of the direct sum, never negative.
 * Values outside the grid count where they reach into it.
 * Errors: GN_INVALID_ARGUMENT (h <= 0, low >= high, fewer than two points); GN_DATA (no rows, not finite). */
GN_API gn_status gn_kde1_grid(gn_context *ctx, const double *x, size_t n, double h, double low, double high,
                              size_t points, double *out, gn_error *err);
/* Two dimensions, product kernel with bandwidths h[0], h[1]; xy interleaved [2 n]; out[r * nx + c] is
 * the density at (low[0] + c step_x, low[1] + r step_y). */
GN_API gn_status gn_kde2_grid(gn_context *ctx, const double *xy, size_t n, const double h[2],
                              const double low[2], const double high[2], size_t nx, size_t ny, double *out,
                              gn_error *err);
GN_API gn_status gn_kde2_at(gn_context *ctx, const double *xy, size_t n, const double h[2], const double *at,
                            size_t points, double *out, gn_error *err);

/* Overlap = integral of min(p, q) of the two populations' densities: 1 the same, 0 disjoint. It is 1 less how
 * well the sets can be told apart: the rows of a where a's kernel density is the larger one, less those of b,
 * as shares; once with the densities of all rows and once with each row's fold left out, weighed so that the
 * flattery of the one and the loss of the other cancel (src/see/README.md), less what chance gives. Neither
 * the roughness of few rows nor the smoothing pulls it. */
typedef struct gn_overlap {
    gn_interval overlap;   /* 95 %: Feldman & Cousins 1998 for a share that cannot pass 1; whole groups as
                              units.   [0, 1] where a side has a single row or group */
    gn_interval yardstick; /* the same figure for two random disjoint parts of the first sample, at sizes in
                              the proportion n_a : n_b and as large as it allows: mean, 2.5 % and 97.5 %
                              quantiles over the draws; NaN: fewer than 4 rows or groups */
    double bandwidth_a[2], bandwidth_b[2];
    size_t chance_draws, draws;
} gn_overlap;

typedef struct gn_overlap_options {
    gn_bandwidth bandwidth;
    size_t chance_draws;    /* random labellings that say what chance gives; 0: 30 */
    size_t yardstick_draws; /* 0: 100 */
    size_t max_rows;        /* rows a set drawn into one density at the most; 0: 20000 (both dims) */
    const uint32_t *group_a, *group_b; /* NULL: rows are independent; else whole groups stay together */
    uint64_t purpose;                  /* distinguishes random streams between calls */
} gn_overlap_options;

/* The bandwidths are the rule's for each sample; options may be NULL. Errors: GN_DATA (no rows, not finite).
 */
GN_API gn_status gn_overlap1(gn_context *ctx, const double *a, size_t n_a, const double *b, size_t n_b,
                             const gn_overlap_options *options, gn_overlap *out, gn_error *err);
/* a, b: interleaved (x, y). */
GN_API gn_status gn_overlap2(gn_context *ctx, const double *a, size_t n_a, const double *b, size_t n_b,
                             const gn_overlap_options *options, gn_overlap *out, gn_error *err);

#ifdef __cplusplus
}
#endif
#endif
