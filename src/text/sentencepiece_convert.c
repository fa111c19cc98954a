/* From SentencePiece models to descriptions as in tokenizer.json, as T5Tokenizer, XLMRobertaTokenizer and
 * LlamaTokenizer of `transformers` 5 do it. */
#include "text/sentencepiece.h"

#include <stdio.h>

typedef struct convert {
    const gn__tok_source *source;
    const gn__spm *m;
    const json_t *config;
} convert;

static gn_status no_memory(const gn__tok_source *source)
{
    return gn__no_memory(source->err, sizeof(json_t *));
}

static const char *token_of(const convert *c, const char *key, const char *standard)
{
    const json_t *value = json_object_get(c->config, key);
    if (json_is_object(value)) value = json_object_get(value, "content");
    return json_is_string(value) ? json_string_value(value) : standard;
}

static bool option(const convert *c, const char *key, bool standard)
{
    const json_t *value = json_object_get(c->config, key);
    return json_is_boolean(value) ? json_is_true(value) : standard;
}

static json_t *base64(const unsigned char *data, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    gn__buf out = {0};
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i < 3 ? n - i : 3;
        uint32_t word = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                        (left > 2 ? data[i + 2] : 0);
        for (size_t k = 0; k < 4; k++) gn__buf_putc(&out, k <= left ? digit[word >> (18 - 6 * k) & 63] : '=');
    }
    json_t *text = out.failed || out.data == NULL ? NULL : json_string(out.data);
    gn__buf_free(&out);
    return text;
}

/* The normalizer: the model's own rules, or none. */
static gn_status rules(const convert *c, json_t *root)
{
    if (c->m->charsmap_size == 0) return GN_OK;
    json_t *rules = json_pack("{s:s, s:o}", "type", "Precompiled", "precompiled_charsmap",
                              base64(c->m->charsmap, c->m->charsmap_size));
    return rules == NULL || json_object_set_new(root, "normalizer", rules) != 0 ? no_memory(c->source)
                                                                                : GN_OK;
}

static bool add_scored(json_t *vocab, const char *token, size_t length, double score)
{
    json_t *pair = json_pack("[s%, f]", token, length, score);
    return pair != NULL && json_array_append_new(vocab, pair) == 0;
}

static bool add_pieces(const convert *c, json_t *vocab, size_t from)
{
    for (size_t i = from; i < c->m->pieces; i++)
        if (!add_scored(vocab, c->m->piece[i].text, c->m->piece[i].length, (double)c->m->piece[i].score))
            return false;
    return true;
}

static gn_status set_unigram(const convert *c, json_t *root, json_t *vocab, int unk, bool good)
{
    json_t *model = json_pack("{s:s, s:i, s:o}", "type", "Unigram", "unk_id", unk, "vocab", vocab);
    return !good || model == NULL || json_object_set_new(root, "model", model) != 0 ? no_memory(c->source)
                                                                                    : GN_OK;
}

/* Words at white space, each with "▁" before it. */
static gn_status set_words(const convert *c, json_t *root, const char *scheme)
{
    json_t *pre = json_pack("{s:s, s:[{s:s}, {s:s, s:s, s:s, s:b}]}", "type", "Sequence", "pretokenizers",
                            "type", "WhitespaceSplit", "type", "Metaspace", "replacement", "\xE2\x96\x81",
                            "prepend_scheme", scheme, "split", 1);
    return pre == NULL || json_object_set_new(root, "pre_tokenizer", pre) != 0 ? no_memory(c->source) : GN_OK;
}

/* The place of a token in the list [[token, score], …], from the end. */
static int place_of(const json_t *vocab, const char *token)
{
    for (size_t i = json_array_size(vocab); i-- > 0;)
        if (strcmp(json_string_value(json_array_get(json_array_get(vocab, i), 0)), token) == 0) return (int)i;
    return -1;
}

/* The post-processor `before` A `after`, by ids; -1 for none. */
static gn_status set_template(const convert *c, json_t *root, int before, int after)
{
    json_t *single = json_array(), *text = json_pack("{s:{s:s}}", "Sequence", "id", "A");
    bool good = single != NULL && text != NULL;
    if (good && before >= 0) {
        json_t *piece = json_pack("{s:{s:s}}", "SpecialToken", "id", "before");
        good = json_array_append_new(single, piece) == 0;
    }
    good = good && json_array_append(single, text) == 0;
    if (good && after >= 0) {
        json_t *piece = json_pack("{s:{s:s}}", "SpecialToken", "id", "after");
        good = json_array_append_new(single, piece) == 0;
    }
    json_decref(text);
    json_t *post = json_pack("{s:s, s:o, s:{s:{s:[i]}, s:{s:[i]}}}", "type", "TemplateProcessing", "single",
                             single, "special_tokens", "before", "ids", before, "after", "ids", after);
    if (!good || post == NULL || json_object_set_new(root, "post_processor", post) != 0)
        return no_memory(c->source);
    return GN_OK;
}

static gn_status missing(const convert *c, const char *token)
{
    return gn__fail(c->source->err, GN_FORMAT, "%s: the special token \"%s\" is not in the vocabulary",
                    c->source->file, token);
}

static bool add_token(json_t *root, const char *content, size_t length, bool special)
{
    json_t *token =
        json_pack("{s:i, s:s%, s:b, s:b, s:b, s:b, s:b}", "id", 0, "content", content, length, "single_word",
                  0, "lstrip", 0, "rstrip", 0, "normalized", 0, "special", special);
    return token != NULL && json_array_append_new(json_object_get(root, "added_tokens"), token) == 0;
}

/* A special token that the class has of itself, unless the configuration names it. */
static bool add_standard(const convert *c, json_t *root, const char *key, const char *content)
{
    return json_object_get(c->config, key) != NULL || add_token(root, content, strlen(content), true);
}

static gn_status convert_t5(const convert *c, json_t *root)
{
    const json_t *count = json_object_get(c->config, "extra_ids");
    double wanted = json_is_number(count) ? json_number_value(count) : 100;
    int extra = wanted >= 0 && wanted <= 10000 ? (int)wanted : 100;
    json_t *vocab = json_array();
    bool good = vocab != NULL && add_pieces(c, vocab, 0);
    for (int i = extra; good && i-- > 0;) {
        char token[40];
        size_t n = (size_t)snprintf(token, sizeof token, "<extra_id_%d>", i);
        good = add_scored(vocab, token, n, 0.0) && add_token(root, token, n, true);
    }
    good = good && add_standard(c, root, "pad_token", "<pad>");
    const char *eos = token_of(c, "eos_token", "</s>");
    int end = place_of(vocab, eos);
    GN__TRY(set_unigram(c, root, vocab, 2, good));
    if (end < 0) return missing(c, eos);
    GN__TRY(rules(c, root));
    GN__TRY(set_words(c, root, "always"));
    return set_template(c, root, -1, end);
}

static gn_status convert_xlm_roberta(const convert *c, json_t *root)
{
    const char *const first[] = {token_of(c, "bos_token", "<s>"), token_of(c, "pad_token", "<pad>"),
                                 token_of(c, "eos_token", "</s>"), token_of(c, "unk_token", "<unk>")};
    const char *mask = token_of(c, "mask_token", "<mask>");
    json_t *vocab = json_array();
    bool good = vocab != NULL;
    for (int i = 0; good && i < 4; i++) good = add_scored(vocab, first[i], strlen(first[i]), 0.0);
    good = good && add_pieces(c, vocab, 3) && add_scored(vocab, mask, strlen(mask), 0.0) &&
           add_standard(c, root, "pad_token", "<pad>") && add_standard(c, root, "mask_token", "<mask>");
    int begin = place_of(vocab, first[0]), end = place_of(vocab, first[2]);
    GN__TRY(set_unigram(c, root, vocab, 3, good));
    GN__TRY(rules(c, root));
    GN__TRY(set_words(c, root, option(c, "add_prefix_space", true) ? "always" : "never"));
    return set_template(c, root, begin, end);
}

/* Every way to cut a piece into two others is a merge; the piece's number ranks it, then the length of the
 * left. */
static bool add_merges(const gn__spm *m, const gn__map *ids, json_t *merges)
{
    for (size_t i = 0; i < m->pieces; i++) {
        const gn__spm_piece *p = &m->piece[i];
        if (gn__map_get(ids, p->text, p->length) != (int64_t)i) continue;
        for (size_t at = 1; at < p->length; at++) {
            if ((p->text[at] & 0xC0) == 0x80 || gn__map_get(ids, p->text, at) < 0 ||
                gn__map_get(ids, p->text + at, p->length - at) < 0)
                continue;
            json_t *merge = json_pack("[s%, s%]", p->text, at, p->text + at, p->length - at);
            if (merge == NULL || json_array_append_new(merges, merge) != 0) return false;
        }
    }
    return true;
}

static gn_status convert_llama(const convert *c, json_t *root)
{
    gn__map ids = {0};
    json_t *vocab = json_object(), *merges = json_array();
    bool good = vocab != NULL && merges != NULL;
    gn_status status = GN_OK;
    for (size_t i = 0; good && i < c->m->pieces; i++) {
        const gn__spm_piece *p = &c->m->piece[i];
        uint32_t place;
        good = gn__map_put(&ids, p->text, p->length, (uint32_t)i, &place) &&
               json_object_setn_new(vocab, p->text, p->length, json_integer((json_int_t)i)) == 0;
        if (good && place != i) {
            status = gn__fail(c->source->err, GN_FORMAT, "%s: the piece \"%.*s\" is there twice",
                              c->source->file, (int)(p->length < 200 ? p->length : 200), p->text);
            break;
        }
    }
    good = good && status == GN_OK && add_merges(c->m, &ids, merges);
    const char *bos = token_of(c, "bos_token", "<s>"), *eos = token_of(c, "eos_token", "</s>");
    bool add_bos = option(c, "add_bos_token", false), add_eos = option(c, "add_eos_token", false);
    int begin = add_bos ? (int)gn__map_get(&ids, bos, strlen(bos)) : -1;
    int end = add_eos ? (int)gn__map_get(&ids, eos, strlen(eos)) : -1;
    gn__map_free(&ids);
    json_t *model = json_pack("{s:s, s:b, s:b, s:o, s:o}", "type", "BPE", "fuse_unk", 1, "byte_fallback", 1,
                              "vocab", vocab, "merges", merges);
    const char *scheme = !option(c, "add_prefix_space", true) ? "never"
                         : option(c, "legacy", false)         ? "always"
                                                              : "first";
    json_t *pre = json_pack("{s:s, s:s, s:s, s:b}", "type", "Metaspace", "replacement", "\xE2\x96\x81",
                            "prepend_scheme", scheme, "split", 0);
    bool set = json_object_set_new(root, "model", model) == 0;
    set = json_object_set_new(root, "pre_tokenizer", pre) == 0 && set;
    if (status != GN_OK) return status;
    if (!good || !set) return no_memory(c->source);
    if (add_bos && begin < 0) return missing(c, bos);
    if (add_eos && end < 0) return missing(c, eos);
    return set_template(c, root, begin, end);
}

static gn_status add_tokens(const convert *c, json_t *root)
{
    json_t *added = json_array();
    bool good = added != NULL && json_object_set_new(root, "added_tokens", added) == 0;
    for (size_t i = 0; good && i < c->m->pieces; i++) {
        const gn__spm_piece *p = &c->m->piece[i];
        if ((p->type == GN__SPM_CONTROL || p->type == GN__SPM_USER_DEFINED) && p->length > 0)
            good = add_token(root, p->text, p->length, p->type == GN__SPM_CONTROL);
    }
    return good ? GN_OK : no_memory(c->source);
}

gn_status gn__spm_convert(const gn__tok_source *source, const gn__spm *m, const char *kind,
                          const json_t *config, json_t **out)
{
    static const struct {
        const char *name;
        uint64_t type;
        gn_status (*convert)(const convert *c, json_t *root);
    } known[] = {{"T5Tokenizer", GN__SPM_UNIGRAM, convert_t5},
                 {"XLMRobertaTokenizer", GN__SPM_UNIGRAM, convert_xlm_roberta},
                 {"LlamaTokenizer", GN__SPM_BPE, convert_llama}};
    const convert c = {source, m, config};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t n = strlen(known[i].name);
        if (strncmp(known[i].name, kind, n) != 0 || (kind[n] != '\0' && strcmp(kind + n, "Fast") != 0))
            continue;
        if (m->model_type != known[i].type)
            return gn__fail(
                source->err, GN_UNSUPPORTED,
                "%s: this type of SentencePiece model with the tokenizer class \"%s\" is not supported",
                source->file, kind);
        json_t *root = json_object();
        gn_status status = root == NULL ? no_memory(source) : add_tokens(&c, root);
        if (status == GN_OK) status = known[i].convert(&c, root);
        if (status == GN_OK)
            *out = root;
        else
            json_decref(root);
        return status;
    }
    return gn__fail(source->err, GN_UNSUPPORTED,
                    "%s: the tokenizer class \"%s\" without a tokenizer.json is not supported", source->file,
                    kind);
}
