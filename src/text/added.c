#include "text/added.h"
#include "text/unicode.h"

const gn__tok_added_token *gn__tok_added_find(const gn__tok_added *a, int32_t id)
{
    for (size_t i = 0; i < a->count; i++)
        if (a->token[i].id == id) return &a->token[i];
    return NULL;
}

void gn__tok_added_free(gn__tok_added *a)
{
    for (size_t i = 0; i < a->count; i++) free(a->token[i].content);
    free(a->token);
    free(a->raw.pattern);
    free(a->normalized.pattern);
    gn__arena_free(&a->codes);
    *a = (gn__tok_added){0};
}

/* ---- reading ------------------------------------------------------------------------------------- */

static gn_status parse_token(const gn__tok_source *source, const json_t *part, gn__tok_added_token *out,
                             const char **content)
{
    static const char name[] = "added token";
    bool special;
    int64_t id;
    if (!json_is_object(part)) return gn__tok_not_an_object(source, name);
    GN__TRY(gn__tok_integer(source, name, part, "id", 0, GN__TOK_MAX_ID, &id));
    GN__TRY(gn__tok_string(source, name, part, "content", GN__TOK_REQUIRED, content));
    GN__TRY(gn__tok_bool(source, name, part, "single_word", GN__TOK_REQUIRED, &out->single_word));
    GN__TRY(gn__tok_bool(source, name, part, "lstrip", GN__TOK_REQUIRED, &out->lstrip));
    GN__TRY(gn__tok_bool(source, name, part, "rstrip", GN__TOK_REQUIRED, &out->rstrip));
    GN__TRY(gn__tok_bool(source, name, part, "normalized", GN__TOK_REQUIRED, &out->normalized));
    return gn__tok_bool(source, name, part, "special", GN__TOK_REQUIRED, &special);
}

static gn_status put(const gn__tok_source *source, gn__tok_added *a, gn__map *by_content, gn__map *by_id,
                     const char *content, gn__tok_added_token token, const gn__tok_vocab *vocab,
                     int32_t *next)
{
    size_t length = strlen(content);
    if (length == 0) return GN_OK;
    int64_t known = gn__map_get(by_content, content, length);
    token.id = known >= 0 ? (int32_t)known : gn__tok_vocab_id(vocab, content, length);
    if (token.id < 0) token.id = (*next)++;
    if (token.id > a->largest) a->largest = token.id;
    token.content = gn__strdup(content);
    if (token.content == NULL) return gn__no_memory(source->err, length);
    uint32_t place; /* a later token with the same id replaces the earlier one */
    if (!gn__map_put(by_id, (const char *)&token.id, sizeof token.id, (uint32_t)a->count, &place) ||
        !gn__map_put(by_content, content, length, (uint32_t)token.id, NULL)) {
        free(token.content);
        return gn__no_memory(source->err, length);
    }
    if (place < a->count) free(a->token[place].content);
    if (place == a->count) a->count++;
    a->token[place] = token;
    return GN_OK;
}

static int by_codes(const void *a, const void *b)
{
    const gn__tok_pattern *x = a, *y = b;
    for (uint32_t i = 0; i < x->n && i < y->n; i++)
        if (x->code[i] != y->code[i]) return x->code[i] < y->code[i] ? -1 : 1;
    if (x->n != y->n) return x->n < y->n ? -1 : 1;
    return x->token < y->token ? -1 : x->token > y->token;
}

static bool same_codes(const gn__tok_pattern *x, const gn__tok_pattern *y)
{
    return x->n == y->n && memcmp(x->code, y->code, x->n * sizeof *x->code) == 0;
}

/* Two tokens that are one text once normalized are refused: `tokenizers` 0.23 puts them into its automaton in
 * the order of a hash table with a random key, so that the same file gives either id, from load to load. */
static gn_status finish(const gn__tok_source *source, const gn__tok_added *a, gn__tok_matcher *m)
{
    if (m->count > 1) qsort(m->pattern, m->count, sizeof *m->pattern, by_codes);
    for (size_t i = 0; i < m->count; i++) {
        const gn__tok_pattern *p = &m->pattern[i];
        if (i > 0 && same_codes(p - 1, p))
            return gn__fail(source->err, GN_UNSUPPORTED,
                            "%s: the added tokens \"%s\" and \"%s\" are one text once normalized, for which "
                            "tokenizers gives either id",
                            source->file, a->token[p[-1].token].content, a->token[p->token].content);
        uint32_t bit = p->code[0] & 255;
        m->first[bit >> 5] |= 1u << (bit & 31);
    }
    return GN_OK;
}

static gn_status build(const gn__tok_source *source, gn__tok_added *a, const gn__tok_steps *normalizers,
                       gn__tok_pieces *text, gn__tok_pieces *spare)
{
    a->raw.pattern = gn__calloc(a->count, sizeof *a->raw.pattern);
    a->normalized.pattern = gn__calloc(a->count, sizeof *a->normalized.pattern);
    if (a->raw.pattern == NULL || a->normalized.pattern == NULL)
        return gn__no_memory(source->err, a->count * sizeof *a->raw.pattern);
    for (size_t i = 0; i < a->count; i++) {
        const char *s = a->token[i].content;
        size_t n = strlen(s), at = 0;
        gn__tok_matcher *m = a->token[i].normalized ? &a->normalized : &a->raw;
        gn__tok_pieces_clear(text);
        while (at < n) {
            uint32_t code;
            at += gn__utf8_decode(s + at, n - at, &code);
            gn__tok_add_glyph(text, code, 0, 0);
        }
        gn__tok_add_span(text, 0, text->glyphs);
        if (a->token[i].normalized) gn__tok_steps_apply(normalizers, text, spare);
        uint32_t *code = gn__arena_alloc(&a->codes, text->glyphs * sizeof *code);
        if (text->failed || spare->failed || code == NULL) return gn__no_memory(source->err, n);
        for (size_t k = 0; k < text->glyphs; k++) code[k] = text->glyph[k].code;
        if (text->glyphs == 0) /* `tokenizers` matches it everywhere, and panics inside a character */
            return gn__fail(source->err, GN_UNSUPPORTED,
                            "%s: the added token \"%s\" is empty once normalized", source->file, s);
        m->pattern[m->count++] = (gn__tok_pattern){code, (uint32_t)text->glyphs, (uint32_t)i};
    }
    GN__TRY(finish(source, a, &a->raw));
    return finish(source, a, &a->normalized);
}

gn_status gn__tok_added_parse(const gn__tok_source *source, const json_t *list, const gn__tok_vocab *vocab,
                              const gn__tok_steps *normalizers, gn__tok_added *out)
{
    gn__tok_added a = {.largest = -1};
    gn__map by_content = {0}, by_id = {0};
    gn__tok_pieces text = {0}, spare = {0};
    gn_status status = GN_OK;
    int32_t next = (int32_t)vocab->count;
    size_t n = list == NULL || json_is_null(list) ? 0 : json_array_size(list);
    if (list != NULL && !json_is_null(list) && !json_is_array(list))
        return gn__tok_bad_field(source, "tokenizer", "added_tokens", "a list");
    if (n > GN__TOK_MAX_ID) return gn__tok_bad_field(source, "tokenizer", "added_tokens", "a shorter list");
    a.token = gn__calloc(n, sizeof *a.token);
    if (a.token == NULL) return gn__no_memory(source->err, n * sizeof *a.token);
    for (size_t i = 0; i < n; i++) {
        gn__tok_added_token token = {0};
        const char *content = NULL;
        GN__TRY_GOTO(parse_token(source, json_array_get(list, i), &token, &content), end);
        GN__TRY_GOTO(put(source, &a, &by_content, &by_id, content, token, vocab, &next), end);
    }
    status = build(source, &a, normalizers, &text, &spare);
end:
    gn__tok_pieces_free(&text);
    gn__tok_pieces_free(&spare);
    gn__map_free(&by_content);
    gn__map_free(&by_id);
    if (status == GN_OK)
        *out = a;
    else
        gn__tok_added_free(&a);
    return status;
}

/* ---- matching ------------------------------------------------------------------------------------ */

/* The longest pattern that text[0..n) begins with. The patterns that agree with its first k code points lie
 * together; the range is narrowed one code point at a time. */
static const gn__tok_pattern *longest(const gn__tok_matcher *m, const gn__glyph *text, size_t n)
{
    const gn__tok_pattern *best = NULL;
    size_t low = 0, high = m->count;
    for (size_t k = 0; k < n; k++) {
        size_t a = low, b = high;
        while (a < b) { /* the first pattern whose k-th code point is not less */
            size_t middle = (a + b) / 2;
            if (m->pattern[middle].n <= k || m->pattern[middle].code[k] < text[k].code)
                a = middle + 1;
            else
                b = middle;
        }
        low = a;
        b = high;
        while (a < b) { /* the first whose k-th code point is greater */
            size_t middle = (a + b) / 2;
            if (m->pattern[middle].code[k] <= text[k].code)
                a = middle + 1;
            else
                b = middle;
        }
        high = a;
        if (low == high) break;
        if (m->pattern[low].n == k + 1) best = &m->pattern[low];
    }
    return best;
}

bool gn__tok_match(const gn__tok_matcher *m, const gn__glyph *text, size_t n, size_t at, size_t *begin,
                   size_t *end, uint32_t *token)
{
    if (m->count == 0) return false;
    for (; at < n; at++) {
        uint32_t bit = text[at].code & 255;
        if (!(m->first[bit >> 5] >> (bit & 31) & 1)) continue;
        const gn__tok_pattern *p = longest(m, text + at, n - at);
        if (p == NULL) continue;
        *begin = at;
        *end = at + p->n;
        *token = p->token;
        return true;
    }
    return false;
}

static bool is(const gn__glyph *g, unsigned flag)
{
    return (gn__unicode_flags(g->code) & flag) != 0;
}

gn_status gn__tok_added_split(const gn__tok_added *a, const gn__tok_matcher *m, const gn__glyph *text,
                              size_t n, gn__tok_stretch stretch, void *arg)
{
    size_t done = 0, at = 0, begin, end;
    uint32_t which;
    while (gn__tok_match(m, text, n, at, &begin, &end, &which)) {
        const gn__tok_added_token *token = &a->token[which];
        at = end; /* whatever is stripped below: the search goes on after the match itself, as in `tokenizers`
                   */
        if (token->single_word && ((begin > 0 && is(&text[begin - 1], GN__UNICODE_WORD)) ||
                                   (end < n && is(&text[end], GN__UNICODE_WORD))))
            continue;
        if (token->lstrip && begin < done) begin = done; /* blanks that the token before has taken */
        if (token->lstrip)
            while (begin > done && is(&text[begin - 1], GN__UNICODE_STRIP)) begin--;
        if (token->rstrip)
            while (end < n && is(&text[end], GN__UNICODE_STRIP)) end++;
        if (done < begin) GN__TRY(stretch(arg, done, begin, -1));
        if (begin < end) GN__TRY(stretch(arg, begin, end, (int)which));
        done = end;
    }
    return done < n ? stretch(arg, done, n, -1) : GN_OK;
}
