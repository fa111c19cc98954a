/* genchi embed: texts to .npy. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

static int embed(const cli_args *a, gn_context *ctx, const gn_dataset_options *read_options)
{
    gn_error err = {.lang = a->lang};
    gn_dataset d = {0};
    gn_model *model = NULL;
    gn_matrix x = {0};
    gn_embed_stats stats;
    gn_model_options options = cli_model_options(a);
    int status = CLI_OK;
    if (gn_dataset_read(ctx, a->input, read_options, &d, &err) != GN_OK ||
        gn_model_load(ctx, a->model, &options, &model, &err) != GN_OK ||
        gn_model_embed(ctx, model, (const char *const *)d.text, d.length, d.rows, &x, NULL, &stats, &err) !=
            GN_OK ||
        gn_npy_write(a->out, &x, &err) != GN_OK) {
        status = cli_failed(a, &err);
    } else if (!a->quiet) {
        cli_progress_clear();
        fprintf(stderr, cli_text(a->lang, CLI_S_EMBEDDED), a->out, x.rows, x.cols, stats.cut,
                gn_model_get_info(model)->max_length, stats.seconds);
    }
    gn_matrix_free(&x);
    gn_model_free(model);
    gn_dataset_free(&d);
    return status;
}

int cli_run_embed(const cli_args *a)
{
    const struct {
        const char *name, *value;
    } needed[] = {{"model", a->model}, {"input", a->input}, {"out", a->out}};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (needed[i].value == NULL)
            return cli_complain(a, CLI_USAGE, CLI_S_MISSING_OPTION, "embed", needed[i].name, "embed");
    if (a->operands > 0) return cli_complain(a, CLI_USAGE, CLI_S_EXTRA_OPERAND, a->operand[0]);
    gn_dataset_options read_options;
    int status = cli_dataset_options(a, false, &read_options);
    if (status != CLI_OK) return status;
    gn_context *ctx = cli_context(a);
    status = ctx == NULL ? CLI_FAILED : embed(a, ctx, &read_options);
    if (ctx != NULL) cli_context_free(ctx);
    return status;
}
