/* genchi tokenize: texts to token ids, one JSON line a text. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static void print_tokens(const gn_tokenizer *t, const gn_tokens *tokens)
{
    printf("{\"ids\":[");
    for (size_t i = 0; i < tokens->count; i++) printf("%s%d", i ? "," : "", (int)tokens->id[i]);
    printf("],\"tokens\":[");
    for (size_t i = 0; i < tokens->count; i++) {
        const char *token = gn_tokenizer_token(t, tokens->id[i]);
        if (i > 0) putchar(',');
        cli_print_json_string(token == NULL ? "" : token);
    }
    printf("],\"offsets\":[");
    for (size_t i = 0; i < tokens->count; i++)
        printf("%s[%u,%u]", i ? "," : "", (unsigned)tokens->begin[i], (unsigned)tokens->end[i]);
    printf("]}\n");
}

static int tokenize(const cli_args *a, gn_context *ctx, const gn_dataset_options *read_options)
{
    gn_error err = {.lang = a->lang};
    gn_dataset d = {0};
    gn_tokenizer *t = NULL;
    gn_tokens tokens = {0};
    int status = CLI_OK;
    char *found = NULL;
    struct stat st;
    /* a folder as it stands, else a name in the cache of the hub */
    if ((stat(a->model, &st) != 0 && gn_hub_is_name(a->model) &&
         gn_hub_find(a->model, cli_hub_options(a), &found, &err) != GN_OK) ||
        gn_tokenizer_load(found ? found : a->model, &t, &err) != GN_OK ||
        gn_dataset_read(ctx, a->operand[0], read_options, &d, &err) != GN_OK)
        status = cli_failed(a, &err);
    for (size_t i = 0; status == CLI_OK && i < d.rows; i++) {
        if (gn_tokenizer_encode(t, d.text[i], d.length[i], true, a->max_length, &tokens, &err) != GN_OK)
            status = cli_failed(a, &err);
        else
            print_tokens(t, &tokens);
    }
    if (status == CLI_OK && fflush(stdout) != 0) status = cli_complain(a, CLI_FAILED, CLI_S_CANNOT_PRINT);
    free(found);
    gn_tokens_free(&tokens);
    gn_tokenizer_free(t);
    gn_dataset_free(&d);
    return status;
}

int cli_run_tokenize(const cli_args *a)
{
    if (a->model == NULL)
        return cli_complain(a, CLI_USAGE, CLI_S_MISSING_OPTION, "tokenize", "model", "tokenize");
    if (a->operands < 1) return cli_complain(a, CLI_USAGE, CLI_S_NEEDS_FILE, "tokenize", "tokenize");
    if (a->operands > 1) return cli_complain(a, CLI_USAGE, CLI_S_EXTRA_OPERAND, a->operand[1]);
    gn_dataset_options read_options;
    int status = cli_dataset_options(a, false, &read_options);
    if (status != CLI_OK) return status;
    gn_context *ctx = cli_context(a);
    status = ctx == NULL ? CLI_FAILED : tokenize(a, ctx, &read_options);
    if (ctx != NULL) cli_context_free(ctx);
    return status;
}
