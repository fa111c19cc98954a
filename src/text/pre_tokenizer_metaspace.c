/* Metaspace: a visible stand-in for the space, put before words, which are cut there. */
#include "text/cut.h"

typedef struct metaspace {
    uint32_t replacement;
    enum { FIRST, ALWAYS, NEVER } scheme;
    bool split;
} metaspace;

static gn_status parse(const gn__tok_source *source, const json_t *part, void **state)
{
    static const char name[] = "Metaspace";
    static const char *const schemes[] = {"first", "always", "never"};
    metaspace m = {.scheme = ALWAYS, .split = true};
    const char *s = NULL, *scheme = NULL;
    bool prefix = true;
    GN__TRY(gn__tok_string(source, name, part, "replacement", GN__TOK_REQUIRED, &s));
    if (s[0] == '\0' || gn__utf8_decode(s, strlen(s), &m.replacement) != strlen(s))
        return gn__tok_bad_field(source, name, "replacement", "one character");
    if (json_object_get(part, "prepend_scheme") != NULL) {
        GN__TRY(gn__tok_string(source, name, part, "prepend_scheme", GN__TOK_REQUIRED, &scheme));
        int i = 0;
        while (i < 3 && strcmp(schemes[i], scheme) != 0) i++;
        if (i == 3) return gn__tok_bad_field(source, name, "prepend_scheme", "first, always or never");
        m.scheme = i == 0 ? FIRST : i == 1 ? ALWAYS : NEVER;
    }
    GN__TRY(gn__tok_bool(source, name, part, "add_prefix_space", GN__TOK_OPTIONAL, &prefix));
    GN__TRY(gn__tok_bool(source, name, part, "split", GN__TOK_OPTIONAL, &m.split));
    if (!prefix && m.scheme != NEVER) /* `tokenizers` takes the two together for a mistake */
        return gn__tok_bad_field(source, name, "prepend_scheme", "\"never\" where add_prefix_space is false");
    metaspace *copy = malloc(sizeof *copy);
    if (copy == NULL) return gn__no_memory(source->err, sizeof *copy);
    *copy = m;
    *state = copy;
    return GN_OK;
}

static void apply(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    const metaspace *m = state;
    gn__cut c = {.behavior = GN__CUT_MERGED_WITH_NEXT, .out = spare};
    if (!gn__tok_reserve_glyphs(spare, text->glyphs + text->spans)) return;
    for (size_t s = 0; s < text->spans; s++) {
        const gn__glyph *g = text->glyph + text->span[s].begin;
        size_t n = text->span[s].end - text->span[s].begin, begin = spare->glyphs;
        bool starts = g[0].code == ' ' || g[0].code == m->replacement;
        if (!starts && (m->scheme == ALWAYS || (m->scheme == FIRST && g[0].begin == 0)))
            gn__tok_add_glyph(spare, m->replacement, g[0].begin, g[0].end);
        for (size_t i = 0; i < n; i++)
            gn__tok_add_glyph(spare, g[i].code == ' ' ? m->replacement : g[i].code, g[i].begin, g[i].end);
        if (spare->failed) return;
        if (!m->split) {
            gn__tok_add_span(spare, begin, spare->glyphs);
            continue;
        }
        size_t done = 0, length = spare->glyphs - begin;
        gn__cut_begin(&c, begin);
        for (size_t i = 0; i < length; i++) {
            if (spare->glyph[begin + i].code != m->replacement) continue;
            if (done < i) gn__cut_piece(&c, done, i, false);
            gn__cut_piece(&c, i, i + 1, true);
            done = i + 1;
        }
        if (done < length) gn__cut_piece(&c, done, length, false);
        gn__cut_end(&c);
    }
    gn__tok_swap_glyphs(text, spare);
    gn__tok_swap_spans(text, spare);
}

extern const gn__tok_step_type gn__tok_pre_tokenizer_metaspace;
const gn__tok_step_type gn__tok_pre_tokenizer_metaspace = {
    .name = "Metaspace", .parse = parse, .free = free, .apply = apply};
