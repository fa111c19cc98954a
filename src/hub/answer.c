#include "hub/answer.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

/* One entry of "data" into its row. *rows is made by the first, when the dimensions are known. */
static gn_status read_entry(const char *url, const json_t *entry, size_t count, size_t *dim, float **rows,
                            bool *seen, gn_error *err)
{
    const json_t *index = json_object_get(entry, "index"), *list = json_object_get(entry, "embedding"), *v;
    size_t i, at, n = json_array_size(list);
    if (!json_is_integer(index) || json_integer_value(index) < 0 ||
        (size_t)json_integer_value(index) >= count)
        return gn__fail(err, GN_FORMAT, "%s: an embedding's \"index\" should be a number from 0 to %zu", url,
                        count - 1);
    at = (size_t)json_integer_value(index);
    if (seen[at]) return gn__fail(err, GN_FORMAT, "%s: two embeddings have the \"index\" %zu", url, at);
    seen[at] = true;
    if (!json_is_array(list) || n == 0)
        return gn__fail(err, GN_FORMAT, "%s: \"embedding\" should be a list of numbers", url);
    if (*dim == 0) *dim = n;
    if (n != *dim)
        return gn__fail(err, GN_FORMAT, "%s: an embedding has %zu dimensions where %zu were expected", url, n,
                        *dim);
    if (*rows == NULL) {
        size_t cells;
        if (gn__mul_size(count, *dim, &cells)) *rows = gn__calloc(cells, sizeof **rows);
        if (*rows == NULL) return gn__no_memory(err, count * *dim * sizeof **rows);
    }
    json_array_foreach(list, i, v)
    {
        float x = (float)json_number_value(v);
        if (!json_is_number(v))
            return gn__fail(err, GN_FORMAT, "%s: \"embedding\" should be a list of numbers", url);
        if (!isfinite(x))
            return gn__fail(err, GN_NUMERIC, "%s: an embedding has a number beyond float32", url);
        (*rows)[at * *dim + i] = x;
    }
    return GN_OK;
}

gn_status gn__answer_read(const char *url, const char *json, size_t length, size_t count, size_t *dim,
                          float **rows, size_t *tokens, gn_error *err)
{
    json_error_t where;
    json_t *root = json_loadb(json, length, 0, &where);
    const json_t *data = json_object_get(root, "data"), *entry;
    const json_t *used = json_object_get(json_object_get(root, "usage"), "total_tokens");
    size_t i, n = json_array_size(data), found_dim = *dim;
    float *found = NULL;
    bool *seen = gn__calloc(count, sizeof *seen);
    gn_status status = GN_OK;
    if (seen == NULL)
        status = gn__no_memory(err, count);
    else if (!json_is_array(data))
        status = gn__fail(err, GN_FORMAT, "%s: the answer should be JSON with a list \"data\"", url);
    else if (n != count)
        status =
            gn__fail(err, GN_FORMAT, "%s: %zu texts were sent, but %zu embeddings came back", url, count, n);
    if (status == GN_OK) json_array_foreach(data, i, entry)
        {
            status = read_entry(url, entry, count, &found_dim, &found, seen, err);
            if (status != GN_OK) break;
        }
    if (status == GN_OK) {
        *dim = found_dim;
        *rows = found;
        *tokens =
            json_is_integer(used) && json_integer_value(used) > 0 ? (size_t)json_integer_value(used) : 0;
    } else {
        free(found);
    }
    free(seen);
    json_decref(root);
    return status;
}

void gn__answer_words(const char *json, size_t length, const char *secret, char *out, size_t size)
{
    json_error_t where;
    json_t *root = json_loadb(json, length, 0, &where);
    const json_t *e = json_object_get(root, "error");
    const char *words = json_string_value(json_object_get(e, "message"));
    static const char *const others[] = {"message", "detail", "error"};
    for (size_t i = 0; words == NULL && i < sizeof others / sizeof *others; i++)
        words = json_string_value(json_object_get(root, others[i]));
    size_t hidden = secret != NULL ? strlen(secret) : 0, used = 0;
    const char *c = words ? words : "";
    while (*c != '\0' && used + 4 < size) {
        if (hidden > 0 && strncmp(c, secret, hidden) == 0) {
            memcpy(out + used, "***", 3);
            used += 3;
            c += hidden;
        } else {
            out[used++] = (unsigned char)*c < 0x20 || *c == 0x7F ? ' ' : *c;
            c++;
        }
    }
    if (((unsigned char)*c & 0xC0) == 0x80) { /* cut inside a character */
        while (used > 0 && ((unsigned char)out[used - 1] & 0xC0) == 0x80) used--;
        if (used > 0) used--;
    }
    out[used] = '\0';
    json_decref(root);
}
