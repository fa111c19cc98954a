/* SentencePiece's precompiled normalization rules: a double-array trie (darts-clone) of byte strings, then
 * the strings they become. Nothing is believed of it: every step into the array is checked. */
#ifndef GENCHI_TEXT_CHARSMAP_H
#define GENCHI_TEXT_CHARSMAP_H

#include "text/json.h"

typedef struct gn__charsmap {
    uint32_t *unit; /* [units] */
    size_t units;
    char *strings; /* [length] each ends with a NUL, or at the end */
    size_t length;
} gn__charsmap;

/* size 0: the empty map. */
gn_status gn__charsmap_read(const gn__tok_source *source, const unsigned char *data, size_t size,
                            gn__charsmap *out);
void gn__charsmap_free(gn__charsmap *m);
/* What the shortest key that key[0..n) begins with becomes; false: there is none. */
bool gn__charsmap_find(const gn__charsmap *m, const char *key, size_t n, const char **to, size_t *length);

#endif
