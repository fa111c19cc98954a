/* genchi report: a result.json rendered again, in either language. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The folder a file is in: what stands before its last slash. free() it. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

int cli_run_report(const cli_args *a)
{
    if (a->operands < 1) return cli_complain(a, CLI_USAGE, CLI_S_NEEDS_FILE, "report", "report");
    if (a->operands > 1) return cli_complain(a, CLI_USAGE, CLI_S_EXTRA_OPERAND, a->operand[1]);
    gn_error err = {.lang = a->lang};
    gn_result r = {0};
    if (gn_result_read(a->operand[0], &r, &err) != GN_OK) return cli_failed(a, &err);
    char *out = a->out ? strdup(a->out) : folder_of(a->operand[0]);
    int status = CLI_OK;
    if (out == NULL)
        status = cli_complain(a, CLI_FAILED, CLI_S_NO_MEMORY);
    else if (gn_report_write(&r, a->lang, out, &err) != GN_OK)
        status = cli_failed(a, &err);
    else if (!a->quiet || a->json)
        status = cli_print_result(a, &r);
    if (status == CLI_OK && !a->quiet && !a->json) printf(cli_text(a->lang, CLI_S_REPORT_AT), out);
    free(out);
    gn_result_free(&r);
    return status;
}
