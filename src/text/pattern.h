/* Patterns of Split and Replace: strings, and regular expressions as Oniguruma (Ruby syntax) reads them. The
 * ones that nearly every model uses are matched by code of their own, in linear time; of the others a subset
 * is translated for PCRE2, with every class of characters spelled out from our own tables, so that no other
 * Unicode data has a say; what cannot be translated faithfully is refused. */
#ifndef GENCHI_TEXT_PATTERN_H
#define GENCHI_TEXT_PATTERN_H

#include "text/json.h"
#include "text/pieces.h"

typedef struct gn__tok_pattern_of gn__tok_pattern_of;

/* From {"String": …} or {"Regex": …} in part["pattern"]; `name` is the part's. may_be_empty: expressions that
 * can match the empty string are taken, too. */
gn_status gn__pattern_parse(const gn__tok_source *source, const char *name, const json_t *part,
                            bool may_be_empty, gn__tok_pattern_of **out);
void gn__pattern_free(gn__tok_pattern_of *p);

/* Calls `piece` for each stretch of g[0..n) in order, matches (empty ones included) and what lies between.
 * false: the search was given up, after more steps than PCRE2 takes (10 million, mostly) or for want of
 * memory. */
typedef void (*gn__pattern_piece)(void *arg, size_t begin, size_t end, bool match);
bool gn__pattern_each(const gn__tok_pattern_of *p, const gn__glyph *g, size_t n, gn__pattern_piece piece,
                      void *arg);

/* The patterns that have code of their own (words.h). */
typedef enum gn__words { GN__WORDS_NONE, GN__WORDS_GPT2, GN__WORDS_LLAMA3, GN__WORDS_QWEN2 } gn__words;
gn__words gn__pattern_words(const gn__tok_pattern_of *p);
/* Length of the match at g[0..n), n > 0; words is not NONE. */
size_t gn__match_words(gn__words words, const gn__glyph *g, size_t n);

/* The translation of a regular expression for PCRE2 (options UTF and MULTILINE); false: *why says what is
 * beyond it (or out->failed: no memory). *interpret: it must not be compiled to machine code: PCRE2 10.42's
 * lets
 * (?>a+|ab)c find "abc", going back into a group that is done with. */
bool gn__pattern_translate(const char *regex, size_t length, gn__buf *out, bool *interpret, const char **why);

#endif
