/* Are the same texts labelled alike? Labels and sets are independent given the text if nothing but texts and
 * shares differ. A conditional randomisation test (Candès, Fan, Janson & Lv 2018) of the generalised
 * covariance (Shah & Peters 2020): labels are drawn again from P(label | text), the statistic is what is left
 * of labels times what is left of sets. Errors of the one model only matter where the other errs too (Niu,
 * Chakraborty, Dukes & Katsevich 2024), which is why both are fitted.
 *
 * Two stages. First, on other folds, logistic regressions of label and of set on the embedding: their scores
 * are shrunk, the more so the fewer rows there are. Second, on all rows, both are fitted again on those few
 * scores and their squares and products, almost without a penalty; that takes the shrinkage back. */
#include "detect/kind.h"
#include "tensor/logistic.h"
#include "tensor/statistics.h"

#include <cblas.h>

#include <stdio.h>

enum { MOST_ROWS = 10000, LEAST_OF_CLASS = 5, FOLDS = 5, SCORE_GRAIN = 256, DRAW_GRAIN = 8, FEATURES = 3 };
static const double strengths[] = {1, 0.1, 0.01};
enum { STRENGTHS = (int)(sizeof strengths / sizeof *strengths) };

typedef struct concept_work {
    gn_context *ctx;
    const gn__draws *d;
    int classes;   /* of those that occur often enough, renumbered */
    int *original; /* [classes] their numbers in the input */
    size_t n, dim; /* rows of those classes */
    float *x;      /* [n × dim] */
    int *y, *z;    /* [n] class; 0 train, 1 test */
    uint8_t *fold; /* [n]; some rows of every other fold choose the strength */
    float *mean;   /* [dim] */
    double scale;
    uint32_t *list; /* scratch of a fit */
    int *target;
    double *path, *best;
    size_t width;      /* scores a row: one a class (one for two classes), then the set's */
    double *score;     /* [n × width] held out */
    size_t columns;    /* of the second stage */
    float *second;     /* [n × columns] */
    double *p_label;   /* [n × classes] */
    double *p_set;     /* [n] of test */
    double *feature;   /* [n × classes × FEATURES] residual of the set times 1, label score, set score */
    double *statistic; /* [labellings × classes × FEATURES] */
    uint64_t seed, purpose;
} concept_work;

static void work_free(concept_work *w)
{
    void *const all[] = {w->original, w->x,      w->y,       w->z,        w->fold,  w->mean,
                         w->list,     w->target, w->path,    w->best,     w->score, w->second,
                         w->p_label,  w->p_set,  w->feature, w->statistic};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

/* Keeps the classes with enough rows in the two sets together. */
static gn_status collect(concept_work *w, int classes, gn_error *err)
{
    const gn__draws *d = w->d;
    size_t *count = gn__calloc((size_t)classes, sizeof *count);
    int *number = gn__calloc((size_t)classes, sizeof *number);
    w->original = gn__calloc((size_t)classes, sizeof *w->original);
    w->x = gn__calloc(d->n, w->dim * sizeof *w->x);
    w->y = gn__calloc(d->n, sizeof *w->y);
    w->z = gn__calloc(d->n, sizeof *w->z);
    w->fold = gn__calloc(d->n, sizeof *w->fold);
    w->list = gn__calloc(d->n, sizeof *w->list);
    w->target = gn__calloc(d->n, sizeof *w->target);
    w->mean = gn__calloc(w->dim, sizeof *w->mean);
    if (!count || !number || !w->original || !w->x || !w->y || !w->z || !w->fold || !w->list || !w->target ||
        !w->mean) {
        free(count);
        free(number);
        return gn__no_memory(err, d->n * w->dim * sizeof *w->x);
    }
    for (size_t i = 0; i < d->n; i++) count[d->y[i]]++;
    for (int k = 0; k < classes; k++) {
        number[k] = count[k] >= LEAST_OF_CLASS ? w->classes : -1;
        if (number[k] >= 0) w->original[w->classes++] = k;
    }
    /* Draws come in random order within the sets: dealing them out class by class makes the folds alike. */
    memset(count, 0, (size_t)classes * sizeof *count);
    for (size_t i = 0; i < d->n; i++) {
        if (number[d->y[i]] < 0) continue;
        memcpy(w->x + w->n * w->dim, d->x[i], w->dim * sizeof *w->x);
        w->y[w->n] = number[d->y[i]];
        w->z[w->n] = i >= d->n_train;
        w->fold[w->n++] = (uint8_t)(count[d->y[i]]++ % FOLDS);
    }
    free(count);
    free(number);
    return GN_OK;
}

static gn_status standardise(concept_work *w, gn_error *err)
{
    double *sum = gn__calloc(w->dim, sizeof *sum), square = 0;
    if (sum == NULL) return gn__no_memory(err, w->dim * sizeof *sum);
    for (size_t i = 0; i < w->n; i++)
        for (size_t j = 0; j < w->dim; j++) sum[j] += (double)w->x[i * w->dim + j];
    for (size_t j = 0; j < w->dim; j++) w->mean[j] = (float)(sum[j] / (double)w->n);
    for (size_t i = 0; i < w->n; i++)
        for (size_t j = 0; j < w->dim; j++) {
            double v = (double)(w->x[i * w->dim + j] - w->mean[j]);
            square += v * v;
        }
    free(sum);
    w->scale = sqrt(square / ((double)w->n * (double)w->dim));
    if (!(w->scale > 0)) w->scale = 1;
    return GN_OK;
}

/* (tr C)^2 / tr C^2 of the rows' covariance C; tr C^2 from products of distinct rows, without bias. */
static gn_status effective_dimension(const concept_work *w, double *out, gn_error *err)
{
    enum { MOST = 1000 };
    size_t n = w->n < MOST ? w->n : MOST;
    float *x = gn__calloc(n, w->dim * sizeof *x), *gram = gn__calloc(n, n * sizeof *gram);
    double trace = 0, square = 0;
    if (x == NULL || gram == NULL) {
        free(x);
        free(gram);
        return gn__no_memory(err, n * (n + w->dim) * sizeof *x);
    }
    for (size_t i = 0; i < n; i++) /* spread over both sets */
        for (size_t j = 0; j < w->dim; j++) x[i * w->dim + j] = w->x[i * w->n / n * w->dim + j] - w->mean[j];
    cblas_ssyrk(CblasRowMajor, CblasUpper, CblasNoTrans, (int)n, (int)w->dim, 1, x, (int)w->dim, 0, gram,
                (int)n);
    for (size_t i = 0; i < n; i++) {
        trace += (double)gram[i * n + i];
        for (size_t j = i + 1; j < n; j++) square += 2 * (double)gram[i * n + j] * (double)gram[i * n + j];
    }
    trace /= (double)n;
    square /= (double)n * (double)(n - 1);
    *out = square > 0 && trace * trace / square < (double)w->dim ? trace * trace / square : (double)w->dim;
    if (!(*out > 1)) *out = 1;
    free(x);
    free(gram);
    return GN_OK;
}

/* ---- first stage ------------------------------------------------------------------------------- */

typedef struct scoring {
    concept_work *w;
    const double *model;
    size_t outputs, at; /* scores a row, and where they go */
    unsigned fold;
} scoring;

static double score_one(const concept_work *w, const float *x, const double *model)
{
    double sum = 0;
    for (size_t j = 0; j < w->dim; j++) sum += (double)(x[j] - w->mean[j]) * model[j];
    return sum / w->scale + model[w->dim];
}

static void concept_score_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    scoring *s = arg;
    concept_work *w = s->w;
    for (size_t i = begin; i < end; i++) {
        if (w->fold[i] != s->fold) continue;
        for (size_t k = 0; k < s->outputs; k++)
            w->score[i * w->width + s->at + k] = score_one(w, w->x + i * w->dim, s->model + k * (w->dim + 1));
    }
}

/* Log-loss of the model on the rows of one fold. */
static double fold_loss(const concept_work *w, const int *target, int classes, const double *model,
                        unsigned fold)
{
    size_t outputs = classes == 2 ? 1 : (size_t)classes;
    double loss = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (w->fold[i] != fold) continue;
        double most = -INFINITY, sum = 0, own = 0;
        for (int pass = 0; pass < 2; pass++)
            for (size_t k = 0; k < outputs; k++) {
                double m = score_one(w, w->x + i * w->dim, model + k * (w->dim + 1));
                if (outputs == 1)
                    m = target[i] == 1 ? m : -m, own = m, most = fmax(m, 0), sum = exp(-most) + exp(m - most);
                else if (pass == 0)
                    most = fmax(most, m);
                else
                    sum += exp(m - most), own = (int)k == target[i] ? m : own;
            }
        loss += most + log(sum) - own;
    }
    return loss;
}

/* Held-out scores of `target` for the rows of one fold; the next fold but it chooses the strength. */
static gn_status score_fold(concept_work *w, const int *target, int classes, size_t at, unsigned fold,
                            gn_error *err)
{
    size_t outputs = classes == 2 ? 1 : (size_t)classes, size = outputs * (w->dim + 1) * sizeof *w->path;
    unsigned inner = (fold + 1) % FOLDS;
    gn__logistic_problem p = {.x = w->x,
                              .dim = w->dim,
                              .ld = w->dim,
                              .row = w->list,
                              .y = w->target,
                              .classes = classes,
                              .mean = w->mean,
                              .scale = w->scale,
                              .tolerance = 1e-4};
    double least = INFINITY, chosen = strengths[0];
    memset(w->path, 0, size);
    memset(w->best, 0, size);
    for (int k = 0; k <= STRENGTHS; k++) {
        bool last = k == STRENGTHS;
        double *model = last ? w->best : w->path;
        p.n = 0;
        for (size_t i = 0; i < w->n; i++) {
            if (w->fold[i] == fold || (!last && w->fold[i] == inner)) continue;
            w->list[p.n] = (uint32_t)i;
            w->target[p.n++] = target[i];
        }
        p.lambda = last ? chosen : strengths[k];
        GN__TRY(gn__logistic_fit(w->ctx, &p, model, NULL, err));
        if (last) break;
        double loss = fold_loss(w, target, classes, w->path, inner);
        if (!(loss < least)) {
            k = STRENGTHS - 1; /* weaker will not do better */
            continue;
        }
        least = loss;
        chosen = strengths[k];
        memcpy(w->best, w->path, size);
    }
    scoring s = {w, w->best, outputs, at, fold};
    return gn__parallel_for(w->ctx, w->n, SCORE_GRAIN, concept_score_piece, &s, err);
}

/* ---- second stage ------------------------------------------------------------------------------ */

/* Scores in units of their spread, at most three of them, with squares and products with the set's score. */
static gn_status second_stage(concept_work *w, gn_error *err)
{
    size_t width = w->width;
    w->columns = 3 * width - 1;
    w->second = gn__calloc(w->n, w->columns * sizeof *w->second);
    if (w->second == NULL) return gn__no_memory(err, w->n * w->columns * sizeof *w->second);
    for (size_t k = 0; k < width; k++) {
        double mean = 0, square = 0;
        for (size_t i = 0; i < w->n; i++) mean += w->score[i * width + k];
        mean /= (double)w->n;
        for (size_t i = 0; i < w->n; i++) {
            double *s = &w->score[i * width + k];
            *s -= mean;
            square += *s * *s;
        }
        double sd = sqrt(square / (double)w->n);
        for (size_t i = 0; i < w->n; i++) {
            double *s = &w->score[i * width + k];
            *s = sd > 0 ? fmin(fmax(*s / sd, -3), 3) : 0;
        }
    }
    for (size_t i = 0; i < w->n; i++) {
        float *row = w->second + i * w->columns;
        const double *s = w->score + i * width;
        for (size_t k = 0; k < width; k++) {
            row[k] = (float)s[k];
            row[width + k] = (float)(s[k] * s[k] - 1);
            if (k + 1 < width) row[2 * width + k] = (float)(s[k] * s[width - 1]);
        }
    }
    return GN_OK;
}

/* Probabilities of `target` by the second stage: [n × classes]. */
static gn_status fit_second(concept_work *w, const int *target, int classes, double *out, gn_error *err)
{
    size_t outputs = classes == 2 ? 1 : (size_t)classes, columns = w->columns;
    double *model = gn__calloc(outputs * (columns + 1), sizeof *model);
    if (model == NULL) return gn__no_memory(err, outputs * (columns + 1) * sizeof *model);
    gn__logistic_problem p = {.x = w->second,
                              .n = w->n,
                              .dim = columns,
                              .ld = columns,
                              .y = target,
                              .classes = classes,
                              .lambda = 1 / (double)w->n,
                              .scale = 1,
                              .tolerance = 1e-6};
    gn_status status = gn__logistic_fit(w->ctx, &p, model, NULL, err);
    for (size_t i = 0; i < w->n && status == GN_OK; i++) {
        double most = 0, sum = 0;
        double *row = out + i * (size_t)classes;
        row[0] = 0;
        for (size_t k = 0; k < outputs; k++) {
            double m = model[k * (columns + 1) + columns];
            for (size_t j = 0; j < columns; j++)
                m += (double)w->second[i * columns + j] * model[k * (columns + 1) + j];
            row[outputs == 1 ? 1 : k] = m;
        }
        for (int k = 0; k < classes; k++) most = fmax(most, row[k]);
        for (int k = 0; k < classes; k++) sum += row[k] = exp(row[k] - most);
        for (int k = 0; k < classes; k++) row[k] /= sum;
    }
    free(model);
    return status;
}

/* ---- the statistic ----------------------------------------------------------------------------- */

/* Adds what labels y leave, times the features. y NULL: a new draw. */
static void covariances(const concept_work *w, const int *y, gn__rng *r, double *out)
{
    size_t row = (size_t)w->classes * FEATURES;
    for (size_t i = 0; i < w->n; i++) {
        const double *p = w->p_label + i * (size_t)w->classes;
        int k = y != NULL ? y[i] : 0;
        if (y == NULL) {
            double u = gn__rng_double(r);
            while (k + 1 < w->classes && u >= p[k]) u -= p[k++];
        }
        const double *f = w->feature + i * row + (size_t)k * FEATURES;
        for (int j = 0; j < FEATURES; j++) out[k * FEATURES + j] += f[j];
    }
}

static void concept_draw_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    concept_work *w = arg;
    for (size_t l = begin; l < end; l++) {
        gn__rng r = gn__rng_make(w->seed, w->purpose, l);
        covariances(w, l == 0 ? w->y : NULL, &r, w->statistic + l * (size_t)w->classes * FEATURES);
    }
}

/* The largest covariance in standard deviations over all labellings, the observed one (number 0) among them:
 * they are treated alike. What the labels are expected to leave is the same for all and cancels. */
static double rank_observed(const concept_work *w, size_t labellings)
{
    size_t width = (size_t)w->classes * FEATURES, at_least = 0;
    double *most = gn__calloc(labellings, sizeof *most);
    if (most == NULL) return NAN;
    for (size_t j = 0; j < width; j++) {
        double mean = 0, square = 0;
        for (size_t l = 0; l < labellings; l++) mean += w->statistic[l * width + j];
        mean /= (double)labellings;
        for (size_t l = 0; l < labellings; l++) {
            double d = w->statistic[l * width + j] - mean;
            square += d * d;
        }
        double sd = sqrt(square / (double)labellings);
        for (size_t l = 0; l < labellings && sd > 0; l++)
            most[l] = fmax(most[l], fabs(w->statistic[l * width + j] - mean) / sd);
    }
    for (size_t l = 1; l < labellings; l++) at_least += most[l] >= most[0] * (1 - 1e-12);
    free(most);
    return (1 + (double)at_least) / (double)labellings;
}

static gn_status test_concept(concept_work *w, size_t permutations, double *p_value, gn_error *err)
{
    size_t classes = (size_t)w->classes, row = classes * FEATURES, size;
    w->feature = gn__calloc(w->n, row * sizeof *w->feature);
    w->statistic = gn__mul_size(permutations + 1, row, &size) ? gn__calloc(size, sizeof *w->statistic) : NULL;
    if (w->feature == NULL || w->statistic == NULL)
        return gn__no_memory(err, w->n * row * sizeof *w->feature);
    for (size_t i = 0; i < w->n; i++) {
        double left = (double)w->z[i] - w->p_set[i];
        const double *s = w->score + i * w->width;
        for (size_t k = 0; k < classes; k++) {
            double *f = w->feature + i * row + k * FEATURES;
            f[0] = left;
            f[1] = left * s[classes == 2 ? 0 : k];
            f[2] = left * s[w->width - 1];
        }
    }
    GN__TRY(gn__parallel_for(w->ctx, permutations + 1, DRAW_GRAIN, concept_draw_piece, w, err));
    *p_value = rank_observed(w, permutations + 1);
    return isnan(*p_value) ? gn__no_memory(err, permutations * sizeof(double)) : GN_OK;
}

/* Robinson's coefficient: what the label leaves, regressed on what the set leaves, with a sandwich error. */
static gn_interval difference(const concept_work *w, int k)
{
    double cross = 0, square = 0, meat = 0;
    for (size_t i = 0; i < w->n; i++) {
        double left = (double)w->z[i] - w->p_set[i];
        cross += ((w->y[i] == k) - w->p_label[i * (size_t)w->classes + (size_t)k]) * left;
        square += left * left;
    }
    if (!(square > 0)) return (gn_interval){NAN, NAN, NAN};
    double theta = cross / square;
    for (size_t i = 0; i < w->n; i++) {
        double left = (double)w->z[i] - w->p_set[i],
               e = (w->y[i] == k) - w->p_label[i * (size_t)w->classes + (size_t)k] - theta * left;
        meat += e * e * left * left;
    }
    double half = GN__Z95 * sqrt(meat) / square;
    return (gn_interval){theta, fmax(-1, theta - half), fmin(1, theta + half)};
}

static void fill(const concept_work *w, gn_kind *out, double p_value, double alpha)
{
    gn_kind_part *part = &out->part[GN_KIND_CONCEPT];
    part->p_value = p_value;
    for (int k = 0; k < w->classes; k++) {
        gn_interval d = difference(w, k);
        out->by_class[w->original[k]].concept_difference = d;
        if (!(fabs(d.estimate) > part->effect.estimate) && part->label >= 0) continue;
        double ends[2] = {fmin(fabs(d.low), fabs(d.high)), fmax(fabs(d.low), fabs(d.high))};
        part->effect = (gn_interval){fabs(d.estimate), d.low < 0 && d.high > 0 ? 0 : ends[0], ends[1]};
        part->label = w->original[k];
    }
    part->answer = gn__part_answer(part, alpha);
}

gn_status gn__kind_concept(gn_context *ctx, const gn_kind_input *in, const gn_kind_options *o, gn_kind *out,
                           gn_error *err)
{
    gn__draws d = {0};
    concept_work w = {.ctx = ctx,
                      .d = &d,
                      .dim = in->train->cols,
                      .seed = gn_context_seed(ctx),
                      .purpose = gn__purpose("kind/concept") ^ o->detect.purpose};
    gn_status status;
    double p_value = NAN;
    GN__TRY_GOTO(gn__draws_make(ctx, in, MOST_ROWS, o->detect.purpose, &d, err), done);
    if (d.n_train < o->detect.min_rows || d.n - d.n_train < o->detect.min_rows) {
        snprintf(out->concept_reason, sizeof out->concept_reason,
                 "a set has too few labelled rows or groups");
        goto done;
    }
    GN__TRY_GOTO(collect(&w, in->classes, err), done);
    if (w.classes < 2) {
        snprintf(out->concept_reason, sizeof out->concept_reason, "fewer than two labels have five rows");
        goto done;
    }
    GN__TRY_GOTO(standardise(&w, err), done);
    GN__TRY_GOTO(effective_dimension(&w, &out->effective_dimension, err), done);
    if ((double)w.n < GN_KIND_ROWS_A_DIMENSION * out->effective_dimension) {
        snprintf(out->concept_reason, sizeof out->concept_reason,
                 "too few rows to model label and set in so many dimensions");
        goto done;
    }
    size_t outputs = w.classes == 2 ? 1 : (size_t)w.classes;
    w.width = outputs + 1;
    w.score = gn__calloc(w.n, w.width * sizeof *w.score);
    w.path = gn__calloc(outputs, (w.dim + 1) * sizeof *w.path);
    w.best = gn__calloc(outputs, (w.dim + 1) * sizeof *w.best);
    w.p_label = gn__calloc(w.n, (size_t)w.classes * sizeof *w.p_label);
    w.p_set = gn__calloc(w.n, 2 * sizeof *w.p_set);
    if (!w.score || !w.path || !w.best || !w.p_label || !w.p_set) {
        status = gn__no_memory(err, w.n * w.width * sizeof *w.score);
        goto done;
    }
    for (unsigned f = 0; f < FOLDS; f++) {
        GN__TRY_GOTO(score_fold(&w, w.y, w.classes, 0, f, err), done);
        GN__TRY_GOTO(score_fold(&w, w.z, 2, outputs, f, err), done);
    }
    GN__TRY_GOTO(second_stage(&w, err), done);
    GN__TRY_GOTO(fit_second(&w, w.y, w.classes, w.p_label, err), done);
    GN__TRY_GOTO(fit_second(&w, w.z, 2, w.p_set, err), done);
    for (size_t i = 0; i < w.n; i++) w.p_set[i] = w.p_set[2 * i + 1];
    GN__TRY_GOTO(test_concept(&w, o->detect.permutations, &p_value, err), done);
    fill(&w, out, p_value, o->detect.alpha);
done:
    work_free(&w);
    gn__draws_free(&d);
    return status;
}
