/* The file: a magic, the identity (64 hexadecimal digits), the dimensions, then records of a digest (32
 * bytes) and a vector (float32, as this machine has it). A last record that is cut short does not count. */
#include "hub/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIGEST = 32, HEAD = 96 };

static void digest_of(const char *text, size_t length, unsigned char out[DIGEST])
{
    EVP_Digest(text, length, out, NULL, EVP_sha256(), NULL);
}

static gn_status slot_of_digest(gn__pull_journal *j, const unsigned char digest[DIGEST], uint32_t *slot,
                                gn_error *err)
{
    size_t next = j->slot_of.count;
    if (next >= UINT32_MAX)
        return gn__fail(err, GN_INVALID_ARGUMENT, "more than %u texts in one call", UINT32_MAX - 1);
    if (!gn__map_put(&j->slot_of, (const char *)digest, DIGEST, (uint32_t)next, slot))
        return gn__no_memory(err, DIGEST);
    if (*slot < j->capacity) return GN_OK;
    size_t capacity = j->capacity ? j->capacity * 2 : 1024, cells;
    float *row = gn__mul_size(capacity, j->dim, &cells) ? gn__realloc(j->row, cells, sizeof *row) : NULL;
    if (row != NULL) j->row = row;
    bool *have = row != NULL ? gn__realloc(j->have, capacity, sizeof *have) : NULL;
    if (have == NULL) return gn__no_memory(err, capacity * j->dim * sizeof *row);
    memset(have + j->capacity, 0, capacity - j->capacity);
    j->have = have;
    j->capacity = capacity;
    return GN_OK;
}

gn_status gn__pull_journal_slot(gn__pull_journal *j, const char *text, size_t length, uint32_t *slot,
                                gn_error *err)
{
    unsigned char digest[DIGEST];
    digest_of(text, length, digest);
    return slot_of_digest(j, digest, slot, err);
}

static bool write_whole(int fd, const void *data, size_t n)
{
    const char *at = data;
    while (n > 0) {
        ssize_t k = write(fd, at, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        at += k;
        n -= (size_t)k;
    }
    return true;
}

static void give_up_file(gn__pull_journal *j)
{
    if (j->fd >= 0) close(j->fd);
    j->fd = -1;
}

static void head_of(const gn__pull_journal *j, char head[HEAD])
{
    memset(head, 0, HEAD);
    snprintf(head, HEAD, "genchi 1 %s %zu", j->identity, j->dim);
    head[HEAD - 1] = '\n';
}

static void begin_file(gn__pull_journal *j)
{
    char head[HEAD];
    head_of(j, head);
    if (ftruncate(j->fd, 0) != 0 || lseek(j->fd, 0, SEEK_SET) != 0 || !write_whole(j->fd, head, HEAD))
        give_up_file(j);
}

static bool all_finite(const float *row, size_t dim)
{
    for (size_t i = 0; i < dim; i++)
        if (!isfinite(row[i])) return false;
    return true;
}

static gn_status read_file(gn__pull_journal *j, gn_error *err)
{
    char head[HEAD], wanted[HEAD];
    size_t size = DIGEST + j->dim * sizeof(float);
    off_t whole = HEAD;
    head_of(j, wanted);
    if (read(j->fd, head, HEAD) != HEAD || memcmp(head, wanted, HEAD) != 0) {
        begin_file(j);
        return GN_OK;
    }
    unsigned char *record = gn__aligned(size, 1);
    float *row = gn__calloc(j->dim, sizeof *row);
    gn_status status = record == NULL || row == NULL ? gn__no_memory(err, size) : GN_OK;
    while (status == GN_OK && read(j->fd, record, size) == (ssize_t)size) {
        uint32_t slot;
        memcpy(row, record + DIGEST, size - DIGEST);
        if (!all_finite(row, j->dim)) break;
        status = slot_of_digest(j, record, &slot, err);
        if (status == GN_OK) {
            memcpy(j->row + slot * j->dim, row, size - DIGEST);
            j->have[slot] = true;
            whole += (off_t)size;
        }
    }
    free(record);
    free(row);
    if (status == GN_OK && (ftruncate(j->fd, whole) != 0 || lseek(j->fd, whole, SEEK_SET) != whole))
        give_up_file(j);
    return status;
}

gn_status gn__pull_journal_open(const char *path, const char *identity, size_t dim, gn__pull_journal *out,
                                gn_error *err)
{
    *out = (gn__pull_journal){.dim = dim, .fd = -1};
    snprintf(out->identity, sizeof out->identity, "%s", identity);
    if (path == NULL) return GN_OK;
    out->path = gn__strdup(path);
    if (out->path == NULL) return gn__no_memory(err, strlen(path));
    out->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (out->fd >= 0 && flock(out->fd, LOCK_EX | LOCK_NB) != 0) give_up_file(out);
    gn_status status = out->fd >= 0 ? read_file(out, err) : GN_OK;
    if (status != GN_OK) gn__pull_journal_close(out);
    return status;
}

void gn__pull_journal_put(gn__pull_journal *j, const char *text, size_t length, uint32_t slot,
                          const float *row)
{
    unsigned char digest[DIGEST];
    memcpy(j->row + slot * j->dim, row, j->dim * sizeof *row);
    j->have[slot] = true;
    if (j->fd < 0) return;
    digest_of(text, length, digest);
    if (!write_whole(j->fd, digest, DIGEST) || !write_whole(j->fd, row, j->dim * sizeof *row))
        give_up_file(j);
}

void gn__pull_journal_clear(gn__pull_journal *j)
{
    gn__map_free(&j->slot_of);
    j->slot_of = (gn__map){0};
    free(j->row);
    free(j->have);
    j->row = NULL;
    j->have = NULL;
    j->capacity = 0;
    if (j->fd >= 0) begin_file(j);
}

void gn__pull_journal_close(gn__pull_journal *j)
{
    struct stat st;
    /* nothing but its head: of no use to anybody */
    if (j->fd >= 0 && fstat(j->fd, &st) == 0 && st.st_size <= HEAD) unlink(j->path);
    give_up_file(j);
    gn__map_free(&j->slot_of);
    free(j->row);
    free(j->have);
    free(j->path);
    *j = (gn__pull_journal){.fd = -1};
}
