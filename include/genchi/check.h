/* The whole line in one call, and its result: everything that the terminal, result.json and the HTML
 * report show. The struct is filled by gn_check (floor 6) or read back from result.json (floor 6). */
#ifndef GENCHI_CHECK_H
#define GENCHI_CHECK_H

#include "genchi/cache.h"
#include "genchi/dataset.h"
#include "genchi/decide.h"
#include "genchi/finetune.h"
#include "genchi/kind.h"
#include "genchi/model.h"
#include "genchi/where.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GN_GRID1 = 256, GN_GRID2 = 96 }; /* points of the density grids in a result */

typedef struct gn_set_info {
    char *path, *format, *encoding, *text_column, *label_column, *group_column; /* NULL: none */
    char sha256[65];
    size_t rows;      /* used */
    size_t rows_read; /* records in the file */
    size_t malformed, empty, dropped_by_label, unlabelled;
    int64_t *malformed_line; /* [malformed] */
    char **malformed_reason; /* [malformed] */
    size_t groups;           /* 0: no group column */
    size_t *class_rows;      /* [classes], NULL without labels */
} gn_set_info;

typedef struct gn_model_evidence_info {
    char *name, *architecture, *path, *pooling, *dtype, *tokenizer;
    char *prompt; /* stood before every text; NULL: none */
    char sha256[65];
    size_t dim, layers, max_length, parameters;
    bool normalize;
    size_t cut_train, cut_test; /* texts cut at max_length */
    size_t tokens;
} gn_model_evidence_info;

/* A drawn point: one row of a set. */
typedef struct gn_point {
    float x, y; /* PC1, PC2 */
    int label;  /* -1: none */
    bool test;
    char *text; /* shortened to 280 characters; NULL with hide_texts */
} gn_point;

/* A text that the other set has least of. */
typedef struct gn_example {
    char *text;   /* shortened; NULL with hide_texts */
    size_t row;   /* 0-based among the used rows */
    int64_t line; /* in the source file */
    int label;
    double score; /* probability, at equal priors, of belonging to its own set */
} gn_example;

/* Density of one group (a set, or a set's class) on the common grids. */
typedef struct gn_density {
    bool test;
    int label; /* -1: the whole set */
    size_t rows;
    double bandwidth1, bandwidth2[2];
    double *pc1;   /* [GN_GRID1] over picture.low1..high1 */
    double *probe; /* [GN_GRID1] along the probe's direction, or NULL */
    double *plane; /* [GN_GRID2 × GN_GRID2], row-major from low y; NULL: fewer than 10 rows */
} gn_density;

typedef struct gn_picture {
    size_t components;            /* kept for explained[] */
    double *explained;            /* [components] ratio of total variance */
    double low1, high1;           /* PC1 grid */
    double low_probe, high_probe; /* probe grid; both 0 without */
    double low2[2], high2[2];     /* plane grid */
    gn_density *density; /* [densities]: whole train, whole test, then each class of train and test */
    size_t densities;
    gn_point *point; /* [points] a random part of each set, at most 1000 each */
    size_t points;
    gn_overlap pc1, plane, probe; /* probe.overlap.estimate NaN without labels */
} gn_picture;

/* Everything one model (or the control) had to say. */
typedef struct gn_model_evidence {
    gn_model_evidence_info model;
    gn_picture picture; /* the control: overlaps only, no densities and no points */
    gn_shift shift;
    gn_shift *by_label;      /* [classes] or NULL */
    gn_probe_evidence probe; /* probabilities are not kept in result.json */
} gn_model_evidence;

/* Peak resident memory of the process up to the end of each step, bytes. */
typedef struct gn_peak_memory {
    double read, load, embed, see, detect, verify, control;
} gn_peak_memory;

typedef struct gn_timing {
    double read, load, embed, control, see, detect, verify, total; /* seconds */
    double peak_memory;                                            /* bytes, of the process so far */
    gn_peak_memory peak_after;
} gn_timing;

typedef struct gn_result {
    char *created; /* ISO 8601 UTC */
    char *version; /* genchi's */
    char *command; /* as typed, shell-quoted; may be NULL (library use) */
    uint64_t seed;
    unsigned threads;
    unsigned steps; /* GN_STEP_ flags: what was run; the fields of other steps are zero */
    gn_set_info train, test;
    gn_duplicates duplicates;
    bool kept_duplicates;
    int classes;
    char **class_name;                  /* [classes] */
    gn_model_evidence main, control;    /* control.model.name "builtin:char-ngram" */
    bool has_control;                   /* false: the model itself is the control */
    gn_example *only_train, *only_test; /* [examples_*] least like the other set, in main's space */
    size_t examples_train, examples_test;
    gn_kind kind;                  /* what kind of shift, in main's space; filled by the detect step */
    gn_where where;                /* where it is; likewise */
    gn_finetune_evidence finetune; /* zero without GN_STEP_FINETUNE */
    gn_verdict verdict;
    gn_timing timing;
    char **library; /* [libraries] "OpenBLAS 0.3.21", for the method section */
    size_t libraries;
} gn_result;

/* The steps of a run; a result says which ones it holds. decide needs all of the first three. FINETUNE trains
 * the model, which may take hours, and is in no default. */
enum {
    GN_STEP_SEE = 1,
    GN_STEP_DETECT = 2,
    GN_STEP_VERIFY = 4,
    GN_STEP_DECIDE = 8,
    GN_STEP_ALL = 15,
    GN_STEP_FINETUNE = 16
};

typedef struct gn_check_options {
    const char *train, *test;               /* files of texts; with no model, of embeddings (vectors.h) */
    const char *train_labels, *test_labels; /* beside .npy: one label a line (an empty line: none); or NULL */
    unsigned steps; /* GN_STEP_ flags; 0: all. The control runs only with GN_STEP_DECIDE */
    gn_dataset_options train_options, test_options;
    const char *model; /* as gn_model_load takes it; NULL: train and test are embeddings */
    gn_model_options model_options;
    gn_detect_options detect;
    gn_probe_options probe;
    gn_bandwidth bandwidth;
    gn_finetune_options finetune; /* with GN_STEP_FINETUNE */
    const char *save;             /* with it: directory for a model trained once more, on all labelled rows of
                                     save_source; NULL: none */
    gn_method save_method; /* GN_METHOD_LP: the one that did best on test, of those trained on save_source */
    gn_source save_source;
    bool keep_duplicates, hide_texts;
    gn_cache *cache;                   /* of embeddings; may be NULL */
    const char *command;               /* recorded; may be NULL */
    gn_matrix *keep_train, *keep_test; /* if not NULL, receive the embeddings (caller frees) */
} gn_check_options;

/* Runs look → detect → verify → decide, and fine-tuning where steps ask for it. On GN_OK *out is filled; free
 * with gn_result_free. Errors: those of each step; GN_DATA (fewer than 20 usable rows in a set). */
GN_API gn_status gn_check(gn_context *ctx, const gn_check_options *options, gn_result *out, gn_error *err);
GN_API void gn_result_free(gn_result *r);

#ifdef __cplusplus
}
#endif
#endif
