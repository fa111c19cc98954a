/* What kind of shift: in how often each label occurs, in the texts, in the texts of a label, or in what a
 * text is labelled? Each calls for another cure.
 *
 * The parts are those of DetectShift (Polo, Izbicki, Lacerda, Ibieta-Jimenez & Vicente 2022, arXiv
 * 2205.08340). How each p-value is made, and why it is valid, stands in docs/method-kinds.md. Floor 4. */
#ifndef GENCHI_KIND_H
#define GENCHI_KIND_H

#include "genchi/detect.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(NAME, json key) */
#define GN_KIND_PART_LIST(X)                         \
    X(TOTAL, "total")                   /* P(x,y) */ \
    X(COVARIATE, "covariate")           /* P(x) */   \
    X(LABEL, "label")                   /* P(y) */   \
    X(CONCEPT, "concept")               /* P(y|x) */ \
    X(CONDITIONAL, "class_conditional") /* P(x|y) */

typedef enum gn_kind_part_id {
#define GN_KIND_PART_ENUM(name, key) GN_KIND_##name,
    GN_KIND_PART_LIST(GN_KIND_PART_ENUM)
#undef GN_KIND_PART_ENUM
        GN_KIND_PARTS
} gn_kind_part_id;

enum { GN_KIND_ROWS_A_DIMENSION = 20 }; /* that the concept part takes, see gn_kind.effective_dimension */

typedef struct gn_kind_part {
    gn_shift_answer answer; /* not_enough_data also where the part could not be tested */
    double p_value;         /* NaN: not tested */
    gn_interval
        effect;       /* total, covariate: AUC of the domain classifier (total: it sees the labels too).
                         class-conditional: the same within the label of the largest AUC.
                         label: total variation distance of the label shares; with more than two classes
                         the interval holds for every way of putting labels together (Scheffé).
                         concept: the largest |concept_difference| of by_class, with that label's interval */
    double tolerance; /* of the effect */
    int label;        /* the label that `effect` is of (concept, class-conditional); else -1 */
} gn_kind_part;

typedef struct gn_kind_class {
    size_t train_rows, test_rows;        /* with this label */
    gn_interval train_share, test_share; /* Wilson 1927; groups enter by their design effect */
    gn_interval share_difference;        /* test minus train; Newcombe 1998, method 10 */
    gn_interval concept_difference;      /* for one and the same text: P(label | x) in test minus in train,
                                            averaged over texts that both sets could hold (weights e(x)(1 -
                                            e(x))); Robinson 1988 */
    gn_interval estimated_share;         /* in test, without looking at test's labels: black-box shift
                                            estimation (BBSE, Lipton, Wang & Smola 2018), bootstrap */
    gn_interval weight;                  /* estimated_share / train share: what a train row of the label
                                            counts for; the same bootstrap */
} gn_kind_class;

typedef struct gn_kind {
    bool available;
    char reason[160];   /* why not */
    bool test_labelled; /* false: only the covariate part, the estimated shares and by_predicted */
    int classes;
    gn_kind_part part[GN_KIND_PARTS];
    /* Whether texts are labelled alike can only be told where label and set can be modelled: at least 10
     * drawn rows (one a group) for every effective dimension, (sum of variances)^2 / sum of their squares. */
    double effective_dimension; /* NaN: not looked at */
    char concept_reason[160];   /* why the concept part was not tested */
    gn_kind_class *by_class;    /* [classes] */
    /* From a probe fitted on a third of train's groups (rows), which no test below looks at: */
    bool probed;
    char probe_reason[160];          /* why not */
    size_t probe_rows, heldout_rows; /* fitted on; train rows left for the confusion matrix and the tests */
    double probe_accuracy;           /* on those */
    bool weights;           /* estimated_share and weight are there; they hold if texts of one label are the
                               same in both sets. false: the probe does not tell the labels apart, or a share
                               would surely be below 0 or above 1: no mix of train's labels looks like test */
    gn_shift *by_predicted; /* [classes] or NULL: rows that the probe gives each label, the sets compared;
                               p_holm over the labels. Needs no labels of test */
} gn_kind;

typedef struct gn_kind_input {
    const gn_matrix *train, *test;       /* same columns */
    const int *train_label, *test_label; /* [rows], -1: none; test_label may be NULL */
    int classes;
    const uint32_t *train_group, *test_group; /* NULL: every row its own */
    const gn_shift *shift, *by_label; /* what gn_detect said already of the sets and (adjusted) of each label
                                         [classes]; NULL: done here */
} gn_kind_input;

typedef struct gn_kind_options {
    gn_detect_options detect; /* alpha, tolerance of AUCs, permutations, folds, min_rows; its groups are not
                                 looked at */
    double share_tolerance;   /* of label shares and of labels given to one text; 0: 0.05 */
    size_t bootstrap;         /* replicates for BBSE; 0: 500 */
} gn_kind_options;

/* The parts, shares, weights. options may be NULL. Free with gn_kind_free. Without usable labels in train:
 * GN_OK and !available with the reason.
 * Errors: GN_INVALID_ARGUMENT (columns differ, labels outside of [-1, classes)), GN_DATA (not finite). */
GN_API gn_status gn_kind_run(gn_context *ctx, const gn_kind_input *in, const gn_kind_options *options,
                             gn_kind *out, gn_error *err);
GN_API void gn_kind_free(gn_kind *k);
GN_API const char *gn_kind_part_name(gn_kind_part_id part); /* "class_conditional" */

#ifdef __cplusplus
}
#endif
#endif
