/* Vectors received so far, by the SHA-256 of their text: in memory, and in a file that outlives the process.
 */
#ifndef GENCHI_HUB_JOURNAL_H
#define GENCHI_HUB_JOURNAL_H

#include "core/core.h"

typedef struct gn__pull_journal {
    size_t dim;
    gn__map slot_of; /* digest to slot */
    float *row;      /* [capacity × dim] */
    bool *have;      /* [capacity] */
    size_t capacity;
    char *path; /* NULL: memory only */
    int fd;     /* -1: no file (not asked for, not writable, or another process has it) */
    char identity[65];
} gn__pull_journal;

/* path: may be NULL. identity: what the vectors are of; a file of another identity is begun anew. A file that
 * cannot be written is done without. Errors: GN_NO_MEMORY. Free with gn__pull_journal_close. */
gn_status gn__pull_journal_open(const char *path, const char *identity, size_t dim, gn__pull_journal *out,
                                gn_error *err);
/* The slot of a text, new or not. */
gn_status gn__pull_journal_slot(gn__pull_journal *j, const char *text, size_t length, uint32_t *slot,
                                gn_error *err);
/* Keeps a row that was received; digests of a file's records are those given to gn__pull_journal_slot. */
void gn__pull_journal_put(gn__pull_journal *j, const char *text, size_t length, uint32_t slot,
                          const float *row);
/* Everything is there: forgets it, the file too. */
void gn__pull_journal_clear(gn__pull_journal *j);
void gn__pull_journal_close(gn__pull_journal *j);

#endif
