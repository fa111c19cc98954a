#include "tensor/finite.h"

#include <math.h>
#include <stdatomic.h>

enum { GRAIN = 1 << 16 };

typedef struct finite_scan {
    const float *x;
    atomic_bool bad;
} finite_scan;

/* x * 0 is 0 for finite x and NaN otherwise, so one sum tells and the loop vectorises. */
GN__CLONES static float finite_zero_sum(const float *x, size_t n)
{
    float sum[16] = {0};
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (size_t k = 0; k < 16; k++) sum[k] += x[i + k] * 0;
    for (; i < n; i++) sum[0] += x[i] * 0;
    for (size_t k = 1; k < 16; k++) sum[0] += sum[k];
    return sum[0];
}

static void scan_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    finite_scan *s = arg;
    if (isnan(finite_zero_sum(s->x + begin, end - begin))) atomic_store(&s->bad, true);
}

gn_status gn__check_finite(gn_context *ctx, const gn_matrix *x, const char *what, gn_error *err)
{
    finite_scan s = {.x = x->data};
    size_t cells = x->rows * x->cols;
    GN__TRY(gn__parallel_for(ctx, cells, GRAIN, scan_piece, &s, err));
    if (!atomic_load(&s.bad)) return GN_OK;
    size_t at = 0;
    while (at < cells && isfinite(x->data[at])) at++;
    return gn__fail(err, GN_DATA, "%s holds %g at row %zu, column %zu; every value must be finite", what,
                    at < cells ? (double)x->data[at] : 0.0, at / x->cols, at % x->cols);
}
