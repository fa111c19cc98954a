/* Squared maximum mean discrepancy of every labelling by random Fourier features (Rahimi & Recht 2007; the
 * permutation test on them: Choi & Kim 2024, arXiv 2407.08976): T = ||mean feature of b - mean feature of
 * a||^2, linear in the rows.
 *
 * The bandwidths share their frequencies: at half the bandwidth every angle doubles, so one sine and cosine
 * serves all of them. The work is cut by frequencies; each piece streams all rows, so that its sums of
 * features by labelling stay in the cache. */
#include "detect/detect.h"

#include <cblas.h>

enum { FREQUENCIES = 256, CHUNK = 32, BLOCK = 256, WIDTH = CHUNK * 2 * GN__BANDWIDTHS };

typedef struct rff_job {
    gn__mmd *m;
    float *frequency; /* [FREQUENCIES × dim], standard normal / widest */
    double *partial;  /* [pieces × GN__BANDWIDTHS × labellings] */
    float *scratch;
    size_t scratch_size;
} rff_job;

/* feature: [2 GN__BANDWIDTHS × CHUNK] cosines and sines, bandwidth by bandwidth. */
GN__CLONES static void rff_double_angles(float *feature)
{
    for (size_t w = 1; w < GN__BANDWIDTHS; w++) {
        float *c = feature + 2 * (w - 1) * CHUNK, *s = c + CHUNK, *c2 = s + CHUNK, *s2 = c2 + CHUNK;
        for (size_t f = 0; f < CHUNK; f++) {
            c2[f] = 1 - 2 * s[f] * s[f];
            s2[f] = 2 * s[f] * c[f];
        }
    }
}

GN__CLONES static void rff_subtract(const float *x, const float *mean, size_t n, float *out)
{
    for (size_t j = 0; j < n; j++) out[j] = x[j] - mean[j];
}

GN__CLONES static void rff_expand(const uint8_t *bits, size_t labellings, float *out)
{
    for (size_t l = 0; l < labellings; l++) out[l] = (float)(bits[l / 8] >> (l % 8) & 1);
}

GN__CLONES static void rff_add_squares(const float *sum, float total, float scale, float inverse_a, size_t n,
                                       double *out)
{
    for (size_t l = 0; l < n; l++) {
        float difference = sum[l] * scale - total * inverse_a;
        out[l] += (double)(difference * difference);
    }
}

static void rff_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)end;
    rff_job *job = arg;
    const gn__mmd *m = job->m;
    size_t n = m->n, dim = m->dim, labellings = m->labellings;
    float *x = job->scratch + worker * job->scratch_size, *angle = x + BLOCK * dim;
    float *feature = angle + BLOCK * CHUNK, *label = feature + BLOCK * WIDTH,
          *sum = label + BLOCK * labellings;
    double total[WIDTH] = {0};
    memset(sum, 0, WIDTH * labellings * sizeof *sum);
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t rows = n - at < BLOCK ? n - at : BLOCK;
        if (gn__cancelled(m->ctx)) return;
        for (size_t i = 0; i < rows; i++) {
            rff_subtract(m->row[at + i], m->mean, dim, x + i * dim);
            rff_expand(m->in_b + (at + i) * m->stride, labellings, label + i * labellings);
        }
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, CHUNK, (int)dim, 1, x, (int)dim,
                    job->frequency + begin * dim, (int)dim, 0, angle, CHUNK);
        for (size_t i = 0; i < rows; i++) {
            float *out = feature + i * WIDTH;
            for (size_t f = 0; f < CHUNK; f++) sincosf(angle[i * CHUNK + f], &out[CHUNK + f], &out[f]);
            rff_double_angles(out);
            for (size_t f = 0; f < WIDTH; f++) total[f] += (double)out[f];
        }
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, WIDTH, (int)labellings, (int)rows, 1, feature,
                    WIDTH, label, (int)labellings, 1, sum, (int)labellings);
    }
    double inverse_a = 1 / (double)m->n_a, inverse_b = 1 / (double)(n - m->n_a);
    for (size_t f = 0; f < WIDTH; f++) {
        double *out = job->partial + (begin / CHUNK * GN__BANDWIDTHS + f / (2 * CHUNK)) * labellings;
        rff_add_squares(sum + f * labellings, (float)total[f], (float)(inverse_a + inverse_b),
                        (float)inverse_a, labellings, out);
    }
}

gn_status gn__mmd_rff(gn__mmd *m, gn_error *err)
{
    size_t labellings = m->labellings, pieces = FREQUENCIES / CHUNK, sums = GN__BANDWIDTHS * labellings;
    rff_job job = {.m = m,
                   .scratch_size = BLOCK * (m->dim + CHUNK + WIDTH + labellings) + WIDTH * labellings};
    gn_status status = GN_OK;
    job.frequency = gn__aligned(FREQUENCIES * m->dim, sizeof *job.frequency);
    job.partial = gn__calloc(pieces * sums, sizeof *job.partial);
    job.scratch = gn__aligned(job.scratch_size * gn_context_threads(m->ctx), sizeof *job.scratch);
    if (job.frequency == NULL || job.partial == NULL || job.scratch == NULL) {
        status = gn__no_memory(err, job.scratch_size * sizeof *job.scratch);
        goto done;
    }
    for (size_t f = 0; f < FREQUENCIES; f++) {
        gn__rng r = gn__rng_make(gn_context_seed(m->ctx), gn__purpose("detect/frequencies") ^ m->purpose, f);
        for (size_t j = 0; j < m->dim; j++)
            job.frequency[f * m->dim + j] = (float)(gn__rng_normal(&r) / m->widest);
    }
    GN__TRY_GOTO(gn__parallel_for(m->ctx, FREQUENCIES, CHUNK, rff_piece, &job, err), done);
    memset(m->statistic, 0, sums * sizeof *m->statistic);
    for (size_t k = 0; k < pieces; k++)
        for (size_t j = 0; j < sums; j++) m->statistic[j] += job.partial[k * sums + j];
done:
    free(job.frequency);
    free(job.partial);
    free(job.scratch);
    return status;
}
