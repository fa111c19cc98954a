#include "report/chart.h"

#include <math.h>

const gn__look gn__model_look = {"#0072b2", GN__CIRCLE, false, false};
const gn__look gn__control_look = {"#b04e00", GN__DIAMOND, true, false};

/* The measures of the two layouts. In the narrow one the label stands above its marks. */
typedef struct metrics {
    double width, font, label, values, lane, gap;
} metrics;

static const metrics wide = {812, 14, 250, 148, 24, 16};
static const metrics narrow = {360, 13, 0, 122, 24, 16};

static void widen(gn__chart *c, double x)
{
    if (!isfinite(x)) return;
    c->low = fmin(c->low, x);
    c->high = fmax(c->high, x);
}

void gn__chart_range(gn__chart *c, double floor_at)
{
    for (int r = 0; r < c->rows; r++)
        for (int k = 0; k < c->row[r].marks; k++) {
            const gn__chart_mark *m = &c->row[r].mark[k];
            double all[] = {m->value.estimate, m->value.low, m->value.high,
                            m->band.low,       m->band.high, m->tick};
            for (size_t i = 0; i < sizeof all / sizeof *all; i++) widen(c, all[i]);
        }
    c->low = fmax(floor_at, floor(c->low * 20 - 0.5) / 20);
    c->high = fmin(1, ceil(c->high * 20 + 0.5) / 20);
}

static void draw_mark(gn__page *p, const gn__frame *f, const gn__chart_mark *m, double y)
{
    const gn__look *look = m->control ? &gn__control_look : &gn__model_look;
    if (isfinite(m->band.low) && isfinite(m->band.high)) {
        double x = gn__frame_x(f, m->band.low), w = fmax(gn__frame_x(f, m->band.high) - x, 2);
        GN__DRAW(p, "<rect x=\"@\" y=\"@\" width=\"@\" height=\"18\" fill=\"" GN__YARDSTICK "\"/>\n", x,
                 y - 9, w);
    }
    if (isfinite(m->tick)) {
        double x = gn__frame_x(f, m->tick);
        gn__svg_line(p, x, y - 8, x, y + 8, GN__INK, 2.5, NULL);
    }
    if (!isfinite(m->value.estimate)) return;
    if (isfinite(m->value.low) && isfinite(m->value.high)) {
        double x1 = gn__frame_x(f, m->value.low), x2 = gn__frame_x(f, m->value.high);
        gn__svg_line(p, x1, y, x2, y, look->colour, 2, NULL);
        gn__svg_line(p, x1, y - 4, x1, y + 4, look->colour, 2, NULL);
        gn__svg_line(p, x2, y - 4, x2, y + 4, look->colour, 2, NULL);
    }
    gn__svg_mark(p, look, gn__frame_x(f, m->value.estimate), y, 5, 1.8);
}

static const char *value_text(gn__page *p, const gn__chart *c, const gn__chart_mark *m)
{
    if (c->unit == GN__UNIT_POINTS)
        return GN__COMPOSE(p, WITH_INTERVAL, gn__n_signed_points(p, m->value.estimate),
                           GN__COMPOSE(p, FROM_TO, gn__n_signed_points(p, m->value.low),
                                       gn__n_signed_points(p, m->value.high)));
    return c->unit == GN__UNIT_PERCENT ? gn__n_interval_percent(p, m->value, 0)
                                       : gn__n_interval(p, m->value, 2);
}

static double row_height(const metrics *m, const gn__chart_row *row)
{
    return row->marks * m->lane + m->gap + (m->label > 0 ? 0 : m->font * 1.3);
}

static void draw_row(gn__page *p, const metrics *m, const gn__chart *c, const gn__frame *f,
                     const gn__chart_row *row, double y)
{
    double marks_y = y + m->gap / 2 + (m->label > 0 ? 0 : m->font * 1.3);
    if (m->label > 0) {
        gn__svg_text(p, 0, marks_y + row->marks * m->lane / 2 + m->font * 0.36, m->font, "start", GN__INK,
                     false, gn__text_fit(p, row->label, m->font, m->label - 10));
    } else {
        /* the label has the line to itself: nothing of the plot runs through it */
        GN__DRAW(p, "<rect x=\"0\" y=\"@\" width=\"@\" height=\"@\" fill=\"#fff\"/>\n", y + 0.5, m->width,
                 marks_y + 3 - y);
        gn__svg_text(p, 0, marks_y - 2, m->font, "start", GN__INK, true,
                     gn__text_fit(p, row->label, m->font, m->width));
    }
    for (int k = 0; k < row->marks; k++) {
        double at = marks_y + (k + 0.5) * m->lane;
        draw_mark(p, f, &row->mark[k], at);
        gn__svg_text(p, m->width, at + m->font * 0.36, m->font, "end",
                     row->mark[k].control ? GN__MUTED : GN__INK, !row->mark[k].control,
                     value_text(p, c, &row->mark[k]));
    }
}

void gn__chart_draw(gn__page *p, gn__layout layout, const gn__chart *c)
{
    const metrics *m = layout == GN__INLINE_NARROW ? &narrow : &wide;
    double top = gn__svg_legend(p, c->legend, c->legends, 0, 2, m->width, m->font, false) + 10, rows = 0;
    for (int r = 0; r < c->rows; r++) rows += row_height(m, &c->row[r]);
    gn__frame f = {m->label + 8, top, m->width - m->label - m->values - 18, rows, c->low, c->high, 0, 1};
    double height = top + rows + m->font * 3.3;

    gn__svg_begin(p, layout, m->width, height, m->width * (m->label > 0 ? 1 : 1.4), gn__word_of(p, c->title));
    gn__svg_legend(p, c->legend, c->legends, 0, 2, m->width, m->font, true);
    if (isfinite(c->zone_low)) {
        double x = gn__frame_x(&f, c->zone_low), w = gn__frame_x(&f, c->zone_high) - x;
        GN__DRAW(p, "<rect x=\"@\" y=\"@\" width=\"@\" height=\"@\" fill=\"" GN__ZONE "\"/>\n", x, f.y, w,
                 f.height);
    }
    gn__svg_axis_x(p, &f, m->font - 1, m->label > 0 ? 6 : 4, c->unit, NULL);
    gn__svg_text(p, m->label > 0 ? f.x + f.width / 2 : 0, f.y + f.height + (m->font - 1) * 2.9, m->font - 1,
                 m->label > 0 ? "middle" : "start", GN__INK, false, gn__word_of(p, c->axis));
    if (isfinite(c->line)) {
        double x = gn__frame_x(&f, c->line);
        gn__svg_line(p, x, f.y, x, f.y + f.height, GN__INK, 1.5, "5 3");
    }
    double y = top;
    for (int r = 0; r < c->rows; r++) {
        if (r > 0) gn__svg_line(p, 0, y, m->width, y, GN__FAINT, 1, NULL);
        draw_row(p, m, c, &f, &c->row[r], y);
        y += row_height(m, &c->row[r]);
    }
    gn__svg_end(p);
}
