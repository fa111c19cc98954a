/* What kind of shift it is, and where: the parts, the shares of labels, the kinds of text that one set has
 * and the other has not, what train does not cover. */
#include "report/html.h"

#include <math.h>

/* ---- what kind --------------------------------------------------------------------------------- */

static const struct {
    gn_kind_part_id part;
    gn__html_id name, effect, found;
} parts[] = {{GN_KIND_COVARIATE, GN__H_KIND_COVARIATE, GN__H_KIND_AUC, GN__H_KIND_DO_COVARIATE},
             {GN_KIND_LABEL, GN__H_KIND_LABEL, GN__H_KIND_POINTS, GN__H_KIND_DO_LABEL},
             {GN_KIND_CONDITIONAL, GN__H_KIND_CONDITIONAL, GN__H_KIND_AUC_OF, GN__H_KIND_DO_CONDITIONAL},
             {GN_KIND_CONCEPT, GN__H_KIND_CONCEPT, GN__H_KIND_POINTS_OF, GN__H_KIND_DO_CONCEPT},
             {GN_KIND_TOTAL, GN__H_KIND_TOTAL, GN__H_KIND_AUC, GN__H_COUNT}};

static const char *answer_of(gn__page *p, const gn_kind_part *part)
{
    static const gn__html_id ids[] = {[GN_SHIFT_DIFFERENT] = GN__H_KIND_YES,
                                      [GN_SHIFT_EQUIVALENT] = GN__H_KIND_NO,
                                      [GN_SHIFT_NOT_ENOUGH_DATA] = GN__H_KIND_OPEN};
    bool tested = isfinite(part->p_value);
    return gn__word_of(p, tested ? ids[part->answer] : GN__H_KIND_UNTESTED);
}

static const char *effect_of(gn__page *p, const gn_kind_part *part, gn__html_id format)
{
    bool auc = format == GN__H_KIND_AUC || format == GN__H_KIND_AUC_OF;
    if (!isfinite(part->effect.estimate)) return "–";
    gn_interval points = {100 * part->effect.estimate, 100 * part->effect.low, 100 * part->effect.high};
    const char *value = auc ? gn__n_interval(p, part->effect, 2) : gn__n_interval(p, points, 1);
    const char *const args[] = {value, part->label >= 0 ? gn__class_name(p, part->label) : "–"};
    return gn__compose_all(p, format, args, 2);
}

static void put_parts(gn__page *p)
{
    static const gn__html_id head[] = {GN__H_COL_PART, GN__H_COL_ANSWER, GN__H_COL_SIZE, GN__H_COL_P};
    const gn_kind *k = &p->r->kind;
    gn__table t = gn__table_begin(p, head, 4, 4);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const gn_kind_part *part = &k->part[parts[i].part];
        if (!k->test_labelled && parts[i].part != GN_KIND_COVARIATE) continue;
        gn__cell(&t, gn__word_of(p, parts[i].name));
        gn__cell(&t, answer_of(p, part));
        gn__cell(&t, effect_of(p, part, parts[i].effect));
        gn__cell(&t, gn__n_p(p, part->p_value));
    }
    gn__table_end(&t);
}

/* What each part that was found asks for. */
static void put_advice(gn__page *p)
{
    const gn_kind *k = &p->r->kind;
    bool any = false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].found == GN__H_COUNT || k->part[parts[i].part].answer != GN_SHIFT_DIFFERENT) continue;
        if (!any) gn__put(p, "<ul>\n");
        any = true;
        gn__put(p, "<li>");
        gn__say(p, parts[i].found);
        gn__put(p, "</li>\n");
    }
    if (any)
        gn__put(p, "</ul>\n");
    else
        gn__paragraph(p, NULL, gn__word_of(p, GN__H_KIND_NONE_FOUND));
    if (k->test_labelled && isnan(k->part[GN_KIND_CONCEPT].p_value) && isfinite(k->effective_dimension))
        gn__paragraph(p, "small",
                      GN__COMPOSE(p, KIND_CONCEPT_ROWS,
                                  gn__n_count(p, GN_KIND_ROWS_A_DIMENSION * k->effective_dimension)));
}

static void put_shares(gn__page *p)
{
    static const gn__html_id head[] = {GN__H_COL_CLASS, GN__H_HEAD_TRAIN, GN__H_HEAD_TEST,
                                       GN__H_COL_ESTIMATED, GN__H_COL_WEIGHT};
    const gn_kind *k = &p->r->kind;
    /* the estimate leans on texts of one label being alike */
    bool weights = k->weights && k->part[GN_KIND_CONDITIONAL].answer != GN_SHIFT_DIFFERENT;
    gn__put(p, "<h3>");
    gn__say(p, GN__H_KIND_SHARES);
    gn__put(p, "</h3>\n");
    gn__paragraph(p, NULL, gn__word_of(p, weights ? GN__H_KIND_SHARES_IS : GN__H_KIND_SHARES_PLAIN));
    gn__table t = gn__table_begin(p, head, weights ? 5 : 3, 1);
    for (int c = 0; c < k->classes; c++) {
        const gn_kind_class *row = &k->by_class[c];
        gn__cell(&t, gn__class_name(p, c));
        gn__cell(&t, gn__n_interval_percent(p, row->train_share, 1));
        gn__cell(&t, gn__n_interval_percent(p, row->test_share, 1));
        if (!weights) continue;
        gn__cell(&t, gn__n_interval_percent(p, row->estimated_share, 1));
        gn__cell(&t, gn__n_interval(p, row->weight, 2));
    }
    gn__table_end(&t);
}

static void put_predicted(gn__page *p)
{
    static const gn__html_id head[] = {GN__H_COL_CLASS, GN__H_COL_ANSWER, GN__H_COL_SIZE, GN__H_COL_P};
    const gn_kind *k = &p->r->kind;
    if (k->by_predicted == NULL || k->test_labelled) return;
    gn__put(p, "<h3>");
    gn__say(p, GN__H_KIND_PREDICTED);
    gn__put(p, "</h3>\n");
    gn__paragraph(p, NULL, GN__COMPOSE(p, KIND_PREDICTED_IS, gn__n_percent(p, k->probe_accuracy)));
    gn__table t = gn__table_begin(p, head, 4, 4);
    for (int c = 0; c < k->classes; c++) {
        const gn_shift *s = &k->by_predicted[c];
        gn_kind_part part = {.answer = s->answer, .p_value = s->p_holm, .effect = s->auc, .label = -1};
        gn__cell(&t, gn__class_name(p, c));
        gn__cell(&t, answer_of(p, &part));
        gn__cell(&t, effect_of(p, &part, GN__H_KIND_AUC));
        gn__cell(&t, gn__n_p(p, s->p_holm));
    }
    gn__table_end(&t);
}

void gn__html_kind(gn__page *p)
{
    const gn_kind *k = &p->r->kind;
    if (!(p->r->steps & GN_STEP_DETECT)) return;
    gn__section_begin(p, "kind", GN__H_KIND);
    if (k->available) {
        gn__paragraph(p, NULL, gn__word_of(p, k->test_labelled ? GN__H_KIND_IS : GN__H_KIND_IS_UNLABELLED));
        put_parts(p);
        put_advice(p);
        put_shares(p);
        put_predicted(p);
    } else {
        gn__paragraph(p, NULL, gn__word_of(p, GN__H_KIND_NO_LABELS));
    }
    gn__section_end(p);
}

/* ---- where ------------------------------------------------------------------------------------- */

/* "×3.2 (1.4–7.1)": the odds of the words; where none is sure, a few that may be, in grey. */
static void put_words(gn__page *p, const gn_where_cluster *c)
{
    enum { UNSURE = 3 };
    size_t sure = 0, shown = 0;
    for (size_t i = 0; i < c->words; i++) sure += c->word[i].log_odds.low > 0;
    if (c->words == 0) return;
    gn__put(p, "<p class=\"chips\">");
    for (size_t i = 0; i < c->words; i++) {
        const gn_where_word *w = &c->word[i];
        if (sure > 0 ? !(w->log_odds.low > 0) : shown == UNSURE) continue;
        shown++;
        gn_interval odds = {fmin(exp(w->log_odds.estimate), 999), fmin(exp(w->log_odds.low), 999),
                            fmin(exp(w->log_odds.high), 999)};
        gn__put(p, w->log_odds.low > 0 ? "<span class=\"chip\"><bdi>" : "<span class=\"chip unsure\"><bdi>");
        gn__escape_short(p, w->word != NULL ? w->word : "–", 40);
        gn__put(p, "</bdi> <small>×");
        gn__escape(p, gn__n_interval(p, odds, 1));
        gn__put(p, "</small></span> ");
    }
    gn__put(p, "</p>\n");
}

static void put_typical(gn__page *p, const gn_where_cluster *c)
{
    gn__put(p, "<ul>\n");
    for (size_t i = 0; i < c->typicals; i++) {
        const gn_where_text *t = &c->typical[i];
        gn__put(p, "<li>");
        if (t->text != NULL) {
            gn__put(p, "<bdi>");
            gn__escape(p, t->text);
            gn__put(p, "</bdi> ");
        }
        gn__put(p, "<small>");
        const char *line = gn__n_count(p, (double)t->line);
        if (t->label >= 0)
            GN__SAY(p, WHERE_LINE_LABEL, line, gn__class_name(p, t->label));
        else
            GN__SAY(p, WHERE_LINE, line);
        gn__put(p, "</small></li>\n");
    }
    gn__put(p, "</ul>\n");
}

static void put_card(gn__page *p, const gn_where_cluster *c, bool uncovered)
{
    const char *share = gn__n_interval_percent(p, c->share, 1),
               *other = gn__n_interval_percent(p, c->other_share, 1);
    gn__put(p, "<div class=\"card\">\n<h4>");
    if (uncovered)
        GN__SAY(p, WHERE_PART, share);
    else if (c->test)
        GN__SAY(p, WHERE_KIND_TEST, share, other);
    else
        GN__SAY(p, WHERE_KIND_TRAIN, share, other);
    gn__put(p, "</h4>\n");
    if (!uncovered && !(c->difference.low > 0)) gn__paragraph(p, "small", gn__word_of(p, GN__H_WHERE_UNSURE));
    put_words(p, c);
    put_typical(p, c);
    gn__put(p, "</div>\n");
}

static void put_kinds(gn__page *p, bool test)
{
    const gn_where *w = &p->r->where;
    bool any = false, sure = false; /* kinds that may be chance only where there is no other */
    for (size_t i = 0; i < w->clusters; i++)
        sure = sure || (w->cluster[i].test == test && w->cluster[i].difference.low > 0);
    gn__put(p, "<h3>");
    gn__say(p, test ? GN__H_WHERE_TEST : GN__H_WHERE_TRAIN);
    gn__put(p, "</h3>\n");
    for (size_t i = 0; i < w->clusters; i++) {
        if (w->cluster[i].test != test || (sure && !(w->cluster[i].difference.low > 0))) continue;
        any = true;
        put_card(p, &w->cluster[i], false);
    }
    if (!any) gn__paragraph(p, "small", gn__word_of(p, GN__H_WHERE_NONE));
}

static void put_coverage(gn__page *p)
{
    const gn_where *w = &p->r->where;
    gn__put(p, "<h3>");
    gn__say(p, GN__H_WHERE_COVER);
    gn__put(p, "</h3>\n");
    if (!w->coverage_available) {
        gn__paragraph(p, "small", gn__word_of(p, GN__H_WHERE_COVER_FEW));
        return;
    }
    gn__paragraph(p, NULL,
                  GN__COMPOSE(p, WHERE_COVER_IS, gn__n_interval_percent(p, w->coverage, 1),
                              gn__n_interval_percent(p, w->expected, 1), gn__n_count(p, (double)w->novel),
                              gn__n_count(p, (double)w->test_rows), gn__n_percent(p, w->novel_rate)));
    for (size_t i = 0; i < w->uncovered_parts; i++) put_card(p, &w->uncovered[i], true);
}

static bool hidden(const gn_where *w)
{
    for (size_t i = 0; i < w->clusters; i++)
        for (size_t k = 0; k < w->cluster[i].typicals; k++)
            if (w->cluster[i].typical[k].text != NULL) return false;
    return w->clusters > 0;
}

void gn__html_where(gn__page *p)
{
    const gn_where *w = &p->r->where;
    if (!(p->r->steps & GN_STEP_DETECT)) return;
    gn__section_begin(p, "where", GN__H_WHERE);
    if (w->available) {
        gn__paragraph(p, NULL, gn__word_of(p, GN__H_WHERE_IS));
        if (hidden(w))
            gn__paragraph(p, "note", gn__word_of(p, GN__H_TEXTS_HIDDEN));
        else
            gn__paragraph(p, "small", gn__word_of(p, GN__H_WHERE_WORDS));
        put_kinds(p, true);
        put_kinds(p, false);
        put_coverage(p);
    } else {
        gn__paragraph(p, NULL, gn__word_of(p, GN__H_WHERE_FEW));
    }
    gn__section_end(p);
}
