/* Level and power of every two-sample test by simulation: calibrate level|power|graded|all [SIMULATIONS]
 * [DIR]. Prints Markdown tables (docs/calibration.md). DIR: a folder with embeddings of texts, X.npy and
 * topic.txt (one number a line), for the rows that need real embeddings; without it those are left out. */
#include "core/core.h"
#include "genchi/genchi.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

enum { LEVEL_PERMUTATIONS = 19, POWER_PERMUTATIONS = 199 };

static gn_context *ctx;
static double budget;
static bool level_table; /* mark rates that lie above 5 % */

static double cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* Ten simulations at least. */
static bool spent(double since, size_t done)
{
    return budget > 0 && done >= 10 && cpu_seconds() - since > budget;
}

static void must(gn_status status, const gn_error *err)
{
    if (status == GN_OK) return;
    fprintf(stderr, "calibrate: %s\n", err->message);
    exit(1);
}

static gn_matrix matrix(size_t rows, size_t cols)
{
    gn_matrix m;
    gn_error err = {0};
    must(gn_matrix_create(rows, cols, &m, &err), &err);
    return m;
}

/* Two normals from one pair of uniforms, in float. */
static void fill_normal(gn__rng *r, float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 2) {
        float u = (float)(gn__rng_u32(r) >> 8) * 0x1p-24F + 0x1p-25F, v = (float)gn__rng_u32(r) * 0x1p-32F;
        float size = sqrtf(-2 * logf(u));
        x[i] = size * cosf(6.2831853F * v);
        if (i + 1 < n) x[i + 1] = size * sinf(6.2831853F * v);
    }
}

/* ---- laws ---------------------------------------------------------------------------------------- */

typedef struct law {
    const char *name;
    void (*fill)(gn__rng *r, gn_matrix *m);
} law;

static void law_normal(gn__rng *r, gn_matrix *m)
{
    fill_normal(r, m->data, m->rows * m->cols);
}

/* Multivariate Student t with 2 degrees of freedom: no variance. */
static void law_heavy(gn__rng *r, gn_matrix *m)
{
    fill_normal(r, m->data, m->rows * m->cols);
    for (size_t i = 0; i < m->rows; i++) {
        float chi2 = -2 * logf((float)(gn__rng_u32(r) >> 8) * 0x1p-24F + 0x1p-25F), scale = sqrtf(2 / chi2);
        for (size_t j = 0; j < m->cols; j++) m->data[i * m->cols + j] *= scale;
    }
}

/* Three normals, of weights 1/2, 3/10, 1/5, centres 3 apart along three axes, spreads 1, 1/2, 2. */
static void law_mixture(gn__rng *r, gn_matrix *m)
{
    fill_normal(r, m->data, m->rows * m->cols);
    for (size_t i = 0; i < m->rows; i++) {
        double u = gn__rng_double(r);
        size_t k = u < 0.5 ? 0 : u < 0.8 ? 1 : 2;
        static const float spread[] = {1, 0.5F, 2};
        for (size_t j = 0; j < m->cols; j++) m->data[i * m->cols + j] *= spread[k];
        m->data[i * m->cols + k] += 3;
    }
}

static const law laws[] = {{"normal", law_normal}, {"t, 2 d.f.", law_heavy}, {"mixture", law_mixture}};

/* Exact 95 % interval of a proportion by bisection of the binomial distribution function (Clopper & Pearson
 * 1934). */
static double at_most(size_t k, size_t n, double p)
{
    double sum = 0;
    for (size_t i = 0; i <= k; i++)
        sum += exp(lgamma((double)n + 1) - lgamma((double)i + 1) - lgamma((double)(n - i) + 1) +
                   (double)i * log(p) + (double)(n - i) * log1p(-p));
    return sum;
}

static void interval(size_t k, size_t n, double *low, double *high)
{
    double a = 0, b = 1;
    for (int i = 0; i < 50; i++) *(at_most(k, n, (a + b) / 2) > 0.025 ? &a : &b) = (a + b) / 2;
    *high = k == n ? 1 : a;
    a = 0, b = 1;
    for (int i = 0; i < 50 && k > 0; i++)
        *(1 - at_most(k - 1, n, (a + b) / 2) < 0.025 ? &a : &b) = (a + b) / 2;
    *low = k == 0 ? 0 : a;
}

static void run_tests(const gn_matrix *a, const gn_matrix *b, size_t permutations, uint64_t purpose,
                      unsigned which, size_t *rejected)
{
    gn_error err = {0};
    for (size_t t = 0; t < GN_TESTS; t++) {
        if (!(which >> t & 1)) continue;
        gn_shift shift;
        gn_detect_options o = {.permutations = permutations, .purpose = purpose, .test = (gn_test)(t + 1)};
        must(gn_kernel_test(ctx, a, b, &o, &shift, &err), &err);
        rejected[t] += shift.p_value <= 0.05;
    }
}

static void header(const char *first)
{
    printf("\n| %s |", first);
    for (size_t t = 0; t < GN_TESTS; t++) printf(" %s |", gn_test_name((gn_test)(t + 1)));
    printf("\n|---|");
    for (size_t t = 0; t < GN_TESTS; t++) printf("---|");
    printf("\n");
}

static void print_row(const char *name, const size_t *rejected, size_t n, unsigned which)
{
    printf("| %s (%zu) |", name, n);
    for (size_t t = 0; t < GN_TESTS; t++) {
        double low, high;
        if (!(which >> t & 1)) {
            printf(" – |");
            continue;
        }
        interval(rejected[t], n, &low, &high);
        printf(" %.3f (%.3f–%.3f)%s |", (double)rejected[t] / (double)n, low, high,
               level_table && low > 0.05 ? " ✗" : "");
    }
    printf("\n");
    fflush(stdout);
}

/* ---- level --------------------------------------------------------------------------------------- */

static const size_t sizes[][2] = {{100, 100}, {2000, 100}, {500, 500}}, dims[] = {16, 384, 768};

static void random_halves(const gn_matrix *x, size_t n_a, size_t n_b, gn__rng *r, gn_matrix *a, gn_matrix *b)
{
    uint32_t *order = calloc(x->rows, sizeof *order);
    for (size_t i = 0; i < x->rows; i++) order[i] = (uint32_t)i;
    gn__rng_shuffle(r, order, x->rows);
    for (size_t i = 0; i < n_a + n_b; i++)
        memcpy(i < n_a ? a->data + i * x->cols : b->data + (i - n_a) * x->cols, x->data + order[i] * x->cols,
               x->cols * sizeof(float));
    free(order);
}

static void level(size_t sims, const gn_matrix *texts)
{
    printf("\n### Level: rejections at 5 %% when nothing differs, at most %zu simulations a row (in "
           "brackets), %d permutations\n",
           sims, LEVEL_PERMUTATIONS);
    level_table = true;
    header("law, rows, columns");
    for (size_t d = 0; d < 3; d++)
        for (size_t s = 0; s < 3; s++)
            for (size_t l = 0; l < sizeof laws / sizeof *laws; l++) {
                size_t rejected[GN_TESTS] = {0};
                char name[96];
                gn_matrix a = matrix(sizes[s][0], dims[d]), b = matrix(sizes[s][1], dims[d]);
                size_t k = 0;
                for (double since = cpu_seconds(); k < sims && !spent(since, k); k++) {
                    gn__rng r = gn__rng_make(1, gn__purpose("calibrate/level") + 16 * d + 4 * s + l, k);
                    laws[l].fill(&r, &a);
                    laws[l].fill(&r, &b);
                    run_tests(&a, &b, LEVEL_PERMUTATIONS, k, ~0U, rejected);
                }
                snprintf(name, sizeof name, "%s, %zu/%zu, %zu", laws[l].name, sizes[s][0], sizes[s][1],
                         dims[d]);
                print_row(name, rejected, k, ~0U);
                gn_matrix_free(&a);
                gn_matrix_free(&b);
            }
    for (size_t s = 0; texts->rows > 0 && s < 3; s++) {
        size_t n_a = sizes[s][0], n_b = sizes[s][1], rejected[GN_TESTS] = {0};
        char name[96];
        if (n_a + n_b > texts->rows) n_a = texts->rows / 2, n_b = texts->rows / 2;
        if (s > 0 && n_a == sizes[0][0] && n_b == sizes[0][1]) continue;
        gn_matrix a = matrix(n_a, texts->cols), b = matrix(n_b, texts->cols);
        size_t k = 0;
        for (double since = cpu_seconds(); k < sims && !spent(since, k); k++) {
            gn__rng r = gn__rng_make(1, gn__purpose("calibrate/halves") + s, k);
            random_halves(texts, n_a, n_b, &r, &a, &b);
            run_tests(&a, &b, LEVEL_PERMUTATIONS, k, ~0U, rejected);
        }
        snprintf(name, sizeof name, "texts, %zu/%zu, %zu", n_a, n_b, texts->cols);
        print_row(name, rejected, k, ~0U);
        gn_matrix_free(&a);
        gn_matrix_free(&b);
    }
    level_table = false;
}

/* ---- power at published settings ------------------------------------------------------------------ */

/* The perturbation of Schrab et al. 2023 (JMLR 24, section 5.4): G on one period, its sign from theta. */
static double bump(double x)
{
    if (-1 < x && x < -0.5) return exp(-1 / (1 - (4 * x + 3) * (4 * x + 3)));
    if (-0.5 < x && x < 0) return -exp(-1 / (1 - (4 * x + 1) * (4 * x + 1)));
    return 0;
}

/* d = 2, two perturbations an axis, amplitude 0.4 of the largest possible: the density is
 * 1 + 0.4 e^2 sum_j theta_j prod_r G(2 x_r - j_r). */
static void perturbed(gn__rng *r, gn_matrix *m)
{
    double theta[4];
    for (int k = 0; k < 4; k++) theta[k] = gn__rng_u32(r) & 1 ? 1 : -1;
    for (size_t i = 0; i < m->rows;) {
        double x = gn__rng_double(r), y = gn__rng_double(r), f = 1;
        for (int j = 0; j < 4; j++)
            f += 0.4 * exp(2) * theta[j] * bump(2 * x - 1 - j / 2) * bump(2 * y - 1 - j % 2);
        if (gn__rng_double(r) * 1.4 > f) continue;
        m->data[2 * i] = (float)x;
        m->data[2 * i + 1] = (float)y;
        i++;
    }
}

static void uniform(gn__rng *r, gn_matrix *m)
{
    for (size_t i = 0; i < m->rows * m->cols; i++) m->data[i] = (float)gn__rng_double(r);
}

/* Four normals at (±20, ±20); `last` is the standard deviation of the last. */
static void four_normals(gn__rng *r, gn_matrix *m, float last)
{
    fill_normal(r, m->data, m->rows * 2);
    for (size_t i = 0; i < m->rows; i++) {
        uint32_t k = gn__rng_u32(r) & 3;
        for (size_t j = 0; j < 2; j++) {
            float *x = &m->data[2 * i + j];
            *x = (k == 3 ? last * *x : *x) + ((k >> j & 1) ? -20.0F : 20.0F);
        }
    }
}

static void power(size_t sims, unsigned which)
{
    size_t n = 2000, rejected[2][GN_TESTS] = {{0}};
    gn_matrix a = matrix(n, 2), b = matrix(n, 2);
    printf("\n### Power at published settings, at most %zu simulations, %d permutations\n", sims,
           POWER_PERMUTATIONS);
    header("setting, n = m = 2,000");
    for (int setting = 0; setting < 2; setting++) {
        size_t k = 0;
        for (double since = cpu_seconds(); k < sims && !spent(since, k); k++) {
            gn__rng r = gn__rng_make(1, gn__purpose("calibrate/power") + (uint64_t)setting, k);
            if (setting == 0) {
                perturbed(&r, &a);
                uniform(&r, &b);
            } else {
                four_normals(&r, &a, 1);
                four_normals(&r, &b, 1.3F);
            }
            run_tests(&a, &b, POWER_PERMUTATIONS, k, which, rejected[setting]);
        }
        print_row(setting ? "mixture of four normals (published: FUSE .765, Agg .785)"
                          : "perturbed uniform (published: FUSE .805, Agg .765)",
                  rejected[setting], k, which);
    }
    gn_matrix_free(&a);
    gn_matrix_free(&b);
}

/* ---- graded shifts of real texts ------------------------------------------------------------------- */

/* topic: of every row of x. Both sets are drawn from topic 0 without common rows; a part of b's is replaced
 * by rows of topic 1. */
static void graded(size_t sims, const gn_matrix *x, const int *topic)
{
    static const double shares[] = {0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5};
    size_t count[2] = {0}, n = 500;
    uint32_t *row[2] = {calloc(x->rows, sizeof **row), calloc(x->rows, sizeof **row)};
    for (size_t i = 0; i < x->rows; i++)
        if (topic[i] == 0 || topic[i] == 1) row[topic[i]][count[topic[i]]++] = (uint32_t)i;
    if (2 * n > count[0]) n = count[0] / 2;
    printf("\n### Power on embeddings of texts: a share of %zu texts replaced by another topic's, %zu "
           "simulations, %d "
           "permutations\n",
           n, sims, POWER_PERMUTATIONS);
    header("share replaced");
    gn_matrix a = matrix(n, x->cols), b = matrix(n, x->cols);
    for (size_t s = 0; s < sizeof shares / sizeof *shares; s++) {
        size_t rejected[GN_TESTS] = {0}, other = (size_t)(shares[s] * (double)n + 0.5);
        char name[32];
        size_t k = 0;
        for (double since = cpu_seconds(); k < sims && !spent(since, k); k++) {
            gn__rng r = gn__rng_make(1, gn__purpose("calibrate/graded") + s, k);
            gn__rng_shuffle(&r, row[0], count[0]);
            gn__rng_shuffle(&r, row[1], count[1]);
            for (size_t i = 0; i < n; i++) {
                uint32_t from = i < other ? row[1][i % count[1]] : row[0][n + i];
                memcpy(a.data + i * x->cols, x->data + row[0][i] * x->cols, x->cols * sizeof(float));
                memcpy(b.data + i * x->cols, x->data + from * x->cols, x->cols * sizeof(float));
            }
            run_tests(&a, &b, POWER_PERMUTATIONS, k, ~0U, rejected);
        }
        snprintf(name, sizeof name, "%g %%", 100 * shares[s]);
        print_row(name, rejected, k, ~0U);
    }
    gn_matrix_free(&a);
    gn_matrix_free(&b);
    free(row[0]);
    free(row[1]);
}

/* ---- the equivalence test at its tolerance ---------------------------------------------------------- */

/* Two normals of one dimension, the distance between them such that the true NAMMD is the tolerance: how
 * often is equivalence claimed? At most alpha. And at equality, which is its power. With bandwidth h, a = 1 /
 * sqrt(1 + 2/h^2): E k within a, between a exp(-d^2 / (2 (h^2 + 2))); theta = 2 a (1 - e) / (4 - 2 a). The
 * bandwidth is the median distance, which depends on d a little: the truth is taken at the bandwidth that the
 * test reports. */
static void equivalence(size_t sims)
{
    static const size_t rows[][2] = {{100, 100}, {1000, 100}, {500, 500}};
    gn_error err = {0};
    printf("\n### Equivalence test (NAMMD): claims of equivalence, %zu simulations\n", sims);
    printf(
        "\n| rows | true value at the tolerance (level 5 %%) | nothing differs (power) |\n|---|---|---|\n");
    for (size_t s = 0; s < 3; s++) {
        size_t claimed[2] = {0};
        gn_matrix a = matrix(rows[s][0], 1), b = matrix(rows[s][1], 1);
        for (int same = 0; same < 2; same++)
            for (size_t k = 0; k < sims; k++) {
                gn__rng r = gn__rng_make(1, gn__purpose("calibrate/equal") + s, k);
                double d = same ? 0 : 0.6;
                gn_equivalence e;
                fill_normal(&r, a.data, a.rows);
                fill_normal(&r, b.data, b.rows);
                for (size_t i = 0; i < b.rows; i++) b.data[i] += (float)d;
                gn_detect_options o = {.purpose = k};
                must(gn_equivalence_test(ctx, &a, &b, &o, 0.02, &e, &err), &err);
                double h2 = e.bandwidth * e.bandwidth, in = 1 / sqrt(1 + 2 / h2);
                double truth = 2 * in * (1 - exp(-0.6 * 0.6 / (2 * (h2 + 2)))) / (4 - 2 * in);
                claimed[same] += e.upper < truth;
            }
        double low[2], high[2];
        for (int t = 0; t < 2; t++) interval(claimed[t], sims, &low[t], &high[t]);
        printf("| %zu/%zu | %.3f (%.3f–%.3f)%s | %.3f |\n", rows[s][0], rows[s][1],
               (double)claimed[0] / (double)sims, low[0], high[0], low[0] > 0.05 ? " ✗" : "",
               (double)claimed[1] / (double)sims);
        gn_matrix_free(&a);
        gn_matrix_free(&b);
    }
}

static int *read_topics(const char *path, size_t rows)
{
    FILE *f = fopen(path, "r");
    int *topic = calloc(rows + 1, sizeof *topic);
    for (size_t i = 0; i < rows; i++)
        if (f == NULL || topic == NULL || fscanf(f, "%d", &topic[i]) != 1) {
            fprintf(stderr, "calibrate: %s: %zu numbers expected\n", path, rows);
            exit(1);
        }
    fclose(f);
    return topic;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "all";
    size_t sims = argc > 2 ? strtoul(argv[2], NULL, 10) : 2000;
    gn_error err = {0};
    gn_matrix texts = {0};
    int *topic = NULL;
    must(gn_context_create(&(gn_context_options){.seed = 1}, &ctx, &err), &err);
    budget = argc > 3 ? strtod(argv[3], NULL) : 0;
    if (argc > 4) {
        char *x = gn__path_join(argv[4], "X.npy"), *t = gn__path_join(argv[4], "topic.txt");
        must(gn_npy_read(x, &texts, &err), &err);
        topic = read_topics(t, texts.rows);
        free(x);
        free(t);
    }
    bool all = strcmp(what, "all") == 0;
    double t0 = gn__now(), cpu = cpu_seconds();
    if (all || strcmp(what, "level") == 0) level(sims, &texts);
    if (all || strcmp(what, "equivalence") == 0) equivalence(sims);
    if (all || strcmp(what, "power") == 0) power(sims, ~0U);
    if (strcmp(what, "power-kernels") ==
        0) /* the two with published figures, to have more simulations of them */
        power(sims, 1U << (GN_TEST_MMD_FUSE - 1) | 1U << (GN_TEST_MMD_AGG - 1));
    if (topic != NULL && (all || strcmp(what, "graded") == 0)) graded(sims, &texts, topic);
    printf("\n%.0f s, %.0f CPU s\n", gn__now() - t0, cpu_seconds() - cpu);
    gn_matrix_free(&texts);
    free(topic);
    gn_context_free(ctx);
    return 0;
}
