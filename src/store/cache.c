/* Finding and adding vectors. A vector's bytes are on the disk before its entry is committed, and writers
 * take turns (BEGIN IMMEDIATE), so whatever a killed process leaves lies behind the bytes that the index
 * speaks of and is written over. */
#include "store/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SHORT_HASH = 16 /* of the text, in the index; the whole one stands in the record */ };

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

gn_status gn_cache_open(const char *directory, gn_cache **out, gn_error *err)
{
    gn_cache *c = gn__calloc(1, sizeof *c);
    if (c == NULL) return gn__no_memory(err, sizeof *c);
    c->directory = gn__strdup(directory);
    gn_status status = c->directory != NULL ? GN_OK : gn__no_memory(err, strlen(directory));
    if (status == GN_OK && !gn__is_directory(directory)) {
        status = gn__make_directory(directory, err);
        if (status == GN_OK) chmod(directory, 0700); /* vectors tell about texts */
    }
    if (status == GN_OK) status = gn__index_open(c, err);
    if (status != GN_OK) {
        gn_cache_close(c);
        return status;
    }
    *out = c;
    return GN_OK;
}

void gn_cache_close(gn_cache *c)
{
    if (c == NULL) return;
    gn__index_close(c);
    free(c->directory);
    free(c);
}

void gn_cache_get_session(const gn_cache *c, gn_cache_session *out)
{
    *out = c->session;
}

void gn__cache_failed(gn_cache *c, const gn_error *err)
{
    if (c->session.failed != GN_OK) return;
    c->session.failed = err->code;
    memcpy(c->session.message, err->message, sizeof c->session.message);
}

/* ---- files of vectors ------------------------------------------------------------------------------ */

char *gn__segment_path(const gn_cache *c, int64_t id)
{
    char name[64];
    snprintf(name, sizeof name, "vectors-%lld.bin", (long long)id);
    return gn__path_join(c->directory, name);
}

bool gn__read_at(int fd, unsigned char *to, size_t n, int64_t at)
{
    while (n > 0) {
        ssize_t got = pread(fd, to, n, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        to += got;
        at += got;
        n -= (size_t)got;
    }
    return true;
}

static bool write_at(int fd, const unsigned char *from, size_t n, int64_t at)
{
    while (n > 0) {
        ssize_t done = pwrite(fd, from, n, (off_t)at);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return false;
        from += done;
        at += done;
        n -= (size_t)done;
    }
    return true;
}

/* Segments open for reading in one call. */
typedef struct shelf {
    struct open_segment {
        int64_t id;
        int fd; /* -1: not there */
    } * open;
    size_t count, last;
} segment_shelf;

static gn_status take_segment(const gn_cache *c, segment_shelf *s, int64_t id, int *fd, gn_error *err)
{
    if (s->count > 0 && s->open[s->last].id == id) {
        *fd = s->open[s->last].fd;
        return GN_OK;
    }
    for (s->last = 0; s->last < s->count && s->open[s->last].id != id; s->last++) {
    }
    if (s->last == s->count) {
        void *p = gn__realloc(s->open, s->count + 1, sizeof *s->open);
        char *path = gn__segment_path(c, id);
        if (p != NULL) s->open = p;
        if (p == NULL || path == NULL) {
            s->last = 0;
            free(path);
            return gn__no_memory(err, (s->count + 1) * sizeof *s->open);
        }
        s->open[s->count++] = (struct open_segment){id, open(path, O_RDONLY | O_CLOEXEC)};
        free(path);
    }
    *fd = s->open[s->last].fd;
    return GN_OK;
}

static void close_shelf(segment_shelf *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->open[i].fd >= 0) close(s->open[i].fd);
    free(s->open);
}

/* ---- finding --------------------------------------------------------------------------------------- */

/* The space's number; 0: there is none. */
static gn_status find_space(gn_cache *c, const gn__cache_space *space, int64_t *id, gn_error *err)
{
    sqlite3_stmt *s = gn__index_statement(c, GN__SQL_SPACE);
    if (s == NULL) return gn__index_error(c, err);
    sqlite3_bind_text(s, 1, space->key, -1, SQLITE_STATIC);
    int code = sqlite3_step(s);
    *id = code == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
    if (code != SQLITE_ROW && code != SQLITE_DONE) return gn__index_error(c, err);
    sqlite3_reset(s);
    return GN_OK;
}

static gn_status find_all(gn_cache *c, const gn__cache_space *space, const unsigned char (*hash)[GN__HASH],
                          size_t n, const size_t *row, float *out, gn__cache_note *note, unsigned char *found,
                          segment_shelf *shelf, int64_t *id, gn_error *err)
{
    size_t bytes = gn__record_bytes(space->dim);
    GN__TRY(find_space(c, space, id, err));
    if (*id == 0) return GN_OK;
    unsigned char *record = malloc(bytes);
    if (record == NULL) return gn__no_memory(err, bytes);
    gn_status status = GN_OK;
    for (size_t i = 0; i < n && status == GN_OK; i++) {
        int fd = -1;
        sqlite3_stmt *s = gn__index_statement(c, GN__SQL_FIND);
        if (s == NULL) {
            status = gn__index_error(c, err);
            break;
        }
        sqlite3_bind_int64(s, 1, *id);
        sqlite3_bind_blob(s, 2, hash[i], SHORT_HASH, SQLITE_STATIC);
        int code = sqlite3_step(s);
        if (code == SQLITE_DONE) continue;
        if (code != SQLITE_ROW) {
            status = gn__index_error(c, err);
            break;
        }
        int64_t at = sqlite3_column_int64(s, 1);
        status = take_segment(c, shelf, sqlite3_column_int64(s, 0), &fd, err);
        if (status != GN_OK || fd < 0 || at < 0 || !gn__read_at(fd, record, bytes, at)) continue;
        found[i] =
            gn__record_unpack(record, hash[i], space->dim, &note[i], out + row[i] * space->dim) ? 1 : 0;
        c->session.found += found[i];
    }
    free(record);
    return status;
}

/* That these were used counts for what is evicted; it is no loss where it cannot be noted. */
static void touch(gn_cache *c, int64_t space, const segment_shelf *shelf)
{
    int64_t now = now_ms();
    if (gn__index_begin(c, true, NULL) != GN_OK) return;
    gn_status status = GN_OK;
    for (size_t i = 0; i <= shelf->count && status == GN_OK; i++) {
        bool last = i == shelf->count;
        sqlite3_stmt *s = gn__index_statement(c, last ? GN__SQL_SPACE_USED : GN__SQL_SEGMENT_USED);
        if (s == NULL) break;
        sqlite3_bind_int64(s, 1, last ? space : shelf->open[i].id);
        sqlite3_bind_int64(s, 2, now);
        status = gn__index_run(c, s, NULL);
    }
    gn__index_end(c, status, NULL);
}

gn_status gn__cache_find(gn_cache *c, const gn__cache_space *space, const unsigned char (*hash)[GN__HASH],
                         size_t n, const size_t *row, float *out, gn__cache_note *note, unsigned char *found,
                         gn_error *err)
{
    segment_shelf shelf = {0};
    int64_t id = 0;
    memset(found, 0, n);
    GN__TRY(gn__index_begin(c, false, err));
    gn_status status = find_all(c, space, hash, n, row, out, note, found, &shelf, &id, err);
    status = gn__index_end(c, status, err);
    if (status == GN_OK && shelf.count > 0) touch(c, id, &shelf);
    close_shelf(&shelf);
    return status;
}

/* ---- adding ---------------------------------------------------------------------------------------- */

static gn_status make_space(gn_cache *c, const gn__cache_space *space, int64_t *id, gn_error *err)
{
    GN__TRY(find_space(c, space, id, err));
    if (*id != 0) return GN_OK;
    sqlite3_stmt *s = gn__index_statement(c, GN__SQL_SPACE_ADD);
    if (s == NULL) return gn__index_error(c, err);
    sqlite3_bind_text(s, 1, space->key, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, space->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 3, space->detail, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 4, (sqlite3_int64)space->dim);
    sqlite3_bind_int64(s, 5, now_ms());
    GN__TRY(gn__index_run(c, s, err));
    *id = sqlite3_last_insert_rowid(c->db);
    return GN_OK;
}

/* The space's file that is not full yet, or a new one. */
static gn_status open_segment(gn_cache *c, int64_t space, int64_t *id, int64_t *bytes, gn_error *err)
{
    sqlite3_stmt *s = gn__index_statement(c, GN__SQL_OPEN_SEGMENT);
    if (s == NULL) return gn__index_error(c, err);
    sqlite3_bind_int64(s, 1, space);
    sqlite3_bind_int64(s, 2, (sqlite3_int64)GN__SEGMENT);
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        *id = sqlite3_column_int64(s, 0);
        *bytes = sqlite3_column_int64(s, 1);
        sqlite3_reset(s);
        return GN_OK;
    }
    if (code != SQLITE_DONE) return gn__index_error(c, err);
    s = gn__index_statement(c, GN__SQL_SEGMENT_ADD);
    if (s == NULL) return gn__index_error(c, err);
    sqlite3_bind_int64(s, 1, space);
    sqlite3_bind_int64(s, 2, now_ms());
    GN__TRY(gn__index_run(c, s, err));
    *id = sqlite3_last_insert_rowid(c->db);
    *bytes = 0;
    return GN_OK;
}

static gn_status add_entry(gn_cache *c, int64_t space, const unsigned char *hash, int64_t segment, int64_t at,
                           gn_error *err)
{
    sqlite3_stmt *s = gn__index_statement(c, GN__SQL_ENTRY_ADD);
    if (s == NULL) return gn__index_error(c, err);
    sqlite3_bind_int64(s, 1, space);
    sqlite3_bind_blob(s, 2, hash, SHORT_HASH, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, segment);
    sqlite3_bind_int64(s, 4, at);
    return gn__index_run(c, s, err);
}

/* Writes as many of the n records as the segment takes; *taken says how many. */
static gn_status fill_segment(gn_cache *c, int64_t space, const unsigned char (*hash)[GN__HASH], size_t n,
                              const float *x, const gn__cache_note *note, size_t dim, size_t *taken,
                              gn_error *err)
{
    int64_t id = 0, bytes = 0;
    size_t one = gn__record_bytes(dim);
    GN__TRY(open_segment(c, space, &id, &bytes, err));
    size_t room = (size_t)(GN__SEGMENT - (uint64_t)bytes) / one + 1;
    size_t k = n < room ? n : room;
    unsigned char *records = gn__calloc(k, one);
    char *path = gn__segment_path(c, id);
    int fd = -1;
    gn_status status = GN_OK;
    if (records == NULL || path == NULL) {
        status = gn__no_memory(err, k * one);
        goto done;
    }
    for (size_t i = 0; i < k; i++) gn__record_pack(hash[i], &note[i], x + i * dim, dim, records + i * one);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || !write_at(fd, records, k * one, bytes) || fdatasync(fd) != 0) {
        status = gn__fail(err, GN_IO, "cannot write %s: %s", path, strerror(errno));
        goto done;
    }
    for (size_t i = 0; i < k && status == GN_OK; i++)
        status = add_entry(c, space, hash[i], id, bytes + (int64_t)(i * one), err);
    if (status == GN_OK) {
        sqlite3_stmt *s = gn__index_statement(c, GN__SQL_SEGMENT_GROW);
        if (s == NULL) {
            status = gn__index_error(c, err);
            goto done;
        }
        sqlite3_bind_int64(s, 1, id);
        sqlite3_bind_int64(s, 2, bytes + (int64_t)(k * one));
        sqlite3_bind_int64(s, 3, now_ms());
        status = gn__index_run(c, s, err);
    }
    *taken = k;
done:
    if (fd >= 0) close(fd);
    free(path);
    free(records);
    return status;
}

gn_status gn__cache_add(gn_cache *c, const gn__cache_space *space, const unsigned char (*hash)[GN__HASH],
                        size_t n, const float *x, const gn__cache_note *note, gn_error *err)
{
    int64_t id;
    bool evicted = false;
    if (space->dim > UINT32_MAX / 8) return GN_OK;
    GN__TRY(gn__index_begin(c, true, err));
    gn_status status = make_space(c, space, &id, err);
    for (size_t i = 0, taken = 0; i < n && status == GN_OK; i += taken)
        status = fill_segment(c, id, hash + i, n - i, x + i * space->dim, note + i, space->dim, &taken, err);
    if (status == GN_OK) status = gn__cache_evict(c, &evicted, err);
    status = gn__index_end(c, status, err);
    if (status != GN_OK) return status;
    c->session.added += n;
    return evicted ? gn__cache_sweep(c, err) : GN_OK;
}
