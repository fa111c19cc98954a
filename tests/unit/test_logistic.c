#include "golden_text.h"
#include "tensor/logistic.h"
#include "test.h"

static const char *const golden = "tests/golden/logistic/sklearn.txt";

static gn_context *context(unsigned threads)
{
    gn_context *ctx = NULL;
    gn_error err = {0};
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = threads}, &ctx, &err), err);
    return ctx;
}

static void against_sklearn(int classes)
{
    size_t n, dim, k, size;
    float *x = golden_read_float(golden, "x", &k), *mean = golden_read_float(golden, "mean", &dim);
    double *s = golden_read(golden, "weight", &n);
    double *yd = golden_read(golden, classes == 2 ? "y2" : "y3", &n);
    double *expected = golden_read(golden, classes == 2 ? "coef2" : "coef3", &size);
    double *lambda = golden_read(golden, "lambda", &k), *scale = golden_read(golden, "scale", &k);
    int y[256];
    double w[64] = {0};
    CHECK(n <= 256 && size <= 64);
    /* Also through a row list, in reverse order, with padded rows: the same problem. */
    float *padded = gn__calloc(n * (dim + 3), sizeof *padded);
    uint32_t row[256];
    double reversed[256];
    for (size_t i = 0; i < n; i++) {
        row[i] = (uint32_t)(n - 1 - i);
        y[i] = (int)yd[n - 1 - i];
        reversed[i] = s[n - 1 - i];
        memcpy(padded + i * (dim + 3), x + i * dim, dim * sizeof *x);
    }
    gn_context *ctx = context(2);
    gn_error err = {0};
    gn__logistic_report rep;
    gn__logistic_problem p = {.x = padded,
                              .n = n,
                              .dim = dim,
                              .ld = dim + 3,
                              .row = row,
                              .y = y,
                              .sample_weight = reversed,
                              .classes = classes,
                              .lambda = *lambda,
                              .mean = mean,
                              .scale = *scale,
                              .tolerance = 1e-6};
    CHECK_OK(gn__logistic_fit(ctx, &p, w, &rep, &err), err);
    CHECK(rep.converged && rep.iterations > 2);
    for (size_t j = 0; j < size; j++) CHECK_NEAR(w[j], expected[j], 1e-4);
    /* A warm start from the minimum stays there, in a few steps. */
    CHECK_OK(gn__logistic_fit(ctx, &p, w, &rep, &err), err);
    CHECK(rep.iterations <= 3);
    for (size_t j = 0; j < size; j++) CHECK_NEAR(w[j], expected[j], 1e-4);
    gn_context_free(ctx);
    free(x), free(mean), free(s), free(yd), free(expected), free(lambda), free(scale), free(padded);
}

TEST(binomial_agrees_with_scikit_learn)
{
    against_sklearn(2);
}

TEST(multinomial_agrees_with_scikit_learn)
{
    against_sklearn(3);
}

/* n rows of d normal columns; the class is the first column's sign, flipped for a part of the rows. */
static void make(size_t n, size_t d, int classes, double flip, float *x, int *y)
{
    gn__rng r = gn__rng_make(3, gn__purpose("test/logistic"), n);
    for (size_t i = 0; i < n * d; i++) x[i] = (float)gn__rng_normal(&r);
    for (size_t i = 0; i < n; i++) {
        y[i] = classes == 2 ? x[i * d] > 0 : (x[i * d] > -0.5F) + (x[i * d] > 0.5F);
        if (gn__rng_double(&r) < flip) y[i] = (int)gn__rng_below(&r, (uint32_t)classes);
    }
}

TEST(bits_do_not_depend_on_threads)
{
    enum { N = 9000, D = 24 };
    float *x = gn__calloc(N * D, sizeof *x);
    int *y = gn__calloc(N, sizeof *y);
    for (int classes = 2; classes <= 3; classes++) {
        double w[3][3 * (D + 1)] = {{0}};
        make(N, D, classes, 0.2, x, y);
        for (unsigned t = 0; t < 3; t++) {
            gn_context *ctx = context(t + 1);
            gn_error err = {0};
            gn__logistic_problem p = {
                .x = x, .n = N, .dim = D, .ld = D, .y = y, .classes = classes, .lambda = 1e-3, .scale = 1};
            CHECK_OK(gn__logistic_fit(ctx, &p, w[t], NULL, &err), err);
            gn_context_free(ctx);
        }
        CHECK(memcmp(w[0], w[1], sizeof w[0]) == 0 && memcmp(w[0], w[2], sizeof w[0]) == 0);
        CHECK(fabs(w[0][0]) > 0.5);
    }
    free(x), free(y);
}

/* Separable data, more columns than rows, a constant column, far from the origin: still a minimum. */
TEST(hard_but_well_posed)
{
    enum { N = 40, D = 200 };
    static float x[N * D], mean[D];
    static int y[N];
    double w[D + 1] = {0};
    make(N, D, 2, 0, x, y);
    for (size_t i = 0; i < N; i++) {
        x[i * D + 7] = 3;
        for (size_t j = 0; j < D; j++) x[i * D + j] += 1000;
    }
    for (size_t j = 0; j < D; j++) mean[j] = 1000;
    gn_context *ctx = context(1);
    gn_error err = {0};
    gn__logistic_report rep;
    gn__logistic_problem p = {
        .x = x, .n = N, .dim = D, .ld = D, .y = y, .classes = 2, .lambda = 1e-6, .mean = mean, .scale = 1};
    CHECK_OK(gn__logistic_fit(ctx, &p, w, &rep, &err), err);
    CHECK(rep.converged);
    for (size_t i = 0; i < N; i++) {
        double margin = w[D];
        for (size_t j = 0; j < D; j++) margin += w[j] * (double)(x[i * D + j] - mean[j]);
        CHECK((margin > 0) == y[i]);
    }
    /* No signal at all: the weights stay at zero and the intercept is the log-odds of the shares. */
    memset(w, 0, sizeof w);
    for (size_t i = 0; i < N * D; i++) x[i] = 1000;
    for (size_t i = 0; i < N; i++) y[i] = i < 10;
    p.lambda = 1e-2;
    CHECK_OK(gn__logistic_fit(ctx, &p, w, &rep, &err), err);
    CHECK_NEAR(w[D], log(10.0 / 30), 2e-3);
    CHECK_NEAR(w[0], 0, 1e-6);
    gn_context_free(ctx);
}

static void gradient_at(const gn__logistic_problem *p, const double *w, double *g)
{
    size_t d = p->dim;
    for (size_t j = 0; j < d; j++) g[j] = p->lambda * w[j];
    g[d] = 0;
    for (size_t i = 0; i < p->n; i++) {
        double m = w[d];
        for (size_t j = 0; j < d; j++) m += w[j] * (double)p->x[i * d + j];
        double r = (1 / (1 + exp(-m)) - p->y[i]) / (double)p->n;
        for (size_t j = 0; j < d; j++) g[j] += r * (double)p->x[i * d + j];
        g[d] += r;
    }
}

/* Enough rows for the sampled start and the metric; columns of very different size, a constant one, and a
 * class of 1 in 200; then classes that a plane separates, with hardly any penalty. The gradient in double
 * precision says whether it is the minimum, in few passes. */
TEST(large_uneven_rare_and_separable)
{
    enum { N = 40000, D = 12 };
    float *x = gn__calloc(N * D, sizeof *x);
    int *y = gn__calloc(N, sizeof *y);
    gn_context *ctx = context(2);
    gn_error err = {0};
    gn__logistic_report rep;
    for (int separable = 0; separable < 2; separable++) {
        make(N, D, 2, separable ? 0 : 0.2, x, y);
        for (size_t i = 0; i < N; i++) {
            if (!separable && i % 200) y[i] = 0;
            for (size_t j = 0; j < D && !separable; j++) x[i * D + j] *= (float)pow(10, 1 - (double)(j % 5));
            x[i * D + 7] = 3;
        }
        double w[D + 1] = {0}, g[D + 1], most = 0;
        gn__logistic_problem p = {
            .x = x, .n = N, .dim = D, .ld = D, .y = y, .classes = 2, .lambda = 1e-6, .scale = 1};
        CHECK_OK(gn__logistic_fit(ctx, &p, w, &rep, &err), err);
        CHECK(rep.converged && rep.evaluations < 60);
        gradient_at(&p, w, g);
        for (size_t j = 0; j <= D; j++) most = fmax(most, fabs(g[j]));
        CHECK(most < 1e-6 * (1 + 4 * separable));
        size_t right = 0;
        for (size_t i = 0; i < N; i++) {
            double margin = w[D];
            for (size_t j = 0; j < D; j++) margin += w[j] * (double)x[i * D + j];
            right += (margin > 0) == y[i];
        }
        if (separable) CHECK(1000 * right > 999 * (size_t)N);
    }
    gn_context_free(ctx);
    free(x), free(y);
}

/* Rows enough that a sample is solved first: from the minimum of all rows it leads nowhere, from elsewhere to
 * the same minimum. */
TEST(starts_of_large_fits)
{
    enum { N = 40000, D = 12 };
    float *x = gn__calloc(N * D, sizeof *x);
    int *y = gn__calloc(N, sizeof *y);
    gn_context *ctx = context(2);
    gn_error err = {0};
    gn__logistic_report rep;
    make(N, D, 2, 0.4, x, y);
    double w[D + 1] = {0}, g[D + 1];
    gn__logistic_problem p = {
        .x = x, .n = N, .dim = D, .ld = D, .y = y, .classes = 2, .lambda = 1e-4, .scale = 1};
    for (int start = 0; start < 3; start++) {
        CHECK_OK(gn__logistic_fit(ctx, &p, w, &rep, &err), err);
        CHECK(rep.converged && rep.evaluations <= (start == 1 ? 1 : 12));
        gradient_at(&p, w, g);
        for (size_t j = 0; j <= D; j++) CHECK(fabs(g[j]) < 5e-6);
        CHECK(start == 0 || rep.reference == p.reference);
        p.reference = rep.reference;
        for (size_t j = 0; start == 1 && j <= D; j++) w[j] += 3;
    }
    gn_context_free(ctx);
    free(x), free(y);
}

/* Objective and gradient of the softmax in double precision, by their definition; returns the objective. */
static double softmax_at(const gn__logistic_problem *p, const double *w, double *g)
{
    size_t d = p->dim, k = (size_t)p->classes;
    double value = 0, logit[64];
    for (size_t c = 0; c < k; c++) {
        for (size_t j = 0; j < d; j++) {
            value += 0.5 * p->lambda * w[c * (d + 1) + j] * w[c * (d + 1) + j];
            g[c * (d + 1) + j] = p->lambda * w[c * (d + 1) + j];
        }
        g[c * (d + 1) + d] = 0;
    }
    for (size_t i = 0; i < p->n; i++) {
        double top = -INFINITY, sum = 0;
        for (size_t c = 0; c < k; c++) {
            logit[c] = w[c * (d + 1) + d];
            for (size_t j = 0; j < d; j++) logit[c] += w[c * (d + 1) + j] * (double)p->x[i * d + j];
            top = fmax(top, logit[c]);
        }
        for (size_t c = 0; c < k; c++) sum += exp(logit[c] - top);
        value += (log(sum) + top - logit[p->y[i]]) / (double)p->n;
        for (size_t c = 0; c < k; c++) {
            double r = (exp(logit[c] - top) / sum - (c == (size_t)p->y[i])) / (double)p->n;
            for (size_t j = 0; j < d; j++) g[c * (d + 1) + j] += r * (double)p->x[i * d + j];
            g[c * (d + 1) + d] += r;
        }
    }
    return value;
}

static double size_of(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * x[i];
    return sqrt(sum);
}

/* Forty classes whose shares fall as 1 / rank^1.5, columns of falling size, from strong to hardly any
 * penalty; then the same with classes apart, where next to nothing is left of the objective. */
TEST(many_and_rare_classes)
{
    enum { N = 2500, D = 30, K = 40, SIZE = K * (D + 1) };
    float *x = gn__calloc(N * D, sizeof *x), *centre = gn__calloc(K * D, sizeof *centre);
    int *y = gn__calloc(N, sizeof *y);
    double *w = gn__calloc(SIZE, sizeof *w), *g = gn__calloc(SIZE, sizeof *g);
    gn_context *ctx = context(2);
    gn_error err = {0};
    double total = 0, share[K];
    for (int c = 0; c < K; c++) total += share[c] = pow(1 + c, -1.5);
    for (int apart = 0; apart < 2; apart++) {
        gn__rng r = gn__rng_make(3, gn__purpose("test/many-classes"), (uint64_t)apart);
        for (size_t i = 0; i < K * D; i++) centre[i] = (float)((apart ? 6 : 0.7) * gn__rng_normal(&r));
        for (size_t i = 0; i < N; i++) {
            double u = gn__rng_double(&r) * total;
            for (y[i] = 0; y[i] < K - 1 && u > share[y[i]]; y[i]++) u -= share[y[i]];
            for (size_t j = 0; j < D; j++)
                x[i * D + j] = (float)exp(-(double)j / 6) *
                               (centre[(size_t)y[i] * D + j] + (float)gn__rng_normal(&r) + 0.5F);
        }
        for (double lambda = 1e-2; lambda > 5e-7; lambda /= 100) {
            gn__logistic_report rep;
            gn__logistic_problem p = {
                .x = x, .n = N, .dim = D, .ld = D, .y = y, .classes = K, .lambda = lambda, .scale = 1};
            memset(w, 0, SIZE * sizeof *w);
            softmax_at(&p, w, g);
            double start = size_of(g, SIZE), most = 0;
            CHECK_OK(gn__logistic_fit(ctx, &p, w, &rep, &err), err);
            double value = softmax_at(&p, w, g);
            CHECK(rep.converged && rep.evaluations < 400);
            CHECK_NEAR(rep.objective, value, 1e-6 * value + 2e-7); /* margins are float32 */
            CHECK(size_of(g, SIZE) < 5e-5 * start);
            for (size_t j = 0; j <= D; j++) { /* of what softmax does not see nothing is left */
                double sum = 0;
                for (size_t c = 0; c < K; c++) sum += w[c * (D + 1) + j];
                most = fmax(most, fabs(sum));
            }
            CHECK(most < 1e-9 * (1 + size_of(w, SIZE)));
            /* Going on much further changes the objective by next to nothing. */
            p.tolerance = 1e-8, p.max_iterations = 3000;
            CHECK_OK(gn__logistic_fit(ctx, &p, w, &rep, &err), err);
            CHECK_NEAR(value / softmax_at(&p, w, g), 1, 5e-5);
        }
    }
    gn_context_free(ctx);
    free(x), free(centre), free(y), free(w), free(g);
}

/* Fits that share their passes are the fits one by one, along a path of strengths; what each says of the rows
 * that it does not see comes from its weights; and the threads change no bit. */
TEST(folds_share_their_passes)
{
    enum { N = 9000, D = 21, FOLDS = 7 };
    static const double strength[] = {1e-1, 1e-2, 1e-4};
    float *x = gn__calloc(N * D, sizeof *x), *held[3], mean[D];
    int *y = gn__calloc(N, sizeof *y), *kept_y = gn__calloc(N, sizeof *y);
    uint32_t *fold = gn__calloc(N, sizeof *fold), *row = gn__calloc(N, sizeof *row);
    uint32_t *kept = gn__calloc(N, sizeof *kept);
    double *weight = gn__calloc(N, sizeof *weight), *kept_weight = gn__calloc(N, sizeof *weight);
    gn_error err = {0};
    gn__rng r = gn__rng_make(3, gn__purpose("test/folds"), 0);
    make(N, D, 2, 0.3, x, y);
    for (size_t j = 0; j < D; j++) mean[j] = (float)j;
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < D; j++) x[i * D + j] += mean[j];
        fold[i] = i % 11 == 0 ? 2 : gn__rng_below(&r, FOLDS); /* not of one size */
        row[i] = (uint32_t)(N - 1 - i);
        weight[i] = 0.5 + gn__rng_double(&r);
    }
    gn__logistic_problem p = {.x = x, .n = N, .dim = D, .ld = D, .row = row, .y = y, .sample_weight = weight};
    p.classes = 2, p.mean = mean, p.scale = 1.5;
    for (unsigned t = 0; t < 3; t++) {
        gn_context *ctx = context(t + 1);
        gn__logistic_report rep[FOLDS];
        gn__fold_fits *fits = NULL;
        held[t] = gn__calloc(N, sizeof *held[t]);
        CHECK_OK(gn__fold_fits_make(ctx, &p, fold, FOLDS, &fits, &err), err);
        for (size_t l = 0; l < sizeof strength / sizeof *strength; l++) {
            double lambda[FOLDS];
            for (size_t f = 0; f < FOLDS; f++) lambda[f] = strength[l] * (1 + 0.1 * (double)f);
            CHECK_OK(gn__fold_fits_run(fits, lambda, 1e-5, 0, rep, &err), err);
            for (size_t f = 0; t == 0 && f < FOLDS; f++) {
                gn__logistic_problem q = p;
                gn__logistic_report alone;
                double w[D + 1] = {0};
                q.lambda = lambda[f], q.tolerance = 1e-6, q.n = 0;
                for (size_t i = 0; i < N; i++)
                    if (fold[i] != f) kept[q.n] = row[i], kept_y[q.n] = y[i], kept_weight[q.n++] = weight[i];
                q.row = kept, q.y = kept_y, q.sample_weight = kept_weight;
                CHECK_OK(gn__logistic_fit(ctx, &q, w, &alone, &err), err);
                CHECK(rep[f].converged && rep[f].evaluations < 12);
                CHECK_NEAR(rep[f].reference, alone.reference, 1e-5 * alone.reference);
                CHECK_NEAR(rep[f].objective, alone.objective, 1e-6 * alone.objective);
                for (size_t j = 0; j <= D; j++) CHECK_NEAR(gn__fold_fits_weight(fits, f)[j], w[j], 1e-4);
            }
        }
        memcpy(held[t], gn__fold_fits_held(fits), N * sizeof *held[t]);
        for (size_t i = 0; i < N; i++) {
            const double *w = gn__fold_fits_weight(fits, fold[i]);
            double margin = w[D];
            for (size_t j = 0; j < D; j++) margin += w[j] * (double)(x[row[i] * D + j] - mean[j]) / p.scale;
            CHECK_NEAR(held[t][i], margin, 1e-5 * (1 + fabs(margin)));
        }
        gn__fold_fits_free(fits);
        gn_context_free(ctx);
    }
    CHECK(memcmp(held[0], held[1], N * sizeof *held[0]) == 0 &&
          memcmp(held[0], held[2], N * sizeof *held[0]) == 0);
    /* Without fold 2 one class is left. */
    gn_context *ctx = context(1);
    gn__fold_fits *none = NULL;
    for (size_t i = 0; i < N; i++) y[i] = fold[i] == 2 && i % 2;
    CHECK_INT(gn__fold_fits_make(ctx, &p, fold, FOLDS, &none, &err), GN_DATA);
    CHECK(none == NULL);
    gn_context_free(ctx);
    for (int t = 0; t < 3; t++) free(held[t]);
    free(x), free(y), free(kept_y), free(fold), free(row), free(kept), free(weight), free(kept_weight);
}

TEST(refuses_what_it_cannot_fit)
{
    float x[4] = {0, 1, 2, 3};
    int y[4] = {0, 0, 0, 0};
    double w[2] = {0};
    gn_context *ctx = context(1);
    gn_error err = {0};
    gn__logistic_problem p = {
        .x = x, .n = 4, .dim = 1, .ld = 1, .y = y, .classes = 2, .lambda = 0.1, .scale = 1};
    CHECK_INT(gn__logistic_fit(ctx, &p, w, NULL, &err), GN_DATA);
    CHECK_HAS(err.message, "all 4 rows are of one");
    y[3] = 2;
    CHECK_INT(gn__logistic_fit(ctx, &p, w, NULL, &err), GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "row 3 of a logistic regression has class 2 of 2");
    y[3] = 1;
    x[2] = INFINITY;
    CHECK_INT(gn__logistic_fit(ctx, &p, w, NULL, &err), GN_NUMERIC);
    CHECK_HAS(err.message, "left the range of numbers");
    x[2] = 2;
    p.scale = 0;
    CHECK_INT(gn__logistic_fit(ctx, &p, w, NULL, &err), GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "scale 0");
    p.scale = 1;
    p.dim = INT32_MAX;
    CHECK_INT(gn__logistic_fit(ctx, &p, w, NULL, &err), GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "too many");
    p.dim = 1;
    volatile sig_atomic_t stop = 1;
    gn_context *stopped = NULL;
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = 1, .cancel = &stop}, &stopped, &err), err);
    CHECK_INT(gn__logistic_fit(stopped, &p, w, NULL, &err), GN_CANCELLED);
    gn_context_free(stopped);
    gn_context_free(ctx);
}
