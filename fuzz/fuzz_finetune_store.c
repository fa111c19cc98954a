/* Finished fits as gn_finetune keeps them on disk. The checksum is put right first: what it guards must be
 * safe without it, too. */
#include "verify/finetune.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { HEX = 64, JUDGES = 3, CLASSES = 2, DIM = 4 };
    char key[HEX + 1], hex[HEX + 1];
    gn__sha256 h;
    memset(key, 'a', HEX);
    key[HEX] = '\0';
    char *file = malloc(size + HEX);
    if (file == NULL || gn__sha256_begin(&h, NULL) != GN_OK) {
        free(file);
        return 0;
    }
    memcpy(file, data, size);
    gn__sha256_update(&h, file, size);
    gn__sha256_end(&h, hex);
    memcpy(file + size, hex, HEX);
    for (int embeddings = 0; embeddings < 2; embeddings++) {
        gn__fit f;
        if (!gn__store_parse(file, size + HEX, key, JUDGES, CLASSES, DIM, embeddings, &f)) continue;
        float sum = 0; /* every number is there to be read */
        for (size_t i = 0; i < (size_t)JUDGES * CLASSES; i++) sum += f.probability[i];
        for (size_t i = 0; i < f.layer_changes; i++) sum += (float)f.layer_change[i];
        for (size_t i = 0; i < f.after.rows * f.after.cols; i++) sum += f.after.data[i];
        volatile float sink = sum;
        (void)sink;
        gn__fit_free(&f);
    }
    free(file);
    return 0;
}
