/* Any bytes as text, through a small BERT-like and a small GPT-2-like tokenizer. The first byte picks which,
 * and the length limit. */
#include "text/tokenizer.h"

#define ADDED(content, options) "{\"id\":0,\"content\":\"" content "\"," options ",\"special\":true}"
#define PLAIN "\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false"
#define GREEDY "\"single_word\":true,\"lstrip\":true,\"rstrip\":true,\"normalized\":true"

static const char *const description[2] = {
    "{\"added_tokens\":[" ADDED("[MASK]", PLAIN) "," ADDED(
        "ab", GREEDY) "],"
                      "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_"
                      "chars\":true,"
                      "\"strip_accents\":null,\"lowercase\":true},\"pre_tokenizer\":{\"type\":"
                      "\"BertPreTokenizer\"},"
                      "\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"[CLS]\",1],\"sep\":[\"[SEP]"
                      "\",2]},"
                      "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_"
                      "prefix\":\"##\","
                      "\"max_input_chars_per_word\":100,\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"a\":"
                      "3,\"b\":4,\"##a\":5,"
                      "\"##b\":6,\"the\":7,\"##ing\":8,\"\\u65e5\":9,\"e\":10,\"##e\":11,\"!\":12}}}",
    "{\"added_tokens\":[" ADDED("<|endoftext|>", PLAIN) "," ADDED(
        " ",
        GREEDY) "],"
                "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true},"
                "\"post_processor\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true},"
                "\"model\":{\"type\":\"BPE\",\"unk_token\":\"u\",\"fuse_unk\":true,\"vocab\":{\"u\":0,\"a\":"
                "1,\"b\":2,"
                "\"\\u0120\":3,\"\\u0120a\":4,\"ab\":5,\"aab\":6,\"'\":7,\"s\":8,\"'s\":9,\"\\u00c3\":10,"
                "\"\\u00a9\":11,"
                "\"\\u00c3\\u00a9\":12},\"merges\":[\"a b\",\"\\u0120 a\",\"a ab\",\"' s\",\"\\u00c3 "
                "\\u00a9\"]}}"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static gn_tokenizer *tokenizer[2];
    gn_error err = {0};
    gn__tok_source source = {"fuzz", &err};
    for (int i = 0; i < 2; i++)
        if (tokenizer[i] == NULL &&
            gn__tokenizer_parse(&source, description[i], strlen(description[i]), &tokenizer[i]) != GN_OK)
            abort();
    if (size == 0) return 0;
    const char *text = (const char *)data + 1;
    size_t length = size - 1, limit = data[0] >> 2;
    gn_tokens tokens = {0};
    if (gn_tokenizer_encode(tokenizer[data[0] & 1], text, length, data[0] & 2, limit, &tokens, &err) != GN_OK)
        abort();
    for (size_t i = 0; i < tokens.count; i++) {
        if (tokens.begin[i] > length || tokens.end[i] > length) abort();
        if (gn_tokenizer_token(tokenizer[data[0] & 1], tokens.id[i]) == NULL) abort();
    }
    gn_tokens_free(&tokens);
    return 0;
}
