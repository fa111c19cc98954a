/* The pictures, each with how to read it, what to note, and its numbers. */
#include "report/html.h"

#include <math.h>

static void note(gn__page *p, bool warn, const char *text)
{
    gn__paragraph(p, warn ? "note warn" : "note", text);
}

static void numbers_begin(gn__page *p)
{
    gn__put(p, "<details><summary>");
    gn__say(p, GN__H_NUMBERS);
    gn__put(p, "</summary></details>\n<div class=\"fold\">\n");
}

static void numbers_end(gn__page *p)
{
    gn__put(p, "</div>\n");
}

/* The heading of one model's table. */
static void put_model_name(gn__page *p, int which)
{
    gn__put(p, "<h4>");
    gn__escape(p, which == 1              ? gn__word_of(p, GN__H_CONTROL)
                  : p->r->main.model.name ? p->r->main.model.name
                                          : gn__word_of(p, GN__H_MODEL));
    gn__put(p, "</h4>\n");
}

static int models(const gn__page *p)
{
    return p->r->has_control ? 2 : 1;
}

/* ---- plane and marginals ---- */

static void put_densities(gn__page *p, bool plane)
{
    static const gn__html_id head[] = {GN__H_COL_GROUP, GN__H_COL_ROWS, GN__H_COL_BANDWIDTH_PC1};
    static const gn__html_id head_plane[] = {GN__H_COL_GROUP, GN__H_COL_ROWS, GN__H_COL_BANDWIDTH_PLANE};
    const gn_picture *pic = &p->r->main.picture;
    gn__table t = gn__table_begin(p, plane ? head_plane : head, 3, 1);
    for (size_t i = 0; i < pic->densities; i++) {
        const gn_density *d = &pic->density[i];
        gn__cell(&t, gn__group_name(p, d->test, d->label));
        gn__cell(&t, gn__n_count(p, (double)d->rows));
        if (!plane)
            gn__cell(&t, gn__n_fixed(p, d->bandwidth1, 3));
        else if (d->plane != NULL)
            gn__cell(&t, GN__COMPOSE(p, PAIR_OF, gn__n_fixed(p, d->bandwidth2[0], 3),
                                     gn__n_fixed(p, d->bandwidth2[1], 3)));
        gn__row_rest(&t);
    }
    gn__table_end(&t);
}

static void put_explained(gn__page *p)
{
    enum { SHOWN = 10 };
    const gn_picture *pic = &p->r->main.picture;
    const char *all = "";
    for (size_t i = 0; i < pic->components && i < SHOWN; i++) {
        const char *one = gn__n_percent1(p, pic->explained[i]);
        all = i == 0 ? one : GN__COMPOSE(p, PAIR_OF, all, one);
    }
    if (pic->components > 0) gn__paragraph(p, "small", GN__COMPOSE(p, EXPLAINED, all));
}

static bool texts_hidden(const gn_result *r)
{
    for (size_t i = 0; i < r->main.picture.points; i++)
        if (r->main.picture.point[i].text != NULL) return false;
    return true;
}

static void about_plane(gn__page *p)
{
    const gn_result *r = p->r;
    bool hidden = texts_hidden(r);
    gn__put(p, "<figcaption>\n");
    gn__paragraph(p, NULL, gn__word_of(p, hidden ? GN__H_PLANE_CAPTION_HIDDEN : GN__H_PLANE_CAPTION));
    size_t rows = r->train.rows + r->test.rows;
    if (r->main.picture.points < rows)
        gn__paragraph(p, "small",
                      GN__COMPOSE(p, PLANE_SAMPLE, gn__n_count(p, (double)r->main.picture.points),
                                  gn__n_count(p, (double)rows)));
    gn__groups g = gn__drawn_groups(r);
    if (g.count > 0 && g.count < r->classes)
        gn__paragraph(p, "small",
                      GN__COMPOSE(p, PLANE_CLASSES, gn__n_count(p, g.count), gn__n_count(p, r->classes)));
    gn__put(p, "</figcaption>\n");
    numbers_begin(p);
    put_explained(p);
    put_densities(p, true);
    numbers_end(p);
}

static void about_marginal(gn__page *p)
{
    gn__put(p, "<figcaption>\n");
    gn__groups g = gn__drawn_groups(p->r);
    gn__paragraph(p, NULL,
                  gn__word_of(p, g.count > 0 ? GN__H_MARGINAL_CAPTION : GN__H_MARGINAL_CAPTION_PLAIN));
    gn__put(p, "</figcaption>\n");
    numbers_begin(p);
    put_densities(p, false);
    numbers_end(p);
}

/* ---- overlap ---- */

static void about_overlap(gn__page *p)
{
    static const gn__html_id head[] = {GN__H_COL_MEASURE, GN__H_COL_OVERLAP, GN__H_COL_YARDSTICK};
    static const gn__html_id names[] = {GN__H_OVERLAP_PC1, GN__H_OVERLAP_PLANE, GN__H_OVERLAP_PROBE};
    gn__put(p, "<figcaption>\n");
    gn__paragraph(p, NULL, gn__word_of(p, GN__H_OVERLAP_CAPTION));
    gn__put(p, "</figcaption>\n");
    numbers_begin(p);
    for (int m = 0; m < models(p); m++) {
        put_model_name(p, m);
        gn__table t = gn__table_begin(p, head, 3, 1);
        const gn_picture *pic = m == 0 ? &p->r->main.picture : &p->r->control.picture;
        const gn_overlap *all[] = {&pic->pc1, &pic->plane, &pic->probe};
        for (int k = 0; k < 3; k++) {
            if (!isfinite(all[k]->overlap.estimate)) continue;
            gn__cell(&t, gn__word_of(p, names[k]));
            gn__cell(&t, gn__n_interval(p, all[k]->overlap, 3));
            gn__cell(&t, gn__n_interval(p, all[k]->yardstick, 3));
        }
        gn__table_end(&t);
    }
    numbers_end(p);
}

/* ---- probes ---- */

static void put_scores(gn__page *p)
{
    static const gn__html_id head[] = {GN__H_COL_EVAL,        GN__H_COL_ACCURACY, GN__H_COL_BALANCED,
                                       GN__H_COL_F1,          GN__H_COL_AUC,      GN__H_COL_LOG_LOSS,
                                       GN__H_COL_CALIBRATION, GN__H_COL_MAJORITY, GN__H_COL_ROWS,
                                       GN__H_COL_UNITS,       GN__H_COL_FIT_ROWS};
    for (int m = 0; m < models(p); m++) {
        const gn_probe_evidence *from = m == 0 ? &p->r->main.probe : &p->r->control.probe;
        if (!from->available) continue;
        put_model_name(p, m);
        gn__table t = gn__table_begin(p, head, sizeof head / sizeof *head, 1);
        for (int k = 0; k < GN_EVAL_COUNT; k++) {
            const gn_evaluation *e = &from->eval[k];
            const gn_scores *s = &e->scores;
            const char *name = gn__word_of(p, gn__eval_label((gn_eval_kind)k));
            gn__cell(&t, e->available
                             ? name
                             : GN__COMPOSE(p, EVAL_NOT_RUN, name, gn__translate(p->lang, e->reason)));
            if (e->available) {
                gn__cell(&t, gn__n_interval_percent(p, s->accuracy, 1));
                gn__cell(&t, gn__n_interval_percent(p, s->balanced_accuracy, 1));
                gn__cell(&t, gn__n_interval(p, s->macro_f1, 2));
                gn__cell(&t, gn__n_interval(p, s->auc, 2));
                gn__cell(&t, gn__n_interval(p, s->log_loss, 2));
                gn__cell(&t, gn__n_interval(p, s->calibration, 2));
                gn__cell(&t, gn__n_percent1(p, e->majority));
                gn__cell(&t, gn__n_count(p, (double)s->rows));
                gn__cell(&t, gn__n_count(p, (double)s->units));
                gn__cell(&t, gn__n_count(p, (double)e->fit_rows));
            }
            gn__row_rest(&t);
        }
        gn__table_end(&t);
    }
}

static const char *points_range(gn__page *p, gn_interval i)
{
    return GN__COMPOSE(p, FROM_TO, gn__n_signed_points(p, i.low), gn__n_signed_points(p, i.high));
}

static void put_comparisons(gn__page *p)
{
    static const gn__html_id head[] = {GN__H_COL_COMPARISON, GN__H_COL_DIFFERENCE, GN__H_COL_P,
                                       GN__H_COL_ROWS,       GN__H_COL_ONLY_FIRST, GN__H_COL_ONLY_SECOND};
    const gn_probe_evidence *e = &p->r->main.probe;
    const struct {
        gn__html_id name;
        const gn_paired *pair;
        bool same_rows;
    } all[] = {{GN__H_PAIR_MAJORITY, &e->test_cv_vs_majority, true},
               {GN__H_PAIR_TRANSFER, &e->test_cv_vs_train_to_test, true},
               {GN__H_PAIR_GROUPED, &e->grouped_vs_ungrouped, true},
               {GN__H_PAIR_CLUSTERED, &e->clustered_vs_ungrouped, true},
               {GN__H_PAIR_CONTROL_TEST, &e->test_cv_vs_control, true},
               {GN__H_PAIR_CONTROL_TRANSFER, &e->train_to_test_vs_control, true},
               {GN__H_PAIR_GAP, &e->transfer_gap, false}};
    gn__table t = gn__table_begin(p, head, sizeof head / sizeof *head, 1);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const gn_paired *d = all[i].pair;
        if (!d->available) continue;
        gn__cell(&t, gn__word_of(p, all[i].name));
        gn__cell(&t, GN__COMPOSE(p, WITH_INTERVAL, gn__n_signed_points(p, d->difference.estimate),
                                 points_range(p, d->difference)));
        gn__cell(&t, gn__n_p(p, d->p_value));
        if (all[i].same_rows) {
            gn__cell(&t, gn__n_count(p, (double)d->rows));
            gn__cell(&t, gn__n_count(p, (double)d->a_only));
            gn__cell(&t, gn__n_count(p, (double)d->b_only));
        }
        gn__row_rest(&t);
    }
    gn__table_end(&t);
}

/* In plain words, whether the ordinary score survives whole groups and whole clusters. */
static void put_group_notes(gn__page *p)
{
    const gn_probe_evidence *e = &p->r->main.probe;
    const gn_evaluation *plain = &e->eval[GN_EVAL_TEST_CV], *grouped = &e->eval[GN_EVAL_TEST_CV_GROUPED],
                        *clustered = &e->eval[GN_EVAL_TEST_CV_CLUSTERED];
    if (!plain->available) return;
    const char *ordinary = gn__n_percent1(p, plain->scores.accuracy.estimate);
    if (grouped->available && e->grouped_vs_ungrouped.available) {
        gn_interval d = e->grouped_vs_ungrouped.difference;
        bool part = d.high < 0;
        const char *whole = gn__n_percent1(p, grouped->scores.accuracy.estimate);
        const char *column = gn__group_word(p);
        const char *points = GN__COMPOSE(p, IN_POINTS, gn__n_signed_points(p, d.estimate));
        note(p, part,
             part ? GN__COMPOSE(p, GROUPS_PART, ordinary, whole, column, points, points_range(p, d))
                  : GN__COMPOSE(p, GROUPS_HOLD, ordinary, whole, column, points, points_range(p, d)));
    } else if (p->r->test.group_column == NULL) {
        note(p, false, gn__word_of(p, GN__H_NO_GROUPS));
    }
    if (clustered->available && e->clustered_vs_ungrouped.available) {
        gn_interval d = e->clustered_vs_ungrouped.difference;
        bool part = d.high < 0;
        const char *whole = gn__n_percent1(p, clustered->scores.accuracy.estimate);
        const char *points = GN__COMPOSE(p, IN_POINTS, gn__n_signed_points(p, d.estimate));
        const char *rows = gn__n_count(p, (double)e->clustered_rows);
        note(p, part,
             part ? GN__COMPOSE(p, CLUSTERS_PART, ordinary, whole, points, points_range(p, d), rows)
                  : GN__COMPOSE(p, CLUSTERS_HOLD, ordinary, whole, points, points_range(p, d), rows));
    }
}

static void about_probes(gn__page *p)
{
    const gn_probe_evidence *e = &p->r->main.probe;
    if (!e->available) {
        const char *why = e->reason[0] ? gn__translate(p->lang, e->reason) : gn__word_of(p, GN__H_NO_LABEL);
        note(p, true, GN__COMPOSE(p, NO_PROBE, why));
        gn__paragraph(p, NULL, gn__word_of(p, GN__H_NO_PROBE_COST));
        return;
    }
    put_group_notes(p);
    gn__put(p, "<figcaption>\n");
    gn__paragraph(p, NULL, gn__word_of(p, GN__H_PROBES_CAPTION));
    if (p->r->has_control) gn__paragraph(p, NULL, gn__word_of(p, GN__H_PROBES_CAPTION_CONTROL));
    gn__put(p, "</figcaption>\n");
    numbers_begin(p);
    put_scores(p);
    put_comparisons(p);
    numbers_end(p);
}

/* ---- shift ---- */

static void put_shift_row(gn__table *t, const char *scope, const gn_shift *s)
{
    gn__page *p = t->p;
    gn__cell(t, scope);
    gn__cell(t, gn__answer_text(p, s));
    gn__cell(t, gn__n_interval(p, s->auc, 3));
    gn__cell(t, gn__n_interval(p, s->auc_curved, 3));
    gn__cell(t, gn__n_p(p, s->p_value));
    gn__cell(t, gn__n_p(p, s->p_holm));
    gn__cell(t,
             GN__COMPOSE(p, PAIR_OF, gn__n_count(p, (double)s->rows_a), gn__n_count(p, (double)s->rows_b)));
    gn__cell(t,
             GN__COMPOSE(p, PAIR_OF, gn__n_count(p, (double)s->units_a), gn__n_count(p, (double)s->units_b)));
}

static void about_shift(gn__page *p)
{
    static const gn__html_id head[] = {GN__H_COL_MEASURE,    GN__H_COL_ANSWER,   GN__H_COL_AUC,
                                       GN__H_COL_AUC_CURVED, GN__H_COL_P,        GN__H_COL_P_HOLM,
                                       GN__H_COL_ROWS_TWO,   GN__H_COL_UNITS_TWO};
    if (p->r->main.by_label == NULL) note(p, false, gn__word_of(p, GN__H_NO_SHIFT_LABELS));
    gn__put(p, "<figcaption>\n");
    gn__paragraph(p, NULL, gn__word_of(p, GN__H_SHIFT_CAPTION));
    if (p->r->has_control) gn__paragraph(p, NULL, gn__word_of(p, GN__H_SHIFT_CAPTION_CONTROL));
    gn__put(p, "</figcaption>\n");
    numbers_begin(p);
    for (int m = 0; m < models(p); m++) {
        put_model_name(p, m);
        gn__table t = gn__table_begin(p, head, sizeof head / sizeof *head, 2);
        const gn_model_evidence *e = m == 0 ? &p->r->main : &p->r->control;
        put_shift_row(&t, gn__word_of(p, GN__H_SHIFT_ALL), &e->shift);
        for (int c = 0; c < p->r->classes && e->by_label != NULL; c++)
            put_shift_row(&t, GN__COMPOSE(p, SHIFT_LABEL, gn__class_name(p, c)), &e->by_label[c]);
        gn__table_end(&t);
    }
    numbers_end(p);
}

static const struct {
    gn_figure figure;
    gn__html_id title;
    void (*about)(gn__page *p);
} pictures[] = {{GN_FIGURE_PLANE, GN__H_PLANE_TITLE, about_plane},
                {GN_FIGURE_SHIFT, GN__H_SHIFT_TITLE, about_shift},
                {GN_FIGURE_MARGINAL, GN__H_MARGINAL_TITLE, about_marginal},
                {GN_FIGURE_OVERLAP, GN__H_OVERLAP_TITLE, about_overlap},
                {GN_FIGURE_PROBES, GN__H_PROBES_TITLE, about_probes}};

gn_status gn__html_pictures(gn__page *p, gn_error *err)
{
    if ((p->r->steps & GN_STEP_ALL) == 0) return GN_OK;
    gn__section_begin(p, "pictures", GN__H_PICTURES);
    gn__paragraph(p, NULL, gn__word_of(p, GN__H_PICTURES_INTRO));
    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; i++) {
        gn_figure figure = pictures[i].figure;
        bool available = gn__figure_available(p->r, figure), narrow = gn__figure_has_narrow(figure);
        /* what missing labels cost is said in the place of the picture that they would have made */
        if (!available && (figure != GN_FIGURE_PROBES || (p->r->steps & GN_STEP_VERIFY) == 0)) continue;
        gn__put(p, narrow ? "<figure class=\"two\">\n<div class=\"whole\"><h3>"
                          : "<figure>\n<div class=\"whole\"><h3>");
        gn__say(p, pictures[i].title);
        gn__put(p, "</h3>\n");
        GN__TRY(gn__figure_draw(p, figure, GN__INLINE_WIDE, err));
        if (narrow) GN__TRY(gn__figure_draw(p, figure, GN__INLINE_NARROW, err));
        gn__put(p, "</div>\n");
        pictures[i].about(p);
        gn__put(p, "</figure>\n");
    }
    gn__section_end(p);
    return GN_OK;
}
