/* What a learner takes, from the recipe alone. Weak: gives way to the learner's own account. */
#include "model/learner.h"

__attribute__((weak)) size_t gn__learner_bytes(const gn_model *m, const gn__learner_options *o)
{
    const gn__recipe *r = &m->recipe;
    double rows = (double)((o->most_tokens + GN__ROWS - 1) / GN__ROWS * GN__ROWS);
    double d = (double)r->dim, q = (double)(r->heads * r->head_dim);
    double triple = q + 2 * (double)(r->kv_heads * r->head_dim);
    double inner = (double)(r->gated ? 2 * r->inner : r->inner);
    double of_layer = triple + (double)r->heads + q + 5 * d + inner;
    double kept = o->recompute ? (double)r->layers * d + of_layer : (double)r->layers * of_layer;
    double wake = 7 * d + 2 * inner + q + triple + (double)r->embedding;
    double texts = (double)o->most_texts * (2 * (double)m->info.dim + (double)o->classes);
    double linear = (double)r->stored * (d * triple + q * d + d * inner + (double)r->inner * d);
    double packed = o->tune->dtype == GN_DTYPE_BF16 ? 4 : 8; /* there and back */
    return (size_t)(4 * (rows * (kept + wake + 3 * d) + texts + (double)m->info.parameters) +
                    packed * linear);
}
