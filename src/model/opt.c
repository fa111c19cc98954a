/* OPT (Zhang et al. 2022): learned positions from row 2 on, norms first or (350m, whose words are also
 * narrower than its layers) last. */
#include "model/recipe.h"

static const char *const prefix[] = {"", "model.", NULL};

#define NAMES                                                                                                \
    .prefix = prefix, .words = "decoder.embed_tokens.weight", .positions = "decoder.embed_positions.weight", \
    .projection = "decoder.project_in", .output = "decoder.project_out", .layer = "decoder.layers.",         \
    .attention_in = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},                            \
    .attention_out = "self_attn.out_proj", .mlp_in = {"fc1"}, .mlp_out = "fc2"

static const gn__tensor_names first = {
    NAMES,
    .final_norm = "decoder.final_layer_norm",
    .norm = {[GN__ATTENTION_BEFORE] = "self_attn_layer_norm", [GN__MLP_BEFORE] = "final_layer_norm"},
};

static const gn__tensor_names first_without_final = {
    NAMES,
    .norm = {[GN__ATTENTION_BEFORE] = "self_attn_layer_norm", [GN__MLP_BEFORE] = "final_layer_norm"},
};

static const gn__tensor_names last = {
    NAMES,
    .norm = {[GN__ATTENTION_POST] = "self_attn_layer_norm", [GN__MLP_POST] = "final_layer_norm"},
};

static gn_status read_config(const gn__config *c, gn__recipe *r, gn_error *err)
{
    static const gn__size_keys keys = {"hidden_size", "num_hidden_layers", "num_attention_heads",
                                       "ffn_dim",     "vocab_size",        "max_position_embeddings"};
    static const char *const refused[] = {"!layer_norm_elementwise_affine", NULL};
    bool before, bare, bias;
    GN__TRY(gn__refuse(c, refused, err));
    GN__TRY(gn__read_sizes(c, &keys, r, err));
    GN__TRY(gn__config_size(c, "word_embed_proj_dim", r->dim, GN__MOST_DIM, &r->embedding, err));
    r->output = r->embedding;
    r->add_projected = true;
    GN__TRY(gn__config_bool(c, "do_layer_norm_before", true, &before, err));
    GN__TRY(gn__config_bool(c, "_remove_final_layer_norm", false, &bare, err));
    GN__TRY(gn__config_bool(c, "enable_bias", true, &bias, err));
    r->names = !before ? &last : bare ? &first_without_final : &first;
    r->position_offset = 2;
    r->position_rows = r->positions + 2;
    r->eps = 1e-5f;
    r->bias_in = r->bias_out = r->bias_mlp = bias;
    r->causal = true;
    gn__read_empty_token(c, 2, r);
    return gn__activation_find(c, "activation_function", "relu", &r->activation, err);
}

const gn__family gn__family_opt = {"opt", read_config};
