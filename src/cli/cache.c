/* genchi cache: what is kept of earlier runs. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void size_text(uint64_t bytes, char out[32])
{
    static const char *const unit[] = {"B", "kB", "MB", "GB", "TB"};
    double x = (double)bytes;
    size_t u = 0;
    for (; x >= 1000 && u < 4; u++) x /= 1000;
    snprintf(out, 32, u == 0 || x >= 100 ? "%.0f %s" : "%.1f %s", x, unit[u]);
}

/* "500M", "4G", a number of bytes; powers of 1024. */
static bool parse_size(const char *s, uint64_t *out)
{
    static const char units[] = "KMGT";
    char *end;
    if (*s < '0' || *s > '9') return false;
    unsigned long long n = strtoull(s, &end, 10);
    const char *u = *end != '\0' ? strchr(units, *end) : NULL;
    if (*end != '\0' && (u == NULL || end[1] != '\0')) return false;
    int shift = u != NULL ? 10 * (int)(u - units + 1) : 0;
    if (n > (UINT64_MAX >> 1) >> shift) return false;
    *out = (uint64_t)n << shift;
    return true;
}

static void date_text(int64_t seconds, char out[32])
{
    time_t t = (time_t)seconds;
    struct tm tm;
    out[0] = '\0';
    if (gmtime_r(&t, &tm) != NULL) strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* Names are shown as JSON strings; only what would break one is escaped. */
static void print_string(const char *s)
{
    putchar('"');
    for (; *s != '\0'; s++) {
        if (*s == '"' || *s == '\\') putchar('\\');
        if ((unsigned char)*s < 0x20)
            printf("\\u%04x", (unsigned)*s);
        else
            putchar(*s);
    }
    putchar('"');
}

static void print_json(const gn_cache_list *l)
{
    printf("{\n  \"schema\": \"genchi.cache/1\",\n  \"bytes\": %llu,\n  \"limit\": %llu,\n  \"models\": [",
           (unsigned long long)l->bytes, (unsigned long long)l->limit);
    for (size_t i = 0; i < l->count; i++) {
        const gn_cache_entry *e = &l->entry[i];
        char used[32];
        date_text(e->used, used);
        printf("%s\n    {\"name\": ", i > 0 ? "," : "");
        print_string(e->name);
        printf(", \"detail\": ");
        print_string(e->detail);
        printf(", \"key\": \"%s\", \"vectors\": %llu, \"bytes\": %llu, \"dim\": %llu, \"used\": \"%s\"}",
               e->key, (unsigned long long)e->vectors, (unsigned long long)e->bytes,
               (unsigned long long)e->dim, used);
    }
    printf("%s]\n}\n", l->count > 0 ? "\n  " : "");
}

static void print_list(const cli_args *a, const gn_cache_list *l)
{
    char bytes[32], limit[32], used[32];
    for (size_t i = 0; i < l->count; i++) {
        const gn_cache_entry *e = &l->entry[i];
        size_text(e->bytes, bytes);
        date_text(e->used, used);
        printf(cli_text(a->lang, CLI_S_CACHE_ROW), e->name, (unsigned long long)e->vectors, bytes, used,
               e->detail, (unsigned long long)e->dim, e->key);
    }
    size_text(l->bytes, bytes);
    size_text(l->limit, limit);
    printf(cli_text(a->lang, CLI_S_CACHE_TOTAL), bytes, limit);
}

static int list(const cli_args *a, gn_cache *c, const char *unused)
{
    gn_error err = {.lang = a->lang};
    gn_cache_list l;
    (void)unused;
    if (gn_cache_list_make(c, &l, &err) != GN_OK) return cli_failed(a, &err);
    if (a->json)
        print_json(&l);
    else
        print_list(a, &l);
    gn_cache_list_free(&l);
    return CLI_OK;
}

static int clear(const cli_args *a, gn_cache *c, const char *name)
{
    gn_error err = {.lang = a->lang};
    uint64_t removed;
    char bytes[32];
    if (gn_cache_clear(c, name, &removed, &err) != GN_OK) return cli_failed(a, &err);
    size_text(removed, bytes);
    if (!a->quiet) printf(cli_text(a->lang, CLI_S_CACHE_CLEARED), bytes);
    return CLI_OK;
}

static int verify(const cli_args *a, gn_cache *c, const char *unused)
{
    gn_error err = {.lang = a->lang};
    uint64_t good, damaged;
    (void)unused;
    if (gn_cache_verify(c, &good, &damaged, &err) != GN_OK) return cli_failed(a, &err);
    if (!a->quiet)
        printf(cli_text(a->lang, CLI_S_CACHE_VERIFIED), (unsigned long long)good,
               (unsigned long long)damaged);
    return CLI_OK;
}

static int limit(const cli_args *a, gn_cache *c, const char *size)
{
    gn_error err = {.lang = a->lang};
    uint64_t bytes;
    if (size != NULL) {
        if (!parse_size(size, &bytes)) return cli_complain(a, CLI_USAGE, CLI_S_BAD_SIZE, size);
        if (gn_cache_set_limit(c, bytes, &err) != GN_OK) return cli_failed(a, &err);
    }
    return list(a, c, NULL);
}

int cli_run_cache(const cli_args *a)
{
    static const struct {
        const char *verb;
        int operands; /* at most */
        int (*run)(const cli_args *a, gn_cache *c, const char *operand);
    } verbs[] = {{"list", 1, list}, {"clear", 2, clear}, {"verify", 1, verify}, {"limit", 2, limit}};
    const char *verb = a->operands > 0 ? a->operand[0] : "list";
    size_t at = 0;
    while (at < sizeof verbs / sizeof *verbs && strcmp(verbs[at].verb, verb) != 0) at++;
    if (at == sizeof verbs / sizeof *verbs) return cli_complain(a, CLI_USAGE, CLI_S_CACHE_VERB);
    if (a->operands > verbs[at].operands)
        return cli_complain(a, CLI_USAGE, CLI_S_EXTRA_OPERAND, a->operand[verbs[at].operands]);
    int status;
    gn_cache *c = cli_cache_open(a, &status);
    if (status != CLI_OK) return status;
    if (c == NULL) return cli_complain(a, CLI_USAGE, CLI_S_CACHE_OFF);
    status = verbs[at].run(a, c, a->operands > 1 ? a->operand[1] : NULL);
    gn_cache_close(c);
    if (status == CLI_OK && fflush(stdout) != 0) return cli_complain(a, CLI_FAILED, CLI_S_CANNOT_PRINT);
    return status;
}
