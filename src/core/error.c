#include "core/core.h"

#include <stdio.h>

const char *gn_status_text(gn_status status)
{
    static const char *const text[] = {
#define GN_STATUS_TEXT(name, words) words,
        GN_STATUS_LIST(GN_STATUS_TEXT)
#undef GN_STATUS_TEXT
    };
    size_t i = (size_t)status;
    return i < sizeof text / sizeof *text ? text[i] : "unknown status";
}

const char *gn_version(void)
{
    return GN_VERSION;
}

/* Cuts a truncated message at a code point, so that it stays well-formed UTF-8. */
static void trim_partial_character(char *s, size_t capacity)
{
    size_t n = strlen(s);
    if (n + 1 < capacity) return;
    while (n > 0 && ((unsigned char)s[n - 1] & 0xC0) == 0x80) n--;
    if (n > 0 && (unsigned char)s[n - 1] >= 0xC0) n--;
    s[n] = '\0';
}

static gn_status fail(gn_error *err, gn_status code, int64_t line, const char *format, va_list args)
{
    if (err == NULL) return code;
    err->code = code;
    err->line = line;
    vsnprintf(err->message, sizeof err->message, gn__translate(err->lang, format), args);
    trim_partial_character(err->message, sizeof err->message);
    return code;
}

gn_status gn__fail(gn_error *err, gn_status code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail(err, code, 0, format, args);
    va_end(args);
    return code;
}

gn_status gn__fail_at(gn_error *err, gn_status code, int64_t line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail(err, code, line, format, args);
    va_end(args);
    return code;
}

gn_status gn__no_memory(gn_error *err, size_t bytes)
{
    return gn__fail(err, GN_NO_MEMORY, "out of memory (%zu bytes asked for)", bytes);
}
