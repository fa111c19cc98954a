/* Whole pipelines of model families, each part that tokenizer.json can name, and SentencePiece models,
 * against `tokenizers` and `transformers` (tests/golden/make_families.py; expected values in this file were
 * asked of tokenizers 0.23.3). */
#include "core/core.h"
#include "test.h"
#include "text/pattern.h"
#include "text/sentencepiece.h"
#include "text/tokenizer.h"

#include <pthread.h>
#include <unistd.h>

static gn_status parse(const char *json, gn_tokenizer **out, gn_error *err)
{
    gn__tok_source source = {"tokenizer.json", err};
    *out = NULL;
    return gn__tokenizer_parse(&source, json, strlen(json), out);
}

/* ---- families ------------------------------------------------------------------------------------ */

static void check_rows(const gn_tokenizer *t, const char *name)
{
    gn_error err = {0};
    gn_tokens tokens = {0};
    char *file;
    size_t length, rows = 0;
    CHECK_OK(gn__read_file(test_path("tests/golden/text/families.jsonl"), 1 << 20, &file, &length, &err),
             err);
    for (char *line = strtok(file, "\n"); line != NULL; line = strtok(NULL, "\n"), rows++) {
        json_t *row = json_loads(line, 0, NULL);
        const char *text = json_string_value(json_object_get(row, "text"));
        const json_t *expected = json_object_get(row, name);
        CHECK_OK(gn_tokenizer_encode(t, text, strlen(text), true, 0, &tokens, &err), err);
        bool same = tokens.count == json_array_size(expected);
        for (size_t i = 0; same && i < tokens.count; i++)
            same = tokens.id[i] == json_integer_value(json_array_get(expected, i));
        if (!same) test_fail(__FILE__, __LINE__, "%s differs from the library for %s", name, line);
        json_decref(row);
    }
    CHECK(rows > 80);
    free(file);
    gn_tokens_free(&tokens);
}

static void check_byte_level(const char *name, const char *digits, bool nfc)
{
    gn_error err = {0};
    json_t *root = json_load_file(test_path("tests/golden/text/gpt2/tokenizer.json"), 0, NULL);
    char regex[300];
    snprintf(regex, sizeof regex,
             "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|%s| "
             "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
             "\\s+(?!\\S)|\\s+",
             digits);
    json_t *pre =
        json_pack("{s:s, s:[{s:s, s:{s:s}, s:s, s:b}, {s:s, s:b, s:b, s:b}]}", "type", "Sequence",
                  "pretokenizers", "type", "Split", "pattern", "Regex", regex, "behavior", "Isolated",
                  "invert", 0, "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 1, "use_regex", 0);
    CHECK(root != NULL && pre != NULL);
    json_object_set_new(root, "pre_tokenizer", pre);
    if (nfc) json_object_set_new(root, "normalizer", json_pack("{s:s}", "type", "NFC"));
    gn__tok_source source = {"tokenizer.json", &err};
    gn_tokenizer *t = NULL;
    CHECK_OK(gn__tokenizer_build(&source, root, &t), err);
    gn__fast *fast = t->fast;
    CHECK(fast != NULL && t->fast_nfc == nfc);
    check_rows(t, name);
    t->fast = NULL; /* the long way gives the same */
    check_rows(t, name);
    t->fast = fast;
    gn_tokenizer_free(t);
    json_decref(root);
}

TEST(byte_level_families)
{
    check_byte_level("llama3", "\\p{N}{1,3}", false);
    check_byte_level("qwen2", "\\p{N}", true);
}

/* Words that are tokens as they stand, short and long; the merges lead elsewhere. */
TEST(merges_are_ignored_for_whole_words)
{
    gn_error err = {0};
    json_t *root = json_load_file(test_path("tests/golden/text/gpt2/tokenizer.json"), 0, NULL);
    json_t *model = json_object_get(root, "model"), *vocab = json_object_get(model, "vocab");
    char word[601] = {0}, text[3000] = "";
    gn__tok_source source = {"tokenizer.json", &err};
    gn_tokenizer *t = NULL;
    gn_tokens tokens = {0};
    CHECK(json_object_set_new(model, "ignore_merges", json_true()) == 0);
    for (int k = 0; k < 3; k++) {
        memset(word, 'q', 600);
        word[k == 0 ? 20 : k == 1 ? 40 : 600] = '\0';
        CHECK(json_object_set_new(vocab, word, json_integer(5000 + k)) == 0);
        snprintf(text + strlen(text), 700, "%s.", word);
    }
    CHECK_OK(gn__tokenizer_build(&source, root, &t), err);
    CHECK(t->fast != NULL);
    CHECK_OK(gn_tokenizer_encode(t, text, strlen(text), true, 0, &tokens, &err), err);
    CHECK_INT(tokens.count, 6);
    for (int k = 0; k < 3; k++) CHECK_INT(tokens.id[2 * k], 5000 + k);
    CHECK_INT(tokens.end[4] - tokens.begin[4], 600);
    gn_tokens_free(&tokens);
    gn_tokenizer_free(t);
    json_decref(root);
}

static void put_file(const char *folder, const char *name, const void *data, size_t n)
{
    gn_error err = {0};
    char *path = gn__path_join(folder, name);
    CHECK_OK(gn__write_file(path, data, n, &err), err);
    free(path);
}

/* more: further files, a name and its content after another, to NULL; NULL: none. */
static void check_model(const char *family, const char *model, const char *file, const char *config,
                        const char *const *more)
{
    gn_error err = {0};
    char folder[] = "/tmp/genchi-test-XXXXXX", *data, path[200], command[200];
    size_t size;
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "tests/golden/text/sentencepiece/%s.model", model);
    CHECK_OK(gn__read_file(test_path(path), 1 << 20, &data, &size, &err), err);
    put_file(folder, file, data, size);
    put_file(folder, "tokenizer_config.json", config, strlen(config));
    for (const char *const *m = more; m != NULL && *m != NULL; m += 2)
        put_file(folder, m[0], m[1], strlen(m[1]));
    gn_tokenizer *t = NULL;
    CHECK_OK(gn_tokenizer_load(folder, &t, &err), err);
    check_rows(t, family);
    gn_tokenizer_free(t);
    /* cut short anywhere: an error, or a model with fewer pieces, never more than that */
    gn__tok_source source = {"x.model", &err};
    for (size_t n = 0; n < 2000; n++) {
        gn__spm m;
        unsigned char *part = malloc(n + 1);
        memcpy(part, data, n);
        if (gn__spm_read(&source, part, n, &m) == GN_OK) gn__spm_free(&m);
        free(part);
    }
    CHECK(gn__spm_read(&source, (const unsigned char *)"\x0A\x7F", 2, &(gn__spm){0}) == GN_FORMAT);
    free(data);
    snprintf(command, sizeof command, "%s/%s", folder, file);
    unlink(command);
    snprintf(command, sizeof command, "%s/tokenizer_config.json", folder);
    unlink(command);
    for (const char *const *m = more; m != NULL && *m != NULL; m += 2) {
        snprintf(command, sizeof command, "%s/%s", folder, m[0]);
        unlink(command);
    }
    rmdir(folder);
}

TEST(sentencepiece_models)
{
    static const struct {
        const char *row, *model, *file, *config;
    } classes[] = {
        {"t5", "unigram", "spiece.model", "{\"tokenizer_class\":\"T5Tokenizer\"}"},
        {"xlm_roberta", "unigram", "sentencepiece.bpe.model",
         "{\"tokenizer_class\":\"XLMRobertaTokenizerFast\"}"},
        {"llama", "bpe", "tokenizer.model",
         "{\"tokenizer_class\":\"LlamaTokenizer\",\"add_bos_token\":true}"},
        {"llama_legacy", "bpe", "tokenizer.model",
         "{\"tokenizer_class\":\"LlamaTokenizer\",\"legacy\":true,\"add_eos_token\":true}"},
        {"t5_pieces", "pegasus", "spiece.model",
         "{\"tokenizer_class\":\"T5Tokenizer\",\"extra_ids\":3,\"pad_token\":{\"content\":\"<pad>\","
         "\"lstrip\":true}}"},
        {"albert", "albert", "spiece.model", "{\"tokenizer_class\":\"AlbertTokenizer\"}"},
        {"albert_cased", "albert", "spiece.model",
         "{\"tokenizer_class\":\"AlbertTokenizer\",\"do_lower_case\":false,\"keep_accents\":true,\"add_"
         "prefix_space\":"
         "false}"},
        {"camembert", "unigram", "sentencepiece.bpe.model", "{\"tokenizer_class\":\"CamembertTokenizer\"}"},
        {"mbart", "unigram", "sentencepiece.bpe.model", "{\"tokenizer_class\":\"MBartTokenizer\"}"},
        {"mbart_ja", "unigram", "sentencepiece.bpe.model",
         "{\"tokenizer_class\":\"MBartTokenizer\",\"src_lang\":\"ja_XX\"}"},
        {"mbart50", "unigram", "sentencepiece.bpe.model",
         "{\"tokenizer_class\":\"MBart50Tokenizer\",\"src_lang\":\"ja_XX\"}"},
        {"deberta", "deberta", "spm.model", "{\"tokenizer_class\":\"DebertaV2Tokenizer\"}"},
        {"deberta_punctuation", "deberta", "spm.model",
         "{\"tokenizer_class\":\"DebertaV2TokenizerFast\",\"do_lower_case\":true,\"split_by_punct\":true,"
         "\"add_prefix_space\":false,\"added_tokens_decoder\":{"
         "\"900\":{\"content\":\"<more>\",\"lstrip\":true,\"rstrip\":true,\"single_word\":false,"
         "\"normalized\":false,"
         "\"special\":true},\"30\":{\"content\":\"<less>\",\"lstrip\":false,\"rstrip\":false,\"single_word\":"
         "true,"
         "\"normalized\":true,\"special\":false}}}"},
        {"gemma", "gemma", "tokenizer.model",
         "{\"tokenizer_class\":\"GemmaTokenizer\",\"add_bos_token\":true}"},
        {"pegasus", "pegasus", "spiece.model", "{\"tokenizer_class\":\"PegasusTokenizer\"}"},
        {"pegasus_offset", "pegasus", "spiece.model",
         "{\"tokenizer_class\":\"PegasusTokenizer\",\"offset\":5}"},
        {"xlnet", "xlnet", "spiece.model", "{\"tokenizer_class\":\"XLNetTokenizer\"}"},
        {"xlnet_lower", "xlnet", "spiece.model",
         "{\"tokenizer_class\":\"XLNetTokenizer\",\"do_lower_case\":true}"},
        {"big_bird", "big_bird", "spiece.model", "{\"tokenizer_class\":\"BigBirdTokenizer\"}"},
        {"t5_more", "pegasus", "spiece.model",
         "{\"tokenizer_class\":\"T5Tokenizer\",\"additional_special_tokens\":[\"<more>\",\"a\"]}"},
        {"mbart50_more", "unigram", "sentencepiece.bpe.model",
         "{\"tokenizer_class\":\"MBart50Tokenizer\",\"additional_special_tokens\":[\"<more>\"]}"},
        {"own_unigram", "unigram", "tokenizer.model", "{}"},
        {"own_albert", "albert", "tokenizer.model", "{\"tokenizer_class\":\"TokenizersBackend\"}"},
        {"own_bpe", "bpe", "tokenizer.model", "{\"tokenizer_class\":\"PreTrainedTokenizerFast\"}"},
        {"own_gemma", "gemma", "tokenizer.model", "{}"},
        {"own_plain", "plain", "tokenizer.model", "{\"add_bos_token\":true,\"legacy\":false}"},
    };
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        check_model(classes[i].row, classes[i].model, classes[i].file, classes[i].config, NULL);
}

/* Megabytes of one word, of spaces and of Japanese through Unigram and through BPE over whole texts. */
TEST(sentencepiece_models_take_linear_time)
{
    static const char *const models[] = {"unigram", "bpe", "gemma"};
    static const char *const units[] = {"pump", " ", "現地で部品を確認", "\xF0\x9F\x98\x80"};
    for (size_t k = 0; k < 3; k++) {
        gn_error err = {0};
        gn__tok_source source = {"x.model", &err};
        char path[200], *data;
        size_t size;
        gn__spm m;
        json_t *root = NULL;
        gn_tokenizer *t = NULL;
        gn_tokens tokens = {0};
        snprintf(path, sizeof path, "tests/golden/text/sentencepiece/%s.model", models[k]);
        CHECK_OK(gn__read_file(test_path(path), 1 << 20, &data, &size, &err), err);
        CHECK_OK(gn__spm_read(&source, (const unsigned char *)data, size, &m), err);
        CHECK_OK(gn__spm_convert(&source, &m, "", NULL, NULL, &root), err);
        CHECK_OK(gn__tokenizer_build(&source, root, &t), err);
        for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
            enum { BYTES = 1000000 };
            size_t n = strlen(units[u]), length = BYTES / n * n;
            char *text = malloc(length);
            CHECK(text != NULL);
            for (size_t i = 0; i < length; i += n) memcpy(text + i, units[u], n);
            double start = gn__now();
            CHECK_OK(gn_tokenizer_encode(t, text, length, true, 0, &tokens, &err), err);
            CHECK(gn__now() - start < 20);
            free(text);
        }
        gn_tokens_free(&tokens);
        gn_tokenizer_free(t);
        json_decref(root);
        gn__spm_free(&m);
        free(data);
    }
}

TEST(special_tokens_in_files_of_their_own)
{
    static const char *const files[] = {
        "config.json",
        "{\"model_type\":\"deberta-v2\"}",
        "special_tokens_map.json",
        "{\"mask_token\":{\"content\":\"<mask>\",\"lstrip\":true,\"rstrip\":false,\"single_word\":false,"
        "\"normalized\":false},\"sep_token\":\"<turn>\"}",
        "added_tokens.json",
        "{\"<mask>\":263,\"<less>\":262,\"<more>\":260}",
        NULL};
    check_model("deberta_files", "deberta", "spm.model", "{}", files);
}

TEST(sentencepiece_classes)
{
    CHECK_STR(gn__spm_class_of("deberta-v2"), "DebertaV2Tokenizer");
    CHECK_STR(gn__spm_class_of("t5"), "T5Tokenizer");
    CHECK_STR(gn__spm_class_of("umt5"), "");
    CHECK(gn__spm_class_of("5") == NULL && gn__spm_class_of("rembert") == NULL);
    gn_error err = {0};
    gn__tok_source source = {"x.model", &err};
    gn__spm_piece piece = {"a", 1, 0, 1};
    gn__spm m = {.piece = &piece, .pieces = 1, .model_type = GN__SPM_BPE};
    json_t *root = NULL;
    CHECK(gn__spm_convert(&source, &m, "RemBertTokenizer", NULL, NULL, &root) == GN_UNSUPPORTED);
    CHECK_HAS(err.message, "the tokenizer class \"RemBertTokenizer\"");
    CHECK(gn__spm_convert(&source, &m, "AlbertTokenizer", NULL, NULL, &root) == GN_UNSUPPORTED);
    CHECK_HAS(err.message, "this type of SentencePiece model");
    m.model_type = GN__SPM_UNIGRAM;
    CHECK(gn__spm_convert(&source, &m, "PegasusTokenizer", NULL, NULL, &root) == GN_FORMAT);
    CHECK_HAS(err.message, "\"<unk>\" is not in the vocabulary");
}

/* ---- parts --------------------------------------------------------------------------------------- */

/* The words that a pipeline makes of a text, each followed by "|". */
static const char *words(const char *parts, const char *text)
{
    static char out[1000];
    gn__buf json = {0};
    gn_error err = {0};
    gn_tokens tokens = {0};
    gn_tokenizer *t;
    gn__buf_printf(
        &json,
        "{%s,\"model\":{\"type\":\"BPE\",\"merges\":[],\"byte_fallback\":true,\"end_of_word_suffix\":\"|\","
        "\"vocab\":{",
        parts);
    for (int i = 0; i < 256; i++) gn__buf_printf(&json, "%s\"<0x%02X>\":%d", i ? "," : "", (unsigned)i, i);
    gn__buf_puts(&json, "}}}");
    CHECK_OK(parse(json.data, &t, &err), err);
    CHECK_OK(gn_tokenizer_encode(t, text, strlen(text), true, 0, &tokens, &err), err);
    for (size_t i = 0; i < tokens.count && i < sizeof out - 1; i++) out[i] = (char)tokens.id[i];
    out[tokens.count] = '\0';
    gn_tokens_free(&tokens);
    gn_tokenizer_free(t);
    gn__buf_free(&json);
    return out;
}

#define NORMALIZER(type, options) "\"normalizer\":{\"type\":\"" type "\"" options "}"
#define PRE(type, options) "\"pre_tokenizer\":{\"type\":\"" type "\"" options "}"
#define SPLIT(kind, pattern, behavior, invert) \
    PRE("Split",                               \
        ",\"pattern\":{\"" kind "\":\"" pattern "\"},\"behavior\":\"" behavior "\",\"invert\":" invert)

TEST(normalizers)
{
    CHECK_STR(words(NORMALIZER("NFC", ""), "e\xCC\x81"), "\xC3\xA9|");
    CHECK_STR(words(NORMALIZER("NFD", ""), "\xC3\xA9"), "e\xCC\x81|");
    CHECK_STR(words(NORMALIZER("NFKC", ""), "\xEF\xAC\x81\xE2\x91\xA0"), "fi1|");
    CHECK_STR(words(NORMALIZER("NFKD", ""), "\xC3\xA9\xEF\xBC\xA1"), "e\xCC\x81"
                                                                     "A|");
    CHECK_STR(words(NORMALIZER("Lowercase", ""), "\xC4\xB0X"), "i\xCC\x87x|");
    CHECK_STR(words(NORMALIZER("StripAccents", ""), "e\xCC\x81\xE0\xA4\x83x"), "ex|");
    CHECK_STR(words(NORMALIZER("Nmt", ""), "a\tb\x7F\xE2\x80\x8B."), "a b .|");
    CHECK_STR(words(NORMALIZER("Strip", ",\"strip_left\":true,\"strip_right\":false"), " a "), "a |");
    CHECK_STR(words(NORMALIZER("Prepend", ",\"prepend\":\"_\""), "a"), "_a|");
    CHECK_STR(words(NORMALIZER("Prepend", ",\"prepend\":\"_\""), ""), "");
    CHECK_STR(words(NORMALIZER("Replace", ",\"pattern\":{\"String\":\"ab\"},\"content\":\"x\""), "aabab"),
              "axx|");
    CHECK_STR(words(NORMALIZER("Replace", ",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \""), "a   b c"),
              "a b c|");
    CHECK_STR(words(NORMALIZER("ByteLevel", ""), "\xC3\xA9 "), "\xC3\x83\xC2\xA9\xC4\xA0|");
}

TEST(pre_tokenizers)
{
    CHECK_STR(words(SPLIT("String", "-", "Removed", "false"), "the-final--countdown"),
              "the|final|countdown|");
    CHECK_STR(words(SPLIT("String", "-", "Isolated", "false"), "the-final--countdown"),
              "the|-|final|-|-|countdown|");
    CHECK_STR(words(SPLIT("String", "-", "MergedWithPrevious", "false"), "the-final--countdown"),
              "the-|final-|-|countdown|");
    CHECK_STR(words(SPLIT("String", "-", "MergedWithNext", "false"), "the-final--countdown"),
              "the|-final|-|-countdown|");
    CHECK_STR(words(SPLIT("String", "-", "Contiguous", "false"), "the-final--countdown"),
              "the|-|final|--|countdown|");
    CHECK_STR(words(SPLIT("Regex", "\\\\d+", "Removed", "true"), "a12b3"), "12|3|");
    CHECK_STR(words(SPLIT("Regex", "(?i:ks)|\\\\p{Han}+", "Isolated", "false"),
                    "x\xE2\x84\xAA\xC5\xBF.\xE6\x97\xA5\xE6\x9C\xAC"),
              "x|\xE2\x84\xAA\xC5\xBF|.|\xE6\x97\xA5\xE6\x9C\xAC|");
    CHECK_STR(words(PRE("Punctuation", ",\"behavior\":\"Contiguous\""), "a..b"), "a|..|b|");
    CHECK_STR(words(PRE("Whitespace", ""), "a_b..  c"), "a_b|..|c|");
    CHECK_STR(words(PRE("WhitespaceSplit", ""), " a. b"), "a.|b|");
    CHECK_STR(words(PRE("CharDelimiterSplit", ",\"delimiter\":\"x\""), "axbxx"), "a|b|");
    CHECK_STR(words(PRE("Digits", ",\"individual_digits\":true"), "a12\xC2\xBD"), "a|1|2|\xC2\xBD|");
    CHECK_STR(words(PRE("Digits", ",\"individual_digits\":false"), "a12b"), "a|12|b|");
    CHECK_STR(words(PRE("UnicodeScripts", ""), " a\xE3\x81\x82\xE6\x97\xA5"), "a|\xE3\x81\x82\xE6\x97\xA5|");
    CHECK_STR(words(PRE("FixedLength", ",\"length\":2"), "abcde"), "ab|cd|e|");
    CHECK_STR(
        words(PRE("Metaspace", ",\"replacement\":\"_\",\"prepend_scheme\":\"always\",\"split\":true"), "a b"),
        "_a|_b|");
    CHECK_STR(
        words(PRE("Metaspace", ",\"replacement\":\"_\",\"prepend_scheme\":\"never\",\"split\":false"), "a b"),
        "a_b|");
}

/* Expected words were asked of tokenizers 0.23.3; tests/tools/tokenizer_diff.py --patterns asks about random
 * ones. */
TEST(regular_expressions)
{
    static const struct {
        const char *regex, *text, *words;
    } rows[] = {
        {"(?>a+|ab)c", "aabc", "aabc|"},
        {"a*", "baac", "b|aa|c|"},
        {"", "ab\xE6\x97\xA5", "a|b|\xE6\x97\xA5|"},
        {"(?=[A-Z])", "fooBarBaz", "foo|Bar|Baz|"},
        {"\\\\b\\\\w+\\\\b",
         "can't go_on \xC2\xBDx \xC3\xA9\xE6\x97\xA5 a\xCC\x81"
         "b",
         "can|'|t| |go_on| |\xC2\xBDx| |\xC3\xA9\xE6\x97\xA5| |a\xCC\x81"
         "b|"},
        {"\\\\B.",
         "ab c\xC2\xBD"
         "d",
         "a|b| c|\xC2\xBD|d|"},
        {"\\\\w\\\\b", "ab, \xC2\xB2x", "a|b|, \xC2\xB2|x|"},
        {"(\\\\w)\\\\1+", "aab \xE6\x97\xA5\xE6\x97\xA5\xE6\x97\xA5 x11",
         "aa|b |\xE6\x97\xA5\xE6\x97\xA5\xE6\x97\xA5| x|11|"},
        {"(a|b)(c)\\\\2\\\\1", "acca bccb acb", "acca| |bccb| acb|"},
        {"(?:(a)|b)+\\\\1", "abba baa bb", "abba| |baa| bb|"},
        {"[[:alpha:]]+", "ab1\xC3\xA9\xE6\x97\xA5\xCC\x81x\xC2\xB2",
         "ab|1|\xC3\xA9\xE6\x97\xA5|\xCC\x81|x|\xC2\xB2|"},
        {"[[:^space:]&&[^a-c]]+", "abc def ghi", "abc |def| |ghi|"},
        {"[\\\\w&&[^\\\\d_]]+", "a1_b\xC2\xB2\xC3\xA9 \xE6\x97\xA5",
         "a|1_|b|\xC2\xB2|\xC3\xA9| |\xE6\x97\xA5|"},
        {"[^a-z&&[^0-9]]+",
         "ab12-\xE6\x97\xA5"
         "c",
         "ab|12-\xE6\x97\xA5|c|"},
        {"[a-z&&b-y&&[^m]]+", "abmyz", "a|b|m|y|z|"},
        {"[[:punct:]]+", "a+$.-\xC2\xAB\xC2\xBB_\xE6\x97\xA5\xE3\x80\x82",
         "a|+$.-\xC2\xAB\xC2\xBB_|\xE6\x97\xA5|\xE3\x80\x82|"},
        {"[[:upper:]][[:lower:]]*",
         "\xC3\x80\xC3\xA9\xC3\x89"
         "a \xC7\x85"
         "b \xE2\x85\xA3\xE2\x85\xB3"
         "AB",
         "\xC3\x80\xC3\xA9|\xC3\x89"
         "a| \xC7\x85"
         "b |\xE2\x85\xA3\xE2\x85\xB3|A|B|"},
        {"[[:xdigit:]]+|\\\\H", "fgAz09", "f|g|A|z|09|"},
        {"[[:cntrl:][:blank:]]+",
         "a\x09 \xE3\x80\x80\x01"
         "b",
         "a|\x09 \xE3\x80\x80\x01|b|"},
        {"(?i:\xC3\xA9\xC3\xA0)+", "\xC3\x89\xC3\x80\xC3\xA9\xC3\xA0\xC3\xA9",
         "\xC3\x89\xC3\x80\xC3\xA9\xC3\xA0|\xC3\xA9|"},
        {"(?i:[\xCE\xB1-\xCF\x89]+)", "\xCE\x86\xCE\x91\xCF\x83\xCF\x82\xCE\xA3x\xCE\xA9",
         "\xCE\x86|\xCE\x91\xCF\x83\xCF\x82\xCE\xA3|x|\xCE\xA9|"},
        {"(?i:[^\xC3\xA9]+)",
         "a\xC3\x89\xC3\xA9"
         "b",
         "a|\xC3\x89\xC3\xA9|b|"},
        {"(?i:\xD0\xBA)", "\xD0\xBA\xD0\x9AkK", "\xD0\xBA|\xD0\x9A|kK|"},
        {"x[\\\\W&&\\\\p{L}]|b[a]", "xaba]", "xa|ba|]|"}, /* a class of nothing but surrogates */
        {"a\\\\Z|\\\\Ab", "ba\x0A", "b|a|\x0A|"},
        {"[[:graph:]]+", "a\xEE\x80\x80\xCD\xB8 b", "a\xEE\x80\x80|\xCD\xB8 |b|"},
        {"[[:print:]]+",
         "a \x09\xE3\x80\x80"
         "b",
         "a |\x09|\xE3\x80\x80"
         "b|"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char part[300];
        snprintf(part, sizeof part, SPLIT("Regex", "%s", "Isolated", "false"), rows[i].regex);
        CHECK_STR(words(part, rows[i].text), rows[i].words);
    }
}

TEST(searches_that_take_too_long_say_so)
{
    gn_error err = {0};
    gn_tokenizer *t;
    gn_tokens tokens = {0};
    char text[4000];
    memset(text, 'a', sizeof text);
    CHECK_OK(
        parse(
            "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?:a|a|aa)+[bc]\"},\"behavior\":"
            "\"Isolated\","
            "\"invert\":false},\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"u\":0}}}",
            &t, &err),
        err);
    CHECK(gn_tokenizer_encode(t, text, sizeof text, true, 0, &tokens, &err) == GN_UNSUPPORTED);
    CHECK(strstr(err.message, "too many steps") != NULL);
    CHECK_OK(gn_tokenizer_encode(t, "aab aa", 6, true, 0, &tokens, &err), err);
    CHECK(tokens.count == 2);
    gn_tokens_free(&tokens);
    gn_tokenizer_free(t);
}

TEST(truncation_on_the_left)
{
    gn_error err = {0};
    gn_tokenizer *t;
    gn_tokens tokens = {0};
    CHECK_OK(parse("{\"truncation\":{\"direction\":\"Left\",\"max_length\":2,\"strategy\":\"LongestFirst\","
                   "\"stride\":0},"
                   "\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"},\"model\":{\"type\":\"WordLevel\",\"unk_"
                   "token\":\"u\","
                   "\"vocab\":{\"u\":0,\"a\":1,\"b\":2,\"c\":3}}}",
                   &t, &err),
             err);
    CHECK_OK(gn_tokenizer_encode(t, "a b c", 5, true, 2, &tokens, &err), err);
    CHECK(tokens.count == 2 && tokens.id[0] == 2 && tokens.id[1] == 3 && tokens.begin[0] == 2 && tokens.cut);
    gn_tokens_free(&tokens);
    gn_tokenizer_free(t);
}

TEST(unigram_ties_and_unknowns)
{
    gn_error err = {0};
    gn_tokenizer *t;
    gn_tokens tokens = {0};
    /* ab + c, a + bc and abc all score -2: the way found first stays; unknown characters become one token */
    CHECK_OK(parse("{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],[\"a\",-1],["
                   "\"bc\",-1],[\"ab\",-1],"
                   "[\"c\",-1],[\"abc\",-2]]}}",
                   &t, &err),
             err);
    CHECK_OK(gn_tokenizer_encode(t, "abcxyc", 6, true, 0, &tokens, &err), err);
    CHECK(tokens.count == 3 && tokens.id[0] == 5 && tokens.id[1] == 0 && tokens.id[2] == 4 &&
          tokens.begin[1] == 3 && tokens.end[1] == 5);
    gn_tokens_free(&tokens);
    gn_tokenizer_free(t);
}

/* ---- errors -------------------------------------------------------------------------------------- */

TEST(what_is_refused)
{
    static const struct {
        const char *json, *message;
        gn_status status;
    } bad[] = {
        {"{" SPLIT("Regex", "[a&&]", "Isolated", "false") "}", "an intersection of classes with nothing",
         GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "[&&a]", "Isolated", "false") "}", "an intersection of classes with nothing",
         GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "x(?:a?|b){2}", "Isolated", "false") "}", "of what may be empty", GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "x(?:a?|b)*", "Isolated", "false") "}",
         "an endless repetition of what may be empty", GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "[[:letter:]]", "Isolated", "false") "}", "a POSIX bracket", GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "[^[^\\\\P{Lo}\\\\P{Ll}]]", "Isolated", "false") "}",
         "leaves out all letters but ASCII's", GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "[[[[[[[[[[a]]]]]]]]]]", "Isolated", "false") "}", "more classes within classes",
         GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "(a)\\\\10", "Isolated", "false") "}", "beyond the ninth", GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "(a\\\\1)", "Isolated", "false") "}", "not complete before it", GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "(?=(a))\\\\1", "Isolated", "false") "}", "not complete before it",
         GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "(a)(?i:\\\\1)", "Isolated", "false") "}", "a back-reference without regard",
         GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "(a)(?<=\\\\1)b", "Isolated", "false") "}", "a back-reference that looks",
         GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "(?<=\\\\b)a", "Isolated", "false") "}", "a border of words that looks",
         GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "(?i:[ß])", "Isolated", "false") "}", "a class with letters that fold",
         GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "(?i:ß)", "Isolated", "false") "}", "letters that fold into one", GN_UNSUPPORTED},
        {"{" NORMALIZER("Replace", ",\"pattern\":{\"Regex\":\"a*\"},\"content\":\"x\"") "}",
         "it matches the empty string", GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "\\\\Gx", "Isolated", "false") "}", "an escape that is not known here",
         GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "(?i:ss)", "Isolated", "false") "}", "letters that fold into one",
         GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "a{1,2}+", "Isolated", "false") "}", "a quantifier after", GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "\\\\p{Emoji}", "Isolated", "false") "}", "a property of characters",
         GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "(a", "Isolated", "false") "}", "a group without its end", GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "a)", "Isolated", "false") "}", "a group without its beginning", GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "[]", "Isolated", "false") "}", "an empty class", GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "(?#x)a", "Isolated", "false") "}", "a kind of group", GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "+a", "Isolated", "false") "}", "a quantifier with nothing before it",
         GN_UNSUPPORTED},
        {"{" SPLIT("Regex", "a", "Sideways", "false") "}", "\"behavior\"", GN_FORMAT},
        {"{" NORMALIZER("Precompiled", ",\"precompiled_charsmap\":\"?\"") "}", "text in base64", GN_FORMAT},
        {"{" NORMALIZER("Precompiled", ",\"precompiled_charsmap\":\"/wAAAA==\"") "}", "end too soon",
         GN_FORMAT},
        {"{" NORMALIZER("Precompiled", ",\"precompiled_charsmap\":\"AAAAAP8=\"") "}", "not UTF-8", GN_FORMAT},
        {"{" NORMALIZER("Prepend", ",\"prepend\":\"\"") "}", "not empty", GN_FORMAT},
        {"{" PRE("Metaspace", ",\"replacement\":\"ab\"") "}", "one character", GN_FORMAT},
        {"{" PRE("Metaspace", ",\"replacement\":\"_\",\"add_prefix_space\":false") "}", "prepend_scheme",
         GN_FORMAT},
        {"{" PRE("CharDelimiterSplit", ",\"delimiter\":\"\"") "}", "one character", GN_FORMAT},
        {"{\"truncation\":{\"direction\":\"Up\"}}", "\"direction\"", GN_FORMAT},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", "a list of [token, score]", GN_FORMAT},
        {"{\"model\":{\"type\":\"Unigram\",\"unk_id\":1,\"vocab\":[[\"a\",0]]}}", "unk_id", GN_FORMAT},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",\"b\"]]}}", "a list of [token, score]",
         GN_FORMAT},
        {"{\"model\":{\"type\":\"WordLevel\",\"vocab\":{}}}", "unk_token", GN_FORMAT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        for (int lang = 0; lang < 2; lang++) {
            gn_error err = {.lang = lang ? GN_LANG_JA : GN_LANG_EN};
            gn_tokenizer *t;
            CHECK(parse(bad[i].json, &t, &err) == bad[i].status);
            if (lang == 0 && strstr(err.message, bad[i].message) == NULL)
                test_fail(__FILE__, __LINE__, "%s: %s", bad[i].json, err.message);
            if (lang == 1 && bad[i].status == GN_UNSUPPORTED && strstr(err.message, bad[i].message) != NULL)
                test_fail(__FILE__, __LINE__, "not in Japanese: %s", err.message);
        }
    }
}

TEST(words_the_vocabulary_lacks)
{
    static const char *const lacking[] = {
        "{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"a\":0}}}",
        "{\"model\":{\"type\":\"Unigram\",\"unk_id\":null,\"vocab\":[[\"a\",0]]}}"};
    for (size_t i = 0; i < 2; i++) {
        gn_error err = {0};
        gn_tokenizer *t;
        gn_tokens tokens = {0};
        CHECK_OK(parse(lacking[i], &t, &err), err);
        CHECK_OK(gn_tokenizer_encode(t, "a", 1, true, 0, &tokens, &err), err);
        CHECK(gn_tokenizer_encode(t, "b", 1, true, 0, &tokens, &err) == GN_FORMAT);
        CHECK(strstr(err.message, "vocabulary lacks") != NULL);
        gn_tokens_free(&tokens);
        gn_tokenizer_free(t);
    }
}

/* ---- the words that are kept ---------------------------------------------------------------------- */

static void *encode_many(void *arg)
{
    gn_tokens tokens = {0};
    gn_error err = {0};
    uint64_t sum = 0;
    for (unsigned i = 0; i < 20000; i++) {
        char text[40];
        int n = snprintf(text, sizeof text, "the pump%u caf\xC3\xA9 %u", i * 7919u, i % 97);
        if (gn_tokenizer_encode(arg, text, (size_t)n, true, 0, &tokens, &err) != GN_OK) return NULL;
        for (size_t k = 0; k < tokens.count; k++) sum = sum * 31 + (uint64_t)tokens.id[k] + tokens.end[k];
    }
    gn_tokens_free(&tokens);
    return (void *)(uintptr_t)(sum | 1);
}

TEST(threads_share_kept_words)
{
    gn_error err = {0};
    gn_tokenizer *t = NULL;
    pthread_t thread[4];
    void *sum[4], *alone;
    CHECK_OK(gn_tokenizer_load(test_path("tests/golden/text/gpt2"), &t, &err), err);
    gn__fast *fast = t->fast;
    CHECK(fast != NULL);
    t->fast = NULL;
    alone = encode_many(t);
    t->fast = fast;
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&thread[i], NULL, encode_many, t) == 0);
    for (int i = 0; i < 4; i++) pthread_join(thread[i], &sum[i]);
    for (int i = 0; i < 4; i++) CHECK(sum[i] == alone && alone != NULL);
    gn_tokenizer_free(t);
}
