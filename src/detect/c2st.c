/* The classifier two-sample test in its conformal form (Lopez-Paz & Oquab 2017; Hu & Lei 2024; Bansal, Chen &
 * Scott 2025, arXiv 2507.17026). A model is fitted on one half of the units of both sets; on the other half
 * each row of b has its rank among the scores, and the sum of the ranks, which is the AUC up to constants, is
 * compared with what every relabelling of the held-out rows gives. Given the model those are exchangeable
 * when nothing differs, however poor the model is: the p-value is exact. */
#include "detect/detect.h"

enum { MOST_HELD = 20000 };

typedef struct held_score {
    float score;
    uint32_t item;
} held_score;

static int c2st_ascending(const void *a, const void *b)
{
    const held_score *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? -1 : 1;
    return (x->item > y->item) - (x->item < y->item);
}

/* The score of one random row of every held-out unit, at most MOST_HELD of them, in random order. */
static size_t held_out(const gn__units *u, const float *score, gn__rng *r, uint32_t *order, float *out)
{
    size_t n = 0;
    for (size_t k = 0; k < u->count; k++) order[k] = (uint32_t)k;
    gn__rng_shuffle(r, order, u->count);
    for (size_t k = 0; k < u->count && n < MOST_HELD; k++) {
        size_t first = u->start[order[k]], size = u->start[order[k] + 1] - first;
        float s = score[u->row[first + (size > 1 ? gn__rng_below(r, (uint32_t)size) : 0)]];
        if (!isnan(s)) out[n++] = s;
    }
    return n;
}

static void midranks(held_score *s, size_t n, float *rank)
{
    qsort(s, n, sizeof *s, c2st_ascending);
    for (size_t i = 0; i < n;) {
        size_t end = i;
        while (end < n && s[end].score == s[i].score) end++;
        for (size_t k = i; k < end; k++) rank[s[k].item] = (float)(i + end + 1) / 2;
        i = end;
    }
}

static gn_status permute_ranks(gn_context *ctx, const float *rank, size_t n_a, size_t n_b, size_t labellings,
                               uint64_t purpose, gn__verdict *out, gn_error *err)
{
    gn__labels labels = {0};
    double *sum = gn__calloc(labellings, sizeof *sum);
    float *add = gn__calloc(labellings, sizeof *add);
    gn_status status = sum && add ? GN_OK : gn__no_memory(err, labellings * (sizeof *sum + sizeof *add));
    if (status == GN_OK)
        status =
            gn__labels_dense(ctx, n_a, n_b, labellings, purpose ^ gn__purpose("detect/c2st"), &labels, err);
    if (status == GN_OK) {
        for (size_t i = 0; i < n_a + n_b; i++) {
            float own = labels.small_is_b ? rank[i] : -rank[i];
            gn__labels_expand(&labels, i, own, 0, add);
            for (size_t l = 0; l < labellings; l++) sum[l] += (double)add[l];
        }
        size_t above = 0;
        double all = (double)(n_a + n_b) * (double)(n_a + n_b + 1) / 2;
        double of_b = labels.small_is_b ? sum[0] : all + sum[0];
        for (size_t l = 1; l < labellings; l++) above += sum[l] >= sum[0];
        double auc = (of_b - (double)n_b * (double)(n_b + 1) / 2) / ((double)n_a * (double)n_b);
        *out = (gn__verdict){.p_value = (double)(1 + above) / (double)labellings, .statistic = auc};
    }
    free(sum);
    free(add);
    gn__labels_free(&labels);
    return status;
}

gn_status gn__test_c2st(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, const gn__units *units_a,
                        const gn__units *units_b, const gn_detect_options *o, gn__verdict *out, gn_error *err)
{
    size_t units = units_a->count + units_b->count, n[2];
    float *score_a = gn__calloc(a->rows, sizeof *score_a), *score_b = gn__calloc(b->rows, sizeof *score_b);
    float *score = gn__calloc(units, sizeof *score), *rank = gn__calloc(units, sizeof *rank);
    uint32_t *order = gn__calloc(units, sizeof *order);
    held_score *held = gn__calloc(units, sizeof *held);
    gn_status status = GN_OK;
    if (!score_a || !score_b || !score || !rank || !order || !held) {
        status = gn__no_memory(err, units * (sizeof *held + 3 * sizeof *score));
        goto done;
    }
    GN__TRY_GOTO(gn__domain_half(ctx, a, b, units_a, units_b, o, score_a, score_b, err), done);
    gn__rng r = gn__rng_make(gn_context_seed(ctx), gn__purpose("detect/held-out") ^ o->purpose, 0);
    n[0] = held_out(units_a, score_a, &r, order, score);
    n[1] = held_out(units_b, score_b, &r, order, score + n[0]);
    for (size_t i = 0; i < n[0] + n[1]; i++) held[i] = (held_score){score[i], (uint32_t)i};
    midranks(held, n[0] + n[1], rank);
    status = permute_ranks(ctx, rank, n[0], n[1], o->permutations + 1, o->purpose, out, err);
done:
    free(score_a);
    free(score_b);
    free(score);
    free(rank);
    free(order);
    free(held);
    return status;
}
