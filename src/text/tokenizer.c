#include "text/tokenizer.h"

extern const gn__tok_step_type gn__tok_normalizer_nfc;

void gn_tokenizer_free(gn_tokenizer *t)
{
    if (t == NULL) return;
    gn__tok_steps_free(&t->normalizers);
    gn__tok_steps_free(&t->pre_tokenizers);
    gn__fast_free(t->fast);
    gn__tok_added_free(&t->added);
    gn__tok_post_free(&t->post);
    gn__tok_model_free(&t->model);
    free(t);
}

size_t gn_tokenizer_vocab_size(const gn_tokenizer *t)
{
    size_t added = (size_t)(t->added.largest + 1);
    return added > t->vocab->size ? added : t->vocab->size;
}

const char *gn_tokenizer_kind(const gn_tokenizer *t)
{
    return t->model.type->name;
}

const char *gn_tokenizer_token(const gn_tokenizer *t, int32_t id)
{
    const gn__tok_added_token *added = gn__tok_added_find(&t->added, id);
    if (added != NULL) return added->content;
    const gn__tok_entry *entry = gn__tok_vocab_entry(t->vocab, id);
    return entry == NULL ? NULL : entry->token;
}

/* "truncation": {"direction": "Left" or "Right", …}; its other fields do not matter here. */
static gn_status parse_truncation(const gn__tok_source *source, const json_t *part, bool *left)
{
    const char *direction = "Right";
    if (part == NULL || json_is_null(part)) return GN_OK;
    if (!json_is_object(part)) return gn__tok_not_an_object(source, "truncation");
    if (json_object_get(part, "direction") != NULL)
        GN__TRY(gn__tok_string(source, "truncation", part, "direction", GN__TOK_REQUIRED, &direction));
    *left = strcmp(direction, "Left") == 0;
    if (!*left && strcmp(direction, "Right") != 0)
        return gn__tok_bad_field(source, "truncation", "direction", "Left or Right");
    return GN_OK;
}

static gn_status fill(const gn__tok_source *source, const json_t *root, gn_tokenizer *t)
{
    if (!json_is_object(root)) return gn__tok_not_an_object(source, "tokenizer");
    const char *version = "1.0";
    if (json_object_get(root, "version") != NULL)
        GN__TRY(gn__tok_string(source, "tokenizer", root, "version", GN__TOK_REQUIRED, &version));
    if (strcmp(version, "1.0") != 0)
        return gn__fail(source->err, GN_UNSUPPORTED, "%s: version \"%s\" of the format is not supported",
                        source->file, version);
    GN__TRY(parse_truncation(source, json_object_get(root, "truncation"), &t->truncate_left));
    GN__TRY(gn__tok_normalizers_parse(source, json_object_get(root, "normalizer"), &t->normalizers));
    GN__TRY(gn__tok_pre_tokenizers_parse(source, json_object_get(root, "pre_tokenizer"), &t->pre_tokenizers));
    GN__TRY(gn__tok_model_parse(source, json_object_get(root, "model"), &t->model));
    t->vocab = t->model.type->vocab(t->model.state);
    bool byte_level =
        t->pre_tokenizers.count > 0 && t->pre_tokenizers.at[t->pre_tokenizers.count - 1].type->byte_level;
    if (t->model.type->check != NULL) GN__TRY(t->model.type->check(t->model.state, source, byte_level));
    GN__TRY(gn__tok_post_parse(source, json_object_get(root, "post_processor"), &t->post));
    GN__TRY(gn__tok_added_parse(source, json_object_get(root, "added_tokens"), t->vocab, &t->normalizers,
                                &t->added));
    for (size_t i = 0; i < t->added.raw.count; i++) {
        char bytes[4];
        gn__utf8_encode(t->added.raw.pattern[i].code[0], bytes);
        t->may_begin_added[(unsigned char)bytes[0]] = true;
    }
    t->fast_nfc = t->normalizers.count == 1 && t->normalizers.at[0].type == &gn__tok_normalizer_nfc;
    if (t->normalizers.count > t->fast_nfc || t->added.normalized.count > 0) return GN_OK;
    return gn__fast_make(source, &t->pre_tokenizers, &t->model, &t->fast);
}

gn_status gn__tokenizer_build(const gn__tok_source *source, const json_t *root, gn_tokenizer **out)
{
    gn_tokenizer *t = gn__calloc(1, sizeof *t);
    if (t == NULL) return gn__no_memory(source->err, sizeof *t);
    t->added.largest = -1;
    gn_status status = fill(source, root, t);
    if (status == GN_OK)
        *out = t;
    else
        gn_tokenizer_free(t);
    return status;
}

gn_status gn__tokenizer_parse(const gn__tok_source *source, const char *json, size_t length,
                              gn_tokenizer **out)
{
    json_error_t error;
    json_t *root = json_loadb(json, length, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        return gn__fail_at(source->err, GN_FORMAT, error.line, "%s is not valid JSON: line %d, column %d: %s",
                           source->file, error.line, error.column, error.text);
    gn_status status = gn__tokenizer_build(source, root, out);
    json_decref(root);
    return status;
}
