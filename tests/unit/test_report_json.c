#include "core/core.h"
#include "fixture_result.h"
#include "genchi/report.h"
#include "report/json_fields.h"
#include "report/json_read.h"
#include "test.h"

#include <jansson.h>
#include <locale.h>

static char *json_of(const gn_result *r, gn_lang lang, size_t *length)
{
    char *out = NULL;
    gn_error err = {0};
    CHECK_OK(gn_report_json(r, lang, &out, length, &err), err);
    CHECK_INT(strlen(out), *length);
    return out;
}

static json_t *at(json_t *v, const char *path)
{
    char key[64];
    while (v != NULL && *path != '\0') {
        size_t n = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)n, path);
        v = json_object_get(v, key);
        path += n + (path[n] == '.');
    }
    return v;
}

static json_t *parsed(const char *text)
{
    json_error_t where;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL) test_fail(__FILE__, __LINE__, "line %d: %s", where.line, where.text);
    return root;
}

TEST(the_promised_keys_are_there)
{
    static const struct {
        const char *path;
        json_type type;
    } keys[] = {
        {"schema", JSON_STRING},
        {"verdict.code", JSON_STRING},
        {"verdict.reasons", JSON_ARRAY},
        {"data.train.rows", JSON_INTEGER},
        {"data.test.rows", JSON_INTEGER},
        {"shift.answer", JSON_STRING},
        {"shift.p_value", JSON_REAL},
        {"shift.auc.estimate", JSON_REAL},
        {"shift.auc.low", JSON_REAL},
        {"shift.auc.high", JSON_REAL},
        {"shift.by_label", JSON_ARRAY},
        {"overlap.pc1.estimate", JSON_REAL},
        {"overlap.pc1.low", JSON_REAL},
        {"overlap.pc1.high", JSON_REAL},
        {"overlap.pc1.yardstick", JSON_REAL},
        {"probe.test_cv.accuracy.estimate", JSON_REAL},
        {"probe.test_cv_grouped.accuracy.low", JSON_REAL},
        {"probe.train_to_test.accuracy.high", JSON_REAL},
        {"probe.train_heldout.accuracy.estimate", JSON_REAL},
        {"model.name", JSON_STRING},
        {"model.sha256", JSON_STRING},
        {"model.dim", JSON_INTEGER},
        {"model.pooling", JSON_STRING},
        {"control.model.name", JSON_STRING},
        {"control.shift.auc.estimate", JSON_REAL},
        {"control.overlap.pc1.yardstick", JSON_REAL},
        {"control.probe.test_cv.accuracy.estimate", JSON_REAL},
        {"timing.total", JSON_REAL},
    };
    gn_result r;
    size_t length;
    fixture_result(&r);
    char *text = json_of(&r, GN_LANG_EN, &length);
    json_t *root = parsed(text);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *v = at(root, keys[i].path);
        if (v == NULL || json_typeof(v) != keys[i].type)
            test_fail(__FILE__, __LINE__, "%s is missing or of another type", keys[i].path);
    }
    CHECK_STR(json_string_value(at(root, "schema")), "genchi.result/1");
    CHECK_STR(json_string_value(at(root, "verdict.code")), gn_verdict_name(r.verdict.code));
    CHECK(json_number_value(at(root, "shift.auc.low")) == r.main.shift.auc.low);
    CHECK(json_number_value(at(root, "overlap.pc1.yardstick")) == r.main.picture.pc1.yardstick.estimate);
    CHECK(json_number_value(at(root, "probe.train_to_test.accuracy.high")) ==
          r.main.probe.eval[GN_EVAL_TRAIN_TO_TEST].scores.accuracy.high);
    CHECK_INT(json_array_size(at(root, "shift.by_label")), r.classes);
    CHECK_INT(json_array_size(at(root, "data.train.malformed")), r.train.malformed);
    json_t *reason = json_array_get(at(root, "verdict.reasons"), 0);
    CHECK_STR(json_string_value(json_object_get(reason, "id")), r.verdict.reason[0].id);
    CHECK(json_string_length(json_object_get(reason, "text")) > 20);
    json_decref(root);
    free(text);
    gn_result_free(&r);
}

TEST(write_read_write_gives_the_same_bytes)
{
    static const unsigned flags[] = {0, FIXTURE_UNLABELLED, FIXTURE_THREE_CLASSES,
                                     FIXTURE_NO_CONTROL | FIXTURE_HIDE_TEXTS, FIXTURE_UNGROUPED};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        for (int lang = 0; lang < 2; lang++) {
            gn_result r, back;
            gn_error err = {0};
            size_t length, again;
            fixture_result_with(&r, flags[i]);
            r.seed = UINT64_MAX - i;
            r.main.shift.statistic = 1.0 / 3;
            r.main.picture.pc1.overlap.low = 5e-324;
            r.main.picture.pc1.overlap.high = 0.1 + 0.2;
            char *first = json_of(&r, (gn_lang)lang, &length);
            const char *path = test_file("result.json", first, length);
            CHECK_OK(gn_result_read(path, &back, &err), err);
            CHECK(back.seed == r.seed);
            CHECK(back.main.shift.statistic == r.main.shift.statistic);
            CHECK(back.main.picture.pc1.overlap.low == 5e-324);
            CHECK_INT(back.verdict.code, r.verdict.code);
            CHECK_INT(back.has_control, r.has_control);
            CHECK_INT(back.classes, r.classes);
            char *second = json_of(&back, (gn_lang)lang, &again);
            CHECK_INT(again, length);
            CHECK(memcmp(first, second, length) == 0);
            free(first);
            free(second);
            gn_result_free(&r);
            gn_result_free(&back);
        }
    }
}

/* The reports of a result and of the same result read back are the same, too. */
TEST(the_terminal_text_survives)
{
    gn_result r, back;
    gn_error err = {0};
    size_t length, n[2];
    char *text[2];
    fixture_result(&r);
    char *json = json_of(&r, GN_LANG_EN, &length);
    CHECK_OK(gn__result_parse("x", json, length, &back, &err), err);
    CHECK_OK(gn_report_text(&r, GN_LANG_JA, true, 0, &text[0], &n[0], &err), err);
    CHECK_OK(gn_report_text(&back, GN_LANG_JA, true, 0, &text[1], &n[1], &err), err);
    CHECK_STR(text[1], text[0]);
    free(text[0]);
    free(text[1]);
    free(json);
    gn_result_free(&r);
    gn_result_free(&back);
}

TEST(no_number_is_written_as_null_and_texts_are_escaped)
{
    gn_result r, back;
    gn_error err = {0};
    size_t length;
    fixture_result_with(&r, FIXTURE_UNLABELLED);
    r.main.shift.p_value = NAN;
    r.main.shift.p_holm = INFINITY;
    free(r.command);
    r.command = gn__strdup("a\"b\\c\n\x1b[31m\x7f \xff 日本 \xe2\x80\xa8");
    char *text = json_of(&r, GN_LANG_EN, &length);
    json_t *root = parsed(text);
    CHECK(json_is_null(at(root, "shift.p_value")));
    CHECK(json_is_null(at(root, "shift.p_holm")));
    CHECK(json_is_null(at(root, "overlap.probe.estimate")));
    CHECK(json_is_null(at(root, "shift.by_label")));
    CHECK_STR(json_string_value(at(root, "command")), "a\"b\\c\n\x1b[31m\x7f \xef\xbf\xbd 日本 \xe2\x80\xa8");
    CHECK(strchr(text, '\x1b') == NULL);
    CHECK_OK(gn__result_parse("x", text, length, &back, &err), err);
    CHECK(isnan(back.main.shift.p_value));
    CHECK(back.main.by_label == NULL);
    gn_result_free(&back);
    json_decref(root);
    free(text);
    gn_result_free(&r);
}

TEST(a_locale_with_a_decimal_comma_changes_nothing)
{
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "ru_RU.UTF-8"};
    gn_result r;
    size_t length, again;
    fixture_result(&r);
    char *plain = json_of(&r, GN_LANG_EN, &length);
    bool set = false;
    for (size_t i = 0; i < 4 && !set; i++) set = setlocale(LC_NUMERIC, names[i]) != NULL;
    if (!set) {
        free(plain);
        gn_result_free(&r);
        test_skip("no locale with a decimal comma is installed");
    }
    char *foreign = json_of(&r, GN_LANG_EN, &again);
    gn_result back;
    gn_error err = {0};
    gn_status status = gn__result_parse("x", foreign, again, &back, &err);
    setlocale(LC_NUMERIC, "C");
    CHECK_OK(status, err);
    CHECK(strcmp(plain, foreign) == 0);
    CHECK(back.main.shift.auc.low == r.main.shift.auc.low);
    gn_result_free(&back);
    free(plain);
    free(foreign);
    gn_result_free(&r);
}

/* One change to a good file, and what the message must say. */
typedef struct damage {
    const char *path, *key, *value; /* value: JSON text; NULL: the key is removed */
    gn_status status;
    const char *says;
} damage;

TEST(bad_files_are_named_by_field)
{
    static const damage cases[] = {
        {"", "schema", "\"genchi.result/2\"", GN_UNSUPPORTED, "genchi.result/2"},
        {"", "schema", "\"other\"", GN_FORMAT, "not a result"},
        {"", "schema", NULL, GN_FORMAT, "not a result"},
        {"", "seed", "-1", GN_FORMAT, "seed: expected"},
        {"", "seed", "\"18446744073709551616\"", GN_FORMAT, "seed: expected a whole number"},
        {"", "seed", "\"12x\"", GN_FORMAT, "seed"},
        {"", "seed", "\"\"", GN_FORMAT, "seed"},
        {"", "threads", "4294967296", GN_FORMAT, "threads: expected"},
        {"", "created", "3", GN_FORMAT, "created: expected a string or null, found an integer"},
        {"", "control", NULL, GN_FORMAT, "control: expected an object, found nothing"},
        {"", "libraries", "[1]", GN_FORMAT, "libraries[0]: expected a string"},
        {"", "libraries", "{}", GN_FORMAT, "libraries: expected an array"},
        {"", "timing", "[]", GN_FORMAT, "timing: expected an object, found an array"},
        {"timing", "total", "\"1\"", GN_FORMAT, "timing.total: expected a number or null"},
        {"shift.auc", "low", NULL, GN_FORMAT, "shift.auc.low: expected a number or null, found nothing"},
        {"shift", "auc", "1", GN_FORMAT, "shift.auc: expected an object"},
        {"shift", "answer", "\"perhaps\"", GN_FORMAT, "shift.answer: expected one of"},
        {"shift", "method", "\"guess\"", GN_FORMAT, "shift.method"},
        {"shift", "rows_needed", "1.5", GN_FORMAT, "shift.rows_needed: expected an integer, found a number"},
        {"shift", "by_label", "[]", GN_FORMAT, "shift.by_label: expected one entry a class"},
        {"verdict", "code", "\"go\"", GN_FORMAT, "verdict.code"},
        {"verdict", "gate_passes", "1", GN_FORMAT, "verdict.gate_passes: expected true or false"},
        {"verdict", "rule", "\"a rule with a name far beyond thirty-one\"", GN_FORMAT,
         "verdict.rule: expected a shorter string"},
        {"verdict", "reasons", "[{\"id\": \"nonsense\"}]", GN_FORMAT,
         "verdict.reasons[0].id: expected one of"},
        {"verdict", "reasons", "[{\"id\": \"do_rerun\", \"stance\": \"no\"}]", GN_FORMAT,
         "reasons[0].stance"},
        {"verdict", "reasons", "[{\"id\": \"carries\", \"stance\": \"for\", \"values\": [1]}]", GN_FORMAT,
         "verdict.reasons[0].values: expected 5 entries, found 1"},
        {"verdict", "reasons", "[1]", GN_FORMAT, "verdict.reasons[0]: expected an object"},
        {"verdict", "actions", "[0,0,0,0,0,0,0]", GN_FORMAT, "verdict.actions: expected fewer entries"},
        {"data", "class_names", "[\"a\"]", GN_FORMAT, "expected"},
        {"data", "class_names", "null", GN_FORMAT, "data.class_names: expected an array, found null"},
        {"data.train", "class_rows", "[1, -2]", GN_FORMAT, "data.train.class_rows[1]"},
        {"data.train", "malformed", "[{\"line\": 3}]", GN_FORMAT, "data.train.malformed[0].reason"},
        {"data.train", "malformed", "[3]", GN_FORMAT, "data.train.malformed[0]: expected an object"},
        {"data.train", "sha256", "\"00000000000000000000000000000000000000000000000000000000000000000\"",
         GN_FORMAT, "data.train.sha256"},
        {"picture", "explained", "[true]", GN_FORMAT, "picture.explained[0]"},
        {"picture", "plane_low", "[1]", GN_FORMAT, "picture.plane_low: expected 2 entries, found 1"},
        {"picture", "points", "[{\"test\": true, \"label\": 2}]", GN_FORMAT,
         "picture.points[0].label: expected the index of a class"},
        {"picture", "points", "[{\"test\": true, \"label\": 0, \"x\": 1e300}]", GN_FORMAT,
         "picture.points[0].x: expected a smaller number"},
        {"picture", "densities",
         "[{\"test\": true, \"label\": null, \"rows\": 1, \"bandwidth1\": 1, \"bandwidth2\": [1, 1], "
         "\"pc1\": [1]}]",
         GN_FORMAT, "picture.densities[0].pc1: expected 256 entries, found 1"},
        {"probe", "test_cv", "{\"available\": false}", GN_FORMAT, "probe.test_cv.reason"},
        {"probe", "test_cv", "{}", GN_FORMAT,
         "probe.test_cv.available: expected true or false, found nothing"},
    };
    gn_result r;
    size_t length;
    fixture_result(&r);
    char *good = json_of(&r, GN_LANG_EN, &length);
    gn_result_free(&r);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *root = parsed(good), *object = at(root, cases[i].path);
        CHECK(json_is_object(object));
        CHECK(json_object_get(object, cases[i].key) != NULL);
        if (cases[i].value == NULL)
            json_object_del(object, cases[i].key);
        else
            json_object_set_new(object, cases[i].key, json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        char *text = json_dumps(root, 0);
        json_decref(root);
        gn_error err = {0};
        gn_result back;
        gn_status status = gn__result_parse("r.json", text, strlen(text), &back, &err);
        free(text);
        if (status != cases[i].status || strstr(err.message, cases[i].says) == NULL)
            test_fail(__FILE__, __LINE__, "case %zu (%s.%s): status %d, \"%s\"", i, cases[i].path,
                      cases[i].key, status, err.message);
        CHECK_HAS(err.message, "r.json");
    }
    free(good);
}

TEST(unknown_keys_are_passed_over_and_broken_json_is_not)
{
    gn_result r, back;
    gn_error err = {0};
    size_t length;
    fixture_result(&r);
    char *good = json_of(&r, GN_LANG_EN, &length);
    gn_result_free(&r);
    json_t *root = parsed(good);
    json_object_set_new(root, "new_in_a_later_version", json_true());
    json_object_set_new(at(root, "shift.auc"), "level", json_real(0.95));
    char *text = json_dumps(root, 0);
    json_decref(root);
    CHECK_OK(gn__result_parse("x", text, strlen(text), &back, &err), err);
    gn_result_free(&back);
    free(text);
    for (size_t cut = 0; cut < length - 1; cut += length / 37) {
        CHECK_INT(gn__result_parse("x", good, cut, &back, &err), GN_FORMAT);
        CHECK_HAS(err.message, "not valid JSON");
        CHECK(err.line >= 1);
    }
    free(good);
    CHECK_INT(gn__result_parse("x", "[]", 2, &back, &err), GN_FORMAT);
    CHECK_HAS(err.message, "not a result");
    CHECK_INT(gn_result_read("no/such/result.json", &back, &err), GN_IO);
    err.lang = GN_LANG_JA;
    const char *ja = "{\"schema\": \"genchi.result/1\", \"created\": 1}";
    CHECK_INT(gn__result_parse("x", ja, strlen(ja), &back, &err), GN_FORMAT);
    CHECK_STR(err.message, "x: created: 文字列か nullが必要ですが、整数でした");
}

TEST(freeing_nothing_is_allowed)
{
    gn_result r = {0};
    gn_result_free(&r);
    gn_result_free(NULL);
    CHECK(r.main.picture.points == 0);
}
