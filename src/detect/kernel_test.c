/* The kernel two-sample test: one row a unit, bandwidths from the pooled rows, statistics of all labellings,
 * combination over bandwidths, permutation p-value. Why each step is valid: README.md. */
#include "detect/detect.h"
#include "tensor/finite.h"

enum { EXACT_LIMIT = 3000, MEDIAN_ROWS = 400, LEAST_UNITS = 4 };

gn_detect_options gn__detect_defaults(const gn_detect_options *options)
{
    gn_detect_options o = options ? *options : (gn_detect_options){0};
    if (!(o.alpha > 0)) o.alpha = 0.05;
    if (!(o.tolerance > 0)) o.tolerance = 0.60;
    if (o.permutations == 0) o.permutations = 999;
    if (o.folds == 0) o.folds = 5;
    if (o.min_rows == 0) o.min_rows = 20;
    if (o.min_rows < LEAST_UNITS) o.min_rows = LEAST_UNITS; /* two folds with two units of each side */
    return o;
}

/* One row of every unit, drawn without looking at the side's content. */
static void draw_rows(const gn_matrix *x, const gn__units *units, gn__rng *r, const float **row)
{
    for (size_t u = 0; u < units->count; u++) {
        size_t size = units->start[u + 1] - units->start[u];
        size_t pick = units->start[u] + (size > 1 ? gn__rng_below(r, (uint32_t)size) : 0);
        row[u] = x->data + (size_t)units->row[pick] * x->cols;
    }
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Median distance between two different rows among a random part of the pooled rows; the mean of the
 * distances above 0 where more than half of them are 0; 0 where all are. */
static gn_status typical_distance(const gn__mmd *m, uint64_t seed, double *out, gn_error *err)
{
    size_t k = m->n < MEDIAN_ROWS ? m->n : (size_t)MEDIAN_ROWS, pairs = 0;
    uint32_t *order = gn__calloc(m->n, sizeof *order);
    float *distance = gn__calloc(k * k / 2 + 1, sizeof *distance);
    gn_status status = order && distance ? GN_OK : gn__no_memory(err, m->n * sizeof *order);
    if (status != GN_OK) goto done;
    for (size_t i = 0; i < m->n; i++) order[i] = (uint32_t)i;
    gn__rng r = gn__rng_make(seed, gn__purpose("detect/median") ^ m->purpose, 0);
    if (m->n > k) gn__rng_shuffle(&r, order, m->n);
    double sum = 0;
    size_t positive = 0;
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < i; j++) {
            const float *x = m->row[order[i]], *y = m->row[order[j]];
            float square[8] = {0};
            for (size_t c = 0; c < m->dim; c++) square[c % 8] += (x[c] - y[c]) * (x[c] - y[c]);
            for (size_t c = 1; c < 8; c++) square[0] += square[c];
            distance[pairs] = sqrtf(square[0]);
            positive += distance[pairs] > 0;
            sum += (double)distance[pairs++];
        }
    qsort(distance, pairs, sizeof *distance, compare);
    *out = (double)distance[pairs / 2];
    if (!(*out > 0)) *out = positive > 0 ? sum / (double)positive : 0;
done:
    free(order);
    free(distance);
    return status;
}

/* ---- labellings -------------------------------------------------------------------------------- */

typedef struct labeller {
    const gn__mmd *m;
    uint8_t *bits;
    uint32_t *order; /* [threads × n] */
    uint64_t seed;
} labeller;

/* Labellings begin .. end-1; begin is a multiple of 8, so that no two pieces write one byte. */
static void label_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    labeller *job = arg;
    const gn__mmd *m = job->m;
    size_t n_b = m->n - m->n_a, drawn = n_b < m->n_a ? n_b : m->n_a;
    uint32_t *order = job->order + worker * m->n;
    for (size_t i = 0; i < m->n; i++) order[i] = (uint32_t)i;
    for (size_t l = begin; l < end; l++) {
        gn__rng r = gn__rng_make(job->seed, gn__purpose("detect/permutation") ^ m->purpose, l);
        uint8_t bit = (uint8_t)(1U << (l % 8));
        if (l > 0) /* any order is as good a start as another, but pieces must not depend on each other */
            for (size_t i = 0; i < drawn; i++) {
                size_t j = i + gn__rng_below(&r, (uint32_t)(m->n - i));
                uint32_t t = order[i];
                order[i] = order[j];
                order[j] = t;
            }
        for (size_t i = 0; i < m->n; i++) {
            /* The first `drawn` go to the smaller side; labelling 0 leaves a's rows first. */
            bool in_b = l == 0 ? i >= m->n_a : (i < drawn) == (n_b <= m->n_a);
            size_t row = l == 0 ? i : order[i];
            if (in_b) job->bits[row * m->stride + l / 8] |= bit;
        }
    }
}

static gn_status label(gn__mmd *m, uint8_t *bits, gn_error *err)
{
    labeller job = {.m = m, .bits = bits, .seed = gn_context_seed(m->ctx)};
    job.order = gn__calloc(gn_context_threads(m->ctx) * m->n, sizeof *job.order);
    if (job.order == NULL) return gn__no_memory(err, m->n * sizeof *job.order);
    gn_status status = gn__parallel_for(m->ctx, m->labellings, 8, label_piece, &job, err);
    free(job.order);
    return status;
}

/* ---- the combination --------------------------------------------------------------------------- */

/* Standardises each bandwidth's statistics over all labellings, the observed one among them, takes the
 * largest over bandwidths, and ranks the observed. Every labelling is treated alike, so the p-value is exact;
 * ties, and what float32 cannot tell apart, count against rejection. */
static double combine(const gn__mmd *m, double *statistic)
{
    size_t labellings = m->labellings, above = 0;
    double *best = m->statistic; /* bandwidth 0's own row is overwritten last */
    for (size_t w = GN__BANDWIDTHS; w-- > 0;) {
        double *t = m->statistic + w * labellings, mean = 0, square = 0, size = 0;
        for (size_t l = 0; l < labellings; l++) mean += t[l] / (double)labellings;
        for (size_t l = 0; l < labellings; l++) {
            square += (t[l] - mean) * (t[l] - mean) / (double)labellings;
            size = fmax(size, fabs(t[l]));
        }
        double sd = sqrt(square);
        bool flat = !(sd > 1e-6 * size); /* no labelling differs by more than rounding */
        for (size_t l = 0; l < labellings; l++) t[l] = flat ? 0 : (t[l] - mean) / sd;
    }
    for (size_t w = 1; w < GN__BANDWIDTHS; w++)
        for (size_t l = 0; l < labellings; l++) best[l] = fmax(best[l], m->statistic[w * labellings + l]);
    for (size_t l = 1; l < labellings; l++) above += best[l] >= best[0] - 1e-4;
    *statistic = best[0];
    return (double)(1 + above) / (double)labellings;
}

static gn_status run_test(gn__mmd *m, gn_shift *out, gn_error *err)
{
    double distance = 0;
    float *mean = gn__calloc(m->dim, sizeof *mean);
    uint8_t *bits = NULL;
    gn_status status = GN_OK;
    size_t sums;
    m->stride = (m->labellings + 7) / 8;
    bits = gn__calloc(m->n, m->stride);
    m->statistic =
        gn__mul_size(GN__BANDWIDTHS, m->labellings, &sums) ? gn__calloc(sums, sizeof(double)) : NULL;
    if (mean == NULL || bits == NULL || m->statistic == NULL) {
        status = gn__no_memory(err, m->n * m->stride);
        goto done;
    }
    for (size_t j = 0; j < m->dim; j++) {
        double sum = 0;
        for (size_t i = 0; i < m->n; i += 1 + m->n / 4096) sum += (double)m->row[i][j];
        mean[j] = (float)(sum / (double)((m->n + m->n / 4096) / (1 + m->n / 4096)));
    }
    m->mean = mean;
    m->in_b = bits;
    GN__TRY_GOTO(typical_distance(m, gn_context_seed(m->ctx), &distance, err), done);
    GN__TRY_GOTO(label(m, bits, err), done);
    m->widest = 4 * distance;
    bool exact = m->n <= EXACT_LIMIT;
    out->method = exact ? "mmd-exact" : "mmd-rff";
    if (distance > 0) GN__TRY_GOTO(exact ? gn__mmd_exact(m, err) : gn__mmd_rff(m, err), done);
    out->p_value = combine(m, &out->statistic);
done:
    free(mean);
    free(bits);
    free(m->statistic);
    return status;
}

gn_status gn_kernel_test(gn_context *ctx, const gn_matrix *a, const gn_matrix *b,
                         const gn_detect_options *options, gn_shift *out, gn_error *err)
{
    gn_detect_options o = gn__detect_defaults(options);
    gn__units units[2] = {{0}};
    const float **row = NULL;
    gn_status status = GN_OK;
    if (a->cols != b->cols || a->cols == 0)
        return gn__fail(err, GN_INVALID_ARGUMENT,
                        "the two sets must have the same number of columns; they have %zu and %zu", a->cols,
                        b->cols);
    GN__TRY(gn__check_finite(ctx, a, "the first set", err));
    GN__TRY(gn__check_finite(ctx, b, "the second set", err));
    GN__TRY_GOTO(gn__units_make(o.group_a, a->rows, &units[0], err), done);
    GN__TRY_GOTO(gn__units_make(o.group_b, b->rows, &units[1], err), done);
    gn_shift shift = {.answer = GN_SHIFT_NOT_ENOUGH_DATA,
                      .p_value = NAN,
                      .p_holm = NAN,
                      .statistic = NAN,
                      .auc = {NAN, NAN, NAN},
                      .alpha = o.alpha,
                      .tolerance = o.tolerance,
                      .permutations = o.permutations,
                      .rows_a = a->rows,
                      .rows_b = b->rows,
                      .units_a = units[0].count,
                      .units_b = units[1].count,
                      .method = "none"};
    size_t n = shift.units_a + shift.units_b;
    if (shift.units_a >= o.min_rows && shift.units_b >= o.min_rows) {
        row = gn__calloc(n, sizeof *row);
        if (row == NULL) {
            status = gn__no_memory(err, n * sizeof *row);
            goto done;
        }
        gn__rng r = gn__rng_make(gn_context_seed(ctx), gn__purpose("detect/unit-row") ^ o.purpose, 0);
        draw_rows(a, &units[0], &r, row);
        draw_rows(b, &units[1], &r, row + shift.units_a);
        gn__mmd m = {.ctx = ctx,
                     .row = row,
                     .n = n,
                     .n_a = shift.units_a,
                     .dim = a->cols,
                     .labellings = o.permutations + 1,
                     .purpose = o.purpose};
        GN__TRY_GOTO(run_test(&m, &shift, err), done);
        shift.p_holm = shift.p_value;
    }
    *out = shift;
done:
    gn__units_free(&units[0]);
    gn__units_free(&units[1]);
    free(row);
    return status;
}
