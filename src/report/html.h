/* The sections of the HTML report and their tables. */
#ifndef GENCHI_REPORT_HTML_H
#define GENCHI_REPORT_HTML_H

#include "report/figure.h"

extern const char gn__html_style[];

void gn__html_verdict(gn__page *p);
gn_status gn__html_pictures(gn__page *p, gn_error *err);
void gn__html_kind(gn__page *p);  /* html_shift.c */
void gn__html_where(gn__page *p); /* likewise */
gn_status gn__html_finetune(gn__page *p, gn_error *err);
void gn__html_texts(gn__page *p);
void gn__html_data(gn__page *p);
void gn__html_method(gn__page *p);
void gn__html_words(gn__page *p);

/* A section that the head links to. */
typedef struct gn__place {
    const char *section;
    gn__html_id text;
} gn__place;
/* A document down to <main>. sets: what is compared; created, version: may be NULL. */
void gn__head(gn__page *p, const char *title, const char *sets, const char *created, const char *version,
              const gn__place *place, size_t places);
const char *gn__file_name(const char *path); /* without its folders; "–" for NULL */

/* <section id="name"><h2>…</h2> */
void gn__section_begin(gn__page *p, const char *name, gn__html_id title);
void gn__section_end(gn__page *p);
void gn__paragraph(gn__page *p, const char *css_class, const char *text); /* css_class may be NULL */

/* A table whose columns from `first_number` on are numbers, set to the right. */
typedef struct gn__table {
    gn__page *p;
    int column, columns, first_number;
} gn__table;
gn__table gn__table_begin(gn__page *p, const gn__html_id *head, int columns, int first_number);
/* Cells come in order; a row opens and closes by itself. */
void gn__cell(gn__table *t, const char *text);
/* Fills the rest of the row with dashes. */
void gn__row_rest(gn__table *t);
void gn__table_end(gn__table *t);

/* What rows of the test set were grouped by: the column's name, or "column 4" where it has only a number;
 * never NULL. */
const char *gn__group_word(gn__page *p);

#endif
