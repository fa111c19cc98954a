#include "tensor/kernels.h"

#include <dnnl.h>

struct candidate {
    const gn__ops *ops;
    bool (*runs)(void);
};

#if defined(__x86_64__)
static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

static bool always(void)
{
    return true;
}

/* Best first. */
static const struct candidate candidates[] = {
#if defined(__x86_64__)
    {&gn__ops_avx512, has_avx512},
    {&gn__ops_avx2, has_avx2},
#endif
    {&gn__ops_base, always},
};

const gn__ops *gn__cpu_ops_at(size_t i)
{
    for (size_t c = 0; c < sizeof candidates / sizeof *candidates; c++)
        if (candidates[c].runs() && i-- == 0) return candidates[c].ops;
    return NULL;
}

const gn__ops *gn__cpu_ops(void)
{
    return gn__cpu_ops_at(0);
}

/* The most that up() in kernel.h pads to, for any width of vector: two of 16 lanes. */
static size_t padded(size_t n)
{
    return (n + 31) / 32 * 32;
}

size_t gn__position_columns(size_t rows)
{
    return padded(rows);
}

size_t gn__attention_scratch(size_t tokens, size_t head_dim, size_t position_rows)
{
    enum { TALL = 12 }; /* queries at a time, at most */
    size_t columns = padded(tokens), width = padded(head_dim), rows = padded(position_rows);
    size_t wide = columns > width ? columns : width;
    return 2 * width * columns + TALL * (columns + 2 * wide + 32 + width + rows) + rows * columns;
}

#if defined(__x86_64__)
/* Whether oneDNN would use it: the processor has it, the kernel grants it (AMX), DNNL_MAX_CPU_ISA allows it.
 */
static bool allowed(dnnl_cpu_isa_t isa)
{
    return (dnnl_get_effective_cpu_isa() & isa) == isa; /* sets of bits */
}
#endif

/* Measured: Zen 4 bf16 twice as fast as float32, AMX over six times; Intel's AVX512-BF16
 * without AMX gains nothing that would pay for the lost digits. oneDNN knows whether the kernel lets
 * this process use AMX. */
gn_dtype gn__best_dtype(void)
{
#if defined(__x86_64__)
    if (allowed(dnnl_cpu_isa_avx512_core_amx)) return GN_DTYPE_BF16;
    if (allowed(dnnl_cpu_isa_avx512_core_bf16) && __builtin_cpu_is("amd")) return GN_DTYPE_BF16;
#endif
    return GN_DTYPE_F32;
}

/* ---- products --------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
static bool has_avx512bf16(void)
{
    return has_avx512() && __builtin_cpu_supports("avx512bf16");
}

static bool has_avx512vnni(void)
{
    return has_avx512() && __builtin_cpu_supports("avx512vnni");
}
#endif

static const struct {
    const gn__multiplier *product;
    bool (*runs)(void);
} products[] = {
#if defined(__x86_64__)
    {&gn__product_avx512vnni, has_avx512vnni},
    {&gn__product_avx512bf16, has_avx512bf16},
    {&gn__product_avx512, has_avx512},
    {&gn__product_avx2, has_avx2},
#endif
    {&gn__product_base, always},
};

const gn__multiplier *gn__product_at(size_t i)
{
    for (size_t c = 0; c < sizeof products / sizeof *products; c++)
        if (products[c].runs() && i-- == 0) return products[c].product;
    return NULL;
}

/* Measured on Zen 5 (docs/performance.md). oneDNN keeps whatever AMX does, and everything on processors
 * without AVX2. What it is told to leave alone (DNNL_MAX_CPU_ISA) is left alone here too. */
const gn__multiplier *gn__product_for(gn_dtype dtype)
{
#if defined(__x86_64__)
    bool amx = allowed(dnnl_cpu_isa_avx512_core_amx);
    if (dtype == GN_DTYPE_F32 && allowed(dnnl_cpu_isa_avx512_core) && has_avx512())
        return &gn__product_avx512;
    if (dtype == GN_DTYPE_F32 && allowed(dnnl_cpu_isa_avx2) && has_avx2()) return &gn__product_avx2;
    if (dtype == GN_DTYPE_INT8 && !amx && allowed(dnnl_cpu_isa_avx512_core_vnni) && has_avx512vnni())
        return &gn__product_avx512vnni;
    if (dtype == GN_DTYPE_BF16 && !amx && allowed(dnnl_cpu_isa_avx512_core_bf16) && has_avx512bf16())
        return &gn__product_avx512bf16;
#else
    (void)dtype;
#endif
    return NULL;
}

size_t gn__product_spare(size_t rows, size_t inputs)
{
    enum { TALL = 12 };
    return (TALL + rows) * inputs + 2 * rows + 16;
}

size_t gn__product_weights(const gn__multiplier *p, size_t inputs, size_t outputs)
{
    return (inputs + p->group - 1) / p->group * ((outputs + p->step - 1) / p->step * p->step);
}

void gn__attend(gn_dtype dtype, const gn__attention *a)
{
#if defined(__x86_64__)
    /* Intel's bf16 dot products are no faster than float32's. */
    if (dtype != GN_DTYPE_F32 && a->positions == NULL && gn__product_for(GN_DTYPE_BF16) != NULL &&
        __builtin_cpu_is("amd")) {
        gn__product_for(GN_DTYPE_BF16)->attention(a);
        return;
    }
#else
    (void)dtype;
#endif
    gn__cpu_ops()->attention(a);
}
