/* The rules, from the first to the last: the first row whose every cell allows the fact decides. */
#include "decide/rules.h"

#include "decide/reasons.h"

#define YES GN__YES
#define NO GN__NO
#define UNK GN__UNKNOWN
#define ANY (GN__YES | GN__NO | GN__UNKNOWN)

/* clang-format off */
static const gn__rule rules[] = {
    /* name                      labelled different separates  carries  train reaches  tuned  tuning helps */
    {"tuning_helps",             {ANY, ANY,       YES,       YES, ANY, YES, YES}, GN_VERDICT_FINE_TUNE,
     "The probe would do already, and fine-tuning gets more of the same test rows right, beyond its interval."},
    {"probe_carries",            {ANY, ANY,       YES,       YES, ANY, ANY, ANY}, GN_VERDICT_LINEAR_PROBE,
     "The frozen model already separates the test data and train agrees. A shift, if there is one, does no harm here."},
    {"train_misleads",           {ANY, ANY,       YES,       NO,  ANY, ANY, ANY}, GN_VERDICT_FIX_DATA,
     "The model can do it, but not from this train set."},
    {"probe_on_one_population",  {ANY, NO,        YES,       UNK, YES, ANY, ANY}, GN_VERDICT_LINEAR_PROBE,
     "The loss is not measured sharply, but the sets are one population and the probe fitted on train reaches the bar by itself."},
    {"one_population_not_separated", {ANY, NO,    NO,        ANY, ANY, NO,  ANY}, GN_VERDICT_FINE_TUNE,
     "Nothing is wrong with the sampling; the frozen model does not see the labels."},
    {"one_population_tuning_helps", {ANY, NO,     NO,        ANY, ANY, YES, YES}, GN_VERDICT_FINE_TUNE,
     "The frozen model does not see the labels; fine-tuning was tried and gets more of the same test rows right."},
    {"one_population_tuning_fails", {ANY, NO,     NO,        ANY, ANY, YES, NO},  GN_VERDICT_RETHINK_DATA,
     "The frozen model does not see the labels, and fine-tuning was tried and gains nothing that matters."},
    {"one_population_tuning_open", {ANY, NO,      NO,        ANY, ANY, YES, UNK}, GN_VERDICT_MORE_DATA,
     "The frozen model does not see the labels; whether fine-tuning helps on test is open."},
    {"two_populations_not_separated", {ANY, YES,  NO,        ANY, ANY, ANY, ANY}, GN_VERDICT_RETHINK_DATA,
     "Neither one population nor labels that the model sees."},
    {"shift_without_labels",     {NO,  YES,       YES | UNK, UNK, ANY, ANY, ANY}, GN_VERDICT_FIX_DATA,
     "The sets differ and labels are missing, so nothing shows that train carries over regardless."},
    {"labels_missing",           {NO,  ANY,       ANY,       ANY, ANY, ANY, ANY}, GN_VERDICT_MORE_DATA,
     "No difference is proven, and without labels on both sides nothing more can be said."},
    {"separation_unknown",       {ANY, ANY,       UNK,       ANY, ANY, ANY, ANY}, GN_VERDICT_MORE_DATA,
     "Whether the model separates the test data is open."},
    {"transfer_unknown",         {ANY, ANY,       YES,       UNK, ANY, ANY, ANY}, GN_VERDICT_MORE_DATA,
     "The model separates the test data; whether train carries over is open."},
    {"shift_unknown",            {ANY, UNK,       NO,        ANY, ANY, ANY, ANY}, GN_VERDICT_MORE_DATA,
     "The model does not separate the test data; whether the sets are one population, and so what to do about it, is open."},
};
/* clang-format on */

const gn__rule *gn__rules(size_t *n)
{
    *n = sizeof rules / sizeof *rules;
    return rules;
}

const gn__rule *gn__rule_match(const gn__truth fact[GN__FACT_COUNT])
{
    const gn__rule *last = &rules[sizeof rules / sizeof *rules - 1];
    for (const gn__rule *r = rules; r < last; r++) {
        int f = 0;
        while (f < GN__FACT_COUNT && (r->allow[f] & fact[f])) f++;
        if (f == GN__FACT_COUNT) return r;
    }
    return last;
}

static const char *cell(unsigned char allow)
{
    static const char *const text[] = {
        [NO] = "no",
        [YES] = "yes",
        [YES | NO] = "yes or no",
        [UNK] = "unknown",
        [NO | UNK] = "no or unknown",
        [YES | UNK] = "yes or unknown",
        [ANY] = "–",
    };
    return text[allow];
}

static void put_thresholds(gn__buf *out)
{
    gn__buf_puts(out, "\n| threshold | value | |\n|---|---|---|\n");
#define THRESHOLD(name, value, what) \
    gn__buf_printf(out, "| `%s` | %.3g | %s |\n", #name, (double)(value), what);
    GN__THRESHOLD_LIST(THRESHOLD)
#undef THRESHOLD
}

static void put_reasons(gn__buf *out)
{
    gn__buf_puts(out, "\n| id | values |\n|---|---|\n");
    for (int i = 0; i < GN__REASON_COUNT; i++) {
        const gn__reason_info *info = gn__reason_get((gn__reason_id)i);
        gn__buf_printf(out, "| `%s` | %s |\n", info->id, info->names);
    }
}

void gn__rules_markdown(gn__buf *out)
{
    static const char *const titles[] = {
#define TITLE(name, title, definition) title,
        GN__FACT_LIST(TITLE)
#undef TITLE
    };
    static const char *const definitions[] = {
#define DEFINITION(name, title, definition) definition,
        GN__FACT_LIST(DEFINITION)
#undef DEFINITION
    };
    gn__buf_puts(out, "| # | rule |");
    for (int f = 0; f < GN__FACT_COUNT; f++) gn__buf_printf(out, " %s |", titles[f]);
    gn__buf_puts(out, " verdict | because |\n|---|---|");
    for (int f = 0; f < GN__FACT_COUNT; f++) gn__buf_puts(out, "---|");
    gn__buf_puts(out, "---|---|\n");
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        gn__buf_printf(out, "| %zu | `%s` |", i + 1, rules[i].name);
        for (int f = 0; f < GN__FACT_COUNT; f++) gn__buf_printf(out, " %s |", cell(rules[i].allow[f]));
        gn__buf_printf(out, " `%s` | %s |\n", gn_verdict_name(rules[i].verdict), rules[i].why);
    }
    gn__buf_puts(out, "\n| fact | yes, no or unknown |\n|---|---|\n");
    for (int f = 0; f < GN__FACT_COUNT; f++) gn__buf_printf(out, "| %s | %s |\n", titles[f], definitions[f]);
    put_thresholds(out);
    put_reasons(out);
}
