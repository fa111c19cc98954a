/* Overlap of two samples' densities with its interval, and its yardstick; see README.md.
 *
 * Both samples are binned once on one grid (linear weights). What is measured is how well the sets can be
 * told apart by their smoothed densities (separation.c): the total variation distance, 1 - overlap. */
#include "genchi/see.h"

#include "see/sample.h"
#include "see/separation.h"
#include "tensor/bounded.h"
#include "tensor/statistics.h"

#include <math.h>

enum { GRID1 = 512, GRID2 = 96, BANDWIDTH_DRAWS = 4, SPLITS = 4 };
static const double reach = 4.5; /* bandwidths: exp(-10) of the peak */
static const double luckiest =
    -1; /* standard errors below chance from which on the interval gets no narrower */
/* Where to cut wants smoother densities than pictures do, and a cut that moves with the sample adds a little
 * to the error of the shares, more where it is a line than where it is a point; both simulated, see
 * docs/coverage.md. */
static const double smoother = 1.25, cut_error[] = {1.06, 1.10};

typedef struct sample {
    size_t n;        /* rows used */
    double *x;       /* [n × dims] */
    uint32_t *group; /* [n] the unit */
    size_t unit_count;
    double h[2];
    gn__kernel k[2];
} sample;

typedef struct overlap_job {
    gn_context *ctx;
    size_t dims;
    sample set[2];
    gn__binned bins;
    gn__units units;    /* of both samples: those of the first come first */
    size_t part_b;      /* yardstick: rows of the first sample that play the second */
    gn__kernel yard[4]; /* yardstick: kernels of the larger part per axis, of the smaller part per axis */
    uint64_t seed, purpose;
    size_t chances, draws;
    double *chance, *drawn; /* [chances], [draws] */
    double split[SPLITS];
    float *member;   /* [rows] */
    double *scratch; /* [threads × scratch_size] */
    size_t scratch_size;
    uint32_t *order; /* [threads × units] */
} overlap_job;

/* ---- sampling ---------------------------------------------------------------------------------- */

/* Copies the rows, or whole units of them in random order until max_rows are there. */
static gn_status take_rows(const overlap_job *job, const double *x, size_t n, const uint32_t *group,
                           size_t max_rows, int side, sample *s, gn_error *err)
{
    gn__units all;
    uint32_t *order = NULL;
    gn_status status = GN_OK;
    GN__TRY(gn__units_make(group, n, &all, err));
    s->x = gn__calloc(n, job->dims * sizeof *s->x);
    s->group = gn__calloc(n, sizeof *s->group);
    order = gn__calloc(all.count, sizeof *order);
    if (s->x == NULL || s->group == NULL || order == NULL) {
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
            s->group[s->n] = (uint32_t)s->unit_count;
        }
        s->unit_count++;
    }
done:
    gn__units_free(&all);
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
    gn__binned *b = &job->bins;
    size_t points = job->dims == 1 ? GRID1 : GRID2, rows = job->set[0].n + job->set[1].n;
    *b = (gn__binned){.dims = job->dims, .nx = points, .ny = job->dims == 1 ? 1 : points, .rows = rows};
    b->cells = b->nx * b->ny;
    for (size_t axis = 0; axis < job->dims; axis++) {
        double low[2], high[2];
        for (size_t k = 0; k < 2; k++)
            GN__TRY(axis_range(&job->set[k], job->dims, axis, &low[k], &high[k], err));
        double from = fmin(low[0], low[1]) - reach * widest[axis];
        double to = fmax(high[0], high[1]) + reach * widest[axis];
        b->low[axis] = from;
        b->step[axis] = (to - from) / (double)(points - 1);
    }
    b->cell = gn__calloc(rows, sizeof *b->cell);
    b->near = gn__calloc(rows, sizeof *b->near);
    b->part = gn__calloc(rows, job->dims * sizeof *b->part);
    if (b->cell == NULL || b->near == NULL || b->part == NULL) return gn__no_memory(err, rows * 16);
    for (size_t k = 0; k < 2; k++) gn__bin_rows(b, job->set[k].x, job->set[k].n, k == 0 ? 0 : job->set[0].n);
    return GN_OK;
}

static gn_status make_kernel(double h, double step, size_t points, gn__kernel *k, gn_error *err)
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

/* ---- arrangements of units ---------------------------------------------------------------------- */

static size_t unit_rows(const overlap_job *job, size_t unit)
{
    return job->units.start[unit + 1] - job->units.start[unit];
}

/* Moves random units of order[0..count) to the front until they hold `rows`; leaves one at least. */
static size_t draw_rows(const overlap_job *job, gn__rng *r, uint32_t *order, size_t count, size_t rows)
{
    size_t k = 0, drawn = 0;
    while (k + 1 < count && drawn < rows) {
        size_t j = k + gn__rng_below(r, (uint32_t)(count - k));
        uint32_t t = order[k];
        order[k] = order[j];
        order[j] = t;
        drawn += unit_rows(job, order[k++]);
    }
    return k;
}

static double separation_of(const overlap_job *job, const gn__sides *sides, unsigned worker)
{
    double seen, held;
    gn__separate(&job->bins, sides, job->scratch + worker * job->scratch_size, &seen, &held, NULL);
    return gn__separation(job->dims, seen, held);
}

/* The sets as they are, in one of several splits into folds. */
static void split_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    overlap_job *job = arg;
    size_t first = job->set[0].unit_count;
    uint32_t *order = job->order + worker * job->units.count;
    for (size_t split = begin; split < end; split++) {
        gn__rng r = gn__rng_make(job->seed, gn__purpose("see/overlap-folds") ^ job->purpose, split);
        for (size_t i = 0; i < job->units.count; i++) order[i] = (uint32_t)i;
        gn__rng_shuffle(&r, order, first);
        gn__rng_shuffle(&r, order + first, job->set[1].unit_count);
        gn__sides sides = {&job->units,
                           {order, order + first},
                           {first, job->set[1].unit_count},
                           {job->set[0].k, job->set[1].k}};
        double seen, held;
        gn__separate(&job->bins, &sides, job->scratch + worker * job->scratch_size, &seen, &held,
                     split == 0 ? job->member : NULL);
        job->split[split] = gn__separation(job->dims, seen, held);
    }
}

/* What chance gives: all units in random order, the first of them as many rows as the first sample has. */
static void chance_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    overlap_job *job = arg;
    size_t all = job->units.count;
    uint32_t *order = job->order + worker * all;
    for (size_t c = begin; c < end; c++) {
        gn__rng r = gn__rng_make(job->seed, gn__purpose("see/overlap-chance") ^ job->purpose, c);
        for (size_t i = 0; i < all; i++) order[i] = (uint32_t)i;
        size_t first = draw_rows(job, &r, order, all, job->set[0].n);
        gn__rng_shuffle(&r, order + first, (uint32_t)(all - first));
        gn__sides sides = {
            &job->units, {order, order + first}, {first, all - first}, {job->set[0].k, job->set[1].k}};
        job->chance[c] = separation_of(job, &sides, worker);
    }
}

/* Splits the first sample's units at random; the first *smaller of `order` play the second sample. */
static void split_units(const overlap_job *job, size_t draw, uint32_t *order, size_t *smaller)
{
    size_t count = job->set[0].unit_count;
    gn__rng r = gn__rng_make(job->seed, gn__purpose("see/overlap-yardstick") ^ job->purpose, draw);
    for (size_t i = 0; i < count; i++) order[i] = (uint32_t)i;
    *smaller = draw_rows(job, &r, order, count, job->part_b);
    gn__rng_shuffle(&r, order + *smaller, (uint32_t)(count - *smaller));
}

static void yardstick_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    overlap_job *job = arg;
    uint32_t *order = job->order + worker * job->units.count;
    for (size_t draw = begin; draw < end; draw++) {
        size_t smaller;
        split_units(job, draw, order, &smaller);
        gn__sides sides = {&job->units,
                           {order + smaller, order},
                           {job->set[0].unit_count - smaller, smaller},
                           {job->yard, job->yard + 2}};
        job->drawn[draw] = separation_of(job, &sides, worker);
    }
}

/* The rule's bandwidths for parts of these sizes: geometric means over the first few draws. */
static gn_status yardstick_bandwidth(const overlap_job *job, gn_bandwidth rule, double h[4], gn_error *err)
{
    const sample *s = &job->set[0];
    const gn__units *u = &job->units;
    size_t draws = job->draws < BANDWIDTH_DRAWS ? job->draws : (size_t)BANDWIDTH_DRAWS;
    double sum[4] = {0}, *x = gn__calloc(s->n, job->dims * sizeof *x);
    uint32_t *order = gn__calloc(s->unit_count, sizeof *order);
    gn_status status = x && order ? GN_OK : gn__no_memory(err, s->n * job->dims * sizeof *x);
    for (size_t d = 0; d < draws && status == GN_OK; d++) {
        size_t smaller, n = 0, split = 0;
        split_units(job, d, order, &smaller);
        for (size_t k = 0; k < s->unit_count; k++) {
            if (k == smaller) split = n;
            for (size_t i = u->start[order[k]]; i < u->start[order[k] + 1]; i++, n++)
                memcpy(x + n * job->dims, s->x + u->row[i] * job->dims, job->dims * sizeof *x);
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

static double mean(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] / (double)n;
    return sum;
}

/* Student's 97.5 % quantile (Cornish and Fisher's expansion; 0.5 % off at 3 degrees of freedom). */
static double student(double df)
{
    double z = GN__Z95, z2 = z * z;
    double a = z * (z2 + 1) / 4, b = z * (5 * z2 * z2 + 16 * z2 + 3) / 96;
    double c = z * (3 * z2 * z2 * z2 + 19 * z2 * z2 + 17 * z2 - 15) / 384;
    return z + a / df + b / (df * df) + c / (df * df * df);
}

/* Standard error of the difference of two shares, each the mean of `member` over a sample's rows, whose units
 * are independent; widened as Student's distribution is. One unit more on either side (as in Agresti & Caffo
 * 2000) keeps it above zero where all rows agree. */
static double standard_error(const overlap_job *job)
{
    const gn__units *u = &job->units;
    double variance[2], df = 0;
    for (size_t s = 0, first = 0; s < 2; first += job->set[s++].unit_count) {
        double n = (double)job->set[s].n, units = (double)job->set[s].unit_count, share = 0, square = 0;
        for (size_t i = 0; i < job->set[s].n; i++)
            share += (double)job->member[(s ? job->set[0].n : 0) + i] / n;
        for (size_t k = first; k < first + job->set[s].unit_count; k++) {
            double sum = 0;
            for (size_t m = u->start[k]; m < u->start[k + 1]; m++)
                sum += ((double)job->member[u->row[m]] - share) / n;
            square += sum * sum;
        }
        double padded = (share * units + 1) / (units + 2);
        variance[s] = fmax(square * units / fmax(units - 1, 1), padded * (1 - padded) / units);
        df += variance[s] * variance[s] / fmax(units - 1, 1);
    }
    double all = variance[0] + variance[1];
    return cut_error[job->dims - 1] * sqrt(all) * student(fmax(all * all / df, 3)) / GN__Z95;
}

static gn_interval overlap_interval(const overlap_job *job)
{
    double d = mean(job->split, SPLITS), chance = fmax(0, mean(job->chance, job->chances));
    double error = standard_error(job), low, high;
    if (chance >= 1 || job->set[0].unit_count < 2 || job->set[1].unit_count < 2)
        return (gn_interval){1 - fmax(0, fmin(1, d)), 0, 1};
    gn__bounded_interval(fmax((d - chance) / error, luckiest), &low, &high);
    return (gn_interval){.estimate = 1 - gn__beyond_chance(d, chance),
                         .low = 1 - gn__beyond_chance(chance + error * high, chance),
                         .high = 1 - gn__beyond_chance(chance + error * low, chance)};
}

static gn_interval yardstick_interval(const overlap_job *job)
{
    if (job->draws == 0) return (gn_interval){NAN, NAN, NAN};
    double chance = fmax(0, mean(job->drawn, job->draws)), sum = 0;
    for (size_t k = 0; k < job->draws; k++) {
        job->drawn[k] = 1 - gn__beyond_chance(job->drawn[k], fmin(chance, 0.999));
        sum += job->drawn[k] / (double)job->draws;
    }
    gn__sort(job->drawn, job->draws);
    return (gn_interval){.estimate = sum,
                         .low = gn__quantile(job->drawn, job->draws, 0.025),
                         .high = gn__quantile(job->drawn, job->draws, 0.975)};
}

/* ---- the whole --------------------------------------------------------------------------------- */

/* One numbering for the units of both samples. */
static gn_status join_units(overlap_job *job, gn_error *err)
{
    size_t n = job->set[0].n, rows = n + job->set[1].n;
    uint32_t *group = gn__calloc(rows, sizeof *group);
    if (group == NULL) return gn__no_memory(err, rows * sizeof *group);
    memcpy(group, job->set[0].group, n * sizeof *group);
    for (size_t i = 0; i < job->set[1].n; i++)
        group[n + i] = (uint32_t)job->set[0].unit_count + job->set[1].group[i];
    gn_status status = gn__units_make(group, rows, &job->units, err);
    free(group);
    return status;
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
    GN__TRY(join_units(job, err));
    double share = (double)b->n / ((double)a->n + (double)b->n);
    job->part_b = (size_t)lround(share * (double)a->n);
    if (job->part_b < 2) job->part_b = 2;
    /* Too few rows or units to split in two: no yardstick. */
    if (a->unit_count < 4 || a->n < job->part_b + 2) job->draws = 0;
    if (job->draws > 0) GN__TRY(yardstick_bandwidth(job, options->bandwidth, yard, err));
    for (size_t axis = 0; axis < job->dims; axis++)
        widest[axis] = smoother * fmax(fmax(a->h[axis], b->h[axis]), fmax(yard[axis], yard[2 + axis]));
    GN__TRY(lay_grid(job, widest, err));
    for (size_t axis = 0; axis < job->dims; axis++) {
        size_t points = axis ? job->bins.ny : job->bins.nx;
        double step = job->bins.step[axis];
        for (size_t k = 0; k < 2; k++) {
            GN__TRY(make_kernel(smoother * job->set[k].h[axis], step, points, &job->set[k].k[axis], err));
            GN__TRY(make_kernel(smoother * yard[2 * k + axis], step, points, &job->yard[2 * k + axis], err));
        }
    }
    size_t threads = gn_context_threads(job->ctx);
    job->scratch_size = (gn__separation_scratch(&job->bins) + 7) / 8 * 8;
    job->scratch = gn__aligned(job->scratch_size * threads, sizeof *job->scratch);
    job->order = gn__calloc(job->units.count * threads, sizeof *job->order);
    job->member = gn__calloc(job->bins.rows, sizeof *job->member);
    job->chance = gn__calloc(job->chances, sizeof *job->chance);
    job->drawn = gn__calloc(job->draws, sizeof *job->drawn);
    if (!job->scratch || !job->order || !job->member || !job->chance || !job->drawn)
        return gn__no_memory(err, job->scratch_size * threads * sizeof *job->scratch);
    return GN_OK;
}

static gn_status measure(overlap_job *job, gn_overlap *out, gn_error *err)
{
    GN__TRY(gn__parallel_for(job->ctx, SPLITS, 1, split_piece, job, err));
    GN__TRY(gn__parallel_for(job->ctx, job->chances, 1, chance_piece, job, err));
    GN__TRY(gn__parallel_for(job->ctx, job->draws, 1, yardstick_piece, job, err));
    gn_overlap o = {.chance_draws = job->chances, .draws = job->draws};
    o.overlap = overlap_interval(job);
    o.yardstick = yardstick_interval(job);
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
                       .chances = options->chance_draws ? options->chance_draws : 30,
                       .draws = options->yardstick_draws ? options->yardstick_draws : 100};
    gn_status status = prepare(&job, (const double *[2]){a, b}, (const size_t[2]){n_a, n_b}, options, err);
    if (status == GN_OK) status = measure(&job, out, err);
    for (size_t k = 0; k < 2; k++) {
        free(job.set[k].x);
        free(job.set[k].group);
        for (size_t axis = 0; axis < 2; axis++) free(job.set[k].k[axis].tap);
    }
    for (size_t k = 0; k < 4; k++) free(job.yard[k].tap);
    gn__units_free(&job.units);
    free(job.bins.cell);
    free(job.bins.near);
    free(job.bins.part);
    free(job.chance);
    free(job.drawn);
    free(job.member);
    free(job.order);
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
