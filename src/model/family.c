#include "model/recipe.h"

static const gn__family *const families[] = {&gn__family_bert, &gn__family_gpt2};

/* The names that transformers knows them by. */
static const struct {
    const char *name;
    gn__activation activation;
} activations[] = {
    {"gelu", GN__GELU},
    {"gelu_python", GN__GELU},
    {"gelu_new", GN__GELU_TANH},
    {"gelu_fast", GN__GELU_TANH},
    {"gelu_pytorch_tanh", GN__GELU_TANH},
    {"relu", GN__RELU},
    {"silu", GN__SILU},
    {"swish", GN__SILU},
};

gn_status gn__family_find(const gn__config *config, const gn__family **out, gn_error *err)
{
    const char *type = gn__config_string(config, "model_type");
    if (type == NULL) return gn__fail(err, GN_FORMAT, "%s does not say \"%s\"", config->path, "model_type");
    gn__buf known = {0};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (strcmp(families[i]->model_type, type) == 0) {
            *out = families[i];
            gn__buf_free(&known);
            return GN_OK;
        }
        gn__buf_printf(&known, "%s%s", i ? ", " : "", families[i]->model_type);
    }
    gn_status status =
        known.failed
            ? gn__no_memory(err, 64)
            : gn__fail(err, GN_UNSUPPORTED, "%s: the architecture \"%s\" is not supported; supported are: %s",
                       config->path, type, known.data);
    gn__buf_free(&known);
    return status;
}

gn_status gn__activation_find(const gn__config *config, const char *key, const char *otherwise,
                              gn__activation *out, gn_error *err)
{
    const char *name = gn__config_string(config, key);
    if (name == NULL) name = otherwise;
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (strcmp(activations[i].name, name) == 0) {
            *out = activations[i].activation;
            return GN_OK;
        }
    return gn__fail(err, GN_UNSUPPORTED, "%s: the activation \"%s\" (\"%s\") is not supported", config->path,
                    name, key);
}
