/* The cache: what is put in comes out, whatever is done to its files, its size or its processes. */
#include "test.h"

#include "genchi/genchi.h"
#include "store/files.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DIM = 5 };

static const gn__cache_space space_a = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                        "model-a", "mean", DIM};
static const gn__cache_space space_b = {"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
                                        "model-b", "cls", DIM};

static gn_cache *open_cache(const char *name)
{
    char path[1024];
    gn_cache *c = NULL;
    gn_error err = {0};
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    CHECK_OK(gn_cache_open(path, &c, &err), err);
    return c;
}

static void make_hash(uint32_t i, unsigned char hash[GN__HASH])
{
    for (uint32_t k = 0; k < GN__HASH; k++)
        hash[k] = (unsigned char)((i * 2654435761u >> (k % 4 * 8)) + k * i);
    memcpy(hash, &i, sizeof i);
}

static float value(uint32_t i, size_t d)
{
    return (float)i + (float)d / 8;
}

/* Adds the texts [begin, end). */
static gn_status add(gn_cache *c, const gn__cache_space *space, uint32_t begin, uint32_t end, gn_error *err)
{
    unsigned char hash[64][GN__HASH];
    float x[64][DIM];
    gn__cache_note note[64];
    for (uint32_t i = begin; i < end; i++) {
        make_hash(i, hash[i - begin]);
        note[i - begin] = (gn__cache_note){i + 1, i % 2};
        for (size_t d = 0; d < DIM; d++) x[i - begin][d] = value(i, d);
    }
    return gn__cache_add(c, space, (const unsigned char(*)[GN__HASH])hash, end - begin, x[0], note, err);
}

/* How many of the texts [begin, end) are there; each has to be right. */
static size_t find(gn_cache *c, const gn__cache_space *space, uint32_t begin, uint32_t end)
{
    size_t count = 0;
    gn_error err = {0};
    for (uint32_t i = begin; i < end; i++) {
        unsigned char hash[1][GN__HASH], found = 9;
        float x[3][DIM] = {{0}};
        const size_t row = 2;
        gn__cache_note note = {0};
        make_hash(i, hash[0]);
        CHECK_OK(gn__cache_find(c, space, (const unsigned char(*)[GN__HASH])hash, 1, &row, x[0], &note,
                                &found, &err),
                 err);
        count += found;
        if (!found) continue;
        CHECK_INT(note.tokens, i + 1);
        CHECK_INT(note.cut, i % 2);
        for (size_t d = 0; d < DIM; d++) CHECK(x[2][d] == value(i, d));
    }
    return count;
}

TEST(in_and_out)
{
    gn_cache *c = open_cache("plain");
    gn_error err = {0};
    CHECK_INT(find(c, &space_a, 0, 3), 0);
    CHECK_OK(add(c, &space_a, 0, 60, &err), err);
    CHECK_OK(add(c, &space_a, 50, 70, &err), err); /* some again */
    CHECK_INT(find(c, &space_a, 0, 80), 70);
    CHECK_INT(find(c, &space_b, 0, 80), 0);
    gn_cache_session session;
    gn_cache_get_session(c, &session);
    CHECK_INT(session.found, 70);
    CHECK_INT(session.added, 80);
    gn_cache_close(c);
    c = open_cache("plain");
    CHECK_INT(find(c, &space_a, 0, 80), 70);
    gn_cache_list l;
    CHECK_OK(gn_cache_list_make(c, &l, &err), err);
    CHECK_INT(l.count, 1);
    CHECK_INT(l.entry[0].vectors, 70);
    CHECK_INT(l.bytes, 80 * gn__record_bytes(DIM));
    CHECK_INT(l.limit, (long long)4 << 30);
    CHECK_STR(l.entry[0].name, "model-a");
    gn_cache_list_free(&l);
    gn_cache_close(c);
}

/* A byte changed, the end cut off, the file gone: not found, taken out by verify, and added anew. */
TEST(damage)
{
    gn_cache *c = open_cache("damage");
    gn_error err = {0};
    uint64_t good, damaged;
    CHECK_OK(add(c, &space_a, 0, 10, &err), err);
    char *path = gn__segment_path(c, 1);
    FILE *f = fopen(path, "r+b");
    fseek(f, (long)(3 * gn__record_bytes(DIM) + GN__RECORD_HEAD + 6), SEEK_SET);
    fputc('X', f);
    fclose(f);
    CHECK_INT(find(c, &space_a, 0, 10), 9);
    CHECK_INT(truncate(path, (off_t)(8 * gn__record_bytes(DIM) + 7)), 0);
    CHECK_INT(find(c, &space_a, 0, 10), 7);
    CHECK_OK(gn_cache_verify(c, &good, &damaged, &err), err);
    CHECK_INT(good, 7);
    CHECK_INT(damaged, 3);
    CHECK_OK(add(c, &space_a, 0, 10, &err), err);
    CHECK_INT(find(c, &space_a, 0, 10), 10);
    CHECK_OK(gn_cache_verify(c, &good, &damaged, &err), err);
    CHECK_INT(good, 10);
    CHECK_INT(damaged, 0);
    unlink(path);
    CHECK_INT(find(c, &space_a, 0, 10), 0);
    CHECK_OK(gn_cache_verify(c, &good, &damaged, &err), err);
    CHECK_INT(damaged, 10);
    free(path);
    gn_cache_close(c);
}

TEST(limit_and_clear)
{
    gn_cache *c = open_cache("limit");
    gn_error err = {0};
    uint64_t removed;
    CHECK_OK(add(c, &space_a, 0, 20, &err), err);
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    CHECK_OK(add(c, &space_b, 0, 20, &err), err);
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    CHECK_INT(find(c, &space_a, 0, 1), 1); /* now b is the one not used longest */
    CHECK_OK(gn_cache_set_limit(c, 30 * gn__record_bytes(DIM), &err), err);
    CHECK_INT(find(c, &space_b, 0, 20), 0);
    CHECK_INT(find(c, &space_a, 0, 20), 20);
    char *path = gn__segment_path(c, 2);
    CHECK(access(path, F_OK) != 0);
    free(path);
    CHECK_OK(add(c, &space_b, 0, 20, &err), err); /* a goes */
    CHECK_INT(find(c, &space_a, 0, 20), 0);
    CHECK_INT(find(c, &space_b, 0, 20), 20);
    CHECK_INT(gn_cache_clear(c, "nobody", &removed, &err), GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "nobody");
    CHECK_OK(gn_cache_clear(c, "bbbbbbbb", &removed, &err), err);
    CHECK_INT(removed, 20 * gn__record_bytes(DIM));
    CHECK_INT(find(c, &space_b, 0, 20), 0);
    CHECK_OK(gn_cache_set_limit(c, 0, &err), err);
    CHECK_OK(add(c, &space_a, 0, 20, &err), err);
    CHECK_INT(find(c, &space_a, 0, 20), 0);
    CHECK_OK(gn_cache_clear(c, NULL, &removed, &err), err);
    gn_cache_close(c);
}

/* A child that adds 10 texts at a time, again and again. */
static void child(const char *name, uint32_t from, uint32_t to)
{
    gn_error err = {0};
    char path[1024];
    gn_cache *c = NULL;
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    if (gn_cache_open(path, &c, &err) != GN_OK) _exit(3);
    for (uint32_t i = from; i < to; i += 10) {
        if (add(c, &space_a, i, i + 10, &err) != GN_OK) _exit(4);
        unsigned char hash[1][GN__HASH], found = 0;
        float x[DIM];
        gn__cache_note note;
        const size_t row = 0;
        make_hash(i + 5, hash[0]);
        if (gn__cache_find(c, &space_a, (const unsigned char(*)[GN__HASH])hash, 1, &row, x, &note, &found,
                           &err) != GN_OK ||
            !found || x[0] != value(i + 5, 0))
            _exit(5);
    }
    gn_cache_close(c);
    _exit(0);
}

TEST(two_processes)
{
    pid_t pid[2];
    gn_error err = {0};
    uint64_t good, damaged;
    test_folder();
    for (int i = 0; i < 2; i++) { /* both begin with an empty folder */
        pid[i] = fork();
        CHECK(pid[i] >= 0);
        if (pid[i] == 0) child("shared", i ? 100 : 0, i ? 400 : 300);
    }
    for (int i = 0; i < 2; i++) {
        int status;
        CHECK_INT(waitpid(pid[i], &status, 0), pid[i]);
        CHECK(WIFEXITED(status));
        CHECK_INT(WEXITSTATUS(status), 0);
    }
    gn_cache *c = open_cache("shared");
    CHECK_INT(find(c, &space_a, 0, 500), 400);
    CHECK_OK(gn_cache_verify(c, &good, &damaged, &err), err);
    CHECK_INT(good, 400);
    CHECK_INT(damaged, 0);
    gn_cache_close(c);
}

TEST(killed_while_writing)
{
    gn_error err = {0};
    size_t before = 0, kills = 0;
    uint64_t good, damaged;
    test_folder();
    for (uint32_t k = 0; k < 12; k++) {
        gn__rng r = gn__rng_make(5, gn__purpose("test/cache/kill"), k);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) child("killed", k * 1000, k * 1000 + 1000);
        nanosleep(&(struct timespec){.tv_nsec = 2000000 + gn__rng_below(&r, 60) * 1000000}, NULL);
        kills += kill(pid, SIGKILL) == 0;
        waitpid(pid, NULL, 0);
        gn_cache *c = open_cache("killed");
        size_t now = find(c, &space_a, k * 1000, k * 1000 + 1000);
        CHECK_INT(now % 10, 0); /* whole batches */
        before += now;
        CHECK_OK(gn_cache_verify(c, &good, &damaged, &err), err);
        CHECK_INT(good, before);
        CHECK_INT(damaged, 0);
        gn_cache_close(c);
    }
    CHECK(kills > 0);
}

static void same_rows(const gn_matrix *a, const gn_matrix *b)
{
    CHECK_INT(a->rows, b->rows);
    CHECK(memcmp(a->data, b->data, a->rows * a->cols * sizeof *a->data) == 0);
}

/* With and without the cache, empty, full and broken: the same bits and the same counts. */
TEST(embed_cached)
{
    static const char *const text[] = {"one text", "another", "one text",
                                       "a third with several more words in it"};
    enum { N = sizeof text / sizeof *text };
    uint32_t length[N];
    unsigned char cut[2][N];
    gn_error err = {0};
    gn_context *ctx = NULL;
    gn_model *m = NULL;
    gn_embed_stats plain, stats;
    gn_matrix a, b;
    gn_cache_session session;
    for (size_t i = 0; i < N; i++) length[i] = (uint32_t)strlen(text[i]);
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = 2}, &ctx, &err), err);
    const gn_model_options options = {.max_length = 6};
    CHECK_OK(gn_model_load(ctx, test_path("tests/golden/model/bert"), &options, &m, &err), err);
    CHECK_OK(gn_model_embed(ctx, m, text, length, N, &a, cut[0], &plain, &err), err);
    gn_cache *c = open_cache("embed");
    for (int round = 0; round < 4; round++) {
        if (round == 2) { /* what is kept for another length is no use here */
            gn_model *other = NULL;
            CHECK_OK(gn_model_load(ctx, test_path("tests/golden/model/bert"), NULL, &other, &err), err);
            CHECK_OK(gn_model_embed_cached(ctx, c, other, text, length, N, &b, NULL, NULL, &err), err);
            gn_cache_get_session(c, &session);
            CHECK_INT(session.added, 6);
            gn_matrix_free(&b);
            gn_model_free(other);
        }
        if (round == 3) CHECK_INT(sqlite3_exec(c->db, "DROP TABLE entry", NULL, NULL, NULL), SQLITE_OK);
        CHECK_OK(gn_model_embed_cached(ctx, c, m, text, length, N, &b, cut[1], &stats, &err), err);
        same_rows(&a, &b);
        gn_matrix_free(&b);
        CHECK(memcmp(cut[0], cut[1], N) == 0);
        CHECK_INT(stats.distinct, plain.distinct);
        CHECK_INT(stats.tokens, plain.tokens);
        CHECK_INT(stats.cut, plain.cut);
        gn_cache_get_session(c, &session);
        CHECK_INT(session.found, round == 0 ? 0 : round == 1 ? 3 : 6);
        CHECK_INT(session.failed, round == 3 ? GN_IO : GN_OK);
    }
    gn_cache_close(c);
    gn_matrix_free(&a);
    gn_model_free(m);
    gn_context_free(ctx);
}
