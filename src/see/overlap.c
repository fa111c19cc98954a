/* Overlap of two samples' kernel densities, its bootstrap and its yardstick; see README.md.
 *
 * Both samples are binned once on one grid (linear weights); a replicate is a histogram of resampled rows,
 * smoothed by a separable convolution whose kernel sums to one. Densities live as probabilities of cells, so
 * that the overlap is a plain sum of minima, and equal samples overlap by exactly 1. */
#include "genchi/see.h"

#include "see/sample.h"
#include "tensor/units.h"

#include <math.h>

enum { GRID1 = 512, GRID2 = 128, BANDWIDTH_DRAWS = 4 };
static const double reach = 4.5; /* bandwidths: exp(-10) of the peak */

typedef struct kernel {
    double *tap; /* [half + 1], from the centre outward */
    size_t half;
} kernel;

typedef struct sample {
    size_t n;  /* rows used */
    double *x; /* [n × dims] */
    gn__units units;
    double h[2];
    kernel k[2];
    uint32_t *cell; /* [n] lower-left of the 2 (4) cells a row is shared among */
    float *part;    /* [n × dims] share of the upper one, per axis */
    double *total;  /* [cells] histogram of all rows */
} sample;

typedef struct overlap_job {
    gn_context *ctx;
    size_t dims, nx, ny, cells;
    double low[2], step[2];
    sample set[2];
    size_t part_b;  /* yardstick: rows of the first sample that play the second */
    kernel yard[4]; /* yardstick: kernels of the larger part per axis, of the smaller part per axis */
    uint64_t seed, purpose;
    size_t replicates, draws;
    double *boot, *drawn; /* [replicates], [draws] */
    double *scratch;      /* [threads × scratch_size] */
    size_t scratch_size;
} overlap_job;

/* ---- sampling ---------------------------------------------------------------------------------- */

/* Copies the rows, or whole units of them in random order until max_rows are there. */
static gn_status take_rows(const overlap_job *job, const double *x, size_t n, const uint32_t *group,
                           size_t max_rows, int side, sample *s, gn_error *err)
{
    gn__units all;
    uint32_t *kept_group = NULL, *order = NULL;
    gn_status status = GN_OK;
    GN__TRY(gn__units_make(group, n, &all, err));
    s->x = gn__calloc(n, job->dims * sizeof *s->x);
    kept_group = gn__calloc(n, sizeof *kept_group);
    order = gn__calloc(all.count, sizeof *order);
    if (s->x == NULL || kept_group == NULL || order == NULL) {
        status = gn__no_memory(err, n * job->dims * sizeof *s->x);
        goto done;
    }
    for (size_t u = 0; u < all.count; u++) order[u] = (uint32_t)u;
    gn__rng r = gn__rng_make(job->seed, gn__purpose("see/overlap-rows") ^ job->purpose, (uint64_t)side);
    if (n > max_rows) gn__rng_shuffle(&r, order, all.count);
    for (size_t k = 0; k < all.count && (s->n == 0 || s->n < max_rows); k++) {
        size_t begin = all.start[order[k]], end = all.start[order[k] + 1];
        if (s->n > 0 && s->n + (end - begin) > max_rows) continue;
        for (size_t i = begin; i < end; i++, s->n++) {
            memcpy(s->x + s->n * job->dims, x + all.row[i] * job->dims, job->dims * sizeof *x);
            kept_group[s->n] = (uint32_t)k;
        }
    }
    status = gn__units_make(kept_group, s->n, &s->units, err);
done:
    gn__units_free(&all);
    free(kept_group);
    free(order);
    return status;
}

static gn_status bandwidth(const double *x, size_t n, size_t dims, gn_bandwidth rule, double h[2],
                           gn_error *err)
{
    return dims == 1 ? gn_kde_bandwidth(x, n, rule, h, err) : gn_kde2_bandwidth(x, n, rule, h, err);
}

/* ---- the grid ---------------------------------------------------------------------------------- */

/* Where one sample lies on an axis: its range, but not further than one central range (1 % to 99 %) beyond
 * that range, or a single stray value would flatten everything else into one cell. */
static gn_status axis_range(const sample *s, size_t dims, size_t axis, double *low, double *high,
                            gn_error *err)
{
    double *v = gn__calloc(s->n, sizeof *v);
    if (v == NULL) return gn__no_memory(err, s->n * sizeof *v);
    for (size_t i = 0; i < s->n; i++) v[i] = s->x[i * dims + axis];
    gn__sort(v, s->n);
    double q1 = gn__quantile(v, s->n, 0.01), q99 = gn__quantile(v, s->n, 0.99);
    *low = fmax(v[0], q1 - (q99 - q1));
    *high = fmin(v[s->n - 1], q99 + (q99 - q1));
    free(v);
    return GN_OK;
}

static gn_status lay_grid(overlap_job *job, const double widest[2], gn_error *err)
{
    size_t points = job->dims == 1 ? GRID1 : GRID2;
    job->nx = points;
    job->ny = job->dims == 1 ? 1 : points;
    job->cells = job->nx * job->ny;
    for (size_t axis = 0; axis < job->dims; axis++) {
        double low[2], high[2];
        for (size_t k = 0; k < 2; k++)
            GN__TRY(axis_range(&job->set[k], job->dims, axis, &low[k], &high[k], err));
        double from = fmin(low[0], low[1]) - reach * widest[axis];
        double to = fmax(high[0], high[1]) + reach * widest[axis];
        job->low[axis] = from;
        job->step[axis] = (to - from) / (double)(points - 1);
    }
    return GN_OK;
}

static gn_status make_kernel(double h, double step, size_t points, kernel *k, gn_error *err)
{
    /* Linear binning has spread each row by step^2/6 on average already. */
    double square = fmax(h * h / (step * step) - 1.0 / 6, 0.16), sum = 0;
    k->half = (size_t)fmin(ceil(reach * sqrt(square)), (double)points - 1);
    k->tap = gn__calloc(k->half + 1, sizeof *k->tap);
    if (k->tap == NULL) return gn__no_memory(err, (k->half + 1) * sizeof *k->tap);
    for (size_t i = 0; i <= k->half; i++) {
        k->tap[i] = exp(-0.5 * (double)i * (double)i / square);
        sum += (i ? 2 : 1) * k->tap[i];
    }
    for (size_t i = 0; i <= k->half; i++) k->tap[i] /= sum;
    return GN_OK;
}

static void add_row(const overlap_job *job, const sample *s, size_t i, double *histogram)
{
    double *at = histogram + s->cell[i];
    double u = (double)s->part[i * job->dims];
    if (job->dims == 1) {
        at[0] += 1 - u;
        at[1] += u;
        return;
    }
    double v = (double)s->part[2 * i + 1];
    at[0] += (1 - u) * (1 - v);
    at[1] += u * (1 - v);
    at[job->nx] += (1 - u) * v;
    at[job->nx + 1] += u * v;
}

static gn_status bin_rows(const overlap_job *job, sample *s, gn_error *err)
{
    s->cell = gn__calloc(s->n, sizeof *s->cell);
    s->part = gn__calloc(s->n, job->dims * sizeof *s->part);
    s->total = gn__calloc(job->cells, sizeof *s->total);
    if (s->cell == NULL || s->part == NULL || s->total == NULL)
        return gn__no_memory(err, s->n * 12 + job->cells * sizeof *s->total);
    for (size_t i = 0; i < s->n; i++) {
        size_t stride = 1;
        for (size_t axis = 0; axis < job->dims; axis++, stride = job->nx) {
            double last = (double)(axis ? job->ny : job->nx) - 1.0000001;
            double at = (s->x[i * job->dims + axis] - job->low[axis]) / job->step[axis];
            at = at > 0 ? fmin(at, last) : 0;
            size_t k = (size_t)at;
            s->cell[i] += (uint32_t)(k * stride);
            s->part[i * job->dims + axis] = (float)(at - (double)k);
        }
        add_row(job, s, i, s->total);
    }
    return GN_OK;
}

/* ---- densities --------------------------------------------------------------------------------- */

/* out[j] = t0 in[j] + sum_k t_k (in[j-k] + in[j+k]), zero outside; in has `half` zeros on each side. */
GN__CLONES static void overlap_convolve_line(const double *in, const double *tap, size_t half, size_t n,
                                             double *out)
{
    for (size_t j = 0; j < n; j++) out[j] = tap[0] * in[j];
    for (size_t k = 1; k <= half; k++) {
        double t = tap[k];
        for (size_t j = 0; j < n; j++) out[j] += t * (in[j - k] + in[j + k]);
    }
}

GN__CLONES static void overlap_add_scaled(const double *x, double w, size_t n, double *sum)
{
    for (size_t j = 0; j < n; j++) sum[j] += w * x[j];
}

GN__CLONES static double overlap_minima(const double *a, const double *b, double scale_a, double scale_b,
                                        size_t n)
{
    double sum = 0;
    for (size_t j = 0; j < n; j++) {
        double x = a[j] * scale_a, y = b[j] * scale_b;
        sum += x < y ? x : y;
    }
    return sum;
}

/* Smooths the histogram in place and returns its mass. line: [3 nx]; temporary: [cells]. */
static double smooth(const overlap_job *job, double *histogram, const kernel k[2], double *line,
                     double *temporary)
{
    double *in = line + job->nx, mass = 0;
    memset(line, 0, 3 * job->nx * sizeof *line);
    for (size_t r = 0; r < job->ny; r++) {
        memcpy(in, histogram + r * job->nx, job->nx * sizeof *in);
        overlap_convolve_line(in, k[0].tap, k[0].half, job->nx, temporary + r * job->nx);
    }
    if (job->dims == 1) {
        memcpy(histogram, temporary, job->cells * sizeof *histogram);
    } else {
        memset(histogram, 0, job->cells * sizeof *histogram);
        for (size_t r = 0; r < job->ny; r++)
            for (size_t i = 0; i <= 2 * k[1].half; i++) {
                size_t from = r + i, away = i < k[1].half ? k[1].half - i : i - k[1].half;
                if (from < k[1].half || from - k[1].half >= job->ny) continue;
                overlap_add_scaled(temporary + (from - k[1].half) * job->nx, k[1].tap[away], job->nx,
                                   histogram + r * job->nx);
            }
    }
    for (size_t j = 0; j < job->cells; j++) mass += histogram[j];
    return mass;
}

/* Overlap of two histograms, which are smoothed in place. rest: [3 nx + cells]. */
static double overlap_of(const overlap_job *job, double *a, double *b, const kernel *ka, const kernel *kb,
                         double *rest)
{
    double mass_a = smooth(job, a, ka, rest, rest + 3 * job->nx);
    double mass_b = smooth(job, b, kb, rest, rest + 3 * job->nx);
    return fmin(1, overlap_minima(a, b, 1 / mass_a, 1 / mass_b, job->cells));
}

static void bootstrap_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    overlap_job *job = arg;
    double *base = job->scratch + worker * job->scratch_size;
    for (size_t b = begin; b < end; b++) {
        gn__rng r = gn__rng_make(job->seed, gn__purpose("see/overlap-bootstrap") ^ job->purpose, b);
        memset(base, 0, 2 * job->cells * sizeof *base);
        for (size_t k = 0; k < 2; k++) {
            const sample *s = &job->set[k];
            for (size_t draw = 0; draw < s->units.count; draw++) {
                size_t u = gn__rng_below(&r, (uint32_t)s->units.count);
                for (size_t i = s->units.start[u]; i < s->units.start[u + 1]; i++)
                    add_row(job, s, s->units.row[i], base + k * job->cells);
            }
        }
        job->boot[b] =
            overlap_of(job, base, base + job->cells, job->set[0].k, job->set[1].k, base + 2 * job->cells);
    }
}

/* ---- the yardstick ----------------------------------------------------------------------------- */

/* Splits the first sample's units at random; the first *smaller of `order` play the second sample. */
static void split_units(const overlap_job *job, size_t draw, uint32_t *order, size_t *smaller)
{
    const gn__units *u = &job->set[0].units;
    gn__rng r = gn__rng_make(job->seed, gn__purpose("see/overlap-yardstick") ^ job->purpose, draw);
    size_t rows = 0, k = 0;
    for (size_t i = 0; i < u->count; i++) order[i] = (uint32_t)i;
    while (k + 1 < u->count && rows < job->part_b) {
        size_t j = k + gn__rng_below(&r, (uint32_t)(u->count - k));
        uint32_t t = order[k];
        order[k] = order[j];
        order[j] = t;
        rows += u->start[order[k] + 1] - u->start[order[k]];
        k++;
    }
    *smaller = k;
}

static void yardstick_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    overlap_job *job = arg;
    const sample *s = &job->set[0];
    double *a = job->scratch + worker * job->scratch_size, *b = a + job->cells, *rest = b + job->cells;
    uint32_t *order = (uint32_t *)(rest + 3 * job->nx + job->cells);
    for (size_t draw = begin; draw < end; draw++) {
        size_t smaller;
        split_units(job, draw, order, &smaller);
        memset(b, 0, job->cells * sizeof *b);
        for (size_t k = 0; k < smaller; k++)
            for (size_t i = s->units.start[order[k]]; i < s->units.start[order[k] + 1]; i++)
                add_row(job, s, s->units.row[i], b);
        /* Rounding may leave -1e-12 where everything was taken away; a minimum of it does no harm. */
        for (size_t j = 0; j < job->cells; j++) a[j] = s->total[j] - b[j];
        job->drawn[draw] = overlap_of(job, a, b, job->yard, job->yard + 2, rest);
    }
}

/* The rule's bandwidths for parts of these sizes: geometric means over the first few draws. */
static gn_status yardstick_bandwidth(const overlap_job *job, gn_bandwidth rule, double h[4], gn_error *err)
{
    const sample *s = &job->set[0];
    size_t draws = job->draws < BANDWIDTH_DRAWS ? job->draws : (size_t)BANDWIDTH_DRAWS;
    double sum[4] = {0}, *x = gn__calloc(s->n, job->dims * sizeof *x);
    uint32_t *order = gn__calloc(s->units.count, sizeof *order);
    gn_status status = x && order ? GN_OK : gn__no_memory(err, s->n * job->dims * sizeof *x);
    for (size_t d = 0; d < draws && status == GN_OK; d++) {
        size_t smaller, n = 0, split = 0;
        split_units(job, d, order, &smaller);
        for (size_t k = 0; k < s->units.count; k++) {
            if (k == smaller) split = n;
            for (size_t i = s->units.start[order[k]]; i < s->units.start[order[k] + 1]; i++, n++)
                memcpy(x + n * job->dims, s->x + s->units.row[i] * job->dims, job->dims * sizeof *x);
        }
        double found[4] = {1, 1, 1, 1};
        GN__TRY_GOTO(bandwidth(x + split * job->dims, n - split, job->dims, rule, found, err), done);
        GN__TRY_GOTO(bandwidth(x, split, job->dims, rule, found + 2, err), done);
        for (size_t k = 0; k < 4; k++) sum[k] += log(found[k]) / (double)draws;
        GN__TRY_GOTO(gn__check_cancel(job->ctx, err), done);
    }
    for (size_t k = 0; k < 4; k++) h[k] = exp(sum[k]);
done:
    free(x);
    free(order);
    return status;
}

/* ---- intervals --------------------------------------------------------------------------------- */

static double clip(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static double mean(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] / (double)n;
    return sum;
}

/* Resampled densities are rougher than the sample's own, so replicates lie below the estimate; the
 * percentiles are moved back by that much. */
static gn_interval bootstrap_interval(double *boot, size_t n, double estimate)
{
    double shift = estimate - mean(boot, n);
    gn__sort(boot, n);
    return (gn_interval){.estimate = estimate,
                         .low = clip(gn__quantile(boot, n, 0.025) + shift),
                         .high = clip(gn__quantile(boot, n, 0.975) + shift)};
}

/* ---- the whole --------------------------------------------------------------------------------- */

static void free_sample(sample *s)
{
    free(s->x);
    gn__units_free(&s->units);
    for (size_t axis = 0; axis < 2; axis++) free(s->k[axis].tap);
    free(s->cell);
    free(s->part);
    free(s->total);
}

static gn_status prepare(overlap_job *job, const double *x[2], const size_t n[2],
                         const gn_overlap_options *options, gn_error *err)
{
    const uint32_t *group[2] = {options->group_a, options->group_b};
    size_t max_rows = options->max_rows ? options->max_rows : 20000;
    double yard[4] = {0}, widest[2] = {0};
    for (int k = 0; k < 2; k++) {
        sample *s = &job->set[k];
        GN__TRY(gn__check_sample(x[k], n[k], job->dims, err));
        GN__TRY(take_rows(job, x[k], n[k], group[k], max_rows, k, s, err));
        GN__TRY(bandwidth(s->x, s->n, job->dims, options->bandwidth, s->h, err));
        GN__TRY(gn__check_cancel(job->ctx, err));
    }
    const sample *a = &job->set[0], *b = &job->set[1];
    double share = (double)b->n / ((double)a->n + (double)b->n);
    job->part_b = (size_t)lround(share * (double)a->n);
    if (job->part_b < 2) job->part_b = 2;
    /* Too few rows or units to split in two: no yardstick. */
    if (a->units.count < 4 || a->n < job->part_b + 2) job->draws = 0;
    if (job->draws > 0) GN__TRY(yardstick_bandwidth(job, options->bandwidth, yard, err));
    for (size_t axis = 0; axis < job->dims; axis++)
        widest[axis] = fmax(fmax(a->h[axis], b->h[axis]), fmax(yard[axis], yard[2 + axis]));
    GN__TRY(lay_grid(job, widest, err));
    for (size_t axis = 0; axis < job->dims; axis++) {
        size_t points = axis ? job->ny : job->nx;
        for (size_t k = 0; k < 2; k++) {
            sample *s = &job->set[k];
            GN__TRY(make_kernel(s->h[axis], job->step[axis], points, &s->k[axis], err));
            GN__TRY(make_kernel(yard[2 * k + axis], job->step[axis], points, &job->yard[2 * k + axis], err));
        }
    }
    for (size_t k = 0; k < 2; k++) GN__TRY(bin_rows(job, &job->set[k], err));
    job->scratch_size = 3 * job->cells + 3 * job->nx + (a->units.count + 1) / 2;
    job->scratch = gn__aligned(job->scratch_size * gn_context_threads(job->ctx), sizeof *job->scratch);
    job->boot = gn__calloc(job->replicates, sizeof *job->boot);
    job->drawn = gn__calloc(job->draws, sizeof *job->drawn);
    if (job->scratch == NULL || job->boot == NULL || job->drawn == NULL)
        return gn__no_memory(err, job->scratch_size * sizeof *job->scratch);
    return GN_OK;
}

static gn_status measure(overlap_job *job, gn_overlap *out, gn_error *err)
{
    double *a = job->scratch, *b = a + job->cells;
    memcpy(a, job->set[0].total, job->cells * sizeof *a);
    memcpy(b, job->set[1].total, job->cells * sizeof *b);
    double estimate = overlap_of(job, a, b, job->set[0].k, job->set[1].k, b + job->cells);
    GN__TRY(gn__parallel_for(job->ctx, job->replicates, 4, bootstrap_piece, job, err));
    GN__TRY(gn__parallel_for(job->ctx, job->draws, 4, yardstick_piece, job, err));
    gn_overlap o = {.bootstrap = job->replicates, .draws = job->draws, .yardstick = {NAN, NAN, NAN}};
    o.overlap = bootstrap_interval(job->boot, job->replicates, estimate);
    if (job->draws > 0) {
        gn__sort(job->drawn, job->draws);
        o.yardstick = (gn_interval){.estimate = clip(mean(job->drawn, job->draws)),
                                    .low = clip(gn__quantile(job->drawn, job->draws, 0.025)),
                                    .high = clip(gn__quantile(job->drawn, job->draws, 0.975))};
    }
    memcpy(o.bandwidth_a, job->set[0].h, sizeof o.bandwidth_a);
    memcpy(o.bandwidth_b, job->set[1].h, sizeof o.bandwidth_b);
    *out = o;
    return GN_OK;
}

static gn_status overlap(gn_context *ctx, size_t dims, const double *a, size_t n_a, const double *b,
                         size_t n_b, const gn_overlap_options *options, gn_overlap *out, gn_error *err)
{
    static const gn_overlap_options defaults;
    if (options == NULL) options = &defaults;
    overlap_job job = {.ctx = ctx,
                       .dims = dims,
                       .seed = gn_context_seed(ctx),
                       .purpose = options->purpose,
                       .replicates = options->bootstrap ? options->bootstrap : 200,
                       .draws = options->yardstick_draws ? options->yardstick_draws : 100};
    gn_status status = prepare(&job, (const double *[2]){a, b}, (const size_t[2]){n_a, n_b}, options, err);
    if (status == GN_OK) status = measure(&job, out, err);
    for (size_t k = 0; k < 2; k++) free_sample(&job.set[k]);
    for (size_t k = 0; k < 4; k++) free(job.yard[k].tap);
    free(job.boot);
    free(job.drawn);
    free(job.scratch);
    return status;
}

gn_status gn_overlap1(gn_context *ctx, const double *a, size_t n_a, const double *b, size_t n_b,
                      const gn_overlap_options *options, gn_overlap *out, gn_error *err)
{
    return overlap(ctx, 1, a, n_a, b, n_b, options, out, err);
}

gn_status gn_overlap2(gn_context *ctx, const double *a, size_t n_a, const double *b, size_t n_b,
                      const gn_overlap_options *options, gn_overlap *out, gn_error *err)
{
    return overlap(ctx, 2, a, n_a, b, n_b, options, out, err);
}
