/* genchi check: the whole line. Also what see, detect and probe share with it. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *cli_command_line(const cli_args *a)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=,:@%+";
    size_t size = 1;
    for (int i = 0; i < a->argc; i++) size += 4 * strlen(a->argv[i]) + 3; /* ' becomes '\'' */
    char *out = malloc(size), *at = out;
    if (out == NULL) return NULL;
    for (int i = 0; i < a->argc; i++) {
        const char *word = i == 0 ? "genchi" : a->argv[i];
        if (i > 0) *at++ = ' ';
        if (*word != '\0' && word[strspn(word, plain)] == '\0') {
            at = stpcpy(at, word);
            continue;
        }
        *at++ = '\'';
        for (const char *c = word; *c != '\0'; c++) {
            if (*c == '\'')
                at = stpcpy(at, "'\\''");
            else
                *at++ = *c;
        }
        *at++ = '\'';
    }
    *at = '\0';
    return out;
}

int cli_check_options(const cli_args *a, gn_check_options *o)
{
    *o = (gn_check_options){.train = a->train,
                            .test = a->test,
                            .train_labels = a->train_labels,
                            .test_labels = a->test_labels,
                            .model = a->model,
                            .model_options = cli_model_options(a),
                            .detect = {.alpha = a->alpha,
                                       .tolerance = a->tolerance,
                                       .permutations = a->permutations,
                                       .folds = a->folds,
                                       .test = (gn_test)a->statistic},
                            .probe = {.folds = a->folds},
                            .bandwidth = (gn_bandwidth)a->bandwidth,
                            .keep_duplicates = a->keep_duplicates,
                            .hide_texts = a->hide_texts};
    if (gn_vectors_named(a->train) != gn_vectors_named(a->test))
        return cli_complain(a, CLI_USAGE, CLI_S_MIXED_INPUTS);
    if (gn_vectors_named(a->train))
        o->model = NULL;
    else if (a->model == NULL)
        return cli_complain(a, CLI_USAGE, CLI_S_NEEDS_MODEL);
    int status = cli_dataset_options(a, false, &o->train_options);
    return status == CLI_OK ? cli_dataset_options(a, true, &o->test_options) : status;
}

int cli_print_result(const cli_args *a, const gn_result *r)
{
    gn_error err = {.lang = a->lang};
    char *text = NULL;
    size_t length = 0;
    gn_status status =
        a->json ? gn_report_json(r, a->lang, &text, &length, &err)
                : gn_report_text(r, a->lang, cli_colour(a), cli_columns_of_terminal(), &text, &length, &err);
    if (status != GN_OK) return cli_failed(a, &err);
    cli_progress_clear();
    bool ok = fwrite(text, 1, length, stdout) == length && fflush(stdout) == 0;
    free(text);
    return ok ? CLI_OK : cli_complain(a, CLI_FAILED, CLI_S_CANNOT_PRINT);
}

/* The embeddings beside the report: directory/name.npy. */
static gn_status write_embeddings(const char *directory, const char *name, const gn_matrix *m, gn_error *err)
{
    size_t size = strlen(directory) + strlen(name) + 2;
    char *path = malloc(size);
    if (path == NULL) {
        err->code = GN_NO_MEMORY;
        snprintf(err->message, sizeof err->message, "%s", cli_text(err->lang, CLI_S_NO_MEMORY));
        return GN_NO_MEMORY;
    }
    snprintf(path, size, "%s/%s", directory, name);
    gn_status status = gn_npy_write(path, m, err);
    free(path);
    return status;
}

/* $XDG_CACHE_HOME/genchi/embeddings, else ~/.cache/genchi/embeddings; NULL: neither is set. free() it. */
static char *default_cache(void)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    bool set = xdg != NULL && xdg[0] == '/';
    if (!set && (home == NULL || *home == '\0')) return NULL;
    const char *base = set ? xdg : home, *rest = set ? "/genchi/embeddings" : "/.cache/genchi/embeddings";
    size_t size = strlen(base) + strlen(rest) + 1;
    char *path = malloc(size);
    if (path != NULL) snprintf(path, size, "%s%s", base, rest);
    return path;
}

gn_cache *cli_cache_open(const cli_args *a, int *status)
{
    gn_error err = {.lang = a->lang};
    gn_cache *c = NULL;
    *status = CLI_OK;
    if (a->cache != NULL && strcmp(a->cache, "off") == 0) return NULL;
    char *by_default = a->cache == NULL ? default_cache() : NULL;
    const char *path = a->cache != NULL ? a->cache : by_default;
    if (path != NULL && gn_cache_open(path, &c, &err) != GN_OK) {
        if (a->cache != NULL || a->command == CLI_CACHE)
            *status = cli_failed(a, &err);
        else if (!a->quiet)
            cli_complain(a, CLI_OK, CLI_S_CACHE_FAILED, err.message);
        c = NULL;
    }
    free(by_default);
    return c;
}

void cli_cache_close(const cli_args *a, gn_cache *c)
{
    gn_cache_session s;
    if (c == NULL) return;
    gn_cache_get_session(c, &s);
    cli_progress_clear();
    if (!a->quiet && s.failed != GN_OK)
        cli_complain(a, CLI_OK, CLI_S_CACHE_FAILED, s.message);
    else if (!a->quiet && s.found > 0)
        fprintf(stderr, cli_text(a->lang, CLI_S_CACHE_FOUND), (unsigned long long)s.found,
                (unsigned long long)(s.found + s.added));
    gn_cache_close(c);
}

int cli_need_sets(const cli_args *a, const char *command)
{
    const char *missing = a->train == NULL ? "train" : a->test == NULL ? "test" : NULL;
    if (missing != NULL) return cli_complain(a, CLI_USAGE, CLI_S_MISSING_OPTION, command, missing, command);
    return a->operands > 0 ? cli_complain(a, CLI_USAGE, CLI_S_EXTRA_OPERAND, a->operand[0]) : CLI_OK;
}

int cli_run_with(const cli_args *a, gn_check_options *o,
                 int (*run)(const cli_args *a, gn_context *ctx, gn_check_options *o))
{
    int status = CLI_OK;
    char *command = cli_command_line(a);
    if (command == NULL) return cli_complain(a, CLI_FAILED, CLI_S_NO_MEMORY);
    o->command = command;
    if (o->model != NULL) o->cache = cli_cache_open(a, &status);
    if (status == CLI_OK) {
        gn_context *ctx = cli_context(a);
        status = ctx == NULL ? CLI_FAILED : run(a, ctx, o);
        cli_cache_close(a, o->cache);
        if (ctx != NULL) cli_context_free(ctx);
    }
    free(command);
    return status;
}

static int check(const cli_args *a, gn_context *ctx, gn_check_options *o)
{
    const char *out = a->out ? a->out : "genchi-report";
    gn_error err = {.lang = a->lang};
    gn_matrix train = {0}, test = {0};
    gn_result r = {0};
    int status = CLI_OK;
    o->keep_train = &train;
    o->keep_test = &test;
    if (gn_check(ctx, o, &r, &err) != GN_OK || gn_report_write(&r, a->lang, out, &err) != GN_OK ||
        write_embeddings(out, "train.npy", &train, &err) != GN_OK ||
        write_embeddings(out, "test.npy", &test, &err) != GN_OK) {
        status = cli_failed(a, &err);
    } else {
        if (!a->quiet || a->json) status = cli_print_result(a, &r);
        if (status == CLI_OK && !a->quiet && !a->json) printf(cli_text(a->lang, CLI_S_REPORT_AT), out);
        if (status == CLI_OK && !a->quiet && !a->json && o->save != NULL)
            printf(cli_text(a->lang, CLI_S_SAVED_AT), o->save);
        if (status == CLI_OK && a->gate && !r.verdict.gate_passes) status = CLI_GATE;
    }
    gn_result_free(&r);
    gn_matrix_free(&train);
    gn_matrix_free(&test);
    return status;
}

int cli_run_check(const cli_args *a)
{
    gn_check_options o;
    gn_tune_options tune;
    int status = cli_need_sets(a, "check");
    if (status == CLI_OK) status = cli_check_options(a, &o);
    if (status == CLI_OK && a->fine_tune != NULL) {
        status = cli_finetune_options(a, a->fine_tune, &tune, &o);
        o.steps = GN_STEP_ALL | GN_STEP_FINETUNE;
        cli_finetune_stopped(a);
    }
    if (status != CLI_OK) return status;
    return cli_run_with(a, &o, check);
}
