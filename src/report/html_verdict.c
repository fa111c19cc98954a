/* The first screen: the verdict, four numbers, the reasons, and what to do. */
#include "report/html.h"
#include "report/sentences.h"

#include <math.h>

static void put_reason(gn__page *p, const gn_reason *reason)
{
    gn__buf b = {0};
    gn__reason_text(p->r, reason, p->lang, &b);
    gn__put(p, "<li>");
    if (b.failed)
        p->failed = true;
    else if (b.data != NULL)
        gn__escape(p, b.data);
    gn__put(p, "</li>\n");
    gn__buf_free(&b);
}

static void put_reasons(gn__page *p, gn_stance stance)
{
    const gn_verdict *v = &p->r->verdict;
    int n = 0;
    for (int i = 0; i < v->reasons; i++) n += v->reason[i].stance == stance;
    if (n == 0 && stance == GN_NOTE) return;
    gn__put(p, "<div><h3>");
    gn__escape(p, gn__stance_title(stance, p->lang));
    gn__put(p, "</h3>\n");
    if (n == 0) gn__paragraph(p, "small", gn__word_of(p, GN__H_REASONS_NONE));
    if (n > 0) gn__put(p, "<ul>\n");
    for (int i = 0; i < v->reasons; i++)
        if (v->reason[i].stance == stance) put_reason(p, &v->reason[i]);
    if (n > 0) gn__put(p, "</ul>");
    gn__put(p, "</div>\n");
}

static void put_actions(gn__page *p)
{
    const gn_verdict *v = &p->r->verdict;
    if (v->actions == 0) return;
    gn__put(p, "<div class=\"monday\"><h3>");
    gn__say(p, GN__H_ACTIONS);
    gn__put(p, "</h3>\n");
    gn__put(p, "<ol>\n");
    for (int i = 0; i < v->actions; i++) put_reason(p, &v->action[i]);
    gn__put(p, "</ol>\n</div>\n");
}

static void put_tile(gn__page *p, gn__html_id title, const char *big, const char *note)
{
    gn__put(p, "<div class=\"tile\"><h3>");
    gn__say(p, title);
    gn__put(p, "</h3>");
    gn__paragraph(p, "big", big);
    gn__paragraph(p, NULL, note);
    gn__put(p, "</div>\n");
}

static void put_shift_tile(gn__page *p)
{
    static const gn__html_id answers[] = {[GN_SHIFT_DIFFERENT] = GN__H_TILE_SHIFT_DIFFERENT,
                                          [GN_SHIFT_EQUIVALENT] = GN__H_TILE_SHIFT_EQUIVALENT,
                                          [GN_SHIFT_NOT_ENOUGH_DATA] = GN__H_TILE_SHIFT_NOT_ENOUGH};
    const gn_shift *s = &p->r->main.shift;
    put_tile(p, GN__H_TILE_SHIFT, gn__word_of(p, answers[s->answer]),
             isfinite(s->auc_curved.estimate)
                 ? GN__COMPOSE(p, TILE_SHIFT_NOTE_CURVED, gn__n_fixed(p, s->auc.estimate, 2),
                               gn__n_range(p, s->auc, 2), gn__n_fixed(p, s->tolerance, 2),
                               gn__n_fixed(p, s->auc_curved.estimate, 2), gn__n_range(p, s->auc_curved, 2))
             : isfinite(s->auc.estimate)
                 ? GN__COMPOSE(p, TILE_SHIFT_NOTE, gn__n_fixed(p, s->auc.estimate, 2),
                               gn__n_range(p, s->auc, 2), gn__n_fixed(p, s->tolerance, 2))
                 : gn__word_of(p, GN__H_TILE_SHIFT_NOTE_SHORT));
}

static void put_overlap_tile(gn__page *p)
{
    const gn_overlap *o = &p->r->main.picture.pc1;
    if (!isfinite(o->overlap.estimate)) return;
    put_tile(p, GN__H_TILE_OVERLAP, gn__n_fixed(p, o->overlap.estimate, 2),
             GN__COMPOSE(p, TILE_OVERLAP_NOTE, gn__n_fixed(p, o->yardstick.estimate, 2),
                         gn__n_range(p, o->yardstick, 2)));
}

static void put_probe_tiles(gn__page *p)
{
    const gn_probe_evidence *e = &p->r->main.probe;
    const gn_evaluation *own = &e->eval[gn__honest_eval(e)], *across = &e->eval[GN_EVAL_TRAIN_TO_TEST];
    const char *not_measured = gn__word_of(p, GN__H_TILE_NO_LABELS);
    if (e->available && own->available) {
        const char *range = gn__n_range_percent(p, own->scores.accuracy);
        const char *majority = gn__n_percent(p, own->majority);
        bool grouped = gn__honest_eval(e) == GN_EVAL_TEST_CV_GROUPED && p->r->test.group_column != NULL;
        put_tile(p, GN__H_TILE_PROBE, gn__n_percent(p, own->scores.accuracy.estimate),
                 grouped ? GN__COMPOSE(p, TILE_PROBE_NOTE_GROUPED, gn__group_word(p), range, majority)
                         : GN__COMPOSE(p, TILE_PROBE_NOTE, range, majority));
    } else {
        put_tile(p, GN__H_TILE_PROBE, not_measured, gn__word_of(p, GN__H_TILE_NO_LABELS_NOTE));
    }
    if (e->available && across->available) {
        const char *range = gn__n_range_percent(p, across->scores.accuracy);
        double difference = -e->test_cv_vs_train_to_test.difference.estimate;
        put_tile(p, GN__H_TILE_TRANSFER, gn__n_percent(p, across->scores.accuracy.estimate),
                 e->test_cv_vs_train_to_test.available
                     ? GN__COMPOSE(p, TILE_TRANSFER_NOTE, range, gn__n_signed_points(p, difference))
                     : GN__COMPOSE(p, TILE_TRANSFER_NOTE_ALONE, range));
    } else {
        put_tile(p, GN__H_TILE_TRANSFER, not_measured, gn__word_of(p, GN__H_TILE_NO_LABELS_NOTE));
    }
}

static void put_tiles(gn__page *p)
{
    gn__put(p, "<div class=\"tiles\">\n");
    if (p->r->steps & GN_STEP_DETECT) put_shift_tile(p);
    if (p->r->steps & GN_STEP_SEE) put_overlap_tile(p);
    if (p->r->steps & GN_STEP_VERIFY) put_probe_tiles(p);
    gn__put(p, "</div>\n");
}

/* What see, detect and probe give: numbers without a verdict. */
static void put_part(gn__page *p)
{
    gn__put(p, "<section id=\"verdict\" class=\"verdict open\">\n<div class=\"head\"><h1>");
    gn__say(p, GN__H_PART_TITLE);
    gn__put(p, "</h1>\n");
    gn__paragraph(p, "summary", gn__word_of(p, GN__H_PART_SUMMARY));
    gn__put(p, "</div>\n");
    put_tiles(p);
    gn__section_end(p);
}

void gn__html_verdict(gn__page *p)
{
    const gn_verdict *v = &p->r->verdict;
    if ((p->r->steps & GN_STEP_DECIDE) == 0) {
        put_part(p);
        return;
    }
    const char *tone = v->gate_passes ? "go" : v->code == GN_VERDICT_MORE_DATA ? "open" : "stop";
    gn__put(p, "<section id=\"verdict\" class=\"verdict ");
    gn__put(p, tone);
    gn__put(p, "\">\n<div class=\"head\"><span class=\"pill\">");
    gn__say(p, v->gate_passes ? GN__H_GATE_GO : GN__H_GATE_STOP);
    gn__put(p, "</span>\n<h1>");
    gn__escape(p, gn__verdict_title(v->code, p->lang));
    gn__put(p, "</h1>\n");
    gn__paragraph(p, "summary", gn__verdict_summary(v->code, p->lang));
    gn__put(p, "</div>\n");
    put_tiles(p);
    put_actions(p);
    gn__put(p, "<div class=\"reasons\">\n");
    put_reasons(p, GN_FOR);
    put_reasons(p, GN_AGAINST);
    put_reasons(p, GN_NOTE);
    gn__put(p, "</div>\n");
    gn__section_end(p);
}
