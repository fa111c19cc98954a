/* What the files of the fine-tuning comparison share. */
#ifndef GENCHI_VERIFY_FINETUNE_H
#define GENCHI_VERIFY_FINETUNE_H

#include "genchi/finetune.h"
#include "verify/parts.h"

/* ---- rows and seeds (seeded.c) ------------------------------------------------------------------- */

/* Variances of a difference: of a unit's mean over seeds, of a seed's over units, and of a unit under a seed.
 * The mean over `units` and `seeds` has unit / units + seed / seeds + cell / (units · seeds). */
typedef struct gn__spread {
    double unit, seed, cell;
} gn__spread;
/* How often an experiment of that size tells a true difference of `difference` from 0 at 5 %, two-sided.
 * One seed: rows' luck only. */
double gn__seeded_power(const gn__spread *v, double units, size_t seeds, double difference);
/* Units for a power of 0.8; 0: no number would do. */
double gn__seeded_units(const gn__spread *v, size_t seeds, double difference);
/* Intervals of `mean` (which hold the rows' luck) widened by the seeds'; deviation: of the accuracy. */
void gn__widen_by_seeds(gn_scores *mean, const gn_scores *seed, size_t seeds, double *deviation);

/* ---- one fit (finetune_fit.c) -------------------------------------------------------------------- */

/* The trainer; tests put their own in. */
typedef struct gn__trainer {
    gn_status (*train)(gn_context *ctx, const gn_model *m, const gn_tune_rows *rows,
                       const gn_tune_options *options, gn_tuned **out, gn_error *err);
    gn_status (*apply)(gn_context *ctx, const gn_tuned *t, const char *const *text, const uint32_t *length,
                       size_t texts, float *probability, gn_matrix *embedding, gn_error *err);
    const gn_tune_stats *(*stats)(const gn_tuned *t);
    void (*free)(gn_tuned *t);
} gn__trainer;
extern const gn__trainer gn__trainer_default;

/* A row of either side: train rows first, then test rows. */
typedef struct gn__fit_plan {
    gn_method method;
    gn_source source;
    uint64_t seed;       /* of gn_tune */
    const uint32_t *row; /* [rows] trained on */
    size_t rows;
    const uint32_t *judged; /* [judges] ascending */
    size_t judges;
    bool keep_embeddings;
} gn__fit_plan;

typedef struct gn__fit {
    float *probability;         /* [judges × classes]; owned, as all that follows */
    gn_matrix after;            /* [judges × dim] where kept, else empty */
    double cka_train, cka_test; /* of the judged rows of each side; NaN: fewer than 8 */
    double *layer_change;
    size_t layer_changes;
    size_t steps, tokens, forward_tokens, trained, parameters;
    double seconds, core_seconds, memory;
    bool stopped_early;
} gn__fit;
void gn__fit_free(gn__fit *f);

/* What all fits have in common. */
typedef struct gn__bench {
    gn_context *ctx;
    const gn_finetune_input *in;
    const gn_finetune_options *options;
    gn_tune_options tune; /* defaults filled in */
    const gn__trainer *trainer;
    char key[65];       /* SHA-256 of model, rows, options: fits of another run are not taken */
    size_t done, total; /* steps, for progress */
    gn_error *err;
} gn__bench;

gn_status gn__bench_make(gn__bench *b, gn_context *ctx, const gn_finetune_input *in,
                         const gn_finetune_options *options, gn_error *err);
/* Optimiser steps that a fit on so many rows takes at the most. */
size_t gn__fit_steps(const gn__bench *b, gn_method method, size_t rows);
/* Takes the fit from the store, or trains and stores it. */
gn_status gn__fit_run(gn__bench *b, const gn__fit_plan *plan, gn__fit *out);
/* Trains without judging. */
gn_status gn__fit_train(gn__bench *b, const gn__fit_plan *plan, const char *checkpoint, gn_tuned **out,
                        double *head_seconds);

/* ---- the store (finetune_store.c) ---------------------------------------------------------------- */

/* One file a fit. Little-endian: "genchi-fit/1\n", 64 hex digits of the key, eight sizes, eight doubles, the
 * arrays, and last the SHA-256 of all before it. */
gn_status gn__store_write(const char *path, const char key[65], const gn__fit *f, size_t judges,
                          size_t classes, size_t dim, gn_error *err);
/* false: not there, of another run, or damaged. */
gn_status gn__store_read(const char *path, const char key[65], size_t judges, size_t classes, size_t dim,
                         bool embeddings, gn__fit *out, bool *found, gn_error *err);
/* The same from bytes; false: not such a file. No memory counts as not. */
bool gn__store_parse(const void *data, size_t size, const char key[65], size_t judges, size_t classes,
                     size_t dim, bool embeddings, gn__fit *out);

/* gn_finetune with another trainer. */
gn_status gn__finetune_with(gn_context *ctx, const gn_finetune_input *in, const gn_finetune_options *options,
                            const gn__trainer *trainer, gn_finetune_evidence *out, gn_error *err);

#endif
