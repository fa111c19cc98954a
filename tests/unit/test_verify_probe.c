#include "genchi/verify.h"
#include "tensor/logistic.h"
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

/* Two or more classes whose means differ by `apart` along the first axes. */
static void draw(gn_matrix *x, int *y, int classes, double apart, uint64_t index)
{
    gn__rng rng = gn__rng_make(77, 1, index);
    for (size_t i = 0; i < x->rows; i++) {
        y[i] = (int)(i % (size_t)classes);
        for (size_t j = 0; j < x->cols; j++)
            x->data[i * x->cols + j] = (float)(gn__rng_normal(&rng) + (j == (size_t)y[i] ? apart : 0));
    }
}

/* ---- folds --------------------------------------------------------------------------------------- */

TEST(units_are_numbered_by_first_row)
{
    uint32_t group[] = {9, 4, 9, 7, 4, 9};
    static const uint32_t of[] = {0, 1, 0, 2, 1, 0}, member[] = {0, 2, 5, 1, 4, 3};
    gn__units u;
    CHECK_OK(gn__units_make(group, 6, &u, &err), err);
    CHECK_INT(u.count, 3);
    CHECK(memcmp(u.of, of, sizeof of) == 0 && memcmp(u.row, member, sizeof member) == 0);
    CHECK(u.start[0] == 0 && u.start[1] == 3 && u.start[2] == 5 && u.start[3] == 6);
    gn__units_free(&u);
}

static void count_folds(const uint32_t *fold, const int *y, size_t n, int classes, size_t folds,
                        size_t *least, size_t *most)
{
    for (int c = 0; c < classes; c++) {
        size_t in[16] = {0};
        for (size_t i = 0; i < n; i++) in[fold[i]] += y[i] == c;
        least[c] = SIZE_MAX, most[c] = 0;
        for (size_t f = 0; f < folds; f++) {
            if (in[f] < least[c]) least[c] = in[f];
            if (in[f] > most[c]) most[c] = in[f];
        }
    }
}

TEST(folds_are_stratified_and_seeded)
{
    enum { N = 103 };
    int y[N];
    uint32_t fold[N], again[N], other[N];
    size_t folds, least[3], most[3];
    for (int i = 0; i < N; i++) y[i] = i < 60 ? 0 : i < 95 ? 1 : 2;
    gn__units u;
    CHECK_OK(gn__units_make(NULL, N, &u, &err), err);
    CHECK_OK(gn__folds(&u, y, 3, 5, 1, 2, 3, fold, &folds, &err), err);
    CHECK_INT(folds, 5);
    count_folds(fold, y, N, 3, folds, least, most);
    for (int c = 0; c < 3; c++) CHECK(most[c] - least[c] <= 1);
    CHECK_OK(gn__folds(&u, y, 3, 5, 1, 2, 3, again, &folds, &err), err);
    CHECK_OK(gn__folds(&u, y, 3, 5, 2, 2, 3, other, &folds, &err), err);
    CHECK(memcmp(fold, again, sizeof fold) == 0);
    CHECK(memcmp(fold, other, sizeof fold) != 0);
    gn__units_free(&u);
}

TEST(folds_keep_groups_whole)
{
    enum { N = 400 };
    int y[N];
    uint32_t group[N], fold[N];
    size_t folds, least[2], most[2];
    gn__rng rng = gn__rng_make(1, 1, 1);
    for (int i = 0; i < N; i++) {
        uint32_t g = gn__rng_below(&rng, 60), h = gn__rng_below(&rng, 60);
        group[i] = g < h ? g : h; /* uneven sizes */
        y[i] = gn__rng_double(&rng) < (group[i] % 3 == 0 ? 0.9 : 0.3);
    }
    gn__units u;
    CHECK_OK(gn__units_make(group, N, &u, &err), err);
    CHECK_OK(gn__folds(&u, y, 2, 5, 1, 2, 3, fold, &folds, &err), err);
    CHECK_INT(folds, 5);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < i; j++) CHECK(group[i] != group[j] || fold[i] == fold[j]);
    count_folds(fold, y, N, 2, folds, least, most);
    for (int c = 0; c < 2; c++) CHECK(most[c] - least[c] <= 6);
    gn__units_free(&u);
}

TEST(folds_give_way_to_scarce_classes_and_groups)
{
    int y[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1};
    uint32_t fold[12], two[12], giant[12];
    size_t folds;
    gn__units u;
    CHECK_OK(gn__units_make(NULL, 12, &u, &err), err);
    CHECK_OK(gn__folds(&u, y, 2, 5, 1, 0, 0, fold, &folds, &err), err);
    CHECK_INT(folds, 3); /* three rows of the rare class */
    y[9] = y[10] = 0;
    CHECK_OK(gn__folds(&u, y, 2, 5, 1, 0, 0, fold, &folds, &err), err);
    CHECK_INT(folds, 0); /* one row of it: a fold without that row has one class */
    gn__units_free(&u);
    for (int i = 0; i < 12; i++) y[i] = i % 2, two[i] = i % 2, giant[i] = i < 9 ? 0 : (uint32_t)i;
    CHECK_OK(gn__units_make(two, 12, &u, &err), err); /* the group is the label */
    CHECK_OK(gn__folds(&u, y, 2, 5, 1, 0, 0, fold, &folds, &err), err);
    CHECK_INT(folds, 0);
    gn__units_free(&u);
    CHECK_OK(gn__units_make(giant, 12, &u, &err), err);
    CHECK_OK(gn__folds(&u, y, 2, 5, 1, 0, 0, fold, &folds, &err), err);
    CHECK(folds >= 2);
    for (int i = 0; i < 9; i++) CHECK(fold[i] == fold[0]);
    gn__units_free(&u);
}

/* ---- the probe ----------------------------------------------------------------------------------- */

static void check_golden_probe(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "tests/golden/verify/%s", name);
    FILE *f = fopen(test_path(path), "r");
    CHECK(f != NULL);
    size_t rows = (size_t)number(f), dim = (size_t)number(f);
    int classes = (int)number(f);
    double lambda = number(f);
    gn_matrix x;
    CHECK_OK(gn_matrix_create(rows, dim, &x, &err), err);
    int *y = calloc(rows, sizeof *y);
    float *p = calloc(rows * (size_t)classes, sizeof *p);
    for (size_t i = 0; i < rows; i++) {
        y[i] = (int)number(f);
        for (size_t j = 0; j < dim; j++) x.data[i * dim + j] = (float)number(f);
    }
    gn_context *ctx = context(1, 1);
    gn_probe probe;
    gn_probe_options options = {.lambdas = &lambda, .lambda_count = 1};
    CHECK_OK(gn_probe_fit(ctx, &x, y, classes, NULL, &options, &probe, &err), err);
    CHECK_NEAR(probe.lambda, lambda, 0);
    CHECK_OK(gn_probe_predict(ctx, &probe, &x, p, &err), err);
    for (size_t i = 0; i < rows * (size_t)classes; i++) CHECK_NEAR(p[i], number(f), 2e-4);
    if (classes == 2) {
        for (size_t j = 0; j < dim; j++) CHECK(probe.weight[j] == -probe.weight[dim + j]);
        CHECK(probe.intercept[0] == -probe.intercept[1]);
    }
    gn_probe_free(&probe);
    gn_matrix_free(&x);
    gn_context_free(ctx);
    fclose(f);
    free(y);
    free(p);
}

TEST(probe_agrees_with_scikit_learn_two_classes)
{
    check_golden_probe("probe_two.txt");
}

TEST(probe_agrees_with_scikit_learn_three_classes)
{
    check_golden_probe("probe_three.txt");
}

static double accuracy(gn_context *ctx, const gn_probe *p, const gn_matrix *x, const int *y)
{
    float *out = calloc(x->rows * (size_t)p->classes, sizeof *out);
    size_t right = 0;
    CHECK_OK(gn_probe_predict(ctx, p, x, out, &err), err);
    for (size_t i = 0; i < x->rows; i++)
        right += gn__top_class(out + i * (size_t)p->classes, p->classes) == y[i];
    free(out);
    return (double)right / (double)x->rows;
}

/* More columns than rows, noise: strong; plenty of rows, signal: weaker. */
TEST(strength_follows_the_data)
{
    gn_context *ctx = context(2, 1);
    gn_matrix noise, signal;
    int y[2000];
    gn_probe p;
    CHECK_OK(gn_matrix_create(40, 200, &noise, &err), err);
    CHECK_OK(gn_matrix_create(2000, 10, &signal, &err), err);
    draw(&noise, y, 2, 0, 1);
    CHECK_OK(gn_probe_fit(ctx, &noise, y, 2, NULL, NULL, &p, &err), err);
    CHECK(p.lambda >= 1);
    gn_probe_free(&p);
    draw(&signal, y, 2, 2, 2);
    CHECK_OK(gn_probe_fit(ctx, &signal, y, 2, NULL, NULL, &p, &err), err);
    CHECK(p.lambda <= 0.1);
    /* Bayes accuracy: means 2 apart on two axes, distance 2√2. */
    CHECK_NEAR(accuracy(ctx, &p, &signal, y), 0.5 * erfc(-1.0), 0.02);
    gn_probe_free(&p);
    gn_matrix_free(&noise);
    gn_matrix_free(&signal);
    gn_context_free(ctx);
}

/* Groups carry a label and a direction of their own; inner folds that split them would choose too weak a
 * strength. */
TEST(inner_folds_keep_groups_whole)
{
    enum { GROUPS = 30, EACH = 10, N = GROUPS * EACH, D = 60 };
    gn_context *ctx = context(2, 1);
    gn_matrix x;
    int y[N];
    uint32_t group[N];
    CHECK_OK(gn_matrix_create(N, D, &x, &err), err);
    gn__rng rng = gn__rng_make(3, 1, 0);
    for (int g = 0; g < GROUPS; g++) {
        float own[D];
        for (int j = 0; j < D; j++) own[j] = (float)gn__rng_normal(&rng);
        for (int i = g * EACH; i < (g + 1) * EACH; i++) {
            y[i] = g % 2, group[i] = (uint32_t)g;
            for (int j = 0; j < D; j++) x.data[i * D + j] = own[j] + 0.2f * (float)gn__rng_normal(&rng);
        }
    }
    gn_probe rows, groups;
    CHECK_OK(gn_probe_fit(ctx, &x, y, 2, NULL, NULL, &rows, &err), err);
    CHECK_OK(gn_probe_fit(ctx, &x, y, 2, group, NULL, &groups, &err), err);
    CHECK(groups.lambda >= 100 * rows.lambda);
    gn_probe_free(&rows);
    gn_probe_free(&groups);
    gn_matrix_free(&x);
    gn_context_free(ctx);
}

/* Scaling and shifting the input changes the weights, not the probabilities. */
TEST(probe_is_in_input_units)
{
    enum { N = 120, D = 6 };
    gn_context *ctx = context(1, 1);
    gn_matrix x, z;
    int y[N];
    float a[3 * N], b[3 * N];
    CHECK_OK(gn_matrix_create(N, D, &x, &err), err);
    CHECK_OK(gn_matrix_create(N, D, &z, &err), err);
    draw(&x, y, 3, 1.5, 3);
    for (size_t i = 0; i < N * D; i++) z.data[i] = 0.01f * x.data[i] + 0.5f;
    gn_probe p, q;
    CHECK_OK(gn_probe_fit(ctx, &x, y, 3, NULL, NULL, &p, &err), err);
    CHECK_OK(gn_probe_fit(ctx, &z, y, 3, NULL, NULL, &q, &err), err);
    CHECK(p.lambda == q.lambda);
    CHECK_OK(gn_probe_predict(ctx, &p, &x, a, &err), err);
    CHECK_OK(gn_probe_predict(ctx, &q, &z, b, &err), err);
    for (int i = 0; i < 3 * N; i++) CHECK_NEAR(a[i], b[i], 2e-3);
    gn_probe_free(&p);
    gn_probe_free(&q);
    gn_matrix_free(&x);
    gn_matrix_free(&z);
    gn_context_free(ctx);
}

TEST(probe_survives_hard_data)
{
    enum { N = 24, D = 40 };
    gn_context *ctx = context(2, 1);
    gn_matrix x;
    int y[N];
    float out[4 * N];
    gn_probe p;
    CHECK_OK(gn_matrix_create(N, D, &x, &err), err);
    draw(&x, y, 2, 50, 4); /* separable, more columns than rows */
    CHECK_OK(gn_probe_fit(ctx, &x, y, 2, NULL, NULL, &p, &err), err);
    CHECK_NEAR(accuracy(ctx, &p, &x, y), 1, 0);
    gn_probe_free(&p);
    for (int i = 0; i < N; i++) x.data[i * D + 1] = 3; /* a constant column */
    CHECK_OK(gn_probe_fit(ctx, &x, y, 2, NULL, NULL, &p, &err), err);
    CHECK_NEAR(p.weight[1], 0, 1e-6);
    gn_probe_free(&p);
    y[0] = 2; /* one row of its class; class 3 never occurs */
    CHECK_OK(gn_probe_fit(ctx, &x, y, 4, NULL, NULL, &p, &err), err);
    CHECK(isinf(p.intercept[3]) && isfinite(p.intercept[2]));
    CHECK_OK(gn_probe_predict(ctx, &p, &x, out, &err), err);
    for (int i = 0; i < N; i++) {
        CHECK(out[4 * i + 3] == 0);
        CHECK_NEAR(out[4 * i] + out[4 * i + 1] + out[4 * i + 2], 1, 1e-6);
    }
    gn_probe_free(&p);
    for (int i = 0; i < N; i++) { /* nothing but constants: the prior */
        y[i] = i < 6;
        for (int j = 0; j < D; j++) x.data[i * D + j] = 1;
    }
    CHECK_OK(gn_probe_fit(ctx, &x, y, 2, NULL, NULL, &p, &err), err);
    CHECK_OK(gn_probe_predict(ctx, &p, &x, out, &err), err);
    CHECK_NEAR(out[1], 0.25, 1e-3);
    gn_probe_free(&p);
    for (int i = 0; i < N; i++) y[i] = i < 2 ? i : -1; /* two labelled rows: no inner folds */
    x.data[0] = 2;
    CHECK_OK(gn_probe_fit(ctx, &x, y, 2, NULL, NULL, &p, &err), err);
    CHECK_NEAR(p.lambda, 1e-2, 1e-12);
    gn_probe_free(&p);
    gn_matrix_free(&x);
    gn_context_free(ctx);
}

/* The log-odds of a fold's rows by a fit of its own, on the other rows in their own units. */
static void check_fold(gn_context *ctx, const gn__job *job, uint32_t f)
{
    const gn__sample *s = &job->sample;
    size_t d = s->x->cols, n = 0;
    uint32_t *row = gn__calloc(s->n, sizeof *row);
    int *y = gn__calloc(s->n, sizeof *y);
    double *sum = gn__calloc(d, sizeof *sum), square = 0, w[16] = {0};
    float mean[16];
    for (size_t i = 0; i < s->n; i++) {
        if (job->fold[i] == f) continue;
        for (size_t j = 0; j < d; j++) sum[j] += (double)s->x->data[s->row[i] * d + j];
        y[n] = s->y[i] == 3;
        row[n++] = s->row[i];
    }
    for (size_t j = 0; j < d; j++) mean[j] = (float)(sum[j] / (double)n);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++) square += pow((double)s->x->data[row[i] * d + j] - (double)mean[j], 2);
    gn__logistic_problem p = {.x = s->x->data, .n = n, .dim = d, .ld = d, .row = row, .y = y, .classes = 2};
    p.lambda = job->fold_lambda[f], p.mean = mean, p.scale = sqrt(square / (double)(n * d));
    CHECK_OK(gn__logistic_fit(ctx, &p, w, NULL, &err), err);
    for (size_t i = 0; i < s->n; i++) {
        if (job->fold[i] != f) continue;
        const float *x = s->x->data + s->row[i] * d, *logit = job->held + i * (size_t)s->classes;
        double margin = w[d];
        for (size_t j = 0; j < d; j++) margin += w[j] * ((double)x[j] - (double)mean[j]) / p.scale;
        CHECK_NEAR(logit[3] - logit[1], margin, 1e-2 * (1 + fabs(margin)));
        CHECK(isinf(logit[0]) && isinf(logit[2]));
    }
    free(row), free(y), free(sum);
}

/* Rows enough that the folds' fits share their passes. Of four classes two occur, some rows have no label, a
 * few rows are far out, so that the scale differs from fold to fold. Then separable, with a constant column
 * and a class of 1 in 100. */
TEST(large_folds_are_fitted_together)
{
    enum { N = 6000, D = 6 };
    static const double strengths[2][2] = {{1, 1e-1}, {1e-2, 1e-5}};
    gn_context *ctx = context(2, 1);
    gn_matrix x;
    int *y = gn__calloc(N, sizeof *y);
    gn__plan plan;
    CHECK_OK(gn_matrix_create(N, D, &x, &err), err);
    for (int hard = 0; hard < 2; hard++) {
        gn_probe_options options = {.inner_folds = 4, .lambdas = strengths[hard], .lambda_count = 2};
        gn__job job = {.purpose = 5, .keep_held = true};
        draw(&x, y, 2, hard ? 20 : 1, 9);
        for (size_t i = 0; i < N; i++) {
            if (hard && i % 100 > 1) {
                y[i] = 0;
                x.data[i * D] += 20 * (float)(i % 2), x.data[i * D + 1] -= 20 * (float)(i % 2);
            }
            y[i] = i % 7 == 6 ? -1 : y[i] ? 3 : 1;
            for (size_t j = 0; j < D; j++) x.data[i * D + j] = x.data[i * D + j] * (i % 1999 ? 1 : 40) + 5;
            if (hard) x.data[i * D + 4] = 3;
        }
        CHECK_OK(gn__plan_make(&options, &plan, &err), err);
        CHECK_OK(gn__sample_make(&x, y, 4, NULL, &job.sample, &err), err);
        CHECK_OK(gn__fit_jobs(ctx, &plan, &job, 1, NULL, &err), err);
        CHECK_INT(job.folds, 4);
        size_t right = 0;
        for (size_t i = 0; i < job.sample.n; i++)
            right += (job.held[4 * i + 3] > job.held[4 * i + 1]) == (job.sample.y[i] == 3);
        if (hard)
            CHECK(right > job.sample.n - 5); /* but for those far out */
        else
            CHECK(right > job.sample.n * 7 / 10 && right < job.sample.n * 8 / 10 + 200);
        for (uint32_t f = 0; !hard && f < job.folds; f++) check_fold(ctx, &job, f);
        CHECK(isfinite(job.probe.intercept[1]) && isinf(job.probe.intercept[0]));
        gn__job_free(&job);
        gn__plan_free(&plan);
    }
    gn_matrix_free(&x);
    free(y);
    gn_context_free(ctx);
}

TEST(probe_refuses_bad_input)
{
    enum { N = 24, D = 3 };
    gn_context *ctx = context(1, 1);
    gn_matrix x, narrow;
    int y[N];
    float out[2 * N];
    gn_probe p;
    CHECK_OK(gn_matrix_create(N, D, &x, &err), err);
    CHECK_OK(gn_matrix_create(N, D - 1, &narrow, &err), err);
    draw(&x, y, 2, 1, 5);
    CHECK(gn_probe_fit(ctx, &x, y, 1, NULL, NULL, &p, &err) == GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "at least two classes, found 1");
    y[3] = 2;
    CHECK(gn_probe_fit(ctx, &x, y, 2, NULL, NULL, &p, &err) == GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "the label 2 of row 4 is not in 0 to 1");
    y[3] = 1;
    static const double bad[] = {1, 0};
    gn_probe_options options = {.lambdas = bad, .lambda_count = 2};
    CHECK(gn_probe_fit(ctx, &x, y, 2, NULL, &options, &p, &err) == GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "a strength must be above 0");
    options.lambda_count = 0;
    CHECK(gn_probe_fit(ctx, &x, y, 2, NULL, &options, &p, &err) == GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "empty");
    gn_probe_options one_fold = {.inner_folds = 1};
    CHECK(gn_probe_fit(ctx, &x, y, 2, NULL, &one_fold, &p, &err) == GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "at least two folds");
    CHECK_OK(gn_probe_fit(ctx, &x, y, 2, NULL, NULL, &p, &err), err);
    CHECK(gn_probe_predict(ctx, &p, &narrow, out, &err) == GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "fitted on 3 columns, the embeddings have 2");
    gn_probe_free(&p);
    x.data[5 * D + 2] = NAN;
    err.lang = GN_LANG_JA;
    CHECK(gn_probe_fit(ctx, &x, y, 2, NULL, NULL, &p, &err) == GN_DATA);
    CHECK_HAS(err.message, "6 行 3 列");
    err.lang = GN_LANG_EN;
    x.data[5 * D + 2] = 0;
    for (int i = 0; i < N; i++) y[i] = 1;
    CHECK(gn_probe_fit(ctx, &x, y, 2, NULL, NULL, &p, &err) == GN_DATA);
    CHECK_HAS(err.message, "24 labelled rows hold 1");
    gn_matrix_free(&x);
    gn_matrix_free(&narrow);
    gn_context_free(ctx);
}
