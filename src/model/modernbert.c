/* ModernBERT (Warner et al. 2024): norms first, rotary positions with a shorter wave in layers that see only
 * their neighbourhood, gated MLP. */
#include "model/recipe.h"

static const char *const prefix[] = {"", "model.", NULL};

static const gn__tensor_names names = {
    .prefix = prefix,
    .words = "embeddings.tok_embeddings.weight",
    .embedding_norm = "embeddings.norm",
    .final_norm = "final_norm",
    .layer = "layers.",
    .attention_in = {"attn.Wqkv"},
    .attention_out = "attn.Wo",
    .mlp_in = {"mlp.Wi"},
    .mlp_out = "mlp.Wo",
    .norm = {[GN__ATTENTION_BEFORE] = "attn_norm", [GN__MLP_BEFORE] = "mlp_norm"},
};

static gn_status read_config(const gn__config *c, gn__recipe *r, gn_error *err)
{
    static const gn__rotary_keys rotary[] = {{"global_rope_theta", NULL, 160000, 1, .scaled = true},
                                             {"local_rope_theta", NULL, 10000, 1, .scaled = true}};
    bool said, bias;
    size_t window, every;
    r->names = &names;
    GN__TRY(gn__read_sizes(c, &gn__usual_keys, r, err));
    GN__TRY(gn__read_layer_types(c, r, &said, err));
    GN__TRY(gn__config_size(c, "global_attn_every_n_layers", 3, GN__MOST_LAYERS, &every, err));
    for (size_t i = 0; i < r->layers && !said; i++) r->local[i] = i % every != 0;
    GN__TRY(gn__config_size(c, "local_attention", 128, GN__MOST_ROWS, &window, err));
    r->before = r->after = window / 2;
    if (r->before == 0) return gn__refused(c, "local_attention", err);
    for (int kind = 0; kind < 2; kind++) GN__TRY(gn__read_rotary(c, &rotary[kind], kind, r, err));
    GN__TRY(gn__read_eps(c, "norm_eps", 1e-5, r, err));
    GN__TRY(gn__config_bool(c, "norm_bias", false, &r->norm_bias, err));
    GN__TRY(gn__config_bool(c, "attention_bias", false, &bias, err));
    r->bias_in = r->bias_out = bias;
    GN__TRY(gn__config_bool(c, "mlp_bias", false, &r->bias_mlp, err));
    r->bare_first = r->gated = true;
    return gn__activation_find(c, "hidden_activation", "gelu", &r->activation, err);
}

const gn__family gn__family_modernbert = {"modernbert", read_config};
