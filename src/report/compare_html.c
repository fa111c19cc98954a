/* A comparison of models as a page of its own, in the style of the report. */
#include "report/compare.h"

#include "report/chart.h"
#include "report/html.h"
#include "report/sentences.h"

#include <math.h>

enum { MOST_ROWS = GN__CHART_ROWS };

static const char *model_name(const gn_comparison *c, size_t i)
{
    return c->model[i].model.name ? c->model[i].model.name : "–";
}

/* A string that was composed elsewhere, as long-lived as the page; never NULL. */
static const char *keep(gn__page *p, gn__buf *b)
{
    const char *s = b->failed ? NULL : gn__arena_strndup(&p->scratch, b->data ? b->data : "", b->length);
    p->failed = p->failed || s == NULL;
    gn__buf_free(b);
    return s ? s : "";
}

/* ---- head ---- */

static void put_head(gn__page *p, const gn_comparison *c)
{
    static const gn__place places[] = {{"table", GN__H_CMP_TABLE},
                                       {"verdicts", GN__H_CMP_VERDICTS},
                                       {"pairs", GN__H_CMP_PAIRS},
                                       {"models", GN__H_CMP_MODELS}};
    gn__head(p, gn__word_of(p, GN__H_CMP_TITLE),
             GN__COMPOSE(p, CMP_SETS, gn__file_name(c->train), gn__n_count(p, (double)c->train_rows),
                         gn__file_name(c->test), gn__n_count(p, (double)c->test_rows),
                         gn__n_count(p, (double)c->models)),
             c->created, c->version, places, sizeof places / sizeof *places);
}

static void put_answer(gn__page *p, const gn_comparison *c)
{
    gn__buf sees = {0}, better = {0};
    gn__comparison_sees(c, p->lang, &sees);
    gn__comparison_better(c, p->lang, &better);
    gn__put(p, "<section id=\"answer\" class=\"verdict ");
    gn__put(p, c->better >= 0 ? "go" : "open");
    gn__put(p, "\">\n<div class=\"head\">\n<h1>");
    if (c->better >= 0)
        GN__SAY(p, CMP_BETTER, model_name(c, (size_t)c->better));
    else
        gn__say(p, GN__H_CMP_OPEN);
    gn__put(p, "</h1>\n");
    gn__paragraph(p, "summary", keep(p, &better));
    gn__paragraph(p, "summary", keep(p, &sees));
    gn__put(p, "</div>\n</section>\n");
}

/* ---- table and picture ---- */

static const char *points(gn__page *p, const gn_paired *d)
{
    if (!d->available) return "–";
    const char *range = GN__COMPOSE(p, FROM_TO, gn__n_signed_points(p, d->difference.low),
                                    gn__n_signed_points(p, d->difference.high));
    gn__buf b = {0};
    gn__buf_printf(&b, "%s (%s)", gn__n_signed_points(p, d->difference.estimate), range);
    return keep(p, &b);
}

/* As on a terminal, with the intervals that have room here. */
static const char *cell(gn__page *p, const gn_compared *m, int column)
{
    gn__buf b = {0};
    switch (column) {
    case 2:
        return gn__n_interval(p, m->shift.auc, 2);
    case 3:
        return gn__n_interval(p, m->overlap.overlap, 2);
    case 4:
        return gn__n_interval_percent(p, m->test_cv, 0);
    case 5:
        return gn__n_interval_percent(p, m->train_to_test, 0);
    case 6:
        return points(p, &m->gap);
    default:
        gn__comparison_cell(m, column, p->lang, &b);
        return keep(p, &b);
    }
}

static void put_table(gn__page *p, const gn_comparison *c)
{
    gn__buf legend = {0};
    gn__section_begin(p, "table", GN__H_CMP_TABLE);
    gn__put(p, "<div class=\"scroll\"><table>\n<thead><tr>");
    for (int k = 0; k < GN__COMPARISON_COLUMNS; k++) {
        gn__put(p, k > 1 ? "<th class=\"n\" scope=\"col\">" : "<th scope=\"col\">");
        gn__escape(p, gn__comparison_head(k, p->lang));
        gn__put(p, "</th>");
    }
    gn__put(p, "</tr></thead>\n<tbody>\n");
    gn__table t = {p, 0, GN__COMPARISON_COLUMNS, 2};
    for (size_t i = 0; i < c->models; i++)
        for (int k = 0; k < GN__COMPARISON_COLUMNS; k++) gn__cell(&t, cell(p, &c->model[i], k));
    gn__table_end(&t);
    gn__comparison_legend(c, p->lang, &legend);
    gn__paragraph(p, "small", keep(p, &legend));
    gn__paragraph(p, "small", gn__word_of(p, GN__H_CMP_SPEED));
}

/* Accuracies of each model with their intervals; nothing where there are no labels. */
static void put_picture(gn__page *p, const gn_comparison *c)
{
    static const gn_interval nothing = {NAN, NAN, NAN};
    gn__chart_row row[MOST_ROWS];
    const gn__legend_item item[] = {{GN__SWATCH_MARK, gn__model_look, gn__word_of(p, GN__H_CMP_WITHIN)},
                                    {GN__SWATCH_MARK, gn__control_look, gn__word_of(p, GN__H_CMP_ACROSS)}};
    gn__chart chart = {GN__H_CMP_PICTURE,         GN__H_PROBES_AXIS, row, 0, 1, 0, true, NAN, NAN, NAN, item,
                       sizeof item / sizeof *item};
    for (size_t i = 0; i < c->models && chart.rows < MOST_ROWS; i++) {
        const gn_interval *value[] = {&c->model[i].test_cv, &c->model[i].train_to_test};
        gn__chart_row *at = &row[chart.rows];
        *at = (gn__chart_row){.label = model_name(c, i)};
        for (int k = 0; k < 2; k++)
            if (isfinite(value[k]->estimate))
                at->mark[at->marks++] = (gn__chart_mark){*value[k], nothing, NAN, k == 1};
        chart.rows += at->marks > 0;
    }
    if (chart.rows == 0) return;
    gn__chart_range(&chart, 0);
    gn__put(p, "<figure class=\"two\">\n<div class=\"whole\"><h3>");
    gn__say(p, GN__H_CMP_PICTURE);
    gn__put(p, "</h3>\n");
    gn__chart_draw(p, GN__INLINE_WIDE, &chart);
    gn__chart_draw(p, GN__INLINE_NARROW, &chart);
    gn__put(p, "</div>\n<figcaption>\n");
    gn__paragraph(p, NULL, gn__word_of(p, GN__H_CMP_PICTURE_CAPTION));
    gn__put(p, "</figcaption>\n</figure>\n");
}

/* ---- verdicts, pairs, models ---- */

static void put_verdicts(gn__page *p, const gn_comparison *c)
{
    static const gn__html_id head[] = {GN__H_MODEL, GN__H_CMP_COL_VERDICT, GN__H_CMP_COL_MEANING};
    gn__section_begin(p, "verdicts", GN__H_CMP_VERDICTS);
    gn__table t = gn__table_begin(p, head, 3, 3);
    for (size_t i = 0; i < c->models; i++) {
        gn__cell(&t, model_name(c, i));
        gn__cell(&t, gn__verdict_title(c->model[i].verdict.code, p->lang));
        gn__cell(&t, gn__verdict_summary(c->model[i].verdict.code, p->lang));
    }
    gn__table_end(&t);
    gn__section_end(p);
}

static void put_pairs(gn__page *p, const gn_comparison *c)
{
    static const gn__html_id head[] = {GN__H_CMP_COL_PAIR, GN__H_CMP_COL_WITHIN, GN__H_CMP_COL_P,
                                       GN__H_CMP_COL_ACROSS, GN__H_CMP_COL_P};
    if (c->pairs == 0) return;
    gn__section_begin(p, "pairs", GN__H_CMP_PAIRS);
    gn__paragraph(p, NULL, gn__word_of(p, GN__H_CMP_PAIRS_INTRO));
    gn__table t = gn__table_begin(p, head, 5, 1);
    for (size_t i = 0; i < c->pairs; i++) {
        const gn_compared_pair *q = &c->pair[i];
        gn__buf name = {0};
        gn__buf_printf(&name, "%s − %s", model_name(c, q->a), model_name(c, q->b));
        gn__cell(&t, keep(p, &name));
        gn__cell(&t, points(p, &q->test_cv));
        gn__cell(&t, gn__n_p(p, q->test_cv_p_holm));
        gn__cell(&t, points(p, &q->train_to_test));
        gn__cell(&t, gn__n_p(p, q->train_to_test_p_holm));
    }
    gn__table_end(&t);
    gn__section_end(p);
}

static void put_models(gn__page *p, const gn_comparison *c)
{
    static const gn__html_id head[] = {
        GN__H_MODEL,           GN__H_CMP_COL_ARCHITECTURE, GN__H_CMP_COL_POOLING,
        GN__H_CMP_COL_TYPE,    GN__H_CMP_COL_LAYERS,       GN__H_CMP_COL_DIM,
        GN__H_CMP_COL_LONGEST, GN__H_CMP_COL_CUT,          GN__H_CMP_COL_LOAD};
    gn__section_begin(p, "models", GN__H_CMP_MODELS);
    gn__table t = gn__table_begin(p, head, 9, 4);
    for (size_t i = 0; i < c->models; i++) {
        const gn_model_evidence_info *m = &c->model[i].model;
        const char *const words[] = {model_name(c, i), m->architecture, m->pooling, m->dtype};
        const size_t counts[] = {m->layers, m->dim, m->max_length, m->cut_train + m->cut_test};
        for (size_t k = 0; k < 4; k++) gn__cell(&t, words[k] ? words[k] : "–");
        for (size_t k = 0; k < 4; k++)
            gn__cell(&t, counts[k] > 0 || k == 3 ? gn__n_count(p, (double)counts[k]) : "–");
        gn__cell(&t, gn__n_fixed(p, c->model[i].load_seconds, 1));
    }
    gn__table_end(&t);
    if (c->command != NULL) {
        gn__put(p, "<pre>");
        gn__escape(p, c->command);
        gn__put(p, "</pre>\n");
    }
    gn__section_end(p);
}

gn_status gn_comparison_html(const gn_comparison *c, gn_lang lang, char **out, size_t *length, gn_error *err)
{
    static const gn_result none; /* the page's helpers look at a result for class names; none is shown here */
    gn__page page;
    gn__page_begin(&page, &none, lang);
    put_head(&page, c);
    put_answer(&page, c);
    put_table(&page, c);
    put_picture(&page, c);
    gn__section_end(&page);
    put_verdicts(&page, c);
    put_pairs(&page, c);
    put_models(&page, c);
    gn__put(&page, "</main>\n</body>\n</html>\n");
    return gn__page_end(&page, out, length, err);
}
