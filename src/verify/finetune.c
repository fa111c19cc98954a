/* The comparison with fine-tuning: plans the runs, fits them, and puts the evidence together. */
#include "verify/finetune_parts.h"

#include <math.h>
#include <stdio.h>

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
static void put(const gn__finetune *c, const gn__fit *f, size_t judge, int set, size_t seed, size_t position,
                int y, gn__tally *t)
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
static gn_status keep_after(gn__finetune *c, gn_finetune_run *run, const gn__fit *f, const gn__fit_rows *r)
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

static gn_status one_fit(gn__finetune *c, gn_finetune_run *run, gn__tally *t, int kind, size_t seed,
                         size_t fold, mean cka[2])
{
    gn__fit_rows r;
    gn__fit f = {0};
    GN__TRY(gn__fit_rows_make(c, run->source, kind, seed, fold, &r));
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
    for (size_t i = 0; i < r.held; i++) put(c, &f, i, GN__HELDOUT, seed, i, c->held.y[i], t);
    for (size_t i = r.held; i < r.judges; i++) {
        size_t p = r.position[i - r.held];
        if (kind == GN__ORDINARY) put(c, &f, i, GN__TEST, seed, p, c->test.y[p], t);
        if (c->set_rows[GN__TEST_GROUPED] > 0 && (kind == GN__GROUPED || run->source == GN_SOURCE_TRAIN))
            put(c, &f, i, GN__TEST_GROUPED, seed, p, c->test.y[p], t);
    }
    mean_add(&cka[0], f.cka_train);
    mean_add(&cka[1], f.cka_test);
    GN__TRY_GOTO(add_cost(run, &f, c->err), done);
    if (seed == 0) GN__TRY_GOTO(keep_after(c, run, &f, &r), done);
done:
    gn__fit_free(&f);
    gn__fit_rows_free(&r);
    return status;
}

/* ---- runs ---------------------------------------------------------------------------------------- */

static gn_status run_make(gn__finetune *c, gn_finetune_run *run, gn__tally *t)
{
    mean cka[2] = {{0, 0}, {0, 0}};
    GN__TRY(gn__tally_make(c, run->source, t));
    run->seeds = c->seeds;
    for (size_t s = 0; s < c->seeds; s++) {
        if (run->source == GN_SOURCE_TRAIN) {
            GN__TRY(one_fit(c, run, t, GN__ORDINARY, s, 0, cka));
            continue;
        }
        for (int kind = 0; kind < GN__KINDS; kind++)
            for (size_t f = 0; c->fold[kind] != NULL && f < c->folds[kind][s]; f++)
                GN__TRY(one_fit(c, run, t, kind, s, f, cka));
    }
    if (run->source != GN_SOURCE_TRAIN) {
        run->folds = c->folds[GN__ORDINARY][0];
        run->folds_grouped = c->fold[GN__GROUPED] ? c->folds[GN__GROUPED][0] : 0;
    }
    for (size_t i = 0; i < run->layer_changes; i++) run->layer_change[i] /= (double)run->cost.fits;
    if (run->method == GN_METHOD_LP) {
        run->cost.forward_tokens = (double)c->in->embed_tokens;
        run->cost.seconds += c->in->embed_seconds;
        run->cost.core_seconds += c->in->embed_core_seconds;
    }
    run->cka_heldout = cka[0].n ? cka[0].sum / (double)cka[0].n : NAN;
    run->cka_test = cka[1].n ? cka[1].sum / (double)cka[1].n : NAN;
    for (int set = 0; set < GN__SETS; set++) GN__TRY(gn__tally_score(c, run, t, set));
    const gn_finetune_judged *honest = run->test_grouped.available ? &run->test_grouped : &run->test;
    run->gap = (gn_interval){NAN, NAN, NAN};
    if (honest->available && run->heldout.available)
        run->gap = gn__difference(honest->scores.accuracy, run->heldout.scores.accuracy);
    return GN_OK;
}

/* ---- all of it ----------------------------------------------------------------------------------- */

static gn_status plan_runs(gn__finetune *c, unsigned sources)
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
            for (int kind = 0; kind < GN__KINDS; kind++) {
                for (size_t f = 0; c->fold[kind] != NULL && f < c->folds[kind][s]; f++) {
                    size_t own = 0;
                    for (size_t p = 0; p < test; p++) own += c->fold[kind][s * test + p] != f;
                    size_t n = own + (o->run[i].source == GN_SOURCE_MIX ? gn__mix_wanted(c, own) : 0);
                    c->b.total += gn__fit_steps(&c->b, o->run[i].method, n);
                    if (o->run[i].source == GN_SOURCE_MIX && o->mix_rows == 0) o->mix_rows = n - own;
                }
            }
        }
    }
    return GN_OK;
}

static gn_status transfer(gn__finetune *c)
{
    gn_finetune_evidence *o = c->out;
    gn_transfer none = {.logme = NAN, .hscore = NAN, .hscore_shrunk = NAN, .shrinkage = NAN};
    o->transfer_train = o->transfer_test = none;
    if (c->set_rows[GN__HELDOUT] > 0) {
        int *y = gn__calloc(c->in->train->rows, sizeof *y);
        if (y == NULL) return gn__no_memory(c->err, c->in->train->rows * sizeof *y);
        for (size_t i = 0; i < c->in->train->rows; i++) y[i] = -1;
        for (size_t p = 0; p < c->fit.n; p++) y[c->fit.row[p]] = c->fit.y[p];
        gn_status status =
            gn_transfer_scores(c->ctx, c->in->train, y, (int)c->classes, &o->transfer_train, c->err);
        free(y);
        GN__TRY(status);
    }
    if (c->set_rows[GN__TEST] < 3) return GN_OK;
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

static gn_status prepare(gn__finetune *c, const gn__trainer *trainer, unsigned *sources, const char **missing)
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
        *missing = c->in->train_label ? GN__ONE_TRAIN_CLASS : GN__NO_TRAIN_LABELS;
        return GN_OK;
    }
    GN__TRY(gn__finetune_rows(c, &train, &test));
    bool folds = c->fold[GN__ORDINARY] != NULL;
    unsigned allowed = (train ? 0 : 1U << GN_SOURCE_TRAIN) | (folds ? 1U << GN_SOURCE_TEST : 0) |
                       (!train && folds ? 1U << GN_SOURCE_MIX : 0);
    *sources = c->options.sources ? c->options.sources & allowed : allowed;
    *missing = test ? test : train;
    return GN_OK;
}

static gn_status run_all(gn__finetune *c, const gn__trainer *trainer)
{
    gn_finetune_evidence *o = c->out;
    unsigned sources = 0;
    const char *missing = NULL;
    double begun = gn__now();
    GN__TRY(prepare(c, trainer, &sources, &missing));
    if (missing != NULL) snprintf(o->reason, sizeof o->reason, "%s", missing);
    if (sources == 0) return GN_OK;
    o->train_rows = c->fit.n;
    o->heldout_rows = c->set_rows[GN__HELDOUT];
    o->test_rows = c->set_rows[GN__TEST];
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
    GN__TRY(gn__finetune_compare(c));
    o->available = o->runs > 0;
    o->seconds = gn__now() - begun;
    return GN_OK;
}

gn_status gn__finetune_with(gn_context *ctx, const gn_finetune_input *in, const gn_finetune_options *options,
                            const gn__trainer *trainer, gn_finetune_evidence *out, gn_error *err)
{
    *out = (gn_finetune_evidence){.classes = in->classes};
    gn__finetune c = {.ctx = ctx, .in = in, .out = out, .err = err};
    if (options != NULL) c.options = *options;
    c.seeds = out->seeds = c.options.seeds ? c.options.seeds : 3;
    c.classes = in->classes > 0 ? (size_t)in->classes : 0;
    out->worthwhile = c.options.worthwhile > 0 ? c.options.worthwhile : 0.02;
    gn_status status = run_all(&c, trainer);
    for (size_t i = 0; c.tally != NULL && i < out->runs; i++)
        for (int set = 0; set < GN__SETS; set++) {
            free(c.tally[i].right[set]);
            free(c.tally[i].probability[set]);
        }
    free(c.tally);
    gn__rows_free(&c.fit);
    gn__rows_free(&c.held);
    gn__rows_free(&c.test);
    for (int kind = 0; kind < GN__KINDS; kind++) {
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
