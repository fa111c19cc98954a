/* Fields of tokenizer.json, with messages that name the part and the field. */
#ifndef GENCHI_TEXT_JSON_H
#define GENCHI_TEXT_JSON_H

#include "core/core.h"

#include <jansson.h>

/* Where a description comes from, and where errors about it go. */
typedef struct gn__tok_source {
    const char *file;
    gn_error *err;
} gn__tok_source;

typedef enum gn__tok_need { GN__TOK_REQUIRED, GN__TOK_OPTIONAL } gn__tok_need; /* optional: absent or null */

/* Each reads part[key]; an optional field that is not there leaves *out alone. `name` is the part's, for
 * the message. */
gn_status gn__tok_bool(const gn__tok_source *source, const char *name, const json_t *part, const char *key,
                       gn__tok_need need, bool *out);
gn_status gn__tok_integer(const gn__tok_source *source, const char *name, const json_t *part, const char *key,
                          int64_t low, int64_t high, int64_t *out);
/* *out points into the JSON. */
gn_status gn__tok_string(const gn__tok_source *source, const char *name, const json_t *part, const char *key,
                         gn__tok_need need, const char **out);
gn_status gn__tok_array(const gn__tok_source *source, const char *name, const json_t *part, const char *key,
                        const json_t **out);
/* A word of ours that goes into a message, in the message's language. */
const char *gn__tok_word(const gn__tok_source *source, const char *english);
/* "%s: the %s must be an object" */
gn_status gn__tok_not_an_object(const gn__tok_source *source, const char *what);
/* "%s: %s: the field \"%s\" must be %s" */
gn_status gn__tok_bad_field(const gn__tok_source *source, const char *name, const char *key,
                            const char *what);

#endif
