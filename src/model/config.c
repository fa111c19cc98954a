#include "model/config.h"

enum { LIMIT = 64 << 20 }; /* bytes of a settings file; a shard index of a large model is a few MB */

gn_status gn__config_read(const char *directory, const char *name, json_type want, gn__config *out,
                          gn_error *err)
{
    gn_status status;
    char *text = NULL;
    size_t length;
    json_error_t where;
    gn__config c = {0};
    c.path = gn__path_join(directory, name);
    if (c.path == NULL) return gn__no_memory(err, strlen(directory));
    GN__TRY_GOTO(gn__read_file(c.path, LIMIT, &text, &length, err), done);
    c.root = json_loadb(text, length, 0, &where);
    if (c.root == NULL) {
        status = gn__fail_at(err, GN_FORMAT, where.line, "%s is not valid JSON: line %d: %s", c.path,
                             where.line, where.text);
        goto done;
    }
    if (json_typeof(c.root) != want) {
        status = gn__fail(err, GN_FORMAT,
                          want == JSON_ARRAY ? "%s should hold a JSON list" : "%s should hold a JSON object",
                          c.path);
        goto done;
    }
    *out = c;
    c = (gn__config){0};
done:
    free(text);
    gn__config_free(&c);
    return status;
}

void gn__config_free(gn__config *c)
{
    json_decref(c->root);
    free(c->path);
    *c = (gn__config){0};
}

/* NULL where absent or null. */
static const json_t *value_of(const gn__config *c, const char *key)
{
    const json_t *v = json_object_get(c->root, key);
    return json_is_null(v) ? NULL : v;
}

gn_status gn__config_size(const gn__config *c, const char *key, size_t otherwise, size_t limit, size_t *out,
                          gn_error *err)
{
    const json_t *v = value_of(c, key);
    if (v == NULL && otherwise > 0) {
        *out = otherwise;
        return GN_OK;
    }
    if (v == NULL) return gn__fail(err, GN_FORMAT, "%s does not say \"%s\"", c->path, key);
    json_int_t n = json_integer_value(v); /* 0 for what is no integer */
    if (n < 1 || (uint64_t)n > limit)
        return gn__fail(err, GN_FORMAT, "%s: \"%s\" should be a whole number from 1 to %zu", c->path, key,
                        limit);
    *out = (size_t)n;
    return GN_OK;
}

gn_status gn__config_count(const gn__config *c, const char *key, size_t otherwise, size_t limit, size_t *out,
                           gn_error *err)
{
    const json_t *v = value_of(c, key);
    json_int_t n = v == NULL ? (json_int_t)otherwise : json_is_integer(v) ? json_integer_value(v) : -1;
    if (n < 0 || (uint64_t)n > limit)
        return gn__fail(err, GN_FORMAT, "%s: \"%s\" should be a whole number from 0 to %zu", c->path, key,
                        limit);
    *out = (size_t)n;
    return GN_OK;
}

gn_status gn__config_number(const gn__config *c, const char *key, double otherwise, double *out,
                            gn_error *err)
{
    const json_t *v = value_of(c, key);
    if (v != NULL && !json_is_number(v))
        return gn__fail(err, GN_FORMAT, "%s: \"%s\" should be a number", c->path, key);
    *out = v == NULL ? otherwise : json_number_value(v);
    return GN_OK;
}

gn_status gn__config_bool(const gn__config *c, const char *key, bool otherwise, bool *out, gn_error *err)
{
    const json_t *v = value_of(c, key);
    if (v != NULL && !json_is_boolean(v))
        return gn__fail(err, GN_FORMAT, "%s: \"%s\" should be true or false", c->path, key);
    *out = v == NULL ? otherwise : json_is_true(v);
    return GN_OK;
}

const char *gn__config_string(const gn__config *c, const char *key)
{
    return json_string_value(json_object_get(c->root, key));
}
