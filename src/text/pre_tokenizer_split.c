/* Split: cuts at the matches of a pattern. */
#include "text/cut.h"
#include "text/fast.h"

typedef struct split {
    gn__tok_pattern_of *pattern;
    gn__cut_behavior behavior;
    bool invert;
} split;

static void destroy(void *state)
{
    split *s = state;
    if (s != NULL) gn__pattern_free(s->pattern);
    free(s);
}

static gn_status parse(const gn__tok_source *source, const json_t *part, void **state)
{
    static const char name[] = "Split";
    split s = {0};
    GN__TRY(gn__cut_parse(source, name, part, GN__TOK_REQUIRED, &s.behavior));
    GN__TRY(gn__tok_bool(source, name, part, "invert", GN__TOK_REQUIRED, &s.invert));
    GN__TRY(gn__pattern_parse(source, name, part, true, &s.pattern));
    split *copy = malloc(sizeof *copy);
    if (copy == NULL) {
        gn__pattern_free(s.pattern);
        return gn__no_memory(source->err, sizeof *copy);
    }
    *copy = s;
    *state = copy;
    return GN_OK;
}

static void apply(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    const split *s = state;
    gn__cut c = {.behavior = s->behavior, .invert = s->invert, .out = spare};
    for (size_t i = 0; i < text->spans; i++) {
        const gn__tok_span *span = &text->span[i];
        gn__cut_begin(&c, span->begin);
        if (!gn__pattern_each(s->pattern, text->glyph + span->begin, span->end - span->begin, gn__cut_piece,
                              &c))
            spare->failed = spare->gave_up = true;
        gn__cut_end(&c);
    }
    gn__tok_swap_spans(text, spare);
}

gn__words gn__split_words(const void *state)
{
    const split *s = state; /* known patterns match everywhere: with these two, matches are all there is */
    return s->behavior == GN__CUT_ISOLATED && !s->invert ? gn__pattern_words(s->pattern) : GN__WORDS_NONE;
}

extern const gn__tok_step_type gn__tok_pre_tokenizer_split;
const gn__tok_step_type gn__tok_pre_tokenizer_split = {
    .name = "Split", .parse = parse, .free = destroy, .apply = apply};
