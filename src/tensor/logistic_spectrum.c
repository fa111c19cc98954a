/* The metric for more than two classes. The blocks of the classes have much of their shape in common, but not
 * their sizes: a rare class's is thousands of times smaller than a frequent one's, and there the penalty is
 * what counts. So the common shape gives the axes, its eigenvectors about its own middle, and along each axis
 * each class has its own curvature, sum_i q_i (1 − q_i) (v · z_i)² over the sample, plus the penalty. */
#include "tensor/logistic_parts.h"

#include <lapacke.h>
#include <math.h>

enum { PIECES = 8, CHUNK = 128 };
static const double least = 1e-7; /* of the largest curvature */

typedef struct spectrum {
    const gn__logistic_problem *p;
    const gn__metric *m;
    const float *w; /* [outputs × width] */
    size_t sampled, grain;
    float *curvature; /* [pieces × outputs × width] */
    float *scratch; /* [threads × scratch_size] rows, turned [CHUNK × dim] each; logits [CHUNK × outputs] */
    size_t scratch_size;
} spectrum;

/* logit becomes weight q (1 − q). */
static void weigh(float *logit, size_t outputs, double weight)
{
    float top = -INFINITY;
    double total = 0;
    for (size_t c = 0; c < outputs; c++) top = fmaxf(top, logit[c]);
    for (size_t c = 0; c < outputs; c++) total += (double)(logit[c] = expf(logit[c] - top));
    for (size_t c = 0; c < outputs; c++) {
        double q = (double)logit[c] / total;
        logit[c] = (float)(weight * q * (1 - q));
    }
}

GN__CLONES static void spectrum_square(float *x, size_t n)
{
    for (size_t j = 0; j < n; j++) x[j] *= x[j];
}

static void spectrum_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    spectrum *s = arg;
    const gn__logistic_problem *p = s->p;
    const gn__metric *m = s->m;
    size_t dim = p->dim, width = dim + 1, outputs = m->outputs;
    float *rows = s->scratch + worker * s->scratch_size, *turned = rows + CHUNK * dim;
    float *logit = turned + CHUNK * dim, *curvature = s->curvature + begin / s->grain * outputs * width;
    memset(curvature, 0, outputs * width * sizeof *curvature);
    for (size_t at = begin; at < end; at += CHUNK) {
        size_t n = end - at < CHUNK ? end - at : CHUNK;
        for (size_t i = 0; i < n; i++) {
            float *z = rows + i * dim;
            gn__metric_input(p, gn__metric_row(p, at + i, s->sampled), z);
            for (size_t j = 0; j < dim; j++) z[j] -= m->middle[j];
        }
        gn__product(n, outputs, dim, 1, (gn__factor){rows, dim, false}, (gn__factor){s->w, width, true}, 0,
                    logit, outputs);
        for (size_t i = 0; i < n; i++) {
            size_t k = gn__metric_row(p, at + i, s->sampled);
            for (size_t c = 0; c < outputs; c++) logit[i * outputs + c] += s->w[c * width + dim];
            weigh(logit + i * outputs, outputs, p->sample_weight ? p->sample_weight[k] : 1);
            for (size_t c = 0; c < outputs; c++) curvature[c * width + dim] += logit[i * outputs + c];
        }
        gn__product(n, dim, dim, 1, (gn__factor){rows, dim, false}, (gn__factor){m->turn, dim, true}, 0,
                    turned, dim);
        spectrum_square(turned, n * dim);
        gn__product(outputs, dim, n, 1, (gn__factor){logit, outputs, true}, (gn__factor){turned, dim, false},
                    1, curvature, width);
    }
}

/* The common shape's eigenvectors into turn; false where LAPACK finds none. */
static bool find_axes(const double *gram, size_t width, gn__metric *out)
{
    size_t dim = width - 1;
    double last = gram[dim * width + dim];
    float *value = gn__calloc(dim, sizeof *value);
    for (size_t j = 0; j < dim; j++)
        out->middle[j] = last > 0 ? (float)(gram[dim * width + j] / last) : 0; /* its lower triangle */
    for (size_t i = 0; i < dim; i++)
        for (size_t j = 0; j <= i; j++) {
            double shared = last > 0 ? gram[dim * width + i] * gram[dim * width + j] / last : 0;
            out->turn[i * dim + j] = (float)(gram[i * width + j] - shared);
        }
    /* Row-major lower is column-major upper; a column-major eigenvector is a row of turn. */
    bool found = value != NULL &&
                 LAPACKE_ssyevd(LAPACK_COL_MAJOR, 'V', 'U', (int)dim, out->turn, (int)dim, value) == 0;
    free(value);
    return found;
}

static void set_stretches(const spectrum *s, size_t pieces, double total, gn__metric *out)
{
    size_t width = out->width, size = out->outputs * width;
    double most = 0, lambda = s->p->lambda;
    for (size_t k = 1; k < pieces; k++)
        for (size_t j = 0; j < size; j++) s->curvature[j] += s->curvature[k * size + j];
    for (size_t j = 0; j < size; j++) most = fmax(most, (double)s->curvature[j] / total);
    for (size_t c = 0; c < out->outputs; c++)
        for (size_t j = 0; j < width; j++) {
            double h = (double)s->curvature[c * width + j] / total + (j + 1 < width ? lambda : 0);
            out->stretch[c * width + j] = (float)sqrt(fmax(h, fmax(least * most, 1e-20)));
        }
}

gn_status gn__metric_spectrum(gn_context *ctx, const gn__logistic_problem *p, const double *w, size_t sampled,
                              double total, const double *gram, gn__metric *out, gn_error *err)
{
    size_t dim = p->dim, width = dim + 1, outputs = out->outputs, threads = gn_context_threads(ctx);
    spectrum s = {.p = p, .m = out, .sampled = sampled, .grain = (sampled + PIECES - 1) / PIECES};
    size_t pieces = (sampled + s.grain - 1) / s.grain;
    gn_status status = GN_OK;
    float *at = gn__calloc(outputs * width, sizeof *at);
    s.scratch_size = (CHUNK * (2 * dim + outputs) + 15) / 16 * 16;
    s.w = at;
    s.curvature = gn__aligned(pieces * outputs, width * sizeof *s.curvature);
    s.scratch = gn__aligned(threads * s.scratch_size, sizeof *s.scratch);
    out->turn = gn__aligned(dim * dim, sizeof *out->turn);
    out->middle = gn__calloc(dim, sizeof *out->middle);
    out->stretch = gn__aligned(outputs * width, sizeof *out->stretch);
    if (!at || !s.curvature || !s.scratch || !out->turn || !out->middle || !out->stretch) {
        status = gn__no_memory(err, (pieces * outputs * width + dim * dim) * sizeof(float));
        goto done;
    }
    if (!find_axes(gram, width, out)) {
        free(out->turn);
        out->turn = NULL;
        goto done;
    }
    /* Rows come about the middle, so the intercepts are the margins there. */
    for (size_t c = 0; c < outputs; c++) {
        double last = w[c * width + dim];
        for (size_t j = 0; j < dim; j++) {
            at[c * width + j] = (float)w[c * width + j];
            last += w[c * width + j] * (double)out->middle[j];
        }
        at[c * width + dim] = (float)last;
    }
    GN__TRY_GOTO(gn__parallel_for(ctx, sampled, s.grain, spectrum_piece, &s, err), done);
    set_stretches(&s, pieces, total, out);
done:
    free(at);
    free(s.curvature);
    free(s.scratch);
    return status;
}
