#include "core/core.h"
#include "decide/reasons.h"
#include "fixture_result.h"
#include "genchi/report.h"
#include "report/sentences.h"
#include "report/strings.h"
#include "report/wrap.h"
#include "test.h"

static char *text_of(const gn_result *r, gn_lang lang, bool colour, unsigned columns)
{
    char *out = NULL;
    size_t length;
    gn_error err = {0};
    CHECK_OK(gn_report_text(r, lang, colour, columns, &out, &length, &err), err);
    CHECK_INT(strlen(out), length);
    return out;
}

/* UPDATE_GOLDEN=1 writes the file instead; read the difference before committing it. */
static void check_golden(const char *found, const char *name)
{
    const char *path = test_path(name);
    gn_error err = {0};
    if (getenv("UPDATE_GOLDEN") != NULL) CHECK_OK(gn__write_file(path, found, strlen(found), &err), err);
    char *expected = NULL;
    size_t length;
    CHECK_OK(gn__read_file(path, 1 << 20, &expected, &length, &err), err);
    bool same = strcmp(found, expected) == 0;
    free(expected);
    if (!same) printf("%s\n", found);
    CHECK(same);
}

TEST(snapshots)
{
    static const struct {
        unsigned flags;
        gn_lang lang;
        const char *file;
    } cases[] = {
        {0, GN_LANG_EN, "tests/golden/report/terminal_en.txt"},
        {0, GN_LANG_JA, "tests/golden/report/terminal_ja.txt"},
        {FIXTURE_UNLABELLED, GN_LANG_EN, "tests/golden/report/terminal_unlabelled_en.txt"},
        {FIXTURE_UNLABELLED | FIXTURE_NO_CONTROL, GN_LANG_JA,
         "tests/golden/report/terminal_unlabelled_ja.txt"},
        {FIXTURE_FINETUNE, GN_LANG_EN, "tests/golden/report/terminal_finetune_en.txt"},
        {FIXTURE_FINETUNE, GN_LANG_JA, "tests/golden/report/terminal_finetune_ja.txt"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gn_result r;
        fixture_result_with(&r, cases[i].flags);
        char *text = text_of(&r, cases[i].lang, false, 80);
        check_golden(text, cases[i].file);
        free(text);
        gn_result_free(&r);
    }
}

TEST(no_line_is_wider_than_asked)
{
    static const unsigned widths[] = {40, 60, 80, 100, 132};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        for (int lang = 0; lang < 2; lang++) {
            gn_result r;
            fixture_result_with(&r, FIXTURE_THREE_CLASSES);
            char *text = text_of(&r, (gn_lang)lang, false, widths[i]);
            for (const char *line = text; *line != '\0';) {
                size_t n = strcspn(line, "\n");
                /* one sign of closing punctuation may hang over, never more */
                if (gn__columns(line, n) > widths[i])
                    test_fail(__FILE__, __LINE__, "at %u: %.*s", widths[i], (int)n, line);
                CHECK(n == 0 || line[n - 1] != ' ');
                line += n + (line[n] == '\n');
            }
            free(text);
            gn_result_free(&r);
        }
    }
}

TEST(colours_only_when_asked_and_no_control_characters_from_the_data)
{
    gn_result r;
    fixture_result(&r);
    free(r.test.path);
    r.test.path = gn__strdup("evil\x1b[2J\rname\xe2\x80\xae");
    char *plain = text_of(&r, GN_LANG_EN, false, 0), *coloured = text_of(&r, GN_LANG_EN, true, 0);
    CHECK(strchr(plain, '\x1b') == NULL && strchr(plain, '\r') == NULL);
    CHECK_HAS(plain, "evil\xef\xbf\xbd[2J");
    CHECK(strchr(coloured, '\x1b') != NULL);
    CHECK(strstr(coloured, "[2J\r") == NULL);
    /* taking the colours out gives the plain text */
    char *to = coloured;
    for (const char *from = coloured; *from != '\0';) {
        if (*from == '\x1b')
            from += strcspn(from, "m") + 1;
        else
            *to++ = *from++;
    }
    *to = '\0';
    CHECK_STR(coloured, plain);
    free(plain);
    free(coloured);
    gn_result_free(&r);
}

TEST(only_the_steps_that_were_run)
{
    static const struct {
        unsigned steps;
        const char *has, *lacks[3];
    } cases[] = {{GN_STEP_SEE, "Overlap on PC1", {"within test, by", "p-value", "fix_data"}},
                 {GN_STEP_DETECT, "within “positive”", {"within test, by", "Overlap", "fix_data"}},
                 {GN_STEP_VERIFY, "within test, by", {"Overlap", "p-value", "fix_data"}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gn_result r;
        fixture_result_with(&r, FIXTURE_NO_CONTROL);
        r.steps = cases[i].steps;
        char *text = text_of(&r, GN_LANG_EN, false, 0);
        CHECK_HAS(text, cases[i].has);
        for (int k = 0; k < 3; k++) CHECK(strstr(text, cases[i].lacks[k]) == NULL);
        CHECK(strncmp(text, "Evidence\n", 9) == 0 && strstr(text, "\n\n\n") == NULL);
        CHECK(strstr(text, "Monday") == NULL);
        free(text);
        gn_result_free(&r);
    }
}

TEST(widths_of_characters)
{
    static const struct {
        const char *text;
        size_t columns;
    } cases[] = {{"abc", 3}, {"日本語", 6}, {"ｱｲｳ", 3},  {"Ａ", 2}, {"e\u0301", 1},
                 {"가", 2},  {"👍", 2},      {"é–“”", 4}, {"", 0},   {"、。", 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_INT(gn__columns(cases[i].text, strlen(cases[i].text)), cases[i].columns);
}

TEST(wrapping)
{
    static const struct {
        const char *text;
        size_t used, indent, columns;
        const char *expected;
    } cases[] = {
        {"one two three", 0, 0, 8, "one two\nthree\n"},
        {"one two three", 2, 2, 9, "one two\n  three\n"},
        {"unbreakablelongword x", 0, 0, 5, "unbreakablelongword\nx\n"},
        {"あいうえお", 0, 0, 6, "あいう\nえお\n"},
        {"あいう。え", 0, 0, 6, "あい\nう。え\n"},                      /* no line begins with 。 */
        {"あい「うえ", 0, 0, 6, "あい\n「うえ\n"},                      /* none ends with 「 */
        {"あきゃあ", 0, 0, 4, "あ\nきゃ\nあ\n"},                        /* small kana stay with theirs */
        {"評価データとグループ", 0, 0, 14, "評価データと\nグループ\n"}, /* katakana words stay whole */
        {"形式不正2行です", 0, 0, 9, "形式不正\n2行です\n"},
        {"値はAUC 0.91です", 0, 0, 9, "値はAUC\n0.91です\n"},
        {"評価データ（12%）です", 0, 0, 12, "評価データ\n（12%）です\n"},
        {"", 0, 0, 10, "\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gn__buf b = {0};
        gn__put_wrapped(&b, cases[i].text, cases[i].used, cases[i].indent, cases[i].columns);
        CHECK_STR(b.data, cases[i].expected);
        gn__buf_free(&b);
    }
}

TEST(numbers_as_people_write_them)
{
    static const struct {
        char kind;
        double value;
        const char *en;
    } cases[] = {
        {'n', 0, "0"},
        {'n', 999, "999"},
        {'n', 1234567, "1,234,567"},
        {'n', -1000, "-1,000"},
        {'%', 0.836, "84%"},
        {'%', 0.9961, "99.6%"},
        {'%', 1, "100%"},
        {'%', 0.004, "0.4%"},
        {'%', 0, "0%"},
        {'%', NAN, "–"},
        {'f', 0.126, "0.13"},
        {'f', -0.001, "0.00"},
        {'f', -1.5, "-1.50"},
        {'f', 12, "12.00"},
        {'t', 0.113, "11 points"},
        {'t', -0.01, "1 point"},
        {'t', 0.004, "0.4 points"},
        {'p', 0.001, "0.001"},
        {'p', 0.31, "0.31"},
        {'p', 0.0002, "0.00020"},
        {'p', 1e-9, "0.00001"},
        {'b', 187.0 * 1000 * 1000, "187 MB"},
        {'b', 1.25e9, "1.3 GB"},
        {'b', 12, "12 B"},
        {'n', INFINITY, "–"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gn__buf b = {0};
        double x = cases[i].value;
        switch (cases[i].kind) {
        case 'n':
            gn__put_count(&b, x);
            break;
        case '%':
            gn__put_percent(&b, x, GN_LANG_EN);
            break;
        case 'f':
            gn__put_fixed(&b, x, 2);
            break;
        case 't':
            gn__put_points(&b, x, GN_LANG_EN);
            break;
        case 'p':
            gn__put_p(&b, x);
            break;
        default:
            gn__put_bytes(&b, x);
            break;
        }
        CHECK_STR(b.data, cases[i].en);
        gn__buf_free(&b);
    }
}

/* Every sentence exists in both languages, names only values that its id has, and uses all placeholders that
 * its translation uses, so that neither language tells less. */
TEST(sentences_agree_with_their_ids)
{
    static const struct {
        const char *id, *text[2];
    } templates[] = {
#define S(name, en, ja) {#name, {en, ja}},
#include "report/sentences.def"
#undef S
    };
    size_t n = sizeof templates / sizeof *templates;
    CHECK_INT(n, GN__REASON_COUNT);
    for (size_t i = 0; i < n; i++) {
        char lower[64] = {0};
        for (size_t k = 0; templates[i].id[k] != '\0' && k < 63; k++)
            lower[k] = templates[i].id[k] == '_' ? '_' : (char)(templates[i].id[k] | 0x20);
        gn__reason_id id = gn__reason_find(lower);
        CHECK(id != GN__REASON_COUNT);
        for (int lang = 0; lang < 2; lang++) {
            const char *s = templates[i].text[lang];
            while ((s = strchr(s, '{')) != NULL) {
                if (s[1] < '0' || s[1] - '0' >= gn__reason_get(id)->values ||
                    strchr("%ntdp.lms", s[2]) == NULL)
                    test_fail(__FILE__, __LINE__, "%s: %.5s", lower, s);
                char field[8] = {0};
                memcpy(field, s, strcspn(s, "}") + 1);
                if (strstr(templates[i].text[1 - lang], field) == NULL)
                    test_fail(__FILE__, __LINE__, "%s: only one language tells %s", lower, field);
                s++;
            }
        }
        /* Japanese ends in a full stop of its own and holds no half-width one */
        const char *ja = templates[i].text[1];
        CHECK(strcmp(ja + strlen(ja) - 3, "。") == 0);
        CHECK(strstr(ja, ", ") == NULL && strstr(ja, " (") == NULL);
    }
}

TEST(a_sentence_in_full)
{
    gn_result r;
    fixture_result(&r);
    gn_reason reason = {"shift_in_label", GN_FOR, {1, 0.876, 0.8, 0.93, 0.002}, 5};
    gn__buf en = {0}, ja = {0}, bare = {0}, unknown = {0};
    gn__reason_text(&r, &reason, GN_LANG_EN, &en);
    gn__reason_text(&r, &reason, GN_LANG_JA, &ja);
    gn__reason_text(NULL, &reason, GN_LANG_EN, &bare);
    CHECK_STR(
        en.data,
        "The two sets also differ among the texts labelled “positive” alone: 88% of pairs are told apart "
        "(95% interval 80% to 93%; p = 0.002 after correction for the number of labels).");
    CHECK_STR(ja.data, "ラベル「positive」の文だけを比べても両者は異なり、88%の組を見分けられます（95%区間 "
                       "80%〜93%。ラベル数を"
                       "補正した p = 0.002）。");
    CHECK_HAS(bare.data, "labelled “1” alone");
    gn_reason other = {"of_a_later_version", GN_FOR, {0}, 0};
    gn__reason_text(&r, &other, GN_LANG_EN, &unknown);
    CHECK_STR(unknown.data, "of_a_later_version");
    gn__buf_free(&en);
    gn__buf_free(&ja);
    gn__buf_free(&bare);
    gn__buf_free(&unknown);
    gn_result_free(&r);
}

TEST(every_word_is_in_both_languages)
{
    for (int lang = 0; lang < 2; lang++) {
        for (int i = 0; i < GN_VERDICT_COUNT; i++) {
            CHECK(*gn__verdict_title((gn_verdict_code)i, (gn_lang)lang) != '\0');
            CHECK(*gn__verdict_summary((gn_verdict_code)i, (gn_lang)lang) != '\0');
        }
        for (int i = 0; i < GN_EVAL_COUNT; i++) CHECK(*gn__eval_text((gn_eval_kind)i, (gn_lang)lang) != '\0');
        for (int i = 0; i < 3; i++) {
            CHECK(*gn__stance_title((gn_stance)i, (gn_lang)lang) != '\0');
            CHECK(*gn__shift_answer_text((gn_shift_answer)i, (gn_lang)lang) != '\0');
        }
        for (int i = 0; i < GN__WORD_COUNT; i++) CHECK(*gn__word((gn__word_id)i, (gn_lang)lang) != '\0');
    }
}
