/* A cache of embeddings on disk, shared by processes: an SQLite index and the files of vectors beside it.
 *
 * Floor 2. A vector is found by the SHA-256 of its text and by everything that decides its bits (its space).
 * Every record carries a checksum; a damaged or missing one counts as not there. Killing a process at any
 * moment harms nothing but what it was about to add. Layout: docs/embedding.md. A handle serves one thread at
 * a time. */
#ifndef GENCHI_CACHE_H
#define GENCHI_CACHE_H

#include "genchi/error.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gn_cache gn_cache;

#define GN_CACHE_LIMIT_DEFAULT ((uint64_t)4 << 30)

/* Opens, or makes, the cache in a directory of its own. Errors: GN_IO (cannot be made or opened; damaged
 * index); GN_UNSUPPORTED (made by a later version). Free with gn_cache_close. */
GN_API gn_status gn_cache_open(const char *directory, gn_cache **out, gn_error *err);
GN_API void gn_cache_close(gn_cache *c);

/* What one model, with one way of using it, has in the cache. */
typedef struct gn_cache_entry {
    char *name;   /* of the model */
    char *detail; /* "mean, float32, 256 tokens, unit length" */
    char *key;    /* SHA-256 of the space, hex */
    uint64_t vectors, bytes, dim;
    int64_t used; /* seconds since 1970, UTC */
} gn_cache_entry;
typedef struct gn_cache_list {
    gn_cache_entry *entry; /* [count] last used first */
    size_t count;
    uint64_t bytes, limit; /* of the files of vectors */
} gn_cache_list;
GN_API gn_status gn_cache_list_make(gn_cache *c, gn_cache_list *out, gn_error *err);
GN_API void gn_cache_list_free(gn_cache_list *l);

/* Removes everything, or (name not NULL) what belongs to models of this name or to keys that begin with it.
 * *removed: bytes. Errors: GN_INVALID_ARGUMENT (no such model). */
GN_API gn_status gn_cache_clear(gn_cache *c, const char *name, uint64_t *removed, gn_error *err);
/* Reads every record; damaged ones are removed. */
GN_API gn_status gn_cache_verify(gn_cache *c, uint64_t *good, uint64_t *damaged, gn_error *err);
/* Bytes of vectors to be kept at most, kept in the cache; what was not used longest goes first, by files of
 * up to 64 MiB. */
GN_API gn_status gn_cache_set_limit(gn_cache *c, uint64_t bytes, gn_error *err);

/* What happened through this handle. */
typedef struct gn_cache_session {
    uint64_t found, added;
    gn_status failed; /* the first failure that made gn_model_embed_cached do without, else GN_OK */
    char message[1024];
} gn_cache_session;
GN_API void gn_cache_get_session(const gn_cache *c, gn_cache_session *out);

#ifdef __cplusplus
}
#endif
#endif
