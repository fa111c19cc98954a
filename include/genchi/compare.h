/* The same check over several models, and which of them is the better start.
 *
 * Floor 6. */
#ifndef GENCHI_COMPARE_H
#define GENCHI_COMPARE_H

#include "genchi/check.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What one model had to say. */
typedef struct gn_compared {
    gn_model_evidence_info model;
    double load_seconds, embed_seconds;
    double texts_per_second; /* rows of both sets over embed_seconds; repeats are embedded once and count */
    gn_shift shift;
    gn_overlap overlap; /* on PC1 */
    bool grouped;       /* test_cv keeps whole groups together */
    /* Accuracies of the linear probe; NaN without labels: cross-validated within test, within train, fitted
     * on train and judged on test. */
    gn_interval test_cv, train_heldout, train_to_test;
    gn_paired gap;      /* train_to_test - train_heldout */
    gn_verdict verdict; /* gn_check's with this model */
    bool in_the_race;   /* no other model has a better test_cv */
} gn_compared;

/* Two models on the same test rows: a - b. p_holm: Holm 1979 over all pairs. */
typedef struct gn_compared_pair {
    size_t a, b; /* a < b */
    gn_paired test_cv, train_to_test;
    double test_cv_p_holm, train_to_test_p_holm; /* NaN: not available */
} gn_compared_pair;

typedef struct gn_comparison {
    char *created, *version, *command; /* as in gn_result */
    uint64_t seed;
    char *train, *test; /* paths */
    char train_sha256[65], test_sha256[65];
    size_t train_rows, test_rows;
    double alpha;
    gn_compared *model; /* [models] in the order given */
    size_t models;
    gn_compared_pair *pair; /* [pairs] */
    size_t pairs;
    int better; /* the model whose test_cv beats every other's; -1: cannot be told, or one model, or no labels
                 */
} gn_comparison;

/* Runs the check for each model on the same data (options: as for gn_check; model, steps, keep_train and
 * keep_test are not looked at); the lexical control, which is the same for all, once. All models are loaded
 * once before the first is used, so that a wrong name does not come to light after an hour. One model beats
 * another where the exact McNemar test (with groups: the paired bootstrap) of their held-out answers within
 * test has p_holm <= alpha. Errors: those of gn_check; GN_INVALID_ARGUMENT (no model, a model twice). Free
 * with gn_comparison_free. */
GN_API gn_status gn_compare(gn_context *ctx, const gn_check_options *options, const char *const *model,
                            size_t models, gn_comparison *out, gn_error *err);
GN_API void gn_comparison_free(gn_comparison *c);

/* One table and what follows from it; columns: as in gn_report_text. *out: free() it. */
GN_API gn_status gn_comparison_text(const gn_comparison *c, gn_lang lang, unsigned columns, char **out,
                                    size_t *length, gn_error *err);
/* The same as a page that needs nothing from outside, with what each check decides and a picture. *out:
 * free() it. */
GN_API gn_status gn_comparison_html(const gn_comparison *c, gn_lang lang, char **out, size_t *length,
                                    gn_error *err);
/* Schema "genchi.compare/1" (docs/compare.md). Non-finite numbers become null. */
GN_API gn_status gn_comparison_json(const gn_comparison *c, char **out, size_t *length, gn_error *err);

#ifdef __cplusplus
}
#endif
#endif
