/* Llama (Touvron et al. 2023) and those made like it: Mistral (Jiang et al. 2023), with a window; Qwen2 (Yang
 * et al. 2024), with biases; Qwen3 (2025), with norms of query and key. */
#include "model/recipe.h"

static const char *const prefix[] = {"", "model.", NULL};

#define NAMES                                                                                   \
    .prefix = prefix, .words = "embed_tokens.weight", .final_norm = "norm", .layer = "layers.", \
    .attention_in = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},               \
    .attention_out = "self_attn.o_proj", .mlp_in = {"mlp.gate_proj", "mlp.up_proj"},            \
    .mlp_out = "mlp.down_proj",                                                                 \
    .norm = {[GN__ATTENTION_BEFORE] = "input_layernorm", [GN__MLP_BEFORE] = "post_attention_layernorm"}

static const gn__tensor_names plain = {NAMES};
static const gn__tensor_names with_head_norms = {NAMES, .query_norm = "self_attn.q_norm",
                                                 .key_norm = "self_attn.k_norm"};

static gn_status read_common(const gn__config *c, gn__recipe *r, gn_error *err)
{
    static const gn__rotary_keys rotary = {"rope_theta", "partial_rotary_factor", 10000, 1, .scaled = true};
    r->names = &plain;
    GN__TRY(gn__read_sizes(c, &gn__usual_keys, r, err));
    GN__TRY(gn__read_grouped_heads(c, r, err));
    GN__TRY(gn__read_rotary(c, &rotary, 0, r, err));
    r->rotary[1] = r->rotary[0];
    GN__TRY(gn__read_eps(c, "rms_norm_eps", 1e-6, r, err));
    /* Some embedding models are decoders that were taught to look both ways. */
    GN__TRY(gn__config_bool(c, "is_causal", true, &r->causal, err));
    r->norm = GN__NORM_RMS;
    r->gated = true;
    gn__read_empty_token(c, 0, r);
    return gn__activation_find(c, "hidden_act", "silu", &r->activation, err);
}

/* sliding_window: so many tokens, itself included, does a token of a local layer see. */
static gn_status read_window(const gn__config *c, gn__recipe *r, gn_error *err)
{
    size_t window;
    GN__TRY(gn__config_count(c, "sliding_window", 0, GN__MOST_ROWS, &window, err));
    if (window == 1) return gn__refused(c, "sliding_window", err);
    r->before = window == 0 ? 0 : r->causal ? window - 1 : window;
    r->after = r->causal ? 0 : window;
    return GN_OK;
}

static gn_status read_llama(const gn__config *c, gn__recipe *r, gn_error *err)
{
    bool bias;
    GN__TRY(read_common(c, r, err));
    GN__TRY(gn__config_bool(c, "attention_bias", false, &bias, err));
    r->bias_in = r->bias_out = bias;
    return gn__config_bool(c, "mlp_bias", false, &r->bias_mlp, err);
}

static gn_status read_mistral(const gn__config *c, gn__recipe *r, gn_error *err)
{
    GN__TRY(read_common(c, r, err));
    GN__TRY(read_window(c, r, err));
    if (r->before > 0) memset(r->local, 1, r->layers);
    return GN_OK;
}

static gn_status read_qwen_layers(const gn__config *c, gn__recipe *r, gn_error *err)
{
    bool slides, said;
    size_t from;
    GN__TRY(gn__config_bool(c, "use_sliding_window", false, &slides, err));
    GN__TRY(gn__read_layer_types(c, r, &said, err));
    if (!slides) memset(r->local, 0, r->layers);
    if (!slides) return GN_OK;
    GN__TRY(read_window(c, r, err));
    GN__TRY(gn__config_count(c, "max_window_layers", 28, GN__MOST_LAYERS, &from, err));
    for (size_t i = 0; i < r->layers && !said; i++) r->local[i] = r->before > 0 && i >= from;
    return GN_OK;
}

static gn_status read_qwen2(const gn__config *c, gn__recipe *r, gn_error *err)
{
    GN__TRY(read_common(c, r, err));
    r->bias_in = true;
    return read_qwen_layers(c, r, err);
}

static gn_status read_qwen3(const gn__config *c, gn__recipe *r, gn_error *err)
{
    bool bias;
    GN__TRY(read_common(c, r, err));
    r->names = &with_head_norms;
    GN__TRY(gn__config_bool(c, "attention_bias", false, &bias, err));
    r->bias_in = r->bias_out = bias;
    return read_qwen_layers(c, r, err);
}

const gn__family gn__family_llama = {"llama", read_llama};
const gn__family gn__family_mistral = {"mistral", read_mistral};
const gn__family gn__family_qwen2 = {"qwen2", read_qwen2};
const gn__family gn__family_qwen3 = {"qwen3", read_qwen3};
