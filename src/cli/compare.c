#include "cli/cli.h"

int cli_run_compare(const cli_args *a)
{
    (void)a;
    return CLI_FAILED;
}
