#include "report/strings.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

const char *gn__word(gn__word_id id, gn_lang lang)
{
    static const char *const words[GN__WORD_COUNT][2] = {
#define WORD(name, en, ja) {en, ja},
        GN__WORD_LIST(WORD)
#undef WORD
    };
    return words[id][lang];
}

static bool put_missing(gn__buf *b, double x)
{
    if (isfinite(x)) return false;
    gn__buf_puts(b, "–");
    return true;
}

/* Integers only: printf's %f would write the locale's decimal point. */
static void put_digits(gn__buf *b, int64_t n, bool thousands)
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%" PRId64, n);
    for (int i = 0; i < length; i++) {
        if (thousands && i > 0 && (length - i) % 3 == 0) gn__buf_putc(b, ',');
        gn__buf_putc(b, digits[i]);
    }
}

void gn__put_count(gn__buf *b, double n)
{
    if (put_missing(b, n)) return;
    n = fmin(fmax(n, -9e15), 9e15);
    if (n < 0) gn__buf_putc(b, '-');
    put_digits(b, llround(fabs(n)), true);
}

void gn__put_fixed(gn__buf *b, double x, int decimals)
{
    static const int64_t power[] = {1,      10,      100,      1000,      10000,
                                    100000, 1000000, 10000000, 100000000, 1000000000};
    if (put_missing(b, x)) return;
    x = fmin(fmax(x, -9e8), 9e8);
    int64_t scaled = llround(fabs(x) * (double)power[decimals]);
    if (x < 0 && scaled > 0) gn__buf_putc(b, '-');
    put_digits(b, scaled / power[decimals], false);
    if (decimals == 0) return;
    gn__buf_putc(b, '.');
    int64_t rest = scaled % power[decimals];
    for (int d = decimals - 1; d >= 0; d--) gn__buf_putc(b, (char)('0' + rest / power[d] % 10));
}

void gn__put_percent(gn__buf *b, double x, gn_lang lang)
{
    (void)lang;
    if (put_missing(b, x)) return;
    double percent = 100 * x;
    bool edge = fabs(percent) < 1 || (fabs(percent) > 99 && fabs(percent) < 100);
    gn__put_fixed(b, percent, edge && percent != 0 ? 1 : 0);
    gn__buf_putc(b, '%');
}

void gn__put_points(gn__buf *b, double x, gn_lang lang)
{
    if (put_missing(b, x)) return;
    double points = fabs(100 * x);
    int decimals = points < 0.95 && points > 0 ? 1 : 0;
    gn__put_fixed(b, points, decimals);
    bool one = decimals == 0 && llround(points) == 1;
    gn__buf_puts(b, lang == GN_LANG_JA ? "ポイント" : one ? " point" : " points");
}

void gn__put_p(gn__buf *b, double p)
{
    if (put_missing(b, p)) return;
    if (p > 0 && p < 0.00001)
        gn__buf_puts(b, "0.00001"); /* never "0": rounded up */
    else
        gn__put_fixed(b, p, p < 0.001 ? 5 : p < 0.1 ? 3 : 2);
}

void gn__put_bytes(gn__buf *b, double bytes)
{
    if (put_missing(b, bytes)) return;
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    int unit = 0;
    while (bytes >= 999.5 && unit < 4) bytes /= 1000, unit++;
    gn__put_fixed(b, bytes, unit > 0 && bytes < 9.95 ? 1 : 0);
    gn__buf_putc(b, ' ');
    gn__buf_puts(b, units[unit]);
}
