/* Fine-tuning: differences from the probe as rows, and the two sets before and after. */
#include "report/chart.h"
#include "report/sentences.h"

#include <math.h>

enum { WIDTH = 812, FONT = 13, LEFT = 52, GAP = 62, PANEL = 250, MOST_PANELS = 4 };

static const gn_interval nothing = {NAN, NAN, NAN};
static const gn__look line_look = {GN__INK, GN__CIRCLE, false, true};
static const gn__look zone_look = {GN__ZONE, GN__CIRCLE, false, false};

static const char *run_name(gn__page *p, const gn_finetune_run *r)
{
    return GN__COMPOSE(p, TUNE_RUN, gn__method_text(r->method, p->lang), gn__source_text(r->source, p->lang));
}

gn_status gn__draw_finetune(gn__page *p, gn__layout layout, gn_error *err)
{
    (void)err;
    const gn_finetune_evidence *e = &p->r->finetune;
    gn__chart_row row[GN__CHART_ROWS];
    gn__legend_item item[4];
    gn__chart c = {GN__H_TUNE_FIGURE, GN__H_TUNE_AXIS, row,  0, -0.05, 0.05, GN__UNIT_POINTS, 0,
                   -e->worthwhile,    e->worthwhile,   item, 0};
    bool grouped = false;
    for (size_t i = 0; i < e->runs && c.rows < GN__CHART_ROWS; i++) {
        const gn_finetune_run *r = &e->run[i];
        if (!r->vs_probe.available) continue;
        gn__chart_row *at = &row[c.rows++];
        *at = (gn__chart_row){.label = run_name(p, r)};
        at->mark[at->marks++] = (gn__chart_mark){r->vs_probe.difference, nothing, NAN, false};
        /* trained on train, the folds change nothing */
        if (!r->test_grouped.available || r->source == GN_SOURCE_TRAIN) continue;
        grouped = true;
        at->mark[at->marks++] = (gn__chart_mark){r->test.vs_probe.difference, nothing, NAN, true};
    }
    gn__chart_range(&c, -1);
    item[c.legends++] = (gn__legend_item){GN__SWATCH_MARK, gn__model_look,
                                          gn__word_of(p, grouped ? GN__H_TUNE_GROUPED : GN__H_TUNE_TEST)};
    if (grouped)
        item[c.legends++] =
            (gn__legend_item){GN__SWATCH_MARK, gn__control_look, gn__word_of(p, GN__H_TUNE_ORDINARY)};
    item[c.legends++] = (gn__legend_item){GN__SWATCH_LINE, line_look, gn__word_of(p, GN__H_TUNE_SAME)};
    item[c.legends++] = (gn__legend_item){GN__SWATCH_BAND, zone_look,
                                          GN__COMPOSE(p, TUNE_ZONE, gn__n_tick(p, 100 * e->worthwhile, 0))};
    gn__chart_draw(p, layout, &c);
    return GN_OK;
}

/* ---- before and after ---- */

typedef struct range {
    double low[2], high[2];
} range;

static range range_of(const gn_finetune_run *r)
{
    range x = {{INFINITY, INFINITY}, {-INFINITY, -INFINITY}};
    for (size_t i = 0; i < r->points; i++) {
        const gn_moved_point *q = &r->point[i];
        const double all[2][2] = {{(double)q->x, (double)q->x_after}, {(double)q->y, (double)q->y_after}};
        for (int k = 0; k < 2; k++)
            for (int j = 0; j < 2; j++) {
                x.low[k] = fmin(x.low[k], all[k][j]);
                x.high[k] = fmax(x.high[k], all[k][j]);
            }
    }
    for (int k = 0; k < 2; k++) {
        double space = fmax(0.05 * (x.high[k] - x.low[k]), 1e-6);
        x.low[k] -= space;
        x.high[k] += space;
    }
    return x;
}

static void draw_cloud(gn__page *p, const gn__frame *f, const gn__groups *g, const gn_finetune_run *r,
                       bool after)
{
    for (size_t i = 0; i < r->points; i++) {
        const gn_moved_point *q = &r->point[i];
        int label = -1;
        for (int k = 0; k < g->count; k++)
            if (g->label[k] == q->label) label = q->label;
        gn__look look = gn__group_look(g, q->test, label);
        gn__svg_shape(p, look.shape, gn__frame_x(f, (double)(after ? q->x_after : q->x)),
                      gn__frame_y(f, (double)(after ? q->y_after : q->y)), 2.6);
        gn__put(p, " stroke-width=\"0.9\" fill-opacity=\"0.55\" stroke-opacity=\"0.7\" stroke=\"");
        gn__put(p, look.colour);
        gn__put(p, "\" fill=\"");
        gn__put(p, look.hollow ? "#fff" : look.colour);
        gn__put(p, "\"/>\n");
    }
}

static void draw_pair(gn__page *p, const gn__groups *g, const gn_finetune_run *r, double y)
{
    range x = range_of(r);
    double width = (WIDTH - LEFT - GAP) / 2.0;
    gn__svg_text(p, 0, y + FONT, FONT + 1, "start", GN__INK, true, run_name(p, r));
    for (int after = 0; after < 2; after++) {
        gn__frame f = {
            LEFT + after * (width + GAP), y + 46, width - 8, PANEL, x.low[0], x.high[0], x.low[1], x.high[1]};
        gn_interval auc = after ? r->auc_after : r->auc_before;
        const char *title = after ? GN__COMPOSE(p, TUNE_AFTER, gn__n_interval(p, auc, 2))
                                  : GN__COMPOSE(p, TUNE_BEFORE, gn__n_interval(p, auc, 2));
        gn__svg_text(p, f.x, y + 46 - 8, FONT, "start", GN__MUTED, false, title);
        gn__svg_axis_x(p, &f, FONT - 1, 5, GN__UNIT_PLAIN, NULL);
        gn__svg_axis_y(p, &f, FONT - 1, 5, after ? "" : gn__word_of(p, GN__H_TUNE_PC2));
        gn__svg_text(p, f.x + f.width / 2, f.y + f.height + FONT * 2.5, FONT - 1, "middle", GN__INK, false,
                     gn__word_of(p, GN__H_TUNE_PC1));
        draw_cloud(p, &f, g, r, after);
    }
}

gn_status gn__draw_moved(gn__page *p, gn__layout layout, gn_error *err)
{
    (void)err;
    const gn_finetune_evidence *e = &p->r->finetune;
    gn__groups g = gn__drawn_groups(p->r);
    gn__legend_item item[2 * GN__DRAWN_CLASSES];
    size_t items = 0, panels = 0;
    const double pair = PANEL + 96;
    for (int k = 0; k < (g.count ? g.count : 1); k++)
        for (int test = 0; test < 2; test++) {
            int label = g.count ? g.label[k] : -1;
            item[items++] = (gn__legend_item){GN__SWATCH_GROUP, gn__group_look(&g, test, label),
                                              gn__text_fit(p, gn__group_name(p, test, label), FONT, 220)};
        }
    for (size_t i = 0; i < e->runs; i++) panels += e->run[i].moved && e->run[i].points > 0;
    if (panels > MOST_PANELS) panels = MOST_PANELS;
    double legend = gn__svg_legend(p, item, items, 0, 2, WIDTH, FONT, false) + 12;
    gn__svg_begin(p, layout, WIDTH, legend + (double)panels * pair, WIDTH, gn__word_of(p, GN__H_TUNE_MOVED));
    gn__svg_legend(p, item, items, 0, 2, WIDTH, FONT, true);
    double y = legend;
    for (size_t i = 0, drawn = 0; i < e->runs && drawn < panels; i++) {
        if (!e->run[i].moved || e->run[i].points == 0) continue;
        draw_pair(p, &g, &e->run[i], y);
        y += pair;
        drawn++;
    }
    gn__svg_end(p);
    return GN_OK;
}
