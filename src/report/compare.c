/* A comparison of models as a table on a terminal, and as JSON. */
#include "report/compare.h"

#include "report/sentences.h"
#include "report/strings.h"
#include "report/wrap.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

typedef enum word {
#define W(id, en, ja) WORD_##id,
#include "report/strings_compare.def"
#undef W
    WORD_COUNT
} word;

static const char *say(word id, gn_lang lang)
{
    static const char *const words[WORD_COUNT][2] = {
#define W(name, en, ja) {en, ja},
#include "report/strings_compare.def"
#undef W
    };
    return words[id][lang == GN_LANG_JA];
}

/* ---- text ------------------------------------------------------------------------------------------------
 */

enum { COLUMNS = GN__COMPARISON_COLUMNS };

static const word heads[COLUMNS] = {WORD_MODEL,         WORD_SHIFT, WORD_AUC,  WORD_OVERLAP, WORD_TEST,
                                    WORD_TRAIN_TO_TEST, WORD_GAP,   WORD_SIZE, WORD_SPEED};

static void put_signed_points(gn__buf *b, double x)
{
    if (isfinite(x) && x > 0) gn__buf_putc(b, '+');
    gn__put_fixed(b, 100 * x, 1);
}

static void put_size(gn__buf *b, size_t parameters)
{
    if (parameters == 0)
        gn__buf_puts(b, "–");
    else if (parameters >= 1000000000)
        gn__put_fixed(b, (double)parameters / 1e9, 1), gn__buf_putc(b, 'B');
    else if (parameters >= 1000000)
        gn__put_fixed(b, (double)parameters / 1e6, parameters < 100000000 ? 1 : 0), gn__buf_putc(b, 'M');
    else
        gn__put_count(b, (double)parameters);
}

const char *gn__comparison_head(int column, gn_lang lang)
{
    return say(heads[column], lang);
}

void gn__comparison_cell(const gn_compared *m, int column, gn_lang lang, gn__buf *b)
{
    static const word answers[] = {[GN_SHIFT_DIFFERENT] = WORD_DIFFERENT,
                                   [GN_SHIFT_EQUIVALENT] = WORD_EQUIVALENT,
                                   [GN_SHIFT_NOT_ENOUGH_DATA] = WORD_NOT_ENOUGH};
    b->length = 0;
    gn__buf_append(b, "", 0);
    switch (column) {
    case 0:
        gn__buf_puts(b, m->model.name);
        break;
    case 1:
        gn__buf_puts(b, say(answers[m->shift.answer], lang));
        break;
    case 2:
        gn__put_fixed(b, m->shift.auc.estimate, 2);
        break;
    case 3:
        gn__put_fixed(b, m->overlap.overlap.estimate, 2);
        break;
    case 4:
        gn__put_percent(b, m->test_cv.estimate, lang);
        break;
    case 5:
        gn__put_percent(b, m->train_to_test.estimate, lang);
        break;
    case 6:
        put_signed_points(b, m->gap.available ? m->gap.difference.estimate : NAN);
        break;
    case 7:
        put_size(b, m->model.parameters);
        break;
    default:
        gn__put_count(b, m->texts_per_second);
        break;
    }
}

/* Names stand left, everything else right. */
static void put_aligned(gn__buf *out, const char *text, size_t width, int column)
{
    size_t used = gn__columns(text, strlen(text));
    if (column > 1)
        for (size_t i = used; i < width; i++) gn__buf_putc(out, ' ');
    if (column <= 1)
        gn__put_padded(out, text, width);
    else
        gn__buf_puts(out, text);
    gn__buf_puts(out, column + 1 < COLUMNS ? "  " : "\n");
}

static void put_table(gn__buf *out, const gn_comparison *c, gn_lang lang)
{
    size_t width[COLUMNS];
    gn__buf cell = {0};
    for (int k = 0; k < COLUMNS; k++) {
        const char *head = say(heads[k], lang);
        width[k] = gn__columns(head, strlen(head));
        for (size_t i = 0; i < c->models; i++) {
            gn__comparison_cell(&c->model[i], k, lang, &cell);
            size_t used = cell.failed ? 0 : gn__columns(cell.data, cell.length);
            if (used > width[k]) width[k] = used;
        }
    }
    for (int k = 0; k < COLUMNS; k++) put_aligned(out, say(heads[k], lang), width[k], k);
    for (size_t i = 0; i < c->models; i++)
        for (int k = 0; k < COLUMNS; k++) {
            gn__comparison_cell(&c->model[i], k, lang, &cell);
            put_aligned(out, cell.failed ? "" : cell.data, width[k], k);
        }
    out->failed = out->failed || cell.failed;
    gn__buf_free(&cell);
}

static void put_pair(gn__buf *out, const gn_comparison *c, const gn_compared_pair *q, gn_lang lang)
{
    const struct {
        const gn_paired *paired;
        double p;
        word what;
    } kind[] = {{&q->test_cv, q->test_cv_p_holm, WORD_WITHIN},
                {&q->train_to_test, q->train_to_test_p_holm, WORD_ACROSS}};
    for (size_t k = 0; k < 2; k++) {
        if (!kind[k].paired->available) continue;
        const gn_interval *d = &kind[k].paired->difference;
        gn__buf_printf(out, "  %s%s%s, %s: ", c->model[q->a].model.name, say(WORD_MINUS, lang),
                       c->model[q->b].model.name, say(kind[k].what, lang));
        put_signed_points(out, d->estimate);
        gn__buf_puts(out, " (");
        put_signed_points(out, d->low);
        gn__buf_puts(out, say(WORD_TO, lang));
        put_signed_points(out, d->high);
        gn__buf_puts(out, "), p ");
        gn__put_p(out, kind[k].p);
        gn__buf_putc(out, '\n');
    }
}

/* The names of the models that `wanted` picks, joined; how many. */
static size_t put_names(gn__buf *b, const gn_comparison *c, bool (*wanted)(const gn_compared *m),
                        gn_lang lang)
{
    size_t n = 0;
    for (size_t i = 0; i < c->models; i++) {
        if (!wanted(&c->model[i])) continue;
        if (n++ > 0) gn__buf_puts(b, say(WORD_LIST, lang));
        gn__buf_puts(b, c->model[i].model.name);
    }
    return n;
}

static bool sees_a_shift(const gn_compared *m)
{
    return m->shift.answer == GN_SHIFT_DIFFERENT;
}

static bool in_the_race(const gn_compared *m)
{
    return m->in_the_race;
}

void gn__comparison_sees(const gn_comparison *c, gn_lang lang, gn__buf *out)
{
    gn__buf names = {0};
    if (put_names(&names, c, sees_a_shift, lang) == 0)
        gn__buf_puts(out, say(WORD_SEES_NONE, lang));
    else
        gn__buf_printf(out, "%s%s%s", say(WORD_SEES, lang), names.failed ? "" : names.data,
                       say(WORD_STOP, lang));
    out->failed = out->failed || names.failed;
    gn__buf_free(&names);
}

void gn__comparison_better(const gn_comparison *c, gn_lang lang, gn__buf *out)
{
    bool labels = false;
    for (size_t i = 0; i < c->models; i++) labels = labels || isfinite(c->model[i].test_cv.estimate);
    if (c->models == 1) {
        gn__buf_puts(out, say(WORD_ONE, lang));
    } else if (!labels) {
        gn__buf_puts(out, say(WORD_NO_LABELS, lang));
    } else if (c->better >= 0) {
        gn__buf_printf(out, "%s%s%s", say(WORD_BETTER, lang), c->model[c->better].model.name,
                       say(WORD_BETTER_BY, lang));
    } else {
        gn__buf_puts(out, say(WORD_CANNOT_TELL, lang));
        put_names(out, c, in_the_race, lang);
        gn__buf_puts(out, say(WORD_STOP, lang));
    }
}

void gn__comparison_legend(const gn_comparison *c, gn_lang lang, gn__buf *out)
{
    bool grouped = false;
    for (size_t i = 0; i < c->models; i++) grouped = grouped || c->model[i].grouped;
    gn__buf_printf(out, say(WORD_LEGEND, lang), grouped ? say(WORD_GROUPED, lang) : "");
}

static void put_conclusions(gn__buf *out, const gn_comparison *c, gn_lang lang, size_t columns)
{
    static void (*const say_what[])(const gn_comparison *, gn_lang, gn__buf *) = {gn__comparison_sees,
                                                                                  gn__comparison_better};
    gn__buf line = {0};
    for (size_t i = 0; i < 2; i++) {
        line.length = 0;
        say_what[i](c, lang, &line);
        if (!line.failed) gn__put_wrapped(out, line.data, 0, 2, columns);
    }
    out->failed = out->failed || line.failed;
    gn__buf_free(&line);
}

static void put_verdicts(gn__buf *out, const gn_comparison *c, gn_lang lang)
{
    gn__buf_printf(out, "%s\n", say(WORD_VERDICTS, lang));
    for (size_t i = 0; i < c->models; i++)
        gn__buf_printf(out, "  %s: %s\n", c->model[i].model.name,
                       gn__verdict_title(c->model[i].verdict.code, lang));
    gn__buf_putc(out, '\n');
}

gn_status gn_comparison_text(const gn_comparison *c, gn_lang lang, unsigned columns, char **out,
                             size_t *length, gn_error *err)
{
    gn__buf b = {0}, legend = {0};
    size_t wide = columns ? columns : 80;
    bool paired = false;
    for (size_t i = 0; i < c->pairs; i++)
        paired = paired || c->pair[i].test_cv.available || c->pair[i].train_to_test.available;
    put_table(&b, c, lang);
    gn__buf_putc(&b, '\n');
    gn__comparison_legend(c, lang, &legend);
    if (!legend.failed) gn__put_wrapped(&b, legend.data, 0, 0, wide);
    gn__buf_putc(&b, '\n');
    if (paired) {
        gn__put_wrapped(&b, say(WORD_PAIRS, lang), 0, 0, wide);
        for (size_t i = 0; i < c->pairs; i++) put_pair(&b, c, &c->pair[i], lang);
        gn__buf_putc(&b, '\n');
    }
    put_verdicts(&b, c, lang);
    put_conclusions(&b, c, lang, wide);
    bool failed = b.failed || legend.failed;
    gn__buf_free(&legend);
    if (failed) {
        gn__buf_free(&b);
        return gn__no_memory(err, 4096);
    }
    *out = b.data;
    *length = b.length;
    return GN_OK;
}

/* ---- JSON -------------------------------------------------------------------------------------------------
 */

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *text(const char *s)
{
    return s != NULL ? json_string(s) : json_null();
}

static json_t *interval(const gn_interval *i)
{
    return json_pack("{s:o, s:o, s:o}", "estimate", number(i->estimate), "low", number(i->low), "high",
                     number(i->high));
}

static json_t *paired(const gn_paired *p, double p_holm)
{
    if (!p->available) return json_null();
    return json_pack("{s:o, s:o, s:o, s:I, s:I, s:I}", "difference", interval(&p->difference), "p_value",
                     number(p->p_value), "p_holm", number(p_holm), "rows", (json_int_t)p->rows, "a_only",
                     (json_int_t)p->a_only, "b_only", (json_int_t)p->b_only);
}

static json_t *model_object(const gn_compared *m)
{
    const gn_model_evidence_info *i = &m->model;
    json_t *info = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I}", "name",
                             text(i->name), "path", text(i->path), "architecture", text(i->architecture),
                             "sha256", text(i->sha256), "pooling", text(i->pooling), "dtype", text(i->dtype),
                             "tokenizer", text(i->tokenizer), "dim", (json_int_t)i->dim, "layers",
                             (json_int_t)i->layers, "parameters", (json_int_t)i->parameters, "max_length",
                             (json_int_t)i->max_length, "cut", (json_int_t)(i->cut_train + i->cut_test));
    json_t *shift = json_pack("{s:s, s:o, s:o}", "answer", gn_shift_answer_name(m->shift.answer), "p_value",
                              number(m->shift.p_value), "auc", interval(&m->shift.auc));
    json_t *verdict = json_pack("{s:s, s:s, s:b}", "code", gn_verdict_name(m->verdict.code), "rule",
                                m->verdict.rule, "gate_passes", (int)m->verdict.gate_passes);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o}", "model", info,
                     "verdict", verdict, "shift", shift, "overlap_pc1", interval(&m->overlap.overlap),
                     "overlap_yardstick", interval(&m->overlap.yardstick), "grouped", (int)m->grouped,
                     "test_cv", interval(&m->test_cv), "train_heldout", interval(&m->train_heldout),
                     "train_to_test", interval(&m->train_to_test), "gap",
                     m->gap.available ? interval(&m->gap.difference) : json_null(), "in_the_race",
                     (int)m->in_the_race, "load_seconds", number(m->load_seconds), "embed_seconds",
                     number(m->embed_seconds), "texts_per_second", number(m->texts_per_second));
}

gn_status gn_comparison_json(const gn_comparison *c, char **out, size_t *length, gn_error *err)
{
    json_t *models = json_array(), *pairs = json_array();
    bool good = true;
    for (size_t i = 0; i < c->models; i++)
        good = json_array_append_new(models, model_object(&c->model[i])) == 0 && good;
    for (size_t i = 0; i < c->pairs; i++) {
        const gn_compared_pair *q = &c->pair[i];
        good = json_array_append_new(
                   pairs, json_pack("{s:I, s:I, s:o, s:o}", "a", (json_int_t)q->a, "b", (json_int_t)q->b,
                                    "test_cv", paired(&q->test_cv, q->test_cv_p_holm), "train_to_test",
                                    paired(&q->train_to_test, q->train_to_test_p_holm))) == 0 &&
               good;
    }
    char seed[32];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)c->seed);
    json_t *root =
        json_pack("{s:s, s:o, s:o, s:o, s:s, s:{s:o, s:s, s:I}, s:{s:o, s:s, s:I}, s:f, s:o, s:o, s:o}",
                  "schema", "genchi.compare/1", "created", text(c->created), "version", text(c->version),
                  "command", text(c->command), "seed", seed, "train", "path", text(c->train), "sha256",
                  c->train_sha256, "rows", (json_int_t)c->train_rows, "test", "path", text(c->test), "sha256",
                  c->test_sha256, "rows", (json_int_t)c->test_rows, "alpha", c->alpha, "models", models,
                  "pairs", pairs, "better", c->better >= 0 ? json_integer(c->better) : json_null());
    char *dump = good && root != NULL ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(root);
    size_t n = dump != NULL ? strlen(dump) : 0;
    char *text_out = dump != NULL ? gn__realloc(dump, n + 2, 1) : NULL;
    if (text_out == NULL) {
        free(dump);
        return gn__no_memory(err, n + 2);
    }
    memcpy(text_out + n, "\n", 2);
    *out = text_out;
    *length = n + 1;
    return GN_OK;
}
