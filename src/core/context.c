#include "core/core.h"

#include <cblas.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

struct gn_context {
    gn_context_options options;
    unsigned threads, together;
    unsigned apart, penalty; /* calls that are to work alone; how many after the next slow one */
    double lately;           /* seconds of the last call; 0: none told */
    pthread_t *worker;       /* [threads - 1]; the caller's thread is worker 0 */
    unsigned started;
    pthread_mutex_t lock, progress_lock;
    pthread_cond_t wake, idle;
    uint64_t generation; /* counts parallel loops; guarded by lock, as are the next three */
    unsigned busy;
    bool quit;
    bool inside; /* a loop is running: a nested one runs serially */
    gn__body body;
    void *arg;
    size_t n, grain;
    atomic_size_t next;
    size_t base, whole; /* gn__progress_within */
};

typedef struct worker_arg {
    gn_context *ctx;
    unsigned index;
} worker_arg;

bool gn__cancelled(const gn_context *ctx)
{
    return ctx->options.cancel != NULL && *ctx->options.cancel != 0;
}

gn_status gn__check_cancel(const gn_context *ctx, gn_error *err)
{
    return gn__cancelled(ctx) ? gn__fail(err, GN_CANCELLED, "stopped at your request") : GN_OK;
}

static void take_pieces(gn_context *ctx, unsigned worker)
{
    while (!gn__cancelled(ctx)) {
        size_t begin = atomic_fetch_add(&ctx->next, ctx->grain);
        if (begin >= ctx->n) return;
        size_t end = ctx->n - begin < ctx->grain ? ctx->n : begin + ctx->grain;
        ctx->body(ctx->arg, begin, end, worker);
    }
}

static void *work(void *p)
{
    worker_arg self = *(worker_arg *)p;
    free(p);
    gn_context *ctx = self.ctx;
    uint64_t seen = 0;
    pthread_mutex_lock(&ctx->lock);
    for (;;) {
        while (ctx->generation == seen && !ctx->quit) pthread_cond_wait(&ctx->wake, &ctx->lock);
        if (ctx->quit) break;
        seen = ctx->generation;
        pthread_mutex_unlock(&ctx->lock);
        take_pieces(ctx, self.index);
        pthread_mutex_lock(&ctx->lock);
        if (--ctx->busy == 0) pthread_cond_signal(&ctx->idle);
    }
    pthread_mutex_unlock(&ctx->lock);
    return NULL;
}

gn_status gn__parallel_for(gn_context *ctx, size_t n, size_t grain, gn__body body, void *arg, gn_error *err)
{
    if (grain == 0) grain = 1;
    if (n == 0) return gn__check_cancel(ctx, err);
    if (ctx->inside || ctx->started == 0 || n <= grain) {
        for (size_t begin = 0; begin < n && !gn__cancelled(ctx); begin += grain)
            body(arg, begin, n - begin < grain ? n : begin + grain, 0);
        return gn__check_cancel(ctx, err);
    }
    pthread_mutex_lock(&ctx->lock);
    ctx->inside = true;
    ctx->body = body;
    ctx->arg = arg;
    ctx->n = n;
    ctx->grain = grain;
    atomic_store(&ctx->next, 0);
    ctx->busy = ctx->started;
    ctx->generation++;
    pthread_cond_broadcast(&ctx->wake);
    pthread_mutex_unlock(&ctx->lock);
    take_pieces(ctx, 0);
    pthread_mutex_lock(&ctx->lock);
    while (ctx->busy > 0) pthread_cond_wait(&ctx->idle, &ctx->lock);
    ctx->inside = false;
    pthread_mutex_unlock(&ctx->lock);
    return gn__check_cancel(ctx, err);
}

void gn__progress_within(gn_context *ctx, size_t base, size_t whole)
{
    pthread_mutex_lock(&ctx->progress_lock);
    ctx->base = base;
    ctx->whole = whole;
    pthread_mutex_unlock(&ctx->progress_lock);
}

void gn__progress(gn_context *ctx, gn_stage stage, size_t done, size_t total)
{
    if (ctx->options.progress == NULL) return;
    pthread_mutex_lock(&ctx->progress_lock);
    if (ctx->whole > 0) {
        done += ctx->base;
        total = ctx->whole > done ? ctx->whole : done;
    }
    ctx->options.progress(ctx->options.progress_data, stage, done, total);
    pthread_mutex_unlock(&ctx->progress_lock);
}

void gn__progress_learning(gn_context *ctx, double loss, double rate)
{
    if (ctx->options.learning == NULL) return;
    pthread_mutex_lock(&ctx->progress_lock);
    ctx->options.learning(ctx->options.progress_data, loss, rate);
    pthread_mutex_unlock(&ctx->progress_lock);
}

static unsigned processors(void)
{
    cpu_set_t set;
    unsigned n = 0, quota = gn__cgroup_processors("");
    if (sched_getaffinity(0, sizeof set, &set) == 0) n = (unsigned)CPU_COUNT(&set);
    if (n == 0) {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        n = online > 0 ? (unsigned)online : 1;
    }
    return quota > 0 && quota < n ? quota : n;
}

gn_status gn_context_create(const gn_context_options *options, gn_context **out, gn_error *err)
{
    gn_context *ctx = gn__calloc(1, sizeof *ctx);
    if (ctx == NULL) return gn__no_memory(err, sizeof *ctx);
    if (options != NULL) ctx->options = *options;
    ctx->together = processors();
    ctx->threads = ctx->options.threads ? ctx->options.threads : ctx->together;
    if (ctx->threads > 1024) ctx->threads = 1024;
    if (ctx->together > ctx->threads) ctx->together = ctx->threads;
    pthread_mutex_init(&ctx->lock, NULL);
    pthread_mutex_init(&ctx->progress_lock, NULL);
    pthread_cond_init(&ctx->wake, NULL);
    pthread_cond_init(&ctx->idle, NULL);
    ctx->worker = gn__calloc(ctx->threads, sizeof *ctx->worker);
    if (ctx->worker == NULL) {
        gn_context_free(ctx);
        return gn__no_memory(err, sizeof(pthread_t) * ctx->threads);
    }
    openblas_set_num_threads(1);
    for (unsigned i = 1; i < ctx->threads; i++) {
        worker_arg *arg = gn__calloc(1, sizeof *arg);
        int failed = arg == NULL ? ENOMEM : 0;
        if (arg != NULL) {
            *arg = (worker_arg){ctx, i};
            failed = pthread_create(&ctx->worker[ctx->started], NULL, work, arg);
        }
        if (failed) {
            free(arg);
            gn_context_free(ctx);
            return gn__fail(err, GN_NO_MEMORY, "cannot start a thread: %s", strerror(failed));
        }
        ctx->started++;
    }
    *out = ctx;
    return GN_OK;
}

void gn_context_free(gn_context *ctx)
{
    if (ctx == NULL) return;
    pthread_mutex_lock(&ctx->lock);
    ctx->quit = true;
    pthread_cond_broadcast(&ctx->wake);
    pthread_mutex_unlock(&ctx->lock);
    for (unsigned i = 0; i < ctx->started; i++) pthread_join(ctx->worker[i], NULL);
    pthread_cond_destroy(&ctx->idle);
    pthread_cond_destroy(&ctx->wake);
    pthread_mutex_destroy(&ctx->progress_lock);
    pthread_mutex_destroy(&ctx->lock);
    free(ctx->worker);
    free(ctx);
}

unsigned gn_context_threads(const gn_context *ctx)
{
    return ctx->threads;
}

unsigned gn__together(const gn_context *ctx)
{
    return ctx->apart > 0 ? 1 : ctx->together;
}

double gn__together_lately(const gn_context *ctx)
{
    return ctx->lately;
}

void gn__together_went(gn_context *ctx, bool slow, double seconds)
{
    enum { MOST_PENALTY = 63 };
    if (seconds > 0) ctx->lately = seconds;
    if (ctx->apart > 0) {
        ctx->apart--;
    } else if (slow) {
        if (ctx->penalty < MOST_PENALTY) ctx->penalty = 2 * ctx->penalty + 1;
        ctx->apart = ctx->penalty;
    } else {
        ctx->penalty /= 2;
    }
}

uint64_t gn_context_seed(const gn_context *ctx)
{
    return ctx->options.seed;
}

double gn__now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
