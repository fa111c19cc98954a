/* TemplateProcessing: special tokens around the text, by the template for a single sequence. */
#include "text/parts.h"

static const char name[] = "TemplateProcessing";

enum { MAX_ITEMS = 1024 };

static gn_status add_special(const gn__tok_source *source, const json_t *part, const json_t *piece,
                             int32_t *item, size_t *n)
{
    const char *id = NULL;
    const json_t *ids = NULL;
    GN__TRY(gn__tok_string(source, name, piece, "id", GN__TOK_REQUIRED, &id));
    const json_t *token = json_object_get(json_object_get(part, "special_tokens"), id);
    if (token == NULL)
        return gn__fail(source->err, GN_FORMAT,
                        "%s: %s: the special token \"%s\" of the template is not described", source->file,
                        name, id);
    GN__TRY(gn__tok_array(source, name, token, "ids", &ids));
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *value = json_array_get(ids, i);
        json_int_t number = json_integer_value(value);
        if (!json_is_integer(value) || number < 0 || number > GN__TOK_MAX_ID || *n == MAX_ITEMS)
            return gn__tok_bad_field(source, name, "ids", "a short list of token ids");
        item[(*n)++] = (int32_t)number;
    }
    return GN_OK;
}

static gn_status parse(const gn__tok_source *source, const json_t *part, gn__tok_post *post)
{
    const json_t *single = NULL;
    int32_t item[MAX_ITEMS];
    size_t n = 0;
    GN__TRY(gn__tok_array(source, name, part, "single", &single));
    for (size_t i = 0; i < json_array_size(single); i++) {
        const json_t *piece = json_array_get(single, i), *special = json_object_get(piece, "SpecialToken");
        if (special != NULL) {
            GN__TRY(add_special(source, part, special, item, &n));
            continue;
        }
        const char *id = NULL;
        GN__TRY(
            gn__tok_string(source, name, json_object_get(piece, "Sequence"), "id", GN__TOK_REQUIRED, &id));
        if (strcmp(id, "A") != 0 || n == MAX_ITEMS)
            return gn__tok_bad_field(source, name, "single",
                                     "a short list of special tokens and the sequence A");
        item[n++] = GN__TOK_TEXT;
    }
    return gn__tok_post_set(source, post, item, n);
}

extern const gn__tok_post_type gn__tok_post_template;
const gn__tok_post_type gn__tok_post_template = {name, parse};
