/* The one table of options: name, which subcommands take it, what it sets. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum option_kind {
    FLAG,
    STRING,
    MAYBE, /* a string that may be left out: "" */
    SIZE,
    NUMBER,
    CHOICE,
    BYTES /* "500M", "4G" */
} option_kind;

typedef struct choice {
    const char *name;
    int value;
} choice;

typedef struct option_row {
    const char *name;
    unsigned commands;
    option_kind kind;
    size_t at;             /* offset in cli_args */
    const choice *choices; /* CHOICE: ends with a NULL name */
    double low, high;      /* SIZE, NUMBER */
} option_row;

static const choice langs[] = {{"en", GN_LANG_EN}, {"ja", GN_LANG_JA}, {NULL, 0}};
static const choice formats[] = {{"auto", GN_FORMAT_AUTO},   {"csv", GN_FORMAT_CSV},   {"tsv", GN_FORMAT_TSV},
                                 {"jsonl", GN_FORMAT_JSONL}, {"text", GN_FORMAT_TEXT}, {NULL, 0}};
static const choice encodings[] = {{"auto", GN_ENCODING_AUTO},      {"utf-8", GN_ENCODING_UTF8},
                                   {"latin-1", GN_ENCODING_LATIN1}, {"cp932", GN_ENCODING_CP932},
                                   {"euc-jp", GN_ENCODING_EUC_JP},  {NULL, 0}};
static const choice headers[] = {
    {"auto", GN_HEADER_AUTO}, {"yes", GN_HEADER_YES}, {"no", GN_HEADER_NO}, {NULL, 0}};
static const choice poolings[] = {{"auto", GN_POOLING_AUTO},
                                  {"mean", GN_POOLING_MEAN},
                                  {"cls", GN_POOLING_CLS},
                                  {"last", GN_POOLING_LAST},
                                  {"max", GN_POOLING_MAX},
                                  {"weighted-mean", GN_POOLING_WEIGHTED_MEAN},
                                  {"mean-sqrt", GN_POOLING_MEAN_SQRT},
                                  {NULL, 0}};
static const choice dtypes[] = {{"auto", GN_DTYPE_AUTO},
                                {"float32", GN_DTYPE_F32},
                                {"bfloat16", GN_DTYPE_BF16},
                                {"int8", GN_DTYPE_INT8},
                                {NULL, 0}};
static const choice bandwidths[] = {
    {"isj", GN_BANDWIDTH_ISJ}, {"silverman", GN_BANDWIDTH_SILVERMAN}, {NULL, 0}};

static const choice output_types[] = {
    {"float32", GN_OUTPUT_F32}, {"float16", GN_OUTPUT_F16}, {"bfloat16", GN_OUTPUT_BF16}, {NULL, 0}};
static const choice offsets[] = {{"chars", CLI_OFFSETS_CHARS}, {"bytes", CLI_OFFSETS_BYTES}, {NULL, 0}};
static const choice schedules[] = {{"linear", GN_SCHEDULE_LINEAR},
                                   {"cosine", GN_SCHEDULE_COSINE},
                                   {"constant", GN_SCHEDULE_CONSTANT},
                                   {NULL, 0}};
static const choice weights[] = {{"none", CLI_WEIGHTS_NONE}, {"balanced", CLI_WEIGHTS_BALANCED}, {NULL, 0}};
static const choice statistics[] = {{"auto", GN_TEST_AUTO},
#define STATISTIC(name, method) {method, GN_TEST_##name},
                                    GN_TEST_LIST(STATISTIC)
#undef STATISTIC
                                        {NULL, 0}};

#define AT(field) offsetof(cli_args, field)
#define COLUMN_ROWS(prefix, field, commands)                                        \
    {prefix "text", commands, STRING, AT(field.text), NULL, 0, 0},                  \
        {prefix "label", commands, STRING, AT(field.label), NULL, 0, 0},            \
        {prefix "id", commands, STRING, AT(field.id), NULL, 0, 0},                  \
        {prefix "group", commands, STRING, AT(field.group), NULL, 0, 0},            \
        {prefix "format", commands, CHOICE, AT(field.format), formats, 0, 0},       \
        {prefix "encoding", commands, CHOICE, AT(field.encoding), encodings, 0, 0}, \
    {                                                                               \
        prefix "header", commands, CHOICE, AT(field.header), headers, 0, 0          \
    }

static const option_row rows[] = {
    {"help", CLI_ALL, FLAG, AT(help), NULL, 0, 0},
    {"version", CLI_ALL, FLAG, AT(version), NULL, 0, 0},
    {"lang", CLI_ALL, CHOICE, AT(lang), langs, 0, 0},
    {"threads", CLI_ALL, SIZE, AT(threads), NULL, 1, 1024},
    {"seed", CLI_ALL, SIZE, AT(seed), NULL, 0, 9007199254740992.0},
    {"quiet", CLI_ALL, FLAG, AT(quiet), NULL, 0, 0},
    {"no-color", CLI_ALL, FLAG, AT(no_color), NULL, 0, 0},
    {"json", CLI_STEPS | CLI_REPORT | CLI_MODEL | CLI_CACHE, FLAG, AT(json), NULL, 0, 0},
    {"gate", CLI_CHECK, FLAG, AT(gate), NULL, 0, 0},
    {"train", CLI_TRAINS | CLI_COMPARE, STRING, AT(train), NULL, 0, 0},
    {"test", CLI_TRAINS | CLI_COMPARE, STRING, AT(test), NULL, 0, 0},
    {"input", CLI_EMBED, STRING, AT(input), NULL, 0, 0},
    {"output-type", CLI_EMBED, CHOICE, AT(output_type), output_types, 0, 0},
    {"shard", CLI_EMBED, STRING, AT(shard), NULL, 0, 0},
    {"merge", CLI_EMBED, FLAG, AT(merge), NULL, 0, 0},
    {"restart", CLI_EMBED, FLAG, AT(restart), NULL, 0, 0},
    {"cache", CLI_STEPS | CLI_CACHE, STRING, AT(cache), NULL, 0, 0},
    {"model", (CLI_READS & ~(unsigned)CLI_COMPARE) | CLI_TOKENIZE, STRING, AT(model), NULL, 0, 0},
    {"models", CLI_COMPARE, STRING, AT(models), NULL, 0, 0},
    {"model-name", CLI_READS | CLI_MODEL, STRING, AT(model_name), NULL, 0, 0},
    {"insecure-http", CLI_READS | CLI_MODEL, FLAG, AT(insecure_http), NULL, 0, 0},
    {"time-limit", CLI_READS | CLI_MODEL, NUMBER, AT(time_limit), NULL, 0.1, 86400},
    {"out", CLI_READS | CLI_REPORT, STRING, AT(out), NULL, 0, 0},
    {"preset", CLI_READS | CLI_TOKENIZE, STRING, AT(preset), NULL, 0, 0},
    {"train-labels", CLI_STEPS, STRING, AT(train_labels), NULL, 0, 0},
    {"test-labels", CLI_STEPS, STRING, AT(test_labels), NULL, 0, 0},
    COLUMN_ROWS("", both, CLI_READS | CLI_TOKENIZE),
    COLUMN_ROWS("train-", for_train, CLI_STEPS),
    COLUMN_ROWS("test-", for_test, CLI_STEPS),
    {"label-map", CLI_READS, STRING, AT(label_map), NULL, 0, 0},
    {"drop-label", CLI_READS, STRING, AT(drop_label), NULL, 0, 0},
    {"group-alone", CLI_READS, STRING, AT(group_alone), NULL, 0, 0},
    {"strict", CLI_READS | CLI_TOKENIZE, FLAG, AT(strict), NULL, 0, 0},
    {"keep-duplicates", CLI_STEPS, FLAG, AT(keep_duplicates), NULL, 0, 0},
    {"hide-texts", CLI_STEPS, FLAG, AT(hide_texts), NULL, 0, 0},
    {"pooling", CLI_READS | CLI_MODEL, CHOICE, AT(pooling), poolings, 0, 0},
    {"prompt", CLI_READS | CLI_MODEL, STRING, AT(prompt), NULL, 0, 0},
    {"dtype", CLI_READS | CLI_MODEL, CHOICE, AT(dtype), dtypes, 0, 0},
    {"max-length", CLI_READS | CLI_MODEL | CLI_TOKENIZE, SIZE, AT(max_length), NULL, 1, 1048576},
    {"offsets", CLI_TOKENIZE, CHOICE, AT(offsets), offsets, 0, 0},
    {"alpha", CLI_CHECK | CLI_DETECT | CLI_COMPARE, NUMBER, AT(alpha), NULL, 1e-6, 0.5},
    {"tolerance", CLI_CHECK | CLI_DETECT | CLI_COMPARE, NUMBER, AT(tolerance), NULL, 0.5, 0.99},
    {"permutations", CLI_CHECK | CLI_DETECT | CLI_COMPARE, SIZE, AT(permutations), NULL, 19, 1e6},
    {"folds", CLI_TRAINS | CLI_DETECT | CLI_PROBE | CLI_COMPARE, SIZE, AT(folds), NULL, 2, 100},
    {"statistic", CLI_CHECK | CLI_DETECT, CHOICE, AT(statistic), statistics, 0, 0},
    {"all-tests", CLI_DETECT, FLAG, AT(all_tests), NULL, 0, 0},
    {"kernel-tolerance", CLI_DETECT, NUMBER, AT(kernel_tolerance), NULL, 1e-9, 0.5},
    {"fine-tune", CLI_CHECK, MAYBE, AT(fine_tune), NULL, 0, 0},
    {"methods", CLI_FINETUNE, STRING, AT(methods), NULL, 0, 0},
    {"train-on", CLI_TRAINS, STRING, AT(train_on), NULL, 0, 0},
    {"seeds", CLI_TRAINS, SIZE, AT(seeds), NULL, 1, 1000},
    {"epochs", CLI_TRAINS, SIZE, AT(epochs), NULL, 1, 10000},
    {"batch", CLI_TRAINS, SIZE, AT(batch), NULL, 1, 65536},
    {"rate", CLI_TRAINS, NUMBER, AT(rate), NULL, 1e-9, 1},
    {"lora-rate", CLI_TRAINS, NUMBER, AT(lora_rate), NULL, 1e-9, 1},
    {"lora-rank", CLI_TRAINS, SIZE, AT(lora_rank), NULL, 1, 4096},
    {"lora-alpha", CLI_TRAINS, NUMBER, AT(lora_alpha), NULL, 1e-6, 1e6},
    {"lora-targets", CLI_TRAINS, STRING, AT(lora_targets), NULL, 0, 0},
    {"schedule", CLI_TRAINS, CHOICE, AT(schedule), schedules, 0, 0},
    {"dropout", CLI_TRAINS, NUMBER, AT(dropout), NULL, 0, 0.9},
    {"class-weights", CLI_TRAINS, CHOICE, AT(class_weights), weights, 0, 0},
    {"last-k", CLI_TRAINS, SIZE, AT(last_k), NULL, 1, 1000},
    {"heldout", CLI_TRAINS, SIZE, AT(heldout), NULL, 10, 1e9},
    {"max-train", CLI_TRAINS, SIZE, AT(max_train), NULL, 10, 1e9},
    {"mix-rows", CLI_TRAINS, SIZE, AT(mix_rows), NULL, 1, 1e9},
    {"worthwhile", CLI_TRAINS, NUMBER, AT(worthwhile), NULL, 1e-6, 1},
    {"memory", CLI_TRAINS, BYTES, AT(memory), NULL, 0, 0},
    {"checkpoint", CLI_TRAINS, STRING, AT(checkpoint), NULL, 0, 0},
    {"save", CLI_TRAINS, STRING, AT(save), NULL, 0, 0},
    {"save-method", CLI_TRAINS, STRING, AT(save_method), NULL, 0, 0},
    {"save-on", CLI_TRAINS, STRING, AT(save_on), NULL, 0, 0},
    {"bandwidth", CLI_CHECK | CLI_SEE | CLI_COMPARE, CHOICE, AT(bandwidth), bandwidths, 0, 0},
};
/* FIRST_VALUE: what getopt returns for row 0, beyond every character that it returns itself. */
enum { ROWS = sizeof rows / sizeof *rows, FIRST_VALUE = 256 };

static const struct {
    unsigned bit;
    const char *name;
} names[] = {{CLI_CHECK, "check"},       {CLI_EMBED, "embed"},      {CLI_SEE, "see"},
             {CLI_DETECT, "detect"},     {CLI_PROBE, "probe"},      {CLI_REPORT, "report"},
             {CLI_MODEL, "model"},       {CLI_COMPARE, "compare"},  {CLI_CACHE, "cache"},
             {CLI_TOKENIZE, "tokenize"}, {CLI_FINETUNE, "finetune"}};

static const char *command_name(unsigned bit)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].bit == bit) return names[i].name;
    return "";
}

static int set_choice(cli_args *a, const option_row *row, const char *value)
{
    char all[160] = "";
    for (const choice *c = row->choices; c->name != NULL; c++) {
        if (strcmp(c->name, value) == 0) {
            memcpy((char *)a + row->at, &c->value, sizeof c->value);
            return CLI_OK;
        }
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", used ? ", " : "", c->name);
    }
    return cli_complain(a, CLI_USAGE, CLI_S_BAD_CHOICE, row->name, value, all);
}

static int set_number(cli_args *a, const option_row *row, const char *value)
{
    char *end;
    errno = 0;
    if (row->kind == SIZE) {
        unsigned long long n = strtoull(value, &end, 10);
        bool digit = value[0] >= '0' && value[0] <= '9';
        if (!digit || *end != '\0' || errno != 0 || (double)n < row->low || (double)n > row->high)
            return cli_complain(a, CLI_USAGE, CLI_S_BAD_NUMBER, row->name, value, row->low, row->high);
        size_t size = (size_t)n;
        memcpy((char *)a + row->at, &size, sizeof size);
        return CLI_OK;
    }
    double x = strtod(value, &end);
    if (end == value || *end != '\0' || errno != 0 || !(x >= row->low && x <= row->high))
        return cli_complain(a, CLI_USAGE, CLI_S_BAD_NUMBER, row->name, value, row->low, row->high);
    memcpy((char *)a + row->at, &x, sizeof x);
    return CLI_OK;
}

/* "500M", "4G", "123": binary multiples. */
static int set_bytes(cli_args *a, const option_row *row, const char *value)
{
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    unsigned long long n = strtoull(value, &end, 10);
    const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
    unsigned shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
    bool digit = value[0] >= '0' && value[0] <= '9';
    if (!digit || errno != 0 || n == 0 || end[unit != NULL] != '\0' || n > SIZE_MAX >> shift)
        return cli_complain(a, CLI_USAGE, CLI_S_BAD_SIZE, value);
    size_t bytes = (size_t)n << shift;
    memcpy((char *)a + row->at, &bytes, sizeof bytes);
    return CLI_OK;
}

static int set(cli_args *a, const option_row *row, const char *value)
{
    if ((row->commands & a->command) == 0)
        return cli_complain(a, CLI_USAGE, CLI_S_OPTION_NOT_HERE, row->name, command_name(a->command));
    switch (row->kind) {
    case FLAG:
        *(bool *)((char *)a + row->at) = true;
        return CLI_OK;
    case MAYBE:
        if (value == NULL) value = "";
        memcpy((char *)a + row->at, &value, sizeof value);
        return CLI_OK;
    case STRING:
        memcpy((char *)a + row->at, &value, sizeof value);
        return CLI_OK;
    case BYTES:
        return set_bytes(a, row, value);
    case CHOICE:
        return set_choice(a, row, value);
    case SIZE:
    case NUMBER:
        return set_number(a, row, value);
    }
    return CLI_OK;
}

/* The messages of a parse should already be in the language asked for. */
static void find_language(int argc, char **argv, int from, cli_args *a)
{
    for (int i = from; i < argc; i++) {
        const char *value = NULL;
        if (strncmp(argv[i], "--lang=", 7) == 0) value = argv[i] + 7;
        if (strcmp(argv[i], "--lang") == 0 && i + 1 < argc) value = argv[i + 1];
        if (value != NULL && strcmp(value, "ja") == 0) a->lang = GN_LANG_JA;
        if (value != NULL && strcmp(value, "en") == 0) a->lang = GN_LANG_EN;
    }
}

int cli_parse(int argc, char **argv, int from, unsigned command, cli_args *a)
{
    static const cli_columns unset = {NULL, NULL, NULL, NULL, -1, -1, -1};
    struct option longs[ROWS + 1] = {{0}};
    for (size_t i = 0; i < ROWS; i++)
        longs[i] = (struct option){rows[i].name,
                                   rows[i].kind == FLAG    ? no_argument
                                   : rows[i].kind == MAYBE ? optional_argument
                                                           : required_argument,
                                   NULL, FIRST_VALUE + (int)i};
    a->command = command;
    a->both = a->for_train = a->for_test = unset;
    a->dropout = -1;
    a->argc = argc;
    a->argv = argv;
    find_language(argc, argv, from, a);
    opterr = 0;
    optind = from;
    for (;;) {
        int at = optind < argc ? optind : argc - 1;
        int found = getopt_long(argc, argv, ":h", longs, NULL);
        if (found == -1) break;
        if (found == 'h') {
            a->help = true;
        } else if (found == ':') {
            return cli_complain(a, CLI_USAGE, CLI_S_NEEDS_VALUE, argv[optind - 1]);
        } else if (found == '?') {
            if (optopt >= FIRST_VALUE && optopt < FIRST_VALUE + ROWS)
                return cli_complain(a, CLI_USAGE, CLI_S_TAKES_NO_VALUE, rows[optopt - FIRST_VALUE].name);
            return cli_complain(a, CLI_USAGE, CLI_S_UNKNOWN_OPTION, argv[at], command_name(command));
        } else {
            int status = set(a, &rows[found - FIRST_VALUE], optarg);
            if (status != CLI_OK) return status;
        }
    }
    for (int i = optind; i < argc; i++) {
        if (a->operands == (int)(sizeof a->operand / sizeof *a->operand))
            return cli_complain(a, CLI_USAGE, CLI_S_EXTRA_OPERAND, argv[i]);
        a->operand[a->operands++] = argv[i];
    }
    return CLI_OK;
}

static void overlay(const cli_columns *c, gn_dataset_options *o)
{
    if (c->text != NULL) o->text = c->text;
    if (c->label != NULL) o->label = c->label;
    if (c->id != NULL) o->id = c->id;
    if (c->group != NULL) o->group = c->group;
    if (c->format >= 0) o->format = (gn_format)c->format;
    if (c->encoding >= 0) o->encoding = (gn_encoding)c->encoding;
    if (c->header >= 0) o->header = (gn_header)c->header;
}

int cli_dataset_options(const cli_args *a, bool for_test, gn_dataset_options *out)
{
    gn_error err = {.lang = a->lang};
    *out = (gn_dataset_options){0};
    if (a->preset != NULL && gn_dataset_preset(a->preset, for_test, out, &err) != GN_OK)
        return cli_failed(a, &err);
    overlay(&a->both, out);
    overlay(for_test ? &a->for_test : &a->for_train, out);
    if (a->label_map != NULL) out->label_map = a->label_map;
    if (a->drop_label != NULL) out->drop_labels = a->drop_label;
    if (a->group_alone != NULL) out->group_alone = a->group_alone;
    out->strict = a->strict;
    return CLI_OK;
}

gn_model_options cli_model_options(const cli_args *a)
{
    const char *model = a->model ? a->model : a->operands > 1 ? a->operand[1] : "";
    if (a->models != NULL) model = strstr(a->models, "://") ? a->models : "";
    return (gn_model_options){.pooling = (gn_pooling)a->pooling,
                              .dtype = (gn_dtype)a->dtype,
                              .max_length = a->max_length,
                              .prompt = a->prompt,
                              .hub = cli_hub_options(a),
                              .endpoint = cli_endpoint_options(a, model)};
}
