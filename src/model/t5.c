/* The encoders of T5 (Raffel et al. 2020) and mT5 (Xue et al. 2021): unscaled attention, a learned bias a
 * head and bucket of distances that layer 0 holds for all layers. */
#include "model/recipe.h"

static const char *const prefix[] = {"", "transformer.", NULL};

#define NAMES                                                                                          \
    .prefix = prefix, .words = "shared.weight", .words_too = "encoder.embed_tokens.weight",            \
    .final_norm = "encoder.final_layer_norm",                                                          \
    .buckets = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",                 \
    .layer = "encoder.block.",                                                                         \
    .attention_in = {"layer.0.SelfAttention.q", "layer.0.SelfAttention.k", "layer.0.SelfAttention.v"}, \
    .attention_out = "layer.0.SelfAttention.o", .mlp_out = "layer.1.DenseReluDense.wo",                \
    .norm = {[GN__ATTENTION_BEFORE] = "layer.0.layer_norm", [GN__MLP_BEFORE] = "layer.1.layer_norm"}

static const gn__tensor_names plain = {NAMES, .mlp_in = {"layer.1.DenseReluDense.wi"}};
static const gn__tensor_names gated = {
    NAMES, .mlp_in = {"layer.1.DenseReluDense.wi_0", "layer.1.DenseReluDense.wi_1"}};

/* feed_forward_proj: an activation, with "gated-" in front where there are two. */
static gn_status read_mlp(const gn__config *c, const char *otherwise, gn__recipe *r, gn_error *err)
{
    static const char gate[] = "gated-";
    const char *said = gn__config_string(c, "feed_forward_proj");
    if (said == NULL) said = otherwise;
    r->gated = strncmp(said, gate, sizeof gate - 1) == 0;
    r->names = r->gated ? &gated : &plain;
    if (strcmp(said, "gated-gelu") == 0) said = "gated-gelu_new"; /* so transformers, for old checkpoints */
    json_t *name = json_pack("{ss}", "feed_forward_proj", said + (r->gated ? sizeof gate - 1 : 0));
    if (name == NULL) return gn__no_memory(err, 64);
    gn__config one = {name, c->path};
    gn_status status = gn__activation_find(&one, "feed_forward_proj", "relu", &r->activation, err);
    json_decref(name);
    return status;
}

static gn_status read_common(const gn__config *c, const char *mlp, gn__recipe *r, gn_error *err)
{
    static const gn__size_keys keys = {"d_model", "num_layers", "num_heads", "d_ff", "vocab_size", NULL};
    GN__TRY(gn__read_sizes(c, &keys, r, err));
    GN__TRY(gn__config_size(c, "d_kv", 64, GN__MOST_DIM, &r->head_dim, err));
    GN__TRY(gn__config_size(c, "relative_attention_num_buckets", 32, GN__MOST_DIM, &r->buckets, err));
    GN__TRY(gn__config_size(c, "relative_attention_max_distance", 128, GN__MOST_ROWS, &r->farthest, err));
    GN__TRY(gn__config_size(c, "n_positions", 512, GN__MOST_TOKENS, &r->usual, err));
    GN__TRY(gn__read_eps(c, "layer_norm_epsilon", 1e-6, r, err));
    GN__TRY(read_mlp(c, mlp, r, err));
    r->bias = GN__BIAS_BUCKETS;
    r->attention_scale = 1;
    r->norm = GN__NORM_RMS;
    gn__read_empty_token(c, 1, r);
    return GN_OK;
}

static gn_status read_t5(const gn__config *c, gn__recipe *r, gn_error *err)
{
    return read_common(c, "relu", r, err);
}

static gn_status read_mt5(const gn__config *c, gn__recipe *r, gn_error *err)
{
    return read_common(c, "gated-gelu", r, err);
}

const gn__family gn__family_t5 = {"t5", read_t5};
const gn__family gn__family_mt5 = {"mt5", read_mt5};
