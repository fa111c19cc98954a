/* The texts of each set that tell the sets apart the most, as kinds of text; and the parts of test that train
 * does not cover, likewise. Half of the groups find, the other half measures. */
#include "detect/where.h"
#include "detect/share.h"

#include <stdio.h>

enum {
    LEAST_UNITS = 20,
    MOST_SPOTS = 20000,
    WITNESS = 1000,
    LEAST_TELLING = 24,
    MOST_TELLING = 300,
    LEAST_PART = 3,
    MEMBERS = 8
};
static const double telling_part = 0.2;

typedef struct where_work {
    gn_context *ctx;
    const gn_where_input *in;
    gn_where_options o;
    gn__units units[2];
    gn__spot *spot; /* [n] rows looked at: train's, then test's, each in random order of groups */
    uint32_t *unit; /* [n] one numbering for both sets */
    size_t n, n_train;
    const float **x; /* [n] */
    double
        *telling; /* [n] mean of the ranks by classifier and witness within the set, 0 .. 1; NaN: not asked */
    signed char *inside; /* [n] scratch */
    signed char *pick;   /* [rows of the larger set] scratch */
    gn__words *words;    /* NULL without texts */
    gn_where *out;
} where_work;

static void free_clusters(gn_where_cluster *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < c[i].typicals; k++) free(c[i].typical[k].text);
        for (size_t k = 0; k < c[i].words; k++) free(c[i].word[k].word);
        free(c[i].typical);
        free(c[i].word);
    }
    free(c);
}

void gn_where_free(gn_where *w)
{
    free_clusters(w->cluster, w->clusters);
    free_clusters(w->uncovered, w->uncovered_parts);
    *w = (gn_where){0};
}

static void work_free(where_work *w)
{
    gn__units_free(&w->units[0]);
    gn__units_free(&w->units[1]);
    gn__words_free(w->words);
    free(w->spot);
    free(w->unit);
    free(w->x);
    free(w->telling);
    free(w->inside);
    free(w->pick);
}

/* ---- the rows looked at ------------------------------------------------------------------------ */

static gn_status choose_spots(where_work *w, gn_error *err)
{
    size_t larger = 0;
    w->spot = gn__calloc(2 * (size_t)MOST_SPOTS, sizeof *w->spot);
    w->unit = gn__calloc(2 * (size_t)MOST_SPOTS, sizeof *w->unit);
    w->x = gn__calloc(2 * (size_t)MOST_SPOTS, sizeof *w->x);
    if (w->spot == NULL || w->unit == NULL || w->x == NULL)
        return gn__no_memory(err, MOST_SPOTS * sizeof *w->spot);
    for (int side = 0; side < 2; side++) {
        const gn__units *u = &w->units[side];
        const gn_matrix *m = side ? w->in->test : w->in->train;
        uint32_t *order = gn__calloc(u->count, sizeof *order);
        if (order == NULL) return gn__no_memory(err, u->count * sizeof *order);
        gn__rng r =
            gn__rng_make(gn_context_seed(w->ctx), gn__purpose("where/halves") ^ w->o.purpose, (uint64_t)side);
        for (size_t k = 0; k < u->count; k++) order[k] = (uint32_t)k;
        gn__rng_shuffle(&r, order, u->count);
        size_t taken = 0;
        for (size_t k = 0; k < u->count; k++)
            for (size_t i = u->start[order[k]]; i < u->start[order[k] + 1] && taken < MOST_SPOTS;
                 i++, taken++) {
                w->spot[w->n] = (gn__spot){u->row[i], side == 1, k % 2 == 0};
                w->unit[w->n] = (uint32_t)(order[k] + (side ? w->units[0].count : 0));
                w->x[w->n++] = m->data + (size_t)u->row[i] * m->cols;
            }
        if (side == 0) w->n_train = w->n;
        if (m->rows > larger) larger = m->rows;
        free(order);
    }
    w->telling = gn__calloc(w->n, sizeof *w->telling);
    w->inside = gn__calloc(w->n, 1);
    w->pick = gn__calloc(larger, 1);
    return w->telling && w->inside && w->pick ? GN_OK : gn__no_memory(err, w->n * sizeof *w->telling);
}

/* ---- the witness ------------------------------------------------------------------------------- */

static int by_float(const void *a, const void *b)
{
    const float *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* f(x) = mean k(x, test) - mean k(x, train), Gaussian kernel, median distance: over the measuring half, which
 * holds none of the rows asked (Gretton, Borgwardt, Rasch, Schölkopf & Smola 2012, section 2.3). */
static gn_status witness(where_work *w, double *out, gn_error *err)
{
    enum { SLICE = 512 };
    const float **anchor = gn__calloc(2 * WITNESS, sizeof *anchor), *slice[SLICE];
    float *distance = gn__calloc((size_t)SLICE * 2 * WITNESS, sizeof *distance), *sorted = NULL;
    size_t anchors = 0, of_train = 0;
    gn_status status =
        anchor == NULL || distance == NULL ? gn__no_memory(err, WITNESS * sizeof *distance * SLICE) : GN_OK;
    double scale = 0;
    if (status != GN_OK) goto done;
    for (size_t i = 0; i < w->n; i++) {
        size_t side = w->spot[i].test ? anchors - of_train : anchors;
        if (w->spot[i].finding || side >= WITNESS) continue;
        anchor[anchors++] = w->x[i];
        of_train += !w->spot[i].test;
    }
    size_t asked = 0, number[SLICE];
    for (size_t i = 0; i <= w->n; i++) {
        if (i < w->n && w->spot[i].finding) {
            number[asked] = i;
            slice[asked++] = w->x[i];
        }
        if (asked == 0 || (asked < SLICE && i < w->n)) continue;
        GN__TRY_GOTO(gn__distances(w->ctx, slice, asked, anchor, anchors, w->in->train->cols, distance, err),
                     done);
        if (!(scale > 0)) {
            size_t count = asked * anchors;
            sorted = gn__calloc(count, sizeof *sorted);
            if (sorted == NULL) {
                status = gn__no_memory(err, count * sizeof *sorted);
                goto done;
            }
            memcpy(sorted, distance, count * sizeof *sorted);
            qsort(sorted, count, sizeof *sorted, by_float);
            scale = (double)sorted[count / 2];
            if (!(scale > 0)) scale = 1;
        }
        for (size_t k = 0; k < asked; k++) {
            double sum[2] = {0};
            for (size_t j = 0; j < anchors; j++) {
                double d = (double)distance[k * anchors + j] / scale;
                sum[j >= of_train] += exp(-d * d / 2);
            }
            out[number[k]] = sum[1] / (double)(anchors - of_train) - sum[0] / (double)of_train;
        }
        asked = 0;
    }
done:
    free(anchor);
    free(distance);
    free(sorted);
    return status;
}

/* ---- ranks ------------------------------------------------------------------------------------- */

typedef struct keyed {
    double key;
    size_t index;
} keyed;

static int by_key(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static double own_score(const where_work *w, size_t i)
{
    const gn__spot *s = &w->spot[i];
    return s->test ? (double)w->in->test_score[s->row] : 1 - (double)w->in->train_score[s->row];
}

/* Adds half of the rank, 0 to 1 among the finding rows of a set, by each of the two. */
static gn_status rank_spots(where_work *w, const double *f, gn_error *err)
{
    keyed *list = gn__calloc(w->n, sizeof *list);
    if (list == NULL) return gn__no_memory(err, w->n * sizeof *list);
    for (size_t i = 0; i < w->n; i++) w->telling[i] = w->spot[i].finding ? 0 : NAN;
    for (int side = 0; side < 2; side++)
        for (int by = 0; by < 2; by++) {
            size_t n = 0, from = side ? w->n_train : 0, to = side ? w->n : w->n_train;
            for (size_t i = from; i < to; i++)
                if (w->spot[i].finding) list[n++] = (keyed){by ? own_score(w, i) : side ? f[i] : -f[i], i};
            qsort(list, n, sizeof *list, by_key);
            for (size_t k = 0; k < n; k++) w->telling[list[k].index] += 0.5 * ((double)k + 0.5) / (double)n;
        }
    free(list);
    return GN_OK;
}

/* ---- clusters ---------------------------------------------------------------------------------- */

typedef struct grouping {
    const size_t *member; /* [n] spots */
    size_t n, clusters;
    uint32_t medoid[16], *of; /* [n] */
    float *distance;          /* [n × n] */
    const float *centre[16];
    double radius; /* half of the members are within it of their medoid */
} grouping;

static void grouping_free(grouping *g)
{
    free(g->of);
    free(g->distance);
}

static gn_status group(where_work *w, const size_t *member, size_t n, grouping *g, gn_error *err)
{
    const float **row = gn__calloc(n, sizeof *row);
    float *to_medoid = gn__calloc(n, sizeof *to_medoid);
    size_t most = w->o.most_clusters < 16 ? w->o.most_clusters : 16;
    gn_status status = GN_OK;
    *g = (grouping){.member = member,
                    .n = n,
                    .of = gn__calloc(n, sizeof *g->of),
                    .distance = gn__calloc(n, n * sizeof *g->distance)};
    if (row == NULL || to_medoid == NULL || g->of == NULL || g->distance == NULL) {
        status = gn__no_memory(err, n * n * sizeof *g->distance);
        goto done;
    }
    for (size_t i = 0; i < n; i++) row[i] = w->x[member[i]];
    GN__TRY_GOTO(gn__distances(w->ctx, row, n, row, n, w->in->train->cols, g->distance, err), done);
    GN__TRY_GOTO(gn__medoids(w->ctx, g->distance, n, n / MEMBERS < most ? 1 + (n - 1) / MEMBERS : most,
                             &g->clusters, g->medoid, g->of, err),
                 done);
    for (size_t k = 0; k < g->clusters; k++) g->centre[k] = row[g->medoid[k]];
    for (size_t i = 0; i < n; i++) to_medoid[i] = g->distance[i * n + g->medoid[g->of[i]]];
    qsort(to_medoid, n, sizeof *to_medoid, by_float);
    g->radius = (double)to_medoid[n / 2] * (1 + 1e-6);
done:
    free(row);
    free(to_medoid);
    return status;
}

/* Row numbers of the members of a cluster, the nearest to the medoid first, each text once. */
static gn_status typical_texts(const where_work *w, const grouping *g, size_t k, const double *score,
                               gn_where_cluster *c, gn_error *err)
{
    keyed *list = gn__calloc(g->n, sizeof *list);
    c->typical = gn__calloc(w->o.typical, sizeof *c->typical);
    if (list == NULL || c->typical == NULL) {
        free(list);
        return gn__no_memory(err, g->n * sizeof *list);
    }
    size_t n = 0;
    for (size_t i = 0; i < g->n; i++)
        if (g->of[i] == k)
            list[n++] = (keyed){i == g->medoid[k] ? -1 : (double)g->distance[i * g->n + g->medoid[k]], i};
    qsort(list, n, sizeof *list, by_key);
    const char *const *text = c->test ? w->in->test_text : w->in->train_text;
    for (size_t i = 0; i < n && c->typicals < w->o.typical; i++) {
        size_t spot = g->member[list[i].index], row = w->spot[spot].row;
        bool seen = false;
        for (size_t t = 0; t < c->typicals && text != NULL; t++)
            seen = seen || strcmp(text[c->typical[t].row], text[row]) == 0;
        if (!seen) c->typical[c->typicals++] = (gn_where_text){.row = row, .label = -1, .score = score[spot]};
    }
    c->rows = n;
    free(list);
    return GN_OK;
}

/* w->inside: 1 for the spots of cluster k's own set in its region. region: [n × clusters] distances. */
static void mark_inside(const where_work *w, const grouping *g, size_t k, const float *region,
                        bool *in_region)
{
    for (size_t i = 0; i < w->n; i++) {
        const float *d = region + i * g->clusters;
        in_region[i] = (double)d[k] <= g->radius;
        for (size_t m = 0; m < g->clusters && in_region[i]; m++) in_region[i] = m == k || d[k] <= d[m];
    }
}

static gn__share share_in(const where_work *w, int side, const bool *in_region)
{
    size_t rows = side ? w->in->test->rows : w->in->train->rows;
    memset(w->pick, -1, rows);
    for (size_t i = side ? w->n_train : 0; i < (side ? w->n : w->n_train); i++)
        if (!w->spot[i].finding) w->pick[w->spot[i].row] = in_region[i];
    return gn__share_of(&w->units[side], w->pick);
}

static int by_share(const void *a, const void *b)
{
    const gn_where_cluster *x = a, *y = b;
    if (x->test != y->test) return x->test ? 1 : -1;
    if (x->share.estimate != y->share.estimate) return x->share.estimate > y->share.estimate ? -1 : 1;
    return (x->typical[0].row > y->typical[0].row) - (x->typical[0].row < y->typical[0].row);
}

/* The most telling rows of a set, grouped; measured on the other half. */
static gn_status tell_side(where_work *w, int side, gn_error *err)
{
    size_t from = side ? w->n_train : 0, to = side ? w->n : w->n_train, n = 0, found = 0;
    keyed *list = gn__calloc(to - from, sizeof *list);
    size_t *member = gn__calloc(MOST_TELLING, sizeof *member);
    double *score = gn__calloc(w->n, sizeof *score);
    bool *in_region = gn__calloc(w->n, sizeof *in_region);
    float *region = NULL;
    grouping g = {0};
    gn_status status = GN_OK;
    if (list == NULL || member == NULL || score == NULL || in_region == NULL) {
        status = gn__no_memory(err, w->n * sizeof *score);
        goto done;
    }
    for (size_t i = from; i < to; i++) {
        score[i] = own_score(w, i);
        if (w->spot[i].finding) list[n++] = (keyed){-w->telling[i], i};
    }
    qsort(list, n, sizeof *list, by_key);
    size_t wanted = (size_t)(telling_part * (double)n);
    if (wanted < LEAST_TELLING) wanted = LEAST_TELLING;
    if (wanted > MOST_TELLING) wanted = MOST_TELLING;
    for (size_t k = 0; k < n && found < wanted; k++)
        if (score[list[k].index] > 0.5) member[found++] = list[k].index;
    if (found < LEAST_PART) goto done;
    GN__TRY_GOTO(group(w, member, found, &g, err), done);
    region = gn__calloc(w->n, g.clusters * sizeof *region);
    if (region == NULL) {
        status = gn__no_memory(err, w->n * g.clusters * sizeof *region);
        goto done;
    }
    GN__TRY_GOTO(gn__distances(w->ctx, w->x, w->n, g.centre, g.clusters, w->in->train->cols, region, err),
                 done);
    for (size_t k = 0; k < g.clusters; k++) {
        gn_where_cluster *c = &w->out->cluster[w->out->clusters++];
        c->test = side == 1;
        GN__TRY_GOTO(typical_texts(w, &g, k, score, c, err), done);
        mark_inside(w, &g, k, region, in_region);
        gn__share own = share_in(w, side, in_region), other = share_in(w, !side, in_region);
        c->share = gn__share_interval(own, GN__Z95);
        c->other_share = gn__share_interval(other, GN__Z95);
        c->difference = gn__share_difference(other, own, GN__Z95);
        if (w->words == NULL) continue;
        /* texts of the kind in the other set are no contrast, and no example of this one */
        for (size_t i = 0; i < w->n; i++)
            w->inside[i] = !in_region[i] ? 0 : w->spot[i].test == c->test ? 1 : -1;
        GN__TRY_GOTO(gn__words_apart(w->words, w->inside, w->o.words, &c->word, &c->words, err), done);
    }
done:
    free(list);
    free(member);
    free(score);
    free(in_region);
    free(region);
    grouping_free(&g);
    return status;
}

/* ---- uncovered parts --------------------------------------------------------------------------- */

static gn_status uncovered_parts(where_work *w, const gn__cover *cover, gn_error *err)
{
    double *ratio = gn__calloc(w->in->test->rows, sizeof *ratio), *score = gn__calloc(w->n, sizeof *score);
    keyed *list = gn__calloc(w->n, sizeof *list);
    size_t *member = gn__calloc(MOST_TELLING, sizeof *member), n = 0, found = 0;
    float *region = NULL;
    grouping g = {0};
    gn_status status = GN_OK;
    if (ratio == NULL || score == NULL || list == NULL || member == NULL) {
        status = gn__no_memory(err, w->in->test->rows * sizeof *ratio);
        goto done;
    }
    for (size_t i = 0; i < w->in->test->rows; i++) ratio[i] = NAN;
    for (size_t i = 0; i < cover->rows; i++) ratio[cover->row[i]] = cover->ratio[i];
    for (size_t i = w->n_train; i < w->n; i++) {
        score[i] = ratio[w->spot[i].row];
        if (score[i] > 1) list[n++] = (keyed){-score[i], i};
    }
    qsort(list, n, sizeof *list, by_key);
    for (; found < n && found < MOST_TELLING; found++) member[found] = list[found].index;
    if (found < LEAST_PART) goto done;
    GN__TRY_GOTO(group(w, member, found, &g, err), done);
    region = gn__calloc(w->n - w->n_train, g.clusters * sizeof *region);
    w->out->uncovered = gn__calloc(g.clusters, sizeof *w->out->uncovered);
    if (region == NULL || w->out->uncovered == NULL) {
        status = gn__no_memory(err, w->n * g.clusters * sizeof *region);
        goto done;
    }
    GN__TRY_GOTO(gn__distances(w->ctx, w->x + w->n_train, w->n - w->n_train, g.centre, g.clusters,
                               w->in->train->cols, region, err),
                 done);
    for (size_t k = 0; k < g.clusters; k++) {
        gn_where_cluster *c = &w->out->uncovered[w->out->uncovered_parts++];
        c->test = true;
        c->other_share = c->difference = (gn_interval){NAN, NAN, NAN};
        GN__TRY_GOTO(typical_texts(w, &g, k, score, c, err), done);
        memset(w->pick, -1, w->in->test->rows);
        for (size_t i = 0; i < w->n; i++) {
            w->inside[i] = 0;
            if (i < w->n_train || isnan(score[i])) continue;
            const float *d = region + (i - w->n_train) * g.clusters;
            bool in = score[i] > 1;
            for (size_t m = 0; m < g.clusters && in; m++) in = m == k || d[k] <= d[m];
            w->pick[w->spot[i].row] = in;
            w->inside[i] = in;
        }
        c->share = gn__share_interval(gn__share_of(&w->units[1], w->pick), GN__Z95);
        if (w->words != NULL)
            GN__TRY_GOTO(gn__words_apart(w->words, w->inside, w->o.words, &c->word, &c->words, err), done);
    }
    qsort(w->out->uncovered, w->out->uncovered_parts, sizeof *w->out->uncovered, by_share);
done:
    free(ratio);
    free(score);
    free(list);
    free(member);
    free(region);
    grouping_free(&g);
    return status;
}

/* ---- all of it --------------------------------------------------------------------------------- */

static gn_status tell(where_work *w, gn_error *err)
{
    double *f = gn__calloc(w->n, sizeof *f);
    gn_status status = f == NULL ? gn__no_memory(err, w->n * sizeof *f) : GN_OK;
    w->out->cluster = gn__calloc(2 * 16, sizeof *w->out->cluster);
    if (w->out->cluster == NULL) status = gn__no_memory(err, 32 * sizeof *w->out->cluster);
    if (status == GN_OK) status = witness(w, f, err);
    if (status == GN_OK) status = rank_spots(w, f, err);
    free(f);
    for (int side = 0; side < 2 && status == GN_OK; side++) status = tell_side(w, side, err);
    if (status == GN_OK && w->out->clusters > 0)
        qsort(w->out->cluster, w->out->clusters, sizeof *w->out->cluster, by_share);
    return status;
}

static bool scored(const float *score, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (score == NULL || !isfinite(score[i])) return false;
    return true;
}

gn_status gn_where_run(gn_context *ctx, const gn_where_input *in, const gn_where_options *options,
                       gn_where *out, gn_error *err)
{
    gn_where result = {.coverage = {NAN, NAN, NAN}, .expected = {NAN, NAN, NAN}};
    where_work w = {
        .ctx = ctx, .in = in, .o = options != NULL ? *options : (gn_where_options){0}, .out = &result};
    gn__cover cover = {.in = in, .units = {&w.units[0], &w.units[1]}, .purpose = w.o.purpose};
    gn_status status;
    if (w.o.most_clusters == 0) w.o.most_clusters = 5;
    if (w.o.typical == 0) w.o.typical = 4;
    if (w.o.words == 0) w.o.words = 8;
    if (in->train->cols != in->test->cols || in->train->cols == 0)
        return gn__fail(err, GN_INVALID_ARGUMENT,
                        "the two sets must have the same number of columns; they have %zu and %zu",
                        in->train->cols, in->test->cols);
    GN__TRY_GOTO(gn__units_make(in->train_group, in->train->rows, &w.units[0], err), done);
    GN__TRY_GOTO(gn__units_make(in->test_group, in->test->rows, &w.units[1], err), done);
    if (w.units[0].count < LEAST_UNITS || w.units[1].count < LEAST_UNITS ||
        !scored(in->train_score, in->train->rows) || !scored(in->test_score, in->test->rows)) {
        snprintf(result.reason, sizeof result.reason, "a set has too few rows or groups");
        snprintf(result.coverage_reason, sizeof result.coverage_reason, "%s", result.reason);
        goto done;
    }
    result.available = true;
    GN__TRY_GOTO(choose_spots(&w, err), done);
    if (in->train_text != NULL && in->test_text != NULL)
        GN__TRY_GOTO(gn__words_make(ctx, in, w.spot, w.unit, w.n, &w.words, err), done);
    GN__TRY_GOTO(tell(&w, err), done);
    GN__TRY_GOTO(gn__cover_run(ctx, &cover, &result, err), done);
    if (result.coverage_available) GN__TRY_GOTO(uncovered_parts(&w, &cover, err), done);
done:
    work_free(&w);
    free(cover.row);
    free(cover.ratio);
    if (status == GN_OK)
        *out = result;
    else
        gn_where_free(&result);
    return status;
}
