/* Sets are told apart by which smoothed density is the larger one: on the rows that the densities were made
 * of, and with each row's fold left out. A fold is a histogram, smoothed once; what is left without it is a
 * difference. */
#include "see/separation.h"

#include <math.h>

static void add_row(const gn__binned *b, size_t i, double *histogram)
{
    double *at = histogram + b->cell[i];
    double u = (double)b->part[i * b->dims];
    if (b->dims == 1) {
        at[0] += 1 - u;
        at[1] += u;
        return;
    }
    double v = (double)b->part[2 * i + 1];
    at[0] += (1 - u) * (1 - v);
    at[1] += u * (1 - v);
    at[b->nx] += (1 - u) * v;
    at[b->nx + 1] += u * v;
}

void gn__bin_rows(gn__binned *b, const double *x, size_t n, size_t first)
{
    for (size_t i = 0; i < n; i++) {
        size_t stride = 1, row = first + i;
        b->cell[row] = b->near[row] = 0;
        for (size_t axis = 0; axis < b->dims; axis++, stride = b->nx) {
            double last = (double)(axis ? b->ny : b->nx) - 1.0000001;
            double at = (x[i * b->dims + axis] - b->low[axis]) / b->step[axis];
            at = at > 0 ? fmin(at, last) : 0;
            size_t k = (size_t)at;
            b->cell[row] += (uint32_t)(k * stride);
            b->near[row] += (uint32_t)((size_t)(at + 0.5) * stride);
            b->part[row * b->dims + axis] = (float)(at - (double)k);
        }
    }
}

/* out[j] = t0 in[j] + sum_k t_k (in[j-k] + in[j+k]), zero outside; in has `half` zeros on each side. */
GN__CLONES static void separation_convolve(const double *in, const double *tap, size_t half, size_t n,
                                           double *out)
{
    for (size_t j = 0; j < n; j++) out[j] = tap[0] * in[j];
    for (size_t k = 1; k <= half; k++) {
        const double *left = in - k, *right = in + k;
        double t = tap[k];
        for (size_t j = 0; j < n; j++) out[j] += t * (left[j] + right[j]);
    }
}

GN__CLONES static void separation_add_scaled(const double *x, double w, size_t n, double *sum)
{
    for (size_t j = 0; j < n; j++) sum[j] += w * x[j];
}

/* Smooths the histogram in place. line: [3 nx], the outer thirds zero; temporary: [cells]. */
static void smooth(const gn__binned *b, double *histogram, const gn__kernel *k, double *line,
                   double *temporary)
{
    double *in = line + b->nx;
    for (size_t r = 0; r < b->ny; r++) {
        memcpy(in, histogram + r * b->nx, b->nx * sizeof *in);
        separation_convolve(in, k[0].tap, k[0].half, b->nx, temporary + r * b->nx);
    }
    if (b->dims == 1) {
        memcpy(histogram, temporary, b->cells * sizeof *histogram);
        return;
    }
    memset(histogram, 0, b->cells * sizeof *histogram);
    for (size_t r = 0; r < b->ny; r++)
        for (size_t i = 0; i <= 2 * k[1].half; i++) {
            size_t from = r + i, away = i < k[1].half ? k[1].half - i : i - k[1].half;
            if (from < k[1].half || from - k[1].half >= b->ny) continue;
            separation_add_scaled(temporary + (from - k[1].half) * b->nx, k[1].tap[away], b->nx,
                                  histogram + r * b->nx);
        }
}

size_t gn__separation_scratch(const gn__binned *b)
{
    return (2 * GN__SEPARATION_FOLDS + 4) * b->cells + 3 * b->nx;
}

/* Two bits a fold, and two for all rows: 2 where the first density is larger, 1 where they are equal. */
static void compare(const gn__binned *b, double *const total[2], double *const fold[2],
                    const double rows[2][GN__SEPARATION_FOLDS + 1], size_t folds, uint32_t *larger)
{
    for (size_t j = 0; j < b->cells; j++) {
        double d = total[0][j] / rows[0][folds] - total[1][j] / rows[1][folds];
        uint32_t bits = (d > 0 ? 2u : d == 0) << (2 * folds);
        for (size_t k = 0; k < folds; k++) {
            double a = (total[0][j] - fold[0][k * b->cells + j]) / (rows[0][folds] - rows[0][k]);
            double c = (total[1][j] - fold[1][k * b->cells + j]) / (rows[1][folds] - rows[1][k]);
            /* Sums of the same numbers in another order differ by rounding. */
            d = a - c;
            bits |= (fabs(d) <= 1e-12 * (a + c) ? 1u : d > 0 ? 2u : 0u) << (2 * k);
        }
        larger[j] = bits;
    }
}

void gn__separate(const gn__binned *b, const gn__sides *sides, double *scratch, double *seen, double *held,
                  float *member)
{
    const gn__units *u = sides->units;
    size_t folds = GN__SEPARATION_FOLDS, cells = b->cells;
    double *line = scratch, *temporary = line + 3 * b->nx, rows[2][GN__SEPARATION_FOLDS + 1] = {{0}};
    double *total[2] = {temporary + cells, temporary + 2 * cells};
    double *fold[2] = {total[1] + cells, total[1] + (1 + folds) * cells};
    uint32_t *larger = (uint32_t *)(fold[1] + folds * cells);
    for (size_t s = 0; s < 2; s++)
        if (sides->count[s] < folds) folds = sides->count[s];
    memset(line, 0, 3 * b->nx * sizeof *line);
    memset(total[0], 0, 2 * cells * sizeof **total);
    for (size_t s = 0; s < 2; s++) {
        memset(fold[s], 0, folds * cells * sizeof **fold);
        for (size_t i = 0; i < sides->count[s]; i++) {
            size_t unit = sides->unit[s][i], k = i % folds;
            for (size_t m = u->start[unit]; m < u->start[unit + 1]; m++) {
                add_row(b, u->row[m], fold[s] + k * cells);
                rows[s][k]++, rows[s][folds]++;
            }
        }
        for (size_t k = 0; k < folds; k++) {
            smooth(b, fold[s] + k * cells, sides->kernel[s], line, temporary);
            separation_add_scaled(fold[s] + k * cells, 1, cells, total[s]);
        }
    }
    compare(b, total, fold, rows, folds, larger);
    *seen = *held = 0;
    for (size_t s = 0; s < 2; s++) {
        double all = 0, outside = 0;
        for (size_t i = 0; i < sides->count[s]; i++) {
            size_t unit = sides->unit[s][i], k = i % folds;
            for (size_t m = u->start[unit]; m < u->start[unit + 1]; m++) {
                uint32_t bits = larger[b->near[u->row[m]]];
                all += 0.5 * (bits >> (2 * folds) & 3u);
                outside += 0.5 * (bits >> (2 * k) & 3u);
                if (member != NULL) member[u->row[m]] = 0.5F * (float)(bits >> (2 * folds) & 3u);
            }
        }
        double sign = s == 0 ? 1 : -1;
        *seen += sign * all / rows[s][folds];
        *held += sign * outside / rows[s][folds];
    }
    if (folds < 2) *held = NAN;
}

double gn__separation(size_t dims, double seen, double held)
{
    double weight = 0.5 * (dims == 1 ? 0.70710678118654752440 : 0.5);
    return isnan(held) ? seen : weight * seen + (1 - weight) * held;
}
