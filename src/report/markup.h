/* Writing HTML and SVG: the page being written, escaped text, table strings, numbers. */
#ifndef GENCHI_REPORT_MARKUP_H
#define GENCHI_REPORT_MARKUP_H

#include "core/core.h"
#include "genchi/report.h"

typedef enum gn__html_id {
#define S(id, en, ja) GN__H_##id,
#include "report/strings_html.def"
#undef S
    GN__H_COUNT
} gn__html_id;

const char *gn__html_text(gn__html_id id, gn_lang lang); /* static storage, not escaped */

/* One document being written. */
typedef struct gn__page {
    const gn_result *r;
    gn_lang lang;
    gn__buf out;
    gn__arena scratch; /* short strings that live as long as the page */
    bool failed;       /* the scratch arena ran short; out.failed tells of the document itself */
} gn__page;

void gn__page_begin(gn__page *p, const gn_result *r, gn_lang lang);
/* Hands the document over, or GN_NO_MEMORY; releases everything else either way. */
gn_status gn__page_end(gn__page *p, char **out, size_t *length, gn_error *err);

/* Markup as it stands. */
void gn__put(gn__page *p, const char *markup);
/* Outside text, safe in HTML and XML content and in double-quoted attributes: control characters and the
 * bidirectional controls that could leak out of it are removed, line breaks become spaces, ill-formed UTF-8
 * becomes U+FFFD. */
void gn__escape(gn__page *p, const char *text);
/* At most `max` code points, then "…". */
void gn__escape_short(gn__page *p, const char *text, size_t max);
/* A string of the table, {1} … {9} replaced by args, all of it escaped. */
void gn__say_all(gn__page *p, gn__html_id id, const char *const *args, size_t n);
#define GN__SAY(p, id, ...)                                          \
    gn__say_all((p), GN__H_##id, (const char *const[]){__VA_ARGS__}, \
                sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))
/* The same without arguments. */
void gn__say(gn__page *p, gn__html_id id);
/* The same, not escaped, into the page's scratch; for texts that are measured or passed on. Never NULL. */
const char *gn__compose_all(gn__page *p, gn__html_id id, const char *const *args, size_t n);
#define GN__COMPOSE(p, id, ...)                                          \
    gn__compose_all((p), GN__H_##id, (const char *const[]){__VA_ARGS__}, \
                    sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))
const char *gn__word_of(gn__page *p, gn__html_id id);
/* Markup with every '@' replaced by the next coordinate, at most one decimal. */
void gn__draw_all(gn__page *p, const char *markup, const double *at, size_t n);
#define GN__DRAW(p, markup, ...)                               \
    gn__draw_all((p), (markup), (const double[]){__VA_ARGS__}, \
                 sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

/* Numbers as strings of the page's scratch; a value that is not finite is an en dash. */
const char *gn__n_count(gn__page *p, double n);               /* "12,345" */
const char *gn__n_fixed(gn__page *p, double x, int decimals); /* "0.83" */
const char *gn__n_percent(gn__page *p, double x);             /* "84%" */
const char *gn__n_percent1(gn__page *p, double x);            /* "83.6%" */
const char *gn__n_signed_points(gn__page *p, double x); /* "+5.2", "−9.4": a difference of shares in points */
const char *gn__n_tick(gn__page *p, double x, int decimals); /* "0.5", "−2" with a true minus */
const char *gn__n_time(gn__page *p,
                       const char *iso); /* "2026-03-02 09:41 UTC"; what is not ISO 8601 UTC as it is */
const char *gn__n_p(gn__page *p, double x);
const char *gn__n_range(gn__page *p, gn_interval i, int decimals);            /* "0.67–0.81" */
const char *gn__n_range_percent(gn__page *p, gn_interval i);                  /* "67–81%" */
const char *gn__n_interval(gn__page *p, gn_interval i, int decimals);         /* "0.74 (0.67–0.81)" */
const char *gn__n_interval_percent(gn__page *p, gn_interval i, int decimals); /* "74.1% (66.9–81.3)" */

/* Estimated width in pixels of a text in an ordinary sans-serif face, on the wide side. */
double gn__text_width(const char *text, double size);
/* The text, cut with "…" to fit; in the page's scratch. */
const char *gn__text_fit(gn__page *p, const char *text, double size, double width);
/* A whole font-family list for the language, without double quotes. */
const char *gn__font_family(gn_lang lang);
/* Name of a class, "no label" for -1. */
const char *gn__class_name(gn__page *p, int label);
/* "train, positive" */
const char *gn__group_name(gn__page *p, bool test, int label);
const char *gn__answer_text(gn__page *p, const gn_shift *s);
gn__html_id gn__eval_label(gn_eval_kind kind);
/* The honest probe on test: whole groups where there are any. */
gn_eval_kind gn__honest_eval(const gn_probe_evidence *e);

#endif
