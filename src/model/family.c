#include "model/recipe.h"

#include <math.h>
#include <stdio.h>

static const gn__family *const families[] = {
    &gn__family_bert,        &gn__family_distilbert, &gn__family_roberta,    &gn__family_xlm_roberta,
    &gn__family_camembert,   &gn__family_albert,     &gn__family_electra,    &gn__family_mpnet,
    &gn__family_deberta,     &gn__family_deberta_v2, &gn__family_modernbert, &gn__family_nomic_bert,
    &gn__family_gpt2,        &gn__family_gpt_neox,   &gn__family_opt,        &gn__family_bloom,
    &gn__family_phi,         &gn__family_phi3,       &gn__family_llama,      &gn__family_mistral,
    &gn__family_qwen2,       &gn__family_qwen3,      &gn__family_gemma2,     &gn__family_gemma3,
    &gn__family_gemma3_text, &gn__family_t5,         &gn__family_mt5,
};

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

static gn_status check_sizes(const gn__config *c, const gn__recipe *r, gn_error *err)
{
    if (r->heads % r->kv_heads != 0)
        return gn__fail(err, GN_FORMAT, "%s: %zu heads cannot share %zu heads of keys and values evenly",
                        c->path, r->heads, r->kv_heads);
    for (int kind = 0; kind < 2; kind++)
        if (2 * r->rotary[kind].pairs > r->head_dim)
            return gn__fail(err, GN_FORMAT, "%s: rotary positions turn %zu of a head's %zu numbers", c->path,
                            2 * r->rotary[kind].pairs, r->head_dim);
    if (r->heads * r->head_dim > GN__MOST_DIM)
        return gn__fail(err, GN_FORMAT, "%s: %zu heads of %zu numbers are too many", c->path, r->heads,
                        r->head_dim);
    if (r->position_rows > 0 && r->position_rows <= r->position_offset)
        return gn__fail(err, GN_FORMAT, "%s: %zu positions leave none for a token", c->path,
                        r->position_rows);
    if (r->bias == GN__BIAS_BUCKETS && (r->buckets < 4 || r->farthest <= r->buckets / 4))
        return gn__fail(err, GN_FORMAT, "%s: %zu buckets cannot hold distances up to %zu", c->path,
                        r->buckets, r->farthest);
    if (r->span_buckets > 0 && r->span_farthest <= r->span_buckets / 2 + 1)
        return gn__fail(err, GN_FORMAT, "%s: %zu buckets cannot hold distances up to %zu", c->path,
                        r->span_buckets, r->span_farthest);
    if (r->layers % r->stored != 0)
        return gn__fail(err, GN_UNSUPPORTED, "%s: %zu layers cannot be shared evenly by %zu groups", c->path,
                        r->layers / r->group, r->stored / r->group);
    return GN_OK;
}

gn_status gn__recipe_read(const gn__config *config, gn__recipe *r, const gn__family **family, gn_error *err)
{
    *r = (gn__recipe){.pad_token = -1, .empty_token = -1, .norm_bias = true};
    GN__TRY(gn__family_find(config, family, err));
    GN__TRY((*family)->read(config, r, err));
    if (r->head_dim == 0 && r->dim % r->heads != 0)
        return gn__fail(err, GN_FORMAT, "%s: the width %zu cannot be divided into %zu heads", config->path,
                        r->dim, r->heads);
    if (r->head_dim == 0) r->head_dim = r->dim / r->heads;
    if (r->kv_heads == 0) r->kv_heads = r->heads;
    if (r->embedding == 0) r->embedding = r->dim;
    if (r->stored == 0) r->stored = r->layers;
    if (r->group == 0) r->group = 1;
    if (r->output == 0) r->output = r->dim;
    r->projected = r->projected || r->embedding != r->dim;
    if (r->embedding_scale == 0) r->embedding_scale = 1;
    if (r->attention_scale == 0) r->attention_scale = 1 / sqrtf((float)r->head_dim);
    if (r->pooling == GN_POOLING_AUTO) r->pooling = r->causal ? GN_POOLING_LAST : GN_POOLING_MEAN;
    GN__TRY(check_sizes(config, r, err));
    if (r->position_rows > 0) r->positions = r->position_rows - r->position_offset;
    return GN_OK;
}

/* ---- what families read with ---------------------------------------------------------------------- */

const gn__size_keys gn__usual_keys = {"hidden_size",       "num_hidden_layers", "num_attention_heads",
                                      "intermediate_size", "vocab_size",        "max_position_embeddings"};

gn_status gn__read_sizes(const gn__config *c, const gn__size_keys *keys, gn__recipe *r, gn_error *err)
{
    const struct {
        const char *key;
        size_t limit, *out;
    } rows[] = {
        {keys->dim, GN__MOST_DIM, &r->dim},      {keys->layers, GN__MOST_LAYERS, &r->layers},
        {keys->heads, GN__MOST_DIM, &r->heads},  {keys->inner, GN__MOST_DIM * 4, &r->inner},
        {keys->vocab, GN__MOST_ROWS, &r->vocab}, {keys->positions, GN__MOST_ROWS, &r->positions},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].key != NULL) GN__TRY(gn__config_size(c, rows[i].key, 0, rows[i].limit, rows[i].out, err));
    return GN_OK;
}

gn_status gn__read_eps(const gn__config *c, const char *key, double otherwise, gn__recipe *r, gn_error *err)
{
    double eps;
    GN__TRY(gn__config_number(c, key, otherwise, &eps, err));
    r->eps = (float)eps;
    return GN_OK;
}

gn_status gn__read_grouped_heads(const gn__config *c, gn__recipe *r, gn_error *err)
{
    GN__TRY(gn__config_size(c, "num_key_value_heads", r->heads, GN__MOST_DIM, &r->kv_heads, err));
    size_t even = r->dim / r->heads > 0 ? r->dim / r->heads : 1;
    return gn__config_size(c, "head_dim", even, GN__MOST_DIM, &r->head_dim, err);
}

void gn__read_empty_token(const gn__config *c, int32_t otherwise, gn__recipe *r)
{
    static const char *const keys[] = {"bos_token_id", "eos_token_id", "pad_token_id"};
    r->empty_token = otherwise;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *v = json_object_get(c->root, keys[i]);
        if (json_is_array(v)) v = json_array_get(v, 0);
        json_int_t id = json_is_integer(v) ? json_integer_value(v) : -1;
        if (id < 0 || (uint64_t)id >= r->vocab) continue;
        r->empty_token = (int32_t)id;
        return;
    }
}

gn_status gn__refused(const gn__config *c, const char *key, gn_error *err)
{
    return gn__fail(err, GN_UNSUPPORTED, "%s: \"%s\" is not supported for this architecture", c->path, key);
}

gn_status gn__refuse(const gn__config *c, const char *const *switches, gn_error *err)
{
    for (; *switches != NULL; switches++) {
        bool wanted = **switches == '!', on;
        const char *key = *switches + wanted;
        char said[96];
        GN__TRY(gn__config_bool(c, key, wanted, &on, err));
        if (on == wanted) continue;
        snprintf(said, sizeof said, wanted ? "%s: false" : "%s", key);
        return gn__refused(c, said, err);
    }
    return GN_OK;
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

gn_status gn__read_layer_types(const gn__config *c, gn__recipe *r, bool *said, gn_error *err)
{
    const json_t *types = json_object_get(c->root, "layer_types");
    *said = types != NULL && !json_is_null(types);
    if (!*said) return GN_OK;
    if (!json_is_array(types) || json_array_size(types) != r->layers)
        return gn__fail(err, GN_FORMAT, "%s: \"layer_types\" should be a list of %zu names", c->path,
                        r->layers);
    for (size_t i = 0; i < r->layers; i++) {
        const char *name = json_string_value(json_array_get(types, i));
        if (name == NULL || (strcmp(name, "full_attention") != 0 && strcmp(name, "sliding_attention") != 0))
            return gn__fail(err, GN_UNSUPPORTED, "%s: the layer type \"%s\" is not supported", c->path,
                            name ? name : "?");
        r->local[i] = name[0] == 's';
    }
    return GN_OK;
}
