#include "core/core.h"
#include "fixture_result.h"
#include "genchi/report.h"
#include "report/contour.h"
#include "report/markup.h"
#include "test.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- contours ---- */

enum { GRID = 96 };
static const double reach = 5; /* the grid covers [-5, 5] on both axes */

static double at_grid(size_t i)
{
    return -reach + 2 * reach * (double)i / (GRID - 1);
}

static void fill_normal(double *density, double mean_x, double mean_y, double weight)
{
    for (size_t r = 0; r < GRID; r++)
        for (size_t c = 0; c < GRID; c++) {
            double x = at_grid(c) - mean_x, y = at_grid(r) - mean_y;
            density[r * GRID + c] += weight * exp(-(x * x + y * y) / 2) / (2 * 3.14159265358979323846);
        }
}

/* The smallest region with mass m of a bivariate standard normal is a disc of radius sqrt(-2 ln(1 - m)). */
TEST(contour_holds_the_mass_of_a_normal)
{
    static const double masses[] = {0.5, 0.9, 0.99};
    static double density[GRID * GRID];
    memset(density, 0, sizeof density);
    const double mean[2] = {0.137, -0.211}; /* off the grid, whose symmetry would make ties */
    fill_normal(density, mean[0], mean[1], 1);
    for (size_t k = 0; k < sizeof masses / sizeof *masses; k++) {
        gn_error err = {0};
        double level, radius = sqrt(-2 * log(1 - masses[k]));
        CHECK_OK(gn__contour_level(density, GRID * GRID, masses[k], &level, &err), err);
        CHECK_NEAR(level / (exp(-radius * radius / 2) / (2 * 3.14159265358979323846)), 1, 0.02);
        gn__contour c;
        CHECK_OK(gn__contour_trace(density, GRID, GRID, level, &c, &err), err);
        CHECK_INT(c.loops, 1);
        CHECK(c.points > 40);
        double area = 0;
        for (size_t i = 0; i < c.points; i++) {
            double scale = 2 * reach / (GRID - 1), *a = c.point[i], *b = c.point[(i + 1) % c.points];
            double x = -reach + a[0] * scale, y = -reach + a[1] * scale;
            CHECK_NEAR(hypot(x - mean[0], y - mean[1]), radius, 0.01);
            area += (a[0] * b[1] - b[0] * a[1]) / 2 * scale * scale;
        }
        /* the sign says that the inside lies to the left */
        CHECK_NEAR(area, 3.14159265358979323846 * radius * radius, 0.01 * area);
        gn__contour_free(&c);
    }
}

TEST(contour_finds_every_island_and_the_hole)
{
    static double density[GRID * GRID];
    gn_error err = {0};
    gn__contour c;
    memset(density, 0, sizeof density);
    fill_normal(density, -2.5, 0, 0.5);
    fill_normal(density, 2.5, 0, 0.5);
    CHECK_OK(gn__contour_trace(density, GRID, GRID, 0.04, &c, &err), err);
    CHECK_INT(c.loops, 2);
    gn__contour_free(&c);
    for (size_t r = 0; r < GRID; r++) /* a ring of radius 2 */
        for (size_t k = 0; k < GRID; k++) {
            double d = hypot(at_grid(r), at_grid(k)) - 2;
            density[r * GRID + k] = exp(-d * d * 4);
        }
    CHECK_OK(gn__contour_trace(density, GRID, GRID, 0.5, &c, &err), err);
    CHECK_INT(c.loops, 2);
    gn__contour_free(&c);
}

TEST(contour_resolves_saddles_and_closes_at_the_border)
{
    static const double saddle[] = {1, 0, 0, 1};
    static const double flat[] = {1, 1, 1, 1, 1, 1};
    gn_error err = {0};
    gn__contour c;
    CHECK_OK(gn__contour_trace(saddle, 2, 2, 0.4, &c, &err), err);
    CHECK_INT(c.loops, 1);
    gn__contour_free(&c);
    CHECK_OK(gn__contour_trace(saddle, 2, 2, 0.6, &c, &err), err);
    CHECK_INT(c.loops, 2);
    gn__contour_free(&c);
    CHECK_OK(gn__contour_trace(flat, 3, 2, 0.5, &c, &err), err);
    CHECK_INT(c.loops, 1);
    for (size_t i = 0; i < c.points; i++)
        CHECK(c.point[i][0] >= 0 && c.point[i][0] <= 2 && c.point[i][1] >= 0 && c.point[i][1] <= 1);
    gn__contour_free(&c);
    CHECK_OK(gn__contour_trace(flat, 3, 2, 0, &c, &err), err); /* no level, no lines */
    CHECK_INT(c.loops, 0);
    gn__contour_free(&c);
}

/* ---- text ---- */

TEST(outside_text_is_escaped)
{
    static const struct {
        const char *in, *out;
    } known[] = {
        {"a < b & c > d", "a &lt; b &amp; c &gt; d"},
        {"<script>alert(\"x\")</script>", "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;"},
        {"it's", "it&#39;s"},
        {"&amp;", "&amp;amp;"},
        {"a\tb\nc\r\nd", "a b c  d"},
        {"bell\a null\x01 del\x7f", "bell null del"},
        {"c1\xC2\x85 control", "c1 control"},
        {"日本語 👍🏽", "日本語 👍🏽"},
        {"over\xE2\x80\xAEride\xE2\x80\xAC", "override"}, /* U+202E, U+202C */
        {"iso\xE2\x81\xA6late\xE2\x81\xA9", "isolate"},   /* U+2066, U+2069 */
        {"zwj\xE2\x80\x8Dstays", "zwj\xE2\x80\x8Dstays"}, /* emoji need U+200D */
        {"bad\xFF\xC3 bytes", "bad\xEF\xBF\xBD\xEF\xBF\xBD bytes"},
        {"cut\xE6\x97", "cut\xEF\xBF\xBD"},
        {"non\xEF\xBF\xBF"
         "char",
         "nonchar"}, /* U+FFFF is not allowed in XML */
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        gn__page p;
        gn_error err = {0};
        char *out;
        size_t length;
        gn__page_begin(&p, NULL, GN_LANG_EN);
        gn__escape(&p, known[i].in);
        CHECK_OK(gn__page_end(&p, &out, &length, &err), err);
        CHECK_STR(out, known[i].out);
        CHECK_INT(length, strlen(out));
        free(out);
    }
}

TEST(long_text_is_cut_at_a_character)
{
    gn__page p;
    gn_error err = {0};
    char *out;
    size_t length;
    gn__page_begin(&p, NULL, GN_LANG_JA);
    gn__escape_short(&p, "日本語の文", 3);
    gn__put(&p, "|");
    gn__escape_short(&p, "日本語", 3);
    gn__put(&p, "|");
    gn__put(&p, gn__text_fit(&p, "日本語の文です", 10, 45));
    CHECK_OK(gn__page_end(&p, &out, &length, &err), err);
    CHECK_STR(out, "日本語…|日本語|日本語…");
    free(out);
}

static unsigned placeholders(const char *s)
{
    unsigned set = 0;
    for (; *s != '\0'; s++)
        if (s[0] == '{') {
            CHECK(s[1] >= '1' && s[1] <= '9' && s[2] == '}');
            set |= 1u << (s[1] - '0');
        }
    return set;
}

TEST(every_string_exists_in_both_languages)
{
    for (int id = 0; id < GN__H_COUNT; id++) {
        const char *en = gn__html_text((gn__html_id)id, GN_LANG_EN),
                   *ja = gn__html_text((gn__html_id)id, GN_LANG_JA);
        CHECK(en != NULL && en[0] != '\0');
        CHECK(ja != NULL && ja[0] != '\0');
        if (placeholders(en) != placeholders(ja))
            test_fail(__FILE__, __LINE__, "placeholders of \"%s\" and \"%s\" differ", en, ja);
    }
}

TEST(numbers_are_written_alike)
{
    gn__page p;
    gn__page_begin(&p, NULL, GN_LANG_EN);
    CHECK_STR(gn__n_interval(&p, (gn_interval){0.74111, 0.66949, 0.8126}, 2), "0.74 (0.67–0.81)");
    CHECK_STR(gn__n_interval(&p, (gn_interval){0.74111, NAN, NAN}, 2), "0.74");
    CHECK_STR(gn__n_interval(&p, (gn_interval){NAN, 0, 1}, 2), "–");
    CHECK_STR(gn__n_interval_percent(&p, (gn_interval){0.74111, 0.66949, 0.8126}, 1), "74.1% (66.9–81.3)");
    CHECK_STR(gn__n_range_percent(&p, (gn_interval){0, 0.66949, 0.8126}), "67–81%");
    CHECK_STR(gn__n_signed_points(&p, -0.0944), "−9.4");
    CHECK_STR(gn__n_signed_points(&p, 0.0944), "+9.4");
    CHECK_STR(gn__n_signed_points(&p, NAN), "–");
    CHECK_STR(gn__n_tick(&p, -2, 0), "−2");
    CHECK_STR(gn__n_tick(&p, -1e-17, 1), "0.0");
    CHECK_STR(gn__n_time(&p, "2026-03-02T09:41:27Z"), "2026-03-02 09:41 UTC");
    CHECK_STR(gn__n_time(&p, "yesterday"), "yesterday");
    gn__draw_all(&p, "@ @ @ @", (const double[]){1.25, -0.04, NAN, -3.96}, 4);
    CHECK_STR(p.out.data, "1.3 0 0 -4");
    gn__buf_free(&p.out);
    gn__arena_free(&p.scratch);
}

/* ---- documents ---- */

/* Just enough of an XML reader to fail on what a browser would have to guess: tags that do not balance, bare
 * ampersands and angle brackets, attributes without quotes. */
static void check_well_formed(const char *s)
{
    enum { DEPTH = 64, NAME = 24 };
    char stack[DEPTH][NAME];
    int depth = 0;
    if (strncmp(s, "<!DOCTYPE html>", 15) == 0) s += 15;
    while (*s != '\0') {
        if (*s == '&') {
            static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
            bool known = false;
            for (size_t i = 0; i < sizeof entities / sizeof *entities; i++)
                known = known || strncmp(s, entities[i], strlen(entities[i])) == 0;
            if (!known) test_fail(__FILE__, __LINE__, "bare & at \"%.40s\"", s);
        }
        CHECK(*s != '>');
        if (*s != '<') {
            s++;
            continue;
        }
        bool closing = s[1] == '/';
        const char *name = s + 1 + closing;
        size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        if (n == 0 || n >= NAME) test_fail(__FILE__, __LINE__, "not a tag: \"%.40s\"", s);
        const char *end = name + n;
        while (*end == ' ') { /* attributes: name="value" */
            end += strspn(end, " ");
            end += strcspn(end, "=\"<> ");
            if (strncmp(end, "=\"", 2) != 0)
                test_fail(__FILE__, __LINE__, "attribute without value: \"%.60s\"", s);
            end += 2;
            end += strcspn(end, "\"<");
            if (*end != '"') test_fail(__FILE__, __LINE__, "attribute not closed: \"%.60s\"", s);
            end++;
        }
        bool alone = *end == '/';
        end += alone;
        if (*end != '>') test_fail(__FILE__, __LINE__, "tag not closed: \"%.60s\"", s);
        if (closing) {
            if (depth == 0 || strlen(stack[depth - 1]) != n || strncmp(stack[depth - 1], name, n) != 0)
                test_fail(__FILE__, __LINE__, "</%.*s> closes <%s>", (int)n, name,
                          depth ? stack[depth - 1] : "");
            depth--;
        } else if (!alone) {
            CHECK(depth < DEPTH);
            memcpy(stack[depth], name, n);
            stack[depth++][n] = '\0';
        }
        s = end + 1;
        if (!closing && strncmp(name, "style", n) == 0) s += strcspn(s, "<");
    }
    CHECK_INT(depth, 0);
}

static void check_lacks(const char *text, const char *words)
{
    const char *at = strstr(text, words);
    if (at != NULL) test_fail(__FILE__, __LINE__, "\"%s\" found: \"%.60s\"", words, at);
}

static char *html_of(const gn_result *r, gn_lang lang)
{
    gn_error err = {0};
    char *out;
    size_t length;
    CHECK_OK(gn_report_html(r, lang, &out, &length, &err), err);
    CHECK_INT(length, strlen(out));
    return out;
}

static void check_html(const gn_result *r, gn_lang lang)
{
    char *html = html_of(r, lang);
    check_well_formed(html);
    CHECK(strncmp(html, "<!DOCTYPE html>", 15) == 0);
    CHECK_HAS(html, lang == GN_LANG_JA ? "<html lang=\"ja\">" : "<html lang=\"en\">");
    CHECK_HAS(html, "default-src 'none'");
    static const char *const forbidden[] = {
        "<script", "http:", "https:", "url(", "@import", " src=", "onload", "javascript",
        "{1}",     "{2}",   "(null)", ">nan", " nan",    "(nan",  "nan%",   "<link"};
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) check_lacks(html, forbidden[i]);
    for (const char *s = html; (s = strstr(s, "href=\"")) != NULL; s++) CHECK(s[6] == '#');
    free(html);
}

TEST(html_is_whole_and_alone_for_every_kind_of_result)
{
    for (unsigned flags = 0; flags < 64; flags++) {
        gn_result r;
        fixture_result_with(&r, flags);
        check_html(&r, GN_LANG_EN);
        check_html(&r, GN_LANG_JA);
        gn_result_free(&r);
    }
}

TEST(html_says_what_the_result_says)
{
    gn_result r;
    fixture_result(&r);
    char *html = html_of(&r, GN_LANG_EN);
    static const char *const shown[] = {
        "0.91 (0.88–0.94)", "Fix the training data first",
        "&lt;script&gt;alert(&#39;not run&#39;)&lt;/script&gt; is what",
        "data/field &lt;2024&gt; &amp; more.tsv", "商品の説明と色が違っていて",
        "a quoted field is never closed", "all-MiniLM-L6-v2",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", "PC1 (14.2% of the variance)",
        "customer (43 groups)", "separates_not_carried",
        /* the grouped score lies below the ordinary one, and the report says so */
        "flatters the probe: 83.5% there, but 74.1% when every “customer” is kept whole", "196 MB",
        "OpenBLAS 0.3.21", "--test-group customer --model"};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) CHECK_HAS(html, shown[i]);
    free(html);
    r.main.probe.grouped_vs_ungrouped.difference = (gn_interval){-0.01, -0.04, 0.02};
    html = html_of(&r, GN_LANG_EN);
    CHECK_HAS(html, "The score survives keeping every “customer” whole");
    check_lacks(html, "flatters the probe");
    free(html);
    gn_result_free(&r);
}

TEST(html_says_what_fine_tuning_gave)
{
    gn_result r;
    fixture_result_with(&r, FIXTURE_FINETUNE);
    char *html = html_of(&r, GN_LANG_EN);
    static const char *const shown[] = {"Fine-tuning beside the probe",
                                        "full, trained on train",
                                        "hurts",
                                        "cannot tell; 1,260 test rows would",
                                        "−4.5",
                                        "0.910",
                                        "442,100",
                                        "How far the model moved",
                                        "Forecast without training"};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) CHECK_HAS(html, shown[i]);
    free(html);
    html = html_of(&r, GN_LANG_JA);
    CHECK_HAS(html, "全体（学習データで学習）");
    CHECK_HAS(html, "悪くなる");
    free(html);
    gn_result_free(&r);
    fixture_result_with(&r, FIXTURE_FINETUNE | FIXTURE_UNLABELLED);
    html = html_of(&r, GN_LANG_EN);
    CHECK_HAS(html, "Fine-tuning was not compared: no labels in train.");
    free(html);
    gn_result_free(&r);
}

TEST(html_says_what_missing_labels_cost)
{
    gn_result r;
    fixture_result_with(&r, FIXTURE_UNLABELLED);
    char *html = html_of(&r, GN_LANG_EN);
    CHECK_HAS(html, "There are no probe results: neither set has a label column.");
    CHECK_HAS(html, "What that costs:");
    CHECK_HAS(html, "Without labels the shift cannot be looked at class by class");
    free(html);
    gn_result_free(&r);
}

TEST(html_leaves_out_what_is_not_there)
{
    gn_result r;
    fixture_result_with(&r, FIXTURE_NO_CONTROL | FIXTURE_HIDE_TEXTS | FIXTURE_UNGROUPED);
    char *html = html_of(&r, GN_LANG_EN);
    check_lacks(html, "The parcel never arrived");
    check_lacks(html, "The hollow mark is the lexical control");
    CHECK_HAS(html, "--hide-texts");
    CHECK_HAS(html, "No group column was named");
    free(html);
    gn_result_free(&r);
}

TEST(html_survives_an_empty_result)
{
    gn_result r = {0};
    double *first = (double *)&r.main.shift.auc;
    check_html(&r, GN_LANG_EN);
    for (int i = 0; i < 3; i++) first[i] = NAN;
    r.main.picture.pc1.overlap = r.main.picture.plane.overlap = (gn_interval){NAN, NAN, NAN};
    check_html(&r, GN_LANG_JA);
    for (int f = 0; f < GN_FIGURE_COUNT; f++) {
        gn_error err = {0};
        char *out;
        size_t length;
        CHECK_OK(gn_report_figure(&r, (gn_figure)f, GN_LANG_EN, &out, &length, &err), err);
        CHECK_INT(length, 0);
        CHECK_STR(out, "");
        free(out);
    }
}

/* Numbers that are not finite, and an unknown reason, must not reach the page as such. */
TEST(html_survives_numbers_that_are_missing)
{
    gn_result r;
    fixture_result(&r);
    gn_interval none = {NAN, NAN, NAN};
    r.main.shift.p_value = r.main.shift.p_holm = NAN;
    r.main.by_label[1].auc = none;
    r.main.picture.pc1.yardstick = none;
    r.main.picture.density[2].plane[17] = NAN;
    r.main.picture.density[3].pc1[17] = NAN;
    r.main.picture.point[3].x = NAN;
    for (int k = 0; k < GN_EVAL_COUNT; k++) r.main.probe.eval[k].scores.auc = none;
    r.main.probe.eval[GN_EVAL_TRAIN_TO_TEST].scores.accuracy.low = NAN;
    r.main.probe.eval[GN_EVAL_TRAIN_TO_TEST].majority = NAN;
    r.verdict.reason[0].id = "a_reason_of_a_later_version";
    check_html(&r, GN_LANG_EN);
    check_html(&r, GN_LANG_JA);
    gn_result_free(&r);
}

/* More classes than there are looks: the largest keep theirs, the others are drawn together. */
TEST(many_classes_are_drawn_together)
{
    enum { CLASSES = 9 };
    gn_result r;
    fixture_result_with(&r, FIXTURE_THREE_CLASSES);
    r.class_name = gn__realloc(r.class_name, CLASSES, sizeof *r.class_name);
    r.train.class_rows = gn__realloc(r.train.class_rows, CLASSES, sizeof(size_t));
    r.test.class_rows = gn__realloc(r.test.class_rows, CLASSES, sizeof(size_t));
    r.main.by_label = gn__realloc(r.main.by_label, CLASSES, sizeof *r.main.by_label);
    r.control.by_label = gn__realloc(r.control.by_label, CLASSES, sizeof *r.control.by_label);
    for (int c = 3; c < CLASSES; c++) {
        r.class_name[c] =
            gn__strdup(c == 4 ? "a class with a name so long that no legend could ever hold it whole, "
                                "whatever the width of the paper"
                              : "class <&>");
        r.train.class_rows[c] = r.test.class_rows[c] = (size_t)(2 * CLASSES - c);
        r.main.by_label[c] = r.main.by_label[2];
        r.control.by_label[c] = r.control.by_label[2];
    }
    r.classes = CLASSES;
    for (size_t i = 0; i < r.main.picture.points; i += 5)
        r.main.picture.point[i].label = (int)(i / 5 % CLASSES);
    char *html = html_of(&r, GN_LANG_EN);
    CHECK_HAS(html, "Only the 6 largest of 9 classes");
    CHECK_HAS(html, "other classes");
    free(html);
    check_html(&r, GN_LANG_JA);
    gn_result_free(&r);
}

static size_t count(const char *text, const char *words)
{
    size_t n = 0;
    for (; (text = strstr(text, words)) != NULL; text += strlen(words)) n++;
    return n;
}

TEST(figures_stand_alone)
{
    static const unsigned kinds[] = {FIXTURE_FINETUNE, FIXTURE_UNLABELLED | FIXTURE_FINETUNE,
                                     FIXTURE_THREE_CLASSES | FIXTURE_FINETUNE,
                                     FIXTURE_NO_CONTROL | FIXTURE_FINETUNE};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        gn_result r;
        fixture_result_with(&r, kinds[k]);
        for (int f = 0; f < GN_FIGURE_COUNT; f++)
            for (int lang = GN_LANG_EN; lang <= GN_LANG_JA; lang++) {
                gn_error err = {0};
                char *svg;
                size_t length;
                CHECK_OK(gn_report_figure(&r, (gn_figure)f, (gn_lang)lang, &svg, &length, &err), err);
                if ((kinds[k] & FIXTURE_UNLABELLED) && (f == GN_FIGURE_PROBES || f >= GN_FIGURE_FINETUNE)) {
                    CHECK_INT(length, 0);
                } else {
                    check_well_formed(svg);
                    CHECK(strncmp(svg, "<svg xmlns=\"http://www.w3.org/2000/svg\"", 39) == 0);
                    CHECK_INT(count(svg, "http"), 1);
                    CHECK_HAS(svg, "font-family=");
                    check_lacks(svg, "class=\"wide\"");
                }
                /* each drawn text is there to be read on hover; the figure itself has one title more */
                if (f == GN_FIGURE_PLANE) CHECK_INT(count(svg, "<title>"), r.main.picture.points + 1);
                free(svg);
            }
        gn_result_free(&r);
    }
    CHECK_STR(gn_figure_file(GN_FIGURE_PLANE), "plane.svg");
    CHECK_STR(gn_figure_file(GN_FIGURE_SHIFT), "shift.svg");
}

TEST(an_unknown_figure_is_an_error)
{
    gn_result r = {0};
    gn_error err = {0};
    char *out;
    size_t length;
    CHECK_INT(gn_report_figure(&r, GN_FIGURE_COUNT, GN_LANG_EN, &out, &length, &err), GN_INVALID_ARGUMENT);
    CHECK_HAS(err.message, "there is no figure number 7");
}

/* The mark of an overlap of 0.5 on an axis from 0 to 1 stands in the middle of the plot. */
TEST(marks_stand_where_their_numbers_say)
{
    gn_result r;
    gn_error err = {0};
    char *svg;
    size_t length;
    fixture_result_with(&r, FIXTURE_NO_CONTROL | FIXTURE_UNLABELLED);
    r.main.picture.pc1.overlap = (gn_interval){0, 0, 0};
    r.main.picture.plane.overlap = (gn_interval){1, 1, 1};
    double x[3];
    for (int k = 0; k < 3; k++) {
        if (k == 2) r.main.picture.pc1.overlap = (gn_interval){0.5, 0.5, 0.5};
        CHECK_OK(gn_report_figure(&r, GN_FIGURE_OVERLAP, GN_LANG_EN, &svg, &length, &err), err);
        const char *mark = strstr(svg, "<circle cx=\""); /* of the legend */
        for (int skip = 0; skip < (k == 1 ? 2 : 1); skip++)
            mark = mark ? strstr(mark + 1, "<circle cx=\"") : NULL;
        CHECK(mark != NULL);
        x[k] = strtod(mark + 12, NULL);
        free(svg);
    }
    CHECK(x[1] > x[0] + 100);
    CHECK_NEAR(x[2], (x[0] + x[1]) / 2, 0.11);
    gn_result_free(&r);
}

TEST(html_of_2000_long_japanese_texts_stays_small)
{
    enum { POINTS = 2000 };
    gn_result r;
    fixture_result(&r);
    gn_picture *pic = &r.main.picture;
    pic->point = gn__realloc(pic->point, POINTS, sizeof *pic->point);
    gn__buf text = {0};
    for (int i = 0; i < 280; i++) gn__buf_puts(&text, "語");
    for (size_t i = 0; i < POINTS; i++) {
        if (i < pic->points) free(pic->point[i].text);
        if (i >= pic->points) pic->point[i] = pic->point[i % pic->points];
        pic->point[i].text = gn__strdup(text.data);
    }
    pic->points = POINTS;
    gn__buf_free(&text);
    char *html = html_of(&r, GN_LANG_JA);
    CHECK(strlen(html) < 1500000);
    free(html);
    gn_result_free(&r);
}

/* ---- writing ---- */

static char *slurp(const char *path)
{
    gn_error err = {0};
    char *data;
    size_t length;
    CHECK_OK(gn__read_file(path, 1 << 26, &data, &length, &err), err);
    return data;
}

static int files_in(const char *directory)
{
    DIR *d = opendir(directory);
    CHECK(d != NULL);
    int n = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static const char *under(const char *directory, const char *name)
{
    static char path[2][2048];
    static int turn;
    char *p = path[turn++ % 2];
    snprintf(p, 2048, "%s/%s", directory, name);
    return p;
}

TEST(write_makes_the_folder_and_all_files)
{
    gn_result r;
    gn_error err = {0};
    char directory[1024];
    snprintf(directory, sizeof directory, "%s/a/b/report", test_folder());
    fixture_result_with(&r, FIXTURE_FINETUNE);
    CHECK_OK(gn_report_write(&r, GN_LANG_JA, directory, &err), err);
    CHECK_INT(files_in(directory), 2 + GN_FIGURE_COUNT);
    char *html = html_of(&r, GN_LANG_JA), *written = slurp(under(directory, "report.html"));
    CHECK(strcmp(html, written) == 0);
    free(html), free(written);
    gn_result_free(&r);

    /* a later result without probes leaves no picture of the earlier one's */
    fixture_result_with(&r, FIXTURE_UNLABELLED);
    CHECK_OK(gn_report_write(&r, GN_LANG_JA, directory, &err), err);
    CHECK_INT(files_in(directory), 1 + GN_FIGURE_COUNT - 2);
    CHECK(!gn__file_exists(under(directory, "probes.svg")));
    CHECK(!gn__file_exists(under(directory, "finetune.svg")));
    gn_result_free(&r);
}

TEST(write_into_an_impossible_folder_fails)
{
    gn_result r;
    gn_error err = {.lang = GN_LANG_JA};
    fixture_result(&r);
    const char *file = test_file("in_the_way", "x", 1);
    CHECK_INT(gn_report_write(&r, GN_LANG_EN, under(file, "report"), &err), GN_IO);
    CHECK_HAS(err.message, "in_the_way");
    CHECK_HAS(err.message, "作れません");
    CHECK_INT(gn_report_write(&r, GN_LANG_EN, "/proc/genchi-report", &err), GN_IO);

    char directory[1024];
    snprintf(directory, sizeof directory, "%s/taken", test_folder());
    CHECK(mkdir(directory, 0777) == 0 && mkdir(under(directory, "plane.svg"), 0777) == 0);
    err = (gn_error){0};
    CHECK_INT(gn_report_write(&r, GN_LANG_EN, directory, &err), GN_IO);
    CHECK_HAS(err.message, "plane.svg is a folder");
    CHECK_INT(files_in(directory), 1);
    gn_result_free(&r);
}

/* A file-size limit fails writes as a full disk does: half-way. */
TEST(write_to_a_full_disk_keeps_the_good_report)
{
    gn_result r;
    gn_error err = {0};
    char directory[1024];
    snprintf(directory, sizeof directory, "%s/full", test_folder());
    fixture_result_with(&r, FIXTURE_FINETUNE);
    CHECK_OK(gn_report_write(&r, GN_LANG_EN, directory, &err), err);
    char *good = slurp(under(directory, "report.html"));
    char *good_json = slurp(under(directory, "result.json"));

    struct rlimit old, tight;
    CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
    /* room for the page but not for the JSON, and then not even for the page */
    const size_t room[] = {strlen(good) + 4096, 20000};
    CHECK(strlen(good_json) > room[0]);
    for (int k = 0; k < 2; k++) {
        void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
        tight = (struct rlimit){room[k], old.rlim_max};
        CHECK(setrlimit(RLIMIT_FSIZE, &tight) == 0);
        gn_status status = gn_report_write(&r, GN_LANG_JA, directory, &err);
        CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
        signal(SIGXFSZ, before);
        CHECK_INT(status, GN_IO);
        CHECK_HAS(err.message, "cannot write");
        CHECK_INT(files_in(directory), 2 + GN_FIGURE_COUNT);
        char *html = slurp(under(directory, "report.html")), *json = slurp(under(directory, "result.json"));
        CHECK(strcmp(html, good) == 0);
        CHECK(strcmp(json, good_json) == 0);
        free(html), free(json);
    }
    free(good), free(good_json);
    gn_result_free(&r);
}

/* see, detect and probe leave the rest out rather than show zeros as findings. */
TEST(a_part_of_a_check_shows_its_own_step_alone)
{
    static const struct {
        unsigned steps;
        const char *shown, *not_shown[4];
    } parts[] = {
        {GN_STEP_SEE,
         "Where the texts lie",
         {"One population?", "Probe on the test data", "id=\"texts\"", "pill"}},
        {GN_STEP_DETECT,
         "One population?",
         {"Where the texts lie", "Probe on the test data", "Fix the", "pill"}},
        {GN_STEP_VERIFY,
         "Probe on the test data",
         {"Where the texts lie", "One population?", "id=\"texts\"", "pill\""}},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        gn_result r;
        fixture_result(&r);
        r.steps = parts[i].steps;
        char *html = html_of(&r, GN_LANG_EN);
        const char *body = strstr(html, "<body>");
        CHECK(body != NULL);
        CHECK_HAS(body, "One step of the check");
        CHECK_HAS(body, parts[i].shown);
        for (size_t k = 0; k < 4; k++) check_lacks(body, parts[i].not_shown[k]);
        free(html);
        gn_result_free(&r);
    }
}
