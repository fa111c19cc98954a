/* genchi model inspect, verify: what a model directory holds, and whether it is sound. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

typedef struct row {
    cli_string label;
    const char *key;   /* of the JSON object */
    const char *value; /* NULL: the number */
    size_t number;
} row;

static row text_row(cli_string label, const char *key, const char *value)
{
    return (row){.label = label, .key = key, .value = value ? value : ""};
}

static row number_row(cli_string label, const char *key, size_t value)
{
    return (row){.label = label, .key = key, .number = value};
}

/* Columns a UTF-8 string takes on a terminal, for the labels used here: ASCII one, the rest two. */
static int columns(const char *s)
{
    int n = 0;
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c < 0x80)
            n += 1;
        else if (c >= 0xC0)
            n += 2;
    }
    return n;
}

static void print_rows(const cli_args *a, const row *rows, size_t count)
{
    if (a->json) printf("{\n");
    for (size_t i = 0; i < count; i++) {
        const row *r = &rows[i];
        if (a->json) {
            printf("  \"%s\": ", r->key);
            if (r->value == NULL)
                printf("%zu", r->number);
            else
                cli_print_json_string(r->value);
            printf("%s\n", i + 1 < count ? "," : "");
            continue;
        }
        const char *label = cli_text(a->lang, r->label);
        printf("%s%*s  ", label, 24 - columns(label), "");
        if (r->value == NULL)
            printf("%zu\n", r->number);
        else
            printf("%s\n", r->value[0] != '\0' ? r->value : cli_text(a->lang, CLI_S_MODEL_NONE));
    }
    if (a->json) printf("}\n");
}

static int inspect(const cli_args *a, const gn_model *model)
{
    const gn_model_info *m = gn_model_get_info(model);
    const row rows[] = {
        text_row(CLI_S_MODEL_NAME, "name", m->name),
        text_row(CLI_S_MODEL_ARCHITECTURE, "architecture", m->architecture),
        number_row(CLI_S_MODEL_PARAMETERS, "parameters", m->parameters),
        text_row(CLI_S_MODEL_WEIGHTS, "weight_types", m->weight_types),
        number_row(CLI_S_MODEL_LAYERS, "layers", m->layers),
        number_row(CLI_S_MODEL_HEADS, "heads", m->heads),
        number_row(CLI_S_MODEL_DIM, "dim", m->dim),
        number_row(CLI_S_MODEL_VOCAB, "vocab", m->vocab),
        text_row(CLI_S_MODEL_POSITIONS, "positions", m->positions),
        text_row(CLI_S_MODEL_NORMS, "norms", m->norms),
        text_row(CLI_S_MODEL_ATTENTION, "attention", m->attention),
        text_row(CLI_S_MODEL_MLP, "mlp", m->mlp),
        text_row(CLI_S_MODEL_TOKENIZER, "tokenizer", m->tokenizer),
        text_row(CLI_S_MODEL_PIPELINE, "pipeline", m->pipeline),
        number_row(CLI_S_MODEL_MAX_LENGTH, "max_length", m->max_length),
        text_row(CLI_S_MODEL_POOLING, "pooling", m->poolings[0] ? m->poolings : gn_pooling_name(m->pooling)),
        text_row(CLI_S_MODEL_HEAD, "head", m->head),
        text_row(CLI_S_MODEL_PROMPT, "prompt", m->prompt),
        text_row(CLI_S_MODEL_NORMALIZE, "normalize",
                 a->json ? (m->normalize ? "yes" : "no")
                         : cli_text(a->lang, m->normalize ? CLI_S_YES : CLI_S_NO)),
        text_row(CLI_S_MODEL_DTYPE, "dtype", gn_dtype_name(m->dtype)),
        text_row(CLI_S_MODEL_MISSING, "missing", ""), /* else it would not have loaded */
        text_row(CLI_S_MODEL_UNUSED, "unused", m->unused),
        text_row(CLI_S_MODEL_SHA256, "sha256", m->sha256),
    };
    print_rows(a, rows, sizeof rows / sizeof *rows);
    return fflush(stdout) == 0 ? CLI_OK : cli_complain(a, CLI_FAILED, CLI_S_CANNOT_PRINT);
}

static void print_check(const cli_args *a, const gn_model_check *c)
{
    const struct {
        bool good;
        cli_string words;
    } text[] = {{c->finite, CLI_S_VERIFY_TEXT_FINITE},
                {!c->finite || c->deterministic, CLI_S_VERIFY_TEXT_SAME},
                {!c->finite || c->telling, CLI_S_VERIFY_TEXT_TELLING}};
    size_t biases = 0;
    printf(cli_text(a->lang, CLI_S_VERIFY_TENSORS), c->tensors, c->values, c->passed_over);
    for (size_t i = 0; i < c->flaws; i++) {
        const gn_tensor_flaw *f = &c->flaw[i];
        if (f->harmless)
            biases++;
        else if (f->zero)
            printf(cli_text(a->lang, CLI_S_VERIFY_ZERO), f->name);
        else
            printf(cli_text(a->lang, CLI_S_VERIFY_NOT_FINITE), f->name, f->nan, f->infinite, f->first);
    }
    if (biases > 0) printf(cli_text(a->lang, CLI_S_VERIFY_ZERO_BIAS), biases);
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        if (!text[i].good) printf("%s", cli_text(a->lang, text[i].words));
    printf("%s", cli_text(a->lang, c->sound ? CLI_S_VERIFY_SOUND : CLI_S_VERIFY_UNSOUND));
}

static void print_check_json(const gn_model_check *c)
{
    printf("{\n  \"tensors\": %zu,\n  \"values\": %zu,\n  \"passed_over\": %zu,\n  \"flaws\": [", c->tensors,
           c->values, c->passed_over);
    for (size_t i = 0; i < c->flaws; i++) {
        const gn_tensor_flaw *f = &c->flaw[i];
        printf("%s\n    {\"tensor\": ", i > 0 ? "," : "");
        cli_print_json_string(f->name);
        printf(", \"nan\": %zu, \"infinite\": %zu, \"first\": %zu, \"zero\": %s, \"harmless\": %s}", f->nan,
               f->infinite, f->first, f->zero ? "true" : "false", f->harmless ? "true" : "false");
    }
    printf("%s],\n  \"finite\": %s,\n  \"deterministic\": %s,\n  \"telling\": %s,\n  \"sound\": %s\n}\n",
           c->flaws > 0 ? "\n  " : "", c->finite ? "true" : "false", c->deterministic ? "true" : "false",
           c->telling ? "true" : "false", c->sound ? "true" : "false");
}

static int verify(const cli_args *a, gn_context *ctx, const gn_model *model)
{
    gn_error err = {.lang = a->lang};
    gn_model_check c;
    if (gn_model_verify(ctx, model, &c, &err) != GN_OK) return cli_failed(a, &err);
    cli_progress_clear();
    if (a->json)
        print_check_json(&c);
    else
        print_check(a, &c);
    int status = c.sound ? CLI_OK : CLI_FAILED;
    gn_model_check_free(&c);
    return fflush(stdout) == 0 ? status : cli_complain(a, CLI_FAILED, CLI_S_CANNOT_PRINT);
}

int cli_run_model(const cli_args *a)
{
    static const char *const verbs[] = {"inspect", "verify", "pull"};
    enum { VERBS = sizeof verbs / sizeof *verbs };
    size_t verb = 0;
    while (verb < VERBS && (a->operands < 1 || strcmp(a->operand[0], verbs[verb]) != 0)) verb++;
    if (verb == VERBS) return cli_complain(a, CLI_USAGE, CLI_S_MODEL_VERB);
    char name[32];
    snprintf(name, sizeof name, "model %s", verbs[verb]);
    if (a->operands < 2) return cli_complain(a, CLI_USAGE, CLI_S_NEEDS_FILE, name, "model");
    if (a->operands > 2) return cli_complain(a, CLI_USAGE, CLI_S_EXTRA_OPERAND, a->operand[2]);
    gn_context *ctx = cli_context(a);
    if (ctx == NULL) return CLI_FAILED;
    gn_error err = {.lang = a->lang};
    gn_model *model = NULL;
    gn_model_options options = cli_model_options(a);
    int status;
    if (verb == 2)
        status = cli_model_pull(a, ctx, a->operand[1]);
    else if (gn_model_load(ctx, a->operand[1], &options, &model, &err) != GN_OK)
        status = cli_failed(a, &err);
    else
        status = verb == 0 ? inspect(a, model) : verify(a, ctx, model);
    gn_model_free(model);
    cli_context_free(ctx);
    return status;
}
