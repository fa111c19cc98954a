/* The context: worker threads, the random seed, progress and cancellation. One context serves one
 * caller thread at a time; several contexts may live side by side. */
#ifndef GENCHI_CONTEXT_H
#define GENCHI_CONTEXT_H

#include "genchi/error.h"

#include <signal.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gn_context gn_context;

/* Steps that report progress, in the order in which a check passes them. X(NAME, text) */
#define GN_STAGE_LIST(X)    \
    X(READ, "read")         \
    X(LOAD, "load model")   \
    X(EMBED, "embed")       \
    X(SEE, "see")           \
    X(DETECT, "detect")     \
    X(VERIFY, "verify")     \
    X(REPORT, "report")     \
    X(DOWNLOAD, "download") \
    X(TUNE, "fine-tune")

typedef enum gn_stage {
#define GN_STAGE_ENUM(name, text) GN_STAGE_##name,
    GN_STAGE_LIST(GN_STAGE_ENUM)
#undef GN_STAGE_ENUM
        GN_STAGE_COUNT
} gn_stage;

/* Called on the caller's thread or on a worker, never on two at once; must return quickly.
 * done <= total, in units of the stage (texts, permutations, fits). */
typedef void (*gn_progress_fn)(void *data, gn_stage stage, size_t done, size_t total);

/* While a model is trained, called before the progress of GN_STAGE_TUNE: the mean loss of the last steps
 * (nats; NaN before the first) and the learning rate. Threads as above. */
typedef void (*gn_learning_fn)(void *data, double loss, double rate);

typedef struct gn_context_options {
    unsigned threads; /* 0: the number of processors this process may run on (affinity, cgroup quota) */
    uint64_t seed;    /* of every random number; results are a function of (input, options, seed) */
    gn_progress_fn progress;             /* may be NULL */
    gn_learning_fn learning;             /* may be NULL */
    void *progress_data;                 /* of both */
    const volatile sig_atomic_t *cancel; /* may be NULL; once *cancel is non-zero, running calls
                                            return GN_CANCELLED within about a second */
} gn_context_options;

/* options may be NULL (all defaults). Free with gn_context_free.
 * Errors: GN_NO_MEMORY. Sets OpenBLAS's own threading to one thread process-wide, because genchi
 * parallelises above the products; the bits of every result are the same for any thread count. */
GN_API gn_status gn_context_create(const gn_context_options *options, gn_context **out, gn_error *err);
GN_API void gn_context_free(gn_context *ctx); /* NULL is allowed */
GN_API unsigned gn_context_threads(const gn_context *ctx);
GN_API uint64_t gn_context_seed(const gn_context *ctx);

#ifdef __cplusplus
}
#endif
#endif
