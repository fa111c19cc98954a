/* How well labels can be read off embeddings, without training: LogME and the H-score.
 *
 * Both come from second moments. With F the rows, F'F = V diag(s) V' and z = V'F'y, the posterior mean of a
 * Bayesian regression with prior precision a and noise precision b has the coordinates b z / (a + b s), so
 * that the evidence of every class costs one pass over s. */
#include "verify/finetune.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>

enum { BLOCK = 512, MOST_STEPS = 10000 };

typedef struct moments {
    size_t n, dim, classes;
    double *gram;  /* [dim × dim] sum of x x', later eigenvectors in columns */
    double *mean;  /* [dim] */
    double *sum;   /* [classes × dim] of each class's rows */
    double *count; /* [classes] */
    double fourth; /* sum of ||x − mean||⁴ */
    double *value; /* [dim] eigenvalues */
    double *block; /* [BLOCK × dim] */
} moments;

static void moments_free(moments *m)
{
    free(m->gram);
    free(m->mean);
    free(m->sum);
    free(m->count);
    free(m->value);
    free(m->block);
}

static gn_status moments_alloc(moments *m, gn_error *err)
{
    size_t square = 0, table = 0;
    if (!gn__mul_size(m->dim, m->dim, &square) || !gn__mul_size(m->classes, m->dim, &table))
        return gn__no_memory(err, SIZE_MAX);
    m->gram = gn__calloc(square, sizeof *m->gram);
    m->mean = gn__calloc(m->dim, sizeof *m->mean);
    m->sum = gn__calloc(table, sizeof *m->sum);
    m->count = gn__calloc(m->classes, sizeof *m->count);
    m->value = gn__calloc(m->dim, sizeof *m->value);
    m->block = gn__calloc(BLOCK, m->dim * sizeof *m->block);
    if (m->gram && m->mean && m->sum && m->count && m->value && m->block) return GN_OK;
    return gn__no_memory(err, square * sizeof *m->gram);
}

static void means(const gn__sample *s, moments *m)
{
    for (size_t p = 0; p < s->n; p++) {
        const float *x = s->x->data + (size_t)s->row[p] * m->dim;
        double *sum = m->sum + (size_t)s->y[p] * m->dim;
        m->count[s->y[p]]++;
        for (size_t j = 0; j < m->dim; j++) sum[j] += (double)x[j];
    }
    for (size_t c = 0; c < m->classes; c++)
        for (size_t j = 0; j < m->dim; j++) m->mean[j] += m->sum[c * m->dim + j] / (double)m->n;
}

/* gram of the rows less `origin` (NULL: as they are), in blocks whose order never changes. */
static gn_status gram_of(gn_context *ctx, const gn__sample *s, const double *origin, moments *m,
                         gn_error *err)
{
    size_t d = m->dim;
    memset(m->gram, 0, d * d * sizeof *m->gram);
    m->fourth = 0;
    for (size_t begin = 0; begin < s->n; begin += BLOCK) {
        GN__TRY(gn__check_cancel(ctx, err));
        size_t rows = s->n - begin < BLOCK ? s->n - begin : BLOCK;
        for (size_t i = 0; i < rows; i++) {
            const float *x = s->x->data + (size_t)s->row[begin + i] * d;
            double *to = m->block + i * d, square = 0;
            for (size_t j = 0; j < d; j++) {
                to[j] = (double)x[j] - (origin ? origin[j] : 0);
                square += to[j] * to[j];
            }
            m->fourth += square * square;
        }
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, (int)d, (int)rows, 1, m->block, (int)d, 1, m->gram,
                    (int)d);
    }
    return GN_OK;
}

/* gram becomes its eigenvectors, as columns; values below rounding become 0. */
static gn_status eigen(moments *m, gn_error *err)
{
    if (LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'V', 'U', (int)m->dim, m->gram, (int)m->dim, m->value) != 0)
        return gn__fail(err, GN_NUMERIC, "the eigenvalues of %zu dimensions could not be found", m->dim);
    double least = (double)m->dim * 2.220446049250313e-16 * m->value[m->dim - 1];
    for (size_t j = 0; j < m->dim; j++)
        if (m->value[j] < least) m->value[j] = 0;
    return GN_OK;
}

/* out = V' x */
static void turn(const moments *m, const double *x, double *out)
{
    cblas_dgemv(CblasRowMajor, CblasTrans, (int)m->dim, (int)m->dim, 1, m->gram, (int)m->dim, x, 1, 0, out,
                1);
}

/* The evidence at its maximum, a row: the fixed point a = g / |m|², b = (n − g) / |y − F m|², where
 * g = sum b s / (a + b s). yy: y'y. */
static double evidence(const moments *m, const double *z, double yy)
{
    double n = (double)m->n, a = 1, b = 1, square = 0, residual = 0;
    for (int step = 0; step < MOST_STEPS; step++) {
        double g = 0, ratio = a / b;
        square = residual = 0;
        residual = yy;
        for (size_t j = 0; j < m->dim; j++) {
            double s = m->value[j], w = z[j] / (ratio + s);
            g += s / (ratio + s);
            square += w * w;
            residual += w * (s * w - 2 * z[j]);
        }
        /* rounding, and labels that the rows fit without a rest */
        residual = fmax(residual, 1e-12 * yy);
        square = fmax(square, 1e-300);
        a = g / square;
        b = (n - g > 1e-9 * n ? n - g : 1e-9 * n) / residual;
        if (!(a > 0)) a = 1e-300;
        if (fabs(a / b - ratio) <= 1e-10 * ratio) break;
    }
    double logs = 0, ratio = a / b;
    square = 0, residual = yy;
    for (size_t j = 0; j < m->dim; j++) {
        double s = m->value[j], w = z[j] / (ratio + s);
        square += w * w;
        residual += w * (s * w - 2 * z[j]);
        logs += log1p(s / ratio); /* log (a + b s) − log a */
    }
    residual = fmax(residual, 0);
    return 0.5 * (log(b) - log(2 * M_PI)) - 0.5 * (b * residual + a * square + logs) / n;
}

static gn_status logme(gn_context *ctx, const gn__sample *s, moments *m, gn_transfer *out, gn_error *err)
{
    double *z = gn__calloc(m->dim, sizeof *z);
    if (z == NULL) return gn__no_memory(err, m->dim * sizeof *z);
    gn_status status;
    GN__TRY_GOTO(gram_of(ctx, s, NULL, m, err), done);
    GN__TRY_GOTO(eigen(m, err), done);
    double total = 0;
    for (size_t c = 0; c < m->classes; c++) {
        if (m->count[c] == 0) continue;
        turn(m, m->sum + c * m->dim, z); /* F'y of a 0/1 column is the sum of the class's rows */
        total += evidence(m, z, m->count[c]);
    }
    out->logme = total / (double)out->classes;
done:
    free(z);
    return status;
}

static gn_status hscore(gn_context *ctx, const gn__sample *s, moments *m, gn_transfer *out, gn_error *err)
{
    size_t d = m->dim;
    double n = (double)m->n;
    double *away = gn__calloc(2 * d, sizeof *away), *turned = away + d;
    if (away == NULL) return gn__no_memory(err, 2 * d * sizeof *away);
    gn_status status;
    GN__TRY_GOTO(gram_of(ctx, s, m->mean, m, err), done);
    GN__TRY_GOTO(eigen(m, err), done);
    double trace = 0, square = 0;
    for (size_t j = 0; j < d; j++) {
        m->value[j] /= n;
        trace += m->value[j];
        square += m->value[j] * m->value[j];
    }
    /* Ledoit & Wolf 2004, lemma 3.1 to 3.5: towards the mean variance times the identity. */
    double middle = trace / (double)d;
    double apart = square - (double)d * middle * middle, noise = (m->fourth / n - square) / n;
    out->shrinkage = apart > 0 ? fmax(0, fmin(1, noise / apart)) : 1;
    out->hscore = out->hscore_shrunk = 0;
    for (size_t c = 0; c < m->classes; c++) {
        if (m->count[c] == 0) continue;
        for (size_t j = 0; j < d; j++) away[j] = m->sum[c * d + j] / m->count[c] - m->mean[j];
        turn(m, away, turned);
        double share = m->count[c] / n;
        for (size_t j = 0; j < d; j++) {
            double between = share * turned[j] * turned[j], kept = 1 - out->shrinkage;
            double shrunk = kept * m->value[j] + out->shrinkage * middle;
            if (m->value[j] > 0) out->hscore += between / m->value[j];
            if (shrunk > 0) out->hscore_shrunk += kept * between / shrunk;
        }
    }
done:
    free(away);
    return status;
}

gn_status gn_transfer_scores(gn_context *ctx, const gn_matrix *x, const int *y, int classes, gn_transfer *out,
                             gn_error *err)
{
    *out = (gn_transfer){.logme = NAN, .hscore = NAN, .hscore_shrunk = NAN, .shrinkage = NAN};
    if (classes < 1 || x->cols < 1 || x->cols > INT32_MAX)
        return gn__fail(err, GN_INVALID_ARGUMENT,
                        "a transfer score needs classes and columns, found %d and %zu", classes, x->cols);
    gn__sample s = {0};
    moments m = {0};
    gn_status status;
    GN__TRY(gn__sample_make(x, y, classes, NULL, &s, err));
    out->rows = s.n;
    out->classes = (int)gn__sample_classes(&s);
    if (s.n < 3 || out->classes < 2) {
        status = gn__fail(err, GN_DATA,
                          "a transfer score needs three labelled rows of two classes, found %zu rows of %d",
                          s.n, out->classes);
        goto done;
    }
    m = (moments){.n = s.n, .dim = x->cols, .classes = (size_t)classes};
    GN__TRY_GOTO(moments_alloc(&m, err), done);
    means(&s, &m);
    GN__TRY_GOTO(logme(ctx, &s, &m, out, err), done);
    GN__TRY_GOTO(hscore(ctx, &s, &m, out, err), done);
done:
    moments_free(&m);
    gn__sample_free(&s);
    return status;
}
