#include "core/core.h"
#include "test.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

#include <pthread.h>

static gn_tokenizer *load(const char *folder)
{
    gn_error err = {0};
    gn_tokenizer *t = NULL;
    CHECK_OK(gn_tokenizer_load(test_path(folder), &t, &err), err);
    return t;
}

static gn_status parse(const char *json, gn_tokenizer **out, gn_error *err)
{
    gn__tok_source source = {"tokenizer.json", err};
    *out = NULL;
    return gn__tokenizer_parse(&source, json, strlen(json), out);
}

static gn_tokenizer *parsed(const char *json)
{
    gn_error err = {0};
    gn_tokenizer *t;
    CHECK_OK(parse(json, &t, &err), err);
    return t;
}

static void encode(const gn_tokenizer *t, const char *text, bool special, size_t limit, gn_tokens *tokens)
{
    gn_error err = {0};
    CHECK_OK(gn_tokenizer_encode(t, text, strlen(text), special, limit, tokens, &err), err);
}

/* The ids of text as "1 2 3"; static storage. */
static const char *ids(const gn_tokenizer *t, const char *text, bool special, size_t limit)
{
    static char out[1000];
    gn_tokens tokens = {0};
    encode(t, text, special, limit, &tokens);
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < tokens.count && at < sizeof out - 20; i++)
        at += (size_t)snprintf(out + at, sizeof out - at, "%s%d", i > 0 ? " " : "", (int)tokens.id[i]);
    gn_tokens_free(&tokens);
    return out;
}

/* ---- against the library ------------------------------------------------------------------------- */

static size_t from_hex(const char *hex, char *out)
{
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned byte = 0;
        CHECK(sscanf(hex + 2 * i, "%2x", &byte) == 1);
        out[i] = (char)byte;
    }
    return n;
}

static bool has_string(const json_t *list, const char *s)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), s) == 0) return true;
    return false;
}

/* Runs every golden text through the tokenizer of a folder and holds ids, offsets and `cut` against what
 * the library gave for `name`. Offsets are not compared where `offsets` is false. */
static void check_golden(const char *folder, const char *name, bool offsets)
{
    gn_tokenizer *t = load(folder);
    gn_error err = {0};
    gn_tokens tokens = {0};
    char *file, raw[4096], key[64];
    size_t length, rows = 0, with_offsets = 0;
    CHECK_OK(gn__read_file(test_path("tests/golden/text/expected.jsonl"), 1 << 20, &file, &length, &err),
             err);
    snprintf(key, sizeof key, "%s_offsets", name);
    for (char *line = strtok(file, "\n"); line != NULL; line = strtok(NULL, "\n"), rows++) {
        json_t *row = json_loads(line, 0, NULL);
        CHECK(row != NULL);
        const char *text = json_string_value(json_object_get(row, "text"));
        const char *hex = json_string_value(json_object_get(row, "hex"));
        size_t n = hex != NULL ? from_hex(hex, raw) : strlen(text);
        size_t limit = (size_t)json_integer_value(json_object_get(row, "limit"));
        CHECK_OK(gn_tokenizer_encode(t, hex != NULL ? raw : text, n, true, limit, &tokens, &err), err);
        const json_t *expected = json_object_get(row, name), *places = json_object_get(row, key);
        bool same = tokens.count == json_array_size(expected);
        for (size_t i = 0; same && i < tokens.count; i++)
            same = tokens.id[i] == json_integer_value(json_array_get(expected, i));
        if (same && offsets && places != NULL) {
            for (size_t i = 0; same && i < tokens.count; i++)
                same = tokens.begin[i] == json_integer_value(json_array_get(places, 2 * i)) &&
                       tokens.end[i] == json_integer_value(json_array_get(places, 2 * i + 1));
            with_offsets++;
        }
        if (!same || tokens.cut != has_string(json_object_get(row, "cut"), name))
            test_fail(__FILE__, __LINE__, "%s differs from the library for %s", folder, line);
        json_decref(row);
    }
    CHECK(rows > 290);
    CHECK(!offsets || with_offsets > 80);
    free(file);
    gn_tokens_free(&tokens);
    gn_tokenizer_free(t);
}

TEST(golden_bert_uncased)
{
    check_golden("tests/golden/text/bert_uncased", "bert_uncased", true);
}

TEST(golden_bert_cased)
{
    check_golden("tests/golden/text/bert_cased", "bert_cased", true);
}

TEST(golden_gpt2)
{
    check_golden("tests/golden/text/gpt2", "gpt2", true);
}

TEST(golden_vocab_txt)
{
    check_golden("tests/golden/text/vocab_txt", "bert_cased", true);
}

TEST(golden_vocab_json_and_merges)
{
    /* the library's file trims white space off the offsets, transformers' reading of these files does not */
    check_golden("tests/golden/text/vocab_merges", "gpt2", false);
}

/* Where the library's crates part from each other and from current Unicode. */
TEST(unicode_tables_mix_versions_as_the_library_does)
{
    CHECK(gn__unicode_flags(0x08E3) & GN__UNICODE_MARK);
    CHECK(!(gn__unicode_flags(0x08D4) & GN__UNICODE_MARK));
    CHECK(gn__unicode_flags(0x2E42) & GN__UNICODE_PUNCT);
    CHECK(!(gn__unicode_flags(0x2E44) & GN__UNICODE_PUNCT));
    CHECK(gn__unicode_flags(0xA7CB) & GN__UNICODE_LETTER);
    CHECK(!(gn__unicode_flags(0xA7CE) & GN__UNICODE_LETTER));
    CHECK_INT(gn__unicode(0x0323)->order, 220);
    uint32_t out[4];
    CHECK_INT(gn__unicode_to_lower(0x130, out), 2);
    CHECK(out[0] == 'i' && out[1] == 0x307);
    CHECK_INT(gn__unicode_to_lower(0x3A3, out), 1); /* no final sigma */
    CHECK(out[0] == 0x3C3);
    CHECK_INT(gn__unicode_decompose(0xAC01, out), 3);
    CHECK(out[0] == 0x1100 && out[1] == 0x1161 && out[2] == 0x11A8);
    CHECK_INT(gn__unicode_decompose(0x1F82, out), 4);
    CHECK_HAS(gn__unicode_source, "tokenizers 0.");
}

/* ---- small tokenizers made here ------------------------------------------------------------------ */

#define WORDPIECE                                                                                     \
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\"," \
    "\"max_input_chars_per_word\":100,\"vocab\":{\"[UNK]\":0,\"a\":1,\"b\":2,\"##b\":3,\"x\":7}}"
#define ADDED(content, single, left, right, normalized)                                                      \
    "{\"id\":9,\"content\":\"" content "\",\"single_word\":" single ",\"lstrip\":" left ",\"rstrip\":" right \
    ",\"normalized\":" normalized ",\"special\":false}"
#define BERT_PRE "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}"
#define TEMPLATE(single, tokens)                                              \
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[" single \
    "],\"special_tokens\":{" tokens "}}"
#define SPECIAL(id) "{\"SpecialToken\":{\"id\":\"" id "\",\"type_id\":0}}"
#define SEQUENCE(id) "{\"Sequence\":{\"id\":\"" id "\",\"type_id\":0}}"

TEST(wordpiece_and_truncation)
{
    gn_tokenizer *t = parsed("{" WORDPIECE "," BERT_PRE "," TEMPLATE(
        SPECIAL("S") "," SEQUENCE("A") "," SPECIAL("E"), "\"S\":{\"ids\":[5,6]},\"E\":{\"ids\":[4]}") "}");
    CHECK_STR(gn_tokenizer_kind(t), "WordPiece");
    CHECK_INT(gn_tokenizer_vocab_size(t), 8);
    CHECK_STR(gn_tokenizer_token(t, 3), "##b");
    CHECK(gn_tokenizer_token(t, 4) == NULL);
    CHECK(gn_tokenizer_token(t, -1) == NULL);
    CHECK(gn_tokenizer_token(t, 100) == NULL);
    CHECK_STR(ids(t, "abb a,b", true, 0), "5 6 1 3 3 1 0 2 4");
    CHECK_STR(ids(t, "abb a,b", false, 0), "1 3 3 1 0 2");
    CHECK_STR(ids(t, "abb a,b", true, 5), "5 6 1 3 4");
    CHECK_STR(ids(t, "abb a,b", false, 5), "1 3 3 1 0");
    CHECK_STR(ids(t, "abb a,b", true, 2), "5 6 4"); /* the special tokens stay */
    CHECK_STR(ids(t, "", true, 0), "5 6 4");
    gn_tokens tokens = {0};
    encode(t, "abb", true, 6, &tokens);
    CHECK(!tokens.cut);
    encode(t, "abb", true, 5, &tokens);
    CHECK(tokens.cut);
    encode(t, "", true, 3, &tokens);
    CHECK(!tokens.cut);
    gn_tokens_free(&tokens);
    gn_tokenizer_free(t);
}

TEST(templates_repeat_or_drop_the_text)
{
    gn_tokenizer *t = parsed("{" WORDPIECE "," BERT_PRE "," TEMPLATE(
        SEQUENCE("A") "," SPECIAL("S") "," SEQUENCE("A"), "\"S\":{\"ids\":[5]}") "}");
    CHECK_STR(ids(t, "a b", true, 0), "1 2 5 1 2");
    CHECK_STR(ids(t, "a b", false, 0), "1 2 1 2");
    gn_tokenizer_free(t);
    t = parsed("{" WORDPIECE "," TEMPLATE("", "") "}");
    CHECK_STR(ids(t, "ab", true, 0), "");
    gn_tokenizer_free(t);
}

/* The expected ids here were asked of tokenizers 0.23.3. */
TEST(added_tokens)
{
    /* ids come from the vocabulary, else from its size on; the file's own are not consulted */
    gn_tokenizer *t =
        parsed("{" WORDPIECE ",\"added_tokens\":[" ADDED("q", "false", "false", "false", "false") "," ADDED(
            "x", "false", "false", "false", "false") "," ADDED("", "false", "false", "false", "false") "]}");
    CHECK_STR(ids(t, "aqxb", true, 0), "1 5 7 2");
    CHECK_INT(gn_tokenizer_vocab_size(t), 8);
    CHECK_STR(gn_tokenizer_token(t, 5), "q");
    gn_tokenizer_free(t);
    /* white space taken by one token is not given to the next, yet a token within it is found */
    t = parsed("{" WORDPIECE ",\"added_tokens\":[" ADDED("X", "false", "false", "true", "false") "," ADDED(
        " ", "false", "false", "false", "false") "]}");
    CHECK_STR(ids(t, "aX  b", true, 0), "1 5 6 6 2");
    gn_tokenizer_free(t);
    t = parsed("{" WORDPIECE ",\"added_tokens\":[" ADDED("  ", "false", "true", "true", "false") "]}");
    CHECK_STR(ids(t, "a     b", true, 0), "1 5 2");
    gn_tokenizer_free(t);
    t = parsed("{" WORDPIECE "," BERT_PRE
               ",\"added_tokens\":[" ADDED("q", "true", "false", "false", "false") "]}");
    CHECK_STR(ids(t, "q aq q, qa", true, 0), "5 0 5 0 0");
    gn_tokenizer_free(t);
    /* longest first */
    t = parsed("{" WORDPIECE ",\"added_tokens\":[" ADDED("qr", "false", "false", "false", "false") "," ADDED(
        "qrst", "false", "false", "false", "false") "," ADDED("rs", "false", "false", "false", "false") "]}");
    CHECK_STR(ids(t, "qrsqrst", true, 0), "5 0 6");
    gn_tokenizer_free(t);
}

#define BPE(more)                                                                                            \
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"ab\":3,\"bc\":4,\"abc\":5,\"<u>\":6}," \
    "\"merges\":[\"b c\",\"a b\",\"a bc\"]" more "}"

TEST(bpe)
{
    gn_tokenizer *t = parsed("{" BPE("") "}");
    CHECK_STR(gn_tokenizer_kind(t), "BPE");
    CHECK_STR(ids(t, "abcab", true, 0), "5 3"); /* by rank, not from the left */
    CHECK_STR(ids(t, "azb", true, 0), "3");     /* what is unknown vanishes, as in the library */
    CHECK_STR(ids(t, "zz", true, 0), "");
    gn_tokenizer_free(t);
    t = parsed("{" BPE(",\"unk_token\":\"<u>\"") "}");
    CHECK_STR(ids(t, "azzb", true, 0), "0 6 6 1");
    gn_tokenizer_free(t);
    t = parsed("{" BPE(",\"unk_token\":\"<u>\",\"fuse_unk\":true") "}");
    CHECK_STR(ids(t, "azzb", true, 0), "0 6 1");
    gn_tokenizer_free(t);
    t = parsed("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"aab\":3},"
               "\"merges\":[[\"a\",\"b\"]],\"ignore_merges\":true}}");
    CHECK_STR(ids(t, "aab", true, 0), "3");
    CHECK_STR(ids(t, "aabb", true, 0), "0 2 1");
    gn_tokenizer_free(t);
    t = parsed("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"<0xC3>\":1,\"<0xA9>\":2},\"merges\":[],"
               "\"byte_fallback\":true}}");
    CHECK_STR(ids(t, "aé", true, 0), "0 1 2");
    gn_tokenizer_free(t);
    t = parsed("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"@a\":1,\"@a.\":2,\"a@a\":3,\"aa\":4},"
               "\"merges\":[\"a @a\"],\"continuing_subword_prefix\":\"@\",\"end_of_word_suffix\":\".\"}}");
    CHECK_STR(ids(t, "aaa", true, 0), "4 2");
    gn_tokenizer_free(t);
}

/* As gpt2 and other early models are published: no "type", and an unknown token that the vocabulary lacks. */
TEST(old_files_without_a_model_type)
{
    gn_tokenizer *t = parsed("{\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}}");
    CHECK_STR(gn_tokenizer_kind(t), "BPE");
    CHECK_STR(ids(t, "aab", true, 0), "0 2");
    gn_tokenizer_free(t);
    t = parsed("{\"model\":{\"unk_token\":\"u\",\"continuing_subword_prefix\":\"##\","
               "\"max_input_chars_per_word\":100,\"vocab\":{\"u\":0,\"a\":1}}}");
    CHECK_STR(gn_tokenizer_kind(t), "WordPiece");
    CHECK_STR(ids(t, "a", true, 0), "1");
    gn_tokenizer_free(t);
    gn_error err = {0};
    json_error_t error;
    json_t *root = json_load_file(test_path("tests/golden/text/gpt2/tokenizer.json"), 0, &error);
    json_t *model = json_object_get(root, "model");
    CHECK(root != NULL && json_object_del(model, "type") == 0);
    CHECK(json_object_set_new(model, "unk_token", json_string("")) == 0);
    gn__tok_source source = {"gpt2", &err};
    CHECK_OK(gn__tokenizer_build(&source, root, &t), err);
    gn_tokenizer_free(t);
    CHECK(json_object_set_new(root, "pre_tokenizer", json_null()) == 0);
    CHECK(gn__tokenizer_build(&source, root, &t) == GN_FORMAT); /* now anything may be unknown */
    CHECK_HAS(err.message, "the unknown token \"\" is not in the vocabulary");
    json_decref(root);
}

/* ---- refusals ------------------------------------------------------------------------------------ */

static const struct {
    const char *json;
    gn_status code;
    const char *message;
} refused[] = {
    {"{", GN_FORMAT, "tokenizer.json is not valid JSON: line 1"},
    {"[]", GN_FORMAT, "the tokenizer must be an object"},
    {"{\"a\":1,\"a\":2}", GN_FORMAT, "duplicate"},
    {"{\"version\":\"2.0\"}", GN_UNSUPPORTED, "version \"2.0\""},
    {"{\"version\":1}", GN_FORMAT, "tokenizer: the field \"version\" must be a string"},
    {"{}", GN_FORMAT, "the model must be an object"},
    {"{\"model\":{}}", GN_FORMAT, "model: the field \"type\" must be a string"},
    {"{\"model\":{\"type\":\"Trigram\"}}", GN_UNSUPPORTED, "the model \"Trigram\" is not supported"},
    {"{\"normalizer\":{\"type\":\"Other\"}}", GN_UNSUPPORTED, "the normalizer \"Other\" is not supported"},
    {"{\"normalizer\":[]}", GN_FORMAT, "the normalizer must be an object"},
    {"{\"normalizer\":{\"type\":\"Sequence\"}}", GN_FORMAT,
     "Sequence: the field \"normalizers\" must be a list"},
    {"{\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":1}}", GN_FORMAT,
     "BertNormalizer: the field \"clean_text\" must be true or false"},
    {"{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Other\"}]}}", GN_UNSUPPORTED,
     "the pre-tokenizer \"Other\" is not supported"},
    {"{\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}", GN_FORMAT,
     "the field \"add_prefix_space\" must be true or false"},
    {"{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
     "\"max_input_chars_per_word\":-1,\"vocab\":{}}}",
     GN_FORMAT, "\"max_input_chars_per_word\" must be a whole number from 0"},
    {"{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
     "\"max_input_chars_per_word\":100,\"vocab\":[]}}",
     GN_FORMAT, "the field \"vocab\" must be an object"},
    {"{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
     "\"max_input_chars_per_word\":100,\"vocab\":{\"a\":0}}}",
     GN_FORMAT, "the unknown token \"[UNK]\" is not in the vocabulary"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", GN_FORMAT,
     "the id of the token \"a\" is not a number from 0 to 67108864"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":67108865},\"merges\":[]}}", GN_FORMAT,
     "the id of the token \"a\""},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":1.5},\"merges\":[]}}", GN_FORMAT,
     "the id of the token \"a\""},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":3,\"b\":3},\"merges\":[]}}", GN_FORMAT,
     "the tokens \"a\" and \"b\" have the same id 3"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}", GN_FORMAT,
     "merge 1 names \"b\", which is not in the vocabulary"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[\"a b\"]}}", GN_FORMAT,
     "merge 1 names \"ab\""},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}", GN_FORMAT,
     "merge 1 is not a pair of tokens"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a a a\"]}}", GN_FORMAT,
     "merge 1 is not a pair"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}", GN_FORMAT,
     "merge 1 is not a pair"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\",1]]}}", GN_FORMAT,
     "merge 1 is not a pair"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[3]}}", GN_FORMAT, "merge 1 is not a pair"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0}}}", GN_FORMAT,
     "BPE: the field \"merges\" must be a list"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[\"a b\"],"
     "\"continuing_subword_prefix\":\"@@\"}}",
     GN_FORMAT, "merge 1: \"b\" is shorter than the prefix \"@@\""},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[],\"unk_token\":\"<u>\"}}", GN_FORMAT,
     "the unknown token \"<u>\" is not in the vocabulary"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[],\"dropout\":0.1}}", GN_UNSUPPORTED,
     "with dropout"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[],\"dropout\":\"x\"}}", GN_FORMAT,
     "\"dropout\" must be a number"},
    {"{" WORDPIECE ",\"added_tokens\":{}}", GN_FORMAT, "\"added_tokens\" must be a list"},
    {"{" WORDPIECE ",\"added_tokens\":[1]}", GN_FORMAT, "the added token must be an object"},
    {"{" WORDPIECE ",\"added_tokens\":[{\"id\":-1}]}", GN_FORMAT,
     "\"id\" must be a whole number from 0 to 67108864"},
    {"{" WORDPIECE ",\"added_tokens\":[{\"id\":1,\"content\":\"y\"}]}", GN_FORMAT,
     "\"single_word\" must be true or false"},
    {"{" WORDPIECE
     ",\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
     "\"lowercase\":true},\"added_tokens\":[" ADDED("\xCC\x81", "false", "false", "false", "true") "]}",
     GN_UNSUPPORTED, "is empty once normalized"},
    {"{" WORDPIECE ",\"normalizer\":{\"type\":\"Lowercase\"},\"added_tokens\":[" ADDED(
         "ABC", "false", "false", "false", "true") "," ADDED("abc", "false", "false", "false", "true") "]}",
     GN_UNSUPPORTED, "the added tokens \"ABC\" and \"abc\" are one text once normalized"},
    {"{" WORDPIECE ",\"post_processor\":{\"type\":\"Other\"}}", GN_UNSUPPORTED,
     "the post-processor \"Other\" is not supported"},
    {"{" WORDPIECE "," TEMPLATE(SPECIAL("S"), "") "}", GN_FORMAT,
     "the special token \"S\" of the template is not described"},
    {"{" WORDPIECE "," TEMPLATE(SPECIAL("S"), "\"S\":{\"ids\":[-1]}") "}", GN_FORMAT,
     "\"ids\" must be a short list of token ids"},
    {"{" WORDPIECE "," TEMPLATE(SEQUENCE("B"), "") "}", GN_FORMAT, "\"single\" must be a short list"},
    {"{" WORDPIECE ",\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"a\",1],\"sep\":[\"b\"]}}",
     GN_FORMAT, "\"sep\" must be a pair of a token and its id"},
    {"{" WORDPIECE
     ",\"post_processor\":{\"type\":\"RobertaProcessing\",\"cls\":[\"a\",1],\"sep\":[\"b\",2]}}",
     GN_FORMAT, "\"trim_offsets\" must be true or false"},
    {"{" WORDPIECE ",\"post_processor\":{\"type\":\"Sequence\",\"processors\":["
     "{\"type\":\"BertProcessing\",\"cls\":[\"a\",1],\"sep\":[\"b\",2]},"
     "{\"type\":\"BertProcessing\",\"cls\":[\"a\",1],\"sep\":[\"b\",2]}]}}",
     GN_UNSUPPORTED, "two post-processors that add tokens"},
};

TEST(malformed_descriptions_are_refused)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        gn_error err = {0};
        gn_tokenizer *t;
        gn_status status = parse(refused[i].json, &t, &err);
        if (status != refused[i].code || strstr(err.message, refused[i].message) == NULL)
            test_fail(__FILE__, __LINE__, "%s gave %s \"%s\"", refused[i].json, gn_status_text(status),
                      err.message);
        CHECK(t == NULL);
        char english[sizeof err.message];
        memcpy(english, err.message, sizeof english);
        err.lang = GN_LANG_JA;
        parse(refused[i].json, &t, &err);
        if (strcmp(english, err.message) == 0)
            test_fail(__FILE__, __LINE__, "no Japanese for \"%s\"", english);
    }
}

TEST(too_deep_and_too_long_descriptions_are_refused)
{
    gn_error err = {0};
    gn_tokenizer *t;
    gn__buf json = {0};
    gn__buf_puts(&json, "{\"normalizer\":");
    for (int i = 0; i < 20; i++) gn__buf_puts(&json, "{\"type\":\"Sequence\",\"normalizers\":[");
    for (int i = 0; i < 20; i++) gn__buf_puts(&json, "]}");
    gn__buf_puts(&json, "}");
    CHECK(parse(json.data, &t, &err) == GN_UNSUPPORTED);
    CHECK_HAS(err.message, "sequences more than 8 deep, in the normalizer");
    json.length = 0;
    gn__buf_puts(&json, "{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[],\"end_of_word_suffix\":\"");
    for (int i = 0; i < 300; i++) gn__buf_puts(&json, "x");
    gn__buf_puts(&json, "\"}}");
    CHECK(parse(json.data, &t, &err) == GN_FORMAT);
    CHECK_HAS(err.message, "\"end_of_word_suffix\" must be a short string");
    json.length = 0;
    gn__buf_puts(&json, "{" WORDPIECE ",\"post_processor\":{\"type\":\"Sequence\",\"processors\":[");
    for (int i = 0; i < 20; i++)
        gn__buf_printf(&json, "%s{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true}",
                       i > 0 ? "," : "");
    gn__buf_puts(&json, "]}}");
    CHECK(parse(json.data, &t, &err) == GN_UNSUPPORTED);
    CHECK_HAS(err.message, "in the post-processor");
    gn__buf_free(&json);
}

/* ---- folders ------------------------------------------------------------------------------------- */

/* A new folder with up to three files (name, content); static storage. */
static const char *folder_with(const char *name, const char *const (*file)[2], size_t n)
{
    static char folder[500];
    gn_error err = {0};
    snprintf(folder, sizeof folder, "%s/%s", test_folder(), name);
    CHECK_OK(gn__make_directory(folder, &err), err);
    for (size_t i = 0; i < n; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", folder, file[i][0]);
        CHECK_OK(gn__write_file(path, file[i][1], strlen(file[i][1]), &err), err);
    }
    return folder;
}

static void check_folder(const char *name, const char *const (*file)[2], size_t n, gn_status code,
                         const char *message)
{
    gn_error err = {0};
    gn_tokenizer *t = NULL;
    const char *folder = folder_with(name, file, n);
    gn_status status = gn_tokenizer_load(folder, &t, &err);
    if (status != code || strstr(err.message, message) == NULL || t != NULL)
        test_fail(__FILE__, __LINE__, "%s gave %s \"%s\"", name, gn_status_text(status), err.message);
}

#define VOCAB_TXT "[PAD]\n[UNK]\r\n[CLS]\n[SEP]\n[MASK]\na\n##b\na\n"

TEST(folder_priority_and_old_files)
{
    static const char *const all[][2] = {{"tokenizer.json", "{" WORDPIECE "}"},
                                         {"vocab.json", "{\"a\":0,\"b\":1,\"ab\":2}"},
                                         {"merges.txt", "#version: 0.2\na b\n\n"},
                                         {"vocab.txt", VOCAB_TXT}};
    gn_error err = {0};
    gn_tokenizer *t = NULL;
    CHECK_OK(gn_tokenizer_load(folder_with("f1", all, 4), &t, &err), err);
    CHECK_STR(ids(t, "ab", true, 0), "1 3");
    gn_tokenizer_free(t);
    CHECK_OK(gn_tokenizer_load(folder_with("f2", all + 1, 3), &t, &err), err);
    CHECK_STR(gn_tokenizer_kind(t), "BPE");
    CHECK_STR(ids(t, "abb<|endoftext|>", true, 0),
              "2 1 3"); /* the end of text is added behind the vocabulary */
    gn_tokenizer_free(t);
    CHECK_OK(gn_tokenizer_load(folder_with("f3", all + 3, 1), &t, &err), err);
    CHECK_STR(gn_tokenizer_kind(t), "WordPiece");
    CHECK_STR(ids(t, "Áb[MASK] q", true, 0), "2 7 6 4 1 3"); /* of equal lines the last counts */
    gn_tokenizer_free(t);
    static const char *const options[][2] = {
        {"vocab.json", "{\"a\":0,\"b\":1,\"<s>\":2,\"\xC4\xA0\":3}"},
        {"merges.txt", "#version: 0.2\r\n\r\n"},
        {"tokenizer_config.json",
         "{\"model_max_length\":1000000000000000019884624838656,\"add_prefix_space\":true,\"additional_"
         "special_tokens\":[\"Q\"],\"add_bos_token\":true,\"tokenizer_class\":\"GPT2Tokenizer\","
         "\"bos_token\":{\"content\":\"<s>\",\"lstrip\":true},\"add_eos_token\":true,"
         "\"eos_token\":\"b\",\"unk_token\":\"<s>\",\"added_tokens_decoder\":{\"5\":"
         "{\"content\":\"zz\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
         "\"normalized\":false,\"special\":true}}}"}};
    CHECK_OK(gn_tokenizer_load(folder_with("f4", options, 3), &t, &err), err);
    CHECK_STR(ids(t, "azza  <s>", true, 0), "2 3 0 4 3 0 3 3 2 1");
    CHECK_STR(ids(t, "Q", true, 0), "2 5 1");
    gn_tokenizer_free(t);
}

TEST(bad_folders)
{
    gn_error err = {0};
    gn_tokenizer *t = NULL;
    CHECK(gn_tokenizer_load("/nonexistent/folder", &t, &err) == GN_IO);
    CHECK_HAS(err.message, "/nonexistent/folder is not a folder");
    check_folder("b1", NULL, 0, GN_IO, "holds no tokenizer");
    static const char *const json[][2] = {{"tokenizer.json", "{\"model\":\n[}"}};
    check_folder("b2", json, 1, GN_FORMAT, "b2/tokenizer.json is not valid JSON: line 2");
    static const char *const lines[][2] = {{"vocab.txt", "[UNK]\n\xFF\n"}};
    check_folder("b3", lines, 1, GN_FORMAT, "vocab.txt: line 2 is not UTF-8 text");
    static const char *const unknown[][2] = {{"vocab.txt", "[CLS]\n[SEP]\n"}};
    check_folder("b4", unknown, 1, GN_FORMAT, "the unknown token \"[UNK]\" is not in the vocabulary");
    static const char *const cls[][2] = {{"vocab.txt", "[UNK]\n[SEP]\n"}};
    check_folder("b5", cls, 1, GN_FORMAT, "the special token \"[CLS]\" is not in the vocabulary");
    static const char *const class[][2] = {
        {"vocab.txt", VOCAB_TXT},
        {"tokenizer_config.json", "{\"tokenizer_class\":\"BertJapaneseTokenizer\"}"}};
    check_folder("b6", class, 2, GN_UNSUPPORTED,
                 "the tokenizer class \"BertJapaneseTokenizer\" without a tokenizer.json");
    static const char *const config[][2] = {{"vocab.txt", VOCAB_TXT}, {"tokenizer_config.json", "[]"}};
    check_folder("b7", config, 2, GN_FORMAT, "tokenizer_config.json: the file must be an object");
    static const char *const merges[][2] = {{"vocab.json", "{\"a\":0}"},
                                            {"merges.txt", "#version: 0.2\na a\nab\n"}};
    check_folder("b8", merges, 2, GN_FORMAT, "merges.txt: line 3 is not a pair of tokens");
    static const char *const vocab[][2] = {{"vocab.json", "{\"a\":"}, {"merges.txt", ""}};
    check_folder("b9", vocab, 2, GN_FORMAT, "vocab.json is not valid JSON");
    static const char *const listed[][2] = {
        {"vocab.txt", VOCAB_TXT}, {"tokenizer_config.json", "{\"added_tokens_decoder\":{\"1\":2}}"}};
    check_folder("b10", listed, 2, GN_FORMAT, "the added token must be an object");
}

/* ---- size and threads ---------------------------------------------------------------------------- */

static double seconds_for(const gn_tokenizer *t, const char *unit, size_t bytes, size_t limit,
                          gn_tokens *tokens)
{
    size_t n = strlen(unit), times = bytes / n;
    char *text = malloc(times * n);
    gn_error err = {0};
    CHECK(text != NULL);
    for (size_t i = 0; i < times; i++) memcpy(text + i * n, unit, n);
    double start = gn__now();
    CHECK_OK(gn_tokenizer_encode(t, text, times * n, true, limit, tokens, &err), err);
    double seconds = gn__now() - start;
    free(text);
    return seconds;
}

TEST(long_texts_take_linear_time)
{
    static const char *const folder[] = {"tests/golden/text/bert_uncased", "tests/golden/text/gpt2"};
    static const char *const unit[] = {"a", "the", " ", "\xCC\x81\xCC\xA3", "\xE6\x97\xA5", "'", "\n", "<"};
    for (size_t f = 0; f < 2; f++) {
        gn_tokenizer *t = load(folder[f]);
        gn_tokens tokens = {0};
        for (size_t i = 0; i < sizeof unit / sizeof *unit; i++) {
            /* a quadratic algorithm would need hours for a megabyte */
            double seconds = seconds_for(t, unit[i], 1000000, 0, &tokens);
            if (seconds > 20)
                test_fail(__FILE__, __LINE__, "%s: %g s for \"%s\"", folder[f], seconds, unit[i]);
        }
        seconds_for(t, "pump stop, ", 1000000, 512, &tokens);
        CHECK_INT(tokens.count, 512);
        CHECK(tokens.cut);
        gn_tokens_free(&tokens);
        gn_tokenizer_free(t);
    }
    gn_tokenizer *t = load(folder[0]);
    gn_tokens tokens = {0};
    seconds_for(t, "a", 1000000, 0, &tokens);
    CHECK_INT(tokens.count, 3); /* [CLS] [UNK] [SEP] */
    CHECK_INT(tokens.id[1], 1);
    CHECK_INT(tokens.end[1], 1000000);
    gn_tokens_free(&tokens);
    gn_tokenizer_free(t);
}

/* A megabyte of Japanese without a space or a mark, no two stretches of it alike, the short way and the long.
 */
TEST(long_japanese_takes_linear_time)
{
    enum { BYTES = 1000000 };
    static const char *const folder[] = {"tests/golden/text/gpt2", "tests/golden/text/bert_cased"};
    static const char sentence[] =
        "現地で部品を確認したところねじが緩んでいました今日は雨なので作業を中止します";
    char *text = malloc(BYTES);
    gn__rng r = gn__rng_make(3, 1, 0);
    gn_error err = {0};
    CHECK(text != NULL);
    for (size_t i = 0; i + 3 <= BYTES; i += 3)
        memcpy(text + i, sentence + 3 * gn__rng_below(&r, (sizeof sentence - 1) / 3), 3);
    for (size_t f = 0; f < 2; f++) {
        gn_tokenizer *t = load(folder[f]);
        gn_tokens tokens = {0}, again = {0};
        double start = gn__now();
        CHECK_OK(gn_tokenizer_encode(t, text, BYTES / 3 * 3, true, 0, &tokens, &err), err);
        CHECK(gn__now() - start < 20);
        gn__fast *fast = t->fast;
        CHECK((fast != NULL) == (f == 0));
        t->fast = NULL;
        CHECK_OK(gn_tokenizer_encode(t, text, BYTES / 3 * 3, true, 0, &again, &err), err);
        t->fast = fast;
        CHECK(gn__now() - start < 40);
        CHECK(tokens.count == again.count &&
              memcmp(tokens.id, again.id, tokens.count * sizeof *tokens.id) == 0 &&
              memcmp(tokens.begin, again.begin, tokens.count * sizeof *tokens.begin) == 0 &&
              memcmp(tokens.end, again.end, tokens.count * sizeof *tokens.end) == 0);
        gn_tokens_free(&tokens);
        gn_tokens_free(&again);
        gn_tokenizer_free(t);
    }
    free(text);
}

TEST(too_long_a_text_is_refused)
{
    gn_tokenizer *t = parsed("{" WORDPIECE "}");
    gn_tokens tokens = {0};
    gn_error err = {0};
    CHECK(gn_tokenizer_encode(t, "", ((size_t)1 << 30) + 1, true, 0, &tokens, &err) == GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "longer than the 1073741824 allowed");
    gn_tokenizer_free(t);
    gn_tokenizer_free(NULL);
}

static void *encode_many(void *arg)
{
    const gn_tokenizer *t = arg;
    static const char text[] = "The pump doesn't start: 現地で確認 😀 naïve";
    gn_tokens first = {0}, again = {0};
    gn_error err = {0};
    bool same = gn_tokenizer_encode(t, text, strlen(text), true, 0, &first, &err) == GN_OK;
    for (int i = 0; same && i < 2000; i++) {
        same = gn_tokenizer_encode(t, text, strlen(text), true, 0, &again, &err) == GN_OK &&
               again.count == first.count && memcmp(again.id, first.id, first.count * sizeof *first.id) == 0;
    }
    gn_tokens_free(&first);
    gn_tokens_free(&again);
    return same ? arg : NULL;
}

TEST(threads_share_a_tokenizer)
{
    gn_tokenizer *t = load("tests/golden/text/gpt2");
    pthread_t thread[4];
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&thread[i], NULL, encode_many, t) == 0);
    bool same = true;
    for (int i = 0; i < 4; i++) {
        void *result;
        CHECK(pthread_join(thread[i], &result) == 0);
        same = same && result != NULL;
    }
    CHECK(same);
    gn_tokenizer_free(t);
}
