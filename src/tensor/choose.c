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
    size_t columns = padded(tokens), width = padded(head_dim), rows = padded(position_rows);
    return head_dim * columns + columns * width + 4 * columns + 4 * width + 4 * rows + rows * columns;
}

/* Measured: Zen 4 multiplies bf16 twice as fast as float32, AMX over six times; Intel's AVX512-BF16
 * without AMX gains nothing that would pay for the lost digits. oneDNN knows whether the kernel lets
 * this process use AMX. */
gn_dtype gn__best_dtype(void)
{
#if defined(__x86_64__)
    dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    if (isa >= dnnl_cpu_isa_avx512_core_amx) return GN_DTYPE_BF16;
    if (isa >= dnnl_cpu_isa_avx512_core_bf16 && __builtin_cpu_is("amd")) return GN_DTYPE_BF16;
#endif
    return GN_DTYPE_F32;
}
