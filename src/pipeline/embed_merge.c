/* The parts of one input, made with --shard, into the file that one run would have written. */
#include "pipeline/journal.h"
#include "pipeline/sidecar.h"

#include <stdio.h>
#include <unistd.h>

enum { PIECE = 4 << 20, SIDECAR_MOST = 1 << 20 };

typedef struct part {
    const char *path;
    json_t *side, *common; /* common: without what differs from part to part */
    uint64_t rows, first_row, cut;
} part;

typedef struct merge {
    gn_context *ctx;
    const char *out;
    part *part; /* [parts] by index once read */
    size_t parts;
    gn__layout layout;
    gn_error *err;
} merge;

static gn_status damaged(const merge *m, const char *path)
{
    return gn__fail(m->err, GN_FORMAT, "%s and its .json do not belong together", path);
}

static gn_status read_side(const merge *m, const char *path, json_t **out)
{
    char *name = gn__with_suffix(path, ".json"), *text = NULL;
    size_t length;
    if (name == NULL) return gn__no_memory(m->err, strlen(path));
    gn_status status = gn__read_file(name, SIDECAR_MOST, &text, &length, m->err);
    if (status == GN_OK) {
        *out = json_loadb(text, length, 0, NULL);
        const json_t *schema = json_object_get(*out, "schema");
        if (!json_is_string(schema) || strcmp(json_string_value(schema), "genchi.embeddings/1") != 0) {
            json_decref(*out);
            *out = NULL;
            status = damaged(m, path);
        }
    }
    free(text);
    free(name);
    return status;
}

static bool count_of(const json_t *object, const char *key, uint64_t *out)
{
    const json_t *v = json_object_get(object, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0) return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

/* Reads the sidecar of a path and puts it where its index says. */
static gn_status place(merge *m, const char *path)
{
    json_t *side;
    GN__TRY(read_side(m, path, &side));
    const json_t *shard = json_object_get(side, "shard");
    uint64_t index = 0, of = 0;
    part p = {.path = path, .side = side};
    gn_status status = GN_OK;
    if (!count_of(side, "rows", &p.rows) || !count_of(side, "cut", &p.cut) ||
        (json_is_object(shard) && (!count_of(shard, "index", &index) || !count_of(shard, "of", &of) ||
                                   !count_of(shard, "first_row", &p.first_row))))
        status = damaged(m, path);
    else if (of == 0)
        status = gn__fail(m->err, GN_INVALID_ARGUMENT, "%s is not a part: it was made without --shard", path);
    else if (of != m->parts)
        status = gn__fail(m->err, GN_INVALID_ARGUMENT, "%s is part %llu of %llu, but %zu files are given",
                          path, (unsigned long long)index, (unsigned long long)of, m->parts);
    else if (index < 1 || index > of)
        status = damaged(m, path);
    else if (m->part[index - 1].side != NULL)
        status = gn__fail(m->err, GN_INVALID_ARGUMENT, "%s and %s are both part %llu",
                          m->part[index - 1].path, path, (unsigned long long)index);
    if (status == GN_OK) {
        static const char *const own[] = {"rows", "cut", "data_sha256", "shard"};
        p.common = json_deep_copy(side);
        for (size_t i = 0; i < sizeof own / sizeof *own; i++) json_object_del(p.common, own[i]);
        json_object_del(json_object_get(p.common, "input"), "path");
        if (p.common == NULL) status = gn__no_memory(m->err, SIDECAR_MOST);
    }
    if (status == GN_OK)
        m->part[index - 1] = p;
    else
        json_decref(side);
    return status;
}

static bool says(const json_t *object, const char *key, const char *what)
{
    const json_t *v = json_object_get(object, key);
    return json_is_string(v) && strcmp(json_string_value(v), what) == 0;
}

static gn_status agree(merge *m)
{
    uint64_t rows = 0, dim = 0;
    for (size_t i = 0; i < m->parts; i++) {
        const part *p = &m->part[i];
        if (!json_equal(p->common, m->part[0].common))
            return gn__fail(m->err, GN_INVALID_ARGUMENT,
                            "%s and %s are not parts of one run: their models, inputs or options differ",
                            m->part[0].path, p->path);
        if (p->first_row != rows) return damaged(m, p->path);
        rows += p->rows;
    }
    const json_t *common = m->part[0].common;
    bool known = false;
    for (int t = GN_OUTPUT_F32; t <= GN_OUTPUT_BF16 && !known; t++) {
        known = says(common, "type", gn_output_type_name((gn_output_type)t));
        m->layout.type = (gn_output_type)t;
    }
    m->layout.safetensors = says(common, "file", "safetensors");
    if (!known || !count_of(common, "dim", &dim) || dim == 0 || dim > UINT32_MAX)
        return damaged(m, m->part[0].path);
    m->layout.dim = (size_t)dim;
    if (gn__is_safetensors(m->out) != m->layout.safetensors)
        return gn__fail(m->err, GN_INVALID_ARGUMENT, "%s and %s are files of two formats", m->part[0].path,
                        m->out);
    return GN_OK;
}

static gn_status copy_part(merge *m, const part *p, gn__writer *w, gn__sha256 *all)
{
    gn__mapping map;
    gn__sha256 one;
    char hex[65], header[GN__HEADER_MOST];
    size_t begin = gn__layout_header(&m->layout), bytes;
    gn__layout_write(&m->layout, p->rows, header);
    GN__TRY(gn__map_file(p->path, &map, m->err));
    gn_status status = gn__sha256_begin(&one, m->err);
    if (status == GN_OK) {
        bool whole = gn__mul_size((size_t)p->rows, gn__layout_row(&m->layout), &bytes) &&
                     map.size == begin + bytes && memcmp(map.data, header, begin) == 0;
        for (size_t at = begin; whole && at < map.size && status == GN_OK; at += PIECE) {
            size_t n = map.size - at < PIECE ? map.size - at : (size_t)PIECE;
            gn__writer_put(w, map.data + at, n);
            gn__sha256_update(&one, map.data + at, n);
            gn__sha256_update(all, map.data + at, n);
            status = gn__check_cancel(m->ctx, m->err);
        }
        gn__sha256_end(&one, hex);
        if (status == GN_OK && (!whole || !says(p->side, "data_sha256", hex))) status = damaged(m, p->path);
    }
    gn__unmap_file(&map);
    return status;
}

/* All parts list the same rows: each has read the whole input. */
static gn_status copy_left_out(const merge *m)
{
    char *from = gn__with_suffix(m->part[0].path, ".left-out.jsonl"),
         *to = gn__with_suffix(m->out, ".left-out.jsonl");
    gn__mapping map = {0};
    gn_status status = from != NULL && to != NULL ? GN_OK : gn__no_memory(m->err, strlen(m->out));
    if (status == GN_OK && !json_is_true(json_object_get(m->part[0].common, "left_out"))) {
        unlink(to);
    } else if (status == GN_OK) {
        status = gn__map_file(from, &map, m->err);
        if (status == GN_OK) status = gn__write_file(to, map.data, map.size, m->err);
        gn__unmap_file(&map);
    }
    free(from);
    free(to);
    return status;
}

static gn_status write_side(const merge *m, const gn_embed_file_result *r, const char sha[65])
{
    json_t *side = m->part[0].side;
    char *path = gn__with_suffix(m->out, ".json");
    if (path == NULL) return gn__no_memory(m->err, strlen(m->out));
    json_object_set_new(side, "rows", json_integer((json_int_t)r->rows));
    json_object_set_new(side, "cut", json_integer((json_int_t)r->cut));
    json_object_set_new(side, "data_sha256", json_string(sha));
    json_object_set_new(side, "shard", json_null());
    gn_status status = gn__json_write(path, side, m->err);
    free(path);
    return status;
}

static gn_status join(merge *m, gn_embed_file_result *r)
{
    gn__writer w;
    gn__sha256 sha;
    char header[GN__HEADER_MOST], hex[65];
    gn_status status = GN_OK;
    r->dim = m->layout.dim;
    for (size_t i = 0; i < m->parts; i++) {
        r->rows += m->part[i].rows;
        r->cut += m->part[i].cut;
    }
    const json_t *input = json_object_get(m->part[0].common, "input");
    if (!count_of(input, "records", &r->rows_read) || !count_of(input, "malformed", &r->malformed) ||
        !count_of(input, "empty", &r->empty) || !count_of(input, "dropped_by_label", &r->dropped_by_label))
        return damaged(m, m->part[0].path);
    gn__layout_write(&m->layout, r->rows, header);
    GN__TRY(gn__writer_open(&w, m->out, m->err));
    status = gn__sha256_begin(&sha, m->err);
    if (status == GN_OK) {
        gn__writer_put(&w, header, gn__layout_header(&m->layout));
        for (size_t i = 0; i < m->parts && status == GN_OK; i++) status = copy_part(m, &m->part[i], &w, &sha);
        gn__sha256_end(&sha, hex);
    }
    if (status == GN_OK) status = copy_left_out(m);
    if (status == GN_OK) status = write_side(m, r, hex);
    if (status == GN_OK) return gn__writer_commit(&w, m->err);
    gn__writer_abort(&w);
    return status;
}

gn_status gn_embed_merge(gn_context *ctx, const char *const *path, size_t parts, const char *out,
                         gn_embed_file_result *result, gn_error *err)
{
    double start = gn__now();
    gn_embed_file_result r = {0};
    merge m = {.ctx = ctx, .out = out, .parts = parts, .err = err};
    if (parts == 0) return gn__fail(err, GN_INVALID_ARGUMENT, "there are no parts to be joined");
    m.part = gn__calloc(parts, sizeof *m.part);
    if (m.part == NULL) return gn__no_memory(err, parts * sizeof *m.part);
    gn_status status = GN_OK;
    for (size_t i = 0; i < parts && status == GN_OK; i++) status = place(&m, path[i]);
    if (status == GN_OK) status = agree(&m);
    if (status == GN_OK) status = join(&m, &r);
    for (size_t i = 0; i < parts; i++) {
        json_decref(m.part[i].side);
        json_decref(m.part[i].common);
    }
    free(m.part);
    r.seconds = gn__now() - start;
    if (status == GN_OK) *result = r;
    return status;
}
