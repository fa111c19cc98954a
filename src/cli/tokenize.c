/* genchi tokenize: texts to token ids, one JSON line a text. */
#include "cli/cli.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* characters: how many begin before each place of text[0..length], which is well-formed UTF-8; NULL: bytes
 * are asked for. */
static void print_tokens(const gn_tokenizer *t, const gn_tokens *tokens, const uint32_t *characters)
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
        printf("%s[%u,%u]", i ? "," : "",
               (unsigned)(characters ? characters[tokens->begin[i]] : tokens->begin[i]),
               (unsigned)(characters ? characters[tokens->end[i]] : tokens->end[i]));
    printf("]}\n");
}

/* Room for *capacity numbers grows as it must; NULL: no memory. */
static const uint32_t *count_characters(const char *text, size_t length, uint32_t **room, size_t *capacity)
{
    if (length >= *capacity) {
        size_t wanted = length + length / 2 + 64;
        uint32_t *bigger =
            wanted > SIZE_MAX / sizeof *bigger ? NULL : realloc(*room, wanted * sizeof *bigger);
        if (bigger == NULL) return NULL;
        *room = bigger;
        *capacity = wanted;
    }
    uint32_t count = 0;
    for (size_t i = 0; i <= length; i++) {
        (*room)[i] = count;
        /* within a character the place is that of its end */
        if (i < length && (text[i] & 0xC0) != 0x80) count++;
    }
    return *room;
}

static int tokenize(const cli_args *a, gn_context *ctx, const gn_dataset_options *read_options)
{
    gn_error err = {.lang = a->lang};
    gn_dataset d = {0};
    gn_tokenizer *t = NULL;
    gn_tokens tokens = {0};
    int status = CLI_OK;
    char *found = NULL;
    uint32_t *room = NULL;
    size_t capacity = 0;
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
        else if (a->offsets == CLI_OFFSETS_BYTES)
            print_tokens(t, &tokens, NULL);
        else if (count_characters(d.text[i], d.length[i], &room, &capacity) == NULL)
            status = cli_complain(a, CLI_FAILED, CLI_S_NO_MEMORY);
        else
            print_tokens(t, &tokens, room);
    }
    if (status == CLI_OK && fflush(stdout) != 0) status = cli_complain(a, CLI_FAILED, CLI_S_CANNOT_PRINT);
    free(found);
    free(room);
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
