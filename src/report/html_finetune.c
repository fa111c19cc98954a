/* The section on fine-tuning: what each method gives beside the probe, how it moves the picture, what it
 * costs. */
#include "report/html.h"
#include "report/sentences.h"

#include <math.h>

static const char *run_name(gn__page *p, const gn_finetune_run *r)
{
    return GN__COMPOSE(p, TUNE_RUN, gn__method_text(r->method, p->lang), gn__source_text(r->source, p->lang));
}

static const char *points_of(gn__page *p, gn_interval d)
{
    return GN__COMPOSE(
        p, WITH_INTERVAL, gn__n_signed_points(p, d.estimate),
        GN__COMPOSE(p, FROM_TO, gn__n_signed_points(p, d.low), gn__n_signed_points(p, d.high)));
}

static const char *answer_of(gn__page *p, const gn_seeded *d)
{
    const char *answer = gn__tuning_answer_text(d->answer, p->lang);
    if (d->answer != GN_FINETUNE_CANNOT_TELL) return answer;
    if (d->rows_needed > 0)
        return GN__COMPOSE(p, TUNE_NEEDS_ROWS, answer, gn__n_count(p, (double)d->rows_needed));
    if (d->seeds_needed > 0)
        return GN__COMPOSE(p, TUNE_NEEDS_SEEDS, answer, gn__n_count(p, (double)d->seeds_needed));
    if (d->difference.low > -p->r->finetune.worthwhile && d->difference.high < p->r->finetune.worthwhile)
        return GN__COMPOSE(p, TUNE_NO_MATTER, answer);
    return answer;
}

static void put_scores(gn__page *p, const gn_finetune_judged *(*of)(const gn_finetune_run *),
                       gn__html_id title)
{
    static const gn__html_id head[] = {GN__H_COL_METHOD,   GN__H_COL_ACCURACY,    GN__H_COL_F1,
                                       GN__H_COL_AUC,      GN__H_COL_LOG_LOSS,    GN__H_COL_CALIBRATION,
                                       GN__H_COL_VS_PROBE, GN__H_COL_VS_OWN_PROBE};
    const gn_finetune_evidence *e = &p->r->finetune;
    bool any = false;
    for (size_t i = 0; i < e->runs; i++) any = any || of(&e->run[i])->available;
    if (!any) return;
    gn__put(p, "<h4>");
    gn__say(p, title);
    gn__put(p, "</h4>\n");
    gn__table t = gn__table_begin(p, head, sizeof head / sizeof *head, 1);
    for (size_t i = 0; i < e->runs; i++) {
        const gn_finetune_judged *j = of(&e->run[i]);
        const gn_scores *s = &j->scores;
        if (!j->available) continue;
        gn__cell(&t, run_name(p, &e->run[i]));
        gn__cell(&t, gn__n_interval_percent(p, s->accuracy, 1));
        gn__cell(&t, gn__n_interval(p, s->macro_f1, 2));
        gn__cell(&t, gn__n_interval(p, s->auc, 2));
        gn__cell(&t, gn__n_interval(p, s->log_loss, 2));
        gn__cell(&t, gn__n_interval(p, s->calibration, 2));
        gn__cell(&t, j->vs_probe.available ? points_of(p, j->vs_probe.difference) : "–");
        gn__cell(&t, j->vs_test_probe.available ? points_of(p, j->vs_test_probe.difference) : "–");
    }
    gn__table_end(&t);
}

static const gn_finetune_judged *heldout(const gn_finetune_run *r)
{
    return &r->heldout;
}

static const gn_finetune_judged *test(const gn_finetune_run *r)
{
    return &r->test;
}

static const gn_finetune_judged *test_grouped(const gn_finetune_run *r)
{
    return &r->test_grouped;
}

static void put_answers(gn__page *p)
{
    static const gn__html_id head[] = {GN__H_COL_METHOD, GN__H_COL_ANSWER, GN__H_COL_DIFFERENCE, GN__H_COL_P,
                                       GN__H_COL_P_HOLM};
    const gn_finetune_evidence *e = &p->r->finetune;
    gn__table t = gn__table_begin(p, head, sizeof head / sizeof *head, 2);
    for (size_t i = 0; i < e->runs; i++) {
        const gn_seeded *d = &e->run[i].vs_probe;
        if (!d->available) continue;
        gn__cell(&t, run_name(p, &e->run[i]));
        gn__cell(&t, answer_of(p, d));
        gn__cell(&t, points_of(p, d->difference));
        gn__cell(&t, gn__n_p(p, d->p_value));
        gn__cell(&t, gn__n_p(p, d->p_holm));
    }
    gn__table_end(&t);
}

/* How far the weights and the representation went. */
static void put_change(gn__page *p)
{
    static const gn__html_id head[] = {
        GN__H_COL_METHOD,    GN__H_COL_WEIGHTS,        GN__H_COL_WEIGHTS_MOST,
        GN__H_COL_CKA_TRAIN, GN__H_COL_CKA_TEST,       GN__H_COL_AUC_BEFORE,
        GN__H_COL_AUC_AFTER, GN__H_COL_OVERLAP_BEFORE, GN__H_COL_OVERLAP_AFTER};
    const gn_finetune_evidence *e = &p->r->finetune;
    gn__put(p, "<h3>");
    gn__say(p, GN__H_TUNE_CHANGE);
    gn__put(p, "</h3>\n");
    gn__paragraph(p, NULL, gn__word_of(p, GN__H_TUNE_CHANGE_IS));
    gn__table t = gn__table_begin(p, head, sizeof head / sizeof *head, 1);
    for (size_t i = 0; i < e->runs; i++) {
        const gn_finetune_run *r = &e->run[i];
        if (r->method == GN_METHOD_LP) continue;
        double mean = 0, most = 0;
        for (size_t l = 0; l < r->layer_changes; l++) {
            mean += r->layer_change[l] / (double)r->layer_changes;
            most = fmax(most, r->layer_change[l]);
        }
        gn__cell(&t, run_name(p, r));
        gn__cell(&t, gn__n_fixed(p, mean, 4));
        gn__cell(&t, gn__n_fixed(p, most, 4));
        gn__cell(&t, gn__n_fixed(p, r->cka_heldout, 3));
        gn__cell(&t, gn__n_fixed(p, r->cka_test, 3));
        if (r->moved) {
            gn__cell(&t, gn__n_interval(p, r->auc_before, 2));
            gn__cell(&t, gn__n_interval(p, r->auc_after, 2));
            gn__cell(&t, gn__n_interval(p, r->overlap_before, 2));
            gn__cell(&t, gn__n_interval(p, r->overlap_after, 2));
        }
        gn__row_rest(&t);
    }
    gn__table_end(&t);
}

static void put_layers(gn__page *p)
{
    const gn_finetune_evidence *e = &p->r->finetune;
    for (size_t i = 0; i < e->runs; i++) {
        const gn_finetune_run *r = &e->run[i];
        const char *all = "";
        for (size_t l = 0; l < r->layer_changes; l++) {
            const char *one = gn__n_fixed(p, r->layer_change[l], 4);
            all = l == 0 ? one : GN__COMPOSE(p, PAIR_OF, all, one);
        }
        if (r->layer_changes > 0) gn__paragraph(p, "small", GN__COMPOSE(p, TUNE_LAYERS, run_name(p, r), all));
    }
}

static void put_cost(gn__page *p)
{
    static const gn__html_id head[] = {GN__H_COL_METHOD, GN__H_COL_FITS,    GN__H_COL_TRAINED,
                                       GN__H_COL_TOKENS, GN__H_COL_SECONDS, GN__H_COL_CORE_HOURS,
                                       GN__H_COL_MEMORY};
    const double mega = 1048576, hour = 3600;
    const gn_finetune_evidence *e = &p->r->finetune;
    gn__put(p, "<h3>");
    gn__say(p, GN__H_TUNE_COST);
    gn__put(p, "</h3>\n");
    gn__paragraph(p, NULL, gn__word_of(p, GN__H_TUNE_COST_IS));
    gn__table t = gn__table_begin(p, head, sizeof head / sizeof *head, 1);
    for (size_t i = 0; i < e->runs; i++) {
        const gn_finetune_run *r = &e->run[i];
        const gn_finetune_cost *c = &r->cost;
        gn__cell(&t, run_name(p, r));
        gn__cell(&t, gn__n_count(p, (double)c->fits));
        gn__cell(&t, gn__n_count(p, (double)c->trained));
        gn__cell(&t, gn__n_count(p, c->tokens + c->forward_tokens));
        gn__cell(&t, gn__n_fixed(p, c->seconds, 1));
        gn__cell(&t, gn__n_fixed(p, c->core_seconds / hour, 3));
        gn__cell(&t, c->memory > 0 ? GN__COMPOSE(p, MEGABYTES, gn__n_count(p, ceil(c->memory / mega))) : "–");
    }
    gn__table_end(&t);
}

static void put_forecast(gn__page *p)
{
    static const gn__html_id head[] = {GN__H_COL_EMBEDDINGS, GN__H_COL_ROWS, GN__H_COL_LOGME,
                                       GN__H_COL_HSCORE, GN__H_COL_HSCORE_SHRUNK};
    const gn_finetune_evidence *e = &p->r->finetune;
    const gn_transfer *of[2] = {&e->transfer_train, &e->transfer_test};
    gn__put(p, "<h3>");
    gn__say(p, GN__H_TUNE_FORECAST);
    gn__put(p, "</h3>\n");
    gn__paragraph(p, NULL, gn__word_of(p, GN__H_TUNE_FORECAST_IS));
    gn__table t = gn__table_begin(p, head, sizeof head / sizeof *head, 1);
    for (int k = 0; k < 2; k++) {
        if (of[k]->rows == 0) continue;
        gn__cell(&t, gn__word_of(p, k == 0 ? GN__H_TRAIN_SHORT : GN__H_TEST_SHORT));
        gn__cell(&t, gn__n_count(p, (double)of[k]->rows));
        gn__cell(&t, gn__n_fixed(p, of[k]->logme, 3));
        gn__cell(&t, gn__n_fixed(p, of[k]->hscore, 3));
        gn__cell(&t, gn__n_fixed(p, of[k]->hscore_shrunk, 3));
    }
    gn__table_end(&t);
}

static gn_status put_figure(gn__page *p, gn_figure figure, gn__html_id title, gn__html_id caption,
                            gn_error *err)
{
    if (!gn__figure_available(p->r, figure)) return GN_OK;
    bool narrow = gn__figure_has_narrow(figure);
    gn__put(p, narrow ? "<figure class=\"two\">\n<div class=\"whole\"><h3>"
                      : "<figure>\n<div class=\"whole\"><h3>");
    gn__say(p, title);
    gn__put(p, "</h3>\n");
    GN__TRY(gn__figure_draw(p, figure, GN__INLINE_WIDE, err));
    if (narrow) GN__TRY(gn__figure_draw(p, figure, GN__INLINE_NARROW, err));
    gn__put(p, "</div>\n<figcaption>\n");
    gn__paragraph(p, NULL, gn__word_of(p, caption));
    gn__put(p, "</figcaption>\n</figure>\n");
    return GN_OK;
}

gn_status gn__html_finetune(gn__page *p, gn_error *err)
{
    const gn_finetune_evidence *e = &p->r->finetune;
    if (!(p->r->steps & GN_STEP_FINETUNE)) return GN_OK;
    gn__section_begin(p, "finetune", GN__H_TUNE);
    if (!e->available) {
        gn__paragraph(p, "note warn",
                      GN__COMPOSE(p, TUNE_NONE,
                                  gn__translate(p->lang, e->reason[0] ? e->reason : "no labels in test")));
        gn__section_end(p);
        return GN_OK;
    }
    gn__paragraph(p, NULL,
                  GN__COMPOSE(p, TUNE_IS, gn__n_count(p, (double)e->train_rows),
                              gn__n_count(p, (double)e->heldout_rows), gn__n_count(p, (double)e->test_rows),
                              gn__n_count(p, (double)e->seeds)));
    put_answers(p);
    GN__TRY(put_figure(p, GN_FIGURE_FINETUNE, GN__H_TUNE_FIGURE, GN__H_TUNE_FIGURE_CAPTION, err));
    gn__put(p, "<details><summary>");
    gn__say(p, GN__H_NUMBERS);
    gn__put(p, "</summary></details>\n<div class=\"fold\">\n");
    put_scores(p, test_grouped, GN__H_TUNE_ON_TEST_GROUPED);
    put_scores(p, test, GN__H_TUNE_ON_TEST);
    put_scores(p, heldout, GN__H_TUNE_ON_HELDOUT);
    put_layers(p);
    gn__put(p, "</div>\n");
    GN__TRY(put_figure(p, GN_FIGURE_MOVED, GN__H_TUNE_MOVED, GN__H_TUNE_MOVED_CAPTION, err));
    put_change(p);
    put_cost(p);
    put_forecast(p);
    gn__section_end(p);
    return GN_OK;
}
