#include "model/safetensors_write.h"

static gn_status header_of(gn__tensor_file *f, gn_error *err)
{
    if (f->header == NULL) f->header = json_object();
    return f->header != NULL ? GN_OK : gn__no_memory(err, 64);
}

gn_status gn__tensor_file_declare(gn__tensor_file *f, const char *name, const char *type, const size_t *shape,
                                  size_t rank, size_t bytes, gn_error *err)
{
    size_t end;
    GN__TRY(header_of(f, err));
    if (__builtin_add_overflow(f->bytes, bytes, &end)) return gn__no_memory(err, bytes);
    json_t *sizes = json_array();
    bool good = sizes != NULL;
    for (size_t i = 0; i < rank && good; i++)
        good = json_array_append_new(sizes, json_integer((json_int_t)shape[i])) == 0;
    json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", type, "shape", sizes, "data_offsets",
                              (json_int_t)f->bytes, (json_int_t)end);
    good = good && json_object_set_new(f->header, name, entry) == 0;
    f->bytes = end;
    return good ? GN_OK : gn__no_memory(err, 256);
}

gn_status gn__tensor_file_note(gn__tensor_file *f, const char *key, const char *text, gn_error *err)
{
    GN__TRY(header_of(f, err));
    json_t *notes = json_object_get(f->header, "__metadata__");
    if (notes == NULL) {
        notes = json_object();
        if (json_object_set_new(f->header, "__metadata__", notes) != 0) return gn__no_memory(err, 64);
    }
    return json_object_set_new(notes, key, json_string(text)) == 0 ? GN_OK : gn__no_memory(err, strlen(text));
}

gn_status gn__tensor_file_begin(gn__tensor_file *f, const char *path, gn_error *err)
{
    GN__TRY(header_of(f, err));
    char *text = json_dumps(f->header, JSON_COMPACT);
    if (text == NULL) return gn__no_memory(err, 256);
    size_t n = strlen(text), padded = (n + 7) / 8 * 8; /* data begins at a multiple of 8 */
    unsigned char length[8];
    for (size_t i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)padded >> (8 * i));
    gn_status status = gn__writer_open(&f->writer, path, err);
    if (status == GN_OK) {
        f->open = true;
        gn__writer_put(&f->writer, length, sizeof length);
        gn__writer_put(&f->writer, text, n);
        gn__writer_put(&f->writer, "        ", padded - n);
    }
    free(text);
    return status;
}

gn_status gn__tensor_file_commit(gn__tensor_file *f, gn_error *err)
{
    f->open = false;
    return gn__writer_commit(&f->writer, err);
}

void gn__tensor_file_free(gn__tensor_file *f)
{
    if (f->open) gn__writer_abort(&f->writer);
    json_decref(f->header);
    *f = (gn__tensor_file){0};
}
