/* One evaluation of the logistic objective is one pass over the rows. Two classes: a few rows at a time are
 * multiplied by W, and again by the residuals while they are in the nearest cache. More: a block is centred
 * into a buffer and goes through two matrix products. Products are float32, sums over blocks double. */
#include "tensor/logistic_parts.h"

#include <cblas.h>
#include <math.h>

enum { BLOCK = 128, NEAR = GN__LANES, MAX_PIECES = 64 };

GN__CLONES static void logistic_centre(const float *x, const float *mean, size_t dim, float *out)
{
    for (size_t j = 0; j < dim; j++) out[j] = x[j] - mean[j];
}

GN__CLONES static void logistic_add_to(double *sum, const float *x, double factor, size_t n)
{
    for (size_t j = 0; j < n; j++) sum[j] += factor * (double)x[j];
}

static const float *row_at(const gn__logistic_problem *p, size_t i)
{
    return p->x + (p->row ? p->row[i] : i) * p->ld;
}

static float weight_at(const gn__pass *f, size_t i)
{
    return (float)((f->p->sample_weight ? f->p->sample_weight[i] : 1) * f->inverse_total);
}

/* Two classes; part: [dim]. */
static void binomial_block(const gn__pass *f, size_t at, size_t m, float *part, double *loss,
                           double *gradient)
{
    const gn__logistic_problem *p = f->p;
    float margin[NEAR], y[NEAR], weight[NEAR];
    memset(part, 0, p->dim * sizeof *part);
    for (size_t end = at + m; at < end; at += NEAR) {
        const float *row[NEAR];
        size_t rows = end - at < NEAR ? end - at : NEAR;
        for (size_t i = 0; i < NEAR; i++) {
            size_t r = i < rows ? at + i : at;
            row[i] = row_at(p, r);
            y[i] = (float)p->y[r];
            weight[i] = i < rows ? weight_at(f, r) : 0;
            margin[i] = 0;
        }
        f->ops->margins(row, rows, f->mean, f->w, p->dim, margin);
        for (size_t i = 0; i < NEAR; i++) margin[i] += f->w[p->dim];
        *loss += f->ops->binomial_loss(margin, y, weight, NEAR);
        for (size_t i = 0; i < rows; i++) gradient[p->dim] += (double)margin[i];
        f->ops->add_rows(row, rows, f->mean, margin, p->dim, part);
    }
    logistic_add_to(gradient, part, 1 / p->scale, p->dim);
}

/* More classes; scratch: rows [BLOCK × dim], logits [outputs × BLOCK], gradient [outputs × dim]. */
static void multinomial_block(const gn__pass *f, size_t at, size_t m, float *scratch, double *loss,
                              double *gradient)
{
    const gn__logistic_problem *p = f->p;
    size_t dim = p->dim, outputs = f->outputs;
    float *rows = scratch, *logit = rows + BLOCK * dim, *part = logit + outputs * BLOCK, weight[BLOCK];
    int y[BLOCK];
    size_t filled = (m + GN__LANES - 1) / GN__LANES * GN__LANES;
    for (size_t i = 0; i < filled; i++) {
        size_t r = i < m ? at + i : at;
        y[i] = p->y[r];
        weight[i] = i < m ? weight_at(f, r) : 0;
        logistic_centre(row_at(p, r), f->mean, dim, rows + i * dim);
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)outputs, (int)filled, (int)dim, 1, f->w,
                (int)dim, rows, (int)dim, 0, logit, BLOCK);
    *loss += f->ops->softmax_loss(logit, BLOCK, outputs, f->w + outputs * dim, y, weight, filled);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)outputs, (int)dim, (int)m, 1, logit, BLOCK,
                rows, (int)dim, 0, part, (int)dim);
    for (size_t c = 0; c < outputs; c++) {
        for (size_t i = 0; i < m; i++) gradient[c * f->width + dim] += (double)logit[c * BLOCK + i];
        logistic_add_to(gradient + c * f->width, part + c * dim, 1 / p->scale, dim);
    }
}

static void pass_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    gn__pass *f = arg;
    size_t size = f->outputs * f->width;
    double *loss = f->partial + begin / f->grain * (1 + size), *gradient = loss + 1;
    float *scratch = f->scratch + worker * f->scratch_size;
    memset(loss, 0, (1 + size) * sizeof *loss);
    for (size_t at = begin; at < end; at += BLOCK) {
        size_t m = end - at < BLOCK ? end - at : BLOCK;
        if (f->outputs == 1)
            binomial_block(f, at, m, scratch, loss, gradient);
        else
            multinomial_block(f, at, m, scratch, loss, gradient);
    }
}

gn_status gn__pass_run(gn__pass *f, const double *w, double *g, double *objective, gn_error *err)
{
    const gn__logistic_problem *p = f->p;
    size_t dim = p->dim, width = f->width, size = f->outputs * width;
    double square = 0, factor = 1 / p->scale, all = 0;
    for (size_t c = 0; c < f->outputs; c++) {
        for (size_t j = 0; j < dim; j++) f->w[c * dim + j] = (float)(w[c * width + j] * factor);
        f->w[f->outputs * dim + c] = (float)w[c * width + dim];
    }
    GN__TRY(gn__parallel_for(f->ctx, p->n, f->grain, pass_piece, f, err));
    size_t pieces = (p->n + f->grain - 1) / f->grain;
    memset(g, 0, size * sizeof *g);
    *objective = 0;
    for (size_t k = 0; k < pieces; k++) {
        const double *part = f->partial + k * (1 + size);
        *objective += part[0];
        for (size_t j = 0; j < size; j++) g[j] += part[1 + j];
    }
    for (size_t c = 0; c < f->outputs; c++)
        for (size_t j = 0; j < dim; j++) {
            double v = w[c * width + j];
            square += v * v;
            g[c * width + j] += p->lambda * v;
        }
    *objective += 0.5 * p->lambda * square;
    for (size_t j = 0; j < size; j++) all += g[j] * g[j];
    if (!isfinite(*objective) || !isfinite(all))
        return gn__fail(err, GN_NUMERIC,
                        "logistic regression left the range of numbers (%zu rows, %zu columns): are the "
                        "features finite?",
                        p->n, dim);
    return GN_OK;
}

gn_status gn__pass_make(gn_context *ctx, const gn__logistic_problem *p, double total, gn__pass *out,
                        gn_error *err)
{
    size_t outputs = p->classes == 2 ? 1 : (size_t)p->classes, width = p->dim + 1;
    size_t blocks = (p->n + BLOCK - 1) / BLOCK, per_piece = (blocks + MAX_PIECES - 1) / MAX_PIECES, partials;
    size_t scratch = outputs == 1 ? p->dim : BLOCK * p->dim + outputs * (BLOCK + p->dim);
    *out = (gn__pass){.ctx = ctx,
                      .p = p,
                      .ops = gn__cpu_ops(),
                      .outputs = outputs,
                      .width = width,
                      .grain = per_piece * BLOCK,
                      .inverse_total = 1 / total,
                      .scratch_size = (scratch + 15) / 16 * 16};
    size_t pieces = (p->n + out->grain - 1) / out->grain;
    out->mean = gn__calloc(p->dim, sizeof *out->mean);
    out->w = gn__aligned(outputs * width, sizeof *out->w);
    out->partial =
        gn__mul_size(pieces, 1 + outputs * width, &partials) ? gn__aligned(partials, sizeof(double)) : NULL;
    out->scratch = gn__aligned(out->scratch_size * gn_context_threads(ctx), sizeof *out->scratch);
    if (!out->mean || !out->w || !out->partial || !out->scratch)
        return gn__no_memory(err, (out->scratch_size + pieces * outputs * width) * sizeof(double));
    if (p->mean != NULL) memcpy(out->mean, p->mean, p->dim * sizeof *out->mean);
    return GN_OK;
}

void gn__pass_free(gn__pass *f)
{
    free(f->mean);
    free(f->w);
    free(f->partial);
    free(f->scratch);
}
