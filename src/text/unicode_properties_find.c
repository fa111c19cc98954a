#include "text/unicode.h"
#include "text/unicode_properties.h"

unsigned gn__unicode_look_up(const gn__unicode_table *table, uint32_t code)
{
    size_t low = 0, high = table->runs - 1;
    uint32_t key = code << 8 | 0xFF;
    while (low < high) { /* the last run that begins at or before code */
        size_t middle = (low + high + 1) / 2;
        if (table->run[middle] <= key)
            low = middle;
        else
            high = middle - 1;
    }
    return table->run[low] & 0xFF;
}

uint32_t gn__unicode_compose(uint32_t first, uint32_t second)
{
    enum { LEAD = 0x1100, VOWEL = 0x1161, TAIL = 0x11A7, HANGUL = 0xAC00 }; /* The Unicode Standard, 3.12 */
    if (first - LEAD < 19 && second - VOWEL < 21)
        return HANGUL + ((first - LEAD) * 21 + (second - VOWEL)) * 28;
    if (first - HANGUL < 11172 && (first - HANGUL) % 28 == 0 && second > TAIL && second < TAIL + 28)
        return first + (second - TAIL);
    size_t low = 0, high = gn__unicode_pair_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const uint32_t *pair = gn__unicode_pairs[middle];
        if (pair[0] == first && pair[1] == second) return pair[2];
        if (pair[0] < first || (pair[0] == first && pair[1] < second))
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

size_t gn__unicode_decompose_compatible(uint32_t code, uint32_t out[32])
{
    size_t low = 0, high = code < 0xA0 ? 0 : gn__unicode_compatible_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        uint64_t row = gn__unicode_compatible[middle];
        if (row >> 24 == code) {
            size_t n = row & 0xFF, place = (row >> 8) & 0xFFFF;
            for (size_t i = 0; i < n; i++) out[i] = gn__unicode_compatible_pool[place + i];
            return n;
        }
        if (row >> 24 < code)
            low = middle + 1;
        else
            high = middle;
    }
    return gn__unicode_decompose(code, out);
}
