/* How far a representation went: linear centred kernel alignment, from the two feature matrices.
 *
 * With kernels K = XX' and L = YY' whose diagonals are set to 0, the unbiased HSIC is (Song et al. 2012)
 *   [tr KL + (1'K1)(1'L1) / ((n−1)(n−2)) − 2 (1'KL1) / (n−2)] / (n (n−3)).
 * For linear kernels every term comes from X'Y, the rows' lengths and the columns' sums, so no n × n matrix
 * is made. It does not depend on where the origin lies; the rows are centred first to lose no digits. */
#include "verify/finetune.h"

#include <cblas.h>
#include <math.h>

enum { BLOCK = 512 };

/* Rows in float64 less their mean; NULL: no memory. */
static double *centred(const gn_matrix *x)
{
    size_t cells = 0, n = x->rows, d = x->cols;
    double *out = gn__mul_size(n, d, &cells) ? gn__calloc(cells, sizeof *out) : NULL;
    double *mean = gn__calloc(d, sizeof *mean);
    if (out == NULL || mean == NULL) {
        free(out);
        free(mean);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++) mean[j] += (double)x->data[i * d + j] / (double)n;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++) out[i * d + j] = (double)x->data[i * d + j] - mean[j];
    free(mean);
    return out;
}

/* ||X'Y||² (Frobenius), block by block of X's columns. */
static double cross(const double *x, const double *y, size_t n, size_t p, size_t q, double *scratch)
{
    double sum = 0;
    for (size_t begin = 0; begin < p; begin += BLOCK) {
        size_t cols = p - begin < BLOCK ? p - begin : BLOCK;
        cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)cols, (int)q, (int)n, 1, x + begin, (int)p,
                    y, (int)q, 0, scratch, (int)q);
        for (size_t i = 0; i < cols * q; i++) sum += scratch[i] * scratch[i];
    }
    return sum;
}

/* length: squared lengths of the rows. row: the sums of K's rows, its diagonal 0; the columns' sums are 0. */
static void kernel_sums(const double *x, size_t n, size_t d, double *length, double *row)
{
    for (size_t i = 0; i < n; i++) {
        length[i] = cblas_ddot((int)d, x + i * d, 1, x + i * d, 1);
        row[i] = -length[i];
    }
}

static double hsic(double product, const double *la, const double *ra, const double *lb, const double *rb,
                   size_t rows)
{
    double n = (double)rows, diagonal = 0, a = 0, b = 0, both = 0;
    for (size_t i = 0; i < rows; i++) {
        diagonal += la[i] * lb[i];
        a += ra[i];
        b += rb[i];
        both += ra[i] * rb[i];
    }
    return (product - diagonal + a * b / ((n - 1) * (n - 2)) - 2 * both / (n - 2)) / (n * (n - 3));
}

gn_status gn_cka(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, double *unbiased, double *biased,
                 gn_error *err)
{
    if (a->rows != b->rows || a->rows < 4)
        return gn__fail(err, GN_INVALID_ARGUMENT,
                        "alignment needs the same rows twice, four at least; found %zu and %zu", a->rows,
                        b->rows);
    if (a->rows > INT32_MAX || a->cols > INT32_MAX || b->cols > INT32_MAX)
        return gn__fail(err, GN_UNSUPPORTED, "%zu rows are more than can be aligned", a->rows);
    GN__TRY(gn__require_finite(a, err));
    GN__TRY(gn__require_finite(b, err));
    GN__TRY(gn__check_cancel(ctx, err));
    size_t n = a->rows, wide = a->cols > b->cols ? a->cols : b->cols, cells = 0;
    double *x = centred(a), *y = centred(b), *sums = gn__calloc(n, 4 * sizeof *sums);
    double *scratch = gn__mul_size(wide, BLOCK, &cells) ? gn__calloc(cells, sizeof *scratch) : NULL;
    gn_status status = GN_OK;
    if (!x || !y || !sums || !scratch) {
        status = gn__no_memory(err, n * wide * 2 * sizeof *x);
        goto done;
    }
    double *lx = sums, *rx = sums + n, *ly = sums + 2 * n, *ry = sums + 3 * n;
    kernel_sums(x, n, a->cols, lx, rx);
    kernel_sums(y, n, b->cols, ly, ry);
    double xy = cross(x, y, n, a->cols, b->cols, scratch);
    double xx = cross(x, x, n, a->cols, a->cols, scratch);
    GN__TRY_GOTO(gn__check_cancel(ctx, err), done);
    double yy = cross(y, y, n, b->cols, b->cols, scratch);
    double own_a = hsic(xx, lx, rx, lx, rx, n), own_b = hsic(yy, ly, ry, ly, ry, n);
    if (biased != NULL) *biased = xx > 0 && yy > 0 ? xy / sqrt(xx) / sqrt(yy) : NAN;
    *unbiased = own_a > 0 && own_b > 0 ? hsic(xy, lx, rx, ly, ry, n) / sqrt(own_a) / sqrt(own_b) : NAN;
done:
    free(x);
    free(y);
    free(sums);
    free(scratch);
    return status;
}
