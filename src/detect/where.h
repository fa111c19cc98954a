/* What the files of "where the shift is" share. */
#ifndef GENCHI_DETECT_WHERE_H
#define GENCHI_DETECT_WHERE_H

#include "core/core.h"
#include "genchi/where.h"
#include "tensor/units.h"

#include <math.h>

/* A row of either set. */
typedef struct gn__spot {
    uint32_t row;
    bool test;
    bool finding; /* in the half that clusters and words are found on */
} gn__spot;

/* ---- k-medoids (where_cluster.c) ---- */

/* Partitioning around medoids (Kaufman & Rousseeuw 1990) of n points with the given distances, the number of
 * clusters (1 .. most) by mean silhouette; 1 where none reaches a weak structure. medoid: [most]; of: [n]. */
gn_status gn__medoids(gn_context *ctx, const float *distance, size_t n, size_t most, size_t *clusters,
                      uint32_t *medoid, uint32_t *of, gn_error *err);

/* distance[i * n_b + j] of rows a and b: Euclidean. */
gn_status gn__distances(gn_context *ctx, const float *const *a, size_t n_a, const float *const *b, size_t n_b,
                        size_t dim, float *distance, gn_error *err);

/* ---- words (where_words.c) ---- */

typedef struct gn__words gn__words;
/* Words of the spots' texts, folded; `group` of a spot is its unit, one numbering for both sets. */
gn_status gn__words_make(gn_context *ctx, const gn_where_input *in, const gn__spot *spot,
                         const uint32_t *unit, size_t n, gn__words **out, gn_error *err);
void gn__words_free(gn__words *w);
/* inside: [n] 1 in the cluster, 0 outside, -1 not counted. Found on the finding half, measured on the other.
 */
gn_status gn__words_apart(gn__words *w, const signed char *inside, size_t most, gn_where_word **word,
                          size_t *words, gn_error *err);

/* ---- what train covers (where_cover.c) ---- */

typedef struct gn__cover {
    const gn_where_input *in;
    const gn__units *units[2];
    uint64_t purpose;
    uint32_t *row; /* [rows] of test that were measured */
    double *ratio; /* [rows] distance over the radius */
    size_t rows;
} gn__cover;
gn_status gn__cover_run(gn_context *ctx, gn__cover *c, gn_where *out, gn_error *err);

#endif
