/* WordPiece (Schuster and Nakajima 2012), by longest match first as in BERT's tokenizer. */
#include "text/parts.h"

typedef struct wordpiece {
    gn__tok_vocab vocab;
    int32_t unk;
    int64_t max_chars;
    char *prefix; /* of what continues a word */
    size_t prefix_length, longest;
    uint64_t prefix_hash;
} wordpiece;

static void destroy(void *state)
{
    wordpiece *w = state;
    if (w == NULL) return;
    gn__tok_vocab_free(&w->vocab);
    free(w->prefix);
    free(w);
}

static gn_status fill(const gn__tok_source *source, const json_t *part, wordpiece *w)
{
    static const char name[] = "WordPiece";
    const char *unk = NULL, *prefix = NULL;
    GN__TRY(gn__tok_string(source, name, part, "unk_token", GN__TOK_REQUIRED, &unk));
    GN__TRY(gn__tok_string(source, name, part, "continuing_subword_prefix", GN__TOK_REQUIRED, &prefix));
    GN__TRY(gn__tok_integer(source, name, part, "max_input_chars_per_word", 0, INT64_MAX, &w->max_chars));
    const json_t *vocab = json_object_get(part, "vocab");
    if (!json_is_object(vocab))
        return gn__tok_bad_field(source, name, "vocab", "an object of tokens and ids");
    GN__TRY(gn__tok_vocab_parse(source, vocab, &w->vocab));
    w->unk = gn__tok_vocab_id(&w->vocab, unk, strlen(unk));
    if (w->unk < 0)
        return gn__fail(source->err, GN_FORMAT, "%s: the unknown token \"%s\" is not in the vocabulary",
                        source->file, unk);
    w->prefix = gn__strdup(prefix);
    if (w->prefix == NULL) return gn__no_memory(source->err, strlen(prefix));
    w->prefix_length = strlen(prefix);
    w->prefix_hash = gn__tok_hash(GN__TOK_HASH_SEED, prefix, w->prefix_length);
    return GN_OK;
}

static gn_status parse(const gn__tok_source *source, const json_t *part, void **state)
{
    wordpiece *w = gn__calloc(1, sizeof *w);
    if (w == NULL) return gn__no_memory(source->err, sizeof *w);
    gn_status status = fill(source, part, w);
    if (status == GN_OK)
        *state = w;
    else
        destroy(w);
    return status;
}

static const gn__tok_vocab *vocab_of(const void *state)
{
    return &((const wordpiece *)state)->vocab;
}

static gn_status tokenize(const void *state, const gn__glyph *word, size_t n, gn__tok_scratch *scratch,
                          gn_tokens *tokens)
{
    const wordpiece *w = state;
    size_t first = tokens->count;
    if (n > (uint64_t)w->max_chars) goto unknown;
    /* the word in UTF-8; end[i] where character i ends; hash[i] of the piece that ends with it */
    uint64_t *hash = gn__tok_block(scratch, n * (sizeof *hash + sizeof(uint32_t) + 4));
    if (hash == NULL) return GN_NO_MEMORY;
    uint32_t *end = (uint32_t *)(hash + n);
    char *bytes = (char *)(end + n);
    size_t length = 0;
    for (size_t i = 0; i < n; i++) {
        length += gn__utf8_encode(word[i].code, bytes + length);
        end[i] = (uint32_t)length;
    }
    for (size_t start = 0; start < n;) {
        size_t from = start > 0 ? end[start - 1] : 0, prefix_length = start > 0 ? w->prefix_length : 0, stop;
        uint64_t state_hash = start > 0 ? w->prefix_hash : GN__TOK_HASH_SEED;
        for (stop = start; stop < n && prefix_length + end[stop] - from <= w->vocab.longest; stop++) {
            size_t begin = stop > 0 ? end[stop - 1] : 0;
            hash[stop] = state_hash = gn__tok_hash(state_hash, bytes + begin, end[stop] - begin);
        }
        int32_t id = -1;
        for (; stop > start; stop--) {
            id = gn__tok_vocab_find(&w->vocab, hash[stop - 1], w->prefix, prefix_length, bytes + from,
                                    end[stop - 1] - from);
            if (id >= 0) break;
        }
        if (id < 0) goto unknown;
        if (!gn__tok_push(scratch, tokens, id, word[start].begin, word[stop - 1].end)) return GN_NO_MEMORY;
        start = stop;
    }
    return GN_OK;
unknown:
    tokens->count = first;
    return gn__tok_push(scratch, tokens, w->unk, word[0].begin, word[n - 1].end) ? GN_OK : GN_NO_MEMORY;
}

extern const gn__tok_model_type gn__tok_model_wordpiece;
const gn__tok_model_type gn__tok_model_wordpiece = {.name = "WordPiece",
                                                    .mark = "max_input_chars_per_word",
                                                    .parse = parse,
                                                    .free = destroy,
                                                    .vocab = vocab_of,
                                                    .tokenize = tokenize};
