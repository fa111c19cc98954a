/* Unigram (Kudo 2018): the segmentation of the highest sum of scores, found from left to right; among equal
 * sums the one found first stays, as in `tokenizers` (models/unigram/model.rs, encode_optimized). */
#include "text/parts.h"
#include "text/trie.h"

#include <math.h>

static const char name[] = "Unigram";

#define UNKNOWN_PENALTY                                                                \
    10.0 /* below the lowest score of the vocabulary (sentencepiece, unigram_model.cc) \
          */

typedef struct unigram {
    gn__tok_vocab vocab;
    double *score; /* [vocab.size] */
    double unknown_score;
    int32_t unk; /* -1: none */
    bool byte_fallback;
    int32_t byte_id[256];
    gn__trie trie; /* of the tokens' bytes; of equal tokens the last counts */
} unigram;

static void destroy(void *state)
{
    unigram *u = state;
    if (u == NULL) return;
    gn__tok_vocab_free(&u->vocab);
    free(u->score);
    gn__trie_free(&u->trie);
    free(u);
}

static gn_status build_trie(const gn__tok_source *source, unigram *u)
{
    gn__trie_key *key = gn__calloc(u->vocab.size, sizeof *key);
    if (key == NULL) return gn__no_memory(source->err, u->vocab.size * sizeof *key);
    for (size_t id = 0; id < u->vocab.size; id++) {
        const gn__tok_entry *e = u->vocab.by_id[id];
        key[id] = (gn__trie_key){
            .bytes = (const unsigned char *)e->token, .length = e->length, .value = (int32_t)id};
    }
    bool good = gn__trie_build(&u->trie, key, u->vocab.size);
    free(key);
    return good ? GN_OK : gn__no_memory(source->err, u->vocab.size * sizeof *key);
}

static gn_status fill(const gn__tok_source *source, const json_t *part, unigram *u)
{
    const json_t *vocab = NULL, *unk = json_object_get(part, "unk_id");
    double lowest = INFINITY;
    u->unk = -1;
    GN__TRY(gn__tok_array(source, name, part, "vocab", &vocab));
    if (json_object_get(part, "byte_fallback") != NULL)
        GN__TRY(gn__tok_bool(source, name, part, "byte_fallback", GN__TOK_REQUIRED, &u->byte_fallback));
    GN__TRY(gn__tok_vocab_parse_list(source, vocab, &u->vocab));
    size_t n = u->vocab.size;
    if (unk != NULL && !json_is_null(unk)) {
        int64_t id = 0;
        GN__TRY(gn__tok_integer(source, name, part, "unk_id", 0, (int64_t)n - 1, &id));
        u->unk = (int32_t)id;
    }
    u->score = gn__calloc(n, sizeof *u->score);
    if (u->score == NULL) return gn__no_memory(source->err, n * sizeof *u->score);
    for (size_t i = 0; i < n; i++) {
        const json_t *score = json_array_get(json_array_get(vocab, i), 1);
        if (!json_is_number(score))
            return gn__tok_bad_field(source, name, "vocab", "a list of [token, score]");
        u->score[i] = json_number_value(score);
        if (u->score[i] < lowest) lowest = u->score[i];
    }
    u->unknown_score = lowest - UNKNOWN_PENALTY;
    for (int i = 0; i < 256; i++) {
        static const char digit[] = "0123456789ABCDEF";
        char token[6] = {'<', '0', 'x', digit[i >> 4], digit[i & 15], '>'};
        u->byte_id[i] = gn__tok_vocab_id(&u->vocab, token, sizeof token);
    }
    return build_trie(source, u);
}

static gn_status parse(const gn__tok_source *source, const json_t *part, void **state)
{
    unigram *u = gn__calloc(1, sizeof *u);
    if (u == NULL) return gn__no_memory(source->err, sizeof *u);
    gn_status status = fill(source, part, u);
    if (status == GN_OK)
        *state = u;
    else
        destroy(u);
    return status;
}

static const gn__tok_vocab *vocab_of(const void *state)
{
    return &((const unigram *)state)->vocab;
}

typedef struct place {
    double score;   /* of the best segmentation that ends here */
    uint32_t begin; /* glyph where its last piece begins */
    int32_t id;     /* of that piece; -1: nothing ends here */
    uint32_t byte;  /* of the text, where this glyph begins */
} place;

static void reach(place *p, size_t begin, double score, int32_t id)
{
    if (p->id >= 0 && !(score > p->score)) return;
    p->score = score;
    p->begin = (uint32_t)begin;
    p->id = id;
}

static gn_status lacks(gn__tok_scratch *scratch)
{
    return gn__fail(
        scratch->err, GN_FORMAT,
        "the text holds a character that the vocabulary lacks, and the model has no unknown token");
}

/* Fills best[1..n]; text is the word in UTF-8. */
static gn_status search(const unigram *u, const char *text, size_t n, place *best, gn__tok_scratch *scratch)
{
    for (size_t i = 0; i < n; i++) {
        bool single = false;
        uint32_t node = 0;
        size_t end = i + 1; /* the first glyph that begins at or after the byte at hand */
        for (uint32_t at = best[i].byte; at < best[n].byte; at++) {
            node = gn__trie_step(&u->trie, node, (unsigned char)text[at]);
            if (node == 0) break;
            int32_t token = u->trie.unit[node].value;
            if (token < 0) continue;
            while (best[end].byte < at + 1) end++;
            if (best[end].byte != at + 1) continue;
            reach(&best[end], i, u->score[token] + best[i].score, token);
            if (end == i + 1) single = true;
        }
        if (single) continue;
        double score = u->unknown_score + best[i].score;
        if (best[i + 1].id < 0 || score > best[i + 1].score) {
            if (u->unk < 0) return lacks(scratch);
            reach(&best[i + 1], i, score, u->unk);
        }
    }
    return GN_OK;
}

/* The tokens of the glyphs from..to, which are one piece, or unknown pieces in a row. */
static gn_status emit(const unigram *u, const gn__glyph *word, const place *best, const char *text,
                      size_t from, size_t to, gn__tok_scratch *scratch, gn_tokens *tokens)
{
    const char *s = text + best[from].byte;
    size_t length = best[to].byte - best[from].byte;
    uint32_t begin = word[from].begin, end = word[to - 1].end;
    int32_t id = gn__tok_vocab_id(&u->vocab, s, length);
    if (id < 0 && u->byte_fallback) {
        size_t k = 0;
        while (k < length && u->byte_id[(unsigned char)s[k]] >= 0) k++;
        if (k == length) {
            for (k = 0; k < length; k++)
                if (!gn__tok_push(scratch, tokens, u->byte_id[(unsigned char)s[k]], begin, end))
                    return GN_NO_MEMORY;
            return GN_OK;
        }
    }
    if (id < 0) id = u->unk;
    if (id < 0) return lacks(scratch);
    return gn__tok_push(scratch, tokens, id, begin, end) ? GN_OK : GN_NO_MEMORY;
}

static gn_status tokenize(const void *state, const gn__glyph *word, size_t n, gn__tok_scratch *scratch,
                          gn_tokens *tokens)
{
    const unigram *u = state;
    place *best = gn__tok_block(scratch, (n + 1) * sizeof *best + n * 4);
    if (best == NULL) return GN_NO_MEMORY;
    char *text = (char *)(best + n + 1);
    size_t length = 0;
    for (size_t i = 0; i <= n; i++) {
        best[i] = (place){0, 0, -1, (uint32_t)length};
        if (i < n) length += gn__utf8_encode(word[i].code, text + length);
    }
    GN__TRY(search(u, text, n, best, scratch));
    /* turn the chain round: best[i].begin becomes the end of the piece that begins at i */
    for (size_t end = n, next = n; end > 0;) {
        size_t begin = best[end].begin;
        int32_t id = best[end].id;
        best[end].begin = (uint32_t)next;
        next = end;
        /* the id of a piece goes along to where it begins */
        best[end].score = id;
        end = begin;
        if (begin == 0) best[0].begin = (uint32_t)next;
    }
    for (size_t from = 0; from < n;) {
        size_t to = best[from].begin;
        bool unknown = (int32_t)best[to].score == u->unk && u->unk >= 0;
        while (unknown && to < n && (int32_t)best[best[to].begin].score == u->unk) to = best[to].begin;
        GN__TRY(emit(u, word, best, text, from, to, scratch, tokens));
        from = to;
    }
    return GN_OK;
}

extern const gn__tok_model_type gn__tok_model_unigram;
const gn__tok_model_type gn__tok_model_unigram = {
    .name = name, .parse = parse, .free = destroy, .vocab = vocab_of, .tokenize = tokenize};
