/* What an unfinished run of gn_embed_file leaves: OUT.partial, the vectors so far, and OUT.state, a line of
 * options and then a line for every block that is whole in OUT.partial. */
#ifndef GENCHI_PIPELINE_JOURNAL_H
#define GENCHI_PIPELINE_JOURNAL_H

#include "pipeline/vectors_file.h"

#include <jansson.h>

typedef struct gn__block_note {
    uint64_t rows, cut;
    char texts[65], data[65]; /* SHA-256 of the block's texts and of its bytes in OUT.partial */
} gn__block_note;

typedef struct gn__journal {
    char *out, *partial, *state;
    int state_fd, data_fd; /* state_fd holds the lock */
    gn__block_note *block; /* [blocks] */
    size_t blocks, capacity;
    off_t *end; /* [blocks] of each line in OUT.state */
} gn__journal;

/* Opens or begins OUT.state and OUT.partial; with `restart` what is there is forgotten. Errors: GN_IO
 * (another process holds them); GN_INVALID_ARGUMENT (begun with other options). */
gn_status gn__journal_open(const char *out, const json_t *options, bool restart, gn__journal *j,
                           gn_error *err);
/* Keeps the blocks whose bytes are as noted, up to the first that is not; feeds all bytes kept to sha. */
gn_status gn__journal_verify(gn_context *ctx, gn__journal *j, const gn__layout *l, gn__sha256 *sha,
                             gn_error *err);
/* Writes a block behind the others: first its bytes to the disk, then its note. */
gn_status gn__journal_add(gn__journal *j, off_t at, const void *data, size_t bytes,
                          const gn__block_note *note, gn_error *err);
/* Writes the header, and OUT.partial becomes OUT; OUT.state goes. */
gn_status gn__journal_finish(gn__journal *j, const void *header, size_t bytes, gn_error *err);
/* Leaves things as they are on disk. A zeroed struct is allowed if both fds are -1. */
void gn__journal_close(gn__journal *j);

/* "PATH" + suffix, newly allocated; NULL: no memory. */
char *gn__with_suffix(const char *path, const char *suffix);

#endif
