/* The metric of the logistic regression. Two classes: the Hessian at the start, from a sample of the rows.
 * More: a row's Hessian is (diag(q) − q qᵀ) ⊗ z zᵀ for probabilities q; the metric keeps its diagonal
 * blocks, and of those one common shape, sum_i v_i z_i z_iᵀ with v = 1 − sum q², times a size for each class
 * (its mean q (1 − q)). Exactness is not needed: L-BFGS learns the rest. */
#include "tensor/logistic_parts.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>

enum { MAX_DIM = 2048, PIECES = 8, CHUNK = 128 };
static const double least_ridge = 1e-6, least_root = 1e-3;

size_t gn__metric_rows(const gn__logistic_problem *p)
{
    double n = (double)p->n, d = (double)p->dim, k = p->classes == 2 ? 1 : p->classes;
    if (p->dim > MAX_DIM) return 0;
    /* Sampling error: with s rows the sampled Hessian is good to about ± 2 sqrt(d / s). 32 d rows at the
     * most, 4 d at the least (all of them where there are fewer), between those what about four passes
     * cost. */
    double rows = fmin(n, fmin(32 * d, fmax(4 * d, 32 * n * k / d)));
    double cost = (rows * d + d * d / 3) / 4, saved = 50 * 2 * n * k;
    return cost < saved ? (size_t)rows : 0;
}

size_t gn__metric_row(const gn__logistic_problem *p, size_t i, size_t sampled)
{
    return (size_t)((double)i * ((double)p->n / (double)sampled));
}

typedef struct sums {
    const gn__logistic_problem *p;
    float *w; /* [outputs × width] */
    size_t sampled, outputs, width, grain;
    double *gram;   /* [pieces × width × width] */
    double *spread; /* [pieces × outputs] sum of q (1 − q) */
    float *rows;    /* [threads × rows_size] rows [CHUNK × width], then logits [CHUNK × outputs] */
    size_t rows_size;
    float *product; /* [threads × width × width] */
} sums;

/* The probabilities q of one row from its logits, in place; its v, and q (1 − q) onto spread. */
static double row_spread(float *logit, size_t outputs, double weight, double *spread)
{
    if (outputs == 1) {
        double q = 1 / (1 + exp(-(double)*logit));
        spread[0] += weight * q * (1 - q);
        return q * (1 - q);
    }
    double top = -INFINITY, total = 0, v = 1;
    for (size_t c = 0; c < outputs; c++) top = fmax(top, (double)logit[c]);
    for (size_t c = 0; c < outputs; c++) total += (double)(logit[c] = expf(logit[c] - (float)top));
    for (size_t c = 0; c < outputs; c++) {
        double q = (double)logit[c] / total;
        v -= q * q;
        spread[c] += weight * q * (1 - q);
    }
    return v;
}

static void gram_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    sums *s = arg;
    const gn__logistic_problem *p = s->p;
    size_t dim = p->dim, width = s->width, piece = begin / s->grain;
    double *gram = s->gram + piece * width * width, *spread = s->spread + piece * s->outputs;
    float *rows = s->rows + worker * s->rows_size, *logit = rows + CHUNK * width;
    float *product = s->product + worker * width * width, factor = (float)(1 / p->scale);
    memset(product, 0, width * width * sizeof *product);
    for (size_t at = begin; at < end; at += CHUNK) {
        size_t m = end - at < CHUNK ? end - at : CHUNK;
        for (size_t i = 0; i < m; i++) {
            size_t k = gn__metric_row(p, at + i, s->sampled);
            const float *x = p->x + (p->row ? p->row[k] : k) * p->ld;
            float *z = rows + i * width;
            for (size_t j = 0; j < dim; j++) z[j] = (x[j] - (p->mean ? p->mean[j] : 0)) * factor;
            z[dim] = 1;
        }
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)s->outputs, (int)width, 1, rows,
                    (int)width, s->w, (int)width, 0, logit, (int)s->outputs);
        for (size_t i = 0; i < m; i++) {
            size_t k = gn__metric_row(p, at + i, s->sampled);
            double weight = p->sample_weight ? p->sample_weight[k] : 1;
            double v = row_spread(logit + i * s->outputs, s->outputs, weight, spread);
            float root = (float)sqrt(fmax(weight * v, 0));
            for (size_t j = 0; j < width; j++) rows[i * width + j] *= root;
        }
        cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, (int)width, (int)m, 1, rows, (int)width, 1,
                    product, (int)width);
    }
    for (size_t j = 0; j < width * width; j++) gram[j] = (double)product[j];
}

/* Adds the pieces up into the first; the sum becomes a mean, with its ridge. */
static void finish(sums *s, size_t pieces, double total, gn__metric *out)
{
    size_t width = s->width, square = width * width;
    double trace = 0, mean = 0;
    for (size_t k = 1; k < pieces; k++) {
        for (size_t j = 0; j < square; j++) s->gram[j] += s->gram[k * square + j];
        for (size_t c = 0; c < s->outputs; c++) s->spread[c] += s->spread[k * s->outputs + c];
    }
    for (size_t j = 0; j < square; j++) s->gram[j] /= total;
    for (size_t c = 0; c < s->outputs; c++) mean += s->spread[c] / total / (double)s->outputs;
    /* The gram has the weights v, which sum to outputs × mean: a class's block is its share of it. */
    for (size_t c = 0; c < s->outputs; c++) {
        double size = s->spread[c] / total;
        out->root[c] = s->outputs == 1 ? 1 : sqrt(fmax(size / ((double)s->outputs * mean), least_root));
        if (!(mean > 0)) out->root[c] = 1;
    }
    for (size_t j = 0; j < width; j++) trace += s->gram[j * width + j];
    double ridge = least_ridge * fmax(trace / (double)width, 1e-12);
    double penalty = s->p->lambda * (s->outputs == 1 ? 1 : (double)s->outputs);
    for (size_t j = 0; j < width; j++) s->gram[j * width + j] += ridge + (j < s->p->dim ? penalty : 0);
}

gn_status gn__metric_make(gn_context *ctx, const gn__logistic_problem *p, const double *w, size_t sampled,
                          gn__metric *out, gn_error *err)
{
    *out = (gn__metric){.width = p->dim + 1, .outputs = p->classes == 2 ? 1 : (size_t)p->classes};
    if (sampled == 0) return GN_OK;
    size_t width = out->width, square = width * width, threads = gn_context_threads(ctx);
    sums s = {.p = p, .sampled = sampled, .outputs = out->outputs, .width = width};
    s.grain = (sampled + PIECES - 1) / PIECES;
    s.rows_size = (CHUNK * (width + s.outputs) + 15) / 16 * 16;
    size_t pieces = (sampled + s.grain - 1) / s.grain;
    double total = 0;
    gn_status status = GN_OK;
    s.gram = gn__aligned(pieces * square, sizeof *s.gram);
    s.spread = gn__calloc(pieces * s.outputs, sizeof *s.spread);
    s.rows = gn__aligned(threads * s.rows_size, sizeof *s.rows);
    s.product = gn__aligned(threads * square, sizeof *s.product);
    out->root = gn__calloc(s.outputs, sizeof *out->root);
    s.w = gn__calloc(s.outputs * width, sizeof *s.w);
    if (!s.w || !s.gram || !s.spread || !s.rows || !s.product || !out->root) {
        status = gn__no_memory(err, (pieces * sizeof *s.gram + threads * sizeof *s.product) * square);
        goto done;
    }
    for (size_t j = 0; j < s.outputs * width; j++) s.w[j] = (float)w[j];
    GN__TRY_GOTO(gn__parallel_for(ctx, sampled, s.grain, gram_piece, &s, err), done);
    for (size_t i = 0; i < sampled; i++) {
        size_t k = gn__metric_row(p, i, sampled);
        total += p->sample_weight ? p->sample_weight[k] : 1;
    }
    if (!(total > 0)) goto done; /* only rows without weight were sampled */
    finish(&s, pieces, total, out);
    if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', (int)width, s.gram, (int)width) != 0) goto done;
    out->lower = gn__aligned(square, sizeof *out->lower);
    out->inverse = gn__aligned(square, sizeof *out->inverse);
    out->part = gn__aligned(s.outputs * width, sizeof *out->part);
    if (!out->lower || !out->inverse || !out->part) {
        status = gn__no_memory(err, 2 * square * sizeof *out->lower);
        goto done;
    }
    for (size_t j = 0; j < square; j++) out->lower[j] = (float)s.gram[j];
    if (LAPACKE_dtrtri(LAPACK_ROW_MAJOR, 'L', 'N', (int)width, s.gram, (int)width) != 0) {
        free(out->lower);
        out->lower = NULL;
        goto done;
    }
    for (size_t j = 0; j < square; j++) out->inverse[j] = (float)s.gram[j];
done:
    free(s.w);
    free(s.gram);
    free(s.spread);
    free(s.rows);
    free(s.product);
    return status;
}

void gn__metric_free(gn__metric *m)
{
    free(m->lower);
    free(m->inverse);
    free(m->part);
    free(m->root);
}

static void to_float(const gn__metric *m, const double *x)
{
    for (size_t i = 0; i < m->outputs * m->width; i++) m->part[i] = (float)x[i];
}

static void from_float(const gn__metric *m, bool divide, double *x)
{
    for (size_t c = 0; c < m->outputs; c++) {
        double f = divide ? 1 / m->root[c] : m->root[c];
        for (size_t j = 0; j < m->width; j++) x[c * m->width + j] = f * (double)m->part[c * m->width + j];
    }
}

static void multiply(const gn__metric *m, CBLAS_TRANSPOSE transposed, const float *by)
{
    cblas_strmm(CblasRowMajor, CblasRight, CblasLower, transposed, CblasNonUnit, (int)m->outputs,
                (int)m->width, 1, by, (int)m->width, m->part, (int)m->width);
}

void gn__metric_enter(const gn__metric *m, double *w)
{
    if (m->lower == NULL) return;
    to_float(m, w);
    multiply(m, CblasNoTrans, m->lower);
    from_float(m, false, w);
}

void gn__metric_leave(const gn__metric *m, double *u)
{
    if (m->lower == NULL) return;
    to_float(m, u);
    multiply(m, CblasNoTrans, m->inverse);
    from_float(m, true, u);
}

void gn__metric_gradient(const gn__metric *m, double *g)
{
    if (m->lower == NULL) return;
    to_float(m, g);
    multiply(m, CblasTrans, m->inverse);
    from_float(m, true, g);
}
