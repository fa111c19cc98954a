/* The part of kernel_attention.h that adds positions as content does (gn__disentangled). */

/* The two ends of the range of positions->row that this text uses, the lower one in whole steps. */
static inline size_t lowest_row(const gn__attention *a)
{
    return a->positions->row[1 - (ptrdiff_t)a->tokens] / STEP * STEP;
}

static inline size_t highest_row(const gn__attention *a)
{
    return a->positions->row[(ptrdiff_t)a->tokens - 1];
}

static void positions_by_key(const gn__attention *a, size_t head, const parts *p)
{
    const gn__disentangled *d = a->positions;
    size_t D = a->head_dim, low = lowest_row(a), all_rows = highest_row(a) + 1 - low, rows;
    const float *query = d->query + (head * d->rows + low) * D;
    for (size_t first = 0; first < all_rows; first += rows) {
        rows = tile_rows(all_rows, first);
        lay(query + first * D, D, rows, D, p->spare, p->laid);
        for (size_t j = 0; j < p->columns; j += STEP)
            tile(rows, p->laid, p->keys + j * D, STEP, D, p->by_key + first * p->columns + j, p->columns);
    }
}

/* Of the queries that stand in p->query. */
static void positions_by_query(const gn__attention *a, size_t head, const parts *p, size_t rows)
{
    const gn__disentangled *d = a->positions;
    const float *key = d->key + head * a->head_dim * d->columns;
    for (size_t j = lowest_row(a); j <= highest_row(a); j += STEP)
        tile(rows, p->query, key + j, d->columns, a->head_dim, p->by_query + j, d->columns);
}

static void add_positions(const gn__attention *a, const parts *p, size_t r, size_t t, float *s, size_t begin,
                          size_t padded)
{
    const gn__disentangled *d = a->positions;
    size_t low = lowest_row(a), end = padded < a->tokens ? padded : a->tokens;
    const float *by_query = p->by_query + r * d->columns;
    for (size_t j = begin; j < end; j++) {
        size_t row = d->row[(ptrdiff_t)t - (ptrdiff_t)j];
        if (d->key != NULL) s[j] += by_query[row];
        if (d->query != NULL) s[j] += p->by_key[(row - low) * p->columns + j];
    }
}
