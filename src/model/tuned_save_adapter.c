/* LoRA as PEFT writes it: adapter_config.json, adapter_model.safetensors. */
#include "model/safetensors_write.h"
#include "model/trained_names.h"
#include "model/tuned_save.h"

#include <stdio.h>

enum { NAME = 320 };

/* One adapter: a layer's A [rank × inputs] and B [outputs × rank]. */
typedef struct adapter {
    const gn__parameter *a, *b;
} adapter;

static bool next_adapter(const gn_tuned *t, size_t *at, adapter *out)
{
    size_t count;
    const gn__parameter *p = gn__learner_parameters(t->learner, &count);
    for (; *at + 1 < count; ++*at)
        if (gn__is_adapter(&p[*at], &p[*at + 1])) {
            *out = (adapter){&p[*at], &p[*at + 1]};
            *at += 2;
            return true;
        }
    return false;
}

/* The layer's path in the base model, without the checkpoint's prefix. */
static void layer_path(const gn_model *m, const gn__parameter *a, char out[NAME])
{
    size_t prefix = gn__prefix_length(m), n = strlen(a->name) - strlen(".lora_A");
    if (strncmp(a->name, m->words->name, prefix) != 0) prefix = 0;
    snprintf(out, NAME, "%.*s", (int)(n - prefix), a->name + prefix);
    n = strlen(out);
    if (n > 7 && strcmp(out + n - 7, ".weight") == 0) out[n - 7] = '\0';
}

/* ---- adapter_model.safetensors ------------------------------------------------------------------------- */

static gn_status declare(const gn__saving *s, gn__tensor_file *f, const gn__parameter *p, const char *part,
                         gn_error *err)
{
    const gn_model *m = s->t->m;
    char path[NAME], name[2 * NAME];
    layer_path(m, p, path);
    snprintf(name, sizeof name, "base_model.model.%s%s.%s.weight",
             s->classifier ? m->recipe.names->prefix[1] : "", path, part);
    const size_t shape[] = {p->rows, p->cols};
    return gn__tensor_file_declare(f, name, "F32", shape, 2, p->rows * p->cols * sizeof(float), err);
}

static gn_status save_tensors(const gn__saving *s, gn_error *err)
{
    const float *value = gn__learner_values(s->t->learner);
    const size_t head[] = {(size_t)s->t->classes, s->t->m->info.dim};
    size_t bytes = head[0] * head[1] * sizeof(float);
    gn__tensor_file f = {0};
    adapter x;
    char *path = gn__path_join(s->aside, "adapter_model.safetensors");
    gn_status status = path ? GN_OK : gn__no_memory(err, 64);
    for (size_t at = 0; status == GN_OK && next_adapter(s->t, &at, &x);) {
        status = declare(s, &f, x.a, "lora_A", err);
        if (status == GN_OK) status = declare(s, &f, x.b, "lora_B", err);
    }
    if (status == GN_OK && s->classifier != NULL)
        status = gn__tensor_file_declare(&f, "base_model.model.score.weight", "F32", head, 2, bytes, err);
    if (status == GN_OK) status = gn__tensor_file_note(&f, "format", "pt", err);
    if (status == GN_OK) status = gn__tensor_file_begin(&f, path, err);
    if (status == GN_OK) {
        for (size_t at = 0; next_adapter(s->t, &at, &x);) {
            gn__writer_put(&f.writer, value + x.a->offset, x.a->rows * x.a->cols * sizeof *value);
            gn__writer_put(&f.writer, value + x.b->offset, x.b->rows * x.b->cols * sizeof *value);
        }
        if (s->classifier != NULL) gn__writer_put(&f.writer, gn__tuned_head(s->t, false), bytes);
        status = gn__tensor_file_commit(&f, err);
    }
    gn__tensor_file_free(&f);
    free(path);
    return status;
}

/* ---- adapter_config.json ----------------------------------------------------------------------------------
 */

static void put_literally(gn__buf *b, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '.') gn__buf_putc(b, '\\');
        gn__buf_putc(b, s[i]);
    }
}

/* A pattern of the layers' paths. A list of their ends would not do: BERT's output.dense ends
 * attention.output.dense too. */
static gn_status pattern(const gn_tuned *t, gn__buf *out, gn_error *err)
{
    const char *layer = t->m->recipe.names->layer;
    gn__map seen = {0};
    adapter x;
    gn__buf_puts(out, "(.*\\.)?");
    put_literally(out, layer, strlen(layer));
    gn__buf_puts(out, "[0-9]+(");
    for (size_t at = 0; next_adapter(t, &at, &x);) {
        char path[NAME];
        uint32_t found, number = (uint32_t)seen.count;
        layer_path(t->m, x.a, path);
        const char *end = path + strlen(layer);
        end += strspn(end, "0123456789");
        if (!gn__map_put(&seen, end, strlen(end), number, &found)) out->failed = true;
        if (found != number || seen.count == number) continue;
        if (number > 0) gn__buf_putc(out, '|');
        put_literally(out, end, strlen(end));
    }
    gn__buf_putc(out, ')');
    gn__map_free(&seen);
    return out->failed ? gn__no_memory(err, NAME) : GN_OK;
}

static gn_status save_config(const gn__saving *s, gn_error *err)
{
    const gn_tuned *t = s->t;
    const gn_model_info *info = &t->m->info;
    const gn_tune_options *o = &t->options;
    gn__buf target = {0};
    char *real = strchr(info->name, '/') != NULL ? gn__strdup(info->name) : realpath(info->path, NULL);
    gn_status status = pattern(t, &target, err);
    json_t *c = NULL;
    if (status == GN_OK)
        c = json_pack("{s:s, s:s, s:s, s:I, s:f, s:f, s:s, s:s, s:b, s:b, s:o}", "peft_type", "LORA",
                      "task_type", s->classifier ? "SEQ_CLS" : "FEATURE_EXTRACTION",
                      "base_model_name_or_path", real ? real : info->path, "r", (json_int_t)o->lora_rank,
                      "lora_alpha", o->lora_alpha, "lora_dropout", o->dropout > 0 ? o->dropout : 0.0,
                      "target_modules", target.data, "bias", "none", "fan_in_fan_out",
                      (int)t->m->recipe.names->transposed, "inference_mode", 1, "modules_to_save",
                      s->classifier ? json_pack("[s]", "score") : json_null());
    if (status == GN_OK)
        status = c ? gn__save_json(s->aside, "adapter_config.json", c, err) : gn__no_memory(err, 256);
    json_decref(c);
    gn__buf_free(&target);
    free(real);
    return status;
}

gn_status gn__save_adapter(const gn__saving *s, gn_error *err)
{
    GN__TRY(save_config(s, err));
    return save_tensors(s, err);
}
