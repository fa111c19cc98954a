/* LoRA as PEFT writes it: adapter_config.json, adapter_model.safetensors. */
#include "model/safetensors_write.h"
#include "model/trained_names.h"
#include "model/tuned_save.h"

#include <stdio.h>

enum { NAME = 320, KINDS = 16, PARTS = 3 };

/* Adapted layers that differ only in their number (and that in their group): what stands behind it in their
 * path, and A's rows. */
typedef struct kind {
    char end[NAME];
    size_t rank;
} kind;

typedef struct adapters {
    const gn__saving *s;
    gn__tensor_file file;
    kind kind[KINDS];
    size_t kinds;
} adapters;

static const char mark_a[] = ".lora_A.weight", mark_b[] = ".lora_B.weight";

/* The adapter's layers in the base model: one path without the checkpoint's prefix, or as many as
 * transformers' class has modules for the tensor (which holds their outputs one after the other). 0: no
 * adapter. */
static size_t layer_paths(const gn_model *m, const char *name, char out[PARTS][NAME])
{
    const gn__tensor_names *names = m->recipe.names;
    const gn__module_names *modules = names->modules;
    size_t n = strlen(name), tail = sizeof mark_a - 1, prefix = gn__prefix_length(m);
    if (n <= tail) return 0;
    if (strcmp(name + n - tail, mark_a) != 0 && strcmp(name + n - tail, mark_b) != 0) return 0;
    if (strncmp(name, m->words->name, prefix) != 0) prefix = 0;
    snprintf(out[0], NAME, "%.*s", (int)(n - tail - prefix), name + prefix);
    if (modules == NULL) return 1;
    const char *const ours[] = {names->attention_out, names->mlp_in[0], names->mlp_in[1], names->mlp_out};
    const char *const theirs[] = {modules->attention_out, modules->mlp_in[0], modules->mlp_in[1],
                                  modules->mlp_out};
    char number[24], inside[NAME];
    const char *rest = out[0] + strlen(names->layer);
    size_t digits = strspn(rest, "0123456789");
    snprintf(number, sizeof number, "%.*s", (int)digits, rest);
    snprintf(inside, sizeof inside, "%s", rest + digits + 1);
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcmp(inside, ours[i]) == 0) {
            snprintf(out[0], NAME, "%s%s.%s", modules->layer, number, theirs[i]);
            return 1;
        }
    for (size_t i = 0; i < PARTS; i++)
        snprintf(out[i], NAME, "%s%s.%s", modules->layer, number, modules->attention_in[i]);
    return PARTS;
}

/* ---- adapter_model.safetensors ------------------------------------------------------------------------- */

static const char *layer_prefix(const gn_model *m)
{
    const gn__tensor_names *names = m->recipe.names;
    return names->modules != NULL ? names->modules->layer : names->layer;
}

static void add_kind(adapters *x, const char *path, size_t rank)
{
    const gn__recipe *r = &x->s->t->m->recipe;
    const char *end = path + strlen(layer_prefix(x->s->t->m));
    end += strspn(end, "0123456789");
    if (r->group > 1) end += strlen(r->names->inside), end += strspn(end, "0123456789");
    for (size_t i = 0; i < x->kinds; i++)
        if (strcmp(x->kind[i].end, end) == 0) return;
    if (x->kinds == KINDS) return; /* no recipe has so many */
    snprintf(x->kind[x->kinds].end, NAME, "%s", end);
    x->kind[x->kinds++].rank = rank;
}

/* Each of several modules has A whole, and its own rows of B. */
static size_t rows_of(const char *name, const size_t *shape, size_t modules)
{
    return strstr(name, mark_a) != NULL ? shape[0] : shape[0] / modules;
}

static gn_status declare(void *arg, const char *name, const size_t *shape, size_t dims, const float *value,
                         gn_error *err)
{
    adapters *x = arg;
    const gn_model *m = x->s->t->m;
    char path[PARTS][NAME], full[2 * NAME];
    size_t n = layer_paths(m, name, path);
    (void)value;
    for (size_t i = 0; i < n; i++) {
        const size_t part[] = {rows_of(name, shape, n), shape[1]};
        if (strstr(name, mark_a) != NULL) add_kind(x, path[i], shape[0]);
        snprintf(full, sizeof full, "base_model.model.%s%s%s",
                 x->s->classifier ? m->recipe.names->prefix[1] : "", path[i],
                 name + strlen(name) - (sizeof mark_a - 1));
        GN__TRY(gn__tensor_file_declare(&x->file, full, "F32", part, dims, part[0] * part[1] * sizeof(float),
                                        err));
    }
    return GN_OK;
}

static gn_status put(void *arg, const char *name, const size_t *shape, size_t dims, const float *value,
                     gn_error *err)
{
    adapters *x = arg;
    char path[PARTS][NAME];
    size_t n = layer_paths(x->s->t->m, name, path);
    (void)dims, (void)err;
    for (size_t i = 0; i < n; i++) {
        size_t rows = rows_of(name, shape, n), from = rows == shape[0] ? 0 : i * rows;
        gn__writer_put(&x->file.writer, value + from * shape[1], rows * shape[1] * sizeof *value);
    }
    return GN_OK;
}

static gn_status save_tensors(adapters *x, gn_error *err)
{
    const gn__saving *s = x->s;
    const size_t head[] = {(size_t)s->t->classes, s->t->m->info.dim};
    size_t bytes = head[0] * head[1] * sizeof(float);
    GN__TRY(gn__learner_export(s->t->learner, declare, x, err));
    if (s->classifier != NULL)
        GN__TRY(
            gn__tensor_file_declare(&x->file, "base_model.model.score.weight", "F32", head, 2, bytes, err));
    GN__TRY(gn__tensor_file_note(&x->file, "format", "pt", err));
    char *path = gn__path_join(s->aside, "adapter_model.safetensors");
    if (path == NULL) return gn__no_memory(err, 64);
    gn_status status = gn__tensor_file_begin(&x->file, path, err);
    free(path);
    if (status == GN_OK) status = gn__learner_export(s->t->learner, put, x, err);
    if (status != GN_OK) return status;
    if (s->classifier != NULL) gn__writer_put(&x->file.writer, gn__tuned_head(s->t, false), bytes);
    return gn__tensor_file_commit(&x->file, err);
}

/* ---- adapter_config.json ----------------------------------------------------------------------------------
 */

static void put_literally(gn__buf *b, const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s == '.') gn__buf_putc(b, '\\');
        gn__buf_putc(b, *s);
    }
}

/* A pattern of the layers' paths. A list of their ends would not do: BERT's output.dense ends
 * attention.output.dense too. */
static void pattern(const adapters *x, gn__buf *out)
{
    const gn__recipe *r = &x->s->t->m->recipe;
    gn__buf_puts(out, "(.*\\.)?");
    put_literally(out, layer_prefix(x->s->t->m));
    gn__buf_puts(out, "[0-9]+");
    if (r->group > 1) {
        put_literally(out, r->names->inside);
        gn__buf_puts(out, "[0-9]+");
    }
    gn__buf_putc(out, '(');
    for (size_t i = 0; i < x->kinds; i++) {
        if (i > 0) gn__buf_putc(out, '|');
        put_literally(out, x->kind[i].end);
    }
    gn__buf_putc(out, ')');
}

/* Ranks other than the usual one, of layers whose parts have adapters of their own; scales stay alike. */
static bool set_ranks(const adapters *x, json_t *config)
{
    const gn_tune_options *o = &x->s->t->options;
    json_t *rank = json_object(), *alpha = json_object();
    bool good = rank != NULL && alpha != NULL;
    for (size_t i = 0; i < x->kinds && good; i++) {
        const char *end = x->kind[i].end + strspn(x->kind[i].end, ".");
        size_t r = x->kind[i].rank;
        if (r == o->lora_rank) continue;
        good =
            json_object_set_new(rank, end, json_integer((json_int_t)r)) == 0 &&
            json_object_set_new(alpha, end, json_real(o->lora_alpha * (double)r / (double)o->lora_rank)) == 0;
    }
    bool set = json_object_set_new(config, "rank_pattern", rank) == 0;
    return json_object_set_new(config, "alpha_pattern", alpha) == 0 && set && good;
}

static gn_status save_config(const adapters *x, gn_error *err)
{
    const gn_tuned *t = x->s->t;
    const gn_model_info *info = &t->m->info;
    const gn_tune_options *o = &t->options;
    bool classifies = x->s->classifier != NULL;
    gn__buf target = {0};
    char *real = strchr(info->name, '/') != NULL ? gn__strdup(info->name) : realpath(info->path, NULL);
    pattern(x, &target);
    json_t *c =
        target.failed
            ? NULL
            : json_pack("{s:s, s:s, s:s, s:I, s:f, s:f, s:s, s:s, s:b, s:b, s:o}", "peft_type", "LORA",
                        "task_type", classifies ? "SEQ_CLS" : "FEATURE_EXTRACTION", "base_model_name_or_path",
                        real ? real : info->path, "r", (json_int_t)o->lora_rank, "lora_alpha", o->lora_alpha,
                        "lora_dropout", o->dropout > 0 ? o->dropout : 0.0, "target_modules", target.data,
                        "bias", "none", "fan_in_fan_out", (int)t->m->recipe.names->transposed,
                        "inference_mode", 1, "modules_to_save",
                        classifies ? json_pack("[s]", "score") : json_null());
    gn_status status = c != NULL && set_ranks(x, c)
                           ? gn__save_json(x->s->aside, "adapter_config.json", c, err)
                           : gn__no_memory(err, 256);
    json_decref(c);
    gn__buf_free(&target);
    free(real);
    return status;
}

gn_status gn__save_adapter(const gn__saving *s, gn_error *err)
{
    adapters x = {.s = s};
    gn_status status = save_tensors(&x, err);
    if (status == GN_OK) status = save_config(&x, err);
    gn__tensor_file_free(&x.file);
    return status;
}
