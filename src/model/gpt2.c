/* GPT-2 (Radford et al. 2019): causal, norms first, linear weights stored inputs × outputs. */
#include "model/recipe.h"

/* Settings that change the arithmetic and that no known checkpoint of this family turns on. */
static const char *const refused[] = {"scale_attn_by_inverse_layer_idx", "add_cross_attention"};

static gn_status read_config(const gn__config *c, gn__recipe *r, gn_error *err)
{
    double eps;
    bool on;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        GN__TRY(gn__config_bool(c, refused[i], false, &on, err));
        if (on)
            return gn__fail(err, GN_UNSUPPORTED, "%s: \"%s\" is not supported for this architecture", c->path,
                            refused[i]);
    }
    GN__TRY(gn__config_bool(c, "scale_attn_weights", true, &on, err));
    if (!on)
        return gn__fail(err, GN_UNSUPPORTED, "%s: \"%s\" is not supported for this architecture", c->path,
                        "scale_attn_weights: false");
    GN__TRY(gn__config_size(c, "n_embd", 0, GN__MOST_DIM, &r->dim, err));
    GN__TRY(gn__config_size(c, "n_layer", 0, GN__MOST_LAYERS, &r->layers, err));
    GN__TRY(gn__config_size(c, "n_head", 0, GN__MOST_DIM, &r->heads, err));
    GN__TRY(gn__config_size(c, "n_inner", 4 * r->dim, GN__MOST_DIM * 4, &r->inner, err));
    GN__TRY(gn__config_size(c, "vocab_size", 0, GN__MOST_ROWS, &r->vocab, err));
    GN__TRY(gn__config_size(c, "n_positions", 1024, GN__MOST_ROWS, &r->positions, err));
    GN__TRY(gn__config_number(c, "layer_norm_epsilon", 1e-5, &eps, err));
    /* The model was trained with this token between texts, so alone it is a text with nothing in it. */
    const json_t *bos = json_object_get(c->root, "bos_token_id");
    bool valid =
        json_is_integer(bos) && json_integer_value(bos) >= 0 && (uint64_t)json_integer_value(bos) < r->vocab;
    r->empty_token = valid ? (int32_t)json_integer_value(bos) : (int32_t)r->vocab - 1;
    r->eps = (float)eps;
    r->causal = r->norm_first = true;
    r->pooling = GN_POOLING_LAST;
    return gn__activation_find(c, "activation_function", "gelu_new", &r->activation, err);
}

static const char *const prefix[] = {"", "transformer.", NULL};

static const gn__tensor_names names = {
    .prefix = prefix,
    .words = "wte.weight",
    .positions = "wpe.weight",
    .final_norm = "ln_f",
    .layer = "h.",
    .attention_in = {"attn.c_attn"},
    .attention_out = "attn.c_proj",
    .mlp_in = "mlp.c_fc",
    .mlp_out = "mlp.c_proj",
    .attention_norm = "ln_1",
    .mlp_norm = "ln_2",
    .transposed = true,
};

const gn__family gn__family_gpt2 = {"gpt2", &names, read_config};
