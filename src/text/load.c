/* A tokenizer from a model's folder. The files older than tokenizer.json are turned into the tokenizer.json
 * that `transformers` (5.x: BertTokenizer, GPT2Tokenizer) makes of them. */
#include "text/sentencepiece.h"
#include "text/tokenizer.h"

#include <stdio.h>

enum { MAX_FILE = 1 << 28 };

typedef struct folder {
    const gn__tok_source *source; /* of the file at hand */
    json_t *config;               /* tokenizer_config.json; NULL where there is none */
    json_t *added;                /* the list "added_tokens" in the making */
} folder;

static gn_status json_no_memory(const gn__tok_source *source)
{
    return gn__no_memory(source->err, sizeof(json_t *));
}

static gn_status read_json(const gn__tok_source *source, size_t flags, json_t **out)
{
    char *text;
    size_t length;
    json_error_t error;
    GN__TRY(gn__read_file(source->file, MAX_FILE, &text, &length, source->err));
    *out = json_loadb(text, length, flags, &error);
    free(text);
    if (*out == NULL)
        return gn__fail_at(source->err, GN_FORMAT, error.line, "%s is not valid JSON: line %d, column %d: %s",
                           source->file, error.line, error.column, error.text);
    if (!json_is_object(*out)) {
        json_decref(*out);
        return gn__tok_not_an_object(source, "file");
    }
    return GN_OK;
}

/* The class of tokenizer the configuration names must be one whose reading of these files we know. */
static gn_status check_class(const folder *f, const char *const *known, size_t count)
{
    const char *name = json_string_value(json_object_get(f->config, "tokenizer_class"));
    if (name == NULL) return GN_OK;
    for (size_t i = 0; i < count; i++)
        if (strcmp(known[i], name) == 0) return GN_OK;
    return gn__fail(f->source->err, GN_UNSUPPORTED,
                    "%s: the tokenizer class \"%s\" without a tokenizer.json is not supported",
                    f->source->file, name);
}

/* The content of a special token, which the configuration gives as a string or an object. */
static const char *content_of(const json_t *value, const char *standard)
{
    if (json_is_object(value)) value = json_object_get(value, "content");
    return json_is_string(value) ? json_string_value(value) : standard;
}

static const char *special_content(const folder *f, const char *key, const char *standard)
{
    return content_of(json_object_get(f->config, key), standard);
}

static gn_status add_special(folder *f, const json_t *value, const char *standard)
{
    static const char *const flags[] = {"single_word", "lstrip", "rstrip", "normalized"};
    const char *content = content_of(value, standard);
    if (content == NULL) return GN_OK;
    json_t *token = json_pack("{s:i, s:s, s:b}", "id", 0, "content", content, "special", 1);
    if (token == NULL || json_array_append_new(f->added, token) != 0) return json_no_memory(f->source);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (json_object_set_new(token, flags[i],
                                json_boolean(json_is_true(json_object_get(value, flags[i])))) != 0)
            return json_no_memory(f->source);
    return GN_OK;
}

static int by_id(const void *a, const void *b)
{
    json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "id"));
    json_int_t y = json_integer_value(json_object_get(*(json_t *const *)b, "id"));
    return x < y ? -1 : x > y;
}

/* Tokens the configuration lists under "added_tokens_decoder": {"id": {token}, …} in the order of the ids. */
static gn_status add_listed(folder *f)
{
    const char *key;
    json_t *value, *listed = json_object_get(f->config, "added_tokens_decoder");
    size_t n = json_object_size(listed), count = 0;
    json_t **token = gn__calloc(n + 1, sizeof *token);
    gn_status status = token == NULL ? json_no_memory(f->source) : GN_OK;
    json_object_foreach(listed, key, value)
    {
        char *end;
        long id = strtol(key, &end, 10);
        if (status != GN_OK) break;
        if (!json_is_object(value) || *end != '\0' || id < 0 || id > GN__TOK_MAX_ID) {
            status = gn__tok_not_an_object(f->source, "added token");
        } else {
            token[count] = json_copy(value);
            if (token[count] == NULL || json_object_set_new(token[count], "id", json_integer(id)) != 0)
                status = json_no_memory(f->source);
            count += token[count] != NULL;
        }
    }
    if (count > 1) qsort(token, count, sizeof(json_t *), by_id);
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(f->added, token[i]) != 0) status = json_no_memory(f->source);
    free(token);
    return status;
}

static gn_status add_all(folder *f, const char *const (*special)[2], size_t count)
{
    static const char *const lists[] = {"additional_special_tokens", "extra_special_tokens"};
    GN__TRY(add_listed(f));
    for (size_t i = 0; i < count; i++)
        GN__TRY(add_special(f, json_object_get(f->config, special[i][0]), special[i][1]));
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
        const json_t *list = json_object_get(f->config, lists[k]);
        for (size_t i = 0; i < json_array_size(list); i++)
            GN__TRY(add_special(f, json_array_get(list, i), NULL));
    }
    return GN_OK;
}

static bool option(const folder *f, const char *key, bool standard)
{
    const json_t *value = json_object_get(f->config, key);
    return json_is_boolean(value) ? json_is_true(value) : standard;
}

/* {"SpecialToken": …} for content, with its id, in a template; the description goes to `described`. */
static gn_status template_token(const folder *f, json_t *single, json_t *described, const char *content,
                                const json_t *vocab)
{
    const json_t *id = json_object_get(vocab, content);
    if (id == NULL)
        return gn__fail(f->source->err, GN_FORMAT, "%s: the special token \"%s\" is not in the vocabulary",
                        f->source->file, content);
    json_t *piece = json_pack("{s:{s:s}}", "SpecialToken", "id", content);
    json_t *ids = json_pack("{s:[I]}", "ids", json_integer_value(id));
    if (piece == NULL || json_array_append_new(single, piece) != 0 || ids == NULL ||
        json_object_set_new(described, content, ids) != 0)
        return json_no_memory(f->source);
    return GN_OK;
}

/* The post-processor `before` A `after`; either may be NULL. */
static gn_status make_template(const folder *f, const char *before, const char *after, const json_t *vocab,
                               json_t **out)
{
    json_t *single = json_array(), *described = json_object();
    json_t *text = json_pack("{s:{s:s}}", "Sequence", "id", "A");
    gn_status status = GN_OK;
    if (before != NULL) GN__TRY_GOTO(template_token(f, single, described, before, vocab), fail);
    if (text == NULL || json_array_append(single, text) != 0) {
        status = json_no_memory(f->source);
        goto fail;
    }
    if (after != NULL) GN__TRY_GOTO(template_token(f, single, described, after, vocab), fail);
    json_decref(text);
    *out = json_pack("{s:s, s:o, s:o}", "type", "TemplateProcessing", "single", single, "special_tokens",
                     described);
    return *out == NULL ? json_no_memory(f->source) : GN_OK;
fail:
    json_decref(text);
    json_decref(single);
    json_decref(described);
    return status;
}

/* Builds from parts that this function takes over, NULL included. */
static gn_status build(const folder *f, json_t *normalizer, json_t *pre_tokenizer, json_t *post,
                       json_t *model, gn_tokenizer **out)
{
    json_t *root = json_pack("{s:o?, s:o?, s:o?, s:o?, s:O}", "normalizer", normalizer, "pre_tokenizer",
                             pre_tokenizer, "post_processor", post, "model", model, "added_tokens", f->added);
    if (root == NULL) return json_no_memory(f->source);
    gn_status status = gn__tokenizer_build(f->source, root, out);
    json_decref(root);
    return status;
}

/* ---- vocab.txt: BERT ----------------------------------------------------------------------------- */

/* One token a line; the line's number, from 0, is its id; of equal lines the last counts. */
static gn_status read_lines(const gn__tok_source *source, json_t **out)
{
    char *text;
    size_t length, line = 0;
    GN__TRY(gn__read_file(source->file, MAX_FILE, &text, &length, source->err));
    json_t *vocab = json_object();
    gn_status status = vocab == NULL ? json_no_memory(source) : GN_OK;
    for (size_t at = 0; at < length && status == GN_OK; line++) {
        const char *end = memchr(text + at, '\n', length - at);
        size_t n = end == NULL ? length - at : (size_t)(end - text) - at;
        size_t kept = n > 0 && text[at + n - 1] == '\r' ? n - 1 : n;
        json_t *token = json_stringn(text + at, kept); /* checks the UTF-8 */
        if (token == NULL || memchr(text + at, '\0', kept) != NULL)
            status = gn__fail_at(source->err, GN_FORMAT, (int64_t)line + 1, "%s: line %zu is not UTF-8 text",
                                 source->file, line + 1);
        else if (json_object_setn_new(vocab, text + at, kept, json_integer((json_int_t)line)) != 0)
            status = json_no_memory(source);
        json_decref(token);
        at += n + 1;
    }
    free(text);
    if (status == GN_OK)
        *out = vocab;
    else
        json_decref(vocab);
    return status;
}

static gn_status load_bert(folder *f, gn_tokenizer **out)
{
    static const char *const classes[] = {
        "BertTokenizer",    "BertTokenizerFast",    "DistilBertTokenizer",    "DistilBertTokenizerFast",
        "ElectraTokenizer", "ElectraTokenizerFast", "PreTrainedTokenizerFast"};
    static const char *const special[][2] = {{"unk_token", "[UNK]"},
                                             {"sep_token", "[SEP]"},
                                             {"pad_token", "[PAD]"},
                                             {"cls_token", "[CLS]"},
                                             {"mask_token", "[MASK]"}};
    json_t *vocab = NULL, *post = NULL;
    GN__TRY(check_class(f, classes, sizeof classes / sizeof *classes));
    GN__TRY(add_all(f, special, sizeof special / sizeof *special));
    GN__TRY(read_lines(f->source, &vocab));
    gn_status status = make_template(f, special_content(f, "cls_token", "[CLS]"),
                                     special_content(f, "sep_token", "[SEP]"), vocab, &post);
    if (status != GN_OK) {
        json_decref(vocab);
        return status;
    }
    const json_t *strip = json_object_get(f->config, "strip_accents");
    json_t *normalizer =
        json_pack("{s:s, s:b, s:b, s:o, s:b}", "type", "BertNormalizer", "clean_text", 1,
                  "handle_chinese_chars", option(f, "tokenize_chinese_chars", true), "strip_accents",
                  json_is_boolean(strip) ? json_boolean(json_is_true(strip)) : json_null(), "lowercase",
                  option(f, "do_lower_case", true));
    json_t *model = json_pack("{s:s, s:s, s:s, s:i, s:o}", "type", "WordPiece", "unk_token",
                              special_content(f, "unk_token", "[UNK]"), "continuing_subword_prefix", "##",
                              "max_input_chars_per_word", 100, "vocab", vocab);
    return build(f, normalizer, json_pack("{s:s}", "type", "BertPreTokenizer"), post, model, out);
}

/* ---- vocab.json and merges.txt: GPT-2 ------------------------------------------------------------ */

static gn_status read_merges(const gn__tok_source *source, json_t **out)
{
    char *text;
    size_t length;
    GN__TRY(gn__read_file(source->file, MAX_FILE, &text, &length, source->err));
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r')) length--;
    json_t *merges = json_array();
    gn_status status = merges == NULL ? json_no_memory(source) : GN_OK;
    for (size_t at = 0, line = 1; at < length && status == GN_OK; line++) {
        const char *end = memchr(text + at, '\n', length - at);
        size_t n = end == NULL ? length - at : (size_t)(end - text) - at;
        size_t kept = n > 0 && text[at + n - 1] == '\r' ? n - 1 : n;
        bool header = kept >= 8 && memcmp(text + at, "#version", 8) == 0;
        const char *space = memchr(text + at, ' ', kept);
        if (!header) {
            json_t *merge = json_stringn(text + at, kept);
            if (merge == NULL || space == NULL || memchr(text + at, '\0', kept) != NULL) {
                json_decref(merge);
                status = gn__fail_at(source->err, GN_FORMAT, (int64_t)line,
                                     "%s: line %zu is not a pair of tokens", source->file, line);
            } else if (json_array_append_new(merges, merge) != 0) {
                status = json_no_memory(source);
            }
        }
        at += n + 1;
    }
    free(text);
    if (status == GN_OK)
        *out = merges;
    else
        json_decref(merges);
    return status;
}

static gn_status load_gpt2(folder *f, const char *merges_path, gn_tokenizer **out)
{
    static const char *const classes[] = {"GPT2Tokenizer", "GPT2TokenizerFast"};
    static const char end_of_text[] = "<|endoftext|>";
    static const char *const special[][2] = {{"bos_token", end_of_text},
                                             {"eos_token", end_of_text},
                                             {"unk_token", end_of_text},
                                             {"pad_token", NULL}};
    const gn__tok_source merges_source = {merges_path, f->source->err};
    json_t *vocab = NULL, *merges = NULL, *post = NULL;
    GN__TRY(check_class(f, classes, sizeof classes / sizeof *classes));
    GN__TRY(add_all(f, special, sizeof special / sizeof *special));
    gn_status status;
    GN__TRY_GOTO(read_json(f->source, JSON_REJECT_DUPLICATES, &vocab), fail);
    GN__TRY_GOTO(read_merges(&merges_source, &merges), fail);
    GN__TRY_GOTO(
        make_template(f,
                      option(f, "add_bos_token", false) ? special_content(f, "bos_token", end_of_text) : NULL,
                      option(f, "add_eos_token", false) ? special_content(f, "eos_token", end_of_text) : NULL,
                      vocab, &post),
        fail);
    json_t *pre = json_pack("{s:s, s:b, s:b}", "type", "ByteLevel", "add_prefix_space",
                            option(f, "add_prefix_space", false), "trim_offsets", 1);
    json_t *model = json_pack("{s:s, s:o, s:o}", "type", "BPE", "vocab", vocab, "merges", merges);
    return build(f, NULL, pre, post, model, out);
fail:
    json_decref(vocab);
    json_decref(merges);
    return status;
}

/* ---- SentencePiece ------------------------------------------------------------------------------- */

/* The class of tokenizer: the configuration's, else the one of the model's family; "" where neither is named.
 */
static gn_status spm_class(const folder *f, const char *config_path, char kind[64])
{
    const char *name = json_string_value(json_object_get(f->config, "tokenizer_class"));
    const gn__tok_source source = {config_path, f->source->err};
    json_t *config = NULL;
    if (name == NULL && gn__file_exists(config_path))
        GN__TRY(read_json(&source, JSON_DECODE_INT_AS_REAL, &config));
    const char *family = json_string_value(json_object_get(config, "model_type"));
    if (name == NULL && family != NULL) {
        name = gn__spm_class_of(family);
        if (name == NULL) name = family; /* which will be refused by that name */
    }
    snprintf(kind, 64, "%s", name == NULL ? "" : name);
    json_decref(config);
    return GN_OK;
}

static gn_status load_sentencepiece(folder *f, const char *config_path, gn_tokenizer **out)
{
    char *data = NULL, kind[64];
    size_t size;
    gn__spm m = {0};
    json_t *root = NULL;
    GN__TRY(spm_class(f, config_path, kind));
    GN__TRY(add_listed(f));
    GN__TRY(gn__read_file(f->source->file, MAX_FILE, &data, &size, f->source->err));
    gn_status status;
    GN__TRY_GOTO(gn__spm_read(f->source, (const unsigned char *)data, size, &m), end);
    GN__TRY_GOTO(gn__spm_convert(f->source, &m, kind, f->config, f->added, &root), end);
    status = gn__tokenizer_build(f->source, root, out);
end:
    json_decref(root);
    gn__spm_free(&m);
    free(data);
    return status;
}

/* ---- the folder ---------------------------------------------------------------------------------- */

enum {
    JSON,
    VOCAB_JSON,
    MERGES,
    VOCAB_TXT,
    TOKENIZER_CONFIG,
    CONFIG,
    SPECIAL_MAP,
    ADDED,
    SPM,
    FILES = SPM + 5
};

/* What older folders keep in files of its own and newer ones in tokenizer_config.json's
 * "added_tokens_decoder": special_tokens_map.json ({"pad_token": …}) and added_tokens.json ({"content": id,
 * …}). They go into the configuration. */
static gn_status merge_older(folder *f, const char *map_path, const char *added_path)
{
    static const char *const named[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                        "pad_token", "cls_token", "mask_token"};
    const gn__tok_source map_source = {map_path, f->source->err}, added_source = {added_path, f->source->err};
    json_t *map = NULL, *added = NULL, *value;
    const char *content;
    gn_status status = GN_OK;
    if (json_object_get(f->config, "added_tokens_decoder") != NULL) return GN_OK;
    if (f->config == NULL && (f->config = json_object()) == NULL) return json_no_memory(f->source);
    if (gn__file_exists(map_path)) GN__TRY(read_json(&map_source, JSON_DECODE_INT_AS_REAL, &map));
    if (map != NULL && json_object_update(f->config, map) != 0) status = json_no_memory(f->source);
    json_decref(map);
    if (status != GN_OK || !gn__file_exists(added_path)) return status;
    GN__TRY(read_json(&added_source, JSON_REJECT_DUPLICATES, &added));
    json_t *decoder = json_object(), *extra = json_object_get(f->config, "extra_special_tokens");
    json_object_foreach(added, content, value)
    {
        bool special = false;
        char id[24];
        for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
            const char *name = special_content(f, named[i], NULL);
            special |= name != NULL && strcmp(name, content) == 0;
        }
        for (size_t i = 0; i < json_array_size(extra); i++) {
            const char *name = content_of(json_array_get(extra, i), NULL);
            special |= name != NULL && strcmp(name, content) == 0;
        }
        snprintf(id, sizeof id, "%lld", (long long)json_integer_value(value));
        json_t *token = json_pack("{s:s, s:b, s:b, s:b, s:b, s:b}", "content", content, "single_word", 0,
                                  "lstrip", 0, "rstrip", 0, "normalized", !special, "special", special);
        if (token == NULL || json_object_set_new(decoder, id, token) != 0) status = json_no_memory(f->source);
    }
    json_decref(added);
    if (json_object_set_new(f->config, "added_tokens_decoder", decoder) != 0)
        status = json_no_memory(f->source);
    return status;
}

static gn_status load_older(const char *const path[FILES], const char *spm, gn_tokenizer **out, gn_error *err)
{
    gn__tok_source source = {path[VOCAB_JSON], err}, config = {path[TOKENIZER_CONFIG], err};
    folder f = {.source = &source};
    gn_status status = GN_OK;
    if (gn__file_exists(path[TOKENIZER_CONFIG])) {
        /* its "model_max_length" is often 10^30; no number in it matters here */
        GN__TRY(read_json(&config, JSON_DECODE_INT_AS_REAL, &f.config));
    }
    f.added = json_array();
    if (f.added == NULL) {
        status = json_no_memory(&source);
    } else if ((status = merge_older(&f, path[SPECIAL_MAP], path[ADDED])) != GN_OK) {
        /* nothing more to do */
    } else if (gn__file_exists(path[VOCAB_JSON]) && gn__file_exists(path[MERGES])) {
        status = load_gpt2(&f, path[MERGES], out);
    } else if (gn__file_exists(path[VOCAB_TXT])) {
        source.file = path[VOCAB_TXT];
        status = load_bert(&f, out);
    } else {
        source.file = spm;
        status = load_sentencepiece(&f, path[CONFIG], out);
    }
    json_decref(f.added);
    json_decref(f.config);
    return status;
}

static gn_status load_json(const char *path, gn_tokenizer **out, gn_error *err)
{
    const gn__tok_source source = {path, err};
    char *text;
    size_t length;
    GN__TRY(gn__read_file(path, MAX_FILE, &text, &length, err));
    gn_status status = gn__tokenizer_parse(&source, text, length, out);
    free(text);
    return status;
}

/* tokenizer_config.json's "truncation_side" goes before what tokenizer.json says, as in `transformers`. */
static gn_status read_side(const char *path, gn_tokenizer *t, gn_error *err)
{
    gn__tok_source source = {path, err};
    json_t *config = NULL;
    if (!gn__file_exists(path)) return GN_OK;
    GN__TRY(read_json(&source, JSON_DECODE_INT_AS_REAL, &config));
    const json_t *side = json_object_get(config, "truncation_side");
    const char *s = json_string_value(side);
    gn_status status = GN_OK;
    if (side != NULL && (s == NULL || (strcmp(s, "left") != 0 && strcmp(s, "right") != 0)))
        status = gn__tok_bad_field(&source, "tokenizer", "truncation_side", "left or right");
    else if (s != NULL)
        t->truncate_left = strcmp(s, "left") == 0;
    json_decref(config);
    return status;
}

gn_status gn_tokenizer_load(const char *directory, gn_tokenizer **out, gn_error *err)
{
    static const char *const name[FILES] = {"tokenizer.json",
                                            "vocab.json",
                                            "merges.txt",
                                            "vocab.txt",
                                            "tokenizer_config.json",
                                            "config.json",
                                            "special_tokens_map.json",
                                            "added_tokens.json",
                                            "spiece.model",
                                            "sentencepiece.bpe.model",
                                            "tokenizer.model",
                                            "sentencepiece.model",
                                            "spm.model"};
    char *path[FILES] = {0};
    const char *spm = NULL;
    gn_status status = GN_OK;
    for (int i = 0; i < FILES; i++) {
        path[i] = gn__path_join(directory, name[i]);
        if (path[i] == NULL) {
            status = gn__no_memory(err, strlen(directory));
            goto end;
        }
        if (i >= SPM && spm == NULL && gn__file_exists(path[i])) spm = path[i];
    }
    bool pair = gn__file_exists(path[VOCAB_JSON]) && gn__file_exists(path[MERGES]);
    if (!gn__is_directory(directory))
        status = gn__fail(err, GN_IO, "%s is not a folder", directory);
    else if (gn__file_exists(path[JSON]))
        status = load_json(path[JSON], out, err);
    else if (pair || gn__file_exists(path[VOCAB_TXT]) || spm != NULL)
        status = load_older((const char *const *)path, spm, out, err);
    else
        status =
            gn__fail(err, GN_IO,
                     "%s holds no tokenizer: neither tokenizer.json, nor vocab.json with merges.txt, nor "
                     "vocab.txt, nor a SentencePiece model",
                     directory);
    if (status == GN_OK && (status = read_side(path[TOKENIZER_CONFIG], *out, err)) != GN_OK) {
        gn_tokenizer_free(*out);
        *out = NULL;
    }
end:
    for (int i = 0; i < FILES; i++) free(path[i]);
    return status;
}
