/* Is one set a part of the other? Its rows are then not a sample beside it, and no test's p-value means
 * anything. Told from data that merely repeat (few distinct rows, ties) by how many of the smaller set's rows
 * are distinct. */
#include "detect/detect.h"

enum { GRAIN = 1024, LEAST_ROWS = 20 };

typedef struct hash_job {
    const gn_matrix *x;
    uint64_t *hash;
} hash_job;

/* FNV-1a over 32-bit words; -0 counts as 0. */
static void hash_piece(void *arg, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    hash_job *job = arg;
    for (size_t i = begin; i < end; i++) {
        uint64_t h = 14695981039346656037U;
        for (size_t j = 0; j < job->x->cols; j++) {
            float v = job->x->data[i * job->x->cols + j] + 0.0F;
            uint32_t word;
            memcpy(&word, &v, sizeof word);
            h = (h ^ word) * 1099511628211U;
            h ^= h >> 29;
        }
        job->hash[i] = h;
    }
}

static int subset_ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

gn_status gn__check_part(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, gn_error *err)
{
    const gn_matrix *set[2] = {a->rows < b->rows ? a : b, a->rows < b->rows ? b : a}; /* the smaller first */
    uint64_t *hash[2] = {NULL, NULL};
    gn_status status = GN_OK;
    size_t distinct = 0, missing = 0;
    if (set[0]->rows < LEAST_ROWS || a->cols != b->cols) return GN_OK;
    for (int k = 0; k < 2; k++) {
        hash[k] = gn__calloc(set[k]->rows, sizeof *hash[k]);
        if (hash[k] == NULL) {
            status = gn__no_memory(err, set[k]->rows * sizeof *hash[k]);
            goto done;
        }
        hash_job job = {set[k], hash[k]};
        GN__TRY_GOTO(gn__parallel_for(ctx, set[k]->rows, GRAIN, hash_piece, &job, err), done);
    }
    qsort(hash[0], set[0]->rows, sizeof *hash[0], subset_ascending);
    for (size_t i = 0; i < set[0]->rows; i++) distinct += i == 0 || hash[0][i] != hash[0][i - 1];
    if (10 * distinct < 9 * set[0]->rows) goto done;
    /* The larger set's rows are marked off in the smaller one's list: no sorting of millions. */
    unsigned char *found = gn__calloc(set[0]->rows, 1);
    if (found == NULL) {
        status = gn__no_memory(err, set[0]->rows);
        goto done;
    }
    for (size_t i = 0; i < set[1]->rows; i++) {
        const uint64_t *at = bsearch(&hash[1][i], hash[0], set[0]->rows, sizeof *at, subset_ascending);
        if (at != NULL) found[at - hash[0]] = 1;
    }
    for (size_t i = 0; i < set[0]->rows;) { /* equal hashes share one mark, wherever it fell */
        size_t end = i;
        bool any = false;
        while (end < set[0]->rows && hash[0][end] == hash[0][i]) any = found[end++] || any;
        missing += !any;
        i = end;
    }
    free(found);
    if (missing == 0)
        status = gn__fail(
            err, GN_DATA,
            "all %zu rows of the %s set also occur in the other: one is a part of the other, and a test of "
            "two samples says nothing about them",
            set[0]->rows, set[0] == a ? "first" : "second");
done:
    free(hash[0]);
    free(hash[1]);
    return status;
}
