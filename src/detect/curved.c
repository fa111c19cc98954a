/* The domain classifier for curved boundaries: the same logistic regression, folds and interval, on random
 * Fourier features of the Gaussian kernel whose bandwidth is the median distance. What no linear classifier
 * can see (another spread, another shape, another mixture with the same mean) has its effect size here. */
#include "detect/detect.h"

#include <cblas.h>

enum { MOST_ROWS = 10000, RATIO = 20, LEAST_ROWS = 1000, FEATURES = 2 * GN__FREQUENCIES, GRAIN = 128 };

typedef struct curved_side {
    const gn_matrix *set;
    uint32_t *row, *unit; /* [rows] */
    size_t rows;
    gn_matrix feature;
    gn__units units;
} curved_side;

typedef struct curved_job {
    const curved_side *side;
    const float *frequency; /* [GN__FREQUENCIES × dim] */
    float *scratch;
    size_t scratch_size;
} curved_job;

static void curved_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    curved_job *job = arg;
    const curved_side *side = job->side;
    size_t dim = side->set->cols, n = end - begin;
    float *x = job->scratch + worker * job->scratch_size, *angle = x + GRAIN * dim;
    for (size_t i = 0; i < n; i++)
        memcpy(x + i * dim, side->set->data + (size_t)side->row[begin + i] * dim, dim * sizeof *x);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, GN__FREQUENCIES, (int)dim, 1, x, (int)dim,
                job->frequency, (int)dim, 0, angle, GN__FREQUENCIES);
    for (size_t i = 0; i < n; i++) {
        float *out = side->feature.data + (begin + i) * FEATURES;
        gn__sincos(angle + i * GN__FREQUENCIES, GN__FREQUENCIES, out, out + GN__FREQUENCIES);
    }
}

/* Whole units in random order, as long as they fit. */
static gn_status choose_rows(curved_side *side, const gn_matrix *set, const gn__units *u, size_t other,
                             gn__rng r, gn_error *err)
{
    size_t limit = other > MOST_ROWS / RATIO ? (size_t)MOST_ROWS : other * RATIO;
    uint32_t *order = gn__calloc(u->count, sizeof *order);
    if (limit < LEAST_ROWS) limit = LEAST_ROWS;
    side->set = set;
    side->row = gn__calloc(set->rows, sizeof *side->row);
    side->unit = gn__calloc(set->rows, sizeof *side->unit);
    if (order == NULL || side->row == NULL || side->unit == NULL) {
        free(order);
        return gn__no_memory(err, set->rows * 2 * sizeof *side->row);
    }
    for (size_t k = 0; k < u->count; k++) order[k] = (uint32_t)k;
    if (set->rows > limit) gn__rng_shuffle(&r, order, u->count);
    for (size_t k = 0; k < u->count; k++) {
        size_t first = u->start[order[k]], last = u->start[order[k] + 1];
        if (side->rows + (last - first) > limit && k >= 4) continue;
        for (size_t i = first; i < last; i++, side->rows++) {
            side->row[side->rows] = u->row[i];
            side->unit[side->rows] = (uint32_t)k;
        }
    }
    free(order);
    GN__TRY(gn__units_make(side->unit, side->rows, &side->units, err));
    return gn_matrix_create(side->rows, FEATURES, &side->feature, err);
}

static void side_free(curved_side *side)
{
    free(side->row);
    free(side->unit);
    gn__units_free(&side->units);
    gn_matrix_free(&side->feature);
}

gn_status gn__curved_classifier(gn_context *ctx, const gn_matrix *a, const gn_matrix *b,
                                const gn__units *units_a, const gn__units *units_b,
                                const gn_detect_options *options, gn__auc_sums *out, gn_error *err)
{
    curved_side side[2] = {{0}};
    size_t dim = a->cols;
    double distance;
    gn__sample sample = {0};
    gn_detect_options o = *options;
    gn_status status;
    curved_job job = {.scratch_size = GRAIN * (dim + GN__FREQUENCIES)};
    float *frequency = gn__aligned(GN__FREQUENCIES * dim, sizeof *frequency);
    job.scratch = gn__aligned(job.scratch_size * gn_context_threads(ctx), sizeof *job.scratch);
    if (frequency == NULL || job.scratch == NULL) {
        status = gn__no_memory(err, GN__FREQUENCIES * dim * sizeof *frequency);
        goto done;
    }
    GN__TRY_GOTO(gn__pool_make(ctx, a, b, units_a, units_b, &o, &sample, err), done);
    GN__TRY_GOTO(gn__typical_distance(&sample, &distance, err), done);
    gn__frequencies(ctx, dim, o.purpose ^ gn__purpose("detect/curved"), frequency);
    for (size_t k = 0; k < GN__FREQUENCIES * dim; k++)
        frequency[k] = distance > 0 ? frequency[k] / (float)distance : 0;
    job.frequency = frequency;
    for (int k = 0; k < 2; k++) {
        gn__rng r =
            gn__rng_make(gn_context_seed(ctx), gn__purpose("detect/curved-rows") ^ o.purpose, (uint64_t)k);
        GN__TRY_GOTO(choose_rows(&side[k], k ? b : a, k ? units_b : units_a, k ? a->rows : b->rows, r, err),
                     done);
        job.side = &side[k];
        GN__TRY_GOTO(gn__parallel_for(ctx, side[k].rows, GRAIN, curved_piece, &job, err), done);
    }
    status = gn__domain_classifier(ctx, &side[0].feature, &side[1].feature, &side[0].units, &side[1].units,
                                   &o, NULL, NULL, out, err);
done:
    for (int k = 0; k < 2; k++) side_free(&side[k]);
    free(sample.row);
    free(frequency);
    free(job.scratch);
    return status;
}
