/* A trie over byte strings in a double array (Aoe 1989, "An efficient digital search algorithm by using a
 * double-array structure"): one look into one array a byte. */
#ifndef GENCHI_TEXT_TRIE_H
#define GENCHI_TEXT_TRIE_H

#include "core/core.h"

typedef struct gn__trie_unit {
    uint32_t base;   /* the child for byte c, if there is one, is unit base + c */
    uint32_t parent; /* whose child this unit is; UINT32_MAX: nobody's */
    int32_t value;   /* of the key that ends here; -1 */
} gn__trie_unit;

/* A zeroed struct is valid to free. Unit 0 is the root. */
typedef struct gn__trie {
    gn__trie_unit *unit;
    size_t units; /* no base + 255 reaches it */
} gn__trie;

typedef struct gn__trie_key {
    const unsigned char *bytes;
    uint64_t head; /* used while building */
    uint32_t length;
    int32_t value; /* >= 0 */
} gn__trie_key;

/* Puts in the keys (which get sorted); empty ones are left out, and of equal ones the highest value stays.
 * false: no memory, or more than 2^31 bytes of keys. */
bool gn__trie_build(gn__trie *t, gn__trie_key *key, size_t n);
void gn__trie_free(gn__trie *t);

/* The child of a node for a byte; 0: none. */
static inline uint32_t gn__trie_step(const gn__trie *t, uint32_t node, unsigned char byte)
{
    uint32_t next = t->unit[node].base + byte;
    return t->unit[next].parent == node ? next : 0;
}

#endif
