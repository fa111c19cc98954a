/* Limited-memory BFGS (Nocedal & Wright 2006, algorithms 7.4 and 7.5). The line search works on slopes, as
 * the approximate Wolfe conditions of Hager & Zhang 2005 do: of a convex function the slope along a line
 * rises, so that its zero can be bracketed and interpolated without comparing nearly equal values. */
#include "tensor/minimise.h"

#include <cblas.h>
#include <math.h>

enum { LINE_STEPS = 12 };
static const double flat_enough = 0.5; /* of the slope at the start */

gn_status gn__minimiser_make(size_t n, double noise, gn__minimiser *out, gn_error *err)
{
    double *memory = gn__aligned(n, (2 * GN__MEMORY + 5) * sizeof *memory);
    if (memory == NULL) return gn__no_memory(err, n * (2 * GN__MEMORY + 5) * sizeof *memory);
    memset(memory, 0, 2 * n * sizeof *memory);
    *out = (gn__minimiser){.n = n,
                           .x = memory,
                           .point = memory + n,
                           .g = memory + 2 * n,
                           .new_g = memory + 3 * n,
                           .direction = memory + 4 * n,
                           .s = memory + 5 * n,
                           .y = memory + (5 + GN__MEMORY) * n,
                           .noise = noise};
    return GN_OK;
}

void gn__minimiser_free(gn__minimiser *m)
{
    free(m->x);
    *m = (gn__minimiser){0};
}

static double dot(const gn__minimiser *m, const double *a, const double *b)
{
    return cblas_ddot((int)m->n, a, 1, b, 1);
}

static void find_direction(gn__minimiser *m)
{
    double alpha[GN__MEMORY], *d = m->direction;
    size_t n = m->n;
    for (size_t i = 0; i < n; i++) d[i] = -m->g[i];
    for (size_t i = 0; i < m->kept; i++) {
        size_t at = (m->next + GN__MEMORY - 1 - i) % GN__MEMORY;
        alpha[at] = m->rho[at] * dot(m, m->s + at * n, d);
        cblas_daxpy((int)n, -alpha[at], m->y + at * n, 1, d, 1);
    }
    if (m->kept > 0) {
        size_t last = (m->next + GN__MEMORY - 1) % GN__MEMORY;
        double scale = 1 / (m->rho[last] * dot(m, m->y + last * n, m->y + last * n));
        cblas_dscal((int)n, scale, d, 1);
    }
    for (size_t i = m->kept; i-- > 0;) {
        size_t at = (m->next + GN__MEMORY - 1 - i) % GN__MEMORY;
        double beta = m->rho[at] * dot(m, m->y + at * n, d);
        cblas_daxpy((int)n, alpha[at] - beta, m->s + at * n, 1, d, 1);
    }
}

static void take_bearings(gn__minimiser *m)
{
    find_direction(m);
    m->slope = dot(m, m->g, m->direction);
    m->gain = fmax(-0.5 * m->slope, 0);
}

/* What the steps showed has been spoilt by rounding: begin anew from the gradient. */
static gn__turn forget(gn__minimiser *m)
{
    if (m->kept == 0) return GN__NOWHERE;
    m->kept = 0;
    take_bearings(m);
    return GN__AGAIN;
}

static gn__turn try_step(gn__minimiser *m)
{
    for (size_t j = 0; j < m->n; j++) m->point[j] = m->x[j] + m->step * m->direction[j];
    return GN__EVALUATE;
}

gn__turn gn__minimiser_go(gn__minimiser *m)
{
    double square = dot(m, m->g, m->g);
    if (!(square > 0)) return GN__NOWHERE;
    if (!(m->slope < 0)) return forget(m);
    m->low = m->high = m->high_slope = 0;
    m->low_slope = m->slope;
    m->tries = 0;
    m->step = m->kept > 0 ? 1 : fmin(1, 1 / sqrt(square));
    return try_step(m);
}

static void remember(gn__minimiser *m)
{
    double *s = m->s + m->next * m->n, *y = m->y + m->next * m->n;
    for (size_t j = 0; j < m->n; j++) s[j] = m->point[j] - m->x[j], y[j] = m->new_g[j] - m->g[j];
    double sy = dot(m, s, y);
    if (!(sy > 1e-12 * dot(m, y, y))) return; /* no curvature seen */
    m->rho[m->next] = 1 / sy;
    m->next = (m->next + 1) % GN__MEMORY;
    if (m->kept < GN__MEMORY) m->kept++;
}

static gn__turn arrive(gn__minimiser *m, double value)
{
    memcpy(m->x, m->point, m->n * sizeof *m->x);
    memcpy(m->g, m->new_g, m->n * sizeof *m->g);
    m->value = value;
    take_bearings(m);
    return GN__ARRIVED;
}

gn__turn gn__minimiser_tell(gn__minimiser *m, double value, const double *g)
{
    memcpy(m->new_g, g, m->n * sizeof *g);
    if (!m->begun) {
        m->begun = true;
        return arrive(m, value);
    }
    double now = dot(m, m->new_g, m->direction);
    bool no_higher = value <= m->value + m->noise * fabs(m->value);
    if (no_higher && fabs(now) <= -flat_enough * m->slope) {
        remember(m);
        m->iterations++;
        return arrive(m, value);
    }
    if (++m->tries == LINE_STEPS) return forget(m);
    if (now > 0 || !no_higher) {
        m->high = m->step, m->high_slope = now;
    } else {
        m->low = m->step, m->low_slope = now;
    }
    if (m->high == 0) {
        m->step *= 4;
    } else {
        double part = m->high_slope > 0 ? -m->low_slope / (m->high_slope - m->low_slope) : 0.5;
        part = fmin(0.9, fmax(0.1, part));
        m->step = m->low + part * (m->high - m->low);
    }
    return try_step(m);
}
