/* Philox4x32-10: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy
 * as 1, 2, 3", SC'11. Tested against the known-answer vectors published with Random123. */
#include "core/core.h"

#include <math.h>

void gn__philox_block(const uint32_t key_in[2], const uint32_t counter[4], uint32_t out[4])
{
    uint32_t key[2] = {key_in[0], key_in[1]};
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c[0], p1 = (uint64_t)0xCD9E8D57u * c[2];
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c[1] ^ key[0];
        uint32_t n2 = (uint32_t)(p0 >> 32) ^ c[3] ^ key[1];
        c[1] = (uint32_t)p1;
        c[3] = (uint32_t)p0;
        c[0] = n0;
        c[2] = n2;
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
    memcpy(out, c, sizeof c);
}

gn__rng gn__rng_make(uint64_t seed, uint64_t purpose, uint64_t index)
{
    /* The purpose is mixed into the key (one Philox block of it under the seed), so that the whole
     * 128-bit counter is left for index and position. */
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t counter[4] = {(uint32_t)purpose, (uint32_t)(purpose >> 32), 0, 0}, mixed[4];
    gn__philox_block(key, counter, mixed);
    gn__rng r = {
        .key = {mixed[0], mixed[1]}, .counter = {0, 0, (uint32_t)index, (uint32_t)(index >> 32)}, .used = 4};
    return r;
}

uint32_t gn__rng_u32(gn__rng *r)
{
    if (r->used == 4) {
        gn__philox_block(r->key, r->counter, r->block);
        if (++r->counter[0] == 0) r->counter[1]++;
        r->used = 0;
    }
    return r->block[r->used++];
}

double gn__rng_double(gn__rng *r)
{
    uint64_t high = gn__rng_u32(r) >> 5, low = gn__rng_u32(r) >> 6;
    return (double)(high << 26 | low) * 0x1p-53;
}

double gn__rng_normal(gn__rng *r)
{
    double u = 1.0 - gn__rng_double(r), v = gn__rng_double(r);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

uint32_t gn__rng_below(gn__rng *r, uint32_t n)
{
    /* D. Lemire, "Fast random integer generation in an interval", ACM TOMACS 2019. */
    uint64_t m = (uint64_t)gn__rng_u32(r) * n;
    uint32_t low = (uint32_t)m;
    if (low < n) {
        uint32_t threshold = (uint32_t)-n % n;
        while (low < threshold) {
            m = (uint64_t)gn__rng_u32(r) * n;
            low = (uint32_t)m;
        }
    }
    return (uint32_t)(m >> 32);
}

void gn__rng_shuffle(gn__rng *r, uint32_t *x, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = gn__rng_below(r, (uint32_t)i);
        uint32_t t = x[i - 1];
        x[i - 1] = x[j];
        x[j] = t;
    }
}

uint64_t gn__purpose(const char *name)
{
    uint64_t h = 1469598103934665603u;
    for (; *name; name++) h = (h ^ (unsigned char)*name) * 1099511628211u;
    return h;
}
