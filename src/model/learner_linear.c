/* A linear layer of a learner, one block of rows: the product, low-rank additions (Hu et al. 2022) and
 * dropout. */
#include "model/learner_parts.h"

void gn__learner_drop(const gn__learner *l, double probability, uint32_t place, size_t row, float *x,
                      size_t cols)
{
    if (l->drop.row == NULL || !(probability > 0)) return;
    gn__drop d = {.key = {l->drop_key[0], l->drop_key[1]}, .place = place, .probability = probability};
    for (size_t i = 0; i < GN__ROWS && row + i < l->rows; i++) {
        d.text = (uint32_t)l->drop.row[l->text[row + i]];
        l->back->drop(&d, l->at[row + i], x + i * cols, cols);
    }
}

static void run(gn__learner *l, gn__bench *b, const gn__linear *x, const float *from, float *to)
{
    if (!gn__linear_run(x, b->lane, from, to)) atomic_store(&l->failed, true);
}

/* What adapters take: x, or a copy of it with elements dropped. */
static const float *take(const gn__learner *l, size_t layer, int product, size_t row, const float *x,
                         size_t cols, float *copy)
{
    if (product == GN__PRODUCTS || l->drop.row == NULL || !(l->drop.adapter > 0)) return x;
    memcpy(copy, x, GN__ROWS * cols * sizeof *x);
    gn__learner_drop(l, l->drop.adapter, gn__drop_place(GN__DROP_ADAPTER + product, layer), row, copy, cols);
    return copy;
}

void gn__learner_run(gn__learner *l, gn__bench *b, const gn__learnt_linear *x, size_t layer, int product,
                     size_t row, const float *from, float *to)
{
    run(l, b, x->there, from, to);
    if (x->adapters == 0) return;
    float *taken = b->high + GN__ROWS * x->outputs;
    const float *src = take(l, layer, product, row, from, x->inputs, taken);
    for (size_t k = 0; k < x->adapters; k++) {
        const gn__adapter *a = x->adapter[k];
        run(l, b, a->down, src, b->low);
        run(l, b, a->up, b->low, b->high);
        for (size_t i = 0; i < GN__ROWS; i++) {
            float *y = to + i * x->outputs + x->first[k];
            for (size_t j = 0; j < a->outputs; j++) y[j] += l->adapter_scale * b->high[i * a->outputs + j];
        }
    }
}

void gn__learner_run_back(gn__learner *l, gn__bench *b, const gn__learnt_linear *x, size_t layer, int product,
                          size_t row, const float *from, const float *by_y, float *by_x, float *taken,
                          float *z, float *by_z)
{
    size_t rank = l->tune.lora_rank, width = x->adapters * rank;
    run(l, b, x->back, by_y, by_x);
    if (x->adapters == 0) return;
    taken += row * x->inputs, z += row * width, by_z += row * width;
    const float *src = take(l, layer, product, row, from, x->inputs, taken);
    if (src != taken) memcpy(taken, src, GN__ROWS * x->inputs * sizeof *taken);
    float *more = b->high + GN__ROWS * x->outputs;
    for (size_t k = 0; k < x->adapters; k++) {
        const gn__adapter *a = x->adapter[k];
        run(l, b, a->down, taken, b->low);
        for (size_t i = 0; i < GN__ROWS; i++)
            for (size_t j = 0; j < rank; j++)
                z[i * width + k * rank + j] = l->adapter_scale * b->low[i * rank + j];
        for (size_t i = 0; i < GN__ROWS; i++)
            memcpy(b->high + i * a->outputs, by_y + i * x->outputs + x->first[k], a->outputs * sizeof *by_y);
        run(l, b, a->up_back, b->high, b->low);
        for (size_t i = 0; i < GN__ROWS * rank; i++) b->low[i] *= l->adapter_scale;
        for (size_t i = 0; i < GN__ROWS; i++)
            memcpy(by_z + i * width + k * rank, b->low + i * rank, rank * sizeof *by_z);
        run(l, b, a->down_back, b->low, more);
        if (product != GN__PRODUCTS)
            gn__learner_drop(l, l->drop.adapter, gn__drop_place(GN__DROP_ADAPTER + product, layer), row, more,
                             x->inputs);
        for (size_t i = 0; i < GN__ROWS * x->inputs; i++) by_x[i] += more[i];
    }
}
