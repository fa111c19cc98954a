/* JSON settings files, with errors that name the file and the key. */
#ifndef GENCHI_MODEL_CONFIG_H
#define GENCHI_MODEL_CONFIG_H

#include "core/core.h"

#include <jansson.h>

typedef struct gn__config {
    json_t *root;
    char *path;
} gn__config;

/* Reads directory/name, which must hold an object (want: JSON_OBJECT) or a list (JSON_ARRAY). */
gn_status gn__config_read(const char *directory, const char *name, json_type want, gn__config *out,
                          gn_error *err);
void gn__config_free(gn__config *c); /* a zeroed struct is allowed */

/* A whole number in [1, limit]. Absent or null: `otherwise`, or an error where that is 0. */
gn_status gn__config_size(const gn__config *c, const char *key, size_t otherwise, size_t limit, size_t *out,
                          gn_error *err);
/* The same in [0, limit]; absent or null: `otherwise`. */
gn_status gn__config_count(const gn__config *c, const char *key, size_t otherwise, size_t limit, size_t *out,
                           gn_error *err);
gn_status gn__config_number(const gn__config *c, const char *key, double otherwise, double *out,
                            gn_error *err);
gn_status gn__config_bool(const gn__config *c, const char *key, bool otherwise, bool *out, gn_error *err);
/* NULL where absent or not a string; owned by c. */
const char *gn__config_string(const gn__config *c, const char *key);

#endif
