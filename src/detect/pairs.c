/* Statistics that are quadratic forms of a matrix over all pairs of rows: the squared maximum mean
 * discrepancy for a list of kernels, and the energy distance. With s = 1/m on the smaller part and -1/n on
 * the other, T = s' K s without the diagonal, for all labellings at once by one product of K with the matrix
 * of their s. K is symmetric: a block of rows meets only the columns from its own on. Distances are made once
 * a block and serve every kernel. */
#include "detect/detect.h"

#include <cblas.h>

enum { BLOCK = 128, DIRECT_DIM = 32, STRIP = 512, LANES = 8, WIDE = 64 };

typedef struct pairs_job {
    const gn__sample *s;
    const gn__kernel *kernel;
    size_t kernels, labellings;
    float *x, *column, *norm; /* [n × dim] centred rows, [dim × n] the same by column, [n] squared norms */
    bool euclidean, city_block;
    float *sign;         /* [n × labellings] */
    double *partial;     /* [blocks × kernels × 2 × labellings] s' K s, 1' K s */
    double *total;       /* [blocks × kernels × 2] sum of K, of its squares */
    float *scratch;      /* [threads × scratch_size] */
    size_t scratch_size; /* [2 × BLOCK × n] distances, [BLOCK × n] K, [2 × BLOCK × labellings] products */
} pairs_job;

GN__CLONES static void pairs_from_products(const float *norm, float own, size_t n, float *d)
{
    for (size_t j = 0; j < n; j++) {
        float square = norm[j] + own - 2 * d[j];
        d[j] = square > 0 ? square : 0;
    }
}

/* Eight columns of the data at a time, so that a sum is loaded and stored once for eight terms. */
GN__CLONES static void pairs_city_block(const float *own, const float *column, size_t ld, size_t dim,
                                        size_t n, float *d)
{
    size_t c = 0;
    for (size_t j = 0; j < n; j++) d[j] = 0;
    for (; c + LANES <= dim; c += LANES) {
        const float *y = column + c * ld;
        for (size_t j = 0; j < n; j++)
            d[j] += ((fabsf(own[c] - y[j]) + fabsf(own[c + 1] - y[ld + j])) +
                     (fabsf(own[c + 2] - y[2 * ld + j]) + fabsf(own[c + 3] - y[3 * ld + j]))) +
                    ((fabsf(own[c + 4] - y[4 * ld + j]) + fabsf(own[c + 5] - y[5 * ld + j])) +
                     (fabsf(own[c + 6] - y[6 * ld + j]) + fabsf(own[c + 7] - y[7 * ld + j])));
    }
    for (; c < dim; c++)
        for (size_t j = 0; j < n; j++) d[j] += fabsf(own[c] - column[c * ld + j]);
}

GN__CLONES static void pairs_squares(const float *own, const float *column, size_t ld, size_t dim, size_t n,
                                     float *d)
{
    for (size_t j = 0; j < n; j++) d[j] = 0;
    for (size_t c = 0; c < dim; c++)
        for (size_t j = 0; j < n; j++) d[j] += (own[c] - column[c * ld + j]) * (own[c] - column[c * ld + j]);
}

GN__CLONES static void pairs_scale(const float *d, float factor, size_t n, float *k)
{
    for (size_t j = 0; j < n; j++) k[j] = d[j] * factor;
}

GN__CLONES static void pairs_minus_root(const float *d, size_t n, float *k)
{
    for (size_t j = 0; j < n; j++) k[j] = -sqrtf(d[j]);
}

GN__CLONES static void pairs_sums(const float *k, size_t n, float *sum, float *square)
{
    float a[WIDE] = {0}, b[WIDE] = {0}; /* several vectors: one would wait for each addition */
    size_t j = 0;
    for (; j + WIDE <= n; j += WIDE)
        for (size_t t = 0; t < WIDE; t++) {
            a[t] += k[j + t];
            b[t] += k[j + t] * k[j + t];
        }
    for (; j < n; j++) {
        a[j % WIDE] += k[j];
        b[j % WIDE] += k[j] * k[j];
    }
    for (size_t half = WIDE / 2; half > 0; half /= 2)
        for (size_t t = 0; t < half; t++) {
            a[t] += a[t + half];
            b[t] += b[t + half];
        }
    *sum = a[0];
    *square = b[0];
}

/* quadratic += s_i (inner_i + 2 outer_i), linear += inner_i + outer_i + s_i × (row sum of the outer part). */
GN__CLONES static void pairs_add(const float *s, const float *inner, const float *outer, float outer_sum,
                                 size_t n, double *quadratic, double *linear)
{
    for (size_t l = 0; l < n; l++) {
        quadratic[l] += (double)(s[l] * (inner[l] + 2 * outer[l]));
        linear[l] += (double)(inner[l] + outer[l] + s[l] * outer_sum);
    }
}

/* d: [rows × width] of the columns from `begin` on. */
static void pairs_distances(const pairs_job *job, size_t begin, size_t rows, float *square, float *city)
{
    const gn__sample *s = job->s;
    size_t width = s->n - begin;
    if (job->euclidean && s->dim > DIRECT_DIM) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)width, (int)s->dim, 1,
                    job->x + begin * s->dim, (int)s->dim, job->x + begin * s->dim, (int)s->dim, 0, square,
                    (int)width);
        for (size_t i = 0; i < rows; i++)
            pairs_from_products(job->norm + begin, job->norm[begin + i], width, square + i * width);
    }
    for (size_t at = 0; at < width; at += STRIP) { /* the strip's columns stay in the cache for all rows */
        size_t n = width - at < STRIP ? width - at : STRIP;
        for (size_t i = 0; i < rows; i++) {
            const float *own = job->x + (begin + i) * s->dim;
            if (job->euclidean && s->dim <= DIRECT_DIM)
                pairs_squares(own, job->column + begin + at, s->n, s->dim, n, square + i * width + at);
            if (job->city_block)
                pairs_city_block(own, job->column + begin + at, s->n, s->dim, n, city + i * width + at);
        }
    }
}

static void fill_kernel(const gn__kernel *kernel, const float *square, const float *city, size_t cells,
                        float *k)
{
    switch (kernel->family) {
    case GN__GAUSS:
        pairs_scale(square, (float)(-0.5 / (kernel->bandwidth * kernel->bandwidth)), cells, k);
        gn__exp_negative(k, cells);
        break;
    case GN__LAPLACE:
        pairs_scale(city, (float)(-sqrt(2) / kernel->bandwidth), cells, k);
        gn__exp_negative(k, cells);
        break;
    case GN__DISTANCE:
        pairs_minus_root(square, cells, k);
        break;
    }
}

static void pairs_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    pairs_job *job = arg;
    size_t n = job->s->n, rows = end - begin, width = n - begin, outside = n - end, labels = job->labellings;
    float *square = job->scratch + worker * job->scratch_size, *city = square + BLOCK * n;
    float *k = city + (job->city_block ? BLOCK * n : 0), *inner = k + BLOCK * n,
          *outer = inner + BLOCK * labels;
    pairs_distances(job, begin, rows, square, city);
    memset(outer, 0, rows * labels * sizeof *outer);
    for (size_t w = 0; w < job->kernels && !gn__cancelled(job->s->ctx); w++) {
        size_t slot = begin / BLOCK * job->kernels + w;
        double *quadratic = job->partial + slot * 2 * labels, *linear = quadratic + labels;
        double *total = job->total + slot * 2;
        fill_kernel(&job->kernel[w], square, city, rows * width, k);
        for (size_t i = 0; i < rows; i++) k[i * width + i] = 0;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)labels, (int)rows, 1, k,
                    (int)width, job->sign + begin * labels, (int)labels, 0, inner, (int)labels);
        if (outside > 0)
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)labels, (int)outside, 1,
                        k + rows, (int)width, job->sign + end * labels, (int)labels, 0, outer, (int)labels);
        for (size_t i = 0; i < rows; i++) {
            float in[2], out[2];
            pairs_sums(k + i * width, rows, &in[0], &in[1]);
            pairs_sums(k + i * width + rows, outside, &out[0], &out[1]);
            for (int t = 0; t < 2; t++) total[t] += (double)in[t] + 2 * (double)out[t];
            pairs_add(job->sign + (begin + i) * labels, inner + i * labels, outer + i * labels, out[0],
                      labels, quadratic, linear);
        }
    }
}

/* From s' K s = V and 1' K s to the U-statistic. With P = sum of K within the smaller part (size m), Q within
 * the other (n), C between them (once): V = P/m^2 + Q/n^2 - 2 C/(m n), 1' K s = (P + C)/m - (Q + C)/n and
 * P + Q + 2 C = all; U = V + P / (m^2 (m - 1)) + Q / (n^2 (n - 1)). */
static double unbiased_from(double v, double linear, double all, double m, double n)
{
    double row_small = (linear + all / n) / (1 / m + 1 / n), row_large = all - row_small; /* P + C, Q + C */
    double c = (row_small / (m * m) + row_large / (n * n) - v) / ((1 / m + 1 / n) * (1 / m + 1 / n));
    return v + (row_small - c) / (m * m * (m - 1)) + (row_large - c) / (n * n * (n - 1));
}

static void reduce(const pairs_job *job, double small, double *statistic, double *square)
{
    size_t labels = job->labellings, blocks = (job->s->n + BLOCK - 1) / BLOCK;
    double large = (double)job->s->n - small;
    for (size_t w = 0; w < job->kernels; w++) {
        double total[2] = {0};
        for (size_t b = 0; b < blocks; b++)
            for (int t = 0; t < 2; t++) total[t] += job->total[(b * job->kernels + w) * 2 + (size_t)t];
        if (square != NULL) square[w] = total[1];
        for (size_t l = 0; l < labels; l++) {
            double v = 0, linear = 0;
            for (size_t b = 0; b < blocks; b++) {
                v += job->partial[(b * job->kernels + w) * 2 * labels + l];
                linear += job->partial[((b * job->kernels + w) * 2 + 1) * labels + l];
            }
            statistic[w * labels + l] =
                job->kernel[w].unbiased ? unbiased_from(v, linear, total[0], small, large) : v;
        }
    }
}

static void copy_centred(pairs_job *job, const gn__labels *labels)
{
    const gn__sample *s = job->s;
    float inside = (float)(1 / (double)labels->small), outside = (float)(-1 / (double)(s->n - labels->small));
    for (size_t i = 0; i < s->n; i++) {
        double square = 0;
        for (size_t j = 0; j < s->dim; j++) {
            float v = s->row[i][j] - s->mean[j];
            job->x[i * s->dim + j] = v;
            if (job->column != NULL) job->column[j * s->n + i] = v;
            square += (double)v * (double)v;
        }
        job->norm[i] = (float)square;
        gn__labels_expand(labels, i, inside, outside, job->sign + i * job->labellings);
    }
}

gn_status gn__pairs(const gn__sample *s, const gn__kernel *kernel, size_t kernels, double *statistic,
                    double *square, gn_error *err)
{
    size_t n = s->n, blocks = (n + BLOCK - 1) / BLOCK, slots = blocks * kernels * 2;
    pairs_job job = {.s = s, .kernel = kernel, .kernels = kernels, .labellings = s->labellings};
    gn__labels labels = {0};
    gn_status status = GN_OK;
    for (size_t w = 0; w < kernels; w++)
        *(kernel[w].family == GN__LAPLACE ? &job.city_block : &job.euclidean) = true;
    job.scratch_size = BLOCK * ((job.city_block ? 3 : 2) * n + 2 * job.labellings);
    job.x = gn__aligned(n * s->dim, sizeof *job.x);
    if (job.city_block || s->dim <= DIRECT_DIM) job.column = gn__aligned(n * s->dim, sizeof *job.column);
    job.norm = gn__calloc(n, sizeof *job.norm);
    job.sign = gn__aligned(n * job.labellings, sizeof *job.sign);
    job.partial = gn__calloc(slots * job.labellings, sizeof *job.partial);
    job.total = gn__calloc(slots, sizeof *job.total);
    job.scratch = gn__aligned(job.scratch_size * gn_context_threads(s->ctx), sizeof *job.scratch);
    if (job.x == NULL || (job.column == NULL && (job.city_block || s->dim <= DIRECT_DIM)) ||
        job.norm == NULL || job.sign == NULL || job.partial == NULL || job.total == NULL ||
        job.scratch == NULL) {
        status = gn__no_memory(err, n * (s->dim + job.labellings) * sizeof *job.x);
        goto done;
    }
    GN__TRY_GOTO(gn__labels_dense(s->ctx, s->n_a, n - s->n_a, s->labellings, s->purpose, &labels, err), done);
    copy_centred(&job, &labels);
    GN__TRY_GOTO(gn__parallel_for(s->ctx, n, BLOCK, pairs_piece, &job, err), done);
    reduce(&job, (double)labels.small, statistic, square);
done:
    gn__labels_free(&labels);
    free(job.x);
    free(job.column);
    free(job.norm);
    free(job.sign);
    free(job.partial);
    free(job.total);
    free(job.scratch);
    return status;
}
