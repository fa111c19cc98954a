#include "core/core.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opens a regular file for reading and tells its size. */
static gn_status open_regular(const char *path, int *fd, size_t *size, gn_error *err)
{
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0) return gn__fail(err, GN_IO, "cannot open %s: %s", path, strerror(errno));
    if (fstat(*fd, &st) != 0) {
        int saved = errno;
        close(*fd);
        return gn__fail(err, GN_IO, "cannot read %s: %s", path, strerror(saved));
    }
    if (S_ISDIR(st.st_mode)) {
        close(*fd);
        return gn__fail(err, GN_IO, "%s is a folder, not a file", path);
    }
    *size = (size_t)st.st_size;
    return GN_OK;
}

gn_status gn__map_file(const char *path, gn__mapping *out, gn_error *err)
{
    int fd;
    size_t size;
    GN__TRY(open_regular(path, &fd, &size, err));
    void *data = NULL;
    if (size > 0) {
        data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            int saved = errno;
            close(fd);
            return gn__fail(err, GN_IO, "cannot read %s: %s", path, strerror(saved));
        }
    }
    close(fd);
    *out = (gn__mapping){data, size};
    return GN_OK;
}

void gn__unmap_file(gn__mapping *m)
{
    if (m->data != NULL) munmap((void *)(uintptr_t)m->data, m->size);
    *m = (gn__mapping){0};
}

void gn__forget_pages(const gn__mapping *part)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)part->data, to = from + part->size;
    from = (from + page - 1) / page * page;
    to = to / page * page;
    if (from < to) (void)madvise((void *)from, to - from, MADV_DONTNEED); /* a hint: nothing depends on it */
}

gn_status gn__read_file(const char *path, size_t limit, char **out, size_t *length, gn_error *err)
{
    int fd;
    size_t size;
    GN__TRY(open_regular(path, &fd, &size, err));
    gn_status status = GN_OK;
    size_t capacity = size + 1, used = 0;
    char *data = size < SIZE_MAX - 1 ? malloc(capacity + 1) : NULL;
    if (data == NULL) {
        status = gn__no_memory(err, size);
        goto done;
    }
    for (;;) {
        if (used > limit) {
            status = gn__fail(err, GN_FORMAT, "%s is larger than the %zu bytes allowed", path, limit);
            goto done;
        }
        if (used == capacity) { /* the file grew, or is a pipe whose size stat does not tell */
            char *more = capacity > SIZE_MAX / 2 - 1 ? NULL : realloc(data, capacity * 2 + 1);
            if (more == NULL) {
                status = gn__no_memory(err, capacity);
                goto done;
            }
            data = more;
            capacity *= 2;
        }
        ssize_t n = read(fd, data + used, capacity - used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            status = gn__fail(err, GN_IO, "cannot read %s: %s", path, strerror(errno));
            goto done;
        }
        if (n == 0) break;
        used += (size_t)n;
    }
    data[used] = '\0';
    *out = data;
    *length = used;
    data = NULL;
done:
    free(data);
    close(fd);
    return status;
}

static int write_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, data, length);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        data += n;
        length -= (size_t)n;
    }
    return 0;
}

gn_status gn__writer_open(gn__writer *w, const char *path, gn_error *err)
{
    gn__buf aside = {0};
    *w = (gn__writer){.fd = -1, .path = gn__strdup(path)};
    gn__buf_printf(&aside, "%s.tmp-%ld", path, (long)getpid());
    if (aside.failed || w->path == NULL) {
        gn__buf_free(&aside);
        free(w->path);
        return gn__no_memory(err, strlen(path));
    }
    w->aside = aside.data;
    w->fd = open(w->aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (w->fd >= 0) return GN_OK;
    gn_status status = gn__fail(err, GN_IO, "cannot write %s: %s", path, strerror(errno));
    gn__writer_abort(w);
    return status;
}

void gn__writer_put(gn__writer *w, const void *data, size_t length)
{
    if (w->failed == 0 && write_all(w->fd, data, length) != 0) w->failed = errno;
}

gn_status gn__writer_commit(gn__writer *w, gn_error *err)
{
    gn_status status = GN_OK;
    if (w->failed == 0 && fsync(w->fd) != 0) w->failed = errno;
    if (close(w->fd) != 0 && w->failed == 0) w->failed = errno;
    w->fd = -1;
    if (w->failed == 0 && rename(w->aside, w->path) != 0) w->failed = errno;
    if (w->failed != 0) {
        status = gn__fail(err, GN_IO, "cannot write %s: %s", w->path, strerror(w->failed));
        unlink(w->aside);
    }
    free(w->aside);
    free(w->path);
    *w = (gn__writer){.fd = -1};
    return status;
}

void gn__writer_abort(gn__writer *w)
{
    if (w->fd >= 0) {
        close(w->fd);
        unlink(w->aside);
    }
    free(w->aside);
    free(w->path);
    *w = (gn__writer){.fd = -1};
}

gn_status gn__write_file(const char *path, const void *data, size_t length, gn_error *err)
{
    gn__writer w;
    GN__TRY(gn__writer_open(&w, path, err));
    gn__writer_put(&w, data, length);
    return gn__writer_commit(&w, err);
}

bool gn__is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool gn__file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

char *gn__path_join(const char *directory, const char *name)
{
    gn__buf b = {0};
    size_t n = strlen(directory);
    while (n > 1 && directory[n - 1] == '/') n--;
    gn__buf_append(&b, directory, n);
    if (n > 0 && directory[n - 1] != '/') gn__buf_putc(&b, '/');
    gn__buf_puts(&b, name);
    if (b.failed) gn__buf_free(&b);
    return b.data;
}

gn_status gn__make_directory(const char *path, gn_error *err)
{
    char *copy = gn__strdup(path);
    if (copy == NULL) return gn__no_memory(err, strlen(path));
    gn_status status = GN_OK;
    size_t n = strlen(copy);
    for (size_t i = 1; i <= n && status == GN_OK; i++) {
        if (copy[i] != '/' && copy[i] != '\0') continue;
        char saved = copy[i];
        copy[i] = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            status = gn__fail(err, GN_IO, "cannot make the folder %s: %s", copy, strerror(errno));
        copy[i] = saved;
    }
    if (status == GN_OK && !gn__is_directory(path))
        status = gn__fail(err, GN_IO, "cannot make the folder %s: %s", path, strerror(ENOTDIR));
    free(copy);
    return status;
}

gn_status gn__sha256_begin(gn__sha256 *h, gn_error *err)
{
    EVP_MD_CTX *state = EVP_MD_CTX_new();
    if (state == NULL || EVP_DigestInit_ex(state, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(state);
        return gn__fail(err, GN_NO_MEMORY, "cannot set up SHA-256");
    }
    h->state = state;
    return GN_OK;
}

void gn__sha256_update(gn__sha256 *h, const void *data, size_t n)
{
    EVP_DigestUpdate(h->state, data, n);
}

void gn__sha256_end(gn__sha256 *h, char hex[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_DigestFinal_ex(h->state, digest, NULL);
    EVP_MD_CTX_free(h->state);
    h->state = NULL;
    for (int i = 0; i < 32; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    hex[64] = '\0';
}
