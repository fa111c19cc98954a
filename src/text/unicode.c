#include "text/unicode.h"

enum { HANGUL = 0xAC00, HANGUL_COUNT = 11172, LEAD = 0x1100, VOWEL = 0x1161, TAIL = 0x11A7 };

size_t gn__unicode_to_lower(uint32_t code, uint32_t out[2])
{
    out[0] = code;
    if (code < 128) {
        if (code >= 'A' && code <= 'Z') out[0] = code + 32;
        return 1;
    }
    for (size_t i = 0; i < gn__unicode_lower_pair_count; i++) {
        const uint32_t *pair = gn__unicode_lower_pairs[i];
        if (pair[0] != code) continue;
        out[0] = pair[1];
        out[1] = pair[2];
        return 2;
    }
    size_t low = 0, high = gn__unicode_lower_count;
    while (low < high) { /* the first row that ends at or after code */
        size_t middle = (low + high) / 2;
        if (gn__unicode_lowers[middle].last < code)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < gn__unicode_lower_count) {
        const gn__unicode_lower *row = &gn__unicode_lowers[low];
        if (code >= row->first && (code - row->first) % row->step == 0)
            out[0] = (uint32_t)((int32_t)code + row->distance);
    }
    return 1;
}

size_t gn__unicode_decompose(uint32_t code, uint32_t out[4])
{
    out[0] = code;
    if (code < 0xC0) return 1;
    if (code - HANGUL < HANGUL_COUNT) { /* The Unicode Standard, 3.12 */
        uint32_t i = code - HANGUL;
        out[0] = LEAD + i / 588;
        out[1] = VOWEL + i % 588 / 28;
        out[2] = TAIL + i % 28;
        return i % 28 ? 3 : 2;
    }
    size_t low = 0, high = gn__unicode_decomposition_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        uint32_t key = (uint32_t)(gn__unicode_decompositions[middle] >> 16);
        if (key == code) {
            size_t place = (gn__unicode_decompositions[middle] & 0xFFFF) >> 3;
            size_t length = gn__unicode_decompositions[middle] & 7;
            for (size_t i = 0; i < length; i++) out[i] = gn__unicode_pool[place + i];
            return length;
        }
        if (key < code)
            low = middle + 1;
        else
            high = middle;
    }
    return 1;
}
