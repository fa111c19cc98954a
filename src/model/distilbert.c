/* DistilBERT (Sanh et al. 2019): half of BERT's layers, no token types. */
#include "model/recipe.h"

static const char *const prefix[] = {"", "distilbert.", NULL};

static const gn__tensor_names names = {
    .prefix = prefix,
    .words = "embeddings.word_embeddings.weight",
    .positions = "embeddings.position_embeddings.weight",
    .embedding_norm = "embeddings.LayerNorm",
    .layer = "transformer.layer.",
    .attention_in = {"attention.q_lin", "attention.k_lin", "attention.v_lin"},
    .attention_out = "attention.out_lin",
    .mlp_in = {"ffn.lin1"},
    .mlp_out = "ffn.lin2",
    .norm = {[GN__ATTENTION_POST] = "sa_layer_norm", [GN__MLP_POST] = "output_layer_norm"},
};

static gn_status read_config(const gn__config *c, gn__recipe *r, gn_error *err)
{
    r->names = &names;
    GN__TRY(gn__read_sizes(
        c, &(gn__size_keys){"dim", "n_layers", "n_heads", "hidden_dim", "vocab_size", NULL}, r, err));
    GN__TRY(gn__config_size(c, "max_position_embeddings", 512, GN__MOST_ROWS, &r->position_rows, err));
    r->eps = 1e-12f;
    r->bias_in = r->bias_out = r->bias_mlp = true;
    return gn__activation_find(c, "activation", "gelu", &r->activation, err);
}

const gn__family gn__family_distilbert = {"distilbert", read_config};
