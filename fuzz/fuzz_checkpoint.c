/* The reader of fine-tuning's checkpoints on any bytes: what it accepts must lie inside them. The seal is not
 * compared, or nothing behind it would ever be reached. */
#include "model/tuned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gn__checkpoint c;
    gn_error err = {0};
    unsigned sum = 0;
    if (gn__checkpoint_parse("fuzz", data, size, true, &c, &err) == GN_OK && memcmp(data, "genchi", 6) != 0)
        abort();
    if (gn__checkpoint_parse("fuzz", data, size, false, &c, &err) != GN_OK) return 0;
    const unsigned char *end = data + size - 64;
    if (c.points != c.losses + 8 * c.state.step || c.array[0] != c.points + 32 * c.state.points) abort();
    for (const unsigned char *p = (const unsigned char *)c.identity; p < end; p++) sum += *p;
    if (c.array[c.arrays - 1] + 4 * c.trained != end) abort();
    return sum == 1;
}
