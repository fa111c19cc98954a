/* Status codes and the error record that every fallible genchi function fills.
 *
 * Convention: a function that can fail returns gn_status and takes `gn_error *err` as its last
 * argument (NULL is allowed). Its out-parameters are written only on GN_OK, unless it says otherwise.
 * The library never exits, never prints and never reads the environment behind the caller's back. */
#ifndef GENCHI_ERROR_H
#define GENCHI_ERROR_H

#include <stdint.h>

#if defined(__GNUC__)
#define GN_API __attribute__((visibility("default")))
#else
#define GN_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* X(NAME, what it means) */
#define GN_STATUS_LIST(X)                   \
    X(OK, "success")                        \
    X(INVALID_ARGUMENT, "invalid argument") \
    X(NO_MEMORY, "out of memory")           \
    X(IO, "input/output error")             \
    X(FORMAT, "malformed file")             \
    X(UNSUPPORTED, "unsupported")           \
    X(DATA, "unusable data")                \
    X(NUMERIC, "numerical failure")         \
    X(CANCELLED, "cancelled")

typedef enum gn_status {
#define GN_STATUS_ENUM(name, text) GN_##name,
    GN_STATUS_LIST(GN_STATUS_ENUM)
#undef GN_STATUS_ENUM
} gn_status;

typedef enum gn_lang { GN_LANG_EN, GN_LANG_JA } gn_lang;

/* Set `lang` before the call to receive the message in that language; the rest is written on failure.
 * `line` is the 1-based line of the input file the message speaks of, 0 where there is none.
 * A zeroed struct is valid (English). */
typedef struct gn_error {
    gn_status code;
    gn_lang lang;
    int64_t line;
    char message[1024]; /* UTF-8, one sentence: what was expected, what was found, where */
} gn_error;

/* A short English name of the status ("malformed file"). Never NULL; static storage. */
GN_API const char *gn_status_text(gn_status status);

/* "0.1.0"; static storage. */
GN_API const char *gn_version(void);

#ifdef __cplusplus
}
#endif
#endif
