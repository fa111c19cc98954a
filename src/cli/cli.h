/* What the subcommands share: parsed options, exit status, messages, progress. */
#ifndef GENCHI_CLI_CLI_H
#define GENCHI_CLI_CLI_H

#include "genchi/genchi.h"

#include <stdbool.h>
#include <stddef.h>

/* The exit statuses, documented in genchi(1). */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_GATE = 10 };

/* One bit a subcommand; an option lists those that take it. */
enum {
    CLI_CHECK = 1,
    CLI_EMBED = 2,
    CLI_SEE = 4,
    CLI_DETECT = 8,
    CLI_PROBE = 16,
    CLI_REPORT = 32,
    CLI_MODEL = 64,
    CLI_COMPARE = 128,
    CLI_TOKENIZE = 4096,
    CLI_FINETUNE = 8192,
    CLI_TRAINS = CLI_CHECK | CLI_FINETUNE,
    CLI_STEPS = CLI_CHECK | CLI_SEE | CLI_DETECT | CLI_PROBE | CLI_COMPARE | CLI_FINETUNE,
    CLI_READS = CLI_STEPS | CLI_EMBED,
    CLI_CACHE = 256,
    CLI_ALL = 511 | CLI_TOKENIZE | CLI_FINETUNE
};

/* How to read a file; unset fields are -1 or NULL. */
typedef struct cli_columns {
    const char *text, *label, *id, *group;
    int format, encoding, header;
} cli_columns;

typedef struct cli_args {
    unsigned command; /* the subcommand's bit */
    gn_lang lang;
    size_t threads, seed;
    bool quiet, no_color, json, help, version, gate;
    const char *train, *test, *input, *model, *out, *preset;
    const char *models, *model_name; /* compare's; the name that an endpoint knows its model by */
    bool insecure_http;
    double time_limit;
    const char *train_labels, *test_labels;
    cli_columns both, for_train, for_test;
    const char *prompt, *label_map, *drop_label, *group_alone;
    bool strict, keep_duplicates, hide_texts;
    int pooling, dtype, bandwidth, statistic;
    bool all_tests;
    size_t max_length, permutations, folds;
    double alpha, tolerance, kernel_tolerance;
    /* fine-tuning */
    const char *fine_tune; /* --fine-tune[=METHODS]; "": the usual ones */
    const char *methods, *train_on, *checkpoint, *save, *save_method, *save_on;
    size_t seeds, epochs, batch, lora_rank, last_k, heldout, max_train, mix_rows;
    size_t memory; /* bytes */
    double rate, lora_rate, lora_alpha, worthwhile;
    double dropout; /* negative: as the config says */
    const char *lora_targets;
    int schedule;      /* gn_schedule */
    int class_weights; /* CLI_WEIGHTS_… */
    bool restart, merge;
    int output_type;
    int offsets;               /* tokenize's: CLI_OFFSETS_… */
    const char *shard;         /* "i/n" */
    const char *cache;         /* a folder, or "off" */
    const char *operand[1024]; /* what stands on the command line beside options */
    int operands;
    int argc; /* the whole command line, for the record */
    char **argv;
} cli_args;

enum { CLI_OFFSETS_CHARS, CLI_OFFSETS_BYTES };
enum { CLI_WEIGHTS_NONE, CLI_WEIGHTS_BALANCED };

/* X(ID, English, Japanese): formats may reorder with %1$s. */
typedef enum cli_string {
#define S(id, en, ja) CLI_S_##id,
#include "cli/strings.def"
#undef S
    CLI_S_COUNT
} cli_string;
const char *cli_text(gn_lang lang, cli_string id);

/* Prints "genchi: …" to stderr; returns `status`, so that callers can return cli_complain(…). */
int cli_complain(const cli_args *a, int status, cli_string id, ...);
/* The same with a library error: CLI_FAILED, or CLI_USAGE for GN_INVALID_ARGUMENT. */
int cli_failed(const cli_args *a, const gn_error *err);

/* A string to stdout as JSON writes it, quotes included. */
void cli_print_json_string(const char *s);

/* The help text of a subcommand's bit (0: the whole command). */
const char *cli_help(unsigned command, gn_lang lang);

/* Parses argv[from..argc) for the subcommand. CLI_OK, or CLI_USAGE with a message printed. */
int cli_parse(int argc, char **argv, int from, unsigned command, cli_args *a);

/* How train and test are to be read: the preset, then the common options, then the file's own. */
int cli_dataset_options(const cli_args *a, bool for_test, gn_dataset_options *out);
gn_model_options cli_model_options(const cli_args *a);

/* What the environment says about the hub (HF_HOME and its like) and about the endpoint at a URL. Static
 * storage, overwritten by the next call. */
const gn_hub_options *cli_hub_options(const cli_args *a);
const gn_endpoint_options *cli_endpoint_options(const cli_args *a, const char *url);

/* A context whose progress goes to stderr when that is a terminal, and which Ctrl-C cancels.
 * NULL: failed, message printed. */
gn_context *cli_context(const cli_args *a);
/* Ends the progress line, frees the context. After Ctrl-C the process then dies of SIGINT, as shells expect.
 */
void cli_context_free(gn_context *ctx);
/* What cli_context_free says after Ctrl-C instead of "nothing was written": borrowed, with its newline. */
void cli_stopped_with(const char *message);
/* Wipes the progress line, so that something else can be printed. */
void cli_progress_clear(void);

/* Width of the terminal on stdout (80 where there is none); colours wanted there. */
unsigned cli_columns_of_terminal(void);
bool cli_colour(const cli_args *a);

int cli_run_check(const cli_args *a);
int cli_run_steps(const cli_args *a); /* see, detect, probe */
int cli_run_sets(const cli_args *a);  /* detect: several sets, all tests, or equivalence by kernel */
int cli_run_embed(const cli_args *a);
int cli_run_report(const cli_args *a);
int cli_run_model(const cli_args *a);
int cli_run_compare(const cli_args *a);
int cli_run_finetune(const cli_args *a);
int cli_model_pull(const cli_args *a, gn_context *ctx, const char *name);
int cli_run_tokenize(const cli_args *a);
int cli_run_cache(const cli_args *a);

/* The cache that --cache or the environment names. NULL: none (off, or a warning was printed). *status:
 * CLI_OK, or the exit status where --cache names one that cannot be opened. */
gn_cache *cli_cache_open(const cli_args *a, int *status);
/* Says what the cache did, if it did anything, and closes it; NULL is allowed. */
void cli_cache_close(const cli_args *a, gn_cache *c);

/* What --methods and its like say, into o->finetune and tune, which o borrows. CLI_OK or the exit status. */
int cli_finetune_options(const cli_args *a, const char *methods, gn_tune_options *tune, gn_check_options *o);
/* After Ctrl-C: what is safe. Static storage. */
void cli_finetune_stopped(const cli_args *a);

/* check's options out of the command line, all but steps. CLI_OK or the exit status. */
int cli_check_options(const cli_args *a, gn_check_options *o);
/* Complains unless --train and --test are there, and nothing that is no option. CLI_OK or the exit status. */
int cli_need_sets(const cli_args *a, const char *command);
/* Gives run a context, and o the command as typed and (with a model) the cache; then takes all back. */
int cli_run_with(const cli_args *a, gn_check_options *o,
                 int (*run)(const cli_args *a, gn_context *ctx, gn_check_options *o));
/* Prints a result to stdout, as JSON or as text. */
int cli_print_result(const cli_args *a, const gn_result *r);
/* The command line as typed, quoted for a shell; free() it. NULL: no memory. */
char *cli_command_line(const cli_args *a);

#endif
