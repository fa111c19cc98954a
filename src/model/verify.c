/* Is a checkpoint sound: every value of every tensor, and two texts through the model. */
#include "model/internal.h"

#include <math.h>

enum { BLOCK = 16384 };

typedef struct walk {
    const gn__weights *weights;
    gn_tensor_flaw *found; /* [tensors]; name NULL: nothing wrong */
} walk;

static void look_at(const gn__tensor *t, gn_tensor_flaw *flaw)
{
    float x[BLOCK];
    size_t nan = 0, infinite = 0, first = 0;
    bool zero = t->elements > 0;
    for (size_t at = 0; at < t->elements; at += BLOCK) {
        size_t n = t->elements - at < BLOCK ? t->elements - at : BLOCK;
        gn__tensor_read(t, at, n, x);
        bool sound = true;
        for (size_t i = 0; i < n; i++) {
            zero = zero && x[i] == 0;
            sound = sound && x[i] - x[i] == 0;
        }
        for (size_t i = 0; i < n && !sound; i++) {
            if (isfinite(x[i])) continue;
            if (nan + infinite == 0) first = at + i;
            *(isnan(x[i]) ? &nan : &infinite) += 1;
        }
    }
    if (nan + infinite == 0 && !zero) return;
    *flaw = (gn_tensor_flaw){t->name, nan, infinite, first, zero, zero && t->rank < 2};
}

static void look(void *arg, size_t begin, size_t end, unsigned worker)
{
    walk *w = arg;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        if (w->weights->tensor[i].type != GN__WEIGHT_OTHER) look_at(&w->weights->tensor[i], &w->found[i]);
}

static gn_status walk_tensors(gn_context *ctx, const gn_model *m, gn_model_check *c, gn_error *err)
{
    size_t n = m->weights.tensors;
    if (n == 0) return GN_OK; /* a built-in, a server */
    walk w = {&m->weights, gn__calloc(n, sizeof(gn_tensor_flaw))};
    if (w.found == NULL) return gn__no_memory(err, n * sizeof *w.found);
    gn_status status = gn__parallel_for(ctx, n, 1, look, &w, err);
    for (size_t i = 0; status == GN_OK && i < n; i++) {
        const gn__tensor *t = &m->weights.tensor[i];
        if (t->type == GN__WEIGHT_OTHER) {
            c->passed_over++;
            continue;
        }
        c->tensors++;
        c->values += t->elements;
        if (w.found[i].name != NULL) w.found[c->flaws++] = w.found[i];
    }
    c->flaw = w.found;
    return status;
}

static gn_status embed_twice(gn_context *ctx, const gn_model *m, gn_model_check *c, gn_error *err)
{
    static const char *const text[] = {"The delivery came two days late and the box was open.",
                                       "今日は天気がよいので、散歩に行きます。"};
    uint32_t length[2] = {(uint32_t)strlen(text[0]), (uint32_t)strlen(text[1])};
    gn_matrix x[2] = {{0}, {0}};
    gn_status status = GN_OK;
    for (int i = 0; i < 2 && status == GN_OK; i++)
        status = gn_model_embed(ctx, m, text, length, 2, &x[i], NULL, NULL, err);
    if (status == GN_OK) {
        size_t dim = x[0].cols;
        c->finite = true;
        c->deterministic = memcmp(x[0].data, x[1].data, 2 * dim * sizeof *x[0].data) == 0;
        c->telling = memcmp(x[0].data, x[0].data + dim, dim * sizeof *x[0].data) != 0;
    } else if (status == GN_NUMERIC) { /* that is what the check is for */
        status = GN_OK;
    }
    gn_matrix_free(&x[0]);
    gn_matrix_free(&x[1]);
    return status;
}

gn_status gn_model_verify(gn_context *ctx, const gn_model *m, gn_model_check *out, gn_error *err)
{
    gn_model_check c = {0};
    gn_status status = walk_tensors(ctx, m, &c, err);
    if (status == GN_OK) status = embed_twice(ctx, m, &c, err);
    c.sound = c.finite && c.deterministic && c.telling;
    for (size_t i = 0; i < c.flaws; i++) c.sound = c.sound && c.flaw[i].harmless;
    if (status == GN_OK)
        *out = c;
    else
        gn_model_check_free(&c);
    return status;
}

void gn_model_check_free(gn_model_check *c)
{
    free(c->flaw);
    *c = (gn_model_check){0};
}
