/* Several builds of libgenchi.so embed the same texts in turn in one process: which is faster, and are the
 * vectors the same bits? What else the machine does then slows all alike. Usage:
 *
 *     turns MODEL float32|bf16|int8 TEXTS N single|together ROUNDS LIBRARY...
 *
 * TEXTS: a file with a text a line, of which the first N are embedded, one at a time or in one call; one
 * round more comes first and is not counted. Prints for each library the median and the least milliseconds
 * (single: a text), the first library's median over its own, and a checksum of the vectors. All libraries
 * must have the structs of the headers this was built with. */
#include "core/core.h"
#include "genchi/genchi.h"
#include "tensor/statistics.h"
#include "text/vocab.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LIBRARIES = 8, MOST_TEXTS = 4096, MOST_TOKENS = 512 };

typedef struct library {
    const char *path;
    gn_context *ctx;
    gn_model *model;
    __typeof__(&gn_model_embed) embed;
    __typeof__(&gn_matrix_free) matrix_free;
    double *milliseconds; /* a round */
    uint64_t checksum;
} library;

static const char *text[MOST_TEXTS];
static uint32_t bytes[MOST_TEXTS];
static gn_error err;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "turns: %s: %s\n", what, why);
    exit(1);
}

static void check(const char *what, gn_status status)
{
    if (status != GN_OK) fail(what, err.message);
}

static size_t read_texts(const char *path, size_t most)
{
    size_t n = 0, room = 0;
    char *line = NULL;
    FILE *f = fopen(path, "r");
    if (f == NULL) fail(path, "cannot be opened");
    for (ssize_t length; n < most && (length = getline(&line, &room, f)) > 0; n++) {
        if (line[length - 1] == '\n') line[--length] = '\0';
        text[n] = line;
        bytes[n] = (uint32_t)length;
        line = NULL;
        room = 0;
    }
    free(line);
    fclose(f);
    if (n == 0) fail(path, "no text");
    return n;
}

static void *symbol(void *handle, const char *name)
{
    void *s = dlsym(handle, name);
    if (s == NULL) fail(name, dlerror());
    return s;
}

static void open_library(library *l, const char *path, const char *model, const gn_model_options *options,
                         size_t rounds)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) fail(path, dlerror());
    __typeof__(&gn_context_create) context_create = symbol(handle, "gn_context_create");
    __typeof__(&gn_model_load) model_load = symbol(handle, "gn_model_load");
    l->path = path;
    l->embed = symbol(handle, "gn_model_embed");
    l->matrix_free = symbol(handle, "gn_matrix_free");
    l->milliseconds = calloc(rounds, sizeof *l->milliseconds);
    if (l->milliseconds == NULL) fail(path, "no memory");
    check(path, context_create(NULL, &l->ctx, &err));
    check(model, model_load(l->ctx, model, options, &l->model, &err));
}

/* The milliseconds that it took, and the vectors' checksum. */
static double embed(library *l, size_t n, bool single)
{
    double begin = gn__now();
    l->checksum = GN__TOK_HASH_SEED;
    for (size_t i = 0, count = single ? 1 : n; i < n; i += count) {
        gn_embed_stats stats;
        gn_matrix out;
        check(l->path, l->embed(l->ctx, l->model, text + i, bytes + i, count, &out, NULL, &stats, &err));
        l->checksum =
            gn__tok_hash(l->checksum, (const char *)out.data, out.rows * out.cols * sizeof *out.data);
        l->matrix_free(&out);
    }
    return 1e3 * (gn__now() - begin) / (single ? (double)n : 1);
}

static gn_dtype dtype_named(const char *name)
{
    for (gn_dtype t = GN_DTYPE_F32; t <= GN_DTYPE_INT8; t++)
        if (strcmp(name, gn_dtype_name(t)) == 0) return t;
    fail(name, "not a type");
    return GN_DTYPE_AUTO;
}

int main(int argc, char **argv)
{
    library all[MOST_LIBRARIES] = {0};
    if (argc < 8 || argc - 7 > MOST_LIBRARIES)
        fail("usage", "turns MODEL float32|bf16|int8 TEXTS N single|together ROUNDS LIBRARY...");
    size_t libraries = (size_t)argc - 7, most = strtoul(argv[4], NULL, 10),
           rounds = strtoul(argv[6], NULL, 10);
    bool single = strcmp(argv[5], "single") == 0;
    if (most > MOST_TEXTS || rounds == 0 || rounds > 100000) fail("N or ROUNDS", "out of range");
    size_t n = read_texts(argv[3], most);
    gn_model_options options = {
        .pooling = GN_POOLING_MEAN, .dtype = dtype_named(argv[2]), .max_length = MOST_TOKENS};
    for (size_t i = 0; i < libraries; i++) open_library(&all[i], argv[7 + i], argv[1], &options, rounds);
    for (size_t i = 0; i < libraries; i++) embed(&all[i], n, single);
    for (size_t r = 0; r < rounds; r++)
        for (size_t k = 0; k < libraries; k++) {
            library *l = &all[(r + k) % libraries]; /* each begins as often */
            l->milliseconds[r] = embed(l, n, single);
        }
    for (size_t i = 0; i < libraries; i++) gn__sort(all[i].milliseconds, rounds);
    for (size_t i = 0; i < libraries; i++) {
        double median = gn__quantile(all[i].milliseconds, rounds, 0.5);
        printf("%s: median %.2f ms, least %.2f ms, ratio %.3f, checksum %016llx\n", all[i].path, median,
               all[i].milliseconds[0], gn__quantile(all[0].milliseconds, rounds, 0.5) / median,
               (unsigned long long)all[i].checksum);
    }
    return 0;
}
