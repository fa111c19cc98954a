/* Text to ids: added tokens are cut out, the rest is normalized, cut into words and given to the model; the
 * special tokens come last. */
#include "text/byte_level.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

void gn_tokens_free(gn_tokens *tokens)
{
    free(tokens->id);
    free(tokens->begin);
    free(tokens->end);
    *tokens = (gn_tokens){0};
}

static bool reserve(gn_tokens *tokens, size_t more, gn_error *err)
{
    if (tokens->capacity - tokens->count >= more) return true;
    size_t capacity = tokens->capacity < 64 ? 64 : tokens->capacity + tokens->capacity / 2;
    if (capacity < tokens->count + more) capacity = tokens->count + more;
    int32_t *id = gn__realloc(tokens->id, capacity, sizeof *id);
    if (id != NULL) tokens->id = id;
    uint32_t *begin = gn__realloc(tokens->begin, capacity, sizeof *begin);
    if (begin != NULL) tokens->begin = begin;
    uint32_t *end = gn__realloc(tokens->end, capacity, sizeof *end);
    if (end != NULL) tokens->end = end;
    if (id == NULL || begin == NULL || end == NULL) {
        gn__no_memory(err, capacity * sizeof *id);
        return false;
    }
    tokens->capacity = capacity;
    return true;
}

bool gn__tok_push(gn__tok_scratch *scratch, gn_tokens *tokens, int32_t id, uint32_t begin, uint32_t end)
{
    if (tokens->count == tokens->capacity && !reserve(tokens, 1, scratch->err)) return false;
    tokens->id[tokens->count] = id;
    tokens->begin[tokens->count] = begin;
    tokens->end[tokens->count++] = end;
    return true;
}

typedef struct job {
    const gn_tokenizer *t;
    const char *text; /* the input */
    gn__tok_scratch scratch;
    gn_tokens *tokens;
    size_t first; /* the token that will be the first of those kept */
    size_t limit; /* tokens of the text that are wanted; encoding stops soon after */
} job;

/* ---- offsets ------------------------------------------------------------------------------------- */

typedef struct blanks {
    size_t before, after; /* characters of white space, or stand-ins for a space, at the ends of a token */
} blanks;

static bool is_blank(uint32_t code)
{
    return code == gn__tok_byte_char(' ') || (gn__unicode_flags(code) & GN__UNICODE_SPACE) != 0;
}

static blanks blanks_of_token(const gn__tok_entry *entry)
{
    blanks b = {0, 0};
    size_t run = 0, count = 0;
    for (size_t at = 0; at < entry->length; count++) {
        uint32_t code;
        at += gn__utf8_decode(entry->token + at, entry->length - at, &code);
        run = is_blank(code) ? run + 1 : 0;
        if (run == count + 1) b.before = run;
    }
    b.after = run;
    return b;
}

static blanks blanks_of_glyphs(const gn__glyph *g, size_t n)
{
    blanks b = {0, 0};
    while (b.before < n && is_blank(g[b.before].code)) b.before++;
    while (b.after < n && is_blank(g[n - 1 - b.after].code)) b.after++;
    return b;
}

/* What ByteLevel and RobertaProcessing do to offsets with trim_offsets; they count characters. */
static void trim(const job *j, size_t token, blanks b)
{
    for (size_t k = 0; k < j->t->post.trims; k++) {
        uint32_t begin = j->tokens->begin[token], end = j->tokens->end[token];
        size_t before = b.before, after = b.after;
        bool first = token == j->first || begin == 0;
        if (first && j->t->post.trim[k].add_prefix_space && before == 1) before = 0;
        for (; before > 0 && begin < end; before--) {
            uint32_t code;
            begin += (uint32_t)gn__utf8_decode(j->text + begin, end - begin, &code);
        }
        uint32_t last = end;
        for (; after > 0 && last > 0; after--) do
                last--;
            while (last > 0 && (j->text[last] & 0xC0) == 0x80);
        if (after == 0 && last < end) end = last > begin ? last : begin;
        j->tokens->begin[token] = begin;
        j->tokens->end[token] = end;
    }
}

/* ---- the pipeline -------------------------------------------------------------------------------- */

static gn_status no_memory(const job *j)
{
    if (j->scratch.text.gave_up || j->scratch.spare.gave_up)
        return gn__fail(j->scratch.err, GN_UNSUPPORTED,
                        "a regular expression of the tokenizer takes too many steps for this text");
    return gn__no_memory(j->scratch.err, j->scratch.raw.glyphs * sizeof(gn__glyph));
}

static bool enough(const job *j)
{
    return j->tokens->count > j->limit;
}

static gn_status add_added(job *j, const gn__glyph *g, size_t begin, size_t end, int token)
{
    if (!gn__tok_push(&j->scratch, j->tokens, j->t->added.token[token].id, g[begin].begin, g[end - 1].end))
        return GN_NO_MEMORY;
    if (j->t->post.trims > 0) trim(j, j->tokens->count - 1, blanks_of_glyphs(g + begin, end - begin));
    return GN_OK;
}

static gn_status add_word(job *j, const gn__glyph *word, size_t n)
{
    size_t first = j->tokens->count;
    GN__TRY(j->t->model.type->tokenize(j->t->model.state, word, n, &j->scratch, j->tokens));
    for (size_t k = first; j->t->post.trims > 0 && k < j->tokens->count; k++)
        trim(j, k, blanks_of_token(gn__tok_vocab_entry(j->t->vocab, j->tokens->id[k])));
    return GN_OK;
}

/* Pre-tokenizes and tokenizes scratch.text. */
static gn_status add_words(job *j)
{
    gn__tok_pieces *text = &j->scratch.text;
    gn__tok_steps_apply(&j->t->pre_tokenizers, text, &j->scratch.spare);
    if (text->failed || j->scratch.spare.failed) return no_memory(j);
    for (size_t i = 0; i < text->spans && !enough(j); i++)
        GN__TRY(add_word(j, text->glyph + text->span[i].begin, text->span[i].end - text->span[i].begin));
    return GN_OK;
}

/* scratch.text becomes glyphs[begin..end) of `from`, as one span. */
static gn_status take(job *j, const gn__tok_pieces *from, size_t begin, size_t end)
{
    gn__tok_pieces *text = &j->scratch.text;
    gn__tok_pieces_clear(text);
    if (!gn__tok_reserve_glyphs(text, end - begin)) return no_memory(j);
    memcpy(text->glyph, from->glyph + begin, (end - begin) * sizeof *text->glyph);
    text->glyphs = end - begin;
    gn__tok_add_span(text, 0, text->glyphs);
    return text->failed ? no_memory(j) : GN_OK;
}

static gn_status normalized_stretch(void *arg, size_t begin, size_t end, int token)
{
    job *j = arg;
    if (enough(j)) return GN_OK;
    if (token >= 0) return add_added(j, j->scratch.part.glyph, begin, end, token);
    GN__TRY(take(j, &j->scratch.part, begin, end));
    return add_words(j);
}

/* Normalizes scratch.text and goes on with what lies between the added tokens in it. */
static gn_status normalize(job *j)
{
    gn__tok_pieces *text = &j->scratch.text;
    const gn__tok_added *added = &j->t->added;
    gn__tok_steps_apply(&j->t->normalizers, text, &j->scratch.spare);
    text->spans = 0;
    gn__tok_add_span(text, 0, text->glyphs);
    if (text->failed || j->scratch.spare.failed) return no_memory(j);
    if (added->normalized.count == 0) return add_words(j);
    gn__tok_swap_glyphs(text, &j->scratch.part);
    return gn__tok_added_split(added, &added->normalized, j->scratch.part.glyph, j->scratch.part.glyphs,
                               normalized_stretch, j);
}

/* ---- the short way (fast.h) ------------------------------------------------------------------------ */

static inline bool continues(char byte)
{
    return (byte & 0xC0) == 0x80;
}

static gn_status add_bytes(job *j, size_t begin, size_t end)
{
    int32_t store[GN__FAST_BYTES];
    const char *text = j->text;
    gn_tokens *out = j->tokens;
    for (size_t at = begin, n; at < end && !enough(j); at += n) {
        const int32_t *id;
        size_t count, place = at;
        n = gn__fast_word(j->t->fast, text + at, end - at);
        GN__TRY(gn__fast_tokens(j->t->fast, text + at, n, store, &j->scratch, &id, &count));
        if (out->capacity - out->count < count && !reserve(out, count, j->scratch.err)) return GN_NO_MEMORY;
        for (size_t k = 0; k < count; k++) {
            const gn__fast_shape *shape = gn__fast_shape_of(j->t->fast, id[k]);
            /* the bytes of whole characters, of which the token may have only a part */
            size_t first = place, last = place + shape->length, which = out->count++;
            place = last;
            while (first > at && continues(text[first])) first--;
            while (last < at + n && continues(text[last])) last++;
            out->id[which] = id[k];
            out->begin[which] = (uint32_t)first;
            out->end[which] = (uint32_t)last;
            if (j->t->post.trims > 0 && (shape->before | shape->after) != 0)
                trim(j, which, (blanks){shape->before, shape->after});
        }
    }
    return GN_OK;
}

static gn_status bytes_stretch(void *arg, size_t begin, size_t end, int token)
{
    job *j = arg;
    if (enough(j)) return GN_OK;
    const gn__glyph *g = j->scratch.raw.glyph;
    return token >= 0 ? add_added(j, g, begin, end, token) : add_bytes(j, g[begin].begin, g[end - 1].end);
}

/* Whether the short way holds for the text: it is well-formed UTF-8, and in NFC where that is asked for.
 * *added: some added token may begin in it. */
static bool is_fit(const job *j, size_t length, bool *added)
{
    const bool *may_begin = j->t->may_begin_added, nfc = j->t->fast_nfc;
    unsigned order = 0;
    *added = false;
    for (size_t at = 0; at < length;) {
        unsigned char c = (unsigned char)j->text[at];
        *added |= may_begin[c];
        if (c < 0x80) {
            order = 0;
            at++;
            continue;
        }
        uint32_t code;
        size_t n = gn__utf8_decode(j->text + at, length - at, &code);
        if (code == 0xFFFD && (n != 3 || memcmp(j->text + at, "\xEF\xBF\xBD", 3) != 0)) return false;
        if (nfc && code >= 0x300) {
            const gn__unicode_kind *kind = gn__unicode(code);
            if (!(kind->flags & GN__UNICODE_COMPOSED) || (kind->order != 0 && kind->order < order))
                return false;
            order = kind->order;
        } else {
            order = 0;
        }
        at += n;
    }
    return true;
}

/* ---- from the raw text ---------------------------------------------------------------------------- */

static gn_status raw_stretch(void *arg, size_t begin, size_t end, int token)
{
    job *j = arg;
    if (enough(j)) return GN_OK;
    if (token >= 0) return add_added(j, j->scratch.raw.glyph, begin, end, token);
    GN__TRY(take(j, &j->scratch.raw, begin, end));
    return normalize(j);
}

static gn_status run(job *j, size_t length)
{
    gn__tok_pieces *raw = &j->scratch.raw;
    bool added = true, fast = j->t->fast != NULL && is_fit(j, length, &added);
    if (fast && !added) return add_bytes(j, 0, length);
    gn__tok_pieces_clear(raw);
    if (!gn__tok_reserve_glyphs(raw, length)) return no_memory(j);
    for (size_t at = 0; at < length;) {
        uint32_t code;
        size_t n = gn__utf8_decode(j->text + at, length - at, &code);
        raw->glyph[raw->glyphs++] = (gn__glyph){code, (uint32_t)at, (uint32_t)(at + n)};
        at += n;
    }
    return gn__tok_added_split(&j->t->added, &j->t->added.raw, raw->glyph, raw->glyphs,
                               fast ? bytes_stretch : raw_stretch, j);
}

/* ---- special tokens ------------------------------------------------------------------------------ */

static gn_status apply_template(const gn__tok_post *post, bool add_special, gn_tokens *tokens, gn_error *err)
{
    size_t n = tokens->count, texts = post->items - post->added, total;
    size_t specials = add_special ? post->added : 0;
    if (!gn__mul_size(n, texts, &total) || total > SIZE_MAX / 8 - specials)
        return gn__no_memory(err, SIZE_MAX);
    total += specials;
    if (total > n && !reserve(tokens, total - n, err)) return GN_NO_MEMORY;
    /* From the last to the first: only the first copy of the text, moved last of all copies, can overlap it.
     */
    size_t at = total;
    for (size_t i = post->items; i-- > 0;) {
        if (post->item[i] == GN__TOK_TEXT) {
            at -= n;
            if (n == 0) continue;
            memmove(tokens->id + at, tokens->id, n * sizeof *tokens->id);
            memmove(tokens->begin + at, tokens->begin, n * sizeof *tokens->begin);
            memmove(tokens->end + at, tokens->end, n * sizeof *tokens->end);
        } else if (add_special) {
            at--;
            tokens->id[at] = post->item[i];
            tokens->begin[at] = tokens->end[at] = 0;
        }
    }
    tokens->count = total;
    return GN_OK;
}

gn_status gn_tokenizer_encode(const gn_tokenizer *t, const char *text, size_t length, bool add_special,
                              size_t max_length, gn_tokens *tokens, gn_error *err)
{
    enum { MAX_TEXT = 1 << 30 }; /* places are 32 bits wide, and a byte becomes at most three glyphs */
    if (length > MAX_TEXT)
        return gn__fail(err, GN_INVALID_ARGUMENT, "a text of %zu bytes is longer than the %d allowed", length,
                        MAX_TEXT);
    size_t specials = add_special ? t->post.added : 0;
    job j = {.t = t, .text = text, .tokens = tokens, .limit = SIZE_MAX, .scratch = {.err = err}};
    size_t limit = SIZE_MAX;
    if (max_length > 0) limit = max_length > specials ? max_length - specials : 0;
    if (!t->truncate_left) j.limit = limit; /* to keep the end one must go there */
    tokens->count = 0;
    tokens->cut = false;
    gn_status status = run(&j, length);
    if (status == GN_OK && t->truncate_left && t->post.trims > 0 && tokens->count > limit) {
        j.first = tokens->count - limit; /* offsets are trimmed with that in mind: once more */
        tokens->count = 0;
        status = run(&j, length);
    }
    gn__tok_scratch_free(&j.scratch);
    if (status != GN_OK) return status;
    if (tokens->count > limit) {
        size_t cut = t->truncate_left ? tokens->count - limit : 0;
        memmove(tokens->id, tokens->id + cut, limit * sizeof *tokens->id);
        memmove(tokens->begin, tokens->begin + cut, limit * sizeof *tokens->begin);
        memmove(tokens->end, tokens->end + cut, limit * sizeof *tokens->end);
        tokens->count = limit;
        tokens->cut = true;
    }
    return t->post.item == NULL ? GN_OK : apply_template(&t->post, add_special, tokens, err);
}
