/* Small things about text: white space, numbers, reasons. */
#include "data/data.h"

#include <math.h>
#include <stdio.h>

/* PropList.txt, White_Space=yes: 25 code points, unchanged since Unicode 6.3. */
bool gn__is_white(uint32_t c)
{
    if (c < 0x80) return c == 0x20 || (c >= 0x09 && c <= 0x0D);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

void gn__trim(const char **s, size_t *n)
{
    const char *p = *s;
    size_t left = *n;
    uint32_t c;
    while (left > 0) {
        size_t k = gn__utf8_decode(p, left, &c);
        if (!gn__is_white(c)) break;
        p += k;
        left -= k;
    }
    while (left > 0) {
        size_t start = left - 1;
        while (start > 0 && ((unsigned char)p[start] & 0xC0) == 0x80) start--;
        gn__utf8_decode(p + start, left - start, &c);
        if (!gn__is_white(c)) break;
        left = start;
    }
    *s = p;
    *n = left;
}

void gn__reason(char reason[120], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(reason, 120, format, args);
    va_end(args);
    if (n < 120) return;
    size_t end = 119; /* cut between characters */
    while (end > 0 && ((unsigned char)reason[end - 1] & 0xC0) == 0x80) end--;
    if (end > 0 && (unsigned char)reason[end - 1] >= 0xC0) end--;
    reason[end] = '\0';
}

bool gn__number(const char *s, double *value)
{
    double x = 0;
    int digits = 0, shift = 0, exponent = 0;
    bool negative = *s == '-', down;
    if (*s == '-' || *s == '+') s++;
    for (; *s >= '0' && *s <= '9'; s++, digits++) x = x * 10 + (*s - '0');
    if (*s == '.')
        for (s++; *s >= '0' && *s <= '9'; s++, digits++, shift--) x = x * 10 + (*s - '0');
    if (digits == 0 || digits > 300) return false;
    if (*s == 'e' || *s == 'E') {
        down = s[1] == '-';
        s += s[1] == '-' || s[1] == '+' ? 2 : 1;
        if (*s < '0' || *s > '9') return false;
        for (; *s >= '0' && *s <= '9'; s++)
            if (exponent < 1000) exponent = exponent * 10 + (*s - '0');
        if (down) exponent = -exponent;
    }
    if (*s != '\0') return false;
    x *= pow(10, exponent + shift);
    *value = negative ? -x : x;
    return true;
}
