/* Bytes of a known encoding to UTF-8.
 *
 * CP932 as Windows has it (NEC row 13, NEC-selected and IBM extensions, gaiji F040–F9FC in the private use
 * area) is ICU's ibm-943_P15A-2003; it agrees with Python's cp932 on every pair. EUC-JP shares its table
 * through JIS X 0208 rows (as the WHATWG Encoding Standard does), so that the same text is the same whichever
 * of the two it was written in. Latin-1 reads 0x80–0x9F as Windows-1252 does, again as WHATWG. */
#include "data/data.h"

#include <unicode/ucnv.h>

/* WHATWG Encoding Standard, index windows-1252, 0x80–0x9F. */
static const uint16_t windows_1252[32] = {
    0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x008D, 0x017D, 0x008F, 0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x009D, 0x017E, 0x0178,
};

static bool is_lead(unsigned c)
{
    return (c >= 0x81 && c <= 0x9F) || (c >= 0xE0 && c <= 0xFC);
}

/* One character of exactly n bytes through ICU; 0 where it is undefined. */
static uint16_t ask(UConverter *u, const char *bytes, int32_t n)
{
    UChar to[4];
    UErrorCode code = U_ZERO_ERROR;
    int32_t k = ucnv_toUChars(u, to, 4, bytes, n, &code);
    return U_SUCCESS(code) && k == 1 && to[0] != 0xFFFD ? to[0] : 0;
}

static UConverter *open_converter(const char *name, gn_error *err)
{
    UErrorCode code = U_ZERO_ERROR;
    UConverter *u = ucnv_open(name, &code);
    if (U_SUCCESS(code)) ucnv_setToUCallBack(u, UCNV_TO_U_CALLBACK_STOP, NULL, NULL, NULL, &code);
    if (U_SUCCESS(code)) return u;
    if (u != NULL) ucnv_close(u);
    gn__fail(err, GN_UNSUPPORTED, "ICU has no table for the encoding %s: %s", name, u_errorName(code));
    return NULL;
}

static gn_status make_cp932(uint16_t **out, gn_error *err)
{
    uint16_t *table = gn__calloc(65536, sizeof *table);
    if (table == NULL) return gn__no_memory(err, 65536 * sizeof *table);
    UConverter *u = open_converter("ibm-943_P15A-2003", err);
    if (u == NULL) {
        free(table);
        return GN_UNSUPPORTED;
    }
    for (unsigned lead = 0x81; lead <= 0xFC; lead++)
        for (unsigned trail = 0x40; is_lead(lead) && trail <= 0xFC; trail++) {
            const char pair[2] = {(char)lead, (char)trail};
            if (trail != 0x7F) table[lead << 8 | trail] = ask(u, pair, 2);
        }
    ucnv_close(u);
    *out = table;
    return GN_OK;
}

static gn_status make_jisx0212(uint16_t **out, gn_error *err)
{
    uint16_t *table = gn__calloc(94 * 94, sizeof *table);
    if (table == NULL) return gn__no_memory(err, 94 * 94 * sizeof *table);
    UConverter *u = open_converter("EUC-JP", err);
    if (u == NULL) {
        free(table);
        return GN_UNSUPPORTED;
    }
    for (int row = 0; row < 94; row++)
        for (int cell = 0; cell < 94; cell++) {
            const char triple[3] = {(char)0x8F, (char)(0xA1 + row), (char)(0xA1 + cell)};
            table[row * 94 + cell] = ask(u, triple, 3);
        }
    ucnv_close(u);
    *out = table;
    return GN_OK;
}

gn_status gn__decoder_open(gn__decoder *d, gn_encoding encoding, gn_error *err)
{
    *d = (gn__decoder){.encoding = encoding};
    gn_status status = GN_OK;
    if (encoding == GN_ENCODING_CP932 || encoding == GN_ENCODING_EUC_JP) status = make_cp932(&d->cp932, err);
    if (status == GN_OK && encoding == GN_ENCODING_EUC_JP) status = make_jisx0212(&d->jisx0212, err);
    if (status != GN_OK) gn__decoder_close(d);
    return status;
}

void gn__decoder_close(gn__decoder *d)
{
    free(d->cp932);
    free(d->jisx0212);
    *d = (gn__decoder){0};
}

/* Each of these reads one non-ASCII character from p[0..n): its length, 0 where it is ill-formed. */
static size_t one_utf8(const gn__decoder *d, const unsigned char *p, size_t n, uint32_t *c)
{
    (void)d;
    size_t k = gn__utf8_decode((const char *)p, n, c);
    /* U+FFFD spelled out is three good bytes; a decoding error is U+FFFD too */
    bool error = *c == 0xFFFD && !(n >= 3 && p[0] == 0xEF && p[1] == 0xBF && p[2] == 0xBD);
    return error ? 0 : k;
}

static size_t one_latin1(const gn__decoder *d, const unsigned char *p, size_t n, uint32_t *c)
{
    (void)d, (void)n;
    *c = p[0] < 0xA0 ? windows_1252[p[0] - 0x80] : p[0];
    return 1;
}

static size_t one_cp932(const gn__decoder *d, const unsigned char *p, size_t n, uint32_t *c)
{
    if (p[0] >= 0xA1 && p[0] <= 0xDF) {
        *c = 0xFF61u + (p[0] - 0xA1u);
        return 1;
    }
    if (n < 2) return 0;
    *c = d->cp932[p[0] << 8 | p[1]];
    return *c != 0 ? 2 : 0;
}

static size_t one_euc_jp(const gn__decoder *d, const unsigned char *p, size_t n, uint32_t *c)
{
    if (n < 2 || p[1] < 0xA1 || p[1] > 0xFE) return 0;
    if (p[0] == 0x8E) {
        *c = 0xFF61u + (p[1] - 0xA1u);
        return p[1] <= 0xDF ? 2 : 0;
    }
    if (p[0] == 0x8F) {
        if (n < 3 || p[1] == 0xFF || p[2] < 0xA1 || p[2] == 0xFF) return 0;
        *c = d->jisx0212[(p[1] - 0xA1) * 94 + (p[2] - 0xA1)];
        return *c != 0 ? 3 : 0;
    }
    if (p[0] < 0xA1 || p[0] == 0xFF) return 0;
    /* Row and cell to Shift_JIS (JIS X 0208:1997, annex 1): two rows share a lead byte. */
    unsigned row = p[0] - 0xA1u, cell = p[1] - 0xA1u;
    unsigned lead = row / 2 + (row < 62 ? 0x81u : 0xC1u);
    unsigned trail = row % 2 == 1 ? cell + 0x9Fu : cell + (cell < 63 ? 0x40u : 0x41u);
    *c = d->cp932[lead << 8 | trail];
    return *c != 0 ? 2 : 0;
}

typedef size_t (*decode_one)(const gn__decoder *d, const unsigned char *p, size_t n, uint32_t *c);

static const decode_one one_of[] = {
    [GN_ENCODING_AUTO] = one_utf8,   [GN_ENCODING_UTF8] = one_utf8,     [GN_ENCODING_LATIN1] = one_latin1,
    [GN_ENCODING_CP932] = one_cp932, [GN_ENCODING_EUC_JP] = one_euc_jp,
};

bool gn__decode(const gn__decoder *d, const char *s, size_t n, gn__buf *out, size_t *bad)
{
    const decode_one one = one_of[d->encoding];
    size_t at = 0, good = 0; /* s[good..at) is well-formed UTF-8, not yet appended */
    while (at < n) {
        uint32_t c;
        if ((unsigned char)s[at] < 0x80 && s[at] != 0) {
            at++;
            continue;
        }
        size_t k = s[at] != 0 ? one(d, (const unsigned char *)s + at, n - at, &c) : 1;
        if (k == 0) {
            *bad = at;
            return false;
        }
        if (s[at] == 0) c = 0xFFFD;
        if (s[at] != 0 && one == one_utf8) {
            at += k;
            continue;
        }
        char utf8[4];
        gn__buf_append(out, s + good, at - good);
        gn__buf_append(out, utf8, gn__utf8_encode(c, utf8));
        at += k;
        good = at;
    }
    gn__buf_append(out, s + good, n - good);
    return true;
}
