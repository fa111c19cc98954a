/* BLOOM (Scao et al. 2022): no position embeddings but a slope a head (ALiBi), a norm behind the embeddings.
 */
#include "model/recipe.h"

static const char *const prefix[] = {"", "transformer.", NULL};

static const gn__tensor_names names = {
    .prefix = prefix,
    .words = "word_embeddings.weight",
    .embedding_norm = "word_embeddings_layernorm",
    .final_norm = "ln_f",
    .layer = "h.",
    .attention_in = {"self_attention.query_key_value"},
    .attention_out = "self_attention.dense",
    .mlp_in = {"mlp.dense_h_to_4h"},
    .mlp_out = "mlp.dense_4h_to_h",
    .norm = {[GN__ATTENTION_BEFORE] = "input_layernorm", [GN__MLP_BEFORE] = "post_attention_layernorm"},
};

static gn_status read_config(const gn__config *c, gn__recipe *r, gn_error *err)
{
    static const char *const refused[] = {"apply_residual_connection_post_layernorm", NULL};
    const char *dim = json_object_get(c->root, "hidden_size") ? "hidden_size" : "n_embed";
    const char *heads = json_object_get(c->root, "n_head") ? "n_head" : "num_attention_heads";
    r->names = &names;
    GN__TRY(gn__refuse(c, refused, err));
    GN__TRY(gn__read_sizes(c, &(gn__size_keys){dim, "n_layer", heads, NULL, "vocab_size", NULL}, r, err));
    GN__TRY(gn__config_size(c, "seq_length", 2048, GN__MOST_TOKENS, &r->usual, err));
    GN__TRY(gn__read_eps(c, "layer_norm_epsilon", 1e-5, r, err));
    r->inner = 4 * r->dim;
    r->bias = GN__BIAS_ALIBI;
    r->activation = GN__GELU_TANH;
    r->causal = r->interleaved = r->bias_in = r->bias_out = r->bias_mlp = true;
    gn__read_empty_token(c, 1, r);
    return GN_OK;
}

const gn__family gn__family_bloom = {"bloom", read_config};
