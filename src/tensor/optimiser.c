#include "tensor/optimiser.h"

#include <math.h>

enum {
    BLOCK = 1 << 15,
    PART = BLOCK / 32
}; /* floats: 128 kB of each of four arrays; a bit of gn__optimiser.moved */

/* ---- rates over the steps ------------------------------------------------------------------------- */

double gn__schedule_factor(gn_schedule kind, size_t step, size_t warmup, size_t steps)
{
    if (step < warmup) return (double)step / (double)warmup;
    if (kind == GN_SCHEDULE_CONSTANT) return 1;
    if (step >= steps) return 0;
    double past = (double)(step - warmup) / (double)(steps - warmup);
    return kind == GN_SCHEDULE_COSINE ? 0.5 * (1 + cos(M_PI * past)) : 1 - past;
}

size_t gn__schedule_warmup(double share, size_t steps)
{
    return (size_t)ceil(share * (double)steps);
}

/* ---- AdamW ------------------------------------------------------------------------------------------ */

void gn__optimiser_free(gn__optimiser *o)
{
    free(o->mean);
    free(o->square);
    free(o->stretch);
    free(o->done);
    free(o->moved);
    *o = (gn__optimiser){0};
}

gn_status gn__optimiser_create(size_t n, const gn__stretch *stretch, size_t count, gn__optimiser *out,
                               gn_error *err)
{
    gn__optimiser o = {.n = n};
    for (size_t i = 0; i < count; i++) o.stretches += (stretch[i].n + BLOCK - 1) / BLOCK;
    o.mean = gn__calloc(n, sizeof *o.mean);
    o.square = gn__calloc(n, sizeof *o.square);
    o.stretch = gn__calloc(o.stretches, sizeof *o.stretch);
    o.done = gn__calloc(o.stretches, 1);
    o.moved = gn__calloc(o.stretches, sizeof *o.moved);
    if (!o.mean || !o.square || !o.stretch || !o.done || !o.moved) {
        gn__optimiser_free(&o);
        return gn__no_memory(err, 2 * n * sizeof *o.mean);
    }
    gn__stretch *block = o.stretch;
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at < stretch[i].n; at += BLOCK) {
            *block = stretch[i];
            block->begin += at;
            block->n = stretch[i].n - at < BLOCK ? stretch[i].n - at : (size_t)BLOCK;
            block++;
        }
    *out = o;
    return GN_OK;
}

GN__CLONES static bool all_zero(const float *x, size_t n)
{
    int odd = 0;
    for (size_t i = 0; i < n; i++) odd |= x[i] != 0; /* true of NaN */
    return odd == 0;
}

void gn__optimiser_resume(gn__optimiser *o, const void *mean, const void *square, uint64_t steps)
{
    o->steps = steps;
    memcpy(o->mean, mean, o->n * sizeof *o->mean);
    memcpy(o->square, square, o->n * sizeof *o->square);
    for (size_t i = 0; i < o->stretches; i++) {
        const gn__stretch *s = &o->stretch[i];
        for (size_t at = 0; at < s->n; at += PART) {
            size_t n = s->n - at < PART ? s->n - at : (size_t)PART, b = s->begin + at;
            if (!all_zero(o->mean + b, n) || !all_zero(o->square + b, n))
                o->moved[i] |= UINT32_C(1) << at / PART;
        }
    }
}

/* The numbers of one step, in the type that it is computed in. */
typedef struct coefficients {
    float keep, toward, beta2, fresh, rate, root, eps, scale;
} coefficients;

GN__CLONES static void update(float *restrict w, float *restrict g, float *restrict m, float *restrict v,
                              size_t n, coefficients c)
{
    for (size_t i = 0; i < n; i++) {
        float x = g[i] * c.scale;
        g[i] = 0;
        m[i] += c.toward * (x - m[i]);
        v[i] = c.beta2 * v[i] + c.fresh * (x * x);
        w[i] = w[i] * c.keep - c.rate * (m[i] / (sqrtf(v[i]) / c.root + c.eps));
    }
}

GN__CLONES static void decay(float *w, size_t n, float keep)
{
    for (size_t i = 0; i < n; i++) w[i] *= keep;
}

typedef struct job {
    gn__optimiser *o;
    float *value, *gradient;
    coefficients c[GN__RATES][2]; /* [rate][decays] */
} job;

static void update_stretch(const job *j, size_t i)
{
    const gn__stretch *s = &j->o->stretch[i];
    coefficients c = j->c[s->rate][s->decays];
    for (size_t at = 0; at < s->n; at += PART) {
        size_t n = s->n - at < PART ? s->n - at : (size_t)PART, b = s->begin + at;
        uint32_t bit = UINT32_C(1) << at / PART;
        if (!(j->o->moved[i] & bit) && all_zero(j->gradient + b, n)) {
            if (c.keep != 1) decay(j->value + b, n, c.keep);
            continue;
        }
        j->o->moved[i] |= bit;
        update(j->value + b, j->gradient + b, j->o->mean + b, j->o->square + b, n, c);
    }
    j->o->done[i] = 1;
}

static void update_stretches(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    for (size_t i = begin; i < end; i++) update_stretch(arg, i);
}

void gn__optimiser_step(gn_context *ctx, gn__optimiser *o, float *value, float *gradient, double scale,
                        const double rate[GN__RATES])
{
    job j = {.o = o, .value = value, .gradient = gradient};
    o->steps++;
    double t = (double)o->steps;
    double bias1 = 1 - pow(o->beta1, t), bias2 = 1 - pow(o->beta2, t);
    for (size_t r = 0; r < GN__RATES; r++)
        for (int decays = 0; decays < 2; decays++)
            j.c[r][decays] = (coefficients){.keep = (float)(1 - (decays ? rate[r] * o->decay : 0)),
                                            .toward = (float)(1 - o->beta1),
                                            .beta2 = (float)o->beta2,
                                            .fresh = (float)(1 - o->beta2),
                                            .rate = (float)(rate[r] / bias1),
                                            .root = (float)sqrt(bias2),
                                            .eps = (float)o->eps,
                                            .scale = (float)scale};
    memset(o->done, 0, o->stretches);
    /* A loop that was told to stop leaves stretches out, and half a step is a state that no run has. */
    if (gn__parallel_for(ctx, o->stretches, 1, update_stretches, &j, NULL) != GN_OK)
        for (size_t i = 0; i < o->stretches; i++)
            if (!o->done[i]) update_stretch(&j, i);
}

/* ---- the norm --------------------------------------------------------------------------------------- */

GN__CLONES static double square_sum(const float *x, size_t n)
{
    enum { LANES = 16 };
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++) lane[k] += (double)x[i + k] * (double)x[i + k];
    for (size_t k = 0; i < n; i++, k++) lane[k] += (double)x[i] * (double)x[i];
    for (size_t k = 0; k < LANES; k++) sum += lane[k];
    return sum;
}

typedef struct sums {
    const float *x;
    size_t n;
    double *block;
} sums;

static void sum_blocks(void *arg, size_t begin, size_t end, unsigned worker)
{
    const sums *s = arg;
    (void)worker;
    for (size_t b = begin; b < end; b++) {
        size_t at = b * BLOCK;
        s->block[b] = square_sum(s->x + at, s->n - at < BLOCK ? s->n - at : (size_t)BLOCK);
    }
}

gn_status gn__norm_of(gn_context *ctx, const float *x, size_t n, double *out, gn_error *err)
{
    size_t blocks = (n + BLOCK - 1) / BLOCK;
    double sum = 0;
    sums s = {x, n, gn__calloc(blocks, sizeof *s.block)};
    if (s.block == NULL) return gn__no_memory(err, blocks * sizeof *s.block);
    gn_status status = gn__parallel_for(ctx, blocks, 1, sum_blocks, &s, err);
    for (size_t b = 0; b < blocks; b++) sum += s.block[b];
    free(s.block);
    *out = sqrt(sum);
    return status;
}
