/* One evaluation of the logistic objective is one pass over the rows. Two classes: a few rows at a time are
 * multiplied by W, and again by the residuals while they are in the nearest cache; so they are for all fits
 * that share the pass, as a pass waits for memory. More: a block is centred into a buffer and goes through
 * two matrix products. Products are float32, sums over blocks double. */
#include "tensor/logistic_parts.h"

#include <cblas.h>
#include <math.h>

enum { BLOCK = 128, NEAR = GN__LANES, MAX_PIECES = 64, LINE = 64 / sizeof(float) };

/* next: a row that will be wanted soon. */
static void fetch(const float *next, size_t dim)
{
    for (size_t j = 0; j < dim; j += LINE) __builtin_prefetch(next + j, 0, 2);
}

GN__CLONES static void logistic_centre(const float *x, const float *mean, size_t dim, float *out)
{
    for (size_t j = 0; j < dim; j++) out[j] = x[j] - mean[j];
}

GN__CLONES static void logistic_add_to(double *sum, const float *x, double factor, size_t n)
{
    for (size_t j = 0; j < n; j++) sum[j] += factor * (double)x[j];
}

GN__CLONES static void logistic_add_centred(float *sum, const float *x, const float *mean, float factor,
                                            size_t n)
{
    for (size_t j = 0; j < n; j++) sum[j] += factor * (x[j] - mean[j]);
}

static const float *row_at(const gn__logistic_problem *p, size_t i)
{
    return p->x + (p->row ? p->row[i] : i) * p->ld;
}

/* The row that is wanted when those beside i have been. */
static const float *row_after(const gn__logistic_problem *p, size_t i)
{
    return row_at(p, i + NEAR < p->n ? i + NEAR : i);
}

static double weight_at(const gn__logistic_problem *p, size_t i)
{
    return p->sample_weight ? p->sample_weight[i] : 1;
}

static size_t cell_of(const gn__pass *f, size_t i)
{
    return (f->fold ? f->fold[i] : 0) * (size_t)f->p->classes + (size_t)f->p->y[i];
}

/* The sums by fold and class, while the rows are in the nearest cache. */
static void sum_rows(const gn__pass *f, size_t at, size_t count, float *sums)
{
    const gn__logistic_problem *p = f->p;
    for (size_t i = at; sums != NULL && i < at + count; i++)
        logistic_add_centred(sums + cell_of(f, i) * p->dim, row_at(p, i), f->mean,
                             (float)(weight_at(p, i) / p->scale), p->dim);
}

/* Two classes; part: [dim]. */
static void binomial_block(const gn__pass *f, size_t at, size_t m, float *part, double *loss, float *sums)
{
    const gn__logistic_problem *p = f->p;
    double *gradient = loss + 1, inverse = 1 / f->total[0];
    float margin[NEAR], y[NEAR], weight[NEAR];
    memset(part, 0, p->dim * sizeof *part);
    for (size_t end = at + m; at < end; at += NEAR) {
        const float *row[NEAR], *next[NEAR];
        size_t rows = end - at < NEAR ? end - at : NEAR;
        for (size_t i = 0; i < NEAR; i++) {
            size_t r = i < rows ? at + i : at;
            row[i] = row_at(p, r);
            next[i] = row_after(p, r);
            y[i] = (float)p->y[r];
            weight[i] = i < rows ? (float)(weight_at(p, r) * inverse) : 0;
            margin[i] = 0;
        }
        f->ops->margins(row, rows, next, f->mean, f->w, p->dim, margin);
        for (size_t i = 0; i < NEAR; i++) margin[i] += f->w[p->dim];
        *loss += f->ops->binomial_loss(margin, y, weight, NEAR);
        for (size_t i = 0; i < rows; i++) gradient[p->dim] += (double)margin[i];
        f->ops->add_rows(row, rows, f->mean, margin, p->dim, part);
        sum_rows(f, at, rows, sums);
    }
    logistic_add_to(gradient, part, 1 / p->scale, p->dim);
}

/* Of fit k: its intercept is added, and the rows that it does not see get no weight. */
GN__CLONES static void logistic_prepare(float *margin, float intercept, const float *weight, float inverse,
                                        const uint32_t *unseen_by, uint32_t k, float *here)
{
    for (size_t i = 0; i < NEAR; i++) {
        margin[i] += intercept;
        here[i] = unseen_by[i] == k ? 0 : weight[i] * inverse;
    }
}

GN__CLONES static void logistic_add_lanes(float *sum, const float *x)
{
    for (size_t i = 0; i < NEAR; i++) sum[i] += x[i];
}

/* Two classes, several fits; scratch: rows [NEAR × dim], gradients [running × dim], margins [running × NEAR],
 * their sums [running × NEAR]. */
static void folded_block(const gn__pass *f, size_t at, size_t m, float *scratch, double *loss, float *sums)
{
    const gn__logistic_problem *p = f->p;
    size_t dim = p->dim, fits = f->running, stride = 1 + f->size;
    float *rows = scratch, *part = rows + NEAR * dim, *margin = part + fits * dim,
          *lanes = margin + fits * NEAR;
    const float *intercept = f->w + fits * dim;
    memset(part, 0, fits * dim * sizeof *part);
    memset(lanes, 0, fits * NEAR * sizeof *lanes);
    for (size_t end = at + m; at < end; at += NEAR) {
        size_t count = end - at < NEAR ? end - at : NEAR;
        float y[NEAR] = {0}, weight[NEAR] = {0}, here[NEAR];
        uint32_t unseen_by[NEAR] = {0};
        for (size_t i = 0; i < count; i++) {
            y[i] = (float)p->y[at + i];
            weight[i] = (float)weight_at(p, at + i);
            unseen_by[i] = f->place[f->fold[at + i]];
            fetch(row_after(p, at + i), dim);
            logistic_centre(row_at(p, at + i), f->mean, dim, rows + i * dim);
        }
        memset(margin, 0, fits * NEAR * sizeof *margin);
        f->ops->margins_of_fits(rows, count, dim, f->w, fits, margin);
        for (size_t i = 0; i < count; i++)
            if (unseen_by[i] < fits)
                f->held[at + i] = margin[unseen_by[i] * NEAR + i] + intercept[unseen_by[i]];
        for (size_t k = 0; k < fits; k++) {
            float *own = margin + k * NEAR, inverse = (float)(1 / f->total[f->which[k]]);
            logistic_prepare(own, intercept[k], weight, inverse, unseen_by, (uint32_t)k, here);
            loss[k * stride] += f->ops->binomial_loss(own, y, here, NEAR);
            logistic_add_lanes(lanes + k * NEAR, own);
        }
        f->ops->add_rows_of_fits(rows, count, dim, margin, fits, part);
        sum_rows(f, at, count, sums);
    }
    for (size_t k = 0; k < fits; k++) {
        double *gradient = loss + k * stride + 1;
        for (size_t i = 0; i < NEAR; i++) gradient[dim] += (double)lanes[k * NEAR + i];
        logistic_add_to(gradient, part + k * dim, 1 / p->scale, dim);
    }
}

/* More classes; scratch: rows [BLOCK × dim], logits [outputs × BLOCK], gradient [outputs × dim]. */
static void multinomial_block(const gn__pass *f, size_t at, size_t m, float *scratch, double *loss,
                              float *sums)
{
    const gn__logistic_problem *p = f->p;
    size_t dim = p->dim, outputs = f->outputs;
    double *gradient = loss + 1, inverse = 1 / f->total[0];
    float *rows = scratch, *logit = rows + BLOCK * dim, *part = logit + outputs * BLOCK, weight[BLOCK];
    int y[BLOCK];
    size_t filled = (m + GN__LANES - 1) / GN__LANES * GN__LANES;
    for (size_t i = 0; i < filled; i++) {
        size_t r = i < m ? at + i : at;
        y[i] = p->y[r];
        weight[i] = i < m ? (float)(weight_at(p, r) * inverse) : 0;
        fetch(row_after(p, r), dim);
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
    sum_rows(f, at, m, sums);
}

static void pass_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    gn__pass *f = arg;
    const gn__logistic_problem *p = f->p;
    size_t dim = p->dim, piece = begin / f->grain, size = f->running * (1 + f->size);
    size_t cells = f->fits * (size_t)p->classes;
    double *loss = f->partial + piece * size;
    float *sums = f->sums ? f->sums + piece * cells * dim : NULL;
    float *scratch = f->scratch + worker * f->scratch_size;
    memset(loss, 0, size * sizeof *loss);
    if (sums != NULL) memset(sums, 0, cells * dim * sizeof *sums);
    for (size_t at = begin; at < end; at += BLOCK) {
        size_t m = end - at < BLOCK ? end - at : BLOCK;
        if (f->fold != NULL)
            folded_block(f, at, m, scratch, loss, sums);
        else if (f->outputs == 1)
            binomial_block(f, at, m, scratch, loss, sums);
        else
            multinomial_block(f, at, m, scratch, loss, sums);
    }
}

static size_t pieces_of(const gn__pass *f)
{
    return (f->p->n + f->grain - 1) / f->grain;
}

gn_status gn__pass_run(gn__pass *f, const size_t *which, size_t running, const double *w, double *g,
                       double *value, gn_error *err)
{
    const gn__logistic_problem *p = f->p;
    size_t dim = p->dim, width = f->width, size = f->size, pieces = pieces_of(f), all = running * f->outputs;
    double factor = 1 / p->scale;
    f->which = which;
    f->running = running;
    for (size_t k = 0; k < f->fits; k++) f->place[k] = UINT32_MAX;
    for (size_t k = 0; k < running; k++) f->place[which[k]] = (uint32_t)k;
    for (size_t k = 0; k < running; k++)
        for (size_t c = 0; c < f->outputs; c++) {
            const double *from = w + which[k] * size + c * width;
            float *to = f->w + (k * f->outputs + c) * dim;
            for (size_t j = 0; j < dim; j++) to[j] = (float)(from[j] * factor);
            f->w[all * dim + k * f->outputs + c] = (float)from[dim];
        }
    GN__TRY(gn__parallel_for(f->ctx, p->n, f->grain, pass_piece, f, err));
    for (size_t k = 0; k < running; k++) {
        double *own = g + which[k] * size, *loss = value + which[k], sum = 0;
        memset(own, 0, size * sizeof *own);
        *loss = 0;
        for (size_t i = 0; i < pieces; i++) {
            const double *part = f->partial + (i * running + k) * (1 + size);
            *loss += part[0];
            for (size_t j = 0; j < size; j++) own[j] += part[1 + j];
        }
        for (size_t j = 0; j < size; j++) sum += own[j] * own[j];
        if (!isfinite(*loss) || !isfinite(sum))
            return gn__fail(err, GN_NUMERIC,
                            "logistic regression left the range of numbers (%zu rows, %zu columns): are the "
                            "features finite?",
                            p->n, dim);
    }
    return GN_OK;
}

double gn__pass_share(const gn__pass *f, size_t fit, int c)
{
    double sum = 0;
    for (size_t k = 0; k < f->fits; k++)
        if (f->fold == NULL || k != fit) sum += f->mass[k * (size_t)f->p->classes + (size_t)c];
    return sum / f->total[fit];
}

static void add_sums(const gn__pass *f, size_t cell, double *to)
{
    size_t dim = f->p->dim, cells = f->fits * (size_t)f->p->classes, pieces = pieces_of(f);
    for (size_t i = 0; i < pieces; i++)
        for (size_t j = 0; j < dim; j++) to[j] += (double)f->sums[(i * cells + cell) * dim + j];
}

/* With W = 0 a row's probabilities are the shares, so the gradient of class c is share(c) · (sum of all rows)
 * − (sum of the rows of c), over the weight. */
static double norm_at_zero(const gn__pass *f, size_t fit, double *all, double *own)
{
    size_t dim = f->p->dim, classes = (size_t)f->p->classes;
    double square = 0;
    memset(all, 0, dim * sizeof *all);
    for (size_t k = 0; k < f->fits * classes; k++)
        if (f->fold == NULL || k / classes != fit) add_sums(f, k, all);
    for (size_t c = f->outputs == 1 ? 1 : 0; c < classes; c++) {
        double share = gn__pass_share(f, fit, (int)c);
        memset(own, 0, dim * sizeof *own);
        for (size_t k = 0; k < f->fits; k++)
            if (f->fold == NULL || k != fit) add_sums(f, k * classes + c, own);
        for (size_t j = 0; j < dim; j++) {
            double g = (share * all[j] - own[j]) / f->total[fit];
            square += g * g;
        }
    }
    return sqrt(square);
}

void gn__pass_norms(gn__pass *f, double *norm)
{
    double *all = f->partial, *own = all + f->p->dim; /* between runs nobody needs it */
    for (size_t k = 0; k < f->fits; k++) norm[k] = norm_at_zero(f, k, all, own);
    free(f->sums);
    f->sums = NULL;
}

/* mass and total; two classes must have weight in every fit. */
static gn_status weigh_classes(gn__pass *f, gn_error *err)
{
    const gn__logistic_problem *p = f->p;
    for (size_t i = 0; i < p->n; i++) {
        double s = weight_at(p, i);
        if (p->y[i] < 0 || p->y[i] >= p->classes || !(s >= 0) || !isfinite(s))
            return gn__fail(err, GN_INVALID_ARGUMENT,
                            "row %zu of a logistic regression has class %d of %d and weight %g", i, p->y[i],
                            p->classes, s);
        f->mass[cell_of(f, i)] += s;
    }
    for (size_t k = 0; k < f->fits; k++) {
        size_t with_weight = 0;
        for (size_t c = 0; c < f->fits * (size_t)p->classes; c++)
            if (f->fold == NULL || c / (size_t)p->classes != k) f->total[k] += f->mass[c];
        for (int c = 0; c < p->classes; c++) with_weight += gn__pass_share(f, k, c) > 0;
        if (with_weight < 2)
            return gn__fail(err, GN_DATA, "logistic regression needs two classes; all %zu rows are of one",
                            p->n);
    }
    return GN_OK;
}

gn_status gn__pass_make(gn_context *ctx, const gn__logistic_problem *p, const uint32_t *fold, size_t fits,
                        gn__pass *out, gn_error *err)
{
    size_t outputs = p->classes == 2 ? 1 : (size_t)p->classes, width = p->dim + 1, size, partials, sums;
    size_t blocks = (p->n + BLOCK - 1) / BLOCK, per_piece = (blocks + MAX_PIECES - 1) / MAX_PIECES;
    size_t scratch = fold != NULL   ? NEAR * p->dim + fits * (p->dim + 2 * NEAR)
                     : outputs == 1 ? p->dim
                                    : BLOCK * p->dim + outputs * (BLOCK + p->dim);
    *out = (gn__pass){.ctx = ctx,
                      .p = p,
                      .ops = gn__cpu_ops(),
                      .fold = fold,
                      .fits = fits,
                      .outputs = outputs,
                      .width = width,
                      .size = outputs * width,
                      .grain = per_piece * BLOCK,
                      .scratch_size = (scratch + 15) / 16 * 16};
    size_t pieces = pieces_of(out), classes = (size_t)p->classes;
    out->mass = gn__calloc(fits * classes, sizeof *out->mass);
    out->total = gn__calloc(fits, sizeof *out->total);
    out->place = gn__calloc(fits, sizeof *out->place);
    out->mean = gn__calloc(p->dim, sizeof *out->mean);
    out->w = gn__aligned(fits * outputs * width, sizeof *out->w);
    if (gn__mul_size(pieces, fits, &size) && gn__mul_size(size, 1 + outputs * width, &partials) &&
        gn__mul_size(size, classes * p->dim, &sums)) {
        out->partial = gn__aligned(partials < 2 * p->dim ? 2 * p->dim : partials, sizeof *out->partial);
        out->sums = gn__aligned(sums, sizeof *out->sums);
    }
    out->scratch = gn__aligned(out->scratch_size * gn_context_threads(ctx), sizeof *out->scratch);
    if (fold != NULL) out->held = gn__calloc(p->n, sizeof *out->held);
    if (!out->mass || !out->total || !out->place || !out->mean || !out->w || !out->partial || !out->sums ||
        !out->scratch || (fold != NULL && out->held == NULL))
        return gn__no_memory(err, (out->scratch_size + pieces * fits * classes * width) * sizeof(double));
    if (p->mean != NULL) memcpy(out->mean, p->mean, p->dim * sizeof *out->mean);
    return weigh_classes(out, err);
}

void gn__pass_free(gn__pass *f)
{
    free(f->mass);
    free(f->total);
    free(f->place);
    free(f->mean);
    free(f->w);
    free(f->partial);
    free(f->sums);
    free(f->held);
    free(f->scratch);
}
