/* More of what `tokenizers` believes about each code point, for the parts that most models do without.
 * Generated (tests/golden/make_unicode_properties.py). */
#ifndef GENCHI_TEXT_UNICODE_PROPERTIES_H
#define GENCHI_TEXT_UNICODE_PROPERTIES_H

#include <stddef.h>
#include <stdint.h>

typedef struct gn__unicode_table {
    const uint32_t *run; /* [runs] first code point << 8 | value */
    size_t runs;
} gn__unicode_table;

extern const gn__unicode_table gn__unicode_category; /* general category, as Oniguruma has it */
extern const gn__unicode_table gn__unicode_property; /* the bits below; the script's number + 1 above them */
extern const gn__unicode_table gn__unicode_grapheme;
extern const gn__unicode_table
    gn__unicode_letter; /* [:alpha:], [:upper:], [:lower:] of Oniguruma: the bits below */
extern const gn__unicode_table gn__unicode_script; /* of UnicodeScripts; 0: goes with what stands before */

enum { GN__UNICODE_CATEGORIES = 29, GN__UNICODE_SCRIPTS = 11 };
extern const char *const gn__unicode_category_names[];
extern const char *const gn__unicode_script_names[];

enum {
    GN__PROPERTY_NUMERIC = 1, /* Rust's char::is_numeric */
    GN__PROPERTY_ACCENT = 2,  /* StripAccents removes it */
    GN__PROPERTY_WORD = 4,    /* \w of Oniguruma */
    GN__PROPERTY_SPACE = 8,   /* \s of Oniguruma */
    GN__PROPERTY_SCRIPT = 4,  /* shift */
};

enum { GN__LETTER_ALPHABETIC = 1, GN__LETTER_UPPER = 2, GN__LETTER_LOWER = 4 };

enum gn__grapheme { /* Grapheme_Cluster_Break with what rules 9c and 11 of UAX #29 need */
                    GN__GRAPHEME_ANY,
                    GN__GRAPHEME_JOINS, /* Extend, of no part in rule 9c */
                    GN__GRAPHEME_SPACING,
                    GN__GRAPHEME_PREPEND,
                    GN__GRAPHEME_CONTROL,
                    GN__GRAPHEME_PICTURE,
                    GN__GRAPHEME_ZWJ,
                    GN__GRAPHEME_L,
                    GN__GRAPHEME_V,
                    GN__GRAPHEME_T,
                    GN__GRAPHEME_LV,
                    GN__GRAPHEME_LVT,
                    GN__GRAPHEME_REGIONAL,
                    GN__GRAPHEME_CONSONANT,
                    GN__GRAPHEME_LINKER,
                    GN__GRAPHEME_EXTEND /* Extend, may stand between a consonant and its linker */
};

extern const uint32_t gn__unicode_pairs[][3];
extern const size_t gn__unicode_pair_count;
extern const uint64_t gn__unicode_compatible[];
extern const size_t gn__unicode_compatible_count;
extern const uint32_t gn__unicode_compatible_pool[];

unsigned gn__unicode_look_up(const gn__unicode_table *table, uint32_t code);
/* What the two compose to; 0 for nothing. */
uint32_t gn__unicode_compose(uint32_t first, uint32_t second);
/* The full compatibility decomposition, at most 32 code points; the canonical one where there is no other. */
size_t gn__unicode_decompose_compatible(uint32_t code, uint32_t out[32]);

#endif
