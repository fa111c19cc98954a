#include "core/core.h"

#include <stdio.h>

static bool reserve(gn__buf *b, size_t more)
{
    if (b->failed) return false;
    if (more > SIZE_MAX - 1 - b->length) {
        b->failed = true;
        return false;
    }
    size_t need = b->length + more + 1;
    if (need <= b->capacity) return true;
    size_t capacity = b->capacity < 64 ? 64 : b->capacity;
    while (capacity < need) capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
    char *data = realloc(b->data, capacity);
    if (data == NULL) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

void gn__buf_append(gn__buf *b, const char *s, size_t n)
{
    if (!reserve(b, n)) return;
    if (n > 0) memcpy(b->data + b->length, s, n);
    b->length += n;
    b->data[b->length] = '\0';
}

void gn__buf_puts(gn__buf *b, const char *s)
{
    gn__buf_append(b, s, strlen(s));
}

void gn__buf_putc(gn__buf *b, char c)
{
    gn__buf_append(b, &c, 1);
}

void gn__buf_printf(gn__buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) {
        b->failed = true;
    } else if (reserve(b, (size_t)n)) {
        vsnprintf(b->data + b->length, (size_t)n + 1, format, again);
        b->length += (size_t)n;
    }
    va_end(again);
}

void gn__buf_free(gn__buf *b)
{
    free(b->data);
    *b = (gn__buf){0};
}

struct gn__map_slot {
    const char *key; /* NULL: empty */
    size_t length;
    uint32_t hash, value;
};

static uint32_t hash_bytes(const char *s, size_t n)
{
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 1099511628211u;
    h ^= h >> 32; /* FNV-1a leaves its low bits weak; fold the high half in */
    return (uint32_t)(h * 0x9E3779B1u >> 16);
}

static struct gn__map_slot *find(const gn__map *m, const char *key, size_t length, uint32_t hash)
{
    size_t mask = m->capacity - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct gn__map_slot *s = &m->slot[i];
        if (s->key == NULL) return s;
        if (s->hash == hash && s->length == length && memcmp(s->key, key, length) == 0) return s;
    }
}

int64_t gn__map_get(const gn__map *m, const char *key, size_t length)
{
    if (m->capacity == 0) return -1;
    const struct gn__map_slot *s = find(m, key, length, hash_bytes(key, length));
    return s->key ? (int64_t)s->value : -1;
}

static bool grow(gn__map *m)
{
    gn__map bigger = {.capacity = m->capacity ? m->capacity * 2 : 64, .count = m->count, .keys = m->keys};
    bigger.slot = gn__calloc(bigger.capacity, sizeof *bigger.slot);
    if (bigger.slot == NULL) return false;
    for (size_t i = 0; i < m->capacity; i++)
        if (m->slot[i].key != NULL)
            *find(&bigger, m->slot[i].key, m->slot[i].length, m->slot[i].hash) = m->slot[i];
    free(m->slot);
    *m = bigger;
    return true;
}

bool gn__map_put(gn__map *m, const char *key, size_t length, uint32_t value, uint32_t *found)
{
    if (m->count + 1 > m->capacity / 2 && !grow(m)) return false;
    uint32_t hash = hash_bytes(key, length);
    struct gn__map_slot *s = find(m, key, length, hash);
    if (s->key == NULL) {
        char *copy = gn__arena_strndup(&m->keys, key, length);
        if (copy == NULL) return false;
        *s = (struct gn__map_slot){copy, length, hash, value};
        m->count++;
    }
    if (found != NULL) *found = s->value;
    return true;
}

void gn__map_free(gn__map *m)
{
    free(m->slot);
    gn__arena_free(&m->keys);
    *m = (gn__map){0};
}

size_t gn__utf8_decode(const char *s, size_t n, uint32_t *code_point)
{
    const unsigned char *p = (const unsigned char *)s;
    unsigned char c = p[0], low = 0x80, high = 0xBF;
    size_t need;
    uint32_t value;
    if (c < 0x80) {
        *code_point = c;
        return 1;
    }
    if (c >= 0xC2 && c <= 0xDF) {
        need = 1;
        value = c & 0x1Fu;
    } else if (c >= 0xE0 && c <= 0xEF) {
        need = 2;
        value = c & 0x0Fu;
        if (c == 0xE0) low = 0xA0;
        if (c == 0xED) high = 0x9F;
    } else if (c >= 0xF0 && c <= 0xF4) {
        need = 3;
        value = c & 0x07u;
        if (c == 0xF0) low = 0x90;
        if (c == 0xF4) high = 0x8F;
    } else {
        *code_point = 0xFFFD;
        return 1;
    }
    for (size_t i = 1; i <= need; i++) {
        if (i >= n || p[i] < low || p[i] > high) {
            *code_point = 0xFFFD;
            return i;
        }
        value = value << 6 | (p[i] & 0x3Fu);
        low = 0x80;
        high = 0xBF;
    }
    *code_point = value;
    return need + 1;
}

size_t gn__utf8_encode(uint32_t c, char out[4])
{
    unsigned char *p = (unsigned char *)out;
    if (c < 0x80) {
        p[0] = (unsigned char)c;
        return 1;
    }
    if (c < 0x800) {
        p[0] = (unsigned char)(0xC0 | c >> 6);
        p[1] = (unsigned char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        p[0] = (unsigned char)(0xE0 | c >> 12);
        p[1] = (unsigned char)(0x80 | (c >> 6 & 0x3F));
        p[2] = (unsigned char)(0x80 | (c & 0x3F));
        return 3;
    }
    p[0] = (unsigned char)(0xF0 | c >> 18);
    p[1] = (unsigned char)(0x80 | (c >> 12 & 0x3F));
    p[2] = (unsigned char)(0x80 | (c >> 6 & 0x3F));
    p[3] = (unsigned char)(0x80 | (c & 0x3F));
    return 4;
}

size_t gn__utf8_prefix(const char *s, size_t n, size_t max)
{
    size_t at = 0;
    while (at < n && max-- > 0) {
        uint32_t c;
        at += gn__utf8_decode(s + at, n - at, &c);
    }
    return at;
}
