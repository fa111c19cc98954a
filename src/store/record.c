/* One vector on disk: CRC-32 of all that follows, tokens, cut, dimensions (little-endian 32-bit), the text's
 * SHA-256, the values (little-endian float32). */
#include "store/store.h"

#include <zlib.h>

static void put32(unsigned char *p, uint32_t x)
{
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(x >> (8 * i));
}

static uint32_t get32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

size_t gn__record_bytes(size_t dim)
{
    return GN__RECORD_HEAD + 4 * dim;
}

static uint32_t checksum(const unsigned char *bytes, size_t dim)
{
    return (uint32_t)crc32(0, bytes + 4, (uInt)(gn__record_bytes(dim) - 4));
}

void gn__record_pack(const unsigned char hash[GN__HASH], const gn__cache_note *note, const float *x,
                     size_t dim, unsigned char *out)
{
    put32(out + 4, note->tokens);
    put32(out + 8, note->cut);
    put32(out + 12, (uint32_t)dim);
    memcpy(out + 16, hash, GN__HASH);
    for (size_t i = 0; i < dim; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        put32(out + GN__RECORD_HEAD + 4 * i, bits);
    }
    put32(out, checksum(out, dim));
}

bool gn__record_whole(const unsigned char *bytes, size_t dim)
{
    return get32(bytes + 12) == dim && get32(bytes) == checksum(bytes, dim);
}

bool gn__record_unpack(const unsigned char *bytes, const unsigned char hash[GN__HASH], size_t dim,
                       gn__cache_note *note, float *x)
{
    if (memcmp(bytes + 16, hash, GN__HASH) != 0 || !gn__record_whole(bytes, dim)) return false;
    *note = (gn__cache_note){get32(bytes + 4), get32(bytes + 8) != 0};
    for (size_t i = 0; i < dim; i++) {
        uint32_t bits = get32(bytes + GN__RECORD_HEAD + 4 * i);
        memcpy(&x[i], &bits, sizeof bits);
    }
    return true;
}
