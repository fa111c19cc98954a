/* Which files of a model are wanted. */
#ifndef GENCHI_HUB_LISTING_H
#define GENCHI_HUB_LISTING_H

#include "core/core.h"

typedef struct gn__hub_file {
    char *path;
    int64_t size;    /* -1: the list does not say */
    char sha256[65]; /* of large files; empty: not said */
} gn__hub_file;

typedef struct gn__listing {
    char commit[41];
    gn__hub_file *file; /* [files], the wanted ones only, in byte order */
    size_t files;
    gn__arena arena;
} gn__listing;

/* Reads the hub's answer about a model and keeps what genchi reads of it. Errors: GN_FORMAT (not such an
 * answer; a file name that leads out of the folder); GN_UNSUPPORTED (no config.json, no safetensors). Free
 * with gn__listing_free, also after a failure. */
gn_status gn__listing_read(const char *repo, const char *json, size_t length, gn__listing *out,
                           gn_error *err);
void gn__listing_free(gn__listing *l);

#endif
