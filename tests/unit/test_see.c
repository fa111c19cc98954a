#include "core/core.h"
#include "genchi/see.h"
#include "golden_text.h"
#include "tensor/bounded.h"
#include "test.h"

static const char *const golden = "tests/golden/see/see.txt";

static gn_context *context(unsigned threads)
{
    gn_context *ctx = NULL;
    gn_error err = {0};
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = threads, .seed = 4}, &ctx, &err), err);
    return ctx;
}

/* n normal numbers with the given mean; every stride-th one is shifted. */
static double *normals(size_t n, size_t stride, double shift, uint64_t index)
{
    double *x = gn__calloc(n, sizeof *x);
    gn__rng r = gn__rng_make(1, gn__purpose("test/see"), index);
    CHECK(x != NULL);
    for (size_t i = 0; i < n; i++) x[i] = gn__rng_normal(&r) + (i % stride == 0 ? shift : 0);
    return x;
}

/* Overlap of N(0, 1) and N(shift, 1). */
static double normal_overlap(double shift)
{
    return erfc(shift / (2 * sqrt(2.0)));
}

/* ---- principal components ---------------------------------------------------------------------- */

TEST(pca_agrees_with_numpy)
{
    size_t cells, n, k;
    float *data = golden_read_float(golden, "pca_x", &cells);
    double *weight = golden_read(golden, "pca_weight", &n);
    double *mean = golden_read(golden, "pca_mean", &k), *direction = golden_read(golden, "pca_direction", &k);
    double *variance = golden_read(golden, "pca_variance", &k), *total = golden_read(golden, "pca_total", &k);
    double *projected = golden_read(golden, "pca_projected", &k);
    gn_matrix x = {data, n, cells / n}, out;
    gn_pca pca;
    gn_error err = {0};
    gn_context *ctx = context(2);
    CHECK_OK(gn_pca_fit(ctx, &x, weight, 4, &pca, &err), err);
    CHECK_INT(pca.components, 4);
    CHECK_NEAR(pca.total_variance, *total, 1e-5 * *total);
    for (size_t j = 0; j < x.cols; j++) CHECK_NEAR(pca.mean[j], mean[j], 1e-6);
    for (size_t c = 0; c < 4; c++) CHECK_NEAR(pca.variance[c], variance[c], 1e-5 * variance[0]);
    for (size_t j = 0; j < 4 * x.cols; j++) CHECK_NEAR(pca.direction[j], direction[j], 1e-5);
    CHECK_OK(gn_pca_project(ctx, &pca, &x, &out, &err), err);
    CHECK(out.rows == n && out.cols == 4);
    for (size_t j = 0; j < n * 4; j++) CHECK_NEAR(out.data[j], projected[j], 1e-4);
    gn_matrix_free(&out);
    gn_pca_free(&pca);
    gn_context_free(ctx);
    free(data), free(weight), free(mean), free(direction), free(variance), free(total), free(projected);
}

/* The one-pass sums in float32 against the definition in double: far off the origin, on scales whose squares
 * leave float32, sorted so that the rows which give the centre say little, over several pieces and panels. */
TEST(pca_keeps_its_digits)
{
    enum { N = 1700, D = 140, K = 6 };
    gn_context *ctx = NULL;
    gn_error err = {0};
    CHECK_OK(gn_context_create(NULL, &ctx, &err), err);
    static const double scales[] = {1, 1e-24, 1e21};
    gn_matrix x;
    CHECK_OK(gn_matrix_create(N, D, &x, &err), err);
    double *weight = gn__calloc(N, sizeof *weight), *c = gn__calloc(D * D, sizeof *c), mean[D];
    for (size_t t = 0; t < 3; t++)
        for (int weighted = 0; weighted < 2; weighted++) {
            gn__rng r = gn__rng_make(1, gn__purpose("test/pca-digits"), 0);
            double total = 0, trace = 0;
            for (size_t i = 0; i < N; i++) {
                double drift = 4.0 * (double)i / N;
                weight[i] = gn__rng_double(&r) * 1e-7;
                total += weighted ? weight[i] : 1;
                for (size_t j = 0; j < D; j++)
                    x.data[i * D + j] = (float)(scales[t] * (300 + drift * (double)(j % 3) +
                                                             gn__rng_normal(&r) / (1 + 0.3 * (double)j)));
            }
            memset(mean, 0, sizeof mean);
            memset(c, 0, D * D * sizeof *c);
            for (size_t i = 0; i < N; i++)
                for (size_t j = 0; j < D; j++)
                    mean[j] += (weighted ? weight[i] : 1) / total * (double)x.data[i * D + j] / scales[t];
            for (size_t i = 0; i < N; i++) {
                double z[D], w = (weighted ? weight[i] : 1) / total;
                for (size_t j = 0; j < D; j++) z[j] = (double)x.data[i * D + j] / scales[t] - mean[j];
                for (size_t j = 0; j < D; j++)
                    for (size_t k = 0; k < D; k++) c[j * D + k] += w * z[j] * z[k];
            }
            for (size_t j = 0; j < D; j++) trace += c[j * D + j];
            gn_pca pca;
            CHECK_OK(gn_pca_fit(ctx, &x, weighted ? weight : NULL, K, &pca, &err), err);
            double square = scales[t] * scales[t];
            CHECK_NEAR(pca.total_variance / square, trace, 2e-6 * trace);
            for (size_t j = 0; j < D; j++) CHECK_NEAR((double)pca.mean[j] / scales[t], mean[j], 4e-5);
            for (size_t k = 0; k < K; k++) {
                const float *v = pca.direction + k * D;
                double remains = 0;
                for (size_t i = 0; i < D; i++) {
                    double sum = 0;
                    for (size_t j = 0; j < D; j++) sum += c[i * D + j] * (double)v[j];
                    sum -= pca.variance[k] / square * (double)v[i];
                    remains += sum * sum;
                }
                CHECK(sqrt(remains) < 3e-6 * trace);
            }
            gn_pca_free(&pca);
        }
    x.data[1321 * D + 7] = NAN; /* far from the rows that give the centre */
    gn_pca none;
    CHECK(gn_pca_fit(ctx, &x, NULL, K, &none, &err) == GN_DATA && strstr(err.message, "1321") != NULL);
    for (size_t j = 0; j < D; j++) x.data[1321 * D + j] = j % 2 ? 3e38F : -3e38F;
    for (size_t i = 0; i < N * D; i++)
        if (i / D != 1321) x.data[i] = (float)(i % 7);
    CHECK(gn_pca_fit(ctx, &x, NULL, K, &none, &err) == GN_NUMERIC);
    free(weight), free(c), gn_matrix_free(&x);
    gn_context_free(ctx);
}

TEST(pca_degenerate_inputs)
{
    gn_context *ctx = context(1);
    gn_error err = {0};
    gn_pca pca;
    /* Two rows of three columns, one constant: the closed form is the difference. */
    float two[] = {1, 5, 2, 3, 5, 2.5F};
    CHECK_OK(gn_pca_fit(ctx, &(gn_matrix){two, 2, 3}, NULL, 9, &pca, &err), err);
    CHECK_INT(pca.components, 2);
    CHECK_NEAR(pca.variance[0], (4 + 0.25) / 4, 1e-6);
    CHECK_NEAR(pca.variance[1], 0, 1e-12);
    CHECK_NEAR(pca.direction[0], 2 / sqrt(4.25), 1e-6);
    CHECK_NEAR(pca.direction[1], 0, 1e-6);
    gn_matrix wrong = {two, 3, 2}, out;
    CHECK_INT(gn_pca_project(ctx, &pca, &wrong, &out, &err), GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "has 2 columns");
    gn_pca_free(&pca);
    /* All rows the same. */
    float same[] = {7, 7, 7, 7, 7, 7};
    CHECK_OK(gn_pca_fit(ctx, &(gn_matrix){same, 3, 2}, NULL, 2, &pca, &err), err);
    CHECK(pca.variance[0] < 1e-20 && pca.total_variance < 1e-20);
    CHECK_NEAR(hypot(pca.direction[0], pca.direction[1]), 1, 1e-6);
    gn_pca_free(&pca);
    double none[] = {0, 0, 0}, negative[] = {1, -1, 1};
    CHECK_INT(gn_pca_fit(ctx, &(gn_matrix){same, 3, 2}, none, 2, &pca, &err), GN_DATA);
    CHECK_HAS(err.message, "weigh nothing");
    CHECK_INT(gn_pca_fit(ctx, &(gn_matrix){same, 3, 2}, negative, 2, &pca, &err), GN_DATA);
    CHECK_HAS(err.message, "weight of row 1 is -1");
    CHECK_INT(gn_pca_fit(ctx, &(gn_matrix){same, 1, 6}, NULL, 2, &pca, &err), GN_DATA);
    CHECK_HAS(err.message, "at least two rows");
    CHECK_INT(gn_pca_fit(ctx, &(gn_matrix){same, 3, 2}, NULL, 0, &pca, &err), GN_INVALID_ARGUMENT);
    same[3] = NAN;
    CHECK_INT(gn_pca_fit(ctx, &(gn_matrix){same, 3, 2}, NULL, 2, &pca, &err), GN_DATA);
    CHECK_HAS(err.message, "row 1, column 1");
    gn_context_free(ctx);
}

TEST(pca_weights_count_as_copies_and_threads_do_not_count)
{
    enum { N = 3000, D = 20 };
    double *v = normals(N * D, 7, 2, 3);
    float *x = gn__calloc(2 * N * D, sizeof *x);
    double *weight = gn__calloc(N, sizeof *weight);
    size_t copies = 0;
    for (size_t i = 0; i < N * D; i++) v[i] *= 1 + (double)(i % D);
    for (size_t i = 0; i < N; i++) weight[i] = 1 + (double)(i % 2);
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < 1 + i % 2; k++, copies++)
            for (size_t j = 0; j < D; j++) x[copies * D + j] = (float)v[i * D + j];
    gn_pca copied, weighted[2];
    gn_error err = {0};
    for (unsigned t = 0; t < 2; t++) {
        gn_context *ctx = context(t + 1);
        if (t == 0) CHECK_OK(gn_pca_fit(ctx, &(gn_matrix){x, copies, D}, NULL, 3, &copied, &err), err);
        float *once = gn__calloc(N * D, sizeof *once);
        for (size_t i = 0; i < N * D; i++) once[i] = (float)v[i];
        CHECK_OK(gn_pca_fit(ctx, &(gn_matrix){once, N, D}, weight, 3, &weighted[t], &err), err);
        free(once);
        gn_context_free(ctx);
    }
    for (size_t c = 0; c < 3; c++)
        CHECK_NEAR(copied.variance[c], weighted[0].variance[c], 1e-6 * copied.variance[0]);
    CHECK(memcmp(weighted[0].direction, weighted[1].direction, 3 * D * sizeof(float)) == 0);
    CHECK(memcmp(weighted[0].variance, weighted[1].variance, 3 * sizeof(double)) == 0);
    gn_pca_free(&copied), gn_pca_free(&weighted[0]), gn_pca_free(&weighted[1]);
    free(v), free(x), free(weight);
}

/* ---- bandwidths and densities ------------------------------------------------------------------ */

TEST(bandwidths_agree_with_the_reference)
{
    static const char *const name[] = {"normal", "bimodal", "skewed", "small"};
    for (size_t k = 0; k < 4; k++) {
        char key[64];
        size_t n, one;
        gn_error err = {0};
        double h, *x = golden_read(golden, name[k], &n);
        snprintf(key, sizeof key, "%s_isj", name[k]);
        double *isj = golden_read(golden, key, &one);
        snprintf(key, sizeof key, "%s_silverman", name[k]);
        double *silverman = golden_read(golden, key, &one);
        CHECK_OK(gn_kde_bandwidth(x, n, GN_BANDWIDTH_ISJ, &h, &err), err);
        CHECK_NEAR(h, *isj, 1e-6 * *isj);
        CHECK_OK(gn_kde_bandwidth(x, n, GN_BANDWIDTH_SILVERMAN, &h, &err), err);
        CHECK_NEAR(h, *silverman, 1e-9 * *silverman);
        free(x), free(isj), free(silverman);
    }
}

TEST(bandwidths_of_awkward_samples)
{
    gn_error err = {0};
    double h, h2[2], same[] = {3, 3, 3, 3}, ties[400], bad[] = {1, INFINITY};
    CHECK_OK(gn_kde_bandwidth(same, 4, GN_BANDWIDTH_ISJ, &h, &err), err);
    CHECK(h > 0 && h < 1e-4);
    CHECK_OK(gn_kde_bandwidth(same, 1, GN_BANDWIDTH_SILVERMAN, &h, &err), err);
    CHECK(h > 0 && h < 1e-4);
    for (size_t i = 0; i < 400; i++) ties[i] = (double)(i % 3);
    CHECK_OK(gn_kde_bandwidth(ties, 400, GN_BANDWIDTH_ISJ, &h, &err), err);
    CHECK(h > 0 && h < 1);
    CHECK_INT(gn_kde_bandwidth(bad, 2, GN_BANDWIDTH_ISJ, &h, &err), GN_DATA);
    CHECK_HAS(err.message, "row 1");
    CHECK_INT(gn_kde_bandwidth(bad, 0, GN_BANDWIDTH_ISJ, &h, &err), GN_DATA);
    CHECK_HAS(err.message, "there is none");
    /* Two dimensions: the normal's optimum is sd n^(-1/6) by either rule. */
    double *xy = normals(8000, 1, 0, 1);
    for (size_t i = 1; i < 8000; i += 2) xy[i] *= 5;
    for (int rule = 0; rule < 2; rule++) {
        CHECK_OK(gn_kde2_bandwidth(xy, 4000, (gn_bandwidth)rule, h2, &err), err);
        CHECK_NEAR(h2[0], pow(4000, -1.0 / 6), 0.03);
        CHECK_NEAR(h2[1], 5 * pow(4000, -1.0 / 6), 0.15);
    }
    free(xy);
}

TEST(density_at_points_is_the_closed_form)
{
    gn_context *ctx = context(1);
    gn_error err = {0};
    double x[] = {0, 1}, at[] = {0.5, 9}, out[2], xy[] = {0, 1}, h[] = {0.5, 2}, point[] = {1, 0};
    CHECK_OK(gn_kde1_at(ctx, x, 2, 0.5, at, 2, out, &err), err);
    CHECK_NEAR(out[0], exp(-0.5) / (0.5 * sqrt(2 * M_PI)), 1e-12);
    CHECK_OK(gn_kde2_at(ctx, xy, 1, h, point, 1, out, &err), err);
    CHECK_NEAR(out[0], exp(-0.5 * (4 + 0.25)) / (2 * M_PI), 1e-12);
    CHECK_INT(gn_kde1_at(ctx, x, 2, 0, at, 2, out, &err), GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "must be positive");
    CHECK_INT(gn_kde1_grid(ctx, x, 2, 1, 1, 1, 5, out, &err), GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "low < high");
    gn_context_free(ctx);
}

/* Bandwidths from far below a grid step to far above the grid's length, one value and many. */
TEST(grid_is_the_direct_sum)
{
    enum { POINTS = 97 };
    static const double bandwidth[] = {0.004, 0.03, 0.11, 0.5, 3, 200};
    static double at[POINTS], grid[POINTS], direct[POINTS];
    gn_context *ctx = context(2);
    gn_error err = {0};
    double *x = normals(500, 3, 1, 9);
    for (size_t j = 0; j < POINTS; j++) at[j] = -4 + (double)j * 9 / (POINTS - 1);
    for (size_t k = 0; k < sizeof bandwidth / sizeof *bandwidth; k++)
        for (size_t n = 1; n <= 500; n += 499) {
            double peak = 0;
            CHECK_OK(gn_kde1_grid(ctx, x, n, bandwidth[k], -4, 5, POINTS, grid, &err), err);
            CHECK_OK(gn_kde1_at(ctx, x, n, bandwidth[k], at, POINTS, direct, &err), err);
            for (size_t j = 0; j < POINTS; j++) peak = fmax(peak, direct[j]);
            for (size_t j = 0; j < POINTS; j++) {
                CHECK_NEAR(grid[j], direct[j], 1e-4 * peak);
                CHECK(grid[j] >= 0);
            }
        }
    free(x);
    gn_context_free(ctx);
}

TEST(plane_is_the_direct_sum_and_integrates_to_one)
{
    enum { NX = 60, NY = 50, CELLS = NX * NY };
    static const double bandwidth[][2] = {{0.3, 0.4}, {0.02, 0.5}, {0.25, 900}};
    static double at[2 * CELLS], grid[2][CELLS], direct[CELLS];
    double low[] = {-6, -7}, high[] = {6, 6}, *xy = normals(600, 1, 0, 2);
    gn_error err = {0};
    for (size_t j = 0; j < CELLS; j++) {
        at[2 * j] = low[0] + (double)(j % NX) * 12 / (NX - 1);
        at[2 * j + 1] = low[1] + (double)(j / NX) * 13 / (NY - 1);
    }
    for (size_t k = 0; k < 3; k++) {
        double peak = 0, sum = 0;
        for (unsigned t = 0; t < 2; t++) {
            gn_context *ctx = context(t + 1);
            CHECK_OK(gn_kde2_grid(ctx, xy, 300, bandwidth[k], low, high, NX, NY, grid[t], &err), err);
            if (t) CHECK_OK(gn_kde2_at(ctx, xy, 300, bandwidth[k], at, CELLS, direct, &err), err);
            gn_context_free(ctx);
        }
        CHECK(memcmp(grid[0], grid[1], sizeof grid[0]) == 0);
        for (size_t j = 0; j < CELLS; j++) peak = fmax(peak, direct[j]);
        for (size_t j = 0; j < CELLS; j++) {
            CHECK_NEAR(grid[0][j], direct[j], 1e-4 * peak);
            sum += grid[0][j] * (12.0 / (NX - 1)) * (13.0 / (NY - 1));
        }
        if (k == 0) CHECK_NEAR(sum, 1, 1e-3);
    }
    free(xy);
}

/* ---- overlap ----------------------------------------------------------------------------------- */

TEST(overlap_of_normals_is_the_closed_form)
{
    enum { N = 20000 };
    gn_context *ctx = context(2);
    gn_error err = {0};
    gn_overlap o;
    gn_overlap_options few = {.yardstick_draws = 10};
    static const double shift[] = {0, 0.5, 1, 3};
    for (size_t k = 0; k < 4; k++)
        for (size_t dims = 1; dims <= 2; dims++) {
            double *a = normals(dims * N, 1, 0, 10), *b = normals(dims * N, dims, shift[k], 20 + k);
            CHECK_OK((dims == 1 ? gn_overlap1 : gn_overlap2)(ctx, a, N, b, N, &few, &o, &err), err);
            CHECK_NEAR(o.overlap.estimate, normal_overlap(shift[k]), dims == 1 ? 0.015 : 0.03);
            CHECK(o.overlap.low <= o.overlap.estimate && o.overlap.estimate <= o.overlap.high);
            CHECK(o.overlap.high - o.overlap.low < 0.04);
            CHECK(o.yardstick.estimate > 0.95 && o.yardstick.low <= o.yardstick.estimate);
            if (k == 0) CHECK_NEAR(o.yardstick.estimate, o.overlap.estimate, 0.02);
            free(a), free(b);
        }
    gn_context_free(ctx);
}

TEST(overlap_of_the_same_and_of_the_disjoint)
{
    gn_context *ctx = context(1);
    gn_error err = {0};
    gn_overlap o;
    double *a = normals(800, 1, 0, 1), *b = normals(600, 1, 30, 2), same[] = {1, 1, 1, 1, 1, 1},
           two[] = {2, 2};
    CHECK_OK(gn_overlap1(ctx, a, 800, a, 800, NULL, &o, &err), err);
    CHECK_NEAR(o.overlap.estimate, 1, 1e-9);
    CHECK_OK(gn_overlap2(ctx, a, 400, a, 400, NULL, &o, &err), err);
    CHECK_NEAR(o.overlap.estimate, 1, 1e-9);
    CHECK_OK(gn_overlap1(ctx, a, 800, b, 600, NULL, &o, &err), err);
    CHECK(o.overlap.estimate < 0.001 && o.overlap.high < 0.02);
    CHECK_OK(gn_overlap2(ctx, a, 400, b, 300, NULL, &o, &err), err);
    CHECK(o.overlap.estimate < 0.001 && o.overlap.high < 0.02);
    /* Constant samples, and one far stray value, which must not flatten the rest. */
    CHECK_OK(gn_overlap1(ctx, same, 6, same, 3, NULL, &o, &err), err);
    CHECK_NEAR(o.overlap.estimate, 1, 1e-9);
    CHECK_OK(gn_overlap1(ctx, same, 6, two, 2, NULL, &o, &err), err);
    CHECK(o.overlap.estimate < 0.001);
    CHECK_OK(gn_overlap1(ctx, two, 2, same, 6, NULL, &o, &err), err);
    CHECK(isnan(o.yardstick.estimate));
    a[5] = 1e7;
    for (size_t i = 0; i < 600; i++) b[i] -= 27;
    CHECK_OK(gn_overlap1(ctx, a, 800, b, 600, NULL, &o, &err), err);
    CHECK_NEAR(o.overlap.estimate, normal_overlap(3), 0.05);
    b[1] = NAN;
    CHECK_INT(gn_overlap1(ctx, a, 800, b, 600, NULL, &o, &err), GN_DATA);
    CHECK_INT(gn_overlap2(ctx, a, 400, b, 0, NULL, &o, &err), GN_DATA);
    free(a), free(b);
    gn_context_free(ctx);
}

TEST(overlap_bits_do_not_depend_on_threads)
{
    double *a = normals(3000, 1, 0, 1), *b = normals(900, 2, 1, 2);
    gn_error err = {0};
    gn_overlap o[3];
    gn_overlap_options options = {.yardstick_draws = 20, .max_rows = 1000};
    memset(o, 0, sizeof o);
    for (unsigned t = 0; t < 3; t++) {
        gn_context *ctx = context(t + 1);
        CHECK_OK(gn_overlap2(ctx, a, 1500, b, 450, &options, &o[t], &err), err);
        gn_context_free(ctx);
    }
    CHECK(memcmp(&o[0], &o[1], sizeof o[0]) == 0 && memcmp(&o[0], &o[2], sizeof o[0]) == 0);
    free(a), free(b);
}

/* Rows that come in tens of near copies carry the information of their groups: the interval must widen. */
TEST(overlap_resamples_whole_groups)
{
    enum { GROUPS = 40, EACH = 10, N = GROUPS * EACH };
    gn_context *ctx = context(1);
    gn_error err = {0};
    double *centre = normals(2 * GROUPS, 1, 0, 5), *a = normals(N, 1, 0, 6), *b = normals(N, 1, 0, 7);
    uint32_t group[N];
    for (size_t i = 0; i < N; i++) {
        group[i] = (uint32_t)(i % GROUPS) * 7;
        a[i] = centre[i % GROUPS] + 0.05 * a[i];
        b[i] = centre[GROUPS + i % GROUPS] + 0.05 * b[i];
    }
    gn_overlap plain, grouped;
    gn_overlap_options options = {.bandwidth = GN_BANDWIDTH_SILVERMAN};
    CHECK_OK(gn_overlap1(ctx, a, N, b, N, &options, &plain, &err), err);
    options.group_a = options.group_b = group;
    CHECK_OK(gn_overlap1(ctx, a, N, b, N, &options, &grouped, &err), err);
    /* As independent rows the sets look different; as groups chance explains it. */
    CHECK(plain.overlap.high < 0.9 && grouped.overlap.high > 0.999);
    CHECK(grouped.overlap.high - grouped.overlap.low > 1.8 * (plain.overlap.high - plain.overlap.low));
    CHECK(grouped.yardstick.low < plain.yardstick.low - 0.05);
    free(centre), free(a), free(b);
    gn_context_free(ctx);
}

/* Of 200 intervals for two normals so far apart, 180 or more hold the truth (binomial 0.2 % point at 95 %),
 * and not by being vacuous. Equal populations, where a plain bootstrap never holds it, among them. */
TEST(overlap_intervals_cover)
{
    static const double shift[] = {0, 0.25, 1.5};
    gn_context *ctx = context(2);
    gn_error err = {0};
    for (size_t k = 0; k < 3; k++) {
        int covered = 0;
        double width = 0;
        for (uint64_t s = 0; s < 200; s++) {
            double *a = normals(500, 1, 0, 1000 + s), *b = normals(200, 1, shift[k], 2000 + s);
            gn_overlap o;
            gn_overlap_options options = {
                .bandwidth = GN_BANDWIDTH_SILVERMAN, .yardstick_draws = 1, .chance_draws = 15, .purpose = s};
            CHECK_OK(gn_overlap1(ctx, a, 500, b, 200, &options, &o, &err), err);
            covered += o.overlap.low <= normal_overlap(shift[k]) + 1e-12 &&
                       normal_overlap(shift[k]) <= o.overlap.high + 1e-12;
            width += (o.overlap.high - o.overlap.low) / 200;
            free(a), free(b);
        }
        CHECK(covered >= 180);
        CHECK(width < 0.18);
    }
    gn_context_free(ctx);
}

/* The definition: whatever the mean, 95 % of outcomes give an interval that holds it. */
TEST(bounded_intervals_cover_exactly)
{
    double low, high;
    gn__bounded_interval(0, &low, &high);
    CHECK_NEAR(low, 0, 0);
    CHECK_NEAR(high, 1.96, 1e-3);
    gn__bounded_interval(6, &low, &high);
    CHECK_NEAR(low, 6 - 1.96, 1e-3);
    CHECK_NEAR(high, 6 + 1.96, 1e-3);
    static const double mean[] = {0, 0.1, 0.7, 1.5, 3};
    for (size_t k = 0; k < 5; k++) {
        double held = 0, step = 0.02;
        for (double x = mean[k] - 8; x < mean[k] + 8; x += step) {
            gn__bounded_interval(x, &low, &high);
            if (low <= mean[k] && mean[k] <= high)
                held += exp(-0.5 * (x - mean[k]) * (x - mean[k])) * step / sqrt(2 * M_PI);
        }
        CHECK_NEAR(held, 0.95, 0.01);
    }
    CHECK_NEAR(gn__beyond_chance(0.1, 0.2), 0, 0);
    CHECK_NEAR(gn__beyond_chance(1, 0.5), 1, 0);
    CHECK_NEAR(gn__beyond_chance(0.8, 0.2), 0.8, 0.002);
}
