#include "text/json.h"

const char *gn__tok_word(const gn__tok_source *source, const char *english)
{
    return gn__translate(source->err == NULL ? GN_LANG_EN : source->err->lang, english);
}

gn_status gn__tok_not_an_object(const gn__tok_source *source, const char *what)
{
    return gn__fail(source->err, GN_FORMAT, "%s: the %s must be an object", source->file,
                    gn__tok_word(source, what));
}

gn_status gn__tok_bad_field(const gn__tok_source *source, const char *name, const char *key, const char *what)
{
    return gn__fail(source->err, GN_FORMAT, "%s: %s: the field \"%s\" must be %s", source->file,
                    gn__tok_word(source, name), key, gn__tok_word(source, what));
}

static bool absent(const json_t *value, gn__tok_need need)
{
    return need == GN__TOK_OPTIONAL && (value == NULL || json_is_null(value));
}

gn_status gn__tok_bool(const gn__tok_source *source, const char *name, const json_t *part, const char *key,
                       gn__tok_need need, bool *out)
{
    const json_t *value = json_object_get(part, key);
    if (absent(value, need)) return GN_OK;
    if (!json_is_boolean(value)) return gn__tok_bad_field(source, name, key, "true or false");
    *out = json_is_true(value);
    return GN_OK;
}

gn_status gn__tok_integer(const gn__tok_source *source, const char *name, const json_t *part, const char *key,
                          int64_t low, int64_t high, int64_t *out)
{
    const json_t *value = json_object_get(part, key);
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < low || n > high)
        return gn__fail(source->err, GN_FORMAT,
                        "%s: %s: the field \"%s\" must be a whole number from %lld to %lld", source->file,
                        gn__tok_word(source, name), key, (long long)low, (long long)high);
    *out = n;
    return GN_OK;
}

gn_status gn__tok_string(const gn__tok_source *source, const char *name, const json_t *part, const char *key,
                         gn__tok_need need, const char **out)
{
    const json_t *value = json_object_get(part, key);
    if (absent(value, need)) return GN_OK;
    if (!json_is_string(value)) return gn__tok_bad_field(source, name, key, "a string");
    *out = json_string_value(value);
    return GN_OK;
}

gn_status gn__tok_array(const gn__tok_source *source, const char *name, const json_t *part, const char *key,
                        const json_t **out)
{
    const json_t *value = json_object_get(part, key);
    if (!json_is_array(value)) return gn__tok_bad_field(source, name, key, "a list");
    *out = value;
    return GN_OK;
}
