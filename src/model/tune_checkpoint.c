/* Checkpoints: the state of a run in a file, and what a run is recognised by. */
#include "model/tuned.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { NUMBERS = 9, REALS = 3, HEADER = 80 + 8 * (NUMBERS + REALS), POINT = 32, SEAL = 64, IDENTITY = 64 };
static const char magic[16] = "genchi-tune-1";

/* ---- what a run's bits depend on -------------------------------------------------------------------- */

static void feed(gn__sha256 *h, const void *data, size_t n)
{
    uint64_t length = n;
    gn__sha256_update(h, &length, sizeof length);
    gn__sha256_update(h, data, n);
}

static void feed_model(gn__sha256 *h, const gn_model *m)
{
    uint64_t number[] = {m->info.max_length, m->head.poolings, m->head.steps, m->info.dim};
    feed(h, m->info.sha256, strlen(m->info.sha256));
    feed(h, m->prompt, strlen(m->prompt));
    feed(h, number, sizeof number);
    for (size_t i = 0; i < m->head.poolings; i++) feed(h, &m->head.pooling[i], sizeof m->head.pooling[i]);
}

static void feed_rows(gn__sha256 *h, const gn_tune_rows *rows)
{
    uint64_t number[] = {rows->rows, (uint64_t)rows->classes, rows->group != NULL};
    feed(h, number, sizeof number);
    for (size_t i = 0; i < rows->rows; i++) feed(h, rows->text[i], rows->length[i]);
    feed(h, rows->label, rows->rows * sizeof *rows->label);
    if (rows->group != NULL) feed(h, rows->group, rows->rows * sizeof *rows->group);
}

/* Of the memory only what the plan made of it counts. */
static void feed_options(gn__sha256 *h, const gn__tune_run *r)
{
    const gn_tune_options *o = r->options;
    size_t classes = (size_t)r->t->classes;
    uint64_t number[] = {o->what,
                         o->lora_rank,
                         o->lora_target,
                         o->last_k,
                         o->epochs,
                         o->max_steps,
                         o->batch,
                         o->patience,
                         o->evaluate_every,
                         o->seed,
                         o->dtype,
                         o->schedule,
                         r->t->plan.most_tokens,
                         r->t->plan.most_texts,
                         r->t->plan.recompute,
                         r->planned,
                         gn__learner_trained(r->t->learner)};
    double real[] = {o->lora_alpha,
                     o->rate,
                     o->head_rate,
                     o->decay,
                     o->beta1,
                     o->beta2,
                     o->eps,
                     o->warmup,
                     o->clip,
                     o->heldout,
                     r->dropout.embedding,
                     r->dropout.attention,
                     r->dropout.out,
                     r->dropout.inner,
                     r->dropout.mlp_out,
                     r->dropout.last,
                     r->dropout.adapter};
    feed(h, number, sizeof number);
    feed(h, real, sizeof real);
    feed(h, o->class_weight, o->class_weight ? classes * sizeof *o->class_weight : 0);
    feed(h, o->head_weight, o->head_weight ? classes * r->t->m->info.dim * sizeof *o->head_weight : 0);
    feed(h, o->head_bias, o->head_bias ? classes * sizeof *o->head_bias : 0);
}

gn_status gn__tune_identify(gn__tune_run *r, gn_error *err)
{
    gn__sha256 h;
    GN__TRY(gn__sha256_begin(&h, err));
    feed(&h, GN_VERSION, strlen(GN_VERSION));
    feed_model(&h, r->t->m);
    feed_rows(&h, r->rows);
    feed_options(&h, r);
    gn__sha256_end(&h, r->identity);
    return GN_OK;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

typedef struct output {
    gn__writer writer;
    gn__sha256 sha;
} output;

static void put(output *o, const void *data, size_t n)
{
    gn__sha256_update(&o->sha, data, n);
    gn__writer_put(&o->writer, data, n);
}

gn_status gn__checkpoint_write(const gn__tune_run *r, gn_error *err)
{
    const gn__tune_state *s = &r->state;
    uint64_t trained = gn__learner_trained(r->t->learner), arrays = r->best ? 4 : 3;
    const uint64_t number[NUMBERS] = {trained,  arrays,    s->step,           s->evaluated, s->best_step,
                                      s->worse, s->tokens, s->heldout_tokens, s->points};
    const double real[REALS] = {s->best_loss, s->seconds, s->core_seconds};
    const float *array[4] = {gn__learner_values(r->t->learner), r->optimiser.mean, r->optimiser.square,
                             r->best};
    output o;
    char seal[SEAL + 1];
    GN__TRY(gn__sha256_begin(&o.sha, err));
    gn_status status = gn__writer_open(&o.writer, r->options->checkpoint, err);
    if (status != GN_OK) {
        gn__sha256_end(&o.sha, seal);
        return status;
    }
    put(&o, magic, sizeof magic);
    put(&o, r->identity, IDENTITY);
    put(&o, number, sizeof number);
    put(&o, real, sizeof real);
    put(&o, s->step_loss, s->step * sizeof *s->step_loss);
    for (size_t i = 0; i < s->points; i++) {
        const gn_tune_point *p = &s->point[i];
        const uint64_t step = p->step;
        const double rest[] = {p->loss, p->heldout_loss, p->rate};
        put(&o, &step, sizeof step);
        put(&o, rest, sizeof rest);
    }
    for (size_t i = 0; i < arrays; i++) put(&o, array[i], trained * sizeof *array[i]);
    gn__sha256_end(&o.sha, seal);
    gn__writer_put(&o.writer, seal, SEAL);
    return gn__writer_commit(&o.writer, err);
}

/* ---- reading ---------------------------------------------------------------------------------------------
 */

/* Adds n items of `size` bytes to *total; false where that is more than any file has. */
static bool add(size_t *total, uint64_t n, size_t size)
{
    size_t bytes;
    return n <= SIZE_MAX && gn__mul_size((size_t)n, size, &bytes) &&
           !__builtin_add_overflow(*total, bytes, total);
}

static gn_status damaged(const char *path, gn_error *err)
{
    return gn__fail(err, GN_FORMAT, "the checkpoint %s is damaged; delete it to begin anew", path);
}

static gn_status check_seal(const char *path, const unsigned char *data, size_t size, gn_error *err)
{
    gn__sha256 h;
    char seal[SEAL + 1];
    GN__TRY(gn__sha256_begin(&h, err));
    gn__sha256_update(&h, data, size - SEAL);
    gn__sha256_end(&h, seal);
    return memcmp(seal, data + size - SEAL, SEAL) == 0 ? GN_OK : damaged(path, err);
}

gn_status gn__checkpoint_parse(const char *path, const unsigned char *data, size_t size, bool sealed,
                               gn__checkpoint *out, gn_error *err)
{
    uint64_t number[NUMBERS];
    double real[REALS];
    size_t total = HEADER + SEAL;
    if (size < total || memcmp(data, magic, sizeof magic) != 0)
        return gn__fail(err, GN_FORMAT, "%s is no checkpoint of a fine-tuning", path);
    memcpy(number, data + 80, sizeof number);
    memcpy(real, data + 80 + sizeof number, sizeof real);
    gn__checkpoint c = {.identity = (const char *)data + sizeof magic,
                        .trained = number[0],
                        .arrays = number[1],
                        .state = {.step = number[2],
                                  .evaluated = number[3],
                                  .best_step = number[4],
                                  .worse = number[5],
                                  .tokens = number[6],
                                  .heldout_tokens = number[7],
                                  .points = number[8],
                                  .best_loss = real[0],
                                  .seconds = real[1],
                                  .core_seconds = real[2]}};
    bool fits = (c.arrays == 3 || c.arrays == 4) && add(&total, c.state.step, sizeof(double)) &&
                add(&total, c.state.points, POINT);
    for (size_t i = 0; i < 4 && i < c.arrays && fits; i++) fits = add(&total, c.trained, sizeof(float));
    if (!fits || total != size || c.state.best_step > c.state.step) return damaged(path, err);
    if (sealed) GN__TRY(check_seal(path, data, size, err));
    c.losses = data + HEADER;
    c.points = c.losses + c.state.step * sizeof(double);
    c.array[0] = c.points + c.state.points * POINT;
    for (size_t i = 1; i < c.arrays; i++) c.array[i] = c.array[i - 1] + c.trained * sizeof(float);
    *out = c;
    return GN_OK;
}

/* Takes over what a checkpoint of this very run holds. */
static gn_status take(gn__tune_run *r, const gn__checkpoint *c, gn_error *err)
{
    gn__tune_state *s = &r->state;
    size_t bytes = c->trained * sizeof(float);
    if (c->trained != gn__learner_trained(r->t->learner) || c->arrays != (r->best ? 4u : 3u) ||
        c->state.step > r->planned || c->state.points > r->most_points)
        return damaged(r->options->checkpoint, err);
    double *loss = s->step_loss;
    gn_tune_point *point = s->point;
    *s = c->state;
    s->step_loss = loss;
    s->point = point;
    memcpy(loss, c->losses, s->step * sizeof *loss);
    for (size_t i = 0; i < s->points; i++) {
        uint64_t step;
        double rest[3];
        memcpy(&step, c->points + i * POINT, sizeof step);
        memcpy(rest, c->points + i * POINT + sizeof step, sizeof rest);
        point[i] = (gn_tune_point){step, rest[0], rest[1], rest[2]};
    }
    memcpy(gn__learner_values(r->t->learner), c->array[0], bytes);
    gn__optimiser_resume(&r->optimiser, c->array[1], c->array[2], s->step);
    if (r->best != NULL) memcpy(r->best, c->array[3], bytes);
    r->t->stats.resumed = true;
    return gn__learner_refresh(r->ctx, r->t->learner, err);
}

/* A run killed while it wrote leaves a file aside, as large as a checkpoint; gn__writer names it by its
 * process. */
static void remove_leftovers(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char *folder = slash ? gn__strndup(path, slash == path ? 1 : (size_t)(slash - path)) : gn__strdup(".");
    DIR *d = folder != NULL ? opendir(folder) : NULL;
    size_t n = strlen(name);
    for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        static const char mark[] = ".tmp-";
        if (strncmp(e->d_name, name, n) != 0 || strncmp(e->d_name + n, mark, sizeof mark - 1) != 0) continue;
        char *end;
        long process = strtol(e->d_name + n + sizeof mark - 1, &end, 10);
        if (process <= 0 || *end != '\0' || kill((pid_t)process, 0) == 0 || errno != ESRCH) continue;
        char *full = gn__path_join(folder, e->d_name);
        if (full != NULL) unlink(full);
        free(full);
    }
    if (d != NULL) closedir(d);
    free(folder);
}

gn_status gn__checkpoint_resume(gn__tune_run *r, gn_error *err)
{
    const char *path = r->options->checkpoint;
    remove_leftovers(path);
    gn__mapping file;
    gn__checkpoint c;
    if (!gn__file_exists(path)) return GN_OK;
    GN__TRY(gn__map_file(path, &file, err));
    gn_status status = gn__checkpoint_parse(path, file.data, file.size, true, &c, err);
    if (status == GN_OK && memcmp(c.identity, r->identity, IDENTITY) != 0)
        status =
            gn__fail(err, GN_INVALID_ARGUMENT,
                     "the checkpoint %s is of a run with other rows, options or another model; delete it or "
                     "name another file",
                     path);
    if (status == GN_OK) status = take(r, &c, err);
    gn__unmap_file(&file);
    return status;
}
