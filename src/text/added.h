/* Added tokens: found in the text before (or, when `normalized`, after) it is normalized, and never split. */
#ifndef GENCHI_TEXT_ADDED_H
#define GENCHI_TEXT_ADDED_H

#include "text/parts.h"

typedef struct gn__tok_added_token {
    int32_t id;
    char *content;
    bool single_word, lstrip, rstrip, normalized;
} gn__tok_added_token;

typedef struct gn__tok_pattern {
    const uint32_t *code; /* [n] */
    uint32_t n, token;    /* token: which one of the list */
} gn__tok_pattern;

typedef struct gn__tok_matcher {
    gn__tok_pattern *pattern; /* [count] sorted by code points, all different */
    size_t count;
    uint32_t first[8]; /* bit set of the patterns' first code points modulo 256 */
} gn__tok_matcher;

typedef struct gn__tok_added {
    gn__tok_added_token *token; /* [count], each id once */
    size_t count;
    gn__tok_matcher raw, normalized;
    gn__arena codes;
    int32_t largest; /* id, -1 for none */
} gn__tok_added;

/* The list "added_tokens" (NULL: none). Ids are given as `tokenizers` gives them: that of the vocabulary
 * where it has the content, else the next free one; the "id" of the file is not consulted. */
gn_status gn__tok_added_parse(const gn__tok_source *source, const json_t *list, const gn__tok_vocab *vocab,
                              const gn__tok_steps *normalizers, gn__tok_added *out);
void gn__tok_added_free(gn__tok_added *a);
const gn__tok_added_token *gn__tok_added_find(const gn__tok_added *a, int32_t id);

/* The next match in text[at..n): its range without stripping, and its token; false when there is none. */
bool gn__tok_match(const gn__tok_matcher *m, const gn__glyph *text, size_t n, size_t at, size_t *begin,
                   size_t *end, uint32_t *token);

/* Called for each stretch of the text in order: token >= 0 an added token, -1 what lies between. */
typedef gn_status (*gn__tok_stretch)(void *arg, size_t begin, size_t end, int token);
gn_status gn__tok_added_split(const gn__tok_added *a, const gn__tok_matcher *m, const gn__glyph *text,
                              size_t n, gn__tok_stretch stretch, void *arg);

#endif
