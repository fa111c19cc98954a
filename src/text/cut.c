#include "text/cut.h"

void gn__cut_begin(gn__cut *c, size_t base)
{
    c->base = base;
    c->waiting = c->match = false;
}

void gn__cut_end(gn__cut *c)
{
    if (c->waiting) gn__tok_add_span(c->out, c->base + c->begin, c->base + c->end);
    c->waiting = false;
}

void gn__cut_piece(void *cut, size_t begin, size_t end, bool match)
{
    gn__cut *c = cut;
    bool is = match != c->invert, joins = false;
    switch (c->behavior) {
    case GN__CUT_REMOVED:
        if (!is) gn__tok_add_span(c->out, c->base + begin, c->base + end);
        return;
    case GN__CUT_ISOLATED:
        gn__tok_add_span(c->out, c->base + begin, c->base + end);
        return;
    case GN__CUT_CONTIGUOUS:
        joins = is == c->match;
        break;
    case GN__CUT_MERGED_WITH_PREVIOUS:
        joins = is && !c->match;
        break;
    case GN__CUT_MERGED_WITH_NEXT:
        joins = !is && c->match;
        break;
    }
    if (!joins || !c->waiting) {
        gn__cut_end(c);
        c->begin = begin;
        c->waiting = true;
    }
    c->end = end;
    c->match = is;
}

void gn__cut_characters(gn__tok_pieces *text, gn__tok_pieces *spare, gn__cut_behavior behavior,
                        gn__cut_test is, uint32_t arg)
{
    gn__cut c = {.behavior = behavior, .out = spare};
    for (size_t s = 0; s < text->spans; s++) {
        const gn__glyph *g = text->glyph + text->span[s].begin;
        size_t n = text->span[s].end - text->span[s].begin, done = 0;
        gn__cut_begin(&c, text->span[s].begin);
        for (size_t i = 0; i < n; i++) {
            if (!is(g[i].code, arg)) continue;
            if (done < i) gn__cut_piece(&c, done, i, false);
            gn__cut_piece(&c, i, i + 1, true);
            done = i + 1;
        }
        if (done < n) gn__cut_piece(&c, done, n, false);
        gn__cut_end(&c);
    }
    gn__tok_swap_spans(text, spare);
}

gn_status gn__cut_parse(const gn__tok_source *source, const char *name, const json_t *part, gn__tok_need need,
                        gn__cut_behavior *out)
{
    static const struct {
        const char *name;
        gn__cut_behavior behavior;
    } known[] = {{"Removed", GN__CUT_REMOVED},
                 {"Isolated", GN__CUT_ISOLATED},
                 {"MergedWithPrevious", GN__CUT_MERGED_WITH_PREVIOUS},
                 {"MergedWithNext", GN__CUT_MERGED_WITH_NEXT},
                 {"Contiguous", GN__CUT_CONTIGUOUS}};
    const char *given = NULL;
    GN__TRY(gn__tok_string(source, name, part, "behavior", need, &given));
    if (given == NULL) return GN_OK;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, given) != 0) continue;
        *out = known[i].behavior;
        return GN_OK;
    }
    return gn__tok_bad_field(source, name, "behavior", "the name of a behavior");
}
