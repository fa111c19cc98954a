/* From a path to plain bytes: one pass of read(2) feeds the hash and, by the magic bytes, zlib or zstd. */
#include "data/data.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { CHUNK = 256 * 1024 };

typedef struct source {
    gn_context *ctx;
    const char *name;
    int fd;
    size_t total, read; /* bytes stored (0: unknown), bytes read so far */
    gn__sha256 hash;
    unsigned char *chunk; /* [CHUNK] */
    size_t held;          /* bytes of the file in chunk */
    char *data;           /* what comes out, NUL-terminated */
    size_t length, capacity;
    gn__read_limits limits;
    gn_error *err;
} source;

/* Makes room for `more` bytes and the NUL. */
static gn_status reserve(source *s, size_t more)
{
    if (more > SIZE_MAX / 2 - s->length - 1) return gn__no_memory(s->err, SIZE_MAX);
    size_t need = s->length + more + 1, capacity = s->capacity;
    if (need <= capacity) return GN_OK;
    if (capacity == 0) capacity = CHUNK;
    while (capacity < need) capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
    char *data = realloc(s->data, capacity);
    if (data == NULL) return gn__no_memory(s->err, capacity);
    s->data = data;
    s->capacity = capacity;
    return GN_OK;
}

/* Reads up to `want` bytes to `to`; *got 0 at the end of the file. */
static gn_status take(source *s, void *to, size_t want, size_t *got)
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
    if (s->read <= s->total) gn__progress(s->ctx, GN_STAGE_READ, s->read, 2 * s->total);
    *got = (size_t)n;
    return GN_OK;
}

static gn_status refill(source *s)
{
    return take(s, s->chunk, CHUNK, &s->held);
}

static gn_status copy_plain(source *s)
{
    GN__TRY(reserve(s, s->total > s->held ? s->total : s->held));
    memcpy(s->data, s->chunk, s->held);
    s->length = s->held;
    for (size_t got = 1; got > 0;) {
        size_t want = s->capacity - 1 - s->length;
        if (want == 0) {
            GN__TRY(reserve(s, CHUNK));
            want = s->capacity - 1 - s->length;
        }
        GN__TRY(take(s, s->data + s->length, want < 4 * CHUNK ? want : 4 * CHUNK, &got));
        s->length += got;
    }
    return GN_OK;
}

static gn_status check_size(const source *s)
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

static gn_status cut_short(const source *s)
{
    return gn__fail(s->err, GN_IO, "%s is cut short: its compressed data ends after %zu bytes", s->name,
                    s->read);
}

/* Members may follow each other (RFC 1952, 2.2), and zero bytes may pad the end, as gzip(1) allows. */
static gn_status inflate_gzip(source *s)
{
    z_stream z = {0};
    if (inflateInit2(&z, 15 + 16) != Z_OK) return gn__no_memory(s->err, CHUNK);
    gn_status status = GN_OK;
    bool inside = true, padding = false;
    z.next_in = s->chunk;
    z.avail_in = (uInt)s->held;
    for (;;) {
        if (z.avail_in == 0) {
            GN__TRY_GOTO(refill(s), done);
            z.next_in = s->chunk;
            z.avail_in = (uInt)s->held;
            if (s->held == 0) break;
        }
        if (!inside) {
            if (*z.next_in == 0 || padding) {
                padding = true;
                if (*z.next_in != 0) goto damaged;
                z.next_in++;
                z.avail_in--;
                continue;
            }
            inflateReset(&z);
            inside = true;
        }
        GN__TRY_GOTO(reserve(s, CHUNK), done);
        size_t room = s->capacity - 1 - s->length;
        if (room > 4 * CHUNK) room = 4 * CHUNK;
        z.next_out = (Bytef *)s->data + s->length;
        z.avail_out = (uInt)room;
        int code = inflate(&z, Z_NO_FLUSH);
        s->length += room - z.avail_out;
        GN__TRY_GOTO(check_size(s), done);
        if (code == Z_STREAM_END) {
            inside = false;
        } else if (code == Z_MEM_ERROR) {
            status = gn__no_memory(s->err, CHUNK);
            goto done;
        } else if (code != Z_OK && code != Z_BUF_ERROR) {
            goto damaged;
        }
    }
    if (inside) status = cut_short(s);
    goto done;
damaged:
    status = gn__fail(s->err, GN_FORMAT, "%s is damaged: %s", s->name,
                      z.msg != NULL && inside ? z.msg
                                              : gn__translate(s->err != NULL ? s->err->lang : GN_LANG_EN,
                                                              "other bytes follow the gzip data"));
done:
    inflateEnd(&z);
    return status;
}

static gn_status inflate_zstd(source *s)
{
    ZSTD_DCtx *z = ZSTD_createDCtx();
    if (z == NULL) return gn__no_memory(s->err, CHUNK);
    gn_status status = GN_OK;
    size_t hint = 1;
    while (s->held > 0) {
        ZSTD_inBuffer in = {s->chunk, s->held, 0};
        bool full = false; /* the last call filled its output: more may wait inside */
        while (in.pos < in.size || full) {
            GN__TRY_GOTO(reserve(s, CHUNK), done);
            size_t room = s->capacity - 1 - s->length;
            ZSTD_outBuffer out = {s->data + s->length, room < 4 * CHUNK ? room : 4 * CHUNK, 0};
            hint = ZSTD_decompressStream(z, &out, &in);
            s->length += out.pos;
            if (ZSTD_isError(hint)) {
                status = gn__fail(s->err, GN_FORMAT, "%s is damaged: %s", s->name, ZSTD_getErrorName(hint));
                goto done;
            }
            full = out.pos == out.size && hint != 0;
            GN__TRY_GOTO(check_size(s), done);
        }
        GN__TRY_GOTO(refill(s), done);
    }
    if (hint != 0) status = cut_short(s);
done:
    ZSTD_freeDCtx(z);
    return status;
}

/* The first bytes decide; the name only tells that a file too short to show them was meant to be one. */
static bool begins_with(const source *s, const char *magic, size_t n, const char *suffix)
{
    size_t named = strlen(s->name), k = strlen(suffix);
    if (s->held >= n) return memcmp(s->chunk, magic, n) == 0;
    return named > k && strcmp(s->name + named - k, suffix) == 0 && memcmp(s->chunk, magic, s->held) == 0;
}

static gn_status read_all(source *s)
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
    GN__TRY(reserve(s, 0));
    if (begins_with(s, "\x1F\x8B", 2, ".gz")) return inflate_gzip(s);
    if (begins_with(s, "\x28\xB5\x2F\xFD", 4, ".zst")) return inflate_zstd(s);
    return copy_plain(s);
}

gn_status gn__source_read(gn_context *ctx, const char *path, const char *name, const gn__read_limits *limits,
                          char **out, size_t *length, char sha256[65], gn_error *err)
{
    source s = {.ctx = ctx, .name = name, .limits = *limits, .err = err};
    if (s.limits.bytes == 0) s.limits.bytes = (size_t)4 << 30;
    if (s.limits.ratio == 0) s.limits.ratio = 256;
    if (s.limits.ratio_after == 0) s.limits.ratio_after = (size_t)256 << 20;
    bool standard = strcmp(path, "-") == 0;
    s.fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (s.fd < 0) return gn__fail(err, GN_IO, "cannot open %s: %s", name, strerror(errno));
    gn_status status = gn__sha256_begin(&s.hash, err);
    if (status == GN_OK) {
        status = read_all(&s);
        gn__sha256_end(&s.hash, sha256);
    }
    if (!standard) close(s.fd);
    free(s.chunk);
    if (status != GN_OK) {
        free(s.data);
        return status;
    }
    s.data[s.length] = '\0';
    *out = s.data;
    *length = s.length;
    return GN_OK;
}
