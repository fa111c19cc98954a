/* Precompiled: SentencePiece's rules, grapheme by grapheme as `tokenizers` applies them (spm_precompiled): a
 * rule for the beginning of a grapheme of less than 6 bytes replaces all of it; in others every character is
 * looked up by itself. */
#include "text/charsmap.h"
#include "text/normal_form.h"
#include "text/parts.h"
#include "text/unicode_properties.h"

static const char name[] = "Precompiled";

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Base64 with padding (RFC 4648); false: it is not. `out` has room for 3 bytes for every 4 characters. */
static bool decode(const char *s, size_t n, unsigned char *out, size_t *length)
{
    *length = 0;
    if (n % 4 != 0) return false;
    size_t padding = n > 0 && s[n - 1] == '=' ? (s[n - 2] == '=' ? 2 : 1) : 0;
    for (size_t i = 0; i < n; i += 4) {
        uint32_t word = 0;
        size_t last = i + 4 == n ? padding : 0;
        for (size_t k = 0; k < 4; k++) {
            int v = k >= 4 - last ? 0 : digit_of(s[i + k]);
            if (v < 0) return false;
            word = word << 6 | (uint32_t)v;
        }
        if ((last == 1 && word & 0xFF) || (last == 2 && word & 0xFFFF)) return false;
        for (size_t k = 0; k < 3 - last; k++) out[(*length)++] = (unsigned char)(word >> (16 - 8 * k));
    }
    return true;
}

static void destroy(void *state)
{
    if (state != NULL) gn__charsmap_free(state);
    free(state);
}

static gn_status parse(const gn__tok_source *source, const json_t *part, void **state)
{
    const char *text = NULL;
    GN__TRY(gn__tok_string(source, name, part, "precompiled_charsmap", GN__TOK_REQUIRED, &text));
    size_t n = strlen(text), size;
    unsigned char *data = malloc(n / 4 * 3 + 1);
    gn__charsmap *m = gn__calloc(1, sizeof *m);
    gn_status status = GN_OK;
    if (data == NULL || m == NULL)
        status = gn__no_memory(source->err, n);
    else if (!decode(text, n, data, &size))
        status = gn__tok_bad_field(source, name, "precompiled_charsmap", "text in base64");
    else
        status = gn__charsmap_read(source, data, size, m);
    free(data);
    if (status == GN_OK)
        *state = m;
    else
        free(m);
    return status;
}

/* ---- graphemes (UAX #29) -------------------------------------------------------------------------- */

typedef struct boundary {
    unsigned last;
    bool picture;   /* Extended_Pictographic Extend* so far */
    bool joined;    /* the same and a ZWJ */
    bool consonant; /* consonant {extend | linker}* so far */
    bool linked;    /* the same with a linker */
    bool flag;      /* an odd number of regional indicators */
} boundary;

static bool breaks(const boundary *b, unsigned next)
{
    unsigned last = b->last;
    bool hangul_v = next == GN__GRAPHEME_V, hangul_t = next == GN__GRAPHEME_T;
    if (last == GN__GRAPHEME_CONTROL || next == GN__GRAPHEME_CONTROL) return true;
    if (last == GN__GRAPHEME_L &&
        (next == GN__GRAPHEME_L || hangul_v || next == GN__GRAPHEME_LV || next == GN__GRAPHEME_LVT))
        return false;
    if ((last == GN__GRAPHEME_LV || last == GN__GRAPHEME_V) && (hangul_v || hangul_t)) return false;
    if ((last == GN__GRAPHEME_LVT || last == GN__GRAPHEME_T) && hangul_t) return false;
    if (next == GN__GRAPHEME_JOINS || next == GN__GRAPHEME_SPACING || next == GN__GRAPHEME_ZWJ ||
        next == GN__GRAPHEME_LINKER || next == GN__GRAPHEME_EXTEND)
        return false;
    if (last == GN__GRAPHEME_PREPEND) return false;
    if (b->linked && next == GN__GRAPHEME_CONSONANT) return false;
    if (b->joined && next == GN__GRAPHEME_PICTURE) return false;
    return !(b->flag && next == GN__GRAPHEME_REGIONAL);
}

static void advance(boundary *b, unsigned next)
{
    bool extend = next == GN__GRAPHEME_JOINS || next == GN__GRAPHEME_LINKER || next == GN__GRAPHEME_EXTEND;
    b->joined = b->picture && next == GN__GRAPHEME_ZWJ;
    b->picture = next == GN__GRAPHEME_PICTURE || (b->picture && extend);
    bool goes_on = b->consonant &&
                   (next == GN__GRAPHEME_LINKER || next == GN__GRAPHEME_EXTEND || next == GN__GRAPHEME_ZWJ);
    b->linked = goes_on && (b->linked || next == GN__GRAPHEME_LINKER);
    b->consonant = goes_on || next == GN__GRAPHEME_CONSONANT;
    b->flag = next == GN__GRAPHEME_REGIONAL && !b->flag;
    b->last = next;
}

static unsigned class_of(uint32_t code)
{
    if (code < 0x7F) return code < 0x20 ? GN__GRAPHEME_CONTROL : GN__GRAPHEME_ANY;
    return gn__unicode_look_up(&gn__unicode_grapheme, code);
}

static size_t grapheme(const gn__glyph *g, size_t n)
{
    boundary b = {.last = GN__GRAPHEME_CONTROL};
    if (n > 1 && g[0].code == '\r' && g[1].code == '\n') return 2;
    advance(&b, class_of(g[0].code));
    size_t i = 1;
    for (; i < n; i++) {
        unsigned next = class_of(g[i].code);
        if (breaks(&b, next)) break;
        advance(&b, next);
    }
    return i;
}

/* ---- the rules ----------------------------------------------------------------------------------- */

/* Adds what takes the place of `old` characters. */
static void replace(gn__tok_pieces *out, size_t old, const char *to, size_t length)
{
    size_t first = out->glyphs, now = 0;
    for (size_t at = 0; at < length; now++) {
        uint32_t code;
        at += gn__utf8_decode(to + at, length - at, &code);
        gn__tok_add_glyph(out, code, 0, 0);
    }
    if (out->failed) return;
    /* `begin` holds the change that gn__normal_place takes; with nothing put in, it falls to what stands
     * before */
    for (size_t i = now > old ? old : now; i < now; i++) out->glyph[first + i].begin = 1;
    if (now < old && out->glyphs > 0)
        out->glyph[out->glyphs - 1].begin =
            (uint32_t)((int32_t)out->glyph[out->glyphs - 1].begin - (int32_t)(old - now));
}

static void apply(const void *state, gn__tok_pieces *text, gn__tok_pieces *spare)
{
    const gn__charsmap *m = state;
    bool modified = false;
    spare->glyphs = 0;
    for (size_t i = 0, n; i < text->glyphs && !spare->failed; i += n) {
        const gn__glyph *g = text->glyph + i;
        char bytes[24];
        const char *found;
        size_t length = 0, size;
        n = grapheme(g, text->glyphs - i);
        for (size_t k = 0; k < n && k < 5 && length < 6; k++)
            length += gn__utf8_encode(g[k].code, bytes + length);
        if (n <= 5 && length < 6 && gn__charsmap_find(m, bytes, length, &found, &size)) {
            modified = true;
            replace(spare, n, found, size);
            continue;
        }
        for (size_t k = 0; k < n; k++) {
            length = gn__utf8_encode(g[k].code, bytes);
            if (gn__charsmap_find(m, bytes, length, &found, &size)) {
                modified = true;
                replace(spare, 1, found, size);
            } else {
                gn__tok_add_glyph(spare, g[k].code, 0, 0);
            }
        }
    }
    if (modified && !spare->failed) gn__normal_place(text, spare);
}

extern const gn__tok_step_type gn__tok_normalizer_precompiled;
const gn__tok_step_type gn__tok_normalizer_precompiled = {
    .name = name, .parse = parse, .free = destroy, .apply = apply};
