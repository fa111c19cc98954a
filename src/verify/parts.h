/* What the files of verify/ share. Positions count the rows of a sample (the labelled, used rows), rows count
 * those of the matrix. */
#ifndef GENCHI_VERIFY_PARTS_H
#define GENCHI_VERIFY_PARTS_H

#include "core/core.h"
#include "genchi/verify.h"
#include "tensor/units.h"

/* ---- units and folds (folds.c) ------------------------------------------------------------------- */

/* Deals whole units into bins of the given shares, largest first, each to the bin where the labels of its
 * rows are scarcest. cap: rows bin 0 may hold (0: any number). */
gn_status gn__deal(const gn__units *units, const int *y, int classes, const double *share, size_t bins,
                   size_t cap, gn__rng *rng, uint32_t *bin, gn_error *err);

/* At most `want` folds so that at least two classes remain when any one of them is left out. *folds is 0
 * where even two folds cannot be had. */
gn_status gn__folds(const gn__units *units, const int *y, int classes, size_t want, uint64_t seed,
                    uint64_t purpose, uint64_t index, uint32_t *fold, size_t *folds, gn_error *err);

/* ---- intervals (interval.c) ---------------------------------------------------------------------- */

gn_interval gn__wilson(double right, double n);
/* 95 % interval from bootstrap replicates (sorted in place; NaN replicates are passed over), widened for few
 * units; always holds the estimate. NaN ends where units < 2 or most replicates are NaN. */
gn_interval gn__percentile(double estimate, double *replicate, size_t count, size_t units);
/* From an estimate and the variance that its influence function gives, with Student's quantile for units - 1
 * degrees of freedom; NaN ends for a single unit. A share in [0, 1]: Wilson's interval for as many rows as
 * would have that variance, `most` at the most. */
gn_interval gn__share(double estimate, double variance, size_t units, double most);
/* The same on the scale of log-odds; gn__share where there is no spread. */
gn_interval gn__odds(double estimate, double variance, size_t units, double most);
/* A mean of units whose distribution is skewed; not below 0. df: of the variance. */
gn_interval gn__skewed(double estimate, double variance, double skewness, size_t units, size_t df);
double gn__student_quantile(size_t df); /* of 0.975 */
/* Two-sided p of "the true value is 0" that belongs to gn__percentile's interval; never 0. */
double gn__percentile_p(const double *replicate, size_t count, size_t units);
double gn__mcnemar(size_t a_only, size_t b_only);
/* a − b of independent estimates, from their own intervals. */
gn_interval gn__difference(gn_interval a, gn_interval b);
/* P(T <= t), Student's distribution with df >= 1 degrees of freedom. */
double gn__student_cdf(double t, size_t df);

/* ---- scores (scores.c) --------------------------------------------------------------------------- */

/* Accuracy, balanced accuracy, macro-F1, AUC, log-loss. */
enum { GN__FIGURES = 5 };
/* What is known of cross-validated figures over other data, where the fits are other ones too
 * (gn__jackknife). */
typedef struct gn__over_data {
    double variance[GN__FIGURES]; /* without what is each repeat's own; below 0 by chance, NaN: not known */
    double plausible; /* variance of the log-loss at strengths that might as well have been chosen */
} gn__over_data;
/* Means over `repeats` tables of probabilities of the same rows: figures and influence functions alike.
 * over: NULL: the intervals speak of rows like these, given the probabilities. */
gn_status gn__scores_of(gn_context *ctx, const float *const *probability, size_t repeats, const int *y,
                        size_t rows, int classes, const uint32_t *group, const gn__over_data *over,
                        gn_scores *out, gn_error *err);
/* The figures alone. */
gn_status gn__figures_of(const float *probability, const int *y, size_t rows, int classes,
                         double figure[GN__FIGURES], gn_error *err);
/* The plain calibration error, before chance is taken off. */
double gn__plain_calibration(const float *probability, const int *y, size_t rows, int classes);

/* ---- comparing (paired.c) ------------------------------------------------------------------------ */

/* a, b: [rows] how often each was right, 0 to 1; group by position or NULL. */
gn_status gn__paired_right(gn_context *ctx, const float *a, const float *b, size_t rows,
                           const uint32_t *group, size_t bootstrap, uint64_t purpose, gn_paired *out,
                           gn_error *err);
/* The most probable class, ties to the lower index. */
int gn__top_class(const float *probability, int classes);

/* ---- fitting (path.c, probe.c) ------------------------------------------------------------------- */

/* Options with the defaults filled in. */
typedef struct gn__plan {
    size_t folds, inner_folds, repeats, bootstrap, max_rows; /* repeats 0: by the rows, gn__repeats */
    size_t lambda_count;
    double *lambda; /* strong to weak; owned */
} gn__plan;
gn_status gn__plan_make(const gn_probe_options *options, gn__plan *out, gn_error *err);
void gn__plan_free(gn__plan *plan);

/* Labelled rows of a matrix. */
typedef struct gn__sample {
    const gn_matrix *x;
    int classes;
    size_t n;
    uint32_t *row;   /* [n]; owned */
    int *y;          /* [n]; owned */
    uint32_t *group; /* [n] or NULL; owned */
} gn__sample;
/* Rows with y >= 0. Errors: GN_INVALID_ARGUMENT (a label >= classes), GN_DATA (not finite). */
gn_status gn__sample_make(const gn_matrix *x, const int *y, int classes, const uint32_t *group,
                          gn__sample *out, gn_error *err);
/* The positions p of s with keep[p] == value, or (invert) with another value. */
gn_status gn__sample_part(const gn__sample *s, const uint32_t *keep, uint32_t value, bool invert,
                          gn__sample *out, gn_error *err);
void gn__sample_free(gn__sample *s);
size_t gn__sample_classes(const gn__sample *s); /* how many classes occur */
int gn__sample_majority(const gn__sample *s);   /* the commonest class, ties to the lower */

/* ---- folds whose fits share their passes (shared.c) ------------------------------------------------ */

typedef struct gn__shared_fits gn__shared_fits;
/* Whether there are rows enough, of two classes. */
bool gn__shared_worth(const gn__sample *s, size_t folds);
/* fold: [n]; without any one fold both classes remain. s and fold are borrowed. */
gn_status gn__shared_make(gn_context *ctx, const gn__sample *s, const uint32_t *fold, size_t folds,
                          gn__shared_fits **out, gn_error *err);
void gn__shared_free(gn__shared_fits *f); /* NULL is fine */
/* Every fold's fit at a strength, from where it stands. */
gn_status gn__shared_run(gn__shared_fits *f, double lambda, double tolerance, int max_iterations,
                         gn_error *err);
/* All rows' mean [dim] and root mean square about it: the units of the weights [dim + 1]. */
const float *gn__shared_mean(const gn__shared_fits *f);
double gn__shared_scale(const gn__shared_fits *f);
const double *gn__shared_weight(const gn__shared_fits *f, size_t fold);
/* logits: [classes] of a row by the fit that does not see it. */
void gn__shared_logits(const gn__shared_fits *f, size_t position, float *logits);

/* Fits done so far and in all, for the progress bar. */
typedef struct gn__steps {
    size_t done, total;
} gn__steps;

/* One fit with its strength chosen by inner cross-validation. */
typedef struct gn__job {
    gn__sample sample; /* in; owned by the job */
    uint64_t purpose, index;
    double lambda; /* > 0: this strength, to the precision that choosing one takes; 0: it is chosen */
    /* out */
    gn_probe probe;
    /* Filled when keep_held: what the inner folds' fits said of the rows that they did not see, each at the
     * strength that the other folds' losses chose. */
    bool keep_held;
    size_t folds;
    uint32_t *fold;      /* [n] */
    float *held;         /* [n × classes] logits */
    double *fold_lambda; /* [folds] */
    bool keep_losses;
    float *losses; /* [strengths × n] when keep_losses: of each row held out in the inner folds, by strength
                      from strong to weak; NaN: not reached, or there were no inner folds */
} gn__job;
/* Fits all jobs side by side. Where inner folds cannot be had, the middle of the path is used. */
gn_status gn__fit_jobs(gn_context *ctx, const gn__plan *plan, gn__job *job, size_t jobs, gn__steps *steps,
                       gn_error *err);
void gn__job_free(gn__job *job);

/* logits: [classes]; -INFINITY for a class that the probe never saw. */
void gn__probe_logits(const gn_probe *p, const float *x, float *logits);
void gn__softmax(const float *logits, int classes, float *probability);
/* logits of matrix rows row[0..n) (NULL: 0..n-1): [n × classes]. */
gn_status gn__probe_rows(gn_context *ctx, const gn_probe *p, const gn_matrix *x, const uint32_t *row,
                         size_t n, float *logits, gn_error *err);
/* The first row and column that are not finite give GN_DATA. */
gn_status gn__require_finite(const gn_matrix *x, gn_error *err);

/* ---- cross-fitting (crossfit.c) ------------------------------------------------------------------ */

/* Above this many rows the outer folds' own losses choose the strength (leaving the judged fold out),
 * below it every outer fold has inner folds of its own. */
enum { GN__NESTED_ROWS = 2000 };

typedef struct gn__crossfit {
    bool possible; /* false: no two folds with two classes */
    size_t folds;
    uint32_t *fold;        /* [n] */
    float *logits;         /* [n × classes], by position */
    float *majority_right; /* [n] whether the fold's fitting rows' commonest class is the row's */
    double *fold_lambda;   /* [folds] */
    float **losses;        /* [folds], each [strengths × n] by position, NaN in the fold itself: what every
                              strength lost on each row when the fold's was chosen; NULL where folds share */
    double lambda;         /* median over folds */
    size_t fit_rows;       /* median over folds */
} gn__crossfit;
/* Repeats deal other folds. whole: also the probe on all rows; may be NULL. */
gn_status gn__crossfit_run(gn_context *ctx, const gn__plan *plan, const gn__sample *s, uint64_t purpose,
                           uint64_t repeat, gn__crossfit *out, gn_probe *whole, gn__steps *steps,
                           gn_error *err);
void gn__crossfit_free(gn__crossfit *c);
/* c: [repeats] of the same rows. group: [n] units that are left out whole, or NULL; where too few parts can
 * be left out the variances are NaN. For at most GN__NESTED_ROWS rows: beyond, it would take long. */
enum { GN__JACKKNIFE_PARTS = 20 };
gn_status gn__jackknife(gn_context *ctx, const gn__plan *plan, const gn__sample *s, const gn__crossfit *c,
                        size_t repeats, const uint32_t *group, uint64_t purpose, gn__over_data *out,
                        gn_error *err);
/* How often a cross-validation of n rows is repeated over other folds: what the luck of one deal is worth
 * against the time. */
size_t gn__repeats(const gn__plan *plan, size_t n);

#endif
