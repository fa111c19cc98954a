/* Attention with its way back, the second half of gradient_kernel.h. Four queries at a time stand against
 * vectors of keys; probabilities are computed again on the way back from their level instead of being kept
 * (as Dao et al. 2022 do). With P the probabilities and S the scores: by V = Pᵀ by_out; by P = by_out Vᵀ; by
 * S = P (by P − Σ_d by_out out); by Q = by S K; by K = by Sᵀ Q. */

enum { QUERIES = 4, STEP = 2 * W };

static inline size_t up(size_t n)
{
    return (n + STEP - 1) / STEP * STEP;
}

/* Where things lie in the scratch. */
typedef struct desk {
    const NAME(attending) * a;
    size_t T, D, columns, width;           /* tokens, head_dim; both in whole steps */
    size_t low, rows, row_columns;         /* of the relative positions that this text has */
    REAL *keys, *values;                   /* [D × columns], transposed */
    REAL *k, *v, *by_k, *by_v;             /* [columns × width] */
    REAL *q, *by_out, *result;             /* [QUERIES × width] */
    REAL *score, *by_score, *slope, *mask; /* [QUERIES × columns up to whole DRAWS] */
    REAL *position_keys;                   /* [D × row_columns], transposed */
    REAL *pk, *by_pk, *pq, *by_pq;         /* [row_columns × width] */
    REAL *by_query, *by_by_query;          /* [QUERIES × row_columns] q · key[row] */
    REAL *by_key, *by_by_key;              /* [row_columns × columns] query[row] · k */
    size_t score_stride;
} desk;

static desk lay_out(const NAME(attending) * a)
{
    desk d = {.a = a, .T = a->tokens, .D = a->head_dim, .columns = up(a->tokens), .width = up(a->head_dim)};
    REAL *p = a->scratch;
    d.score_stride = (d.columns + DRAWS - 1) / DRAWS * DRAWS;
    if (a->position_key != NULL || a->position_query != NULL) {
        d.low = a->row[1 - (ptrdiff_t)a->tokens];
        d.rows = a->row[(ptrdiff_t)a->tokens - 1] + 1 - d.low;
        d.row_columns = up(d.rows);
    }
    REAL **const part[] = {&d.keys,     &d.values,        &d.k,      &d.v,        &d.by_k,     &d.by_v,
                           &d.q,        &d.by_out,        &d.result, &d.score,    &d.by_score, &d.slope,
                           &d.mask,     &d.position_keys, &d.pk,     &d.by_pk,    &d.pq,       &d.by_pq,
                           &d.by_query, &d.by_by_query,   &d.by_key, &d.by_by_key};
    const size_t square = d.columns * d.width, few = QUERIES * d.width, line = QUERIES * d.score_stride;
    const size_t by_row = d.row_columns * d.width, here = QUERIES * d.row_columns;
    const size_t size[] = {square,
                           square,
                           square,
                           square,
                           square,
                           square,
                           few,
                           few,
                           few,
                           line,
                           line,
                           line,
                           line,
                           by_row,
                           by_row,
                           by_row,
                           by_row,
                           by_row,
                           here,
                           here,
                           d.row_columns * d.columns,
                           d.row_columns * d.columns};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) *part[i] = p, p += size[i];
    return d;
}

/* out[r][j] = Σ_i a[r][i] b[i * b_stride + j] for QUERIES rows and one step of columns. */
static inline void tile(const REAL *const a[QUERIES], const REAL *b, size_t b_stride, size_t n,
                        REAL *const out[QUERIES])
{
    vr acc[QUERIES][2] = {{{0}}};
    for (size_t i = 0; i < n; i++, b += b_stride) {
        vr b0 = load(b), b1 = load(b + W);
        for (int r = 0; r < QUERIES; r++) {
            acc[r][0] += a[r][i] * b0;
            acc[r][1] += a[r][i] * b1;
        }
    }
    for (int r = 0; r < QUERIES; r++) {
        store(out[r], acc[r][0]);
        store(out[r] + W, acc[r][1]);
    }
}

/* y[j * width + d] += Σ_r s[r][j] x[r][d] for begin ≤ j < end. */
static inline void spread(const REAL *const s[QUERIES], const REAL *const x[QUERIES], size_t begin,
                          size_t end, size_t width, REAL *y)
{
    for (size_t d = 0; d < width; d += STEP) {
        vr x0[QUERIES], x1[QUERIES];
        for (int r = 0; r < QUERIES; r++) x0[r] = load(x[r] + d), x1[r] = load(x[r] + d + W);
        for (size_t j = begin; j < end; j++) {
            REAL *at = y + j * width + d;
            vr y0 = load(at), y1 = load(at + W);
            for (int r = 0; r < QUERIES; r++) {
                y0 += s[r][j] * x0[r];
                y1 += s[r][j] * x1[r];
            }
            store(at, y0);
            store(at + W, y1);
        }
    }
}

/* rows × D with a stride become rows × width, the rest 0. */
static void gather(const REAL *x, size_t stride, size_t rows, const desk *d, REAL *y)
{
    for (size_t i = 0; i < rows; i++, x += stride, y += d->width) {
        memcpy(y, x, d->D * sizeof *y);
        memset(y + d->D, 0, (d->width - d->D) * sizeof *y);
    }
}

/* y[j * columns + i] = x[i * width + j]; columns past `rows` become 0. */
static void turn(const REAL *x, size_t rows, const desk *d, REAL *y, size_t columns)
{
    for (size_t j = 0; j < d->D; j++) {
        for (size_t i = 0; i < rows; i++) y[j * columns + i] = x[i * d->width + j];
        memset(y + j * columns + rows, 0, (columns - rows) * sizeof *y);
    }
}

/* The tokens that the query at t sees. */
static inline size_t first_seen(const NAME(attending) * a, size_t t)
{
    return a->before != 0 && t > a->before ? t - a->before : 0;
}

static inline size_t end_seen(const NAME(attending) * a, size_t t)
{
    size_t beyond = a->causal ? t + 1 : a->after != 0 ? t + a->after + 1 : a->tokens;
    return beyond < a->tokens ? beyond : a->tokens;
}

/* Four queries, those past the end standing in for the last. */
typedef struct few {
    size_t first, count, begin, seen, padded; /* queries; keys */
    size_t t[QUERIES];
    const REAL *q[QUERIES];
    REAL *score[QUERIES];
} few;

static few take(const desk *d, size_t head, size_t first)
{
    const NAME(attending) *a = d->a;
    few f = {.first = first, .count = d->T - first < QUERIES ? d->T - first : (size_t)QUERIES};
    f.begin = first_seen(a, first) / STEP * STEP;
    f.seen = end_seen(a, first + f.count - 1);
    f.padded = up(f.seen);
    for (size_t r = 0; r < QUERIES; r++) {
        f.t[r] = r < f.count ? first + r : first + f.count - 1;
        gather(a->q + f.t[r] * a->stride + head * d->D, 0, 1, d, d->q + r * d->width);
        f.q[r] = d->q + r * d->width;
        f.score[r] = d->score + r * d->score_stride;
    }
    return f;
}

/* What relative positions add to the scores. */
static void add_positions(const desk *d, few *f)
{
    const NAME(attending) *a = d->a;
    if (a->position_key != NULL)
        for (size_t i = 0; i < d->row_columns; i += STEP) {
            REAL *out[QUERIES];
            for (size_t r = 0; r < QUERIES; r++) out[r] = d->by_query + r * d->row_columns + i;
            tile(f->q, d->position_keys + i, d->row_columns, d->D, out);
        }
    for (size_t r = 0; r < QUERIES; r++)
        for (size_t j = f->begin; j < f->seen; j++) {
            size_t row = a->row[(ptrdiff_t)f->t[r] - (ptrdiff_t)j] - d->low;
            if (a->position_key != NULL) f->score[r][j] += d->by_query[r * d->row_columns + row];
            if (a->position_query != NULL) f->score[r][j] += d->by_key[row * d->columns + j];
        }
}

/* The scores of four queries; slope: what a capped score's derivative is multiplied by. */
static void fill_scores(const desk *d, size_t head, few *f)
{
    const NAME(attending) *a = d->a;
    for (size_t j = f->begin; j < f->padded; j += STEP) {
        REAL *out[QUERIES];
        for (size_t r = 0; r < QUERIES; r++) out[r] = f->score[r] + j;
        tile(f->q, d->keys + j, d->columns, d->D, out);
    }
    if (d->row_columns > 0) add_positions(d, f);
    for (size_t r = 0; r < QUERIES; r++) {
        const REAL *bias = a->bias ? a->bias + (ptrdiff_t)(head * a->bias_stride) - (ptrdiff_t)f->t[r] : NULL;
        REAL *s = f->score[r], *slope = d->slope + r * d->score_stride;
        for (size_t j = f->begin; j < f->padded; j += W) {
            vr x = load(s + j) * a->scale;
            if (a->cap > 0) {
                vr tanh = 2 * sigmoid(x * (2 / a->cap)) - 1;
                store(slope + j, 1 - tanh * tanh);
                x = a->cap * tanh;
            }
            if (bias != NULL) x += load(bias + j);
            store(s + j, x);
        }
    }
}

/* The lanes from j on that the query sees: all, where the vector lies between `first` and `end`. */
static inline vr seen_or(REAL otherwise, vr x, size_t j, size_t first, size_t end)
{
    if (j >= first && j + W <= end) return x;
    vi at;
    for (int i = 0; i < W; i++) at[i] = (whole)j + i;
    return choose((at >= (whole)first) & (at < (whole)end), x, all(otherwise));
}

/* Below every score; exp of it is 0 here. */
static const REAL nothing = (REAL)-1e30;

/* Scores become exp(score − level), 0 where the query sees nothing; returns their sum. */
static inline REAL exponentials(const desk *d, const few *f, size_t r, REAL level)
{
    size_t first = first_seen(d->a, f->t[r]), end = end_seen(d->a, f->t[r]);
    vr total = {0};
    for (size_t j = f->begin; j < f->padded; j += W) {
        REAL *s = f->score[r] + j;
        vr e = exponential(within(-87, seen_or(nothing, load(s), j, first, end) - level, 87));
        e = seen_or(0, e, j, first, end);
        store(s, e);
        total += e;
    }
    return sum(total);
}

static inline REAL highest(const desk *d, const few *f, size_t r)
{
    size_t first = first_seen(d->a, f->t[r]), end = end_seen(d->a, f->t[r]);
    vr best = all(nothing);
    for (size_t j = f->begin; j < f->padded; j += W) {
        vr x = seen_or(nothing, load(f->score[r] + j), j, first, end);
        best = choose(x > best, x, best);
    }
    return largest(best);
}

static void fill_masks(const desk *d, size_t head, const few *f)
{
    const gn__drop *drop = d->a->drop;
    for (size_t r = 0; r < f->count; r++)
        for (size_t j = f->begin / DRAWS * DRAWS; j < f->padded; j += DRAWS)
            fill_mask(drop, (uint32_t)f->t[r], drop->place + (uint32_t)head,
                      d->mask + r * d->score_stride + j, (uint32_t)(j / 4));
}

/* x[r][j] becomes x[r][j] mask[r][j]. */
static void apply_masks(const desk *d, const few *f, REAL *x)
{
    for (size_t r = 0; r < QUERIES; r++)
        for (size_t j = f->begin; j < f->padded; j += W) {
            REAL *at = x + r * d->score_stride + j;
            store(at, load(at) * load(d->mask + r * d->score_stride + j));
        }
}

/* Keys, values and relative positions of a kv_head and, where `head` has its own, of that head. */
static void prepare(const desk *d, size_t kv_head)
{
    const NAME(attending) *a = d->a;
    gather(a->k + kv_head * d->D, a->stride, d->T, d, d->k);
    gather(a->v + kv_head * d->D, a->stride, d->T, d, d->v);
    turn(d->k, d->T, d, d->keys, d->columns);
}

static void prepare_positions(const desk *d, size_t head)
{
    const NAME(attending) *a = d->a;
    size_t width = a->heads * d->D, offset = d->low * width + head * d->D;
    if (a->position_key != NULL) {
        gather(a->position_key + offset, width, d->rows, d, d->pk);
        turn(d->pk, d->rows, d, d->position_keys, d->row_columns);
    }
    if (a->position_query == NULL) return;
    gather(a->position_query + offset, width, d->rows, d, d->pq);
    for (size_t first = 0; first < d->rows; first += QUERIES)
        for (size_t j = 0; j < d->columns; j += STEP) {
            const REAL *row[QUERIES];
            REAL *out[QUERIES];
            for (size_t r = 0; r < QUERIES; r++) { /* past the end: the last row again */
                size_t i = first + r < d->rows ? first + r : d->rows - 1;
                row[r] = d->pq + i * d->width;
                out[r] = d->by_key + i * d->columns + j;
            }
            tile(row, d->keys + j, d->columns, d->D, out);
        }
}

static void attend_few(const desk *d, size_t head, size_t first)
{
    const NAME(attending) *a = d->a;
    few f = take(d, head, first);
    const REAL *weight[QUERIES];
    REAL total[QUERIES], *out[QUERIES];
    fill_scores(d, head, &f);
    for (size_t r = 0; r < QUERIES; r++) {
        REAL top = highest(d, &f, r);
        total[r] = exponentials(d, &f, r, top);
        if (r < f.count) a->level[f.t[r] * a->heads + head] = top + logarithm(total[r]);
    }
    if (a->drop != NULL) {
        fill_masks(d, head, &f);
        apply_masks(d, &f, d->score);
    }
    for (size_t i = 0; i < d->width; i += STEP) {
        for (size_t r = 0; r < QUERIES; r++) {
            weight[r] = f.score[r] + f.begin;
            out[r] = d->result + r * d->width + i;
        }
        tile(weight, d->v + f.begin * d->width + i, d->width, f.seen - f.begin, out);
    }
    for (size_t r = 0; r < f.count; r++) {
        REAL *y = a->out + f.t[r] * a->out_stride + head * d->D, share = 1 / total[r];
        for (size_t i = 0; i < d->D; i++) y[i] = d->result[r * d->width + i] * share;
    }
}

static void attend(const NAME(attending) * a, size_t kv_head)
{
    desk d = lay_out(a);
    size_t group = a->heads / a->kv_heads;
    prepare(&d, kv_head);
    for (size_t head = kv_head * group; head < (kv_head + 1) * group; head++) {
        if (d.row_columns > 0) prepare_positions(&d, head);
        for (size_t first = 0; first < d.T; first += QUERIES) attend_few(&d, head, first);
    }
}

/* by S of four queries from P (in score) and by P (in by_score), where it then stands, times the scale. */
static void back_through_softmax(const desk *d, size_t head, const few *f, const REAL weighted[QUERIES])
{
    const NAME(attending) *a = d->a;
    for (size_t r = 0; r < f->count; r++) {
        REAL *bias = a->by_bias ? a->by_bias + (ptrdiff_t)(head * a->bias_stride) - (ptrdiff_t)f->t[r] : NULL;
        REAL *by = d->by_score + r * d->score_stride;
        const REAL *p = f->score[r], *slope = d->slope + r * d->score_stride;
        for (size_t j = f->begin; j < f->padded; j += W) {
            vr s = load(p + j) * (load(by + j) - weighted[r]);
            if (bias != NULL) store(bias + j, load(bias + j) + s);
            if (a->cap > 0) s *= load(slope + j);
            store(by + j, s * a->scale);
        }
    }
    for (size_t r = f->count; r < QUERIES; r++) /* stand-ins count nothing */
        memset(d->by_score + r * d->score_stride + f->begin, 0, (f->padded - f->begin) * sizeof(REAL));
}

/* Gathers by S where it belongs to relative positions; adds to the queries' result. */
static void back_through_positions(const desk *d, const few *f)
{
    const NAME(attending) *a = d->a;
    for (size_t r = 0; r < QUERIES && a->position_key != NULL; r++)
        memset(d->by_by_query + r * d->row_columns, 0, d->row_columns * sizeof(REAL));
    for (size_t r = 0; r < f->count; r++)
        for (size_t j = f->begin; j < f->seen; j++) {
            size_t row = a->row[(ptrdiff_t)f->t[r] - (ptrdiff_t)j] - d->low;
            REAL s = d->by_score[r * d->score_stride + j];
            if (a->position_key != NULL) d->by_by_query[r * d->row_columns + row] += s;
            if (a->position_query != NULL) d->by_by_key[row * d->columns + j] += s;
        }
    if (a->position_key == NULL) return;
    const REAL *by[QUERIES];
    for (size_t r = 0; r < QUERIES; r++) by[r] = d->by_by_query + r * d->row_columns;
    spread(by, f->q, 0, d->rows, d->width, d->by_pk);
    for (size_t i = 0; i < d->width; i += STEP) {
        REAL more[QUERIES][STEP], *out[QUERIES];
        for (size_t r = 0; r < QUERIES; r++) out[r] = more[r];
        tile(by, d->pk + i, d->width, d->rows, out);
        for (size_t r = 0; r < QUERIES; r++)
            for (size_t c = 0; c < STEP; c++) d->result[r * d->width + i + c] += more[r][c];
    }
}

static void attend_few_back(const desk *d, size_t head, size_t first)
{
    const NAME(attending) *a = d->a;
    few f = take(d, head, first);
    const REAL *by_out[QUERIES], *by_score[QUERIES], *from[QUERIES], *p[QUERIES];
    REAL level[QUERIES], weighted[QUERIES], *out[QUERIES];
    fill_scores(d, head, &f);
    for (size_t r = 0; r < QUERIES; r++) {
        size_t at = f.t[r] * a->out_stride + head * d->D;
        gather(a->by_out + at, 0, 1, d, d->by_out + r * d->width);
        by_out[r] = d->by_out + r * d->width;
        by_score[r] = d->by_score + r * d->score_stride;
        p[r] = f.score[r];
        level[r] = a->level[f.t[r] * a->heads + head];
        weighted[r] = 0;
        for (size_t i = 0; i < d->D; i++) weighted[r] += by_out[r][i] * a->out[at + i];
    }
    for (size_t r = 0; r < QUERIES; r++) (void)exponentials(d, &f, r, level[r]);
    for (size_t j = f.begin; j < f.padded; j += STEP) {
        for (size_t r = 0; r < QUERIES; r++) out[r] = d->by_score + r * d->score_stride + j;
        tile(by_out, d->values + j, d->columns, d->D, out);
    }
    if (a->drop != NULL) {
        fill_masks(d, head, &f);
        apply_masks(d, &f, d->by_score);
    }
    back_through_softmax(d, head, &f, weighted);
    if (a->drop != NULL) apply_masks(d, &f, d->score);
    for (size_t r = f.count; r < QUERIES; r++)
        memset(f.score[r] + f.begin, 0, (f.padded - f.begin) * sizeof(REAL));
    spread(p, by_out, f.begin, f.seen, d->width, d->by_v);
    spread(by_score, f.q, f.begin, f.seen, d->width, d->by_k);
    for (size_t i = 0; i < d->width; i += STEP) {
        for (size_t r = 0; r < QUERIES; r++) {
            from[r] = by_score[r] + f.begin;
            out[r] = d->result + r * d->width + i;
        }
        tile(from, d->k + f.begin * d->width + i, d->width, f.seen - f.begin, out);
    }
    if (d->row_columns > 0) back_through_positions(d, &f);
    for (size_t r = 0; r < f.count; r++)
        memcpy(a->by_q + f.t[r] * a->stride + head * d->D, d->result + r * d->width, d->D * sizeof *a->by_q);
}

/* What position_query[row] · k says, for all queries at once: by_by_key is by those products. */
static void back_through_queries(const desk *d)
{
    for (size_t row = 0; row < d->rows; row++) {
        const REAL *by = d->by_by_key + row * d->columns, *pq = d->pq + row * d->width;
        REAL *by_pq = d->by_pq + row * d->width;
        for (size_t j = 0; j < d->T; j++) {
            if (by[j] == 0) continue;
            const REAL *k = d->k + j * d->width;
            REAL *by_k = d->by_k + j * d->width;
            for (size_t i = 0; i < d->width; i += W) {
                store(by_k + i, load(by_k + i) + by[j] * load(pq + i));
                store(by_pq + i, load(by_pq + i) + by[j] * load(k + i));
            }
        }
    }
}

static void add_rows_of(const desk *d, const REAL *x, REAL *y, size_t head)
{
    size_t width = d->a->heads * d->D;
    y += d->low * width + head * d->D;
    for (size_t row = 0; row < d->rows; row++, x += d->width, y += width)
        for (size_t i = 0; i < d->D; i++) y[i] += x[i];
}

static void attend_back(const NAME(attending) * a, size_t kv_head)
{
    desk d = lay_out(a);
    size_t group = a->heads / a->kv_heads;
    prepare(&d, kv_head);
    turn(d.v, d.T, &d, d.values, d.columns);
    memset(d.by_k, 0, d.columns * d.width * sizeof(REAL));
    memset(d.by_v, 0, d.columns * d.width * sizeof(REAL));
    for (size_t head = kv_head * group; head < (kv_head + 1) * group; head++) {
        if (d.row_columns > 0) {
            prepare_positions(&d, head);
            memset(d.by_pk, 0, d.row_columns * d.width * sizeof(REAL));
            memset(d.by_pq, 0, d.row_columns * d.width * sizeof(REAL));
            memset(d.by_by_key, 0, d.row_columns * d.columns * sizeof(REAL));
        }
        for (size_t first = 0; first < d.T; first += QUERIES) attend_few_back(&d, head, first);
        if (a->by_position_key != NULL) add_rows_of(&d, d.by_pk, a->by_position_key, head);
        if (a->position_query != NULL) {
            back_through_queries(&d);
            if (a->by_position_query != NULL) add_rows_of(&d, d.by_pq, a->by_position_query, head);
        }
    }
    for (size_t t = 0; t < d.T; t++) {
        size_t at = t * a->stride + kv_head * d.D;
        memcpy(a->by_k + at, d.by_k + t * d.width, d.D * sizeof *a->by_k);
        memcpy(a->by_v + at, d.by_v + t * d.width, d.D * sizeof *a->by_v);
    }
}
