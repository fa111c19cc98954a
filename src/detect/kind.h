/* What the files of "what kind of shift" share. */
#ifndef GENCHI_DETECT_KIND_H
#define GENCHI_DETECT_KIND_H

#include "core/core.h"
#include "genchi/kind.h"
#include "tensor/units.h"

#include <math.h>

/* Labelled rows of both sets, one a unit (a random one of each group): independent draws. Train's first. */
typedef struct gn__draws {
    size_t n, n_train;
    const float **x; /* [n] */
    int *y;          /* [n] */
} gn__draws;
/* limit: rows a side at the most. */
gn_status gn__draws_make(gn_context *ctx, const gn_kind_input *in, size_t limit, uint64_t purpose,
                         gn__draws *out, gn_error *err);
void gn__draws_free(gn__draws *d);

/* Shares of labels, their differences (into by_class), and the label part (kind_label.c). */
gn_status gn__kind_label(gn_context *ctx, const gn_kind_input *in, const gn_kind_options *o, gn_kind *out,
                         gn_error *err);
/* The concept part, by_class[].concept_difference (kind_concept.c). */
gn_status gn__kind_concept(gn_context *ctx, const gn_kind_input *in, const gn_kind_options *o, gn_kind *out,
                           gn_error *err);
/* The probe on a third of train, BBSE, by_predicted (kind_probe.c). */
gn_status gn__kind_probe(gn_context *ctx, const gn_kind_input *in, const gn_kind_options *o, gn_kind *out,
                         gn_error *err);

/* Copies the rows of x that pick[i] == which, with their groups (NULL stays NULL). */
typedef struct gn__part {
    gn_matrix x;
    uint32_t *group;
} gn__part;
gn_status gn__part_make(const gn_matrix *x, const uint32_t *group, const int *pick, int which, gn__part *out,
                        gn_error *err);
void gn__part_free(gn__part *p);
/* The sets compared within each label: gn_detect and Holm. label: [rows], other than 0 .. classes - 1: left
 * out. out: [classes]. */
gn_status gn__detect_each(gn_context *ctx, const gn_matrix x[2], const uint32_t *const group[2],
                          const int *const label[2], int classes, const gn_detect_options *options,
                          gn_shift *out, gn_error *err);

/* The answer of a part whose effect is judged against its tolerance, as gn_detect's. */
gn_shift_answer gn__part_answer(const gn_kind_part *p, double alpha);

#endif
