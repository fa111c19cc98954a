/* ALBERT (Lan et al. 2020): small embeddings widened by a projection, one layer, or a few in turn, used many
 * times. */
#include "model/recipe.h"

static const char *const prefix[] = {"", "albert.", NULL};

#define NAMES                                                                                           \
    .prefix = prefix, .words = "embeddings.word_embeddings.weight",                                     \
    .positions = "embeddings.position_embeddings.weight",                                               \
    .token_types = "embeddings.token_type_embeddings.weight", .embedding_norm = "embeddings.LayerNorm", \
    .projection = "encoder.embedding_hidden_mapping_in", .layer = "encoder.albert_layer_groups.",       \
    .attention_in = {"attention.query", "attention.key", "attention.value"},                            \
    .attention_out = "attention.dense", .mlp_in = {"ffn"}, .mlp_out = "ffn_output",                     \
    .norm = {[GN__ATTENTION_POST] = "attention.LayerNorm", [GN__MLP_POST] = "full_layer_layer_norm"}

static const gn__tensor_names single = {NAMES, .inside = ".albert_layers.0."};
static const gn__tensor_names grouped = {NAMES, .inside = ".albert_layers."};

static gn_status read_config(const gn__config *c, gn__recipe *r, gn_error *err)
{
    size_t inner;
    GN__TRY(gn__read_sizes(c,
                           &(gn__size_keys){"hidden_size", "num_hidden_layers", "num_attention_heads",
                                            "intermediate_size", "vocab_size", NULL},
                           r, err));
    GN__TRY(gn__config_size(c, "max_position_embeddings", 512, GN__MOST_ROWS, &r->position_rows, err));
    GN__TRY(gn__config_size(c, "type_vocab_size", 2, GN__MOST_ROWS, &r->token_types, err));
    GN__TRY(gn__config_size(c, "embedding_size", 128, GN__MOST_DIM, &r->embedding, err));
    GN__TRY(gn__config_size(c, "num_hidden_groups", 1, GN__MOST_LAYERS, &r->stored, err));
    GN__TRY(gn__config_size(c, "inner_group_num", 1, GN__MOST_LAYERS, &inner, err));
    if (inner * r->layers > GN__MOST_LAYERS || inner * r->stored > GN__MOST_LAYERS)
        return gn__fail(err, GN_FORMAT, "%s: \"%s\" should be a whole number from 1 to %zu", c->path,
                        "inner_group_num", GN__MOST_LAYERS / r->layers);
    r->names = inner > 1 ? &grouped : &single;
    r->group = inner;
    r->layers *= inner;
    r->stored *= inner;
    r->projected = true;
    GN__TRY(gn__read_eps(c, "layer_norm_eps", 1e-12, r, err));
    r->bias_in = r->bias_out = r->bias_mlp = r->bias_projection = true;
    return gn__activation_find(c, "hidden_act", "gelu_new", &r->activation, err);
}

const gn__family gn__family_albert = {"albert", read_config};
