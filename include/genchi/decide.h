/* Deciding: all evidence in, one verdict out. The rules are one table, src/decide/rules.c, printed in
 * docs/verdicts.md.
 *
 * Floor 5. Reads plain structs only, so every rule is tested as a table. */
#ifndef GENCHI_DECIDE_H
#define GENCHI_DECIDE_H

#include "genchi/detect.h"
#include "genchi/finetune.h"
#include "genchi/kind.h"
#include "genchi/see.h"
#include "genchi/verify.h"
#include "genchi/where.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(NAME, json code, gate passes) */
#define GN_VERDICT_LIST(X)                 \
    X(LINEAR_PROBE, "linear_probe", true)  \
    X(FIX_DATA, "fix_data", false)         \
    X(FINE_TUNE, "fine_tune", true)        \
    X(RETHINK_DATA, "rethink_data", false) \
    X(MORE_DATA, "more_data", false)

typedef enum gn_verdict_code {
#define GN_VERDICT_ENUM(name, code, gate) GN_VERDICT_##name,
    GN_VERDICT_LIST(GN_VERDICT_ENUM)
#undef GN_VERDICT_ENUM
        GN_VERDICT_COUNT
} gn_verdict_code;

typedef enum gn_stance { GN_FOR, GN_AGAINST, GN_NOTE } gn_stance;

/* One sentence of evidence. `id` is a stable snake_case name ("shift_different"); the sentence itself is
 * rendered in the reader's language from id and value[] by report/. Which values an id carries is
 * listed in docs/verdicts.md. */
typedef struct gn_reason {
    const char *id; /* static storage */
    gn_stance stance;
    double value[6];
    int values;
} gn_reason;

enum { GN_MAX_REASONS = 24, GN_MAX_ACTIONS = 6 };

typedef struct gn_verdict {
    gn_verdict_code code;
    bool gate_passes;
    gn_reason reason[GN_MAX_REASONS]; /* the strongest first */
    int reasons;
    gn_reason action[GN_MAX_ACTIONS]; /* what to do on Monday, in order; stance is GN_NOTE */
    int actions;
    size_t rows_needed; /* more_data: labelled test rows that would do; else 0 */
    char rule[32];      /* the name of the rule (row of the table) that decided */
} gn_verdict;

/* What decide() looks at. Everything is plain data; pointers are borrowed. */
typedef struct gn_evidence {
    const gn_shift *shift;    /* model's own space; never NULL */
    const gn_shift *by_label; /* [labels] or NULL */
    size_t labels;
    const gn_shift *control_shift;          /* lexical control; may be NULL */
    const gn_overlap *overlap_pc1;          /* may be NULL */
    const gn_probe_evidence *probe;         /* may be NULL or !available: no labels */
    const gn_probe_evidence *control_probe; /* may be NULL */
    size_t train_rows, test_rows, duplicates_across, cut_texts;
    size_t conflicting_train, conflicting_test; /* repeats that carry another label */
    bool duplicates_kept;                       /* duplicates_across are still in train */
    bool grouped;                               /* a group column was named for test */
    const gn_kind *kind;                        /* may be NULL; notes only */
    const gn_where *where;                      /* may be NULL; notes only */
    const gn_finetune_evidence *finetune;       /* may be NULL: not tried */
} gn_evidence;

/* Never fails. */
GN_API void gn_decide(const gn_evidence *evidence, gn_verdict *out);

GN_API const char *gn_verdict_name(gn_verdict_code code);        /* "linear_probe" */
GN_API const char *gn_shift_answer_name(gn_shift_answer answer); /* "different" */
GN_API const char *gn_eval_name(gn_eval_kind kind);              /* "test_cv" */

#ifdef __cplusplus
}
#endif
#endif
