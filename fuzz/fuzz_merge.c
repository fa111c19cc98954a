/* A part that `genchi embed --merge` joins: X.npy and the X.npy.json beside it. The input's first two bytes
 * say how long the latter is. What is joined is what was there. */
#include "core/core.h"
#include "genchi/embed.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(const char *path, const uint8_t *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char folder[] = "/tmp/genchi-fuzz-XXXXXX", part[64], side[64], out[64], out_side[64];
    if (part[0] == '\0') {
        if (mkdtemp(folder) == NULL) abort();
        snprintf(part, sizeof part, "%s/part.npy", folder);
        snprintf(side, sizeof side, "%s.json", part);
        snprintf(out, sizeof out, "%s/out.npy", folder);
        snprintf(out_side, sizeof out_side, "%s.json", out);
    }
    if (size < 2) return 0;
    size_t n = data[0] | (size_t)data[1] << 8, length = 0;
    if (n > size - 2) n = size - 2;
    put(side, data + 2, n);
    put(part, data + 2 + n, size - 2 - n);
    gn_error err = {0};
    gn_context *ctx;
    gn_embed_file_result r;
    char *joined = NULL;
    if (gn_context_create(&(gn_context_options){.threads = 1}, &ctx, &err) != GN_OK) abort();
    if (gn_embed_merge(ctx, (const char *const[]){part}, 1, out, &r, &err) == GN_OK) {
        if (gn__read_file(out, SIZE_MAX / 4, &joined, &length, &err) != GN_OK) abort();
        if (length != size - 2 - n || memcmp(joined, data + 2 + n, length) != 0) abort();
        free(joined);
    }
    gn_context_free(ctx);
    unlink(part);
    unlink(side);
    unlink(out);
    unlink(out_side);
    return 0;
}
