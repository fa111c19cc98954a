#include "core/core.h"

#include <stdio.h>

void *gn__calloc(size_t n, size_t size)
{
    return calloc(n ? n : 1, size ? size : 1);
}

void *gn__realloc(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (!gn__mul_size(n, size, &bytes)) return NULL;
    return realloc(p, bytes ? bytes : 1);
}

void *gn__aligned(size_t n, size_t size)
{
    size_t bytes;
    if (!gn__mul_size(n, size, &bytes) || bytes > SIZE_MAX - 64) return NULL;
    bytes = (bytes + 63) / 64 * 64;
    return aligned_alloc(64, bytes ? bytes : 64);
}

char *gn__strndup(const char *s, size_t n)
{
    if (n == SIZE_MAX) return NULL;
    char *copy = malloc(n + 1);
    if (copy == NULL) return NULL;
    if (n > 0) memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

char *gn__strdup(const char *s)
{
    return s == NULL ? NULL : gn__strndup(s, strlen(s));
}

struct gn__arena_block {
    struct gn__arena_block *next;
    size_t used, size;
    _Alignas(16) unsigned char data[];
};

enum { ARENA_BLOCK = 64 * 1024 };

void *gn__arena_alloc(gn__arena *a, size_t bytes)
{
    if (bytes > SIZE_MAX / 2) return NULL;
    bytes = (bytes + 15) / 16 * 16;
    if (a->head == NULL || a->head->size - a->head->used < bytes) {
        size_t size = bytes > ARENA_BLOCK ? bytes : (size_t)ARENA_BLOCK;
        struct gn__arena_block *block = malloc(sizeof *block + size);
        if (block == NULL) return NULL;
        block->used = 0;
        block->size = size;
        block->next = a->head;
        a->head = block;
    }
    void *p = a->head->data + a->head->used;
    a->head->used += bytes;
    return p;
}

char *gn__arena_strndup(gn__arena *a, const char *s, size_t n)
{
    if (n == SIZE_MAX) return NULL;
    char *copy = gn__arena_alloc(a, n + 1);
    if (copy == NULL) return NULL;
    if (n > 0) memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

void gn__arena_free(gn__arena *a)
{
    for (struct gn__arena_block *b = a->head; b != NULL;) {
        struct gn__arena_block *next = b->next;
        free(b);
        b = next;
    }
    a->head = NULL;
}

gn_status gn_matrix_create(size_t rows, size_t cols, gn_matrix *out, gn_error *err)
{
    size_t cells;
    float *data = NULL;
    if (gn__mul_size(rows, cols, &cells)) data = gn__aligned(cells, sizeof *data);
    if (data == NULL)
        return gn__fail(err, GN_NO_MEMORY, "a matrix of %zu rows and %zu columns does not fit in memory",
                        rows, cols);
    memset(data, 0, cells * sizeof *data);
    *out = (gn_matrix){data, rows, cols};
    return GN_OK;
}

void gn_matrix_free(gn_matrix *m)
{
    if (m == NULL) return;
    free(m->data);
    *m = (gn_matrix){0};
}
