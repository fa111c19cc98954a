#include "genchi/model.h"

#include "model/bind.h"
#include "model/describe.h"
#include "model/remote.h"
#include "model/settings.h"

#include <limits.h>
#include <stdio.h>

static const char *const pooling_names[] = {"auto", "mean",          "cls",      "last",
                                            "max",  "weighted-mean", "mean-sqrt"};
static const char *const dtype_names[] = {"auto", "float32", "bf16", "int8"};

const char *gn_pooling_name(gn_pooling p)
{
    return (size_t)p < sizeof pooling_names / sizeof *pooling_names ? pooling_names[p] : "?";
}

const char *gn_dtype_name(gn_dtype t)
{
    return (size_t)t < sizeof dtype_names / sizeof *dtype_names ? dtype_names[t] : "?";
}

const gn_model_info *gn_model_get_info(const gn_model *m)
{
    return &m->info;
}

void gn_model_free(gn_model *m)
{
    if (m == NULL) return;
    for (size_t i = 0; i < m->recipe.stored && m->layer != NULL; i++) {
        gn__linear_free(m->layer[i].attention_in);
        gn__linear_free(m->layer[i].attention_out);
        gn__linear_free(m->layer[i].mlp_in);
        gn__linear_free(m->layer[i].mlp_out);
        free(m->layer[i].position_key);
        free(m->layer[i].position_query);
    }
    gn__linear_free(m->projection);
    gn__linear_free(m->output);
    gn__linear_free(m->conv);
    gn__head_free(&m->head);
    free(m->prompt);
    free(m->layer);
    gn__engine_free(m->engine);
    gn__weights_free(&m->weights);
    gn_tokenizer_free(m->tokenizer);
    gn__char_ngram_free(m->control);
    gn__endpoint_close(m->endpoint);
    gn__arena_free(&m->arena);
    free(m);
}

/* What people call the model: "org/name" in a Hugging Face cache (models--org--name/snapshots/hash),
 * else the last folder of the path that says something. */
static gn_status name_model(gn_model *m, const char *directory, gn_error *err)
{
    static const char *const vague[] = {"model", "0_Transformer"};
    char full[PATH_MAX];
    if (realpath(directory, full) == NULL) snprintf(full, sizeof full, "%s", directory);
    char *hub = strstr(full, "/models--"), *name = NULL;
    if (hub != NULL) {
        name = hub + strlen("/models--");
        name[strcspn(name, "/")] = '\0';
        char *gap = strstr(name, "--");
        if (gap != NULL) {
            *gap = '/';
            memmove(gap + 1, gap + 2, strlen(gap + 2) + 1);
        }
    }
    while (name == NULL) {
        char *slash = strrchr(full, '/'), *last = slash ? slash + 1 : full;
        bool skip = false;
        for (size_t i = 0; i < sizeof vague / sizeof *vague; i++) skip = skip || strcmp(last, vague[i]) == 0;
        if (skip && slash != NULL && slash != full)
            *slash = '\0';
        else
            name = last;
    }
    m->info.name = gn__arena_strndup(&m->arena, name, strlen(name));
    m->info.path = gn__arena_strndup(&m->arena, directory, strlen(directory));
    return m->info.name && m->info.path ? GN_OK : gn__no_memory(err, strlen(full));
}

static gn_status read_recipe(const char *directory, gn_model *m, gn_error *err)
{
    gn__config config;
    const gn__family *family;
    GN__TRY(gn__config_read(directory, "config.json", JSON_OBJECT, &config, err));
    gn_status status = gn__recipe_read(&config, &m->recipe, &family, err);
    gn__config_free(&config);
    if (status == GN_OK) m->info.architecture = family->model_type;
    return status;
}

/* A wish for a type that oneDNN cannot fulfil here gives float32. */
static gn_status choose_dtype(gn_model *m, gn_dtype wish, gn_error *err)
{
    const float one = 1;
    gn__linear *probe = NULL;
    m->info.dtype = wish == GN_DTYPE_AUTO ? gn__best_dtype() : wish;
    if (m->info.dtype == GN_DTYPE_F32) return GN_OK;
    gn_status status = gn__linear_create(m->engine, &one, NULL, 1, 1, false, m->info.dtype, &probe, NULL);
    gn__linear_free(probe);
    if (status == GN_NO_MEMORY) return gn__no_memory(err, sizeof one);
    if (status != GN_OK) m->info.dtype = GN_DTYPE_F32;
    return GN_OK;
}

static gn_status choose_max_length(gn_model *m, size_t wish, size_t said, gn_error *err)
{
    const gn__recipe *r = &m->recipe;
    size_t most = r->positions ? r->positions : GN__MOST_TOKENS, usual = r->positions ? most : r->usual;
    if (wish > most)
        return gn__fail(err, GN_INVALID_ARGUMENT,
                        "a length of %zu tokens was asked for, but %s has positions for %zu", wish,
                        m->info.name, most);
    m->info.max_length = wish ? wish : said && said < most ? said : usual;
    return GN_OK;
}

/* What a name that is no folder stands for: a model in the cache of the hub. */
static gn_status find_directory(const char *name, const gn_model_options *options, char **directory,
                                gn_error *err)
{
    if (options->hub != NULL && gn_hub_is_name(name)) return gn_hub_find(name, options->hub, directory, err);
    return gn__fail(err, GN_IO, "%s is neither a model's folder nor a built-in model (builtin:char-ngram)",
                    name);
}

/* Takes over what sentence-transformers' files say; a pooling asked for stands alone. */
static gn_status choose_head(gn_model *m, gn__settings *s, gn_pooling wish, gn_error *err)
{
    gn__head *h = &m->head;
    *h = s->head;
    s->head = (gn__head){0};
    m->prompt = s->prompt;
    s->prompt = NULL;
    if (wish != GN_POOLING_AUTO || h->poolings == 0) {
        h->pooling[0] = wish != GN_POOLING_AUTO ? wish : m->recipe.pooling;
        h->poolings = 1;
    }
    m->info.pooling = h->pooling[0];
    m->info.normalize = h->steps > 0 && h->step[h->steps - 1].kind == GN__HEAD_UNIT;
    return gn__head_check(h, m->info.path, m->recipe.output, &m->info.dim, err);
}

static gn_status load_directory(gn_context *ctx, gn_model *m, const char *directory,
                                const gn_model_options *options, gn_error *err)
{
    gn_status status;
    gn__settings settings = {0};
    GN__TRY(name_model(m, directory, err));
    GN__TRY(gn__settings_read(directory, options->prompt, &settings, err));
    GN__TRY_GOTO(read_recipe(settings.directory, m, err), done);
    GN__TRY_GOTO(choose_max_length(m, options->max_length, settings.max_length, err), done);
    GN__TRY_GOTO(choose_head(m, &settings, options->pooling, err), done);
    GN__TRY_GOTO(gn__weights_open(settings.directory, &m->weights, err), done);
    GN__TRY_GOTO(gn__engine_create(&m->engine, err), done);
    GN__TRY_GOTO(choose_dtype(m, options->dtype, err), done);
    GN__TRY_GOTO(gn__model_bind(ctx, m, settings.directory, err), done);
    m->info.layers = m->recipe.layers;
    m->info.heads = m->recipe.heads;
    m->info.vocab = m->recipe.vocab;
    m->info.tokenizer = gn_tokenizer_kind(m->tokenizer);
    status = gn__model_describe(m, settings.directory, err);
done:
    gn__settings_free(&settings);
    return status;
}

gn_status gn_model_load(gn_context *ctx, const char *name_or_dir, const gn_model_options *options,
                        gn_model **out, gn_error *err)
{
    static const gn_model_options defaults;
    static const char builtin[] = "builtin:";
    gn_status status;
    gn_model *m = gn__calloc(1, sizeof *m);
    if (m == NULL) return gn__no_memory(err, sizeof *m);
    if (options == NULL) options = &defaults;
    if (gn__is_url(name_or_dir)) {
        status = options->prompt != NULL && options->prompt[0] != '\0'
                     ? gn__fail(err, GN_UNSUPPORTED, "%s: a prompt is not put before texts for a server",
                                name_or_dir)
                     : gn__remote_load(ctx, m, name_or_dir, options->endpoint, err);
    } else if (strncmp(name_or_dir, builtin, sizeof builtin - 1) != 0) {
        char *found = NULL;
        status = gn__is_directory(name_or_dir) ? GN_OK : find_directory(name_or_dir, options, &found, err);
        if (status == GN_OK) status = load_directory(ctx, m, found ? found : name_or_dir, options, err);
        free(found);
    } else if (strcmp(name_or_dir, "builtin:char-ngram") != 0) {
        status = gn__fail(err, GN_INVALID_ARGUMENT,
                          "there is no built-in model %s; there is builtin:char-ngram", name_or_dir);
    } else {
        status = gn__char_ngram_info(&m->info, err);
        if (status == GN_OK) status = gn__char_ngram_create(&m->control, err);
    }
    if (status != GN_OK) {
        gn_model_free(m);
        return status;
    }
    *out = m;
    return GN_OK;
}
