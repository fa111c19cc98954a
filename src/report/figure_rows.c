/* The three row charts: overlap beside its yardstick, what the probes get right, AUC of the shift. */
#include "report/chart.h"

#include <math.h>

static const gn_interval nothing = {NAN, NAN, NAN};
static const gn__look band_look = {GN__YARDSTICK, GN__CIRCLE, false, false};
static const gn__look zone_look = {GN__ZONE, GN__CIRCLE, false, false};
static const gn__look ink_look = {GN__INK, GN__CIRCLE, false, true};

static size_t legend_models(const gn__page *p, gn__legend_item *item)
{
    item[0] = (gn__legend_item){GN__SWATCH_MARK, gn__model_look,
                                p->r->main.model.name ? p->r->main.model.name : ""};
    if (!p->r->has_control) return 1;
    item[1] = (gn__legend_item){GN__SWATCH_MARK, gn__control_look, gn__html_text(GN__H_CONTROL, p->lang)};
    return 2;
}

gn_status gn__draw_overlap(gn__page *p, gn__layout layout, gn_error *err)
{
    (void)err;
    const gn_picture *from[2] = {&p->r->main.picture, &p->r->control.picture};
    static const gn__html_id names[] = {GN__H_OVERLAP_PC1, GN__H_OVERLAP_PLANE, GN__H_OVERLAP_PROBE};
    gn__chart_row row[3];
    gn__legend_item item[3];
    gn__chart c = {
        GN__H_OVERLAP_TITLE, GN__H_OVERLAP_AXIS, row, 0, 0, 1, GN__UNIT_PLAIN, NAN, NAN, NAN, item, 0};
    for (int k = 0; k < 3; k++) {
        gn__chart_row *at = &row[c.rows];
        *at = (gn__chart_row){.label = gn__word_of(p, names[k])};
        for (int m = 0; m < (p->r->has_control ? 2 : 1); m++) {
            const gn_overlap *o = k == 0 ? &from[m]->pc1 : k == 1 ? &from[m]->plane : &from[m]->probe;
            if (isfinite(o->overlap.estimate))
                at->mark[at->marks++] = (gn__chart_mark){o->overlap, o->yardstick, NAN, m == 1};
        }
        c.rows += at->marks > 0;
    }
    c.legends = legend_models(p, item);
    item[c.legends++] = (gn__legend_item){GN__SWATCH_BAND, band_look, gn__word_of(p, GN__H_LEGEND_YARDSTICK)};
    gn__chart_draw(p, layout, &c);
    return GN_OK;
}

gn_status gn__draw_probes(gn__page *p, gn__layout layout, gn_error *err)
{
    (void)err;
    const gn_probe_evidence *from[2] = {&p->r->main.probe, &p->r->control.probe};
    gn__chart_row row[GN_EVAL_COUNT];
    gn__legend_item item[3];
    gn__chart c = {
        GN__H_PROBES_TITLE, GN__H_PROBES_AXIS, row, 0, 1, 0, GN__UNIT_PERCENT, NAN, NAN, NAN, item, 0};
    for (int k = 0; k < GN_EVAL_COUNT; k++) {
        gn__chart_row *at = &row[c.rows];
        *at = (gn__chart_row){.label = gn__word_of(p, gn__eval_label((gn_eval_kind)k))};
        for (int m = 0; m < (p->r->has_control ? 2 : 1); m++) {
            const gn_evaluation *e = &from[m]->eval[k];
            if (from[m]->available && e->available)
                at->mark[at->marks++] =
                    (gn__chart_mark){e->scores.accuracy, nothing, m == 0 ? e->majority : NAN, m == 1};
        }
        c.rows += at->marks > 0;
    }
    gn__chart_range(&c, 0);
    c.legends = legend_models(p, item);
    item[c.legends++] = (gn__legend_item){GN__SWATCH_TICK, ink_look, gn__word_of(p, GN__H_LEGEND_MAJORITY)};
    gn__chart_draw(p, layout, &c);
    return GN_OK;
}

static void shift_row(const gn__page *p, gn__chart_row *at, const char *label, int of)
{
    *at = (gn__chart_row){.label = label};
    const gn_model_evidence *from[2] = {&p->r->main, &p->r->control};
    for (int m = 0; m < (p->r->has_control ? 2 : 1); m++) {
        const gn_shift *s = of < 0 ? &from[m]->shift : from[m]->by_label ? &from[m]->by_label[of] : NULL;
        if (s != NULL && isfinite(s->auc.estimate))
            at->mark[at->marks++] = (gn__chart_mark){s->auc, nothing, NAN, m == 1};
    }
}

gn_status gn__draw_shift(gn__page *p, gn__layout layout, gn_error *err)
{
    (void)err;
    const gn_result *r = p->r;
    gn__chart_row row[GN__CHART_ROWS];
    gn__legend_item item[4];
    gn__chart c = {GN__H_SHIFT_TITLE,
                   GN__H_SHIFT_AXIS,
                   row,
                   0,
                   0.45,
                   0.75,
                   GN__UNIT_PLAIN,
                   0.5,
                   0.5,
                   r->main.shift.tolerance,
                   item,
                   0};
    shift_row(p, &row[c.rows++], gn__word_of(p, GN__H_SHIFT_ALL), -1);
    for (int k = 0; k < r->classes && r->main.by_label != NULL && c.rows < GN__CHART_ROWS; k++) {
        shift_row(p, &row[c.rows], GN__COMPOSE(p, SHIFT_LABEL, gn__class_name(p, k)), k);
        c.rows += row[c.rows].marks > 0;
    }
    gn__chart_range(&c, 0);
    c.legends = legend_models(p, item);
    item[c.legends++] = (gn__legend_item){GN__SWATCH_LINE, ink_look, gn__word_of(p, GN__H_LEGEND_CHANCE)};
    item[c.legends++] =
        (gn__legend_item){GN__SWATCH_BAND, zone_look,
                          GN__COMPOSE(p, LEGEND_TOLERANCE, gn__n_fixed(p, r->main.shift.tolerance, 2))};
    gn__chart_draw(p, layout, &c);
    return GN_OK;
}
