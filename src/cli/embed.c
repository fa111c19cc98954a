/* genchi embed: a file of texts to a file of vectors, and the parts of one joined. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char stopped[4608]; /* what is said after Ctrl-C */

static void say_left_out(const cli_args *a, const gn_embed_file_result *r)
{
    unsigned long long malformed = r->malformed, empty = r->empty, dropped = r->dropped_by_label;
    if (malformed + empty + dropped > 0)
        fprintf(stderr, cli_text(a->lang, CLI_S_EMBEDDED_LEFT_OUT), malformed + empty + dropped,
                (unsigned long long)r->rows_read, malformed, empty, dropped, a->out);
}

static int embed(const cli_args *a, gn_context *ctx, const gn_embed_file_options *o)
{
    gn_error err = {.lang = a->lang};
    gn_model *model = NULL;
    gn_model_options options = cli_model_options(a);
    gn_embed_file_result r;
    if (gn_model_load(ctx, a->model, &options, &model, &err) != GN_OK) return cli_failed(a, &err);
    size_t max_length = gn_model_get_info(model)->max_length;
    gn_status done = gn_embed_file(ctx, model, o, &r, &err);
    gn_model_free(model);
    cli_progress_clear();
    if (done != GN_OK) {
        if (done == GN_CANCELLED && r.rows > 0) {
            snprintf(stopped, sizeof stopped, cli_text(a->lang, CLI_S_EMBED_STOPPED),
                     (unsigned long long)r.rows, a->out);
            cli_stopped_with(stopped);
        }
        int status = cli_failed(a, &err);
        if (done == GN_INVALID_ARGUMENT) fputs(cli_text(a->lang, CLI_S_RESTART_HINT), stderr);
        return status;
    }
    if (a->quiet) return CLI_OK;
    if (r.resumed_rows > 0)
        fprintf(stderr, cli_text(a->lang, CLI_S_EMBEDDED_RESUMED), (unsigned long long)r.resumed_rows);
    fprintf(stderr, cli_text(a->lang, CLI_S_EMBEDDED), a->out, (size_t)r.rows, (size_t)r.dim, (size_t)r.cut,
            max_length, r.seconds);
    say_left_out(a, &r);
    return CLI_OK;
}

static int merge(const cli_args *a, gn_context *ctx)
{
    gn_error err = {.lang = a->lang};
    gn_embed_file_result r;
    if (gn_embed_merge(ctx, a->operand, (size_t)a->operands, a->out, &r, &err) != GN_OK)
        return cli_failed(a, &err);
    if (a->quiet) return CLI_OK;
    fprintf(stderr, cli_text(a->lang, CLI_S_MERGED), a->out, (unsigned long long)r.rows,
            (unsigned long long)r.dim, a->operands);
    say_left_out(a, &r);
    return CLI_OK;
}

static bool parse_shard(const char *s, gn_embed_file_options *o)
{
    int end = 0;
    if (s == NULL) return true;
    if (strspn(s, "0123456789/") != strlen(s) || sscanf(s, "%6u/%6u%n", &o->shard, &o->shards, &end) != 2)
        return false;
    return s[end] == '\0' && o->shard >= 1 && o->shard <= o->shards;
}

int cli_run_embed(const cli_args *a)
{
    const struct {
        const char *name, *value;
    } needed[] = {{"out", a->out}, {"model", a->model}, {"input", a->input}};
    size_t need = a->merge ? 1 : sizeof needed / sizeof *needed;
    for (size_t i = 0; i < need; i++)
        if (needed[i].value == NULL)
            return cli_complain(a, CLI_USAGE, CLI_S_MISSING_OPTION, "embed", needed[i].name, "embed");
    if (a->merge && a->operands == 0) return cli_complain(a, CLI_USAGE, CLI_S_NEEDS_FILE, "embed", "embed");
    if (!a->merge && a->operands > 0) return cli_complain(a, CLI_USAGE, CLI_S_EXTRA_OPERAND, a->operand[0]);
    gn_embed_file_options o = {
        .input = a->input, .out = a->out, .type = (gn_output_type)a->output_type, .restart = a->restart};
    if (!parse_shard(a->shard, &o)) return cli_complain(a, CLI_USAGE, CLI_S_BAD_SHARD, a->shard);
    int status = cli_dataset_options(a, false, &o.read);
    if (status != CLI_OK) return status;
    gn_context *ctx = cli_context(a);
    status = ctx == NULL ? CLI_FAILED : a->merge ? merge(a, ctx) : embed(a, ctx, &o);
    if (ctx != NULL) cli_context_free(ctx);
    return status;
}
