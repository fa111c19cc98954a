/* What the floors above use of the cache, and what its files share. The layout on disk: docs/embedding.md. */
#ifndef GENCHI_STORE_STORE_H
#define GENCHI_STORE_STORE_H

#include "core/core.h"
#include "genchi/cache.h"

#include <sqlite3.h>

enum { GN__HASH = 32 };
#define GN__SEGMENT ((uint64_t)64 << 20) /* a file of vectors takes no more once it has this many bytes */

typedef struct gn__cache_space {
    const char *key;    /* 64 hex digits: everything that decides a vector's bits */
    const char *name;   /* of the model, to be shown */
    const char *detail; /* how it is used, to be shown */
    size_t dim;
} gn__cache_space;

/* What is kept of a text. */
typedef struct gn__cache_note {
    uint32_t tokens;
    bool cut;
} gn__cache_note;

/* Looks up n texts: row[i] of out (rows of space->dim floats) and note[i] are written where found[i]
 * becomes 1. Damaged or missing records are not found. */
gn_status gn__cache_find(gn_cache *c, const gn__cache_space *space, const unsigned char (*hash)[GN__HASH],
                         size_t n, const size_t *row, float *out, gn__cache_note *note, unsigned char *found,
                         gn_error *err);
/* Adds n texts; x has row i for hash[i]. What goes beyond the limit is evicted. */
gn_status gn__cache_add(gn_cache *c, const gn__cache_space *space, const unsigned char (*hash)[GN__HASH],
                        size_t n, const float *x, const gn__cache_note *note, gn_error *err);
/* Remembers a failure that was passed over. */
void gn__cache_failed(gn_cache *c, const gn_error *err);

/* ---- record.c ----------------------------------------------------------------------------------- */

enum { GN__RECORD_HEAD = 48 };
size_t gn__record_bytes(size_t dim);
void gn__record_pack(const unsigned char hash[GN__HASH], const gn__cache_note *note, const float *x,
                     size_t dim, unsigned char *out);
/* False: another text's, or damaged. x may be NULL. */
bool gn__record_unpack(const unsigned char *bytes, const unsigned char hash[GN__HASH], size_t dim,
                       gn__cache_note *note, float *x);
/* The same for whatever text it is. */
bool gn__record_whole(const unsigned char *bytes, size_t dim);

/* ---- index.c ------------------------------------------------------------------------------------ */

typedef enum gn__sql {
    GN__SQL_SPACE,
    GN__SQL_SPACE_ADD,
    GN__SQL_SPACE_USED,
    GN__SQL_FIND,
    GN__SQL_OPEN_SEGMENT,
    GN__SQL_SEGMENT_ADD,
    GN__SQL_SEGMENT_GROW,
    GN__SQL_SEGMENT_USED,
    GN__SQL_ENTRY_ADD,
    GN__SQL_TOTAL,
    GN__SQL_OLDEST,
    GN__SQL_SEGMENT_THERE,
    GN__SQL_ENTRIES_DROP,
    GN__SQL_SEGMENT_DROP,
    GN__SQL_LIMIT,
    GN__SQL_LIMIT_SET,
    GN__SQL_LIST,
    GN__SQL_SPACES_NAMED,
    GN__SQL_SEGMENTS_OF,
    GN__SQL_SPACE_DROP,
    GN__SQL_ALL_ENTRIES,
    GN__SQL_ENTRY_DROP,
    GN__SQL_BEGIN,
    GN__SQL_BEGIN_WRITE,
    GN__SQL_COMMIT,
    GN__SQL_ROLLBACK,
    GN__SQLS
} gn__sql;

struct gn_cache {
    char *directory;
    sqlite3 *db;
    sqlite3_stmt *statement[GN__SQLS];
    gn_cache_session session;
};

gn_status gn__index_open(gn_cache *c, gn_error *err);
void gn__index_close(gn_cache *c);
/* GN_IO with SQLite's words. */
gn_status gn__index_error(const gn_cache *c, gn_error *err);
/* A prepared statement, reset. NULL: failed (gn__index_error tells why). */
sqlite3_stmt *gn__index_statement(gn_cache *c, gn__sql which);
/* Runs one that gives no rows. */
gn_status gn__index_run(gn_cache *c, sqlite3_stmt *s, gn_error *err);
gn_status gn__index_begin(gn_cache *c, bool write, gn_error *err);
/* Commits if status is GN_OK, else rolls back; returns the first failure. */
gn_status gn__index_end(gn_cache *c, gn_status status, gn_error *err);

#endif
