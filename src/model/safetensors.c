#include "model/safetensors.h"

#include "core/float16.h"
#include "model/config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>

enum { HEADER_LIMIT = 100000000 }; /* bytes; the official library's limit */

static const struct type {
    const char *name;
    size_t bytes;
    gn__weight_type type;
} types[] = {
    {"F32", 4, GN__WEIGHT_F32},       {"F16", 2, GN__WEIGHT_F16},       {"BF16", 2, GN__WEIGHT_BF16},
    {"BOOL", 1, GN__WEIGHT_OTHER},    {"U8", 1, GN__WEIGHT_OTHER},      {"I8", 1, GN__WEIGHT_OTHER},
    {"F8_E4M3", 1, GN__WEIGHT_OTHER}, {"F8_E5M2", 1, GN__WEIGHT_OTHER}, {"U16", 2, GN__WEIGHT_OTHER},
    {"I16", 2, GN__WEIGHT_OTHER},     {"U32", 4, GN__WEIGHT_OTHER},     {"I32", 4, GN__WEIGHT_OTHER},
    {"F64", 8, GN__WEIGHT_OTHER},     {"U64", 8, GN__WEIGHT_OTHER},     {"I64", 8, GN__WEIGHT_OTHER},
};

static const struct type *find_type(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0) return &types[i];
    return NULL;
}

/* The list's numbers as sizes; false where one is no such number. */
static bool read_sizes(const json_t *list, size_t *out)
{
    size_t i;
    const json_t *v;
    json_array_foreach(list, i, v)
    {
        if (!json_is_integer(v) || json_integer_value(v) < 0) return false;
        out[i] = (size_t)json_integer_value(v);
    }
    return true;
}

static gn_status read_entry(const char *path, const json_t *entry, size_t data_size, gn__tensor *t,
                            gn_error *err)
{
    const char *type_name = json_string_value(json_object_get(entry, "dtype"));
    const json_t *shape = json_object_get(entry, "shape"), *offsets = json_object_get(entry, "data_offsets");
    size_t ends[2], bytes;
    if (type_name == NULL || !json_is_array(shape) || !json_is_array(offsets) ||
        json_array_size(offsets) != 2)
        return gn__fail(err, GN_FORMAT, "%s: the entry of tensor %s lacks dtype, shape or data_offsets", path,
                        t->name);
    const struct type *type = find_type(type_name);
    if (type == NULL)
        return gn__fail(err, GN_UNSUPPORTED, "%s: tensor %s has the unknown dtype %s", path, t->name,
                        type_name);
    t->rank = json_array_size(shape);
    if (t->rank > GN__RANK)
        return gn__fail(err, GN_UNSUPPORTED, "%s: tensor %s has %zu dimensions, more than the %d supported",
                        path, t->name, t->rank, (int)GN__RANK);
    if (!read_sizes(shape, t->shape) || !read_sizes(offsets, ends))
        return gn__fail(err, GN_FORMAT, "%s: tensor %s has a shape or offset that is no whole number", path,
                        t->name);
    t->elements = 1;
    bool fits = true;
    for (size_t i = 0; i < t->rank; i++) fits = fits && gn__mul_size(t->elements, t->shape[i], &t->elements);
    fits = fits && gn__mul_size(t->elements, type->bytes, &bytes);
    char text[200];
    gn__shape_text(t->shape, t->rank, text, sizeof text);
    if (ends[0] > ends[1] || ends[1] > data_size)
        return gn__fail(err, GN_FORMAT,
                        "%s: tensor %s has the offsets %zu to %zu, but the file holds %zu bytes of data "
                        "(is it cut short?)",
                        path, t->name, ends[0], ends[1], data_size);
    if (!fits || bytes != ends[1] - ends[0])
        return gn__fail(err, GN_FORMAT,
                        "%s: tensor %s of type %s and shape %s does not fill its %zu bytes of data", path,
                        t->name, type->name, text, ends[1] - ends[0]);
    t->type = type->type;
    t->type_name = type->name;
    t->begin = ends[0];
    t->end = ends[1];
    return GN_OK;
}

static int by_offset(const void *a, const void *b)
{
    const gn__tensor *x = *(const gn__tensor *const *)a, *y = *(const gn__tensor *const *)b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* Gaps between tensors are let pass (they hurt nobody); bytes that two tensors share are not. */
static gn_status check_overlap(const char *path, const gn__tensor *t, size_t n, gn_error *err)
{
    gn_status status = GN_OK;
    const gn__tensor **order = gn__calloc(n, sizeof *order);
    if (order == NULL) return gn__no_memory(err, n * sizeof *order);
    for (size_t i = 0; i < n; i++) order[i] = &t[i];
    qsort(order, n, sizeof *order, by_offset);
    for (size_t i = 1; i < n && status == GN_OK; i++)
        if (order[i]->begin < order[i - 1]->end && order[i]->begin < order[i]->end)
            status = gn__fail(err, GN_FORMAT, "%s: the tensors %s and %s overlap", path, order[i - 1]->name,
                              order[i]->name);
    free(order);
    return status;
}

static gn_status read_tensors(gn__weights *w, size_t file, const char *path, json_t *header,
                              const unsigned char *data, size_t size, gn_error *err)
{
    const char *name;
    json_t *entry;
    size_t first = w->tensors;
    json_object_foreach(header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) continue;
        if (w->tensors == w->capacity) {
            size_t capacity = w->capacity ? w->capacity * 2 : 256;
            gn__tensor *more = gn__realloc(w->tensor, capacity, sizeof *more);
            if (more == NULL) return gn__no_memory(err, capacity * sizeof *more);
            w->tensor = more;
            w->capacity = capacity;
        }
        gn__tensor *t = &w->tensor[w->tensors];
        *t = (gn__tensor){.name = gn__arena_strndup(&w->arena, name, strlen(name)), .file = file};
        if (t->name == NULL) return gn__no_memory(err, strlen(name));
        GN__TRY(read_entry(path, entry, size, t, err));
        t->data = data + t->begin;
        uint32_t found;
        if (!gn__map_put(&w->by_name, name, strlen(name), (uint32_t)w->tensors, &found))
            return gn__no_memory(err, strlen(name));
        if (found != w->tensors) return gn__fail(err, GN_FORMAT, "%s: tensor %s occurs twice", path, name);
        w->tensors++;
    }
    return w->tensors == first ? GN_OK : check_overlap(path, w->tensor + first, w->tensors - first, err);
}

gn_status gn__safetensors_parse(gn__weights *w, size_t file, const char *path, const unsigned char *data,
                                size_t size, gn_error *err)
{
    uint64_t length = 0;
    if (size < 8)
        return gn__fail(err, GN_FORMAT, "%s is no safetensors file: it has only %zu bytes", path, size);
    for (int i = 0; i < 8; i++) length |= (uint64_t)data[i] << 8 * i;
    if (length > size - 8)
        return gn__fail(err, GN_FORMAT,
                        "%s: the header should be %llu bytes long, but the file ends after %zu", path,
                        (unsigned long long)length, size - 8);
    if (length > HEADER_LIMIT)
        return gn__fail(err, GN_FORMAT, "%s: a header of %llu bytes is longer than the %d allowed", path,
                        (unsigned long long)length, (int)HEADER_LIMIT);
    json_error_t where;
    json_t *header = json_loadb((const char *)data + 8, (size_t)length, JSON_REJECT_DUPLICATES, &where);
    if (header == NULL)
        return gn__fail(err, GN_FORMAT, "%s: the header is not valid JSON: byte %d: %s", path, where.position,
                        where.text);
    gn_status status;
    if (json_is_object(header))
        status = read_tensors(w, file, path, header, data + 8 + length, size - 8 - (size_t)length, err);
    else
        status = gn__fail(err, GN_FORMAT, "%s: the header should be a JSON object", path);
    json_decref(header);
    return status;
}

static gn_status add_file(const char *directory, const char *name, gn__weights *w, gn_error *err)
{
    size_t at = w->files;
    char **path = gn__realloc(w->path, at + 1, sizeof *path);
    if (path != NULL) w->path = path;
    gn__mapping *mapping = gn__realloc(w->mapping, at + 1, sizeof *mapping);
    if (mapping != NULL) w->mapping = mapping;
    char *joined = gn__path_join(directory, name);
    if (path == NULL || mapping == NULL || joined == NULL) {
        free(joined);
        return gn__no_memory(err, (at + 1) * sizeof *mapping);
    }
    w->path[at] = joined;
    w->mapping[at] = (gn__mapping){0};
    w->files++;
    GN__TRY(gn__map_file(joined, &w->mapping[at], err));
    return gn__safetensors_parse(w, at, joined, w->mapping[at].data, w->mapping[at].size, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A shard must lie in the model's own folder. */
static bool plain_name(const char *name)
{
    return name[0] != '\0' && strchr(name, '/') == NULL && strcmp(name, "..") != 0 && strcmp(name, ".") != 0;
}

static gn_status open_shards(const char *directory, const gn__config *index, gn__weights *w, gn_error *err)
{
    const json_t *map = json_object_get(index->root, "weight_map");
    if (!json_is_object(map) || json_object_size(map) == 0)
        return gn__fail(err, GN_FORMAT, "%s has no \"weight_map\"", index->path);
    gn_status status = GN_OK;
    const char *tensor;
    const json_t *v;
    size_t n = 0;
    const char **shard = gn__calloc(json_object_size(map), sizeof *shard);
    if (shard == NULL) return gn__no_memory(err, json_object_size(map) * sizeof *shard);
    json_object_foreach((json_t *)(uintptr_t)map, tensor, v)
    {
        const char *name = json_string_value(v);
        if (name == NULL || !plain_name(name)) {
            status =
                gn__fail(err, GN_FORMAT, "%s: tensor %s should name a file of the same folder, not \"%s\"",
                         index->path, tensor, name ? name : "?");
            goto done;
        }
        shard[n++] = name;
    }
    qsort(shard, n, sizeof *shard, by_name);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(shard[i], shard[i - 1]) != 0)
            GN__TRY_GOTO(add_file(directory, shard[i], w, err), done);
    json_object_foreach((json_t *)(uintptr_t)map, tensor, v)
    {
        const gn__tensor *t = gn__weights_find(w, tensor);
        const char *name = json_string_value(v);
        if (t == NULL || strcmp(w->path[t->file] + strlen(w->path[t->file]) - strlen(name), name) != 0) {
            status = gn__fail(err, GN_FORMAT, "%s says that tensor %s is in %s, but it is not", index->path,
                              tensor, name);
            goto done;
        }
    }
done:
    free(shard);
    return status;
}

static bool has(const char *directory, const char *name)
{
    char *path = gn__path_join(directory, name);
    bool found = path != NULL && gn__file_exists(path);
    free(path);
    return found;
}

/* The name of a pickle in the folder, the first in byte order; empty where there is none. */
static gn_status find_pickle(const char *directory, char *name, size_t size, gn_error *err)
{
    DIR *d = opendir(directory);
    if (d == NULL) return gn__fail(err, GN_IO, "cannot open %s: %s", directory, strerror(errno));
    name[0] = '\0';
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        const char *dot = strrchr(e->d_name, '.');
        bool pickle = dot != NULL && (strcmp(dot, ".bin") == 0 || strcmp(dot, ".pt") == 0);
        if (pickle && (name[0] == '\0' || strcmp(e->d_name, name) < 0)) snprintf(name, size, "%s", e->d_name);
    }
    closedir(d);
    return GN_OK;
}

gn_status gn__weights_open(const char *directory, gn__weights *w, gn_error *err)
{
    if (has(directory, "model.safetensors")) return add_file(directory, "model.safetensors", w, err);
    if (has(directory, "model.safetensors.index.json")) {
        gn__config index;
        GN__TRY(gn__config_read(directory, "model.safetensors.index.json", JSON_OBJECT, &index, err));
        gn_status status = open_shards(directory, &index, w, err);
        gn__config_free(&index);
        return status;
    }
    char pickle[NAME_MAX + 1];
    GN__TRY(find_pickle(directory, pickle, sizeof pickle, err));
    if (pickle[0] != '\0')
        return gn__fail(err, GN_UNSUPPORTED,
                        "%1$s has its weights only in %2$s, a pickle, which can run code when it is read; "
                        "convert it once in Python: from transformers import AutoModel; "
                        "AutoModel.from_pretrained(\"%1$s\").save_pretrained(\"%1$s\", "
                        "safe_serialization=True)",
                        directory, pickle);
    return gn__fail(err, GN_IO, "%s has no model.safetensors and no model.safetensors.index.json", directory);
}

void gn__weights_free(gn__weights *w)
{
    for (size_t i = 0; i < w->files; i++) {
        gn__unmap_file(&w->mapping[i]);
        free(w->path[i]);
    }
    free(w->path);
    free(w->mapping);
    free(w->tensor);
    gn__map_free(&w->by_name);
    gn__arena_free(&w->arena);
    *w = (gn__weights){0};
}

const gn__tensor *gn__weights_find(const gn__weights *w, const char *name)
{
    int64_t at = gn__map_get(&w->by_name, name, strlen(name));
    return at < 0 ? NULL : &w->tensor[at];
}

void gn__shape_text(const size_t *shape, size_t rank, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "[");
    for (size_t i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, i ? ", %zu" : "%zu", shape[i]);
    if (used < size) snprintf(text + used, size - used, "]");
}

void gn__tensor_forget(const gn__tensor *t)
{
    gn__mapping part = {t->data, t->end - t->begin};
    gn__forget_pages(&part);
}

void gn__tensor_read(const gn__tensor *t, size_t first, size_t n, float *out)
{
    if (t->type == GN__WEIGHT_F32) {
        memcpy(out, t->data + first * 4, n * 4);
        return;
    }
    const unsigned char *p = t->data + first * 2;
    for (size_t i = 0; i < n; i++, p += 2) {
        uint16_t half = (uint16_t)(p[0] | p[1] << 8);
        out[i] = t->type == GN__WEIGHT_F16 ? gn__f16_to_f32(half) : gn__bf16_to_f32(half);
    }
}
