/* Gemma 2 and 3 (2024, 2025): norms on both sides of attention and MLP, layers that see all and local ones in
 * turn, scaled embeddings. Gemma 3's config may hold the text model inside a larger one. */
#include "model/recipe.h"

#include <math.h>

static const char *const prefix[] = {
    "", "model.", "language_model.model.", "model.language_model.", "language_model.", NULL};

#define NAMES                                                                                   \
    .prefix = prefix, .words = "embed_tokens.weight", .final_norm = "norm", .layer = "layers.", \
    .attention_in = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},               \
    .attention_out = "self_attn.o_proj", .mlp_in = {"mlp.gate_proj", "mlp.up_proj"},            \
    .mlp_out = "mlp.down_proj",                                                                 \
    .norm = {[GN__ATTENTION_BEFORE] = "input_layernorm",                                        \
             [GN__ATTENTION_INSIDE] = "post_attention_layernorm",                               \
             [GN__MLP_BEFORE] = "pre_feedforward_layernorm",                                    \
             [GN__MLP_INSIDE] = "post_feedforward_layernorm"}

static gn_status read_common(const gn__config *c, gn__recipe *r, gn_error *err)
{
    double scalar, cap;
    bool bias, both_ways;
    size_t window;
    GN__TRY(gn__read_sizes(c, &gn__usual_keys, r, err));
    GN__TRY(gn__config_size(c, "num_key_value_heads", r->heads, GN__MOST_DIM, &r->kv_heads, err));
    GN__TRY(gn__config_size(c, "head_dim", 256, GN__MOST_DIM, &r->head_dim, err));
    GN__TRY(gn__read_eps(c, "rms_norm_eps", 1e-6, r, err));
    GN__TRY(gn__config_number(c, "query_pre_attn_scalar", 256, &scalar, err));
    GN__TRY(gn__config_number(c, "attn_logit_softcapping", 0, &cap, err));
    if (!(scalar > 0) || !(cap >= 0))
        return gn__fail(err, GN_FORMAT, "%s: \"%s\" should be above 0", c->path,
                        scalar > 0 ? "attn_logit_softcapping" : "query_pre_attn_scalar");
    r->attention_scale = (float)(1 / sqrt(scalar));
    r->cap = (float)cap;
    r->embedding_scale = (float)sqrt((double)r->dim);
    GN__TRY(gn__config_bool(c, "use_bidirectional_attention", false, &both_ways, err));
    GN__TRY(gn__config_size(c, "sliding_window", 4096, GN__MOST_ROWS, &window, err));
    r->causal = !both_ways;
    r->before = both_ways ? window / 2 : window - 1;
    r->after = both_ways ? window / 2 : 0;
    if (r->before == 0) return gn__refused(c, "sliding_window", err);
    GN__TRY(gn__config_bool(c, "attention_bias", false, &bias, err));
    r->bias_in = r->bias_out = bias;
    r->norm = GN__NORM_RMS_PLUS;
    r->gated = true;
    gn__read_empty_token(c, 2, r);
    return gn__activation_find(c, "hidden_activation", "gelu_pytorch_tanh", &r->activation, err);
}

/* Every n-th layer sees all. */
static gn_status read_layers(const gn__config *c, size_t n, gn__recipe *r, gn_error *err)
{
    bool said;
    GN__TRY(gn__read_layer_types(c, r, &said, err));
    for (size_t i = 0; i < r->layers && !said; i++) r->local[i] = (i + 1) % n != 0;
    return GN_OK;
}

static gn_status read_gemma2(const gn__config *c, gn__recipe *r, gn_error *err)
{
    static const gn__rotary_keys rotary = {"rope_theta", NULL, 10000, 1, .scaled = true};
    static const gn__tensor_names names = {NAMES};
    bool both_ways;
    r->names = &names;
    GN__TRY(gn__config_bool(c, "use_bidirectional_attention", false, &both_ways, err));
    if (both_ways) return gn__refused(c, "use_bidirectional_attention", err);
    GN__TRY(read_common(c, r, err));
    if (json_object_get(c->root, "attn_logit_softcapping") == NULL) r->cap = 50;
    GN__TRY(gn__read_rotary(c, &rotary, 0, r, err));
    r->rotary[1] = r->rotary[0];
    return read_layers(c, 2, r, err);
}

static gn_status read_gemma3_text(const gn__config *c, gn__recipe *r, gn_error *err)
{
    static const gn__rotary_keys rotary[] = {{"rope_theta", NULL, 1e6, 1, .scaled = true},
                                             {"rope_local_base_freq", NULL, 10000, 1, .scaled = false}};
    static const gn__tensor_names names = {NAMES, .query_norm = "self_attn.q_norm",
                                           .key_norm = "self_attn.k_norm"};
    size_t every;
    r->names = &names;
    GN__TRY(read_common(c, r, err));
    for (int kind = 0; kind < 2; kind++) GN__TRY(gn__read_rotary(c, &rotary[kind], kind, r, err));
    GN__TRY(gn__config_size(c, "sliding_window_pattern", 6, GN__MOST_LAYERS, &every, err));
    return read_layers(c, every, r, err);
}

static gn_status read_gemma3(const gn__config *c, gn__recipe *r, gn_error *err)
{
    gn__config inside = {json_object_get(c->root, "text_config"), c->path};
    if (!json_is_object(inside.root))
        return gn__fail(err, GN_FORMAT, "%s does not say \"%s\"", c->path, "text_config");
    return read_gemma3_text(&inside, r, err);
}

const gn__family gn__family_gemma2 = {"gemma2", read_gemma2};
const gn__family gn__family_gemma3 = {"gemma3", read_gemma3};
const gn__family gn__family_gemma3_text = {"gemma3_text", read_gemma3_text};
