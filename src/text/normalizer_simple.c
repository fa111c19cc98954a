/* The normalizers that look at one character at a time, or at the ends of the text: Lowercase, Strip,
 * StripAccents, Nmt, Prepend, ByteLevel. */
#include "text/byte_level.h"
#include "text/parts.h"
#include "text/unicode.h"
#include "text/unicode_properties.h"

static gn_status parse_nothing(const gn__tok_source *source, const json_t *part, void **state)
{
    (void)source, (void)part, (void)state;
    return GN_OK;
}

void gn__tok_lowercase(gn__tok_pieces *text, gn__tok_pieces *spare)
{
    spare->glyphs = 0;
    if (!gn__tok_reserve_glyphs(spare, text->glyphs)) return;
    for (size_t i = 0; i < text->glyphs; i++) {
        gn__glyph g = text->glyph[i];
        uint32_t lower[2];
        size_t n = gn__unicode_to_lower(g.code, lower);
        for (size_t k = 0; k < n; k++) gn__tok_add_glyph(spare, lower[k], g.begin, g.end);
    }
    gn__tok_swap_glyphs(text, spare);
}

static void apply_lowercase(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    (void)state;
    gn__tok_lowercase(text, spare);
}

static void apply_accents(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    (void)state, (void)spare;
    size_t kept = 0;
    for (size_t i = 0; i < text->glyphs; i++) {
        uint32_t code = text->glyph[i].code;
        if (code >= 0x300 && gn__unicode_look_up(&gn__unicode_property, code) & GN__PROPERTY_ACCENT) continue;
        text->glyph[kept++] = text->glyph[i];
    }
    text->glyphs = kept;
}

/* The rules of SentencePiece's nmt, as `tokenizers` has them (normalizers/unicode.rs). */
static void apply_nmt(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    (void)state, (void)spare;
    size_t kept = 0;
    for (size_t i = 0; i < text->glyphs; i++) {
        gn__glyph g = text->glyph[i];
        uint32_t c = g.code;
        if ((c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F)
            continue;
        if (c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
            c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD)
            g.code = ' ';
        text->glyph[kept++] = g;
    }
    text->glyphs = kept;
}

static void apply_bytes(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    (void)state;
    spare->glyphs = 0;
    for (size_t i = 0; i < text->glyphs; i++) {
        gn__glyph g = text->glyph[i];
        char bytes[4];
        size_t n = gn__utf8_encode(g.code, bytes);
        for (size_t k = 0; k < n; k++)
            gn__tok_add_glyph(spare, gn__tok_byte_char((unsigned char)bytes[k]), g.begin, g.end);
    }
    gn__tok_swap_glyphs(text, spare);
}

/* ---- Strip --------------------------------------------------------------------------------------- */

typedef struct strip {
    bool left, right;
} strip;

static gn_status parse_strip(const gn__tok_source *source, const json_t *part, void **state)
{
    static const char name[] = "Strip";
    strip s;
    GN__TRY(gn__tok_bool(source, name, part, "strip_left", GN__TOK_REQUIRED, &s.left));
    GN__TRY(gn__tok_bool(source, name, part, "strip_right", GN__TOK_REQUIRED, &s.right));
    strip *copy = malloc(sizeof *copy);
    if (copy == NULL) return gn__no_memory(source->err, sizeof *copy);
    *copy = s;
    *state = copy;
    return GN_OK;
}

static bool is_space(const gn__glyph *g)
{
    return (gn__unicode_flags(g->code) & GN__UNICODE_SPACE) != 0;
}

static void apply_strip(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    (void)spare;
    const strip *s = state;
    size_t begin = 0, end = text->glyphs;
    while (s->left && begin < end && is_space(&text->glyph[begin])) begin++;
    while (s->right && end > begin && is_space(&text->glyph[end - 1])) end--;
    if (begin > 0) memmove(text->glyph, text->glyph + begin, (end - begin) * sizeof *text->glyph);
    text->glyphs = end - begin;
}

/* ---- Prepend ------------------------------------------------------------------------------------- */

static gn_status parse_prepend(const gn__tok_source *source, const json_t *part, void **state)
{
    const char *text = NULL;
    GN__TRY(gn__tok_string(source, "Prepend", part, "prepend", GN__TOK_REQUIRED, &text));
    if (text[0] == '\0') return gn__tok_bad_field(source, "Prepend", "prepend", "a string that is not empty");
    *state = gn__strdup(text);
    return *state == NULL ? gn__no_memory(source->err, strlen(text)) : GN_OK;
}

static void apply_prepend(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    const char *s = state;
    size_t n = strlen(s);
    if (text->glyphs == 0) return;
    gn__glyph first = text->glyph[0];
    spare->glyphs = 0;
    for (size_t at = 0; at < n;) {
        uint32_t code;
        at += gn__utf8_decode(s + at, n - at, &code);
        gn__tok_add_glyph(spare, code, first.begin, first.end);
    }
    if (!gn__tok_reserve_glyphs(spare, text->glyphs)) return;
    memcpy(spare->glyph + spare->glyphs, text->glyph, text->glyphs * sizeof *text->glyph);
    spare->glyphs += text->glyphs;
    gn__tok_swap_glyphs(text, spare);
}

#define STEP(field, type, parse_, apply_)                      \
    extern const gn__tok_step_type gn__tok_normalizer_##field; \
    const gn__tok_step_type gn__tok_normalizer_##field = {     \
        .name = type, .parse = parse_, .free = free, .apply = apply_}
STEP(lowercase, "Lowercase", parse_nothing, apply_lowercase);
STEP(accents, "StripAccents", parse_nothing, apply_accents);
STEP(nmt, "Nmt", parse_nothing, apply_nmt);
STEP(byte_level, "ByteLevel", parse_nothing, apply_bytes);
STEP(strip, "Strip", parse_strip, apply_strip);
STEP(prepend, "Prepend", parse_prepend, apply_prepend);
