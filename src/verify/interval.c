/* Interval and p-value formulas. */
#include "tensor/statistics.h"
#include "verify/parts.h"

#include <math.h>

gn_interval gn__wilson(double right, double n)
{
    return n > 0 ? gn__wilson_score(right / n, n, GN__Z95) : (gn_interval){NAN, NAN, NAN};
}

/* P(T <= -t), t > 0, where it is small: I_x(df/2, 1/2) / 2 with x = df / (df + t^2), by the continued
 * fraction of the incomplete beta function (DLMF 8.17.22, evaluated as Lentz does). One less the sum below
 * has no digit left there. */
static double far_tail(double t, double df)
{
    const double tiny = 1e-300;
    double a = 0.5 * df, x = df / (df + t * t), c = 1, d = 0, f = 1;
    for (int k = 0; k < 1000; k++) {
        double m = k / 2, by = k == 0       ? 1
                               : k % 2 == 0 ? m * (0.5 - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
                                            : -(a + m) * (a + 0.5 + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + by * d;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = 1 + by / c;
        if (fabs(c) < tiny) c = tiny;
        f *= c * d;
        if (k > 0 && fabs(c * d - 1) < 1e-15) break;
    }
    double log_beta = lgamma(a) + lgamma(0.5) - lgamma(a + 0.5);
    return 0.5 * exp(a * log(x) + 0.5 * log(t * t / (df + t * t)) - log_beta) / a * (f - 1);
}

/* Abramowitz & Stegun 26.7.3 and 26.7.4: a finite sum for whole degrees of freedom. Above 1000 the normal
 * distribution is within 3e-4. */
double gn__student_cdf(double t, size_t df)
{
    if (df > 1000) return 0.5 * erfc(-t / M_SQRT2);
    if (t < -4) return far_tail(-t, (double)df);
    double theta = atan(t / sqrt((double)df)), c = cos(theta), s = sin(theta), a;
    double term = 1, sum = 1;
    if (df % 2 == 1) {
        term = c, sum = df == 1 ? 0 : c;
        for (size_t k = 3; k + 2 <= df; k += 2) term *= c * c * (double)(k - 1) / (double)k, sum += term;
        a = 2 / M_PI * (theta + s * sum);
    } else {
        for (size_t k = 2; k + 2 <= df; k += 2) term *= c * c * (double)(k - 1) / (double)k, sum += term;
        a = s * sum;
    }
    return 0.5 + 0.5 * a;
}

/* Newton's method from the normal quantile. It lies below, and the distribution function is concave there:
 * every step ends below the root or at it. */
double gn__student_quantile(size_t df)
{
    double n = (double)df, t = GN__Z95;
    if (df > 1000) return t;
    double log_scale = lgamma(0.5 * (n + 1)) - lgamma(0.5 * n) - 0.5 * log(n * M_PI);
    for (int i = 0; i < 50; i++) {
        double density = exp(log_scale - 0.5 * (n + 1) * log1p(t * t / n));
        double step = (0.975 - gn__student_cdf(t, df)) / density;
        t += step;
        if (step < 1e-14 * t) break;
    }
    return t;
}

/* The percentile interval of n units is too narrow as z intervals with the variance over n are. Hesterberg
 * 2015 (The American Statistician 69(4), section 4.2, "expanded percentile") takes the tail that makes the
 * two agree for a mean: Phi(-sqrt(n / (n-1)) t_{0.975, n-1}). */
static double expanded_tail(size_t units)
{
    return gn__normal_cdf(-sqrt((double)units / (double)(units - 1)) * gn__student_quantile(units - 1));
}

gn_interval gn__share(double estimate, double variance, size_t units, double most)
{
    if (isnan(estimate) || units < 2) return (gn_interval){estimate, NAN, NAN};
    double p = fmin(1, fmax(0, estimate)), n = p * (1 - p) / variance;
    /* No spread seen (all right, for instance): as many observations as there are at the most. */
    if (!(n <= most)) n = variance > 0 ? most : fmin(most, (double)units);
    gn_interval i = gn__wilson_score(p, n, gn__student_quantile(units - 1));
    return (gn_interval){estimate, fmin(i.low, estimate), fmax(i.high, estimate)};
}

gn_interval gn__odds(double estimate, double variance, size_t units, double most)
{
    if (isnan(estimate) || units < 2) return (gn_interval){estimate, NAN, NAN};
    double spread = estimate * (1 - estimate);
    if (!(variance > 0) || !(spread > 0)) return gn__share(estimate, variance, units, most);
    double middle = log(estimate / (1 - estimate));
    double half = gn__student_quantile(units - 1) * sqrt(variance) / spread;
    return (gn_interval){estimate, 1 / (1 + exp(-(middle - half))), 1 / (1 + exp(-(middle + half)))};
}

/* Hall 1992 (Journal of the Royal Statistical Society B 54(1)): the cubic that takes the skewness out of the
 * t statistic, solved for it. */
static double unskewed(double x, double skewness, double root)
{
    double a = skewness / root;
    if (fabs(a) < 1e-6) return x;
    return 3 / a * (cbrt(1 + a * (x - a / 6)) - 1);
}

gn_interval gn__skewed(double estimate, double variance, double skewness, size_t units, size_t df)
{
    if (isnan(estimate) || units < 2) return (gn_interval){estimate, NAN, NAN};
    double t = gn__student_quantile(df), error = sqrt(variance), root = sqrt((double)units);
    double low = estimate - error * unskewed(t, skewness, root),
           high = estimate - error * unskewed(-t, skewness, root);
    return (gn_interval){estimate, fmax(0, fmin(low, estimate)), fmax(high, estimate)};
}

/* Both ends of the percentile interval; false where there is none. */
static bool ends(double *replicate, size_t count, size_t units, double *low, double *high)
{
    size_t n = 0;
    for (size_t b = 0; b < count; b++)
        if (!isnan(replicate[b])) replicate[n++] = replicate[b];
    for (size_t b = n; b < count; b++) replicate[b] = NAN;
    if (units < 2 || 2 * n < count || n < 2) return false;
    gn__sort(replicate, n);
    double tail = expanded_tail(units);
    *low = gn__quantile(replicate, n, tail);
    *high = gn__quantile(replicate, n, 1 - tail);
    return true;
}

gn_interval gn__percentile(double estimate, double *replicate, size_t count, size_t units)
{
    double low, high;
    if (isnan(estimate) || !ends(replicate, count, units, &low, &high))
        return (gn_interval){estimate, NAN, NAN};
    return (gn_interval){estimate, fmin(low, estimate), fmax(high, estimate)};
}

double gn__percentile_p(const double *replicate, size_t count, size_t units)
{
    size_t below = 0, above = 0;
    if (units < 2 || count == 0) return NAN;
    for (size_t b = 0; b < count; b++) below += replicate[b] <= 0, above += replicate[b] >= 0;
    double p = 2 * (double)(1 + (below < above ? below : above)) / (double)(count + 1);
    if (p >= 1) return 1;
    /* The same widening as the interval's, the other way round. */
    double z = -gn__normal_quantile(p / 2);
    p = 2 * gn__student_cdf(-z * sqrt((double)(units - 1) / (double)units), units - 1);
    return p < 1 ? p : 1;
}

double gn__mcnemar(size_t a_only, size_t b_only)
{
    size_t n = a_only + b_only, least = a_only < b_only ? a_only : b_only;
    double tail = 0, base = lgamma((double)n + 1) - (double)n * M_LN2;
    for (size_t k = 0; k <= least; k++)
        tail += exp(base - lgamma((double)k + 1) - lgamma((double)(n - k) + 1));
    return fmin(1, 2 * tail);
}

gn_interval gn__difference(gn_interval a, gn_interval b)
{
    /* Square-and-add (Zou & Donner 2008); from two Wilson intervals it is Newcombe's method 10 (1998). */
    double d = a.estimate - b.estimate;
    double down = hypot(a.estimate - a.low, b.high - b.estimate);
    double up = hypot(a.high - a.estimate, b.estimate - b.low);
    return (gn_interval){d, d - down, d + up};
}
