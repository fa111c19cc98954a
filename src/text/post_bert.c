/* BertProcessing and RobertaProcessing: one token before the text and one after it. */
#include "text/parts.h"

static gn_status token_id(const gn__tok_source *source, const char *name, const json_t *part, const char *key,
                          int32_t *out)
{
    const json_t *pair = json_object_get(part, key), *id = json_array_get(pair, 1);
    json_int_t number = json_integer_value(id);
    if (json_array_size(pair) != 2 || !json_is_integer(id) || number < 0 || number > GN__TOK_MAX_ID)
        return gn__tok_bad_field(source, name, key, "a pair of a token and its id");
    *out = (int32_t)number;
    return GN_OK;
}

static gn_status surround(const gn__tok_source *source, const char *name, const json_t *part,
                          gn__tok_post *post)
{
    int32_t item[3] = {0, GN__TOK_TEXT, 0};
    GN__TRY(token_id(source, name, part, "cls", &item[0]));
    GN__TRY(token_id(source, name, part, "sep", &item[2]));
    return gn__tok_post_set(source, post, item, 3);
}

static gn_status parse_bert(const gn__tok_source *source, const json_t *part, gn__tok_post *post)
{
    return surround(source, "BertProcessing", part, post);
}

static gn_status parse_roberta(const gn__tok_source *source, const json_t *part, gn__tok_post *post)
{
    static const char name[] = "RobertaProcessing";
    bool trim, space;
    GN__TRY(gn__tok_bool(source, name, part, "trim_offsets", GN__TOK_REQUIRED, &trim));
    GN__TRY(gn__tok_bool(source, name, part, "add_prefix_space", GN__TOK_REQUIRED, &space));
    if (trim) GN__TRY(gn__tok_post_trim(source, post, space));
    return surround(source, name, part, post);
}

extern const gn__tok_post_type gn__tok_post_bert, gn__tok_post_roberta;
const gn__tok_post_type gn__tok_post_bert = {"BertProcessing", parse_bert};
const gn__tok_post_type gn__tok_post_roberta = {"RobertaProcessing", parse_roberta};
