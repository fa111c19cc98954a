/* genchi finetune: fine-tuning beside the probe, without the rest of the line. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const methods[] = {
#define NAME(name, text) text,
    GN_METHOD_LIST(NAME)
#undef NAME
        NULL};
static const char *const sources[] = {
#define NAME(name, text) text,
    GN_SOURCE_LIST(NAME)
#undef NAME
        NULL};

static const char *const targets[] = {"query", "key", "value", "out", "mlp", NULL}; /* GN_LORA_, bit by bit */

/* The place of a word in the list, or its length. */
static unsigned place(const char *const *names, const char *word, size_t length)
{
    unsigned i = 0;
    while (names[i] != NULL && (strlen(names[i]) != length || strncmp(names[i], word, length) != 0)) i++;
    return i;
}

static int unknown(const cli_args *a, const char *option, const char *const *names, const char *word,
                   size_t length)
{
    char all[160] = "", found[64];
    for (; *names != NULL; names++) {
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", used ? ", " : "", *names);
    }
    snprintf(found, sizeof found, "%.*s", (int)(length < 60 ? length : 60), word);
    return cli_complain(a, CLI_USAGE, CLI_S_UNKNOWN_IN_LIST, option, found, all);
}

/* "full,lora" into bits; NULL and "" leave them alone. */
static int bits_of(const cli_args *a, const char *option, const char *const *names, const char *list,
                   unsigned *bits)
{
    while (list != NULL && *list != '\0') {
        size_t length = strcspn(list, ",");
        unsigned i = place(names, list, length);
        if (names[i] == NULL) return unknown(a, option, names, list, length);
        *bits |= 1U << i;
        list += length;
        list += *list == ',';
    }
    return CLI_OK;
}

static int one_of(const cli_args *a, const char *option, const char *const *names, const char *word,
                  unsigned *out)
{
    if (word == NULL) return CLI_OK;
    *out = place(names, word, strlen(word));
    return names[*out] != NULL ? CLI_OK : unknown(a, option, names, word, strlen(word));
}

int cli_finetune_options(const cli_args *a, const char *which, gn_tune_options *tune, gn_check_options *o)
{
    enum { PATIENCE = 4 };
    gn_finetune_options *f = &o->finetune;
    unsigned method = GN_METHOD_LP, source = GN_SOURCE_TRAIN;
    *tune = (gn_tune_options){.lora_rank = a->lora_rank,
                              .lora_alpha = a->lora_alpha,
                              .last_k = a->last_k,
                              .epochs = a->epochs,
                              .batch = a->batch,
                              .rate = a->rate,
                              .decay = -1,
                              .warmup = -1,
                              .clip = -1,
                              .schedule = (gn_schedule)a->schedule,
                              .dropout = a->dropout,
                              .heldout = -1,
                              .patience = PATIENCE,
                              .dtype = a->dtype == GN_DTYPE_INT8 ? GN_DTYPE_AUTO : (gn_dtype)a->dtype,
                              .memory = a->memory};
    *f = (gn_finetune_options){.seeds = a->seeds,
                               .folds = a->folds,
                               .heldout_rows = a->heldout,
                               .max_train = a->max_train,
                               .mix_rows = a->mix_rows,
                               .worthwhile = a->worthwhile,
                               .tune = tune,
                               .lora_rate = a->lora_rate,
                               .balanced = a->class_weights == CLI_WEIGHTS_BALANCED,
                               .probe = {.folds = a->folds},
                               .store = a->checkpoint};
    int status = bits_of(a, a->command == CLI_CHECK ? "fine-tune" : "methods", methods, which, &f->methods);
    if (status == CLI_OK) status = bits_of(a, "train-on", sources, a->train_on, &f->sources);
    if (status == CLI_OK) status = bits_of(a, "lora-targets", targets, a->lora_targets, &tune->lora_target);
    if (status == CLI_OK) status = one_of(a, "save-method", methods, a->save_method, &method);
    if (status == CLI_OK) status = one_of(a, "save-on", sources, a->save_on, &source);
    if (status == CLI_OK && a->save_method != NULL &&
        method == GN_METHOD_LP) /* nothing of it could be saved */
        status = unknown(a, "save-method", methods + 1, a->save_method, strlen(a->save_method));
    o->save = a->save;
    o->save_method = (gn_method)method;
    o->save_source = (gn_source)source;
    return status;
}

void cli_finetune_stopped(const cli_args *a)
{
    static char message[1024];
    if (a->checkpoint == NULL) return;
    snprintf(message, sizeof message, cli_text(a->lang, CLI_S_FINETUNE_STOPPED), a->checkpoint);
    cli_stopped_with(message);
}

static int run(const cli_args *a, gn_context *ctx, gn_check_options *o)
{
    gn_error err = {.lang = a->lang};
    gn_result r = {0};
    if (gn_check(ctx, o, &r, &err) != GN_OK) return cli_failed(a, &err);
    int status = CLI_OK;
    if (a->out != NULL && gn_report_write(&r, a->lang, a->out, &err) != GN_OK) status = cli_failed(a, &err);
    if (status == CLI_OK && (!a->quiet || a->json)) status = cli_print_result(a, &r);
    if (status == CLI_OK && !a->quiet && !a->json) {
        if (a->out != NULL) printf(cli_text(a->lang, CLI_S_REPORT_AT), a->out);
        if (o->save != NULL) printf(cli_text(a->lang, CLI_S_SAVED_AT), o->save);
    }
    gn_result_free(&r);
    return status;
}

int cli_run_finetune(const cli_args *a)
{
    int status = cli_need_sets(a, "finetune");
    if (status != CLI_OK) return status;
    if (gn_vectors_named(a->train) || gn_vectors_named(a->test))
        return cli_complain(a, CLI_USAGE, CLI_S_FINETUNE_TEXTS);
    gn_check_options o;
    gn_tune_options tune;
    status = cli_check_options(a, &o);
    if (status == CLI_OK) status = cli_finetune_options(a, a->methods, &tune, &o);
    if (status != CLI_OK) return status;
    o.steps = GN_STEP_FINETUNE;
    cli_finetune_stopped(a);
    return cli_run_with(a, &o, run);
}
