/* Fine-tuning as a step of the line: the comparison, what it did to the picture, the model to be saved. */
#include "detect/detect.h"
#include "pipeline/pipeline.h"

#include <math.h>

enum {
    FEWEST = 20, /* rows a side, below which no shift is measured */
    POINTS = 300 /* drawn, a set */
};

/* Held-out train and the labelled rows of test, in one space. */
typedef struct sides {
    gn_matrix train, test;
    uint32_t *train_group, *test_group; /* NULL: none */
    uint32_t *test_row;                 /* [test.rows] */
} sides;

static gn_status side_make(const gn_matrix *all, const uint32_t *group, const uint32_t *row, size_t rows,
                           gn_matrix *x, uint32_t **of, gn_error *err)
{
    GN__TRY(gn_matrix_create(rows, all->cols, x, err));
    for (size_t i = 0; i < rows; i++)
        memcpy(x->data + i * all->cols, all->data + (size_t)row[i] * all->cols, all->cols * sizeof *x->data);
    if (group == NULL) return GN_OK;
    *of = gn__calloc(rows, sizeof **of);
    if (*of == NULL) return gn__no_memory(err, rows * sizeof **of);
    for (size_t i = 0; i < rows; i++) (*of)[i] = group[row[i]];
    return GN_OK;
}

static gn_status sides_make(const gn__space *s, const gn_finetune_evidence *e, sides *out, gn_error *err)
{
    gn_matrix train = gn__space_train(s), test = gn__space_test(s);
    size_t n = 0;
    *out = (sides){0};
    out->test_row = gn__calloc(test.rows, sizeof *out->test_row);
    if (out->test_row == NULL) return gn__no_memory(err, test.rows * sizeof *out->test_row);
    for (size_t i = 0; i < test.rows; i++)
        if (s->test->label != NULL && s->test->label[i] >= 0) out->test_row[n++] = (uint32_t)i;
    GN__TRY(side_make(&train, s->train->group, e->heldout_row, e->heldout_rows, &out->train,
                      &out->train_group, err));
    return side_make(&test, s->test->group, out->test_row, n, &out->test, &out->test_group, err);
}

static void sides_free(sides *s)
{
    gn_matrix_free(&s->train);
    gn_matrix_free(&s->test);
    free(s->train_group);
    free(s->test_group);
    free(s->test_row);
}

/* The domain classifier's AUC, with the seed and folds of "before" and "after" alike. */
static gn_status auc_of(gn_context *ctx, const gn_matrix *train, const gn_matrix *test, const sides *s,
                        gn_interval *out, gn_error *err)
{
    gn_detect_options asked = {.purpose = gn__purpose("pipeline/finetune")};
    gn_detect_options o = gn__detect_defaults(&asked);
    gn__units a = {0}, b = {0};
    gn__auc_sums sums;
    gn_status status;
    float *score = gn__calloc(train->rows + test->rows, sizeof *score);
    *out = (gn_interval){NAN, NAN, NAN};
    if (score == NULL) return gn__no_memory(err, (train->rows + test->rows) * sizeof *score);
    GN__TRY_GOTO(gn__units_make(s->train_group, train->rows, &a, err), done);
    GN__TRY_GOTO(gn__units_make(s->test_group, test->rows, &b, err), done);
    if (a.count < o.min_rows || b.count < o.min_rows) goto done;
    GN__TRY_GOTO(gn__domain_classifier(ctx, train, test, &a, &b, &o, score, score + train->rows, &sums, err),
                 done);
    *out = gn__auc_interval(sums, a.count < b.count ? a.count : b.count);
done:
    gn__units_free(&a);
    gn__units_free(&b);
    free(score);
    return status;
}

/* Both sets before and after, one below the other, on the first two principal components of all of them. */
static gn_status project(gn_context *ctx, const gn_matrix *const part[4], gn_matrix *out, gn_error *err)
{
    size_t dim = part[0]->cols, rows = 0, at = 0;
    gn_matrix all = {0};
    gn_pca pca = {0};
    gn_status status;
    double *weight = NULL;
    for (int k = 0; k < 4; k++) rows += part[k]->rows;
    GN__TRY_GOTO(gn_matrix_create(rows, dim, &all, err), done);
    weight = gn__calloc(rows, sizeof *weight);
    if (weight == NULL) {
        status = gn__no_memory(err, rows * sizeof *weight);
        goto done;
    }
    for (int k = 0; k < 4; k++) {
        memcpy(all.data + at * dim, part[k]->data, part[k]->rows * dim * sizeof *all.data);
        for (size_t i = 0; i < part[k]->rows; i++) weight[at + i] = 0.25 / (double)part[k]->rows;
        at += part[k]->rows;
    }
    GN__TRY_GOTO(gn_pca_fit(ctx, &all, weight, 2, &pca, err), done);
    status = gn__project_to_plane(ctx, &pca, &all, out, err);
done:
    gn_matrix_free(&all);
    gn_pca_free(&pca);
    free(weight);
    return status;
}

static gn_status overlap_of(gn_context *ctx, const float *train, size_t n_train, const float *test,
                            size_t n_test, const sides *s, gn_interval *out, gn_error *err)
{
    double *x = gn__calloc(n_train + n_test, sizeof *x);
    if (x == NULL) return gn__no_memory(err, (n_train + n_test) * sizeof *x);
    for (size_t i = 0; i < n_train; i++) x[i] = (double)train[2 * i];
    for (size_t i = 0; i < n_test; i++) x[n_train + i] = (double)test[2 * i];
    const gn_overlap_options o = {.yardstick_draws = 1, /* is not looked at */
                                  .group_a = s->train_group,
                                  .group_b = s->test_group,
                                  .purpose = gn__purpose("pipeline/finetune")};
    gn_overlap overlap;
    gn_status status = gn_overlap1(ctx, x, n_train, x + n_train, n_test, &o, &overlap, err);
    if (status == GN_OK) *out = overlap.overlap;
    free(x);
    return status;
}

/* A random part of the rows of either set, in row order (Knuth, TAOCP 2, algorithm S). */
static gn_status points_make(gn_context *ctx, const gn__space *s, const gn_finetune_evidence *e,
                             const sides *of, const gn_matrix *plane, gn_finetune_run *run, gn_error *err)
{
    size_t held = e->heldout_rows, test = of->test.rows, n[2] = {held, test};
    run->point = gn__calloc(2 * (size_t)POINTS, sizeof *run->point);
    if (run->point == NULL) return gn__no_memory(err, 2 * POINTS * sizeof *run->point);
    for (size_t t = 0; t < 2; t++) {
        gn__rng r = gn__rng_make(gn_context_seed(ctx), gn__purpose("pipeline/finetune/points"), t);
        size_t wanted = n[t] < POINTS ? n[t] : (size_t)POINTS;
        for (size_t i = 0; i < n[t] && wanted > 0; i++) {
            if (gn__rng_double(&r) * (double)(n[t] - i) >= (double)wanted) continue;
            wanted--;
            const float *before = plane->data + 2 * (t == 0 ? i : held + i);
            const float *after = before + 2 * (held + test);
            const int *label = t == 0 ? s->train->label : s->test->label;
            run->point[run->points++] =
                (gn_moved_point){.x = before[0],
                                 .y = before[1],
                                 .x_after = after[0],
                                 .y_after = after[1],
                                 .label = label ? label[t == 0 ? e->heldout_row[i] : of->test_row[i]] : -1,
                                 .test = t == 1};
        }
    }
    return GN_OK;
}

static gn_status move(gn_context *ctx, const gn__space *space, const gn_finetune_evidence *e, const sides *s,
                      gn_finetune_run *run, gn_error *err)
{
    const gn_matrix *const part[4] = {&s->train, &s->test, &run->after_heldout, &run->after_test};
    size_t held = e->heldout_rows, test = s->test.rows;
    gn_matrix plane = {0};
    gn_status status;
    GN__TRY(auc_of(ctx, &run->after_heldout, &run->after_test, s, &run->auc_after, err));
    GN__TRY_GOTO(project(ctx, part, &plane, err), done);
    const float *at = plane.data;
    GN__TRY_GOTO(overlap_of(ctx, at, held, at + 2 * held, test, s, &run->overlap_before, err), done);
    at += 2 * (held + test);
    GN__TRY_GOTO(overlap_of(ctx, at, held, at + 2 * held, test, s, &run->overlap_after, err), done);
    GN__TRY_GOTO(points_make(ctx, space, e, s, &plane, run, err), done);
    run->moved = true;
done:
    gn_matrix_free(&plane);
    return status;
}

gn_status gn__finetune_moved(gn_context *ctx, const gn__space *space, gn_finetune_evidence *e, gn_error *err)
{
    gn_interval before = {NAN, NAN, NAN};
    sides s = {0};
    gn_status status = GN_OK;
    bool any = false;
    for (size_t i = 0; i < e->runs; i++) {
        gn_finetune_run *r = e->run + i;
        r->auc_before = r->auc_after = r->overlap_before = r->overlap_after = before;
        any = any || r->after_test.rows > 0;
    }
    if (!any || e->heldout_rows < FEWEST || e->test_rows < FEWEST) return GN_OK;
    GN__TRY_GOTO(sides_make(space, e, &s, err), done);
    GN__TRY_GOTO(auc_of(ctx, &s.train, &s.test, &s, &before, err), done);
    for (size_t i = 0; i < e->runs; i++) {
        gn_finetune_run *r = e->run + i;
        if (r->after_test.rows != s.test.rows || r->after_heldout.rows != s.train.rows) continue;
        r->auc_before = before;
        GN__TRY_GOTO(move(ctx, space, e, &s, r, err), done);
    }
done:
    sides_free(&s);
    return status;
}

/* ---- saving -------------------------------------------------------------------------------------- */

static gn_method best_of(const gn_finetune_evidence *e, gn_source source)
{
    gn_method best = GN_METHOD_LP;
    double most = -INFINITY;
    for (size_t i = 0; i < e->runs; i++) {
        const gn_finetune_run *r = e->run + i;
        if (r->source != source || r->method == GN_METHOD_LP) continue;
        const gn_finetune_judged *j = r->test_grouped.available ? &r->test_grouped
                                      : r->test.available       ? &r->test
                                                                : &r->heldout;
        if (j->available && j->scores.accuracy.estimate > most)
            most = j->scores.accuracy.estimate, best = r->method;
    }
    return best;
}

static gn_status save(gn_context *ctx, const gn_finetune_input *in, const gn_check_options *o,
                      const gn_result *r, gn_error *err)
{
    gn_method method =
        o->save_method == GN_METHOD_LP ? best_of(&r->finetune, o->save_source) : o->save_method;
    gn_tuned *tuned = NULL;
    if (method == GN_METHOD_LP)
        return gn__fail(err, GN_INVALID_ARGUMENT, "no method trained on %s is there to be saved",
                        gn_source_name(o->save_source));
    GN__TRY(gn_finetune_final(ctx, in, &o->finetune, method, o->save_source, &tuned, err));
    gn_status status = gn_tuned_save(ctx, tuned, o->save, (const char *const *)r->class_name, err);
    gn_tuned_free(tuned);
    return status;
}

gn_status gn__finetune_step(gn_context *ctx, const gn__space *space, const gn_check_options *options,
                            const gn__embed_cost *cost, gn_result *result, gn_error *err)
{
    gn_model *model = NULL;
    gn_matrix train = gn__space_train(space), test = gn__space_test(space);
    const gn_dataset *a = space->train, *b = space->test;
    gn_status status;
    if (options->model == NULL || a->text == NULL || b->text == NULL)
        return gn__fail(err, GN_INVALID_ARGUMENT, "fine-tuning needs texts and a model, not embeddings");
    GN__TRY(gn_model_load(ctx, options->model, &options->model_options, &model, err));
    const gn_finetune_input in = {.model = model,
                                  .train_text = (const char *const *)a->text,
                                  .test_text = (const char *const *)b->text,
                                  .train_length = a->length,
                                  .test_length = b->length,
                                  .train = &train,
                                  .test = &test,
                                  .train_label = a->label,
                                  .test_label = b->label,
                                  .classes = space->classes,
                                  .train_group = a->group,
                                  .test_group = b->group,
                                  .embed_tokens = cost->tokens,
                                  .embed_seconds = cost->seconds,
                                  .embed_core_seconds = cost->core_seconds};
    GN__TRY_GOTO(gn_finetune(ctx, &in, &options->finetune, &result->finetune, err), done);
    GN__TRY_GOTO(gn__finetune_moved(ctx, space, &result->finetune, err), done);
    if (options->save != NULL) GN__TRY_GOTO(save(ctx, &in, options, result, err), done);
done:
    gn_model_free(model);
    result->finetune.peak_memory = gn__peak_memory();
    return status;
}
