/* Confidence interval for a normal mean that cannot be negative. */
#include "tensor/bounded.h"
#include "tensor/statistics.h"

#include <math.h>

enum { HALVINGS = 60 };
static const double level = 0.95;

/* The lower end that belongs to the upper end `to` of mu's outcomes: the likelihood ratio against the best
 * mu >= 0 is the same at both. Below 0 that best is 0, and the ratio exp(x mu - mu^2 / 2). */
static double lower_end(double mu, double to)
{
    if (to <= 2 * mu) return 2 * mu - to;
    return mu > 0 ? (mu * mu - (to - mu) * (to - mu)) / (2 * mu) : -INFINITY;
}

/* Outcomes that mu keeps. */
static void kept(double mu, double *from, double *to)
{
    double low = mu, high = mu + 10;
    for (int i = 0; i < HALVINGS; i++) {
        double mid = 0.5 * (low + high);
        if (gn__normal_cdf(mid - mu) - gn__normal_cdf(lower_end(mu, mid) - mu) < level)
            low = mid;
        else
            high = mid;
    }
    *to = high;
    *from = lower_end(mu, high);
}

void gn__bounded_interval(double x, double *low, double *high)
{
    double ends[2];
    for (int upper = 0; upper < 2; upper++) {
        double a = 0, b = fmax(x, 0) + 10;
        for (int i = 0; i < HALVINGS; i++) {
            double mid = 0.5 * (a + b), from, to;
            kept(mid, &from, &to);
            if (upper ? from <= x : to < x)
                a = mid;
            else
                b = mid;
        }
        ends[upper] = a;
    }
    double from, to;
    kept(0, &from, &to);
    *low = x <= to ? 0 : ends[0];
    *high = ends[1];
}

double gn__beyond_chance(double d, double b)
{
    double d4 = d * d * d * d, b4 = b * b * b * b;
    if (d <= b) return 0;
    return d >= 1 ? 1 : sqrt(sqrt((d4 - b4) / (1 - b4)));
}
