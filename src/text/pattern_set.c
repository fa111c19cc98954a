#include "text/pattern_set.h"
#include "text/unicode_folds.h"
#include "text/unicode_properties.h"

void gn__set_free(gn__set *s)
{
    free(s->at);
    *s = (gn__set){0};
}

void gn__set_add(gn__set *s, uint32_t low, uint32_t high)
{
    if (s->failed) return;
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 64;
        gn__set_range *at = gn__realloc(s->at, capacity, sizeof *at);
        if (at == NULL) {
            s->failed = true;
            return;
        }
        s->at = at;
        s->capacity = capacity;
    }
    s->at[s->count++] = (gn__set_range){low, high};
}

void gn__set_add_all(gn__set *s, const gn__set *from)
{
    s->failed |= from->failed;
    for (size_t i = 0; i < from->count; i++) gn__set_add(s, from->at[i].low, from->at[i].high);
}

static int by_low(const void *a, const void *b)
{
    const gn__set_range *x = a, *y = b;
    return x->low < y->low ? -1 : x->low > y->low;
}

void gn__set_order(gn__set *s)
{
    if (s->count == 0) return;
    qsort(s->at, s->count, sizeof *s->at, by_low);
    size_t kept = 0;
    for (size_t i = 1; i < s->count; i++) {
        if (s->at[i].low <= s->at[kept].high + 1) {
            if (s->at[i].high > s->at[kept].high) s->at[kept].high = s->at[i].high;
        } else {
            s->at[++kept] = s->at[i];
        }
    }
    s->count = kept + 1;
}

void gn__set_add_others(gn__set *s, gn__set *from)
{
    uint32_t next = 0;
    s->failed |= from->failed;
    gn__set_order(from);
    for (size_t i = 0; i < from->count; i++) {
        if (from->at[i].low > next) gn__set_add(s, next, from->at[i].low - 1);
        next = from->at[i].high + 1;
    }
    if (next <= GN__SET_LAST) gn__set_add(s, next, GN__SET_LAST);
}

void gn__set_intersect(gn__set *s, gn__set *other)
{
    gn__set both = {.failed = s->failed || other->failed};
    gn__set_order(s);
    gn__set_order(other);
    for (size_t i = 0, k = 0; i < s->count && k < other->count;) {
        gn__set_range a = s->at[i], b = other->at[k];
        uint32_t low = a.low > b.low ? a.low : b.low, high = a.high < b.high ? a.high : b.high;
        if (low <= high) gn__set_add(&both, low, high);
        if (a.high < b.high)
            i++;
        else
            k++;
    }
    gn__set_free(s);
    *s = both;
}

/* ---- what the library believes ------------------------------------------------------------------- */

typedef bool (*wanted)(unsigned value, unsigned arg);

static void add_where(gn__set *s, const gn__unicode_table *table, wanted want, unsigned arg)
{
    for (size_t i = 0; i < table->runs; i++)
        if (want(table->run[i] & 0xFF, arg))
            gn__set_add(s, table->run[i] >> 8,
                        i + 1 < table->runs ? (table->run[i + 1] >> 8) - 1 : GN__SET_LAST);
}

static bool has_bit(unsigned value, unsigned arg)
{
    return (value & arg) != 0;
}

static bool of_script(unsigned value, unsigned arg)
{
    return value >> GN__PROPERTY_SCRIPT == arg + 1;
}

static bool of_category(unsigned value, unsigned arg)
{
    return value == arg;
}

static bool of_group(unsigned value, unsigned arg)
{
    return (unsigned char)gn__unicode_category_names[value][0] == arg;
}

static bool add_category(gn__set *s, const char *name)
{
    for (unsigned i = 0; i < GN__UNICODE_CATEGORIES; i++) {
        if (memcmp(gn__unicode_category_names[i], name, 2) != 0) continue;
        add_where(s, &gn__unicode_category, of_category, i);
        return true;
    }
    return false;
}

void gn__set_add_word(gn__set *s, bool in_class)
{
    static const uint32_t left_out[] = {0xB2, 0xB3, 0xB9, 0xBC, 0xBD, 0xBE};
    gn__set word = {0}, others = {0}, kept = {0};
    add_where(&word, &gn__unicode_property, has_bit, GN__PROPERTY_WORD);
    for (size_t k = 0; k < sizeof left_out / sizeof *left_out; k++)
        gn__set_add(&others, left_out[k], left_out[k]);
    gn__set_add_others(&kept, &others);
    if (in_class) gn__set_intersect(&word, &kept);
    gn__set_add_all(s, &word);
    gn__set_free(&word);
    gn__set_free(&others);
    gn__set_free(&kept);
}

void gn__set_add_space(gn__set *s)
{
    add_where(s, &gn__unicode_property, has_bit, GN__PROPERTY_SPACE);
}

bool gn__set_add_property(gn__set *s, const char *name, size_t n)
{
    if (n == 1 && memchr("LMNPSZ", name[0], 6) != NULL) {
        add_where(s, &gn__unicode_category, of_group, (unsigned char)name[0]);
        return true;
    }
    if (n == 2 && name[0] != 'C' && add_category(s, name)) return true;
    for (unsigned i = 0; i < GN__UNICODE_SCRIPTS; i++) {
        const char *known = gn__unicode_script_names[i];
        if (strlen(known) != n || memcmp(known, name, n) != 0) continue;
        add_where(s, &gn__unicode_property, of_script, i);
        return true;
    }
    return false;
}

static void add_graph(gn__set *s)
{
    gn__set others = {0};
    gn__set_add_space(&others);
    add_category(&others, "Cc");
    add_category(&others, "Cn");
    gn__set_add_others(s, &others);
    gn__set_free(&others);
}

/* As make_unicode_properties.py has seen them. */
bool gn__set_add_posix(gn__set *s, const char *name, size_t n)
{
    static const char *const names[] = {"alpha", "upper", "lower", "digit", "alnum", "space", "punct",
                                        "graph", "print", "cntrl", "blank", "word",  "ascii", "xdigit"};
    enum {
        ALPHA,
        UPPER,
        LOWER,
        DIGIT,
        ALNUM,
        SPACE,
        PUNCT,
        GRAPH,
        PRINT,
        CNTRL,
        BLANK,
        WORD,
        ASCII,
        XDIGIT,
        NAMES
    };
    int which = 0;
    while (which < NAMES && (strlen(names[which]) != n || memcmp(names[which], name, n) != 0)) which++;
    if (which == NAMES) return false;
    if (which == ALPHA || which == ALNUM) add_where(s, &gn__unicode_letter, has_bit, GN__LETTER_ALPHABETIC);
    if (which == UPPER) add_where(s, &gn__unicode_letter, has_bit, GN__LETTER_UPPER);
    if (which == LOWER) add_where(s, &gn__unicode_letter, has_bit, GN__LETTER_LOWER);
    if (which == DIGIT || which == ALNUM) add_category(s, "Nd");
    if (which == SPACE) gn__set_add_space(s);
    if (which == PUNCT) gn__set_add_property(s, "P", 1), gn__set_add_property(s, "S", 1);
    if (which == GRAPH || which == PRINT) add_graph(s);
    if (which == CNTRL) add_category(s, "Cc");
    if (which == PRINT || which == BLANK) add_category(s, "Zs");
    if (which == BLANK) gn__set_add(s, '\t', '\t');
    if (which == WORD) gn__set_add_word(s, true);
    if (which == ASCII) gn__set_add(s, 0, 127);
    if (which == XDIGIT) gn__set_add(s, '0', '9'), gn__set_add(s, 'A', 'F'), gn__set_add(s, 'a', 'f');
    return true;
}

/* ---- without regard to case ---------------------------------------------------------------------- */

static const uint32_t *fold_row(uint32_t code)
{
    size_t low = 0, high = gn__unicode_fold_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const uint32_t *place = gn__unicode_fold_places[middle];
        if (place[0] == code) return gn__unicode_folds[place[1]];
        if (place[0] < code)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

uint32_t gn__fold(uint32_t code, bool *several)
{
    const uint32_t *row = fold_row(code);
    *several = false;
    for (size_t i = 0; i < gn__unicode_fold_long_count; i++) *several |= gn__unicode_fold_long[i] == code;
    return row == NULL ? code : row[0];
}

bool gn__fold_joins(uint32_t first, uint32_t second)
{
    for (size_t i = 0; i < gn__unicode_fold_pair_count; i++)
        if (gn__unicode_fold_pairs[i][0] == first && gn__unicode_fold_pairs[i][1] == second) return true;
    return false;
}

static bool holds(const gn__set *s, uint32_t code)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->at[i].low <= code && code <= s->at[i].high) return true;
    return false;
}

bool gn__set_fold(gn__set *s)
{
    gn__set added = {0};
    gn__set_order(s);
    bool good = true;
    for (size_t i = 0; good && i < gn__unicode_fold_long_count; i++)
        good = !holds(s, gn__unicode_fold_long[i]);
    size_t range = 0;
    for (size_t i = 0; i < gn__unicode_fold_count; i++) { /* both are in order */
        uint32_t code = gn__unicode_fold_places[i][0];
        const uint32_t *row = gn__unicode_folds[gn__unicode_fold_places[i][1]];
        while (range < s->count && s->at[range].high < code) range++;
        if (range == s->count) break;
        if (s->at[range].low > code) continue;
        for (size_t k = 0; k < 4 && row[k] != 0; k++) gn__set_add(&added, row[k], row[k]);
    }
    gn__set_add_all(s, &added);
    gn__set_free(&added);
    return good;
}
