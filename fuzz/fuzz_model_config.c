/* Any JSON as config.json: what a family accepts must be a recipe that the forward pass can size. */
#include "model/recipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[] = "fuzz";
    static gn__recipe r; /* too large for a fuzzer's small stack frames */
    gn_error err = {0};
    const gn__family *family;
    gn__config c = {json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL), path};
    if (c.root != NULL && gn__recipe_read(&c, &r, &family, &err) == GN_OK) {
        bool sizes = r.dim > 0 && r.layers > 0 && r.layers <= GN__MOST_LAYERS && r.heads > 0 && r.inner > 0 &&
                     r.vocab > 0 && r.head_dim > 0 && r.kv_heads > 0 && r.heads % r.kv_heads == 0 &&
                     r.stored > 0 && r.layers % r.stored == 0;
        bool places = r.rotary[0].pairs <= GN__MOST_TURNS && 2 * r.rotary[0].pairs <= r.head_dim &&
                      2 * r.rotary[1].pairs <= r.head_dim && 2 * r.span <= GN__POSITION_ROWS &&
                      (r.positions > 0 || r.usual > 0) && r.positions <= GN__MOST_ROWS &&
                      (r.pad_token < 0 || r.position_offset > 0);
        if (!sizes || !places || r.names == NULL || r.empty_token >= (int64_t)r.vocab) abort();
    }
    json_decref(c.root);
    return 0;
}
