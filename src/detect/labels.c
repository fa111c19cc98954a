/* Labellings: the observed division of the items into two parts, and random ones of the same sizes. */
#include "detect/detect.h"

typedef struct labeller {
    gn__labels *labels;
    uint32_t *order;  /* [threads × items] */
    uint32_t *chosen; /* [labellings × small], sparse only */
    uint64_t seed, purpose;
} labeller;

/* Labellings begin .. end-1; begin is a multiple of 8, so that no two pieces write one byte. */
static void label_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    labeller *job = arg;
    gn__labels *x = job->labels;
    uint32_t *order = job->order + worker * x->items;
    for (size_t i = 0; i < x->items; i++) order[i] = (uint32_t)i;
    for (size_t l = begin; l < end; l++) {
        gn__rng r = gn__rng_make(job->seed, gn__purpose("detect/permutation") ^ job->purpose, l);
        if (l > 0) /* any order is as good a start as another, but pieces must not depend on each other */
            for (size_t i = 0; i < x->small; i++) {
                size_t j = i + gn__rng_below(&r, (uint32_t)(x->items - i));
                uint32_t t = order[i];
                order[i] = order[j];
                order[j] = t;
            }
        for (size_t i = 0; i < x->small; i++) {
            size_t item = l > 0 ? order[i] : i + (x->small_is_b ? x->items_a : 0);
            if (x->bits != NULL)
                x->bits[item * x->stride + l / 8] |= (uint8_t)(1U << (l % 8));
            else
                job->chosen[l * x->small + i] = (uint32_t)item;
        }
    }
}

static gn_status draw(gn_context *ctx, gn__labels *x, uint32_t *chosen, uint64_t purpose, gn_error *err)
{
    labeller job = {.labels = x, .chosen = chosen, .seed = gn_context_seed(ctx), .purpose = purpose};
    job.order = gn__calloc(gn_context_threads(ctx), x->items * sizeof *job.order);
    if (job.order == NULL) return gn__no_memory(err, x->items * sizeof *job.order);
    gn_status status = gn__parallel_for(ctx, x->count, 8, label_piece, &job, err);
    free(job.order);
    return status;
}

static gn__labels sizes(size_t items_a, size_t items_b, size_t count)
{
    return (gn__labels){.items = items_a + items_b,
                        .items_a = items_a,
                        .count = count,
                        .small_is_b = items_b <= items_a,
                        .small = items_b <= items_a ? items_b : items_a,
                        .stride = (count + 7) / 8};
}

gn_status gn__labels_dense(gn_context *ctx, size_t items_a, size_t items_b, size_t count, uint64_t purpose,
                           gn__labels *out, gn_error *err)
{
    gn__labels x = sizes(items_a, items_b, count);
    x.bits = gn__calloc(x.items, x.stride);
    gn_status status = x.bits ? draw(ctx, &x, NULL, purpose, err) : gn__no_memory(err, x.items * x.stride);
    if (status == GN_OK)
        *out = x;
    else
        gn__labels_free(&x);
    return status;
}

gn_status gn__labels_sparse(gn_context *ctx, size_t items_a, size_t items_b, size_t count, uint64_t purpose,
                            gn__labels *out, gn_error *err)
{
    gn__labels x = sizes(items_a, items_b, count);
    size_t all;
    uint32_t *chosen = gn__mul_size(count, x.small, &all) ? gn__calloc(all, sizeof *chosen) : NULL;
    gn_status status = GN_OK;
    x.start = gn__calloc(x.items + 2, sizeof *x.start);
    x.of = chosen ? gn__calloc(all, sizeof *x.of) : NULL;
    if (x.start == NULL || x.of == NULL) {
        status = gn__no_memory(err, count * x.small * sizeof *chosen);
        goto done;
    }
    GN__TRY_GOTO(draw(ctx, &x, chosen, purpose, err), done);
    /* Counting sort by item; start is one place ahead while it fills. */
    for (size_t k = 0; k < all; k++) x.start[chosen[k] + 2]++;
    for (size_t i = 2; i < x.items + 2; i++) x.start[i] += x.start[i - 1];
    for (size_t k = 0; k < all; k++) x.of[x.start[chosen[k] + 1]++] = (uint32_t)(k / x.small);
done:
    free(chosen);
    if (status == GN_OK)
        *out = x;
    else
        gn__labels_free(&x);
    return status;
}

void gn__labels_free(gn__labels *l)
{
    free(l->bits);
    free(l->start);
    free(l->of);
    *l = (gn__labels){0};
}

GN__CLONES static void labels_spread(const uint8_t *bits, size_t count, float inside, float outside,
                                     float *out)
{
    for (size_t l = 0; l < count; l++) out[l] = bits[l / 8] >> (l % 8) & 1 ? inside : outside;
}

void gn__labels_expand(const gn__labels *labels, size_t item, float inside, float outside, float *out)
{
    labels_spread(labels->bits + item * labels->stride, labels->count, inside, outside, out);
}
