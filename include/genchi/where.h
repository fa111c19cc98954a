/* Where the shift is: the kinds of text that one set has and the other has not, and the parts of test that
 * train does not cover.
 *
 * Every interval here is taken on rows that had no part in finding what it is an interval of: kinds of text
 * are found on one half of the groups (rows) and measured on the other. docs/method-where.md. Floor 4. */
#ifndef GENCHI_WHERE_H
#define GENCHI_WHERE_H

#include "genchi/context.h"
#include "genchi/matrix.h"
#include "genchi/see.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A word that sets a kind of text apart from all other texts of both sets. */
typedef struct gn_where_word {
    char *word;
    gn_interval
        log_odds; /* log odds ratio of the word, with an informative Dirichlet prior (Monroe, Colaresi &
                     Quinn 2008, eqs. 15-22). Texts are counted, not occurrences; a group counts once */
    size_t inside, outside; /* texts (groups) with the word, in the half that the interval is from */
} gn_where_word;

typedef struct gn_where_text {
    size_t row;   /* of its set */
    int64_t line; /* filled by gn_check; else 0 */
    int label;    /* filled by gn_check; else -1 */
    double score; /* telling kinds: held-out probability, at equal priors, of the row's own set. Uncovered
                     parts: distance to the neighbour in train over the radius, above 1 */
    char *text;   /* filled by gn_check; NULL with hide_texts */
} gn_where_text;

/* A kind of text: what is nearer to its medoid than to the other medoids of its set, and no farther than any
 * member is from its own. */
typedef struct gn_where_cluster {
    bool test;                      /* the set it was found in */
    size_t rows;                    /* telling (uncovered) rows that it was found from */
    gn_interval share, other_share; /* of its own set's rows, of the other set's; an uncovered part: of test's
                                       rows, of train's (NaN) */
    gn_interval difference;         /* share minus other_share; Newcombe */
    gn_where_text *typical;         /* [typicals] the medoid first, then the nearest to it */
    size_t typicals;
    gn_where_word *word; /* [words] the most telling first */
    size_t words;
} gn_where_cluster;

typedef struct gn_where {
    bool available;
    char reason[160];
    gn_where_cluster *cluster; /* [clusters] train's, then test's, the commonest first */
    size_t clusters;
    /* What train covers: texts whose `neighbours`-th nearest text of train is not farther than for `nominal`
     * of train's own texts. */
    bool coverage_available;
    char coverage_reason[160];
    gn_interval coverage; /* share of test's rows that train covers; Wilson, groups by their design effect */
    gn_interval
        expected; /* the same for new rows of train: 1 - alpha, 95 % limits from the calibration rows */
    size_t neighbours, reference_rows, calibration_rows, test_rows;
    double radius;
    size_t novel; /* test rows that are new to train at a false discovery rate of novel_rate: conformal
                     p-values (Bates, Candès, Lei, Romano & Sesia 2023), Benjamini & Hochberg */
    double novel_rate;
    gn_where_cluster *uncovered; /* [uncovered_parts] of test, the commonest first */
    size_t uncovered_parts;
} gn_where;

typedef struct gn_where_input {
    const gn_matrix *train, *test;                    /* same columns */
    const uint32_t *train_group, *test_group;         /* or NULL */
    const float *train_score, *test_score;            /* [rows] gn_detect's held-out probabilities of test */
    const char *const *train_text, *const *test_text; /* [rows] UTF-8; NULL: no words */
    const uint32_t *train_length, *test_length;       /* [rows] bytes */
} gn_where_input;

typedef struct gn_where_options {
    size_t most_clusters; /* a set, and of uncovered parts; 0: 5 */
    size_t typical;       /* texts a cluster; 0: 4 */
    size_t words;         /* a cluster; 0: 8 */
    uint64_t purpose;
} gn_where_options;

/* options may be NULL. Free with gn_where_free. Too few rows: GN_OK and !available with the reason.
 * Errors: GN_INVALID_ARGUMENT (columns differ). */
GN_API gn_status gn_where_run(gn_context *ctx, const gn_where_input *in, const gn_where_options *options,
                              gn_where *out, gn_error *err);
GN_API void gn_where_free(gn_where *w);

#ifdef __cplusplus
}
#endif
#endif
