/* Any bytes as a SentencePiece model, for the class of tokenizer that the first byte picks; what converts
 * must also tokenize. */
#include "text/sentencepiece.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "a the  <s>b\xE2\x96\x81 \xEF\xAC\x81\xCC\x81\xFF 12";
    gn_error err = {0};
    gn__tok_source source = {"fuzz", &err};
    gn__spm m;
    json_t *root = NULL;
    gn_tokenizer *t = NULL;
    if (size == 0 || gn__spm_read(&source, data + 1, size - 1, &m) != GN_OK) return 0;
    size_t which = data[0] % (gn__spm_family_count + 1);
    const char *kind = which < gn__spm_family_count ? gn__spm_families[which].name : "";
    if (gn__spm_convert(&source, &m, kind, NULL, NULL, &root) == GN_OK &&
        gn__tokenizer_build(&source, root, &t) == GN_OK) {
        gn_tokens tokens = {0};
        if (gn_tokenizer_encode(t, text, sizeof text - 1, true, 0, &tokens, &err) == GN_OK)
            for (size_t i = 0; i < tokens.count; i++)
                if (tokens.begin[i] > sizeof text || tokens.end[i] > sizeof text) abort();
        gn_tokens_free(&tokens);
        gn_tokenizer_free(t);
    }
    json_decref(root);
    gn__spm_free(&m);
    return 0;
}
