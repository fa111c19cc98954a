/* Token strings and their ids, both ways. */
#ifndef GENCHI_TEXT_VOCAB_H
#define GENCHI_TEXT_VOCAB_H

#include "text/json.h"

enum { GN__TOK_MAX_ID = 1 << 26 };

typedef struct gn__tok_entry {
    const char *token; /* NUL-terminated; NULL: an empty slot of the table, an unused id */
    uint32_t length;
    int32_t id;
    uint64_t hash;
} gn__tok_entry;

typedef struct gn__tok_vocab {
    gn__tok_entry *slot; /* [mask + 1] open addressing */
    size_t mask, count;
    const gn__tok_entry **by_id; /* [size] */
    size_t size;                 /* largest id + 1 */
    size_t longest;              /* bytes of the longest token */
    gn__arena strings;
} gn__tok_vocab;

/* FNV-1a, to be continued byte by byte: the longest-match search hashes every prefix once. */
#define GN__TOK_HASH_SEED 14695981039346656037u
static inline uint64_t gn__tok_hash(uint64_t state, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) state = (state ^ (unsigned char)s[i]) * 1099511628211u;
    return state;
}

/* From the JSON object {"token": id, …}. */
gn_status gn__tok_vocab_parse(const gn__tok_source *source, const json_t *object, gn__tok_vocab *out);
/* From the JSON list [["token", score], …]: the place in the list is the id; of equal tokens the last is
 * found. */
gn_status gn__tok_vocab_parse_list(const gn__tok_source *source, const json_t *list, gn__tok_vocab *out);
void gn__tok_vocab_free(gn__tok_vocab *v);
/* The id of the string prefix + s, whose hash is given; -1 where there is none. */
int32_t gn__tok_vocab_find(const gn__tok_vocab *v, uint64_t hash, const char *prefix, size_t prefix_length,
                           const char *s, size_t length);
int32_t gn__tok_vocab_id(const gn__tok_vocab *v, const char *s, size_t length);
static inline const gn__tok_entry *gn__tok_vocab_entry(const gn__tok_vocab *v, int32_t id)
{
    return id >= 0 && (size_t)id < v->size ? v->by_id[id] : NULL;
}

#endif
