#include "detect/detect.h"
#include "test.h"

static gn_context *context(unsigned threads)
{
    gn_context *ctx = NULL;
    gn_error err = {0};
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = threads, .seed = 3}, &ctx, &err), err);
    return ctx;
}

static gn_matrix normals(size_t rows, size_t cols, double shift, double spread, uint64_t index)
{
    gn_matrix m;
    gn_error err = {0};
    CHECK_OK(gn_matrix_create(rows, cols, &m, &err), err);
    gn__rng r = gn__rng_make(4, gn__purpose("test/two-sample"), index);
    for (size_t i = 0; i < rows * cols; i++)
        m.data[i] = (float)(spread * gn__rng_normal(&r) + (i % cols == 0 ? shift : 0));
    return m;
}

static gn_shift run(gn_context *ctx, gn_test test, const gn_matrix *a, const gn_matrix *b,
                    size_t permutations, uint64_t purpose)
{
    gn_error err = {0};
    gn_shift shift;
    gn_detect_options o = {.permutations = permutations, .purpose = purpose, .test = test};
    CHECK_OK(gn_kernel_test(ctx, a, b, &o, &shift, &err), err);
    CHECK_STR(shift.method, gn_test_name(test));
    return shift;
}

TEST(elementary_functions_agree_with_libm)
{
    enum { N = 40001 };
    static float x[N], c[N], s[N], e[N];
    for (size_t i = 0; i < N; i++) x[i] = ((float)i - 20000) * 0.013F;
    gn__sincos(x, N, c, s);
    for (size_t i = 0; i < N; i++) {
        CHECK_NEAR(c[i], cos((double)x[i]), 4e-7);
        CHECK_NEAR(s[i], sin((double)x[i]), 4e-7);
        e[i] = -(float)i * 0.0022F;
    }
    gn__exp_negative(e, N);
    for (size_t i = 0; i < N; i++) {
        double wanted = exp(-(double)((float)i * 0.0022F));
        CHECK_NEAR(e[i], (float)i * 0.0022F < 87 ? wanted : 0, 3e-7 * wanted + 1e-38);
    }
}

TEST(labellings_have_the_right_sizes_and_both_forms_agree)
{
    gn_context *ctx = context(2);
    gn_error err = {0};
    static const size_t sizes[][2] = {{30, 7}, {7, 30}, {8, 8}};
    for (size_t k = 0; k < 3; k++) {
        gn__labels dense, sparse;
        size_t n_a = sizes[k][0], n_b = sizes[k][1];
        CHECK_OK(gn__labels_dense(ctx, n_a, n_b, 50, 1, &dense, &err), err);
        CHECK_OK(gn__labels_sparse(ctx, n_a, n_b, 50, 1, &sparse, &err), err);
        CHECK(dense.small_is_b == (n_b <= n_a) && dense.small == (n_b < n_a ? n_b : n_a));
        size_t count[50] = {0}, entries = 0, same_as_observed = 0;
        for (size_t i = 0; i < n_a + n_b; i++) {
            float out[50];
            gn__labels_expand(&dense, i, 1, 0, out);
            CHECK((out[0] == 1) == ((i >= n_a) == dense.small_is_b));
            for (size_t l = 0; l < 50; l++) count[l] += out[l] == 1;
            for (size_t l = 1; l < 50; l++) same_as_observed += out[l] == out[0];
            for (size_t e = sparse.start[i]; e < sparse.start[i + 1]; e++, entries++)
                CHECK(out[sparse.of[e]] == 1);
        }
        for (size_t l = 0; l < 50; l++) CHECK_INT(count[l], dense.small);
        CHECK_INT(entries, 50 * dense.small);
        CHECK(same_as_observed < 49 * (n_a + n_b) * 8 / 10);
        gn__labels_free(&dense), gn__labels_free(&sparse);
    }
    gn_context_free(ctx);
}

static double kernel_value(const gn__kernel *k, const float *x, const float *y, size_t dim)
{
    double square = 0, city = 0;
    for (size_t c = 0; c < dim; c++) {
        square += ((double)x[c] - (double)y[c]) * ((double)x[c] - (double)y[c]);
        city += fabs((double)x[c] - (double)y[c]);
    }
    return k->family == GN__GAUSS     ? exp(-square / (2 * k->bandwidth * k->bandwidth))
           : k->family == GN__LAPLACE ? exp(-sqrt(2) * city / k->bandwidth)
                                      : -sqrt(square);
}

/* V- and U-statistics of every labelling against the definitions, in low and high dimension, over several
 * blocks. */
TEST(pair_statistics_are_their_definitions)
{
    gn_context *ctx = context(2);
    gn_error err = {0};
    static const size_t dims[] = {3, 70};
    enum { A = 170, B = 90, N = A + B, L = 6 };
    for (size_t d = 0; d < 2; d++) {
        size_t dim = dims[d];
        gn_matrix x = normals(N, dim, 0, 1, 20 + d);
        const float *row[N];
        float *mean = gn__calloc(dim, sizeof *mean);
        for (size_t i = 0; i < N; i++) row[i] = x.data + i * dim;
        gn__sample s = {ctx, row, mean, N, A, dim, L, 5};
        gn__labels labels;
        CHECK_OK(gn__labels_dense(ctx, A, B, L, 5, &labels, &err), err);
        double h = sqrt((double)dim);
        gn__kernel kernel[] = {{GN__GAUSS, h, false},
                               {GN__LAPLACE, 2 * h * h, false},
                               {GN__GAUSS, 0.5 * h, false},
                               {GN__DISTANCE, 0, false}};
        double v[4 * L], u[4 * L], square[4];
        CHECK_OK(gn__pairs(&s, kernel, 4, v, NULL, &err), err);
        for (size_t w = 0; w < 4; w++) kernel[w].unbiased = true;
        CHECK_OK(gn__pairs(&s, kernel, 4, u, square, &err), err);
        for (size_t w = 0; w < 4; w++) {
            double squares = 0;
            for (size_t l = 0; l < L; l++) {
                double in[2] = {0}, between = 0;
                for (size_t i = 0; i < N; i++)
                    for (size_t j = 0; j < N; j++) {
                        if (i == j) continue;
                        double k = kernel_value(&kernel[w], row[i], row[j], dim);
                        int bi = labels.bits[i * labels.stride] >> l & 1,
                            bj = labels.bits[j * labels.stride] >> l & 1;
                        *(bi == bj ? &in[bi] : &between) += k;
                        if (l == 0) squares += k * k;
                    }
                double m = B, n = A, wanted_v = in[1] / (m * m) + in[0] / (n * n) - between / (m * n);
                double wanted_u = in[1] / (m * (m - 1)) + in[0] / (n * (n - 1)) - between / (m * n);
                double size = w == 3 ? h : 1;
                CHECK_NEAR(v[w * L + l], wanted_v, 2e-6 * size);
                CHECK_NEAR(u[w * L + l], wanted_u, 2e-6 * size);
            }
            CHECK_NEAR(square[w] / squares, 1, 1e-5);
        }
        gn__labels_free(&labels), gn_matrix_free(&x), free(mean);
    }
    gn_context_free(ctx);
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

TEST(distances_of_one_axis_are_their_definitions)
{
    gn_context *ctx = context(2);
    gn_matrix a = normals(60, 1, 0, 1, 1), b = normals(60, 1, 0.7, 1.3, 2);
    for (size_t i = 0; i < 60; i += 3) b.data[i] = a.data[i]; /* ties between the sets */
    gn_shift w = run(ctx, GN_TEST_SLICED_WASSERSTEIN, &a, &b, 99, 0),
             ks = run(ctx, GN_TEST_KS, &a, &b, 99, 0);
    gn_shift energy = run(ctx, GN_TEST_ENERGY, &a, &b, 99, 0);
    double wasserstein = 0, largest = 0, e = 0;
    for (size_t i = 0; i < 60; i++)
        for (size_t j = 0; j < 60; j++)
            e += (2 * fabs((double)a.data[i] - (double)b.data[j]) -
                  fabs((double)a.data[i] - (double)a.data[j]) - fabs((double)b.data[i] - (double)b.data[j])) /
                 3600;
    for (size_t i = 0; i < 120; i++) {
        float at = i < 60 ? a.data[i] : b.data[i - 60];
        double below[2] = {0};
        for (size_t j = 0; j < 60; j++) below[0] += a.data[j] <= at, below[1] += b.data[j] <= at;
        largest = fmax(largest, fabs(below[0] - below[1]) / 60);
    }
    qsort(a.data, 60, sizeof(float), ascending);
    qsort(b.data, 60, sizeof(float), ascending);
    for (size_t i = 0; i < 60; i++) wasserstein += fabs((double)a.data[i] - (double)b.data[i]) / 60;
    CHECK_NEAR(w.statistic, wasserstein, 1e-5);
    CHECK_NEAR(ks.statistic, largest, 1e-6);
    CHECK_NEAR(energy.statistic, e, 1e-5);
    gn_matrix_free(&a), gn_matrix_free(&b);
    gn_context_free(ctx);
}

/* Null simulations with 19 permutations: each test rejects with probability 1/20 exactly. The last column is
 * one of two values, so that ties occur. */
TEST(every_test_holds_its_level)
{
    enum { SIMS = 200 };
    gn_context *ctx = context(2);
    static const size_t sizes[][2] = {{50, 30}, {25, 60}};
    for (int t = 1; t < GN_TEST_COUNT; t++)
        for (size_t k = 0; k < 2; k++) {
            size_t rejected = 0;
            for (uint64_t s = 0; s < SIMS; s++) {
                gn_matrix a = normals(sizes[k][0], 4, 0, 1, 1000 + 2 * s),
                          b = normals(sizes[k][1], 4, 0, 1, 1001 + 2 * s);
                for (size_t i = 3; i < a.rows * 4; i += 4) a.data[i] = a.data[i] > 0;
                for (size_t i = 3; i < b.rows * 4; i += 4) b.data[i] = b.data[i] > 0;
                rejected += run(ctx, (gn_test)t, &a, &b, 19, s).p_value <= 0.05;
                gn_matrix_free(&a), gn_matrix_free(&b);
            }
            if (rejected > 21)
                test_fail(__FILE__, __LINE__, "%s: %zu of %d", gn_test_name((gn_test)t), rejected, SIMS);
            CHECK(rejected >=
                  1); /* 21: the 99.9 % point of Binomial(200, 0.05); 1: 0.1 % is 2, ties cost a little */
        }
    gn_context_free(ctx);
}

TEST(every_test_finds_what_it_is_for)
{
    gn_context *ctx = context(2);
    gn_matrix a = normals(300, 6, 0, 1, 1), moved = normals(200, 6, 0.8, 1, 2),
              wide = normals(200, 6, 0, 1.4, 3);
    for (int t = 1; t < GN_TEST_COUNT; t++) {
        CHECK_NEAR(run(ctx, (gn_test)t, &a, &moved, 199, 0).p_value, 0.005, 1e-9);
        gn_shift w = run(ctx, (gn_test)t, &a, &wide, 199, 0);
        if (t == GN_TEST_C2ST)
            CHECK(w.statistic < 0.6); /* its boundary is linear */
        else if (t != GN_TEST_KS)
            CHECK_NEAR(w.p_value, 0.005, 1e-9);
    }
    /* The column that moved. */
    gn_error err = {0};
    gn_test_result all[GN_TESTS];
    for (size_t i = 0; i < 200; i++) moved.data[i * 6] -= 0.8F, moved.data[i * 6 + 4] += 1;
    CHECK_OK(gn_test_all(ctx, &a, &moved, &(gn_detect_options){.permutations = 199}, all, &err), err);
    for (size_t k = 0; k < GN_TESTS; k++) {
        CHECK_STR(all[k].method, gn_test_name((gn_test)(k + 1)));
        CHECK_NEAR(all[k].p_holm, 0.005 * GN_TESTS, 1e-9);
        CHECK_INT(all[k].axis, all[k].test == GN_TEST_KS ? 4 : 0);
    }
    CHECK(all[GN_TEST_C2ST - 1].statistic > 0.65 && all[GN_TEST_C2ST - 1].statistic < 0.85);
    gn_detect_options bad = {.test = GN_TEST_COUNT};
    gn_shift shift;
    CHECK_INT(gn_kernel_test(ctx, &a, &moved, &bad, &shift, &err), GN_INVALID_ARGUMENT);
    CHECK(gn_test_name(GN_TEST_COUNT) == NULL);
    gn_matrix_free(&a), gn_matrix_free(&moved), gn_matrix_free(&wide);
    gn_context_free(ctx);
}

/* Every test's p-value and gn_detect's AUCs on one pair: finite and in range, whatever the data. */
static void check_sound(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, const uint32_t *group_a,
                        const uint32_t *group_b, double p[GN_TESTS], gn_shift *shift)
{
    gn_error err = {0};
    gn_test_result all[GN_TESTS];
    gn_detect_options o = {.permutations = 39, .group_a = group_a, .group_b = group_b, .allow_part = true};
    CHECK_OK(gn_test_all(ctx, a, b, &o, all, &err), err);
    for (size_t k = 0; k < GN_TESTS; k++) {
        CHECK(all[k].p_value >= 0.025 - 1e-9 && all[k].p_value <= 1 && isfinite(all[k].statistic));
        p[k] = all[k].p_value;
    }
    CHECK_OK(gn_detect(ctx, a, b, &o, shift, NULL, NULL, &err), err);
    const gn_interval auc[] = {shift->auc, shift->auc_curved};
    for (int k = 0; k < 2; k++)
        CHECK(auc[k].low >= 0 && auc[k].low <= auc[k].estimate && auc[k].estimate <= auc[k].high &&
              auc[k].high <= 1);
}

TEST(extreme_shapes_and_degenerate_data)
{
    gn_context *ctx = context(2);
    double p[GN_TESTS];
    gn_shift shift;
    /* Twenty rows of 8192 columns; twenty against many, of two columns. */
    static const size_t shape[][3] = {{20, 20, 8192}, {20, 6000, 2}, {6000, 20, 2}};
    for (size_t k = 0; k < 3; k++) {
        gn_matrix a = normals(shape[k][0], shape[k][2], 0, 1, 50 + k),
                  b = normals(shape[k][1], shape[k][2], 0, 1, 60 + k);
        for (size_t i = 0; i < b.rows * b.cols; i++) b.data[i] += 3;
        check_sound(ctx, &a, &b, NULL, NULL, p, &shift);
        for (size_t t = 0; t < GN_TESTS; t++)
            CHECK_NEAR(p[t], 0.025, 1e-9); /* three deviations apart in every column */
        CHECK_INT(shift.answer, GN_SHIFT_DIFFERENT);
        gn_matrix_free(&a), gn_matrix_free(&b);
    }
    /* Every row the same: no test may find anything. */
    gn_matrix a = normals(50, 5, 0, 0, 1), b = normals(40, 5, 0, 0, 2);
    check_sound(ctx, &a, &b, NULL, NULL, p, &shift);
    for (size_t t = 0; t < GN_TESTS; t++) CHECK_NEAR(p[t], 1, 1e-12);
    CHECK(shift.answer != GN_SHIFT_DIFFERENT);
    /* One column varies, the others are constant: found all the same, and by its number. */
    for (size_t i = 0; i < 50; i++) a.data[i * 5 + 3] = (float)(i % 7);
    for (size_t i = 0; i < 40; i++) b.data[i * 5 + 3] = (float)(i % 7 + 5);
    check_sound(ctx, &a, &b, NULL, NULL, p, &shift);
    for (size_t t = 0; t < GN_TESTS; t++) CHECK_NEAR(p[t], 0.025, 1e-9);
    CHECK_INT(shift.answer, GN_SHIFT_DIFFERENT);
    gn_matrix_free(&a), gn_matrix_free(&b);
    gn_context_free(ctx);
}

/* Three values a column, so that nearly every distance and rank is tied; and groups of four copies on either
 * side or both: rejections in 60 simulations at 5 %, 99.99 % point of the binomial law. */
TEST(ties_and_groups_hold_the_level)
{
    gn_context *ctx = context(2);
    for (int world = 0; world < 4; world++) {
        size_t rejected[GN_TESTS] = {0};
        for (uint64_t s = 0; s < 60; s++) {
            gn_matrix a = normals(80, 3, 0, 1, 7000 + 2 * s), b = normals(60, 3, 0, 1, 7001 + 2 * s);
            uint32_t group[2][80];
            gn_error err = {0};
            gn_test_result all[GN_TESTS];
            for (int side = 0; side < 2; side++) {
                gn_matrix *x = side ? &b : &a;
                for (size_t i = 0; i < x->rows; i++)
                    for (size_t j = 0; j < 3; j++) {
                        float *v = &x->data[i * 3 + j];
                        if (world == 0) *v = *v > 1 ? 1.0F : *v < -1 ? -1.0F : 0.0F;
                        if (world & (1 << side)) *v = 0.1F * *v + x->data[i / 4 * 4 * 3 + j];
                        group[side][i] = (uint32_t)(i / (world & (1 << side) ? 4 : 1));
                    }
            }
            gn_detect_options o = {.permutations = 19, .purpose = s, .min_rows = 4, .allow_part = true};
            o.group_a = world > 0 ? group[0] : NULL;
            o.group_b = world > 0 ? group[1] : NULL;
            CHECK_OK(gn_test_all(ctx, &a, &b, &o, all, &err), err);
            for (size_t t = 0; t < GN_TESTS; t++) rejected[t] += all[t].p_value <= 0.05;
            gn_matrix_free(&a), gn_matrix_free(&b);
        }
        for (size_t t = 0; t < GN_TESTS; t++) CHECK(rejected[t] <= 11);
    }
    gn_context_free(ctx);
}

/* One pass for all is each one's own, to the bit. */
TEST(all_tests_together_are_each_alone)
{
    gn_context *ctx = context(2);
    gn_error err = {0};
    gn_matrix a = normals(210, 40, 0, 1, 1), b = normals(90, 40, 0.1, 1, 2);
    gn_test_result all[GN_TESTS];
    gn_detect_options o = {.permutations = 60, .purpose = 3};
    CHECK_OK(gn_test_all(ctx, &a, &b, &o, all, &err), err);
    for (size_t k = 0; k < GN_TESTS; k++) {
        gn_shift one = run(ctx, (gn_test)(k + 1), &a, &b, 60, 3);
        CHECK(one.p_value == all[k].p_value && one.statistic == all[k].statistic);
    }
    gn_matrix_free(&a), gn_matrix_free(&b);
    gn_context_free(ctx);
}

/* Against qsort, with ties, both signs, and both zeros; stable. */
TEST(items_are_sorted_by_value)
{
    static const size_t sizes[] = {0, 1, 2, 255, 5000};
    gn__rng r = gn__rng_make(4, 0, 0);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        size_t n = sizes[k];
        float *x = gn__calloc(n + 1, sizeof *x), *sorted = gn__calloc(n + 1, sizeof *sorted);
        uint64_t *item = gn__calloc(2 * n + 1, sizeof *item);
        for (size_t i = 0; i < n; i++) {
            double v = gn__rng_normal(&r);
            x[i] = sorted[i] = i % 3 == 0 ? (float)round(2 * v) : (float)(v * pow(10, (double)(i % 60) - 30));
            item[i] = gn__sort_item(x[i], (uint32_t)i);
            CHECK(gn__sorted_value(item[i]) == x[i]);
        }
        qsort(sorted, n, sizeof *sorted, ascending);
        const uint64_t *out = gn__sort_items(item, item + n, n);
        for (size_t i = 0; i < n; i++) {
            CHECK(gn__sorted_value(out[i]) == sorted[i] && x[gn__sorted_row(out[i])] == sorted[i]);
            if (i > 0 && out[i] >> 32 == out[i - 1] >> 32)
                CHECK(gn__sorted_row(out[i]) > gn__sorted_row(out[i - 1]));
        }
        free(x), free(sorted), free(item);
    }
}

/* Bins of several rows (both sets above 2048 rows), and the sparse sums (a small part of many). */
TEST(random_features_at_size)
{
    gn_context *ctx = context(2);
    static const size_t sizes[][2] = {{4500, 3300}, {3000, 60}, {60, 3000}};
    for (size_t k = 0; k < 3; k++) {
        size_t rejected = 0;
        for (uint64_t s = 0; s < 12; s++) {
            gn_matrix a = normals(sizes[k][0], 2, 0, 1, 3000 + 2 * s),
                      b = normals(sizes[k][1], 2, 0, 1, 3001 + 2 * s);
            /* sorted files must not matter */
            if (k == 0) qsort(b.data, b.rows, 2 * sizeof(float), ascending);
            rejected += run(ctx, GN_TEST_MMD_RFF, &a, &b, 19, s).p_value <= 0.05;
            gn_matrix_free(&a), gn_matrix_free(&b);
        }
        CHECK(rejected <= 4); /* 99.9 % point of Binomial(12, 0.05) */
        gn_matrix a = normals(sizes[k][0], 2, 0, 1, 9),
                  b = normals(sizes[k][1], 2, k == 0 ? 0.15 : 0.8, 1, 10);
        CHECK_NEAR(run(ctx, GN_TEST_MMD_RFF, &a, &b, 99, 0).p_value, 0.01, 1e-9);
        gn_matrix_free(&a), gn_matrix_free(&b);
    }
    gn_context_free(ctx);
}

TEST(two_sample_bits_do_not_depend_on_threads)
{
    gn_matrix a = normals(400, 40, 0, 1, 1), b = normals(150, 40, 0.3, 1, 2);
    gn_context *one = context(1), *three = context(3);
    for (int t = 1; t < GN_TEST_COUNT; t++) {
        gn_shift x = run(one, (gn_test)t, &a, &b, 60, 0), y = run(three, (gn_test)t, &a, &b, 60, 0);
        CHECK(x.p_value == y.p_value && x.statistic == y.statistic);
    }
    gn_matrix_free(&a), gn_matrix_free(&b);
    gn_context_free(one), gn_context_free(three);
}

/* The same mean, another spread: no linear classifier sees it, so the linear AUC alone would call it
 * equivalent. */
TEST(a_curved_shift_is_not_called_equivalent)
{
    gn_context *ctx = context(2);
    gn_error err = {0};
    gn_shift shift;
    gn_matrix a = normals(1200, 5, 0, 1, 1), b = normals(1200, 5, 0, 1.5, 2),
              same = normals(1200, 5, 0, 1, 3);
    gn_detect_options o = {.permutations = 199};
    CHECK_OK(gn_detect(ctx, &a, &b, &o, &shift, NULL, NULL, &err), err);
    CHECK(shift.auc.high < 0.6);
    CHECK_INT(shift.answer, GN_SHIFT_DIFFERENT);
    /* The best possible: the squared lengths are chi-squared with 5 degrees of freedom, one times 2.25:
     * P(F(5, 5) < 2.25). */
    CHECK_NEAR(shift.auc_curved.estimate, 0.80287, 0.03);
    gn_shift_adjust(&shift, 0.2);
    CHECK_INT(shift.answer, GN_SHIFT_NOT_ENOUGH_DATA);
    CHECK(shift.rows_needed > 1200);
    CHECK_OK(gn_detect(ctx, &a, &same, &o, &shift, NULL, NULL, &err), err);
    CHECK_INT(shift.answer, GN_SHIFT_EQUIVALENT);
    CHECK(shift.auc_curved.high < 0.6);
    gn_matrix_free(&a), gn_matrix_free(&b), gn_matrix_free(&same);
    gn_context_free(ctx);
}

TEST(pairs_of_several_sets)
{
    gn_context *ctx = context(2);
    gn_error err = {0};
    gn_shift pair[3];
    gn_matrix set[3] = {normals(150, 3, 0, 1, 1), normals(150, 3, 0, 1, 2), normals(150, 3, 2, 1, 3)};
    CHECK_OK(gn_detect_pairs(ctx, set, 3, NULL, &(gn_detect_options){.permutations = 99}, pair, &err), err);
    CHECK(pair[0].p_value > 0.05 && pair[0].answer != GN_SHIFT_DIFFERENT);
    CHECK(pair[1].answer == GN_SHIFT_DIFFERENT && pair[2].answer == GN_SHIFT_DIFFERENT);
    CHECK_INT(pair[0].permutations, 599); /* enough for Holm */
    CHECK_NEAR(pair[1].p_holm, 3.0 / 600, 1e-9);
    CHECK(pair[2].p_holm >= pair[1].p_holm && pair[0].p_holm == pair[0].p_value);
    CHECK_INT(gn_detect_pairs(ctx, set, 1, NULL, NULL, pair, &err), GN_INVALID_ARGUMENT);
    for (size_t k = 0; k < 3; k++) gn_matrix_free(&set[k]);
    gn_context_free(ctx);
}

TEST(a_part_of_the_other_set_is_refused)
{
    gn_context *ctx = context(2);
    gn_error err = {0};
    gn_shift shift;
    gn_matrix a = normals(120, 3, 0, 1, 1), b = normals(60, 3, 0, 1, 2);
    gn_detect_options o = {.permutations = 19};
    memcpy(b.data, a.data + 30 * 3, 60 * 3 * sizeof(float));
    CHECK_INT(gn_detect(ctx, &a, &b, &o, &shift, NULL, NULL, &err), GN_DATA);
    CHECK_HAS(err.message, "all 60 rows of the second set");
    CHECK_INT(gn_detect(ctx, &b, &a, &o, &shift, NULL, NULL, &err), GN_DATA);
    CHECK_HAS(err.message, "of the first set");
    o.allow_part = true;
    CHECK_OK(gn_detect(ctx, &a, &b, &o, &shift, NULL, NULL, &err), err);
    o.allow_part = false;
    b.data[5] += 1; /* one row of its own */
    CHECK_OK(gn_detect(ctx, &a, &b, &o, &shift, NULL, NULL, &err), err);
    for (size_t i = 0; i < 120 * 3; i++)
        a.data[i] = a.data[i] > 0; /* eight distinct rows: ties, not copies */
    for (size_t i = 0; i < 60 * 3; i++) b.data[i] = b.data[i] > 0;
    CHECK_OK(gn_detect(ctx, &a, &b, &o, &shift, NULL, NULL, &err), err);
    gn_matrix_free(&a), gn_matrix_free(&b);
    gn_context_free(ctx);
}

/* Normals of one dimension d apart: with a Gaussian kernel of bandwidth h, E k is r within a set and
 * r exp(-d^2 / (2 (h^2 + 2))) between, r = 1 / sqrt(1 + 2 / h^2). */
TEST(equivalence_agrees_with_its_closed_form)
{
    gn_context *ctx = context(2);
    gn_error err = {0};
    gn_equivalence e;
    gn_matrix a = normals(4000, 1, 0, 1, 1), b = normals(4000, 1, 1, 1, 2), c = normals(4000, 1, 0, 1, 3);
    CHECK_OK(gn_equivalence_test(ctx, &a, &b, NULL, 0.02, &e, &err), err);
    double h2 = e.bandwidth * e.bandwidth, r = 1 / sqrt(1 + 2 / h2),
           truth = 2 * r * (1 - exp(-1 / (2 * (h2 + 2)))) / (4 - 2 * r);
    CHECK_NEAR(e.namd, truth, 0.06 * truth);
    CHECK(e.upper > e.namd && e.upper < 1.2 * e.namd && !e.equivalent);
    CHECK_OK(gn_equivalence_test(ctx, &a, &c, NULL, 0.02, &e, &err), err);
    CHECK(fabs(e.namd) < 0.001 && e.equivalent && e.tolerance == 0.02);
    gn_matrix few = {a.data, 3, 1};
    CHECK_INT(gn_equivalence_test(ctx, &few, &b, NULL, 0.02, &e, &err), GN_DATA);
    CHECK_INT(gn_equivalence_test(ctx, &a, &b, NULL, 0, &e, &err), GN_INVALID_ARGUMENT);
    /* Its level where the truth is the tolerance. */
    size_t claimed = 0;
    for (uint64_t s = 0; s < 200; s++) {
        gn_matrix x = normals(150, 1, 0, 1, 500 + 2 * s), y = normals(150, 1, 0.6, 1, 501 + 2 * s);
        CHECK_OK(gn_equivalence_test(ctx, &x, &y, &(gn_detect_options){.purpose = s}, 1, &e, &err), err);
        h2 = e.bandwidth * e.bandwidth, r = 1 / sqrt(1 + 2 / h2);
        claimed += e.upper < 2 * r * (1 - exp(-0.36 / (2 * (h2 + 2)))) / (4 - 2 * r);
        gn_matrix_free(&x), gn_matrix_free(&y);
    }
    CHECK(claimed <= 21); /* 99.9 % point of Binomial(200, 0.05) */
    gn_matrix_free(&a), gn_matrix_free(&b), gn_matrix_free(&c);
    gn_context_free(ctx);
}

TEST(scores_are_their_definitions)
{
    gn_context *ctx = context(2);
    gn_error err = {0};
    gn_shift_scores s;
    enum { N = 80, M = 50, D = 2, K = 5 };
    gn_matrix a = normals(N, D, 0, 1, 1), b = normals(M, D, 1, 0.6, 2);
    CHECK_OK(gn_reference_scores(ctx, &a, &b, NULL, &s, &err), err);
    /* Of 2 x 2 matrices: trace of the root of S1 S2 = sqrt(trace + 2 sqrt(det)). */
    double mean[2][D] = {{0}}, cov[2][D][D] = {{{0}}};
    const gn_matrix *set[2] = {&a, &b};
    for (int t = 0; t < 2; t++) {
        double n = (double)set[t]->rows;
        for (size_t i = 0; i < set[t]->rows; i++)
            for (size_t j = 0; j < D; j++) mean[t][j] += (double)set[t]->data[i * D + j] / n;
        for (size_t i = 0; i < set[t]->rows; i++)
            for (size_t j = 0; j < D; j++)
                for (size_t k = 0; k < D; k++)
                    cov[t][j][k] += ((double)set[t]->data[i * D + j] - mean[t][j]) *
                                    ((double)set[t]->data[i * D + k] - mean[t][k]) / (n - 1);
    }
    double trace = 0, det = 1, wanted = 0;
    for (int j = 0; j < D; j++)
        for (int k = 0; k < D; k++) trace += cov[0][j][k] * cov[1][k][j];
    for (int t = 0; t < 2; t++) {
        det *= cov[t][0][0] * cov[t][1][1] - cov[t][0][1] * cov[t][1][0];
        wanted += cov[t][0][0] + cov[t][1][1];
    }
    for (int j = 0; j < D; j++) wanted += (mean[0][j] - mean[1][j]) * (mean[0][j] - mean[1][j]);
    CHECK_NEAR(s.frechet, wanted - 2 * sqrt(trace + 2 * sqrt(det)), 1e-9);
    /* Manifolds by the definitions. */
    double precision = 0, recall = 0, density = 0, coverage = 0, radius[2][N];
#define DISTANCE(p, i, q, j)                             \
    hypot((double)((p)->data[(i)*D] - (q)->data[(j)*D]), \
          (double)((p)->data[(i)*D + 1] - (q)->data[(j)*D + 1]))
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; i < set[t]->rows; i++) {
            float all[N];
            for (size_t j = 0; j < set[t]->rows; j++) all[j] = (float)DISTANCE(set[t], i, set[t], j);
            qsort(all, set[t]->rows, sizeof *all, ascending);
            radius[t][i] = (double)all[K]; /* all[0] is the row itself */
        }
    for (size_t j = 0; j < M; j++) {
        size_t balls = 0;
        for (size_t i = 0; i < N; i++) balls += DISTANCE(&a, i, &b, j) <= radius[0][i];
        precision += (double)(balls > 0) / M;
        density += (double)balls / M / K;
    }
    for (size_t i = 0; i < N; i++) {
        bool in = false, covered = false;
        for (size_t j = 0; j < M; j++) {
            in = in || DISTANCE(&a, i, &b, j) <= radius[1][j];
            covered = covered || DISTANCE(&a, i, &b, j) <= radius[0][i];
        }
        recall += (double)in / N;
        coverage += (double)covered / N;
    }
    CHECK_NEAR(s.precision, precision, 1e-9);
    CHECK_NEAR(s.recall, recall, 1e-9);
    CHECK_NEAR(s.density, density, 1e-9);
    CHECK_NEAR(s.coverage, coverage, 1e-9);
    CHECK(s.neighbours == K && s.rows_a == N && s.rows_b == M);
    gn_matrix few = {a.data, 5, D};
    CHECK_INT(gn_reference_scores(ctx, &few, &b, NULL, &s, &err), GN_DATA);
    gn_matrix_free(&a), gn_matrix_free(&b);
    gn_context_free(ctx);
}

/* More units than the tests over all pairs take. */
TEST(large_sets_are_thinned_for_the_tests_over_pairs)
{
    gn_context *ctx = context(2);
    gn_matrix a = normals(5600, 2, 0, 1, 1), b = normals(40, 2, 2, 1, 2);
    CHECK_NEAR(run(ctx, GN_TEST_ENERGY, &a, &b, 19, 0).p_value, 0.05, 1e-9);
    CHECK_NEAR(run(ctx, GN_TEST_KS, &b, &a, 19, 0).p_value, 0.05, 1e-9);
    gn_matrix_free(&a), gn_matrix_free(&b);
    gn_context_free(ctx);
}
