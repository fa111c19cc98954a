/* The files of vectors: where the data begins, how a value is stored. docs/embedding.md has the formats. */
#ifndef GENCHI_PIPELINE_VECTORS_FILE_H
#define GENCHI_PIPELINE_VECTORS_FILE_H

#include "core/core.h"
#include "genchi/embed.h"

enum { GN__HEADER_MOST = 256 };

typedef struct gn__layout {
    bool safetensors;
    gn_output_type type;
    size_t dim;
} gn__layout;

bool gn__is_safetensors(const char *path);
size_t gn__layout_header(const gn__layout *l); /* bytes before the data, whatever the number of rows */
size_t gn__layout_row(const gn__layout *l);    /* bytes of a row */
/* The header, gn__layout_header bytes. */
void gn__layout_write(const gn__layout *l, uint64_t rows, char out[GN__HEADER_MOST]);
/* Little-endian values of the type, n of them. False: one does not fit (*bad tells which). */
bool gn__layout_convert(const gn__layout *l, const float *x, size_t n, unsigned char *out, size_t *bad);

#endif
