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
    const int32_t *gain; /* [units] rows that only a got right less those that only b got right */
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
        int64_t gain = 0;
        size_t rows = 0;
        for (size_t i = 0; i < p->units; i++) {
            uint32_t u = gn__rng_below(&rng, (uint32_t)p->units);
            gain += p->gain[u];
            rows += p->start[u + 1] - p->start[u];
        }
        p->replicate[b] = (double)gain / (double)rows;
    }
}

gn_status gn__paired_right(gn_context *ctx, const unsigned char *a, const unsigned char *b, size_t rows,
                           const uint32_t *group, size_t bootstrap, uint64_t purpose, gn_paired *out,
                           gn_error *err)
{
    *out = (gn_paired){.difference = {NAN, NAN, NAN}, .p_value = NAN};
    if (rows == 0) return GN_OK;
    gn__units units = {0};
    GN__TRY(gn__units_make(group, rows, &units, err));
    int32_t *gain = gn__calloc(units.count, sizeof *gain);
    double *replicate = gn__calloc(bootstrap, sizeof *replicate);
    gn_status status = GN_OK;
    if (gain == NULL || replicate == NULL) {
        status = gn__no_memory(err, units.count * sizeof *gain + bootstrap * sizeof *replicate);
        goto done;
    }
    out->rows = rows;
    for (size_t i = 0; i < rows; i++) {
        out->a_only += a[i] && !b[i];
        out->b_only += b[i] && !a[i];
        gain[units.of[i]] += (a[i] != 0) - (b[i] != 0);
    }
    pairing p = {units.count, gain, units.start, gn_context_seed(ctx), gn__purpose("verify/paired") ^ purpose,
                 replicate};
    GN__TRY_GOTO(gn__parallel_for(ctx, bootstrap, GRAIN, resample, &p, err), done);
    double difference = ((double)out->a_only - (double)out->b_only) / (double)rows;
    out->p_value = units.count == rows ? gn__mcnemar(out->a_only, out->b_only)
                                       : gn__percentile_p(replicate, bootstrap, units.count);
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

gn_status gn_paired_accuracy(gn_context *ctx, const float *a, const float *b, const int *y, size_t rows,
                             int classes, const uint32_t *group, size_t bootstrap, uint64_t purpose,
                             gn_paired *out, gn_error *err)
{
    if (classes < 1)
        return gn__fail(err, GN_INVALID_ARGUMENT, "comparing classifiers needs classes, found %d", classes);
    size_t k = (size_t)classes, n = 0;
    unsigned char *right = gn__calloc(rows, 2);
    uint32_t *kept = gn__calloc(rows, sizeof *kept);
    gn_status status = GN_OK;
    if (right == NULL || kept == NULL) {
        status = gn__no_memory(err, rows * (2 + sizeof *kept));
        goto done;
    }
    for (size_t i = 0; i < rows; i++) {
        const float *pa = a + i * k, *pb = b + i * k;
        if (y[i] < 0 || !judged(pa, classes) || !judged(pb, classes)) continue;
        right[n] = gn__top_class(pa, classes) == y[i];
        right[rows + n] = gn__top_class(pb, classes) == y[i];
        kept[n++] = group ? group[i] : 0;
    }
    status = gn__paired_right(ctx, right, right + rows, n, group ? kept : NULL, bootstrap ? bootstrap : 1000,
                              purpose, out, err);
done:
    free(right);
    free(kept);
    return status;
}
