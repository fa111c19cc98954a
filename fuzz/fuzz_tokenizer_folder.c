/* Any bytes as the files older than tokenizer.json: after a first byte that picks the kind, five files
 * separated by 0xFE (which no UTF-8 text holds): tokenizer_config.json, the vocabulary, the merges,
 * special_tokens_map.json, added_tokens.json. */
#include "text/tokenizer.h"

#include <stdio.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes data up to the separator, or removes the file where there is none; returns what was used. */
static size_t put(const char *folder, const char *name, const uint8_t *data, size_t size, bool wanted)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
    const uint8_t *end = size > 0 ? memchr(data, 0xFE, size) : NULL;
    size_t length = end == NULL ? size : (size_t)(end - data);
    FILE *f = wanted ? fopen(path, "wb") : NULL;
    if (f != NULL) {
        fwrite(data, 1, length, f);
        fclose(f);
    }
    return end == NULL ? size : length + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "a [MASK] ab's<|endoftext|>";
    char folder[100];
    gn_error err = {0};
    if (size == 0) return 0;
    snprintf(folder, sizeof folder, "/tmp/genchi-fuzz-%d", (int)getpid());
    if (gn__make_directory(folder, &err) != GN_OK) return 0;
    bool pair = data[0] & 1;
    size_t at = 1;
    at += put(folder, "tokenizer_config.json", data + at, size - at, data[0] & 2);
    size_t vocab = at;
    at += put(folder, "vocab.txt", data + at, size - at, !pair);
    put(folder, "vocab.json", data + vocab, size - vocab, pair);
    at += put(folder, "merges.txt", data + at, size - at, pair);
    at += put(folder, "special_tokens_map.json", data + at, size - at, data[0] & 4);
    put(folder, "added_tokens.json", data + at, size - at, data[0] & 8);
    gn_tokenizer *t = NULL;
    if (gn_tokenizer_load(folder, &t, &err) != GN_OK) return 0;
    gn_tokens tokens = {0};
    if (gn_tokenizer_encode(t, text, sizeof text - 1, true, 0, &tokens, &err) != GN_OK) abort();
    gn_tokens_free(&tokens);
    gn_tokenizer_free(t);
    return 0;
}
