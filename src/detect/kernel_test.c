/* The kernel two-sample test: one row a unit, bandwidths from the pooled rows, statistics of all labellings,
 * combination over bandwidths, permutation p-value. Why each step is valid: README.md. */
#include "detect/detect.h"
#include "tensor/finite.h"

enum { EXACT_LIMIT = 3000, MOST_UNITS = 5000, MEDIAN_ROWS = 400, LEAST_UNITS = 4 };

typedef struct two_sample_test {
    const char *method;
    bool capped; /* takes at most MOST_UNITS of each side */
    gn_status (*run)(const gn__sample *s, gn__verdict *out, gn_error *err); /* NULL: the classifier's */
} two_sample_test;

static const two_sample_test tests[GN_TEST_COUNT] = {
    [GN_TEST_AUTO] = {"auto", false, NULL},
    [GN_TEST_MMD_EXACT] = {"mmd-exact", true, gn__test_mmd_exact},
    [GN_TEST_MMD_RFF] = {"mmd-rff", false, gn__test_mmd_rff},
    [GN_TEST_MMD_FUSE] = {"mmd-fuse", true, gn__test_mmd_fuse},
    [GN_TEST_MMD_AGG] = {"mmd-agg", true, gn__test_mmd_agg},
    [GN_TEST_ENERGY] = {"energy", true, gn__test_energy},
    [GN_TEST_SLICED_WASSERSTEIN] = {"sliced-wasserstein", true, gn__test_sliced_wasserstein},
    [GN_TEST_KS] = {"ks", true, gn__test_ks},
    [GN_TEST_C2ST] = {"c2st", false, NULL},
};

const char *gn_test_name(gn_test test)
{
    return (unsigned)test < GN_TEST_COUNT ? tests[test].method : NULL;
}

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

gn_status gn__pair_distances(const gn__sample *s, bool city_block, float **out, size_t *count, gn_error *err)
{
    size_t k = s->n < MEDIAN_ROWS ? s->n : (size_t)MEDIAN_ROWS, pairs = 0;
    uint32_t *order = gn__calloc(s->n, sizeof *order);
    float *distance = gn__calloc(k * k / 2 + 1, sizeof *distance);
    if (order == NULL || distance == NULL) {
        free(order);
        free(distance);
        return gn__no_memory(err, s->n * sizeof *order);
    }
    for (size_t i = 0; i < s->n; i++) order[i] = (uint32_t)i;
    gn__rng r = gn__rng_make(gn_context_seed(s->ctx), gn__purpose("detect/median") ^ s->purpose, 0);
    for (size_t i = 0; s->n > k && i < k; i++) {
        size_t j = i + gn__rng_below(&r, (uint32_t)(s->n - i));
        uint32_t t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < i; j++) {
            const float *x = s->row[order[i]], *y = s->row[order[j]];
            float sum[16] = {0};
            for (size_t c = 0; c < s->dim; c++) {
                float d = x[c] - y[c];
                sum[c % 16] += city_block ? fabsf(d) : d * d;
            }
            for (size_t c = 1; c < 16; c++) sum[0] += sum[c];
            distance[pairs++] = city_block ? sum[0] : sqrtf(sum[0]);
        }
    qsort(distance, pairs, sizeof *distance, compare);
    free(order);
    *out = distance;
    *count = pairs;
    return GN_OK;
}

gn_status gn__typical_distance(const gn__sample *s, double *out, gn_error *err)
{
    float *distance = NULL;
    size_t pairs = 0, positive = 0;
    double sum = 0;
    GN__TRY(gn__pair_distances(s, false, &distance, &pairs, err));
    for (size_t i = 0; i < pairs; i++) {
        sum += (double)distance[i];
        positive += distance[i] > 0;
    }
    *out = (double)distance[pairs / 2];
    if (!(*out > 0)) *out = positive > 0 ? sum / (double)positive : 0;
    free(distance);
    return GN_OK;
}

/* Leaves a random part of the first n rows in front: Fisher-Yates as far as needed. */
static void take_some(const float **row, size_t n, size_t most, gn__rng *r)
{
    for (size_t i = 0; n > most && i < most; i++) {
        size_t j = i + gn__rng_below(r, (uint32_t)(n - i));
        const float *t = row[i];
        row[i] = row[j];
        row[j] = t;
    }
}

static void cap_units(gn__sample *s, uint64_t seed)
{
    size_t n_b = s->n - s->n_a, kept_a = s->n_a < MOST_UNITS ? s->n_a : (size_t)MOST_UNITS;
    size_t kept_b = n_b < MOST_UNITS ? n_b : (size_t)MOST_UNITS;
    gn__rng r = gn__rng_make(seed, gn__purpose("detect/some-units") ^ s->purpose, 0);
    take_some(s->row, s->n_a, MOST_UNITS, &r);
    take_some(s->row + s->n_a, n_b, MOST_UNITS, &r);
    memmove(s->row + kept_a, s->row + s->n_a, kept_b * sizeof *s->row);
    s->n_a = kept_a;
    s->n = kept_a + kept_b;
}

static gn_status run_test(gn__sample *s, const two_sample_test *test, gn__verdict *out, gn_error *err)
{
    if (test->capped) cap_units(s, gn_context_seed(s->ctx));
    s->mean = gn__calloc(s->dim, sizeof *s->mean);
    if (s->mean == NULL) return gn__no_memory(err, s->dim * sizeof *s->mean);
    size_t step = 1 + s->n / 4096;
    for (size_t j = 0; j < s->dim; j++) {
        double sum = 0;
        for (size_t i = 0; i < s->n; i += step) sum += (double)s->row[i][j];
        s->mean[j] = (float)(sum / (double)((s->n + step - 1) / step));
    }
    gn_status status = test->run(s, out, err);
    free(s->mean);
    return status;
}

/* A sample of one row a unit from both sets; free(s->row). */
gn_status gn__pool_make(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, const gn__units *units_a,
                        const gn__units *units_b, const gn_detect_options *o, gn__sample *s, gn_error *err)
{
    size_t n = units_a->count + units_b->count;
    *s = (gn__sample){.ctx = ctx,
                      .row = gn__calloc(n, sizeof *s->row),
                      .n = n,
                      .n_a = units_a->count,
                      .dim = a->cols,
                      .labellings = o->permutations + 1,
                      .purpose = o->purpose};
    if (s->row == NULL) return gn__no_memory(err, n * sizeof *s->row);
    gn__rng r = gn__rng_make(gn_context_seed(ctx), gn__purpose("detect/unit-row") ^ o->purpose, 0);
    draw_rows(a, units_a, &r, s->row);
    draw_rows(b, units_b, &r, s->row + s->n_a);
    return GN_OK;
}

/* The capped sample with what every measure over all pairs needs. */
gn_status gn__pool_capped(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, const gn_detect_options *o,
                          gn__sample *s, gn_error *err)
{
    gn__units units[2] = {{0}};
    gn_status status;
    GN__TRY(gn__check_pair(ctx, a, b, err));
    GN__TRY_GOTO(gn__units_make(o->group_a, a->rows, &units[0], err), done);
    GN__TRY_GOTO(gn__units_make(o->group_b, b->rows, &units[1], err), done);
    GN__TRY_GOTO(gn__pool_make(ctx, a, b, &units[0], &units[1], o, s, err), done);
    cap_units(s, gn_context_seed(ctx));
done:
    gn__units_free(&units[0]);
    gn__units_free(&units[1]);
    return status;
}

gn_status gn__check_pair(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, gn_error *err)
{
    if (a->cols != b->cols || a->cols == 0)
        return gn__fail(err, GN_INVALID_ARGUMENT,
                        "the two sets must have the same number of columns; they have %zu and %zu", a->cols,
                        b->cols);
    GN__TRY(gn__check_finite(ctx, a, "the first set", err));
    return gn__check_finite(ctx, b, "the second set", err);
}

static gn_status two_sample(gn_context *ctx, const gn_matrix *a, const gn_matrix *b,
                            const gn_detect_options *options, gn_shift *out, size_t *axis, gn_error *err)
{
    gn_detect_options o = gn__detect_defaults(options);
    gn__units units[2] = {{0}};
    gn__verdict verdict = {0};
    gn_status status = GN_OK;
    if ((unsigned)o.test >= GN_TEST_COUNT)
        return gn__fail(err, GN_INVALID_ARGUMENT, "there is no two-sample test number %d", (int)o.test);
    GN__TRY(gn__check_pair(ctx, a, b, err));
    GN__TRY_GOTO(gn__units_make(o.group_a, a->rows, &units[0], err), done);
    GN__TRY_GOTO(gn__units_make(o.group_b, b->rows, &units[1], err), done);
    gn_shift shift = {.answer = GN_SHIFT_NOT_ENOUGH_DATA,
                      .p_value = NAN,
                      .p_holm = NAN,
                      .statistic = NAN,
                      .auc = {NAN, NAN, NAN},
                      .auc_curved = {NAN, NAN, NAN},
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
        gn_test test = o.test != GN_TEST_AUTO ? o.test
                       : n <= EXACT_LIMIT     ? GN_TEST_MMD_EXACT
                                              : GN_TEST_MMD_RFF;
        if (test == GN_TEST_C2ST) {
            GN__TRY_GOTO(gn__test_c2st(ctx, a, b, &units[0], &units[1], &o, &verdict, err), done);
        } else {
            gn__sample s;
            GN__TRY_GOTO(gn__pool_make(ctx, a, b, &units[0], &units[1], &o, &s, err), done);
            status = run_test(&s, &tests[test], &verdict, err);
            free(s.row);
            if (status != GN_OK) goto done;
        }
        shift.method = tests[test].method;
        shift.p_value = verdict.p_value;
        shift.statistic = verdict.statistic;
        *axis = verdict.axis;
        shift.p_holm = shift.p_value;
    }
    *out = shift;
done:
    gn__units_free(&units[0]);
    gn__units_free(&units[1]);
    return status;
}

gn_status gn_kernel_test(gn_context *ctx, const gn_matrix *a, const gn_matrix *b,
                         const gn_detect_options *options, gn_shift *out, gn_error *err)
{
    size_t axis = 0;
    return two_sample(ctx, a, b, options, out, &axis, err);
}

gn_status gn_test_all(gn_context *ctx, const gn_matrix *a, const gn_matrix *b,
                      const gn_detect_options *options, gn_test_result out[GN_TESTS], gn_error *err)
{
    gn_detect_options o = options ? *options : (gn_detect_options){0};
    gn_test_result result[GN_TESTS];
    double p[GN_TESTS];
    for (size_t k = 0; k < GN_TESTS; k++) {
        gn_shift shift;
        size_t axis = 0;
        o.test = (gn_test)(k + 1);
        gn__progress(ctx, GN_STAGE_DETECT, k, GN_TESTS);
        GN__TRY(two_sample(ctx, a, b, &o, &shift, &axis, err));
        result[k] = (gn_test_result){.test = o.test,
                                     .method = tests[o.test].method,
                                     .p_value = shift.p_value,
                                     .statistic = shift.statistic,
                                     .axis = axis};
        p[k] = shift.p_value;
    }
    gn_holm(p, GN_TESTS);
    for (size_t k = 0; k < GN_TESTS; k++) result[k].p_holm = p[k];
    memcpy(out, result, sizeof result);
    return GN_OK;
}
