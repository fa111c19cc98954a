#include "text/vocab.h"

static size_t slot_of(uint64_t hash, size_t mask)
{
    return (size_t)((hash ^ hash >> 29) * 0x9E3779B97F4A7C15u >> 32) & mask;
}

int32_t gn__tok_vocab_find(const gn__tok_vocab *v, uint64_t hash, const char *prefix, size_t prefix_length,
                           const char *s, size_t length)
{
    if (v->count == 0) return -1;
    for (size_t i = slot_of(hash, v->mask); v->slot[i].token != NULL; i = (i + 1) & v->mask) {
        const gn__tok_entry *e = &v->slot[i];
        if (e->hash == hash && e->length == prefix_length + length &&
            memcmp(e->token, prefix, prefix_length) == 0 && memcmp(e->token + prefix_length, s, length) == 0)
            return e->id;
    }
    return -1;
}

int32_t gn__tok_vocab_id(const gn__tok_vocab *v, const char *s, size_t length)
{
    return gn__tok_vocab_find(v, gn__tok_hash(GN__TOK_HASH_SEED, s, length), "", 0, s, length);
}

static gn_status add(const gn__tok_source *source, gn__tok_vocab *v, const char *token, size_t length,
                     int32_t id)
{
    uint64_t hash = gn__tok_hash(GN__TOK_HASH_SEED, token, length);
    size_t i = slot_of(hash, v->mask);
    while (v->slot[i].token != NULL) i = (i + 1) & v->mask;
    char *copy = gn__arena_strndup(&v->strings, token, length);
    if (copy == NULL) return gn__no_memory(source->err, length);
    if (v->by_id[id] != NULL)
        return gn__fail(source->err, GN_FORMAT, "%s: the tokens \"%s\" and \"%s\" have the same id %d",
                        source->file, v->by_id[id]->token, copy, (int)id);
    v->slot[i] = (gn__tok_entry){copy, (uint32_t)length, id, hash};
    v->by_id[id] = &v->slot[i];
    v->count++;
    if (length > v->longest) v->longest = length;
    return GN_OK;
}

static gn_status reserve(const gn__tok_source *source, gn__tok_vocab *v, size_t tokens)
{
    size_t capacity = 16;
    while (capacity < tokens * 2) capacity *= 2;
    v->mask = capacity - 1;
    v->slot = gn__calloc(capacity, sizeof *v->slot);
    v->by_id = gn__calloc(v->size, sizeof *v->by_id);
    if (v->slot == NULL || v->by_id == NULL) return gn__no_memory(source->err, capacity * sizeof *v->slot);
    return GN_OK;
}

gn_status gn__tok_vocab_parse(const gn__tok_source *source, const json_t *object, gn__tok_vocab *out)
{
    gn__tok_vocab v = {0};
    gn_status status = GN_OK;
    const char *token;
    size_t length;
    json_t *value, *tokens = (json_t *)object; /* jansson's loop has no const form; nothing is changed */
    json_object_keylen_foreach(tokens, token, length, value)
    {
        json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        if (id < 0 || id > GN__TOK_MAX_ID)
            return gn__fail(source->err, GN_FORMAT,
                            "%s: the id of the token \"%s\" is not a number from 0 to %d", source->file,
                            token, GN__TOK_MAX_ID);
        if ((size_t)id >= v.size) v.size = (size_t)id + 1;
    }
    GN__TRY_GOTO(reserve(source, &v, json_object_size(tokens)), fail);
    json_object_keylen_foreach(tokens, token, length, value)
    {
        GN__TRY_GOTO(add(source, &v, token, length, (int32_t)json_integer_value(value)), fail);
    }
    *out = v;
    return GN_OK;
fail:
    gn__tok_vocab_free(&v);
    return status;
}

gn_status gn__tok_vocab_parse_list(const gn__tok_source *source, const json_t *list, gn__tok_vocab *out)
{
    gn__tok_vocab v = {.size = json_array_size(list)};
    gn_status status;
    if (v.size == 0 || v.size > GN__TOK_MAX_ID)
        return gn__tok_bad_field(source, "Unigram", "vocab", "a list of [token, score]");
    GN__TRY_GOTO(reserve(source, &v, v.size), fail);
    for (size_t id = v.size; id-- > 0;) { /* the first one put in is the one found */
        const json_t *token = json_array_get(json_array_get(list, id), 0);
        if (json_array_size(json_array_get(list, id)) != 2 || !json_is_string(token)) {
            status = gn__tok_bad_field(source, "Unigram", "vocab", "a list of [token, score]");
            goto fail;
        }
        GN__TRY_GOTO(add(source, &v, json_string_value(token), json_string_length(token), (int32_t)id), fail);
    }
    *out = v;
    return GN_OK;
fail:
    gn__tok_vocab_free(&v);
    return status;
}

void gn__tok_vocab_free(gn__tok_vocab *v)
{
    free(v->slot);
    free(v->by_id);
    gn__arena_free(&v->strings);
    *v = (gn__tok_vocab){0};
}
