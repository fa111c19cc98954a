/* MPNet (Song et al. 2020): BERT with a learned bias a head and bucket of distances, the same in all layers,
 * and positions counted as RoBERTa's. */
#include "model/recipe.h"

static const char *const prefix[] = {"", "mpnet.", NULL};

static const gn__tensor_names names = {
    .prefix = prefix,
    .words = "embeddings.word_embeddings.weight",
    .positions = "embeddings.position_embeddings.weight",
    .embedding_norm = "embeddings.LayerNorm",
    .buckets = "encoder.relative_attention_bias.weight",
    .layer = "encoder.layer.",
    .attention_in = {"attention.attn.q", "attention.attn.k", "attention.attn.v"},
    .attention_out = "attention.attn.o",
    .mlp_in = {"intermediate.dense"},
    .mlp_out = "output.dense",
    .norm = {[GN__ATTENTION_POST] = "attention.LayerNorm", [GN__MLP_POST] = "output.LayerNorm"},
};

static gn_status read_config(const gn__config *c, gn__recipe *r, gn_error *err)
{
    r->names = &names;
    GN__TRY(gn__read_sizes(c,
                           &(gn__size_keys){"hidden_size", "num_hidden_layers", "num_attention_heads",
                                            "intermediate_size", "vocab_size", NULL},
                           r, err));
    GN__TRY(gn__config_size(c, "max_position_embeddings", 512, GN__MOST_ROWS, &r->position_rows, err));
    GN__TRY(gn__config_size(c, "relative_attention_num_buckets", 32, GN__MOST_DIM, &r->buckets, err));
    GN__TRY(gn__read_eps(c, "layer_norm_eps", 1e-12, r, err));
    if (r->buckets != 32)
        return gn__refused(c, "relative_attention_num_buckets", err); /* in effect a constant */
    r->bias = GN__BIAS_BUCKETS;
    r->farthest = 128; /* transformers has no setting for it */
    r->pad_token = 1;  /* nor for this, whatever pad_token_id says */
    r->position_offset = 2;
    r->bias_in = r->bias_out = r->bias_mlp = true;
    return gn__activation_find(c, "hidden_act", "gelu", &r->activation, err);
}

const gn__family gn__family_mpnet = {"mpnet", read_config};
