/* The probe: labelled rows in, weights in the input's own units out. */
#include "verify/parts.h"

#include <cblas.h>
#include <math.h>

enum { GRAIN = 256 };

gn_status gn__require_finite(const gn_matrix *x, gn_error *err)
{
    for (size_t i = 0; i < x->rows; i++)
        for (size_t j = 0; j < x->cols; j++)
            if (!isfinite(x->data[i * x->cols + j]))
                return gn__fail(err, GN_DATA, "row %zu, column %zu of the embeddings is not finite", i + 1,
                                j + 1);
    return GN_OK;
}

static gn_status sample_alloc(gn__sample *s, size_t n, bool grouped, gn_error *err)
{
    s->row = gn__calloc(n, sizeof *s->row);
    s->y = gn__calloc(n, sizeof *s->y);
    s->group = grouped ? gn__calloc(n, sizeof *s->group) : NULL;
    if (s->row != NULL && s->y != NULL && (!grouped || s->group != NULL)) return GN_OK;
    gn__sample_free(s);
    return gn__no_memory(err, n * (sizeof *s->row + sizeof *s->y + sizeof *s->group));
}

gn_status gn__sample_make(const gn_matrix *x, const int *y, int classes, const uint32_t *group,
                          gn__sample *out, gn_error *err)
{
    *out = (gn__sample){.x = x, .classes = classes};
    if (x->rows >= UINT32_MAX)
        return gn__fail(err, GN_UNSUPPORTED, "%zu rows are more than a probe can be fitted on", x->rows);
    for (size_t i = 0; i < x->rows; i++)
        if (y[i] >= classes)
            return gn__fail(err, GN_INVALID_ARGUMENT, "the label %d of row %zu is not in 0 to %d", y[i],
                            i + 1, classes - 1);
    GN__TRY(gn__require_finite(x, err));
    GN__TRY(sample_alloc(out, x->rows, group != NULL, err));
    for (size_t i = 0; i < x->rows; i++) {
        if (y[i] < 0) continue;
        out->row[out->n] = (uint32_t)i;
        out->y[out->n] = y[i];
        if (group != NULL) out->group[out->n] = group[i];
        out->n++;
    }
    return GN_OK;
}

gn_status gn__sample_part(const gn__sample *s, const uint32_t *keep, uint32_t value, bool invert,
                          gn__sample *out, gn_error *err)
{
    *out = (gn__sample){.x = s->x, .classes = s->classes};
    GN__TRY(sample_alloc(out, s->n, s->group != NULL, err));
    for (size_t p = 0; p < s->n; p++) {
        if ((keep[p] == value) == invert) continue;
        out->row[out->n] = s->row[p];
        out->y[out->n] = s->y[p];
        if (s->group != NULL) out->group[out->n] = s->group[p];
        out->n++;
    }
    return GN_OK;
}

void gn__sample_free(gn__sample *s)
{
    free(s->row);
    free(s->y);
    free(s->group);
    s->row = NULL, s->y = NULL, s->group = NULL;
}

static size_t count_class(const gn__sample *s, int c)
{
    size_t n = 0;
    for (size_t p = 0; p < s->n; p++) n += s->y[p] == c;
    return n;
}

size_t gn__sample_classes(const gn__sample *s)
{
    size_t n = 0;
    for (int c = 0; c < s->classes; c++) n += count_class(s, c) > 0;
    return n;
}

int gn__sample_majority(const gn__sample *s)
{
    int best = 0;
    size_t most = 0;
    for (int c = 0; c < s->classes; c++) {
        size_t n = count_class(s, c);
        if (n > most) most = n, best = c;
    }
    return best;
}

void gn__probe_logits(const gn_probe *p, const float *x, float *logits)
{
    /* One dot product a row and class, not a matrix product, so that a row's bits never depend on the rows
     * beside it. */
    int dim = (int)p->dim;
    if (p->classes == 2 && isfinite(p->intercept[0]) && isfinite(p->intercept[1])) {
        logits[1] = cblas_sdot(dim, x, 1, p->weight + p->dim, 1) + p->intercept[1];
        logits[0] = -logits[1];
        return;
    }
    for (int c = 0; c < p->classes; c++)
        logits[c] = cblas_sdot(dim, x, 1, p->weight + (size_t)c * p->dim, 1) + p->intercept[c];
}

void gn__softmax(const float *logits, int classes, float *probability)
{
    double top = -INFINITY, sum = 0;
    for (int c = 0; c < classes; c++) top = fmax(top, (double)logits[c]);
    for (int c = 0; c < classes; c++) sum += exp((double)logits[c] - top);
    for (int c = 0; c < classes; c++) probability[c] = (float)(exp((double)logits[c] - top) / sum);
}

typedef struct prediction {
    const gn_probe *p;
    const gn_matrix *x;
    const uint32_t *row;
    float *logits;
} prediction;

static void predict_rows(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    const prediction *a = arg;
    size_t k = (size_t)a->p->classes;
    for (size_t i = begin; i < end; i++) {
        size_t r = a->row ? a->row[i] : i;
        gn__probe_logits(a->p, a->x->data + r * a->x->cols, a->logits + i * k);
    }
}

gn_status gn__probe_rows(gn_context *ctx, const gn_probe *p, const gn_matrix *x, const uint32_t *row,
                         size_t n, float *logits, gn_error *err)
{
    prediction a = {p, x, row, logits};
    return gn__parallel_for(ctx, n, GRAIN, predict_rows, &a, err);
}

gn_status gn_probe_predict(gn_context *ctx, const gn_probe *p, const gn_matrix *x, float *probability,
                           gn_error *err)
{
    if (x->cols != p->dim)
        return gn__fail(err, GN_INVALID_ARGUMENT,
                        "the probe was fitted on %zu columns, the embeddings have %zu", p->dim, x->cols);
    GN__TRY(gn__require_finite(x, err));
    GN__TRY(gn__probe_rows(ctx, p, x, NULL, x->rows, probability, err));
    size_t k = (size_t)p->classes;
    for (size_t i = 0; i < x->rows; i++) gn__softmax(probability + i * k, p->classes, probability + i * k);
    return GN_OK;
}

void gn_probe_free(gn_probe *p)
{
    if (p == NULL) return;
    free(p->weight);
    free(p->intercept);
    memset(p, 0, sizeof *p);
}

gn_status gn_probe_fit(gn_context *ctx, const gn_matrix *x, const int *y, int classes, const uint32_t *group,
                       const gn_probe_options *options, gn_probe *out, gn_error *err)
{
    gn__plan plan = {0};
    gn__job job = {.purpose = gn__purpose("verify/probe")};
    gn_status status;
    if (classes < 2)
        return gn__fail(err, GN_INVALID_ARGUMENT, "a probe needs at least two classes, found %d", classes);
    GN__TRY_GOTO(gn__plan_make(options, &plan, err), done);
    GN__TRY_GOTO(gn__sample_make(x, y, classes, group, &job.sample, err), done);
    if (gn__sample_classes(&job.sample) < 2) {
        status =
            gn__fail(err, GN_DATA, "a probe needs rows of at least two classes; %zu labelled rows hold %zu",
                     job.sample.n, gn__sample_classes(&job.sample));
        goto done;
    }
    GN__TRY_GOTO(gn__fit_jobs(ctx, &plan, &job, 1, NULL, err), done);
    *out = job.probe;
    job.probe = (gn_probe){0};
done:
    gn__job_free(&job);
    gn__plan_free(&plan);
    return status;
}
