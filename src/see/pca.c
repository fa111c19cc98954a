/* Weighted principal components by the covariance matrix, in one pass over the rows: a block of them, less a
 * centre and on a scale that a few rows give, is multiplied with itself in float32; blocks add up in double
 * precision, and what the centre missed of the mean is taken off at the end. */
#include "genchi/see.h"

#include "core/core.h"
#include "tensor/finite.h"
#include "tensor/tensor.h"

#include <lapacke.h>
#include <math.h>

enum { BLOCK = 512, PANEL = 128, MAX_PIECES = 16, CENTRE_ROWS = 256 };
static const size_t piece_memory = (size_t)256 << 20; /* partial covariances together, at most */

typedef struct pca_sums {
    gn_context *ctx;
    const gn_matrix *x;
    const double *weight; /* NULL: equal */
    double inverse_most;  /* 1 / the largest weight */
    size_t grain;
    float *centre;   /* [dim] */
    float scale;     /* a power of two: rows less the centre become numbers near 1 */
    double *partial; /* [pieces × (1 + dim) × dim] sums of the rows, then their products, lower triangle */
    float *scratch;  /* [threads × (BLOCK + PANEL + 1) × dim] */
    const gn_pca *pca;
    float *out;
} pca_sums;

/* Also the block's sum of the centred rows. */
GN__CLONES static void pca_centre(const float *x, const float *centre, float scale, float weight, size_t n,
                                  float *out, float *sum)
{
    for (size_t j = 0; j < n; j++) {
        float d = (x[j] - centre[j]) * scale;
        sum[j] += d * weight * weight;
        out[j] = d * weight;
    }
}

GN__CLONES static void pca_add(const float *x, size_t n, double *sum)
{
    for (size_t j = 0; j < n; j++) sum[j] += (double)x[j];
}

/* A centre and a scale from some rows, evenly spread. Any would do: digits depend on them, not the answer. */
static void find_centre(pca_sums *s)
{
    size_t n = s->x->rows, dim = s->x->cols, some = n < CENTRE_ROWS ? n : (size_t)CENTRE_ROWS;
    float most = 0;
    for (size_t j = 0; j < dim; j++) {
        double sum = 0;
        for (size_t i = 0; i < some; i++) sum += (double)s->x->data[i * (n / some) * dim + j];
        s->centre[j] = (float)(sum / (double)some);
        for (size_t i = 0; i < some; i++)
            most = fmaxf(most, fabsf(s->x->data[i * (n / some) * dim + j] - s->centre[j]));
    }
    s->scale = most > 0 && isfinite(most) ? ldexpf(1, -ilogbf(most)) : 1;
    if (!isfinite(s->scale) || !(s->scale > 0)) s->scale = 1;
}

static void covariance_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    pca_sums *s = arg;
    size_t dim = s->x->cols;
    double *sum = s->partial + begin / s->grain * (1 + dim) * dim, *square = sum + dim;
    float *rows = s->scratch + worker * (BLOCK + PANEL + 1) * dim, *panel = rows + BLOCK * dim;
    float *block_sum = panel + PANEL * dim;
    memset(sum, 0, (1 + dim) * dim * sizeof *sum);
    for (size_t at = begin; at < end && !gn__cancelled(s->ctx); at += BLOCK) {
        size_t m = end - at < BLOCK ? end - at : BLOCK;
        memset(block_sum, 0, dim * sizeof *block_sum);
        for (size_t i = 0; i < m; i++) {
            float root = s->weight ? (float)sqrt(s->weight[at + i] * s->inverse_most) : 1;
            pca_centre(s->x->data + (at + i) * dim, s->centre, s->scale, root, dim, rows + i * dim,
                       block_sum);
        }
        pca_add(block_sum, dim, sum);
        for (size_t j = 0; j < dim; j += PANEL) {
            size_t height = dim - j < PANEL ? dim - j : PANEL;
            gn__product(height, j + height, m, 1, (gn__factor){rows + j, dim, true},
                        (gn__factor){rows, dim, false}, 0, panel, j + height);
            for (size_t i = 0; i < height; i++)
                pca_add(panel + i * (j + height), j + i + 1, square + (j + i) * dim);
        }
    }
}

/* Adds up the pieces in their order into the first. */
static void reduce(double *partial, size_t pieces, size_t size)
{
    for (size_t k = 1; k < pieces; k++)
        for (size_t j = 0; j < size; j++) partial[j] += partial[k * size + j];
}

static gn_status total_weight(const double *weight, size_t n, double *total, double *most, gn_error *err)
{
    *total = weight == NULL ? (double)n : 0;
    *most = weight == NULL ? 1 : 0;
    for (size_t i = 0; weight != NULL && i < n; i++) {
        if (!(weight[i] >= 0) || !isfinite(weight[i]))
            return gn__fail(err, GN_DATA, "the weight of row %zu is %g; weights must be finite and >= 0", i,
                            weight[i]);
        *total += weight[i];
        *most = fmax(*most, weight[i]);
    }
    if (!(*total > 0) || !isfinite(*total))
        return gn__fail(err, GN_DATA, "principal components need rows with weight; all %zu weigh nothing", n);
    return GN_OK;
}

/* From the sums in the first piece to mean and covariance, in place. */
static gn_status finish_sums(const pca_sums *s, double total, gn_pca *pca, gn_error *err)
{
    size_t dim = s->x->cols;
    double *shift = s->partial, *square = shift + dim, scale = (double)s->scale, all = 0;
    for (size_t j = 0; j < dim; j++) {
        shift[j] /= total;
        pca->mean[j] = (float)((double)s->centre[j] + shift[j] / scale);
    }
    for (size_t i = 0; i < dim; i++) {
        for (size_t j = 0; j <= i; j++)
            square[i * dim + j] = (square[i * dim + j] / total - shift[i] * shift[j]) / scale / scale;
        all += square[i * dim + i];
    }
    pca->total_variance = fmax(all, 0);
    if (isfinite(all)) return GN_OK;
    GN__TRY(gn__check_finite(s->ctx, s->x, "the matrix", err));
    return gn__fail(err, GN_NUMERIC, "the matrix has values too far apart for principal components");
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
    double total = 0, heaviest = 0;
    if (dim == 0 || components == 0 || dim > INT32_MAX / 2)
        return gn__fail(err, GN_INVALID_ARGUMENT,
                        "principal components need at least one column and one component; got %zu and %zu",
                        dim, components);
    if (n < 2) return gn__fail(err, GN_DATA, "principal components need at least two rows; there are %zu", n);
    GN__TRY(total_weight(weight, n, &total, &heaviest, err));
    if (components > most) components = most;
    size_t bytes = 0;
    if (!gn__mul_size(dim + 1, dim, &square) || !gn__mul_size(square, sizeof(double), &bytes))
        return gn__no_memory(err, SIZE_MAX);
    size_t pieces = piece_memory / bytes, blocks = (n + BLOCK - 1) / BLOCK;
    pieces = pieces < 1 ? 1 : pieces > MAX_PIECES ? MAX_PIECES : pieces;
    if (pieces > blocks) pieces = blocks;
    pca_sums s = {.ctx = ctx,
                  .x = x,
                  .weight = weight,
                  .inverse_most = 1 / heaviest,
                  .grain = (blocks + pieces - 1) / pieces * BLOCK};
    pieces = (n + s.grain - 1) / s.grain;
    gn_pca pca = {.dim = dim,
                  .components = components,
                  .mean = gn__calloc(dim, sizeof *pca.mean),
                  .direction = gn__calloc(components, dim * sizeof *pca.direction),
                  .variance = gn__calloc(components, sizeof *pca.variance)};
    gn_status status = GN_OK;
    s.centre = gn__calloc(dim, sizeof *s.centre);
    s.partial = gn__aligned(pieces * square, sizeof *s.partial);
    s.scratch = gn__aligned((size_t)gn_context_threads(ctx) * (BLOCK + PANEL + 1) * dim, sizeof *s.scratch);
    if (pca.mean == NULL || pca.direction == NULL || pca.variance == NULL || s.centre == NULL ||
        s.partial == NULL || s.scratch == NULL) {
        status = gn__no_memory(err, pieces * bytes);
        goto done;
    }
    find_centre(&s);
    GN__TRY_GOTO(gn__parallel_for(ctx, n, s.grain, covariance_piece, &s, err), done);
    reduce(s.partial, pieces, square);
    GN__TRY_GOTO(finish_sums(&s, total / heaviest, &pca, err), done);
    GN__TRY_GOTO(top_directions(s.partial + dim, dim, components, &pca, err), done);
    *out = pca;
    pca = (gn_pca){0};
done:
    gn_pca_free(&pca);
    free(s.centre);
    free(s.partial);
    free(s.scratch);
    return status;
}

static void project_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    pca_sums *s = arg;
    size_t dim = s->x->cols, components = s->pca->components;
    float *rows = s->scratch + worker * BLOCK * dim;
    for (size_t i = begin; i < end; i++)
        for (size_t j = 0; j < dim; j++)
            rows[(i - begin) * dim + j] = s->x->data[i * dim + j] - s->pca->mean[j];
    gn__product(end - begin, components, dim, 1, (gn__factor){rows, dim, false},
                (gn__factor){s->pca->direction, dim, true}, 0, s->out + begin * components, components);
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
