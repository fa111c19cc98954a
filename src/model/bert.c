/* BERT (Devlin et al. 2019) and the encoders that share its form: MiniLM, BGE, E5, GTE. */
#include "model/recipe.h"

static gn_status read_config(const gn__config *c, gn__recipe *r, gn_error *err)
{
    const char *position = gn__config_string(c, "position_embedding_type");
    bool decoder;
    double eps;
    if (position != NULL && strcmp(position, "absolute") != 0)
        return gn__fail(err, GN_UNSUPPORTED, "%s: the position kind \"%s\" is not supported", c->path,
                        position);
    GN__TRY(gn__config_bool(c, "is_decoder", false, &decoder, err));
    if (decoder)
        return gn__fail(err, GN_UNSUPPORTED, "%s: \"%s\" is not supported for this architecture", c->path,
                        "is_decoder");
    GN__TRY(gn__config_size(c, "hidden_size", 0, GN__MOST_DIM, &r->dim, err));
    GN__TRY(gn__config_size(c, "num_hidden_layers", 0, GN__MOST_LAYERS, &r->layers, err));
    GN__TRY(gn__config_size(c, "num_attention_heads", 0, GN__MOST_DIM, &r->heads, err));
    GN__TRY(gn__config_size(c, "intermediate_size", 0, GN__MOST_DIM * 4, &r->inner, err));
    GN__TRY(gn__config_size(c, "vocab_size", 0, GN__MOST_ROWS, &r->vocab, err));
    GN__TRY(gn__config_size(c, "max_position_embeddings", 512, GN__MOST_ROWS, &r->positions, err));
    GN__TRY(gn__config_size(c, "type_vocab_size", 2, GN__MOST_ROWS, &r->token_types, err));
    GN__TRY(gn__config_number(c, "layer_norm_eps", 1e-12, &eps, err));
    r->eps = (float)eps;
    r->empty_token = -1; /* [CLS] and [SEP] are always there */
    r->pooling = GN_POOLING_MEAN;
    return gn__activation_find(c, "hidden_act", "gelu", &r->activation, err);
}

static const char *const prefix[] = {"", "bert.", NULL};

static const gn__tensor_names names = {
    .prefix = prefix,
    .words = "embeddings.word_embeddings.weight",
    .positions = "embeddings.position_embeddings.weight",
    .token_types = "embeddings.token_type_embeddings.weight",
    .embedding_norm = "embeddings.LayerNorm",
    .layer = "encoder.layer.",
    .attention_in = {"attention.self.query", "attention.self.key", "attention.self.value"},
    .attention_out = "attention.output.dense",
    .mlp_in = "intermediate.dense",
    .mlp_out = "output.dense",
    .attention_norm = "attention.output.LayerNorm",
    .mlp_norm = "output.LayerNorm",
};

const gn__family gn__family_bert = {"bert", &names, read_config};
