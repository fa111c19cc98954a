/* Finished fits on disk, so that a stopped comparison goes on. */
#include "verify/finetune.h"

#include <math.h>

static const char MAGIC[] = "genchi-fit/1\n";

/* What stands before the arrays; all of it in the machine's order, which is little-endian wherever genchi
 * is built. */
typedef struct head {
    uint64_t judges, classes, dim, after_rows, layer_changes, steps, tokens, forward_tokens, trained,
        parameters;
    uint64_t stopped_early;
    double cka_train, cka_test, seconds, core_seconds, memory;
} head;

enum { MOST_LAYERS = 1 << 16 };

static void digest(const void *data, size_t size, char hex[65], gn_status *status, gn_error *err)
{
    gn__sha256 h;
    *status = gn__sha256_begin(&h, err);
    if (*status != GN_OK) return;
    gn__sha256_update(&h, data, size);
    gn__sha256_end(&h, hex);
}

gn_status gn__store_write(const char *path, const char key[65], const gn__fit *f, size_t judges,
                          size_t classes, size_t dim, gn_error *err)
{
    head h = {judges,        classes,           dim,
              f->after.rows, f->layer_changes,  f->steps,
              f->tokens,     f->forward_tokens, f->trained,
              f->parameters, f->stopped_early,  f->cka_train,
              f->cka_test,   f->seconds,        f->core_seconds,
              f->memory};
    gn__buf b = {0};
    char hex[65];
    gn_status status = GN_OK;
    gn__buf_puts(&b, MAGIC);
    gn__buf_append(&b, key, 64);
    gn__buf_append(&b, (const char *)&h, sizeof h);
    gn__buf_append(&b, (const char *)f->probability, judges * classes * sizeof *f->probability);
    if (f->layer_changes > 0)
        gn__buf_append(&b, (const char *)f->layer_change, f->layer_changes * sizeof *f->layer_change);
    if (f->after.rows > 0)
        gn__buf_append(&b, (const char *)f->after.data, f->after.rows * dim * sizeof *f->after.data);
    if (b.failed) {
        gn__buf_free(&b);
        return gn__no_memory(err, judges * classes * sizeof *f->probability);
    }
    digest(b.data, b.length, hex, &status, err);
    if (status == GN_OK) {
        gn__buf_append(&b, hex, 64);
        status = b.failed ? gn__no_memory(err, b.length) : gn__write_file(path, b.data, b.length, err);
    }
    gn__buf_free(&b);
    return status;
}

/* Takes `n` values off the front; false: not so many are left, or no memory. */
static bool take(const char **at, size_t *left, size_t n, size_t size, void **out)
{
    size_t bytes = 0;
    if (!gn__mul_size(n, size, &bytes) || bytes > *left) return false;
    void *copy = gn__calloc(bytes + 1, 1);
    if (copy == NULL) return false;
    memcpy(copy, *at, bytes);
    *at += bytes;
    *left -= bytes;
    *out = copy;
    return true;
}

bool gn__store_parse(const void *data, size_t size, const char key[65], size_t judges, size_t classes,
                     size_t dim, bool embeddings, gn__fit *out)
{
    enum { HEX = 64 };
    const size_t front = strlen(MAGIC) + HEX + sizeof(head);
    const char *at = data;
    char hex[65];
    gn_status status;
    *out = (gn__fit){0};
    if (size < front + HEX || memcmp(at, MAGIC, strlen(MAGIC)) != 0 ||
        memcmp(at + strlen(MAGIC), key, HEX) != 0)
        return false;
    digest(data, size - HEX, hex, &status, NULL);
    if (status != GN_OK || memcmp(at + size - HEX, hex, HEX) != 0) return false;
    head h;
    memcpy(&h, at + front - sizeof h, sizeof h);
    size_t left = size - front - HEX, cells = 0, values = 0;
    at += front;
    if (h.judges != judges || h.classes != classes || h.dim != dim ||
        h.after_rows != (embeddings ? judges : 0) || h.layer_changes > MOST_LAYERS ||
        !gn__mul_size(judges, classes, &cells) || !gn__mul_size((size_t)h.after_rows, dim, &values))
        return false;
    void *probability = NULL, *change = NULL, *after = NULL;
    bool whole = take(&at, &left, cells, sizeof(float), &probability) &&
                 take(&at, &left, (size_t)h.layer_changes, sizeof(double), &change) &&
                 take(&at, &left, values, sizeof(float), &after) && left == 0;
    gn_matrix moved = {0};
    if (whole && values > 0) {
        whole = gn_matrix_create(judges, dim, &moved, NULL) == GN_OK;
        if (whole) memcpy(moved.data, after, values * sizeof *moved.data);
    }
    free(after);
    *out = (gn__fit){.probability = probability,
                     .after = moved,
                     .cka_train = h.cka_train,
                     .cka_test = h.cka_test,
                     .layer_change = change,
                     .layer_changes = (size_t)h.layer_changes,
                     .steps = (size_t)h.steps,
                     .tokens = (size_t)h.tokens,
                     .forward_tokens = (size_t)h.forward_tokens,
                     .trained = (size_t)h.trained,
                     .parameters = (size_t)h.parameters,
                     .seconds = h.seconds,
                     .core_seconds = h.core_seconds,
                     .memory = h.memory,
                     .stopped_early = h.stopped_early != 0};
    if (!whole) gn__fit_free(out);
    return whole;
}

gn_status gn__store_read(const char *path, const char key[65], size_t judges, size_t classes, size_t dim,
                         bool embeddings, gn__fit *out, bool *found, gn_error *err)
{
    gn__mapping m = {0};
    *found = false;
    *out = (gn__fit){0};
    if (!gn__file_exists(path)) return GN_OK;
    GN__TRY(gn__map_file(path, &m, err));
    *found = gn__store_parse(m.data, m.size, key, judges, classes, dim, embeddings, out);
    gn__unmap_file(&m);
    return GN_OK;
}
