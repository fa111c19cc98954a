/* Bandwidths of a Gaussian kernel density. */
#include "genchi/see.h"

#include "see/sample.h"
#include "tensor/statistics.h"

#include <complex.h>
#include <math.h>

enum { LOG_GRID = 14, GRID = 1 << LOG_GRID, STAGES = 7, MAX_STEPS = 200, LEAST_ROWS = 10 };
static const double pi = 3.14159265358979323846;

/* ---- moments and quantiles --------------------------------------------------------------------- */

typedef struct spread {
    double mean, sd, iqr, low, high;
} spread;

static spread measure(const double *sorted, size_t n)
{
    spread s = {.low = sorted[0], .high = sorted[n - 1]};
    for (size_t i = 0; i < n; i++) s.mean += sorted[i] / (double)n;
    for (size_t i = 0; i < n; i++) s.sd += (sorted[i] - s.mean) * (sorted[i] - s.mean);
    s.sd = n > 1 ? sqrt(s.sd / (double)(n - 1)) : 0;
    s.iqr = gn__quantile(sorted, n, 0.75) - gn__quantile(sorted, n, 0.25);
    return s;
}

/* A sample without spread still needs a kernel of some width: a millionth of its size. */
static double tiny(const spread *s)
{
    double size = fmax(fabs(s->low), fabs(s->high));
    return size > 0 ? 1e-6 * size : 1e-6;
}

static double silverman(const spread *s, size_t n)
{
    double scale = s->iqr > 0 ? fmin(s->sd, s->iqr / 1.34) : s->sd;
    return 0.9 * scale * pow((double)n, -0.2);
}

/* ---- improved Sheather–Jones ------------------------------------------------------------------- */

/* In-place radix-2 Cooley–Tukey. */
static void fft(double complex *x, double complex *twiddle)
{
    for (size_t k = 0; k < GRID / 2; k++) {
        double angle = -2 * pi * (double)k / GRID;
        twiddle[k] = cos(angle) + sin(angle) * I;
    }
    for (size_t i = 1, j = 0; i < GRID; i++) {
        size_t bit = GRID >> 1;
        for (; j & bit; bit >>= 1) j ^= bit;
        j ^= bit;
        if (i < j) {
            double complex t = x[i];
            x[i] = x[j];
            x[j] = t;
        }
    }
    for (size_t half = 1; half < GRID; half *= 2)
        for (size_t base = 0; base < GRID; base += 2 * half)
            for (size_t k = 0; k < half; k++) {
                double complex w = twiddle[k * (GRID / 2 / half)], u = x[base + k], v = x[base + half + k];
                double re = creal(w) * creal(v) - cimag(w) * cimag(v);
                double im = creal(w) * cimag(v) + cimag(w) * creal(v);
                x[base + k] = (creal(u) + re) + (cimag(u) + im) * I;
                x[base + half + k] = (creal(u) - re) + (cimag(u) - im) * I;
            }
}

/* square[k] = (sum_j p_j cos(pi k (j + 1/2) / GRID))^2, k >= 1: DCT-II by one complex FFT (Makhoul 1980). */
static gn_status squared_cosines(const double *p, double *square, gn_error *err)
{
    double complex *x = gn__aligned(GRID + GRID / 2, sizeof *x);
    if (x == NULL) return gn__no_memory(err, (GRID + GRID / 2) * sizeof *x);
    for (size_t j = 0; j < GRID / 2; j++) {
        x[j] = p[2 * j];
        x[GRID - 1 - j] = p[2 * j + 1];
    }
    fft(x, x + GRID);
    for (size_t k = 0; k < GRID; k++) {
        double angle = pi * (double)k / (2.0 * GRID);
        double c = cos(angle) * creal(x[k]) + sin(angle) * cimag(x[k]);
        square[k] = c * c;
    }
    free(x);
    return GN_OK;
}

/* 2 pi^(2 s) sum_k k^(2 s) a_k^2 exp(-k^2 pi^2 t): the squared norm of the s-th derivative. */
static double derivative_norm(const double *square, int s, double t)
{
    double sum = 0;
    for (size_t k = 1; k < GRID; k++) {
        double kk = (double)k * (double)k, exponent = kk * pi * pi * t, power = kk;
        if (exponent > 700) break;
        for (int i = 1; i < s; i++) power *= kk;
        sum += power * square[k] * exp(-exponent);
    }
    return 2 * pow(pi, 2 * s) * sum;
}

/* xi gamma^[5](t) of Botev, Grotowski & Kroese 2010, section 5: the squared bandwidth (in units of the grid's
 * length) that the plug-in stages answer when started from t. */
static double plug_in(const double *square, double n, double t)
{
    double f = derivative_norm(square, STAGES, t);
    for (int s = STAGES - 1; s >= 2; s--) {
        double odd = 1;
        for (int i = 3; i <= 2 * s - 1; i += 2) odd *= i;
        double constant = (1 + pow(0.5, s + 0.5)) / 3;
        double time = pow(2 * constant * odd / sqrt(2 * pi) / (n * f), 2.0 / (3 + 2 * s));
        f = derivative_norm(square, s, time);
    }
    return pow(2 * n * sqrt(pi) * f, -0.4);
}

/* *h stays 0 where the iteration has no useful fixed point. */
static gn_status improved_sheather_jones(const double *x, size_t n, const spread *s, double *h, gn_error *err)
{
    double range = 1.2 * (s->high - s->low), low = s->low - (s->high - s->low) / 10, step = range / GRID;
    double *p = gn__calloc(2 * (size_t)GRID, sizeof *p);
    if (p == NULL) return gn__no_memory(err, 2 * (size_t)GRID * sizeof *p);
    for (size_t i = 0; i < n; i++) {
        /* Linear binning on the cells' midpoints, where the cosines are sampled. */
        double at = (x[i] - low) / step - 0.5;
        size_t k = (size_t)at;
        double part = at - (double)k;
        p[k] += (1 - part) / (double)n;
        p[k + 1] += part / (double)n;
    }
    gn_status status = squared_cosines(p, p + GRID, err);
    double start = silverman(s, n) / range, t = start * start;
    bool fixed = false;
    for (int i = 0; i < MAX_STEPS && status == GN_OK && !fixed; i++) {
        double next = plug_in(p + GRID, (double)n, t);
        if (!(next > 0 && next < 0.1)) break;
        fixed = fabs(next - t) <= 1e-9 * next;
        t = next;
    }
    double found = sqrt(t) * range;
    *h = fixed && found > step ? found : 0; /* below the grid's step it describes ties, not a density */
    free(p);
    return status;
}

/* ---- the rules --------------------------------------------------------------------------------- */

gn_status gn__check_sample(const double *x, size_t n, size_t dims, gn_error *err)
{
    if (n == 0) return gn__fail(err, GN_DATA, "a density needs at least one row; there is none");
    for (size_t i = 0; i < n * dims; i++)
        if (!isfinite(x[i]))
            return gn__fail(err, GN_DATA, "row %zu of a density's sample is %g; every value must be finite",
                            i / dims, x[i]);
    return GN_OK;
}

/* Bandwidth of every stride-th value. */
static gn_status axis_bandwidth(const double *x, size_t n, size_t stride, gn_bandwidth rule, double *h,
                                gn_error *err)
{
    double *sorted = gn__aligned(n, sizeof *sorted), found = 0;
    if (sorted == NULL) return gn__no_memory(err, n * sizeof *sorted);
    for (size_t i = 0; i < n; i++) sorted[i] = x[i * stride];
    gn__sort(sorted, n);
    spread s = measure(sorted, n);
    double dimension = stride == 1 ? 1 : pow((double)n, 1.0 / 30) / 1.06;
    gn_status status = GN_OK;
    if (s.high - s.low > 1e-12 * fmax(fabs(s.low), fabs(s.high))) {
        if (rule == GN_BANDWIDTH_ISJ && n >= LEAST_ROWS)
            status = improved_sheather_jones(sorted, n, &s, &found, err);
        if (found > 0)
            found *= dimension;
        else
            found = stride == 1 ? silverman(&s, n) : s.sd * pow((double)n, -1.0 / 6);
    }
    free(sorted);
    GN__TRY(status);
    *h = found > 0 ? found : tiny(&s);
    return GN_OK;
}

gn_status gn_kde_bandwidth(const double *x, size_t n, gn_bandwidth rule, double *h, gn_error *err)
{
    GN__TRY(gn__check_sample(x, n, 1, err));
    return axis_bandwidth(x, n, 1, rule, h, err);
}

gn_status gn_kde2_bandwidth(const double *xy, size_t n, gn_bandwidth rule, double h[2], gn_error *err)
{
    double found[2];
    GN__TRY(gn__check_sample(xy, n, 2, err));
    for (size_t axis = 0; axis < 2; axis++) GN__TRY(axis_bandwidth(xy + axis, n, 2, rule, &found[axis], err));
    memcpy(h, found, sizeof found);
    return GN_OK;
}
