/* Everything the reports say in sentences: verdicts, reasons, actions; English and Japanese.
 * Plain UTF-8 without markup: the caller escapes for its medium. */
#ifndef GENCHI_REPORT_SENTENCES_H
#define GENCHI_REPORT_SENTENCES_H

#include "core/core.h"
#include "genchi/report.h"

/* "A linear probe is enough" / "線形プローブで十分です": the headline. Static storage, like all that follow.
 */
const char *gn__verdict_title(gn_verdict_code code, gn_lang lang);
/* One or two sentences that say what the headline means. */
const char *gn__verdict_summary(gn_verdict_code code, gn_lang lang);
/* Headings of the three groups of reasons: "What speaks for it", … */
const char *gn__stance_title(gn_stance stance, gn_lang lang);
/* "Different", "Equivalent within the tolerance", "Not enough data". */
const char *gn__shift_answer_text(gn_shift_answer answer, gn_lang lang);
/* "Test, own labels, whole groups held out", … */
const char *gn__method_text(gn_method method, gn_lang lang);
const char *gn__source_text(gn_source source, gn_lang lang);
const char *gn__tuning_answer_text(gn_finetune_answer answer, gn_lang lang);
const char *gn__eval_text(gn_eval_kind kind, gn_lang lang);

/* Appends the sentence of a reason or an action. `r` names the classes (label values are indices into
 * r->class_name); it may be NULL, labels are then written as numbers. An unknown id gives the bare id. */
void gn__reason_text(const gn_result *r, const gn_reason *reason, gn_lang lang, gn__buf *out);

#endif
