/* The HTML report as a whole, its head, and the helpers that its sections share. */
#include "report/html.h"
#include "report/sentences.h"

void gn__section_begin(gn__page *p, const char *name, gn__html_id title)
{
    gn__put(p, "<section id=\"");
    gn__put(p, name);
    gn__put(p, "\">\n<h2>");
    gn__say(p, title);
    gn__put(p, "</h2>\n");
}

void gn__section_end(gn__page *p)
{
    gn__put(p, "</section>\n");
}

void gn__paragraph(gn__page *p, const char *css_class, const char *text)
{
    gn__put(p, "<p");
    if (css_class != NULL) {
        gn__put(p, " class=\"");
        gn__put(p, css_class);
        gn__put(p, "\"");
    }
    gn__put(p, ">");
    gn__escape(p, text);
    gn__put(p, "</p>\n");
}

gn__table gn__table_begin(gn__page *p, const gn__html_id *head, int columns, int first_number)
{
    gn__put(p, "<div class=\"scroll\"><table>\n<thead><tr>");
    for (int i = 0; i < columns; i++) {
        gn__put(p, i >= first_number ? "<th class=\"n\" scope=\"col\">" : "<th scope=\"col\">");
        gn__say(p, head[i]);
        gn__put(p, "</th>");
    }
    gn__put(p, "</tr></thead>\n<tbody>\n");
    return (gn__table){p, 0, columns, first_number};
}

void gn__cell(gn__table *t, const char *text)
{
    if (t->column == 0) gn__put(t->p, "<tr>");
    gn__put(t->p, t->column >= t->first_number ? "<td class=\"n\">" : "<td>");
    gn__put(t->p, "<bdi>");
    /* an estimate stands above its interval, so that wide tables stay narrow */
    const char *interval = t->column >= t->first_number ? strstr(text, " (") : NULL;
    if (interval != NULL) {
        const char *estimate = gn__arena_strndup(&t->p->scratch, text, (size_t)(interval - text));
        gn__escape(t->p, estimate ? estimate : "");
        t->p->failed = t->p->failed || estimate == NULL;
        gn__put(t->p, "<br/><small>");
        gn__escape(t->p, interval + 1);
        gn__put(t->p, "</small>");
    } else {
        gn__escape(t->p, text);
    }
    gn__put(t->p, "</bdi></td>");
    if (++t->column == t->columns) {
        gn__put(t->p, "</tr>\n");
        t->column = 0;
    }
}

void gn__row_rest(gn__table *t)
{
    while (t->column != 0) gn__cell(t, "–");
}

void gn__table_end(gn__table *t)
{
    gn__put(t->p, "</tbody></table></div>\n");
}

const char *gn__file_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path ? path : "–";
}

void gn__head(gn__page *p, const char *title, const char *sets, const char *created, const char *version,
              const gn__place *place, size_t places)
{
    gn__put(p, "<!DOCTYPE html>\n<html lang=\"");
    gn__put(p, p->lang == GN_LANG_JA ? "ja" : "en");
    gn__put(p, "\">\n<head>\n<meta charset=\"utf-8\"/>\n"
               "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
               "'unsafe-inline'; base-uri 'none'; form-action 'none'\"/>\n"
               "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
               "<meta name=\"referrer\" content=\"no-referrer\"/>\n<title>");
    GN__SAY(p, DOCUMENT_TITLE, title);
    gn__put(p, "</title>\n<style>body,svg{font-family:");
    gn__put(p, gn__font_family(p->lang));
    gn__put(p, "}");
    gn__put(p, gn__html_style);
    gn__put(p, "</style>\n</head>\n<body>\n<header>\n<p class=\"brand\">genchi</p>\n<p class=\"sets\">");
    gn__escape(p, sets);
    gn__put(p, "<br/>");
    GN__SAY(p, HEAD_DATE, created ? gn__n_time(p, created) : "–", version ? version : "–");
    gn__put(p, "</p>\n<nav>");
    for (size_t i = 0; i < places; i++) {
        gn__put(p, "<a href=\"#");
        gn__put(p, place[i].section);
        gn__put(p, "\">");
        gn__say(p, place[i].text);
        gn__put(p, "</a> ");
    }
    gn__put(p, "</nav>\n</header>\n<main>\n");
}

static void put_head(gn__page *p)
{
    static const struct {
        gn__place place;
        unsigned steps; /* the section is there when one of these was run */
    } all[] = {{{"verdict", GN__H_NAV_VERDICT}, GN_STEP_DECIDE},
               {{"pictures", GN__H_NAV_PICTURES}, GN_STEP_ALL},
               {{"finetune", GN__H_NAV_TUNE}, GN_STEP_FINETUNE},
               {{"kind", GN__H_NAV_KIND}, GN_STEP_DETECT},
               {{"where", GN__H_NAV_WHERE}, GN_STEP_DETECT},
               {{"texts", GN__H_NAV_TEXTS}, GN_STEP_DETECT},
               {{"data", GN__H_NAV_DATA}, GN_STEP_ALL | GN_STEP_FINETUNE},
               {{"method", GN__H_NAV_METHOD}, GN_STEP_ALL | GN_STEP_FINETUNE},
               {{"words", GN__H_NAV_WORDS}, GN_STEP_ALL | GN_STEP_FINETUNE}};
    const gn_result *r = p->r;
    gn__place place[sizeof all / sizeof *all];
    size_t places = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (r->steps & all[i].steps) place[places++] = all[i].place;
    gn__head(p,
             r->steps & GN_STEP_DECIDE ? gn__verdict_title(r->verdict.code, p->lang)
                                       : gn__word_of(p, GN__H_PART_TITLE),
             GN__COMPOSE(p, HEAD_SETS, gn__file_name(r->train.path), gn__n_count(p, (double)r->train.rows),
                         gn__file_name(r->test.path), gn__n_count(p, (double)r->test.rows),
                         r->main.model.name ? r->main.model.name : "–"),
             r->created, r->version, place, places);
}

const char *gn__group_word(gn__page *p)
{
    const char *name = p->r->test.group_column;
    if (name == NULL) return gn__word_of(p, GN__H_COL_GROUP);
    return name[strspn(name, "0123456789")] == '\0' ? GN__COMPOSE(p, COLUMN_NUMBER, name) : name;
}

gn_status gn_report_html(const gn_result *r, gn_lang lang, char **out, size_t *length, gn_error *err)
{
    gn__page page;
    gn__page_begin(&page, r, lang);
    put_head(&page);
    gn__html_verdict(&page);
    gn_status status = gn__html_pictures(&page, err);
    if (status == GN_OK) status = gn__html_finetune(&page, err);
    if (status != GN_OK) {
        gn__buf_free(&page.out);
        gn__arena_free(&page.scratch);
        return status;
    }
    gn__html_kind(&page);
    gn__html_where(&page);
    gn__html_texts(&page);
    gn__html_data(&page);
    gn__html_method(&page);
    gn__html_words(&page);
    gn__put(&page, "</main>\n</body>\n</html>\n");
    return gn__page_end(&page, out, length, err);
}
