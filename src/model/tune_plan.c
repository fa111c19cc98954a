/* How large the passes are, and whether activations are kept, so that a run stays within its memory. */
#include "model/tuned.h"

enum { SPARE = 8 << 20, SPARE_SHARE = 16 };

/* Bytes of everything with such a pass; above SIZE_MAX / 4: more than can be counted. */
static size_t bytes_of(const gn__tune_needs *n, size_t tokens, bool recompute)
{
    gn__learner_options o = {.tune = n->tune,
                             .classes = n->classes,
                             .most_tokens = tokens,
                             .most_texts = n->texts,
                             .recompute = recompute};
    size_t trained, learner = gn__learner_bytes(n->m, &o, &trained), arrays;
    /* The gradient, the optimiser's two, and the best weights. */
    if (!gn__mul_size(trained, (n->best ? 4 : 3) * sizeof(float), &arrays)) return SIZE_MAX / 2;
    size_t all = learner > SIZE_MAX / 4 || arrays > SIZE_MAX / 4 ? SIZE_MAX / 2 : learner + arrays;
    /* What the allocator loses between blocks, the products' own scratch, and copies while packing. */
    return all + all / SPARE_SHARE + SPARE;
}

gn_status gn__tune_plan_make(const gn__tune_needs *n, gn__tune_plan *out, gn_error *err)
{
    size_t limit = n->tune->memory, least = SIZE_MAX;
    size_t most = n->tokens > n->longest ? n->tokens : n->longest;
    for (int recompute = 0; recompute < 2; recompute++) {
        size_t floor = !recompute && n->longest < GN__TUNE_PASS ? (size_t)GN__TUNE_PASS : n->longest;
        if (floor > most) floor = most;
        for (size_t tokens = most;; tokens = tokens / 2 > floor ? tokens / 2 : floor) {
            size_t bytes = bytes_of(n, tokens, recompute);
            if (bytes < least) least = bytes;
            if (limit == 0 || bytes <= limit) {
                *out = (gn__tune_plan){tokens, n->texts, recompute, bytes};
                return GN_OK;
            }
            if (tokens == floor) break;
        }
    }
    return gn__fail(err, GN_NO_MEMORY,
                    "fine-tuning %s this way takes %zu MB at the least, but only %zu MB are allowed",
                    n->m->info.name, least / 1000000 + 1, limit / 1000000);
}
