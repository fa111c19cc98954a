/* Encodings: what is detected, and whether the texts come out as Python's codecs have them. */
#include "data/data.h"
#include "test.h"

static gn_error error;

static gn_context *context(void)
{
    static gn_context *ctx;
    if (ctx == NULL && gn_context_create(&(gn_context_options){.threads = 1}, &ctx, NULL) != GN_OK) abort();
    return ctx;
}

static gn_dataset *load(int slot, const char *name, gn_encoding encoding)
{
    static gn_dataset set[2];
    char path[128];
    snprintf(path, sizeof path, "tests/golden/data/%s", name);
    gn_dataset_options o = {.encoding = encoding};
    gn_dataset_free(&set[slot]);
    CHECK_OK(gn_dataset_read(context(), test_path(path), &o, &set[slot], &error), error);
    return &set[slot];
}

static const struct {
    const char *name, *same_as;
    gn_encoding encoding;
} files[] = {
    {"japanese_utf8.csv", "japanese_utf8.csv", GN_ENCODING_UTF8},
    {"japanese_bom.csv", "japanese_utf8.csv", GN_ENCODING_UTF8},
    {"japanese_cp932.csv", "japanese_utf8.csv", GN_ENCODING_CP932},
    {"plain_eucjp.csv", "plain_utf8.csv", GN_ENCODING_EUC_JP},
    {"kanji_cp932.csv", "kanji_utf8.csv", GN_ENCODING_CP932},
    {"kanji_eucjp.csv", "kanji_utf8.csv", GN_ENCODING_EUC_JP},
    {"half_cp932.csv", "half_utf8.csv", GN_ENCODING_CP932},
    {"french_latin1.csv", "french_utf8.csv", GN_ENCODING_LATIN1},
    {"german_latin1.csv", "german_utf8.csv", GN_ENCODING_LATIN1},
    {"spanish_latin1.csv", "spanish_utf8.csv", GN_ENCODING_LATIN1},
};

TEST(encodings_are_detected_and_decoded)
{
    for (size_t f = 0; f < sizeof files / sizeof *files; f++)
        for (int named = 0; named < 2; named++) {
            gn_dataset *is = load(0, files[f].name, named ? files[f].encoding : GN_ENCODING_AUTO);
            gn_dataset *should = load(1, files[f].same_as, GN_ENCODING_UTF8);
            if (is->encoding != files[f].encoding)
                test_fail(__FILE__, __LINE__, "%s was taken for %s", files[f].name,
                          gn_encoding_name(is->encoding));
            CHECK_INT(is->rows, should->rows);
            CHECK_INT(is->malformed, 0);
            for (size_t i = 0; i < is->rows; i++) {
                CHECK_STR(is->text[i], should->text[i]);
                CHECK_STR(is->class_names[is->label[i]], should->class_names[should->label[i]]);
                CHECK_INT(is->line[i], should->line[i]);
            }
        }
}

static gn_encoding detect(const char *s)
{
    return gn__detect_encoding(s, strlen(s));
}

TEST(detection_of_single_lines)
{
    CHECK_INT(detect(""), GN_ENCODING_UTF8);
    CHECK_INT(detect("plain"), GN_ENCODING_UTF8);
    CHECK_INT(detect("caf\xE9"), GN_ENCODING_LATIN1);
    CHECK_INT(detect("it\x92s \x93quoted\x94 \x80 5"), GN_ENCODING_LATIN1);
    CHECK_INT(detect("\xA3"
                     "5 \xB0 \xDF"),
              GN_ENCODING_LATIN1);
    CHECK_INT(detect("\x82\xA0\x82\xA2"), GN_ENCODING_CP932);  /* あい */
    CHECK_INT(detect("\xA4\xA2\xA4\xA4"), GN_ENCODING_EUC_JP); /* あい */
}

TEST(one_broken_character_leaves_utf8_utf8)
{
    gn__buf b = {0};
    for (int i = 0; i < 20; i++) gn__buf_puts(&b, "日本語\n");
    gn__buf_puts(&b, "cut \xE6\x97\n");
    CHECK_INT(gn__detect_encoding(b.data, b.length), GN_ENCODING_UTF8);
    gn_dataset d;
    CHECK_OK(gn__dataset_parse(context(), "a.txt", b.data, b.length, NULL, &d, &error), error);
    CHECK_INT(d.rows, 20);
    CHECK_INT(d.malformed, 1);
    CHECK_INT(d.malformed_rows[0].line, 21);
    CHECK_STR(d.malformed_rows[0].reason, "byte 5 of column 1 is not valid UTF-8");
    gn_dataset_free(&d);
    gn__buf_free(&b);
}

/* sha256 of "code point\n" lines against tables.txt, which Python wrote. */
static void check_table(const char *name, const gn__buf *lines, int count)
{
    char *golden, expected[128], hex[65];
    size_t n;
    gn__sha256 h;
    CHECK_OK(gn__read_file(test_path("tests/golden/data/tables.txt"), 4096, &golden, &n, &error), error);
    CHECK_OK(gn__sha256_begin(&h, &error), error);
    gn__sha256_update(&h, lines->data, lines->length);
    gn__sha256_end(&h, hex);
    snprintf(expected, sizeof expected, "%s %s %d\n", name, hex, count);
    bool same = strstr(golden, expected) != NULL;
    free(golden);
    if (!same) test_fail(__FILE__, __LINE__, "the table %s differs from Python's", name);
}

static uint32_t decode_one(const gn__decoder *d, const char *s, size_t n)
{
    gn__buf b = {0};
    size_t bad;
    uint32_t c = 0;
    if (gn__decode(d, s, n, &b, &bad) && b.length > 0 && gn__utf8_decode(b.data, b.length, &c) != b.length)
        c = 0;
    gn__buf_free(&b);
    return c;
}

TEST(every_double_byte_of_cp932_is_as_in_python)
{
    gn__decoder d;
    gn__buf lines = {0};
    int count = 0;
    CHECK_OK(gn__decoder_open(&d, GN_ENCODING_CP932, &error), error);
    for (int lead = 0x81; lead <= 0xFC; lead++)
        for (int trail = 0x40; trail <= 0xFC; trail++) {
            const char pair[2] = {(char)lead, (char)trail};
            uint32_t c = lead >= 0xA0 && lead <= 0xDF ? 0 : decode_one(&d, pair, 2);
            if (c == 0) continue;
            gn__buf_printf(&lines, "%x %x\n", (unsigned)(lead << 8 | trail), (unsigned)c);
            count++;
        }
    gn__decoder_close(&d);
    check_table("cp932", &lines, count);
    gn__buf_free(&lines);
}

/* Python's euc_jp knows JIS X 0208 without NEC's row 13 and the IBM rows (AD, F9–FC). */
TEST(euc_jp_has_the_characters_of_cp932)
{
    gn__decoder d;
    gn__buf pairs = {0}, triples = {0};
    int count = 0, count3 = 0;
    CHECK_OK(gn__decoder_open(&d, GN_ENCODING_EUC_JP, &error), error);
    for (int lead = 0xA1; lead <= 0xFE; lead++)
        for (int trail = 0xA1; trail <= 0xFE; trail++) {
            const char triple[3] = {(char)0x8F, (char)lead, (char)trail};
            uint32_t c = decode_one(&d, triple + 1, 2), c3 = decode_one(&d, triple, 3);
            unsigned code = (unsigned)(lead << 8 | trail);
            if (code == 0xA2B7 && c3 == 0xFF5E) c3 = 0x7E; /* ICU and WHATWG have ～ where Python has ~ */
            if (c != 0 && lead != 0xAD && lead < 0xF9) {
                gn__buf_printf(&pairs, "%x %x\n", code, (unsigned)c);
                count++;
            }
            if (c3 != 0 && lead != 0xF3 && lead != 0xF4) {
                gn__buf_printf(&triples, "%x %x\n", code, (unsigned)c3);
                count3++;
            }
        }
    CHECK_INT(decode_one(&d, "\xAD\xA1", 2), 0x2460);
    CHECK_INT(decode_one(&d, "\x8E\xB1", 2), 0xFF71);
    gn__decoder_close(&d);
    check_table("euc_jp", &pairs, count);
    check_table("jisx0212", &triples, count3);
    gn__buf_free(&pairs);
    gn__buf_free(&triples);
}

TEST(ill_formed_bytes)
{
    static const struct {
        gn_encoding encoding;
        const char *s;
        size_t bad;
    } cases[] = {
        {GN_ENCODING_UTF8, "a\xC3", 1},          {GN_ENCODING_UTF8, "\xED\xA0\x80", 0},
        {GN_ENCODING_UTF8, "ok\xC0\xAF", 2},     {GN_ENCODING_UTF8, "\xF4\x90\x80\x80", 0},
        {GN_ENCODING_CP932, "a\x82", 1},         {GN_ENCODING_CP932, "\x80", 0},
        {GN_ENCODING_CP932, "\xA0", 0},          {GN_ENCODING_CP932, "\xFD\x40", 0},
        {GN_ENCODING_CP932, "\x82 a", 0},        {GN_ENCODING_CP932, "\x85\x40", 0},
        {GN_ENCODING_EUC_JP, "\xA4", 0},         {GN_ENCODING_EUC_JP, "x\xA4z", 1},
        {GN_ENCODING_EUC_JP, "\x8E\xE0", 0},     {GN_ENCODING_EUC_JP, "\x8F\xA2", 0},
        {GN_ENCODING_EUC_JP, "\x8F\xA1\xA1", 0}, {GN_ENCODING_EUC_JP, "\x80\xA4", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gn__decoder d;
        gn__buf b = {0};
        size_t bad = 99;
        CHECK_OK(gn__decoder_open(&d, cases[i].encoding, &error), error);
        bool good = gn__decode(&d, cases[i].s, strlen(cases[i].s), &b, &bad);
        gn__decoder_close(&d);
        gn__buf_free(&b);
        if (good || bad != cases[i].bad)
            test_fail(__FILE__, __LINE__, "case %zu: good %d, bad byte %zu", i, good, bad);
    }
}

TEST(a_spelled_out_replacement_character_is_good)
{
    gn__decoder d = {.encoding = GN_ENCODING_UTF8};
    CHECK_INT(decode_one(&d, "\xEF\xBF\xBD", 3), 0xFFFD);
}

TEST(windows_1252_controls)
{
    gn__decoder d = {.encoding = GN_ENCODING_LATIN1};
    CHECK_INT(decode_one(&d, "\x80", 1), 0x20AC);
    CHECK_INT(decode_one(&d, "\x81", 1), 0x81);
    CHECK_INT(decode_one(&d, "\x92", 1), 0x2019);
    CHECK_INT(decode_one(&d, "\xFF", 1), 0xFF);
    CHECK_STR(gn_encoding_name(GN_ENCODING_LATIN1), "ISO-8859-1");
    CHECK_STR(gn_encoding_name(GN_ENCODING_EUC_JP), "EUC-JP");
}
