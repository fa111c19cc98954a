/* Which characters Oniguruma takes for one another without regard to case. Generated
 * (tests/golden/make_unicode_folds.py). */
#ifndef GENCHI_TEXT_UNICODE_FOLDS_H
#define GENCHI_TEXT_UNICODE_FOLDS_H

#include <stddef.h>
#include <stdint.h>

extern const uint32_t gn__unicode_folds[][4];       /* the members of a class; 0: no more of them */
extern const uint32_t gn__unicode_fold_places[][2]; /* [count] character, its row above; by characters */
extern const size_t gn__unicode_fold_count;
extern const uint32_t gn__unicode_fold_long[]; /* [count] what folds into several characters, in order */
extern const size_t gn__unicode_fold_long_count;
/* [count] the first two of such, in order; of a class its first member stands here. */
extern const uint32_t gn__unicode_fold_pairs[][2];
extern const size_t gn__unicode_fold_pair_count;

#endif
