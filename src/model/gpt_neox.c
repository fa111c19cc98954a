/* GPT-NeoX (Black et al. 2022) and Pythia: attention and MLP side by side, rotary positions on a part of each
 * head, query, key and value fused head by head. */
#include "model/recipe.h"

static const char *const prefix[] = {"", "gpt_neox.", NULL};

static const gn__tensor_names names = {
    .prefix = prefix,
    .words = "embed_in.weight",
    .final_norm = "final_layer_norm",
    .layer = "layers.",
    .attention_in = {"attention.query_key_value"},
    .attention_out = "attention.dense",
    .mlp_in = {"mlp.dense_h_to_4h"},
    .mlp_out = "mlp.dense_4h_to_h",
    .norm = {[GN__ATTENTION_BEFORE] = "input_layernorm", [GN__MLP_BEFORE] = "post_attention_layernorm"},
};

static gn_status read_config(const gn__config *c, gn__recipe *r, gn_error *err)
{
    static const gn__rotary_keys rotary = {"rotary_emb_base", "rotary_pct", 10000, 0.25, .scaled = true};
    bool bias;
    r->names = &names;
    GN__TRY(gn__read_sizes(c, &gn__usual_keys, r, err));
    GN__TRY(gn__read_rotary(c, &rotary, 0, r, err));
    GN__TRY(gn__read_eps(c, "layer_norm_eps", 1e-5, r, err));
    GN__TRY(gn__config_bool(c, "use_parallel_residual", true, &r->parallel, err));
    GN__TRY(gn__config_bool(c, "attention_bias", true, &bias, err));
    r->bias_in = r->bias_out = bias;
    r->bias_mlp = r->causal = r->interleaved = true;
    gn__read_empty_token(c, 0, r);
    return gn__activation_find(c, "hidden_act", "gelu", &r->activation, err);
}

const gn__family gn__family_gpt_neox = {"gpt_neox", read_config};
