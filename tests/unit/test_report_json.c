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
    static const unsigned flags[] = {0,
                                     FIXTURE_UNLABELLED,
                                     FIXTURE_THREE_CLASSES,
                                     FIXTURE_NO_CONTROL | FIXTURE_HIDE_TEXTS,
                                     FIXTURE_UNGROUPED,
                                     FIXTURE_FINETUNE};
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

/* genchi see, detect and probe run single steps: what was not run is null, never a zero that looks measured.
 */
TEST(steps_that_were_not_run_are_null)
{
    static const struct {
        unsigned steps;
        const char *has, *lacks[4];
    } cases[] = {{GN_STEP_SEE, "overlap", {"shift", "probe", "verdict", NULL}},
                 {GN_STEP_DETECT, "shift", {"overlap", "picture", "probe", "verdict"}},
                 {GN_STEP_VERIFY, "probe", {"overlap", "picture", "shift", "verdict"}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gn_result r, back;
        gn_error err = {0};
        size_t length, again;
        fixture_result_with(&r, FIXTURE_NO_CONTROL);
        r.steps = cases[i].steps;
        char *first = json_of(&r, GN_LANG_EN, &length);
        json_t *root = parsed(first);
        CHECK(json_is_object(at(root, cases[i].has)));
        for (int k = 0; k < 4 && cases[i].lacks[k] != NULL; k++)
            CHECK(json_is_null(at(root, cases[i].lacks[k])));
        json_decref(root);
        CHECK_OK(gn__result_parse("x", first, length, &back, &err), err);
        CHECK_INT(back.steps, cases[i].steps);
        char *second = json_of(&back, GN_LANG_EN, &again);
        CHECK_STR(second, first);
        free(first);
        free(second);
        gn_result_free(&r);
        gn_result_free(&back);
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
        {"", "steps", "[\"look\"]", GN_FORMAT, "steps[0]: expected one of"},
        {"", "steps", "[\"see\"]", GN_FORMAT,
         "verdict: expected null: the step was not run, found an object"},
        {"", "verdict", "null", GN_FORMAT, "verdict: expected an object, found null"},
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

/* ---- docs: every key of the tables -------------------------------------------------------------- */

static json_t *type(const char *name)
{
    return json_pack("{s:s}", "type", name);
}

static json_t *or_null(const char *name)
{
    return json_pack("{s:[s,s]}", "type", name, "null");
}

static json_t *array_of(json_t *items)
{
    return json_pack("{s:s,s:o}", "type", "array", "items", items);
}

static json_t *nullable(json_t *schema)
{
    return json_pack("{s:[o,{s:s}]}", "anyOf", schema, "type", "null");
}

static json_t *names_of(const char *const *names, bool null)
{
    json_t *all = json_array();
    for (; *names != NULL; names++) json_array_append_new(all, json_string(*names));
    if (null) json_array_append_new(all, json_null());
    return json_pack("{s:o}", "enum", all);
}

static json_t *object_of(const gn__field *f);

static json_t *reasons_schema(void)
{
    json_t *stances = names_of(gn__stance_names, false);
    return array_of(json_pack("{s:s,s:{s:{s:s},s:o,s:o,s:{s:s}},s:[s,s,s]}", "type", "object", "properties",
                              "id", "type", "string", "stance", stances, "values",
                              array_of(or_null("number")), "text", "type", "string", "required", "id",
                              "stance", "values"));
}

static json_t *schema_of(const gn__field *f)
{
    switch (f->kind) {
    case GN__KIND_STRING:
        return or_null("string");
    case GN__KIND_CHARS:
        return type("string");
    case GN__KIND_NAME:
        return names_of(f->names, true);
    case GN__KIND_ENUM:
        return names_of(f->names, false);
    case GN__KIND_BOOL:
    case GN__KIND_GUARD:
        return type("boolean");
    case GN__KIND_INT:
    case GN__KIND_UNSIGNED:
    case GN__KIND_SIZE:
    case GN__KIND_LINE:
        return json_pack("{s:s,s:i}", "type", "integer", "minimum", 0);
    case GN__KIND_SEED:
        return json_pack("{s:[s,s]}", "type", "integer", "string");
    case GN__KIND_DOUBLE:
    case GN__KIND_FLOAT:
        return or_null("number");
    case GN__KIND_LABEL:
        return or_null("integer");
    case GN__KIND_INTERVAL:
        return json_pack("{s:s}", "$ref", "#/$defs/interval");
    case GN__KIND_OBJECT:
        return object_of(f->of);
    case GN__KIND_STEP:
    case GN__KIND_OPTIONAL:
        return nullable(object_of(f->of));
    case GN__KIND_STEPS:
        return array_of(names_of(gn__step_names, false));
    case GN__KIND_ARRAY:
        return array_of(object_of(f->of));
    case GN__KIND_BY_CLASS:
        return nullable(array_of(object_of(f->of)));
    case GN__KIND_CLASS_NAMES:
    case GN__KIND_STRINGS:
        return array_of(type("string"));
    case GN__KIND_CLASS_ROWS:
        return nullable(array_of(type("integer")));
    case GN__KIND_PAIR:
    case GN__KIND_NUMBERS:
        return array_of(or_null("number"));
    case GN__KIND_GRID:
        return nullable(array_of(or_null("number")));
    case GN__KIND_MALFORMED:
        return array_of(json_pack("{s:s,s:{s:{s:s},s:{s:s}},s:[s,s]}", "type", "object", "properties", "line",
                                  "type", "integer", "reason", "type", "string", "required", "line",
                                  "reason"));
    case GN__KIND_REASONS:
        return reasons_schema();
    case GN__KIND_INLINE:
    case GN__KIND_END:
        break;
    }
    return NULL;
}

static void add_fields(const gn__field *f, json_t *properties, json_t *required)
{
    size_t sure = SIZE_MAX; /* fields up to here are there even when a guard is false */
    for (size_t i = 0; f[i].kind != GN__KIND_END; i++) {
        if (f[i].kind == GN__KIND_INLINE) {
            add_fields(f[i].of, properties, required);
            continue;
        }
        json_object_set_new(properties, f[i].key, schema_of(&f[i]));
        if (f[i].kind == GN__KIND_GUARD) sure = i + f[i].size;
        if (i <= sure) json_array_append_new(required, json_string(f[i].key));
    }
}

static json_t *object_of(const gn__field *f)
{
    json_t *properties = json_object(), *required = json_array();
    add_fields(f, properties, required);
    return json_pack("{s:s,s:o,s:o}", "type", "object", "properties", properties, "required", required);
}

/* The keys that others were promised. */
TEST(finetune_methods_hold_the_promised_keys)
{
    gn_result r;
    char *text = NULL;
    size_t length;
    gn_error err = {0};
    fixture_result_with(&r, FIXTURE_FINETUNE);
    CHECK_OK(gn_report_json(&r, GN_LANG_EN, &text, &length, &err), err);
    json_t *root = json_loadb(text, length, 0, NULL);
    CHECK(root != NULL);
    json_t *methods = json_object_get(json_object_get(root, "finetune"), "methods");
    CHECK_INT(json_array_size(methods), 6);
    json_t *full = json_array_get(methods, 1);
    const char *name, *source, *answer;
    int seeds;
    double test, low, high, heldout, difference, d_low, d_high;
    CHECK_INT(json_unpack(full, "{s:s, s:s, s:i, s:{s:{s:F,s:F,s:F}}, s:{s:{s:F}}, s:{s:F,s:F,s:F,s:s}}",
                          "name", &name, "trained_on", &source, "seeds", &seeds, "test", "accuracy",
                          "estimate", &test, "low", &low, "high", &high, "heldout", "accuracy", "estimate",
                          &heldout, "vs_probe", "difference", &difference, "low", &d_low, "high", &d_high,
                          "answer", &answer),
              0);
    CHECK_STR(name, "full");
    CHECK_STR(source, "train");
    CHECK_STR(answer, "hurts");
    CHECK_INT(seeds, 3);
    CHECK_NEAR(test, r.finetune.run[1].test.scores.accuracy.estimate, 0);
    CHECK_NEAR(heldout, r.finetune.run[1].heldout.scores.accuracy.estimate, 0);
    CHECK_NEAR(difference, r.finetune.run[1].test_grouped.vs_probe.difference.estimate, 0);
    CHECK(low < test && test < high && d_low < difference && difference < d_high);
    json_decref(root);
    free(text);
    gn_result_free(&r);
}

/* Results from before fine-tuning lack the key. */
TEST(a_result_without_the_finetune_key_is_read)
{
    gn_result r, back;
    char *text = NULL;
    size_t length;
    gn_error err = {0};
    fixture_result(&r);
    CHECK_OK(gn_report_json(&r, GN_LANG_EN, &text, &length, &err), err);
    json_t *root = json_loadb(text, length, 0, NULL);
    CHECK_INT(json_object_del(root, "finetune"), 0);
    char *older = json_dumps(root, 0);
    CHECK_OK(gn__result_parse("older.json", older, strlen(older), &back, &err), err);
    CHECK_INT(back.finetune.runs, 0);
    json_decref(root);
    free(older);
    free(text);
    gn_result_free(&r);
    gn_result_free(&back);
}

/* UPDATE_GOLDEN=1 writes the file instead. */
TEST(the_json_schema_in_docs_is_the_tables)
{
    json_t *root = object_of(gn__result_fields);
    json_object_set_new(json_object_get(root, "properties"), "schema",
                        json_pack("{s:s}", "const", GN__SCHEMA));
    json_array_insert_new(json_object_get(root, "required"), 0, json_string("schema"));
    json_object_set_new(root, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
    json_object_set_new(root, "title", json_string("The result of genchi check"));
    json_t *number = or_null("number");
    json_object_set_new(root, "$defs",
                        json_pack("{s:{s:s,s:{s:O,s:O,s:o},s:[s,s,s]}}", "interval", "type", "object",
                                  "properties", "estimate", number, "low", number, "high", number, "required",
                                  "estimate", "low", "high"));
    char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);
    json_decref(root);
    CHECK(text != NULL);
    const char *path = test_path("docs/result.schema.json");
    gn_error err = {0};
    if (getenv("UPDATE_GOLDEN") != NULL) CHECK_OK(gn__write_file(path, text, strlen(text), &err), err);
    char *expected = NULL;
    size_t length;
    CHECK_OK(gn__read_file(path, 1 << 20, &expected, &length, &err), err);
    bool same = strcmp(expected, text) == 0;
    free(expected);
    free(text);
    CHECK(same);
}

static void check_documented(const char *docs, const gn__field *f)
{
    for (; f->kind != GN__KIND_END; f++) {
        if (f->key != NULL) {
            char quoted[80];
            snprintf(quoted, sizeof quoted, "`%s`", f->key);
            CHECK_HAS(docs, quoted);
        }
        if (f->of != NULL) check_documented(docs, f->of);
        for (size_t i = 0; f->names != NULL && f->names[i] != NULL; i++) {
            char quoted[80];
            snprintf(quoted, sizeof quoted, "`%s`", f->names[i]);
            CHECK_HAS(docs, quoted);
        }
    }
}

TEST(every_key_is_documented)
{
    char *docs = NULL;
    size_t length;
    gn_error err = {0};
    CHECK_OK(gn__read_file(test_path("docs/result-json.md"), 1 << 20, &docs, &length, &err), err);
    check_documented(docs, gn__result_fields);
    free(docs);
}

TEST(freeing_nothing_is_allowed)
{
    gn_result r = {0};
    gn_result_free(&r);
    gn_result_free(NULL);
    CHECK(r.main.picture.points == 0);
}
