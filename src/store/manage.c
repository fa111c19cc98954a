/* The cache as a whole: limit, eviction, list, clear, verify. */
#include "store/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BATCH = 4096 };

/* One number; `otherwise` where there is no row. */
static gn_status number(gn_cache *c, gn__sql which, int64_t otherwise, int64_t *out, gn_error *err)
{
    sqlite3_stmt *s = gn__index_statement(c, which);
    int code = s != NULL ? sqlite3_step(s) : SQLITE_ERROR;
    if (code != SQLITE_ROW && code != SQLITE_DONE) return gn__index_error(c, err);
    *out = code == SQLITE_ROW ? sqlite3_column_int64(s, 0) : otherwise;
    sqlite3_reset(s);
    return GN_OK;
}

static gn_status run_with(gn_cache *c, gn__sql which, int64_t value, gn_error *err)
{
    sqlite3_stmt *s = gn__index_statement(c, which);
    if (s == NULL) return gn__index_error(c, err);
    sqlite3_bind_int64(s, 1, value);
    return gn__index_run(c, s, err);
}

static gn_status drop_segment(gn_cache *c, int64_t id, gn_error *err)
{
    GN__TRY(run_with(c, GN__SQL_ENTRIES_DROP, id, err));
    return run_with(c, GN__SQL_SEGMENT_DROP, id, err);
}

gn_status gn__cache_evict(gn_cache *c, bool *evicted, gn_error *err)
{
    int64_t limit;
    GN__TRY(number(c, GN__SQL_LIMIT, (int64_t)GN_CACHE_LIMIT_DEFAULT, &limit, err));
    for (;;) {
        int64_t total, oldest;
        GN__TRY(number(c, GN__SQL_TOTAL, 0, &total, err));
        if (total <= limit) return GN_OK;
        GN__TRY(number(c, GN__SQL_OLDEST, 0, &oldest, err));
        GN__TRY(drop_segment(c, oldest, err));
        *evicted = true;
    }
}

/* Under the writers' lock, so that no file is taken for forgotten that another process is about to announce.
 */
gn_status gn__cache_sweep(gn_cache *c, gn_error *err)
{
    GN__TRY(gn__index_begin(c, true, err));
    gn_status status = GN_OK;
    DIR *d = opendir(c->directory);
    for (struct dirent *e; d != NULL && status == GN_OK && (e = readdir(d)) != NULL;) {
        long long id;
        int end = 0;
        if (sscanf(e->d_name, "vectors-%lld.bin%n", &id, &end) != 1 || end == 0 || e->d_name[end] != '\0')
            continue;
        sqlite3_stmt *s = gn__index_statement(c, GN__SQL_SEGMENT_THERE);
        if (s != NULL) sqlite3_bind_int64(s, 1, id);
        int code = s != NULL ? sqlite3_step(s) : SQLITE_ERROR;
        if (code == SQLITE_DONE) unlinkat(dirfd(d), e->d_name, 0);
        if (code != SQLITE_DONE && code != SQLITE_ROW) status = gn__index_error(c, err);
    }
    if (d != NULL) closedir(d);
    return gn__index_end(c, status, err);
}

gn_status gn_cache_set_limit(gn_cache *c, uint64_t bytes, gn_error *err)
{
    bool evicted = false;
    if (bytes > INT64_MAX) bytes = INT64_MAX;
    GN__TRY(gn__index_begin(c, true, err));
    gn_status status = run_with(c, GN__SQL_LIMIT_SET, (int64_t)bytes, err);
    if (status == GN_OK) status = gn__cache_evict(c, &evicted, err);
    status = gn__index_end(c, status, err);
    return status == GN_OK ? gn__cache_sweep(c, err) : status;
}

/* ---- list ------------------------------------------------------------------------------------------- */

void gn_cache_list_free(gn_cache_list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->entry[i].name);
        free(l->entry[i].detail);
        free(l->entry[i].key);
    }
    free(l->entry);
    *l = (gn_cache_list){0};
}

static gn_status list_all(gn_cache *c, gn_cache_list *l, gn_error *err)
{
    int64_t limit;
    GN__TRY(number(c, GN__SQL_LIMIT, (int64_t)GN_CACHE_LIMIT_DEFAULT, &limit, err));
    l->limit = (uint64_t)limit;
    sqlite3_stmt *s = gn__index_statement(c, GN__SQL_LIST);
    int code = SQLITE_ERROR;
    while (s != NULL && (code = sqlite3_step(s)) == SQLITE_ROW) {
        gn_cache_entry *more = gn__realloc(l->entry, l->count + 1, sizeof *more);
        if (more == NULL) return gn__no_memory(err, (l->count + 1) * sizeof *more);
        l->entry = more;
        gn_cache_entry *e = &l->entry[l->count++];
        *e = (gn_cache_entry){.name = gn__strdup((const char *)sqlite3_column_text(s, 0)),
                              .detail = gn__strdup((const char *)sqlite3_column_text(s, 1)),
                              .key = gn__strdup((const char *)sqlite3_column_text(s, 2)),
                              .dim = (uint64_t)sqlite3_column_int64(s, 3),
                              .used = sqlite3_column_int64(s, 4) / 1000,
                              .vectors = (uint64_t)sqlite3_column_int64(s, 5),
                              .bytes = (uint64_t)sqlite3_column_int64(s, 6)};
        l->bytes += e->bytes;
        if (e->name == NULL || e->detail == NULL || e->key == NULL) return gn__no_memory(err, 64);
    }
    return code == SQLITE_DONE ? GN_OK : gn__index_error(c, err);
}

gn_status gn_cache_list_make(gn_cache *c, gn_cache_list *out, gn_error *err)
{
    gn_cache_list l = {0};
    GN__TRY(gn__index_begin(c, false, err));
    gn_status status = gn__index_end(c, list_all(c, &l, err), err);
    if (status == GN_OK)
        *out = l;
    else
        gn_cache_list_free(&l);
    return status;
}

/* ---- clear ------------------------------------------------------------------------------------------ */

/* Removes the first space that the name means; *any false: there is none. */
static gn_status clear_one(gn_cache *c, const char *name, bool *any, uint64_t *removed, gn_error *err)
{
    sqlite3_stmt *s = gn__index_statement(c, GN__SQL_SPACES_NAMED);
    if (s == NULL) return gn__index_error(c, err);
    if (name != NULL) sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
    int code = sqlite3_step(s);
    *any = code == SQLITE_ROW;
    if (code == SQLITE_DONE) return GN_OK;
    if (code != SQLITE_ROW) return gn__index_error(c, err);
    int64_t space = sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    for (;;) {
        s = gn__index_statement(c, GN__SQL_SEGMENTS_OF);
        if (s == NULL) return gn__index_error(c, err);
        sqlite3_bind_int64(s, 1, space);
        code = sqlite3_step(s);
        if (code == SQLITE_DONE) break;
        if (code != SQLITE_ROW) return gn__index_error(c, err);
        int64_t id = sqlite3_column_int64(s, 0);
        *removed += (uint64_t)sqlite3_column_int64(s, 1);
        sqlite3_reset(s);
        GN__TRY(drop_segment(c, id, err));
    }
    return run_with(c, GN__SQL_SPACE_DROP, space, err);
}

gn_status gn_cache_clear(gn_cache *c, const char *name, uint64_t *removed, gn_error *err)
{
    bool any = true, ever = false;
    uint64_t bytes = 0;
    gn_status status;
    GN__TRY(gn__index_begin(c, true, err));
    do {
        status = clear_one(c, name, &any, &bytes, err);
        ever = ever || any;
    } while (status == GN_OK && any);
    status = gn__index_end(c, status, err);
    if (status == GN_OK && !ever && name != NULL)
        return gn__fail(err, GN_INVALID_ARGUMENT, "the cache %s has nothing of a model \"%s\"", c->directory,
                        name);
    if (status == GN_OK) status = gn__cache_sweep(c, err);
    if (status == GN_OK) *removed = bytes;
    return status;
}

/* ---- verify ----------------------------------------------------------------------------------------- */

typedef struct audit {
    int64_t segment, at; /* of the last record looked at */
    int64_t open;        /* the segment behind fd; 0: none */
    int fd;
    uint64_t good, damaged;
    unsigned char *record;
    size_t room;
} audit;

static bool record_is_good(const gn_cache *c, audit *a, size_t dim)
{
    size_t bytes = gn__record_bytes(dim);
    if (a->open != a->segment) {
        if (a->fd >= 0) close(a->fd);
        char *path = gn__segment_path(c, a->segment);
        a->fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        a->open = a->segment;
        free(path);
    }
    if (bytes > a->room) {
        void *p = realloc(a->record, bytes);
        if (p == NULL) return true; /* nothing was learnt about it */
        a->record = p;
        a->room = bytes;
    }
    return a->fd >= 0 && dim > 0 && gn__read_at(a->fd, a->record, bytes, a->at) &&
           gn__record_whole(a->record, dim);
}

/* The next records of the index; *more false at its end. */
static gn_status audit_batch(gn_cache *c, audit *a, bool *more, gn_error *err)
{
    sqlite3_stmt *s = gn__index_statement(c, GN__SQL_ALL_ENTRIES);
    int code = SQLITE_ERROR;
    size_t seen = 0;
    if (s == NULL) return gn__index_error(c, err);
    sqlite3_bind_int64(s, 1, a->segment);
    sqlite3_bind_int64(s, 2, a->at);
    sqlite3_bind_int64(s, 3, BATCH);
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        seen++;
        a->segment = sqlite3_column_int64(s, 2);
        a->at = sqlite3_column_int64(s, 3);
        if (record_is_good(c, a, (size_t)sqlite3_column_int64(s, 4))) {
            a->good++;
            continue;
        }
        a->damaged++;
        sqlite3_stmt *drop = gn__index_statement(c, GN__SQL_ENTRY_DROP);
        if (drop == NULL) return gn__index_error(c, err);
        sqlite3_bind_int64(drop, 1, sqlite3_column_int64(s, 0));
        sqlite3_bind_blob(drop, 2, sqlite3_column_blob(s, 1), sqlite3_column_bytes(s, 1), SQLITE_TRANSIENT);
        sqlite3_bind_int64(drop, 3, a->segment);
        sqlite3_bind_int64(drop, 4, a->at);
        GN__TRY(gn__index_run(c, drop, err));
    }
    *more = seen == BATCH;
    return code == SQLITE_DONE ? GN_OK : gn__index_error(c, err);
}

gn_status gn_cache_verify(gn_cache *c, uint64_t *good, uint64_t *damaged, gn_error *err)
{
    audit a = {.segment = -1, .fd = -1};
    gn_status status = GN_OK;
    for (bool more = true; status == GN_OK && more;) {
        status = gn__index_begin(c, true, err);
        if (status == GN_OK) status = gn__index_end(c, audit_batch(c, &a, &more, err), err);
    }
    if (a.fd >= 0) close(a.fd);
    free(a.record);
    if (status == GN_OK) status = gn__cache_sweep(c, err);
    if (status != GN_OK) return status;
    *good = a.good;
    *damaged = a.damaged;
    return GN_OK;
}
