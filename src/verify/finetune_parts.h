/* The parts of the comparison: rows, judgements, differences. */
#ifndef GENCHI_VERIFY_FINETUNE_PARTS_H
#define GENCHI_VERIFY_FINETUNE_PARTS_H

#include "verify/finetune.h"

enum { GN__ORDINARY, GN__GROUPED, GN__KINDS };              /* of folds */
enum { GN__HELDOUT, GN__TEST, GN__TEST_GROUPED, GN__SETS }; /* of judged rows */

/* Rows of one side, by position. */
typedef struct gn__rows {
    uint32_t *row; /* ascending, of the side */
    int *y;
    uint32_t *group; /* NULL: no groups */
    size_t n;
} gn__rows;

/* What the fits of a run said. */
typedef struct gn__tally {
    float *right[GN__SETS];       /* [seeds × n] */
    float *probability[GN__SETS]; /* [seeds × n × classes]; freed once scored */
} gn__tally;

typedef struct gn__finetune {
    gn__bench b;
    gn_context *ctx;
    const gn_finetune_input *in;
    gn_finetune_options options;
    gn_finetune_evidence *out;
    size_t seeds, classes;
    gn__rows fit, held, test;  /* train rows trained on; held out; labelled test rows */
    uint32_t *fold[GN__KINDS]; /* [seeds × test.n] or NULL */
    size_t *folds[GN__KINDS];  /* [seeds] */
    size_t set_rows[GN__SETS]; /* 0: not judged */
    gn__tally *tally;          /* [runs] */
    gn_error *err;
} gn__finetune;

/* Rows of one fit: of both sides, test rows behind train's. */
typedef struct gn__fit_rows {
    uint32_t *row, *judged;
    size_t rows, judges, held; /* held: the first of judged are held-out train rows */
    uint32_t *position;        /* [judges − held] of the test rows */
} gn__fit_rows;

/* ---- which rows (finetune_rows.c) ---------------------------------------------------------------- */

#define GN__NO_TRAIN_LABELS "no labels in train"
#define GN__ONE_TRAIN_CLASS "the labels of train are of one class only"

/* Fills fit, held, test, fold, folds and set_rows. missing: a static text, or NULL where training on that
 * side can be judged. What was filled is the caller's to free, in case of error too. */
gn_status gn__finetune_rows(gn__finetune *c, const char **missing_train, const char **missing_test);
void gn__rows_free(gn__rows *r);
/* Train rows of a mix with so many test rows. */
size_t gn__mix_wanted(const gn__finetune *c, size_t test_rows);
/* kind, seed, fold: of test; not looked at for source train. Held-out rows are judged by a seed's first fit
 * with ordinary folds. The caller frees what it gets. */
gn_status gn__fit_rows_make(gn__finetune *c, gn_source source, int kind, size_t seed, size_t fold,
                            gn__fit_rows *out);
void gn__fit_rows_free(gn__fit_rows *f);

/* ---- what they say (finetune_compare.c) ---------------------------------------------------------- */

/* Room for what the fits of one run will say; the caller frees its arrays, in case of error too. */
gn_status gn__tally_make(const gn__finetune *c, gn_source source, gn__tally *t);
/* The run's scores on one set of judged rows, over all seeds. Frees the probabilities. */
gn_status gn__tally_score(gn__finetune *c, gn_finetune_run *run, gn__tally *t, int set);
/* Every run against the probe of the same rows and against the probe of test, with Holm's correction. */
gn_status gn__finetune_compare(gn__finetune *c);

#endif
