/* Limited-memory BFGS (Nocedal & Wright 2006, algorithms 7.4 and 7.5). The line search works on slopes, as
 * the approximate Wolfe conditions of Hager & Zhang 2005 do: of a convex function the slope along a line
 * rises, so that its zero can be bracketed and interpolated without comparing nearly equal values. */
#include "tensor/minimise.h"

#include <cblas.h>
#include <math.h>

enum { MEMORY = 20, LINE_STEPS = 12 };
static const double flat_enough = 0.5; /* of the slope at the start */

typedef struct search {
    gn__objective f;
    void *arg;
    size_t n;
    double *x, *g, *direction, *new_x, *new_g;
    double *s, *y, *rho; /* [MEMORY × n], [MEMORY × n], [MEMORY] */
    size_t kept, next;
    double value, noise;
    int evaluations;
    gn_error *err;
} search;

static double dot(const search *k, const double *a, const double *b)
{
    return cblas_ddot((int)k->n, a, 1, b, 1);
}

static void find_direction(search *k)
{
    double alpha[MEMORY], *d = k->direction;
    size_t n = k->n;
    for (size_t i = 0; i < n; i++) d[i] = -k->g[i];
    for (size_t i = 0; i < k->kept; i++) {
        size_t at = (k->next + MEMORY - 1 - i) % MEMORY;
        alpha[at] = k->rho[at] * dot(k, k->s + at * n, d);
        cblas_daxpy((int)n, -alpha[at], k->y + at * n, 1, d, 1);
    }
    if (k->kept > 0) {
        size_t last = (k->next + MEMORY - 1) % MEMORY;
        double scale = 1 / (k->rho[last] * dot(k, k->y + last * n, k->y + last * n));
        cblas_dscal((int)n, scale, d, 1);
    }
    for (size_t i = k->kept; i-- > 0;) {
        size_t at = (k->next + MEMORY - 1 - i) % MEMORY;
        double beta = k->rho[at] * dot(k, k->y + at * n, d);
        cblas_daxpy((int)n, alpha[at] - beta, k->s + at * n, 1, d, 1);
    }
}

/* Leaves the point found in new_x, new_g and *value; *found is false where no step was any better. */
static gn_status search_line(search *k, double slope, double step, double *value, bool *found)
{
    double low = 0, low_slope = slope, high = 0, high_slope = 0, allowed = k->noise * fabs(k->value);
    *found = false;
    for (int i = 0; i < LINE_STEPS; i++) {
        for (size_t j = 0; j < k->n; j++) k->new_x[j] = k->x[j] + step * k->direction[j];
        k->evaluations++;
        GN__TRY(k->f(k->arg, k->new_x, k->new_g, value, k->err));
        double now = dot(k, k->new_g, k->direction);
        bool no_higher = *value <= k->value + allowed;
        if (no_higher && fabs(now) <= -flat_enough * slope) {
            *found = true;
            return GN_OK;
        }
        if (now > 0 || !no_higher) {
            high = step, high_slope = now;
        } else {
            low = step, low_slope = now;
        }
        if (high == 0) {
            step *= 4;
        } else {
            double part = high_slope > 0 ? -low_slope / (high_slope - low_slope) : 0.5;
            part = fmin(0.9, fmax(0.1, part));
            step = low + part * (high - low);
        }
    }
    return GN_OK;
}

static void remember(search *k)
{
    double *s = k->s + k->next * k->n, *y = k->y + k->next * k->n;
    for (size_t j = 0; j < k->n; j++) s[j] = k->new_x[j] - k->x[j], y[j] = k->new_g[j] - k->g[j];
    double sy = dot(k, s, y);
    if (!(sy > 1e-12 * dot(k, y, y))) return; /* no curvature seen */
    k->rho[k->next] = 1 / sy;
    k->next = (k->next + 1) % MEMORY;
    if (k->kept < MEMORY) k->kept++;
}

static gn_status run(search *k, gn__enough enough, int max_iterations, int *iterations)
{
    k->evaluations++;
    GN__TRY(k->f(k->arg, k->x, k->g, &k->value, k->err));
    for (*iterations = 0; *iterations < max_iterations;) {
        double value, square = dot(k, k->g, k->g);
        bool found;
        find_direction(k);
        double slope = dot(k, k->g, k->direction);
        if (enough(k->arg, fmax(-0.5 * slope, 0)) || !(square > 0)) return GN_OK;
        if (!(slope < 0)) {
            if (k->kept == 0) return GN_OK;
            k->kept = 0; /* rounding has spoilt the memory: begin anew from the gradient */
            continue;
        }
        double step = k->kept > 0 ? 1 : fmin(1, 1 / sqrt(square));
        GN__TRY(search_line(k, slope, step, &value, &found));
        if (!found) {
            if (k->kept == 0) return GN_OK;
            k->kept = 0;
            continue;
        }
        remember(k);
        memcpy(k->x, k->new_x, k->n * sizeof *k->x);
        memcpy(k->g, k->new_g, k->n * sizeof *k->g);
        k->value = value;
        ++*iterations;
    }
    return GN_OK;
}

gn_status gn__minimise(gn__objective f, gn__enough enough, void *arg, size_t n, double *x, int max_iterations,
                       double noise, gn__minimum *out, gn_error *err)
{
    double *memory = gn__aligned(n, (2 * MEMORY + 4) * sizeof *memory);
    if (memory == NULL) return gn__no_memory(err, n * (2 * MEMORY + 4) * sizeof *memory);
    double rho[MEMORY];
    search k = {.f = f,
                .arg = arg,
                .n = n,
                .x = x,
                .g = memory,
                .direction = memory + n,
                .new_x = memory + 2 * n,
                .new_g = memory + 3 * n,
                .s = memory + 4 * n,
                .y = memory + (4 + MEMORY) * n,
                .rho = rho,
                .noise = noise,
                .err = err};
    *out = (gn__minimum){0};
    gn_status status = run(&k, enough, max_iterations, &out->iterations);
    out->value = k.value;
    out->evaluations = k.evaluations;
    free(memory);
    return status;
}
