/* look → detect → verify → decide, joined. */
#include "data/vectors.h"
#include "genchi/embed.h"
#include "genchi/vectors.h"
#include "pipeline/pipeline.h"

#include <cblas.h>
#include <dnnl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <time.h>
#include <unicode/uversion.h>

enum {
    MIN_ROWS = 20,      /* usable rows a set; the floor under every test and fold */
    EXAMPLES = 12,      /* texts of each set least like the other */
    EXAMPLE_SHOWN = 280 /* code points */
};

/* Everything on its way through; what has been moved into the result is zeroed here. */
typedef struct run {
    gn_context *ctx;
    const gn_check_options *options;
    unsigned steps;
    gn_dataset train, test;
    gn_matrix pooled, control; /* embeddings, train rows first */
    gn_npy file[2];            /* train and test, mapped, where nothing needs them pooled */
    float *score_train, *score_test;
    gn__embed_cost embed_cost; /* of the model's embeddings */
    gn__control *kept;         /* NULL: none is kept */
    gn_result *result;
    gn_error *err;
} run;

/* ---- inputs ------------------------------------------------------------------------------------ */

static gn_status read_vectors(run *r)
{
    const gn_matrix *train = &r->file[0].matrix, *test = &r->file[1].matrix;
    const gn_check_options *o = r->options;
    GN__TRY(gn_vectors_map(r->ctx, o->train, o->train_labels, &r->file[0], &r->train, r->err));
    GN__TRY(gn_vectors_map(r->ctx, o->test, o->test_labels, &r->file[1], &r->test, r->err));
    if (train->cols != test->cols)
        return gn__fail(r->err, GN_INVALID_ARGUMENT,
                        "%s has %zu columns and %s has %zu: they are not from one model", o->train,
                        train->cols, o->test, test->cols);
    if (r->steps != GN_STEP_DETECT) { /* the others want one matrix; detect reads the files where they lie */
        GN__TRY(gn_matrix_create(train->rows + test->rows, train->cols, &r->pooled, r->err));
        memcpy(r->pooled.data, train->data, train->rows * train->cols * sizeof *train->data);
        memcpy(r->pooled.data + train->rows * train->cols, test->data,
               test->rows * test->cols * sizeof *test->data);
        gn_npy_unmap(&r->file[0]);
        gn_npy_unmap(&r->file[1]);
    }
    return gn_dataset_align_classes(&r->train, &r->test, r->err);
}

static gn_status read_texts(run *r)
{
    const gn_check_options *o = r->options;
    GN__TRY(gn_dataset_read(r->ctx, o->train, &o->train_options, &r->train, r->err));
    GN__TRY(gn_dataset_read(r->ctx, o->test, &o->test_options, &r->test, r->err));
    GN__TRY(gn_dataset_align_classes(&r->train, &r->test, r->err));
    return gn_dataset_deduplicate(&r->train, &r->test, o->keep_duplicates, &r->result->duplicates, r->err);
}

static gn_status enough_rows(const run *r, const gn_dataset *d, const char *which)
{
    if (d->rows >= MIN_ROWS) return GN_OK;
    size_t repeated = d == &r->train ? r->result->duplicates.removed_from_train : 0;
    return gn__fail(
        r->err, GN_DATA,
        "%s: the %s set has %zu usable rows, at least %d are needed (%zu read, %zu malformed, %zu "
        "empty, %zu dropped by label, %zu also in the other set)",
        d->path, which, d->rows, (int)MIN_ROWS, d->rows_read, d->malformed, d->empty_texts,
        d->dropped_by_label, repeated);
}

/* ---- embeddings -------------------------------------------------------------------------------- */

static gn_status model_info_copy(const gn_model_info *from, gn_model_evidence_info *to, gn_error *err)
{
    *to = (gn_model_evidence_info){
        .name = gn__strdup(from->name),
        .architecture = gn__strdup(from->architecture),
        .path = gn__strdup(from->path),
        .pooling = gn__strdup(from->remote ? "external" : from->poolings),
        .prompt = from->prompt != NULL && from->prompt[0] != '\0' ? gn__strdup(from->prompt) : NULL,
        .dtype = gn__strdup(gn_dtype_name(from->dtype)),
        .tokenizer = gn__strdup(from->tokenizer),
        .dim = from->dim,
        .layers = from->layers,
        .max_length = from->max_length,
        .parameters = from->parameters,
        .normalize = from->normalize};
    memcpy(to->sha256, from->sha256, sizeof to->sha256);
    if (to->name == NULL || to->architecture == NULL || to->pooling == NULL || to->dtype == NULL ||
        to->tokenizer == NULL || (from->path != NULL && to->path == NULL) ||
        (from->prompt[0] != '\0' && to->prompt == NULL))
        return gn__no_memory(err, sizeof *to);
    return GN_OK;
}

/* Loads a model, embeds both sets in one call (train first) and fills the evidence's model part. */
static gn_status embed(run *r, const char *name, const gn_model_options *model_options, gn_matrix *out,
                       gn_model_evidence *evidence, gn_timing *timing)
{
    size_t n_train = r->train.rows, n = n_train + r->test.rows;
    gn_model *model = NULL;
    gn_embed_stats stats = {0};
    gn_status status;
    const char **text = gn__calloc(n, sizeof *text);
    uint32_t *length = gn__calloc(n, sizeof *length);
    unsigned char *cut = gn__calloc(n, 1);
    if (text == NULL || length == NULL || cut == NULL) {
        status = gn__no_memory(r->err, n * sizeof *text);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        const gn_dataset *d = i < n_train ? &r->train : &r->test;
        size_t row = i < n_train ? i : i - n_train;
        text[i] = d->text[row];
        length[i] = d->length[row];
    }
    double t0 = gn__now();
    GN__TRY_GOTO(gn_model_load(r->ctx, name, model_options, &model, r->err), done);
    GN__TRY_GOTO(model_info_copy(gn_model_get_info(model), &evidence->model, r->err), done);
    double t1 = gn__now();
    clock_t spent = clock(); /* of all threads */
    timing->load = t1 - t0;
    timing->peak_after.load = gn__peak_memory();
    GN__TRY_GOTO(
        gn_model_embed_cached(r->ctx, r->options->cache, model, text, length, n, out, cut, &stats, r->err),
        done);
    timing->embed = gn__now() - t1;
    timing->peak_after.embed = gn__peak_memory();
    for (size_t i = 0; i < n; i++)
        *(i < n_train ? &evidence->model.cut_train : &evidence->model.cut_test) += cut[i];
    evidence->model.tokens = stats.tokens;
    if (evidence == &r->result->main)
        r->embed_cost = (gn__embed_cost){.tokens = stats.tokens,
                                         .seconds = timing->embed,
                                         .core_seconds = (double)(clock() - spent) / CLOCKS_PER_SEC};
done:
    gn_model_free(model);
    free(text);
    free(length);
    free(cut);
    return status;
}

/* Embeddings that came as .npy: what can be said of their model. */
static gn_status vectors_info(run *r)
{
    gn_model_evidence_info *m = &r->result->main.model;
    m->name = gn__strdup("embeddings");
    m->architecture = gn__strdup("external");
    m->pooling = gn__strdup("external");
    m->dtype = gn__strdup(gn_dtype_name(GN_DTYPE_F32));
    m->tokenizer = gn__strdup("external");
    m->dim = r->pooled.data != NULL ? r->pooled.cols : r->file[0].matrix.cols;
    return m->name && m->architecture && m->pooling && m->dtype && m->tokenizer ? GN_OK
                                                                                : gn__no_memory(r->err, 64);
}

/* ---- evidence between the two spaces ----------------------------------------------------------- */

/* The honest evaluation within test: whole groups where there are any. */
static gn_eval_kind honest_cv(const gn_probe_evidence *p)
{
    return p->eval[GN_EVAL_TEST_CV_GROUPED].available ? GN_EVAL_TEST_CV_GROUPED : GN_EVAL_TEST_CV;
}

/* Model against control on the same test rows. */
static gn_status compare_with_control(run *r)
{
    gn_probe_evidence *model = &r->result->main.probe;
    const gn_probe_evidence *control = &r->result->control.probe;
    if (!model->available || !control->available) return GN_OK;
    const struct {
        gn_eval_kind kind;
        gn_paired *out;
    } pair[] = {{honest_cv(model), &model->test_cv_vs_control},
                {GN_EVAL_TRAIN_TO_TEST, &model->train_to_test_vs_control}};
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++) {
        const gn_evaluation *a = &model->eval[pair[i].kind], *b = &control->eval[pair[i].kind];
        if (!a->available || !b->available) continue;
        GN__TRY(gn_paired_correct(r->ctx, a->correct, b->correct, r->test.rows, r->test.group,
                                  r->options->probe.bootstrap, gn__purpose("pipeline/control") + i,
                                  pair[i].out, r->err));
    }
    return GN_OK;
}

typedef struct ranked {
    double score;
    size_t row;
} ranked;

static int by_score(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* The rows of a set most surely told apart from the other, each distinct text once. sign: -1 when score
 * is the probability of the other set. */
static gn_status examples_make(run *r, const gn_dataset *d, const float *score, bool score_is_own,
                               gn_example **out, size_t *count)
{
    ranked *order = gn__calloc(d->rows, sizeof *order);
    *out = gn__calloc(EXAMPLES, sizeof **out);
    gn__map seen = {0};
    gn_status status = GN_OK;
    if (order == NULL || *out == NULL) {
        status = gn__no_memory(r->err, d->rows * sizeof *order);
        goto done;
    }
    size_t n = 0;
    for (size_t i = 0; i < d->rows; i++)
        if (!isnan(score[i])) order[n++] = (ranked){score_is_own ? score[i] : 1.0 - score[i], i};
    qsort(order, n, sizeof *order, by_score);
    for (size_t k = 0; k < n && *count < EXAMPLES; k++) {
        size_t row = order[k].row;
        gn_example e = {.row = row,
                        .line = d->line ? d->line[row] : 0,
                        .label = d->label ? d->label[row] : -1,
                        .score = order[k].score};
        if (d->text != NULL) {
            if (gn__map_get(&seen, d->text[row], d->length[row]) >= 0) continue;
            if (!gn__map_put(&seen, d->text[row], d->length[row], 0, NULL)) {
                status = gn__no_memory(r->err, d->length[row]);
                goto done;
            }
            if (!r->options->hide_texts) {
                e.text = gn__shorten(d->text[row], d->length[row], EXAMPLE_SHOWN);
                if (e.text == NULL) {
                    status = gn__no_memory(r->err, EXAMPLE_SHOWN);
                    goto done;
                }
            }
        }
        (*out)[(*count)++] = e;
    }
done:
    gn__map_free(&seen);
    free(order);
    return status;
}

static void decide(run *r)
{
    const gn_result *q = r->result;
    const gn_evidence e = {.shift = &q->main.shift,
                           .by_label = q->main.by_label,
                           .labels = q->main.by_label ? (size_t)q->classes : 0,
                           .control_shift = q->has_control ? &q->control.shift : NULL,
                           .overlap_pc1 = &q->main.picture.pc1,
                           .probe = &q->main.probe,
                           .control_probe = q->has_control ? &q->control.probe : NULL,
                           .train_rows = q->train.rows,
                           .test_rows = q->test.rows,
                           .duplicates_across = q->duplicates.across,
                           .conflicting_train = q->duplicates.conflicting_train,
                           .conflicting_test = q->duplicates.conflicting_test,
                           .duplicates_kept = q->kept_duplicates,
                           .cut_texts = q->main.model.cut_train + q->main.model.cut_test,
                           .grouped = r->test.group != NULL,
                           .kind = &q->kind,
                           .where = &q->where,
                           .finetune = r->steps & GN_STEP_FINETUNE ? &q->finetune : NULL};
    gn_decide(&e, &r->result->verdict);
}

/* ---- what the report says of the inputs --------------------------------------------------------- */

static bool copy_string(char **to, const char *from)
{
    *to = gn__strdup(from);
    return from == NULL || *to != NULL;
}

static gn_status set_info(run *r, const gn_dataset *d, bool vectors, gn_set_info *s)
{
    *s = (gn_set_info){.rows = d->rows,
                       .rows_read = d->rows_read,
                       .malformed = d->malformed,
                       .empty = d->empty_texts,
                       .dropped_by_label = d->dropped_by_label,
                       .unlabelled = d->unlabelled,
                       .groups = d->group ? d->groups : 0};
    memcpy(s->sha256, d->sha256, sizeof s->sha256);
    bool ok = copy_string(&s->path, d->path) && copy_string(&s->text_column, d->text_column) &&
              copy_string(&s->label_column, d->label_column) &&
              copy_string(&s->group_column, d->group_column) &&
              copy_string(&s->format, vectors ? strrchr(d->path, '.') + 1 : gn_format_name(d->format)) &&
              (vectors || copy_string(&s->encoding, gn_encoding_name(d->encoding)));
    if (d->malformed > 0) {
        s->malformed_line = gn__calloc(d->malformed, sizeof *s->malformed_line);
        s->malformed_reason = gn__calloc(d->malformed, sizeof *s->malformed_reason);
        ok = ok && s->malformed_line != NULL && s->malformed_reason != NULL;
        for (size_t i = 0; ok && i < d->malformed; i++) {
            s->malformed_line[i] = d->malformed_rows[i].line;
            ok = copy_string(&s->malformed_reason[i], d->malformed_rows[i].reason);
        }
    }
    if (d->label != NULL) {
        s->class_rows = gn__calloc((size_t)r->result->classes, sizeof *s->class_rows);
        ok = ok && s->class_rows != NULL;
        for (size_t i = 0; ok && i < d->rows; i++)
            if (d->label[i] >= 0) s->class_rows[d->label[i]]++;
    }
    return ok ? GN_OK : gn__no_memory(r->err, sizeof *s);
}

static gn_status class_names(run *r)
{
    const gn_dataset *d = r->train.label != NULL ? &r->train : &r->test;
    gn_result *q = r->result;
    if (d->label == NULL) return GN_OK;
    q->class_name = gn__calloc((size_t)d->classes, sizeof *q->class_name);
    if (q->class_name == NULL) return gn__no_memory(r->err, sizeof *q->class_name);
    q->classes = d->classes;
    for (int k = 0; k < d->classes; k++)
        if (!copy_string(&q->class_name[k], d->class_names[k])) return gn__no_memory(r->err, 64);
    return GN_OK;
}

static gn_status libraries(run *r)
{
    enum { COUNT = 4 };
    char name[COUNT][160];
    gn_result *q = r->result;
    const dnnl_version_t *onednn = dnnl_version();
    snprintf(name[0], sizeof name[0], "oneDNN %d.%d.%d", onednn->major, onednn->minor, onednn->patch);
    snprintf(name[1], sizeof name[1], "%.150s", openblas_get_config());
    snprintf(name[2], sizeof name[2], "ICU %s", U_ICU_VERSION);
    snprintf(name[3], sizeof name[3], "jansson %s", JANSSON_VERSION);
    q->library = gn__calloc(COUNT, sizeof *q->library);
    if (q->library == NULL) return gn__no_memory(r->err, sizeof *q->library);
    for (size_t i = 0; i < COUNT; i++) {
        if (!copy_string(&q->library[i], name[i])) return gn__no_memory(r->err, sizeof name[i]);
        q->libraries++;
    }
    return GN_OK;
}

static gn_status provenance(run *r)
{
    gn_result *q = r->result;
    char when[32];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    q->seed = gn_context_seed(r->ctx);
    q->threads = gn_context_threads(r->ctx);
    q->steps = r->steps;
    q->kept_duplicates = r->options->keep_duplicates;
    if (!copy_string(&q->created, when) || !copy_string(&q->version, gn_version()) ||
        !copy_string(&q->command, r->options->command))
        return gn__no_memory(r->err, sizeof when);
    return libraries(r);
}

/* ---- the line ---------------------------------------------------------------------------------- */

static gn_status space_of(run *r, const gn_matrix *pooled, gn__space *out)
{
    *out = (gn__space){.train = &r->train,
                       .test = &r->test,
                       .pooled = pooled,
                       .classes = r->result->classes,
                       .labels = r->train.label != NULL && r->test.label != NULL};
    if (pooled->data == NULL) out->apart[0] = &r->file[0].matrix, out->apart[1] = &r->file[1].matrix;
    return gn__check_cancel(r->ctx, r->err);
}

static gn_status run_control(run *r)
{
    gn_result *q = r->result;
    gn__space space;
    gn_timing aside = {0}; /* all of the control's time counts as control */
    double t0 = gn__now();
    q->has_control = true;
    if (r->kept != NULL && r->kept->there) {
        q->control = r->kept->evidence;
        return compare_with_control(r);
    }
    GN__TRY(embed(r, "builtin:char-ngram", NULL, &r->control, &q->control, &aside));
    GN__TRY(space_of(r, &r->control, &space));
    GN__TRY(gn__evidence_run(r->ctx, &space, r->options, r->steps, false, &q->control, NULL, NULL, &aside,
                             r->err));
    GN__TRY(compare_with_control(r));
    q->timing.control = gn__now() - t0;
    q->timing.peak_after.control = gn__peak_memory();
    gn_matrix_free(&r->control);
    if (r->kept != NULL) *r->kept = (gn__control){true, q->control};
    return GN_OK;
}

void gn__control_return(const gn__control *control, gn_result *r)
{
    if (control->there && r->has_control) r->control = (gn_model_evidence){0};
}

void gn__control_free(gn__control *c)
{
    gn_result holder = {.has_control = true, .control = c->evidence}; /* knows how to free it */
    if (c->there) gn_result_free(&holder);
    *c = (gn__control){0};
}

static gn_status keep(const gn_matrix *view, gn_matrix *out, gn_error *err)
{
    if (out == NULL) return GN_OK;
    GN__TRY(gn_matrix_create(view->rows, view->cols, out, err));
    memcpy(out->data, view->data, view->rows * view->cols * sizeof *view->data);
    return GN_OK;
}

static gn_status run_all(run *r)
{
    const gn_check_options *o = r->options;
    gn_result *q = r->result;
    bool vectors = o->model == NULL;
    gn__space space;
    double start = gn__now();
    gn__progress(r->ctx, GN_STAGE_READ, 0, 2);
    GN__TRY(vectors ? read_vectors(r) : read_texts(r));
    GN__TRY(enough_rows(r, &r->train, "train"));
    GN__TRY(enough_rows(r, &r->test, "test"));
    GN__TRY(class_names(r));
    GN__TRY(set_info(r, &r->train, vectors, &q->train));
    GN__TRY(set_info(r, &r->test, vectors, &q->test));
    GN__TRY(provenance(r));
    q->timing.read = gn__now() - start;
    q->timing.peak_after.read = gn__peak_memory();
    gn__progress(r->ctx, GN_STAGE_READ, 2, 2);
    GN__TRY(gn__check_cancel(r->ctx, r->err));
    if (vectors)
        GN__TRY(vectors_info(r));
    else
        GN__TRY(embed(r, o->model, &o->model_options, &r->pooled, &q->main, &q->timing));
    GN__TRY(space_of(r, &r->pooled, &space));
    gn_matrix train = gn__space_train(&space), test = gn__space_test(&space);
    GN__TRY(keep(&train, o->keep_train, r->err));
    GN__TRY(keep(&test, o->keep_test, r->err));
    r->score_train = gn__calloc(r->train.rows, sizeof *r->score_train);
    r->score_test = gn__calloc(r->test.rows, sizeof *r->score_test);
    if (r->score_train == NULL || r->score_test == NULL)
        return gn__no_memory(r->err, (r->train.rows + r->test.rows) * sizeof *r->score_train);
    GN__TRY(gn__evidence_run(r->ctx, &space, o, r->steps, true, &q->main, r->score_train, r->score_test,
                             &q->timing, r->err));
    if (r->steps & GN_STEP_DETECT) {
        GN__TRY(examples_make(r, &r->train, r->score_train, false, &q->only_train, &q->examples_train));
        GN__TRY(examples_make(r, &r->test, r->score_test, true, &q->only_test, &q->examples_test));
        GN__TRY(gn__explain(r->ctx, &space, o, r->score_train, r->score_test, q, r->err));
    }
    if (r->steps & GN_STEP_FINETUNE) GN__TRY(gn__finetune_step(r->ctx, &space, o, &r->embed_cost, q, r->err));
    gn_matrix_free(&r->pooled);
    if (r->steps & GN_STEP_DECIDE) {
        if (!vectors && strcmp(q->main.model.architecture, "char-ngram") != 0) GN__TRY(run_control(r));
        decide(r);
    }
    q->timing.total = gn__now() - start;
    q->timing.peak_memory = gn__peak_memory();
    return GN_OK;
}

gn_status gn_check(gn_context *ctx, const gn_check_options *options, gn_result *out, gn_error *err)
{
    return gn__check(ctx, options, NULL, out, err);
}

gn_status gn__check(gn_context *ctx, const gn_check_options *options, gn__control *control, gn_result *out,
                    gn_error *err)
{
    gn_result result = {0};
    run r = {.ctx = ctx,
             .options = options,
             .steps = options->steps ? options->steps : (unsigned)GN_STEP_ALL,
             .kept = control,
             .result = &result,
             .err = err};
    if (r.steps & GN_STEP_DECIDE) r.steps |= GN_STEP_ALL;
    gn_status status = run_all(&r);
    gn_dataset_free(&r.train);
    gn_dataset_free(&r.test);
    gn_npy_unmap(&r.file[0]);
    gn_npy_unmap(&r.file[1]);
    gn_matrix_free(&r.pooled);
    gn_matrix_free(&r.control);
    free(r.score_train);
    free(r.score_test);
    if (status == GN_OK) {
        *out = result;
        return GN_OK;
    }
    if (control != NULL) gn__control_return(control, &result);
    gn_result_free(&result);
    return status;
}
