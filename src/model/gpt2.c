/* GPT-2 (Radford et al. 2019): causal, norms first, linear weights stored inputs × outputs. */
#include "model/recipe.h"

static const char *const prefix[] = {"", "transformer.", NULL};

static const gn__tensor_names names = {
    .prefix = prefix,
    .words = "wte.weight",
    .positions = "wpe.weight",
    .final_norm = "ln_f",
    .layer = "h.",
    .attention_in = {"attn.c_attn"},
    .attention_out = "attn.c_proj",
    .mlp_in = {"mlp.c_fc"},
    .mlp_out = "mlp.c_proj",
    .norm = {[GN__ATTENTION_BEFORE] = "ln_1", [GN__MLP_BEFORE] = "ln_2"},
    .transposed = true,
};

static gn_status read_config(const gn__config *c, gn__recipe *r, gn_error *err)
{
    /* Settings that change the arithmetic and that no known checkpoint of this family turns on. */
    static const char *const refused[] = {"scale_attn_by_inverse_layer_idx", "add_cross_attention",
                                          "!scale_attn_weights", NULL};
    r->names = &names;
    GN__TRY(gn__refuse(c, refused, err));
    GN__TRY(
        gn__read_sizes(c, &(gn__size_keys){"n_embd", "n_layer", "n_head", NULL, "vocab_size", NULL}, r, err));
    GN__TRY(gn__config_size(c, "n_inner", 4 * r->dim, GN__MOST_DIM * 4, &r->inner, err));
    GN__TRY(gn__config_size(c, "n_positions", 1024, GN__MOST_ROWS, &r->position_rows, err));
    GN__TRY(gn__read_eps(c, "layer_norm_epsilon", 1e-5, r, err));
    /* The model was trained with this token between texts, so alone it is a text with nothing in it. */
    gn__read_empty_token(c, (int32_t)r->vocab - 1, r);
    r->causal = r->bias_in = r->bias_out = r->bias_mlp = true;
    return gn__activation_find(c, "activation_function", "gelu_new", &r->activation, err);
}

const gn__family gn__family_gpt2 = {"gpt2", read_config};
