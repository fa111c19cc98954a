/* Which encoding a file is in, from its bytes alone. The rules in words: README.md. */
#include "data/data.h"

/* Stop looking after this many bytes outside ASCII; what comes later does not change the answer. */
enum { ENOUGH = 1 << 20 };

static size_t skip_ascii(const unsigned char *s, size_t at, size_t n)
{
    while (n - at >= 8) {
        uint64_t w;
        memcpy(&w, s + at, 8);
        if ((w & 0x8080808080808080u) != 0) break;
        at += 8;
    }
    while (at < n && s[at] < 0x80) at++;
    return at;
}

/* Well-formed multi-byte sequences and ill-formed bytes, over the whole file. */
static void count_utf8(const unsigned char *s, size_t n, size_t *good, size_t *bad)
{
    *good = *bad = 0;
    for (size_t at = skip_ascii(s, 0, n); at < n; at = skip_ascii(s, at, n)) {
        uint32_t c;
        size_t k = gn__utf8_decode((const char *)s + at, n - at, &c);
        if (c == 0xFFFD && !(k == 3 && s[at] == 0xEF && s[at + 1] == 0xBF && s[at + 2] == 0xBD))
            ++*bad;
        else
            ++*good;
        at += k;
    }
}

/* What a text looks like when read in one of the Japanese encodings. */
typedef struct view {
    size_t kana, common, rare; /* full-width: kana; signs, full-width ASCII, level-1 kanji; the rest */
    size_t half;               /* half-width katakana */
    size_t bad;
    size_t high_pairs; /* two-byte characters with both bytes outside ASCII */
} view;

/* A JIS X 0208 row (1–94): 3 is full-width ASCII, 4 hiragana, 5 katakana, 16–47 level-1 kanji. */
static void count_row(view *v, unsigned row)
{
    if (row == 4 || row == 5)
        v->kana++;
    else if (row <= 3 || (row >= 16 && row <= 47))
        v->common++;
    else
        v->rare++;
}

static view view_cp932(const unsigned char *s, size_t n)
{
    view v = {0};
    size_t seen = 0;
    for (size_t at = skip_ascii(s, 0, n); at < n && seen < ENOUGH; at = skip_ascii(s, at, n)) {
        unsigned a = s[at], b = at + 1 < n ? s[at + 1] : 0;
        size_t k = 1;
        if (a >= 0xA1 && a <= 0xDF) {
            v.half++;
        } else if (a == 0x80 || a == 0xA0 || a > 0xFC || b < 0x40 || b == 0x7F || b > 0xFC) {
            v.bad++;
        } else {
            unsigned row = (a < 0xA0 ? a - 0x81 : a - 0xC1) * 2 + (b >= 0x9F) + 1;
            count_row(&v, row);
            v.high_pairs += b >= 0x80;
            k = 2;
        }
        at += k;
        seen += k;
    }
    return v;
}

static view view_euc_jp(const unsigned char *s, size_t n)
{
    view v = {0};
    size_t seen = 0;
    for (size_t at = skip_ascii(s, 0, n); at < n && seen < ENOUGH; at = skip_ascii(s, at, n)) {
        unsigned a = s[at], b = at + 1 < n ? s[at + 1] : 0, c = at + 2 < n ? s[at + 2] : 0;
        size_t k = 1;
        if (a == 0x8E && b >= 0xA1 && b <= 0xDF) {
            v.half++;
            k = 2;
        } else if (a == 0x8F && b >= 0xA1 && b <= 0xFE && c >= 0xA1 && c <= 0xFE) {
            v.rare++;
            k = 3;
        } else if (a < 0xA1 || a == 0xFF || b < 0xA1 || b == 0xFF) {
            v.bad++;
        } else {
            count_row(&v, a - 0xA0);
            v.high_pairs++;
            k = 2;
        }
        at += k;
        seen += k;
    }
    return v;
}

/* Runs of half-width katakana: Latin-1 text has its letters above 0xA0 one by one. */
static bool in_long_runs(const unsigned char *s, size_t n)
{
    size_t in_runs = 0, all = 0;
    for (size_t at = skip_ascii(s, 0, n); at < n && all < ENOUGH; at = skip_ascii(s, at, n)) {
        size_t begin = at;
        while (at < n && s[at] >= 0x80) at++;
        all += at - begin;
        if (at - begin >= 3) in_runs += at - begin;
    }
    return in_runs * 10 >= all * 7;
}

/* Japanese prose: at least one character in ten is full-width kana, hardly anything is ill-formed. */
static bool is_prose(const view *v)
{
    size_t wide = v->kana + v->common + v->rare;
    return v->kana * 10 >= wide + v->half && v->kana > 0 && v->bad * 50 <= wide + v->half &&
           v->rare * 5 <= wide;
}

/* Words without kana: nothing ill-formed, nine characters in ten common. In Latin-1 read as CP932 the second
 * byte is an ASCII letter, hence the demand for pairs outside ASCII. */
static bool is_words(const view *v)
{
    size_t wide = v->kana + v->common + v->rare;
    return v->bad == 0 && wide > 0 && v->common * 10 >= (wide + v->half) * 9 && v->high_pairs * 5 >= wide * 2;
}

gn_encoding gn__detect_encoding(const char *bytes, size_t n)
{
    const unsigned char *s = (const unsigned char *)bytes;
    size_t good, bad;
    if (n >= 3 && memcmp(s, "\xEF\xBB\xBF", 3) == 0) return GN_ENCODING_UTF8;
    count_utf8(s, n, &good, &bad);
    if (good >= bad * 20) return GN_ENCODING_UTF8; /* a few broken rows do not make it something else */
    view cp932 = view_cp932(s, n), euc = view_euc_jp(s, n);
    bool prose_cp932 = is_prose(&cp932), prose_euc = is_prose(&euc);
    if (prose_cp932 && prose_euc) return cp932.bad <= euc.bad ? GN_ENCODING_CP932 : GN_ENCODING_EUC_JP;
    if (prose_cp932) return GN_ENCODING_CP932;
    if (prose_euc) return GN_ENCODING_EUC_JP;
    if (is_words(&euc)) return GN_ENCODING_EUC_JP;
    if (is_words(&cp932)) return GN_ENCODING_CP932;
    bool half_only = cp932.bad == 0 && cp932.half > 0 && cp932.half >= 9 * cp932.rare;
    if (half_only && in_long_runs(s, n)) return GN_ENCODING_CP932;
    return GN_ENCODING_LATIN1;
}

const char *gn_encoding_name(gn_encoding e)
{
    static const char *const name[] = {
        [GN_ENCODING_AUTO] = "auto",   [GN_ENCODING_UTF8] = "UTF-8",    [GN_ENCODING_LATIN1] = "ISO-8859-1",
        [GN_ENCODING_CP932] = "CP932", [GN_ENCODING_EUC_JP] = "EUC-JP",
    };
    return (size_t)e < sizeof name / sizeof *name ? name[e] : "unknown";
}
