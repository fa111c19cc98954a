/* Row charts: one row a question, one mark with its interval a model. Overlap, probes and shift are of this
 * kind. */
#ifndef GENCHI_REPORT_CHART_H
#define GENCHI_REPORT_CHART_H

#include "report/figure.h"

#define GN__YARDSTICK "#c3c9d1"
#define GN__ZONE "#d9eae1"

enum { GN__CHART_MARKS = 2, GN__CHART_ROWS = 64 };

typedef struct gn__chart_mark {
    gn_interval value;
    gn_interval band; /* the yardstick behind the mark; NaN: none */
    double tick;      /* NaN: none */
    bool control;
} gn__chart_mark;

typedef struct gn__chart_row {
    const char *label;
    gn__chart_mark mark[GN__CHART_MARKS];
    int marks;
} gn__chart_row;

typedef struct gn__chart {
    gn__html_id title, axis;
    gn__chart_row *row;
    int rows;
    double low, high;
    int unit;                   /* gn__unit */
    double line;                /* a dashed upright; NaN: none */
    double zone_low, zone_high; /* shaded; NaN: none */
    const gn__legend_item *legend;
    size_t legends;
} gn__chart;

extern const gn__look gn__model_look, gn__control_look;

void gn__chart_draw(gn__page *p, gn__layout layout, const gn__chart *c);
/* The widest range that the marks reach, rounded outwards to twentieths, within [floor, 1]. */
void gn__chart_range(gn__chart *c, double floor);

#endif
