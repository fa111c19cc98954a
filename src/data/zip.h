/* Reading .zip archives that lie in memory: stored and deflated files, Zip64. PKWARE's APPNOTE.TXT 6.3. */
#ifndef GENCHI_DATA_ZIP_H
#define GENCHI_DATA_ZIP_H

#include "core/core.h"

typedef struct gn__zip_entry {
    char *name;
    unsigned method; /* 0 stored, 8 deflated */
    bool encrypted;
    uint32_t crc;
    uint64_t packed, size, offset; /* offset: of its local header */
} gn__zip_entry;

typedef struct gn__zip {
    const unsigned char *data;
    size_t size;
    gn__zip_entry *entry;
    size_t entries;
    gn__arena arena;
} gn__zip;

/* Reads the directory; data stays the caller's. Errors: GN_FORMAT. Free with gn__zip_free, also after a
 * failure. */
gn_status gn__zip_open(const char *path, const unsigned char *data, size_t size, gn__zip *out, gn_error *err);
void gn__zip_free(gn__zip *z);
/* One file's bytes: *data points into the archive where it is stored, else into *owned, which the caller
 * free()s. Errors: GN_FORMAT (damaged), GN_UNSUPPORTED (encrypted, another method). */
gn_status gn__zip_read(const char *path, const gn__zip *z, const gn__zip_entry *e, const unsigned char **data,
                       unsigned char **owned, gn_error *err);

#endif
