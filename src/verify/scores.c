/* Scores of held-out probabilities, with bootstrap intervals. The rows are sorted once; a replicate is a
 * vector of counts and a few linear passes over it. */
#include "verify/parts.h"

#include <math.h>

enum { BINS = 15, GRAIN = 4 };
static const double LEAST = 1e-15; /* probability at which the log-loss is cut */

/* Replicated figures; accuracy is among them for the case with groups. */
enum { ACCURACY, BALANCED, MACRO_F1, AUC, LOG_LOSS, CALIBRATION, FIGURES };
/* A replicate also has the calibration error about the sample's own, which is what a calibrated classifier
 * would show. */
enum { CALIBRATED = FIGURES, REPLICATED };

/* An AUC order entry: the row, whether it is of the class, whether it ends a block of equal scores. */
static const uint32_t POSITIVE = 1u << 31, BLOCK_END = 1u << 30;

typedef struct table {
    size_t rows, classes, curves; /* curves: one-against-rest orders kept, 1 for two classes */
    gn__units units;
    const int *y;
    int *predicted;
    double *loss;    /* [rows] */
    double *surplus; /* [rows] right − top probability */
    uint32_t *bin;   /* [rows] calibration bin */
    uint32_t *order; /* [curves × rows] by ascending probability of the class */
    size_t replicates, scratch_size;
    uint64_t seed, purpose;
    uint32_t *weight;    /* [threads × scratch_size]: row weights, then unit counts */
    double *sums;        /* [threads × 3 × classes] */
    double centre[BINS]; /* the sample's own gap by bin, a share of the rows */
    double *figure;      /* [REPLICATED × replicates] */
} table;

static double auc_of(const uint32_t *order, const uint32_t *weight, size_t rows)
{
    double below = 0, block_in = 0, block_out = 0, in = 0, pairs = 0;
    for (size_t p = 0; p < rows; p++) {
        uint32_t e = order[p];
        double w = weight[e & ~(POSITIVE | BLOCK_END)];
        if (e & POSITIVE)
            block_in += w;
        else
            block_out += w;
        if (e & BLOCK_END) {
            pairs += block_in * (below + 0.5 * block_out);
            below += block_out;
            in += block_in;
            block_in = block_out = 0;
        }
    }
    return in > 0 && below > 0 ? pairs / (in * below) : NAN;
}

static double mean_auc(const table *t, const uint32_t *weight)
{
    double sum = 0;
    size_t n = 0;
    for (size_t c = 0; c < t->curves; c++) {
        double a = auc_of(t->order + c * t->rows, weight, t->rows);
        if (!isnan(a)) sum += a, n++;
    }
    return n > 0 ? sum / (double)n : NAN;
}

static void figures_of(const table *t, const uint32_t *weight, double *sums, double gap[BINS],
                       double out[FIGURES])
{
    double *right = sums, *own = right + t->classes, *said = own + t->classes;
    double loss = 0, all = 0, hits = 0, recall = 0, f1 = 0, off = 0;
    size_t present = 0, seen = 0;
    memset(sums, 0, 3 * t->classes * sizeof *sums);
    memset(gap, 0, BINS * sizeof *gap);
    for (size_t i = 0; i < t->rows; i++) {
        double w = weight[i];
        int y = t->y[i], p = t->predicted[i];
        own[y] += w;
        said[p] += w;
        if (y == p) right[y] += w;
        loss += w * t->loss[i];
        gap[t->bin[i]] += w * t->surplus[i];
    }
    for (size_t c = 0; c < t->classes; c++) {
        all += own[c], hits += right[c];
        if (own[c] > 0) recall += right[c] / own[c], present++;
        if (own[c] + said[c] > 0) f1 += 2 * right[c] / (own[c] + said[c]), seen++;
    }
    for (size_t b = 0; b < BINS; b++) gap[b] /= all, off += fabs(gap[b]);
    out[ACCURACY] = hits / all;
    out[BALANCED] = recall / (double)present;
    out[MACRO_F1] = f1 / (double)seen;
    out[AUC] = mean_auc(t, weight);
    out[LOG_LOSS] = loss / all;
    out[CALIBRATION] = off;
}

static void replicate(void *arg, size_t begin, size_t end, unsigned worker)
{
    const table *t = arg;
    uint32_t *weight = t->weight + worker * t->scratch_size, *count = weight + t->rows;
    double figure[REPLICATED], gap[BINS];
    for (size_t b = begin; b < end; b++) {
        gn__rng rng = gn__rng_make(t->seed, t->purpose, b);
        gn__resample(&rng, count, t->units.count);
        for (size_t i = 0; i < t->rows; i++) weight[i] = count[t->units.of[i]];
        figures_of(t, weight, t->sums + worker * 3 * t->classes, gap, figure);
        figure[CALIBRATED] = 0;
        for (size_t k = 0; k < BINS; k++) figure[CALIBRATED] += fabs(gap[k] - t->centre[k]);
        for (size_t f = 0; f < REPLICATED; f++) t->figure[f * t->replicates + b] = figure[f];
    }
}

typedef struct scored {
    float score;
    uint32_t row;
} scored;

static int by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static void order_rows(const table *t, const float *probability, size_t column, scored *sorted,
                       uint32_t *order)
{
    for (size_t i = 0; i < t->rows; i++)
        sorted[i] = (scored){probability[i * t->classes + column], (uint32_t)i};
    qsort(sorted, t->rows, sizeof *sorted, by_score);
    for (size_t p = 0; p < t->rows; p++) {
        uint32_t e = sorted[p].row;
        if (t->y[e] == (int)column) e |= POSITIVE;
        if (p + 1 == t->rows || sorted[p + 1].score != sorted[p].score) e |= BLOCK_END;
        order[p] = e;
    }
}

/* Equal-mass bins of the top probability; equal probabilities share the bin of their middle. */
static void bin_rows(const table *t, const float *probability, scored *sorted)
{
    for (size_t i = 0; i < t->rows; i++)
        sorted[i] = (scored){probability[i * t->classes + (size_t)t->predicted[i]], (uint32_t)i};
    qsort(sorted, t->rows, sizeof *sorted, by_score);
    for (size_t begin = 0, end; begin < t->rows; begin = end) {
        for (end = begin + 1; end < t->rows && sorted[end].score == sorted[begin].score;) end++;
        size_t bin = (begin + end - 1) * BINS / (2 * t->rows);
        for (size_t p = begin; p < end; p++) t->bin[sorted[p].row] = (uint32_t)bin;
    }
}

static gn_status check_input(const float *probability, const int *y, size_t rows, int classes, gn_error *err)
{
    if (rows == 0 || classes < 2)
        return gn__fail(err, GN_INVALID_ARGUMENT,
                        "scores need at least one row and two classes, found %zu rows and %d classes", rows,
                        classes);
    if (rows >= BLOCK_END)
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

static gn_status table_make(gn_context *ctx, const float *probability, const int *y, size_t rows, int classes,
                            const uint32_t *group, size_t replicates, table *t, gn_error *err)
{
    size_t threads = gn_context_threads(ctx), k = (size_t)classes, cells = 0;
    GN__TRY(gn__units_make(group, rows, &t->units, err));
    *t = (table){.rows = rows,
                 .classes = k,
                 .curves = classes == 2 ? 1 : k,
                 .units = t->units,
                 .y = y,
                 .replicates = replicates,
                 .scratch_size = rows + t->units.count};
    t->predicted = gn__calloc(rows, sizeof *t->predicted);
    t->loss = gn__calloc(rows, sizeof *t->loss);
    t->surplus = gn__calloc(rows, sizeof *t->surplus);
    t->bin = gn__calloc(rows, sizeof *t->bin);
    t->order = gn__mul_size(rows, t->curves, &cells) ? gn__calloc(cells, sizeof *t->order) : NULL;
    t->weight = gn__calloc(threads * t->scratch_size, sizeof *t->weight);
    t->sums = gn__calloc(threads * 3 * k, sizeof *t->sums);
    t->figure = gn__mul_size(REPLICATED, replicates, &cells) ? gn__calloc(cells, sizeof *t->figure) : NULL;
    scored *sorted = gn__calloc(rows, sizeof *sorted);
    if (!t->predicted || !t->loss || !t->surplus || !t->bin || !t->order || !t->weight || !t->sums ||
        !t->figure || !sorted) {
        free(sorted);
        return gn__no_memory(err, (rows * (t->curves + 8) + REPLICATED * replicates) * sizeof(double));
    }
    for (size_t i = 0; i < rows; i++) {
        const float *p = probability + i * k;
        t->predicted[i] = gn__top_class(p, classes);
        t->loss[i] = -log(fmax((double)p[y[i]], LEAST));
        t->surplus[i] = (t->predicted[i] == y[i]) - (double)p[t->predicted[i]];
    }
    for (size_t c = 0; c < t->curves; c++)
        order_rows(t, probability, t->curves == 1 ? 1 : c, sorted, t->order + c * rows);
    bin_rows(t, probability, sorted);
    free(sorted);
    return GN_OK;
}

static void table_free(table *t)
{
    gn__units_free(&t->units);
    free(t->predicted);
    free(t->loss);
    free(t->surplus);
    free(t->bin);
    free(t->order);
    free(t->weight);
    free(t->sums);
    free(t->figure);
}

/* The absolute values in the calibration error push every replicate up, so that its percentiles never come
 * near 0. Mirroring takes the push back, except near 0: there the lower end is 0 as long as a calibrated
 * classifier would show as much. */
static gn_interval calibration_interval(double estimate, double *replicate, double *calibrated, size_t count,
                                        size_t units)
{
    gn_interval i = gn__basic(estimate, replicate, count, units);
    gn_interval null = gn__percentile(0, calibrated, count, units);
    if (estimate <= null.high) i.low = 0;
    return i;
}

static void fill_scores(table *t, const double figure[FIGURES], gn_scores *out)
{
    size_t units = t->units.count, b = t->replicates;
    gn_interval *to[CALIBRATION] = {&out->accuracy, &out->balanced_accuracy, &out->macro_f1, &out->auc,
                                    &out->log_loss};
    out->rows = t->rows;
    out->units = units;
    for (int f = 0; f < CALIBRATION; f++)
        *to[f] = gn__percentile(figure[f], t->figure + (size_t)f * b, b, units);
    out->calibration = calibration_interval(figure[CALIBRATION], t->figure + CALIBRATION * b,
                                            t->figure + CALIBRATED * b, b, units);
    if (units == t->rows)
        out->accuracy = gn__wilson(round(figure[ACCURACY] * (double)t->rows), (double)t->rows);
}

gn_status gn_scores_compute(gn_context *ctx, const float *probability, const int *y, size_t rows, int classes,
                            const uint32_t *group, size_t bootstrap, uint64_t purpose, gn_scores *out,
                            gn_error *err)
{
    table t = {0};
    GN__TRY(check_input(probability, y, rows, classes, err));
    gn_status status;
    size_t replicates = bootstrap > 0 ? bootstrap : 1000;
    GN__TRY_GOTO(table_make(ctx, probability, y, rows, classes, group, replicates, &t, err), done);
    t.seed = gn_context_seed(ctx);
    t.purpose = gn__purpose("verify/scores") ^ purpose;
    double figure[FIGURES];
    for (size_t i = 0; i < rows; i++) t.weight[i] = 1;
    figures_of(&t, t.weight, t.sums, t.centre, figure);
    GN__TRY_GOTO(gn__parallel_for(ctx, replicates, GRAIN, replicate, &t, err), done);
    fill_scores(&t, figure, out);
done:
    table_free(&t);
    return status;
}
