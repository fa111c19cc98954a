/* What every floor uses. Names that cross files inside the library begin with gn__. */
#ifndef GENCHI_CORE_CORE_H
#define GENCHI_CORE_CORE_H

#include "genchi/context.h"
#include "genchi/matrix.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- errors ------------------------------------------------------------------------------------ */

/* Fills err (if not NULL) and returns code, so that callers can `return gn__fail(err, ...)`. The format
 * is looked up in the message table of err->lang (messages_ja.c); the English text is the key.
 * Translations may reorder arguments with %1$s. */
gn_status gn__fail(gn_error *err, gn_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same, for a line of an input file. */
gn_status gn__fail_at(gn_error *err, gn_status code, int64_t line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
gn_status gn__no_memory(gn_error *err, size_t bytes);
/* The translation of an English format or sentence; itself where there is none. Static storage. */
const char *gn__translate(gn_lang lang, const char *english);

/* Evaluates a call returning gn_status and passes a failure on to the caller. */
#define GN__TRY(call)                                       \
    do {                                                    \
        gn_status gn__try_status = (call);                  \
        if (gn__try_status != GN_OK) return gn__try_status; \
    } while (0)
/* The same for functions that clean up at a label: needs a local `gn_status status`. */
#define GN__TRY_GOTO(call, label)        \
    do {                                 \
        status = (call);                 \
        if (status != GN_OK) goto label; \
    } while (0)

/* ---- memory ------------------------------------------------------------------------------------ */

/* a * b, false on overflow. */
static inline bool gn__mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

/* n * size zeroed bytes; NULL when memory is short or the product overflows; never NULL for n == 0. */
void *gn__calloc(size_t n, size_t size);
/* Like realloc for n * size bytes, overflow-checked; the old block stays valid on NULL. */
void *gn__realloc(void *p, size_t n, size_t size);
/* 64-byte aligned, uninitialised, overflow-checked; free() releases it. */
void *gn__aligned(size_t n, size_t size);
char *gn__strndup(const char *s, size_t n); /* NULL on no memory */
char *gn__strdup(const char *s);            /* NULL on no memory, and for NULL */

/* Bump allocator for many small objects with one lifetime. A zeroed struct is valid. */
typedef struct gn__arena {
    struct gn__arena_block *head;
} gn__arena;
void *gn__arena_alloc(gn__arena *a, size_t bytes); /* 16-byte aligned, uninitialised; NULL: no memory */
char *gn__arena_strndup(gn__arena *a, const char *s, size_t n);
void gn__arena_free(gn__arena *a);

/* ---- strings ----------------------------------------------------------------------------------- */

/* A growing byte string, always NUL-terminated once anything was appended. A zeroed struct is valid.
 * After a failed allocation `failed` is set and further appends do nothing: check once at the end. */
typedef struct gn__buf {
    char *data;
    size_t length, capacity;
    bool failed;
} gn__buf;
void gn__buf_append(gn__buf *b, const char *s, size_t n);
void gn__buf_puts(gn__buf *b, const char *s);
void gn__buf_putc(gn__buf *b, char c);
void gn__buf_printf(gn__buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void gn__buf_free(gn__buf *b);

/* Bytes to index: open addressing, keys are copied. A zeroed struct is valid. */
typedef struct gn__map {
    struct gn__map_slot *slot;
    size_t capacity, count;
    gn__arena keys;
} gn__map;
/* The value of key, or -1. */
int64_t gn__map_get(const gn__map *m, const char *key, size_t length);
/* Inserts value unless the key is there; *found receives the value now stored. false: no memory. */
bool gn__map_put(gn__map *m, const char *key, size_t length, uint32_t value, uint32_t *found);
void gn__map_free(gn__map *m);

/* Decodes one scalar value from s[0..n), n > 0: returns its length in bytes and the code point; ill-formed
 * input gives U+FFFD and the length of the maximal subpart (as Rust's from_utf8_lossy and WHATWG do). */
size_t gn__utf8_decode(const char *s, size_t n, uint32_t *code_point);
size_t gn__utf8_encode(uint32_t code_point, char out[4]);
/* Length of the longest prefix of s[0..n) with at most `max` code points. */
size_t gn__utf8_prefix(const char *s, size_t n, size_t max);

/* ---- files ------------------------------------------------------------------------------------- */

typedef struct gn__mapping {
    const unsigned char *data; /* read-only; NULL for an empty file */
    size_t size;
} gn__mapping;
gn_status gn__map_file(const char *path, gn__mapping *out, gn_error *err);
void gn__unmap_file(gn__mapping *m);
/* Gives whole pages of a mapping, or of a part of one, back until they are read again. */
void gn__forget_pages(const gn__mapping *part);
/* Whole file into memory, NUL-terminated (not counted). limit: larger files are GN_FORMAT. */
gn_status gn__read_file(const char *path, size_t limit, char **out, size_t *length, gn_error *err);
/* Writes aside (path + ".tmp-" + pid), fsyncs and renames; removes the temporary on failure. */
gn_status gn__write_file(const char *path, const void *data, size_t length, gn_error *err);
/* The same in pieces: open, put, put …, then commit or abort (each ends the writer). A failed put is told
 * by commit. */
typedef struct gn__writer {
    char *path, *aside;
    int fd, failed; /* failed: errno of the first put that did */
} gn__writer;
gn_status gn__writer_open(gn__writer *w, const char *path, gn_error *err);
void gn__writer_put(gn__writer *w, const void *data, size_t length);
gn_status gn__writer_commit(gn__writer *w, gn_error *err);
void gn__writer_abort(gn__writer *w);
bool gn__is_directory(const char *path);
bool gn__file_exists(const char *path);
/* "directory/name" newly allocated; NULL on no memory. */
char *gn__path_join(const char *directory, const char *name);
/* mkdir -p. */
gn_status gn__make_directory(const char *path, gn_error *err);

typedef struct gn__sha256 {
    void *state;
} gn__sha256;
gn_status gn__sha256_begin(gn__sha256 *h, gn_error *err);
void gn__sha256_update(gn__sha256 *h, const void *data, size_t n);
void gn__sha256_end(gn__sha256 *h, char hex[65]); /* also releases the state */

/* ---- random numbers ---------------------------------------------------------------------------- */

/* Philox4x32-10 (Salmon et al., SC'11): a function of (seed, purpose, index), never of shared state.
 * Streams with different purpose or index are independent. */
typedef struct gn__rng {
    uint32_t key[2], counter[4], block[4];
    unsigned used; /* words of block already handed out */
} gn__rng;
/* purpose: use GN__PURPOSE("text") so that no two uses collide; index: replicate, row, fold … */
gn__rng gn__rng_make(uint64_t seed, uint64_t purpose, uint64_t index);
uint32_t gn__rng_u32(gn__rng *r);
double gn__rng_double(gn__rng *r);                       /* uniform in [0, 1), 53 bits */
double gn__rng_normal(gn__rng *r);                       /* standard normal, Box–Muller */
uint32_t gn__rng_below(gn__rng *r, uint32_t n);          /* uniform in [0, n), n > 0, unbiased (Lemire) */
void gn__rng_shuffle(gn__rng *r, uint32_t *x, size_t n); /* Fisher–Yates, n < 2^32 */
/* FNV-1a of a string: a stable purpose number. */
uint64_t gn__purpose(const char *name);
void gn__philox_block(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);

/* ---- context ----------------------------------------------------------------------------------- */

/* Processors that the CPU quotas of this process's control groups grant (cgroup-v2 cpu.max, v1 cpu.cfs_*; the
 * tightest of the group and those it lies in), rounded up; 0: no limit. root stands before /proc and /sys: ""
 * but in tests. */
unsigned gn__cgroup_processors(const char *root);

/* Runs body(arg, begin, end, worker) over [0, n) in pieces of `grain` rows on the pool. Pieces are the
 * same whatever the number of threads, so a body whose result depends only on its piece gives the same
 * bits. worker < gn_context_threads(ctx) names a scratch slot. Not reentrant: a body must not call it
 * (it runs serially then). Returns GN_CANCELLED when the caller asked to stop; pieces may then be missing. */
typedef void (*gn__body)(void *arg, size_t begin, size_t end, unsigned worker);
gn_status gn__parallel_for(gn_context *ctx, size_t n, size_t grain, gn__body body, void *arg, gn_error *err);
/* Threads of the pool that can run at the same time: no more than the processors that this process may use,
 * and one for some calls after they were found slow together, because others need the processors too. */
unsigned gn__together(const gn_context *ctx);
/* How it went; once a call that asked. seconds: what it took; 0: not told. */
void gn__together_went(gn_context *ctx, bool slow, double seconds);
/* What the last call that told took; 0: none has. */
double gn__together_lately(const gn_context *ctx);
/* Places what is reported as progress of a stage within a larger whole: done becomes base + done, total
 * becomes whole. whole 0: as it is. Not while a loop runs. */
void gn__progress_within(gn_context *ctx, size_t base, size_t whole);
/* Thread-safe. */
void gn__progress(gn_context *ctx, gn_stage stage, size_t done, size_t total);
/* Hands on what gn_learning_fn takes; thread-safe. */
void gn__progress_learning(gn_context *ctx, double loss, double rate);
bool gn__cancelled(const gn_context *ctx);
/* GN_CANCELLED with its message when the caller asked to stop, else GN_OK. */
gn_status gn__check_cancel(const gn_context *ctx, gn_error *err);
double gn__now(void); /* monotonic seconds */

/* ---- vectorised inner loops -------------------------------------------------------------------- */

/* Put before a hot loop's function: compiled for several instruction sets, chosen at load time. */
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(GN_NO_CLONES)
#define GN__CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define GN__CLONES
#endif

#endif
