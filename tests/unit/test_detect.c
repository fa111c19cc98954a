#include "core/core.h"
#include "genchi/detect.h"
#include "golden_text.h"
#include "test.h"

static const char *const golden = "tests/golden/detect/auc.txt";

static gn_context *context(unsigned threads)
{
    gn_context *ctx = NULL;
    gn_error err = {0};
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = threads, .seed = 6}, &ctx, &err), err);
    return ctx;
}

/* Standard normal rows; the first column is moved by shift. */
static gn_matrix normals(size_t rows, size_t cols, double shift, uint64_t index)
{
    gn_matrix m;
    gn_error err = {0};
    CHECK_OK(gn_matrix_create(rows, cols, &m, &err), err);
    gn__rng r = gn__rng_make(2, gn__purpose("test/detect"), index);
    for (size_t i = 0; i < rows * cols; i++)
        m.data[i] = (float)(gn__rng_normal(&r) + (i % cols == 0 ? shift : 0));
    return m;
}

/* ---- areas under curves, Holm ------------------------------------------------------------------ */

TEST(auc_agrees_with_the_definition)
{
    size_t n, m, k;
    gn_error err = {0};
    float *negative = golden_read_float(golden, "negative", &n),
          *positive = golden_read_float(golden, "positive", &m);
    double *cn = golden_read(golden, "cluster_negative", &n),
           *cp = golden_read(golden, "cluster_positive", &m);
    static const char *const name[] = {"plain", "clustered", "apart"};
    uint32_t a[100], b[100];
    for (size_t which = 0; which < 3; which++) {
        double *expected = golden_read(golden, name[which], &k);
        gn_interval out;
        for (size_t i = 0; i < n; i++) a[i] = (uint32_t)cn[i];
        for (size_t i = 0; i < m; i++) b[i] = (uint32_t)cp[i] + (which == 2 ? 100 : 0);
        CHECK_OK(gn_auc(negative, n, positive, m, which ? a : NULL, which ? b : NULL, &out, &err), err);
        CHECK_NEAR(out.estimate, expected[0], 1e-12);
        CHECK_NEAR(out.low, expected[1], 1e-12);
        CHECK_NEAR(out.high, expected[2], 1e-12);
        free(expected);
    }
    free(negative), free(positive), free(cn), free(cp);
}

TEST(auc_at_its_ends)
{
    gn_error err = {0};
    gn_interval out;
    float low[20], high[20], tied[20];
    for (size_t i = 0; i < 20; i++) low[i] = (float)i, high[i] = 100 + (float)i, tied[i] = 3;
    CHECK_OK(gn_auc(low, 20, high, 20, NULL, NULL, &out, &err), err);
    CHECK(out.estimate == 1 && out.high == 1);
    CHECK_NEAR(out.low, 20 / (20 + 1.959964 * 1.959964), 1e-6); /* Wilson's for 20 of 20 */
    CHECK_OK(gn_auc(high, 20, low, 20, NULL, NULL, &out, &err), err);
    CHECK(out.estimate == 0 && out.low == 0 && out.high > 0.1 && out.high < 0.2);
    CHECK_OK(gn_auc(tied, 20, tied, 20, NULL, NULL, &out, &err), err);
    CHECK(out.estimate == 0.5 && out.low < 0.35 && out.high > 0.65);
    CHECK_OK(gn_auc(low, 1, high, 1, NULL, NULL, &out, &err), err);
    CHECK(out.estimate == 1 && out.low < 0.3);
    CHECK_INT(gn_auc(low, 0, high, 1, NULL, NULL, &out, &err), GN_DATA);
    CHECK_HAS(err.message, "there are no negatives");
    high[1] = NAN;
    CHECK_INT(gn_auc(low, 2, high, 2, NULL, NULL, &out, &err), GN_DATA);
    CHECK_HAS(err.message, "score 1 of the positives");
}

TEST(holm_steps_down)
{
    /* Worked by hand: sorted .01 .02 .03 .04 times 4, 3, 2, 1, then the running maximum. */
    double p[] = {0.04, 0.01, NAN, 0.03, 0.02}, one[] = {0.7, 0.9}, tied[] = {0, 0.02, 0.02};
    gn_holm(p, 5);
    CHECK_NEAR(p[0], 0.06, 1e-12);
    CHECK_NEAR(p[1], 0.04, 1e-12);
    CHECK(isnan(p[2]));
    CHECK_NEAR(p[3], 0.06, 1e-12);
    CHECK_NEAR(p[4], 0.06, 1e-12);
    gn_holm(one, 2);
    CHECK(one[0] == 1 && one[1] == 1);
    gn_holm(tied, 3);
    CHECK(tied[0] == 0);
    CHECK_NEAR(tied[1], 0.04, 1e-12);
    CHECK_NEAR(tied[2], 0.04, 1e-12);
}

/* ---- the kernel test --------------------------------------------------------------------------- */

/* p-values of `sims` null tests with 19 permutations, so p is one of 1/20 .. 20/20, each equally likely:
 * counts how often p <= 1/20 and checks the mean and the spread of all of them. */
static int null_rejections(size_t n_a, size_t n_b, size_t cols, size_t sims, const char *method)
{
    gn_context *ctx = context(2);
    gn_error err = {0};
    int rejected = 0;
    double mean = 0, chi2 = 0, expected = (double)sims / 4;
    size_t quarter[4] = {0};
    for (size_t s = 0; s < sims; s++) {
        gn_matrix a = normals(n_a, cols, 0, 2 * s), b = normals(n_b, cols, 0, 2 * s + 1);
        gn_shift shift;
        gn_detect_options o = {.permutations = 19, .purpose = s};
        CHECK_OK(gn_kernel_test(ctx, &a, &b, &o, &shift, &err), err);
        CHECK_STR(shift.method, method);
        rejected += shift.p_value <= 0.05;
        mean += shift.p_value / (double)sims;
        quarter[(size_t)(shift.p_value * 20 - 0.5) / 5]++;
        gn_matrix_free(&a), gn_matrix_free(&b);
    }
    for (size_t k = 0; k < 4; k++)
        chi2 += ((double)quarter[k] - expected) * ((double)quarter[k] - expected) / expected;
    CHECK(chi2 < 16.27); /* 0.999 quantile, 3 degrees of freedom */
    CHECK_NEAR(mean, 21.0 / 40, 4 * sqrt(1.0 / 12 / (double)sims));
    gn_context_free(ctx);
    return rejected;
}

TEST(kernel_test_holds_its_level_exact)
{
    int rejected = null_rejections(100, 100, 16, 300, "mmd-exact");
    CHECK(rejected >= 4 && rejected <= 29); /* 0.1 % and 99.9 % points of Binomial(300, 0.05) */
}

TEST(kernel_test_holds_its_level_rff)
{
    int rejected = null_rejections(2950, 60, 4, 120, "mmd-rff");
    CHECK(rejected <= 15); /* 99.9 % point of Binomial(120, 0.05) */
}

TEST(kernel_test_finds_shifts)
{
    gn_context *ctx = context(2);
    gn_error err = {0};
    gn_shift shift;
    static const size_t sizes[][3] = {{100, 100, 16}, {3000, 100, 16}, {20, 20, 768}};
    for (size_t k = 0; k < 3; k++) {
        gn_matrix a = normals(sizes[k][0], sizes[k][2], 0, 1), b = normals(sizes[k][1], sizes[k][2], 1, 2);
        for (size_t i = 0; k == 2 && i < b.rows * b.cols; i++) b.data[i] += 0.2F;
        CHECK_OK(gn_kernel_test(ctx, &a, &b, &(gn_detect_options){.permutations = 199}, &shift, &err), err);
        CHECK_NEAR(shift.p_value, 1.0 / 200, 1e-12);
        CHECK(shift.units_a == a.rows && shift.permutations == 199 && shift.statistic > 4);
        gn_matrix_free(&a), gn_matrix_free(&b);
    }
    /* The same mean, another spread: nothing linear would see it. */
    gn_matrix a = normals(200, 8, 0, 1), b = normals(200, 8, 0, 2);
    for (size_t i = 0; i < b.rows * b.cols; i++) b.data[i] *= 1.4F;
    CHECK_OK(gn_kernel_test(ctx, &a, &b, &(gn_detect_options){.permutations = 199}, &shift, &err), err);
    CHECK(shift.p_value <= 0.01);
    gn_matrix_free(&a), gn_matrix_free(&b);
    gn_context_free(ctx);
}

TEST(kernel_test_of_awkward_samples)
{
    gn_context *ctx = context(1);
    gn_error err = {0};
    gn_shift shift;
    gn_detect_options o = {.permutations = 99};
    gn_matrix a = normals(40, 5, 0, 1), b = normals(30, 5, 0, 2), wide = normals(30, 6, 0, 3);
    /* One sample is part of the other: as alike as can be. */
    gn_matrix part = {a.data, 25, 5};
    CHECK_OK(gn_kernel_test(ctx, &a, &part, &o, &shift, &err), err);
    CHECK(shift.p_value > 0.5);
    /* All rows the same: nothing to tell, and p is 1, not 0. */
    for (size_t i = 0; i < 200; i++) a.data[i] = 2;
    for (size_t i = 0; i < 150; i++) b.data[i] = 2;
    CHECK_OK(gn_kernel_test(ctx, &a, &b, &o, &shift, &err), err);
    CHECK(shift.p_value == 1);
    /* Two points only, mostly tied, and equally frequent. */
    for (size_t i = 0; i < 40; i++) a.data[i * 5] = (float)(i % 4 == 0);
    for (size_t i = 0; i < 30; i++) b.data[i * 5] = (float)(i % 4 == 0);
    CHECK_OK(gn_kernel_test(ctx, &a, &b, &o, &shift, &err), err);
    CHECK(shift.p_value > 0.3);
    for (size_t i = 0; i < 30; i++) b.data[i * 5] = (float)(i % 4 != 0);
    CHECK_OK(gn_kernel_test(ctx, &a, &b, &o, &shift, &err), err);
    CHECK_NEAR(shift.p_value, 0.01, 1e-12);
    gn_matrix few = {a.data, 19, 5}, none = {a.data, 0, 5};
    CHECK_OK(gn_kernel_test(ctx, &few, &b, &o, &shift, &err), err);
    CHECK(isnan(shift.p_value) && shift.answer == GN_SHIFT_NOT_ENOUGH_DATA);
    CHECK_STR(shift.method, "none");
    CHECK_OK(gn_detect(ctx, &none, &b, &o, &shift, NULL, NULL, &err), err);
    CHECK(isnan(shift.p_value) && shift.answer == GN_SHIFT_NOT_ENOUGH_DATA && shift.rows_needed >= 20);
    CHECK_INT(gn_kernel_test(ctx, &a, &wide, &o, &shift, &err), GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "5 and 6");
    b.data[7] = INFINITY;
    CHECK_INT(gn_kernel_test(ctx, &a, &b, &o, &shift, &err), GN_DATA);
    CHECK_HAS(err.message, "the second set holds inf at row 1, column 2");
    gn_matrix_free(&a), gn_matrix_free(&b), gn_matrix_free(&wide);
    gn_context_free(ctx);
}

TEST(kernel_test_stops_when_asked)
{
    volatile sig_atomic_t stop = 1;
    gn_context *ctx = NULL;
    gn_error err = {0};
    gn_shift shift;
    gn_matrix a = normals(60, 5, 0, 1);
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = 1, .cancel = &stop}, &ctx, &err), err);
    CHECK_INT(gn_detect(ctx, &a, &a, NULL, &shift, NULL, NULL, &err), GN_CANCELLED);
    gn_context_free(ctx);
    gn_matrix_free(&a);
}

/* Groups of unequal size whose rows are near copies. side: the groups of `rows` rows. */
static gn_matrix grouped(size_t rows, size_t cols, uint64_t index, uint32_t *group)
{
    gn_matrix m = normals(rows, cols, 0, index);
    size_t i = 0;
    for (uint32_t g = 0; i < rows; g++) {
        size_t first = i;
        for (size_t k = 0; k < 1 + g % 9 && i < rows; k++, i++) {
            group[i] = g * 3;
            for (size_t j = 0; j < cols; j++)
                m.data[i * cols + j] = (k ? m.data[first * cols + j] : m.data[i * cols + j]) +
                                       (k ? 0.1F * m.data[i * cols + j] : 0);
        }
    }
    return m;
}

/* Null simulations where b, or both sides, come in strongly correlated groups. */
TEST(groups_keep_the_level_and_ignoring_them_does_not)
{
    enum { N = 200, D = 3, SIMS = 150 };
    gn_context *ctx = context(2);
    gn_error err = {0};
    uint32_t group_a[N], group_b[N];
    for (int both = 0; both < 2; both++) {
        int rejected = 0, ignored = 0;
        for (uint64_t s = 0; s < SIMS; s++) {
            gn_matrix b = grouped(N, D, 10000 + s, group_b);
            gn_matrix a = both ? grouped(N, D, 20000 + s, group_a) : normals(N, D, 0, 20000 + s);
            gn_shift shift;
            gn_detect_options o = {.permutations = 19, .purpose = s};
            CHECK_OK(gn_kernel_test(ctx, &a, &b, &o, &shift, &err), err);
            ignored += shift.p_value <= 0.05;
            o.group_a = both ? group_a : NULL;
            o.group_b = group_b;
            CHECK_OK(gn_kernel_test(ctx, &a, &b, &o, &shift, &err), err);
            CHECK(shift.units_b < N / 4 && (shift.units_a < N) == both);
            rejected += shift.p_value <= 0.05;
            gn_matrix_free(&a), gn_matrix_free(&b);
        }
        CHECK(rejected <= 17); /* 99.9 % point of Binomial(150, 0.05) */
        CHECK(ignored >= 60);
    }
    gn_context_free(ctx);
}

/* ---- the domain classifier and the answer ------------------------------------------------------ */

/* When nothing differs, the mean AUC is 1/2 and its interval covers 1/2 as often as it says: at small n, with
 * more columns than are good for it. Pooling the folds' scores would give .44 here. */
TEST(classifier_is_unbiased_when_nothing_differs)
{
    enum { SIMS = 200 };
    gn_context *ctx = context(2);
    gn_error err = {0};
    static const size_t sizes[][3] = {{40, 40, 8}, {120, 30, 30}};
    for (size_t k = 0; k < 2; k++) {
        double mean = 0, square = 0;
        int covered = 0;
        for (uint64_t s = 0; s < SIMS; s++) {
            gn_matrix a = normals(sizes[k][0], sizes[k][2], 0, 5000 + 2 * s);
            gn_matrix b = normals(sizes[k][1], sizes[k][2], 0, 5001 + 2 * s);
            gn_shift shift;
            CHECK_OK(gn_detect(ctx, &a, &b, &(gn_detect_options){.permutations = 1, .purpose = s}, &shift,
                               NULL, NULL, &err),
                     err);
            mean += shift.auc.estimate / SIMS;
            square += shift.auc.estimate * shift.auc.estimate / SIMS;
            covered += shift.auc.low <= 0.5 && 0.5 <= shift.auc.high;
            gn_matrix_free(&a), gn_matrix_free(&b);
        }
        CHECK_NEAR(mean, 0.5, 4 * sqrt((square - mean * mean) / SIMS));
        CHECK(covered >= 179); /* 0.1 % point of Binomial(200, 0.95) */
    }
    gn_context_free(ctx);
}

TEST(answers)
{
    gn_context *ctx = context(2);
    gn_error err = {0};
    gn_shift shift;
    float score_a[1500], score_b[1500];
    gn_detect_options o = {.permutations = 99};
    gn_matrix a = normals(1500, 8, 0, 1), b = normals(1500, 8, 0, 2), far = normals(300, 8, 2, 3),
              hint = normals(1500, 8, 0.2, 4), few = normals(30, 8, 0.4, 5), tiny = normals(12, 8, 0, 6);
    CHECK_OK(gn_detect(ctx, &a, &far, &o, &shift, score_a, score_b, &err), err);
    CHECK_INT(shift.answer, GN_SHIFT_DIFFERENT);
    CHECK_INT(shift.rows_needed, 0);
    /* The best possible AUC for two normals 2 apart is Phi(2 / sqrt 2). */
    CHECK_NEAR(shift.auc.estimate, 0.5 * erfc(-1.0), 0.03);
    CHECK(shift.auc.low < shift.auc.estimate && shift.auc.estimate < shift.auc.high);
    CHECK(shift.p_holm == shift.p_value && shift.rows_a == 1500 && shift.units_b == 300);
    double mean[2] = {0};
    for (size_t i = 0; i < 1500; i++) mean[0] += (double)score_a[i] / 1500;
    for (size_t i = 0; i < 300; i++) mean[1] += (double)score_b[i] / 300;
    CHECK(mean[0] < 0.3 && mean[1] > 0.7); /* equal priors, although 1500 : 300 */
    CHECK_OK(gn_detect(ctx, &a, &b, &o, &shift, NULL, NULL, &err), err);
    CHECK_INT(shift.answer, GN_SHIFT_EQUIVALENT);
    /* Real, and too small to matter: AUC Phi(.2 / sqrt 2) = .556. */
    CHECK_OK(gn_detect(ctx, &a, &hint, &o, &shift, NULL, NULL, &err), err);
    CHECK(shift.p_value <= 0.05);
    CHECK_INT(shift.answer, GN_SHIFT_EQUIVALENT);
    CHECK_OK(gn_detect(ctx, &a, &few, &o, &shift, NULL, NULL, &err), err);
    CHECK_INT(shift.answer, GN_SHIFT_NOT_ENOUGH_DATA);
    CHECK(shift.rows_needed > 30 && shift.rows_needed <= 1000000);
    CHECK_OK(gn_detect(ctx, &a, &tiny, &o, &shift, score_a, score_b, &err), err);
    CHECK_INT(shift.answer, GN_SHIFT_NOT_ENOUGH_DATA);
    CHECK(isnan(shift.p_value) && isnan(score_a[0]) && isnan(score_b[11]));
    CHECK(shift.rows_needed >= 50 && shift.rows_needed <= 180);
    o.tolerance = 0.4;
    CHECK_INT(gn_detect(ctx, &a, &b, &o, &shift, NULL, NULL, &err), GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "0.4");
    gn_matrix_free(&a), gn_matrix_free(&b), gn_matrix_free(&far);
    gn_matrix_free(&hint), gn_matrix_free(&few), gn_matrix_free(&tiny);
    gn_context_free(ctx);
}

/* More rows than a model is fitted on: the others are scored all the same, and as well. */
TEST(rows_beyond_the_limit_are_scored)
{
    enum { N = 12000 };
    static float score[N], score_b[60];
    gn_context *ctx = context(2);
    gn_error err = {0};
    gn_shift shift;
    gn_matrix a = normals(N, 4, 0, 1), b = normals(60, 4, 3, 2);
    CHECK_OK(gn_detect(ctx, &a, &b, &(gn_detect_options){.permutations = 19}, &shift, score, score_b, &err),
             err);
    CHECK_STR(shift.method, "mmd-rff");
    CHECK_NEAR(shift.auc.estimate, 0.5 * erfc(-1.5), 0.02);
    size_t right = 0;
    for (size_t i = 0; i < N; i++) {
        CHECK(score[i] > 0 && score[i] < 1);
        right += score[i] < 0.5F;
    }
    CHECK_NEAR((double)right / N, 0.5 * erfc(-1.5 / sqrt(2.0)), 0.04);
    gn_matrix_free(&a), gn_matrix_free(&b);
    gn_context_free(ctx);
}

TEST(awkward_data_does_not_break_the_classifier)
{
    gn_context *ctx = context(1);
    gn_error err = {0};
    gn_shift shift;
    gn_detect_options o = {.permutations = 19};
    gn_matrix a = normals(20, 768, 0, 1), b = normals(20, 768, 0, 2);
    for (size_t i = 0; i < 20; i++) a.data[i * 768 + 5] = b.data[i * 768 + 5] = 9;
    CHECK_OK(gn_detect(ctx, &a, &b, &o, &shift, NULL, NULL, &err), err);
    CHECK(shift.auc.low < 0.5 && shift.auc.high > 0.5);
    for (size_t i = 0; i < 20 * 768; i++) b.data[i] += 50;
    CHECK_OK(gn_detect(ctx, &a, &b, &o, &shift, NULL, NULL, &err), err);
    CHECK(shift.auc.estimate == 1 && shift.auc.low > 0.8 && shift.auc.low < 0.9);
    CHECK_INT(shift.answer, GN_SHIFT_DIFFERENT);
    for (size_t i = 0; i < 20 * 768; i++) a.data[i] = b.data[i] = 1;
    CHECK_OK(gn_detect(ctx, &a, &b, &o, &shift, NULL, NULL, &err), err);
    CHECK(shift.auc.estimate == 0.5 && shift.p_value == 1);
    CHECK_INT(shift.answer, GN_SHIFT_NOT_ENOUGH_DATA);
    gn_matrix_free(&a), gn_matrix_free(&b);
    gn_context_free(ctx);
}

TEST(detect_bits_do_not_depend_on_threads)
{
    gn_error err = {0};
    static const size_t rows[] = {300, 3500};
    for (size_t k = 0; k < 2; k++) {
        gn_matrix a = normals(rows[k], 6, 0, 1), b = normals(100, 6, 0.5, 2);
        gn_shift shift[3];
        static float score[3][3500], score_b[3][100];
        memset(shift, 0, sizeof shift);
        for (unsigned t = 0; t < 3; t++) {
            gn_context *ctx = context(t + 1);
            CHECK_OK(gn_detect(ctx, &a, &b, &(gn_detect_options){.permutations = 50}, &shift[t], score[t],
                               score_b[t], &err),
                     err);
            gn_context_free(ctx);
        }
        for (unsigned t = 1; t < 3; t++) {
            CHECK(shift[t].p_value == shift[0].p_value && shift[t].statistic == shift[0].statistic);
            CHECK(memcmp(&shift[t].auc, &shift[0].auc, sizeof shift[0].auc) == 0);
        }
        CHECK(memcmp(score[0], score[1], sizeof score[0]) == 0 &&
              memcmp(score[0], score[2], sizeof score[0]) == 0);
        gn_matrix_free(&a), gn_matrix_free(&b);
    }
}
