/* Which format a file is in: by its name, else by its first lines. */
#include "data/data.h"

#include <strings.h>

enum { LOOK_AHEAD = 20 };

static const struct {
    const char *suffix;
    gn_format format;
} suffixes[] = {
    {".csv", GN_FORMAT_CSV},      {".tsv", GN_FORMAT_TSV},  {".jsonl", GN_FORMAT_JSONL},
    {".ndjson", GN_FORMAT_JSONL}, {".txt", GN_FORMAT_TEXT},
};

static bool strip(const char *path, size_t *n, const char *suffix)
{
    size_t k = strlen(suffix);
    if (*n <= k || strncasecmp(path + *n - k, suffix, k) != 0) return false;
    *n -= k;
    return true;
}

gn_format gn__format_by_name(const char *path)
{
    size_t n = strlen(path);
    if (!strip(path, &n, ".gz")) strip(path, &n, ".zst");
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (strip(path, &n, suffixes[i].suffix)) return suffixes[i].format;
    return GN_FORMAT_AUTO;
}

/* A first record of two columns or more that either names a text or label column, or has the width of at
 * least nine in ten of the first records. */
static bool looks_like(gn_format format, const char *s, size_t n)
{
    gn__cursor c = {.at = s, .end = s + n, .line = 1, .format = format};
    gn__record r = {0};
    bool no_memory = false, named = false;
    size_t width = 0, records = 0, alike = 0;
    while (records < LOOK_AHEAD && !named && gn__next_record(&c, &r, &no_memory)) {
        if (r.blank) continue;
        if (records++ == 0) {
            width = r.problem == NULL ? r.fields : 0;
            for (size_t i = 0; i < width && width >= 2; i++)
                named = named || gn__is_column_name(r.field[i].at, r.field[i].length);
        }
        alike += r.problem == NULL && r.fields == width;
    }
    gn__record_free(&r);
    return width >= 2 && (named || (records >= 2 && alike * 10 >= records * 9));
}

gn_format gn__format_by_content(const char *s, size_t n, bool wants_columns)
{
    size_t at = 0;
    while (at < n && (s[at] == ' ' || s[at] == '\t' || s[at] == '\r' || s[at] == '\n')) at++;
    const char *newline = at < n ? memchr(s + at, '\n', n - at) : NULL;
    size_t line = newline != NULL ? (size_t)(newline - s) - at : n - at;
    if (at < n && s[at] == '{') {
        char reason[120];
        gn__json *j = gn__json_line(s + at, line, GN_LANG_EN, reason);
        gn__json_free(j);
        if (j != NULL) return GN_FORMAT_JSONL;
    }
    if (looks_like(GN_FORMAT_TSV, s, n)) return GN_FORMAT_TSV;
    if (looks_like(GN_FORMAT_CSV, s, n)) return GN_FORMAT_CSV;
    if (!wants_columns) return GN_FORMAT_TEXT;
    return line > 0 && memchr(s + at, '\t', line) != NULL ? GN_FORMAT_TSV : GN_FORMAT_CSV;
}

const char *gn_format_name(gn_format f)
{
    static const char *const name[] = {
        [GN_FORMAT_AUTO] = "auto",   [GN_FORMAT_CSV] = "csv",   [GN_FORMAT_TSV] = "tsv",
        [GN_FORMAT_JSONL] = "jsonl", [GN_FORMAT_TEXT] = "text",
    };
    return (size_t)f < sizeof name / sizeof *name ? name[f] : "unknown";
}
