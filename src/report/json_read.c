#include "report/json_fields.h"

#include "decide/reasons.h"
#include "report/json_read.h"

#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>

/* Far above any real report; keeps a wrong file from filling the memory. */
enum { MAX_FILE = 256 << 20 };

typedef struct reader {
    const char *file; /* for messages */
    gn_result *result;
    gn_error *err;
    char path[256]; /* "shift.auc.low" */
} reader;

static gn_status read_fields(reader *r, const gn__field *f, json_t *object, char *base);

static const char *found(const json_t *v)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
        [JSON_INTEGER] = "an integer", [JSON_REAL] = "a number",  [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",        [JSON_NULL] = "null"};
    return v == NULL ? "nothing" : names[json_typeof(v)];
}

static const char *word(const reader *r, const char *english)
{
    return gn__translate(r->err != NULL ? r->err->lang : GN_LANG_EN, english);
}

static gn_status expected(reader *r, const char *what, const json_t *v)
{
    return gn__fail(r->err, GN_FORMAT, "%s: %s: expected %s, found %s", r->file, r->path, word(r, what),
                    word(r, found(v)));
}

static gn_status bad(reader *r, const char *what)
{
    return gn__fail(r->err, GN_FORMAT, "%s: %s: expected %s", r->file, r->path, word(r, what));
}

/* Appends to the path and returns its former length, to be restored. */
static size_t enter(reader *r, const char *key)
{
    size_t length = strlen(r->path);
    snprintf(r->path + length, sizeof r->path - length, "%s%s", length > 0 ? "." : "", key);
    return length;
}

static size_t enter_index(reader *r, size_t i)
{
    size_t length = strlen(r->path);
    snprintf(r->path + length, sizeof r->path - length, "[%zu]", i);
    return length;
}

static gn_status read_copy(reader *r, json_t *v, bool or_null, char **out)
{
    if (or_null && json_is_null(v)) return GN_OK;
    if (!json_is_string(v)) return expected(r, or_null ? "a string or null" : "a string", v);
    *out = gn__strdup(json_string_value(v));
    return *out != NULL ? GN_OK : gn__no_memory(r->err, json_string_length(v));
}

static gn_status read_chars(reader *r, json_t *v, char *out, size_t size)
{
    if (!json_is_string(v)) return expected(r, "a string", v);
    if (json_string_length(v) >= size) return bad(r, "a shorter string");
    memcpy(out, json_string_value(v), json_string_length(v) + 1);
    return GN_OK;
}

static gn_status read_integer(reader *r, json_t *v, json_int_t most, json_int_t *out)
{
    if (!json_is_integer(v)) return expected(r, "an integer", v);
    *out = json_integer_value(v);
    return *out >= 0 && *out <= most ? GN_OK : bad(r, "a smaller integer that is not negative");
}

static gn_status read_seed(reader *r, json_t *v, uint64_t *out)
{
    if (!json_is_string(v)) {
        json_int_t seed = 0;
        GN__TRY(read_integer(r, v, INT64_MAX, &seed));
        *out = (uint64_t)seed;
        return GN_OK;
    }
    uint64_t seed = 0;
    const char *s = json_string_value(v);
    do {
        unsigned digit = (unsigned char)*s - (unsigned)'0';
        if (digit > 9 || __builtin_mul_overflow(seed, (uint64_t)10, &seed) ||
            __builtin_add_overflow(seed, (uint64_t)digit, &seed))
            return bad(r, "a whole number below 2^64");
    } while (*++s != '\0');
    *out = seed;
    return GN_OK;
}

static gn_status read_number(reader *r, json_t *v, double *out)
{
    if (json_is_null(v))
        *out = NAN;
    else if (json_is_number(v))
        *out = json_number_value(v);
    else
        return expected(r, "a number or null", v);
    return GN_OK;
}

static gn_status read_numbers(reader *r, json_t *v, size_t n, double *out)
{
    if (!json_is_array(v)) return expected(r, "an array", v);
    if (json_array_size(v) != n)
        return gn__fail(r->err, GN_FORMAT, "%s: %s: expected %zu entries, found %zu", r->file, r->path, n,
                        json_array_size(v));
    for (size_t i = 0; i < n; i++) {
        size_t length = enter_index(r, i);
        GN__TRY(read_number(r, json_array_get(v, i), &out[i]));
        r->path[length] = '\0';
    }
    return GN_OK;
}

static gn_status read_interval(reader *r, json_t *v, gn_interval *out)
{
    if (!json_is_object(v)) return expected(r, "an object", v);
    const struct {
        const char *key;
        double *to;
    } ends[] = {{"estimate", &out->estimate}, {"low", &out->low}, {"high", &out->high}};
    for (int i = 0; i < 3; i++) {
        size_t length = enter(r, ends[i].key);
        GN__TRY(read_number(r, json_object_get(v, ends[i].key), ends[i].to));
        r->path[length] = '\0';
    }
    return GN_OK;
}

static gn_status read_name(reader *r, json_t *v, const char *const *names, unsigned *out)
{
    if (!json_is_string(v)) return expected(r, "a string", v);
    unsigned i = 0;
    while (names[i] != NULL && strcmp(names[i], json_string_value(v)) != 0) i++;
    *out = i;
    return names[i] != NULL ? GN_OK : bad(r, "one of the documented names");
}

/* `to` is the address of a pointer to some struct: stored as bytes, because its type is not known here. */
static gn_status read_array(reader *r, const gn__field *f, json_t *v, void *to, size_t *count)
{
    if (!json_is_array(v)) return expected(r, "an array", v);
    size_t n = json_array_size(v);
    char *data = gn__calloc(n, f->size);
    if (data == NULL) return gn__no_memory(r->err, n);
    memcpy(to, &data, sizeof data);
    if (count != NULL) *count = n;
    for (size_t i = 0; i < n; i++) {
        size_t length = enter_index(r, i);
        GN__TRY(read_fields(r, f->of, json_array_get(v, i), data + i * f->size));
        r->path[length] = '\0';
    }
    return GN_OK;
}

static gn_status check_classes(reader *r, json_t *v)
{
    if (!json_is_array(v)) return expected(r, "an array or null", v);
    return json_array_size(v) == (size_t)r->result->classes ? GN_OK : bad(r, "one entry a class");
}

static gn_status read_class_rows(reader *r, json_t *v, size_t **out)
{
    if (json_is_null(v)) return GN_OK;
    GN__TRY(check_classes(r, v));
    size_t n = json_array_size(v);
    *out = gn__calloc(n, sizeof **out);
    if (*out == NULL) return gn__no_memory(r->err, n);
    for (size_t i = 0; i < n; i++) {
        json_int_t rows = 0;
        size_t length = enter_index(r, i);
        GN__TRY(read_integer(r, json_array_get(v, i), INT64_MAX, &rows));
        r->path[length] = '\0';
        (*out)[i] = (size_t)rows;
    }
    return GN_OK;
}

static gn_status read_strings(reader *r, json_t *v, char ***out, size_t *count)
{
    if (!json_is_array(v)) return expected(r, "an array", v);
    size_t n = json_array_size(v);
    *out = gn__calloc(n, sizeof **out);
    if (*out == NULL) return gn__no_memory(r->err, n);
    *count = n;
    for (size_t i = 0; i < n; i++) {
        size_t length = enter_index(r, i);
        GN__TRY(read_copy(r, json_array_get(v, i), false, &(*out)[i]));
        r->path[length] = '\0';
    }
    return GN_OK;
}

/* The number is an int: set only when it fits, and only with the names, so that freeing is always right. */
static gn_status read_class_names(reader *r, json_t *v, char ***out, int *count)
{
    if (json_is_array(v) && json_array_size(v) > INT32_MAX) return bad(r, "fewer classes");
    size_t n = 0;
    gn_status status = read_strings(r, v, out, &n);
    *count = (int)n;
    return status;
}

static gn_status read_steps(reader *r, json_t *v, unsigned *out)
{
    if (!json_is_array(v)) return expected(r, "an array", v);
    for (size_t i = 0; i < json_array_size(v); i++) {
        unsigned bit = 0;
        size_t length = enter_index(r, i);
        GN__TRY(read_name(r, json_array_get(v, i), gn__step_names, &bit));
        r->path[length] = '\0';
        *out |= 1u << bit;
    }
    return GN_OK;
}

static gn_status read_malformed(reader *r, json_t *v, gn_set_info *s)
{
    if (!json_is_array(v)) return expected(r, "an array", v);
    size_t n = json_array_size(v);
    s->malformed_line = gn__calloc(n, sizeof *s->malformed_line);
    s->malformed_reason = gn__calloc(n, sizeof *s->malformed_reason);
    if (s->malformed_line == NULL || s->malformed_reason == NULL) return gn__no_memory(r->err, n);
    s->malformed = n;
    for (size_t i = 0; i < n; i++) {
        json_t *row = json_array_get(v, i);
        json_int_t line = 0;
        size_t length = enter_index(r, i);
        if (!json_is_object(row)) return expected(r, "an object", row);
        size_t inner = enter(r, "line");
        GN__TRY(read_integer(r, json_object_get(row, "line"), INT64_MAX, &line));
        s->malformed_line[i] = line;
        r->path[inner] = '\0';
        enter(r, "reason");
        GN__TRY(read_copy(r, json_object_get(row, "reason"), false, &s->malformed_reason[i]));
        r->path[length] = '\0';
    }
    return GN_OK;
}

static gn_status read_reason(reader *r, json_t *v, gn_reason *out)
{
    if (!json_is_object(v)) return expected(r, "an object", v);
    json_t *id = json_object_get(v, "id"), *values = json_object_get(v, "values");
    size_t length = enter(r, "id");
    if (!json_is_string(id)) return expected(r, "a string", id);
    gn__reason_id which = gn__reason_find(json_string_value(id));
    if (which == GN__REASON_COUNT) return bad(r, "one of the documented names");
    r->path[length] = '\0';
    enter(r, "stance");
    unsigned stance = 0;
    GN__TRY(read_name(r, json_object_get(v, "stance"), gn__stance_names, &stance));
    r->path[length] = '\0';
    enter(r, "values");
    const gn__reason_info *info = gn__reason_get(which);
    *out = (gn_reason){.id = info->id, .stance = (gn_stance)stance, .values = info->values};
    GN__TRY(read_numbers(r, values, (size_t)info->values, out->value));
    r->path[length] = '\0';
    return GN_OK;
}

static gn_status read_reasons(reader *r, json_t *v, size_t most, gn_reason *out, int *count)
{
    if (!json_is_array(v)) return expected(r, "an array", v);
    if (json_array_size(v) > most) return bad(r, "fewer entries");
    for (size_t i = 0; i < json_array_size(v); i++) {
        size_t length = enter_index(r, i);
        GN__TRY(read_reason(r, json_array_get(v, i), &out[i]));
        r->path[length] = '\0';
    }
    *count = (int)json_array_size(v);
    return GN_OK;
}

static gn_status read_grid(reader *r, json_t *v, size_t n, double **out)
{
    if (json_is_null(v)) return GN_OK;
    if (!json_is_array(v)) return expected(r, "an array or null", v);
    *out = json_array_size(v) == n ? gn__calloc(n, sizeof **out) : NULL;
    if (*out == NULL && json_array_size(v) == n) return gn__no_memory(r->err, n * sizeof **out);
    return read_numbers(r, v, n, *out);
}

static gn_status read_value(reader *r, const gn__field *f, json_t *v, char *base)
{
    void *p = base + f->offset;
    void *count = base + f->count;
    json_int_t n = 0;
    double x = 0;
    unsigned name = 0;
    switch (f->kind) {
    case GN__KIND_STRING:
        return read_copy(r, v, true, p);
    case GN__KIND_CHARS:
        return read_chars(r, v, p, f->size);
    case GN__KIND_NAME:
        if (json_is_null(v)) return GN_OK;
        GN__TRY(read_name(r, v, f->names, &name));
        *(const char **)p = f->names[name];
        return GN_OK;
    case GN__KIND_BOOL:
    case GN__KIND_GUARD:
        if (!json_is_boolean(v)) return expected(r, "true or false", v);
        *(bool *)p = json_is_true(v);
        return GN_OK;
    case GN__KIND_INT:
        GN__TRY(read_integer(r, v, INT32_MAX, &n));
        *(int *)p = (int)n;
        return GN_OK;
    case GN__KIND_UNSIGNED:
        GN__TRY(read_integer(r, v, UINT32_MAX, &n));
        *(unsigned *)p = (unsigned)n;
        return GN_OK;
    case GN__KIND_SIZE:
        GN__TRY(read_integer(r, v, INT64_MAX, &n));
        *(size_t *)p = (size_t)n;
        return GN_OK;
    case GN__KIND_LINE:
        GN__TRY(read_integer(r, v, INT64_MAX, &n));
        *(int64_t *)p = n;
        return GN_OK;
    case GN__KIND_SEED:
        return read_seed(r, v, p);
    case GN__KIND_DOUBLE:
        return read_number(r, v, p);
    case GN__KIND_FLOAT:
        GN__TRY(read_number(r, v, &x));
        if (fabs(x) > FLT_MAX) return bad(r, "a smaller number");
        *(float *)p = (float)x;
        return GN_OK;
    case GN__KIND_LABEL:
        *(int *)p = -1;
        if (json_is_null(v)) return GN_OK;
        GN__TRY(read_integer(r, v, INT32_MAX, &n));
        if (n >= r->result->classes) return bad(r, "the index of a class");
        *(int *)p = (int)n;
        return GN_OK;
    case GN__KIND_ENUM:
        return read_name(r, v, f->names, p);
    case GN__KIND_INTERVAL:
        if (v == NULL && f->size == 1) {
            *(gn_interval *)p = (gn_interval){NAN, NAN, NAN};
            return GN_OK;
        }
        return read_interval(r, v, p);
    case GN__KIND_OPTIONAL:
        *(bool *)count = !json_is_null(v);
        if (v != NULL && json_is_null(v)) return GN_OK;
        return read_fields(r, f->of, v, p);
    case GN__KIND_OBJECT:
        return read_fields(r, f->of, v, p);
    case GN__KIND_STEP:
        if (r->result->steps & f->size) return read_fields(r, f->of, v, p);
        return v == NULL || json_is_null(v) ? GN_OK /* older results lack the key */
                                            : expected(r, "null: the step was not run", v);
    case GN__KIND_STEPS:
        return read_steps(r, v, p);
    case GN__KIND_ARRAY:
        return read_array(r, f, v, p, count);
    case GN__KIND_BY_CLASS:
        if (json_is_null(v)) return GN_OK;
        GN__TRY(check_classes(r, v));
        return read_array(r, f, v, p, NULL);
    case GN__KIND_CLASS_NAMES:
        return read_class_names(r, v, p, count);
    case GN__KIND_CLASS_ROWS:
        return read_class_rows(r, v, p);
    case GN__KIND_STRINGS:
        return read_strings(r, v, p, count);
    case GN__KIND_PAIR:
        return read_numbers(r, v, 2, p);
    case GN__KIND_NUMBERS: {
        double **numbers = p;
        if (!json_is_array(v)) return expected(r, "an array", v);
        *numbers = gn__calloc(json_array_size(v), sizeof **numbers);
        if (*numbers == NULL) return gn__no_memory(r->err, json_array_size(v));
        *(size_t *)count = json_array_size(v);
        return read_numbers(r, v, json_array_size(v), *numbers);
    }
    case GN__KIND_GRID:
        return read_grid(r, v, f->size, p);
    case GN__KIND_MALFORMED:
        return read_malformed(r, v, p);
    case GN__KIND_REASONS:
        return read_reasons(r, v, f->size, p, count);
    case GN__KIND_INLINE:
    case GN__KIND_END:
        break;
    }
    return GN_OK;
}

static gn_status read_field(reader *r, const gn__field *f, json_t *object, char *base)
{
    if (f->kind == GN__KIND_INLINE) return read_fields(r, f->of, object, base + f->offset);
    size_t length = enter(r, f->key);
    GN__TRY(read_value(r, f, json_object_get(object, f->key), base));
    r->path[length] = '\0';
    return GN_OK;
}

static gn_status read_fields(reader *r, const gn__field *f, json_t *object, char *base)
{
    if (!json_is_object(object)) return expected(r, "an object", object);
    for (; f->kind != GN__KIND_END; f++) {
        GN__TRY(read_field(r, f, object, base));
        if (f->kind != GN__KIND_GUARD || *(bool *)(base + f->offset)) continue;
        for (size_t i = 1; i <= f->size; i++) GN__TRY(read_field(r, &f[i], object, base));
        return GN_OK;
    }
    return GN_OK;
}

static gn_status read_root(reader *r, json_t *root)
{
    const json_t *schema = json_object_get(root, "schema");
    const char *found_schema = json_is_string(schema) ? json_string_value(schema) : "";
    if (strncmp(found_schema, GN__SCHEMA_PREFIX, strlen(GN__SCHEMA_PREFIX)) != 0)
        return gn__fail(r->err, GN_FORMAT, "%s is not a result of genchi check: it has no \"schema\": \"%s\"",
                        r->file, GN__SCHEMA);
    if (strcmp(found_schema, GN__SCHEMA) != 0)
        return gn__fail(r->err, GN_UNSUPPORTED, "%s has the schema %.40s; this version reads %s", r->file,
                        found_schema, GN__SCHEMA);
    return read_fields(r, gn__result_fields, root, (char *)r->result);
}

gn_status gn__result_parse(const char *name, const char *text, size_t length, gn_result *out, gn_error *err)
{
    json_error_t where;
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL)
        return gn__fail_at(err, GN_FORMAT, where.line > 0 ? where.line : 0,
                           "%s, line %d: not valid JSON (%s)", name, where.line > 0 ? where.line : 1,
                           where.text);
    gn_result result = {0};
    reader r = {.file = name, .result = &result, .err = err};
    gn_status status = read_root(&r, root);
    json_decref(root);
    if (status == GN_OK)
        *out = result;
    else
        gn_result_free(&result);
    return status;
}

gn_status gn_result_read(const char *path, gn_result *out, gn_error *err)
{
    char *text = NULL;
    size_t length = 0;
    GN__TRY(gn__read_file(path, MAX_FILE, &text, &length, err));
    gn_status status = gn__result_parse(path, text, length, out, err);
    free(text);
    return status;
}
