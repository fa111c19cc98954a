/* The walk of bpe_walk.h against the merging itself, over random vocabularies, and the trie under it. */
#include "core/core.h"
#include "test.h"
#include "text/bpe_walk.h"
#include "text/byte_level.h"
#include "text/tokenizer.h"
#include "text/trie.h"

enum { BYTES = 256, MOST = 600, LONGEST = 14 };

typedef struct toy {
    char bytes[MOST][LONGEST + 1]; /* of each token, over a few letters */
    size_t tokens, merge_count;
    gn__bpe_merges merges;
    gn__tok_vocab vocab;
    int32_t byte_token[BYTES];
} toy;

static int find_token(const toy *t, const char *s)
{
    for (size_t i = 0; i < t->tokens; i++)
        if (strcmp(t->bytes[i], s) == 0) return (int)i;
    return -1;
}

/* Tokens are joined at random. orderly: from tokens there are, each by one merge, ranks as they come;
 * otherwise some tokens get further merges, or ranks of any order. */
static void make_toy(toy *t, gn__rng *r, unsigned letters, size_t joins, bool orderly)
{
    uint32_t left[2 * MOST], right[2 * MOST], whole[2 * MOST], order[2 * MOST];
    size_t n = 0;
    memset(t, 0, sizeof *t);
    for (unsigned i = 0; i < BYTES; i++) {
        t->byte_token[i] = (int32_t)i;
        if (i >= 'a' && i < 'a' + letters) t->bytes[i][0] = (char)i;
    }
    t->tokens = BYTES;
    for (size_t k = 0; k < joins && t->tokens < MOST; k++) {
        uint32_t pair[2];
        for (int side = 0; side < 2; side++) {
            do pair[side] = gn__rng_below(r, (uint32_t)t->tokens);
            while (t->bytes[pair[side]][0] == '\0');
        }
        char joined[2 * LONGEST + 1];
        snprintf(joined, sizeof joined, "%s%s", t->bytes[pair[0]], t->bytes[pair[1]]);
        if (strlen(joined) > LONGEST) continue;
        int id = find_token(t, joined);
        if (id >= 0 && (orderly || gn__rng_below(r, 2) == 0)) continue;
        if (id < 0) {
            id = (int)t->tokens++;
            memcpy(t->bytes[id], joined, strlen(joined) + 1); /* at most LONGEST */
        }
        left[n] = pair[0];
        right[n] = pair[1];
        whole[n++] = (uint32_t)id;
    }
    for (uint32_t i = 0; i < n; i++) order[i] = i;
    if (!orderly && gn__rng_below(r, 2) == 0) gn__rng_shuffle(r, order, n);
    CHECK(gn__bpe_merges_reserve(&t->merges, n));
    for (uint32_t i = 0; i < n; i++)
        gn__bpe_merges_put(&t->merges, left[order[i]], right[order[i]], i, whole[order[i]]);
    t->merge_count = n;
    gn_error err = {0};
    gn__tok_source source = {"toy", &err};
    json_t *object = json_object();
    for (size_t i = 0; i < t->tokens; i++) {
        char name[2 * LONGEST + 2], *at = name;
        if (i < BYTES) at += gn__utf8_encode(gn__tok_byte_char((unsigned char)i), at);
        for (const char *s = t->bytes[i]; i >= BYTES && *s != '\0'; s++) *at++ = *s;
        CHECK(json_object_setn_new(object, name, (size_t)(at - name), json_integer((json_int_t)i)) == 0);
    }
    CHECK_OK(gn__tok_vocab_parse(&source, object, &t->vocab), err);
    json_decref(object);
}

static void free_toy(toy *t)
{
    gn__bpe_merges_free(&t->merges);
    gn__tok_vocab_free(&t->vocab);
}

enum { WORD = 3000 };

/* The tokens of a word by merging. */
static size_t by_merging(const toy *t, const unsigned char *s, size_t n, int32_t *id)
{
    static gn__bpe_symbol symbol[WORD];
    static gn__bpe_candidate heap[2 * WORD];
    size_t count = 0;
    for (size_t i = 0; i < n; i++) symbol[i] = (gn__bpe_symbol){.id = t->byte_token[s[i]], .length = 1};
    gn__bpe_merge_all(&t->merges, symbol, n, heap);
    for (size_t i = 0; i < n; i++)
        if (symbol[i].length > 0) id[count++] = symbol[i].id;
    return count;
}

static void check_word(const toy *t, const gn__bpe_walk *w, const unsigned char *s, size_t n)
{
    static int32_t merged[WORD], walked[WORD];
    static uint64_t dead[WORD / 64 + 1];
    size_t count = by_merging(t, s, n, merged);
    bool same = gn__bpe_walk_along(w, s, n, walked, dead) == count &&
                memcmp(merged, walked, count * sizeof *merged) == 0;
    if (!same)
        test_fail(__FILE__, __LINE__, "the walk differs for \"%.*s\"", (int)(n < 60 ? n : 60),
                  (const char *)s);
    if (n > GN__BPE_FEW) return;
    for (size_t i = 0; i < n; i++) walked[i] = t->byte_token[s[i]];
    CHECK(gn__bpe_merge_few(&t->merges, walked, n) == count &&
          memcmp(merged, walked, count * sizeof *merged) == 0);
}

TEST(the_walk_gives_what_merging_gives)
{
    static toy t;
    unsigned char word[WORD];
    size_t walks = 0, none = 0;
    for (uint32_t round = 0; round < 600; round++) {
        gn__rng r = gn__rng_make(11, 1, round);
        unsigned letters = 1 + gn__rng_below(&r, 4);
        make_toy(&t, &r, letters, 2 + gn__rng_below(&r, round % 3 == 0 ? 300 : 30), round % 2 == 0);
        gn__bpe_walk *w = NULL;
        CHECK(gn__bpe_walk_make(&t.merges, &t.vocab, t.byte_token, &w));
        CHECK(w != NULL || round % 2 == 1); /* what is made in order can be walked */
        for (int k = 0; w != NULL && k < 200; k++) {
            size_t n = 1 + gn__rng_below(&r, k == 0 ? WORD : k < 20 ? 200 : 20);
            for (size_t i = 0; i < n; i++) word[i] = (unsigned char)('a' + gn__rng_below(&r, letters));
            check_word(&t, w, word, n);
        }
        walks += w != NULL;
        none += w == NULL;
        gn__bpe_walk_free(w);
        free_toy(&t);
    }
    CHECK(walks > 350 && none > 20); /* and some that are not made in order were met */
}

/* Words that lead far astray: every token fits for long, and the end decides. */
TEST(walks_take_linear_time)
{
    enum { N = 1 << 20 };
    static toy t;
    unsigned char *word = malloc(N);
    int32_t *id = gn__calloc(N, sizeof *id);
    uint64_t *dead = gn__calloc(N / 64 + 1, sizeof *dead);
    CHECK(word != NULL && id != NULL && dead != NULL);
    for (uint32_t round = 0; round < 20; round++) {
        gn__rng r = gn__rng_make(12, 1, round);
        make_toy(&t, &r, 2, 200, true);
        gn__bpe_walk *w = NULL;
        CHECK(gn__bpe_walk_make(&t.merges, &t.vocab, t.byte_token, &w));
        CHECK(w != NULL);
        for (size_t i = 0; i < N; i++)
            word[i] = (unsigned char)('a' + (round % 4 == 0   ? i + 1 == N
                                             : round % 4 == 1 ? i % 2
                                             : round % 4 == 2 ? i % 7 == 0
                                                              : gn__rng_below(&r, 2)));
        double start = gn__now();
        size_t count = gn__bpe_walk_along(w, word, N, id, dead), bytes = 0;
        CHECK(gn__now() - start < 20); /* some tens of milliseconds; in quadratic time it would be hours */
        for (size_t i = 0; i < count; i++) bytes += strlen(t.bytes[id[i]]);
        CHECK_INT(bytes, N);
        gn__bpe_walk_free(w);
        free_toy(&t);
    }
    free(word);
    free(id);
    free(dead);
}

/* ---- the trie ------------------------------------------------------------------------------------ */

TEST(a_trie_holds_its_keys_and_no_others)
{
    enum { KEYS = 3000, LENGTH = 12 };
    static unsigned char bytes[KEYS][LENGTH];
    static gn__trie_key key[KEYS];
    for (uint32_t round = 0; round < 30; round++) {
        gn__rng r = gn__rng_make(13, 1, round);
        gn__map map = {0};
        gn__trie t;
        size_t n = gn__rng_below(&r, round < 5 ? 4 : KEYS);
        unsigned range = round % 3 == 0 ? 256 : 2 + gn__rng_below(&r, 20);
        int32_t expected[KEYS];
        for (size_t i = 0; i < n; i++) {
            key[i] = (gn__trie_key){
                .bytes = bytes[i], .length = gn__rng_below(&r, LENGTH + 1), .value = (int32_t)i};
            for (uint32_t k = 0; k < key[i].length; k++)
                bytes[i][k] = (unsigned char)gn__rng_below(&r, range);
            uint32_t place = (uint32_t)i;
            CHECK(gn__map_put(&map, (const char *)bytes[i], key[i].length, (uint32_t)i, &place));
            expected[place] = (int32_t)i; /* of equal keys the highest value */
        }
        CHECK(gn__trie_build(&t, key, n));
        for (size_t i = 0; i < n; i++) {
            uint32_t node = 0;
            for (uint32_t k = 0; k < key[i].length; k++) {
                node = gn__trie_step(&t, node, key[i].bytes[k]);
                int64_t place = gn__map_get(&map, (const char *)key[i].bytes, k + 1);
                CHECK(node != 0);
                CHECK_INT(t.unit[node].value, place < 0 ? -1 : expected[place]);
            }
        }
        for (int k = 0; k < 20000; k++) { /* whatever else is looked for */
            unsigned char s[LENGTH];
            uint32_t node = 0, length = 1 + gn__rng_below(&r, LENGTH), at = 0;
            for (uint32_t i = 0; i < length; i++) s[i] = (unsigned char)gn__rng_below(&r, range);
            while (at < length && (node = gn__trie_step(&t, node, s[at])) != 0) at++;
            int64_t place = gn__map_get(&map, (const char *)s, length);
            CHECK_INT(at == length && node != 0 ? t.unit[node].value : -1, place < 0 ? -1 : expected[place]);
        }
        gn__trie_free(&t);
        gn__map_free(&map);
    }
}
