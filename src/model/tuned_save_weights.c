/* Trained numbers into safetensors files: the model's own tensors by their names in its checkpoint, what was
 * not trained as it stands there; modules behind the pooling; the classifier. */
#include "model/safetensors_write.h"
#include "model/trained_names.h"
#include "model/tuned_save.h"

#include <stdio.h>

enum { NAME = 320 };

typedef struct weights {
    const gn__saving *s;
    gn__tensor_file file;
    unsigned char *trained; /* a tensor of the checkpoint */
    const char *prefix;     /* before every name of the base model; the classifier's class asks for it */
} weights;

static size_t elements(const size_t *shape, size_t dims)
{
    size_t n = 1;
    for (size_t i = 0; i < dims; i++) n *= shape[i]; /* of a tensor in memory: no overflow */
    return n;
}

static void full_name(const weights *w, const char *name, char out[NAME])
{
    snprintf(out, NAME, "%s%s", w->prefix, name);
}

static gn_status declare(void *arg, const char *name, const size_t *shape, size_t dims, const float *value,
                         gn_error *err)
{
    weights *w = arg;
    const gn_model *m = w->s->t->m;
    const gn__tensor *t = gn__weights_find(&m->weights, name);
    char full[NAME];
    (void)value;
    if (t == NULL) return GN_OK; /* the head; a module behind the pooling */
    w->trained[t - m->weights.tensor] = 1;
    full_name(w, name, full);
    return gn__tensor_file_declare(&w->file, full, "F32", shape, dims, elements(shape, dims) * sizeof(float),
                                   err);
}

static gn_status put(void *arg, const char *name, const size_t *shape, size_t dims, const float *value,
                     gn_error *err)
{
    weights *w = arg;
    (void)err;
    if (gn__weights_find(&w->s->t->m->weights, name) != NULL)
        gn__writer_put(&w->file.writer, value, elements(shape, dims) * sizeof *value);
    return GN_OK;
}

/* A second copy of the word embeddings (an output layer that shares them) would be out of date. */
static bool copies_words(const gn_model *m, const gn__tensor *t)
{
    const gn__tensor *words = m->words;
    return t != words && t->elements == words->elements && t->end - t->begin == words->end - words->begin &&
           memcmp(t->data, words->data, t->end - t->begin) == 0;
}

static bool kept(const weights *w, size_t i)
{
    const gn_model *m = w->s->t->m;
    const gn__tensor *t = &m->weights.tensor[i];
    bool words = w->trained[m->words - m->weights.tensor];
    return !w->trained[i] && !(words && copies_words(m, t)) && strcmp(t->name, "score.weight") != 0;
}

static gn_status write_model(weights *w, gn_error *err)
{
    const gn__saving *s = w->s;
    const gn_model *m = s->t->m;
    const size_t head[] = {(size_t)s->t->classes, m->info.dim};
    bool all = s->t->options.what == GN_TUNE_FULL || s->t->options.what == GN_TUNE_LAST_K;
    if (all) GN__TRY(gn__learner_export(s->t->learner, declare, w, err));
    for (size_t i = 0; i < m->weights.tensors; i++) {
        const gn__tensor *t = &m->weights.tensor[i];
        char full[NAME];
        full_name(w, t->name, full);
        if (kept(w, i))
            GN__TRY(gn__tensor_file_declare(&w->file, full, t->type_name, t->shape, t->rank,
                                            t->end - t->begin, err));
    }
    size_t bytes = head[0] * head[1] * sizeof(float);
    if (s->classifier != NULL)
        GN__TRY(gn__tensor_file_declare(&w->file, "score.weight", "F32", head, 2, bytes, err));
    GN__TRY(gn__tensor_file_note(&w->file, "format", "pt", err));
    char *path = gn__path_join(s->inside, "model.safetensors");
    if (path == NULL) return gn__no_memory(err, 64);
    gn_status status = gn__tensor_file_begin(&w->file, path, err);
    free(path);
    if (status == GN_OK && all) status = gn__learner_export(s->t->learner, put, w, err);
    if (status != GN_OK) return status;
    for (size_t i = 0; i < m->weights.tensors; i++)
        if (kept(w, i)) {
            const gn__tensor *t = &m->weights.tensor[i];
            gn__writer_put(&w->file.writer, t->data, t->end - t->begin);
        }
    if (s->classifier != NULL) gn__writer_put(&w->file.writer, gn__tuned_head(s->t, false), bytes);
    return gn__tensor_file_commit(&w->file, err);
}

/* ---- modules behind the pooling --------------------------------------------------------------------- */

enum { PARTS = 3 };

/* A module's tensors: behind "pooling.N." in the learner, and in its own file. */
static const struct {
    const char *kind, *learnt[PARTS], *saved[PARTS];
} modules[] = {
    {"Dense", {"weight", "bias", "residual"}, {"linear.weight", "linear.bias", "residual.weight"}},
    {"LayerNorm", {"weight", "bias"}, {"norm.weight", "norm.bias"}},
    {"Normalize", {NULL}, {NULL}},
};
enum { MODULES = sizeof modules / sizeof *modules };

static const gn__parameter *find_part(const gn__saving *s, size_t step, const char *learnt)
{
    size_t count;
    const gn__parameter *p = gn__learner_parameters(s->t->learner, &count);
    char name[64];
    snprintf(name, sizeof name, "pooling.%zu.%s", step, learnt);
    for (size_t i = 0; i < count; i++)
        if (strcmp(p[i].name, name) == 0) return &p[i];
    return NULL;
}

static gn_status write_parts(const gn__saving *s, size_t step, size_t kind, const char *path, gn_error *err)
{
    const gn__parameter *part[PARTS] = {NULL};
    const float *value = gn__learner_values(s->t->learner);
    gn__tensor_file f = {0};
    gn_status status = GN_OK;
    for (size_t k = 0; k < PARTS && modules[kind].learnt[k] != NULL && status == GN_OK; k++) {
        part[k] = find_part(s, step, modules[kind].learnt[k]);
        if (part[k] == NULL) continue;
        const size_t shape[] = {part[k]->rows, part[k]->cols};
        bool matrix =
            strcmp(modules[kind].kind, "Dense") == 0 && strcmp(modules[kind].learnt[k], "bias") != 0;
        status = gn__tensor_file_declare(&f, modules[kind].saved[k], "F32", matrix ? shape : shape + 1,
                                         matrix ? 2 : 1, shape[0] * shape[1] * sizeof(float), err);
    }
    if (status == GN_OK) status = gn__tensor_file_begin(&f, path, err);
    for (size_t k = 0; k < PARTS && status == GN_OK; k++)
        if (part[k] != NULL)
            gn__writer_put(&f.writer, value + part[k]->offset, part[k]->rows * part[k]->cols * sizeof *value);
    if (status == GN_OK) status = gn__tensor_file_commit(&f, err);
    gn__tensor_file_free(&f);
    return status;
}

static gn_status write_module(const gn__saving *s, size_t step, size_t kind, const char *folder,
                              gn_error *err)
{
    const char *first = modules[kind].learnt[0];
    if (first == NULL || find_part(s, step, first) == NULL) return GN_OK; /* not trained: the copy stands */
    char *directory = gn__path_join(s->aside, folder);
    char *path = directory ? gn__path_join(directory, "model.safetensors") : NULL;
    gn_status status = path ? write_parts(s, step, kind, path, err) : gn__no_memory(err, strlen(folder));
    free(directory);
    free(path);
    return status;
}

/* The steps behind pooling are the list's modules of these kinds, in its order. */
static gn_status write_modules(const gn__saving *s, gn_error *err)
{
    const gn__head *h = &s->t->m->head;
    bool any = false;
    for (size_t i = 0; i < h->steps; i++) any = any || h->step[i].weight != NULL;
    if (!any) return GN_OK;
    gn__config c;
    size_t i, step = 0;
    const json_t *module;
    gn_status status = GN_OK;
    GN__TRY(gn__config_read(s->t->m->info.path, "modules.json", JSON_ARRAY, &c, err));
    json_array_foreach(c.root, i, module)
    {
        const char *type = json_string_value(json_object_get(module, "type"));
        const char *path = json_string_value(json_object_get(module, "path"));
        if (type == NULL || path == NULL || status != GN_OK) continue;
        const char *dot = strrchr(type, '.'), *kind = dot ? dot + 1 : type;
        for (size_t k = 0; k < MODULES; k++)
            if (strcmp(kind, modules[k].kind) == 0) status = write_module(s, step++, k, path, err);
    }
    gn__config_free(&c);
    return status;
}

gn_status gn__save_weights(const gn__saving *s, gn_error *err)
{
    const gn_model *m = s->t->m;
    bool prefixed = s->classifier == NULL || gn__prefix_length(m) > 0;
    weights w = {.s = s,
                 .trained = gn__calloc(m->weights.tensors, 1),
                 .prefix = prefixed ? "" : m->recipe.names->prefix[1]};
    if (w.trained == NULL) return gn__no_memory(err, m->weights.tensors);
    gn_status status = write_model(&w, err);
    gn__tensor_file_free(&w.file);
    free(w.trained);
    return status == GN_OK ? write_modules(s, err) : status;
}

/* ---- the head
 * ------------------------------------------------------------------------------------------------ */

gn_status gn__save_head(const gn__saving *s, gn_error *err)
{
    const gn_tuned *t = s->t;
    const size_t shape[] = {(size_t)t->classes, t->m->info.dim};
    size_t bytes = shape[0] * shape[1] * sizeof(float);
    gn__tensor_file f = {0};
    json_t *names = json_array();
    for (int k = 0; k < t->classes && names != NULL; k++)
        json_array_append_new(names, json_string(s->class_name[k]));
    char *text = json_dumps(names, JSON_COMPACT), *path = gn__path_join(s->aside, "genchi_head.safetensors");
    gn_status status = text && path ? GN_OK : gn__no_memory(err, 256);
    if (status == GN_OK) status = gn__tensor_file_declare(&f, "weight", "F32", shape, 2, bytes, err);
    if (status == GN_OK)
        status = gn__tensor_file_declare(&f, "bias", "F32", shape, 1, shape[0] * sizeof(float), err);
    if (status == GN_OK) status = gn__tensor_file_note(&f, "classes", text, err);
    if (status == GN_OK) status = gn__tensor_file_begin(&f, path, err);
    if (status == GN_OK) {
        gn__writer_put(&f.writer, gn__tuned_head(t, false), bytes);
        gn__writer_put(&f.writer, gn__tuned_head(t, true), shape[0] * sizeof(float));
        status = gn__tensor_file_commit(&f, err);
    }
    gn__tensor_file_free(&f);
    json_decref(names);
    free(text);
    free(path);
    return status;
}
