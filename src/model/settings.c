#include "model/settings.h"

#include "model/config.h"

/* Names in the older form (a switch each) and in the newer ("pooling_mode"). */
static const struct {
    const char *key, *name;
    gn_pooling pooling; /* AUTO: not supported */
} poolings[] = {
    {"pooling_mode_cls_token", "cls", GN_POOLING_CLS},
    {"pooling_mode_mean_tokens", "mean", GN_POOLING_MEAN},
    {"pooling_mode_max_tokens", "max", GN_POOLING_MAX},
    {"pooling_mode_lasttoken", "lasttoken", GN_POOLING_LAST},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", GN_POOLING_AUTO},
    {"pooling_mode_weightedmean_tokens", "weightedmean", GN_POOLING_AUTO},
};
enum { POOLINGS = sizeof poolings / sizeof *poolings };

static gn_status take_pooling(const gn__config *c, size_t i, gn_pooling *out, gn_error *err)
{
    if (poolings[i].pooling == GN_POOLING_AUTO)
        return gn__fail(err, GN_UNSUPPORTED, "%s: the pooling \"%s\" is not supported", c->path,
                        poolings[i].name);
    if (*out != GN_POOLING_AUTO)
        return gn__fail(err, GN_UNSUPPORTED, "%s: several poolings put together are not supported", c->path);
    *out = poolings[i].pooling;
    return GN_OK;
}

static gn_status read_pooling(const char *directory, gn_pooling *out, gn_error *err)
{
    gn__config c;
    gn_status status = GN_OK;
    *out = GN_POOLING_AUTO;
    GN__TRY(gn__config_read(directory, "config.json", JSON_OBJECT, &c, err));
    const json_t *mode = json_object_get(c.root, "pooling_mode");
    if (json_is_array(mode) && json_array_size(mode) == 1) mode = json_array_get(mode, 0);
    if (mode != NULL && !json_is_string(mode)) {
        status = gn__fail(err, GN_UNSUPPORTED, "%s: several poolings put together are not supported", c.path);
        goto done;
    }
    for (size_t i = 0; i < POOLINGS; i++) {
        bool on = mode != NULL && strcmp(json_string_value(mode), poolings[i].name) == 0;
        if (mode == NULL) GN__TRY_GOTO(gn__config_bool(&c, poolings[i].key, false, &on, err), done);
        if (on) GN__TRY_GOTO(take_pooling(&c, i, out, err), done);
    }
    if (mode != NULL && *out == GN_POOLING_AUTO)
        status = gn__fail(err, GN_UNSUPPORTED, "%s: the pooling \"%s\" is not supported", c.path,
                          json_string_value(mode));
    else if (*out == GN_POOLING_AUTO)
        *out = GN_POOLING_MEAN; /* all switches off or absent: sentence-transformers' default */
done:
    gn__config_free(&c);
    return status;
}

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
    if (strcmp(kind, "Transformer") == 0) {
        free(s->directory);
        s->directory = directory;
        return GN_OK;
    }
    if (strcmp(kind, "Pooling") == 0)
        status = read_pooling(directory, &s->pooling, err);
    else if (strcmp(kind, "Normalize") == 0)
        s->normalize = true;
    else
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

/* Settings by which sentence-transformers would change every text before it is tokenized. */
static gn_status refuse_text_changes(const char *root, const char *directory, gn_error *err)
{
    static const char prompts[] = "config_sentence_transformers.json", lower[] = "sentence_bert_config.json";
    bool there = false, on = false;
    gn__config c;
    gn_status status = GN_OK;
    GN__TRY(exists(root, prompts, &there, err));
    if (there) {
        GN__TRY(gn__config_read(root, prompts, JSON_OBJECT, &c, err));
        const char *name = gn__config_string(&c, "default_prompt_name");
        if (name != NULL)
            status = gn__fail(err, GN_UNSUPPORTED,
                              "%s: the prompt \"%s\" that the model puts before every text is not supported",
                              c.path, name);
        gn__config_free(&c);
        GN__TRY(status);
    }
    GN__TRY(exists(directory, lower, &there, err));
    if (!there) return GN_OK;
    GN__TRY(gn__config_read(directory, lower, JSON_OBJECT, &c, err));
    status = gn__config_bool(&c, "do_lower_case", false, &on, err);
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

gn_status gn__settings_read(const char *directory, gn__settings *out, gn_error *err)
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
        if (gn__is_directory(pooling)) status = read_pooling(pooling, &s.pooling, err);
        free(pooling);
        if (status != GN_OK) goto done;
    }
    GN__TRY_GOTO(refuse_text_changes(directory, s.directory, err), done);
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
    *s = (gn__settings){0};
}
