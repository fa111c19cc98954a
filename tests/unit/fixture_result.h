/* A synthetic but plausible gn_result for the tests of the report: everything in it is made up by seeded
 * code, and owned by the heap exactly as a real one, so that gn_result_free frees it. */
#ifndef GENCHI_TESTS_FIXTURE_RESULT_H
#define GENCHI_TESTS_FIXTURE_RESULT_H

#include "genchi/check.h"

enum {
    FIXTURE_UNLABELLED = 1,    /* neither set has labels */
    FIXTURE_THREE_CLASSES = 2, /* negative, neutral, positive */
    FIXTURE_NO_CONTROL = 4,    /* the model itself is the lexical control */
    FIXTURE_HIDE_TEXTS = 8,    /* as --hide-texts leaves it */
    FIXTURE_UNGROUPED = 16,    /* no group column: the clusters give the second opinion */
    FIXTURE_FINETUNE = 32      /* fine-tuning was tried: lp, full and LoRA on train and on test */
};

/* Two classes, 400 train and 320 test rows, grouped test set, control, verdict fix_data. */
void fixture_result(gn_result *r);
/* flags: any of FIXTURE_*. */
void fixture_result_with(gn_result *r, unsigned flags);

#endif
