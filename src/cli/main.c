/* genchi's command line: which subcommand, in which language. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct command {
    const char *name;
    unsigned bit;
    int (*run)(const cli_args *a);
} command;

static const command commands[] = {
    {"check", CLI_CHECK, cli_run_check},
    {"embed", CLI_EMBED, cli_run_embed},
    {"see", CLI_SEE, cli_run_steps},
    {"detect", CLI_DETECT, cli_run_steps},
    {"probe", CLI_PROBE, cli_run_steps},
    {"report", CLI_REPORT, cli_run_report},
    {"model", CLI_MODEL, cli_run_model},
    {"compare", CLI_COMPARE, cli_run_compare},
    {"cache", CLI_CACHE, cli_run_cache},
    {"tokenize", CLI_TOKENIZE, cli_run_tokenize},
    {"finetune", CLI_FINETUNE, cli_run_finetune},
};

const char *cli_text(gn_lang lang, cli_string id)
{
    static const char *const text[][2] = {
#define S(name, en, ja) {en, ja},
#include "cli/strings.def"
#undef S
    };
    return text[id][lang == GN_LANG_JA];
}

int cli_complain(const cli_args *a, int status, cli_string id, ...)
{
    va_list args;
    cli_progress_clear();
    fputs("genchi: ", stderr);
    va_start(args, id);
    vfprintf(stderr, cli_text(a->lang, id), args);
    va_end(args);
    fputc('\n', stderr);
    return status;
}

int cli_failed(const cli_args *a, const gn_error *err)
{
    (void)a;
    cli_progress_clear();
    /* after Ctrl-C cli_context_free says so, once */
    if (err->code != GN_CANCELLED) fprintf(stderr, "genchi: %s\n", err->message);
    return err->code == GN_INVALID_ARGUMENT ? CLI_USAGE : CLI_FAILED;
}

void cli_print_json_string(const char *s)
{
    putchar('"');
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

/* As gettext does: the first of LC_ALL, LC_MESSAGES, LANG that is set. */
static gn_lang language_of_locale(void)
{
    static const char *const variables[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = getenv(variables[i]);
        if (value != NULL && *value != '\0') return strncmp(value, "ja", 2) == 0 ? GN_LANG_JA : GN_LANG_EN;
    }
    return GN_LANG_EN;
}

static int print_help(unsigned bit, gn_lang lang)
{
    fputs(cli_help(bit, lang), stdout);
    return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

static int print_version(void)
{
    printf("genchi %s\n", gn_version());
    return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

int main(int argc, char **argv)
{
    cli_args a = {.lang = language_of_locale()};
    const char *name = argc > 1 ? argv[1] : NULL;
    for (size_t i = 0; name != NULL && i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, name) != 0) continue;
        int status = cli_parse(argc, argv, 2, commands[i].bit, &a);
        if (status != CLI_OK) return status;
        if (a.help) return print_help(commands[i].bit, a.lang);
        if (a.version) return print_version();
        return commands[i].run(&a);
    }
    if (name != NULL && name[0] != '-' && strcmp(name, "help") != 0)
        return cli_complain(&a, CLI_USAGE, CLI_S_UNKNOWN_COMMAND, name);
    int status = cli_parse(argc, argv, 1, CLI_ALL, &a);
    if (status != CLI_OK) return status;
    if (a.version) return print_version();
    if (a.help || name != NULL) return print_help(0, a.lang);
    fputs(cli_help(0, a.lang), stderr);
    return CLI_USAGE;
}
