#include "text/bpe.h"

enum { NONE = UINT32_MAX };
#define NO_RANK UINT32_MAX

static uint64_t hash_of(uint32_t left, uint32_t right)
{
    return ((uint64_t)left << 32 | right) * 0x9E3779B97F4A7C15u;
}

/* Eight bits a slot, from other bits of the hash than the slot's. */
static size_t bit_of(uint64_t hash, size_t mask)
{
    return (size_t)(hash >> 24) & (mask << 3 | 7);
}

bool gn__bpe_merges_reserve(gn__bpe_merges *m, size_t n)
{
    size_t capacity = 16;
    while (capacity / 2 < n) capacity *= 2;
    m->slot = gn__calloc(capacity, sizeof *m->slot);
    m->filter = gn__calloc(capacity / 8, sizeof *m->filter);
    if (m->slot == NULL || m->filter == NULL) return false;
    for (size_t i = 0; i < capacity; i++) m->slot[i].rank = NO_RANK;
    m->mask = capacity - 1;
    return true;
}

static gn__bpe_merge *find_slot(const gn__bpe_merges *m, uint32_t left, uint32_t right, uint64_t hash)
{
    size_t i = (size_t)(hash ^ hash >> 32) & m->mask;
    while (m->slot[i].rank != NO_RANK && (m->slot[i].left != left || m->slot[i].right != right))
        i = (i + 1) & m->mask;
    return &m->slot[i];
}

static inline const gn__bpe_merge *find(const gn__bpe_merges *m, uint32_t left, uint32_t right)
{
    static const gn__bpe_merge none = {0, 0, NO_RANK, 0};
    uint64_t hash = hash_of(left, right);
    size_t bit = bit_of(hash, m->mask);
    return m->filter[bit / 64] >> bit % 64 & 1 ? find_slot(m, left, right, hash) : &none;
}

const gn__bpe_merge *gn__bpe_merges_find(const gn__bpe_merges *m, uint32_t left, uint32_t right)
{
    return find(m, left, right);
}

void gn__bpe_merges_put(gn__bpe_merges *m, uint32_t left, uint32_t right, uint32_t rank, uint32_t id)
{
    uint64_t hash = hash_of(left, right);
    size_t bit = bit_of(hash, m->mask);
    m->filter[bit / 64] |= (uint64_t)1 << bit % 64;
    *find_slot(m, left, right, hash) = (gn__bpe_merge){left, right, rank, id};
}

void gn__bpe_merges_free(gn__bpe_merges *m)
{
    free(m->slot);
    free(m->filter);
    *m = (gn__bpe_merges){0};
}

static bool before(gn__bpe_candidate a, gn__bpe_candidate b)
{
    return a.rank != b.rank ? a.rank < b.rank : a.at < b.at;
}

static void push(gn__bpe_candidate *heap, size_t *n, gn__bpe_candidate c)
{
    size_t i = (*n)++;
    for (; i > 0 && before(c, heap[(i - 1) / 2]); i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = c;
}

static gn__bpe_candidate pop(gn__bpe_candidate *heap, size_t *n)
{
    gn__bpe_candidate top = heap[0], last = heap[--*n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= *n) break;
        if (child + 1 < *n && before(heap[child + 1], heap[child])) child++;
        if (!before(heap[child], last)) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return top;
}

void gn__bpe_merge_all(const gn__bpe_merges *m, gn__bpe_symbol *symbol, size_t n, gn__bpe_candidate *heap)
{
    size_t waiting = 0;
    for (size_t i = 0; i < n; i++) {
        symbol[i].previous = i > 0 ? (uint32_t)i - 1 : NONE;
        symbol[i].next = i + 1 < n ? (uint32_t)i + 1 : NONE;
        if (i + 1 == n) break;
        const gn__bpe_merge *merge = find(m, (uint32_t)symbol[i].id, (uint32_t)symbol[i + 1].id);
        if (merge->rank != NO_RANK)
            push(heap, &waiting, (gn__bpe_candidate){merge->rank, (uint32_t)i, merge->id});
    }
    /* Every merge takes out one candidate and one symbol and puts in at most two candidates: never more
     * than 2 n wait. */
    while (waiting > 0) {
        gn__bpe_candidate c = pop(heap, &waiting);
        gn__bpe_symbol *left = &symbol[c.at];
        if (left->length == 0 || left->next == NONE) continue;
        gn__bpe_symbol *right = &symbol[left->next];
        const gn__bpe_merge *merge = find(m, (uint32_t)left->id, (uint32_t)right->id);
        if (merge->rank == NO_RANK || merge->id != c.id) continue; /* the pair is no longer there */
        left->id = (int32_t)c.id;
        left->length += right->length;
        left->next = right->next;
        right->length = 0;
        if (left->next != NONE) symbol[left->next].previous = c.at;
        uint32_t pair[2] = {left->previous, c.at};
        for (int k = 0; k < 2; k++) {
            if (pair[k] == NONE || symbol[pair[k]].next == NONE) continue;
            const gn__bpe_symbol *a = &symbol[pair[k]];
            merge = find(m, (uint32_t)a->id, (uint32_t)symbol[a->next].id);
            if (merge->rank != NO_RANK)
                push(heap, &waiting, (gn__bpe_candidate){merge->rank, pair[k], merge->id});
        }
    }
}

size_t gn__bpe_merge_few(const gn__bpe_merges *m, int32_t *id, size_t n)
{
    uint32_t rank[GN__BPE_FEW], whole[GN__BPE_FEW]; /* of the pair that begins at each symbol */
    for (size_t i = 0; i + 1 < n; i++) {
        const gn__bpe_merge *merge = find(m, (uint32_t)id[i], (uint32_t)id[i + 1]);
        rank[i] = merge->rank;
        whole[i] = merge->id;
    }
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (rank[i] < rank[best]) best = i;
        if (rank[best] == NO_RANK) break;
        id[best] = (int32_t)whole[best];
        n--;
        for (size_t i = best + 1; i < n; i++) {
            id[i] = id[i + 1];
            rank[i] = rank[i + 1];
            whole[i] = whole[i + 1];
        }
        size_t first = best > 0 ? best - 1 : 0;
        for (size_t i = first; i <= best && i + 1 < n; i++) {
            const gn__bpe_merge *merge = find(m, (uint32_t)id[i], (uint32_t)id[i + 1]);
            rank[i] = merge->rank;
            whole[i] = merge->id;
        }
    }
    return n;
}
