/* The same check over several models. */
#include "genchi/compare.h"

#include "pipeline/pipeline.h"

#include <math.h>
#include <stdio.h>

enum { MAX_MODELS = 64 };

typedef struct answers {
    float *test_cv, *train_to_test; /* [test rows] how often each was judged right; NULL: not available */
} answers;

typedef struct comparing {
    gn_context *ctx;
    const gn_check_options *options;
    gn_dataset train, test; /* for the test rows' labels and groups */
    answers *answer;        /* [models] */
    gn__control control;    /* the same for every model */
    gn_comparison *out;
    gn_error *err;
} comparing;

static gn_status load_all(comparing *c, const char *const *model, size_t models)
{
    for (size_t i = 0; i < models; i++) {
        gn_model *m = NULL;
        for (size_t k = 0; k < i; k++)
            if (strcmp(model[i], model[k]) == 0)
                return gn__fail(c->err, GN_INVALID_ARGUMENT, "the model %s is named twice", model[i]);
        GN__TRY(gn_model_load(c->ctx, model[i], &c->options->model_options, &m, c->err));
        gn_model_free(m);
    }
    return GN_OK;
}

static gn_status read_sets(comparing *c)
{
    const gn_check_options *o = c->options;
    GN__TRY(gn_dataset_read(c->ctx, o->train, &o->train_options, &c->train, c->err));
    GN__TRY(gn_dataset_read(c->ctx, o->test, &o->test_options, &c->test, c->err));
    return gn_dataset_align_classes(&c->train, &c->test, c->err);
}

static gn_interval accuracy(const gn_evaluation *e)
{
    return e->available ? e->scores.accuracy : (gn_interval){NAN, NAN, NAN};
}

/* Moves out of the result what is kept of it. */
static void take(comparing *c, gn_result *r, size_t i)
{
    gn_model_evidence *e = &r->main;
    gn_evaluation *eval = e->probe.eval;
    gn_compared *m = &c->out->model[i];
    gn_eval_kind honest = eval[GN_EVAL_TEST_CV_GROUPED].available ? GN_EVAL_TEST_CV_GROUPED : GN_EVAL_TEST_CV;
    *m = (gn_compared){.model = e->model,
                       .load_seconds = r->timing.load,
                       .embed_seconds = r->timing.embed,
                       .shift = e->shift,
                       .overlap = e->picture.pc1,
                       .grouped = honest == GN_EVAL_TEST_CV_GROUPED,
                       .test_cv = accuracy(&eval[honest]),
                       .train_heldout = accuracy(&eval[GN_EVAL_TRAIN_HELDOUT]),
                       .train_to_test = accuracy(&eval[GN_EVAL_TRAIN_TO_TEST]),
                       .gap = e->probe.transfer_gap,
                       .verdict = r->verdict,
                       .in_the_race = eval[honest].available};
    m->texts_per_second = (double)(r->train.rows + r->test.rows) / fmax(r->timing.embed, 1e-9);
    e->model = (gn_model_evidence_info){0};
    c->answer[i].test_cv = eval[honest].correct;
    eval[honest].correct = NULL;
    c->answer[i].train_to_test = eval[GN_EVAL_TRAIN_TO_TEST].correct;
    eval[GN_EVAL_TRAIN_TO_TEST].correct = NULL;
    if (i > 0) return;
    c->out->train_rows = r->train.rows;
    c->out->test_rows = r->test.rows;
    c->out->alpha = c->options->detect.alpha > 0 ? c->options->detect.alpha : 0.05;
    c->out->seed = r->seed;
    /* strings change hands */
    struct {
        char **to, **from;
    } string[] = {{&c->out->created, &r->created},
                  {&c->out->version, &r->version},
                  {&c->out->command, &r->command},
                  {&c->out->train, &r->train.path},
                  {&c->out->test, &r->test.path}};
    for (size_t k = 0; k < sizeof string / sizeof *string; k++) {
        *string[k].to = *string[k].from;
        *string[k].from = NULL;
    }
    memcpy(c->out->train_sha256, r->train.sha256, sizeof c->out->train_sha256);
    memcpy(c->out->test_sha256, r->test.sha256, sizeof c->out->test_sha256);
}

static gn_status check_one(comparing *c, const char *model, size_t i)
{
    gn_check_options o = *c->options;
    gn_result r = {0};
    o.model = model;
    o.steps = GN_STEP_ALL;
    o.keep_train = o.keep_test = NULL;
    o.hide_texts = true; /* none is shown */
    GN__TRY(gn__check(c->ctx, &o, &c->control, &r, c->err));
    take(c, &r, i);
    gn__control_return(&c->control, &r);
    gn_result_free(&r);
    return GN_OK;
}

/* Every pair on the rows that both judged. */
static gn_status pair_up(comparing *c)
{
    gn_comparison *out = c->out;
    size_t n = out->models, bootstrap = c->options->probe.bootstrap;
    double *p[2] = {NULL, NULL};
    gn_status status = GN_OK;
    out->pair = gn__calloc(n * (n - 1) / 2, sizeof *out->pair);
    p[0] = gn__calloc(n * (n - 1) / 2, sizeof **p);
    p[1] = gn__calloc(n * (n - 1) / 2, sizeof **p);
    if (out->pair == NULL || p[0] == NULL || p[1] == NULL) {
        status = gn__no_memory(c->err, n * n * sizeof *out->pair);
        goto done;
    }
    for (size_t a = 0; a < n; a++)
        for (size_t b = a + 1; b < n; b++) {
            gn_compared_pair *q = &out->pair[out->pairs];
            *q = (gn_compared_pair){.a = a, .b = b};
            const struct {
                const float *x, *y;
                gn_paired *out;
            } kind[] = {{c->answer[a].test_cv, c->answer[b].test_cv, &q->test_cv},
                        {c->answer[a].train_to_test, c->answer[b].train_to_test, &q->train_to_test}};
            for (size_t k = 0; k < 2; k++) {
                if (kind[k].x != NULL && kind[k].y != NULL)
                    GN__TRY_GOTO(gn_paired_correct(c->ctx, kind[k].x, kind[k].y, c->test.rows, c->test.group,
                                                   bootstrap,
                                                   gn__purpose("pipeline/compare") + 2 * out->pairs + k,
                                                   kind[k].out, c->err),
                                 done);
                p[k][out->pairs] = kind[k].out->available ? kind[k].out->p_value : NAN;
            }
            out->pairs++;
        }
    gn_holm(p[0], out->pairs);
    gn_holm(p[1], out->pairs);
    for (size_t i = 0; i < out->pairs; i++) {
        out->pair[i].test_cv_p_holm = p[0][i];
        out->pair[i].train_to_test_p_holm = p[1][i];
    }
done:
    free(p[0]);
    free(p[1]);
    return status;
}

/* The better start beats every other; who is beaten by nobody is in the race. */
static gn_status rank(comparing *c)
{
    gn_comparison *out = c->out;
    size_t wins[MAX_MODELS] = {0};
    out->better = -1;
    for (size_t i = 0; i < out->pairs; i++) {
        const gn_compared_pair *q = &out->pair[i];
        if (!(q->test_cv_p_holm <= out->alpha) || q->test_cv.difference.estimate == 0) continue;
        bool a = q->test_cv.difference.estimate > 0;
        wins[a ? q->a : q->b]++;
        out->model[a ? q->b : q->a].in_the_race = false;
    }
    for (size_t i = 0; i < out->models; i++)
        if (out->models > 1 && wins[i] == out->models - 1) out->better = (int)i;
    return GN_OK;
}

gn_status gn_compare(gn_context *ctx, const gn_check_options *options, const char *const *model,
                     size_t models, gn_comparison *out, gn_error *err)
{
    gn_comparison made = {0};
    comparing c = {.ctx = ctx, .options = options, .out = &made, .err = err};
    gn_status status;
    if (models == 0 || models > MAX_MODELS)
        return gn__fail(err, GN_INVALID_ARGUMENT, "%zu models cannot be compared; 1 to %d can", models,
                        (int)MAX_MODELS);
    made.model = gn__calloc(models, sizeof *made.model);
    c.answer = gn__calloc(models, sizeof *c.answer);
    if (made.model == NULL || c.answer == NULL) {
        status = gn__no_memory(err, models * sizeof *made.model);
        goto done;
    }
    GN__TRY_GOTO(load_all(&c, model, models), done);
    GN__TRY_GOTO(read_sets(&c), done);
    for (size_t i = 0; i < models; i++) {
        GN__TRY_GOTO(check_one(&c, model[i], i), done);
        made.models++;
    }
    GN__TRY_GOTO(pair_up(&c), done);
    status = rank(&c);
done:
    for (size_t i = 0; c.answer != NULL && i < models; i++) {
        free(c.answer[i].test_cv);
        free(c.answer[i].train_to_test);
    }
    free(c.answer);
    gn__control_free(&c.control);
    gn_dataset_free(&c.train);
    gn_dataset_free(&c.test);
    if (status == GN_OK)
        *out = made;
    else
        gn_comparison_free(&made);
    return status;
}

void gn_comparison_free(gn_comparison *c)
{
    for (size_t i = 0; i < c->models; i++) {
        gn_model_evidence_info *m = &c->model[i].model;
        char *const owned[] = {m->name, m->architecture, m->path, m->pooling, m->dtype, m->tokenizer};
        for (size_t k = 0; k < sizeof owned / sizeof *owned; k++) free(owned[k]);
    }
    char *const owned[] = {c->created, c->version, c->command, c->train, c->test};
    for (size_t k = 0; k < sizeof owned / sizeof *owned; k++) free(owned[k]);
    free(c->model);
    free(c->pair);
    *c = (gn_comparison){0};
}
