/* Squared maximum mean discrepancy of every labelling by random Fourier features (Rahimi & Recht 2007; the
 * permutation test on them: Choi & Kim 2024, arXiv 2407.08976): T = ||mean feature of b - mean feature of
 * a||^2, linear in the rows.
 *
 * Bins of equal size, each a random part of one sample, are permuted instead of rows (Domingo-Enrich, Dwivedi
 * & Mackey 2025, arXiv 2502.07672): permuting whole bins is a subgroup of all permutations, so the level
 * stays exact, and the labellings' sums cost what 1024 or a few more rows of the smaller sample would.
 *
 * The bandwidths share their frequencies: at half the bandwidth every angle doubles, so one sine and cosine
 * serves all of them. Rows stream through in chunks of bins: first all bins' features, then, cut by features,
 * the sums of all labellings: sparsely where the smaller sample is a small part, else as a product. */
#include "detect/detect.h"
#include "tensor/tensor.h"

enum {
    BINS = 1024, /* at least, of the smaller sample */
    CHUNK = 2048,
    TILE = 256,
    WIDTH = 2 * GN__BANDWIDTHS * GN__FREQUENCIES,
    SLICE = 128,
    SLICES = WIDTH / SLICE,
    SPARSE = 16 /* the smaller sample is less than one part in so many */
};

typedef struct rff_job {
    const gn__sample *s;
    gn__labels labels;
    size_t size, bins_a, bins; /* rows a bin */
    uint32_t *order;           /* [n] NULL: bins are the rows in their order */
    float *frequency;          /* [GN__FREQUENCIES × dim] over the widest bandwidth */
    float *feature;            /* [CHUNK × WIDTH] sums over each bin */
    float *label;              /* [CHUNK × labellings] dense only */
    float *sum;                /* [SLICES × labellings × SLICE] of the smaller part */
    double total[WIDTH];
    size_t from, to; /* the chunk's bins */
    float *scratch;  /* [threads × scratch_size] */
    size_t scratch_size;
    double *partial; /* [SLICES × labellings] squares */
} rff_job;

static const float *row_of(const rff_job *job, size_t bin, size_t k)
{
    bool in_b = bin >= job->bins_a;
    size_t at = (in_b ? bin - job->bins_a : bin) * job->size + k + (in_b ? job->s->n_a : 0);
    return job->s->row[job->order != NULL ? job->order[at] : at];
}

GN__CLONES static void rff_subtract(const float *x, const float *mean, size_t n, float *out)
{
    for (size_t j = 0; j < n; j++) out[j] = x[j] - mean[j];
}

/* out += the features of one row, bandwidth by bandwidth: cosines, then sines. */
GN__CLONES static void rff_add_features(float *c, float *s, float *out)
{
    for (size_t w = 0; w < GN__BANDWIDTHS; w++, out += 2 * GN__FREQUENCIES)
        for (size_t f = 0; f < GN__FREQUENCIES; f++) {
            out[f] += c[f];
            out[GN__FREQUENCIES + f] += s[f];
            float twice = 2 * s[f] * c[f];
            c[f] = 1 - 2 * s[f] * s[f];
            s[f] = twice;
        }
}

/* Features of the bins begin .. end-1 of the chunk. */
static void rff_feature_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    rff_job *job = arg;
    size_t dim = job->s->dim, rows = (end - begin) * job->size;
    float *x = job->scratch + worker * job->scratch_size, *angle = x + TILE * dim;
    float *c = angle + TILE * GN__FREQUENCIES, *s = c + GN__FREQUENCIES, *out = job->feature + begin * WIDTH;
    memset(out, 0, (end - begin) * WIDTH * sizeof *out);
    for (size_t at = 0; at < rows && !gn__cancelled(job->s->ctx); at += TILE) {
        size_t n = rows - at < TILE ? rows - at : TILE;
        for (size_t i = 0; i < n; i++)
            rff_subtract(row_of(job, job->from + begin + (at + i) / job->size, (at + i) % job->size),
                         job->s->mean, dim, x + i * dim);
        gn__product(n, GN__FREQUENCIES, dim, 1, (gn__factor){x, dim, false},
                    (gn__factor){job->frequency, dim, true}, 0, angle, GN__FREQUENCIES);
        for (size_t i = 0; i < n; i++) {
            gn__sincos(angle + i * GN__FREQUENCIES, GN__FREQUENCIES, c, s);
            rff_add_features(c, s, out + (at + i) / job->size * WIDTH);
        }
    }
    if (job->label != NULL)
        for (size_t i = begin; i < end; i++)
            gn__labels_expand(&job->labels, job->from + i, 1, 0, job->label + i * job->labels.count);
}

GN__CLONES static void rff_add_slice(const float *x, float *sum)
{
    for (size_t f = 0; f < SLICE; f++) sum[f] += x[f];
}

GN__CLONES static void rff_add_total(const float *x, double *sum)
{
    for (size_t f = 0; f < SLICE; f++) sum[f] += (double)x[f];
}

static void rff_sum_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    rff_job *job = arg;
    size_t n = job->to - job->from, count = job->labels.count;
    for (size_t slice = begin; slice < end; slice++) {
        const float *x = job->feature + slice * SLICE;
        float *sum = job->sum + slice * count * SLICE;
        for (size_t i = 0; i < n; i++) rff_add_total(x + i * WIDTH, job->total + slice * SLICE);
        if (job->label != NULL)
            gn__product(count, SLICE, n, 1, (gn__factor){job->label, count, true},
                        (gn__factor){x, WIDTH, false}, 1, sum, SLICE);
        else
            for (size_t i = 0; i < n; i++)
                for (size_t k = job->labels.start[job->from + i]; k < job->labels.start[job->from + i + 1];
                     k++)
                    rff_add_slice(x + i * WIDTH, sum + job->labels.of[k] * SLICE);
    }
}

/* Squared distances between the two means, of one slice of features. */
static void rff_square_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    rff_job *job = arg;
    double small = (double)(job->labels.small * job->size);
    double large = (double)((job->bins - job->labels.small) * job->size);
    for (size_t slice = begin; slice < end; slice++)
        for (size_t l = 0; l < job->labels.count; l++) {
            const float *sum = job->sum + (slice * job->labels.count + l) * SLICE;
            double square = 0;
            for (size_t f = 0; f < SLICE; f++) {
                double d = (double)sum[f] * (1 / small + 1 / large) - job->total[slice * SLICE + f] / large;
                square += d * d;
            }
            job->partial[slice * job->labels.count + l] = square;
        }
}

/* Each side's rows in random order: bins of consecutive rows of a sorted file would not be exchangeable. */
static gn_status deal_bins(rff_job *job, gn_error *err)
{
    const gn__sample *s = job->s;
    size_t n_b = s->n - s->n_a, smaller = n_b < s->n_a ? n_b : s->n_a;
    job->size = smaller / BINS > 1 ? smaller / BINS : 1;
    job->bins_a = s->n_a / job->size;
    job->bins = job->bins_a + n_b / job->size;
    if (job->size == 1) return GN_OK;
    job->order = gn__calloc(s->n, sizeof *job->order);
    if (job->order == NULL) return gn__no_memory(err, s->n * sizeof *job->order);
    for (size_t i = 0; i < s->n; i++) job->order[i] = (uint32_t)i;
    gn__rng r = gn__rng_make(gn_context_seed(s->ctx), gn__purpose("detect/bins") ^ s->purpose, 0);
    gn__rng_shuffle(&r, job->order, s->n_a);
    gn__rng_shuffle(&r, job->order + s->n_a, n_b);
    return GN_OK;
}

static gn_status allocate_rff(rff_job *job, double widest, gn_error *err)
{
    const gn__sample *s = job->s;
    size_t count = s->labellings, chunk = job->bins < CHUNK ? job->bins : CHUNK;
    bool sparse = job->labels.bits == NULL;
    job->scratch_size = TILE * (s->dim + GN__FREQUENCIES) + 2 * GN__FREQUENCIES;
    job->frequency = gn__aligned(GN__FREQUENCIES * s->dim, sizeof *job->frequency);
    job->feature = gn__aligned(chunk * WIDTH, sizeof *job->feature);
    job->label = sparse ? NULL : gn__aligned(chunk * count, sizeof *job->label);
    job->sum = gn__calloc(count, WIDTH * sizeof *job->sum);
    job->partial = gn__calloc(SLICES * count, sizeof *job->partial);
    job->scratch = gn__aligned(job->scratch_size * gn_context_threads(s->ctx), sizeof *job->scratch);
    if (!job->frequency || !job->feature || (!sparse && !job->label) || !job->sum || !job->partial ||
        !job->scratch)
        return gn__no_memory(err, (chunk + count) * WIDTH * sizeof *job->sum);
    gn__frequencies(s->ctx, s->dim, s->purpose, job->frequency);
    for (size_t k = 0; k < GN__FREQUENCIES * s->dim; k++) job->frequency[k] /= (float)widest;
    return GN_OK;
}

static gn_status stream(rff_job *job, gn_error *err)
{
    size_t tile = TILE / job->size > 1 ? TILE / job->size : 1;
    for (job->from = 0; job->from < job->bins; job->from = job->to) {
        job->to = job->from + CHUNK < job->bins ? job->from + CHUNK : job->bins;
        GN__TRY(gn__parallel_for(job->s->ctx, job->to - job->from, tile, rff_feature_piece, job, err));
        GN__TRY(gn__parallel_for(job->s->ctx, SLICES, 1, rff_sum_piece, job, err));
    }
    return gn__parallel_for(job->s->ctx, SLICES, 1, rff_square_piece, job, err);
}

gn_status gn__test_mmd_rff(const gn__sample *s, gn__verdict *out, gn_error *err)
{
    double distance, *statistic = NULL;
    size_t count = s->labellings;
    rff_job *job;
    GN__TRY(gn__typical_distance(s, &distance, err));
    if (!(distance > 0)) {
        *out = (gn__verdict){.p_value = 1};
        return GN_OK;
    }
    job = gn__calloc(1, sizeof *job);
    if (job == NULL) return gn__no_memory(err, sizeof *job);
    job->s = s;
    gn_status status;
    GN__TRY_GOTO(deal_bins(job, err), done);
    size_t bins_b = job->bins - job->bins_a, small = bins_b < job->bins_a ? bins_b : job->bins_a;
    GN__TRY_GOTO((small < job->bins / SPARSE ? gn__labels_sparse : gn__labels_dense)(
                     s->ctx, job->bins_a, bins_b, count, s->purpose, &job->labels, err),
                 done);
    GN__TRY_GOTO(allocate_rff(job, 4 * distance, err), done);
    statistic = gn__calloc(GN__BANDWIDTHS, count * sizeof *statistic);
    if (statistic == NULL) {
        status = gn__no_memory(err, GN__BANDWIDTHS * count * sizeof *statistic);
        goto done;
    }
    GN__TRY_GOTO(stream(job, err), done);
    for (size_t slice = 0; slice < SLICES; slice++)
        for (size_t l = 0; l < count; l++)
            statistic[slice / (SLICES / GN__BANDWIDTHS) * count + l] += job->partial[slice * count + l];
    gn__combine_standardised(statistic, GN__BANDWIDTHS, count, out);
done:
    gn__labels_free(&job->labels);
    free(job->order);
    free(job->frequency);
    free(job->feature);
    free(job->label);
    free(job->sum);
    free(job->partial);
    free(job->scratch);
    free(job);
    free(statistic);
    return status;
}
