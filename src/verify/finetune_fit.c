/* One fit: rows to train on, rows to judge, a method. */
#include "verify/finetune.h"

#include <math.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    FEWEST_ALIGNED = 8,
    LEAST_STEPS = 100,
    MOST_EPOCHS = 20,
    LONG_FIT = 400, /* steps; a shorter fit is begun anew rather than kept half-way: a checkpoint holds three
                       times the weights */
    CHECKPOINT_EVERY = 250 /* steps */
};

const gn__trainer gn__trainer_default = {gn_tune, gn_tuned_apply, gn_tuned_stats, gn_tuned_free};

void gn__fit_free(gn__fit *f)
{
    free(f->probability);
    free(f->layer_change);
    gn_matrix_free(&f->after);
    *f = (gn__fit){0};
}

/* ---- rows of both sides under one number --------------------------------------------------------- */

static size_t train_rows(const gn__bench *b)
{
    return b->in->train->rows;
}

static bool of_test(const gn__bench *b, uint32_t row)
{
    return row >= train_rows(b);
}

static const char *text_of(const gn__bench *b, uint32_t row)
{
    return of_test(b, row) ? b->in->test_text[row - train_rows(b)] : b->in->train_text[row];
}

static uint32_t length_of(const gn__bench *b, uint32_t row)
{
    return of_test(b, row) ? b->in->test_length[row - train_rows(b)] : b->in->train_length[row];
}

static int label_of(const gn__bench *b, uint32_t row)
{
    const int *label = of_test(b, row) ? b->in->test_label : b->in->train_label;
    return label == NULL ? -1 : label[of_test(b, row) ? row - train_rows(b) : row];
}

static const float *vector_of(const gn__bench *b, uint32_t row)
{
    const gn_matrix *x = of_test(b, row) ? b->in->test : b->in->train;
    return x->data + (of_test(b, row) ? row - train_rows(b) : row) * x->cols;
}

/* Groups of both sides, kept apart: a group of train never is one of test. Rows of a side without groups
 * stand alone. */
static uint64_t group_of(const gn__bench *b, uint32_t row)
{
    const uint32_t *group = of_test(b, row) ? b->in->test_group : b->in->train_group;
    uint64_t side = of_test(b, row) ? 1 : 0;
    uint64_t number = of_test(b, row) ? row - train_rows(b) : row;
    if (group != NULL) return side << 33 | group[number];
    return side << 33 | (uint64_t)1 << 32 | number;
}

/* Rows gathered for a trainer or a probe. */
typedef struct gathered {
    const char **text;
    uint32_t *length, *group;
    int *label;
    gn_matrix x;
    size_t rows;
    bool grouped;
} gathered;

static void gathered_free(gathered *g)
{
    free(g->text);
    free(g->length);
    free(g->group);
    free(g->label);
    gn_matrix_free(&g->x);
}

static gn_status gather(const gn__bench *b, const uint32_t *row, size_t rows, gathered *g)
{
    size_t dim = b->in->train->cols;
    *g = (gathered){.rows = rows, .grouped = b->in->train_group != NULL || b->in->test_group != NULL};
    g->text = gn__calloc(rows, sizeof *g->text);
    g->length = gn__calloc(rows, sizeof *g->length);
    g->group = gn__calloc(rows, sizeof *g->group);
    g->label = gn__calloc(rows, sizeof *g->label);
    if (!g->text || !g->length || !g->group || !g->label)
        return gn__no_memory(b->err, rows * (sizeof *g->text + 3 * sizeof *g->group));
    GN__TRY(gn_matrix_create(rows, dim, &g->x, b->err));
    gn__map numbers = {0};
    bool failed = false;
    for (size_t i = 0; i < rows; i++) {
        g->text[i] = text_of(b, row[i]);
        g->length[i] = length_of(b, row[i]);
        g->label[i] = label_of(b, row[i]);
        memcpy(g->x.data + i * dim, vector_of(b, row[i]), dim * sizeof *g->x.data);
        uint64_t group = group_of(b, row[i]);
        failed = failed || !gn__map_put(&numbers, (const char *)&group, sizeof group, (uint32_t)numbers.count,
                                        &g->group[i]);
    }
    gn__map_free(&numbers);
    return failed ? gn__no_memory(b->err, rows * sizeof *g->group) : GN_OK;
}

/* ---- keys ---------------------------------------------------------------------------------------- */

static void put_number(gn__sha256 *h, double x)
{
    gn__sha256_update(h, &x, sizeof x);
}

static void put_tune(gn__sha256 *h, const gn_tune_options *t, int classes)
{
    const double numbers[] = {t->what,
                              (double)t->lora_rank,
                              t->lora_alpha,
                              t->lora_target,
                              (double)t->last_k,
                              (double)t->epochs,
                              (double)t->max_steps,
                              (double)t->batch,
                              (double)t->budget,
                              t->rate,
                              t->head_rate,
                              t->decay,
                              t->beta1,
                              t->beta2,
                              t->eps,
                              t->warmup,
                              t->schedule,
                              t->clip,
                              t->dropout,
                              t->heldout,
                              (double)t->patience,
                              (double)t->evaluate_every,
                              t->dtype,
                              (double)t->memory};
    gn__sha256_update(h, numbers, sizeof numbers);
    for (int c = 0; c < classes; c++) put_number(h, t->class_weight ? t->class_weight[c] : 1);
}

static void put_probe(gn__sha256 *h, const gn_probe_options *p)
{
    put_number(h, (double)p->inner_folds);
    put_number(h, (double)p->lambda_count);
    for (size_t i = 0; i < p->lambda_count && p->lambdas != NULL; i++) put_number(h, p->lambdas[i]);
}

static void put_row(const gn__bench *b, gn__sha256 *h, uint32_t row)
{
    const struct {
        uint64_t group;
        uint32_t length;
        int32_t label;
    } of = {group_of(b, row), length_of(b, row), label_of(b, row)};
    gn__sha256_update(h, &of, sizeof of);
    gn__sha256_update(h, text_of(b, row), of.length);
}

static gn_tune_options options_of(const gn__bench *b, const gn__fit_plan *p);

static gn_status key_of(const gn__bench *b, const gn__fit_plan *p, char key[65])
{
    gn__sha256 h;
    gn_tune_options t = options_of(b, p);
    GN__TRY(gn__sha256_begin(&h, b->err));
    gn__sha256_update(&h, b->key, 64);
    uint64_t seed = p->method == GN_METHOD_LP ? 0 : p->seed; /* the probe has none */
    const double numbers[] = {
        p->method,      (double)p->rows,      (double)p->judges,          p->keep_embeddings,
        b->in->classes, (double)(seed >> 32), (double)(seed & UINT32_MAX)};
    gn__sha256_update(&h, numbers, sizeof numbers);
    if (p->method == GN_METHOD_LP || p->method == GN_METHOD_LP_FT) {
        put_probe(&h, &b->options->probe);
        put_number(&h, (double)gn_context_seed(b->ctx));
    }
    if (p->method != GN_METHOD_LP) put_tune(&h, &t, b->in->classes);
    if (p->method != GN_METHOD_LP && b->options->balanced) put_number(&h, 1);
    for (size_t i = 0; i < p->rows; i++) put_row(b, &h, p->row[i]);
    for (size_t i = 0; i < p->judges; i++) put_row(b, &h, p->judged[i]);
    gn__sha256_end(&h, key);
    return GN_OK;
}

gn_status gn__bench_make(gn__bench *b, gn_context *ctx, const gn_finetune_input *in,
                         const gn_finetune_options *options, gn_error *err)
{
    static const gn_tune_options usual = {
        .decay = -1, .warmup = -1, .clip = -1, .dropout = -1, .heldout = -1, .patience = 4};
    const gn_model_info *m = in->model ? gn_model_get_info(in->model) : NULL;
    *b = (gn__bench){.ctx = ctx, .in = in, .options = options, .err = err};
    b->tune = options->tune ? *options->tune : usual;
    gn__sha256 h;
    GN__TRY(gn__sha256_begin(&h, err));
    if (m != NULL) {
        gn__sha256_update(&h, m->sha256, 64);
        gn__sha256_update(&h, m->poolings, strlen(m->poolings));
        gn__sha256_update(&h, m->prompt, strlen(m->prompt));
        put_number(&h, (double)m->max_length);
        put_number(&h, m->normalize);
        put_number(&h, m->dtype);
    }
    gn__sha256_end(&h, b->key);
    return GN_OK;
}

/* ---- training ------------------------------------------------------------------------------------ */

static gn_tune_options options_of(const gn__bench *b, const gn__fit_plan *p)
{
    static const gn_tune_what what[] = {[GN_METHOD_LP] = GN_TUNE_HEAD,
                                        [GN_METHOD_FULL] = GN_TUNE_FULL,
                                        [GN_METHOD_LORA] = GN_TUNE_LORA,
                                        [GN_METHOD_LP_FT] = GN_TUNE_FULL,
                                        [GN_METHOD_LAST_K] = GN_TUNE_LAST_K};
    gn_tune_options t = b->tune;
    t.what = what[p->method];
    t.seed = p->seed;
    t.head_weight = t.head_bias = NULL;
    t.checkpoint = NULL;
    if (t.checkpoint_every == 0) t.checkpoint_every = CHECKPOINT_EVERY;
    if (p->method == GN_METHOD_LORA) t.rate = b->options->lora_rate;
    gn_tune_defaults(&t);
    /* A few dozen steps teach a model nothing: small sets get more epochs. */
    size_t epoch = p->rows / t.batch + (p->rows % t.batch > 0);
    size_t least = b->options->least_steps ? b->options->least_steps : LEAST_STEPS;
    size_t epochs = epoch > 0 ? least / epoch + (least % epoch > 0) : 0;
    if (epochs > MOST_EPOCHS) epochs = MOST_EPOCHS;
    if (t.epochs < epochs) t.epochs = epochs;
    return t;
}

size_t gn__fit_steps(const gn__bench *b, gn_method method, size_t rows)
{
    if (method == GN_METHOD_LP) return 0;
    const gn__fit_plan plan = {.method = method, .rows = rows};
    gn_tune_options t = options_of(b, &plan);
    size_t steps = (rows / t.batch + (rows % t.batch > 0)) * t.epochs;
    return t.max_steps > 0 && t.max_steps < steps ? t.max_steps : steps;
}

/* The probe as a head: a class that no row had gets an intercept that keeps it unlikely and finite. */
static gn_status probe_head(const gn__bench *b, const gathered *g, gn_probe *probe)
{
    enum { UNSEEN = 10 };
    GN__TRY(gn_probe_fit(b->ctx, &g->x, g->label, b->in->classes, g->grouped ? g->group : NULL,
                         &b->options->probe, probe, b->err));
    float least = INFINITY;
    for (int c = 0; c < probe->classes; c++)
        if (isfinite(probe->intercept[c]) && probe->intercept[c] < least) least = probe->intercept[c];
    for (int c = 0; c < probe->classes; c++)
        if (!isfinite(probe->intercept[c])) probe->intercept[c] = least - UNSEEN;
    return GN_OK;
}

/* Each class's weight in the loss: rows / (classes · its rows), over the classes that occur; 1 for others. */
static gn_status balance(const gn__bench *b, const gathered *g, double **out)
{
    int classes = b->in->classes, present = 0;
    double *weight = *out = gn__calloc((size_t)classes, sizeof *weight);
    if (weight == NULL) return gn__no_memory(b->err, (size_t)classes * sizeof *weight);
    for (size_t i = 0; i < g->rows; i++) weight[g->label[i]]++;
    for (int c = 0; c < classes; c++) present += weight[c] > 0;
    for (int c = 0; c < classes; c++) weight[c] = weight[c] > 0 ? (double)g->rows / (present * weight[c]) : 1;
    return GN_OK;
}

gn_status gn__fit_train(gn__bench *b, const gn__fit_plan *p, const char *checkpoint, gn_tuned **out,
                        double *head_seconds)
{
    gathered g = {0};
    gn_probe probe = {0};
    double *weight = NULL;
    gn_status status;
    GN__TRY_GOTO(gather(b, p->row, p->rows, &g), done);
    gn_tune_options t = options_of(b, p);
    t.checkpoint = checkpoint;
    if (b->options->balanced && t.class_weight == NULL) {
        GN__TRY_GOTO(balance(b, &g, &weight), done);
        t.class_weight = weight;
    }
    double begun = gn__now();
    if (p->method == GN_METHOD_LP_FT) {
        GN__TRY_GOTO(probe_head(b, &g, &probe), done);
        t.head_weight = probe.weight;
        t.head_bias = probe.intercept;
    }
    *head_seconds = gn__now() - begun;
    gn_tune_rows rows = {g.text, g.length, g.label, g.grouped ? g.group : NULL, g.rows, b->in->classes};
    gn__progress_within(b->ctx, b->done, b->total);
    status = b->trainer->train(b->ctx, b->in->model, &rows, &t, out, b->err);
    gn__progress_within(b->ctx, 0, 0);
done:
    gathered_free(&g);
    gn_probe_free(&probe);
    free(weight);
    return status;
}

/* ---- judging ------------------------------------------------------------------------------------- */

/* Alignment of the rows of [begin, end) before and after; NaN where they are too few. */
static gn_status aligned(const gn__bench *b, const gn_matrix *before, const gn_matrix *after, size_t begin,
                         size_t end, double *out)
{
    *out = NAN;
    if (end - begin < FEWEST_ALIGNED) return GN_OK;
    gn_matrix x = {before->data + begin * before->cols, end - begin, before->cols};
    gn_matrix y = {after->data + begin * after->cols, end - begin, after->cols};
    return gn_cka(b->ctx, &x, &y, out, NULL, b->err);
}

static gn_status judge_tuned(gn__bench *b, const gn__fit_plan *p, const gn_tuned *t, gn__fit *out)
{
    gathered g = {0};
    gn_matrix after = {0};
    gn_status status;
    GN__TRY_GOTO(gather(b, p->judged, p->judges, &g), done);
    GN__TRY_GOTO(b->trainer->apply(b->ctx, t, g.text, g.length, g.rows, out->probability, &after, b->err),
                 done);
    size_t test = 0;
    while (test < p->judges && !of_test(b, p->judged[test])) test++;
    GN__TRY_GOTO(aligned(b, &g.x, &after, 0, test, &out->cka_train), done);
    GN__TRY_GOTO(aligned(b, &g.x, &after, test, p->judges, &out->cka_test), done);
    if (p->keep_embeddings) {
        out->after = after;
        after = (gn_matrix){0};
    }
done:
    gn_matrix_free(&after);
    gathered_free(&g);
    return status;
}

static gn_status copy_stats(const gn_tune_stats *s, double head_seconds, gn__fit *out, gn_error *err)
{
    out->steps = s->steps;
    out->tokens = s->tokens;
    out->forward_tokens = s->heldout_tokens;
    out->trained = s->trained;
    out->parameters = s->parameters;
    out->seconds = s->seconds + head_seconds;
    out->core_seconds = s->core_seconds + head_seconds;
    out->memory = s->memory;
    out->stopped_early = s->stopped_early;
    if (s->layer_changes == 0) return GN_OK;
    out->layer_change = gn__calloc(s->layer_changes, sizeof *out->layer_change);
    if (out->layer_change == NULL) return gn__no_memory(err, s->layer_changes * sizeof *out->layer_change);
    memcpy(out->layer_change, s->layer_change, s->layer_changes * sizeof *out->layer_change);
    out->layer_changes = s->layer_changes;
    return GN_OK;
}

static gn_status fit_tuned(gn__bench *b, const gn__fit_plan *p, const char *checkpoint, gn__fit *out)
{
    gn_tuned *t = NULL;
    double head_seconds = 0;
    gn_status status;
    GN__TRY_GOTO(gn__fit_train(b, p, checkpoint, &t, &head_seconds), done);
    GN__TRY_GOTO(copy_stats(b->trainer->stats(t), head_seconds, out, b->err), done);
    GN__TRY_GOTO(judge_tuned(b, p, t, out), done);
done:
    if (t != NULL) b->trainer->free(t);
    return status;
}

static gn_status fit_probe(gn__bench *b, const gn__fit_plan *p, gn__fit *out)
{
    gathered g = {0}, judged = {0};
    gn_probe probe = {0};
    gn_status status;
    double begun = gn__now();
    clock_t spent = clock(); /* of all threads */
    GN__TRY_GOTO(gather(b, p->row, p->rows, &g), done);
    GN__TRY_GOTO(gather(b, p->judged, p->judges, &judged), done);
    GN__TRY_GOTO(gn_probe_fit(b->ctx, &g.x, g.label, b->in->classes, g.grouped ? g.group : NULL,
                              &b->options->probe, &probe, b->err),
                 done);
    GN__TRY_GOTO(gn_probe_predict(b->ctx, &probe, &judged.x, out->probability, b->err), done);
    out->seconds = gn__now() - begun;
    out->core_seconds = (double)(clock() - spent) / CLOCKS_PER_SEC;
    out->trained = (probe.dim + 1) * (size_t)probe.classes;
    out->parameters = out->trained + (b->in->model ? gn_model_get_info(b->in->model)->parameters : 0);
    out->cka_train = out->cka_test = 1;
done:
    gathered_free(&g);
    gathered_free(&judged);
    gn_probe_free(&probe);
    return status;
}

static char *store_path(const gn__bench *b, const char key[65], const char *ending)
{
    char name[64];
    snprintf(name, sizeof name, "fit-%.32s.%s", key, ending);
    return gn__path_join(b->options->store, name);
}

gn_status gn__fit_run(gn__bench *b, const gn__fit_plan *p, gn__fit *out)
{
    size_t k = (size_t)b->in->classes, dim = b->in->train->cols, cells = 0;
    char key[65], *file = NULL, *checkpoint = NULL;
    bool found = false;
    gn_status status;
    *out = (gn__fit){.cka_train = NAN, .cka_test = NAN};
    GN__TRY(gn__check_cancel(b->ctx, b->err));
    bool kept = p->keep_embeddings && p->method != GN_METHOD_LP;
    if (b->options->store != NULL) {
        GN__TRY_GOTO(key_of(b, p, key), done);
        file = store_path(b, key, "bin");
        checkpoint = store_path(b, key, "checkpoint");
        if (file == NULL || checkpoint == NULL) {
            status = gn__no_memory(b->err, sizeof key);
            goto done;
        }
        GN__TRY_GOTO(gn__store_read(file, key, p->judges, k, dim, kept, out, &found, b->err), done);
    }
    if (!found) {
        *out = (gn__fit){.cka_train = NAN, .cka_test = NAN};
        if (gn__mul_size(p->judges, k, &cells))
            out->probability = gn__calloc(cells, sizeof *out->probability);
        if (out->probability == NULL) {
            status = gn__no_memory(b->err, cells * sizeof *out->probability);
            goto done;
        }
        bool brief = gn__fit_steps(b, p->method, p->rows) < LONG_FIT;
        GN__TRY_GOTO(p->method == GN_METHOD_LP ? fit_probe(b, p, out)
                                               : fit_tuned(b, p, brief ? NULL : checkpoint, out),
                     done);
        if (file != NULL) {
            GN__TRY_GOTO(gn__store_write(file, key, out, p->judges, k, dim, b->err), done);
            unlink(checkpoint); /* may never have been written */
        }
    }
    b->done += gn__fit_steps(b, p->method, p->rows);
    gn__progress(b->ctx, GN_STAGE_TUNE, b->done, b->total);
    status = GN_OK;
done:
    free(file);
    free(checkpoint);
    if (status != GN_OK) gn__fit_free(out);
    return status;
}
