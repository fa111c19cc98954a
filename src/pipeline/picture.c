/* The picture of one space: principal components, densities of the groups, overlaps, drawn points. */
#include "pipeline/pipeline.h"

#include <math.h>

enum {
    COMPONENTS = 50,    /* reported explained variance */
    POINTS = 1000,      /* drawn, a set */
    TEXT_SHOWN = 280,   /* code points of a text on hover */
    MIN_PLANE_ROWS = 10 /* below that a two-dimensional density says nothing */
};

/* One coordinate (or the first two) of the chosen rows of a set, as the density estimators take it. */
typedef struct sample {
    double *value;   /* [rows] or [2 × rows] */
    uint32_t *group; /* [rows] or NULL */
    size_t rows;
} sample;

static void sample_free(sample *s)
{
    free(s->value);
    free(s->group);
    *s = (sample){0};
}

/* Rows of `set` with the label (-1: all), columns [0, dims) of `plane` (rows × 2), or `margin` when given. */
static gn_status sample_make(const gn_dataset *set, int label, const float *plane, unsigned dims,
                             const double *margin, sample *out, gn_error *err)
{
    sample s = {.value = gn__calloc(set->rows, dims * sizeof(double))};
    if (set->group != NULL) s.group = gn__calloc(set->rows, sizeof *s.group);
    if (s.value == NULL || (set->group != NULL && s.group == NULL)) {
        sample_free(&s);
        return gn__no_memory(err, set->rows * sizeof(double));
    }
    for (size_t i = 0; i < set->rows; i++) {
        if (label >= 0 && set->label[i] != label) continue;
        if (margin != NULL) {
            if (isnan(margin[i])) continue;
            s.value[s.rows] = margin[i];
        } else {
            for (unsigned k = 0; k < dims; k++) s.value[s.rows * dims + k] = plane[i * 2 + k];
        }
        if (s.group != NULL) s.group[s.rows] = set->group[i];
        s.rows++;
    }
    *out = s;
    return GN_OK;
}

static void widen(const double *x, size_t n, size_t stride, double *low, double *high)
{
    for (size_t i = 0; i < n; i++) {
        if (x[i * stride] < *low) *low = x[i * stride];
        if (x[i * stride] > *high) *high = x[i * stride];
    }
}

/* Range of both samples with a margin on either side, so that the tails of the densities fit. */
static void common_range(const sample *a, const sample *b, size_t dims, size_t k, double *low, double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    widen(a->value + k, a->rows, dims, low, high);
    widen(b->value + k, b->rows, dims, low, high);
    if (!(*high > *low)) {
        double centre = *high == *low ? *low : 0;
        *low = centre - 1;
        *high = centre + 1;
    }
    double space = 0.1 * (*high - *low);
    *low -= space;
    *high += space;
}

static gn_status overlap_of(gn_context *ctx, const sample *a, const sample *b, unsigned dims,
                            gn_bandwidth bandwidth, const char *purpose, gn_overlap *out, gn_error *err)
{
    gn_overlap_options o = {
        .bandwidth = bandwidth, .group_a = a->group, .group_b = b->group, .purpose = gn__purpose(purpose)};
    return dims == 1 ? gn_overlap1(ctx, a->value, a->rows, b->value, b->rows, &o, out, err)
                     : gn_overlap2(ctx, a->value, a->rows, b->value, b->rows, &o, out, err);
}

static gn_status density_line(gn_context *ctx, const sample *s, gn_bandwidth rule, double low, double high,
                              double **out, double *h, gn_error *err)
{
    *out = gn__calloc(GN_GRID1, sizeof **out);
    if (*out == NULL) return gn__no_memory(err, GN_GRID1 * sizeof **out);
    GN__TRY(gn_kde_bandwidth(s->value, s->rows, rule, h, err));
    return gn_kde1_grid(ctx, s->value, s->rows, *h, low, high, GN_GRID1, *out, err);
}

static gn_status density_plane(gn_context *ctx, const sample *s, const gn_picture *p, gn_density *d,
                               gn_error *err)
{
    double *axis = gn__calloc(s->rows, sizeof *axis);
    d->plane = gn__calloc((size_t)GN_GRID2 * GN_GRID2, sizeof *d->plane);
    gn_status status = axis == NULL || d->plane == NULL ? gn__no_memory(err, s->rows * sizeof *axis) : GN_OK;
    for (unsigned k = 0; k < 2 && status == GN_OK; k++) {
        for (size_t i = 0; i < s->rows; i++) axis[i] = s->value[2 * i + k];
        status = gn_kde_bandwidth(axis, s->rows, GN_BANDWIDTH_SILVERMAN, &d->bandwidth2[k], err);
    }
    free(axis);
    if (status != GN_OK) return status;
    return gn_kde2_grid(ctx, s->value, s->rows, d->bandwidth2, p->low2, p->high2, GN_GRID2, GN_GRID2,
                        d->plane, err);
}

/* Density of one group on the common grids; margin NULL: no probe. */
static gn_status density_make(gn_context *ctx, const gn_dataset *set, bool test, int label,
                              const float *plane, const double *margin, gn_bandwidth rule,
                              const gn_picture *p, gn_density *d, gn_error *err)
{
    sample line = {0}, both = {0}, probe = {0};
    double h_probe;
    gn_status status;
    *d = (gn_density){.test = test, .label = label};
    GN__TRY_GOTO(sample_make(set, label, plane, 1, NULL, &line, err), done);
    d->rows = line.rows;
    if (line.rows < 2) goto done;
    GN__TRY_GOTO(density_line(ctx, &line, rule, p->low1, p->high1, &d->pc1, &d->bandwidth1, err), done);
    if (line.rows >= MIN_PLANE_ROWS) {
        GN__TRY_GOTO(sample_make(set, label, plane, 2, NULL, &both, err), done);
        GN__TRY_GOTO(density_plane(ctx, &both, p, d, err), done);
    }
    if (margin != NULL) {
        GN__TRY_GOTO(sample_make(set, label, plane, 1, margin, &probe, err), done);
        if (probe.rows >= 2)
            GN__TRY_GOTO(
                density_line(ctx, &probe, rule, p->low_probe, p->high_probe, &d->probe, &h_probe, err), done);
    }
done:
    sample_free(&line);
    sample_free(&both);
    sample_free(&probe);
    return status;
}

static gn_status densities_make(gn_context *ctx, const gn__space *s, const gn_check_options *options,
                                const float *plane, const double *const margin[2], gn_picture *p,
                                gn_error *err)
{
    const gn_dataset *set[2] = {s->train, s->test};
    const float *xy[2] = {plane, plane + 2 * s->train->rows};
    size_t most = 2 + 2 * (size_t)s->classes;
    p->density = gn__calloc(most, sizeof *p->density);
    if (p->density == NULL) return gn__no_memory(err, most * sizeof *p->density);
    for (int label = -1; label < s->classes; label++) {
        for (int t = 0; t < 2; t++) {
            if (label >= 0 && set[t]->label == NULL) continue;
            gn_density *d = &p->density[p->densities++];
            GN__TRY(
                density_make(ctx, set[t], t == 1, label, xy[t], margin[t], options->bandwidth, p, d, err));
        }
    }
    return GN_OK;
}

char *gn__shorten(const char *text, size_t length, size_t max)
{
    size_t n = gn__utf8_prefix(text, length, max);
    if (n == length) return gn__strndup(text, length);
    gn__buf b = {0};
    gn__buf_append(&b, text, gn__utf8_prefix(text, length, max - 1));
    gn__buf_puts(&b, "…");
    if (b.failed) gn__buf_free(&b);
    return b.data;
}

/* At most POINTS random rows of each set, in row order. */
static gn_status points_make(gn_context *ctx, const gn__space *s, bool hide_texts, const float *plane,
                             gn_picture *p, gn_error *err)
{
    const gn_dataset *set[2] = {s->train, s->test};
    p->point = gn__calloc(2 * (size_t)POINTS, sizeof *p->point);
    if (p->point == NULL) return gn__no_memory(err, 2 * POINTS * sizeof *p->point);
    for (int t = 0; t < 2; t++) {
        const gn_dataset *d = set[t];
        gn__rng r = gn__rng_make(gn_context_seed(ctx), gn__purpose("pipeline/points"), (uint64_t)t);
        size_t wanted = d->rows < POINTS ? d->rows : (size_t)POINTS;
        /* selection sampling (Knuth, TAOCP 2, algorithm S): uniform, and keeps the order */
        for (size_t i = 0; i < d->rows && wanted > 0; i++) {
            if (gn__rng_double(&r) * (double)(d->rows - i) >= (double)wanted) continue;
            wanted--;
            gn_point *q = &p->point[p->points++];
            const float *xy = plane + 2 * (i + (t == 1 ? s->train->rows : 0));
            *q = (gn_point){.x = xy[0], .y = xy[1], .label = d->label ? d->label[i] : -1, .test = t == 1};
            if (hide_texts || d->text == NULL) continue;
            q->text = gn__shorten(d->text[i], d->length[i], TEXT_SHOWN);
            if (q->text == NULL) return gn__no_memory(err, TEXT_SHOWN);
        }
    }
    return GN_OK;
}

gn_status gn__project_to_plane(gn_context *ctx, const gn_pca *pca, const gn_matrix *x, gn_matrix *out,
                               gn_error *err)
{
    gn_pca two = *pca;
    gn_matrix projected = {0};
    if (two.components > 2) two.components = 2;
    GN__TRY(gn_pca_project(ctx, &two, x, &projected, err));
    gn_status status = gn_matrix_create(x->rows, 2, out, err);
    for (size_t i = 0; status == GN_OK && i < x->rows; i++)
        for (size_t k = 0; k < projected.cols; k++)
            out->data[2 * i + k] = projected.data[i * projected.cols + k];
    gn_matrix_free(&projected);
    return status;
}

static gn_status components_fit(gn_context *ctx, const gn__space *s, gn_picture *p, gn_matrix *plane,
                                gn_error *err)
{
    size_t n = s->pooled->rows;
    gn_pca pca = {0};
    gn_status status;
    double *weight = gn__calloc(n, sizeof *weight);
    if (weight == NULL) return gn__no_memory(err, n * sizeof *weight);
    for (size_t i = 0; i < n; i++)
        weight[i] = 0.5 / (double)(i < s->train->rows ? s->train->rows : s->test->rows);
    GN__TRY_GOTO(gn_pca_fit(ctx, s->pooled, weight, COMPONENTS, &pca, err), done);
    p->explained = gn__calloc(pca.components, sizeof *p->explained);
    if (p->explained == NULL) {
        status = gn__no_memory(err, pca.components * sizeof *p->explained);
        goto done;
    }
    p->components = pca.components;
    for (size_t k = 0; k < pca.components; k++)
        p->explained[k] = pca.total_variance > 0 ? pca.variance[k] / pca.total_variance : 0;
    status = gn__project_to_plane(ctx, &pca, s->pooled, plane, err);
done:
    gn_pca_free(&pca);
    free(weight);
    return status;
}

gn_status gn__picture_make(gn_context *ctx, const gn__space *s, const gn_check_options *options, bool full,
                           const double *train_margin, const double *test_margin, gn_picture *p,
                           gn_error *err)
{
    gn_matrix plane = {0};
    sample line[2] = {0}, both[2] = {0}, probe[2] = {0};
    const gn_dataset *set[2] = {s->train, s->test};
    const double *margin[2] = {train_margin, test_margin};
    bool has_probe = train_margin != NULL && test_margin != NULL;
    if (!has_probe) margin[0] = margin[1] = NULL;
    gn_status status;
    *p = (gn_picture){.probe = {.overlap = {NAN, NAN, NAN}, .yardstick = {NAN, NAN, NAN}}};
    GN__TRY_GOTO(components_fit(ctx, s, p, &plane, err), done);
    for (int t = 0; t < 2; t++) {
        const float *xy = plane.data + (t == 1 ? 2 * s->train->rows : 0);
        GN__TRY_GOTO(sample_make(set[t], -1, xy, 1, NULL, &line[t], err), done);
        GN__TRY_GOTO(sample_make(set[t], -1, xy, 2, NULL, &both[t], err), done);
        if (has_probe) GN__TRY_GOTO(sample_make(set[t], -1, xy, 1, margin[t], &probe[t], err), done);
    }
    has_probe = has_probe && probe[0].rows >= 2 && probe[1].rows >= 2;
    common_range(&line[0], &line[1], 1, 0, &p->low1, &p->high1);
    for (size_t k = 0; k < 2; k++) common_range(&both[0], &both[1], 2, k, &p->low2[k], &p->high2[k]);
    GN__TRY_GOTO(overlap_of(ctx, &line[0], &line[1], 1, options->bandwidth, "overlap/pc1", &p->pc1, err),
                 done);
    GN__TRY_GOTO(
        overlap_of(ctx, &both[0], &both[1], 2, GN_BANDWIDTH_SILVERMAN, "overlap/plane", &p->plane, err),
        done);
    if (has_probe) {
        common_range(&probe[0], &probe[1], 1, 0, &p->low_probe, &p->high_probe);
        GN__TRY_GOTO(
            overlap_of(ctx, &probe[0], &probe[1], 1, options->bandwidth, "overlap/probe", &p->probe, err),
            done);
    } else {
        margin[0] = margin[1] = NULL;
    }
    if (full) {
        GN__TRY_GOTO(densities_make(ctx, s, options, plane.data, margin, p, err), done);
        GN__TRY_GOTO(points_make(ctx, s, options->hide_texts, plane.data, p, err), done);
    }
done:
    for (int t = 0; t < 2; t++) {
        sample_free(&line[t]);
        sample_free(&both[t]);
        sample_free(&probe[t]);
    }
    gn_matrix_free(&plane);
    return status;
}
