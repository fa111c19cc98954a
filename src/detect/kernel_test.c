/* The kernel two-sample test: one row a unit, bandwidths from the pooled rows, statistics of all labellings,
 * combination over bandwidths, permutation p-value. Why each step is valid: README.md. */
#include "detect/detect.h"
#include "tensor/finite.h"

enum { EXACT_LIMIT = 3000, MOST_UNITS = 5000, MEDIAN_ROWS = 400, LEAST_UNITS = 4 };

typedef struct two_sample_test {
    const char *method;
    bool capped; /* takes at most MOST_UNITS of each side */
    gn_status (*run)(const gn__sample *s, gn__verdict *out, gn_error *err); /* NULL: of another form */
    int over_pairs;                                                         /* gn__pair_test + 1, 0: none */
} two_sample_test;

static const two_sample_test tests[GN_TEST_COUNT] = {
    [GN_TEST_AUTO] = {"auto", false, NULL, 0},
    [GN_TEST_MMD_EXACT] = {"mmd-exact", true, NULL, 1 + GN__MMD_EXACT},
    [GN_TEST_MMD_RFF] = {"mmd-rff", false, gn__test_mmd_rff, 0},
    [GN_TEST_MMD_FUSE] = {"mmd-fuse", true, NULL, 1 + GN__MMD_FUSE},
    [GN_TEST_MMD_AGG] = {"mmd-agg", true, NULL, 1 + GN__MMD_AGG},
    [GN_TEST_ENERGY] = {"energy", true, NULL, 1 + GN__ENERGY},
    [GN_TEST_SLICED_WASSERSTEIN] = {"sliced-wasserstein", true, gn__test_sliced_wasserstein, 0},
    [GN_TEST_KS] = {"ks", true, gn__test_ks, 0},
    [GN_TEST_C2ST] = {"c2st", false, NULL, 0},
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

GN__CLONES static float pair_distance(const float *x, const float *y, size_t dim, bool city_block)
{
    float sum[16] = {0};
    size_t c = 0;
    if (city_block) {
        for (; c + 16 <= dim; c += 16)
            for (size_t t = 0; t < 16; t++) sum[t] += fabsf(x[c + t] - y[c + t]);
        for (; c < dim; c++) sum[c % 16] += fabsf(x[c] - y[c]);
    } else {
        for (; c + 16 <= dim; c += 16)
            for (size_t t = 0; t < 16; t++) sum[t] += (x[c + t] - y[c + t]) * (x[c + t] - y[c + t]);
        for (; c < dim; c++) sum[c % 16] += (x[c] - y[c]) * (x[c] - y[c]);
    }
    for (size_t t = 1; t < 16; t++) sum[0] += sum[t];
    return city_block ? sum[0] : sqrtf(sum[0]);
}

gn_status gn__pair_distances(const gn__sample *s, bool city_block, float **out, size_t *count, gn_error *err)
{
    size_t k = s->n < MEDIAN_ROWS ? s->n : (size_t)MEDIAN_ROWS, most = k * k / 2 + 1, pairs = 0;
    uint32_t *order = gn__calloc(s->n, sizeof *order);
    uint64_t *item = gn__calloc(2 * most, sizeof *item), *sorted;
    float *distance = gn__calloc(most, sizeof *distance);
    if (order == NULL || item == NULL || distance == NULL) {
        free(order);
        free(item);
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
        for (size_t j = 0; j < i; j++)
            item[pairs++] =
                gn__sort_item(pair_distance(s->row[order[i]], s->row[order[j]], s->dim, city_block), 0);
    sorted = gn__sort_items(item, item + most, pairs);
    for (size_t i = 0; i < pairs; i++) distance[i] = gn__sorted_value(sorted[i]);
    free(order);
    free(item);
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

/* s->mean, for accuracy; free(s->mean). */
static gn_status find_mean(gn__sample *s, gn_error *err)
{
    s->mean = gn__calloc(s->dim, sizeof *s->mean);
    double *sum = gn__calloc(s->dim, sizeof *sum);
    if (s->mean == NULL || sum == NULL) {
        free(sum);
        return gn__no_memory(err, s->dim * (sizeof *s->mean + sizeof *sum));
    }
    size_t step = 1 + s->n / 4096;
    for (size_t i = 0; i < s->n; i += step)
        for (size_t j = 0; j < s->dim; j++) sum[j] += (double)s->row[i][j];
    for (size_t j = 0; j < s->dim; j++) s->mean[j] = (float)(sum[j] / (double)((s->n + step - 1) / step));
    free(sum);
    return GN_OK;
}

static gn_status run_test(gn__sample *s, const two_sample_test *test, gn__verdict *out, gn_error *err)
{
    gn__verdict over_pairs[GN__PAIR_TESTS];
    if (test->capped) cap_units(s, gn_context_seed(s->ctx));
    gn_status status = find_mean(s, err);
    if (status == GN_OK && test->over_pairs == 0) status = test->run(s, out, err);
    if (status == GN_OK && test->over_pairs > 0) {
        status = gn__test_pairs(s, 1U << (test->over_pairs - 1), over_pairs, err);
        if (status == GN_OK) *out = over_pairs[test->over_pairs - 1];
    }
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

/* All verdicts over pairs in one pass, into their tests' places. */
static gn_status run_pair_tests(const gn__sample *s, gn__verdict verdict[GN_TEST_COUNT], gn_error *err)
{
    gn__verdict over_pairs[GN__PAIR_TESTS];
    GN__TRY(gn__test_pairs(s, (1U << GN__PAIR_TESTS) - 1, over_pairs, err));
    for (int t = 1; t < GN_TEST_COUNT; t++)
        if (tests[t].over_pairs > 0) verdict[t] = over_pairs[tests[t].over_pairs - 1];
    return GN_OK;
}

/* The other tests one by one, first those that take every unit; then the sample is capped for the rest. */
static gn_status run_all(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, const gn__units units[2],
                         const gn_detect_options *o, gn__verdict verdict[GN_TEST_COUNT], gn_error *err)
{
    gn__sample s = {0};
    size_t done = 0;
    gn_status status;
    GN__TRY_GOTO(gn__test_c2st(ctx, a, b, &units[0], &units[1], o, &verdict[GN_TEST_C2ST], err), done);
    GN__TRY_GOTO(gn__pool_make(ctx, a, b, &units[0], &units[1], o, &s, err), done);
    for (int capped = 0; capped < 2; capped++) {
        if (capped) cap_units(&s, gn_context_seed(ctx));
        free(s.mean);
        GN__TRY_GOTO(find_mean(&s, err), done);
        for (int t = 1; t < GN_TEST_COUNT; t++)
            if (tests[t].run != NULL && tests[t].capped == capped) {
                gn__progress(ctx, GN_STAGE_DETECT, ++done, GN_TESTS);
                GN__TRY_GOTO(tests[t].run(&s, &verdict[t], err), done);
            }
    }
    status = run_pair_tests(&s, verdict, err);
done:
    free(s.row);
    free(s.mean);
    return status;
}

gn_status gn_test_all(gn_context *ctx, const gn_matrix *a, const gn_matrix *b,
                      const gn_detect_options *options, gn_test_result out[GN_TESTS], gn_error *err)
{
    gn_detect_options o = gn__detect_defaults(options);
    gn__verdict verdict[GN_TEST_COUNT];
    gn__units units[2] = {{0}};
    double p[GN_TESTS];
    gn_status status;
    for (int t = 0; t < GN_TEST_COUNT; t++) verdict[t] = (gn__verdict){.p_value = NAN, .statistic = NAN};
    GN__TRY(gn__check_pair(ctx, a, b, err));
    GN__TRY_GOTO(gn__units_make(o.group_a, a->rows, &units[0], err), done);
    GN__TRY_GOTO(gn__units_make(o.group_b, b->rows, &units[1], err), done);
    if (units[0].count >= o.min_rows && units[1].count >= o.min_rows)
        GN__TRY_GOTO(run_all(ctx, a, b, units, &o, verdict, err), done);
    for (size_t k = 0; k < GN_TESTS; k++) p[k] = verdict[k + 1].p_value;
    gn_holm(p, GN_TESTS);
    for (size_t k = 0; k < GN_TESTS; k++)
        out[k] = (gn_test_result){.test = (gn_test)(k + 1),
                                  .method = tests[k + 1].method,
                                  .p_value = verdict[k + 1].p_value,
                                  .p_holm = p[k],
                                  .statistic = verdict[k + 1].statistic,
                                  .axis = verdict[k + 1].axis};
done:
    gn__units_free(&units[0]);
    gn__units_free(&units[1]);
    return status;
}
