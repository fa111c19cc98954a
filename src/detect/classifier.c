/* The domain classifier (Lopez-Paz & Oquab 2017): L2 logistic regression between the sets at equal priors,
 * whole units in folds, every row scored by a model that saw neither it nor its unit.
 *
 * The AUC is averaged over folds. Pooled scores would be biased: the fold that holds the more extreme rows of
 * a side trains on the milder ones, which pulls a pooled AUC below 1/2 when nothing differs. */
#include "detect/detect.h"
#include "tensor/logistic.h"

enum { MOST_ROWS = 10000, RATIO = 20, LEAST_KEPT = 1000, LAMBDAS = 4, SCORE_GRAIN = 512, INNER = 4 };
static const double lambdas[LAMBDAS] = {1, 0.1, 0.01, 0.001}; /* strong to weak: each warms up the next */

typedef struct place {
    uint32_t fold;
    bool inner; /* held back from fits that choose lambda */
} place;

typedef struct classifier {
    gn_context *ctx;
    const gn_matrix *set[2];
    const gn__units *units[2];
    size_t dim, folds;
    place *place[2];   /* [rows of the side] */
    uint32_t *unit[2]; /* [rows of the side] unit's number, one namespace for both sides */
    /* Rows that models are fitted on: copied, side 0 first. */
    float *x;
    place *kept_place;
    int *kept_side;
    size_t kept;
    float *mean; /* of the kept rows, both sides alike; learnt without the side */
    double scale;
    /* Scratch of a fit. */
    uint32_t *list;
    int *y;
    double *weight, *path, *best;
    double *model; /* [folds × (dim + 1)] */
    /* Scratch of scoring. */
    size_t fold;
    float *score[2];
    float *part[2];
    uint32_t *part_unit[2];
} classifier;

static size_t row_limit(size_t rows, size_t other)
{
    size_t limit = other > MOST_ROWS / RATIO ? (size_t)MOST_ROWS : other * RATIO;
    if (limit < LEAST_KEPT) limit = LEAST_KEPT;
    return rows < limit ? rows : limit;
}

/* Deals one side's units to folds in random order; `keep` receives the rows of the first of them. */
static gn_status deal(classifier *c, int side, uint64_t purpose, size_t limit, uint32_t *keep, size_t *kept,
                      gn_error *err)
{
    const gn__units *u = c->units[side];
    uint32_t *order = gn__calloc(u->count, sizeof *order);
    if (order == NULL) return gn__no_memory(err, u->count * sizeof *order);
    for (size_t k = 0; k < u->count; k++) order[k] = (uint32_t)k;
    gn__rng r = gn__rng_make(gn_context_seed(c->ctx), gn__purpose("detect/folds") ^ purpose, (uint64_t)side);
    gn__rng_shuffle(&r, order, u->count);
    *kept = 0;
    for (size_t k = 0; k < u->count; k++) {
        size_t size = u->start[order[k] + 1] - u->start[order[k]];
        /* The first two rounds are kept whatever their size: every fold then has rows to fit and to try. */
        bool wanted = k < 2 * c->folds || *kept + size <= limit;
        for (size_t i = u->start[order[k]]; i < u->start[order[k] + 1]; i++) {
            uint32_t row = u->row[i];
            c->place[side][row] = (place){(uint32_t)(k % c->folds), k / c->folds % INNER == 0};
            c->unit[side][row] = (uint32_t)(order[k] + (side ? c->units[0]->count : 0));
            if (wanted) keep[(*kept)++] = row;
        }
    }
    free(order);
    return GN_OK;
}

/* Copies the kept rows of a side behind those already there. */
static void copy_rows(classifier *c, int side, const uint32_t *keep, size_t kept)
{
    for (size_t i = 0; i < kept; i++, c->kept++) {
        memcpy(c->x + c->kept * c->dim, c->set[side]->data + (size_t)keep[i] * c->dim, c->dim * sizeof *c->x);
        c->kept_place[c->kept] = c->place[side][keep[i]];
        c->kept_side[c->kept] = side;
    }
}

static gn_status find_scale(classifier *c, gn_error *err)
{
    double *mean = gn__calloc(c->dim, sizeof *mean), square = 0;
    if (mean == NULL) return gn__no_memory(err, c->dim * sizeof *mean);
    for (size_t i = 0; i < c->kept; i++)
        for (size_t j = 0; j < c->dim; j++) mean[j] += (double)c->x[i * c->dim + j];
    for (size_t j = 0; j < c->dim; j++) c->mean[j] = (float)(mean[j] / (double)c->kept);
    for (size_t i = 0; i < c->kept; i++)
        for (size_t j = 0; j < c->dim; j++) {
            double v = (double)(c->x[i * c->dim + j] - c->mean[j]);
            square += v * v;
        }
    c->scale = sqrt(square / ((double)c->kept * (double)c->dim));
    if (!(c->scale > 0)) c->scale = 1; /* nothing varies; any scale gives the same even odds */
    free(mean);
    return GN_OK;
}

/* Lists the kept rows outside the fold, with or without the inner ones, and weighs the sides equally. */
static size_t list_rows(classifier *c, size_t fold, bool with_inner)
{
    size_t n = 0, count[2] = {0, 0};
    for (size_t i = 0; i < c->kept; i++) {
        if (c->kept_place[i].fold == fold || (!with_inner && c->kept_place[i].inner)) continue;
        c->list[n] = (uint32_t)i;
        count[c->kept_side[i]]++;
        c->y[n++] = c->kept_side[i];
    }
    for (size_t k = 0; k < n; k++) c->weight[k] = 1 / (double)count[c->y[k]];
    return n;
}

static double margin(const classifier *c, const float *x, const double *w)
{
    double sum[4] = {0};
    for (size_t j = 0; j < c->dim; j++) sum[j % 4] += (double)(x[j] - c->mean[j]) * w[j];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) / c->scale + w[c->dim];
}

/* Mean log-loss on the inner rows outside the fold, the sides weighing the same. */
static double inner_loss(const classifier *c, size_t fold, const double *w)
{
    double loss[2] = {0}, count[2] = {0};
    for (size_t i = 0; i < c->kept; i++) {
        if (c->kept_place[i].fold == fold || !c->kept_place[i].inner) continue;
        double m = margin(c, c->x + i * c->dim, w);
        if (c->kept_side[i] == 0) m = -m;
        loss[c->kept_side[i]] += log1p(exp(-fabs(m))) + (m < 0 ? -m : 0);
        count[c->kept_side[i]]++;
    }
    return loss[0] / count[0] + loss[1] / count[1];
}

/* c->best: the model for one fold, its strength chosen on the inner rows. */
static gn_status fit_fold(classifier *c, size_t fold, gn_error *err)
{
    size_t width = c->dim + 1;
    gn__logistic_problem p = {.x = c->x,
                              .dim = c->dim,
                              .ld = c->dim,
                              .row = c->list,
                              .y = c->y,
                              .sample_weight = c->weight,
                              .classes = 2,
                              .mean = c->mean,
                              .scale = c->scale,
                              .tolerance = 1e-4};
    double least = INFINITY, lambda = lambdas[0];
    memset(c->path, 0, width * sizeof *c->path);
    memset(c->best, 0, width * sizeof *c->best);
    p.n = list_rows(c, fold, false);
    for (size_t k = 0; k < LAMBDAS; k++) {
        p.lambda = lambdas[k];
        GN__TRY(gn__logistic_fit(c->ctx, &p, c->path, NULL, err));
        double loss = inner_loss(c, fold, c->path);
        if (!(loss < least)) break; /* weaker will not do better */
        least = loss;
        lambda = lambdas[k];
        memcpy(c->best, c->path, width * sizeof *c->best);
    }
    p.lambda = lambda;
    p.n = list_rows(c, fold, true);
    return gn__logistic_fit(c->ctx, &p, c->best, NULL, err);
}

static void score_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    classifier *c = arg;
    for (size_t i = begin; i < end; i++) {
        int side = i >= c->set[0]->rows;
        size_t row = side ? i - c->set[0]->rows : i;
        if (c->place[side][row].fold != c->fold) continue;
        double m = margin(c, c->set[side]->data + row * c->dim, c->best);
        c->score[side][row] = (float)(1 / (1 + exp(-m)));
    }
}

/* AUC of one fold's rows; weight: its pairs. */
static gn_status fold_auc(classifier *c, gn__auc_sums *auc, double *weight, gn_error *err)
{
    size_t n[2] = {0, 0};
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < c->set[side]->rows; i++) {
            if (c->place[side][i].fold != c->fold) continue;
            c->part[side][n[side]] = c->score[side][i];
            c->part_unit[side][n[side]++] = c->unit[side][i];
        }
    *weight = (double)n[0] * (double)n[1];
    return gn__auc_estimate(c->part[0], n[0], c->part[1], n[1], c->part_unit[0], c->part_unit[1], auc, err);
}

/* ---- what the folds share ---------------------------------------------------------------------- */

typedef struct agreement {
    const classifier *c;
    double *score; /* [kept × folds] */
} agreement;

static void agreement_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    agreement *a = arg;
    const classifier *c = a->c;
    for (size_t i = begin; i < end; i++)
        for (size_t f = 0; f < c->folds; f++)
            a->score[i * c->folds + f] = margin(c, c->x + i * c->dim, c->model + f * (c->dim + 1));
}

/* Mean correlation, within the sides, between the scores of the folds' models. */
static double mean_correlation(const classifier *c, double *score)
{
    size_t folds = c->folds, pairs = 0;
    double sum = 0;
    for (int side = 0; side < 2; side++)
        for (size_t f = 0; f < folds; f++) {
            double mean = 0, count = 0, square = 0;
            for (size_t i = 0; i < c->kept; i++)
                if (c->kept_side[i] == side) mean += score[i * folds + f], count++;
            mean /= count;
            for (size_t i = 0; i < c->kept; i++)
                if (c->kept_side[i] == side) {
                    score[i * folds + f] -= mean;
                    square += score[i * folds + f] * score[i * folds + f];
                }
            double inverse = square > 0 ? 1 / sqrt(square) : 0;
            for (size_t i = 0; i < c->kept; i++)
                if (c->kept_side[i] == side) score[i * folds + f] *= inverse;
        }
    for (size_t f = 0; f < folds; f++)
        for (size_t g = 0; g < f; g++, pairs++)
            for (size_t i = 0; i < c->kept; i++) sum += score[i * folds + f] * score[i * folds + g] / 2;
    return sum / (double)pairs;
}

/* By how much the folds' AUCs vary more together than alone: 1 for models that are all signal, 2 for models
 * that are all noise. Folds f and g then both profit from the same chance likeness of their rows, f through
 * g's rows in its training part and g through f's. Models share (folds - 2) / (folds - 1) of their training
 * rows: that much their scores correlate by noise alone, and signal makes up the rest. Derivation: README.md.
 */
static gn_status find_inflation(classifier *c, double *inflation, gn_error *err)
{
    agreement a = {.c = c, .score = gn__calloc(c->kept, c->folds * sizeof *a.score)};
    if (a.score == NULL) return gn__no_memory(err, c->kept * c->folds * sizeof *a.score);
    gn_status status = gn__parallel_for(c->ctx, c->kept, SCORE_GRAIN, agreement_piece, &a, err);
    if (status == GN_OK) {
        double noise = (1 - mean_correlation(c, a.score)) * (double)(c->folds - 1);
        *inflation = 1 + fmin(1, fmax(0, noise));
    }
    free(a.score);
    return status;
}

/* ---- the whole --------------------------------------------------------------------------------- */

static gn_status allocate(classifier *c, gn_error *err)
{
    size_t width = c->dim + 1, all = c->set[0]->rows + c->set[1]->rows;
    bool failed = false;
    for (int side = 0; side < 2; side++) {
        size_t n = c->set[side]->rows;
        c->place[side] = gn__calloc(n, sizeof *c->place[side]);
        c->unit[side] = gn__calloc(n, sizeof *c->unit[side]);
        c->score[side] = gn__calloc(n, sizeof *c->score[side]);
        c->part[side] = gn__calloc(n, sizeof *c->part[side]);
        c->part_unit[side] = gn__calloc(n, sizeof *c->part_unit[side]);
        failed = failed || !c->place[side] || !c->unit[side] || !c->score[side] || !c->part[side] ||
                 !c->part_unit[side];
    }
    c->mean = gn__calloc(c->dim, sizeof *c->mean);
    c->path = gn__calloc(width, sizeof *c->path);
    c->best = gn__calloc(width, sizeof *c->best);
    c->model = gn__calloc(c->folds, width * sizeof *c->model);
    failed = failed || !c->mean || !c->path || !c->best || !c->model;
    return failed ? gn__no_memory(err, all * 32) : GN_OK;
}

/* Deals both sides, then copies what the models are fitted on. */
static gn_status prepare(classifier *c, uint64_t purpose, gn_error *err)
{
    uint32_t *keep[2] = {NULL, NULL};
    size_t kept[2] = {0, 0}, all, cells;
    gn_status status = GN_OK;
    for (int side = 0; side < 2; side++) {
        size_t rows = c->set[side]->rows, limit = row_limit(rows, c->set[1 - side]->rows);
        keep[side] = gn__calloc(rows, sizeof *keep[side]);
        if (keep[side] == NULL) {
            status = gn__no_memory(err, rows * sizeof *keep[side]);
            goto done;
        }
        GN__TRY_GOTO(deal(c, side, purpose, limit, keep[side], &kept[side], err), done);
    }
    all = kept[0] + kept[1];
    c->x = gn__mul_size(all, c->dim, &cells) ? gn__aligned(cells, sizeof *c->x) : NULL;
    c->kept_place = gn__calloc(all, sizeof *c->kept_place);
    c->kept_side = gn__calloc(all, sizeof *c->kept_side);
    c->list = gn__calloc(all, sizeof *c->list);
    c->y = gn__calloc(all, sizeof *c->y);
    c->weight = gn__calloc(all, sizeof *c->weight);
    if (!c->x || !c->kept_place || !c->kept_side || !c->list || !c->y || !c->weight) {
        status = gn__no_memory(err, all * c->dim * sizeof *c->x);
        goto done;
    }
    for (int side = 0; side < 2; side++) copy_rows(c, side, keep[side], kept[side]);
    status = find_scale(c, err);
done:
    free(keep[0]);
    free(keep[1]);
    return status;
}

static gn_status run_folds(classifier *c, gn__auc_sums *out, gn_error *err)
{
    gn__auc_sums sum = {0};
    double pairs = 0, inflation = 1;
    for (c->fold = 0; c->fold < c->folds; c->fold++) {
        gn__auc_sums auc;
        double weight;
        GN__TRY(fit_fold(c, c->fold, err));
        memcpy(c->model + c->fold * (c->dim + 1), c->best, (c->dim + 1) * sizeof *c->model);
        GN__TRY(
            gn__parallel_for(c->ctx, c->set[0]->rows + c->set[1]->rows, SCORE_GRAIN, score_piece, c, err));
        GN__TRY(fold_auc(c, &auc, &weight, err));
        sum.estimate += weight * auc.estimate;
        sum.variance += weight * weight * auc.variance;
        pairs += weight;
        gn__progress(c->ctx, GN_STAGE_DETECT, c->fold + 2, c->folds + 1);
    }
    GN__TRY(find_inflation(c, &inflation, err));
    *out = (gn__auc_sums){sum.estimate / pairs, inflation * sum.variance / (pairs * pairs)};
    return GN_OK;
}

static gn_status run_half(classifier *c, gn_error *err)
{
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < c->set[side]->rows; i++) c->score[side][i] = NAN;
    GN__TRY(fit_fold(c, 0, err));
    return gn__parallel_for(c->ctx, c->set[0]->rows + c->set[1]->rows, SCORE_GRAIN, score_piece, c, err);
}

/* out NULL: only the first of two folds is scored, the other rows receive NaN. */
static gn_status classify(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, const gn__units *units_a,
                          const gn__units *units_b, const gn_detect_options *options, float *score_a,
                          float *score_b, gn__auc_sums *out, gn_error *err)
{
    size_t smaller = units_a->count < units_b->count ? units_a->count : units_b->count;
    classifier c = {.ctx = ctx,
                    .set = {a, b},
                    .units = {units_a, units_b},
                    .dim = a->cols,
                    .folds = options->folds < smaller / 2 ? options->folds : smaller / 2};
    float *score[2] = {score_a, score_b};
    gn_status status = GN_OK;
    if (c.folds < 2 || out == NULL) c.folds = 2;
    GN__TRY_GOTO(allocate(&c, err), done);
    GN__TRY_GOTO(prepare(&c, options->purpose, err), done);
    GN__TRY_GOTO(out != NULL ? run_folds(&c, out, err) : run_half(&c, err), done);
    for (int side = 0; side < 2; side++)
        if (score[side] != NULL) memcpy(score[side], c.score[side], c.set[side]->rows * sizeof *score[side]);
done:
    for (int side = 0; side < 2; side++) {
        free(c.place[side]);
        free(c.unit[side]);
        free(c.score[side]);
        free(c.part[side]);
        free(c.part_unit[side]);
    }
    free(c.x);
    free(c.kept_place);
    free(c.kept_side);
    free(c.mean);
    free(c.list);
    free(c.y);
    free(c.weight);
    free(c.path);
    free(c.best);
    free(c.model);
    return status;
}

gn_status gn__domain_classifier(gn_context *ctx, const gn_matrix *a, const gn_matrix *b,
                                const gn__units *units_a, const gn__units *units_b,
                                const gn_detect_options *options, float *score_a, float *score_b,
                                gn__auc_sums *out, gn_error *err)
{
    return classify(ctx, a, b, units_a, units_b, options, score_a, score_b, out, err);
}

gn_status gn__domain_half(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, const gn__units *units_a,
                          const gn__units *units_b, const gn_detect_options *options, float *score_a,
                          float *score_b, gn_error *err)
{
    return classify(ctx, a, b, units_a, units_b, options, score_a, score_b, NULL, err);
}
