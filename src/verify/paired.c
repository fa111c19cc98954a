/* Two classifiers on the same rows. */
#include "verify/parts.h"

#include <math.h>

enum { GRAIN = 8 };

int gn__top_class(const float *probability, int classes)
{
    int top = 0;
    for (int c = 1; c < classes; c++)
        if (probability[c] > probability[top]) top = c;
    return top;
}

typedef struct pairing {
    size_t units;
    const double *gain;  /* [units] how much more often a was right than b, summed over rows */
    const size_t *start; /* [units + 1] */
    uint64_t seed, purpose;
    double *replicate;
} pairing;

static void resample(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    const pairing *p = arg;
    for (size_t b = begin; b < end; b++) {
        gn__rng rng = gn__rng_make(p->seed, p->purpose, b);
        double gain = 0;
        size_t rows = 0;
        for (size_t i = 0; i < p->units; i++) {
            uint32_t u = gn__rng_below(&rng, (uint32_t)p->units);
            gain += p->gain[u];
            rows += p->start[u + 1] - p->start[u];
        }
        p->replicate[b] = gain / (double)rows;
    }
}

/* Right or wrong, not a mean over repeats. */
static bool whole(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (x[i] != 0 && x[i] != 1) return false;
    return true;
}

/* Means over repeats are no longer yes or no, so that McNemar's test has no meaning: Student's for the mean
 * of the rows' differences. */
static double student_p(const float *a, const float *b, size_t rows, double mean)
{
    double square = 0, n = (double)rows;
    for (size_t i = 0; i < rows; i++) {
        double d = (double)a[i] - (double)b[i] - mean;
        square += d * d;
    }
    if (!(square > 0)) return mean == 0 || rows < 2 ? 1 : 2 * pow(0.5, n); /* every row says the same */
    return fmin(1, 2 * gn__student_cdf(-fabs(mean) / sqrt(square / (n - 1) / n), rows - 1));
}

gn_status gn__paired_right(gn_context *ctx, const float *a, const float *b, size_t rows,
                           const uint32_t *group, size_t bootstrap, uint64_t purpose, gn_paired *out,
                           gn_error *err)
{
    *out = (gn_paired){.difference = {NAN, NAN, NAN}, .p_value = NAN};
    if (rows == 0) return GN_OK;
    gn__units units = {0};
    GN__TRY(gn__units_make(group, rows, &units, err));
    double *gain = gn__calloc(units.count, sizeof *gain);
    double *replicate = gn__calloc(bootstrap, sizeof *replicate);
    double difference = 0;
    gn_status status = GN_OK;
    if (gain == NULL || replicate == NULL) {
        status = gn__no_memory(err, units.count * sizeof *gain + bootstrap * sizeof *replicate);
        goto done;
    }
    out->rows = rows;
    for (size_t i = 0; i < rows; i++) {
        out->a_only += a[i] > b[i];
        out->b_only += b[i] > a[i];
        gain[units.of[i]] += (double)a[i] - (double)b[i];
        difference += ((double)a[i] - (double)b[i]) / (double)rows;
    }
    pairing p = {units.count, gain, units.start, gn_context_seed(ctx), gn__purpose("verify/paired") ^ purpose,
                 replicate};
    GN__TRY_GOTO(gn__parallel_for(ctx, bootstrap, GRAIN, resample, &p, err), done);
    if (units.count < rows)
        out->p_value = gn__percentile_p(replicate, bootstrap, units.count);
    else if (whole(a, rows) && whole(b, rows))
        out->p_value = gn__mcnemar(out->a_only, out->b_only);
    else
        out->p_value = student_p(a, b, rows, difference);
    out->difference = gn__percentile(difference, replicate, bootstrap, units.count);
    out->available = true;
done:
    gn__units_free(&units);
    free(gain);
    free(replicate);
    return status;
}

static bool judged(const float *probability, int classes)
{
    for (int c = 0; c < classes; c++)
        if (isnan(probability[c])) return false;
    return true;
}

gn_status gn_paired_correct(gn_context *ctx, const float *a, const float *b, size_t rows,
                            const uint32_t *group, size_t bootstrap, uint64_t purpose, gn_paired *out,
                            gn_error *err)
{
    float *right = gn__calloc(rows, 2 * sizeof *right);
    uint32_t *kept = gn__calloc(rows, sizeof *kept);
    size_t n = 0;
    gn_status status;
    if (right == NULL || kept == NULL) {
        status = gn__no_memory(err, rows * (2 * sizeof *right + sizeof *kept));
        goto done;
    }
    for (size_t i = 0; i < rows; i++) {
        if (isnan(a[i]) || isnan(b[i])) continue;
        right[n] = a[i];
        right[rows + n] = b[i];
        kept[n++] = group ? group[i] : 0;
    }
    status = gn__paired_right(ctx, right, right + rows, n, group ? kept : NULL, bootstrap ? bootstrap : 1000,
                              purpose, out, err);
done:
    free(right);
    free(kept);
    return status;
}

gn_status gn_paired_accuracy(gn_context *ctx, const float *a, const float *b, const int *y, size_t rows,
                             int classes, const uint32_t *group, size_t bootstrap, uint64_t purpose,
                             gn_paired *out, gn_error *err)
{
    if (classes < 1)
        return gn__fail(err, GN_INVALID_ARGUMENT, "comparing classifiers needs classes, found %d", classes);
    float *correct = gn__calloc(rows, 2 * sizeof *correct);
    if (correct == NULL) return gn__no_memory(err, rows * 2 * sizeof *correct);
    for (size_t i = 0; i < rows; i++) {
        const float *pa = a + i * (size_t)classes, *pb = b + i * (size_t)classes;
        bool both = y[i] >= 0 && judged(pa, classes) && judged(pb, classes);
        correct[i] = both ? (float)(gn__top_class(pa, classes) == y[i]) : NAN;
        correct[rows + i] = both ? (float)(gn__top_class(pb, classes) == y[i]) : NAN;
    }
    gn_status status =
        gn_paired_correct(ctx, correct, correct + rows, rows, group, bootstrap, purpose, out, err);
    free(correct);
    return status;
}
