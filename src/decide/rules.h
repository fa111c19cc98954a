#ifndef GENCHI_DECIDE_RULES_H
#define GENCHI_DECIDE_RULES_H

#include "decide/facts.h"

typedef struct gn__rule {
    const char *name;
    unsigned char allow[GN__FACT_COUNT]; /* gn__truth bits */
    gn_verdict_code verdict;
    const char *why;
} gn__rule;

/* The first rule that the facts satisfy; there always is one. */
const gn__rule *gn__rule_match(const gn__truth fact[GN__FACT_COUNT]);
/* The rules, [0, *n), for the tests. */
const gn__rule *gn__rules(size_t *n);
/* The tables of facts, thresholds, rules, verdicts and reasons as docs/verdicts.md prints them. */
void gn__rules_markdown(gn__buf *out);

#endif
