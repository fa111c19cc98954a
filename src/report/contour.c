#include "report/contour.h"

#include <math.h>

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

gn_status gn__contour_level(const double *density, size_t cells, double mass, double *level, gn_error *err)
{
    double *sorted = gn__calloc(cells, sizeof *sorted), total = 0, sum = 0;
    if (sorted == NULL) return gn__no_memory(err, cells * sizeof *sorted);
    for (size_t i = 0; i < cells; i++) {
        sorted[i] = isfinite(density[i]) && density[i] > 0 ? density[i] : 0;
        total += sorted[i];
    }
    qsort(sorted, cells, sizeof *sorted, descending);
    /* The level as a function of the mass above it: each cell's value stands at the middle of its own mass,
     * and between two cells it runs straight. */
    double target = mass * total, at = 0, before = 0;
    *level = total > 0 ? sorted[0] : 0;
    for (size_t i = 0; i < cells && at < target; i++) {
        before = at;
        at = sum + sorted[i] / 2;
        sum += sorted[i];
        double t = i > 0 && at > before ? fmin((target - before) / (at - before), 1) : 1;
        *level = sorted[i] + (1 - t) * (sorted[i > 0 ? i - 1 : 0] - sorted[i]);
    }
    free(sorted);
    return GN_OK;
}

/* The grid with a border of zeros around it, so that every contour closes. Edges carry numbers: 2 k is the
 * horizontal edge from node k to its right neighbour, 2 k + 1 the vertical one to the node above. */
typedef struct grid {
    const double *density;
    size_t nx, ny, width; /* width of the padded grid: nx + 2 */
    double level;
} grid;

static double value(const grid *g, size_t r, size_t c)
{
    if (r == 0 || c == 0 || r > g->ny || c > g->nx) return 0;
    double v = g->density[(r - 1) * g->nx + (c - 1)];
    return isfinite(v) ? v : 0;
}

enum { BOTTOM, RIGHT, TOP, LEFT };

/* By corners inside (1 bottom left, 2 bottom right, 4 top right, 8 top left): up to two directed segments,
 * from edge to edge, the inside to the left. Rows 16 and 17: the saddles 5 and 10 with an outside middle. */
static const signed char segments[18][4] = {
    {-1, -1, -1, -1},           {BOTTOM, LEFT, -1, -1},     {RIGHT, BOTTOM, -1, -1},    {RIGHT, LEFT, -1, -1},
    {TOP, RIGHT, -1, -1},       {BOTTOM, RIGHT, TOP, LEFT}, {TOP, BOTTOM, -1, -1},      {TOP, LEFT, -1, -1},
    {LEFT, TOP, -1, -1},        {BOTTOM, TOP, -1, -1},      {LEFT, BOTTOM, RIGHT, TOP}, {RIGHT, TOP, -1, -1},
    {LEFT, RIGHT, -1, -1},      {BOTTOM, RIGHT, -1, -1},    {LEFT, BOTTOM, -1, -1},     {-1, -1, -1, -1},
    {BOTTOM, LEFT, TOP, RIGHT}, {RIGHT, BOTTOM, LEFT, TOP}};

static size_t edge_number(const grid *g, size_t r, size_t c, int side)
{
    switch (side) {
    case BOTTOM:
        return 2 * (r * g->width + c);
    case TOP:
        return 2 * ((r + 1) * g->width + c);
    case LEFT:
        return 2 * (r * g->width + c) + 1;
    default:
        return 2 * (r * g->width + c + 1) + 1;
    }
}

/* Records the cell's segments as next[from] = to + 1. */
static void trace_cell(const grid *g, size_t r, size_t c, uint32_t *next)
{
    double v[4] = {value(g, r, c), value(g, r, c + 1), value(g, r + 1, c + 1), value(g, r + 1, c)};
    int code = 0;
    for (int k = 0; k < 4; k++)
        if (v[k] >= g->level) code |= 1 << k;
    if ((code == 5 || code == 10) && (v[0] + v[1] + v[2] + v[3]) / 4 < g->level) code = code == 5 ? 16 : 17;
    for (int k = 0; k < 4 && segments[code][k] >= 0; k += 2)
        next[edge_number(g, r, c, segments[code][k])] =
            (uint32_t)edge_number(g, r, c, segments[code][k + 1]) + 1;
}

static void crossing(const grid *g, size_t edge, double at[2])
{
    size_t node = edge / 2, r = node / g->width, c = node % g->width;
    bool up = edge % 2 == 1;
    double a = value(g, r, c), b = up ? value(g, r + 1, c) : value(g, r, c + 1);
    double t = a == b ? 0.5 : (g->level - a) / (b - a);
    double x = (double)c - 1 + (up ? 0 : t), y = (double)r - 1 + (up ? t : 0);
    at[0] = fmin(fmax(x, 0), (double)g->nx - 1);
    at[1] = fmin(fmax(y, 0), (double)g->ny - 1);
}

gn_status gn__contour_trace(const double *density, size_t nx, size_t ny, double level, gn__contour *out,
                            gn_error *err)
{
    grid g = {density, nx, ny, nx + 2, level};
    *out = (gn__contour){0};
    size_t edges = 2 * (nx + 2) * (ny + 2), crossed = 0;
    if (!(level > 0) || nx == 0 || ny == 0) return GN_OK;
    uint32_t *next = gn__calloc(edges, sizeof *next);
    if (next == NULL) return gn__no_memory(err, edges * sizeof *next);
    for (size_t r = 0; r <= ny; r++)
        for (size_t c = 0; c <= nx; c++) trace_cell(&g, r, c, next);
    for (size_t e = 0; e < edges; e++) crossed += next[e] != 0;
    out->point = gn__calloc(crossed, sizeof *out->point);
    out->end = gn__calloc(crossed, sizeof *out->end); /* a loop has four points or more */
    if (out->point == NULL || out->end == NULL) {
        gn__contour_free(out);
        free(next);
        return gn__no_memory(err, crossed * sizeof *out->point);
    }
    for (size_t first = 0; first < edges; first++) {
        if (next[first] == 0) continue;
        for (size_t e = first; next[e] != 0;) {
            crossing(&g, e, out->point[out->points++]);
            size_t to = next[e] - 1;
            next[e] = 0;
            e = to;
        }
        out->end[out->loops++] = out->points;
    }
    free(next);
    return GN_OK;
}

void gn__contour_free(gn__contour *c)
{
    free(c->point);
    free(c->end);
    *c = (gn__contour){0};
}
