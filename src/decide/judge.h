/* From the facts to the reasons and actions of a verdict whose code is set. */
#ifndef GENCHI_DECIDE_JUDGE_H
#define GENCHI_DECIDE_JUDGE_H

#include "decide/facts.h"
#include "decide/reasons.h"

/* Values beyond the id's own count are ignored. */
gn_reason gn__reason_make(gn__reason_id id, gn_stance stance, const double value[6]);
/* Two significant digits, upwards: a count of rows to label is a plan, not a measurement. */
size_t gn__round_rows(double rows);
bool gn__has_reason(const gn_verdict *v, gn__reason_id id);

void gn__weigh(const gn_evidence *e, const gn__facts *f, gn_verdict *v);
/* After gn__weigh: looks at the reasons, too. */
void gn__act(const gn_evidence *e, const gn__facts *f, gn_verdict *v);

#endif
