/* ByteLevel: words by GPT-2's pattern, then every byte as one printable character. */
#include "text/byte_level.h"
#include "text/fast.h"
#include "text/parts.h"
#include "text/pattern.h"

typedef struct byte_level {
    bool add_prefix_space, use_regex;
} byte_level;

static gn_status parse(const gn__tok_source *source, const json_t *part, void **state)
{
    static const char name[] = "ByteLevel";
    byte_level b = {.use_regex = true};
    bool trim_offsets;
    GN__TRY(gn__tok_bool(source, name, part, "add_prefix_space", GN__TOK_REQUIRED, &b.add_prefix_space));
    GN__TRY(gn__tok_bool(source, name, part, "trim_offsets", GN__TOK_REQUIRED, &trim_offsets));
    if (json_object_get(part, "use_regex") != NULL)
        GN__TRY(gn__tok_bool(source, name, part, "use_regex", GN__TOK_REQUIRED, &b.use_regex));
    byte_level *copy = malloc(sizeof *copy);
    if (copy == NULL) return gn__no_memory(source->err, sizeof *copy);
    *copy = b;
    *state = copy;
    return GN_OK;
}

static void add_word(gn__tok_pieces *out, const gn__glyph *g, size_t n)
{
    size_t begin = out->glyphs;
    for (size_t i = 0; i < n; i++) {
        char bytes[4];
        size_t length = gn__utf8_encode(g[i].code, bytes);
        for (size_t k = 0; k < length; k++)
            gn__tok_add_glyph(out, gn__tok_byte_char((unsigned char)bytes[k]), g[i].begin, g[i].end);
    }
    gn__tok_add_span(out, begin, out->glyphs);
}

/* A space before every span that does not begin with one; it stands for the bytes of what follows it. */
static void prefix_spaces(gn__tok_pieces *text, gn__tok_pieces *spare)
{
    for (size_t s = 0; s < text->spans; s++) {
        const gn__glyph *g = text->glyph + text->span[s].begin;
        size_t n = text->span[s].end - text->span[s].begin, begin = spare->glyphs;
        if (g[0].code != ' ') gn__tok_add_glyph(spare, ' ', g[0].begin, g[0].end);
        if (!gn__tok_reserve_glyphs(spare, n)) return;
        memcpy(spare->glyph + spare->glyphs, g, n * sizeof *g);
        spare->glyphs += n;
        gn__tok_add_span(spare, begin, spare->glyphs);
    }
    gn__tok_swap_glyphs(text, spare);
    gn__tok_swap_spans(text, spare);
    gn__tok_pieces_clear(spare);
}

static void apply(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    const byte_level *b = state;
    if (b->add_prefix_space) prefix_spaces(text, spare);
    if (!gn__tok_reserve_glyphs(spare, text->glyphs)) return;
    for (size_t s = 0; s < text->spans; s++) {
        const gn__glyph *g = text->glyph + text->span[s].begin;
        size_t n = text->span[s].end - text->span[s].begin;
        for (size_t i = 0, length; i < n; i += length) {
            length = b->use_regex ? gn__match_words(GN__WORDS_GPT2, g + i, n - i) : n;
            add_word(spare, g + i, length);
        }
    }
    gn__tok_swap_glyphs(text, spare);
    gn__tok_swap_spans(text, spare);
}

bool gn__byte_level_words(const void *state, bool *use_regex)
{
    const byte_level *b = state;
    *use_regex = b->use_regex;
    return !b->add_prefix_space;
}

extern const gn__tok_step_type gn__tok_pre_tokenizer_byte_level;
const gn__tok_step_type gn__tok_pre_tokenizer_byte_level = {
    .name = "ByteLevel", .byte_level = true, .parse = parse, .free = free, .apply = apply};
