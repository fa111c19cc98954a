/* genchi detect with more than two sets (the table of pairs), with --all-tests (every test side by side), or
 * with --kernel-tolerance (equivalence by the kernel discrepancy). */
#include "cli/cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SETS = 16 };

typedef struct set {
    const char *path;
    gn_npy file;
    gn_matrix embedded;
    gn_dataset data;
    const gn_matrix *x;
    size_t left_out; /* texts that a later set holds too */
} set;

typedef struct table {
    const cli_args *a;
    set set[MOST_SETS];
    size_t sets;
    gn_shift shift[MOST_SETS * (MOST_SETS - 1) / 2];
    gn_test_result test[GN_TESTS];
    gn_shift_scores scores;
    bool has_tests;
    gn_equivalence equal[MOST_SETS * (MOST_SETS - 1) / 2];
    bool has_equal; /* measured */
} table;

static gn_status read_set(table *t, size_t i, gn_context *ctx, const gn_dataset_options *options,
                          gn_error *err)
{
    set *s = &t->set[i];
    s->path = t->a->operand[i];
    s->x = &s->file.matrix;
    if (!gn_vectors_named(s->path)) return gn_dataset_read(ctx, s->path, options, &s->data, err);
    return gn_vectors_map(ctx, s->path, NULL, &s->file, &s->data, err);
}

/* A text that several sets hold stays in the last of them, as check takes from train what test holds. */
static gn_status leave_out_duplicates(table *t, gn_error *err)
{
    for (size_t i = 0; i < t->sets && !t->a->keep_duplicates; i++)
        for (size_t j = i + 1; j < t->sets; j++) {
            gn_duplicates n;
            gn_status status = gn_dataset_deduplicate(&t->set[i].data, &t->set[j].data, false, &n, err);
            if (status != GN_OK) return status;
            t->set[i].left_out += n.removed_from_train;
        }
    return GN_OK;
}

static gn_status embed_sets(table *t, gn_context *ctx, const gn_model *model, gn_error *err)
{
    gn_status status = leave_out_duplicates(t, err);
    for (size_t i = 0; i < t->sets && status == GN_OK; i++) {
        set *s = &t->set[i];
        gn_embed_stats stats;
        s->x = &s->embedded;
        status = gn_model_embed(ctx, model, (const char *const *)s->data.text, s->data.length, s->data.rows,
                                &s->embedded, NULL, &stats, err);
    }
    return status;
}

/* Equivalence of every pair, the level shared among them; without a tolerance for the bound alone. */
static gn_status measure_equivalence(table *t, gn_context *ctx, const gn_matrix *x,
                                     const uint32_t *const *group, gn_detect_options o, gn_error *err)
{
    const double largest = 0.5, wanted = t->a->kernel_tolerance;
    double pairs = (double)(t->sets * (t->sets - 1) / 2);
    o.alpha = (o.alpha > 0 ? o.alpha : 0.05) / pairs;
    t->has_equal = true;
    for (size_t i = 0, k = 0; i < t->sets; i++)
        for (size_t j = i + 1; j < t->sets; j++, k++) {
            o.group_a = group[i];
            o.group_b = group[j];
            gn_status status =
                gn_equivalence_test(ctx, &x[i], &x[j], &o, wanted > 0 ? wanted : largest, &t->equal[k], err);
            if (status != GN_OK) return status;
        }
    return GN_OK;
}

static gn_status measure(table *t, gn_context *ctx, gn_error *err)
{
    const cli_args *a = t->a;
    gn_matrix x[MOST_SETS];
    const uint32_t *group[MOST_SETS];
    gn_detect_options o = {.alpha = a->alpha,
                           .tolerance = a->tolerance,
                           .permutations = a->permutations,
                           .folds = a->folds,
                           .test = (gn_test)a->statistic};
    for (size_t i = 0; i < t->sets; i++) {
        x[i] = *t->set[i].x;
        group[i] = t->set[i].data.group;
    }
    gn_status status = gn_detect_pairs(ctx, x, t->sets, group, &o, t->shift, err);
    if (status == GN_OK && (a->all_tests || a->kernel_tolerance > 0))
        status = measure_equivalence(t, ctx, x, group, o, err);
    if (status != GN_OK || !a->all_tests) return status;
    o.group_a = group[0];
    o.group_b = group[1];
    t->has_tests = true;
    status = gn_test_all(ctx, &x[0], &x[1], &o, t->test, err);
    return status == GN_OK ? gn_reference_scores(ctx, &x[0], &x[1], &o, &t->scores, err) : status;
}

/* ---- as JSON ---- */

static void json_text(const char *s)
{
    putchar('"');
    for (const unsigned char *c = (const unsigned char *)s; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            printf("\\%c", *c);
        else if (*c < 32)
            printf("\\u%04x", *c);
        else
            putchar(*c);
    }
    putchar('"');
}

static void json_number(const char *key, double x)
{
    if (isfinite(x))
        printf("\"%s\": %.9g", key, x);
    else
        printf("\"%s\": null", key);
}

static void json_interval(const char *key, gn_interval x)
{
    printf("\"%s\": {", key);
    json_number("estimate", x.estimate);
    printf(", ");
    json_number("low", x.low);
    printf(", ");
    json_number("high", x.high);
    printf("}");
}

static void json_equivalence(const table *t, const gn_equivalence *e)
{
    printf(", \"kernel\": {");
    json_number("namd", e->namd);
    printf(", ");
    json_number("upper", e->upper);
    printf(", ");
    json_number("bandwidth", e->bandwidth);
    if (t->a->kernel_tolerance > 0) {
        printf(", ");
        json_number("tolerance", e->tolerance);
        printf(", \"equivalent\": %s", e->equivalent ? "true" : "false");
    }
    putchar('}');
}

static void print_json(const table *t)
{
    static const char *const answers[] = {[GN_SHIFT_DIFFERENT] = "different",
                                          [GN_SHIFT_EQUIVALENT] = "equivalent",
                                          [GN_SHIFT_NOT_ENOUGH_DATA] = "not_enough_data"};
    printf("{\"schema\": \"genchi.detect/1\",\n \"sets\": [");
    for (size_t i = 0; i < t->sets; i++) {
        printf("%s{\"path\": ", i > 0 ? ", " : "");
        json_text(t->set[i].path);
        printf(", \"rows\": %zu, \"left_out\": %zu}", t->set[i].x->rows, t->set[i].left_out);
    }
    printf("],\n \"pairs\": [");
    for (size_t i = 0, k = 0; i < t->sets; i++)
        for (size_t j = i + 1; j < t->sets; j++, k++) {
            const gn_shift *s = &t->shift[k];
            printf("%s\n  {\"a\": %zu, \"b\": %zu, \"answer\": \"%s\", \"method\": \"%s\", ",
                   k > 0 ? "," : "", i, j, answers[s->answer], s->method);
            json_number("p_value", s->p_value);
            printf(", ");
            json_number("p_holm", s->p_holm);
            printf(", ");
            json_number("statistic", s->statistic);
            printf(", ");
            json_interval("auc", s->auc);
            printf(", ");
            json_interval("auc_curved", s->auc_curved);
            printf(", \"units_a\": %zu, \"units_b\": %zu, \"rows_needed\": %zu", s->units_a, s->units_b,
                   s->rows_needed);
            if (t->has_equal) json_equivalence(t, &t->equal[k]);
            putchar('}');
        }
    printf("]");
    if (t->has_tests) {
        printf(",\n \"tests\": [");
        for (size_t k = 0; k < GN_TESTS; k++) {
            printf("%s\n  {\"method\": \"%s\", ", k > 0 ? "," : "", t->test[k].method);
            json_number("p_value", t->test[k].p_value);
            printf(", ");
            json_number("p_holm", t->test[k].p_holm);
            printf(", ");
            json_number("statistic", t->test[k].statistic);
            printf(", \"column\": %zu}", t->test[k].axis);
        }
        const gn_shift_scores *s = &t->scores;
        printf("],\n \"scores\": {");
        json_number("frechet", s->frechet);
        printf(", ");
        json_number("precision", s->precision);
        printf(", ");
        json_number("recall", s->recall);
        printf(", ");
        json_number("density", s->density);
        printf(", ");
        json_number("coverage", s->coverage);
        printf("}");
    }
    printf("}\n");
}

/* ---- as text ---- */

static void put_interval(gn_interval x)
{
    if (isfinite(x.estimate))
        printf("  %.2f (%.2f-%.2f)", x.estimate, x.low, x.high);
    else
        printf("  %-16s", "-");
}

static void print_equivalence(const table *t)
{
    gn_lang lang = t->a->lang;
    fputs(cli_text(lang, CLI_S_EQUIVALENCE_HEAD), stdout);
    for (size_t i = 0, k = 0; i < t->sets; i++)
        for (size_t j = i + 1; j < t->sets; j++, k++) {
            const gn_equivalence *e = &t->equal[k];
            printf("%2zu %2zu  %9.5f %9.5f", i + 1, j + 1, e->namd, e->upper);
            if (t->a->kernel_tolerance > 0)
                printf(cli_text(lang, e->equivalent ? CLI_S_WITHIN : CLI_S_NOT_WITHIN), e->tolerance);
            putchar('\n');
        }
}

static void print_text(const table *t)
{
    static const cli_string answers[] = {[GN_SHIFT_DIFFERENT] = CLI_S_ANSWER_DIFFERENT,
                                         [GN_SHIFT_EQUIVALENT] = CLI_S_ANSWER_EQUIVALENT,
                                         [GN_SHIFT_NOT_ENOUGH_DATA] = CLI_S_ANSWER_NOT_ENOUGH};
    gn_lang lang = t->a->lang;
    for (size_t i = 0; i < t->sets; i++) {
        printf("%2zu  %7zu  %s\n", i + 1, t->set[i].x->rows, t->set[i].path);
        if (t->set[i].left_out > 0) printf(cli_text(lang, CLI_S_LEFT_OUT), t->set[i].left_out);
    }
    fputs(cli_text(lang, CLI_S_PAIRS_HEAD), stdout);
    for (size_t i = 0, k = 0; i < t->sets; i++)
        for (size_t j = i + 1; j < t->sets; j++, k++) {
            const gn_shift *s = &t->shift[k];
            printf("%2zu %2zu  %7.4f %7.4f", i + 1, j + 1, s->p_value, s->p_holm);
            put_interval(s->auc);
            put_interval(s->auc_curved);
            printf("  %s", cli_text(lang, answers[s->answer]));
            if (s->rows_needed > 0) printf(cli_text(lang, CLI_S_ROWS_NEEDED), s->rows_needed);
            putchar('\n');
        }
    if (t->has_equal) print_equivalence(t);
    if (!t->has_tests) return;
    fputs(cli_text(lang, CLI_S_TESTS_HEAD), stdout);
    for (size_t k = 0; k < GN_TESTS; k++) {
        const gn_test_result *r = &t->test[k];
        printf("%-20s %7.4f %7.4f %11.5g", r->method, r->p_value, r->p_holm, r->statistic);
        if (r->test == GN_TEST_KS) printf(cli_text(lang, CLI_S_COLUMN), r->axis + 1);
        putchar('\n');
    }
    const gn_shift_scores *s = &t->scores;
    printf(cli_text(lang, CLI_S_SCORES), s->frechet, s->precision, s->recall, s->density, s->coverage);
}

static int run(table *t, gn_context *ctx)
{
    const cli_args *a = t->a;
    gn_error err = {.lang = a->lang};
    gn_model *model = NULL;
    gn_model_options options = cli_model_options(a);
    gn_status status = GN_OK;
    if (!gn_vectors_named(a->operand[0])) status = gn_model_load(ctx, a->model, &options, &model, &err);
    for (size_t i = 0; i < t->sets && status == GN_OK; i++) {
        gn_dataset_options read;
        if (cli_dataset_options(a, i > 0, &read) != CLI_OK) {
            gn_model_free(model);
            return CLI_USAGE;
        }
        status = read_set(t, i, ctx, &read, &err);
    }
    if (status == GN_OK && model != NULL) status = embed_sets(t, ctx, model, &err);
    if (status == GN_OK) status = measure(t, ctx, &err);
    gn_model_free(model);
    if (status != GN_OK) return cli_failed(a, &err);
    cli_progress_clear();
    if (a->json)
        print_json(t);
    else
        print_text(t);
    return fflush(stdout) == 0 ? CLI_OK : cli_complain(a, CLI_FAILED, CLI_S_CANNOT_PRINT);
}

int cli_run_sets(const cli_args *a)
{
    if (a->all_tests && a->operands > 2)
        return cli_complain(a, CLI_USAGE, CLI_S_EXTRA_OPERAND, a->operand[2]);
    if (a->operands > MOST_SETS)
        return cli_complain(a, CLI_USAGE, CLI_S_EXTRA_OPERAND, a->operand[MOST_SETS]);
    if (a->out != NULL) return cli_complain(a, CLI_USAGE, CLI_S_NO_REPORT_OF_SETS);
    for (int i = 1; i < a->operands; i++)
        if (gn_vectors_named(a->operand[i]) != gn_vectors_named(a->operand[0]))
            return cli_complain(a, CLI_USAGE, CLI_S_MIXED_INPUTS);
    if (!gn_vectors_named(a->operand[0]) && a->model == NULL)
        return cli_complain(a, CLI_USAGE, CLI_S_NEEDS_MODEL);
    table *t = calloc(1, sizeof *t);
    gn_context *ctx = t != NULL ? cli_context(a) : NULL;
    int status = CLI_FAILED;
    if (t == NULL) return cli_complain(a, CLI_FAILED, CLI_S_NO_MEMORY);
    t->a = a;
    t->sets = (size_t)a->operands;
    if (ctx != NULL) status = run(t, ctx);
    for (size_t i = 0; i < t->sets; i++) {
        gn_npy_unmap(&t->set[i].file);
        gn_matrix_free(&t->set[i].embedded);
        gn_dataset_free(&t->set[i].data);
    }
    free(t);
    if (ctx != NULL) cli_context_free(ctx);
    return status;
}
