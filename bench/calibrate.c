/* Level and power of every two-sample test by simulation:
 *
 *     calibrate level|power|graded|graded_other|equivalence SIMULATIONS FILE [BASE.npy OTHER.npy]
 *
 * FILE keeps what has been simulated (study.h): stop it at any time, run it again to go on; SIMULATIONS 0
 * prints what is there. Prints Markdown tables (docs/calibration.md). BASE and OTHER: embeddings of texts of
 * two kinds; without them the rows that need real ones are printed and not gone on with. */
#include "study.h"

#include <math.h>
#include <stdio.h>

enum { LEVEL_PERMUTATIONS = 19, POWER_PERMUTATIONS = 499, GRADED_PERMUTATIONS = 199, MOST_ROWS = 64 };

static study_row rows[MOST_ROWS];
static size_t count;
static gn_matrix texts[2];                        /* of the two kinds; no rows: not given */
enum { EXAMPLE_TEXTS = 755, EXAMPLE_COLS = 384 }; /* both kinds of the example's, by all-MiniLM-L6-v2 */

static study_row *add_row(const char *key)
{
    study_row *row = &rows[count++];
    if (count > MOST_ROWS) exit(1);
    snprintf(row->key, sizeof row->key, "%s", key);
    return row;
}

/* ---- laws ---------------------------------------------------------------------------------------- */

typedef struct law {
    const char *name;
    void (*fill)(gn__rng *r, gn_matrix *m);
} law;

static void law_normal(gn__rng *r, gn_matrix *m)
{
    study_normals(r, m->data, m->rows * m->cols);
}

/* Multivariate Student t with 2 degrees of freedom: no variance. */
static void law_heavy(gn__rng *r, gn_matrix *m)
{
    study_normals(r, m->data, m->rows * m->cols);
    for (size_t i = 0; i < m->rows; i++) {
        float chi2 = -2 * logf(study_uniform(r)), scale = sqrtf(2 / chi2);
        for (size_t j = 0; j < m->cols; j++) m->data[i * m->cols + j] *= scale;
    }
}

/* Three normals, of weights 1/2, 3/10, 1/5, centres 3 apart along three axes, spreads 1, 1/2, 2. */
static void law_mixture(gn__rng *r, gn_matrix *m)
{
    study_normals(r, m->data, m->rows * m->cols);
    for (size_t i = 0; i < m->rows; i++) {
        double u = gn__rng_double(r);
        size_t k = u < 0.5 ? 0 : u < 0.8 ? 1 : 2;
        static const float spread[] = {1, 0.5F, 2};
        for (size_t j = 0; j < m->cols; j++) m->data[i * m->cols + j] *= spread[k];
        m->data[i * m->cols + k] += 3;
    }
}

static const law laws[] = {{"normal", law_normal}, {"t, 2 d.f.", law_heavy}, {"mixture", law_mixture}};

/* sum[t] += test t rejects at 5 %. All tests in one pass over the pairs. */
static void run_tests(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, size_t permutations,
                      uint64_t purpose, double *sum)
{
    gn_error err = {0};
    gn_test_result result[GN_TESTS];
    gn_detect_options o = {.permutations = permutations, .purpose = purpose};
    study_must(gn_test_all(ctx, a, b, &o, result, &err), &err);
    for (size_t t = 0; t < GN_TESTS; t++) sum[t] += result[t].p_value <= 0.05;
}

static void header(const char *first)
{
    printf("\n| %s |", first);
    for (size_t t = 0; t < GN_TESTS; t++) printf(" %s |", gn_test_name((gn_test)(t + 1)));
    printf("\n|---|");
    for (size_t t = 0; t < GN_TESTS; t++) printf("---|");
    printf("\n");
}

/* above: mark rates whose interval lies above this. */
static void print_row(const study_row *row, double above)
{
    printf("| %s (%zu) |", row->key, row->done);
    for (size_t t = 0; t < GN_TESTS; t++) {
        double low = 0, high;
        if (row->done > 0) study_interval((size_t)(row->sum[t] + 0.5), row->done, &low, &high);
        printf(" %s%s |", study_rate(row->sum[t], row->done), low > above ? " ✗" : "");
    }
    printf("\n");
}

/* ---- level --------------------------------------------------------------------------------------- */

static const size_t sizes[][2] = {{100, 100}, {500, 500}, {2000, 100}}, dims[] = {16, 384, 768};

static void simulate_level(const study_row *row, size_t k, gn_context *ctx, double *sum)
{
    const law *l = row->setting;
    gn_matrix a = study_matrix(row->number[0], row->number[2]),
              b = study_matrix(row->number[1], row->number[2]);
    gn__rng r = gn__rng_make(1, gn__purpose(row->key), k);
    l->fill(&r, &a);
    l->fill(&r, &b);
    run_tests(ctx, &a, &b, LEVEL_PERMUTATIONS, k, sum);
    gn_matrix_free(&a);
    gn_matrix_free(&b);
}

static const float *text(size_t i)
{
    size_t of = i >= texts[0].rows;
    return texts[of].data + (i - (of ? texts[0].rows : 0)) * texts[0].cols;
}

/* Two random disjoint parts of all texts. */
static void simulate_halves(const study_row *row, size_t k, gn_context *ctx, double *sum)
{
    size_t n_a = row->number[0], n_b = row->number[1], cols = texts[0].cols,
           all = texts[0].rows + texts[1].rows;
    gn_matrix a = study_matrix(n_a, cols), b = study_matrix(n_b, cols);
    uint32_t *order = calloc(all, sizeof *order);
    gn__rng r = gn__rng_make(1, gn__purpose(row->key), k);
    if (order == NULL) exit(1);
    for (size_t i = 0; i < all; i++) order[i] = (uint32_t)i;
    gn__rng_shuffle(&r, order, all);
    for (size_t i = 0; i < n_a + n_b; i++)
        memcpy(i < n_a ? a.data + i * cols : b.data + (i - n_a) * cols, text(order[i]), cols * sizeof(float));
    run_tests(ctx, &a, &b, LEVEL_PERMUTATIONS, k, sum);
    free(order);
    gn_matrix_free(&a);
    gn_matrix_free(&b);
}

static void level(size_t simulations, const char *path)
{
    char key[120];
    double all[GN_TESTS] = {0};
    size_t done = 0;
    bool given = texts[0].rows + texts[1].rows == EXAMPLE_TEXTS && texts[0].cols == EXAMPLE_COLS;
    if (texts[0].rows > 0 && !given) {
        fprintf(stderr, "calibrate: the rows of texts are of %d of the example's, %d columns\n",
                EXAMPLE_TEXTS, EXAMPLE_COLS);
        exit(1);
    }
    for (size_t s = 0; s < 3; s++)
        for (size_t d = 0; d < 3; d++) {
            for (size_t l = 0; l < sizeof laws / sizeof *laws; l++) {
                snprintf(key, sizeof key, "%s, %zu/%zu, %zu", laws[l].name, sizes[s][0], sizes[s][1],
                         dims[d]);
                study_row *row = add_row(key);
                row->simulate = simulate_level;
                row->setting = &laws[l];
                row->number[0] = sizes[s][0], row->number[1] = sizes[s][1], row->number[2] = dims[d];
                row->batch = s == 0 ? 50 : 10;
            }
            /* As far as there are texts: 500/500 and 2000/100 become two halves, and 6 to 1. */
            size_t n_a = sizes[s][0], n_b = sizes[s][1];
            if (n_a + n_b > EXAMPLE_TEXTS)
                n_a = s == 1 ? EXAMPLE_TEXTS / 2 : EXAMPLE_TEXTS - 100,
                n_b = s == 1 ? EXAMPLE_TEXTS / 2 : 100;
            if (dims[d] != EXAMPLE_COLS) continue;
            snprintf(key, sizeof key, "texts, %zu/%zu, %d", n_a, n_b, EXAMPLE_COLS);
            study_row *row = add_row(key);
            row->simulate = given ? simulate_halves : NULL;
            row->number[0] = n_a, row->number[1] = n_b;
            row->batch = 10;
        }
    study_run(rows, count, simulations, path, 0, 1);
    printf("\n### Level: rejections at 5 %% when nothing differs, %d permutations\n", LEVEL_PERMUTATIONS);
    header("law, rows, columns (simulations)");
    for (size_t r = 0; r < count; r++) {
        print_row(&rows[r], 0.05);
        done += rows[r].done;
        for (size_t t = 0; t < GN_TESTS; t++) all[t] += rows[r].sum[t];
    }
    printf("| **all** (%zu) |", done);
    for (size_t t = 0; t < GN_TESTS; t++) printf(" %s |", study_rate(all[t], done));
    printf("\n");
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
    study_normals(r, m->data, m->rows * 2);
    for (size_t i = 0; i < m->rows; i++) {
        uint32_t k = gn__rng_u32(r) & 3;
        for (size_t j = 0; j < 2; j++) {
            float *x = &m->data[2 * i + j];
            *x = (k == 3 ? last * *x : *x) + ((k >> j & 1) ? -20.0F : 20.0F);
        }
    }
}

static void simulate_power(const study_row *row, size_t k, gn_context *ctx, double *sum)
{
    gn_matrix a = study_matrix(2000, 2), b = study_matrix(2000, 2);
    gn__rng r = gn__rng_make(1, gn__purpose(row->key), k);
    if (row->number[0] == 0) {
        perturbed(&r, &a);
        uniform(&r, &b);
    } else {
        four_normals(&r, &a, 1);
        four_normals(&r, &b, 1.3F);
    }
    run_tests(ctx, &a, &b, POWER_PERMUTATIONS, k, sum);
    gn_matrix_free(&a);
    gn_matrix_free(&b);
}

static void power(size_t simulations, const char *path)
{
    static const char *const setting[] = {"perturbed uniform", "mixture of four normals"};
    static const double published[2][2] = {{.805, .765}, {.765, .785}}; /* of 200 repetitions */
    for (size_t s = 0; s < 2; s++) {
        study_row *row = add_row(setting[s]);
        row->simulate = simulate_power;
        row->number[0] = s;
        row->batch = 5;
    }
    study_run(rows, count, simulations, path, 0, 1);
    printf("\n### Power at published settings, %d permutations\n", POWER_PERMUTATIONS);
    header("setting, n = m = 2,000 (simulations)");
    for (size_t s = 0; s < 2; s++) print_row(&rows[s], 2);
    printf("\n| setting | test | published (200) | here | difference in standard errors of both | within "
           "two, or "
           "above |\n|---|---|---|---|---|---|\n");
    for (size_t s = 0; s < 2; s++)
        for (int t = 0; t < 2 && rows[s].done > 0; t++) {
            double n = (double)rows[s].done,
                   p = rows[s].sum[(t ? GN_TEST_MMD_AGG : GN_TEST_MMD_FUSE) - 1] / n;
            double q = published[s][t], z = (p - q) / sqrt(p * (1 - p) / n + q * (1 - q) / 200);
            printf("| %s | %s | %.3f | %.3f | %+.1f | %s |\n", setting[s], t ? "mmd-agg" : "mmd-fuse", q, p,
                   z, z >= -2 ? "yes" : "no");
        }
}

/* ---- graded shifts of real texts ------------------------------------------------------------------- */

/* Both sets are drawn from the first kind without common rows; a part of b's is replaced by rows of the
 * second. */
static void simulate_graded(const study_row *row, size_t k, gn_context *ctx, double *sum)
{
    size_t n = row->number[0], other = row->number[1], cols = texts[0].cols;
    gn_matrix a = study_matrix(n, cols), b = study_matrix(n, cols);
    uint32_t *order[2];
    gn__rng r = gn__rng_make(1, gn__purpose(row->key), k);
    for (size_t t = 0; t < 2; t++) {
        order[t] = calloc(texts[t].rows, sizeof **order);
        if (order[t] == NULL) exit(1);
        for (size_t i = 0; i < texts[t].rows; i++) order[t][i] = (uint32_t)i;
        gn__rng_shuffle(&r, order[t], texts[t].rows);
    }
    for (size_t i = 0; i < n; i++) {
        const float *from =
            i < other ? texts[1].data + order[1][i] * cols : texts[0].data + order[0][n + i] * cols;
        memcpy(a.data + i * cols, texts[0].data + order[0][i] * cols, cols * sizeof(float));
        memcpy(b.data + i * cols, from, cols * sizeof(float));
    }
    run_tests(ctx, &a, &b, GRADED_PERMUTATIONS, k, sum);
    gn_matrix_free(&a);
    gn_matrix_free(&b);
    free(order[0]);
    free(order[1]);
}

static void graded_of(size_t n, size_t simulations, const char *path)
{
    static const double shares[] = {0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5};
    char key[120];
    bool given = texts[0].rows > 0;
    if (given && (texts[0].rows < 2 * n || texts[1].rows < (n + 1) / 2)) {
        fprintf(stderr, "calibrate: this needs %zu and %zu texts\n", 2 * n, (n + 1) / 2);
        exit(1);
    }
    for (size_t s = 0; s < sizeof shares / sizeof *shares; s++) {
        size_t other = (size_t)(shares[s] * (double)n + 0.5);
        snprintf(key, sizeof key, "%g %%: %zu of %zu", 100 * shares[s], other, n);
        study_row *row = add_row(key);
        row->simulate = given ? simulate_graded : NULL;
        row->number[0] = n, row->number[1] = other;
        row->batch = 10;
    }
    study_run(rows, count, simulations, path, 0, 1);
    printf("\n### Power on embeddings of texts: a share of %zu texts replaced by another kind's, %d "
           "permutations\n",
           n, GRADED_PERMUTATIONS);
    header("share replaced (simulations)");
    for (size_t s = 0; s < count; s++) print_row(&rows[s], 2);
}

/* Half of the first kind of the example's texts. */
static void graded(size_t simulations, const char *path)
{
    graded_of(199, simulations, path);
}

static void graded_other(size_t simulations, const char *path)
{
    graded_of(500, simulations, path);
}

/* ---- the equivalence test at its tolerance ---------------------------------------------------------- */

/* Two normals of one dimension whose means differ by d, or not at all: how often is equivalence claimed at
 * the tolerance that is the true NAMMD at that d? With bandwidth h, a = 1 / sqrt(1 + 2/h^2): E k within a,
 * between a exp(-d^2 / (2 (h^2 + 2))); theta = 2 a (1 - e) / (4 - 2 a). The bandwidth is the median distance,
 * which depends on d a little: the truth is taken at the bandwidth that the test reports. */
static void simulate_equivalence(const study_row *row, size_t k, gn_context *ctx, double *sum)
{
    double d = (double)row->number[2] / 10;
    gn_matrix a = study_matrix(row->number[0], 1), b = study_matrix(row->number[1], 1);
    gn_error err = {0};
    for (int same = 0; same < 2; same++) {
        gn_equivalence e;
        gn__rng r = gn__rng_make(1, gn__purpose(row->key), k);
        study_normals(&r, a.data, a.rows);
        study_normals(&r, b.data, b.rows);
        for (size_t i = 0; i < b.rows && !same; i++) b.data[i] += (float)d;
        gn_detect_options o = {.purpose = k};
        study_must(gn_equivalence_test(ctx, &a, &b, &o, 0.02, &e, &err), &err);
        double h2 = e.bandwidth * e.bandwidth, in = 1 / sqrt(1 + 2 / h2);
        double truth = 2 * in * (1 - exp(-d * d / (2 * (h2 + 2)))) / (4 - 2 * in);
        sum[same] += e.upper < truth;
        sum[2] += same ? 0 : truth;
    }
    gn_matrix_free(&a);
    gn_matrix_free(&b);
}

static void equivalence(size_t simulations, const char *path)
{
    static const size_t pair[][2] = {{100, 100}, {1000, 100}, {500, 500}};
    char key[120];
    for (size_t d = 3; d <= 9; d += 3)
        for (size_t s = 0; s < 3; s++) {
            snprintf(key, sizeof key, "%zu/%zu, means 0.%zu apart", pair[s][0], pair[s][1], d);
            study_row *row = add_row(key);
            row->simulate = simulate_equivalence;
            row->number[0] = pair[s][0], row->number[1] = pair[s][1], row->number[2] = d;
            row->batch = 50;
        }
    study_run(rows, count, simulations, path, 0, 1);
    printf("\n### Equivalence test (NAMMD): claims of equivalence\n");
    printf(
        "\n| rows, and what differs (simulations) | tolerance | true value at the tolerance (level 5 %%) | "
        "nothing differs (power) |\n|---|---|---|---|\n");
    for (size_t s = 0; s < count; s++) {
        double low = 0, high, n = (double)rows[s].done;
        if (n > 0) study_interval((size_t)(rows[s].sum[0] + 0.5), rows[s].done, &low, &high);
        printf("| %s (%zu) | %.4f | %s%s | %.3f |\n", rows[s].key, rows[s].done, rows[s].sum[2] / n,
               study_rate(rows[s].sum[0], rows[s].done), low > 0.05 ? " ✗" : "", rows[s].sum[1] / n);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(size_t simulations, const char *path);
    } part[] = {{"level", level},
                {"power", power},
                {"graded", graded},
                {"graded_other", graded_other},
                {"equivalence", equivalence}};
    gn_error err = {0};
    if (argc > 5)
        for (int t = 0; t < 2; t++) study_must(gn_npy_read(argv[4 + t], &texts[t], &err), &err);
    for (size_t p = 0; p < sizeof part / sizeof *part && argc > 3; p++)
        if (strcmp(argv[1], part[p].name) == 0) {
            part[p].run(strtoul(argv[2], NULL, 10), argv[3]);
            gn_matrix_free(&texts[0]);
            gn_matrix_free(&texts[1]);
            return 0;
        }
    fprintf(stderr, "usage: calibrate level|power|graded|graded_other|equivalence SIMULATIONS FILE [BASE.npy "
                    "OTHER.npy]\n");
    return 2;
}
