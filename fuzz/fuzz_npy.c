/* .npy files. */
#include "data/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gn_matrix m;
    gn_error err = {0};
    if (gn__npy_parse("fuzz", data, size, &m, &err) != GN_OK) return 0;
    for (size_t i = 0; i < m.rows * m.cols; i++)
        if (!(m.data[i] - m.data[i] == 0)) abort();
    gn_matrix_free(&m);
    return 0;
}
