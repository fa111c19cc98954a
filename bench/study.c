#include "study.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

typedef struct place {
    size_t row, batch;
} place;

typedef struct work {
    study_row *row;
    place *todo;
    size_t count, next;
    FILE *file;
    uint64_t seed;
    pthread_mutex_t lock;
} work;

void study_must(gn_status status, const gn_error *err)
{
    if (status == GN_OK) return;
    fprintf(stderr, "study: %s\n", err->message);
    exit(1);
}

static void *must_have(void *p)
{
    if (p == NULL) {
        fprintf(stderr, "study: out of memory\n");
        exit(1);
    }
    return p;
}

gn_matrix study_matrix(size_t rows, size_t cols)
{
    gn_matrix m;
    gn_error err = {0};
    study_must(gn_matrix_create(rows, cols, &m, &err), &err);
    return m;
}

void study_normals(gn__rng *r, float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 2) {
        float u = (float)(gn__rng_u32(r) >> 8) * 0x1p-24F + 0x1p-25F, v = (float)gn__rng_u32(r) * 0x1p-32F;
        float size = sqrtf(-2 * logf(u));
        x[i] = size * cosf(6.2831853F * v);
        if (i + 1 < n) x[i + 1] = size * sinf(6.2831853F * v);
    }
}

/* P(X <= k) for X binomial. */
static double at_most(size_t k, size_t n, double p)
{
    double sum = 0;
    for (size_t i = 0; i <= k; i++)
        sum += exp(lgamma((double)n + 1) - lgamma((double)i + 1) - lgamma((double)(n - i) + 1) +
                   (double)i * log(p) + (double)(n - i) * log1p(-p));
    return sum;
}

void study_interval(size_t k, size_t n, double *low, double *high)
{
    double a = 0, b = 1;
    for (int i = 0; i < 50; i++) *(at_most(k, n, (a + b) / 2) > 0.025 ? &a : &b) = (a + b) / 2;
    *high = k == n ? 1 : a;
    a = 0, b = 1;
    for (int i = 0; i < 50 && k > 0; i++)
        *(1 - at_most(k - 1, n, (a + b) / 2) < 0.025 ? &a : &b) = (a + b) / 2;
    *low = k == 0 ? 0 : a;
}

const char *study_rate(double hits, size_t n)
{
    static char text[16][48];
    static unsigned at;
    char *out = text[at++ % 16];
    double low, high;
    if (n == 0) return "–";
    study_interval((size_t)(hits + 0.5), n, &low, &high);
    snprintf(out, sizeof text[0], "%.3f (%.3f–%.3f)", hits / (double)n, low, high);
    return out;
}

/* ---- the file ------------------------------------------------------------------------------------- */

static size_t wanted(const study_row *row, size_t simulations)
{
    size_t n = simulations / (row->share > 1 ? row->share : 1);
    return (n + row->batch - 1) / row->batch * row->batch;
}

static size_t most_batches(const study_row *row, size_t rows, size_t simulations)
{
    size_t most = 1;
    for (size_t r = 0; r < rows; r++) {
        size_t n = wanted(&row[r], simulations) / row[r].batch;
        if (n > most) most = n;
    }
    return most;
}

static study_row *find(study_row *row, size_t rows, const char *key)
{
    for (size_t r = 0; r < rows; r++)
        if (strcmp(row[r].key, key) == 0) return &row[r];
    return NULL;
}

/* done: [rows × most], may be NULL. Returns where the last whole line ends. */
static long read_file(const char *path, study_row *row, size_t rows, bool *done, size_t most)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    long end = 0;
    if (f == NULL) return 0;
    while ((length = getline(&line, &room, f)) > 0 && line[length - 1] == '\n') {
        char *save, *key = strtok_r(line, "\t", &save), *at = strtok_r(NULL, "\t", &save);
        char *count = strtok_r(NULL, "\t", &save), *sums = strtok_r(NULL, "\t", &save);
        end = ftell(f);
        if (sums == NULL) continue;
        study_row *r = find(row, rows, key);
        if (r == NULL) continue;
        size_t batch = strtoul(at, NULL, 10);
        if (done != NULL && batch < most) done[(size_t)(r - row) * most + batch] = true;
        r->done += strtoul(count, NULL, 10);
        for (size_t v = 0; v < STUDY_VALUES && *sums && *sums != '\n'; v++) r->sum[v] += strtod(sums, &sums);
    }
    free(line);
    fclose(f);
    return end;
}

/* ---- the run -------------------------------------------------------------------------------------- */

static void *worker(void *arg)
{
    work *w = arg;
    gn_context *ctx;
    gn_error err = {0};
    study_must(gn_context_create(&(gn_context_options){.threads = 1, .seed = w->seed}, &ctx, &err), &err);
    for (;;) {
        pthread_mutex_lock(&w->lock);
        size_t k = w->next++;
        pthread_mutex_unlock(&w->lock);
        if (k >= w->count) break;
        const study_row *row = &w->row[w->todo[k].row];
        double sum[STUDY_VALUES] = {0};
        size_t from = w->todo[k].batch * row->batch, last = STUDY_VALUES;
        for (size_t i = 0; i < row->batch; i++) row->simulate(row, from + i, ctx, sum);
        while (last > 1 && sum[last - 1] == 0) last--;
        pthread_mutex_lock(&w->lock);
        fprintf(w->file, "%s\t%zu\t%zu\t", row->key, w->todo[k].batch, row->batch);
        for (size_t v = 0; v < last; v++) fprintf(w->file, v ? " %.17g" : "%.17g", sum[v]);
        fprintf(w->file, "\n");
        fflush(w->file);
        pthread_mutex_unlock(&w->lock);
    }
    gn_context_free(ctx);
    return NULL;
}

/* Every row to a tenth of the simulations, to a quarter, to half, to all. */
static size_t list_todo(const study_row *row, size_t rows, size_t simulations, bool *done, size_t most,
                        place *todo)
{
    static const size_t parts[] = {10, 4, 2, 1};
    size_t count = 0;
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
        for (size_t r = 0; r < rows; r++)
            for (size_t b = 0; b < wanted(&row[r], (simulations + parts[p] - 1) / parts[p]) / row[r].batch;
                 b++) {
                if (done[r * most + b]) continue;
                done[r * most + b] = true;
                todo[count++] = (place){r, b};
            }
    return count;
}

void study_run(study_row *row, size_t rows, size_t simulations, const char *path, unsigned threads,
               uint64_t seed)
{
    pthread_t thread[64];
    size_t most = most_batches(row, rows, simulations);
    if (threads == 0) threads = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    if (threads > 64) threads = 64;
    bool *done = must_have(calloc(rows * most, sizeof *done));
    long end = read_file(path, row, rows, done, most);
    if (simulations > 0) {
        work w = {.row = row, .seed = seed, .lock = PTHREAD_MUTEX_INITIALIZER};
        w.todo = must_have(calloc(rows * most, sizeof *w.todo));
        w.count = list_todo(row, rows, simulations, done, most, w.todo);
        w.file = must_have(fopen(path, "a"));
        if (ftruncate(fileno(w.file), end) != 0) perror(path);
        for (unsigned t = 0; t < threads; t++)
            if (pthread_create(&thread[t], NULL, worker, &w) != 0) exit(1);
        for (unsigned t = 0; t < threads; t++) pthread_join(thread[t], NULL);
        fclose(w.file);
        free(w.todo);
        for (size_t r = 0; r < rows; r++) {
            row[r].done = 0;
            memset(row[r].sum, 0, sizeof row[r].sum);
        }
        read_file(path, row, rows, NULL, most);
    }
    free(done);
}
