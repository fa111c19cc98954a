/* The merge table of byte pair encoding, and the merging of one word. */
#ifndef GENCHI_TEXT_BPE_H
#define GENCHI_TEXT_BPE_H

#include "core/core.h"

typedef struct gn__bpe_merge {
    uint32_t left, right, rank, id; /* id: what the two become; rank UINT32_MAX: an empty slot */
} gn__bpe_merge;

/* A zeroed struct is valid. */
typedef struct gn__bpe_merges {
    gn__bpe_merge *slot;
    size_t mask;
    uint64_t *filter; /* [(mask + 1) / 8] a bit for what each pair's hash says: most that are asked for are
                         not there */
} gn__bpe_merges;

/* Room for n merges, once, before the first is put in. */
bool gn__bpe_merges_reserve(gn__bpe_merges *m, size_t n);
/* A later rank for the same pair replaces the earlier one, as in `tokenizers`. */
void gn__bpe_merges_put(gn__bpe_merges *m, uint32_t left, uint32_t right, uint32_t rank, uint32_t id);
/* The slot of the pair; its rank is UINT32_MAX where there is no such merge. */
const gn__bpe_merge *gn__bpe_merges_find(const gn__bpe_merges *m, uint32_t left, uint32_t right);
void gn__bpe_merges_free(gn__bpe_merges *m);

typedef struct gn__bpe_symbol {
    int32_t id;
    uint32_t length; /* bytes of the word; 0: merged into the symbol before */
    uint32_t previous, next;
} gn__bpe_symbol;

typedef struct gn__bpe_candidate {
    uint32_t rank, at, id;
} gn__bpe_candidate;

/* Merges symbol[0..n) by rank, the leftmost first among equals, in O(n log n). heap: room for 2 n. */
void gn__bpe_merge_all(const gn__bpe_merges *m, gn__bpe_symbol *symbol, size_t n, gn__bpe_candidate *heap);
/* The same in place for n <= GN__BPE_FEW symbols, by looking for the best pair each time; returns how many
 * are left. */
enum { GN__BPE_FEW = 64 };
size_t gn__bpe_merge_few(const gn__bpe_merges *m, int32_t *id, size_t n);

#endif
