/* BERT (Devlin et al. 2019) and the encoders that share its form: MiniLM, BGE, E5, GTE; ELECTRA (Clark et
 * al. 2020), which may widen its embeddings by a projection; RoBERTa (Liu et al. 2019) and those made like
 * it, whose positions are counted from behind the padding token's row. */
#include "model/recipe.h"

static gn_status read_common(const gn__config *c, gn__recipe *r, gn_error *err)
{
    static const char *const refused[] = {"is_decoder", "add_cross_attention", NULL};
    const char *position = gn__config_string(c, "position_embedding_type");
    if (position != NULL && strcmp(position, "absolute") != 0)
        return gn__fail(err, GN_UNSUPPORTED, "%s: the position kind \"%s\" is not supported", c->path,
                        position);
    GN__TRY(gn__refuse(c, refused, err));
    GN__TRY(gn__read_sizes(c,
                           &(gn__size_keys){"hidden_size", "num_hidden_layers", "num_attention_heads",
                                            "intermediate_size", "vocab_size", NULL},
                           r, err));
    GN__TRY(gn__config_size(c, "max_position_embeddings", 512, GN__MOST_ROWS, &r->position_rows, err));
    GN__TRY(gn__config_size(c, "type_vocab_size", 2, GN__MOST_ROWS, &r->token_types, err));
    GN__TRY(gn__read_eps(c, "layer_norm_eps", 1e-12, r, err));
    r->bias_in = r->bias_out = r->bias_mlp = true;
    return gn__activation_find(c, "hidden_act", "gelu", &r->activation, err);
}

#define NAMES                                                                                               \
    .words = "embeddings.word_embeddings.weight", .positions = "embeddings.position_embeddings.weight",     \
    .token_types = "embeddings.token_type_embeddings.weight", .embedding_norm = "embeddings.LayerNorm",     \
    .layer = "encoder.layer.",                                                                              \
    .attention_in = {"attention.self.query", "attention.self.key", "attention.self.value"},                 \
    .attention_out = "attention.output.dense", .mlp_in = {"intermediate.dense"}, .mlp_out = "output.dense", \
    .norm = {[GN__ATTENTION_POST] = "attention.output.LayerNorm", [GN__MLP_POST] = "output.LayerNorm"}

static gn_status read_bert(const gn__config *c, gn__recipe *r, gn_error *err)
{
    static const char *const prefix[] = {"", "bert.", NULL};
    static const gn__tensor_names names = {.prefix = prefix, NAMES};
    r->names = &names;
    return read_common(c, r, err);
}

static gn_status read_electra(const gn__config *c, gn__recipe *r, gn_error *err)
{
    static const char *const prefix[] = {"", "electra.", NULL};
    static const gn__tensor_names names = {.prefix = prefix, .projection = "embeddings_project", NAMES};
    r->names = &names;
    GN__TRY(read_common(c, r, err));
    GN__TRY(gn__config_size(c, "embedding_size", 128, GN__MOST_DIM, &r->embedding, err));
    r->bias_projection = true;
    return GN_OK;
}

static gn_status read_roberta(const gn__config *c, gn__recipe *r, gn_error *err)
{
    static const char *const prefix[] = {"", "roberta.", "model.", NULL};
    static const gn__tensor_names names = {.prefix = prefix, NAMES};
    size_t pad;
    r->names = &names;
    GN__TRY(read_common(c, r, err));
    GN__TRY(gn__config_count(c, "pad_token_id", 1, GN__MOST_ROWS, &pad, err));
    r->pad_token = (int32_t)pad;
    r->position_offset = pad + 1;
    return GN_OK;
}

const gn__family gn__family_bert = {"bert", read_bert};
const gn__family gn__family_electra = {"electra", read_electra};
const gn__family gn__family_roberta = {"roberta", read_roberta};
const gn__family gn__family_xlm_roberta = {"xlm-roberta", read_roberta};
const gn__family gn__family_camembert = {"camembert", read_roberta};
