#include "text/trie.h"

enum { NOBODY = -1, TRIES = 64, FIRST = 257 }; /* units 1 to 256 are the root's children */
#define FREE UINT32_MAX

/* Free units are in a ring through unit 0 by base (the next) and value (the one before). */
typedef struct builder {
    gn__trie_unit *unit;
    size_t units, used; /* used: one past the highest unit that is taken, at least FIRST */
    uint32_t next_free, last_free;
} builder;

typedef struct job {
    uint32_t node, depth;
    size_t low, high; /* keys */
} job;

static int by_bytes(const void *a, const void *b)
{
    const gn__trie_key *x = a, *y = b;
    if (x->head != y->head) return x->head < y->head ? -1 : 1;
    uint32_t n = x->length < y->length ? x->length : y->length;
    int order = n > 8 ? memcmp(x->bytes + 8, y->bytes + 8, n - 8) : 0;
    if (order != 0) return order;
    if (x->length != y->length) return x->length < y->length ? -1 : 1;
    return x->value < y->value ? -1 : x->value > y->value;
}

static bool grow(builder *b)
{
    size_t units = b->units == 0 ? 1024 : b->units + b->units / 2;
    if (units > INT32_MAX) return false;
    gn__trie_unit *unit = gn__realloc(b->unit, units, sizeof *unit);
    if (unit == NULL) return false;
    size_t from = b->units < FIRST ? FIRST : b->units;
    for (size_t i = b->units; i < FIRST; i++) unit[i] = (gn__trie_unit){0, FREE, NOBODY};
    b->unit = unit;
    for (size_t i = from; i < units; i++) {
        unit[i] = (gn__trie_unit){0, FREE, (int32_t)b->last_free};
        if (b->last_free == 0)
            b->next_free = (uint32_t)i;
        else
            unit[b->last_free].base = (uint32_t)i;
        b->last_free = (uint32_t)i;
    }
    b->units = units;
    return true;
}

static void claim(builder *b, uint32_t i, uint32_t parent)
{
    gn__trie_unit *u = &b->unit[i];
    uint32_t after = u->base, before = (uint32_t)u->value;
    if (i >= FIRST) {
        if (before == 0)
            b->next_free = after;
        else
            b->unit[before].base = after;
        if (after == 0)
            b->last_free = before;
        else
            b->unit[after].value = (int32_t)before;
    }
    *u = (gn__trie_unit){0, parent, NOBODY};
    if (b->used <= i) b->used = (size_t)i + 1;
}

/* Where the children for these bytes, in order, all find a free unit: of the first few free places, or at the
 * end. 0: no memory. */
static uint32_t find_base(builder *b, const unsigned char *byte, unsigned n)
{
    uint32_t at = b->next_free;
    for (unsigned k = 0; k < TRIES && at != 0; k++, at = b->unit[at].base) {
        uint32_t base = at - byte[0];
        unsigned i = 1;
        while (i < n && base + byte[i] < b->units && b->unit[base + byte[i]].parent == FREE) i++;
        if (i == n) return base;
    }
    uint32_t base = (uint32_t)b->used;
    while (base + 255u >= b->units)
        if (!grow(b)) return 0;
    return base;
}

/* Gives a node its children; each that has keys beyond itself becomes a job. */
static bool add_children(builder *b, const gn__trie_key *key, job j, job **stack, size_t *jobs,
                         size_t *capacity)
{
    unsigned char byte[256];
    size_t from[257];
    unsigned n = 0;
    for (size_t i = j.low; i < j.high; i++) {
        if (n > 0 && byte[n - 1] == key[i].bytes[j.depth]) continue;
        byte[n] = key[i].bytes[j.depth];
        from[n++] = i;
    }
    from[n] = j.high;
    uint32_t base = j.node == 0 ? 1 : find_base(b, byte, n);
    if (base == 0) return false;
    b->unit[j.node].base = base;
    if (*capacity - *jobs < n) {
        size_t wanted = *capacity + *capacity / 2 + 256;
        job *bigger = gn__realloc(*stack, wanted, sizeof *bigger);
        if (bigger == NULL) return false;
        *stack = bigger;
        *capacity = wanted;
    }
    for (unsigned i = 0; i < n; i++) claim(b, base + byte[i], j.node);
    for (unsigned i = 0; i < n; i++) {
        job child = {base + byte[i], j.depth + 1, from[i], from[i + 1]};
        for (; child.low < child.high && key[child.low].length == child.depth; child.low++)
            b->unit[child.node].value = key[child.low].value; /* of equal keys the last */
        if (child.low < child.high) (*stack)[(*jobs)++] = child;
    }
    return true;
}

bool gn__trie_build(gn__trie *t, gn__trie_key *key, size_t n)
{
    builder b = {0};
    job *stack = NULL;
    size_t jobs = 0, capacity = 0, bytes = 0, empty = 0;
    for (size_t i = 0; i < n; i++) {
        key[i].head = 0;
        for (uint32_t k = 0; k < 8; k++)
            key[i].head = key[i].head << 8 | (k < key[i].length ? key[i].bytes[k] : 0);
        bytes += key[i].length;
        if (bytes > INT32_MAX) return false;
    }
    if (n > 0) qsort(key, n, sizeof *key, by_bytes);
    while (empty < n && key[empty].length == 0) empty++;
    bool good = grow(&b);
    if (good) {
        b.unit[0].parent = FREE;
        b.used = FIRST;
        job root = {0, 0, empty, n};
        good = empty == n || add_children(&b, key, root, &stack, &jobs, &capacity);
    }
    while (good && jobs > 0) {
        job j = stack[--jobs];
        good = add_children(&b, key, j, &stack, &jobs, &capacity);
    }
    free(stack);
    while (good && b.units < b.used + 256) good = grow(&b);
    if (!good) {
        free(b.unit);
        return false;
    }
    for (uint32_t i = b.next_free, next; i != 0; i = next) {
        next = b.unit[i].base;
        b.unit[i] = (gn__trie_unit){0, FREE, NOBODY};
    }
    *t = (gn__trie){b.unit, b.units};
    return true;
}

void gn__trie_free(gn__trie *t)
{
    free(t->unit);
    *t = (gn__trie){0};
}
