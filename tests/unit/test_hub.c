/* Finding and downloading models, against a stand-in that plays the hub. */
#include "genchi/hub.h"
#include "genchi/model.h"
#include "hub/http.h"
#include "standin.h"
#include "test.h"

#include <fcntl.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define TOKEN "hf_secretSECRETsecret"

enum { FILES = 9, BIG = 70000 };

typedef struct hub_file {
    const char *path;
    char *data;
    size_t length;
    bool large; /* LFS: redirected to another host, SHA-256 */
    char etag[80];
    /* misbehaviour, counted down at each GET of the bytes */
    int refuse, refusal; /* so many answers with this status first */
    int cuts;            /* so many answers cut half-way */
    int bad;             /* so many answers with other bytes */
    int shorter, longer; /* so many answers of a wrong size */
    int silent;
    bool no_range; /* answers 200 with everything */
} hub_file;

typedef struct hub {
    standin *server;
    hub_file file[FILES];
    char extra[200]; /* one more entry of the list */
    int list_refuse, list_refusal;
    const char *list_error, *retry_after;
    const char *token_needed; /* NULL: none */
    unsigned gets, heads, lists, resumed, conditional;
    bool token_left; /* a token came to the other host */
    bool token_came; /* a token came to the hub */
    unsigned pause_ms;
    bool no_commit, other_commit, plain_etag;
    char revision[200];
    char root[1024], cache[1100], endpoint[64];
    gn_context *ctx;
    gn_hub_options options;
} hub;

static gn_error error;

static void digest(const EVP_MD *kind, const char *head, size_t head_length, const char *data, size_t n,
                   char *hex)
{
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    EVP_DigestInit_ex(c, kind, NULL);
    EVP_DigestUpdate(c, head, head_length);
    EVP_DigestUpdate(c, data, n);
    EVP_DigestFinal_ex(c, out, &length);
    EVP_MD_CTX_free(c);
    for (unsigned i = 0; i < length; i++) sprintf(hex + 2 * i, "%02x", out[i]);
}

static void set_file(hub_file *f, const char *path, const char *data, size_t n, bool large)
{
    char head[40];
    int k = snprintf(head, sizeof head, "blob %zu", n);
    *f = (hub_file){.path = path, .data = malloc(n + 1), .length = n, .large = large};
    memcpy(f->data, data, n);
    if (large)
        digest(EVP_sha256(), "", 0, f->data, n, f->etag);
    else
        digest(EVP_sha1(), head, (size_t)k + 1, f->data, n, f->etag);
}

static void answer_list(hub *h, standin_reply *a)
{
    char *json = malloc(8192);
    int n = sprintf(json, "{\"id\": \"org/tiny\", \"sha\": \"%s\", \"siblings\": [%s", COMMIT, h->extra);
    h->lists++;
    if (h->list_refuse > 0) {
        h->list_refuse--;
        a->status = h->list_refusal;
        if (h->list_error != NULL) standin_header(a, "X-Error-Code: %s", h->list_error);
        if (h->retry_after != NULL) standin_header(a, "Retry-After: %s", h->retry_after);
        free(json);
        return;
    }
    for (int i = 0; i < FILES; i++) {
        const hub_file *f = &h->file[i];
        n += sprintf(json + n, "%s{\"rfilename\": \"%s\", \"size\": %zu", i || h->extra[0] ? ", " : "",
                     f->path, f->length);
        if (f->large)
            n += sprintf(json + n, ", \"lfs\": {\"sha256\": \"%s\", \"size\": %zu}", f->etag, f->length);
        n += sprintf(json + n, "}");
    }
    n += sprintf(json + n, "]}");
    *a = (standin_reply){.status = 200, .body = json, .length = (size_t)n, .owned = true};
}

static bool down(int *n)
{
    if (*n <= 0) return false;
    (*n)--;
    return true;
}

static void answer_bytes(hub *h, hub_file *f, const standin_request *q, standin_reply *a)
{
    size_t from = q->from > 0 && !f->no_range ? (size_t)q->from : 0;
    h->gets++;
    h->resumed += q->from > 0;
    h->conditional += q->if_range[0] != '\0';
    a->pause_ms = h->pause_ms;
    if (down(&f->silent)) {
        a->silent = true;
        return;
    }
    if (down(&f->refuse)) {
        a->status = f->refusal;
        return;
    }
    if (from >= f->length && from > 0) {
        a->status = 416;
        return;
    }
    a->status = from > 0 ? 206 : 200;
    if (from > 0) standin_header(a, "Content-Range: bytes %zu-%zu/%zu", from, f->length - 1, f->length);
    standin_header(a, "ETag: \"storage-%s\"", f->path);
    a->body = f->data + from;
    a->length = f->length - from;
    if (down(&f->bad)) {
        char *other = malloc(a->length);
        memcpy(other, a->body, a->length);
        other[a->length / 2] ^= 1;
        a->body = other;
        a->owned = true;
    }
    if (down(&f->shorter)) a->length -= 1;
    if (down(&f->longer)) {
        char *other = calloc(1, a->length + 5);
        memcpy(other, a->body, a->length);
        a->body = other;
        a->length += 5;
        a->owned = true;
    }
    if (down(&f->cuts)) a->cut_after = a->length / 2;
}

static void play(void *arg, const standin_request *q, standin_reply *a)
{
    static const char api[] = "/api/models/org/tiny/revision/", resolve[] = "/org/tiny/resolve/" COMMIT "/";
    hub *h = arg;
    bool home = strncmp(q->host, "127.0.0.1", 9) == 0;
    if (q->bearer[0] != '\0') *(home ? &h->token_came : &h->token_left) = true;
    if (home && h->token_needed != NULL && strcmp(q->bearer, h->token_needed) != 0) {
        a->status = 401;
    } else if (strncmp(q->path, api, sizeof api - 1) == 0) {
        snprintf(h->revision, sizeof h->revision, "%s", q->path + sizeof api - 1);
        answer_list(h, a);
    } else if (!home && strncmp(q->path, "/storage/", 9) == 0) {
        answer_bytes(h, &h->file[atoi(q->path + 9)], q, a);
    } else if (strncmp(q->path, resolve, sizeof resolve - 1) == 0 || strncmp(q->path, "/moved/", 7) == 0) {
        const char *path = q->path[1] == 'm' ? q->path + 7 : q->path + sizeof resolve - 1;
        hub_file *f = NULL;
        for (int i = 0; i < FILES; i++)
            if (strcmp(h->file[i].path, path) == 0) f = &h->file[i];
        if (f == NULL) {
            a->status = 404;
            standin_header(a, "X-Error-Code: EntryNotFound");
            return;
        }
        h->heads += strcmp(q->method, "HEAD") == 0;
        if (!h->no_commit) standin_header(a, "X-Repo-Commit: %s", h->other_commit ? "f" COMMIT : COMMIT);
        if (f->large) {
            a->status = 302;
            standin_header(a, "X-Linked-Etag: \"%s\"", f->etag);
            standin_header(a, "X-Linked-Size: %zu", f->length);
            standin_header(a, "Location: http://localhost:%d/storage/%d?signature=x", standin_port(h->server),
                           (int)(f - h->file));
        } else if (q->path[1] != 'm') { /* the hub sends small files by way of another path of its own */
            a->status = 307;
            standin_header(a, "Location: /moved/%s", f->path);
        } else if (strcmp(q->method, "HEAD") == 0) {
            standin_header(a, "ETag: %s\"%s\"", h->plain_etag ? "W/" : "",
                           h->plain_etag ? "v1-of-it" : f->etag);
            a->length = f->length;
        } else {
            answer_bytes(h, f, q, a);
        }
    } else {
        a->status = 404;
    }
}

/* A hub with one model of two shards; its files' content is arbitrary. */
static hub *hub_start(void)
{
    static int number;
    hub *h = calloc(1, sizeof *h);
    char *big = malloc(BIG);
    for (int i = 0; i < BIG; i++) big[i] = (char)(i * 7919 >> 3);
    set_file(&h->file[0], "config.json", "{\"model_type\": \"bert\"}", 22, false);
    set_file(&h->file[1], "tokenizer.json", big, 3000, false);
    set_file(&h->file[2], "model-00001-of-00002.safetensors", big, BIG, true);
    set_file(&h->file[3], "model-00002-of-00002.safetensors", big + 1, BIG - 1, true);
    set_file(&h->file[4], "model.safetensors.index.json", "{}", 2, false);
    set_file(&h->file[5], "1_Pooling/config.json", "{\"a\": 1}", 8, false);
    set_file(&h->file[6], "pytorch_model.bin", "pickle", 6, true);
    set_file(&h->file[7], "onnx/model.onnx", "onnx", 4, true);
    set_file(&h->file[8], "README.md", "", 0, false);
    free(big);
    h->server = standin_start(play, h);
    snprintf(h->root, sizeof h->root, "%s/hub%d", test_folder(), number++);
    snprintf(h->cache, sizeof h->cache, "%s/hub", h->root);
    snprintf(h->endpoint, sizeof h->endpoint, "http://127.0.0.1:%d", standin_port(h->server));
    h->options = (gn_hub_options){.cache = h->cache,
                                  .endpoint = h->endpoint,
                                  .token = TOKEN,
                                  .network = {.stall = 1, .tries = 4, .wait = 0.01}};
    error = (gn_error){0};
    CHECK_OK(gn_context_create(NULL, &h->ctx, &error), error);
    return h;
}

static void hub_stop(hub *h)
{
    standin_stop(h->server);
    gn_context_free(h->ctx);
    for (int i = 0; i < FILES; i++) free(h->file[i].data);
    free(h);
}

static gn_status pull(hub *h, const char *name, gn_hub_pulled *out)
{
    error = (gn_error){0};
    gn_status status = gn_hub_pull(h->ctx, name, &h->options, out, &error);
    if (strstr(error.message, TOKEN) != NULL)
        test_fail(__FILE__, __LINE__, "the token is in: %s", error.message);
    return status;
}

static const char *in_cache(const hub *h, const char *path)
{
    static char out[4][2048];
    static int at;
    char *p = out[at++ % 4];
    snprintf(p, sizeof out[0], "%s/models--org--tiny/%s", h->cache, path);
    return p;
}

/* The file of the snapshot has the hub's bytes, and is a relative link to its blob. */
static void check_file(const hub *h, const hub_file *f)
{
    char path[200], target[400], wanted[400];
    snprintf(path, sizeof path, "snapshots/" COMMIT "/%s", f->path);
    FILE *in = fopen(in_cache(h, path), "rb");
    if (in == NULL) test_fail(__FILE__, __LINE__, "no %s", path);
    char *data = malloc(f->length + 2);
    size_t n = fread(data, 1, f->length + 2, in);
    fclose(in);
    bool same = n == f->length && memcmp(data, f->data, n) == 0;
    free(data);
    if (!same) test_fail(__FILE__, __LINE__, "%s has other bytes", path);
    ssize_t k = readlink(in_cache(h, path), target, sizeof target - 1);
    CHECK(k > 0);
    target[k] = '\0';
    snprintf(wanted, sizeof wanted, "../../%sblobs/%s", strchr(f->path, '/') ? "../" : "", f->etag);
    CHECK_STR(target, wanted);
}

static void check_all(const hub *h)
{
    for (int i = 0; i < 6; i++) check_file(h, &h->file[i]);
    for (int i = 6; i < FILES; i++) {
        char path[200];
        snprintf(path, sizeof path, "snapshots/" COMMIT "/%s", h->file[i].path);
        CHECK(access(in_cache(h, path), F_OK) != 0);
    }
}

static bool blob_exists(const hub *h, const hub_file *f, const char *end)
{
    char path[200];
    snprintf(path, sizeof path, "blobs/%s%s", f->etag, end);
    return access(in_cache(h, path), F_OK) == 0;
}

TEST(names)
{
    static const char *const good[] = {"gpt2",     "org/name",       "sentence-transformers/all-MiniLM-L6-v2",
                                       "a/b@main", "gpt2@refs/pr/1", "a_b/c.d@v1.0"};
    static const char *const bad[] = {"",           "/",        "a/b/c",  "../x", "a/..", ".hid",
                                      "a--b/c",     "a/b@",     "a/b@..", "a b",  "-a/b", "a/b@/x",
                                      "a/b@x/../y", "a/b@x\\y", "a\n",    "a/"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!gn_hub_is_name(good[i])) test_fail(__FILE__, __LINE__, "%s is a name", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (gn_hub_is_name(bad[i])) test_fail(__FILE__, __LINE__, "%s is no name", bad[i]);
}

TEST(urls)
{
    static const struct {
        const char *url;
        bool insecure, good;
    } cases[] = {{"https://example.org", false, true},
                 {"http://example.org", false, false},
                 {"http://example.org", true, true},
                 {"http://localhost:80/v1", false, true},
                 {"http://127.0.0.1:8080", false, true},
                 {"http://127.1.2.3", false, true},
                 {"http://[::1]:9", false, true},
                 {"http://127.0.0.1.evil.org", false, false},
                 {"http://localhost.evil.org", false, false},
                 {"https://user:secret@example.org", false, false},
                 {"ftp://example.org", true, false},
                 {"file:///etc/passwd", true, false},
                 {"https://", false, false},
                 {"x", false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        error = (gn_error){0};
        bool good = gn__url_check(cases[i].url, cases[i].insecure, &error) == GN_OK;
        if (good != cases[i].good) test_fail(__FILE__, __LINE__, "%s: %s", cases[i].url, error.message);
        CHECK(strstr(error.message, "secret") == NULL);
    }
}

static int without_token(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)at;
    char *data = NULL;
    size_t n = 0;
    if (strstr(path, TOKEN) != NULL) test_fail(__FILE__, __LINE__, "the token is in the name %s", path);
    if (kind != FTW_F) return 0;
    FILE *f = fopen(path, "rb");
    CHECK(f != NULL && getdelim(&data, &n, EOF, f) >= -1);
    if (data != NULL && memmem(data, n, TOKEN, strlen(TOKEN)) != NULL)
        test_fail(__FILE__, __LINE__, "the token is in %s", path);
    free(data);
    fclose(f);
    return 0;
}

TEST(pull_and_find)
{
    hub *h = hub_start();
    gn_hub_pulled p;
    char *found = NULL, ref[64] = "";
    CHECK_INT(gn_hub_find("org/tiny", &h->options, &found, &error), GN_IO);
    CHECK_HAS(error.message, "genchi model pull org/tiny");
    CHECK_OK(pull(h, "org/tiny", &p), error);
    CHECK_INT(p.files, 6);
    CHECK_INT(p.downloaded, 6);
    CHECK_INT(p.bytes, 22 + 3000 + BIG + BIG - 1 + 2 + 8);
    CHECK_STR(p.commit, COMMIT);
    CHECK_STR(p.directory, in_cache(h, "snapshots/" COMMIT));
    CHECK_STR(h->revision, "main?blobs=true");
    check_all(h);
    CHECK(h->token_came && !h->token_left);
    CHECK_INT(nftw(h->root, without_token, 16, FTW_PHYS), 0);
    FILE *f = fopen(in_cache(h, "refs/main"), "rb");
    CHECK(f != NULL);
    CHECK(fgets(ref, sizeof ref, f) != NULL);
    fclose(f);
    CHECK_STR(ref, COMMIT);
    CHECK_OK(gn_hub_find("org/tiny", &h->options, &found, &error), error);
    CHECK_STR(found, p.directory);
    free(found);
    CHECK_OK(gn_hub_find("org/tiny@" COMMIT, &h->options, &found, &error), error);
    CHECK_STR(found, p.directory);
    free(found);
    CHECK_INT(gn_hub_find("org/tiny@v2", &h->options, &found, &error), GN_IO);
    gn_hub_pulled_free(&p);
    /* nothing is fetched twice; a branch is asked for by its encoded name */
    unsigned gets = h->gets;
    CHECK_OK(pull(h, "org/tiny@refs/pr/1", &p), error);
    CHECK_INT(p.downloaded, 0);
    CHECK_INT(p.bytes, 0);
    CHECK_INT(h->gets, gets);
    CHECK_STR(h->revision, "refs%2Fpr%2F1?blobs=true");
    CHECK(access(in_cache(h, "refs/refs/pr/1"), F_OK) == 0);
    gn_hub_pulled_free(&p);
    hub_stop(h);
}

TEST(list_refusals)
{
    static const struct {
        int status;
        const char *code, *words;
        bool token;
    } cases[] = {{401, NULL, "does not accept the token", true},
                 {401, "RepoNotFound", "no such model on the hub, or it is private", false},
                 {401, "GatedRepo", "is gated", false},
                 {403, "GatedRepo", "is gated", true},
                 {403, NULL, "is gated", true},
                 {404, "RepoNotFound", "there is no model org/tiny on the hub", true},
                 {404, "RevisionNotFound", "has no revision main", true},
                 {418, NULL, "HTTP 418", true},
                 {429, NULL, "HTTP 429", true},
                 {503, NULL, "HTTP 503", true}};
    hub *h = hub_start();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gn_hub_pulled p;
        h->list_refuse = 1000;
        h->list_refusal = cases[i].status;
        h->list_error = cases[i].code;
        h->options.token = cases[i].token ? TOKEN : NULL;
        h->lists = 0;
        CHECK_INT(pull(h, "org/tiny", &p), GN_IO);
        CHECK_HAS(error.message, cases[i].words);
        bool passing = cases[i].status == 429 || cases[i].status == 503;
        CHECK_INT(h->lists, passing ? 4 : 1);
    }
    CHECK(access(in_cache(h, "refs"), F_OK) != 0);
    hub_stop(h);
}

TEST(passing_failures_are_tried_again)
{
    static const int statuses[] = {429, 500, 502, 503, 504, 408};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        hub *h = hub_start();
        gn_hub_pulled p;
        h->list_refuse = 2;
        h->list_refusal = statuses[i];
        h->file[2].refuse = 3;
        h->file[2].refusal = statuses[i];
        h->file[0].refuse = 1;
        h->file[0].refusal = statuses[i];
        h->file[1].silent = 2;
        CHECK_OK(pull(h, "org/tiny", &p), error);
        check_all(h);
        gn_hub_pulled_free(&p);
        hub_stop(h);
    }
}

TEST(an_address_that_ran_out_is_asked_for_again)
{
    hub *h = hub_start();
    gn_hub_pulled p;
    h->file[3].refuse = 1;
    h->file[3].refusal = 403; /* of the storage, not of the hub */
    CHECK_OK(pull(h, "org/tiny", &p), error);
    check_all(h);
    gn_hub_pulled_free(&p);
    hub_stop(h);
}

TEST(retry_after_is_heeded)
{
    hub *h = hub_start();
    gn_hub_pulled p;
    h->list_refuse = 1;
    h->list_refusal = 429;
    h->retry_after = "1";
    double begin = gn__now();
    CHECK_OK(pull(h, "org/tiny", &p), error);
    CHECK(gn__now() - begin >= 1);
    gn_hub_pulled_free(&p);
    hub_stop(h);
}

TEST(cut_transfers_go_on)
{
    hub *h = hub_start();
    gn_hub_pulled p;
    /* each cut leaves half of the rest: more cuts than tries, because each got further */
    h->file[2].cuts = 8;
    h->file[1].cuts = 2;
    CHECK_OK(pull(h, "org/tiny", &p), error);
    check_all(h);
    CHECK_INT(h->resumed, 10);
    CHECK_INT(h->conditional, 10); /* If-Range with the storage's own ETag */
    CHECK(!h->token_left);
    gn_hub_pulled_free(&p);
    hub_stop(h);
}

TEST(a_later_call_goes_on)
{
    hub *h = hub_start();
    gn_hub_pulled p;
    h->file[2].cuts = 1;
    h->file[2].refuse = 0;
    h->options.network.tries = 1;
    h->options.parallel = 1;
    CHECK_INT(pull(h, "org/tiny", &p), GN_IO);
    CHECK(blob_exists(h, &h->file[2], ".incomplete"));
    CHECK(!blob_exists(h, &h->file[2], ""));
    CHECK(access(in_cache(h, "refs/main"), F_OK) != 0);
    CHECK_OK(pull(h, "org/tiny", &p), error);
    CHECK_INT(h->resumed, 1);
    CHECK(p.bytes < 2 * BIG - BIG / 4);
    CHECK(!blob_exists(h, &h->file[2], ".incomplete"));
    check_all(h);
    gn_hub_pulled_free(&p);
    hub_stop(h);
}

/* What lies in .incomplete before the pull. */
static void leave(const hub *h, const hub_file *f, const char *data, size_t n)
{
    char command[4096], path[200];
    snprintf(command, sizeof command, "%s", in_cache(h, "blobs"));
    gn_error err = {0};
    CHECK_OK(gn__make_directory(command, &err), err);
    snprintf(path, sizeof path, "blobs/%s.incomplete", f->etag);
    FILE *out = fopen(in_cache(h, path), "wb");
    CHECK(out != NULL);
    CHECK(fwrite(data, 1, n, out) == n);
    fclose(out);
}

TEST(leftovers)
{
    char *junk = malloc(BIG + 10);
    for (int i = 0; i < 4; i++) {
        hub *h = hub_start();
        hub_file *f = &h->file[2];
        gn_hub_pulled p;
        memset(junk, 'x', BIG + 10);
        switch (i) {
        case 0:
            leave(h, f, junk, 1000);
            break; /* of another file: found by the hash, fetched again */
        case 1:
            leave(h, f, junk, BIG + 10);
            break; /* longer than the file */
        case 2:
            leave(h, f, f->data, BIG);
            break; /* whole, only not renamed */
        default:
            leave(h, f, f->data, 500);
            f->no_range = true; /* the server knows no ranges */
        }
        CHECK_OK(pull(h, "org/tiny", &p), error);
        check_all(h);
        if (i == 2) CHECK(p.bytes < 2 * BIG - BIG / 2);
        gn_hub_pulled_free(&p);
        hub_stop(h);
    }
    free(junk);
}

TEST(wrong_bytes_are_never_left)
{
    for (int i = 0; i < 4; i++) {
        hub *h = hub_start();
        hub_file *f = &h->file[i < 3 ? 2 : 1];
        gn_hub_pulled p;
        *(i == 1 ? &f->longer : i == 2 ? &f->shorter : &f->bad) = 1000;
        CHECK_INT(pull(h, "org/tiny", &p), GN_FORMAT);
        CHECK_HAS(error.message, f->path);
        CHECK_HAS(error.message, i == 1   ? "sends more than the"
                                 : i == 2 ? "should have"
                                          : "does not have the hash");
        CHECK(!blob_exists(h, f, ""));
        if (i == 0 || i == 3) CHECK(!blob_exists(h, f, ".incomplete"));
        CHECK(access(in_cache(h, "refs/main"), F_OK) != 0);
        *(i == 1 ? &f->longer : i == 2 ? &f->shorter : &f->bad) = 0;
        CHECK_OK(pull(h, "org/tiny", &p), error);
        check_all(h);
        gn_hub_pulled_free(&p);
        hub_stop(h);
    }
}

TEST(lists_that_lie)
{
    static const struct {
        const char *entry, *words;
    } cases[] = {{"{\"rfilename\": \"../../evil.json\"}", "\"../../evil.json\""},
                 {"{\"rfilename\": \"/etc/config.json\"}", "\"/etc/config.json\""},
                 {"{\"rfilename\": \"a/../../config.json\"}", "no path inside"},
                 {"{\"rfilename\": \"1_Pooling/./config.json\"}", "no path inside"},
                 {"{\"rfilename\": \"a\\\\b\"}", "no path inside"},
                 {"{\"rfilename\": \"a\\u0001b\"}", "no path inside"},
                 {"{\"rfilename\": \"\"}", "no path inside"},
                 {"{\"rfilename\": 7}", "no path inside"},
                 {"{\"size\": 7}", "no path inside"}};
    hub *h = hub_start();
    gn_hub_pulled p;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(h->extra, sizeof h->extra, "%s", cases[i].entry);
        CHECK_INT(pull(h, "org/tiny", &p), GN_FORMAT);
        CHECK_HAS(error.message, cases[i].words);
    }
    CHECK_INT(h->gets + h->heads, 0);
    /* listed, but not there */
    snprintf(h->extra, sizeof h->extra, "{\"rfilename\": \"vocab.txt\"}");
    CHECK_INT(pull(h, "org/tiny", &p), GN_IO);
    CHECK_HAS(error.message, "no file vocab.txt");
    h->extra[0] = '\0';
    h->other_commit = true;
    CHECK_INT(pull(h, "org/tiny", &p), GN_FORMAT);
    CHECK_HAS(error.message, "was asked for");
    hub_stop(h);
}

/* An ETag that is no hash: only the size can be held, and no half file of an earlier call is gone on with. */
TEST(etags_without_a_hash)
{
    hub *h = hub_start();
    gn_hub_pulled p;
    h->plain_etag = true;
    h->file[1].cuts = 1;
    CHECK_OK(pull(h, "org/tiny", &p), error);
    CHECK(access(in_cache(h, "blobs/v1-of-it"), F_OK) == 0);
    gn_hub_pulled_free(&p);
    hub_stop(h);
}

TEST(slow_and_dead_transfers)
{
    hub *h = hub_start();
    gn_hub_pulled p;
    h->pause_ms = 2;
    CHECK_OK(pull(h, "org/tiny", &p), error);
    check_all(h);
    gn_hub_pulled_free(&p);
    hub_stop(h);
    h = hub_start();
    h->pause_ms = 1500; /* longer than the stall that is borne, but each try gets 1000 bytes further */
    h->options.network.tries = 2;
    h->file[2].silent = h->file[3].silent = 1000;
    double begin = gn__now();
    CHECK_INT(pull(h, "org/tiny", &p), GN_IO);
    CHECK(gn__now() - begin < 20);
    hub_stop(h);
}

TEST(nobody_there)
{
    hub *h = hub_start();
    gn_hub_pulled p;
    char endpoint[64];
    standin *gone = standin_start(play, h);
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d", standin_port(gone));
    standin_stop(gone);
    h->options.endpoint = endpoint;
    CHECK_INT(pull(h, "org/tiny", &p), GN_IO);
    h->options.endpoint = "http://192.0.2.1";
    CHECK_INT(pull(h, "org/tiny", &p), GN_INVALID_ARGUMENT);
    CHECK_HAS(error.message, "plain http");
    h->options.endpoint = h->endpoint;
    h->options.offline = true;
    CHECK_INT(pull(h, "org/tiny", &p), GN_UNSUPPORTED);
    h->options.offline = false;
    CHECK_INT(pull(h, "no/such/name", &p), GN_INVALID_ARGUMENT);
    hub_stop(h);
}

static void *pull_aside(void *arg)
{
    hub *h = arg;
    gn_hub_pulled p = {0};
    gn_error err = {0};
    gn_context *ctx = NULL;
    bool good = gn_context_create(NULL, &ctx, &err) == GN_OK &&
                gn_hub_pull(ctx, "org/tiny", &h->options, &p, &err) == GN_OK;
    gn_hub_pulled_free(&p);
    gn_context_free(ctx);
    return good ? h : NULL;
}

TEST(two_at_once_fetch_each_file_once)
{
    hub *h = hub_start();
    pthread_t other;
    void *good = NULL;
    gn_hub_pulled p;
    h->pause_ms = 2;
    CHECK_INT(pthread_create(&other, NULL, pull_aside, h), 0);
    gn_status status = pull(h, "org/tiny", &p);
    pthread_join(other, &good);
    CHECK_OK(status, error);
    CHECK(good != NULL);
    CHECK_INT(h->gets, 6 + 0); /* the moved answers count in answer_bytes only */
    check_all(h);
    gn_hub_pulled_free(&p);
    hub_stop(h);
}

/* One after the other, the stand-in would have two at the most: one that it has not closed yet, and the next.
 */
TEST(shards_come_at_once)
{
    hub *h = hub_start();
    gn_hub_pulled p;
    h->pause_ms = 20; /* after every 1000 bytes, so that those that may overlap do */
    CHECK_OK(pull(h, "org/tiny", &p), error);
    CHECK(standin_busiest(h->server) >= 3);
    check_all(h);
    gn_hub_pulled_free(&p);
    hub_stop(h);
    h = hub_start();
    h->pause_ms = 2;
    h->options.parallel = 1;
    CHECK_OK(pull(h, "org/tiny", &p), error);
    CHECK(standin_busiest(h->server) <= 2);
    gn_hub_pulled_free(&p);
    hub_stop(h);
}

static volatile sig_atomic_t cancel;

static void *cancel_soon(void *arg)
{
    hub *h = arg;
    while (standin_requests(h->server) < 10) usleep(1000);
    cancel = 1;
    return NULL;
}

TEST(cancelled)
{
    hub *h = hub_start();
    pthread_t other;
    gn_hub_pulled p;
    gn_context_free(h->ctx);
    CHECK_OK(gn_context_create(&(gn_context_options){.cancel = &cancel}, &h->ctx, &error), error);
    h->pause_ms = 20;
    CHECK_INT(pthread_create(&other, NULL, cancel_soon, h), 0);
    double begin = gn__now();
    gn_status status = pull(h, "org/tiny", &p);
    pthread_join(other, NULL);
    cancel = 0;
    CHECK_INT(status, GN_CANCELLED);
    CHECK(gn__now() - begin < 5);
    hub_stop(h);
}

/* Ends by one whole story: a model pulled by name and used by name. */
TEST(a_model_by_name)
{
    gn_model *m = NULL;
    hub *h = hub_start();
    gn_model_options o = {.hub = &h->options};
    error = (gn_error){0};
    CHECK_INT(gn_model_load(h->ctx, "org/tiny", &o, &m, &error), GN_IO);
    CHECK_HAS(error.message, "genchi model pull org/tiny");
    CHECK_INT(gn_model_load(h->ctx, "org/tiny", NULL, &m, &error), GN_IO);
    CHECK_HAS(error.message, "neither a model's folder");
    hub_stop(h);
}
