/* Any bytes as a tokenizer.json; what loads must also tokenize. */
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "a [MASK]  b's ab\xCC\x81 \xE6\x97\xA5<s>\xFF 12";
    gn_error err = {0};
    gn__tok_source source = {"fuzz", &err};
    gn_tokenizer *t = NULL;
    if (gn__tokenizer_parse(&source, (const char *)data, size, &t) != GN_OK) return 0;
    gn_tokens tokens = {0};
    gn_status status = gn_tokenizer_encode(t, text, sizeof text - 1, size & 1, size % 7, &tokens, &err);
    if (status == GN_OK)
        for (size_t i = 0; i < tokens.count; i++)
            if (tokens.begin[i] > sizeof text || tokens.end[i] > sizeof text) abort();
    gn_tokens_free(&tokens);
    gn_tokenizer_free(t);
    return 0;
}
