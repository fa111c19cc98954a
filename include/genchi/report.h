/* Rendering a result: terminal text, result.json, one self-contained HTML file, SVG figures.
 *
 * Floor 6. Computes nothing: every number comes out of gn_result. */
#ifndef GENCHI_REPORT_H
#define GENCHI_REPORT_H

#include "genchi/check.h"

#ifdef __cplusplus
extern "C" {
#endif

/* result.json, schema "genchi.result/1" (docs/result-json.md). *out is NUL-terminated UTF-8, free()d by
 * the caller. The reasons' sentences are written in `lang`. Non-finite numbers become null. */
GN_API gn_status gn_report_json(const gn_result *r, gn_lang lang, char **out, size_t *length, gn_error *err);
/* Reads a result.json back; NaN for null. Errors: GN_IO, GN_FORMAT (which field), GN_UNSUPPORTED
 * (another schema version). Free with gn_result_free. */
GN_API gn_status gn_result_read(const char *path, gn_result *out, gn_error *err);

/* The HTML report: opens offline, needs no script, prints well. */
GN_API gn_status gn_report_html(const gn_result *r, gn_lang lang, char **out, size_t *length, gn_error *err);

/* Terminal text; colour: ANSI colours; columns: width to wrap at (0: 80). East Asian wide characters
 * count two columns. */
GN_API gn_status gn_report_text(const gn_result *r, gn_lang lang, bool colour, unsigned columns, char **out,
                                size_t *length, gn_error *err);

/* X(NAME, file name) */
#define GN_FIGURE_LIST(X)                                                                        \
    X(PLANE, "plane.svg")       /* density contours and points over PC1–PC2 */                 \
    X(MARGINAL, "marginal.svg") /* densities along PC1 and along the probe's direction */        \
    X(OVERLAP, "overlap.svg")   /* overlap beside its yardstick */                               \
    X(PROBES, "probes.svg")     /* probe accuracies with intervals */                            \
    X(SHIFT, "shift.svg")       /* AUC globally and by label, against the tolerance */           \
    X(FINETUNE, "finetune.svg") /* differences of each method from the probe on the same rows */ \
    X(MOVED, "moved.svg")       /* both sets before and after fine-tuning, in one projection */

typedef enum gn_figure {
#define GN_FIGURE_ENUM(name, file) GN_FIGURE_##name,
    GN_FIGURE_LIST(GN_FIGURE_ENUM)
#undef GN_FIGURE_ENUM
        GN_FIGURE_COUNT
} gn_figure;

/* One figure as a standalone SVG document. *out is "" (length 0) when the result lacks its data. */
GN_API gn_status gn_report_figure(const gn_result *r, gn_figure figure, gn_lang lang, char **out,
                                  size_t *length, gn_error *err);
GN_API const char *gn_figure_file(gn_figure figure);

/* Writes report.html, result.json and the figures into `directory` (made if missing), every file written
 * aside, flushed and then renamed, so that no half-written report replaces a good one.
 * Errors: GN_IO (unwritable, full). */
GN_API gn_status gn_report_write(const gn_result *r, gn_lang lang, const char *directory, gn_error *err);

#ifdef __cplusplus
}
#endif
#endif
