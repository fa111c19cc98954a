/* A probe fitted on a third of train: what it says of test needs no labels there. From its confusion on the
 * rest of train, test's label shares (BBSE); from its labels, the sets compared label by label. The probe
 * sees no row that is counted or tested, so both sets are labelled by one function fixed beforehand. */
#include "detect/kind.h"
#include "tensor/logistic.h"

#include <lapacke.h>
#include <stdio.h>

enum { MOST_ROWS = 10000, THIRD = 3, INNER = 4, LEAST_OF_CLASS = 5, PREDICT_GRAIN = 256, LEAST_BLOCKS = 200 };
static const size_t most_blocks = 2000, most_numbers = 4000000;
static const double probe_strengths[] = {0.1, 0.01, 0.001}, least_condition = 0.01;

typedef struct probe {
    gn_context *ctx;
    const gn_kind_input *in;
    size_t dim, classes, outputs;
    gn__units units[2];
    uint8_t *part; /* [train rows] 0 held out, 1 fitted on, 2 fitted on but for the choice of the strength */
    float *mean;
    double scale;
    uint32_t *list;
    int *target;
    double *path, *model;
    float *proba[2];   /* [rows × classes] */
    int *predicted[2]; /* [rows]; -1 for rows that the probe has seen */
    int side;          /* being predicted */
    double *scratch;   /* [workers × classes] */
} probe;

static void probe_free(probe *p)
{
    for (int side = 0; side < 2; side++) {
        gn__units_free(&p->units[side]);
        free(p->proba[side]);
        free(p->predicted[side]);
    }
    void *const all[] = {p->part, p->mean, p->list, p->target, p->path, p->model, p->scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static gn_status allocate(probe *p, gn_error *err)
{
    size_t workers = gn_context_threads(p->ctx), rows = p->in->train->rows;
    GN__TRY(gn__units_make(p->in->train_group, rows, &p->units[0], err));
    GN__TRY(gn__units_make(p->in->test_group, p->in->test->rows, &p->units[1], err));
    p->part = gn__calloc(rows, sizeof *p->part);
    p->list = gn__calloc(rows, sizeof *p->list);
    p->target = gn__calloc(rows, sizeof *p->target);
    p->mean = gn__calloc(p->dim, sizeof *p->mean);
    p->path = gn__calloc(p->outputs, (p->dim + 1) * sizeof *p->path);
    p->model = gn__calloc(p->outputs, (p->dim + 1) * sizeof *p->model);
    p->scratch = gn__calloc(workers, p->classes * sizeof *p->scratch);
    bool ok = p->part && p->list && p->target && p->mean && p->path && p->model && p->scratch;
    for (int side = 0; side < 2; side++) {
        size_t n = side ? p->in->test->rows : rows;
        p->proba[side] = gn__calloc(n, p->classes * sizeof *p->proba[side]);
        p->predicted[side] = gn__calloc(n, sizeof *p->predicted[side]);
        ok = ok && p->proba[side] && p->predicted[side];
    }
    return ok ? GN_OK : gn__no_memory(err, rows * p->classes * sizeof(float));
}

/* Every third group of train, in random order, until there are rows enough. */
static gn_status choose_third(probe *p, uint64_t purpose, gn_error *err)
{
    const gn__units *u = &p->units[0];
    uint32_t *order = gn__calloc(u->count, sizeof *order);
    if (order == NULL) return gn__no_memory(err, u->count * sizeof *order);
    for (size_t k = 0; k < u->count; k++) order[k] = (uint32_t)k;
    gn__rng r = gn__rng_make(gn_context_seed(p->ctx), gn__purpose("kind/third") ^ purpose, 0);
    gn__rng_shuffle(&r, order, u->count);
    size_t taken = 0;
    for (size_t k = 0; k < u->count && taken < MOST_ROWS; k += THIRD) {
        for (size_t i = u->start[order[k]]; i < u->start[order[k] + 1]; i++) {
            p->part[u->row[i]] = k / THIRD % INNER == 0 ? 2 : 1;
            taken += p->in->train_label[u->row[i]] >= 0;
        }
    }
    free(order);
    return GN_OK;
}

/* Lists the labelled rows of the given parts. */
static size_t list_parts(probe *p, bool all)
{
    size_t n = 0;
    for (size_t i = 0; i < p->in->train->rows; i++) {
        if (p->in->train_label[i] < 0 || p->part[i] == 0 || (!all && p->part[i] == 2)) continue;
        p->list[n] = (uint32_t)i;
        p->target[n++] = p->in->train_label[i];
    }
    return n;
}

static gn_status probe_scale(probe *p, size_t n, gn_error *err)
{
    double *sum = gn__calloc(p->dim, sizeof *sum), square = 0;
    if (sum == NULL) return gn__no_memory(err, p->dim * sizeof *sum);
    const float *x = p->in->train->data;
    for (size_t k = 0; k < n; k++)
        for (size_t j = 0; j < p->dim; j++) sum[j] += (double)x[p->list[k] * p->dim + j];
    for (size_t j = 0; j < p->dim; j++) p->mean[j] = (float)(sum[j] / (double)n);
    for (size_t k = 0; k < n; k++)
        for (size_t j = 0; j < p->dim; j++) {
            double v = (double)(x[p->list[k] * p->dim + j] - p->mean[j]);
            square += v * v;
        }
    free(sum);
    p->scale = sqrt(square / ((double)n * (double)p->dim));
    if (!(p->scale > 0)) p->scale = 1;
    return GN_OK;
}

/* Probabilities of one row. */
static void probabilities(const probe *p, const float *x, const double *model, double *out)
{
    double most = 0, sum = 0;
    out[0] = 0;
    for (size_t k = 0; k < p->outputs; k++) {
        double m = 0;
        for (size_t j = 0; j < p->dim; j++) m += (double)(x[j] - p->mean[j]) * model[k * (p->dim + 1) + j];
        out[p->outputs == 1 ? 1 : k] = m / p->scale + model[k * (p->dim + 1) + p->dim];
    }
    for (size_t k = 0; k < p->classes; k++) most = fmax(most, out[k]);
    for (size_t k = 0; k < p->classes; k++) sum += out[k] = exp(out[k] - most);
    for (size_t k = 0; k < p->classes; k++) out[k] /= sum;
}

static gn_status fit_probe(probe *p, gn_error *err)
{
    size_t size = p->outputs * (p->dim + 1) * sizeof *p->path;
    double least = INFINITY, chosen = probe_strengths[0];
    gn__logistic_problem g = {.x = p->in->train->data,
                              .dim = p->dim,
                              .ld = p->dim,
                              .row = p->list,
                              .y = p->target,
                              .classes = (int)p->classes,
                              .mean = p->mean,
                              .tolerance = 1e-4};
    GN__TRY(probe_scale(p, list_parts(p, true), err));
    g.scale = p->scale;
    g.n = list_parts(p, false);
    for (size_t s = 0; s < sizeof probe_strengths / sizeof *probe_strengths; s++) {
        double loss = 0;
        g.lambda = probe_strengths[s];
        GN__TRY(gn__logistic_fit(p->ctx, &g, p->path, NULL, err));
        for (size_t i = 0; i < p->in->train->rows; i++) {
            if (p->part[i] != 2 || p->in->train_label[i] < 0) continue;
            probabilities(p, p->in->train->data + i * p->dim, p->path, p->scratch);
            loss -= log(fmax(p->scratch[p->in->train_label[i]], 1e-12));
        }
        if (!(loss < least)) break;
        least = loss;
        chosen = g.lambda;
        memcpy(p->model, p->path, size);
    }
    g.lambda = chosen;
    g.n = list_parts(p, true);
    return gn__logistic_fit(p->ctx, &g, p->model, NULL, err);
}

static void kind_predict_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    probe *p = arg;
    double *row = p->scratch + worker * p->classes;
    const gn_matrix *x = p->side ? p->in->test : p->in->train;
    for (size_t i = begin; i < end; i++) {
        probabilities(p, x->data + i * p->dim, p->model, row);
        int best = 0;
        for (size_t k = 0; k < p->classes; k++) {
            p->proba[p->side][i * p->classes + k] = (float)row[k];
            if (row[k] > row[best]) best = (int)k;
        }
        p->predicted[p->side][i] = p->side == 0 && p->part[i] != 0 ? -1 : best;
    }
}

/* ---- BBSE -------------------------------------------------------------------------------------- */

/* Sums over a block of whole units: resampling blocks is resampling units where there are few, and close to
 * it where there are many. */
typedef struct bbse {
    size_t classes, blocks[2];
    double *joint;       /* [blocks 0 × classes × classes] sum of p_i over rows of label j */
    double *rows;        /* [blocks 0] labelled held-out rows */
    double *class_rows;  /* [blocks 0 × classes] */
    double *mean;        /* [blocks 1 × classes] sum of p_i over test's rows */
    double *test_rows;   /* [blocks 1] */
    double *c, *mu, *lu; /* [classes²], [classes], [classes²]: scratch */
    lapack_int *pivot;
    double *prior; /* [replicates × classes] */
    double *weight;
    double *raw; /* as prior, before negative ones become 0 */
} bbse;

static void bbse_free(bbse *b)
{
    void *const all[] = {b->joint, b->rows, b->class_rows, b->mean,  b->test_rows, b->c,
                         b->mu,    b->lu,   b->pivot,      b->prior, b->weight,    b->raw};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static gn_status bbse_sums(const probe *p, size_t replicates, bbse *b, gn_error *err)
{
    size_t k2 = p->classes * p->classes, most = most_numbers / k2;
    b->classes = p->classes;
    if (most > most_blocks) most = most_blocks;
    if (most < LEAST_BLOCKS) most = LEAST_BLOCKS;
    for (int side = 0; side < 2; side++)
        b->blocks[side] = p->units[side].count < most ? p->units[side].count : most;
    b->joint = gn__calloc(b->blocks[0], k2 * sizeof *b->joint);
    b->rows = gn__calloc(b->blocks[0], sizeof *b->rows);
    b->class_rows = gn__calloc(b->blocks[0], p->classes * sizeof *b->class_rows);
    b->mean = gn__calloc(b->blocks[1], p->classes * sizeof *b->mean);
    b->test_rows = gn__calloc(b->blocks[1], sizeof *b->test_rows);
    b->c = gn__calloc(k2, sizeof *b->c);
    b->lu = gn__calloc(k2, sizeof *b->lu);
    b->mu = gn__calloc(p->classes, sizeof *b->mu);
    b->pivot = gn__calloc(p->classes, sizeof *b->pivot);
    b->prior = gn__calloc(replicates + 1, p->classes * sizeof *b->prior);
    b->weight = gn__calloc(replicates + 1, p->classes * sizeof *b->weight);
    b->raw = gn__calloc(replicates + 1, p->classes * sizeof *b->raw);
    if (!b->joint || !b->rows || !b->class_rows || !b->mean || !b->test_rows || !b->c || !b->lu || !b->mu ||
        !b->pivot || !b->prior || !b->weight || !b->raw)
        return gn__no_memory(err, b->blocks[0] * k2 * sizeof *b->joint);
    for (size_t i = 0; i < p->in->train->rows; i++) {
        int y = p->in->train_label[i];
        if (p->part[i] != 0 || y < 0) continue;
        size_t block = p->units[0].of[i] % b->blocks[0];
        b->rows[block]++;
        b->class_rows[block * p->classes + (size_t)y]++;
        for (size_t k = 0; k < p->classes; k++)
            b->joint[block * k2 + k * p->classes + (size_t)y] += (double)p->proba[0][i * p->classes + k];
    }
    for (size_t i = 0; i < p->in->test->rows; i++) {
        size_t block = p->units[1].of[i] % b->blocks[1];
        b->test_rows[block]++;
        for (size_t k = 0; k < p->classes; k++)
            b->mean[block * p->classes + k] += (double)p->proba[1][i * p->classes + k];
    }
    return GN_OK;
}

/* Test's shares q of the labels from C w = mu, C[i][j] = E[p_i 1(y = j)], w_j = q_j / P(y = j); negative ones
 * are taken for 0. draw NULL: every block once. false: C has no usable inverse. */
static bool solve(bbse *b, gn__rng *draw, bool check, double *prior, double *weight, double *raw)
{
    size_t k = b->classes, k2 = k * k;
    double rows = 0, test_rows = 0, sum = 0, rcond = 1, norm = 0;
    memset(b->c, 0, k2 * sizeof *b->c);
    memset(b->mu, 0, k * sizeof *b->mu);
    memset(prior, 0, k * sizeof *prior);
    for (size_t n = 0; n < b->blocks[0]; n++) {
        size_t block = draw != NULL ? gn__rng_below(draw, (uint32_t)b->blocks[0]) : n;
        rows += b->rows[block];
        for (size_t i = 0; i < k2; i++) b->c[i] += b->joint[block * k2 + i];
        for (size_t i = 0; i < k; i++) prior[i] += b->class_rows[block * k + i];
    }
    for (size_t n = 0; n < b->blocks[1]; n++) {
        size_t block = draw != NULL ? gn__rng_below(draw, (uint32_t)b->blocks[1]) : n;
        test_rows += b->test_rows[block];
        for (size_t i = 0; i < k; i++) b->mu[i] += b->mean[block * k + i];
    }
    for (size_t i = 0; i < k; i++) {
        if (!(prior[i] > 0)) return false;
        b->mu[i] /= test_rows;
    }
    /* Columns over their label's rows: P(predicted | label), whose condition does not depend on the shares.
     */
    for (size_t i = 0; i < k2; i++) b->lu[i] = b->c[i] / prior[i % k];
    if (LAPACKE_dgetrf(LAPACK_ROW_MAJOR, (lapack_int)k, (lapack_int)k, b->lu, (lapack_int)k, b->pivot) != 0)
        return false;
    if (check) {
        for (size_t j = 0; j < k; j++) {
            double column = 0;
            for (size_t i = 0; i < k; i++) column += fabs(b->c[i * k + j] / prior[j]);
            norm = fmax(norm, column);
        }
        if (LAPACKE_dgecon(LAPACK_ROW_MAJOR, '1', (lapack_int)k, b->lu, (lapack_int)k, norm, &rcond) != 0 ||
            rcond < least_condition)
            return false;
    }
    if (LAPACKE_dgetrs(LAPACK_ROW_MAJOR, 'N', (lapack_int)k, 1, b->lu, (lapack_int)k, b->pivot, b->mu, 1) !=
        0)
        return false;
    for (size_t i = 0; i < k; i++) {
        raw[i] = b->mu[i];
        sum += b->mu[i] = fmax(0, b->mu[i]);
    }
    if (!(sum > 0)) return false;
    for (size_t i = 0; i < k; i++) {
        double share = prior[i] / rows;
        prior[i] = b->mu[i] / sum;
        weight[i] = prior[i] / share;
    }
    return true;
}

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static gn_interval percentiles(const double *x, size_t n, size_t stride, double estimate, double *sorted)
{
    for (size_t i = 0; i < n; i++) sorted[i] = x[i * stride];
    qsort(sorted, n, sizeof *sorted, by_size);
    double ends[2];
    for (int e = 0; e < 2; e++) {
        double at = (e ? 0.975 : 0.025) * (double)(n - 1);
        size_t low = (size_t)at, high = low + 1 < n ? low + 1 : low;
        ends[e] = sorted[low] + (at - (double)low) * (sorted[high] - sorted[low]);
    }
    return (gn_interval){estimate, fmin(ends[0], estimate), fmax(ends[1], estimate)};
}

static gn_status estimate_shares(const probe *p, const gn_kind_options *o, gn_kind *out, gn_error *err)
{
    size_t replicates = o->bootstrap, done_replicates = 0, k = p->classes;
    bbse b = {0};
    double *sorted = gn__calloc(replicates, sizeof *sorted);
    gn_status status = sorted == NULL ? gn__no_memory(err, replicates * sizeof *sorted) : GN_OK;
    if (status != GN_OK) return status;
    GN__TRY_GOTO(bbse_sums(p, replicates, &b, err), done);
    double *prior = b.prior + replicates * k, *weight = b.weight + replicates * k,
           *raw = b.raw + replicates * k;
    if (!solve(&b, NULL, true, prior, weight, raw)) goto done;
    for (size_t r = 0; r < replicates; r++) {
        gn__rng g = gn__rng_make(gn_context_seed(p->ctx), gn__purpose("kind/bbse") ^ o->detect.purpose, r);
        if (r % 32 == 0) GN__TRY_GOTO(gn__check_cancel(p->ctx, err), done);
        done_replicates += solve(&b, &g, false, b.prior + done_replicates * k, b.weight + done_replicates * k,
                                 b.raw + done_replicates * k);
    }
    if (done_replicates < replicates * 9 / 10) goto done; /* the labels are too rare to resample */
    for (size_t c = 0; c < k; c++) {
        out->by_class[c].estimated_share = percentiles(b.prior + c, done_replicates, k, prior[c], sorted);
        out->by_class[c].weight = percentiles(b.weight + c, done_replicates, k, weight[c], sorted);
    }
    out->weights = true;
    /* A share surely below 0 or above 1: no mix of train's labels looks like test. */
    for (size_t c = 0; c < k; c++) {
        gn_interval i = percentiles(b.raw + c, done_replicates, k, raw[c], sorted);
        if (i.high < 0 || i.low > 1) out->weights = false;
    }
    for (size_t c = 0; c < k && !out->weights; c++)
        out->by_class[c].estimated_share = out->by_class[c].weight = (gn_interval){NAN, NAN, NAN};
done:
    free(sorted);
    bbse_free(&b);
    return status;
}

/* ---- all of it --------------------------------------------------------------------------------- */

/* Every label on both sides of the split, or there is nothing to estimate. */
static bool enough(const probe *p, gn_kind *out)
{
    for (size_t c = 0; c < p->classes; c++) {
        size_t fitted = 0, held = 0;
        for (size_t i = 0; i < p->in->train->rows; i++)
            if (p->in->train_label[i] == (int)c) *(p->part[i] != 0 ? &fitted : &held) += 1;
        out->probe_rows += fitted;
        out->heldout_rows += held;
        if (fitted < LEAST_OF_CLASS || held < LEAST_OF_CLASS) return false;
    }
    return true;
}

static gn_status by_predicted(const probe *p, const gn_kind_options *o, gn_kind *out, gn_error *err)
{
    const gn_matrix x[2] = {*p->in->train, *p->in->test};
    gn_detect_options d = o->detect;
    d.purpose ^= gn__purpose("kind/predicted");
    out->by_predicted = gn__calloc(p->classes, sizeof *out->by_predicted);
    if (out->by_predicted == NULL) return gn__no_memory(err, p->classes * sizeof *out->by_predicted);
    return gn__detect_each(p->ctx, x, (const uint32_t *const[]){p->in->train_group, p->in->test_group},
                           (const int *const[]){p->predicted[0], p->predicted[1]}, (int)p->classes, &d,
                           out->by_predicted, err);
}

gn_status gn__kind_probe(gn_context *ctx, const gn_kind_input *in, const gn_kind_options *o, gn_kind *out,
                         gn_error *err)
{
    probe p = {.ctx = ctx,
               .in = in,
               .dim = in->train->cols,
               .classes = (size_t)in->classes,
               .outputs = in->classes == 2 ? 1 : (size_t)in->classes};
    gn_status status;
    GN__TRY_GOTO(allocate(&p, err), done);
    GN__TRY_GOTO(choose_third(&p, o->detect.purpose, err), done);
    if (!enough(&p, out)) {
        snprintf(out->probe_reason, sizeof out->probe_reason,
                 "a label of train has too few rows for a third split");
        goto done;
    }
    GN__TRY_GOTO(fit_probe(&p, err), done);
    for (p.side = 0; p.side < 2; p.side++)
        GN__TRY_GOTO(gn__parallel_for(ctx, p.side ? in->test->rows : in->train->rows, PREDICT_GRAIN,
                                      kind_predict_piece, &p, err),
                     done);
    size_t right = 0;
    for (size_t i = 0; i < in->train->rows; i++)
        right += p.part[i] == 0 && in->train_label[i] >= 0 && p.predicted[0][i] == in->train_label[i];
    out->probed = true;
    out->probe_accuracy = (double)right / (double)out->heldout_rows;
    GN__TRY_GOTO(estimate_shares(&p, o, out, err), done);
    GN__TRY_GOTO(by_predicted(&p, o, out, err), done);
done:
    probe_free(&p);
    return status;
}
