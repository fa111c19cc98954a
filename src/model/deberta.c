/* DeBERTa (He et al. 2021) and its versions 2 and 3: attention gains what content says about positions and
 * positions about content. The large models of version 2 add a convolution of neighbours to layer 0. */
#include "model/recipe.h"

#define NAMES                                                                                               \
    .words = "embeddings.word_embeddings.weight", .embedding_norm = "embeddings.LayerNorm",                 \
    .projection = "embeddings.embed_proj", .conv = "encoder.conv.conv",                                     \
    .conv_norm = "encoder.conv.LayerNorm", .positions = "embeddings.position_embeddings.weight",            \
    .token_types = "embeddings.token_type_embeddings.weight", .relative = "encoder.rel_embeddings.weight",  \
    .relative_norm = "encoder.LayerNorm", .layer = "encoder.layer.",                                        \
    .attention_out = "attention.output.dense", .mlp_in = {"intermediate.dense"}, .mlp_out = "output.dense", \
    .norm = {[GN__ATTENTION_POST] = "attention.output.LayerNorm", [GN__MLP_POST] = "output.LayerNorm"}

static const char *const prefix[] = {"", "deberta.", NULL};

/* pos_att_type: "c2p|p2c" or a list of the two. */
static bool has_type(const gn__config *c, const char *type)
{
    const json_t *types = json_object_get(c->root, "pos_att_type"), *one;
    size_t i;
    if (json_is_string(types)) return strstr(json_string_value(types), type) != NULL;
    json_array_foreach(types, i, one)
    {
        if (json_is_string(one) && strcmp(json_string_value(one), type) == 0) return true;
    }
    return false;
}

static gn_status read_common(const gn__config *c, gn__recipe *r, bool logarithmic, gn_error *err)
{
    bool relative, positions;
    size_t most;
    if (has_type(c, "p2p")) return gn__refused(c, "pos_att_type: p2p", err);
    GN__TRY(gn__read_sizes(c, &gn__usual_keys, r, err));
    GN__TRY(gn__config_bool(c, "position_biased_input", true, &positions, err));
    if (positions) r->position_rows = r->positions;
    GN__TRY(gn__config_count(c, "type_vocab_size", 0, GN__MOST_ROWS, &r->token_types, err));
    GN__TRY(gn__config_size(c, "embedding_size", r->dim, GN__MOST_DIM, &r->embedding, err));
    r->norm_projected = true;
    GN__TRY(gn__read_eps(c, "layer_norm_eps", 1e-7, r, err));
    GN__TRY(gn__config_bool(c, "relative_attention", false, &relative, err));
    const json_t *said = json_object_get(c->root, "max_relative_positions");
    most = json_is_integer(said) && json_integer_value(said) > 0 ? (size_t)json_integer_value(said)
                                                                 : r->positions;
    const json_t *buckets = json_object_get(c->root, "position_buckets");
    if (relative) {
        r->span = most;
        if (logarithmic && json_is_integer(buckets) && json_integer_value(buckets) > 0) {
            r->span = r->span_buckets = (size_t)json_integer_value(buckets);
            r->span_farthest = most;
        }
        r->content_to_position = has_type(c, "c2p");
        r->position_to_content = has_type(c, "p2c");
        if (!r->content_to_position && !r->position_to_content) r->span = 0;
    }
    if (r->span > GN__POSITION_ROWS / 2 || most > GN__MOST_TOKENS)
        return gn__fail(err, GN_FORMAT, "%s: \"%s\" should be a whole number from 1 to %zu", c->path,
                        "max_relative_positions", (size_t)GN__POSITION_ROWS / 2);
    double parts = 1 + (has_type(c, "c2p") ? 1 : 0) + (has_type(c, "p2c") ? 1 : 0);
    double head_dim = (double)(r->dim / r->heads);
    r->attention_scale = (float)(1 / __builtin_sqrt(head_dim * parts));
    r->bias_out = r->bias_mlp = true;
    return gn__activation_find(c, "hidden_act", "gelu", &r->activation, err);
}

static gn_status read_first(const gn__config *c, gn__recipe *r, gn_error *err)
{
    static const char *const refused[] = {"talking_head", NULL};
    static const gn__tensor_names names = {.prefix = prefix,
                                           NAMES,
                                           .attention_in = {"attention.self.in_proj"},
                                           .query_bias = "attention.self.q_bias",
                                           .value_bias = "attention.self.v_bias",
                                           .position_key = "attention.self.pos_proj",
                                           .position_query = "attention.self.pos_q_proj"};
    r->names = &names;
    GN__TRY(gn__refuse(c, refused, err));
    GN__TRY(read_common(c, r, false, err));
    r->interleaved = true;
    r->position_bias[1] = true;
    return GN_OK;
}

/* Of the large models of version 2. The even widths that transformers would fail with are refused. */
static gn_status read_convolution(const gn__config *c, gn__recipe *r, gn_error *err)
{
    enum { WIDEST = 31 };
    GN__TRY(gn__config_count(c, "conv_kernel_size", 0, WIDEST, &r->conv, err));
    if (r->conv == 0) return GN_OK;
    if (r->conv % 2 == 0) return gn__refused(c, "conv_kernel_size", err);
    GN__TRY(gn__config_size(c, "conv_groups", 1, GN__MOST_DIM, &r->conv_groups, err));
    if (r->dim % r->conv_groups != 0)
        return gn__fail(err, GN_FORMAT, "%s: the width %zu cannot be divided into %zu groups", c->path,
                        r->dim, r->conv_groups);
    return gn__activation_find(c, "conv_act", "tanh", &r->conv_activation, err);
}

static gn_status read_second(const gn__config *c, gn__recipe *r, gn_error *err)
{
    static const gn__tensor_names shared = {.prefix = prefix,
                                            NAMES,
                                            .attention_in = {"attention.self.query_proj",
                                                             "attention.self.key_proj",
                                                             "attention.self.value_proj"}};
    static const gn__tensor_names own = {
        .prefix = prefix,
        NAMES,
        .attention_in = {"attention.self.query_proj", "attention.self.key_proj", "attention.self.value_proj"},
        .position_key = "attention.self.pos_key_proj",
        .position_query = "attention.self.pos_query_proj"};
    size_t head_width;
    bool share;
    GN__TRY(gn__config_bool(c, "share_att_key", false, &share, err));
    r->names = share ? &shared : &own;
    GN__TRY(read_common(c, r, true, err));
    GN__TRY(read_convolution(c, r, err));
    GN__TRY(gn__config_size(c, "attention_head_size", r->dim / r->heads ? r->dim / r->heads : 1, GN__MOST_DIM,
                            &head_width, err));
    if (head_width != r->dim / r->heads) return gn__refused(c, "attention_head_size", err);
    const char *norm = gn__config_string(c, "norm_rel_ebd");
    r->relative_norm = norm != NULL && strcasestr(norm, "layer_norm") != NULL;
    r->bias_in = r->position_bias[0] = r->position_bias[1] = true;
    return GN_OK;
}

const gn__family gn__family_deberta = {"deberta", read_first};
const gn__family gn__family_deberta_v2 = {"deberta-v2", read_second};
