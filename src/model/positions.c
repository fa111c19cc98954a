/* Tables of what depends on a token's position or on the distance of two. Distances are t − j for a query at
 * t and a key at j. */
#include "model/internal.h"

#include <math.h>

static gn_status turn(const gn__rotary *r, const float *inverse, size_t tokens, float **cosine, float **sine,
                      gn_error *err)
{
    size_t n = 0;
    if (r->pairs == 0) return GN_OK;
    bool fits = gn__mul_size(tokens, r->pairs, &n);
    *cosine = fits ? gn__aligned(n, sizeof **cosine) : NULL;
    *sine = fits ? gn__aligned(n, sizeof **sine) : NULL;
    if (*cosine == NULL || *sine == NULL) return gn__no_memory(err, n * sizeof **sine);
    for (size_t t = 0; t < tokens; t++)
        for (size_t i = 0; i < r->pairs; i++) {
            float angle = (float)t * inverse[i];
            (*cosine)[t * r->pairs + i] = cosf(angle) * r->scale;
            (*sine)[t * r->pairs + i] = sinf(angle) * r->scale;
        }
    return GN_OK;
}

/* T5's: half of the buckets for each direction; of those half one a distance, the rest logarithmic. */
size_t gn__positions_bucket(const gn__recipe *r, ptrdiff_t distance)
{
    size_t half = r->buckets / 2, exact = half / 2, far = (size_t)(distance < 0 ? -distance : distance);
    size_t first = distance < 0 ? half : 0;
    if (far < exact || half == 0) return first + (half ? far : 0);
    float place = logf((float)far / (float)exact) / (float)log((double)r->farthest / (double)exact);
    size_t large = exact + (size_t)(place * (float)(half - exact));
    return first + (large < half ? large : half - 1);
}

/* Press et al.: powers of a ratio, for a power of two heads; the rest from the next such series. */
static float slope_of(size_t head, size_t heads)
{
    size_t even = 1;
    while (2 * even <= heads) even *= 2;
    double ratio = exp2(-8.0 / (double)even);
    if (head < even) return (float)pow(ratio, (double)(head + 1));
    return (float)pow(exp2(-4.0 / (double)even), (double)(2 * (head - even) + 1));
}

void gn__positions_fill_bias(const gn__recipe *r, const float *buckets, gn__positions *p)
{
    for (size_t i = 0; i < 2 * p->tokens - 1; i++) {
        ptrdiff_t distance = (ptrdiff_t)p->tokens - 1 - (ptrdiff_t)i;
        size_t bucket = r->bias == GN__BIAS_BUCKETS ? gn__positions_bucket(r, distance) : 0;
        for (size_t h = 0; h < r->heads; h++)
            p->bias[h * p->bias_stride + i] = r->bias == GN__BIAS_BUCKETS
                                                  ? buckets[h * r->buckets + bucket]
                                                  : -slope_of(h, r->heads) * (float)distance;
    }
}

static gn_status make_bias(const gn_model *m, size_t tokens, gn__positions *p, gn_error *err)
{
    const gn__recipe *r = &m->recipe;
    p->bias_stride = 2 * tokens - 1 + GN__BIAS_SLACK;
    p->bias = gn__calloc(r->heads, p->bias_stride * sizeof *p->bias);
    if (p->bias == NULL) return gn__no_memory(err, r->heads * p->bias_stride * sizeof *p->bias);
    gn__positions_fill_bias(r, m->buckets, p);
    return GN_OK;
}

/* DeBERTa's: distances up to half of the buckets one each, then logarithmic. */
static ptrdiff_t span_bucket(const gn__recipe *r, ptrdiff_t distance)
{
    ptrdiff_t middle = (ptrdiff_t)r->span_buckets / 2, far = distance < 0 ? -distance : distance;
    if (r->span_buckets == 0 || far <= middle || middle == 0) return distance;
    float whole = logf((float)((double)(r->span_farthest - 1) / (double)middle));
    float place = ceilf(logf((float)far / (float)middle) / whole * (float)(middle - 1));
    ptrdiff_t bucket = (ptrdiff_t)place + middle;
    return distance < 0 ? -bucket : bucket;
}

static gn_status fill_rows(const gn__recipe *r, size_t tokens, gn__positions *p, gn_error *err)
{
    ptrdiff_t span = (ptrdiff_t)r->span;
    p->row = gn__calloc(2 * tokens - 1, sizeof *p->row);
    if (p->row == NULL) return gn__no_memory(err, (2 * tokens - 1) * sizeof *p->row);
    for (size_t i = 0; i < 2 * tokens - 1; i++) {
        ptrdiff_t row = span_bucket(r, (ptrdiff_t)i - (ptrdiff_t)tokens + 1) + span;
        p->row[i] = (uint16_t)(row < 0 ? 0 : row < 2 * span ? row : 2 * span - 1);
    }
    return GN_OK;
}

gn_status gn__positions_create(const gn_model *m, size_t tokens, gn__positions *out, gn_error *err)
{
    const gn__recipe *r = &m->recipe;
    gn_status status = GN_OK;
    gn__positions p = {.tokens = tokens};
    for (int kind = 0; kind < 2; kind++) {
        const gn__rotary *t = &r->rotary[kind];
        GN__TRY_GOTO(turn(t, t->inverse, tokens, &p.cosine[kind], &p.sine[kind], err), done);
        if (t->long_from == 0 || tokens <= t->long_from) continue;
        GN__TRY_GOTO(turn(t, t->longer, tokens, &p.cosine_longer[kind], &p.sine_longer[kind], err), done);
    }
    if (r->bias != GN__BIAS_NONE) GN__TRY_GOTO(make_bias(m, tokens, &p, err), done);
    if (r->span > 0) GN__TRY_GOTO(fill_rows(r, tokens, &p, err), done);
    *out = p;
    return GN_OK;
done:
    gn__positions_free(&p);
    return status;
}

void gn__positions_free(gn__positions *p)
{
    for (int kind = 0; kind < 2; kind++) {
        free(p->cosine[kind]);
        free(p->sine[kind]);
        free(p->cosine_longer[kind]);
        free(p->sine_longer[kind]);
    }
    free(p->bias);
    free(p->row);
    *p = (gn__positions){0};
}
