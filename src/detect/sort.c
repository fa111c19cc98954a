/* Sorting of float values with their rows: a radix sort by the four bytes of the key, least significant
 * first. qsort's comparisons were most of what the tests along axes and the median distance took. */
#include "detect/detect.h"

/* Orders as the floats do: a negative number's bits turn round, a positive one's go above them. */
static uint32_t sort_key(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000U ? ~bits : bits | 0x80000000U;
}

float gn__sorted_value(uint64_t item)
{
    uint32_t key = (uint32_t)(item >> 32), bits = key & 0x80000000U ? key & 0x7FFFFFFFU : ~key;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint64_t gn__sort_item(float value, uint32_t row)
{
    return (uint64_t)sort_key(value) << 32 | row;
}

uint64_t *gn__sort_items(uint64_t *item, uint64_t *scratch, size_t n)
{
    size_t count[4][256] = {{0}};
    for (size_t i = 0; i < n; i++)
        for (unsigned byte = 0; byte < 4; byte++) count[byte][item[i] >> (32 + 8 * byte) & 255]++;
    for (unsigned byte = 0; byte < 4; byte++) {
        unsigned shift = 32 + 8 * byte;
        size_t at = 0;
        if (n == 0 || count[byte][item[0] >> shift & 255] == n) continue; /* all alike */
        for (size_t k = 0; k < 256; k++) {
            size_t here = count[byte][k];
            count[byte][k] = at;
            at += here;
        }
        for (size_t i = 0; i < n; i++) scratch[count[byte][item[i] >> shift & 255]++] = item[i];
        uint64_t *t = item;
        item = scratch;
        scratch = t;
    }
    return item;
}
