#include "report/markup.h"
#include "report/strings.h"

#include <math.h>

static const char *const strings[GN__H_COUNT][2] = {
#define S(id, en, ja) [GN__H_##id] = {en, ja},
#include "report/strings_html.def"
#undef S
};

const char *gn__html_text(gn__html_id id, gn_lang lang)
{
    return strings[id][lang == GN_LANG_JA];
}

void gn__page_begin(gn__page *p, const gn_result *r, gn_lang lang)
{
    *p = (gn__page){.r = r, .lang = lang};
    gn__put(p, ""); /* an empty document is "", not NULL */
}

gn_status gn__page_end(gn__page *p, char **out, size_t *length, gn_error *err)
{
    gn_status status = GN_OK;
    if (p->failed || p->out.failed) {
        status = gn__no_memory(err, p->out.length);
        gn__buf_free(&p->out);
    } else {
        *out = p->out.data;
        *length = p->out.length;
        p->out = (gn__buf){0};
    }
    gn__arena_free(&p->scratch);
    return status;
}

void gn__put(gn__page *p, const char *markup)
{
    gn__buf_puts(&p->out, markup);
}

/* What must not reach the document: controls other than white space, the bidirectional embeddings, overrides
 * and isolates (an unclosed one would turn the text after it around), non-characters. */
static bool unwanted(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069) || (c & 0xFFFE) == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF);
}

static void escape_bytes(gn__buf *b, const char *s, size_t n)
{
    while (n > 0) {
        uint32_t c;
        size_t used = gn__utf8_decode(s, n, &c);
        switch (c) {
        case '&':
            gn__buf_puts(b, "&amp;");
            break;
        case '<':
            gn__buf_puts(b, "&lt;");
            break;
        case '>':
            gn__buf_puts(b, "&gt;");
            break;
        case '"':
            gn__buf_puts(b, "&quot;");
            break;
        case '\'':
            gn__buf_puts(b, "&#39;");
            break;
        case '\t':
        case '\n':
        case '\r':
            gn__buf_putc(b, ' ');
            break;
        default:
            if (!unwanted(c)) {
                char encoded[4];
                gn__buf_append(b, encoded, gn__utf8_encode(c, encoded));
            }
        }
        s += used;
        n -= used;
    }
}

void gn__escape(gn__page *p, const char *text)
{
    escape_bytes(&p->out, text, strlen(text));
}

void gn__escape_short(gn__page *p, const char *text, size_t max)
{
    size_t n = strlen(text), kept = gn__utf8_prefix(text, n, max);
    escape_bytes(&p->out, text, kept);
    if (kept < n) gn__put(p, "…");
}

/* Moves a finished string into the scratch arena. */
static const char *keep(gn__page *p, gn__buf *b)
{
    const char *s = b->failed ? NULL : gn__arena_strndup(&p->scratch, b->data ? b->data : "", b->length);
    gn__buf_free(b);
    if (s == NULL) p->failed = true;
    return s ? s : "";
}

const char *gn__compose_all(gn__page *p, gn__html_id id, const char *const *args, size_t n)
{
    gn__buf b = {0};
    for (const char *s = gn__html_text(id, p->lang); *s != '\0'; s++) {
        size_t which = s[0] == '{' && s[1] >= '1' && s[1] <= '9' && s[2] == '}' ? (size_t)(s[1] - '0') : 0;
        if (which == 0) {
            gn__buf_putc(&b, *s);
            continue;
        }
        if (which <= n) gn__buf_puts(&b, args[which - 1]);
        s += 2;
    }
    return keep(p, &b);
}

void gn__say_all(gn__page *p, gn__html_id id, const char *const *args, size_t n)
{
    gn__escape(p, gn__compose_all(p, id, args, n));
}

void gn__say(gn__page *p, gn__html_id id)
{
    gn__escape(p, gn__html_text(id, p->lang));
}

const char *gn__word_of(gn__page *p, gn__html_id id)
{
    return gn__html_text(id, p->lang);
}

/* A coordinate: a tenth of a pixel is finer than any screen shows. */
static void put_coordinate(gn__buf *b, double x)
{
    long tenths = isfinite(x) ? lround(fmin(fmax(x, -1e6), 1e6) * 10) : 0;
    if (tenths < 0) gn__buf_putc(b, '-');
    unsigned long t = (unsigned long)labs(tenths);
    gn__buf_printf(b, "%lu", t / 10);
    if (t % 10 != 0) gn__buf_printf(b, ".%lu", t % 10);
}

void gn__draw_all(gn__page *p, const char *markup, const double *at, size_t n)
{
    size_t used = 0;
    for (const char *s = markup; *s != '\0'; s++) {
        if (*s == '@' && used < n)
            put_coordinate(&p->out, at[used++]);
        else
            gn__buf_putc(&p->out, *s);
    }
}

const char *gn__n_count(gn__page *p, double n)
{
    gn__buf b = {0};
    gn__put_count(&b, n);
    return keep(p, &b);
}

const char *gn__n_fixed(gn__page *p, double x, int decimals)
{
    gn__buf b = {0};
    gn__put_fixed(&b, x, decimals);
    return keep(p, &b);
}

const char *gn__n_percent(gn__page *p, double x)
{
    gn__buf b = {0};
    gn__put_percent(&b, x, p->lang);
    return keep(p, &b);
}

const char *gn__n_percent1(gn__page *p, double x)
{
    gn__buf b = {0};
    gn__put_fixed(&b, 100 * x, 1);
    if (isfinite(x)) gn__buf_putc(&b, '%');
    return keep(p, &b);
}

const char *gn__n_signed_points(gn__page *p, double x)
{
    gn__buf b = {0};
    if (isfinite(x)) gn__buf_puts(&b, x < 0 ? "−" : "+");
    gn__put_fixed(&b, fabs(100 * x), 1);
    return keep(p, &b);
}

const char *gn__n_p(gn__page *p, double x)
{
    gn__buf b = {0};
    gn__put_p(&b, x);
    return keep(p, &b);
}

const char *gn__n_range(gn__page *p, gn_interval i, int decimals)
{
    if (!isfinite(i.low) || !isfinite(i.high)) return "–";
    gn__buf b = {0};
    gn__put_fixed(&b, i.low, decimals);
    gn__buf_puts(&b, "–");
    gn__put_fixed(&b, i.high, decimals);
    return keep(p, &b);
}

const char *gn__n_range_percent(gn__page *p, gn_interval i)
{
    i.low *= 100, i.high *= 100;
    gn__buf b = {0};
    gn__buf_puts(&b, gn__n_range(p, i, 0));
    if (isfinite(i.low) && isfinite(i.high)) gn__buf_putc(&b, '%');
    return keep(p, &b);
}

const char *gn__n_interval(gn__page *p, gn_interval i, int decimals)
{
    if (!isfinite(i.estimate)) return "–";
    gn__buf b = {0};
    gn__put_fixed(&b, i.estimate, decimals);
    if (isfinite(i.low) && isfinite(i.high)) {
        gn__buf_puts(&b, " (");
        gn__buf_puts(&b, gn__n_range(p, i, decimals));
        gn__buf_putc(&b, ')');
    }
    return keep(p, &b);
}

const char *gn__n_interval_percent(gn__page *p, gn_interval i, int decimals)
{
    if (!isfinite(i.estimate)) return "–";
    gn__buf b = {0};
    gn__put_fixed(&b, 100 * i.estimate, decimals);
    gn__buf_putc(&b, '%');
    if (isfinite(i.low) && isfinite(i.high)) {
        i.low *= 100, i.high *= 100;
        gn__buf_puts(&b, " (");
        gn__buf_puts(&b, gn__n_range(p, i, decimals));
        gn__buf_putc(&b, ')');
    }
    return keep(p, &b);
}

const char *gn__n_time(gn__page *p, const char *iso)
{
    size_t n = strlen(iso);
    if (n != 20 || iso[10] != 'T' || iso[19] != 'Z') return iso;
    gn__buf b = {0};
    gn__buf_append(&b, iso, 10);
    gn__buf_putc(&b, ' ');
    gn__buf_append(&b, iso + 11, 5);
    gn__buf_puts(&b, " UTC");
    return keep(p, &b);
}

const char *gn__n_tick(gn__page *p, double x, int decimals)
{
    const char *digits = gn__n_fixed(p, fabs(x), decimals);
    if (x >= 0 || strspn(digits, "0.") == strlen(digits)) return digits;
    gn__buf b = {0};
    gn__buf_puts(&b, "−");
    gn__buf_puts(&b, digits);
    return keep(p, &b);
}

/* Advance widths in em of a rather wide sans-serif, by kind of character. */
static double advance(uint32_t c)
{
    if (c < 0x80) {
        if (strchr(" iljtfrI.,:;'|!()[]-", (int)c) != NULL) return 0.36;
        if (strchr("mwMW%@", (int)c) != NULL) return 0.92;
        return c >= 'A' && c <= 'Z' ? 0.70 : 0.58;
    }
    if (c == 0x200D || (c >= 0x300 && c < 0x370) || (c >= 0xFE00 && c <= 0xFE0F)) return 0;
    return c >= 0x1100 && !(c >= 0x1E00 && c < 0x2190) ? 1.0 : 0.62;
}

double gn__text_width(const char *text, double size)
{
    double width = 0;
    for (size_t n = strlen(text); n > 0;) {
        uint32_t c;
        size_t used = gn__utf8_decode(text, n, &c);
        width += c == 0 ? 0 : advance(c);
        text += used;
        n -= used;
    }
    return width * size;
}

const char *gn__text_fit(gn__page *p, const char *text, double size, double width)
{
    if (gn__text_width(text, size) <= width) return text;
    gn__buf b = {0};
    double used = size; /* room for the ellipsis */
    for (size_t n = strlen(text); n > 0;) {
        uint32_t c;
        size_t length = gn__utf8_decode(text, n, &c);
        used += advance(c) * size;
        if (used > width) break;
        gn__buf_append(&b, text, length);
        text += length;
        n -= length;
    }
    gn__buf_puts(&b, "…");
    return keep(p, &b);
}

const char *gn__font_family(gn_lang lang)
{
    return lang == GN_LANG_JA
               ? "'Noto Sans CJK JP','Noto Sans JP','Hiragino Sans','Yu Gothic',Meiryo,system-ui,sans-serif"
               : "'Helvetica Neue',Arial,'Noto Sans','Segoe UI',Roboto,'Noto Sans CJK JP','Noto Sans JP',"
                 "'Hiragino Sans','Yu Gothic',Meiryo,sans-serif";
}

const char *gn__class_name(gn__page *p, int label)
{
    if (label < 0 || label >= p->r->classes || p->r->class_name == NULL)
        return gn__word_of(p, GN__H_NO_LABEL);
    return p->r->class_name[label];
}

const char *gn__group_name(gn__page *p, bool test, int label)
{
    const char *set = gn__word_of(p, test ? GN__H_TEST_SHORT : GN__H_TRAIN_SHORT);
    return label < 0 ? set : GN__COMPOSE(p, GROUP_OF_CLASS, set, gn__class_name(p, label));
}

const char *gn__answer_text(gn__page *p, const gn_shift *s)
{
    if (s->answer == GN_SHIFT_DIFFERENT) return gn__word_of(p, GN__H_ANSWER_DIFFERENT);
    if (s->answer == GN_SHIFT_EQUIVALENT) return gn__word_of(p, GN__H_ANSWER_EQUIVALENT);
    if (s->rows_needed == 0) return gn__word_of(p, GN__H_ANSWER_NOT_ENOUGH);
    return GN__COMPOSE(p, ANSWER_NEEDS, gn__n_count(p, (double)s->rows_needed));
}

gn_eval_kind gn__honest_eval(const gn_probe_evidence *e)
{
    return e->eval[GN_EVAL_TEST_CV_GROUPED].available ? GN_EVAL_TEST_CV_GROUPED : GN_EVAL_TEST_CV;
}

gn__html_id gn__eval_label(gn_eval_kind kind)
{
    static const gn__html_id labels[GN_EVAL_COUNT] = {
#define EVAL_LABEL(name, key) [GN_EVAL_##name] = GN__H_EVAL_##name,
        GN_EVAL_LIST(EVAL_LABEL)
#undef EVAL_LABEL
    };
    return labels[kind];
}
