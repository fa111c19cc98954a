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

float study_uniform(gn__rng *r)
{
    /* Below 1, to which the largest would round: its logarithm is divided by. */
    return fminf((float)(gn__rng_u32(r) >> 8) * 0x1p-24F + 0x1p-25F, 1 - 0x1p-24F);
}

void study_normals(gn__rng *r, float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 2) {
        float u = study_uniform(r), v = (float)gn__rng_u32(r) * 0x1p-32F;
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

/* What a line of the file holds: simulations of the batches first to last of a row. */
typedef struct entry {
    char *key;
    size_t first, last, count, seen; /* seen: which line of the file, so that keys keep their order */
    double sum[STUDY_VALUES];
} entry;

typedef struct entries {
    entry *at;
    size_t count;
} entries;

static bool parse(char *line, entry *out)
{
    char *save, *key = strtok_r(line, "\t", &save), *batch = strtok_r(NULL, "\t", &save);
    char *count = strtok_r(NULL, "\t", &save), *sums = strtok_r(NULL, "\n", &save);
    if (sums == NULL) return false;
    *out = (entry){.key = must_have(strdup(key)), .count = strtoul(count, NULL, 10)};
    out->first = out->last = strtoul(batch, &batch, 10);
    if (*batch == '-') out->last = strtoul(batch + 1, NULL, 10);
    for (size_t v = 0; v < STUDY_VALUES && *sums; v++) out->sum[v] = strtod(sums, &sums);
    return true;
}

static int by_key(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : (x->first > y->first) - (x->first < y->first);
}

static int by_line(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    return (x->seen > y->seen) - (x->seen < y->seen);
}

/* Batches of a row that follow on each other become one entry. A batch that is there twice stops the
 * program: the sums cannot be taken apart again. */
static void fold(entries *e)
{
    size_t n = 0;
    qsort(e->at, e->count, sizeof *e->at, by_key);
    for (size_t i = 0; i < e->count; i++) {
        entry *last = n > 0 ? &e->at[n - 1] : NULL, *next = &e->at[i];
        bool same = last != NULL && strcmp(last->key, next->key) == 0;
        if (same && next->first <= last->last) {
            fprintf(stderr, "study: batch %zu of \"%s\" is in the file twice\n", next->first, next->key);
            exit(1);
        }
        if (same && next->seen > last->seen) next->seen = last->seen;
        if (!same || next->first > last->last + 1) {
            e->at[n++] = *next;
            continue;
        }
        last->last = next->last;
        last->count += next->count;
        last->seen = next->seen;
        for (size_t v = 0; v < STUDY_VALUES; v++) last->sum[v] += next->sum[v];
        free(next->key);
    }
    e->count = n;
    qsort(e->at, e->count, sizeof *e->at, by_line);
}

/* The whole lines of the file, folded. */
static entries read_file(const char *path)
{
    FILE *f = fopen(path, "r");
    entries e = {0};
    char *line = NULL;
    size_t room = 0, has_room = 0;
    ssize_t length;
    if (f == NULL) return e;
    while ((length = getline(&line, &room, f)) > 0 && line[length - 1] == '\n') {
        if (e.count == has_room) {
            has_room = 2 * has_room + 64;
            e.at = must_have(realloc(e.at, has_room * sizeof *e.at));
        }
        if (!parse(line, &e.at[e.count])) continue;
        e.at[e.count].seen = e.count;
        e.count++;
    }
    free(line);
    fclose(f);
    if (e.count > 0) fold(&e);
    return e;
}

static void entries_free(entries *e)
{
    for (size_t i = 0; i < e->count; i++) free(e->at[i].key);
    free(e->at);
}

static void write_entry(FILE *f, const entry *e)
{
    size_t values = STUDY_VALUES;
    while (values > 1 && e->sum[values - 1] == 0) values--;
    fprintf(f, "%s\t%zu", e->key, e->first);
    if (e->last > e->first) fprintf(f, "-%zu", e->last);
    fprintf(f, "\t%zu\t", e->count);
    for (size_t v = 0; v < values; v++) fprintf(f, v ? " %.17g" : "%.17g", e->sum[v]);
    fprintf(f, "\n");
}

/* Puts what is folded in the file's place, whole or not at all. */
static void write_file(const char *path, const entries *e)
{
    char name[4096];
    snprintf(name, sizeof name, "%s.tmp-new", path);
    FILE *f = must_have(fopen(name, "w"));
    for (size_t i = 0; i < e->count; i++) write_entry(f, &e->at[i]);
    if (fclose(f) != 0 || rename(name, path) != 0) {
        perror(path);
        exit(1);
    }
}

/* Sets what the rows have, and (done: [rows × most]) which batches. */
static void take(const entries *e, study_row *row, size_t rows, bool *done, size_t most)
{
    for (size_t r = 0; r < rows; r++) {
        row[r].done = 0;
        memset(row[r].sum, 0, sizeof row[r].sum);
        for (size_t i = 0; i < e->count; i++) {
            const entry *of = &e->at[i];
            if (strcmp(of->key, row[r].key) != 0) continue;
            row[r].done += of->count;
            for (size_t v = 0; v < STUDY_VALUES; v++) row[r].sum[v] += of->sum[v];
            for (size_t b = of->first; b <= of->last && b < most; b++) done[r * most + b] = true;
        }
    }
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
        entry e = {.first = w->todo[k].batch, .last = w->todo[k].batch, .count = row->batch};
        size_t from = e.first * row->batch;
        for (size_t i = 0; i < row->batch; i++) row->simulate(row, from + i, ctx, e.sum);
        e.key = w->row[w->todo[k].row].key;
        pthread_mutex_lock(&w->lock);
        write_entry(w->file, &e);
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
        for (size_t r = 0; r < rows; r++) {
            if (row[r].simulate == NULL) continue;
            for (size_t b = 0; b < wanted(&row[r], (simulations + parts[p] - 1) / parts[p]) / row[r].batch;
                 b++) {
                if (done[r * most + b]) continue;
                done[r * most + b] = true;
                todo[count++] = (place){r, b};
            }
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
    entries e = read_file(path);
    take(&e, row, rows, done, most);
    if (simulations > 0) {
        work w = {.row = row, .seed = seed, .lock = PTHREAD_MUTEX_INITIALIZER};
        w.todo = must_have(calloc(rows * most, sizeof *w.todo));
        w.count = list_todo(row, rows, simulations, done, most, w.todo);
        write_file(path, &e);
        entries_free(&e);
        w.file = must_have(fopen(path, "a"));
        for (unsigned t = 0; t < threads; t++)
            if (pthread_create(&thread[t], NULL, worker, &w) != 0) exit(1);
        for (unsigned t = 0; t < threads; t++) pthread_join(thread[t], NULL);
        fclose(w.file);
        free(w.todo);
        e = read_file(path);
        write_file(path, &e);
        take(&e, row, rows, done, most);
    }
    entries_free(&e);
    free(done);
}
