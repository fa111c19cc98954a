#include "pipeline/sidecar.h"

const char *gn__pooling_text(const gn_model_info *model)
{
    return model->poolings != NULL && model->poolings[0] != '\0' ? model->poolings
                                                                 : gn_pooling_name(model->pooling);
}

json_t *gn__sidecar_json(const gn__sidecar *s, const gn_model_info *model, const char *input)
{
    json_t *m = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:b}", "name", model->name, "architecture",
                          model->architecture, "sha256", model->sha256, "key", s->model_key, "pooling",
                          gn__pooling_text(model), "dtype", gn_dtype_name(model->dtype), "max_length",
                          (json_int_t)model->max_length, "normalize", (int)model->normalize);
    json_t *utf8 = json_string(input); /* a path may be any bytes */
    if (utf8 == NULL) input = "?";
    json_decref(utf8);
    json_t *i = json_pack("{s:s, s:s, s:s, s:s, s:s?, s:I, s:I, s:I, s:I, s:I}", "path", input, "sha256",
                          s->input_sha256, "format", gn_format_name(s->input.format), "encoding",
                          gn_encoding_name(s->input.encoding), "text_column", s->input.text_column, "records",
                          (json_int_t)s->input.rows_read, "rows", (json_int_t)s->input.rows, "malformed",
                          (json_int_t)s->input.malformed, "empty", (json_int_t)s->input.empty,
                          "dropped_by_label", (json_int_t)s->input.dropped_by_label);
    json_t *part = s->shards == 0 ? json_null()
                                  : json_pack("{s:i, s:i, s:I}", "index", (int)s->shard, "of", (int)s->shards,
                                              "first_row", (json_int_t)s->first_row);
    return json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:I, s:b, s:o, s:o, s:o}", "schema",
                     "genchi.embeddings/1", "file", s->layout.safetensors ? "safetensors" : "npy", "rows",
                     (json_int_t)s->rows, "dim", (json_int_t)s->layout.dim, "type",
                     gn_output_type_name(s->layout.type), "data_sha256", s->data_sha256, "cut",
                     (json_int_t)s->cut, "left_out", (int)s->left_out, "model", m, "input", i, "shard", part);
}

gn_status gn__json_write(const char *path, const json_t *j, gn_error *err)
{
    gn__buf b = {0};
    char *text = json_dumps(j, JSON_INDENT(2));
    if (text != NULL) gn__buf_puts(&b, text);
    gn__buf_putc(&b, '\n');
    gn_status status =
        text == NULL || b.failed ? gn__no_memory(err, 4096) : gn__write_file(path, b.data, b.length, err);
    free(text);
    gn__buf_free(&b);
    return status;
}
