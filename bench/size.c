/* Densities, principal components and logistic regression at size, for bench/peers/size.py, which makes the
 * files and holds the answers against other libraries'. Usage:
 *   size density XY.f64 ROWS H OUT.f64       256 × 256 points on [-4, 4]², then 256 on [-4, 4] of the x alone
 *   size pca X.npy COMPONENTS OUT.f32        maps the file
 *   size logistic X.npy LABELS.i32 CLASSES LAMBDA OUT.f64
 *   size path X.npy LABELS.i32 FOLDS STRENGTHS
 *                                            two classes: cross-validation from lambda = 1 down to 1e-6, each
 *                                            fold's fit begun from the one before
 * Prints the seconds (wall, processor) and what else there is to say, as JSON. */
#include "core/core.h"
#include "genchi/see.h"
#include "tensor/logistic.h"
#include "tensor/tensor.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

static gn_context *ctx;
static gn_error err;

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static gn__mapping map(const char *path)
{
    gn__mapping m;
    if (gn__map_file(path, &m, &err) != GN_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    return m;
}

/* Version 1 of the format: little-endian float32, C order. */
static gn_matrix npy(const gn__mapping *m)
{
    size_t header = 10 + (size_t)m->data[8] + 256 * (size_t)m->data[9], rows = 0, cols = 0;
    const char *shape = strstr((const char *)m->data + 10, "'shape': (");
    if (shape == NULL || sscanf(shape, "'shape': (%zu, %zu)", &rows, &cols) != 2 ||
        m->size != header + rows * cols * sizeof(float)) {
        fprintf(stderr, "not a two-dimensional float32 .npy of version 1\n");
        exit(1);
    }
    return (gn_matrix){(float *)(uintptr_t)(m->data + header), rows, cols};
}

static void save(const char *path, const void *data, size_t bytes)
{
    if (gn__write_file(path, data, bytes, &err) != GN_OK) exit(1);
}

static gn_status density(char **argv)
{
    enum { POINTS = 256 };
    gn__mapping m = map(argv[2]);
    size_t n = strtoul(argv[3], NULL, 10);
    double h = strtod(argv[4], NULL), wide[2] = {h, h}, low[2] = {-4, -4}, high[2] = {4, 4};
    double *out = gn__calloc(POINTS * (POINTS + 1), sizeof *out), *first = gn__calloc(n, sizeof *first);
    const double *xy = (const double *)(const void *)m.data;
    for (size_t i = 0; i < n; i++) first[i] = xy[2 * i];
    double wall = gn__now(), cpu = processor_seconds();
    GN__TRY(gn_kde2_grid(ctx, xy, n, wide, low, high, POINTS, POINTS, out, &err));
    printf("{\"wall\": %.4f, \"cpu\": %.4f", gn__now() - wall, processor_seconds() - cpu);
    wall = gn__now(), cpu = processor_seconds();
    GN__TRY(gn_kde1_grid(ctx, first, n, h, -4, 4, POINTS, out + POINTS * POINTS, &err));
    printf(", \"wall_1d\": %.4f, \"cpu_1d\": %.4f}\n", gn__now() - wall, processor_seconds() - cpu);
    save(argv[5], out, POINTS * (POINTS + 1) * sizeof *out);
    return GN_OK;
}

static gn_status components(char **argv)
{
    gn__mapping m = map(argv[2]);
    gn_matrix x = npy(&m);
    gn_pca pca;
    double wall = gn__now(), cpu = processor_seconds();
    GN__TRY(gn_pca_fit(ctx, &x, NULL, strtoul(argv[3], NULL, 10), &pca, &err));
    printf("{\"wall\": %.3f, \"cpu\": %.3f}\n", gn__now() - wall, processor_seconds() - cpu);
    save(argv[4], pca.direction, pca.components * pca.dim * sizeof *pca.direction);
    return GN_OK;
}

static gn_status logistic(char **argv)
{
    gn__mapping m = map(argv[2]), labels = map(argv[3]);
    gn_matrix x = npy(&m);
    int classes = atoi(argv[4]);
    size_t size = (classes == 2 ? 1 : (size_t)classes) * (x.cols + 1);
    double *w = gn__calloc(size, sizeof *w);
    gn__logistic_report rep;
    gn__logistic_problem p = {.x = x.data,
                              .n = x.rows,
                              .dim = x.cols,
                              .ld = x.cols,
                              .y = (const int *)(const void *)labels.data,
                              .classes = classes,
                              .lambda = strtod(argv[5], NULL),
                              .scale = 1};
    double wall = gn__now(), cpu = processor_seconds();
    GN__TRY(gn__logistic_fit(ctx, &p, w, &rep, &err));
    printf("{\"wall\": %.3f, \"cpu\": %.3f, \"objective\": %.12g, \"evaluations\": %d, \"gradient\": %.3g}\n",
           gn__now() - wall, processor_seconds() - cpu, rep.objective, rep.evaluations, rep.gradient);
    save(argv[6], w, size * sizeof *w);
    return GN_OK;
}

/* Mean log-loss of the rows by the fits that did not see them. */
static double held_out(const float *margin, const int *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double wrong = y[i] ? -(double)margin[i] : (double)margin[i];
        sum += log1p(exp(-fabs(wrong))) + fmax(wrong, 0);
    }
    return sum / (double)n;
}

static gn_status path(char **argv)
{
    gn__mapping m = map(argv[2]), labels = map(argv[3]);
    gn_matrix x = npy(&m);
    int fits = 0, unfinished = 0;
    size_t folds = strtoul(argv[4], NULL, 10), strengths = strtoul(argv[5], NULL, 10);
    double best = INFINITY, at = 0, passes = 0;
    uint32_t *fold = gn__calloc(x.rows, sizeof *fold);
    double *lambda = gn__calloc(folds, sizeof *lambda);
    gn__logistic_report *rep = gn__calloc(folds, sizeof *rep);
    gn__rng r = gn__rng_make(1, gn__purpose("bench/folds"), 0);
    for (size_t i = 0; i < x.rows; i++) fold[i] = gn__rng_below(&r, (uint32_t)folds);
    gn__logistic_problem p = {.x = x.data,
                              .n = x.rows,
                              .dim = x.cols,
                              .ld = x.cols,
                              .y = (const int *)(const void *)labels.data,
                              .classes = 2,
                              .lambda = 1,
                              .scale = 1};
    gn__fold_fits *all = NULL;
    double wall = gn__now(), cpu = processor_seconds();
    GN__TRY(gn__fold_fits_make(ctx, &p, fold, folds, &all, &err));
    for (size_t l = 0; l < strengths; l++) {
        int most = 0;
        for (size_t f = 0; f < folds; f++) lambda[f] = pow(10, -6 * (double)l / (double)(strengths - 1));
        GN__TRY(gn__fold_fits_run(all, lambda, 1e-4, 0, rep, &err));
        for (size_t f = 0; f < folds; f++) {
            if (rep[f].evaluations > most) most = rep[f].evaluations;
            fits++;
            unfinished += !rep[f].converged;
        }
        passes += most;
        double loss = held_out(gn__fold_fits_held(all), p.y, x.rows);
        if (loss < best) best = loss, at = lambda[0];
    }
    printf("{\"wall\": %.3f, \"cpu\": %.3f, \"note\": \"%d fits, %g passes, %d not finished, least held-out "
           "loss %.6f "
           "at %.2g\"}\n",
           gn__now() - wall, processor_seconds() - cpu, fits, passes, unfinished, best, at);
    gn__fold_fits_free(all);
    return GN_OK;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int arguments;
        gn_status (*run)(char **argv);
    } tasks[] = {
        {"density", 6, density}, {"pca", 5, components}, {"logistic", 7, logistic}, {"path", 6, path}};
    if (gn_context_create(NULL, &ctx, &err) != GN_OK) return 1;
    for (size_t t = 0; t < sizeof tasks / sizeof *tasks; t++) {
        if (argc != tasks[t].arguments || strcmp(argv[1], tasks[t].name) != 0) continue;
        if (tasks[t].run(argv) == GN_OK) return 0;
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    fprintf(stderr, "usage: see bench/size.c\n");
    return 2;
}
