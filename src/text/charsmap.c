#include "text/charsmap.h"

gn_status gn__charsmap_read(const gn__tok_source *source, const unsigned char *data, size_t size,
                            gn__charsmap *out)
{
    gn__charsmap m = {0};
    size_t trie = 0;
    if (size >= 4) trie = data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16 | (size_t)data[3] << 24;
    if (size < 4 || trie / 4 * 4 > size - 4)
        return gn__fail(source->err, GN_FORMAT, "%s: the precompiled normalization rules end too soon",
                        source->file);
    m.units = trie / 4;
    m.length = size - 4 - m.units * 4;
    m.unit = gn__calloc(m.units, sizeof *m.unit);
    m.strings = malloc(m.length + 1);
    if (m.unit == NULL || m.strings == NULL) {
        gn__charsmap_free(&m);
        return gn__no_memory(source->err, size);
    }
    for (size_t i = 0; i < m.units; i++) {
        const unsigned char *p = data + 4 + 4 * i;
        m.unit[i] = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    }
    memcpy(m.strings, data + 4 + 4 * m.units, m.length);
    m.strings[m.length] = '\0';
    for (size_t at = 0; at < m.length;) {
        uint32_t code;
        size_t n = gn__utf8_decode(m.strings + at, m.length - at, &code);
        if (code == 0xFFFD && (n != 3 || memcmp(m.strings + at, "\xEF\xBF\xBD", 3) != 0)) {
            gn__charsmap_free(&m);
            return gn__fail(source->err, GN_FORMAT,
                            "%s: the precompiled normalization rules are not UTF-8 text", source->file);
        }
        at += n;
    }
    *out = m;
    return GN_OK;
}

void gn__charsmap_free(gn__charsmap *m)
{
    free(m->unit);
    free(m->strings);
    *m = (gn__charsmap){0};
}

static size_t offset_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & (1u << 9)) >> 6);
}

bool gn__charsmap_find(const gn__charsmap *m, const char *key, size_t n, const char **to, size_t *length)
{
    if (m->units == 0) return false;
    size_t at = offset_of(m->unit[0]);
    for (size_t i = 0; i < n && key[i] != '\0'; i++) {
        unsigned char c = (unsigned char)key[i];
        at ^= c;
        if (at >= m->units) return false;
        uint32_t unit = m->unit[at];
        if ((unit & (1u << 31 | 0xFF)) != c) return false;
        at ^= offset_of(unit);
        if (!(unit >> 8 & 1)) continue;
        if (at >= m->units) return false;
        size_t place = m->unit[at] & ~(1u << 31);
        if (place > m->length) return false;
        *to = m->strings + place;
        *length = strlen(*to);
        return true;
    }
    return false;
}
