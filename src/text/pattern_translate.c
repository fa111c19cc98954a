/* From Oniguruma's Ruby syntax (doc/RE of kkos/oniguruma) to PCRE2's, see pattern.h. */
#include "text/pattern.h"
#include "text/unicode_properties.h"

#include <limits.h>

enum { MAX_DEPTH = 64, MAX_CLASSES = 8, LAST = 0x10FFFF };

typedef struct range {
    uint32_t low, high;
} range;

typedef struct set {
    range *at;
    size_t count, capacity;
} set;

typedef struct translator {
    const char *s;
    size_t n, at;
    gn__buf *out;
    const char *why;
    bool fold[MAX_DEPTH + 1]; /* of each open group: letters match without regard to case */
    size_t depth;
    uint32_t before; /* the literal just before, for foldings of two characters */
} translator;

static bool refuse(translator *t, const char *why)
{
    if (t->why == NULL) t->why = why;
    return false;
}

static void add(translator *t, set *s, uint32_t low, uint32_t high)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 64;
        range *at = gn__realloc(s->at, capacity, sizeof *at);
        if (at == NULL) {
            t->out->failed = true;
            return;
        }
        s->at = at;
        s->capacity = capacity;
    }
    s->at[s->count++] = (range){low, high};
}

static int by_low(const void *a, const void *b)
{
    const range *x = a, *y = b;
    return x->low < y->low ? -1 : x->low > y->low;
}

static void tidy(set *s)
{
    if (s->count == 0) return;
    qsort(s->at, s->count, sizeof *s->at, by_low);
    size_t kept = 0;
    for (size_t i = 1; i < s->count; i++) {
        if (s->at[i].low <= s->at[kept].high + 1) {
            if (s->at[i].high > s->at[kept].high) s->at[kept].high = s->at[i].high;
        } else {
            s->at[++kept] = s->at[i];
        }
    }
    s->count = kept + 1;
}

/* Adds to `into` all that `from` lacks. */
static void add_others(translator *t, set *into, set *from)
{
    uint32_t next = 0;
    tidy(from);
    for (size_t i = 0; i < from->count; i++) {
        if (from->at[i].low > next) add(t, into, next, from->at[i].low - 1);
        next = from->at[i].high + 1;
    }
    if (next <= LAST) add(t, into, next, LAST);
}

static void emit_set(translator *t, set *s)
{
    tidy(s);
    if (s->count == 0) {
        gn__buf_puts(t->out, "(?!)");
        return;
    }
    gn__buf_putc(t->out, '[');
    for (size_t i = 0; i < s->count; i++) {
        uint32_t low = s->at[i].low,
                 high = s->at[i].high; /* PCRE2 takes no surrogates, and no text has any */
        if (low >= 0xD800 && low <= 0xDFFF) low = 0xE000;
        if (high >= 0xD800 && high <= 0xDFFF) high = 0xD7FF;
        if (low > high) continue;
        gn__buf_printf(t->out, "\\x{%X}-\\x{%X}", (unsigned)low, (unsigned)high);
    }
    gn__buf_putc(t->out, ']');
}

/* ---- properties ---------------------------------------------------------------------------------- */

typedef bool (*wanted)(unsigned value, unsigned arg);

static void add_where(translator *t, set *s, const gn__unicode_table *table, wanted want, unsigned arg)
{
    for (size_t i = 0; i < table->runs; i++)
        if (want(table->run[i] & 0xFF, arg))
            add(t, s, table->run[i] >> 8, i + 1 < table->runs ? (table->run[i + 1] >> 8) - 1 : LAST);
}

static bool has_bit(unsigned value, unsigned arg)
{
    return (value & arg) != 0;
}

static bool of_script(unsigned value, unsigned arg)
{
    return value >> GN__PROPERTY_SCRIPT == arg + 1;
}

static bool of_category(unsigned value, unsigned arg)
{
    return value == arg;
}

static bool of_group(unsigned value, unsigned arg)
{
    return (unsigned char)gn__unicode_category_names[value][0] == arg;
}

static bool add_named(translator *t, set *s, const char *name, size_t n)
{
    if (n == 1 && memchr("LMNPSZ", name[0], 6) != NULL) {
        add_where(t, s, &gn__unicode_category, of_group, (unsigned char)name[0]);
        return true;
    }
    for (unsigned i = 0; i < GN__UNICODE_CATEGORIES; i++) {
        const char *known = gn__unicode_category_names[i];
        if (n != 2 || memcmp(known, name, 2) != 0 || known[0] == 'C') continue;
        add_where(t, s, &gn__unicode_category, of_category, i);
        return true;
    }
    for (unsigned i = 0; i < GN__UNICODE_SCRIPTS; i++) {
        const char *known = gn__unicode_script_names[i];
        if (strlen(known) != n || memcmp(known, name, n) != 0) continue;
        add_where(t, s, &gn__unicode_property, of_script, i);
        return true;
    }
    return refuse(t, "a property of characters that is not known here");
}

/* ---- escapes ------------------------------------------------------------------------------------- */

static uint32_t next_code(translator *t)
{
    uint32_t code;
    t->at += gn__utf8_decode(t->s + t->at, t->n - t->at, &code);
    return code;
}

static bool hex(translator *t, size_t digits, uint32_t *code)
{
    *code = 0;
    for (size_t i = 0; i < digits; i++, t->at++) {
        char c = t->at < t->n ? t->s[t->at] : '\0';
        unsigned v = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                     : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                            : 99;
        if (v == 99) return refuse(t, "an escape that is not known here");
        *code = *code * 16 + v;
    }
    if ((*code >= 0xD800 && *code <= 0xDFFF) || (digits == 2 && *code > 0x7F))
        return refuse(t, "an escape that is not known here");
    return true;
}

/* \w; within a class Oniguruma leaves out six characters of Latin-1 that it takes elsewhere (the generator of
 * the tables holds this). */
static void add_word(translator *t, set *s, bool in_class)
{
    const gn__unicode_table *table = &gn__unicode_property;
    if (!in_class) {
        add_where(t, s, table, has_bit, GN__PROPERTY_WORD);
        return;
    }
    static const uint32_t left_out[] = {0xB2, 0xB3, 0xB9, 0xBC, 0xBD, 0xBE};
    for (size_t i = 0; i < table->runs; i++) {
        if (!has_bit(table->run[i] & 0xFF, GN__PROPERTY_WORD)) continue;
        uint32_t low = table->run[i] >> 8, high = i + 1 < table->runs ? (table->run[i + 1] >> 8) - 1 : LAST;
        for (size_t k = 0; k < sizeof left_out / sizeof *left_out; k++) {
            if (left_out[k] < low || left_out[k] > high) continue;
            if (left_out[k] > low) add(t, s, low, left_out[k] - 1);
            low = left_out[k] + 1;
        }
        if (low <= high) add(t, s, low, high);
    }
}

/* What follows a backslash: one character in *code, or *is_set and the set. */
static bool escape(translator *t, bool in_class, set *s, bool *is_set, uint32_t *code)
{
    static const char plain[][2] = {{'n', '\n'}, {'r', '\r'}, {'t', '\t'},
                                    {'f', '\f'}, {'v', '\v'}, {'a', 7}};
    if (t->at >= t->n) return refuse(t, "an escape that is not known here");
    char c = t->s[t->at];
    set positive = {0};
    *is_set = true;
    if (strchr("dDsSwW", c) != NULL) {
        t->at++;
        if (c == 'd' || c == 'D')
            add_named(t, &positive, "Nd", 2);
        else if (c == 's' || c == 'S')
            add_where(t, &positive, &gn__unicode_property, has_bit, GN__PROPERTY_SPACE);
        else
            add_word(t, &positive, in_class);
    } else if ((c == 'p' || c == 'P') && t->at + 1 < t->n && t->s[t->at + 1] == '{') {
        size_t from = t->at + 2;
        const char *close = memchr(t->s + from, '}', t->n - from);
        if (close == NULL) return refuse(t, "an escape that is not known here");
        size_t n = (size_t)(close - t->s) - from;
        if (n > 0 && t->s[from] == '^') {
            from++, n--;
            c = c == 'p' ? 'P' : 'p';
        }
        t->at = (size_t)(close - t->s) + 1;
        if (!add_named(t, &positive, t->s + from, n)) {
            free(positive.at);
            return false;
        }
    } else {
        *is_set = false;
    }
    if (*is_set) {
        if (c >= 'A' && c <= 'Z')
            add_others(t, s, &positive);
        else
            for (size_t i = 0; i < positive.count; i++) add(t, s, positive.at[i].low, positive.at[i].high);
        free(positive.at);
        return true;
    }
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (plain[i][0] != c) continue;
        t->at++;
        *code = (uint32_t)plain[i][1];
        return true;
    }
    if (c == 'x' && t->at + 1 < t->n && t->s[t->at + 1] != '{') {
        t->at++;
        return hex(t, 2, code);
    }
    if (c == 'u') {
        t->at++;
        return hex(t, 4, code);
    }
    if (c == 'x') {
        t->at += 2;
        const char *close = memchr(t->s + t->at, '}', t->n - t->at);
        size_t digits = close == NULL ? 0 : (size_t)(close - t->s) - t->at;
        if (digits == 0 || digits > 6) return refuse(t, "an escape that is not known here");
        size_t from = t->at;
        uint32_t value = 0;
        for (size_t i = 0; i < digits; i++) {
            char d = t->s[from + i];
            if (!((d >= '0' && d <= '9') || (d >= 'a' && d <= 'f') || (d >= 'A' && d <= 'F')))
                return refuse(t, "an escape that is not known here");
            value = value * 16 + (uint32_t)(d <= '9' ? d - '0' : (d | 32) - 'a' + 10);
        }
        if (value > LAST || (value >= 0xD800 && value <= 0xDFFF))
            return refuse(t, "an escape that is not known here");
        t->at = from + digits + 1;
        *code = value;
        return true;
    }
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        return refuse(t, "an escape that is not known here");
    *code = next_code(t);
    return true;
}

/* ---- classes ------------------------------------------------------------------------------------- */

static bool class_body(translator *t, set *s, unsigned depth);

static bool class_member(translator *t, set *s, unsigned depth, bool *is_set, uint32_t *code)
{
    if (t->at >= t->n) return refuse(t, "a class without its end");
    char c = t->s[t->at];
    if (c == '[') {
        if (depth == MAX_CLASSES || (t->at + 1 < t->n && t->s[t->at + 1] == ':'))
            return refuse(t, "a class within a class, of a kind that is not known here");
        t->at++;
        *is_set = true;
        return class_body(t, s, depth + 1);
    }
    if (c == '&' && t->at + 1 < t->n && t->s[t->at + 1] == '&')
        return refuse(t, "an intersection of classes");
    if (c == '\\') {
        t->at++;
        return escape(t, true, s, is_set, code);
    }
    *is_set = false;
    *code = next_code(t);
    return true;
}

static bool class_members(translator *t, set *s, unsigned depth)
{
    if (t->at < t->n && t->s[t->at] == ']') return refuse(t, "an empty class");
    while (t->at < t->n && t->s[t->at] != ']') {
        bool is_set, high_set;
        uint32_t low = 0, high = 0;
        if (!class_member(t, s, depth, &is_set, &low)) return false;
        bool range_follows = t->at + 1 < t->n && t->s[t->at] == '-' && t->s[t->at + 1] != ']';
        if (is_set) {
            if (range_follows) return refuse(t, "a range that begins with a class");
            continue;
        }
        if (!range_follows) {
            add(t, s, low, low);
            continue;
        }
        t->at++;
        if (!class_member(t, s, depth, &high_set, &high)) return false;
        if (high_set || high < low) return refuse(t, "a range that ends before it begins");
        add(t, s, low, high);
    }
    if (t->at >= t->n) return refuse(t, "a class without its end");
    t->at++;
    return true;
}

/* Adds to s what the class that has just been opened holds; classes lie at most MAX_CLASSES deep. */
static bool class_body(translator *t, set *s, unsigned depth)
{
    set inner = {0};
    bool negated = t->at < t->n && t->s[t->at] == '^';
    if (negated) t->at++;
    bool good = class_members(t, &inner, depth);
    if (good && negated)
        add_others(t, s, &inner);
    else if (good)
        for (size_t i = 0; i < inner.count; i++) add(t, s, inner.at[i].low, inner.at[i].high);
    free(inner.at);
    return good;
}

static void add_fold(translator *t, set *s, uint32_t code)
{
    uint32_t lower = code >= 'A' && code <= 'Z' ? code + 32 : code;
    add(t, s, code, code);
    if (lower < 'a' || lower > 'z') return;
    add(t, s, lower, lower);
    add(t, s, lower - 32, lower - 32);
    if (lower == 's') add(t, s, 0x17F, 0x17F);
    if (lower == 'k') add(t, s, 0x212A, 0x212A);
}

static bool class(translator *t)
{
    set s = {0};
    bool good = class_body(t, &s, 0);
    if (good && t->fold[t->depth]) {
        size_t count = s.count;
        for (size_t i = 0; good && i < count; i++) {
            range r = s.at[i];
            if (r.high > 0x7F) good = refuse(t, "a class beyond ASCII without regard to case");
            for (uint32_t c = r.low; good && c <= r.high; c++) add_fold(t, &s, c);
        }
    }
    if (good) emit_set(t, &s);
    free(s.at);
    return good;
}

/* ---- the expression ------------------------------------------------------------------------------ */

static bool literal(translator *t, uint32_t code)
{
    if (t->fold[t->depth]) {
        static const char pairs[][3] = {"ss", "ff", "fi", "fl",
                                        "st"}; /* also single characters when folded */
        if (code > 0x7F) return refuse(t, "a character beyond ASCII without regard to case");
        char now = (char)(code >= 'A' && code <= 'Z' ? code + 32 : code);
        for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
            if ((char)t->before == pairs[i][0] && now == pairs[i][1])
                return refuse(t, "letters that fold into one");
        t->before = (uint32_t)(unsigned char)now;
        set s = {0};
        add_fold(t, &s, code);
        emit_set(t, &s);
        free(s.at);
        return true;
    }
    gn__buf_printf(t->out, "\\x{%X}", (unsigned)code);
    return true;
}

static bool open_group(translator *t)
{
    static const char *const kinds[] = {"?:", "?=", "?!", "?>", "?<=", "?<!", "?i:"};
    if (t->depth == MAX_DEPTH) return refuse(t, "more groups within groups than are read");
    bool fold = t->fold[t->depth];
    const char *kind = "?:";
    if (t->at < t->n && t->s[t->at] == '?') {
        kind = NULL;
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
            size_t n = strlen(kinds[i]);
            if (t->n - t->at >= n && memcmp(t->s + t->at, kinds[i], n) == 0) kind = kinds[i];
        }
        if (kind == NULL) return refuse(t, "a kind of group that is not known here");
        t->at += strlen(kind);
        if (strcmp(kind, "?i:") == 0) {
            fold = true;
            kind = "?:";
        }
    }
    gn__buf_printf(t->out, "(%s", kind);
    t->fold[++t->depth] = fold;
    return true;
}

/* {n}, {n,}, {,m}, {n,m}: the bounds; false: no interval, the brace stands for itself. */
static bool interval(const translator *t, size_t *end, unsigned long bound[2], bool *exact)
{
    size_t at = t->at, digits[2] = {0, 0};
    bound[0] = bound[1] = 0;
    *exact = true;
    for (int k = 0; k < 2; k++) {
        for (; at < t->n && t->s[at] >= '0' && t->s[at] <= '9' && digits[k] < 6; at++, digits[k]++)
            bound[k] = bound[k] * 10 + (unsigned long)(t->s[at] - '0');
        if (k == 0 && at < t->n && t->s[at] == ',') {
            *exact = false;
            at++;
        } else {
            break;
        }
    }
    if (at >= t->n || t->s[at] != '}' || (digits[0] == 0 && digits[1] == 0)) return false;
    if (*exact)
        bound[1] = bound[0];
    else if (digits[1] == 0)
        bound[1] = ULONG_MAX;
    *end = at + 1;
    return true;
}

/* After one item: its quantifier, if any. */
static bool quantifier(translator *t)
{
    char c = t->at < t->n ? t->s[t->at] : '\0';
    if (c == '{') {
        size_t end;
        unsigned long bound[2];
        bool exact;
        t->at++;
        if (!interval(t, &end, bound, &exact)) {
            t->at--;
            return true;
        }
        if (bound[1] < bound[0] || bound[0] > 65535 || (bound[1] != ULONG_MAX && bound[1] > 65535))
            return refuse(t, "a number of repetitions that is out of range");
        t->at = end;
        if (bound[1] == ULONG_MAX)
            gn__buf_printf(t->out, "{%lu,}", bound[0]);
        else
            gn__buf_printf(t->out, "{%lu,%lu}", bound[0], bound[1]);
        char after = t->at < t->n ? t->s[t->at] : '\0';
        if (after == '+' || (after == '?' && exact))
            return refuse(t, "a quantifier after a number of repetitions");
        if (after == '?') {
            gn__buf_putc(t->out, '?');
            t->at++;
        }
    } else if (c == '*' || c == '+' || c == '?') {
        gn__buf_putc(t->out, c);
        char after = ++t->at < t->n ? t->s[t->at] : '\0';
        if (after == '?' || after == '+') {
            gn__buf_putc(t->out, after);
            t->at++;
        }
    } else {
        return true;
    }
    t->before = 0;
    char next = t->at < t->n ? t->s[t->at] : '\0';
    return next == '*' || next == '+' || next == '?' || next == '{' ? refuse(t, "two quantifiers in a row")
                                                                    : true;
}

static bool item(translator *t)
{
    uint32_t before = t->before;
    t->before = 0;
    char c = t->s[t->at];
    switch (c) {
    case '(':
        t->at++;
        return open_group(t);
    case '|':
        t->at++;
        gn__buf_putc(t->out, c);
        return true;
    case ')':
        if (t->depth == 0) return refuse(t, "a group without its beginning");
        t->at++;
        t->depth--;
        gn__buf_putc(t->out, c);
        return quantifier(t);
    case '[':
        t->at++;
        return class(t) && quantifier(t);
    case '.':
    case '^':
    case '$':
        t->at++;
        gn__buf_putc(t->out, c);
        return c == '.' ? quantifier(t) : true;
    case '*':
    case '+':
    case '?':
        return refuse(t, "a quantifier with nothing before it");
    case '\\': {
        t->at++;
        if (t->at < t->n && (t->s[t->at] == 'A' || t->s[t->at] == 'z')) {
            gn__buf_printf(t->out, "\\%c", t->s[t->at++]);
            return true;
        }
        set s = {0};
        bool is_set;
        uint32_t code = 0;
        bool good = escape(t, false, &s, &is_set, &code);
        t->before = before;
        if (good && is_set) {
            t->before = 0;
            emit_set(t, &s);
        } else if (good) {
            good = literal(t, code);
        }
        free(s.at);
        return good && quantifier(t);
    }
    default:
        t->before = before;
        return literal(t, next_code(t)) && quantifier(t);
    }
}

bool gn__pattern_translate(const char *regex, size_t length, gn__buf *out, const char **why)
{
    translator t = {.s = regex, .n = length, .out = out};
    bool good = true;
    while (good && t.at < t.n) good = item(&t) && !out->failed;
    if (good && t.depth > 0) good = refuse(&t, "a group without its end");
    *why = t.why;
    return good;
}
