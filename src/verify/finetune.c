/* The comparison: which rows each fit is trained on and judged on, and what the judgements add up to. */
#include "verify/finetune.h"

#include <math.h>
#include <stdio.h>

enum { ORDINARY, GROUPED, KINDS };          /* of folds */
enum { HELDOUT, TEST, TEST_GROUPED, SETS }; /* of judged rows */

static const char NO_TRAIN_LABELS[] = "no labels in train";
static const char NO_TEST_LABELS[] = "no labels in test";
static const char ONE_TRAIN_CLASS[] = "the labels of train are of one class only";
static const char ONE_TEST_CLASS[] = "the labels of test are of one class only";

/* Rows of one side, by position. */
typedef struct rows {
    uint32_t *row; /* ascending, of the side */
    int *y;
    uint32_t *group; /* NULL: no groups */
    size_t n;
} rows;

/* What the fits of a run said. */
typedef struct tally {
    float *right[SETS];       /* [seeds × n] */
    float *probability[SETS]; /* [seeds × n × classes]; freed once scored */
} tally;

typedef struct comparison {
    gn__bench b;
    gn_context *ctx;
    const gn_finetune_input *in;
    gn_finetune_options options;
    gn_finetune_evidence *out;
    size_t seeds, classes;
    rows fit, held, test;  /* train rows trained on; held out; labelled test rows */
    uint32_t *fold[KINDS]; /* [seeds × test.n] or NULL */
    size_t *folds[KINDS];  /* [seeds] */
    size_t set_rows[SETS]; /* 0: not judged */
    tally *tally;          /* [runs] */
    gn_error *err;
} comparison;

/* ---- names --------------------------------------------------------------------------------------- */

const char *gn_method_name(gn_method m)
{
    static const char *const names[] = {
#define NAME(name, text) text,
        GN_METHOD_LIST(NAME)
#undef NAME
    };
    return m >= 0 && m < GN_METHOD_COUNT ? names[m] : "unknown";
}

const char *gn_source_name(gn_source s)
{
    static const char *const names[] = {
#define NAME(name, text) text,
        GN_SOURCE_LIST(NAME)
#undef NAME
    };
    return s >= 0 && s < GN_SOURCE_COUNT ? names[s] : "unknown";
}

const char *gn_answer_name(gn_finetune_answer a)
{
    static const char *const names[] = {
#define NAME(name, text) text,
        GN_ANSWER_LIST(NAME)
#undef NAME
    };
    return a >= 0 && (size_t)a < sizeof names / sizeof *names ? names[a] : "unknown";
}

/* ---- rows ---------------------------------------------------------------------------------------- */

static void rows_free(rows *r)
{
    free(r->row);
    free(r->y);
    free(r->group);
    *r = (rows){0};
}

/* The positions p of the sample with keep[p] == value (keep NULL: all). */
static gn_status rows_of(const gn__sample *s, const uint32_t *keep, uint32_t value, rows *out, gn_error *err)
{
    *out = (rows){0};
    out->row = gn__calloc(s->n, sizeof *out->row);
    out->y = gn__calloc(s->n, sizeof *out->y);
    out->group = s->group ? gn__calloc(s->n, sizeof *out->group) : NULL;
    if (!out->row || !out->y || (s->group && !out->group)) {
        rows_free(out);
        return gn__no_memory(err, s->n * (sizeof *out->row + sizeof *out->y));
    }
    for (size_t p = 0; p < s->n; p++) {
        if (keep != NULL && keep[p] != value) continue;
        out->row[out->n] = s->row[p];
        out->y[out->n] = s->y[p];
        if (s->group) out->group[out->n] = s->group[p];
        out->n++;
    }
    return GN_OK;
}

/* bin[p] = 0 for about `want` rows of the sample: whole groups, or where those give less than half of that,
 * rows; 1 for the others. */
static gn_status draw(comparison *c, const int *y, const uint32_t *group, size_t n, size_t want,
                      uint64_t seed, const char *purpose, uint64_t index, uint32_t *bin)
{
    double share[2] = {(double)want / (double)n, 1 - (double)want / (double)n};
    for (const uint32_t *by = group;; by = NULL) {
        gn__units units = {0};
        gn__rng rng = gn__rng_make(seed, gn__purpose(purpose), index);
        size_t got = 0;
        GN__TRY(gn__units_make(by, n, &units, c->err));
        gn_status status = gn__deal(&units, y, (int)c->classes, share, 2, want, &rng, bin, c->err);
        gn__units_free(&units);
        GN__TRY(status);
        for (size_t p = 0; p < n; p++) got += bin[p] == 0;
        if (by == NULL || 2 * got >= want) return GN_OK;
    }
}

/* Held-out rows, and of the others those that are trained on. */
static gn_status split_train(comparison *c)
{
    enum { MOST_HELD = 2000, SHARE = 5, FEWEST = 10 };
    gn__sample all = {0}, rest = {0};
    gn_status status;
    uint32_t *bin = NULL;
    GN__TRY_GOTO(
        gn__sample_make(c->in->train, c->in->train_label, (int)c->classes, c->in->train_group, &all, c->err),
        done);
    size_t most = c->options.max_train, held = c->options.heldout_rows;
    if (held == 0) held = all.n / SHARE < MOST_HELD ? all.n / SHARE : (size_t)MOST_HELD;
    if (held + FEWEST > all.n) {
        status = gn__fail(c->err, GN_DATA, "%zu labelled train rows are too few to hold %zu of them out",
                          all.n, held);
        goto done;
    }
    bin = gn__calloc(all.n, sizeof *bin);
    if (bin == NULL) {
        status = gn__no_memory(c->err, all.n * sizeof *bin);
        goto done;
    }
    uint64_t seed = gn_context_seed(c->ctx);
    GN__TRY_GOTO(draw(c, all.y, all.group, all.n, held, seed, "finetune/heldout", 0, bin), done);
    GN__TRY_GOTO(rows_of(&all, bin, 0, &c->held, c->err), done);
    GN__TRY_GOTO(gn__sample_part(&all, bin, 1, false, &rest, c->err), done);
    if (most > 0 && most < rest.n) {
        GN__TRY_GOTO(draw(c, rest.y, rest.group, rest.n, most, seed, "finetune/train", 0, bin), done);
        status = rows_of(&rest, bin, 0, &c->fit, c->err);
    } else {
        status = rows_of(&rest, NULL, 0, &c->fit, c->err);
    }
done:
    gn__sample_free(&all);
    gn__sample_free(&rest);
    free(bin);
    return status;
}

static size_t classes_in(const rows *r, size_t classes)
{
    size_t found = 0;
    for (size_t c = 0; c < classes; c++)
        for (size_t p = 0; p < r->n; p++)
            if ((size_t)r->y[p] == c) {
                found++;
                break;
            }
    return found;
}

/* Folds of the labelled test rows, dealt anew for every seed. Where some seed has none, there are none. */
static gn_status deal_folds(comparison *c, int kind)
{
    size_t n = c->test.n, cells = 0, want = c->options.folds ? c->options.folds : 5;
    const uint32_t *group = kind == GROUPED ? c->test.group : NULL;
    if (kind == GROUPED && group == NULL) return GN_OK;
    gn__units units = {0};
    gn_status status;
    GN__TRY(gn__units_make(group, n, &units, c->err));
    bool single = kind == GROUPED && units.count == n;
    c->fold[kind] = gn__mul_size(n, c->seeds, &cells) ? gn__calloc(cells, sizeof *c->fold[kind]) : NULL;
    c->folds[kind] = gn__calloc(c->seeds, sizeof *c->folds[kind]);
    status = c->fold[kind] && c->folds[kind] ? GN_OK : gn__no_memory(c->err, cells * sizeof *c->fold[kind]);
    bool all = !single;
    for (size_t s = 0; s < c->seeds && status == GN_OK && all; s++) {
        status = gn__folds(&units, c->test.y, (int)c->classes, want, gn_context_seed(c->ctx) + s,
                           gn__purpose("finetune/folds"), (uint64_t)kind, c->fold[kind] + s * n,
                           &c->folds[kind][s], c->err);
        all = all && c->folds[kind][s] > 0;
    }
    gn__units_free(&units);
    if (!all) {
        free(c->fold[kind]);
        c->fold[kind] = NULL;
    }
    return status;
}

static gn_status take_rows(comparison *c, const char **missing_train, const char **missing_test)
{
    *missing_train = NO_TRAIN_LABELS, *missing_test = NO_TEST_LABELS;
    if (c->in->train_label != NULL) {
        size_t labelled = 0;
        for (size_t i = 0; i < c->in->train->rows; i++) labelled += c->in->train_label[i] >= 0;
        if (labelled > 0) {
            GN__TRY(split_train(c));
            *missing_train = classes_in(&c->fit, c->classes) < 2 ? ONE_TRAIN_CLASS : NULL;
        }
    }
    if (c->in->test_label != NULL) {
        gn__sample s = {0};
        GN__TRY(
            gn__sample_make(c->in->test, c->in->test_label, (int)c->classes, c->in->test_group, &s, c->err));
        gn_status status = rows_of(&s, NULL, 0, &c->test, c->err);
        gn__sample_free(&s);
        GN__TRY(status);
        if (c->test.n > 0) *missing_test = classes_in(&c->test, c->classes) < 2 ? ONE_TEST_CLASS : NULL;
        if (*missing_test == NULL)
            for (int kind = 0; kind < KINDS; kind++) GN__TRY(deal_folds(c, kind));
    }
    c->set_rows[HELDOUT] = *missing_train ? 0 : c->held.n;
    c->set_rows[TEST] = *missing_test ? 0 : c->test.n;
    c->set_rows[TEST_GROUPED] = *missing_test || c->test.group == NULL ? 0 : c->test.n;
    return GN_OK;
}

/* ---- fits ---------------------------------------------------------------------------------------- */

/* Rows of one fit: of both sides, test rows behind train's. */
typedef struct fit_rows {
    uint32_t *row, *judged;
    size_t rows, judges, held; /* held: the first of judged are held-out train rows */
    uint32_t *position;        /* [judges − held] of the test rows */
} fit_rows;

static void fit_rows_free(fit_rows *f)
{
    free(f->row);
    free(f->judged);
    free(f->position);
}

static size_t mix_wanted(const comparison *c, size_t test_rows)
{
    size_t want = c->options.mix_rows ? c->options.mix_rows : test_rows;
    return want < c->fit.n ? want : c->fit.n;
}

/* kind, seed, fold: of test; not looked at for source train. Held-out rows are judged by a seed's first fit
 * with ordinary folds. */
static gn_status fit_rows_make(comparison *c, gn_source source, int kind, size_t seed, size_t fold,
                               fit_rows *out)
{
    uint32_t train = (uint32_t)c->in->train->rows;
    size_t n = c->test.n;
    bool cross = source != GN_SOURCE_TRAIN;
    *out = (fit_rows){0};
    out->row = gn__calloc(c->fit.n + n, sizeof *out->row);
    out->judged = gn__calloc(c->held.n + n, sizeof *out->judged);
    out->position = gn__calloc(n, sizeof *out->position);
    uint32_t *bin = gn__calloc(c->fit.n, sizeof *bin);
    gn_status status = GN_OK;
    if (!out->row || !out->judged || !out->position || !bin) {
        status = gn__no_memory(c->err, (c->fit.n + c->held.n + 2 * n) * sizeof *out->row);
        goto done;
    }
    const uint32_t *of = cross ? c->fold[kind] + seed * n : NULL;
    size_t own = 0;
    for (size_t p = 0; cross && p < n; p++) own += of[p] != fold;
    if (source == GN_SOURCE_MIX) {
        size_t want = mix_wanted(c, own);
        if (want < c->fit.n)
            GN__TRY_GOTO(draw(c, c->fit.y, NULL, c->fit.n, want, gn_context_seed(c->ctx) + seed,
                              "finetune/mix", (uint64_t)kind << 32 | fold, bin),
                         done);
    }
    for (size_t p = 0; source != GN_SOURCE_TEST && p < c->fit.n; p++)
        if (bin[p] == 0) out->row[out->rows++] = c->fit.row[p];
    for (size_t p = 0; cross && p < n; p++)
        if (of[p] != fold) out->row[out->rows++] = train + c->test.row[p];
    if (!cross || (kind == ORDINARY && fold == 0))
        for (size_t p = 0; p < c->set_rows[HELDOUT]; p++) out->judged[out->judges++] = c->held.row[p];
    out->held = out->judges;
    for (size_t p = 0; p < c->set_rows[TEST]; p++) {
        if (cross && of[p] != fold) continue;
        out->position[out->judges - out->held] = (uint32_t)p;
        out->judged[out->judges++] = train + c->test.row[p];
    }
done:
    free(bin);
    if (status != GN_OK) {
        fit_rows_free(out);
        *out = (fit_rows){0};
    }
    return status;
}

static void put(const comparison *c, const gn__fit *f, size_t judge, int set, size_t seed, size_t position,
                int y, tally *t)
{
    const float *p = f->probability + judge * c->classes;
    size_t cell = seed * c->set_rows[set] + position;
    memcpy(t->probability[set] + cell * c->classes, p, c->classes * sizeof *p);
    t->right[set][cell] = gn__top_class(p, (int)c->classes) == y ? 1 : 0;
}

static gn_status add_cost(gn_finetune_run *run, const gn__fit *f, gn_error *err)
{
    gn_finetune_cost *k = &run->cost;
    k->fits++;
    k->steps += f->steps;
    k->tokens += (double)f->tokens;
    k->forward_tokens += (double)f->forward_tokens;
    k->seconds += f->seconds;
    k->core_seconds += f->core_seconds;
    k->memory = fmax(k->memory, f->memory);
    k->trained = f->trained;
    k->parameters = f->parameters;
    k->stopped_early += f->stopped_early;
    if (f->layer_changes == 0) return GN_OK;
    if (run->layer_change == NULL) {
        run->layer_change = gn__calloc(f->layer_changes, sizeof *run->layer_change);
        if (run->layer_change == NULL) return gn__no_memory(err, f->layer_changes * sizeof(double));
        run->layer_changes = f->layer_changes;
    }
    for (size_t i = 0; i < f->layer_changes && i < run->layer_changes; i++)
        run->layer_change[i] += f->layer_change[i]; /* a sum until finish_run */
    return GN_OK;
}

typedef struct mean {
    double sum;
    size_t n;
} mean;

static void mean_add(mean *m, double x)
{
    if (isnan(x)) return;
    m->sum += x;
    m->n++;
}

/* The first fit of source train gives the picture after. */
static gn_status keep_after(comparison *c, gn_finetune_run *run, const gn__fit *f, const fit_rows *r)
{
    size_t dim = f->after.cols, held = r->held;
    if (f->after.rows == 0) return GN_OK;
    GN__TRY(gn_matrix_create(held, dim, &run->after_heldout, c->err));
    GN__TRY(gn_matrix_create(r->judges - held, dim, &run->after_test, c->err));
    memcpy(run->after_heldout.data, f->after.data, held * dim * sizeof *f->after.data);
    memcpy(run->after_test.data, f->after.data + held * dim,
           (r->judges - held) * dim * sizeof *f->after.data);
    return GN_OK;
}

static gn_status one_fit(comparison *c, gn_finetune_run *run, tally *t, int kind, size_t seed, size_t fold,
                         mean cka[2])
{
    fit_rows r;
    gn__fit f = {0};
    GN__TRY(fit_rows_make(c, run->source, kind, seed, fold, &r));
    gn_status status;
    gn__fit_plan plan = {.method = run->method,
                         .source = run->source,
                         .seed = gn_context_seed(c->ctx) + seed,
                         .row = r.row,
                         .rows = r.rows,
                         .judged = r.judged,
                         .judges = r.judges,
                         .keep_embeddings =
                             run->source == GN_SOURCE_TRAIN && seed == 0 && run->method != GN_METHOD_LP};
    GN__TRY_GOTO(gn__fit_run(&c->b, &plan, &f), done);
    if (run->cost.fits == 0) run->fit_rows = r.rows;
    for (size_t i = 0; i < r.held; i++) put(c, &f, i, HELDOUT, seed, i, c->held.y[i], t);
    for (size_t i = r.held; i < r.judges; i++) {
        size_t p = r.position[i - r.held];
        if (kind == ORDINARY) put(c, &f, i, TEST, seed, p, c->test.y[p], t);
        if (c->set_rows[TEST_GROUPED] > 0 && (kind == GROUPED || run->source == GN_SOURCE_TRAIN))
            put(c, &f, i, TEST_GROUPED, seed, p, c->test.y[p], t);
    }
    mean_add(&cka[0], f.cka_train);
    mean_add(&cka[1], f.cka_test);
    GN__TRY_GOTO(add_cost(run, &f, c->err), done);
    if (seed == 0) GN__TRY_GOTO(keep_after(c, run, &f, &r), done);
done:
    gn__fit_free(&f);
    fit_rows_free(&r);
    return status;
}

/* ---- runs ---------------------------------------------------------------------------------------- */

static bool has(const comparison *c, gn_source source, int set)
{
    if (c->set_rows[set] == 0) return false;
    return set != TEST_GROUPED || source == GN_SOURCE_TRAIN || c->fold[GROUPED] != NULL;
}

static gn_status tally_make(const comparison *c, gn_source source, tally *t)
{
    for (int set = 0; set < SETS; set++) {
        size_t cells = 0, values = 0;
        if (!has(c, source, set)) continue;
        if (gn__mul_size(c->set_rows[set], c->seeds, &cells) && gn__mul_size(cells, c->classes, &values)) {
            t->right[set] = gn__calloc(cells, sizeof *t->right[set]);
            t->probability[set] = gn__calloc(values, sizeof *t->probability[set]);
        }
        if (t->right[set] == NULL || t->probability[set] == NULL)
            return gn__no_memory(c->err, values * sizeof *t->probability[set]);
    }
    return GN_OK;
}

static gn_finetune_judged *judged_of(gn_finetune_run *run, int set)
{
    return set == HELDOUT ? &run->heldout : set == TEST ? &run->test : &run->test_grouped;
}

static const rows *rows_in(const comparison *c, int set)
{
    return set == HELDOUT ? &c->held : &c->test;
}

static gn_status score(comparison *c, gn_finetune_run *run, tally *t, int set)
{
    const rows *r = rows_in(c, set);
    gn_finetune_judged *j = judged_of(run, set);
    size_t n = r->n, all = set == HELDOUT ? c->in->train->rows : c->in->test->rows;
    gn_status status = GN_OK;
    if (t->probability[set] == NULL) return GN_OK;
    const float **table = gn__calloc(c->seeds, sizeof *table);
    gn_scores *each = gn__calloc(c->seeds, sizeof *each);
    j->correct = gn__calloc(all, sizeof *j->correct);
    if (!table || !each || !j->correct) {
        status = gn__no_memory(c->err, all * sizeof *j->correct);
        goto done;
    }
    for (size_t s = 0; s < c->seeds; s++) table[s] = t->probability[set] + s * n * c->classes;
    GN__TRY_GOTO(
        gn__scores_of(c->ctx, table, c->seeds, r->y, n, (int)c->classes, r->group, NULL, &j->scores, c->err),
        done);
    for (size_t s = 0; s < c->seeds; s++)
        GN__TRY_GOTO(
            gn__scores_of(c->ctx, table + s, 1, r->y, n, (int)c->classes, r->group, NULL, &each[s], c->err),
            done);
    gn__widen_by_seeds(&j->scores, each, c->seeds, &j->seed_deviation);
    for (size_t i = 0; i < all; i++) j->correct[i] = NAN;
    for (size_t p = 0; p < n; p++) {
        float sum = 0;
        for (size_t s = 0; s < c->seeds; s++) sum += t->right[set][s * n + p];
        j->correct[r->row[p]] = sum / (float)c->seeds;
    }
    j->available = true;
done:
    free(table);
    free(each);
    free(t->probability[set]);
    t->probability[set] = NULL;
    return status;
}

static gn_status run_make(comparison *c, gn_finetune_run *run, tally *t)
{
    mean cka[2] = {{0, 0}, {0, 0}};
    GN__TRY(tally_make(c, run->source, t));
    run->seeds = c->seeds;
    for (size_t s = 0; s < c->seeds; s++) {
        if (run->source == GN_SOURCE_TRAIN) {
            GN__TRY(one_fit(c, run, t, ORDINARY, s, 0, cka));
            continue;
        }
        for (int kind = 0; kind < KINDS; kind++)
            for (size_t f = 0; c->fold[kind] != NULL && f < c->folds[kind][s]; f++)
                GN__TRY(one_fit(c, run, t, kind, s, f, cka));
    }
    if (run->source != GN_SOURCE_TRAIN) {
        run->folds = c->folds[ORDINARY][0];
        run->folds_grouped = c->fold[GROUPED] ? c->folds[GROUPED][0] : 0;
    }
    for (size_t i = 0; i < run->layer_changes; i++) run->layer_change[i] /= (double)run->cost.fits;
    if (run->method == GN_METHOD_LP) {
        run->cost.forward_tokens = (double)c->in->embed_tokens;
        run->cost.seconds += c->in->embed_seconds;
        run->cost.core_seconds += c->in->embed_core_seconds;
    }
    run->cka_heldout = cka[0].n ? cka[0].sum / (double)cka[0].n : NAN;
    run->cka_test = cka[1].n ? cka[1].sum / (double)cka[1].n : NAN;
    for (int set = 0; set < SETS; set++) GN__TRY(score(c, run, t, set));
    const gn_finetune_judged *honest = run->test_grouped.available ? &run->test_grouped : &run->test;
    run->gap = (gn_interval){NAN, NAN, NAN};
    if (honest->available && run->heldout.available)
        run->gap = gn__difference(honest->scores.accuracy, run->heldout.scores.accuracy);
    return GN_OK;
}

/* ---- differences --------------------------------------------------------------------------------- */

static const tally *tally_of(const comparison *c, gn_method method, gn_source source)
{
    for (size_t i = 0; i < c->out->runs; i++)
        if (c->out->run[i].method == method && c->out->run[i].source == source) return c->tally + i;
    return NULL;
}

static gn_status difference(const comparison *c, const tally *a, const tally *b, int set, gn_seeded *out)
{
    const rows *r = rows_in(c, set);
    if (a == NULL || b == NULL || a == b || !a->right[set] || !b->right[set]) return GN_OK;
    return gn_seeded_difference(a->right[set], b->right[set], c->seeds, r->n, r->group, c->out->worthwhile,
                                out, c->err);
}

/* Holm 1979 over the differences of one kind. */
static void holm(gn_seeded **d, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && d[j]->p_value < d[j - 1]->p_value; j--) {
            gn_seeded *swap = d[j];
            d[j] = d[j - 1], d[j - 1] = swap;
        }
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, fmin(1, (double)(n - i) * d[i]->p_value));
        d[i]->p_holm = worst;
    }
}

static gn_status compare(comparison *c)
{
    gn_finetune_evidence *o = c->out;
    gn_seeded **list = gn__calloc(o->runs, sizeof *list);
    if (list == NULL) return gn__no_memory(c->err, o->runs * sizeof *list);
    gn_status status = GN_OK;
    for (int against = 0; against < 2; against++)
        for (int set = 0; set < SETS; set++) {
            size_t n = 0;
            for (size_t i = 0; i < o->runs; i++) {
                gn_finetune_judged *j = judged_of(o->run + i, set);
                gn_seeded *d = against ? &j->vs_test_probe : &j->vs_probe;
                *d = (gn_seeded){.difference = {NAN, NAN, NAN}, .p_value = NAN, .p_holm = NAN};
                if (against && set == HELDOUT) continue;
                const tally *probe = tally_of(c, GN_METHOD_LP, against ? GN_SOURCE_TEST : o->run[i].source);
                GN__TRY_GOTO(difference(c, c->tally + i, probe, set, d), done);
                if (d->available) list[n++] = d;
            }
            holm(list, n);
        }
    for (size_t i = 0; i < o->runs; i++)
        o->run[i].vs_probe =
            o->run[i].test_grouped.available ? o->run[i].test_grouped.vs_probe : o->run[i].test.vs_probe;
done:
    free(list);
    return status;
}

/* ---- all of it ----------------------------------------------------------------------------------- */

static gn_status plan_runs(comparison *c, unsigned sources)
{
    gn_finetune_evidence *o = c->out;
    static const unsigned usual =
        1U << GN_METHOD_LP | 1U << GN_METHOD_FULL | 1U << GN_METHOD_LORA | 1U << GN_METHOD_LP_FT;
    unsigned methods = (c->options.methods ? c->options.methods : usual) | 1U << GN_METHOD_LP;
    o->run = gn__calloc((size_t)GN_SOURCE_COUNT * GN_METHOD_COUNT, sizeof *o->run);
    c->tally = gn__calloc((size_t)GN_SOURCE_COUNT * GN_METHOD_COUNT, sizeof *c->tally);
    if (o->run == NULL || c->tally == NULL) return gn__no_memory(c->err, sizeof *o->run);
    for (int s = 0; s < GN_SOURCE_COUNT; s++)
        for (int m = 0; m < GN_METHOD_COUNT; m++)
            if ((sources >> s & 1) && (methods >> m & 1))
                o->run[o->runs++] = (gn_finetune_run){.method = (gn_method)m, .source = (gn_source)s};
    for (size_t i = 0; i < o->runs; i++) {
        size_t fit = c->fit.n, test = c->test.n;
        for (size_t s = 0; s < c->seeds; s++) {
            if (o->run[i].source == GN_SOURCE_TRAIN) {
                c->b.total += gn__fit_steps(&c->b, o->run[i].method, fit);
                continue;
            }
            for (int kind = 0; kind < KINDS; kind++) {
                for (size_t f = 0; c->fold[kind] != NULL && f < c->folds[kind][s]; f++) {
                    size_t own = 0;
                    for (size_t p = 0; p < test; p++) own += c->fold[kind][s * test + p] != f;
                    size_t n = own + (o->run[i].source == GN_SOURCE_MIX ? mix_wanted(c, own) : 0);
                    c->b.total += gn__fit_steps(&c->b, o->run[i].method, n);
                    if (o->run[i].source == GN_SOURCE_MIX && o->mix_rows == 0) o->mix_rows = n - own;
                }
            }
        }
    }
    return GN_OK;
}

static gn_status transfer(comparison *c)
{
    gn_finetune_evidence *o = c->out;
    gn_transfer none = {.logme = NAN, .hscore = NAN, .hscore_shrunk = NAN, .shrinkage = NAN};
    o->transfer_train = o->transfer_test = none;
    if (c->set_rows[HELDOUT] > 0) {
        int *y = gn__calloc(c->in->train->rows, sizeof *y);
        if (y == NULL) return gn__no_memory(c->err, c->in->train->rows * sizeof *y);
        for (size_t i = 0; i < c->in->train->rows; i++) y[i] = -1;
        for (size_t p = 0; p < c->fit.n; p++) y[c->fit.row[p]] = c->fit.y[p];
        gn_status status =
            gn_transfer_scores(c->ctx, c->in->train, y, (int)c->classes, &o->transfer_train, c->err);
        free(y);
        GN__TRY(status);
    }
    if (c->set_rows[TEST] < 3) return GN_OK;
    return gn_transfer_scores(c->ctx, c->in->test, c->in->test_label, (int)c->classes, &o->transfer_test,
                              c->err);
}

static gn_status check_input(const gn_finetune_input *in, const gn_finetune_options *o, gn_error *err)
{
    if (in->train->cols != in->test->cols)
        return gn__fail(err, GN_INVALID_ARGUMENT,
                        "the embeddings of train have %zu columns, those of test %zu", in->train->cols,
                        in->test->cols);
    if (o->folds == 1) return gn__fail(err, GN_INVALID_ARGUMENT, "cross-validation needs at least two folds");
    if (o->methods >= 1U << GN_METHOD_COUNT || o->sources >= 1U << GN_SOURCE_COUNT)
        return gn__fail(err, GN_INVALID_ARGUMENT, "an unknown method or source of training");
    if (in->train->rows >= UINT32_MAX / 2 || in->test->rows >= UINT32_MAX / 2)
        return gn__fail(err, GN_UNSUPPORTED, "%zu rows are more than can be trained on",
                        in->train->rows > in->test->rows ? in->train->rows : in->test->rows);
    return GN_OK;
}

static gn_status prepare(comparison *c, const gn__trainer *trainer, unsigned *sources, const char **missing)
{
    const char *train, *test;
    GN__TRY(check_input(c->in, &c->options, c->err));
    if (c->options.store != NULL) GN__TRY(gn__make_directory(c->options.store, c->err));
    GN__TRY(gn__bench_make(&c->b, c->ctx, c->in, &c->options, c->err));
    c->b.trainer = trainer;
    c->b.done = c->b.total = 0;
    *missing = NULL;
    *sources = 0;
    if (c->in->classes < 2) {
        *missing = c->in->train_label ? ONE_TRAIN_CLASS : NO_TRAIN_LABELS;
        return GN_OK;
    }
    GN__TRY(take_rows(c, &train, &test));
    bool folds = c->fold[ORDINARY] != NULL;
    unsigned allowed = (train ? 0 : 1U << GN_SOURCE_TRAIN) | (folds ? 1U << GN_SOURCE_TEST : 0) |
                       (!train && folds ? 1U << GN_SOURCE_MIX : 0);
    *sources = c->options.sources ? c->options.sources & allowed : allowed;
    *missing = test ? test : train;
    return GN_OK;
}

static gn_status run_all(comparison *c, const gn__trainer *trainer)
{
    gn_finetune_evidence *o = c->out;
    unsigned sources = 0;
    const char *missing = NULL;
    double begun = gn__now();
    GN__TRY(prepare(c, trainer, &sources, &missing));
    if (missing != NULL) snprintf(o->reason, sizeof o->reason, "%s", missing);
    if (sources == 0) return GN_OK;
    o->train_rows = c->fit.n;
    o->heldout_rows = c->set_rows[HELDOUT];
    o->test_rows = c->set_rows[TEST];
    if (c->test.group != NULL) {
        gn__units units = {0};
        GN__TRY(gn__units_make(c->test.group, c->test.n, &units, c->err));
        o->test_groups = units.count;
        gn__units_free(&units);
    }
    o->heldout_row = gn__calloc(c->held.n + 1, sizeof *o->heldout_row);
    if (o->heldout_row == NULL) return gn__no_memory(c->err, c->held.n * sizeof *o->heldout_row);
    if (o->heldout_rows > 0) memcpy(o->heldout_row, c->held.row, c->held.n * sizeof *o->heldout_row);
    GN__TRY(transfer(c));
    GN__TRY(plan_runs(c, sources));
    for (size_t i = 0; i < o->runs; i++) GN__TRY(run_make(c, o->run + i, c->tally + i));
    GN__TRY(compare(c));
    o->available = o->runs > 0;
    o->seconds = gn__now() - begun;
    return GN_OK;
}

gn_status gn__finetune_with(gn_context *ctx, const gn_finetune_input *in, const gn_finetune_options *options,
                            const gn__trainer *trainer, gn_finetune_evidence *out, gn_error *err)
{
    *out = (gn_finetune_evidence){.classes = in->classes};
    comparison c = {.ctx = ctx, .in = in, .out = out, .err = err};
    if (options != NULL) c.options = *options;
    c.seeds = out->seeds = c.options.seeds ? c.options.seeds : 3;
    c.classes = in->classes > 0 ? (size_t)in->classes : 0;
    out->worthwhile = c.options.worthwhile > 0 ? c.options.worthwhile : 0.02;
    gn_status status = run_all(&c, trainer);
    for (size_t i = 0; c.tally != NULL && i < out->runs; i++)
        for (int set = 0; set < SETS; set++) {
            free(c.tally[i].right[set]);
            free(c.tally[i].probability[set]);
        }
    free(c.tally);
    rows_free(&c.fit);
    rows_free(&c.held);
    rows_free(&c.test);
    for (int kind = 0; kind < KINDS; kind++) {
        free(c.fold[kind]);
        free(c.folds[kind]);
    }
    if (status != GN_OK) gn_finetune_free(out);
    return status;
}

gn_status gn_finetune(gn_context *ctx, const gn_finetune_input *in, const gn_finetune_options *options,
                      gn_finetune_evidence *out, gn_error *err)
{
    return gn__finetune_with(ctx, in, options, &gn__trainer_default, out, err);
}

gn_status gn_finetune_final(gn_context *ctx, const gn_finetune_input *in, const gn_finetune_options *options,
                            gn_method method, gn_source source, gn_tuned **out, gn_error *err)
{
    static const gn_finetune_options none = {0};
    gn__bench b;
    size_t train = in->train->rows, n = 0;
    *out = NULL;
    if (method <= GN_METHOD_LP || method >= GN_METHOD_COUNT)
        return gn__fail(err, GN_INVALID_ARGUMENT, "%s trains no weights of the model that could be saved",
                        gn_method_name(method));
    GN__TRY(check_input(in, options ? options : &none, err));
    GN__TRY(gn__bench_make(&b, ctx, in, options ? options : &none, err));
    b.trainer = &gn__trainer_default;
    uint32_t *row = gn__calloc(train + in->test->rows, sizeof *row);
    if (row == NULL) return gn__no_memory(err, (train + in->test->rows) * sizeof *row);
    for (size_t i = 0; source != GN_SOURCE_TEST && in->train_label != NULL && i < train; i++)
        if (in->train_label[i] >= 0) row[n++] = (uint32_t)i;
    for (size_t i = 0; source != GN_SOURCE_TRAIN && in->test_label != NULL && i < in->test->rows; i++)
        if (in->test_label[i] >= 0) row[n++] = (uint32_t)(train + i);
    gn__fit_plan plan = {
        .method = method, .source = source, .seed = gn_context_seed(ctx), .row = row, .rows = n};
    b.total = gn__fit_steps(&b, method, n);
    double seconds;
    gn_status status = n > 0 ? gn__fit_train(&b, &plan, NULL, out, &seconds)
                             : gn__fail(err, GN_DATA, "no labelled rows to train on");
    free(row);
    return status;
}

void gn_finetune_free(gn_finetune_evidence *e)
{
    if (e == NULL) return;
    for (size_t i = 0; i < e->runs; i++) {
        gn_finetune_run *r = e->run + i;
        free(r->heldout.correct);
        free(r->test.correct);
        free(r->test_grouped.correct);
        free(r->layer_change);
        free(r->point);
        gn_matrix_free(&r->after_heldout);
        gn_matrix_free(&r->after_test);
    }
    free(e->run);
    free(e->heldout_row);
    *e = (gn_finetune_evidence){0};
}
