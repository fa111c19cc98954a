/* The metric of the logistic regression, from a sample of the rows. Two classes: the Hessian at the start and
 * its Cholesky factor. More: a row's Hessian is (diag(q) − q qᵀ) ⊗ z zᵀ for probabilities q; of its diagonal
 * blocks the common shape, sum_i v_i z_i z_iᵀ with v = 1 − sum q², is made here, and logistic_spectrum.c goes
 * on from there. Exactness is not needed: L-BFGS learns the rest. */
#include "tensor/logistic_parts.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>

enum { MAX_DIM = 2048, PIECES = 8, CHUNK = 128 };
static const double least_ridge = 1e-6;

size_t gn__metric_rows(const gn__logistic_problem *p)
{
    double n = (double)p->n, d = (double)p->dim, k = p->classes == 2 ? 1 : p->classes;
    if (p->dim > MAX_DIM) return 0;
    /* Sampling error: with s rows the sampled Hessian is good to about ± 2 sqrt(d / s). 96 d rows at the
     * most (32 d for more than two classes, whose metric is rougher anyway), 4 d at the least (all of them
     * where there are fewer), between those what about four passes cost. */
    double rows = fmin(n, fmin((k > 1 ? 32 : 96) * d, fmax(4 * d, 32 * n * k / d)));
    double cost = k > 1 ? (2 * rows * (d + k) + 9 * d * d) / 4 : (rows * d + d * d / 3) / 4;
    double saved = 50 * 2 * n * k;
    return cost < saved ? (size_t)rows : 0;
}

size_t gn__metric_row(const gn__logistic_problem *p, size_t i, size_t sampled)
{
    return (size_t)((double)i * ((double)p->n / (double)sampled));
}

void gn__metric_input(const gn__logistic_problem *p, size_t row, float *z)
{
    const float *x = p->x + (p->row ? p->row[row] : row) * p->ld;
    float factor = (float)(1 / p->scale);
    for (size_t j = 0; j < p->dim; j++) z[j] = (x[j] - (p->mean ? p->mean[j] : 0)) * factor;
}

typedef struct sums {
    const gn__logistic_problem *p;
    float *w; /* [outputs × width] */
    size_t sampled, outputs, width, grain;
    double *gram; /* [pieces × width × width] */
    float *rows;  /* [threads × rows_size] rows [CHUNK × width], then logits [CHUNK × outputs] */
    size_t rows_size;
    float *product; /* [threads × width × width] */
} sums;

/* Of one row from its logits: q (1 − q), or v = 1 − sum q². */
static double row_spread(const float *logit, size_t outputs)
{
    if (outputs == 1) {
        double q = 1 / (1 + exp(-(double)*logit));
        return q * (1 - q);
    }
    double top = -INFINITY, total = 0, square = 0;
    for (size_t c = 0; c < outputs; c++) top = fmax(top, (double)logit[c]);
    for (size_t c = 0; c < outputs; c++) {
        double e = (double)expf(logit[c] - (float)top);
        total += e;
        square += e * e;
    }
    return 1 - square / (total * total);
}

static void gram_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    sums *s = arg;
    const gn__logistic_problem *p = s->p;
    size_t dim = p->dim, width = s->width, piece = begin / s->grain;
    double *gram = s->gram + piece * width * width;
    float *rows = s->rows + worker * s->rows_size, *logit = rows + CHUNK * width;
    float *product = s->product + worker * width * width;
    memset(product, 0, width * width * sizeof *product);
    for (size_t at = begin; at < end; at += CHUNK) {
        size_t m = end - at < CHUNK ? end - at : CHUNK;
        for (size_t i = 0; i < m; i++) {
            float *z = rows + i * width;
            gn__metric_input(p, gn__metric_row(p, at + i, s->sampled), z);
            z[dim] = 1;
        }
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)s->outputs, (int)width, 1, rows,
                    (int)width, s->w, (int)width, 0, logit, (int)s->outputs);
        for (size_t i = 0; i < m; i++) {
            size_t k = gn__metric_row(p, at + i, s->sampled);
            double weight = p->sample_weight ? p->sample_weight[k] : 1;
            double v = row_spread(logit + i * s->outputs, s->outputs);
            float root = (float)sqrt(fmax(weight * v, 0));
            for (size_t j = 0; j < width; j++) rows[i * width + j] *= root;
        }
        cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, (int)width, (int)m, 1, rows, (int)width, 1,
                    product, (int)width);
    }
    for (size_t j = 0; j < width * width; j++) gram[j] = (double)product[j];
}

/* Adds the pieces up into the first; the sum becomes a mean. */
static void finish(sums *s, size_t pieces, double total)
{
    size_t square = s->width * s->width;
    for (size_t k = 1; k < pieces; k++)
        for (size_t j = 0; j < square; j++) s->gram[j] += s->gram[k * square + j];
    for (size_t j = 0; j < square; j++) s->gram[j] /= total;
}

/* Penalty, ridge, Cholesky factor and its inverse; leaves the metric plain where there is none. */
static gn_status factorise(sums *s, gn__metric *out, gn_error *err)
{
    size_t width = s->width, square = width * width;
    double trace = 0;
    for (size_t j = 0; j < width; j++) trace += s->gram[j * width + j];
    double ridge = least_ridge * fmax(trace / (double)width, 1e-12);
    for (size_t j = 0; j < width; j++) s->gram[j * width + j] += ridge + (j < s->p->dim ? s->p->lambda : 0);
    if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', (int)width, s->gram, (int)width) != 0) return GN_OK;
    out->lower = gn__aligned(square, sizeof *out->lower);
    out->inverse = gn__aligned(square, sizeof *out->inverse);
    if (!out->lower || !out->inverse) return gn__no_memory(err, 2 * square * sizeof *out->lower);
    for (size_t j = 0; j < square; j++) out->lower[j] = (float)s->gram[j];
    if (LAPACKE_dtrtri(LAPACK_ROW_MAJOR, 'L', 'N', (int)width, s->gram, (int)width) != 0) {
        free(out->lower);
        out->lower = NULL;
        return GN_OK;
    }
    for (size_t j = 0; j < square; j++) out->inverse[j] = (float)s->gram[j];
    return GN_OK;
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
    s.rows = gn__aligned(threads * s.rows_size, sizeof *s.rows);
    s.product = gn__aligned(threads * square, sizeof *s.product);
    out->part = gn__aligned(2 * s.outputs * width, sizeof *out->part);
    s.w = gn__calloc(s.outputs * width, sizeof *s.w);
    if (!s.w || !s.gram || !s.rows || !s.product || !out->part) {
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
    finish(&s, pieces, total);
    status = s.outputs == 1 ? factorise(&s, out, err)
                            : gn__metric_spectrum(ctx, p, w, sampled, total, s.gram, out, err);
done:
    free(s.w);
    free(s.gram);
    free(s.rows);
    free(s.product);
    return status;
}

void gn__metric_free(gn__metric *m)
{
    free(m->lower);
    free(m->inverse);
    free(m->turn);
    free(m->middle);
    free(m->stretch);
    free(m->part);
    *m = (gn__metric){0};
}

static void to_float(const gn__metric *m, const double *x)
{
    for (size_t i = 0; i < m->outputs * m->width; i++) m->part[i] = (float)x[i];
}

static void from_float(const gn__metric *m, double *x)
{
    for (size_t i = 0; i < m->outputs * m->width; i++) x[i] = (double)m->part[i];
}

static void multiply(const gn__metric *m, CBLAS_TRANSPOSE transposed, const float *by)
{
    cblas_strmm(CblasRowMajor, CblasRight, CblasLower, transposed, CblasNonUnit, (int)m->outputs,
                (int)m->width, 1, by, (int)m->width, m->part, (int)m->width);
}

/* part becomes its second half: the features of every class by Vᵀ (or V, back), not the last column. */
static float *turned(const gn__metric *m, bool back)
{
    size_t dim = m->width - 1;
    float *out = m->part + m->outputs * m->width;
    gn__product(m->outputs, dim, dim, 1, (gn__factor){m->part, m->width, false},
                (gn__factor){m->turn, dim, !back}, 0, out, m->width);
    return out;
}

void gn__take_out_common(double *x, size_t outputs, size_t width)
{
    for (size_t j = 0; j < width; j++) {
        double mean = 0;
        for (size_t c = 0; c < outputs; c++) mean += x[c * width + j] / (double)outputs;
        for (size_t c = 0; c < outputs; c++) x[c * width + j] -= mean;
    }
}

static double at_middle(const gn__metric *m, const double *w)
{
    double sum = 0;
    for (size_t j = 0; j + 1 < m->width; j++) sum += w[j] * (double)m->middle[j];
    return sum;
}

void gn__metric_leave(const gn__metric *m, double *u)
{
    size_t width = m->width;
    if (m->lower != NULL) {
        to_float(m, u);
        multiply(m, CblasNoTrans, m->inverse);
        from_float(m, u);
    } else if (m->turn != NULL) {
        for (size_t i = 0; i < m->outputs * width; i++) m->part[i] = (float)(u[i] / (double)m->stretch[i]);
        const float *w = turned(m, true);
        for (size_t c = 0; c < m->outputs; c++) {
            double *own = u + c * width, last = own[width - 1] / (double)m->stretch[c * width + width - 1];
            for (size_t j = 0; j + 1 < width; j++) own[j] = (double)w[c * width + j];
            own[width - 1] = last - at_middle(m, own);
        }
        gn__take_out_common(u, m->outputs, width);
    }
}

void gn__metric_gradient(const gn__metric *m, double *g)
{
    size_t width = m->width;
    if (m->lower != NULL) {
        to_float(m, g);
        multiply(m, CblasTrans, m->inverse);
        from_float(m, g);
    } else if (m->turn != NULL) {
        gn__take_out_common(g, m->outputs, width);
        for (size_t c = 0; c < m->outputs; c++)
            for (size_t j = 0; j + 1 < width; j++)
                m->part[c * width + j] =
                    (float)(g[c * width + j] - g[c * width + width - 1] * (double)m->middle[j]);
        const float *turn = turned(m, false);
        for (size_t c = 0; c < m->outputs; c++, g += width) {
            const float *stretch = m->stretch + c * width;
            for (size_t j = 0; j + 1 < width; j++) g[j] = (double)turn[c * width + j] / (double)stretch[j];
            g[width - 1] /= (double)stretch[width - 1];
        }
    }
}
