/* One file of the hub into blobs/. */
#ifndef GENCHI_HUB_FETCH_H
#define GENCHI_HUB_FETCH_H

#include "hub/cache.h"
#include "hub/http.h"
#include "hub/listing.h"

typedef struct gn__fetch {
    gn__http *http;
    const gn__hub_name *name;
    const char *endpoint, *token;
    const char *commit;
    void (*progress)(void *arg, int64_t bytes); /* bytes more, or fewer after a start from the beginning */
    void *arg;
} gn__fetch;

typedef struct gn__fetched {
    char etag[200]; /* the name in blobs/ */
    bool was_there;
    uint64_t bytes; /* that came over the network */
} gn__fetched;

/* "https://host" + path parts that are percent-encoded: URL of a file, or of the list (file NULL). */
char *gn__hub_url(const char *endpoint, const char *repo, const char *revision, const char *file);

/* Asks what the file is, takes its lock, downloads what is missing and holds it against its ETag. */
gn_status gn__fetch_file(gn__fetch *f, const gn__hub_file *file, gn__fetched *out, gn_error *err);

/* The refusals of the hub, in words. */
gn_status gn__hub_refusal(const gn__http_answer *a, const char *repo, const char *revision, const char *file,
                          const char *endpoint, bool with_token, gn_error *err);

#endif
