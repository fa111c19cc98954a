/* From SentencePiece models to descriptions as in tokenizer.json, by the rows of sentencepiece_families.c;
 * and, for models of which no class is known, as `transformers` 5 lets the model speak for itself
 * (SpmConverter.build_tokenizer_from_spm_proto), which is what sentencepiece itself does. */
#include "text/sentencepiece_job.h"

#include <stdio.h>

#define BAR "\xE2\x96\x81"

gn_status gn__spm_no_memory(const gn__spm_job *c)
{
    return gn__no_memory(c->source->err, sizeof(json_t *));
}

static bool option(const gn__spm_job *c, const char *key, bool standard)
{
    const json_t *value = json_object_get(c->config, key);
    return json_is_boolean(value) ? json_is_true(value) : standard;
}

/* The content of a special token, which the configuration gives as a string or an object; NULL: null. */
const char *gn__spm_token_of(const gn__spm_job *c, const char *key, const char *standard)
{
    const json_t *value = json_object_get(c->config, key);
    if (value == NULL) return standard;
    if (json_is_object(value)) value = json_object_get(value, "content");
    return json_string_value(value);
}

const char *gn__spm_named(const gn__spm_job *c, int which)
{
    return gn__spm_token_of(c, gn__spm_named_key[which], c->family->named[which]);
}

const char *gn__spm_named_by_key(const gn__spm_job *c, const char *key, size_t length)
{
    for (int i = 0; i < GN__SPM_NAMED; i++)
        if (strlen(gn__spm_named_key[i]) == length && memcmp(gn__spm_named_key[i], key, length) == 0)
            return gn__spm_named(c, i);
    return NULL;
}

gn_status gn__spm_missing(const gn__spm_job *c, const char *token)
{
    return gn__fail(c->source->err, GN_FORMAT, "%s: the special token \"%s\" is not in the vocabulary",
                    c->source->file, token);
}

bool gn__spm_set(json_t *object, const char *key, json_t *value)
{
    return value != NULL && json_object_set_new(object, key, value) == 0;
}

int gn__spm_number_of(const gn__spm_job *c, const char *key, int standard)
{
    const json_t *value = json_object_get(c->config, key);
    double wanted = json_is_number(value) ? json_number_value(value) : standard;
    return wanted >= 0 && wanted <= 10000 ? (int)wanted : standard;
}

/* ---- normalizers and pre-tokenizers -------------------------------------------------------------- */

static json_t *base64(gn__spm_string data)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)data.text;
    size_t n = data.length;
    gn__buf out = {0};
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i < 3 ? n - i : 3;
        uint32_t word =
            (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);
        for (size_t k = 0; k < 4; k++) gn__buf_putc(&out, k <= left ? digit[word >> (18 - 6 * k) & 63] : '=');
    }
    json_t *text = out.failed || out.data == NULL ? NULL : json_string(out.data);
    gn__buf_free(&out);
    return text;
}

typedef struct word {
    const char *name, *json;
} word;

#define REPLACE(kind, pattern, content) \
    "{\"type\":\"Replace\",\"pattern\":{\"" kind "\":\"" pattern "\"},\"content\":\"" content "\"}"
#define METASPACE(scheme, split)                                                                             \
    "{\"type\":\"Metaspace\",\"replacement\":\"" BAR "\",\"prepend_scheme\":\"" scheme "\",\"split\":" split \
    "}"

static const word words[] = {
    /* normalizers; "charsmap" is the model's own rules, where it has any */
    {"quotes", REPLACE("String", "``", "\\\"") "," REPLACE("String", "''", "\\\"")},
    {"nfkd", "{\"type\":\"NFKD\"}"},
    {"nfc", "{\"type\":\"NFC\"}"},
    {"accents", "{\"type\":\"StripAccents\"}"},
    {"lower", "{\"type\":\"Lowercase\"}"},
    {"newline", REPLACE("Regex", "\\\\n", " ")},
    {"blanks", REPLACE("Regex", "\\\\s{2,}|[\\\\n\\\\r\\\\t]", " ")},
    {"one-space", REPLACE("Regex", " {2,}", " ")},
    {"one-bar", REPLACE("Regex", " {2,}", BAR)},
    {"bars", REPLACE("String", " ", BAR)},
    {"outer", REPLACE("Regex", "\\\\A +| +\\\\z", "")},
    {"double-bar", REPLACE("Regex", "\\\\A" BAR, BAR BAR)},
    {"strip-right", "{\"type\":\"Strip\",\"strip_left\":false,\"strip_right\":true}"},
    /* pre-tokenizers */
    {"white", "{\"type\":\"WhitespaceSplit\"}"},
    {"punctuation", "{\"type\":\"Punctuation\",\"behavior\":\"Isolated\"}"},
    {"after-spaces", "{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},\"behavior\":\"MergedWithPrevious\","
                     "\"invert\":false}"},
    {"runs-always", METASPACE("always", "true")},
    {"runs-never", METASPACE("never", "true")},
    {"runs-first", METASPACE("first", "true")},
    {"whole-always", METASPACE("always", "false")},
    {"whole-never", METASPACE("never", "false")},
    {"whole-first", METASPACE("first", "false")},
};

static bool add_part(const gn__spm_job *c, json_t *list, const char *name, size_t length)
{
    json_error_t error;
    if (length == 8 && memcmp(name, "charsmap", 8) == 0) {
        if (c->m->charsmap.length == 0) return true;
        json_t *part =
            json_pack("{s:s, s:o?}", "type", "Precompiled", "precompiled_charsmap", base64(c->m->charsmap));
        return part != NULL && json_array_append_new(list, part) == 0;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strlen(words[i].name) != length || memcmp(words[i].name, name, length) != 0) continue;
        char text[400];
        snprintf(text, sizeof text, "[%s]", words[i].json);
        json_t *parts = json_loads(text, 0, &error);
        bool good = parts != NULL && json_array_extend(list, parts) == 0;
        json_decref(parts);
        return good;
    }
    return false;
}

/* The parts that a row's words name, as a Sequence under root[key]. */
static gn_status set_parts(const gn__spm_job *c, const char *key, const char *members, const char *list)
{
    json_t *parts = json_array();
    bool good = parts != NULL;
    while (good && list != NULL && *list != '\0') {
        size_t n = strcspn(list, " "), at = strcspn(list, "?!+ ");
        bool wanted = true;
        if (at < n) {
            char name[40];
            snprintf(name, sizeof name, "%.*s", (int)at, list);
            wanted = option(c, name, list[at] == '+') != (list[at] == '!');
            at++;
        } else {
            at = 0;
        }
        if (wanted) good = add_part(c, parts, list + at, n - at);
        list += n + (list[n] == ' ');
    }
    if (good && json_array_size(parts) == 0) {
        json_decref(parts);
        return GN_OK;
    }
    json_t *sequence = json_pack("{s:s, s:o?}", "type", "Sequence", members, parts);
    return good && gn__spm_set(c->root, key, sequence) ? GN_OK : gn__spm_no_memory(c);
}

typedef struct defined {
    const gn__spm_piece *piece;
    size_t characters;
} defined;

static int by_length(const void *a, const void *b)
{
    const defined *x = a, *y = b;
    if (x->characters != y->characters) return x->characters > y->characters ? -1 : 1;
    return x->piece < y->piece ? -1 : x->piece > y->piece;
}

/* The user-defined pieces, the longest first; *count of them. NULL: no memory. */
static defined *find_defined(const gn__spm *m, size_t *count)
{
    defined *list = gn__calloc(m->pieces + 1, sizeof *list);
    *count = 0;
    for (size_t i = 0; list != NULL && i < m->pieces; i++) {
        if (m->piece[i].type != GN__SPM_USER_DEFINED || m->piece[i].length == 0) continue;
        defined *d = &list[(*count)++];
        d->piece = &m->piece[i];
        for (size_t k = 0; k < d->piece->length; k++) d->characters += (d->piece->text[k] & 0xC0) != 0x80;
    }
    if (*count > 1) qsort(list, *count, sizeof *list, by_length);
    return list;
}

static bool is_plain(char c)
{
    return (unsigned char)c >= 0x80 || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* User-defined pieces are words of their own: cut out by "piece|piece". */
static gn_status split_user_defined(const gn__spm_job *c)
{
    gn__buf regex = {0};
    size_t count;
    defined *list = find_defined(c->m, &count);
    if (list == NULL) return gn__spm_no_memory(c);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) gn__buf_putc(&regex, '|');
        for (size_t k = 0; k < list[i].piece->length; k++) {
            if (!is_plain(list[i].piece->text[k])) gn__buf_putc(&regex, '\\');
            gn__buf_putc(&regex, list[i].piece->text[k]);
        }
    }
    free(list);
    if (count == 0) return GN_OK;
    json_t *split = regex.failed || regex.data == NULL
                        ? NULL
                        : json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split", "pattern", "Regex",
                                    regex.data, "behavior", "Isolated", "invert", 0);
    gn__buf_free(&regex);
    json_t *pre = json_object_get(c->root, "pre_tokenizer");
    if (pre == NULL) return gn__spm_set(c->root, "pre_tokenizer", split) ? GN_OK : gn__spm_no_memory(c);
    return split != NULL && json_array_append_new(json_object_get(pre, "pretokenizers"), split) == 0
               ? GN_OK
               : gn__spm_no_memory(c);
}

static gn_status set_steps(const gn__spm_job *c)
{
    char normalizers[200], pre[100];
    const gn__spm *m = c->m;
    bool legacy = option(c, "legacy", c->family == NULL);
    if (c->family == NULL) {
        snprintf(normalizers, sizeof normalizers, "charsmap%s%s%s",
                 m->remove_extra_whitespaces ? " outer one-space" : "", m->escape_whitespaces ? " bars" : "",
                 m->add_dummy_prefix && legacy ? " double-bar" : "");
        snprintf(pre, sizeof pre, "%s", !m->add_dummy_prefix ? "" : legacy ? "whole-always" : "whole-first");
    } else {
        const char *scheme = "always", *list = c->family->pre_tokenizers;
        snprintf(normalizers, sizeof normalizers, "%s",
                 c->family->normalizers == NULL ? "" : c->family->normalizers);
        if (strncmp(normalizers, "charsmap-or-newline", 19) == 0) /* Pegasus */
            snprintf(normalizers, sizeof normalizers, "%s%s", m->charsmap.length > 0 ? "charsmap" : "newline",
                     c->family->normalizers + 19);
        if (strstr(list, "always-or-never") != NULL && !option(c, "add_prefix_space", true)) scheme = "never";
        if (strstr(list, "always-or-first") != NULL && !option(c, "add_prefix_space", true)) scheme = "first";
        if (strcmp(list, "whole llama") == 0)
            scheme = !option(c, "add_prefix_space", true) ? "never" : legacy ? "always" : "first";
        const char *split = strstr(list, "split_by_punct") != NULL ? "split_by_punct?punctuation " : "";
        if (strcmp(list, "after-spaces") == 0)
            snprintf(pre, sizeof pre, "%s", list);
        else
            snprintf(pre, sizeof pre, "%s%s-%s", strncmp(list, "words", 5) == 0 ? "white " : split,
                     strncmp(list, "whole", 5) == 0 ? "whole" : "runs", scheme);
    }
    GN__TRY(set_parts(c, "normalizer", "normalizers", normalizers));
    GN__TRY(set_parts(c, "pre_tokenizer", "pretokenizers", pre));
    return c->family == NULL ? split_user_defined(c) : GN_OK;
}

/* ---- added tokens -------------------------------------------------------------------------------- */

/* Takes over the token. One whose content is there already gives its flags to the one that is there, which
 * keeps its place: `transformers` adds them again, and `tokenizers` takes what it is told last. */
static gn_status add_token(gn__spm_job *c, json_t *token)
{
    const char *content = json_string_value(json_object_get(token, "content"));
    size_t length = content == NULL ? 0 : strlen(content);
    json_t *list = json_object_get(c->root, "added_tokens");
    uint32_t number = (uint32_t)json_array_size(list), found = 0;
    if (token == NULL) return gn__spm_no_memory(c);
    if (length == 0) {
        json_decref(token);
        return GN_OK;
    }
    bool good = gn__map_put(&c->content, content, length, number, &found);
    if (good && found < number) {
        good = json_object_update(json_array_get(list, found), token) == 0;
        json_decref(token);
        return good ? GN_OK : gn__spm_no_memory(c);
    }
    if (good && gn__map_get(&c->ids, content, length) < 0)
        good = gn__map_put(&c->ids, content, length, (uint32_t)c->next++, &found);
    return json_array_append_new(list, token) == 0 && good ? GN_OK : gn__spm_no_memory(c);
}

static gn_status add_content(gn__spm_job *c, const char *content, size_t length, bool lstrip, bool special)
{
    return add_token(c, json_pack("{s:i, s:s%, s:b, s:b, s:b, s:b, s:b}", "id", 0, "content", content, length,
                                  "single_word", 0, "lstrip", lstrip, "rstrip", 0, "normalized", 0, "special",
                                  special));
}

/* A special token as the configuration gives it, else of the standard content. */
static gn_status add_special(gn__spm_job *c, const json_t *value, const char *standard, bool lstrip)
{
    static const char *const flags[] = {"single_word", "lstrip", "rstrip", "normalized"};
    if (value == NULL)
        return standard == NULL ? GN_OK : add_content(c, standard, strlen(standard), lstrip, true);
    if (json_is_string(value))
        return add_content(c, json_string_value(value), json_string_length(value), lstrip, true);
    json_t *token =
        json_pack("{s:i, s:O?, s:b}", "id", 0, "content", json_object_get(value, "content"), "special", 1);
    bool good = token != NULL;
    for (size_t i = 0; good && i < sizeof flags / sizeof *flags; i++)
        good = gn__spm_set(token, flags[i], json_boolean(json_is_true(json_object_get(value, flags[i]))));
    if (good) return add_token(c, token);
    json_decref(token);
    return gn__spm_no_memory(c);
}

/* The class's own further tokens: languages, <extra_id_0> and so on. */
static gn_status add_last(gn__spm_job *c)
{
    const char *const *last = c->family == NULL ? NULL : c->family->last;
    for (; last != NULL && *last != NULL; last++) {
        if (**last == '=') continue;
        if (**last != '#') GN__TRY(add_content(c, *last, strlen(*last), false, true));
        for (int i = 0; **last == '#' && i < gn__spm_number_of(c, "extra_ids", 100); i++) {
            char token[40];
            GN__TRY(add_content(c, token, (size_t)snprintf(token, sizeof token, "<extra_id_%d>", i), false,
                                true));
        }
    }
    return GN_OK;
}

/* In the order in which `transformers` adds them, which gives those that the vocabulary lacks their ids: the
 * listed ones, the named ones, the class's or the model's further ones. */
static gn_status add_all(gn__spm_job *c, const json_t *listed)
{
    const gn__spm *m = c->m;
    bool pegasus = c->family != NULL && strcmp(c->family->name, "PegasusTokenizer") == 0;
    for (size_t i = 0; i < json_array_size(listed); i++) {
        json_t *token = json_copy(json_array_get(listed, i));
        const char *content = json_string_value(json_object_get(token, "content"));
        json_int_t id = json_integer_value(json_object_get(token, "id"));
        if (c->family == NULL && m->model_type == GN__SPM_BPE && content != NULL &&
            id < (json_int_t)m->pieces &&
            gn__map_get(&c->ids, content, strlen(content)) != id) { /* it would give a piece another name */
            json_decref(token);
            return gn__spm_missing(c, content);
        }
        if (c->family == NULL && m->add_dummy_prefix && token != NULL)
            json_object_set_new(token, "normalized", json_false());
        GN__TRY(add_token(c, token));
    }
    const gn__spm_string own[] = {m->bos, m->eos, m->unk};
    const int32_t own_id[] = {m->bos_id, m->eos_id, m->unk_id};
    for (int i = 0; i < GN__SPM_NAMED; i++) {
        const json_t *value = json_object_get(c->config, gn__spm_named_key[i]);
        if (value == NULL && c->family == NULL && i < 3 && own_id[i] >= 0)
            GN__TRY(add_content(c, own[i].text, own[i].length, false, true));
        else
            GN__TRY(add_special(c, value, c->family == NULL ? NULL : c->family->named[i],
                                i == GN__SPM_MASK && c->family != NULL && c->family->mask_lstrip));
    }
    /* what the configuration lists takes the place of what the class or the model would list */
    static const char *const lists[] = {"extra_special_tokens", "additional_special_tokens"};
    for (int k = 0; k < 2; k++) {
        const json_t *list = json_object_get(c->config, lists[k]);
        if (json_array_size(list) == 0) continue;
        for (size_t i = 0; i < json_array_size(list); i++)
            GN__TRY(add_special(c, json_array_get(list, i), NULL, false));
        return GN_OK;
    }
    if (pegasus) { /* in place of the model's */
        const char *sentence = gn__spm_token_of(c, "mask_token_sent", "<mask_1>");
        if (sentence != NULL) GN__TRY(add_content(c, sentence, strlen(sentence), false, true));
        for (int i = 2; i < gn__spm_number_of(c, "offset", 103); i++) {
            char token[40];
            GN__TRY(add_content(c, token, (size_t)snprintf(token, sizeof token, "<unk_%d>", i), false, true));
        }
        return GN_OK;
    }
    for (size_t i = 0; i < m->pieces; i++) {
        const gn__spm_piece *p = &m->piece[i];
        if (p->type == GN__SPM_CONTROL || (p->type == GN__SPM_USER_DEFINED && c->family != NULL))
            GN__TRY(add_content(c, p->text, p->length, false, p->type == GN__SPM_CONTROL));
    }
    return add_last(c);
}

/* ---- the post-processor -------------------------------------------------------------------------- */

static gn_status add_item(const gn__spm_job *c, json_t *single, json_t *described, const char *token)
{
    int64_t id = gn__map_get(&c->ids, token, strlen(token));
    if (id < 0) return gn__spm_missing(c, token);
    json_t *item = json_pack("{s:{s:s}}", "SpecialToken", "id", token);
    json_t *ids = json_pack("{s:[I]}", "ids", (json_int_t)id);
    bool good = item != NULL && json_array_append_new(single, item) == 0;
    return gn__spm_set(described, token, ids) && good ? GN_OK : gn__spm_no_memory(c);
}

static gn_status fill_template(const gn__spm_job *c, json_t *single, json_t *described)
{
    char own[60];
    bool asked = c->family == NULL || c->family->single == NULL;
    snprintf(own, sizeof own, "%sA%s", option(c, "add_bos_token", false) ? "bos_token " : "",
             option(c, "add_eos_token", false) ? " eos_token" : "");
    for (const char *list = asked ? own : c->family->single; *list != '\0';) {
        size_t n = strcspn(list, " ");
        char token[300];
        if (n == 1 && *list == 'A') {
            json_t *text = json_pack("{s:{s:s}}", "Sequence", "id", "A");
            if (text == NULL || json_array_append_new(single, text) != 0) return gn__spm_no_memory(c);
        } else {
            const char *content = NULL;
            if (n == 8 && memcmp(list, "src_lang", n) == 0) {
                content = gn__spm_token_of(c, "src_lang", "en_XX");
            } else if (c->family != NULL) {
                content = gn__spm_named_by_key(c, list, n);
            } else {
                gn__spm_string piece = *list == 'b' ? c->m->bos : c->m->eos;
                snprintf(token, sizeof token, "%.*s", (int)n, list); /* the key */
                content = gn__spm_token_of(c, token, "");
                if (content != NULL && *content == '\0') {
                    snprintf(token, sizeof token, "%.*s", (int)piece.length, piece.text);
                    content = token;
                }
            }
            if (content == NULL) { /* named as null: left out, as there */
                if (!asked) return gn__spm_missing(c, list);
            } else {
                GN__TRY(add_item(c, single, described, content));
            }
        }
        list += n + (list[n] == ' ');
    }
    return GN_OK;
}

static gn_status set_template(const gn__spm_job *c)
{
    json_t *single = json_array(), *described = json_object();
    json_t *post = json_pack("{s:s, s:o?, s:o?}", "type", "TemplateProcessing", "single", single,
                             "special_tokens", described);
    if (single == NULL || described == NULL || !gn__spm_set(c->root, "post_processor", post))
        return gn__spm_no_memory(c);
    return fill_template(c, single, described);
}

/* ---- all of it ----------------------------------------------------------------------------------- */

const char *gn__spm_class_of(const char *model_type)
{
    static const char speak_for_themselves[] = " umt5 xlm-roberta-xl ";
    char wanted[100];
    snprintf(wanted, sizeof wanted, " %s ", model_type);
    if (strstr(speak_for_themselves, wanted) != NULL) return "";
    for (size_t i = 0; i < gn__spm_family_count; i++)
        if (strstr(gn__spm_families[i].model_types, wanted) != NULL) return gn__spm_families[i].name;
    return NULL;
}

static gn_status find_family(gn__spm_job *c)
{
    static const char *const own[] = {"", "TokenizersBackend", "PreTrainedTokenizerFast"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(own[i], c->kind) == 0) return GN_OK;
    for (size_t i = 0; i < gn__spm_family_count; i++) {
        const gn__spm_family *f = &gn__spm_families[i];
        size_t n = strlen(f->name);
        if (strncmp(f->name, c->kind, n) == 0 && (c->kind[n] == '\0' || strcmp(c->kind + n, "Fast") == 0))
            c->family = f;
    }
    if (c->family == NULL)
        return gn__fail(c->source->err, GN_UNSUPPORTED,
                        "%s: the tokenizer class \"%s\" without a tokenizer.json is not supported",
                        c->source->file, c->kind);
    return GN_OK;
}

static gn_status fill(gn__spm_job *c, const json_t *listed)
{
    GN__TRY(find_family(c));
    uint64_t type = c->m->model_type;
    if ((type != GN__SPM_UNIGRAM && type != GN__SPM_BPE) || (c->family != NULL && type != c->family->type))
        return gn__fail(
            c->source->err, GN_UNSUPPORTED,
            "%s: this type of SentencePiece model with the tokenizer class \"%s\" is not supported",
            c->source->file, c->kind);
    if (!gn__spm_set(c->root, "added_tokens", json_array())) return gn__spm_no_memory(c);
    GN__TRY(type == GN__SPM_UNIGRAM ? gn__spm_set_unigram(c) : gn__spm_set_bpe(c));
    c->next = c->pieces;
    GN__TRY(set_steps(c));
    GN__TRY(add_all(c, listed));
    return set_template(c);
}

gn_status gn__spm_convert(const gn__tok_source *source, const gn__spm *m, const char *kind,
                          const json_t *config, const json_t *listed, json_t **out)
{
    gn__spm_job c = {.source = source, .m = m, .kind = kind, .config = config, .root = json_object()};
    gn_status status = c.root == NULL ? gn__spm_no_memory(&c) : fill(&c, listed);
    gn__map_free(&c.ids);
    gn__map_free(&c.content);
    if (status == GN_OK)
        *out = c.root;
    else
        json_decref(c.root);
    return status;
}
