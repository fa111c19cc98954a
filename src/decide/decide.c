#include "decide/judge.h"
#include "decide/rules.h"

#include <math.h>
#include <stdio.h>

size_t gn__round_rows(double rows)
{
    if (!(rows > 0)) return 0;
    if (rows > 1e9) rows = 1e9;
    double step = pow(10, fmax(0, floor(log10(rows)) - 1));
    return (size_t)(ceil(rows / step - 1e-9) * step);
}

/* Rows that would settle every unknown which kept a rule from matching. */
static size_t rows_needed(const gn_evidence *e, const gn__facts *f)
{
    bool separates = f->fact[GN__FACT_SEPARATES] == GN__YES;
    double rows = f->rows_separates;
    if (separates) rows = fmax(rows, f->rows_carries);
    if (f->fact[GN__FACT_SEPARATES] == GN__NO || f->fact[GN__FACT_LABELLED] == GN__NO)
        rows = fmax(rows, f->rows_shift);
    if (f->fact[GN__FACT_SEPARATES] == GN__NO && f->fact[GN__FACT_TUNED] == GN__YES)
        rows = fmax(rows, f->rows_tuning);
    /* an interval that is not symmetric may ask for fewer than there are; a fifth more is the least step */
    if (rows > 0 && f->test_labelled) rows = fmax(rows, 1.2 * (double)e->test_rows);
    return gn__round_rows(rows);
}

void gn_decide(const gn_evidence *e, gn_verdict *out)
{
    gn__facts f;
    gn__facts_derive(e, &f);
    const gn__rule *rule = gn__rule_match(f.fact);
    *out = (gn_verdict){.code = rule->verdict};
    static const bool passes[] = {
#define PASSES(name, code, gate) gate,
        GN_VERDICT_LIST(PASSES)
#undef PASSES
    };
    out->gate_passes = passes[rule->verdict];
    snprintf(out->rule, sizeof out->rule, "%s", rule->name);
    if (rule->verdict == GN_VERDICT_MORE_DATA || f.fact[GN__FACT_LABELLED] == GN__NO)
        out->rows_needed = rows_needed(e, &f);
    gn__weigh(e, &f, out);
    gn__act(e, &f, out);
    if (rule->verdict != GN_VERDICT_MORE_DATA) out->rows_needed = 0;
}

const char *gn_verdict_name(gn_verdict_code code)
{
    static const char *const names[] = {
#define NAME(name, code_, gate) code_,
        GN_VERDICT_LIST(NAME)
#undef NAME
    };
    return code >= 0 && code < GN_VERDICT_COUNT ? names[code] : "unknown";
}

const char *gn_shift_answer_name(gn_shift_answer answer)
{
    switch (answer) {
    case GN_SHIFT_DIFFERENT:
        return "different";
    case GN_SHIFT_EQUIVALENT:
        return "equivalent";
    case GN_SHIFT_NOT_ENOUGH_DATA:
        return "not_enough_data";
    }
    return "unknown";
}

const char *gn_eval_name(gn_eval_kind kind)
{
    static const char *const names[] = {
#define NAME(name, key) key,
        GN_EVAL_LIST(NAME)
#undef NAME
    };
    return kind >= 0 && kind < GN_EVAL_COUNT ? names[kind] : "unknown";
}
