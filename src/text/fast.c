#include "text/fast.h"
#include "text/byte_level.h"
#include "text/unicode.h"

#include <stdatomic.h>

extern const gn__tok_step_type gn__tok_pre_tokenizer_byte_level, gn__tok_pre_tokenizer_split;
extern const gn__tok_model_type gn__tok_model_bpe;

enum { SLOTS = 1 << 16, PROBES = 4 };

/* A word and its tokens. Once it is in its slot it does not change and does not leave. */
typedef struct known_word {
    uint64_t hash;
    uint8_t length, count;
    char bytes[GN__FAST_BYTES];
    int32_t id[];
} known_word;

struct gn__fast {
    gn__words words;
    const void *bpe;
    gn__fast_shape *shape; /* by id */
    _Atomic(known_word *) slot[SLOTS];
};

static bool is_blank(uint32_t code)
{
    return code == gn__tok_byte_char(' ') || (gn__unicode_flags(code) & GN__UNICODE_SPACE) != 0;
}

/* false: no memory, or (*fits) a token too long to be described. */
static bool set_shapes(gn__fast *f, const gn__tok_vocab *vocab, bool *fits)
{
    f->shape = gn__calloc(vocab->size, sizeof *f->shape);
    if (f->shape == NULL) return false;
    for (size_t id = 0; id < vocab->size; id++) {
        const gn__tok_entry *entry = vocab->by_id[id];
        size_t run = 0, count = 0, before = 0;
        for (size_t at = 0; entry != NULL && at < entry->length; count++) {
            uint32_t code;
            at += gn__utf8_decode(entry->token + at, entry->length - at, &code);
            run = is_blank(code) ? run + 1 : 0;
            if (run == count + 1) before = run;
        }
        *fits = *fits && count <= UINT16_MAX;
        f->shape[id] = (gn__fast_shape){(uint16_t)count, (uint16_t)before, (uint16_t)run};
    }
    return true;
}

gn_status gn__fast_make(const gn__tok_source *source, const gn__tok_steps *pre_tokenizers,
                        gn__tok_model *model, gn__fast **out)
{
    size_t n = pre_tokenizers->count;
    const gn__tok_step *at = pre_tokenizers->at;
    gn__words words = GN__WORDS_NONE;
    bool regex = false;
    *out = NULL;
    if (n < 1 || n > 2 || at[n - 1].type != &gn__tok_pre_tokenizer_byte_level ||
        model->type != &gn__tok_model_bpe || !gn__byte_level_words(at[n - 1].state, &regex))
        return GN_OK;
    if (n == 1 && regex) words = GN__WORDS_GPT2;
    if (n == 2 && !regex && at[0].type == &gn__tok_pre_tokenizer_split) words = gn__split_words(at[0].state);
    if (words == GN__WORDS_NONE || !gn__bpe_is_complete(model->state)) return GN_OK;
    gn__fast *f = gn__calloc(1, sizeof *f);
    if (f == NULL) return gn__no_memory(source->err, sizeof *f);
    f->words = words;
    f->bpe = model->state;
    bool fits = true;
    if (!set_shapes(f, model->type->vocab(model->state), &fits) || !gn__bpe_prepare(model->state)) {
        gn__fast_free(f);
        return gn__no_memory(source->err, sizeof *f);
    }
    if (!fits) {
        gn__fast_free(f);
        return GN_OK;
    }
    *out = f;
    return GN_OK;
}

void gn__fast_free(gn__fast *f)
{
    if (f == NULL) return;
    for (size_t i = 0; i < SLOTS; i++) free(atomic_load(&f->slot[i]));
    free(f->shape);
    free(f);
}

/* ---- words --------------------------------------------------------------------------------------- */

/* Of a character of well-formed text. */
static inline unsigned shape(const unsigned char *s, size_t *width)
{
    uint32_t code = s[0];
    *width = 1;
    if (code >= 0xF0) {
        code = (code & 7) << 18 | (s[1] & 0x3Fu) << 12 | (s[2] & 0x3Fu) << 6 | (s[3] & 0x3Fu);
        *width = 4;
    } else if (code >= 0xE0) {
        code = (code & 15) << 12 | (s[1] & 0x3Fu) << 6 | (s[2] & 0x3Fu);
        *width = 3;
    } else if (code >= 0x80) {
        code = (code & 31) << 6 | (s[1] & 0x3Fu);
        *width = 2;
    }
    return gn__unicode_flags(code) & (GN__UNICODE_LETTER | GN__UNICODE_NUMBER | GN__UNICODE_GAP);
}

#define WORDS(name) bytes_##name
#define WORDS_TEXT const unsigned char *
#define WORDS_UNIT(t, i) ((uint32_t)(t)[i])
#define WORDS_SHAPE(t, n, i, w) shape((t) + (i), w)
#define WORDS_LONG_S(t, n) \
    ((n) > 2 && (t)[1] == 0xC5 && (t)[2] == 0xBF ? 3 : 0) /* U+017F: (?i:s) matches it too */
#include "text/words.h"

size_t gn__fast_word(const gn__fast *f, const char *text, size_t n)
{
    return bytes_match(f->words, (const unsigned char *)text, n);
}

/* ---- tokens -------------------------------------------------------------------------------------- */

static uint64_t hash_of(const char *s, size_t n)
{
    uint64_t h = n * 0x9E3779B97F4A7C15u, word = 0;
    for (; n >= 8; s += 8, n -= 8) {
        memcpy(&word, s, 8);
        h = (h ^ word) * 0xD6E8FEB86659FD93u;
        h ^= h >> 32;
    }
    word = 0;
    memcpy(&word, s, n);
    h = (h ^ word) * 0xD6E8FEB86659FD93u;
    return h ^ h >> 32;
}

gn_status gn__fast_tokens(gn__fast *f, const char *word, size_t n, int32_t store[GN__FAST_BYTES],
                          gn__tok_scratch *scratch, const int32_t **id, size_t *count)
{
    const unsigned char *bytes = (const unsigned char *)word;
    if (n > GN__FAST_BYTES) return gn__bpe_long_word(f->bpe, bytes, n, scratch, id, count);
    uint64_t hash = hash_of(word, n);
    _Atomic(known_word *) *empty = NULL;
    for (size_t i = 0; i < PROBES && empty == NULL; i++) {
        _Atomic(known_word *) *slot = &f->slot[(hash + i) & (SLOTS - 1)];
        const known_word *w = atomic_load_explicit(slot, memory_order_acquire);
        if (w == NULL) {
            empty = slot;
        } else if (w->hash == hash && w->length == n && memcmp(w->bytes, word, n) == 0) {
            *count = w->count;
            *id = w->id;
            return GN_OK;
        }
    }
    *count = gn__bpe_word(f->bpe, bytes, n, store);
    *id = store;
    known_word *fresh = empty == NULL ? NULL : malloc(sizeof *fresh + *count * sizeof *store);
    if (fresh == NULL) return GN_OK; /* it will be worked out again */
    fresh->hash = hash;
    fresh->length = (uint8_t)n;
    fresh->count = (uint8_t)*count;
    memcpy(fresh->bytes, word, n);
    memcpy(fresh->id, store, *count * sizeof *store);
    known_word *none = NULL;
    if (!atomic_compare_exchange_strong(empty, &none, fresh)) free(fresh);
    return GN_OK;
}

const gn__fast_shape *gn__fast_shape_of(const gn__fast *f, int32_t id)
{
    return &f->shape[id];
}
