/* Replace: every match of a pattern by a string; the new characters take the place of the last one they
 * replace. */
#include "text/parts.h"
#include "text/pattern.h"

typedef struct replace {
    gn__tok_pattern_of *pattern;
    uint32_t *content;
    size_t n;
} replace;

static void destroy(void *state)
{
    replace *r = state;
    if (r == NULL) return;
    gn__pattern_free(r->pattern);
    free(r->content);
    free(r);
}

static gn_status parse(const gn__tok_source *source, const json_t *part, void **state)
{
    static const char name[] = "Replace";
    const char *content = NULL;
    GN__TRY(gn__tok_string(source, name, part, "content", GN__TOK_REQUIRED, &content));
    size_t length = strlen(content);
    replace *r = gn__calloc(1, sizeof *r);
    if (r != NULL) r->content = gn__calloc(length, sizeof *r->content);
    if (r == NULL || r->content == NULL) {
        destroy(r);
        return gn__no_memory(source->err, length);
    }
    for (size_t at = 0; at < length;) at += gn__utf8_decode(content + at, length - at, &r->content[r->n++]);
    gn_status status = gn__pattern_parse(source, name, part, false, &r->pattern);
    if (status == GN_OK)
        *state = r;
    else
        destroy(r);
    return status;
}

typedef struct job {
    const replace *r;
    gn__tok_pieces *text, *out;
} job;

static void piece(void *arg, size_t begin, size_t end, bool match)
{
    job *j = arg;
    const gn__glyph *g = j->text->glyph;
    if (match) {
        for (size_t i = 0; i < j->r->n; i++)
            gn__tok_add_glyph(j->out, j->r->content[i], g[end - 1].begin, g[end - 1].end);
    } else if (gn__tok_reserve_glyphs(j->out, end - begin)) {
        memcpy(j->out->glyph + j->out->glyphs, g + begin, (end - begin) * sizeof *g);
        j->out->glyphs += end - begin;
    }
}

static void apply(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    job j = {state, text, spare};
    spare->glyphs = 0;
    if (!gn__pattern_each(j.r->pattern, text->glyph, text->glyphs, piece, &j))
        spare->failed = spare->gave_up = true;
    gn__tok_swap_glyphs(text, spare);
}

extern const gn__tok_step_type gn__tok_normalizer_replace;
const gn__tok_step_type gn__tok_normalizer_replace = {
    .name = "Replace", .parse = parse, .free = destroy, .apply = apply};
