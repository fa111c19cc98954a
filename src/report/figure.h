/* The figures: shared drawing and one function a figure. Every figure is drawn by the same code for the HTML
 * report (inline) and as a file of its own (standalone: namespace, font and white paper included). */
#ifndef GENCHI_REPORT_FIGURE_H
#define GENCHI_REPORT_FIGURE_H

#include "report/markup.h"

typedef enum gn__layout { GN__STANDALONE, GN__INLINE_WIDE, GN__INLINE_NARROW } gn__layout;

/* Draws one figure; draws nothing when the result lacks its data. Only the row charts (overlap, probes,
 * shift) have a narrow form; the others are narrow enough to be scaled. */
gn_status gn__figure_draw(gn__page *p, gn_figure figure, gn__layout layout, gn_error *err);
bool gn__figure_has_narrow(gn_figure figure);
bool gn__figure_available(const gn_result *r, gn_figure figure);

gn_status gn__draw_plane(gn__page *p, gn__layout layout, gn_error *err);
gn_status gn__draw_marginal(gn__page *p, gn__layout layout, gn_error *err);
gn_status gn__draw_overlap(gn__page *p, gn__layout layout, gn_error *err);
gn_status gn__draw_probes(gn__page *p, gn__layout layout, gn_error *err);
gn_status gn__draw_shift(gn__page *p, gn__layout layout, gn_error *err);
gn_status gn__draw_finetune(gn__page *p, gn__layout layout, gn_error *err);
gn_status gn__draw_moved(gn__page *p, gn__layout layout, gn_error *err);

/* ---- groups: how a set, or a set's class, looks ---- */

enum { GN__DRAWN_CLASSES = 6 }; /* classes with a look of their own */

typedef enum gn__shape { GN__CIRCLE, GN__SQUARE, GN__TRIANGLE, GN__DIAMOND, GN__DOWN, GN__CROSS } gn__shape;

typedef struct gn__look {
    const char *colour;
    gn__shape shape;
    bool hollow, dashed;
} gn__look;

/* The classes that are drawn apart: the largest by rows of both sets, in class order. */
typedef struct gn__groups {
    int label[GN__DRAWN_CLASSES];
    int count; /* 0: no labels; the sets are the groups */
} gn__groups;

gn__groups gn__drawn_groups(const gn_result *r);
/* label -1 is a whole set, another not in groups "other classes" (grey). */
gn__look gn__group_look(const gn__groups *g, bool test, int label);
/* Index of the group's density, or -1. */
int gn__find_density(const gn_picture *p, bool test, int label);

/* ---- drawing ---- */

#define GN__INK "#1b2126"
#define GN__MUTED "#57606a"
#define GN__FAINT "#e3e7eb"
#define GN__BAND "#d5dae0"

/* A plot: its place on the paper and the values at its borders. */
typedef struct gn__frame {
    double x, y, width, height;
    double low_x, high_x, low_y, high_y;
} gn__frame;
double gn__frame_x(const gn__frame *f, double value);
double gn__frame_y(const gn__frame *f, double value); /* upwards */

/* most: the width on the screen up to which an inline figure is magnified. */
void gn__svg_begin(gn__page *p, gn__layout layout, double width, double height, double most,
                   const char *title);
void gn__svg_end(gn__page *p);
/* anchor: "start", "middle", "end". */
void gn__svg_text(gn__page *p, double x, double y, double size, const char *anchor, const char *colour,
                  bool bold, const char *text);
void gn__svg_line(gn__page *p, double x1, double y1, double x2, double y2, const char *colour, double width,
                  const char *dash); /* dash NULL: solid */
/* An element left open for attributes; gn__shape_end closes it behind a <title>. */
void gn__svg_shape(gn__page *p, gn__shape shape, double x, double y, double radius);
const char *gn__shape_end(gn__shape shape);
void gn__svg_mark(gn__page *p, const gn__look *look, double x, double y, double radius, double line);
/* A step of 1, 2 or 5 times a power of ten that gives at most `most` ticks. */
double gn__tick_step(double low, double high, int most);
/* Number of decimals that tells multiples of step apart. */
int gn__tick_decimals(double step);
/* Ticks, their numbers and the title along the bottom of the frame, with faint lines up through it. */
/* How numbers along an axis are written; values are shares where they are percents or points. */
typedef enum gn__unit { GN__UNIT_PLAIN, GN__UNIT_PERCENT, GN__UNIT_POINTS } gn__unit;
void gn__svg_axis_x(gn__page *p, const gn__frame *f, double size, int most, int unit, const char *title);
void gn__svg_axis_y(gn__page *p, const gn__frame *f, double size, int most, const char *title);

/* ---- legends ---- */

typedef enum gn__swatch {
    GN__SWATCH_GROUP,
    GN__SWATCH_MARK,
    GN__SWATCH_BAND,
    GN__SWATCH_LINE,
    GN__SWATCH_TICK
} gn__swatch;

typedef struct gn__legend_item {
    gn__swatch kind;
    gn__look look;
    const char *text;
} gn__legend_item;

/* Flows the items into rows of `width`, groups in an even number of columns, so that train and test of a
 * class stand side by side; returns the height used. draw false: only measures. */
double gn__svg_legend(gn__page *p, const gn__legend_item *item, size_t n, double x, double y, double width,
                      double size, bool draw);

#endif
