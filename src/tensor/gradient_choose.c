#include "tensor/gradient.h"

/* Best first. */
static const gn__gradients *const tables[] = {
#if defined(__x86_64__)
    &gn__gradients_avx512,
    &gn__gradients_avx2,
#endif
    &gn__gradients_base,
};

/* Does the processor run the forward table of this name? */
static bool runs(const char *name)
{
    for (size_t i = 0; gn__cpu_ops_at(i) != NULL; i++)
        if (strcmp(gn__cpu_ops_at(i)->name, name) == 0) return true;
    return false;
}

const gn__gradients *gn__cpu_gradients_at(size_t i)
{
    for (size_t k = 0; k < sizeof tables / sizeof *tables; k++)
        if (runs(tables[k]->name) && i-- == 0) return tables[k];
    return NULL;
}

const gn__gradients *gn__cpu_gradients(void)
{
    return gn__cpu_gradients_at(0);
}

/* The most that up() in gradient_attention.h pads to, for any width of vector, and whole DRAWS. */
static size_t padded(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

size_t gn__attending_scratch(size_t tokens, size_t head_dim, size_t position_rows)
{
    size_t columns = padded(tokens, 32), width = padded(head_dim, 32), rows = padded(position_rows, 32);
    return 6 * columns * width + 12 * width + 16 * padded(tokens, 64) + 5 * rows * width + 8 * rows +
           2 * rows * columns;
}
