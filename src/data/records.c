/* CSV, TSV and one-text-a-line into records, without copying and in linear time.
 *
 * All separators and the quote are ASCII below 0x40, which no encoding read here uses inside a character, so
 * the file can be taken apart before it is decoded.
 *
 * Why re-reading after a broken quote stays linear: between the opening of a broken quote and the place that
 * shows it broken, every run of quotes is even. Read afresh from the next line, an even run opens and closes
 * at once, so no quote opened in there can reach past its own line; each byte is looked at three times at
 * most. */
#include "data/data.h"

enum { MAX_FIELDS = 65536 };

static const char quote_after[] = "text follows the closing quote of the field opened on line %lld";
static const char quote_open[] = "the quote opened on line %lld is never closed";
static const char quote_inside[] =
    "an unquoted field on line %lld holds a quote, right after a broken quoted field";
static const char too_many[] = "more than 65,536 columns (the record begins on line %lld)";

static const char *find_newline(const char *at, const char *end)
{
    const char *p = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    return p != NULL ? p : end;
}

static bool add_field(gn__record *r, const char *at, const char *end, bool doubled)
{
    if (r->fields >= MAX_FIELDS) {
        r->problem = too_many;
        r->problem_line = r->line;
        return true;
    }
    if (r->fields == r->capacity) {
        size_t capacity = r->capacity ? r->capacity * 2 : 16;
        gn__field *field = gn__realloc(r->field, capacity, sizeof *field);
        if (field == NULL) return false;
        r->field = field;
        r->capacity = capacity;
    }
    r->field[r->fields++] = (gn__field){at, (size_t)(end - at), doubled};
    return true;
}

/* Where a quoted field ends: *close at its closing quote, or, broken, at the place that shows it. */
typedef struct quoted {
    const char *close;
    const char *problem;
    int64_t newlines;
    bool doubled;
} quoted;

static quoted scan_quoted(const char *at, const char *end, char separator)
{
    quoted q = {0};
    for (;;) {
        const char *p = at < end ? memchr(at, '"', (size_t)(end - at)) : NULL;
        const char *stop = p != NULL ? p : end;
        for (const char *n = at; (n = find_newline(n, stop)) < stop; n++) q.newlines++;
        if (p == NULL) {
            q.close = end;
            q.problem = quote_open;
            return q;
        }
        q.close = p;
        if (p + 1 == end || p[1] == separator || p[1] == '\n') return q;
        if (p[1] == '\r' && (p + 2 == end || p[2] == '\n')) return q;
        if (p[1] != '"') {
            q.problem = quote_after;
            return q;
        }
        q.doubled = true;
        at = p + 2;
    }
}

/* The end of an unquoted field: its separator or the end of its line. */
static const char *scan_plain(const char *at, const char *end, char separator)
{
    while (at < end && *at != separator && *at != '\n') at++;
    return at;
}

static const char *without_cr(const char *begin, const char *end)
{
    return end > begin && end[-1] == '\r' ? end - 1 : end;
}

/* Leaves the record as broken; reading goes on with the line after the one its quote was opened on. */
static void give_up(gn__cursor *c, gn__record *r, const char *opening, int64_t opening_line, const quoted *q)
{
    r->problem = q->problem;
    r->problem_line = opening_line;
    const char *newline = find_newline(opening, c->end);
    if (q->close > c->exact_until) c->exact_until = q->close;
    c->at = newline < c->end ? newline + 1 : c->end;
    c->line = opening_line + 1;
}

static bool next_delimited(gn__cursor *c, gn__record *r, bool *no_memory)
{
    const char separator = c->format == GN_FORMAT_TSV ? '\t' : ',';
    for (;;) {
        const char *begin = c->at, *stop;
        bool doubled = false, whole = false;
        if (begin < c->end && *begin == '"') {
            quoted q = scan_quoted(begin + 1, c->end, separator);
            if (q.problem == quote_open) c->ran_out = true;
            if (q.problem == NULL) {
                whole = true;
                doubled = q.doubled;
                if (!add_field(r, begin + 1, q.close, doubled)) goto memory;
                c->line += q.newlines;
                stop = q.close + 1;
                if (stop < c->end && *stop == '\r') stop++;
            } else if (separator == ',') {
                give_up(c, r, begin, c->line, &q);
                return true;
            }
        }
        if (!whole) {
            stop = scan_plain(begin, c->end, separator);
            const char *last = stop == c->end || *stop == '\n' ? without_cr(begin, stop) : stop;
            if (separator == ',' && begin < c->exact_until && r->problem == NULL && last > begin &&
                memchr(begin, '"', (size_t)(last - begin)) != NULL) {
                r->problem = quote_inside;
                r->problem_line = c->line;
            }
            if (r->fields == 0 && last == begin && (stop == c->end || *stop == '\n')) r->blank = true;
            if (!add_field(r, begin, last, false)) goto memory;
        }
        c->at = stop;
        if (stop == c->end) return true;
        c->at = stop + 1;
        if (*stop == '\n') {
            c->line++;
            return true;
        }
    }
memory:
    *no_memory = true;
    return false;
}

bool gn__next_record(gn__cursor *c, gn__record *r, bool *no_memory)
{
    r->line = c->line;
    r->fields = 0;
    r->blank = false;
    r->problem = NULL;
    r->problem_line = 0;
    if (c->at >= c->end) return false;
    if (c->format == GN_FORMAT_CSV || c->format == GN_FORMAT_TSV) return next_delimited(c, r, no_memory);
    const char *newline = find_newline(c->at, c->end), *last = without_cr(c->at, newline);
    r->blank = last == c->at;
    if (!add_field(r, c->at, last, false)) {
        *no_memory = true;
        return false;
    }
    c->at = newline < c->end ? newline + 1 : newline;
    c->line++;
    return true;
}

void gn__record_free(gn__record *r)
{
    free(r->field);
    *r = (gn__record){0};
}

void gn__field_content(const gn__field *f, gn__buf *out)
{
    const char *at = f->at, *end = f->at + f->length;
    while (f->doubled && at < end) {
        const char *p = memchr(at, '"', (size_t)(end - at));
        if (p == NULL) break;
        gn__buf_append(out, at, (size_t)(p - at) + 1);
        at = p + 2;
    }
    gn__buf_append(out, at, (size_t)(end - at));
}
