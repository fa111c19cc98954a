#include "pipeline/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_MOST = 1 << 20, PIECE = 1 << 20 };

char *gn__with_suffix(const char *path, const char *suffix)
{
    gn__buf b = {0};
    gn__buf_puts(&b, path);
    gn__buf_puts(&b, suffix);
    if (b.failed) gn__buf_free(&b);
    return b.data;
}

static gn_status cannot(const char *verb_write, const char *path, gn_error *err)
{
    return gn__fail(err, GN_IO, *verb_write == 'w' ? "cannot write %s: %s" : "cannot read %s: %s", path,
                    strerror(errno));
}

static gn_status write_at(int fd, const char *path, off_t at, const void *data, size_t n, gn_error *err)
{
    const char *p = data;
    while (n > 0) {
        ssize_t done = pwrite(fd, p, n, at);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return cannot("write", path, err);
        p += done;
        at += done;
        n -= (size_t)done;
    }
    return GN_OK;
}

static gn_status sync_file(int fd, const char *path, gn_error *err)
{
    return fdatasync(fd) == 0 ? GN_OK : cannot("write", path, err);
}

/* The lock is on the file itself, so it has to be the one that the name still means. */
static gn_status open_locked(gn__journal *j, gn_error *err)
{
    for (;;) {
        struct stat held, named;
        j->state_fd = open(j->state, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (j->state_fd < 0) return cannot("write", j->state, err);
        if (flock(j->state_fd, LOCK_EX | LOCK_NB) != 0)
            return errno == EWOULDBLOCK
                       ? gn__fail(err, GN_IO, "another process is writing %s at this moment", j->out)
                       : cannot("write", j->state, err);
        if (fstat(j->state_fd, &held) == 0 && stat(j->state, &named) == 0 && held.st_ino == named.st_ino &&
            held.st_dev == named.st_dev)
            return GN_OK;
        close(j->state_fd);
        j->state_fd = -1;
    }
}

/* One value as it is shown in a message. */
static char *shown(const json_t *v)
{
    return v == NULL ? gn__strdup("-") : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
}

/* The first option that differs is named. */
static gn_status same_options(const gn__journal *j, json_t *then, json_t *now, gn_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(now, key, value)
    {
        json_t *old = json_object_get(then, key);
        if (old != NULL && json_equal(old, value)) continue;
        char *before = shown(old), *after = shown(value);
        gn_status status = gn__fail(
            err, GN_INVALID_ARGUMENT,
            "the unfinished %s was begun with %s = %s, now it is %s; give the same again, or ask for "
            "a restart to begin anew",
            j->partial, key, before != NULL ? before : "?", after != NULL ? after : "?");
        free(before);
        free(after);
        return status;
    }
    return GN_OK;
}

static bool take_hash(const json_t *line, const char *key, char out[65])
{
    const json_t *v = json_object_get(line, key);
    if (!json_is_string(v) || json_string_length(v) != 64) return false;
    memcpy(out, json_string_value(v), 65);
    return true;
}

static bool take_note(const json_t *line, gn__block_note *out)
{
    const json_t *rows = json_object_get(line, "rows"), *cut = json_object_get(line, "cut");
    if (!json_is_integer(rows) || !json_is_integer(cut) || json_integer_value(rows) <= 0 ||
        json_integer_value(cut) < 0)
        return false;
    out->rows = (uint64_t)json_integer_value(rows);
    out->cut = (uint64_t)json_integer_value(cut);
    return take_hash(line, "texts", out->texts) && take_hash(line, "data", out->data);
}

static gn_status push(gn__journal *j, const gn__block_note *note, off_t end, gn_error *err)
{
    if (j->blocks == j->capacity) {
        size_t n = j->capacity ? j->capacity * 2 : 256;
        void *block = gn__realloc(j->block, n, sizeof *j->block);
        if (block != NULL) j->block = block;
        void *ends = gn__realloc(j->end, n, sizeof *j->end);
        if (ends != NULL) j->end = ends;
        if (block == NULL || ends == NULL) return gn__no_memory(err, n * sizeof *j->block);
        j->capacity = n;
    }
    j->block[j->blocks] = *note;
    j->end[j->blocks++] = end;
    return GN_OK;
}

/* Reads the lines that are whole. *begun false: there is nothing to go on with. */
static gn_status load(gn__journal *j, json_t *options, bool *begun, gn_error *err)
{
    char *text;
    size_t length;
    gn_status status = GN_OK;
    *begun = false;
    GN__TRY(gn__read_file(j->state, SIZE_MAX / 4, &text, &length, err));
    const char *at = text, *end = text + length, *newline;
    for (bool first = true; at < end && (newline = memchr(at, '\n', (size_t)(end - at))) != NULL;
         at = newline + 1, first = false) {
        json_t *line = json_loadb(at, (size_t)(newline - at), 0, NULL);
        gn__block_note note;
        if (line == NULL) break;
        if (first) {
            *begun = true;
            status = same_options(j, line, options, err);
        } else if (take_note(line, &note)) {
            status = push(j, &note, newline + 1 - text, err);
        } else {
            json_decref(line);
            break;
        }
        json_decref(line);
        if (status != GN_OK) break;
    }
    free(text);
    return status;
}

static gn_status begin(gn__journal *j, const json_t *options, gn_error *err)
{
    j->blocks = 0;
    if (ftruncate(j->state_fd, 0) != 0) return cannot("write", j->state, err);
    if (ftruncate(j->data_fd, 0) != 0) return cannot("write", j->partial, err);
    gn__buf line = {0};
    char *text = json_dumps(options, JSON_COMPACT | JSON_SORT_KEYS);
    if (text != NULL) gn__buf_puts(&line, text);
    gn__buf_putc(&line, '\n');
    free(text);
    gn_status status = text == NULL || line.failed ? gn__no_memory(err, LINE_MOST) : GN_OK;
    if (status == GN_OK) status = write_at(j->state_fd, j->state, 0, line.data, line.length, err);
    if (status == GN_OK) status = sync_file(j->state_fd, j->state, err);
    gn__buf_free(&line);
    return status;
}

static gn_status open_all(gn__journal *j, const json_t *options, bool restart, gn_error *err)
{
    bool begun = false;
    GN__TRY(open_locked(j, err));
    bool there = gn__file_exists(j->partial);
    if (!restart && there) GN__TRY(load(j, (json_t *)(uintptr_t)options, &begun, err));
    j->data_fd = open(j->partial, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (j->data_fd < 0) return cannot("write", j->partial, err);
    return begun ? GN_OK : begin(j, options, err);
}

gn_status gn__journal_open(const char *out, const json_t *options, bool restart, gn__journal *j,
                           gn_error *err)
{
    *j = (gn__journal){.state_fd = -1,
                       .data_fd = -1,
                       .out = gn__strdup(out),
                       .partial = gn__with_suffix(out, ".partial"),
                       .state = gn__with_suffix(out, ".state")};
    gn_status status = j->out != NULL && j->partial != NULL && j->state != NULL
                           ? open_all(j, options, restart, err)
                           : gn__no_memory(err, strlen(out));
    if (status != GN_OK) gn__journal_close(j);
    return status;
}

/* Reads n bytes; *whole false where the file ends before. */
static gn_status read_piece(const gn__journal *j, off_t at, unsigned char *to, size_t n, bool *whole,
                            gn_error *err)
{
    *whole = true;
    while (n > 0) {
        ssize_t got = pread(j->data_fd, to, n, at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return cannot("read", j->partial, err);
        if (got == 0) {
            *whole = false;
            return GN_OK;
        }
        to += got;
        at += got;
        n -= (size_t)got;
    }
    return GN_OK;
}

gn_status gn__journal_verify(gn_context *ctx, gn__journal *j, const gn__layout *l, gn__sha256 *sha,
                             gn_error *err)
{
    off_t at = (off_t)gn__layout_header(l);
    size_t row = gn__layout_row(l), good = 0, most = 0, room = 0;
    unsigned char *bytes = NULL;
    gn_status status = GN_OK;
    struct stat file;
    if (fstat(j->data_fd, &file) != 0) return cannot("read", j->partial, err);
    for (size_t b = 0; b < j->blocks; b++) {
        if (j->block[b].rows > (uint64_t)file.st_size / row) { /* a damaged line, or data that was cut off */
            j->blocks = b;
            break;
        }
        if (j->block[b].rows > most) most = (size_t)j->block[b].rows;
    }
    if (!gn__mul_size(most, row, &room) || (bytes = malloc(room + 1)) == NULL)
        return gn__no_memory(err, room);
    for (; good < j->blocks; good++) {
        size_t n = (size_t)j->block[good].rows * row;
        bool whole;
        char hex[65];
        gn__sha256 one;
        GN__TRY_GOTO(gn__check_cancel(ctx, err), done);
        GN__TRY_GOTO(read_piece(j, at, bytes, n, &whole, err), done);
        if (!whole) break;
        GN__TRY_GOTO(gn__sha256_begin(&one, err), done);
        gn__sha256_update(&one, bytes, n);
        gn__sha256_end(&one, hex);
        if (strcmp(hex, j->block[good].data) != 0) break;
        gn__sha256_update(sha, bytes, n);
        at += (off_t)n;
    }
    /* what follows the last good line goes: notes of damaged blocks, or half a line */
    off_t keep = good > 0 ? j->end[good - 1] : 0;
    char c = ' ';
    while (good == 0 && c != '\n' && pread(j->state_fd, &c, 1, keep) == 1)
        keep++; /* the line of options stays */
    if (ftruncate(j->state_fd, keep) != 0) status = cannot("write", j->state, err);
    j->blocks = good;
done:
    free(bytes);
    return status;
}

gn_status gn__journal_add(gn__journal *j, off_t at, const void *data, size_t bytes,
                          const gn__block_note *note, gn_error *err)
{
    char line[256];
    GN__TRY(write_at(j->data_fd, j->partial, at, data, bytes, err));
    GN__TRY(sync_file(j->data_fd, j->partial, err));
    int n = snprintf(line, sizeof line, "{\"rows\":%llu,\"cut\":%llu,\"texts\":\"%s\",\"data\":\"%s\"}\n",
                     (unsigned long long)note->rows, (unsigned long long)note->cut, note->texts, note->data);
    off_t end = lseek(j->state_fd, 0, SEEK_END);
    if (end < 0) return cannot("write", j->state, err);
    GN__TRY(write_at(j->state_fd, j->state, end, line, (size_t)n, err));
    GN__TRY(sync_file(j->state_fd, j->state, err));
    return push(j, note, end + n, err);
}

gn_status gn__journal_finish(gn__journal *j, const void *header, size_t bytes, gn_error *err)
{
    GN__TRY(write_at(j->data_fd, j->partial, 0, header, bytes, err));
    if (fsync(j->data_fd) != 0 || rename(j->partial, j->out) != 0) return cannot("write", j->out, err);
    if (unlink(j->state) != 0) return cannot("write", j->state, err);
    return GN_OK;
}

void gn__journal_close(gn__journal *j)
{
    if (j->data_fd >= 0) close(j->data_fd);
    if (j->state_fd >= 0) close(j->state_fd);
    free(j->out);
    free(j->partial);
    free(j->state);
    free(j->block);
    free(j->end);
    *j = (gn__journal){.state_fd = -1, .data_fd = -1};
}
