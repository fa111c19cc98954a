/* Every operation's gradient against central differences in double precision (the fast body itself, compiled
 * for double, against plain forward formulas written here), and the float tables against that body. */
#define REAL_IS_DOUBLE
#include "differences.h"
#include "tensor/gradient_kernel.h"
#include "test.h"

static const double root_2_over_pi = 0.79788456080286535588;

/* ---- norms
 * ------------------------------------------------------------------------------------------------- */

typedef struct norm {
    double *x, *gamma, *beta, *weight;
    size_t rows, cols;
    bool centred;
    double eps;
} norm;

static double norm_value(const void *arg)
{
    const norm *n = arg;
    double value = 0;
    for (size_t i = 0; i < n->rows; i++) {
        const double *x = n->x + i * n->cols, *w = n->weight + i * n->cols;
        double mean = 0, square = 0;
        for (size_t j = 0; j < n->cols && n->centred; j++) mean += x[j] / (double)n->cols;
        for (size_t j = 0; j < n->cols; j++) square += (x[j] - mean) * (x[j] - mean) / (double)n->cols;
        for (size_t j = 0; j < n->cols; j++)
            value +=
                w[j] * ((x[j] - mean) / sqrt(square + n->eps) * n->gamma[j] + (n->centred ? n->beta[j] : 0));
    }
    return value;
}

TEST(norms)
{
    for (size_t cols = 1; cols < 20; cols += 3)
        for (int centred = 0; centred < 2; centred++) {
            rng = gn__rng_make(cols, gn__purpose("test/gradients"), 0);
            norm n = {.rows = 3, .cols = cols, .centred = centred, .eps = 1e-3};
            n.x = numbers(3 * cols, 1), n.gamma = numbers(cols, 1), n.beta = numbers(cols, 1);
            n.weight = numbers(3 * cols, 1);
            double *by_x = numbers(3 * cols, 0), *by_gamma = numbers(cols, 0), *by_beta = numbers(cols, 0);
            norm_back(&(wide_norm_back){.x = n.x,
                                        .by_y = n.weight,
                                        .gamma = n.gamma,
                                        .centred = centred,
                                        .by_x = by_x,
                                        .by_gamma = by_gamma,
                                        .by_beta = by_beta,
                                        .rows = 3,
                                        .cols = cols,
                                        .eps = n.eps});
            check_by("norm, x", norm_value, &n, n.x, by_x, 3 * cols);
            check_by("norm, gamma", norm_value, &n, n.gamma, by_gamma, cols);
            if (centred) check_by("norm, beta", norm_value, &n, n.beta, by_beta, cols);
            free(n.x), free(n.gamma), free(n.beta), free(n.weight), free(by_x), free(by_gamma), free(by_beta);
        }
}

/* ---- activations
 * ------------------------------------------------------------------------------------------- */

static double activated(gn__activation kind, double x)
{
    switch (kind) {
    case GN__GELU:
        return 0.5 * x * erfc(-x / sqrt(2.0));
    case GN__GELU_TANH:
        return 0.5 * x * (1 + tanh(root_2_over_pi * (x + 0.044715 * x * x * x)));
    case GN__RELU:
        return x < 0 ? 0 : x;
    case GN__SILU:
        return x / (1 + exp(-x));
    case GN__NO_ACTIVATION:
        break;
    }
    return x;
}

typedef struct gated {
    gn__activation kind;
    double *u, *weight;
    size_t rows, cols;
    bool gate;
} gated;

static double gated_value(const void *arg)
{
    const gated *g = arg;
    double value = 0;
    for (size_t i = 0; i < g->rows; i++)
        for (size_t j = 0; j < g->cols; j++) {
            const double *u = g->u + i * g->cols * (g->gate ? 2 : 1) + j;
            value += g->weight[i * g->cols + j] * activated(g->kind, u[0]) * (g->gate ? u[g->cols] : 1);
        }
    return value;
}

TEST(activations_and_gates)
{
    for (int kind = GN__GELU; kind <= GN__NO_ACTIVATION; kind++)
        for (int gate = 0; gate < 2; gate++) {
            rng = gn__rng_make((uint64_t)kind, gn__purpose("test/gradients"), 1);
            gated g = {.kind = (gn__activation)kind, .rows = 3, .cols = 7, .gate = gate};
            size_t n = g.rows * g.cols, wide = gate ? 2 * n : n;
            g.u = numbers(wide, 2), g.weight = numbers(n, 1);
            double *by = numbers(wide, 0), *y = numbers(n, 0);
            if (gate)
                gate_back(g.kind, g.u, g.weight, by, y, g.rows, g.cols);
            else
                activation_back(g.kind, g.u, g.weight, by, y, n);
            check_by(gate ? "gate" : "activation", gated_value, &g, g.u, by, wide);
            double value = 0;
            for (size_t i = 0; i < n; i++) value += g.weight[i] * y[i];
            CHECK_NEAR(value, gated_value(&g), 1e-12 * (1 + fabs(value)));
            free(g.u), free(g.weight), free(by), free(y);
        }
}

/* ---- rotary positions
 * ------------------------------------------------------------------------------------------ */

typedef struct rotation {
    double *x, *weight, *cosine, *sine;
    size_t heads, head_dim, pairs;
} rotation;

static double rotation_value(const void *arg)
{
    const rotation *r = arg;
    double value = 0;
    for (size_t h = 0; h < r->heads; h++) {
        const double *x = r->x + h * r->head_dim, *w = r->weight + h * r->head_dim;
        for (size_t i = 0; i < r->head_dim; i++) {
            size_t n = r->pairs;
            double y = i >= 2 * n ? x[i]
                       : i < n    ? x[i] * r->cosine[i] - x[i + n] * r->sine[i]
                                  : x[i] * r->cosine[i - n] + x[i - n] * r->sine[i - n];
            value += w[i] * y;
        }
    }
    return value;
}

TEST(rotary_positions)
{
    rng = gn__rng_make(1, gn__purpose("test/gradients"), 2);
    rotation r = {.heads = 2, .head_dim = 9, .pairs = 3};
    r.x = numbers(18, 1), r.weight = numbers(18, 1), r.cosine = numbers(3, 1), r.sine = numbers(3, 1);
    double *by = numbers(18, 0);
    memcpy(by, r.weight, 18 * sizeof *by);
    rotate_back(by, r.cosine, r.sine, r.heads, r.head_dim, r.pairs);
    check_by("rotation", rotation_value, &r, r.x, by, 18);
    free(r.x), free(r.weight), free(r.cosine), free(r.sine), free(by);
}

/* ---- dropout
 * --------------------------------------------------------------------------------------------------- */

/* From the generator itself: element j is word j / 16 mod 4 of counter (16 (j / 64) + j mod 16, t, text,
 * place). */
static double kept_share(const gn__drop *d, uint32_t t, uint32_t place, size_t j)
{
    const uint32_t counter[4] = {(uint32_t)(j / 64 * 16 + j % 16), t, d->text, place};
    uint32_t out[4];
    gn__philox_block(d->key, counter, out);
    return out[j / 16 % 4] < (uint32_t)(d->probability * 4294967296.0) ? 0 : 1 / (1 - d->probability);
}

TEST(dropout_is_a_function_of_its_place)
{
    enum { N = 20000 };
    gn__drop d = {.key = {7, 9}, .text = 3, .place = 5, .probability = 0.3};
    double *x = numbers(N, 0), dropped = 0, sum = 0;
    for (size_t j = 0; j < N; j++) x[j] = 1;
    drop(&d, 2, x, N);
    for (size_t j = 0; j < N; j++) {
        CHECK_NEAR(x[j], kept_share(&d, 2, 5, j), 1e-15);
        dropped += x[j] == 0;
        sum += x[j];
    }
    CHECK_NEAR(dropped / N, 0.3, 5 * sqrt(0.21 / N));
    CHECK_NEAR(sum / N, 1, 5 * sqrt(0.21 / N) / 0.7);
    for (size_t i = 0; gn__cpu_gradients_at(i) != NULL; i++) {
        float y[77];
        for (size_t j = 0; j < 77; j++) y[j] = 1;
        gn__cpu_gradients_at(i)->drop(&d, 2, y, 77);
        for (size_t j = 0; j < 77; j++) CHECK_NEAR(y[j], x[j], 1e-6);
    }
    free(x);
}

/* ---- attention
 * --------------------------------------------------------------------------------------------------- */

typedef struct scene {
    wide_attending a;
    double *triple, *weight, *bias, *pk, *pq;
    size_t triple_size, out_size, bias_size, position_size;
} scene;

static double score_of(const wide_attending *a, size_t h, size_t t, size_t j)
{
    size_t D = a->head_dim, from = h / (a->heads / a->kv_heads), width = a->heads * D;
    const double *q = a->q + t * a->stride + h * D, *k = a->k + j * a->stride + from * D;
    double s = 0;
    size_t row = a->row ? a->row[(ptrdiff_t)t - (ptrdiff_t)j] : 0;
    for (size_t d = 0; d < D; d++) {
        s += q[d] * k[d];
        if (a->position_key != NULL) s += q[d] * a->position_key[row * width + h * D + d];
        if (a->position_query != NULL) s += k[d] * a->position_query[row * width + h * D + d];
    }
    s *= a->scale;
    if (a->cap > 0) s = a->cap * tanh(s / a->cap);
    if (a->bias != NULL) s += a->bias[(ptrdiff_t)(h * a->bias_stride) + (ptrdiff_t)j - (ptrdiff_t)t];
    return s;
}

/* Softmax attention in plain loops. */
static double attention_value(const void *arg)
{
    const scene *s = arg;
    const wide_attending *a = &s->a;
    double value = 0;
    for (size_t h = 0; h < a->heads; h++)
        for (size_t t = 0; t < a->tokens; t++) {
            double total = 0, p[64];
            for (size_t j = 0; j < a->tokens; j++) {
                bool seen = !(a->causal && j > t) && !(a->before && j + a->before < t) &&
                            !(a->after && j > t + a->after);
                p[j] = seen ? exp(score_of(a, h, t, j)) : 0;
                total += p[j];
            }
            size_t from = h / (a->heads / a->kv_heads);
            for (size_t j = 0; j < a->tokens; j++) {
                double kept = a->drop ? kept_share(a->drop, (uint32_t)t, a->drop->place + (uint32_t)h, j) : 1;
                for (size_t d = 0; d < a->head_dim; d++)
                    value += s->weight[t * a->out_stride + h * a->head_dim + d] * p[j] / total * kept *
                             a->v[j * a->stride + from * a->head_dim + d];
            }
        }
    return value;
}

enum { ROWS = 8 }; /* of relative positions */

static const struct {
    const char *name;
    size_t tokens, heads, kv_heads, head_dim, before, after;
    bool causal, bias, key, query, drop;
    double cap;
} scenes[] = {
    {"both ways", 9, 2, 2, 5, 0, 0, false, false, false, false, false, 0},
    {"causal", 17, 2, 2, 8, 0, 0, true, false, false, false, false, 0},
    {"one token", 1, 1, 1, 4, 0, 0, true, false, false, false, false, 0},
    {"grouped heads, window", 13, 4, 2, 3, 3, 0, true, false, false, false, false, 0},
    {"window both ways", 19, 2, 1, 6, 4, 2, false, false, false, false, false, 0},
    {"cap", 11, 2, 2, 4, 0, 0, true, false, false, false, false, 1.5},
    {"bias", 10, 3, 3, 4, 0, 0, false, true, false, false, false, 0},
    {"cap and bias, causal", 10, 2, 1, 4, 0, 0, true, true, false, false, false, 2},
    {"relative keys", 9, 2, 2, 5, 0, 0, false, false, true, false, false, 0},
    {"relative queries", 9, 2, 2, 5, 0, 0, false, false, false, true, false, 0},
    {"relative both", 14, 2, 2, 9, 0, 0, false, false, true, true, false, 0},
    {"dropout", 12, 2, 1, 4, 0, 0, true, false, false, false, true, 0},
    {"everything", 14, 4, 2, 5, 5, 3, false, true, true, true, true, 3},
};

/* Rows of relative positions: distances −3 … 4, further ones in the outermost. */
static uint16_t row_table[129];

static void set_scene(size_t k, scene *s, gn__drop *drop)
{
    size_t T = scenes[k].tokens, H = scenes[k].heads, G = scenes[k].kv_heads, D = scenes[k].head_dim;
    size_t width = (H + 2 * G) * D, span = 2 * T - 1 + GN__BIAS_SLACK;
    rng = gn__rng_make(k, gn__purpose("test/gradients"), 3);
    *drop = (gn__drop){.key = {1, 2}, .text = 4, .place = 8, .probability = 0.25};
    *s = (scene){.triple_size = T * width,
                 .out_size = T * H * D,
                 .bias_size = H * span,
                 .position_size = ROWS * H * D};
    s->triple = numbers(s->triple_size, 1), s->weight = numbers(s->out_size, 1),
    s->bias = numbers(s->bias_size, 1);
    s->pk = numbers(s->position_size, 1), s->pq = numbers(s->position_size, 1);
    for (int i = 0; i < 129; i++)
        row_table[i] = (uint16_t)(i - 64 < -3 ? 0 : i - 64 > 4 ? ROWS - 1 : i - 64 + 3);
    s->a = (wide_attending){.q = s->triple,
                            .k = s->triple + H * D,
                            .v = s->triple + (H + G) * D,
                            .stride = width,
                            .out = numbers(s->out_size, 0),
                            .out_stride = H * D,
                            .level = numbers(T * H, 0),
                            .tokens = T,
                            .heads = H,
                            .kv_heads = G,
                            .head_dim = D,
                            .causal = scenes[k].causal,
                            .scale = 0.6,
                            .before = scenes[k].before,
                            .after = scenes[k].after,
                            .cap = scenes[k].cap,
                            .bias = scenes[k].bias ? s->bias + T - 1 : NULL,
                            .bias_stride = span,
                            .position_key = scenes[k].key ? s->pk : NULL,
                            .position_query = scenes[k].query ? s->pq : NULL,
                            .row = row_table + 64,
                            .drop = scenes[k].drop ? drop : NULL,
                            .scratch = numbers(gn__attending_scratch(T, D, ROWS), 0)};
}

static void clear_scene(scene *s)
{
    free(s->triple), free(s->weight), free(s->bias), free(s->pk), free(s->pq);
    free(s->a.out), free(s->a.level), free(s->a.scratch);
}

typedef struct ways {
    double *triple, *bias, *pk, *pq;
} ways;

static ways go_back(scene *s)
{
    wide_attending *a = &s->a;
    size_t q = a->heads * a->head_dim, kv = a->kv_heads * a->head_dim;
    ways w = {numbers(s->triple_size, 0), numbers(s->bias_size, 0), numbers(s->position_size, 0),
              numbers(s->position_size, 0)};
    a->by_out = s->weight;
    a->by_q = w.triple, a->by_k = w.triple + q, a->by_v = w.triple + q + kv;
    a->by_bias = a->bias ? w.bias + a->tokens - 1 : NULL;
    a->by_position_key = a->position_key ? w.pk : NULL;
    a->by_position_query = a->position_query ? w.pq : NULL;
    for (size_t h = 0; h < a->kv_heads; h++) attend(a, h);
    for (size_t h = 0; h < a->kv_heads; h++) attend_back(a, h);
    return w;
}

static void free_ways(ways *w)
{
    free(w->triple), free(w->bias), free(w->pk), free(w->pq);
}

TEST(attention)
{
    for (size_t k = 0; k < sizeof scenes / sizeof *scenes; k++) {
        scene s;
        gn__drop drop_it;
        set_scene(k, &s, &drop_it);
        ways w = go_back(&s);
        double value = 0;
        for (size_t i = 0; i < s.out_size; i++) value += s.weight[i] * s.a.out[i];
        CHECK_NEAR(value, attention_value(&s), 1e-10 * (1 + fabs(value)));
        check_by(scenes[k].name, attention_value, &s, s.triple, w.triple, s.triple_size);
        if (scenes[k].bias) { /* those that a distance has */
            size_t n = 2 * s.a.tokens - 1;
            for (size_t h = 0; h < s.a.heads; h++)
                check_by(scenes[k].name, attention_value, &s, s.bias + h * s.a.bias_stride,
                         w.bias + h * s.a.bias_stride, n);
        }
        if (scenes[k].key) check_by(scenes[k].name, attention_value, &s, s.pk, w.pk, s.position_size);
        if (scenes[k].query) check_by(scenes[k].name, attention_value, &s, s.pq, w.pq, s.position_size);
        free_ways(&w);
        clear_scene(&s);
    }
}

/* ---- the float tables against the double body
 * ---------------------------------------------------------------- */

static float *narrow(const double *x, size_t n)
{
    float *y = gn__aligned(n + 64, sizeof *y);
    for (size_t i = 0; i < n + 64; i++) y[i] = (float)x[i];
    return y;
}

static void check_close(const char *table, const char *what, const float *found, const double *expected,
                        size_t n, double tolerance)
{
    double largest = 1e-3;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs(expected[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)found[i] - expected[i]) <= tolerance * largest))
            test_fail(__FILE__, __LINE__, "%s: %s, element %zu: %.9g, expected %.9g", table, what, i,
                      (double)found[i], expected[i]);
}

TEST(float_attention_is_the_double_one)
{
    for (size_t k = 0; k < sizeof scenes / sizeof *scenes; k++)
        for (size_t i = 0; gn__cpu_gradients_at(i) != NULL; i++) {
            const gn__gradients *table = gn__cpu_gradients_at(i);
            scene s;
            gn__drop drop_it;
            set_scene(k, &s, &drop_it);
            ways w = go_back(&s);
            const wide_attending *a = &s.a;
            float *triple = narrow(s.triple, s.triple_size), *weight = narrow(s.weight, s.out_size);
            float *bias = narrow(s.bias, s.bias_size), *pk = narrow(s.pk, s.position_size);
            float *pq = narrow(s.pq, s.position_size), *out = gn__calloc(s.out_size, 4),
                  *by = gn__calloc(s.triple_size, 4);
            float *by_bias = gn__calloc(s.bias_size, 4), *by_pk = gn__calloc(s.position_size, 4);
            float *by_pq = gn__calloc(s.position_size, 4), *level = gn__calloc(a->tokens * a->heads, 4);
            float *scratch = gn__aligned(gn__attending_scratch(a->tokens, a->head_dim, ROWS), 4);
            size_t q = a->heads * a->head_dim, kv = a->kv_heads * a->head_dim;
            gn__attending b = {.q = triple,
                               .k = triple + q,
                               .v = triple + q + kv,
                               .stride = a->stride,
                               .out = out,
                               .out_stride = q,
                               .level = level,
                               .tokens = a->tokens,
                               .heads = a->heads,
                               .kv_heads = a->kv_heads,
                               .head_dim = a->head_dim,
                               .causal = a->causal,
                               .scale = (float)a->scale,
                               .before = a->before,
                               .after = a->after,
                               .cap = (float)a->cap,
                               .bias = a->bias ? bias + a->tokens - 1 : NULL,
                               .bias_stride = a->bias_stride,
                               .position_key = a->position_key ? pk : NULL,
                               .position_query = a->position_query ? pq : NULL,
                               .row = a->row,
                               .drop = a->drop,
                               .scratch = scratch,
                               .by_out = weight,
                               .by_q = by,
                               .by_k = by + q,
                               .by_v = by + q + kv,
                               .by_bias = a->bias ? by_bias + a->tokens - 1 : NULL,
                               .by_position_key = a->position_key ? by_pk : NULL,
                               .by_position_query = a->position_query ? by_pq : NULL};
            for (size_t h = 0; h < a->kv_heads; h++) table->attend(&b, h);
            for (size_t h = 0; h < a->kv_heads; h++) table->attend_back(&b, h);
            check_close(table->name, scenes[k].name, out, a->out, s.out_size, 3e-6);
            check_close(table->name, scenes[k].name, by, w.triple, s.triple_size, 3e-5);
            for (size_t h = 0; h < a->heads; h++)
                check_close(table->name, scenes[k].name, by_bias + h * a->bias_stride,
                            w.bias + h * a->bias_stride, 2 * a->tokens - 1, 3e-5);
            check_close(table->name, scenes[k].name, by_pk, w.pk, s.position_size, 3e-5);
            check_close(table->name, scenes[k].name, by_pq, w.pq, s.position_size, 3e-5);
            free(triple), free(weight), free(bias), free(pk), free(pq), free(out), free(by), free(by_bias);
            free(by_pk), free(by_pq), free(level), free(scratch);
            free_ways(&w);
            clear_scene(&s);
        }
}

TEST(float_operations_are_the_double_ones)
{
    enum { R = 5, C = 37, N = R * C };
    rng = gn__rng_make(9, gn__purpose("test/gradients"), 4);
    double *x = numbers(2 * N, 2), *by = numbers(N, 1), *gamma = numbers(C, 1), *out = numbers(2 * N, 0);
    double *y = numbers(N, 0), *g = numbers(C, 0), *b = numbers(C, 0);
    float *fx = narrow(x, 2 * N), *fby = narrow(by, N), *fgamma = narrow(gamma, C);
    float fout[2 * N], fy[N], fg[C], fb[C];
    for (size_t i = 0; gn__cpu_gradients_at(i) != NULL; i++) {
        const gn__gradients *table = gn__cpu_gradients_at(i);
        for (int kind = GN__GELU; kind <= GN__NO_ACTIVATION; kind++) {
            activation_back((gn__activation)kind, x, by, out, y, N);
            table->activation_back((gn__activation)kind, fx, fby, fout, fy, N);
            check_close(table->name, "activation", fout, out, N, 2e-6);
            check_close(table->name, "activation", fy, y, N, 2e-6);
            gate_back((gn__activation)kind, x, by, out, y, R, C);
            table->gate_back((gn__activation)kind, fx, fby, fout, fy, R, C);
            check_close(table->name, "gate", fout, out, 2 * N, 2e-6);
            check_close(table->name, "gate", fy, y, N, 2e-6);
        }
        for (int centred = 0; centred < 2; centred++) {
            memset(g, 0, C * sizeof *g), memset(b, 0, C * sizeof *b);
            memset(fg, 0, sizeof fg), memset(fb, 0, sizeof fb);
            norm_back(&(wide_norm_back){.x = x,
                                        .by_y = by,
                                        .gamma = gamma,
                                        .centred = centred,
                                        .by_x = out,
                                        .by_gamma = g,
                                        .by_beta = b,
                                        .rows = R,
                                        .cols = C,
                                        .eps = 1e-5});
            table->norm_back(&(gn__norm_back){.x = fx,
                                              .by_y = fby,
                                              .gamma = fgamma,
                                              .centred = centred,
                                              .by_x = fout,
                                              .by_gamma = fg,
                                              .by_beta = fb,
                                              .rows = R,
                                              .cols = C,
                                              .eps = 1e-5f});
            check_close(table->name, "norm", fout, out, N, 5e-6);
            check_close(table->name, "norm", fg, g, C, 5e-6);
            check_close(table->name, "norm", fb, b, C, 5e-6);
        }
    }
    free(x), free(by), free(gamma), free(out), free(y), free(g), free(b), free(fx), free(fby), free(fgamma);
}
