/* From a path to plain bytes: one pass of read(2) feeds the hash and, by the magic bytes, zlib or zstd. */
#include "data/data.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { CHUNK = 256 * 1024 };

typedef enum packing { PLAIN, GZIP, ZSTD } packing;

struct gn__source {
    gn_context *ctx;
    const char *name;
    int fd;
    bool standard, quiet;
    size_t total, read; /* bytes stored (0: unknown), bytes read so far */
    gn__sha256 hash;
    unsigned char *chunk; /* [CHUNK] */
    size_t held, at;      /* bytes of the file in chunk, those of them already used */
    packing packing;
    z_stream gzip;
    ZSTD_DCtx *zstd;
    bool inside, padding; /* gzip: within a member; in the zero bytes behind the last */
    bool full;            /* zstd: the last call filled its output, more may wait inside */
    size_t hint;          /* zstd: 0 at the end of a frame */
    size_t length;        /* bytes handed out */
    gn__read_limits limits;
    gn_error *err;
};

/* Reads up to `want` bytes to `to`; *got 0 at the end of the file. */
static gn_status take(gn__source *s, void *to, size_t want, size_t *got)
{
    ssize_t n;
    do {
        GN__TRY(gn__check_cancel(s->ctx, s->err));
        n = read(s->fd, to, want);
    } while (n < 0 && errno == EINTR);
    if (n < 0) return gn__fail(s->err, GN_IO, "cannot read %s: %s", s->name, strerror(errno));
    gn__sha256_update(&s->hash, to, (size_t)n);
    s->read += (size_t)n;
    /* the first half of the stage; the second is gn__dataset_parse */
    if (!s->quiet && s->read <= s->total) gn__progress(s->ctx, GN_STAGE_READ, s->read, 2 * s->total);
    *got = (size_t)n;
    return GN_OK;
}

static gn_status refill(gn__source *s)
{
    s->at = 0;
    return take(s, s->chunk, CHUNK, &s->held);
}

static gn_status pull_plain(gn__source *s, char *to, size_t room, size_t *got)
{
    size_t left = s->held - s->at;
    if (left == 0) return take(s, to, room < 4 * CHUNK ? room : 4 * CHUNK, got);
    *got = left < room ? left : room;
    memcpy(to, s->chunk + s->at, *got);
    s->at += *got;
    return GN_OK;
}

static gn_status check_size(const gn__source *s)
{
    if (s->length > s->limits.bytes)
        return gn__fail(s->err, GN_FORMAT, "%s unpacks to more than the %zu bytes allowed: unpack it first",
                        s->name, s->limits.bytes);
    if (s->length > s->limits.ratio_after && s->length / s->limits.ratio > s->read)
        return gn__fail(s->err, GN_FORMAT,
                        "%s unpacks to more than %zu times its size, which looks like a decompression bomb: "
                        "unpack it first if you trust it",
                        s->name, s->limits.ratio);
    return GN_OK;
}

static gn_status cut_short(const gn__source *s)
{
    return gn__fail(s->err, GN_IO, "%s is cut short: its compressed data ends after %zu bytes", s->name,
                    s->read);
}

static gn_status damaged_gzip(const gn__source *s)
{
    return gn__fail(
        s->err, GN_FORMAT, "%s is damaged: %s", s->name,
        s->gzip.msg != NULL && s->inside
            ? s->gzip.msg
            : gn__translate(s->err != NULL ? s->err->lang : GN_LANG_EN, "other bytes follow the gzip data"));
}

/* Members may follow each other (RFC 1952, 2.2), and zero bytes may pad the end, as gzip(1) allows. */
static gn_status pull_gzip(gn__source *s, char *to, size_t room, size_t *got)
{
    z_stream *z = &s->gzip;
    *got = 0;
    while (*got == 0) {
        if (s->at == s->held) {
            GN__TRY(refill(s));
            if (s->held == 0) return s->inside ? cut_short(s) : GN_OK;
        }
        if (!s->inside) {
            if (s->chunk[s->at] == 0 || s->padding) {
                s->padding = true;
                if (s->chunk[s->at++] != 0) return damaged_gzip(s);
                continue;
            }
            inflateReset(z);
            s->inside = true;
        }
        if (room > 4 * CHUNK) room = 4 * CHUNK;
        z->next_in = s->chunk + s->at;
        z->avail_in = (uInt)(s->held - s->at);
        z->next_out = (Bytef *)to;
        z->avail_out = (uInt)room;
        int code = inflate(z, Z_NO_FLUSH);
        s->at = s->held - z->avail_in;
        *got = room - z->avail_out;
        if (code == Z_MEM_ERROR) return gn__no_memory(s->err, CHUNK);
        if (code != Z_STREAM_END && code != Z_OK && code != Z_BUF_ERROR) return damaged_gzip(s);
        if (code == Z_STREAM_END) s->inside = false;
    }
    return GN_OK;
}

static gn_status pull_zstd(gn__source *s, char *to, size_t room, size_t *got)
{
    *got = 0;
    while (*got == 0) {
        if (s->at == s->held && !s->full) {
            GN__TRY(refill(s));
            if (s->held == 0) return s->hint != 0 ? cut_short(s) : GN_OK;
        }
        ZSTD_inBuffer in = {s->chunk, s->held, s->at};
        ZSTD_outBuffer out = {to, room < 4 * CHUNK ? room : 4 * CHUNK, 0};
        s->hint = ZSTD_decompressStream(s->zstd, &out, &in);
        s->at = in.pos;
        *got = out.pos;
        if (ZSTD_isError(s->hint))
            return gn__fail(s->err, GN_FORMAT, "%s is damaged: %s", s->name, ZSTD_getErrorName(s->hint));
        s->full = out.pos == out.size && s->hint != 0;
    }
    return GN_OK;
}

/* The first bytes decide; the name only tells that a file too short to show them was meant to be one. */
static bool begins_with(const gn__source *s, const char *magic, size_t n, const char *suffix)
{
    size_t named = strlen(s->name), k = strlen(suffix);
    if (s->held >= n) return memcmp(s->chunk, magic, n) == 0;
    return named > k && strcmp(s->name + named - k, suffix) == 0 && memcmp(s->chunk, magic, s->held) == 0;
}

static gn_status begin(gn__source *s)
{
    struct stat st;
    if (fstat(s->fd, &st) != 0)
        return gn__fail(s->err, GN_IO, "cannot read %s: %s", s->name, strerror(errno));
    if (S_ISDIR(st.st_mode)) return gn__fail(s->err, GN_IO, "%s is a folder, not a file", s->name);
    if (S_ISREG(st.st_mode)) s->total = (size_t)st.st_size;
    s->chunk = malloc(CHUNK);
    if (s->chunk == NULL) return gn__no_memory(s->err, CHUNK);
    while (s->held < 4) { /* a pipe may hand out single bytes */
        size_t got;
        GN__TRY(take(s, s->chunk + s->held, CHUNK - s->held, &got));
        s->held += got;
        if (got == 0) break;
    }
    if (begins_with(s, "\x1F\x8B", 2, ".gz")) {
        if (inflateInit2(&s->gzip, 15 + 16) != Z_OK) return gn__no_memory(s->err, CHUNK);
        s->packing = GZIP;
        s->inside = true;
    } else if (begins_with(s, "\x28\xB5\x2F\xFD", 4, ".zst")) {
        s->zstd = ZSTD_createDCtx();
        if (s->zstd == NULL) return gn__no_memory(s->err, CHUNK);
        s->packing = ZSTD;
        s->hint = 1;
    }
    return GN_OK;
}

gn_status gn__source_open(gn_context *ctx, const char *path, const char *name, const gn__read_limits *limits,
                          bool quiet, gn__source **out, gn_error *err)
{
    gn__source *s = gn__calloc(1, sizeof *s);
    if (s == NULL) return gn__no_memory(err, sizeof *s);
    s->ctx = ctx;
    s->name = name;
    s->quiet = quiet;
    s->limits = *limits;
    s->err = err;
    if (s->limits.bytes == 0) s->limits.bytes = (size_t)4 << 30;
    if (s->limits.ratio == 0) s->limits.ratio = 256;
    if (s->limits.ratio_after == 0) s->limits.ratio_after = (size_t)256 << 20;
    s->standard = strcmp(path, "-") == 0;
    s->fd = s->standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0) {
        free(s);
        return gn__fail(err, GN_IO, "cannot open %s: %s", name, strerror(errno));
    }
    gn_status status = gn__sha256_begin(&s->hash, err);
    if (status == GN_OK) status = begin(s);
    if (status != GN_OK) {
        gn__source_close(s, NULL);
        return status;
    }
    *out = s;
    return GN_OK;
}

gn_status gn__source_pull(gn__source *s, char *to, size_t room, size_t *got, gn_error *err)
{
    s->err = err;
    GN__TRY(s->packing == GZIP   ? pull_gzip(s, to, room, got)
            : s->packing == ZSTD ? pull_zstd(s, to, room, got)
                                 : pull_plain(s, to, room, got));
    s->length += *got;
    return s->packing == PLAIN ? GN_OK : check_size(s);
}

void gn__source_place(const gn__source *s, size_t *read, size_t *total)
{
    *read = s->read - (s->held - s->at);
    *total = s->total;
}

void gn__source_close(gn__source *s, char sha256[65])
{
    char unused[65];
    if (s == NULL) return;
    if (s->hash.state != NULL) gn__sha256_end(&s->hash, sha256 != NULL ? sha256 : unused);
    if (s->packing == GZIP) inflateEnd(&s->gzip);
    ZSTD_freeDCtx(s->zstd);
    if (!s->standard) close(s->fd);
    free(s->chunk);
    free(s);
}

gn_status gn__source_read(gn_context *ctx, const char *path, const char *name, const gn__read_limits *limits,
                          char **out, size_t *length, char sha256[65], gn_error *err)
{
    gn__source *s;
    gn_status status;
    char *data = NULL;
    size_t used = 0, capacity = 0, got;
    GN__TRY(gn__source_open(ctx, path, name, limits, false, &s, err));
    capacity = s->packing == PLAIN && s->total > CHUNK ? s->total + 2 : CHUNK;
    do {
        if (data == NULL || capacity - 1 == used) {
            if (data != NULL) capacity = capacity > SIZE_MAX / 2 ? SIZE_MAX : capacity * 2;
            char *more = realloc(data, capacity);
            if (more == NULL) {
                status = gn__no_memory(err, capacity);
                goto done;
            }
            data = more;
        }
        GN__TRY_GOTO(gn__source_pull(s, data + used, capacity - 1 - used, &got, err), done);
        used += got;
    } while (got > 0);
    data[used] = '\0';
    *out = data;
    *length = used;
    data = NULL;
done:
    gn__source_close(s, status == GN_OK ? sha256 : NULL);
    free(data);
    return status;
}
