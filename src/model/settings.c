#include "model/settings.h"

#include "model/config.h"
#include "model/safetensors.h"

#include <stdio.h>

/* Names in the older form (a switch each) and in the newer ("pooling_mode"), in the order in which
 * sentence-transformers puts the results of several switches one behind the other. */
static const struct {
    const char *key, *name;
    gn_pooling pooling;
} poolings[] = {
    {"pooling_mode_cls_token", "cls", GN_POOLING_CLS},
    {"pooling_mode_max_tokens", "max", GN_POOLING_MAX},
    {"pooling_mode_mean_tokens", "mean", GN_POOLING_MEAN},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", GN_POOLING_MEAN_SQRT},
    {"pooling_mode_weightedmean_tokens", "weightedmean", GN_POOLING_WEIGHTED_MEAN},
    {"pooling_mode_lasttoken", "lasttoken", GN_POOLING_LAST},
};
enum { POOLINGS = sizeof poolings / sizeof *poolings };

static gn_status add_named_pooling(const gn__config *c, const json_t *mode, gn__head *h, gn_error *err)
{
    const char *name = json_string_value(mode);
    for (size_t i = 0; i < POOLINGS && name != NULL; i++)
        if (strcmp(poolings[i].name, name) == 0 && h->poolings < GN__MOST_POOLINGS) {
            h->pooling[h->poolings++] = poolings[i].pooling;
            return GN_OK;
        }
    return gn__fail(err, GN_UNSUPPORTED, "%s: the pooling \"%s\" is not supported", c->path,
                    name ? name : "?");
}

static gn_status take_poolings(const gn__config *c, gn__settings *s, gn_error *err)
{
    const json_t *mode = json_object_get(c->root, "pooling_mode"), *one;
    size_t i;
    bool include;
    GN__TRY(gn__config_bool(c, "include_prompt", true, &include, err));
    s->exclude_prompt = !include;
    if (json_is_array(mode)) {
        json_array_foreach(mode, i, one) GN__TRY(add_named_pooling(c, one, &s->head, err));
    } else if (mode != NULL) {
        GN__TRY(add_named_pooling(c, mode, &s->head, err));
    }
    for (i = 0; i < POOLINGS && mode == NULL; i++) {
        bool on;
        GN__TRY(gn__config_bool(c, poolings[i].key, false, &on, err));
        if (on) s->head.pooling[s->head.poolings++] = poolings[i].pooling;
    }
    if (s->head.poolings == 0) /* all switches off or absent: sentence-transformers' default */
        s->head.pooling[s->head.poolings++] = GN_POOLING_MEAN;
    return GN_OK;
}

static gn_status read_pooling(const char *directory, gn__settings *s, gn_error *err)
{
    gn__config c;
    s->head.poolings = 0;
    GN__TRY(gn__config_read(directory, "config.json", JSON_OBJECT, &c, err));
    gn_status status = take_poolings(&c, s, err);
    gn__config_free(&c);
    return status;
}

/* ---- dense layers and norms ----------------------------------------------------------------------- */

enum { MOST_WIDTH = 1 << 20 };

static const struct {
    const char *name;
    gn__head_activation activation;
} activations[] = {
    {"torch.nn.modules.linear.Identity", GN__HEAD_IDENTITY},
    {"torch.nn.modules.activation.Tanh", GN__HEAD_TANH},
    {"torch.nn.modules.activation.ReLU", GN__HEAD_RELU},
    {"torch.nn.modules.activation.GELU", GN__HEAD_GELU},
    {"torch.nn.modules.activation.SiLU", GN__HEAD_SILU},
};

static gn_status read_dense_config(const gn__config *c, gn__head_step *step, bool *bias, gn_error *err)
{
    GN__TRY(gn__config_size(c, "in_features", 0, MOST_WIDTH, &step->inputs, err));
    GN__TRY(gn__config_size(c, "out_features", 0, MOST_WIDTH, &step->outputs, err));
    GN__TRY(gn__config_bool(c, "bias", true, bias, err));
    GN__TRY(gn__config_bool(c, "use_residual", false, &step->residual, err));
    const char *name = gn__config_string(c, "activation_function");
    if (name == NULL) name = "torch.nn.modules.activation.Tanh";
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (strcmp(activations[i].name, name) == 0) {
            step->activation = activations[i].activation;
            return GN_OK;
        }
    return gn__fail(err, GN_UNSUPPORTED, "%s: the activation \"%s\" (\"%s\") is not supported", c->path, name,
                    "activation_function");
}

static gn_status read_part(const gn__weights *w, const char *directory, const char *name, size_t rank,
                           size_t rows, size_t cols, float **out, gn_error *err)
{
    const gn__tensor *t = gn__weights_find(w, name);
    if (t == NULL) return gn__fail(err, GN_FORMAT, "the weights of %s lack the tensor %s", directory, name);
    if (t->type == GN__WEIGHT_OTHER || t->rank != rank || t->shape[0] != rows ||
        (rank == 2 && t->shape[1] != cols))
        return gn__fail(err, GN_FORMAT, "%s: tensor %s should hold %zu × %zu floating-point numbers",
                        directory, name, rows, cols);
    *out = gn__aligned(t->elements, sizeof **out);
    if (*out == NULL) return gn__no_memory(err, t->elements * sizeof **out);
    gn__tensor_read(t, 0, t->elements, *out);
    return GN_OK;
}

static gn_status new_step(const gn__config *c, gn__head_kind kind, gn__settings *s, gn__head_step **out,
                          gn_error *err)
{
    if (s->head.steps == GN__MOST_STEPS)
        return gn__fail(err, GN_UNSUPPORTED, "%s: more than %d modules after the pooling", c->path,
                        (int)GN__MOST_STEPS);
    *out = &s->head.step[s->head.steps++];
    (*out)->kind = kind;
    return GN_OK;
}

static gn_status read_dense(const gn__config *modules, const char *directory, gn__settings *s, gn_error *err)
{
    gn_status status;
    gn__config c = {0};
    gn__weights w = {0};
    gn__head_step *step = NULL;
    bool bias;
    GN__TRY(new_step(modules, GN__HEAD_DENSE, s, &step, err));
    GN__TRY_GOTO(gn__config_read(directory, "config.json", JSON_OBJECT, &c, err), done);
    GN__TRY_GOTO(read_dense_config(&c, step, &bias, err), done);
    GN__TRY_GOTO(gn__weights_open(directory, &w, err), done);
    GN__TRY_GOTO(
        read_part(&w, directory, "linear.weight", 2, step->outputs, step->inputs, &step->weight, err), done);
    if (bias)
        GN__TRY_GOTO(read_part(&w, directory, "linear.bias", 1, step->outputs, 1, &step->bias, err), done);
    if (step->residual && step->inputs != step->outputs)
        GN__TRY_GOTO(read_part(&w, directory, "residual.weight", 2, step->outputs, step->inputs,
                               &step->residual_weight, err),
                     done);
done:
    gn__weights_free(&w);
    gn__config_free(&c);
    return status;
}

static gn_status read_layer_norm(const gn__config *modules, const char *directory, gn__settings *s,
                                 gn_error *err)
{
    gn_status status;
    gn__config c = {0};
    gn__weights w = {0};
    gn__head_step *step = NULL;
    GN__TRY(new_step(modules, GN__HEAD_NORM, s, &step, err));
    GN__TRY_GOTO(gn__config_read(directory, "config.json", JSON_OBJECT, &c, err), done);
    GN__TRY_GOTO(gn__config_size(&c, "dimension", 0, MOST_WIDTH, &step->inputs, err), done);
    step->outputs = step->inputs;
    GN__TRY_GOTO(gn__weights_open(directory, &w, err), done);
    GN__TRY_GOTO(read_part(&w, directory, "norm.weight", 1, step->outputs, 1, &step->weight, err), done);
    status = read_part(&w, directory, "norm.bias", 1, step->outputs, 1, &step->bias, err);
done:
    gn__weights_free(&w);
    gn__config_free(&c);
    return status;
}

/* ---- the list of modules -------------------------------------------------------------------------- */

/* A module's folder must lie inside the model's. */
static bool inside(const char *path)
{
    return path[0] != '/' && strstr(path, "..") == NULL;
}

static gn_status read_module(const char *root, const gn__config *c, const json_t *module, gn__settings *s,
                             gn_error *err)
{
    const char *type = json_string_value(json_object_get(module, "type"));
    const char *path = json_string_value(json_object_get(module, "path"));
    if (type == NULL || path == NULL || !inside(path))
        return gn__fail(err, GN_FORMAT,
                        "%s: every module should have a \"type\" and a \"path\" inside the model", c->path);
    const char *dot = strrchr(type, '.'), *kind = dot ? dot + 1 : type;
    char *directory = path[0] == '\0' ? gn__strdup(root) : gn__path_join(root, path);
    if (directory == NULL) return gn__no_memory(err, strlen(root));
    gn_status status = GN_OK;
    gn__head_step *step = NULL;
    if (strcmp(kind, "Transformer") == 0) {
        free(s->directory);
        s->directory = directory;
        return GN_OK;
    }
    if (strcmp(kind, "Pooling") == 0)
        status = read_pooling(directory, s, err);
    else if (strcmp(kind, "Normalize") == 0)
        status = new_step(c, GN__HEAD_UNIT, s, &step, err);
    else if (strcmp(kind, "Dense") == 0)
        status = read_dense(c, directory, s, err);
    else if (strcmp(kind, "LayerNorm") == 0)
        status = read_layer_norm(c, directory, s, err);
    else if (strcmp(kind, "Dropout") != 0) /* which does nothing when a model is used */
        status = gn__fail(err, GN_UNSUPPORTED, "%s: the module \"%s\" is not supported", c->path, kind);
    free(directory);
    return status;
}

static gn_status read_modules(const char *root, gn__settings *s, gn_error *err)
{
    gn__config c;
    gn_status status = GN_OK;
    size_t i;
    const json_t *module;
    GN__TRY(gn__config_read(root, "modules.json", JSON_ARRAY, &c, err));
    json_array_foreach(c.root, i, module)
    {
        status = read_module(root, &c, module, s, err);
        if (status != GN_OK) break;
    }
    gn__config_free(&c);
    return status;
}

static gn_status exists(const char *directory, const char *name, bool *out, gn_error *err)
{
    char *path = gn__path_join(directory, name);
    if (path == NULL) return gn__no_memory(err, strlen(directory));
    *out = gn__file_exists(path);
    free(path);
    return GN_OK;
}

/* The first of the files that gives a sensible limit; transformers writes 1e30 for "no limit". */
static gn_status read_max_length(gn__settings *s, gn_error *err)
{
    static const struct {
        const char *file, *key;
    } sources[] = {{"sentence_bert_config.json", "max_seq_length"},
                   {"tokenizer_config.json", "model_max_length"}};
    for (size_t i = 0; i < sizeof sources / sizeof *sources && s->max_length == 0; i++) {
        bool there = false;
        gn__config c;
        double limit;
        GN__TRY(exists(s->directory, sources[i].file, &there, err));
        if (!there) continue;
        GN__TRY(gn__config_read(s->directory, sources[i].file, JSON_OBJECT, &c, err));
        gn_status status = gn__config_number(&c, sources[i].key, 0, &limit, err);
        gn__config_free(&c);
        GN__TRY(status);
        if (limit >= 1 && limit < 1e9) s->max_length = (size_t)limit;
    }
    return GN_OK;
}

/* ---- what stands before every text ---------------------------------------------------------------- */

/* wish: see gn_model_options. c: config_sentence_transformers.json; its root may be NULL. */
static gn_status choose_prompt(const gn__config *c, const char *wish, char **out, gn_error *err)
{
    const char *name = wish ? wish : gn__config_string(c, "default_prompt_name");
    const json_t *entry = name ? json_object_get(json_object_get(c->root, "prompts"), name) : NULL;
    const char *text = json_string_value(entry);
    if (wish == NULL && name != NULL && entry == NULL)
        return gn__fail(err, GN_FORMAT, "%s: \"%s\" is not one of the \"prompts\"", c->path, name);
    if (text == NULL) text = wish && (entry == NULL || !json_is_null(entry)) ? wish : "";
    *out = gn__strdup(text);
    return *out == NULL ? gn__no_memory(err, strlen(text)) : GN_OK;
}

static gn_status read_prompt(const char *root, const char *wish, gn__settings *s, gn_error *err)
{
    static const char file[] = "config_sentence_transformers.json";
    bool there = false;
    gn__config c = {0};
    GN__TRY(exists(root, file, &there, err));
    if (there) GN__TRY(gn__config_read(root, file, JSON_OBJECT, &c, err));
    gn_status status = choose_prompt(&c, wish, &s->prompt, err);
    gn__config_free(&c);
    if (status == GN_OK && s->exclude_prompt && s->prompt[0] != '\0')
        status =
            gn__fail(err, GN_UNSUPPORTED, "%s: a pooling that leaves out the prompt is not supported", root);
    return status;
}

/* sentence-transformers would lower the case of every text itself. */
static gn_status refuse_lower_case(const char *directory, gn_error *err)
{
    static const char lower[] = "sentence_bert_config.json";
    bool there = false, on = false;
    gn__config c;
    GN__TRY(exists(directory, lower, &there, err));
    if (!there) return GN_OK;
    GN__TRY(gn__config_read(directory, lower, JSON_OBJECT, &c, err));
    gn_status status = gn__config_bool(&c, "do_lower_case", false, &on, err);
    gn__config_free(&c);
    GN__TRY(status);
    if (!on) return GN_OK;
    /* Harmless where the tokenizer lowers the case anyway. */
    GN__TRY(exists(directory, "tokenizer_config.json", &there, err));
    on = false;
    if (there) {
        GN__TRY(gn__config_read(directory, "tokenizer_config.json", JSON_OBJECT, &c, err));
        status = gn__config_bool(&c, "do_lower_case", false, &on, err);
        gn__config_free(&c);
        GN__TRY(status);
    }
    return on ? GN_OK
              : gn__fail(err, GN_UNSUPPORTED, "%s/%s: \"do_lower_case\" is not supported with this tokenizer",
                         directory, lower);
}

gn_status gn__settings_read(const char *directory, const char *prompt, gn__settings *out, gn_error *err)
{
    gn_status status = GN_OK;
    bool there = false;
    gn__settings s = {.directory = gn__strdup(directory)};
    if (s.directory == NULL) return gn__no_memory(err, strlen(directory));
    GN__TRY_GOTO(exists(directory, "modules.json", &there, err), done);
    if (there) GN__TRY_GOTO(read_modules(directory, &s, err), done);
    if (!there) { /* a model saved without modules.json may still have its pooling */
        char *pooling = gn__path_join(directory, "1_Pooling");
        if (pooling == NULL) {
            status = gn__no_memory(err, strlen(directory));
            goto done;
        }
        if (gn__is_directory(pooling)) status = read_pooling(pooling, &s, err);
        free(pooling);
        if (status != GN_OK) goto done;
    }
    GN__TRY_GOTO(read_prompt(directory, prompt, &s, err), done);
    GN__TRY_GOTO(refuse_lower_case(s.directory, err), done);
    GN__TRY_GOTO(read_max_length(&s, err), done);
    *out = s;
    return GN_OK;
done:
    gn__settings_free(&s);
    return status;
}

void gn__settings_free(gn__settings *s)
{
    free(s->directory);
    free(s->prompt);
    gn__head_free(&s->head);
    *s = (gn__settings){0};
}
