/* The texts least like the other set, and the account of what was read. */
#include "report/html.h"

static void put_examples(gn__page *p, const gn_example *e, size_t n, gn__html_id title)
{
    gn__put(p, "<h3>");
    gn__say(p, title);
    gn__put(p, "</h3>\n");
    if (n == 0) {
        gn__paragraph(p, "small", gn__word_of(p, GN__H_TEXTS_NONE));
        return;
    }
    bool labelled = p->r->classes > 0, hidden = true;
    for (size_t i = 0; i < n; i++) hidden = hidden && e[i].text == NULL;
    gn__html_id head[4];
    int columns = 0;
    head[columns++] = GN__H_COL_SCORE;
    head[columns++] = GN__H_COL_LINE;
    if (labelled) head[columns++] = GN__H_COL_LABEL;
    if (!hidden) head[columns++] = GN__H_COL_TEXT;
    if (!hidden) gn__put(p, "<div class=\"texts\">");
    gn__table t = gn__table_begin(p, head, columns, columns);
    for (size_t i = 0; i < n; i++) {
        gn__cell(&t, gn__n_fixed(p, e[i].score, 3));
        gn__cell(&t, gn__n_count(p, (double)e[i].line));
        if (labelled) gn__cell(&t, gn__class_name(p, e[i].label));
        if (!hidden) gn__cell(&t, e[i].text ? e[i].text : "–");
    }
    gn__table_end(&t);
    if (!hidden) gn__put(p, "</div>\n");
}

void gn__html_texts(gn__page *p)
{
    const gn_result *r = p->r;
    if ((r->steps & GN_STEP_DETECT) == 0) return;
    gn__section_begin(p, "texts", GN__H_TEXTS);
    gn__paragraph(p, NULL, gn__word_of(p, GN__H_TEXTS_INTRO));
    bool any = false;
    for (size_t i = 0; i < r->examples_train; i++) any = any || r->only_train[i].text != NULL;
    for (size_t i = 0; i < r->examples_test; i++) any = any || r->only_test[i].text != NULL;
    if (!any && r->examples_train + r->examples_test > 0)
        gn__paragraph(p, "note", gn__word_of(p, GN__H_TEXTS_HIDDEN));
    put_examples(p, r->only_train, r->examples_train, GN__H_TEXTS_TRAIN);
    put_examples(p, r->only_test, r->examples_test, GN__H_TEXTS_TEST);
    gn__section_end(p);
}

typedef struct count_row {
    gn__html_id name;
    double train, test;
} count_row;

static const char *text_or_dash(const char *s)
{
    return s ? s : "–";
}

static void put_account(gn__page *p)
{
    static const gn__html_id head[] = {GN__H_COL_ITEM, GN__H_HEAD_TRAIN, GN__H_HEAD_TEST};
    const gn_result *r = p->r;
    const gn_set_info *set[2] = {&r->train, &r->test};
    const gn_duplicates *d = &r->duplicates;
    gn__table t = gn__table_begin(p, head, 3, 3);
    gn__cell(&t, gn__word_of(p, GN__H_DATA_FILE));
    for (int i = 0; i < 2; i++) gn__cell(&t, text_or_dash(set[i]->path));
    gn__cell(&t, gn__word_of(p, GN__H_DATA_FORMAT));
    for (int i = 0; i < 2; i++)
        gn__cell(&t, GN__COMPOSE(p, PAIR_OF, text_or_dash(set[i]->format), text_or_dash(set[i]->encoding)));
    gn__cell(&t, gn__word_of(p, GN__H_DATA_COLUMNS));
    for (int i = 0; i < 2; i++) gn__cell(&t, text_or_dash(set[i]->text_column));
    gn__cell(&t, gn__word_of(p, GN__H_DATA_LABEL_COLUMN));
    for (int i = 0; i < 2; i++) gn__cell(&t, text_or_dash(set[i]->label_column));
    gn__cell(&t, gn__word_of(p, GN__H_DATA_GROUP_COLUMN));
    for (int i = 0; i < 2; i++)
        gn__cell(&t, set[i]->group_column ? GN__COMPOSE(p, DATA_GROUPS, set[i]->group_column,
                                                        gn__n_count(p, (double)set[i]->groups))
                                          : "–");
    const count_row rows[] = {
        {GN__H_DATA_READ, (double)r->train.rows_read, (double)r->test.rows_read},
        {GN__H_DATA_MALFORMED, (double)r->train.malformed, (double)r->test.malformed},
        {GN__H_DATA_EMPTY, (double)r->train.empty, (double)r->test.empty},
        {GN__H_DATA_DROPPED, (double)r->train.dropped_by_label, (double)r->test.dropped_by_label},
        {GN__H_DATA_REMOVED, (double)d->removed_from_train, 0},
        {GN__H_DATA_USED, (double)r->train.rows, (double)r->test.rows},
        {GN__H_DATA_UNLABELLED, (double)r->train.unlabelled, (double)r->test.unlabelled},
        {GN__H_DATA_REPEATS, (double)d->within_train, (double)d->within_test},
        {GN__H_DATA_CONFLICTS, (double)d->conflicting_train, (double)d->conflicting_test},
        {GN__H_DATA_CUT, (double)r->main.model.cut_train, (double)r->main.model.cut_test}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool of_labels = rows[i].name == GN__H_DATA_UNLABELLED || rows[i].name == GN__H_DATA_CONFLICTS;
        if (of_labels && r->classes == 0) continue;
        gn__cell(&t, gn__word_of(p, rows[i].name));
        gn__cell(&t, gn__n_count(p, rows[i].train));
        gn__cell(&t, gn__n_count(p, rows[i].test));
    }
    gn__table_end(&t);
    if (d->across > 0 && r->kept_duplicates)
        gn__paragraph(p, "note warn", GN__COMPOSE(p, DATA_ACROSS_KEPT, gn__n_count(p, (double)d->across)));
    else if (d->across > 0)
        gn__paragraph(p, "small", GN__COMPOSE(p, DATA_ACROSS_REMOVED, gn__n_count(p, (double)d->across)));
}

static void put_class_count(gn__table *t, const gn_set_info *s, int c)
{
    double labelled = (double)s->rows - (double)s->unlabelled;
    if (s->class_rows == NULL) {
        gn__cell(t, "–");
        return;
    }
    double rows = (double)s->class_rows[c];
    const char *n = gn__n_count(t->p, rows);
    gn__cell(t, labelled > 0 ? GN__COMPOSE(t->p, WITH_INTERVAL, n, gn__n_percent(t->p, rows / labelled)) : n);
}

static void put_classes(gn__page *p)
{
    static const gn__html_id head[] = {GN__H_COL_CLASS, GN__H_HEAD_TRAIN, GN__H_HEAD_TEST};
    const gn_result *r = p->r;
    if (r->classes == 0) return;
    gn__put(p, "<h3>");
    gn__say(p, GN__H_DATA_CLASSES);
    gn__put(p, "</h3>\n");
    gn__table t = gn__table_begin(p, head, 3, 3);
    for (int c = 0; c < r->classes; c++) {
        gn__cell(&t, gn__class_name(p, c));
        put_class_count(&t, &r->train, c);
        put_class_count(&t, &r->test, c);
    }
    gn__table_end(&t);
}

static void put_malformed(gn__page *p, const gn_set_info *s, gn__html_id set)
{
    enum { SHOWN = 50 };
    static const gn__html_id head[] = {GN__H_COL_LINE, GN__H_COL_REASON};
    if (s->malformed == 0 || s->malformed_line == NULL) return;
    gn__put(p, "<h4>");
    GN__SAY(p, DATA_MALFORMED_ROWS, gn__word_of(p, set));
    gn__put(p, "</h4>\n");
    gn__table t = gn__table_begin(p, head, 2, 2);
    for (size_t i = 0; i < s->malformed && i < SHOWN; i++) {
        gn__cell(&t, gn__n_count(p, (double)s->malformed_line[i]));
        const char *why = s->malformed_reason ? s->malformed_reason[i] : NULL;
        gn__cell(&t, why ? gn__translate(p->lang, why) : "–");
    }
    gn__table_end(&t);
    if (s->malformed > SHOWN)
        gn__paragraph(p, "small",
                      GN__COMPOSE(p, DATA_MALFORMED_MORE, gn__n_count(p, (double)(s->malformed - SHOWN))));
}

void gn__html_data(gn__page *p)
{
    gn__section_begin(p, "data", GN__H_DATA);
    put_account(p);
    put_classes(p);
    put_malformed(p, &p->r->train, GN__H_HEAD_TRAIN);
    put_malformed(p, &p->r->test, GN__H_HEAD_TEST);
    gn__section_end(p);
}
