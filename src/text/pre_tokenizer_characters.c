/* The pre-tokenizers that cut by kinds of characters: Punctuation, Whitespace, WhitespaceSplit,
 * CharDelimiterSplit, Digits, UnicodeScripts, and FixedLength. */
#include "text/cut.h"
#include "text/unicode.h"
#include "text/unicode_properties.h"

static gn_status parse_nothing(const gn__tok_source *source, const json_t *part, void **state)
{
    (void)source, (void)part, (void)state;
    return GN_OK;
}

static gn_status keep(const gn__tok_source *source, const void *value, size_t size, void **state)
{
    *state = malloc(size);
    if (*state == NULL) return gn__no_memory(source->err, size);
    memcpy(*state, value, size);
    return GN_OK;
}

static bool has_flag(uint32_t code, uint32_t flag)
{
    return (gn__unicode_flags(code) & flag) != 0;
}

static bool equals(uint32_t code, uint32_t wanted)
{
    return code == wanted;
}

static bool is_numeric(uint32_t code, uint32_t unused)
{
    (void)unused;
    if (code < 0x80) return code >= '0' && code <= '9';
    return (gn__unicode_look_up(&gn__unicode_property, code) & GN__PROPERTY_NUMERIC) != 0;
}

static gn_status parse_punctuation(const gn__tok_source *source, const json_t *part, void **state)
{
    gn__cut_behavior behavior = GN__CUT_ISOLATED;
    GN__TRY(gn__cut_parse(source, "Punctuation", part,
                          json_object_get(part, "behavior") == NULL ? GN__TOK_OPTIONAL : GN__TOK_REQUIRED,
                          &behavior));
    return keep(source, &behavior, sizeof behavior, state);
}

static void apply_punctuation(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    gn__cut_characters(text, spare, *(const gn__cut_behavior *)state, has_flag, GN__UNICODE_PUNCT);
}

static void apply_whitespace_split(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    (void)state;
    gn__cut_characters(text, spare, GN__CUT_REMOVED, has_flag, GN__UNICODE_SPACE);
}

/* \w+|[^\w\s]+ of Rust's regex crate; what does not match is left out. */
static void apply_whitespace(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    (void)state;
    for (size_t s = 0; s < text->spans; s++) {
        size_t end = text->span[s].end;
        for (size_t i = text->span[s].begin; i < end;) {
            unsigned kinds = GN__UNICODE_WORD | GN__UNICODE_STRIP;
            unsigned kind = gn__unicode_flags(text->glyph[i].code) & kinds;
            if (kind & GN__UNICODE_WORD) kind = kinds = GN__UNICODE_WORD;
            size_t from = i++;
            while (i < end && (gn__unicode_flags(text->glyph[i].code) & kinds) == kind) i++;
            if (kind != GN__UNICODE_STRIP) gn__tok_add_span(spare, from, i);
        }
    }
    gn__tok_swap_spans(text, spare);
}

static gn_status parse_delimiter(const gn__tok_source *source, const json_t *part, void **state)
{
    static const char name[] = "CharDelimiterSplit";
    const char *s = NULL;
    uint32_t code = 0;
    GN__TRY(gn__tok_string(source, name, part, "delimiter", GN__TOK_REQUIRED, &s));
    if (s[0] == '\0' || gn__utf8_decode(s, strlen(s), &code) != strlen(s))
        return gn__tok_bad_field(source, name, "delimiter", "one character");
    return keep(source, &code, sizeof code, state);
}

static void apply_delimiter(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    gn__cut_characters(text, spare, GN__CUT_REMOVED, equals, *(const uint32_t *)state);
}

static gn_status parse_digits(const gn__tok_source *source, const json_t *part, void **state)
{
    bool individual = false;
    GN__TRY(gn__tok_bool(source, "Digits", part, "individual_digits", GN__TOK_REQUIRED, &individual));
    gn__cut_behavior behavior = individual ? GN__CUT_ISOLATED : GN__CUT_CONTIGUOUS;
    return keep(source, &behavior, sizeof behavior, state);
}

static void apply_digits(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    gn__cut_characters(text, spare, *(const gn__cut_behavior *)state, is_numeric, 0);
}

/* Cuts where the script changes; what stands before the first character that has one is lost in `tokenizers`,
 * and here. */
static void apply_scripts(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    (void)state;
    for (size_t s = 0; s < text->spans; s++) {
        size_t begin = 0, end = text->span[s].end;
        unsigned last = 0;
        for (size_t i = text->span[s].begin; i < end; i++) {
            unsigned script = gn__unicode_look_up(&gn__unicode_script, text->glyph[i].code);
            if (script == 0 || script == last) continue;
            if (last != 0) gn__tok_add_span(spare, begin, i);
            begin = i;
            last = script;
        }
        if (last != 0) gn__tok_add_span(spare, begin, end);
    }
    gn__tok_swap_spans(text, spare);
}

static gn_status parse_fixed(const gn__tok_source *source, const json_t *part, void **state)
{
    int64_t length = 5;
    if (json_object_get(part, "length") != NULL)
        GN__TRY(gn__tok_integer(source, "FixedLength", part, "length", 1, 1 << 30, &length));
    return keep(source, &length, sizeof length, state);
}

static void apply_fixed(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    size_t length = (size_t) * (const int64_t *)state;
    for (size_t s = 0; s < text->spans; s++) {
        size_t end = text->span[s].end;
        for (size_t i = text->span[s].begin; i < end; i += length)
            gn__tok_add_span(spare, i, end - i < length ? end : i + length);
    }
    gn__tok_swap_spans(text, spare);
}

#define STEP(field, type, parse_, apply_)                         \
    extern const gn__tok_step_type gn__tok_pre_tokenizer_##field; \
    const gn__tok_step_type gn__tok_pre_tokenizer_##field = {     \
        .name = type, .parse = parse_, .free = free, .apply = apply_}
STEP(punctuation, "Punctuation", parse_punctuation, apply_punctuation);
STEP(whitespace, "Whitespace", parse_nothing, apply_whitespace);
STEP(whitespace_split, "WhitespaceSplit", parse_nothing, apply_whitespace_split);
STEP(delimiter, "CharDelimiterSplit", parse_delimiter, apply_delimiter);
STEP(digits, "Digits", parse_digits, apply_digits);
STEP(scripts, "UnicodeScripts", parse_nothing, apply_scripts);
STEP(fixed_length, "FixedLength", parse_fixed, apply_fixed);
