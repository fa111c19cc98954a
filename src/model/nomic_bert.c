/* NomicBERT (Nussbaum et al. 2024): BERT with rotary positions, a gated MLP and no biases. config.json has
 * its authors' keys ("n_embd") or those of transformers 5; tensors have the authors' names in both. */
#include "model/recipe.h"

static const char *const prefix[] = {"", "nomic_bert.", "bert.", "model.", NULL};

static const gn__module_names modules = {
    .layer = "layers.",
    .attention_in = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
    .attention_out = "self_attn.o_proj",
    .mlp_in = {"mlp.gate_proj", "mlp.up_proj"},
    .mlp_out = "mlp.down_proj",
};

static const gn__tensor_names names = {
    .prefix = prefix,
    .words = "embeddings.word_embeddings.weight",
    .token_types = "embeddings.token_type_embeddings.weight",
    .embedding_norm = "emb_ln",
    .layer = "encoder.layers.",
    .attention_in = {"attn.Wqkv"},
    .attention_out = "attn.out_proj",
    .mlp_in = {"mlp.fc12", "mlp.fc11"},
    .mlp_out = "mlp.fc2",
    .norm = {[GN__ATTENTION_POST] = "norm1", [GN__MLP_POST] = "norm2"},
    .modules = &modules,
};

static gn_status read_authors(const gn__config *c, gn__recipe *r, gn_error *err)
{
    static const gn__size_keys keys = {"n_embd", "n_layer", "n_head", "n_inner", "vocab_size", "n_positions"};
    static const char *const refused[] = {
        "prenorm",      "parallel_block",         "qkv_proj_bias", "mlp_fc1_bias",
        "mlp_fc2_bias", "rotary_emb_interleaved", "use_rms_norm",  NULL};
    static const gn__rotary_keys rotary = {"rotary_emb_base", "rotary_emb_fraction", 1000, 1,
                                           .scaled = false};
    const char *activation = gn__config_string(c, "activation_function");
    GN__TRY(gn__refuse(c, refused, err));
    GN__TRY(gn__read_sizes(c, &keys, r, err));
    GN__TRY(gn__read_eps(c, "layer_norm_epsilon", 1e-12, r, err));
    if (activation == NULL || strcmp(activation, "swiglu") != 0)
        return gn__fail(err, GN_UNSUPPORTED, "%s: the activation \"%s\" (\"%s\") is not supported", c->path,
                        activation ? activation : "?", "activation_function");
    r->activation = GN__SILU;
    return gn__read_rotary(c, &rotary, 0, r, err);
}

static gn_status read_usual(const gn__config *c, gn__recipe *r, gn_error *err)
{
    static const gn__rotary_keys rotary = {"rope_theta", NULL, 1000, 1, .scaled = true};
    GN__TRY(gn__read_sizes(c, &gn__usual_keys, r, err));
    GN__TRY(gn__read_grouped_heads(c, r, err));
    r->kv_heads = r->heads;
    GN__TRY(gn__read_eps(c, "layer_norm_eps", 1e-12, r, err));
    GN__TRY(gn__activation_find(c, "hidden_act", "silu", &r->activation, err));
    return gn__read_rotary(c, &rotary, 0, r, err);
}

static gn_status read_config(const gn__config *c, gn__recipe *r, gn_error *err)
{
    GN__TRY(gn__config_size(c, "type_vocab_size", 2, GN__MOST_ROWS, &r->token_types, err));
    r->names = &names;
    r->gated = true;
    return json_object_get(c->root, "n_embd") != NULL ? read_authors(c, r, err) : read_usual(c, r, err);
}

const gn__family gn__family_nomic_bert = {"nomic_bert", read_config};
