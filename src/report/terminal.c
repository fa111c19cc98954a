/* The result as text for a terminal: the verdict first, then why, then the figures, then what to do. */
#include "report/sentences.h"
#include "report/strings.h"
#include "report/wrap.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

typedef struct page {
    gn__buf out;
    const gn_result *r;
    gn_lang lang;
    bool colour;
    size_t columns;
} page;

enum { DEFAULT_COLUMNS = 80, LEAST_COLUMNS = 30, INDENT = 2, LINES_NAMED = 5 };

#define BOLD "\033[1m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define DIM "\033[2m"
#define PLAIN "\033[0m"

static void paint(page *p, const char *code)
{
    if (p->colour) gn__buf_puts(&p->out, code);
}

static void heading(page *p, const char *text)
{
    if (p->out.length > 0) gn__buf_putc(&p->out, '\n');
    paint(p, BOLD);
    gn__buf_puts(&p->out, text);
    paint(p, PLAIN);
    gn__buf_putc(&p->out, '\n');
}

/* "  mark text", wrapped behind the mark. */
static void item(page *p, const char *mark, const char *colour, const char *text)
{
    size_t indent = INDENT + gn__columns(mark, strlen(mark)) + 1;
    gn__buf_puts(&p->out, "  ");
    paint(p, colour);
    gn__buf_puts(&p->out, mark);
    paint(p, PLAIN);
    gn__buf_putc(&p->out, ' ');
    gn__put_wrapped(&p->out, text, indent, indent, p->columns);
}

static void verdict(page *p)
{
    static const char *const colour[] = {[false] = YELLOW, [true] = GREEN};
    const gn_verdict *v = &p->r->verdict;
    gn__buf title = {0};
    gn__buf_puts(&title, gn__verdict_title(v->code, p->lang));
    gn__buf_printf(&title, " [%s]", gn_verdict_name(v->code));
    if (!title.failed) {
        paint(p, BOLD);
        paint(p, colour[v->gate_passes]);
        gn__put_wrapped(&p->out, title.data, 0, 0, p->columns);
        paint(p, PLAIN);
        size_t width = gn__columns(title.data, title.length);
        for (size_t i = width < p->columns ? width : p->columns; i > 0; i--) gn__buf_putc(&p->out, '=');
        gn__buf_putc(&p->out, '\n');
    }
    p->out.failed |= title.failed;
    gn__buf_free(&title);
    gn__put_wrapped(&p->out, gn__verdict_summary(v->code, p->lang), 0, 0, p->columns);
}

static void reason_item(page *p, const char *mark, const char *colour, const gn_reason *reason)
{
    gn__buf text = {0};
    gn__reason_text(p->r, reason, p->lang, &text);
    p->out.failed |= text.failed;
    if (text.data != NULL && !text.failed) item(p, mark, colour, text.data);
    gn__buf_free(&text);
}

static void reasons(page *p, gn_stance stance)
{
    static const char *const mark[] = {[GN_FOR] = "+", [GN_AGAINST] = "!", [GN_NOTE] = "-"};
    static const char *const colour[] = {[GN_FOR] = GREEN, [GN_AGAINST] = YELLOW, [GN_NOTE] = DIM};
    bool any = false;
    for (int i = 0; i < p->r->verdict.reasons; i++) {
        const gn_reason *reason = &p->r->verdict.reason[i];
        if (reason->stance != stance) continue;
        if (!any) heading(p, gn__stance_title(stance, p->lang));
        any = true;
        reason_item(p, mark[stance], colour[stance], reason);
    }
}

static void actions(page *p)
{
    if (p->r->verdict.actions == 0) return;
    heading(p, gn__word(GN__WORD_DO, p->lang));
    for (int i = 0; i < p->r->verdict.actions; i++) {
        char mark[16];
        snprintf(mark, sizeof mark, "%d.", i + 1);
        reason_item(p, mark, BOLD, &p->r->verdict.action[i]);
    }
}

/* ---- tables ------------------------------------------------------------------------------------ */

enum { TABLE_COLUMNS = 4, TABLE_ROWS = 20, LABELS_SHOWN = 8 };

typedef struct table {
    gn__buf cell[TABLE_ROWS][TABLE_COLUMNS];
    size_t rows, columns;
} table;

static gn__buf *cell(table *t, size_t column)
{
    return &t->cell[t->rows][column];
}

static const char *cell_text(const table *t, size_t row, size_t column)
{
    return t->cell[row][column].data != NULL ? t->cell[row][column].data : "";
}

/* As columns where they fit, else a paragraph a row: "label: heading value, heading value". */
static void put_table(page *p, table *t)
{
    size_t width[TABLE_COLUMNS] = {0}, total = INDENT;
    for (size_t c = 0; c < t->columns; c++) {
        for (size_t i = 0; i < t->rows; i++) {
            p->out.failed |= t->cell[i][c].failed;
            size_t w = gn__columns(cell_text(t, i, c), strlen(cell_text(t, i, c)));
            if (w > width[c]) width[c] = w;
        }
        total += width[c] + (c > 0 ? 2 : 0);
    }
    for (size_t i = 0; i < t->rows && t->columns > 0 && total <= p->columns; i++) {
        gn__buf_puts(&p->out, "  ");
        for (size_t c = 0; c < t->columns; c++) {
            if (c > 0) gn__buf_puts(&p->out, "  ");
            gn__put_padded(&p->out, cell_text(t, i, c), width[c]);
        }
        while (p->out.length > 0 && p->out.data[p->out.length - 1] == ' ') p->out.length--;
        gn__buf_putc(&p->out, '\n');
    }
    for (size_t i = 1; i < t->rows && total > p->columns; i++) {
        gn__buf line = {0};
        gn__buf_printf(&line, "%s:", cell_text(t, i, 0));
        for (size_t c = 1; c < t->columns; c++)
            if (*cell_text(t, i, c) != '\0')
                gn__buf_printf(&line, "%s %s %s", c > 1 ? "," : "", cell_text(t, 0, c), cell_text(t, i, c));
        if (!line.failed) {
            gn__buf_puts(&p->out, "  ");
            gn__put_wrapped(&p->out, line.data, INDENT, INDENT + 2, p->columns);
        }
        p->out.failed |= line.failed;
        gn__buf_free(&line);
    }
    for (size_t i = 0; i < t->rows; i++)
        for (size_t c = 0; c < TABLE_COLUMNS; c++) gn__buf_free(&t->cell[i][c]);
}

/* "84% (79%–88%)" */
static void put_share(gn__buf *b, const gn_interval *i, gn_lang lang)
{
    gn__put_percent(b, i->estimate, lang);
    if (!isfinite(i->low) || !isfinite(i->high)) return;
    gn__buf_puts(b, " (");
    gn__put_percent(b, i->low, lang);
    gn__buf_puts(b, "–");
    gn__put_percent(b, i->high, lang);
    gn__buf_putc(b, ')');
}

static void put_auc(gn__buf *b, const gn_interval *i)
{
    gn__put_fixed(b, i->estimate, 2);
    if (!isfinite(i->low) || !isfinite(i->high)) return;
    gn__buf_puts(b, " (");
    gn__put_fixed(b, i->low, 2);
    gn__buf_puts(b, "–");
    gn__put_fixed(b, i->high, 2);
    gn__buf_putc(b, ')');
}

static size_t models(const page *p)
{
    return p->r->has_control ? 2 : 1;
}

static const gn_model_evidence *model(const page *p, size_t m)
{
    return m == 0 ? &p->r->main : &p->r->control;
}

static void header_row(page *p, table *t, gn__word_id first, bool majority)
{
    gn__buf_puts(cell(t, 0), gn__word(first, p->lang));
    gn__buf_puts(cell(t, 1), gn__word(GN__WORD_MODEL, p->lang));
    if (p->r->has_control) gn__buf_puts(cell(t, 2), gn__word(GN__WORD_CONTROL, p->lang));
    if (majority) gn__buf_puts(cell(t, models(p) + 1), gn__word(GN__WORD_MAJORITY, p->lang));
    t->columns = models(p) + 1 + (majority ? 1 : 0);
    t->rows = 1;
}

static void overlap_rows(page *p, table *t, gn__word_id title, size_t offset)
{
    const gn_overlap *first = (const gn_overlap *)((const char *)&p->r->main.picture + offset);
    if (!isfinite(first->overlap.estimate)) return;
    gn__buf_puts(cell(t, 0), gn__word(title, p->lang));
    gn__buf_puts(&t->cell[t->rows + 1][0], "  ");
    gn__buf_puts(&t->cell[t->rows + 1][0], gn__word(GN__WORD_YARDSTICK, p->lang));
    for (size_t m = 0; m < models(p); m++) {
        const gn_overlap *o = (const gn_overlap *)((const char *)&model(p, m)->picture + offset);
        put_share(cell(t, m + 1), &o->overlap, p->lang);
        put_share(&t->cell[t->rows + 1][m + 1], &o->yardstick, p->lang);
    }
    t->rows += 2;
}

static void shift_rows(page *p, table *t)
{
    static const gn__word_id titles[] = {GN__WORD_ANSWER, GN__WORD_SHIFT_AUC, GN__WORD_SHIFT_AUC_CURVED,
                                         GN__WORD_P_VALUE};
    for (size_t i = 0; i < 4; i++) gn__buf_puts(&t->cell[t->rows + i][0], gn__word(titles[i], p->lang));
    for (size_t m = 0; m < models(p); m++) {
        const gn_shift *s = &model(p, m)->shift;
        gn__buf_puts(&t->cell[t->rows][m + 1], gn__shift_answer_text(s->answer, p->lang));
        put_auc(&t->cell[t->rows + 1][m + 1], &s->auc);
        put_auc(&t->cell[t->rows + 2][m + 1], &s->auc_curved);
        gn__put_p(&t->cell[t->rows + 3][m + 1], s->p_value);
    }
    t->rows += 4;
    for (int l = 0; p->r->main.by_label != NULL && l < p->r->classes && l < LABELS_SHOWN; l++) {
        gn__buf_printf(cell(t, 0), p->lang == GN_LANG_JA ? "  AUC、ラベル「%s」のみ" : "  AUC within “%s”",
                       p->r->class_name[l]);
        for (size_t m = 0; m < models(p); m++)
            if (model(p, m)->by_label != NULL) put_auc(cell(t, m + 1), &model(p, m)->by_label[l].auc);
        t->rows++;
    }
}

static void shift_table(page *p)
{
    table t = {0};
    header_row(p, &t, p->r->steps & GN_STEP_DETECT ? GN__WORD_SHIFT : GN__WORD_OVERLAP, false);
    if (p->r->steps & GN_STEP_DETECT) shift_rows(p, &t);
    if (p->r->steps & GN_STEP_SEE) {
        overlap_rows(p, &t, GN__WORD_OVERLAP_PC1, offsetof(gn_picture, pc1));
        overlap_rows(p, &t, GN__WORD_OVERLAP_PLANE, offsetof(gn_picture, plane));
        overlap_rows(p, &t, GN__WORD_OVERLAP_PROBE, offsetof(gn_picture, probe));
    }
    put_table(p, &t);
}

static void probe_table(page *p)
{
    table t = {0};
    header_row(p, &t, GN__WORD_ACCURACY, true);
    for (int k = 0; k < GN_EVAL_COUNT; k++) {
        const gn_evaluation *e = &p->r->main.probe.eval[k];
        if (!e->available) continue;
        gn__buf_puts(cell(&t, 0), gn__eval_text((gn_eval_kind)k, p->lang));
        put_share(cell(&t, 1), &e->scores.accuracy, p->lang);
        const gn_evaluation *c = &p->r->control.probe.eval[k];
        if (p->r->has_control && c->available) put_share(cell(&t, 2), &c->scores.accuracy, p->lang);
        gn__put_percent(cell(&t, models(p) + 1), e->majority, p->lang);
        t.rows++;
    }
    if (t.rows == 1) t.columns = 0; /* no labels: nothing but the headings */
    if (t.rows > 1 && (p->r->steps & (GN_STEP_SEE | GN_STEP_DETECT))) gn__buf_putc(&p->out, '\n');
    put_table(p, &t);
}

/* ---- what kind of shift, and where ---------------------------------------------------------------- */

enum { CLUSTERS_SHOWN = 2, WORDS_SHOWN = 5 };

static void labelled_line(page *p, const char *label, const char *name, gn__buf *facts);

static void kind_table(page *p)
{
    static const struct {
        gn_kind_part_id part;
        gn__word_id name;
    } rows[] = {{GN_KIND_COVARIATE, GN__WORD_KIND_TEXTS},
                {GN_KIND_LABEL, GN__WORD_KIND_LABELS},
                {GN_KIND_CONDITIONAL, GN__WORD_KIND_WITHIN},
                {GN_KIND_CONCEPT, GN__WORD_KIND_CONCEPT}};
    const gn_kind *k = &p->r->kind;
    if (!k->available || !k->test_labelled) return;
    table t = {0};
    gn__buf_puts(cell(&t, 0), gn__word(GN__WORD_KIND, p->lang));
    gn__buf_puts(cell(&t, 1), gn__word(GN__WORD_ANSWER, p->lang));
    gn__buf_puts(cell(&t, 2), gn__word(GN__WORD_P_VALUE, p->lang));
    t.columns = 3;
    t.rows = 1;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const gn_kind_part *part = &k->part[rows[i].part];
        if (!isfinite(part->p_value)) continue;
        gn__buf_puts(cell(&t, 0), gn__word(rows[i].name, p->lang));
        gn__buf_puts(cell(&t, 1), gn__shift_answer_text(part->answer, p->lang));
        gn__put_p(cell(&t, 2), part->p_value);
        t.rows++;
    }
    gn__buf_putc(&p->out, '\n');
    put_table(p, &t);
}

/* The commonest kinds of text that are surely more frequent in their set, by their words and one text. */
static void where_lines(page *p)
{
    const gn_where *w = &p->r->where;
    for (int test = 1; test >= 0; test--) {
        size_t shown = 0;
        for (size_t i = 0; i < w->clusters && shown < CLUSTERS_SHOWN; i++) {
            const gn_where_cluster *c = &w->cluster[i];
            if (c->test != test || !(c->difference.low > 0)) continue;
            if (shown++ == 0)
                heading(p, gn__word(test ? GN__WORD_WHERE_TEST : GN__WORD_WHERE_TRAIN, p->lang));
            gn__buf b = {0};
            gn__put_percent(&b, c->share.estimate, p->lang);
            gn__buf_puts(&b, p->lang == GN_LANG_JA ? "（他方は " : " (the other set: ");
            gn__put_percent(&b, c->other_share.estimate, p->lang);
            gn__buf_puts(&b, p->lang == GN_LANG_JA ? "）" : ")");
            for (size_t k = 0, named = 0; k < c->words && named < WORDS_SHOWN; k++) {
                if (!(c->word[k].log_odds.low > 0) || c->word[k].word == NULL) continue;
                gn__buf_puts(&b, named++ > 0 ? ", " : ": ");
                gn__buf_puts(&b, c->word[k].word);
            }
            if (c->typicals > 0 && c->typical[0].text != NULL)
                gn__buf_printf(&b, p->lang == GN_LANG_JA ? "「%s」" : " “%s”", c->typical[0].text);
            p->out.failed |= b.failed;
            if (b.data != NULL && !b.failed) item(p, "-", DIM, b.data);
            gn__buf_free(&b);
        }
    }
    if (!w->coverage_available) return;
    gn__buf b = {0};
    put_share(&b, &w->coverage, p->lang);
    p->out.failed |= b.failed;
    gn__buf_putc(&p->out, '\n');
    if (b.data != NULL) labelled_line(p, gn__word(GN__WORD_COVERAGE, p->lang), "", &b);
}

/* ---- fine-tuning --------------------------------------------------------------------------------- */

static void put_signed_points(gn__buf *b, double x)
{
    if (isfinite(x)) gn__buf_puts(b, x < 0 ? "−" : "+");
    gn__put_fixed(b, fabs(100 * x), 1);
}

static void put_difference(gn__buf *b, const gn_seeded *d, gn_lang lang)
{
    if (!d->available) return;
    put_signed_points(b, d->difference.estimate);
    gn__buf_puts(b, lang == GN_LANG_JA ? "（" : " (");
    put_signed_points(b, d->difference.low);
    gn__buf_puts(b, lang == GN_LANG_JA ? "〜" : " to ");
    put_signed_points(b, d->difference.high);
    gn__buf_puts(b, lang == GN_LANG_JA ? "）" : ")");
}

/* "LoRA, on train" */
static void put_run(gn__buf *b, const gn_finetune_run *r, gn_lang lang)
{
    static const char *const ja[GN_SOURCE_COUNT] = {"学習", "評価", "両方"}; /* room is short */
    gn__buf_printf(b, lang == GN_LANG_JA ? "%s（%s）" : "%s, on %s", gn__method_text(r->method, lang),
                   lang == GN_LANG_JA ? ja[r->source] : gn__source_text(r->source, lang));
}

/* Where it cannot be told: how many test rows, or seeds, could tell. */
static void finetune_needs(page *p)
{
    const gn_finetune_evidence *e = &p->r->finetune;
    for (size_t i = 0; i < e->runs; i++) {
        const gn_seeded *d = &e->run[i].vs_probe;
        bool rows = d->rows_needed > 0;
        if (!d->available || (!rows && d->seeds_needed == 0)) continue;
        gn__buf b = {0};
        put_run(&b, &e->run[i], p->lang);
        gn__buf_puts(&b, p->lang != GN_LANG_JA ? ": " : rows ? "：評価データが" : "：シードが");
        gn__put_count(&b, (double)(rows ? d->rows_needed : d->seeds_needed));
        gn__buf_puts(&b, p->lang == GN_LANG_JA ? (rows ? "行あれば判断できる" : "個あれば判断できる")
                         : rows                ? " test rows would tell"
                                               : " seeds would tell");
        p->out.failed |= b.failed;
        if (!b.failed) item(p, "-", DIM, b.data);
        gn__buf_free(&b);
    }
}

static void finetune_table(page *p)
{
    const gn_finetune_evidence *e = &p->r->finetune;
    table t = {0};
    if (!e->available) {
        if (e->reason[0] != '\0') item(p, "-", DIM, gn__translate(p->lang, e->reason));
        return;
    }
    static const gn__word_id head[] = {GN__WORD_TUNING, GN__WORD_TUNING_TEST, GN__WORD_TUNING_DIFFERENCE,
                                       GN__WORD_ANSWER};
    for (size_t c = 0; c < TABLE_COLUMNS; c++) gn__buf_puts(cell(&t, c), gn__word(head[c], p->lang));
    t.columns = TABLE_COLUMNS;
    t.rows = 1;
    for (size_t i = 0; i < e->runs && t.rows < TABLE_ROWS; i++) {
        const gn_finetune_run *r = &e->run[i];
        const gn_finetune_judged *j = r->test_grouped.available ? &r->test_grouped : &r->test;
        put_run(cell(&t, 0), r, p->lang);
        if (j->available) put_share(cell(&t, 1), &j->scores.accuracy, p->lang);
        put_difference(cell(&t, 2), &r->vs_probe, p->lang);
        if (r->vs_probe.available)
            gn__buf_puts(cell(&t, 3), gn__tuning_answer_text(r->vs_probe.answer, p->lang));
        t.rows++;
    }
    gn__buf_putc(&p->out, '\n');
    put_table(p, &t);
    finetune_needs(p);
}

/* ---- data -------------------------------------------------------------------------------------- */

/* "#" stands for the number. */
typedef struct phrase {
    const char *text[2];
} phrase;

static const phrase used = {{"# rows used", "使用#行"}}, read_rows = {{"# read", "読み込み#行"}},
                    malformed = {{"# malformed", "形式不正#行"}}, empty = {{"# empty", "本文なし#行"}},
                    dropped = {{"# dropped by label", "ラベル指定で除外#行"}},
                    unlabelled = {{"# without a label", "ラベルなし#行"}},
                    groups = {{"# groups", "グループ#個"}},
                    across_removed = {{"# of train also in test (removed)",
                                       "評価データと同じ文の学習データ#行（除外済み）"}},
                    across_kept = {{"# of train also in test (kept)",
                                    "評価データと同じ文の学習データ#行（残存）"}},
                    within_train = {{"# repeated within train", "学習データ内の重複#行"}},
                    within_test = {{"# repeated within test", "評価データ内の重複#行"}},
                    conflicting = {{"# of them with another label", "うちラベルが異なるもの#行"}},
                    cut = {{"# texts cut for length", "切り詰め#件"}},
                    dimensions = {{"# dimensions", "#次元"}};

static void put_phrase(gn__buf *b, const phrase *f, double n, gn_lang lang)
{
    if (b->length > 0) gn__buf_puts(b, lang == GN_LANG_JA ? "、" : ", ");
    const char *hash = strchr(f->text[lang], '#');
    gn__buf_append(b, f->text[lang], (size_t)(hash - f->text[lang]));
    gn__put_count(b, n);
    gn__buf_puts(b, hash + 1);
}

static void put_if(gn__buf *b, const phrase *f, size_t n, gn_lang lang)
{
    if (n > 0) put_phrase(b, f, (double)n, lang);
}

static void put_lines(gn__buf *b, const gn_set_info *s, gn_lang lang)
{
    if (s->malformed == 0) return;
    gn__buf_puts(b, lang == GN_LANG_JA ? "（" : s->malformed == 1 ? " (line " : " (lines ");
    for (size_t i = 0; i < s->malformed && i < LINES_NAMED; i++) {
        if (i > 0) gn__buf_puts(b, lang == GN_LANG_JA ? "、" : ", ");
        gn__buf_printf(b, "%lld", (long long)s->malformed_line[i]);
    }
    if (s->malformed > LINES_NAMED) gn__buf_puts(b, lang == GN_LANG_JA ? "、…" : ", …");
    gn__buf_puts(b, lang == GN_LANG_JA ? "行目）" : ")");
}

static void labelled_line(page *p, const char *label, const char *name, gn__buf *facts)
{
    gn__buf line = {0};
    gn__buf_printf(&line, "%s%s%s%s%s", label, p->lang == GN_LANG_JA ? "：" : ": ", name,
                   *name == '\0' ? "" : " — ", facts->data != NULL ? facts->data : "");
    p->out.failed |= line.failed || facts->failed;
    if (!line.failed) {
        gn__buf_puts(&p->out, "  ");
        gn__put_wrapped(&p->out, line.data, INDENT, INDENT + 2, p->columns);
    }
    gn__buf_free(&line);
    gn__buf_free(facts);
}

static void set_line(page *p, gn__word_id label, const gn_set_info *s)
{
    gn__buf b = {0};
    put_phrase(&b, &used, (double)s->rows, p->lang);
    if (s->rows_read != s->rows) put_phrase(&b, &read_rows, (double)s->rows_read, p->lang);
    put_if(&b, &malformed, s->malformed, p->lang);
    put_lines(&b, s, p->lang);
    put_if(&b, &empty, s->empty, p->lang);
    put_if(&b, &dropped, s->dropped_by_label, p->lang);
    put_if(&b, &unlabelled, s->unlabelled, p->lang);
    put_if(&b, &groups, s->groups, p->lang);
    labelled_line(p, gn__word(label, p->lang), s->path != NULL ? s->path : "", &b);
}

static void duplicates_line(page *p)
{
    const gn_duplicates *d = &p->r->duplicates;
    gn__buf b = {0};
    put_if(&b, p->r->kept_duplicates ? &across_kept : &across_removed, d->across, p->lang);
    put_if(&b, &within_train, d->within_train, p->lang);
    put_if(&b, &conflicting, d->conflicting_train, p->lang);
    put_if(&b, &within_test, d->within_test, p->lang);
    put_if(&b, &conflicting, d->conflicting_test, p->lang);
    if (b.length > 0 || b.failed) labelled_line(p, gn__word(GN__WORD_DUPLICATES, p->lang), "", &b);
}

static void model_line(page *p)
{
    const gn_model_evidence_info *m = &p->r->main.model;
    gn__buf b = {0};
    put_phrase(&b, &dimensions, (double)m->dim, p->lang);
    put_if(&b, &cut, m->cut_train + m->cut_test, p->lang);
    labelled_line(p, gn__word(GN__WORD_MODEL, p->lang), m->name != NULL ? m->name : "", &b);
}

gn_status gn_report_text(const gn_result *r, gn_lang lang, bool colour, unsigned columns, char **out,
                         size_t *length, gn_error *err)
{
    page p = {.r = r, .lang = lang, .colour = colour, .columns = columns == 0 ? DEFAULT_COLUMNS : columns};
    if (p.columns < LEAST_COLUMNS) p.columns = LEAST_COLUMNS;
    if (r->steps & GN_STEP_DECIDE) {
        verdict(&p);
        reasons(&p, GN_FOR);
        reasons(&p, GN_AGAINST);
        reasons(&p, GN_NOTE);
    }
    heading(&p, gn__word(GN__WORD_EVIDENCE, lang));
    if (r->steps & (GN_STEP_SEE | GN_STEP_DETECT)) shift_table(&p);
    if (r->steps & GN_STEP_VERIFY) probe_table(&p);
    if (r->steps & GN_STEP_DETECT) {
        kind_table(&p);
        where_lines(&p);
    }
    if (r->steps & GN_STEP_FINETUNE) finetune_table(&p);
    heading(&p, gn__word(GN__WORD_DATA, lang));
    set_line(&p, GN__WORD_TRAIN, &r->train);
    set_line(&p, GN__WORD_TEST, &r->test);
    duplicates_line(&p);
    model_line(&p);
    if (r->steps & GN_STEP_DECIDE) actions(&p);
    if (p.out.failed) {
        size_t asked = p.out.capacity;
        gn__buf_free(&p.out);
        return gn__no_memory(err, asked);
    }
    *out = p.out.data;
    *length = p.out.length;
    return GN_OK;
}
