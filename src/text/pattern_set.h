/* Sets of code points, and the ones that Oniguruma's classes stand for. */
#ifndef GENCHI_TEXT_PATTERN_SET_H
#define GENCHI_TEXT_PATTERN_SET_H

#include "core/core.h"

enum { GN__SET_LAST = 0x10FFFF };

typedef struct gn__set_range {
    uint32_t low, high;
} gn__set_range;

/* A zeroed struct is the empty set. After a failed allocation `failed` is set and further additions do
 * nothing. */
typedef struct gn__set {
    gn__set_range *at;
    size_t count, capacity;
    bool failed;
} gn__set;

void gn__set_free(gn__set *s);
void gn__set_add(gn__set *s, uint32_t low, uint32_t high);
void gn__set_add_all(gn__set *s, const gn__set *from);
void gn__set_add_others(gn__set *s, gn__set *from); /* all that `from` lacks; `from` is put in order */
/* Leaves what both hold, in order; `other` is put in order too. */
void gn__set_intersect(gn__set *s, gn__set *other);
/* Puts the ranges in order, apart from each other. */
void gn__set_order(gn__set *s);

/* \w; within a class Oniguruma leaves out six characters of Latin-1 that it takes elsewhere (the generator of
 * the tables holds this). */
void gn__set_add_word(gn__set *s, bool in_class);
void gn__set_add_space(gn__set *s);
/* \p{name}: a category, a group of them, or a script; and [:name:]. false: not known. */
bool gn__set_add_property(gn__set *s, const char *name, size_t n);
bool gn__set_add_posix(gn__set *s, const char *name, size_t n);

/* Without regard to case: adds what the characters of the set fold with. false: one of them folds into
 * several characters. */
bool gn__set_fold(gn__set *s);
/* The character that stands for all that fold with it; *several: it folds into several characters. */
uint32_t gn__fold(uint32_t code, bool *several);
/* Two characters in a row (by gn__fold) that one could fold into, or begin what one could. */
bool gn__fold_joins(uint32_t first, uint32_t second);

#endif
