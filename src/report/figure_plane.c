/* The groups over PC1 and PC2: contours of the highest-density regions, and the points. */
#include "report/contour.h"
#include "report/figure.h"

#include <math.h>

enum { WIDTH = 530, LEFT = 54, RIGHT = 14, TEXT_MAX = 160, BATCHES = 8 };
static const double font = 14, point_radius = 2.3;

/* Equal units on both axes, as far as the paper allows. */
static gn__frame plane_frame(const gn_picture *p)
{
    gn__frame f = {LEFT, 10, WIDTH - LEFT - RIGHT, 0, p->low2[0], p->high2[0], p->low2[1], p->high2[1]};
    if (!(f.high_x > f.low_x) || !(f.high_y > f.low_y)) { /* no grid: the points' own box */
        f.low_x = f.low_y = INFINITY, f.high_x = f.high_y = -INFINITY;
        for (size_t i = 0; i < p->points; i++) {
            f.low_x = fmin(f.low_x, p->point[i].x), f.high_x = fmax(f.high_x, p->point[i].x);
            f.low_y = fmin(f.low_y, p->point[i].y), f.high_y = fmax(f.high_y, p->point[i].y);
        }
        f.low_x -= 0.5, f.high_x += 0.5, f.low_y -= 0.5, f.high_y += 0.5;
    }
    double height = f.width * (f.high_y - f.low_y) / (f.high_x - f.low_x);
    f.height = fmin(fmax(height, 270), 480);
    return f;
}

static gn_status draw_contour(gn__page *p, const gn__frame *f, const gn_density *d, const gn__look *look,
                              double mass, bool thick, gn_error *err)
{
    double level;
    gn__contour c;
    GN__TRY(gn__contour_level(d->plane, (size_t)GN_GRID2 * GN_GRID2, mass, &level, err));
    GN__TRY(gn__contour_trace(d->plane, GN_GRID2, GN_GRID2, level, &c, err));
    gn__put(p, "<path d=\"");
    double step_x = (f->high_x - f->low_x) / (GN_GRID2 - 1), step_y = (f->high_y - f->low_y) / (GN_GRID2 - 1);
    for (size_t loop = 0, i = 0; loop < c.loops; loop++) {
        for (size_t first = i; i < c.end[loop]; i++) {
            gn__put(p, i == first ? "M" : "L");
            GN__DRAW(p, "@ @", gn__frame_x(f, f->low_x + c.point[i][0] * step_x),
                     gn__frame_y(f, f->low_y + c.point[i][1] * step_y));
        }
        gn__put(p, "Z");
    }
    gn__contour_free(&c);
    gn__put(p, "\" fill=\"");
    gn__put(p, thick && !look->hollow ? look->colour : "none");
    gn__put(p, "\" fill-opacity=\"0.10\" fill-rule=\"evenodd\" stroke-linejoin=\"round\" stroke=\"");
    gn__put(p, look->colour);
    gn__put(p, thick ? "\" stroke-width=\"2.4\"" : "\" stroke-width=\"1.1\"");
    gn__put(p, look->dashed ? " stroke-dasharray=\"6 4\"/>\n" : "/>\n");
    return GN_OK;
}

/* A name beside the top of a density. */
typedef struct tag {
    double x, y, width;
    const char *text, *colour;
} tag;

enum { MAX_TAGS = 2 * GN__DRAWN_CLASSES };

static bool collides(const tag *a, const tag *b)
{
    return fabs(a->x - b->x) < (a->width + b->width) / 2 + 6 && fabs(a->y - b->y) < font * 1.25;
}

/* Moves the new tag up or down, the shortest way, until it touches no earlier one. */
static void settle(const gn__frame *f, tag *tags, int n, tag *t)
{
    double x_low = f->x + t->width / 2 + 4, x_high = f->x + f->width - t->width / 2 - 4;
    t->x = fmin(fmax(t->x, x_low), x_high);
    double wanted = t->y;
    for (int k = 0; k < 40; k++) {
        double y = wanted + (k % 2 ? 1 : -1) * (k + 1) / 2 * font * 0.65;
        t->y = fmin(fmax(y, f->y + font * 1.2), f->y + f->height - font * 0.6);
        bool clear = true;
        for (int i = 0; i < n; i++) clear = clear && !collides(&tags[i], t);
        if (clear) break;
    }
}

static void draw_tags(gn__page *p, const gn__frame *f, const gn_picture *pic, const gn__groups *g)
{
    tag tags[MAX_TAGS];
    int n = 0;
    for (int k = 0; k < (g->count ? g->count : 1) * 2; k++) {
        bool test = k % 2;
        int label = g->count ? g->label[k / 2] : -1, which = gn__find_density(pic, test, label);
        const double *plane = which < 0 ? NULL : pic->density[which].plane;
        if (plane == NULL) continue;
        size_t top = 0;
        for (size_t i = 0; i < (size_t)GN_GRID2 * GN_GRID2; i++)
            if (plane[i] > plane[top]) top = i;
        const char *text = gn__text_fit(p, gn__group_name(p, test, label), font, 170);
        tag t = {f->x + (double)(top % GN_GRID2) / (GN_GRID2 - 1) * f->width,
                 f->y + f->height - (double)(top / GN_GRID2) / (GN_GRID2 - 1) * f->height,
                 gn__text_width(text, font), text, gn__group_look(g, test, label).colour};
        settle(f, tags, n, &t);
        tags[n++] = t;
    }
    for (int pass = 0; pass < 2; pass++) { /* a white halo under all of them, then the words */
        gn__put(p, pass == 0 ? "<g stroke=\"#fff\" stroke-width=\"4\" stroke-linejoin=\"round\" "
                               "stroke-opacity=\"0.85\" aria-hidden=\"true\">\n"
                             : "<g>\n");
        for (int i = 0; i < n; i++)
            gn__svg_text(p, tags[i].x, tags[i].y + font * 0.36, font, "middle", pass == 0 ? "#fff" : GN__INK,
                         true, tags[i].text);
        gn__put(p, "</g>\n");
    }
}

/* The points of one group within one batch; batches interleave the groups, so that none hides the others. */
static void draw_points(gn__page *p, const gn__frame *f, const gn__groups *g, size_t batch, bool test,
                        int slot)
{
    const gn_picture *pic = &p->r->main.picture;
    int label = slot < g->count ? g->label[slot] : -1;
    gn__look look = gn__group_look(g, test, label);
    bool open = false;
    for (size_t i = batch; i < pic->points; i += BATCHES) {
        const gn_point *at = &pic->point[i];
        int own = -1;
        for (int k = 0; k < g->count; k++)
            if (g->label[k] == at->label) own = k;
        if (at->test != test || (g->count > 0 && own != (slot < g->count ? slot : -1))) continue;
        if (!open) {
            gn__put(p, "<g stroke=\"");
            gn__put(p, look.colour);
            gn__put(p, "\" stroke-width=\"0.9\" fill-opacity=\"0.55\" stroke-opacity=\"0.7\" fill=\"");
            gn__put(p, look.hollow ? "#fff" : look.colour);
            gn__put(p, "\">\n");
            open = true;
        }
        /* the group carries the paint, so the mark needs none of its own */
        gn__svg_shape(p, look.shape, gn__frame_x(f, at->x), gn__frame_y(f, at->y), point_radius);
        gn__put(p, "><title>");
        gn__escape(p, gn__group_name(p, at->test, at->label));
        if (at->text != NULL) {
            gn__put(p, "\n\xE2\x81\xA8"); /* first strong isolate: a right-to-left text turns only itself */
            gn__escape_short(p, at->text, TEXT_MAX);
            gn__put(p, "\xE2\x81\xA9");
        }
        gn__put(p, gn__shape_end(look.shape));
    }
    if (open) gn__put(p, "</g>\n");
}

static size_t legend(gn__page *p, const gn__groups *g, bool others, gn__legend_item *item)
{
    size_t n = 0;
    for (int k = 0; k < (g->count ? g->count : 1); k++)
        for (int test = 0; test < 2; test++) {
            int label = g->count ? g->label[k] : -1;
            item[n++] = (gn__legend_item){GN__SWATCH_GROUP, gn__group_look(g, test, label),
                                          gn__text_fit(p, gn__group_name(p, test, label), font, 220)};
        }
    if (others)
        item[n++] = (gn__legend_item){GN__SWATCH_GROUP, gn__group_look(g, true, -1),
                                      gn__word_of(p, GN__H_OTHER_CLASSES)};
    return n;
}

static const char *axis_title(gn__page *p, size_t component)
{
    const gn_picture *pic = &p->r->main.picture;
    const char *number = gn__n_count(p, (double)component + 1);
    if (component >= pic->components) return GN__COMPOSE(p, PC_AXIS_PLAIN, number);
    return GN__COMPOSE(p, PC_AXIS, number, gn__n_percent1(p, pic->explained[component]));
}

gn_status gn__draw_plane(gn__page *p, gn__layout layout, gn_error *err)
{
    const gn_picture *pic = &p->r->main.picture;
    gn__groups g = gn__drawn_groups(p->r);
    gn__frame f = plane_frame(pic);
    gn__legend_item item[2 * GN__DRAWN_CLASSES + 1];
    bool others = false;
    for (size_t i = 0; i < pic->points && g.count > 0 && !others; i++) {
        others = true;
        for (int k = 0; k < g.count; k++)
            if (g.label[k] == pic->point[i].label) others = false;
    }
    size_t items = legend(p, &g, others, item);
    double legend_y = f.y + f.height + font * 3.6;
    double height = legend_y + gn__svg_legend(p, item, items, f.x, legend_y, f.width, font, false) + 6;

    gn__svg_begin(p, layout, WIDTH, height, WIDTH * 1.15, gn__word_of(p, GN__H_PLANE_TITLE));
    gn__svg_axis_x(p, &f, font, 9, GN__UNIT_PLAIN, axis_title(p, 0));
    gn__svg_axis_y(p, &f, font, 9, axis_title(p, 1));
    /* an inner svg cuts off what lies outside the plot */
    GN__DRAW(p, "<svg x=\"@\" y=\"@\" width=\"@\" height=\"@\"", f.x, f.y, f.width, f.height);
    GN__DRAW(p, " viewBox=\"@ @ @ @\">\n<g class=\"points\">\n", f.x, f.y, f.width, f.height);
    for (size_t batch = 0; batch < BATCHES; batch++)
        for (int slot = g.count ? g.count : 0; slot >= 0; slot--)
            for (int test = 0; test < 2; test++) draw_points(p, &f, &g, batch, test, slot);
    gn__put(p, "</g>\n");
    gn__put(p, "<g pointer-events=\"none\">\n");
    for (int k = 0; k < (g.count ? g.count : 1) * 2; k++) {
        int label = g.count ? g.label[k / 2] : -1, which = gn__find_density(pic, k % 2, label);
        if (which < 0 || pic->density[which].plane == NULL) continue;
        gn__look look = gn__group_look(&g, k % 2, label);
        GN__TRY(draw_contour(p, &f, &pic->density[which], &look, 0.9, false, err));
        GN__TRY(draw_contour(p, &f, &pic->density[which], &look, 0.5, true, err));
    }
    draw_tags(p, &f, pic, &g);
    gn__put(p, "</g>\n</svg>\n");
    gn__svg_legend(p, item, items, f.x, legend_y, f.width, font, true);
    gn__svg_end(p);
    return GN_OK;
}
