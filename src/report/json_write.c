#include "report/json_fields.h"
#include "report/sentences.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

typedef struct writer {
    gn__buf out;
    const gn_result *result;
    gn_lang lang;
    unsigned depth; /* of indentation */
    unsigned flat;  /* > 0: everything on one line */
} writer;

static void write_fields(writer *w, const gn__field *f, const char *base, bool *first);
static void write_value(writer *w, const gn__field *f, const char *base);

static void new_line(writer *w)
{
    if (w->flat > 0) return;
    gn__buf_putc(&w->out, '\n');
    for (unsigned i = 0; i < w->depth; i++) gn__buf_puts(&w->out, "  ");
}

static void begin(writer *w, char bracket)
{
    gn__buf_putc(&w->out, bracket);
    w->depth++;
}

static void end(writer *w, char bracket, bool empty)
{
    w->depth--;
    if (!empty) new_line(w);
    gn__buf_putc(&w->out, bracket);
}

static void next(writer *w, bool *first)
{
    if (!*first) gn__buf_puts(&w->out, w->flat > 0 ? ", " : ",");
    *first = false;
    new_line(w);
}

static void write_string(writer *w, const char *s)
{
    if (s == NULL) {
        gn__buf_puts(&w->out, "null");
        return;
    }
    gn__buf_putc(&w->out, '"');
    for (size_t n = strlen(s); n > 0;) {
        uint32_t c;
        size_t used = gn__utf8_decode(s, n, &c);
        if (c == '"' || c == '\\') {
            gn__buf_putc(&w->out, '\\');
            gn__buf_putc(&w->out, (char)c);
        } else if (c < 0x20 || c == 0x7F || c == 0x2028 || c == 0x2029) {
            gn__buf_printf(&w->out, "\\u%04x", (unsigned)c);
        } else { /* an ill-formed sequence arrives here as U+FFFD */
            char utf8[4];
            gn__buf_append(&w->out, utf8, gn__utf8_encode(c, utf8));
        }
        s += used;
        n -= used;
    }
    gn__buf_putc(&w->out, '"');
}

static void write_key(writer *w, const char *key, bool *first)
{
    next(w, first);
    gn__buf_printf(&w->out, "\"%s\": ", key);
}

/* The fewest digits from `digits` to 17 that read back as x; null for NaN and infinities. printf writes the
 * locale's decimal point, whatever it is: the bytes that belong to no number become a point. */
static void write_number(writer *w, double x, int digits, int most)
{
    if (!isfinite(x)) {
        gn__buf_puts(&w->out, "null");
        return;
    }
    char text[64];
    do {
        snprintf(text, sizeof text, "%.*g", digits, x);
    } while (digits++ < most && strtod(text, NULL) != x);
    bool outside = false;
    for (const char *c = text; *c != '\0'; c++) {
        bool number = strchr("0123456789+-e", *c) != NULL;
        if (number)
            gn__buf_putc(&w->out, *c);
        else if (!outside)
            gn__buf_putc(&w->out, '.');
        outside = !number;
    }
}

enum { EXACT_FROM = 1, EXACT_TO = 17, FLOAT_DIGITS = 9, COARSE = 6 };

static void write_exact(writer *w, double x)
{
    write_number(w, x, EXACT_FROM, EXACT_TO);
}

static void write_numbers(writer *w, const double *x, size_t n, bool coarse)
{
    gn__buf_putc(&w->out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0) gn__buf_puts(&w->out, ", ");
        write_number(w, x[i], coarse ? COARSE : EXACT_FROM, coarse ? COARSE : EXACT_TO);
    }
    gn__buf_putc(&w->out, ']');
}

static void write_interval(writer *w, const gn_interval *i)
{
    gn__buf_puts(&w->out, "{\"estimate\": ");
    write_exact(w, i->estimate);
    gn__buf_puts(&w->out, ", \"low\": ");
    write_exact(w, i->low);
    gn__buf_puts(&w->out, ", \"high\": ");
    write_exact(w, i->high);
    gn__buf_putc(&w->out, '}');
}

static void write_object(writer *w, const gn__field *of, const char *base)
{
    bool first = true;
    begin(w, '{');
    write_fields(w, of, base, &first);
    end(w, '}', first);
}

/* The pointer to some struct at p. */
static const char *pointer_at(const void *p)
{
    const char *pointer;
    memcpy(&pointer, p, sizeof pointer);
    return pointer;
}

static void write_array(writer *w, const gn__field *f, const char *data, size_t n)
{
    bool first = true, flat = gn__is_flat(f->of);
    begin(w, '[');
    for (size_t i = 0; i < n; i++) {
        next(w, &first);
        w->flat += flat;
        write_object(w, f->of, data + i * f->size);
        w->flat -= flat;
    }
    end(w, ']', first);
}

static void write_strings(writer *w, char *const *s, size_t n)
{
    gn__buf_putc(&w->out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0) gn__buf_puts(&w->out, ", ");
        write_string(w, s[i]);
    }
    gn__buf_putc(&w->out, ']');
}

static void write_steps(writer *w, unsigned steps)
{
    bool first = true;
    gn__buf_putc(&w->out, '[');
    for (unsigned i = 0; gn__step_names[i] != NULL; i++) {
        if (!(steps >> i & 1)) continue;
        if (!first) gn__buf_puts(&w->out, ", ");
        first = false;
        write_string(w, gn__step_names[i]);
    }
    gn__buf_putc(&w->out, ']');
}

static void write_class_rows(writer *w, const size_t *rows)
{
    if (rows == NULL) {
        gn__buf_puts(&w->out, "null");
        return;
    }
    gn__buf_putc(&w->out, '[');
    for (int c = 0; c < w->result->classes; c++) gn__buf_printf(&w->out, "%s%zu", c > 0 ? ", " : "", rows[c]);
    gn__buf_putc(&w->out, ']');
}

static void write_malformed(writer *w, const gn_set_info *s)
{
    bool first = true;
    begin(w, '[');
    for (size_t i = 0; i < s->malformed; i++) {
        next(w, &first);
        gn__buf_printf(&w->out, "{\"line\": %" PRId64 ", \"reason\": ", s->malformed_line[i]);
        write_string(w, s->malformed_reason[i]);
        gn__buf_putc(&w->out, '}');
    }
    end(w, ']', first);
}

static void write_reasons(writer *w, const gn_reason *reason, int n)
{
    bool first = true;
    begin(w, '[');
    for (int i = 0; i < n; i++) {
        gn__buf text = {0};
        gn__reason_text(w->result, &reason[i], w->lang, &text);
        if (text.failed) w->out.failed = true;
        next(w, &first);
        bool first_key = true;
        begin(w, '{');
        write_key(w, "id", &first_key);
        write_string(w, reason[i].id);
        write_key(w, "stance", &first_key);
        write_string(w, gn__stance_names[reason[i].stance]);
        write_key(w, "values", &first_key);
        write_numbers(w, reason[i].value, (size_t)reason[i].values, false);
        write_key(w, "text", &first_key);
        write_string(w, text.data != NULL ? text.data : "");
        end(w, '}', false);
        gn__buf_free(&text);
    }
    end(w, ']', first);
}

/* 2^53: JSON readers that hold numbers as doubles keep integers up to there. */
#define MAX_EXACT (UINT64_C(1) << 53)

static void write_value(writer *w, const gn__field *f, const char *base)
{
    const void *p = base + f->offset;
    const void *count = base + f->count;
    gn__buf *b = &w->out;
    switch (f->kind) {
    case GN__KIND_STRING:
        write_string(w, *(char *const *)p);
        break;
    case GN__KIND_NAME:
        write_string(w, *(const char *const *)p);
        break;
    case GN__KIND_CHARS:
        write_string(w, p);
        break;
    case GN__KIND_BOOL:
    case GN__KIND_GUARD:
        gn__buf_puts(b, *(const bool *)p ? "true" : "false");
        break;
    case GN__KIND_INT:
        gn__buf_printf(b, "%d", *(const int *)p);
        break;
    case GN__KIND_UNSIGNED:
        gn__buf_printf(b, "%u", *(const unsigned *)p);
        break;
    case GN__KIND_SIZE:
        gn__buf_printf(b, "%zu", *(const size_t *)p);
        break;
    case GN__KIND_LINE:
        gn__buf_printf(b, "%" PRId64, *(const int64_t *)p);
        break;
    case GN__KIND_SEED: {
        uint64_t seed = *(const uint64_t *)p;
        gn__buf_printf(b, seed <= MAX_EXACT ? "%" PRIu64 : "\"%" PRIu64 "\"", seed);
        break;
    }
    case GN__KIND_DOUBLE:
        write_exact(w, *(const double *)p);
        break;
    case GN__KIND_FLOAT:
        write_number(w, *(const float *)p, FLOAT_DIGITS, FLOAT_DIGITS);
        break;
    case GN__KIND_LABEL:
        if (*(const int *)p < 0)
            gn__buf_puts(b, "null");
        else
            gn__buf_printf(b, "%d", *(const int *)p);
        break;
    case GN__KIND_ENUM:
        write_string(w, f->names[*(const unsigned *)p]);
        break;
    case GN__KIND_INTERVAL:
        write_interval(w, p);
        break;
    case GN__KIND_OBJECT:
        write_object(w, f->of, p);
        break;
    case GN__KIND_OPTIONAL:
        if (*(const bool *)count)
            write_object(w, f->of, p);
        else
            gn__buf_puts(b, "null");
        break;
    case GN__KIND_STEP:
        if (w->result->steps & f->size)
            write_object(w, f->of, p);
        else
            gn__buf_puts(b, "null");
        break;
    case GN__KIND_STEPS:
        write_steps(w, *(const unsigned *)p);
        break;
    case GN__KIND_ARRAY:
        write_array(w, f, pointer_at(p), *(const size_t *)count);
        break;
    case GN__KIND_BY_CLASS:
        if (pointer_at(p) != NULL)
            write_array(w, f, pointer_at(p), (size_t)w->result->classes);
        else
            gn__buf_puts(b, "null");
        break;
    case GN__KIND_CLASS_NAMES:
        write_strings(w, *(char *const *const *)p, (size_t) * (const int *)count);
        break;
    case GN__KIND_CLASS_ROWS:
        write_class_rows(w, *(size_t *const *)p);
        break;
    case GN__KIND_STRINGS:
        write_strings(w, *(char *const *const *)p, *(const size_t *)count);
        break;
    case GN__KIND_PAIR:
        write_numbers(w, p, 2, false);
        break;
    case GN__KIND_NUMBERS:
        write_numbers(w, *(double *const *)p, *(const size_t *)count, false);
        break;
    case GN__KIND_GRID:
        if (*(double *const *)p != NULL)
            write_numbers(w, *(double *const *)p, f->size, true);
        else
            gn__buf_puts(b, "null");
        break;
    case GN__KIND_MALFORMED:
        write_malformed(w, p);
        break;
    case GN__KIND_REASONS:
        write_reasons(w, p, *(const int *)count);
        break;
    case GN__KIND_INLINE: /* has no key: write_fields */
    case GN__KIND_END:
        break;
    }
}

static void write_fields(writer *w, const gn__field *f, const char *base, bool *first)
{
    for (; f->kind != GN__KIND_END; f++) {
        if (f->kind == GN__KIND_INLINE) {
            write_fields(w, f->of, base + f->offset, first);
            continue;
        }
        write_key(w, f->key, first);
        write_value(w, f, base);
        if (f->kind != GN__KIND_GUARD || *(const bool *)(base + f->offset)) continue;
        for (size_t i = 1; i <= f->size; i++) {
            write_key(w, f[i].key, first);
            write_value(w, &f[i], base);
        }
        return;
    }
}

gn_status gn_report_json(const gn_result *r, gn_lang lang, char **out, size_t *length, gn_error *err)
{
    writer w = {.result = r, .lang = lang};
    bool first = true;
    begin(&w, '{');
    write_key(&w, "schema", &first);
    write_string(&w, GN__SCHEMA);
    write_fields(&w, gn__result_fields, (const char *)r, &first);
    end(&w, '}', false);
    gn__buf_putc(&w.out, '\n');
    if (w.out.failed) {
        size_t asked = w.out.capacity;
        gn__buf_free(&w.out);
        return gn__no_memory(err, asked);
    }
    *out = w.out.data;
    *length = w.out.length;
    return GN_OK;
}
