/* The cache's two files, which anyone may have damaged: the index (SQLite) and a file of vectors. The input's
 * first four bytes say how long the index is. Whatever they hold, a vector that is found is whole. */
#include "store/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { DIM = 4, TEXTS = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(const char *path, const uint8_t *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    close(fd);
}

static void use(const char *folder)
{
    static const char key[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const gn__cache_space space = {.key = key, .name = "m", .detail = "d", .dim = DIM};
    unsigned char hash[TEXTS][GN__HASH], found[TEXTS];
    size_t row[TEXTS];
    float x[TEXTS * DIM] = {0};
    gn__cache_note note[TEXTS] = {{0}};
    gn_error err = {0};
    gn_cache *c;
    gn_cache_list list;
    uint64_t good, damaged;
    for (size_t i = 0; i < TEXTS; i++) {
        memset(hash[i], (int)i + 1, GN__HASH);
        row[i] = i;
    }
    if (gn_cache_open(folder, &c, &err) != GN_OK) return;
    sqlite3_busy_timeout(c->db, 0);
    gn__cache_find(c, &space, hash, TEXTS, row, x, note, found, &err);
    if (gn_cache_list_make(c, &list, &err) == GN_OK) gn_cache_list_free(&list);
    gn__cache_add(c, &space, hash, TEXTS, x, note, &err);
    gn_cache_verify(c, &good, &damaged, &err);
    gn_cache_close(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"index.sqlite", "vectors-1.bin", "index.sqlite-wal",
                                        "index.sqlite-shm", "vectors-2.bin"};
    static char folder[] = "/tmp/genchi-fuzz-XXXXXX", path[5][64];
    if (path[0][0] == '\0') {
        if (mkdtemp(folder) == NULL) abort();
        for (int i = 0; i < 5; i++) snprintf(path[i], sizeof path[i], "%s/%s", folder, names[i]);
    }
    if (size < 4) return 0;
    size_t n = data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16 | (size_t)data[3] << 24;
    if (n > size - 4) n = size - 4;
    put(path[0], data + 4, n);
    put(path[1], data + 4 + n, size - 4 - n);
    use(folder);
    for (int i = 0; i < 5; i++) unlink(path[i]);
    return 0;
}
