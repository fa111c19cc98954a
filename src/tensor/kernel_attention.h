/* Softmax attention, written once for factors in float32 and in bf16 (KERNEL_BF16): up to TALL queries at a
 * time against steps of keys, then of value columns, by the tiles of kernel_product.h. Scores and their sums
 * are float32 in both; positions that enter as content does (gn__disentangled) are float32's alone. */
#include "tensor/kernel_product.h"

static inline size_t up(size_t n)
{
    return (n + STEP - 1) / STEP * STEP;
}

/* Scores in s[begin..padded), of which [first..n) are seen. */
typedef struct span_seen {
    size_t begin, first, n, padded; /* begin and padded are multiples of W */
} span_seen;

static inline vi seen_lanes(const span_seen *a, size_t j)
{
    vi there = lane_number < (int32_t)(a->n - j);
    if (a->first > j) there &= lane_number >= (int32_t)(a->first - j);
    return there;
}

/* Turns what is seen of s into exp(scale (s − max)) and the rest into 0; returns 1 / their sum. */
static inline float softmax(float *s, const span_seen *a, float scale)
{
    /* whole vectors lie in [clear, full) */
    size_t clear = a->first == a->begin ? a->begin : (a->first / W + 1) * W, full = a->n / W * W,
           j = a->begin;
    vf best = all(s[a->first]), best2 = best, total = {0}, total2 = {0};
    if (clear > full) clear = full;
    for (; j < clear; j += W) best = larger(choose(seen_lanes(a, j), load(s + j), best), best);
    for (; j + 2 * W <= full; j += 2 * W) {
        best = larger(load(s + j), best);
        best2 = larger(load(s + j + W), best2);
    }
    for (; j < full; j += W) best = larger(load(s + j), best);
    for (; j < a->n; j += W) best = larger(choose(seen_lanes(a, j), load(s + j), best), best);
    const float base =
        1.4426950408889634f * scale; /* weights are powers of two of what they are apart from the best */
    float top = largest(larger(best, best2));
    for (j = a->begin; j < a->padded; j += W) {
        if (j >= clear && j + 2 * W <= full) {
            vf e = power_of_two(at_least(-126.0f, (load(s + j) - top) * base));
            vf e2 = power_of_two(at_least(-126.0f, (load(s + j + W) - top) * base));
            store(s + j, e);
            store(s + j + W, e2);
            total += e;
            total2 += e2;
            j += W;
            continue;
        }
        vi there = seen_lanes(a, j);
        vf t = choose(there, (load(s + j) - top) * base, all(0.0f));
        vf e = (vf)(there & (vi)power_of_two(at_least(-126.0f, t)));
        store(s + j, e);
        total += e;
    }
    return 1.0f / sum(total + total2);
}

/* Where things lie in the scratch. Keys and values are packed as weights are: a step of columns at a time. */
typedef struct parts {
    size_t columns, width; /* tokens and head_dim in whole steps */
    size_t key_units;      /* of head_dim */
    size_t value_units;    /* of the tokens in whole steps */
    float *keys;           /* [columns / STEP × key_units × STEP] */
    float *values;         /* [width / STEP × value_units × STEP] */
    float *score;          /* [TALL × columns] */
    float *laid;           /* [TALL × columns] units of what is multiplied, side by side */
    float *spare;          /* [TALL × columns] */
    float *result;         /* [TALL × STEP] */
    float *query;          /* [TALL × up(head_dim)] units of queries */
    float *by_query;       /* [TALL × positions->columns] q · key[row] */
    float *by_key;         /* [rows that occur × columns] query[row] · k */
} parts;

static parts divide(const gn__attention *a)
{
    parts p = {.columns = up(a->tokens), .width = up(a->head_dim), .key_units = units(a->head_dim)};
    size_t wide = p.columns > p.width ? p.columns : p.width;
    p.value_units = units(p.columns);
    p.keys = a->scratch;
    p.values = p.keys + p.key_units * p.columns;
    p.score = p.values + p.value_units * p.width;
    p.laid = p.score + TALL * p.columns;
    p.spare = p.laid + TALL * wide;
    p.result = p.spare + TALL * wide;
    p.query = p.result + TALL * STEP;
    p.by_query = p.query + TALL * p.width;
    p.by_key = p.by_query + (a->positions ? TALL * a->positions->columns : 0);
    return p;
}

/* Keys of one of the kv_heads, a step of tokens after the other. Columns past the last token are never looked
 * at. */
static void gather_keys(const gn__attention *a, size_t head, const parts *p)
{
    const float *k = a->k + head * a->head_dim;
    for (size_t t = 0; t < a->tokens; t += STEP) {
        size_t n = a->tokens - t < STEP ? a->tokens - t : STEP;
        float *out = p->keys + t * p->key_units;
#if defined(KERNEL_BF16)
        float rows[STEP * 8]; /* eight units at a time, so that it fits any head */
        for (size_t d = 0; d < p->key_units; d += 8) {
            size_t some = p->key_units - d < 8 ? p->key_units - d : 8;
            size_t cols = a->head_dim - 2 * d < 16 ? a->head_dim - 2 * d : 16;
            for (size_t r = 0; r < n; r++) {
                uint16_t *y = (uint16_t *)(rows + r * 8);
                to_bf16(y, k + (t + r) * a->stride + 2 * d, cols);
                if (cols % 2 != 0) y[cols] = 0;
            }
            transpose(rows, 8, n, some, out + d * STEP, STEP);
        }
#else
        transpose(k + t * a->stride, a->stride, n, a->head_dim, out, STEP);
#endif
    }
}

static void gather_values(const gn__attention *a, size_t head, const parts *p)
{
    const float *v = a->v + head * a->head_dim;
    size_t D = a->head_dim;
#if defined(KERNEL_BF16)
    static const float nothing[STEP];
#endif
    for (size_t d = 0; d < D; d += STEP) {
        size_t cols = D - d < STEP ? D - d : STEP;
        float *out = p->values + d / STEP * p->value_units * STEP;
#if defined(KERNEL_BF16)
        for (size_t t = 0; t < a->tokens; t += 2, out += STEP) { /* a unit: the same column of two tokens */
            const float *x = v + t * a->stride + d, *y = t + 1 < a->tokens ? x + a->stride : nothing;
            float rest[2][STEP] = {{0}};
            if (cols < STEP) {
                memcpy(rest[0], x, cols * sizeof *x);
                memcpy(rest[1], y, cols * sizeof *y);
                x = rest[0];
                y = rest[1];
            }
            for (size_t j = 0; j < STEP; j += W) {
                vw low = __builtin_convertvector(rounded(load(x + j)), vw);
                vw high = __builtin_convertvector(rounded(load(y + j)), vw);
                store(out + j, (vf)(low | high << 16));
            }
        }
#else
        for (size_t t = 0; t < a->tokens; t++, out += STEP)
            memcpy(out, v + t * a->stride + d, cols * sizeof *out);
#endif
    }
}

/* The tokens that the query at t sees. */
static inline size_t first_seen(const gn__attention *a, size_t t)
{
    return a->before != 0 && t > a->before ? t - a->before : 0;
}

static inline size_t end_seen(const gn__attention *a, size_t t)
{
    size_t beyond = a->causal ? t + 1 : a->after != 0 ? t + a->after + 1 : a->tokens;
    return beyond < a->tokens ? beyond : a->tokens;
}

#if !defined(KERNEL_BF16)
#include "tensor/kernel_positions.h"
#endif

/* Whatever a score gains beside q · k; scaling is then done. s: of the query at t, row r of its block. */
static void adjust(const gn__attention *a, size_t head, const parts *p, size_t r, size_t t, float *s,
                   size_t begin, size_t padded)
{
#if !defined(KERNEL_BF16)
    if (a->positions != NULL) add_positions(a, p, r, t, s, begin, padded);
#else
    (void)p;
    (void)r;
#endif
    float cap = a->cap, inverse = cap > 0 ? 2 * a->scale / cap : 0;
    const float *bias = a->bias ? a->bias + head * a->bias_stride - t : NULL;
    for (size_t j = begin; j < padded; j += W) {
        vf x = load(s + j);
        x = cap > 0 ? cap * (2.0f * sigmoid(x * inverse) - 1.0f) : x * a->scale;
        if (bias != NULL) x += load(bias + j);
        store(s + j, x);
    }
}

/* Queries [first, first + rows) against every key that one of them sees. */
static void attend_block(const gn__attention *a, size_t head, const parts *p, size_t first, size_t rows)
{
    size_t D = a->head_dim, columns = p->columns, last = first + rows - 1;
    size_t begin = first_seen(a, first) / STEP * STEP, seen = end_seen(a, last), padded = up(seen);
    bool plain = a->cap == 0 && a->bias == NULL && a->positions == NULL;
    float inverse[TALL], *out = a->out + first * a->out_stride + head * D;
    lay(a->q + first * a->stride + head * D, a->stride, rows, D, p->spare, p->query);
    for (size_t j = begin; j < padded; j += STEP)
        tile(rows, p->query, p->keys + j * p->key_units, STEP, p->key_units, p->score + j, columns);
#if !defined(KERNEL_BF16)
    if (a->positions != NULL && a->positions->key != NULL) positions_by_query(a, head, p, rows);
#endif
    for (size_t r = 0; r < rows; r++) {
        size_t t = first + r;
        float *s = p->score + r * columns;
        span_seen at = {.begin = begin, .first = first_seen(a, t), .n = end_seen(a, t), .padded = padded};
        if (!plain) adjust(a, head, p, r, t, s, begin, padded);
        inverse[r] = softmax(s, &at, plain ? a->scale : 1.0f);
    }
    lay(p->score + begin, columns, rows, seen - begin, p->spare, p->laid);
    for (size_t d = 0; d < D; d += STEP) {
        const float *v = p->values + (d / STEP * p->value_units + units(begin)) * STEP;
        tile(rows, p->laid, v, STEP, units(seen - begin), p->result, STEP);
        for (size_t r = 0; r < rows; r++) {
            float *y = out + r * a->out_stride + d;
            size_t cols = D - d < STEP ? D - d : STEP;
            const float *x = p->result + r * STEP;
            if (cols == STEP) {
                store(y, load(x) * inverse[r]);
                store(y + W, load(x + W) * inverse[r]);
            } else {
                for (size_t j = 0; j < cols; j++) y[j] = x[j] * inverse[r];
            }
        }
    }
}

static void attention(const gn__attention *a)
{
    size_t kv_heads = a->kv_heads ? a->kv_heads : a->heads, group = a->heads / kv_heads, rows;
    parts p = divide(a);
    for (size_t h = 0; h < a->heads; h++) {
        if (h % group == 0) {
            gather_keys(a, h / group, &p);
            gather_values(a, h / group, &p);
        }
#if !defined(KERNEL_BF16)
        if (a->positions != NULL && a->positions->query != NULL) positions_by_key(a, h, &p);
#endif
        for (size_t first = 0; first < a->tokens; first += rows) {
            rows = tile_rows(a->tokens, first);
            attend_block(a, h, &p, first, rows);
        }
    }
}
