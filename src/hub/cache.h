/* The Hugging Face cache: models--org--name/{blobs/<etag>, snapshots/<commit>/<file>, refs/<revision>}, and
 * the locks in .locks/models--org--name/<etag>.lock. */
#ifndef GENCHI_HUB_CACHE_H
#define GENCHI_HUB_CACHE_H

#include "core/core.h"
#include "genchi/hub.h"

typedef struct gn__hub_name {
    char *repo;     /* "org/name" or "name" */
    char *revision; /* "main" where none was given */
    char *folder;   /* cache/models--org--name */
    char *locks;    /* cache/.locks/models--org--name */
} gn__hub_name;

/* Errors: GN_INVALID_ARGUMENT, GN_NO_MEMORY. Free with gn__hub_name_free, also after a failure. */
gn_status gn__hub_name_parse(const char *name, const char *cache, gn__hub_name *out, gn_error *err);
void gn__hub_name_free(gn__hub_name *n);

/* 40 hexadecimal digits. */
bool gn__is_commit(const char *s);
/* A relative path of plain components: nothing that leads out of the folder, no control characters. */
bool gn__is_plain_path(const char *s);
/* May be a file's name: letters, digits, "-", "_" and "." not in front; at most 128. */
bool gn__is_etag(const char *s);

/* Makes snapshots/<commit>/<file> a relative link to blobs/<etag>, in place of what stood there. */
gn_status gn__cache_link(const gn__hub_name *n, const char *commit, const char *file, const char *etag,
                         gn_error *err);
/* Writes refs/<revision>; nothing to do where the revision is the commit itself. */
gn_status gn__cache_set_ref(const gn__hub_name *n, const char *commit, gn_error *err);

#endif
