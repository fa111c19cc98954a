/* What an embeddings server answers, checked. */
#ifndef GENCHI_HUB_ANSWER_H
#define GENCHI_HUB_ANSWER_H

#include "core/core.h"

/* {"data": [{"index": 0, "embedding": [numbers]}, …], "usage": {"total_tokens": n}}: every index from 0 to
 * count once, in any order; all vectors of *dim finite numbers, *dim > 0 (0: learnt here). *rows: [count ×
 * *dim], free() it. *tokens: 0 where it is not said. Errors: GN_FORMAT, GN_NUMERIC (a number that is not
 * finite or beyond float32). */
gn_status gn__answer_read(const char *url, const char *json, size_t length, size_t count, size_t *dim,
                          float **rows, size_t *tokens, gn_error *err);
/* {"error": {"message": "…"}} and its like: the server's words, at most size - 1 bytes, "" where there are
 * none; one line, and `secret` (may be NULL) struck out. */
void gn__answer_words(const char *json, size_t length, const char *secret, char *out, size_t size);

#endif
