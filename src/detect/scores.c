/* Scores that other tools print, for comparison with their numbers. None of them is a test. */
#include "detect/detect.h"

#include <cblas.h>
#include <lapacke.h>

enum { NEIGHBOURS = 5, BLOCK = 128, MOST_COLUMNS = 4096, MOMENT_BLOCK = 2048 };

/* ---- Fréchet distance (Heusel et al. 2017) -------------------------------------------------------- */

/* Mean and covariance (divisor n - 1, as numpy.cov), in double precision over blocks. */
static gn_status moments(gn_context *ctx, const gn_matrix *x, double *mean, double *covariance, gn_error *err)
{
    size_t d = x->cols;
    double *block = gn__aligned(MOMENT_BLOCK * d, sizeof *block);
    if (block == NULL) return gn__no_memory(err, MOMENT_BLOCK * d * sizeof *block);
    memset(mean, 0, d * sizeof *mean);
    memset(covariance, 0, d * d * sizeof *covariance);
    for (size_t i = 0; i < x->rows; i++)
        for (size_t j = 0; j < d; j++) mean[j] += (double)x->data[i * d + j] / (double)x->rows;
    gn_status status = GN_OK;
    for (size_t at = 0; at < x->rows && status == GN_OK; at += MOMENT_BLOCK) {
        size_t n = x->rows - at < MOMENT_BLOCK ? x->rows - at : MOMENT_BLOCK;
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < d; j++) block[i * d + j] = (double)x->data[(at + i) * d + j] - mean[j];
        cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)d, (int)n, 1 / (double)(x->rows - 1), block,
                    (int)d, 1, covariance, (int)d);
        status = gn__check_cancel(ctx, err);
    }
    for (size_t i = 0; i < d; i++)
        for (size_t j = 0; j < i; j++) covariance[j * d + i] = covariance[i * d + j];
    free(block);
    return status;
}

/* trace((S1 S2)^(1/2)) = sum of the roots of the eigenvalues of S1^(1/2) S2 S1^(1/2). s1 and s2 are
 * overwritten. */
static gn_status trace_of_root(double *s1, double *s2, size_t d, double *out, gn_error *err)
{
    double *value = gn__calloc(d, sizeof *value), *half = gn__aligned(d * d, sizeof *half);
    double *product = gn__aligned(d * d, sizeof *product);
    gn_status status = value && half && product ? GN_OK : gn__no_memory(err, 2 * d * d * sizeof *half);
    if (status != GN_OK) goto done;
    if (LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'V', 'L', (lapack_int)d, s1, (lapack_int)d, value) != 0) goto failed;
    for (size_t i = 0; i < d; i++)
        for (size_t j = 0; j < d; j++) half[i * d + j] = s1[i * d + j] * (value[j] > 0 ? sqrt(value[j]) : 0);
    /* H = V sqrt(L): the eigenvalues of H' S2 H are those wanted. */
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)d, (int)d, (int)d, 1, s2, (int)d, half,
                (int)d, 0, product, (int)d);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)d, (int)d, (int)d, 1, half, (int)d, product,
                (int)d, 0, s2, (int)d);
    if (LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'N', 'L', (lapack_int)d, s2, (lapack_int)d, value) != 0) goto failed;
    *out = 0;
    for (size_t j = 0; j < d; j++) *out += value[j] > 0 ? sqrt(value[j]) : 0;
    goto done;
failed:
    status = gn__fail(err, GN_NUMERIC,
                      "the eigenvalues of a covariance matrix of %zu columns did not converge", d);
done:
    free(value);
    free(half);
    free(product);
    return status;
}

static gn_status frechet(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, double *out, gn_error *err)
{
    size_t d = a->cols;
    *out = NAN;
    if (d > MOST_COLUMNS || a->rows < 2 || b->rows < 2) return GN_OK;
    double *mean = gn__calloc(2 * d, sizeof *mean), *s1 = gn__aligned(d * d, sizeof *s1),
           *s2 = gn__aligned(d * d, sizeof *s2), root = 0, distance = 0;
    gn_status status = mean && s1 && s2 ? GN_OK : gn__no_memory(err, 2 * d * d * sizeof *s1);
    if (status == GN_OK) status = moments(ctx, a, mean, s1, err);
    if (status == GN_OK) status = moments(ctx, b, mean + d, s2, err);
    if (status == GN_OK) {
        for (size_t j = 0; j < d; j++)
            distance += (mean[j] - mean[d + j]) * (mean[j] - mean[d + j]) + s1[j * d + j] + s2[j * d + j];
        status = trace_of_root(s1, s2, d, &root, err);
    }
    if (status == GN_OK) *out = fmax(0, distance - 2 * root);
    free(mean);
    free(s1);
    free(s2);
    return status;
}

/* ---- precision, recall (Kynkäänniemi et al. 2019), density, coverage (Naeem et al. 2020) --------------- */

typedef struct near_job {
    const gn__sample *s;
    float *x, *norm;
    float *radius;    /* [n] squared distance to the k-th nearest other row of the own side */
    uint32_t *within; /* [n] balls of the other side that hold the row */
    float *nearest;   /* [n] squared distance to the nearest row of the other side */
    float *scratch;
} near_job;

static float *near_block(near_job *job, size_t begin, size_t rows, unsigned worker)
{
    const gn__sample *s = job->s;
    float *d = job->scratch + worker * BLOCK * s->n;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)s->n, (int)s->dim, -2,
                job->x + begin * s->dim, (int)s->dim, job->x, (int)s->dim, 0, d, (int)s->n);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < s->n; j++) d[i * s->n + j] += job->norm[j] + job->norm[begin + i];
    return d;
}

static void radius_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    near_job *job = arg;
    const gn__sample *s = job->s;
    const float *d = near_block(job, begin, end - begin, worker);
    for (size_t i = begin; i < end; i++, d += s->n) {
        float best[NEIGHBOURS];
        size_t first = i < s->n_a ? 0 : s->n_a, last = i < s->n_a ? s->n_a : s->n;
        for (size_t k = 0; k < NEIGHBOURS; k++) best[k] = INFINITY;
        for (size_t j = first; j < last; j++) {
            if (j == i || !(d[j] < best[NEIGHBOURS - 1])) continue;
            size_t k = NEIGHBOURS - 1;
            for (; k > 0 && d[j] < best[k - 1]; k--) best[k] = best[k - 1];
            best[k] = d[j];
        }
        job->radius[i] = best[NEIGHBOURS - 1];
    }
}

static void ball_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    near_job *job = arg;
    const gn__sample *s = job->s;
    const float *d = near_block(job, begin, end - begin, worker);
    for (size_t i = begin; i < end; i++, d += s->n) {
        size_t first = i < s->n_a ? s->n_a : 0, last = i < s->n_a ? s->n : s->n_a;
        job->nearest[i] = INFINITY;
        for (size_t j = first; j < last; j++) {
            job->within[i] += d[j] <= job->radius[j];
            if (d[j] < job->nearest[i]) job->nearest[i] = d[j];
        }
    }
}

static gn_status neighbours(gn_context *ctx, const gn__sample *s, gn_shift_scores *out, gn_error *err)
{
    near_job job = {.s = s};
    size_t n = s->n, n_a = s->n_a, n_b = n - n_a;
    gn_status status = GN_OK;
    job.x = gn__aligned(n * s->dim, sizeof *job.x);
    job.norm = gn__calloc(n, sizeof *job.norm);
    job.radius = gn__calloc(n, sizeof *job.radius);
    job.within = gn__calloc(n, sizeof *job.within);
    job.nearest = gn__calloc(n, sizeof *job.nearest);
    job.scratch = gn__aligned(gn_context_threads(ctx) * BLOCK * n, sizeof *job.scratch);
    if (!job.x || !job.norm || !job.radius || !job.within || !job.nearest || !job.scratch) {
        status = gn__no_memory(err, n * (s->dim + BLOCK) * sizeof *job.x);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        double square = 0;
        for (size_t j = 0; j < s->dim; j++) {
            float v = s->row[i][j] - s->row[0][j];
            job.x[i * s->dim + j] = v;
            square += (double)v * (double)v;
        }
        job.norm[i] = (float)square;
    }
    GN__TRY_GOTO(gn__parallel_for(ctx, n, BLOCK, radius_piece, &job, err), done);
    GN__TRY_GOTO(gn__parallel_for(ctx, n, BLOCK, ball_piece, &job, err), done);
    for (size_t i = 0; i < n_a; i++) {
        out->recall += (double)(job.within[i] > 0) / (double)n_a;
        out->coverage += (double)(job.nearest[i] <= job.radius[i]) / (double)n_a;
    }
    for (size_t i = n_a; i < n; i++) {
        out->precision += (double)(job.within[i] > 0) / (double)n_b;
        out->density += (double)job.within[i] / (double)n_b / NEIGHBOURS;
    }
done:
    free(job.x);
    free(job.norm);
    free(job.radius);
    free(job.within);
    free(job.nearest);
    free(job.scratch);
    return status;
}

gn_status gn_reference_scores(gn_context *ctx, const gn_matrix *a, const gn_matrix *b,
                              const gn_detect_options *options, gn_shift_scores *out, gn_error *err)
{
    gn_detect_options o = gn__detect_defaults(options);
    gn__sample s = {0};
    gn_shift_scores scores = {.neighbours = NEIGHBOURS};
    gn_status status;
    o.group_a = o.group_b = NULL; /* they describe rows, whatever ties them */
    GN__TRY_GOTO(gn__pool_capped(ctx, a, b, &o, &s, err), done);
    scores.rows_a = s.n_a;
    scores.rows_b = s.n - s.n_a;
    if (scores.rows_a <= NEIGHBOURS || scores.rows_b <= NEIGHBOURS) {
        status = gn__fail(err, GN_DATA,
                          "scores by %d nearest neighbours need more rows in each set; there are %zu and %zu",
                          (int)NEIGHBOURS, scores.rows_a, scores.rows_b);
        goto done;
    }
    GN__TRY_GOTO(frechet(ctx, a, b, &scores.frechet, err), done);
    GN__TRY_GOTO(neighbours(ctx, &s, &scores, err), done);
    *out = scores;
done:
    free(s.row);
    return status;
}
