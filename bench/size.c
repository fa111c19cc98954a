/* Densities, principal components and logistic regression at size, for bench/peers/size.py, which makes the
 * files and holds the answers against other libraries'. Usage:
 *   size density XY.f64 ROWS H OUT.f64       256 × 256 points on [-4, 4]², then 256 on [-4, 4] of the x alone
 *   size pca X.npy COMPONENTS OUT.f32        maps the file
 *   size logistic X.npy LABELS.i32 CLASSES LAMBDA OUT.f64
 *   size path X.npy LABELS.i32 FOLDS STRENGTHS
 *                                            two classes: cross-validation from lambda = 1 down to 1e-6, each
 * fold's fit begun from the one before Prints the seconds (wall, processor) and what else there is to say, as
 * JSON. */
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

/* Mean log-loss of the rows of a list, two classes. */
typedef struct held_out {
    const float *x, *w, *zero;
    const uint32_t *row;
    const int *y;
    size_t dim;
    double bias, *loss; /* [rows] */
} held_out;

static void held_out_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    held_out *h = arg;
    for (size_t i = begin; i < end; i++) {
        const float *row = h->x + h->row[i] * h->dim;
        float m;
        gn__cpu_ops()->margins(&row, 1, h->zero, h->w, h->dim, &m);
        double wrong = h->y[h->row[i]] ? -(double)m - h->bias : (double)m + h->bias;
        h->loss[i] = log1p(exp(-fabs(wrong))) + fmax(wrong, 0);
    }
}

static gn_status path(char **argv)
{
    gn__mapping m = map(argv[2]), labels = map(argv[3]);
    gn_matrix x = npy(&m);
    const int *all = (const int *)(const void *)labels.data;
    int passes = 0, unfinished = 0;
    size_t folds = strtoul(argv[4], NULL, 10), strengths = strtoul(argv[5], NULL, 10), best = 0;
    uint32_t *row = gn__calloc(x.rows, sizeof *row), *held = gn__calloc(x.rows, sizeof *held);
    uint8_t *fold = gn__calloc(x.rows, 1);
    int *y = gn__calloc(x.rows, sizeof *y);
    double *w = gn__calloc(x.cols + 1, sizeof *w), *loss = gn__calloc(strengths, sizeof *loss);
    float *narrow = gn__calloc(x.cols, sizeof *narrow), *zero = gn__calloc(x.cols, sizeof *zero);
    double *each = gn__calloc(x.rows, sizeof *each);
    gn__rng r = gn__rng_make(1, gn__purpose("bench/folds"), 0);
    for (size_t i = 0; i < x.rows; i++) fold[i] = (uint8_t)gn__rng_below(&r, (uint32_t)folds);
    double wall = gn__now(), cpu = processor_seconds();
    for (size_t f = 0; f < folds; f++) {
        size_t n = 0, out = 0;
        for (size_t i = 0; i < x.rows; i++)
            if (fold[i] != f)
                y[n] = all[i], row[n++] = (uint32_t)i;
            else
                held[out++] = (uint32_t)i;
        gn__logistic_report rep = {0};
        memset(w, 0, (x.cols + 1) * sizeof *w);
        for (size_t l = 0; l < strengths; l++) {
            gn__logistic_problem p = {.x = x.data,
                                      .n = n,
                                      .reference = rep.reference,
                                      .dim = x.cols,
                                      .ld = x.cols,
                                      .row = row,
                                      .y = y,
                                      .classes = 2,
                                      .lambda = pow(10, -6 * (double)l / (double)(strengths - 1)),
                                      .scale = 1,
                                      .tolerance = 1e-4};
            GN__TRY(gn__logistic_fit(ctx, &p, w, &rep, &err));
            passes += rep.evaluations;
            unfinished += !rep.converged;
            for (size_t j = 0; j < x.cols; j++) narrow[j] = (float)w[j];
            held_out h = {x.data, narrow, zero, held, all, x.cols, w[x.cols], each};
            GN__TRY(gn__parallel_for(ctx, out, 4096, held_out_piece, &h, &err));
            for (size_t i = 0; i < out; i++) loss[l] += each[i] / (double)x.rows;
        }
    }
    for (size_t l = 0; l < strengths; l++)
        if (loss[l] < loss[best]) best = l;
    printf("{\"wall\": %.3f, \"cpu\": %.3f, \"note\": \"%d passes, %d not finished, least held-out loss %.6f "
           "at %.2g\"}\n",
           gn__now() - wall, processor_seconds() - cpu, passes, unfinished, loss[best],
           pow(10, -6 * (double)best / (double)(strengths - 1)));
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
