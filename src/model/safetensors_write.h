/* Writing a safetensors file (the format: safetensors.h): all tensors are declared, then their data put in
 * the same order, so that none of it has to be held at once. */
#ifndef GENCHI_MODEL_SAFETENSORS_WRITE_H
#define GENCHI_MODEL_SAFETENSORS_WRITE_H

#include "core/core.h"

#include <jansson.h>

/* A zeroed struct is valid. */
typedef struct gn__tensor_file {
    json_t *header;
    size_t bytes; /* of data declared */
    gn__writer writer;
    bool open;
} gn__tensor_file;

/* type: "F32". Errors: GN_NO_MEMORY (also: sizes that overflow). */
gn_status gn__tensor_file_declare(gn__tensor_file *f, const char *name, const char *type, const size_t *shape,
                                  size_t rank, size_t bytes, gn_error *err);
/* A text of "__metadata__". */
gn_status gn__tensor_file_note(gn__tensor_file *f, const char *key, const char *text, gn_error *err);
/* Opens the file aside of path and writes the header; then data is put (gn__writer_put on f->writer). */
gn_status gn__tensor_file_begin(gn__tensor_file *f, const char *path, gn_error *err);
gn_status gn__tensor_file_commit(gn__tensor_file *f, gn_error *err);
/* Frees; what is not committed is removed. */
void gn__tensor_file_free(gn__tensor_file *f);

#endif
