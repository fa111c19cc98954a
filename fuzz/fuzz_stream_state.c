/* What an unfinished `genchi embed` left: X.npy.state and X.npy.partial. The input's first two bytes say how
 * long the state is. Whatever it holds, the blocks kept lie within the data and their line is the end of the
 * state. */
#include "pipeline/journal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(const char *path, const uint8_t *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    close(fd);
}

static void go_on(const char *out)
{
    gn_error err = {0};
    gn__layout layout = {.type = GN_OUTPUT_F16, .dim = 3};
    gn__sha256 sha;
    gn__journal j;
    gn_context *ctx;
    json_t *options = json_pack("{s:s, s:i}", "model", "m", "rows", 2);
    struct stat data, state;
    if (gn_context_create(&(gn_context_options){.threads = 1}, &ctx, &err) != GN_OK) abort();
    if (gn__journal_open(out, options, false, &j, &err) == GN_OK) {
        if (gn__sha256_begin(&sha, &err) != GN_OK) abort();
        if (gn__journal_verify(ctx, &j, &layout, &sha, &err) == GN_OK) {
            uint64_t rows = 0;
            for (size_t i = 0; i < j.blocks; i++) rows += j.block[i].rows;
            if (fstat(j.data_fd, &data) != 0 || fstat(j.state_fd, &state) != 0) abort();
            if (rows > 0 &&
                gn__layout_header(&layout) + rows * gn__layout_row(&layout) > (uint64_t)data.st_size)
                abort();
            if (j.blocks > 0 && j.end[j.blocks - 1] != state.st_size) abort();
        }
        char hex[65];
        gn__sha256_end(&sha, hex);
        gn__journal_close(&j);
    }
    json_decref(options);
    gn_context_free(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char folder[] = "/tmp/genchi-fuzz-XXXXXX", out[64], state[64], partial[64];
    if (out[0] == '\0') {
        if (mkdtemp(folder) == NULL) abort();
        snprintf(out, sizeof out, "%s/x.npy", folder);
        snprintf(state, sizeof state, "%s.state", out);
        snprintf(partial, sizeof partial, "%s.partial", out);
    }
    if (size < 2) return 0;
    size_t n = data[0] | (size_t)data[1] << 8;
    if (n > size - 2) n = size - 2;
    put(state, data + 2, n);
    put(partial, data + 2 + n, size - 2 - n);
    go_on(out);
    unlink(state);
    unlink(partial);
    return 0;
}
