#include "hub/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A download on its way to blobs/<etag>.incomplete. */
typedef struct sink {
    gn__fetch *fetch;
    int fd;
    EVP_MD_CTX *hash; /* NULL: the ETag is no hash that we know */
    const EVP_MD *kind;
    int64_t size;        /* -1: not known */
    int64_t have;        /* bytes in the file, all of them hashed */
    int64_t furthest;    /* the most that it ever was */
    uint64_t bytes;      /* that came over the network */
    char validator[200]; /* strong ETag of the server that sends the bytes; empty: none */
    bool begun;          /* this answer's first bytes were looked at */
    int failed;          /* errno of a write */
    bool too_long, misplaced;
} sink;

/* ---- URLs and refusals ------------------------------------------------------------------------------- */

static void put_encoded(gn__buf *b, const char *s, bool keep_slash)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~";
    for (; *s != '\0'; s++) {
        if (strchr(plain, *s) != NULL || (*s == '/' && keep_slash))
            gn__buf_putc(b, *s);
        else
            gn__buf_printf(b, "%%%02X", (unsigned)(unsigned char)*s);
    }
}

char *gn__hub_url(const char *endpoint, const char *repo, const char *revision, const char *file)
{
    gn__buf b = {0};
    size_t n = strlen(endpoint);
    while (n > 0 && endpoint[n - 1] == '/') n--;
    gn__buf_append(&b, endpoint, n);
    gn__buf_puts(&b, file == NULL ? "/api/models/" : "/");
    put_encoded(&b, repo, true);
    gn__buf_puts(&b, file == NULL ? "/revision/" : "/resolve/");
    put_encoded(&b, revision, false);
    if (file == NULL) {
        gn__buf_puts(&b, "?blobs=true");
    } else {
        gn__buf_putc(&b, '/');
        put_encoded(&b, file, true);
    }
    if (b.failed) gn__buf_free(&b);
    return b.data;
}

gn_status gn__hub_refusal(const gn__http_answer *a, const char *repo, const char *revision, const char *file,
                          const char *endpoint, bool with_token, gn_error *err)
{
    const char *code = a->error_code;
    if (strcmp(code, "GatedRepo") == 0 || (a->status == 403 && code[0] == '\0'))
        return gn__fail(
            err, GN_IO,
            "%1$s is gated: its conditions have to be accepted at %2$s/%1$s, and the token (HF_TOKEN) has "
            "to be of the account that accepted them",
            repo, endpoint);
    if (a->status == 401 && with_token)
        return gn__fail(err, GN_IO,
                        "%s: the hub does not accept the token, or there is no such model (HTTP 401)", repo);
    if (a->status == 401)
        return gn__fail(
            err, GN_IO,
            "%s: there is no such model on the hub, or it is private and needs a token (HF_TOKEN)", repo);
    if (a->status == 404 && (file != NULL || strcmp(code, "EntryNotFound") == 0))
        return gn__fail(err, GN_IO, "%s: the hub has no file %s", repo, file ? file : "?");
    if (a->status == 404 && strcmp(code, "RevisionNotFound") == 0)
        return gn__fail(err, GN_IO, "%s has no revision %s on the hub", repo, revision);
    if (a->status == 404) return gn__fail(err, GN_IO, "there is no model %s on the hub %s", repo, endpoint);
    return gn__fail(err, GN_IO, "%s: the hub answers with HTTP %ld", repo, a->status);
}

/* ---- what the file is -------------------------------------------------------------------------------- */

typedef struct description {
    char etag[200];
    int64_t size;
} description;

static gn_status describe(gn__fetch *f, const char *url, const gn__hub_file *file, description *out,
                          gn_error *err)
{
    gn__http_request r = {.url = url, .bearer = f->token, .head = true};
    gn__http_answer a;
    const char *repo = f->name->repo;
    gn_status status;
    for (unsigned tries = 0;;) {
        gn_error first = {.lang = err ? err->lang : GN_LANG_EN};
        status = gn__http_send(f->http, &r, &a, &first);
        if (status != GN_IO && !(status == GN_OK && gn__http_passing(a.status))) {
            if (status != GN_OK && err != NULL) *err = first;
            break;
        }
        gn_status waited = gn__http_wait(f->http, &tries, a.retry_after, err);
        if (waited != GN_OK) {
            if (waited == GN_IO && status == GN_IO && err != NULL) *err = first;
            if (waited == GN_IO && status == GN_OK)
                gn__hub_refusal(&a, repo, f->commit, file->path, f->endpoint, f->token != NULL, err);
            status = waited;
            break;
        }
        gn__http_answer_free(&a);
    }
    bool redirect = a.status >= 300 && a.status < 400;
    if (status == GN_OK && a.status != 200 && !redirect)
        status = gn__hub_refusal(&a, repo, f->commit, file->path, f->endpoint, f->token != NULL, err);
    if (status == GN_OK) {
        snprintf(out->etag, sizeof out->etag, "%s", a.linked_etag[0] ? a.linked_etag : a.etag);
        out->size = a.linked_size >= 0 ? a.linked_size : redirect ? -1 : a.length;
        if (!gn__is_etag(out->etag))
            status = gn__fail(err, GN_FORMAT, "%s: the hub gives %s no usable ETag", repo, file->path);
        else if (a.commit[0] != '\0' && strcmp(a.commit, f->commit) != 0)
            status = gn__fail(err, GN_FORMAT, "%s: the hub gives %s of commit %s where %s was asked for",
                              repo, file->path, a.commit, f->commit);
        else if ((file->sha256[0] != '\0' && strlen(out->etag) == 64 &&
                  strcmp(out->etag, file->sha256) != 0) ||
                 (file->size >= 0 && out->size >= 0 && file->size != out->size))
            status = gn__fail(err, GN_FORMAT,
                              "%s: the hub contradicts itself about %s (its list says another size or hash)",
                              repo, file->path);
        if (out->size < 0) out->size = file->size;
    }
    gn__http_answer_free(&a);
    return status;
}

/* ---- the bytes ----------------------------------------------------------------------------------------- */

/* 64 hexadecimal digits: SHA-256 of the bytes. 40: git's SHA-1 of "blob <size>", a zero, the bytes. */
static bool hash_begin(sink *s, const char *etag)
{
    size_t n = strlen(etag);
    bool hex = strspn(etag, "0123456789abcdef") == n;
    s->kind = !hex ? NULL : n == 64 ? EVP_sha256() : n == 40 && s->size >= 0 ? EVP_sha1() : NULL;
    if (s->kind == NULL) return true;
    if (s->hash == NULL) s->hash = EVP_MD_CTX_new();
    if (s->hash == NULL || EVP_DigestInit_ex(s->hash, s->kind, NULL) != 1) return false;
    if (n == 40) {
        char head[40];
        int length = snprintf(head, sizeof head, "blob %lld", (long long)s->size);
        EVP_DigestUpdate(s->hash, head, (size_t)length + 1);
    }
    return true;
}

static bool hash_agrees(sink *s, const char *etag)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (s->kind == NULL) return true;
    if (EVP_DigestFinal_ex(s->hash, digest, &n) != 1) return false;
    for (unsigned i = 0; i < n; i++) {
        char two[3];
        snprintf(two, sizeof two, "%02x", (unsigned)digest[i]);
        if (memcmp(two, etag + 2 * (size_t)i, 2) != 0) return false;
    }
    return true;
}

/* Empties the file: the bytes come from the beginning. */
static bool start_over(sink *s, const char *etag)
{
    if (s->fetch->progress != NULL && s->have > 0) s->fetch->progress(s->fetch->arg, -s->have);
    s->have = 0;
    s->validator[0] = '\0';
    if (ftruncate(s->fd, 0) != 0 || lseek(s->fd, 0, SEEK_SET) != 0) {
        s->failed = errno;
        return false;
    }
    return hash_begin(s, etag);
}

/* What an earlier call left of the file, hashed. */
static bool take_up(sink *s, const char *etag)
{
    unsigned char block[65536];
    if (!hash_begin(s, etag)) return false;
    for (;;) {
        ssize_t n = read(s->fd, block, sizeof block);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return start_over(s, etag);
        if (n == 0) break;
        if (s->hash != NULL) EVP_DigestUpdate(s->hash, block, (size_t)n);
        s->have += n;
    }
    if (s->fetch->progress != NULL) s->fetch->progress(s->fetch->arg, s->have);
    s->furthest = s->have;
    /* without a hash nothing would tell that the parts belong together */
    bool good = s->kind != NULL && (s->size < 0 || s->have <= s->size);
    return good || s->have == 0 || start_over(s, etag);
}

typedef struct sink_arg {
    sink *s;
    const char *etag;
} sink_arg;

static bool take_bytes(void *arg, const gn__http_answer *a, const char *data, size_t n)
{
    sink *s = ((sink_arg *)arg)->s;
    if (!s->begun) {
        s->begun = true;
        if (a->status == 200 && s->have > 0 && !start_over(s, ((sink_arg *)arg)->etag)) return false;
        if (a->status == 206 && a->range_from != s->have) {
            s->misplaced = true;
            return false;
        }
        snprintf(s->validator, sizeof s->validator, "%s", a->weak ? "" : a->etag);
    }
    if (s->size >= 0 && (int64_t)n > s->size - s->have) {
        s->too_long = true;
        return false;
    }
    for (size_t at = 0; at < n;) {
        ssize_t wrote = write(s->fd, data + at, n - at);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) {
            s->failed = errno;
            return false;
        }
        at += (size_t)wrote;
    }
    if (s->hash != NULL) EVP_DigestUpdate(s->hash, data, n);
    s->have += (int64_t)n;
    s->bytes += n;
    if (s->fetch->progress != NULL) s->fetch->progress(s->fetch->arg, (int64_t)n);
    return true;
}

typedef enum outcome { WHOLE, TRY_AGAIN, GIVE_UP } outcome;

/* One request for the rest of the file; err is filled for TRY_AGAIN too. */
static outcome request_rest(sink *s, const char *url, const char *file, const char *etag, double *retry_after,
                            gn_error *err)
{
    gn__fetch *f = s->fetch;
    const char *repo = f->name->repo;
    sink_arg arg = {s, etag};
    gn__http_answer a;
    gn__http_request r = {.url = url,
                          .bearer = f->token,
                          .from = (uint64_t)s->have,
                          .if_range = s->validator[0] ? s->validator : NULL,
                          .sink = take_bytes,
                          .arg = &arg};
    s->begun = false;
    gn_status status = gn__http_send(f->http, &r, &a, err);
    *retry_after = a.retry_after;
    long code = a.status;
    outcome out = GIVE_UP;
    if (s->failed != 0) {
        gn__fail(err, GN_IO, "cannot write %s of %s: %s", file, repo, strerror(s->failed));
    } else if (s->too_long) {
        gn__fail(err, GN_FORMAT, "%s: the hub sends more than the %lld bytes that %s has", repo,
                 (long long)s->size, file);
        start_over(s, etag);
    } else if (s->misplaced) { /* bytes of another place than was asked for: from the beginning */
        out = start_over(s, etag) ? TRY_AGAIN : GIVE_UP;
        gn__fail(err, GN_FORMAT, "%s: the hub sends another part of %s than was asked for", repo, file);
        s->misplaced = false;
    } else if (status == GN_IO) {
        out = TRY_AGAIN;
    } else if (status == GN_OK && code == 416) {
        if (s->size < 0 || s->have != s->size) { /* what lies there is no beginning of the file */
            out = start_over(s, etag) ? TRY_AGAIN : GIVE_UP;
            gn__fail(err, GN_FORMAT, "%s: the hub sends another part of %s than was asked for", repo, file);
        } else {
            out = WHOLE;
        }
    } else if (status == GN_OK && (code == 200 || code == 206)) {
        if (!s->begun && code == 200 && s->have > 0) start_over(s, etag); /* an empty file */
        out = s->size >= 0 && s->have < s->size ? TRY_AGAIN : WHOLE;
        if (out == TRY_AGAIN)
            gn__fail(err, GN_FORMAT, "%s: %s should have %lld bytes, but the hub sends %lld", repo, file,
                     (long long)s->size, (long long)s->have);
    } else if (status == GN_OK) {
        gn__hub_refusal(&a, repo, f->commit, file, f->endpoint, f->token != NULL, err);
        /* a storage server's refusal can be a signed address that ran out: the hub gives a fresh one */
        out = gn__http_passing(code) || (a.foreign && code == 403) ? TRY_AGAIN : GIVE_UP;
    }
    gn__http_answer_free(&a);
    return out;
}

/* Until the file is whole; counts tries anew whenever it got longer. */
static gn_status download(sink *s, const char *url, const char *file, const char *etag, gn_error *err)
{
    unsigned tries = 0;
    gn_error last = {.lang = err ? err->lang : GN_LANG_EN};
    for (;;) {
        double retry_after = 0;
        if (s->size >= 0 && s->have == s->size && s->size > 0) return GN_OK;
        outcome o = request_rest(s, url, file, etag, &retry_after, &last);
        if (o == WHOLE) return GN_OK;
        gn_status waited = GN_IO;
        if (o == TRY_AGAIN) {
            if (s->have > s->furthest) {
                s->furthest = s->have;
                tries = 0;
            }
            if (s->kind == NULL && s->validator[0] == '\0') start_over(s, etag);
            waited = gn__http_wait(s->fetch->http, &tries, retry_after, err);
            if (waited == GN_OK) continue;
        }
        if (waited == GN_IO && err != NULL) *err = last;
        return waited == GN_IO ? last.code : waited;
    }
}

static gn_status fill(sink *s, const char *url, const char *file, const char *etag, const char *incomplete,
                      const char *blob, gn_error *err)
{
    const char *repo = s->fetch->name->repo;
    if (!take_up(s, etag))
        return s->failed ? gn__fail(err, GN_IO, "cannot write %s: %s", incomplete, strerror(s->failed))
                         : gn__no_memory(err, 64);
    for (bool resumed = s->have > 0;; resumed = false) {
        GN__TRY(download(s, url, file, etag, err));
        bool right_size = s->size < 0 || s->have == s->size;
        if (right_size && hash_agrees(s, etag)) break;
        if (resumed && s->bytes < (uint64_t)s->have && start_over(s, etag))
            continue; /* the earlier part was bad */
        if (s->fetch->progress != NULL) s->fetch->progress(s->fetch->arg, -s->have);
        unlink(incomplete);
        return gn__fail(err, GN_FORMAT,
                        "%s: what the hub sends as %s does not have the hash %s; it was deleted", repo, file,
                        etag);
    }
    if (fsync(s->fd) != 0 || rename(incomplete, blob) != 0)
        return gn__fail(err, GN_IO, "cannot write %s: %s", blob, strerror(errno));
    return GN_OK;
}

/* ---- locks
 * ------------------------------------------------------------------------------------------------- */

/* flock, as the filelock package does, so that genchi and Python wait for each other. */
static gn_status lock(gn__fetch *f, const char *etag, int *fd, gn_error *err)
{
    gn__buf path = {0};
    GN__TRY(gn__make_directory(f->name->locks, err));
    gn__buf_printf(&path, "%s/%s.lock", f->name->locks, etag);
    if (path.failed) return gn__no_memory(err, 64);
    *fd = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    gn_status status =
        *fd >= 0 ? GN_OK : gn__fail(err, GN_IO, "cannot write %s: %s", path.data, strerror(errno));
    while (status == GN_OK && flock(*fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            status = gn__fail(err, GN_IO, "cannot lock %s: %s", path.data, strerror(errno));
        } else {
            struct timespec t = {0, 50000000};
            nanosleep(&t, NULL);
            if (gn__http_stopped(f->http)) status = gn__fail(err, GN_CANCELLED, "stopped at your request");
        }
    }
    if (status != GN_OK && *fd >= 0) close(*fd);
    gn__buf_free(&path);
    return status;
}

static bool is_there(const char *blob, int64_t size)
{
    struct stat st;
    return stat(blob, &st) == 0 && S_ISREG(st.st_mode) && (size < 0 || st.st_size == size);
}

static gn_status fetch_locked(gn__fetch *f, const char *url, const char *file, const description *d,
                              const char *blob, gn__fetched *out, gn_error *err)
{
    gn__buf incomplete = {0};
    int held = -1;
    GN__TRY(lock(f, d->etag, &held, err));
    gn_status status = GN_OK;
    sink s = {.fetch = f, .fd = -1, .size = d->size};
    if (is_there(blob, d->size)) { /* another process was here first */
        out->was_there = true;
        goto done;
    }
    gn__buf_printf(&incomplete, "%s.incomplete", blob);
    if (incomplete.failed) {
        status = gn__no_memory(err, 64);
        goto done;
    }
    s.fd = open(incomplete.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (s.fd < 0)
        status = gn__fail(err, GN_IO, "cannot write %s: %s", incomplete.data, strerror(errno));
    else
        status = fill(&s, url, file, d->etag, incomplete.data, blob, err);
    out->bytes = s.bytes;
    if (s.fd >= 0) close(s.fd);
    EVP_MD_CTX_free(s.hash);
done:
    gn__buf_free(&incomplete);
    close(held);
    return status;
}

gn_status gn__fetch_file(gn__fetch *f, const gn__hub_file *file, gn__fetched *out, gn_error *err)
{
    char *blobs = gn__path_join(f->name->folder, "blobs"), *blob = NULL;
    char *url = gn__hub_url(f->endpoint, f->name->repo, f->commit, file->path);
    description d = {.size = -1};
    gn_status status;
    *out = (gn__fetched){0};
    if (blobs == NULL || url == NULL) {
        status = gn__no_memory(err, 64);
        goto done;
    }
    GN__TRY_GOTO(describe(f, url, file, &d, err), done);
    memcpy(out->etag, d.etag, sizeof out->etag);
    blob = gn__path_join(blobs, d.etag);
    if (blob == NULL) {
        status = gn__no_memory(err, 64);
        goto done;
    }
    if (is_there(blob, d.size)) {
        out->was_there = true;
    } else {
        GN__TRY_GOTO(gn__make_directory(blobs, err), done);
        GN__TRY_GOTO(fetch_locked(f, url, file->path, &d, blob, out, err), done);
    }
    if (out->was_there && f->progress != NULL && d.size > 0) f->progress(f->arg, d.size);
done:
    free(blobs);
    free(blob);
    free(url);
    return status;
}
