/* Scores of held-out probabilities and their intervals. Every figure is, up to terms of second order, a mean
 * of its influence function over the rows; sums of that by unit give its variance (the infinitesimal
 * jackknife), without resampling. */
#include "verify/parts.h"

#include "tensor/bounded.h"

#include <math.h>

enum { BINS = 15, FOLDS = 5, SPLITS = 8 };
static const double LEAST = 1e-15; /* probability at which the log-loss is cut */

enum { ACCURACY, BALANCED, MACRO_F1, AUC, LOG_LOSS, FIGURES = GN__FIGURES };

typedef struct scored {
    float score;
    uint32_t row;
} scored;

typedef struct table {
    size_t rows, classes, curves; /* curves: one-against-rest, 1 for two classes */
    const int *y;
    const float *probability; /* of the repeat at hand */
    gn__units units;
    int *predicted;
    scored *sorted;
    uint32_t *bin, *order; /* order: [units] */
    uint64_t seed;
    double *influence; /* [FIGURES × rows], summed over repeats */
    double *recall;    /* [classes], summed over repeats */
    double *f1;        /* [classes], likewise */
    double *count;     /* [3 × classes] right, own, said */
    double figure[FIGURES];
    double square[FIGURES];          /* sums of squares of the repeats' figures */
    double of_repeats[FIGURES];      /* the variance that the repeats' luck leaves in their mean */
    double beyond, chance, variance; /* of the calibration error, see calibrate */
} table;

static int by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static void sort_by(const table *t, size_t column, bool predicted)
{
    for (size_t i = 0; i < t->rows; i++) {
        size_t c = predicted ? (size_t)t->predicted[i] : column;
        t->sorted[i] = (scored){t->probability[i * t->classes + c], (uint32_t)i};
    }
    qsort(t->sorted, t->rows, sizeof *t->sorted, by_score);
}

/* ---- figures -------------------------------------------------------------------------------------- */

static void shares(table *t)
{
    double *right = t->count, *own = right + t->classes, *said = own + t->classes, n = (double)t->rows;
    double hits = 0, recall = 0, f1 = 0, loss = 0;
    size_t present = 0, seen = 0;
    memset(t->count, 0, 3 * t->classes * sizeof *t->count);
    for (size_t i = 0; i < t->rows; i++) {
        own[t->y[i]]++;
        said[t->predicted[i]]++;
        right[t->y[i]] += t->y[i] == t->predicted[i];
        loss -= log(fmax((double)t->probability[i * t->classes + (size_t)t->y[i]], LEAST)) / n;
    }
    for (size_t c = 0; c < t->classes; c++) {
        hits += right[c];
        if (own[c] > 0) recall += right[c] / own[c], present++, t->recall[c] += right[c] / own[c];
        if (own[c] + said[c] > 0) {
            f1 += 2 * right[c] / (own[c] + said[c]), seen++;
            t->f1[c] += 2 * right[c] / (own[c] + said[c]);
        }
    }
    recall /= (double)present;
    f1 /= (double)seen;
    t->figure[ACCURACY] += hits / n;
    t->figure[BALANCED] += recall;
    t->figure[MACRO_F1] += f1;
    t->figure[LOG_LOSS] += loss;
    for (size_t i = 0; i < t->rows; i++) {
        size_t y = (size_t)t->y[i], p = (size_t)t->predicted[i];
        double hit = y == p, all = own[y] + said[y], other = own[p] + said[p];
        t->influence[ACCURACY * t->rows + i] += hit - hits / n;
        t->influence[BALANCED * t->rows + i] += n * (hit - right[y] / own[y]) / own[y] / (double)present;
        /* F1 = 2 right / (own + said), by each of its three counts. */
        double d = (2 * hit - 2 * right[y] / all) / all - 2 * right[p] / other / other;
        t->influence[MACRO_F1 * t->rows + i] += n * d / (double)seen;
        t->influence[LOG_LOSS * t->rows + i] -=
            log(fmax((double)t->probability[i * t->classes + y], LEAST)) + loss;
    }
}

/* The share of the other side's rows that each row is on the right side of (DeLong, DeLong & Clarke-Pearson
 * 1988), and from it the area. false: the class or the rest does not occur. */
static bool curve(table *t, size_t column, double *area)
{
    double in = 0, n = (double)t->rows, pairs = 0, *influence = t->influence + AUC * t->rows;
    for (size_t i = 0; i < t->rows; i++) in += t->y[i] == (int)column;
    double out = n - in;
    if (!(in > 0) || !(out > 0)) return false;
    sort_by(t, column, false);
    for (int pass = 0; pass < 2; pass++) { /* the area first, then deviations from it */
        double in_below = 0, out_below = 0;
        for (size_t begin = 0, end; begin < t->rows; begin = end) {
            double block_in = 0, block_out = 0;
            for (end = begin; end < t->rows && t->sorted[end].score == t->sorted[begin].score; end++) {
                bool is = t->y[t->sorted[end].row] == (int)column;
                block_in += is, block_out += !is;
            }
            double outs = (out_below + 0.5 * block_out) / out, ins = (in - in_below - 0.5 * block_in) / in;
            if (pass == 0) pairs += block_in * outs / in;
            for (size_t k = begin; pass == 1 && k < end; k++) {
                uint32_t row = t->sorted[k].row;
                bool is = t->y[row] == (int)column;
                /* n - 1 in each side's variance */
                double few = is ? in / fmax(in - 1, 1) : out / fmax(out - 1, 1);
                influence[row] +=
                    ((is ? outs : ins) - pairs) * n / (is ? in : out) * sqrt(few) / (double)t->curves;
            }
            in_below += block_in, out_below += block_out;
        }
    }
    *area = pairs;
    return true;
}

static void areas(table *t)
{
    double sum = 0, area = 0;
    size_t n = 0, curves = 0;
    for (size_t c = 0; c < t->classes && t->classes > 2; c++) {
        size_t own = 0;
        for (size_t i = 0; i < t->rows; i++) own += t->y[i] == (int)c;
        curves += own > 0 && own < t->rows;
    }
    t->curves = t->classes == 2 ? 1 : curves;
    for (size_t c = t->classes == 2 ? 1 : 0; c < t->classes; c++)
        if (curve(t, c, &area)) sum += area, n++;
    t->figure[AUC] += n > 0 ? sum / (double)n : NAN;
}

/* ---- calibration ---------------------------------------------------------------------------------- */

/* Equal-mass bins of the top probability; equal probabilities share the bin of their middle. */
static void bin_rows(table *t)
{
    sort_by(t, 0, true);
    for (size_t begin = 0, end; begin < t->rows; begin = end) {
        for (end = begin + 1; end < t->rows && t->sorted[end].score == t->sorted[begin].score;) end++;
        size_t bin = (begin + end - 1) * BINS / (2 * t->rows);
        for (size_t p = begin; p < end; p++) t->bin[t->sorted[p].row] = (uint32_t)bin;
    }
}

static double surplus(const table *t, size_t i)
{
    int p = t->predicted[i];
    return (p == t->y[i]) - (double)t->probability[i * t->classes + (size_t)p];
}

/* A binomial kernel over neighbouring bins: miscalibration seldom changes its sign from one bin to the next.
 * Own weight 3/8, sum of squares 35/128. */
static double smoothed(const double gap[BINS], int b)
{
    static const double kernel[] = {6, 4, 1};
    double sum = 0;
    for (int d = -2; d <= 2; d++)
        if (b + d >= 0 && b + d < BINS) sum += kernel[abs(d)] / 16 * gap[b + d];
    return sum;
}

static double with_sign_of(double sign, double x)
{
    return sign > 0 ? x : sign < 0 ? -x : 0;
}

/* The gaps with the signs that the other folds' smoothed gaps have; mean over several splits of the units. */
static double held_out(const table *t, const double gap[BINS], uint32_t *order)
{
    const gn__units *u = &t->units;
    double sum = 0, n = (double)t->rows;
    for (uint32_t split = 0; split < SPLITS; split++) {
        double part[FOLDS][BINS] = {{0}};
        gn__rng r = gn__rng_make(t->seed, gn__purpose("verify/calibration"), split);
        for (size_t k = 0; k < u->count; k++) order[k] = (uint32_t)k;
        gn__rng_shuffle(&r, order, u->count);
        for (size_t k = 0; k < u->count; k++)
            for (size_t m = u->start[order[k]]; m < u->start[order[k] + 1]; m++)
                part[k % FOLDS][t->bin[u->row[m]]] += surplus(t, u->row[m]) / n;
        for (size_t f = 0; f < FOLDS; f++) {
            double rest[BINS];
            for (int b = 0; b < BINS; b++) rest[b] = gap[b] - part[f][b];
            for (int b = 0; b < BINS; b++) sum += with_sign_of(smoothed(rest, b), part[f][b]) / SPLITS;
        }
    }
    return sum;
}

/* The sum of |gap| over the bins is drawn up by noise: as the overlap is (docs/method-verify.md), it is
 * measured on the rows seen and on rows held out, weighed, and set against what chance gives. */
static double calibrate(table *t)
{
    /* sum of squares / (2 × own weight), and own weight / root of the sum of squares × E|N(0, 1)| */
    static const double weight = 0.3646, chance = 0.5721;
    double gap[BINS] = {0}, rows[BINS] = {0}, hits[BINS] = {0}, square[BINS] = {0}, claimed[BINS] = {0};
    double n = (double)t->rows, plain = 0, seen = 0, all = 0, variance = 0, together = 0;
    bin_rows(t);
    for (size_t i = 0; i < t->rows; i++) {
        size_t b = t->bin[i];
        double p = (double)t->probability[i * t->classes + (size_t)t->predicted[i]];
        gap[b] += surplus(t, i) / n;
        rows[b]++;
        hits[b] += t->predicted[i] == t->y[i];
        claimed[b] += p * (1 - p) / (n * n);
    }
    /* A unit's sum in each bin about its share of the bin's gap. */
    for (size_t u = 0; u < t->units.count && t->units.count < t->rows; u++) {
        double sum[BINS] = {0};
        for (size_t m = t->units.start[u]; m < t->units.start[u + 1]; m++) {
            size_t b = t->bin[t->units.row[m]];
            sum[b] += surplus(t, t->units.row[m]) / n - gap[b] / rows[b];
        }
        double across = 0;
        for (int b = 0; b < BINS; b++) {
            square[b] += sum[b] * sum[b];
            across += with_sign_of(smoothed(gap, b), sum[b]);
        }
        together += across * across;
    }
    for (int b = 0; b < BINS; b++) {
        if (rows[b] == 0) continue;
        /* What the bin's rows show, or where they are too few to show any, what the probabilities claim. */
        double share = hits[b] / rows[b], shown = rows[b] * share * (1 - share) / (n * n);
        if (rows[b] > 1) shown *= rows[b] / (rows[b] - 1);
        double v = fmax(fmax(shown, claimed[b]), square[b]);
        plain += fabs(gap[b]);
        seen += with_sign_of(smoothed(gap, b), gap[b]);
        t->chance += weight * chance * sqrt(v);
        variance += v;
        all += hits[b];
    }
    /* One row right and one wrong more than there are (as in Agresti & Caffo 2000): never no error at all. */
    double padded = (all + 1) / (n + 2), units = (double)t->units.count;
    t->variance += fmax(fmax(variance, together), units > 3 ? padded * (1 - padded) / n : 0);
    t->beyond += weight * seen + (1 - weight) * held_out(t, gap, t->order);
    return plain;
}

/* ---- intervals ------------------------------------------------------------------------------------ */

static double variance_of(const table *t, const double *influence, double *skewness)
{
    const gn__units *u = &t->units;
    double square = 0, cube = 0, n = (double)t->rows, units = (double)u->count;
    for (size_t k = 0; k < u->count; k++) {
        double sum = 0;
        for (size_t m = u->start[k]; m < u->start[k + 1]; m++) sum += influence[u->row[m]] / n;
        square += sum * sum;
        cube += sum * sum * sum;
    }
    *skewness = square > 0 ? cube / units / pow(square / units, 1.5) : 0;
    return units > 1 ? square * units / (units - 1) : 0;
}

/* The mean of independent recalls: their Wilson intervals, square and add (Zou & Donner 2008). */
static gn_interval mean_recall(const table *t, double estimate)
{
    const double *own = t->count + t->classes;
    double down = 0, up = 0;
    size_t present = 0;
    for (size_t c = 0; c < t->classes; c++) {
        if (!(own[c] > 0)) continue;
        gn_interval w = gn__wilson(t->recall[c] * own[c], own[c]);
        down += (w.estimate - w.low) * (w.estimate - w.low);
        up += (w.high - w.estimate) * (w.high - w.estimate);
        present++;
    }
    double k = (double)present;
    return (gn_interval){estimate, fmax(0, estimate - sqrt(down) / k), fmin(1, estimate + sqrt(up) / k)};
}

/* F1 = 2 J / (1 + J) for J = right / (own + said − right), a share of independent rows given that they are of
 * the class or said to be. The classes' Wilson intervals are joined by square and add, and scaled to the
 * variance that the mean's influence function gives: one row's error is in two classes' F1. */
static gn_interval mean_f1(const table *t, double estimate, double variance)
{
    const double *own = t->count + t->classes, *said = own + t->classes;
    double down = 0, up = 0, apart = 0;
    size_t seen = 0;
    for (size_t c = 0; c < t->classes; c++) {
        double n = own[c] + said[c], f = t->f1[c];
        if (!(n > 0)) continue;
        double either = n / (1 + f / (2 - f)), j = f / (2 - f); /* rows of the class or said to be */
        gn_interval w = gn__wilson(j * either, either);
        double low = 2 * w.low / (1 + w.low), high = 2 * w.high / (1 + w.high);
        double slope = 2 / ((1 + j) * (1 + j));
        down += (f - low) * (f - low);
        up += (high - f) * (high - f);
        apart += slope * slope * j * (1 - j) / either;
        seen++;
    }
    double k = (double)seen, together = apart > 0 ? fmin(k, fmax(0.25, variance * k * k / apart)) : 1;
    return (gn_interval){estimate, fmax(0, estimate - sqrt(together * down) / k),
                         fmin(1, estimate + sqrt(together * up) / k)};
}

/* Units less one, but where a rare class carries most of the variance, its own (Satterthwaite 1946). `few`:
 * fewer still where few rows carry a class's part; the variance of a sample variance is about (kurtosis −
 * 1)/n of its square, 2/(n − 1) for normal values. (A jackknife's parts are sums of many rows, nearer to
 * normal.) At least five: below, the intervals grow by an eighth and hold the truth no more often (nearly
 * separable classes). */
static size_t freedom(const table *t, const double *influence, bool few)
{
    const double *own = t->count + t->classes;
    double *square = t->f1, *fourth = t->recall, all = 0, df = 0; /* no longer needed as what they were */
    if (t->units.count < t->rows) return t->units.count;
    memset(square, 0, t->classes * sizeof *square);
    memset(fourth, 0, t->classes * sizeof *fourth);
    for (size_t i = 0; i < t->rows; i++) {
        double s = influence[i] * influence[i];
        square[t->y[i]] += s;
        fourth[t->y[i]] += s * s;
    }
    for (size_t c = 0; c < t->classes; c++) {
        double s = square[c], kurtosis = s > 0 && few ? fmax(3, own[c] * fourth[c] / (s * s)) : 3;
        all += s;
        if (own[c] > 1) df += s * s / (own[c] - 1) * (kurtosis - 1) / 2;
    }
    return df > 0 ? (size_t)fmax(5, all * all / df) + 1 : t->units.count;
}

static gn_interval calibration_interval(const table *t)
{
    size_t units = t->units.count;
    double error = sqrt(t->variance), low, high;
    double estimate = gn__beyond_chance(t->beyond, t->chance);
    if (units < 2) return (gn_interval){estimate, NAN, NAN};
    error *= gn__student_quantile(units - 1) / gn__student_quantile(SIZE_MAX);
    gn__bounded_interval(fmax((t->beyond - t->chance) / error, -1), &low, &high);
    return (gn_interval){estimate, gn__beyond_chance(t->chance + error * low, t->chance),
                         gn__beyond_chance(fmin(1, t->chance + error * high), t->chance)};
}

/* Of cross-validated figures over other data. A jackknife counts what two rows do together twice (Efron &
 * Stein 1981), the variance given the fits about once; where the jump from one strength to another weighs
 * little (the accuracy, the log-loss), their mean is taken. Never below the variance given the fits. */
static double over_data(const table *t, const gn__over_data *over, int f, double given)
{
    bool mean = f == ACCURACY || f == LOG_LOSS;
    double jackknife = mean ? (over->variance[f] + given) / 2 : over->variance[f];
    double variance = fmax(given, jackknife + t->of_repeats[f]);
    return f == LOG_LOSS ? fmax(variance, over->plausible) : variance;
}

/* The intervals over other data, `units` parts having been left out. The shares by class are of no more rows
 * than the accuracy shows: a probe that always says the same has no spread in them. */
static void fill_over_data(const table *t, const double variance[FIGURES], const double skewness[FIGURES],
                           double least, size_t units, gn_scores *out)
{
    double p = t->figure[ACCURACY], rows = (double)t->rows, shown = p * (1 - p) / variance[ACCURACY];
    if (!(shown < rows)) shown = rows;
    out->accuracy = gn__share(p, variance[ACCURACY], units, rows);
    out->balanced_accuracy = gn__share(t->figure[BALANCED], variance[BALANCED], units, shown);
    out->macro_f1 = gn__share(t->figure[MACRO_F1], variance[MACRO_F1], units, shown);
    size_t own = freedom(t, t->influence + AUC * t->rows, false);
    out->auc = gn__odds(t->figure[AUC], variance[AUC], own < units ? own : units, least);
    out->log_loss =
        gn__skewed(t->figure[LOG_LOSS], variance[LOG_LOSS], skewness[LOG_LOSS], t->units.count, units - 1);
}

static void fill_scores(table *t, const gn__over_data *over, gn_scores *out)
{
    size_t units = t->units.count;
    double variance[FIGURES], skewness[FIGURES], least = INFINITY, n = (double)units, rows = (double)t->rows;
    const double *own = t->count + t->classes;
    bool grouped = units < t->rows;
    for (int f = 0; f < FIGURES; f++)
        variance[f] = variance_of(t, t->influence + (size_t)f * t->rows, &skewness[f]);
    for (size_t c = 0; c < t->classes; c++)
        if (own[c] > 0) least = fmin(least, own[c]);
    least = fmin(least, n);
    out->rows = t->rows;
    out->units = units;
    out->accuracy = grouped ? gn__share(t->figure[ACCURACY], variance[ACCURACY], units, rows)
                            : gn__wilson(t->figure[ACCURACY] * n, n);
    out->balanced_accuracy = grouped ? gn__share(t->figure[BALANCED], variance[BALANCED], units, rows)
                                     : mean_recall(t, t->figure[BALANCED]);
    out->macro_f1 = grouped ? gn__share(t->figure[MACRO_F1], variance[MACRO_F1], units, rows)
                            : mean_f1(t, t->figure[MACRO_F1], variance[MACRO_F1]);
    out->auc = gn__odds(t->figure[AUC], variance[AUC], freedom(t, t->influence + AUC * t->rows, true), least);
    out->log_loss = gn__skewed(t->figure[LOG_LOSS], variance[LOG_LOSS], skewness[LOG_LOSS], units, units - 1);
    /* Without any error the intervals for as many rows stand. */
    if (over != NULL && !isnan(over->variance[ACCURACY]) && variance[ACCURACY] > 0) {
        size_t parts = units / 2 < GN__JACKKNIFE_PARTS ? units / 2 : (size_t)GN__JACKKNIFE_PARTS;
        for (int f = 0; f < FIGURES; f++) variance[f] = over_data(t, over, f, variance[f]);
        fill_over_data(t, variance, skewness, least, parts, out);
    }
    out->calibration = calibration_interval(t);
}

/* ---- the whole ------------------------------------------------------------------------------------ */

static gn_status check_input(const float *probability, const int *y, size_t rows, int classes, gn_error *err)
{
    if (rows == 0 || classes < 2)
        return gn__fail(err, GN_INVALID_ARGUMENT,
                        "scores need at least one row and two classes, found %zu rows and %d classes", rows,
                        classes);
    if (rows >= UINT32_MAX / 4)
        return gn__fail(err, GN_UNSUPPORTED, "%zu rows are more than can be scored at once", rows);
    for (size_t i = 0; i < rows; i++) {
        if (y[i] < 0 || y[i] >= classes)
            return gn__fail(err, GN_INVALID_ARGUMENT, "the label %d of row %zu is not in 0 to %d", y[i],
                            i + 1, classes - 1);
        for (int c = 0; c < classes; c++) {
            float p = probability[i * (size_t)classes + (size_t)c];
            if (!(p >= 0 && p <= 1))
                return gn__fail(err, GN_DATA, "row %zu, class %d: %g is not a probability", i + 1, c,
                                (double)p);
        }
    }
    return GN_OK;
}

static gn_status table_make(const int *y, size_t rows, int classes, const uint32_t *group, table *t,
                            gn_error *err)
{
    size_t k = (size_t)classes;
    *t = (table){.rows = rows, .classes = k, .y = y};
    GN__TRY(gn__units_make(group, rows, &t->units, err));
    t->predicted = gn__calloc(rows, sizeof *t->predicted);
    t->sorted = gn__calloc(rows, sizeof *t->sorted);
    t->bin = gn__calloc(rows, sizeof *t->bin);
    t->order = gn__calloc(t->units.count, sizeof *t->order);
    t->influence = gn__calloc(rows, FIGURES * sizeof *t->influence);
    t->recall = gn__calloc(k, sizeof *t->recall);
    t->f1 = gn__calloc(k, sizeof *t->f1);
    t->count = gn__calloc(3 * k, sizeof *t->count);
    if (!t->f1 || !t->predicted || !t->sorted || !t->bin || !t->order || !t->influence || !t->recall ||
        !t->count)
        return gn__no_memory(err, rows * (FIGURES + 2) * sizeof(double));
    return GN_OK;
}

static void table_free(table *t)
{
    gn__units_free(&t->units);
    free(t->predicted);
    free(t->sorted);
    free(t->bin);
    free(t->order);
    free(t->influence);
    free(t->recall);
    free(t->f1);
    free(t->count);
}

static void take(table *t, const float *probability)
{
    t->probability = probability;
    for (size_t i = 0; i < t->rows; i++)
        t->predicted[i] = gn__top_class(probability + i * t->classes, (int)t->classes);
}

/* Sums over repeats become means. */
static void average(table *t, size_t repeats)
{
    double r = 1 / (double)repeats;
    for (size_t i = 0; i < FIGURES * t->rows; i++) t->influence[i] *= r;
    for (size_t c = 0; c < t->classes; c++) t->recall[c] *= r, t->f1[c] *= r;
    for (size_t f = 0; f < FIGURES; f++) {
        t->figure[f] *= r;
        double about = fmax(0, t->square[f] * r - t->figure[f] * t->figure[f]);
        t->of_repeats[f] = repeats > 1 ? about / (double)(repeats - 1) : 0;
    }
    t->beyond *= r;
    t->chance *= r;
    t->variance *= r;
}

gn_status gn__scores_of(gn_context *ctx, const float *const *probability, size_t repeats, const int *y,
                        size_t rows, int classes, const uint32_t *group, const gn__over_data *over,
                        gn_scores *out, gn_error *err)
{
    table t = {0};
    gn_status status;
    GN__TRY_GOTO(table_make(y, rows, classes, group, &t, err), done);
    t.seed = gn_context_seed(ctx);
    for (size_t r = 0; r < repeats; r++) {
        GN__TRY_GOTO(gn__check_cancel(ctx, err), done);
        double before[FIGURES];
        memcpy(before, t.figure, sizeof before);
        take(&t, probability[r]);
        shares(&t);
        areas(&t);
        calibrate(&t);
        for (size_t f = 0; f < FIGURES; f++)
            t.square[f] += (t.figure[f] - before[f]) * (t.figure[f] - before[f]);
    }
    average(&t, repeats);
    fill_scores(&t, over, out);
done:
    table_free(&t);
    return status;
}

gn_status gn__figures_of(const float *probability, const int *y, size_t rows, int classes,
                         double figure[GN__FIGURES], gn_error *err)
{
    table t = {0};
    gn_status status = table_make(y, rows, classes, NULL, &t, err);
    if (status == GN_OK) {
        take(&t, probability);
        shares(&t);
        areas(&t);
        memcpy(figure, t.figure, sizeof t.figure);
    }
    table_free(&t);
    return status;
}

double gn__plain_calibration(const float *probability, const int *y, size_t rows, int classes)
{
    table t = {0};
    double plain = NAN;
    if (table_make(y, rows, classes, NULL, &t, NULL) == GN_OK) {
        take(&t, probability);
        plain = calibrate(&t);
    }
    table_free(&t);
    return plain;
}

gn_status gn_scores_compute(gn_context *ctx, const float *probability, const int *y, size_t rows, int classes,
                            const uint32_t *group, gn_scores *out, gn_error *err)
{
    GN__TRY(check_input(probability, y, rows, classes, err));
    return gn__scores_of(ctx, &probability, 1, y, rows, classes, group, NULL, out, err);
}
