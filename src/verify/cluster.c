/* Single-linkage clusters by cosine similarity: tiles of products, small forests merged by union and find. */
#include "verify/parts.h"

#include <cblas.h>
#include <math.h>

enum { TILE = 256, NEAREST = 16, MIXED = 64 };
static const double NULL_QUANTILE = 0.95; /* of the nearest similarities in the cloud without clusters */
static const double LARGEST_SHARE = 0.2;  /* of the rows that one cluster may hold */

static uint32_t find(uint32_t *parent, uint32_t i)
{
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
}

/* The lower number becomes the root; false when they were one already. */
static bool unite(uint32_t *parent, uint32_t a, uint32_t b)
{
    a = find(parent, a), b = find(parent, b);
    if (a == b) return false;
    if (a < b)
        parent[b] = a;
    else
        parent[a] = b;
    return true;
}

typedef struct edge {
    uint32_t a, b;
    float similarity;
} edge;

/* Unit rows; a row of zeros stays one and is like nothing. */
static void normalise(gn_matrix *x)
{
    for (size_t i = 0; i < x->rows; i++) {
        float *row = x->data + i * x->cols;
        double square = 0;
        for (size_t j = 0; j < x->cols; j++) square += (double)row[j] * (double)row[j];
        float factor = square > 0 ? (float)(1 / sqrt(square)) : 0;
        for (size_t j = 0; j < x->cols; j++) row[j] *= factor;
    }
}

/* similarity: [TILE × TILE] of rows a.. and b.. */
static void tile(const gn_matrix *x, size_t a, size_t na, size_t b, size_t nb, float *similarity)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)na, (int)nb, (int)x->cols, 1,
                x->data + a * x->cols, (int)x->cols, x->data + b * x->cols, (int)x->cols, 0, similarity,
                TILE);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- linking at a threshold ---------------------------------------------------------------------- */

typedef struct linking {
    const gn_matrix *x;
    double threshold;
    float *similarity; /* [threads × TILE²] */
    uint32_t *forest;  /* [threads × rows] */
    edge **links;      /* [blocks] a spanning forest of each block's links */
    size_t *count;     /* [blocks] */
    bool *failed;      /* [blocks] */
} linking;

static void link_block(void *arg, size_t begin, size_t end, unsigned worker)
{
    linking *l = arg;
    size_t rows = l->x->rows, block = begin / TILE, capacity = 0;
    float *s = l->similarity + (size_t)worker * TILE * TILE;
    uint32_t *forest = l->forest + worker * rows;
    for (size_t i = 0; i < rows; i++) forest[i] = (uint32_t)i;
    for (size_t b = begin; b < rows; b += TILE) {
        size_t nb = least(TILE, rows - b);
        tile(l->x, begin, end - begin, b, nb, s);
        for (size_t i = 0; i < end - begin; i++)
            for (size_t j = 0; j < nb; j++) {
                if (!((double)s[i * TILE + j] >= l->threshold) || b + j <= begin + i) continue;
                if (!unite(forest, (uint32_t)(begin + i), (uint32_t)(b + j))) continue;
                if (l->count[block] == capacity) {
                    capacity = capacity ? 2 * capacity : 64;
                    edge *more = gn__realloc(l->links[block], capacity, sizeof *more);
                    if (more == NULL) {
                        l->failed[block] = true;
                        return;
                    }
                    l->links[block] = more;
                }
                l->links[block][l->count[block]++] =
                    (edge){(uint32_t)(begin + i), (uint32_t)(b + j), s[i * TILE + j]};
            }
    }
}

/* parent: [rows] the resulting forest. */
static gn_status link_rows(gn_context *ctx, const gn_matrix *x, double threshold, uint32_t *parent,
                           gn_error *err)
{
    size_t rows = x->rows, threads = gn_context_threads(ctx), blocks = (rows + TILE - 1) / TILE;
    linking l = {.x = x, .threshold = threshold};
    gn_status status = GN_OK;
    l.similarity = gn__aligned(threads * TILE * TILE, sizeof *l.similarity);
    l.forest = gn__calloc(threads * rows, sizeof *l.forest);
    l.links = gn__calloc(blocks, sizeof(edge *));
    l.count = gn__calloc(blocks, sizeof *l.count);
    l.failed = gn__calloc(blocks, sizeof *l.failed);
    if (!l.similarity || !l.forest || !l.links || !l.count || !l.failed) {
        status = gn__no_memory(err, threads * (TILE * TILE + rows) * sizeof(float));
        goto done;
    }
    GN__TRY_GOTO(gn__parallel_for(ctx, rows, TILE, link_block, &l, err), done);
    for (size_t i = 0; i < rows; i++) parent[i] = (uint32_t)i;
    for (size_t b = 0; b < blocks; b++) {
        if (l.failed[b]) {
            status = gn__no_memory(err, rows * sizeof(edge));
            goto done;
        }
        for (size_t e = 0; e < l.count[b]; e++) unite(parent, l.links[b][e].a, l.links[b][e].b);
    }
done:
    for (size_t b = 0; l.links != NULL && b < blocks; b++) free(l.links[b]);
    free(l.similarity);
    free(l.forest);
    free(l.links);
    free(l.count);
    free(l.failed);
    return status;
}

/* ---- choosing the threshold ---------------------------------------------------------------------- */

typedef struct search {
    const gn_matrix *x;
    size_t keep;       /* nearest rows kept, at most NEAREST */
    float *similarity; /* [threads × TILE²] */
    edge *nearest;     /* [rows × keep], nearest first */
} search;

/* Keeps the list sorted; equal similarities in order of the row number. */
static void insert(edge *list, size_t keep, edge e)
{
    if (!(e.similarity > list[keep - 1].similarity)) return;
    size_t at = keep - 1;
    for (; at > 0 && e.similarity > list[at - 1].similarity; at--) list[at] = list[at - 1];
    list[at] = e;
}

static void search_block(void *arg, size_t begin, size_t end, unsigned worker)
{
    search *q = arg;
    size_t rows = q->x->rows;
    float *s = q->similarity + (size_t)worker * TILE * TILE;
    for (size_t i = begin * q->keep; i < end * q->keep; i++) q->nearest[i] = (edge){0, 0, -INFINITY};
    for (size_t b = 0; b < rows; b += TILE) {
        size_t nb = least(TILE, rows - b);
        tile(q->x, begin, end - begin, b, nb, s);
        for (size_t i = 0; i < end - begin; i++)
            for (size_t j = 0; j < nb; j++)
                if (b + j != begin + i)
                    insert(q->nearest + (begin + i) * q->keep, q->keep,
                           (edge){(uint32_t)(begin + i), (uint32_t)(b + j), s[i * TILE + j]});
    }
}

static gn_status find_nearest(gn_context *ctx, const gn_matrix *x, size_t keep, edge *nearest, gn_error *err)
{
    search q = {.x = x, .keep = keep, .nearest = nearest};
    size_t bytes = (size_t)gn_context_threads(ctx) * TILE * TILE;
    q.similarity = gn__aligned(bytes, sizeof *q.similarity);
    if (q.similarity == NULL) return gn__no_memory(err, bytes * sizeof *q.similarity);
    gn_status status = gn__parallel_for(ctx, x->rows, TILE, search_block, &q, err);
    free(q.similarity);
    return status;
}

typedef struct mixing {
    const gn_matrix *x;
    gn_matrix *out;
    uint64_t seed;
} mixing;

/* A sum of rows under random signs has the rows' second moments and, by the central limit theorem, no
 * clusters. */
static void mix_rows(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    const mixing *m = arg;
    size_t cols = m->x->cols;
    for (size_t i = begin; i < end; i++) {
        gn__rng rng = gn__rng_make(m->seed, gn__purpose("verify/cluster"), i);
        for (int k = 0; k < MIXED; k++) {
            size_t r = gn__rng_below(&rng, (uint32_t)m->x->rows);
            float sign = gn__rng_u32(&rng) & 1 ? 1 : -1;
            cblas_saxpy((int)cols, sign, m->x->data + r * cols, 1, m->out->data + i * cols, 1);
        }
    }
}

static int most_alike_first(const void *a, const void *b)
{
    const edge *x = a, *y = b;
    if (x->similarity != y->similarity) return x->similarity > y->similarity ? -1 : 1;
    if (x->a != y->a) return x->a < y->a ? -1 : 1;
    return (x->b > y->b) - (x->b < y->b);
}

/* The similarity that NULL_QUANTILE of the rows of a cloud with the same second moments but without clusters
 * do not reach with any other row. */
static gn_status null_threshold(gn_context *ctx, const gn_matrix *x, edge *nearest, double *out,
                                gn_error *err)
{
    gn_matrix cloud = {0};
    gn_status status;
    GN__TRY(gn_matrix_create(x->rows, x->cols, &cloud, err));
    mixing m = {x, &cloud, gn_context_seed(ctx)};
    GN__TRY_GOTO(gn__parallel_for(ctx, x->rows, 64, mix_rows, &m, err), done);
    normalise(&cloud);
    GN__TRY_GOTO(find_nearest(ctx, &cloud, 1, nearest, err), done);
    qsort(nearest, x->rows, sizeof *nearest, most_alike_first);
    *out = (double)nearest[(size_t)((1 - NULL_QUANTILE) * (double)x->rows)].similarity;
done:
    gn_matrix_free(&cloud);
    return status;
}

/* The lowest similarity, not under floor, at which the links of the nearest rows join no more than the cap.
 */
static double capped_threshold(const edge *sorted, size_t edges, size_t rows, double floor, uint32_t *parent,
                               uint32_t *size)
{
    double cap = fmax(2, LARGEST_SHARE * (double)rows);
    for (size_t i = 0; i < rows; i++) parent[i] = (uint32_t)i, size[i] = 1;
    for (size_t e = 0; e < edges && (double)sorted[e].similarity >= floor; e++) {
        uint32_t a = find(parent, sorted[e].a), b = find(parent, sorted[e].b);
        if (a == b) continue;
        uint32_t joined = size[a] + size[b];
        if ((double)joined > cap) return nextafter((double)sorted[e].similarity, INFINITY);
        unite(parent, a, b);
        size[find(parent, a)] = joined;
    }
    return floor;
}

static gn_status choose_threshold(gn_context *ctx, const gn_matrix *x, double *out, gn_error *err)
{
    size_t rows = x->rows, keep = least(NEAREST, rows - 1);
    gn_status status;
    edge *nearest = gn__calloc(rows * keep, sizeof *nearest);
    uint32_t *scratch = gn__calloc(rows, 2 * sizeof *scratch);
    if (nearest == NULL || scratch == NULL) {
        status = gn__no_memory(err, rows * keep * sizeof *nearest);
        goto done;
    }
    double floor;
    GN__TRY_GOTO(null_threshold(ctx, x, nearest, &floor, err), done);
    GN__TRY_GOTO(find_nearest(ctx, x, keep, nearest, err), done);
    qsort(nearest, rows * keep, sizeof *nearest, most_alike_first);
    *out = capped_threshold(nearest, rows * keep, rows, floor, scratch, scratch + rows);
done:
    free(nearest);
    free(scratch);
    return status;
}

gn_status gn_cluster(gn_context *ctx, const gn_matrix *x, double threshold, uint32_t *cluster,
                     size_t *clusters, gn_error *err)
{
    gn_matrix unit = {0};
    gn_status status;
    if (!(threshold >= 0 && threshold <= 1))
        return gn__fail(err, GN_INVALID_ARGUMENT, "a similarity threshold lies in 0 to 1, found %g",
                        threshold);
    if (x->rows >= UINT32_MAX / NEAREST)
        return gn__fail(err, GN_UNSUPPORTED, "%zu rows are more than can be clustered", x->rows);
    GN__TRY(gn__require_finite(x, err));
    uint32_t *parent = gn__calloc(x->rows, sizeof *parent), next = 0;
    if (parent == NULL) return gn__no_memory(err, x->rows * sizeof *parent);
    GN__TRY_GOTO(gn_matrix_create(x->rows, x->cols, &unit, err), done);
    if (x->rows > 0) memcpy(unit.data, x->data, x->rows * x->cols * sizeof *x->data);
    normalise(&unit);
    if (threshold == 0 && x->rows > 1) GN__TRY_GOTO(choose_threshold(ctx, &unit, &threshold, err), done);
    GN__TRY_GOTO(link_rows(ctx, &unit, threshold, parent, err), done);
    for (size_t i = 0; i < x->rows; i++) { /* a root is the lowest row of its cluster, so it comes first */
        uint32_t root = find(parent, (uint32_t)i);
        cluster[i] = root == i ? next++ : cluster[root];
    }
    *clusters = next;
done:
    gn_matrix_free(&unit);
    free(parent);
    return status;
}
