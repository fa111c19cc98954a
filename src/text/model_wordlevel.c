/* WordLevel: a word is a token, or unknown. */
#include "text/parts.h"

static const char name[] = "WordLevel";

typedef struct wordlevel {
    gn__tok_vocab vocab;
    char *unk_token;
    int32_t unk; /* -1 where the vocabulary lacks it */
} wordlevel;

static void destroy(void *state)
{
    wordlevel *w = state;
    if (w == NULL) return;
    gn__tok_vocab_free(&w->vocab);
    free(w->unk_token);
    free(w);
}

static gn_status parse(const gn__tok_source *source, const json_t *part, void **state)
{
    const char *unk = NULL;
    const json_t *vocab = json_object_get(part, "vocab");
    GN__TRY(gn__tok_string(source, name, part, "unk_token", GN__TOK_REQUIRED, &unk));
    if (!json_is_object(vocab))
        return gn__tok_bad_field(source, name, "vocab", "an object of tokens and ids");
    wordlevel *w = gn__calloc(1, sizeof *w);
    if (w == NULL) return gn__no_memory(source->err, sizeof *w);
    w->unk_token = gn__strdup(unk);
    gn_status status = w->unk_token == NULL ? gn__no_memory(source->err, strlen(unk))
                                            : gn__tok_vocab_parse(source, vocab, &w->vocab);
    if (status == GN_OK) {
        w->unk = gn__tok_vocab_id(&w->vocab, unk, strlen(unk));
        *state = w;
    } else {
        destroy(w);
    }
    return status;
}

static const gn__tok_vocab *vocab_of(const void *state)
{
    return &((const wordlevel *)state)->vocab;
}

static gn_status tokenize(const void *state, const gn__glyph *word, size_t n, gn__tok_scratch *scratch,
                          gn_tokens *tokens)
{
    const wordlevel *w = state;
    char *text = gn__tok_block(scratch, n * 4);
    if (text == NULL) return GN_NO_MEMORY;
    size_t length = 0;
    for (size_t i = 0; i < n; i++) length += gn__utf8_encode(word[i].code, text + length);
    int32_t id = gn__tok_vocab_id(&w->vocab, text, length);
    if (id < 0) id = w->unk;
    if (id < 0)
        return gn__fail(
            scratch->err, GN_FORMAT,
            "the text holds a word that the vocabulary lacks, and the vocabulary lacks the unknown "
            "token \"%s\"",
            w->unk_token);
    return gn__tok_push(scratch, tokens, id, word[0].begin, word[n - 1].end) ? GN_OK : GN_NO_MEMORY;
}

extern const gn__tok_model_type gn__tok_model_wordlevel;
const gn__tok_model_type gn__tok_model_wordlevel = {
    .name = name, .parse = parse, .free = destroy, .vocab = vocab_of, .tokenize = tokenize};
