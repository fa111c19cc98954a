/* Statistics that are quadratic forms of a matrix over all pairs of rows: the squared maximum mean
 * discrepancy for a list of kernels, and the energy distance. With s = 1/m on the smaller part and -1/n on
 * the other, T = s' K s without the diagonal, for all labellings at once. K is symmetric: a row meets only
 * the columns after its own. Distances are made once a block of rows and serve every kernel; K stands in
 * memory a tile at a time and meets all labellings there (gn__signed in tensor/tensor.h). s sums to 0, so
 * that a constant may be taken off K: its mean over some pairs, which would only cancel, and costs digits. */
#include "detect/detect.h"
#include "tensor/tensor.h"

enum {
    BLOCK = 128,
    STRIPS = BLOCK / GN__STRIP,
    DIRECT_DIM = 32,
    TILE = 12 * GN__CHUNK, /* columns */
    CENTRE_PAIRS = 256
};

typedef struct pairs_job {
    const gn__sample *s;
    const gn__kernel *kernel;
    const gn__ops *ops;
    size_t kernels, labellings;
    size_t columns;  /* n, up to a whole chunk */
    float *x, *norm; /* [padded × dim] centred rows, then zeros; [padded] squared norms */
    float *centre;   /* [kernels] taken off K */
    bool euclidean, city_block;
    float inside, outside;
    const gn__labels *labels;
    uint16_t *code;  /* [columns / GN__CHUNK × labellings × GN__CODES] */
    double *partial; /* [blocks × kernels × 2 × labellings] s' K s, 1' K s over pairs i < j */
    double *total;   /* [blocks × kernels × 2] sum of K - centre, of K's squares, over the same */
    float *scratch;  /* [threads × scratch_size] */
    size_t scratch_size;
} pairs_job;

/* A thread's part of the scratch. */
typedef struct space {
    float *square, *city; /* [columns × BLOCK] distances, row by row of the columns */
    float *strip;         /* [dim × GN__STRIP] */
    float *k;             /* [TILE × GN__STRIP] */
    float *table;         /* [GN__TABLE_FLOATS] */
    float *lanes;         /* [2 × labellings × GN__SUM_LANES] */
    uint32_t *mask;       /* [STRIPS × labellings] */
} space;

/* Floats that a thread needs; divides them where `at` is not NULL. */
static size_t divide_space(const pairs_job *job, float *at, space *out)
{
    size_t cells = BLOCK * job->columns, lanes = 2 * job->labellings * GN__SUM_LANES;
    const size_t size[] = {job->euclidean ? cells : 0, job->city_block ? cells : 0,
                           GN__STRIP * job->s->dim,    (size_t)TILE * GN__STRIP,
                           GN__TABLE_FLOATS,           lanes,
                           STRIPS * job->labellings};
    float **part[] = {&out->square, &out->city, &out->strip, &out->k, &out->table, &out->lanes};
    size_t used = 0;
    for (size_t p = 0; p < sizeof size / sizeof *size; p++) {
        if (at != NULL && p < sizeof part / sizeof *part) *part[p] = at + used;
        if (at != NULL && p == sizeof part / sizeof *part) out->mask = (uint32_t *)(void *)(at + used);
        used += (size[p] + 15) / 16 * 16;
    }
    return used;
}

GN__CLONES static void pairs_from_products(const float *norm, float own, float *d)
{
    for (size_t i = 0; i < BLOCK; i++) {
        float square = norm[i] + own - 2 * d[i];
        d[i] = square > 0 ? square : 0;
    }
}

/* k [cols × GN__STRIP] = factor × d [cols × BLOCK]. */
GN__CLONES static void pairs_scale(const float *d, float factor, size_t cols, float *k)
{
    for (size_t j = 0; j < cols; j++)
        for (size_t i = 0; i < GN__STRIP; i++) k[j * GN__STRIP + i] = d[j * BLOCK + i] * factor;
}

GN__CLONES static void pairs_minus_root(const float *d, size_t cols, float *k)
{
    for (size_t j = 0; j < cols; j++)
        for (size_t i = 0; i < GN__STRIP; i++) k[j * GN__STRIP + i] = -sqrtf(d[j * BLOCK + i]);
}

GN__CLONES static void pairs_subtract(float *k, float centre, size_t n)
{
    for (size_t j = 0; j < n; j++) k[j] -= centre;
}

/* Onto sum [GN__STRIP], row by row. */
GN__CLONES static void pairs_add_columns(const float *k, size_t cols, float *sum)
{
    for (size_t j = 0; j < cols; j++)
        for (size_t i = 0; i < GN__STRIP; i++) sum[i] += k[j * GN__STRIP + i];
}

GN__CLONES static void pairs_add_squares(const float *k, size_t cols, float *sum)
{
    for (size_t j = 0; j < cols; j++)
        for (size_t i = 0; i < GN__STRIP; i++) sum[i] += k[j * GN__STRIP + i] * k[j * GN__STRIP + i];
}

/* Distances of the block's rows to the columns from `first` on. */
static void pairs_distances(const pairs_job *job, size_t begin, size_t first, const space *t)
{
    size_t dim = job->s->dim, cols = job->columns - first;
    bool direct = dim <= DIRECT_DIM;
    if (job->euclidean && !direct) {
        gn__product(cols, BLOCK, dim, 1, (gn__factor){job->x + first * dim, dim, false},
                    (gn__factor){job->x + begin * dim, dim, true}, 0, t->square, BLOCK);
        for (size_t j = 0; j < cols; j++)
            pairs_from_products(job->norm + begin, job->norm[first + j], t->square + j * BLOCK);
    }
    if (!job->city_block && !direct) return;
    for (size_t p = 0; p < STRIPS; p++) {
        for (size_t i = 0; i < GN__STRIP; i++)
            for (size_t c = 0; c < dim; c++)
                t->strip[c * GN__STRIP + i] = job->x[(begin + p * GN__STRIP + i) * dim + c];
        if (job->euclidean && direct)
            job->ops->strip_distances(t->strip, job->x + first * dim, cols, dim, false,
                                      t->square + p * GN__STRIP, BLOCK);
        if (job->city_block)
            job->ops->strip_distances(t->strip, job->x + first * dim, cols, dim, true,
                                      t->city + p * GN__STRIP, BLOCK);
    }
}

/* square, city: the strip's column of distances, stride BLOCK. */
static void fill_kernel(const gn__kernel *kernel, const float *square, const float *city, size_t cols,
                        float *k)
{
    switch (kernel->family) {
    case GN__GAUSS:
        pairs_scale(square, (float)(-0.5 / (kernel->bandwidth * kernel->bandwidth)), cols, k);
        gn__exp_negative(k, cols * GN__STRIP);
        break;
    case GN__LAPLACE:
        pairs_scale(city, (float)(-sqrt(2) / kernel->bandwidth), cols, k);
        gn__exp_negative(k, cols * GN__STRIP);
        break;
    case GN__DISTANCE:
        pairs_minus_root(square, cols, k);
        break;
    }
}

/* Leaves the pairs i < j < n of rows from `row` and columns from `column` on. */
static void clear_others(float *k, size_t row, size_t column, size_t cols, size_t n)
{
    size_t rows = row >= n ? 0 : n - row < GN__STRIP ? n - row : GN__STRIP;
    for (size_t j = 0; j < cols; j++) {
        size_t before = column + j <= row ? 0 : column + j - row; /* rows before the column's own */
        size_t kept = column + j >= n ? 0 : before < rows ? before : rows;
        if (kept < GN__STRIP) memset(k + j * GN__STRIP + kept, 0, (GN__STRIP - kept) * sizeof *k);
    }
}

static void fill_masks(const pairs_job *job, size_t begin, uint32_t *mask)
{
    size_t labels = job->labellings, n = job->s->n;
    memset(mask, 0, STRIPS * labels * sizeof *mask);
    for (size_t i = 0; i < BLOCK && begin + i < n; i++) {
        const uint8_t *bits = job->labels->bits + (begin + i) * job->labels->stride;
        uint32_t *to = mask + i / GN__STRIP * labels;
        for (size_t l = 0; l < labels; l++)
            to[l] |= (uint32_t)(bits[l / 8] >> (l % 8) & 1U) << (i % GN__STRIP);
    }
}

/* What a strip's rows add to 1' K s of every labelling: outer[i] = sum_j K_ij over the columns after i. */
static void add_outer(const pairs_job *job, const uint32_t *mask, const float *outer, double *linear)
{
    for (size_t l = 0; l < job->labellings; l++) {
        float sum = 0;
        for (size_t i = 0; i < GN__STRIP; i++)
            sum += outer[i] * (mask[l] >> i & 1 ? job->inside : job->outside);
        linear[l] += (double)sum;
    }
}

static double lane_sum(const float *lane)
{
    double sum = 0;
    for (size_t t = 0; t < GN__SUM_LANES; t++) sum += (double)lane[t];
    return sum;
}

/* One kernel on one strip of the block; first: the first column that distances stand for. */
static void pairs_strip(const pairs_job *job, size_t w, size_t strip, size_t begin, size_t first,
                        const space *t)
{
    size_t labels = job->labellings, row = begin + strip * GN__STRIP;
    size_t from = row / GN__CHUNK * GN__CHUNK, slot = begin / BLOCK * job->kernels + w;
    double *quadratic = job->partial + slot * 2 * labels, *linear = quadratic + labels;
    double *total = job->total + slot * 2;
    float outer[GN__STRIP] = {0}, squares[GN__STRIP] = {0};
    gn__signed sums = {.k = t->k,
                       .mask = t->mask + strip * labels,
                       .labels = labels,
                       .inside = job->inside,
                       .outside = job->outside,
                       .quadratic = t->lanes,
                       .linear = job->kernel[w].unbiased ? t->lanes + labels * GN__SUM_LANES : NULL,
                       .table = t->table};
    memset(t->lanes, 0, 2 * labels * GN__SUM_LANES * sizeof *t->lanes);
    for (size_t at = from; at < job->columns; at += TILE) {
        size_t cols = job->columns - at < TILE ? job->columns - at : TILE;
        size_t place = (at - first) * BLOCK + strip * GN__STRIP;
        fill_kernel(&job->kernel[w], t->square + place, t->city + place, cols, t->k);
        if (job->kernel[w].unbiased) {
            clear_others(t->k, row, at, cols, job->s->n);
            pairs_add_squares(t->k, cols, squares);
        }
        pairs_subtract(t->k, job->centre[w], cols * GN__STRIP);
        clear_others(t->k, row, at, cols, job->s->n);
        if (job->kernel[w].unbiased) pairs_add_columns(t->k, cols, outer);
        sums.code = job->code + at * labels * GN__CODES / GN__CHUNK;
        sums.chunks = cols / GN__CHUNK;
        job->ops->signed_sums(&sums);
    }
    for (size_t l = 0; l < labels; l++) quadratic[l] += lane_sum(t->lanes + l * GN__SUM_LANES);
    if (!job->kernel[w].unbiased) return;
    for (size_t l = 0; l < labels; l++) linear[l] += lane_sum(sums.linear + l * GN__SUM_LANES);
    add_outer(job, sums.mask, outer, linear);
    for (size_t i = 0; i < GN__STRIP; i++) total[0] += (double)outer[i], total[1] += (double)squares[i];
}

static void pairs_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    pairs_job *job = arg;
    space t = {0};
    divide_space(job, job->scratch + worker * job->scratch_size, &t);
    size_t first = begin / GN__CHUNK * GN__CHUNK;
    pairs_distances(job, begin, first, &t);
    fill_masks(job, begin, t.mask);
    for (size_t w = 0; w < job->kernels; w++)
        for (size_t strip = 0; begin + strip * GN__STRIP < end && !gn__cancelled(job->s->ctx); strip++)
            pairs_strip(job, w, strip, begin, first, &t);
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
            for (int t = 0; t < 2; t++) total[t] += 2 * job->total[(b * job->kernels + w) * 2 + (size_t)t];
        if (square != NULL) square[w] = total[1];
        for (size_t l = 0; l < labels; l++) {
            double v = 0, linear = 0;
            for (size_t b = 0; b < blocks; b++) {
                v += 2 * job->partial[(b * job->kernels + w) * 2 * labels + l];
                linear += job->partial[((b * job->kernels + w) * 2 + 1) * labels + l];
            }
            /* s' 1 1' s is 0, but without its diagonal it is minus the sum of s squared; U loses nothing. */
            statistic[w * labels + l] = job->kernel[w].unbiased
                                            ? unbiased_from(v, linear, total[0], small, large)
                                            : v - (double)job->centre[w] * (1 / small + 1 / large);
        }
    }
}

static void copy_centred(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    pairs_job *job = arg;
    const gn__sample *s = job->s;
    for (size_t i = begin; i < end; i++) {
        double square = 0;
        for (size_t j = 0; j < s->dim; j++) {
            float v = i < s->n ? s->row[i][j] - s->mean[j] : 0;
            job->x[i * s->dim + j] = v;
            square += (double)v * (double)v;
        }
        job->norm[i] = (float)square;
    }
}

/* The codes of the chunks begin .. end-1. */
static void fill_codes(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    pairs_job *job = arg;
    const gn__labels *labels = job->labels;
    size_t count = job->labellings;
    for (size_t chunk = begin; chunk < end; chunk++) {
        uint16_t *code = job->code + chunk * count * GN__CODES;
        memset(code, 0, count * GN__CODES * sizeof *code);
        for (size_t k = 0; k < GN__CHUNK && chunk * GN__CHUNK + k < job->s->n; k++) {
            const uint8_t *bits = labels->bits + (chunk * GN__CHUNK + k) * labels->stride;
            uint16_t unit = (uint16_t)(GN__CODE_UNIT << k % GN__CODE_BITS);
            for (size_t l = 0; l < count; l++)
                if (bits[l / 8] >> (l % 8) & 1) code[l * GN__CODES + k / GN__CODE_BITS] |= unit;
        }
    }
}

/* Each kernel's mean over pairs of rows that are half the pool apart: a number near K's middle. */
static void find_centres(const pairs_job *job)
{
    const gn__sample *s = job->s;
    size_t pairs = s->n / 2 < CENTRE_PAIRS ? s->n / 2 : (size_t)CENTRE_PAIRS, step = s->n / 2 / pairs;
    double sum[2] = {0}, norm = 1 / (double)pairs;
    for (size_t w = 0; w < job->kernels; w++) job->centre[w] = 0;
    for (size_t p = 0; p < pairs; p++) {
        const float *x = job->x + p * step * s->dim, *y = x + s->n / 2 * s->dim;
        sum[0] = sum[1] = 0;
        for (size_t j = 0; j < s->dim; j++) {
            double d = (double)x[j] - (double)y[j];
            sum[0] += d * d;
            sum[1] += fabs(d);
        }
        for (size_t w = 0; w < job->kernels; w++) {
            double h = job->kernel[w].bandwidth;
            double k = job->kernel[w].family == GN__GAUSS     ? exp(-0.5 * sum[0] / (h * h))
                       : job->kernel[w].family == GN__LAPLACE ? exp(-sqrt(2) * sum[1] / h)
                                                              : -sqrt(sum[0]);
            job->centre[w] += (float)(norm * k);
        }
    }
}

gn_status gn__pairs(const gn__sample *s, const gn__kernel *kernel, size_t kernels, double *statistic,
                    double *square, gn_error *err)
{
    size_t n = s->n, blocks = (n + BLOCK - 1) / BLOCK, slots = blocks * kernels * 2;
    size_t chunks = (n + GN__CHUNK - 1) / GN__CHUNK;
    pairs_job job = {.s = s,
                     .kernel = kernel,
                     .ops = gn__cpu_ops(),
                     .kernels = kernels,
                     .labellings = s->labellings,
                     .columns = chunks * GN__CHUNK};
    gn__labels labels = {0};
    gn_status status = GN_OK;
    space none = {0};
    size_t padded = blocks * BLOCK > job.columns ? blocks * BLOCK : job.columns;
    for (size_t w = 0; w < kernels; w++)
        *(kernel[w].family == GN__LAPLACE ? &job.city_block : &job.euclidean) = true;
    job.scratch_size = divide_space(&job, NULL, &none);
    job.x = gn__aligned(padded * s->dim, sizeof *job.x);
    job.norm = gn__aligned(padded, sizeof *job.norm);
    job.centre = gn__calloc(kernels, sizeof *job.centre);
    job.code = gn__aligned(chunks * job.labellings, GN__CODES * sizeof *job.code);
    job.partial = gn__calloc(slots * job.labellings, sizeof *job.partial);
    job.total = gn__calloc(slots, sizeof *job.total);
    job.scratch = gn__aligned(job.scratch_size * gn_context_threads(s->ctx), sizeof *job.scratch);
    if (job.x == NULL || job.norm == NULL || job.centre == NULL || job.code == NULL || job.partial == NULL ||
        job.total == NULL || job.scratch == NULL) {
        status =
            gn__no_memory(err, n * s->dim * sizeof *job.x + slots * job.labellings * sizeof *job.partial);
        goto done;
    }
    GN__TRY_GOTO(gn__labels_dense(s->ctx, s->n_a, n - s->n_a, s->labellings, s->purpose, &labels, err), done);
    job.labels = &labels;
    job.inside = (float)(1 / (double)labels.small);
    job.outside = (float)(-1 / (double)(n - labels.small));
    GN__TRY_GOTO(gn__parallel_for(s->ctx, padded, BLOCK, copy_centred, &job, err), done);
    GN__TRY_GOTO(gn__parallel_for(s->ctx, chunks, 1, fill_codes, &job, err), done);
    find_centres(&job);
    GN__TRY_GOTO(gn__parallel_for(s->ctx, n, BLOCK, pairs_piece, &job, err), done);
    reduce(&job, (double)labels.small, statistic, square);
done:
    gn__labels_free(&labels);
    free(job.x);
    free(job.norm);
    free(job.centre);
    free(job.code);
    free(job.partial);
    free(job.total);
    free(job.scratch);
    return status;
}
