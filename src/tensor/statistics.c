#include "tensor/statistics.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void gn__sort(double *x, size_t n)
{
    qsort(x, n, sizeof *x, ascending);
}

double gn__normal_cdf(double z)
{
    return 0.5 * erfc(-z / M_SQRT2);
}

double gn__normal_quantile(double p)
{
    double low = -40, high = 40;
    for (int k = 0; k < 100; k++) {
        double middle = 0.5 * (low + high);
        *(gn__normal_cdf(middle) < p ? &low : &high) = middle;
    }
    return low;
}

double gn__quantile(const double *sorted, size_t n, double p)
{
    double at = p * (double)(n - 1);
    size_t k = (size_t)at;
    return k + 1 < n ? sorted[k] + (at - (double)k) * (sorted[k + 1] - sorted[k]) : sorted[n - 1];
}

gn_interval gn__wilson_score(double p, double n, double z)
{
    double z2 = z * z, centre = (p + z2 / (2 * n)) / (1 + z2 / n);
    double half = z / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n));
    return (gn_interval){p, p <= 0 ? 0 : fmax(0, centre - half), p >= 1 ? 1 : fmin(1, centre + half)};
}
