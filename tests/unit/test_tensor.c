#include "core/float16.h"
#include "tensor/tensor.h"
#include "test.h"

#include <pthread.h>
#include <stddef.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static void fill(float *x, size_t n, uint64_t stream, float scale)
{
    gn__rng r = gn__rng_make(11, gn__purpose("test/tensor"), stream);
    for (size_t i = 0; i < n; i++) x[i] = scale * (float)gn__rng_normal(&r);
}

static float *numbers(size_t n, uint64_t stream, float scale)
{
    float *x = gn__aligned(n, sizeof *x);
    CHECK(x != NULL);
    fill(x, n, stream, scale);
    return x;
}

TEST(activations_agree_with_the_reference)
{
    enum { N = 40009 };
    static float x[N], y[N];
    const gn__ops *ops;
    for (size_t t = 0; (ops = gn__cpu_ops_at(t)) != NULL; t++) {
        for (int kind = GN__GELU; kind <= GN__SILU; kind++) {
            for (size_t i = 0; i < N; i++) x[i] = (float)((double)i / 1000 - 20); /* −20 … 20 */
            x[N - 1] = 1e30f, x[N - 2] = -1e30f, x[N - 3] = -0.0f, x[N - 4] = 1e-30f;
            memcpy(y, x, sizeof x);
            ops->activate((gn__activation)kind, x, N);
            gn__ops_reference.activate((gn__activation)kind, y, N);
            for (size_t i = 0; i < N; i++) {
                double scale = fabs((double)y[i]) > 1 ? fabs((double)y[i]) : 1;
                if (!(fabs((double)x[i] - (double)y[i]) <= 2e-7 * scale))
                    test_fail(__FILE__, __LINE__, "%s, kind %d, input %zu: %.9g, expected %.9g", ops->name,
                              kind, i, (double)x[i], (double)y[i]);
            }
        }
    }
}

/* Near 0 the activations must be good relatively: x Φ(x) ≈ x/2. */
TEST(activations_are_exact_near_zero)
{
    const gn__ops *ops;
    for (size_t t = 0; (ops = gn__cpu_ops_at(t)) != NULL; t++)
        for (int kind = GN__GELU; kind <= GN__SILU; kind++)
            for (int e = -30; e < -3; e++) {
                float x[2] = {ldexpf(1.3f, e), -ldexpf(1.7f, e)}, y[2] = {x[0], x[1]};
                ops->activate((gn__activation)kind, x, 2);
                gn__ops_reference.activate((gn__activation)kind, y, 2);
                for (int i = 0; i < 2; i++) CHECK_NEAR(x[i], y[i], 4e-7 * fabs((double)y[i]));
            }
}

TEST(not_a_number_stays_so)
{
    const gn__ops *ops;
    for (size_t t = 0; (ops = gn__cpu_ops_at(t)) != NULL; t++) {
        for (int kind = GN__GELU; kind <= GN__SILU; kind++) {
            float x[3] = {1, NAN, -1};
            ops->activate((gn__activation)kind, x, 3);
            CHECK(isnan(x[1]) && isfinite(x[0]) && isfinite(x[2]));
        }
        float x[3] = {1, NAN, 2}, one[3] = {1, 1, 1}, zero[3] = {0, 0, 0}, y[3];
        ops->layer_norm(y, x, one, zero, 1, 3, 1e-5f);
        CHECK(isnan(y[0]) && isnan(y[1]) && isnan(y[2]));
    }
}

TEST(layer_norm_agrees_with_the_reference)
{
    static const size_t cols[] = {1, 3, 8, 15, 16, 17, 31, 32, 48, 100, 384, 767, 1024};
    const gn__ops *ops;
    for (size_t t = 0; (ops = gn__cpu_ops_at(t)) != NULL; t++)
        for (size_t c = 0; c < sizeof cols / sizeof *cols; c++) {
            enum { ROWS = 5 };
            size_t n = cols[c];
            float *x = numbers(ROWS * n, c, 3), *y = numbers(ROWS * n, 100, 1),
                  *z = numbers(ROWS * n, 100, 1);
            float *g = numbers(n, 200 + c, 1), *b = numbers(n, 300 + c, 1);
            for (size_t i = 0; i < n; i++) x[i] += 50; /* a row far from zero */
            ops->layer_norm(y, x, g, b, ROWS, n, 1e-5f);
            gn__ops_reference.layer_norm(z, x, g, b, ROWS, n, 1e-5f);
            for (size_t i = 0; i < ROWS * n; i++) CHECK_NEAR(y[i], z[i], 4e-5);
            for (size_t i = n; i < ROWS * n; i++) CHECK_NEAR(y[i], z[i], 4e-6);
            ops->layer_norm(x, x, g, b, ROWS, n, 1e-5f); /* in place */
            CHECK(memcmp(x, y, ROWS * n * sizeof *x) == 0);
            free(x), free(y), free(z), free(g), free(b);
        }
}

TEST(bf16_rounds_to_nearest_even)
{
    enum { N = 1003 };
    static float x[N];
    static uint16_t y[N], z[N];
    const gn__ops *ops;
    fill(x, N, 5, 100);
    static const float edge[] = {0,        -0.0f,     0x1.01p0f, 0x1.03p0f,      0x1.010002p0f,
                                 INFINITY, -INFINITY, 1e-40f,    0x1.fffffep127f};
    memcpy(x, edge, sizeof edge);
    x[500] = NAN;
    for (size_t t = 0; (ops = gn__cpu_ops_at(t)) != NULL; t++) {
        ops->to_bf16(y, x, N);
        gn__ops_reference.to_bf16(z, x, N);
        for (size_t i = 0; i < N; i++)
            if (i != 500) CHECK_INT(y[i], z[i]);
        CHECK(isnan(gn__bf16_to_f32(y[500])));
    }
}

TEST(rows_in_8_bits)
{
    static const size_t cols[] = {1, 3, 15, 16, 17, 64, 100, 384, 1536};
    enum { ROWS = 5 };
    const gn__ops *ops;
    for (size_t t = 0; (ops = gn__cpu_ops_at(t)) != NULL; t++)
        for (size_t c = 0; c < sizeof cols / sizeof *cols; c++) {
            size_t n = cols[c];
            float *x = numbers(ROWS * n, c, 3);
            uint8_t *q = gn__aligned(ROWS, n), *p = gn__aligned(ROWS, n);
            gn__row8 row[ROWS], expected[ROWS];
            CHECK(q != NULL && p != NULL);
            for (size_t j = 0; j < n; j++) {
                x[n + j] = fabsf(x[n + j]) + 1; /* one-sided rows: 0 must still be a level */
                x[2 * n + j] = -fabsf(x[2 * n + j]);
                x[3 * n + j] = 0;
                x[4 * n + j] *= 1e-12f;
            }
            ops->to_u8(q, row, x, ROWS, n);
            gn__ops_reference.to_u8(p, expected, x, ROWS, n);
            for (size_t i = 0; i < ROWS; i++) {
                double scale = (double)row[i].scale;
                CHECK_NEAR(scale, expected[i].scale, 1e-6 * (double)expected[i].scale);
                CHECK(abs(row[i].zero - expected[i].zero) <= 1); /* a tie may fall the other way */
                CHECK(row[i].zero >= 0 && row[i].zero <= 255);
                for (size_t j = 0; j < n; j++) {
                    size_t at = i * n + j;
                    CHECK_NEAR(scale * (q[at] - row[i].zero), x[at], 1.001 * scale);
                    CHECK_NEAR((double)expected[i].scale * (p[at] - expected[i].zero), x[at], 1.001 * scale);
                }
            }
            CHECK(row[3].scale == 0 && row[4].scale > 0);
            free(x), free(q), free(p);
        }
}

TEST(rows_in_8_bits_tell_of_not_a_number)
{
    const gn__ops *ops;
    for (size_t t = 0; (ops = gn__cpu_ops_at(t)) != NULL; t++)
        for (size_t at = 0; at < 70; at++) {
            float x[70];
            uint8_t q[70];
            gn__row8 row;
            fill(x, 70, 1, 1);
            x[at] = at % 2 ? NAN : INFINITY;
            ops->to_u8(q, &row, x, 1, 70);
            CHECK(isnan(row.scale));
            gn__ops_reference.to_u8(q, &row, x, 1, 70);
            CHECK(isnan(row.scale));
        }
}

TEST(sums_of_8_bits_become_numbers)
{
    enum { ROWS = 3, COLS = 53 };
    const gn__ops *ops;
    gn__row8 row[ROWS] = {{0.01f, 0}, {0.02f, 127}, {0.003f, 255}};
    float *scale = numbers(COLS, 1, 0.01f), *bias = numbers(COLS, 2, 1);
    float *y = numbers(ROWS * COLS, 3, 1), *z = numbers(ROWS * COLS, 3, 1);
    int32_t sum[ROWS * COLS], total[COLS];
    gn__rng r = gn__rng_make(1, gn__purpose("test/sums"), 0);
    for (size_t i = 0; i < ROWS * COLS; i++) sum[i] = (int32_t)gn__rng_below(&r, 2000001) - 1000000;
    for (size_t i = 0; i < COLS; i++) total[i] = (int32_t)gn__rng_below(&r, 6001) - 3000;
    for (size_t t = 0; (ops = gn__cpu_ops_at(t)) != NULL; t++)
        for (int kind = GN__GELU; kind <= GN__NO_ACTIVATION; kind++)
            for (int add = 0; add < 2; add++) {
                gn__sums s = {.sum = sum,
                              .row = row,
                              .scale = scale,
                              .bias = bias,
                              .total = total,
                              .rows = ROWS,
                              .cols = COLS,
                              .add = add,
                              .activation = (gn__activation)kind};
                fill(y, ROWS * COLS, 3, 1);
                fill(z, ROWS * COLS, 3, 1);
                ops->from_sums(&s, y);
                gn__ops_reference.from_sums(&s, z);
                for (size_t i = 0; i < ROWS * COLS; i++)
                    CHECK_NEAR(y[i], z[i], 1e-6 * (1 + fabs((double)z[i]) + fabs((double)sum[i]) * 1e-3));
            }
    free(scale), free(bias), free(y), free(z);
}

static void attention_case(const gn__ops *ops, size_t tokens, size_t heads, size_t head_dim, bool causal)
{
    size_t dim = heads * head_dim, stride = 3 * dim + 5, n = tokens * stride;
    float *x = numbers(n, tokens * 1000 + head_dim, 1.5f);
    float *y = numbers(tokens * dim, 1, 1), *z = numbers(tokens * dim, 2, 1);
    float *scratch = numbers(gn__attention_scratch(tokens, head_dim, 0), 3, 1e6f);
    gn__attention a = {.q = x,
                       .k = x + dim,
                       .v = x + 2 * dim,
                       .stride = stride,
                       .out = y,
                       .out_stride = dim,
                       .tokens = tokens,
                       .heads = heads,
                       .head_dim = head_dim,
                       .causal = causal,
                       .scale = 0.7f,
                       .scratch = scratch};
    ops->attention(&a);
    a.out = z;
    gn__ops_reference.attention(&a);
    for (size_t i = 0; i < tokens * dim; i++)
        if (!(fabs((double)y[i] - (double)z[i]) <= 3e-5))
            test_fail(__FILE__, __LINE__,
                      "%s, %zu tokens, %zu heads of %zu, element %zu: %.9g, expected %.9g", ops->name, tokens,
                      heads, head_dim, i, (double)y[i], (double)z[i]);
    free(x), free(y), free(z), free(scratch);
}

/* With factors in bf16: exact in what is rounded beforehand here, but the weights are rounded as well, by
 * 2^-9. */
static void narrow_attention_case(const gn__multiplier *p, size_t tokens, size_t head_dim,
                                  const gn__attention *kind)
{
    enum { HEADS = 2 };
    size_t dim = HEADS * head_dim, stride = 3 * dim + 5, n = tokens * stride;
    float *x = numbers(n, tokens * 1000 + head_dim, 1.5f);
    float *y = numbers(tokens * dim, 1, 1), *z = numbers(tokens * dim, 2, 1);
    float *scratch = numbers(gn__attention_scratch(tokens, head_dim, 0), 3, 1e6f);
    for (size_t i = 0; i < n; i++) x[i] = gn__bf16_to_f32(gn__f32_to_bf16(x[i]));
    gn__attention a = *kind;
    a.q = x, a.k = x + dim, a.v = x + 2 * dim, a.stride = stride, a.out = y, a.out_stride = dim;
    a.tokens = tokens, a.heads = HEADS, a.head_dim = head_dim, a.scale = 0.3f, a.scratch = scratch;
    p->attention(&a);
    a.out = z;
    gn__ops_reference.attention(&a);
    for (size_t i = 0; i < tokens * dim; i++)
        if (!(fabs((double)y[i] - (double)z[i]) <= 0x1p-9 * 6))
            test_fail(__FILE__, __LINE__, "%s, %zu tokens, heads of %zu, element %zu: %.9g, expected %.9g",
                      p->name, tokens, head_dim, i, (double)y[i], (double)z[i]);
    free(x), free(y), free(z), free(scratch);
}

TEST(attention_in_bf16_agrees_with_the_reference)
{
    static const size_t tokens[] = {1, 2, 3, 11, 12, 13, 31, 32, 33, 65, 130},
                        head_dim[] = {1, 7, 16, 20, 32, 64, 80};
    static const gn__attention kinds[] = {{.causal = false},
                                          {.causal = true},
                                          {.before = 5, .after = 9},
                                          {.before = 40, .causal = true, .cap = 3}};
    const gn__multiplier *p;
    size_t tested = 0;
    for (size_t t = 0; (p = gn__product_at(t)) != NULL; t++)
        for (size_t i = 0; p->dtype == GN_DTYPE_BF16 && i < sizeof tokens / sizeof *tokens; i++)
            for (size_t j = 0; j < sizeof head_dim / sizeof *head_dim; j++)
                for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++, tested++)
                    narrow_attention_case(p, tokens[i], head_dim[j], &kinds[k]);
    if (tested == 0) test_skip("this processor has no bf16 instructions of AVX-512");
}

TEST(attention_agrees_with_the_reference)
{
    static const size_t tokens[] = {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 65, 130};
    static const size_t head_dim[] = {1, 8, 12, 16, 20, 32, 64, 80};
    const gn__ops *ops;
    for (size_t t = 0; (ops = gn__cpu_ops_at(t)) != NULL; t++)
        for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
            for (size_t j = 0; j < sizeof head_dim / sizeof *head_dim; j++)
                for (int causal = 0; causal < 2; causal++)
                    attention_case(ops, tokens[i], 1 + i % 3, head_dim[j], causal);
}

/* What the families add to attention, each alone and all together. */
typedef struct extras {
    size_t groups, before, after;
    bool causal, cap, bias, by_query, by_key;
} extras;

static void extended_case(const gn__ops *ops, size_t tokens, size_t head_dim, const extras *e)
{
    enum { HEADS = 4, SPAN = 9 };
    size_t kv = HEADS / e->groups, stride = (HEADS + 2 * kv) * head_dim, n = tokens * stride;
    size_t columns = gn__position_columns(2 * SPAN), bias_stride = 2 * tokens - 1 + GN__BIAS_SLACK;
    float *x = numbers(n, tokens * 1000 + head_dim, 1.5f), *bias = numbers(HEADS * bias_stride, 4, 1);
    float *key = numbers(HEADS * head_dim * columns, 5, 1),
          *query = numbers(HEADS * 2 * SPAN * head_dim, 6, 1);
    float *y = numbers(tokens * HEADS * head_dim, 1, 1), *z = numbers(tokens * HEADS * head_dim, 2, 1);
    float *scratch = numbers(gn__attention_scratch(tokens, head_dim, 2 * SPAN), 3, 1e6f);
    uint16_t *row = gn__calloc(2 * tokens - 1, sizeof *row);
    for (size_t i = 0; i < 2 * tokens - 1; i++) {
        ptrdiff_t at = (ptrdiff_t)i - (ptrdiff_t)tokens + 1 + SPAN;
        row[i] = (uint16_t)(at < 0 ? 0 : at < 2 * SPAN ? at : 2 * SPAN - 1);
    }
    gn__disentangled d = {.key = e->by_query ? key : NULL,
                          .query = e->by_key ? query : NULL,
                          .rows = 2 * SPAN,
                          .columns = columns,
                          .row = row + tokens - 1};
    gn__attention a = {.q = x,
                       .k = x + HEADS * head_dim,
                       .v = x + (HEADS + kv) * head_dim,
                       .stride = stride,
                       .out = y,
                       .out_stride = HEADS * head_dim,
                       .tokens = tokens,
                       .heads = HEADS,
                       .head_dim = head_dim,
                       .causal = e->causal,
                       .scale = 0.4f,
                       .scratch = scratch,
                       .kv_heads = kv,
                       .before = e->before,
                       .after = e->after,
                       .cap = e->cap ? 3.0f : 0,
                       .bias = e->bias ? bias + tokens - 1 : NULL,
                       .bias_stride = bias_stride,
                       .positions = e->by_query || e->by_key ? &d : NULL};
    ops->attention(&a);
    a.out = z;
    gn__ops_reference.attention(&a);
    for (size_t i = 0; i < tokens * HEADS * head_dim; i++)
        if (!(fabs((double)y[i] - (double)z[i]) <= 3e-5))
            test_fail(__FILE__, __LINE__,
                      "%s, %zu tokens of %zu, %zu before, %zu after, element %zu: %.9g, not %.9g", ops->name,
                      tokens, head_dim, e->before, e->after, i, (double)y[i], (double)z[i]);
    free(x), free(bias), free(key), free(query), free(y), free(z), free(scratch), free(row);
}

TEST(attention_of_every_family_agrees_with_the_reference)
{
    static const extras kinds[] = {
        {.groups = 2},
        {.groups = 4, .causal = true},
        {.groups = 1, .before = 5, .causal = true},
        {.groups = 1, .before = 40, .after = 40},
        {.groups = 1, .before = 3, .after = 2},
        {.groups = 1, .cap = true},
        {.groups = 1, .bias = true},
        {.groups = 1, .by_query = true},
        {.groups = 1, .by_key = true},
        {2, 7, 33, false, true, true, true, true},
        {2, 34, 0, true, true, true, true, true},
    };
    static const size_t tokens[] = {1, 2, 5, 16, 31, 33, 70, 101}, head_dim[] = {4, 16, 33};
    const gn__ops *ops;
    for (size_t t = 0; (ops = gn__cpu_ops_at(t)) != NULL; t++)
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
            for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
                for (size_t j = 0; j < sizeof head_dim / sizeof *head_dim; j++)
                    extended_case(ops, tokens[i], head_dim[j], &kinds[k]);
}

TEST(rms_norm_gate_and_rotation_agree_with_the_reference)
{
    enum { ROWS = 5 };
    static const size_t cols[] = {2, 6, 8, 15, 16, 34, 64, 100, 384};
    const gn__ops *ops, *plain = &gn__ops_reference;
    for (size_t t = 0; (ops = gn__cpu_ops_at(t)) != NULL; t++)
        for (size_t c = 0; c < sizeof cols / sizeof *cols; c++) {
            size_t n = cols[c], all = ROWS * 2 * n;
            float *x = numbers(all, c, 3), *y = numbers(all, c, 3), *z = numbers(all, 9, 1);
            float *g = numbers(n, 200 + c, 1), *s = numbers(n, 300 + c, 1);
            ops->rms_norm(z, x, g, ROWS, n, 1e-6f);
            plain->rms_norm(y, x, g, ROWS, n, 1e-6f);
            for (size_t i = 0; i < ROWS * n; i++) CHECK_NEAR(z[i], y[i], 4e-6);
            ops->rms_norm(x, x, g, ROWS, n, 1e-6f); /* in place */
            CHECK(memcmp(x, z, ROWS * n * sizeof *x) == 0);
            fill(x, all, 7, 2), fill(y, all, 7, 2);
            for (int kind = GN__GELU; kind <= GN__SILU; kind++) {
                ops->gate((gn__activation)kind, z, x, ROWS, n);
                plain->gate((gn__activation)kind, y, y, ROWS, n);
                for (size_t i = 0; i < ROWS * n; i++) CHECK_NEAR(z[i], y[i], 1e-6 * (1 + fabs((double)y[i])));
                ops->gate((gn__activation)kind, x, x, ROWS, n); /* in place */
                CHECK(memcmp(x, z, ROWS * n * sizeof *x) == 0);
                fill(x, all, 8, 2), fill(y, all, 8, 2);
            }
            ops->rotate(x, g, s, ROWS, 2 * n, n);
            plain->rotate(y, g, s, ROWS, 2 * n, n);
            for (size_t i = 0; i < all; i++) CHECK_NEAR(x[i], y[i], 4e-6);
            fill(x, all, 8, 2);
            ops->rotate(x, g, s, ROWS, 2 * n, n / 2); /* a part of each head */
            fill(z, all, 8, 2);
            for (size_t h = 0; h < ROWS; h++)
                for (size_t i = n / 2 * 2; i < 2 * n; i++) CHECK(x[h * 2 * n + i] == z[h * 2 * n + i]);
            free(x), free(y), free(z), free(g), free(s);
        }
}

/* Scores of hundreds must not overflow the exponential. */
TEST(attention_survives_large_scores)
{
    const gn__ops *ops;
    for (size_t t = 0; (ops = gn__cpu_ops_at(t)) != NULL; t++) {
        float q[4] = {400, -400, 1000, 0}, k[4] = {300, -300, 2, 1}, v[4] = {1, 2, 3, 4}, y[4];
        float *scratch = numbers(gn__attention_scratch(4, 1, 0), 0, 1);
        gn__attention a = {.q = q,
                           .k = k,
                           .v = v,
                           .stride = 1,
                           .out = y,
                           .out_stride = 1,
                           .tokens = 4,
                           .heads = 1,
                           .head_dim = 1,
                           .scale = 1,
                           .scratch = scratch};
        ops->attention(&a);
        CHECK_NEAR(y[0], 1, 1e-6);
        CHECK_NEAR(y[1], 2, 1e-6);
        CHECK_NEAR(y[2], 1, 1e-6);
        CHECK_NEAR(y[3], 2.5, 1e-6);
        free(scratch);
    }
}

/* Products by oneDNN (NULL) or of our own against plain sums in double. In bf16 both factors are rounded
 * first. */
static void linear_case(const gn__multiplier *own, size_t inputs, size_t outputs, bool bias, bool add,
                        gn_dtype dtype)
{
    gn_error err = {0};
    float *w = numbers(outputs * inputs, 1, 1), *b = numbers(outputs, 2, 1);
    float *x = numbers(GN__ROWS * inputs, 3, 1), *y = numbers(GN__ROWS * outputs, 4, 1);
    float *before = numbers(GN__ROWS * outputs, 4, 1);
    gn__engine *engine = NULL;
    gn__linear *l = NULL;
    gn__lane *lane = NULL;
    CHECK_OK(gn__engine_create(&engine, &err), err);
    CHECK_OK(gn__linear_create_with(own, engine, w, bias ? b : NULL, inputs, outputs, add, dtype, &l, &err),
             err);
    CHECK_INT(gn__linear_inputs(l), inputs);
    CHECK_INT(gn__linear_outputs(l), outputs);
    CHECK_OK(gn__lane_create(engine, (const gn__linear *const *)&l, 1, &lane, &err), err);
    gn__serial threads = gn__serial_begin();
    CHECK(gn__linear_run(l, lane, x, y));
    gn__serial_end(threads);
    for (size_t i = 0; i < GN__ROWS; i++)
        for (size_t j = 0; j < outputs; j++) {
            double sum = (bias ? (double)b[j] : 0) + (add ? (double)before[i * outputs + j] : 0), size = 1;
            for (size_t k = 0; k < inputs; k++) {
                float u = x[i * inputs + k], v = w[j * inputs + k];
                if (dtype == GN_DTYPE_BF16)
                    u = gn__bf16_to_f32(gn__f32_to_bf16(u)), v = gn__bf16_to_f32(gn__f32_to_bf16(v));
                sum += (double)u * (double)v;
                size += fabs((double)u * (double)v);
            }
            CHECK_NEAR(y[i * outputs + j], sum, 4e-7 * size);
        }
    gn__lane_free(lane);
    gn__linear_free(l);
    gn__engine_free(engine);
    free(w), free(b), free(x), free(y), free(before);
}

/* The next of our own of this type from *k on; NULL, which is oneDNN's, after the last. */
static const gn__multiplier *next_product(gn_dtype dtype, size_t *k)
{
    const gn__multiplier *p = gn__product_at(*k);
    while (p != NULL && p->dtype != dtype) p = gn__product_at(++*k);
    return p;
}

static void for_each_product(gn_dtype dtype, size_t inputs, size_t outputs, int bits)
{
    const gn__multiplier *own;
    size_t k = 0;
    do {
        own = next_product(dtype, &k);
        linear_case(own, inputs, outputs, bits & 1, bits & 2, dtype);
        k++;
    } while (own != NULL);
}

static bool has_int8(gn__engine *engine)
{
    const float one = 1;
    gn__linear *l = NULL;
    gn_status status = gn__linear_create(engine, &one, NULL, 1, 1, false, GN_DTYPE_INT8, &l, NULL);
    gn__linear_free(l);
    CHECK(status == GN_OK || status == GN_UNSUPPORTED);
    return status == GN_OK;
}

/* The product of the rounded factors, in whole numbers; the rounding of the weights is done again here. */
static void int8_case(const gn__multiplier *own, gn__engine *engine, size_t inputs, size_t outputs, bool bias,
                      bool add, gn__activation activation)
{
    gn_error err = {0};
    float *w = numbers(outputs * inputs, 1, 1), *b = numbers(outputs, 2, 1);
    float *x = numbers(GN__ROWS * inputs, 3, 1), *y = numbers(GN__ROWS * outputs, 4, 1);
    float *before = numbers(GN__ROWS * outputs, 4, 1);
    uint8_t *q = gn__aligned(GN__ROWS, inputs);
    gn__row8 row[GN__ROWS];
    gn__linear *l = NULL;
    gn__lane *lane = NULL;
    for (size_t i = 0; i < 7 * inputs; i++) x[i] = fabsf(x[i]); /* a zero of 0: the largest sums */
    CHECK_OK(gn__linear_create_with(own, engine, w, bias ? b : NULL, inputs, outputs, add, GN_DTYPE_INT8, &l,
                                    &err),
             err);
    CHECK_OK(gn__lane_create(engine, (const gn__linear *const *)&l, 1, &lane, &err), err);
    gn__serial threads = gn__serial_begin();
    CHECK(
        gn__linear_run_rows(l, lane, &(gn__member){0}, GN__ROWS, x, y, add ? GN__NO_ACTIVATION : activation));
    gn__serial_end(threads);
    gn__cpu_ops()->to_u8(q, row, x, GN__ROWS, inputs);
    for (size_t j = 0; j < outputs; j++) {
        float most = 0;
        for (size_t k = 0; k < inputs; k++) most = fmaxf(most, fabsf(w[j * inputs + k]));
        for (size_t i = 0; i < GN__ROWS; i++) {
            int64_t sum = 0;
            for (size_t k = 0; k < inputs; k++)
                sum +=
                    (q[i * inputs + k] - row[i].zero) * (int64_t)nearbyintf(w[j * inputs + k] * (127 / most));
            float z =
                (float)((double)sum * (double)row[i].scale * (double)most / 127 + (bias ? (double)b[j] : 0));
            if (add) z += before[i * outputs + j];
            if (!add) gn__ops_reference.activate(activation, &z, 1);
            CHECK_NEAR(y[i * outputs + j], z, 1e-5 * (1 + fabs((double)z)));
        }
    }
    gn__lane_free(lane);
    gn__linear_free(l);
    free(w), free(b), free(x), free(y), free(before), free(q);
}

TEST(linear_layers_in_int8)
{
    static const size_t sizes[][2] = {{1, 1}, {3, 5}, {37, 41}, {48, 144}, {384, 129}, {1536, 40}};
    gn_error err = {0};
    gn__engine *engine = NULL;
    CHECK_OK(gn__engine_create(&engine, &err), err);
    if (!has_int8(engine)) {
        gn__engine_free(engine);
        test_skip("this processor cannot sum 8-bit products");
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int bits = 0; bits < 4; bits++)
            for (size_t k = 0, more = 1; more; k++) {
                const gn__multiplier *own = next_product(GN_DTYPE_INT8, &k);
                int8_case(own, engine, sizes[i][0], sizes[i][1], bits & 1, bits & 2,
                          i % 2 ? GN__GELU : GN__NO_ACTIVATION);
                more = own != NULL;
            }
    gn__engine_free(engine);
}

/* A weight or an input that is no number must not become one. */
TEST(int8_keeps_what_is_not_a_number)
{
    gn_error err = {0};
    gn__engine *engine = NULL;
    CHECK_OK(gn__engine_create(&engine, &err), err);
    if (!has_int8(engine)) {
        gn__engine_free(engine);
        test_skip("this processor cannot sum 8-bit products");
    }
    for (int place = 0; place < 2; place++) {
        float *w = numbers(16 * 16, 1, 1), *x = numbers(GN__ROWS * 16, 2, 1),
              *y = numbers(GN__ROWS * 16, 3, 1);
        gn__linear *l = NULL;
        gn__lane *lane = NULL;
        *(place ? &w[5 * 16 + 3] : &x[5 * 16 + 3]) = NAN;
        CHECK_OK(gn__linear_create(engine, w, NULL, 16, 16, false, GN_DTYPE_INT8, &l, &err), err);
        CHECK_OK(gn__lane_create(engine, (const gn__linear *const *)&l, 1, &lane, &err), err);
        CHECK(gn__linear_run(l, lane, x, y));
        for (size_t i = 0; i < GN__ROWS; i++)
            for (size_t j = 0; j < 16; j++) CHECK_INT(isnan(y[i * 16 + j]) != 0, (place ? j : i) == 5);
        gn__lane_free(lane);
        gn__linear_free(l);
        free(w), free(x), free(y);
    }
    gn__engine_free(engine);
}

TEST(int8_refuses_sums_that_could_overflow)
{
    gn_error err = {0};
    gn__engine *engine = NULL;
    gn__linear *l = NULL;
    float *w = numbers(65537, 1, 1);
    CHECK_OK(gn__engine_create(&engine, &err), err);
    CHECK_INT(gn__linear_create(engine, w, NULL, 65537, 1, false, GN_DTYPE_INT8, &l, &err), GN_UNSUPPORTED);
    CHECK(strstr(err.message, "65537") != NULL);
    gn__engine_free(engine);
    free(w);
}

TEST(linear_layers_agree_with_plain_sums)
{
    static const size_t sizes[][2] = {{1, 1},   {3, 5},    {16, 16},   {32, 96},
                                      {37, 41}, {48, 144}, {384, 129}, {200, 64}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int bits = 0; bits < 4; bits++) for_each_product(GN_DTYPE_F32, sizes[i][0], sizes[i][1], bits);
}

TEST(linear_layers_in_bf16)
{
    static const size_t sizes[][2] = {{1, 1}, {3, 5}, {37, 41}, {48, 144}, {384, 129}};
    if (gn__best_dtype() != GN_DTYPE_BF16) test_skip("this processor has no fast bf16");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int bits = 0; bits < 4; bits++) for_each_product(GN_DTYPE_BF16, sizes[i][0], sizes[i][1], bits);
}

/* A row's bits are the same in every place of a block, beside any neighbours. */
static void rows_stand_alone(const gn__multiplier *own, size_t inputs, size_t outputs, gn_dtype dtype)
{
    gn_error err = {0};
    float *w = numbers(outputs * inputs, 1, 1), *b = numbers(outputs, 2, 1), *row = numbers(inputs, 5, 1);
    float *x = numbers(GN__ROWS * inputs, 3, 1), *y = numbers(GN__ROWS * outputs, 4, 1);
    float *first = numbers(outputs, 6, 1);
    gn__engine *engine = NULL;
    gn__linear *l = NULL;
    gn__lane *lane = NULL;
    CHECK_OK(gn__engine_create(&engine, &err), err);
    if (dtype == GN_DTYPE_INT8 && !has_int8(engine)) own = NULL, dtype = GN_DTYPE_F32;
    CHECK_OK(gn__linear_create_with(own, engine, w, b, inputs, outputs, false, dtype, &l, &err), err);
    CHECK_OK(gn__lane_create(engine, (const gn__linear *const *)&l, 1, &lane, &err), err);
    gn__serial threads = gn__serial_begin();
    for (size_t i = 0; i < GN__ROWS; i++) {
        size_t rows = i + 1 + i * i % (GN__ROWS - i); /* any number that row i is among */
        fill(x, GN__ROWS * inputs, 10 + i, i % 2 ? 1e-3f : 1e3f);
        memcpy(x + i * inputs, row, inputs * sizeof *x);
        CHECK(gn__linear_run_rows(l, lane, &(gn__member){0}, rows, x, y, GN__NO_ACTIVATION));
        if (i == 0) memcpy(first, y, outputs * sizeof *y);
        CHECK(memcmp(first, y + i * outputs, outputs * sizeof *y) == 0);
    }
    gn__serial_end(threads);
    gn__lane_free(lane);
    gn__linear_free(l);
    gn__engine_free(engine);
    free(w), free(b), free(row), free(x), free(y), free(first);
}

TEST(a_row_has_the_same_bits_in_every_place)
{
    static const size_t sizes[][2] = {{32, 96}, {37, 41}, {384, 1152}, {1536, 384}, {768, 50}};
    static const gn_dtype types[] = {GN_DTYPE_F32, GN_DTYPE_INT8, GN_DTYPE_BF16};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t t = 0; t < (gn__best_dtype() == GN_DTYPE_BF16 ? 3 : 2); t++) {
            const gn__multiplier *own;
            size_t k = 0;
            do {
                own = next_product(types[t], &k);
                rows_stand_alone(own, sizes[i][0], sizes[i][1], types[t]);
                k++;
            } while (own != NULL);
        }
}

/* The same on lesser processors: oneDNN is told to behave as on one, in a process of its own. */
TEST(rows_stand_alone_on_lesser_processors)
{
    static const char *const isa[] = {"SSE41", "AVX", "AVX2", "AVX512_CORE"};
    for (size_t i = 0; i < sizeof isa / sizeof *isa; i++) {
        int status;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            if (freopen("/dev/null", "w", stdout) == NULL) _exit(3);
            setenv("DNNL_MAX_CPU_ISA", isa[i], 1);
            execl("/proc/self/exe", "test_tensor", "a_row_has_the_same_bits", (char *)NULL);
            _exit(3);
        }
        CHECK(waitpid(child, &status, 0) == child);
        if (status != 0) test_fail(__FILE__, __LINE__, "%s: wait status %d", isa[i], status);
    }
}

/* Sums over labellings by tables against sums term by term; distances to a strip against their definition. */
TEST(pair_kernels_agree_with_the_reference)
{
    enum { CHUNKS = 3, COLS = CHUNKS * GN__CHUNK, LABELS = 37, ROWS = 7, DIM = 19, STRIDE = 2 * GN__STRIP };
    static float k[COLS * GN__STRIP], lanes[2][2][LABELS * GN__SUM_LANES], strip[DIM * GN__STRIP],
        x[ROWS * DIM], out[2][ROWS * STRIDE];
    static uint16_t code[CHUNKS * LABELS * GN__CODES];
    static float table[GN__TABLE_FLOATS] __attribute__((aligned(64)));
    uint32_t mask[LABELS];
    gn__rng r = gn__rng_make(3, gn__purpose("test/pair-kernels"), 0);
    for (size_t i = 0; i < COLS * GN__STRIP; i++) k[i] = (float)gn__rng_normal(&r);
    for (size_t i = 0; i < DIM * GN__STRIP; i++) strip[i] = (float)gn__rng_normal(&r);
    for (size_t i = 0; i < ROWS * DIM; i++) x[i] = (float)gn__rng_normal(&r);
    for (size_t i = 0; i < CHUNKS * LABELS * GN__CODES; i++)
        code[i] = (uint16_t)(gn__rng_below(&r, 1 << GN__CODE_BITS) * GN__CODE_UNIT);
    for (size_t i = 0; i < LABELS; i++) mask[i] = gn__rng_u32(&r);
    const gn__ops *ops;
    for (size_t t = 0; (ops = gn__cpu_ops_at(t)) != NULL; t++)
        for (int linear = 0; linear < 2; linear++) {
            const gn__ops *pair[] = {&gn__ops_reference, ops};
            for (size_t p = 0; p < 2; p++) {
                for (size_t i = 0; i < LABELS * GN__SUM_LANES; i++) lanes[p][0][i] = lanes[p][1][i] = 1;
                gn__signed s = {k,       code,        mask,
                                CHUNKS,  LABELS,      0.25F,
                                -0.125F, lanes[p][0], linear ? lanes[p][1] : NULL,
                                table};
                pair[p]->signed_sums(&s);
                pair[p]->strip_distances(strip, x, ROWS, DIM, linear, out[p] + GN__STRIP, STRIDE);
            }
            for (size_t i = 0; i < LABELS * GN__SUM_LANES; i++) {
                CHECK_NEAR(lanes[0][0][i], lanes[1][0][i], 2e-6);
                CHECK_NEAR(lanes[0][1][i], lanes[1][1][i], 2e-5);
                CHECK(linear || lanes[1][1][i] == 1);
            }
            for (size_t i = 0; i < ROWS * STRIDE; i++) CHECK_NEAR(out[0][i], out[1][i], 2e-5);
        }
}

/* The product on one thread against sums in double precision, over odd shapes and both transpositions. */
TEST(products_are_their_definition)
{
    static const size_t shape[][3] = {{1, 1, 1}, {3, 17, 5}, {65, 130, 33}, {128, 7, 300}};
    static float a[128 * 300], b[300 * 130], c[128 * 130];
    gn__rng r = gn__rng_make(3, gn__purpose("test/product"), 0);
    for (size_t i = 0; i < 128 * 300; i++) a[i] = (float)gn__rng_normal(&r);
    for (size_t i = 0; i < 300 * 130; i++) b[i] = (float)gn__rng_normal(&r);
    for (size_t s = 0; s < 4; s++)
        for (int way = 0; way < 4; way++) {
            size_t m = shape[s][0], n = shape[s][1], k = shape[s][2];
            bool ta = way & 1, tb = way & 2;
            for (size_t i = 0; i < m * n; i++) c[i] = (float)i;
            gn__product(m, n, k, 0.5F, (gn__factor){a, ta ? m : k, ta}, (gn__factor){b, tb ? k : n, tb}, 2, c,
                        n);
            for (size_t i = 0; i < m; i++)
                for (size_t j = 0; j < n; j++) {
                    double sum = 4.0 * (double)(i * n + j);
                    for (size_t t = 0; t < k; t++)
                        sum += (double)a[ta ? t * m + i : i * k + t] * (double)b[tb ? j * k + t : t * n + j];
                    CHECK_NEAR(c[i * n + j], 0.5 * sum, 1e-4 + 1e-6 * fabs(sum));
                }
        }
}

static const char *stack_low, *stack_high;
static volatile sig_atomic_t signals, astray;

static void look_where(int number)
{
    const char *here = __builtin_frame_address(0);
    (void)number;
    signals++;
    if (here < stack_low || here >= stack_high) astray++;
}

/* oneDNN's products use the stack pointer for other things, so a handler's frame would spoil the heap. */
TEST(signals_do_not_write_into_products)
{
    enum { M = 4000, N = 128, K = 1000 };
    float *a = numbers((size_t)M * K, 1, 1), *b = numbers((size_t)K * N, 2, 1);
    float *c = numbers((size_t)M * N, 3, 1);
    pthread_attr_t attributes;
    void *low;
    size_t size;
    CHECK_INT(pthread_getattr_np(pthread_self(), &attributes), 0);
    CHECK_INT(pthread_attr_getstack(&attributes, &low, &size), 0);
    pthread_attr_destroy(&attributes);
    stack_low = low;
    stack_high = stack_low + size;
    struct sigaction ours = {.sa_handler = look_where}, theirs;
    struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    sigemptyset(&ours.sa_mask);
    sigaction(SIGALRM, &ours, &theirs);
    setitimer(ITIMER_REAL, &often, NULL);
    double end = gn__now() + 0.5;
    while (gn__now() < end)
        gn__product(M, N, K, 1, (gn__factor){a, M, true}, (gn__factor){b, N, false}, 0, c, N);
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &theirs, NULL);
    CHECK(signals > 0);
    CHECK_INT(astray, 0);
    free(a);
    free(b);
    free(c);
}

/* Those of the logistic regression, odd widths and extreme margins included. */
TEST(logistic_kernels_agree_with_the_reference)
{
    enum { ROWS = 21, COLS = 83, CLASSES = 5, STRIDE = 32, FITS = 7, TOGETHER = 15 };
    static float many[FITS * COLS], part[FITS * GN__LANES], by_fit[2][FITS * GN__LANES],
        added[2][FITS * COLS];
    static float x[ROWS * COLS], mean[COLS], w[COLS], out[2][ROWS], sums[2][COLS], logit[2][CLASSES * STRIDE];
    const float *row[ROWS];
    float bias[CLASSES], y[STRIDE], weight[STRIDE], factor[ROWS], margin[2][STRIDE];
    int label[STRIDE];
    gn__rng r = gn__rng_make(3, gn__purpose("test/logistic-kernels"), 0);
    for (size_t i = 0; i < ROWS * COLS; i++) x[i] = (float)gn__rng_normal(&r);
    for (size_t j = 0; j < COLS; j++) mean[j] = (float)gn__rng_normal(&r), w[j] = (float)gn__rng_normal(&r);
    for (size_t i = 0; i < ROWS; i++) row[i] = x + i * COLS, factor[i] = (float)gn__rng_normal(&r);
    for (size_t c = 0; c < CLASSES; c++) bias[c] = (float)gn__rng_normal(&r);
    for (size_t i = 0; i < FITS * COLS; i++) many[i] = (float)gn__rng_normal(&r);
    for (size_t i = 0; i < FITS * GN__LANES; i++) part[i] = (float)gn__rng_normal(&r);
    for (size_t i = 0; i < STRIDE; i++) {
        label[i] = (int)(i % CLASSES);
        y[i] = (float)(i % 2);
        weight[i] = i < 29 ? 0.5F + (float)gn__rng_double(&r) : 0;
    }
    const gn__ops *ops;
    for (size_t t = 0; (ops = gn__cpu_ops_at(t)) != NULL; t++) {
        const gn__ops *pair[] = {&gn__ops_reference, ops};
        double loss[2], soft[2];
        for (size_t k = 0; k < 2; k++) {
            gn__rng again = gn__rng_make(4, gn__purpose("test/logistic-kernels"), 0);
            pair[k]->margins(row, ROWS, row, mean, w, COLS, out[k]);
            for (size_t j = 0; j < COLS; j++) sums[k][j] = mean[j];
            pair[k]->add_rows(row, ROWS, mean, factor, COLS, sums[k]);
            pair[k]->margins_of_fits(x, TOGETHER, COLS, many, FITS, by_fit[k]);
            memcpy(added[k], many, sizeof many);
            pair[k]->add_rows_of_fits(x, TOGETHER, COLS, part, FITS, added[k]);
            for (size_t i = 0; i < STRIDE; i++)
                margin[k][i] = i < 4 ? (i < 2 ? 300 : -300) : (float)(5 * gn__rng_normal(&again));
            for (size_t i = 0; i < CLASSES * STRIDE; i++)
                logit[k][i] = (float)((i % 7 ? 8 : 200) * gn__rng_normal(&again));
            loss[k] = pair[k]->binomial_loss(margin[k], y, weight, STRIDE);
            soft[k] = pair[k]->softmax_loss(logit[k], STRIDE, CLASSES, bias, label, weight, STRIDE);
        }
        CHECK_NEAR(loss[0], loss[1], 1e-5 * loss[0]);
        CHECK_NEAR(soft[0], soft[1], 1e-5 * soft[0]);
        for (size_t i = 0; i < ROWS; i++) CHECK_NEAR(out[0][i], out[1][i], 1e-4);
        for (size_t j = 0; j < COLS; j++) CHECK_NEAR(sums[0][j], sums[1][j], 1e-4);
        for (size_t i = 0; i < FITS * GN__LANES; i++) CHECK_NEAR(by_fit[0][i], by_fit[1][i], 1e-4);
        for (size_t i = 0; i < FITS * COLS; i++) CHECK_NEAR(added[0][i], added[1][i], 1e-4);
        for (size_t i = 0; i < STRIDE; i++) CHECK_NEAR(margin[0][i], margin[1][i], 1e-6);
        for (size_t i = 0; i < CLASSES * STRIDE; i++) CHECK_NEAR(logit[0][i], logit[1][i], 2e-6);
    }
}
