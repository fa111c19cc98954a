#include "genchi/verify.h"
#include "test.h"
#include "verify/parts.h"

static gn_error err;

static gn_context *context(unsigned threads, uint64_t seed)
{
    gn_context *ctx = NULL;
    gn_context_options options = {.threads = threads, .seed = seed};
    CHECK_OK(gn_context_create(&options, &ctx, &err), err);
    return ctx;
}

static double number(FILE *f)
{
    double x = NAN;
    CHECK(fscanf(f, "%lf", &x) == 1);
    return x;
}

static void check_golden_scores(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "tests/golden/verify/%s", name);
    FILE *f = fopen(test_path(path), "r");
    CHECK(f != NULL);
    size_t rows = (size_t)number(f);
    int classes = (int)number(f);
    int *y = calloc(rows, sizeof *y);
    float *p = calloc(rows * (size_t)classes, sizeof *p);
    for (size_t i = 0; i < rows; i++) {
        y[i] = (int)number(f);
        for (int c = 0; c < classes; c++) p[i * (size_t)classes + (size_t)c] = (float)number(f);
    }
    gn_context *ctx = context(2, 1);
    gn_scores s;
    CHECK_OK(gn_scores_compute(ctx, p, y, rows, classes, NULL, &s, &err), err);
    CHECK_NEAR(s.accuracy.estimate, number(f), 1e-12);
    CHECK_NEAR(s.balanced_accuracy.estimate, number(f), 1e-9);
    CHECK_NEAR(s.macro_f1.estimate, number(f), 1e-9);
    CHECK_NEAR(s.auc.estimate, number(f), 1e-9);
    CHECK_NEAR(s.log_loss.estimate, number(f), 1e-7);
    CHECK_NEAR(gn__plain_calibration(p, y, rows, classes), number(f), 1e-7);
    CHECK_INT(s.rows, rows);
    CHECK_INT(s.units, rows);
    gn_interval wilson = gn__wilson(round(s.accuracy.estimate * (double)rows), (double)rows);
    CHECK(s.accuracy.low == wilson.low && s.accuracy.high == wilson.high);
    const gn_interval *all[] = {&s.accuracy, &s.balanced_accuracy, &s.macro_f1,
                                &s.auc,      &s.log_loss,          &s.calibration};
    for (size_t i = 0; i < 6; i++) CHECK(all[i]->low < all[i]->high && all[i]->low <= all[i]->estimate);
    gn_context_free(ctx);
    fclose(f);
    free(y);
    free(p);
}

TEST(scores_agree_with_scikit_learn_two_classes)
{
    check_golden_scores("scores_two.txt");
}

TEST(scores_agree_with_scikit_learn_four_classes)
{
    check_golden_scores("scores_four.txt");
}

TEST(formulas_agree_with_scipy)
{
    FILE *f = fopen(test_path("tests/golden/verify/formulas.txt"), "r");
    CHECK(f != NULL);
    char kind[16];
    int lines = 0;
    while (fscanf(f, "%15s", kind) == 1) {
        double a = number(f), b = number(f), u = number(f), v = number(f);
        lines++;
        if (strcmp(kind, "wilson") == 0) {
            gn_interval w = gn__wilson(a, b);
            CHECK_NEAR(w.estimate, a / b, 1e-15);
            CHECK_NEAR(w.low, u, 1e-9);
            CHECK_NEAR(w.high, v, 1e-9);
        } else if (strcmp(kind, "mcnemar") == 0) {
            CHECK_NEAR(gn__mcnemar((size_t)a, (size_t)b), u, 1e-9);
        } else {
            CHECK_NEAR(gn__student_cdf(a, (size_t)b), u, 1e-9 * u); /* far out, too */
        }
    }
    CHECK_INT(lines, 23);
    fclose(f);
}

/* Closed forms for one and two degrees of freedom; else the distribution function, which has its golden
 * values. */
TEST(students_quantile_inverts_its_distribution)
{
    CHECK_NEAR(gn__student_quantile(1), tan(M_PI * 0.475), 1e-12);
    CHECK_NEAR(gn__student_quantile(2), 0.95 / sqrt(2 * 0.975 * 0.025), 1e-13);
    for (size_t df = 1; df <= 1000; df++)
        CHECK_NEAR(gn__student_cdf(gn__student_quantile(df), df), 0.975, 1e-13);
    CHECK_NEAR(gn__student_quantile(1001), 1.959963984540054, 1e-15);
}

/* Newcombe 1998 (Statistics in Medicine 17, 873–890), table II, method 10. */
TEST(difference_is_newcombes_method_10)
{
    gn_interval d = gn__difference(gn__wilson(56, 70), gn__wilson(48, 80));
    CHECK_NEAR(d.estimate, 0.2, 1e-12);
    CHECK_NEAR(d.low, 0.0524, 5e-5);
    CHECK_NEAR(d.high, 0.3339, 5e-5);
    d = gn__difference(gn__wilson(9, 10), gn__wilson(3, 10));
    CHECK_NEAR(d.low, 0.1705, 5e-5);
    CHECK_NEAR(d.high, 0.8090, 5e-5);
}

TEST(scores_of_ties_and_missing_classes)
{
    gn_context *ctx = context(1, 1);
    gn_scores s;
    /* All the same probability: the AUC is a half, the calibration error is |right − top| as one bin. */
    float flat[20];
    int y[10];
    for (int i = 0; i < 10; i++) flat[2 * i] = 0.25f, flat[2 * i + 1] = 0.75f, y[i] = i < 6;
    CHECK_OK(gn_scores_compute(ctx, flat, y, 10, 2, NULL, &s, &err), err);
    CHECK_NEAR(s.auc.estimate, 0.5, 0);
    CHECK_NEAR(gn__plain_calibration(flat, y, 10, 2), 0.15, 1e-9);
    CHECK_NEAR(s.balanced_accuracy.estimate, 0.5, 1e-12);
    CHECK_NEAR(s.macro_f1.estimate, 0.375, 1e-12); /* 2·6/(6+10) / 2 */
    /* One class among the rows: no AUC, and no zero division; a class never met does not count. */
    for (int i = 0; i < 10; i++) y[i] = 1;
    CHECK_OK(gn_scores_compute(ctx, flat, y, 10, 2, NULL, &s, &err), err);
    CHECK(isnan(s.auc.estimate) && isnan(s.auc.low));
    CHECK_NEAR(s.balanced_accuracy.estimate, 1, 0);
    CHECK_NEAR(s.macro_f1.estimate, 1, 0);
    /* Ties go to the lower index; an impossible class costs −log 1e-15. */
    float tie[] = {0.5f, 0.5f, 0, 0.5f, 0.5f, 0};
    int three[] = {0, 2};
    CHECK_OK(gn_scores_compute(ctx, tie, three, 2, 3, NULL, &s, &err), err);
    CHECK_NEAR(s.accuracy.estimate, 0.5, 0);
    CHECK_NEAR(s.log_loss.estimate, (log(2) - log(1e-15)) / 2, 1e-9);
    gn_context_free(ctx);
}

TEST(scores_refuse_bad_input)
{
    gn_context *ctx = context(1, 1);
    gn_scores s;
    float p[] = {0.5f, 0.5f, 0.5f, NAN};
    int y[] = {0, 1}, wrong[] = {0, 2};
    CHECK(gn_scores_compute(ctx, p, y, 0, 2, NULL, &s, &err) == GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "at least one row");
    CHECK(gn_scores_compute(ctx, p, y, 2, 2, NULL, &s, &err) == GN_DATA);
    CHECK_HAS(err.message, "row 2, class 1");
    CHECK(gn_scores_compute(ctx, p, wrong, 2, 2, NULL, &s, &err) == GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "the label 2 of row 2");
    gn_context_free(ctx);
}

/* One group gives no interval; groups of equal rows widen it as the effective number of rows says. */
TEST(groups_widen_intervals)
{
    enum { GROUPS = 60, EACH = 10, N = GROUPS * EACH };
    gn_context *ctx = context(2, 3);
    float p[2 * N];
    int y[N];
    uint32_t group[N], one[N];
    gn__rng rng = gn__rng_make(5, 1, 0);
    for (int g = 0; g < GROUPS; g++) {
        int right = gn__rng_double(&rng) < 0.7, label = g % 2;
        for (int i = g * EACH; i < (g + 1) * EACH; i++) {
            y[i] = label;
            group[i] = 1000000u - (uint32_t)g;
            one[i] = 7;
            p[2 * i + (right ? label : !label)] = 0.8f;
            p[2 * i + (right ? !label : label)] = 0.2f;
        }
    }
    gn_scores rows, groups, single;
    CHECK_OK(gn_scores_compute(ctx, p, y, N, 2, NULL, &rows, &err), err);
    CHECK_OK(gn_scores_compute(ctx, p, y, N, 2, group, &groups, &err), err);
    CHECK_OK(gn_scores_compute(ctx, p, y, N, 2, one, &single, &err), err);
    CHECK_INT(groups.units, GROUPS);
    CHECK(rows.accuracy.estimate == groups.accuracy.estimate);
    double ratio = (groups.accuracy.high - groups.accuracy.low) / (rows.accuracy.high - rows.accuracy.low);
    CHECK_NEAR(ratio, sqrt(EACH), 0.35);
    CHECK_INT(single.units, 1);
    CHECK(isnan(single.accuracy.low) && isnan(single.log_loss.high) && !isnan(single.accuracy.estimate));
    gn_context_free(ctx);
}

/* 400 samples of 40 groups with a known mean: nominal 95 %, and of 8 groups, where the plain percentile
 * interval falls to about 88 %. */
static double group_coverage(gn_context *ctx, int groups, int runs)
{
    int covered = 0;
    for (int run = 0; run < runs; run++) {
        float p[2 * 40 * 5];
        int y[40 * 5], n = 0;
        uint32_t group[40 * 5];
        gn__rng rng = gn__rng_make(11, 2, (uint64_t)run);
        for (int g = 0; g < groups; g++) {
            double rate = 0.5 + 0.4 * gn__rng_double(&rng); /* mean 0.7 */
            for (int i = 0; i < 5; i++, n++) {
                int right = gn__rng_double(&rng) < rate;
                y[n] = n % 2;
                group[n] = (uint32_t)g;
                p[2 * n] = (y[n] == 0) == right ? 0.9f : 0.1f;
                p[2 * n + 1] = 1 - p[2 * n];
            }
        }
        gn_scores s;
        CHECK_OK(gn_scores_compute(ctx, p, y, (size_t)n, 2, group, &s, &err), err);
        covered += s.accuracy.low <= 0.7 && 0.7 <= s.accuracy.high;
    }
    return (double)covered / runs;
}

TEST(group_intervals_cover)
{
    gn_context *ctx = context(2, 4);
    CHECK_NEAR(group_coverage(ctx, 40, 400), 0.95, 0.025);
    double few = group_coverage(ctx, 8, 400); /* on the safe side */
    CHECK(few >= 0.93 && few < 0.995);
    gn_context_free(ctx);
}

/* q: true probability of class 1; the classifier states it as sharp as told. */
static void draw(int n, int run, double sharp, float *p, int *y)
{
    gn__rng rng = gn__rng_make(12, 3, (uint64_t)run);
    for (int i = 0; i < n; i++) {
        double z = 1.5 * gn__rng_normal(&rng);
        y[i] = gn__rng_double(&rng) < 1 / (1 + exp(-z));
        p[2 * i + 1] = (float)(1 / (1 + exp(-sharp * z)));
        p[2 * i] = 1 - p[2 * i + 1];
    }
}

/* Share of intervals that hold the figure of a sample large enough to stand for the truth. */
static void coverage(double sharp, double *auc, double *calibration)
{
    enum { N = 200, RUNS = 300, LARGE = 200000 };
    gn_context *ctx = context(2, 5);
    static float p[2 * LARGE];
    static int y[LARGE];
    gn_scores s, truth;
    *auc = *calibration = 0;
    draw(LARGE, 0, sharp, p, y);
    CHECK_OK(gn_scores_compute(ctx, p, y, LARGE, 2, NULL, &truth, &err), err);
    double off = sharp == 1 ? 0 : truth.calibration.estimate, curve = truth.auc.estimate;
    for (int run = 1; run <= RUNS; run++) {
        draw(N, run, sharp, p, y);
        CHECK_OK(gn_scores_compute(ctx, p, y, N, 2, NULL, &s, &err), err);
        *auc += (s.auc.low <= curve && curve <= s.auc.high) / (double)RUNS;
        *calibration += (s.calibration.low <= off && off <= s.calibration.high) / (double)RUNS;
    }
    gn_context_free(ctx);
}

TEST(auc_and_calibration_are_covered)
{
    double auc, calibration;
    coverage(1, &auc, &calibration); /* calibrated: the true error is 0 */
    CHECK_NEAR(auc, 0.95, 0.03);
    CHECK(calibration >= 0.93);
    coverage(3, &auc, &calibration); /* overconfident */
    CHECK_NEAR(auc, 0.95, 0.03);
    CHECK_NEAR(calibration, 0.95, 0.04);
}

TEST(scores_do_not_depend_on_threads)
{
    enum { N = 500 };
    float p[3 * N];
    int y[N];
    uint32_t group[N];
    gn__rng rng = gn__rng_make(6, 1, 0);
    for (int i = 0; i < N; i++) {
        float z[3];
        y[i] = (int)gn__rng_below(&rng, 3);
        group[i] = gn__rng_below(&rng, 50);
        for (int c = 0; c < 3; c++) z[c] = (float)gn__rng_normal(&rng) + (c == y[i]);
        gn__softmax(z, 3, p + 3 * i);
    }
    gn_scores first = {0}, again = {0};
    for (unsigned threads = 1; threads <= 3; threads++) {
        gn_context *ctx = context(threads, 9);
        CHECK_OK(gn_scores_compute(ctx, p, y, N, 3, group, threads == 1 ? &first : &again, &err), err);
        gn_context_free(ctx);
        if (threads > 1) CHECK(memcmp(&first, &again, sizeof first) == 0);
    }
}

static void two_classifiers(float *a, float *b, int *y, int n, int a_only, int b_only)
{
    for (int i = 0; i < n; i++) {
        int right_a = i < a_only || i >= a_only + b_only, right_b = i >= a_only;
        y[i] = i % 2;
        a[2 * i + y[i]] = right_a ? 0.9f : 0.1f;
        a[2 * i + !y[i]] = right_a ? 0.1f : 0.9f;
        b[2 * i + y[i]] = right_b ? 0.8f : 0.2f;
        b[2 * i + !y[i]] = right_b ? 0.2f : 0.8f;
    }
}

TEST(paired_accuracy)
{
    enum { N = 300 };
    float a[2 * N], b[2 * N];
    int y[N];
    gn_context *ctx = context(2, 1);
    gn_paired d;
    two_classifiers(a, b, y, N, 40, 15);
    CHECK_OK(gn_paired_accuracy(ctx, a, b, y, N, 2, NULL, 2000, 0, &d, &err), err);
    CHECK(d.available);
    CHECK_INT(d.a_only, 40);
    CHECK_INT(d.b_only, 15);
    CHECK_NEAR(d.difference.estimate, 25.0 / N, 1e-12);
    CHECK_NEAR(d.p_value, gn__mcnemar(40, 15), 1e-15);
    /* Against the normal interval of a paired difference of proportions. */
    double m = 25.0 / N, se = sqrt((55.0 / N - m * m) / N);
    CHECK_NEAR(d.difference.low, m - 1.96 * se, 0.012);
    CHECK_NEAR(d.difference.high, m + 1.96 * se, 0.012);
    /* Rows without a label or a judgement are passed over. */
    y[0] = -1;
    b[2] = NAN;
    CHECK_OK(gn_paired_accuracy(ctx, a, b, y, N, 2, NULL, 0, 0, &d, &err), err);
    CHECK_INT(d.rows, N - 2);
    CHECK_INT(d.a_only, 38);
    for (int i = 0; i < N; i++) y[i] = -1;
    CHECK_OK(gn_paired_accuracy(ctx, a, b, y, N, 2, NULL, 0, 0, &d, &err), err);
    CHECK(!d.available && isnan(d.p_value) && isnan(d.difference.estimate));
    CHECK(gn_paired_accuracy(ctx, a, b, y, N, 0, NULL, 0, 0, &d, &err) == GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "needs classes");
    gn_context_free(ctx);
}

/* Without a difference p is uniform or above it, also when whole groups move together. */
TEST(grouped_p_values_hold_their_level)
{
    enum { GROUPS = 25, EACH = 8, N = GROUPS * EACH, RUNS = 400 };
    gn_context *ctx = context(2, 1);
    float a[N], b[N];
    uint32_t group[N];
    int rejected = 0, naive = 0;
    gn_paired d;
    for (int run = 0; run < RUNS; run++) {
        gn__rng rng = gn__rng_make(21, 4, (uint64_t)run);
        for (int g = 0; g < GROUPS; g++) {
            double tilt = gn__rng_normal(&rng); /* the group favours a or b */
            for (int i = g * EACH; i < (g + 1) * EACH; i++) {
                group[i] = (uint32_t)g;
                a[i] = gn__rng_double(&rng) < 0.7 + 0.2 * tanh(tilt);
                b[i] = gn__rng_double(&rng) < 0.7 - 0.2 * tanh(tilt);
            }
        }
        CHECK_OK(gn__paired_right(ctx, a, b, N, group, 400, (uint64_t)run, &d, &err), err);
        CHECK(d.p_value > 0 && d.p_value <= 1);
        rejected += d.p_value <= 0.05;
        naive += gn__mcnemar(d.a_only, d.b_only) <= 0.05;
    }
    CHECK_NEAR((double)rejected / RUNS, 0.05, 0.03);
    CHECK((double)naive / RUNS > 0.1); /* what ignoring the groups would have done */
    gn_context_free(ctx);
}

/* Means over repeats: Student's test of the rows' differences, which for yes and no is near McNemar's. */
TEST(repeats_are_compared_by_their_means)
{
    enum { N = 200 };
    gn_context *ctx = context(1, 1);
    float a[N], b[N], near[N];
    gn_paired whole, mean;
    for (int i = 0; i < N; i++) {
        a[i] = i < 150, b[i] = i >= 20 && i < 140;
        near[i] = i == 199 ? 0.2F : a[i];
    }
    a[0] = NAN; /* not judged */
    CHECK_OK(gn_paired_correct(ctx, a, b, N, NULL, 400, 0, &whole, &err), err);
    CHECK_INT(whole.rows, N - 1);
    CHECK_INT(whole.a_only, 29);
    CHECK_NEAR(whole.difference.estimate, 29.0 / (N - 1), 1e-7);
    CHECK_OK(gn_paired_correct(ctx, near, b, N, NULL, 400, 0, &mean, &err), err);
    CHECK_NEAR(mean.difference.estimate, 30.2 / N, 1e-6);
    CHECK(mean.p_value < 1e-5 && mean.p_value > 0);
    CHECK(mean.difference.low > 0.09 && mean.difference.high < 0.22);
    gn_context_free(ctx);
}
