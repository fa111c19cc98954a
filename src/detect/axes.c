/* Tests along single axes: distances between the two empirical distribution functions, for all labellings at
 * once. The pooled values of an axis are sorted once; a sweep counts, for every labelling, how many of the
 * smaller part lie below. */
#include "detect/detect.h"

#include <cblas.h>

enum { DIRECTIONS = 128, TOGETHER = 8, ROWS = 256 }; /* axes of a piece; rows projected at a time */

typedef struct axes_job {
    const gn__sample *s;
    const gn__labels *labels;
    const uint8_t *inside;  /* [n × labellings] 0 or 1 */
    const float *direction; /* [axes × dim], NULL: the axes are the columns */
    size_t axes;
    float *statistic; /* [axes × labellings] */
    char *scratch;
    size_t scratch_size;
} axes_job;

GN__CLONES static void axes_count(const uint8_t *inside, size_t n, int32_t *below)
{
    for (size_t l = 0; l < n; l++) below[l] += inside[l];
}

/* |F_small - F_large| = |below (1/m + 1/n) - all/n|. */
GN__CLONES static void axes_area(const int32_t *below, size_t n, float slope, float offset, float gap,
                                 float *sum)
{
    for (size_t l = 0; l < n; l++) sum[l] += fabsf((float)below[l] * slope - offset) * gap;
}

GN__CLONES static void axes_largest(const int32_t *below, size_t n, float slope, float offset, float *largest)
{
    for (size_t l = 0; l < n; l++) {
        float d = fabsf((float)below[l] * slope - offset);
        largest[l] = d > largest[l] ? d : largest[l];
    }
}

/* out: [TOGETHER × n] the values of `count` axes from `axis` on. centred: [ROWS × dim]. */
static void axes_values(const axes_job *job, size_t axis, size_t count, float *centred, float *out)
{
    const gn__sample *s = job->s;
    for (size_t at = 0; at < s->n; at += ROWS) {
        size_t rows = s->n - at < ROWS ? s->n - at : ROWS;
        if (job->direction == NULL) {
            for (size_t i = at; i < at + rows; i++)
                for (size_t k = 0; k < count; k++) out[k * s->n + i] = s->row[i][axis + k];
            continue;
        }
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < s->dim; j++) centred[i * s->dim + j] = s->row[at + i][j] - s->mean[j];
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)count, (int)rows, (int)s->dim, 1,
                    job->direction + axis * s->dim, (int)s->dim, centred, (int)s->dim, 0, out + at,
                    (int)s->n);
    }
}

static void axes_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    axes_job *job = arg;
    const gn__sample *s = job->s;
    size_t n = s->n, labels = s->labellings;
    uint64_t *item = (uint64_t *)(void *)(job->scratch + worker * job->scratch_size);
    int32_t *below = (int32_t *)(void *)(item + 2 * n);
    float *value = (float *)(void *)(below + labels), *centred = value + TOGETHER * n;
    double m = (double)job->labels->small, rest = (double)n - m;
    float slope = (float)(1 / m + 1 / rest);
    axes_values(job, begin, end - begin, centred, value);
    for (size_t axis = begin; axis < end && !gn__cancelled(s->ctx); axis++, value += n) {
        float *out = job->statistic + axis * labels;
        for (size_t i = 0; i < n; i++) item[i] = gn__sort_item(value[i], (uint32_t)i);
        const uint64_t *sorted = gn__sort_items(item, item + n, n);
        memset(below, 0, labels * sizeof *below);
        for (size_t i = 0; i + 1 < n; i++) {
            uint32_t row = gn__sorted_row(sorted[i]);
            axes_count(job->inside + row * labels, labels, below);
            float gap = value[gn__sorted_row(sorted[i + 1])] - value[row];
            float offset = (float)((double)(i + 1) / rest);
            if (!(gap > 0)) continue; /* a tie: the functions jump together */
            if (job->direction != NULL)
                axes_area(below, labels, slope, offset, gap, out);
            else
                axes_largest(below, labels, slope, offset, out);
        }
    }
}

static gn_status run_axes(const gn__sample *s, const float *direction, size_t axes, float *statistic,
                          gn_error *err)
{
    gn__labels labels = {0};
    axes_job job = {.s = s, .labels = &labels, .direction = direction, .axes = axes, .statistic = statistic};
    size_t n = s->n, count = s->labellings;
    uint8_t *inside = gn__calloc(n, count);
    job.scratch_size = (2 * n * sizeof(uint64_t) + count * sizeof(int32_t) +
                        (TOGETHER * n + (direction != NULL ? ROWS * s->dim : 0)) * sizeof(float) + 63) /
                       64 * 64;
    job.scratch = gn__aligned(gn_context_threads(s->ctx), job.scratch_size);
    gn_status status = GN_OK;
    if (inside == NULL || job.scratch == NULL) {
        status = gn__no_memory(err, n * count);
        goto done;
    }
    GN__TRY_GOTO(gn__labels_dense(s->ctx, s->n_a, n - s->n_a, count, s->purpose, &labels, err), done);
    for (size_t i = 0; i < n; i++)
        for (size_t l = 0; l < count; l++)
            inside[i * count + l] = labels.bits[i * labels.stride + l / 8] >> (l % 8) & 1;
    job.inside = inside;
    status = gn__parallel_for(s->ctx, axes, TOGETHER, axes_piece, &job, err);
done:
    free(inside);
    free(job.scratch);
    gn__labels_free(&labels);
    return status;
}

/* The 1-Wasserstein distance averaged over random directions (Bonneel et al. 2015); in one dimension it is
 * the area between the distribution functions. */
gn_status gn__test_sliced_wasserstein(const gn__sample *s, gn__verdict *out, gn_error *err)
{
    size_t labels = s->labellings;
    float *direction = gn__calloc(DIRECTIONS, s->dim * sizeof *direction);
    float *each = gn__calloc(DIRECTIONS, labels * sizeof *each);
    double *statistic = gn__calloc(labels, sizeof *statistic);
    gn_status status = GN_OK;
    if (direction == NULL || each == NULL || statistic == NULL) {
        status = gn__no_memory(err, DIRECTIONS * (s->dim + labels) * sizeof *each);
        goto done;
    }
    for (size_t k = 0; k < DIRECTIONS; k++) {
        gn__rng r = gn__rng_make(gn_context_seed(s->ctx), gn__purpose("detect/directions") ^ s->purpose, k);
        double square = 0;
        float *u = direction + k * s->dim;
        for (size_t j = 0; j < s->dim; j++) {
            u[j] = (float)gn__rng_normal(&r);
            square += (double)u[j] * (double)u[j];
        }
        for (size_t j = 0; j < s->dim; j++) u[j] = (float)((double)u[j] / sqrt(square));
    }
    GN__TRY_GOTO(run_axes(s, direction, DIRECTIONS, each, err), done);
    for (size_t k = 0; k < DIRECTIONS; k++)
        for (size_t l = 0; l < labels; l++) statistic[l] += (double)each[k * labels + l] / DIRECTIONS;
    *out = (gn__verdict){.p_value = gn__rank_first(statistic, labels), .statistic = statistic[0]};
done:
    free(direction);
    free(each);
    free(statistic);
    return status;
}

/* The largest Kolmogorov-Smirnov distance over the columns, ranked among the labellings' largest: Westfall &
 * Young's (1993) single-step max-T, which holds the family-wise level over the columns whatever ties them. */
gn_status gn__test_ks(const gn__sample *s, gn__verdict *out, gn_error *err)
{
    size_t labels = s->labellings;
    float *each = gn__calloc(s->dim, labels * sizeof *each);
    double *statistic = gn__calloc(labels, sizeof *statistic);
    gn_status status =
        each != NULL && statistic != NULL ? GN_OK : gn__no_memory(err, s->dim * labels * sizeof *each);
    if (status == GN_OK) status = run_axes(s, NULL, s->dim, each, err);
    if (status == GN_OK) {
        size_t axis = 0;
        for (size_t k = 0; k < s->dim; k++) {
            if (each[k * labels] > each[axis * labels]) axis = k;
            for (size_t l = 0; l < labels; l++)
                statistic[l] = fmax(statistic[l], (double)each[k * labels + l]);
        }
        *out = (gn__verdict){
            .p_value = gn__rank_first(statistic, labels), .statistic = statistic[0], .axis = axis};
    }
    free(each);
    free(statistic);
    return status;
}
