/* The SQLite side: schema, statements, transactions. */
#include "store/store.h"

#include <time.h>

enum { VERSION = 1, PATIENCE = 60000 /* ms that one process waits for another */ };

static const char schema[] =
    "CREATE TABLE space (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE NOT NULL, name TEXT NOT NULL,"
    " detail TEXT NOT NULL, dim INTEGER NOT NULL, used INTEGER NOT NULL);"
    "CREATE TABLE segment (id INTEGER PRIMARY KEY AUTOINCREMENT, space INTEGER NOT NULL, bytes INTEGER NOT "
    "NULL,"
    " used INTEGER NOT NULL);"
    "CREATE TABLE entry (space INTEGER NOT NULL, hash BLOB NOT NULL, segment INTEGER NOT NULL,"
    " at INTEGER NOT NULL, PRIMARY KEY (space, hash)) WITHOUT ROWID;"
    "CREATE INDEX entry_segment ON entry (segment);"
    "CREATE TABLE setting (name TEXT PRIMARY KEY, value INTEGER NOT NULL);"
    "PRAGMA user_version = 1;";

/* ?1 … are bound by position; times are milliseconds since 1970. */
static const char *const text[GN__SQLS] = {
    [GN__SQL_SPACE] = "SELECT id FROM space WHERE key = ?1",
    [GN__SQL_SPACE_ADD] = "INSERT INTO space (key, name, detail, dim, used) VALUES (?1, ?2, ?3, ?4, ?5)",
    [GN__SQL_SPACE_USED] = "UPDATE space SET used = max(used, ?2) WHERE id = ?1",
    [GN__SQL_FIND] = "SELECT segment, at FROM entry WHERE space = ?1 AND hash = ?2",
    [GN__SQL_OPEN_SEGMENT] =
        "SELECT id, bytes FROM segment WHERE space = ?1 AND bytes < ?2 ORDER BY id DESC LIMIT 1",
    [GN__SQL_SEGMENT_ADD] = "INSERT INTO segment (space, bytes, used) VALUES (?1, 0, ?2)",
    [GN__SQL_SEGMENT_GROW] = "UPDATE segment SET bytes = ?2, used = max(used, ?3) WHERE id = ?1",
    [GN__SQL_SEGMENT_USED] = "UPDATE segment SET used = max(used, ?2) WHERE id = ?1",
    [GN__SQL_ENTRY_ADD] = "INSERT OR REPLACE INTO entry (space, hash, segment, at) VALUES (?1, ?2, ?3, ?4)",
    [GN__SQL_TOTAL] = "SELECT coalesce(sum(bytes), 0) FROM segment",
    [GN__SQL_OLDEST] = "SELECT id FROM segment ORDER BY used, id LIMIT 1",
    [GN__SQL_SEGMENT_THERE] = "SELECT 1 FROM segment WHERE id = ?1",
    [GN__SQL_ENTRIES_DROP] = "DELETE FROM entry WHERE segment = ?1",
    [GN__SQL_SEGMENT_DROP] = "DELETE FROM segment WHERE id = ?1",
    [GN__SQL_LIMIT] = "SELECT value FROM setting WHERE name = 'limit'",
    [GN__SQL_LIMIT_SET] = "INSERT OR REPLACE INTO setting (name, value) VALUES ('limit', ?1)",
    [GN__SQL_LIST] = "SELECT name, detail, key, dim, used,"
                     " (SELECT count(*) FROM entry WHERE entry.space = space.id),"
                     " (SELECT coalesce(sum(bytes), 0) FROM segment WHERE segment.space = space.id)"
                     " FROM space ORDER BY used DESC, id",
    [GN__SQL_SPACES_NAMED] = "SELECT id FROM space WHERE ?1 IS NULL OR name = ?1 OR (length(?1) >= 6 AND "
                             "substr(key, 1, length(?1)) = ?1)",
    [GN__SQL_SEGMENTS_OF] = "SELECT id, bytes FROM segment WHERE space = ?1",
    [GN__SQL_SPACE_DROP] = "DELETE FROM space WHERE id = ?1",
    [GN__SQL_ALL_ENTRIES] =
        "SELECT entry.space, entry.hash, entry.segment, entry.at, space.dim FROM entry"
        " LEFT JOIN space ON space.id = entry.space WHERE (entry.segment, entry.at) > (?1, ?2)"
        " ORDER BY entry.segment, entry.at LIMIT ?3",
    [GN__SQL_ENTRY_DROP] = "DELETE FROM entry WHERE space = ?1 AND hash = ?2 AND segment = ?3 AND at = ?4",
    [GN__SQL_BEGIN] = "BEGIN",
    [GN__SQL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [GN__SQL_COMMIT] = "COMMIT",
    [GN__SQL_ROLLBACK] = "ROLLBACK",
};

gn_status gn__index_error(const gn_cache *c, gn_error *err)
{
    int code = c->db != NULL ? sqlite3_errcode(c->db) : SQLITE_NOMEM;
    if (code == SQLITE_NOMEM) return gn__no_memory(err, 0);
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        return gn__fail(err, GN_IO, "the index of the cache %s is damaged (%s): remove that folder",
                        c->directory, sqlite3_errmsg(c->db));
    return gn__fail(err, GN_IO, "the cache %s cannot be used: %s", c->directory,
                    c->db != NULL ? sqlite3_errmsg(c->db) : "?");
}

static int exec(gn_cache *c, const char *sql)
{
    return sqlite3_exec(c->db, sql, NULL, NULL, NULL);
}

/* Going over to WAL does not wait for other processes by itself. */
static int use_wal(gn_cache *c)
{
    int code = SQLITE_BUSY;
    for (int i = 0; i < 200 && code == SQLITE_BUSY; i++) {
        code = exec(c, "PRAGMA journal_mode = WAL");
        if (code == SQLITE_BUSY) nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    return code;
}

static int version_of(gn_cache *c, int *version)
{
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v2(c->db, "PRAGMA user_version", -1, &s, NULL);
    if (code == SQLITE_OK && (code = sqlite3_step(s)) == SQLITE_ROW) {
        *version = sqlite3_column_int(s, 0);
        code = SQLITE_OK;
    }
    sqlite3_finalize(s);
    return code;
}

gn_status gn__index_open(gn_cache *c, gn_error *err)
{
    int version = 0;
    char *path = gn__path_join(c->directory, "index.sqlite");
    if (path == NULL) return gn__no_memory(err, strlen(c->directory));
    int code =
        sqlite3_open_v2(path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    free(path);
    if (code != SQLITE_OK) return gn__index_error(c, err);
    sqlite3_busy_timeout(c->db, PATIENCE);
    if (use_wal(c) != SQLITE_OK || exec(c, "PRAGMA synchronous = NORMAL") != SQLITE_OK ||
        exec(c, "BEGIN IMMEDIATE") != SQLITE_OK)
        return gn__index_error(c, err);
    code = version_of(c, &version);
    if (code == SQLITE_OK && version == 0) code = exec(c, schema);
    if (code != SQLITE_OK) {
        gn_status status = gn__index_error(c, err);
        exec(c, "ROLLBACK");
        return status;
    }
    if (exec(c, "COMMIT") != SQLITE_OK) return gn__index_error(c, err);
    if (version > VERSION)
        return gn__fail(err, GN_UNSUPPORTED, "the cache %s was made by a later version (%d)", c->directory,
                        version);
    return GN_OK;
}

void gn__index_close(gn_cache *c)
{
    for (int i = 0; i < GN__SQLS; i++) sqlite3_finalize(c->statement[i]);
    sqlite3_close(c->db);
    c->db = NULL;
}

sqlite3_stmt *gn__index_statement(gn_cache *c, gn__sql which)
{
    sqlite3_stmt **s = &c->statement[which];
    if (*s == NULL) {
        sqlite3_prepare_v3(c->db, text[which], -1, SQLITE_PREPARE_PERSISTENT, s, NULL);
    } else {
        sqlite3_reset(*s);
        sqlite3_clear_bindings(*s);
    }
    return *s;
}

gn_status gn__index_run(gn_cache *c, sqlite3_stmt *s, gn_error *err)
{
    int code = s != NULL ? sqlite3_step(s) : SQLITE_ERROR;
    gn_status status = code == SQLITE_DONE || code == SQLITE_ROW ? GN_OK : gn__index_error(c, err);
    if (s != NULL) sqlite3_reset(s);
    return status;
}

gn_status gn__index_begin(gn_cache *c, bool write, gn_error *err)
{
    return gn__index_run(c, gn__index_statement(c, write ? GN__SQL_BEGIN_WRITE : GN__SQL_BEGIN), err);
}

gn_status gn__index_end(gn_cache *c, gn_status status, gn_error *err)
{
    for (int i = 0; i < GN__SQLS; i++)
        if (c->statement[i] != NULL) sqlite3_reset(c->statement[i]);
    if (status == GN_OK) status = gn__index_run(c, gn__index_statement(c, GN__SQL_COMMIT), err);
    if (status != GN_OK && sqlite3_get_autocommit(c->db) == 0)
        gn__index_run(c, gn__index_statement(c, GN__SQL_ROLLBACK), NULL);
    return status;
}
