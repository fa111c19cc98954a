#include "text/bpe_walk.h"
#include "text/byte_level.h"
#include "text/trie.h"

#include <stdatomic.h>

#define NEVER UINT32_MAX
enum { PAIRS = 1 << 14 }; /* neighbours whose answer is kept */

typedef struct part {
    uint32_t made;       /* by the merge of rank made - 1; 0: a byte; NEVER: by none */
    int32_t left, right; /* of what */
} part;

typedef struct extent { /* apart from these, since the walk needs it most */
    uint32_t length;    /* bytes */
    int32_t shorter;    /* the longest token that is a beginning of it; -1 */
} extent;

struct gn__bpe_walk {
    const gn__bpe_merges *merges;
    part *part;     /* [tokens] by id */
    extent *extent; /* [tokens] */
    size_t tokens;
    gn__trie trie;
    _Atomic uint64_t pair[PAIRS]; /* left << 35 | right << 8 | 2 | whether they get on; 0: empty */
};

/* Whether the two stay apart side by side; if so they do in any company. `whole`: but for their own merge. */
static bool apart(const gn__bpe_walk *w, int32_t a, int32_t b, bool whole)
{
    const part *p = w->part;
    for (uint32_t limit = NEVER;; whole = false) {
        uint32_t rank = whole ? NEVER : gn__bpe_merges_find(w->merges, (uint32_t)a, (uint32_t)b)->rank;
        if (rank != NEVER && rank + 1 < limit) return false;
        /* of two merges of one rank the left one comes first, so the right one is undone first */
        if (p[a].made > p[b].made) {
            limit = p[a].made;
            a = p[a].right;
        } else if (p[b].made > 0) {
            limit = p[b].made + 1;
            b = p[b].left;
        } else {
            return true;
        }
    }
}

static bool get_on(const gn__bpe_walk *w, int32_t a, int32_t b)
{
    uint64_t key = (uint64_t)a << 35 | (uint64_t)b << 8 | 2;
    /* other threads may read and write; a value is whole or another's, and says which pair it is about */
    _Atomic uint64_t *slot = (_Atomic uint64_t *)&w->pair[(key * 0x9E3779B97F4A7C15u) >> 50];
    uint64_t known = atomic_load_explicit(slot, memory_order_relaxed);
    if ((known & ~(uint64_t)1) == key) return known & 1;
    bool good = apart(w, a, b, false);
    atomic_store_explicit(slot, key | good, memory_order_relaxed);
    return good;
}

/* ---- making -------------------------------------------------------------------------------------- */

/* Which merge makes each token; *sound: none needs a part that is made later. */
static bool find_makers(gn__bpe_walk *w, bool *sound)
{
    const gn__bpe_merges *m = w->merges;
    size_t ranks = 0;
    for (size_t i = 0; i <= m->mask; i++)
        if (m->slot[i].rank != NEVER && m->slot[i].rank >= ranks) ranks = (size_t)m->slot[i].rank + 1;
    const gn__bpe_merge **by_rank = gn__calloc(ranks + 1, sizeof *by_rank);
    if (by_rank == NULL) return false;
    for (size_t i = 0; i <= m->mask; i++)
        if (m->slot[i].rank != NEVER) by_rank[m->slot[i].rank] = &m->slot[i];
    *sound = true;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t r = 0; r < ranks && *sound; r++) {
            const gn__bpe_merge *merge = by_rank[r];
            if (merge == NULL) continue; /* a later rank took its place */
            part *p = w->part;
            if (p[merge->left].made == NEVER || p[merge->right].made == NEVER || p[merge->id].made != NEVER ||
                !apart(w, (int32_t)merge->left, (int32_t)merge->right, true))
                continue;
            if (pass > 0) {
                *sound = false;
            } else {
                p[merge->id].made = (uint32_t)r + 1;
                p[merge->id].left = (int32_t)merge->left;
                p[merge->id].right = (int32_t)merge->right;
                w->extent[merge->id].length = w->extent[merge->left].length + w->extent[merge->right].length;
            }
        }
    }
    free(by_rank);
    return true;
}

static void byte_values(unsigned char value[512])
{
    for (unsigned i = 0; i < 256; i++) value[gn__tok_byte_char((unsigned char)i)] = (unsigned char)i;
}

/* The trie of all tokens that are made of bytes, and the shorter ones. */
static bool build_trie(gn__bpe_walk *w, const gn__tok_vocab *vocab)
{
    unsigned char value[512] = {0};
    size_t bytes = 0, keys = 0;
    byte_values(value);
    for (size_t id = 0; id < w->tokens; id++)
        if (w->part[id].made != NEVER) bytes += w->extent[id].length, keys++;
    unsigned char *text = malloc(bytes + 1), *at = text;
    gn__trie_key *key = gn__calloc(keys + 1, sizeof *key);
    bool good = text != NULL && key != NULL;
    keys = 0;
    for (size_t id = 0; good && id < w->tokens; id++) {
        if (w->part[id].made == NEVER) continue;
        const gn__tok_entry *e = vocab->by_id[id];
        key[keys++] = (gn__trie_key){.bytes = at, .length = w->extent[id].length, .value = (int32_t)id};
        for (size_t i = 0; i < e->length;) {
            uint32_t code;
            i += gn__utf8_decode(e->token + i, e->length - i, &code);
            *at++ = value[code & 511];
        }
    }
    good = good && gn__trie_build(&w->trie, key, keys);
    for (size_t k = 0; good && k < keys; k++) {
        uint32_t node = 0;
        extent *e = &w->extent[key[k].value];
        e->shorter = -1;
        for (uint32_t i = 0; i + 1 < key[k].length; i++) {
            node = gn__trie_step(&w->trie, node, key[k].bytes[i]);
            if (w->trie.unit[node].value >= 0) e->shorter = w->trie.unit[node].value;
        }
    }
    free(text);
    free(key);
    return good;
}

bool gn__bpe_walk_make(const gn__bpe_merges *merges, const gn__tok_vocab *vocab,
                       const int32_t byte_token[256], gn__bpe_walk **out)
{
    gn__bpe_walk *w = gn__calloc(1, sizeof *w);
    *out = NULL;
    if (w == NULL) return false;
    w->merges = merges;
    w->tokens = vocab->size;
    w->part = gn__calloc(w->tokens, sizeof *w->part);
    w->extent = gn__calloc(w->tokens, sizeof *w->extent);
    bool sound = false, good = w->part != NULL && w->extent != NULL;
    for (size_t id = 0; good && id < w->tokens; id++) w->part[id].made = NEVER;
    for (int i = 0; good && i < 256; i++) {
        w->part[byte_token[i]] = (part){.left = -1, .right = -1};
        w->extent[byte_token[i]].length = 1;
    }
    good = good && find_makers(w, &sound);
    good = good && (!sound || build_trie(w, vocab));
    if (good && sound)
        *out = w;
    else
        gn__bpe_walk_free(w);
    return good;
}

void gn__bpe_walk_free(gn__bpe_walk *w)
{
    if (w == NULL) return;
    free(w->part);
    free(w->extent);
    gn__trie_free(&w->trie);
    free(w);
}

/* ---- walking ------------------------------------------------------------------------------------- */

/* The longest token that s[0..n) begins with; every byte is one. */
static int32_t longest(const gn__trie *t, const unsigned char *s, size_t n)
{
    uint32_t node = 0;
    int32_t found = -1;
    for (size_t i = 0; i < n && (node = gn__trie_step(t, node, s[i])) != 0; i++)
        if (t->unit[node].value >= 0) found = t->unit[node].value;
    return found;
}

size_t gn__bpe_walk_along(const gn__bpe_walk *w, const unsigned char *s, size_t n, int32_t *id,
                          uint64_t *dead)
{
    size_t count = 0, at = 0;
    int32_t token = longest(&w->trie, s, n);
    memset(dead, 0, (n / 64 + 1) * sizeof *dead);
    for (;;) {
        size_t end = at + w->extent[token].length;
        if (!(dead[end / 64] >> (end % 64) & 1) && (count == 0 || get_on(w, id[count - 1], token))) {
            id[count++] = token;
            at = end;
            if (at == n) return count;
            token = longest(&w->trie, s + at, n - at);
            continue;
        }
        while (w->extent[token].shorter < 0) { /* nothing gets on here: this place is dead, one token back */
            if (count == 0) return 0;          /* cannot be: there is an encoding */
            dead[at / 64] |= (uint64_t)1 << at % 64;
            token = id[--count];
            at -= w->extent[token].length;
        }
        token = w->extent[token].shorter;
    }
}
