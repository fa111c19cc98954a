/* Two methods on the same rows, each trained several times: how much of a difference is luck.
 *
 * The difference of row i under seed s is mean + row + seed + both, crossed random effects. Another
 * experiment has other rows and other seeds, so the variance of the mean holds all three (Owen & Eckles 2012,
 * Annals of Applied Statistics 6(3)). */
#include "verify/finetune.h"

#include <math.h>

static const double POWER = 0.8;
static const double MOST_UNITS = 1e9;
enum { MOST_SEEDS = 1000, MORE_ROWS = 4 };

static size_t freedom(double whole, double by_unit, double units, double by_seed, size_t seeds)
{
    double sum = units > 1 ? by_unit * by_unit / (units - 1) : 0;
    if (seeds > 1) sum += by_seed * by_seed / (double)(seeds - 1);
    double df = sum > 0 ? whole * whole / sum : 1e6;
    return df < 1 ? 1 : df > 1e6 ? (size_t)1e6 : (size_t)df;
}

double gn__seeded_power(const gn__spread *v, double units, size_t seeds, double difference)
{
    double k = (double)seeds, by_unit = v->unit / units + v->cell / (units * k);
    double pure = seeds > 1 ? v->seed / k : 0, whole = by_unit + pure;
    size_t df = freedom(whole, by_unit, units, pure + v->cell / (units * k), seeds);
    if (!(whole > 0)) return difference != 0;
    return 1 - gn__student_cdf(gn__student_quantile(df) - fabs(difference) / sqrt(whole), df);
}

double gn__seeded_units(const gn__spread *v, size_t seeds, double difference)
{
    double low = 2, high = MOST_UNITS;
    if (gn__seeded_power(v, high, seeds, difference) < POWER) return 0;
    if (gn__seeded_power(v, low, seeds, difference) >= POWER) return low;
    while (high - low > 0.5) {
        double middle = 0.5 * (low + high);
        if (gn__seeded_power(v, middle, seeds, difference) < POWER)
            low = middle;
        else
            high = middle;
    }
    return ceil(high);
}

/* Seeds with which MORE_ROWS times the units tell the difference; 0: none would do. */
static size_t seeds_for(const gn__spread *v, double units, size_t seeds, double difference)
{
    for (size_t s = seeds + 1; s <= MOST_SEEDS; s++)
        if (gn__seeded_power(v, MORE_ROWS * units, s, difference) >= POWER) return s;
    return 0;
}

/* z[u × seeds + s]: what a unit adds to the difference under a seed, less its share of the mean. */
static void variances(const double *z, size_t units, size_t seeds, double *by_unit, double *by_seed,
                      double *cells)
{
    double u = (double)units, k = (double)seeds, rows = 0, columns = 0, rest = 0;
    double *column = gn__calloc(seeds, sizeof *column);
    *by_unit = *by_seed = *cells = NAN;
    if (column == NULL) return;
    for (size_t i = 0; i < units; i++)
        for (size_t s = 0; s < seeds; s++) column[s] += z[i * seeds + s];
    for (size_t i = 0; i < units; i++) {
        double mean = 0;
        for (size_t s = 0; s < seeds; s++) mean += z[i * seeds + s] / k;
        rows += mean * mean;
        for (size_t s = 0; s < seeds; s++) {
            double e = z[i * seeds + s] - mean - column[s] / u;
            rest += e * e;
        }
    }
    for (size_t s = 0; s < seeds; s++) columns += column[s] * column[s];
    *by_unit = rows * u / (u - 1);
    *by_seed = seeds > 1 ? columns / (k * (k - 1)) : 0;
    *cells = seeds > 1 ? u * rest / (k * (u - 1) * (k - 1)) : 0;
    free(column);
}

static void plan_more(gn_seeded *out, const gn__spread *v, double worthwhile)
{
    double d = out->difference.estimate, units = (double)out->units, rows = (double)out->rows;
    if (out->difference.low > -worthwhile && out->difference.high < worthwhile)
        return; /* nothing that matters */
    double aim = fmax(fabs(d), worthwhile), needed = gn__seeded_units(v, out->seeds, aim);
    /* At the edge of telling, the power of what there is may reach the goal already. */
    if (needed > 0) out->rows_needed = (size_t)ceil(fmax(needed / units, 1.2) * rows);
    if (out->seeds > 1 && (needed <= 0 || needed > MORE_ROWS * units))
        out->seeds_needed = seeds_for(v, units, out->seeds, aim);
}

gn_status gn_seeded_difference(const float *a, const float *b, size_t seeds, size_t rows,
                               const uint32_t *group, double worthwhile, gn_seeded *out, gn_error *err)
{
    *out = (gn_seeded){.difference = {NAN, NAN, NAN}, .p_value = NAN, .p_holm = NAN};
    if (seeds == 0)
        return gn__fail(err, GN_INVALID_ARGUMENT, "a difference between methods needs a seed at least");
    if (rows < 2) return GN_OK;
    gn__units units = {0};
    GN__TRY(gn__units_make(group, rows, &units, err));
    size_t cells = 0;
    double n = (double)rows, k = (double)seeds, mean = 0, u = (double)units.count;
    double *z = gn__mul_size(units.count, seeds, &cells) ? gn__calloc(cells, sizeof *z) : NULL;
    gn_status status = z == NULL ? gn__no_memory(err, cells * sizeof *z) : GN_OK;
    if (status != GN_OK || units.count < 2) goto done;
    for (size_t i = 0; i < rows; i++)
        for (size_t s = 0; s < seeds; s++) {
            double d = ((double)a[s * rows + i] - (double)b[s * rows + i]) / n;
            z[units.of[i] * seeds + s] += d;
            mean += d / k;
        }
    for (size_t i = 0; i < units.count; i++)
        for (size_t s = 0; s < seeds; s++)
            z[i * seeds + s] -= mean * (double)(units.start[i + 1] - units.start[i]) / n;
    double by_unit, by_seed, both;
    variances(z, units.count, seeds, &by_unit, &by_seed, &both);
    if (isnan(by_unit)) {
        status = gn__no_memory(err, seeds * sizeof *z);
        goto done;
    }
    /* Two rows more that disagree, one each way, half of each: no spread seen is not no spread. */
    by_unit += 1 / ((n + 2) * (n + 2));
    double pure = fmax(0, by_seed - both), whole = by_unit + pure;
    size_t df = freedom(whole, by_unit, u, by_seed, seeds);
    double half = gn__student_quantile(df) * sqrt(whole);
    *out = (gn_seeded){.available = true,
                       .difference = {mean, fmax(-1, mean - half), fmin(1, mean + half)},
                       .p_value = fmin(1, 2 * gn__student_cdf(-fabs(mean) / sqrt(whole), df)),
                       .p_holm = NAN,
                       .rows = rows,
                       .units = units.count,
                       .seeds = seeds,
                       .row_variance = by_unit,
                       .seed_variance = pure};
    out->answer = out->difference.low > 0    ? GN_FINETUNE_HELPS
                  : out->difference.high < 0 ? GN_FINETUNE_HURTS
                                             : GN_FINETUNE_CANNOT_TELL;
    gn__spread v = {fmax(0, by_unit - both) * u, pure * k, both * u * k};
    if (out->answer == GN_FINETUNE_CANNOT_TELL) plan_more(out, &v, worthwhile);
done:
    gn__units_free(&units);
    free(z);
    return status;
}

static gn_interval *figure(gn_scores *s, int i)
{
    gn_interval *const all[] = {&s->accuracy, &s->balanced_accuracy, &s->macro_f1,
                                &s->auc,      &s->log_loss,          &s->calibration};
    return all[i];
}

void gn__widen_by_seeds(gn_scores *mean, const gn_scores *seed, size_t seeds, double *deviation)
{
    enum { FIGURES = 6, LOG_LOSS = 4 };
    *deviation = NAN;
    if (seeds < 2) return;
    for (int f = 0; f < FIGURES; f++) {
        gn_interval *i = figure(mean, f);
        double square = 0, k = (double)seeds;
        for (size_t s = 0; s < seeds; s++) {
            gn_scores one = seed[s];
            double away = figure(&one, f)->estimate - i->estimate;
            square += away * away;
        }
        double sd = sqrt(square / (k - 1)), half = gn__student_quantile(seeds - 1) * sd / sqrt(k);
        if (f == 0) *deviation = sd;
        if (isnan(half)) continue;
        i->low = fmax(0, i->estimate - hypot(i->estimate - i->low, half));
        i->high = i->estimate + hypot(i->high - i->estimate, half);
        if (f != LOG_LOSS) i->high = fmin(1, i->high);
    }
}
