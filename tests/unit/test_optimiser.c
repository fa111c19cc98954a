/* The optimiser against PyTorch and transformers (tests/golden/make_optimiser.py). */
#include "golden_text.h"
#include "tensor/optimiser.h"
#include "test.h"

#include <math.h>

static const char *const golden = "tests/golden/optimiser/torch.txt";

static gn_context *context(unsigned threads, const volatile sig_atomic_t *cancel)
{
    gn_context *ctx = NULL;
    gn_error err = {0};
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = threads, .cancel = cancel}, &ctx, &err), err);
    return ctx;
}

TEST(steps_agree_with_pytorch)
{
    enum { STEPS = 12, WARMUP = 3 };
    size_t k, n;
    double *size = golden_read(golden, "size", &k), *norm = golden_read(golden, "norm", &k);
    float *value = golden_read_float(golden, "start", &n),
          *gradient = golden_read_float(golden, "gradient", &k);
    float *expected = golden_read_float(golden, "value", &k);
    CHECK_INT(k, STEPS * n);
    gn_context *ctx = context(2, NULL);
    gn_error err = {0};
    gn__optimiser o;
    size_t first = (size_t)size[0];
    gn__stretch stretch[] = {{0, first, true, 0}, {first, n - first, false, 1}};
    CHECK_OK(gn__optimiser_create(n, stretch, 2, &o, &err), err);
    o.beta1 = 0.9, o.beta2 = 0.98, o.eps = 1e-6, o.decay = 0.1;
    for (size_t s = 0; s < STEPS; s++) {
        float *g = gradient + s * n;
        double found, factor = gn__schedule_factor(GN_SCHEDULE_LINEAR, s, WARMUP, STEPS);
        CHECK_OK(gn__norm_of(ctx, g, n, &found, &err), err);
        CHECK_NEAR(found, norm[s], 1e-6 * norm[s]);
        double clip = 1.5 / (found + 1e-6);
        gn__optimiser_step(ctx, &o, value, g, clip < 1 ? clip : 1, (double[]){0.05 * factor, 0.2 * factor});
        for (size_t i = 0; i < n; i++) {
            CHECK_NEAR(value[i], expected[s * n + i], 1e-6);
            CHECK(g[i] == 0);
        }
    }
    gn__optimiser_free(&o);
    gn_context_free(ctx);
    free(size), free(norm), free(value), free(gradient), free(expected);
}

TEST(schedules_agree_with_transformers)
{
    static const char *const names[] = {"linear", "cosine", "constant"};
    size_t k;
    for (int kind = 0; kind < 3; kind++)
        for (size_t warmup = 0; warmup <= 4; warmup += 4) {
            char name[32];
            snprintf(name, sizeof name, "%s%zu", names[kind], warmup);
            double *expected = golden_read(golden, name, &k);
            CHECK_INT(k, 12);
            for (size_t s = 0; s < k; s++)
                CHECK_NEAR(gn__schedule_factor((gn_schedule)kind, s, warmup, 11), expected[s], 1e-12);
            free(expected);
        }
    double *expected = golden_read(golden, "warmup", &k);
    CHECK_INT(gn__schedule_warmup(0.1, 11), (long long)expected[0]);
    CHECK_INT(gn__schedule_warmup(0, 11), 0);
    free(expected);
}

static float *numbers(size_t n, uint64_t index)
{
    float *x = gn__aligned(n, sizeof *x);
    gn__rng r = gn__rng_make(1, gn__purpose("optimiser test"), index);
    for (size_t i = 0; i < n; i++) x[i] = (float)gn__rng_normal(&r);
    return x;
}

/* The formula as it stands, element by element, against steps whose gradients touch a few stretches of rows:
 * what was passed over must still have decayed, and what has moved once must go on moving without a gradient.
 * Half way the averages are taken over into another optimiser. */
TEST(rows_without_a_gradient_end_where_the_formula_says)
{
    enum { N = 100000, ROW = 700, STEPS = 6 };
    gn_context *ctx = context(2, NULL);
    gn_error err = {0};
    gn__optimiser o, next;
    gn__stretch stretch[] = {{0, N, true, 0}};
    CHECK_OK(gn__optimiser_create(N, stretch, 1, &o, &err), err);
    CHECK_OK(gn__optimiser_create(N, stretch, 1, &next, &err), err);
    float *value = numbers(N, 0), *gradient = gn__calloc(N, sizeof *gradient);
    double *w = gn__calloc(3 * N, sizeof *w), *m = w + N, *v = m + N;
    size_t still = 0;
    for (size_t i = 0; i < N; i++) w[i] = (double)value[i];
    next.beta1 = o.beta1 = 0.9, next.beta2 = o.beta2 = 0.99, next.eps = o.eps = 1e-6;
    next.decay = o.decay = 0.1;
    for (size_t s = 1; s <= STEPS; s++) {
        float *x = numbers(ROW, s);
        memcpy(gradient + s * 13 * ROW, x, ROW * sizeof *x);
        free(x);
        for (size_t i = 0; i < N; i++) {
            double g = 0.5 * (double)gradient[i];
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.99 * v[i] + 0.01 * g * g;
            w[i] = w[i] * (1 - 0.01 * 0.1) - 0.01 * (m[i] / (1 - pow(0.9, (double)s))) /
                                                 (sqrt(v[i] / (1 - pow(0.99, (double)s))) + 1e-6);
        }
        gn__optimiser_step(ctx, &o, value, gradient, 0.5, (double[]){0.01, 0});
        for (size_t i = 0; i < N; i++) CHECK(gradient[i] == 0);
        if (s != STEPS / 2) continue;
        gn__optimiser_resume(&next, o.mean, o.square, o.steps);
        gn__optimiser_free(&o);
        o = next;
    }
    for (size_t i = 0; i < N; i++) {
        CHECK_NEAR(value[i], w[i], 1e-5);
        still += v[i] == 0;
    }
    CHECK_INT(still, N - STEPS * ROW);
    gn__optimiser_free(&o);
    gn_context_free(ctx);
    free(value), free(gradient), free(w);
}

/* Three steps over several blocks, the same bits with 1, 2 and 3 threads, and when every loop is told to
 * stop: a step is whole or not at all. */
TEST(bits_do_not_depend_on_threads_and_no_step_is_halved)
{
    enum { N = 200003 };
    static const volatile sig_atomic_t stop = 1;
    float *first = NULL;
    double norm = 0;
    for (unsigned t = 1; t <= 4; t++) {
        gn_context *ctx = context(t < 4 ? t : 2, t < 4 ? NULL : &stop);
        gn_error err = {0};
        gn__optimiser o;
        float *value = numbers(N, 0);
        gn__stretch stretch[] = {{0, 70001, true, 0}, {70001, 5, false, 0}, {70010, N - 70010, true, 1}};
        CHECK_OK(gn__optimiser_create(N, stretch, 3, &o, &err), err);
        o.beta1 = 0.9, o.beta2 = 0.999, o.eps = 1e-8, o.decay = 0.01;
        for (uint64_t s = 1; s <= 3; s++) {
            float *gradient = numbers(N, s);
            double found;
            if (t < 4) {
                CHECK_OK(gn__norm_of(ctx, gradient, N, &found, &err), err);
                if (s == 1 && t == 1) norm = found;
                if (s == 1) CHECK(found == norm);
            }
            gn__optimiser_step(ctx, &o, value, gradient, 0.5, (double[]){1e-2, 1e-3});
            CHECK(gradient[70007] != 0 && gradient[70004] == 0); /* outside of all stretches; inside */
            free(gradient);
        }
        if (first == NULL)
            first = value;
        else
            CHECK(memcmp(first, value, N * sizeof *value) == 0);
        if (first != value) free(value);
        gn__optimiser_free(&o);
        gn_context_free(ctx);
    }
    float *start = numbers(N, 0);
    CHECK(first[70007] == start[70007] && first[70011] != start[70011]);
    double sum = 0;
    float *g = numbers(N, 1);
    for (size_t i = 0; i < N; i++) sum += (double)g[i] * (double)g[i];
    CHECK_NEAR(norm, sqrt(sum), 1e-9 * norm);
    free(start), free(g), free(first);
}
