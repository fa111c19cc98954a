/* The optimiser of fine-tuning: AdamW on flat arrays, the norm that clips a gradient, learning rates over
 * the steps. Elementwise, or in sums of fixed blocks: bits do not depend on the threads. */
#ifndef GENCHI_TENSOR_OPTIMISER_H
#define GENCHI_TENSOR_OPTIMISER_H

#include "core/core.h"
#include "genchi/tune.h"

/* What the rate of step `step` (0, 1, …) of `steps` is multiplied by: rises by 1/warmup a step from 0, then
 * falls to 0 (linear; cosine: half a wave) or stays at 1. The first step of a warm-up has the rate 0, as in
 * transformers' get_linear_schedule_with_warmup. */
double gn__schedule_factor(gn_schedule kind, size_t step, size_t warmup, size_t steps);
/* Steps of a warm-up over this share of all, rounded up as transformers does. */
size_t gn__schedule_warmup(double share, size_t steps);

/* A stretch of the flat arrays that is updated alike. */
typedef struct gn__stretch {
    size_t begin, n;
    bool decays;
    unsigned rate; /* which of the rates applies */
} gn__stretch;

enum { GN__RATES = 2 };

/* AdamW (Loshchilov & Hutter 2019, algorithm 2, with the decay scaled by the rate as in PyTorch), step t = 1,
 * 2, …:  w ← (1 − r λ) w;  m ← m + (1 − β₁)(g − m);  v ← β₂ v + (1 − β₂) g²;
 *        w ← w − r/(1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε). */
typedef struct gn__optimiser {
    double beta1, beta2, eps, decay;
    uint64_t steps;       /* taken */
    float *mean, *square; /* [n] m and v; owned */
    size_t n;
    gn__stretch *stretch; /* [stretches] cut into blocks; owned */
    size_t stretches;
    unsigned char *done; /* [stretches] of the step under way; owned */
    uint32_t *moved;     /* [stretches] bit k: part k of the block has had a gradient that was not 0; owned */
} gn__optimiser;

/* stretch: [count], not overlapping, inside [0, n); copied. Fills all but the four options. Errors:
 * GN_NO_MEMORY. */
gn_status gn__optimiser_create(size_t n, const gn__stretch *stretch, size_t count, gn__optimiser *out,
                               gn_error *err);
void gn__optimiser_free(gn__optimiser *o); /* a zeroed struct is allowed */
/* A fresh optimiser goes on from these averages (copied; n floats each, aligned to nothing in particular)
 * after so many steps. */
void gn__optimiser_resume(gn__optimiser *o, const void *mean, const void *square, uint64_t steps);

/* One step of every stretch with the gradient times `scale`; leaves the stretches' gradient at 0. Where no
 * gradient has ever been (rows of words that do not occur) both averages are 0 and only the decay is left:
 * the same bits, and neither averages nor gradient are written, so their pages are never made. Never half
 * done: a request to stop is not heard here. */
void gn__optimiser_step(gn_context *ctx, gn__optimiser *o, float *value, float *gradient, double scale,
                        const double rate[GN__RATES]);

/* √(Σ x²), in float64. Errors: GN_CANCELLED, GN_NO_MEMORY. */
gn_status gn__norm_of(gn_context *ctx, const float *x, size_t n, double *out, gn_error *err);

#endif
