/* The safetensors parser on any bytes: what it accepts must lie inside them. */
#include "model/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gn__weights w = {0};
    gn_error err = {0};
    if (gn__safetensors_parse(&w, 0, "fuzz", data, size, &err) == GN_OK)
        for (size_t i = 0; i < w.tensors; i++) {
            const gn__tensor *t = &w.tensor[i];
            unsigned sum = 0;
            for (size_t k = t->begin; k < t->end; k++) sum += t->data[k - t->begin];
            float first[1];
            if (t->type != GN__WEIGHT_OTHER && t->elements > 0) gn__tensor_read(t, t->elements - 1, 1, first);
            if (gn__weights_find(&w, t->name) != t || (sum == 1 && t->end == t->begin)) abort();
        }
    gn__weights_free(&w);
    return 0;
}
