/* What `tokenizers` believes about each code point: its crates follow different Unicode versions, so every
 * question has its own flag. The tables are generated (tests/golden/make_unicode_tables.py). */
#ifndef GENCHI_TEXT_UNICODE_H
#define GENCHI_TEXT_UNICODE_H

#include <stddef.h>
#include <stdint.h>

enum {
    GN__UNICODE_DROP = 1,     /* BertNormalizer's clean_text removes it */
    GN__UNICODE_BLANK = 2,    /* clean_text turns it into a space (U+0020, a space already, is not flagged) */
    GN__UNICODE_CJK = 4,      /* handle_chinese_chars puts spaces around it */
    GN__UNICODE_MARK = 8,     /* strip_accents removes it */
    GN__UNICODE_SPACE = 16,   /* Rust's char::is_whitespace */
    GN__UNICODE_PUNCT = 32,   /* BertPreTokenizer isolates it */
    GN__UNICODE_LETTER = 64,  /* \p{L} of the byte-level pattern */
    GN__UNICODE_NUMBER = 128, /* \p{N} of the byte-level pattern */
    GN__UNICODE_GAP = 256,    /* \s of the byte-level pattern */
    GN__UNICODE_WORD = 512,   /* \w around added tokens */
    GN__UNICODE_STRIP = 1024, /* \s around added tokens */
    /* NFC leaves it as it is and no character before it takes it up: with combining classes in order, a text
     * of such characters is in NFC (UAX #15, "Detecting Normalization Forms") */
    GN__UNICODE_COMPOSED = 2048,
};

typedef struct gn__unicode_kind {
    uint16_t flags;
    uint8_t order; /* canonical combining class */
} gn__unicode_kind;

typedef struct gn__unicode_lower {
    uint32_t first, last, step;
    int32_t distance;
} gn__unicode_lower;

extern const char gn__unicode_source[];
extern const gn__unicode_kind gn__unicode_kinds[];
extern const uint8_t gn__unicode_blocks[][64];
extern const uint16_t gn__unicode_index[0x110000 / 64];
extern const gn__unicode_lower gn__unicode_lowers[];
extern const size_t gn__unicode_lower_count;
extern const uint32_t gn__unicode_lower_pairs[][3];
extern const size_t gn__unicode_lower_pair_count;
extern const uint64_t gn__unicode_decompositions[];
extern const size_t gn__unicode_decomposition_count;
extern const uint32_t gn__unicode_pool[];

static inline const gn__unicode_kind *gn__unicode(uint32_t code)
{
    if (code > 0x10FFFF) code = 0xFFFD;
    return &gn__unicode_kinds[gn__unicode_blocks[gn__unicode_index[code / 64]][code % 64]];
}

static inline unsigned gn__unicode_flags(uint32_t code)
{
    return gn__unicode(code)->flags;
}

/* Rust's char::to_lowercase: one or two code points. */
size_t gn__unicode_to_lower(uint32_t code, uint32_t out[2]);
/* The full canonical decomposition; the code itself where there is none. At most 4 code points. */
size_t gn__unicode_decompose(uint32_t code, uint32_t out[4]);

#endif
