/* genchi compare: the same check over several models, one table. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_MODELS = 64 };

static int print(const cli_args *a, const gn_comparison *c)
{
    gn_error err = {.lang = a->lang};
    char *text = NULL;
    size_t length = 0;
    gn_status status = a->json
                           ? gn_comparison_json(c, &text, &length, &err)
                           : gn_comparison_text(c, a->lang, cli_columns_of_terminal(), &text, &length, &err);
    if (status != GN_OK) return cli_failed(a, &err);
    cli_progress_clear();
    bool ok = fwrite(text, 1, length, stdout) == length && fflush(stdout) == 0;
    free(text);
    return ok ? CLI_OK : cli_complain(a, CLI_FAILED, CLI_S_CANNOT_PRINT);
}

/* out/name, written aside and renamed; takes the text. */
static int write_file(const cli_args *a, const char *name, char *text, size_t length)
{
    char path[4096], aside[4112];
    snprintf(path, sizeof path, "%s/%s", a->out, name);
    snprintf(aside, sizeof aside, "%s.tmp", path);
    FILE *f = fopen(aside, "wb");
    bool ok = f != NULL && fwrite(text, 1, length, f) == length;
    if (f != NULL && fclose(f) != 0) ok = false;
    if (ok && rename(aside, path) != 0) ok = false;
    int problem = errno;
    free(text);
    if (ok) return CLI_OK;
    remove(aside);
    return cli_complain(a, CLI_FAILED, CLI_S_CANNOT_WRITE, path, strerror(problem));
}

static int write_out(const cli_args *a, const gn_comparison *c)
{
    gn_error err = {.lang = a->lang};
    char *text = NULL;
    size_t length = 0;
    if (mkdir(a->out, 0777) != 0 && errno != EEXIST)
        return cli_complain(a, CLI_FAILED, CLI_S_CANNOT_WRITE, a->out, strerror(errno));
    if (gn_comparison_json(c, &text, &length, &err) != GN_OK) return cli_failed(a, &err);
    int status = write_file(a, "compare.json", text, length);
    if (status != CLI_OK) return status;
    if (gn_comparison_html(c, a->lang, &text, &length, &err) != GN_OK) return cli_failed(a, &err);
    return write_file(a, "compare.html", text, length);
}

static int compare(const cli_args *a, const gn_check_options *o, const char *const *model, size_t models)
{
    gn_error err = {.lang = a->lang};
    gn_comparison c = {0};
    gn_context *ctx = cli_context(a);
    if (ctx == NULL) return CLI_FAILED;
    int status = CLI_OK;
    if (gn_compare(ctx, o, model, models, &c, &err) != GN_OK) status = cli_failed(a, &err);
    if (status == CLI_OK && a->out != NULL) status = write_out(a, &c);
    if (status == CLI_OK && (!a->quiet || a->json)) status = print(a, &c);
    gn_comparison_free(&c);
    cli_context_free(ctx);
    return status;
}

int cli_run_compare(const cli_args *args)
{
    cli_args a = *args;
    const char *model[MAX_MODELS];
    size_t models = 0;
    if (a.models == NULL)
        return cli_complain(&a, CLI_USAGE, CLI_S_MISSING_OPTION, "compare", "models", "compare");
    int status = cli_need_sets(&a, "compare");
    if (status != CLI_OK) return status;
    if (gn_vectors_named(a.train) || gn_vectors_named(a.test))
        return cli_complain(&a, CLI_USAGE, CLI_S_COMPARE_TEXTS);
    char *list = strdup(a.models), *rest = list, *command = cli_command_line(&a);
    status = list == NULL || command == NULL ? cli_complain(&a, CLI_FAILED, CLI_S_NO_MEMORY) : CLI_OK;
    for (char *word; status == CLI_OK && (word = strsep(&rest, ",")) != NULL;) {
        if (*word == '\0') continue;
        if (models == MAX_MODELS)
            status = cli_complain(&a, CLI_USAGE, CLI_S_EXTRA_OPERAND, word);
        else
            model[models++] = word;
    }
    gn_check_options o;
    a.model = ""; /* the check's options want one; each of the list takes its place */
    if (status == CLI_OK) status = cli_check_options(&a, &o);
    if (status == CLI_OK) {
        o.command = command;
        status = compare(&a, &o, model, models);
    }
    free(list);
    free(command);
    return status;
}
