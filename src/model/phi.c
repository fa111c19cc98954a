/* Phi (Li et al. 2023): one norm for attention and MLP side by side, rotary positions on a part of each head.
 * Phi-3 (Abdin et al. 2024): Llama with fused projections. */
#include "model/recipe.h"

static const char *const prefix[] = {"", "model.", NULL};

#define NAMES                                                                                              \
    .prefix = prefix, .words = "embed_tokens.weight", .final_norm = "final_layernorm", .layer = "layers.", \
    .attention_in = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},                          \
    .attention_out = "self_attn.dense", .mlp_in = {"mlp.fc1"}, .mlp_out = "mlp.fc2",                       \
    .norm = {[GN__ATTENTION_BEFORE] = "input_layernorm", [GN__MLP_BEFORE] = "input_layernorm"}

static const gn__tensor_names plain = {NAMES};
static const gn__tensor_names with_head_norms = {NAMES, .query_norm = "self_attn.q_layernorm",
                                                 .key_norm = "self_attn.k_layernorm"};

static const gn__tensor_names third = {
    .prefix = prefix,
    .words = "embed_tokens.weight",
    .final_norm = "norm",
    .layer = "layers.",
    .attention_in = {"self_attn.qkv_proj"},
    .attention_out = "self_attn.o_proj",
    .mlp_in = {"mlp.gate_up_proj"},
    .mlp_out = "mlp.down_proj",
    .norm = {[GN__ATTENTION_BEFORE] = "input_layernorm", [GN__MLP_BEFORE] = "post_attention_layernorm"},
};

static gn_status read_phi(const gn__config *c, gn__recipe *r, gn_error *err)
{
    static const gn__rotary_keys rotary = {"rope_theta", "partial_rotary_factor", 10000, 0.5, .scaled = true};
    bool head_norms;
    GN__TRY(gn__config_bool(c, "qk_layernorm", false, &head_norms, err));
    r->names = head_norms ? &with_head_norms : &plain;
    GN__TRY(gn__read_sizes(c, &gn__usual_keys, r, err));
    GN__TRY(gn__read_grouped_heads(c, r, err));
    GN__TRY(gn__read_rotary(c, &rotary, 0, r, err));
    GN__TRY(gn__read_eps(c, "layer_norm_eps", 1e-5, r, err));
    r->causal = r->parallel = r->bias_in = r->bias_out = r->bias_mlp = true;
    gn__read_empty_token(c, 0, r);
    return gn__activation_find(c, "hidden_act", "gelu_new", &r->activation, err);
}

static gn_status read_phi3(const gn__config *c, gn__recipe *r, gn_error *err)
{
    static const gn__rotary_keys rotary = {"rope_theta", "partial_rotary_factor", 10000, 1, true, true, 4096};
    size_t window;
    r->names = &third;
    GN__TRY(gn__read_sizes(c, &gn__usual_keys, r, err));
    GN__TRY(gn__read_grouped_heads(c, r, err));
    GN__TRY(gn__read_rotary(c, &rotary, 0, r, err));
    r->rotary[1] = r->rotary[0];
    GN__TRY(gn__read_eps(c, "rms_norm_eps", 1e-5, r, err));
    GN__TRY(gn__config_count(c, "sliding_window", 0, GN__MOST_ROWS, &window, err));
    if (window == 1) return gn__refused(c, "sliding_window", err);
    if (window > 0) memset(r->local, 1, r->layers);
    r->before = window ? window - 1 : 0;
    r->norm = GN__NORM_RMS;
    r->causal = r->gated = true;
    gn__read_empty_token(c, 0, r);
    return gn__activation_find(c, "hidden_act", "silu", &r->activation, err);
}

const gn__family gn__family_phi = {"phi", read_phi};
const gn__family gn__family_phi3 = {"phi3", read_phi3};
