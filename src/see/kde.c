/* Gaussian kernel densities at points (direct sums) and on regular grids.
 *
 * On a grid the sample is first binned on a finer grid of the same origin, each value shared among its four
 * neighbours with the weights of cubic Lagrange interpolation; then the bins are convolved with the sampled
 * kernel. Binning so replaces phi(g - x) by its cubic interpolant: with a fine step of at most h/8 the error
 * is under 3/128 (1/8)^4 max|phi''''| = 2e-5 of one kernel's peak, whatever the sample. (Linear binning
 * would need h/80 for that.) */
#include "genchi/see.h"

#include "see/sample.h"

#include <math.h>

enum {
    POINT_GRAIN = 8,
    ROW_GRAIN = 16,
    MOST_REFINED = 32,   /* fine steps in a step; a narrower kernel reaches so few points that it is summed */
    MOST_BINS = 1 << 23, /* of a plane */
    MOST_WIDE = 16       /* kernel reach in grid lengths beyond which the direct sum is cheaper */
};
static const double inverse_sqrt_2pi = 0.39894228040143267794;
static const double reach = 7; /* bandwidths after which a kernel is left out: exp(-24.5) = 2e-11 */

static gn_status check_bandwidth(double h, gn_error *err)
{
    if (!(h > 0) || !isfinite(h))
        return gn__fail(err, GN_INVALID_ARGUMENT, "a kernel's bandwidth must be positive and finite; got %g",
                        h);
    return GN_OK;
}

static gn_status check_grid(double low, double high, size_t points, gn_error *err)
{
    if (points < 2 || !(high > low) || !isfinite(high - low))
        return gn__fail(err, GN_INVALID_ARGUMENT,
                        "a density's grid needs low < high and at least two points; got %g to %g, %zu points",
                        low, high, points);
    return GN_OK;
}

/* ---- direct sums ------------------------------------------------------------------------------- */

typedef struct direct_sum {
    const double *x, *at;
    size_t n, dims;
    const double *h;
    double *out;
} direct_sum;

static void direct_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    direct_sum *s = arg;
    double norm = 1 / (double)s->n;
    for (size_t a = 0; a < s->dims; a++) norm *= inverse_sqrt_2pi / s->h[a];
    for (size_t j = begin; j < end; j++) {
        double sum = 0;
        for (size_t i = 0; i < s->n; i++) {
            double square = 0;
            for (size_t a = 0; a < s->dims; a++) {
                double z = (s->at[j * s->dims + a] - s->x[i * s->dims + a]) / s->h[a];
                square += z * z;
            }
            if (square < 1400) sum += exp(-0.5 * square);
        }
        s->out[j] = sum * norm;
    }
}

static gn_status sum_directly(gn_context *ctx, const double *x, size_t n, size_t dims, const double *h,
                              const double *at, size_t points, double *out, gn_error *err)
{
    for (size_t a = 0; a < dims; a++) GN__TRY(check_bandwidth(h[a], err));
    GN__TRY(gn__check_sample(x, n, dims, err));
    direct_sum s = {.x = x, .at = at, .n = n, .dims = dims, .h = h, .out = out};
    return gn__parallel_for(ctx, points, POINT_GRAIN, direct_piece, &s, err);
}

gn_status gn_kde1_at(gn_context *ctx, const double *x, size_t n, double h, const double *at, size_t points,
                     double *out, gn_error *err)
{
    return sum_directly(ctx, x, n, 1, &h, at, points, out, err);
}

gn_status gn_kde2_at(gn_context *ctx, const double *xy, size_t n, const double h[2], const double *at,
                     size_t points, double *out, gn_error *err)
{
    return sum_directly(ctx, xy, n, 2, h, at, points, out, err);
}

/* ---- one axis of a grid ------------------------------------------------------------------------ */

typedef struct axis {
    double low, step, h; /* of the grid asked for */
    size_t points;
    size_t refine;          /* fine steps in a step; 0: no binning on this axis, sum directly */
    size_t half;            /* the kernel's reach in fine steps */
    size_t bins;            /* fine points, margins included */
    double origin, inverse; /* of the fine grid: position of bin 0, 1 / fine step */
    double *kernel;         /* [2 half + 1], h * sqrt(2 pi) * normal density */
} axis;

static gn_status plan_axis(double low, double high, size_t points, double h, axis *a, gn_error *err)
{
    GN__TRY(check_bandwidth(h, err));
    GN__TRY(check_grid(low, high, points, err));
    *a = (axis){.low = low, .step = (high - low) / (double)(points - 1), .h = h, .points = points};
    double refine = ceil(8 * a->step / h), wide = reach * h / a->step;
    if (refine > MOST_REFINED || wide > MOST_WIDE * (double)points || points > UINT32_MAX / MOST_REFINED / 4)
        return GN_OK;
    double fine = a->step / refine;
    a->refine = (size_t)refine;
    a->half = (size_t)ceil(reach * h / fine);
    /* Two more on each side, so that a value within reach always has its four neighbours. */
    a->bins = (points - 1) * a->refine + 1 + 2 * (a->half + 2);
    a->origin = low - (double)(a->half + 2) * fine;
    a->inverse = 1 / fine;
    a->kernel = gn__calloc(2 * a->half + 1, sizeof *a->kernel);
    if (a->kernel == NULL) return gn__no_memory(err, (2 * a->half + 1) * sizeof *a->kernel);
    for (size_t k = 0; k <= 2 * a->half; k++) {
        double z = ((double)k - (double)a->half) * fine / h;
        a->kernel[k] = exp(-0.5 * z * z);
    }
    return GN_OK;
}

/* The first of x's four bins and its weights in them; false when no point of the grid is within reach. */
static bool cubic_bins(const axis *a, double x, size_t *first, double weight[4])
{
    double at = (x - a->origin) * a->inverse;
    if (!(at >= 1 && at < (double)(a->bins - 2))) return false;
    size_t k = (size_t)at;
    double t = at - (double)k;
    *first = k - 1;
    weight[0] = -t * (t - 1) * (t - 2) / 6;
    weight[1] = (t + 1) * (t - 1) * (t - 2) / 2;
    weight[2] = -(t + 1) * t * (t - 2) / 2;
    weight[3] = (t + 1) * t * (t - 1) / 6;
    return true;
}

/* The bins that the kernel at grid point j covers begin here. */
static size_t window(const axis *a, size_t j)
{
    return j * a->refine + 2;
}

GN__CLONES static double kde_dot(const double *x, const double *y, size_t n)
{
    double sum[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t k = 0; k < 8; k++) sum[k] += x[i + k] * y[i + k];
    for (; i < n; i++) sum[0] += x[i] * y[i];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

GN__CLONES static void kde_add_scaled(const double *x, double w, size_t n, double *sum)
{
    for (size_t j = 0; j < n; j++) sum[j] += w * x[j];
}

/* A narrow or a very wide kernel on a grid: only points within reach of each value are summed. */
static gn_status scatter(gn_context *ctx, const double *x, size_t n, size_t dims, const axis *a, double *out,
                         gn_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (i % 256 == 0) GN__TRY(gn__check_cancel(ctx, err));
        size_t from[2] = {0, 0}, to[2] = {1, 1};
        for (size_t d = 0; d < dims; d++) {
            double centre = (x[i * dims + d] - a[d].low) / a[d].step, span = reach * a[d].h / a[d].step;
            double first = fmax(ceil(centre - span), 0);
            double last = fmin(floor(centre + span), (double)(a[d].points - 1));
            from[d] = (size_t)first;
            to[d] = last >= first ? (size_t)last + 1 : (size_t)first;
        }
        for (size_t r = from[1]; r < to[1]; r++)
            for (size_t c = from[0]; c < to[0]; c++) {
                double u = (a[0].low + (double)c * a[0].step - x[i * dims]) / a[0].h, v = 0;
                if (dims == 2) v = (a[1].low + (double)r * a[1].step - x[i * dims + 1]) / a[1].h;
                out[r * a[0].points + c] += exp(-0.5 * (u * u + v * v));
            }
    }
    return GN_OK;
}

/* Lagrange weights dip below zero: so may a density by 1e-5 of its peak. */
static void normalise(double *out, size_t points, double factor)
{
    for (size_t j = 0; j < points; j++) out[j] = out[j] > 0 ? out[j] * factor : 0;
}

/* ---- one dimension ----------------------------------------------------------------------------- */

gn_status gn_kde1_grid(gn_context *ctx, const double *x, size_t n, double h, double low, double high,
                       size_t points, double *out, gn_error *err)
{
    axis a = {0};
    gn_status status = GN_OK;
    double *bin = NULL;
    GN__TRY(gn__check_sample(x, n, 1, err));
    GN__TRY(gn__check_cancel(ctx, err));
    GN__TRY(plan_axis(low, high, points, h, &a, err));
    memset(out, 0, points * sizeof *out);
    if (a.refine == 0) {
        GN__TRY_GOTO(scatter(ctx, x, n, 1, &a, out, err), done);
    } else {
        bin = gn__calloc(a.bins, sizeof *bin);
        if (bin == NULL) {
            status = gn__no_memory(err, a.bins * sizeof *bin);
            goto done;
        }
        for (size_t i = 0; i < n; i++) {
            size_t first;
            double w[4];
            if (!cubic_bins(&a, x[i], &first, w)) continue;
            for (size_t k = 0; k < 4; k++) bin[first + k] += w[k];
        }
        for (size_t j = 0; j < points; j++) out[j] = kde_dot(bin + window(&a, j), a.kernel, 2 * a.half + 1);
    }
    normalise(out, points, inverse_sqrt_2pi / (h * (double)n));
done:
    free(bin);
    free(a.kernel);
    return status;
}

/* ---- two dimensions ---------------------------------------------------------------------------- */

typedef struct plane {
    axis a[2];
    double *bin;  /* [a[1].bins × a[0].bins] */
    double *half; /* [a[1].bins × a[0].points]: convolved along x */
    double *out;
} plane;

static void along_x(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    plane *p = arg;
    const axis *a = &p->a[0];
    for (size_t r = begin; r < end; r++)
        for (size_t c = 0; c < a->points; c++)
            p->half[r * a->points + c] =
                kde_dot(p->bin + r * a->bins + window(a, c), a->kernel, 2 * a->half + 1);
}

static void along_y(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    plane *p = arg;
    const axis *a = &p->a[1];
    size_t nx = p->a[0].points;
    for (size_t r = begin; r < end; r++)
        for (size_t k = 0; k <= 2 * a->half; k++)
            kde_add_scaled(p->half + (window(a, r) + k) * nx, a->kernel[k], nx, p->out + r * nx);
}

static gn_status convolve_plane(gn_context *ctx, plane *p, const double *xy, size_t n, gn_error *err)
{
    const axis *a = p->a;
    size_t cells;
    p->bin = gn__mul_size(a[0].bins, a[1].bins, &cells) ? gn__calloc(cells, sizeof *p->bin) : NULL;
    p->half = gn__mul_size(a[0].points, a[1].bins, &cells) ? gn__calloc(cells, sizeof *p->half) : NULL;
    if (p->bin == NULL || p->half == NULL) return gn__no_memory(err, a[0].bins * a[1].bins * sizeof *p->bin);
    for (size_t i = 0; i < n; i++) {
        size_t column, row;
        double u[4], v[4];
        if (!cubic_bins(&a[0], xy[2 * i], &column, u) || !cubic_bins(&a[1], xy[2 * i + 1], &row, v)) continue;
        for (size_t r = 0; r < 4; r++)
            for (size_t c = 0; c < 4; c++) p->bin[(row + r) * a[0].bins + column + c] += v[r] * u[c];
    }
    GN__TRY(gn__parallel_for(ctx, a[1].bins, ROW_GRAIN, along_x, p, err));
    return gn__parallel_for(ctx, a[1].points, ROW_GRAIN, along_y, p, err);
}

gn_status gn_kde2_grid(gn_context *ctx, const double *xy, size_t n, const double h[2], const double low[2],
                       const double high[2], size_t nx, size_t ny, double *out, gn_error *err)
{
    plane p = {.out = out};
    gn_status status;
    GN__TRY(gn__check_sample(xy, n, 2, err));
    GN__TRY(gn__check_cancel(ctx, err));
    GN__TRY_GOTO(plan_axis(low[0], high[0], nx, h[0], &p.a[0], err), done);
    GN__TRY_GOTO(plan_axis(low[1], high[1], ny, h[1], &p.a[1], err), done);
    memset(out, 0, nx * ny * sizeof *out);
    if (p.a[0].refine == 0 || p.a[1].refine == 0 || p.a[0].bins > MOST_BINS / p.a[1].bins)
        GN__TRY_GOTO(scatter(ctx, xy, n, 2, p.a, out, err), done);
    else
        GN__TRY_GOTO(convolve_plane(ctx, &p, xy, n, err), done);
    normalise(out, nx * ny, inverse_sqrt_2pi * inverse_sqrt_2pi / (h[0] * h[1] * (double)n));
done:
    free(p.a[0].kernel);
    free(p.a[1].kernel);
    free(p.bin);
    free(p.half);
    return status;
}
