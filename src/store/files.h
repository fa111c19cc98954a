/* The files of vectors, and what is done to them as a whole. */
#ifndef GENCHI_STORE_FILES_H
#define GENCHI_STORE_FILES_H

#include "store/store.h"

#include <stdio.h>

char *gn__segment_path(const gn_cache *c, int64_t id); /* NULL: no memory */
bool gn__read_at(int fd, unsigned char *to, size_t n, int64_t at);
/* Within a write transaction: takes out of the index what goes beyond the limit, least recently used first.
 */
gn_status gn__cache_evict(gn_cache *c, bool *evicted, gn_error *err);
/* Removes the files of vectors that the index does not know. */
gn_status gn__cache_sweep(gn_cache *c, gn_error *err);

#endif
