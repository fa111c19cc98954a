/* Forward and backward passes of a learner over texts of equal length, without optimiser: tokens a second and
 * peak memory, one line. The best of five passes; by CPU time with one thread, which other work on the
 * machine blurs least.
 *
 *     build/gcc/bench/learner DIRECTORY TEXTS TOKENS THREADS full|lora|head|last-k float32|bf16 [dropout]
 */
#include "model/learner.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

enum { TIMES = 5, CLASSES = 2 };

static _Noreturn void stop(const char *message)
{
    fprintf(stderr, "%s\n", message);
    exit(1);
}

static void need(gn_status status, const gn_error *err)
{
    if (status != GN_OK) stop(err->message);
}

static double seconds(bool cpu)
{
    struct timespec t;
    clock_gettime(cpu ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static gn_tune_what what_of(const char *name)
{
    static const char *const names[] = {
#define NAME(value, text) [GN_TUNE_##value] = text,
        GN_TUNE_LIST(NAME)
#undef NAME
    };
    for (int i = 0; i < GN_TUNE_COUNT; i++)
        if (strcmp(names[i], name) == 0) return (gn_tune_what)i;
    stop("full, lora, head or last-k?");
}

int main(int argc, char **argv)
{
    if (argc < 7) stop("learner DIRECTORY TEXTS TOKENS THREADS WHAT DTYPE [dropout]");
    size_t texts = strtoul(argv[2], NULL, 10), length = strtoul(argv[3], NULL, 10), tokens = texts * length;
    unsigned threads = (unsigned)strtoul(argv[4], NULL, 10);
    gn_error err = {0};
    gn_context *ctx;
    gn_model *m;
    gn__learner *l;
    gn_tune_options tune = {.what = what_of(argv[5]),
                            .dtype = strcmp(argv[6], "bf16") == 0 ? GN_DTYPE_BF16 : GN_DTYPE_F32};
    gn__learner_options options = {
        .tune = &tune, .classes = CLASSES, .most_tokens = tokens, .most_texts = texts};
    need(gn_context_create(&(gn_context_options){.threads = threads}, &ctx, &err), &err);
    need(gn_model_load(ctx, argv[1], &(gn_model_options){.dtype = tune.dtype}, &m, &err), &err);
    need(gn__learner_create(ctx, m, &options, &l, &err), &err);
    gn__sequence *sequence = gn__calloc(texts, sizeof *sequence);
    int32_t *id = gn__calloc(tokens, sizeof *id);
    size_t *row = gn__calloc(texts, sizeof *row);
    float *logit = gn__calloc(texts, CLASSES * sizeof *logit), *by = gn__calloc(texts, CLASSES * sizeof *by);
    float *gradient = gn__calloc(gn__learner_trained(l), sizeof *gradient);
    if (!sequence || !id || !row || !logit || !by || !gradient) stop("no memory");
    size_t vocab = gn_model_get_info(m)->vocab;
    for (size_t i = 0; i < tokens; i++) id[i] = (int32_t)(i * 7919 % vocab);
    for (size_t s = 0; s < texts; s++) sequence[s] = (gn__sequence){id + s * length, length}, row[s] = s;
    for (size_t i = 0; i < texts * CLASSES; i++) by[i] = (i % CLASSES ? 0.5f : -0.5f) / (float)texts;
    gn__dropout drop = {
        .embedding = 0.1, .hidden = 0.1, .attention = 0.1, .adapter = 0.1, .seed = 1, .row = row};
    double forth = 1e9, back = 1e9, fresh = 1e9;
    for (int i = 0; i < TIMES; i++) {
        double start = seconds(threads == 1);
        need(gn__learner_forward(ctx, l, sequence, texts, argc > 7 ? &drop : NULL, logit, NULL, &err), &err);
        double middle = seconds(threads == 1);
        need(gn__learner_backward(ctx, l, by, gradient, &err), &err);
        double end = seconds(threads == 1);
        need(gn__learner_refresh(ctx, l, &err), &err);
        double last = seconds(threads == 1);
        if (middle - start < forth) forth = middle - start;
        if (end - middle < back) back = end - middle;
        if (last - end < fresh) fresh = last - end;
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%.0f tokens/s; forward %.1f ms, backward %.1f ms, refresh %.1f ms; peak %ld MiB\n",
           (double)tokens / (forth + back + fresh), forth * 1e3, back * 1e3, fresh * 1e3,
           usage.ru_maxrss / 1024);
    free(sequence), free(id), free(row), free(logit), free(by), free(gradient);
    gn__learner_free(l);
    gn_model_free(m);
    gn_context_free(ctx);
    return 0;
}
