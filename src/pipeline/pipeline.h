/* Inside the pipeline: one embedding space with both sets in it, and the steps on it. */
#ifndef GENCHI_PIPELINE_PIPELINE_H
#define GENCHI_PIPELINE_PIPELINE_H

#include "core/core.h"
#include "genchi/check.h"

/* Both sets, and their embeddings in one matrix: train rows first, then test rows. */
typedef struct gn__space {
    const gn_dataset *train, *test;
    const gn_matrix *pooled;   /* (train->rows + test->rows) × dim; unused where the sets come apart */
    const gn_matrix *apart[2]; /* train and test in matrices of their own, or NULL */
    int classes;
    bool labels; /* both sides have a label column */
} gn__space;

/* Views into the pooled matrix; not owned. */
gn_matrix gn__space_train(const gn__space *s);
gn_matrix gn__space_test(const gn__space *s);

/* Runs look, detect and verify (as far as `steps` says) on one space. picture: densities and points too,
 * not only overlaps. score_train, score_test: [rows] or NULL, see gn_detect. out is zeroed first and
 * owned by the caller (gn_result_free frees it as part of a result), whatever the status. */
gn_status gn__evidence_run(gn_context *ctx, const gn__space *space, const gn_check_options *options,
                           unsigned steps, bool picture, gn_model_evidence *out, float *score_train,
                           float *score_test, gn_timing *timing, gn_error *err);

/* What the lexical control says of two sets, kept from one check of them to the next; a zeroed one is empty.
 */
typedef struct gn__control {
    bool there;
    gn_model_evidence evidence;
} gn__control;
/* gn_check. control: NULL, or empty: it then receives the control that is computed; or one of the same sets
 * and options, which takes the place of computing it. Either way out->control borrows it, and
 * gn__control_return must be called before gn_result_free(out). */
gn_status gn__check(gn_context *ctx, const gn_check_options *options, gn__control *control, gn_result *out,
                    gn_error *err);
void gn__control_return(const gn__control *control, gn_result *r);
void gn__control_free(gn__control *c);

/* Peak resident memory of the process so far, bytes; NaN where the system does not tell. */
double gn__peak_memory(void);

/* gn_picture of the space: PCA, overlaps, and (full) densities and points; margins are the probe's, or NULL.
 */
gn_status gn__picture_make(gn_context *ctx, const gn__space *space, const gn_check_options *options,
                           bool full, const double *train_margin, const double *test_margin, gn_picture *out,
                           gn_error *err);

/* out: [rows × 2] the first two components of x; 0 where there are fewer. */
gn_status gn__project_to_plane(gn_context *ctx, const gn_pca *pca, const gn_matrix *x, gn_matrix *out,
                               gn_error *err);

/* What kind of shift and where it is: result->kind and ->where, from what detect said of main's space. */
gn_status gn__explain(gn_context *ctx, const gn__space *space, const gn_check_options *options,
                      const float *score_train, const float *score_test, gn_result *result, gn_error *err);

/* The comparison of fine-tuning with the probe, how it moves the picture, and the model that is to be saved:
 * result->finetune. tokens, seconds, core_seconds: what the embeddings of space took. */
typedef struct gn__embed_cost {
    size_t tokens;
    double seconds, core_seconds;
} gn__embed_cost;
gn_status gn__finetune_step(gn_context *ctx, const gn__space *space, const gn_check_options *options,
                            const gn__embed_cost *cost, gn_result *result, gn_error *err);
/* auc_… and overlap_… and the points of every run that kept its embeddings (finetune.c; tests). */
gn_status gn__finetune_moved(gn_context *ctx, const gn__space *space, gn_finetune_evidence *e, gn_error *err);

/* The first `max` code points of a text, with an ellipsis where it was longer; NULL: no memory. */
char *gn__shorten(const char *text, size_t length, size_t max);

#endif
