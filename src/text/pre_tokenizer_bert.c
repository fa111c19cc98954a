/* BertPreTokenizer: words between white space, every punctuation mark by itself. */
#include "text/parts.h"
#include "text/unicode.h"

static gn_status parse(const gn__tok_source *source, const json_t *part, void **state)
{
    (void)source, (void)part, (void)state;
    return GN_OK;
}

static void apply(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    (void)state;
    for (size_t s = 0; s < text->spans; s++) {
        size_t begin = text->span[s].begin, end = text->span[s].end;
        for (size_t i = begin; i < end; i++) {
            unsigned flags = gn__unicode_flags(text->glyph[i].code);
            if (!(flags & (GN__UNICODE_SPACE | GN__UNICODE_PUNCT))) continue;
            gn__tok_add_span(spare, begin, i);
            if (flags & GN__UNICODE_PUNCT) gn__tok_add_span(spare, i, i + 1);
            begin = i + 1;
        }
        gn__tok_add_span(spare, begin, end);
    }
    gn__tok_swap_spans(text, spare);
}

extern const gn__tok_step_type gn__tok_pre_tokenizer_bert;
const gn__tok_step_type gn__tok_pre_tokenizer_bert = {
    .name = "BertPreTokenizer", .parse = parse, .free = free, .apply = apply};
