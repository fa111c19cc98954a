/* .npz archives: the directory, the unpacking, the arrays. */
#include "data/npz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gn_matrix m;
    gn__vector_columns c;
    gn_error err = {0};
    if (gn__npz_parse("fuzz", data, size, &m, &c, &err) != GN_OK) return 0;
    for (size_t i = 0; i < m.rows * m.cols; i++)
        if (!(m.data[i] - m.data[i] == 0)) abort();
    for (int role = 0; role < GN__VECTOR_ROLES; role++)
        for (size_t i = 0; c.value[role] != NULL && i < c.count[role]; i++)
            if (strlen(c.value[role][i]) > size * 4000) abort();
    gn_matrix_free(&m);
    gn__vector_columns_free(&c);
    return 0;
}
