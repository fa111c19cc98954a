/* Columns of a terminal: how wide text is, and where its lines may break. */
#ifndef GENCHI_REPORT_WRAP_H
#define GENCHI_REPORT_WRAP_H

#include "core/core.h"

/* Columns that s[0..n) takes: East Asian wide and full-width characters two, combining marks none (Unicode
 * Standard Annex 11; ambiguous ones count one). */
size_t gn__columns(const char *s, size_t n);

/* Appends text with '\n' at its end, broken to `columns`, the first line after what stands there already
 * (`used` columns), the rest behind `indent` blanks. Lines break at blanks and beside wide characters, but no
 * line begins with closing punctuation or small kana nor ends with an opening bracket (JIS X 4051,
 * simplified). Control characters, which could drive the terminal, are written as U+FFFD. */
void gn__put_wrapped(gn__buf *out, const char *text, size_t used, size_t indent, size_t columns);
/* One cell of a table: the text with control characters replaced, then blanks up to `width` columns. */
void gn__put_padded(gn__buf *out, const char *text, size_t width);

#endif
