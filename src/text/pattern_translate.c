/* From Oniguruma's Ruby syntax (doc/RE of kkos/oniguruma) to PCRE2's, see pattern.h. */
#include "text/pattern.h"
#include "text/pattern_set.h"

#include <limits.h>

enum { MAX_DEPTH = 64, MAX_CLASSES = 8, MAX_CAPTURES = 9 };

typedef struct group {
    bool fold;         /* letters match without regard to case */
    bool looks;        /* within a look ahead or behind */
    bool behind;       /* within a look behind */
    size_t capture;    /* its number; 0: it has none */
    bool assertion;    /* it looks ahead or behind itself */
    bool solid;        /* the alternative at hand matches some character at least */
    bool may_be_empty; /* an alternative before it may match nothing */
} group;

typedef struct translator {
    const char *s;
    size_t n, at;
    gn__buf *out;
    const char *why;
    group group[MAX_DEPTH + 1]; /* the open ones */
    size_t depth;
    bool captures; /* there is a back-reference, so groups must capture */
    size_t opened; /* captures so far */
    bool closed[MAX_CAPTURES + 1], within_look[MAX_CAPTURES + 1];
    bool interpret;  /* there is an atomic group, or a possessive one */
    bool words;      /* \b or \B was met */
    uint32_t before; /* the literal just before, for foldings of two characters */
} translator;

static bool refuse(translator *t, const char *why)
{
    if (t->why == NULL) t->why = why;
    return false;
}

static void emit_set(translator *t, gn__set *s)
{
    gn__set_order(s);
    t->out->failed |= s->failed;
    bool any = false;
    for (size_t i = 0; i < s->count; i++) { /* PCRE2 takes no surrogates, and no text has any */
        uint32_t low = s->at[i].low, high = s->at[i].high;
        if (low >= 0xD800 && low <= 0xDFFF) low = 0xE000;
        if (high >= 0xD800 && high <= 0xDFFF) high = 0xD7FF;
        if (low > high) continue;
        gn__buf_printf(t->out, "%s\\x{%X}-\\x{%X}", any ? "" : "[", (unsigned)low, (unsigned)high);
        any = true;
    }
    /* Without anything in it "[]" would begin a class; this matches nothing, the empty string included. */
    gn__buf_puts(t->out, any ? "]" : "(?:(?!)a)");
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

/* What follows a backslash: one character in *code, or *is_set and the set. */
static bool escape(translator *t, bool in_class, gn__set *s, bool *is_set, uint32_t *code)
{
    static const char plain[][2] = {{'n', '\n'}, {'r', '\r'}, {'t', '\t'},
                                    {'f', '\f'}, {'v', '\v'}, {'a', 7}};
    if (t->at >= t->n) return refuse(t, "an escape that is not known here");
    char c = t->s[t->at];
    gn__set positive = {0};
    *is_set = true;
    if (strchr("dDsSwWhH", c) != NULL) {
        t->at++;
        if (c == 'd' || c == 'D')
            gn__set_add_property(&positive, "Nd", 2);
        else if (c == 's' || c == 'S')
            gn__set_add_space(&positive);
        else if (c == 'h' || c == 'H')
            gn__set_add_posix(&positive, "xdigit", 6);
        else
            gn__set_add_word(&positive, in_class);
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
        if (!gn__set_add_property(&positive, t->s + from, n)) {
            gn__set_free(&positive);
            return refuse(t, "a property of characters that is not known here");
        }
    } else {
        *is_set = false;
    }
    if (*is_set) {
        if (c >= 'A' && c <= 'Z')
            gn__set_add_others(s, &positive);
        else
            gn__set_add_all(s, &positive);
        gn__set_free(&positive);
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
        if (value > GN__SET_LAST || (value >= 0xD800 && value <= 0xDFFF))
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

static bool class_body(translator *t, gn__set *s, unsigned depth);

/* [:name:] or [:^name:], of which the first bracket is at hand. */
static bool posix_bracket(translator *t, gn__set *s, unsigned depth)
{
    size_t from = t->at + 2, end = from;
    bool negated = from < t->n && t->s[from] == '^';
    gn__set named = {0};
    if (negated) from++, end++;
    while (end < t->n && t->s[end] >= 'a' && t->s[end] <= 'z') end++;
    /* [^[^[:^ascii:]]] of Oniguruma 6.9 matches nothing */
    if (negated && depth > 0 && end - from == 5 && memcmp(t->s + from, "ascii", 5) == 0)
        return refuse(t, "a POSIX bracket that is not known here");
    if (end + 1 >= t->n || t->s[end] != ':' || t->s[end + 1] != ']' ||
        !gn__set_add_posix(&named, t->s + from, end - from))
        return refuse(t, "a POSIX bracket that is not known here");
    t->at = end + 2;
    if (negated)
        gn__set_add_others(s, &named);
    else
        gn__set_add_all(s, &named);
    gn__set_free(&named);
    return true;
}

static bool at_intersection(const translator *t)
{
    return t->at + 1 < t->n && t->s[t->at] == '&' && t->s[t->at + 1] == '&';
}

static bool class_member(translator *t, gn__set *s, unsigned depth, bool *is_set, uint32_t *code)
{
    if (t->at >= t->n) return refuse(t, "a class without its end");
    char c = t->s[t->at];
    if (c == '[') {
        *is_set = true;
        if (t->at + 1 < t->n && t->s[t->at + 1] == ':') return posix_bracket(t, s, depth);
        if (depth == MAX_CLASSES) return refuse(t, "more classes within classes than are read");
        t->at++;
        return class_body(t, s, depth + 1);
    }
    if (at_intersection(t)) return refuse(t, "an intersection of classes with nothing on one side");
    if (c == '\\') {
        t->at++;
        return escape(t, true, s, is_set, code);
    }
    *is_set = false;
    *code = next_code(t);
    return true;
}

/* The members up to "]" or "&&". */
static bool class_members(translator *t, gn__set *s, unsigned depth)
{
    if (t->at < t->n && t->s[t->at] == ']') return refuse(t, "an empty class");
    while (t->at < t->n && t->s[t->at] != ']' && !at_intersection(t)) {
        bool is_set, high_set;
        uint32_t low = 0, high = 0;
        if (!class_member(t, s, depth, &is_set, &low)) return false;
        bool range_follows = t->at + 1 < t->n && t->s[t->at] == '-' && t->s[t->at + 1] != ']';
        if (is_set) {
            if (range_follows) return refuse(t, "a range that begins with a class");
            continue;
        }
        if (!range_follows) {
            gn__set_add(s, low, low);
            continue;
        }
        t->at++;
        if (!class_member(t, s, depth, &high_set, &high)) return false;
        if (high_set || high < low) return refuse(t, "a range that ends before it begins");
        gn__set_add(s, low, high);
    }
    return t->at < t->n ? true : refuse(t, "a class without its end");
}

/* Nothing above U+007F but surrogates, which no text has. */
static bool is_narrow(gn__set *s)
{
    gn__set_order(s);
    for (size_t i = 0; i < s->count; i++)
        if (s->at[i].high >= 0x80 && (s->at[i].low < 0xD800 || s->at[i].high > 0xDFFF)) return false;
    return true;
}

/* Adds to s what the class that has just been opened holds; classes lie at most MAX_CLASSES deep. */
static bool class_body(translator *t, gn__set *s, unsigned depth)
{
    gn__set inner = {0};
    bool negated = t->at < t->n && t->s[t->at] == '^';
    if (negated) t->at++;
    if (at_intersection(t)) return refuse(t, "an intersection of classes with nothing on one side");
    bool good = class_members(t, &inner, depth);
    while (good && at_intersection(t)) { /* it binds less than anything else */
        gn__set further = {0};
        t->at += 2;
        if (t->at < t->n && (t->s[t->at] == ']' || at_intersection(t)))
            good = refuse(t, "an intersection of classes with nothing on one side");
        good = good && class_members(t, &further, depth);
        if (good) gn__set_intersect(&inner, &further);
        gn__set_free(&further);
    }
    if (good) t->at++;
    /* what a class leaves out it leaves out without regard to case, too */
    if (good && depth == 0 && t->group[t->depth].fold && !gn__set_fold(&inner) && !negated)
        good = refuse(t, "a class with letters that fold into several, without regard to case");
    if (good && negated) {
        gn__set others = {0};
        gn__set_add_others(&others, &inner);
        /* Oniguruma takes [^[^\P{Lo}\P{Ll}]] for [^\p{Ll}], [a[^\x{0}-\x{10ffff}]] for everything. */
        if (depth > 0 && is_narrow(&others))
            good = refuse(t, "a class within a class that leaves out all letters but ASCII's");
        gn__set_add_all(s, &others);
        gn__set_free(&others);
    } else if (good)
        gn__set_add_all(s, &inner);
    gn__set_free(&inner);
    return good;
}

static bool class(translator *t)
{
    gn__set s = {0};
    bool good = class_body(t, &s, 0);
    if (good) emit_set(t, &s);
    gn__set_free(&s);
    return good;
}

/* ---- the expression ------------------------------------------------------------------------------ */

static bool literal(translator *t, uint32_t code)
{
    if (t->group[t->depth].fold) {
        bool several;
        uint32_t now = gn__fold(code, &several);
        if (several || gn__fold_joins(t->before, now))
            return refuse(t, "letters that fold into one, or one that folds into several");
        t->before = now;
        gn__set s = {0};
        gn__set_add(&s, code, code);
        gn__set_fold(&s);
        emit_set(t, &s);
        gn__set_free(&s);
        return true;
    }
    gn__buf_printf(t->out, "\\x{%X}", (unsigned)code);
    return true;
}

static bool open_group(translator *t)
{
    static const char *const kinds[] = {"?:", "?=", "?!", "?>", "?<=", "?<!", "?i:"};
    if (t->depth == MAX_DEPTH) return refuse(t, "more groups within groups than are read");
    group g = t->group[t->depth];
    const char *kind = "?:";
    g.capture = 0;
    g.assertion = g.solid = g.may_be_empty = false;
    if (t->at < t->n && t->s[t->at] == '?') {
        kind = NULL;
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
            size_t n = strlen(kinds[i]);
            if (t->n - t->at >= n && memcmp(t->s + t->at, kinds[i], n) == 0) kind = kinds[i];
        }
        if (kind == NULL) return refuse(t, "a kind of group that is not known here");
        t->at += strlen(kind);
        char last = kind[strlen(kind) - 1];
        g.assertion = last == '=' || last == '!';
        g.looks |= last == '=' || last == '!';
        g.behind |= kind[1] == '<';
        t->interpret |= last == '>';
        if (strcmp(kind, "?i:") == 0) {
            g.fold = true;
            kind = "?:";
        }
    } else if (t->captures) {
        kind = "";
        g.capture = ++t->opened;
        if (g.capture <= MAX_CAPTURES) t->within_look[g.capture] = g.looks;
    }
    gn__buf_printf(t->out, "(%s", kind);
    t->group[++t->depth] = g;
    return true;
}

/* \1 to \9. Where Oniguruma and PCRE2 could part it is refused: within its own group, or ahead of it, or out
 * of a look ahead or behind (after which the two keep captures differently), or without regard to case. */
static bool back_reference(translator *t)
{
    size_t number = (size_t)(t->s[t->at++] - '0');
    if (t->at < t->n && t->s[t->at] >= '0' && t->s[t->at] <= '9')
        return refuse(t, "a back-reference to a group beyond the ninth");
    if (!t->closed[number] || t->within_look[number])
        return refuse(t, "a back-reference to a group that is not complete before it");
    if (t->group[t->depth].fold) return refuse(t, "a back-reference without regard to case");
    if (t->group[t->depth].behind) return refuse(t, "a back-reference that looks behind");
    gn__buf_printf(t->out, "\\g{%zu}", number);
    return true;
}

/* \b and \B: the border of \w, spelled out as (?<w>…) at the end of the expression. */
static bool word_border(translator *t, bool border)
{
    gn__buf_puts(t->out, border ? "(?:(?<=(?&w))(?!(?&w))|(?<!(?&w))(?=(?&w)))"
                                : "(?:(?<=(?&w))(?=(?&w))|(?<!(?&w))(?!(?&w)))");
    t->words = true;
    return t->group[t->depth].behind ? refuse(t, "a border of words that looks behind") : true;
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
/* hollow: what it is about may match nothing. */
static bool quantifier(translator *t, bool hollow)
{
    bool *solid = &t->group[t->depth].solid;
    char c = t->at < t->n ? t->s[t->at] : '\0';
    if (c == '{') {
        size_t end;
        unsigned long bound[2];
        bool exact;
        t->at++;
        if (!interval(t, &end, bound, &exact)) {
            t->at--;
            *solid |= !hollow;
            return true;
        }
        *solid |= !hollow && bound[0] > 0;
        /* Oniguruma ends a loop with a round that matches nothing, PCRE2 counts it */
        if (hollow && bound[1] > 1) return refuse(t, "a number of repetitions of what may be empty");
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
        *solid |= !hollow && c == '+';
        bool of_group = t->at > 0 && t->s[t->at - 1] == ')';
        /* likewise; where such loops nest, the two were seen to part */
        if (hollow && of_group && c != '?') return refuse(t, "an endless repetition of what may be empty");
        char after = ++t->at < t->n ? t->s[t->at] : '\0';
        if (after == '?' || after == '+') {
            t->interpret |= of_group && after == '+';
            gn__buf_putc(t->out, after);
            t->at++;
        }
    } else {
        *solid |= !hollow;
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
        t->group[t->depth].may_be_empty |= !t->group[t->depth].solid;
        t->group[t->depth].solid = false;
        return true;
    case ')':
        if (t->depth == 0) return refuse(t, "a group without its beginning");
        t->at++;
        if (t->group[t->depth].capture > 0 && t->group[t->depth].capture <= MAX_CAPTURES)
            t->closed[t->group[t->depth].capture] = true;
        const group *g = &t->group[t->depth--];
        gn__buf_putc(t->out, c);
        return quantifier(t, g->assertion || g->may_be_empty || !g->solid);
    case '[':
        t->at++;
        return class(t) && quantifier(t, false);
    case '.':
    case '^':
    case '$':
        t->at++;
        gn__buf_putc(t->out, c);
        return c == '.' ? quantifier(t, false) : true;
    case '*':
    case '+':
    case '?':
        return refuse(t, "a quantifier with nothing before it");
    case '\\': {
        t->at++;
        char kind = t->at < t->n ? t->s[t->at] : '\0';
        if (kind == 'A' || kind == 'z' || kind == 'Z') {
            gn__buf_printf(t->out, "\\%c", t->s[t->at++]);
            return true;
        }
        if (kind == 'b' || kind == 'B') {
            t->at++;
            return word_border(t, kind == 'b');
        }
        if (kind >= '1' && kind <= '9') return back_reference(t) && quantifier(t, true);
        gn__set s = {0};
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
        gn__set_free(&s);
        return good && quantifier(t, false);
    }
    default:
        t->before = before;
        return literal(t, next_code(t)) && quantifier(t, false);
    }
}

bool gn__pattern_translate(const char *regex, size_t length, gn__buf *out, bool *interpret, const char **why)
{
    gn__buf body = {0};
    translator t = {.s = regex, .n = length, .out = &body};
    bool good = true;
    for (size_t i = 0; i + 1 < length; i++) {
        t.captures |= regex[i] == '\\' && regex[i + 1] >= '1' && regex[i + 1] <= '9';
        i += regex[i] == '\\';
    }
    while (good && t.at < t.n) good = item(&t) && !body.failed;
    if (good && t.depth > 0) good = refuse(&t, "a group without its end");
    if (good && t.words) {
        gn__set word = {0};
        gn__buf_puts(out, "(?:");
        gn__buf_append(out, body.data, body.length);
        gn__buf_puts(out, ")(?(DEFINE)(?<w>");
        gn__set_add_word(&word, false);
        t.out = out;
        emit_set(&t, &word);
        gn__buf_puts(out, "))");
        gn__set_free(&word);
    } else if (good && body.length > 0) {
        gn__buf_append(out, body.data, body.length);
    }
    out->failed |= body.failed;
    gn__buf_free(&body);
    *why = t.why;
    *interpret = t.interpret;
    return good;
}
