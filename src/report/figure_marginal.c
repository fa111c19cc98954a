/* Densities along one direction at a time: all texts with the area in common, then class by class along PC1
 * and along the direction of the probe. */
#include "report/figure.h"

#include <math.h>

enum { WIDTH = 530, LEFT = 14, RIGHT = 14, PANEL = 136, MARKS = 6 };
static const double font = 14;

static const double *curve_of(const gn_density *d, bool probe)
{
    return probe ? d->probe : d->pc1;
}

static void draw_curve(gn__page *p, const gn__frame *f, const double *y, const gn__look *look)
{
    gn__put(p, "<path d=\"");
    for (int i = 0; i < GN_GRID1; i++) {
        double at = f->x + f->width * i / (GN_GRID1 - 1);
        gn__put(p, i == 0 ? "M" : "L");
        GN__DRAW(p, "@ @", at, gn__frame_y(f, isfinite(y[i]) ? y[i] : 0));
    }
    gn__put(p, "\" fill=\"none\" stroke-width=\"2\" stroke-linejoin=\"round\" stroke=\"");
    gn__put(p, look->colour);
    gn__put(p, look->dashed ? "\" stroke-dasharray=\"6 4\"/>\n" : "\"/>\n");
}

/* Marks along the curve, so that colour alone need not tell the classes apart; each curve begins elsewhere.
 */
static void draw_marks(gn__page *p, const gn__frame *f, const double *y, const gn__look *look, int turn)
{
    for (int k = 0; k < MARKS * 2; k++) {
        int i = (k * GN_GRID1 / (MARKS * 2) + turn * 5) % GN_GRID1;
        if (y[i] > 0.04 * f->high_y)
            gn__svg_mark(p, look, f->x + f->width * i / (GN_GRID1 - 1), gn__frame_y(f, y[i]), 3.6, 1.4);
    }
}

static void draw_common(gn__page *p, const gn__frame *f, const double *a, const double *b)
{
    GN__DRAW(p, "<path d=\"M@ @", f->x, gn__frame_y(f, 0));
    for (int i = 0; i < GN_GRID1; i++)
        GN__DRAW(p, "L@ @", f->x + f->width * i / (GN_GRID1 - 1), gn__frame_y(f, fmin(a[i], b[i])));
    GN__DRAW(p, "L@ @Z\" fill=\"" GN__BAND "\"/>\n", f->x + f->width, gn__frame_y(f, 0));
}

typedef struct panel {
    gn__html_id title;
    bool probe, by_class;
} panel;

static bool panel_available(const gn_picture *pic, const panel *n, const gn__groups *g)
{
    if (n->by_class && g->count == 0) return false;
    for (int k = 0; k < (n->by_class ? g->count : 1); k++)
        for (int test = 0; test < 2; test++) {
            int which = gn__find_density(pic, test, n->by_class ? g->label[k] : -1);
            if (which >= 0 && curve_of(&pic->density[which], n->probe) != NULL) return true;
        }
    return false;
}

static size_t legend(gn__page *p, const gn__groups *g, bool by_class, gn__legend_item *item)
{
    size_t n = 0;
    for (int k = 0; k < (by_class ? g->count : 1); k++)
        for (int test = 0; test < 2; test++) {
            int label = by_class ? g->label[k] : -1;
            item[n++] = (gn__legend_item){by_class ? GN__SWATCH_GROUP : GN__SWATCH_LINE,
                                          gn__group_look(g, test, label),
                                          gn__text_fit(p, gn__group_name(p, test, label), font, 220)};
        }
    if (!by_class)
        item[n++] = (gn__legend_item){
            GN__SWATCH_BAND, {GN__BAND, GN__CIRCLE, false, false}, gn__word_of(p, GN__H_PANEL_COMMON)};
    return n;
}

/* What a score to either side of 0 means, where there are two classes. */
static void draw_sides(gn__page *p, const gn__frame *f)
{
    if (p->r->classes != 2 || !(f->low_x < 0) || !(f->high_x > 0)) return;
    double zero = gn__frame_x(f, 0), y = f->y + f->height + font * 2.8;
    gn__svg_line(p, zero, f->y, zero, f->y + f->height, GN__MUTED, 1.2, "2 3");
    double room = f->width * 0.3;
    gn__svg_text(p, f->x, y, font, "start", GN__MUTED, false,
                 gn__text_fit(p, GN__COMPOSE(p, PROBE_SIDE_LOW, gn__class_name(p, 0)), font, room));
    gn__svg_text(p, f->x + f->width, y, font, "end", GN__MUTED, false,
                 gn__text_fit(p, GN__COMPOSE(p, PROBE_SIDE_HIGH, gn__class_name(p, 1)), font, room));
}

/* One panel from y downwards; returns where the next may begin. draw false: only measures. */
static double draw_panel(gn__page *p, const panel *n, const gn__groups *g, double y, bool draw)
{
    const gn_picture *pic = &p->r->main.picture;
    gn__legend_item item[2 * GN__DRAWN_CLASSES + 1];
    size_t items = legend(p, g, n->by_class, item);
    double width = WIDTH - LEFT - RIGHT, top = y + font * 1.9;
    double used = gn__svg_legend(p, item, items, LEFT, top, width, font, draw);
    gn__frame f = {LEFT, top + used + 8, width, PANEL, 0, 1, 0, 0};
    f.low_x = n->probe ? pic->low_probe : pic->low1;
    f.high_x = n->probe ? pic->high_probe : pic->high1;
    double end = f.y + f.height + font * 3.4 + 14;
    if (!draw) return end;

    const double *curve[2 * GN__DRAWN_CLASSES] = {NULL};
    int curves = (n->by_class ? g->count : 1) * 2;
    for (int k = 0; k < curves; k++) {
        int which = gn__find_density(pic, k % 2, n->by_class ? g->label[k / 2] : -1);
        curve[k] = which < 0 ? NULL : curve_of(&pic->density[which], n->probe);
        for (int i = 0; i < GN_GRID1 && curve[k] != NULL; i++) f.high_y = fmax(f.high_y, curve[k][i]);
    }
    f.high_y = f.high_y > 0 ? f.high_y * 1.06 : 1;

    gn__svg_text(p, LEFT, y + font, font + 1, "start", GN__INK, true,
                 gn__text_fit(p, gn__word_of(p, n->title), font + 1, width));
    const char *number = pic->components > 0 ? gn__n_percent1(p, pic->explained[0]) : NULL;
    gn__svg_axis_x(p, &f, font, 9, false,
                   n->probe ? gn__word_of(p, GN__H_PROBE_AXIS)
                   : number ? GN__COMPOSE(p, PC_AXIS, "1", number)
                            : GN__COMPOSE(p, PC_AXIS_PLAIN, "1"));
    if (!n->by_class && curve[0] != NULL && curve[1] != NULL) draw_common(p, &f, curve[0], curve[1]);
    if (n->probe) draw_sides(p, &f);
    for (int k = 0; k < curves; k++) {
        if (curve[k] == NULL) continue;
        gn__look look = gn__group_look(g, k % 2, n->by_class ? g->label[k / 2] : -1);
        draw_curve(p, &f, curve[k], &look);
        if (n->by_class) draw_marks(p, &f, curve[k], &look, k);
    }
    return end;
}

gn_status gn__draw_marginal(gn__page *p, gn__layout layout, gn_error *err)
{
    (void)err; /* the signature of every figure */
    static const panel panels[] = {
        {GN__H_PANEL_ALL, false, false}, {GN__H_PANEL_CLASS, false, true}, {GN__H_PANEL_PROBE, true, true}};
    enum { PANELS = (int)(sizeof panels / sizeof *panels) };
    gn__groups g = gn__drawn_groups(p->r);
    double height = 4;
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1)
            gn__svg_begin(p, layout, WIDTH, height, WIDTH * 1.15, gn__word_of(p, GN__H_MARGINAL_TITLE));
        double y = 4;
        for (int k = 0; k < PANELS; k++)
            if (panel_available(&p->r->main.picture, &panels[k], &g))
                y = draw_panel(p, &panels[k], &g, y, pass == 1);
        height = y - 8;
    }
    gn__svg_end(p);
    return GN_OK;
}
