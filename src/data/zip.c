#include "data/zip.h"

#include <limits.h>
#include <zlib.h>

enum {
    END = 22,       /* bytes of the end record, without its comment */
    END64 = 56,     /* of Zip64's */
    LOCATOR = 20,   /* of what points to that */
    DIRECTORY = 46, /* of a directory entry, without name, extra field and comment */
    LOCAL = 30,     /* of a local header, likewise */
    COMMENT = 65535
};

static uint64_t number(const unsigned char *p, size_t bytes)
{
    uint64_t x = 0;
    for (size_t i = 0; i < bytes; i++) x |= (uint64_t)p[i] << (8 * i);
    return x;
}

static bool is(const unsigned char *p, const char *signature)
{
    return memcmp(p, signature, 4) == 0;
}

static gn_status damaged(const char *path, const char *what, gn_error *err)
{
    return gn__fail(err, GN_FORMAT, "%s is a damaged .zip archive: %s", path,
                    gn__translate(err ? err->lang : GN_LANG_EN, what));
}

typedef struct directory {
    uint64_t at, size, entries;
} directory;

/* The end record stands in front of a comment that reaches to the end of the file. */
static bool find_directory(const gn__zip *z, directory *d)
{
    const unsigned char *s = z->data, *end = NULL;
    size_t lowest = z->size > END + COMMENT ? z->size - END - COMMENT : 0;
    if (z->size < END) return false;
    for (size_t at = z->size - END + 1; at-- > lowest && end == NULL;)
        if (is(s + at, "PK\5\6") && number(s + at + 20, 2) == z->size - END - at) end = s + at;
    if (end == NULL) return false;
    *d = (directory){number(end + 16, 4), number(end + 12, 4), number(end + 10, 2)};
    if (d->at != UINT32_MAX && d->size != UINT32_MAX && d->entries != UINT16_MAX) return true;
    if ((size_t)(end - s) < LOCATOR || !is(end - LOCATOR, "PK\6\7")) return true; /* those very numbers */
    uint64_t at = number(end - LOCATOR + 8, 8);
    if (z->size < END64 || at > z->size - END64 || !is(s + at, "PK\6\6")) return false;
    *d = (directory){number(s + at + 48, 8), number(s + at + 40, 8), number(s + at + 32, 8)};
    return true;
}

/* Zip64's extra field has the numbers that did not fit, in this order. */
static bool read_zip64(const unsigned char *extra, size_t n, gn__zip_entry *e)
{
    uint64_t *const field[] = {&e->size, &e->packed, &e->offset};
    while (n >= 4) {
        size_t kind = number(extra, 2), length = number(extra + 2, 2);
        extra += 4;
        n -= 4;
        if (length > n) return false;
        for (size_t i = 0, at = 0; kind == 1 && i < 3; i++) {
            if (*field[i] != UINT32_MAX) continue;
            if (length - at < 8) return false;
            *field[i] = number(extra + at, 8);
            at += 8;
        }
        extra += length;
        n -= length;
    }
    return true;
}

static gn_status read_directory(const char *path, gn__zip *z, const directory *d, gn_error *err)
{
    if (d->at > z->size || d->size > z->size - d->at || d->entries > d->size / DIRECTORY)
        return damaged(path, "its directory lies outside of it", err);
    z->entry = gn__calloc(d->entries, sizeof *z->entry);
    if (z->entry == NULL) return gn__no_memory(err, d->entries * sizeof *z->entry);
    const unsigned char *p = z->data + d->at, *end = p + d->size;
    for (uint64_t i = 0; i < d->entries; i++) {
        if (end - p < DIRECTORY || !is(p, "PK\1\2")) return damaged(path, "its directory is cut short", err);
        size_t name = number(p + 28, 2), extra = number(p + 30, 2), comment = number(p + 32, 2);
        if ((size_t)(end - p) - DIRECTORY < name + extra + comment)
            return damaged(path, "its directory is cut short", err);
        gn__zip_entry *e = &z->entry[z->entries++];
        *e = (gn__zip_entry){.name = gn__arena_strndup(&z->arena, (const char *)p + DIRECTORY, name),
                             .method = (unsigned)number(p + 10, 2),
                             .encrypted = p[8] & 1,
                             .crc = (uint32_t)number(p + 16, 4),
                             .packed = number(p + 20, 4),
                             .size = number(p + 24, 4),
                             .offset = number(p + 42, 4)};
        if (e->name == NULL) return gn__no_memory(err, name);
        if (!read_zip64(p + DIRECTORY + name, extra, e))
            return damaged(path, "its directory is cut short", err);
        p += DIRECTORY + name + extra + comment;
    }
    return GN_OK;
}

gn_status gn__zip_open(const char *path, const unsigned char *data, size_t size, gn__zip *out, gn_error *err)
{
    directory d;
    *out = (gn__zip){.data = data, .size = size};
    if (!find_directory(out, &d))
        return gn__fail(err, GN_FORMAT, "%s is not a .zip archive, or is cut short", path);
    return read_directory(path, out, &d, err);
}

void gn__zip_free(gn__zip *z)
{
    free(z->entry);
    gn__arena_free(&z->arena);
    *z = (gn__zip){0};
}

/* Deflate makes at most 1032 bytes of one: a size beyond that is a lie, and is not allocated. */
static gn_status inflate_entry(const char *path, const gn__zip_entry *e, const unsigned char *packed,
                               unsigned char **owned, gn_error *err)
{
    z_stream s = {0};
    if (e->size / 1032 > e->packed)
        return damaged(path, "a file in it is larger than its bytes can make", err);
    unsigned char *out = gn__aligned(e->size ? e->size : 1, 1);
    if (out == NULL) return gn__no_memory(err, e->size);
    if (inflateInit2(&s, -MAX_WBITS) != Z_OK) {
        free(out);
        return gn__no_memory(err, sizeof s);
    }
    uint64_t in_left = e->packed, out_left = e->size;
    int code = Z_OK;
    s.next_in = (unsigned char *)(uintptr_t)packed;
    s.next_out = out;
    while (code == Z_OK) {
        uInt in = (uInt)(in_left < INT_MAX ? in_left : INT_MAX),
             room = (uInt)(out_left < INT_MAX ? out_left : INT_MAX);
        s.avail_in = in;
        s.avail_out = room;
        code = inflate(&s, Z_NO_FLUSH);
        in_left -= in - s.avail_in;
        out_left -= room - s.avail_out;
        if (code == Z_OK && in == s.avail_in && room == s.avail_out) break; /* no progress */
    }
    inflateEnd(&s);
    if (code != Z_STREAM_END || out_left != 0) {
        free(out);
        return damaged(path, "a file in it does not unpack to its size", err);
    }
    *owned = out;
    return GN_OK;
}

gn_status gn__zip_read(const char *path, const gn__zip *z, const gn__zip_entry *e, const unsigned char **data,
                       unsigned char **owned, gn_error *err)
{
    *owned = NULL;
    if (e->encrypted) return gn__fail(err, GN_UNSUPPORTED, "%s: %s is encrypted", path, e->name);
    if (e->method != 0 && e->method != 8)
        return gn__fail(err, GN_UNSUPPORTED, "%s: %s is packed by method %u; stored and deflated are known",
                        path, e->name, e->method);
    if (z->size < LOCAL || e->offset > z->size - LOCAL || !is(z->data + e->offset, "PK\3\4"))
        return damaged(path, "its directory points to no file", err);
    const unsigned char *local = z->data + e->offset;
    uint64_t skip = LOCAL + number(local + 26, 2) + number(local + 28, 2);
    if (skip > z->size - e->offset || e->packed > z->size - e->offset - skip)
        return damaged(path, "a file in it is cut short", err);
    if (e->method == 0 && e->packed != e->size)
        return damaged(path, "a file in it does not unpack to its size", err);
    *data = local + skip;
    if (e->method == 8) {
        GN__TRY(inflate_entry(path, e, local + skip, owned, err));
        *data = *owned;
    }
    if (crc32_z(0, *data, e->size) != e->crc) {
        free(*owned);
        *owned = NULL;
        return damaged(path, "a file in it has another checksum", err);
    }
    return GN_OK;
}
