/* Weighted principal components by the covariance matrix. */
#include "genchi/see.h"

#include "core/core.h"
#include "tensor/finite.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>

enum { BLOCK = 256, MAX_PIECES = 16 };
static const size_t piece_memory = (size_t)256 << 20; /* partial covariances together, at most */

typedef struct pca_sums {
    gn_context *ctx;
    const gn_matrix *x;
    const double *weight; /* NULL: equal */
    double inverse_total;
    size_t grain;
    double *mean;    /* [dim] */
    double *partial; /* mean: [pieces × dim]; covariance: [pieces × dim × dim], lower triangles */
    double *scratch; /* [threads × BLOCK × dim] */
    const gn_pca *pca;
    float *out;
} pca_sums;

static double row_weight(const pca_sums *s, size_t row)
{
    return (s->weight ? s->weight[row] : 1) * s->inverse_total;
}

GN__CLONES static void pca_add_scaled(const float *x, double w, size_t n, double *sum)
{
    for (size_t j = 0; j < n; j++) sum[j] += w * (double)x[j];
}

GN__CLONES static void pca_centre_scaled(const float *x, const double *mean, double w, size_t n, double *out)
{
    for (size_t j = 0; j < n; j++) out[j] = ((double)x[j] - mean[j]) * w;
}

static void mean_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    pca_sums *s = arg;
    size_t dim = s->x->cols;
    double *sum = s->partial + begin / s->grain * dim;
    memset(sum, 0, dim * sizeof *sum);
    for (size_t i = begin; i < end; i++) pca_add_scaled(s->x->data + i * dim, row_weight(s, i), dim, sum);
}

static void covariance_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    pca_sums *s = arg;
    size_t dim = s->x->cols;
    double *sum = s->partial + begin / s->grain * dim * dim, *rows = s->scratch + worker * BLOCK * dim;
    memset(sum, 0, dim * dim * sizeof *sum);
    for (size_t at = begin; at < end && !gn__cancelled(s->ctx); at += BLOCK) {
        size_t m = end - at < BLOCK ? end - at : BLOCK;
        for (size_t i = 0; i < m; i++)
            pca_centre_scaled(s->x->data + (at + i) * dim, s->mean, sqrt(row_weight(s, at + i)), dim,
                              rows + i * dim);
        cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)dim, (int)m, 1, rows, (int)dim, 1, sum,
                    (int)dim);
    }
}

/* Adds up the pieces in their order into the first. */
static void reduce(double *partial, size_t pieces, size_t size)
{
    for (size_t k = 1; k < pieces; k++)
        for (size_t j = 0; j < size; j++) partial[j] += partial[k * size + j];
}

static gn_status total_weight(const double *weight, size_t n, double *total, gn_error *err)
{
    *total = weight == NULL ? (double)n : 0;
    for (size_t i = 0; weight != NULL && i < n; i++) {
        if (!(weight[i] >= 0) || !isfinite(weight[i]))
            return gn__fail(err, GN_DATA, "the weight of row %zu is %g; weights must be finite and >= 0", i,
                            weight[i]);
        *total += weight[i];
    }
    if (!(*total > 0) || !isfinite(*total))
        return gn__fail(err, GN_DATA, "principal components need rows with weight; all %zu weigh nothing", n);
    return GN_OK;
}

/* The top eigenvectors of the lower triangle `cov` (destroyed) into out, in descending order. */
static gn_status top_directions(double *cov, size_t dim, size_t components, gn_pca *out, gn_error *err)
{
    double *value = gn__calloc(dim, sizeof *value), *vector = gn__calloc(dim * components, sizeof *vector);
    lapack_int *support = gn__calloc(2 * dim, sizeof *support), found = 0;
    gn_status status = GN_OK;
    if (value == NULL || vector == NULL || support == NULL) {
        status = gn__no_memory(err, dim * components * sizeof *vector);
        goto done;
    }
    /* The row-major lower triangle is the column-major upper one; column-major output puts each
     * eigenvector in one run of dim numbers. */
    lapack_int n = (lapack_int)dim, m = (lapack_int)components;
    lapack_int info = LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'V', 'I', 'U', n, cov, n, 0, 0, n - m + 1, n, 0,
                                     &found, value, vector, n, support);
    if (info != 0 || found != m) {
        status = gn__fail(err, GN_NUMERIC, "the eigenvalues of a %zu × %zu covariance did not converge (%d)",
                          dim, dim, (int)info);
        goto done;
    }
    for (size_t c = 0; c < components; c++) {
        const double *v = vector + (components - 1 - c) * dim;
        size_t largest = 0;
        for (size_t j = 1; j < dim; j++)
            if (fabs(v[j]) > fabs(v[largest])) largest = j;
        double sign = v[largest] < 0 ? -1 : 1;
        for (size_t j = 0; j < dim; j++) out->direction[c * dim + j] = (float)(sign * v[j]);
        double variance = value[components - 1 - c];
        out->variance[c] = variance > 0 ? variance : 0;
    }
done:
    free(value);
    free(vector);
    free(support);
    return status;
}

gn_status gn_pca_fit(gn_context *ctx, const gn_matrix *x, const double *weight, size_t components,
                     gn_pca *out, gn_error *err)
{
    size_t n = x->rows, dim = x->cols, square, most = dim < n ? dim : n;
    double total = 0;
    if (dim == 0 || components == 0 || dim > INT32_MAX / 2)
        return gn__fail(err, GN_INVALID_ARGUMENT,
                        "principal components need at least one column and one component; got %zu and %zu",
                        dim, components);
    if (n < 2) return gn__fail(err, GN_DATA, "principal components need at least two rows; there are %zu", n);
    GN__TRY(total_weight(weight, n, &total, err));
    GN__TRY(gn__check_finite(ctx, x, "the matrix", err));
    if (components > most) components = most;
    size_t bytes = 0;
    if (!gn__mul_size(dim, dim, &square) || !gn__mul_size(square, sizeof(double), &bytes))
        return gn__no_memory(err, SIZE_MAX);
    size_t pieces = piece_memory / bytes, blocks = (n + BLOCK - 1) / BLOCK;
    pieces = pieces < 1 ? 1 : pieces > MAX_PIECES ? MAX_PIECES : pieces;
    if (pieces > blocks) pieces = blocks;
    pca_sums s = {.ctx = ctx,
                  .x = x,
                  .weight = weight,
                  .inverse_total = 1 / total,
                  .grain = (blocks + pieces - 1) / pieces * BLOCK};
    pieces = (n + s.grain - 1) / s.grain;
    gn_pca pca = {.dim = dim,
                  .components = components,
                  .mean = gn__calloc(dim, sizeof *pca.mean),
                  .direction = gn__calloc(components, dim * sizeof *pca.direction),
                  .variance = gn__calloc(components, sizeof *pca.variance)};
    gn_status status = GN_OK;
    s.mean = gn__calloc(dim, sizeof *s.mean);
    s.partial = gn__aligned(pieces * square, sizeof *s.partial);
    s.scratch = gn__aligned((size_t)gn_context_threads(ctx) * BLOCK * dim, sizeof *s.scratch);
    if (pca.mean == NULL || pca.direction == NULL || pca.variance == NULL || s.mean == NULL ||
        s.partial == NULL || s.scratch == NULL) {
        status = gn__no_memory(err, pieces * bytes);
        goto done;
    }
    GN__TRY_GOTO(gn__parallel_for(ctx, n, s.grain, mean_piece, &s, err), done);
    reduce(s.partial, pieces, dim);
    for (size_t j = 0; j < dim; j++) {
        s.mean[j] = s.partial[j];
        pca.mean[j] = (float)s.mean[j];
    }
    GN__TRY_GOTO(gn__parallel_for(ctx, n, s.grain, covariance_piece, &s, err), done);
    reduce(s.partial, pieces, square);
    for (size_t j = 0; j < dim; j++) pca.total_variance += s.partial[j * dim + j];
    GN__TRY_GOTO(top_directions(s.partial, dim, components, &pca, err), done);
    *out = pca;
    pca = (gn_pca){0};
done:
    gn_pca_free(&pca);
    free(s.mean);
    free(s.partial);
    free(s.scratch);
    return status;
}

static void project_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    pca_sums *s = arg;
    size_t dim = s->x->cols, components = s->pca->components;
    float *rows = (float *)(s->scratch + worker * BLOCK * dim);
    for (size_t i = begin; i < end; i++)
        for (size_t j = 0; j < dim; j++)
            rows[(i - begin) * dim + j] = s->x->data[i * dim + j] - s->pca->mean[j];
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)(end - begin), (int)components, (int)dim, 1,
                rows, (int)dim, s->pca->direction, (int)dim, 0, s->out + begin * components, (int)components);
}

gn_status gn_pca_project(gn_context *ctx, const gn_pca *pca, const gn_matrix *x, gn_matrix *out,
                         gn_error *err)
{
    if (x->cols != pca->dim)
        return gn__fail(err, GN_INVALID_ARGUMENT,
                        "the matrix has %zu columns, the principal components were fitted on %zu", x->cols,
                        pca->dim);
    gn_matrix result;
    GN__TRY(gn_matrix_create(x->rows, pca->components, &result, err));
    pca_sums s = {.x = x, .pca = pca, .out = result.data};
    s.scratch = gn__aligned((size_t)gn_context_threads(ctx) * BLOCK * pca->dim, sizeof *s.scratch);
    gn_status status = s.scratch ? gn__parallel_for(ctx, x->rows, BLOCK, project_piece, &s, err)
                                 : gn__no_memory(err, BLOCK * pca->dim * sizeof *s.scratch);
    free(s.scratch);
    if (status == GN_OK)
        *out = result;
    else
        gn_matrix_free(&result);
    return status;
}

void gn_pca_free(gn_pca *pca)
{
    if (pca == NULL) return;
    free(pca->mean);
    free(pca->direction);
    free(pca->variance);
    *pca = (gn_pca){0};
}
