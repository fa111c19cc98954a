/* One JSON object a line, through jansson. */
#include "data/data.h"

#include <jansson.h>
#include <stdio.h>

gn__json *gn__json_line(const char *s, size_t n, gn_lang lang, char reason[120])
{
    json_error_t e;
    json_t *j = json_loadb(s, n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
    if (j == NULL) {
        gn__reason(reason, gn__translate(lang, "broken JSON at byte %d: %s"), e.position, e.text);
    } else if (!json_is_object(j)) {
        json_decref(j);
        j = NULL;
        gn__reason(reason, "%s", gn__translate(lang, "the line is not a JSON object"));
    }
    return j;
}

void gn__json_free(gn__json *j)
{
    json_decref(j);
}

void gn__json_keys(gn__json *j, void (*visit)(void *arg, const char *key), void *arg)
{
    for (void *i = json_object_iter(j); i != NULL; i = json_object_iter_next(j, i))
        visit(arg, json_object_iter_key(i));
}

/* The shortest of %.15g, %.16g, %.17g that reads back the same; whole numbers without a fraction, so that a
 * label column that some tool turned into 4.0 still matches "4". */
static void append_number(gn__buf *out, double x)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        for (char *p = text; *p != '\0'; p++) /* whatever the locale's decimal sign is */
            if (*p == ',') *p = '.';
        json_t *again = json_loads(text, JSON_DECODE_ANY, NULL);
        bool same = again != NULL && json_number_value(again) == x;
        json_decref(again);
        if (same) break;
    }
    gn__buf_puts(out, text);
}

gn__json_kind gn__json_value(gn__json *j, const char *key, gn__buf *out)
{
    const json_t *v = json_object_get(j, key);
    if (v == NULL) return GN__JSON_MISSING;
    switch (json_typeof(v)) {
    case JSON_STRING: {
        const char *s = json_string_value(v);
        size_t n = json_string_length(v), at = 0;
        while (at < n) {
            size_t k = strnlen(s + at, n - at);
            gn__buf_append(out, s + at, k);
            at += k;
            if (at < n) {
                gn__buf_puts(out, "\xEF\xBF\xBD"); /* U+0000 as U+FFFD */
                at++;
            }
        }
        return GN__JSON_STRING;
    }
    case JSON_INTEGER:
        gn__buf_printf(out, "%lld", (long long)json_integer_value(v));
        return GN__JSON_SCALAR;
    case JSON_REAL:
        append_number(out, json_real_value(v));
        return GN__JSON_SCALAR;
    case JSON_TRUE:
    case JSON_FALSE:
        gn__buf_puts(out, json_is_true(v) ? "true" : "false");
        return GN__JSON_SCALAR;
    case JSON_NULL:
        return GN__JSON_NULL;
    default:
        return GN__JSON_NESTED;
    }
}
