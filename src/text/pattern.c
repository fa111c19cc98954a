#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pattern.h"
#include "text/unicode.h"

#include <pcre2.h>

typedef size_t (*matcher)(const gn__glyph *g, size_t n);

struct gn__tok_pattern_of {
    uint32_t *literal; /* [literals] a string; NULL: one of the others */
    size_t literals;
    matcher known;
    pcre2_code *code;
};

/* ---- known patterns ------------------------------------------------------------------------------ */

enum { SHAPE = GN__UNICODE_LETTER | GN__UNICODE_NUMBER | GN__UNICODE_GAP };

static unsigned shape(const gn__glyph *g)
{
    return gn__unicode_flags(g->code) & SHAPE;
}

/* Length of the contraction at g[0..n), 0 for none. */
static size_t contraction(const gn__glyph *g, size_t n)
{
    static const char pair[][2] = {{'r', 'e'}, {'v', 'e'}, {'l', 'l'}};
    if (n < 2 || g[0].code != '\'') return 0;
    uint32_t c = g[1].code;
    if (c == 's' || c == 't' || c == 'm' || c == 'd') return 2;
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++)
        if (n > 2 && c == (uint32_t)pair[i][0] && g[2].code == (uint32_t)pair[i][1]) return 3;
    return 0;
}

static size_t contraction_any_case(const gn__glyph *g, size_t n)
{
    gn__glyph lower[3] = {{0}};
    for (size_t i = 0; i < 3 && i < n; i++) {
        lower[i] = g[i];
        uint32_t c = g[i].code;
        if (c >= 'A' && c <= 'Z') lower[i].code = c + 32;
        if (c == 0x17F) lower[i].code = 's';
    }
    return contraction(lower, n < 3 ? n : 3);
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ (Radford et al. 2019, encoder.py
 * of the openai/gpt-2 release) */
size_t gn__match_gpt2(const gn__glyph *g, size_t n)
{
    size_t i = contraction(g, n);
    if (i > 0) return i;
    size_t start = g[0].code == ' ' && n > 1 && shape(g + 1) != GN__UNICODE_GAP;
    unsigned kind = shape(g + start);
    for (i = start + 1; i < n && shape(g + i) == kind; i++) {
    }
    /* a run of white space leaves its last character to the word that follows */
    return kind == GN__UNICODE_GAP && i < n && i > 1 ? i - 1 : i;
}

static bool is_line_end(const gn__glyph *g)
{
    return g->code == '\n' || g->code == '\r';
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|
 * \s+(?!\S)|\s+ (OpenAI's cl100k; Llama 3 with 3 digits, Qwen 2 with one) */
static size_t match_cl100k(const gn__glyph *g, size_t n, size_t digits)
{
    size_t i = contraction_any_case(g, n);
    if (i > 0) return i;
    unsigned kind = shape(g);
    bool letters = kind == GN__UNICODE_LETTER;
    if (!letters && kind != GN__UNICODE_NUMBER && !is_line_end(g) && n > 1 &&
        shape(g + 1) == GN__UNICODE_LETTER)
        letters = true;
    if (letters) {
        for (i = 1; i < n && shape(g + i) == GN__UNICODE_LETTER; i++) {
        }
        return i;
    }
    if (kind == GN__UNICODE_NUMBER) {
        for (i = 1; i < n && i < digits && shape(g + i) == GN__UNICODE_NUMBER; i++) {
        }
        return i;
    }
    size_t start = g[0].code == ' ' && n > 1 && shape(g + 1) == 0;
    if (shape(g + start) == 0) {
        for (i = start + 1; i < n && shape(g + i) == 0; i++) {
        }
        while (i < n && is_line_end(g + i)) i++;
        return i;
    }
    size_t line = 0;
    for (i = 0; i < n && shape(g + i) == GN__UNICODE_GAP; i++)
        if (is_line_end(g + i)) line = i + 1;
    if (line > 0) return line;
    return i < n && i > 1 ? i - 1 : i;
}

static size_t match_llama3(const gn__glyph *g, size_t n)
{
    return match_cl100k(g, n, 3);
}

static size_t match_qwen2(const gn__glyph *g, size_t n)
{
    return match_cl100k(g, n, 1);
}

#define CL100K_HEAD "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
#define CL100K_TAIL "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const struct {
    const char *regex;
    matcher match;
} known[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", gn__match_gpt2},
    {CL100K_HEAD "\\p{N}{1,3}" CL100K_TAIL, match_llama3},
    {CL100K_HEAD "\\p{N}" CL100K_TAIL, match_qwen2},
};

/* ---- reading ------------------------------------------------------------------------------------- */

static gn_status beyond(const gn__tok_source *source, const char *name, const char *regex, const char *why)
{
    return gn__fail(source->err, GN_UNSUPPORTED, "%s: %s: the regular expression \"%s\" is not supported: %s",
                    source->file, name, regex, gn__tok_word(source, why));
}

static gn_status compile(const gn__tok_source *source, const char *name, const char *regex, size_t length,
                         gn__tok_pattern_of *p)
{
    gn__buf out = {0};
    const char *why = NULL;
    int error = 0;
    PCRE2_SIZE at = 0;
    if (!gn__pattern_translate(regex, length, &out, &why) || out.failed) {
        bool failed = out.failed;
        gn__buf_free(&out);
        return failed ? gn__no_memory(source->err, length) : beyond(source, name, regex, why);
    }
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (context != NULL) {
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        p->code = pcre2_compile((PCRE2_SPTR)(out.data == NULL ? "" : out.data), out.length,
                                PCRE2_UTF | PCRE2_MULTILINE | PCRE2_NO_UTF_CHECK, &error, &at, context);
    }
    pcre2_compile_context_free(context);
    gn__buf_free(&out);
    if (p->code == NULL) return beyond(source, name, regex, "it is malformed, or asks too much");
    uint32_t empty = 1;
    pcre2_pattern_info(p->code, PCRE2_INFO_MATCHEMPTY, &empty);
    if (empty) return beyond(source, name, regex, "it matches the empty string");
    pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE); /* without it the matching is slower, not other */
    return GN_OK;
}

gn_status gn__pattern_regex(const gn__tok_source *source, const char *name, const char *regex, size_t length,
                            gn__tok_pattern_of **out)
{
    gn__tok_pattern_of *p = gn__calloc(1, sizeof *p);
    if (p == NULL) return gn__no_memory(source->err, sizeof *p);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].regex) == length && memcmp(known[i].regex, regex, length) == 0)
            p->known = known[i].match;
    gn_status status = p->known != NULL ? GN_OK : compile(source, name, regex, length, p);
    if (status == GN_OK)
        *out = p;
    else
        gn__pattern_free(p);
    return status;
}

static gn_status literal(const gn__tok_source *source, const char *name, const char *s, size_t length,
                         gn__tok_pattern_of **out)
{
    if (length == 0) return beyond(source, name, s, "it matches the empty string");
    gn__tok_pattern_of *p = gn__calloc(1, sizeof *p);
    if (p != NULL) p->literal = gn__calloc(length, sizeof *p->literal);
    if (p == NULL || p->literal == NULL) {
        free(p);
        return gn__no_memory(source->err, length * sizeof *p->literal);
    }
    for (size_t at = 0; at < length;) at += gn__utf8_decode(s + at, length - at, &p->literal[p->literals++]);
    *out = p;
    return GN_OK;
}

gn_status gn__pattern_parse(const gn__tok_source *source, const char *name, const json_t *part,
                            gn__tok_pattern_of **out)
{
    const json_t *pattern = json_object_get(part, "pattern");
    const json_t *s = json_object_get(pattern, "String"), *regex = json_object_get(pattern, "Regex");
    if (json_object_size(pattern) != 1 || !(json_is_string(s) || json_is_string(regex)))
        return gn__tok_bad_field(source, name, "pattern", "{\"String\": …} or {\"Regex\": …}");
    if (s != NULL) return literal(source, name, json_string_value(s), json_string_length(s), out);
    return gn__pattern_regex(source, name, json_string_value(regex), json_string_length(regex), out);
}

void gn__pattern_free(gn__tok_pattern_of *p)
{
    if (p == NULL) return;
    free(p->literal);
    pcre2_code_free(p->code);
    free(p);
}

/* ---- matching ------------------------------------------------------------------------------------ */

static void each_literal(const gn__tok_pattern_of *p, const gn__glyph *g, size_t n, gn__pattern_piece piece,
                         void *arg)
{
    size_t done = 0;
    for (size_t at = 0; at + p->literals <= n;) {
        size_t k = 0;
        while (k < p->literals && g[at + k].code == p->literal[k]) k++;
        if (k < p->literals) {
            at++;
            continue;
        }
        if (done < at) piece(arg, done, at, false);
        piece(arg, at, at + k, true);
        at = done = at + k;
    }
    if (done < n) piece(arg, done, n, false);
}

static bool each_regex(const gn__tok_pattern_of *p, const gn__glyph *g, size_t n, gn__pattern_piece piece,
                       void *arg)
{
    /* the text in UTF-8, and for each of its bytes the glyph that it belongs to */
    unsigned char *text = malloc(n * 4 + 1);
    uint32_t *glyph = gn__calloc(n * 4 + 1, sizeof *glyph);
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    bool good = text != NULL && glyph != NULL && match != NULL;
    size_t length = 0, done = 0;
    for (size_t i = 0; good && i < n; i++) {
        char bytes[4];
        size_t size = gn__utf8_encode(g[i].code, bytes);
        for (size_t k = 0; k < size; k++) {
            text[length] = (unsigned char)bytes[k];
            glyph[length++] = (uint32_t)i;
        }
    }
    if (good) glyph[length] = (uint32_t)n;
    for (size_t at = 0; good && at < length;) {
        int found = pcre2_match(p->code, text, length, at, PCRE2_NO_UTF_CHECK, match, NULL);
        if (found == PCRE2_ERROR_JIT_STACKLIMIT)
            found = pcre2_match(p->code, text, length, at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match, NULL);
        if (found == PCRE2_ERROR_NOMATCH) break;
        const PCRE2_SIZE *place = pcre2_get_ovector_pointer(match);
        if (found < 0 || place[0] >= place[1] || place[0] < at) {
            good = false;
            break;
        }
        size_t begin = glyph[place[0]], end = glyph[place[1]];
        if (done < begin) piece(arg, done, begin, false);
        piece(arg, begin, end, true);
        done = end;
        at = place[1];
    }
    if (good && done < n) piece(arg, done, n, false);
    pcre2_match_data_free(match);
    free(text);
    free(glyph);
    return good;
}

bool gn__pattern_each(const gn__tok_pattern_of *p, const gn__glyph *g, size_t n, gn__pattern_piece piece,
                      void *arg)
{
    if (p->literal != NULL) {
        each_literal(p, g, n, piece, arg);
        return true;
    }
    if (p->known == NULL) return each_regex(p, g, n, piece, arg);
    for (size_t at = 0, length; at < n; at += length) {
        length = p->known(g + at, n - at);
        piece(arg, at, at + length, true);
    }
    return true;
}
