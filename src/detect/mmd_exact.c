/* Squared maximum mean discrepancy of every labelling by the full kernel matrix: with s = 1/n_b on b and
 * -1/n_a on a, T = s' K s without the diagonal. One block of rows of K is made for all bandwidths at once and
 * multiplied with the matrix of all labellings' s. */
#include "detect/detect.h"

#include <cblas.h>

enum { BLOCK = 128 };

typedef struct exact_job {
    gn__mmd *m;
    float *x, *norm; /* [n × dim] centred rows, [n] squared norms */
    float *sign;     /* [n × labellings] */
    double *partial; /* [blocks × GN__BANDWIDTHS × labellings] */
    float *scratch;  /* [threads × scratch_size] */
    size_t scratch_size;
} exact_job;

/* The widest kernel from inner products, with K_ii left out. */
GN__CLONES static void exact_distances(const float *norm, float own, float factor, size_t n, float *k)
{
    for (size_t j = 0; j < n; j++) {
        float square = norm[j] + own - 2 * k[j];
        k[j] = (square > 0 ? square : 0) * factor;
    }
}

/* Half the bandwidth is the kernel's fourth power; what would become subnormal, and slow, becomes 0. */
GN__CLONES static void exact_fourth_power(float *k, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        float square = k[j] > 1e-9F ? k[j] * k[j] : 0;
        k[j] = square * square;
    }
}

GN__CLONES static void exact_add_products(const float *s, const float *ks, size_t n, double *sum)
{
    for (size_t j = 0; j < n; j++) sum[j] += (double)(s[j] * ks[j]);
}

static void exact_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    exact_job *job = arg;
    gn__mmd *m = job->m;
    size_t n = m->n, rows = end - begin, labellings = m->labellings;
    float *k = job->scratch + worker * job->scratch_size, *ks = k + BLOCK * n;
    float factor = (float)(-0.5 / (m->widest * m->widest));
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)n, (int)m->dim, 1,
                job->x + begin * m->dim, (int)m->dim, job->x, (int)m->dim, 0, k, (int)n);
    for (size_t i = 0; i < rows; i++) {
        exact_distances(job->norm, job->norm[begin + i], factor, n, k + i * n);
        for (size_t j = 0; j < n; j++) k[i * n + j] = k[i * n + j] > -80 ? expf(k[i * n + j]) : 0;
        k[i * n + begin + i] = 0;
    }
    for (size_t w = 0; w < GN__BANDWIDTHS && !gn__cancelled(m->ctx); w++) {
        double *sum = job->partial + (begin / BLOCK * GN__BANDWIDTHS + w) * labellings;
        memset(sum, 0, labellings * sizeof *sum);
        if (w > 0) exact_fourth_power(k, rows * n);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)labellings, (int)n, 1, k,
                    (int)n, job->sign, (int)labellings, 0, ks, (int)labellings);
        for (size_t i = 0; i < rows; i++)
            exact_add_products(job->sign + (begin + i) * labellings, ks + i * labellings, labellings, sum);
    }
}

gn_status gn__mmd_exact(gn__mmd *m, gn_error *err)
{
    size_t n = m->n, dim = m->dim, labellings = m->labellings, blocks = (n + BLOCK - 1) / BLOCK;
    size_t sums = GN__BANDWIDTHS * labellings;
    exact_job job = {.m = m, .scratch_size = BLOCK * (n + labellings)};
    gn_status status = GN_OK;
    job.x = gn__aligned(n * dim, sizeof *job.x);
    job.norm = gn__calloc(n, sizeof *job.norm);
    job.sign = gn__aligned(n * labellings, sizeof *job.sign);
    job.partial = gn__calloc(blocks * sums, sizeof *job.partial);
    job.scratch = gn__aligned(job.scratch_size * gn_context_threads(m->ctx), sizeof *job.scratch);
    if (job.x == NULL || job.norm == NULL || job.sign == NULL || job.partial == NULL || job.scratch == NULL) {
        status = gn__no_memory(err, n * (dim + labellings) * sizeof *job.x);
        goto done;
    }
    float in_b = (float)(1 / (double)(n - m->n_a)), in_a = (float)(-1 / (double)m->n_a);
    for (size_t i = 0; i < n; i++) {
        double square = 0;
        for (size_t j = 0; j < dim; j++) {
            float v = m->row[i][j] - m->mean[j];
            job.x[i * dim + j] = v;
            square += (double)v * (double)v;
        }
        job.norm[i] = (float)square;
        for (size_t l = 0; l < labellings; l++)
            job.sign[i * labellings + l] = gn__label_bit(m->in_b + i * m->stride, l) ? in_b : in_a;
    }
    GN__TRY_GOTO(gn__parallel_for(m->ctx, n, BLOCK, exact_piece, &job, err), done);
    memset(m->statistic, 0, sums * sizeof *m->statistic);
    for (size_t k = 0; k < blocks; k++)
        for (size_t j = 0; j < sums; j++) m->statistic[j] += job.partial[k * sums + j];
done:
    free(job.x);
    free(job.norm);
    free(job.sign);
    free(job.partial);
    free(job.scratch);
    return status;
}
