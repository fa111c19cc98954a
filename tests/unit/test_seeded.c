#include "genchi/finetune.h"
#include "golden_text.h"
#include "test.h"
#include "verify/finetune.h"

static gn_error err;

static gn_context *context(void)
{
    gn_context *ctx = NULL;
    gn_context_options options = {.threads = 2, .seed = 1};
    CHECK_OK(gn_context_create(&options, &ctx, &err), err);
    return ctx;
}

static const char GOLDEN[] = "tests/golden/verify/finetune.txt";

static gn_matrix golden_matrix(const char *name, size_t rows)
{
    gn_matrix x;
    size_t n;
    float *values = golden_read_float(GOLDEN, name, &n);
    CHECK_OK(gn_matrix_create(rows, n / rows, &x, &err), err);
    memcpy(x.data, values, n * sizeof *values);
    free(values);
    return x;
}

/* ---- transfer scores ----------------------------------------------------------------------------- */

static void check_transfer(const char *name, int classes)
{
    char key[40];
    size_t rows, four;
    snprintf(key, sizeof key, "%s.y", name);
    double *label = golden_read(GOLDEN, key, &rows);
    snprintf(key, sizeof key, "%s.scores", name);
    double *expected = golden_read(GOLDEN, key, &four);
    snprintf(key, sizeof key, "%s.x", name);
    gn_matrix x = golden_matrix(key, rows);
    int *y = calloc(rows, sizeof *y);
    for (size_t i = 0; i < rows; i++) y[i] = (int)label[i];
    gn_context *ctx = context();
    gn_transfer t;
    CHECK_OK(gn_transfer_scores(ctx, &x, y, classes, &t, &err), err);
    CHECK_INT(t.rows, rows);
    CHECK_NEAR(t.logme, expected[0], 1e-7);
    CHECK_NEAR(t.hscore, expected[1], 1e-8);
    CHECK_NEAR(t.hscore_shrunk, expected[2], 1e-9);
    CHECK_NEAR(t.shrinkage, expected[3], 1e-9);
    gn_context_free(ctx);
    gn_matrix_free(&x);
    free(label);
    free(expected);
    free(y);
}

TEST(transfer_scores_of_two_classes)
{
    check_transfer("two", 2);
}

TEST(transfer_scores_of_three_classes)
{
    check_transfer("three", 3);
}

/* More dimensions than rows. */
TEST(transfer_scores_of_few_rows)
{
    check_transfer("wide", 2);
}

TEST(transfer_scores_pass_over_unlabelled_rows_and_absent_classes)
{
    size_t rows;
    double *label = golden_read(GOLDEN, "two.y", &rows);
    gn_matrix x = golden_matrix("two.x", rows), more;
    CHECK_OK(gn_matrix_create(rows + 2, x.cols, &more, &err), err);
    memcpy(more.data + 2 * x.cols, x.data, rows * x.cols * sizeof *x.data);
    int *y = calloc(rows + 2, sizeof *y);
    y[0] = y[1] = -1;
    for (size_t i = 0; i < rows; i++) y[i + 2] = label[i] > 0 ? 2 : 0;
    gn_context *ctx = context();
    gn_transfer t;
    CHECK_OK(gn_transfer_scores(ctx, &more, y, 4, &t, &err), err);
    double *expected = golden_read(GOLDEN, "two.scores", &rows);
    CHECK_NEAR(t.logme, expected[0], 1e-7);
    CHECK_NEAR(t.hscore, expected[1], 1e-8);
    CHECK_INT(t.classes, 2);
    for (size_t i = 0; i < more.rows; i++) y[i] = 1;
    CHECK_INT(gn_transfer_scores(ctx, &more, y, 4, &t, &err), GN_DATA);
    gn_context_free(ctx);
    gn_matrix_free(&x);
    gn_matrix_free(&more);
    free(label);
    free(expected);
    free(y);
}

/* ---- alignment ----------------------------------------------------------------------------------- */

TEST(cka_is_that_of_the_kernel_matrices)
{
    gn_matrix x = golden_matrix("cka.x", 40), z = golden_matrix("cka.z", 40);
    size_t two;
    double *expected = golden_read(GOLDEN, "cka", &two), unbiased, biased;
    gn_context *ctx = context();
    CHECK_OK(gn_cka(ctx, &x, &z, &unbiased, &biased, &err), err);
    CHECK_NEAR(unbiased, expected[0], 1e-9);
    CHECK_NEAR(biased, expected[1], 1e-9);
    CHECK_OK(gn_cka(ctx, &z, &x, &unbiased, NULL, &err), err);
    CHECK_NEAR(unbiased, expected[0], 1e-9);
    CHECK_OK(gn_cka(ctx, &x, &x, &unbiased, NULL, &err), err);
    CHECK_NEAR(unbiased, 1, 1e-12);
    z.rows = 39;
    CHECK_INT(gn_cka(ctx, &x, &z, &unbiased, NULL, &err), GN_INVALID_ARGUMENT);
    gn_context_free(ctx);
    gn_matrix_free(&x);
    gn_matrix_free(&z);
    free(expected);
}

/* Few rows of unrelated embeddings: the plain figure is high, the unbiased one about 0; turning and scaling
 * change neither. */
TEST(cka_of_unrelated_embeddings_is_zero)
{
    enum { N = 60, D = 50, TRIALS = 40 };
    gn_context *ctx = context();
    double mean = 0, plain = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        gn_matrix x, y;
        CHECK_OK(gn_matrix_create(N, D, &x, &err), err);
        CHECK_OK(gn_matrix_create(N, D, &y, &err), err);
        gn__rng rng = gn__rng_make(5, 1, (uint64_t)trial);
        for (size_t i = 0; i < (size_t)N * D; i++) {
            x.data[i] = (float)gn__rng_normal(&rng);
            y.data[i] = (float)gn__rng_normal(&rng);
        }
        double unbiased, biased;
        CHECK_OK(gn_cka(ctx, &x, &y, &unbiased, &biased, &err), err);
        mean += unbiased / TRIALS;
        plain += biased / TRIALS;
        /* y: x turned in the plane of the first two columns, scaled, moved */
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < D; j++) {
                float v = x.data[i * D + j], first = x.data[i * D], second = x.data[i * D + 1];
                if (j == 0) v = 0.6F * first - 0.8F * second;
                if (j == 1) v = 0.8F * first + 0.6F * second;
                y.data[i * D + j] = 3 * v + 7;
            }
        CHECK_OK(gn_cka(ctx, &x, &y, &unbiased, &biased, &err), err);
        CHECK_NEAR(unbiased, 1, 1e-5);
        gn_matrix_free(&x);
        gn_matrix_free(&y);
    }
    CHECK_NEAR(mean, 0, 0.03);
    CHECK(plain > 0.4);
    gn_context_free(ctx);
}

/* ---- differences over rows and seeds ------------------------------------------------------------- */

TEST(seeded_difference_by_hand)
{
    /* Two seeds, four rows: differences 1 0 0 0 and 1 1 0 -1, mean 0.25 under either seed. */
    const float a[] = {1, 0, 0, 0, 1, 1, 0, 0}, b[] = {0, 0, 0, 0, 0, 0, 0, 1};
    gn_seeded d;
    CHECK_OK(gn_seeded_difference(a, b, 2, 4, NULL, 0.02, &d, &err), err);
    CHECK_NEAR(d.difference.estimate, 0.25, 1e-12);
    /* rows' means 1, 0.5, 0, -0.5: variance 5/12, over 4, and the pair of two: 1/36 */
    CHECK_NEAR(d.row_variance, 5.0 / 48 + 1.0 / 36, 1e-12);
    CHECK_NEAR(d.seed_variance, 0, 1e-12);
    CHECK_INT(d.answer, GN_FINETUNE_CANNOT_TELL);
    CHECK_INT(d.units, 4);
    const uint32_t all[] = {1, 1, 1, 1};
    CHECK_OK(gn_seeded_difference(a, b, 2, 4, all, 0.02, &d, &err), err);
    CHECK(!d.available);
    CHECK_INT(gn_seeded_difference(a, b, 0, 4, NULL, 0.02, &d, &err), GN_INVALID_ARGUMENT);
}

/* Rows that all say the same still leave doubt. */
TEST(seeded_difference_without_spread)
{
    float a[40], b[40] = {0};
    for (size_t i = 0; i < 40; i++) a[i] = 1;
    gn_seeded d;
    CHECK_OK(gn_seeded_difference(a, b, 1, 3, NULL, 0.02, &d, &err), err);
    CHECK(d.difference.low < d.difference.estimate);
    CHECK_OK(gn_seeded_difference(a, b, 1, 40, NULL, 0.02, &d, &err), err);
    CHECK_INT(d.answer, GN_FINETUNE_HELPS);
    CHECK_OK(gn_seeded_difference(b, b, 1, 40, NULL, 0.2, &d, &err), err);
    CHECK_INT(d.answer, GN_FINETUNE_CANNOT_TELL);
    CHECK_INT(d.rows_needed, 0); /* within what would matter */
}

/* Rows in groups of `each`; a's answers are right with a probability that row, seed and group move. */
static void world(gn__rng *rng, size_t seeds, size_t rows, size_t each, double shift, double by_row,
                  double by_seed, float *a, float *b, uint32_t *group)
{
    double of_seed[16], of_group = 0;
    for (size_t s = 0; s < seeds; s++) of_seed[s] = by_seed * gn__rng_normal(rng);
    for (size_t i = 0; i < rows; i++) {
        if (i % each == 0) of_group = by_row * gn__rng_normal(rng);
        group[i] = (uint32_t)(i / each);
        double of_row = each > 1 ? of_group : by_row * gn__rng_normal(rng);
        float other = gn__rng_double(rng) < 0.6 ? 1 : 0;
        for (size_t s = 0; s < seeds; s++) {
            b[s * rows + i] = other;
            a[s * rows + i] = gn__rng_double(rng) < 0.6 + shift + of_row + of_seed[s] ? 1 : 0;
        }
    }
}

static double coverage(size_t seeds, size_t rows, size_t each, double by_seed, int trials)
{
    float *a = calloc(seeds * rows, sizeof *a), *b = calloc(seeds * rows, sizeof *b);
    uint32_t *group = calloc(rows, sizeof *group);
    int held = 0;
    for (int t = 0; t < trials; t++) {
        gn__rng rng = gn__rng_make(77, seeds * 1000 + each, (uint64_t)t);
        gn_seeded d;
        world(&rng, seeds, rows, each, 0.05, 0.1, by_seed, a, b, group);
        CHECK_OK(gn_seeded_difference(a, b, seeds, rows, each > 1 ? group : NULL, 0.02, &d, &err), err);
        held += d.difference.low <= 0.05 && d.difference.high >= 0.05;
    }
    free(a);
    free(b);
    free(group);
    return (double)held / trials;
}

/* 1000 trials: a share of 0.95 has a standard error of 0.007. */
TEST(seeded_intervals_cover_rows_and_seeds)
{
    CHECK_NEAR(coverage(5, 200, 1, 0.04, 1000), 0.95, 0.025);
    CHECK_NEAR(coverage(3, 200, 1, 0.04, 1000), 0.955, 0.03);
    CHECK_NEAR(coverage(5, 240, 8, 0.03, 1000), 0.95, 0.025);
    CHECK_NEAR(coverage(5, 200, 1, 0, 1000), 0.955, 0.025);
    CHECK_NEAR(coverage(1, 200, 1, 0, 1000), 0.95, 0.02);
    /* The seeds' luck is not in the interval of a single seed. */
    CHECK(coverage(1, 2000, 1, 0.05, 250) < 0.6);
}

/* As many rows as are asked for tell the difference in 8 of 10 cases. */
static void check_power(size_t seeds, double by_row, double by_seed, double shift)
{
    /* Of one row under one seed: b right with 0.6; a with 0.6 + shift moved by row and seed. */
    double p = 0.6 + shift, within = p * (1 - p) - by_row * by_row - by_seed * by_seed;
    gn__spread v = {.unit = by_row * by_row + 0.6 * 0.4, .seed = by_seed * by_seed, .cell = within};
    size_t rows = (size_t)gn__seeded_units(&v, seeds, shift);
    CHECK(rows > 20 && rows < 20000);
    float *a = calloc(seeds * rows, sizeof *a), *b = calloc(seeds * rows, sizeof *b);
    uint32_t *group = calloc(rows, sizeof *group);
    enum { TRIALS = 800 };
    int told = 0;
    for (int t = 0; t < TRIALS; t++) {
        gn__rng rng = gn__rng_make(78, seeds, (uint64_t)t);
        gn_seeded d;
        world(&rng, seeds, rows, 1, shift, by_row, by_seed, a, b, group);
        CHECK_OK(gn_seeded_difference(a, b, seeds, rows, NULL, 0.02, &d, &err), err);
        told += d.answer == GN_FINETUNE_HELPS;
    }
    CHECK_NEAR((double)told / TRIALS, 0.8, 0.05);
    free(a);
    free(b);
    free(group);
}

TEST(seeded_rows_needed_have_the_power)
{
    check_power(5, 0.1, 0.02, 0.06);
    check_power(3, 0.1, 0.01, 0.06);
    check_power(1, 0.1, 0, 0.08);
}

/* No number of rows makes up for seeds that differ more than the methods do. */
TEST(seeded_rows_needed_may_not_exist)
{
    gn__spread v = {.unit = 0.2, .seed = 0.01, .cell = 0.1};
    CHECK_NEAR(gn__seeded_units(&v, 3, 0.02), 0, 0);
    CHECK(gn__seeded_units(&v, 600, 0.02) > 0);
    float a[3 * 400], b[3 * 400] = {0};
    for (size_t s = 0; s < 3; s++)
        for (size_t i = 0; i < 400; i++) {
            a[s * 400 + i] = i % 10 < (s == 0 ? 6 : s == 1 ? 4 : 2);
            b[s * 400 + i] = (i + 3) % 10 < 4;
        }
    gn_seeded d;
    CHECK_OK(gn_seeded_difference(a, b, 3, 400, NULL, 0.1, &d, &err), err);
    CHECK_INT(d.answer, GN_FINETUNE_CANNOT_TELL);
    CHECK_INT(d.rows_needed, 0);
    CHECK(d.seeds_needed > 3);
}
