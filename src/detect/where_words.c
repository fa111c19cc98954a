/* The words that set some texts apart: log odds with an informative Dirichlet prior (Monroe, Colaresi & Quinn
 * 2008, "Fightin' Words"). Words are ICU's (Unicode Standard Annex 29, dictionaries for Japanese, Chinese,
 * Thai), folded by NFKC_Casefold. */
#include "detect/where.h"
#include "tensor/statistics.h"

#include <unicode/ubrk.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

enum { MOST_BYTES = 4000, MOST_WORD = 64, LEAST_TEXTS = 2, PRIOR_TEXTS = 10 };

struct gn__words {
    size_t n, words, capacity, length, room;
    const gn__spot *spot;
    const uint32_t *unit; /* [n] */
    uint32_t *order;      /* [n] spots by unit */
    size_t *start;        /* [n + 1] into id, by spot */
    uint32_t *id;         /* distinct words of each spot */
    char **name;          /* [words] */
    uint32_t *last;       /* [words] scratch: number of the unit counted last */
    uint32_t *count;      /* [words × 4] scratch: inside, outside; finding, measuring */
    gn__map map;
};

void gn__words_free(gn__words *w)
{
    if (w == NULL) return;
    for (size_t i = 0; i < w->words; i++) free(w->name[i]);
    void *const all[] = {w->order, w->start, w->id, w->name, w->last, w->count};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    gn__map_free(&w->map);
    free(w);
}

static bool grow(void *at, size_t *capacity, size_t needed, size_t size)
{
    void *old, *bigger;
    if (needed <= *capacity) return true;
    size_t next = *capacity * 2 > needed ? *capacity * 2 : needed + 64;
    memcpy(&old, at, sizeof old);
    bigger = gn__realloc(old, next, size);
    if (bigger == NULL) return false;
    memcpy(at, &bigger, sizeof bigger);
    *capacity = next;
    return true;
}

/* Adds a word of the spot being read, once. */
static bool add_word(gn__words *w, size_t spot, const UChar *word, int32_t length, const UNormalizer2 *fold)
{
    UChar folded[4 * MOST_WORD];
    char text[12 * MOST_WORD];
    UErrorCode code = U_ZERO_ERROR;
    int32_t n = unorm2_normalize(fold, word, length, folded, 4 * MOST_WORD, &code), bytes = 0;
    u_strToUTF8(text, (int32_t)sizeof text, &bytes, folded, n, &code);
    if (U_FAILURE(code) || bytes <= 0 || bytes >= (int32_t)sizeof text) return true; /* no word to speak of */
    uint32_t id = 0;
    if (!gn__map_put(&w->map, text, (size_t)bytes, (uint32_t)w->words, &id)) return false;
    if (id == w->words) {
        if (!grow(&w->name, &w->capacity, w->words + 1, sizeof *w->name)) return false;
        w->name[w->words] = gn__strndup(text, (size_t)bytes);
        if (w->name[w->words] == NULL) return false;
        w->words++;
    }
    for (size_t i = w->start[spot]; i < w->length; i++)
        if (w->id[i] == id) return true;
    if (!grow(&w->id, &w->room, w->length + 1, sizeof *w->id)) return false;
    w->id[w->length++] = id;
    return true;
}

static bool read_text(gn__words *w, size_t spot, const char *text, size_t length, UBreakIterator *breaks,
                      const UNormalizer2 *fold, UChar *buffer)
{
    UErrorCode code = U_ZERO_ERROR;
    int32_t n = 0;
    u_strFromUTF8WithSub(buffer, MOST_BYTES, &n, text, (int32_t)(length < MOST_BYTES ? length : MOST_BYTES),
                         0xFFFD, NULL, &code);
    if (U_FAILURE(code)) return true;
    ubrk_setText(breaks, buffer, n, &code);
    for (int32_t from = ubrk_first(breaks), to = ubrk_next(breaks); U_SUCCESS(code) && to != UBRK_DONE;
         from = to, to = ubrk_next(breaks)) {
        if (ubrk_getRuleStatus(breaks) < UBRK_WORD_LETTER || to - from > MOST_WORD) continue;
        if (!add_word(w, spot, buffer + from, to - from, fold)) return false;
    }
    return true;
}

typedef struct by_unit_key {
    uint32_t unit, spot;
} by_unit_key;

static int by_unit(const void *a, const void *b)
{
    const by_unit_key *x = a, *y = b;
    if (x->unit != y->unit) return x->unit < y->unit ? -1 : 1;
    return (x->spot > y->spot) - (x->spot < y->spot);
}

static bool order_spots(gn__words *w)
{
    by_unit_key *key = gn__calloc(w->n, sizeof *key);
    if (key == NULL) return false;
    for (size_t i = 0; i < w->n; i++) key[i] = (by_unit_key){w->unit[i], (uint32_t)i};
    qsort(key, w->n, sizeof *key, by_unit);
    for (size_t i = 0; i < w->n; i++) w->order[i] = key[i].spot;
    free(key);
    return true;
}

gn_status gn__words_make(gn_context *ctx, const gn_where_input *in, const gn__spot *spot,
                         const uint32_t *unit, size_t n, gn__words **out, gn_error *err)
{
    UErrorCode code = U_ZERO_ERROR;
    const UNormalizer2 *fold = unorm2_getNFKCCasefoldInstance(&code);
    UBreakIterator *breaks = ubrk_open(UBRK_WORD, "", NULL, 0, &code);
    UChar *buffer = gn__calloc(MOST_BYTES + 1, sizeof *buffer);
    gn__words *w = gn__calloc(1, sizeof *w);
    gn_status status = GN_OK;
    if (w == NULL || buffer == NULL || U_FAILURE(code)) {
        status = gn__no_memory(err, sizeof *w);
        goto done;
    }
    w->n = n;
    w->spot = spot;
    w->unit = unit;
    w->start = gn__calloc(n + 1, sizeof *w->start);
    w->order = gn__calloc(n, sizeof *w->order);
    bool ok = w->start != NULL && w->order != NULL && order_spots(w);
    for (size_t i = 0; i < n && ok; i++) {
        const char *const *text = spot[i].test ? in->test_text : in->train_text;
        const uint32_t *length = spot[i].test ? in->test_length : in->train_length;
        w->start[i] = w->length;
        ok = read_text(w, i, text[spot[i].row], length[spot[i].row], breaks, fold, buffer);
        w->start[i + 1] = w->length;
        if (i % 1000 == 0) GN__TRY_GOTO(gn__check_cancel(ctx, err), done);
    }
    w->last = gn__calloc(w->words, sizeof *w->last);
    w->count = gn__calloc(w->words, 4 * sizeof *w->count);
    if (!ok || w->last == NULL || w->count == NULL) status = gn__no_memory(err, w->length * sizeof *w->id);
done:
    ubrk_close(breaks);
    free(buffer);
    if (status == GN_OK)
        *out = w;
    else
        gn__words_free(w);
    return status;
}

/* Eq. 22 with the variance of eq. 20: a, b are counts with the prior's in them. */
static gn_interval log_odds(double a, double all_a, double b, double all_b)
{
    double d = log(a / (all_a - a)) - log(b / (all_b - b)), half = GN__Z95 * sqrt(1 / a + 1 / b);
    return (gn_interval){d, d - half, d + half};
}

typedef struct found {
    uint32_t id;
    double z;
} found;

static int by_z(const void *a, const void *b)
{
    const found *x = a, *y = b;
    if (x->z != y->z) return x->z > y->z ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Counts units with the word; a unit lies wholly in one half, and counts once inside and once outside. */
static void count_words(gn__words *w, const signed char *inside, double total[4], double texts[4])
{
    memset(w->count, 0, w->words * 4 * sizeof *w->count);
    for (int where = 0; where < 2; where++) {
        uint32_t number = 0;
        memset(w->last, 0, w->words * sizeof *w->last);
        for (size_t k = 0; k < w->n; k++) {
            size_t i = w->order[k];
            if (k == 0 || w->unit[i] != w->unit[w->order[k - 1]]) number++;
            if (inside[i] != 1 - where) continue;
            size_t cell = (size_t)where + (w->spot[i].finding ? 0 : 2);
            texts[cell]++;
            for (size_t t = w->start[i]; t < w->start[i + 1]; t++) {
                if (w->last[w->id[t]] == number) continue;
                w->last[w->id[t]] = number;
                w->count[w->id[t] * 4 + cell]++;
                total[cell]++;
            }
        }
    }
}

gn_status gn__words_apart(gn__words *w, const signed char *inside, size_t most, gn_where_word **word,
                          size_t *words, gn_error *err)
{
    double total[4] = {0}, texts[4] = {0};
    found *list = gn__calloc(w->words, sizeof *list);
    size_t n = 0;
    *words = 0;
    *word = gn__calloc(most, sizeof **word);
    if (list == NULL || *word == NULL) {
        free(list);
        return gn__no_memory(err, w->words * sizeof *list);
    }
    count_words(w, inside, total, texts);
    double all = total[0] + total[1] + total[2] + total[3],
           all_texts = texts[0] + texts[1] + texts[2] + texts[3];
    /* The prior: as many words as PRIOR_TEXTS texts hold, spread as in all texts together. */
    double prior = all_texts > 0 ? PRIOR_TEXTS * all / all_texts : 0;
    gn_interval *measured = gn__calloc(w->words, sizeof *measured);
    if (measured == NULL) {
        free(list);
        return gn__no_memory(err, w->words * sizeof *measured);
    }
    for (size_t i = 0; i < w->words && total[0] > 0 && total[2] > 0 && w->words > 1; i++) {
        const uint32_t *c = w->count + i * 4;
        if (c[0] < LEAST_TEXTS) continue;
        double alpha = prior * ((double)c[0] + c[1] + c[2] + c[3]) / all;
        gn_interval f = log_odds(c[0] + alpha, total[0] + prior, c[1] + alpha, total[1] + prior);
        if (!(f.low > 0)) continue;
        measured[i] = log_odds(c[2] + alpha, total[2] + prior, c[3] + alpha, total[3] + prior);
        list[n++] = (found){(uint32_t)i, f.estimate / (f.estimate - f.low)};
    }
    qsort(list, n, sizeof *list, by_z);
    gn_status status = GN_OK;
    for (size_t k = 0; k < n && k < most && status == GN_OK; k++) {
        uint32_t id = list[k].id;
        (*word)[k] = (gn_where_word){gn__strdup(w->name[id]), measured[id], w->count[id * 4 + 2],
                                     w->count[id * 4 + 3]};
        if ((*word)[k].word == NULL) status = gn__no_memory(err, strlen(w->name[id]));
        *words = k + 1;
    }
    free(measured);
    free(list);
    return status;
}
