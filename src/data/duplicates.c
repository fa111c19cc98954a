/* Exact duplicates after NFKC (Unicode Standard Annex 15) and white-space folding. */
#include "data/data.h"

#include <unicode/unorm2.h>
#include <unicode/ustring.h>

/* Texts longer than this are told apart by their SHA-256 rather than kept a second time. */
enum { KEPT_WHOLE = 64 };

typedef struct folder {
    const UNormalizer2 *nfkc;
    UChar *from, *to; /* [capacity] */
    int32_t capacity;
    gn__buf normal, folded;
    gn_error *err;
} folder;

static gn_status room_for(folder *f, int32_t n)
{
    if (n <= f->capacity) return GN_OK;
    UChar *from = gn__realloc(f->from, (size_t)n, sizeof *from);
    if (from != NULL) f->from = from;
    UChar *to = gn__realloc(f->to, (size_t)n, sizeof *to);
    if (to != NULL) f->to = to;
    if (from == NULL || to == NULL) return gn__no_memory(f->err, (size_t)n * sizeof *to);
    f->capacity = n;
    return GN_OK;
}

/* f->normal = NFKC of the text. Texts come from gn_dataset_read: well-formed, at most 1 GiB. */
static gn_status normalise(folder *f, const char *s, size_t n)
{
    UErrorCode code = U_ZERO_ERROR;
    int32_t from_n, to_n, bytes;
    if (n > (size_t)INT32_MAX / 2) return gn__no_memory(f->err, n);
    GN__TRY(room_for(f, (int32_t)n + 1));
    u_strFromUTF8(f->from, f->capacity, &from_n, s, (int32_t)n, &code);
    if (U_SUCCESS(code)) {
        to_n = unorm2_normalize(f->nfkc, f->from, from_n, f->to, f->capacity, &code);
        if (code == U_BUFFER_OVERFLOW_ERROR) { /* one character may become eighteen */
            code = U_ZERO_ERROR;
            GN__TRY(room_for(f, to_n + 1));
            to_n = unorm2_normalize(f->nfkc, f->from, from_n, f->to, f->capacity, &code);
        }
    }
    if (U_FAILURE(code) || to_n > INT32_MAX / 3)
        return gn__fail(f->err, GN_DATA, "a text cannot be normalised: %s", u_errorName(code));
    f->normal.length = 0;
    size_t need = (size_t)to_n * 3 + 1;
    if (f->normal.capacity < need) {
        gn__buf_free(&f->normal);
        f->normal.data = malloc(need);
        if (f->normal.data == NULL) return gn__no_memory(f->err, need);
        f->normal.capacity = need;
    }
    u_strToUTF8(f->normal.data, (int32_t)need, &bytes, f->to, to_n, &code);
    f->normal.length = (size_t)bytes;
    return U_SUCCESS(code) ? GN_OK
                           : gn__fail(f->err, GN_DATA, "a text cannot be normalised: %s", u_errorName(code));
}

static bool is_ascii(const char *s, size_t n)
{
    unsigned char all = 0;
    for (size_t i = 0; i < n; i++) all |= (unsigned char)s[i];
    return all < 0x80;
}

/* f->folded = s with each run of white space as one space and none at the ends. */
static void fold_space(folder *f, const char *s, size_t n)
{
    f->folded.length = 0;
    gn__trim(&s, &n);
    size_t begin = 0;
    for (size_t at = 0; at < n;) {
        uint32_t c;
        size_t k = gn__utf8_decode(s + at, n - at, &c);
        if (!gn__is_white(c)) {
            at += k;
            continue;
        }
        gn__buf_append(&f->folded, s + begin, at - begin);
        gn__buf_putc(&f->folded, ' ');
        for (at += k; at < n; at += k) {
            k = gn__utf8_decode(s + at, n - at, &c);
            if (!gn__is_white(c)) break;
        }
        begin = at;
    }
    gn__buf_append(&f->folded, s + begin, n - begin);
}

/* What stands for the text in the map: "t" and the text, or "h" and its SHA-256. */
static gn_status make_key(folder *f, const char *s, size_t n, char key[KEPT_WHOLE + 2], size_t *length)
{
    if (!is_ascii(s, n)) {
        GN__TRY(normalise(f, s, n));
        s = f->normal.data;
        n = f->normal.length;
    }
    fold_space(f, s, n);
    if (f->folded.failed) return gn__no_memory(f->err, n);
    if (f->folded.length <= KEPT_WHOLE) {
        key[0] = 't';
        memcpy(key + 1, f->folded.data, f->folded.length);
        *length = f->folded.length + 1;
        return GN_OK;
    }
    gn__sha256 h;
    char hex[65];
    GN__TRY(gn__sha256_begin(&h, f->err));
    gn__sha256_update(&h, f->folded.data, f->folded.length);
    gn__sha256_end(&h, hex);
    key[0] = 'h';
    memcpy(key + 1, hex, 64);
    *length = 65;
    return GN_OK;
}

/* The distinct texts of one set. */
typedef struct seen {
    gn__map first;
    int *label; /* [first.count] of the first row with a label, -1 */
    size_t capacity;
} seen;

static gn_status meet(seen *s, folder *f, const gn_dataset *d, size_t row, const char *key, size_t n,
                      size_t *repeats, size_t *conflicts)
{
    uint32_t next = (uint32_t)s->first.count, found;
    int label = d->label != NULL ? d->label[row] : -1;
    if (!gn__map_put(&s->first, key, n, next, &found)) return gn__no_memory(f->err, n);
    if (found == next) {
        if (next == s->capacity) {
            size_t capacity = s->capacity ? s->capacity * 2 : 1024;
            int *grown = gn__realloc(s->label, capacity, sizeof *grown);
            if (grown == NULL) return gn__no_memory(f->err, capacity * sizeof *grown);
            s->label = grown;
            s->capacity = capacity;
        }
        s->label[next] = label;
        return GN_OK;
    }
    ++*repeats;
    if (s->label[found] < 0)
        s->label[found] = label;
    else if (label >= 0 && label != s->label[found])
        ++*conflicts;
    return GN_OK;
}

static gn_status count_all(folder *f, gn_dataset *train, gn_dataset *test, unsigned char *stay,
                           gn_duplicates *n)
{
    seen in_test = {0}, in_train = {0};
    gn_status status = GN_OK;
    char key[KEPT_WHOLE + 2];
    size_t length;
    for (size_t i = 0; i < test->rows; i++) {
        GN__TRY_GOTO(make_key(f, test->text[i], test->length[i], key, &length), done);
        GN__TRY_GOTO(meet(&in_test, f, test, i, key, length, &n->within_test, &n->conflicting_test), done);
    }
    for (size_t i = 0; i < train->rows; i++) {
        GN__TRY_GOTO(make_key(f, train->text[i], train->length[i], key, &length), done);
        GN__TRY_GOTO(meet(&in_train, f, train, i, key, length, &n->within_train, &n->conflicting_train),
                     done);
        stay[i] = gn__map_get(&in_test.first, key, length) < 0;
        n->across += !stay[i];
    }
done:
    gn__map_free(&in_test.first);
    gn__map_free(&in_train.first);
    free(in_test.label);
    free(in_train.label);
    return status;
}

gn_status gn_dataset_deduplicate(gn_dataset *train, gn_dataset *test, bool keep, gn_duplicates *out,
                                 gn_error *err)
{
    UErrorCode code = U_ZERO_ERROR;
    folder f = {.nfkc = unorm2_getNFKCInstance(&code), .err = err};
    if (U_FAILURE(code)) return gn__fail(err, GN_UNSUPPORTED, "ICU has no NFKC data: %s", u_errorName(code));
    gn_duplicates n = {0};
    unsigned char *stay = gn__calloc(train->rows, 1);
    gn_status status = stay != NULL ? count_all(&f, train, test, stay, &n) : gn__no_memory(err, train->rows);
    if (status == GN_OK && !keep && n.across > 0) {
        if (n.across == train->rows)
            status = gn__fail(
                err, GN_DATA,
                "every text of %s occurs in %s too: with duplicates removed nothing is left of it",
                train->path != NULL ? train->path : "train", test->path != NULL ? test->path : "test");
        else
            status = gn_dataset_filter(train, stay, err);
        n.removed_from_train = n.across;
    }
    free(stay);
    free(f.from);
    free(f.to);
    gn__buf_free(&f.normal);
    gn__buf_free(&f.folded);
    if (status == GN_OK) *out = n;
    return status;
}
