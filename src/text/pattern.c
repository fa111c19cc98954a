#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pattern.h"
#include "text/unicode.h"

#include <pcre2.h>

struct gn__tok_pattern_of {
    uint32_t *literal; /* [literals] a string; NULL: one of the others */
    size_t literals;
    gn__words words;
    pcre2_code *code;
};

/* ---- known patterns ------------------------------------------------------------------------------ */

static inline unsigned shape(const gn__glyph *g, size_t *width)
{
    *width = 1;
    return gn__unicode_flags(g->code) & (GN__UNICODE_LETTER | GN__UNICODE_NUMBER | GN__UNICODE_GAP);
}

#define WORDS(name) glyphs_##name
#define WORDS_TEXT const gn__glyph *
#define WORDS_UNIT(t, i) ((t)[i].code)
#define WORDS_SHAPE(t, n, i, w) shape((t) + (i), w)
#define WORDS_LONG_S(t, n) ((t)[1].code == 0x17F ? 2 : 0) /* which (?i:s) matches too */
#include "text/words.h"

size_t gn__match_words(gn__words words, const gn__glyph *g, size_t n)
{
    return glyphs_match(words, g, n);
}

#define CL100K_HEAD "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
#define CL100K_TAIL "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const struct {
    const char *regex;
    gn__words words;
} known[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", GN__WORDS_GPT2},
    {CL100K_HEAD "\\p{N}{1,3}" CL100K_TAIL, GN__WORDS_LLAMA3},
    {CL100K_HEAD "\\p{N}" CL100K_TAIL, GN__WORDS_QWEN2},
};

/* ---- reading ------------------------------------------------------------------------------------- */

static gn_status beyond(const gn__tok_source *source, const char *name, const char *regex, const char *why)
{
    return gn__fail(source->err, GN_UNSUPPORTED, "%s: %s: the regular expression \"%s\" is not supported: %s",
                    source->file, name, regex, gn__tok_word(source, why));
}

static gn_status compile(const gn__tok_source *source, const char *name, const char *regex, size_t length,
                         bool may_be_empty, gn__tok_pattern_of *p)
{
    gn__buf out = {0};
    const char *why = NULL;
    bool interpret = false;
    int error = 0;
    PCRE2_SIZE at = 0;
    if (!gn__pattern_translate(regex, length, &out, &interpret, &why) || out.failed) {
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
    if (empty && !may_be_empty) return beyond(source, name, regex, "it matches the empty string");
    if (!interpret)
        pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE); /* where that fails the matching is slower */
    return GN_OK;
}

static gn_status regular(const gn__tok_source *source, const char *name, const char *regex, size_t length,
                         bool may_be_empty, gn__tok_pattern_of **out)
{
    gn__tok_pattern_of *p = gn__calloc(1, sizeof *p);
    if (p == NULL) return gn__no_memory(source->err, sizeof *p);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].regex) == length && memcmp(known[i].regex, regex, length) == 0)
            p->words = known[i].words;
    gn_status status =
        p->words != GN__WORDS_NONE ? GN_OK : compile(source, name, regex, length, may_be_empty, p);
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
                            bool may_be_empty, gn__tok_pattern_of **out)
{
    const json_t *pattern = json_object_get(part, "pattern");
    const json_t *s = json_object_get(pattern, "String"), *regex = json_object_get(pattern, "Regex");
    if (json_object_size(pattern) != 1 || !(json_is_string(s) || json_is_string(regex)))
        return gn__tok_bad_field(source, name, "pattern", "{\"String\": …} or {\"Regex\": …}");
    if (s != NULL) return literal(source, name, json_string_value(s), json_string_length(s), out);
    return regular(source, name, json_string_value(regex), json_string_length(regex), may_be_empty, out);
}

void gn__pattern_free(gn__tok_pattern_of *p)
{
    if (p == NULL) return;
    free(p->literal);
    pcre2_code_free(p->code);
    free(p);
}

gn__words gn__pattern_words(const gn__tok_pattern_of *p)
{
    return p->words;
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
    /* As the iterator of the onig crate (src/find.rs, FindMatches::next): an empty match where the last one
     * ended is passed over, and the search goes on one character later. */
    size_t at = 0, last = SIZE_MAX;
    while (good && length > 0 && at <= length) {
        int found = pcre2_match(p->code, text, length, at, PCRE2_NO_UTF_CHECK, match, NULL);
        if (found == PCRE2_ERROR_JIT_STACKLIMIT)
            found = pcre2_match(p->code, text, length, at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match, NULL);
        if (found == PCRE2_ERROR_NOMATCH) break;
        const PCRE2_SIZE *place = pcre2_get_ovector_pointer(match);
        if (found < 0 || place[0] > place[1] || place[0] < at) {
            good = false;
            break;
        }
        if (place[0] == place[1] && place[1] == last) {
            for (at++; at < length && (text[at] & 0xC0) == 0x80; at++) continue;
            continue;
        }
        at = last = place[1];
        size_t begin = glyph[place[0]], end = glyph[place[1]];
        if (done < begin) piece(arg, done, begin, false);
        piece(arg, begin, end, true);
        done = end;
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
    if (p->words == GN__WORDS_NONE) return each_regex(p, g, n, piece, arg);
    for (size_t at = 0, length; at < n; at += length) {
        length = glyphs_match(p->words, g + at, n - at);
        piece(arg, at, at + length, true);
    }
    return true;
}
