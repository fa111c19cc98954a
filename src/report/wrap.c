#include "report/wrap.h"

#include <unicode/uchar.h>

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029 ||
           (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069); /* bidi overrides reorder the line */
}

static size_t width_of(uint32_t c)
{
    if (is_control(c)) return 1; /* shown as U+FFFD */
    int category = u_charType((UChar32)c);
    if (category == U_NON_SPACING_MARK || category == U_ENCLOSING_MARK || category == U_FORMAT_CHAR) return 0;
    int width = u_getIntPropertyValue((UChar32)c, UCHAR_EAST_ASIAN_WIDTH);
    return width == U_EA_WIDE || width == U_EA_FULLWIDTH ? 2 : 1;
}

size_t gn__columns(const char *s, size_t n)
{
    size_t columns = 0;
    while (n > 0) {
        uint32_t c;
        size_t used = gn__utf8_decode(s, n, &c);
        columns += width_of(c);
        s += used;
        n -= used;
    }
    return columns;
}

static bool is_one_of(uint32_t c, const char *set)
{
    char utf8[5] = {0};
    gn__utf8_encode(c, utf8);
    return c != 0 && strstr(set, utf8) != NULL;
}

static bool may_not_begin(uint32_t c)
{
    return is_one_of(
        c, "、。，．・：；？！）」』】〕〉》”’ー々ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ〜%…,.:;?!)]}");
}

static bool may_not_end(uint32_t c)
{
    return is_one_of(c, "（「『【〔〈《“‘([{");
}

/* Words in katakana and a number with what it counts read better whole. */
static bool belongs_together(uint32_t c, uint32_t next)
{
    bool katakana = c >= 0x30A0 && c <= 0x30FF && next >= 0x30A0 && next <= 0x30FF;
    return katakana || (c >= '0' && c <= '9') || c == '%';
}

static void put_char(gn__buf *out, uint32_t c)
{
    char utf8[4];
    gn__buf_append(out, utf8, gn__utf8_encode(is_control(c) ? 0xFFFD : c, utf8));
}

static void put_plain(gn__buf *out, const char *s, size_t n)
{
    while (n > 0) {
        uint32_t c;
        size_t used = gn__utf8_decode(s, n, &c);
        put_char(out, c);
        s += used;
        n -= used;
    }
}

static void put_blanks(gn__buf *out, size_t n)
{
    while (n-- > 0) gn__buf_putc(out, ' ');
}

void gn__put_padded(gn__buf *out, const char *text, size_t width)
{
    size_t n = strlen(text), columns = gn__columns(text, n);
    put_plain(out, text, n);
    if (columns < width) put_blanks(out, width - columns);
}

/* Bytes of the piece at s that must stay together: up to the next blank or the next place between two
 * characters of which one is wide. */
static size_t piece(const char *s, size_t n)
{
    uint32_t c, next;
    size_t used = gn__utf8_decode(s, n, &c);
    while (used < n) {
        size_t more = gn__utf8_decode(s + used, n - used, &next);
        bool beside_wide = width_of(c) == 2 || width_of(next) == 2;
        if (next == ' ') break;
        if (beside_wide && !may_not_begin(next) && !may_not_end(c) && !belongs_together(c, next) &&
            width_of(next) > 0)
            break;
        if (width_of(next) > 0) c = next; /* a mark belongs to the character before */
        used += more;
    }
    return used;
}

void gn__put_wrapped(gn__buf *out, const char *text, size_t used, size_t indent, size_t columns)
{
    size_t n = strlen(text), at = used;
    bool fresh = true; /* nothing of the text on this line yet */
    while (n > 0) {
        size_t blanks = strspn(text, " "), length = 0, width;
        text += blanks;
        n -= blanks;
        if (n == 0) break;
        length = piece(text, n);
        width = gn__columns(text, length);
        if (!fresh && at + (blanks > 0) + width > columns) {
            gn__buf_putc(out, '\n');
            put_blanks(out, indent);
            at = indent;
            fresh = true;
        }
        if (!fresh && blanks > 0) {
            gn__buf_putc(out, ' ');
            at++;
        }
        put_plain(out, text, length);
        at += width;
        fresh = false;
        text += length;
        n -= length;
    }
    gn__buf_putc(out, '\n');
}
