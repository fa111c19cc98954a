/* genchi see, detect, probe: one step of the line on two sets, A (train) and B (test). */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
    unsigned bit, steps;
    const char *name;
} steps[] = {{CLI_SEE, GN_STEP_SEE, "see"},
             {CLI_DETECT, GN_STEP_DETECT, "detect"},
             {CLI_PROBE, GN_STEP_VERIFY, "probe"}};

static int run(const cli_args *a, gn_context *ctx, gn_check_options *o)
{
    gn_error err = {.lang = a->lang};
    gn_result r = {0};
    if (gn_check(ctx, o, &r, &err) != GN_OK) return cli_failed(a, &err);
    int status = CLI_OK;
    if (a->out != NULL && gn_report_write(&r, a->lang, a->out, &err) != GN_OK) status = cli_failed(a, &err);
    if (status == CLI_OK) status = cli_print_result(a, &r);
    if (status == CLI_OK && a->out != NULL && !a->json) printf(cli_text(a->lang, CLI_S_REPORT_AT), a->out);
    gn_result_free(&r);
    return status;
}

int cli_run_steps(const cli_args *args)
{
    cli_args a = *args;
    size_t which = 0;
    while (steps[which].bit != a.command) which++;
    if (a.operands < 2)
        return cli_complain(&a, CLI_USAGE, CLI_S_NEEDS_TWO_SETS, steps[which].name, steps[which].name);
    if (a.command == CLI_DETECT && (a.operands > 2 || a.all_tests || a.kernel_tolerance > 0))
        return cli_run_sets(&a);
    if (a.operands > 2) return cli_complain(&a, CLI_USAGE, CLI_S_EXTRA_OPERAND, a.operand[2]);
    a.train = a.operand[0];
    a.test = a.operand[1];
    gn_check_options o;
    int status = cli_check_options(&a, &o);
    if (status != CLI_OK) return status;
    o.steps = steps[which].steps;
    return cli_run_with(&a, &o, run);
}
