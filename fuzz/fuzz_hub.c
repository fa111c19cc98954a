/* What a hub or an embeddings server answers: the list of a model's files, a batch of embeddings, an error's
 * words. */
#include "hub/answer.h"
#include "hub/cache.h"
#include "hub/listing.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *json = (const char *)data;
    gn_error err = {0};
    gn__listing l;
    if (gn__listing_read("org/x", json, size, &l, &err) == GN_OK)
        for (size_t i = 0; i < l.files; i++)
            if (!gn__is_plain_path(l.file[i].path)) abort();
    gn__listing_free(&l);
    float *rows = NULL;
    size_t dim = 0, tokens;
    if (gn__answer_read("url", json, size, 2, &dim, &rows, &tokens, &err) == GN_OK)
        for (size_t i = 0; i < 2 * dim; i++)
            if (!isfinite(rows[i])) abort();
    free(rows);
    char words[50];
    gn__answer_words(json, size, "secret", words, sizeof words);
    if (strstr(words, "secret") != NULL) abort();
    char *name = gn__strndup(json, size);
    if (name != NULL && gn_hub_is_name(name) && strstr(name, "..") != NULL) abort();
    free(name);
    return 0;
}
