/* What the table on a terminal and the page of a comparison have in common. */
#ifndef GENCHI_REPORT_COMPARE_H
#define GENCHI_REPORT_COMPARE_H

#include "core/core.h"
#include "genchi/compare.h"

/* Model, shift, AUC, overlap, test, train to test, gap, size, speed. */
enum { GN__COMPARISON_COLUMNS = 9 };
const char *gn__comparison_head(int column, gn_lang lang); /* static storage */
/* b: overwritten. */
void gn__comparison_cell(const gn_compared *m, int column, gn_lang lang, gn__buf *b);

/* Appended: which models see a shift; which is the better start; what the columns mean. */
void gn__comparison_sees(const gn_comparison *c, gn_lang lang, gn__buf *out);
void gn__comparison_better(const gn_comparison *c, gn_lang lang, gn__buf *out);
void gn__comparison_legend(const gn_comparison *c, gn_lang lang, gn__buf *out);

#endif
