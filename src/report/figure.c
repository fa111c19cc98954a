#include "report/figure.h"

#include <math.h>

/* Okabe & Ito's palette for all kinds of colour vision, without its yellow, which is too pale for lines. */
static const char *const palette[GN__DRAWN_CLASSES] = {"#d55e00", "#0072b2", "#009e73",
                                                       "#cc79a7", "#e69f00", "#56b4e9"};
static const gn__shape shapes[GN__DRAWN_CLASSES] = {GN__CIRCLE,  GN__SQUARE, GN__TRIANGLE,
                                                    GN__DIAMOND, GN__DOWN,   GN__CROSS};

static size_t rows_of_class(const gn_result *r, int c)
{
    return (r->train.class_rows ? r->train.class_rows[c] : 0) +
           (r->test.class_rows ? r->test.class_rows[c] : 0);
}

gn__groups gn__drawn_groups(const gn_result *r)
{
    gn__groups g = {.count = 0};
    if (r->train.class_rows == NULL && r->test.class_rows == NULL) return g;
    for (int c = 0; c < r->classes; c++) {
        size_t rows = rows_of_class(r, c), before = 0;
        for (int d = 0; d < r->classes; d++) {
            size_t n = rows_of_class(r, d);
            before += n > rows || (n == rows && d < c);
        }
        if (before < GN__DRAWN_CLASSES) g.label[g.count++] = c;
    }
    return g;
}

gn__look gn__group_look(const gn__groups *g, bool test, int label)
{
    gn__look look = {GN__MUTED, GN__CIRCLE, !test, !test};
    if (label < 0 && g->count == 0) {
        look.colour = palette[test ? 0 : 1];
        look.shape = shapes[test ? 1 : 0];
    }
    for (int i = 0; i < g->count; i++) {
        if (g->label[i] != label) continue;
        look.colour = palette[i];
        look.shape = shapes[i];
    }
    return look;
}

int gn__find_density(const gn_picture *p, bool test, int label)
{
    for (size_t i = 0; i < p->densities; i++)
        if (p->density[i].test == test && p->density[i].label == label) return (int)i;
    return -1;
}

double gn__frame_x(const gn__frame *f, double value)
{
    return f->x + (value - f->low_x) / (f->high_x - f->low_x) * f->width;
}

double gn__frame_y(const gn__frame *f, double value)
{
    return f->y + f->height - (value - f->low_y) / (f->high_y - f->low_y) * f->height;
}

void gn__svg_begin(gn__page *p, gn__layout layout, double width, double height, double most,
                   const char *title)
{
    double margin = layout == GN__STANDALONE ? 16 : 0;
    gn__put(p, "<svg");
    if (layout == GN__STANDALONE) {
        gn__put(p, " xmlns=\"http://www.w3.org/2000/svg\"");
        GN__DRAW(p, " width=\"@\" height=\"@\"", width + 2 * margin, height + 2 * margin);
        gn__put(p, p->lang == GN_LANG_JA ? " xml:lang=\"ja\"" : " xml:lang=\"en\"");
        gn__put(p, " font-family=\"");
        gn__put(p, gn__font_family(p->lang));
        gn__put(p, "\"");
    } else {
        gn__put(p, layout == GN__INLINE_NARROW ? " class=\"narrow\"" : " class=\"wide\"");
        GN__DRAW(p, " style=\"max-width:@px\"", most);
    }
    GN__DRAW(p, " viewBox=\"@ @ @ @\" role=\"img\" aria-label=\"", -margin, -margin, width + 2 * margin,
             height + 2 * margin);
    gn__escape(p, title);
    gn__put(p, "\">\n");
    if (layout == GN__STANDALONE) {
        gn__put(p, "<title>");
        gn__escape(p, title);
        gn__put(p, "</title>\n");
        GN__DRAW(p, "<rect x=\"@\" y=\"@\" width=\"@\" height=\"@\" fill=\"#fff\"/>\n", -margin, -margin,
                 width + 2 * margin, height + 2 * margin);
    }
}

void gn__svg_end(gn__page *p)
{
    gn__put(p, "</svg>\n");
}

void gn__svg_text(gn__page *p, double x, double y, double size, const char *anchor, const char *colour,
                  bool bold, const char *text)
{
    GN__DRAW(p, "<text x=\"@\" y=\"@\" font-size=\"@\"", x, y, size);
    if (strcmp(anchor, "start") != 0) {
        gn__put(p, " text-anchor=\"");
        gn__put(p, anchor);
        gn__put(p, "\"");
    }
    if (bold) gn__put(p, " font-weight=\"600\"");
    gn__put(p, " fill=\"");
    gn__put(p, colour);
    gn__put(p, "\">");
    gn__escape(p, text);
    gn__put(p, "</text>\n");
}

void gn__svg_line(gn__page *p, double x1, double y1, double x2, double y2, const char *colour, double width,
                  const char *dash)
{
    GN__DRAW(p, "<line x1=\"@\" y1=\"@\" x2=\"@\" y2=\"@\" stroke-width=\"@\" stroke=\"", x1, y1, x2, y2,
             width);
    gn__put(p, colour);
    if (dash != NULL) {
        gn__put(p, "\" stroke-dasharray=\"");
        gn__put(p, dash);
    }
    gn__put(p, "\"/>\n");
}

void gn__svg_shape(gn__page *p, gn__shape shape, double x, double y, double r)
{
    double s = r * 0.88, t = r * 1.2, u = r * 0.8, b = r * 0.4;
    switch (shape) {
    case GN__CIRCLE:
        GN__DRAW(p, "<circle cx=\"@\" cy=\"@\" r=\"@\"", x, y, r);
        break;
    case GN__SQUARE:
        GN__DRAW(p, "<path d=\"M@ @H@V@H@Z\"", x - s, y - s, x + s, y + s, x - s);
        break;
    case GN__TRIANGLE:
        GN__DRAW(p, "<path d=\"M@ @L@ @H@Z\"", x, y - t, x + t, y + u, x - t);
        break;
    case GN__DIAMOND:
        GN__DRAW(p, "<path d=\"M@ @L@ @L@ @L@ @Z\"", x, y - t, x + t, y, x, y + t, x - t, y);
        break;
    case GN__DOWN:
        GN__DRAW(p, "<path d=\"M@ @L@ @H@Z\"", x, y + t, x + t, y - u, x - t);
        break;
    case GN__CROSS: /* as an outline, so that it can be hollow, too */
        GN__DRAW(p, "<path d=\"M@ @H@V@H@V@H@V@H@V@H@V@H@Z\"", x - b, y - t, x + b, y - b, x + t, y + b,
                 x + b, y + t, x - b, y + b, x - t, y - b, x - b);
        break;
    }
}

const char *gn__shape_end(gn__shape shape)
{
    return shape == GN__CIRCLE ? "</title></circle>\n" : "</title></path>\n";
}

void gn__svg_mark(gn__page *p, const gn__look *look, double x, double y, double radius, double line)
{
    gn__svg_shape(p, look->shape, x, y, radius);
    GN__DRAW(p, " stroke-width=\"@\" stroke=\"", line);
    gn__put(p, look->colour);
    gn__put(p, "\" fill=\"");
    gn__put(p, look->hollow ? "#fff" : look->colour);
    gn__put(p, "\"/>\n");
}

double gn__tick_step(double low, double high, int most)
{
    double rough = (high - low) / most;
    if (!(rough > 0) || !isfinite(rough)) return 1;
    double power = pow(10, floor(log10(rough)));
    static const double steps[] = {1, 2, 5, 10};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (steps[i] * power >= rough * 0.999) return steps[i] * power;
    return 10 * power;
}

int gn__tick_decimals(double step)
{
    int decimals = 0;
    while (decimals < 9 && step < 0.999) {
        step *= 10;
        decimals++;
    }
    return decimals;
}

void gn__svg_axis_x(gn__page *p, const gn__frame *f, double size, int most, int unit, const char *title)
{
    double step = gn__tick_step(f->low_x, f->high_x, most), bottom = f->y + f->height;
    long first = lround(ceil(f->low_x / step - 1e-6)), last = lround(floor(f->high_x / step + 1e-6));
    for (long k = first; k <= last; k++) {
        double value = (double)k * step, x = gn__frame_x(f, value);
        gn__svg_line(p, x, f->y, x, bottom, GN__FAINT, 1, NULL);
        gn__svg_text(p, x, bottom + size * 1.35, size, "middle", GN__MUTED, false,
                     unit == GN__UNIT_PERCENT  ? gn__n_percent(p, value)
                     : unit == GN__UNIT_POINTS ? gn__n_tick(p, 100 * value, gn__tick_decimals(100 * step))
                                               : gn__n_tick(p, value, gn__tick_decimals(step)));
    }
    gn__svg_line(p, f->x, bottom, f->x + f->width, bottom, "#8b949e", 1, NULL);
    if (title != NULL)
        gn__svg_text(p, f->x + f->width / 2, bottom + size * 2.8, size, "middle", GN__INK, false, title);
}

void gn__svg_axis_y(gn__page *p, const gn__frame *f, double size, int most, const char *title)
{
    double step = gn__tick_step(f->low_y, f->high_y, most);
    long first = lround(ceil(f->low_y / step - 1e-6)), last = lround(floor(f->high_y / step + 1e-6));
    for (long k = first; k <= last; k++) {
        double value = (double)k * step, y = gn__frame_y(f, value);
        gn__svg_line(p, f->x, y, f->x + f->width, y, GN__FAINT, 1, NULL);
        gn__svg_text(p, f->x - 6, y + size * 0.35, size, "end", GN__MUTED, false,
                     gn__n_tick(p, value, gn__tick_decimals(step)));
    }
    double x = f->x - size * 2.7, y = f->y + f->height / 2;
    GN__DRAW(p, "<g transform=\"rotate(-90 @ @)\">", x, y);
    gn__svg_text(p, x, y, size, "middle", GN__INK, false, title);
    gn__put(p, "</g>\n");
}

enum { SWATCH = 34, GAP = 20 };

static void draw_swatch(gn__page *p, const gn__legend_item *item, double x, double y)
{
    const char *dash = item->look.dashed ? "5 3" : NULL, *colour = item->look.colour;
    switch (item->kind) {
    case GN__SWATCH_GROUP:
        gn__svg_line(p, x, y, x + SWATCH - 8, y, colour, 2, dash);
        gn__svg_mark(p, &item->look, x + (SWATCH - 8) / 2.0, y, 4, 1.4);
        break;
    case GN__SWATCH_MARK:
        gn__svg_line(p, x, y, x + SWATCH - 8, y, colour, 2, NULL);
        gn__svg_mark(p, &item->look, x + (SWATCH - 8) / 2.0, y, 4.5, 1.8);
        break;
    case GN__SWATCH_BAND:
        GN__DRAW(p, "<rect x=\"@\" y=\"@\" width=\"@\" height=\"@\" fill=\"", x, y - 6, SWATCH - 8, 12);
        gn__put(p, colour);
        gn__put(p, "\"/>\n");
        break;
    case GN__SWATCH_LINE:
        gn__svg_line(p, x, y, x + SWATCH - 8, y, colour, 1.5, dash);
        break;
    case GN__SWATCH_TICK:
        gn__svg_line(p, x + 13, y - 7, x + 13, y + 7, colour, 2.5, NULL);
        break;
    }
}

/* Groups stand in an even number of columns; returns how many and how wide, 0 when the items flow. */
static size_t legend_columns(const gn__legend_item *item, size_t n, double width, double size, double *column)
{
    double widest = 0;
    for (size_t i = 0; i < n; i++) {
        if (item[i].kind != GN__SWATCH_GROUP) return 0;
        widest = fmax(widest, SWATCH + GAP + gn__text_width(item[i].text, size));
    }
    *column = widest;
    return widest > 0 ? 2 * (size_t)((width + GAP) / widest / 2) : 0;
}

double gn__svg_legend(gn__page *p, const gn__legend_item *item, size_t n, double x, double y, double width,
                      double size, bool draw)
{
    double at = 0, row = 0, line = size * 1.65, column = 0;
    size_t columns = legend_columns(item, n, width, size, &column);
    for (size_t i = 0; i < n; i++) {
        const char *text = gn__text_fit(p, item[i].text, size, width - SWATCH);
        double needed = columns > 0 ? column - GAP : SWATCH + gn__text_width(text, size);
        if (at > 0 && (columns > 0 ? i % columns == 0 : at + needed > width)) {
            at = 0;
            row += line;
        }
        if (draw) {
            draw_swatch(p, &item[i], x + at, y + row + line / 2);
            gn__svg_text(p, x + at + SWATCH, y + row + line / 2 + size * 0.36, size, "start", GN__INK, false,
                         text);
        }
        at += needed + GAP;
    }
    return n > 0 ? row + line : 0;
}

/* ---- the list of figures ---- */

static const struct {
    gn_status (*draw)(gn__page *p, gn__layout layout, gn_error *err);
    bool narrow;
} figures[GN_FIGURE_COUNT] = {
    [GN_FIGURE_PLANE] = {gn__draw_plane, false},    [GN_FIGURE_MARGINAL] = {gn__draw_marginal, false},
    [GN_FIGURE_OVERLAP] = {gn__draw_overlap, true}, [GN_FIGURE_PROBES] = {gn__draw_probes, true},
    [GN_FIGURE_SHIFT] = {gn__draw_shift, true},     [GN_FIGURE_FINETUNE] = {gn__draw_finetune, true},
    [GN_FIGURE_MOVED] = {gn__draw_moved, false}};

const char *gn_figure_file(gn_figure figure)
{
    static const char *const files[GN_FIGURE_COUNT] = {
#define FILE_NAME(name, file) [GN_FIGURE_##name] = file,
        GN_FIGURE_LIST(FILE_NAME)
#undef FILE_NAME
    };
    return files[figure];
}

bool gn__figure_has_narrow(gn_figure figure)
{
    return figures[figure].narrow;
}

bool gn__figure_available(const gn_result *r, gn_figure figure)
{
    static const unsigned step[GN_FIGURE_COUNT] = {
        [GN_FIGURE_PLANE] = GN_STEP_SEE,     [GN_FIGURE_MARGINAL] = GN_STEP_SEE,
        [GN_FIGURE_OVERLAP] = GN_STEP_SEE,   [GN_FIGURE_PROBES] = GN_STEP_VERIFY,
        [GN_FIGURE_SHIFT] = GN_STEP_DETECT,  [GN_FIGURE_FINETUNE] = GN_STEP_FINETUNE,
        [GN_FIGURE_MOVED] = GN_STEP_FINETUNE};
    const gn_picture *p = &r->main.picture;
    if ((r->steps & step[figure]) == 0) return false;
    switch (figure) {
    case GN_FIGURE_PLANE:
        return p->points > 0 || p->densities > 0;
    case GN_FIGURE_MARGINAL:
        return p->densities > 0 && p->high1 > p->low1;
    case GN_FIGURE_OVERLAP:
        return isfinite(p->pc1.overlap.estimate);
    case GN_FIGURE_PROBES:
        return r->main.probe.available;
    case GN_FIGURE_SHIFT:
        return isfinite(r->main.shift.auc.estimate);
    case GN_FIGURE_FINETUNE:
        for (size_t i = 0; i < r->finetune.runs; i++)
            if (r->finetune.run[i].vs_probe.available) return true;
        return false;
    case GN_FIGURE_MOVED:
        for (size_t i = 0; i < r->finetune.runs; i++)
            if (r->finetune.run[i].moved && r->finetune.run[i].points > 0) return true;
        return false;
    default:
        return false;
    }
}

gn_status gn__figure_draw(gn__page *p, gn_figure figure, gn__layout layout, gn_error *err)
{
    return gn__figure_available(p->r, figure) ? figures[figure].draw(p, layout, err) : GN_OK;
}

gn_status gn_report_figure(const gn_result *r, gn_figure figure, gn_lang lang, char **out, size_t *length,
                           gn_error *err)
{
    if ((unsigned)figure >= GN_FIGURE_COUNT)
        return gn__fail(err, GN_INVALID_ARGUMENT, "there is no figure number %d", (int)figure);
    gn__page page;
    gn__page_begin(&page, r, lang);
    gn_status status = gn__figure_draw(&page, figure, GN__STANDALONE, err);
    if (status == GN_OK) return gn__page_end(&page, out, length, err);
    gn__buf_free(&page.out);
    gn__arena_free(&page.scratch);
    return status;
}
