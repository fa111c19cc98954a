/* Area under the ROC curve with its variance: DeLong, DeLong & Clarke-Pearson 1988 by midranks (Sun & Xu
 * 2014); with clusters Obuchowski 1997, which is the same where every row is its own cluster. */
#include "detect/detect.h"
#include "tensor/statistics.h"

typedef struct scored {
    float score;
    uint32_t row; /* negatives first */
} scored;

static int by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* placement[i]: for a positive the share of negatives below it (ties half), for a negative the share of
 * positives above it. Returns the AUC. */
static double placements(scored *s, size_t n_negative, size_t n_positive, double *placement)
{
    size_t n = n_negative + n_positive, negatives = 0, positives = 0;
    double sum = 0;
    qsort(s, n, sizeof *s, by_score);
    for (size_t i = 0; i < n;) {
        size_t end = i, tied_negative = 0;
        for (; end < n && s[end].score == s[i].score; end++) tied_negative += s[end].row < n_negative;
        size_t tied_positive = end - i - tied_negative;
        for (size_t k = i; k < end; k++)
            placement[s[k].row] =
                s[k].row < n_negative
                    ? ((double)(n_positive - positives - tied_positive) + 0.5 * (double)tied_positive) /
                          (double)n_positive
                    : ((double)negatives + 0.5 * (double)tied_negative) / (double)n_negative;
        sum += (double)tied_positive * ((double)negatives + 0.5 * (double)tied_negative);
        negatives += tied_negative;
        positives += tied_positive;
        i = end;
    }
    return sum / ((double)n_negative * (double)n_positive);
}

/* Sum over the units of one kind: what each adds beyond its expectation, and how many have rows of it. */
static double variance(const gn__units *u, const double *placement, size_t n_negative, size_t n_positive,
                       double auc)
{
    double square[2] = {0}, cross = 0, units[2] = {0}, both = 0,
           rows[2] = {(double)n_negative, (double)n_positive};
    for (size_t k = 0; k < u->count; k++) {
        double excess[2] = {0};
        bool has[2] = {false, false};
        for (size_t i = u->start[k]; i < u->start[k + 1]; i++) {
            int side = u->row[i] >= n_negative;
            excess[side] += placement[u->row[i]] - auc;
            has[side] = true;
        }
        for (int side = 0; side < 2; side++) {
            square[side] += excess[side] * excess[side];
            units[side] += has[side];
        }
        cross += excess[0] * excess[1];
        both += has[0] && has[1];
    }
    if (units[0] < 2 || units[1] < 2) return NAN;
    double sum = 2 * cross / (rows[0] * rows[1]) *
                 (u->count > 1 && both > 0 ? (double)u->count / (double)(u->count - 1) : 1);
    for (int side = 0; side < 2; side++)
        sum += units[side] / (units[side] - 1) * square[side] / (rows[side] * rows[side]);
    return sum > 0 ? sum : 0;
}

static gn_status check_scores(const float *score, size_t n, const char *which, gn_error *err)
{
    if (n == 0) return gn__fail(err, GN_DATA, "an AUC needs scores on both sides; there are no %s", which);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(score[i]))
            return gn__fail(err, GN_DATA, "score %zu of the %s is %g; every score must be finite", i, which,
                            (double)score[i]);
    return GN_OK;
}

gn_status gn__auc_estimate(const float *negative, size_t n_negative, const float *positive, size_t n_positive,
                           const uint32_t *cluster_negative, const uint32_t *cluster_positive,
                           gn__auc_sums *out, gn_error *err)
{
    size_t n = n_negative + n_positive;
    GN__TRY(check_scores(negative, n_negative, "negatives", err));
    GN__TRY(check_scores(positive, n_positive, "positives", err));
    bool clustered = cluster_negative != NULL && cluster_positive != NULL;
    scored *s = gn__calloc(n, sizeof *s);
    double *placement = gn__calloc(n, sizeof *placement);
    uint32_t *cluster = gn__calloc(n, sizeof *cluster);
    gn__units units = {0};
    gn_status status = GN_OK;
    if (s == NULL || placement == NULL || cluster == NULL || n > UINT32_MAX) {
        status = gn__no_memory(err, n * (sizeof *s + sizeof *placement));
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        bool is_negative = i < n_negative;
        s[i] = (scored){is_negative ? negative[i] : positive[i - n_negative], (uint32_t)i};
        if (clustered) cluster[i] = is_negative ? cluster_negative[i] : cluster_positive[i - n_negative];
    }
    GN__TRY_GOTO(gn__units_make(clustered ? cluster : NULL, n, &units, err), done);
    out->estimate = placements(s, n_negative, n_positive, placement);
    out->variance = variance(&units, placement, n_negative, n_positive, out->estimate);
done:
    free(s);
    free(placement);
    free(cluster);
    gn__units_free(&units);
    return status;
}

gn_interval gn__auc_interval(gn__auc_sums a, size_t units)
{
    double p = a.estimate, n = units > 0 ? (double)units : 1;
    if (p > 0 && p < 1 && a.variance > 0) {
        double logit = log(p / (1 - p)), half = GN__Z95 * sqrt(a.variance) / (p * (1 - p));
        return (gn_interval){p, 1 / (1 + exp(half - logit)), 1 / (1 + exp(-half - logit))};
    }
    /* Wilson 1927: as if the estimate were a proportion among the smaller set's units. */
    return gn__wilson_score(p, n, GN__Z95);
}

static gn_status count_units(const uint32_t *cluster, size_t n, size_t *units, gn_error *err)
{
    gn__units u;
    GN__TRY(gn__units_make(cluster, n, &u, err));
    *units = u.count;
    gn__units_free(&u);
    return GN_OK;
}

gn_status gn_auc(const float *negative, size_t n_negative, const float *positive, size_t n_positive,
                 const uint32_t *cluster_negative, const uint32_t *cluster_positive, gn_interval *out,
                 gn_error *err)
{
    gn__auc_sums sums;
    size_t units_negative, units_positive;
    GN__TRY(gn__auc_estimate(negative, n_negative, positive, n_positive, cluster_negative, cluster_positive,
                             &sums, err));
    GN__TRY(count_units(cluster_negative, n_negative, &units_negative, err));
    GN__TRY(count_units(cluster_positive, n_positive, &units_positive, err));
    *out = gn__auc_interval(sums, units_negative < units_positive ? units_negative : units_positive);
    return GN_OK;
}
