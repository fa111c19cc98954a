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

/* At least two of the first records, all of them whole and of one width of two columns or more. */
static bool looks_like(gn_format format, const char *s, size_t n)
{
    gn__cursor c = {.at = s, .end = s + n, .line = 1, .format = format};
    gn__record r = {0};
    bool no_memory = false, table = true;
    size_t width = 0, records = 0;
    while (table && records < LOOK_AHEAD && gn__next_record(&c, &r, &no_memory)) {
        if (r.blank) continue;
        if (records++ == 0) width = r.fields;
        table = r.problem == NULL && r.fields == width && width >= 2;
    }
    gn__record_free(&r);
    return table && records >= 2;
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
