/* Byte pair encoding (Sennrich et al. 2016): the vocabulary, the table of merges, and their reading. The
 * merging itself is in bpe_merge.c. */
#include "text/bpe.h"
#include "text/bpe_walk.h"
#include "text/byte_level.h"
#include "text/fast.h"

static const char name[] = "BPE";

enum { MAX_AFFIX = 256 }; /* bytes; the working memory of a word grows with it */

typedef struct bpe {
    gn__tok_vocab vocab;
    gn__bpe_merges merges;
    gn__bpe_walk *walk;    /* NULL: words of bytes are merged */
    char *prefix, *suffix; /* of what continues a word; of what ends it */
    size_t prefix_length, suffix_length;
    bool has_unk, fuse_unk, byte_fallback, ignore_merges;
    char *unk_token;
    int32_t unk;             /* -1 where the vocabulary lacks it */
    int32_t byte_id[256];    /* of <0x00> to <0xFF>; -1 */
    int32_t byte_token[256]; /* of the characters that stand for bytes; -1 */
    int32_t direct[512];     /* of the characters U+0000 to U+01FF by themselves; -1 */
} bpe;

static void destroy(void *state)
{
    bpe *b = state;
    if (b == NULL) return;
    gn__tok_vocab_free(&b->vocab);
    gn__bpe_merges_free(&b->merges);
    gn__bpe_walk_free(b->walk);
    free(b->prefix);
    free(b->suffix);
    free(b->unk_token);
    free(b);
}

static gn_status find_token(const gn__tok_source *source, const bpe *b, size_t rank, const char *s, size_t n,
                            int32_t *id)
{
    *id = gn__tok_vocab_id(&b->vocab, s, n);
    if (*id >= 0) return GN_OK;
    return gn__fail(source->err, GN_FORMAT, "%s: merge %zu names \"%.*s\", which is not in the vocabulary",
                    source->file, rank + 1, (int)(n < 200 ? n : 200), s);
}

static gn_status add_merge(const gn__tok_source *source, bpe *b, size_t rank, const char *left, size_t n,
                           const char *right, size_t m, gn__buf *joined)
{
    int32_t a, c, whole;
    GN__TRY(find_token(source, b, rank, left, n, &a));
    GN__TRY(find_token(source, b, rank, right, m, &c));
    if (m < b->prefix_length)
        return gn__fail(source->err, GN_FORMAT, "%s: merge %zu: \"%.*s\" is shorter than the prefix \"%s\"",
                        source->file, rank + 1, (int)m, right, b->prefix);
    joined->length = 0;
    gn__buf_append(joined, left, n);
    gn__buf_append(joined, right + b->prefix_length, m - b->prefix_length);
    if (joined->failed) return gn__no_memory(source->err, n + m);
    GN__TRY(find_token(source, b, rank, joined->data, joined->length, &whole));
    gn__bpe_merges_put(&b->merges, (uint32_t)a, (uint32_t)c, (uint32_t)rank, (uint32_t)whole);
    return GN_OK;
}

/* A merge is ["left", "right"], or "left right" as in merges.txt; one list holds one kind. */
static gn_status parse_merges(const gn__tok_source *source, const json_t *merges, bpe *b, gn__buf *joined)
{
    bool pairs = json_is_array(json_array_get(merges, 0));
    size_t rank = 0;
    for (size_t i = 0; i < json_array_size(merges); i++) {
        const json_t *merge = json_array_get(merges, i), *left, *right;
        if (pairs) {
            left = json_array_get(merge, 0);
            right = json_array_get(merge, 1);
            if (json_array_size(merge) != 2 || !json_is_string(left) || !json_is_string(right))
                goto malformed;
            GN__TRY(add_merge(source, b, rank++, json_string_value(left), json_string_length(left),
                              json_string_value(right), json_string_length(right), joined));
        } else {
            if (!json_is_string(merge)) goto malformed;
            const char *s = json_string_value(merge), *space = strchr(s, ' ');
            if (strncmp(s, "#version", 8) == 0) continue;
            if (space == NULL || strchr(space + 1, ' ') != NULL) goto malformed;
            GN__TRY(
                add_merge(source, b, rank++, s, (size_t)(space - s), space + 1, strlen(space + 1), joined));
        }
        continue;
    malformed:
        return gn__fail(source->err, GN_FORMAT, "%s: merge %zu is not a pair of tokens", source->file, i + 1);
    }
    return GN_OK;
}

static gn_status refuse_dropout(const gn__tok_source *source, const json_t *part)
{
    const json_t *dropout = json_object_get(part, "dropout");
    if (dropout == NULL || json_is_null(dropout)) return GN_OK;
    if (!json_is_number(dropout)) return gn__tok_bad_field(source, name, "dropout", "a number");
    if (json_number_value(dropout) == 0) return GN_OK;
    return gn__fail(source->err, GN_UNSUPPORTED, "%s: the model \"BPE\" with dropout is not supported",
                    source->file);
}

static gn_status fill(const gn__tok_source *source, const json_t *part, bpe *b)
{
    const char *prefix = "", *suffix = "", *unk = NULL;
    GN__TRY(refuse_dropout(source, part));
    GN__TRY(gn__tok_string(source, name, part, "continuing_subword_prefix", GN__TOK_OPTIONAL, &prefix));
    GN__TRY(gn__tok_string(source, name, part, "end_of_word_suffix", GN__TOK_OPTIONAL, &suffix));
    GN__TRY(gn__tok_string(source, name, part, "unk_token", GN__TOK_OPTIONAL, &unk));
    GN__TRY(gn__tok_bool(source, name, part, "fuse_unk", GN__TOK_OPTIONAL, &b->fuse_unk));
    GN__TRY(gn__tok_bool(source, name, part, "byte_fallback", GN__TOK_OPTIONAL, &b->byte_fallback));
    GN__TRY(gn__tok_bool(source, name, part, "ignore_merges", GN__TOK_OPTIONAL, &b->ignore_merges));
    if (strlen(prefix) > MAX_AFFIX)
        return gn__tok_bad_field(source, name, "continuing_subword_prefix", "a short string");
    if (strlen(suffix) > MAX_AFFIX)
        return gn__tok_bad_field(source, name, "end_of_word_suffix", "a short string");
    const json_t *vocab = json_object_get(part, "vocab"), *merges = NULL;
    if (!json_is_object(vocab))
        return gn__tok_bad_field(source, name, "vocab", "an object of tokens and ids");
    GN__TRY(gn__tok_array(source, name, part, "merges", &merges));
    GN__TRY(gn__tok_vocab_parse(source, vocab, &b->vocab));
    b->prefix = gn__strdup(prefix);
    b->suffix = gn__strdup(suffix);
    b->unk_token = gn__strdup(unk != NULL ? unk : "");
    if (b->prefix == NULL || b->suffix == NULL || b->unk_token == NULL)
        return gn__no_memory(source->err, strlen(prefix) + strlen(suffix));
    b->prefix_length = strlen(prefix);
    b->suffix_length = strlen(suffix);
    b->has_unk = unk != NULL;
    b->unk = unk != NULL ? gn__tok_vocab_id(&b->vocab, unk, strlen(unk)) : -1;
    for (int i = 0; i < 256; i++) {
        static const char digit[] = "0123456789ABCDEF";
        char token[6] = {'<', '0', 'x', digit[i >> 4], digit[i & 15], '>'};
        b->byte_id[i] = gn__tok_vocab_id(&b->vocab, token, sizeof token);
    }
    for (uint32_t code = 0; code < 512; code++) {
        char utf8[4];
        b->direct[code] = gn__tok_vocab_id(&b->vocab, utf8, gn__utf8_encode(code, utf8));
    }
    for (unsigned i = 0; i < 256; i++) b->byte_token[i] = b->direct[gn__tok_byte_char((unsigned char)i)];
    if (!gn__bpe_merges_reserve(&b->merges, json_array_size(merges)))
        return gn__no_memory(source->err, json_array_size(merges) * sizeof(gn__bpe_merge));
    gn__buf joined = {0};
    gn_status status = parse_merges(source, merges, b, &joined);
    gn__buf_free(&joined);
    return status;
}

static gn_status parse(const gn__tok_source *source, const json_t *part, void **state)
{
    bpe *b = gn__calloc(1, sizeof *b);
    if (b == NULL) return gn__no_memory(source->err, sizeof *b);
    gn_status status = fill(source, part, b);
    if (status == GN_OK)
        *state = b;
    else
        destroy(b);
    return status;
}

bool gn__bpe_is_complete(const void *state)
{
    const bpe *b = state;
    bool complete = b->prefix_length == 0 && b->suffix_length == 0;
    for (unsigned i = 0; complete && i < 256; i++) complete = b->byte_token[i] >= 0;
    return complete;
}

bool gn__bpe_prepare(void *state)
{
    bpe *b = state;
    return gn__bpe_walk_make(&b->merges, &b->vocab, b->byte_token, &b->walk);
}

/* The whole word where it is a token and merges are to be ignored for it; -1. key: room for 2 n bytes, of
 * which n is at most the longest token's. */
static int32_t whole_word(const bpe *b, const unsigned char *word, size_t n, char *key)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++) size += gn__utf8_encode(gn__tok_byte_char(word[i]), key + size);
    return gn__tok_vocab_id(&b->vocab, key, size);
}

size_t gn__bpe_word(const void *state, const unsigned char *word, size_t n, int32_t id[GN__FAST_BYTES])
{
    const bpe *b = state;
    if (b->ignore_merges && n <= b->vocab.longest) {
        char key[2 * GN__FAST_BYTES];
        id[0] = whole_word(b, word, n, key);
        if (id[0] >= 0) return 1;
    }
    uint64_t dead[GN__FAST_BYTES / 64 + 1];
    if (b->walk != NULL) return gn__bpe_walk_along(b->walk, word, n, id, dead);
    for (size_t i = 0; i < n; i++) id[i] = b->byte_token[word[i]];
    return gn__bpe_merge_few(&b->merges, id, n);
}

gn_status gn__bpe_long_word(const void *state, const unsigned char *word, size_t n, gn__tok_scratch *scratch,
                            const int32_t **id, size_t *count)
{
    const bpe *b = state;
    size_t symbols = b->walk == NULL ? n : 0, text = b->ignore_merges && n <= b->vocab.longest ? 2 * n : 0;
    char *block =
        gn__tok_block(scratch, n * sizeof(int32_t) + 8 + (n / 64 + 1) * sizeof(uint64_t) +
                                   symbols * (sizeof(gn__bpe_symbol) + 2 * sizeof(gn__bpe_candidate)) + text);
    if (block == NULL) return GN_NO_MEMORY;
    uint64_t *dead = (uint64_t *)block;
    int32_t *out = (int32_t *)(dead + n / 64 + 1);
    *id = out;
    *count = 1;
    if (text > 0) {
        out[0] = whole_word(b, word, n, (char *)(out + n));
        if (out[0] >= 0) return GN_OK;
    }
    if (b->walk != NULL) {
        *count = gn__bpe_walk_along(b->walk, word, n, out, dead);
        return GN_OK;
    }
    gn__bpe_symbol *symbol = (gn__bpe_symbol *)(out + n);
    for (size_t i = 0; i < n; i++) symbol[i] = (gn__bpe_symbol){.id = b->byte_token[word[i]], .length = 1};
    gn__bpe_merge_all(&b->merges, symbol, n, (gn__bpe_candidate *)(symbol + n));
    *count = 0;
    for (size_t i = 0; i < n; i++)
        if (symbol[i].length > 0) out[(*count)++] = symbol[i].id;
    return GN_OK;
}

static gn_status check(const void *state, const gn__tok_source *source, bool byte_level)
{
    const bpe *b = state;
    if (!b->has_unk || b->unk >= 0) return GN_OK;
    if (byte_level && gn__bpe_is_complete(b)) return GN_OK; /* nothing can be unknown */
    return gn__fail(source->err, GN_FORMAT, "%s: the unknown token \"%s\" is not in the vocabulary",
                    source->file, b->unk_token);
}

static const gn__tok_vocab *vocab_of(const void *state)
{
    return &((const bpe *)state)->vocab;
}

/* The id of character i of n, with prefix and suffix; also leaves its text in key[0..*length). */
static int32_t find_char(const bpe *b, const gn__glyph *word, size_t i, size_t n, char *key, size_t *length)
{
    size_t before = i > 0 ? b->prefix_length : 0, after = i + 1 == n ? b->suffix_length : 0;
    memcpy(key, b->prefix, before);
    *length = before + gn__utf8_encode(word[i].code, key + before);
    memcpy(key + *length, b->suffix, after);
    *length += after;
    if (before + after == 0 && word[i].code < 512) return b->direct[word[i].code];
    return gn__tok_vocab_id(&b->vocab, key, *length);
}

static size_t utf8_length(uint32_t code)
{
    return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

/* The word as symbols before any merge: one a character, one a byte where byte_fallback applies, the
 * unknown token, or nothing at all. */
static size_t split(const bpe *b, const gn__glyph *word, size_t n, char *key, gn__bpe_symbol *symbol)
{
    size_t count = 0;
    uint32_t unknown = 0; /* bytes of unknown characters not yet written down */
    for (size_t i = 0; i < n; i++) {
        size_t length;
        int32_t id = find_char(b, word, i, n, key, &length);
        uint32_t bytes = (uint32_t)utf8_length(word[i].code);
        if (id < 0 && b->byte_fallback) {
            size_t k = 0;
            while (k < length && b->byte_id[(unsigned char)key[k]] >= 0) k++;
            if (k == length) {
                for (k = 0; k < length; k++)
                    symbol[count++] = (gn__bpe_symbol){.id = b->byte_id[(unsigned char)key[k]], .length = 1};
                continue; /* an unknown token that waits comes after these bytes in `tokenizers` too */
            }
        }
        if (id < 0 && !b->has_unk) continue;
        if (unknown > 0 && (id >= 0 || !b->fuse_unk)) {
            symbol[count++] = (gn__bpe_symbol){.id = b->unk, .length = unknown};
            unknown = 0;
        }
        if (id >= 0)
            symbol[count++] = (gn__bpe_symbol){.id = id, .length = bytes};
        else
            unknown += bytes;
    }
    if (unknown > 0) symbol[count++] = (gn__bpe_symbol){.id = b->unk, .length = unknown};
    return count;
}

/* Symbols to tokens. A symbol's place is the sum of the lengths before it, as in `tokenizers`, which is
 * right unless characters were left out. */
static gn_status emit(const gn__bpe_symbol *symbol, size_t count, const gn__glyph *word, size_t n,
                      gn__tok_scratch *scratch, gn_tokens *tokens)
{
    size_t glyph = 0, glyph_end = utf8_length(word[0].code), at = 0;
    for (size_t i = 0; i < count; i++) {
        if (symbol[i].length == 0) continue;
        while (at >= glyph_end && glyph + 1 < n) glyph_end += utf8_length(word[++glyph].code);
        uint32_t begin = word[glyph].begin;
        at += symbol[i].length;
        while (at > glyph_end && glyph + 1 < n) glyph_end += utf8_length(word[++glyph].code);
        if (!gn__tok_push(scratch, tokens, symbol[i].id, begin, word[glyph].end)) return GN_NO_MEMORY;
    }
    return GN_OK;
}

static gn_status tokenize(const void *state, const gn__glyph *word, size_t n, gn__tok_scratch *scratch,
                          gn_tokens *tokens)
{
    const bpe *b = state;
    size_t affixes = b->prefix_length + b->suffix_length,
           symbols = b->byte_fallback ? n * 4 + affixes * n : n;
    size_t text = b->ignore_merges ? n * 4 : 0;
    char *block = gn__tok_block(scratch, symbols * (sizeof(gn__bpe_symbol) + 2 * sizeof(gn__bpe_candidate)) +
                                             text + affixes + 4);
    if (block == NULL) return GN_NO_MEMORY;
    gn__bpe_candidate *heap = (gn__bpe_candidate *)block;
    gn__bpe_symbol *symbol = (gn__bpe_symbol *)(heap + 2 * symbols);
    char *key = (char *)(symbol + symbols);
    if (b->ignore_merges) {
        size_t length = 0;
        for (size_t i = 0; i < n; i++) length += gn__utf8_encode(word[i].code, key + length);
        int32_t id = gn__tok_vocab_id(&b->vocab, key, length);
        if (id >= 0)
            return gn__tok_push(scratch, tokens, id, word[0].begin, word[n - 1].end) ? GN_OK : GN_NO_MEMORY;
    }
    size_t count = split(b, word, n, key, symbol);
    gn__bpe_merge_all(&b->merges, symbol, count, heap);
    return emit(symbol, count, word, n, scratch, tokens);
}

extern const gn__tok_model_type gn__tok_model_bpe;
const gn__tok_model_type gn__tok_model_bpe = {.name = name,
                                              .mark = "merges",
                                              .parse = parse,
                                              .free = destroy,
                                              .check = check,
                                              .vocab = vocab_of,
                                              .tokenize = tokenize};
